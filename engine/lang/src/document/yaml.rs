//! YAML as the language page has it: core schema, keys by their text, bounded aliases, plain `<<`.

use super::align::scalar_text;
use super::traps::{self, Patch};
use super::{Key, Node, NodeKind, Style};
use crate::text::Text;
use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, StructureStyle, Tag};
use groma_types::{Diagnostic, Diagnostics, SourceId, Span};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Nodes that aliases may add to one text before it is called a bomb.
const ALIAS_NODES_MAX: usize = 200_000;
/// Nodes that are kept for aliases in one text. What goes beyond it is kept for none.
const ANCHOR_NODES_MAX: usize = 4 * ALIAS_NODES_MAX;
/// Levels that nesting through aliases may reach; the parser bounds it without them.
const DEPTH_MAX: usize = 512;
/// Faults that are corrected in a copy of the text so that later ones are found in the same run.
const PATCHES_MAX: usize = 40;
/// Bytes that are read again for it: a large file with a trap in each line is not read forty times.
const READ_AGAIN_MAX: usize = 1 << 20;
/// Bytes that corrections may add to the copy beyond its double.
const COPY_SLACK: usize = 4096;

/// Comments are no events: the parser holds only so many back, and a text may have any number of them.
pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.emit_comments = false;
    options
}

/// Reads all documents of a YAML text. Empty documents are left out.
pub fn parse_yaml(source: SourceId, text: &str) -> (Vec<Node>, Diagnostics) {
    let mut first = Reader::new(source, text);
    first.run();
    let Reader { docs, mut diagnostics, patch, .. } = first;
    find_more_faults(source, text, patch, &mut diagnostics);
    (docs, diagnostics)
}

/// A fault that stops the parser is corrected in a copy, which is read for the faults after it.
fn find_more_faults(source: SourceId, text: &str, patch: Option<Patch>, diagnostics: &mut Diagnostics) {
    let mut copy = text.to_string();
    // Pairs of a place in the copy and by how much the copy is longer from there on.
    let mut shifts: Vec<(usize, isize)> = Vec::new();
    let mut next = patch;
    let mut last = None;
    let mut again = 0;
    for _ in 0..PATCHES_MAX {
        let Some(patch) = next.take() else { return };
        // A line that was corrected and still does not parse is beyond this; quoting it again would only grow it.
        if last == Some(patch.range.start) || copy.len() > 2 * text.len() + COPY_SLACK {
            return;
        }
        if again > READ_AGAIN_MAX {
            return;
        }
        again += copy.len();
        last = Some(patch.range.start);
        let delta = patch.line.len().cast_signed() - patch.range.len().cast_signed();
        let end = patch.range.start + patch.line.len();
        copy.replace_range(patch.range, &patch.line);
        shifts.push((end, delta));
        let mut reader = Reader::new(source, &copy);
        reader.run();
        let back = |at: u32| {
            let at = at as usize;
            let by: isize = shifts.iter().filter(|(from, _)| at >= *from).map(|(_, d)| d).sum();
            u32::try_from(at.saturating_add_signed(-by)).unwrap_or(u32::MAX)
        };
        let Reader { diagnostics: found, patch, .. } = reader;
        // Help that shows a line was made from the copy, which has the line as the user wrote it.
        diagnostics.extend(found.into_iter().map(|mut d| {
            for label in &mut d.labels {
                label.span = Span { start: back(label.span.start), end: back(label.span.end), ..label.span };
            }
            d
        }));
        next = patch;
    }
}

/// A collection that is not closed yet.
struct Frame {
    start: usize,
    flow: bool,
    anchor: usize,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, seen: HashMap<Arc<str>, Span>, key: Option<Pending>, merges: Vec<Node> },
}

/// A key that waits for its value.
enum Pending {
    Key(Key),
    Merge,
}

/// What an alias stands for.
enum Anchor {
    /// Its value is not complete yet.
    Open,
    /// Larger than all that aliases may add.
    TooLarge,
    Node {
        node: Node,
        nodes: usize,
        depth: usize,
    },
}

struct Reader<'a> {
    source: SourceId,
    text: &'a str,
    diagnostics: Diagnostics,
    docs: Vec<Node>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Anchor>,
    /// Nodes that anchors keep.
    anchored: usize,
    /// Nodes that aliases added.
    aliased: usize,
    /// Where the last scalar lies.
    last_scalar: Range<usize>,
    /// An unclosed template, held back until it is clear that the parser does not stop at it.
    unclosed: Option<(Diagnostic, Option<Patch>)>,
    patch: Option<Patch>,
}

