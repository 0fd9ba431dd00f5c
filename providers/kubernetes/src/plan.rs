//! Offline plans: values that mean the same as the prior ones stay, ids follow from names, and some changes of
//! values replace an object.

use crate::mapping::is_empty;
use crate::quantity::is_less;
use crate::{Catalog, manifest};
use groma_provider::{PlanInput, PlanOutput, ProviderError};
use groma_types::{AttrPath, Type, Value};

pub(crate) fn plan(catalog: &Catalog, name: &str, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
    if manifest::is_manifest(name) {
        return Ok(manifest::plan(input));
    }
    let Some(kind) = catalog.kinds.get(name) else {
        return Ok(PlanOutput { planned: input.proposed, requires_replace: Vec::new() });
    };
    let mut planned = match input.prior {
        Some(prior) => kind.fields.settle(&input.proposed, prior),
        None => input.proposed.clone(),
    };
    planned = kind.fields.hide(planned, input.config);
    if input.prior.is_none() {
        planned = planned.with_attr("id", planned_id(&planned, kind.resource.namespaced));
    }
    let mut requires_replace = Vec::new();
    if let Some(prior) = input.prior {
        match kind.resource.kind.as_str() {
            "ConfigMap" | "Secret" => requires_replace = frozen_data(&planned, prior),
            "PersistentVolumeClaim" => requires_replace = shrunk(&planned, prior),
            "Service" => planned = service(planned, prior, input.config),
            _ => {}
        }
        planned = moved_on(planned, prior);
    }
    Ok(PlanOutput { planned, requires_replace })
}

/// The first element of the block `name`.
fn block<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).and_then(|b| b.at(0))
}

fn planned_id(planned: &Value, namespaced: bool) -> Value {
    let metadata = block(planned, "metadata");
    let part = |name| metadata.and_then(|m| m.str_attr(name));
    match (part("name"), part("namespace"), namespaced) {
        (Some(name), Some(namespace), true) => Value::string(format!("{namespace}/{name}")),
        (Some(name), _, false) => Value::string(name),
        _ => planned.get("id").cloned().unwrap_or_else(|| Value::unknown(Type::String)),
    }
}

/// What the API counts up with every change is not known before a change.
fn moved_on(planned: Value, prior: &Value) -> Value {
    if planned.unmark_deep().0 == prior.unmark_deep().0 {
        return planned;
    }
    let Some(mut metadata) = block(&planned, "metadata").cloned() else { return planned };
    for name in ["generation", "resource_version"] {
        if let Some(old) = metadata.get(name).filter(|v| !v.is_null()) {
            let unknown = Value::unknown(old.ty());
            metadata = metadata.with_attr(name, unknown);
        }
    }
    let list = Value::list(metadata.ty(), vec![metadata]);
    planned.with_attr("metadata", list)
}

/// The data of a config map that is immutable changes only with the object.
fn frozen_data(planned: &Value, prior: &Value) -> Vec<AttrPath> {
    if prior.get("immutable").and_then(Value::as_bool) != Some(true) {
        return Vec::new();
    }
    let changed = |name: &&str| match (planned.get(name), prior.get(name)) {
        (Some(a), Some(b)) => a.unmark_deep().0 != b.unmark_deep().0 && !(is_empty(a) && is_empty(b)),
        _ => false,
    };
    let names = ["binary_data", "binary_data_wo_revision", "data", "data_wo_revision", "immutable"];
    names.iter().filter(|n| changed(n)).map(|n| AttrPath::root().attr(n)).collect()
}

/// A volume grows in place; a smaller one is another.
fn shrunk(planned: &Value, prior: &Value) -> Vec<AttrPath> {
    let size = |v: &Value| {
        let resources = block(block(v, "spec")?, "resources")?;
        resources.get("requests")?.str_attr("storage").map(String::from)
    };
    match (size(planned), size(prior)) {
        (Some(new), Some(old)) if is_less(&new, &old) => {
            let at = AttrPath::root().attr("spec").index(0).attr("resources").index(0).attr("requests");
            vec![at]
        }
        _ => Vec::new(),
    }
}

/// Arguments of a service that the API fills in by its type.
const BY_TYPE: &[&str] = &["external_traffic_policy", "health_check_node_port"];

