//! Who owns which fields of a live object, as its `metadata.managedFields` and the API's conflicts tell it.
//!
//! Everything here is pure: it reads entries and says what follows. A field is owned by managers; we are one of them.

use crate::client::text_at;
use groma_types::Value;
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Field managers of Terraform's provider: of its typed kinds, and of `kubernetes_manifest`.
const TERRAFORM: &[&str] = &["HashiCorp", "Terraform"];
/// Longest text of a value in a message.
const SHOWN_MAX: usize = 80;

/// A field that somebody else owns with another value than ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collision {
    pub(crate) manager: String,
    /// The part of the API that the other wrote through, such as `scale`; mostly none.
    pub(crate) subresource: Option<String>,
    /// `.spec.template.spec.containers[name="web"].image`
    pub(crate) field: String,
}

/// The collisions that a refusal names; empty if it is about something else.
pub(crate) fn collisions(status: &Json) -> Vec<Collision> {
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    causes.filter(|c| c["reason"] == "FieldManagerConflict").map(collision).collect()
}

/// The cause's message is `conflict with "kubectl" with subresource "scale" using apps/v1`, or less of it.
fn collision(cause: &Json) -> Collision {
    let mut quoted = text_at(cause, "/message").split('"').skip(1).step_by(2).map(String::from);
    let manager = quoted.next().unwrap_or_default();
    Collision { manager, subresource: quoted.next(), field: text_at(cause, "/field").into() }
}

impl Collision {
    pub(crate) fn is_with_terraform(&self) -> bool {
        TERRAFORM.contains(&self.manager.as_str()) && self.subresource.is_none()
    }

    /// Whether it is about a number of pods that something scales.
    pub(crate) fn is_scale(&self) -> bool {
        self.subresource.as_deref() == Some("scale")
    }

    /// One line: the field, who has what, and what we would set.
    pub(crate) fn text(&self, live: &Json, ours: &Json, secrets: &BTreeSet<String>) -> String {
        let field = &self.field;
        let hidden = text_at(ours, "/kind") == "Secret" && field.starts_with(".data");
        let show = |object: &Json| at(object, field).map_or_else(|| "nothing".to_string(), Json::to_string);
        let (theirs, mine) = (show(live), show(ours));
        let hidden =
            hidden || secrets.iter().any(|s| theirs.contains(s.as_str()) || mine.contains(s.as_str()));
        let through = self.subresource.as_ref().map(|s| format!(" (through {s})")).unwrap_or_default();
        let (theirs, mine) = match hidden {
            true => ("a sensitive value".to_string(), "another one".to_string()),
            false => (shortened(&theirs), shortened(&mine)),
        };
        format!("{field}: {:?}{through} has {theirs}, this sets {mine}", self.manager)
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// The texts in a value that are sensitive.
pub(crate) fn secrets(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect_secrets(value, false, &mut found);
    found
}

fn collect_secrets(value: &Value, above: bool, found: &mut BTreeSet<String>) {
    let is_secret = above || value.marks().sensitive;
    if let Some(text) = value.as_str().filter(|t| is_secret && !t.is_empty()) {
        // As it stands in JSON, without the quotes.
        let json = Json::from(text).to_string();
        found.insert(json[1..json.len() - 1].into());
    }
    let members = value.as_map().into_iter().flat_map(|m| m.values());
    members
        .chain(value.as_seq().unwrap_or_default())
        .for_each(|below| collect_secrets(below, is_secret, found));
}

/// The value at a field's path as the API spells it.
fn at<'a>(object: &'a Json, path: &str) -> Option<&'a Json> {
    let (mut here, mut rest) = (object, path);
    while !rest.is_empty() {
        if let Some(key) = rest.strip_prefix('[') {
            let end = end_of_key(key)?;
            here = here.as_array()?.iter().find(|item| fits(item, &key[..end]))?;
            rest = &key[end + 1..];
        } else {
            let name = rest.strip_prefix('.')?;
            // Keys of labels hold dots themselves: the longest member that fits is meant.
            let is_here = |member: &&String| {
                name.strip_prefix(member.as_str()).is_some_and(|r| r.is_empty() || r.starts_with(['.', '[']))
            };
            let member = here.as_object()?.keys().filter(is_here).max_by_key(|m| m.len())?;
            (here, rest) = (&here[member.as_str()], &name[member.len()..]);
        }
    }
    Some(here)
}

/// Where the bracket that stands before `text` closes, outside of quotes.
fn end_of_key(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(i, c)| {
        quoted ^= c == '"';
        (c == ']' && !quoted).then_some(i)
    })
}

