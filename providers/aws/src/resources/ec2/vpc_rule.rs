//! `aws_vpc_security_group_ingress_rule` and `.._egress_rule`: one rule of a security group, with an id and tags.

use super::permissions::protocol;
use super::{Ec2Kind, Table, arg, arn, ec2_schema, params_of, shown, shown_int};
use crate::client::Aws;
use crate::ec2::{Params, Xml};
use crate::error::Api;
use crate::resources::plain::{Change, exclusive, keep_if_same};
use crate::values::text;
use groma_provider::{OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, Relation, Timeouts};
use groma_types::{Type, Value};

pub(super) struct VpcRule {
    kind: &'static str,
    table: &'static Table,
}

const fn table(make: &'static str, drop: &'static str) -> Table {
    Table {
        list: "DescribeSecurityGroupRules",
        set: "securityGroupRuleSet",
        id: "securityGroupRuleId",
        by: "SecurityGroupRuleId",
        filter: "security-group-rule-id",
        make,
        made: &["securityGroupRuleSet", "item", "securityGroupRuleId"],
        drop,
        drop_by: "SecurityGroupRuleId.1",
        tag_type: "security-group-rule",
        token: false,
        edits: &[],
    }
}

static IN: Table = table("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress");
static OUT: Table = table("AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress");

impl VpcRule {
    pub(super) const INGRESS: VpcRule = VpcRule { kind: "aws_vpc_security_group_ingress_rule", table: &IN };
    pub(super) const EGRESS: VpcRule = VpcRule { kind: "aws_vpc_security_group_egress_rule", table: &OUT };
}

/// The other side: argument, parameter of a create, parameter of a change.
const PEERS: [(&str, &str, &str); 4] = [
    ("cidr_ipv4", "IpRanges.1.CidrIp", "CidrIpv4"),
    ("cidr_ipv6", "Ipv6Ranges.1.CidrIpv6", "CidrIpv6"),
    ("prefix_list_id", "PrefixListIds.1.PrefixListId", "PrefixListId"),
    ("referenced_security_group_id", "Groups.1.GroupId", "ReferencedGroupId"),
];

/// Ports belong to protocols that have them.
fn ports(planned: &Value) -> Params {
    match protocol(&arg(planned, "ip_protocol")).as_str() {
        "-1" => Params::new(),
        _ => params_of(planned, &[("from_port", "FromPort"), ("to_port", "ToPort")]),
    }
}

