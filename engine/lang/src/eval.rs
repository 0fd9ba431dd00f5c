//! The evaluator: expressions over a scope give values with their marks.
//!
//! Invariants: no mark of an operand is lost on the way to the result; where a result is known although
//! operands are not, every value they can take gives that result or an error; errors are collected and stand
//! for unknowns of unknown type, so one fault does not hide another.

mod collections;
mod operators;
mod steps;
mod templates;
mod told;

use crate::ast::{Call, Id, Kind};
use crate::eval::collections::Keys;
use crate::expr::{Expr, Reference};
use crate::functions::{self, FunctionError, FunctionErrorKind};
use crate::parser::deep;
use crate::unknown::Heritage;
use groma_types::{Cause, Diagnostic, Diagnostics, Marks, Span, Type, Value, ValueKind};
use std::sync::Arc;

/// What names mean where an expression stands.
pub trait Scope {
    /// Returns the value of a prefix of the reference and how many steps that prefix took.
    ///
    /// # Errors
    /// The name is not declared, or may not be used here.
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics>;

    /// The world as functions see it.
    fn host(&self) -> &dyn FunctionHost;

    /// The value of an expression as it is kept where the expression itself is not: a scope that knows values which are
    /// asked for at each use puts there how to ask.
    fn keep(&self, value: Value, expr: &Expr) -> Value {
        let _ = expr;
        value
    }
}

/// What impure functions ask for. The defaults know no files and no time.
pub trait FunctionHost {
    /// Returns the content of a file; relative paths are relative to [`FunctionHost::base_dir`].
    ///
    /// # Errors
    /// The file can not be read; the text says why.
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("no file can be read here: {path}"))
    }
    /// # Errors
    /// It can not be told.
    fn file_exists(&self, path: &str) -> Result<bool, String> {
        Err(format!("no file can be read here: {path}"))
    }
    /// Returns the paths of all regular files below `base`, relative to it, with `/` between names.
    /// A folder that is not there holds no files.
    ///
    /// # Errors
    /// The folder can not be read.
    fn list_files(&self, base: &str) -> Result<Vec<String>, String> {
        Err(format!("no folder can be read here: {base}"))
    }
    /// Where a path leads when all links are followed, absolute; what is not there is where it would be.
    ///
    /// # Errors
    /// It can not be told.
    fn real_path(&self, path: &str) -> Result<String, String> {
        Err(format!("no file can be read here: {path}"))
    }
    /// The absolute path that relative paths start from.
    fn base_dir(&self) -> String {
        ".".into()
    }
    /// The folder that `~` stands for.
    fn home_dir(&self) -> Option<String> {
        None
    }
    /// The current time as RFC 3339; unknown while planning.
    fn timestamp(&self) -> Value {
        impure("timestamp")
    }
    /// The time of the plan as RFC 3339.
    fn plan_timestamp(&self) -> Value {
        impure("plantimestamp")
    }
    /// A random UUID; unknown while planning.
    fn uuid(&self) -> Value {
        impure("uuid")
    }
    /// A bcrypt hash with a fresh salt; unknown while planning.
    ///
    /// # Errors
    /// The cost is out of range or the text is too long.
    fn bcrypt(&self, text: &str, cost: u32) -> Result<Value, String> {
        let _ = (text, cost);
        Ok(impure("bcrypt"))
    }
}

/// The unknown string of a function whose result exists only at apply.
pub fn impure(function: &str) -> Value {
    let cause = Cause::Function(function.into());
    let unknown = Value::unknown_because(Type::String, [cause]);
    match unknown.into_kind() {
        ValueKind::Unknown(u) => {
            let mut u = (*u).clone();
            u.refine.not_null = true;
            u.into()
        }
        other => other.into(),
    }
}

/// A host without files and time, for texts that can have no use for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;
impl FunctionHost for NoHost {}

/// A scope without names.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoScope;
impl Scope for NoScope {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        Err(Diagnostic::error("G0107", "Variables not allowed")
            .detail("Variables may not be used here.")
            .at(reference.span, "a constant is required")
            .into())
    }
    fn host(&self) -> &dyn FunctionHost {
        &NoHost
    }
}

