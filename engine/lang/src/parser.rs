//! The parser: a Pratt parser over tokens that are lexed on demand, and the public ways in.
//!
//! Nesting is bounded by [`NESTING_MAX`] and the stack grows on the heap, so no text overflows it; ladders
//! of `a ? b : c ? …` and chains of operators are loops and have no bound of their own.
//! After a first error a text is given up; other texts of the same spec are still parsed.

mod primary;
mod template;

use crate::ast::{Binary, Id, Kind, Tree, Unary};
use crate::expr::{Expr, Reference};
use crate::lexer::{Tok, Token, token};
use crate::text::Text;
use groma_types::{Diagnostic, Diagnostics, Span, Value};

/// Levels of brackets, strings and directives inside each other.
pub const NESTING_MAX: usize = 1000;
/// Stack that one level of nesting may take, with room for debug builds.
const STACK_RED_ZONE: usize = 96 * 1024;
const STACK_STEP: usize = 2 * 1024 * 1024;

/// Runs a step of a recursion on a stack that is large enough for it.
pub(crate) fn deep<R>(step: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(STACK_RED_ZONE, STACK_STEP, step)
}

pub(crate) type Parsed<T> = Result<T, Box<Diagnostic>>;

/// Parses a bare expression, as it stands inside `${}`.
pub fn parse_expression(text: &Text) -> (Expr, Diagnostics) {
    let mut parser = Parser::new(text);
    let parsed = parser.expression().and_then(|id| {
        let next = parser.peek();
        match next.tok {
            Tok::End => Ok(id),
            _ => Err(parser.fault(
                next,
                "Extra characters after expression",
                "An expression was successfully parsed, but extra characters were found after it.",
            )),
        }
    });
    finish(parser, parsed, text.whole())
}

/// Parses a string template. A template that is exactly one `${expr}` is that expression, with its type.
pub fn parse_template(text: &Text) -> (Expr, Diagnostics) {
    let mut parser = Parser::new(text);
    let parsed = parser.bare_template();
    finish(parser, parsed, text.whole())
}

/// Parses a static reference such as an entry of `depends_on`, up to a dynamic index if there is one
/// (see [`Expr::as_traversal`] for the index itself).
pub fn parse_traversal(text: &Text) -> (Option<Reference>, Diagnostics) {
    let (expr, mut diagnostics) = parse_expression(text);
    if diagnostics.has_errors() {
        return (None, diagnostics);
    }
    match expr.as_traversal() {
        Some((reference, _)) => (Some(reference), diagnostics),
        None => {
            diagnostics.push(
                Diagnostic::error("G0103", "Invalid reference")
                    .detail("A single static reference is required: names joined by dots, with constant keys in brackets.")
                    .at(text.whole(), "not a reference"),
            );
            (None, diagnostics)
        }
    }
}

fn finish(parser: Parser<'_>, parsed: Parsed<Id>, whole: Span) -> (Expr, Diagnostics) {
    match parsed {
        Ok(root) => (Expr::from_tree(parser.tree, root), Diagnostics::new()),
        Err(fault) => {
            (Expr::literal(Value::unknown(groma_types::Type::Dynamic), whole), Diagnostics::from(*fault))
        }
    }
}

pub(crate) struct Parser<'a> {
    text: &'a Text,
    src: &'a str,
    /// Everything before this byte is read.
    at: usize,
    /// The last token that was peeked, by where it was looked for.
    ahead: Option<(usize, Token)>,
    /// Whether line breaks are tokens here (directly inside `{}`).
    newlines: bool,
    depth: usize,
    tree: Tree,
}

