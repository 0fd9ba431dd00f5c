//! GET, and nothing else: over TLS, or to this machine.
//!
//! Invariant: no request goes over plain http to another machine, redirected or not, and no answer is read beyond a limit.

use crate::address::{is_loopback, public_url};
use crate::{Fault, not_fetched};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, NoProxy, Proxy, Response, StatusCode};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Without a byte.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const REDIRECTS_MAX: usize = 8;
const ATTEMPTS: u32 = 3;
/// Of an answer that is read as text.
const TEXT_MAX: u64 = 8 << 20;

#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    tokens: BTreeMap<String, String>,
}

impl Http {
    /// A client by the user's settings: `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `TF_TOKEN_…`.
    pub(crate) fn new(vars: &BTreeMap<String, String>) -> Result<Http, Fault> {
        let var = |name: &str| {
            let found = vars.get(name).or_else(|| vars.get(&name.to_lowercase()));
            found.filter(|v| !v.is_empty())
        };
        let mut builder = Client::builder()
            .user_agent(concat!("groma/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(Policy::custom(follow))
            .no_proxy();
        if let Some(proxy) = var("HTTPS_PROXY").or_else(|| var("ALL_PROXY")) {
            let proxy =
                Proxy::https(proxy).map_err(|_| not_fetched("HTTPS_PROXY", "it is no proxy's address"))?;
            let except = var("NO_PROXY").and_then(|list| NoProxy::from_string(list));
            builder = builder.proxy(proxy.no_proxy(except));
        }
        if let Some(file) = vars.get("SSL_CERT_FILE").filter(|f| !f.is_empty()) {
            let unread = |why: String| not_fetched(&format!("SSL_CERT_FILE={file}"), &why);
            let pem = std::fs::read(file).map_err(|e| unread(e.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| unread(e.to_string()))?;
            builder = builder.tls_certs_only(certificates);
        }
        let client = builder.build().map_err(|e| not_fetched("the network", &words(&e)))?;
        Ok(Http { client, tokens: tokens(vars) })
    }

    /// Asks a registry, with the user's token for it if there is one.
    pub(crate) async fn ask_registry(&self, host: &str, url: &Url) -> Result<Answer, Fault> {
        let mut headers = HeaderMap::new();
        if let Some(token) = self.tokens.get(host)
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}"))
        {
            value.set_sensitive(true);
            headers.insert("authorization", value);
        }
        self.ask(url, headers).await
    }

    /// The answer as text, with its headers.
    pub(crate) async fn ask(&self, url: &Url, headers: HeaderMap) -> Result<Answer, Fault> {
        let mut response = self.get(url, headers).await?;
        let status = response.status();
        let (url_now, headers) = (response.url().clone(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|e| cut_off(url, &e))? {
            if (body.len() + part.len()) as u64 > TEXT_MAX {
                return Err(not_fetched(&public_url(url), "the answer is too long"));
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, url: url_now, headers, body })
    }

    /// Writes the answer to a file.
    pub(crate) async fn download(&self, url: &Url, file: &mut impl Write, most: u64) -> Result<(), Fault> {
        let name = public_url(url);
        let mut response = self.get(url, HeaderMap::new()).await?;
        if !response.status().is_success() {
            return Err(not_fetched(&name, &format!("the server answered {}", response.status())));
        }
        let mut left = most;
        while let Some(part) = response.chunk().await.map_err(|e| cut_off(url, &e))? {
            left = left
                .checked_sub(part.len() as u64)
                .ok_or_else(|| not_fetched(&name, &format!("it is longer than {most} bytes")))?;
            file.write_all(&part).map_err(|e| not_fetched(&name, &format!("it can't be kept: {e}")))?;
        }
        Ok(())
    }

    async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Response, Fault> {
        if url.scheme() != "https" && !is_loopback(url) {
            return Err(not_fetched(&public_url(url), "it is not encrypted"));
        }
        let mut attempt = 1;
        loop {
            let sent = self.client.get(url.clone()).headers(headers.clone()).send().await;
            let is_passing = match &sent {
                Ok(response) => {
                    response.status().is_server_error() || response.status() == StatusCode::TOO_MANY_REQUESTS
                }
                Err(error) => error.is_timeout() || error.is_request() && !error.is_redirect(),
            };
            if !is_passing || attempt == ATTEMPTS {
                return sent.map_err(|e| not_fetched(&public_url(url), &words(&e)));
            }
            tokio::time::sleep(Duration::from_millis(300) * attempt).await;
            attempt += 1;
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Where the answer came from in the end.
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok()).filter(|v| !v.is_empty())
    }
}

fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let was_here = attempt.previous().iter().all(|u| u.scheme() == "http" && is_loopback(u));
    match () {
        () if attempt.previous().len() > REDIRECTS_MAX => attempt.error("it redirects too often"),
        () if attempt.url().scheme() == "https" => attempt.follow(),
        () if attempt.url().scheme() == "http" && is_loopback(attempt.url()) && was_here => attempt.follow(),
        () => attempt.error("it redirects to an address that is not encrypted"),
    }
}

/// An error with its causes, without the URL, which may hold a token.
fn words(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    match causes.is_empty() {
        true if error.is_timeout() => "it did not answer in time".into(),
        true => "the request failed".into(),
        false => causes.join(": "),
    }
}

fn cut_off(url: &Url, error: &reqwest::Error) -> Fault {
    not_fetched(&public_url(url), &format!("the answer was cut off: {}", words(error)))
}

/// Tokens by host, from `TF_TOKEN_app_example_com` (`_` is a dot and `__` a dash), and from what `terraform login` wrote.
fn tokens(vars: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let host = |name: &str| name.replace("__", "-").replace('_', ".").to_lowercase();
    let named = vars.iter().filter_map(|(k, v)| Some((host(k.strip_prefix("TF_TOKEN_")?), v.clone())));
    let mut tokens = vars.get("HOME").map(|home| logged_in(Path::new(home))).unwrap_or_default();
    tokens.extend(named.filter(|(_, v)| !v.is_empty()));
    tokens
}

/// `credentials.tfrc.json` in the user's folder of Terraform. Where there is none that can be read, there are no tokens.
fn logged_in(home: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read(home.join(".terraform.d/credentials.tfrc.json")).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let hosts = json["credentials"].as_object().into_iter().flatten();
    hosts
        .filter_map(|(host, entry)| Some((host.to_lowercase(), entry["token"].as_str()?.to_string())))
        .collect()
}
