//! Route tables, routes and associations.

use super::{
    ADDRESS, Answer, Call, GATEWAY, NAT, SUBNET, TABLE, VPC, done, edit, error, find, fresh_id, in_the_way,
    new_tags, not_found, put, rows, take,
};
use crate::aws::{ApiError, text};
use crate::core::Ctx;
use crate::crypto::random_hex;
use serde_json::{Value, json};

pub(super) fn call(ctx: &mut Ctx<'_>, call: &Call<'_>, action: &str) -> Option<Answer> {
    Some(match action {
        "CreateRouteTable" => create(ctx, call),
        "DeleteRouteTable" => delete(ctx, call),
        "CreateRoute" => route(ctx, call, false),
        "ReplaceRoute" => route(ctx, call, true),
        "DeleteRoute" => delete_route(ctx, call),
        "AssociateRouteTable" => associate(ctx, call),
        "ReplaceRouteTableAssociation" => replace(ctx, call),
        "DisassociateRouteTable" => disassociate(ctx, call),
        _ => return None,
    })
}

pub(super) fn local(cidr: &str) -> Value {
    json!({"destinationCidrBlock": cidr, "gatewayId": "local", "state": "active", "origin": "CreateRouteTable"})
}

fn create(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let vpc = find(ctx, call, &VPC, call.need("VpcId")?)?;
    let token = call.param("ClientToken");
    let same = |row: &Value| token.is_some() && row["_token"].as_str() == token;
    if let Some(before) = rows(ctx, call, &TABLE).into_iter().find(same) {
        return Ok(json!({ "routeTable": super::public(before) }));
    }
    let row = json!({
        "routeTableId": fresh_id(&TABLE), "vpcId": vpc["vpcId"], "ownerId": call.account,
        "routeSet": [local(&text(&vpc, "cidrBlock"))], "associationSet": [], "propagatingVgwSet": [],
        "tagSet": new_tags(call, &TABLE), "_token": token, "_made": ctx.now,
    });
    put(ctx, call, &TABLE, row.clone());
    Ok(json!({ "routeTable": super::public(row) }))
}

fn delete(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("RouteTableId")?;
    let row = find(ctx, call, &TABLE, id)?;
    if row["associationSet"].as_array().is_some_and(|a| !a.is_empty()) {
        return Err(in_the_way(format!("The routeTable '{id}' has dependencies and cannot be deleted.")));
    }
    take(ctx, call, &TABLE, id);
    done()
}

const DESTINATIONS: [(&str, &str); 3] = [
    ("DestinationCidrBlock", "destinationCidrBlock"),
    ("DestinationIpv6CidrBlock", "destinationIpv6CidrBlock"),
    ("DestinationPrefixListId", "destinationPrefixListId"),
];

fn destination(call: &Call<'_>) -> Result<(&'static str, String), ApiError> {
    let found = DESTINATIONS.iter().find_map(|(p, member)| Some((*member, call.param(p)?.to_owned())));
    found.ok_or_else(|| error("MissingParameter", "The request must contain a destination"))
}

/// The target of a new route; it must be there and belong to the VPC.
fn target(ctx: &Ctx<'_>, call: &Call<'_>, vpc: &str) -> Result<(&'static str, String), ApiError> {
    if let Some(id) = call.param("GatewayId") {
        if id.starts_with("igw-") {
            let gateway = find(ctx, call, &GATEWAY, id).map_err(|_| {
                error("InvalidGatewayID.NotFound", format!("The gateway ID '{id}' does not exist"))
            })?;
            if gateway["attachmentSet"][0]["vpcId"] != vpc {
                let table = call.need("RouteTableId")?;
                let text =
                    format!("route table {table} and network gateway {id} belong to different networks");
                return Err(error("InvalidParameterValue", text));
            }
        }
        return Ok(("gatewayId", id.to_owned()));
    }
    if let Some(id) = call.param("NatGatewayId") {
        let gone =
            || error("InvalidNatGatewayID.NotFound", format!("The natGateway ID '{id}' does not exist"));
        let gateway = find(ctx, call, &NAT, id).map_err(|_| gone())?;
        if gateway["state"] == "deleted" || gateway["vpcId"] != vpc {
            return Err(gone());
        }
        return Ok(("natGatewayId", id.to_owned()));
    }
    for (parameter, member) in [
        ("TransitGatewayId", "transitGatewayId"),
        ("VpcPeeringConnectionId", "vpcPeeringConnectionId"),
        ("NetworkInterfaceId", "networkInterfaceId"),
        ("VpcEndpointId", "gatewayId"),
        ("EgressOnlyInternetGatewayId", "egressOnlyInternetGatewayId"),
    ] {
        if let Some(id) = call.param(parameter) {
            return Ok((member, id.to_owned()));
        }
    }
    Err(error("MissingParameter", "The request must contain a target of the route"))
}

