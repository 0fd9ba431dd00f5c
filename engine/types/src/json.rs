//! Values to and from JSON trees, for the edges: APIs, state files, `-json` output.

use crate::number::Number;
use crate::ty::Type;
use crate::value::{Value, ValueKind};
use serde_json::{Map, Value as Json};

/// Returns the value as JSON; unknown parts become null. Marks are not looked at: redact before you show.
pub fn to_json(value: &Value) -> Json {
    match value.kind() {
        ValueKind::Null(_) | ValueKind::Unknown(_) => Json::Null,
        ValueKind::Bool(b) => Json::Bool(*b),
        ValueKind::Number(n) => number_to_json(n),
        ValueKind::String(s) => Json::String(s.to_string()),
        ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => {
            Json::Array(vs.iter().map(to_json).collect())
        }
        ValueKind::Map(_, vs) | ValueKind::Object(vs) => {
            Json::Object(vs.iter().map(|(k, v)| (k.to_string(), to_json(v))).collect())
        }
    }
}

fn number_to_json(n: &Number) -> Json {
    if let Some(i) = n.to_i64() {
        return i.into();
    }
    if let Some(u) = n.to_u64() {
        return u.into();
    }
    serde_json::Number::from_f64(n.to_f64()).map_or(Json::Null, Json::Number)
}

/// Returns the value as JSON text with its numbers as exact as they are: a tree keeps 64 bits of them. Unknown parts
/// become null, and marks are not looked at.
pub fn to_text(value: &Value, pretty: bool) -> String {
    let mut out = String::new();
    write(&mut out, value, pretty.then_some(0));
    out
}

/// `depth`: how far lines are indented; `None`: all on one line.
fn write(out: &mut String, value: &Value, depth: Option<usize>) {
    match value.kind() {
        ValueKind::Number(n) if !n.is_infinite() => out.push_str(&n.to_string()),
        ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) if !vs.is_empty() => {
            wrap(out, ['[', ']'], depth, vs.iter(), write);
        }
        ValueKind::Map(_, vs) | ValueKind::Object(vs) if !vs.is_empty() => {
            wrap(out, ['{', '}'], depth, vs.iter(), |out, (key, v), depth| {
                out.push_str(&Json::from(&**key).to_string());
                out.push_str(if depth.is_some() { ": " } else { ":" });
                write(out, v, depth);
            });
        }
        _ => out.push_str(&to_json(value).to_string()),
    }
}

fn wrap<T>(
    out: &mut String,
    [open, close]: [char; 2],
    depth: Option<usize>,
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(&mut String, T, Option<usize>),
) {
    let line = |out: &mut String, depth: Option<usize>| {
        if let Some(depth) = depth {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    let inner = depth.map(|d| d + 1);
    out.push(open);
    for (i, item) in items.enumerate() {
        out.push_str(if i == 0 { "" } else { "," });
        line(out, inner);
        each(out, item, inner);
    }
    line(out, depth);
    out.push(close);
}

/// Returns the value of the type that the JSON implies: objects and tuples, as `jsondecode` gives.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::NULL,
        Json::Bool(b) => Value::bool(*b),
        Json::Number(n) => Number::parse(&n.to_string()).map_or(Value::NULL, Value::number),
        Json::String(s) => Value::string(s.as_str()),
        Json::Array(vs) => Value::tuple(vs.iter().map(from_json).collect()),
        Json::Object(vs) => Value::object(vs.iter().map(|(k, v)| (k.as_str(), from_json(v)))),
    }
}

/// Returns the type in Terraform's JSON form: `"string"`, `["list","string"]`, `["object",{…}]`.
pub fn type_to_json(ty: &Type) -> Json {
    let pair = |word: &str, inner: Json| Json::Array(vec![word.into(), inner]);
    match ty {
        Type::Dynamic => "dynamic".into(),
        Type::Bool => "bool".into(),
        Type::Number => "number".into(),
        Type::String => "string".into(),
        Type::List(e) => pair("list", type_to_json(e)),
        Type::Set(e) => pair("set", type_to_json(e)),
        Type::Map(e) => pair("map", type_to_json(e)),
        Type::Tuple(es) => pair("tuple", Json::Array(es.iter().map(type_to_json).collect())),
        Type::Object(o) => {
            let attrs: Map<String, Json> =
                o.attrs.iter().map(|(k, t)| (k.to_string(), type_to_json(t))).collect();
            let mut out = vec!["object".into(), Json::Object(attrs)];
            if !o.optional.is_empty() {
                out.push(Json::Array(o.optional.iter().map(|k| k.to_string().into()).collect()));
            }
            Json::Array(out)
        }
    }
}

/// Reads a type in Terraform's JSON form; `None` if it is not one.
pub fn type_from_json(json: &Json) -> Option<Type> {
    if let Some(word) = json.as_str() {
        return match word {
            "dynamic" => Some(Type::Dynamic),
            "bool" => Some(Type::Bool),
            "number" => Some(Type::Number),
            "string" => Some(Type::String),
            _ => None,
        };
    }
    let parts = json.as_array()?;
    let inner = parts.get(1)?;
    match parts.first()?.as_str()? {
        "list" => Some(Type::list(type_from_json(inner)?)),
        "set" => Some(Type::set(type_from_json(inner)?)),
        "map" => Some(Type::map(type_from_json(inner)?)),
        "tuple" => {
            Some(Type::tuple(inner.as_array()?.iter().map(type_from_json).collect::<Option<Vec<_>>>()?))
        }
        "object" => {
            let attrs = inner.as_object()?.iter();
            let attrs =
                attrs.map(|(k, t)| Some((k.as_str().into(), type_from_json(t)?))).collect::<Option<_>>()?;
            let optional = parts.get(2).and_then(Json::as_array).into_iter().flatten();
            let optional = optional.filter_map(Json::as_str).map(Into::into).collect();
            Some(Type::Object(crate::ty::ObjectType { attrs, optional }.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_numbers_whole() {
        let big = Number::parse("12345678901234567890123").unwrap();
        let small = Number::parse("0.1234567890123456789012345").unwrap();
        let value = Value::object([
            ("n", Value::tuple(vec![Value::number(big), Value::number(small), Value::NULL])),
            ("s \"", Value::string("a\nb")),
            ("z", Value::tuple(Vec::new())),
        ]);
        assert_eq!(
            to_text(&value, false),
            r#"{"n":[12345678901234567890123,0.1234567890123456789012345,null],"s \"":"a\nb","z":[]}"#
        );
        let pretty = "{\n  \"n\": [\n    12345678901234567890123,\n    0.1234567890123456789012345,\n    null\n  ],\n  \
                      \"s \\\"\": \"a\\nb\",\n  \"z\": []\n}";
        assert_eq!(to_text(&value, true), pretty);
    }
}
