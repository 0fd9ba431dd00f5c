//! The clients of the services: one HTTP stack, signing dates from the run's clock, every call logged.
//!
//! The SDK's own retries are off: [`Aws::call`] repeats by [`Retry`]. All traffic, that of credential sources
//! included, goes through [`Guarded`], which enforces the network policy and writes the call log.

use crate::config::{AwsSettings, ProviderArgs};
use crate::credentials::{self, Shared};
use crate::ec2::Ec2;
use crate::error::{Api, from_sdk};
use crate::tags::Tags;
use aws_config::BehaviorVersion;
use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider as TlsProvider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use aws_types::app_name::AppName;
use aws_types::region::Region;
use groma_provider::retry::Retry;
use groma_provider::{CallRecord, Clock, Environment, ErrorKind, NetworkPolicy, ProviderError};
use groma_types::{AttrPath, Timestamp};
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time to open a connection, on the machine's clock: it is the network that is timed, not the cloud.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time until the first byte of an answer, on the machine's clock.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Codes by which services call credentials expired.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

tokio::task_local! {
    /// Number of the attempt that the current call is in; for the log.
    static ATTEMPT: u32;
}

/// A configured set of clients.
pub(crate) struct Aws {
    pub(crate) env: Environment,
    pub(crate) region: String,
    pub(crate) args: ProviderArgs,
    pub(crate) credentials: Shared,
    pub(crate) eks: aws_sdk_eks::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) ec2: Ec2,
    /// The account, once STS has told it.
    pub(crate) account: OnceLock<String>,
}

impl Aws {
    /// Makes the clients; calls nobody.
    ///
    /// # Errors
    /// No region is known, or a certificate file can't be read.
    pub(crate) async fn new(
        settings: &AwsSettings,
        args: ProviderArgs,
        env: Environment,
    ) -> Result<Aws, ProviderError> {
        let endpoint = settings.endpoint_url.clone().or_else(|| env.vars.get("AWS_ENDPOINT_URL").cloned());
        let connector = connector(endpoint.as_deref(), &env)?;
        let shared = connector.clone();
        let http: SharedHttpClient = http_client_fn(move |_: &HttpConnectorSettings, _: &_| shared.clone());
        let time = SharedTimeSource::new(ClockTime(env.clock.clone()));
        let region = region(settings, &args, &env, &time, &http).await?;
        let mut builder = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .http_client(http.clone())
            .time_source(time.clone())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(RetryConfig::disabled());
        builder.set_app_name(AppName::new("groma").ok());
        if let Some(url) = &endpoint {
            builder = builder.endpoint_url(url.trim_end_matches('/'));
        }
        let bare = builder.build();
        let credentials = Shared::new(credentials::source(settings, &args, &bare).await, time);
        // The one copy of the credentials is kept here, where it can be dropped.
        let config = bare
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .identity_cache(IdentityCache::no_cache())
            .build();
        Ok(Aws {
            eks: aws_sdk_eks::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            ec2: Ec2::new(connector, credentials.clone(), &region, endpoint),
            env,
            region,
            args,
            credentials,
            account: OnceLock::new(),
        })
    }

    pub(crate) fn default_tags(&self) -> &Tags {
        &self.args.default_tags
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.env.clock.now()
    }

    /// Makes one call of an SDK, repeated by `policy`.
    pub(crate) async fn call<T, E, F, Fut>(
        &self,
        policy: Retry,
        api: Api,
        send: F,
    ) -> Result<T, ProviderError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        self.repeat(policy, || {
            let sent = send();
            async move { sent.await.map_err(|error| from_sdk(api, &error)) }
        })
        .await
    }

    /// Repeats a request by `policy`, so that the log knows the attempts apart. Credentials that a service calls
    /// expired are asked for anew, once.
    pub(crate) async fn repeat<T, F, Fut>(&self, policy: Retry, send: F) -> Result<T, ProviderError>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ProviderError>> + Send,
    {
        let once = || policy.run(&self.env, |attempt| ATTEMPT.scope(attempt, send()));
        match once().await {
            Err(error) if error.code.as_deref().is_some_and(|code| EXPIRED.contains(&code)) => {
                self.credentials.forget();
                once().await
            }
            other => other,
        }
    }
}

/// The run's clock as the SDK's time source: signing dates and the age of credentials.
struct ClockTime(Arc<dyn Clock>);

impl fmt::Debug for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClockTime")
    }
}

impl TimeSource for ClockTime {
    fn now(&self) -> SystemTime {
        system_time(self.0.now())
    }
}

pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0))
}

async fn region(
    settings: &AwsSettings,
    args: &ProviderArgs,
    env: &Environment,
    time: &SharedTimeSource,
    http: &SharedHttpClient,
) -> Result<String, ProviderError> {
    let var = |name: &str| env.vars.get(name).filter(|v| !v.is_empty()).cloned();
    if let Some(region) =
        args.region.clone().or_else(|| var("AWS_REGION")).or_else(|| var("AWS_DEFAULT_REGION"))
    {
        return Ok(region);
    }
    if settings.static_credentials.is_none() {
        let config = ProviderConfig::empty().with_time_source(time.clone()).with_http_client(http.clone());
        let mut profile = ProfileFileRegionProvider::builder().configure(&config);
        if let Some(name) = &args.profile {
            profile = profile.profile_name(name);
        }
        use aws_config::meta::region::ProvideRegion;
        if let Some(region) = profile.build().region().await {
            return Ok(region.to_string());
        }
    }
    Err(ProviderError::new(ErrorKind::Invalid, "no region is known")
        .at(AttrPath::root().attr("region"))
        .help("write `region` in the provider block, or set AWS_REGION"))
}

