//! One type for several: what the arms of a conditional, or the elements of a collection, all convert to.
//!
//! Structures of the same shape unify place by place, of different shapes to a collection of what is inside;
//! anything else to the one among the types that takes all the others. A structure beside a type that is not
//! known yet gives `Dynamic`: what it will be can't be told.

use crate::ty::{ObjectType, Type};
use std::collections::BTreeMap;

/// Returns the type that values of all these types convert to, if there is one.
pub fn unify(types: &[Type]) -> Option<Type> {
    let mut distinct: Vec<&Type> = Vec::new();
    for ty in types {
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

/// How many types there are of each kind.
#[derive(Default)]
struct Kinds {
    maps: usize,
    lists: usize,
    sets: usize,
    objects: usize,
    tuples: usize,
    open: usize,
}

impl Kinds {
    fn of(types: &[&Type]) -> Kinds {
        let mut kinds = Kinds::default();
        for ty in types {
            match ty {
                Type::Map(_) => kinds.maps += 1,
                Type::List(_) => kinds.lists += 1,
                Type::Set(_) => kinds.sets += 1,
                Type::Object(_) => kinds.objects += 1,
                Type::Tuple(_) => kinds.tuples += 1,
                Type::Dynamic => kinds.open += 1,
                Type::Bool | Type::Number | Type::String => {}
            }
        }
        kinds
    }
}

fn unify_distinct(types: &[&Type]) -> Option<Type> {
    let kinds = Kinds::of(types);
    let only = |count: usize| count > 0 && count + kinds.open == types.len();
    let alone = only(kinds.maps)
        || only(kinds.lists)
        || only(kinds.sets)
        || only(kinds.objects)
        || only(kinds.tuples);
    if alone && kinds.open > 0 {
        return Some(Type::Dynamic);
    }
    if alone {
        return match types[0] {
            Type::Map(_) => Some(Type::map(unify_elements(types)?)),
            Type::List(_) => Some(Type::list(unify_elements(types)?)),
            Type::Set(_) => Some(Type::set(unify_elements(types)?)),
            Type::Object(_) => unify_objects(types),
            _ => unify_tuples(types),
        };
    }
    if kinds.objects > 0 && kinds.tuples > 0 && kinds.maps + kinds.lists == 0 {
        return None;
    }
    let as_collection = if kinds.maps > 0 && only(kinds.maps + kinds.objects) {
        as_one_kind(types, |t| matches!(t, Type::Object(_)), objects_as_map)
    } else if kinds.lists > 0 && only(kinds.lists + kinds.tuples) {
        as_one_kind(types, |t| matches!(t, Type::Tuple(_)), tuples_as_list)
    } else {
        None
    };
    as_collection.or_else(|| taker(types))
}

/// Structures often stand for collections: those of one kind are made a collection, which then unifies.
fn as_one_kind(
    types: &[&Type],
    is_structure: fn(&Type) -> bool,
    collected: fn(&[&Type]) -> Option<Type>,
) -> Option<Type> {
    let structures: Vec<&Type> = types.iter().copied().filter(|t| is_structure(t)).collect();
    let collection = collected(&structures)?;
    let all: Vec<Type> =
        types.iter().map(|t| if is_structure(t) { collection.clone() } else { (*t).clone() }).collect();
    unify(&all).filter(|t| matches!(t, Type::Map(_) | Type::List(_)))
}

fn inside<'a>(types: &[&'a Type]) -> Vec<&'a Type> {
    let mut found = Vec::new();
    for ty in types {
        match ty {
            Type::List(e) | Type::Set(e) | Type::Map(e) => found.push(&**e),
            Type::Tuple(es) => found.extend(es.iter()),
            Type::Object(o) => found.extend(o.attrs.values()),
            Type::Dynamic | Type::Bool | Type::Number | Type::String => {}
        }
    }
    found
}

fn unify_elements(types: &[&Type]) -> Option<Type> {
    unify(&inside(types).into_iter().cloned().collect::<Vec<_>>())
}

fn objects_as_map(types: &[&Type]) -> Option<Type> {
    if inside(types).is_empty() {
        return None;
    }
    let wanted = Type::map(unify_elements(types)?);
    types.iter().all(|t| converts(t, &wanted)).then_some(wanted)
}

fn tuples_as_list(types: &[&Type]) -> Option<Type> {
    if inside(types).is_empty() {
        return None;
    }
    let wanted = Type::list(unify_elements(types)?);
    types.iter().all(|t| converts(t, &wanted)).then_some(wanted)
}

fn unify_tuples(types: &[&Type]) -> Option<Type> {
    let rows: Vec<&[Type]> =
        types.iter().filter_map(|t| if let Type::Tuple(es) = t { Some(&**es) } else { None }).collect();
    let width = rows.first()?.len();
    if rows.iter().any(|r| r.len() != width) {
        return tuples_as_list(types);
    }
    let columns = (0..width).map(|i| unify(&rows.iter().map(|r| r[i].clone()).collect::<Vec<_>>()));
    Some(Type::tuple(columns.collect::<Option<Vec<_>>>()?))
}

