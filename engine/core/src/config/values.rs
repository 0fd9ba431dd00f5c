//! From what is written to expressions: the one place that knows how a node means a value.
//!
//! What a plain number or boolean is depends on what its place wants: where that is a string, the text as written.

use groma_lang::document::{Key, Node, NodeKind, Plain, Style, number_text, plain_kind};
use groma_lang::expr::{Expr, Reference, parse_expression, parse_traversal};
use groma_lang::text::Text;
use groma_types::convert::convert;
use groma_types::{Diagnostic, Diagnostics, InstanceKey, Number, Span, Type, Value};
use std::sync::Arc;

/// Returns the expression that a node means where a value of type `want` goes (`Dynamic`: not known).
pub fn expression(node: &Node, want: &Type, out: &mut Diagnostics) -> Expr {
    match &node.kind {
        NodeKind::Null => Expr::literal(Value::NULL, node.span),
        NodeKind::Scalar { text, style: Style::Plain } => plain(node, text, want, out),
        NodeKind::Scalar { text, .. } => template(text, out),
        NodeKind::Expr(written) => {
            out.extend(written.call_faults().iter().cloned());
            written.expr().clone()
        }
        NodeKind::Seq(items) => {
            let element = |i: usize| match want {
                Type::List(e) | Type::Set(e) => (**e).clone(),
                Type::Tuple(es) => es.get(i).cloned().unwrap_or(Type::Dynamic),
                _ => Type::Dynamic,
            };
            let items = items.iter().enumerate().map(|(i, n)| expression(n, &element(i), out)).collect();
            Expr::tuple(items, node.span)
        }
        NodeKind::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| {
                    let want = match want {
                        Type::Map(e) => (**e).clone(),
                        Type::Object(o) => o.attrs.get(&key.text).cloned().unwrap_or(Type::Dynamic),
                        _ => Type::Dynamic,
                    };
                    (key_expression(key, out), expression(value, &want, out))
                })
                .collect();
            Expr::object(entries, node.span)
        }
    }
}

fn template(text: &Text, out: &mut Diagnostics) -> Expr {
    // Most texts are just text: made when it is asked for, they need no tree that is kept.
    if let Some(fixed) = text.fixed() {
        return Expr::literal(Value::string(fixed), text.whole());
    }
    let (expr, found) = text.template();
    out.extend(found.iter().cloned());
    expr.clone()
}

/// Keys of a value's mapping are templates, as in Terraform's JSON.
fn key_expression(key: &Key, out: &mut Diagnostics) -> Expr {
    if !key.text.contains("${") && !key.text.contains("%{") {
        return Expr::literal(Value::string(key.text.clone()), key.span);
    }
    let width = (key.span.end - key.span.start) as usize;
    let start = key.span.start as usize + usize::from(width != key.text.len());
    template(&Text::plain(key.text.clone(), key.span.source, start), out)
}

fn plain(node: &Node, text: &Text, want: &Type, out: &mut Diagnostics) -> Expr {
    let content = text.content();
    match plain_kind(content) {
        Plain::Text => template(text, out),
        Plain::Bool(value) => {
            if !matches!(content, "true" | "false") && *want == Type::String {
                out.push(
                    Diagnostic::error("G0601", "A boolean where a string is wanted")
                        .detail("YAML reads this as a boolean, and its text would not be what is written.")
                        .help(format!("Quote it: \"{content}\""))
                        .at(node.span, "a boolean"),
                );
            }
            Expr::literal(Value::bool(value), node.span)
        }
        Plain::Number if *want == Type::String => Expr::literal(Value::string(content), node.span),
        Plain::Number => number(node, content, want, out),
    }
}

fn number(node: &Node, content: &str, want: &Type, out: &mut Diagnostics) -> Expr {
    let Ok(value) = Number::parse(&number_text(content)) else {
        out.push(
            Diagnostic::error("G0602", "A number that cannot be kept")
                .detail(format!("{content} is too large or too small."))
                .at(node.span, "this number"),
        );
        return Expr::literal(Value::unknown(Type::Number), node.span);
    };
    let canonical = value.to_string();
    if *want == Type::Dynamic && canonical != content {
        out.push(
            Diagnostic::warning("G0603", "A number whose text would be lost")
                .detail(format!("As a number {content} is {canonical}."))
                .help(format!(
                    "If text is meant, quote it: \"{content}\". If the number is meant, write {canonical}."
                ))
                .at(node.span, "this number"),
        );
    }
    Expr::literal(Value::number(value), node.span)
}

