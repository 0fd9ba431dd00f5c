//! Root outputs.

use super::value::inline;
use groma_engine::state::OutputValue;
use groma_types::json::{from_json, to_json, to_text, type_to_json};
use groma_types::{Value, ValueKind};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Outputs = BTreeMap<Arc<str>, OutputValue>;

/// `name = value` lines; sensitive ones hidden.
pub(crate) fn lines(outputs: &Outputs) -> String {
    let width = outputs.keys().map(|k| k.chars().count()).max().unwrap_or(0);
    let line = |(name, output): (&Arc<str>, &OutputValue)| {
        let value = if output.sensitive { "<sensitive>".to_string() } else { inline(&output.value) };
        format!("{name:width$} = {value}\n")
    };
    outputs.iter().map(line).collect()
}

/// The block at the end of an apply.
pub(crate) fn block(outputs: &Outputs) -> String {
    if outputs.is_empty() { String::new() } else { format!("\nOutputs:\n\n{}", lines(outputs)) }
}

/// Terraform's shape of `output -json`: sensitive values are there, since the user asked.
pub(crate) fn all_as_json(outputs: &Outputs) -> String {
    let one = |(name, output): (&Arc<str>, &OutputValue)| {
        let value = Value::object([
            ("sensitive", Value::bool(output.sensitive)),
            ("type", from_json(&type_to_json(&output.value.ty()))),
            ("value", output.value.clone()),
        ]);
        (name.clone(), value)
    };
    to_text(&Value::object(outputs.iter().map(one)), true)
}

/// The same for the event stream, where sensitive values are left out.
pub(crate) fn for_events(outputs: &Outputs) -> Json {
    let one = |(name, output): (&Arc<str>, &OutputValue)| {
        let mut json = json!({ "sensitive": output.sensitive, "type": type_to_json(&output.value.ty()) });
        if !output.sensitive {
            json["value"] = to_json(&output.value);
        }
        (name.to_string(), json)
    };
    Json::Object(outputs.iter().map(one).collect())
}

/// The bare text of a string, number or boolean; `None` for anything else.
pub(crate) fn raw(value: &Value) -> Option<String> {
    match value.kind() {
        ValueKind::String(s) => Some(s.to_string()),
        ValueKind::Number(n) => Some(n.to_string()),
        ValueKind::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}