/// Evaluates an expression. On errors the value is unknown and of unknown type.
pub fn evaluate(expr: &Expr, scope: &dyn Scope) -> (Value, Diagnostics) {
    let mut eval = Eval::new(scope);
    let value = eval.eval(expr);
    if !eval.diagnostics.has_errors() && holds_infinity(&value) {
        eval.error(
            Diagnostic::error("G0110", "Infinite number")
                .detail("The result holds an infinite number, which no place can take: most often a division by zero.")
                .at(expr.span(), "gives infinity"),
        );
    }
    if eval.diagnostics.has_errors() {
        let marks = value.deep_marks();
        let mut told = Diagnostics::new();
        told.extend(eval.diagnostics.into_iter().map(|fault| told::with_values(fault, expr, scope)));
        return (Value::unknown(Type::Dynamic).mark(marks), told);
    }
    (settled(value), eval.diagnostics)
}

/// Numbers of another precision than text has become what their text says: so they are stored, and what is
/// stored must equal what was evaluated.
fn settled(value: Value) -> Value {
    let mut fine = true;
    value.walk(&mut |v| fine &= v.as_number().is_none_or(|n| n.settled() == *n));
    if fine {
        return value;
    }
    value.map_deep(&mut |v| match v.as_number() {
        Some(n) => Value::number(n.settled()).mark(v.marks()),
        None => v,
    })
}

fn holds_infinity(value: &Value) -> bool {
    let mut found = false;
    value.walk(&mut |v| found |= v.as_number().is_some_and(|n| n.is_infinite()));
    found
}

/// One evaluation: the scope, the variables of `for` around the place, and what was found wrong.
pub(crate) struct Eval<'a> {
    scope: &'a dyn Scope,
    vars: Vec<(Arc<str>, Value)>,
    holes: Vec<Value>,
    diagnostics: Diagnostics,
}

