//! Server-side apply: which manager owns which fields, conflicts, the merge.
//!
//! A set of fields is a set of paths; a path is a list of elements in the notation of `fieldsV1`:
//! `f:name` for a member, `k:{..}` for an item of a list with keys, `v:..` for an item of a set. Lists
//! without keys and maps marked atomic are owned whole. An item of a list with keys is itself a path.

use super::api::Writer;
use crate::clock::rfc3339;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

type Path = Vec<String>;
type Set = BTreeSet<Path>;

/// The two ways to own a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Apply,
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// How a list is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListKind {
    Map(&'static [&'static str]),
    Set,
    Atomic,
}

/// How the list at a path of members is merged; the table of the published schema.
pub(super) fn list_kind(path: &[String]) -> ListKind {
    let at = |back: usize| path.len().checked_sub(back).map_or("", |i| path[i].as_str());
    let (last, parent) = (at(1), at(2));
    let top = path.first().map_or("", String::as_str);
    if !matches!(top, "spec" | "metadata" | "status" | "secrets" | "imagePullSecrets") {
        return ListKind::Atomic;
    }
    match (parent, last) {
        (
            _,
            "containers" | "initContainers" | "ephemeralContainers" | "env" | "volumes" | "imagePullSecrets",
        )
        | ("", "secrets")
        | ("resources", "claims") => ListKind::Map(&["name"]),
        ("containers" | "initContainers" | "ephemeralContainers", "ports") => {
            ListKind::Map(&["containerPort", "protocol"])
        }
        ("spec", "ports") => ListKind::Map(&["port", "protocol"]),
        (_, "volumeMounts") => ListKind::Map(&["mountPath"]),
        (_, "volumeDevices") => ListKind::Map(&["devicePath"]),
        (_, "hostAliases") => ListKind::Map(&["ip"]),
        (_, "topologySpreadConstraints") => ListKind::Map(&["topologyKey", "whenUnsatisfiable"]),
        ("metadata", "ownerReferences") => ListKind::Map(&["uid"]),
        ("status", "conditions") => ListKind::Map(&["type"]),
        ("metadata", "finalizers") => ListKind::Set,
        _ => ListKind::Atomic,
    }
}

/// Maps that the published schema marks as owned whole.
fn atomic_map(path: &[String]) -> bool {
    let last = path.last().map_or("", String::as_str);
    let spec = path.first().is_some_and(|p| p == "spec");
    spec && matches!(
        last,
        "selector"
            | "nodeSelector"
            | "labelSelector"
            | "podSelector"
            | "namespaceSelector"
            | "secretKeyRef"
            | "configMapKeyRef"
            | "fieldRef"
            | "resourceFieldRef"
    )
}

/// The element that names an item of a list with keys; missing protocols count as TCP.
fn item_key(item: &Value, keys: &[&str]) -> String {
    let value = |key: &&str| match &item[*key] {
        Value::Null if *key == "protocol" => ((*key).to_owned(), "TCP".into()),
        other => ((*key).to_owned(), other.clone()),
    };
    let key: Map<String, Value> = keys.iter().map(value).collect();
    format!("k:{}", Value::Object(key))
}

/// Never owned: identity and what the server alone writes.
fn unowned(path: &[String]) -> bool {
    match path {
        [top] => matches!(top.as_str(), "apiVersion" | "kind" | "_sim"),
        [top, member] if top == "metadata" => matches!(
            member.as_str(),
            "name"
                | "namespace"
                | "uid"
                | "resourceVersion"
                | "generation"
                | "creationTimestamp"
                | "deletionTimestamp"
                | "managedFields"
                | "generateName"
                | "selfLink"
        ),
        _ => false,
    }
}

/// The fields of an object, with or without its status.
fn fields_of(object: &Value, status: bool) -> Set {
    let mut set = Set::new();
    collect(object, &mut Vec::new(), &mut Vec::new(), &mut set);
    set.retain(|path| (path.first().is_some_and(|p| p == "f:status")) == status);
    set
}

