//! Terms and what follows them: literals, brackets, `for`, calls, attributes, indexes and splats.

use super::{Parsed, Parser};
use crate::ast::{Call, For, Id, Kind};
use crate::lexer::{Tok, Token};
use groma_types::{Diagnostic, Number, Value};
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

impl Parser<'_> {
    pub(super) fn postfix(&mut self) -> Parsed<Id> {
        let start = self.peek().start;
        let mut base = self.primary()?;
        loop {
            match self.peek().tok {
                Tok::Dot => base = self.after_dot(base, start)?,
                Tok::OpenBracket => base = self.brackets(base, start)?,
                _ => return Ok(base),
            }
        }
    }

    fn after_dot(&mut self, base: Id, start: usize) -> Parsed<Id> {
        self.read();
        let next = self.peek();
        match next.tok {
            Tok::Ident => {
                self.read();
                let name = self.name(next);
                Ok(self.add(Kind::Attr(base, name), start))
            }
            Tok::Number => self.legacy_index(base, start),
            Tok::Star => {
                self.read();
                self.attribute_splat(base, start)
            }
            _ => {
                Err(self.fault(next, "Invalid attribute name", "An attribute name is required after a dot."))
            }
        }
    }

    /// `list.0`, from before brackets had this duty.
    fn legacy_index(&mut self, base: Id, start: usize) -> Parsed<Id> {
        let next = self.read();
        let digits = self.slice(next);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Box::new(
                Diagnostic::error("G0101", "Invalid legacy index syntax")
                    .detail(
                        "When using the legacy index syntax, chaining two indexes together is not permitted.",
                    )
                    .help("use the proper index syntax instead: [0]")
                    .at(self.span_of(next), "two indexes in one"),
            ));
        }
        let key = self.number(next)?;
        Ok(self.add(Kind::Index(base, key), start))
    }

    fn attribute_splat(&mut self, source: Id, start: usize) -> Parsed<Id> {
        let mut each = self.add(Kind::Hole, self.at);
        loop {
            if self.peek().tok != Tok::Dot {
                break;
            }
            let dot = self.read();
            let next = self.peek();
            if next.tok == Tok::Ident {
                self.read();
                let name = self.name(next);
                each = self.add(Kind::Attr(each, name), start);
            } else if next.tok == Tok::Number {
                each = self.legacy_index(each, start)?;
            } else {
                self.at = dot.start;
                return Err(self.fault(
                    next,
                    "Invalid attribute name",
                    "An attribute name is required after a dot.",
                ));
            }
        }
        Ok(self.add(Kind::Splat { source, each, full: false }, start))
    }

    fn brackets(&mut self, base: Id, start: usize) -> Parsed<Id> {
        let open = self.read();
        self.nested(open.start, |p| {
            let parsed = p.with_newlines(false, |p| {
                if p.peek().tok == Tok::Star {
                    p.read();
                    p.close(Tok::CloseBracket, "Missing close bracket on splat index", "The star for a full splat operator must be immediately followed by a closing bracket (\"]\").")?;
                    return Ok(None);
                }
                let key = p.expression()?;
                p.close(Tok::CloseBracket, "Missing close bracket on index", "The index operator must end with a closing bracket (\"]\").")?;
                Ok(Some(key))
            })?;
            match parsed {
                Some(key) => Ok(p.add(Kind::Index(base, key), start)),
                None => p.full_splat(base, start),
            }
        })
    }

    fn full_splat(&mut self, source: Id, start: usize) -> Parsed<Id> {
        let mut each = self.add(Kind::Hole, self.at);
        loop {
            match self.peek().tok {
                Tok::Dot => each = self.after_dot(each, start)?,
                Tok::OpenBracket => each = self.brackets(each, start)?,
                _ => break,
            }
        }
        Ok(self.add(Kind::Splat { source, each, full: true }, start))
    }

    fn close(&mut self, tok: Tok, summary: &'static str, detail: &str) -> Parsed<()> {
        let next = self.peek();
        match self.eat(tok) {
            Some(_) => Ok(()),
            None => Err(self.fault(next, summary, detail)),
        }
    }

    /// The summary for a missing separator, or for the end of the text in its place.
    fn unclosed_or(&self, t: Token, unclosed: &'static str, missing: &'static str) -> &'static str {
        if t.tok == Tok::End { unclosed } else { missing }
    }

    fn name(&self, t: Token) -> Arc<str> {
        self.slice(t).nfc().collect::<String>().into()
    }

    fn primary(&mut self) -> Parsed<Id> {
        let next = self.peek();
        match next.tok {
            Tok::Number => {
                self.read();
                self.number(next)
            }
            Tok::Ident => self.identifier(),
            Tok::Quote => self.nested(next.start, Self::quoted),
            Tok::Heredoc => self.nested(next.start, Self::heredoc),
            Tok::OpenParen => {
                self.read();
                self.with_newlines(false, |p| {
                    let inner = p.expression()?;
                    p.close(
                        Tok::CloseParen,
                        "Unbalanced parentheses",
                        "Expected a closing parenthesis to terminate the expression.",
                    )?;
                    Ok(inner)
                })
            }
            Tok::OpenBracket => self.nested(next.start, Self::tuple),
            Tok::OpenBrace => self.nested(next.start, Self::object),
            Tok::End => Err(self.fault(
                next,
                "Missing expression",
                "Expected the start of an expression, but found the end of the text.",
            )),
            _ => {
                let fault = self.fault(
                    next,
                    "Invalid expression",
                    "Expected the start of an expression, but found an invalid expression token.",
                );
                let word = self.slice(next);
                // Faults of a kind of their own have their help already.
                let plain = fault.help.is_none() && !word.trim().is_empty() && next.tok != Tok::Invalid;
                Err(if plain {
                    Box::new(fault.help(format!("Write the value that is missing before `{word}`.")))
                } else {
                    fault
                })
            }
        }
    }

    fn number(&mut self, t: Token) -> Parsed<Id> {
        // A second fraction or exponent belongs to the number, and makes it none.
        let rest = &self.src.as_bytes()[t.end..];
        let digit = |i: usize| rest.get(i).is_some_and(u8::is_ascii_digit);
        let more = match rest.first() {
            Some(b'.') => digit(1),
            Some(b'e' | b'E') => digit(1) || matches!(rest.get(1), Some(b'+' | b'-')) && digit(2),
            _ => false,
        };
        if more {
            let why = "A number has one point and one exponent at most.";
            return Err(self.fault(t, "Invalid number literal", why));
        }
        match Number::parse(self.slice(t)) {
            Ok(n) => Ok(self.tree.push(Kind::Literal(Value::number(n)), self.span_of(t))),
            Err(_) => Err(self.fault(
                t,
                "Invalid number literal",
                "This number is too large or too small to be of use.",
            )),
        }
    }

    fn identifier(&mut self) -> Parsed<Id> {
        let first = self.read();
        let mut name = self.slice(first).to_string();
        while self.peek().tok == Tok::DoubleColon {
            self.read();
            let part = self.peek();
            if self.eat(Tok::Ident).is_none() {
                return Err(self.fault(
                    part,
                    "Missing function name",
                    "A function name is required after \"::\".",
                ));
            }
            name = format!("{name}::{}", self.slice(part));
        }
        if self.peek().tok == Tok::OpenParen {
            return self.nested(first.start, |p| p.call(name, first));
        }
        if name.contains("::") {
            let next = self.peek();
            return Err(self.fault(
                next,
                "Missing open parenthesis",
                "Function selector must be followed by an open parenthesis to begin the function call.",
            ));
        }
        let kind = match name.as_str() {
            "true" => Kind::Literal(Value::bool(true)),
            "false" => Kind::Literal(Value::bool(false)),
            "null" => Kind::Literal(Value::NULL),
            _ => Kind::Root(self.name(first)),
        };
        Ok(self.add(kind, first.start))
    }

    fn call(&mut self, name: String, first: Token) -> Parsed<Id> {
        let name_span = self.text.span(first.start, self.at);
        self.read();
        let mut args = Vec::new();
        let mut expand = false;
        self.with_newlines(false, |p| {
            while p.eat(Tok::CloseParen).is_none() {
                args.push(p.expression()?);
                if p.eat(Tok::Ellipsis).is_some() {
                    expand = true;
                    p.eat(Tok::Comma);
                    return p.close(Tok::CloseParen, "Missing closing parenthesis", "An expanded function argument (with ...) must be immediately followed by closing parentheses.");
                }
                let next = p.peek();
                if p.eat(Tok::Comma).is_none() && next.tok != Tok::CloseParen {
                    return Err(p.fault(next, p.unclosed_or(next, "Unterminated function call", "Missing argument separator"), "A comma is required to separate each function argument from the next."));
                }
            }
            Ok(())
        })?;
        Ok(self.add(Kind::Call(Box::new(Call { name: name.into(), name_span, args, expand })), first.start))
    }

    fn tuple(&mut self) -> Parsed<Id> {
        let open = self.read();
        self.with_newlines(false, |p| {
            if p.at_for() {
                return p.for_expression(open, Tok::CloseBracket);
            }
            let mut items = Vec::new();
            while p.eat(Tok::CloseBracket).is_none() {
                items.push(p.expression()?);
                let next = p.peek();
                if p.eat(Tok::Comma).is_none() && next.tok != Tok::CloseBracket {
                    return Err(p.fault(
                        next,
                        p.unclosed_or(
                            next,
                            "Unterminated tuple constructor expression",
                            "Missing item separator",
                        ),
                        "Expected a comma to mark the beginning of the next item.",
                    ));
                }
            }
            Ok(p.add(Kind::Tuple(items), open.start))
        })
    }

    fn at_for(&mut self) -> bool {
        let next = self.peek();
        next.tok == Tok::Ident && self.slice(next) == "for" && {
            // A key or an attribute called `for` is followed by `=`, `:` or a dot, an element by what ends it.
            let after = crate::lexer::token(self.src, next.end);
            use Tok::{Assign, CloseBrace, CloseBracket, Colon, Comma, Dot, End};
            !matches!(after.tok, Assign | Colon | Dot | Comma | CloseBrace | CloseBracket | End)
        }
    }

    fn object(&mut self) -> Parsed<Id> {
        let open = self.read();
        if self.with_newlines(false, |p| Ok(p.at_for()))? {
            return self.with_newlines(false, |p| p.for_expression(open, Tok::CloseBrace));
        }
        self.with_newlines(true, |p| {
            let mut items = Vec::new();
            loop {
                p.skip_newlines();
                if p.eat(Tok::CloseBrace).is_some() {
                    return Ok(p.add(Kind::Object(items), open.start));
                }
                items.push(p.object_item()?);
                let next = p.peek();
                if !matches!(next.tok, Tok::Comma | Tok::Newline | Tok::CloseBrace) {
                    return Err(p.fault(
                        next,
                        p.unclosed_or(
                            next,
                            "Unterminated object constructor expression",
                            "Missing attribute separator",
                        ),
                        "Expected a newline or comma to mark the beginning of the next attribute.",
                    ));
                }
                p.eat(Tok::Comma);
            }
        })
    }

    fn object_item(&mut self) -> Parsed<(Id, Id)> {
        let key = self.object_key()?;
        let next = self.peek();
        if self.eat(Tok::Assign).is_none() && self.eat(Tok::Colon).is_none() {
            if matches!(next.tok, Tok::Newline | Tok::Comma) {
                return Err(self.fault(
                    next,
                    "Missing attribute value",
                    "Expected an attribute value, introduced by an equals sign (\"=\").",
                ));
            }
            return Err(self.fault(
                next,
                "Missing key/value separator",
                "Expected an equals sign (\"=\") to mark the beginning of the attribute value.",
            ));
        }
        self.skip_newlines();
        Ok((key, self.expression()?))
    }

    /// A bare name is the key itself; anything else is an expression.
    fn object_key(&mut self) -> Parsed<Id> {
        let next = self.peek();
        if next.tok != Tok::Ident {
            return self.expression();
        }
        let after = crate::lexer::token(self.src, next.end);
        match after.tok {
            Tok::Dot | Tok::OpenBracket => {
                let id = self.expression()?;
                Ok(self.add(Kind::BareKey(id), next.start))
            }
            Tok::OpenParen | Tok::DoubleColon => self.expression(),
            _ => {
                self.read();
                let name = self.name(next);
                Ok(self.add(Kind::Literal(Value::string(name)), next.start))
            }
        }
    }

    fn for_expression(&mut self, open: Token, close: Tok) -> Parsed<Id> {
        const BAD: &str = "Invalid 'for' expression";
        self.read();
        let (key_var, value_var, source) = self.for_intro(BAD)?;
        self.close(Tok::Colon, BAD, "For expression requires a colon after the collection expression.")?;
        let mut key = None;
        let mut value = self.expression()?;
        if self.eat(Tok::Arrow).is_some() {
            key = Some(value);
            value = self.expression()?;
        }
        let next = self.peek();
        match (close == Tok::CloseBrace, key) {
            (true, None) => {
                return Err(self.fault(
                    next,
                    BAD,
                    "Key expression is required when building an object: write `key => value`.",
                ));
            }
            (false, Some(_)) => {
                return Err(self.fault(next, BAD, "Key expression is not valid when building a tuple."));
            }
            _ => {}
        }
        let group = self.eat(Tok::Ellipsis).is_some();
        if group && key.is_none() {
            return Err(self.fault(
                next,
                BAD,
                "Grouping ellipsis (...) cannot be used when building a tuple.",
            ));
        }
        let next = self.peek();
        let mut condition = None;
        if next.tok == Tok::Ident && self.slice(next) == "if" {
            self.read();
            condition = Some(self.expression()?);
        }
        self.close(close, BAD, "Extra characters after the end of the 'for' expression.")?;
        let body = For { key_var, value_var, source, key, value, condition, group };
        Ok(self.add(Kind::For(Box::new(body)), open.start))
    }

    /// `k, v in source`, after the word `for`.
    pub(super) fn for_intro(&mut self, bad: &'static str) -> Parsed<(Option<Arc<str>>, Arc<str>, Id)> {
        let variable = |p: &mut Self, what: &str| {
            let next = p.peek();
            match p.eat(Tok::Ident) {
                Some(t) => Ok(p.name(t)),
                None => Err(p.fault(next, bad, what)),
            }
        };
        let mut key_var = None;
        let mut value_var = variable(self, "For expression requires variable name after 'for'.")?;
        if self.eat(Tok::Comma).is_some() {
            key_var = Some(value_var);
            value_var = variable(self, "For expression requires value variable name after comma.")?;
        }
        let next = self.peek();
        if next.tok != Tok::Ident || self.slice(next) != "in" {
            return Err(self.fault(
                next,
                bad,
                "For expression requires the 'in' keyword after its name declarations.",
            ));
        }
        self.read();
        let source = self.expression()?;
        Ok((key_var, value_var, source))
    }
}
