//! Functions of lists, tuples, maps and objects. Elements keep their marks and their being unknown.

use super::{Outcome, bad_arg, fail, items, whole};
use crate::eval::FunctionHost;
use crate::unknown::{Heritage, equal, length_bounds};
use groma_types::convert::{convert, is_untyped, unify};
use groma_types::{NameMap, Type, Value, ValueKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The elements of a sequence, also of an unknown tuple, whose number is known.
fn elements(value: &Value) -> Option<Vec<Value>> {
    if let Some(items) = value.as_seq() {
        return Some(items.to_vec());
    }
    match value.as_unknown().map(|u| (&u.ty, u)) {
        Some((Type::Tuple(es), u)) if u.refine.not_null => {
            let heritage = Heritage::shallow([value]);
            Some(es.iter().map(|e| heritage.maybe_null(e.clone())).collect())
        }
        _ => None,
    }
}

/// The attributes of a mapping, also of an unknown object, whose names are known.
fn attributes(value: &Value) -> Option<NameMap<Value>> {
    if let Some(attrs) = value.as_map() {
        return Some(attrs.clone());
    }
    match value.as_unknown().map(|u| (&u.ty, u)) {
        Some((Type::Object(o), u)) if u.refine.not_null => {
            let heritage = Heritage::shallow([value]);
            Some(o.attrs.iter().map(|(k, t)| (k.clone(), heritage.maybe_null(t.clone()))).collect())
        }
        _ => None,
    }
}

/// The type of the elements, where they have one in common.
fn element_type(ty: &Type) -> Type {
    match ty {
        Type::List(e) | Type::Set(e) | Type::Map(e) => (**e).clone(),
        _ => Type::Dynamic,
    }
}

fn is_sequence(ty: &Type) -> bool {
    matches!(ty, Type::List(_) | Type::Set(_) | Type::Tuple(_))
}

fn is_open(value: &Value) -> bool {
    value.as_unknown().is_some_and(|u| u.ty == Type::Dynamic)
}

pub(super) fn alltrue(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    quantified(&args[0], false)
}

pub(super) fn anytrue(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    quantified(&args[0], true)
}

/// One element of `decides` decides; null counts as false.
fn quantified(list: &Value, decides: bool) -> Outcome {
    let heritage = Heritage::deep([list]);
    let Some(items) = list.as_seq() else { return Ok(heritage.unknown(Type::Bool)) };
    if items.iter().any(|v| !v.is_unknown() && v.as_bool().unwrap_or(false) == decides) {
        return Ok(heritage.known(decides));
    }
    let open = items.iter().any(Value::is_unknown);
    Ok(if open { heritage.unknown(Type::Bool) } else { heritage.known(!decides) })
}

pub(super) fn chunklist(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let e = element_type(&args[0].ty());
    let ty = Type::list(Type::list(e.clone()));
    let (Some(items), false) = (args[0].as_seq(), args[1].is_unknown()) else {
        return Ok(heritage.unknown(ty));
    };
    let Ok(size) = usize::try_from(whole(args, 1)?) else {
        return fail("the size argument must be positive");
    };
    let size = if size == 0 { items.len().max(1) } else { size };
    let chunks = items.chunks(size).map(|c| Value::list(e.clone(), c.to_vec())).collect();
    Ok(heritage.known(Value::list(Type::list(e), chunks)))
}

pub(super) fn coalesce(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::deep(args);
    if args.iter().any(is_untyped) {
        return Ok(heritage.maybe_null(Type::Dynamic));
    }
    let types: Vec<Type> = args.iter().map(Value::ty).collect();
    let Some(ty) = unify(&types) else { return fail("all arguments must have the same type") };
    for (i, arg) in args.iter().enumerate() {
        if arg.is_unknown() {
            return Ok(heritage.unknown(ty));
        }
        let empty = arg.as_str() == Some("");
        if !arg.is_null() && !empty {
            return match convert(arg, &ty) {
                Ok(value) => Ok(heritage.known(value)),
                Err(why) => bad_arg(i, why.to_string()),
            };
        }
    }
    fail("no non-null, non-empty-string arguments")
}

pub(super) fn coalescelist(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    // From the first that is not known on nothing is looked at yet.
    for arg in args.iter().take_while(|a| !a.is_unknown()) {
        if !matches!(arg.ty(), Type::List(_) | Type::Tuple(_)) || arg.is_null() {
            return fail("coalescelist arguments must be lists or tuples");
        }
    }
    for arg in args {
        match length_bounds(arg) {
            (0, Some(0)) => {}
            (min, _) if min > 0 => return Ok(heritage.known(arg.clone())),
            _ => return Ok(Heritage::deep(args).maybe_null(Type::Dynamic)),
        }
    }
    fail("no non-null arguments")
}

pub(super) fn compact(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let kept = items(&args[0]).iter().filter(|v| v.as_str().is_some_and(|s| !s.is_empty()));
    Ok(Value::list(Type::String, kept.cloned().collect()))
}

pub(super) fn concat(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if args.is_empty() {
        return fail("at least one argument is required");
    }
    let heritage = Heritage::shallow(args);
    let mut all = Vec::new();
    let mut open = false;
    for (i, arg) in args.iter().enumerate() {
        match (elements(arg), arg.ty()) {
            (_, Type::Set(_)) => return bad_arg(i, "all arguments must be lists or tuples; got a set"),
            (Some(items), _) => all.extend(items),
            (None, ty) if is_sequence(&ty) || ty == Type::Dynamic => open = true,
            (None, ty) => {
                return bad_arg(i, format!("all arguments must be lists or tuples; got {}", ty.friendly()));
            }
        }
    }
    let lists: Option<Vec<Type>> =
        args.iter().map(|a| if let Type::List(e) = a.ty() { Some((*e).clone()) } else { None }).collect();
    let common = lists.filter(|_| !args.iter().any(is_untyped)).and_then(|types| unify(&types));
    if open {
        let bounds: Vec<_> = args.iter().map(length_bounds).collect();
        let min = bounds.iter().map(|b| b.0).sum();
        let max = bounds.iter().map(|b| b.1).sum();
        let heritage = Heritage::deep(args);
        return Ok(match common.filter(|e| *e != Type::Dynamic) {
            Some(e) => heritage.sized(Type::list(e), min, max),
            None => heritage.maybe_null(Type::Dynamic),
        });
    }
    let converted = common.as_ref().and_then(|e| all.iter().map(|v| convert(v, e).ok()).collect());
    Ok(heritage.known(match (common, converted) {
        (Some(e), Some(items)) => Value::list(e, items),
        _ => Value::tuple(all),
    }))
}

/// What a search gives while what is searched, or what is searched for, is not known at all.
fn open_search(args: &[Value], found: Type) -> Option<Value> {
    let open = args.iter().any(|a| a.ty() == Type::Dynamic && a.is_unknown());
    let unknown = args.iter().any(Value::is_unknown);
    unknown.then(|| Heritage::deep(args).unknown(if open { Type::Dynamic } else { found }))
}

pub(super) fn contains(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if let Some(open) = open_search(args, Type::Bool) {
        return Ok(open);
    }
    let heritage = Heritage::deep(args);
    let ty = args[0].ty();
    let Some(items) = args[0].as_seq() else {
        return if is_sequence(&ty) || ty == Type::Dynamic || args[1].is_unknown() {
            Ok(heritage.unknown(Type::Bool))
        } else {
            fail("argument must be list, tuple, or set")
        };
    };
    let answers: Vec<Option<bool>> = items.iter().map(|v| equal(v, &args[1])).collect();
    Ok(if answers.contains(&Some(true)) {
        heritage.known(true)
    } else if answers.contains(&None) {
        heritage.unknown(Type::Bool)
    } else {
        heritage.known(false)
    })
}

pub(super) fn distinct(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let ty = args[0].ty();
    let Some(items) = args[0].as_seq().filter(|_| args[0].is_wholly_known()) else {
        return Ok(Heritage::deep(args).unknown(ty));
    };
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.iter().any(|k| equal(k, item) == Some(true)) {
            kept.push(item.clone());
        }
    }
    Ok(Heritage::shallow(args).known(Value::list(element_type(&ty), kept)))
}

