//! Faults of arguments that the API would refuse, found offline. What is unknown passes.

use crate::schema::Kind;
use groma_provider::Problem;
use groma_types::{AttrPath, Value};

/// Checks the arguments of a typed kind.
pub(crate) fn typed(kind: &Kind, config: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let metadata = AttrPath::root().attr("metadata").index(0);
    if let Some(values) = config.lookup(&metadata) {
        names(kind, values, &metadata, &mut problems);
    }
    if matches!(kind.resource.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet") {
        selector(config, &mut problems);
    }
    for name in ["data_wo", "binary_data_wo"] {
        revision(config, name, &mut problems);
    }
    problems
}

fn problem(path: AttrPath, message: String, help: &str) -> Problem {
    Problem { path, message, help: (!help.is_empty()).then(|| help.into()) }
}

fn names(kind: &Kind, metadata: &Value, at: &AttrPath, out: &mut Vec<Problem>) {
    let absent = |name: &str| metadata.get(name).is_none_or(Value::is_null);
    if absent("name") && absent("generate_name") {
        let text = "the object needs a `name` or a `generate_name`".into();
        out.push(problem(at.attr("name"), text, ""));
    }
    if !absent("name") && !absent("generate_name") {
        let text = "`name` and `generate_name` exclude each other".into();
        out.push(problem(at.attr("generate_name"), text, ""));
    }
    // Roles and bindings are named as parts of paths: `system:node`.
    if kind.resource.group == "rbac.authorization.k8s.io" {
        let bad = |t: &&str| matches!(*t, "." | "..") || t.contains(['/', '%']);
        if let Some(text) = metadata.str_attr("name").filter(bad) {
            let message = format!("`{text}` is not a name of a role or binding");
            out.push(problem(at.attr("name"), message, "leave out `/` and `%`"));
        }
        return;
    }
    // Namespaces and services are parts of host names, others may hold dots.
    let (dots, most) = match kind.resource.kind.as_str() {
        "Namespace" | "Service" => (false, 63),
        _ => (true, 253),
    };
    for (name, dots, most) in [("name", dots, most), ("namespace", false, 63)] {
        let Some(text) = metadata.str_attr(name).filter(|t| !is_name(t, dots, most)) else { continue };
        let shape = if dots { "letters, digits, `-` and `.`" } else { "letters, digits and `-`" };
        let message = format!("`{text}` is not a name of Kubernetes");
        let help = format!("use at most {most} small {shape}, a letter or digit at both ends");
        out.push(problem(at.attr(name), message, &help));
    }
}

fn is_name(text: &str, dots: bool, most: usize) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |part: &str| {
        part.starts_with(plain) && part.ends_with(plain) && part.chars().all(|c| plain(c) || c == '-')
    };
    text.len() <= most && if dots { text.split('.').all(label) } else { label(text) }
}

/// What is written and never read back must say when it is written.
fn revision(config: &Value, name: &str, out: &mut Vec<Problem>) {
    let revision = format!("{name}_revision");
    let is_set = |name: &str| config.get(name).is_some_and(|v| !v.is_null());
    if is_set(name) && !is_set(&revision) {
        let text = format!("`{name}` needs `{revision}`: it is written when that changes");
        let help = format!("add `{revision}: 1`, and count it up to write the data anew");
        out.push(problem(AttrPath::root().attr(name), text, &help));
    }
}

/// A workload must select the pods that it makes.
fn selector(config: &Value, out: &mut Vec<Problem>) {
    let spec = AttrPath::root().attr("spec").index(0);
    let at = spec.attr("selector").index(0).attr("match_labels");
    let labels = spec.attr("template").index(0).attr("metadata").index(0).attr("labels");
    let (Some(wanted), Some(labels)) = (config.lookup(&at), config.lookup(&labels)) else { return };
    if labels.is_unknown() {
        return;
    }
    for (key, value) in wanted.as_map().into_iter().flatten() {
        let found = labels.get(key);
        let open = value.is_unknown() || found.is_some_and(Value::is_unknown);
        if !open && found.and_then(Value::as_str) != value.as_str() {
            let text = format!("the pods of the template do not have the selected label `{key}`");
            out.push(problem(at.clone(), text, "give the same label in `template.metadata.labels`"));
        }
    }
}

