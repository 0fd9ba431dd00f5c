//! `aws_vpc`: a network.

use super::{Ec2Kind, Edit, Table, arn, cidr_fault, ec2_schema, items, params_of, shown};
use crate::client::Aws;
use crate::ec2::{Params, Xml, push_filter};
use crate::error::Api;
use crate::resources::plain::{State, exclusive};
use crate::values::opt_text;
use groma_provider::{Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, Timeouts};
use groma_types::{Type, Value};

pub(super) struct Vpc;

const SETTING: &str = "ModifyVpcAttribute";

pub(super) static TABLE: Table = Table {
    list: "DescribeVpcs",
    set: "vpcSet",
    id: "vpcId",
    by: "VpcId",
    filter: "vpc-id",
    make: "CreateVpc",
    made: &["vpc", "vpcId"],
    drop: "DeleteVpc",
    drop_by: "VpcId",
    tag_type: "vpc",
    token: false,
    // DNS must answer before it may give names.
    edits: &[
        Edit {
            attr: "enable_dns_support",
            operation: SETTING,
            parameter: "EnableDnsSupport.Value",
            initially: "true",
        },
        Edit {
            attr: "enable_dns_hostnames",
            operation: SETTING,
            parameter: "EnableDnsHostnames.Value",
            initially: "false",
        },
        Edit {
            attr: "enable_network_address_usage_metrics",
            operation: SETTING,
            parameter: "EnableNetworkAddressUsageMetrics.Value",
            initially: "false",
        },
    ],
};

/// Arguments of the create, and the parameter of each.
const ARGUMENTS: [(&str, &str); 8] = [
    ("cidr_block", "CidrBlock"),
    ("instance_tenancy", "InstanceTenancy"),
    ("ipv4_ipam_pool_id", "Ipv4IpamPoolId"),
    ("ipv4_netmask_length", "Ipv4NetmaskLength"),
    ("assign_generated_ipv6_cidr_block", "AmazonProvidedIpv6CidrBlock"),
    ("ipv6_ipam_pool_id", "Ipv6IpamPoolId"),
    ("ipv6_netmask_length", "Ipv6NetmaskLength"),
    ("ipv6_cidr_block_network_border_group", "Ipv6CidrBlockNetworkBorderGroup"),
];

/// Settings of a VPC, and what else is known of one: shared with the default VPC.
pub(super) fn common(block: Block) -> Block {
    let text = |doc: &str| Attribute::computed(Type::String, doc);
    block
        .attr(
            "enable_dns_support",
            Attribute::optional(Type::Bool, "Whether the VPC's own DNS answers.").default(true),
        )
        .attr(
            "enable_network_address_usage_metrics",
            Attribute::optional_computed(Type::Bool, "Whether use of addresses is measured."),
        )
        .attr("arn", text("ARN of the VPC."))
        .attr("owner_id", text("Account of the owner."))
        .attr("dhcp_options_id", text("DHCP options."))
        .attr("main_route_table_id", text("Route table of subnets without an association."))
        .attr("default_route_table_id", text("Route table that came with the VPC."))
        .attr("default_security_group_id", text("Security group that came with the VPC."))
        .attr("default_network_acl_id", text("Network ACL that came with the VPC."))
        .attr("ipv6_association_id", text("Association of the IPv6 range."))
}

#[async_trait]
impl Ec2Kind for Vpc {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn schema(&self) -> KindSchema {
        let once = |ty: Type, doc: &str| Attribute::optional(ty, doc).replaces();
        let block = common(Block::new("A virtual network."))
            .attr(
                "cidr_block",
                Attribute::optional_computed(Type::String, "Range of IPv4 addresses.").replaces(),
            )
            .attr(
                "enable_dns_hostnames",
                Attribute::optional_computed(Type::Bool, "Whether instances get DNS names; off by default."),
            )
            .attr("instance_tenancy", once(Type::String, "default or dedicated.").default("default"))
            .attr("ipv4_ipam_pool_id", once(Type::String, "IPAM pool of the IPv4 range."))
            .attr("ipv4_netmask_length", once(Type::Number, "Length of the range from the pool."))
            .attr("assign_generated_ipv6_cidr_block", once(Type::Bool, "Whether AWS gives an IPv6 range."))
            .attr("ipv6_ipam_pool_id", once(Type::String, "IPAM pool of the IPv6 range."))
            .attr("ipv6_netmask_length", once(Type::Number, "Length of the range from the pool."))
            .attr(
                "ipv6_cidr_block",
                Attribute::optional_computed(Type::String, "Range of IPv6 addresses.").replaces(),
            )
            .attr(
                "ipv6_cidr_block_network_border_group",
                Attribute::optional_computed(Type::String, "Zones that announce the IPv6 range.").replaces(),
            );
        ec2_schema("aws_vpc", block, Timeouts::minutes(5, 5, 15))
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut problems: Vec<Problem> = cidr_fault(config, "cidr_block").into_iter().collect();
        problems.extend(exclusive(config, &["cidr_block", "ipv4_ipam_pool_id"], true));
        problems
    }

