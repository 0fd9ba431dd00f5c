//! The expressions of a body, by the schema: arguments and nested blocks, static and dynamic.

use super::Body;
use crate::config::values::{expression, keyword, one_or_many};
use groma_lang::document::{Key, Node, NodeKind};
use groma_lang::expr::Reference;
use groma_types::schema::{Block, Nesting};
use groma_types::{Diagnostics, Type};
use std::sync::Arc;

/// Gives the references of each expression with the top-level name that it stands under.
pub(super) fn walk(body: &Body, schema: &Block, visit: &mut dyn FnMut(&Arc<str>, Vec<Reference>)) {
    let entries = body.node.as_map().unwrap_or_default();
    Walk { visit, iterators: Vec::new() }.entries(entries, schema, None);
}

struct Walk<'a> {
    visit: &'a mut dyn FnMut(&Arc<str>, Vec<Reference>),
    /// Names that `dynamic` blocks around the place bind.
    iterators: Vec<Arc<str>>,
}

impl Walk<'_> {
    fn expression(&mut self, top: &Arc<str>, node: &Node) {
        // Faults of the text are told once, by the check; here only names count.
        let mut references = expression(node, &Type::Dynamic, &mut Diagnostics::new()).references();
        references.retain(|r| !self.iterators.contains(&r.root));
        if !references.is_empty() {
            (self.visit)(top, references);
        }
    }

    fn entries(&mut self, entries: &[(Key, Node)], schema: &Block, top: Option<&Arc<str>>) {
        for (key, node) in entries {
            let top = top.unwrap_or(&key.text);
            if let Some(nested) = schema.blocks.get(&key.text) {
                self.blocks(top, node, &nested.block, nested.nesting);
            } else if schema.attrs.contains_key(&key.text) {
                self.expression(top, node);
            } else if &*key.text == "dynamic" && one_or_many(node).iter().all(|n| n.as_map().is_some()) {
                let all = one_or_many(node).into_iter().filter_map(Node::as_map).flatten();
                all.for_each(|(name, node)| self.dynamic(name, node, schema));
            } else if &*key.text != "//" {
                self.unknown(top, node);
            }
        }
    }

    /// What the schema lacks may be a block all the same, and hold blocks that bind names.
    fn unknown(&mut self, top: &Arc<str>, node: &Node) {
        let is_fixed = |(key, _): &(Key, Node)| !key.text.contains("${") && !key.text.contains("%{");
        match &node.kind {
            NodeKind::Seq(items) => items.iter().for_each(|item| self.unknown(top, item)),
            NodeKind::Map(entries) if entries.iter().all(is_fixed) => {
                self.entries(entries, &Block::default(), Some(top));
            }
            NodeKind::Map(_) | NodeKind::Null | NodeKind::Scalar { .. } | NodeKind::Expr(_) => {
                self.expression(top, node);
            }
        }
    }

    fn blocks(&mut self, top: &Arc<str>, node: &Node, schema: &Block, nesting: Nesting) {
        for item in one_or_many(node) {
            match &item.kind {
                NodeKind::Map(labelled) if nesting == Nesting::Map => {
                    for (_, node) in labelled {
                        one_or_many(node)
                            .into_iter()
                            .filter_map(Node::as_map)
                            .for_each(|e| self.entries(e, schema, Some(top)));
                    }
                }
                NodeKind::Map(entries) => self.entries(entries, schema, Some(top)),
                NodeKind::Null | NodeKind::Scalar { .. } | NodeKind::Expr(_) | NodeKind::Seq(_) => {
                    self.expression(top, item);
                }
            }
        }
    }

    fn dynamic(&mut self, name: &Key, node: &Node, schema: &Block) {
        let open = Block::default();
        let schema = schema.blocks.get(&name.text).map_or(&open, |nested| &nested.block);
        for item in one_or_many(node) {
            if let Some((_, each)) = item.get("for_each") {
                self.expression(&name.text, each);
            }
            self.iterators.push(iterator(name, item));
            if let Some((_, labels)) = item.get("labels") {
                self.expression(&name.text, labels);
            }
            if let Some((_, content)) = item.get("content") {
                let all = one_or_many(content).into_iter().filter_map(Node::as_map);
                all.for_each(|e| self.entries(e, schema, Some(&name.text)));
            }
            self.iterators.pop();
        }
    }
}

/// The name that a `dynamic` block's content calls its element by.
pub(super) fn iterator(name: &Key, node: &Node) -> Arc<str> {
    let own = node.get("iterator").and_then(|(_, n)| keyword(n));
    own.unwrap_or_else(|| name.text.clone())
}
