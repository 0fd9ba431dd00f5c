//! What must be known before anything is evaluated: sources and versions of modules, arguments of a backend.
//!
//! Invariant: such a value comes from variables, locals, paths of folders and functions of these. No provider, state or
//! file is asked for it, and no secret becomes one.

use super::values::expression;
use super::{Body, Module, inputs};
use groma_lang::eval::{self, FunctionHost, NoHost, evaluate};
use groma_lang::expr::{Expr, Reference};
use groma_types::convert::convert;
use groma_types::{Diagnostic, Diagnostics, Span, Type, Value};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

type Values = BTreeMap<Arc<str>, Value>;

/// Where the values of a module's variables come from.
pub(super) enum Given<'a> {
    /// From outside, asked for when the first one is needed.
    Root { ask: &'a dyn Fn(&Module) -> Values, values: OnceCell<Values> },
    /// From the arguments of the call, in the scope of the caller.
    Call { arguments: &'a Body, caller: &'a Frame<'a> },
}

impl<'a> Given<'a> {
    pub(super) fn root(ask: &'a dyn Fn(&Module) -> Values) -> Given<'a> {
        Given::Root { ask, values: OnceCell::new() }
    }
}

/// A module, as far as it is known while its calls are still being read.
pub(super) struct Frame<'a> {
    pub(super) module: &'a Module,
    root_dir: &'a Path,
    given: Given<'a>,
    /// Locals on the way. One that leads to itself has no value; the check of cycles tells of it.
    active: RefCell<BTreeSet<Arc<str>>>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(module: &'a Module, root_dir: &'a Path, given: Given<'a>) -> Frame<'a> {
        Frame { module, root_dir, given, active: RefCell::default() }
    }

    /// The text of an expression; `None`: it is null, or a fault was told.
    pub(super) fn text(&self, expr: &Expr, what: &str, out: &mut Diagnostics) -> Option<Arc<str>> {
        let value = self.value(expr, what, out)?;
        match convert(&value, &Type::String) {
            Ok(text) => text.as_str().map(Arc::from),
            Err(error) => {
                out.push(unfixed(format!("{what} takes a string: {error}.")).at(expr.span(), "this value"));
                None
            }
        }
    }

    /// The value of an expression, which is known and no secret.
    pub(super) fn value(&self, expr: &Expr, what: &str, out: &mut Diagnostics) -> Option<Value> {
        let (value, faults) = evaluate(expr, self);
        let failed = faults.has_errors();
        out.extend(faults);
        if failed {
            return None;
        }
        let marks = value.deep_marks();
        if marks.sensitive || marks.ephemeral || marks.minted {
            let fault = unfixed(format!(
                "{what} is written to files and shown in messages: no secret may become a part of it."
            ))
            .help("Where it is no secret, nonsensitive() says so. Credentials come from the environment.")
            .at(expr.span(), "holds a sensitive value");
            out.push(fault);
            return None;
        }
        if !value.is_wholly_known() {
            let fault = unfixed(format!("{what} must be known when the spec is read, and this is not."))
                .help("Give the variables in it a value: -var, a file of values, the environment, or a default.")
                .at(expr.span(), "not known");
            out.push(fault);
            return None;
        }
        Some(value)
    }

    fn variable(&self, name: &Arc<str>) -> Result<Value, Diagnostics> {
        let Some(variable) = self.module.variables.get(name) else {
            return Ok(Value::unknown(Type::Dynamic));
        };
        match &self.given {
            Given::Root { ask, values } => {
                let values = values.get_or_init(|| ask(self.module));
                Ok(values.get(name).cloned().unwrap_or_else(|| inputs::bind(variable, None).0))
            }
            Given::Call { arguments, caller } => {
                let written =
                    arguments.node.as_map().unwrap_or_default().iter().find(|(k, _)| k.text == *name);
                // What is wrong with an argument's text is told when the call is read.
                let expr =
                    written.map(|(_, n)| expression(n, &variable.constraint.ty, &mut Diagnostics::new()));
                let given = expr.map(|e| caller.given(&e)).transpose()?;
                let (value, faults) = inputs::bind(variable, given);
                if faults.has_errors() { Err(faults) } else { Ok(value) }
            }
        }
    }

    fn given(&self, expr: &Expr) -> Result<(Value, Span), Diagnostics> {
        let (value, faults) = evaluate(expr, self);
        if faults.has_errors() { Err(faults) } else { Ok((value, expr.span())) }
    }

    fn local(&self, name: &Arc<str>) -> Result<Value, Diagnostics> {
        let Some(local) = self.module.locals.get(name) else { return Ok(Value::unknown(Type::Dynamic)) };
        if !self.active.borrow_mut().insert(name.clone()) {
            return Ok(Value::unknown(Type::Dynamic));
        }
        let found = self.given(&local.value);
        self.active.borrow_mut().remove(name);
        found.map(|(value, _)| value)
    }
}

impl eval::Scope for Frame<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        check(self.module, reference)?;
        let name: Arc<str> = reference.attr(0).unwrap_or_default().into();
        let folder = |dir: &Path| match dir.as_os_str().is_empty() {
            true => Value::string("."),
            false => Value::string(dir.to_string_lossy()),
        };
        let value = match (&*reference.root, &*name) {
            ("var", _) => self.variable(&name)?,
            ("local", _) => self.local(&name)?,
            (_, "module") => folder(&self.module.dir),
            _ => folder(self.root_dir),
        };
        Ok((value, 1))
    }

    fn host(&self) -> &dyn FunctionHost {
        &NoHost
    }
}

/// Whether a name may stand in what must be known before anything is evaluated.
///
/// # Errors
/// It may not, or it is not declared.
pub(super) fn check(module: &Module, reference: &Reference) -> Result<(), Diagnostics> {
    let is_fixed = match &*reference.root {
        "var" | "local" => true,
        "path" => matches!(reference.attr(0), Some("module" | "root")),
        _ => false,
    };
    if is_fixed {
        return super::targets::target(module, reference).map(|_| ()).map_err(Diagnostics::from);
    }
    let fault = unfixed(format!("{reference} is not known yet when the spec is read."))
        .help("Variables, locals, path.module, path.root and functions of these can be used.")
        .at(reference.span, "not known before anything is evaluated");
    Err(fault.into())
}

fn unfixed(detail: String) -> Diagnostic {
    Diagnostic::error("G0533", "Not known when the spec is read").detail(detail)
}
