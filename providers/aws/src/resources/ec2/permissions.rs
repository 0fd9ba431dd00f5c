//! What a security group lets in or out, as single permissions: one protocol, range of ports and other side each.
//!
//! EC2 tells them packed by protocol and ports, users write them packed as they like; here both are taken apart.

use super::items;
use crate::ec2::{Params, Xml};
use crate::values::{blocks, flag, int, opt_text, text, texts, tuple_of};
use groma_types::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The other side of a permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    Cidr(String),
    Cidr6(String),
    Prefixes(String),
    Group(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Permission {
    pub(super) protocol: String,
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) peer: Peer,
    pub(super) description: Option<String>,
}

/// Protocols by one name each; ports of all protocols are none.
pub(super) fn protocol(text: &str) -> String {
    match text.to_lowercase().as_str() {
        "all" | "-1" => "-1".into(),
        "6" => "tcp".into(),
        "17" => "udp".into(),
        "1" => "icmp".into(),
        "58" => "icmpv6".into(),
        other => other.into(),
    }
}

/// Lists of arguments, and the peer that each entry is.
type PeerList = (&'static str, fn(String) -> Peer);

const LISTS: [PeerList; 3] =
    [("cidr_blocks", Peer::Cidr), ("ipv6_cidr_blocks", Peer::Cidr6), ("prefix_list_ids", Peer::Prefixes)];

/// The permissions of one block; `own` is the group itself.
pub(super) fn of_block(block: &Value, own: &str) -> BTreeSet<Permission> {
    let protocol = protocol(&text(block, "protocol").unwrap_or("-1".into()));
    let port = |name: &str| if protocol == "-1" { 0 } else { int(block, name).unwrap_or(0) };
    let (from, to) = (port("from_port"), port("to_port"));
    let description = text(block, "description").filter(|d| !d.is_empty());
    let mut peers: Vec<Peer> = Vec::new();
    for (list, peer) in LISTS {
        peers.extend(texts(block, list).unwrap_or_default().into_iter().map(peer));
    }
    peers.extend(texts(block, "security_groups").unwrap_or_default().into_iter().map(Peer::Group));
    peers.extend(text(block, "source_security_group_id").map(Peer::Group));
    if flag(block, "self") == Some(true) {
        peers.push(Peer::Group(own.to_string()));
    }
    let one =
        |peer| Permission { protocol: protocol.clone(), from, to, peer, description: description.clone() };
    peers.into_iter().map(one).collect()
}

/// The permissions that blocks of an argument write.
pub(super) fn of_blocks(value: &Value, name: &str, own: &str) -> BTreeSet<Permission> {
    blocks(value, name).iter().flat_map(|b| of_block(b, own)).collect()
}

/// The permissions in a described group; `set` is `ipPermissions` or `ipPermissionsEgress`.
pub(super) fn of_answer(group: &Xml, set: &str) -> BTreeSet<Permission> {
    let owner = group.text_of("ownerId").unwrap_or_default();
    let mut found = BTreeSet::new();
    for packed in items(group, set) {
        let protocol = protocol(packed.text_of("ipProtocol").unwrap_or_default());
        let port = |name: &str| packed.text_of(name).and_then(|t| t.parse().ok()).unwrap_or(0);
        let (from, to) = if protocol == "-1" { (0, 0) } else { (port("fromPort"), port("toPort")) };
        let mut add = |peer: Peer, item: &Xml| {
            let description = item.text_of("description").filter(|d| !d.is_empty()).map(str::to_string);
            found.insert(Permission { protocol: protocol.clone(), from, to, peer, description });
        };
        let text = |item: &Xml, name: &str| item.text_of(name).unwrap_or_default().to_string();
        items(packed, "ipRanges").iter().for_each(|i| add(Peer::Cidr(text(i, "cidrIp")), i));
        items(packed, "ipv6Ranges").iter().for_each(|i| add(Peer::Cidr6(text(i, "cidrIpv6")), i));
        items(packed, "prefixListIds").iter().for_each(|i| add(Peer::Prefixes(text(i, "prefixListId")), i));
        for item in items(packed, "groups") {
            let account = text(item, "userId");
            let id = text(item, "groupId");
            // A group of another account is named with it, as users write it.
            let foreign = !account.is_empty() && account != owner;
            add(Peer::Group(if foreign { format!("{account}/{id}") } else { id }), item);
        }
    }
    found
}

/// The parameters of an authorization or a revocation.
pub(super) fn params(permissions: &BTreeSet<Permission>, group: &str) -> Params {
    let mut params = vec![("GroupId".to_string(), group.to_string())];
    for (n, permission) in permissions.iter().enumerate() {
        let at = |rest: &str| format!("IpPermissions.{}.{rest}", n + 1);
        params.push((at("IpProtocol"), permission.protocol.clone()));
        if permission.protocol != "-1" {
            params.push((at("FromPort"), permission.from.to_string()));
            params.push((at("ToPort"), permission.to.to_string()));
        }
        let (list, member, value) = match &permission.peer {
            Peer::Cidr(v) => ("IpRanges", "CidrIp", v.as_str()),
            Peer::Cidr6(v) => ("Ipv6Ranges", "CidrIpv6", v.as_str()),
            Peer::Prefixes(v) => ("PrefixListIds", "PrefixListId", v.as_str()),
            Peer::Group(v) => ("Groups", "GroupId", v.as_str()),
        };
        match (list, value.split_once('/')) {
            ("Groups", Some((account, id))) => {
                params.push((at("Groups.1.UserId"), account.to_string()));
                params.push((at("Groups.1.GroupId"), id.to_string()));
            }
            _ => params.push((at(&format!("{list}.1.{member}")), value.to_string())),
        }
        if let Some(description) = &permission.description {
            params.push((at(&format!("{list}.1.Description")), description.clone()));
        }
    }
    params
}

/// Blocks for what a group has: those of `before` as they are written where they still hold, and the rest packed by
/// protocol, ports and description.
pub(super) fn to_blocks(mut there: BTreeSet<Permission>, before: &Value, name: &str, own: &str) -> Value {
    let mut out = Vec::new();
    for block in blocks(before, name) {
        let written = of_block(block, own);
        if !written.is_empty() && written.is_subset(&there) {
            there.retain(|p| !written.contains(p));
            out.push(block.clone());
        }
    }
    let mut packed: BTreeMap<(String, i32, i32, Option<String>), Vec<Peer>> = BTreeMap::new();
    for p in there {
        packed.entry((p.protocol, p.from, p.to, p.description)).or_default().push(p.peer);
    }
    for ((protocol, from, to, description), peers) in packed {
        let mut attrs = vec![
            ("protocol", Value::string(protocol)),
            ("from_port", Value::number(i64::from(from))),
            ("to_port", Value::number(i64::from(to))),
            ("description", opt_text(description)),
        ];
        // What says nothing is null, as a user leaves it out.
        let says = |v: &Value| v.as_bool() != Some(false) && v.as_seq().is_none_or(|s| !s.is_empty());
        attrs.extend(peers_value(&peers, own).into_iter().filter(|(_, v)| says(v)));
        out.push(Value::object(attrs));
    }
    Value::tuple(out)
}

/// The arguments that name these peers.
pub(super) fn peers_value(peers: &[Peer], own: &str) -> Vec<(&'static str, Value)> {
    let pick = |take: fn(&Peer) -> Option<&String>| tuple_of(peers.iter().filter_map(take));
    let is_own = |p: &Peer| *p == Peer::Group(own.to_string());
    let others = peers.iter().filter(|p| !is_own(p));
    vec![
        ("cidr_blocks", pick(|p| if let Peer::Cidr(v) = p { Some(v) } else { None })),
        ("ipv6_cidr_blocks", pick(|p| if let Peer::Cidr6(v) = p { Some(v) } else { None })),
        ("prefix_list_ids", pick(|p| if let Peer::Prefixes(v) = p { Some(v) } else { None })),
        (
            "security_groups",
            tuple_of(others.filter_map(|p| if let Peer::Group(v) = p { Some(v) } else { None })),
        ),
        ("self", Value::bool(peers.iter().any(is_own))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::one;

    fn block(attrs: Vec<(&'static str, Value)>) -> Value {
        Value::object(attrs)
    }

    #[test]
    fn blocks_are_taken_apart_and_put_together_as_they_were_written() {
        let web = block(vec![
            ("protocol", "6".into()),
            ("from_port", 80.into()),
            ("to_port", 80.into()),
            ("cidr_blocks", tuple_of(["10.0.0.0/8", "192.168.0.0/16"])),
            ("self", true.into()),
        ]);
        let all = of_block(&web, "sg-1");
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|p| p.protocol == "tcp" && p.from == 80));
        let before = block(vec![("ingress", Value::tuple(vec![web.clone()]))]);
        assert_eq!(to_blocks(all.clone(), &before, "ingress", "sg-1"), Value::tuple(vec![web]));
        // Nothing was written: one block for one protocol and range of ports.
        let packed = to_blocks(all, &Value::NULL, "ingress", "sg-1");
        let one_block = packed.at(0).unwrap();
        assert_eq!(texts(one_block, "cidr_blocks").unwrap(), ["10.0.0.0/8", "192.168.0.0/16"]);
        assert_eq!(flag(one_block, "self"), Some(true));
        assert!(packed.at(1).is_none());
    }

    #[test]
    fn a_request_names_all_that_is_in_it() {
        let value = block(vec![(
            "egress",
            one([
                ("protocol", "all".into()),
                ("from_port", 5.into()),
                ("security_groups", tuple_of(["222222222222/sg-2"])),
                ("description", "out".into()),
            ]),
        )]);
        let shown: Vec<String> = params(&of_blocks(&value, "egress", "sg-1"), "sg-1")
            .into_iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(
            shown,
            [
                "GroupId=sg-1",
                "IpPermissions.1.IpProtocol=-1",
                "IpPermissions.1.Groups.1.UserId=222222222222",
                "IpPermissions.1.Groups.1.GroupId=sg-2",
                "IpPermissions.1.Groups.1.Description=out",
            ]
        );
    }
}