/// Whether an item of a list is the one that `name="web"`, `a=1,b="c"` or `="x"` names.
fn fits(item: &Json, key: &str) -> bool {
    let mut rest = key;
    while let Some((name, tail)) = rest.split_once('=') {
        let mut values = serde_json::Deserializer::from_str(tail).into_iter::<Json>();
        let Some(Ok(wanted)) = values.next() else { return false };
        let found = if name.is_empty() { item } else { &item[name] };
        // A protocol that is not written is TCP.
        let is_left_out = name == "protocol" && found.is_null() && wanted == "TCP";
        if *found != wanted && !is_left_out {
            return false;
        }
        rest = tail[values.byte_offset()..].trim_start_matches(',');
    }
    true
}

fn entries(live: &Json) -> impl Iterator<Item = &Json> {
    live.pointer("/metadata/managedFields").and_then(Json::as_array).into_iter().flatten()
}

fn is_ours(entry: &Json, manager: &str) -> bool {
    let whole = text_at(entry, "/subresource").is_empty();
    whole && text_at(entry, "/manager") == manager && entry["operation"] == "Apply"
}

fn is_terraforms(entry: &Json) -> bool {
    text_at(entry, "/subresource").is_empty() && TERRAFORM.contains(&text_at(entry, "/manager"))
}

/// The other managers that wrote an object, each once.
pub(crate) fn others<'a>(live: &'a Json, manager: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> = entries(live)
        .filter(|e| text_at(e, "/subresource").is_empty())
        .map(|e| text_at(e, "/manager"))
        .filter(|m| !m.is_empty() && *m != manager)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether Terraform's provider owns fields of an object.
pub(crate) fn is_of_terraform(live: &Json, manager: &str) -> bool {
    !TERRAFORM.contains(&manager) && entries(live).any(is_terraforms)
}

/// The patch that hands Terraform's fields over to us: what we drop later goes then, instead of staying for an owner that
/// is no longer there. It carries the version that it was made from, so that nobody's change in between is lost.
pub(crate) fn handed_over(live: &Json, manager: &str) -> Json {
    let mut fields = Json::Object(Map::new());
    let mut kept = Vec::new();
    let mut version = live["apiVersion"].clone();
    for entry in entries(live) {
        if is_ours(entry, manager) || is_terraforms(entry) {
            merge(&mut fields, &entry["fieldsV1"]);
            version = entry["apiVersion"].clone();
        } else {
            kept.push(entry.clone());
        }
    }
    kept.push(serde_json::json!({
        "manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields,
    }));
    let metadata = &live["metadata"];
    serde_json::json!({ "metadata": { "managedFields": kept, "resourceVersion": metadata["resourceVersion"] } })
}

fn merge(into: &mut Json, from: &Json) {
    for (name, below) in from.as_object().into_iter().flatten() {
        merge(&mut into[name.as_str()], below);
    }
    if into.is_null() {
        *into = Json::Object(Map::new());
    }
}

/// The object as we hold it: a number of pods that something else scales is not ours, and stays as `ours` says.
pub(crate) fn with_our_scale<'a>(live: &'a Json, ours: Option<i64>, manager: &str) -> Cow<'a, Json> {
    const REPLICAS: &str = "/fieldsV1/f:spec/f:replicas";
    let owns = |e: &Json| e.pointer(REPLICAS).is_some();
    let is_scaled = entries(live).any(|e| text_at(e, "/subresource") == "scale" && owns(e))
        && !entries(live).any(|e| is_ours(e, manager) && owns(e));
    match ours.filter(|_| is_scaled) {
        Some(count) => {
            let mut object = live.clone();
            object["spec"]["replicas"] = count.into();
            Cow::Owned(object)
        }
        None => Cow::Borrowed(live),
    }
}

/// The number of pods in attributes, of a typed kind or of a manifest.
pub(crate) fn replicas(attributes: &Value) -> Option<i64> {
    let spec = match attributes.get("manifest") {
        Some(manifest) => manifest.get("spec"),
        None => attributes.get("spec").and_then(|s| s.at(0)),
    };
    let value = spec?.get("replicas")?;
    value.as_str().map_or_else(|| groma_types::json::to_json(value).as_i64(), |text| text.parse().ok())
}