/// The address of a load balancer stays unless its making changes; what the API fills in by the type does not
/// survive a change of the type.
fn service(planned: Value, prior: &Value, config: &Value) -> Value {
    let spec = |v: &Value, name: &str| block(v, "spec").and_then(|s| s.get(name)).cloned();
    let same = |name: &str| spec(&planned, name) == spec(prior, name);
    let annotations = |v: &Value| block(v, "metadata").and_then(|m| m.get("annotations")).cloned();
    if !same("type") {
        return unfill(planned, config);
    }
    let stable = same("load_balancer_class") && same("load_balancer_ip") && same("ip_families");
    match prior.get("status") {
        Some(status) if stable && annotations(&planned) == annotations(prior) && !is_empty(status) => {
            let status = status.clone();
            planned.with_attr("status", status)
        }
        _ => planned,
    }
}

fn unfill(planned: Value, config: &Value) -> Value {
    let (Some(spec), Some(written)) = (block(&planned, "spec"), block(config, "spec")) else {
        return planned;
    };
    let unset =
        |written: Option<&Value>, name: &str| written.and_then(|w| w.get(name)).is_none_or(Value::is_null);
    let forget = |value: Value, written: Option<&Value>, name: &str| match value.get(name) {
        Some(old) if unset(written, name) => {
            let unknown = Value::unknown(old.ty());
            value.with_attr(name, unknown)
        }
        _ => value,
    };
    let mut spec = BY_TYPE.iter().fold(spec.clone(), |s, name| forget(s, Some(written), name));
    if let Some(ports) = spec.get("port").cloned()
        && let Some(items) = ports.as_seq()
    {
        let written = |i| written.get("port").and_then(|p| p.at(i));
        let items = items.iter().enumerate().map(|(i, port)| forget(port.clone(), written(i), "node_port"));
        let element = items_type(&ports);
        spec = spec.with_attr("port", Value::list(element, items.collect()));
    }
    let ty = spec.ty();
    planned.with_attr("spec", Value::list(ty, vec![spec]))
}

