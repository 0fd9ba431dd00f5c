//! `aws_route_table_association`: which route table a subnet or a gateway has. There is one for each, so it is read
//! by subnet or gateway; `import` takes `SUBNET_OR_GATEWAY/TABLE`.

use super::{arg, items, params_of, untagged_schema};
use crate::client::Aws;
use crate::ec2::{Params, Xml, push_filter};
use crate::error::Api;
use crate::resources::plain::{Change, New, Plain, Seen, State, exclusive};
use crate::values::{opt_text, text};
use groma_provider::{Identity, OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, Relation, Timeouts};
use groma_types::{Type, Value};

pub(super) struct Association;

/// The association of a subnet or gateway.
async fn find(aws: &Aws, of: &str) -> Result<Option<Xml>, ProviderError> {
    let is_subnet = of.starts_with("subnet-");
    let filter = if is_subnet { "association.subnet-id" } else { "association.gateway-id" };
    let member = if is_subnet { "subnetId" } else { "gatewayId" };
    let mut params = Params::new();
    push_filter(&mut params, filter, &[of.to_string()]);
    let tables = aws.ec2_list(Api::read("ec2", "DescribeRouteTables"), params, "routeTableSet").await?;
    let all = tables.iter().flat_map(|t| items(t, "associationSet"));
    Ok(all.into_iter().find(|a| a.text_of(member) == Some(of)).cloned())
}

fn of(value: &Value) -> String {
    text(value, "subnet_id").or_else(|| text(value, "gateway_id")).unwrap_or_default()
}

#[async_trait]
impl Plain for Association {
    fn schema(&self) -> KindSchema {
        let block = Block::new("Gives a subnet or a gateway a route table.")
            .attr("subnet_id", Attribute::optional(Type::String, "Id of the subnet.").replaces())
            .attr("gateway_id", Attribute::optional(Type::String, "Id of the gateway.").replaces())
            .attr("route_table_id", Attribute::required(Type::String, "Id of the route table."))
            .attr(
                "id",
                Attribute::computed(Type::String, "Id of the association.").changes_with(&["route_table_id"]),
            );
        let mut schema = untagged_schema("aws_route_table_association", block, Timeouts::minutes(5, 2, 5))
            .key(&["subnet_id", "gateway_id"])
            .relation(Relation::GivesNetworkTo { arg: "subnet_id".into() })
            // The subnet's way out works when the table has its routes.
            .relation(Relation::UsesNetworkOf { arg: "route_table_id".into() });
        schema.lists = false;
        schema.pure_relation = true;
        schema
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        exclusive(config, &["subnet_id", "gateway_id"], true)
    }

    fn id(&self, attrs: &Value) -> String {
        format!("{}/{}", of(attrs), arg(attrs, "route_table_id"))
    }

    fn known(&self, _: &str) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    async fn make(&self, aws: &Aws, new: &New<'_>, ctx: &dyn OpContext) -> Result<String, ProviderError> {
        let params = params_of(
            new.planned,
            &[("route_table_id", "RouteTableId"), ("subnet_id", "SubnetId"), ("gateway_id", "GatewayId")],
        );
        aws.ec2_make(Api::write("ec2", "AssociateRouteTable"), params, ctx).await?;
        Ok(self.id(new.planned))
    }

    async fn see(&self, aws: &Aws, id: &str, _: &Value) -> Result<Option<Seen>, ProviderError> {
        let Some(found) = find(aws, id.split('/').next().unwrap_or(id)).await? else { return Ok(None) };
        let state = match found.child("associationState").and_then(|s| s.text_of("state")) {
            Some("associated") | None => State::Ready,
            Some("disassociated") => return Ok(None),
            Some("failed") => State::Failed("the association failed".into()),
            Some(other) => State::Pending(other.to_string()),
        };
        let part = |name: &str| opt_text(found.text_of(name).filter(|t| !t.is_empty()));
        let attrs = vec![
            ("id", part("routeTableAssociationId")),
            ("subnet_id", part("subnetId")),
            ("gateway_id", part("gatewayId")),
            ("route_table_id", part("routeTableId")),
        ];
        Ok(Some(Seen { state, ..Seen::of(attrs, Default::default()) }))
    }

    async fn change(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        let Some(prior) = change.prior else { return Ok(false) };
        let mut params = vec![("AssociationId".to_string(), arg(prior, "id"))];
        params.extend(params_of(change.planned, &[("route_table_id", "RouteTableId")]));
        aws.ec2_make(Api::write("ec2", "ReplaceRouteTableAssociation"), params, ctx).await?;
        Ok(true)
    }

    async fn remove(&self, aws: &Aws, id: &str, _: &Value, _: &dyn OpContext) -> Result<(), ProviderError> {
        // Its id may be unknown after a lost answer, and may be a new one after an update.
        let Some(found) = find(aws, id.split('/').next().unwrap_or(id)).await? else { return Ok(()) };
        let id = found.text_of("routeTableAssociationId").unwrap_or_default().to_string();
        let params = vec![("AssociationId".to_string(), id)];
        aws.ec2_call(Api::write("ec2", "DisassociateRouteTable"), params).await.map(|_| ())
    }

    async fn find(&self, aws: &Aws, planned: &Value, _: &Identity) -> Result<Option<String>, ProviderError> {
        let table = arg(planned, "route_table_id");
        let found = find(aws, &of(planned)).await?;
        let same = found.is_some_and(|f| f.text_of("routeTableId") == Some(&*table));
        Ok(same.then(|| self.id(planned)))
    }
}
