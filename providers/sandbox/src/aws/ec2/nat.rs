//! NAT gateways, Elastic IP addresses, and the network interfaces that things stand on.

use super::network::attached;
use super::routes::{address, blackhole};
use super::{
    ADDRESS, Answer, Call, NAT, SUBNET, done, edit, error, find, fresh_id, new_tags, put, rows, take,
};
use crate::aws::{Params, text};
use crate::core::Ctx;
use crate::crypto::{random_hex, spread};
use serde_json::{Value, json};

/// How long a gateway takes to come, to fail, to go, and how long its record stays.
const COMES: i64 = 90_000;
const FAILS: i64 = 15_000;
const GOES: i64 = 45_000;
const REMEMBERED: i64 = 3_600_000;
/// Addresses in a region, unless asked for more.
const ADDRESSES_MOST: usize = 5;

pub(super) fn call(ctx: &mut Ctx<'_>, call: &Call<'_>, action: &str) -> Option<Answer> {
    Some(match action {
        "AllocateAddress" => allocate(ctx, call),
        "ReleaseAddress" => release(ctx, call),
        "AssociateAddress" => associate(ctx, call),
        "DisassociateAddress" => disassociate(ctx, call),
        "CreateNatGateway" => create(ctx, call),
        "DeleteNatGateway" => delete(ctx, call),
        _ => return None,
    })
}

fn allocate(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    if rows(ctx, call, &ADDRESS).len() >= ADDRESSES_MOST {
        let text = "The maximum number of addresses has been reached.";
        return Err(error("AddressLimitExceeded", text));
    }
    let id = fresh_id(&ADDRESS);
    let row = json!({
        "allocationId": id,
        "publicIp": format!("198.51.{}.{}", spread(&id, 100) + 100, spread(&format!("{id}/"), 250) + 1),
        "domain": "vpc", "publicIpv4Pool": "amazon", "networkBorderGroup": call.region,
        "tagSet": new_tags(call, &ADDRESS), "_made": ctx.now,
    });
    put(ctx, call, &ADDRESS, row.clone());
    Ok(super::public(row))
}

fn release(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("AllocationId")?;
    let row = address(ctx, call, id)?;
    if row["associationId"].is_string() {
        let text = format!("Address {} is in use.", text(&row, "publicIp"));
        return Err(error("InvalidIPAddress.InUse", text));
    }
    take(ctx, call, &ADDRESS, id);
    done()
}

fn associate(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("AllocationId")?;
    address(ctx, call, id)?;
    let interface = call.need("NetworkInterfaceId")?;
    if !interfaces(ctx, call).iter().any(|i| i["networkInterfaceId"] == interface) {
        let text = format!("The networkInterface ID '{interface}' does not exist");
        return Err(error("InvalidNetworkInterfaceID.NotFound", text));
    }
    let association = format!("eipassoc-{}", random_hex(17));
    edit(ctx, call, &ADDRESS, id, |row| {
        row["associationId"] = association.clone().into();
        row["networkInterfaceId"] = interface.into();
    })?;
    Ok(json!({"return": true, "associationId": association}))
}

fn disassociate(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("AssociationId")?;
    let found = rows(ctx, call, &ADDRESS).into_iter().find(|a| a["associationId"] == id);
    let Some(row) = found else {
        let text = format!("The association ID '{id}' does not exist");
        return Err(error("InvalidAssociationID.NotFound", text));
    };
    free(ctx, call, &text(&row, "allocationId"));
    done()
}

fn free(ctx: &mut Ctx<'_>, call: &Call<'_>, allocation: &str) {
    let _ = edit(ctx, call, &ADDRESS, allocation, |row| {
        for member in ["associationId", "networkInterfaceId", "privateIpAddress", "networkInterfaceOwnerId"] {
            row[member] = Value::Null;
        }
    });
}

fn create(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let token = call.param("ClientToken");
    let same = |row: &Value| token.is_some() && row["_token"].as_str() == token;
    if let Some(before) = rows(ctx, call, &NAT).into_iter().find(same) {
        return Ok(json!({ "natGateway": super::public(before) }));
    }
    let subnet = find(ctx, call, &SUBNET, call.need("SubnetId")?)?;
    let kind = call.param("ConnectivityType").unwrap_or("public");
    let id = fresh_id(&NAT);
    let interface = format!("eni-{}", random_hex(17));
    let private = format!(
        "{}.{}",
        text(&subnet, "cidrBlock").rsplit_once('.').map_or("10.0.0", |p| p.0),
        spread(&id, 200) + 10
    );
    let mut place = json!({"networkInterfaceId": interface, "privateIp": private, "isPrimary": true, "status": "succeeded"});
    if kind == "public" {
        let allocation = call.need("AllocationId")?;
        let row = address(ctx, call, allocation)?;
        if row["associationId"].is_string() {
            let text = format!("resource {allocation} is already associated with another interface");
            return Err(error("Resource.AlreadyAssociated", text));
        }
        let association = format!("eipassoc-{}", random_hex(17));
        place["allocationId"] = allocation.into();
        place["publicIp"] = row["publicIp"].clone();
        place["associationId"] = association.clone().into();
        edit(ctx, call, &ADDRESS, allocation, |row| {
            row["associationId"] = association.into();
            row["networkInterfaceId"] = interface.clone().into();
            row["privateIpAddress"] = private.clone().into();
        })?;
    }
    let row = json!({
        "natGatewayId": id, "subnetId": subnet["subnetId"], "vpcId": subnet["vpcId"], "state": "pending",
        "connectivityType": kind, "natGatewayAddressSet": [place], "createTime": crate::clock::rfc3339(ctx.now),
        "tagSet": new_tags(call, &NAT), "_token": token, "_made": ctx.now,
    });
    put(ctx, call, &NAT, row.clone());
    let open = kind != "public" || attached(ctx, call, &text(&subnet, "vpcId")).is_some();
    let key = call.key(&NAT, &id);
    if !open {
        ctx.world.edit(&key, |row| row["_fails"] = true.into());
    }
    ctx.schedule(ctx.now + if open { COMES } else { FAILS }, "ec2.nat", &key);
    Ok(json!({ "natGateway": super::public(row) }))
}

