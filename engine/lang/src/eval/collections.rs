//! Objects and `for`.

use super::Eval;
use crate::ast::{For, Id};
use crate::expr::Expr;
use crate::unknown::Heritage;
use groma_types::convert::convert;
use groma_types::{Diagnostic, Span, Type, Value, ValueKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the keys of an object come from: a document is stricter with them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    Expressions,
    Document,
}

/// What one turn of a loop gives.
enum Turn {
    Skip,
    /// What is left out or which key it has can not be told: the whole result is unknown.
    Open,
    Take(Option<Arc<str>>, Value),
}

impl Eval<'_> {
    pub(super) fn object(&mut self, expr: &Expr, items: &[(Id, Id)], keys: Keys) -> Value {
        let mut heritage = Heritage::default();
        let mut attrs = BTreeMap::new();
        let mut open = false;
        for (key_id, value_id) in items {
            let span = expr.tree().span(*key_id);
            let key = self.eval_id(expr, *key_id);
            let value = self.eval_id(expr, *value_id);
            heritage.add(&key);
            match self.object_key(&key, span, keys) {
                Some(name) => {
                    if keys == Keys::Document && attrs.contains_key(&name) {
                        self.duplicate(&name, span);
                    }
                    attrs.insert(name, value);
                }
                None => {
                    heritage.add_deep(&value);
                    open = true;
                }
            }
        }
        if open {
            attrs.values().for_each(|v| heritage.add_deep(v));
            return heritage.maybe_null(Type::Dynamic);
        }
        heritage.known(Value::object(attrs))
    }

    fn duplicate(&mut self, name: &str, span: Span) {
        self.error(
            Diagnostic::error("G0116", "Duplicate object attribute")
                .detail(format!("An attribute named {name:?} stands in this object already."))
                .at(span, "the same key again"),
        );
    }

    fn object_key(&mut self, key: &Value, span: Span, keys: Keys) -> Option<Arc<str>> {
        let document = keys == Keys::Document;
        if key.is_null() {
            self.error(
                Diagnostic::error(
                    "G0116",
                    if document { "Invalid object key expression" } else { "Null value as key" },
                )
                .detail("Can't use a null value as a key.")
                .at(span, "is null"),
            );
            return None;
        }
        match convert(key, &Type::String) {
            Ok(key) => key.as_str().map(Arc::from),
            Err(why) => {
                self.error(
                    Diagnostic::error(
                        "G0116",
                        if document { "Invalid object key expression" } else { "Incorrect key type" },
                    )
                    .detail(format!("Can't use this value as a key: {why}."))
                    .at(span, "a string is required"),
                );
                None
            }
        }
    }

    pub(super) fn for_loop(&mut self, expr: &Expr, body: &For) -> Value {
        let span = expr.tree().span(body.source);
        let source = self.eval_id(expr, body.source);
        let mut heritage = Heritage::shallow([&source]);
        let Some(pairs) = self.iterate(&source, span) else { return Value::unknown(Type::Dynamic) };
        let Some(pairs) = pairs else { return Heritage::deep([&source]).maybe_null(Type::Dynamic) };
        if let Some(condition) = body.condition
            && !self.condition_makes_sense(expr, body, condition)
        {
            return Value::unknown(Type::Dynamic);
        }
        let mut taken = Vec::new();
        let mut open = false;
        for (key, value) in pairs {
            match self.turn(expr, body, (key, value), &mut heritage) {
                Turn::Skip => {}
                Turn::Open => open = true,
                Turn::Take(key, value) => taken.push((key, value)),
            }
        }
        if open {
            taken.iter().for_each(|(_, v)| heritage.add_deep(v));
            return heritage.maybe_null(Type::Dynamic);
        }
        if body.key.is_none() {
            return heritage.known(Value::tuple(taken.into_iter().map(|(_, v)| v).collect()));
        }
        let gathered = self.gather(expr, body, taken);
        heritage.known(gathered)
    }

    /// Pairs of key and element; `Some(None)` if the source is not known, `None` if it is no collection.
    #[expect(clippy::option_option, reason = "the outer one is the error that was noted")]
    fn iterate(&mut self, source: &Value, span: Span) -> Option<Option<Vec<(Value, Value)>>> {
        let marks = source.marks();
        let pairs = match source.kind() {
            ValueKind::Null(_) => {
                self.error(
                    Diagnostic::error("G0113", "Iteration over null value")
                        .detail("A null value cannot be used as the collection in a 'for' expression.")
                        .at(span, "is null"),
                );
                return None;
            }
            ValueKind::Unknown(u) => match &u.ty {
                Type::Bool | Type::Number | Type::String => return self.not_iterable(&u.ty, span),
                _ => return Some(None),
            },
            ValueKind::List(_, items) | ValueKind::Tuple(items) => {
                items.iter().enumerate().map(|(i, v)| (Value::number(i), v.clone())).collect()
            }
            ValueKind::Set(_, items) if !source.is_wholly_known() && items.len() > 1 => return Some(None),
            ValueKind::Set(_, items) => items.iter().map(|v| (v.clone(), v.clone())).collect(),
            ValueKind::Map(_, attrs) | ValueKind::Object(attrs) => {
                attrs.iter().map(|(k, v)| (Value::string(k.clone()), v.clone())).collect()
            }
            _ => return self.not_iterable(&source.ty(), span),
        };
        let pairs: Vec<(Value, Value)> = pairs;
        Some(Some(pairs.into_iter().map(|(k, v)| (k.mark(marks), v.mark(marks))).collect()))
    }

    #[expect(clippy::option_option, reason = "the outer one is the error that was noted")]
    fn not_iterable(&mut self, ty: &Type, span: Span) -> Option<Option<Vec<(Value, Value)>>> {
        self.error(
            Diagnostic::error("G0113", "Iteration over non-iterable value")
                .detail(format!(
                    "A value of type {} cannot be used as the collection in a 'for' expression.",
                    ty.friendly()
                ))
                .at(span, "not a collection"),
        );
        None
    }

    /// Finds a condition that is null or no bool whatever the elements are, so that it is reported once.
    fn condition_makes_sense(&mut self, expr: &Expr, body: &For, condition: Id) -> bool {
        let any = Value::unknown(Type::Dynamic);
        let depth = self.bind(body, any.clone(), any);
        let (value, faults) = self.apart(&expr.at(condition));
        self.vars.truncate(depth);
        let span = expr.tree().span(condition);
        if faults.has_errors() {
            self.diagnostics.extend(faults);
            return false;
        }
        if value.is_null() {
            self.error(
                Diagnostic::error("G0113", "Condition is null")
                    .detail("The value of the 'if' clause must not be null.")
                    .at(span, "is null"),
            );
            return false;
        }
        if let Err(why) = convert(&value, &Type::Bool) {
            self.bad_condition(&format!("The 'if' clause value is invalid: {why}."), span);
            return false;
        }
        true
    }

    fn bad_condition(&mut self, detail: &str, span: Span) {
        self.error(
            Diagnostic::error("G0113", "Invalid 'for' condition")
                .detail(detail)
                .at(span, "a bool is required"),
        );
    }

    /// Binds the variables of a loop; returns how many there were before.
    fn bind(&mut self, body: &For, key: Value, value: Value) -> usize {
        let depth = self.vars.len();
        if let Some(name) = &body.key_var {
            self.vars.push((name.clone(), key));
        }
        self.vars.push((body.value_var.clone(), value));
        depth
    }

    fn turn(&mut self, expr: &Expr, body: &For, pair: (Value, Value), heritage: &mut Heritage) -> Turn {
        let depth = self.bind(body, pair.0, pair.1);
        let turn = self.turn_bound(expr, body, heritage);
        self.vars.truncate(depth);
        turn
    }

    fn turn_bound(&mut self, expr: &Expr, body: &For, heritage: &mut Heritage) -> Turn {
        if let Some(condition) = body.condition {
            let span = expr.tree().span(condition);
            let value = self.eval_id(expr, condition);
            heritage.add(&value);
            if value.is_null() {
                self.bad_condition("The value of the 'if' clause must not be null.", span);
                return Turn::Open;
            }
            match convert(&value, &Type::Bool).map(|v| v.as_bool()) {
                Ok(Some(true)) => {}
                Ok(Some(false)) => return Turn::Skip,
                Ok(None) => return Turn::Open,
                Err(why) => {
                    self.bad_condition(&format!("The 'if' clause value is invalid: {why}."), span);
                    return Turn::Open;
                }
            }
        }
        let Some(key_id) = body.key else {
            return Turn::Take(None, self.eval_id(expr, body.value));
        };
        let key = self.eval_id(expr, key_id);
        heritage.add(&key);
        let key = self.loop_key(&key, expr.tree().span(key_id));
        let value = self.eval_id(expr, body.value);
        match key {
            Some(key) => Turn::Take(Some(key), value),
            None => {
                heritage.add_deep(&value);
                Turn::Open
            }
        }
    }

    fn loop_key(&mut self, key: &Value, span: Span) -> Option<Arc<str>> {
        let why = if key.is_null() {
            "Key expression in 'for' expression must not produce a null value.".to_string()
        } else {
            match convert(key, &Type::String) {
                Ok(key) => return key.as_str().map(Arc::from),
                Err(why) => format!("The key expression produced an invalid result: {why}."),
            }
        };
        self.error(Diagnostic::error("G0113", "Invalid object key").detail(why).at(span, "not a key"));
        None
    }

    fn gather(&mut self, expr: &Expr, body: &For, taken: Vec<(Option<Arc<str>>, Value)>) -> Value {
        let mut groups: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
        for (key, value) in taken {
            let Some(key) = key else { continue };
            let group = groups.entry(key.clone()).or_default();
            group.push(value);
            if group.len() == 2 && !body.group {
                let span = expr.tree().span(body.key.unwrap_or(body.value));
                self.error(
                    Diagnostic::error("G0113", "Duplicate object key")
                        .detail(format!(
                            "Two different items produced the key {key:?} in this 'for' expression."
                        ))
                        .help("if duplicates are expected, write ... after the value to group by key")
                        .at(span, "gives the same key twice"),
                );
            }
        }
        if body.group {
            return Value::object(groups.into_iter().map(|(k, vs)| (k, Value::tuple(vs))));
        }
        Value::object(groups.into_iter().filter_map(|(k, vs)| Some((k, vs.into_iter().next()?))))
    }
}