fn collect(value: &Value, members: &mut Path, path: &mut Path, set: &mut Set) {
    match value {
        Value::Object(map) if !map.is_empty() && !atomic_map(members) => {
            for (name, value) in map {
                members.push(name.clone());
                if !unowned(members) && !value.is_null() {
                    path.push(format!("f:{name}"));
                    collect(value, members, path, set);
                    path.pop();
                }
                members.pop();
            }
        }
        Value::Array(items) if !items.is_empty() && list_kind(members) != ListKind::Atomic => {
            for item in items {
                let ListKind::Map(keys) = list_kind(members) else {
                    set.insert(path.iter().cloned().chain([format!("v:{item}")]).collect());
                    continue;
                };
                path.push(item_key(item, keys));
                set.insert(path.clone());
                collect(item, members, path, set);
                path.pop();
            }
        }
        // The members of the root aren't owned by their absence.
        Value::Object(_) if path.is_empty() => {}
        _ => {
            set.insert(path.clone());
        }
    }
}

/// The index of the item that an element of a path names.
fn item_at(items: &[Value], element: &str) -> Option<usize> {
    if let Some(value) = element.strip_prefix("v:") {
        let value: Value = serde_json::from_str(value).ok()?;
        return items.iter().position(|item| *item == value);
    }
    let key: Map<String, Value> = serde_json::from_str(element.strip_prefix("k:")?).ok()?;
    let fits = |item: &Value| {
        key.iter().all(|(name, wanted)| match &item[name.as_str()] {
            Value::Null => name == "protocol" && wanted == "TCP",
            found => found == wanted,
        })
    };
    items.iter().position(fits)
}

fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, element| match element.strip_prefix("f:") {
        Some(name) => value.get(name),
        None => {
            let items = value.as_array()?;
            items.get(item_at(items, element)?)
        }
    })
}

fn cut(object: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = parents.iter().try_fold(object, |value, element| match element.strip_prefix("f:") {
        Some(name) => value.get_mut(name),
        None => {
            let items = value.as_array_mut()?;
            let index = item_at(items, element)?;
            items.get_mut(index)
        }
    });
    match (parent, last.strip_prefix("f:")) {
        (Some(Value::Object(members)), Some(name)) => {
            members.remove(name);
        }
        (Some(Value::Array(items)), None) => {
            if let Some(index) = item_at(items, last) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

/// Removes a field, and above it what is left empty.
fn cut_up(object: &mut Value, path: &[String]) {
    cut(object, path);
    let mut parent = path;
    while let Some((_, up)) = parent.split_last() {
        parent = up;
        let empty = match at(object, parent) {
            Some(Value::Object(members)) => members.is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            _ => false,
        };
        if !empty || parent.len() < 2 {
            return;
        }
        cut(object, parent);
    }
}

/// One entry of `metadata.managedFields`.
#[derive(Debug, Clone)]
struct Owner {
    manager: String,
    operation: String,
    version: String,
    time: String,
    sub: String,
    fields: Set,
}

impl Owner {
    fn is(&self, writer: &Writer) -> bool {
        let sub = if writer.status { "status" } else { "" };
        self.manager == writer.manager && self.operation == writer.operation.name() && self.sub == sub
    }

    fn to_json(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.version,
            "time": self.time, "fieldsType": "FieldsV1", "fieldsV1": tree(&self.fields),
        });
        if !self.sub.is_empty() {
            entry["subresource"] = self.sub.clone().into();
        }
        entry
    }
}

fn tree(set: &Set) -> Value {
    let mut root = json!({});
    for path in set {
        let mut node = &mut root;
        for element in path {
            node = &mut node[element.as_str()];
            if node.is_null() {
                *node = json!({});
            }
        }
    }
    // A path above others is marked by a dot.
    for path in set {
        let node = path.iter().try_fold(&mut root, |node, element| node.get_mut(element.as_str()));
        if let Some(Value::Object(members)) = node
            && !members.is_empty()
        {
            members.insert(".".into(), json!({}));
        }
    }
    root
}

fn from_tree(node: &Value, path: &mut Path, set: &mut Set) {
    let Some(members) = node.as_object() else { return };
    if (members.is_empty() || members.contains_key(".")) && !path.is_empty() {
        set.insert(path.clone());
    }
    for (element, below) in members.iter().filter(|(element, _)| *element != ".") {
        path.push(element.clone());
        from_tree(below, path, set);
        path.pop();
    }
}

fn owners(object: Option<&Value>) -> Vec<Owner> {
    let entries = object.and_then(|o| o["metadata"]["managedFields"].as_array()).into_iter().flatten();
    let owner = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let mut fields = Set::new();
        from_tree(&entry["fieldsV1"], &mut Vec::new(), &mut fields);
        Owner {
            manager: text("manager"),
            operation: text("operation"),
            version: text("apiVersion"),
            time: text("time"),
            sub: text("subresource"),
            fields,
        }
    };
    entries.map(owner).collect()
}

