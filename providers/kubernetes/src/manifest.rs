//! `kubernetes_manifest`: any object, written as the API has it.

use crate::client::MANAGER;
use crate::mapping::{Field, Fields, OWNER_ANNOTATION, boolean, many, one, text, text_map};
use crate::quantity::same_amount;
use crate::wait::Goal;
use groma_provider::{ErrorKind, PlanInput, PlanOutput, ProviderError};
use groma_types::json::{from_json, to_json};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, Type, Value, ValueKind};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const KIND: &str = "kubernetes_manifest";

/// Whether a kind takes any object.
pub(crate) fn is_manifest(kind: &str) -> bool {
    kind == KIND || kind == crate::manifests::KIND
}

fn field_manager() -> Field {
    let fields = vec![
        boolean("force_conflicts", "Take fields over that others own.").default(false),
        text("name", "Name that our fields are owned under.").default("groma"),
    ];
    one("field_manager", "How fields are owned.", fields).local()
}

fn wait() -> Field {
    let condition = vec![text("status", "Wanted status."), text("type", "Type of the condition.")];
    let fields = vec![
        many("condition", "Conditions to wait for.", condition),
        text_map("fields", "Fields to wait for: a path, and a regular expression or `*` for any."),
        boolean("rollout", "Wait for the rollout of a workload."),
    ];
    one("wait", "What to wait for.", fields).local()
}

/// The blocks beside the manifest.
pub(crate) fn settings() -> Arc<Fields> {
    Fields::new("Any object of the Kubernetes API.", vec![field_manager(), wait()])
}

pub(crate) fn schema(settings: &Fields) -> KindSchema {
    let fields = Attribute::optional(Type::list(Type::String), "Paths that the API may change.");
    let block: Block = Block::clone(settings.block())
        .attr("computed_fields", fields)
        .attr("manifest", Attribute::required(Type::Dynamic, "The object, as the API has it."))
        .attr(
            "object",
            Attribute::computed(Type::Dynamic, "The object as the API answers.").changes_with_any(),
        );
    let key =
        ["manifest.apiVersion", "manifest.kind", "manifest.metadata.namespace", "manifest.metadata.name"];
    KindSchema { owner_mark: true, ..KindSchema::new(KIND, "kubernetes", block).key(&key) }
}

