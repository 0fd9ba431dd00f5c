//! EC2: networks, and what is read beside them.
//!
//! An object lies under `ec2/ACCOUNT/REGION/KIND/ID` as answers show it; members that begin with `_` are the
//! sandbox's own. The default network of an account is there without being stored until somebody changes it.

mod acls;
mod defaults;
mod filters;
mod groups;
mod images;
mod nat;
mod network;
mod routes;
mod templates;

use super::{ApiError, Params, list, page, values};
use crate::core::Ctx;
use crate::crypto::random_hex;
use crate::sigv4::Signed;
use filters::{field, filters, glob};
use serde_json::{Map, Value, json};

pub(crate) use defaults::{subnets, vpc_id};
pub(crate) use groups::{cluster_group, drop_group};
pub(crate) use nat::nat_due;

type Answer = Result<Value, ApiError>;

/// A kind of object: part of the key, name of the list in answers, parameter of ids, member of the id, prefix of ids,
/// code and word for one that is not there.
struct Kind {
    name: &'static str,
    set: &'static str,
    ids: &'static str,
    id: &'static str,
    prefix: &'static str,
    missing: &'static str,
    word: &'static str,
}

const fn kind(
    name: &'static str,
    set: &'static str,
    ids: &'static str,
    id: &'static str,
    prefix: &'static str,
    missing: &'static str,
    word: &'static str,
) -> Kind {
    Kind { name, set, ids, id, prefix, missing, word }
}

static VPC: Kind = kind("vpc", "vpcSet", "VpcId", "vpcId", "vpc", "InvalidVpcID.NotFound", "vpc");
static SUBNET: Kind =
    kind("subnet", "subnetSet", "SubnetId", "subnetId", "subnet", "InvalidSubnetID.NotFound", "subnet");
static GATEWAY: Kind = kind(
    "internet-gateway",
    "internetGatewaySet",
    "InternetGatewayId",
    "internetGatewayId",
    "igw",
    "InvalidInternetGatewayID.NotFound",
    "internetGateway",
);
static NAT: Kind = kind(
    "natgateway",
    "natGatewaySet",
    "NatGatewayId",
    "natGatewayId",
    "nat",
    "NatGatewayNotFound",
    "NAT gateway",
);
static ADDRESS: Kind = kind(
    "elastic-ip",
    "addressesSet",
    "AllocationId",
    "allocationId",
    "eipalloc",
    "InvalidAllocationID.NotFound",
    "allocation",
);
static TABLE: Kind = kind(
    "route-table",
    "routeTableSet",
    "RouteTableId",
    "routeTableId",
    "rtb",
    "InvalidRouteTableID.NotFound",
    "routeTable",
);
static GROUP: Kind = kind(
    "security-group",
    "securityGroupInfo",
    "GroupId",
    "groupId",
    "sg",
    "InvalidGroup.NotFound",
    "security group",
);
static RULE: Kind = kind(
    "security-group-rule",
    "securityGroupRuleSet",
    "SecurityGroupRuleId",
    "securityGroupRuleId",
    "sgr",
    "InvalidSecurityGroupRuleId.NotFound",
    "security group rule",
);
static ACL: Kind = kind(
    "network-acl",
    "networkAclSet",
    "NetworkAclId",
    "networkAclId",
    "acl",
    "InvalidNetworkAclID.NotFound",
    "networkAcl",
);
static TEMPLATE: Kind = kind(
    "launch-template",
    "launchTemplates",
    "LaunchTemplateId",
    "launchTemplateId",
    "lt",
    "InvalidLaunchTemplateId.NotFound",
    "launch template",
);

static KINDS: [&Kind; 10] = [&VPC, &SUBNET, &GATEWAY, &NAT, &ADDRESS, &TABLE, &GROUP, &RULE, &ACL, &TEMPLATE];

/// A call with its place in the world.
struct Call<'a> {
    account: &'a str,
    region: &'a str,
    params: &'a Params,
}

impl Call<'_> {
    fn key(&self, kind: &Kind, id: &str) -> String {
        format!("ec2/{}/{}/{}/{id}", self.account, self.region, kind.name)
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    fn need(&self, name: &str) -> Result<&str, ApiError> {
        self.param(name).ok_or_else(|| {
            let text = format!("The request must contain the parameter {name}");
            ApiError::new(400, "MissingParameter", text)
        })
    }

    /// What AWS made by itself, of a kind.
    fn given(&self, kind: &Kind) -> Vec<Value> {
        let make = match kind.name {
            "vpc" => defaults::vpcs,
            "subnet" => defaults::subnet_rows,
            "internet-gateway" => defaults::gateways,
            "route-table" => defaults::route_tables,
            "security-group" => defaults::groups,
            "security-group-rule" => defaults::rules,
            "network-acl" => defaults::acls,
            _ => return Vec::new(),
        };
        make(self.account, self.region)
    }
}

