//! The order of the elements of a set: Terraform's, which is part of what `tolist` and `for` give.
//!
//! Primitive elements are in their natural order. Others are in the order of a text of each, in which a null
//! is `~` and an unknown is `?`.

use crate::number::Number;
use crate::ty::Type;
use crate::value::{Value, ValueKind};
use std::fmt::Write;

/// Sorts elements of a set of `element`; equal ones end up side by side.
pub(crate) fn sort(element: &Type, elements: &mut [Value]) {
    if element.is_primitive() {
        return elements.sort();
    }
    elements.sort_by_cached_key(|value| (rank(value), text(value), value.clone()));
}

/// What is known comes first, nulls last.
fn rank(value: &Value) -> u8 {
    match value.kind() {
        ValueKind::Null(_) => 2,
        ValueKind::Unknown(_) => 1,
        _ => 0,
    }
}

fn text(value: &Value) -> String {
    let mut out = String::new();
    write_text(&mut out, value);
    out
}

fn write_text(out: &mut String, value: &Value) {
    match value.kind() {
        ValueKind::Null(_) => out.push('~'),
        ValueKind::Unknown(_) => out.push('?'),
        ValueKind::Bool(true) => out.push('T'),
        ValueKind::Bool(false) => out.push('F'),
        ValueKind::Number(n) => out.push_str(&ten_digits(n)),
        ValueKind::String(s) => write_quoted(out, s),
        ValueKind::List(_, items) | ValueKind::Set(_, items) => write_all(out, ['[', ']'], items.iter()),
        ValueKind::Tuple(items) => write_all(out, ['<', '>'], items.iter()),
        ValueKind::Object(attrs) => write_all(out, ['<', '>'], attrs.values()),
        ValueKind::Map(_, attrs) => {
            out.push('{');
            for (key, item) in attrs.iter() {
                write_quoted(out, key);
                out.push(':');
                write_text(out, item);
                out.push(';');
            }
            out.push('}');
        }
    }
}

/// A number with ten digits, with an exponent where it is very large or small.
fn ten_digits(n: &Number) -> String {
    let scientific = format!("{:.9e}", n.to_f64());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let digits = i64::try_from(mantissa.bytes().filter(u8::is_ascii_digit).count()).unwrap_or(10);
    let limit = if digits > exponent { digits } else { 10 };
    if (-4..limit).contains(&exponent) {
        let places = usize::try_from(digits - 1 - exponent).unwrap_or(0);
        return format!("{:.places$}", n.to_f64());
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn write_all<'a>(out: &mut String, around: [char; 2], items: impl Iterator<Item = &'a Value>) {
    out.push(around[0]);
    for item in items {
        write_text(out, item);
        out.push(';');
    }
    out.push(around[1]);
}

/// Quotes come first in the order, then what stands behind a backslash.
fn write_quoted(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
