//! Source texts and places in them, kept for rendering messages.

use std::sync::Arc;

/// Names one text of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// A range of bytes in one source text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    pub fn new(source: SourceId, start: usize, end: usize) -> Span {
        Span { source, start: cut(start), end: cut(end) }
    }

    /// Returns the smallest span that covers both; `self` if they lie in different texts.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        if self.source != other.source {
            return self;
        }
        Span { source: self.source, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// One text with the name to show for it (a path relative to the stack, `<-var>`, …).
#[derive(Clone, Debug)]
pub struct Source {
    pub name: Arc<str>,
    pub text: Arc<str>,
    index: Arc<Index>,
}

/// What finds a place without reading the text up to it: a text with many faults has one for each of them to find.
#[derive(Debug)]
struct Index {
    /// Where lines start.
    lines: Vec<u32>,
    /// How many characters start before each block of [`BLOCK`] bytes.
    blocks: Vec<u32>,
}

/// Bytes that are counted anew for each place.
const BLOCK: usize = 512;

impl Index {
    fn of(text: &str) -> Index {
        let bytes = text.as_bytes();
        let starts = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| cut(at + 1));
        let before = bytes.chunks(BLOCK).scan(0, |sum, block| {
            let before = *sum;
            *sum += cut(characters(block));
            Some(before)
        });
        Index { lines: std::iter::once(0).chain(starts).collect(), blocks: before.collect() }
    }
}

/// How many characters start in these bytes of a text.
fn characters(bytes: &[u8]) -> usize {
    // Bytes that go on with a character are 10xxxxxx.
    bytes.iter().filter(|b| **b & 0xC0 != 0x80).count()
}

/// Texts are shorter than 4 GiB: the readers see to that.
fn cut(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Source {
    fn new(name: Arc<str>, text: Arc<str>) -> Source {
        let index = Arc::new(Index::of(&text));
        Source { name, text, index }
    }

    /// The line, from 0, that a byte is in.
    fn line_of(&self, byte: usize) -> usize {
        self.index.lines.partition_point(|start| *start as usize <= byte).saturating_sub(1)
    }

    /// The line that a byte is in, without its break, and where it starts. `None` after the last break of the text.
    pub fn line(&self, byte: usize) -> Option<(usize, &str)> {
        let line = self.line_of(byte);
        let start = self.index.lines[line] as usize;
        let end = self.index.lines.get(line + 1).map_or(self.text.len(), |next| *next as usize);
        let whole = &self.text[start..end];
        let text = whole.strip_suffix('\n').map_or(whole, |l| l.strip_suffix('\r').unwrap_or(l));
        (!whole.is_empty()).then_some((start, text))
    }

    /// How many characters start before a byte.
    fn characters_before(&self, byte: usize) -> usize {
        let block = byte / BLOCK;
        let rest = characters(&self.text.as_bytes()[block * BLOCK..byte]);
        // A text that ends with a block has no next one.
        match self.index.blocks.get(block) {
            Some(before) => *before as usize + rest,
            None => characters(self.text.as_bytes()),
        }
    }

    fn line_col(&self, byte: usize) -> LineCol {
        let mut at = byte.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.line_of(at);
        let start = self.index.lines[line] as usize;
        let column = self.characters_before(at) - self.characters_before(start) + 1;
        LineCol { line: line + 1, column }
    }
}

/// All texts of a run. Spans index into it.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

/// A place for people: line and column count from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCol {
    pub line: usize,
    pub column: usize,
}

impl SourceMap {
    pub fn add(&mut self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> SourceId {
        self.sources.push(Source::new(name.into(), text.into()));
        SourceId(u32::try_from(self.sources.len() - 1).expect("fewer than 2^32 source texts"))
    }

    /// # Panics
    /// If `id` comes from another map.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.sources[id.0 as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        self.sources.iter().enumerate().map(|(i, s)| (SourceId(u32::try_from(i).unwrap_or(u32::MAX)), s))
    }

    pub fn line_col(&self, id: SourceId, byte: usize) -> LineCol {
        self.get(id).line_col(byte)
    }

    /// The text, where it is one of this map.
    pub fn find(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, LineCol, SourceMap};

    /// The same by reading the text up to the byte.
    fn read(text: &str, byte: usize) -> LineCol {
        let before = &text[..byte];
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        LineCol { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }

    #[test]
    fn a_place_is_found_as_by_reading_up_to_it() {
        let long = "ä€😀x".repeat(BLOCK / 3);
        let exact = "y".repeat(2 * BLOCK);
        for text in ["", "\n", "a", "a\nb\r\n\nc", &long, &format!("{long}\n{long}\n"), &exact] {
            let mut sources = SourceMap::default();
            let id = sources.add("x", text);
            for byte in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                assert_eq!(sources.line_col(id, byte), read(text, byte), "byte {byte} of {text:?}");
                let line = text.lines().nth(read(text, byte).line - 1);
                assert_eq!(sources.get(id).line(byte).map(|(_, line)| line), line, "{byte} of {text:?}");
            }
            assert_eq!(sources.line_col(id, text.len() + 9), read(text, text.len()));
        }
    }

    #[test]
    fn a_byte_inside_a_character_is_the_characters_place() {
        let mut sources = SourceMap::default();
        let id = sources.add("x", "a€b");
        assert_eq!(sources.line_col(id, 2), LineCol { line: 1, column: 2 });
    }
}
