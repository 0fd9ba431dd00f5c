//! EC2's describes that a cluster needs. Every account has a default network in every region, made from
//! the names of both, so it is the same in every world and nothing of it is stored.

use super::{ApiError, Params, list, page, values};
use crate::crypto::{sha256_hex, spread};
use crate::sigv4::Signed;
use serde_json::{Value, json};

/// Region, prefix of its zone ids, letters of its zones.
const REGIONS: &[(&str, &str, &str)] = &[
    ("ap-northeast-1", "apne1", "acd"),
    ("ap-northeast-2", "apne2", "abcd"),
    ("ap-northeast-3", "apne3", "abc"),
    ("ap-south-1", "aps1", "abc"),
    ("ap-southeast-1", "apse1", "abc"),
    ("ap-southeast-2", "apse2", "abc"),
    ("ca-central-1", "cac1", "abd"),
    ("eu-central-1", "euc1", "abc"),
    ("eu-north-1", "eun1", "abc"),
    ("eu-west-1", "euw1", "abc"),
    ("eu-west-2", "euw2", "abc"),
    ("eu-west-3", "euw3", "abc"),
    ("sa-east-1", "sae1", "abc"),
    ("us-east-1", "use1", "abcdef"),
    ("us-east-2", "use2", "abc"),
    ("us-west-1", "usw1", "ac"),
    ("us-west-2", "usw2", "abcd"),
];

/// A subnet of an account's default network.
#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) zone: String,
    zone_id: String,
    cidr: String,
}

fn hex_id(kind: &str, parts: &[&str]) -> String {
    format!("{kind}-{}", &sha256_hex(format!("{kind}/{}", parts.join("/")).as_bytes())[..17])
}

pub(crate) fn vpc_id(account: &str, region: &str) -> String {
    hex_id("vpc", &[account, region])
}

pub(crate) fn subnets(account: &str, region: &str) -> Vec<Subnet> {
    let Some((_, prefix, letters)) = REGIONS.iter().find(|(name, ..)| *name == region) else {
        return Vec::new();
    };
    let zone = |(number, letter): (usize, char)| Subnet {
        id: hex_id("subnet", &[account, region, &letter.to_string()]),
        zone: format!("{region}{letter}"),
        zone_id: zone_id(prefix, number, letters.len()),
        cidr: format!("172.31.{}.0/20", number * 16),
    };
    letters.chars().enumerate().map(zone).collect()
}

/// Letters and ids run apart, as they do in real accounts.
fn zone_id(prefix: &str, number: usize, zones: usize) -> String {
    let shift = usize::try_from(spread(prefix, 3)).unwrap_or(0);
    format!("{prefix}-az{}", (number + shift) % zones + 1)
}

pub(super) fn call(signed: &Signed, action: &str, params: &Params) -> Result<Value, ApiError> {
    let (account, region) = (signed.caller.account.as_str(), signed.region.as_str());
    if !REGIONS.iter().any(|(name, ..)| *name == region) {
        return Err(ApiError::new(401, "AuthFailure", format!("the sandbox has no region {region}")));
    }
    if params.get("DryRun").is_some_and(|v| v == "true") {
        let text = "Request would have succeeded, but DryRun flag is set.";
        return Err(ApiError::new(412, "DryRunOperation", text));
    }
    match action {
        "DescribeVpcs" => describe(vpcs(account, region), "vpcSet", "VpcId", "vpcId", params),
        "DescribeSubnets" => {
            describe(subnet_rows(account, region), "subnetSet", "SubnetId", "subnetId", params)
        }
        "DescribeRegions" => describe(regions(), "regionInfo", "RegionName", "regionName", params),
        "DescribeAvailabilityZones" => {
            describe(zones(account, region), "availabilityZoneInfo", "ZoneName", "zoneName", params)
        }
        "DescribeVpcAttribute" => vpc_attribute(account, region, params),
        "DescribeRouteTables" => {
            describe(route_tables(account, region), "routeTableSet", "RouteTableId", "routeTableId", params)
        }
        _ => {
            let text = format!("The action {action} is not valid for this web service.");
            Err(ApiError::new(400, "InvalidAction", text))
        }
    }
}

