//! Indentation, blanks and columns of tokens: nothing but white space is decided here.

use super::spacing::is_apart;
use super::tokens::{Kind, Piece};
use crate::lexer::Tok;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// A line's tokens in up to three columns.
#[derive(Default)]
struct Line {
    lead: Range<usize>,
    /// From the equals sign on, where the value is whole on this line.
    value: Range<usize>,
    comment: Range<usize>,
}

/// The text that tokens make.
pub(super) fn lay_out(pieces: &[Piece<'_>]) -> String {
    let mut blanks = vec![0; pieces.len()];
    let lines = lines(pieces);
    indent(pieces, &lines, &mut blanks);
    space(pieces, &lines, &mut blanks);
    align(pieces, &lines, &mut blanks, |line| &line.value, |line| line.lead.clone());
    align(pieces, &lines, &mut blanks, |line| &line.comment, |line| line.lead.start..line.comment.start);
    let mut out = String::new();
    for (piece, blank) in pieces.iter().zip(blanks) {
        out.extend(std::iter::repeat_n(' ', blank));
        out.push_str(&piece.text);
    }
    out
}

fn lines(pieces: &[Piece<'_>]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    let ends = pieces.iter().enumerate().filter(|(_, p)| p.ends_line()).map(|(i, _)| i + 1);
    for end in ends.chain([pieces.len()]) {
        lines.push(line(pieces, start..end));
        start = end;
    }
    lines
}

fn line(pieces: &[Piece<'_>], all: Range<usize>) -> Line {
    let mut line = Line { lead: all.clone(), value: all.end..all.end, comment: all.end..all.end };
    if all.len() > 1 && pieces[all.end - 1].kind == Kind::Comment {
        line.comment.start -= 1;
        line.lead.end -= 1;
    }
    let assign = line.lead.clone().skip(1).find(|i| pieces[*i].kind == Kind::Code(Tok::Assign));
    if let Some(at) = assign {
        let open: isize = pieces[at..line.lead.end].iter().map(Piece::opens).sum();
        if open == 0 {
            line.value = at..line.lead.end;
            line.lead.end = at;
        }
    }
    line
}

/// Gives each line's first token its indentation. A line that opens several brackets indents by one level.
fn indent(pieces: &[Piece<'_>], lines: &[Line], blanks: &mut [usize]) {
    let mut levels: Vec<isize> = Vec::new();
    for line in lines {
        let Some(first) = pieces[line.lead.clone()].first() else { continue };
        if first.kind == Kind::Code(Tok::Newline) {
            continue;
        }
        let in_lead = pieces[line.lead.clone()].iter();
        // What stands behind a heredoc's opening does not count, as in Terraform.
        let lead: isize = in_lead.take_while(|p| p.kind != Kind::OpenHeredoc).map(Piece::opens).sum();
        let open = lead + pieces[line.value.clone()].iter().map(Piece::opens).sum::<isize>();
        close(&mut levels, -open);
        blanks[line.lead.start] = 2 * levels.len();
        if open > 0 {
            levels.push(open);
        }
    }
}

/// Leaves the levels that so many brackets close.
fn close(levels: &mut Vec<isize>, mut closed: isize) {
    while closed > 0
        && let Some(last) = levels.last_mut()
    {
        if closed < *last {
            *last -= closed;
            return;
        }
        closed -= *last;
        levels.pop();
    }
}

fn space(pieces: &[Piece<'_>], lines: &[Line], blanks: &mut [usize]) {
    for line in lines {
        for column in [&line.lead, &line.value] {
            for i in column.clone().skip(1) {
                let before = (i >= column.start + 2).then(|| &pieces[i - 2]);
                blanks[i] = usize::from(is_apart(before, &pieces[i - 1], &pieces[i]));
            }
        }
        if !line.value.is_empty() {
            blanks[line.value.start] = 1;
        }
    }
}

/// Brings a column of neighbouring lines to the same place, one blank behind the widest of what stands before it.
fn align(
    pieces: &[Piece<'_>],
    lines: &[Line],
    blanks: &mut [usize],
    column: impl Fn(&Line) -> &Range<usize>,
    before: impl Fn(&Line) -> Range<usize>,
) {
    let width = |line: &Line, blanks: &[usize]| -> usize {
        before(line).map(|i| blanks[i] + pieces[i].text.graphemes(true).count()).sum()
    };
    for chain in lines.split(|line| column(line).is_empty()) {
        let widths: Vec<usize> = chain.iter().map(|line| width(line, blanks)).collect();
        let widest = widths.iter().copied().max().unwrap_or(0);
        for (line, width) in chain.iter().zip(widths) {
            blanks[column(line).start] = widest - width + 1;
        }
    }
}
