//! `aws_nat_gateway`: the way out for subnets without public addresses.

use super::{Ec2Kind, Table, ec2_schema, items, params_of, shown};
use crate::client::Aws;
use crate::ec2::{Params, Xml};
use crate::resources::plain::{State, fault};
use crate::values::text;
use groma_provider::{Problem, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, Relation, Timeouts};
use groma_types::{Type, Value};
use std::time::Duration;

pub(super) struct NatGateway;

static TABLE: Table = Table {
    list: "DescribeNatGateways",
    set: "natGatewaySet",
    id: "natGatewayId",
    by: "NatGatewayId",
    filter: "nat-gateway-id",
    make: "CreateNatGateway",
    made: &["natGateway", "natGatewayId"],
    drop: "DeleteNatGateway",
    drop_by: "NatGatewayId",
    tag_type: "natgateway",
    token: true,
    edits: &[],
};

#[async_trait]
impl Ec2Kind for NatGateway {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn schema(&self) -> KindSchema {
        let shown = |doc: &str| Attribute::computed(Type::String, doc);
        let block = Block::new("A gateway that translates addresses.")
            .attr("subnet_id", Attribute::required(Type::String, "Subnet that it stands in.").replaces())
            .attr(
                "allocation_id",
                Attribute::optional(Type::String, "Elastic IP address of a public gateway.").replaces(),
            )
            .attr(
                "connectivity_type",
                Attribute::optional(Type::String, "public or private.").default("public").replaces(),
            )
            .attr(
                "private_ip",
                Attribute::optional_computed(Type::String, "Its address in the subnet.").replaces(),
            )
            .attr("public_ip", shown("Its public address."))
            .attr("association_id", shown("Association of the address."))
            .attr("network_interface_id", shown("Its network interface."));
        let mut schema = ec2_schema("aws_nat_gateway", block, Timeouts::minutes(10, 10, 30))
            .attached_to("subnet_id", "aws_subnet")
            .relation(Relation::UsesNetworkOf { arg: "subnet_id".into() });
        schema.typical = Timeouts::all(Duration::from_secs(100));
        schema
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let kind = text(config, "connectivity_type");
        let address = config.get("allocation_id");
        let has = address.is_some_and(|v| !v.is_null());
        match kind.as_deref() {
            Some("private") if has => {
                vec![fault("allocation_id", "a private gateway has no public address")]
            }
            Some("private") => Vec::new(),
            Some("public") | None if has => Vec::new(),
            Some("public") | None => {
                vec![fault("allocation_id", "a public gateway needs an Elastic IP address")]
            }
            Some(_) => vec![fault("connectivity_type", "must be `public` or `private`")],
        }
    }

    fn request(&self, planned: &Value, _: &str) -> Params {
        params_of(
            planned,
            &[
                ("subnet_id", "SubnetId"),
                ("allocation_id", "AllocationId"),
                ("connectivity_type", "ConnectivityType"),
                ("private_ip", "PrivateIpAddress"),
            ],
        )
    }

    fn show(&self, _: &Aws, item: &Xml, before: &Value) -> Vec<(&'static str, Value)> {
        let main = items(item, "natGatewayAddressSet").first();
        let address = |name: &str| main.map_or(Value::NULL, |a| shown(a, name));
        let kind = match shown(item, "connectivityType") {
            kind if kind.is_null() => before.get("connectivity_type").cloned().unwrap_or("public".into()),
            kind => kind,
        };
        let allocation = match address("allocationId") {
            id if id.is_null() => before.get("allocation_id").cloned().unwrap_or(Value::NULL),
            id => id,
        };
        vec![
            ("id", shown(item, "natGatewayId")),
            ("subnet_id", shown(item, "subnetId")),
            ("connectivity_type", kind),
            ("allocation_id", allocation),
            ("private_ip", address("privateIp")),
            ("public_ip", address("publicIp")),
            ("association_id", address("associationId")),
            ("network_interface_id", address("networkInterfaceId")),
        ]
    }

    fn state(&self, item: &Xml) -> Option<State> {
        let part = |name: &str| item.text_of(name).unwrap_or_default();
        match part("state") {
            // The record of a deleted gateway stays visible for about an hour.
            "deleted" => None,
            "failed" => Some(State::Failed(format!("{}: {}", part("failureCode"), part("failureMessage")))),
            "available" => Some(State::Ready),
            other => Some(State::Pending(other.to_string())),
        }
    }
}