/// Says that a node has not the shape that its place wants.
pub(super) fn wrong_shape(node: &Node, what: &str, wanted: &str, out: &mut Diagnostics) {
    out.push(
        Diagnostic::error("G0604", "The value has the wrong shape")
            .detail(format!("{what} takes {wanted}; this is {}.", node.friendly()))
            .at(node.span, format!("{wanted} is wanted here")),
    );
}

/// Text that must be there as it is: names, aliases, sources.
pub(super) fn static_text(node: &Node, what: &str, out: &mut Diagnostics) -> Option<Arc<str>> {
    let expr = match &node.kind {
        NodeKind::Scalar { text, style: Style::Plain } if plain_kind(text.content()) != Plain::Text => {
            return Some(text.content().into());
        }
        NodeKind::Scalar { text, .. } => template(text, out),
        NodeKind::Expr(written) => written.expr().clone(),
        // Null means "not set"; who needs the text says that it is missing.
        NodeKind::Null => return None,
        NodeKind::Seq(_) | NodeKind::Map(_) => {
            wrong_shape(node, what, "a string", out);
            return None;
        }
    };
    match expr.as_literal() {
        Some(value) => convert(value, &Type::String).ok()?.as_str().map(Arc::from),
        None => {
            out.push(
                Diagnostic::error("G0605", "The value must be fixed text")
                    .detail(format!(
                        "{what} is needed before anything is evaluated: no template may stand here."
                    ))
                    .at(node.span, "a template"),
            );
            None
        }
    }
}

/// A list of texts that must be there as they are; one text is a list of one.
pub(super) fn static_texts(node: &Node, what: &str, out: &mut Diagnostics) -> Vec<Arc<str>> {
    one_or_many(node).into_iter().filter_map(|item| static_text(item, what, out)).collect()
}

/// `true` or `false` that must be there as it is.
pub(super) fn static_bool(node: &Node, what: &str, out: &mut Diagnostics) -> Option<bool> {
    if node.is_null() {
        return None;
    }
    let found = match &node.kind {
        NodeKind::Scalar { text, .. } => match plain_kind(text.content()) {
            Plain::Bool(value) => Some(value),
            Plain::Number | Plain::Text => None,
        },
        NodeKind::Expr(written) => {
            written.expr().as_literal().and_then(|v| convert(v, &Type::Bool).ok()?.as_bool())
        }
        NodeKind::Null | NodeKind::Seq(_) | NodeKind::Map(_) => None,
    };
    if found.is_none() {
        wrong_shape(node, what, "true or false", out);
    }
    found
}

/// A bare reference; `${}` round it is accepted, and quotes in native syntax.
pub(super) fn reference(node: &Node, what: &str, out: &mut Diagnostics) -> Option<Reference> {
    match &node.kind {
        NodeKind::Null => None,
        NodeKind::Scalar { text, .. } if !text.content().starts_with("${") => {
            let (found, faults) = parse_traversal(text);
            out.extend(faults);
            found
        }
        _ => match traversal(node, out) {
            // A dynamic index ends a reference: what is before it is meant.
            Traversal::Found(found, key) if key.is_none() || node.as_expr().is_some() => Some(found),
            Traversal::Broken => None,
            Traversal::Found(..) | Traversal::None => {
                wrong_shape(node, what, "a reference", out);
                None
            }
        },
    }
}

/// References of a list; one that stands alone is a list of itself.
pub(super) fn references(node: &Node, what: &str, out: &mut Diagnostics) -> Vec<Reference> {
    match &node.kind {
        NodeKind::Null => Vec::new(),
        NodeKind::Seq(items) => items.iter().filter_map(|n| reference(n, what, out)).collect(),
        NodeKind::Scalar { .. } | NodeKind::Map(_) | NodeKind::Expr(_) => {
            wrong_shape(node, what, "a list of references", out);
            Vec::new()
        }
    }
}

/// What a node is as a reference.
pub(super) enum Traversal {
    /// The reference, and the expression of the index that ends it.
    Found(Reference, Option<Expr>),
    /// The text has faults, which are told.
    Broken,
    /// Something else.
    None,
}

/// A reference that may end in an index by an expression.
pub(super) fn traversal(node: &Node, out: &mut Diagnostics) -> Traversal {
    match bare(node, out).map(|expr| expr.as_traversal()) {
        Ok(Some((reference, key))) => Traversal::Found(reference, key),
        Ok(None) => Traversal::None,
        Err(what) => what,
    }
}

