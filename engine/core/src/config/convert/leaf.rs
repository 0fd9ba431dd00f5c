//! Values without parts: which text means the same in YAML.

use super::place::Place;
use super::scalar::{self, Scalar};
use crate::config::values::{Traversal, expression, traversal};
use groma_lang::document::{Node, NodeKind};
use groma_lang::expr::{Expr, parse_expression};
use groma_lang::text::Text;
use groma_lang::types_syntax::{TypeConstraint, parse_type, parse_type_text};
use groma_types::{Diagnostics, SourceId, Type};

/// What a leaf means at its place: two syntaxes agree where these are equal.
#[derive(Debug, PartialEq)]
pub(in crate::config) enum Meaning {
    Value(Expr),
    Reference(Expr),
    Type(Box<TypeConstraint>),
}

/// `None` for what has no meaning at its place; faults of the text are the reader's to tell.
pub(super) fn meaning(node: &Node, place: Place) -> Option<Meaning> {
    judged(node, place).map(|(found, _)| found)
}

/// The meaning, and whether the text leaves a doubt: a warning that the other form must not raise anew.
fn judged(node: &Node, place: Place) -> Option<(Meaning, bool)> {
    let mut faults = Diagnostics::new();
    let found = match (place, &node.kind) {
        (_, NodeKind::Null) => Meaning::Value(expression(node, &Type::Dynamic, &mut faults)),
        (Place::Type, NodeKind::Scalar { text, .. }) => {
            let (constraint, told) = parse_type_text(text);
            faults.extend(told);
            Meaning::Type(Box::new(constraint))
        }
        (Place::Type, NodeKind::Expr(written)) => {
            let (constraint, told) = parse_type(written.expr());
            faults.extend(told);
            Meaning::Type(Box::new(constraint))
        }
        (Place::Reference, _) => match traversal(node, &mut faults) {
            Traversal::Found(..) => Meaning::Reference(bare(node)?),
            Traversal::Broken | Traversal::None => {
                Meaning::Value(expression(node, &Type::Dynamic, &mut faults))
            }
        },
        _ => Meaning::Value(expression(node, &Type::Dynamic, &mut faults)),
    };
    (!faults.has_errors()).then_some((found, !faults.is_empty()))
}

/// The expression of a reference, however it is quoted.
fn bare(node: &Node) -> Option<Expr> {
    let text = match &node.kind {
        NodeKind::Scalar { text, .. } if text.content().starts_with("${") => {
            return Some(text.template().0.clone());
        }
        NodeKind::Scalar { text, .. } => text.content().to_string(),
        NodeKind::Expr(written) => match written.expr().as_literal() {
            Some(value) => value.as_str()?.to_string(),
            None => return Some(written.expr().clone()),
        },
        NodeKind::Null | NodeKind::Seq(_) | NodeKind::Map(_) => return None,
    };
    Some(parse_expression(&Text::plain(text, SourceId(0), 0)).0)
}

/// A leaf after its key.
pub(in crate::config) fn write(node: &Node, place: Place, source: &str) -> Option<Scalar> {
    let wanted = judged(node, place)?;
    let is_same = |found: &Node| judged(found, place).is_some_and(|m| m == wanted);
    contents(node, place, source).iter().find_map(|content| scalar::scalar(content, &is_same))
}

/// A leaf in a list in brackets.
pub(in crate::config) fn write_in_flow(node: &Node, place: Place, source: &str) -> Option<String> {
    let wanted = judged(node, place)?;
    let is_same = |found: &Node| judged(found, place).is_some_and(|m| m == wanted);
    contents(node, place, source).iter().find_map(|content| scalar::in_flow(content, &is_same))
}

/// The texts that may mean the same, the best one first.
fn contents(node: &Node, place: Place, source: &str) -> Vec<String> {
    let expr = match &node.kind {
        NodeKind::Null => return vec!["null".into()],
        NodeKind::Scalar { text, .. } => {
            let content = text.content();
            let bare = (place == Place::Reference).then(|| without_braces(content)).flatten();
            return bare.into_iter().chain([content]).map(String::from).collect();
        }
        NodeKind::Expr(written) => written.expr(),
        NodeKind::Seq(_) | NodeKind::Map(_) => return Vec::new(),
    };
    let raw = source.get(node.span.start as usize..node.span.end as usize).unwrap_or_default();
    let as_typed = dedented(raw);
    let printed = expr.source_text().to_string();
    if matches!(place, Place::Type | Place::Reference) {
        let quoted = expr.as_literal().and_then(|v| v.as_str().map(String::from));
        return quoted.into_iter().chain([as_typed, printed]).collect();
    }
    if let Some(template) = expr.template_text() {
        return heredoc(raw).into_iter().chain(quoted(raw)).chain([template]).collect();
    }
    if expr.as_literal().is_some() {
        return vec![as_typed, printed.clone(), format!("${{{printed}}}")];
    }
    if let Some(template) = quoted(raw) {
        return vec![template, format!("${{{printed}}}")];
    }
    // A comment at the end would take the closing brace with it.
    vec![format!("${{{as_typed}}}"), format!("${{{as_typed}\n}}"), format!("${{{printed}}}")]
}

/// The inside of `${…}`; the caller sees to it that both mean the same.
fn without_braces(content: &str) -> Option<&str> {
    Some(content.trim().strip_prefix("${")?.strip_suffix('}')?.trim())
}

/// The inside of a quoted string whose text stands for itself.
fn quoted(raw: &str) -> Option<String> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains('\\')).then(|| inside.to_string())
}

/// The lines of a heredoc.
fn heredoc(raw: &str) -> Option<String> {
    let (head, rest) = raw.split_once('\n')?;
    let head = head.strip_prefix("<<")?;
    let (body, _) = rest.rsplit_once('\n')?;
    let body = format!("{body}\n");
    if !head.starts_with('-') {
        return Some(body);
    }
    Some(without_indent(&body))
}

fn without_indent(text: &str) -> String {
    let blank = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let least = text.lines().filter(|l| !l.trim().is_empty()).map(blank).min().unwrap_or(0);
    text.split('\n')
        .map(|line| line.get(least.min(blank(line))..).unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

/// An expression of several lines, its later lines moved to the margin.
fn dedented(raw: &str) -> String {
    match raw.split_once('\n') {
        Some((first, rest)) => format!("{first}\n{}", without_indent(rest)).replace('\r', ""),
        None => raw.to_string(),
    }
}