fn write_owners(object: &mut Value, mut owners: Vec<Owner>) {
    owners.retain(|owner| !owner.fields.is_empty());
    object["metadata"]["managedFields"] = owners.iter().map(Owner::to_json).collect();
}

/// A field that someone else owns with another value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) manager: String,
    /// How the manager came to own it, as the message says it.
    pub(super) how: String,
    pub(super) field: String,
}

/// `.spec.template.spec.containers[name="a"].image`
fn spell(path: &[String]) -> String {
    let mut text = String::new();
    for element in path {
        if let Some(name) = element.strip_prefix("f:") {
            text.push('.');
            text.push_str(name);
        } else if let Some(key) = element.strip_prefix("k:") {
            let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
            let parts: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
            text.push_str(&format!("[{}]", parts.join(",")));
        } else {
            text.push_str(&format!("[={}]", element.trim_start_matches("v:")));
        }
    }
    text
}

/// Applies a configuration to the live object, or says who is in the way.
pub(super) fn apply(
    old: Option<&Value>,
    config: &Value,
    writer: &Writer,
    force: bool,
    now: i64,
) -> Result<Value, Vec<Conflict>> {
    let wanted = fields_of(config, writer.status);
    let mut owners = owners(old);
    let mut live = old.cloned().unwrap_or_else(|| json!({"metadata": {}}));
    let conflicts = find_conflicts(&live, config, &wanted, &owners, writer);
    if !conflicts.is_empty() && !force {
        return Err(conflicts.into_iter().map(|(_, conflict)| conflict).collect());
    }
    for (path, _) in &conflicts {
        for owner in owners.iter_mut().filter(|owner| !owner.is(writer)) {
            owner.fields.remove(path);
        }
    }
    let before = owners.iter().find(|owner| owner.is(writer)).map(|o| o.fields.clone()).unwrap_or_default();
    overlay(&mut live, config, &mut Vec::new());
    give_up(&mut live, &before, &wanted, &owners, writer);
    let time = rfc3339(now);
    let version = config["apiVersion"].as_str().unwrap_or_default().to_owned();
    let time = match owners.iter().position(|owner| owner.is(writer)) {
        Some(at) if owners[at].fields == wanted => owners.remove(at).time,
        Some(at) => {
            owners.remove(at);
            time
        }
        None => time,
    };
    let sub = if writer.status { "status" } else { "" };
    owners.push(Owner {
        manager: writer.manager.clone(),
        operation: writer.operation.name().into(),
        version,
        time,
        sub: sub.into(),
        fields: wanted,
    });
    owners.sort_by(|a, b| (a.operation != "Apply", &a.manager).cmp(&(b.operation != "Apply", &b.manager)));
    write_owners(&mut live, owners);
    Ok(live)
}

fn find_conflicts(
    live: &Value,
    config: &Value,
    wanted: &Set,
    owners: &[Owner],
    writer: &Writer,
) -> Vec<(Path, Conflict)> {
    let mut found = Vec::new();
    for owner in owners.iter().filter(|owner| !owner.is(writer)) {
        for path in wanted.intersection(&owner.fields) {
            let item = path.last().is_some_and(|e| !e.starts_with("f:"));
            if item || at(live, path) == at(config, path) {
                continue;
            }
            let how = match owner.operation.as_str() {
                "Apply" => String::new(),
                _ if owner.sub.is_empty() => format!(" using {}", owner.version),
                _ => format!(" with subresource \"{}\" using {}", owner.sub, owner.version),
            };
            let conflict = Conflict { manager: owner.manager.clone(), how, field: spell(path) };
            found.push((path.clone(), conflict));
        }
    }
    found
}

