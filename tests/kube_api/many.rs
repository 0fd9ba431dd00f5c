//! Many objects by few calls.

use super::server::{calls, server, stack};

const MAPS: &str = "
resource:
  kubernetes_namespace:
    many:
      metadata: { name: many }
  kubernetes_config_map:
    map:
      for_each: \"${toset([for p in setproduct(range(40), range(50)) : tostring(p[0] * 50 + p[1])])}\"
      metadata: { name: \"map-${each.key}\", namespace: \"${kubernetes_namespace.many.metadata[0].name}\" }
      data: { number: \"${each.key}\" }
";

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_plan_of_two_thousand_objects_makes_few_calls() {
    let stack = stack().file("maps.yaml", MAPS);
    stack.ok(&["apply", "-auto-approve"]).says(&["2001 added"]);
    let planned = stack.ok(&["plan", "-detailed-exitcode", "-json"]).events();
    let made = calls(&planned, None);
    assert!(made.len() <= 20, "{} calls: {:?}", made.len(), &made[..20]);
    server().kubectl(&[
        "-n",
        "many",
        "patch",
        "configmap",
        "map-1999",
        "-p",
        "{\"data\":{\"number\":\"other\"}}",
    ]);
    // One that differs is found among them.
    stack.run(&["plan"]).must(1).says(&["ConfigMap many/map-1999", "has \"other\", this sets \"1999\""]);
    stack.ok(&["destroy", "-auto-approve"]).says(&["2001 destroyed"]);
}
