//! Prints an expression as text that reads back to an equal one: one line, parentheses only where needed.

use crate::ast::{Binary, For, Id, Kind, Unary};
use crate::expr::Expr;
use crate::lexer::is_ident;
use crate::parser::deep;
use groma_types::{Value, ValueKind};
use std::fmt::Write;

/// How tightly the place holds an expression: a looser one is put in parentheses.
const LOOSE: u8 = 0;
const UNARY: u8 = 7;
const TERM: u8 = 8;

pub(crate) fn print(expr: &Expr) -> String {
    let mut out = String::new();
    write_expr(&mut out, expr, LOOSE);
    out
}

fn tightness(kind: &Kind) -> u8 {
    match kind {
        Kind::Conditional(..) => LOOSE,
        Kind::Binary(op, ..) => op.precedence(),
        Kind::Unary(..) => UNARY,
        Kind::Literal(v) if v.as_number().is_some_and(|n| n.is_negative()) => UNARY,
        _ => TERM,
    }
}

/// Text that [`crate::parser::parse_template`] reads back to an equal expression, if it is a string or a template.
pub(crate) fn template(expr: &Expr) -> Option<String> {
    match expr.kind() {
        Kind::Embedded(inner) => return template(inner),
        Kind::Literal(value) if value.as_str().is_some() => {
            let mut out = String::new();
            let text = value.as_str().unwrap_or_default();
            // Only before `${` is a dollar at the end in doubt.
            if text.ends_with(['$', '%']) {
                escape_bare(&mut out, &text[..text.len() - 1]);
                out.push_str(&text[text.len() - 1..]);
            } else {
                escape_bare(&mut out, text);
            }
            return Some(out);
        }
        Kind::Template(_) | Kind::TemplateIf(..) | Kind::TemplateFor(_) => {}
        _ => return None,
    }
    let mut out = String::new();
    deep(|| write_template(&mut out, expr, escape_bare));
    Some(out)
}

fn write_expr(out: &mut String, expr: &Expr, hold: u8) {
    if let Kind::Embedded(inner) = expr.kind() {
        return write_expr(out, inner, hold);
    }
    let open = tightness(expr.kind()) < hold;
    if open {
        out.push('(');
    }
    deep(|| write_kind(out, expr));
    if open {
        out.push(')');
    }
}

fn write_kind(out: &mut String, expr: &Expr) {
    let sub = |out: &mut String, id: Id, hold: u8| write_expr(out, &expr.at(id), hold);
    match expr.kind() {
        Kind::Literal(value) => write_value(out, value),
        Kind::Root(name) => out.push_str(name),
        // The printer of the splat writes what is over the hole.
        Kind::Hole | Kind::Embedded(_) => {}
        Kind::Attr(base, name) => {
            write_base(out, expr, *base);
            let _ = write!(out, ".{name}");
        }
        Kind::Index(base, key) => {
            write_base(out, expr, *base);
            out.push('[');
            sub(out, *key, LOOSE);
            out.push(']');
        }
        Kind::Splat { source, each, full } => {
            write_base(out, expr, *source);
            out.push_str(if *full { "[*]" } else { ".*" });
            sub(out, *each, LOOSE);
        }
        Kind::Unary(op, operand) => {
            out.push(if *op == Unary::Not { '!' } else { '-' });
            // `-(1)` is an operation, `-1` a number.
            let negative = matches!(expr.at(*operand).kind(), Kind::Literal(v) if v.as_number().is_some());
            sub(out, *operand, if negative && *op == Unary::Neg { TERM + 1 } else { UNARY });
        }
        Kind::Binary(op, a, b) => write_binary(out, expr, *op, *a, *b),
        Kind::Conditional(a, b, c) => {
            sub(out, *a, LOOSE + 1);
            out.push_str(" ? ");
            sub(out, *b, LOOSE);
            out.push_str(" : ");
            sub(out, *c, LOOSE);
        }
        Kind::Tuple(items) => {
            out.push('[');
            list(out, items, |out, id| sub(out, *id, LOOSE));
            out.push(']');
        }
        Kind::Object(items) | Kind::Mapping(items) => {
            out.push('{');
            list(out, items, |out, (key, value)| {
                write_key(out, &expr.at(*key));
                out.push_str(" = ");
                sub(out, *value, LOOSE);
            });
            out.push('}');
        }
        Kind::BareKey(key) => sub(out, *key, LOOSE),
        Kind::For(f) => write_for(out, expr, f),
        Kind::Call(call) => {
            out.push_str(&call.name);
            out.push('(');
            list(out, &call.args, |out, id| sub(out, *id, LOOSE));
            out.push_str(if call.expand { "...)" } else { ")" });
        }
        Kind::Template(_) | Kind::TemplateIf(..) | Kind::TemplateFor(_) => {
            out.push('"');
            write_template(out, expr, escape);
            out.push('"');
        }
    }
}

fn list<T>(out: &mut String, items: &[T], mut each: impl FnMut(&mut String, &T)) {
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { ", " });
        each(out, item);
    }
}

/// The left side of `.name`, `[key]` or a splat.
fn write_base(out: &mut String, expr: &Expr, base: Id) {
    let base = expr.at(base);
    // After a splat an index or attribute would belong to the elements, after a number `.` to the number.
    let closed = match base.kind() {
        Kind::Splat { .. } => true,
        Kind::Literal(v) => !matches!(v.kind(), ValueKind::String(_)),
        _ => false,
    };
    write_expr(out, &base, if closed { TERM + 1 } else { TERM });
}

