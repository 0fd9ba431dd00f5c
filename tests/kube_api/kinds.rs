//! Every typed kind on the real API: what it fills in by itself is no change.

use super::server::{server, stack};
use crate::kube_kinds::KINDS;
use serde_json::Value as Json;
use std::collections::BTreeSet;

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn every_kind_is_made_stays_and_goes() {
    let stack = stack().file("kinds.yaml", KINDS);
    stack.ok(&["apply", "-auto-approve"]);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]).says_not(&["Changed outside"]);
    stack.ok(&["apply", "-auto-approve", "-var", "tag=2"]).says(&["0 added, 1 changed, 0 destroyed"]);
    stack.ok(&["plan", "-detailed-exitcode", "-var", "tag=2"]);
    stack.ok(&["destroy", "-auto-approve"]);
    server().has_no(&["namespace", "kinds"]);
    server().has_no(&["clusterrole", "kinds:watcher"]);
    server().has_no(&["storageclass", "kinds-lazy"]);
}

/// Every argument that a kind may have is taken as it is written, and is no change afterwards.
#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn every_optional_argument_is_taken_and_stays() {
    let stack = stack().file("full.yaml", include_str!("full.yaml"));
    stack.ok(&["apply", "-auto-approve"]);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    let json = |args: &[&str]| serde_json::from_str::<Json>(&stack.ok(args).stdout).expect("JSON");
    let (shown, schemas) = (json(&["show", "-json"]), json(&["providers", "schema", "-json"]));
    let schemas =
        &schemas["provider_schemas"]["registry.terraform.io/hashicorp/kubernetes"]["resource_schemas"];
    let (mut said, mut wanted) = (Places::new(), Places::new());
    for resource in shown["values"]["root_module"]["resources"].as_array().expect("resources") {
        let kind = resource["type"].as_str().expect("a kind");
        if kind != "kubernetes_manifest" {
            written(kind, &resource["values"], &mut said);
            arguments(kind, &schemas[kind]["block"], &mut wanted);
        }
    }
    assert!(wanted.len() > 300, "{} arguments", wanted.len());
    let left_out: Vec<_> = wanted.difference(&said).collect();
    assert!(left_out.is_empty(), "{left_out:?}");
    stack.ok(&["destroy", "-auto-approve"]);
    server().has_no(&["namespace", "full"]);
}

/// A block and an argument in it. Blocks of one name are alike.
type Places = BTreeSet<(String, String)>;

/// One name for blocks that hold the same.
fn alike(name: &str) -> &str {
    match name {
        "init_container" => "container",
        "liveness_probe" | "readiness_probe" | "startup_probe" => "probe",
        other => other,
    }
}

fn arguments(name: &str, block: &Json, places: &mut Places) {
    for (attribute, schema) in block["attributes"].as_object().into_iter().flatten() {
        // What is sensitive is not shown, and what is only written is not kept.
        if schema["optional"] == true && schema["sensitive"] != true && schema["write_only"] != true {
            places.insert((alike(name).into(), attribute.clone()));
        }
    }
    for (inner, schema) in block["block_types"].as_object().into_iter().flatten() {
        places.insert((alike(name).into(), inner.clone()));
        arguments(inner, &schema["block"], places);
    }
}

fn written(name: &str, value: &Json, places: &mut Places) {
    match value {
        Json::Object(members) => {
            for (member, value) in members.iter().filter(|(_, v)| !v.is_null()) {
                if value.as_array().is_none_or(|items| !items.is_empty()) {
                    places.insert((alike(name).into(), member.clone()));
                }
                written(member, value, places);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| written(name, item, places)),
        _ => {}
    }
}

/// What a definition adds to the API is there for the objects of the same apply.
#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_definition_and_fifty_objects_of_it_come_in_one_apply() {
    let stack = stack().file("things.yaml", include_str!("things.yaml"));
    stack.ok(&["plan"]).says(&["51 to add"]);
    stack.ok(&["apply", "-auto-approve"]).says(&["51 added"]);
    let things = server().object(&["things.groma.test"]);
    assert_eq!(things["items"].as_array().map(Vec::len), Some(50));
    stack.ok(&["plan", "-detailed-exitcode"]);
    stack.ok(&["destroy", "-auto-approve"]).says(&["51 destroyed"]);
    server().has_no(&["customresourcedefinition", "things.groma.test"]);
}
