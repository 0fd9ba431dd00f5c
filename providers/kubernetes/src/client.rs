//! The client of one cluster: connection, credentials, repeats and the log of calls.
//!
//! Requests are built and sent by `kube`. A minted token is asked for at each request once its time to renew has
//! come, and once more after a 401. Each attempt is one record of the call log.

use crate::config::{self, Access};
use crate::errors;
use crate::mapping::Fields;
use crate::owners::{self, Collision};
use crate::schema::Resource;
use groma_provider::retry::Retry;
use groma_provider::{CallRecord, Environment, ErrorKind, Minted, Minter, NetworkPolicy, ProviderError};
use groma_types::{AttrPath, Timestamp, Value};
use http::Request;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, USER_AGENT};
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::core::params::{DeleteParams, GetParams, ListParams, Patch, PatchParams, Preconditions};
use serde_json::Value as Json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tower::{BoxError, ServiceExt};

/// Field manager of everything that we apply.
pub(crate) const MANAGER: &str = "groma";
/// How long a fresh cluster may refuse connections and credentials.
const SETTLING: Duration = Duration::from_secs(120);
const SETTLING_PAUSE: Duration = Duration::from_secs(3);
/// Wall time for one request: a matter of sockets, not of the run's clock.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// A wrong address is not worth the patience that a busy API gets.
const CONNECT_ATTEMPTS: u32 = 3;
const PAGE: u32 = 500;

pub(crate) struct Client {
    kube: kube::Client,
    env: Environment,
    minter: Option<Arc<dyn Minter>>,
    minted: Mutex<Option<Minted>>,
    address: String,
    /// End of the time in which a fresh host may refuse us; no matter once it has answered well.
    settling_until: Option<Timestamp>,
    settled: AtomicBool,
}

/// Which object, or collection, a call is about.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl Target {
    /// `deployment default/web`, for messages.
    pub(crate) fn label(&self) -> String {
        let kind = &self.resource.kind;
        match &self.namespace {
            Some(namespace) => format!("{kind} {namespace}/{}", self.name),
            None => format!("{kind} {}", self.name),
        }
    }

    pub(crate) fn requests(&self) -> kube::core::Request {
        kube::core::Request::new(self.resource.path(self.namespace.as_deref()))
    }
}

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self, asked: &str) -> Result<Json, ProviderError> {
        serde_json::from_slice(&self.body).map_err(|e| {
            ProviderError::new(ErrorKind::Unavailable, format!("the answer is not JSON: {e}")).asked(asked)
        })
    }
}

/// What became of an apply.
pub(crate) enum Applied {
    Done {
        /// There was no such object before.
        is_new: bool,
        live: Json,
    },
    /// Nothing was changed: others own these fields with other values.
    Collides(Vec<Collision>),
}

/// How an object is applied.
#[derive(Clone, Copy)]
pub(crate) struct Manner<'a> {
    /// Whose fields they are to be.
    pub(crate) manager: &'a str,
    /// Take fields over that others own.
    pub(crate) force: bool,
    /// Ask for the answer alone: nothing is changed.
    pub(crate) rehearse: bool,
    /// Where an error's fields are looked up.
    pub(crate) fields: Option<&'a Fields>,
}

struct Call<'a> {
    request: Request<Vec<u8>>,
    /// `PATCH deployments.apps`.
    operation: String,
    retry: Retry,
    fields: Option<&'a Fields>,
    mutating: bool,
    /// A refusal for the sake of other owners is an answer.
    may_collide: bool,
}

impl Call<'static> {
    fn read(request: Request<Vec<u8>>, operation: String) -> Call<'static> {
        Call { request, operation, retry: Retry::READ, fields: None, mutating: false, may_collide: false }
    }

    fn change(request: Request<Vec<u8>>, operation: String) -> Call<'static> {
        let retry = Retry::IDEMPOTENT;
        Call { request, operation, retry, fields: None, mutating: true, may_collide: false }
    }
}

fn is_collision(body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|status| !owners::collisions(&status).is_empty())
}

fn build<E: std::fmt::Display>(
    request: Result<Request<Vec<u8>>, E>,
) -> Result<Request<Vec<u8>>, ProviderError> {
    request.map_err(|e| ProviderError::new(ErrorKind::Invalid, e.to_string()))
}

