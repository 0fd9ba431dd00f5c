//! Values and types as Terraform's console writes them.

use groma_types::{Type, Value, ValueKind};

/// A value; sensitive parts are hidden.
pub(crate) fn value(value: &Value) -> String {
    at(value, 0)
}

fn at(value: &Value, indent: usize) -> String {
    if value.marks().sensitive {
        return "(sensitive value)".into();
    }
    if value.marks().ephemeral {
        return "(ephemeral value)".into();
    }
    match value.kind() {
        ValueKind::Null(ty) => null(ty),
        ValueKind::Unknown(_) => "(known after apply)".into(),
        ValueKind::Bool(b) => b.to_string(),
        ValueKind::Number(n) => n.to_string(),
        ValueKind::String(text) if text.contains('\n') => heredoc(text, indent),
        ValueKind::String(text) => quoted(text),
        ValueKind::List(_, items) => format!("tolist({})", sequence(items, indent)),
        ValueKind::Set(_, items) => format!("toset({})", sequence(items, indent)),
        ValueKind::Tuple(items) => sequence(items, indent),
        ValueKind::Map(_, entries) => format!("tomap({})", mapping(entries.iter(), indent)),
        ValueKind::Object(entries) => mapping(entries.iter(), indent),
    }
}

fn null(ty: &Type) -> String {
    match ty {
        Type::Dynamic => "null".into(),
        Type::String => "tostring(null)".into(),
        Type::Number => "tonumber(null)".into(),
        Type::Bool => "tobool(null)".into(),
        Type::List(element) => format!("tolist(null) /* of {} */", element.friendly()),
        Type::Set(element) => format!("toset(null) /* of {} */", element.friendly()),
        Type::Map(element) => format!("tomap(null) /* of {} */", element.friendly()),
        Type::Tuple(_) | Type::Object(_) => format!("null /* {} */", ty.friendly()),
    }
}

fn sequence(items: &[Value], indent: usize) -> String {
    let pad = " ".repeat(indent + 2);
    let lines: String = items.iter().map(|item| format!("{pad}{},\n", at(item, indent + 2))).collect();
    if lines.is_empty() { "[]".into() } else { format!("[\n{lines}{:indent$}]", "") }
}

fn mapping<'v, K: AsRef<str> + 'v>(
    entries: impl Iterator<Item = (&'v K, &'v Value)>,
    indent: usize,
) -> String {
    let pad = " ".repeat(indent + 2);
    let line =
        |(key, value): (&K, &Value)| format!("{pad}{} = {}\n", quoted(key.as_ref()), at(value, indent + 2));
    let lines: String = entries.map(line).collect();
    if lines.is_empty() { "{}".into() } else { format!("{{\n{lines}{:indent$}}}", "") }
}

/// A marker that no line of the text is.
fn heredoc(text: &str, indent: usize) -> String {
    let text = super::text::clean(text);
    let mut marker = String::from("EOT");
    while text.split('\n').any(|line| line.trim() == marker) {
        marker.push('_');
    }
    let operator = if indent > 0 { "<<-" } else { "<<" };
    let lines: String = text.split('\n').map(|line| format!("{:indent$}{line}\n", "")).collect();
    format!("{operator}{marker}\n{lines}{:indent$}{marker}", "")
}

/// As Go quotes it, which is how Terraform writes strings here.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if super::text::is_harmful(c) || c.is_whitespace() && c != ' ' || c == '\u{200b}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What `type(…)` tells.
pub(crate) fn ty(ty: &Type) -> String {
    type_at(ty, 0)
}

fn type_at(ty: &Type, indent: usize) -> String {
    let inner = indent + 4;
    match ty {
        Type::Dynamic => "dynamic".into(),
        Type::Bool => "bool".into(),
        Type::Number => "number".into(),
        Type::String => "string".into(),
        Type::List(element) => format!("list({})", element_of(element, indent)),
        Type::Set(element) => format!("set({})", element_of(element, indent)),
        Type::Map(element) => format!("map({})", element_of(element, indent)),
        Type::Tuple(items) if items.is_empty() => "tuple([])".into(),
        Type::Tuple(items) => {
            let lines: String =
                items.iter().map(|item| format!("{:inner$}{},\n", "", type_at(item, inner))).collect();
            format!("tuple([\n{lines}{:indent$}])", "")
        }
        Type::Object(object) if object.attrs.is_empty() => "object({})".into(),
        Type::Object(object) => {
            let line = |(name, ty): (&std::sync::Arc<str>, &Type)| {
                format!("{:inner$}{}: {},\n", "", super::text::clean(name), type_at(ty, inner))
            };
            let lines: String = object.attrs.iter().map(line).collect();
            format!("object({{\n{lines}{:indent$}}})", "")
        }
    }
}

/// An element with parts stands in lines of its own.
fn element_of(element: &Type, indent: usize) -> String {
    if !matches!(element, Type::Tuple(_) | Type::Object(_)) {
        return type_at(element, indent);
    }
    let inner = indent + 4;
    format!("\n{:inner$}{},\n{:indent$}", "", type_at(element, inner), "")
}
