//! The providers of this build. The only file of the command that names one.

use crate::others::Others;
use crate::settings::Settings;
use groma_engine::facade::Registry;
use groma_provider::{NetworkPolicy, Provider};
use groma_sandbox::client::Running;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Where a stack in the sandbox is if nothing says so.
const SANDBOX_REGION: &str = "us-east-1";

/// Every provider by its name; with a sandbox, on its endpoint and with its credentials, whatever the machine has.
pub(crate) fn registry(sandbox: Option<&Running>, settings: &Settings, folder: &Path) -> Registry {
    let mut providers: BTreeMap<Arc<str>, Arc<dyn Provider>> = BTreeMap::new();
    for provider in groma_provider_std::providers(&machine(settings, folder, sandbox.is_some())) {
        providers.insert(provider.schema().name.clone(), Arc::new(provider));
    }
    // By their names: their schemas are large, and made when a stack asks for them.
    #[cfg(feature = "aws")]
    providers.insert("aws".into(), aws(sandbox, settings));
    #[cfg(feature = "kubernetes")]
    providers.insert("kubernetes".into(), kubernetes(sandbox));
    #[cfg(not(any(feature = "aws", feature = "kubernetes")))]
    let _ = sandbox;
    Registry { providers }
}

/// What programs get of the environment where the run's own is withheld: enough to run, no credentials.
pub(crate) const PROGRAM_VARS: [&str; 5] = ["PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT"];

fn machine(settings: &Settings, folder: &Path, sandbox: bool) -> groma_provider_std::Machine {
    let kept = |name: &&str| settings.get(name).map(|v| (name.to_string(), v.to_string()));
    groma_provider_std::Machine {
        folder: folder.to_path_buf(),
        program_vars: PROGRAM_VARS.iter().filter_map(kept).collect(),
        stacks: Some(Arc::new(Others { settings: settings.clone(), sandbox })),
    }
}

#[cfg(feature = "aws")]
fn aws(sandbox: Option<&Running>, settings: &Settings) -> Arc<dyn Provider> {
    use groma_provider_aws::{AwsProvider, AwsSettings, CredentialSource, StaticCredentials};
    // The name of one of the sandbox's accounts is no credential: as in a cloud, the environment may choose one.
    let chosen = settings.get("AWS_PROFILE").filter(|p| p.starts_with("sandbox-")).map(String::from);
    let credentials: CredentialSource = Arc::new(move |profile: Option<&str>| {
        let keys = groma_sandbox::credentials(profile.or(chosen.as_deref()));
        StaticCredentials {
            access_key: keys.access_key,
            secret_key: keys.secret_key,
            session_token: keys.session_token,
        }
    });
    let settings = AwsSettings {
        endpoint_url: sandbox.map(|s| s.base_url.clone()),
        static_credentials: sandbox.map(|_| credentials),
    };
    Arc::new(AwsProvider::new(settings))
}

#[cfg(feature = "kubernetes")]
fn kubernetes(sandbox: Option<&Running>) -> Arc<dyn Provider> {
    // A command for credentials would be the machine's, which the sandbox must not touch.
    let settings = groma_provider_kubernetes::Settings { allow_exec: sandbox.is_none() };
    Arc::new(groma_provider_kubernetes::KubernetesProvider::new(settings))
}

/// Whom clients may talk to.
pub(crate) fn network(sandbox: Option<&Running>) -> NetworkPolicy {
    // The sandbox opens a port for each cluster while the run goes on, all of them on loopback.
    if sandbox.is_some() { NetworkPolicy::LoopbackOnly } else { NetworkPolicy::Open }
}

/// The variables that providers may look at. In the sandbox none of the machine's but the region, which is no credential:
/// a stack may leave it to the environment, as in a cloud; and there it needs nothing to be set.
pub(crate) fn variables(settings: &Settings, sandbox: Option<&Running>) -> BTreeMap<String, String> {
    if sandbox.is_none() {
        return settings.vars.clone();
    }
    let chosen = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| settings.get(name));
    BTreeMap::from([("AWS_REGION".to_string(), chosen.unwrap_or(SANDBOX_REGION).to_string())])
}