/// Lays the configuration over the live object, lists with keys item by item.
fn overlay(live: &mut Value, config: &Value, members: &mut Path) {
    match config {
        Value::Object(map) if !atomic_map(members) => {
            if !live.is_object() {
                *live = json!({});
            }
            for (name, value) in map {
                members.push(name.clone());
                if !value.is_null() && (!unowned(members) || live.get(name).is_none()) {
                    overlay(&mut live[name.as_str()], value, members);
                }
                members.pop();
            }
        }
        Value::Array(items) => match list_kind(members) {
            ListKind::Atomic => *live = config.clone(),
            ListKind::Set => {
                let mut all = live.as_array().cloned().unwrap_or_default();
                all.extend(items.iter().filter(|item| !all.contains(item)).cloned().collect::<Vec<_>>());
                *live = all.into();
            }
            ListKind::Map(keys) => {
                let mut all = live.as_array().cloned().unwrap_or_default();
                for item in items {
                    let index = item_at(&all, &item_key(item, keys)).unwrap_or_else(|| {
                        all.push(json!({}));
                        all.len() - 1
                    });
                    overlay(&mut all[index], item, members);
                }
                *live = all.into();
            }
        },
        _ => *live = config.clone(),
    }
}

/// Whether a path is the very field by which its item is known; that goes with the item only.
fn is_key(path: &[String]) -> bool {
    let [.., item, field] = path else { return false };
    let key = item.strip_prefix("k:").and_then(|key| serde_json::from_str::<Map<String, Value>>(key).ok());
    key.is_some_and(|key| field.strip_prefix("f:").is_some_and(|name| key.contains_key(name)))
}

/// Removes what the manager no longer wants and nobody else owns.
fn give_up(live: &mut Value, before: &Set, wanted: &Set, owners: &[Owner], writer: &Writer) {
    let others = || owners.iter().filter(|owner| !owner.is(writer));
    let mut given_up: Vec<&Path> = before.difference(wanted).filter(|path| !is_key(path)).collect();
    // Whole items go before their fields: an item is found by them.
    given_up.sort_by_key(|path| path.len());
    for path in given_up {
        // Whoever owns anything below keeps the item alive.
        let kept = others().any(|owner| owner.fields.iter().any(|theirs| theirs.starts_with(path)));
        let still = wanted.iter().any(|own| own.starts_with(path));
        if !kept && !still {
            cut_up(live, path);
        }
    }
}

/// Notes who owns what after a plain write: the writer gets what changed, others lose it.
pub(super) fn note_update(old: Option<&Value>, new: &mut Value, writer: &Writer, version: &str, now: i64) {
    let empty = json!({});
    let before_object = old.unwrap_or(&empty);
    let mut before = fields_of(before_object, writer.status);
    let mut after = fields_of(new, writer.status);
    if old.is_some() && writer.status {
        // Controllers write annotations along with a status.
        before.extend(fields_of(before_object, false));
        after.extend(fields_of(new, false));
    }
    let changed: Set = after
        .iter()
        .filter(|path| {
            let item = path.last().is_some_and(|e| !e.starts_with("f:"));
            !before.contains(*path) || (!item && at(before_object, path) != at(new, path))
        })
        .cloned()
        .collect();
    let mut owners = owners(old);
    for owner in &mut owners {
        owner
            .fields
            .retain(|path| !before.contains(path) || (after.contains(path) && !changed.contains(path)));
    }
    if !changed.is_empty() {
        let sub = if writer.status { "status" } else { "" };
        match owners.iter_mut().find(|owner| owner.is(writer)) {
            Some(own) => {
                own.fields.extend(changed);
                own.time = rfc3339(now);
            }
            None => owners.push(Owner {
                manager: writer.manager.clone(),
                operation: writer.operation.name().into(),
                version: version.to_owned(),
                time: rfc3339(now),
                sub: sub.into(),
                fields: changed,
            }),
        }
    }
    write_owners(new, owners);
}

