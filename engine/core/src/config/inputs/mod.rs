//! Values of the root's variables: gathered in Terraform's order, typed, marked.
//!
//! Later sources win: environment, `terraform.tfvars`, `terraform.tfvars.json`, the automatic files by their names,
//! then the command line in its own order.

mod bind;
mod files;

#[cfg(test)]
mod tests;

pub use bind::{Verdict, bind, judge, validate};

use super::load::FileReader;
use super::{Module, Variable};
use groma_lang::eval::{NoScope, evaluate};
use groma_lang::expr::parse_expression;
use groma_lang::text::Text;
use groma_types::diagnostic::nearest;
use groma_types::{Diagnostic, Diagnostics, SourceMap, Span, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// One argument of the command line, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// `-var NAME=VALUE`, as typed.
    Var(String),
    /// `-var-file PATH`.
    File(PathBuf),
}

/// Where values may come from.
#[derive(Clone, Copy)]
pub struct InputRequest<'a> {
    pub files: &'a dyn FileReader,
    pub arguments: &'a [Argument],
    /// The environment: `TF_VAR_x` and `GROMA_VAR_x` are looked at, the second one wins.
    pub environment: &'a BTreeMap<String, String>,
}

/// A value as given: it is typed when the variable is at hand.
pub(super) struct Given {
    pub(super) name: Arc<str>,
    pub(super) span: Span,
    pub(super) form: Form,
    /// What to say of a name that is not declared.
    pub(super) undeclared: Undeclared,
}

pub(super) enum Form {
    /// From the command line or the environment: how it is read depends on the type.
    Text(Text),
    Node(groma_lang::document::Node),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Undeclared {
    Error,
    Warning,
    Silent,
}

/// Returns a typed value for every variable of the root. Texts that are read here are added to `sources`.
pub fn inputs(
    root: &Module,
    sources: &mut SourceMap,
    request: &InputRequest<'_>,
) -> (BTreeMap<Arc<str>, Value>, Diagnostics) {
    let mut out = Diagnostics::new();
    let mut given = environment(sources, request.environment);
    files::automatic(root, sources, request.files, &mut given, &mut out);
    for argument in request.arguments {
        match argument {
            Argument::Var(text) => given.extend(from_command_line(sources, text, &mut out)),
            Argument::File(path) => {
                files::named(path, &path.display().to_string(), sources, request.files, &mut given, &mut out);
            }
        }
    }
    let variables = &root.variables;
    let mut last: BTreeMap<Arc<str>, Given> = BTreeMap::new();
    for value in given {
        if variables.contains_key(&value.name) {
            last.insert(value.name.clone(), value);
        } else {
            undeclared(&value, variables, &mut out);
        }
    }
    let mut values = BTreeMap::new();
    for (name, variable) in variables {
        let found = last.get(name).and_then(|g| read(g, variable, &mut out).map(|v| (v, g.span)));
        if last.contains_key(name) && found.is_none() {
            values.insert(name.clone(), Value::unknown(variable.constraint.ty.clone()));
            continue;
        }
        let (value, faults) = bind(variable, found);
        out.extend(faults);
        values.insert(name.clone(), value);
    }
    (values, out)
}

fn undeclared(given: &Given, variables: &BTreeMap<Arc<str>, Variable>, out: &mut Diagnostics) {
    let near = nearest(&given.name, variables.keys().map(|k| &**k));
    let fault = match given.undeclared {
        Undeclared::Error => Diagnostic::error("G0901", "Value for an undeclared variable"),
        Undeclared::Warning => Diagnostic::warning("G0901", "Value for an undeclared variable"),
        Undeclared::Silent => return,
    };
    let label = near.map_or("not declared".to_string(), |n| format!("did you mean {n:?}?"));
    out.push(
        fault
            .detail(format!("The stack has no variable named {:?}.", given.name))
            .help(format!("Declare it: variable: {{{}: {{}}}}, or take the value away.", given.name))
            .at(given.span, label),
    );
}

fn environment(sources: &mut SourceMap, environment: &BTreeMap<String, String>) -> Vec<Given> {
    let mut given = Vec::new();
    for prefix in ["TF_VAR_", "GROMA_VAR_"] {
        for (key, text) in environment {
            let Some(name) = key.strip_prefix(prefix) else { continue };
            let source = sources.add(format!("<{key}>"), text.as_str());
            given.push(Given {
                name: name.into(),
                span: Span::new(source, 0, text.len()),
                form: Form::Text(Text::plain(text.as_str(), source, 0)),
                undeclared: Undeclared::Silent,
            });
        }
    }
    given
}

fn from_command_line(sources: &mut SourceMap, argument: &str, out: &mut Diagnostics) -> Option<Given> {
    let source = sources.add("<-var>", argument);
    let Some((name, text)) = argument.split_once('=') else {
        out.push(
            Diagnostic::error("G0902", "A -var without a value")
                .detail("It is written NAME=VALUE.")
                .at(Span::new(source, 0, argument.len()), "there is no ="),
        );
        return None;
    };
    let start = name.len() + 1;
    Some(Given {
        name: name.trim().into(),
        span: Span::new(source, start, argument.len()),
        form: Form::Text(Text::plain(text, source, start)),
        undeclared: Undeclared::Error,
    })
}

/// Evaluates what was given; `None` after faults.
fn read(given: &Given, variable: &Variable, out: &mut Diagnostics) -> Option<Value> {
    let mut faults = Diagnostics::new();
    let expr = match &given.form {
        Form::Text(text) if is_literal(variable) => {
            return Some(Value::string(text.content()));
        }
        Form::Text(text) => {
            let (expr, found) = parse_expression(text);
            faults.extend(found);
            expr
        }
        Form::Node(node) => super::values::expression(node, &variable.constraint.ty, &mut faults),
    };
    let broken = faults.has_errors();
    out.extend(faults);
    if broken {
        return None;
    }
    let (value, faults) = evaluate(&expr, &NoScope);
    let broken = faults.has_errors();
    out.extend(faults);
    (!broken).then_some(value)
}

/// Text for a variable without a type, or of a primitive type, is the value itself; else it is an expression.
fn is_literal(variable: &Variable) -> bool {
    !variable.is_typed || variable.constraint.ty.is_primitive()
}
