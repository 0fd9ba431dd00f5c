//! Offset maps: which source byte each byte of a scalar's content came from.
//!
//! The content is the parser's; the walk here only follows it through the source. Where the two part (which would
//! be a fault of one of them), the map falls back to the scalar's start: a caret is less exact, never wrong text.

use crate::text::Text;
use granit_parser::ScalarStyle;
use groma_types::SourceId;
use std::ops::Range;

/// Makes the text of a scalar whose source lies at `range`.
pub(super) fn scalar_text(
    source: SourceId,
    whole: &str,
    range: Range<usize>,
    content: &str,
    style: ScalarStyle,
) -> Text {
    let raw = &whole[range.clone()];
    let found = match style {
        ScalarStyle::Literal | ScalarStyle::Folded => block(whole, range.clone(), content),
        ScalarStyle::Plain => flow(raw, range.start, content, Quote::None),
        ScalarStyle::SingleQuoted => flow(inside_quotes(raw, '\''), range.start + 1, content, Quote::Single),
        ScalarStyle::DoubleQuoted => flow(inside_quotes(raw, '"'), range.start + 1, content, Quote::Double),
    };
    let segments = found.unwrap_or_else(|| vec![(0, range.start)]);
    Text::new(content.into(), source, segments)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

fn inside_quotes(raw: &str, quote: char) -> &str {
    let raw = raw.strip_prefix(quote).unwrap_or(raw);
    raw.strip_suffix(quote).unwrap_or(raw)
}

/// Collects runs; a run that goes on one to one with the last needs no new segment.
#[derive(Default)]
struct Runs(Vec<(usize, usize)>);

impl Runs {
    fn add(&mut self, content: usize, source: usize) {
        let goes_on = self.0.last().is_some_and(|(c, s)| source.checked_sub(*s) == Some(content - c));
        if !goes_on {
            self.0.push((content, source));
        }
    }
}

/// Plain and quoted scalars: escapes and folded line ends.
fn flow(raw: &str, base: usize, content: &str, quote: Quote) -> Option<Vec<(usize, usize)>> {
    let mut runs = Runs::default();
    let (mut at, mut out) = (0, 0);
    while at < raw.len() {
        let rest = &raw[at..];
        if let Some((skip, made)) = folded_break(rest) {
            runs.add(out, base + at);
            at += skip;
            out += made;
            continue;
        }
        let (skip, made) = match quote {
            Quote::Double if rest.starts_with('\\') => escape(rest, content.get(out..)?)?,
            Quote::Single if rest.starts_with("''") => (2, 1),
            _ => {
                let c = rest.chars().next()?;
                if !content.get(out..)?.starts_with(c) {
                    return None;
                }
                (c.len_utf8(), c.len_utf8())
            }
        };
        runs.add(out, base + at);
        at += skip;
        out += made;
    }
    (out == content.len()).then(|| {
        runs.add(out, base + at);
        runs.0
    })
}

/// Blanks round one or more line breaks: source bytes taken, content bytes made.
fn folded_break(rest: &str) -> Option<(usize, usize)> {
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    if !rest[blanks..].starts_with(['\n', '\r']) {
        return None;
    }
    let skip = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    let breaks = rest[..skip].matches('\n').count().max(1);
    Some((skip, if breaks == 1 { 1 } else { breaks - 1 }))
}

/// An escape of a double-quoted scalar: source bytes taken, content bytes made.
fn escape(rest: &str, content: &str) -> Option<(usize, usize)> {
    let code = rest[1..].chars().next()?;
    let taken = match code {
        '\n' | '\r' => {
            let after = &rest[1..];
            return Some((1 + after.len() - after.trim_start_matches(['\r', '\n', ' ', '\t']).len(), 0));
        }
        'x' => 4,
        'u' => 6,
        'U' => 10,
        c => 1 + c.len_utf8(),
    };
    Some((taken, content.chars().next()?.len_utf8()))
}

/// Literal and folded blocks: each source line with its indentation taken off stands in the content.
fn block(whole: &str, range: Range<usize>, content: &str) -> Option<Vec<(usize, usize)>> {
    // The parser's range begins after the first line's indentation; the lines are walked from their starts.
    let start = whole[..range.start].rfind('\n').map_or(0, |n| n + 1);
    let indent = range.start - start;
    let mut runs = Runs::default();
    let mut out = 0;
    let mut at = start;
    for line in whole[start..range.end.max(start)].split_inclusive('\n') {
        let text = line.trim_end_matches(['\n', '\r']);
        let bare = text.get(indent..).unwrap_or("");
        if !bare.is_empty() {
            let rest = content.get(out..)?;
            let gap = (0..=rest.len()).find(|&n| {
                rest.get(n..).is_some_and(|r| r.starts_with(bare))
                    && rest[..n].bytes().all(|b| b == b' ' || b == b'\n')
            })?;
            out += gap;
            runs.add(out, at + indent);
            out += bare.len();
            runs.add(out, at + text.len());
        }
        at += line.len();
    }
    content.get(out..)?.bytes().all(|b| b == b'\n').then_some(runs.0)
}
