//! String templates.

use super::Eval;
use crate::ast::{For, Id};
use crate::expr::Expr;
use crate::unknown::Heritage;
use groma_types::convert::convert;
use groma_types::{Diagnostic, Span, Type, Value, ValueKind};
use unicode_normalization::UnicodeNormalization;

/// A string under construction: everything so far, or a known beginning.
#[derive(Default)]
struct Joined {
    text: String,
    open: bool,
    heritage: Heritage,
}

impl Joined {
    fn add(&mut self, part: &Value) {
        self.heritage.add(part);
        match part.kind() {
            ValueKind::String(s) if !self.open => self.text.push_str(s),
            ValueKind::Unknown(u) if !self.open => {
                self.text.push_str(u.refine.prefix.as_deref().unwrap_or_default());
                self.open = true;
            }
            _ => {}
        }
    }

    fn value(self) -> Value {
        let text: String = self.text.nfc().collect();
        if self.open { self.heritage.prefixed(&text) } else { self.heritage.known(text) }
    }
}

impl Eval<'_> {
    pub(super) fn template(&mut self, expr: &Expr, parts: &[Id]) -> Value {
        let mut joined = Joined::default();
        let mut failed = false;
        for id in parts {
            let part = self.eval_id(expr, *id);
            match self.part(&part, expr.tree().span(*id)) {
                Some(part) => joined.add(&part),
                None => failed = true,
            }
        }
        if failed { Heritage::default().unknown(Type::String) } else { joined.value() }
    }

    fn part(&mut self, value: &Value, span: Span) -> Option<Value> {
        let bad = |detail: String| {
            Diagnostic::error("G0115", "Invalid template interpolation value")
                .detail(detail)
                .at(span, "in this interpolation")
        };
        let converted = convert(value, &Type::String);
        match converted {
            Ok(value) if value.is_null() => {
                self.error(
                    bad("The expression result is null. Cannot include a null value in a string template."
                        .into())
                    .help("give a default with coalesce() or a conditional"),
                );
                None
            }
            Ok(value) => Some(value),
            Err(why) => {
                self.error(
                    bad(format!("Cannot include the given value in a string template: {why}."))
                        .help("use jsonencode() or join() to make a string of it"),
                );
                None
            }
        }
    }

    pub(super) fn template_for(&mut self, expr: &Expr, body: &For) -> Value {
        let value = self.for_loop(expr, body);
        let heritage = Heritage::shallow([&value]);
        let Some(items) = value.as_seq() else { return heritage.unknown(Type::String) };
        let mut joined = Joined { heritage, ..Joined::default() };
        for item in items {
            match self.part(item, expr.tree().span(body.value)) {
                Some(part) => joined.add(&part),
                None => return Heritage::default().unknown(Type::String),
            }
        }
        joined.value()
    }
}
