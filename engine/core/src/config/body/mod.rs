//! Bodies under a schema: what is wrong with one as written, which value it has, what it refers to, where a part stands.
//!
//! A body is nodes until here; the schema decides which key is an argument and which a nested block, and what a plain
//! number or boolean is.

mod evaluate;
mod inspect;
mod walk;

#[cfg(test)]
mod tests;

pub use evaluate::{evaluate, evaluate_argument};
pub use inspect::check;

use super::Body;
use super::values::expression;
use groma_lang::document::{Key, Node, NodeKind};
use groma_lang::expr::{Expr, Reference};
use groma_types::schema::Block;
use groma_types::{AttrPath, Diagnostics, Span, Step, Type};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that the body refers to, in the order of writing; iterators of `dynamic` are not among it.
pub fn references(body: &Body, schema: &Block) -> Vec<Reference> {
    let mut found = Vec::new();
    walk::walk(body, schema, &mut |_, references| found.extend(references));
    found
}

/// What each top-level argument or nested block refers to.
pub fn argument_exprs(body: &Body, schema: &Block) -> BTreeMap<Arc<str>, Vec<Reference>> {
    let mut found: BTreeMap<Arc<str>, Vec<Reference>> = BTreeMap::new();
    walk::walk(body, schema, &mut |name, references| {
        found.entry(name.clone()).or_default().extend(references);
    });
    found
}

/// A whole top-level argument as one expression, if it is there and not null.
pub fn argument_expr(body: &Body, name: &str) -> Option<Expr> {
    let (_, node) = body.node.get(name)?;
    (!node.is_null()).then(|| expression(node, &Type::Dynamic, &mut Diagnostics::new()))
}

/// The place of a part of the body's value; of the nearest thing around it that is written.
pub fn span_of(body: &Body, path: &AttrPath) -> Span {
    let mut node = &body.node;
    let mut span = body.span;
    for step in &path.0 {
        let next = match (step, &node.kind) {
            (Step::Attr(name) | Step::Key(name), NodeKind::Map(entries)) => {
                let own = entries.iter().find(|(k, _)| k.text == *name);
                own.map(|(_, n)| n).or_else(|| dynamic_content(entries, name))
            }
            (Step::Index(i), NodeKind::Seq(items)) => items.get(*i),
            // A nested block that is written as one object is the first of its list.
            (Step::Index(0), NodeKind::Map(_)) => Some(node),
            _ => None,
        };
        let Some(next) = next else { break };
        node = next;
        span = next.span;
    }
    span
}

fn dynamic_content<'a>(entries: &'a [(Key, Node)], name: &str) -> Option<&'a Node> {
    let (_, dynamic) = entries.iter().find(|(k, _)| &*k.text == "dynamic")?;
    let (_, block) = dynamic.get(name)?;
    block.get("content").map(|(_, n)| n)
}