impl Client {
    /// Makes the client; calls nothing.
    ///
    /// # Errors
    /// The certificates or keys can't be used.
    pub(crate) fn new(
        access: &Access,
        minter: Option<Arc<dyn Minter>>,
        env: Environment,
        fresh_host: bool,
    ) -> Result<Client, ProviderError> {
        let address = format!("{}:{}", access.host, access.port);
        let kube = connect(access, &env.network).map_err(|e| {
            ProviderError::new(ErrorKind::Invalid, format!("the client for {address} can't be made: {e}"))
        })?;
        let settling_until = fresh_host.then(|| env.clock.now() + SETTLING);
        Ok(Client {
            kube,
            env,
            minter,
            minted: Mutex::new(None),
            address,
            settling_until,
            settled: AtomicBool::new(false),
        })
    }

    /// Reads an object; `None` if it is not there.
    pub(crate) async fn get(&self, target: &Target) -> Result<Option<Json>, ProviderError> {
        let operation = format!("GET {}", target.resource.label());
        let request = build(target.requests().get(&target.name, &GetParams::default()))?;
        match self.send(Call::read(request, operation.clone())).await {
            Ok(answer) => answer.json(&operation).map(Some),
            // Only the API itself can say that an object is gone: its word is a Status with a reason.
            Err(error) if error.status == Some(404) && error.code.is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists the objects of a collection, page by page.
    pub(crate) async fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        mut params: ListParams,
    ) -> Result<Vec<Json>, ProviderError> {
        let operation = format!("LIST {}", resource.label());
        let requests = kube::core::Request::new(resource.path(namespace));
        params.limit = Some(PAGE);
        let mut items = Vec::new();
        loop {
            let request = build(requests.list(&params))?;
            let mut page = self.send(Call::read(request, operation.clone())).await?.json(&operation)?;
            if let Some(Json::Array(more)) = page.get_mut("items").map(Json::take) {
                items.extend(more);
            }
            match page["metadata"]["continue"].as_str().filter(|t| !t.is_empty()) {
                Some(token) => params.continue_token = Some(token.into()),
                None => return Ok(items),
            }
        }
    }

    /// Applies an object.
    pub(crate) async fn apply(
        &self,
        target: &Target,
        object: &Json,
        manner: Manner<'_>,
    ) -> Result<Applied, ProviderError> {
        let operation = format!("PATCH {}", target.resource.label());
        let Manner { manager, force, rehearse, fields } = manner;
        let params =
            PatchParams { force, dry_run: rehearse, ..PatchParams::apply(manager) }.validation_strict();
        let request = build(target.requests().patch(&target.name, &params, &Patch::Apply(object)))?;
        let change = Call::change(request, operation.clone());
        let answer = self.send(Call { fields, mutating: !rehearse, may_collide: true, ..change }).await?;
        let json = answer.json(&operation)?;
        Ok(match answer.status {
            409 => Applied::Collides(owners::collisions(&json)),
            status => Applied::Done { is_new: status == 201, live: json },
        })
    }

    /// Merges a patch into an object, as a change of nobody's fields: for what the API keeps about an object.
    pub(crate) async fn merge(&self, target: &Target, patch: &Json) -> Result<Json, ProviderError> {
        let operation = format!("PATCH {}", target.resource.label());
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let request = build(target.requests().patch(&target.name, &params, &Patch::Merge(patch)))?;
        self.send(Call::change(request, operation.clone())).await?.json(&operation)
    }

    /// Asks for the deletion of an object with all that it owns; `false` if it is gone, or is another one by now.
    pub(crate) async fn delete(&self, target: &Target, uid: Option<&str>) -> Result<bool, ProviderError> {
        let operation = format!("DELETE {}", target.resource.label());
        let mut params = DeleteParams::foreground();
        params.preconditions = uid.map(|uid| Preconditions { uid: Some(uid.into()), resource_version: None });
        let request = build(target.requests().delete(&target.name, &params))?;
        match self.send(Call::change(request, operation)).await {
            Ok(_) => Ok(true),
            Err(error) if error.status == Some(404) && error.code.is_some() => Ok(false),
            Err(error) if error.status == Some(409) && uid.is_some() => {
                let live = self.get(target).await?;
                if live.is_some_and(|l| l["metadata"]["uid"].as_str() == uid) {
                    Err(error)
                } else {
                    Ok(false)
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a path that is no object: discovery, logs.
    pub(crate) async fn read_path(&self, path: &str, operation: &str) -> Result<Answer, ProviderError> {
        let request = build(Request::get(path).body(Vec::new()))?;
        self.send(Call::read(request, operation.into())).await
    }

    async fn send(&self, call: Call<'_>) -> Result<Answer, ProviderError> {
        let mut attempt = 1;
        let mut renewed = false;
        loop {
            let error = match self.attempt(&call, attempt).await {
                Ok(answer) => {
                    self.settled.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => error.asked(format!("kubernetes: {}", call.operation)),
            };
            if error.status == Some(401) && self.minter.is_some() && !renewed {
                renewed = true;
                self.renew().await?;
            } else if self.is_settling(&error) {
                self.env.clock.sleep(SETTLING_PAUSE).await;
                renewed = false;
            } else if self.wants(&call, attempt, &error) {
                let mut random = [0];
                self.env.entropy.fill(&mut random);
                self.env.clock.sleep(call.retry.pause(attempt, &error, random[0])).await;
            } else {
                return Err(error);
            }
            attempt += 1;
        }
    }

    fn wants(&self, call: &Call<'_>, attempt: u32, error: &ProviderError) -> bool {
        if error.code.as_deref() == Some(errors::BAD_CERTIFICATE) {
            return false;
        }
        let patience = error.kind != ErrorKind::Unreachable || attempt < CONNECT_ATTEMPTS;
        patience && call.retry.wants(attempt, error)
    }

    /// Whether a fresh host refuses us in a way that passes.
    fn is_settling(&self, error: &ProviderError) -> bool {
        let passes = error.kind == ErrorKind::Unreachable || matches!(error.status, Some(401 | 403));
        let passes = passes && error.code.as_deref() != Some(errors::BAD_CERTIFICATE);
        let fresh = self.settling_until.is_some_and(|end| self.env.clock.now() < end);
        passes && fresh && !self.settled.load(Ordering::Relaxed)
    }

    async fn attempt(&self, call: &Call<'_>, attempt: u32) -> Result<Answer, ProviderError> {
        let request = self.signed(call.request.clone()).await?;
        let begun = self.env.clock.now();
        let outcome = self.exchange(request).await;
        let status = match &outcome {
            Ok((status, ..)) => *status,
            Err(_) => 0,
        };
        self.tell(&call.operation, begun, status, attempt, call.mutating);
        let (status, retry_after, body) = outcome?;
        if status < 400 || (call.may_collide && status == 409 && is_collision(&body)) {
            return Ok(Answer { status, body });
        }
        Err(errors::refusal(status, &body, retry_after, call.fields))
    }

    /// The request with what each carries: who we are, and for whom.
    async fn signed(&self, request: Request<Vec<u8>>) -> Result<Request<Body>, ProviderError> {
        let mut request = request.map(Body::from);
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(concat!("groma/", env!("CARGO_PKG_VERSION"))));
        if let Some(token) = self.token().await? {
            let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                ProviderError::new(ErrorKind::Invalid, "the token holds characters that no header can carry")
                    .at(AttrPath::root().attr("token"))
            })?;
            header.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        Ok(request)
    }

    fn tell(&self, operation: &str, begun: Timestamp, status: u16, attempt: u32, mutating: bool) {
        self.env.calls.call(CallRecord {
            service: "kubernetes".into(),
            operation: operation.into(),
            millis: u64::try_from(self.env.clock.now().since(begun).as_millis()).unwrap_or(u64::MAX),
            status,
            request_id: None,
            attempt,
            mutating,
        });
    }

    /// Opens an answer that goes on; tried once.
    pub(crate) async fn stream(
        &self,
        request: Request<Vec<u8>>,
        operation: &str,
    ) -> Result<Body, ProviderError> {
        let request = self.signed(request).await?;
        let begun = self.env.clock.now();
        let answer = self.kube.send(request).await.map_err(|e| errors::no_answer(&e, &self.address))?;
        let status = answer.status().as_u16();
        self.tell(operation, begun, status, 1, false);
        match status {
            200 => Ok(answer.into_body()),
            _ => Err(errors::refusal(status, b"", None, None)),
        }
    }

    async fn exchange(
        &self,
        request: Request<Body>,
    ) -> Result<(u16, Option<Duration>, Vec<u8>), ProviderError> {
        let exchange = async {
            let answer = self.kube.send(request).await.map_err(|e| errors::no_answer(&e, &self.address))?;
            let status = answer.status().as_u16();
            let wait = answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
            let body =
                answer.into_body().collect().await.map_err(|e| errors::no_answer(&e, &self.address))?;
            Ok((status, wait.map(Duration::from_secs), body.to_bytes().to_vec()))
        };
        let late = || {
            let text = format!("no answer from {} within {} s", self.address, ANSWER_WITHIN.as_secs());
            ProviderError::new(ErrorKind::Ambiguous, text)
        };
        tokio::time::timeout(ANSWER_WITHIN, exchange).await.unwrap_or_else(|_| Err(late()))
    }

    /// The token to send: the minted one, renewed when its time has come. Others are the client's own business.
    async fn token(&self) -> Result<Option<String>, ProviderError> {
        let Some(minter) = &self.minter else { return Ok(None) };
        let mut minted = self.minted.lock().await;
        let now = self.env.clock.now();
        let usable = minted.as_ref().filter(|m| m.renew_at.is_none_or(|at| now < at));
        if usable.is_none() {
            *minted = Some(minter.mint(false).await?);
        }
        let token = minted.as_ref().and_then(|m| m.value.as_str());
        let wrong = || ProviderError::new(ErrorKind::Denied, "the minted token is not a text");
        token.map(Into::into).map(Some).ok_or_else(wrong)
    }

    async fn renew(&self) -> Result<(), ProviderError> {
        let Some(minter) = &self.minter else { return Ok(()) };
        let mut minted = self.minted.lock().await;
        *minted = Some(minter.mint(true).await?);
        Ok(())
    }
}

/// Makes kube's client over a connector that looks names up itself, to check every address.
fn connect(access: &Access, network: &NetworkPolicy) -> kube::Result<kube::Client> {
    let config = &access.config;
    let port = access.port;
    let plain = config.cluster_url.scheme_str() == Some("http");
    let network = network.clone();
    let resolver = tower::service_fn(move |name: Name| {
        let network = network.clone();
        async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), port)).await?.collect();
            let allowed = |a: &SocketAddr| network.allows(*a) && (!plain || a.ip().is_loopback());
            let addresses: Vec<SocketAddr> = found.into_iter().filter(allowed).collect();
            if addresses.is_empty() {
                return Err(std::io::Error::other(config::refused(name.as_str(), port).message));
            }
            Ok(addresses.into_iter())
        }
    });
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_WITHIN));
    connector.set_nodelay(true);
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let client: hyper_util::client::legacy::Client<_, Body> =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    let client = ServiceExt::<Request<Body>>::map_err(client, BoxError::from);
    let builder = ClientBuilder::new(client, config.default_namespace.clone());
    Ok(match config.auth_layer()? {
        Some(auth) => builder.with_layer(&auth).with_layer(&config.base_uri_layer()).build(),
        None => builder.with_layer(&config.base_uri_layer()).build(),
    })
}

