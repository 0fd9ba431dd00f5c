//! Whom the built-in clients may talk to.
//!
//! Invariant: no connection goes to an address that the network policy does not allow, by name or by number, at first
//! or after a redirect; plain http goes to this machine alone.

use groma_provider::{Environment, ErrorKind, NetworkPolicy, ProviderError};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, NoProxy, Proxy, Url};
use std::net::{IpAddr, SocketAddr};

const REDIRECTS_MAX: usize = 10;

/// Whether the policy allows any port of an address that a name led to.
fn allows_ip(policy: &NetworkPolicy, ip: IpAddr) -> bool {
    match policy {
        NetworkPolicy::Only(set) => set.iter().any(|a| a.ip() == ip),
        _ => policy.allows(SocketAddr::new(ip, 0)),
    }
}

fn ip_of(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Why a URL may not be asked; names are looked at when they are resolved.
fn refusal(policy: &NetworkPolicy, url: &Url) -> Option<String> {
    let host = url.host_str().unwrap_or_default();
    let is_here = host == "localhost" || ip_of(url).is_some_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        "http" => {
            return Some(format!(
                "{host} would be asked over plain http, which anybody on the way can change"
            ));
        }
        other => return Some(format!("{other:?} is not http or https")),
    }
    let port = url.port_or_known_default().unwrap_or_default();
    let is_allowed = match (ip_of(url), policy) {
        (Some(ip), _) => policy.allows(SocketAddr::new(ip, port)),
        (None, NetworkPolicy::Open) => true,
        (None, _) => host == "localhost",
    };
    (!is_allowed).then(|| format!("{host} is not an address of the sandbox"))
}

/// # Errors
/// The URL is none, or leads where the policy does not.
pub(crate) fn allowed(policy: &NetworkPolicy, text: &str) -> Result<Url, ProviderError> {
    let url = Url::parse(text)
        .map_err(|e| ProviderError::new(ErrorKind::Invalid, format!("{text:?} is not a URL: {e}")))?;
    match refusal(policy, &url) {
        None => Ok(url),
        Some(why) => {
            let help = match url.scheme() {
                "http" => "Use https; plain http is for this machine alone.",
                _ => {
                    "In the sandbox only addresses on this machine can be asked; the real ones without --sandbox."
                }
            };
            Err(ProviderError::new(ErrorKind::Denied, why).help(help))
        }
    }
}

/// Resolves names, and drops what the policy does not allow.
pub(crate) struct Resolver(pub(crate) NetworkPolicy);

impl Resolver {
    pub(crate) async fn addresses(
        policy: &NetworkPolicy,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, String> {
        let found = tokio::net::lookup_host((host, port)).await.map_err(|e| e.to_string())?;
        let allowed: Vec<SocketAddr> = found.filter(|a| allows_ip(policy, a.ip())).collect();
        if allowed.is_empty() {
            return Err(format!("{host} has no address that may be asked"));
        }
        Ok(allowed)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = Resolver::addresses(&policy, name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A client under the policy, with the proxies of the run's environment.
///
/// # Errors
/// A proxy's address is none.
pub(crate) fn client(env: &Environment) -> Result<ClientBuilder, ProviderError> {
    let policy = env.network.clone();
    let redirects = Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECTS_MAX {
            return attempt.error("too many redirects");
        }
        match refusal(&policy, attempt.url()) {
            Some(why) => attempt.error(why),
            None => attempt.follow(),
        }
    });
    let builder = ClientBuilder::new()
        .user_agent(concat!("groma/", env!("CARGO_PKG_VERSION")))
        .redirect(redirects)
        .dns_resolver(Resolver(env.network.clone()))
        .no_proxy();
    let var = |names: [&str; 2]| names.iter().find_map(|n| env.vars.get(*n)).filter(|v| !v.is_empty());
    match (&env.network, var(["HTTPS_PROXY", "https_proxy"])) {
        (NetworkPolicy::Open, Some(address)) => {
            let proxy = Proxy::https(address).map_err(|e| {
                ProviderError::new(ErrorKind::Invalid, format!("HTTPS_PROXY is not an address: {e}"))
            })?;
            let except = var(["NO_PROXY", "no_proxy"]).and_then(|v| NoProxy::from_string(v));
            Ok(builder.proxy(proxy.no_proxy(except)))
        }
        _ => Ok(builder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_decides_by_name_and_by_number() {
        let sandbox = NetworkPolicy::LoopbackOnly;
        let one = NetworkPolicy::Only(["127.0.0.1:4000".parse().unwrap()].into());
        let check = |policy: &NetworkPolicy, url: &str, good: bool| {
            let answer = allowed(policy, url);
            assert_eq!(answer.is_ok(), good, "{url}: {answer:?}");
        };
        check(&NetworkPolicy::Open, "https://example.com/", true);
        check(&NetworkPolicy::Open, "http://example.com/", false);
        check(&NetworkPolicy::Open, "http://[::1]:80/", true);
        check(&NetworkPolicy::Open, "file:///etc/passwd", false);
        check(&NetworkPolicy::Open, "no url", false);
        check(&sandbox, "https://example.com/", false);
        check(&sandbox, "https://8.8.8.8/", false);
        check(&sandbox, "https://127.0.0.1:9/", true);
        check(&sandbox, "http://localhost:9/", true);
        check(&one, "http://127.0.0.1:4000/", true);
        check(&one, "http://127.0.0.1:4001/", false);
    }
}
