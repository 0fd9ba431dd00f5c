//! What names stood for where an evaluation failed, in words.
//!
//! Terraform's own: a value is told in short, and neither what a secret is nor what is not known yet.

use super::Scope;
use crate::expr::{Expr, RefStep, Reference};
use groma_types::diagnostic::NamedValue;
use groma_types::{Diagnostic, InstanceKey, Type, Value, ValueKind};

/// Characters of a text that are told.
const TEXT_MAX: usize = 200;
/// Names that are told for one fault.
const NAMES_MAX: usize = 20;

/// Gives a fault of an expression the values of the names at its place.
pub(super) fn with_values(fault: Diagnostic, expr: &Expr, scope: &dyn Scope) -> Diagnostic {
    let Some(place) = fault.labels.first().map(|label| label.span) else { return fault };
    if !fault.values.is_empty() || !fault.is_error() {
        return fault;
    }
    let here = |r: &Reference| {
        r.span.source == place.source && place.start <= r.span.start && r.span.end <= place.end
    };
    let found = expr.references().into_iter().filter(here).take(NAMES_MAX);
    let mut values: Vec<NamedValue> = found.filter_map(|r| named(&r, scope)).collect();
    values.sort_by(|a, b| a.name.cmp(&b.name));
    values.dedup();
    Diagnostic { values, ..fault }
}

/// The value of the longest part of a reference that has one.
fn named(reference: &Reference, scope: &dyn Scope) -> Option<NamedValue> {
    let (mut value, mut taken) = scope.resolve(reference).ok()?;
    while let Some(next) = reference.steps.get(taken).and_then(|step| after(&value, step)) {
        value = next;
        taken += 1;
    }
    let steps = reference.steps.iter().take(taken).cloned().collect();
    let name = Reference { steps, ..reference.clone() }.to_string();
    Some(NamedValue { name, statement: statement(&value)? })
}

fn after(value: &Value, step: &RefStep) -> Option<Value> {
    let marks = value.marks();
    let found = match step {
        RefStep::Attr(name) => value.get(name),
        RefStep::Index(InstanceKey::Str(name)) => value.get(name),
        RefStep::Index(InstanceKey::Int(at)) => {
            usize::try_from(*at).ok().and_then(|at| value.as_seq()?.get(at))
        }
    };
    found.map(|inner| inner.clone().mark(marks))
}

/// `is 5`; nothing of a secret, and of what is not known.
fn statement(value: &Value) -> Option<String> {
    let several = |what: &str, n: usize, one: &str, many: &str| match n {
        0 => format!("empty {what}"),
        1 => format!("{what} with 1 {one}"),
        n => format!("{what} with {n} {many}"),
    };
    if !value.marks().is_none() {
        return None;
    }
    let told = match value.kind() {
        ValueKind::Unknown(_) => return None,
        ValueKind::Null(_) => "null".to_string(),
        ValueKind::Object(attrs) => match attrs.len() {
            0 => "object with no attributes".to_string(),
            1 => format!("object with 1 attribute {:?}", attrs.keys().next()?),
            n => format!("object with {n} attributes"),
        },
        _ => match (value.as_seq(), value.as_map()) {
            (Some(items), _) => several(&value.ty().friendly(), items.len(), "element", "elements"),
            (_, Some(items)) => several(&value.ty().friendly(), items.len(), "element", "elements"),
            _ => plain(value)?,
        },
    };
    Some(format!("is {told}"))
}

fn plain(value: &Value) -> Option<String> {
    if value.ty() != Type::String {
        return groma_types::convert::convert(value, &Type::String).ok()?.as_str().map(String::from);
    }
    let text = value.as_str()?;
    let mut shown: String = text.chars().take(TEXT_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    Some(format!("{shown:?}"))
}
