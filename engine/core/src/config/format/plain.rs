//! Scalars of YAML in the plainest form that means the same at their place: no quotes that nothing needs, no `${}` round a
//! static reference. The same form that `convert` writes.

use crate::config::convert::place::Place;
use crate::config::convert::scalar::Scalar;
use crate::config::convert::{leaf, scalar};
use crate::config::values::one_or_many;
use groma_lang::document::{Key, Node, NodeKind, Style};
use groma_types::Span;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What is written in place of a part of the text, by where it begins. `None`: the part stands for several values, through
/// an anchor, and they do not agree.
type Edits = BTreeMap<usize, (usize, Option<String>)>;

/// The text with its scalars made plain.
pub(super) fn plain(text: &str, documents: &[Node], root: Place) -> String {
    let mut found = Plain { text, edits: Edits::new() };
    documents.iter().for_each(|node| found.node(node, root, false));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (start, (end, new)) in found.edits {
        let Some(new) = new.filter(|_| start >= at) else { continue };
        out.push_str(&text[at..start]);
        out.push_str(&new);
        at = end;
    }
    out.push_str(&text[at..]);
    out
}

struct Plain<'a> {
    text: &'a str,
    edits: Edits,
}

impl Plain<'_> {
    fn raw(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn node(&mut self, node: &Node, place: Place, in_brackets: bool) {
        match &node.kind {
            NodeKind::Null | NodeKind::Expr(_) => {}
            NodeKind::Scalar { style, .. } => self.scalar(node, *style, place, in_brackets),
            NodeKind::Seq(items) => {
                let in_brackets = in_brackets || self.raw(node.span).starts_with('[');
                items.iter().for_each(|item| self.node(item, place, in_brackets));
            }
            NodeKind::Map(entries) => {
                let in_brackets = in_brackets || self.raw(node.span).starts_with('{');
                for (key, value) in entries {
                    self.key(key, in_brackets);
                    let inside = place.inside(&key.text);
                    self.labelled(value, inside, inside.labels(), in_brackets);
                }
            }
        }
    }

    /// What lies under some levels of labels.
    fn labelled(&mut self, node: &Node, place: Place, levels: usize, in_brackets: bool) {
        if levels == 0 {
            return self.node(node, place, in_brackets);
        }
        let in_brackets = in_brackets || self.raw(node.span).starts_with(['[', '{']);
        for item in one_or_many(node) {
            let in_brackets = in_brackets || self.raw(item.span).starts_with('{');
            for (label, inside) in item.as_map().unwrap_or_default() {
                self.key(label, in_brackets);
                self.labelled(inside, place, levels - 1, in_brackets);
            }
        }
    }

    fn key(&mut self, key: &Key, in_brackets: bool) {
        let raw = self.raw(key.span);
        if is_quoted(raw) && !in_brackets {
            let new = scalar::key(&key.text).filter(|new| new != raw);
            self.edit(key.span, new);
        }
    }

    fn scalar(&mut self, node: &Node, style: Style, place: Place, in_brackets: bool) {
        let raw = self.raw(node.span);
        let is_wrapped = style == Style::Plain && place == Place::Reference && raw.starts_with("${");
        if !is_quoted(raw) && !is_wrapped {
            // Noted, so that a reference elsewhere through an anchor does not change it.
            return self.edit(node.span, None);
        }
        let new = if in_brackets {
            leaf::write_in_flow(node, place, self.text)
        } else {
            match leaf::write(node, place, self.text) {
                Some(Scalar::Inline(new)) => Some(new),
                Some(Scalar::Block(..)) | None => None,
            }
        };
        let new = new.filter(|new| new != raw);
        self.edit(node.span, new);
    }

    fn edit(&mut self, span: Span, new: Option<String>) {
        match self.edits.entry(span.start as usize) {
            Entry::Vacant(place) => {
                place.insert((span.end as usize, new));
            }
            Entry::Occupied(mut known) if known.get().1 != new => known.get_mut().1 = None,
            Entry::Occupied(_) => {}
        }
    }
}

/// Whether a scalar of one line is in quotes. What the quotes of several lines mean is left to them.
fn is_quoted(raw: &str) -> bool {
    raw.starts_with(['"', '\'']) && !raw.contains('\n')
}
