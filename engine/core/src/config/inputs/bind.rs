//! A variable and its value: defaults, conversion, null, marks, and conditions.

use crate::config::{Rule, Variable};
use groma_lang::eval::{NoScope, Scope, evaluate};
use groma_lang::types_syntax::apply_defaults;
use groma_types::convert::convert;
use groma_types::{Diagnostic, Diagnostics, Marks, Span, Type, Value};

/// Returns the value that a variable has when this one is given: typed, with the variable's marks.
/// On faults it is unknown.
pub fn bind(variable: &Variable, given: Option<(Value, Span)>) -> (Value, Diagnostics) {
    let mut out = Diagnostics::new();
    let marks = Marks { sensitive: variable.sensitive, ephemeral: variable.ephemeral, minted: false };
    let ty = &variable.constraint.ty;
    // A null given to a variable that cannot be null means its default.
    let given =
        given.filter(|(value, _)| variable.nullable || !value.is_null() || variable.default.is_none());
    if let Some((value, span)) = &given
        && value.deep_marks().ephemeral
        && !variable.ephemeral
    {
        out.push(
            Diagnostic::error("G0910", "An ephemeral value for a variable that may keep it")
                .detail(format!("The variable {:?} is not declared ephemeral.", variable.name))
                .help("Say `ephemeral: true` in the variable: then it takes such values, and nothing that it goes into may be stored.")
                .at(*span, "ephemeral")
                .at(variable.span, "the variable"),
        );
        return (Value::unknown(ty.clone()).mark(marks), out);
    }
    let (value, span) = match (given, &variable.default) {
        (Some((value, span)), _) => (value, span),
        (None, Some(default)) => {
            let (value, faults) = evaluate(default, &NoScope);
            out.extend(faults);
            (value, default.span())
        }
        (None, None) => {
            out.push(missing(variable));
            return (Value::unknown(ty.clone()).mark(marks), out);
        }
    };
    if value.is_null() && !variable.nullable {
        out.push(
            Diagnostic::error("G0904", "Required variable not set")
                .detail(format!("The variable {:?} cannot be null.", variable.name))
                .at(span, "null")
                .at(variable.span, "declared with nullable: false"),
        );
        return (Value::unknown(ty.clone()).mark(marks), out);
    }
    let filled = apply_defaults(&variable.constraint, value);
    match convert(&filled, ty) {
        Ok(value) => (value.mark(marks), out),
        Err(error) => {
            out.push(
                Diagnostic::error("G0905", "Invalid value for variable")
                    .detail(format!("The variable {:?} takes {ty}: {error}.", variable.name))
                    .at(span, "this value")
                    .at(variable.span, "the variable"),
            );
            (Value::unknown(ty.clone()).mark(marks), out)
        }
    }
}

fn missing(variable: &Variable) -> Diagnostic {
    let name = &variable.name;
    let about = variable.description.as_ref().map_or(String::new(), |d| format!(" It is: {d}"));
    Diagnostic::error("G0903", "No value for a required variable")
        .detail(format!("The variable {name:?} has no default and no value.{about}"))
        .help(format!(
            "Give one: -var '{name}=…' on the command line, {name}: … in a file NAME.auto.vars.yaml, or GROMA_VAR_{name} in the environment."
        ))
        .at(variable.span, "declared without a default")
}

/// What a condition says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Holds,
    /// It cannot be said yet.
    Unknown,
    Fails(Diagnostic),
}

/// Evaluates a condition and, where it fails, its message. `summary` is fixed text: "Resource precondition failed".
pub fn judge(rule: &Rule, summary: &'static str, scope: &dyn Scope) -> (Verdict, Diagnostics) {
    let (value, mut out) = evaluate(&rule.condition, scope);
    if out.has_errors() {
        return (Verdict::Unknown, out);
    }
    let value = match convert(&value, &Type::Bool) {
        Ok(value) if !value.is_null() => value,
        _ => {
            out.push(
                Diagnostic::error("G0906", "Invalid condition result")
                    .detail("A condition must be true or false.")
                    .at(rule.condition.span(), "neither"),
            );
            return (Verdict::Unknown, out);
        }
    };
    match value.as_bool() {
        Some(true) => (Verdict::Holds, out),
        None => (Verdict::Unknown, out),
        Some(false) => {
            let message = message(rule, scope, &mut out);
            let fault = Diagnostic::error("G0907", summary)
                .detail(message)
                .at(rule.condition.span(), "this does not hold");
            (Verdict::Fails(fault), out)
        }
    }
}

fn message(rule: &Rule, scope: &dyn Scope, out: &mut Diagnostics) -> String {
    let (value, faults) = evaluate(&rule.error_message, scope);
    let broken = faults.has_errors();
    out.extend(faults);
    let marks = value.deep_marks();
    if marks.sensitive {
        return "The error message holds a sensitive value and is not shown.".into();
    }
    if marks.ephemeral || marks.minted {
        return "The error message holds an ephemeral value and is not shown.".into();
    }
    let text = if broken { None } else { convert(&value, &Type::String).ok() };
    text.as_ref().and_then(Value::as_str).map_or("The condition does not hold.".into(), str::to_string)
}

/// Evaluates the validations of a variable; the scope knows the variable's value.
pub fn validate(variable: &Variable, scope: &dyn Scope) -> Diagnostics {
    let mut out = Diagnostics::new();
    for rule in &variable.validations {
        let (verdict, faults) = judge(rule, "Invalid value for variable", scope);
        out.extend(faults);
        if let Verdict::Fails(fault) = verdict {
            out.push(fault.at(variable.span, "the variable"));
        }
    }
    out
}
