//! A text in native syntax as tokens that lose nothing but blanks: comments and the parts of templates are tokens too.

use crate::lexer::{Tok, token};
use std::borrow::Cow;

/// What a token is, as far as layout minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Outside of templates, or in a template's sequence.
    Code(Tok),
    /// One that begins with `#` or `//` has its line break with it.
    Comment,
    OpenQuote,
    CloseQuote,
    OpenHeredoc,
    CloseHeredoc,
    /// What stands in quotes or in a heredoc, outside of sequences.
    Literal,
    /// `${`
    Interpolation,
    /// `%{`
    Control,
    /// The brace that closes one of both.
    CloseSequence,
}

#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    pub(super) kind: Kind,
    pub(super) text: Cow<'a, str>,
}

impl<'a> Piece<'a> {
    pub(super) fn new(kind: Kind, text: impl Into<Cow<'a, str>>) -> Piece<'a> {
        Piece { kind, text: text.into() }
    }

    /// Whether the line ends with this token.
    pub(super) fn ends_line(&self) -> bool {
        match self.kind {
            Kind::Code(Tok::Newline) => true,
            Kind::Comment => self.text.ends_with('\n'),
            _ => false,
        }
    }

    /// By how much this token opens (or, negative, closes) brackets.
    pub(super) fn opens(&self) -> isize {
        match self.kind {
            Kind::Code(Tok::OpenBrace | Tok::OpenBracket | Tok::OpenParen)
            | Kind::Interpolation
            | Kind::Control => 1,
            Kind::Code(Tok::CloseBrace | Tok::CloseBracket | Tok::CloseParen) | Kind::CloseSequence => -1,
            _ => 0,
        }
    }
}

/// Where the reader stands.
enum Mode<'a> {
    /// In a sequence of a template, with so many braces open inside of it.
    Sequence(usize),
    Quote,
    /// With its marker, and whether a line begins here.
    Heredoc(&'a str, bool),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    modes: Vec<Mode<'a>>,
    pieces: Vec<Piece<'a>>,
}

/// Whether a bracket or a heredoc is open at the end of the text. A string ends with its line.
pub(in crate::format) fn is_open(text: &str) -> bool {
    let reader = read(text);
    match reader.modes.last() {
        Some(Mode::Quote) => false,
        Some(Mode::Heredoc(..)) => true,
        Some(Mode::Sequence(_)) | None => reader.pieces.iter().map(Piece::opens).sum::<isize>() > 0,
    }
}

/// The tokens of a text without faults.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    read(text).pieces
}

fn read(text: &str) -> Reader<'_> {
    let mut reader = Reader { text, at: 0, modes: Vec::new(), pieces: Vec::new() };
    while reader.at < text.len() {
        let is_read = match reader.modes.last() {
            Some(Mode::Quote) => reader.quoted(),
            Some(Mode::Heredoc(marker, is_start)) => {
                let (marker, is_start) = (*marker, *is_start);
                reader.heredoc(marker, is_start)
            }
            _ => reader.code(),
        };
        if !is_read {
            break;
        }
    }
    reader
}

impl<'a> Reader<'a> {
    fn push(&mut self, kind: Kind, end: usize) {
        self.pieces.push(Piece::new(kind, &self.text[self.at..end]));
        self.at = end;
    }

    /// One token of code. Says whether there was one.
    fn code(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        self.at += blank;
        let rest = &rest[blank..];
        if rest.starts_with('#') || rest.starts_with("//") {
            self.push(Kind::Comment, self.at + rest.find('\n').map_or(rest.len(), |n| n + 1));
            return true;
        }
        if rest.starts_with("/*") {
            self.push(Kind::Comment, self.at + rest.find("*/").map_or(rest.len(), |n| n + 2));
            return true;
        }
        let next = token(self.text, self.at);
        match next.tok {
            Tok::End => return false,
            Tok::Quote => {
                self.push(Kind::OpenQuote, next.end);
                self.modes.push(Mode::Quote);
            }
            Tok::Heredoc => {
                let marker = rest[..next.end - self.at].trim_start_matches(['<', '-']).trim_end();
                self.push(Kind::OpenHeredoc, next.end);
                self.modes.push(Mode::Heredoc(marker, true));
            }
            Tok::CloseBrace | Tok::CloseStrip if matches!(self.modes.last(), Some(Mode::Sequence(0))) => {
                self.push(Kind::CloseSequence, next.end);
                self.modes.pop();
            }
            tok => {
                if let Some(Mode::Sequence(depth)) = self.modes.last_mut() {
                    match tok {
                        Tok::OpenBrace => *depth += 1,
                        Tok::CloseBrace => *depth -= 1,
                        _ => {}
                    }
                }
                self.push(Kind::Code(tok), next.end);
            }
        }
        true
    }

    fn quoted(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => {
                    chars.next();
                }
                '"' => {
                    end = i;
                    break;
                }
                '$' | '%' if opens_sequence(rest, i) => {
                    end = i;
                    break;
                }
                _ => {}
            }
        }
        if end > 0 {
            self.push(Kind::Literal, self.at + end);
        } else if rest.starts_with('"') {
            self.push(Kind::CloseQuote, self.at + 1);
            self.modes.pop();
        } else {
            self.sequence();
        }
        true
    }

    /// A part of a heredoc, at most up to the end of its line.
    fn heredoc(&mut self, marker: &'a str, is_start: bool) -> bool {
        let rest = &self.text[self.at..];
        let line_end = rest.find('\n').map_or(rest.len(), |n| n + 1);
        let line = &rest[..line_end];
        if is_start && line.trim() == marker {
            let len = line.trim_end_matches('\n').trim_end_matches('\r').len();
            self.push(Kind::CloseHeredoc, self.at + len);
            self.modes.pop();
            return true;
        }
        let sequence = line.match_indices(['$', '%']).map(|(i, _)| i).find(|i| opens_sequence(line, *i));
        if let Some(Mode::Heredoc(_, is_start)) = self.modes.last_mut() {
            *is_start = sequence.is_none();
        }
        match sequence {
            Some(0) => self.sequence(),
            found => self.push(Kind::Literal, self.at + found.unwrap_or(line_end)),
        }
        true
    }

    fn sequence(&mut self) {
        let rest = &self.text[self.at..];
        let kind = if rest.starts_with('$') { Kind::Interpolation } else { Kind::Control };
        let strip = usize::from(rest[2..].starts_with('~'));
        self.push(kind, self.at + 2 + strip);
        self.modes.push(Mode::Sequence(0));
    }
}

/// Whether a sequence begins at this `$` or `%`, and not an escape of one.
fn opens_sequence(text: &str, at: usize) -> bool {
    let sign = &text[at..=at];
    let before = text[..at].bytes().rev().take_while(|b| *b == sign.as_bytes()[0]).count();
    text[at + 1..].starts_with('{') && before == 0
}
