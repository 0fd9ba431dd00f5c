//! The data source kinds, one file each.

pub(crate) mod caller_identity;
pub(crate) mod eks_cluster;
pub(crate) mod eks_cluster_auth;
pub(crate) mod iam_policy_document;
pub(crate) mod partition;
pub(crate) mod region;
pub(crate) mod subnets;
pub(crate) mod vpc;

use crate::client::Aws;
use crate::ec2::{Params, Xml, push_filter};
use crate::tags::Tags;
use crate::values::{blocks, conform, resolved, text_map, text_or_empty, texts};
use groma_provider::{ErrorKind, Minted, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting};
use groma_types::{Type, Value};

/// A data source kind.
#[async_trait]
pub(crate) trait DataSource: Send + Sync {
    fn schema(&self) -> KindSchema;

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    /// Reads it; `None` if the thing is not there. The answer is loose: the caller conforms it.
    async fn read(&self, aws: &Aws, config: &Value) -> Result<Option<Value>, ProviderError>;

    async fn mint(&self, aws: &Aws, args: &Value) -> Result<Minted, ProviderError> {
        let _ = (aws, args);
        Err(ProviderError::new(ErrorKind::Bug, "this data source is no minter"))
    }
}

/// All kinds.
pub(crate) fn all() -> Vec<Box<dyn DataSource>> {
    vec![
        Box::new(caller_identity::CallerIdentity),
        Box::new(eks_cluster::Cluster),
        Box::new(eks_cluster_auth::ClusterAuth),
        Box::new(iam_policy_document::PolicyDocument),
        Box::new(partition::PartitionData),
        Box::new(region::RegionData),
        Box::new(subnets::Subnets),
        Box::new(vpc::Vpc),
    ]
}

/// Lays what was read over the arguments and gives it the schema's type.
pub(crate) fn finish(
    block: &Block,
    config: &Value,
    read: &Value,
) -> Result<groma_types::Resolved, ProviderError> {
    let mut all = config.clone();
    for (name, value) in read.as_map().into_iter().flatten() {
        all = all.with_attr(name, value.clone());
    }
    resolved(conform(block, &all)?)
}

/// The arguments `filter` and `tags` of EC2's data sources.
fn with_filters(block: Block) -> Block {
    let filter = Block::new("A filter of the API's describe call.")
        .attr("name", Attribute::required(Type::String, "What to look at, such as `vpc-id`."))
        .attr("values", Attribute::required(Type::set(Type::String), "Any of these."));
    block
        .attr("tags", Attribute::optional_computed(Type::map(Type::String), "Tags that it must have."))
        .block("filter", NestedBlock::new(Nesting::Set, filter))
}

/// Turns `filter` and `tags` into request parameters.
fn push_filters(params: &mut Params, config: &Value) {
    for filter in blocks(config, "filter") {
        let values = texts(filter, "values").unwrap_or_default();
        push_filter(params, &text_or_empty(filter, "name"), &values);
    }
    for (key, value) in text_map(config, "tags").unwrap_or_default() {
        push_filter(params, &format!("tag:{key}"), &[value]);
    }
}

/// The tags of an EC2 object.
fn tags_of(item: &Xml) -> Tags {
    let set = item.child("tagSet").map(|s| s.children.as_slice()).unwrap_or_default();
    set.iter()
        .filter_map(|t| {
            Some((t.text_of("key")?.to_string(), t.text_of("value").unwrap_or_default().to_string()))
        })
        .collect()
}
