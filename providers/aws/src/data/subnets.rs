//! `data.aws_subnets`: the ids of the subnets that filters and tags select.

use super::{DataSource, push_filters, with_filters};
use crate::client::Aws;
use crate::ec2::Params;
use crate::error::Api;
use crate::values::tuple_of;
use groma_provider::{ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(crate) struct Subnets;

#[async_trait]
impl DataSource for Subnets {
    fn schema(&self) -> KindSchema {
        let block = with_filters(Block::new("Subnets that filters select."))
            .attr("ids", Attribute::computed(Type::list(Type::String), "Ids, sorted."))
            .attr("id", Attribute::computed(Type::String, "The region."));
        KindSchema::new("aws_subnets", "ec2", block)
    }

    async fn read(&self, aws: &Aws, config: &Value) -> Result<Option<Value>, ProviderError> {
        let mut params = Params::new();
        push_filters(&mut params, config);
        let items = aws.ec2_list(Api::read("ec2", "DescribeSubnets"), params, "subnetSet").await?;
        // The API promises no order; the sorted one keeps counts and keys stable.
        let mut ids: Vec<&str> = items.iter().filter_map(|s| s.text_of("subnetId")).collect();
        ids.sort_unstable();
        Ok(Some(Value::object([
            ("id", Value::string(aws.region.as_str())),
            ("ids", tuple_of(ids)),
            ("tags", config.get("tags").cloned().unwrap_or(Value::NULL)),
        ])))
    }
}