impl<'a> Reader<'a> {
    fn new(source: SourceId, text: &'a str) -> Reader<'a> {
        Reader {
            source,
            text,
            diagnostics: Diagnostics::new(),
            docs: Vec::new(),
            stack: Vec::new(),
            anchors: HashMap::new(),
            anchored: 0,
            aliased: 0,
            last_scalar: 0..0,
            unclosed: None,
            patch: None,
        }
    }

    fn run(&mut self) {
        let text = self.text;
        for event in Parser::new_from_str_with_options(text, options()) {
            match event {
                Ok((event, span)) => {
                    let range = span.byte_range().unwrap_or(0..0);
                    let tag_at = span.tag_start().and_then(|m| m.byte_offset());
                    self.event(event, range, tag_at);
                }
                Err(error) => return self.scan_error(&error),
            }
        }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.source, range.start, range.end)
    }

    fn in_flow(&self) -> bool {
        self.stack.last().is_some_and(|f| f.flow)
    }

    fn report(&mut self, (diagnostic, patch): (Diagnostic, Option<Patch>)) {
        self.diagnostics.push(diagnostic);
        if self.patch.is_none() {
            self.patch = patch;
        }
    }

    fn scan_error(&mut self, error: &ScanError) {
        if *error.kind() == ErrorKind::MappingValueNotAllowed {
            self.unclosed = None;
        }
        self.report_unclosed();
        let at = error.marker().byte_offset().unwrap_or(self.text.len());
        let found = traps::explain(&traps::Fault {
            source: self.source,
            text: self.text,
            at,
            kind: error.kind(),
            in_flow: self.in_flow(),
            last_scalar: self.last_scalar.clone(),
        });
        self.report(found);
    }

    fn report_unclosed(&mut self) {
        if let Some(found) = self.unclosed.take() {
            self.report(found);
        }
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>, tag_at: Option<usize>) {
        self.report_unclosed();
        match event {
            Event::Scalar(content, style, anchor, tag) => {
                self.scalar(&content, style, range, anchor, tag.as_deref().map(|t| (t, tag_at)));
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", &range, tag_at);
                self.open(Content::Seq(Vec::new()), style, anchor, range.start);
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", &range, tag_at);
                let content =
                    Content::Map { entries: Vec::new(), seen: HashMap::new(), key: None, merges: Vec::new() };
                self.open(content, style, anchor, range.start);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range.end),
            Event::Alias(id) => self.alias(id, range),
            Event::DocumentEnd => self.anchors.clear(),
            _ => {}
        }
    }

