//! `aws_route_table`: where the traffic of subnets goes.

use super::{Ec2Kind, Table, arn, ec2_schema, items, params_of, shown};
use crate::client::Aws;
use crate::ec2::{Params, Xml};
use crate::error::Api;
use crate::resources::plain::Change;
use crate::values::{blocks, opt_text, text, texts, tuple_of};
use groma_provider::{ErrorKind, OpContext, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting, Relation, Timeouts};
use groma_types::{Type, Value};
use std::collections::BTreeMap;

pub(super) struct RouteTable;

pub(super) static TABLE: Table = Table {
    list: "DescribeRouteTables",
    set: "routeTableSet",
    id: "routeTableId",
    by: "RouteTableId",
    filter: "route-table-id",
    make: "CreateRouteTable",
    made: &["routeTable", "routeTableId"],
    drop: "DeleteRouteTable",
    drop_by: "RouteTableId",
    tag_type: "route-table",
    token: true,
    edits: &[],
};

/// Where a route leads to: argument of an inline route, parameter, member of an answer.
pub(super) const DESTINATIONS: [(&str, &str, &str); 3] = [
    ("cidr_block", "DestinationCidrBlock", "destinationCidrBlock"),
    ("ipv6_cidr_block", "DestinationIpv6CidrBlock", "destinationIpv6CidrBlock"),
    ("destination_prefix_list_id", "DestinationPrefixListId", "destinationPrefixListId"),
];

/// What a route goes through: argument, parameter, member of an answer.
pub(super) const TARGETS: [(&str, &str, &str); 9] = [
    ("gateway_id", "GatewayId", "gatewayId"),
    ("nat_gateway_id", "NatGatewayId", "natGatewayId"),
    ("network_interface_id", "NetworkInterfaceId", "networkInterfaceId"),
    ("transit_gateway_id", "TransitGatewayId", "transitGatewayId"),
    ("vpc_peering_connection_id", "VpcPeeringConnectionId", "vpcPeeringConnectionId"),
    ("vpc_endpoint_id", "VpcEndpointId", "gatewayId"),
    ("egress_only_gateway_id", "EgressOnlyInternetGatewayId", "egressOnlyInternetGatewayId"),
    ("local_gateway_id", "LocalGatewayId", "localGatewayId"),
    ("carrier_gateway_id", "CarrierGatewayId", "carrierGatewayId"),
];

/// The target of a route in an answer: endpoints stand where gateways do, told apart by their ids.
pub(super) fn target_in(route: &Xml) -> Vec<(&'static str, Value)> {
    TARGETS
        .iter()
        .map(|(attr, _, member)| {
            let found = route.text_of(member).filter(|id| {
                let is_endpoint = id.starts_with("vpce-");
                !id.is_empty() && (*member != "gatewayId" || is_endpoint == (*attr == "vpc_endpoint_id"))
            });
            (*attr, opt_text(found))
        })
        .collect()
}

/// Whether somebody wrote the route: not the VPC's own, and not one that a gateway propagates or an endpoint made.
pub(super) fn is_written(route: &Xml) -> bool {
    let gateway = route.text_of("gatewayId").unwrap_or_default();
    let endpoint = gateway.starts_with("vpce-") && route.text_of("destinationPrefixListId").is_some();
    route.text_of("origin") != Some("EnableVgwRoutePropagation") && gateway != "local" && !endpoint
}

/// The inline routes: shared with the default route table.
pub(super) fn routes_block() -> NestedBlock {
    let mut block =
        Block::new("A route; no blocks at all leave the routes to others, `route = []` takes all off.");
    for (name, ..) in DESTINATIONS {
        block = block.attr(name, Attribute::optional(Type::String, "Where the traffic goes to."));
    }
    for (name, ..) in TARGETS.iter().filter(|t| t.0 != "carrier_gateway_id") {
        block = block.attr(name, Attribute::optional(Type::String, "What it goes through."));
    }
    block =
        block.attr("core_network_arn", Attribute::optional(Type::String, "Core network it goes through."));
    block = block.attr("carrier_gateway_id", Attribute::optional(Type::String, "Carrier gateway."));
    NestedBlock { as_attribute: true, ..NestedBlock::new(Nesting::Set, block).computed() }
}

/// Routes by destination, as the parameters that make them.
type Routes = BTreeMap<(String, String), Params>;

