//! `aws_security_group_rule`: permissions of a security group, all of one direction, protocol and range of ports.
//! The API has no such object, so its id is made of what it says: `GROUP_TYPE_PROTOCOL_FROM_TO_PEER...`, which is
//! what `import` takes.

use super::permissions::{Peer, Permission, of_answer, of_block, peers_value, protocol as protocol_of};
use super::security_group::{DIRECTIONS, described, group_of, send};
use super::{arg, untagged_schema};
use crate::client::Aws;
use crate::resources::plain::{Change, New, Plain, Seen, exclusive, fault};
use crate::values::{int, is_unset, opt_text, text};
use groma_provider::{
    ErrorKind, Identity, OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait,
};
use groma_types::schema::{Attribute, Block, KindSchema, Relation, Timeouts};
use groma_types::{Type, Value};
use std::collections::BTreeSet;

pub(super) struct Rule;

fn direction(kind: &str) -> Option<&'static (&'static str, &'static str, &'static str, &'static str)> {
    DIRECTIONS.iter().find(|d| d.0 == kind)
}

fn wanted(value: &Value) -> BTreeSet<Permission> {
    of_block(value, &group_of(value))
}

fn id_of(value: &Value) -> String {
    let permissions = wanted(value);
    let own = group_of(value);
    let peer = |p: &Permission| match &p.peer {
        Peer::Group(id) if *id == own => "self".to_string(),
        Peer::Cidr(v) | Peer::Cidr6(v) | Peer::Prefixes(v) | Peer::Group(v) => v.clone(),
    };
    let protocol = protocol_of(&arg(value, "protocol"));
    let protocol = if protocol == "-1" { "all".to_string() } else { protocol };
    let (from, to) = (int(value, "from_port").unwrap_or(0), int(value, "to_port").unwrap_or(0));
    let mut parts = vec![own.clone(), arg(value, "type"), protocol, from.to_string(), to.to_string()];
    parts.extend(permissions.iter().map(peer));
    parts.join("_")
}

/// The arguments that an id says.
fn parse(id: &str) -> Option<Value> {
    let mut parts = id.split('_');
    let group = parts.next()?;
    let (kind, protocol) = (parts.next()?, protocol_of(parts.next()?));
    let (from, to): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    direction(kind)?;
    let peer = |text: &str| match text {
        "self" => Peer::Group(group.to_string()),
        v if v.starts_with("pl-") => Peer::Prefixes(v.into()),
        v if v.contains("sg-") => Peer::Group(v.into()),
        v if v.contains(':') => Peer::Cidr6(v.into()),
        v => Peer::Cidr(v.into()),
    };
    let peers: Vec<Peer> = parts.map(peer).collect();
    let mut attrs = vec![
        ("security_group_id", group.into()),
        ("type", kind.into()),
        ("protocol", Value::string(protocol)),
        ("from_port", Value::number(from)),
        ("to_port", Value::number(to)),
    ];
    let by_name = peers_value(&peers, group);
    for (name, value) in by_name {
        match (name, &value) {
            ("security_groups", groups) => {
                attrs.push(("source_security_group_id", opt_text(groups.at(0).and_then(Value::as_str))));
            }
            // The argument's default.
            ("self", _) => attrs.push(("self", value)),
            (_, list) if list.as_seq().is_some_and(|s| s.is_empty()) => {}
            _ => attrs.push((name, value)),
        }
    }
    (!peers.is_empty()).then(|| Value::object(attrs))
}

/// The descriptions of what is there of the wanted permissions; `None` unless all of them are.
async fn there(aws: &Aws, value: &Value) -> Result<Option<Option<String>>, ProviderError> {
    let Some((_, set, ..)) = direction(&arg(value, "type")) else { return Ok(None) };
    let Some(group) = described(aws, &group_of(value)).await? else { return Ok(None) };
    let found = of_answer(&group, set);
    let same = |a: &Permission, b: &Permission| {
        (&a.protocol, a.from, a.to, &a.peer) == (&b.protocol, b.from, b.to, &b.peer)
    };
    let mut description = None;
    for permission in wanted(value) {
        let Some(is) = found.iter().find(|p| same(p, &permission)) else { return Ok(None) };
        description = is.description.clone();
    }
    Ok(Some(description))
}

#[async_trait]
impl Plain for Rule {
    fn schema(&self) -> KindSchema {
        let once = |ty: Type, doc: &str| Attribute::optional(ty, doc).replaces();
        let list = || Type::list(Type::String);
        let need = |ty: Type, doc: &str| Attribute::required(ty, doc).replaces();
        let block = Block::new("Permissions of a security group.")
            .attr("security_group_id", need(Type::String, "Id of the group."))
            .attr("type", need(Type::String, "ingress or egress."))
            .attr("protocol", need(Type::String, "tcp, udp, icmp, a number, or -1 for all."))
            .attr("from_port", need(Type::Number, "First port, or type of ICMP."))
            .attr("to_port", need(Type::Number, "Last port, or code of ICMP."))
            .attr("cidr_blocks", once(list(), "Ranges of IPv4 addresses."))
            .attr("ipv6_cidr_blocks", once(list(), "Ranges of IPv6 addresses."))
            .attr("prefix_list_ids", once(list(), "Prefix lists."))
            .attr(
                "source_security_group_id",
                Attribute::optional_computed(Type::String, "Security group on the other side.").replaces(),
            )
            .attr("self", once(Type::Bool, "Whether the group itself is on the other side.").default(false))
            .attr("description", Attribute::optional(Type::String, "What it is for."));
        let mut schema = untagged_schema("aws_security_group_rule", block, Timeouts::minutes(5, 5, 5))
            .key(&["security_group_id", "type", "protocol", "from_port", "to_port", "cidr_blocks"])
            .attached_to("security_group_id", "aws_security_group")
            .relation(Relation::GivesNetworkTo { arg: "security_group_id".into() });
        schema.lists = false;
        schema.pure_relation = true;
        schema
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        if text(config, "type").is_some_and(|t| direction(&t).is_none()) {
            problems.push(fault("type", "must be `ingress` or `egress`"));
        }
        problems.extend(exclusive(config, &["source_security_group_id", "cidr_blocks"], false));
        problems.extend(exclusive(config, &["source_security_group_id", "ipv6_cidr_blocks"], false));
        problems
    }

