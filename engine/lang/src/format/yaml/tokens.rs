//! The tokens of a YAML text.
//!
//! Invariant: between two tokens is white space and nothing else.

use crate::document::yaml_options;
use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A plain or quoted scalar, or an alias.
    Scalar(ScalarStyle),
    Alias,
    /// `|2-` and its like; the body is the token after it, or after its comment.
    Header,
    /// The lines of a block scalar, without the last line break; `margin` bytes of each are indentation.
    Body {
        margin: usize,
    },
    /// `-` of a list in block style.
    Dash,
    /// `?` of a key that stands alone.
    Question,
    Colon,
    Comma,
    Open(char),
    Close(char),
    /// An anchor or a tag.
    Property,
    Comment,
    /// `---` or `...`.
    Marker,
    Directive,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
    /// The first one of its line.
    pub(super) leads: bool,
    /// An empty line stands before it.
    pub(super) apart: bool,
    /// A key of a mapping in block style.
    pub(super) is_key: bool,
}

/// A collection that is open.
struct Frame {
    is_block_map: bool,
    is_map: bool,
    wants_key: bool,
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
    found: Vec<Token>,
    frames: Vec<Frame>,
    /// Brackets that are open.
    open: usize,
}

/// `None`: the parser does not read the text, or something stands where nothing is known to stand.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut all = Tokens { text, at: 0, found: Vec::new(), frames: Vec::new(), open: 0 };
    for event in Parser::new_from_str_with_options(text, yaml_options()) {
        let (event, span) = event.ok()?;
        let range = span.byte_range().unwrap_or(all.at..all.at);
        all.event(&event, range)?;
    }
    all.gap(text.len())?;
    Some(all.found)
}

