//! Soundness over the recorded expressions: what the evaluator says of unknown values must hold for the
//! values that stand behind them.
//!
//! Method: every constant of an expression becomes a name. The expression is evaluated with all names
//! known, then with one of them unknown in several ways; each answer over unknowns must cover the answer
//! over known values, and a fault over unknowns must be a fault over known values too.

use crate::ast::{Id, Kind, Tree};
use crate::eval::{Eval, FunctionHost, Scope};
use crate::expr::{Expr, Reference};
use crate::text::Text;
use crate::unknown::length_bounds;
use groma_types::{
    Cause, Diagnostic, Diagnostics, Marks, Number, Refinements, SourceId, Type, Unknown, Value, ValueKind,
};
use std::collections::BTreeMap;

/// A call of each function.
const CALLS: &str = include_str!("../tests/corpus/calls.txt");
const EXPRESSIONS: &str = include_str!("../tests/corpus/expr_corpus.jsonl");

struct Names {
    values: BTreeMap<String, Value>,
    locals: Value,
}

struct Still;
impl FunctionHost for Still {
    fn timestamp(&self) -> Value {
        "2024-01-02T03:04:05Z".into()
    }
    fn file_exists(&self, _: &str) -> Result<bool, String> {
        Ok(false)
    }
    fn list_files(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

impl Scope for Names {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        let known = self.values.get(&*reference.root).map(|v| (v.clone(), 0));
        let local = || reference.attr(0).and_then(|n| self.locals.get(n)).map(|v| (v.clone(), 1));
        known.or_else(local).ok_or_else(|| Diagnostic::error("G0107", "Undeclared").into())
    }
    fn host(&self) -> &dyn FunctionHost {
        &Still
    }
}

/// Rebuilds the tree with a name for each constant.
fn abstracted(expr: &Expr, values: &mut BTreeMap<String, Value>) -> Expr {
    let mut tree = Tree::default();
    for (i, kind) in expr.tree().kinds.iter().enumerate() {
        let id = Id::try_from(i).unwrap();
        let kind = match kind {
            Kind::Literal(value) => {
                let name = format!("constant_{i}");
                values.insert(name.clone(), value.clone());
                Kind::Root(name.into())
            }
            other => other.clone(),
        };
        tree.push(kind, expr.tree().span(id));
    }
    let root = expr.root();
    Expr::from_tree(tree, root)
}

fn unknown(ty: Type, refine: Refinements) -> Value {
    let causes = [Cause::Function("test".into())].into();
    Unknown { ty, refine, causes, residual: None }.into()
}

/// Ways in which a value can be unknown, all of them true of it.
fn veiled(value: &Value) -> Vec<Value> {
    let not_null = !value.is_null();
    let (len_min, len_max) = if value.ty().is_collection() { length_bounds(value) } else { (0, None) };
    let prefix = value.as_str().map(crate::unknown::safe_prefix).filter(|p| !p.is_empty());
    let half = value.as_str().and_then(|s| s.get(..1)).filter(|s| s.is_ascii());
    let refined = |prefix: Option<&str>| {
        unknown(value.ty(), Refinements { not_null, prefix: prefix.map(Into::into), len_min, len_max })
    };
    let not_null_only = Refinements { not_null: true, ..Refinements::default() };
    // The shape is known, the primitives in it are not.
    let hollow = value.map_deep(&mut |v| {
        if v.ty().is_primitive() && !v.is_null() { unknown(v.ty(), not_null_only.clone()) } else { v }
    });
    vec![
        hollow,
        unknown(Type::Dynamic, Refinements::default()),
        unknown(value.ty(), Refinements::default()),
        unknown(value.ty(), Refinements { not_null, ..Refinements::default() }),
        refined(prefix),
        refined(half),
    ]
}

fn type_covers(claimed: &Type, actual: &Type) -> bool {
    match (claimed, actual) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => true,
        (Type::List(a), Type::List(b)) | (Type::Set(a), Type::Set(b)) | (Type::Map(a), Type::Map(b)) => {
            type_covers(a, b)
        }
        (Type::Tuple(a), Type::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| type_covers(a, b))
        }
        (Type::Object(a), Type::Object(b)) => {
            a.attrs.keys().eq(b.attrs.keys())
                && a.attrs.values().zip(b.attrs.values()).all(|(a, b)| type_covers(a, b))
        }
        _ => claimed == actual,
    }
}

