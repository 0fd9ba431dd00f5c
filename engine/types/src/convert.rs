//! Conversion of values to types and unification of types, by Terraform's rules.

use crate::names::NameMap;
use crate::path::{AttrPath, Step};
use crate::ty::{ObjectType, Type};
use crate::unify::one_type;
use crate::value::{Refinements, Unknown, Value, ValueKind};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use crate::unify::unify;

/// Why a value does not convert, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertError {
    pub path: AttrPath,
    pub message: String,
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.0.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

fn fail<T>(path: &AttrPath, message: impl Into<String>) -> Result<T, ConvertError> {
    Err(ConvertError { path: path.clone(), message: message.into() })
}

/// Converts a value to a type; marks stay.
///
/// # Errors
/// There is no conversion; the error names the place inside the value.
pub fn convert(value: &Value, ty: &Type) -> Result<Value, ConvertError> {
    convert_at(value, ty, &AttrPath::root())
}

fn convert_at(value: &Value, ty: &Type, at: &AttrPath) -> Result<Value, ConvertError> {
    let marks = value.marks();
    if let Some(open) = open_collection(value, ty) {
        return Ok(open.mark(marks));
    }
    let bare = match (value.kind(), ty) {
        (_, Type::Dynamic) => return Ok(value.clone()),
        // A null of a type that does not convert is no more welcome than a value of it.
        (ValueKind::Null(from), _) if can_convert(from, ty) => Value::null(concrete(&result_type(from, ty))),
        (ValueKind::Unknown(u), _) => convert_unknown(u, ty, at)?,
        (ValueKind::String(_), Type::String)
        | (ValueKind::Number(_), Type::Number)
        | (ValueKind::Bool(_), Type::Bool) => return Ok(value.clone()),
        (ValueKind::Number(n), Type::String) => Value::string(n.to_string()),
        (ValueKind::Bool(b), Type::String) => Value::string(if *b { "true" } else { "false" }),
        (ValueKind::String(s), Type::Number) => match crate::number::Number::from_text(s) {
            Ok(n) => Value::number(n),
            Err(_) => return fail(at, "a number is required"),
        },
        (ValueKind::String(s), Type::Bool) => match &**s {
            "true" | "1" => Value::bool(true),
            "false" | "0" => Value::bool(false),
            _ => return fail(at, "a bool is required"),
        },
        (ValueKind::Tuple(items), Type::List(e) | Type::Set(e))
            if **e == Type::Dynamic && !one_type(&items.iter().map(Value::ty).collect::<Vec<_>>()) =>
        {
            return fail(at, format!("cannot convert tuple to {} of any single type", kind_word(ty)));
        }
        (ValueKind::List(..) | ValueKind::Set(..) | ValueKind::Tuple(_), Type::List(e)) => {
            let (e, items) = elements(value, e, at)?;
            Value::list(e, items)
        }
        (ValueKind::List(..) | ValueKind::Set(..) | ValueKind::Tuple(_), Type::Set(e)) => {
            let (e, items) = elements(value, e, at)?;
            if e != *wanted_element(ty) && !same_types(value, wanted_element(ty), at) {
                return fail(at, "element types must all match for conversion to set");
            }
            set_of(e, &items)
        }
        (ValueKind::List(..) | ValueKind::Tuple(_), Type::Tuple(types)) => {
            let items = value.as_seq().unwrap_or_default();
            if items.len() != types.len() {
                return fail(at, format!("a tuple of {} elements is required", types.len()));
            }
            let pairs = items.iter().zip(types.iter()).enumerate();
            Value::tuple(pairs.map(|(i, (v, t))| convert_at(v, t, &at.index(i))).collect::<Result<_, _>>()?)
        }
        (ValueKind::Map(..) | ValueKind::Object(_), Type::Map(e)) => map_elements(value, e, at)?,
        (ValueKind::Map(..) | ValueKind::Object(_), Type::Object(o)) => object_attrs(value, o, at)?,
        (_, Type::List(_) | Type::Set(_) | Type::Map(_) | Type::Tuple(_) | Type::Object(_)) => {
            return fail(at, format!("{} required", article(ty)));
        }
        (_, Type::String | Type::Number | Type::Bool) => {
            return fail(at, format!("{} required", article(ty)));
        }
    };
    Ok(bare.mark(marks))
}

