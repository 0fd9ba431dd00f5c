//! What results inherit from their operands: marks, causes of being unknown, refinements.

use groma_types::{Causes, Marks, Number, Refinements, Type, Unknown, Value, ValueKind};
use std::sync::Arc;
use unicode_segmentation::UnicodeSegmentation;

/// Collects marks and causes of operands for a result.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heritage {
    marks: Marks,
    causes: Causes,
}

impl Heritage {
    /// From values as a whole, with all inside.
    pub(crate) fn deep<'a>(values: impl IntoIterator<Item = &'a Value>) -> Heritage {
        let mut heritage = Heritage::default();
        values.into_iter().for_each(|v| heritage.add_deep(v));
        heritage
    }

    /// From values without what is inside them.
    pub(crate) fn shallow<'a>(values: impl IntoIterator<Item = &'a Value>) -> Heritage {
        let mut heritage = Heritage::default();
        values.into_iter().for_each(|v| heritage.add(v));
        heritage
    }

    pub(crate) fn add(&mut self, value: &Value) {
        self.marks = self.marks.union(value.marks());
        if let Some(u) = value.as_unknown() {
            self.causes.join(&u.causes);
        }
    }

    pub(crate) fn add_deep(&mut self, value: &Value) {
        value.walk(&mut |v| self.add(v));
    }

    pub(crate) fn add_marks(&mut self, marks: Marks) {
        self.marks = self.marks.union(marks);
    }

    /// Gives a result its marks.
    pub(crate) fn known(&self, value: impl Into<Value>) -> Value {
        value.into().mark(self.marks)
    }

    /// An unknown result that may be null.
    pub(crate) fn maybe_null(&self, ty: Type) -> Value {
        self.refined(ty, Refinements::default())
    }

    /// An unknown result that is not null.
    pub(crate) fn unknown(&self, ty: Type) -> Value {
        // Of a value of unknown type nothing can be said yet.
        let not_null = ty != Type::Dynamic;
        self.refined(ty, Refinements { not_null, ..Refinements::default() })
    }

    pub(crate) fn refined(&self, ty: Type, refine: Refinements) -> Value {
        let unknown = Unknown { ty, refine, causes: self.causes.clone(), residual: None };
        Value::from(unknown).mark(self.marks)
    }

    /// An unknown collection with bounds of its length.
    pub(crate) fn sized(&self, ty: Type, len_min: usize, len_max: Option<usize>) -> Value {
        self.refined(ty, Refinements { not_null: true, len_min, len_max, ..Refinements::default() })
    }

    /// An unknown number within bounds.
    pub(crate) fn counted(&self, min: usize, max: usize) -> Value {
        let refine =
            Refinements { not_null: true, len_min: min, len_max: Some(max), ..Refinements::default() };
        self.refined(Type::Number, refine)
    }

    /// An unknown string that begins with `prefix`.
    pub(crate) fn prefixed(&self, prefix: &str) -> Value {
        let prefix = safe_prefix(prefix);
        let prefix = (!prefix.is_empty()).then(|| Arc::from(prefix));
        self.refined(Type::String, Refinements { not_null: true, prefix, ..Refinements::default() })
    }
}

/// Cuts a prefix to the part that no continuation can change: a combining mark that follows would be
/// composed with the last character.
pub(crate) fn safe_prefix(prefix: &str) -> &str {
    match prefix.chars().next_back() {
        Some(c) if c.is_ascii() && !c.is_ascii_alphabetic() && !"<>=".contains(c) => prefix,
        _ => prefix.grapheme_indices(true).next_back().map_or("", |(at, _)| &prefix[..at]),
    }
}

/// Whether a value can not turn out to be null.
pub(crate) fn never_null(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Null(_) => false,
        ValueKind::Unknown(u) => u.refine.not_null,
        _ => true,
    }
}

/// Bounds of the number of elements of a sequence or mapping.
pub(crate) fn length_bounds(value: &Value) -> (usize, Option<usize>) {
    match value.kind() {
        ValueKind::Unknown(u) => match &u.ty {
            Type::Tuple(es) => (es.len(), Some(es.len())),
            Type::Object(o) => (o.attrs.len(), Some(o.attrs.len())),
            _ => (u.refine.len_min, u.refine.len_max),
        },
        // Unknown elements of a set may turn out to be equal to others.
        ValueKind::Set(_, items) if !value.is_wholly_known() => {
            let known = items.iter().filter(|v| v.is_wholly_known()).count();
            (known.max(usize::from(!items.is_empty())), Some(items.len()))
        }
        _ => {
            let len = value.as_seq().map_or_else(|| value.as_map().map_or(0, |m| m.len()), <[Value]>::len);
            (len, Some(len))
        }
    }
}

/// Bounds of a number: a counted one that is not known lies between two.
pub(crate) fn number_bounds(value: &Value) -> Option<(Number, Number)> {
    match value.kind() {
        ValueKind::Number(n) => Some((n.clone(), n.clone())),
        ValueKind::Unknown(u) if u.ty == Type::Number => {
            u.refine.len_max.map(|max| (Number::from(u.refine.len_min), Number::from(max)))
        }
        _ => None,
    }
}

