//! JSON as Terraform reads it: one value a text, numbers kept as text, keys unique.

use super::{Key, Names, Node, NodeKind, Style};
use crate::text::Text;
use groma_types::{Diagnostic, Diagnostics, SourceId, Span};
use std::collections::HashMap;
use std::sync::Arc;

const DEPTH_MAX: usize = 255;

/// Reads a JSON text. Without a value the text is broken, and the diagnostics say where.
pub fn parse_json(source: SourceId, text: &str) -> (Option<Node>, Diagnostics) {
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut reader =
        Reader { source, text, at: start, names: Names::default(), diagnostics: Diagnostics::new() };
    let value = reader.document();
    (value, reader.diagnostics)
}

struct Reader<'a> {
    source: SourceId,
    text: &'a str,
    at: usize,
    names: Names,
    diagnostics: Diagnostics,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Option<Node> {
        let value = self.value(0)?;
        self.blanks();
        if self.at < self.text.len() {
            return self.fail(self.at, "Only one value may stand in a JSON text.");
        }
        Some(value)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    fn fail<T>(&mut self, at: usize, why: &str) -> Option<T> {
        let width = self.text[at..].chars().next().map_or(0, char::len_utf8);
        self.diagnostics.push(
            Diagnostic::error("G0450", "The text is not JSON")
                .detail(why)
                .at(self.span(at, at + width), "here"),
        );
        None
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        self.blanks();
        if depth > DEPTH_MAX {
            return self.fail(self.at, "The text is nested too deeply.");
        }
        let start = self.at;
        match self.rest().chars().next() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"') => {
                let text = self.string()?;
                let kind = NodeKind::Scalar { text, style: Style::Quoted };
                Some(Node { span: self.span(start, self.at), kind })
            }
            Some('-' | '0'..='9') => self.number(),
            Some('a'..='z') => self.word(),
            Some('\'') => self.fail(start, "Strings stand in double quotes."),
            Some(_) => self.fail(start, "A value was expected."),
            None => self.fail(start, "The text ends where a value was expected."),
        }
    }

    fn word(&mut self) -> Option<Node> {
        let rest = self.rest();
        let start = self.at;
        let word = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
        let span = self.span(start, start + word.len());
        let kind = match word {
            "null" => NodeKind::Null,
            "true" | "false" => {
                NodeKind::Scalar { text: Text::plain(word, self.source, start), style: Style::Plain }
            }
            _ => return self.fail(start, "A value was expected; text stands in double quotes."),
        };
        self.at += word.len();
        Some(Node { span, kind })
    }

    fn number(&mut self) -> Option<Node> {
        let rest = self.rest();
        let start = self.at;
        let end =
            rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let number = &rest[..end];
        if !is_number(number) {
            return self.fail(start, "This is not a number as JSON writes them.");
        }
        self.at += end;
        let kind = NodeKind::Scalar { text: Text::plain(number, self.source, start), style: Style::Plain };
        Some(Node { span: self.span(start, self.at), kind })
    }

    fn array(&mut self, depth: usize) -> Option<Node> {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.rest().starts_with(']') {
            self.at += 1;
            return Some(Node { span: self.span(start, self.at), kind: NodeKind::Seq(items) });
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            match self.rest().chars().next() {
                Some(',') => self.at += 1,
                Some(']') => break,
                _ => return self.fail(self.at, "A comma or `]` was expected."),
            }
            self.blanks();
            if self.rest().starts_with(']') {
                return self.fail(self.at, "JSON has no comma after the last element.");
            }
        }
        self.at += 1;
        items.shrink_to_fit();
        Some(Node { span: self.span(start, self.at), kind: NodeKind::Seq(items) })
    }

    fn object(&mut self, depth: usize) -> Option<Node> {
        let start = self.at;
        self.at += 1;
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<Arc<str>, Span> = HashMap::new();
        self.blanks();
        let mut is_first_entry = true;
        while !self.rest().starts_with('}') {
            if !std::mem::take(&mut is_first_entry) {
                if !self.rest().starts_with(',') {
                    return self.fail(self.at, "A comma or `}` was expected.");
                }
                self.at += 1;
                self.blanks();
            }
            let (key, value) = self.entry(depth)?;
            if self.is_first(&key, &mut seen) {
                entries.push((key, value));
            }
            self.blanks();
        }
        self.at += 1;
        entries.shrink_to_fit();
        Some(Node { span: self.span(start, self.at), kind: NodeKind::Map(entries) })
    }

    fn entry(&mut self, depth: usize) -> Option<(Key, Node)> {
        let start = self.at;
        if !self.rest().starts_with('"') {
            return self.fail(start, "A key in double quotes was expected.");
        }
        let text = self.string()?;
        let key = Key::new(self.names.shared(text.content()), self.span(start, self.at));
        self.blanks();
        if !self.rest().starts_with(':') {
            return self.fail(self.at, "A colon was expected after the key.");
        }
        self.at += 1;
        Some((key, self.value(depth + 1)?))
    }

    /// Whether the object has no such key yet; tells of the second one.
    fn is_first(&mut self, key: &Key, seen: &mut HashMap<Arc<str>, Span>) -> bool {
        // `//` is Terraform's comment: it may stand there as often as one likes.
        if &*key.text == "//" {
            return true;
        }
        if let Some(first) = seen.insert(key.text.clone(), key.span) {
            self.diagnostics.push(
                Diagnostic::error("G0401", "A key is there twice")
                    .detail(format!("The object has {:?} already; one of the two would be lost.", key.text))
                    .at(key.span, "the second one")
                    .at(first, "the first one"),
            );
            return false;
        }
        true
    }

    fn string(&mut self) -> Option<Text> {
        let start = self.at;
        let mut at = start + 1;
        let mut content = String::new();
        let mut segments = vec![(0, at)];
        loop {
            let Some(c) = self.text[at..].chars().next() else {
                return self.fail(start, "This string is not closed.");
            };
            match c {
                '"' => break,
                '\\' => {
                    segments.push((content.len(), at));
                    let (decoded, taken) = match unescape(&self.text[at..]) {
                        Some(found) => found,
                        None => {
                            return self.fail(at, "JSON knows no such escape; a backslash is written twice.");
                        }
                    };
                    content.push(decoded);
                    at += taken;
                    segments.push((content.len(), at));
                }
                c if c < ' ' => {
                    return self
                        .fail(at, "A line break or control character in a string is written as an escape.");
                }
                c => {
                    content.push(c);
                    at += c.len_utf8();
                }
            }
        }
        self.at = at + 1;
        Some(Text::new(content.into(), self.source, segments))
    }
}

/// Decodes the escape that the text begins with; returns it and the bytes it takes.
fn unescape(text: &str) -> Option<(char, usize)> {
    let hex = |from: usize| u32::from_str_radix(text.get(from..from + 4)?, 16).ok();
    let simple = |c| Some((c, 2));
    match text[1..].chars().next()? {
        'n' => simple('\n'),
        't' => simple('\t'),
        'r' => simple('\r'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        c @ ('"' | '\\' | '/') => simple(c),
        'u' => {
            let high = hex(2)?;
            if (0xd800..0xdc00).contains(&high) && text.get(6..8) == Some("\\u") {
                let low = hex(8).filter(|l| (0xdc00..0xe000).contains(l))?;
                return Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 12));
            }
            Some((char::from_u32(high).unwrap_or('\u{fffd}'), 6))
        }
        _ => None,
    }
}

/// `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][-+]?[0-9]+)?`
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['-', '+']).unwrap_or(e))),
        None => (text, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((w, f)) => (w, Some(f)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}
