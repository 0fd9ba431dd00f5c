//! Credentials: where they come from, and one copy of them for all clients of a provider configuration.

use crate::config::{AwsSettings, ProviderArgs};
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    ProvideCredentials, Result as CredentialsResult, SharedCredentialsProvider, future,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SharedTimeSource;
use aws_types::SdkConfig;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Credentials are renewed this long before they expire.
const AHEAD: Duration = Duration::from_secs(60);

/// Asks the source once for all who want credentials, until they expire or a service calls them expired.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    source: SharedCredentialsProvider,
    time: SharedTimeSource,
    /// The present copy; who finds it empty fills it, the others wait. Replaced when it has expired.
    held: Arc<Mutex<Arc<OnceCell<Credentials>>>>,
}

impl Shared {
    pub(crate) fn new(source: SharedCredentialsProvider, time: SharedTimeSource) -> Shared {
        Shared { source, time, held: Arc::default() }
    }

    /// Drops the present copy, so that the next request asks the source.
    pub(crate) fn forget(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    fn cell(&self) -> Arc<OnceCell<Credentials>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let expiry = held.get().and_then(Credentials::expiry);
        if expiry.is_some_and(|end| end < self.time.now() + AHEAD) {
            *held = Arc::default();
        }
        held.clone()
    }

    pub(crate) async fn get(&self) -> CredentialsResult {
        self.cell().get_or_try_init(|| self.source.provide_credentials()).await.cloned()
    }
}

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }
}

/// Finds the source of credentials: the program's, the spec's, the machine's; then the role to assume, if any.
pub(crate) async fn source(
    settings: &AwsSettings,
    args: &ProviderArgs,
    bare: &SdkConfig,
) -> SharedCredentialsProvider {
    let base = match (&settings.static_credentials, &args.keys) {
        (Some(source), _) => {
            let keys = source(args.profile.as_deref());
            fixed(keys.access_key, keys.secret_key, keys.session_token)
        }
        (None, Some((access, secret, token))) => fixed(access.clone(), secret.clone(), token.clone()),
        (None, None) => machine_credentials(args, bare).await,
    };
    let Some(role) = &args.assume_role else { return base };
    let mut assume = AssumeRoleProvider::builder(&role.role_arn)
        .session_name(role.session_name.as_deref().unwrap_or("groma"))
        .configure(bare);
    if let Some(id) = &role.external_id {
        assume = assume.external_id(id);
    }
    SharedCredentialsProvider::new(assume.build_from_provider(base).await)
}

fn fixed(access: String, secret: String, token: Option<String>) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(access, secret, token, None, "groma"))
}

/// The chain of the SDK: environment, profiles (SSO and processes included), web identity, ECS, instance metadata.
async fn machine_credentials(args: &ProviderArgs, bare: &SdkConfig) -> SharedCredentialsProvider {
    let mut config = ProviderConfig::empty().with_region(bare.region().cloned());
    if let Some(http) = bare.http_client() {
        config = config.with_http_client(http);
    }
    if let Some(time) = bare.time_source() {
        config = config.with_time_source(time);
    }
    config = config.with_sleep_impl(TokioSleep::new());
    let mut chain = DefaultCredentialsChain::builder().configure(config);
    chain.set_region(bare.region().cloned());
    if let Some(profile) = &args.profile {
        chain = chain.profile_name(profile);
    }
    SharedCredentialsProvider::new(chain.build().await)
}
