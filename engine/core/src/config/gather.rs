//! Blocks of all files of one module, by their names, with override files merged in; nothing is understood yet.

use super::values::{fixed_text, wrong_shape};
use super::{forms, twins};
use groma_lang::document::{Form, Key, Node, NodeKind};
use groma_types::{Diagnostic, Diagnostics, Span};
use std::collections::HashMap;
use std::sync::Arc;

/// How a file was written; JSON keeps some of Terraform's own readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surface {
    Yaml,
    Json,
    /// Terraform's native syntax.
    Native,
}

/// A document of a file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// The file's name, without folders.
    pub(super) file: Arc<str>,
    pub(super) surface: Surface,
    /// From an override file: merged into what the others say.
    pub(super) overrides: bool,
    pub(super) node: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum BlockType {
    Terraform,
    Variable,
    Locals,
    Provider,
    Data,
    Resource,
    Ephemeral,
    Module,
    Output,
    Moved,
    Import,
    Removed,
    Check,
    Groma,
}

const BLOCK_TYPES: [(&str, BlockType, usize); 14] = [
    ("terraform", BlockType::Terraform, 0),
    ("variable", BlockType::Variable, 1),
    ("locals", BlockType::Locals, 0),
    ("provider", BlockType::Provider, 1),
    ("data", BlockType::Data, 2),
    ("resource", BlockType::Resource, 2),
    ("ephemeral", BlockType::Ephemeral, 2),
    ("module", BlockType::Module, 1),
    ("output", BlockType::Output, 1),
    ("moved", BlockType::Moved, 0),
    ("import", BlockType::Import, 0),
    ("removed", BlockType::Removed, 0),
    ("check", BlockType::Check, 1),
    ("groma", BlockType::Groma, 0),
];

/// What a block is called: its labels, and of a provider configuration its alias.
pub(super) type Name = (BlockType, Vec<Arc<str>>, Option<Arc<str>>);

/// A block as written.
#[derive(Clone, Debug)]
pub(super) struct RawBlock {
    pub(super) ty: BlockType,
    pub(super) labels: Vec<Key>,
    pub(super) entries: Vec<(Key, Node)>,
    /// The innermost label, or the block's own key.
    pub(super) span: Span,
    /// From the first key to the end of the body.
    pub(super) body_span: Span,
}

impl RawBlock {
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.entries.iter().find(|(k, _)| &*k.text == name).map(|(_, v)| v)
    }

    /// What it is called: no other may be called so.
    pub(super) fn name(&self) -> Name {
        let labels = self.labels.iter().map(|k| k.text.clone()).collect();
        (self.ty, labels, self.alias().map(Arc::from))
    }

    /// The name of its type, as written.
    pub(super) fn what(&self) -> &'static str {
        BLOCK_TYPES.iter().find(|(_, ty, _)| *ty == self.ty).map_or("", |(name, ..)| name)
    }

    /// The second half of a provider configuration's name.
    pub(super) fn alias(&self) -> Option<&str> {
        (self.ty == BlockType::Provider).then(|| self.get("alias").and_then(fixed_text)).flatten()
    }
}

/// Collects the blocks of a module's documents. Where not every file could be read, a block that is not among them may be
/// in one of these.
pub(super) fn gather(documents: &[Document], is_whole: bool, out: &mut Diagnostics) -> Vec<RawBlock> {
    let mut blocks = Vec::new();
    for document in documents.iter().filter(|d| !d.overrides) {
        document_blocks(document, &mut blocks, out);
    }
    twins::refuse(documents, &mut blocks, out);
    let mut base = Base::new(blocks, is_whole);
    for document in documents.iter().filter(|d| d.overrides) {
        let mut over = Vec::new();
        document_blocks(document, &mut over, out);
        over.into_iter().for_each(|block| base.override_with(block, out));
    }
    base.blocks
}

fn document_blocks(document: &Document, blocks: &mut Vec<RawBlock>, out: &mut Diagnostics) {
    // Terraform's JSON also takes a list of objects at the top.
    let tops: Vec<&Node> = match &document.node.kind {
        NodeKind::Seq(items) if document.surface == Surface::Json => items.iter().collect(),
        _ => vec![&document.node],
    };
    let start = blocks.len();
    for top in tops {
        let NodeKind::Map(entries) = &top.kind else {
            wrong_shape(top, "A spec", "a mapping of blocks", out);
            continue;
        };
        if document.surface != Surface::Native
            && let Some(error) = super::foreign::recognise(top, entries)
        {
            out.push(error);
            continue;
        }
        for (key, value) in entries {
            top_entry(document.surface, key, value, blocks, out);
        }
    }
    blocks[start..].iter().for_each(|block| forms::check(block, out));
}

