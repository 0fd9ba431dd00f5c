//! YAML to values and back, as Terraform's functions have it: booleans of YAML 1.1 (`yes`, `on`, `y`),
//! timestamps as text, the last of duplicate keys, everything quoted when written.

use super::{Outcome, fail, text};
use crate::eval::FunctionHost;
use granit_parser::{Event, Parser, ScalarStyle, StrInput, Tag};
use groma_types::{NameMap, Number, Value, ValueKind};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// Nodes that aliases may unfold to.
const NODES_MAX: usize = 1_000_000;
const DEPTH_MAX: usize = 250;

pub(super) fn yamldecode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if text(args, 0).starts_with("%YAML") && !text(args, 0).starts_with("%YAML 1.1") {
        return fail("found incompatible YAML document");
    }
    if text(args, 0).trim_start_matches('\n').starts_with('\t') {
        return fail("found a tab where indentation is expected");
    }
    let mut reader = Reader::new(text(args, 0), false);
    reader.document().or_else(fail)
}

/// The documents of a YAML text, as programs of the Kubernetes world read it: integers with a leading zero are octal.
///
/// # Errors
/// The text is no YAML: why.
pub fn documents(text: &str) -> Result<Vec<Value>, String> {
    let mut reader = Reader::new(text, true);
    let mut found = Vec::new();
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(found),
            Event::DocumentStart(..) => {
                reader.anchors.clear();
                if let Node::Value(value) = reader.node(0)? {
                    found.push(value);
                }
            }
            _ => {}
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Value>,
    nodes: usize,
    /// `0644` is a number to the base eight, and `1_000` a number.
    octal: bool,
    /// Where the event that was read last lies.
    at: Range<usize>,
}

/// An integer as YAML 1.1 has it and as decimals do not read.
fn old_integer(content: &str) -> Option<Value> {
    let (sign, digits) = match content.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", content.strip_prefix('+').unwrap_or(content)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let bare = digits.replace('_', "");
    let (base, rest) = match bare.as_str() {
        "0" => return None,
        d if d.starts_with("0b") => (2, &d[2..]),
        d if d.starts_with("0x") => (16, &d[2..]),
        d if d.starts_with("0o") => (8, &d[2..]),
        d if d.starts_with('0') => (8, &d[1..]),
        d if digits.contains('_') => (10, d),
        _ => return None,
    };
    let value = u64::from_str_radix(rest, base).ok()?;
    Number::parse(&format!("{sign}{value}")).ok().map(Value::number)
}

/// A node, or the end of the collection around it.
enum Node {
    Value(Value),
    End,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, octal: bool) -> Reader<'a> {
        let events = Parser::new_from_str(text);
        Reader { text, events, anchors: HashMap::new(), nodes: 0, octal, at: 0..0 }
    }

    fn next(&mut self) -> Result<Event<'a>, String> {
        loop {
            match self.events.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    self.at = span.byte_range().unwrap_or(0..0);
                    return Ok(event);
                }
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the text ends too early".into()),
            }
        }
    }

    fn document(&mut self) -> Result<Value, String> {
        loop {
            match self.next()? {
                Event::StreamStart => {}
                Event::DocumentStart(..) => break,
                Event::StreamEnd => return Err("missing start of document".into()),
                _ => return Err("missing start of document".into()),
            }
        }
        let Node::Value(value) = self.node(0)? else { return Err("missing start of document".into()) };
        loop {
            match self.next()? {
                Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(value),
                _ => return Err("unexpected extra content after value".into()),
            }
        }
    }

    /// A block that the end of the text cuts off has no line break at its end, and a slash is not escaped.
    fn as_terraform_reads<'c>(&self, content: &'c str, style: ScalarStyle) -> Result<&'c str, String> {
        let written = self.text.get(self.at.clone()).unwrap_or_default();
        match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let cut_off = self.at.end >= self.text.len() && !self.text.ends_with(['\n', '\r']);
                Ok(if cut_off { content.strip_suffix('\n').unwrap_or(content) } else { content })
            }
            ScalarStyle::DoubleQuoted if escapes_slash(written) => {
                Err("found unknown escape character".into())
            }
            _ => Ok(content),
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, String> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Err("the document is too deep or too large".into());
        }
        let (anchor, value) = match self.next()? {
            Event::Scalar(content, style, anchor, tag) => {
                let name = tag_name(tag.as_deref())?;
                let content = self.as_terraform_reads(&content, style)?;
                let plain = style == ScalarStyle::Plain;
                let old = (self.octal && plain && name.is_none()).then(|| old_integer(content)).flatten();
                let value = match old {
                    Some(number) => number,
                    None => scalar(content, plain, name.as_deref())?,
                };
                (anchor, value)
            }
            Event::SequenceStart(_, anchor, tag) => {
                expect_tag(tag.as_deref(), "seq")?;
                let mut items = Vec::new();
                while let Node::Value(item) = self.node(depth + 1)? {
                    items.push(item);
                }
                (anchor, Value::tuple(items))
            }
            Event::MappingStart(_, anchor, tag) => {
                expect_tag(tag.as_deref(), "map")?;
                (anchor, self.mapping(depth)?)
            }
            Event::Alias(id) => {
                let value = self.anchors.get(&id).cloned().ok_or("unknown anchor")?;
                value.walk(&mut |_| self.nodes += 1);
                return Ok(Node::Value(value));
            }
            Event::SequenceEnd | Event::MappingEnd | Event::DocumentEnd => return Ok(Node::End),
            _ => return Err("this part of YAML is not supported".into()),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(Node::Value(value))
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let mut attrs: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        let mut merged: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        while let Node::Value(key) = self.node(depth + 1)? {
            let Node::Value(value) = self.node(depth + 1)? else { return Err("a key has no value".into()) };
            let key = groma_types::convert::convert(&key, &groma_types::Type::String)
                .ok()
                .and_then(|k| k.as_str().map(Arc::<str>::from))
                .ok_or("only string keys are allowed")?;
            if &*key == "<<" {
                let sources = value.as_seq().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
                for source in sources {
                    let Some(more) = source.as_map() else {
                        return Err("only mappings can be merged".into());
                    };
                    more.iter().for_each(|(k, v)| {
                        merged.entry(k.clone()).or_insert_with(|| v.clone());
                    });
                }
            } else {
                attrs.insert(key, value);
            }
        }
        merged.extend(attrs);
        Ok(Value::object(merged))
    }
}

