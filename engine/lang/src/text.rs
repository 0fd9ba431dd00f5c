//! Texts to parse, with the way back to the source they were written in.
//!
//! A text is what the surface (YAML, JSON, native syntax) made of the source: escapes are decoded, folded
//! lines are joined. Segments map its offsets to bytes of the source, so that spans point at what was typed.

use crate::expr::{Expr, parse_template};
use groma_types::{Diagnostics, SourceId, Span};
use std::sync::{Arc, OnceLock};

/// A decoded text and where each part of it stands in its source. There is one for each scalar of a stack: it is one
/// allocation beside its content, and cloning shares it.
#[derive(Clone, Debug)]
pub struct Text(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    content: Arc<str>,
    source: SourceId,
    segments: Segments,
    /// The text read as a template, once for all clones: a body is evaluated for each of its instances.
    parsed: OnceLock<Box<(Expr, Diagnostics)>>,
}

/// Where the content stands in the source.
#[derive(Debug)]
enum Segments {
    /// As it is, from this byte on.
    One(usize),
    /// Pairs of content offset and source offset, ascending; within a segment both advance alike.
    Many(Box<[(usize, usize)]>),
}

impl Text {
    /// Returns a text from its content and the segments that map it to the source.
    pub fn new(content: Arc<str>, source: SourceId, mut segments: Vec<(usize, usize)>) -> Text {
        segments.sort_unstable();
        let segments = match segments.as_slice() {
            [(0, start)] => Segments::One(*start),
            _ => Segments::Many(segments.into()),
        };
        Text(Arc::new(Inner { content, source, segments, parsed: OnceLock::new() }))
    }

    /// Returns a text that stands in the source as it is, from byte `start` on.
    pub fn plain(content: impl Into<Arc<str>>, source: SourceId, start: usize) -> Text {
        let (content, segments) = (content.into(), Segments::One(start));
        Text(Arc::new(Inner { content, source, segments, parsed: OnceLock::new() }))
    }

    /// Returns a text that stands in no source, such as a part of a value.
    pub fn detached(content: impl Into<Arc<str>>, span: Span) -> Text {
        Text::plain(content, span.source, span.start as usize)
    }

    pub fn content(&self) -> &str {
        &self.0.content
    }

    /// Returns the string that the text is as a template, where nothing in it has to be parsed.
    pub fn fixed(&self) -> Option<Arc<str>> {
        let content = &self.0.content;
        let is_fixed = !content.contains("${") && !content.contains("%{") && content.is_ascii();
        is_fixed.then(|| content.clone())
    }

    /// Returns what [`parse_template`] gives, with what is wrong with its calls; parsed at the first use.
    pub fn template(&self) -> &(Expr, Diagnostics) {
        self.0.parsed.get_or_init(|| {
            let (expr, mut diagnostics) = parse_template(self);
            diagnostics.extend(expr.call_faults());
            Box::new((expr, diagnostics))
        })
    }

    /// Returns the place in the source of a range of the content.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let from = self.source_offset(start);
        // The end belongs to the segment of the last byte, not to the one that may begin right there.
        let to = if end > start { self.source_offset(end - 1) + 1 } else { from };
        Span::new(self.0.source, from, to.max(from))
    }

    /// Returns the place of the whole text.
    pub fn whole(&self) -> Span {
        self.span(0, self.content().len())
    }

    fn source_offset(&self, at: usize) -> usize {
        let segments = match &self.0.segments {
            Segments::One(start) => return start + at,
            Segments::Many(segments) => segments,
        };
        let after = segments.partition_point(|(content, _)| *content <= at);
        match after.checked_sub(1).map(|i| segments[i]) {
            Some((content, source)) => source + (at - content),
            None => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_map_through_segments() {
        let text = Text::new("abcdef".into(), SourceId(3), vec![(0, 10), (3, 20)]);
        let range = |s: Span| (s.start, s.end);
        assert_eq!(range(text.span(1, 3)), (11, 13));
        assert_eq!(range(text.span(3, 5)), (20, 22));
        assert_eq!(range(text.whole()), (10, 23));
        assert_eq!(range(Text::plain("abc", SourceId(0), 5).span(1, 1)), (6, 6));
    }

    #[test]
    fn a_template_is_parsed_once_for_all_clones() {
        let text = Text::plain("${a.b}-${upper(c)}", SourceId(0), 0);
        let copy = text.clone();
        assert!(std::ptr::eq(text.template(), copy.template()));
        assert!(text.template().1.is_empty());
    }
}