/// Builds the one connector of a provider configuration.
fn connector(endpoint: Option<&str>, env: &Environment) -> Result<SharedHttpConnector, ProviderError> {
    let settings =
        HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
    let base = || ConnectorBuilder::default().connector_settings(settings).sleep_impl(TokioSleep::new());
    let inner = if endpoint.is_some_and(|url| url.starts_with("http://")) {
        base().build_http()
    } else {
        let proxy = if matches!(env.network, NetworkPolicy::Open) {
            ProxyConfig::from_env()
        } else {
            ProxyConfig::disabled()
        };
        let tls = TlsContext::builder().with_trust_store(trust_store(env)?).build();
        let tls = tls.map_err(|e| ProviderError::new(ErrorKind::Invalid, format!("TLS: {e}")))?;
        base()
            .proxy_config(proxy)
            .tls_provider(TlsProvider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls)
            .build()
    };
    Ok(SharedHttpConnector::new(Guarded { inner, env: env.clone() }))
}

/// The machine's certificates, and those of AWS_CA_BUNDLE.
fn trust_store(env: &Environment) -> Result<TrustStore, ProviderError> {
    let store = TrustStore::default();
    let Some(path) = env.vars.get("AWS_CA_BUNDLE").filter(|p| !p.is_empty()) else { return Ok(store) };
    let unreadable =
        |why: String| ProviderError::new(ErrorKind::Invalid, format!("AWS_CA_BUNDLE: {path}: {why}"));
    let pem = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(unreadable("holds no certificate".into()));
    }
    Ok(store.with_pem_certificate(pem))
}

/// The connector that refuses what the network policy does not allow, and logs the rest.
struct Guarded {
    inner: Connector,
    env: Environment,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarded")
    }
}

impl HttpConnector for Guarded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Err(reason) = check_address(request.uri(), &self.env.network) {
            return HttpConnectorFuture::ready(Err(ConnectorError::user(reason.into())));
        }
        let called = Called::of(&request);
        let env = self.env.clone();
        let begun = env.clock.now();
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let result = answer.await;
            let ended = env.clock.now();
            env.calls.call(called.record(&result, ended.since(begun)));
            result
        })
    }
}

/// Returns why an address may not be called.
fn check_address(uri: &str, policy: &NetworkPolicy) -> Result<(), String> {
    let uri: http::Uri = uri.parse().map_err(|_| format!("{uri:?} is not an address"))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let ip: Option<IpAddr> = match host {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        other => other.parse().ok(),
    };
    if let (NetworkPolicy::Open, None) = (policy, ip) {
        return if secure {
            Ok(())
        } else {
            Err(format!("plain http to {host} is refused: not this machine"))
        };
    }
    // A name could lead anywhere: where addresses are restricted, only addresses are taken.
    let Some(ip) = ip else { return Err(format!("calls to {host} are not allowed here")) };
    let metadata = is_metadata_address(ip) && matches!(policy, NetworkPolicy::Open);
    if !secure && !ip.is_loopback() && !metadata {
        return Err(format!("plain http to {host} is refused: not this machine"));
    }
    if policy.allows(SocketAddr::new(ip, port)) {
        Ok(())
    } else {
        Err(format!("calls to {host}:{port} are not allowed here"))
    }
}

/// The link-local addresses at which instances and containers find their credentials; they speak plain http only.
fn is_metadata_address(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => [
            Ipv4Addr::new(169, 254, 169, 254),
            Ipv4Addr::new(169, 254, 170, 2),
            Ipv4Addr::new(169, 254, 170, 23),
        ]
        .contains(&v4),
        IpAddr::V6(v6) => v6.segments()[..4] == [0xfd00, 0xec2, 0, 0],
    }
}

/// What the log says of a request, read from the request itself.
#[derive(Debug, PartialEq, Eq)]
struct Called {
    service: String,
    operation: String,
    attempt: u32,
    mutating: bool,
}

impl Called {
    fn of(request: &HttpRequest) -> Called {
        let uri: http::Uri = request.uri().parse().unwrap_or_default();
        let service = request
            .headers()
            .get("authorization")
            .and_then(|auth| auth.split("Credential=").nth(1)?.split('/').nth(3))
            .or_else(|| uri.host()?.split('.').next())
            .unwrap_or_default()
            .to_string();
        let action = request.body().bytes().and_then(action_of);
        let operation = match action {
            Some(action) => action,
            None => rest_operation(request.method(), uri.path()),
        };
        let reads = ["Get", "List", "Describe", "AssumeRole", "GET"];
        Called {
            mutating: !reads.iter().any(|verb| operation.starts_with(verb)),
            service,
            operation,
            attempt: ATTEMPT.try_with(|n| *n).unwrap_or(1),
        }
    }