fn unify_objects(types: &[&Type]) -> Option<Type> {
    let rows: Vec<&ObjectType> =
        types.iter().filter_map(|t| if let Type::Object(o) = t { Some(&**o) } else { None }).collect();
    let first = rows.first()?;
    if rows.iter().any(|r| !r.attrs.keys().eq(first.attrs.keys())) {
        return objects_as_map(types);
    }
    let mut attrs = BTreeMap::new();
    for name in first.attrs.keys() {
        let column: Vec<Type> = rows.iter().filter_map(|r| r.attrs.get(name).cloned()).collect();
        attrs.insert(name.clone(), unify(&column)?);
    }
    Some(Type::object(attrs))
}

/// The first of the types, the more general ones before the others, that all convert to.
fn taker(types: &[&Type]) -> Option<Type> {
    let found = by_preference(types)
        .into_iter()
        .map(|i| types[i])
        .find(|wanted| types.iter().all(|t| t == wanted || converts(t, wanted)));
    found.cloned()
}

/// Positions of the types, so that one comes before those that it is preferred to.
fn by_preference(types: &[&Type]) -> Vec<usize> {
    let mut before: Vec<usize> = vec![0; types.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); types.len()];
    for i in 0..types.len() {
        for j in i + 1..types.len() {
            match preference(types[i], types[j]) {
                p if p < 0 => {
                    after[i].push(j);
                    before[j] += 1;
                }
                p if p > 0 => {
                    after[j].push(i);
                    before[i] += 1;
                }
                _ => {}
            }
        }
    }
    let mut order: Vec<usize> = (0..types.len()).filter(|i| before[*i] == 0).collect();
    let mut at = 0;
    while let Some(i) = order.get(at).copied() {
        at += 1;
        for j in &after[i] {
            before[*j] -= 1;
            if before[*j] == 0 {
                order.push(*j);
            }
        }
    }
    order
}

/// Below zero where `a` is the better common type, above where `b` is.
fn preference(a: &Type, b: &Type) -> i8 {
    match (a, b) {
        (Type::Dynamic, Type::Dynamic) => 0,
        (Type::Dynamic, _) => 1,
        (_, Type::Dynamic) => -1,
        (Type::String, Type::Bool | Type::Number) => -1,
        (Type::Bool | Type::Number, Type::String) => 1,
        (Type::List(x), Type::List(y)) | (Type::Set(x), Type::Set(y)) | (Type::Map(x), Type::Map(y)) => {
            preference(x, y)
        }
        (Type::Tuple(_) | Type::List(_), Type::Set(_))
        | (Type::Map(_), Type::Object(_))
        | (Type::List(_), Type::Tuple(_)) => -1,
        (Type::Set(_), Type::Tuple(_) | Type::List(_))
        | (Type::Object(_), Type::Map(_))
        | (Type::Tuple(_), Type::List(_)) => 1,
        _ => 0,
    }
}

/// Whether there is a conversion from one type to another, as far as the types tell.
fn converts(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => true,
        _ if from == to => true,
        (Type::Number | Type::Bool, Type::String) | (Type::String, Type::Number | Type::Bool) => true,
        (Type::List(f) | Type::Set(f), Type::List(t) | Type::Set(t)) | (Type::Map(f), Type::Map(t)) => {
            converts(f, t)
        }
        (Type::Tuple(fs), Type::List(t) | Type::Set(t)) => fits(fs.iter().collect(), t),
        (Type::Object(o), Type::Map(t)) => fits(o.attrs.values().collect(), t),
        (Type::Tuple(fs), Type::Tuple(ts)) => {
            fs.len() == ts.len() && fs.iter().zip(ts.iter()).all(|(f, t)| converts(f, t))
        }
        (Type::Map(f), Type::Object(o)) => o.attrs.values().all(|t| converts(f, t)),
        (Type::Object(f), Type::Object(t)) => t.attrs.iter().all(|(name, ty)| match f.attrs.get(name) {
            Some(from) => converts(from, ty),
            None => t.optional.contains(name),
        }),
        _ => false,
    }
}

fn fits(from: Vec<&Type>, to: &Type) -> bool {
    if *to == Type::Dynamic {
        return unify(&from.into_iter().cloned().collect::<Vec<_>>()).is_some();
    }
    from.into_iter().all(|f| converts(f, to))
}

/// Whether the elements of a tuple have a type in common that can be told.
pub(crate) fn one_type(elements: &[Type]) -> bool {
    elements.iter().all(|t| *t == Type::Dynamic) || unify(elements).is_some_and(|t| t != Type::Dynamic)
}
