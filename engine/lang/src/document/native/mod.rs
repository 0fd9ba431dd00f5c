//! Terraform's native syntax: arguments and blocks, line by line, with expressions where they stand.
//!
//! Duty: everything that the text alone can say. After a fault the rest of the text is read as far as sense allows, so
//! that all faults are told. Each byte is looked at a bounded number of times.

mod entries;
mod recover;

#[cfg(test)]
mod tests;

use super::{Form, Key, Node, NodeKind, Written};
use crate::expr::Expr;
use crate::lexer::{Tok, Token};
use crate::parser::{Parser, deep};
use crate::text::Text;
use entries::Entries;
use groma_types::{Diagnostic, Diagnostics, SourceId, Span, Type, Value};
pub use recover::native_comments;
use std::collections::HashSet;
use std::sync::Arc;

/// Levels of blocks, lists and objects inside each other; deeper lists and objects stay one expression.
const DEPTH_MAX: usize = 255;

/// After so many faults the text is not read on: a message takes far more than the two bytes that can cause one.
const FAULTS_MAX: usize = 1000;

/// Reads a text in native syntax. Where the diagnostics hold errors, the tree lacks what they tell of.
pub fn parse_native(source: SourceId, text: &str) -> (Node, Diagnostics) {
    let whole = Text::plain(text, source, 0);
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut reader = Reader {
        text,
        source,
        parser: Parser::in_document(&whole, start),
        out: Diagnostics::new(),
        after_fault: AfterFault::GoOn,
        at_margin: None,
    };
    let kind = reader.body(None, 0);
    (Node { span: Span::new(source, start, text.len()), kind }, reader.out)
}

struct Reader<'a> {
    text: &'a str,
    source: SourceId,
    parser: Parser<'a>,
    out: Diagnostics,
    after_fault: AfterFault,
    /// The first block at the start of a line, since the outermost block was opened, that stands inside another one.
    at_margin: Option<Span>,
}

/// How reading goes on after a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterFault {
    GoOn,
    /// All open blocks are left: what follows begins at the margin.
    ToTheTop,
    /// Nothing after the fault can be trusted.
    Stop,
}

/// A fault that was told; what to do about it is left to the caller.
struct Told;

impl<'a> Reader<'a> {
    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    fn tell(&mut self, at: Span, label: &str, summary: &'static str, detail: impl Into<String>) {
        self.out.push(Diagnostic::error("G0460", summary).detail(detail).at(at, label));
    }

    /// Tells of a token that can't stand where it is.
    fn tell_token(&mut self, t: Token, summary: &'static str, detail: impl Into<String>) {
        if matches!(t.tok, Tok::Invalid | Tok::OpenComment) {
            return self.out.push(*self.parser.fault(t, summary, ""));
        }
        let label = if t.tok == Tok::End { "the text ends here" } else { "here" };
        self.tell(self.parser.span_of(t), label, summary, detail);
    }

    /// What stands up to the closing brace, or to the end of the text.
    fn body(&mut self, open: Option<Token>, depth: usize) -> NodeKind {
        let mut entries = Entries::default();
        loop {
            let next = self.parser.peek();
            match next.tok {
                Tok::Newline => {
                    self.parser.read();
                }
                Tok::End => {
                    if let Some(open) = open {
                        self.unclosed(open);
                    }
                    break;
                }
                Tok::CloseBrace if open.is_some() => {
                    self.parser.read();
                    break;
                }
                _ => {
                    if self.item(&mut entries, depth).is_err() {
                        self.recover(next.start);
                    }
                }
            }
            if self.out.len() >= FAULTS_MAX {
                self.after_fault = AfterFault::Stop;
            }
            match (self.after_fault, open) {
                (AfterFault::GoOn, _) => {}
                (AfterFault::ToTheTop, None) => self.after_fault = AfterFault::GoOn,
                (AfterFault::ToTheTop | AfterFault::Stop, _) => break,
            }
        }
        NodeKind::Map(entries.into_map())
    }

    fn unclosed(&mut self, open: Token) {
        if self.after_fault != AfterFault::GoOn {
            return;
        }
        // One fault for all blocks around: they lack the same brace.
        self.after_fault = AfterFault::Stop;
        let mut fault = Diagnostic::error("G0460", "Unclosed configuration block")
            .detail("There is no closing brace for this block before the end of the file. The braces may be unbalanced further inside.")
            .at(self.parser.span_of(open), "opened here");
        if let Some(inner) = self.at_margin {
            fault = fault.at(inner, "begins at the margin, but stands inside of another block");
        }
        self.out.push(fault);
    }

