//! Other hands on our objects: what they change is drift where we own the field, and nothing elsewhere.

use super::server::{server, stack};
use crate::kit::Stack;

const WEB: &str = "
variable:
  tag: { type: string, default: \"1\" }
resource:
  kubernetes_namespace:
    own:
      metadata: { name: NAMESPACE }
  kubernetes_deployment:
    web:
      metadata: { name: web, namespace: \"${kubernetes_namespace.own.metadata[0].name}\", labels: { app: web } }
      spec:
        replicas: 1
        selector: { match_labels: { app: web } }
        template:
          metadata: { labels: { app: web } }
          spec:
            container:
              name: web
              image: registry.test/web:${var.tag}
              resources: { limits: { cpu: \"1\", memory: 1Gi } }
";

fn web(namespace: &str) -> Stack {
    let stack = stack().file("web.yaml", &WEB.replace("NAMESPACE", namespace));
    stack.ok(&["apply", "-auto-approve"]);
    stack
}

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn an_edit_is_drift_where_the_field_is_ours_and_nothing_elsewhere() {
    let (stack, server) = (web("edits"), server());
    let on_web = |args: &[&str]| server.kubectl(&[&["-n", "edits"], args].concat());
    on_web(&["label", "deployment", "web", "theirs=1"]);
    on_web(&["annotate", "deployment", "web", "theirs=1"]);
    on_web(&[
        "patch",
        "deployment",
        "web",
        "-p",
        "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"theirs\":\"1\"}}}}}",
    ]);
    // The same value in other words.
    on_web(&["set", "resources", "deployment", "web", "--limits=cpu=1000m,memory=1024Mi"]);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);

    on_web(&["label", "--overwrite", "deployment", "web", "app=other"]);
    // The plan shows the field, its owner, both values and the choices; one of them is to take it over.
    let (label, error) =
        (".metadata.labels.app: \"kubectl-label\" has \"other\", this sets \"web\"", "would refuse");
    stack.run(&["plan"]).must(1).says(&[label, error, "force_conflicts", "ignore_changes"]);
    let takes_over = ["-var", "takes_over=true"];
    let plan = [&["plan", "-detailed-exitcode"], &takes_over[..]].concat();
    stack.run(&plan).must(2).says(&["\"other\"", "1 to change"]);
    stack.ok(&[&["apply", "-auto-approve"], &takes_over[..]].concat()).says(&["1 changed"]);
    assert_eq!(server.object(&["-n", "edits", "deployment", "web"])["metadata"]["labels"]["theirs"], "1");
    stack.ok(&["plan", "-detailed-exitcode"]);
    stack.ok(&["destroy", "-auto-approve"]);
}

/// What scales a workload owns its number of pods.
#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_number_of_pods_that_somebody_scaled_is_no_drift() {
    let (stack, server) = (web("scaled"), server());
    server.kubectl(&["-n", "scaled", "scale", "deployment", "web", "--replicas=3"]);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    stack.ok(&["apply", "-auto-approve", "-var", "tag=2"]).says(&["1 changed"]);
    assert_eq!(server.object(&["-n", "scaled", "deployment", "web"])["spec"]["replicas"], 3);
    stack.ok(&["destroy", "-auto-approve"]);
}

const IMPORTED: &str = "
resource:
  kubernetes_config_map:
    theirs:
      metadata: { name: theirs, namespace: moving, labels: { app: web } }
      data: { a: \"2\" }
import:
  - to: kubernetes_config_map.theirs
    id: moving/theirs
";

/// An object that Terraform's provider made comes with its fields: its value yields, and what the spec drops goes.
#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn an_object_of_terraform_is_taken_over_with_its_fields() {
    let server = server();
    server.kubectl(&["create", "namespace", "moving"]);
    let make = ["-n", "moving", "create", "configmap", "theirs", "--from-literal=a=1", "--from-literal=b=1"];
    server.kubectl(&[&make[..], &["--field-manager=HashiCorp"]].concat());
    let stack = stack().file("map.yaml", IMPORTED);
    stack.ok(&["apply", "-auto-approve"]).says(&["1 imported", "1 changed"]);
    let map = server.object(&["-n", "moving", "configmap", "theirs", "--show-managed-fields"]);
    assert_eq!(map["data"], serde_json::json!({"a": "2"}));
    let managers = map["metadata"]["managedFields"].as_array().expect("entries");
    let managers: Vec<&str> = managers.iter().filter_map(|e| e["manager"].as_str()).collect();
    assert_eq!(managers, ["groma"]);
    stack.ok(&["plan", "-detailed-exitcode"]);
    stack.ok(&["destroy", "-auto-approve"]);
    server.kubectl(&["delete", "namespace", "moving"]);
}
