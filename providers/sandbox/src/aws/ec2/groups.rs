//! Security groups. Their rules are objects of their own; the permissions of a group are these, packed.

use super::{
    Answer, Call, GROUP, RULE, VPC, done, edit, error, find, fresh_id, in_the_way, new_tags, put, rows, take,
};
use crate::aws::{ApiError, Params, list, text};
use crate::core::Ctx;
use serde_json::{Value, json};

pub(super) fn call(ctx: &mut Ctx<'_>, call: &Call<'_>, action: &str) -> Option<Answer> {
    Some(match action {
        "CreateSecurityGroup" => create_group(ctx, call),
        "DeleteSecurityGroup" => delete(ctx, call),
        "AuthorizeSecurityGroupIngress" => authorize(ctx, call, false),
        "AuthorizeSecurityGroupEgress" => authorize(ctx, call, true),
        "RevokeSecurityGroupIngress" => revoke(ctx, call, false),
        "RevokeSecurityGroupEgress" => revoke(ctx, call, true),
        "UpdateSecurityGroupRuleDescriptionsIngress" => describe_rules(ctx, call, false),
        "UpdateSecurityGroupRuleDescriptionsEgress" => describe_rules(ctx, call, true),
        "ModifySecurityGroupRules" => modify(ctx, call),
        _ => return None,
    })
}

/// A rule without its id.
fn rule(account: &str, group: &str, egress: bool, protocol: &str, ports: (i64, i64)) -> Value {
    json!({
        "groupId": group, "groupOwnerId": account, "isEgress": egress, "ipProtocol": protocol,
        "fromPort": ports.0, "toPort": ports.1, "tagSet": [],
    })
}

/// The rules of a VPC's default group: all from itself, all out.
pub(super) fn first_rules(account: &str, group: &str, id: impl Fn(&str) -> String) -> Vec<Value> {
    let mut inward = rule(account, group, false, "-1", (-1, -1));
    inward["referencedGroupInfo"] = json!({"groupId": group, "userId": account});
    inward["securityGroupRuleId"] = id("in").into();
    let mut outward = rule(account, group, true, "-1", (-1, -1));
    outward["cidrIpv4"] = "0.0.0.0/0".into();
    outward["securityGroupRuleId"] = id("out").into();
    vec![inward, outward]
}

/// Makes a group with the rules that such a group begins with.
pub(super) fn create(
    ctx: &mut Ctx<'_>,
    call: &Call<'_>,
    vpc: &str,
    name: &str,
    description: &str,
    tags: &Value,
) -> Value {
    let id = fresh_id(&GROUP);
    let row = json!({
        "groupId": id, "groupName": name, "groupDescription": description, "ownerId": call.account,
        "vpcId": vpc, "tagSet": tags, "_made": ctx.now,
    });
    put(ctx, call, &GROUP, row.clone());
    for rule in first_rules(call.account, &id, |_| fresh_id(&RULE)) {
        if name == "default" || rule["isEgress"] == true {
            put(ctx, call, &RULE, rule);
        }
    }
    row
}

/// The group that EKS makes for a cluster.
pub(crate) fn cluster_group(
    ctx: &mut Ctx<'_>,
    account: &str,
    region: &str,
    vpc: &str,
    cluster: &str,
) -> String {
    let call = &Call { account, region, params: &Params::new() };
    let name = format!("eks-cluster-sg-{cluster}-{}", crate::crypto::spread(cluster, 1_000_000));
    let description = "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any managed workloads.";
    let row = create(
        ctx,
        call,
        vpc,
        &name,
        description,
        &json!([{"key": "aws:eks:cluster-name", "value": cluster}]),
    );
    let id = text(&row, "groupId");
    let mut own = rule(account, &id, false, "-1", (-1, -1));
    own["referencedGroupInfo"] = json!({"groupId": id, "userId": account});
    own["securityGroupRuleId"] = fresh_id(&RULE).into();
    put(ctx, call, &RULE, own);
    id
}

