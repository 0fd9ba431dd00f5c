//! The tree of a document as lines of YAML, with the comments of native syntax where they stood.

use super::leaf;
use super::place::Place;
use super::scalar::{self, Scalar, indented};
use crate::config::gather::BlockType;
use groma_lang::document::{Form, Key, Node, NodeKind};
use groma_types::{Diagnostic, Span};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Lists in brackets are at most this wide.
const FLOW_WIDTH: usize = 80;

pub(super) type Written<T> = Result<T, Box<Diagnostic>>;

pub(super) struct Writer<'a> {
    pub(super) source: &'a str,
    /// Ascending.
    pub(super) comments: Vec<Range<usize>>,
}

/// A value after its key or dash.
enum Value {
    Inline(String),
    Block(&'static str, Vec<String>),
    Lines(Vec<String>),
}

/// One block as it stands in the text.
struct Occurrence<'n> {
    labels: Vec<&'n Key>,
    body: &'n Node,
    range: Range<usize>,
}

/// Comments around something: the lines before it, and the one at the end of its line.
#[derive(Default)]
struct Comments {
    before: Vec<String>,
    after: Option<String>,
}

fn bytes(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}

impl Writer<'_> {
    /// All of a document.
    pub(super) fn document(&self, root: &Node) -> Written<String> {
        let entries = root.as_map().unwrap_or_default();
        let lines = self.map(entries, 0..self.source.len(), Place::Root)?;
        Ok(lines.into_iter().map(|line| line + "\n").collect())
    }

    fn map(&self, entries: &[(Key, Node)], range: Range<usize>, place: Place) -> Written<Vec<String>> {
        let mut spots: Vec<Range<usize>> = Vec::new();
        for (key, node) in entries {
            match key.form {
                Form::Block => spots.extend(occurrences(key, node).into_iter().map(|o| o.range)),
                _ => spots.push(bytes(key.span.to(node.span))),
            }
        }
        let (mut around, tail) = self.around(spots, range);
        let mut lines = Vec::new();
        for (key, node) in entries {
            // A block scalar that keeps its line breaks ends with an empty line, and one more would be its own.
            if place == Place::Root && lines.last().is_some_and(|line: &String| !line.is_empty()) {
                lines.push(String::new());
            }
            if &*key.text == "//" && place == Place::Root {
                lines.extend(json_comment(node)?);
                continue;
            }
            let inside = place.inside(&key.text);
            if key.form == Form::Block {
                let all = occurrences(key, node);
                self.blocks(key, all, inside, &mut around, &mut lines)?;
                continue;
            }
            let mut comments = around.remove(&(key.span.start as usize)).unwrap_or_default();
            let value = self.value(node, inside)?;
            comments.before.extend(self.lost(node, &value));
            push_entry(&mut lines, &self.key(key)?, value, comments);
        }
        lines.extend(tail);
        Ok(lines)
    }

    fn key(&self, key: &Key) -> Written<String> {
        scalar::key(&key.text).ok_or_else(|| refusal(key.span))
    }

    /// All blocks of one type in one body.
    fn blocks(
        &self,
        key: &Key,
        all: Vec<Occurrence<'_>>,
        inside: Place,
        around: &mut HashMap<usize, Comments>,
        lines: &mut Vec<String>,
    ) -> Written<()> {
        let name = self.key(key)?;
        let in_order = inside == Place::Provisioner && all.len() > 1;
        if in_order {
            let mut items = Vec::new();
            for one in all {
                let comments = around.remove(&one.range.start).unwrap_or_default();
                items.extend(comments.before.into_iter().chain(comments.after));
                let body = self.labelled(vec![one], 0, inside, around)?;
                push_item(&mut items, body);
            }
            push_entry(lines, &name, Value::Lines(items), Comments::default());
            return Ok(());
        }
        let is_one = all.len() == 1;
        let comments =
            if is_one { around.remove(&all[0].range.start).unwrap_or_default() } else { Comments::default() };
        let value = self.labelled(all, 0, inside, around)?;
        push_entry(lines, &name, value, comments);
        Ok(())
    }

    /// Blocks that agree in their labels before `level`.
    fn labelled(
        &self,
        all: Vec<Occurrence<'_>>,
        level: usize,
        inside: Place,
        around: &mut HashMap<usize, Comments>,
    ) -> Written<Value> {
        if all.iter().all(|o| o.labels.len() == level) {
            return self.bodies(all, inside, around);
        }
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut groups: HashMap<Arc<str>, Vec<Occurrence<'_>>> = HashMap::new();
        for one in all {
            let Some(label) = one.labels.get(level) else { return Err(refusal(one.body.span)) };
            let group = groups.entry(label.text.clone()).or_default();
            if group.is_empty() {
                names.push(label.text.clone());
            }
            group.push(one);
        }
        let mut lines = Vec::new();
        for name in names {
            let group = groups.remove(&name).unwrap_or_default();
            let Some(first) = group.first() else { continue };
            let key = self.key(first.labels[level])?;
            let is_last = group.len() == 1 && first.labels.len() == level + 1;
            let comments = if is_last {
                around.remove(&first.range.start).unwrap_or_default()
            } else {
                Comments::default()
            };
            let value = self.labelled(group, level + 1, inside, around)?;
            push_entry(&mut lines, &key, value, comments);
        }
        Ok(Value::Lines(lines))
    }

    /// Blocks of the same type and labels: one as a mapping, several as a list.
    fn bodies(
        &self,
        all: Vec<Occurrence<'_>>,
        inside: Place,
        around: &mut HashMap<usize, Comments>,
    ) -> Written<Value> {
        let merges =
            matches!(inside, Place::Body(BlockType::Locals | BlockType::Terraform)) && are_apart(&all);
        let is_one = all.len() == 1;
        let mut lines = Vec::new();
        for one in all {
            let comments = around.remove(&one.range.start).unwrap_or_default();
            lines.extend(comments.before.into_iter().chain(comments.after));
            let entries = one.body.as_map().unwrap_or_default();
            let body = self.map(entries, inner(one.body.span), inside)?;
            if is_one || merges {
                lines.extend(body);
            } else {
                push_item(&mut lines, Value::Lines(body));
            }
        }
        Ok(if lines.is_empty() { Value::Inline("{}".into()) } else { Value::Lines(lines) })
    }

    fn value(&self, node: &Node, place: Place) -> Written<Value> {
        match &node.kind {
            NodeKind::Map(entries) if entries.is_empty() => Ok(Value::Inline("{}".into())),
            NodeKind::Map(entries) => Ok(Value::Lines(self.map(entries, inner(node.span), place)?)),
            NodeKind::Seq(items) => self.list(items, node, place),
            NodeKind::Null | NodeKind::Scalar { .. } => self.leaf(node, place),
            NodeKind::Expr(written) if place == Place::Providers => self.providers(written.expr(), node),
            NodeKind::Expr(_) => self.leaf(node, place),
        }
    }

    fn leaf(&self, node: &Node, place: Place) -> Written<Value> {
        match leaf::write(node, place, self.source) {
            Some(Scalar::Inline(text)) => Ok(Value::Inline(text)),
            Some(Scalar::Block(header, lines)) => Ok(Value::Block(header, lines)),
            None => Err(refusal(node.span)),
        }
    }

    /// `{ aws.eu = aws }`: the keys are references, so it is no mapping of values.
    fn providers(&self, expr: &groma_lang::expr::Expr, node: &Node) -> Written<Value> {
        let Some(items) = expr.object_items() else { return Err(refusal(node.span)) };
        let mut lines = Vec::new();
        for (key, value) in items {
            let name = key.as_bare_key().map(|r| r.to_string());
            let name = name.or_else(|| key.as_literal()?.as_str().map(String::from));
            let Some(name) = name.and_then(|n| scalar::key(&n)) else { return Err(refusal(key.span())) };
            lines.push(format!("{name}: {}", value.source_text()));
        }
        Ok(Value::Lines(lines))
    }

    /// Comments from inside of a value that has no place for them.
    fn lost(&self, node: &Node, value: &Value) -> Vec<String> {
        let written = match value {
            Value::Inline(text) => text.clone(),
            Value::Block(_, lines) => lines.join("\n"),
            Value::Lines(_) => return Vec::new(),
        };
        let range = bytes(node.span);
        let from = self.comments.partition_point(|c| c.start < range.start);
        let inside = self.comments[from..].iter().take_while(|c| c.start < range.end);
        let lost = inside.filter(|c| !written.contains(self.source[(*c).clone()].trim_end()));
        lost.flat_map(|c| self.comment(c)).collect()
    }

    fn list(&self, items: &[Node], node: &Node, place: Place) -> Written<Value> {
        let range = inner(node.span);
        if self.within(range.clone()).is_empty()
            && let Some(line) = self.flow(items, place)
        {
            return Ok(Value::Inline(line));
        }
        let (mut around, tail) = self.around(items.iter().map(|n| bytes(n.span)).collect(), range);
        let mut lines = Vec::new();
        for item in items {
            let comments = around.remove(&(item.span.start as usize)).unwrap_or_default();
            let mut value = self.value(item, place)?;
            lines.extend(comments.before.into_iter().chain(self.lost(item, &value)));
            match (&mut value, comments.after) {
                (Value::Inline(text), Some(after)) => text.push_str(&format!(" {after}")),
                (_, after) => lines.extend(after),
            }
            push_item(&mut lines, value);
        }
        lines.extend(tail);
        Ok(if items.is_empty() { Value::Inline("[]".into()) } else { Value::Lines(lines) })
    }

    /// A short list of short things.
    fn flow(&self, items: &[Node], place: Place) -> Option<String> {
        let mut parts = Vec::new();
        for item in items {
            if matches!(item.kind, NodeKind::Seq(_) | NodeKind::Map(_)) {
                return None;
            }
            let part = leaf::write_in_flow(item, place, self.source)?;
            // Line by line nothing needs quotes because of the brackets.
            if part.contains("${") || place == Place::Reference && part.starts_with(['"', '\'']) {
                return None;
            }
            parts.push(part);
        }
        let line = format!("[{}]", parts.join(", "));
        (line.len() <= FLOW_WIDTH).then_some(line)
    }

    /// Gives each of the spots the comments that belong to it, and what is left at the end.
    fn around(
        &self,
        mut spots: Vec<Range<usize>>,
        range: Range<usize>,
    ) -> (HashMap<usize, Comments>, Vec<String>) {
        spots.sort_by_key(|s| s.start);
        let mut found = HashMap::new();
        if self.comments.is_empty() {
            return (found, Vec::new());
        }
        let mut at = range.start;
        for (i, spot) in spots.iter().enumerate() {
            let mut comments = Comments { before: self.within(at..spot.start), after: None };
            at = spot.end;
            let until = spots.get(i + 1).map_or(range.end, |next| next.start);
            let next = self.comments.partition_point(|c| c.start < at);
            if let Some(comment) = self.comments.get(next).filter(|c| c.start < until)
                && !self.source[at..comment.start].contains('\n')
            {
                let mut lines = self.comment(comment);
                if lines.len() == 1 {
                    comments.after = lines.pop();
                    at = comment.end;
                }
            }
            found.insert(spot.start, comments);
        }
        let tail = self.within(at..range.end.max(at));
        (found, tail)
    }

    /// The comments that begin in a range, as lines.
    fn within(&self, range: Range<usize>) -> Vec<String> {
        let from = self.comments.partition_point(|c| c.start < range.start);
        let inside = self.comments[from..].iter().take_while(|c| c.start < range.end);
        inside.flat_map(|c| self.comment(c)).collect()
    }

    fn comment(&self, at: &Range<usize>) -> Vec<String> {
        let raw = &self.source[at.clone()];
        let text = match raw.strip_prefix("/*") {
            Some(body) => body.trim_end_matches("*/"),
            None => raw.strip_prefix("//").unwrap_or_else(|| raw.trim_start_matches('#')),
        };
        let lines =
            text.trim().lines().map(|line| line.trim_end().strip_prefix(" * ").unwrap_or(line.trim()));
        let lines: Vec<String> = lines.map(|l| format!("# {l}").trim_end().to_string()).collect();
        if lines.is_empty() { vec!["#".into()] } else { lines }
    }
}