impl<'a> Parser<'a> {
    fn new(text: &'a Text) -> Parser<'a> {
        Parser {
            text,
            src: text.content(),
            at: 0,
            ahead: None,
            newlines: false,
            depth: 0,
            tree: Tree::default(),
        }
    }

    pub(crate) fn peek(&mut self) -> Token {
        loop {
            let next = match self.ahead {
                Some((at, next)) if at == self.at => next,
                _ => token(self.src, self.at),
            };
            self.ahead = Some((self.at, next));
            if next.tok != Tok::Newline || self.newlines {
                return next;
            }
            self.at = next.end;
        }
    }

    pub(crate) fn read(&mut self) -> Token {
        let next = self.peek();
        self.at = next.end;
        next
    }

    pub(crate) fn eat(&mut self, tok: Tok) -> Option<Token> {
        let next = self.peek();
        (next.tok == tok).then(|| self.read())
    }

    fn skip_newlines(&mut self) {
        while self.newlines && self.peek().tok == Tok::Newline {
            self.read();
        }
    }

    pub(crate) fn slice(&self, t: Token) -> &'a str {
        &self.src[t.start..t.end]
    }

    pub(crate) fn span_of(&self, t: Token) -> Span {
        self.text.span(t.start, t.end)
    }

    fn add(&mut self, kind: Kind, start: usize) -> Id {
        let span = self.text.span(start, self.at.max(start));
        self.tree.push(kind, span)
    }