    fn request(&self, planned: &Value, _: &str) -> Params {
        let mut params = params_of(planned, &ARGUMENTS);
        params.extend(params_of(planned, &[("ipv6_cidr_block", "Ipv6CidrBlock")]));
        params
    }

    fn show(&self, aws: &Aws, item: &Xml, _: &Value) -> Vec<(&'static str, Value)> {
        let id = item.text_of("vpcId").unwrap_or_default();
        let six = items(item, "ipv6CidrBlockAssociationSet").first();
        let six_part = |name: &str| six.map_or(Value::NULL, |s| shown(s, name));
        vec![
            ("id", Value::string(id)),
            ("arn", arn(aws, item.text_of("ownerId"), &format!("vpc/{id}"))),
            ("owner_id", shown(item, "ownerId")),
            ("cidr_block", shown(item, "cidrBlock")),
            ("instance_tenancy", shown(item, "instanceTenancy")),
            ("dhcp_options_id", shown(item, "dhcpOptionsId")),
            ("ipv6_cidr_block", six_part("ipv6CidrBlock")),
            ("ipv6_association_id", six_part("associationId")),
            ("ipv6_cidr_block_network_border_group", six_part("networkBorderGroup")),
        ]
    }

    fn state(&self, item: &Xml) -> Option<State> {
        Some(available(item))
    }

    async fn complete(
        &self,
        aws: &Aws,
        id: &str,
        attrs: &mut Vec<(&'static str, Value)>,
    ) -> Result<(), ProviderError> {
        complete(aws, id, attrs).await
    }
}

/// Objects with a `state` of `pending` and `available`.
pub(super) fn available(item: &Xml) -> State {
    match item.text_of("state") {
        Some("available") | None => State::Ready,
        Some(other) => State::Pending(other.to_string()),
    }
}

/// Settings and companions of a VPC, each from a call of its own.
pub(super) async fn complete(
    aws: &Aws,
    id: &str,
    attrs: &mut Vec<(&'static str, Value)>,
) -> Result<(), ProviderError> {
    let settings = [
        ("enable_dns_support", "enableDnsSupport"),
        ("enable_dns_hostnames", "enableDnsHostnames"),
        ("enable_network_address_usage_metrics", "enableNetworkAddressUsageMetrics"),
    ];
    for (attr, name) in settings {
        let params = vec![("VpcId".to_string(), id.to_string()), ("Attribute".to_string(), name.to_string())];
        let answer = aws.ec2_call(Api::read("ec2", "DescribeVpcAttribute"), params).await?;
        let on = answer.child(name).and_then(|a| a.text_of("value")) == Some("true");
        attrs.push((attr, Value::bool(on)));
    }
    let table =
        companion(aws, id, "DescribeRouteTables", "routeTableSet", ("association.main", "true")).await?;
    let table = opt_text(table.as_ref().and_then(|t| t.text_of("routeTableId")));
    attrs.extend([("main_route_table_id", table.clone()), ("default_route_table_id", table)]);
    let group =
        companion(aws, id, "DescribeSecurityGroups", "securityGroupInfo", ("group-name", "default")).await?;
    attrs.push(("default_security_group_id", opt_text(group.as_ref().and_then(|g| g.text_of("groupId")))));
    let acl = companion(aws, id, "DescribeNetworkAcls", "networkAclSet", ("default", "true")).await?;
    attrs.push(("default_network_acl_id", opt_text(acl.as_ref().and_then(|a| a.text_of("networkAclId")))));
    Ok(())
}

/// The one object of a VPC that a filter selects.
pub(super) async fn companion(
    aws: &Aws,
    vpc: &str,
    list: &'static str,
    set: &str,
    filter: (&str, &str),
) -> Result<Option<Xml>, ProviderError> {
    let mut params = Params::new();
    push_filter(&mut params, "vpc-id", &[vpc.to_string()]);
    push_filter(&mut params, filter.0, &[filter.1.to_string()]);
    Ok(aws.ec2_list(Api::read("ec2", list), params, set).await?.into_iter().next())
}
