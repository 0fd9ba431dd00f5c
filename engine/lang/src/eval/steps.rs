//! Attributes, indexes and splats.

use super::Eval;
use crate::ast::{Id, Kind};
use crate::expr::Expr;
use crate::unknown::{Heritage, length_bounds, never_null};
use groma_types::convert::convert;
use groma_types::diagnostic::nearest;
use groma_types::{Diagnostic, Span, Type, Value, ValueKind};

impl Eval<'_> {
    /// Applies the step of `link` (its own base is not looked at).
    pub(super) fn step(&mut self, value: Value, link: &Expr) -> Value {
        match link.kind() {
            Kind::Attr(_, name) => self.attribute(&value, name, link.span()),
            Kind::Index(_, key) => {
                let key = self.eval_id(link, *key);
                self.index(&value, &key, link.span())
            }
            _ => value,
        }
    }

    fn attribute(&mut self, value: &Value, name: &str, span: Span) -> Value {
        let heritage = Heritage::shallow([value]);
        match value.kind() {
            ValueKind::Object(attrs) | ValueKind::Map(_, attrs) if attrs.contains_key(name) => {
                heritage.known(attrs[name].clone())
            }
            ValueKind::Unknown(u) => match &u.ty {
                Type::Dynamic => heritage.maybe_null(Type::Dynamic),
                Type::Map(e) => heritage.maybe_null((**e).clone()),
                Type::Object(o) => match o.attrs.get(name) {
                    Some(ty) => heritage.maybe_null(ty.clone()),
                    None => self.no_attribute(name, o.attrs.keys().map(|k| &**k), span),
                },
                other => self.no_attributes(other, name, span),
            },
            ValueKind::Null(_) => self.error(
                Diagnostic::error("G0111", "Attempt to get attribute from null value")
                    .detail("This value is null, so it does not have any attributes.")
                    .at(span, "of a null value"),
            ),
            ValueKind::Object(attrs) => self.no_attribute(name, attrs.keys().map(|k| &**k), span),
            ValueKind::Map(_, attrs) => {
                let mut diagnostic = Diagnostic::error("G0111", "Missing map element")
                    .detail(format!("This map does not have an element with the key {name:?}."))
                    .at(span, "no such key");
                if let Some(near) = nearest(name, attrs.keys().map(|k| &**k)) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                }
                self.error(diagnostic)
            }
            _ => self.no_attributes(&value.ty(), name, span),
        }
    }

    fn no_attribute<'k>(&mut self, name: &str, keys: impl Iterator<Item = &'k str>, span: Span) -> Value {
        let mut diagnostic = Diagnostic::error("G0111", "Unsupported attribute")
            .detail(format!("This object does not have an attribute named {name:?}."))
            .at(span, "no such attribute");
        if let Some(near) = nearest(name, keys) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.error(diagnostic)
    }

    fn no_attributes(&mut self, ty: &Type, name: &str, span: Span) -> Value {
        let mut diagnostic = Diagnostic::error("G0111", "Unsupported attribute")
            .detail(format!("A {} does not have attributes.", ty.friendly()))
            .at(span, "has no attributes");
        diagnostic = match ty {
            Type::List(_) | Type::Tuple(_) => {
                diagnostic.help(format!("for one element write [0].{name}, for all of them [*].{name}"))
            }
            Type::Set(_) => diagnostic.help(format!("for all elements write [*].{name}")),
            _ => diagnostic,
        };
        self.error(diagnostic)
    }

    pub(super) fn index(&mut self, value: &Value, key: &Value, span: Span) -> Value {
        if value.is_null() {
            return self.error(
                Diagnostic::error("G0111", "Attempt to index null value")
                    .detail("This value is null, so it does not have any indices.")
                    .at(span, "of a null value"),
            );
        }
        if key.is_null() {
            return self.bad_index("Can't use a null value as an indexing key.", span);
        }
        let heritage = Heritage::shallow([value, key]);
        let ty = match value.kind() {
            ValueKind::Unknown(u) => u.ty.clone(),
            ValueKind::List(e, _) => Type::list(e.clone()),
            ValueKind::Map(e, _) => Type::map(e.clone()),
            _ => value.ty(),
        };
        match &ty {
            Type::Dynamic => heritage.maybe_null(Type::Dynamic),
            Type::List(_) | Type::Tuple(_) => self.index_sequence(value, &ty, key, &heritage, span),
            Type::Map(_) | Type::Object(_) => self.index_mapping(value, &ty, key, &heritage, span),
            Type::Set(_) => self.bad_index(
                "Elements of a set are identified only by their value and don't have any separate index or key to select with.",
                span,
            ),
            _ => self.bad_index("This value does not have any indices.", span),
        }
    }

    fn bad_index(&mut self, detail: &str, span: Span) -> Value {
        self.error(Diagnostic::error("G0111", "Invalid index").detail(detail).at(span, "in this index"))
    }

    fn index_sequence(
        &mut self,
        value: &Value,
        ty: &Type,
        key: &Value,
        heritage: &Heritage,
        span: Span,
    ) -> Value {
        let Ok(number) = convert(key, &Type::Number) else {
            return self.bad_index(
                "The given key does not identify an element in this collection value: a number is required.",
                span,
            );
        };
        let unknown_element = |at: Option<usize>| match ty {
            Type::List(e) => Some(heritage.maybe_null((**e).clone())),
            Type::Tuple(es) => match at {
                Some(at) => es.get(at).map(|e| heritage.maybe_null(e.clone())),
                None => Some(heritage.maybe_null(Type::Dynamic)),
            },
            _ => None,
        };
        let Some(n) = number.as_number() else {
            return unknown_element(None).unwrap_or(Value::NULL);
        };
        let Some(at) = n.to_u64().and_then(|n| usize::try_from(n).ok()) else {
            return self.bad_index("The given key does not identify an element in this collection value: indexes are whole numbers from zero.", span);
        };
        let found = match value.as_seq() {
            Some(items) => items.get(at).map(|v| heritage.known(v.clone())),
            None => unknown_element(Some(at)).filter(|_| length_bounds(value).1.is_none_or(|max| at < max)),
        };
        match found {
            Some(found) => found,
            None => {
                let (_, len) = length_bounds(value);
                let len = len.unwrap_or(0);
                self.bad_index(
                    &format!("The given key does not identify an element in this collection value: index {at}, but there are {len} element(s)."),
                    span,
                )
            }
        }
    }

    fn index_mapping(
        &mut self,
        value: &Value,
        ty: &Type,
        key: &Value,
        heritage: &Heritage,
        span: Span,
    ) -> Value {
        let Ok(name) = convert(key, &Type::String) else {
            return self.bad_index(
                "The given key does not identify an element in this collection value: a string is required.",
                span,
            );
        };
        let Some(name) = name.as_str() else {
            return match ty {
                Type::Map(e) => heritage.maybe_null((**e).clone()),
                _ => heritage.maybe_null(Type::Dynamic),
            };
        };
        let found = match (value.as_map(), ty) {
            (Some(attrs), _) => attrs.get(name).map(|v| heritage.known(v.clone())),
            (None, Type::Map(e)) => Some(heritage.maybe_null((**e).clone())),
            (None, Type::Object(o)) => o.attrs.get(name).map(|t| heritage.maybe_null(t.clone())),
            (None, _) => None,
        };
        match found {
            Some(found) => found,
            None => {
                let keys: Vec<&str> =
                    value.as_map().into_iter().flat_map(|m| m.keys().map(|k| &**k)).collect();
                let mut diagnostic = Diagnostic::error("G0111", "Invalid index")
                    .detail(format!("The given key does not identify an element in this collection value: there is no {name:?}."))
                    .at(span, "in this index");
                if let Some(near) = nearest(name, keys) {
                    diagnostic = diagnostic.help(format!("did you mean {near:?}?"));
                }
                self.error(diagnostic)
            }
        }
    }

    pub(super) fn splat(&mut self, expr: &Expr, source: Id, each: Id) -> Value {
        let value = self.eval_id(expr, source);
        let heritage = Heritage::shallow([&value]);
        let ty = value.ty();
        match value.kind() {
            ValueKind::Null(Type::List(_) | Type::Set(_) | Type::Tuple(_)) => self.error(
                Diagnostic::error("G0111", "Splat of null value")
                    .detail("Splat expressions (with the * symbol) cannot be applied to null sequences.")
                    .at(expr.span(), "of a null value"),
            ),
            ValueKind::Null(_) => heritage.known(Value::tuple(Vec::new())),
            ValueKind::Tuple(items) => {
                heritage.known(Value::tuple(items.iter().map(|v| self.each(expr, each, v)).collect()))
            }
            ValueKind::Set(e, _) if !value.is_wholly_known() => {
                let element = self.each_type(expr, each, e);
                let (min, max) = length_bounds(&value);
                Heritage::deep([&value]).sized(Type::list(element), min, max)
            }
            ValueKind::List(e, items) | ValueKind::Set(e, items) => {
                let made: Vec<Value> = items.iter().map(|v| self.each(expr, each, v)).collect();
                let element = match made.first() {
                    Some(first) => first.ty(),
                    None => self.each_type(expr, each, e),
                };
                heritage.known(if made.iter().all(|v| v.ty() == element) {
                    Value::list(element, made)
                } else {
                    Value::tuple(made)
                })
            }
            ValueKind::Unknown(u) => match &ty {
                Type::List(e) | Type::Set(e) => {
                    let element = self.each_type(expr, each, e);
                    let (min, max) = length_bounds(&value);
                    let mut sized = heritage.sized(Type::list(element), min, max);
                    if !u.refine.not_null {
                        sized = heritage.maybe_null(sized.ty());
                    }
                    sized
                }
                Type::Tuple(es) => {
                    let items = es.iter().map(|e| heritage.maybe_null(e.clone()));
                    let made = items.map(|v| self.each(expr, each, &v)).collect();
                    Value::tuple(made)
                }
                // A single value counts as a sequence of one, null as an empty one.
                _ if ty != Type::Dynamic && never_null(&value) => {
                    heritage.known(Value::tuple(vec![self.each(expr, each, &value)]))
                }
                _ => heritage.maybe_null(Type::Dynamic),
            },
            _ => heritage.known(Value::tuple(vec![self.each(expr, each, &value)])),
        }
    }

    fn each(&mut self, expr: &Expr, each: Id, element: &Value) -> Value {
        self.holes.push(element.clone());
        let value = self.eval_id(expr, each);
        self.holes.pop();
        value
    }

    fn each_type(&mut self, expr: &Expr, each: Id, element: &Type) -> Type {
        self.each(expr, each, &Value::unknown(element.clone())).ty()
    }
}