/// The name of a tag of YAML's own; tags of others have no meaning here.
fn tag_name(tag: Option<&Tag>) -> Result<Option<String>, String> {
    let Some(tag) = tag else { return Ok(None) };
    let whole = tag.to_string();
    match tag.core_suffix().or_else(|| whole.strip_prefix("tag:yaml.org,2002:")) {
        Some("binary") => Ok(Some("str".into())),
        Some("timestamp") => Ok(None),
        Some(name) => Ok(Some(name.to_string())),
        None if tag.suffix() == "!" || tag.suffix().is_empty() => Ok(Some("str".into())),
        None => Err(format!("unsupported tag {whole:?}")),
    }
}

fn escapes_slash(written: &str) -> bool {
    let mut bytes = written.bytes();
    while let Some(b) = bytes.next() {
        if b == b'\\' && bytes.next() == Some(b'/') {
            return true;
        }
    }
    false
}

fn expect_tag(tag: Option<&Tag>, name: &str) -> Result<(), String> {
    match tag_name(tag)? {
        Some(other) if other != name => Err(format!("can't interpret this as !!{other}")),
        _ => Ok(()),
    }
}

fn scalar(content: &str, plain: bool, tag: Option<&str>) -> Result<Value, String> {
    match tag {
        Some("str") => return Ok(content.into()),
        Some("int" | "float" | "bool") if !plain => return Ok(content.into()),
        Some("int" | "float") => {
            return number(content).map(Value::number).ok_or_else(|| format!("{content:?} is not a number"));
        }
        Some("bool") => {
            return boolean(content).map(Value::bool).ok_or_else(|| format!("{content:?} is not a bool"));
        }
        Some("null") => return Ok(Value::NULL),
        _ if !plain => return Ok(content.into()),
        _ => {}
    }
    if matches!(content, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Value::NULL);
    }
    if let Some(b) = boolean(content) {
        return Ok(Value::bool(b));
    }
    if matches!(content, ".nan" | ".NaN" | ".NAN") {
        return Err("floating point NaN is not supported".into());
    }
    if let Some(n) = number(content) {
        return Ok(Value::number(n));
    }
    let hex = content.strip_prefix("0x").filter(|d| d.len() > 16 && d.bytes().all(|b| b.is_ascii_hexdigit()));
    if hex.is_some() {
        return Err(format!("cannot parse {content:?} as an integer"));
    }
    Ok(super::dates::from_yaml(content).unwrap_or_else(|| content.to_string()).into())
}

