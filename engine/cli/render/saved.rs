//! A plan as `show -json` gives it: Terraform's shape, sensitive values null, additions under `groma`.

use super::json::{action, importing, reason, stamp, waits};
use groma_engine::plan::{Change, ChangeAction, Drift, Plan};
use groma_types::json::{to_json, type_to_json};
use groma_types::path::Step;
use groma_types::{AttrPath, InstanceAddr, InstanceKey, Mode, Value, ValueKind};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The whole plan. `variables` are the root's.
pub(crate) fn plan_json(plan: &Plan, variables: &BTreeMap<Arc<str>, Value>) -> Json {
    let mut json = json!({
        "format_version": "1.2",
        "groma_version": env!("CARGO_PKG_VERSION"),
        "variables": variables.iter().filter(|(_, v)| !v.deep_marks().ephemeral).map(|(name, value)| {
            (name.to_string(), json!({ "value": tree(value, &[]).known_or_null() }))
        }).collect::<Map<_, _>>(),
        "planned_values": planned_values(plan),
        "resource_changes": plan.changes.iter().map(|c| resource_change(c, plan)).collect::<Vec<_>>(),
        "output_changes": output_changes(plan),
        "timestamp": seconds(&stamp(plan.at)),
        "applyable": !plan.is_empty(),
        "complete": plan.counts().deferred == 0 && plan.expansions.is_empty() && !plan.targeted,
        "errored": false,
    });
    if !plan.drift.is_empty() {
        json["resource_drift"] = plan.drift.iter().map(|d| drift(d, plan)).collect::<Vec<_>>().into();
    }
    if !plan.expansions.is_empty() {
        let one = |e: &groma_engine::plan::DeferredExpansion| {
            json!({
                "resource": e.resource.to_string(), "waits_for": waits(&e.waits_for),
                "max_instances": e.max_instances,
            })
        };
        json["groma"] = json!({ "deferred_expansions": plan.expansions.iter().map(one).collect::<Vec<_>>() });
    }
    json
}

/// Terraform's time stamp here has no fraction.
fn seconds(stamp: &str) -> String {
    stamp.split('.').next().map(|s| format!("{s}Z")).unwrap_or_default()
}

/// A value in three trees of the same shape.
struct Tree {
    /// What is known and no secret; `None`: nothing of it is known.
    known: Option<Json>,
    unknown: Json,
    sensitive: Json,
}

impl Tree {
    fn known_or_null(self) -> Json {
        self.known.unwrap_or(Json::Null)
    }
}

/// Takes a value apart; places below one of `hidden` are sensitive.
fn tree(value: &Value, hidden: &[AttrPath]) -> Tree {
    parts(value, &AttrPath::root(), hidden)
}

fn parts(value: &Value, at: &AttrPath, hidden: &[AttrPath]) -> Tree {
    let is_sensitive = value.marks().sensitive || hidden.iter().any(|p| at.starts_with(p));
    match value.kind() {
        ValueKind::Unknown(_) => Tree { known: None, unknown: true.into(), sensitive: is_sensitive.into() },
        _ if is_sensitive => Tree { known: Some(Json::Null), unknown: false.into(), sensitive: true.into() },
        ValueKind::Object(fields) => {
            named(fields.iter().map(|(k, v)| (k, parts(v, &at.with(Step::Attr(k.clone())), hidden))))
        }
        ValueKind::Map(_, fields) => {
            named(fields.iter().map(|(k, v)| (k, parts(v, &at.with(Step::Key(k.clone())), hidden))))
        }
        ValueKind::List(_, items) | ValueKind::Set(_, items) | ValueKind::Tuple(items) => {
            let mut trees = (Vec::new(), Vec::new(), Vec::new());
            for (index, item) in items.iter().enumerate() {
                let item = parts(item, &at.index(index), hidden);
                trees.1.push(item.unknown.clone());
                trees.2.push(item.sensitive.clone());
                trees.0.push(item.known_or_null());
            }
            Tree { known: Some(trees.0.into()), unknown: trees.1.into(), sensitive: trees.2.into() }
        }
        _ => Tree { known: Some(to_json(value)), unknown: false.into(), sensitive: false.into() },
    }
}

