//! What the blocks of a text mean, without their places: equal for texts that declare the same.

use super::leaf::{Meaning, meaning};
use super::place::Place;
use crate::config::gather::{BlockType, RawBlock, Surface, blocks_of};
use crate::config::values::one_or_many;
use groma_lang::document::{Form, Key, Node, NodeKind, Written};
use groma_lang::expr::Expr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A part of a block.
#[derive(Debug, PartialEq)]
pub(in crate::config) enum Outline {
    Leaf(Option<Meaning>),
    List(Vec<Outline>),
    Map(BTreeMap<Arc<str>, Outline>),
}

/// All blocks by type and labels, in the order of writing.
pub(in crate::config) type Blocks = BTreeMap<(BlockType, Vec<Arc<str>>), Vec<Outline>>;

pub(in crate::config) fn of(surface: Surface, documents: &[Node]) -> Blocks {
    let mut found = Blocks::new();
    for block in documents.iter().flat_map(|d| blocks_of(surface, d)) {
        for (name, outline) in parts(&block) {
            found.entry((block.ty, name)).or_default().push(outline);
        }
    }
    found
}

/// What a text sets by keys that are no blocks: values of variables.
pub(in crate::config) fn values(document: &Node, is_value: &dyn Fn(&str) -> bool) -> Outline {
    let entries = document.as_map().unwrap_or_default();
    let is_set = |(key, _): &&(Key, Node)| key.form != Form::Block && is_value(&key.text);
    map(&entries.iter().filter(is_set).cloned().collect::<Vec<_>>(), Place::Value)
}

/// A block; locals and settings one by one, since it does not matter which block of theirs holds them.
fn parts(block: &RawBlock) -> Vec<(Vec<Arc<str>>, Outline)> {
    let place = Place::Body(block.ty);
    match block.ty {
        BlockType::Locals | BlockType::Terraform => {
            let part =
                |(key, node): &(Key, Node)| (vec![key.text.clone()], entry(node, place.inside(&key.text)));
            block.entries.iter().map(part).collect()
        }
        _ => {
            let labels = block.labels.iter().map(|k| k.text.clone()).collect();
            vec![(labels, map(&block.entries, place))]
        }
    }
}

fn map(entries: &[(Key, Node)], place: Place) -> Outline {
    Outline::Map(
        entries.iter().map(|(key, node)| (key.text.clone(), entry(node, place.inside(&key.text)))).collect(),
    )
}

/// An entry of a body. Blocks with labels are the same however they are gathered under their labels.
fn entry(node: &Node, place: Place) -> Outline {
    let levels = place.labels();
    if levels == 0 {
        return outline(node, place);
    }
    let mut found: Vec<(Vec<Arc<str>>, Outline)> = Vec::new();
    labelled(node, place, levels, &mut Vec::new(), &mut found);
    if place != Place::Provisioner {
        found.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let block = |(labels, body): (Vec<Arc<str>>, Outline)| {
        Outline::Map(BTreeMap::from([(labels.join(".").into(), body)]))
    };
    Outline::List(found.into_iter().map(block).collect())
}

fn labelled(
    node: &Node,
    place: Place,
    left: usize,
    labels: &mut Vec<Arc<str>>,
    found: &mut Vec<(Vec<Arc<str>>, Outline)>,
) {
    for item in one_or_many(node) {
        if left == 0 {
            found.push((labels.clone(), outline(item, place)));
            continue;
        }
        for (label, inside) in item.as_map().unwrap_or_default() {
            labels.push(label.text.clone());
            labelled(inside, place, left - 1, labels, found);
            labels.pop();
        }
    }
}

fn outline(node: &Node, place: Place) -> Outline {
    match &node.kind {
        NodeKind::Seq(items) => Outline::List(items.iter().map(|n| outline(n, place)).collect()),
        NodeKind::Map(entries) => map(entries, place),
        NodeKind::Expr(written) if place == Place::Providers => providers(written.expr()),
        NodeKind::Null | NodeKind::Scalar { .. } | NodeKind::Expr(_) => Outline::Leaf(meaning(node, place)),
    }
}

/// `{ aws.eu = aws }` as the mapping of texts that YAML has.
fn providers(expr: &Expr) -> Outline {
    let items = expr.object_items().unwrap_or_default();
    let item = |(key, value): (Expr, Expr)| {
        let name = key.as_bare_key().map(|r| r.to_string());
        let name = name.or_else(|| key.as_literal()?.as_str().map(String::from)).unwrap_or_default();
        let value = Node { span: value.span(), kind: NodeKind::Expr(Written::new(value)) };
        (name.into(), Outline::Leaf(meaning(&value, Place::Reference)))
    };
    Outline::Map(items.into_iter().map(item).collect())
}
