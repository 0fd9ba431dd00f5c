//! Every typed kind on the real API: what it fills in by itself is no change.

use super::server::{server, stack};
use crate::kube_kinds::KINDS;

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
