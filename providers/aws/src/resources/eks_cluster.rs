//! `aws_eks_cluster`: an EKS control plane.

mod change;
mod schema;

use super::eks::{
    self, Target, describe_cluster, in_progress, is_ours, issue_text, run_update, sdk_tags, step_token,
    tags_of, unseen_role, written_or_null,
};
use super::{Resource, plan_tags};
use crate::client::Aws;
use crate::error::Api;
use crate::tags;
use crate::values::{
    block, blocks, conform, flag, one, opt_flag, opt_text, resolved, text, text_or_empty, texts, tuple_of,
};
use crate::wait::{EKS_POLL, Poll, settle, until};
use aws_sdk_eks::operation::create_cluster::builders::CreateClusterFluentBuilder;
use aws_sdk_eks::types::{
    BlockStorage, Cluster as SdkCluster, ClusterStatus, ElasticLoadBalancing, IpFamily, Logging,
};
use change::{
    Change, access_request, compute_request, config_changes, encryption_request, log_setup, network_request,
    remote_request, storage_request, upgrade_request, vpc_request, zonal_request,
};
use groma_provider::retry::Retry;
use groma_provider::{
    Action, CreateRequest, DeleteRequest, ErrorKind, Found, Made, Object, OpContext, PlanInput, PlanOutput,
    Problem, ProviderError, Read, ReadRequest, RecoverRequest, ResumeRequest, UpdateRequest, async_trait,
};
use groma_types::schema::KindSchema;
use groma_types::{AttrPath, Timestamp, Value};
use serde_json::Value as Json;
use std::time::Duration;

/// The types of control plane logs; what is not switched on is switched off by name.
const LOG_TYPES: [&str; 5] = ["api", "audit", "authenticator", "controllerManager", "scheduler"];
/// A fresh cluster may be invisible for this long.
const VISIBILITY: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    schema: KindSchema,
}

impl Cluster {
    pub(crate) fn new() -> Cluster {
        Cluster { schema: schema::schema() }
    }
}

/// Attributes of a cluster that do not depend on what the user wrote; the data source has the same.
pub(crate) fn shared_attributes(cluster: &SdkCluster) -> Vec<(&'static str, Value)> {
    let ca = cluster.certificate_authority().and_then(|c| c.data());
    let issuer = cluster.identity().and_then(|i| i.oidc()).and_then(|o| o.issuer());
    let none = || Value::tuple(Vec::new());
    // An update in flight is no other state of the object: the cluster works.
    let status = match cluster.status() {
        Some(ClusterStatus::Updating) => Some("ACTIVE"),
        other => other.map(ClusterStatus::as_str),
    };
    vec![
        ("arn", opt_text(cluster.arn())),
        ("id", opt_text(cluster.name())),
        ("name", opt_text(cluster.name())),
        ("cluster_id", opt_text(cluster.id())),
        ("role_arn", opt_text(cluster.role_arn())),
        ("version", opt_text(cluster.version())),
        ("platform_version", opt_text(cluster.platform_version())),
        ("endpoint", opt_text(cluster.endpoint())),
        ("status", opt_text(status)),
        ("created_at", opt_text(cluster.created_at().map(ToString::to_string))),
        ("deletion_protection", Value::bool(cluster.deletion_protection().unwrap_or(false))),
        ("certificate_authority", ca.map_or_else(none, |data| one([("data", Value::string(data))]))),
        (
            "identity",
            issuer.map_or_else(none, |issuer| one([("oidc", one([("issuer", Value::string(issuer))]))])),
        ),
        ("kubernetes_network_config", network_value(cluster)),
        ("upgrade_policy", upgrade_value(cluster)),
    ]
}

fn network_value(cluster: &SdkCluster) -> Value {
    let Some(net) = cluster.kubernetes_network_config() else { return Value::tuple(Vec::new()) };
    let balancing = net.elastic_load_balancing().and_then(ElasticLoadBalancing::enabled);
    one([
        ("ip_family", opt_text(net.ip_family().map(IpFamily::as_str))),
        ("service_ipv4_cidr", opt_text(net.service_ipv4_cidr())),
        ("service_ipv6_cidr", opt_text(net.service_ipv6_cidr())),
        (
            "elastic_load_balancing",
            balancing.map_or_else(|| Value::tuple(Vec::new()), |on| one([("enabled", Value::bool(on))])),
        ),
    ])
}