    /// An argument or a block, with the end of its line.
    fn item(&mut self, entries: &mut Entries, depth: usize) -> Result<(), Told> {
        let first = self.parser.peek();
        match first.tok {
            Tok::Ident => {}
            Tok::Quote => {
                self.tell_token(
                    first,
                    "Invalid argument name",
                    "Names of arguments and blocks stand without quotes.",
                );
                return Err(Told);
            }
            Tok::CloseBrace => {
                self.tell_token(first, "Unexpected closing brace", "No block is open here.");
                self.parser.read();
                return Ok(());
            }
            _ => {
                self.tell_token(first, REQUIRED, "An argument or a block is expected here.");
                return Err(Told);
            }
        }
        self.parser.read();
        let next = self.parser.peek();
        match next.tok {
            Tok::Assign => {
                self.parser.read();
                let start = self.parser.peek().start;
                if self.argument(first, entries, depth) {
                    self.line_end(start);
                }
                Ok(())
            }
            Tok::OpenBrace | Tok::Quote | Tok::Ident => self.block(first, entries, depth),
            _ => {
                self.no_item(first, next);
                Err(Told)
            }
        }
    }

    fn no_item(&mut self, first: Token, next: Token) {
        let name = self.parser.slice(first);
        match next.tok {
            Tok::Newline | Tok::End => self.tell_token(
                first,
                REQUIRED,
                format!("To set an argument write {name} = VALUE; to open a block write {name} {{."),
            ),
            Tok::Dot | Tok::OpenBracket => self.tell_token(
                next,
                REQUIRED,
                "An argument's name is one word: a part of a value can't be set by itself.",
            ),
            _ => self.tell_token(
                next,
                REQUIRED,
                "An argument's name and its value are joined by an equals sign (\"=\").",
            ),
        }
    }

    fn key(&self, t: Token, form: Form) -> Key {
        Key { text: self.parser.slice(t).into(), span: self.parser.span_of(t), form }
    }

    /// The value of an argument. After a fault of the value the argument is there all the
    /// same, and not known. Says whether the value was sound.
    fn argument(&mut self, name: Token, entries: &mut Entries, depth: usize) -> bool {
        let start = self.parser.peek().start;
        let (expr, sound) = match self.parser.next_expression() {
            Ok(expr) => (expr, true),
            Err(fault) => {
                self.out.push(*fault);
                self.recover(start);
                (Expr::literal(Value::unknown(Type::Dynamic), self.span(start, start)), false)
            }
        };
        let end = self.parser.place().max(start);
        let node = Node { span: self.span(start, end), kind: opened(expr, depth + 1) };
        entries.argument(self.key(name, Form::Argument), node, &mut self.out);
        sound
    }

    fn line_end(&mut self, start: usize) {
        let next = self.parser.peek();
        match next.tok {
            Tok::Newline | Tok::End => return,
            Tok::Comma => self.tell_token(
                next,
                "Unexpected comma after argument",
                "Arguments are separated by line breaks, not by commas.",
            ),
            _ => self.tell_token(
                next,
                "Missing newline after argument",
                "An argument ends with its line; nothing may follow its value.",
            ),
        }
        self.recover(start);
    }

    /// Labels and body of a block, and the end of its line.
    fn block(&mut self, first: Token, entries: &mut Entries, depth: usize) -> Result<(), Told> {
        let key = self.key(first, Form::Block);
        let mut labels = Vec::new();
        let open = loop {
            let next = self.parser.peek();
            match next.tok {
                Tok::Ident => {
                    self.parser.read();
                    labels.push(self.key(next, Form::Label));
                }
                Tok::Quote => labels.push(self.quoted_label(next)?),
                Tok::OpenBrace => break self.parser.read(),
                _ => {
                    self.no_body(&key, &labels, next);
                    return Err(Told);
                }
            }
        };
        if depth + labels.len() >= DEPTH_MAX {
            self.out.push(
                Diagnostic::error("G0461", "Blocks nested too deeply")
                    .detail(format!("At most {DEPTH_MAX} levels of blocks are supported."))
                    .at(key.span, "this level is too deep"),
            );
            return Err(Told);
        }
        self.note_margin(first, depth);
        let one_line = !matches!(self.parser.peek().tok, Tok::Newline | Tok::End);
        let kind = if one_line {
            self.one_line_body(open, depth + 1)?
        } else {
            deep(|| self.body(Some(open), depth + 1))
        };
        let span = self.span(open.start, self.parser.place());
        entries.block(key, labels, Node { span, kind }, &mut self.out);
        if self.after_fault != AfterFault::GoOn {
            return Ok(());
        }
        let next = self.parser.peek();
        if !matches!(next.tok, Tok::Newline | Tok::End) {
            self.tell_token(
                next,
                "Missing newline after block definition",
                "A block ends with its line; nothing may follow its closing brace.",
            );
            return Err(Told);
        }
        Ok(())
    }

