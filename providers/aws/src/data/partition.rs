//! `data.aws_partition`: the partition of the configured region. Makes no call.

use super::DataSource;
use crate::client::Aws;
use crate::config::partition_of;
use groma_provider::{ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(crate) struct PartitionData;

#[async_trait]
impl DataSource for PartitionData {
    fn schema(&self) -> KindSchema {
        let computed = |doc: &str| Attribute::computed(Type::String, doc);
        let block = Block::new("The partition of the region.")
            .attr("id", computed("The partition."))
            .attr("partition", computed("The partition, such as `aws`."))
            .attr("dns_suffix", computed("Domain of the endpoints."))
            .attr("reverse_dns_prefix", computed("The domain, reversed."));
        KindSchema::new("aws_partition", "sts", block)
    }

    async fn read(&self, aws: &Aws, _: &Value) -> Result<Option<Value>, ProviderError> {
        let partition = partition_of(&aws.region);
        Ok(Some(Value::object([
            ("id", Value::string(partition.id)),
            ("partition", Value::string(partition.id)),
            ("dns_suffix", Value::string(partition.dns_suffix)),
            ("reverse_dns_prefix", Value::string(partition.reverse_dns_prefix)),
        ])))
    }
}
