//! The state as a JSON document for people and scripts (`state pull`). Not read back: the files on disk are the state.
//!
//! Sensitive values are null and their places are listed, unless they are asked for by name.

use super::lock::time;
use super::{
    Object, OnDestroy, OpId, OpenOp, OutputValue, Recipe, RecipeId, RecordedCommand, Settings, State, Status,
};
use groma_provider::Action;
use groma_types::json::to_json;
use groma_types::{AttrPath, Step, Value, ValueKind};
use serde_json::{Map, Value as Json, json};

/// Whether sensitive values are in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Redacted,
    Shown,
}

/// Version of the document's shape.
const VERSION: u32 = 1;

/// The whole state as one document.
pub fn pull(state: &State, secrets: Secrets) -> Json {
    let recipe = |(id, recipe): (&RecipeId, &Recipe)| (id.to_string(), recipe_json(recipe, secrets));
    let output = |(name, output): (&std::sync::Arc<str>, &OutputValue)| {
        (name.to_string(), output_json(output, secrets))
    };
    json!({
        "document": "groma-state",
        "version": VERSION,
        "groma_version": env!("CARGO_PKG_VERSION"),
        "lineage": &*state.lineage,
        "serial": state.serial,
        "objects": state.objects.values().map(|o| object_json(o, secrets)).collect::<Vec<_>>(),
        "operations": state.open.iter().map(|(op, open)| open_json(*op, open, secrets)).collect::<Vec<_>>(),
        "recipes": state.recipes.iter().map(recipe).collect::<Map<_, _>>(),
        "outputs": state.outputs.iter().map(output).collect::<Map<_, _>>(),
    })
}

/// One object as a document.
pub fn object_json(object: &Object, secrets: Secrets) -> Json {
    let (status, reason) = status_words(&object.status);
    let attributes = Shown::of(&object.attributes, secrets);
    json!({
        "id": object.id.to_string(),
        "address": object.address.to_string(),
        "type": &*object.address.resource.kind,
        "provider": object.provider.to_string(),
        "recipe": object.recipe.to_string(),
        "status": status,
        "status_reason": reason,
        "attributes": attributes.json,
        "sensitive_paths": attributes.sensitive,
        "private": object.private,
        "schema_version": object.schema_version,
        "groma_version": &*object.groma_version,
        "dependencies": object.dependencies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "host": object.host.as_ref().map(ToString::to_string),
        "owner_mark": object.owner_mark.as_deref(),
        "settings": settings_json(&object.settings),
        "created": time(object.created),
    })
}

/// The word for a status, and its reason or key.
pub fn status_words(status: &Status) -> (&'static str, Option<&str>) {
    match status {
        Status::Ready => ("ready", None),
        Status::Waiting => ("waiting", None),
        Status::Unconverged(why) => ("unconverged", Some(why)),
        Status::Tainted(why) => ("tainted", Some(why)),
        Status::Deposed(key) => ("deposed", Some(key)),
    }
}