/// The expression of a place for references.
pub(super) fn bare(node: &Node, out: &mut Diagnostics) -> Result<Expr, Traversal> {
    let (expr, faults) = as_written(node)?;
    let broken = faults.has_errors();
    out.extend(faults);
    if broken { Err(Traversal::Broken) } else { Ok(expr) }
}

/// A list of references whose indexes may name the instance's own key, as in `replace_triggered_by`.
pub(super) fn keyed_references(node: &Node, what: &str, out: &mut Diagnostics) -> Vec<Expr> {
    match &node.kind {
        NodeKind::Null => Vec::new(),
        NodeKind::Seq(items) => items.iter().filter_map(|n| keyed_reference(n, what, out)).collect(),
        NodeKind::Scalar { .. } | NodeKind::Map(_) | NodeKind::Expr(_) => {
            wrong_shape(node, what, "a list of references", out);
            Vec::new()
        }
    }
}

fn keyed_reference(node: &Node, what: &str, out: &mut Diagnostics) -> Option<Expr> {
    let found = as_written(node);
    if let Ok((expr, faults)) = found {
        let broken = faults.has_errors();
        out.extend(faults);
        // Which key it is depends on the instance; here any will do.
        if broken || expr.traversal_with(&mut |_| Some(InstanceKey::Int(0))).is_some() {
            return (!broken).then_some(expr);
        }
    } else if matches!(found, Err(Traversal::Broken)) {
        return None;
    }
    wrong_shape(node, what, "a reference", out);
    None
}

/// The expression that a bare reference is, with the faults of its text; `${}` or quotes round it are taken off.
fn as_written(node: &Node) -> Result<(Expr, Diagnostics), Traversal> {
    Ok(match &node.kind {
        NodeKind::Scalar { text, .. } if text.content().starts_with("${") => text.template().clone(),
        NodeKind::Scalar { text, .. } => parse_expression(text),
        NodeKind::Expr(written) => match written.expr().as_literal() {
            // References stood in quotes once.
            Some(value) if value.as_str().is_some() => {
                let inside = node.span.start as usize + 1;
                parse_expression(&Text::plain(value.as_str().unwrap_or_default(), node.span.source, inside))
            }
            Some(value) if value.is_unknown() => return Err(Traversal::Broken),
            _ => (written.expr().clone(), Diagnostics::new()),
        },
        NodeKind::Null | NodeKind::Seq(_) | NodeKind::Map(_) => return Err(Traversal::None),
    })
}

/// A fixed text, if the node is one: nothing is said where it is not.
pub(super) fn fixed_text(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Scalar { text, .. } => Some(text.content()),
        NodeKind::Expr(written) => written.expr().as_literal()?.as_str(),
        NodeKind::Null | NodeKind::Seq(_) | NodeKind::Map(_) => None,
    }
}

/// A word that stands for itself: bare in native syntax, text elsewhere.
pub(super) fn keyword(node: &Node) -> Option<Arc<str>> {
    let bare =
        node.as_expr().and_then(Expr::as_traversal).filter(|(r, key)| r.steps.is_empty() && key.is_none());
    bare.map(|(r, _)| r.root).or_else(|| fixed_text(node).map(Arc::from))
}

/// The nodes of a list, or the one node; null is none.
pub(super) fn one_or_many(node: &Node) -> Vec<&Node> {
    match &node.kind {
        NodeKind::Null => Vec::new(),
        NodeKind::Seq(items) => items.iter().collect(),
        NodeKind::Scalar { .. } | NodeKind::Map(_) | NodeKind::Expr(_) => vec![node],
    }
}

/// Says that a key is not one of those that its place knows.
pub(super) fn unknown_key<'a>(
    name: &str,
    span: Span,
    what: &str,
    known: impl IntoIterator<Item = &'a str>,
    out: &mut Diagnostics,
) {
    let near = groma_types::diagnostic::nearest(name, known);
    let mut error = Diagnostic::error("G0606", "Unknown argument")
        .detail(format!("{what} has no argument or block {name:?}."))
        .at(span, near.map_or("not known here".to_string(), |n| format!("did you mean {n:?}?")));
    if let Some(near) = near {
        error = error.help(format!("Write {near}."));
    }
    out.push(error);
}