fn items_type(list: &Value) -> Type {
    match list.ty() {
        Type::List(element) => (*element).clone(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::filled;
    use serde_json::{Value as Json, json};

    /// Plans `change` of an object that was `prior`, both with defaults filled in.
    fn planned(kind: &str, prior: Option<&Json>, change: &Json) -> PlanOutput {
        let catalog = Catalog::new();
        let fields = &catalog.kinds[kind].fields;
        let whole = |json: &Json| filled(fields, json).with_attr("id", Value::string("default/web"));
        let config = filled(fields, change);
        let id = if prior.is_some() { Value::string("default/web") } else { Value::unknown(Type::String) };
        let mut proposed = config.with_attr("id", id);
        if let Some(status) = prior.and_then(|p| p.get("status")).filter(|_| proposed.get("status").is_some())
        {
            assert!(status.is_array());
            let unknown = Value::unknown(proposed.get("status").unwrap().ty());
            proposed = proposed.with_attr("status", unknown);
        }
        let prior = prior.map(whole);
        let input = PlanInput {
            prior: prior.as_ref(),
            prior_private: None,
            config: &config,
            proposed,
            provider_config: &Value::NULL,
        };
        plan(&catalog, kind, input).unwrap()
    }

    fn at(output: &PlanOutput, path: &AttrPath) -> Option<Value> {
        output.planned.lookup(path).cloned()
    }

    fn spec() -> AttrPath {
        AttrPath::root().attr("spec").index(0)
    }

    #[test]
    fn ids_follow_from_names() {
        for (kind, metadata, id) in [
            ("kubernetes_config_map", json!({"name": "a", "namespace": "b"}), Some("b/a")),
            ("kubernetes_config_map", json!({"name": "a"}), Some("default/a")),
            ("kubernetes_namespace", json!({"name": "a"}), Some("a")),
            ("kubernetes_config_map", json!({"generate_name": "a-"}), None),
        ] {
            let output = planned(kind, None, &json!({"metadata": metadata}));
            let found = output.planned.get("id").unwrap();
            assert_eq!(found.as_str(), id, "{metadata}");
            assert_eq!(found.is_unknown(), id.is_none());
        }
    }

    #[test]
    fn values_that_mean_the_same_are_no_change() {
        let stack = |cpu: &str, port: &str, replicas: &str| {
            let container = json!({"name": "c", "image": "i", "resources": {"limits": {"cpu": cpu}},
                "liveness_probe": {"http_get": {"port": port}}});
            json!({"metadata": {"name": "web"}, "spec": {"replicas": replicas,
                "template": {"metadata": {}, "spec": {"container": container}}}})
        };
        let prior = stack("500m", "8000", "2");
        let same = |change: &Json| {
            let output = planned("kubernetes_deployment", Some(&prior), change);
            let wanted = planned("kubernetes_deployment", Some(&prior), &prior);
            output.planned.get("spec") == wanted.planned.get("spec")
        };
        assert!(same(&stack("0.5", "8000", "2")));
        assert!(same(&stack("500m", "08000", "02")));
        assert!(!same(&stack("0.6", "8000", "2")));
        assert!(!same(&stack("500m", "http", "2")));
        assert!(!same(&stack("500m", "8000", "3")));
    }

    #[test]
    fn a_change_moves_the_version() {
        let map = |data: &str, version: Option<&str>| json!({"metadata": {"name": "web", "resource_version": version}, "data": {"a": data}});
        let prior = map("1", Some("7"));
        let version = AttrPath::root().attr("metadata").index(0).attr("resource_version");
        for (change, known) in [(map("1", Some("7")), true), (map("2", Some("7")), false)] {
            let output = planned("kubernetes_config_map", Some(&prior), &change);
            assert_eq!(!at(&output, &version).unwrap().is_unknown(), known, "{change}");
        }
    }

    #[test]
    fn frozen_data_replaces() {
        let map = |data: Json, immutable: bool| json!({"metadata": {"name": "web"}, "data": data, "immutable": immutable});
        for (prior, change, replaced) in [
            (map(json!({"a": "1"}), false), map(json!({"a": "2"}), false), vec![]),
            (map(json!({"a": "1"}), false), map(json!({"a": "1"}), true), vec![]),
            (map(json!({"a": "1"}), true), map(json!({"a": "2"}), true), vec!["data"]),
            (map(json!({"a": "1"}), true), map(json!({"a": "1"}), false), vec!["immutable"]),
        ] {
            let output = planned("kubernetes_config_map", Some(&prior), &change);
            let places: Vec<String> = output.requires_replace.iter().map(ToString::to_string).collect();
            assert_eq!(places, replaced, "{change}");
        }
    }

    #[test]
    fn a_load_balancer_keeps_its_address_until_its_making_changes() {
        let service = |kind: &str, port: u16, note: &str| {
            json!({"metadata": {"name": "web", "annotations": {"x": note}},
                "spec": {"type": kind, "port": {"port": port}, "external_traffic_policy": null}})
        };
        let mut prior = service("LoadBalancer", 80, "a");
        prior["spec"]["port"]["node_port"] = 30000.into();
        prior["spec"]["external_traffic_policy"] = "Cluster".into();
        prior["status"] = json!([{"load_balancer": [{"ingress": [{"hostname": "h", "ip": null}]}]}]);
        for (change, known) in [
            (service("LoadBalancer", 81, "a"), true),
            (service("LoadBalancer", 80, "b"), false),
            (service("ClusterIP", 80, "a"), false),
        ] {
            let output = planned("kubernetes_service", Some(&prior), &change);
            assert_eq!(!output.planned.get("status").unwrap().is_unknown(), known, "{change}");
        }
        let output = planned("kubernetes_service", Some(&prior), &service("ClusterIP", 80, "a"));
        assert!(at(&output, &spec().attr("external_traffic_policy")).unwrap().is_unknown());
        assert!(at(&output, &spec().attr("port").index(0).attr("node_port")).unwrap().is_unknown());
    }

    #[test]
    fn another_name_in_a_manifest_is_another_object() {
        let catalog = Catalog::new();
        let value = |name: &str, size: i64| {
            let metadata = Value::object([("name", Value::string(name))]);
            let manifest = Value::object([
                ("kind", Value::string("K")),
                ("metadata", metadata),
                ("size", Value::number(size)),
            ]);
            Value::object([("manifest", manifest), ("object", Value::string("answer"))])
        };
        let prior = value("a", 1);
        for (change, replaced, known) in [
            (value("a", 1), vec![], true),
            (value("a", 2), vec![], false),
            (value("b", 1), vec!["manifest.metadata.name"], false),
        ] {
            let proposed = change.with_attr("object", Value::unknown(Type::Dynamic));
            let input = PlanInput {
                prior: Some(&prior),
                prior_private: None,
                config: &change,
                proposed,
                provider_config: &Value::NULL,
            };
            let output = plan(&catalog, manifest::KIND, input).unwrap();
            let places: Vec<String> = output.requires_replace.iter().map(ToString::to_string).collect();
            assert_eq!(places, replaced);
            assert_eq!(!output.planned.get("object").unwrap().is_unknown(), known);
        }
    }
}
