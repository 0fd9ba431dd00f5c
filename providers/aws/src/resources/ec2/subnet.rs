//! `aws_subnet`: a part of a VPC in one zone.

use super::vpc::available;
use super::{Ec2Kind, Edit, Table, cidr_fault, ec2_schema, items, params_of, shown, shown_flag};
use crate::client::Aws;
use crate::ec2::{Params, Xml};
use crate::resources::plain::{State, exclusive};
use groma_provider::{Problem, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, Relation, Timeouts};
use groma_types::{Type, Value};

pub(super) struct Subnet;

const fn setting(attr: &'static str, parameter: &'static str, initially: &'static str) -> Edit {
    Edit { attr, operation: "ModifySubnetAttribute", parameter, initially }
}

pub(super) static TABLE: Table = Table {
    list: "DescribeSubnets",
    set: "subnetSet",
    id: "subnetId",
    by: "SubnetId",
    filter: "subnet-id",
    make: "CreateSubnet",
    made: &["subnet", "subnetId"],
    drop: "DeleteSubnet",
    drop_by: "SubnetId",
    tag_type: "subnet",
    token: false,
    edits: &[
        setting("map_public_ip_on_launch", "MapPublicIpOnLaunch.Value", "false"),
        setting("assign_ipv6_address_on_creation", "AssignIpv6AddressOnCreation.Value", "false"),
        setting("enable_dns64", "EnableDns64.Value", "false"),
        setting(
            "enable_resource_name_dns_a_record_on_launch",
            "EnableResourceNameDnsARecordOnLaunch.Value",
            "false",
        ),
        setting(
            "enable_resource_name_dns_aaaa_record_on_launch",
            "EnableResourceNameDnsAAAARecordOnLaunch.Value",
            "false",
        ),
        setting("private_dns_hostname_type_on_launch", "PrivateDnsHostnameTypeOnLaunch", "ip-name"),
    ],
};

/// Settings of a subnet: shared with the default subnets.
pub(super) fn common(block: Block, public: bool) -> Block {
    let flag = |doc: &str| Attribute::optional(Type::Bool, doc).default(false);
    block
        .attr(
            "map_public_ip_on_launch",
            Attribute::optional(Type::Bool, "Whether instances get a public address.").default(public),
        )
        .attr("assign_ipv6_address_on_creation", flag("Whether interfaces get an IPv6 address."))
        .attr("enable_dns64", flag("Whether DNS makes IPv6 answers for IPv4 hosts."))
        .attr("enable_resource_name_dns_a_record_on_launch", flag("Whether names resolve to IPv4 addresses."))
        .attr(
            "enable_resource_name_dns_aaaa_record_on_launch",
            flag("Whether names resolve to IPv6 addresses."),
        )
        .attr(
            "private_dns_hostname_type_on_launch",
            Attribute::optional_computed(Type::String, "ip-name or resource-name."),
        )
        .attr("arn", Attribute::computed(Type::String, "ARN of the subnet."))
        .attr("owner_id", Attribute::computed(Type::String, "Account of the owner."))
        .attr(
            "ipv6_cidr_block_association_id",
            Attribute::computed(Type::String, "Association of the IPv6 range."),
        )
}

pub(super) fn show(item: &Xml) -> Vec<(&'static str, Value)> {
    let six = items(item, "ipv6CidrBlockAssociationSet").first();
    let six_part = |name: &str| six.map_or(Value::NULL, |s| shown(s, name));
    let empty = Xml::default();
    let names = item.child("privateDnsNameOptionsOnLaunch").unwrap_or(&empty);
    let off = |value: Value| if value.is_null() { Value::bool(false) } else { value };
    vec![
        ("id", shown(item, "subnetId")),
        ("arn", shown(item, "subnetArn")),
        ("owner_id", shown(item, "ownerId")),
        ("vpc_id", shown(item, "vpcId")),
        ("cidr_block", shown(item, "cidrBlock")),
        ("availability_zone", shown(item, "availabilityZone")),
        ("availability_zone_id", shown(item, "availabilityZoneId")),
        ("ipv6_cidr_block", six_part("ipv6CidrBlock")),
        ("ipv6_cidr_block_association_id", six_part("associationId")),
        ("ipv6_native", off(shown_flag(item, "ipv6Native"))),
        ("outpost_arn", shown(item, "outpostArn")),
        ("map_public_ip_on_launch", off(shown_flag(item, "mapPublicIpOnLaunch"))),
        ("assign_ipv6_address_on_creation", off(shown_flag(item, "assignIpv6AddressOnCreation"))),
        ("enable_dns64", off(shown_flag(item, "enableDns64"))),
        (
            "enable_resource_name_dns_a_record_on_launch",
            off(shown_flag(names, "enableResourceNameDnsARecord")),
        ),
        (
            "enable_resource_name_dns_aaaa_record_on_launch",
            off(shown_flag(names, "enableResourceNameDnsAAAARecord")),
        ),
        ("private_dns_hostname_type_on_launch", shown(names, "hostnameType")),
    ]
}

#[async_trait]
impl Ec2Kind for Subnet {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn schema(&self) -> KindSchema {
        let either = |doc: &str| Attribute::optional_computed(Type::String, doc).replaces();
        let block = common(Block::new("A subnet of a VPC."), false)
            .attr("vpc_id", Attribute::required(Type::String, "Id of the VPC.").replaces())
            .attr(
                "cidr_block",
                Attribute::optional(Type::String, "Range of IPv4 addresses, within the VPC's.").replaces(),
            )
            .attr("availability_zone", either("Zone, by name."))
            .attr("availability_zone_id", either("Zone, by id."))
            .attr(
                "ipv6_cidr_block",
                Attribute::optional(Type::String, "Range of IPv6 addresses, of length 64.").replaces(),
            )
            .attr(
                "ipv6_native",
                Attribute::optional(Type::Bool, "Whether there are IPv6 addresses only.")
                    .default(false)
                    .replaces(),
            )
            .attr("outpost_arn", Attribute::optional(Type::String, "ARN of the Outpost.").replaces());
        // A gateway of the VPC is there before what is public in it, and leaves after.
        ec2_schema("aws_subnet", block, Timeouts::minutes(10, 10, 20))
            .attached_to("vpc_id", "aws_vpc")
            .relation(Relation::UsesNetworkOf { arg: "vpc_id".into() })
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut problems: Vec<Problem> = cidr_fault(config, "cidr_block").into_iter().collect();
        problems.extend(exclusive(config, &["availability_zone", "availability_zone_id"], false));
        problems
    }

    fn request(&self, planned: &Value, _: &str) -> Params {
        params_of(
            planned,
            &[
                ("vpc_id", "VpcId"),
                ("cidr_block", "CidrBlock"),
                ("availability_zone", "AvailabilityZone"),
                ("availability_zone_id", "AvailabilityZoneId"),
                ("ipv6_cidr_block", "Ipv6CidrBlock"),
                ("outpost_arn", "OutpostArn"),
            ],
        )
    }

    fn show(&self, _: &Aws, item: &Xml, _: &Value) -> Vec<(&'static str, Value)> {
        show(item)
    }

    fn state(&self, item: &Xml) -> Option<State> {
        Some(available(item))
    }
}