/// Takes a cluster's group away with it.
pub(crate) fn drop_group(ctx: &mut Ctx<'_>, account: &str, region: &str, id: &str) {
    remove(ctx, &Call { account, region, params: &Params::new() }, id);
}

fn create_group(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let (name, description) = (call.need("GroupName")?, call.need("GroupDescription")?);
    let vpc = match call.param("VpcId") {
        Some(id) => text(&find(ctx, call, &VPC, id)?, "vpcId"),
        None => super::vpc_id(call.account, call.region),
    };
    if name == "default" || name.starts_with("sg-") {
        let text = format!("Cannot use reserved security group name: {name}");
        return Err(error("InvalidParameterValue", text));
    }
    let odd = |c: char| !c.is_ascii_alphanumeric() && !" ._-:/()#,@[]+=&;{}!$*".contains(c);
    if description.len() > 255 || description.chars().any(odd) {
        let text = format!(
            "Value ({description}) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported."
        );
        return Err(error("InvalidParameterValue", text));
    }
    if rows(ctx, call, &GROUP).iter().any(|g| g["groupName"] == name && g["vpcId"] == vpc.as_str()) {
        let text = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(error("InvalidGroup.Duplicate", text));
    }
    let row = create(ctx, call, &vpc, name, description, &new_tags(call, &GROUP));
    Ok(json!({"return": true, "groupId": row["groupId"], "tagSet": row["tagSet"]}))
}

fn rules_of(ctx: &Ctx<'_>, call: &Call<'_>, group: &str) -> Vec<Value> {
    rows(ctx, call, &RULE).into_iter().filter(|r| r["groupId"] == group).collect()
}

pub(super) fn remove(ctx: &mut Ctx<'_>, call: &Call<'_>, group: &str) {
    for rule in rules_of(ctx, call, group) {
        take(ctx, call, &RULE, &text(&rule, "securityGroupRuleId"));
    }
    take(ctx, call, &GROUP, group);
}

fn delete(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("GroupId")?;
    let row = find(ctx, call, &GROUP, id)?;
    if row["groupName"] == "default" {
        let text = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
        return Err(error("CannotDelete", text));
    }
    let named = |r: &Value| r["groupId"] != id && r["referencedGroupInfo"]["groupId"] == id;
    if rows(ctx, call, &RULE).iter().any(named) || super::nat::uses_group(ctx, call, id) {
        return Err(in_the_way(format!("resource {id} has a dependent object")));
    }
    remove(ctx, call, id);
    done()
}

const PEERS: [(&str, &str, &str); 3] = [
    ("IpRanges", "CidrIp", "cidrIpv4"),
    ("Ipv6Ranges", "CidrIpv6", "cidrIpv6"),
    ("PrefixListIds", "PrefixListId", "prefixListId"),
];

fn protocol(given: &str) -> String {
    match given.to_lowercase().as_str() {
        "6" => "tcp".into(),
        "17" => "udp".into(),
        "1" => "icmp".into(),
        "58" => "icmpv6".into(),
        other => other.into(),
    }
}

