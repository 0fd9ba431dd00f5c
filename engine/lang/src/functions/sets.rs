//! Functions of sets.

use super::{Outcome, bad_arg, fail, items};
use crate::eval::FunctionHost;
use crate::unknown::Heritage;
use groma_types::convert::{convert, is_untyped, unify};
use groma_types::{Type, Value, ValueKind};

/// Sets of one element type, or the result where they are not wholly known.
enum Aligned {
    Sets(Type, Vec<Vec<Value>>),
    Unknown(Value),
}

/// Brings all sets to one element type.
fn aligned(args: &[Value]) -> Result<Aligned, super::FunctionError> {
    // An empty set without a type takes that of the others.
    let typed = |a: &&Value| !matches!(a.kind(), ValueKind::Set(Type::Dynamic, items) if items.is_empty());
    let element = |a: &Value| if let Type::Set(e) = a.ty() { (*e).clone() } else { Type::Dynamic };
    let types: Vec<Type> = args.iter().filter(typed).map(element).collect();
    if args.iter().any(is_untyped) {
        return Ok(Aligned::Unknown(Heritage::deep(args).unknown(Type::set(Type::Dynamic))));
    }
    let Some(element) = unify(&types) else {
        return fail("given sets must all have compatible element types");
    };
    if !args.iter().all(Value::is_wholly_known) {
        return Ok(Aligned::Unknown(Heritage::deep(args).unknown(Type::set(element))));
    }
    let wanted = Type::set(element.clone());
    let mut sets = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        match convert(arg, &wanted) {
            Ok(set) => sets.push(items(&set).to_vec()),
            Err(why) => return bad_arg(i, why.to_string()),
        }
    }
    Ok(Aligned::Sets(element, sets))
}

fn combined(args: &[Value], combine: impl Fn(Vec<Value>, &[Value]) -> Vec<Value>) -> Outcome {
    let (element, sets) = match aligned(args)? {
        Aligned::Sets(element, sets) => (element, sets),
        Aligned::Unknown(value) => return Ok(value),
    };
    let mut sets = sets.into_iter();
    let first = sets.next().unwrap_or_default();
    let all = sets.fold(first, |acc, set| combine(acc, &set));
    Ok(Heritage::deep(args).known(Value::set(element, all)))
}

/// The union of sets with elements that are not known; `None` if even their number is not.
fn open_union(args: &[Value]) -> Option<Value> {
    let known: Vec<&[Value]> = args.iter().map(Value::as_seq).collect::<Option<_>>()?;
    let types: Vec<Type> =
        args.iter().filter_map(|a| a.ty().element()).filter(|t| *t != Type::Dynamic).collect();
    let element = unify(&types)?;
    let all: Option<Vec<Value>> = known.concat().iter().map(|v| convert(v, &element).ok()).collect();
    Some(Heritage::deep(args).known(Value::set(element, all?)))
}

pub(super) fn setunion(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if !args.iter().all(Value::is_wholly_known)
        && !args.iter().any(is_untyped)
        && let Some(union) = open_union(args)
    {
        return Ok(union);
    }
    combined(args, |mut acc, set| {
        acc.extend(set.iter().cloned());
        acc
    })
}

pub(super) fn setintersection(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    combined(args, |acc, set| acc.into_iter().filter(|v| set.contains(v)).collect())
}

pub(super) fn setsubtract(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    combined(args, |acc, set| acc.into_iter().filter(|v| !set.contains(v)).collect())
}

pub(super) fn setproduct(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if args.len() < 2 {
        return fail("at least two arguments are required");
    }
    // One set is enough for the result to have no order.
    let all_sets = args.iter().any(|a| matches!(a.ty(), Type::Set(_)));
    let mut lists = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        match convert(arg, &Type::list(Type::Dynamic)) {
            Ok(list) => lists.push(list),
            Err(_) => return bad_arg(i, "a set or a list is required"),
        }
    }
    let types = lists.iter().map(|l| if let Type::List(e) = l.ty() { (*e).clone() } else { Type::Dynamic });
    let element = Type::tuple(types);
    let ty = if all_sets { Type::set(element.clone()) } else { Type::list(element.clone()) };
    let merging = args.iter().any(|a| matches!(a.ty(), Type::Set(_)) && !a.is_wholly_known());
    if merging || lists.iter().any(Value::is_unknown) {
        let open = element.has_dynamic();
        return Ok(Heritage::deep(args).unknown(if open { Type::Dynamic } else { ty }));
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for list in &lists {
        rows = rows
            .iter()
            .flat_map(|row| items(list).iter().map(move |v| row.iter().cloned().chain([v.clone()]).collect()))
            .collect();
    }
    let tuples: Vec<Value> = rows.into_iter().map(Value::tuple).collect();
    let made = if all_sets { Value::set(element, tuples) } else { Value::list(element, tuples) };
    Ok(Heritage::shallow(args).known(made))
}
