//! Offline plans: values that mean the same as the prior ones stay, ids follow from names, and some changes of
//! values replace an object.

use crate::mapping::is_empty;
use crate::{Catalog, manifest};
use groma_provider::{PlanInput, PlanOutput, ProviderError};
use groma_types::{AttrPath, Type, Value};

pub(crate) fn plan(catalog: &Catalog, name: &str, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
    if name == manifest::KIND {
        return Ok(manifest::plan(input));
    }
    let Some(kind) = catalog.kinds.get(name) else {
        return Ok(PlanOutput { planned: input.proposed, requires_replace: Vec::new() });
    };
    let mut planned = match input.prior {
        Some(prior) => kind.fields.settle(&input.proposed, prior),
        None => input.proposed.clone(),
    };
    if input.prior.is_none() {
        planned = planned.with_attr("id", planned_id(&planned, kind.resource.namespaced));
    }
    let mut requires_replace = Vec::new();
    if let Some(prior) = input.prior {
        match kind.resource.kind.as_str() {
            "ConfigMap" => requires_replace = frozen_data(&planned, prior),
            "Service" => planned = service(planned, prior, input.config),
            _ => {}
        }
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

/// The data of a config map that is immutable changes only with the object.
fn frozen_data(planned: &Value, prior: &Value) -> Vec<AttrPath> {
    if prior.get("immutable").and_then(Value::as_bool) != Some(true) {
        return Vec::new();
    }
    let changed = |name: &&str| match (planned.get(name), prior.get(name)) {
        (Some(a), Some(b)) => a.unmark_deep().0 != b.unmark_deep().0 && !(is_empty(a) && is_empty(b)),
        _ => false,
    };
    let names = ["binary_data", "data", "immutable"];
    names.iter().filter(|n| changed(n)).map(|n| AttrPath::root().attr(n)).collect()
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
