//! The default network that every account has in every region, made from the names of both: the same in every
//! world, and stored only where somebody changes it.

use crate::crypto::{sha256_hex, spread};
use serde_json::{Value, json};

/// Region, prefix of its zone ids, letters of its zones.
pub(super) const REGIONS: &[(&str, &str, &str)] = &[
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
    pub(super) zone_id: String,
    cidr: String,
}

pub(super) fn hex_id(kind: &str, parts: &[&str]) -> String {
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

pub(super) fn vpcs(account: &str, region: &str) -> Vec<Value> {
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
        "tagSet": [],
        "_enableDnsSupport": true,
        "_enableDnsHostnames": true,
    })]
}

pub(super) fn subnet_rows(account: &str, region: &str) -> Vec<Value> {
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
            "tagSet": [],
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

pub(super) fn regions() -> Vec<Value> {
    let row = |(name, ..): &(&str, &str, &str)| {
        json!({
            "regionName": name,
            "regionEndpoint": format!("ec2.{name}.amazonaws.com"),
            "optInStatus": "opt-in-not-required",
        })
    };
    REGIONS.iter().map(row).collect()
}

pub(super) fn zones(account: &str, region: &str) -> Vec<Value> {
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

pub(super) fn route_tables(account: &str, region: &str) -> Vec<Value> {
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

pub(super) fn gateways(account: &str, region: &str) -> Vec<Value> {
    vec![json!({
        "internetGatewayId": hex_id("igw", &[account, region]),
        "ownerId": account,
        "attachmentSet": [{"vpcId": vpc_id(account, region), "state": "available"}],
        "tagSet": [],
    })]
}

pub(super) fn groups(account: &str, region: &str) -> Vec<Value> {
    vec![json!({
        "groupId": hex_id("sg", &[account, region]),
        "groupName": "default",
        "groupDescription": "default VPC security group",
        "ownerId": account,
        "vpcId": vpc_id(account, region),
        "tagSet": [],
    })]
}

pub(super) fn rules(account: &str, region: &str) -> Vec<Value> {
    super::groups::first_rules(account, &hex_id("sg", &[account, region]), |direction| {
        hex_id("sgr", &[account, region, direction])
    })
}

pub(super) fn acls(account: &str, region: &str) -> Vec<Value> {
    let id = hex_id("acl", &[account, region]);
    let mut acl = super::acls::fresh(account, &vpc_id(account, region), &id);
    acl["associationSet"] = subnets(account, region)
        .into_iter()
        .map(|subnet| {
            json!({
                "networkAclAssociationId": hex_id("aclassoc", &[account, region, &subnet.id]),
                "networkAclId": id,
                "subnetId": subnet.id,
            })
        })
        .collect();
    vec![acl]
}

#[cfg(test)]
mod tests {
    use super::*;

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