/// The blocks of one document, without a word on its faults.
pub(super) fn blocks_of(surface: Surface, node: &Node) -> Vec<RawBlock> {
    let document = Document { file: "".into(), surface, overrides: false, node: node.clone() };
    let mut blocks = Vec::new();
    document_blocks(&document, &mut blocks, &mut Diagnostics::new());
    blocks
}

/// A document of JSON without the blocks that are not there because their body is null.
pub(super) fn without_null_bodies(root: &Node) -> Node {
    fn level(node: &Node, left: usize) -> Node {
        let kind = match &node.kind {
            NodeKind::Seq(items) => NodeKind::Seq(items.iter().map(|n| level(n, left)).collect()),
            NodeKind::Map(entries) if left > 0 => {
                let there = entries.iter().filter(|(_, n)| left > 1 || !n.is_null());
                NodeKind::Map(there.map(|(k, n)| (k.clone(), level(n, left - 1))).collect())
            }
            kind => kind.clone(),
        };
        Node { span: node.span, kind }
    }
    let entry = |(key, node): &(Key, Node)| {
        let labels =
            BLOCK_TYPES.iter().find(|(name, ..)| *name == &*key.text).map_or(0, |(.., labels)| *labels);
        (key.clone(), level(node, labels))
    };
    let entries = root.as_map().unwrap_or_default().iter().map(entry).collect();
    Node { span: root.span, kind: NodeKind::Map(entries) }
}

impl BlockType {
    pub(super) fn named(name: &str) -> Option<BlockType> {
        BLOCK_TYPES.iter().find(|(known, ..)| *known == name).map(|(_, ty, _)| *ty)
    }

    /// How many labels its blocks have.
    pub(super) fn labels(self) -> usize {
        BLOCK_TYPES.iter().find(|(_, ty, _)| *ty == self).map_or(0, |(.., labels)| *labels)
    }
}

/// Names of the blocks, for near-name suggestions and for recognising strangers.
pub(super) fn block_names() -> impl Iterator<Item = &'static str> {
    BLOCK_TYPES.iter().map(|(name, ..)| *name)
}

fn top_entry(surface: Surface, key: &Key, value: &Node, blocks: &mut Vec<RawBlock>, out: &mut Diagnostics) {
    if surface != Surface::Native && (key.text.starts_with("x-") || &*key.text == "//") {
        return;
    }
    let Some((_, ty, labels)) = BLOCK_TYPES.iter().find(|(name, ..)| *name == &*key.text) else {
        let near = groma_types::diagnostic::nearest(&key.text, block_names());
        let mut error = Diagnostic::error("G0501", "Unknown top-level key")
            .detail(format!("{:?} is not a block of the language.", key.text))
            .at(key.span, near.map_or("not a block".into(), |n| format!("did you mean {n:?}?")));
        error = match near {
            Some(near) => error.help(format!("Write {near}.")),
            None if surface == Surface::Native => error.help(format!(
                "The blocks are: {}. A value with a name of your own is a local: locals {{ {} = … }}.",
                block_names().filter(|n| *n != "groma").collect::<Vec<_>>().join(", "),
                key.text
            )),
            None if surface == Surface::Json => {
                error.help("Take it out; a comment's key is \"//\".".to_string())
            }
            None => error.help(format!("A key that only holds anchors begins with `x-`: x-{}.", key.text)),
        };
        return out.push(error);
    };
    if *ty == BlockType::Groma && surface != Surface::Yaml {
        return out.push(
            Diagnostic::error("G0502", "The groma block stands in YAML files only")
                .detail("Terraform refuses blocks in its files that it does not know, and the same file is to be run by both programs.")
                .at(key.span, "not here"),
        );
    }
    if key.form == Form::Argument {
        return out.push(forms::wanted_block(key, "a spec"));
    }
    let block = Expand { surface, ty: *ty, what: &key.text };
    block.labels(key.span, value, &mut Vec::new(), *labels, blocks, out);
}

struct Expand<'a> {
    surface: Surface,
    ty: BlockType,
    what: &'a str,
}