pub(super) fn element(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let ty = args[0].ty();
    if !matches!(ty, Type::List(_) | Type::Tuple(_) | Type::Dynamic) {
        return fail(format!("cannot read elements from {}", ty.friendly()));
    }
    if args[1].is_unknown() {
        return Ok(heritage.maybe_null(element_type(&ty)));
    }
    let known = elements(&args[0]);
    if known.is_none() {
        return Ok(heritage.maybe_null(element_type(&ty)));
    }
    let index = whole(args, 1)?;
    match known {
        Some(items) if items.is_empty() => fail("cannot use element function with an empty list"),
        Some(items) => {
            let (index, len) = (i128::from(index), items.len() as i128);
            // Of a tuple a negative index counts from its end only where it is a multiple of the length.
            if matches!(ty, Type::Tuple(_)) && index < 0 && index % len != 0 {
                return fail("cannot use element function with a negative index");
            }
            let at = usize::try_from(index.rem_euclid(len)).unwrap_or(0);
            Ok(heritage.known(items[at].clone()))
        }
        None => Ok(heritage.maybe_null(element_type(&ty))),
    }
}

pub(super) fn flatten(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let ty = args[0].ty();
    if args[0].is_unknown() && !is_sequence(&ty) {
        return Ok(Heritage::deep(args).maybe_null(Type::Dynamic));
    }
    if !is_sequence(&ty) {
        return fail("can only flatten lists, sets and tuples");
    }
    let mut flat = Vec::new();
    let mut heritage = Heritage::default();
    if !flatten_into(&args[0], &mut flat, &mut heritage) {
        return Ok(Heritage::deep(args).maybe_null(Type::Dynamic));
    }
    Ok(heritage.known(Value::tuple(flat)))
}

