//! Values, and the difference of two values, line by line.
//!
//! A block that is a list with one element is shown as that element, as users write it.

use super::style::{Paint, Style};
use super::text::{self, quote};
use groma_types::{Address, AttrPath, Cause, Causes, NameMap, Step, Value, ValueKind};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which symbol a line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Add,
    Change,
    Remove,
}

/// How a change's values are shown.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) style: Style,
    /// Places that the schema calls sensitive.
    pub(crate) hidden: &'a [AttrPath],
    /// Places that force the replacement.
    pub(crate) forcing: &'a [AttrPath],
    /// The address whose values these are: what it waits for itself is `known after apply`.
    pub(crate) own: &'a str,
}

/// One line: depth, symbol, text.
type Lines = Vec<(usize, Sign, String)>;

/// The lines of a difference, indented, without the last line break.
pub(crate) fn diff(
    before: Option<&Value>,
    after: Option<&Value>,
    shown: &Shown<'_>,
    indent: usize,
) -> String {
    let empty = Value::object::<&str>([]);
    let (lines, hidden) = lines(before.unwrap_or(&empty), after.unwrap_or(&empty), shown);
    let symbol = |sign| match sign {
        Sign::Add => shown.style.paint(Paint::Green, "+"),
        Sign::Change => shown.style.paint(Paint::Yellow, "~"),
        Sign::Remove => shown.style.paint(Paint::Red, "-"),
    };
    let line = |(depth, sign, text): &(usize, Sign, String)| {
        format!("{}{} {text}", " ".repeat(indent + depth * 4), symbol(*sign))
    };
    let mut out: Vec<String> = lines.iter().map(line).collect();
    if hidden > 0 {
        let note = format!("# ({} unchanged)", text::count(hidden, "attribute"));
        out.push(format!("{}{}", " ".repeat(indent + 2), shown.style.paint(Paint::Dim, &note)));
    }
    out.join("\n")
}