/// The rules that a request's permissions mean, without ids.
fn asked(ctx: &Ctx<'_>, call: &Call<'_>, group: &str, egress: bool) -> Result<Vec<Value>, ApiError> {
    let mut found = Vec::new();
    for (n, row) in list(call.params, "IpPermissions").into_iter().enumerate() {
        let part = |name: &str| row.get(name).map(String::as_str);
        let protocol = protocol(part("IpProtocol").unwrap_or("-1"));
        let port = |name: &str| part(name).and_then(|p| p.parse().ok()).unwrap_or(-1);
        let ports = if protocol == "-1" { (-1, -1) } else { (port("FromPort"), port("ToPort")) };
        if ["tcp", "udp"].contains(&protocol.as_str()) && !(0..=65535).contains(&ports.0) {
            let text = format!(
                "Invalid value '{}' for portRange. Must specify both from and to ports with TCP/UDP.",
                ports.0
            );
            return Err(error("InvalidParameterValue", text));
        }
        let base = rule(call.account, group, egress, &protocol, ports);
        let with = |member: &str, value: Value, description: Option<&String>| {
            let mut rule = base.clone();
            rule[member] = value;
            rule["description"] = description.cloned().into();
            rule
        };
        for (name, member, shown) in PEERS {
            for peer in list(call.params, &format!("IpPermissions.{}.{name}", n + 1)) {
                let value = peer.get(member).cloned().unwrap_or_default();
                if shown == "cidrIpv4" && super::network::cidr(&value).is_none() {
                    return Err(error("InvalidParameterValue", format!("CIDR block {value} is malformed")));
                }
                found.push(with(shown, value.into(), peer.get("Description")));
            }
        }
        for peer in list(call.params, &format!("IpPermissions.{}.Groups", n + 1)) {
            let id = peer.get("GroupId").cloned().unwrap_or_default();
            let account = peer.get("UserId").cloned().unwrap_or(call.account.to_owned());
            if account == call.account {
                find(ctx, call, &GROUP, &id)?;
            }
            let info = json!({"groupId": id, "userId": account});
            found.push(with("referencedGroupInfo", info, peer.get("Description")));
        }
    }
    Ok(found)
}

/// Whether two rules say the same, descriptions aside.
fn same(a: &Value, b: &Value) -> bool {
    ["isEgress", "ipProtocol", "fromPort", "toPort", "cidrIpv4", "cidrIpv6", "prefixListId"]
        .iter()
        .all(|m| a[*m] == b[*m])
        && a["referencedGroupInfo"]["groupId"] == b["referencedGroupInfo"]["groupId"]
}

fn authorize(ctx: &mut Ctx<'_>, call: &Call<'_>, egress: bool) -> Answer {
    let group = call.need("GroupId")?;
    find(ctx, call, &GROUP, group)?;
    let wanted = asked(ctx, call, group, egress)?;
    if wanted.is_empty() {
        return Err(error(
            "MissingParameter",
            "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.",
        ));
    }
    let there = rules_of(ctx, call, group);
    if let Some(double) = wanted.iter().find(|w| there.iter().any(|t| same(t, w))) {
        let direction = if egress { "egress" } else { "ingress" };
        let peer = double["cidrIpv4"].as_str().unwrap_or("the peer");
        let text = format!("the specified rule \"peer: {peer}, {direction}\" already exists");
        return Err(error("InvalidPermission.Duplicate", text));
    }
    if there.len() + wanted.len() > 120 {
        return Err(error(
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        ));
    }
    let mut made = Vec::new();
    for mut rule in wanted {
        let id = fresh_id(&RULE);
        rule["securityGroupRuleId"] = id.clone().into();
        rule["securityGroupRuleArn"] =
            format!("arn:aws:ec2:{}:{}:security-group-rule/{id}", call.region, call.account).into();
        rule["tagSet"] = new_tags(call, &RULE);
        rule["_made"] = ctx.now.into();
        put(ctx, call, &RULE, rule.clone());
        made.push(super::public(rule));
    }
    Ok(json!({"return": true, "securityGroupRuleSet": made}))
}

fn revoke(ctx: &mut Ctx<'_>, call: &Call<'_>, egress: bool) -> Answer {
    let group = call.need("GroupId")?;
    find(ctx, call, &GROUP, group)?;
    for id in super::values(call.params, "SecurityGroupRuleId") {
        let rule = find(ctx, call, &RULE, &id)?;
        if rule["groupId"] != group {
            return Err(super::not_found(&RULE, &id));
        }
        take(ctx, call, &RULE, &id);
    }
    let there = rules_of(ctx, call, group);
    for wanted in asked(ctx, call, group, egress)? {
        let Some(rule) = there.iter().find(|t| same(t, &wanted)) else {
            let text = "The specified rule does not exist in this security group.";
            return Err(error("InvalidPermission.NotFound", text));
        };
        take(ctx, call, &RULE, &text(rule, "securityGroupRuleId"));
    }
    done()
}

