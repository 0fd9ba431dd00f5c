//! Amazon Web Services: IAM, EKS, and the data sources around them.
//!
//! The calls go through the vendor's own SDK crates (EKS, IAM, STS, credentials) and, for EC2, through a small client
//! of its query protocol. Each resource and data source kind is one file: schema and calls. The provider retries
//! only by [`groma_provider::retry::Retry`] and by the bounded waits that a kind states; it reads no clock but the
//! run's, and calls no address that the network policy does not allow.

mod client;
mod config;
mod credentials;
mod data;
mod ec2;
mod error;
mod identity;
mod policy;
mod resources;
mod tags;
mod token;
mod values;
mod wait;

pub use config::{AwsSettings, CredentialSource, StaticCredentials};

use client::Aws;
use config::ProviderArgs;
use data::DataSource;
use groma_provider::{
    Configure, Configured, CreateRequest, DeleteRequest, ErrorKind, Found, Minted, Object, OpContext,
    PlanInput, PlanOutput, Problem, Provider, ProviderError, Read, ReadRequest, RecoverRequest,
    ResumeRequest, UpdateRequest, World, async_trait,
};
use groma_types::schema::{KindSchema, ProviderSchema};
use groma_types::{Mode, Resolved, Value};
use resources::Resource;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The kinds by name; shared by the provider and its configurations.
struct Kinds {
    resources: BTreeMap<Arc<str>, (KindSchema, Box<dyn Resource>)>,
    data: BTreeMap<Arc<str>, (KindSchema, Box<dyn DataSource>)>,
    /// Each is minted by the data source of its name.
    ephemeral: BTreeMap<Arc<str>, KindSchema>,
}

impl Kinds {
    fn all() -> Kinds {
        let resources = resources::all().into_iter().map(|r| (r.schema(), r));
        let data = data::all().into_iter().map(|d| (d.schema(), d));
        let data: BTreeMap<_, _> = data.map(|(s, d)| (s.kind.clone(), (s, d))).collect();
        Kinds {
            resources: resources.map(|(s, r)| (s.kind.clone(), (s, r))).collect(),
            ephemeral: data.values().filter(|(s, _)| s.minter).map(|(s, _)| as_ephemeral(s)).collect(),
            data,
        }
    }

    fn resource(&self, kind: &str) -> Result<&dyn Resource, ProviderError> {
        self.resources.get(kind).map(|(_, resource)| &**resource).ok_or_else(|| unknown_kind(kind))
    }

    fn data(&self, kind: &str) -> Result<(&KindSchema, &dyn DataSource), ProviderError> {
        self.data.get(kind).map(|(schema, data)| (schema, &**data)).ok_or_else(|| unknown_kind(kind))
    }
}

/// What a minter gives, as an ephemeral resource: such have no id.
fn as_ephemeral(minter: &KindSchema) -> (Arc<str>, KindSchema) {
    let mut schema = KindSchema { minter: false, ..minter.clone() };
    schema.block.attrs.remove("id");
    (schema.kind.clone(), schema)
}

fn unknown_kind(kind: &str) -> ProviderError {
    ProviderError::new(ErrorKind::Bug, format!("{kind} is no kind of the aws provider"))
}

/// The AWS provider.
pub struct AwsProvider {
    settings: AwsSettings,
}

/// Made when the first stack asks for it: most commands and many stacks do not.
static KINDS: LazyLock<Kinds> = LazyLock::new(Kinds::all);
static SCHEMA: LazyLock<ProviderSchema> = LazyLock::new(|| provider_schema(&KINDS));

impl AwsProvider {
    pub fn new(settings: AwsSettings) -> AwsProvider {
        AwsProvider { settings }
    }
}

fn provider_schema(kinds: &Kinds) -> ProviderSchema {
    ProviderSchema {
        name: "aws".into(),
        sources: vec!["hashicorp/aws".into()],
        upstream: Some(("5.0.0".into(), "7.0.0".into())),
        config: config::schema(),
        address_args: Vec::new(),
        resources: kinds.resources.iter().map(|(k, (s, _))| (k.clone(), s.clone())).collect(),
        data: kinds.data.iter().map(|(k, (s, _))| (k.clone(), s.clone())).collect(),
        ephemeral: kinds.ephemeral.clone(),
    }
}

#[async_trait]
impl Provider for AwsProvider {
    fn schema(&self) -> &ProviderSchema {
        &SCHEMA
    }

    fn validate(&self, mode: Mode, kind: &str, config: &Value) -> Vec<Problem> {
        match mode {
            Mode::Managed => KINDS.resource(kind).map(|r| r.validate(config)).unwrap_or_default(),
            _ => KINDS.data(kind).map(|(_, d)| d.validate(config)).unwrap_or_default(),
        }
    }

    fn plan(&self, kind: &str, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        KINDS.resource(kind)?.plan(input)
    }

    async fn configure(&self, request: Configure) -> Result<Arc<dyn Configured>, ProviderError> {
        let args = ProviderArgs::of(request.config.value());
        let aws = Aws::new(&self.settings, args, request.env).await?;
        Ok(Arc::new(ConfiguredAws { aws }))
    }
}

struct ConfiguredAws {
    aws: Aws,
}

#[async_trait]
impl Configured for ConfiguredAws {
    async fn identity(&self) -> Result<World, ProviderError> {
        self.aws.world().await
    }

    async fn read(&self, kind: &str, request: ReadRequest) -> Result<Read, ProviderError> {
        KINDS.resource(kind)?.read(&self.aws, request).await
    }

    async fn read_many(
        &self,
        kind: &str,
        requests: &[ReadRequest],
    ) -> Result<Option<Vec<Read>>, ProviderError> {
        KINDS.resource(kind)?.read_many(&self.aws, requests).await
    }

    async fn read_data(&self, kind: &str, config: Resolved) -> Result<Option<Value>, ProviderError> {
        let (schema, data) = KINDS.data(kind)?;
        let Some(read) = data.read(&self.aws, config.value()).await? else { return Ok(None) };
        data::finish(&schema.block, config.value(), &read).map(|done| Some(done.into_value()))
    }

    async fn mint(&self, kind: &str, args: Resolved) -> Result<Minted, ProviderError> {
        KINDS.data(kind)?.1.mint(&self.aws, args.value()).await
    }

    async fn create(
        &self,
        kind: &str,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        KINDS.resource(kind)?.create(&self.aws, request, ctx).await
    }

    async fn update(
        &self,
        kind: &str,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        KINDS.resource(kind)?.update(&self.aws, request, ctx).await
    }

    async fn delete(
        &self,
        kind: &str,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        KINDS.resource(kind)?.delete(&self.aws, request, ctx).await
    }

    async fn resume(
        &self,
        kind: &str,
        request: ResumeRequest,
        ctx: &dyn OpContext,
    ) -> Result<Read, ProviderError> {
        KINDS.resource(kind)?.resume(&self.aws, request, ctx).await
    }

    async fn import(&self, kind: &str, id: &str) -> Result<Read, ProviderError> {
        KINDS.resource(kind)?.import(&self.aws, id).await
    }

    async fn recover(&self, kind: &str, request: RecoverRequest) -> Result<Found, ProviderError> {
        KINDS.resource(kind)?.recover(&self.aws, request).await
    }
}

#[cfg(test)]
mod tests;