/// A collection that can not be told although its parts are there: its element type depends on parts of
/// which not even the type is known, or its order on elements of a set that are not known.
fn open_collection(value: &Value, ty: &Type) -> Option<Value> {
    let (Type::List(e) | Type::Set(e) | Type::Map(e)) = ty else { return None };
    let count = value.as_seq().map(<[Value]>::len).or_else(|| value.as_map().map(NameMap::len))?;
    let from_set = matches!(value.kind(), ValueKind::Set(..));
    let unordered = from_set && matches!(ty, Type::List(_)) && !value.is_wholly_known();
    let structural = matches!(value.kind(), ValueKind::Tuple(_) | ValueKind::Object(_));
    let untyped = structural && e.has_dynamic() && is_untyped(value);
    if !(unordered || untyped) || !can_convert(&value.ty(), ty) {
        return None;
    }
    let element =
        if untyped { Type::Dynamic } else { result_type(&value.ty(), ty).element().unwrap_or(Type::Dynamic) };
    let merging = from_set || matches!(ty, Type::Set(_));
    let len_min = if merging { count.min(1) } else { count };
    let refine = Refinements { not_null: true, prefix: None, len_min, len_max: Some(count) };
    let ty = match ty {
        Type::List(_) => Type::list(concrete(&element)),
        Type::Set(_) => Type::set(concrete(&element)),
        _ => Type::map(concrete(&element)),
    };
    let unknown = Unknown { ty, refine, causes: value.causes(), residual: None };
    Some(Value::from(unknown).mark(value.deep_marks()))
}

/// Whether the type of some unknown part is not known.
pub fn is_untyped(value: &Value) -> bool {
    let mut untyped = false;
    value.walk(&mut |v| untyped |= v.as_unknown().is_some_and(|u| u.ty.has_dynamic()));
    untyped
}

/// Which element has which mark can not be kept where elements are merged: the whole set takes them.
fn set_of(element: Type, items: &[Value]) -> Value {
    let mut marks = crate::marks::Marks::NONE;
    let mut bare = Vec::with_capacity(items.len());
    for item in items {
        let (item, taken) = item.unmark_deep();
        marks = marks.union(taken);
        bare.push(item);
    }
    Value::set(element, bare).mark(marks)
}

fn wanted_element(ty: &Type) -> &Type {
    match ty {
        Type::List(e) | Type::Set(e) | Type::Map(e) => e,
        _ => ty,
    }
}

/// Whether elements that are wanted to be of a type which is open inside come out alike: in a set they are
/// not brought to a type in common.
fn same_types(value: &Value, element: &Type, at: &AttrPath) -> bool {
    if *element == Type::Dynamic || !element.has_dynamic() {
        return true;
    }
    let mut types = value.as_seq().unwrap_or_default().iter().filter_map(|v| convert_at(v, element, at).ok());
    let Some(first) = types.next().map(|v| v.ty()) else { return true };
    types.all(|v| v.ty() == first)
}

fn kind_word(ty: &Type) -> &'static str {
    if matches!(ty, Type::Set(_)) { "set" } else { "list" }
}

fn article(ty: &Type) -> String {
    let word = ty.friendly();
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { format!("an {word} is") } else { format!("a {word} is") }
}

fn convert_unknown(u: &Unknown, ty: &Type, at: &AttrPath) -> Result<Value, ConvertError> {
    if !can_convert(&u.ty, ty) {
        return fail(at, format!("{} required", article(ty)));
    }
    let ty = concrete(&result_type(&u.ty, ty));
    let refine = if u.ty == ty {
        u.refine.clone()
    } else {
        // Lengths survive between sequences but for a set, which may merge elements.
        let to_set = matches!(ty, Type::Set(_)) && !matches!(u.ty, Type::Set(_));
        let keeps_len = ty.is_collection() && u.ty.is_collection();
        Refinements {
            not_null: u.refine.not_null,
            prefix: None,
            len_min: if keeps_len {
                if to_set { u.refine.len_min.min(1) } else { u.refine.len_min }
            } else {
                0
            },
            len_max: if keeps_len { u.refine.len_max } else { None },
        }
    };
    Ok(Unknown { ty, refine, causes: u.causes.clone(), residual: u.residual.clone() }.into())
}

/// Returns the type without optional attributes: a value has all attributes of its type.
fn concrete(ty: &Type) -> Type {
    match ty {
        Type::Dynamic | Type::Bool | Type::Number | Type::String => ty.clone(),
        Type::List(e) => Type::list(concrete(e)),
        Type::Set(e) => Type::set(concrete(e)),
        Type::Map(e) => Type::map(concrete(e)),
        Type::Tuple(es) => Type::tuple(es.iter().map(concrete)),
        Type::Object(o) => Type::object(o.attrs.iter().map(|(k, t)| (k.clone(), concrete(t)))),
    }
}

/// The type that a value of type `from` has after conversion to `to`: `Dynamic` parts are filled in.
fn result_type(from: &Type, to: &Type) -> Type {
    match (from, to) {
        (_, Type::Dynamic) => from.clone(),
        (Type::List(f) | Type::Set(f), Type::List(t)) => Type::list(result_type(f, t)),
        (Type::List(f) | Type::Set(f), Type::Set(t)) => Type::set(result_type(f, t)),
        (Type::Map(f), Type::Map(t)) => Type::map(result_type(f, t)),
        (Type::Tuple(fs), Type::List(t) | Type::Set(t)) if t.has_dynamic() => {
            let e = unify(fs).unwrap_or(Type::Dynamic);
            let e = result_type(&e, t);
            if matches!(to, Type::List(_)) { Type::list(e) } else { Type::set(e) }
        }
        _ => to.clone(),
    }
}

