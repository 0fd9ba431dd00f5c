//! VPCs, subnets and internet gateways.

use super::defaults::hex_id;
use super::{
    ACL, Answer, Call, GATEWAY, GROUP, NAT, SUBNET, TABLE, VPC, acls, done, edit, error, find, fresh_id,
    groups, in_the_way, new_tags, not_found, put, rows, take,
};
use crate::aws::{ApiError, text};
use crate::core::Ctx;
use crate::crypto::random_hex;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

pub(super) fn call(ctx: &mut Ctx<'_>, call: &Call<'_>, action: &str) -> Option<Answer> {
    Some(match action {
        "CreateVpc" => create_vpc(ctx, call),
        "CreateDefaultVpc" => create_default(ctx, call, "DefaultVpcAlreadyExists", "default VPC"),
        "CreateDefaultSubnet" => {
            create_default(ctx, call, "DefaultSubnetAlreadyExistsInAvailabilityZone", "default subnet")
        }
        "DescribeVpcAttribute" => vpc_attribute(ctx, call),
        "ModifyVpcAttribute" => modify_vpc(ctx, call),
        "DeleteVpc" => delete_vpc(ctx, call),
        "CreateSubnet" => create_subnet(ctx, call),
        "ModifySubnetAttribute" => modify_subnet(ctx, call),
        "DeleteSubnet" => delete_subnet(ctx, call),
        "CreateInternetGateway" => {
            let row = json!({
                "internetGatewayId": fresh_id(&GATEWAY), "ownerId": call.account, "attachmentSet": [],
                "tagSet": new_tags(call, &GATEWAY), "_made": ctx.now,
            });
            put(ctx, call, &GATEWAY, row.clone());
            Ok(json!({ "internetGateway": super::public(row) }))
        }
        "AttachInternetGateway" => attach(ctx, call),
        "DetachInternetGateway" => detach(ctx, call),
        "DeleteInternetGateway" => {
            let id = match call.need("InternetGatewayId") {
                Ok(id) => id,
                Err(e) => return Some(Err(e)),
            };
            match find(ctx, call, &GATEWAY, id) {
                Ok(row) if row["attachmentSet"].as_array().is_some_and(|a| !a.is_empty()) => {
                    let text = format!("The internetGateway '{id}' has dependencies and cannot be deleted.");
                    Err(in_the_way(text))
                }
                Ok(_) => {
                    take(ctx, call, &GATEWAY, id);
                    done()
                }
                Err(e) => Err(e),
            }
        }
        _ => return None,
    })
}

/// A range of addresses: first address and length of the prefix.
pub(super) fn cidr(text: &str) -> Option<(u32, u32)> {
    let (address, length) = text.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let length: u32 = length.parse().ok().filter(|l| *l <= 32)?;
    Some((u32::from(address), length))
}

fn mask(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length).unwrap_or(0)
}

fn overlap(a: (u32, u32), b: (u32, u32)) -> bool {
    let mask = mask(a.1.min(b.1));
    a.0 & mask == b.0 & mask
}

fn block(call: &Call<'_>, code: &str) -> Result<(String, (u32, u32)), ApiError> {
    let given = call.need("CidrBlock")?;
    let parsed = cidr(given).ok_or_else(|| {
        error(
            "InvalidParameterValue",
            format!("Value ({given}) for parameter cidrBlock is invalid. This is not a valid CIDR block."),
        )
    })?;
    if !(16..=28).contains(&parsed.1) || parsed.0 & !mask(parsed.1) != 0 {
        return Err(error(code, format!("The CIDR '{given}' is invalid.")));
    }
    Ok((given.to_owned(), parsed))
}

fn create_default(ctx: &Ctx<'_>, call: &Call<'_>, code: &str, what: &str) -> Answer {
    let _ = (ctx, call);
    Err(error(code, format!("A {what} already exists for this account in this region.")))
}

