//! What is waited for, and what is said when it does not come.

use super::server::{server, stack};
use crate::kit::Stack;
use std::time::{Duration, Instant};

const APP: &str = "
variable:
  image: { type: string, default: \"registry.test/web:1\" }
resource:
  kubernetes_namespace:
    own:
      metadata: { name: NAMESPACE }
  kubernetes_deployment:
    web:
      metadata: { name: web, namespace: \"${kubernetes_namespace.own.metadata[0].name}\" }
      spec:
        selector: { match_labels: { app: web } }
        template:
          metadata: { labels: { app: web } }
          spec:
            container: { name: web, image: \"${var.image}\" }
";

fn app(namespace: &str) -> Stack {
    stack().file("app.yaml", &APP.replace("NAMESPACE", namespace))
}

/// A rollout that time can't heal fails at once, with what the pod says; and it is not forgotten.
#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_rollout_that_fails_says_why() {
    let stack = app("failing");
    let begun = Instant::now();
    let wrong = ["-var", "image=registry.test/no-such-image:1"];
    stack.run(&[&["apply", "-auto-approve"], &wrong[..]].concat()).must(1).says(&[
        "the rollout fails",
        "container web: ImagePullBackOff",
        "registry.test/no-such-image:1",
    ]);
    assert!(begun.elapsed() < Duration::from_secs(60), "its ten minutes were waited for");
    stack
        .run(&[&["plan", "-detailed-exitcode"], &wrong[..]].concat())
        .must(2)
        .says(&["kubernetes_deployment.web"]);
    let crashing = ["-var", "image=registry.test/crashing:1"];
    stack
        .run(&[&["apply", "-auto-approve"], &crashing[..]].concat())
        .must(1)
        .says(&["CrashLoopBackOff", "last words of web in failing"]);
    stack.ok(&["apply", "-auto-approve"]).says(&["1 changed"]);
    stack.ok(&["plan", "-detailed-exitcode"]);
    stack.ok(&["destroy", "-auto-approve"]);
}

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_deletion_that_hangs_names_its_finalizers() {
    let (stack, server) = (app("hanging"), server());
    stack.ok(&["apply", "-auto-approve"]);
    let on_web = ["-n", "hanging", "patch", "deployment", "web", "--type=merge", "-p"];
    server.kubectl(&[&on_web[..], &["{\"metadata\":{\"finalizers\":[\"groma.test/hold\"]}}"]].concat());
    let spec = APP.replace("NAMESPACE", "hanging") + "      timeouts: { delete: 3s }\n";
    stack.write("app.yaml", &spec);
    stack.ok(&["apply", "-auto-approve"]);
    stack.run(&["destroy", "-auto-approve"]).must(1).says(&["groma.test/hold", "groma never takes one off"]);
    server.kubectl(&[&on_web[..], &["{\"metadata\":{\"finalizers\":null}}"]].concat());
    stack.ok(&["destroy", "-auto-approve"]);
    server.has_no(&["namespace", "hanging"]);
}