/// Whether two values are equal: `None` while that depends on what is not known. Types must be the same
/// for values to be equal.
pub(crate) fn equal(a: &Value, b: &Value) -> Option<bool> {
    // Of two unknowns Terraform says nothing, whatever their types.
    if a.is_unknown() && b.is_unknown() { None } else { equal_parts(a, b) }
}

fn equal_parts(a: &Value, b: &Value) -> Option<bool> {
    match (a.kind(), b.kind()) {
        (ValueKind::Null(_), ValueKind::Null(_)) => Some(true),
        (ValueKind::Null(_), ValueKind::Unknown(_)) => never_null(b).then_some(false),
        (ValueKind::Unknown(_), ValueKind::Null(_)) => never_null(a).then_some(false),
        (ValueKind::Null(_), _) | (_, ValueKind::Null(_)) => Some(false),
        (ValueKind::Unknown(x), ValueKind::Unknown(y)) => {
            let clash = types_differ(&x.ty, &y.ty);
            (clash && (x.refine.not_null || y.refine.not_null)).then_some(false)
        }
        (ValueKind::Unknown(u), _) => (never_both(u, b) || types_differ(&u.ty, &b.ty())).then_some(false),
        (_, ValueKind::Unknown(u)) => (never_both(u, a) || types_differ(&u.ty, &a.ty())).then_some(false),
        (ValueKind::List(x, _), ValueKind::List(y, _)) if types_differ(x, y) => Some(false),
        (ValueKind::Set(x, _), ValueKind::Set(y, _)) if types_differ(x, y) => Some(false),
        (ValueKind::Map(x, _), ValueKind::Map(y, _)) if types_differ(x, y) => Some(false),
        (ValueKind::List(_, x), ValueKind::List(_, y)) | (ValueKind::Tuple(x), ValueKind::Tuple(y)) => {
            equal_all(x.len() == y.len(), x.iter().zip(y.iter()))
        }
        (ValueKind::Set(_, x), ValueKind::Set(_, y)) => equal_sets(a, b, x, y),
        (ValueKind::Map(_, x), ValueKind::Map(_, y)) | (ValueKind::Object(x), ValueKind::Object(y)) => {
            equal_all(x.keys().eq(y.keys()), x.values().zip(y.values()))
        }
        (ValueKind::Bool(x), ValueKind::Bool(y)) => Some(x == y),
        (ValueKind::Number(x), ValueKind::Number(y)) => Some(x == y),
        (ValueKind::String(x), ValueKind::String(y)) => Some(x == y),
        _ => Some(false),
    }
}

fn equal_all<'a>(shape: bool, pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Option<bool> {
    if !shape {
        return Some(false);
    }
    let mut all = Some(true);
    for (x, y) in pairs {
        match equal_parts(x, y) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all = None,
        }
    }
    all
}

fn equal_sets(a: &Value, b: &Value, x: &[Value], y: &[Value]) -> Option<bool> {
    if a.is_wholly_known() && b.is_wholly_known() {
        return Some(x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y) == Some(true)));
    }
    let ((a_min, a_max), (b_min, b_max)) = (length_bounds(a), length_bounds(b));
    let apart = a_max.is_some_and(|max| max < b_min) || b_max.is_some_and(|max| max < a_min);
    apart.then_some(false)
}

/// Whether types can never be the same, whatever stands for their dynamic parts.
fn types_differ(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => false,
        (Type::List(x), Type::List(y)) | (Type::Set(x), Type::Set(y)) | (Type::Map(x), Type::Map(y)) => {
            types_differ(x, y)
        }
        (Type::Tuple(x), Type::Tuple(y)) => {
            x.len() != y.len() || x.iter().zip(y.iter()).any(|(x, y)| types_differ(x, y))
        }
        (Type::Object(x), Type::Object(y)) => {
            !x.attrs.keys().eq(y.attrs.keys())
                || x.attrs.values().zip(y.attrs.values()).any(|(x, y)| types_differ(x, y))
        }
        _ => a != b,
    }
}

/// Whether the refinements of an unknown rule a (non-null) value out.
fn never_both(u: &Unknown, value: &Value) -> bool {
    let prefix_clash = match (&u.refine.prefix, value.kind()) {
        (Some(prefix), ValueKind::String(s)) => !s.starts_with(&**prefix),
        _ => false,
    };
    let sized = u.ty.is_collection() && (value.ty().is_collection());
    let (min, max) = if sized { length_bounds(value) } else { (0, None) };
    let beyond = value.as_number().is_some_and(|n| {
        u.ty == Type::Number
            && u.refine
                .len_max
                .is_some_and(|max| *n < Number::from(u.refine.len_min) || *n > Number::from(max))
    });
    prefix_clash
        || beyond
        || (sized && (max.is_some_and(|m| m < u.refine.len_min) || u.refine.len_max.is_some_and(|m| m < min)))
}