    /// A parser over a text in which expressions stand among other things, line by line.
    pub(crate) fn in_document(text: &'a Text, at: usize) -> Parser<'a> {
        Parser { at, newlines: true, ..Parser::new(text) }
    }

    /// Everything before this byte is read.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    /// Goes on at another place of a document, after a fault.
    pub(crate) fn restart(&mut self, at: usize) {
        *self = Parser { at, newlines: true, ..Parser::new(self.text) };
    }

    /// The expression that stands next in a document, with a tree of its own.
    pub(crate) fn next_expression(&mut self) -> Parsed<Expr> {
        let root = self.expression()?;
        Ok(Expr::from_tree(std::mem::take(&mut self.tree), root))
    }

    /// The quoted string that stands next in a document.
    pub(crate) fn next_quoted(&mut self) -> Parsed<Expr> {
        let root = self.quoted()?;
        Ok(Expr::from_tree(std::mem::take(&mut self.tree), root))
    }

    /// Makes the error for an unwanted token; characters that are no tokens at all have their own.
    pub(crate) fn fault(&self, t: Token, summary: &'static str, detail: &str) -> Box<Diagnostic> {
        let span = self.span_of(t);
        if t.tok == Tok::Invalid {
            return self.bad_character(t);
        }
        if t.tok == Tok::OpenComment {
            return Box::new(
                Diagnostic::error("G0101", "Unterminated comment")
                    .detail("There is no */ to end this comment.")
                    .at(self.text.span(t.start, t.start + 2), "opened here"),
            );
        }
        if t.tok == Tok::Bitwise {
            return Box::new(
                Diagnostic::error("G0101", "Unsupported operator")
                    .detail("Bitwise operators are not supported. Did you mean \"&&\", \"||\" or \"!\"?")
                    .at(span, "not an operator of the language"),
            );
        }
        Box::new(Diagnostic::error("G0101", summary).detail(detail).at(span, "here"))
    }

    fn bad_character(&self, t: Token) -> Box<Diagnostic> {
        let word = self.slice(t);
        let diagnostic =
            Diagnostic::error("G0101", "Invalid character").at(self.span_of(t), "not part of the language");
        Box::new(match word {
            "'" => diagnostic
                .detail("Single quotes are not valid.")
                .help("use double quotes (\") to enclose strings"),
            "`" => diagnostic
                .detail("The \"`\" character is not valid.")
                .help("for a text of several lines use a heredoc or a YAML block scalar"),
            "$" => diagnostic
                .detail("The \"$\" character is not valid here.")
                .help("inside ${ } write the expression alone; an interpolation belongs in quotes: \"${…}\""),
            ";" => diagnostic.detail("The \";\" character is not valid."),
            _ => diagnostic.detail("This character is not used within the language."),
        })
    }

    /// Enters one level of nesting.
    fn nested<T>(&mut self, start: usize, step: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= NESTING_MAX {
            return Err(Box::new(
                Diagnostic::error("G0117", "Expression nested too deeply")
                    .detail(format!("At most {NESTING_MAX} levels of nesting are supported."))
                    .help("give inner parts names with `locals`")
                    .at(self.text.span(start, start + 1), "this level is too deep"),
            ));
        }
        self.depth += 1;
        let parsed = deep(|| step(self));
        self.depth -= 1;
        parsed
    }

    /// Parses with line breaks as tokens, or without.
    fn with_newlines<T>(&mut self, newlines: bool, step: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let outer = std::mem::replace(&mut self.newlines, newlines);
        let parsed = step(self);
        self.newlines = outer;
        parsed
    }

    /// A whole expression: a ladder of conditionals over binary operations.
    pub(crate) fn expression(&mut self) -> Parsed<Id> {
        let start = self.peek().start;
        self.nested(start, Self::ladder)
    }

    fn ladder(&mut self) -> Parsed<Id> {
        let mut rungs = Vec::new();
        let mut last;
        loop {
            let start = self.peek().start;
            last = self.binary(0)?;
            if self.eat(Tok::Question).is_none() {
                break;
            }
            let then = self.expression()?;
            let next = self.peek();
            if self.eat(Tok::Colon).is_none() {
                return Err(self.fault(
                    next,
                    "Missing false expression in conditional",
                    "The conditional operator (...?...:...) requires a false expression, delimited by a colon.",
                ));
            }
            rungs.push((start, last, then));
        }
        for (start, condition, then) in rungs.into_iter().rev() {
            last = self.add(Kind::Conditional(condition, then, last), start);
        }
        Ok(last)
    }

    fn binary(&mut self, min: u8) -> Parsed<Id> {
        let start = self.peek().start;
        let mut left = self.unary()?;
        while let Some(op) = self.operator(min)? {
            self.read();
            let right = self.binary(op.precedence() + 1)?;
            left = self.add(Kind::Binary(op, left, right), start);
        }
        Ok(left)
    }

    fn operator(&mut self, min: u8) -> Parsed<Option<Binary>> {
        let next = self.peek();
        let op = match next.tok {
            Tok::Or => Binary::Or,
            Tok::And => Binary::And,
            Tok::Equal => Binary::Equal,
            Tok::NotEqual => Binary::NotEqual,
            Tok::Less => Binary::Less,
            Tok::LessEqual => Binary::LessEqual,
            Tok::Greater => Binary::Greater,
            Tok::GreaterEqual => Binary::GreaterEqual,
            Tok::Plus => Binary::Add,
            Tok::Minus => Binary::Sub,
            Tok::Star => Binary::Mul,
            Tok::Slash => Binary::Div,
            Tok::Percent => Binary::Rem,
            Tok::Bitwise | Tok::Invalid => return Err(self.fault(next, "Invalid expression", "")),
            _ => return Ok(None),
        };
        Ok(Some(op).filter(|op| op.precedence() >= min))
    }

    fn unary(&mut self) -> Parsed<Id> {
        let mut signs = Vec::new();
        loop {
            let next = self.peek();
            match next.tok {
                Tok::Minus => signs.push((next.start, Unary::Neg)),
                Tok::Not => signs.push((next.start, Unary::Not)),
                _ => break,
            }
            self.read();
        }
        let mut operand = self.postfix()?;
        for (start, sign) in signs.into_iter().rev() {
            operand = match self.negated_literal(sign, operand) {
                Some(literal) => self.add(literal, start),
                None => self.add(Kind::Unary(sign, operand), start),
            };
        }
        Ok(operand)
    }

    /// `-1` is a number, not an operation.
    fn negated_literal(&self, sign: Unary, operand: Id) -> Option<Kind> {
        match (sign, self.tree.kind(operand)) {
            (Unary::Neg, Kind::Literal(value)) => {
                value.as_number().map(|n| Kind::Literal(Value::number(n.neg())))
            }
            _ => None,
        }
    }
}
