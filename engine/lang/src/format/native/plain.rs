//! Older ways of writing are made plain: labels without quotes, `"${x}"` around a whole value, types in quotes.

use super::tokens::{Kind, Piece};
use crate::lexer::Tok;

/// Levels of blocks that are looked into; the parser has refused deeper ones.
const DEPTH_MAX: usize = 256;

pub(super) fn plain(pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let mut plainer = Plainer { pieces: pieces.into_iter().peekable(), out: Vec::new() };
    plainer.body(&mut Vec::new());
    plainer.out
}

struct Plainer<'a> {
    pieces: std::iter::Peekable<std::vec::IntoIter<Piece<'a>>>,
    out: Vec<Piece<'a>>,
}

impl<'a> Plainer<'a> {
    /// Everything up to the brace that closes the body; `around` names the blocks that it is in.
    fn body(&mut self, around: &mut Vec<String>) {
        while let Some(piece) = self.pieces.next() {
            let kind = piece.kind;
            let name = piece.text.to_string();
            self.out.push(piece);
            match kind {
                Kind::Code(Tok::CloseBrace) if !around.is_empty() => return,
                Kind::Code(Tok::Ident) => self.item(name, around),
                _ => {}
            }
        }
    }

    /// What follows a name in a body.
    fn item(&mut self, name: String, around: &mut Vec<String>) {
        while let Some(piece) = self.pieces.next() {
            match piece.kind {
                Kind::Code(Tok::Assign) => {
                    self.out.push(piece);
                    let is_type = name == "type" && matches!(&around[..], [block] if block == "variable");
                    return self.value(is_type);
                }
                Kind::Code(Tok::OpenBrace) => {
                    self.out.push(piece);
                    if around.len() < DEPTH_MAX {
                        around.push(name);
                        self.body(around);
                        around.pop();
                    }
                    return;
                }
                Kind::Code(Tok::Ident) => {
                    self.out.push(Piece::new(Kind::OpenQuote, "\""));
                    self.out.push(Piece::new(Kind::Literal, piece.text));
                    self.out.push(Piece::new(Kind::CloseQuote, "\""));
                }
                _ => self.out.push(piece),
            }
        }
    }

    fn value(&mut self, is_type: bool) {
        let mut value: Vec<Piece<'a>> = Vec::new();
        let mut depth = 0;
        while let Some(piece) = self.pieces.peek() {
            let ends = piece.ends_line() || piece.kind == Kind::Code(Tok::CloseBrace);
            if depth == 0 && ends {
                break;
            }
            depth += piece.opens() + around_text(piece);
            value.extend(self.pieces.next());
        }
        let is_comment = |p: &Piece<'_>| p.kind == Kind::Comment;
        let start = value.iter().position(|p| !is_comment(p)).unwrap_or(value.len());
        let end = value.iter().rposition(|p| !is_comment(p)).map_or(start, |last| last + 1);
        let after = value.split_off(end);
        let inner = value.split_off(start);
        self.out.extend(value);
        self.out.extend(if is_type { plain_type(inner) } else { unwrapped(inner) });
        self.out.extend(after);
    }
}

/// Quotes and heredocs keep what is in them together, as brackets do.
fn around_text(piece: &Piece<'_>) -> isize {
    match piece.kind {
        Kind::OpenQuote | Kind::OpenHeredoc => 1,
        Kind::CloseQuote | Kind::CloseHeredoc => -1,
        _ => 0,
    }
}

/// `x` of `"${x}"`, and of `"${"${x}"}"`, for which Terraform needs to be run twice.
fn unwrapped(mut value: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    loop {
        let before = value.len();
        value = unwrapped_once(value);
        if value.len() >= before {
            return value;
        }
    }
}

fn unwrapped_once(mut value: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let [open, first, .., last, close] = &value[..] else { return value };
    let is_wrapped = (open.kind, first.kind, last.kind, close.kind)
        == (Kind::OpenQuote, Kind::Interpolation, Kind::CloseSequence, Kind::CloseQuote);
    if !is_wrapped || value.len() < 5 || !is_single(&value[2..value.len() - 2]) {
        return value;
    }
    value.truncate(value.len() - 2);
    let is_break = |p: &Piece<'_>| p.kind == Kind::Code(Tok::Newline);
    let end = value.iter().rposition(|p| !is_break(p)).map_or(0, |last| last + 1);
    value.truncate(end);
    let mut inner: Vec<Piece<'_>> = value.into_iter().skip(2).skip_while(is_break).collect();
    let has_parens = inner.first().is_some_and(|p| p.kind == Kind::Code(Tok::OpenParen))
        && inner.last().is_some_and(|p| p.kind == Kind::Code(Tok::CloseParen));
    if (inner.iter().any(is_break) || has_open_comment(&inner)) && !has_parens {
        inner.insert(0, Piece::new(Kind::Code(Tok::OpenParen), "("));
        inner.push(Piece::new(Kind::Code(Tok::CloseParen), ")"));
    }
    inner
}

/// Whether a comment outside of brackets ends its line: without parentheses it would end the value too.
fn has_open_comment(inner: &[Piece<'_>]) -> bool {
    let mut depth = 0;
    inner.iter().any(|piece| {
        depth += piece.opens();
        depth == 0 && piece.kind == Kind::Comment && piece.ends_line()
    })
}

/// Whether there is one sequence and no other, outside of inner quotes.
fn is_single(inside: &[Piece<'_>]) -> bool {
    let mut quotes = 0;
    inside.iter().all(|piece| {
        match piece.kind {
            Kind::OpenQuote => quotes += 1,
            Kind::CloseQuote => quotes -= 1,
            Kind::Interpolation | Kind::CloseSequence => return quotes > 0,
            _ => {}
        }
        true
    })
}

/// `list(any)` of `list`, and `string` of `"string"`, which is how types were written long ago. Terraform also makes
/// `list(string)` of `"list"`, which is another type: that one stays as it is.
fn plain_type(value: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let code = |tok, text| Piece::new(Kind::Code(tok), text);
    match &value[..] {
        [word] if word.kind == Kind::Code(Tok::Ident) && matches!(&*word.text, "list" | "map" | "set") => {
            vec![word.clone(), code(Tok::OpenParen, "("), code(Tok::Ident, "any"), code(Tok::CloseParen, ")")]
        }
        [open, word, _] if open.kind == Kind::OpenQuote && word.text == "string" => {
            vec![code(Tok::Ident, "string")]
        }
        _ => value,
    }
}
