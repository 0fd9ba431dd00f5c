//! `aws_security_group`: what may reach a network interface, and what it may reach.

use super::permissions::{Permission, of_answer, of_blocks, params, to_blocks};
use super::{Ec2Kind, Table, arg, arn, ec2_schema, params_of, shown};
use crate::client::Aws;
use crate::ec2::{Params, Xml, push_filter};
use crate::error::Api;
use crate::resources::made_up_name;
use crate::resources::plain::{Change, exclusive};
use crate::values::{flag, text};
use groma_provider::{ErrorKind, OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting, Timeouts};
use groma_types::{Type, Value};
use std::collections::BTreeSet;

pub(super) struct SecurityGroup;

pub(super) static TABLE: Table = Table {
    list: "DescribeSecurityGroups",
    set: "securityGroupInfo",
    id: "groupId",
    by: "GroupId",
    filter: "group-id",
    make: "CreateSecurityGroup",
    made: &["groupId"],
    drop: "DeleteSecurityGroup",
    drop_by: "GroupId",
    tag_type: "security-group",
    token: false,
    edits: &[],
};

/// Direction: argument, member of an answer, ending of the operations.
pub(super) const DIRECTIONS: [(&str, &str, &str, &str); 2] = [
    ("ingress", "ipPermissions", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"),
    ("egress", "ipPermissionsEgress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress"),
];

fn rules_block(doc: &str) -> NestedBlock {
    let list = || Attribute::optional(Type::list(Type::String), "Others that it is about.");
    let block = Block::new(doc)
        .attr("protocol", Attribute::required(Type::String, "tcp, udp, icmp, a number, or -1 for all."))
        .attr("from_port", Attribute::required(Type::Number, "First port, or type of ICMP."))
        .attr("to_port", Attribute::required(Type::Number, "Last port, or code of ICMP."))
        .attr("cidr_blocks", list())
        .attr("ipv6_cidr_blocks", list())
        .attr("prefix_list_ids", list())
        .attr(
            "security_groups",
            Attribute::optional(Type::set(Type::String), "Security groups that it is about."),
        )
        .attr("self", Attribute::optional(Type::Bool, "Whether the group itself is among them."))
        .attr("description", Attribute::optional(Type::String, "What it is for."));
    NestedBlock { as_attribute: true, ..NestedBlock::new(Nesting::Set, block).computed() }
}

/// The rules, and what is known of a group: shared with the default security group.
pub(super) fn common(block: Block) -> Block {
    let text = |doc: &str| Attribute::computed(Type::String, doc);
    let none = "no blocks at all leave the rules to others, `= []` takes all off";
    block
        .attr("arn", text("ARN of the group."))
        .attr("owner_id", text("Account of the owner."))
        .attr(
            "revoke_rules_on_delete",
            Attribute::optional(Type::Bool, "Whether a delete first takes off rules that others wrote.")
                .default(false),
        )
        .block("ingress", rules_block(&format!("What may come in; {none}.")))
        .block("egress", rules_block(&format!("What may go out; {none}.")))
}

pub(super) fn show(aws: &Aws, item: &Xml, before: &Value) -> Vec<(&'static str, Value)> {
    let id = item.text_of("groupId").unwrap_or_default();
    let mut attrs = vec![
        ("id", Value::string(id)),
        ("arn", arn(aws, item.text_of("ownerId"), &format!("security-group/{id}"))),
        ("owner_id", shown(item, "ownerId")),
        ("vpc_id", shown(item, "vpcId")),
        ("name", shown(item, "groupName")),
        ("description", shown(item, "groupDescription")),
        ("revoke_rules_on_delete", Value::bool(flag(before, "revoke_rules_on_delete").unwrap_or(false))),
    ];
    for (argument, set, ..) in DIRECTIONS {
        attrs.push((argument, to_blocks(of_answer(item, set), before, argument, id)));
    }
    attrs
}

/// Makes one call for permissions, if there are any; what is already so is no fault.
pub(super) async fn send(
    aws: &Aws,
    operation: &'static str,
    permissions: &BTreeSet<Permission>,
    group: &str,
    ctx: &dyn OpContext,
) -> Result<(), ProviderError> {
    if permissions.is_empty() {
        return Ok(());
    }
    match aws.ec2_make(Api::write("ec2", operation), params(permissions, group), ctx).await {
        Err(e) if e.code.as_deref() == Some("InvalidPermission.NotFound") => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Brings the rules that are written to the planned ones; those of a fresh group to none.
pub(super) async fn write_rules(
    aws: &Aws,
    change: &Change<'_>,
    fresh: bool,
    ctx: &dyn OpContext,
) -> Result<bool, ProviderError> {
    let mut any = false;
    for (argument, set, authorize, revoke) in DIRECTIONS {
        if !fresh && !change.of(argument) {
            continue;
        }
        let wanted = of_blocks(change.planned, argument, change.id);
        let there = match change.prior {
            Some(prior) if !fresh => of_blocks(prior, argument, change.id),
            // A fresh group lets everything out.
            _ => {
                let group = aws.ec2_one(&TABLE, change.id).await?;
                group.map(|g| of_answer(&g, set)).unwrap_or_default()
            }
        };
        let gone: BTreeSet<Permission> = there.difference(&wanted).cloned().collect();
        let new: BTreeSet<Permission> = wanted.difference(&there).cloned().collect();
        send(aws, revoke, &gone, change.id, ctx).await?;
        send(aws, authorize, &new, change.id, ctx).await?;
        any |= !gone.is_empty() || !new.is_empty();
    }
    Ok(any)
}

/// Takes all rules off a group, so that groups that name each other can go.
pub(super) async fn revoke_all(aws: &Aws, id: &str, ctx: &dyn OpContext) -> Result<(), ProviderError> {
    let Some(group) = aws.ec2_one(&TABLE, id).await? else { return Ok(()) };
    for (_, set, _, revoke) in DIRECTIONS {
        send(aws, revoke, &of_answer(&group, set), id, ctx).await?;
    }
    Ok(())
}

#[async_trait]
impl Ec2Kind for SecurityGroup {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn schema(&self) -> KindSchema {
        let either = |doc: &str| Attribute::optional_computed(Type::String, doc).replaces();
        let block = common(Block::new("A security group of a VPC."))
            .attr("name", either("Name, unique in the VPC."))
            .attr("name_prefix", either("Beginning of a name that is made up."))
            .attr(
                "description",
                Attribute::optional(Type::String, "What the group is for.")
                    .default("Managed by Terraform")
                    .replaces(),
            )
            .attr("vpc_id", either("Id of the VPC; the default one if unset."));
        ec2_schema("aws_security_group", block, Timeouts::minutes(10, 10, 15))
            .key(&["vpc_id", "name"])
            .attached_to("vpc_id", "aws_vpc")
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        exclusive(config, &["name", "name_prefix"], false)
    }

    fn refine(&self, input: &PlanInput<'_>, out: &mut PlanOutput) -> Result<(), ProviderError> {
        let Some(prior) = input.prior else { return Ok(()) };
        for (argument, ..) in DIRECTIONS {
            let (Some(old), Some(new)) = (prior.get(argument), out.planned.get(argument)) else { continue };
            let same = || {
                let own = arg(prior, "id");
                of_blocks(prior, argument, &own) == of_blocks(&out.planned, argument, &own)
            };
            // The same permissions, packed in another way, are no change.
            if new.is_wholly_known() && !new.is_null() && same() {
                out.planned = out.planned.with_attr(argument, old.clone());
            }
        }
        Ok(())
    }

    fn request(&self, planned: &Value, token: &str) -> Params {
        let prefix = text(planned, "name_prefix");
        let name = text(planned, "name").unwrap_or_else(|| made_up_name(prefix.as_deref(), token, 255));
        let mut params = params_of(planned, &[("description", "GroupDescription"), ("vpc_id", "VpcId")]);
        params.push(("GroupName".into(), name));
        params
    }

    fn show(&self, aws: &Aws, item: &Xml, before: &Value) -> Vec<(&'static str, Value)> {
        show(aws, item, before)
    }

    async fn settle(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        write_rules(aws, change, change.prior.is_none(), ctx).await
    }

    async fn release(
        &self,
        aws: &Aws,
        id: &str,
        prior: &Value,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        match flag(prior, "revoke_rules_on_delete") {
            Some(true) => revoke_all(aws, id, ctx).await,
            _ => Ok(()),
        }
    }

    fn natural(&self, planned: &Value) -> Option<Params> {
        let mut params = Params::new();
        push_filter(&mut params, "group-name", &[text(planned, "name")?]);
        push_filter(&mut params, "vpc-id", &[text(planned, "vpc_id")?]);
        Some(params)
    }
}

/// A group of a rule that is gone takes the rule with it.
pub(super) async fn described(aws: &Aws, id: &str) -> Result<Option<Xml>, ProviderError> {
    match aws.ec2_one(&TABLE, id).await {
        Err(e) if e.kind == ErrorKind::NotFound => Ok(None),
        other => other,
    }
}

/// The group that a rule belongs to.
pub(super) fn group_of(value: &Value) -> String {
    arg(value, "security_group_id")
}
