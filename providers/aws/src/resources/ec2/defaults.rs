//! The `aws_default_*` kinds: they take over what AWS made by itself and bring it to what is written. A delete lets go
//! of the object and leaves it as it is.

use super::route_table::{TABLE as ROUTE_TABLES, routes_block, show_gateways, show_routes, write_routes};
use super::security_group::{self, TABLE as GROUPS, write_rules};
use super::subnet::{self, TABLE as SUBNETS};
use super::vpc::{self, TABLE as VPCS, companion};
use super::{Table, arg, arn, ec2_schema, params_of, plain_text, shown, shown_flag, tags_of};
use crate::client::Aws;
use crate::ec2::{Params, Xml, push_filter};
use crate::error::Api;
use crate::resources::plain::{Change, New, Plain, Seen};
use crate::tags::TagChange;
use crate::values::text;
use groma_provider::{ErrorKind, Identity, OpContext, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, Timeouts};
use groma_types::{Type, Value};

/// What the default kinds have in common.
#[async_trait]
trait Adopted: Send + Sync {
    const TABLE: &'static Table;
    fn block(&self) -> (&'static str, Block);
    /// The object that the arguments mean.
    async fn lookup(&self, aws: &Aws, planned: &Value) -> Result<Option<Xml>, ProviderError>;
    /// Makes the object where AWS can be asked for it.
    async fn ask_for(&self, aws: &Aws, planned: &Value) -> Result<(), ProviderError> {
        let _ = (aws, planned);
        Ok(())
    }
    fn show(&self, aws: &Aws, item: &Xml, before: &Value) -> Vec<(&'static str, Value)>;
    async fn complete(
        &self,
        aws: &Aws,
        id: &str,
        attrs: &mut Vec<(&'static str, Value)>,
    ) -> Result<(), ProviderError> {
        let _ = (aws, id, attrs);
        Ok(())
    }
    async fn write(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        let _ = ctx;
        write_edits(aws, Self::TABLE, change).await
    }
}

/// Writes settings that differ from what the object has.
async fn write_edits(aws: &Aws, table: &Table, change: &Change<'_>) -> Result<bool, ProviderError> {
    for edit in table.edits.iter().filter(|edit| change.of(edit.attr)) {
        let wanted = plain_text(change.planned.get(edit.attr));
        let params = vec![(table.drop_by.into(), change.id.to_string()), (edit.parameter.into(), wanted)];
        aws.ec2_call(Api::write("ec2", edit.operation), params).await?;
    }
    Ok(true)
}

/// The first object of a list.
async fn first(aws: &Aws, table: &Table, filters: &[(&str, &str)]) -> Result<Option<Xml>, ProviderError> {
    let mut params = Params::new();
    for (name, value) in filters {
        push_filter(&mut params, name, &[value.to_string()]);
    }
    Ok(aws.ec2_list(table.list_api(), params, table.set).await?.into_iter().next())
}

macro_rules! adopted {
    ($kind:ty) => {
        #[async_trait]
        impl Plain for $kind {
            fn schema(&self) -> KindSchema {
                let (kind, block) = self.block();
                // The object was there before: a mark would claim what is not ours.
                KindSchema { owner_mark: false, ..ec2_schema(kind, block, Timeouts::minutes(10, 10, 5)) }
            }

            async fn make(
                &self,
                aws: &Aws,
                new: &New<'_>,
                _: &dyn OpContext,
            ) -> Result<String, ProviderError> {
                let mut found = self.lookup(aws, new.planned).await?;
                if found.is_none() {
                    self.ask_for(aws, new.planned).await?;
                    found = self.lookup(aws, new.planned).await?;
                }
                let id = found.as_ref().and_then(|x| x.text_of(Self::TABLE.id)).unwrap_or_default();
                if id.is_empty() {
                    let text = "there is no such default object to take over";
                    return Err(ProviderError::new(ErrorKind::NotFound, text)
                        .asked(format!("ec2:{}", Self::TABLE.list)));
                }
                let set = TagChange { set: new.tags.clone(), unset: Vec::new() };
                aws.ec2_tag(id, &set).await?;
                Ok(id.to_string())
            }

            async fn see(&self, aws: &Aws, id: &str, before: &Value) -> Result<Option<Seen>, ProviderError> {
                let Some(item) = aws.ec2_one(Self::TABLE, id).await? else { return Ok(None) };
                let mut attrs = self.show(aws, &item, before);
                self.complete(aws, id, &mut attrs).await?;
                Ok(Some(Seen::of(attrs, tags_of(&item))))
            }

            async fn change(
                &self,
                aws: &Aws,
                change: &Change<'_>,
                ctx: &dyn OpContext,
            ) -> Result<bool, ProviderError> {
                self.write(aws, change, ctx).await
            }

            async fn tag(
                &self,
                aws: &Aws,
                id: &str,
                _: &Value,
                change: &TagChange,
            ) -> Result<(), ProviderError> {
                aws.ec2_tag(id, change).await
            }

            /// Lets go: the object belongs to AWS's own set-up and stays.
            async fn remove(
                &self,
                _: &Aws,
                _: &str,
                _: &Value,
                _: &dyn OpContext,
            ) -> Result<(), ProviderError> {
                Ok(())
            }

            fn stays(&self) -> bool {
                true
            }

            async fn find(
                &self,
                aws: &Aws,
                planned: &Value,
                _: &Identity,
            ) -> Result<Option<String>, ProviderError> {
                let found = self.lookup(aws, planned).await?;
                Ok(found.and_then(|x| x.text_of(Self::TABLE.id).map(str::to_string)))
            }
        }
    };
}

adopted!(DefaultVpc);
adopted!(DefaultSubnet);
adopted!(DefaultSecurityGroup);
adopted!(DefaultRouteTable);

/// `aws_default_vpc`: the region's default VPC.
pub(super) struct DefaultVpc;

#[async_trait]
impl Adopted for DefaultVpc {
    const TABLE: &'static Table = &VPCS;

    fn block(&self) -> (&'static str, Block) {
        let text = |doc: &str| Attribute::computed(Type::String, doc);
        let block = vpc::common(Block::new("The region's default VPC, taken over."))
            .attr(
                "enable_dns_hostnames",
                Attribute::optional(Type::Bool, "Whether instances get DNS names.").default(true),
            )
            .attr("cidr_block", text("Range of IPv4 addresses."))
            .attr("instance_tenancy", text("Tenancy of instances."))
            .attr("existing_default_vpc", Attribute::computed(Type::Bool, "Whether it was there before."))
            .attr("ipv6_cidr_block", text("Range of IPv6 addresses."));
        ("aws_default_vpc", block)
    }

    async fn lookup(&self, aws: &Aws, _: &Value) -> Result<Option<Xml>, ProviderError> {
        first(aws, &VPCS, &[("is-default", "true")]).await
    }

    async fn ask_for(&self, aws: &Aws, _: &Value) -> Result<(), ProviderError> {
        aws.ec2_call(Api::write("ec2", "CreateDefaultVpc"), Params::new()).await.map(|_| ())
    }

    fn show(&self, aws: &Aws, item: &Xml, _: &Value) -> Vec<(&'static str, Value)> {
        let id = item.text_of("vpcId").unwrap_or_default();
        vec![
            ("id", Value::string(id)),
            ("arn", arn(aws, item.text_of("ownerId"), &format!("vpc/{id}"))),
            ("owner_id", shown(item, "ownerId")),
            ("cidr_block", shown(item, "cidrBlock")),
            ("instance_tenancy", shown(item, "instanceTenancy")),
            ("dhcp_options_id", shown(item, "dhcpOptionsId")),
            ("existing_default_vpc", shown_flag(item, "isDefault")),
        ]
    }

    async fn complete(
        &self,
        aws: &Aws,
        id: &str,
        attrs: &mut Vec<(&'static str, Value)>,
    ) -> Result<(), ProviderError> {
        vpc::complete(aws, id, attrs).await
    }
}

/// `aws_default_subnet`: a zone's default subnet.
pub(super) struct DefaultSubnet;

#[async_trait]
impl Adopted for DefaultSubnet {
    const TABLE: &'static Table = &SUBNETS;

    fn block(&self) -> (&'static str, Block) {
        let text = |doc: &str| Attribute::computed(Type::String, doc);
        let block = subnet::common(Block::new("A zone's default subnet, taken over."), true)
            .attr("availability_zone", Attribute::required(Type::String, "Zone, by name.").replaces())
            .attr("availability_zone_id", text("Zone, by id."))
            .attr("vpc_id", text("Id of the VPC."))
            .attr("cidr_block", text("Range of IPv4 addresses."))
            .attr("ipv6_cidr_block", text("Range of IPv6 addresses."));
        ("aws_default_subnet", block)
    }

    async fn lookup(&self, aws: &Aws, planned: &Value) -> Result<Option<Xml>, ProviderError> {
        let zone = arg(planned, "availability_zone");
        first(aws, &SUBNETS, &[("default-for-az", "true"), ("availability-zone", &zone)]).await
    }

    async fn ask_for(&self, aws: &Aws, planned: &Value) -> Result<(), ProviderError> {
        let params = params_of(planned, &[("availability_zone", "AvailabilityZone")]);
        aws.ec2_call(Api::write("ec2", "CreateDefaultSubnet"), params).await.map(|_| ())
    }

    fn show(&self, _: &Aws, item: &Xml, _: &Value) -> Vec<(&'static str, Value)> {
        subnet::show(item)
    }
}

/// `aws_default_security_group`: the group that came with a VPC.
pub(super) struct DefaultSecurityGroup;

#[async_trait]
impl Adopted for DefaultSecurityGroup {
    const TABLE: &'static Table = &GROUPS;

    fn block(&self) -> (&'static str, Block) {
        let text = |doc: &str| Attribute::computed(Type::String, doc);
        let doc =
            "The security group that came with a VPC, taken over: rules that are not written are taken off.";
        let block = security_group::common(Block::new(doc))
            .attr(
                "vpc_id",
                Attribute::optional_computed(Type::String, "Id of the VPC; the default one if unset.")
                    .replaces(),
            )
            .attr("name", text("default."))
            .attr("description", text("What AWS wrote."));
        ("aws_default_security_group", block)
    }

    async fn lookup(&self, aws: &Aws, planned: &Value) -> Result<Option<Xml>, ProviderError> {
        let vpc = match text(planned, "vpc_id") {
            Some(vpc) => vpc,
            None => {
                let vpc = first(aws, &VPCS, &[("is-default", "true")]).await?;
                vpc.and_then(|v| v.text_of("vpcId").map(str::to_string)).unwrap_or_default()
            }
        };
        companion(aws, &vpc, GROUPS.list, GROUPS.set, ("group-name", "default")).await
    }

    fn show(&self, aws: &Aws, item: &Xml, before: &Value) -> Vec<(&'static str, Value)> {
        security_group::show(aws, item, before)
    }

    async fn write(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        write_rules(aws, change, change.prior.is_none(), ctx).await
    }
}

/// `aws_default_route_table`: the main route table of a VPC.
pub(super) struct DefaultRouteTable;

#[async_trait]
impl Adopted for DefaultRouteTable {
    const TABLE: &'static Table = &ROUTE_TABLES;

    fn block(&self) -> (&'static str, Block) {
        let text = |doc: &str| Attribute::computed(Type::String, doc);
        let block = Block::new("The route table that came with a VPC, taken over.")
            .attr(
                "default_route_table_id",
                Attribute::required(Type::String, "Id of the table: a VPC's `default_route_table_id`.")
                    .replaces(),
            )
            .attr(
                "propagating_vgws",
                Attribute::optional(Type::set(Type::String), "Gateways that bring their routes."),
            )
            .attr("arn", text("ARN of the table."))
            .attr("owner_id", text("Account of the owner."))
            .attr("vpc_id", text("Id of the VPC."))
            .block("route", routes_block());
        ("aws_default_route_table", block)
    }

    async fn lookup(&self, aws: &Aws, planned: &Value) -> Result<Option<Xml>, ProviderError> {
        aws.ec2_one(&ROUTE_TABLES, &arg(planned, "default_route_table_id")).await
    }

    fn show(&self, aws: &Aws, item: &Xml, before: &Value) -> Vec<(&'static str, Value)> {
        let id = item.text_of("routeTableId").unwrap_or_default();
        let gateways = show_gateways(item);
        let none = gateways.as_seq().is_none_or(|s| s.is_empty());
        let unwritten = crate::values::is_unset(before, "propagating_vgws");
        vec![
            ("id", Value::string(id)),
            ("default_route_table_id", Value::string(id)),
            ("arn", arn(aws, item.text_of("ownerId"), &format!("route-table/{id}"))),
            ("owner_id", shown(item, "ownerId")),
            ("vpc_id", shown(item, "vpcId")),
            ("route", show_routes(item)),
            ("propagating_vgws", if none && unwritten { Value::NULL } else { gateways }),
        ]
    }

    async fn write(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        write_routes(aws, change, ctx).await
    }
}
