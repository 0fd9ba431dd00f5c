//! The resource kinds, one file each: schema and calls.

pub(crate) mod ec2;
pub(crate) mod eks;
pub(crate) mod eks_cluster;
pub(crate) mod eks_node_group;
pub(crate) mod iam_role;
pub(crate) mod iam_role_policy_attachment;
mod plain;

use crate::client::Aws;
use crate::tags;
use groma_provider::{
    CreateRequest, DeleteRequest, Found, Object, OpContext, PlanInput, PlanOutput, Problem, ProviderError,
    Read, ReadRequest, RecoverRequest, ResumeRequest, UpdateRequest, async_trait,
};
use groma_types::Value;
use groma_types::schema::KindSchema;

/// A resource kind. Knows nothing of graph, plan or state.
#[async_trait]
pub(crate) trait Resource: Send + Sync {
    fn schema(&self) -> KindSchema;

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError>;
    async fn read(&self, aws: &Aws, request: ReadRequest) -> Result<Read, ProviderError>;
    /// Reads many by few calls, where that pays.
    async fn read_many(
        &self,
        aws: &Aws,
        requests: &[ReadRequest],
    ) -> Result<Option<Vec<Read>>, ProviderError> {
        let _ = (aws, requests);
        Ok(None)
    }
    async fn create(
        &self,
        aws: &Aws,
        request: CreateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError>;
    async fn update(
        &self,
        aws: &Aws,
        request: UpdateRequest,
        ctx: &dyn OpContext,
    ) -> Result<Object, ProviderError>;
    async fn delete(
        &self,
        aws: &Aws,
        request: DeleteRequest,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError>;
    async fn resume(
        &self,
        aws: &Aws,
        request: ResumeRequest,
        ctx: &dyn OpContext,
    ) -> Result<Read, ProviderError>;
    async fn import(&self, aws: &Aws, id: &str) -> Result<Read, ProviderError>;
    async fn recover(&self, aws: &Aws, request: RecoverRequest) -> Result<Found, ProviderError>;
}

/// All kinds.
pub(crate) fn all() -> Vec<Box<dyn Resource>> {
    let mut kinds: Vec<Box<dyn Resource>> = vec![
        Box::new(iam_role::IamRole::new()),
        Box::new(iam_role_policy_attachment::Attachment::new()),
        Box::new(eks_cluster::Cluster::new()),
        Box::new(eks_node_group::NodeGroup::new()),
    ];
    kinds.extend(ec2::all());
    kinds
}

/// The plan of `tags_all`, for kinds that have tags.
pub(crate) fn plan_tags(planned: &Value, input_config: &Value, provider_config: &Value) -> Value {
    planned.with_attr("tags_all", tags::planned_all(input_config, provider_config))
}

/// A name for an object whose name the user leaves to us: prefix and the tail of the create's token, so that a
/// repeated create makes the same name.
pub(crate) fn made_up_name(prefix: Option<&str>, token: &str, length_max: usize) -> String {
    let prefix = prefix.unwrap_or("groma-");
    let tail: String = token.chars().filter(char::is_ascii_alphanumeric).collect();
    let room = length_max.saturating_sub(prefix.len()).min(26);
    let skip = tail.len().saturating_sub(room);
    format!("{prefix}{}", &tail[skip..])
}