/// Returns false where an unknown sequence has no known number of elements.
fn flatten_into(value: &Value, flat: &mut Vec<Value>, heritage: &mut Heritage) -> bool {
    heritage.add_marks(value.marks());
    let Some(items) = elements(value) else { return false };
    if matches!(value.kind(), ValueKind::Set(..)) && !value.is_wholly_known() {
        return false;
    }
    items.iter().all(|item| {
        if (is_sequence(&item.ty()) && !item.is_null()) || is_open(item) {
            flatten_into(item, flat, heritage)
        } else {
            flat.push(item.clone());
            true
        }
    })
}

pub(super) fn index(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if let Some(open) = open_search(args, Type::Number) {
        return Ok(open);
    }
    let heritage = Heritage::deep(args);
    let ty = args[0].ty();
    if !matches!(ty, Type::List(_) | Type::Tuple(_) | Type::Dynamic) && !args[0].is_unknown() {
        return fail("argument must be a list or tuple");
    }
    let Some(items) = elements(&args[0]) else { return Ok(heritage.unknown(Type::Number)) };
    if items.is_empty() {
        return fail("cannot search an empty list");
    }
    for (i, item) in items.iter().enumerate() {
        match equal(item, &args[1]) {
            Some(true) => return Ok(heritage.known(Value::number(i))),
            Some(false) => {}
            None => return Ok(heritage.unknown(Type::Number)),
        }
    }
    fail("item not found")
}

pub(super) fn keys(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let ty = args[0].ty();
    let names = |names: Vec<Arc<str>>| names.into_iter().map(Value::string).collect::<Vec<_>>();
    match (&ty, args[0].as_map()) {
        (Type::Map(_), Some(attrs)) => {
            Ok(heritage.known(Value::list(Type::String, names(attrs.keys().cloned().collect()))))
        }
        (Type::Map(_), None) => {
            let (min, max) = length_bounds(&args[0]);
            Ok(heritage.sized(Type::list(Type::String), min, max))
        }
        (Type::Object(o), _) => {
            let made = Value::tuple(names(o.attrs.keys().cloned().collect()));
            Ok(heritage.known(made))
        }
        (Type::Dynamic, _) => Ok(heritage.maybe_null(Type::Dynamic)),
        _ => bad_arg(0, "must have map or object type"),
    }
}

pub(super) fn values(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let ty = args[0].ty();
    match (&ty, attributes(&args[0])) {
        (Type::Map(e), Some(attrs)) => {
            Ok(heritage.known(Value::list((**e).clone(), attrs.into_values().collect())))
        }
        (Type::Map(e), None) => {
            let (min, max) = length_bounds(&args[0]);
            Ok(heritage.sized(Type::list((**e).clone()), min, max))
        }
        (Type::Object(_), Some(attrs)) => Ok(heritage.known(Value::tuple(attrs.into_values().collect()))),
        (Type::Object(_) | Type::Dynamic, None) => Ok(heritage.maybe_null(Type::Dynamic)),
        _ => fail("values() requires a map as the first argument"),
    }
}