/// All objects of a kind.
fn rows(ctx: &Ctx<'_>, call: &Call<'_>, kind: &Kind) -> Vec<Value> {
    let given = call.given(kind);
    let stored = |row: &Value| ctx.world.get(&call.key(kind, row[kind.id].as_str().unwrap_or(""))).is_some();
    let mut rows: Vec<Value> = given.into_iter().filter(|row| !stored(row)).collect();
    let all = call.key(kind, "");
    let there = ctx.world.under(&all).map(|(_, row)| row).filter(|row| row["_gone"] != true);
    rows.extend(there.cloned());
    rows
}

/// One object, or the error that there is none.
fn find(ctx: &Ctx<'_>, call: &Call<'_>, kind: &Kind, id: &str) -> Answer {
    let stored = ctx.world.get(&call.key(kind, id)).cloned();
    let found = stored.or_else(|| call.given(kind).into_iter().find(|row| row[kind.id] == id));
    found.filter(|row| row["_gone"] != true).ok_or_else(|| not_found(kind, id))
}

fn put(ctx: &mut Ctx<'_>, call: &Call<'_>, kind: &Kind, row: Value) {
    let id = row[kind.id].as_str().unwrap_or_default().to_owned();
    ctx.world.put(call.key(kind, &id), row);
}

fn edit(
    ctx: &mut Ctx<'_>,
    call: &Call<'_>,
    kind: &Kind,
    id: &str,
    change: impl FnOnce(&mut Value),
) -> Result<(), ApiError> {
    let mut row = find(ctx, call, kind, id)?;
    change(&mut row);
    put(ctx, call, kind, row);
    Ok(())
}

/// Takes an object away; what AWS gives leaves a stone in its place.
fn take(ctx: &mut Ctx<'_>, call: &Call<'_>, kind: &Kind, id: &str) {
    if call.given(kind).iter().any(|row| row[kind.id] == id) {
        ctx.world.put(call.key(kind, id), json!({kind.id: id, "_gone": true}));
    } else {
        ctx.world.remove(&call.key(kind, id));
    }
}

fn fresh_id(kind: &Kind) -> String {
    format!("{}-{}", kind.prefix, random_hex(17))
}

fn error(code: &str, text: impl Into<String>) -> ApiError {
    ApiError::new(400, code, text)
}

fn in_the_way(text: impl Into<String>) -> ApiError {
    error("DependencyViolation", text)
}

fn not_found(kind: &Kind, id: &str) -> ApiError {
    error(kind.missing, format!("The {} ID '{id}' does not exist", kind.word))
}

fn done() -> Answer {
    Ok(json!({ "return": true }))
}

/// The tags that a create brings for its object.
fn new_tags(call: &Call<'_>, kind: &Kind) -> Value {
    let mut tags = Vec::new();
    for (n, spec) in list(call.params, "TagSpecification").into_iter().enumerate() {
        if spec.get("ResourceType").map(String::as_str) == Some(kind.name) {
            tags.extend(tag_rows(call.params, &format!("TagSpecification.{}.Tag", n + 1)));
        }
    }
    tags.into()
}

fn tag_rows(params: &Params, prefix: &str) -> Vec<Value> {
    let row = |tag: std::collections::BTreeMap<String, String>| {
        Some(json!({"key": tag.get("Key")?, "value": tag.get("Value").cloned().unwrap_or_default()}))
    };
    list(params, prefix).into_iter().filter_map(row).collect()
}

fn tag(ctx: &mut Ctx<'_>, call: &Call<'_>, sets: bool) -> Answer {
    let tags = tag_rows(call.params, "Tag");
    for id in values(call.params, "ResourceId") {
        let kind = KINDS.into_iter().find(|k| id.starts_with(&format!("{}-", k.prefix)));
        let kind = kind.ok_or_else(|| error("InvalidID", format!("The ID '{id}' is not valid")))?;
        edit(ctx, call, kind, &id, |row| {
            let old = row["tagSet"].as_array().cloned().unwrap_or_default();
            let mut kept: Vec<Value> =
                old.into_iter().filter(|t| !tags.iter().any(|n| n["key"] == t["key"])).collect();
            if sets {
                kept.extend(tags.iter().cloned());
            }
            row["tagSet"] = kept.into();
        })?;
    }
    done()
}