impl Expand<'_> {
    /// Walks down `left` levels of labels; each level is a mapping or a list of mappings.
    fn labels(
        &self,
        span: Span,
        node: &Node,
        labels: &mut Vec<Key>,
        left: usize,
        blocks: &mut Vec<RawBlock>,
        out: &mut Diagnostics,
    ) {
        if left == 0 {
            return self.bodies(span, node, labels, blocks, out);
        }
        for level in super::values::one_or_many(node) {
            if self.surface == Surface::Native && !level.is_labels() {
                out.push(self.wrong_labels(span, labels.len() + left));
                continue;
            }
            let NodeKind::Map(entries) = &level.kind else {
                wrong_shape(level, &format!("The block {:?}", self.what), "a mapping of names", out);
                continue;
            };
            for (key, value) in entries.iter().filter(|(k, _)| &*k.text != "//") {
                check_name(key, self.what, out);
                labels.push(key.clone());
                self.labels(key.span, value, labels, left - 1, blocks, out);
                labels.pop();
            }
        }
    }

    fn bodies(
        &self,
        span: Span,
        node: &Node,
        labels: &[Key],
        blocks: &mut Vec<RawBlock>,
        out: &mut Diagnostics,
    ) {
        let mut push = |entries: Vec<(Key, Node)>, body: Span| {
            let body_span = span.to(body);
            blocks.push(RawBlock { ty: self.ty, labels: labels.to_vec(), entries, span, body_span });
        };
        if self.surface == Surface::Native {
            for item in super::values::one_or_many(node) {
                match item.as_map() {
                    Some(entries) if !item.is_labels() => push(entries.to_vec(), item.span),
                    Some(extra) => {
                        let at = extra.first().map_or(span, |(label, _)| label.span);
                        out.push(self.wrong_labels(at, labels.len()));
                    }
                    None => wrong_shape(item, &format!("The block {:?}", self.what), "a body", out),
                }
            }
            return;
        }
        match &node.kind {
            NodeKind::Null if self.surface == Surface::Json => {
                out.push(
                    Diagnostic::warning("G0503", "A block whose body is null is not there")
                        .detail("In Terraform's JSON a null body means that the block is absent.")
                        .help("If the block is meant, write {}.")
                        .at(node.span, "null"),
                );
            }
            NodeKind::Null if labels.is_empty() => {}
            NodeKind::Null => push(Vec::new(), span),
            NodeKind::Map(entries) => push(without_comments(entries), node.span),
            NodeKind::Seq(items) => {
                for item in items {
                    match &item.kind {
                        NodeKind::Map(entries) => push(without_comments(entries), item.span),
                        _ => wrong_shape(item, &format!("The block {:?}", self.what), "a mapping", out),
                    }
                }
            }
            NodeKind::Scalar { .. } | NodeKind::Expr(_) => {
                wrong_shape(node, &format!("The block {:?}", self.what), "a mapping", out);
            }
        }
    }

    fn wrong_labels(&self, at: Span, wanted: usize) -> Diagnostic {
        let names = match self.ty {
            BlockType::Data | BlockType::Resource | BlockType::Ephemeral => {
                "two labels, its type and its name"
            }
            _ if wanted == 1 => "one label, its name",
            _ => "no label",
        };
        Diagnostic::error("G0507", "Wrong number of labels")
            .detail(format!("A block of type {:?} has {names}.", self.what))
            .at(at, "this block's head")
    }
}

fn without_comments(entries: &[(Key, Node)]) -> Vec<(Key, Node)> {
    entries.iter().filter(|(k, _)| &*k.text != "//").cloned().collect()
}