fn write_binary(out: &mut String, expr: &Expr, op: Binary, a: Id, b: Id) {
    // The left spine of a long chain is walked in a loop.
    let mut spine = vec![(op, b)];
    let mut left = a;
    while let Kind::Binary(inner, x, y) = expr.at(left).kind() {
        if inner.precedence() < spine[spine.len() - 1].0.precedence() {
            break;
        }
        spine.push((*inner, *y));
        left = *x;
    }
    let last = spine[spine.len() - 1].0;
    write_expr(out, &expr.at(left), last.precedence());
    for (op, right) in spine.into_iter().rev() {
        let _ = write!(out, " {} ", op.symbol());
        write_expr(out, &expr.at(right), op.precedence() + 1);
    }
}

fn write_for(out: &mut String, expr: &Expr, f: &For) {
    out.push_str(if f.key.is_some() { "{for " } else { "[for " });
    write_intro(out, expr, f);
    out.push_str(" : ");
    if let Some(key) = f.key {
        write_expr(out, &expr.at(key), LOOSE);
        out.push_str(" => ");
    }
    write_expr(out, &expr.at(f.value), LOOSE);
    if f.group {
        out.push_str("...");
    }
    if let Some(condition) = f.condition {
        out.push_str(" if ");
        write_expr(out, &expr.at(condition), LOOSE);
    }
    out.push(if f.key.is_some() { '}' } else { ']' });
}

fn write_intro(out: &mut String, expr: &Expr, f: &For) {
    if let Some(key) = &f.key_var {
        let _ = write!(out, "{key}, ");
    }
    let _ = write!(out, "{} in ", f.value_var);
    write_expr(out, &expr.at(f.source), LOOSE);
}

fn write_key(out: &mut String, key: &Expr) {
    match key.as_literal().and_then(Value::as_str) {
        Some(name) if is_ident(name) && name != "for" => out.push_str(name),
        Some(name) => {
            out.push('"');
            escape(out, name);
            out.push('"');
        }
        None if matches!(key.kind(), Kind::BareKey(_)) => write_expr(out, key, LOOSE),
        None => {
            out.push('(');
            write_expr(out, key, LOOSE);
            out.push(')');
        }
    }
}

/// The inside of a quoted template.
fn write_template(out: &mut String, expr: &Expr, escape: fn(&mut String, &str)) {
    match expr.kind() {
        Kind::Template(parts) => {
            if parts.first().is_some_and(|p| is_empty(&expr.at(*p))) {
                // Keeps a single interpolation a string.
                out.push_str("${\"\"}");
            }
            for part in parts.iter().map(|p| expr.at(*p)) {
                match part.kind() {
                    // A template inside an interpolation is a string of its own.
                    Kind::Template(_) => {
                        out.push_str("${");
                        write_expr(out, &part, LOOSE);
                        out.push('}');
                    }
                    _ => write_template(out, &part, escape),
                }
            }
        }
        Kind::Literal(value) if value.as_str().is_some() => {
            escape(out, value.as_str().unwrap_or_default());
        }
        Kind::TemplateIf(condition, then, otherwise) => {
            out.push_str("%{ if ");
            write_expr(out, &expr.at(*condition), LOOSE);
            out.push_str(" }");
            write_template(out, &expr.at(*then), escape);
            if !is_empty(&expr.at(*otherwise)) {
                out.push_str("%{ else }");
                write_template(out, &expr.at(*otherwise), escape);
            }
            out.push_str("%{ endif }");
        }
        Kind::TemplateFor(f) => {
            out.push_str("%{ for ");
            write_intro(out, expr, f);
            out.push_str(" }");
            write_template(out, &expr.at(f.value), escape);
            out.push_str("%{ endfor }");
        }
        Kind::Embedded(inner) => write_template(out, inner, escape),
        _ => {
            out.push_str("${");
            write_expr(out, expr, LOOSE);
            out.push('}');
        }
    }
}

fn is_empty(expr: &Expr) -> bool {
    expr.as_literal().and_then(Value::as_str) == Some("")
}

fn escape(out: &mut String, text: &str) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' | '%' if chars.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            // A dollar at the very end could meet the `${` of the next part.
            '$' | '%' if chars.peek().is_none() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// The same for a text that stands without quotes, as a template of YAML.
fn escape_bare(out: &mut String, text: &str) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('$' | '%', Some('{')) => out.extend([c, c]),
            ('$' | '%', None) => {
                let _ = write!(out, "${{\"{c}\"}}");
            }
            _ => out.push(c),
        }
    }
}

/// Writes a value as an expression that gives it. Typed collections become calls of conversion functions.
pub(crate) fn write_value(out: &mut String, value: &Value) {
    match value.kind() {
        ValueKind::Null(_) | ValueKind::Unknown(_) => out.push_str("null"),
        ValueKind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        ValueKind::Number(n) => {
            let _ = write!(out, "{n}");
        }
        ValueKind::String(s) => {
            out.push('"');
            escape(out, s);
            out.push('"');
        }
        ValueKind::List(_, items) => write_items(out, "tolist([", items, "])"),
        ValueKind::Set(_, items) => write_items(out, "toset([", items, "])"),
        ValueKind::Tuple(items) => write_items(out, "[", items, "]"),
        ValueKind::Map(_, attrs) | ValueKind::Object(attrs) => {
            let map = matches!(value.kind(), ValueKind::Map(..));
            out.push_str(if map { "tomap({" } else { "{" });
            let attrs: Vec<_> = attrs.iter().collect();
            list(out, &attrs, |out, (key, value)| {
                out.push('"');
                escape(out, key);
                out.push_str("\" = ");
                write_value(out, value);
            });
            out.push_str(if map { "})" } else { "}" });
        }
    }
}

fn write_items(out: &mut String, open: &str, items: &[Value], close: &str) {
    out.push_str(open);
    list(out, items, write_value);
    out.push_str(close);
}
