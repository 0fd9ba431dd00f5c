//! What the EKS kinds share: reading, the wait for an update, tags, errors of IAM's eventual consistency.

use super::iam_role::made_here;
use crate::client::Aws;
use crate::error::Api;
use crate::tags::{OWNER_TAG, TagChange, Tags};
use crate::wait::{EKS_POLL, Poll, settle, until};
use aws_sdk_eks::types::{Cluster, ErrorDetail, Update, UpdateStatus};
use groma_provider::retry::Retry;
use groma_provider::{ErrorKind, Identity, OpContext, ProviderError};
use groma_types::{Type, Value};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

/// An update of a cluster or of one of its node groups.
pub(crate) struct Target<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) node_group: Option<&'a str>,
}

/// Reads a cluster; `None` if the API says that there is none.
pub(crate) async fn describe_cluster(aws: &Aws, name: &str) -> Result<Option<Cluster>, ProviderError> {
    let request = aws.eks.describe_cluster().name(name);
    let api = Api::read("eks", "DescribeCluster");
    match aws.call(Retry::READ, api, || request.clone().send()).await {
        Ok(found) => Ok(found.cluster),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Texts by which EKS says that it does not see a role, or its policies, yet.
const UNSEEN_ROLE: [&str; 5] = [
    "does not exist",
    "Error in role params",
    "Role could not be assumed because the trusted entity is not correct",
    "doesn't have the Amazon EKS Managed Policies associated",
    "IAM role's policy must include",
];

/// Whether an error is EKS not seeing yet a role that this run made.
pub(crate) fn unseen_role(error: &ProviderError, role_arn: &str, ctx: &dyn OpContext) -> bool {
    // A subnet that "does not exist" is no matter of IAM, and stays away.
    let invalid = error.code.as_deref() == Some("InvalidParameterException")
        && !error.message.to_lowercase().contains("subnet");
    invalid && UNSEEN_ROLE.iter().any(|text| error.message.contains(text)) && made_here(role_arn, ctx)
}

/// Whether another change of the object is under way.
pub(crate) fn in_progress(error: &ProviderError) -> bool {
    error.code.as_deref() == Some("ResourceInUseException") && error.message.contains("in progress")
}

pub(crate) fn sdk_tags(tags: &Tags) -> Option<HashMap<String, String>> {
    (!tags.is_empty()).then(|| tags.clone().into_iter().collect())
}

pub(crate) fn tags_of(tags: Option<&HashMap<String, String>>) -> Tags {
    tags.map(|t| t.clone().into_iter().collect()).unwrap_or_default()
}

/// Whether an object carries the mark or the token of a create.
pub(crate) fn is_ours(tags: &Tags, token: Option<&str>, identity: &Identity) -> bool {
    let marked = tags.get(OWNER_TAG).is_some_and(|mark| identity.owner_mark.as_ref() == Some(mark));
    marked || token.is_some_and(|token| token == identity.token)
}

/// A token for one step of an update.
pub(crate) fn step_token(token: &str, step: &str) -> String {
    let room = 64 - step.len() - 1;
    format!("{}-{step}", token.get(..room.min(token.len())).unwrap_or(token))
}

pub(crate) async fn update_tags(aws: &Aws, arn: &str, change: TagChange) -> Result<(), ProviderError> {
    if !change.unset.is_empty() {
        let request = aws.eks.untag_resource().resource_arn(arn).set_tag_keys(Some(change.unset));
        let api = Api::write("eks", "UntagResource");
        aws.call(Retry::IDEMPOTENT, api, || request.clone().send()).await?;
    }
    if !change.set.is_empty() {
        let request = aws.eks.tag_resource().resource_arn(arn).set_tags(sdk_tags(&change.set));
        let api = Api::write("eks", "TagResource");
        aws.call(Retry::IDEMPOTENT, api, || request.clone().send()).await?;
    }
    Ok(())
}

/// Sends one update, waiting while another is in flight, and waits for its end.
///
/// # Errors
/// The update was refused, failed, or took too long.
pub(crate) async fn run_update<F, Fut>(
    aws: &Aws,
    ctx: &dyn OpContext,
    target: Target<'_>,
    timeout: Duration,
    send: F,
) -> Result<(), ProviderError>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<Option<Update>, ProviderError>> + Send,
{
    if ctx.is_stopped() {
        return Err(ProviderError::new(ErrorKind::Interrupted, "stopped before the next update"));
    }
    let busy = |e: &ProviderError| e.code.as_deref() == Some("ResourceInUseException");
    let sent = settle(ctx, timeout, busy, &send).await?;
    let Some(id) = sent.as_ref().and_then(Update::id).map(str::to_string) else { return Ok(()) };
    let kind = sent.and_then(|u| u.r#type).map_or_else(|| "update".to_string(), |t| t.as_str().to_string());
    let what = format!("{kind} of {}", target.node_group.unwrap_or(target.cluster));
    let (target, id) = (&target, &id);
    until(ctx, &what, ctx.now() + timeout, EKS_POLL, || poll_update(aws, target, id)).await
}

async fn poll_update(aws: &Aws, target: &Target<'_>, id: &str) -> Result<Poll<()>, ProviderError> {
    let request = aws
        .eks
        .describe_update()
        .name(target.cluster)
        .set_nodegroup_name(target.node_group.map(str::to_string))
        .update_id(id);
    let api = Api::read("eks", "DescribeUpdate");
    let found = aws.call(Retry::READ, api, || request.clone().send()).await?;
    let Some(update) = found.update else { return Ok(Poll::Pending("not shown yet".into())) };
    match update.status() {
        Some(UpdateStatus::Successful) => Ok(Poll::Ready(())),
        Some(status @ (UpdateStatus::Failed | UpdateStatus::Cancelled)) => {
            let reasons = update.errors().iter().map(error_text).collect::<Vec<_>>().join("; ");
            let message = format!("the update {id} ended as {status}: {reasons}");
            Err(ProviderError::new(ErrorKind::Unconverged, message).asked("eks:DescribeUpdate"))
        }
        Some(status) => Ok(Poll::Pending(status.to_string())),
        None => Ok(Poll::Pending("no status".into())),
    }
}

fn error_text(error: &ErrorDetail) -> String {
    let code = error.error_code().map_or("unknown", |c| c.as_str());
    issue_text(code, error.error_message(), error.resource_ids())
}

/// One health issue or update error, for people.
pub(crate) fn issue_text(code: &str, message: Option<&str>, resource_ids: &[String]) -> String {
    let mut text = format!("{code}: {}", message.unwrap_or("no message"));
    if !resource_ids.is_empty() {
        text.push_str(&format!(" ({})", resource_ids.join(", ")));
    }
    text
}

/// A set or list that the API gives: null where it is empty and was not written.
pub(crate) fn written_or_null(before: Option<&Value>, name: &str, remote: Option<&[String]>) -> Value {
    let remote = remote.unwrap_or_default();
    let unset = before.is_none_or(|b| crate::values::is_unset(b, name));
    if remote.is_empty() && unset {
        return Value::NULL;
    }
    Value::list(Type::String, remote.iter().map(|s| Value::string(s.as_str())).collect())
}