fn vpcs(account: &str, region: &str) -> Vec<Value> {
    vec![json!({
        "vpcId": vpc_id(account, region),
        "ownerId": account,
        "state": "available",
        "cidrBlock": "172.31.0.0/16",
        "cidrBlockAssociationSet": [{
            "associationId": hex_id("vpc-cidr-assoc", &[account, region]),
            "cidrBlock": "172.31.0.0/16",
            "cidrBlockState": {"state": "associated"},
        }],
        "dhcpOptionsId": hex_id("dopt", &[account, region]),
        "instanceTenancy": "default",
        "isDefault": true,
    })]
}

fn subnet_rows(account: &str, region: &str) -> Vec<Value> {
    let vpc = vpc_id(account, region);
    let row = |subnet: Subnet| {
        json!({
            "subnetId": subnet.id,
            "subnetArn": format!("arn:aws:ec2:{region}:{account}:subnet/{}", subnet.id),
            "state": "available",
            "vpcId": vpc,
            "cidrBlock": subnet.cidr,
            "availableIpAddressCount": 4091,
            "availabilityZone": subnet.zone,
            "availabilityZoneId": subnet.zone_id,
            "defaultForAz": true,
            "mapPublicIpOnLaunch": true,
            "mapCustomerOwnedIpOnLaunch": false,
            "assignIpv6AddressOnCreation": false,
            "ipv6CidrBlockAssociationSet": [],
            "enableDns64": false,
            "ipv6Native": false,
            "ownerId": account,
            "privateDnsNameOptionsOnLaunch": {
                "hostnameType": "ip-name",
                "enableResourceNameDnsARecord": false,
                "enableResourceNameDnsAAAARecord": false,
            },
        })
    };
    subnets(account, region).into_iter().map(row).collect()
}

fn regions() -> Vec<Value> {
    let row = |(name, ..): &(&str, &str, &str)| {
        json!({
            "regionName": name,
            "regionEndpoint": format!("ec2.{name}.amazonaws.com"),
            "optInStatus": "opt-in-not-required",
        })
    };
    REGIONS.iter().map(row).collect()
}

fn zones(account: &str, region: &str) -> Vec<Value> {
    let row = |subnet: Subnet| {
        json!({
            "zoneName": subnet.zone,
            "zoneId": subnet.zone_id,
            "zoneState": "available",
            "zoneType": "availability-zone",
            "regionName": region,
            "groupName": region,
            "networkBorderGroup": region,
            "optInStatus": "opt-in-not-required",
            "messageSet": [],
        })
    };
    subnets(account, region).into_iter().map(row).collect()
}

fn route_tables(account: &str, region: &str) -> Vec<Value> {
    let (vpc, table) = (vpc_id(account, region), hex_id("rtb", &[account, region]));
    vec![json!({
        "routeTableId": table,
        "vpcId": vpc,
        "ownerId": account,
        "routeSet": [
            {"destinationCidrBlock": "172.31.0.0/16", "gatewayId": "local", "state": "active", "origin": "CreateRouteTable"},
            {"destinationCidrBlock": "0.0.0.0/0", "gatewayId": hex_id("igw", &[account, region]), "state": "active", "origin": "CreateRoute"},
        ],
        "associationSet": [{
            "routeTableAssociationId": hex_id("rtbassoc", &[account, region]),
            "routeTableId": table,
            "main": true,
            "associationState": {"state": "associated"},
        }],
        "propagatingVgwSet": [],
        "tagSet": [],
    })]
}

fn vpc_attribute(account: &str, region: &str, params: &Params) -> Result<Value, ApiError> {
    let id = params.get("VpcId").map_or("", String::as_str);
    if id != vpc_id(account, region) {
        return Err(not_found("VpcId", id));
    }
    let name = params.get("Attribute").map_or("", String::as_str);
    match name {
        "enableDnsSupport" | "enableDnsHostnames" => Ok(json!({"vpcId": id, name: {"value": true}})),
        "enableNetworkAddressUsageMetrics" => Ok(json!({"vpcId": id, name: {"value": false}})),
        _ => {
            let text = format!("Value ({name}) for parameter attribute is invalid.");
            Err(ApiError::new(400, "InvalidParameterValue", text))
        }
    }
}

