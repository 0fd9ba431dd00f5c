//! The entries of a body while it is read: arguments once, blocks gathered by their type.

use crate::document::{Form, Key, Node, NodeKind};
use groma_types::{Diagnostic, Diagnostics};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Entries {
    all: Vec<Entry>,
    index: HashMap<Arc<str>, usize>,
}

struct Entry {
    key: Key,
    nodes: Vec<Node>,
}

impl Entries {
    pub(super) fn argument(&mut self, key: Key, node: Node, out: &mut Diagnostics) {
        match self.index.get(&key.text).map(|at| &self.all[*at].key) {
            Some(first) => out.push(twice(&key, first)),
            None => self.insert(key, node),
        }
    }

    pub(super) fn block(&mut self, key: Key, labels: Vec<Key>, body: Node, out: &mut Diagnostics) {
        let node = labels.into_iter().rev().fold(body, |inside, label| {
            let span = label.span.to(inside.span);
            Node { span, kind: NodeKind::Map(vec![(label, inside)]) }
        });
        match self.index.get(&key.text).map(|at| &mut self.all[*at]) {
            Some(first) if first.key.form == Form::Argument => out.push(twice(&key, &first.key)),
            Some(first) => first.nodes.push(node),
            None => self.insert(key, node),
        }
    }

    fn insert(&mut self, key: Key, node: Node) {
        self.index.insert(key.text.clone(), self.all.len());
        self.all.push(Entry { key, nodes: vec![node] });
    }

    pub(super) fn into_map(self) -> Vec<(Key, Node)> {
        let entry = |Entry { key, mut nodes }: Entry| match (nodes.len(), nodes.first(), nodes.last()) {
            (1, ..) => nodes.pop().map(|node| (key, node)),
            (_, Some(first), Some(last)) => {
                let span = first.span.to(last.span);
                Some((key, Node { span, kind: NodeKind::Seq(nodes) }))
            }
            _ => None,
        };
        self.all.into_iter().filter_map(entry).collect()
    }
}

fn twice(key: &Key, first: &Key) -> Diagnostic {
    let detail = if key.form == first.form {
        format!("The argument {:?} is set already; each argument is set once.", key.text)
    } else {
        format!("{:?} is an argument in one place and a block in the other.", key.text)
    };
    Diagnostic::error("G0401", "A key is there twice")
        .detail(detail)
        .at(key.span, "the second one")
        .at(first.span, "the first one")
}
