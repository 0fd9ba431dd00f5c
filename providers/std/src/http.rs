//! The provider `http`: what an address answers. TLS is always verified.

use crate::kit::{Builtin, Data, Host, Kinds, Machine, at_least, flag, int, invalid, problem, text, with};
use crate::net;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use groma_provider::{ErrorKind, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting};
use groma_types::{AttrPath, Type, Value};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, Method, Response};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default().data(Http);
    Builtin::new("http", "hashicorp/http", Some(("3", "4")), Block::default(), kinds, machine)
}

/// `http`.
struct Http;

const METHODS: [&str; 3] = ["GET", "POST", "HEAD"];
/// An answer is part of the state and of the memory of a run.
const BODY_MAX: usize = 64 * 1024 * 1024;

/// When and how often to ask again.
#[derive(Default)]
struct Retry {
    attempts: i64,
    min_delay: Duration,
    max_delay: Option<Duration>,
}

impl Retry {
    fn of(config: &Value) -> Retry {
        let Some(block) = config.get("retry").filter(|b| !b.is_null()) else { return Retry::default() };
        let millis = |name| int(block, name).and_then(|n| u64::try_from(n).ok()).map(Duration::from_millis);
        Retry {
            attempts: int(block, "attempts").unwrap_or(0),
            min_delay: millis("min_delay_ms").unwrap_or(Duration::from_secs(1)),
            max_delay: millis("max_delay_ms"),
        }
    }

    /// The pause before the attempt after so many: twice as long each time.
    fn pause(&self, tried: u32) -> Duration {
        let longest = self.max_delay.unwrap_or(Duration::from_secs(30)).max(self.min_delay);
        self.min_delay.saturating_mul(1 << tried.min(20)).min(longest)
    }
}

#[async_trait]
impl Data for Http {
    fn schema(&self) -> KindSchema {
        let option = |ty, doc| Attribute::optional(ty, doc);
        let retry = Block::new("How often to ask again after no answer or an error of the server.")
            .attr("attempts", option(Type::Number, "How many times more."))
            .attr("min_delay_ms", option(Type::Number, "The first pause, in milliseconds; 1000 if not set."))
            .attr(
                "max_delay_ms",
                option(Type::Number, "The longest pause, in milliseconds; 30000 if not set."),
            );
        let outdated = |doc: &str, hint: &str| Attribute {
            deprecated: Some(hint.into()),
            ..Attribute::computed(Type::String, doc)
        };
        let block = Block::new("What an address answers. Any status is an answer: check `status_code`.")
            .attr("url", Attribute::required(Type::String, "The address; https, or http on this machine."))
            .attr("method", option(Type::String, "GET, HEAD or POST; GET if not set."))
            .attr("request_headers", option(Type::map(Type::String), "Headers of the request."))
            .attr("request_body", option(Type::String, "Body of the request."))
            .attr(
                "request_timeout_ms",
                option(Type::Number, "How long one request may take, in milliseconds."),
            )
            .attr(
                "ca_cert_pem",
                option(Type::String, "The CAs that the server's certificate may come from, in PEM."),
            )
            .attr("client_cert_pem", option(Type::String, "Certificate of the client, in PEM."))
            .attr(
                "client_key_pem",
                option(Type::String, "Key of the client's certificate, in PEM.").sensitive(),
            )
            .attr(
                "insecure",
                option(Type::Bool, "Refused when true: TLS is always verified; see `ca_cert_pem`."),
            )
            .attr("id", Attribute::computed(Type::String, "The address."))
            .attr("status_code", Attribute::computed(Type::Number, "Status of the answer."))
            .attr(
                "response_headers",
                Attribute::computed(
                    Type::map(Type::String),
                    "Headers of the answer; repeated ones joined by commas.",
                ),
            )
            .attr("response_body", Attribute::computed(Type::String, "Body of the answer, as text."))
            .attr("response_body_base64", Attribute::computed(Type::String, "Body of the answer, in base64."))
            .attr("body", outdated("Older name of response_body.", "Use response_body."))
            .block("retry", NestedBlock::new(Nesting::Single, retry));
        KindSchema::new("http", "http", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut found = at_least(config, &[("request_timeout_ms", 1)]);
        if let Some(method) = config.str_attr("method").filter(|m| !METHODS.contains(m)) {
            found.push(problem(
                "method",
                format!("method must be one of {}, got {method:?}", METHODS.join(", ")),
            ));
        }
        if flag(config, "insecure") == Some(true) {
            found.push(Problem {
                help: Some("Give the server's CA as ca_cert_pem, and drop insecure.".into()),
                ..problem("insecure", "TLS is always verified here: insecure can't be true")
            });
        }
        let set = |name| config.get(name).is_some_and(|v| !v.is_null());
        for (a, b) in [("client_cert_pem", "client_key_pem"), ("client_key_pem", "client_cert_pem")] {
            if set(a) && !set(b) {
                found.push(problem(a, format!("{a} needs {b}")));
            }
        }
        if let Some(retry) = config.get("retry").filter(|b| !b.is_null()) {
            let bounds = [("attempts", 0), ("min_delay_ms", 0), ("max_delay_ms", 0)];
            let below = |p: Problem| Problem {
                path: AttrPath(AttrPath::root().attr("retry").0.into_iter().chain(p.path.0).collect()),
                ..p
            };
            found.extend(at_least(retry, &bounds).into_iter().map(below));
        }
        found
    }

    async fn read(&self, host: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        let url = net::allowed(&host.env.network, text(config, "url"))
            .map_err(|e| e.at(AttrPath::root().attr("url")))?;
        let method = Method::from_bytes(config.str_attr("method").unwrap_or("GET").as_bytes())
            .map_err(|_| invalid("method is none"))?;
        let headers = headers(config)?;
        let client = client(host, config)?;
        let retry = Retry::of(config);
        let mut tried = 0;
        loop {
            let mut request = client.request(method.clone(), url.clone()).headers(headers.clone());
            if let Some(body) = config.str_attr("request_body") {
                request = request.body(body.to_string());
            }
            let answer = request.send().await;
            let again = match &answer {
                Ok(response) => response.status().is_server_error() && response.status().as_u16() != 501,
                Err(error) => !error.is_builder() && !error.is_redirect(),
            };
            if again && i64::from(tried) < retry.attempts {
                host.env.clock.sleep(retry.pause(tried)).await;
                tried += 1;
                continue;
            }
            let response = answer.map_err(|e| unanswered(&url, &e))?;
            return answered(config, url.as_str(), response).await.map(Some);
        }
    }
}

fn headers(config: &Value) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::new();
    for (name, value) in config.get("request_headers").and_then(Value::as_map).into_iter().flatten() {
        let at = || AttrPath::root().attr("request_headers");
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid(format!("{name:?} can't be the name of a header")).at(at()))?;
        let text = value.as_str().unwrap_or_default();
        // The value may be a secret: it is not shown.
        let value = HeaderValue::from_str(text).map_err(|_| {
            invalid(format!("the value of the header {name:?} has a character that none may have")).at(at())
        })?;
        headers.insert(key, value);
    }
    Ok(headers)
}