impl Tokens<'_> {
    fn event(&mut self, event: &Event<'_>, range: Range<usize>) -> Option<()> {
        match event {
            Event::MappingStart(style, ..) | Event::SequenceStart(style, ..) => {
                self.is_key();
                let is_map = matches!(event, Event::MappingStart(..));
                let is_block_map = is_map && *style == StructureStyle::Block;
                self.frames.push(Frame { is_block_map, is_map, wants_key: true });
            }
            Event::MappingEnd | Event::SequenceEnd => drop(self.frames.pop()),
            Event::Alias(_) => {
                let is_key = self.is_key();
                self.gap(range.start)?;
                self.push(Kind::Alias, range, is_key);
            }
            Event::Scalar(_, style, ..) => {
                let is_key = self.is_key();
                self.scalar(*style, range, is_key)?;
            }
            _ => {}
        }
        Some(())
    }

    /// Whether the node that begins is a key of a block mapping.
    fn is_key(&mut self) -> bool {
        let Some(frame) = self.frames.last_mut().filter(|f| f.is_map) else { return false };
        let is_key = frame.wants_key;
        frame.wants_key = !is_key;
        is_key && frame.is_block_map
    }

    fn scalar(&mut self, style: ScalarStyle, range: Range<usize>, is_key: bool) -> Option<()> {
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return self.block(range);
        }
        let end = match style {
            ScalarStyle::Plain => range.start + self.text.get(range.clone())?.trim_end().len(),
            _ => range.end,
        };
        // A scalar that is not there has no token.
        if range.start < end {
            self.gap(range.start)?;
            self.push(Kind::Scalar(style), range.start..end, is_key);
        }
        Some(())
    }

    /// The parser's range begins with the first line that is not empty, behind its indentation.
    fn block(&mut self, range: Range<usize>) -> Option<()> {
        self.header()?;
        let header = self.found.iter().rfind(|t| t.kind == Kind::Header)?.range.clone();
        let keeps = self.text[header].contains('+');
        let margin = range.start - self.text[..range.start].rfind('\n').map_or(0, |n| n + 1);
        let start = (self.at + 1).min(self.text.len());
        let body = self.text.get(start..range.end.max(start))?;
        let Some(body) = lines_of(body, if keeps { None } else { Some(margin) }) else { return Some(()) };
        self.push(Kind::Body { margin }, start..start + body.len(), false);
        Some(())
    }

    /// Takes all up to the end of the header's line.
    fn header(&mut self) -> Option<()> {
        let before = self.found.len();
        while !self.found[before..].iter().any(|t| t.kind == Kind::Header) {
            self.one(self.text.len())?.then_some(())?;
        }
        let end = self.text[self.at..].find('\n').map_or(self.text.len(), |n| self.at + n);
        self.gap(end)?;
        self.at = end;
        Some(())
    }

    /// Takes all tokens before a place.
    fn gap(&mut self, end: usize) -> Option<()> {
        while self.one(end)? {}
        Some(())
    }

    /// Takes the next token before a place; false where there is none.
    fn one(&mut self, end: usize) -> Option<bool> {
        let rest = self.text.get(self.at..end.max(self.at))?;
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\n']).len();
        let start = self.at + blanks;
        let rest = &rest[blanks..];
        let Some(c) = rest.chars().next() else { return Some(false) };
        let word = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
        let line = rest.find('\n').unwrap_or(rest.len());
        let at_margin = start == 0 || self.text[..start].ends_with('\n');
        let (kind, len) = match c {
            '#' => (Kind::Comment, line),
            '-' | '.' if at_margin && matches!(&rest[..word], "---" | "...") => (Kind::Marker, word),
            '%' if at_margin => (Kind::Directive, line),
            '-' => (Kind::Dash, 1),
            '?' => (Kind::Question, 1),
            ':' => (Kind::Colon, 1),
            ',' => (Kind::Comma, 1),
            '[' | '{' => (Kind::Open(c), 1),
            ']' | '}' => (Kind::Close(c), 1),
            '|' | '>' => (Kind::Header, word),
            '&' | '!' => (Kind::Property, property(rest, word, self.open > 0)),
            _ => return None,
        };
        let is_text_end = matches!(kind, Kind::Comment | Kind::Directive);
        let len = if is_text_end { rest[..len].trim_end().len() } else { len };
        self.push(kind, start..start + len, false);
        Some(true)
    }

    fn push(&mut self, kind: Kind, range: Range<usize>, is_key: bool) {
        let gap = &self.text[self.at..range.start];
        let breaks = gap.matches('\n').count();
        let is_first = self.found.is_empty();
        let leads = is_first || breaks > 0 || matches!(kind, Kind::Body { .. });
        let apart = !is_first && breaks > 1 && !matches!(kind, Kind::Body { .. });
        match kind {
            Kind::Open(_) => self.open += 1,
            Kind::Close(_) => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.at = range.end;
        self.found.push(Token { kind, range, leads, apart, is_key });
    }
}

/// The lines of a block scalar that say something, without the last line break. Empty ones at the end say nothing if a
/// margin is given, the indentation that is no content.
fn lines_of(body: &str, margin: Option<usize>) -> Option<&str> {
    // Blanks behind the last line break are the indentation of what comes next.
    let whole = body.trim_end_matches([' ', '\t']);
    let mut lines = if whole.is_empty() || whole.ends_with('\n') { whole } else { body };
    lines = match lines.strip_suffix('\n') {
        Some(lines) => lines,
        None if lines.is_empty() => return None,
        None => lines,
    };
    let Some(margin) = margin else { return Some(lines) };
    loop {
        let last = lines.rfind('\n').map_or(lines, |n| &lines[n + 1..]);
        if last.len() > margin || !last.trim().is_empty() {
            return Some(lines);
        }
        lines = &lines[..lines.rfind('\n')?];
    }
}

/// The length of an anchor or tag. In brackets it ends before a comma or bracket too.
fn property(rest: &str, word: usize, in_brackets: bool) -> usize {
    if rest.starts_with("!<") {
        return rest.find('>').map_or(word, |n| n + 1);
    }
    if in_brackets { rest[..word].find([',', '[', ']', '{', '}']).unwrap_or(word) } else { word }
}