fn upgrade_value(cluster: &SdkCluster) -> Value {
    let support = cluster.upgrade_policy().and_then(|p| p.support_type());
    support.map_or_else(
        || Value::tuple(Vec::new()),
        |support| one([("support_type", Value::string(support.as_str()))]),
    )
}

/// The value of `vpc_config`; `before` is what the user or the last read had there.
pub(crate) fn vpc_value(cluster: &SdkCluster, before: Option<&Value>) -> Value {
    let Some(vpc) = cluster.resources_vpc_config() else { return Value::tuple(Vec::new()) };
    one([
        ("subnet_ids", tuple_of(vpc.subnet_ids())),
        (
            "security_group_ids",
            written_or_null(before, "security_group_ids", vpc.security_group_ids.as_deref()),
        ),
        ("endpoint_private_access", Value::bool(vpc.endpoint_private_access())),
        ("endpoint_public_access", Value::bool(vpc.endpoint_public_access())),
        ("public_access_cidrs", tuple_of(vpc.public_access_cidrs())),
        ("cluster_security_group_id", opt_text(vpc.cluster_security_group_id())),
        ("vpc_id", opt_text(vpc.vpc_id())),
    ])
}

/// The log types that are on.
pub(crate) fn log_types(cluster: &SdkCluster) -> Vec<String> {
    let setups = cluster.logging().map(|l| l.cluster_logging()).unwrap_or_default();
    let on = setups.iter().filter(|s| s.enabled() == Some(true));
    on.flat_map(|s| s.types().iter().map(|t| t.as_str().to_string())).collect()
}

fn access_value(cluster: &SdkCluster, before: Option<&Value>) -> Value {
    let Some(mode) = cluster.access_config().and_then(|a| a.authentication_mode()) else {
        return Value::tuple(Vec::new());
    };
    // The API does not return it.
    let creator = before
        .and_then(|b| flag(b, "bootstrap_cluster_creator_admin_permissions"))
        .or_else(|| cluster.access_config()?.bootstrap_cluster_creator_admin_permissions())
        .unwrap_or(true);
    one([
        ("authentication_mode", Value::string(mode.as_str())),
        ("bootstrap_cluster_creator_admin_permissions", Value::bool(creator)),
    ])
}

#[expect(deprecated, reason = "the upstream provider's argument `resources` is this member")]
fn encryption_value(cluster: &SdkCluster) -> Value {
    Value::tuple(
        cluster
            .encryption_config()
            .iter()
            .map(|config| {
                let key = config.provider().and_then(|p| p.key_arn());
                Value::object([
                    ("resources", tuple_of(config.resources())),
                    ("provider", one([("key_arn", opt_text(key))])),
                ])
            })
            .collect(),
    )
}

/// Blocks that the API fills on clusters that do not use them: there only if written or switched on.
fn switched_attributes(cluster: &SdkCluster, before: &Value) -> Vec<(&'static str, Value)> {
    let mut out = Vec::new();
    if let Some(compute) = cluster.compute_config()
        && (block(before, "compute_config").is_some() || compute.enabled() == Some(true))
    {
        let old = block(before, "compute_config");
        let value = one([
            ("enabled", opt_flag(compute.enabled())),
            ("node_pools", written_or_null(old, "node_pools", compute.node_pools.as_deref())),
            ("node_role_arn", opt_text(compute.node_role_arn())),
        ]);
        out.push(("compute_config", value));
    }
    let storage = cluster.storage_config().and_then(|s| s.block_storage()).and_then(BlockStorage::enabled);
    if block(before, "storage_config").is_some() || storage == Some(true) {
        out.push(("storage_config", one([("block_storage", one([("enabled", opt_flag(storage))]))])));
    }
    let shift = cluster.zonal_shift_config().and_then(|z| z.enabled());
    if block(before, "zonal_shift_config").is_some() || shift == Some(true) {
        out.push(("zonal_shift_config", one([("enabled", opt_flag(shift))])));
    }
    if let Some(remote) = cluster.remote_network_config() {
        let cidrs = |ranges: Vec<String>| {
            if ranges.is_empty() { Value::tuple(Vec::new()) } else { one([("cidrs", tuple_of(ranges))]) }
        };
        let nodes = remote.remote_node_networks().iter().flat_map(|n| n.cidrs().to_vec()).collect();
        let pods = remote.remote_pod_networks().iter().flat_map(|n| n.cidrs().to_vec()).collect();
        out.push((
            "remote_network_config",
            one([("remote_node_networks", cidrs(nodes)), ("remote_pod_networks", cidrs(pods))]),
        ));
    }
    out
}