pub(super) fn lookup(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if args.len() > 3 {
        return fail("lookup() takes two or three arguments");
    }
    let heritage = Heritage::shallow(&args[..2]);
    let ty = args[0].ty();
    let element = match &ty {
        Type::Map(e) => (**e).clone(),
        Type::Object(_) | Type::Dynamic => Type::Dynamic,
        _ => return bad_arg(0, "lookup() requires a map as the first argument"),
    };
    let default = match args.get(2).map(|d| convert(d, &element)) {
        Some(Ok(default)) => Some(default),
        None => None,
        Some(Err(why)) => {
            return bad_arg(
                2,
                format!("the default value must have the same type as the map elements: {why}"),
            );
        }
    };
    let (Some(attrs), Some(key)) = (attributes(&args[0]), args[1].as_str()) else {
        return Ok(Heritage::deep(args).maybe_null(element));
    };
    match attrs.get(key).cloned().or(default) {
        Some(found) => Ok(heritage.known(found)),
        None if matches!(ty, Type::Map(_)) => fail(format!("lookup failed to find key {key:?}")),
        None => bad_arg(0, format!("the given object has no attribute {key:?}, and no default is given")),
    }
}

pub(super) fn matchkeys(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let (values, keys, wanted) = (items(&args[0]), items(&args[1]), items(&args[2]));
    if values.len() != keys.len() {
        return fail("length of keys and values should be equal");
    }
    let types: Vec<Type> = [&args[1], &args[2]].map(|a| element_type(&a.ty())).to_vec();
    let Some(ty) = unify(&types) else { return fail("keys and searchset must be of the same type") };
    let plain = |v: &Value| convert(v, &ty).unwrap_or_else(|_| v.clone());
    let wanted: Vec<Value> = wanted.iter().map(plain).collect();
    let kept = values.iter().zip(keys).filter(|(_, k)| {
        let key = plain(k);
        wanted.iter().any(|w| equal(w, &key) == Some(true))
    });
    Ok(Value::list(element_type(&args[0].ty()), kept.map(|(v, _)| v.clone()).collect()))
}

pub(super) fn merge(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let mut all = BTreeMap::new();
    let mut open = false;
    for arg in args {
        let ty = arg.ty();
        match attributes(arg) {
            _ if !matches!(ty, Type::Map(_) | Type::Object(_) | Type::Dynamic) => {
                return fail(format!("arguments must be maps or objects, got {}", ty.friendly()));
            }
            Some(attrs) => all.extend(attrs),
            None if arg.is_null() => {}
            None => open = true,
        }
    }
    // Maps of one type give a map; anything else an object, whose attributes keep their types.
    let first = args.first().map(Value::ty);
    let same = first.filter(|t| matches!(t, Type::Map(_)) && args.iter().all(|a| a.ty() == *t));
    if open {
        return Ok(Heritage::deep(args).maybe_null(same.unwrap_or(Type::Dynamic)));
    }
    Ok(heritage.known(match same {
        Some(Type::Map(e)) => Value::map((*e).clone(), all),
        _ => Value::object(all),
    }))
}

pub(super) fn one(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let ty = args[0].ty();
    if !is_sequence(&ty) && ty != Type::Dynamic {
        return bad_arg(0, "must be a list, set, or tuple value with either zero or one elements");
    }
    let e = element_type(&ty);
    let merging = matches!(ty, Type::Set(_)) && !args[0].is_wholly_known();
    match elements(&args[0]).as_deref() {
        Some([]) => Ok(heritage.known(Value::null(e))),
        Some([only]) => Ok(heritage.known(only.clone())),
        Some(_) if !merging => {
            bad_arg(0, "must be a list, set, or tuple value with either zero or one elements")
        }
        _ => Ok(Heritage::deep(args).maybe_null(e)),
    }
}

pub(super) fn reverse(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let ty = args[0].ty();
    if !is_sequence(&ty) && ty != Type::Dynamic {
        return bad_arg(0, format!("can only reverse list, tuple or set values, not {}", ty.friendly()));
    }
    let Some(mut items) = elements(&args[0]) else {
        let (min, max) = length_bounds(&args[0]);
        return Ok(match ty {
            Type::List(_) | Type::Set(_) => heritage.sized(Type::list(element_type(&ty)), min, max),
            _ => heritage.maybe_null(Type::Dynamic),
        });
    };
    items.reverse();
    Ok(match ty {
        Type::Tuple(_) => heritage.known(Value::tuple(items)),
        Type::Set(_) if !args[0].is_wholly_known() => {
            Heritage::deep(args).unknown(Type::list(element_type(&ty)))
        }
        _ => heritage.known(Value::list(element_type(&ty), items)),
    })
}

