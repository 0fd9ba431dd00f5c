//! Network ACLs, as far as a VPC comes with one.

use super::{ACL, Answer, Call, done, edit, error, find, rows};
use crate::aws::text;
use crate::core::Ctx;
use crate::crypto::random_hex;
use serde_json::{Value, json};

/// The last rule of each direction, which nobody can take away.
const LAST: i64 = 32767;

fn entry(number: i64, egress: bool, action: &str) -> Value {
    json!({
        "ruleNumber": number, "protocol": "-1", "ruleAction": action, "egress": egress,
        "cidrBlock": "0.0.0.0/0",
    })
}

/// The ACL that a VPC comes with: everything in, everything out.
pub(super) fn fresh(account: &str, vpc: &str, id: &str) -> Value {
    json!({
        "networkAclId": id, "vpcId": vpc, "default": true, "ownerId": account, "associationSet": [],
        "entrySet": [
            entry(100, false, "allow"), entry(LAST, false, "deny"),
            entry(100, true, "allow"), entry(LAST, true, "deny"),
        ],
        "tagSet": [],
    })
}

/// Puts a new subnet under its VPC's default ACL.
pub(super) fn associate(ctx: &mut Ctx<'_>, call: &Call<'_>, vpc: &str, subnet: &str) {
    let acl = rows(ctx, call, &ACL).into_iter().find(|a| a["vpcId"] == vpc && a["default"] == true);
    let Some(id) = acl.map(|a| text(&a, "networkAclId")) else { return };
    let _ = edit(ctx, call, &ACL, &id, |row| {
        if let Some(all) = row["associationSet"].as_array_mut() {
            all.push(json!({
                "networkAclAssociationId": format!("aclassoc-{}", random_hex(17)),
                "networkAclId": id, "subnetId": subnet,
            }));
        }
    });
}

pub(super) fn forget_subnet(ctx: &mut Ctx<'_>, call: &Call<'_>, subnet: &str) {
    for acl in rows(ctx, call, &ACL) {
        let holds =
            acl["associationSet"].as_array().is_some_and(|a| a.iter().any(|a| a["subnetId"] == subnet));
        if holds {
            let _ = edit(ctx, call, &ACL, &text(&acl, "networkAclId"), |row| {
                if let Some(all) = row["associationSet"].as_array_mut() {
                    all.retain(|a| a["subnetId"] != subnet);
                }
            });
        }
    }
}

pub(super) fn call(ctx: &mut Ctx<'_>, call: &Call<'_>, action: &str) -> Option<Answer> {
    Some(match action {
        "CreateNetworkAclEntry" => write(ctx, call),
        "DeleteNetworkAclEntry" => delete(ctx, call),
        _ => return None,
    })
}

fn place(call: &Call<'_>) -> Result<(i64, bool), crate::aws::ApiError> {
    let number = call.need("RuleNumber")?;
    let number = number.parse().ok().filter(|n| (1..LAST).contains(n));
    let number =
        number.ok_or_else(|| error("InvalidParameterValue", "Rule number must be between 1 and 32766"))?;
    Ok((number, call.need("Egress")? == "true"))
}

fn write(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("NetworkAclId")?;
    let row = find(ctx, call, &ACL, id)?;
    let (number, egress) = place(call)?;
    let there = |e: &Value| e["ruleNumber"] == number && e["egress"] == egress;
    if row["entrySet"].as_array().is_some_and(|e| e.iter().any(there)) {
        let text = format!("The network acl entry identified by {number} already exists.");
        return Err(error("NetworkAclEntryAlreadyExists", text));
    }
    let mut entry = json!({
        "ruleNumber": number, "protocol": call.need("Protocol")?, "ruleAction": call.need("RuleAction")?,
        "egress": egress, "cidrBlock": call.param("CidrBlock"), "ipv6CidrBlock": call.param("Ipv6CidrBlock"),
    });
    let number_of = |name: &str| call.param(name).and_then(|n| n.parse::<i64>().ok());
    if let (Some(from), Some(to)) = (number_of("PortRange.From"), number_of("PortRange.To")) {
        entry["portRange"] = json!({"from": from, "to": to});
    }
    edit(ctx, call, &ACL, id, |row| {
        if let Some(all) = row["entrySet"].as_array_mut() {
            all.push(entry);
        }
    })?;
    done()
}

fn delete(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("NetworkAclId")?;
    let row = find(ctx, call, &ACL, id)?;
    let (number, egress) = place(call)?;
    let is_it = |e: &Value| e["ruleNumber"] == number && e["egress"] == egress;
    if !row["entrySet"].as_array().is_some_and(|e| e.iter().any(is_it)) {
        let text = format!("The network acl entry identified by {number} does not exist.");
        return Err(error("InvalidNetworkAclEntry.NotFound", text));
    }
    edit(ctx, call, &ACL, id, |row| {
        if let Some(all) = row["entrySet"].as_array_mut() {
            all.retain(|e| !is_it(e));
        }
    })?;
    done()
}
