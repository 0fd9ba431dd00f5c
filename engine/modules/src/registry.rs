//! Terraform's protocol of module registries: discovery, versions, and where a version is.

use crate::address::{self, PUBLIC_REGISTRY, RegistryModule, Trust, is_loopback};
use crate::http::Http;
use crate::{Fault, fault_with_help, not_fetched};
use groma_types::version::Constraint;
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

/// Versions that a message names.
const SHOWN_MAX: usize = 5;

pub(crate) struct Registry<'a> {
    http: &'a Http,
    module: &'a RegistryModule,
    /// Ends in `/`.
    base: Url,
}

#[derive(Deserialize)]
struct Versions {
    modules: Vec<ModuleVersions>,
}

#[derive(Deserialize)]
struct ModuleVersions {
    versions: Vec<OneVersion>,
}

#[derive(Deserialize)]
struct OneVersion {
    version: String,
}

impl Registry<'_> {
    /// Finds a registry's service for modules.
    pub(crate) async fn discover<'a>(
        http: &'a Http,
        module: &'a RegistryModule,
    ) -> Result<Registry<'a>, Fault> {
        let host = &module.host;
        let wrong = |why: &str| not_fetched(host, why);
        let plain = Url::parse(&format!("http://{host}")).ok().filter(is_loopback);
        let top = plain.map_or_else(|| Url::parse(&format!("https://{host}")), Ok);
        let top = top.map_err(|_| wrong("it is no host's name"))?;
        let url = top.join("/.well-known/terraform.json").expect("a plain path joins any address");
        let answer = http.ask_registry(host, &url).await?;
        if !answer.status.is_success() {
            return Err(wrong(&format!("it is no registry: {} answered {}", url, answer.status)));
        }
        let services: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|_| wrong("its list of services is no JSON"))?;
        let base = services["modules.v1"].as_str().ok_or_else(|| wrong("it has no service for modules"))?;
        let base = answer.url.join(base).map_err(|_| wrong("the address of its service is none"))?;
        if base.scheme() != "https" && !is_loopback(&base) {
            return Err(wrong("its service is not encrypted"));
        }
        let base = match base.path().ends_with('/') {
            true => base,
            false => {
                Url::parse(&format!("{base}/")).map_err(|_| wrong("the address of its service is none"))?
            }
        };
        Ok(Registry { http, module, base })
    }

    fn name(&self) -> String {
        address::Package::Registry(self.module.clone()).name()
    }

    fn url(&self, rest: &str) -> Url {
        let RegistryModule { namespace, name, provider, .. } = self.module;
        self.base
            .join(&format!("{namespace}/{name}/{provider}/{rest}"))
            .expect("names of letters and digits join")
    }

    /// The newest version that a constraint allows.
    pub(crate) async fn choose(&self, constraint: Option<&str>) -> Result<String, Fault> {
        let answer = self.http.ask_registry(&self.module.host, &self.url("versions")).await?;
        self.check(answer.status)?;
        let found: Versions = serde_json::from_slice(&answer.body)
            .map_err(|_| not_fetched(&self.name(), "the registry's list of versions can't be read"))?;
        let versions: Vec<&str> = found
            .modules
            .iter()
            .flat_map(|m| &m.versions)
            .map(|v| v.version.as_str())
            .filter(|v| is_plain(v))
            .collect();
        let parsed = constraint.map(Constraint::parse).transpose();
        let parsed = parsed.map_err(|why| not_fetched(&self.name(), &why))?;
        match Constraint::newest(parsed.as_ref(), constraint.unwrap_or_default(), &versions) {
            Some(version) => Ok(version.to_string()),
            None => Err(self.none_fits(constraint, &versions)),
        }
    }

    fn none_fits(&self, constraint: Option<&str>, versions: &[&str]) -> Fault {
        let mut shown = Vec::new();
        let mut rest = versions.to_vec();
        while let Some(newest) = Constraint::newest(None, "", &rest).filter(|_| shown.len() < SHOWN_MAX) {
            shown.push(newest.to_string());
            rest.retain(|v| *v != newest);
        }
        let there = match shown.is_empty() {
            true => "it has no released version".to_string(),
            false => format!("the newest are {}", shown.join(", ")),
        };
        fault_with_help(
            "G0525",
            "No version of the module fits",
            format!("{} has none that meets {:?}; {there}.", self.name(), constraint.unwrap_or("any")),
            "Widen version.",
        )
    }

    /// Where a version is.
    pub(crate) async fn location(&self, version: &str) -> Result<address::Address, Fault> {
        let answer =
            self.http.ask_registry(&self.module.host, &self.url(&format!("{version}/download"))).await?;
        self.check(answer.status)?;
        let body: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
        let named = answer.header("x-terraform-get").map(String::from);
        let named = named.or_else(|| Some(body?.get("location")?.as_str()?.to_string()));
        let named =
            named.ok_or_else(|| not_fetched(&self.name(), "the registry does not say where it is"))?;
        location(&answer.url, &named)
    }

    fn check(&self, status: StatusCode) -> Result<(), Fault> {
        let why = match status {
            s if s.is_success() => return Ok(()),
            StatusCode::NOT_FOUND => format!("the registry {} has no such module", self.module.host),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.module.host != PUBLIC_REGISTRY => {
                let name = self.module.host.replace('-', "__").replace('.', "_");
                format!("the registry wants a token: set TF_TOKEN_{name}")
            }
            s => format!("the registry answered {s}"),
        };
        Err(not_fetched(&self.name(), &why))
    }
}

fn is_plain(version: &str) -> bool {
    !version.is_empty()
        && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-+_".contains(c))
        && !version.starts_with('.')
}

/// What a server names in place of itself: an address, or a way from its own.
pub(crate) fn location(from: &Url, named: &str) -> Result<address::Address, Fault> {
    let is_way = ["/", "./", "../"].iter().any(|p| named.starts_with(p));
    let joined;
    let named = match is_way {
        true => {
            joined = from.join(named).map_err(|_| not_fetched(named, "it is no address"))?.to_string();
            joined.as_str()
        }
        false => named,
    };
    // A server on this machine may name others there; nothing else may.
    let trust = if is_loopback(from) { Trust::Own } else { Trust::Foreign };
    match address::parse(named, None, trust)? {
        address::Address { package: address::Package::Registry(_), .. } => {
            Err(not_fetched(named, "a registry names another registry"))
        }
        found => Ok(found),
    }
}
