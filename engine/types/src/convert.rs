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
    let bare = match (value.kind(), ty) {
        (_, Type::Dynamic) => return Ok(value.clone()),
        (ValueKind::Null(_), _) => Value::null(ty.clone()),
        (ValueKind::Unknown(u), _) => convert_unknown(u, ty, at)?,
        (ValueKind::String(_), Type::String)
        | (ValueKind::Number(_), Type::Number)
        | (ValueKind::Bool(_), Type::Bool) => return Ok(value.clone()),
        (ValueKind::Number(n), Type::String) => Value::string(n.to_string()),
        (ValueKind::Bool(b), Type::String) => Value::string(if *b { "true" } else { "false" }),
        (ValueKind::String(s), Type::Number) => match crate::number::Number::parse(s) {
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
            Value::set(e, items)
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

fn article(ty: &Type) -> String {
    let word = ty.friendly();
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { format!("an {word} is") } else { format!("a {word} is") }
}

fn convert_unknown(u: &Unknown, ty: &Type, at: &AttrPath) -> Result<Value, ConvertError> {
    if !can_convert(&u.ty, ty) {
        return fail(at, format!("{} required", article(ty)));
    }
    let ty = result_type(&u.ty, ty);
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
        return Ok((wanted.clone(), items));
    }
    if items.is_empty() {
        return Ok((fallback.map_or(wanted.clone(), |f| result_type(f, wanted)), items));
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
            None if wanted.optional.contains(name) => Value::null(ty.clone()),
            None => return fail(at, format!("attribute {name:?} is required")),
        };
        attrs.insert(name.clone(), converted);
    }
    Ok(Value::object(attrs))
}

/// Returns the type that values of all these types convert to, if there is one.
pub fn unify(types: &[Type]) -> Option<Type> {
    let mut concrete = types.iter().filter(|t| **t != Type::Dynamic);
    let Some(first) = concrete.next() else { return Some(Type::Dynamic) };
    concrete.try_fold(first.clone(), |acc, ty| unify_two(&acc, ty))
}

fn unify_two(a: &Type, b: &Type) -> Option<Type> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => Some(Type::Dynamic),
        (x, y) if x.is_primitive() && y.is_primitive() => Some(Type::String),
        (Type::List(x), Type::List(y)) => Some(Type::list(unify_two(x, y)?)),
        (Type::Set(x), Type::Set(y)) => Some(Type::set(unify_two(x, y)?)),
        (Type::List(x), Type::Set(y)) | (Type::Set(x), Type::List(y)) => Some(Type::list(unify_two(x, y)?)),
        (Type::Map(x), Type::Map(y)) => Some(Type::map(unify_two(x, y)?)),
        (Type::Tuple(xs), Type::Tuple(ys)) if xs.len() == ys.len() => {
            let es: Option<Vec<Type>> = xs.iter().zip(ys.iter()).map(|(x, y)| unify_two(x, y)).collect();
            Some(Type::tuple(es?))
        }
        (Type::Tuple(xs), Type::Tuple(ys)) => {
            Some(Type::list(unify(&xs.iter().chain(ys.iter()).cloned().collect::<Vec<_>>())?))
        }
        (Type::Tuple(xs), Type::List(y)) | (Type::List(y), Type::Tuple(xs)) => {
            let mut all = xs.to_vec();
            all.push((**y).clone());
            Some(Type::list(unify(&all)?))
        }
        (Type::Tuple(xs), Type::Set(y)) | (Type::Set(y), Type::Tuple(xs)) => {
            let mut all = xs.to_vec();
            all.push((**y).clone());
            Some(Type::set(unify(&all)?))
        }
        (Type::Object(x), Type::Object(y)) if x.attrs.keys().eq(y.attrs.keys()) => {
            let attrs: Option<BTreeMap<Arc<str>, Type>> =
                x.attrs.iter().map(|(k, t)| Some((k.clone(), unify_two(t, y.attrs.get(k)?)?))).collect();
            Some(Type::Object(Arc::new(ObjectType { attrs: attrs?, optional: x.optional.clone() })))
        }
        (Type::Object(x), Type::Object(y)) => {
            let all: Vec<Type> = x.attrs.values().chain(y.attrs.values()).cloned().collect();
            Some(Type::map(unify(&all)?))
        }
        (Type::Object(x), Type::Map(y)) | (Type::Map(y), Type::Object(x)) => {
            let mut all: Vec<Type> = x.attrs.values().cloned().collect();
            all.push((**y).clone());
            Some(Type::map(unify(&all)?))
        }
        _ => None,
    }
}
