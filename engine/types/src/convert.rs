//! Conversion of values to types and unification of types, by Terraform's rules.

use crate::path::{AttrPath, Step};
use crate::ty::{ObjectType, Type};
use crate::value::{Refinements, Unknown, Value, ValueKind};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

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
        (ValueKind::Null(from), _) => Value::null(concrete(&result_type(from, ty))),
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
        (ValueKind::List(..) | ValueKind::Set(..) | ValueKind::Tuple(_), Type::List(e)) => {
            let (e, items) = elements(value, e, at)?;
            Value::list(e, items)
        }
        (ValueKind::List(..) | ValueKind::Set(..) | ValueKind::Tuple(_), Type::Set(e)) => {
            let (e, items) = elements(value, e, at)?;
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
    let count = value.as_seq().map(<[Value]>::len).or_else(|| value.as_map().map(BTreeMap::len))?;
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
    let types: Vec<Type> = items.iter().map(Value::ty).collect();
    let Some(common) = unify(&types) else {
        return fail(at, "all elements must have the same type");
    };
    let items = items.iter().enumerate().map(|(i, v)| convert_at(v, &common, &at.index(i)));
    Ok((common.clone(), items.collect::<Result<_, _>>()?))
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

/// Returns the type that values of all these types convert to, if there is one.
///
/// Structures of the same shape unify place by place, of different shapes to a collection; of other types
/// one of them must take all the others, so a number and a bool have no common type.
pub fn unify(types: &[Type]) -> Option<Type> {
    let mut distinct: Vec<&Type> = Vec::new();
    for ty in types.iter().filter(|t| **t != Type::Dynamic) {
        if !distinct.contains(&ty) {
            distinct.push(ty);
        }
    }
    match distinct.as_slice() {
        [] => Some(Type::Dynamic),
        [one] => Some((*one).clone()),
        many => unify_distinct(many),
    }
}

fn unify_distinct(types: &[&Type]) -> Option<Type> {
    let all = |kind: fn(&Type) -> bool| types.iter().all(|t| kind(t));
    let any = |kind: fn(&Type) -> bool| types.iter().any(|t| kind(t));
    if all(Type::is_primitive) {
        // Of different primitives only a string takes the others.
        return any(|t| *t == Type::String).then_some(Type::String);
    }
    if all(|t| matches!(t, Type::Tuple(_))) {
        return unify_tuples(types);
    }
    if all(|t| matches!(t, Type::Object(_))) {
        return unify_objects(types);
    }
    if all(|t| matches!(t, Type::Object(_) | Type::Map(_))) {
        return Some(Type::map(unify_elements(types)?));
    }
    if all(|t| matches!(t, Type::List(_) | Type::Set(_) | Type::Tuple(_))) {
        let element = unify_elements(types)?;
        let list = any(|t| matches!(t, Type::List(_)));
        return Some(if list { Type::list(element) } else { Type::set(element) });
    }
    None
}

fn unify_elements(types: &[&Type]) -> Option<Type> {
    let mut elements = Vec::new();
    for ty in types {
        match ty {
            Type::List(e) | Type::Set(e) | Type::Map(e) => elements.push((**e).clone()),
            Type::Tuple(es) => elements.extend(es.iter().cloned()),
            Type::Object(o) => elements.extend(o.attrs.values().cloned()),
            Type::Dynamic | Type::Bool | Type::Number | Type::String => return None,
        }
    }
    unify(&elements)
}

fn unify_tuples(types: &[&Type]) -> Option<Type> {
    let rows: Vec<&[Type]> =
        types.iter().filter_map(|t| if let Type::Tuple(es) = t { Some(&**es) } else { None }).collect();
    let width = rows.first()?.len();
    if rows.iter().any(|r| r.len() != width) {
        return Some(Type::list(unify_elements(types)?));
    }
    let columns = (0..width).map(|i| unify(&rows.iter().map(|r| r[i].clone()).collect::<Vec<_>>()));
    Some(Type::tuple(columns.collect::<Option<Vec<_>>>()?))
}

fn unify_objects(types: &[&Type]) -> Option<Type> {
    let rows: Vec<&ObjectType> =
        types.iter().filter_map(|t| if let Type::Object(o) = t { Some(&**o) } else { None }).collect();
    let first = rows.first()?;
    if rows.iter().any(|r| !r.attrs.keys().eq(first.attrs.keys())) {
        return Some(Type::map(unify_elements(types)?));
    }
    let mut attrs = BTreeMap::new();
    for name in first.attrs.keys() {
        let column: Vec<Type> = rows.iter().filter_map(|r| r.attrs.get(name).cloned()).collect();
        attrs.insert(name.clone(), unify(&column)?);
    }
    Some(Type::Object(Arc::new(ObjectType { attrs, optional: first.optional.clone() })))
}