fn describe_rules(ctx: &mut Ctx<'_>, call: &Call<'_>, egress: bool) -> Answer {
    let group = call.need("GroupId")?;
    let there = rules_of(ctx, call, group);
    for wanted in asked(ctx, call, group, egress)? {
        let Some(rule) = there.iter().find(|t| same(t, &wanted)) else {
            let text = "The specified rule does not exist in this security group.";
            return Err(error("InvalidPermission.NotFound", text));
        };
        let id = text(rule, "securityGroupRuleId");
        edit(ctx, call, &RULE, &id, |row| row["description"] = wanted["description"].clone())?;
    }
    done()
}

fn modify(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let group = call.need("GroupId")?;
    find(ctx, call, &GROUP, group)?;
    for row in list(call.params, "SecurityGroupRule") {
        let id = row.get("SecurityGroupRuleId").cloned().unwrap_or_default();
        find(ctx, call, &RULE, &id)?;
        let part = |name: &str| row.get(&format!("SecurityGroupRule.{name}")).filter(|v| !v.is_empty());
        let protocol = protocol(part("IpProtocol").map_or("-1", String::as_str));
        let port = |name: &str| part(name).and_then(|p| p.parse::<i64>().ok()).unwrap_or(-1);
        let (from, to) = (port("FromPort"), port("ToPort"));
        let referenced = part("ReferencedGroupId");
        if let Some(other) = referenced {
            find(ctx, call, &GROUP, other)?;
        }
        edit(ctx, call, &RULE, &id, |rule| {
            rule["ipProtocol"] = protocol.into();
            rule["fromPort"] = from.into();
            rule["toPort"] = to.into();
            for (name, member) in [
                ("CidrIpv4", "cidrIpv4"),
                ("CidrIpv6", "cidrIpv6"),
                ("PrefixListId", "prefixListId"),
                ("Description", "description"),
            ] {
                rule[member] = part(name).cloned().into();
            }
            rule["referencedGroupInfo"] = match referenced {
                Some(other) => json!({"groupId": other, "userId": call.account}),
                None => Value::Null,
            };
        })?;
    }
    done()
}

/// The groups with their permissions.
pub(super) fn list_of(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    let mut answer = super::list_of(ctx, call, &GROUP)?;
    for group in answer[GROUP.set].as_array_mut().into_iter().flatten() {
        let rules = rules_of(ctx, call, &text(group, "groupId"));
        for (set, egress) in [("ipPermissions", false), ("ipPermissionsEgress", true)] {
            group[set] = packed(rules.iter().filter(|r| r["isEgress"] == egress)).into();
        }
    }
    Ok(answer)
}

/// Rules by protocol and ports, as permissions.
fn packed<'a>(rules: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for rule in rules {
        let fits = |p: &Value| {
            ["ipProtocol", "fromPort", "toPort"]
                .iter()
                .all(|m| p[*m] == rule[*m] || (*m != "ipProtocol" && rule["ipProtocol"] == "-1"))
        };
        let at = match out.iter().position(fits) {
            Some(at) => at,
            None => {
                let mut fresh = json!({"ipProtocol": rule["ipProtocol"], "groups": [], "ipRanges": [], "ipv6Ranges": [], "prefixListIds": []});
                if rule["ipProtocol"] != "-1" {
                    fresh["fromPort"] = rule["fromPort"].clone();
                    fresh["toPort"] = rule["toPort"].clone();
                }
                out.push(fresh);
                out.len() - 1
            }
        };
        let (list, mut item) = if let Some(cidr) = rule["cidrIpv4"].as_str() {
            ("ipRanges", json!({ "cidrIp": cidr }))
        } else if let Some(cidr) = rule["cidrIpv6"].as_str() {
            ("ipv6Ranges", json!({ "cidrIpv6": cidr }))
        } else if let Some(id) = rule["prefixListId"].as_str() {
            ("prefixListIds", json!({ "prefixListId": id }))
        } else {
            ("groups", rule["referencedGroupInfo"].clone())
        };
        if rule["description"].is_string() {
            item["description"] = rule["description"].clone();
        }
        if let Some(items) = out[at][list].as_array_mut() {
            items.push(item);
        }
    }
    out
}
