//! `aws_route`: one route of a route table. Its id is what `import` takes: `TABLE_DESTINATION`.

use super::route_table::{TABLE, TARGETS, is_written, target_in};
use super::{arg, items, params_of, shown, untagged_schema};
use crate::client::Aws;
use crate::ec2::{Params, Xml};
use crate::error::Api;
use crate::resources::plain::{Change, New, Plain, Seen, exclusive};
use crate::values::text;
use groma_provider::{
    ErrorKind, Identity, OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait,
};
use groma_types::schema::{Attribute, Block, KindSchema, Relation, Timeouts};
use groma_types::{Type, Value};

pub(super) struct Route;

/// Arguments for the destination, their parameters and members of answers.
const DESTINATIONS: [(&str, &str, &str); 3] = [
    ("destination_cidr_block", "DestinationCidrBlock", "destinationCidrBlock"),
    ("destination_ipv6_cidr_block", "DestinationIpv6CidrBlock", "destinationIpv6CidrBlock"),
    ("destination_prefix_list_id", "DestinationPrefixListId", "destinationPrefixListId"),
];

fn destination(value: &Value) -> Option<(&'static str, String)> {
    DESTINATIONS
        .iter()
        .find_map(|(attr, parameter, _)| text(value, attr).filter(|t| !t.is_empty()).map(|t| (*parameter, t)))
}

fn id_of(table: &str, destination: &str) -> String {
    format!("{table}_{destination}")
}

fn request(planned: &Value) -> Params {
    let mut params = vec![("RouteTableId".to_string(), arg(planned, "route_table_id"))];
    params.extend(destination(planned).map(|(name, value)| (name.to_string(), value)));
    let targets: Vec<(&str, &str)> = TARGETS.iter().map(|(attr, parameter, _)| (*attr, *parameter)).collect();
    params.extend(params_of(planned, &targets));
    params.extend(params_of(planned, &[("core_network_arn", "CoreNetworkArn")]));
    params
}

/// The route of a table to a destination.
async fn find(aws: &Aws, table: &str, destination: &str) -> Result<Option<Xml>, ProviderError> {
    let Some(found) = aws.ec2_one(&TABLE, table).await? else { return Ok(None) };
    let is_it = |route: &&Xml| {
        let to = DESTINATIONS.iter().any(|(_, _, member)| route.text_of(member) == Some(destination));
        to && is_written(route)
    };
    Ok(items(&found, "routeSet").iter().find(is_it).cloned())
}

#[async_trait]
impl Plain for Route {
    fn schema(&self) -> KindSchema {
        let mut block = Block::new("A route of a route table.")
            .attr("route_table_id", Attribute::required(Type::String, "Id of the route table.").replaces())
            .attr(
                "destination_cidr_block",
                Attribute::optional(Type::String, "Range of IPv4 addresses it is for.").replaces(),
            )
            .attr(
                "destination_ipv6_cidr_block",
                Attribute::optional(Type::String, "Range of IPv6 addresses it is for.").replaces(),
            )
            .attr(
                "destination_prefix_list_id",
                Attribute::optional(Type::String, "Prefix list it is for.").replaces(),
            )
            .attr(
                "core_network_arn",
                Attribute::optional(Type::String, "Core network that it goes through."),
            );
        for (name, ..) in TARGETS {
            block = block.attr(name, Attribute::optional(Type::String, "What the traffic goes through."));
        }
        let targets: Vec<&str> = TARGETS.iter().map(|t| t.0).collect();
        let block = block
            .attr("origin", Attribute::computed(Type::String, "How it came to be."))
            .attr("state", Attribute::computed(Type::String, "active or blackhole.").changes_with(&targets));
        let mut schema = untagged_schema("aws_route", block, Timeouts::minutes(5, 2, 5))
            .key(&["route_table_id", "destination_cidr_block"])
            .attached_to("route_table_id", "aws_route_table")
            .relation(Relation::GivesNetworkTo { arg: "route_table_id".into() });
        schema.lists = false;
        schema
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let destinations: Vec<&str> = DESTINATIONS.iter().map(|d| d.0).collect();
        let mut targets: Vec<&str> = TARGETS.iter().map(|t| t.0).collect();
        targets.push("core_network_arn");
        let mut problems = exclusive(config, &destinations, true);
        problems.extend(exclusive(config, &targets, true));
        problems
    }

    fn refine(&self, input: &PlanInput<'_>, out: &mut PlanOutput) -> Result<(), ProviderError> {
        let table = text(&out.planned, "route_table_id");
        if let (None, Some(table), Some((_, to))) = (input.prior, table, destination(&out.planned)) {
            out.planned = out.planned.with_attr("id", Value::string(id_of(&table, &to)));
        }
        Ok(())
    }

    async fn make(&self, aws: &Aws, new: &New<'_>, ctx: &dyn OpContext) -> Result<String, ProviderError> {
        aws.ec2_make(Api::write("ec2", "CreateRoute"), request(new.planned), ctx).await?;
        let to = destination(new.planned).map(|(_, to)| to).unwrap_or_default();
        Ok(id_of(&arg(new.planned, "route_table_id"), &to))
    }

    async fn see(&self, aws: &Aws, id: &str, _: &Value) -> Result<Option<Seen>, ProviderError> {
        let Some((table, to)) = id.split_once('_') else {
            let text = format!("{id:?} is not `ROUTE_TABLE_DESTINATION`");
            return Err(ProviderError::new(ErrorKind::Invalid, text));
        };
        let Some(route) = find(aws, table, to).await? else { return Ok(None) };
        let mut attrs = vec![
            ("id", Value::string(id)),
            ("route_table_id", Value::string(table)),
            ("origin", shown(&route, "origin")),
            ("state", shown(&route, "state")),
            ("core_network_arn", shown(&route, "coreNetworkArn")),
        ];
        attrs.extend(DESTINATIONS.iter().map(|(attr, _, member)| (*attr, shown(&route, member))));
        attrs.extend(target_in(&route));
        Ok(Some(Seen::of(attrs, Default::default())))
    }

    async fn change(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        if change.prior.is_none() {
            return Ok(false);
        }
        aws.ec2_make(Api::write("ec2", "ReplaceRoute"), request(change.planned), ctx).await?;
        Ok(true)
    }

    async fn remove(
        &self,
        aws: &Aws,
        _: &str,
        prior: &Value,
        _: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let mut params = vec![("RouteTableId".to_string(), arg(prior, "route_table_id"))];
        params.extend(destination(prior).map(|(name, value)| (name.to_string(), value)));
        aws.ec2_call(Api::write("ec2", "DeleteRoute"), params).await.map(|_| ())
    }

    async fn find(&self, aws: &Aws, planned: &Value, _: &Identity) -> Result<Option<String>, ProviderError> {
        let (table, to) = (arg(planned, "route_table_id"), destination(planned));
        let to = to.map(|(_, to)| to).unwrap_or_default();
        Ok(find(aws, &table, &to).await?.map(|_| id_of(&table, &to)))
    }
}
