//! Texts in YAML, JSON and native syntax as one tree whose keys and values know their place.
//!
//! Duty: read a text exactly as the language page says and nothing more: no kind of block and no schema is known here.
//! A number or boolean of YAML and JSON keeps its text, so that what a place wants decides what it is; a string there is
//! a template. A value of native syntax is an expression. What native syntax knows more than the others (argument, block
//! or label) is told by each key's [`Form`]; the shape of the tree is the one that JSON would have.
//!
//! Invariants: keys of a mapping are unique; every span lies in the text that was given; the offset map of a
//! scalar's text leads back to the bytes it was written with.

mod align;
mod json;
mod native;
mod traps;
mod yaml;

#[cfg(test)]
mod tests;

pub use json::parse_json;
pub use native::{native_comments, parse_native};
pub(crate) use yaml::options as yaml_options;
pub use yaml::parse_yaml;

use crate::expr::Expr;
use crate::text::Text;
use groma_types::{Diagnostics, Span, ValueKind};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// A value as written.
#[derive(Clone, Debug)]
pub struct Node {
    pub span: Span,
    pub kind: NodeKind,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Null,
    Scalar {
        text: Text,
        style: Style,
    },
    Seq(Vec<Node>),
    Map(Vec<(Key, Node)>),
    /// An expression of native syntax; lists and objects that are written out stand as `Seq` and `Map`.
    Expr(Written),
}

/// An expression as it stands in a document.
#[derive(Clone, Debug)]
pub struct Written {
    expr: Expr,
    /// What is wrong with its calls, found once for all clones.
    faults: Arc<OnceLock<Diagnostics>>,
}

impl Written {
    pub fn new(expr: Expr) -> Written {
        Written { expr, faults: Arc::default() }
    }

    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// What [`Expr::call_faults`] gives.
    pub fn call_faults(&self) -> &Diagnostics {
        self.faults.get_or_init(|| self.expr.call_faults())
    }
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: a number, a boolean, or text.
    Plain,
    /// In quotes: always text.
    Quoted,
    /// A literal or folded block: always text.
    Block,
}

/// Names that a text has many times are kept once.
#[derive(Default)]
struct Names(HashSet<Arc<str>>);

impl Names {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let new: Arc<str> = name.into();
        self.0.insert(new.clone());
        new
    }
}

/// A key of a mapping, taken by its text.
#[derive(Clone, Debug)]
pub struct Key {
    pub text: Arc<str>,
    pub span: Span,
    pub form: Form,
}

impl Key {
    /// A key of a syntax that does not say what it stands for.
    pub fn new(text: Arc<str>, span: Span) -> Key {
        Key { text, span, form: Form::Open }
    }
}

/// What the syntax says that a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing: the schema decides. Keys of YAML, JSON and of objects.
    Open,
    /// `key = value`.
    Argument,
    /// `key { … }`, once or more often.
    Block,
    /// A block's label; the mapping holds nothing else.
    Label,
}

/// What a plain scalar is by the core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    Bool(bool),
    Number,
    Text,
}

impl Node {
    pub fn null(span: Span) -> Node {
        Node { span, kind: NodeKind::Null }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, NodeKind::Null)
    }

    /// Entries of a mapping.
    pub fn as_map(&self) -> Option<&[(Key, Node)]> {
        if let NodeKind::Map(entries) = &self.kind { Some(entries) } else { None }
    }

    pub fn as_seq(&self) -> Option<&[Node]> {
        if let NodeKind::Seq(items) = &self.kind { Some(items) } else { None }
    }

    pub fn as_text(&self) -> Option<&Text> {
        if let NodeKind::Scalar { text, .. } = &self.kind { Some(text) } else { None }
    }

    /// The entry of a mapping with this key.
    pub fn get(&self, key: &str) -> Option<(&Key, &Node)> {
        self.as_map()?.iter().find(|(k, _)| &*k.text == key).map(|(k, v)| (k, v))
    }

    /// Whether the mapping is a level of labels of native syntax.
    pub fn is_labels(&self) -> bool {
        self.as_map().is_some_and(|m| m.first().is_some_and(|(k, _)| k.form == Form::Label))
    }

    pub fn as_expr(&self) -> Option<&Expr> {
        if let NodeKind::Expr(written) = &self.kind { Some(written.expr()) } else { None }
    }

    /// Word for messages: "a mapping", "a number".
    pub fn friendly(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "null",
            NodeKind::Seq(_) => "a list",
            NodeKind::Map(_) => "a mapping",
            NodeKind::Expr(written) => match written.expr().as_literal().map(groma_types::Value::kind) {
                Some(ValueKind::Bool(_)) => "a boolean",
                Some(ValueKind::Number(_)) => "a number",
                Some(ValueKind::String(_)) => "a string",
                _ => "an expression",
            },
            NodeKind::Scalar { text, style: Style::Plain } => match plain_kind(text.content()) {
                Plain::Bool(_) => "a boolean",
                Plain::Number => "a number",
                Plain::Text => "a string",
            },
            NodeKind::Scalar { .. } => "a string",
        }
    }
}

/// Returns what a plain scalar is by YAML's core schema.
pub fn plain_kind(text: &str) -> Plain {
    match text {
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        _ if is_radix(text) || is_decimal(text) => Plain::Number,
        _ => Plain::Text,
    }
}

fn is_radix(text: &str) -> bool {
    let digits = |rest: &str, radix| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix));
    text.strip_prefix("0o").is_some_and(|r| digits(r, 8))
        || text.strip_prefix("0x").is_some_and(|r| digits(r, 16))
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['-', '+']).unwrap_or(e))),
        None => (unsigned, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

/// Returns the decimal text of a plain number: `0o` and `0x` forms are rewritten, a leading `+` goes.
pub fn number_text(text: &str) -> String {
    let radix = |rest: &str, radix| u128::from_str_radix(rest, radix).ok().map(|n| n.to_string());
    let rewritten = match (text.strip_prefix("0o"), text.strip_prefix("0x")) {
        (Some(octal), _) => radix(octal, 8),
        (_, Some(hex)) => radix(hex, 16),
        _ => None,
    };
    let text = rewritten.unwrap_or_else(|| text.strip_prefix('+').unwrap_or(text).to_string());
    // The expression language's numbers have digits on both sides of the point.
    let (sign, rest) = text.strip_prefix('-').map_or(("", &*text), |r| ("-", r));
    let rest = if rest.starts_with('.') { format!("0{rest}") } else { rest.to_string() };
    let rest = rest.replace(".e", ".0e").replace(".E", ".0E");
    let rest = if rest.ends_with('.') { format!("{rest}0") } else { rest };
    format!("{sign}{rest}")
}