fn not_found(parameter: &str, id: &str) -> ApiError {
    let (code, text) = match parameter {
        "VpcId" => ("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist")),
        "SubnetId" => ("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist")),
        "RouteTableId" => {
            ("InvalidRouteTableID.NotFound", format!("The routeTable ID '{id}' does not exist"))
        }
        _ => ("InvalidParameterValue", format!("Invalid value '{id}' for {parameter}")),
    };
    ApiError::new(400, code, text)
}

/// Ids, then filters, then pages; an id that is not there is an error, an empty page is not.
fn describe(rows: Vec<Value>, set: &str, ids: &str, id: &str, params: &Params) -> Result<Value, ApiError> {
    let wanted = values(params, ids);
    if let Some(missing) = wanted.iter().find(|w| !rows.iter().any(|row| row[id] == **w)) {
        return Err(not_found(ids, missing));
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
            kept.push(row);
        }
    }
    let token = params.get("NextToken").map(String::as_str);
    let (kept, next) = page(kept, token, params.get("MaxResults").map(String::as_str), 1000);
    Ok(json!({set: kept, "nextToken": next}))
}

fn filters(params: &Params) -> Vec<(String, Vec<String>)> {
    let patterns = |row: &std::collections::BTreeMap<String, String>| {
        let values = row.iter().filter(|(key, _)| key.starts_with("Value."));
        values.map(|(_, value)| value.clone()).collect()
    };
    let filter = |row: std::collections::BTreeMap<String, String>| {
        (row.get("Name").cloned().unwrap_or_default(), patterns(&row))
    };
    list(params, "Filter").into_iter().map(filter).collect()
}

/// The values of a row that a filter is held against; nothing here has tags.
fn field(row: &Value, filter: &str) -> Result<Vec<String>, ApiError> {
    if filter.starts_with("tag:") || filter == "tag-key" {
        return Ok(Vec::new());
    }
    let name = match filter {
        "is-default" | "isDefault" => "isDefault",
        "cidr" | "cidr-block" | "cidrBlock" => "cidrBlock",
        "vpc-id" => "vpcId",
        "subnet-id" => "subnetId",
        "state" => {
            if row["zoneState"].is_null() {
                "state"
            } else {
                "zoneState"
            }
        }
        "owner-id" => "ownerId",
        "dhcp-options-id" => "dhcpOptionsId",
        "availability-zone" | "availabilityZone" => "availabilityZone",
        "availability-zone-id" | "availabilityZoneId" => "availabilityZoneId",
        "default-for-az" | "defaultForAz" => "defaultForAz",
        "map-public-ip-on-launch" => "mapPublicIpOnLaunch",
        "subnet-arn" => "subnetArn",
        "ipv6-native" => "ipv6Native",
        "available-ip-address-count" => "availableIpAddressCount",
        "region-name" => "regionName",
        "endpoint" => "regionEndpoint",
        "opt-in-status" => "optInStatus",
        "zone-name" => "zoneName",
        "zone-id" => "zoneId",
        "zone-type" => "zoneType",
        "group-name" => "groupName",
        "route-table-id" => "routeTableId",
        "association.main" => return Ok(vec!["true".to_owned()]),
        _ => {
            let text = format!("The filter '{filter}' is invalid");
            return Err(ApiError::new(400, "InvalidParameterValue", text));
        }
    };
    Ok(match &row[name] {
        Value::String(text) => vec![text.clone()],
        Value::Null => Vec::new(),
        other => vec![other.to_string()],
    })
}

/// EC2's filter patterns: `*` stands for any text, `?` for one character.
fn glob(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| glob(rest, &text[at..])),
        _ => text
            .chars()
            .next()
            .is_some_and(|c| (first == '?' || first == c) && glob(rest, &text[c.len_utf8()..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("us-*", "us-east-1", true),
            ("us-east-?", "us-east-1", true),
            ("us-east-?", "us-east-", false),
            ("a*c*e", "abcde", true),
            ("true", "false", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn every_region_has_a_network_over_zones() {
        for (region, ..) in REGIONS {
            let subnets = subnets("111111111111", region);
            let ids: std::collections::BTreeSet<_> = subnets.iter().map(|s| s.zone_id.clone()).collect();
            assert!(subnets.len() >= 2 && ids.len() == subnets.len(), "{region}");
        }
        assert_ne!(vpc_id("111111111111", "us-east-1"), vpc_id("222222222222", "us-east-1"));
    }
}