    fn quoted_label(&mut self, quote: Token) -> Result<Key, Told> {
        let expr = self.parser.next_quoted().map_err(|fault| {
            self.out.push(*fault);
            Told
        })?;
        let span = self.span(quote.start, self.parser.place());
        match expr.as_literal().and_then(Value::as_str) {
            Some(text) => Ok(Key { text: text.into(), span, form: Form::Label }),
            None => {
                self.tell(
                    span,
                    "a template",
                    "Invalid block label",
                    "A label is fixed text: no template sequence may stand in it.",
                );
                Err(Told)
            }
        }
    }

    fn no_body(&mut self, key: &Key, labels: &[Key], next: Token) {
        let name = &key.text;
        let detail = match (next.tok, labels) {
            (Tok::Assign, _) => format!("An argument's name is one word: {name} = VALUE."),
            (Tok::Newline, _) => {
                "The block's opening brace (\"{\") stands on the line of its name and labels.".to_string()
            }
            (_, []) => format!("To set the argument {name} write {name} = VALUE."),
            _ => "A label in quotes, or the block's opening brace (\"{\"), is expected here.".to_string(),
        };
        self.tell_token(next, "Invalid block definition", detail);
    }

    /// `{ }` or `{ name = value }`.
    fn one_line_body(&mut self, open: Token, depth: usize) -> Result<NodeKind, Told> {
        const BAD: &str = "Invalid single-argument block definition";
        let mut entries = Entries::default();
        let first = self.parser.peek();
        if first.tok == Tok::Ident {
            self.parser.read();
            let next = self.parser.peek();
            if self.parser.eat(Tok::Assign).is_none() {
                self.tell_token(
                    next,
                    BAD,
                    "A block on one line holds one argument, set by an equals sign; a nested block stands on lines of its own.",
                );
                self.recover(open.start);
                return Ok(NodeKind::Map(Vec::new()));
            }
            if !self.argument(first, &mut entries, depth) {
                self.recover(open.start);
                return Ok(NodeKind::Map(entries.into_map()));
            }
        }
        let close = self.parser.peek();
        if self.parser.eat(Tok::CloseBrace).is_none() {
            self.tell_token(
                close,
                BAD,
                "A block on one line holds one argument and ends right after it; more arguments stand on lines of their own.",
            );
            self.recover(open.start);
        }
        Ok(NodeKind::Map(entries.into_map()))
    }

    fn note_margin(&mut self, first: Token, depth: usize) {
        let at_margin = first.start == 0 || self.text[..first.start].ends_with('\n');
        if depth == 0 {
            self.at_margin = None;
        } else if at_margin && self.at_margin.is_none() {
            self.at_margin = Some(self.parser.span_of(first));
        }
    }
}

const REQUIRED: &str = "Argument or block definition required";

/// A value as the tree has it: lists and objects that are written out are opened, so that each part has its place.
fn opened(expr: Expr, depth: usize) -> NodeKind {
    if depth >= DEPTH_MAX {
        return NodeKind::Expr(Written::new(expr));
    }
    if expr.as_literal().is_some_and(Value::is_null) {
        return NodeKind::Null;
    }
    let node = |e: Expr| Node { span: e.span(), kind: opened(e, depth + 1) };
    if let Some(items) = expr.tuple_items() {
        return NodeKind::Seq(items.into_iter().map(node).collect());
    }
    if let Some(items) = expr.object_items()
        && let Some(keys) = plain_keys(&items)
    {
        return NodeKind::Map(
            keys.into_iter().zip(items).map(|(key, (_, value))| (key, node(value))).collect(),
        );
    }
    NodeKind::Expr(Written::new(expr))
}

/// The keys of an object, if each is fixed text that a mapping can have: a mapping's keys are templates.
fn plain_keys(items: &[(Expr, Expr)]) -> Option<Vec<Key>> {
    let mut seen: HashSet<Arc<str>> = HashSet::new();
    let mut keys = Vec::with_capacity(items.len());
    for (key, _) in items {
        let text: Arc<str> = key.as_literal()?.as_str()?.into();
        if text.contains("${") || text.contains("%{") || &*text == "//" || !seen.insert(text.clone()) {
            return None;
        }
        keys.push(Key::new(text, key.span()));
    }
    Some(keys)
}