/// All collisions as the text of an error.
pub(crate) fn text(
    collisions: &[Collision],
    label: &str,
    live: &Json,
    ours: &Json,
    secrets: &BTreeSet<String>,
) -> String {
    let mut text = format!("{label}: others own fields that this sets");
    for collision in collisions {
        // Writing to a string can't fail.
        let _ = write!(text, "\n  {}", collision.text(live, ours, secrets));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(manager: &str, operation: &str, subresource: &str, fields: &Json) -> Json {
        json!({"manager": manager, "operation": operation, "subresource": subresource, "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn owned(entries: &[Json]) -> Json {
        json!({"apiVersion": "apps/v1", "metadata": {"resourceVersion": "7", "managedFields": entries},
            "spec": {"replicas": 3}})
    }

    #[test]
    fn a_refusal_names_its_collisions() {
        let cause = |message: &str| json!({"reason": "FieldManagerConflict", "field": ".spec.replicas", "message": message});
        for (message, manager, subresource) in [
            ("conflict with \"kubectl-edit\" using apps/v1", "kubectl-edit", None),
            ("conflict with \"kubectl\" with subresource \"scale\" using apps/v1", "kubectl", Some("scale")),
            ("conflict with \"other\"", "other", None),
        ] {
            let found = collisions(&json!({"details": {"causes": [cause(message)]}}));
            let expected = Collision {
                manager: manager.into(),
                subresource: subresource.map(String::from),
                field: ".spec.replicas".into(),
            };
            assert_eq!(found, [expected], "{message}");
        }
        assert_eq!(collisions(&json!({"details": {"causes": [{"reason": "FieldValueRequired"}]}})), []);
    }

    #[test]
    fn fields_are_found_by_their_paths() {
        let object = json!({"metadata": {"labels": {"app": "a", "app.kubernetes.io/name": "b"}, "finalizers": ["x/y"]},
            "spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b]", "image": "2"}],
                "ports": [{"port": 80}, {"port": 80, "protocol": "UDP", "name": "u"}]}});
        for (path, expected) in [
            (".metadata.labels.app", Some(json!("a"))),
            (".metadata.labels.app.kubernetes.io/name", Some(json!("b"))),
            (".metadata.finalizers[=\"x/y\"]", Some(json!("x/y"))),
            (".spec.containers[name=\"b]\"].image", Some(json!("2"))),
            (".spec.ports[port=80,protocol=\"TCP\"].port", Some(json!(80))),
            (".spec.ports[port=80,protocol=\"UDP\"].name", Some(json!("u"))),
            (".spec.containers[name=\"c\"].image", None),
            (".spec.paused", None),
        ] {
            assert_eq!(at(&object, path), expected.as_ref(), "{path}");
        }
    }

    #[test]
    fn a_collision_shows_both_values_but_no_secrets() {
        let at = |field: &str| Collision { manager: "m".into(), subresource: None, field: field.into() };
        let (live, ours) =
            (json!({"data": {"a": "x"}}), json!({"kind": "ConfigMap", "data": {"a": "y", "b": "z"}}));
        let none = BTreeSet::new();
        assert_eq!(at(".data.a").text(&live, &ours, &none), ".data.a: \"m\" has \"x\", this sets \"y\"");
        assert_eq!(at(".data.b").text(&live, &ours, &none), ".data.b: \"m\" has nothing, this sets \"z\"");
        let secret = Value::object([("data", Value::string("y").mark(groma_types::Marks::SENSITIVE))]);
        let hidden = at(".data.a").text(&live, &ours, &secrets(&secret));
        assert_eq!(hidden, ".data.a: \"m\" has a sensitive value, this sets another one");
        let ours = json!({"kind": "Secret", "data": {"a": "eQ=="}});
        let hidden = at(".data.a").text(&live, &ours, &none);
        assert_eq!(hidden, ".data.a: \"m\" has a sensitive value, this sets another one");
    }

    #[test]
    fn a_scaled_number_of_pods_is_not_ours() {
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let scaled = entry("kubectl", "Update", "scale", &replicas);
        let ours = entry("groma", "Apply", "", &replicas);
        for (entries, ours, expected) in [
            (vec![scaled.clone()], Some(1), 1),
            (vec![scaled.clone()], None, 3),
            (vec![scaled, ours], Some(1), 3),
            (vec![entry("kubectl-edit", "Update", "", &replicas)], Some(1), 3),
        ] {
            let live = owned(&entries);
            assert_eq!(with_our_scale(&live, ours, "groma")["spec"]["replicas"], expected);
        }
    }

    #[test]
    fn terraforms_fields_become_ours() {
        let theirs = json!({"f:spec": {"f:paused": {}, "f:replicas": {}}});
        let ours = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:replicas": {}}});
        let other = entry("kube-controller-manager", "Update", "status", &json!({"f:status": {}}));
        let live = owned(&[
            entry("HashiCorp", "Update", "", &theirs),
            other.clone(),
            entry("groma", "Apply", "", &ours),
        ]);
        assert!(
            is_of_terraform(&live, "groma")
                && !is_of_terraform(&owned(std::slice::from_ref(&other)), "groma")
        );
        assert!(!is_of_terraform(&live, "Terraform"), "who names that manager is it");
        let patch = handed_over(&live, "groma");
        let all = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:paused": {}, "f:replicas": {}}});
        let mut merged = entry("groma", "Apply", "", &all);
        merged.as_object_mut().unwrap().remove("subresource");
        assert_eq!(patch, json!({"metadata": {"resourceVersion": "7", "managedFields": [other, merged]}}));
    }
}
