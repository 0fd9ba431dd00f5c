//! Patches: JSON merge patch, strategic merge patch, JSON patch.

use super::apply::{ListKind, list_kind};
use serde_json::{Value, json};

/// RFC 7386.
pub(super) fn merge(into: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let Some(object) = into.as_object_mut() else { return };
    for (name, value) in members {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// A merge in which lists with keys are merged by these keys.
pub(super) fn strategic(into: &mut Value, patch: &Value) {
    strategic_at(into, patch, &mut Vec::new());
}

fn strategic_at(into: &mut Value, patch: &Value, path: &mut Vec<String>) {
    match patch {
        Value::Object(members) => {
            if !into.is_object() || members.get("$patch") == Some(&json!("replace")) {
                *into = json!({});
            }
            for (name, value) in members {
                if name.starts_with('$') {
                    continue;
                }
                let Some(object) = into.as_object_mut() else { return };
                if value.is_null() {
                    object.remove(name);
                    continue;
                }
                path.push(name.clone());
                strategic_at(object.entry(name.clone()).or_insert(Value::Null), value, path);
                path.pop();
            }
        }
        Value::Array(items) => match list_kind(path) {
            ListKind::Map(keys) => strategic_list(into, items, keys[0], path),
            ListKind::Set | ListKind::Atomic => *into = patch.clone(),
        },
        _ => *into = patch.clone(),
    }
}

/// Strategic merge knows one key a list, the first of those of server-side apply.
fn strategic_list(into: &mut Value, items: &[Value], key: &str, path: &mut Vec<String>) {
    let mut rows = into.as_array().cloned().unwrap_or_default();
    for item in items {
        let at = rows.iter().position(|row| row[key] == item[key]);
        match (at, item["$patch"] == "delete") {
            (Some(at), true) => {
                rows.remove(at);
            }
            (Some(at), false) => strategic_at(&mut rows[at], item, path),
            (None, true) => {}
            (None, false) => rows.push(item.clone()),
        }
    }
    *into = rows.into();
}

/// RFC 6902.
pub(super) fn json_patch(object: &mut Value, patch: &Value) -> Result<(), String> {
    for step in patch.as_array().ok_or("a JSON patch is an array")? {
        let path = step["path"].as_str().ok_or("a step has no path")?;
        let value = step["value"].clone();
        match step["op"].as_str().unwrap_or_default() {
            "add" => add(object, path, value)?,
            "remove" => drop(take(object, path)?),
            "replace" => {
                let at = object.pointer_mut(path).ok_or_else(|| missing(path))?;
                *at = value;
            }
            "test" if object.pointer(path) != Some(&value) => {
                return Err(format!("testing value {path} failed"));
            }
            "test" => {}
            "move" => {
                let from = step["from"].as_str().ok_or("a move has no from")?;
                let value = take(object, from)?;
                add(object, path, value)?;
            }
            "copy" => {
                let from = step["from"].as_str().ok_or("a copy has no from")?;
                let value = object.pointer(from).cloned().ok_or_else(|| missing(from))?;
                add(object, path, value)?;
            }
            other => return Err(format!("unknown operation {other}")),
        }
    }
    Ok(())
}

fn missing(path: &str) -> String {
    format!("there is nothing at {path}")
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (parent, last) = split(path).ok_or_else(|| missing(path))?;
    match object.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.insert(last, value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let at = if last == "-" { Some(items.len()) } else { last.parse().ok() };
            let at = at.filter(|at| *at <= items.len()).ok_or_else(|| missing(path))?;
            items.insert(at, value);
            Ok(())
        }
        _ => Err(missing(parent)),
    }
}

fn take(object: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, last) = split(path).ok_or_else(|| missing(path))?;
    let found = match object.pointer_mut(parent) {
        Some(Value::Object(members)) => members.remove(&last),
        Some(Value::Array(items)) => {
            last.parse().ok().filter(|at: &usize| *at < items.len()).map(|at| items.remove(at))
        }
        _ => None,
    };
    found.ok_or_else(|| missing(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches() {
        let old = json!({"a": {"b": 1, "c": 2}, "l": [1, 2]});
        let mut new = old.clone();
        merge(&mut new, &json!({"a": {"b": null, "d": 3}, "l": [3]}));
        assert_eq!(new, json!({"a": {"c": 2, "d": 3}, "l": [3]}));
        let mut new = old;
        let steps = json!([
            {"op": "test", "path": "/a/b", "value": 1}, {"op": "add", "path": "/l/-", "value": 3},
            {"op": "remove", "path": "/a/c"}, {"op": "replace", "path": "/a/b", "value": 5},
        ]);
        json_patch(&mut new, &steps).unwrap();
        assert_eq!(new, json!({"a": {"b": 5}, "l": [1, 2, 3]}));
        assert!(json_patch(&mut new, &json!([{"op": "remove", "path": "/x/y"}])).is_err());
    }

    #[test]
    fn strategic_merge_goes_by_keys() {
        let mut new = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}}}});
        strategic(
            &mut new,
            &json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "y"}, {"name": "b", "$patch": "delete"}]}}}}),
        );
        assert_eq!(new["spec"]["template"]["spec"]["containers"], json!([{"name": "a", "image": "y"}]));
    }
}
