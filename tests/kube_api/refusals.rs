//! What a cluster may answer instead of doing it: each has its message, and nothing is read as gone.

use super::server::{server, stack};
use crate::kit::{Outcome, Stack};
use serde_json::json;

fn map(namespace: &str) -> String {
    format!(
        "resource:\n  kubernetes_config_map:\n    it:\n      metadata: {{ name: it, namespace: {namespace} }}\n      data: {{ a: b }}\n"
    )
}

/// A stack with one object in a namespace that is not the stack's own.
fn settled(namespace: &str) -> Stack {
    server().kubectl(&["create", "namespace", namespace]);
    let stack = stack().file("map.yaml", &map(namespace));
    stack.ok(&["apply", "-auto-approve"]);
    stack
}

/// A plan must fail with these words, and the object stays known.
#[track_caller]
fn refused(stack: &Stack, words: &[&str]) -> Outcome {
    let out = stack.run(&["plan"]).must(1).says(words).says_not(&["to add", "has been deleted"]);
    assert_eq!(stack.ok(&["state", "list"]).stdout.trim(), "kubernetes_config_map.it");
    out
}

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_cluster_that_can_not_be_asked_makes_nothing_gone() {
    let (mut stack, server) = (settled("unasked"), server());
    stack.set_env("TF_VAR_token", "wrong");
    let out = refused(&stack, &["Unauthorized", "the cluster does not know these credentials"]);
    assert!(!out.all().contains(&server.token), "{}", out.all());
    stack.set_env("TF_VAR_token", &server.nobody);
    refused(&stack, &["Forbidden", "User \"nobody\" cannot get resource", "roles and their bindings"]);
    stack.set_env("TF_VAR_token", &server.token);

    stack.set_env("TF_VAR_ca", &other_authority());
    refused(&stack, &["UnknownIssuer", "cluster_ca_certificate"]);
    stack.set_env("TF_VAR_ca", &server.ca);
    stack.set_env("TF_VAR_host", &server.expired);
    refused(&stack, &["expired", "the cluster's certificate"]);
    stack.set_env("TF_VAR_host", &format!("https://127.0.0.1:{}", closed_port()));
    refused(&stack, &["no connection to 127.0.0.1", "refused", "check `host`"]);

    stack.set_env("TF_VAR_host", &server.host);
    stack.ok(&["plan", "-detailed-exitcode"]);
    stack.ok(&["destroy", "-auto-approve"]);
    server.kubectl(&["delete", "namespace", "unasked"]);
}

/// A certificate of nobody that the server knows.
fn other_authority() -> String {
    include_str!("other-authority.pem").into()
}

/// A port that was free a moment ago.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_namespace_on_its_way_out_takes_nothing() {
    let server = server();
    server.kubectl(&["create", "namespace", "leaving"]);
    server.create(&json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "holds", "namespace": "leaving", "finalizers": ["groma.test/hold"]}}));
    server.kubectl(&["delete", "namespace", "leaving", "--wait=false"]);
    let stack = stack().file("map.yaml", &map("leaving"));
    let out = stack.run(&["apply", "-auto-approve"]).must(1);
    out.says(&["leaving because it is being terminated", "wait for its end"])
        .says_not(&["roles and their bindings"]);
    let free = "{\"metadata\":{\"finalizers\":null}}";
    server.kubectl(&["-n", "leaving", "patch", "configmap", "holds", "--type=merge", "-p", free]);
    server.kubectl(&["wait", "--for=delete", "namespace/leaving", "--timeout=60s"]);
}

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_namespace_that_is_not_there_is_named() {
    let stack = stack().file("map.yaml", &map("nowhere"));
    stack.run(&["apply", "-auto-approve"]).must(1).says(&["namespaces \"nowhere\" not found"]);
}

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_webhook_that_denies_is_quoted() {
    let server = server();
    let labels = json!({"watched": "yes"});
    server.create(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "watched", "labels": labels}}),
    );
    let client = json!({"url": server.webhook, "caBundle": base64(&server.ca)});
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]});
    server.create(&json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "watched"}, "webhooks": [{"name": "deny.groma.test", "clientConfig": client, "rules": [rule],
            "namespaceSelector": {"matchLabels": labels}, "admissionReviewVersions": ["v1"], "sideEffects": "None"}]}));
    let stack = stack().file("map.yaml", &map("watched"));
    // A webhook counts once the API server has taken note of it; an apply without it would go through.
    server.until(|| {
        !server.try_kubectl(&["-n", "watched", "create", "configmap", "probe", "--dry-run=server"], "").0
    });
    let words = ["deny.groma.test", "the house rules forbid it", "a webhook or policy"];
    // It shows before anything is made.
    stack.run(&["plan"]).must(1).says(&words).says(&["The API would refuse this change"]);
    let apply = ["apply", "-auto-approve", "-refresh=false"];
    stack.run(&apply).must(1).says(&words).says_not(&["roles and their bindings"]);
    server.kubectl(&["delete", "validatingwebhookconfiguration", "watched"]);
    server.kubectl(&["delete", "namespace", "watched"]);
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
#[ignore = "needs a Kubernetes API server: GROMA_KUBE_SERVER"]
fn a_quota_that_is_used_up_is_named() {
    let server = server();
    server.kubectl(&["create", "namespace", "narrow"]);
    server.kubectl(&["-n", "narrow", "create", "quota", "few", "--hard=count/configmaps=0"]);
    // It counts when its use has been counted.
    let used = "--for=jsonpath={.status.hard.count/configmaps}=0";
    server.kubectl(&["-n", "narrow", "wait", used, "quota/few", "--timeout=30s"]);
    let stack = stack().file("map.yaml", &map("narrow"));
    let out = stack.run(&["apply", "-auto-approve"]).must(1);
    out.says(&["A quota is used up", "exceeded quota: few"]).says_not(&["roles and their bindings"]);
    server.kubectl(&["delete", "namespace", "narrow"]);
}