/// What names the object of a manifest.
pub(crate) struct Naming {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// Reads the naming parts of a manifest.
///
/// # Errors
/// One is missing.
pub(crate) fn naming(attributes: &Value) -> Result<Naming, ProviderError> {
    let manifest = attributes.get("manifest").unwrap_or(&Value::NULL);
    let text = |path: &[&str]| part(manifest, path).and_then(Value::as_str).map(String::from);
    let needed = |path: &[&str]| {
        text(path).ok_or_else(|| {
            ProviderError::new(ErrorKind::Invalid, format!("the manifest needs `{}`", path.join(".")))
                .at(AttrPath::root().attr("manifest"))
        })
    };
    Ok(Naming {
        api_version: needed(&["apiVersion"])?,
        kind: needed(&["kind"])?,
        namespace: text(&["metadata", "namespace"]),
        name: needed(&["metadata", "name"])?,
    })
}

/// The object to apply: the manifest without nulls, which mean "not set".
pub(crate) fn body(planned: &Value) -> Json {
    let mut body = without_nulls(to_json(planned.get("manifest").unwrap_or(&Value::NULL)));
    if !body.is_object() {
        body = Json::Object(Map::new());
    }
    if let Some(body) = body.as_object_mut() {
        body.remove("status");
    }
    body
}

fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(map) => {
            map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()
        }
        Json::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// The field manager to apply under, and whether it takes fields over; typed kinds have no say in it.
pub(crate) fn manager(attributes: &Value) -> (String, bool) {
    let settings = attributes.get("field_manager").and_then(|m| m.at(0));
    let name = settings.and_then(|m| m.str_attr("name")).unwrap_or(MANAGER);
    let force = settings.and_then(|m| m.get("force_conflicts")).and_then(Value::as_bool);
    (name.into(), force.unwrap_or(false))
}

/// What the block `wait` asks for.
pub(crate) fn goal(attributes: &Value) -> Goal {
    let Some(wait) = attributes.get("wait").and_then(|w| w.at(0)) else { return Goal::Stored };
    let pair = |c: &Value| Some((c.str_attr("type")?.to_string(), c.str_attr("status")?.to_string()));
    let conditions = wait.get("condition").and_then(Value::as_seq).unwrap_or_default();
    let fields = wait.get("fields").and_then(Value::as_map).into_iter().flatten();
    let fields = fields.filter_map(|(path, v)| Some((path.to_string(), v.as_str()?.to_string())));
    Goal::Shows {
        conditions: conditions.iter().filter_map(pair).collect(),
        fields: fields.collect(),
        rollout: wait.get("rollout").and_then(Value::as_bool).unwrap_or(false),
    }
}

/// What the API keeps for itself in an object's metadata.
const INTERNAL: &[&str] =
    &["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// The attributes of a live object.
pub(crate) fn attributes(settings: &Fields, live: &Json, guide: Option<&Value>) -> Value {
    let kept = settings.read_api(&Json::Null, guide);
    let written = guide.and_then(|g| g.get("manifest")).filter(|m| !m.is_null());
    let manifest = match written {
        Some(written) => projected(written, live),
        None => from_json(&as_written(live)),
    };
    let mut object = live.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        forget_mark(metadata);
    }
    let fields = guide.and_then(|g| g.get("computed_fields")).cloned();
    kept.with_attr("manifest", manifest)
        .with_attr("object", from_json(&object))
        .with_attr("computed_fields", fields.unwrap_or_else(|| Value::null(Type::list(Type::String))))
}

fn forget_mark(metadata: &mut Map<String, Json>) {
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Json::as_object_mut) {
        annotations.remove(OWNER_ANNOTATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// A live object as a user would have written it.
fn as_written(live: &Json) -> Json {
    let mut object = live.clone();
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| !INTERNAL.contains(&key.as_str()));
        forget_mark(metadata);
    }
    object
}

/// Parts of an object whose texts are the user's own: two that mean the same amount are still two.
const VERBATIM: &[&str] = &["metadata", "data", "stringData", "binaryData"];

/// The live values of what the manifest says: equal ones in the manifest's words, fields beside it left out.
fn projected(written: &Value, live: &Json) -> Value {
    let mut value = written.clone();
    for (key, ours) in written.as_map().into_iter().flatten() {
        // Secrets take `stringData` and never give it back; the status is not the user's.
        if !matches!(&**key, "stringData" | "status") {
            let same = if VERBATIM.contains(&&**key) { str::eq } else { same_amount };
            let theirs = live.get(&**key).unwrap_or(&Json::Null);
            value = value.with_attr(key, projected_part(ours, theirs, same));
        }
    }
    value
}

/// Whether two texts mean the same.
type Same = fn(&str, &str) -> bool;

fn projected_part(written: &Value, live: &Json, same: Same) -> Value {
    match (written.kind(), live) {
        (ValueKind::Object(_) | ValueKind::Map(..), Json::Object(theirs)) => {
            let mut value = written.clone();
            for (key, ours) in written.as_map().into_iter().flatten() {
                let theirs = theirs.get(&**key).unwrap_or(&Json::Null);
                value = value.with_attr(key, projected_part(ours, theirs, same));
            }
            value
        }
        (_, Json::Array(theirs)) if written.as_seq().is_some() => projected_items(written, theirs, same),
        (ValueKind::String(ours), Json::String(theirs)) if same(ours, theirs) => written.clone(),
        (_, Json::Null) if says_nothing(written) => written.clone(),
        (_, Json::Null) => Value::NULL,
        _ if same_scalar(written, live) => written.clone(),
        _ => from_json(live),
    }
}

fn projected_items(written: &Value, theirs: &[Json], same: Same) -> Value {
    let ours = written.as_seq().unwrap_or_default();
    let named = |v: &Value| v.str_attr("name").map(String::from);
    let by_name = !ours.is_empty() && ours.iter().all(|v| named(v).is_some());
    let found = |i: usize, v: &Value| match named(v).filter(|_| by_name) {
        Some(name) => theirs.iter().find(|t| t["name"] == name.as_str()),
        None => theirs.get(i),
    };
    if !by_name && ours.len() != theirs.len() {
        return Value::tuple(theirs.iter().map(from_json).collect());
    }
    let item = |(i, v)| projected_part(v, found(i, v).unwrap_or(&Json::Null), same);
    let items: Vec<Value> = ours.iter().enumerate().map(item).collect();
    if items.as_slice() == ours { written.clone() } else { Value::tuple(items) }
}

/// Null, false, 0, empty: what the API leaves out.
fn says_nothing(value: &Value) -> bool {
    match to_json(value) {
        Json::Null => true,
        Json::Bool(b) => !b,
        Json::Number(n) => n.as_f64() == Some(0.0),
        Json::String(s) => s.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(_) => value.as_map().is_some_and(|m| m.values().all(says_nothing)),
    }
}

/// Equal, or a number here and its text there.
fn same_scalar(ours: &Value, theirs: &Json) -> bool {
    let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), Into::into);
    let ours = to_json(ours);
    ours == *theirs || (!ours.is_object() && !ours.is_array() && text(&ours) == text(theirs))
}

