//! `data.aws_region`: the configured region, or one asked for. Makes no call.
//!
//! The attribute that names the region is `name` in the upstream provider's older versions and `region` in its newer
//! ones; both work.

use super::DataSource;
use crate::client::Aws;
use crate::config::partition_of;
use crate::values::{opt_text, text};
use groma_provider::{ErrorKind, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, Type, Value};

pub(crate) struct RegionData;

/// The vendor's own names of its regions.
const DESCRIPTIONS: [(&str, &str); 34] = [
    ("af-south-1", "Africa (Cape Town)"),
    ("ap-east-1", "Asia Pacific (Hong Kong)"),
    ("ap-northeast-1", "Asia Pacific (Tokyo)"),
    ("ap-northeast-2", "Asia Pacific (Seoul)"),
    ("ap-northeast-3", "Asia Pacific (Osaka)"),
    ("ap-south-1", "Asia Pacific (Mumbai)"),
    ("ap-south-2", "Asia Pacific (Hyderabad)"),
    ("ap-southeast-1", "Asia Pacific (Singapore)"),
    ("ap-southeast-2", "Asia Pacific (Sydney)"),
    ("ap-southeast-3", "Asia Pacific (Jakarta)"),
    ("ap-southeast-4", "Asia Pacific (Melbourne)"),
    ("ap-southeast-5", "Asia Pacific (Malaysia)"),
    ("ap-southeast-7", "Asia Pacific (Thailand)"),
    ("ca-central-1", "Canada (Central)"),
    ("ca-west-1", "Canada West (Calgary)"),
    ("cn-north-1", "China (Beijing)"),
    ("cn-northwest-1", "China (Ningxia)"),
    ("eu-central-1", "Europe (Frankfurt)"),
    ("eu-central-2", "Europe (Zurich)"),
    ("eu-north-1", "Europe (Stockholm)"),
    ("eu-south-1", "Europe (Milan)"),
    ("eu-south-2", "Europe (Spain)"),
    ("eu-west-1", "Europe (Ireland)"),
    ("eu-west-2", "Europe (London)"),
    ("eu-west-3", "Europe (Paris)"),
    ("il-central-1", "Israel (Tel Aviv)"),
    ("me-central-1", "Middle East (UAE)"),
    ("me-south-1", "Middle East (Bahrain)"),
    ("mx-central-1", "Mexico (Central)"),
    ("sa-east-1", "South America (Sao Paulo)"),
    ("us-east-1", "US East (N. Virginia)"),
    ("us-east-2", "US East (Ohio)"),
    ("us-west-1", "US West (N. California)"),
    ("us-west-2", "US West (Oregon)"),
];

#[async_trait]
impl DataSource for RegionData {
    fn schema(&self) -> KindSchema {
        let either = |doc: &str| Attribute::optional_computed(Type::String, doc);
        let block = Block::new("A region.")
            .attr("name", either("The region, such as `eu-west-1`."))
            .attr("region", either("The same as `name`."))
            .attr("endpoint", either("Host of the region's EC2 endpoint."))
            .attr("description", Attribute::computed(Type::String, "The vendor's name of the region."))
            .attr("id", Attribute::computed(Type::String, "The region."));
        KindSchema::new("aws_region", "ec2", block)
    }

    async fn read(&self, aws: &Aws, config: &Value) -> Result<Option<Value>, ProviderError> {
        let endpoint = text(config, "endpoint");
        let from_endpoint = endpoint.as_deref().map(|host| {
            host.strip_prefix("ec2.").and_then(|rest| rest.split('.').next()).map(str::to_string).ok_or_else(
                || {
                    ProviderError::new(ErrorKind::Invalid, format!("{host:?} is no EC2 endpoint"))
                        .at(AttrPath::root().attr("endpoint"))
                },
            )
        });
        let name = match text(config, "region").or_else(|| text(config, "name")) {
            Some(name) => name,
            None => from_endpoint.transpose()?.unwrap_or_else(|| aws.region.clone()),
        };
        let description = DESCRIPTIONS.iter().find(|(region, _)| *region == name).map(|(_, text)| *text);
        let host = format!("ec2.{name}.{}", partition_of(&name).dns_suffix);
        Ok(Some(Value::object([
            ("id", Value::string(name.as_str())),
            ("region", Value::string(name.as_str())),
            ("name", Value::string(name)),
            ("endpoint", Value::string(host)),
            ("description", opt_text(description)),
        ])))
    }
}
