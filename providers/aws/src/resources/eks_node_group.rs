//! `aws_eks_node_group`: a managed group of nodes of an EKS cluster.

mod schema;

use super::eks::{
    self, Target, in_progress, is_ours, issue_text, run_update, sdk_tags, step_token, tags_of, unseen_role,
    written_or_null,
};
use super::{Resource, made_up_name, plan_tags};
use crate::client::Aws;
use crate::error::Api;
use crate::tags;
use crate::values::{
    block, blocks, conform, flag, int, is_unset, map_of, one, opt_flag, opt_int, opt_text, resolved, text,
    text_map, text_or_empty, texts, tuple_of,
};
use crate::wait::{EKS_POLL, Poll, settle, until};
use aws_sdk_eks::operation::create_nodegroup::builders::CreateNodegroupFluentBuilder;
use aws_sdk_eks::operation::update_nodegroup_config::builders::UpdateNodegroupConfigFluentBuilder;
use aws_sdk_eks::types::{
    AmiTypes, CapacityTypes, LaunchTemplateSpecification, NodeRepairConfig, Nodegroup,
    NodegroupScalingConfig, NodegroupStatus, NodegroupUpdateConfig, RemoteAccessConfig, Taint, TaintEffect,
    UpdateLabelsPayload, UpdateTaintsPayload,
};
use groma_provider::retry::Retry;
use groma_provider::{
    Action, CreateRequest, DeleteRequest, ErrorKind, Found, Made, Object, OpContext, PlanInput, PlanOutput,
    Problem, ProviderError, Read, ReadRequest, RecoverRequest, ResumeRequest, UpdateRequest, async_trait,
};
use groma_types::schema::KindSchema;
use groma_types::{AttrPath, Timestamp, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;

/// A fresh group may be invisible for this long.
const VISIBILITY: Duration = Duration::from_secs(60);
const TAINT_EFFECTS: [(&str, &str); 3] =
    [("NO_SCHEDULE", "NoSchedule"), ("NO_EXECUTE", "NoExecute"), ("PREFER_NO_SCHEDULE", "PreferNoSchedule")];

pub(crate) struct NodeGroup {
    schema: KindSchema,
}

impl NodeGroup {
    pub(crate) fn new() -> NodeGroup {
        NodeGroup { schema: schema::schema() }
    }
}

/// Cluster and name of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    cluster: String,
    name: String,
}

impl Key {
    fn id(&self) -> String {
        format!("{}:{}", self.cluster, self.name)
    }

    fn parse(id: &str) -> Option<Key> {
        let (cluster, name) = id.split_once(':')?;
        Some(Key { cluster: cluster.to_string(), name: name.to_string() })
    }

    fn of(prior: &Value) -> Key {
        text(prior, "id").as_deref().and_then(Key::parse).unwrap_or_else(|| Key {
            cluster: text_or_empty(prior, "cluster_name"),
            name: text_or_empty(prior, "node_group_name"),
        })
    }

    fn planned(planned: &Value, token: &str) -> Key {
        let prefix = text(planned, "node_group_name_prefix");
        Key {
            cluster: text_or_empty(planned, "cluster_name"),
            name: text(planned, "node_group_name")
                .unwrap_or_else(|| made_up_name(prefix.as_deref(), token, 63)),
        }
    }

    fn target(&self) -> Target<'_> {
        Target { cluster: &self.cluster, node_group: Some(&self.name) }
    }
}