fn delete(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("NatGatewayId")?;
    let row = find(ctx, call, &NAT, id)?;
    if row["state"] != "deleted" && row["state"] != "deleting" {
        let key = call.key(&NAT, id);
        ctx.world.edit(&key, |row| row["state"] = "deleting".into());
        ctx.schedule(ctx.now + GOES, "ec2.nat", &key);
    }
    Ok(json!({ "natGatewayId": id }))
}

/// A gateway's time has come: it works, or could not, or is gone, or is forgotten.
pub(crate) fn nat_due(ctx: &mut Ctx<'_>, key: &str) {
    let Some(row) = ctx.world.get(key).cloned() else { return };
    let mut parts = key.split('/').skip(1);
    let (account, region) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let call = &Call { account, region, params: &Params::new() };
    match row["state"].as_str().unwrap_or_default() {
        "pending" if row["_fails"] == true => ctx.world.edit(key, |row| {
            let vpc = row["vpcId"].as_str().unwrap_or_default();
            row["failureMessage"] = format!("Network {vpc} has no Internet gateway attached").into();
            row["failureCode"] = "Gateway.NotAttached".into();
            row["state"] = "failed".into();
        }),
        "pending" => ctx.world.edit(key, |row| row["state"] = "available".into()),
        "deleting" => {
            free(ctx, call, row["natGatewayAddressSet"][0]["allocationId"].as_str().unwrap_or_default());
            blackhole(ctx, call, &text(&row, "natGatewayId"));
            ctx.world.edit(key, |row| row["state"] = "deleted".into());
            ctx.schedule(ctx.now + REMEMBERED, "ec2.nat", key);
        }
        "deleted" => {
            ctx.world.remove(key);
        }
        _ => {}
    }
}

/// The interfaces of gateways, control planes and nodes.
pub(super) fn interfaces(ctx: &Ctx<'_>, call: &Call<'_>) -> Vec<Value> {
    let mut found = Vec::new();
    for nat in rows(ctx, call, &NAT).iter().filter(|n| n["state"] != "deleted") {
        found.push(json!({
            "networkInterfaceId": nat["natGatewayAddressSet"][0]["networkInterfaceId"],
            "subnetId": nat["subnetId"], "vpcId": nat["vpcId"], "status": "in-use",
            "interfaceType": "nat_gateway", "requesterId": "amazon-nat",
            "description": format!("Interface for NAT Gateway {}", text(nat, "natGatewayId")),
            "groupSet": [], "tagSet": [],
        }));
    }
    found.extend(of_clusters(ctx, call));
    found
}

fn of_clusters(ctx: &Ctx<'_>, call: &Call<'_>) -> Vec<Value> {
    let mut found = Vec::new();
    let mut add = |key: &str, subnet: &Value, groups: Vec<Value>, description: String| {
        let hash = &crate::crypto::sha256_hex(format!("{key}/{subnet}").as_bytes())[..17];
        let place = super::subnet_place(ctx, call.account, call.region, subnet.as_str().unwrap_or_default());
        found.push(json!({
            "networkInterfaceId": format!("eni-{hash}"), "subnetId": subnet, "status": "in-use",
            "vpcId": place.map(|p| p.1), "requesterId": "amazon-eks", "interfaceType": "interface",
            "description": description, "groupSet": groups, "tagSet": [],
        }));
    };
    let clusters = format!("eks/{}/{}/cluster/", call.account, call.region);
    for (key, cluster) in ctx.world.under(&clusters) {
        let vpc = &cluster["api"]["resourcesVpcConfig"];
        let groups = vpc["securityGroupIds"].as_array().into_iter().flatten();
        let groups = groups.chain([&vpc["clusterSecurityGroupId"]]);
        let groups: Vec<Value> = groups.map(|id| json!({ "groupId": id })).collect();
        for subnet in vpc["subnetIds"].as_array().into_iter().flatten() {
            add(key, subnet, groups.clone(), format!("Amazon EKS {}", text(&cluster["api"], "name")));
        }
    }
    let nodes = format!("eks/{}/{}/nodegroup/", call.account, call.region);
    for (key, group) in ctx.world.under(&nodes) {
        for subnet in group["api"]["subnets"].as_array().into_iter().flatten() {
            add(key, subnet, Vec::new(), "Primary network interface of a node".into());
        }
    }
    found
}

/// Whether an interface stands in a group.
pub(super) fn uses_group(ctx: &Ctx<'_>, call: &Call<'_>, group: &str) -> bool {
    let in_it = |i: &Value| i["groupSet"].as_array().is_some_and(|g| g.iter().any(|g| g["groupId"] == group));
    interfaces(ctx, call).iter().any(in_it)
}