fn push_entry(lines: &mut Vec<String>, key: &str, value: Value, comments: Comments) {
    lines.extend(comments.before);
    match value {
        Value::Inline(text) => {
            let after = comments.after.map(|c| format!(" {c}")).unwrap_or_default();
            lines.push(format!("{key}: {text}{after}"));
        }
        Value::Block(header, block) => {
            lines.extend(comments.after);
            lines.push(format!("{key}: {header}"));
            lines.extend(block.iter().map(|l| indented(l)));
        }
        Value::Lines(inside) => {
            lines.extend(comments.after);
            lines.push(format!("{key}:"));
            lines.extend(inside.iter().map(|l| indented(l)));
        }
    }
}

fn push_item(lines: &mut Vec<String>, value: Value) {
    match value {
        Value::Inline(text) => lines.push(format!("- {text}")),
        Value::Block(header, block) => {
            lines.push(format!("- {header}"));
            lines.extend(block.iter().map(|l| indented(l)));
        }
        Value::Lines(inside) if inside.is_empty() => lines.push("- {}".into()),
        Value::Lines(inside) => {
            // A dash stands before the first line that says something.
            let first = inside.iter().position(|l| !l.is_empty() && !l.starts_with('#')).unwrap_or(0);
            lines.extend(inside[..first].iter().cloned());
            lines.push(format!("- {}", inside[first]));
            lines.extend(inside[first + 1..].iter().map(|l| indented(l)));
        }
    }
}