impl Cluster {
    fn object(
        &self,
        aws: &Aws,
        cluster: &SdkCluster,
        prior: Option<&Value>,
    ) -> Result<Object, ProviderError> {
        let null = Value::NULL;
        let before = prior.unwrap_or(&null);
        let logs = log_types(cluster);
        let mut attrs = shared_attributes(cluster);
        attrs.extend(tags::read(&tags_of(cluster.tags()), aws.default_tags(), prior));
        attrs.extend(switched_attributes(cluster, before));
        attrs.extend([
            ("vpc_config", vpc_value(cluster, block(before, "vpc_config"))),
            ("access_config", access_value(cluster, block(before, "access_config"))),
            ("encryption_config", encryption_value(cluster)),
            ("enabled_cluster_log_types", written_or_null(prior, "enabled_cluster_log_types", Some(&logs))),
            (
                "bootstrap_self_managed_addons",
                Value::bool(flag(before, "bootstrap_self_managed_addons").unwrap_or(true)),
            ),
        ]);
        let loose = Value::object(attrs);
        Ok(Object { attributes: resolved(conform(&self.schema.block, &loose)?)?, private: Json::Null })
    }

    /// Waits until the cluster is active.
    async fn wait_active(
        &self,
        aws: &Aws,
        name: &str,
        deadline: Timestamp,
        ctx: &dyn OpContext,
    ) -> Result<SdkCluster, ProviderError> {
        let begun = ctx.now();
        let what = format!("EKS cluster {name} to be ACTIVE");
        until(ctx, &what, deadline, EKS_POLL, || async move {
            let Some(cluster) = describe_cluster(aws, name).await? else {
                if aws.now().since(begun) < VISIBILITY {
                    return Ok(Poll::Pending("not shown yet".into()));
                }
                return Err(ProviderError::new(ErrorKind::NotFound, format!("the cluster {name} is gone"))
                    .asked("eks:DescribeCluster"));
            };
            match cluster.status() {
                Some(ClusterStatus::Active) => Ok(Poll::Ready(cluster)),
                Some(ClusterStatus::Failed) => Err(failed(&cluster, ErrorKind::Tainted)),
                Some(ClusterStatus::Deleting) => Err(failed(&cluster, ErrorKind::Unconverged)),
                status => Ok(Poll::Pending(status.map_or("no status", ClusterStatus::as_str).to_string())),
            }
        })
        .await
    }

    /// Waits until the API has said three times that there is no such cluster: one answer may come from a copy
    /// that is ahead of the others, and a create of the same name would still be refused.
    async fn wait_gone(
        &self,
        aws: &Aws,
        name: &str,
        deadline: Timestamp,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let what = format!("EKS cluster {name} to be gone");
        loop {
            until(ctx, &what, deadline, EKS_POLL, || async move {
                let Some(cluster) = describe_cluster(aws, name).await? else { return Ok(Poll::Ready(())) };
                match cluster.status() {
                    Some(ClusterStatus::Failed) => Err(failed(&cluster, ErrorKind::Unconverged)),
                    status => {
                        Ok(Poll::Pending(status.map_or("no status", ClusterStatus::as_str).to_string()))
                    }
                }
            })
            .await?;
            let mut absent = 1;
            while absent < 3 {
                ctx.pause(Duration::from_secs(3)).await?;
                if describe_cluster(aws, name).await?.is_some() {
                    break;
                }
                absent += 1;
            }
            if absent == 3 {
                return Ok(());
            }
        }
    }