fn boolean(content: &str) -> Option<bool> {
    match content {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number(content: &str) -> Option<Number> {
    match content.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" => return Some(Number::infinity(false)),
        "-.inf" => return Some(Number::infinity(true)),
        _ => {}
    }
    let (sign, digits) = match content.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", content.strip_prefix('+').unwrap_or(content)),
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = content.strip_prefix(prefix) {
            let value = u64::from_str_radix(digits, radix).ok()?;
            return Number::parse(&value.to_string()).ok();
        }
    }
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit()) || digits.starts_with('.');
    let padded = match digits.strip_prefix('.') {
        Some(fraction) => format!("0.{fraction}"),
        None => digits.replacen(".e", "e", 1).trim_end_matches('.').to_string(),
    };
    Number::parse(&format!("{sign}{padded}")).ok().filter(|_| numeric)
}

pub(super) fn yamlencode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let mut out = String::new();
    let value = &args[0];
    match value.kind() {
        ValueKind::String(s) => {
            write_string(&mut out, s, 0);
            out.push('\n');
        }
        ValueKind::Null(_) | ValueKind::Bool(_) | ValueKind::Number(_) => {
            write_plain(&mut out, value);
            out.push_str("\n...\n");
        }
        _ => write_block(&mut out, value, 0, true),
    }
    Ok(out.into())
}

fn write_plain(out: &mut String, value: &Value) {
    let _ = match value.kind() {
        ValueKind::Bool(b) => write!(out, "{b}"),
        ValueKind::Number(n) if n.is_infinite() => {
            write!(out, "{n}")
        }
        ValueKind::Number(n) => write!(out, "{n}"),
        _ => write!(out, "null"),
    };
}

fn is_empty(value: &Value) -> bool {
    value.as_seq().is_some_and(<[Value]>::is_empty) || value.as_map().is_some_and(NameMap::is_empty)
}

/// Writes a collection; `fresh` says that the cursor stands at its first line already.
fn write_block(out: &mut String, value: &Value, indent: usize, fresh: bool) {
    let mut fresh = fresh;
    let mut start = |out: &mut String| {
        if !std::mem::take(&mut fresh) {
            out.push_str(&" ".repeat(indent));
        }
    };
    if is_empty(value) {
        out.push_str(if value.as_map().is_some() { "{}\n" } else { "[]\n" });
    } else if let Some(items) = value.as_seq() {
        for item in items {
            start(out);
            out.push_str("- ");
            write_child(out, item, indent + 2, true);
        }
    } else {
        for (key, item) in value.as_map().into_iter().flatten() {
            start(out);
            write_quoted(out, key);
            out.push(':');
            write_child(out, item, indent, false);
        }
    }
}

/// Writes what follows `- ` or `key:`.
fn write_child(out: &mut String, item: &Value, indent: usize, in_sequence: bool) {
    let nested = (item.as_seq().is_some() || item.as_map().is_some()) && !is_empty(item);
    if nested && in_sequence {
        return write_block(out, item, indent, true);
    }
    if nested {
        out.push('\n');
        // A sequence stands under its key, a mapping is indented.
        let deeper = if item.as_seq().is_some() { indent } else { indent + 2 };
        return write_block(out, item, deeper, false);
    }
    if !in_sequence {
        out.push(' ');
    }
    match item.kind() {
        ValueKind::String(s) => {
            write_string(out, s, if in_sequence { indent.saturating_sub(2) } else { indent });
            out.push('\n');
        }
        _ if is_empty(item) => write_block(out, item, indent, true),
        _ => {
            write_plain(out, item);
            out.push('\n');
        }
    }
}

/// Several lines become a literal block where that keeps them, everything else is quoted.
fn write_string(out: &mut String, s: &str, indent: usize) {
    let odd = |c: char| c != '\n' && (c.is_control() || c == '\u{feff}' || c > '\u{ffff}');
    if !s.contains('\n') || s.contains(" \n") || s.ends_with(' ') || s.contains(odd) {
        return write_quoted(out, s);
    }
    let body = s.trim_end_matches('\n');
    let hint = if s.starts_with([' ', '\n']) { "2" } else { "" };
    let chomp = match s.len() - body.len() {
        0 => "-",
        1 if !body.is_empty() => "",
        _ => "+",
    };
    let _ = write!(out, "|{hint}{chomp}");
    let lines = s.strip_suffix('\n').unwrap_or(s);
    for line in lines.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent + 2));
            out.push_str(line);
        }
    }
}

fn write_quoted(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            '\u{feff}' => out.push_str("\\uFEFF"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02X}", u32::from(c));
            }
            c if c > '\u{ffff}' => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
