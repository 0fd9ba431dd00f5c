//! The application of `specs/fastapi-eks` on a cluster that is there already.

use super::server::{calls, server, stack};
use crate::kit::Stack;

/// The spec's own resources and outputs, without what leads to a cluster of AWS.
fn app() -> Stack {
    let spec = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/fastapi-eks");
    let read = |name: &str| std::fs::read_to_string(spec.join(name)).expect("a file of the spec");
    let text = read("app.yaml");
    let (_, resources) = text.split_once("\nresource:\n").expect("resources");
    let resources = resources.replace("${data.aws_region.current.name}", "us-east-1");
    assert!(!resources.contains("aws_"), "the application needs the cloud");
    stack()
        .file("variables.yaml", &read("variables.yaml"))
        .file("app.yaml", &format!("resource:\n{resources}"))
}

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn it_is_rolled_out_and_has_an_address() {
    let (stack, server) = (app(), server());
    stack.ok(&["apply", "-auto-approve"]).says(&["2 added", "service_hostname", "fastapi-default.lb.test"]);
    let deployment = server.object(&["deployment", "fastapi"]);
    assert_eq!(deployment["status"]["availableReplicas"], 2, "{}", deployment["status"]);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);

    let tag = ["-var", "image_tag=v2.0.0"];
    let events = stack.ok(&[&["apply", "-auto-approve", "-json"], &tag[..]].concat()).events();
    assert_eq!(calls(&events, Some(true)), ["PATCH deployments.apps"]);
    let deployment = server.object(&["deployment", "fastapi"]);
    assert_eq!(deployment["status"]["updatedReplicas"], 2, "{}", deployment["status"]);
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        "ghcr.io/mohamednourdine/fastapi-items:v2.0.0"
    );
    stack.ok(&[&["plan", "-detailed-exitcode"], &tag[..]].concat());

    stack.ok(&["destroy", "-auto-approve"]);
    server.has_no(&["deployment", "fastapi"]);
    server.has_no(&["service", "fastapi"]);
}