    fn create_call(&self, aws: &Aws, request: &CreateRequest) -> CreateClusterFluentBuilder {
        let planned = request.planned.value();
        let mark = request.identity.owner_mark.as_deref();
        let logs = texts(planned, "enabled_cluster_log_types").filter(|l| !l.is_empty());
        aws.eks
            .create_cluster()
            .client_request_token(&request.identity.token)
            .name(text_or_empty(planned, "name"))
            .role_arn(text_or_empty(planned, "role_arn"))
            .set_version(text(planned, "version"))
            .set_resources_vpc_config(block(planned, "vpc_config").map(vpc_request))
            .set_logging(
                logs.map(|types| Logging::builder().cluster_logging(log_setup(&types, true)).build()),
            )
            .set_encryption_config(encryption_request(planned))
            .set_access_config(block(planned, "access_config").map(access_request))
            .set_kubernetes_network_config(block(planned, "kubernetes_network_config").map(network_request))
            .set_upgrade_policy(upgrade_request(planned))
            .set_zonal_shift_config(zonal_request(planned))
            .set_compute_config(block(planned, "compute_config").map(compute_request))
            .set_storage_config(storage_request(planned))
            .set_remote_network_config(block(planned, "remote_network_config").map(remote_request))
            .set_bootstrap_self_managed_addons(flag(planned, "bootstrap_self_managed_addons"))
            .set_deletion_protection(flag(planned, "deletion_protection"))
            .set_tags(sdk_tags(&tags::for_create(planned, aws.default_tags(), mark)))
    }