async fn describe(aws: &Aws, key: &Key) -> Result<Option<Nodegroup>, ProviderError> {
    let request = aws.eks.describe_nodegroup().cluster_name(&key.cluster).nodegroup_name(&key.name);
    let api = Api::read("eks", "DescribeNodegroup");
    match aws.call(Retry::READ, api, || request.clone().send()).await {
        Ok(found) => Ok(found.nodegroup),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn issues(group: &Nodegroup) -> Option<String> {
    let issues = group.health().map(|h| h.issues()).unwrap_or_default();
    let text = |i: &aws_sdk_eks::types::Issue| {
        issue_text(i.code().map_or("Unknown", |c| c.as_str()), i.message(), i.resource_ids())
    };
    (!issues.is_empty()).then(|| issues.iter().map(text).collect::<Vec<_>>().join("; "))
}

fn failed(group: &Nodegroup, kind: ErrorKind) -> ProviderError {
    let name = group.nodegroup_name().unwrap_or_default();
    let status = group.status().map_or("unknown", NodegroupStatus::as_str);
    let reasons = issues(group).unwrap_or_else(|| "EKS gives no reason".into());
    ProviderError::new(kind, format!("the node group {name} is {status}: {reasons}"))
        .asked("eks:DescribeNodegroup")
}

fn pending<T>(group: &Nodegroup) -> Poll<T> {
    let status = group.status().map_or("no status", NodegroupStatus::as_str);
    Poll::Pending(match issues(group) {
        Some(issues) => format!("{status}; {issues}"),
        None => status.to_string(),
    })
}

async fn wait_active(
    aws: &Aws,
    key: &Key,
    deadline: Timestamp,
    ctx: &dyn OpContext,
) -> Result<Nodegroup, ProviderError> {
    let begun = ctx.now();
    let what = format!("node group {} to be ACTIVE", key.name);
    until(ctx, &what, deadline, EKS_POLL, || async move {
        let Some(group) = describe(aws, key).await? else {
            if aws.now().since(begun) < VISIBILITY {
                return Ok(Poll::Pending("not shown yet".into()));
            }
            let message = format!("the node group {} is gone", key.id());
            return Err(ProviderError::new(ErrorKind::NotFound, message).asked("eks:DescribeNodegroup"));
        };
        match group.status() {
            Some(NodegroupStatus::Active) => Ok(Poll::Ready(group)),
            Some(NodegroupStatus::CreateFailed) => Err(failed(&group, ErrorKind::Tainted)),
            Some(NodegroupStatus::Degraded | NodegroupStatus::Deleting | NodegroupStatus::DeleteFailed) => {
                Err(failed(&group, ErrorKind::Unconverged))
            }
            _ => Ok(pending(&group)),
        }
    })
    .await
}

async fn wait_gone(
    aws: &Aws,
    key: &Key,
    deadline: Timestamp,
    ctx: &dyn OpContext,
) -> Result<(), ProviderError> {
    let what = format!("node group {} to be gone", key.name);
    until(ctx, &what, deadline, EKS_POLL, || async move {
        let Some(group) = describe(aws, key).await? else { return Ok(Poll::Ready(())) };
        match group.status() {
            Some(NodegroupStatus::DeleteFailed) => Err(failed(&group, ErrorKind::Unconverged)),
            _ => Ok(pending(&group)),
        }
    })
    .await
}

fn scaling_request(planned: &Value) -> Option<NodegroupScalingConfig> {
    let scaling = block(planned, "scaling_config")?;
    Some(
        NodegroupScalingConfig::builder()
            .set_min_size(int(scaling, "min_size"))
            .set_max_size(int(scaling, "max_size"))
            .set_desired_size(int(scaling, "desired_size"))
            .build(),
    )
}

fn update_request(planned: &Value) -> Option<NodegroupUpdateConfig> {
    let update = block(planned, "update_config")?;
    let (count, percentage) = (int(update, "max_unavailable"), int(update, "max_unavailable_percentage"));
    (count.is_some() || percentage.is_some()).then(|| {
        NodegroupUpdateConfig::builder()
            .set_max_unavailable(count)
            .set_max_unavailable_percentage(percentage)
            .build()
    })
}

fn repair_request(planned: &Value) -> Option<NodeRepairConfig> {
    let repair = block(planned, "node_repair_config")?;
    Some(NodeRepairConfig::builder().set_enabled(flag(repair, "enabled")).build())
}

/// The template by id or by name: EKS refuses both at once.
fn template_request(planned: &Value) -> Option<LaunchTemplateSpecification> {
    let template = block(planned, "launch_template")?;
    let id = text(template, "id");
    let name = if id.is_some() { None } else { text(template, "name") };
    Some(
        LaunchTemplateSpecification::builder()
            .set_id(id)
            .set_name(name)
            .set_version(text(template, "version"))
            .build(),
    )
}

fn remote_request(planned: &Value) -> Option<RemoteAccessConfig> {
    let access = block(planned, "remote_access")?;
    Some(
        RemoteAccessConfig::builder()
            .set_ec2_ssh_key(text(access, "ec2_ssh_key"))
            .set_source_security_groups(texts(access, "source_security_group_ids"))
            .build(),
    )
}

fn taint_request(taint: &Value) -> Taint {
    Taint::builder()
        .set_key(text(taint, "key"))
        .set_value(text(taint, "value"))
        .set_effect(text(taint, "effect").map(|e| TaintEffect::from(e.as_str())))
        .build()
}

/// Taints by key and effect, which is what tells them apart.
fn taints_by_key(value: &Value) -> BTreeMap<(String, String), Value> {
    blocks(value, "taint")
        .iter()
        .map(|t| ((text_or_empty(t, "key"), text_or_empty(t, "effect")), t.clone()))
        .collect()
}

fn label_changes(prior: &Value, planned: &Value) -> Option<UpdateLabelsPayload> {
    let old = text_map(prior, "labels").unwrap_or_default();
    let new = text_map(planned, "labels").unwrap_or_default();
    if old == new {
        return None;
    }
    let set: std::collections::HashMap<String, String> =
        new.iter().filter(|(k, v)| old.get(*k) != Some(v)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let gone: Vec<String> = old.keys().filter(|k| !new.contains_key(*k)).cloned().collect();
    Some(
        UpdateLabelsPayload::builder()
            .set_add_or_update_labels((!set.is_empty()).then_some(set))
            .set_remove_labels((!gone.is_empty()).then_some(gone))
            .build(),
    )
}

fn taint_changes(prior: &Value, planned: &Value) -> Option<UpdateTaintsPayload> {
    let (old, new) = (taints_by_key(prior), taints_by_key(planned));
    if old == new {
        return None;
    }
    let set: Vec<Taint> =
        new.iter().filter(|(k, v)| old.get(*k) != Some(v)).map(|(_, v)| taint_request(v)).collect();
    let gone: Vec<Taint> =
        old.iter().filter(|(k, _)| !new.contains_key(*k)).map(|(_, v)| taint_request(v)).collect();
    Some(
        UpdateTaintsPayload::builder()
            .set_add_or_update_taints((!set.is_empty()).then_some(set))
            .set_remove_taints((!gone.is_empty()).then_some(gone))
            .build(),
    )
}

/// The one call that changes what is no version, if there is anything to change.
fn config_change(
    call: UpdateNodegroupConfigFluentBuilder,
    prior: &Value,
    planned: &Value,
) -> Option<UpdateNodegroupConfigFluentBuilder> {
    let differs = |name: &str| prior.get(name) != planned.get(name);
    let labels = label_changes(prior, planned);
    let taints = taint_changes(prior, planned);
    let scaling = scaling_request(planned).filter(|_| differs("scaling_config"));
    let update = update_request(planned).filter(|_| differs("update_config"));
    let repair = repair_request(planned).filter(|_| differs("node_repair_config"));
    let any =
        labels.is_some() || taints.is_some() || scaling.is_some() || update.is_some() || repair.is_some();
    any.then(|| {
        call.set_labels(labels)
            .set_taints(taints)
            .set_scaling_config(scaling)
            .set_update_config(update)
            .set_node_repair_config(repair)
    })
}

/// What of the version changes: Kubernetes version, release, template.
struct VersionChange {
    version: Option<String>,
    release: Option<String>,
    template: Option<LaunchTemplateSpecification>,
}

fn version_change(prior: &Value, planned: &Value) -> Option<VersionChange> {
    let changed = |name: &str| text(planned, name).filter(|new| text(prior, name).as_ref() != Some(new));
    let template_version = |v: &Value| block(v, "launch_template").and_then(|t| text(t, "version"));
    let template = template_request(planned).filter(|_| template_version(prior) != template_version(planned));
    let change = VersionChange { version: changed("version"), release: changed("release_version"), template };
    let any = change.version.is_some() || change.release.is_some() || change.template.is_some();
    any.then_some(change)
}

fn taints_value(group: &Nodegroup) -> Value {
    let taint = |t: &Taint| {
        Value::object([
            ("key", opt_text(t.key())),
            ("value", opt_text(t.value())),
            ("effect", opt_text(t.effect().map(TaintEffect::as_str))),
        ])
    };
    Value::tuple(group.taints().iter().map(taint).collect())
}

fn resources_value(group: &Nodegroup) -> Value {
    let Some(resources) = group.resources() else { return Value::tuple(Vec::new()) };
    let groups = resources.auto_scaling_groups().iter();
    let groups = groups.map(|g| Value::object([("name", opt_text(g.name()))])).collect();
    one([
        ("autoscaling_groups", Value::tuple(groups)),
        ("remote_access_security_group_id", opt_text(resources.remote_access_security_group())),
    ])
}

/// The blocks of a group, those left out that the user did not write and that the API fills.
fn block_values(group: &Nodegroup, before: &Value) -> Vec<(&'static str, Value)> {
    let mut out = vec![("taint", taints_value(group))];
    if let Some(scaling) = group.scaling_config() {
        out.push((
            "scaling_config",
            one([
                ("desired_size", opt_int(scaling.desired_size())),
                ("max_size", opt_int(scaling.max_size())),
                ("min_size", opt_int(scaling.min_size())),
            ]),
        ));
    }
    if let Some(update) = group.update_config() {
        out.push((
            "update_config",
            one([
                ("max_unavailable", opt_int(update.max_unavailable())),
                ("max_unavailable_percentage", opt_int(update.max_unavailable_percentage())),
            ]),
        ));
    }
    if let Some(template) = group.launch_template() {
        out.push((
            "launch_template",
            one([
                ("id", opt_text(template.id())),
                ("name", opt_text(template.name())),
                ("version", opt_text(template.version())),
            ]),
        ));
    }
    let repairs = group.node_repair_config().and_then(NodeRepairConfig::enabled);
    if block(before, "node_repair_config").is_some() || repairs == Some(true) {
        out.push(("node_repair_config", one([("enabled", opt_flag(repairs))])));
    }
    if let Some(access) = group.remote_access() {
        let old = block(before, "remote_access");
        let groups =
            written_or_null(old, "source_security_group_ids", access.source_security_groups.as_deref());
        out.push((
            "remote_access",
            one([("ec2_ssh_key", opt_text(access.ec2_ssh_key())), ("source_security_group_ids", groups)]),
        ));
    }
    out
}

impl NodeGroup {
    fn object(&self, aws: &Aws, group: &Nodegroup, prior: Option<&Value>) -> Result<Object, ProviderError> {
        let null = Value::NULL;
        let before = prior.unwrap_or(&null);
        let key = Key {
            cluster: group.cluster_name().unwrap_or_default().to_string(),
            name: group.nodegroup_name().unwrap_or_default().to_string(),
        };
        let labels: BTreeMap<String, String> = tags_of(group.labels());
        let labels =
            if labels.is_empty() && is_unset(before, "labels") { Value::NULL } else { map_of(&labels) };
        // An update in flight is no other state of the object: the group works.
        let status = match group.status() {
            Some(NodegroupStatus::Updating) => Some("ACTIVE"),
            other => other.map(NodegroupStatus::as_str),
        };
        let mut attrs = vec![
            ("arn", opt_text(group.nodegroup_arn())),
            ("id", Value::string(key.id())),
            ("cluster_name", Value::string(key.cluster)),
            ("node_group_name", Value::string(key.name)),
            ("node_group_name_prefix", opt_text(text(before, "node_group_name_prefix"))),
            ("node_role_arn", opt_text(group.node_role())),
            ("subnet_ids", tuple_of(group.subnets())),
            ("ami_type", opt_text(group.ami_type().map(AmiTypes::as_str))),
            ("capacity_type", opt_text(group.capacity_type().map(CapacityTypes::as_str))),
            ("disk_size", opt_int(group.disk_size())),
            ("instance_types", tuple_of(group.instance_types())),
            ("labels", labels),
            ("force_update_version", opt_flag(flag(before, "force_update_version"))),
            ("version", opt_text(group.version())),
            ("release_version", opt_text(group.release_version())),
            ("status", opt_text(status)),
            ("resources", resources_value(group)),
        ];
        attrs.extend(block_values(group, before));
        attrs.extend(tags::read(&tags_of(group.tags()), aws.default_tags(), prior));
        let loose = Value::object(attrs);
        Ok(Object { attributes: resolved(conform(&self.schema.block, &loose)?)?, private: Json::Null })
    }

    fn create_call(&self, aws: &Aws, request: &CreateRequest, key: &Key) -> CreateNodegroupFluentBuilder {
        let planned = request.planned.value();
        let mark = request.identity.owner_mark.as_deref();
        let taints: Vec<Taint> = blocks(planned, "taint").iter().map(taint_request).collect();
        let labels = text_map(planned, "labels").filter(|l| !l.is_empty());
        aws.eks
            .create_nodegroup()
            .client_request_token(&request.identity.token)
            .cluster_name(&key.cluster)
            .nodegroup_name(&key.name)
            .node_role(text_or_empty(planned, "node_role_arn"))
            .set_subnets(texts(planned, "subnet_ids"))
            .set_scaling_config(scaling_request(planned))
            .set_instance_types(texts(planned, "instance_types").filter(|t| !t.is_empty()))
            .set_ami_type(text(planned, "ami_type").map(|t| AmiTypes::from(t.as_str())))
            .set_capacity_type(text(planned, "capacity_type").map(|t| CapacityTypes::from(t.as_str())))
            .set_disk_size(int(planned, "disk_size"))
            .set_labels(labels.map(|l| l.into_iter().collect()))
            .set_taints((!taints.is_empty()).then_some(taints))
            .set_launch_template(template_request(planned))
            .set_remote_access(remote_request(planned))
            .set_update_config(update_request(planned))
            .set_node_repair_config(repair_request(planned))
            .set_version(text(planned, "version"))
            .set_release_version(text(planned, "release_version"))
            .set_tags(sdk_tags(&tags::for_create(planned, aws.default_tags(), mark)))
    }

    /// Creates, or finds what an earlier attempt of this very create has made.
    async fn create_or_adopt(
        &self,
        aws: &Aws,
        request: &CreateRequest,
        key: &Key,
        ctx: &dyn OpContext,
    ) -> Result<Option<Nodegroup>, ProviderError> {
        let call = self.create_call(aws, request, key);
        let role = text_or_empty(&request.planned, "node_role_arn");
        let api = Api::write("eks", "CreateNodegroup");
        let answer = settle(
            ctx,
            super::iam_role::PROPAGATION,
            |e| unseen_role(e, &role, ctx),
            || aws.call(Retry::IDEMPOTENT, api, || call.clone().send()),
        )
        .await;
        match answer {
            Ok(made) => Ok(made.nodegroup),
            Err(error) if error.kind == ErrorKind::Conflict => {
                let there = describe(aws, key).await?;
                let ours = there.filter(|g| is_ours(&tags_of(g.tags()), None, &request.identity));
                let help = format!("import the node group (id `{}`) or choose another name", key.id());
                let path = AttrPath::root().attr("node_group_name");
                ours.map(Some).ok_or_else(|| error.at(path).help(help))
            }
            Err(error) => Err(error),
        }
    }

    async fn send_version(
        &self,
        aws: &Aws,
        key: &Key,
        request: &UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let Some(change) = version_change(request.prior.value(), request.planned.value()) else {
            return Ok(());
        };
        let call = aws
            .eks
            .update_nodegroup_version()
            .cluster_name(&key.cluster)
            .nodegroup_name(&key.name)
            .set_version(change.version)
            .set_release_version(change.release)
            .set_launch_template(change.template)
            .set_force(flag(&request.planned, "force_update_version"))
            .client_request_token(step_token(&request.token, "version"));
        let api = Api::write("eks", "UpdateNodegroupVersion");
        run_update(aws, ctx, key.target(), request.timeouts.update, || async {
            Ok(aws.call(Retry::IDEMPOTENT, api, || call.clone().send()).await?.update)
        })
        .await
        .map_err(|e| {
            if e.message.contains("PodEvictionFailure") {
                e.help(
                    "a disruption budget keeps pods on the old nodes; loosen it, or set force_update_version",
                )
            } else {
                e
            }
        })
    }

    async fn send_config(
        &self,
        aws: &Aws,
        key: &Key,
        request: &UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let call = aws
            .eks
            .update_nodegroup_config()
            .cluster_name(&key.cluster)
            .nodegroup_name(&key.name)
            .client_request_token(step_token(&request.token, "config"));
        let Some(call) = config_change(call, request.prior.value(), request.planned.value()) else {
            return Ok(());
        };
        let api = Api::write("eks", "UpdateNodegroupConfig");
        run_update(aws, ctx, key.target(), request.timeouts.update, || async {
            Ok(aws.call(Retry::IDEMPOTENT, api, || call.clone().send()).await?.update)
        })
        .await
    }
}

#[async_trait]
impl Resource for NodeGroup {
    fn schema(&self) -> KindSchema {
        self.schema.clone()
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut bad = |path: AttrPath, message: &str| {
            problems.push(Problem { path, message: message.to_string(), help: None });
        };
        let root = AttrPath::root;
        if text(config, "node_group_name").is_some() && text(config, "node_group_name_prefix").is_some() {
            bad(root().attr("node_group_name_prefix"), "`node_group_name` and its prefix exclude each other");
        }
        if let Some(scaling) = block(config, "scaling_config") {
            let at = root().attr("scaling_config").index(0);
            let size = |name: &str| int(scaling, name);
            if let (Some(min), Some(max)) = (size("min_size"), size("max_size"))
                && min > max
            {
                bad(at.attr("min_size"), "min_size is more than max_size");
            }
            if let (Some(desired), Some(max)) = (size("desired_size"), size("max_size"))
                && desired > max
            {
                bad(at.attr("desired_size"), "desired_size is more than max_size");
            }
            if let (Some(desired), Some(min)) = (size("desired_size"), size("min_size"))
                && desired < min
            {
                bad(at.attr("desired_size"), "desired_size is less than min_size");
            }
        }
        if let Some(update) = block(config, "update_config")
            && int(update, "max_unavailable").is_some()
            && int(update, "max_unavailable_percentage").is_some()
        {
            let at = root().attr("update_config").index(0).attr("max_unavailable_percentage");
            bad(at, "max_unavailable and max_unavailable_percentage exclude each other");
        }
        for (i, taint) in blocks(config, "taint").iter().enumerate() {
            let known = |e: &String| TAINT_EFFECTS.iter().any(|(name, _)| name == e);
            if let Some(effect) = text(taint, "effect").filter(|e| !known(e)) {
                let meant = TAINT_EFFECTS.iter().find(|(_, k8s)| *k8s == effect);
                let hint = meant.map_or("NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE", |(name, _)| name);
                bad(root().attr("taint").index(i).attr("effect"), &format!("{effect:?}: EKS writes {hint}"));
            }
        }
        problems
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let mut planned = plan_tags(&input.proposed, input.config, input.provider_config);
        if input.prior.is_none()
            && let (Some(cluster), Some(name)) =
                (text(&planned, "cluster_name"), text(&planned, "node_group_name"))
        {
            planned = planned.with_attr("id", Value::string(Key { cluster, name }.id()));
        }
        let mut requires_replace = Vec::new();
        if let Some(prior) = input.prior {
            // A template can be changed to another version of itself, neither added nor taken away.
            let (old, new) = (block(prior, "launch_template"), block(&planned, "launch_template"));
            let known = planned.get("launch_template").is_none_or(|t| !t.is_unknown());
            if old.is_some() != new.is_some() && known {
                requires_replace.push(AttrPath::root().attr("launch_template"));
            }
        }
        Ok(PlanOutput { planned, requires_replace })
    }

    async fn read(&self, aws: &Aws, request: ReadRequest) -> Result<Read, ProviderError> {
        match describe(aws, &Key::of(&request.prior)).await? {
            Some(group) => Ok(Read::Present(self.object(aws, &group, Some(&request.prior))?)),
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
        let key = Key::planned(planned, &request.identity.token);
        if let Some(group) = self.create_or_adopt(aws, &request, &key, ctx).await? {
            let object = self.object(aws, &group, Some(planned))?;
            ctx.made(Made { attributes: object.attributes, private: object.private, operation: None }).await;
        }
        let group = wait_active(aws, &key, deadline, ctx).await?;
        self.object(aws, &group, Some(planned))
    }

    async fn update(
        &self,
        aws: &Aws,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let (prior, planned) = (request.prior.value(), request.planned.value());
        let key = Key::of(prior);
        let timeout = request.timeouts.update;
        let change = tags::change(prior, planned, aws.default_tags());
        eks::update_tags(aws, &text_or_empty(prior, "arn"), change).await?;
        self.send_version(aws, &key, &request, ctx).await?;
        self.send_config(aws, &key, &request, ctx).await?;
        let group = wait_active(aws, &key, ctx.now() + timeout, ctx).await?;
        self.object(aws, &group, Some(planned))
    }

    async fn delete(
        &self,
        aws: &Aws,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let key = Key::of(&request.prior);
        let deadline = ctx.now() + request.timeouts.delete;
        let call = aws.eks.delete_nodegroup().cluster_name(&key.cluster).nodegroup_name(&key.name);
        let api = Api::write("eks", "DeleteNodegroup");
        let answer = settle(ctx, request.timeouts.delete, in_progress, || {
            aws.call(Retry::IDEMPOTENT, api, || call.clone().send())
        })
        .await;
        match answer {
            Ok(_) => wait_gone(aws, &key, deadline, ctx).await,
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            // A delete that an earlier run, or somebody else, has begun.
            Err(error) if error.kind == ErrorKind::Conflict => match describe(aws, &key).await? {
                Some(group) if group.status() == Some(&NodegroupStatus::Deleting) => {
                    wait_gone(aws, &key, deadline, ctx).await
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
        let key = Key::of(prior);
        let timeout = match request.action {
            Action::Create => request.timeouts.create,
            Action::Update => request.timeouts.update,
            Action::Delete => request.timeouts.delete,
        };
        let deadline = ctx.now() + timeout;
        if request.action == Action::Delete {
            wait_gone(aws, &key, deadline, ctx).await?;
            return Ok(Read::Gone);
        }
        match wait_active(aws, &key, deadline, ctx).await {
            Ok(group) => Ok(Read::Present(self.object(aws, &group, Some(prior))?)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Read::Gone),
            Err(error) => Err(error),
        }
    }

    async fn import(&self, aws: &Aws, id: &str) -> Result<Read, ProviderError> {
        let Some(key) = Key::parse(id) else {
            return Err(ProviderError::new(ErrorKind::Invalid, format!("{id:?} is not `CLUSTER:NAME`")));
        };
        match describe(aws, &key).await? {
            Some(group) => Ok(Read::Present(self.object(aws, &group, None)?)),
            None => Ok(Read::Gone),
        }
    }

    async fn recover(&self, aws: &Aws, request: RecoverRequest) -> Result<Found, ProviderError> {
        let planned = request.planned.value();
        let key = Key::planned(planned, &request.identity.token);
        let Some(group) = describe(aws, &key).await? else { return Ok(Found::Absent) };
        let object = self.object(aws, &group, Some(planned))?;
        let ours = is_ours(&tags_of(group.tags()), None, &request.identity);
        Ok(if ours { Found::Ours(object) } else { Found::Foreign(object) })
    }
}
