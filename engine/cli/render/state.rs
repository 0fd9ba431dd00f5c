//! The state, for people and for machines. Sensitive values are hidden here; `output` alone shows them.

use super::style::Style;
use super::value::{Shown, diff, redacted_json};
use groma_engine::state::{Object, State, Status};
use groma_types::{InstanceKey, Mode, Value};
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;

/// One word on how an object is, where it is not simply there.
pub(crate) fn status(object: &Object) -> Option<String> {
    match &object.status {
        Status::Ready => None,
        Status::Waiting => Some("waiting".into()),
        Status::Unconverged(why) => Some(format!("unconverged: {}", super::text::one_line(why))),
        Status::Tainted(why) => Some(format!("tainted: {}", super::text::one_line(why))),
        Status::Deposed(key) => Some(format!("deposed {key}")),
    }
}

/// One object, attribute by attribute.
pub(crate) fn object(object: &Object, style: Style) -> String {
    let address = object.address.to_string();
    let mut out = format!("# {address}");
    if let Some(status) = status(object) {
        let _ = write!(out, " ({status})");
    }
    let shown = Shown { style: Style::PLAIN, hidden: &[], forcing: &[], own: &address };
    let lines = diff(None, Some(&object.attributes), &shown, 0);
    let lines = lines.lines().map(without_symbol).collect::<Vec<_>>().join("\n");
    let _ = write!(out, "\n{}:\n{lines}\n", style.paint(super::style::Paint::Bold, &address));
    out
}

/// The first `+` of a line stands for nothing where nothing is compared.
fn without_symbol(line: &str) -> String {
    line.replacen("+ ", "  ", 1)
}

/// The whole state for people.
pub(crate) fn all(state: &State, style: Style) -> String {
    if state.objects.is_empty() {
        return "The state is empty. No objects are managed.\n".into();
    }
    let mut objects: Vec<&Object> = state.objects.values().collect();
    objects.sort_by_key(|o| (o.address.to_string(), o.id.clone()));
    let mut out = objects.iter().map(|o| object(o, style)).collect::<Vec<_>>().join("\n");
    if !state.outputs.is_empty() {
        let _ = write!(out, "{}", super::output::block(&state.outputs));
    }
    out
}

fn key(key: Option<&InstanceKey>) -> Json {
    match key {
        None => Json::Null,
        Some(InstanceKey::Int(n)) => (*n).into(),
        Some(InstanceKey::Str(s)) => s.to_string().into(),
    }
}

/// One object in the shape of Terraform's `show -json`, ours beside it.
pub(crate) fn object_json(object: &Object) -> Json {
    let resource = &object.address.resource;
    let mut json = json!({
        "address": object.address.to_string(),
        "mode": if resource.mode == Mode::Managed { "managed" } else { "data" },
        "type": &*resource.kind,
        "name": &*resource.name,
        "provider_name": &*object.provider.name,
        "schema_version": object.schema_version,
        "values": redacted_json(&object.attributes),
        "sensitive_values": sensitive(&object.attributes),
        "groma": { "id": object.id.to_string(), "recipe": object.recipe.to_string() },
    });
    if object.address.key.is_some() {
        json["index"] = key(object.address.key.as_ref());
    }
    match &object.status {
        Status::Ready => {}
        Status::Tainted(_) => json["tainted"] = true.into(),
        Status::Deposed(key) => json["deposed_key"] = key.to_string().into(),
        Status::Waiting | Status::Unconverged(_) => {}
    }
    if let Some(status) = status(object) {
        json["groma"]["status"] = status.into();
    }
    json
}

/// `true` where the value is sensitive, as Terraform shows it.
fn sensitive(value: &Value) -> Json {
    use groma_types::ValueKind;
    if value.marks().sensitive {
        return true.into();
    }
    match value.kind() {
        ValueKind::Object(vs) | ValueKind::Map(_, vs) => {
            let kept = vs.iter().map(|(k, v)| (k.to_string(), sensitive(v)));
            Json::Object(kept.filter(|(_, v)| !matches!(v, Json::Bool(false))).collect::<Map<_, _>>())
        }
        ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => {
            Json::Array(vs.iter().map(sensitive).collect())
        }
        _ => false.into(),
    }
}

/// Terraform's shape of `show -json`.
pub(crate) fn show_json(state: &State) -> Json {
    let mut root = Vec::new();
    let mut modules: std::collections::BTreeMap<String, Vec<Json>> = std::collections::BTreeMap::new();
    for object in state.objects.values() {
        let module = object.address.resource.module.to_string();
        if module.is_empty() { &mut root } else { modules.entry(module).or_default() }
            .push(object_json(object));
    }
    let children: Vec<Json> = modules
        .into_iter()
        .map(|(address, resources)| json!({ "address": address, "resources": resources }))
        .collect();
    let mut root_module = json!({ "resources": root });
    if !children.is_empty() {
        root_module["child_modules"] = children.into();
    }
    let mut values = json!({ "root_module": root_module });
    if !state.outputs.is_empty() {
        values["outputs"] = super::output::for_events(&state.outputs);
    }
    json!({ "format_version": "1.0", "groma_version": env!("CARGO_PKG_VERSION"), "values": values })
}

/// Everything but sensitive values: objects, recipes' worlds, open operations, outputs.
pub(crate) fn pull_json(state: &State) -> Json {
    let recipes: Map<String, Json> = state
        .recipes
        .iter()
        .map(|(id, recipe)| {
            let json = json!({ "provider": recipe.provider.to_string(), "world": recipe.world.0 });
            (id.to_string(), json)
        })
        .collect();
    let open: Vec<Json> = state
        .open
        .iter()
        .map(|(id, op)| {
            json!({
                "op": id.0,
                "address": op.begin.address.to_string(),
                "action": format!("{:?}", op.begin.action).to_lowercase(),
                "made": op.made.is_some(),
            })
        })
        .collect();
    json!({
        "groma_version": env!("CARGO_PKG_VERSION"),
        "lineage": &*state.lineage,
        "serial": state.serial,
        "objects": state.objects.values().map(object_json).collect::<Vec<_>>(),
        "recipes": recipes,
        "open_operations": open,
        "outputs": super::output::for_events(&state.outputs),
    })
}