fn covers(claimed: &Value, actual: &Value) -> bool {
    match (claimed.kind(), actual.kind()) {
        (ValueKind::Unknown(u), _) => {
            let (min, max) = length_bounds(actual);
            let sized = actual.ty().is_collection() && !actual.is_null();
            type_covers(&u.ty, &actual.ty())
                && !(u.refine.not_null && actual.is_null())
                && u.refine
                    .prefix
                    .as_ref()
                    .is_none_or(|p| actual.as_str().is_none_or(|s| s.starts_with(&**p)))
                && actual.as_number().is_none_or(|n| {
                    let within = |(min, max): (Number, Number)| min <= *n && *n <= max;
                    crate::unknown::number_bounds(claimed).is_none_or(within)
                })
                && (!sized
                    || (min >= u.refine.len_min
                        && u.refine.len_max.is_none_or(|m| max.is_some_and(|n| n <= m))))
        }
        (ValueKind::Null(_), ValueKind::Null(_)) => true,
        (ValueKind::Set(..), ValueKind::Set(_, items)) if !claimed.is_wholly_known() => {
            let parts = claimed.as_seq().unwrap_or_default();
            items.iter().all(|item| parts.iter().any(|p| covers(p, item)))
        }
        (ValueKind::Map(_, a) | ValueKind::Object(a), ValueKind::Map(_, b) | ValueKind::Object(b)) => {
            a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| covers(a, b))
        }
        _ => match (claimed.as_seq(), actual.as_seq()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| covers(a, b)),
            _ => claimed.clone().with_marks(Marks::NONE) == actual.clone().with_marks(Marks::NONE),
        },
    }
}

/// Where an arm of a conditional has no type yet the other one is not converted to the type of both: what
/// is known then holds up to that conversion.
fn covers_converted(claimed: &Value, actual: &Value) -> bool {
    let mut typed = claimed.is_unknown();
    claimed.walk(&mut |v| typed |= v.as_unknown().is_some_and(|u| u.ty != Type::Dynamic));
    let converted = groma_types::convert::convert(claimed, &actual.ty());
    !typed && converted.is_ok_and(|claimed| covers(&claimed, actual))
}

fn recorded() -> (Vec<String>, Value) {
    let mut sources = Vec::new();
    let mut locals = Value::NULL;
    for line in EXPRESSIONS.lines() {
        let line = crate::call_function("jsondecode", &[line.into()], &Still).unwrap();
        match line.str_attr("expr") {
            Some(source) => sources.push(source.to_string()),
            None => locals = line.get("_context_locals").unwrap().clone(),
        }
    }
    (sources, locals)
}

fn check(source: &str, locals: &Value, wrong: &mut Vec<String>) {
    let (expr, faults) = crate::parse_expression(&Text::plain(source, SourceId(0), 0));
    if faults.has_errors() {
        return;
    }
    let mut values = BTreeMap::new();
    let expr = abstracted(&expr, &mut values);
    let known = Names { values, locals: locals.clone() };
    let (actual, faults) = Eval::run(&expr, &known);
    let actual = (!faults.has_errors()).then_some(actual);
    let used: Vec<String> = expr.references().iter().filter_map(|r| r.attr(0).map(String::from)).collect();
    for (name, value) in &known.values {
        for veil in veiled(value) {
            let mut values = known.values.clone();
            values.insert(name.clone(), veil.clone());
            compare(source, &expr, &Names { values, locals: locals.clone() }, actual.as_ref(), &veil, wrong);
        }
    }
    for name in used.iter().filter(|n| locals.get(n).is_some()) {
        for veil in locals.get(name).map(veiled).unwrap_or_default() {
            let scope = Names { values: known.values.clone(), locals: locals.with_attr(name, veil.clone()) };
            compare(source, &expr, &scope, actual.as_ref(), &veil, wrong);
        }
    }
}

fn compare(
    source: &str,
    expr: &Expr,
    scope: &Names,
    actual: Option<&Value>,
    veil: &Value,
    wrong: &mut Vec<String>,
) {
    let (claimed, faults) = Eval::run(expr, scope);
    let fault = faults.iter().find(|d| d.is_error());
    let right = match (actual, fault) {
        (None, _) => true,
        (Some(_), Some(_)) => false,
        (Some(actual), None) => covers(&claimed, actual) || covers_converted(&claimed, actual),
    };
    if !right {
        let said = fault.map_or_else(|| format!("{claimed:?}"), |f| format!("{}: {}", f.summary, f.detail));
        wrong.push(format!("{source}\n  with {veil:?}\n  said {said}\n  is   {actual:?}"));
    }
}

#[test]
fn what_is_said_of_unknowns_holds_for_the_values_behind_them() {
    let (sources, locals) = recorded();
    let mut wrong = Vec::new();
    for source in sources.iter().map(String::as_str).chain(CALLS.lines()) {
        check(source, &locals, &mut wrong);
    }
    assert!(
        wrong.is_empty(),
        "{} claims are wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
}
