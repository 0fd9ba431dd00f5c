//! What the API server says of itself.

use super::api;
use super::kinds::{KINDS, Kind};
use crate::http::{Reply, Request};
use crate::store::World;
use serde_json::{Value, json};

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Answers everything that is no object; an unknown path is the vendor's 404.
pub(super) fn call(world: &World, uid: &str, request: &Request) -> Result<Reply, Reply> {
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let aggregated = request.header("accept").is_some_and(|a| a.contains("as=APIGroupDiscoveryList"));
    let body = match parts[..] {
        ["version"] => version(world, uid),
        ["healthz" | "livez" | "readyz"] => return Ok(Reply::new(200, "text/plain", "ok")),
        ["api"] if aggregated => return Ok(discovery_list(&[""])),
        ["apis"] if aggregated => return Ok(discovery_list(&groups())),
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
        }),
        ["apis"] => {
            let groups: Vec<Value> = groups().into_iter().map(group).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["apis", name] if groups().contains(&name) => {
            let mut body = group(name);
            body["kind"] = "APIGroup".into();
            body["apiVersion"] = "v1".into();
            body
        }
        ["api", version] => resources("", version).ok_or_else(unknown)?,
        ["apis", group, version] => resources(group, version).ok_or_else(unknown)?,
        ["openapi", "v3"] => json!({"paths": {}}),
        ["openapi", "v2"] => {
            json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1"}, "paths": {}})
        }
        _ => return Err(unknown()),
    };
    Ok(Reply::json(200, &body))
}

fn unknown() -> Reply {
    api::status(404, "NotFound", "the server could not find the requested resource", Some(json!({})))
}

fn version(world: &World, uid: &str) -> Value {
    let cluster = world.get(&super::secret_key(uid)).and_then(|s| s["cluster"].as_str());
    let version =
        cluster.and_then(|key| world.get(key)).and_then(|c| c["api"]["version"].as_str()).unwrap_or("1.34");
    let minor = version.rsplit('.').next().unwrap_or("34");
    json!({
        "major": "1", "minor": format!("{minor}+"), "gitVersion": format!("v{version}.0-eks-sandbox"),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "2025-11-20T00:00:00Z", "goVersion": "",
        "compiler": "", "platform": "linux/amd64",
    })
}

fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = KINDS.iter().map(|k| k.group).filter(|g| !g.is_empty()).collect();
    groups.dedup();
    groups
}

fn version_of(group: &str) -> &'static str {
    KINDS.iter().find(|k| k.group == group).map_or("v1", |k| k.version)
}

fn group(name: &str) -> Value {
    let version = version_of(name);
    let entry = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [entry], "preferredVersion": entry})
}

fn of_group<'a>(group: &'a str) -> impl Iterator<Item = &'static Kind> + 'a {
    KINDS.iter().filter(move |k| k.group == group)
}

fn short_names(kind: &Kind) -> Vec<&'static str> {
    if kind.short.is_empty() { Vec::new() } else { vec![kind.short] }
}

fn resources(group: &str, version: &str) -> Option<Value> {
    if !KINDS.iter().any(|k| k.group == group && k.version == version) {
        return None;
    }
    let mut rows = Vec::new();
    for kind in of_group(group) {
        rows.push(json!({
            "name": kind.resource, "singularName": kind.singular, "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": VERBS, "shortNames": short_names(kind),
        }));
        if kind.has_status {
            rows.push(json!({
                "name": format!("{}/status", kind.resource), "singularName": "", "namespaced": kind.namespaced,
                "kind": kind.kind, "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let name = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": rows}))
}

fn discovery_list(groups: &[&str]) -> Reply {
    let items: Vec<Value> = groups.iter().map(|group| discovery_group(group)).collect();
    let body = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    Reply::new(200, kind, body.to_string())
}

fn discovery_group(group: &str) -> Value {
    let resource = |kind: &Kind| {
        let response = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let mut row = json!({
            "resource": kind.resource, "responseKind": response,
            "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
            "singularResource": kind.singular, "verbs": VERBS, "shortNames": short_names(kind),
        });
        if kind.has_status {
            row["subresources"] = json!([{"subresource": "status", "responseKind": response, "verbs": ["get", "patch", "update"]}]);
        }
        row
    };
    let rows: Vec<Value> = of_group(group).map(resource).collect();
    let meta = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": meta, "versions": [{"version": version_of(group), "freshness": "Current", "resources": rows}]})
}