/// The minter of the argument `token`, if it is minted.
pub(crate) fn token_minter(
    minted: &std::collections::BTreeMap<AttrPath, Arc<dyn Minter>>,
) -> Option<Arc<dyn Minter>> {
    minted.iter().find(|(path, _)| path.first_attr() == Some("token")).map(|(_, minter)| minter.clone())
}

/// The text at a path of an API object, empty if there is none.
pub(crate) fn text_at<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// The owner mark of a live object.
pub(crate) fn owner(object: &Json) -> Option<&str> {
    object["metadata"]["annotations"][crate::mapping::OWNER_ANNOTATION].as_str()
}

/// Whether the deletion of a live object is under way.
pub(crate) fn is_terminating(object: &Json) -> bool {
    !text_at(object, "/metadata/deletionTimestamp").is_empty()
}

/// The private data that we keep of an object: its identity in time.
pub(crate) fn private_of(object: &Json) -> Json {
    serde_json::json!({ "uid": object["metadata"]["uid"] })
}

/// The namespace and name in the attributes of a typed kind.
pub(crate) fn named(attributes: &Value) -> (Option<&str>, Option<&str>) {
    let metadata = attributes.get("metadata").and_then(|m| m.at(0));
    let part = |name| metadata.and_then(|m| m.str_attr(name)).filter(|s| !s.is_empty());
    (part("namespace"), part("name"))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