fn route(ctx: &mut Ctx<'_>, call: &Call<'_>, replaces: bool) -> Answer {
    let id = call.need("RouteTableId")?;
    let table = find(ctx, call, &TABLE, id)?;
    let (member, to) = destination(call)?;
    if member == "destinationCidrBlock" && super::network::cidr(&to).is_none() {
        let text = format!("Value ({to}) for parameter destinationCidrBlock is invalid.");
        return Err(error("InvalidParameterValue", text));
    }
    let (via, target) = target(ctx, call, &text(&table, "vpcId"))?;
    let there = table["routeSet"].as_array().is_some_and(|r| r.iter().any(|r| r[member] == to.as_str()));
    if there && !replaces {
        let text = format!("The route identified by {to} already exists.");
        return Err(error("RouteAlreadyExists", text));
    }
    if !there && replaces {
        let text = format!("There is no route defined for '{to}' in the route table.");
        return Err(error("InvalidParameterValue", text));
    }
    edit(ctx, call, &TABLE, id, |row| {
        if let Some(routes) = row["routeSet"].as_array_mut() {
            routes.retain(|r| r[member] != to.as_str());
            routes.push(json!({member: to, via: target, "state": "active", "origin": "CreateRoute"}));
        }
    })?;
    done()
}

fn delete_route(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("RouteTableId")?;
    let table = find(ctx, call, &TABLE, id)?;
    let (member, to) = destination(call)?;
    let found =
        table["routeSet"].as_array().and_then(|r| r.iter().find(|r| r[member] == to.as_str()).cloned());
    let Some(found) = found else {
        let text = format!("no route with destination-cidr-block {to} in route table {id}");
        return Err(error("InvalidRoute.NotFound", text));
    };
    if found["gatewayId"] == "local" {
        return Err(error(
            "InvalidParameterValue",
            format!("cannot remove local route {to} in route table {id}"),
        ));
    }
    edit(ctx, call, &TABLE, id, |row| {
        if let Some(routes) = row["routeSet"].as_array_mut() {
            routes.retain(|r| r[member] != to.as_str());
        }
    })?;
    done()
}

/// The table that holds an association.
fn holder(ctx: &Ctx<'_>, call: &Call<'_>, fits: impl Fn(&Value) -> bool) -> Option<(String, Value)> {
    rows(ctx, call, &TABLE).into_iter().find_map(|table| {
        let found = table["associationSet"].as_array()?.iter().find(|a| fits(a))?.clone();
        Some((text(&table, "routeTableId"), found))
    })
}

fn add(ctx: &mut Ctx<'_>, call: &Call<'_>, table: &str, of: (&str, &str), main: bool) -> Answer {
    let id = format!("rtbassoc-{}", random_hex(17));
    edit(ctx, call, &TABLE, table, |row| {
        let mut association = json!({
            "routeTableAssociationId": id, "routeTableId": table, "main": main,
            "associationState": {"state": "associated"},
        });
        if !main {
            association[of.0] = of.1.into();
        }
        if let Some(all) = row["associationSet"].as_array_mut() {
            all.push(association);
        }
    })?;
    Ok(id.into())
}