fn written(value: &Value) -> Routes {
    let mut routes = Routes::new();
    for route in blocks(value, "route") {
        let destination = DESTINATIONS.iter().find_map(|(attr, parameter, _)| {
            text(route, attr).filter(|t| !t.is_empty()).map(|t| (parameter.to_string(), t))
        });
        let Some(destination) = destination else { continue };
        let targets: Vec<(&str, &str)> =
            TARGETS.iter().map(|(attr, parameter, _)| (*attr, *parameter)).collect();
        let mut target = params_of(route, &targets);
        target.extend(params_of(route, &[("core_network_arn", "CoreNetworkArn")]));
        routes.insert(destination, target);
    }
    routes
}

pub(super) fn show_routes(item: &Xml) -> Value {
    let row = |route: &Xml| {
        let destination = DESTINATIONS.iter().map(|(attr, _, member)| (*attr, shown(route, member)));
        let core = [("core_network_arn", shown(route, "coreNetworkArn"))];
        Value::object(destination.chain(target_in(route)).chain(core))
    };
    Value::tuple(items(item, "routeSet").iter().filter(|r| is_written(r)).map(row).collect())
}

pub(super) fn show_gateways(item: &Xml) -> Value {
    tuple_of(items(item, "propagatingVgwSet").iter().filter_map(|g| g.text_of("gatewayId")))
}

/// Brings the inline routes and the propagating gateways to the planned ones.
pub(super) async fn write_routes(
    aws: &Aws,
    change: &Change<'_>,
    ctx: &dyn OpContext,
) -> Result<bool, ProviderError> {
    let mut any = false;
    let in_table = |rest: &[(String, String)]| -> Params {
        let mut params = vec![("RouteTableId".to_string(), change.id.to_string())];
        params.extend(rest.iter().cloned());
        params
    };
    if change.of("route") {
        let (old, new) = (change.prior.map(written).unwrap_or_default(), written(change.planned));
        for destination in old.keys().filter(|d| !new.contains_key(*d)) {
            let api = Api::write("ec2", "DeleteRoute");
            match aws.ec2_call(api, in_table(std::slice::from_ref(destination))).await {
                Err(e) if e.kind != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        for (destination, target) in new.iter().filter(|(d, target)| old.get(*d) != Some(target)) {
            let name = if old.contains_key(destination) { "ReplaceRoute" } else { "CreateRoute" };
            let mut params = in_table(std::slice::from_ref(destination));
            params.extend(target.iter().cloned());
            aws.ec2_make(Api::write("ec2", name), params, ctx).await?;
        }
        any = true;
    }
    if change.of("propagating_vgws") {
        let set = |v: &Value| texts(v, "propagating_vgws").unwrap_or_default();
        let (old, new) = (change.prior.map(set).unwrap_or_default(), set(change.planned));
        let steps = [("DisableVgwRoutePropagation", &old, &new), ("EnableVgwRoutePropagation", &new, &old)];
        for (operation, these, others) in steps {
            for gateway in these.iter().filter(|g| !others.contains(g)) {
                let params = in_table(&[("GatewayId".into(), gateway.clone())]);
                aws.ec2_call(Api::write("ec2", operation), params).await?;
                any = true;
            }
        }
    }
    Ok(any)
}

#[async_trait]
impl Ec2Kind for RouteTable {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn schema(&self) -> KindSchema {
        let block = Block::new("A route table.")
            .attr("vpc_id", Attribute::required(Type::String, "Id of the VPC.").replaces())
            .attr(
                "propagating_vgws",
                Attribute::optional_computed(Type::set(Type::String), "Gateways that bring their routes."),
            )
            .attr("arn", Attribute::computed(Type::String, "ARN of the table."))
            .attr("owner_id", Attribute::computed(Type::String, "Account of the owner."))
            .block("route", routes_block());
        ec2_schema("aws_route_table", block, Timeouts::minutes(5, 2, 5))
            .attached_to("vpc_id", "aws_vpc")
            .relation(Relation::UsesNetworkOf { arg: "vpc_id".into() })
    }

    fn request(&self, planned: &Value, _: &str) -> Params {
        params_of(planned, &[("vpc_id", "VpcId")])
    }

    fn show(&self, aws: &Aws, item: &Xml, _: &Value) -> Vec<(&'static str, Value)> {
        let id = item.text_of("routeTableId").unwrap_or_default();
        vec![
            ("id", Value::string(id)),
            ("arn", arn(aws, item.text_of("ownerId"), &format!("route-table/{id}"))),
            ("owner_id", shown(item, "ownerId")),
            ("vpc_id", shown(item, "vpcId")),
            ("route", show_routes(item)),
            ("propagating_vgws", show_gateways(item)),
        ]
    }

    async fn settle(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        write_routes(aws, change, ctx).await
    }
}