/// Of an object's fields, Terraform leaves out what is not known, and `false` in the other two trees.
fn named<'a>(fields: impl Iterator<Item = (&'a Arc<str>, Tree)>) -> Tree {
    let (mut known, mut unknown, mut sensitive) = (Map::new(), Map::new(), Map::new());
    for (name, tree) in fields {
        known.extend(tree.known.map(|k| (name.to_string(), k)));
        unknown.extend(said(name, tree.unknown));
        sensitive.extend(said(name, tree.sensitive));
    }
    Tree { known: Some(known.into()), unknown: unknown.into(), sensitive: sensitive.into() }
}

fn said(name: &Arc<str>, tree: Json) -> Option<(String, Json)> {
    (tree != Json::Bool(false)).then(|| (name.to_string(), tree))
}

fn actions(action: ChangeAction) -> &'static [&'static str] {
    match action {
        ChangeAction::NoOp => &["no-op"],
        ChangeAction::Create => &["create"],
        ChangeAction::Update => &["update"],
        ChangeAction::Replace => &["delete", "create"],
        ChangeAction::ReplaceCreateFirst => &["create", "delete"],
        ChangeAction::Delete | ChangeAction::Drop => &["delete"],
        ChangeAction::Forget => &["forget"],
    }
}

/// What names an instance.
fn named_instance(address: &InstanceAddr, provider: &str) -> Json {
    let resource = &address.resource;
    let mut json = json!({
        "address": address.to_string(),
        "mode": if resource.mode == Mode::Managed { "managed" } else { "data" },
        "type": &*resource.kind,
        "name": &*resource.name,
        "provider_name": provider,
    });
    if !resource.module.is_root() {
        json["module_address"] = resource.module.to_string().into();
    }
    match &address.key {
        None => {}
        Some(InstanceKey::Int(n)) => json["index"] = (*n).into(),
        Some(InstanceKey::Str(s)) => json["index"] = s.to_string().into(),
    }
    json
}

/// Before and after in Terraform's shape.
fn change(actions: &[&str], before: Option<&Value>, after: Option<&Value>, hidden: &[AttrPath]) -> Json {
    let before = before.map(|v| tree(v, hidden));
    let after = after.map(|v| tree(v, hidden));
    let empty = || Json::Bool(false);
    let (after_unknown, after_sensitive) =
        after.as_ref().map_or((empty(), empty()), |t| (t.unknown.clone(), t.sensitive.clone()));
    json!({
        "actions": actions,
        "before_sensitive": before.as_ref().map_or_else(empty, |t| t.sensitive.clone()),
        "before": before.map(Tree::known_or_null),
        "after_unknown": after_unknown,
        "after_sensitive": after_sensitive,
        "after": after.map(Tree::known_or_null),
    })
}

fn resource_change(planned: &Change, plan: &Plan) -> Json {
    let mut json = named_instance(&planned.address, &planned.provider.name);
    if let Some(from) = plan.moved.get(&planned.address) {
        json["previous_address"] = from.to_string().into();
    }
    let stays = !matches!(planned.action, ChangeAction::Delete | ChangeAction::Drop | ChangeAction::Forget);
    let after = stays.then_some(planned.planned.as_ref().or(planned.prior.as_ref())).flatten();
    let before = planned.prior.as_ref().filter(|_| planned.action != ChangeAction::Create);
    json["change"] = change(actions(planned.action), before, after, &planned.sensitive_paths);
    if !planned.replace_paths.is_empty() {
        let paths: Vec<Json> = planned.replace_paths.iter().map(path).collect();
        json["change"]["replace_paths"] = paths.into();
    }
    if let Some(import) = &planned.import {
        json["change"]["importing"] = importing(import);
    }
    if let Some(key) = &planned.deposed {
        json["deposed"] = key.to_string().into();
    }
    if let Some(reason) = reason(planned) {
        json["action_reason"] = reason.into();
    }
    json["groma"] = json!({
        "deferred": planned.is_deferred(),
        "waits_for": waits(&planned.waits_for),
        "action": action(planned.action),
        "drop": planned.action == ChangeAction::Drop,
    });
    json
}

fn path(path: &AttrPath) -> Json {
    let step = |step: &Step| match step {
        Step::Attr(name) | Step::Key(name) => Json::from(name.to_string()),
        Step::Index(index) => Json::from(*index),
    };
    path.0.iter().map(step).collect::<Vec<_>>().into()
}