fn drop(ctx: &mut Ctx<'_>, call: &Call<'_>, table: &str, id: &str) -> Result<(), ApiError> {
    edit(ctx, call, &TABLE, table, |row| {
        if let Some(all) = row["associationSet"].as_array_mut() {
            all.retain(|a| a["routeTableAssociationId"] != id);
        }
    })
}

fn associate(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let table = find(ctx, call, &TABLE, call.need("RouteTableId")?)?;
    let of = match call.param("SubnetId") {
        Some(subnet) => {
            let row = find(ctx, call, &SUBNET, subnet)?;
            if row["vpcId"] != table["vpcId"] {
                let text = format!("route table and subnet {subnet} belong to different networks");
                return Err(error("InvalidParameterValue", text));
            }
            ("subnetId", subnet)
        }
        None => ("gatewayId", call.need("GatewayId")?),
    };
    let id = text(&table, "routeTableId");
    if let Some((other, there)) = holder(ctx, call, |a| a[of.0] == of.1) {
        let association = &there["routeTableAssociationId"];
        if other == id {
            return Ok(json!({"associationId": association, "associationState": {"state": "associated"}}));
        }
        let text =
            format!("the specified association for route table {id} conflicts with an existing association");
        return Err(error("Resource.AlreadyAssociated", text));
    }
    let made = add(ctx, call, &id, of, false)?;
    Ok(json!({"associationId": made, "associationState": {"state": "associated"}}))
}

fn missing(id: &str) -> ApiError {
    error("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
}

fn replace(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("AssociationId")?;
    let table = call.need("RouteTableId")?;
    find(ctx, call, &TABLE, table)?;
    let found = holder(ctx, call, |a| a["routeTableAssociationId"] == id);
    let (old, association) = found.ok_or_else(|| missing(id))?;
    drop(ctx, call, &old, id)?;
    let (subnet, gateway) = (text(&association, "subnetId"), text(&association, "gatewayId"));
    let of = if subnet.is_empty() { ("gatewayId", gateway.as_str()) } else { ("subnetId", subnet.as_str()) };
    let made = add(ctx, call, table, of, association["main"] == true)?;
    Ok(json!({"newAssociationId": made, "associationState": {"state": "associated"}}))
}

fn disassociate(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("AssociationId")?;
    let (table, association) =
        holder(ctx, call, |a| a["routeTableAssociationId"] == id).ok_or_else(|| missing(id))?;
    if association["main"] == true {
        let text = format!("cannot disassociate the main route table association {id}");
        return Err(error("InvalidParameterValue", text));
    }
    drop(ctx, call, &table, id)?;
    done()
}

/// A subnet that goes takes its association with it.
pub(super) fn forget_subnet(ctx: &mut Ctx<'_>, call: &Call<'_>, subnet: &str) {
    if let Some((table, association)) = holder(ctx, call, |a| a["subnetId"] == subnet) {
        let _ = drop(ctx, call, &table, &text(&association, "routeTableAssociationId"));
    }
}

/// Routes to something that is gone lead nowhere.
pub(super) fn blackhole(ctx: &mut Ctx<'_>, call: &Call<'_>, target: &str) {
    for table in rows(ctx, call, &TABLE) {
        let leads = |r: &Value| r["natGatewayId"] == target || r["gatewayId"] == target;
        if !table["routeSet"].as_array().is_some_and(|r| r.iter().any(leads)) {
            continue;
        }
        let id = text(&table, "routeTableId");
        let _ = edit(ctx, call, &TABLE, &id, |row| {
            for route in row["routeSet"].as_array_mut().into_iter().flatten().filter(|r| leads(r)) {
                route["state"] = "blackhole".into();
            }
        });
    }
}

/// The address that an allocation stands for.
pub(super) fn address(ctx: &Ctx<'_>, call: &Call<'_>, id: &str) -> Answer {
    find(ctx, call, &ADDRESS, id).map_err(|_| not_found(&ADDRESS, id))
}