pub(super) fn slice(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let ty = args[0].ty();
    if !matches!(ty, Type::List(_) | Type::Tuple(_) | Type::Dynamic) {
        return bad_arg(
            0,
            "cannot slice a set, because its elements do not have indices; convert to a list first",
        );
    }
    let open = |heritage: &Heritage| match &ty {
        Type::List(_) => heritage.unknown(ty.clone()),
        _ => heritage.maybe_null(Type::Dynamic),
    };
    let at = |i: usize| args[i].as_i64().and_then(|n| usize::try_from(n).ok());
    if args[1].is_unknown() || args[2].is_unknown() {
        if !args[1].is_unknown() && at(1).is_none() {
            return bad_arg(1, "start index must not be less than zero");
        }
        let beyond = |end: usize| length_bounds(&args[0]).1.is_some_and(|len| end > len);
        if !args[2].is_unknown() && at(2).is_none_or(beyond) {
            return bad_arg(
                2,
                "end index must not be less than zero, or greater than the length of the list",
            );
        }
        return Ok(open(&Heritage::deep(args)));
    }
    let Some(start) = at(1) else { return bad_arg(1, "start index must not be less than zero") };
    let Some(end) = at(2) else { return bad_arg(2, "end index must not be less than zero") };
    if start > end {
        return bad_arg(1, "start index must not be greater than end index");
    }
    let Some(items) = elements(&args[0]) else { return Ok(open(&heritage)) };
    if end > items.len() {
        return bad_arg(2, "end index must not be greater than the length of the list");
    }
    let part = items[start..end].to_vec();
    Ok(heritage.known(match ty {
        Type::List(e) => Value::list((*e).clone(), part),
        _ => Value::tuple(part),
    }))
}

pub(super) fn sort(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let Some(items) = args[0].as_seq() else {
        let (min, max) = length_bounds(&args[0]);
        return Ok(Heritage::deep(args).sized(Type::list(Type::String), min, max));
    };
    if items.iter().any(Value::is_null) {
        return fail("given list element is null; a null string cannot be sorted");
    }
    if !args[0].is_wholly_known() {
        // The number of elements is known, which of them stands where is not.
        let heritage = Heritage::deep(args);
        let unknown = items.iter().map(|_| heritage.maybe_null(Type::String)).collect();
        return Ok(Heritage::shallow(args).known(Value::list(Type::String, unknown)));
    }
    let mut sorted = items.to_vec();
    sorted.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    Ok(Heritage::shallow(args).known(Value::list(Type::String, sorted)))
}

pub(super) fn transpose(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let mut turned: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    for (key, list) in args[0].as_map().into_iter().flatten() {
        if list.is_null() {
            return fail("input must not contain null list");
        }
        for item in items(list) {
            let Some(s) = item.as_str() else { return fail("input list must not contain null string") };
            turned.entry(s.into()).or_default().push(Value::string(key.clone()));
        }
    }
    let lists = turned.into_iter().map(|(k, vs)| (k, Value::list(Type::String, vs)));
    Ok(Value::map(Type::list(Type::String), lists))
}

pub(super) fn zipmap(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let ty = args[1].ty();
    let open = match &ty {
        Type::List(e) => Type::map((**e).clone()),
        Type::Tuple(_) | Type::Dynamic => Type::Dynamic,
        _ => return fail("values argument must be a list or tuple value"),
    };
    let (Some(keys), Some(values), true) = (args[0].as_seq(), elements(&args[1]), args[0].is_wholly_known())
    else {
        return Ok(Heritage::deep(args).unknown(open));
    };
    if keys.len() != values.len() {
        return fail(format!(
            "number of keys ({}) does not match number of values ({})",
            keys.len(),
            values.len()
        ));
    }
    let mut heritage = heritage;
    keys.iter().for_each(|k| heritage.add(k));
    let names: Option<Vec<Arc<str>>> = keys.iter().map(|k| k.as_str().map(Arc::from)).collect();
    let Some(names) = names else { return fail("keys list has a null value") };
    let pairs = names.into_iter().zip(values);
    Ok(heritage.known(match open {
        Type::Map(e) => Value::map((*e).clone(), pairs),
        _ => Value::object(pairs),
    }))
}
