//! Blocks for objects that no block declares, as `-generate-config-out` writes them.
//!
//! What only the provider sets is left out, and so is what the schema would set by itself; what is secret stands as null with
//! a remark. Which of two arguments that exclude each other stays is the caller's to find out: the provider knows.

use super::convert::{From, convert};
use groma_lang::format::format_native;
use groma_types::schema::{Attribute, Block, Presence};
use groma_types::{Diagnostics, SourceId, Value, ValueKind};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// A syntax that a draft is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Native,
    Json,
    Yaml,
}

/// A resource block of the root module.
#[derive(Clone, Debug)]
pub struct Draft {
    pub kind: Arc<str>,
    pub name: Arc<str>,
    /// As it is written: `aws.eu`. `None`: the kind's own.
    pub provider: Option<Arc<str>>,
    /// What the provider calls the object.
    pub id: Arc<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Argument { name: Arc<str>, value: Value, remark: Option<&'static str> },
    Block { name: Arc<str>, parts: Vec<Part> },
}

/// What a block for an object would set: its value with null for all that stays unwritten.
pub fn arguments(schema: &Block, seen: &Value) -> Value {
    let chosen = chosen(schema, seen);
    // Most kinds have an id that could be set and never is.
    match schema.attrs.get("id").is_some_and(|id| id.presence == Presence::OptionalComputed) {
        true => chosen.with_attr("id", Value::NULL),
        false => chosen,
    }
}

fn chosen(schema: &Block, seen: &Value) -> Value {
    let value = |name: &Arc<str>| seen.get(name).cloned().unwrap_or(Value::NULL);
    let attrs = schema.attrs.iter().map(|(name, attr)| {
        let value = value(name);
        let is_left_out = attr.presence == Presence::Computed
            || attr.write_only
            || attr.deprecated.is_some()
            || is_secret(attr, &value)
            || attr.default.as_ref() == Some(&value);
        (name.clone(), if is_left_out { Value::null(attr.ty.clone()) } else { value })
    });
    let blocks = schema.blocks.iter().map(|(name, nested)| {
        let inside = |value: &Value| chosen(&nested.block, value);
        let value = value(name);
        let value = match value.kind() {
            ValueKind::List(_, items) => Value::list(nested.block.ty(), items.iter().map(inside).collect()),
            ValueKind::Set(_, items) => Value::set(nested.block.ty(), items.iter().map(inside).collect()),
            ValueKind::Object(_) => inside(&value),
            _ => value,
        };
        (name.clone(), value)
    });
    Value::object(attrs.chain(blocks).collect::<Vec<_>>())
}

fn is_secret(attr: &Attribute, value: &Value) -> bool {
    attr.sensitive || value.deep_marks().sensitive
}

impl Draft {
    /// A block with these of an object's arguments.
    pub fn new(
        (kind, name): (Arc<str>, Arc<str>),
        provider: Option<Arc<str>>,
        id: Arc<str>,
        schema: &Block,
        (arguments, seen): (&Value, &Value),
    ) -> Draft {
        Draft { kind, name, provider, id, parts: parts(schema, arguments, seen) }
    }
}

fn parts(schema: &Block, arguments: &Value, seen: &Value) -> Vec<Part> {
    let mut all = Vec::new();
    for (name, attr) in &schema.attrs {
        let value = arguments.get(name).cloned().unwrap_or(Value::NULL);
        let there = seen.get(name).filter(|v| !v.is_null());
        let remark = match attr.presence {
            Presence::Computed => None,
            _ if attr.write_only => Some("write-only"),
            _ => there.is_some_and(|v| is_secret(attr, v)).then_some("sensitive"),
        };
        if !value.is_null() || remark.is_some() {
            all.push(Part::Argument { name: name.clone(), value, remark });
        }
    }
    for (name, nested) in &schema.blocks {
        let of = |value: &Value| value.get(name).map(elements).unwrap_or_default();
        let (written, seen) = (of(arguments), of(seen));
        for (i, element) in written.iter().enumerate() {
            let seen = seen.get(i).unwrap_or(element);
            all.push(Part::Block { name: name.clone(), parts: parts(&nested.block, element, seen) });
        }
        // One that must be there and says nothing was not told by the API.
        let missing = nested.min.saturating_sub(written.len());
        all.extend((0..missing).map(|_| Part::Block { name: name.clone(), parts: Vec::new() }));
    }
    all
}

/// The blocks that a value stands for.
fn elements(value: &Value) -> Vec<Value> {
    match value.kind() {
        ValueKind::Object(_) => vec![value.clone()],
        _ => value.as_seq().unwrap_or_default().to_vec(),
    }
}

/// Writes the blocks as a file of their own.
///
/// # Errors
/// Something has no form in the syntax.
pub fn write(syntax: Syntax, drafts: &[Draft]) -> Result<String, Diagnostics> {
    match syntax {
        Syntax::Native => Ok(native(drafts)),
        Syntax::Yaml => convert(From::Native, SourceId(0), &native(drafts)),
        Syntax::Json => Ok(format!("{:#}\n", json(drafts))),
    }
}

const HEAD: &str =
    "Generated by groma from objects that are imported: review it, and move it to where it belongs.";

fn native(drafts: &[Draft]) -> String {
    let mut out = format!("# {HEAD}\n");
    for draft in drafts {
        let id: String = draft.id.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        out.push_str(&format!("\n# {id}\nresource \"{}\" \"{}\" {{\n", draft.kind, draft.name));
        if let Some(provider) = &draft.provider {
            out.push_str(&format!("provider = {provider}\n"));
        }
        native_parts(&draft.parts, &mut out);
        out.push_str("}\n");
    }
    format_native(&out)
}

fn native_parts(parts: &[Part], out: &mut String) {
    for part in parts {
        match part {
            Part::Argument { name, value, remark } => {
                let remark = remark.map(|r| format!(" # {r}")).unwrap_or_default();
                out.push_str(&format!("{name} = {}{remark}\n", literal(value)));
            }
            Part::Block { name, parts } => {
                out.push_str(&format!("{name} {{\n"));
                native_parts(parts, out);
                out.push_str("}\n");
            }
        }
    }
}

/// A value as an expression that is it.
fn literal(value: &Value) -> String {
    match value.kind() {
        ValueKind::Null(_) | ValueKind::Unknown(_) => "null".into(),
        ValueKind::Bool(b) => b.to_string(),
        ValueKind::Number(n) => n.to_string(),
        ValueKind::String(text) => quoted(text),
        ValueKind::List(_, items) | ValueKind::Set(_, items) | ValueKind::Tuple(items) => {
            format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", "))
        }
        ValueKind::Map(_, entries) | ValueKind::Object(entries) => {
            let line = |(key, value): (&Arc<str>, &Value)| format!("{} = {}\n", key_of(key), literal(value));
            let lines: String = entries.iter().filter(|(_, v)| !v.is_null()).map(line).collect();
            if lines.is_empty() { "{}".into() } else { format!("{{\n{lines}}}") }
        }
    }
}

