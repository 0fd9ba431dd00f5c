//! Where lines begin and what stands between the tokens of a line.
//!
//! A list or mapping in block style is known by the column in which its entries begin, as YAML itself has it. Each such
//! column of the text gets its new one: two further in than the one around it.
//!
//! Invariant: a text that has this layout keeps it, since its columns are the new ones already.

use super::tokens::{Kind, Token};
use granit_parser::ScalarStyle;
use std::fmt::Write as _;

const STEP: usize = 2;

/// A collection in block style.
#[derive(Clone, Copy)]
struct Level {
    is_list: bool,
    /// Its column in the text.
    old: usize,
    new: usize,
}

struct Columns<'a> {
    text: &'a str,
    tokens: &'a [Token],
    levels: Vec<Level>,
    /// For each bracket that is open: where the line begins that its own stands for.
    brackets: Vec<usize>,
    /// Where the present line begins, if it begins in brackets.
    line: Option<usize>,
}

/// For each token that leads a line: its indentation. For bodies of block scalars it is that of their lines.
pub(super) fn indents(text: &str, tokens: &[Token]) -> Vec<usize> {
    let mut columns = Columns { text, tokens, levels: Vec::new(), brackets: Vec::new(), line: None };
    let mut indents = vec![0; tokens.len()];
    let mut i = 0;
    while i < tokens.len() {
        // Comments in lines of their own go with what follows them, which is looked at first.
        let comments = i;
        while i < tokens.len() && tokens[i].kind == Kind::Comment && tokens[i].leads {
            i += 1;
        }
        let before: Vec<usize> = (comments..i).map(|c| columns.comment(c, i)).collect();
        let next = if i < tokens.len() { columns.token(i) } else { 0 };
        for (c, further_in) in (comments..i).zip(before) {
            indents[c] = if further_in > 0 { further_in } else { next };
        }
        if i < tokens.len() {
            indents[i] = next;
            i += 1;
        }
    }
    indents
}

impl Columns<'_> {
    fn column(&self, i: usize) -> usize {
        let start = self.tokens[i].range.start;
        start - self.text[..start].rfind('\n').map_or(0, |n| n + 1)
    }

    /// The indentation of a comment that stands further in than what follows it, at `next`: it belongs to what is before
    /// it. Of any other comment 0.
    fn comment(&self, i: usize, next: usize) -> usize {
        if let Some(base) = self.brackets.last() {
            return base + STEP;
        }
        let at = self.column(i);
        let follows = self.tokens.get(next).map_or(0, |_| self.column(next));
        if at <= follows {
            return 0;
        }
        let Some(level) = self.levels.iter().rposition(|level| level.old <= at) else { return 0 };
        let is_inside = level + 1 == self.levels.len() && self.levels[level].old < at;
        self.levels[level].new + if is_inside { STEP } else { 0 }
    }

    /// Takes a token; returns where its line begins if it leads one.
    fn token(&mut self, i: usize) -> usize {
        let token = &self.tokens[i];
        let in_brackets = self.brackets.last().copied();
        let indent = match (token.kind, in_brackets) {
            (Kind::Marker | Kind::Directive, _) => {
                self.levels.clear();
                0
            }
            (Kind::Close(_), _) => self.brackets.pop().unwrap_or(0),
            (_, Some(base)) => base + STEP,
            (Kind::Dash, None) => self.entry(i, true),
            (_, None) if self.begins_entry(i) => self.entry(i, false),
            (_, None) => self.inside(i),
        };
        if token.leads {
            self.line = in_brackets.map(|_| indent);
        }
        if matches!(token.kind, Kind::Open(_)) {
            let level = self.levels.last();
            let outermost = level.map_or(0, |level| level.new + if level.is_list { STEP } else { 0 });
            let base = if token.leads { indent } else { self.line.or(in_brackets).unwrap_or(outermost) };
            self.brackets.push(base);
        }
        indent
    }

    /// Whether a key of a mapping begins here, with what stands before it.
    fn begins_entry(&self, i: usize) -> bool {
        let follows = |kind| i > 0 && self.tokens[i - 1].kind == kind && !self.tokens[i].leads;
        if follows(Kind::Question) || follows(Kind::Property) {
            return false;
        }
        if self.tokens[i].kind == Kind::Question || self.tokens[i].kind == Kind::Colon && self.tokens[i].leads
        {
            return true;
        }
        let mut rest = self.tokens[i..].iter().enumerate();
        let first = rest.find(|(n, t)| t.kind != Kind::Property || *n > 0 && t.leads);
        first.is_some_and(|(n, t)| t.is_key && (n == 0 || !t.leads))
    }

    /// An entry of a list or mapping: the column says of which.
    fn entry(&mut self, i: usize, is_list: bool) -> usize {
        let at = self.column(i);
        // A list may stand in the column of the key that it belongs to.
        while self.levels.last().is_some_and(|l| l.old > at || l.old == at && l.is_list && !is_list) {
            self.levels.pop();
        }
        match self.levels.last() {
            Some(level) if level.old == at && level.is_list == is_list => level.new,
            level => {
                let new = level.map_or(0, |level| level.new + STEP);
                self.levels.push(Level { is_list, old: at, new });
                new
            }
        }
    }

    /// The column of a value in a line of its own, and of the later lines of one.
    fn inside(&self, i: usize) -> usize {
        if self.tokens[i].kind == Kind::Comment {
            return 0;
        }
        let outermost = if matches!(self.tokens[i].kind, Kind::Body { .. }) { STEP } else { 0 };
        self.levels.last().map_or(outermost, |level| level.new + STEP)
    }
}

