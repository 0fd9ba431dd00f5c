//! Which neighbours on a line have a blank between them: Terraform's own rules, odd ones among them.

use super::tokens::{Kind, Piece};
use crate::lexer::Tok;

/// Whether a blank stands between a token and the next one, seen with the token before both.
pub(super) fn is_apart(before: Option<&Piece<'_>>, piece: &Piece<'_>, after: &Piece<'_>) -> bool {
    use Kind::{
        CloseHeredoc, CloseQuote, CloseSequence, Code, Control, Interpolation, Literal, OpenHeredoc,
        OpenQuote,
    };
    let closes = |p: &Piece<'_>| p.opens() < 0;
    match (piece.kind, after.kind) {
        (_, Code(Tok::Newline)) => false,
        (Code(Tok::Ident), Code(Tok::OpenParen)) => false,
        (Code(Tok::DoubleColon | Tok::Dot), _) | (_, Code(Tok::DoubleColon | Tok::Dot)) => false,
        (_, Code(Tok::Comma | Tok::Ellipsis)) => false,
        (Code(Tok::Comma), _) => true,
        (CloseSequence, Interpolation | Control) => false,
        (Interpolation, Code(Tok::OpenBrace)) | (Code(Tok::CloseBrace), CloseSequence) => true,
        (Literal | OpenQuote | OpenHeredoc, _) | (_, Literal | CloseQuote | CloseHeredoc) => false,
        // `[for x in [a] : x]`: no index, though it looks like one.
        (Code(Tok::Ident), _) if piece.text == "in" && is_name(before) => true,
        (Code(Tok::Ident | Tok::Number), Code(Tok::OpenBracket)) => false,
        (_, Code(Tok::OpenBracket)) if closes(piece) => false,
        (Code(Tok::Not), _) => false,
        (Code(Tok::Minus), _) => !is_sign(before),
        (Code(Tok::OpenBrace), Code(Tok::CloseBrace)) => false,
        (Code(Tok::OpenBrace), _) | (_, Code(Tok::CloseBrace)) => true,
        _ if piece.opens() > 0 || closes(after) => false,
        _ => true,
    }
}

fn is_name(piece: Option<&Piece<'_>>) -> bool {
    piece.is_some_and(|p| p.kind == Kind::Code(Tok::Ident))
}

/// Whether a minus after this token is a sign and no operator. A guess by the token alone: after a word it is taken for
/// an operator, also where the word is `in` or `if`.
fn is_sign(before: Option<&Piece<'_>>) -> bool {
    let Some(before) = before else { return true };
    let Kind::Code(tok) = before.kind else { return false };
    matches!(
        tok,
        Tok::OpenParen
            | Tok::OpenBrace
            | Tok::OpenBracket
            | Tok::Assign
            | Tok::Colon
            | Tok::Comma
            | Tok::Question
            | Tok::Plus
            | Tok::Minus
            | Tok::Star
            | Tok::Slash
            | Tok::Percent
            | Tok::Equal
            | Tok::NotEqual
            | Tok::Less
            | Tok::LessEqual
            | Tok::Greater
            | Tok::GreaterEqual
            | Tok::And
            | Tok::Or
            | Tok::Not
    )
}