/// Whether some value of type `from` converts to `to`.
pub fn can_convert(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => true,
        (Type::String | Type::Number | Type::Bool, Type::String) => true,
        (Type::String | Type::Number, Type::Number) | (Type::String | Type::Bool, Type::Bool) => true,
        (Type::List(f) | Type::Set(f), Type::List(t) | Type::Set(t)) => can_convert(f, t),
        (Type::Tuple(fs), Type::List(t) | Type::Set(t)) => fs.iter().all(|f| can_convert(f, t)),
        (Type::List(f), Type::Tuple(ts)) => ts.iter().all(|t| can_convert(f, t)),
        (Type::Tuple(fs), Type::Tuple(ts)) => {
            fs.len() == ts.len() && fs.iter().zip(ts.iter()).all(|(f, t)| can_convert(f, t))
        }
        (Type::Map(f), Type::Map(t)) => can_convert(f, t),
        (Type::Object(o), Type::Map(t)) => o.attrs.values().all(|f| can_convert(f, t)),
        (Type::Map(f), Type::Object(o)) => o.attrs.values().all(|t| can_convert(f, t)),
        (Type::Object(f), Type::Object(t)) => t.attrs.iter().all(|(name, ty)| match f.attrs.get(name) {
            Some(from) => can_convert(from, ty),
            None => t.optional.contains(name),
        }),
        _ => false,
    }
}

fn elements(value: &Value, element: &Type, at: &AttrPath) -> Result<(Type, Vec<Value>), ConvertError> {
    let items = value.as_seq().unwrap_or_default();
    let converted: Vec<Value> = items
        .iter()
        .enumerate()
        .map(|(i, v)| convert_at(v, element, &at.index(i)))
        .collect::<Result<_, _>>()?;
    let fallback = match value.kind() {
        ValueKind::List(e, _) | ValueKind::Set(e, _) => Some(e),
        _ => None,
    };
    settle_element_type(element, fallback, converted, at)
}

/// Gives elements one common type where the wanted element type leaves it open.
fn settle_element_type(
    wanted: &Type,
    fallback: Option<&Type>,
    items: Vec<Value>,
    at: &AttrPath,
) -> Result<(Type, Vec<Value>), ConvertError> {
    if !wanted.has_dynamic() {
        return Ok((concrete(wanted), items));
    }
    if items.is_empty() {
        return Ok((concrete(&fallback.map_or(wanted.clone(), |f| result_type(f, wanted))), items));
    }
    let different = || fail(at, "all elements must have the same type");
    let types: Vec<Type> = items.iter().map(Value::ty).collect();
    let Some(mut common) = unify(&types) else { return different() };
    if common == Type::Dynamic {
        // A null takes the type of the others, which beside it are not brought to one.
        let mut typed = types.iter().filter(|t| **t != Type::Dynamic);
        let first = typed.next().cloned().unwrap_or(Type::Dynamic);
        if typed.any(|t| *t != first) {
            return different();
        }
        common = first;
    }
    let converted = items.iter().enumerate().map(|(i, v)| convert_at(v, &common, &at.index(i)));
    let converted = converted.collect::<Result<Vec<_>, _>>()?;
    if common.has_dynamic() {
        let Some(first) = converted.first().map(Value::ty) else { return different() };
        return if converted.iter().all(|v| v.ty() == first) { Ok((first, converted)) } else { different() };
    }
    Ok((common, converted))
}

fn map_elements(value: &Value, element: &Type, at: &AttrPath) -> Result<Value, ConvertError> {
    let source = value.as_map().cloned().unwrap_or_default();
    let keys: Vec<Arc<str>> = source.keys().cloned().collect();
    let converted: Vec<Value> = source
        .iter()
        .map(|(k, v)| convert_at(v, element, &at.with(Step::Key(k.clone()))))
        .collect::<Result<_, _>>()?;
    let fallback = if let ValueKind::Map(e, _) = value.kind() { Some(e) } else { None };
    let (e, items) = settle_element_type(element, fallback, converted, at)?;
    Ok(Value::map(e, keys.into_iter().zip(items)))
}

fn object_attrs(value: &Value, wanted: &ObjectType, at: &AttrPath) -> Result<Value, ConvertError> {
    let source = value.as_map().cloned().unwrap_or_default();
    let mut attrs = BTreeMap::new();
    for (name, ty) in &wanted.attrs {
        let converted = match source.get(name) {
            Some(v) => convert_at(v, ty, &at.with(Step::Attr(name.clone())))?,
            None if wanted.optional.contains(name) => Value::null(concrete(ty)),
            None => return fail(at, format!("attribute {name:?} is required")),
        };
        attrs.insert(name.clone(), converted);
    }
    Ok(Value::object(attrs))
}