fn client(host: &Host, config: &Value) -> Result<Client, ProviderError> {
    let mut builder = net::client(&host.env)?;
    if let Some(millis) = int(config, "request_timeout_ms").and_then(|n| u64::try_from(n).ok()) {
        builder = builder.timeout(Duration::from_millis(millis));
    }
    let wrong = |name: &str, why: String| {
        invalid(format!("{name} can't be used: {why}")).at(AttrPath::root().attr(name))
    };
    if let Some(pem) = config.str_attr("ca_cert_pem") {
        let certs =
            Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| wrong("ca_cert_pem", chain(&e)))?;
        if certs.is_empty() {
            return Err(wrong("ca_cert_pem", "there is no certificate in it".into()));
        }
        builder = builder.tls_certs_only(certs);
    }
    if let (Some(cert), Some(key)) = (config.str_attr("client_cert_pem"), config.str_attr("client_key_pem")) {
        let both = format!("{cert}\n{key}");
        let identity =
            Identity::from_pem(both.as_bytes()).map_err(|e| wrong("client_cert_pem", chain(&e)))?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|e| invalid(format!("no client can be made of these arguments: {}", chain(&e))))
}

/// An error with all that led to it.
fn chain(error: &dyn Error) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.dedup();
    words.join(": ")
}

fn unanswered(url: &reqwest::Url, error: &reqwest::Error) -> ProviderError {
    let kind = if error.is_redirect() { ErrorKind::Denied } else { ErrorKind::Unreachable };
    let host = url.host_str().unwrap_or_default();
    let words = chain(error);
    let found =
        ProviderError::new(kind, format!("{host} gave no answer: {words}")).at(AttrPath::root().attr("url"));
    if words.contains("certificate") || words.contains("UnknownIssuer") {
        return found.help("If its CA is a private one, give it as ca_cert_pem.");
    }
    found
}

async fn answered(config: &Value, url: &str, mut response: Response) -> Result<Value, ProviderError> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        // Terraform's has names as the standard writes them: Content-Type.
        let words = name.as_str().split('-').map(|w| {
            let mut chars = w.chars();
            chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
        });
        let name = words.collect::<Vec<_>>().join("-");
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name).and_modify(|all| *all = format!("{all}, {value}")).or_insert(value);
    }
    let status = i64::from(response.status().as_u16());
    let mut body = Vec::new();
    loop {
        let lost = |e: reqwest::Error| {
            ProviderError::new(ErrorKind::Unreachable, format!("the answer broke off: {}", chain(&e)))
        };
        let Some(piece) = response.chunk().await.map_err(lost)? else { break };
        body.extend_from_slice(&piece);
        if body.len() > BODY_MAX {
            return Err(invalid(format!("the answer is longer than {} MiB", BODY_MAX >> 20)));
        }
    }
    let text = Value::from(String::from_utf8_lossy(&body).into_owned());
    Ok(with(
        config,
        [
            ("id", url.into()),
            ("status_code", status.into()),
            ("response_headers", Value::map(Type::String, headers.into_iter().map(|(k, v)| (k, v.into())))),
            ("response_body", text.clone()),
            ("body", text),
            ("response_body_base64", STANDARD.encode(&body).into()),
        ],
    ))
}
