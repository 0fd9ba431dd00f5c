//! JSON to values and back, with numbers of any size.

use super::{Outcome, fail, text};
use crate::eval::FunctionHost;
use crate::unknown::{Heritage, never_null};
use groma_types::{Number, Type, Value, ValueKind};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Levels of arrays and objects inside each other.
const DEPTH_MAX: usize = 1000;

/// The first character is known of containers whatever is in them.
pub(super) fn jsonencode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::deep(args);
    if !args[0].is_wholly_known() {
        let ty = args[0].ty();
        let first = match &ty {
            _ if !never_null(&args[0]) => "",
            Type::List(_) | Type::Set(_) | Type::Tuple(_) => "[",
            Type::Map(_) | Type::Object(_) => "{",
            _ => "",
        };
        return Ok(heritage.prefixed(first));
    }
    let mut out = String::new();
    if !write_json(&mut out, &args[0]) {
        return fail("cannot serialize infinity as JSON");
    }
    Ok(heritage.known(out))
}

/// Returns false if an infinite number was met.
pub(super) fn write_json(out: &mut String, value: &Value) -> bool {
    match value.kind() {
        ValueKind::Null(_) | ValueKind::Unknown(_) => out.push_str("null"),
        ValueKind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        ValueKind::Number(n) => {
            let _ = write!(out, "{n}");
            return !n.is_infinite();
        }
        ValueKind::String(s) => write_string(out, s),
        ValueKind::List(_, items) | ValueKind::Set(_, items) | ValueKind::Tuple(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                if !write_json(out, item) {
                    return false;
                }
            }
            out.push(']');
        }
        ValueKind::Map(_, attrs) | ValueKind::Object(attrs) => {
            out.push('{');
            for (i, (key, item)) in attrs.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                write_string(out, key);
                out.push(':');
                if !write_json(out, item) {
                    return false;
                }
            }
            out.push('}');
        }
    }
    true
}

/// Escapes what could end a script element as well, as Go does.
fn write_string(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..'\u{20}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

pub(super) fn jsondecode(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let mut reader = Reader { text: text(args, 0), at: 0 };
    let parsed = reader.value(0).and_then(|v| {
        reader.blank();
        if reader.at == reader.text.len() {
            Ok(v)
        } else {
            Err(reader.bad("unexpected text after the value"))
        }
    });
    parsed.or_else(fail)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn bad(&self, why: &str) -> String {
        format!("not JSON: {why} at byte {}", self.at)
    }

    fn blank(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn eat(&mut self, word: &str) -> bool {
        self.blank();
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(self.bad("nested too deeply"));
        }
        self.blank();
        match self.rest().bytes().next() {
            Some(b'{') => crate::parser::deep(|| self.object(depth)),
            Some(b'[') => crate::parser::deep(|| self.array(depth)),
            Some(b'"') => Ok(Value::string(self.string()?)),
            Some(b't') if self.eat("true") => Ok(Value::bool(true)),
            Some(b'f') if self.eat("false") => Ok(Value::bool(false)),
            Some(b'n') if self.eat("null") => Ok(Value::NULL),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.bad("a value is expected")),
        }
    }

    fn number(&mut self) -> Result<Value, String> {
        let rest = self.rest();
        let len = rest.find(|c: char| !"+-.eE0123456789".contains(c)).unwrap_or(rest.len());
        let digits = rest[..len].trim_start_matches('-');
        let zero_led = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        match Number::parse(&rest[..len]) {
            Ok(n) if !zero_led => {
                self.at += len;
                Ok(Value::number(n))
            }
            _ => Err(self.bad("this is not a number")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut items = Vec::new();
        if self.eat("]") {
            return Ok(Value::tuple(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat("]") {
                return Ok(Value::tuple(items));
            }
            if !self.eat(",") {
                return Err(self.bad("',' or ']' is expected"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut attrs: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        if self.eat("}") {
            return Ok(Value::object(attrs));
        }
        loop {
            self.blank();
            if !self.rest().starts_with('"') {
                return Err(self.bad("a key in quotes is expected"));
            }
            let key = self.string()?;
            if !self.eat(":") {
                return Err(self.bad("':' is expected"));
            }
            attrs.insert(key.into(), self.value(depth + 1)?);
            if self.eat("}") {
                return Ok(Value::object(attrs));
            }
            if !self.eat(",") {
                return Err(self.bad("',' or '}' is expected"));
            }
        }
    }

    /// The grammar of strings is left to the JSON crate; here only the closing quote is found.
    fn string(&mut self) -> Result<String, String> {
        let rest = self.rest().as_bytes();
        let mut end = 1;
        while let Some(b) = rest.get(end) {
            match b {
                b'\\' => end += 2,
                b'"' => break,
                _ => end += 1,
            }
        }
        let literal =
            self.text.get(self.at..self.at + end + 1).ok_or_else(|| self.bad("a string is not closed"))?;
        let parsed = serde_json::from_str(literal)
            .or_else(|error| serde_json::from_str(&whole_surrogates(literal).ok_or(error)?))
            .map_err(|_: serde_json::Error| self.bad("a string is malformed"))?;
        self.at += end + 1;
        Ok(parsed)
    }
}

/// Writes halves of surrogate pairs that stand alone as replacement characters, which they mean.
fn whole_surrogates(literal: &str) -> Option<String> {
    let unit = |at: usize| {
        let digits = literal.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok().filter(|u| (0xd800..0xe000).contains(u))
    };
    let mut out = String::with_capacity(literal.len());
    let mut at = 0;
    let mut found = false;
    while let Some(c) = literal[at..].chars().next() {
        match (unit(at), unit(at + 6)) {
            (Some(high), Some(low)) if high < 0xdc00 && low >= 0xdc00 => {
                out.push_str(&literal[at..at + 12]);
                at += 12;
            }
            (Some(_), _) => {
                out.push('\u{fffd}');
                found = true;
                at += 6;
            }
            (None, _) if c == '\\' => {
                let len = 1 + literal[at + 1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&literal[at..at + len]);
                at += len;
            }
            (None, _) => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    found.then_some(out)
}