#[async_trait]
impl Ec2Kind for VpcRule {
    fn table(&self) -> &'static Table {
        self.table
    }

    fn schema(&self) -> KindSchema {
        let may = |ty: Type, doc: &str| Attribute::optional(ty, doc);
        let block = Block::new("One rule of a security group.")
            .attr("security_group_id", Attribute::required(Type::String, "Id of the group.").replaces())
            .attr(
                "ip_protocol",
                Attribute::required(Type::String, "tcp, udp, icmp, a number, or -1 for all."),
            )
            .attr("from_port", may(Type::Number, "First port, or type of ICMP."))
            .attr("to_port", may(Type::Number, "Last port, or code of ICMP."))
            .attr("cidr_ipv4", may(Type::String, "Range of IPv4 addresses."))
            .attr("cidr_ipv6", may(Type::String, "Range of IPv6 addresses."))
            .attr("prefix_list_id", may(Type::String, "Prefix list."))
            .attr("referenced_security_group_id", may(Type::String, "Security group on the other side."))
            .attr("description", may(Type::String, "What it is for."))
            .attr("arn", Attribute::computed(Type::String, "ARN of the rule."))
            .attr("security_group_rule_id", Attribute::computed(Type::String, "The id."));
        ec2_schema(self.kind, block, Timeouts::minutes(5, 5, 5))
            .attached_to("security_group_id", "aws_security_group")
            .relation(Relation::GivesNetworkTo { arg: "security_group_id".into() })
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        exclusive(config, &PEERS.map(|p| p.0), true)
    }

    fn refine(&self, input: &PlanInput<'_>, out: &mut PlanOutput) -> Result<(), ProviderError> {
        keep_if_same(input, out, "ip_protocol", |a, b| protocol(a) == protocol(b));
        Ok(())
    }

    fn request(&self, planned: &Value, _: &str) -> Params {
        let at = |rest: &str| format!("IpPermissions.1.{rest}");
        let mut params = vec![
            ("GroupId".to_string(), arg(planned, "security_group_id")),
            (at("IpProtocol"), protocol(&arg(planned, "ip_protocol"))),
        ];
        params.extend(ports(planned).into_iter().map(|(k, v)| (at(&k), v)));
        for (argument, parameter, _) in PEERS {
            let Some(peer) = text(planned, argument) else { continue };
            let (list, member) = parameter.rsplit_once('.').unwrap_or((parameter, ""));
            match peer.split_once('/').filter(|_| argument == "referenced_security_group_id") {
                Some((account, id)) => {
                    params.push((at(&format!("{list}.UserId")), account.to_string()));
                    params.push((at(&format!("{list}.{member}")), id.to_string()));
                }
                None => params.push((at(parameter), peer)),
            }
            params.extend(text(planned, "description").map(|d| (at(&format!("{list}.Description")), d)));
        }
        params
    }

    fn show(&self, aws: &Aws, item: &Xml, before: &Value) -> Vec<(&'static str, Value)> {
        let id = item.text_of("securityGroupRuleId").unwrap_or_default();
        let told = item.text_of("ipProtocol").unwrap_or_default();
        let written = text(before, "ip_protocol").filter(|w| protocol(w) == protocol(told));
        let all = protocol(told) == "-1";
        // EC2 tells -1 for the ports of all protocols, where nobody may write ports.
        let port = |member: &str, argument: &str| match all {
            true => before.get(argument).cloned().unwrap_or(Value::NULL),
            false => shown_int(item, member),
        };
        let group = item.child("referencedGroupInfo");
        let owner = item.text_of("groupOwnerId");
        let group = group.and_then(|g| {
            let id = g.text_of("groupId")?;
            let account = g.text_of("userId").filter(|a| !a.is_empty() && Some(*a) != owner);
            Some(account.map_or_else(|| id.to_string(), |a| format!("{a}/{id}")))
        });
        vec![
            ("id", Value::string(id)),
            ("security_group_rule_id", Value::string(id)),
            ("arn", arn(aws, owner, &format!("security-group-rule/{id}"))),
            ("security_group_id", shown(item, "groupId")),
            ("ip_protocol", Value::string(written.unwrap_or_else(|| protocol(told)))),
            ("from_port", port("fromPort", "from_port")),
            ("to_port", port("toPort", "to_port")),
            ("cidr_ipv4", shown(item, "cidrIpv4")),
            ("cidr_ipv6", shown(item, "cidrIpv6")),
            ("prefix_list_id", shown(item, "prefixListId")),
            ("referenced_security_group_id", crate::values::opt_text(group)),
            ("description", shown(item, "description")),
        ]
    }

    async fn settle(&self, aws: &Aws, change: &Change<'_>, _: &dyn OpContext) -> Result<bool, ProviderError> {
        let arguments = ["ip_protocol", "from_port", "to_port", "description"];
        let peers = PEERS.iter().map(|p| p.0);
        if change.prior.is_none() || !arguments.into_iter().chain(peers).any(|a| change.of(a)) {
            return Ok(false);
        }
        let planned = change.planned;
        let at = |rest: &str| format!("SecurityGroupRule.1.SecurityGroupRule.{rest}");
        let mut params = vec![
            ("GroupId".to_string(), arg(planned, "security_group_id")),
            ("SecurityGroupRule.1.SecurityGroupRuleId".to_string(), change.id.to_string()),
            (at("IpProtocol"), protocol(&arg(planned, "ip_protocol"))),
            (at("Description"), arg(planned, "description")),
        ];
        params.extend(ports(planned).into_iter().map(|(k, v)| (at(&k), v)));
        for (argument, _, parameter) in PEERS {
            params.extend(text(planned, argument).map(|peer| (at(parameter), peer)));
        }
        aws.ec2_call(Api::write("ec2", "ModifySecurityGroupRules"), params).await?;
        Ok(true)
    }

    fn drop_more(&self, prior: &Value) -> Params {
        params_of(prior, &[("security_group_id", "GroupId")])
    }
}