pub(super) fn call(ctx: &mut Ctx<'_>, signed: &Signed, action: &str, params: &Params) -> Answer {
    let call = &Call { account: &signed.caller.account, region: &signed.region, params };
    if !defaults::REGIONS.iter().any(|(name, ..)| *name == call.region) {
        let text = format!("the sandbox has no region {}", call.region);
        return Err(ApiError::new(401, "AuthFailure", text));
    }
    if params.get("DryRun").is_some_and(|v| v == "true") {
        let text = "Request would have succeeded, but DryRun flag is set.";
        return Err(ApiError::new(412, "DryRunOperation", text));
    }
    match action {
        "DescribeVpcs" => list_of(ctx, call, &VPC),
        "DescribeSubnets" => list_of(ctx, call, &SUBNET),
        "DescribeInternetGateways" => list_of(ctx, call, &GATEWAY),
        "DescribeNatGateways" => list_of(ctx, call, &NAT),
        "DescribeAddresses" => list_of(ctx, call, &ADDRESS),
        "DescribeRouteTables" => list_of(ctx, call, &TABLE),
        "DescribeNetworkAcls" => list_of(ctx, call, &ACL),
        "DescribeSecurityGroupRules" => list_of(ctx, call, &RULE),
        "DescribeLaunchTemplates" => templates::list_of(ctx, call),
        "DescribeSecurityGroups" => groups::list_of(ctx, call),
        "DescribeNetworkInterfaces" => describe(
            nat::interfaces(ctx, call),
            "networkInterfaceSet",
            "NetworkInterfaceId",
            "networkInterfaceId",
            params,
        ),
        "DescribeImages" => describe(images::all(call.region), "imagesSet", "ImageId", "imageId", params),
        "DescribeRegions" => describe(defaults::regions(), "regionInfo", "RegionName", "regionName", params),
        "DescribeAvailabilityZones" => {
            let zones = defaults::zones(call.account, call.region);
            let (ids, id) = match call.param("ZoneId.1") {
                Some(_) => ("ZoneId", "zoneId"),
                None => ("ZoneName", "zoneName"),
            };
            describe(zones, "availabilityZoneInfo", ids, id, params)
        }
        "CreateTags" => tag(ctx, call, true),
        "DeleteTags" => tag(ctx, call, false),
        _ => network::call(ctx, call, action)
            .or_else(|| routes::call(ctx, call, action))
            .or_else(|| nat::call(ctx, call, action))
            .or_else(|| groups::call(ctx, call, action))
            .or_else(|| acls::call(ctx, call, action))
            .or_else(|| templates::call(ctx, call, action))
            .unwrap_or_else(|| {
                let text = format!("The action {action} is not valid for this web service.");
                Err(error("InvalidAction", text))
            }),
    }
}

/// Lists objects that have had time to show themselves.
fn list_of(ctx: &Ctx<'_>, call: &Call<'_>, kind: &Kind) -> Answer {
    let lag = i64::from(ctx.switches.ec2_read_lag) * 1000;
    let seen = |row: &Value| row["_made"].as_i64().is_none_or(|at| at + lag <= ctx.now);
    let rows = rows(ctx, call, kind).into_iter().filter(seen).collect();
    describe(rows, kind.set, kind.ids, kind.id, call.params).map_err(|e| {
        match call.param(&format!("{}.1", kind.ids)) {
            Some(id) if e.code == "NotFound" => not_found(kind, id),
            _ => e,
        }
    })
}

/// Ids, then filters, then pages; an id that is not there is an error, an empty page is not.
fn describe(rows: Vec<Value>, set: &str, ids: &str, id: &str, params: &Params) -> Answer {
    let wanted = values(params, ids);
    if let Some(missing) = wanted.iter().find(|w| !rows.iter().any(|row| row[id] == **w)) {
        let code = if id == "zoneName" || id == "zoneId" { "InvalidParameterValue" } else { "NotFound" };
        return Err(error(code, format!("Invalid value '{missing}' for {ids}")));
    }
    let filters = filters(params);
    let mut kept = Vec::new();
    for row in rows {
        if !wanted.is_empty() && !wanted.iter().any(|w| row[id] == *w) {
            continue;
        }
        let mut all = true;
        for (name, patterns) in &filters {
            let found = field(&row, name)?;
            all &= found.iter().any(|text| patterns.iter().any(|pattern| glob(pattern, text)));
        }
        if all {
            kept.push(public(row));
        }
    }
    let token = params.get("NextToken").map(String::as_str);
    let (kept, next) = page(kept, token, params.get("MaxResults").map(String::as_str), 1000);
    Ok(json!({set: kept, "nextToken": next}))
}

/// A row without the sandbox's own members.
fn public(row: Value) -> Value {
    match row {
        Value::Object(members) => {
            let shown: Map<String, Value> =
                members.into_iter().filter(|(name, _)| !name.starts_with('_')).collect();
            shown.into()
        }
        other => other,
    }
}

/// The zone and the VPC of a subnet.
pub(crate) fn subnet_place(ctx: &Ctx<'_>, account: &str, region: &str, id: &str) -> Option<(String, String)> {
    let call = Call { account, region, params: &Params::new() };
    let row = find(ctx, &call, &SUBNET, id).ok()?;
    Some((super::text(&row, "availabilityZone"), super::text(&row, "vpcId")))
}