/// Whether two objects differ in no more than the times of their managers.
pub(super) fn same_but_times(left: &Value, right: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        for entry in object["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
            entry["time"] = Value::Null;
        }
        object
    };
    timeless(left) == timeless(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(manager: &str) -> Writer {
        Writer { manager: manager.into(), operation: Operation::Apply, status: false }
    }

    fn config(spec: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec})
    }

    fn check(steps: &[(&str, bool, Value)], expected: &Result<Value, &[&str]>) {
        let mut live: Option<Value> = None;
        let mut last = Ok(Value::Null);
        for (manager, force, spec) in steps {
            last = apply(live.as_ref(), &config(spec), &writer(manager), *force, 0);
            if let Ok(object) = &last {
                live = Some(object.clone());
            }
        }
        let seen = last.map(|object| object["spec"].clone());
        let seen = seen
            .map_err(|c| c.into_iter().map(|c| format!("{}: {}", c.manager, c.field)).collect::<Vec<_>>());
        let expected = expected.clone().map_err(|e| e.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(seen, expected, "{steps:?}");
    }

    #[test]
    fn ownership() {
        let c = |items: Value| json!({"template": {"spec": {"containers": items}}});
        // What a manager leaves out goes, if nobody else has it.
        check(
            &[("a", false, json!({"replicas": 2, "paused": true})), ("a", false, json!({"replicas": 2}))],
            &Ok(json!({"replicas": 2})),
        );
        check(
            &[
                ("a", false, json!({"x": 1, "y": 1})),
                ("b", false, json!({"y": 1})),
                ("a", false, json!({"x": 1})),
            ],
            &Ok(json!({"x": 1, "y": 1})),
        );
        // Another value of an owned field is a conflict, unless forced.
        check(&[("a", false, json!({"x": 1})), ("b", false, json!({"x": 2}))], &Err(&["a: .spec.x"]));
        check(&[("a", false, json!({"x": 1})), ("b", true, json!({"x": 2}))], &Ok(json!({"x": 2})));
        check(
            &[("a", false, json!({"x": 1})), ("b", true, json!({"x": 2})), ("a", false, json!({"x": 1}))],
            &Err(&["b: .spec.x"]),
        );
        // Lists with keys are merged by item.
        check(
            &[
                ("a", false, c(json!([{"name": "one", "image": "i"}]))),
                ("b", false, c(json!([{"name": "two", "image": "j"}]))),
                ("a", false, c(json!([{"name": "one", "image": "k"}]))),
            ],
            &Ok(c(json!([{"name": "one", "image": "k"}, {"name": "two", "image": "j"}]))),
        );
        check(
            &[
                ("a", false, c(json!([{"name": "one", "image": "i"}, {"name": "two", "image": "j"}]))),
                ("a", false, c(json!([{"name": "two", "image": "j"}]))),
            ],
            &Ok(c(json!([{"name": "two", "image": "j"}]))),
        );
        check(
            &[
                ("a", false, c(json!([{"name": "one", "image": "i"}]))),
                ("b", false, c(json!([{"name": "one", "image": "j"}]))),
            ],
            &Err(&["a: .spec.template.spec.containers[name=\"one\"].image"]),
        );
    }

    #[test]
    fn plain_writes_take_ownership() {
        let made =
            apply(None, &config(&json!({"replicas": 1, "paused": true})), &writer("a"), false, 0).unwrap();
        let mut scaled = made.clone();
        scaled["spec"]["replicas"] = json!(5);
        let by_hand = Writer { manager: "hand".into(), operation: Operation::Update, status: false };
        note_update(Some(&made), &mut scaled, &by_hand, "apps/v1", 0);
        let refused =
            apply(Some(&scaled), &config(&json!({"replicas": 1})), &writer("a"), false, 0).unwrap_err();
        assert_eq!((refused[0].manager.as_str(), refused[0].field.as_str()), ("hand", ".spec.replicas"));
        // Leaving a field to its new owner is no removal.
        let left = apply(Some(&scaled), &config(&json!({"paused": true})), &writer("a"), false, 0).unwrap();
        assert_eq!(left["spec"], json!({"replicas": 5, "paused": true}));
    }

    #[test]
    fn trees_go_there_and_back() {
        let object = config(&json!({
            "template": {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}], "args": ["x"]}]}},
            "selector": {"matchLabels": {"app": "a"}},
        }));
        let set = fields_of(&object, false);
        let mut back = Set::new();
        from_tree(&tree(&set), &mut Vec::new(), &mut back);
        assert_eq!(set, back);
        assert!(set.contains(&vec!["f:spec".to_owned(), "f:selector".to_owned()]));
    }
}
