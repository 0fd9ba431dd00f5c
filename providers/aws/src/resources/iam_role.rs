//! `aws_iam_role`: an identity that services and people assume.

use super::{Resource, made_up_name, plan_tags};
use crate::client::Aws;
use crate::error::Api;
use crate::policy::{percent_decode, same_meaning};
use crate::tags::{self, OWNER_TAG, Tags, with_tags};
use crate::values::{
    blocks, conform, flag, int, opt_int, opt_text, resolved, text, text_or_empty, texts, tuple_of,
};
use crate::wait::settle;
use aws_sdk_iam::types::{Role, Tag};
use groma_provider::retry::Retry;
use groma_provider::{
    CreateRequest, DeleteRequest, ErrorKind, Found, Made, Object, OpContext, PlanInput, PlanOutput, Problem,
    ProviderError, Read, ReadRequest, RecoverRequest, ResumeRequest, UpdateRequest, async_trait,
};
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting, Timeouts};
use groma_types::{AttrPath, Type, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long IAM may take to show a change everywhere.
pub(crate) const PROPAGATION: Duration = Duration::from_secs(120);
/// How long a role's own detachments may go on to block its deletion.
const DETACHING: Duration = Duration::from_secs(30);
const DEFAULT_SESSION_SECONDS: i32 = 3600;

pub(crate) struct IamRole {
    schema: KindSchema,
}

impl IamRole {
    pub(crate) fn new() -> IamRole {
        IamRole { schema: schema() }
    }
}

fn schema() -> KindSchema {
    let block = Block::new("An IAM role.")
        .attr("name", Attribute::optional_computed(Type::String, "Name, unique in the account.").replaces())
        .attr(
            "name_prefix",
            Attribute::optional_computed(Type::String, "Beginning of a name that is made up.").replaces(),
        )
        .attr(
            "assume_role_policy",
            Attribute::required(Type::String, "Policy document (JSON) that says who may assume the role."),
        )
        .attr("path", Attribute::optional(Type::String, "Path of the role.").default("/").replaces())
        .attr("description", Attribute::optional(Type::String, "What the role is for."))
        .attr(
            "max_session_duration",
            Attribute::optional(Type::Number, "Longest session in seconds, 3600 to 43200.")
                .default(i64::from(DEFAULT_SESSION_SECONDS)),
        )
        .attr(
            "permissions_boundary",
            Attribute::optional(Type::String, "ARN of the policy that bounds the role's permissions."),
        )
        .attr(
            "force_detach_policies",
            Attribute::optional(Type::Bool, "Whether a delete detaches policies that others attached.")
                .default(false),
        )
        .attr(
            "managed_policy_arns",
            Attribute::optional_computed(
                Type::set(Type::String),
                "All managed policies of the role; unset: others manage them.",
            )
            .changes_with_any(),
        )
        .block("inline_policy", inline_policy())
        .attr("arn", Attribute::computed(Type::String, "ARN of the role."))
        .attr("id", Attribute::computed(Type::String, "The name."))
        .attr("unique_id", Attribute::computed(Type::String, "Id that is never used again."))
        .attr("create_date", Attribute::computed(Type::String, "When it was made (RFC 3339)."));
    let mut kind = KindSchema::new("aws_iam_role", "iam", with_tags(block)).key(&["name"]);
    kind.visibility = PROPAGATION;
    kind.owner_mark = true;
    kind.timeouts = Timeouts::minutes(10, 10, 10);
    kind.typical = Timeouts::all(Duration::from_secs(2));
    kind
}

fn inline_policy() -> NestedBlock {
    let block = Block::new("A policy that lives in the role; without any, others manage them.")
        .attr("name", Attribute::optional(Type::String, "Name of the policy."))
        .attr("policy", Attribute::optional(Type::String, "Policy document (JSON)."));
    NestedBlock::new(Nesting::Set, block).computed()
}

fn name_of(planned: &Value, token: &str) -> String {
    text(planned, "name").unwrap_or_else(|| made_up_name(text(planned, "name_prefix").as_deref(), token, 64))
}

/// The name of an existing role.
fn name_in(prior: &Value) -> String {
    text(prior, "name").or_else(|| text(prior, "id")).unwrap_or_default()
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, ProviderError> {
    let build = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter()
        .map(build)
        .collect::<Result<_, _>>()
        .map_err(|e| ProviderError::new(ErrorKind::Bug, e.to_string()))
}

fn remote_tags(role: &Role) -> Tags {
    role.tags().iter().map(|t| (t.key().to_string(), t.value().to_string())).collect()
}

/// A principal in a policy that IAM does not know yet, though this run made it.
fn unseen_principal(error: &ProviderError, policy: &str, ctx: &dyn OpContext) -> bool {
    error.code.as_deref().is_some_and(|c| c.starts_with("MalformedPolicyDocument"))
        && error.message.contains("Invalid principal in policy")
        && policy.split('"').any(|part| part.starts_with("arn:") && made_here(part, ctx))
}

/// Whether this run made the role or the object that an ARN or name stands for.
pub(crate) fn made_here(arn: &str, ctx: &dyn OpContext) -> bool {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    ctx.made_in_this_run(arn) || ctx.made_in_this_run(name)
}

impl IamRole {
    async fn get(&self, aws: &Aws, name: &str) -> Result<Option<Role>, ProviderError> {
        let request = aws.iam.get_role().role_name(name);
        let answer = aws.call(Retry::READ, Api::read("iam", "GetRole"), || request.clone().send()).await;
        match answer {
            Ok(found) => Ok(found.role),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The object; its own policies are as `before` has them, see [`IamRole::with_policies`].
    fn object(&self, aws: &Aws, role: &Role, prior: Option<&Value>) -> Result<Object, ProviderError> {
        let null = Value::NULL;
        let before = prior.unwrap_or(&null);
        let document = percent_decode(role.assume_role_policy_document().unwrap_or_default());
        let written = text(before, "assume_role_policy");
        // The same meaning in another layout is no change.
        let policy = written.filter(|w| same_meaning(w, &document)).unwrap_or(document);
        let description = match (role.description(), before.get("description")) {
            (Some(text), _) if !text.is_empty() => Value::string(text),
            (_, Some(prior)) if prior.as_str() == Some("") => Value::string(""),
            _ => Value::NULL,
        };
        let boundary = role.permissions_boundary().and_then(|b| b.permissions_boundary_arn());
        let [tags, tags_all] = tags::read(&remote_tags(role), aws.default_tags(), prior);
        let loose = Value::object([
            ("name", Value::string(role.role_name())),
            ("id", Value::string(role.role_name())),
            ("name_prefix", opt_text(text(before, "name_prefix"))),
            ("assume_role_policy", Value::string(policy)),
            ("path", Value::string(role.path())),
            ("description", description),
            ("max_session_duration", opt_int(role.max_session_duration().or(Some(DEFAULT_SESSION_SECONDS)))),
            ("permissions_boundary", opt_text(boundary)),
            ("managed_policy_arns", before.get("managed_policy_arns").cloned().unwrap_or(Value::NULL)),
            ("inline_policy", before.get("inline_policy").cloned().unwrap_or(Value::NULL)),
            ("force_detach_policies", Value::bool(flag(before, "force_detach_policies").unwrap_or(false))),
            ("arn", Value::string(role.arn())),
            ("unique_id", Value::string(role.role_id())),
            ("create_date", Value::string(role.create_date().to_string())),
            tags,
            tags_all,
        ]);
        Ok(Object { attributes: resolved(conform(&self.schema.block, &loose)?)?, private: Json::Null })
    }

    /// Reads a role that must be there, waiting while IAM does not show it or shows its id in the ARN's place.
    async fn read_made(
        &self,
        aws: &Aws,
        name: &str,
        planned: &Value,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let unseen = |error: &ProviderError| error.kind == ErrorKind::NotFound;
        settle(ctx, PROPAGATION, unseen, || async move {
            match self.get(aws, name).await? {
                Some(role) if role.arn().starts_with("arn:") => {
                    self.with_policies(aws, self.object(aws, &role, Some(planned))?).await
                }
                _ => Err(ProviderError::new(
                    ErrorKind::NotFound,
                    format!("IAM does not show the role {name} yet"),
                )
                .asked("iam:GetRole")),
            }
        })
        .await
    }

    async fn update_trust(
        &self,
        aws: &Aws,
        name: &str,
        policy: &str,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let request = aws.iam.update_assume_role_policy().role_name(name).policy_document(policy);
        let api = Api::write("iam", "UpdateAssumeRolePolicy");
        settle(
            ctx,
            PROPAGATION,
            |e| unseen_principal(e, policy, ctx),
            || aws.call(Retry::IDEMPOTENT, api, || request.clone().send()),
        )
        .await
        .map(|_| ())
    }

    async fn update_boundary(
        &self,
        aws: &Aws,
        name: &str,
        boundary: Option<String>,
    ) -> Result<(), ProviderError> {
        if let Some(arn) = boundary {
            let request = aws.iam.put_role_permissions_boundary().role_name(name).permissions_boundary(arn);
            let api = Api::write("iam", "PutRolePermissionsBoundary");
            return aws.call(Retry::IDEMPOTENT, api, || request.clone().send()).await.map(|_| ());
        }
        let request = aws.iam.delete_role_permissions_boundary().role_name(name);
        let api = Api::write("iam", "DeleteRolePermissionsBoundary");
        absent_is_fine(aws.call(Retry::IDEMPOTENT, api, || request.clone().send()).await)
    }

    async fn update_tags(&self, aws: &Aws, name: &str, change: tags::TagChange) -> Result<(), ProviderError> {
        if !change.unset.is_empty() {
            let request = aws.iam.untag_role().role_name(name).set_tag_keys(Some(change.unset));
            let api = Api::write("iam", "UntagRole");
            aws.call(Retry::IDEMPOTENT, api, || request.clone().send()).await?;
        }
        if !change.set.is_empty() {
            let request = aws.iam.tag_role().role_name(name).set_tags(Some(sdk_tags(&change.set)?));
            let api = Api::write("iam", "TagRole");
            aws.call(Retry::IDEMPOTENT, api, || request.clone().send()).await?;
        }
        Ok(())
    }

    async fn leave_instance_profiles(&self, aws: &Aws, name: &str) -> Result<(), ProviderError> {
        let request = aws.iam.list_instance_profiles_for_role().role_name(name);
        let api = Api::read("iam", "ListInstanceProfilesForRole");
        let Some(found) = found(aws.call(Retry::READ, api, || request.clone().send()).await)? else {
            return Ok(());
        };
        for profile in found.instance_profiles() {
            let request = aws
                .iam
                .remove_role_from_instance_profile()
                .role_name(name)
                .instance_profile_name(profile.instance_profile_name());
            let api = Api::write("iam", "RemoveRoleFromInstanceProfile");
            absent_is_fine(aws.call(Retry::IDEMPOTENT, api, || request.clone().send()).await)?;
        }
        Ok(())
    }

    /// Takes off whatever policies are on the role.
    async fn detach_all(&self, aws: &Aws, name: &str) -> Result<(), ProviderError> {
        for arn in attached(aws, name).await?.unwrap_or_default() {
            detach(aws, name, &arn).await?;
        }
        let request = aws.iam.list_role_policies().role_name(name);
        let api = Api::read("iam", "ListRolePolicies");
        let Some(found) = found(aws.call(Retry::READ, api, || request.clone().send()).await)? else {
            return Ok(());
        };
        for policy in found.policy_names() {
            delete_inline(aws, name, policy).await?;
        }
        Ok(())
    }
}

fn found<T>(answer: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn absent_is_fine<T>(answer: Result<T, ProviderError>) -> Result<(), ProviderError> {
    found(answer).map(|_| ())
}

/// The ARNs of the policies that are attached to a role; `None` if there is no such role.
pub(crate) async fn attached(aws: &Aws, role: &str) -> Result<Option<Vec<String>>, ProviderError> {
    let mut arns = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let request = aws.iam.list_attached_role_policies().role_name(role).set_marker(marker.take());
        let api = Api::read("iam", "ListAttachedRolePolicies");
        let Some(page) = found(aws.call(Retry::READ, api, || request.clone().send()).await)? else {
            return Ok(None);
        };
        arns.extend(page.attached_policies().iter().filter_map(|p| p.policy_arn().map(str::to_string)));
        match page.marker() {
            Some(next) if page.is_truncated() => marker = Some(next.to_string()),
            _ => return Ok(Some(arns)),
        }
    }
}

async fn delete_inline(aws: &Aws, role: &str, policy: &str) -> Result<(), ProviderError> {
    let request = aws.iam.delete_role_policy().role_name(role).policy_name(policy);
    let api = Api::write("iam", "DeleteRolePolicy");
    absent_is_fine(aws.call(Retry::IDEMPOTENT, api, || request.clone().send()).await)
}

/// Reads all inline policies of a role; a document of the written one's meaning keeps the written text.
async fn read_inline(
    aws: &Aws,
    role: &str,
    written: &BTreeMap<String, String>,
) -> Result<Value, ProviderError> {
    let list = aws.iam.list_role_policies().role_name(role);
    let api = Api::read("iam", "ListRolePolicies");
    let names = found(aws.call(Retry::READ, api, || list.clone().send()).await)?;
    let mut policies = Vec::new();
    for name in names.iter().flat_map(|answer| answer.policy_names()) {
        let get = aws.iam.get_role_policy().role_name(role).policy_name(name);
        let api = Api::read("iam", "GetRolePolicy");
        let Some(policy) = found(aws.call(Retry::READ, api, || get.clone().send()).await)? else { continue };
        let document = percent_decode(policy.policy_document());
        let same = written.get(name).filter(|text| same_meaning(text, &document));
        let text = same.cloned().unwrap_or(document);
        policies.push(Value::object([("name", Value::string(name.as_str())), ("policy", text.into())]));
    }
    Ok(Value::tuple(policies))
}

/// Attaches a policy, waiting while IAM does not see the role or policy that this run made.
pub(crate) async fn attach(
    aws: &Aws,
    role: &str,
    policy_arn: &str,
    ctx: &dyn OpContext,
) -> Result<(), ProviderError> {
    let call = aws.iam.attach_role_policy().role_name(role).policy_arn(policy_arn);
    let api = Api::write("iam", "AttachRolePolicy");
    let unseen = |e: &ProviderError| {
        e.kind == ErrorKind::NotFound && (made_here(role, ctx) || made_here(policy_arn, ctx))
    };
    settle(ctx, PROPAGATION, unseen, || aws.call(Retry::IDEMPOTENT, api, || call.clone().send()))
        .await
        .map(|_| ())
}

pub(crate) async fn detach(aws: &Aws, role: &str, policy_arn: &str) -> Result<(), ProviderError> {
    let request = aws.iam.detach_role_policy().role_name(role).policy_arn(policy_arn);
    let api = Api::write("iam", "DetachRolePolicy");
    absent_is_fine(aws.call(Retry::IDEMPOTENT, api, || request.clone().send()).await)
}

#[async_trait]
impl Resource for IamRole {
    fn schema(&self) -> KindSchema {
        self.schema.clone()
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut bad = |name: &str, message: &str| {
            problems.push(Problem {
                path: AttrPath::root().attr(name),
                message: message.to_string(),
                help: None,
            });
        };
        if text(config, "name").is_some() && text(config, "name_prefix").is_some() {
            bad("name_prefix", "`name` and `name_prefix` exclude each other");
        }
        if text(config, "name").is_some_and(|n| n.is_empty() || n.len() > 64) {
            bad("name", "a role's name has 1 to 64 characters");
        }
        if text(config, "assume_role_policy").is_some_and(|p| serde_json::from_str::<Json>(&p).is_err()) {
            bad("assume_role_policy", "the policy document is not JSON");
        }
        if int(config, "max_session_duration").is_some_and(|s| !(3600..=43200).contains(&s)) {
            bad("max_session_duration", "must lie between 3600 and 43200 seconds");
        }
        problems
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let mut planned = plan_tags(&input.proposed, input.config, input.provider_config);
        if let (Some(old), Some(new)) =
            (input.prior.and_then(|p| text(p, "assume_role_policy")), text(&planned, "assume_role_policy"))
            && same_meaning(&old, &new)
        {
            planned = planned.with_attr("assume_role_policy", Value::string(old));
        }
        if let (None, Some(name)) = (input.prior, text(&planned, "name")) {
            planned = planned.with_attr("id", Value::string(name));
        }
        Ok(PlanOutput { planned, requires_replace: Vec::new() })
    }

    async fn read(&self, aws: &Aws, request: ReadRequest) -> Result<Read, ProviderError> {
        match self.get(aws, &name_in(&request.prior)).await? {
            Some(role) => {
                let object = self.object(aws, &role, Some(&request.prior))?;
                Ok(Read::Present(self.with_policies(aws, object).await?))
            }
            None => Ok(Read::Gone),
        }
    }

    async fn create(
        &self,
        aws: &Aws,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let planned = request.planned.value();
        let name = name_of(planned, &request.identity.token);
        let policy = text_or_empty(planned, "assume_role_policy");
        let tags = tags::for_create(planned, aws.default_tags(), request.identity.owner_mark.as_deref());
        let call = aws
            .iam
            .create_role()
            .role_name(&name)
            .assume_role_policy_document(&policy)
            .set_path(text(planned, "path"))
            .set_description(text(planned, "description"))
            .set_max_session_duration(int(planned, "max_session_duration"))
            .set_permissions_boundary(text(planned, "permissions_boundary"))
            .set_tags((!tags.is_empty()).then(|| sdk_tags(&tags)).transpose()?);
        let api = Api::write("iam", "CreateRole");
        let made = settle(
            ctx,
            PROPAGATION,
            |e| unseen_principal(e, &policy, ctx),
            || aws.call(Retry::ONCE, api, || call.clone().send()),
        )
        .await
        .map_err(|e| explain_existing(e, &name))?;
        if let Some(role) = made.role() {
            let object = self.object(aws, role, Some(planned))?;
            ctx.made(Made { attributes: object.attributes, private: object.private, operation: None }).await;
        }
        self.write_policies(aws, &name, None, planned, ctx).await?;
        self.read_made(aws, &name, planned, ctx).await
    }

    async fn update(
        &self,
        aws: &Aws,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let (prior, planned) = (request.prior.value(), request.planned.value());
        let name = name_in(prior);
        let differs = |attr: &str| prior.get(attr) != planned.get(attr);
        let (old, new) =
            (text_or_empty(prior, "assume_role_policy"), text_or_empty(planned, "assume_role_policy"));
        if !same_meaning(&old, &new) {
            self.update_trust(aws, &name, &new, ctx).await?;
        }
        if differs("description") || differs("max_session_duration") {
            let call = aws
                .iam
                .update_role()
                .role_name(&name)
                .description(text_or_empty(planned, "description"))
                .set_max_session_duration(int(planned, "max_session_duration"));
            let api = Api::write("iam", "UpdateRole");
            aws.call(Retry::IDEMPOTENT, api, || call.clone().send()).await?;
        }
        if differs("permissions_boundary") {
            self.update_boundary(aws, &name, text(planned, "permissions_boundary")).await?;
        }
        self.update_tags(aws, &name, tags::change(prior, planned, aws.default_tags())).await?;
        self.write_policies(aws, &name, Some(prior), planned, ctx).await?;
        self.read_updated(aws, &name, planned, ctx).await
    }

    async fn delete(
        &self,
        aws: &Aws,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let name = name_in(&request.prior);
        self.leave_instance_profiles(aws, &name).await?;
        if flag(&request.prior, "force_detach_policies") == Some(true) || has_policies(&request.prior) {
            self.detach_all(aws, &name).await?;
        }
        let call = aws.iam.delete_role().role_name(&name);
        let api = Api::write("iam", "DeleteRole");
        // Policies detached a moment ago still count for a while.
        let detaching = |e: &ProviderError| e.kind == ErrorKind::Conflict;
        let answer =
            settle(ctx, DETACHING, detaching, || aws.call(Retry::IDEMPOTENT, api, || call.clone().send()))
                .await;
        absent_is_fine(answer).map_err(|e| {
            if e.kind == ErrorKind::Conflict {
                e.help("detach the role's policies, or set force_detach_policies = true and apply before the destroy")
            } else {
                e
            }
        })
    }

    async fn resume(
        &self,
        aws: &Aws,
        request: ResumeRequest,
        _: &dyn OpContext,
    ) -> Result<Read, ProviderError> {
        let prior = request.object;
        self.read(aws, ReadRequest { prior: prior.attributes, private: prior.private, owner_mark: None })
            .await
    }

    async fn import(&self, aws: &Aws, id: &str) -> Result<Read, ProviderError> {
        match self.get(aws, id).await? {
            Some(role) => Ok(Read::Present(self.object(aws, &role, None)?)),
            None => Ok(Read::Gone),
        }
    }

    async fn recover(&self, aws: &Aws, request: RecoverRequest) -> Result<Found, ProviderError> {
        let planned = request.planned.value();
        let Some(role) = self.get(aws, &name_of(planned, &request.identity.token)).await? else {
            return Ok(Found::Absent);
        };
        let object = self.object(aws, &role, Some(planned))?;
        let mark = remote_tags(&role).remove(OWNER_TAG);
        if mark.is_some() && mark == request.identity.owner_mark {
            Ok(Found::Ours(object))
        } else {
            Ok(Found::Foreign(object))
        }
    }
}

/// Whether the role itself manages policies.
fn has_policies(value: &Value) -> bool {
    texts(value, "managed_policy_arns").is_some_and(|arns| !arns.is_empty()) || !inline(value).is_empty()
}

/// The inline policies, by name.
fn inline(value: &Value) -> BTreeMap<String, String> {
    let policies = blocks(value, "inline_policy").iter();
    policies.filter_map(|p| Some((text(p, "name")?, text_or_empty(p, "policy")))).collect()
}

impl IamRole {
    /// Reads the policies that the role itself manages; those of others are not asked for.
    async fn with_policies(&self, aws: &Aws, object: Object) -> Result<Object, ProviderError> {
        let before = object.attributes.value();
        let name = name_in(before);
        let mut after = before.clone();
        if texts(before, "managed_policy_arns").is_some() {
            let arns = attached(aws, &name).await?.unwrap_or_default();
            after = after.with_attr("managed_policy_arns", tuple_of(arns));
        }
        let written = inline(before);
        if !written.is_empty() {
            let policies = read_inline(aws, &name, &written).await?;
            after = after.with_attr("inline_policy", policies);
        }
        Ok(Object { attributes: resolved(conform(&self.schema.block, &after)?)?, private: object.private })
    }

    /// Brings the policies that the role itself manages to the planned ones.
    async fn write_policies(
        &self,
        aws: &Aws,
        name: &str,
        prior: Option<&Value>,
        planned: &Value,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let old = prior.map(inline).unwrap_or_default();
        let new = inline(planned);
        for policy in old.keys().filter(|policy| !new.contains_key(*policy)) {
            delete_inline(aws, name, policy).await?;
        }
        for (policy, document) in new.iter().filter(|(policy, document)| old.get(*policy) != Some(document)) {
            let call =
                aws.iam.put_role_policy().role_name(name).policy_name(policy).policy_document(document);
            let api = Api::write("iam", "PutRolePolicy");
            let unseen = |e: &ProviderError| e.kind == ErrorKind::NotFound && made_here(name, ctx);
            settle(ctx, PROPAGATION, unseen, || aws.call(Retry::IDEMPOTENT, api, || call.clone().send()))
                .await?;
        }
        let Some(new) = texts(planned, "managed_policy_arns") else { return Ok(()) };
        let old = prior.and_then(|p| texts(p, "managed_policy_arns")).unwrap_or_default();
        for arn in old.iter().filter(|arn| !new.contains(arn)) {
            detach(aws, name, arn).await?;
        }
        for arn in new.iter().filter(|arn| !old.contains(arn)) {
            attach(aws, name, arn, ctx).await?;
        }
        Ok(())
    }

    /// Reads a role after its update, waiting a little while IAM still shows the old trust policy.
    async fn read_updated(
        &self,
        aws: &Aws,
        name: &str,
        planned: &Value,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError> {
        let wanted = text_or_empty(planned, "assume_role_policy");
        let mut object = self.read_made(aws, name, planned, ctx).await?;
        for _ in 0..10 {
            if same_meaning(&wanted, &text_or_empty(&object.attributes, "assume_role_policy")) {
                break;
            }
            ctx.pause(Duration::from_secs(1)).await?;
            object = self.read_made(aws, name, planned, ctx).await?;
        }
        Ok(object)
    }
}

fn explain_existing(error: ProviderError, name: &str) -> ProviderError {
    if error.kind != ErrorKind::Conflict {
        return error;
    }
    error
        .at(AttrPath::root().attr("name"))
        .help(format!("import the role (id `{name}`) or choose another name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use groma_types::Type;

    fn plan(prior: Option<&Value>, config: &Value) -> Value {
        let input = PlanInput {
            prior,
            prior_private: None,
            config,
            proposed: config.clone(),
            provider_config: &Value::object([("region", Value::string("us-east-1"))]),
        };
        IamRole::new().plan(input).unwrap().planned
    }

    #[test]
    fn a_policy_of_the_same_meaning_keeps_its_old_text() {
        let doc = |text: &str| Value::object([("name", "r".into()), ("assume_role_policy", text.into())]);
        let old = r#"{"Statement":[{"Action":"sts:AssumeRole"}]}"#;
        let same = r#"{ "Statement": { "Action": ["sts:assumerole"] } }"#;
        let other = r#"{"Statement":[]}"#;
        let prior = doc(old);
        assert_eq!(text(&plan(Some(&prior), &doc(same)), "assume_role_policy").unwrap(), old);
        assert_eq!(text(&plan(Some(&prior), &doc(other)), "assume_role_policy").unwrap(), other);
        assert_eq!(text(&plan(None, &doc(same)), "id").unwrap(), "r");
    }

    #[test]
    fn faults_of_arguments_are_found_offline() {
        let check = |attrs: Vec<(&'static str, Value)>, expected: &[&str]| {
            let problems = IamRole::new().validate(&Value::object(attrs));
            let at: Vec<String> = problems.iter().map(|p| p.path.to_string()).collect();
            assert_eq!(at, expected);
        };
        check(vec![("name", "r".into()), ("assume_role_policy", "{}".into())], &[]);
        check(vec![("name", Value::unknown(Type::String)), ("name_prefix", "p".into())], &[]);
        check(vec![("name", "r".into()), ("name_prefix", "p".into())], &["name_prefix"]);
        check(vec![("assume_role_policy", "x".into())], &["assume_role_policy"]);
        check(vec![("max_session_duration", 60.into())], &["max_session_duration"]);
    }
}