fn create_vpc(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let (cidr, _) = block(call, "InvalidVpc.Range")?;
    if rows(ctx, call, &VPC).len() >= 50 {
        return Err(error("VpcLimitExceeded", "The maximum number of VPCs has been reached."));
    }
    let id = fresh_id(&VPC);
    let row = json!({
        "vpcId": id, "ownerId": call.account, "state": "available", "cidrBlock": cidr,
        "cidrBlockAssociationSet": [{
            "associationId": format!("vpc-cidr-assoc-{}", random_hex(17)), "cidrBlock": cidr,
            "cidrBlockState": {"state": "associated"},
        }],
        "dhcpOptionsId": hex_id("dopt", &[call.account, call.region]),
        "instanceTenancy": call.param("InstanceTenancy").unwrap_or("default"),
        "isDefault": false, "tagSet": new_tags(call, &VPC), "_made": ctx.now,
        "_enableDnsSupport": true, "_enableDnsHostnames": false,
    });
    put(ctx, call, &VPC, row.clone());
    // A VPC comes with a main route table, a default group and a default ACL.
    let table = fresh_id(&TABLE);
    let main = json!({
        "routeTableId": table, "vpcId": id, "ownerId": call.account,
        "routeSet": [super::routes::local(&cidr)],
        "associationSet": [{
            "routeTableAssociationId": format!("rtbassoc-{}", random_hex(17)), "routeTableId": table,
            "main": true, "associationState": {"state": "associated"},
        }],
        "propagatingVgwSet": [], "tagSet": [],
    });
    put(ctx, call, &TABLE, main);
    groups::create(ctx, call, &id, "default", "default VPC security group", &json!([]));
    put(ctx, call, &ACL, acls::fresh(call.account, &id, &fresh_id(&ACL)));
    let mut shown = super::public(row);
    shown["state"] = "pending".into();
    Ok(json!({ "vpc": shown }))
}

const VPC_SETTINGS: [(&str, &str); 3] = [
    ("EnableDnsSupport", "enableDnsSupport"),
    ("EnableDnsHostnames", "enableDnsHostnames"),
    ("EnableNetworkAddressUsageMetrics", "enableNetworkAddressUsageMetrics"),
];

fn vpc_attribute(ctx: &Ctx<'_>, call: &Call<'_>) -> Answer {
    let (id, name) = (call.need("VpcId")?, call.need("Attribute")?);
    let row = find(ctx, call, &VPC, id)?;
    if !VPC_SETTINGS.iter().any(|(_, n)| *n == name) {
        let text = format!("Value ({name}) for parameter attribute is invalid.");
        return Err(error("InvalidParameterValue", text));
    }
    Ok(json!({"vpcId": id, name: {"value": row[format!("_{name}")] == true}}))
}

fn modify_vpc(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("VpcId")?;
    let row = find(ctx, call, &VPC, id)?;
    let given: Vec<_> =
        VPC_SETTINGS.iter().filter_map(|(p, n)| Some((n, call.param(&format!("{p}.Value"))?))).collect();
    let [(name, value)] = given.as_slice() else {
        return Err(error("InvalidParameterCombination", "Fields for multiple attribute types specified"));
    };
    if **name == "enableDnsHostnames" && *value == "true" && row["_enableDnsSupport"] != true {
        let text = "DNS hostnames cannot be enabled when DNS support is disabled";
        return Err(error("InvalidParameterCombination", text));
    }
    edit(ctx, call, &VPC, id, |row| row[format!("_{name}")] = (*value == "true").into())?;
    done()
}