/// The tokens with their new indentation.
pub(super) fn print(text: &str, tokens: &[Token], indents: &[usize]) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for (i, (token, indent)) in tokens.iter().zip(indents).enumerate() {
        if token.leads {
            if i > 0 {
                out.push_str(if token.apart { "\n\n" } else { "\n" });
            }
        } else if let Some(before) = i.checked_sub(1) {
            out.push_str(if are_apart(tokens, before) { " " } else { "" });
        }
        let written = &text[token.range.clone()];
        match token.kind {
            Kind::Body { margin } => body(&mut out, written, margin, *indent),
            Kind::Header => out.push_str(&written.replace(|c: char| c.is_ascii_digit(), "2")),
            Kind::Scalar(style) => {
                let first = if token.leads { *indent } else { 0 };
                scalar(&mut out, written, style, first, *indent);
            }
            _ => {
                pad(&mut out, if token.leads { *indent } else { 0 });
                out.push_str(written);
            }
        }
    }
    if !tokens.is_empty() {
        out.push('\n');
    }
    out
}

/// Whether a blank stands between a token and the next one of the line.
fn are_apart(tokens: &[Token], before: usize) -> bool {
    let (before, after) = (&tokens[before], &tokens[before + 1]);
    match (before.kind, after.kind) {
        (_, Kind::Comma) | (Kind::Open('['), _) | (_, Kind::Close(']')) | (Kind::Open(_), Kind::Close(_)) => {
            false
        }
        // `*a:` and `&a:` would be names with a colon.
        (Kind::Alias | Kind::Property | Kind::Question, Kind::Colon) => true,
        (_, Kind::Colon) => false,
        _ => true,
    }
}

fn pad(out: &mut String, indent: usize) {
    let _ = write!(out, "{:indent$}", "");
}

/// Lines of a block scalar: what is beyond their margin is content.
fn body(out: &mut String, written: &str, margin: usize, indent: usize) {
    for (i, line) in written.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let content = line.get(margin..).unwrap_or("");
        if !content.is_empty() {
            pad(out, indent);
            out.push_str(content);
        }
    }
}

/// A plain or quoted scalar. Blanks at the beginning of its later lines are no content.
fn scalar(out: &mut String, written: &str, style: ScalarStyle, first: usize, rest: usize) {
    for (i, line) in written.split('\n').enumerate() {
        let line = if i > 0 { line.trim_start_matches([' ', '\t']) } else { line };
        let line = if style == ScalarStyle::Plain { line.trim_end_matches([' ', '\t']) } else { line };
        if i > 0 {
            out.push('\n');
        }
        if !line.is_empty() {
            pad(out, if i > 0 { rest } else { first });
            out.push_str(line);
        }
    }
}