impl<'a> Eval<'a> {
    pub(crate) fn new(scope: &'a dyn Scope) -> Eval<'a> {
        Eval { scope, vars: Vec::new(), holes: Vec::new(), diagnostics: Diagnostics::new() }
    }

    /// Evaluates without the checks of a whole result: infinite numbers may still be used up.
    pub(crate) fn run(expr: &Expr, scope: &dyn Scope) -> (Value, Diagnostics) {
        let mut eval = Eval::new(scope);
        let value = eval.eval(expr);
        (value, eval.diagnostics)
    }

    /// Notes an error and returns what stands for the value.
    fn error(&mut self, diagnostic: Diagnostic) -> Value {
        self.diagnostics.push(diagnostic);
        Value::unknown(Type::Dynamic)
    }

    /// Evaluates with errors kept apart.
    fn apart(&mut self, expr: &Expr) -> (Value, Diagnostics) {
        let outer = std::mem::take(&mut self.diagnostics);
        let value = self.eval(expr);
        (value, std::mem::replace(&mut self.diagnostics, outer))
    }

    pub(crate) fn eval(&mut self, expr: &Expr) -> Value {
        deep(|| self.eval_kind(expr))
    }

    fn eval_id(&mut self, expr: &Expr, id: Id) -> Value {
        self.eval(&expr.at(id))
    }

    fn eval_kind(&mut self, expr: &Expr) -> Value {
        match expr.kind() {
            Kind::Literal(value) => value.clone(),
            Kind::Embedded(inner) => self.eval(inner),
            Kind::Hole => self.holes.last().cloned().unwrap_or(Value::NULL),
            Kind::Root(_) | Kind::Attr(..) | Kind::Index(..) => self.eval_steps(expr),
            Kind::Splat { source, each, .. } => self.splat(expr, *source, *each),
            Kind::Unary(op, operand) => self.unary(expr, *op, *operand),
            Kind::Binary(op, a, b) => self.binary(expr, *op, *a, *b),
            Kind::Conditional(condition, a, b) => self.conditional(expr, *condition, *a, *b),
            Kind::Tuple(items) => Value::tuple(items.iter().map(|id| self.eval_id(expr, *id)).collect()),
            Kind::Object(items) => self.object(expr, items, Keys::Expressions),
            Kind::Mapping(items) => self.object(expr, items, Keys::Document),
            Kind::BareKey(_) => self.error(expr.bare_key_fault()),
            Kind::For(body) => self.for_loop(expr, body),
            Kind::Call(call) => self.call(expr, call),
            Kind::Template(parts) => self.template(expr, parts),
            Kind::TemplateIf(condition, a, b) => self.conditional(expr, *condition, *a, *b),
            Kind::TemplateFor(body) => self.template_for(expr, body),
        }
    }

    fn eval_steps(&mut self, expr: &Expr) -> Value {
        let Some(chain) = expr.chain() else {
            return match expr.kind() {
                Kind::Attr(base, _) | Kind::Index(base, _) => {
                    let value = self.eval_id(expr, *base);
                    self.step(value, expr)
                }
                _ => Value::unknown(Type::Dynamic),
            };
        };
        let bound = self.vars.iter().rev().find(|(name, _)| *name == chain.reference.root);
        let (mut value, taken) = match bound {
            Some((_, value)) => (value.clone(), 0),
            None => match self.scope.resolve(&chain.reference) {
                Ok(found) => found,
                Err(faults) => {
                    self.diagnostics.extend(faults);
                    return Value::unknown(Type::Dynamic);
                }
            },
        };
        for link in &chain.links[taken.min(chain.links.len())..] {
            value = self.step(value, link);
        }
        value
    }

    fn call(&mut self, expr: &Expr, call: &Call) -> Value {
        match call.name.strip_prefix("core::").unwrap_or(&call.name) {
            "try" if !call.expand => return self.call_try(expr, call),
            "can" if call.args.len() == 1 && !call.expand => return self.call_can(expr, call),
            _ => {}
        }
        let Some(function) = functions::find(&call.name) else { return self.error(unknown_function(call)) };
        if !call.expand
            && let Err(fault) = function.check_count(call.args.len())
        {
            let spans: Vec<Span> = call.args.iter().map(|id| expr.tree().span(*id)).collect();
            return self.error(function_error(call, expr.span(), &fault, &spans));
        }
        if function.name == "templatestring" && !self.is_elsewhere(expr, call) {
            return self.error(written_template(call, expr.tree().span(call.args[0])));
        }
        let errors_before = self.diagnostics.len();
        let Some((args, spans)) = self.arguments(expr, call) else {
            return Value::unknown(Type::Dynamic);
        };
        if self.diagnostics.len() > errors_before {
            return Value::unknown(Type::Dynamic);
        }
        match args {
            Arguments::Unknown(heritage) => heritage.maybe_null(Type::Dynamic),
            Arguments::Values(args) => {
                let result = function.call(&args, self.scope.host());
                match result {
                    Ok(value) => value,
                    Err(fault) => self.error(function_error(call, expr.span(), &fault, &spans)),
                }
            }
        }
    }

    /// Whether the template of a call of `templatestring` is a reference: one that is written where it is
    /// used needs no function.
    fn is_elsewhere(&self, expr: &Expr, call: &Call) -> bool {
        call.expand
            || call.args.first().is_none_or(|id| {
                matches!(expr.at(*id).kind(), Kind::Root(_) | Kind::Attr(..) | Kind::Index(..))
            })
    }

    /// Evaluates the arguments, the last one spread where `...` says so.
    fn arguments(&mut self, expr: &Expr, call: &Call) -> Option<(Arguments, Vec<Span>)> {
        let mut values = Vec::new();
        let mut spans = Vec::new();
        for (i, id) in call.args.iter().enumerate() {
            let span = expr.tree().span(*id);
            let value = self.eval_id(expr, *id);
            if !(call.expand && i + 1 == call.args.len()) {
                values.push(value);
                spans.push(span);
                continue;
            }
            if let ValueKind::Unknown(u) = value.kind()
                && (u.ty == Type::Dynamic || matches!(u.ty, Type::List(_) | Type::Set(_) | Type::Tuple(_)))
            {
                values.push(value);
                return Some((Arguments::Unknown(Heritage::deep(&values)), spans));
            }
            if matches!(value.kind(), ValueKind::Set(..)) && !value.is_wholly_known() {
                values.push(value);
                return Some((Arguments::Unknown(Heritage::deep(&values)), spans));
            }
            let Some(items) = value.as_seq() else {
                let why = if value.is_null() {
                    "must not be null"
                } else {
                    "must be of a tuple, list, or set type"
                };
                self.error(
                    Diagnostic::error("G0114", "Invalid expanding argument value")
                        .detail(format!("The expanding argument (indicated by ...) {why}."))
                        .at(span, "can not be spread"),
                );
                return None;
            };
            values.extend(items.iter().map(|v| v.clone().mark(value.marks())));
            spans.extend(items.iter().map(|_| span));
        }
        Some((Arguments::Values(values), spans))
    }

    fn call_try(&mut self, expr: &Expr, call: &Call) -> Value {
        let mut last = Diagnostics::new();
        for id in &call.args {
            let (value, errors) = self.apart(&expr.at(*id));
            if errors.has_errors() {
                // What is not known yet can't take an error away: it stands for all that it can become.
                last.extend(errors);
            } else if value.is_wholly_known() {
                return value;
            } else {
                // What becomes known may fail yet, and then a later one is taken.
                return Heritage::deep([&value]).maybe_null(Type::Dynamic);
            }
        }
        let mut detail = String::from("Call to function \"try\" failed: no expression succeeded.");
        for error in last.iter().filter(|d| d.is_error()) {
            detail.push_str(&format!("\n- {}: {}", error.summary, error.detail));
        }
        if call.args.is_empty() {
            detail = "Call to function \"try\" failed: at least one argument is required.".into();
        }
        self.error(
            Diagnostic::error("G0114", "Error in function call")
                .detail(detail)
                .at(expr.span(), "in this call"),
        )
    }

    fn call_can(&mut self, expr: &Expr, call: &Call) -> Value {
        let (value, errors) = self.apart(&expr.at(call.args[0]));
        if errors.has_errors() {
            return Value::bool(false);
        }
        if !value.is_wholly_known() {
            return Heritage::deep([&value]).maybe_null(Type::Bool);
        }
        Value::bool(true).mark(Marks { minted: false, ..value.marks() })
    }
}

fn written_template(call: &Call, span: Span) -> Diagnostic {
    Diagnostic::error("G0114", "Invalid function argument")
        .detail(format!(
            "Invalid value for argument 1 of {}: the template must be a reference to a string that is defined elsewhere.",
            call.name
        ))
        .help("write the template itself in its place, or give it a name with `locals`")
        .at(span, "not a reference")
}

/// Arguments of a call: values, or nothing but what they wait for where their number is not known.
pub(crate) enum Arguments {
    Values(Vec<Value>),
    Unknown(Heritage),
}

/// What is wrong with a call as far as its text tells.
pub(crate) fn static_call_fault(call: &Call, whole: Span, spans: &[Span]) -> Option<Diagnostic> {
    let Some(function) = functions::find(&call.name) else { return Some(unknown_function(call)) };
    let fault = if call.expand { None } else { function.check_count(call.args.len()).err() };
    fault.map(|fault| function_error(call, whole, &fault, spans))
}

/// Functions that were taken out of the language, and what stands in their place.
const REMOVED: [(&str, &str); 2] = [("list", "tolist([…])"), ("map", "tomap({KEY = VALUE, …})")];

fn unknown_function(call: &Call) -> Diagnostic {
    let name = &call.name;
    if name.starts_with("provider::") {
        return Diagnostic::error("G0114", "Unknown provider function")
            .detail(format!(
                "The function {name:?} is not available: of all providers terraform alone offers functions here."
            ))
            .at(call.name_span, "not a function");
    }
    if let Some((_, instead)) = REMOVED.iter().find(|(removed, _)| *removed == &**name) {
        return Diagnostic::error("G0114", "Call to unknown function")
            .detail(format!("The language has the function {name:?} no more."))
            .help(format!("Write {instead}."))
            .at(call.name_span, "not a function");
    }
    let mut diagnostic = Diagnostic::error("G0114", "Call to unknown function")
        .detail(format!("There is no function named {name:?}."))
        .at(call.name_span, "not a function");
    if let Some(near) = groma_types::diagnostic::nearest(name, functions::names()) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    diagnostic
}

fn function_error(call: &Call, whole: Span, fault: &FunctionError, spans: &[Span]) -> Diagnostic {
    let name = &call.name;
    let (summary, detail, span) = match fault.kind {
        FunctionErrorKind::Argument(i) => (
            "Invalid function argument",
            format!("Invalid value for argument {} of {name}: {}.", i + 1, fault.message),
            spans.get(i).copied().unwrap_or(whole),
        ),
        FunctionErrorKind::TooMany(first) => (
            "Too many function arguments",
            format!("Function {name:?}: {}.", fault.message),
            spans.get(first).copied().unwrap_or(whole),
        ),
        FunctionErrorKind::NotEnough => {
            ("Not enough function arguments", format!("Function {name:?}: {}.", fault.message), whole)
        }
        FunctionErrorKind::Unknown => {
            ("Call to unknown function", format!("{}.", fault.message), call.name_span)
        }
        FunctionErrorKind::Call => {
            ("Error in function call", format!("Call to function {name:?} failed: {}.", fault.message), whole)
        }
    };
    let fault_of_call = Diagnostic::error("G0114", summary).detail(detail).at(span, "in this call");
    Diagnostic { function: Some(call.name.clone()), ..fault_of_call }
}

/// Calls a function by name.
///
/// # Errors
/// There is no such function, the arguments do not fit, or the function failed.
pub fn call_function(name: &str, args: &[Value], host: &dyn FunctionHost) -> Result<Value, FunctionError> {
    functions::find(name)
        .ok_or_else(|| FunctionError {
            kind: FunctionErrorKind::Unknown,
            message: format!("There is no function named {name:?}"),
        })?
        .call(args, host)
}