    fn refine(&self, input: &PlanInput<'_>, out: &mut PlanOutput) -> Result<(), ProviderError> {
        let planned = &out.planned;
        // Without another group there is none, which the API does not decide.
        let unwritten = input.config.get("source_security_group_id").is_none_or(Value::is_null);
        if unwritten {
            out.planned = planned.with_attr("source_security_group_id", Value::null(Type::String));
        }
        let known = [
            "security_group_id",
            "source_security_group_id",
            "cidr_blocks",
            "ipv6_cidr_blocks",
            "prefix_list_ids",
            "from_port",
            "to_port",
            "protocol",
            "type",
        ];
        let all = known.iter().all(|n| out.planned.get(n).is_none_or(Value::is_wholly_known));
        if input.prior.is_none() && all {
            out.planned = out.planned.with_attr("id", Value::string(id_of(&out.planned)));
        }
        Ok(())
    }

    async fn make(&self, aws: &Aws, new: &New<'_>, ctx: &dyn OpContext) -> Result<String, ProviderError> {
        let Some((_, _, authorize, _)) = direction(&arg(new.planned, "type")) else {
            return Err(ProviderError::new(ErrorKind::Invalid, "type must be ingress or egress"));
        };
        let group = group_of(new.planned);
        send(aws, authorize, &wanted(new.planned), &group, ctx).await?;
        Ok(id_of(new.planned))
    }

    async fn see(&self, aws: &Aws, id: &str, before: &Value) -> Result<Option<Seen>, ProviderError> {
        let parsed = if is_unset(before, "security_group_id") { parse(id) } else { Some(before.clone()) };
        let Some(value) = parsed else {
            let text = format!("{id:?} is not `GROUP_TYPE_PROTOCOL_FROM_TO_PEER`");
            return Err(ProviderError::new(ErrorKind::Invalid, text));
        };
        let Some(description) = there(aws, &value).await? else { return Ok(None) };
        let mut attrs = vec![("id", Value::string(id_of(&value))), ("description", opt_text(description))];
        for name in [
            "security_group_id",
            "type",
            "protocol",
            "from_port",
            "to_port",
            "cidr_blocks",
            "ipv6_cidr_blocks",
            "prefix_list_ids",
            "source_security_group_id",
            "self",
        ] {
            attrs.push((name, value.get(name).cloned().unwrap_or(Value::NULL)));
        }
        Ok(Some(Seen::of(attrs, Default::default())))
    }

    async fn change(
        &self,
        aws: &Aws,
        change: &Change<'_>,
        ctx: &dyn OpContext,
    ) -> Result<bool, ProviderError> {
        if change.prior.is_none() || !change.of("description") {
            return Ok(false);
        }
        let operation = match arg(change.planned, "type").as_str() {
            "ingress" => "UpdateSecurityGroupRuleDescriptionsIngress",
            _ => "UpdateSecurityGroupRuleDescriptionsEgress",
        };
        send(aws, operation, &wanted(change.planned), &group_of(change.planned), ctx).await?;
        Ok(true)
    }

    async fn remove(
        &self,
        aws: &Aws,
        _: &str,
        prior: &Value,
        ctx: &dyn OpContext,
    ) -> Result<(), ProviderError> {
        let Some((_, _, _, revoke)) = direction(&arg(prior, "type")) else { return Ok(()) };
        send(aws, revoke, &wanted(prior), &group_of(prior), ctx).await
    }

    async fn find(&self, aws: &Aws, planned: &Value, _: &Identity) -> Result<Option<String>, ProviderError> {
        Ok(there(aws, planned).await?.map(|_| id_of(planned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::texts;

    #[test]
    fn an_id_says_what_the_rule_says() {
        for id in [
            "sg-1_ingress_tcp_80_443_10.0.0.0/8",
            "sg-1_egress_all_0_0_0.0.0.0/0",
            "sg-1_ingress_udp_53_53_self",
            "sg-1_ingress_tcp_1_2_sg-2",
            "sg-1_ingress_tcp_1_2_::/0_pl-1",
        ] {
            assert_eq!(id_of(&parse(id).unwrap()), id);
        }
        for bad in
            ["sg-1", "sg-1_in_tcp_1_2_10.0.0.0/8", "sg-1_ingress_tcp_a_2_10.0.0.0/8", "sg-1_ingress_tcp_1_2"]
        {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(texts(&parse("sg-1_ingress_tcp_1_2_10.0.0.0/8").unwrap(), "cidr_blocks").is_some());
    }
}