/// Reads `apiVersion=v1,kind=ConfigMap,namespace=a,name=b` into attributes that name the object.
///
/// # Errors
/// It is not of this form.
pub(crate) fn from_import(id: &str) -> Result<Value, ProviderError> {
    let parts: BTreeMap<&str, &str> = id.split(',').filter_map(|p| p.trim().split_once('=')).collect();
    let text = |name: &str| parts.get(name).map_or(Value::NULL, |v| Value::string(*v));
    if ["apiVersion", "kind", "name"].iter().any(|name| !parts.contains_key(name)) {
        let text = format!("the import id `{id}` is not apiVersion=…,kind=…,[namespace=…,]name=…");
        return Err(ProviderError::new(ErrorKind::Invalid, text));
    }
    let metadata = Value::object([("name", text("name")), ("namespace", text("namespace"))]);
    let manifest =
        Value::object([("apiVersion", text("apiVersion")), ("kind", text("kind")), ("metadata", metadata)]);
    Ok(Value::object([("manifest", manifest)]))
}

/// Parts of a manifest that name the object.
const NAMING: &[&[&str]] = &[&["apiVersion"], &["kind"], &["metadata", "name"], &["metadata", "namespace"]];

fn part<'a>(manifest: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(manifest, |v, name| v.get(name))
}

/// The answer of the API stays while the manifest stays; another name is another object.
pub(crate) fn plan(input: PlanInput<'_>) -> PlanOutput {
    let mut planned = input.proposed;
    let mut requires_replace = Vec::new();
    let object = AttrPath::root().attr("manifest");
    if let (Some(new), Some(prior)) = (planned.get("manifest").cloned(), input.prior)
        && let Some(old) = prior.get("manifest")
    {
        for path in NAMING {
            let (a, b) = (part(&new, path), part(old, path));
            if a.map(|v| v.unmark_deep().0) != b.map(|v| v.unmark_deep().0) {
                requires_replace.push(path.iter().fold(object.clone(), |at, name| at.attr(name)));
            }
        }
        let same = new.unmark_deep().0 == old.unmark_deep().0;
        if let Some(answer) = prior.get("object").filter(|_| same) {
            planned = planned.with_attr("object", answer.clone());
        }
    }
    PlanOutput { planned, requires_replace }
}