    /// Creates, or finds what an earlier attempt of this very create has made.
    async fn create_or_adopt(
        &self,
        aws: &Aws,
        request: &CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Option<SdkCluster>, ProviderError> {
        let call = self.create_call(aws, request);
        let role = text_or_empty(&request.planned, "role_arn");
        let name = text_or_empty(&request.planned, "name");
        let api = Api::write("eks", "CreateCluster");
        let answer = settle(
            ctx,
            super::iam_role::PROPAGATION,
            |e| unseen_role(e, &role, ctx),
            || aws.call(Retry::IDEMPOTENT, api, || call.clone().send()),
        )
        .await;
        match answer {
            Ok(made) => Ok(made.cluster),
            Err(error) if error.kind == ErrorKind::Conflict => {
                let there = describe_cluster(aws, &name).await?;
                let ours = there
                    .filter(|c| is_ours(&tags_of(c.tags()), c.client_request_token(), &request.identity));
                let help = format!("import the cluster (id `{name}`) or choose another name");
                ours.map(Some).ok_or_else(|| error.at(AttrPath::root().attr("name")).help(help))
            }
            Err(error) => Err(error),
        }
    }

    /// The changes of an update, one kind a call, in the order that EKS wants.
    async fn send_changes(
        &self,
        aws: &Aws,
        request: &UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let (prior, planned) = (request.prior.value(), request.planned.value());
        let name = &name_in(prior);
        let timeout = request.timeouts.update;
        let target = || Target { cluster: name, node_group: None };
        if let Some(version) = text(planned, "version").filter(|v| text(prior, "version").as_ref() != Some(v))
        {
            let call = aws
                .eks
                .update_cluster_version()
                .name(name)
                .version(version)
                .client_request_token(step_token(&request.token, "version"));
            let api = Api::write("eks", "UpdateClusterVersion");
            run_update(aws, ctx, target(), timeout, || async {
                Ok(aws.call(Retry::IDEMPOTENT, api, || call.clone().send()).await?.update)
            })
            .await?;
        }
        for (step, change) in config_changes(prior, planned) {
            match change {
                Change::Encryption(config) => {
                    let call = aws
                        .eks
                        .associate_encryption_config()
                        .cluster_name(name)
                        .set_encryption_config(Some(config))
                        .client_request_token(step_token(&request.token, step));
                    let api = Api::write("eks", "AssociateEncryptionConfig");
                    run_update(aws, ctx, target(), timeout, || async {
                        Ok(aws.call(Retry::IDEMPOTENT, api, || call.clone().send()).await?.update)
                    })
                    .await?;
                }
                Change::Config(apply) => {
                    let call = aws
                        .eks
                        .update_cluster_config()
                        .name(name)
                        .client_request_token(step_token(&request.token, step));
                    let call = apply(call);
                    let api = Api::write("eks", "UpdateClusterConfig");
                    run_update(aws, ctx, target(), timeout, || async {
                        Ok(aws.call(Retry::IDEMPOTENT, api, || call.clone().send()).await?.update)
                    })
                    .await?;
                }
            }
        }
        Ok(())
    }
}

fn failed(cluster: &SdkCluster, kind: ErrorKind) -> ProviderError {
    let issues = cluster.health().map(|h| h.issues()).unwrap_or_default();
    let reasons: Vec<String> = issues
        .iter()
        .map(|i| issue_text(i.code().map_or("Unknown", |c| c.as_str()), i.message(), i.resource_ids()))
        .collect();
    let reasons = if reasons.is_empty() { "EKS gives no reason".to_string() } else { reasons.join("; ") };
    let name = cluster.name().unwrap_or_default();
    let status = cluster.status().map_or("unknown", ClusterStatus::as_str);
    ProviderError::new(kind, format!("the cluster {name} is {status}: {reasons}"))
        .asked("eks:DescribeCluster")
}

fn name_in(prior: &Value) -> String {
    text(prior, "name").or_else(|| text(prior, "id")).unwrap_or_default()
}

/// Major and minor number of a version.
fn version_numbers(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Refuses what EKS refuses: going back, and skipping a minor version.
fn check_version(old: &str, new: &str) -> Result<(), ProviderError> {
    let (Some(from), Some(to)) = (version_numbers(old), version_numbers(new)) else { return Ok(()) };
    let refuse = |message: String, help: String| {
        Err(ProviderError::new(ErrorKind::Invalid, message).at(AttrPath::root().attr("version")).help(help))
    };
    if to < from {
        return refuse(
            format!("EKS can't go back from version {old} to {new}"),
            format!("keep {old}, or replace the cluster by giving it another name"),
        );
    }
    if from.0 == to.0 && to.1 > from.1 + 1 {
        return refuse(
            format!("EKS can't go from version {old} to {new} in one step"),
            format!("apply {}.{} first, node groups included", from.0, from.1 + 1),
        );
    }
    Ok(())
}

fn check_mode(old: &str, new: &str) -> Result<(), ProviderError> {
    let rank = |mode: &str| ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"].iter().position(|m| *m == mode);
    match (rank(old), rank(new)) {
        (Some(from), Some(to)) if to < from => {
            let path = AttrPath::root().attr("access_config").index(0).attr("authentication_mode");
            let message = format!("EKS can't go back from authentication mode {old} to {new}");
            Err(ProviderError::new(ErrorKind::Invalid, message).at(path))
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Resource for Cluster {
    fn schema(&self) -> KindSchema {
        self.schema.clone()
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut bad = |path: AttrPath, message: String, help: Option<String>| {
            problems.push(Problem { path, message, help });
        };
        if let Some(name) = text(config, "name") {
            let fits = name.len() <= 100
                && name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if !fits {
                let message =
                    format!("{name:?} is no name of a cluster: letters, digits, - and _, at most 100");
                bad(AttrPath::root().attr("name"), message, None);
            }
        }
        if let Some(version) = text(config, "version").filter(|v| version_numbers(v).is_none()) {
            let help = Some("write major and minor, such as \"1.33\"".to_string());
            bad(AttrPath::root().attr("version"), format!("{version:?} is no Kubernetes version"), help);
        }
        for kind in texts(config, "enabled_cluster_log_types").unwrap_or_default() {
            if !LOG_TYPES.contains(&kind.as_str()) {
                let help = Some(format!("one of {}", LOG_TYPES.join(", ")));
                bad(
                    AttrPath::root().attr("enabled_cluster_log_types"),
                    format!("{kind:?} is no log type"),
                    help,
                );
            }
        }
        problems
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let mut planned = plan_tags(&input.proposed, input.config, input.provider_config);
        let mut requires_replace = Vec::new();
        let Some(prior) = input.prior else {
            if let Some(name) = text(&planned, "name") {
                planned = planned.with_attr("id", Value::string(name));
            }
            return Ok(PlanOutput { planned, requires_replace });
        };
        if let (Some(old), Some(new)) = (text(prior, "version"), text(&planned, "version")) {
            check_version(&old, &new)?;
        }
        let mode = |v: &Value| block(v, "access_config").and_then(|a| text(a, "authentication_mode"));
        if let (Some(old), Some(new)) = (mode(prior), mode(&planned)) {
            check_mode(&old, &new)?;
        }
        let encrypted = |v: &Value| v.get("encryption_config").cloned().unwrap_or(Value::NULL);
        if !blocks(prior, "encryption_config").is_empty() && encrypted(prior) != encrypted(&planned) {
            requires_replace.push(AttrPath::root().attr("encryption_config"));
        }
        let role = |v: &Value| block(v, "compute_config").and_then(|c| text(c, "node_role_arn"));
        if let (Some(old), Some(new)) = (role(prior), role(&planned))
            && old != new
        {
            requires_replace.push(AttrPath::root().attr("compute_config").index(0).attr("node_role_arn"));
        }
        Ok(PlanOutput { planned, requires_replace })
    }

    async fn read(&self, aws: &Aws, request: ReadRequest) -> Result<Read, ProviderError> {
        match describe_cluster(aws, &name_in(&request.prior)).await? {
            Some(cluster) => Ok(Read::Present(self.object(aws, &cluster, Some(&request.prior))?)),
            None => Ok(Read::Gone),
        }
    }

    async fn create(
        &self,
        aws: &Aws,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let deadline = ctx.now() + request.timeouts.create;
        let planned = request.planned.value();
        let name = text_or_empty(planned, "name");
        if let Some(cluster) = self.create_or_adopt(aws, &request, ctx).await? {
            let object = self.object(aws, &cluster, Some(planned))?;
            ctx.made(Made { attributes: object.attributes, private: object.private, operation: None }).await;
        }
        let cluster = self.wait_active(aws, &name, deadline, ctx).await?;
        self.object(aws, &cluster, Some(planned))
    }

    async fn update(
        &self,
        aws: &Aws,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let (prior, planned) = (request.prior.value(), request.planned.value());
        let name = name_in(prior);
        let timeout = request.timeouts.update;
        let change = tags::change(prior, planned, aws.default_tags());
        eks::update_tags(aws, &text_or_empty(prior, "arn"), change).await?;
        self.send_changes(aws, &request, ctx).await?;
        let cluster = self.wait_active(aws, &name, ctx.now() + timeout, ctx).await?;
        self.object(aws, &cluster, Some(planned))
    }

    async fn delete(
        &self,
        aws: &Aws,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let name = name_in(&request.prior);
        let deadline = ctx.now() + request.timeouts.delete;
        let call = aws.eks.delete_cluster().name(&name);
        let api = Api::write("eks", "DeleteCluster");
        let answer = settle(ctx, request.timeouts.delete, in_progress, || {
            aws.call(Retry::IDEMPOTENT, api, || call.clone().send())
        })
        .await;
        match answer {
            Ok(_) => self.wait_gone(aws, &name, deadline, ctx).await,
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            // A delete that an earlier run, or somebody else, has begun.
            Err(error) if error.kind == ErrorKind::Conflict => match describe_cluster(aws, &name).await? {
                Some(cluster) if cluster.status() == Some(&ClusterStatus::Deleting) => {
                    self.wait_gone(aws, &name, deadline, ctx).await
                }
                Some(_) => Err(error),
                None => Ok(()),
            },
            Err(error) => Err(error),
        }
    }

    async fn resume(
        &self,
        aws: &Aws,
        request: ResumeRequest,
        ctx: &dyn OpContext,
    ) -> Result<Read, ProviderError> {
        let prior = request.object.attributes.value();
        let name = name_in(prior);
        let timeout = match request.action {
            Action::Create => request.timeouts.create,
            Action::Update => request.timeouts.update,
            Action::Delete => request.timeouts.delete,
        };
        let deadline = ctx.now() + timeout;
        if request.action == Action::Delete {
            self.wait_gone(aws, &name, deadline, ctx).await?;
            return Ok(Read::Gone);
        }
        match self.wait_active(aws, &name, deadline, ctx).await {
            Ok(cluster) => Ok(Read::Present(self.object(aws, &cluster, Some(prior))?)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Read::Gone),
            Err(error) => Err(error),
        }
    }

    async fn import(&self, aws: &Aws, id: &str) -> Result<Read, ProviderError> {
        match describe_cluster(aws, id).await? {
            Some(cluster) => Ok(Read::Present(self.object(aws, &cluster, None)?)),
            None => Ok(Read::Gone),
        }
    }

    async fn recover(&self, aws: &Aws, request: RecoverRequest) -> Result<Found, ProviderError> {
        let planned = request.planned.value();
        let Some(cluster) = describe_cluster(aws, &text_or_empty(planned, "name")).await? else {
            return Ok(Found::Absent);
        };
        let object = self.object(aws, &cluster, Some(planned))?;
        let ours = is_ours(&tags_of(cluster.tags()), cluster.client_request_token(), &request.identity);
        Ok(if ours { Found::Ours(object) } else { Found::Foreign(object) })
    }
}

#[cfg(test)]
mod tests;
