//! `aws_eip`: a public address that stays.

use super::{Ec2Kind, Table, arg, arn, ec2_schema, params_of, shown};
use crate::client::Aws;
use crate::ec2::{Params, Xml};
use crate::error::Api;
use crate::resources::plain::{Change, exclusive};
use crate::values::text;
use groma_provider::{ErrorKind, OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, Timeouts};
use groma_types::{Type, Value};

pub(super) struct Eip;

static TABLE: Table = Table {
    list: "DescribeAddresses",
    set: "addressesSet",
    id: "allocationId",
    by: "AllocationId",
    filter: "allocation-id",
    make: "AllocateAddress",
    made: &["allocationId"],
    drop: "ReleaseAddress",
    drop_by: "AllocationId",
    tag_type: "elastic-ip",
    token: false,
    edits: &[],
};

/// Takes the address off whatever it is on.
async fn disassociate(aws: &Aws, association: &str) -> Result<(), ProviderError> {
    let params = vec![("AssociationId".to_string(), association.to_string())];
    match aws.ec2_call(Api::write("ec2", "DisassociateAddress"), params).await {
        Err(e) if e.kind != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[async_trait]
impl Ec2Kind for Eip {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn schema(&self) -> KindSchema {
        let shown = |doc: &str| {
            Attribute::computed(Type::String, doc).changes_with(&[
                "instance",
                "network_interface",
                "associate_with_private_ip",
            ])
        };
        let either = |doc: &str| Attribute::optional_computed(Type::String, doc);
        let block = Block::new("An Elastic IP address.")
            .attr("domain", either("vpc.").replaces())
            .attr("instance", either("Instance that it is on."))
            .attr("network_interface", either("Network interface that it is on."))
            .attr(
                "associate_with_private_ip",
                Attribute::optional(Type::String, "Private address to stand before."),
            )
            .attr(
                "address",
                Attribute::optional(Type::String, "Address to take from the account's own.").replaces(),
            )
            .attr("public_ipv4_pool", either("Pool of addresses.").replaces())
            .attr("network_border_group", either("Zones that announce the address.").replaces())
            .attr("allocation_id", Attribute::computed(Type::String, "The id."))
            .attr("arn", Attribute::computed(Type::String, "ARN of the address."))
            .attr("public_ip", Attribute::computed(Type::String, "The address."))
            .attr("association_id", shown("Association with what it is on."))
            .attr("private_ip", shown("Private address behind it."));
        ec2_schema("aws_eip", block, Timeouts::minutes(15, 5, 5))
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        exclusive(config, &["instance", "network_interface"], false)
    }

    fn request(&self, planned: &Value, _: &str) -> Params {
        let mut params = params_of(
            planned,
            &[
                ("address", "Address"),
                ("public_ipv4_pool", "PublicIpv4Pool"),
                ("network_border_group", "NetworkBorderGroup"),
            ],
        );
        params.push(("Domain".into(), text(planned, "domain").unwrap_or("vpc".into())));
        params
    }

    fn show(&self, aws: &Aws, item: &Xml, _: &Value) -> Vec<(&'static str, Value)> {
        let id = item.text_of("allocationId").unwrap_or_default();
        let owner = aws.known_account();
        vec![
            ("id", Value::string(id)),
            ("allocation_id", Value::string(id)),
            ("arn", arn(aws, owner.as_deref(), &format!("elastic-ip/{id}"))),
            ("domain", shown(item, "domain")),
            ("public_ip", shown(item, "publicIp")),
            ("instance", shown(item, "instanceId")),
            ("network_interface", shown(item, "networkInterfaceId")),
            ("association_id", shown(item, "associationId")),
            ("private_ip", shown(item, "privateIpAddress")),
            ("public_ipv4_pool", shown(item, "publicIpv4Pool")),
            ("network_border_group", shown(item, "networkBorderGroup")),
        ]
    }

    async fn settle(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        if !["instance", "network_interface", "associate_with_private_ip"].iter().any(|a| change.of(a)) {
            return Ok(false);
        }
        let mut params = params_of(
            change.planned,
            &[
                ("instance", "InstanceId"),
                ("network_interface", "NetworkInterfaceId"),
                ("associate_with_private_ip", "PrivateIpAddress"),
            ],
        );
        if let Some(old) = change.prior.and_then(|p| text(p, "association_id")) {
            disassociate(aws, &old).await?;
        }
        if !params.is_empty() {
            params.push(("AllocationId".into(), change.id.to_string()));
            aws.ec2_make(Api::write("ec2", "AssociateAddress"), params, ctx).await?;
        }
        Ok(true)
    }

    async fn release(
        &self,
        aws: &Aws,
        _: &str,
        prior: &Value,
        _: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        // What a NAT gateway holds, only the gateway's end lets go.
        let own = text(prior, "instance").is_some();
        if own && !arg(prior, "association_id").is_empty() {
            return disassociate(aws, &arg(prior, "association_id")).await;
        }
        Ok(())
    }
}
