//! The Kubernetes provider: objects of a cluster, by server-side apply.
//!
//! Typed kinds (`kubernetes_deployment`, …) are tables ([`schema`]) over one mapping ([`mapping`]) between
//! Terraform's nested blocks and the API's JSON; `kubernetes_manifest` takes any object. Every object is written by
//! server-side apply under the field manager `groma`, so that fields of others are left alone and a field that the
//! spec drops is given up; every object that we make carries our mark in an annotation.
//!
//! Nothing is read from the surroundings: no kubeconfig, no in-cluster account, no localhost.

mod client;
mod cluster;
mod config;
mod errors;
mod manifest;
mod manifests;
mod mapping;
mod owners;
mod plan;
mod quantity;
mod schema;
mod validate;
mod wait;
mod watch;
mod write;

use client::Client;
use cluster::Cluster;
use groma_provider::{
    Configure, Configured, Part, PlanInput, PlanOutput, Problem, Provider, ProviderError, async_trait,
};
use groma_types::schema::{Attribute, Block, KindSchema, ProviderSchema, Relation, Timeouts};
use groma_types::{Mode, Type, Value};
use schema::Kind;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What the stack's owner allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Run the command of an `exec` block (or of a kubeconfig's user) for credentials.
    pub allow_exec: bool,
}

/// The provider `kubernetes`.
pub struct KubernetesProvider {
    settings: Settings,
}

/// Made when the first stack asks for it: most commands and many stacks do not.
static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(Catalog::new()));
static SCHEMA: LazyLock<ProviderSchema> = LazyLock::new(|| provider_schema(&CATALOG));

/// All kinds, by each of their names.
pub(crate) struct Catalog {
    kinds: BTreeMap<&'static str, Arc<Kind>>,
    /// Data sources: objects that are only read.
    data: BTreeMap<&'static str, Arc<Kind>>,
    manifest: Arc<mapping::Fields>,
}

impl Catalog {
    fn new() -> Catalog {
        let mut kinds = BTreeMap::new();
        for kind in schema::kinds() {
            let kind = Arc::new(kind);
            kinds.extend(kind.names.iter().map(|&name| (name, kind.clone())));
        }
        let readable = |(name, kind): (&&'static str, &Arc<Kind>)| {
            let readable = schema::READABLE.contains(&kind.resource.kind.as_str());
            readable.then(|| (*name, Arc::new(schema::as_data(kind))))
        };
        let data = kinds.iter().filter_map(readable).collect();
        Catalog { kinds, data, manifest: manifest::settings() }
    }
}

impl KubernetesProvider {
    pub fn new(settings: Settings) -> KubernetesProvider {
        KubernetesProvider { settings }
    }
}

const ID_DOC: &str = "Namespace and name, joined by a slash; the name alone for an object without namespace.";

fn provider_schema(catalog: &Catalog) -> ProviderSchema {
    let typed = catalog.kinds.iter().map(|(&name, kind)| (name.into(), kind_schema(name, kind)));
    let mut resources: BTreeMap<Arc<str>, KindSchema> = typed.collect();
    resources.insert(manifest::KIND.into(), manifest::schema(&catalog.manifest));
    resources.insert(manifests::KIND.into(), manifests::schema(&catalog.manifest));
    let data = catalog.data.iter().map(|(&name, kind)| {
        let id = Attribute::computed(Type::String, ID_DOC);
        (name.into(), KindSchema::new(name, "kubernetes", Block::clone(kind.fields.block()).attr("id", id)))
    });
    let data = data.collect();
    ProviderSchema {
        name: "kubernetes".into(),
        sources: vec!["hashicorp/kubernetes".into()],
        upstream: Some(("2.0.0".into(), "4.0.0".into())),
        config: config::block(),
        address_args: config::ADDRESS_ARGS.iter().map(|&a| a.into()).collect(),
        resources,
        data,
        ephemeral: BTreeMap::new(),
    }
}

fn kind_schema(name: &str, kind: &Kind) -> KindSchema {
    let id = Attribute::computed(Type::String, ID_DOC);
    let block = Block::clone(kind.fields.block()).attr("id", id);
    let key: &[&str] =
        if kind.resource.namespaced { &["metadata.namespace", "metadata.name"] } else { &["metadata.name"] };
    let mut schema = KindSchema::new(name, "kubernetes", block).key(key);
    schema.owner_mark = true;
    schema.lists = true;
    let second = Duration::from_secs(1);
    schema.typical = Timeouts::all(second);
    schema.timeouts = Timeouts::minutes(5, 5, 5);
    match kind.resource.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" => {
            schema.timeouts = Timeouts::minutes(10, 10, 10);
            schema.typical =
                Timeouts { create: second * 40, update: second * 30, delete: second * 10, read: second };
            schema = schema.relation(Relation::NeedsCapacity);
        }
        // Terraform's minute is too short for most.
        "Job" => {
            schema.timeouts = Timeouts::minutes(10, 10, 5);
            schema.typical.create = second * 60;
            schema = schema.relation(Relation::NeedsCapacity);
        }
        "Service" => {
            let when = Some(("spec.type".into(), "LoadBalancer".into()));
            schema.timeouts = Timeouts::minutes(10, 10, 15);
            schema = schema.relation(Relation::ExternalEffect { when });
        }
        "Ingress" => {
            schema.timeouts = Timeouts::minutes(20, 20, 20);
            schema = schema.relation(Relation::ExternalEffect { when: None });
        }
        "PersistentVolumeClaim" => {
            schema = schema
                .relation(Relation::ExternalEffect { when: None })
                .relation(Relation::HeldByWorkloads { same: "metadata.namespace".into() });
        }
        "Namespace" => {
            schema.timeouts = Timeouts::minutes(5, 5, 15);
            schema.typical.delete = second * 10;
        }
        _ => {}
    }
    schema
}

#[async_trait]
impl Provider for KubernetesProvider {
    fn schema(&self) -> &ProviderSchema {
        &SCHEMA
    }

    fn rehearses(&self) -> bool {
        true
    }

    fn validate(&self, mode: Mode, kind: &str, config: &Value) -> Vec<Problem> {
        if mode != Mode::Managed {
            return Vec::new();
        }
        if manifest::is_manifest(kind) {
            return validate::manifest(config);
        }
        CATALOG.kinds.get(kind).map(|kind| validate::typed(kind, config)).unwrap_or_default()
    }

    fn plan(&self, kind: &str, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        plan::plan(&CATALOG, kind, input)
    }

    fn parts(&self, _kind: &str, documents: Vec<Value>) -> Result<Vec<Part>, ProviderError> {
        manifests::parts(documents)
    }

    async fn configure(&self, request: Configure) -> Result<Arc<dyn Configured>, ProviderError> {
        let minter = client::token_minter(&request.minted);
        let (args, allow) = (&request.config, self.settings.allow_exec);
        let access = config::access(args, minter.is_some(), allow, &request.env).await?;
        let client = Client::new(&access, minter, request.env, request.fresh_host)?;
        let takes_over = args.get("force_conflicts").and_then(Value::as_bool).unwrap_or(false);
        Ok(Arc::new(Cluster::new(client, CATALOG.clone(), takes_over)))
    }
}

#[cfg(test)]
mod conformance_tests;