/// A key; what is plainly a name stands bare.
fn key_of(text: &str) -> String {
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && !matches!(text, "for" | "true" | "false" | "null");
    if is_name { text.to_string() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in escaped(text).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text in which nothing begins a template.
fn escaped(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

fn json(drafts: &[Draft]) -> Json {
    let mut kinds = Map::new();
    for draft in drafts {
        let mut body = Map::new();
        if let Some(provider) = &draft.provider {
            body.insert("provider".into(), provider.as_ref().into());
        }
        json_parts(&draft.parts, &mut body);
        let kind = kinds.entry(draft.kind.to_string()).or_insert_with(|| Json::Object(Map::new()));
        if let Json::Object(names) = kind {
            names.insert(draft.name.to_string(), Json::Object(body));
        }
    }
    serde_json::json!({ "//": HEAD, "resource": kinds })
}

fn json_parts(parts: &[Part], body: &mut Map<String, Json>) {
    let mut remarks = Vec::new();
    for part in parts {
        match part {
            Part::Argument { name, value, remark } => {
                remarks.extend(remark.map(|r| format!("{name} is {r}")));
                body.insert(name.to_string(), json_value(value));
            }
            Part::Block { name, parts } => {
                let mut inside = Map::new();
                json_parts(parts, &mut inside);
                let all = body.entry(name.to_string()).or_insert_with(|| Json::Array(Vec::new()));
                if let Json::Array(all) = all {
                    all.push(Json::Object(inside));
                }
            }
        }
    }
    if !remarks.is_empty() {
        body.insert("//".into(), remarks.join(", ").into());
    }
}

fn json_value(value: &Value) -> Json {
    match value.kind() {
        ValueKind::String(text) => escaped(text).into(),
        ValueKind::List(_, items) | ValueKind::Set(_, items) | ValueKind::Tuple(items) => {
            items.iter().map(json_value).collect()
        }
        ValueKind::Map(_, entries) | ValueKind::Object(entries) => {
            let entry = |(key, value): (&Arc<str>, &Value)| (escaped(key), json_value(value));
            Json::Object(entries.iter().filter(|(_, v)| !v.is_null()).map(entry).collect())
        }
        _ => groma_types::json::to_json(value),
    }
}

#[cfg(test)]
mod tests {
    use super::{Draft, Syntax, arguments, write};
    use groma_types::schema::{Attribute, Block, NestedBlock, Nesting};
    use groma_types::{Type, Value};

    fn schema() -> Block {
        let inside = Block::new("").attr("port", Attribute::required(Type::Number, ""));
        Block::new("")
            .attr("id", Attribute::optional_computed(Type::String, ""))
            .attr("name", Attribute::required(Type::String, ""))
            .attr("size", Attribute::optional(Type::Number, "").default(Value::number(1_i64)))
            .attr("word", Attribute::optional(Type::String, "").sensitive())
            .attr("tags", Attribute::optional(Type::map(Type::String), ""))
            .block("rule", NestedBlock::new(Nesting::List, inside))
    }

    #[test]
    fn a_draft_says_what_a_user_would() {
        let rule = |port: i64| Value::object([("port", Value::number(port))]);
        let seen = Value::object([
            ("id", Value::string("x")),
            ("name", Value::string("a${b}\n")),
            ("size", Value::number(1_i64)),
            ("word", Value::string("canary")),
            ("tags", Value::map(Type::String, [("a b", Value::string("c"))])),
            ("rule", Value::list(rule(1).ty(), vec![rule(80), rule(443)])),
        ]);
        let schema = schema();
        let of = |provider: Option<&str>| {
            let names = ("sim_x".into(), "main".into());
            let chosen = arguments(&schema, &seen);
            Draft::new(names, provider.map(Into::into), "x/1".into(), &schema, (&chosen, &seen))
        };
        let head = "# Generated by groma from objects that are imported: review it, and move it to where it belongs.\n";
        let native = "\n# x/1\nresource \"sim_x\" \"main\" {\n  provider = sim.eu\n  name     = \"a$${b}\\n\"\n  tags = {\n    \"a b\" = \"c\"\n  }\n  \
                      word = null # sensitive\n  rule {\n    port = 80\n  }\n  rule {\n    port = 443\n  }\n}\n";
        assert_eq!(write(Syntax::Native, &[of(Some("sim.eu"))]), Ok(format!("{head}{native}")));
        let yaml = write(Syntax::Yaml, &[of(None)]).expect("YAML");
        assert!(yaml.contains("      word: null # sensitive\n      rule:\n        - port: 80\n"), "{yaml}");
        let json = write(Syntax::Json, &[of(None)]).expect("JSON");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(
            json["resource"]["sim_x"]["main"],
            serde_json::json!({"//": "word is sensitive", "name": "a$${b}\n", "tags": {"a b": "c"}, "word": null,
                "rule": [{"port": 80}, {"port": 443}]})
        );
    }
}