/// The lines of a value that stays as it is.
pub(crate) fn whole(value: &Value, shown: &Shown<'_>, indent: usize) -> String {
    let (lines, _) = lines(&Value::object::<&str>([]), value, shown);
    let line = |(depth, _, text): &(usize, Sign, String)| format!("{}{text}", " ".repeat(indent + depth * 4));
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The lines of a difference, and how many attributes have none.
fn lines(before: &Value, after: &Value, shown: &Shown<'_>) -> (Lines, usize) {
    let (mut lines, mut hidden) = (Lines::new(), 0);
    fields(&mut lines, before, after, &AttrPath::root(), 0, shown, &mut hidden);
    (lines, hidden)
}

fn fields_of(value: &Value) -> Option<&NameMap<Value>> {
    match value.kind() {
        ValueKind::Object(fields) | ValueKind::Map(_, fields) => Some(fields),
        _ => None,
    }
}

fn fields(
    lines: &mut Lines,
    before: &Value,
    after: &Value,
    at: &AttrPath,
    depth: usize,
    shown: &Shown<'_>,
    hidden: &mut usize,
) {
    let none = NameMap::new();
    let (old, new) = (fields_of(before).unwrap_or(&none), fields_of(after).unwrap_or(&none));
    let is_map = matches!(after.kind(), ValueKind::Map(..)) || matches!(before.kind(), ValueKind::Map(..));
    let names: BTreeSet<&Arc<str>> = old.keys().chain(new.keys()).collect();
    for name in names {
        let step = if is_map { Step::Key(name.clone()) } else { Step::Attr(name.clone()) };
        let label = if is_plain(name) { name.to_string() } else { quote(name) };
        let (old, new) = (old.get(name).unwrap_or(&Value::NULL), new.get(name).unwrap_or(&Value::NULL));
        field(lines, &label, old, new, &at.with(step), depth, shown, hidden);
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
}

/// The only element of a list of objects: a block that is there once.
fn only_block(value: &Value) -> Option<&Value> {
    match value.kind() {
        ValueKind::List(_, vs) | ValueKind::Tuple(vs) | ValueKind::Set(_, vs) if vs.len() == 1 => {
            fields_of(&vs[0]).map(|_| &vs[0])
        }
        _ => None,
    }
}

fn is_absent(value: &Value) -> bool {
    value.is_null() || value.as_seq().is_some_and(<[Value]>::is_empty)
}

#[expect(clippy::too_many_arguments, reason = "one step of a recursion over two trees and their place")]
fn field(
    lines: &mut Lines,
    label: &str,
    old: &Value,
    new: &Value,
    at: &AttrPath,
    depth: usize,
    shown: &Shown<'_>,
    hidden: &mut usize,
) {
    if is_absent(old) && is_absent(new) {
        return;
    }
    if old == new {
        *hidden += 1;
        return;
    }
    let sign = sign(old, new);
    let forces = shown.forcing.iter().any(|p| p == at || drop_block_index(p) == drop_block_index(at));
    let note = if forces { shown.style.paint(Paint::Red, "  # forces replacement") } else { String::new() };
    let is_hidden = |v: &Value| v.marks().sensitive || shown.hidden.iter().any(|p| at.starts_with(p));
    if is_hidden(old) || is_hidden(new) {
        lines.push((depth, sign, format!("{label}: (sensitive value){note}")));
        return;
    }
    let block = |v: &Value, other: &Value| match only_block(v) {
        Some(inner) => Some(inner.clone()),
        None if is_absent(v) && only_block(other).is_some() => Some(Value::NULL),
        None => None,
    };
    if let (Some(old), Some(new)) = (block(old, new), block(new, old)) {
        lines.push((depth, sign, format!("{label}:{note}")));
        fields(lines, &old, &new, &at.index(0), depth + 1, shown, hidden);
    } else if (fields_of(old).is_some() || is_absent(old)) && (fields_of(new).is_some() || is_absent(new)) {
        lines.push((depth, sign, format!("{label}:{note}")));
        fields(lines, old, new, at, depth + 1, shown, hidden);
    } else if has_seq(old) || has_seq(new) {
        sequence(lines, label, old, new, at, depth, shown, hidden, &note);
    } else {
        scalar(lines, label, old, new, depth, shown, &note);
    }
}

/// A path without the index of blocks that are there once, as the schema names places.
fn drop_block_index(path: &AttrPath) -> Vec<&Step> {
    path.0.iter().filter(|s| !matches!(s, Step::Index(0))).collect()
}

fn sign(old: &Value, new: &Value) -> Sign {
    match (is_absent(old), is_absent(new)) {
        (true, _) => Sign::Add,
        (false, true) => Sign::Remove,
        (false, false) => Sign::Change,
    }
}

fn has_seq(value: &Value) -> bool {
    value.as_seq().is_some()
}

fn scalar(
    lines: &mut Lines,
    label: &str,
    old: &Value,
    new: &Value,
    depth: usize,
    shown: &Shown<'_>,
    note: &str,
) {
    if let (Some(a), Some(b)) = (as_document(old), as_document(new)) {
        // A policy or another document in a string: shown by structure, not as one long line.
        lines.push((depth, sign(old, new), format!("{label}: (JSON){note}")));
        let inner = Shown { hidden: &[], forcing: &[], ..*shown };
        let mut unchanged = 0;
        fields(lines, &a, &b, &AttrPath::root(), depth + 1, &inner, &mut unchanged);
        return;
    }
    let text = match sign(old, new) {
        Sign::Add => leaf(new, shown),
        Sign::Remove => leaf(old, shown),
        Sign::Change => format!("{} -> {}", leaf(old, shown), leaf(new, shown)),
    };
    lines.push((depth, sign(old, new), format!("{label}: {text}{note}")));
}

/// Both sides must be documents or absent.
fn as_document(value: &Value) -> Option<Value> {
    if is_absent(value) {
        return Some(Value::NULL);
    }
    let text = value.as_str()?;
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    json.is_object().then(|| groma_types::json::from_json(&json))
}

#[expect(clippy::too_many_arguments, reason = "one step of a recursion over two trees and their place")]
fn sequence(
    lines: &mut Lines,
    label: &str,
    old: &Value,
    new: &Value,
    at: &AttrPath,
    depth: usize,
    shown: &Shown<'_>,
    hidden: &mut usize,
    note: &str,
) {
    let (a, b) = (old.as_seq().unwrap_or(&[]), new.as_seq().unwrap_or(&[]));
    if old.as_unknown().is_some() || new.as_unknown().is_some() {
        return scalar(lines, label, old, new, depth, shown, note);
    }
    let simple = |vs: &[Value]| vs.iter().all(|v| fields_of(v).is_none() && !has_seq(v));
    if simple(a) && simple(b) && (is_absent(old) || is_absent(new)) {
        let texts: Vec<String> = a.iter().chain(b).map(|v| leaf(v, shown)).collect();
        lines.push((depth, sign(old, new), format!("{label}: [{}]{note}", texts.join(", "))));
        return;
    }
    lines.push((depth, sign(old, new), format!("{label}:{note}")));
    if simple(a) && simple(b) {
        for (sign, value) in edits(a, b) {
            lines.push((depth + 1, sign, leaf(value, shown)));
        }
        return;
    }
    for i in 0..a.len().max(b.len()) {
        let (old, new) = (a.get(i).unwrap_or(&Value::NULL), b.get(i).unwrap_or(&Value::NULL));
        field(lines, &format!("[{i}]"), old, new, &at.index(i), depth + 1, shown, hidden);
    }
}

/// What goes and what comes, kept elements left out, in the order of the lists.
fn edits<'a>(a: &'a [Value], b: &'a [Value]) -> Vec<(Sign, &'a Value)> {
    let mut longest = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = match a[i] == b[j] {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < a.len() && (j == b.len() || longest[i + 1][j] >= longest[i][j + 1]) {
            out.push((Sign::Remove, &a[i]));
            i += 1;
        } else {
            out.push((Sign::Add, &b[j]));
            j += 1;
        }
    }
    out
}

/// A value on one line.
fn leaf(value: &Value, shown: &Shown<'_>) -> String {
    if value.marks().sensitive {
        return "(sensitive value)".into();
    }
    if let Some(unknown) = value.as_unknown() {
        return format!("(known after {})", awaited(&unknown.causes, shown.own));
    }
    inline(value)
}

/// A known value on one line; sensitive parts hidden.
pub(crate) fn inline(value: &Value) -> String {
    if value.marks().sensitive {
        return "(sensitive value)".into();
    }
    match value.kind() {
        ValueKind::Null(_) => "null".into(),
        ValueKind::Unknown(_) => "(unknown)".into(),
        ValueKind::Bool(b) => b.to_string(),
        ValueKind::Number(n) => n.to_string(),
        ValueKind::String(s) => quote(s),
        ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => {
            format!("[{}]", vs.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        ValueKind::Map(_, vs) | ValueKind::Object(vs) => {
            let pair = |(k, v): (&Arc<str>, &Value)| {
                let name = if is_plain(k) { k.to_string() } else { quote(k) };
                format!("{name}: {}", inline(v))
            };
            format!("{{{}}}", vs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// What is waited for, in words; `apply` where it is the object itself.
pub(crate) fn awaited(causes: &Causes, own: &str) -> String {
    let names: BTreeSet<String> = causes
        .iter()
        .filter_map(|cause| match cause {
            Cause::Node(Address::Instance(a)) if a.to_string() == own => None,
            Cause::Node(address) => Some(address.to_string()),
            Cause::Function(name) => Some(format!("{name}() runs")),
        })
        .collect();
    if names.is_empty() {
        return "apply".into();
    }
    text::listing(&names.into_iter().collect::<Vec<_>>())
}

/// The value as JSON with sensitive and unknown parts null.
pub(crate) fn redacted_json(value: &Value) -> serde_json::Value {
    let bare = value.map_deep(&mut |v| if v.marks().sensitive { Value::NULL } else { v });
    groma_types::json::to_json(&bare)
}

#[cfg(test)]
mod tests {
    use super::{Shown, Style, diff};
    use groma_types::{AttrPath, Marks, Type, Value};

    fn check(before: Option<&Value>, after: Option<&Value>, forcing: &[AttrPath], expected: &str) {
        let shown = Shown { style: Style::PLAIN, hidden: &[], forcing, own: "x.y" };
        let text = diff(before, after, &shown, 2);
        assert_eq!(text, expected.trim_start_matches('\n').trim_end());
    }

    fn list(values: &[&str]) -> Value {
        Value::list(Type::String, values.iter().map(|v| Value::string(*v)).collect())
    }

    #[test]
    fn a_creation_lists_what_is_set() {
        let value = Value::object([
            ("id", Value::unknown(Type::String)),
            ("name", Value::string("a")),
            ("tags", Value::null(Type::map(Type::String))),
            ("spec", Value::tuple(vec![Value::object([("replicas", Value::number(2_i64))])])),
            ("zones", list(&["a", "b"])),
        ]);
        check(
            None,
            Some(&value),
            &[],
            r#"
  + id: (known after apply)
  + name: "a"
  + spec:
      + replicas: 2
  + zones: ["a", "b"]
"#,
        );
    }

    #[test]
    fn a_change_shows_what_differs_and_counts_the_rest() {
        let of = |image: &str, zones: &[&str]| {
            Value::object([
                ("image", Value::string(image)),
                ("kept", Value::bool(true)),
                ("token", Value::string(image).mark(Marks::SENSITIVE)),
                ("zones", list(zones)),
            ])
        };
        check(
            Some(&of("v1", &["a", "b", "c"])),
            Some(&of("v2", &["a", "c", "d"])),
            &[AttrPath::root().attr("image")],
            r#"
  ~ image: "v1" -> "v2"  # forces replacement
  ~ token: (sensitive value)
  ~ zones:
      - "b"
      + "d"
    # (1 attribute unchanged)
"#,
        );
    }

    #[test]
    fn a_document_in_a_string_is_compared_by_structure() {
        let of = |action: &str| {
            Value::object([(
                "policy",
                Value::string(format!("{{\"Version\":\"1\",\"Action\":\"{action}\"}}")),
            )])
        };
        check(
            Some(&of("a")),
            Some(&of("b")),
            &[],
            r#"
  ~ policy: (JSON)
      ~ Action: "a" -> "b"
"#,
        );
    }
}
