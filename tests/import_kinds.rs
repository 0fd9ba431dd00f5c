//! Every kind of the clouds' providers is imported by what `plan -generate-config-out` writes: worlds are made with the
//! stacks of the other tests, forgotten, and taken over by import blocks alone. Then nothing is left to change.

use crate::kit::Stack;
use crate::kube_kinds::KINDS;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds whose drafts leave a change, and why.
const NOT_THE_SAME: &[(&str, &str)] =
    &[("kubernetes_secret", "its data is sensitive, and stands as null in the draft")];

/// What Terraform's provider takes as the id of an import.
fn import_id(kind: &str, attrs: &Json) -> String {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_string();
    match kind {
        "aws_route_table_association" => {
            format!("{}/{}", text(&attrs["subnet_id"]), text(&attrs["route_table_id"]))
        }
        "kubernetes_manifest" => {
            let (object, metadata) = (&attrs["manifest"], &attrs["manifest"]["metadata"]);
            format!(
                "apiVersion={},kind={},namespace={},name={}",
                text(&object["apiVersion"]),
                text(&object["kind"]),
                text(&metadata["namespace"]),
                text(&metadata["name"])
            )
        }
        _ => text(&attrs["id"]),
    }
}

/// Import blocks for what a provider manages in the stack, as YAML, and the kinds.
fn imports(stack: &Stack, provider: &str) -> (String, BTreeSet<String>) {
    let shown: Json = serde_json::from_str(&stack.ok(&["show", "-json"]).stdout).expect("JSON");
    let all = shown["values"]["root_module"]["resources"].as_array().cloned().unwrap_or_default();
    let (mut text, mut kinds) = (String::from("import:\n"), BTreeSet::new());
    for resource in all.iter().filter(|r| r["mode"] == "managed" && r["provider_name"] == provider) {
        let kind = resource["type"].as_str().expect("a kind");
        let name: String = resource["address"].as_str().expect("an address")[kind.len() + 1..]
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        let id = Json::from(import_id(kind, &resource["values"]));
        text += &format!("  - {{ to: {kind}.{name}, id: {id} }}\n");
        kinds.insert(kind.to_string());
    }
    (text, kinds)
}

/// Plans with generated blocks; what the plan changes, by kind.
fn plan(stack: &Stack, file: &str) -> BTreeMap<String, usize> {
    let events = stack.ok(&["plan", "-json", &format!("-generate-config-out={file}")]).events();
    let mut changed = BTreeMap::new();
    for event in events.iter().filter(|e| e["type"] == "planned_change") {
        if event["change"]["action"] != "import" {
            let kind = event["change"]["resource"]["resource_type"].as_str().expect("a kind");
            *changed.entry(kind.to_string()).or_insert(0) += 1;
        }
    }
    changed
}

/// All kinds of a provider that the stack uses, apart from those that Terraform has not.
fn kinds_of(stack: &Stack, source: &str) -> BTreeSet<String> {
    let told: Json = serde_json::from_str(&stack.ok(&["providers", "schema", "-json"]).stdout).expect("JSON");
    let kinds = told["provider_schemas"][source]["resource_schemas"].as_object().expect("kinds");
    kinds.keys().filter(|k| *k != "kubernetes_manifests").cloned().collect()
}

fn forget(stack: &Stack, specs: &[&str]) {
    std::fs::remove_dir_all(stack.path().join(".groma/sandbox/state")).expect("a state");
    specs.iter().for_each(|name| stack.remove(name));
}

const NETWORK: &str = "provider:\n  aws: { region: us-west-2, default_tags: { tags: { team: net } } }\n";

#[cfg(feature = "aws")]
#[test]
fn networks_are_taken_over_in_each_syntax() {
    let stack = Stack::new().file("main.yaml", include_str!("aws/network.yaml")).env("GROMA_SANDBOX", "1");
    stack.ok(&["apply", "-auto-approve"]);
    let (blocks, mut kinds) = imports(&stack, "aws");
    forget(&stack, &["main.yaml"]);
    stack.write("main.yaml", NETWORK);
    stack.write("imports.yaml", &blocks);
    for file in ["all.tf", "all.tf.json", "all.yaml"] {
        assert_eq!(plan(&stack, file), BTreeMap::new(), "{file}");
        if file != "all.yaml" {
            stack.remove(file);
        }
    }
    stack.ok(&["fmt", "-check", "all.yaml"]);
    stack.ok(&["apply", "-auto-approve"]).says(&["0 added, 0 changed, 0 destroyed"]);
    stack.run(&["plan", "-detailed-exitcode"]).must(0);

    // The other kinds are those of the cluster, below.
    kinds.extend(OF_CLUSTERS.map(String::from));
    assert_eq!(kinds, kinds_of(&stack, "registry.terraform.io/hashicorp/aws"));
}

const OF_CLUSTERS: [&str; 4] =
    ["aws_eks_cluster", "aws_eks_node_group", "aws_iam_role", "aws_iam_role_policy_attachment"];

const IN_CLUSTER: &str = r#"provider:
  kubernetes:
    host: ${aws_eks_cluster.main.endpoint}
    cluster_ca_certificate: ${base64decode(aws_eks_cluster.main.certificate_authority[0].data)}
    token: ${data.aws_eks_cluster_auth.main.token}
data:
  aws_eks_cluster_auth: { main: { name: "${aws_eks_cluster.main.name}" } }
"#;

#[test]
fn a_cluster_is_taken_over_and_then_what_runs_on_it() {
    let stack = Stack::of_spec("fastapi-eks").env("GROMA_SANDBOX", "1").file("kinds.yaml", KINDS);
    // Waits of some minutes must outlast a machine that is busy with other tests.
    let stack = stack.env("GROMA_SANDBOX_SPEED", "150");
    stack.ok(&["apply", "-auto-approve"]);
    let (clouds, aws) = imports(&stack, "aws");
    let (objects, kubernetes) = imports(&stack, "kubernetes");
    assert_eq!(aws, OF_CLUSTERS.map(String::from).into());
    // Many kinds have two names for one table.
    let plain = |kind: &String| kind.trim_end_matches("_v1").replace("daemon_set", "daemonset");
    let all = kinds_of(&stack, "registry.terraform.io/hashicorp/kubernetes");
    let tables = |kinds: &BTreeSet<String>| kinds.iter().map(plain).collect::<BTreeSet<_>>();
    assert_eq!(tables(&kubernetes), tables(&all));

    forget(&stack, &["app.yaml", "cluster.yaml", "variables.yaml", "kinds.yaml"]);
    stack.write("main.yaml", "provider:\n  aws: { region: us-east-1 }\n");
    stack.write("clouds.yaml", &clouds);
    assert_eq!(plan(&stack, "cluster.yaml"), BTreeMap::new());
    stack.ok(&["apply", "-auto-approve"]);

    stack.write("kubernetes.yaml", IN_CLUSTER);
    stack.write("objects.yaml", &objects);
    let changed = plan(&stack, "app.yaml");
    let known: Vec<&str> = NOT_THE_SAME.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(changed.keys().map(String::as_str).collect::<Vec<_>>(), known);
    let drafts = std::fs::read_to_string(stack.path().join("app.yaml")).expect("drafts");
    assert!(drafts.contains("data: null # sensitive") && !drafts.contains("canary"), "{drafts}");
}