    fn open(&mut self, content: Content, style: StructureStyle, anchor: usize, start: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, Anchor::Open);
        }
        self.stack.push(Frame { start, flow: style == StructureStyle::Flow, anchor, content });
    }

    fn close(&mut self, end: usize) {
        let Some(frame) = self.stack.pop() else { return };
        let (kind, last) = match frame.content {
            Content::Seq(items) => {
                let last = items.last().map(|n| n.span.end as usize);
                (NodeKind::Seq(items), last)
            }
            Content::Map { mut entries, merges, seen, .. } => {
                let last = entries.iter().map(|(_, v)| v.span.end as usize).max();
                self.merge(&mut entries, &seen, merges);
                (NodeKind::Map(entries), last)
            }
        };
        // A block collection ends with its last entry, not where the next token begins.
        let end = if frame.flow { end } else { last.unwrap_or(frame.start).max(frame.start) };
        let node = Node { span: self.span(frame.start..end), kind };
        self.finish(node, frame.anchor);
    }

    /// Adds the entries of `<<` that the mapping does not have itself; earlier sources win.
    fn merge(&mut self, entries: &mut Vec<(Key, Node)>, seen: &HashMap<Arc<str>, Span>, merges: Vec<Node>) {
        let mut sources = Vec::new();
        for merge in merges {
            match merge.kind {
                NodeKind::Seq(items) => sources.extend(items),
                _ => sources.push(merge),
            }
        }
        let mut added: HashMap<Arc<str>, Span> = seen.clone();
        for source in sources {
            let NodeKind::Map(more) = source.kind else {
                self.diagnostics.push(
                    Diagnostic::error("G0405", "`<<` takes a mapping")
                        .detail(format!(
                            "It merges a mapping, or a list of mappings; this is {}.",
                            source.friendly()
                        ))
                        .at(source.span, "not a mapping"),
                );
                continue;
            };
            for (key, value) in more {
                if !added.contains_key(&key.text) {
                    added.insert(key.text.clone(), key.span);
                    entries.push((key, value));
                }
            }
        }
    }

    fn alias(&mut self, id: usize, range: Range<usize>) {
        let span = self.span(range);
        let before = self.aliased;
        let node = match self.anchors.get(&id) {
            Some(Anchor::Node { node, nodes, depth }) => {
                self.aliased = before.saturating_add(*nodes);
                let fits = self.aliased <= ALIAS_NODES_MAX && depth + self.stack.len() <= DEPTH_MAX;
                fits.then(|| node.clone())
            }
            Some(Anchor::TooLarge) => {
                self.aliased = usize::MAX;
                None
            }
            Some(Anchor::Open) | None => {
                self.diagnostics.push(
                    Diagnostic::error("G0404", "Alias inside of what it stands for")
                        .detail("The anchor's value is not complete here: it would hold itself.")
                        .at(span, "this alias"),
                );
                Some(Node::null(span))
            }
        };
        if node.is_none() && before <= ALIAS_NODES_MAX {
            self.diagnostics.push(
                Diagnostic::error("G0404", "Aliases make too much of this text")
                    .detail(format!(
                        "More than {ALIAS_NODES_MAX} values, or more than {DEPTH_MAX} levels, would come from aliases."
                    ))
                    .at(span, "one alias too many"),
            );
        }
        self.place(node.unwrap_or_else(|| Node::null(span)), None);
    }

    /// Keeps a copy of a value for its aliases, unless none of them could be in bounds.
    fn keep(&mut self, id: usize, node: &Node) {
        let most = ALIAS_NODES_MAX.min(ANCHOR_NODES_MAX - self.anchored);
        let (nodes, depth) = size(node, most);
        let anchor = if nodes > most {
            Anchor::TooLarge
        } else {
            self.anchored += nodes;
            Anchor::Node { node: node.clone(), nodes, depth }
        };
        self.anchors.insert(id, anchor);
    }

    fn scalar(
        &mut self,
        content: &str,
        style: ScalarStyle,
        range: Range<usize>,
        anchor: usize,
        tag: Option<(&Tag, Option<usize>)>,
    ) {
        let is_key = matches!(self.stack.last(), Some(Frame { content: Content::Map { key: None, .. }, .. }));
        let plain = style == ScalarStyle::Plain;
        // The parser writes `~` for a scalar that is not there.
        let content = if plain && range.is_empty() { "" } else { content };
        let range = self.trim(range, style);
        if !(plain && range.is_empty()) {
            self.last_scalar = range.clone();
        }
        let as_text = tag.is_some_and(|(tag, at)| self.check_scalar_tag(tag, at, content, &range));
        if plain && !as_text {
            self.check_plain(content, &range, is_key);
        }
        if anchor > 0 && content.is_empty() && plain && tag.is_none() && !is_key {
            self.report(traps::ampersand(self.source, self.text, range.start));
        }
        let node = self.scalar_node(content, style, range, is_key, as_text);
        let merge = is_key && plain && content == "<<";
        if merge {
            if let Some(Frame { content: Content::Map { key, .. }, .. }) = self.stack.last_mut() {
                *key = Some(Pending::Merge);
            }
            return;
        }
        self.finish(node, anchor);
    }

    /// Block scalars end with their last line, quoted ones with the quote.
    fn trim(&self, range: Range<usize>, style: ScalarStyle) -> Range<usize> {
        let end = range.end.min(self.text.len());
        if matches!(style, ScalarStyle::Plain) {
            let taken = self.text[range.start..end].trim_end().len();
            return range.start..range.start + taken;
        }
        range.start..end
    }

    fn scalar_node(
        &self,
        content: &str,
        style: ScalarStyle,
        range: Range<usize>,
        is_key: bool,
        as_text: bool,
    ) -> Node {
        let span = self.span(range.clone());
        let plain = style == ScalarStyle::Plain && !as_text;
        if plain && !is_key && matches!(content, "" | "~" | "null" | "Null" | "NULL") {
            return Node::null(span);
        }
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let content = if block { traps::single_interpolation(content).unwrap_or(content) } else { content };
        let text: Text = scalar_text(self.source, self.text, range, content, style);
        let style = match (plain, block) {
            (true, _) => Style::Plain,
            (_, true) => Style::Block,
            _ => Style::Quoted,
        };
        Node { span, kind: NodeKind::Scalar { text, style } }
    }

    fn check_plain(&mut self, content: &str, range: &Range<usize>, is_key: bool) {
        if traps::unclosed(content).is_some() {
            let found = traps::unclosed_plain(self.source, self.text, range, is_key, self.in_flow());
            self.unclosed = Some(found);
            return;
        }
        if is_key {
            return;
        }
        let span = self.span(range.clone());
        let unsigned = content.strip_prefix(['-', '+']).unwrap_or(content);
        if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
            self.diagnostics.push(
                Diagnostic::error("G0407", "Not a number that can be kept")
                    .detail("Infinity and not-a-number have no place in a configuration.")
                    .help(format!("If text is meant, quote it: \"{content}\""))
                    .at(span, "infinite or not a number"),
            );
        }
        if unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.bytes().all(|b| b.is_ascii_digit()) {
            let octal = unsigned.trim_start_matches('0');
            let octal = if octal.is_empty() { "0" } else { octal };
            self.diagnostics.push(
                Diagnostic::error("G0406", "Digits with a leading zero")
                    .detail("Some readers take this for octal, some for decimal, some for text.")
                    .help(format!(
                        "Write 0o{octal} for octal, {octal} for decimal, \"{content}\" in quotes for text."
                    ))
                    .at(span, "ambiguous"),
            );
        }
    }

    /// Returns whether the tag makes the scalar text.
    fn check_scalar_tag(
        &mut self,
        tag: &Tag,
        at: Option<usize>,
        content: &str,
        range: &Range<usize>,
    ) -> bool {
        let suffix = tag.core_suffix();
        match suffix {
            Some("str") => return true,
            Some("null" | "bool" | "int" | "float") => {
                let ok = match suffix {
                    Some("null") => matches!(content, "" | "~" | "null" | "Null" | "NULL"),
                    Some("bool") => matches!(super::plain_kind(content), super::Plain::Bool(_)),
                    _ => super::plain_kind(content) == super::Plain::Number,
                };
                if !ok {
                    let span = self.span(range.clone());
                    self.diagnostics.push(
                        Diagnostic::error("G0403", "The value does not fit its tag")
                            .detail(format!("{content:?} is no value of this type."))
                            .at(span, "this value"),
                    );
                }
                return false;
            }
            _ => {}
        }
        if tag.handle().is_empty() && tag.suffix() == "!" {
            return true;
        }
        let at = at.unwrap_or(range.start);
        self.report(traps::tag(self.source, self.text, at, range.end));
        false
    }

    fn check_collection_tag(
        &mut self,
        tag: Option<&Tag>,
        own: &str,
        range: &Range<usize>,
        at: Option<usize>,
    ) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(own)
        {
            self.report(traps::tag(self.source, self.text, at.unwrap_or(range.start), range.start));
        }
    }

    fn finish(&mut self, node: Node, anchor: usize) {
        let anchored = (anchor > 0).then_some(anchor);
        self.place(node, anchored);
    }

    /// Puts a node where it belongs: a key, a value, an element, a document.
    fn place(&mut self, node: Node, anchor: Option<usize>) {
        if let Some(id) = anchor {
            self.keep(id, &node);
        }
        let Some(frame) = self.stack.last_mut() else {
            if !node.is_null() {
                self.docs.push(node);
            }
            return;
        };
        match &mut frame.content {
            Content::Seq(items) => items.push(node),
            Content::Map { entries, key, merges, .. } => match key.take() {
                Some(Pending::Key(key)) => entries.push((key, node)),
                Some(Pending::Merge) => merges.push(node),
                None => self.key(&node),
            },
        }
    }

    fn key(&mut self, node: &Node) {
        let text: Arc<str> = match &node.kind {
            NodeKind::Scalar { text, .. } => text.content().into(),
            NodeKind::Null => "null".into(),
            NodeKind::Seq(_) | NodeKind::Map(_) | NodeKind::Expr(_) => {
                self.diagnostics.push(
                    Diagnostic::error("G0402", "A key must be text")
                        .detail(format!("Here the key is {}.", node.friendly()))
                        .help("If the key is a template, quote it: \"${…}\": value")
                        .at(node.span, "this key"),
                );
                "".into()
            }
        };
        let Some(Frame { content: Content::Map { key, seen, .. }, .. }) = self.stack.last_mut() else {
            return;
        };
        if let Some(first) = seen.insert(text.clone(), node.span) {
            self.diagnostics.push(
                Diagnostic::error("G0401", "A key is there twice")
                    .detail(format!("The mapping has {text:?} already; one of the two would be lost."))
                    .at(node.span, "the second one")
                    .at(first, "the first one"),
            );
        }
        *key = Some(Pending::Key(Key::new(text, node.span)));
    }
}

/// How many nodes there are, and how deep they lie. Counting ends above `most`.
fn size(node: &Node, most: usize) -> (usize, usize) {
    let sum = |(nodes, depth): (usize, usize), child: &Node| {
        if nodes > most {
            return (nodes, depth);
        }
        let (n, d) = size(child, most - nodes);
        (nodes + n, depth.max(d + 1))
    };
    match &node.kind {
        NodeKind::Null | NodeKind::Scalar { .. } | NodeKind::Expr(_) => (1, 1),
        NodeKind::Seq(items) => items.iter().fold((1, 1), sum),
        NodeKind::Map(entries) => entries.iter().map(|(_, v)| v).fold((1, 1), sum),
    }
}