/// Checks the arguments of `kubernetes_manifest`.
pub(crate) fn manifest(config: &Value) -> Vec<Problem> {
    let Some(manifest) = config.get("manifest").filter(|m| m.as_map().is_some()) else { return Vec::new() };
    let at = AttrPath::root().attr("manifest");
    let mut problems = Vec::new();
    for path in [&["apiVersion"][..], &["kind"], &["metadata", "name"]] {
        let found =
            path.iter().try_fold(manifest, |v, name| if v.is_unknown() { Some(v) } else { v.get(name) });
        if found.is_none_or(Value::is_null) {
            problems.push(problem(at.clone(), format!("the manifest needs `{}`", path.join(".")), ""));
        }
    }
    if manifest.get("status").is_some_and(|s| !s.is_null()) {
        let text = "`status` is written by the cluster, not by a manifest".into();
        problems.push(problem(at, text, "leave it out"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;
    use crate::mapping::tests::filled;
    use groma_types::json::from_json;
    use serde_json::{Value as Json, json};

    fn check(kind: &str, config: &Json, expected: &[&str]) {
        let catalog = Catalog::new();
        let kind = &catalog.kinds[kind];
        let found = typed(kind, &filled(&kind.fields, config));
        let found: Vec<String> = found.iter().map(|p| p.path.to_string()).collect();
        assert_eq!(found, expected, "{config}");
    }

    #[test]
    fn names_are_checked() {
        let meta = |metadata: Json| json!({"metadata": metadata});
        check("kubernetes_config_map", &meta(json!({"name": "a.b-c"})), &[]);
        check("kubernetes_namespace", &meta(json!({"name": "a.b"})), &["metadata[0].name"]);
        check("kubernetes_config_map", &meta(json!({"name": "A"})), &["metadata[0].name"]);
        check(
            "kubernetes_config_map",
            &meta(json!({"name": "a_b", "namespace": "-"})),
            &["metadata[0].name", "metadata[0].namespace"],
        );
        check("kubernetes_config_map", &meta(json!({})), &["metadata[0].name"]);
        check("kubernetes_config_map", &meta(json!({"generate_name": "a-"})), &[]);
        check(
            "kubernetes_config_map",
            &meta(json!({"name": "a", "generate_name": "a-"})),
            &["metadata[0].generate_name"],
        );
        check("kubernetes_service", &meta(json!({"name": "a".repeat(64)})), &["metadata[0].name"]);
    }

    #[test]
    fn a_deployment_selects_its_pods() {
        let stack = |selector: Json, labels: Json| {
            json!({"metadata": {"name": "web"}, "spec": {"selector": {"match_labels": selector},
                "template": {"metadata": {"labels": labels}}}})
        };
        let at = "spec[0].selector[0].match_labels";
        check("kubernetes_deployment", &stack(json!({"a": "1"}), json!({"a": "1", "b": "2"})), &[]);
        check("kubernetes_deployment", &stack(json!({"a": "1"}), json!({"a": "2"})), &[at]);
        check("kubernetes_deployment", &stack(json!({"a": "1"}), json!({})), &[at]);
    }

    #[test]
    fn manifests_name_their_object() {
        for (manifest_of, faults) in [
            (json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "a"}}), 0),
            (json!({"apiVersion": "v1", "kind": "K", "metadata": {}}), 1),
            (json!({"spec": {}}), 3),
            (json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "a"}, "status": {}}), 1),
        ] {
            let config = Value::object([("manifest", from_json(&manifest_of))]);
            assert_eq!(manifest(&config).len(), faults, "{manifest_of}");
        }
    }
}