fn check_name(key: &Key, what: &str, out: &mut Diagnostics) {
    if !is_name(&key.text) {
        out.push(not_a_name(what, &key.text, key.span));
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

pub(super) fn not_a_name(what: &str, text: &str, span: Span) -> Diagnostic {
    Diagnostic::error("G0504", "Not a name")
        .detail(format!(
            "A name in {what:?} begins with a letter or underscore and has letters, digits, underscores and dashes; {text:?} does not."
        ))
        .at(span, "this name")
}

/// The blocks that override files change, and what finds one of them.
struct Base {
    blocks: Vec<RawBlock>,
    named: HashMap<Name, usize>,
    /// Where the entries of blocks without names are: the block, and the place in it.
    entries: HashMap<(BlockType, Arc<str>), (usize, usize)>,
    is_whole: bool,
}

impl Base {
    fn new(blocks: Vec<RawBlock>, is_whole: bool) -> Base {
        let mut base = Base { blocks: Vec::new(), named: HashMap::new(), entries: HashMap::new(), is_whole };
        blocks.into_iter().for_each(|block| base.push(block));
        base
    }

    fn push(&mut self, block: RawBlock) {
        let at = self.blocks.len();
        self.named.entry(block.name()).or_insert(at);
        for (i, (key, _)) in block.entries.iter().enumerate().filter(|_| is_by_entry(block.ty)) {
            self.entries.entry((block.ty, key.text.clone())).or_insert((at, i));
        }
        self.blocks.push(block);
    }

    /// Merges one block of an override file, as Terraform does.
    fn override_with(&mut self, over: RawBlock, out: &mut Diagnostics) {
        if is_by_entry(over.ty) {
            return self.merge_by_entry(&over, out);
        }
        if let BlockType::Moved | BlockType::Import | BlockType::Removed | BlockType::Check = over.ty {
            return out.push(
                Diagnostic::error("G0505", "This block cannot stand in an override file")
                    .at(over.span, "move it to another file"),
            );
        }
        match self.named.get(&over.name()) {
            Some(base) => {
                refuse_fixed(&over, out);
                let base = &mut self.blocks[*base];
                // The two ways to expand a block exclude each other: the new one takes the old one's place.
                for (new, old) in [("count", "for_each"), ("for_each", "count")] {
                    if over.get(new).is_some() {
                        base.entries.retain(|(key, _)| &*key.text != old);
                    }
                }
                merge_entries(&mut base.entries, over.entries);
            }
            // A provider without a block has an empty configuration.
            None if over.ty == BlockType::Provider => self.push(over),
            None if !self.is_whole => {}
            None => out.push(
                nothing_to_override(
                    "An override file changes blocks that another file has; no other file has this one.",
                )
                .at(over.span, "this block"),
            ),
        }
    }

    fn merge_by_entry(&mut self, over: &RawBlock, out: &mut Diagnostics) {
        for (key, value) in over.entries.clone() {
            let Some((block, entry)) = self.entries.get(&(over.ty, key.text.clone())).copied() else {
                match over.ty == BlockType::Locals {
                    false => self.push(RawBlock { entries: vec![(key, value)], ..over.clone() }),
                    true if !self.is_whole => {}
                    true => out.push(
                        nothing_to_override(
                            "An override file changes locals that another file has; no other file has this one.",
                        )
                        .at(key.span, "this local"),
                    ),
                }
                continue;
            };
            let old = &mut self.blocks[block].entries[entry].1;
            match (&mut old.kind, value.kind.clone()) {
                (NodeKind::Map(old), NodeKind::Map(new))
                    if over.ty == BlockType::Terraform && &*key.text == "required_providers" =>
                {
                    merge_entries(old, new);
                }
                _ => *old = value,
            }
        }
    }
}

/// Settings and locals are overridden one by one, whichever block has them.
fn is_by_entry(ty: BlockType) -> bool {
    matches!(ty, BlockType::Locals | BlockType::Terraform | BlockType::Groma)
}

fn merge_entries(base: &mut Vec<(Key, Node)>, over: Vec<(Key, Node)>) {
    for (key, value) in over {
        match base.iter_mut().find(|(k, _)| k.text == key.text) {
            // Of a lifecycle block the arguments are merged one by one.
            Some((_, Node { kind: NodeKind::Map(old), .. })) if &*key.text == "lifecycle" => {
                if let NodeKind::Map(new) = value.kind {
                    merge_entries(old, new);
                }
            }
            Some(entry) => *entry = (key, value),
            None => base.push((key, value)),
        }
    }
}

fn nothing_to_override(why: &str) -> Diagnostic {
    Diagnostic::error("G0505", "Nothing to override").detail(why)
}

/// Says what of a block an override file can't change.
fn refuse_fixed(over: &RawBlock, out: &mut Diagnostics) {
    let says = |(key, node): &(Key, Node)| match &*key.text {
        "depends_on" => !node.as_seq().is_some_and(<[Node]>::is_empty),
        "validation" => over.ty == BlockType::Variable,
        "precondition" => over.ty == BlockType::Output,
        _ => false,
    };
    let lifecycles = over.entries.iter().filter(|(key, _)| &*key.text == "lifecycle");
    let lifecycles = lifecycles.flat_map(|(_, node)| super::values::one_or_many(node));
    let conditions = lifecycles.filter_map(Node::as_map).flatten().map(|(key, _)| key);
    let conditions = conditions.filter(|key| matches!(&*key.text, "precondition" | "postcondition"));
    let own = over.entries.iter().filter(|entry| says(entry)).map(|(key, _)| key);
    for key in own.chain(conditions) {
        out.push(
            Diagnostic::error("G0505", "This can't be overridden")
                .detail(format!("{:?} stands as it is in the block's own file.", key.text))
                .at(key.span, "move it to the block itself"),
        );
    }
}