fn delete_vpc(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("VpcId")?;
    find(ctx, call, &VPC, id)?;
    let of = |row: &Value| row["vpcId"] == id;
    let main =
        |row: &Value| row["associationSet"].as_array().is_some_and(|a| a.iter().any(|a| a["main"] == true));
    let attached = |row: &Value| row["attachmentSet"].as_array().is_some_and(|a| a.iter().any(of));
    let blocked = rows(ctx, call, &SUBNET).iter().any(of)
        || rows(ctx, call, &GATEWAY).iter().any(attached)
        || rows(ctx, call, &TABLE).iter().any(|t| of(t) && !main(t))
        || rows(ctx, call, &GROUP).iter().any(|g| of(g) && g["groupName"] != "default");
    if blocked {
        return Err(in_the_way(format!("The vpc '{id}' has dependencies and cannot be deleted.")));
    }
    for kind in [&TABLE, &ACL] {
        for row in rows(ctx, call, kind).into_iter().filter(of) {
            take(ctx, call, kind, row[kind.id].as_str().unwrap_or_default());
        }
    }
    for group in rows(ctx, call, &GROUP).into_iter().filter(of) {
        groups::remove(ctx, call, group["groupId"].as_str().unwrap_or_default());
    }
    take(ctx, call, &VPC, id);
    done()
}

fn create_subnet(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let vpc_id = call.need("VpcId")?;
    let vpc = find(ctx, call, &VPC, vpc_id)?;
    let (given, range) = block(call, "InvalidSubnet.Range")?;
    let whole = cidr(&text(&vpc, "cidrBlock")).unwrap_or((0, 32));
    if range.1 < whole.1 || !overlap(range, whole) {
        return Err(error("InvalidSubnet.Range", format!("The CIDR '{given}' is invalid.")));
    }
    let others = rows(ctx, call, &SUBNET);
    let taken = others.iter().filter(|s| s["vpcId"] == vpc_id).filter_map(|s| cidr(s["cidrBlock"].as_str()?));
    if taken.into_iter().any(|other| overlap(range, other)) {
        return Err(error(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{given}' conflicts with another subnet"),
        ));
    }
    let zones = super::subnets(call.account, call.region);
    let by_name = call.param("AvailabilityZone").map(|z| zones.iter().find(|s| s.zone == z));
    let by_id = call.param("AvailabilityZoneId").map(|z| zones.iter().find(|s| s.zone_id == z));
    let Some(zone) = by_name.or(by_id).unwrap_or(zones.first()) else {
        let zone = call.param("AvailabilityZone").or(call.param("AvailabilityZoneId")).unwrap_or_default();
        let text = format!(
            "Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: {}.",
            zones.iter().map(|z| z.zone.as_str()).collect::<Vec<_>>().join(", ")
        );
        return Err(error("InvalidParameterValue", text));
    };
    let id = fresh_id(&SUBNET);
    let row = json!({
        "subnetId": id,
        "subnetArn": format!("arn:aws:ec2:{}:{}:subnet/{id}", call.region, call.account),
        "state": "available", "vpcId": vpc_id, "cidrBlock": given,
        "availableIpAddressCount": (1u64 << (32 - range.1)) - 5,
        "availabilityZone": zone.zone, "availabilityZoneId": zone.zone_id,
        "defaultForAz": false, "mapPublicIpOnLaunch": false, "mapCustomerOwnedIpOnLaunch": false,
        "assignIpv6AddressOnCreation": false, "ipv6CidrBlockAssociationSet": [],
        "enableDns64": false, "ipv6Native": false, "ownerId": call.account,
        "privateDnsNameOptionsOnLaunch": {
            "hostnameType": "ip-name", "enableResourceNameDnsARecord": false,
            "enableResourceNameDnsAAAARecord": false,
        },
        "tagSet": new_tags(call, &SUBNET), "_made": ctx.now,
    });
    put(ctx, call, &SUBNET, row.clone());
    acls::associate(ctx, call, vpc_id, &id);
    Ok(json!({ "subnet": super::public(row) }))
}