    fn record(self, result: &Result<HttpResponse, ConnectorError>, took: Duration) -> CallRecord {
        use aws_types::request_id::RequestId;
        let answer = result.as_ref().ok();
        CallRecord {
            service: self.service.into(),
            operation: self.operation.into(),
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status: answer.map_or(0, |a| a.status().as_u16()),
            request_id: answer.and_then(|a| a.headers().request_id()).map(Into::into),
            attempt: self.attempt,
            mutating: self.mutating,
        }
    }
}

/// The operation of a query request: its `Action`.
fn action_of(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let rest = body.strip_prefix("Action=").or_else(|| Some(body.split_once("&Action=")?.1))?;
    Some(rest.split('&').next().unwrap_or(rest).to_string())
}

/// The operation of an EKS request, from its method and path; other services' are shown by method and path.
fn rest_operation(method: &str, path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let name = match (method, parts.as_slice()) {
        ("POST", ["clusters"]) => "CreateCluster",
        ("GET", ["clusters"]) => "ListClusters",
        ("GET", ["clusters", _]) => "DescribeCluster",
        ("DELETE", ["clusters", _]) => "DeleteCluster",
        ("POST", ["clusters", _, "update-config"]) => "UpdateClusterConfig",
        ("POST", ["clusters", _, "updates"]) => "UpdateClusterVersion",
        ("GET", ["clusters", _, "updates"]) => "ListUpdates",
        ("GET", ["clusters", _, "updates", _]) => "DescribeUpdate",
        ("POST", ["clusters", _, "encryption-config", "associate"]) => "AssociateEncryptionConfig",
        ("POST", ["clusters", _, "node-groups"]) => "CreateNodegroup",
        ("GET", ["clusters", _, "node-groups"]) => "ListNodegroups",
        ("GET", ["clusters", _, "node-groups", _]) => "DescribeNodegroup",
        ("DELETE", ["clusters", _, "node-groups", _]) => "DeleteNodegroup",
        ("POST", ["clusters", _, "node-groups", _, "update-config"]) => "UpdateNodegroupConfig",
        ("POST", ["clusters", _, "node-groups", _, "update-version"]) => "UpdateNodegroupVersion",
        ("POST", ["tags", ..]) => "TagResource",
        ("DELETE", ["tags", ..]) => "UntagResource",
        _ => return format!("{method} {path}"),
    };
    name.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;

    #[test]
    fn addresses_are_checked_against_the_policy() {
        let only = NetworkPolicy::Only(["127.0.0.1:4000".parse().unwrap()].into());
        let table = [
            ("https://eks.us-east-1.amazonaws.com/clusters", &NetworkPolicy::Open, true),
            ("http://eks.us-east-1.amazonaws.com/clusters", &NetworkPolicy::Open, false),
            ("http://127.0.0.1:5000/", &NetworkPolicy::Open, true),
            ("http://[::1]:5000/", &NetworkPolicy::Open, true),
            ("http://10.0.0.1:5000/", &NetworkPolicy::Open, false),
            ("http://169.254.169.254/latest", &NetworkPolicy::Open, true),
            ("http://169.254.169.254/latest", &NetworkPolicy::LoopbackOnly, false),
            ("http://localhost:5000/", &NetworkPolicy::LoopbackOnly, true),
            ("https://sts.amazonaws.com/", &NetworkPolicy::LoopbackOnly, false),
            ("http://127.0.0.1:4000/", &only, true),
            ("http://127.0.0.1:4001/", &only, false),
            ("https://sts.amazonaws.com/", &only, false),
        ];
        for (uri, policy, allowed) in table {
            assert_eq!(check_address(uri, policy).is_ok(), allowed, "{uri} {policy:?}");
        }
    }

    #[test]
    fn a_request_names_its_own_operation() {
        let check = |method: &str, uri: &str, body: &str, expected: (&str, &str, bool)| {
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_method(method).unwrap();
            request.set_uri(uri).unwrap();
            request.headers_mut().insert(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/{}/aws4_request, X", expected.0),
            );
            let called = Called::of(&request);
            assert_eq!((&*called.service, &*called.operation, called.mutating), expected);
        };
        check("POST", "http://127.0.0.1:1/", "Action=GetRole&Version=2010-05-08", ("iam", "GetRole", false));
        check("POST", "http://127.0.0.1:1/", "Action=CreateRole&RoleName=x", ("iam", "CreateRole", true));
        check("GET", "http://127.0.0.1:1/clusters/c", "", ("eks", "DescribeCluster", false));
        check(
            "POST",
            "http://127.0.0.1:1/clusters/c/update-config",
            "{}",
            ("eks", "UpdateClusterConfig", true),
        );
        check("DELETE", "http://127.0.0.1:1/clusters/c/node-groups/n", "", ("eks", "DeleteNodegroup", true));
        check("POST", "http://127.0.0.1:1/tags/arn%3Aaws", "{}", ("eks", "TagResource", true));
    }
}
