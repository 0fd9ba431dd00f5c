//! `data.aws_vpc`: the one VPC that the arguments select.

use super::{DataSource, push_filters, tags_of, with_filters};
use crate::client::Aws;
use crate::config::partition_of;
use crate::ec2::{Params, Xml, push_filter};
use crate::error::Api;
use crate::values::{flag, map_of, opt_flag, opt_text, text};
use groma_provider::{ErrorKind, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(crate) struct Vpc;

/// Arguments that select, and the filter each stands for.
const SELECTORS: [(&str, &str); 3] =
    [("cidr_block", "cidr"), ("state", "state"), ("dhcp_options_id", "dhcp-options-id")];

#[async_trait]
impl DataSource for Vpc {
    fn schema(&self) -> KindSchema {
        let either = |ty: Type, doc: &str| Attribute::optional_computed(ty, doc);
        let computed = |ty: Type, doc: &str| Attribute::computed(ty, doc);
        let association = Type::object([
            ("association_id", Type::String),
            ("cidr_block", Type::String),
            ("state", Type::String),
        ]);
        let block = with_filters(Block::new("A VPC."))
            .attr("id", either(Type::String, "Id of the VPC."))
            .attr("default", either(Type::Bool, "Whether it is the region's default VPC."))
            .attr("cidr_block", either(Type::String, "Addresses of the VPC."))
            .attr("state", either(Type::String, "pending or available."))
            .attr("dhcp_options_id", either(Type::String, "DHCP options."))
            .attr("arn", computed(Type::String, "ARN of the VPC."))
            .attr("owner_id", computed(Type::String, "Account of the owner."))
            .attr("instance_tenancy", computed(Type::String, "Tenancy of instances."))
            .attr("main_route_table_id", computed(Type::String, "Main route table."))
            .attr("enable_dns_support", computed(Type::Bool, "Whether DNS answers."))
            .attr("enable_dns_hostnames", computed(Type::Bool, "Whether instances get DNS names."))
            .attr("ipv6_cidr_block", computed(Type::String, "IPv6 addresses of the VPC."))
            .attr("ipv6_association_id", computed(Type::String, "Association of the IPv6 addresses."))
            .attr("cidr_block_associations", computed(Type::list(association), "All ranges of addresses."));
        KindSchema::new("aws_vpc", "ec2", block)
    }

    async fn read(&self, aws: &Aws, config: &Value) -> Result<Option<Value>, ProviderError> {
        let api = Api::read("ec2", "DescribeVpcs");
        let items = match aws.ec2_call_or_pages(api, selection(config)).await {
            Ok(items) => items,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let vpc = match items.as_slice() {
            [] => return Ok(None),
            [vpc] => vpc,
            more => {
                let message = format!("{} VPCs fit; the data source wants just one", more.len());
                return Err(ProviderError::new(ErrorKind::Invalid, message)
                    .asked(api.asked())
                    .help("select by `id`, `default`, `tags` or `filter`"));
            }
        };
        let id = vpc.text_of("vpcId").unwrap_or_default().to_string();
        let support = dns_attribute(aws, &id, "enableDnsSupport").await?;
        let hostnames = dns_attribute(aws, &id, "enableDnsHostnames").await?;
        let table = main_route_table(aws, &id).await?;
        let mut attrs = described(vpc, &aws.region);
        attrs.extend([
            ("enable_dns_support", opt_flag(support)),
            ("enable_dns_hostnames", opt_flag(hostnames)),
            ("main_route_table_id", opt_text(table)),
        ]);
        Ok(Some(Value::object(attrs)))
    }
}

impl Aws {
    /// Lists VPCs. A call by id can't be paged.
    async fn ec2_call_or_pages(&self, api: Api, params: Params) -> Result<Vec<Xml>, ProviderError> {
        if params.iter().any(|(name, _)| name == "VpcId.1") {
            let answer = self.ec2_call(api, params).await?;
            return Ok(answer.child("vpcSet").map(|s| s.children.clone()).unwrap_or_default());
        }
        self.ec2_list(api, params, "vpcSet").await
    }
}

fn selection(config: &Value) -> Params {
    let mut params = Params::new();
    if let Some(id) = text(config, "id") {
        params.push(("VpcId.1".into(), id));
    }
    if let Some(default) = flag(config, "default") {
        push_filter(&mut params, "is-default", &[default.to_string()]);
    }
    for (argument, filter) in SELECTORS {
        if let Some(value) = text(config, argument) {
            push_filter(&mut params, filter, &[value]);
        }
    }
    push_filters(&mut params, config);
    params
}

/// What DescribeVpcs says of a VPC.
fn described(vpc: &Xml, region: &str) -> Vec<(&'static str, Value)> {
    let part = |name: &str| vpc.text_of(name).filter(|t| !t.is_empty());
    let id = part("vpcId").unwrap_or_default();
    let arn =
        part("ownerId").map(|owner| format!("arn:{}:ec2:{region}:{owner}:vpc/{id}", partition_of(region).id));
    let ranges = vpc.child("cidrBlockAssociationSet").map(|s| s.children.as_slice()).unwrap_or_default();
    let ranges = ranges.iter().map(|r| {
        Value::object([
            ("association_id", opt_text(r.text_of("associationId"))),
            ("cidr_block", opt_text(r.text_of("cidrBlock"))),
            ("state", opt_text(r.child("cidrBlockState").and_then(|s| s.text_of("state")))),
        ])
    });
    let six = vpc.child("ipv6CidrBlockAssociationSet").and_then(|s| s.children.first());
    vec![
        ("id", Value::string(id)),
        ("default", Value::bool(part("isDefault") == Some("true"))),
        ("cidr_block", opt_text(part("cidrBlock"))),
        ("state", opt_text(part("state"))),
        ("dhcp_options_id", opt_text(part("dhcpOptionsId"))),
        ("owner_id", opt_text(part("ownerId"))),
        ("instance_tenancy", opt_text(part("instanceTenancy"))),
        ("arn", opt_text(arn)),
        ("ipv6_cidr_block", opt_text(six.and_then(|s| s.text_of("ipv6CidrBlock")))),
        ("ipv6_association_id", opt_text(six.and_then(|s| s.text_of("associationId")))),
        ("cidr_block_associations", Value::tuple(ranges.collect())),
        ("tags", map_of(&tags_of(vpc))),
    ]
}

/// Nothing, where the credentials may not ask: the attribute is null then, the data source still works.
fn if_allowed<T>(answer: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == ErrorKind::Denied => Ok(None),
        Err(error) => Err(error),
    }
}

async fn dns_attribute(aws: &Aws, id: &str, name: &'static str) -> Result<Option<bool>, ProviderError> {
    let params = vec![("VpcId".to_string(), id.to_string()), ("Attribute".to_string(), name.to_string())];
    let answer = if_allowed(aws.ec2_call(Api::read("ec2", "DescribeVpcAttribute"), params).await)?;
    Ok(answer.and_then(|a| Some(a.child(name)?.text_of("value")? == "true")))
}

async fn main_route_table(aws: &Aws, id: &str) -> Result<Option<String>, ProviderError> {
    let mut params = Params::new();
    push_filter(&mut params, "association.main", &["true".to_string()]);
    push_filter(&mut params, "vpc-id", &[id.to_string()]);
    let api = Api::read("ec2", "DescribeRouteTables");
    let tables = if_allowed(aws.ec2_list(api, params, "routeTableSet").await)?.unwrap_or_default();
    Ok(tables.first().and_then(|t| t.text_of("routeTableId")).map(str::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{one, tuple_of};

    #[test]
    fn arguments_become_filters() {
        let check = |attrs: Vec<(&'static str, Value)>, expected: &str| {
            let params = selection(&Value::object(attrs));
            let shown: Vec<String> = params.iter().map(|(k, v)| format!("{k}={v}")).collect();
            assert_eq!(shown.join(" "), expected);
        };
        check(vec![("default", true.into())], "Filter.1.Name=is-default Filter.1.Value.1=true");
        check(vec![("id", "vpc-1".into())], "VpcId.1=vpc-1");
        check(
            vec![
                ("filter", one([("name", "vpc-id".into()), ("values", tuple_of(["a", "b"]))])),
                ("tags", Value::map(Type::String, [("Name", Value::string("n"))])),
            ],
            "Filter.1.Name=vpc-id Filter.1.Value.1=a Filter.1.Value.2=b Filter.2.Name=tag:Name Filter.2.Value.1=n",
        );
    }

    #[test]
    fn a_described_vpc_has_its_arn() {
        let xml = Xml::parse(
            "<item><vpcId>vpc-1</vpcId><ownerId>111111111111</ownerId><isDefault>true</isDefault>\
             <cidrBlock>10.0.0.0/16</cidrBlock></item>",
        )
        .unwrap();
        let attrs = described(&xml, "us-gov-west-1");
        let arn = attrs.iter().find(|(n, _)| *n == "arn").unwrap().1.as_str().unwrap().to_string();
        assert_eq!(arn, "arn:aws-us-gov:ec2:us-gov-west-1:111111111111:vpc/vpc-1");
    }
}