fn modify_subnet(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    const SETTINGS: [(&str, &str); 6] = [
        ("MapPublicIpOnLaunch.Value", "/mapPublicIpOnLaunch"),
        ("AssignIpv6AddressOnCreation.Value", "/assignIpv6AddressOnCreation"),
        ("EnableDns64.Value", "/enableDns64"),
        (
            "EnableResourceNameDnsARecordOnLaunch.Value",
            "/privateDnsNameOptionsOnLaunch/enableResourceNameDnsARecord",
        ),
        (
            "EnableResourceNameDnsAAAARecordOnLaunch.Value",
            "/privateDnsNameOptionsOnLaunch/enableResourceNameDnsAAAARecord",
        ),
        ("PrivateDnsHostnameTypeOnLaunch", "/privateDnsNameOptionsOnLaunch/hostnameType"),
    ];
    let id = call.need("SubnetId")?;
    let row = find(ctx, call, &SUBNET, id)?;
    let given: Vec<_> = SETTINGS.iter().filter_map(|(p, at)| Some((*p, *at, call.param(p)?))).collect();
    let [(parameter, at, value)] = given.as_slice() else {
        return Err(error("InvalidParameterCombination", "Fields for multiple attribute types specified"));
    };
    let no_six = row["ipv6CidrBlockAssociationSet"].as_array().is_none_or(Vec::is_empty);
    if no_six && *value == "true" && (parameter.contains("Ipv6") || parameter.contains("AAAA")) {
        let text = format!("Invalid value 'true' for {parameter}. The subnet has no IPv6 CIDR block.");
        return Err(error("InvalidParameterValue", text));
    }
    let value: Value = match *value {
        "true" => true.into(),
        "false" => false.into(),
        text => text.into(),
    };
    edit(ctx, call, &SUBNET, id, |row| {
        if let Some(place) = row.pointer_mut(at) {
            *place = value;
        }
    })?;
    done()
}

fn delete_subnet(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let id = call.need("SubnetId")?;
    find(ctx, call, &SUBNET, id)?;
    let interfaces = super::nat::interfaces(ctx, call);
    if interfaces.iter().any(|i| i["subnetId"] == id) {
        return Err(in_the_way(format!("The subnet '{id}' has dependencies and cannot be deleted.")));
    }
    super::routes::forget_subnet(ctx, call, id);
    acls::forget_subnet(ctx, call, id);
    take(ctx, call, &SUBNET, id);
    done()
}

fn attach(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let (id, vpc) = (call.need("InternetGatewayId")?, call.need("VpcId")?);
    let gateway = find(ctx, call, &GATEWAY, id)?;
    find(ctx, call, &VPC, vpc)?;
    if gateway["attachmentSet"].as_array().is_some_and(|a| !a.is_empty()) {
        let text =
            format!("resource {id} is already attached to network {}", gateway["attachmentSet"][0]["vpcId"]);
        return Err(error("Resource.AlreadyAssociated", text));
    }
    if attached(ctx, call, vpc).is_some() {
        let text = format!("Network {vpc} already has an internet gateway attached");
        return Err(error("InvalidParameterValue", text));
    }
    edit(ctx, call, &GATEWAY, id, |row| {
        row["attachmentSet"] = json!([{"vpcId": vpc, "state": "available"}]);
    })?;
    done()
}

/// The gateway of a VPC.
pub(super) fn attached(ctx: &Ctx<'_>, call: &Call<'_>, vpc: &str) -> Option<Value> {
    let on =
        |row: &Value| row["attachmentSet"].as_array().is_some_and(|a| a.iter().any(|a| a["vpcId"] == vpc));
    rows(ctx, call, &GATEWAY).into_iter().find(on)
}

fn detach(ctx: &mut Ctx<'_>, call: &Call<'_>) -> Answer {
    let (id, vpc) = (call.need("InternetGatewayId")?, call.need("VpcId")?);
    let gateway = find(ctx, call, &GATEWAY, id)?;
    find(ctx, call, &VPC, vpc).map_err(|_| not_found(&VPC, vpc))?;
    if gateway["attachmentSet"][0]["vpcId"] != vpc {
        return Err(error("Gateway.NotAttached", format!("resource {id} is not attached to network {vpc}")));
    }
    let public =
        |n: &Value| n["vpcId"] == vpc && n["state"] != "deleted" && n["connectivityType"] == "public";
    if rows(ctx, call, &NAT).iter().any(public) {
        let text = format!(
            "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
        );
        return Err(in_the_way(text));
    }
    edit(ctx, call, &GATEWAY, id, |row| row["attachmentSet"] = json!([]))?;
    done()
}