fn settings_json(settings: &Settings) -> Json {
    let mut json = json!({
        "create_before_destroy": settings.create_before_destroy,
        "prevent_destroy": settings.prevent_destroy,
        "on_destroy": match settings.on_destroy {
            OnDestroy::Delete => "delete",
            OnDestroy::Keep => "keep",
            OnDestroy::Forbid => "forbid",
        },
        "timeouts_ms": {
            "create": millis(settings.timeouts.create),
            "read": millis(settings.timeouts.read),
            "update": millis(settings.timeouts.update),
            "delete": millis(settings.timeouts.delete),
        },
    });
    if settings.unprovisioned {
        json["unprovisioned"] = true.into();
    }
    if !settings.before_destroy.is_empty() {
        let one = |c: &RecordedCommand| {
            let texts = c.arguments.iter().map(|(name, expr)| (name.to_string(), Json::from(&**expr)));
            json!({ "arguments": Json::Object(texts.collect()), "continues": c.continues })
        };
        json["before_destroy"] = settings.before_destroy.iter().map(one).collect();
    }
    json
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn open_json(op: OpId, open: &OpenOp, secrets: Secrets) -> Json {
    let begin = &open.begin;
    let planned = Shown::of(&begin.planned, secrets);
    let made = open.made.as_ref().map(|made| {
        let attributes = Shown::of(&made.attributes, secrets);
        json!({
            "attributes": attributes.json,
            "sensitive_paths": attributes.sensitive,
            "private": made.private,
            "operation": made.operation.as_deref(),
        })
    });
    json!({
        "operation": op.0,
        "action": match begin.action {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        },
        "object": begin.object.to_string(),
        "address": begin.address.to_string(),
        "begun": time(begin.at),
        "planned": planned.json,
        "sensitive_paths": planned.sensitive,
        "unknown_paths": planned.unknown,
        "in_doubt": made.is_none(),
        "made": made,
    })
}

fn recipe_json(recipe: &Recipe, secrets: Secrets) -> Json {
    let config = Shown::of(&recipe.config, secrets);
    let minters = recipe.minters.iter().map(|(a, id)| (a.to_string(), Json::from(id.to_string())));
    json!({
        "provider": recipe.provider.to_string(),
        "config": config.json,
        "sensitive_paths": config.sensitive,
        "unknown_paths": config.unknown,
        "minters": minters.collect::<Map<_, _>>(),
        "world": recipe.world.0,
        "host": recipe.host.as_ref().map(ToString::to_string),
    })
}

fn output_json(output: &OutputValue, secrets: Secrets) -> Json {
    let hidden = output.sensitive && secrets == Secrets::Redacted;
    let value = if hidden { Json::Null } else { Shown::of(&output.value, secrets).json };
    json!({ "value": value, "sensitive": output.sensitive })
}

/// A value as JSON, and the places that null stands for.
struct Shown {
    json: Json,
    sensitive: Vec<String>,
    unknown: Vec<String>,
}

impl Shown {
    fn of(value: &Value, secrets: Secrets) -> Shown {
        let mut shown = Shown { json: Json::Null, sensitive: Vec::new(), unknown: Vec::new() };
        shown.json = shown.put(&AttrPath::root(), value, secrets);
        shown
    }

    fn put(&mut self, at: &AttrPath, value: &Value, secrets: Secrets) -> Json {
        if value.marks().sensitive && !value.is_null() {
            self.sensitive.push(at.to_string());
            if secrets == Secrets::Redacted {
                return Json::Null;
            }
        }
        let inner = |(key, value): (&std::sync::Arc<str>, &Value), step: fn(std::sync::Arc<str>) -> Step| {
            (key.to_string(), at.with(step(key.clone())), value.clone())
        };
        let entries: Vec<_> = match value.kind() {
            ValueKind::Map(_, vs) => vs.iter().map(|e| inner(e, Step::Key)).collect(),
            ValueKind::Object(vs) => vs.iter().map(|e| inner(e, Step::Attr)).collect(),
            ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => {
                let each = vs.iter().enumerate().map(|(i, v)| self.put(&at.index(i), v, secrets));
                return Json::Array(each.collect());
            }
            ValueKind::Unknown(_) => {
                self.unknown.push(at.to_string());
                return Json::Null;
            }
            ValueKind::Null(_) | ValueKind::Bool(_) | ValueKind::Number(_) | ValueKind::String(_) => {
                return to_json(value);
            }
        };
        Json::Object(entries.iter().map(|(key, at, v)| (key.clone(), self.put(at, v, secrets))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{CANARY, story};
    use super::*;

    fn told() -> State {
        let mut state = State { lineage: "l1".into(), ..State::default() };
        story().iter().flatten().for_each(|r| state.apply(r));
        state
    }

    #[test]
    fn a_pulled_state_shows_secrets_only_when_asked() {
        let redacted = pull(&told(), Secrets::Redacted);
        assert!(!redacted.to_string().contains(CANARY));
        assert_eq!(redacted["objects"][0]["attributes"]["name"], "o1");
        assert_eq!(redacted["objects"][0]["sensitive_paths"], json!(["secret"]));
        assert_eq!(redacted["outputs"]["url"], json!({"value": null, "sensitive": true}));
        assert_eq!(redacted["recipes"]["r1"]["sensitive_paths"], json!(["password", "token"]));
        let shown = pull(&told(), Secrets::Shown);
        assert_eq!(shown["objects"][0]["attributes"]["secret"], CANARY);
        assert_eq!(shown["outputs"]["url"]["value"], CANARY);
        assert_eq!(shown["recipes"]["r1"]["unknown_paths"], json!(["token"]));
    }

    #[test]
    fn an_operation_in_doubt_says_so() {
        let document = pull(&told(), Secrets::Redacted);
        let doubt: Vec<_> = document["operations"].as_array().unwrap().iter().collect();
        assert_eq!(doubt.iter().map(|o| &o["in_doubt"]).collect::<Vec<_>>(), [&json!(false), &json!(true)]);
        assert_eq!(doubt[1]["action"], "delete");
    }
}