fn drift(drift: &Drift, plan: &Plan) -> Json {
    let known = plan.changes.iter().find(|c| c.address == drift.address);
    let hidden = known.map(|c| c.sensitive_paths.as_slice()).unwrap_or_default();
    let mut json = named_instance(&drift.address, known.map_or("", |c| &*c.provider.name));
    let actions: &[&str] = if drift.after.is_some() { &["update"] } else { &["delete"] };
    json["change"] = change(actions, Some(&drift.before), drift.after.as_ref(), hidden);
    json
}

fn output_changes(plan: &Plan) -> Json {
    let one = |output: &groma_engine::plan::OutputChange| {
        let mark = |v: &Value| match output.sensitive {
            true => v.clone().mark(groma_types::Marks::SENSITIVE),
            false => v.clone(),
        };
        let (before, after) = (output.before.as_ref().map(mark), output.after.as_ref().map(mark));
        let actions: &[&str] = match (&before, &after) {
            (None, _) => &["create"],
            (_, None) => &["delete"],
            (Some(_), Some(_)) => &["update"],
        };
        (output.name.to_string(), change(actions, before.as_ref(), after.as_ref(), &[]))
    };
    Json::Object(plan.outputs.iter().map(one).collect())
}

/// What will be there: every instance that is not deleted, by module, and the outputs that change.
fn planned_values(plan: &Plan) -> Json {
    let mut modules: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    let gone = |c: &&Arc<Change>| {
        !matches!(c.action, ChangeAction::Delete | ChangeAction::Drop | ChangeAction::Forget)
    };
    for planned in plan.changes.iter().filter(gone).filter(|c| c.deposed.is_none()) {
        let Some(value) = planned.planned.as_ref().or(planned.prior.as_ref()) else { continue };
        let tree = tree(value, &planned.sensitive_paths);
        let mut json = named_instance(&planned.address, &planned.provider.name);
        json["sensitive_values"] = tree.sensitive.clone();
        json["values"] = tree.known_or_null();
        modules.entry(planned.address.resource.module.to_string()).or_default().push(json);
    }
    let mut root = json!({});
    if let Some(resources) = modules.remove("") {
        root["resources"] = resources.into();
    }
    if !modules.is_empty() {
        let child = |(address, resources)| json!({ "address": address, "resources": resources });
        root["child_modules"] = modules.into_iter().map(child).collect::<Vec<_>>().into();
    }
    let mut values = json!({ "root_module": root });
    let outputs: Map<String, Json> = plan.outputs.iter().filter_map(planned_output).collect();
    if !outputs.is_empty() {
        values["outputs"] = outputs.into();
    }
    values
}

fn planned_output(output: &groma_engine::plan::OutputChange) -> Option<(String, Json)> {
    let after = output.after.as_ref()?;
    let mut json = json!({ "sensitive": output.sensitive });
    if !output.sensitive
        && let Some(known) = tree(after, &[]).known
    {
        json["type"] = type_to_json(&after.ty());
        json["value"] = known;
    }
    Some((output.name.to_string(), json))
}

#[cfg(test)]
mod tests {
    use super::{change, tree};
    use groma_types::{AttrPath, Marks, Type, Value};
    use serde_json::json;

    #[test]
    fn what_is_not_known_or_secret_has_a_tree_of_its_own() {
        let value = Value::object([
            ("id", Value::unknown(Type::String)),
            ("key", Value::string("canary").mark(Marks::SENSITIVE)),
            ("word", Value::string("canary")),
            ("list", Value::tuple(vec![Value::string("a"), Value::unknown(Type::String)])),
        ]);
        let tree = tree(&value, &[AttrPath::root().attr("word")]);
        assert_eq!(tree.unknown, json!({ "id": true, "list": [false, true] }));
        assert_eq!(tree.sensitive, json!({ "key": true, "word": true, "list": [false, false] }));
        assert_eq!(tree.known, Some(json!({ "key": null, "word": null, "list": ["a", null] })));
    }

    #[test]
    fn what_is_not_there_is_null() {
        let json = change(&["create"], None, Some(&Value::string("a")), &[]);
        assert_eq!(json["before"], json!(null));
        assert_eq!(json["after"], json!("a"));
    }
}