fn refusal(at: Span) -> Box<Diagnostic> {
    Box::new(
        Diagnostic::error("G0540", "This can't be written as YAML")
            .detail("No form of YAML reads back to the same; converting it would change what it means.")
            .help(
                "Write it in another way, or leave this file as it is: all syntaxes can stand in one folder.",
            )
            .at(at, "this"),
    )
}

/// The blocks of one type in the order of the text.
fn occurrences<'n>(key: &'n Key, node: &'n Node) -> Vec<Occurrence<'n>> {
    let items: Vec<&Node> = match &node.kind {
        NodeKind::Seq(items) => items.iter().collect(),
        _ => vec![node],
    };
    let occurrence = |(i, item): (usize, &'n Node)| {
        let mut labels = Vec::new();
        let mut body = item;
        while let Some([(label, inside)]) = body.as_map().filter(|_| body.is_labels()) {
            labels.push(label);
            body = inside;
        }
        let start = if i == 0 { key.span.start } else { item.span.start };
        Occurrence { labels, body, range: start as usize..item.span.end as usize }
    };
    items.into_iter().enumerate().map(occurrence).collect()
}

/// What stands between the brackets.
fn inner(span: Span) -> Range<usize> {
    let range = bytes(span);
    range.start + 1..range.end.saturating_sub(1).max(range.start + 1)
}

/// Whether no two bodies have a key in common.
fn are_apart(all: &[Occurrence<'_>]) -> bool {
    let mut seen = HashSet::new();
    let mut keys = all.iter().flat_map(|o| o.body.as_map().unwrap_or_default()).map(|(key, _)| &key.text);
    keys.all(|key| seen.insert(key))
}

/// The comment of Terraform's JSON.
fn json_comment(node: &Node) -> Written<Vec<String>> {
    let Some(text) = node.as_text() else { return Err(refusal(node.span)) };
    Ok(text.content().lines().map(|line| format!("# {line}").trim_end().to_string()).collect())
}
