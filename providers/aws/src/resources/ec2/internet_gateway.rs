//! `aws_internet_gateway`: a VPC's way to the internet.

use super::{Ec2Kind, Table, arg, arn, ec2_schema, items};
use crate::client::Aws;
use crate::ec2::{Params, Xml};
use crate::error::Api;
use crate::resources::plain::Change;
use crate::values::{opt_text, text};
use groma_provider::{ErrorKind, OpContext, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, Relation, Timeouts};
use groma_types::{Type, Value};

pub(super) struct InternetGateway;

static TABLE: Table = Table {
    list: "DescribeInternetGateways",
    set: "internetGatewaySet",
    id: "internetGatewayId",
    by: "InternetGatewayId",
    filter: "internet-gateway-id",
    make: "CreateInternetGateway",
    made: &["internetGateway", "internetGatewayId"],
    drop: "DeleteInternetGateway",
    drop_by: "InternetGatewayId",
    tag_type: "internet-gateway",
    token: false,
    edits: &[],
};

fn pair(gateway: &str, vpc: &str) -> Params {
    vec![("InternetGatewayId".into(), gateway.into()), ("VpcId".into(), vpc.into())]
}

/// Takes the gateway off a VPC; that it is not on it is no fault.
async fn detach(aws: &Aws, gateway: &str, vpc: &str) -> Result<(), ProviderError> {
    match aws.ec2_call(Api::write("ec2", "DetachInternetGateway"), pair(gateway, vpc)).await {
        Err(e) if e.kind != ErrorKind::NotFound && e.code.as_deref() != Some("Gateway.NotAttached") => Err(e),
        _ => Ok(()),
    }
}

#[async_trait]
impl Ec2Kind for InternetGateway {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn schema(&self) -> KindSchema {
        let block = Block::new("A gateway between a VPC and the internet.")
            .attr("vpc_id", Attribute::optional_computed(Type::String, "Id of the VPC that it is on."))
            .attr("arn", Attribute::computed(Type::String, "ARN of the gateway."))
            .attr("owner_id", Attribute::computed(Type::String, "Account of the owner."));
        ec2_schema("aws_internet_gateway", block, Timeouts::minutes(20, 20, 20))
            .relation(Relation::GivesNetworkTo { arg: "vpc_id".into() })
    }

    fn request(&self, _: &Value, _: &str) -> Params {
        Params::new()
    }

    fn show(&self, aws: &Aws, item: &Xml, _: &Value) -> Vec<(&'static str, Value)> {
        let id = item.text_of("internetGatewayId").unwrap_or_default();
        let owner = item.text_of("ownerId");
        let vpc = items(item, "attachmentSet").first().and_then(|a| a.text_of("vpcId"));
        vec![
            ("id", Value::string(id)),
            ("arn", arn(aws, owner, &format!("internet-gateway/{id}"))),
            ("owner_id", opt_text(owner)),
            ("vpc_id", opt_text(vpc)),
        ]
    }

    async fn settle(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        if !change.of("vpc_id") {
            return Ok(false);
        }
        if let Some(old) = change.prior.and_then(|p| text(p, "vpc_id")) {
            let mapped = |e: &ProviderError| e.kind == ErrorKind::Conflict;
            let left = change.deadline.since(ctx.now());
            crate::wait::settle(ctx, left, mapped, || detach(aws, change.id, &old)).await?;
        }
        if let Some(vpc) = text(change.planned, "vpc_id") {
            let api = Api::write("ec2", "AttachInternetGateway");
            aws.ec2_make(api, pair(change.id, &vpc), ctx).await?;
        }
        Ok(true)
    }

    async fn release(
        &self,
        aws: &Aws,
        id: &str,
        prior: &Value,
        _: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        match arg(prior, "vpc_id").as_str() {
            "" => Ok(()),
            vpc => detach(aws, id, vpc).await,
        }
    }
}
