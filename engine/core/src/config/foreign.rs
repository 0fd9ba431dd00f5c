//! YAML files that are not ours: what they look like, and the cure.

use groma_lang::document::{Key, Node};
use groma_types::Diagnostic;

/// Returns an error for a mapping that is plainly another tool's.
pub(super) fn recognise(top: &Node, entries: &[(Key, Node)]) -> Option<Diagnostic> {
    let has = |name: &str| entries.iter().any(|(k, _)| &*k.text == name);
    let ours = entries.iter().any(|(k, _)| super::gather::block_names().any(|b| b == &*k.text));
    if entries.is_empty() || (ours && !has("apiVersion")) {
        return None;
    }
    let first = entries.first().map_or(top.span, |(k, _)| k.span);
    let error = |what: &str, cure: &str| {
        Some(
            Diagnostic::error("G0506", "This file is not a spec")
                .detail(format!(
                    "It looks like {what}, and every YAML file of the folder is read as a part of the stack."
                ))
                .help(cure)
                .at(first, "not a block of the language"),
        )
    };
    if has("apiVersion") && has("kind") {
        return error(
            "a Kubernetes object",
            "Move it to a folder of its own and apply it from here: resource: {kubernetes_manifests: {app: {yaml: \"${file(\"manifests/app.yaml\")}\"}}}",
        );
    }
    if has("apiVersion") && has("version") && has("name") {
        return error("a Helm chart's Chart.yaml", "Move the chart to a folder of its own.");
    }
    if has("services")
        && (has("version") || has("volumes") || has("networks") || services_have_images(entries))
    {
        return error("a compose file", "Move it out of the stack's folder.");
    }
    let helm = [
        "replicaCount",
        "image",
        "ingress",
        "nodeSelector",
        "tolerations",
        "affinity",
        "serviceAccount",
        "fullnameOverride",
        "nameOverride",
        "podAnnotations",
        "autoscaling",
    ];
    let hits = helm.iter().filter(|name| has(name)).count();
    if hits >= 2 || has("replicaCount") {
        return error(
            "values for a Helm chart",
            "Move it to a folder of its own and name it where it is used: values: [\"${file(\"helm/values.yaml\")}\"]. Variable values for this stack stand in NAME.vars.yaml.",
        );
    }
    None
}

fn services_have_images(entries: &[(Key, Node)]) -> bool {
    let services = entries.iter().find(|(k, _)| &*k.text == "services").and_then(|(_, n)| n.as_map());
    services.is_some_and(|all| all.iter().any(|(_, s)| s.get("image").is_some() || s.get("build").is_some()))
}
