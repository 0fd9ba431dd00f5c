//! Evaluation of configuration: expressions of a module instance over [`Values`].
//!
//! Locals, variables of modules and module outputs are evaluated on demand and remembered: known results for good,
//! results over unknowns until a value changes. Nothing here is async and nothing calls a provider.

use crate::config::inputs;
use crate::config::targets::{self, Target};
use crate::config::{BlockId, Config, Expansion, Module, ModuleCall, ModulePath, Output, Variable};
use crate::confined::Confined;
use crate::facade::Host;
use crate::values::{Keys, Values};
use groma_lang::eval::{self, FunctionHost};
use groma_lang::expr::{Expr, RefStep, Reference};
use groma_types::value::{Cause, Causes, Residual};
use groma_types::{
    Address, AttrPath, Diagnostic, Diagnostics, InstanceKey, Marks, Mode, ModuleAddr, NameMap, ResourceAddr,
    Span, Type, Unknown, Value, ValueKind, convert,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What a remembered result is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Item {
    Local(ModuleAddr, Arc<str>),
    Variable(ModuleAddr, Arc<str>),
    Output(ModuleAddr, Arc<str>),
    Call(ModuleAddr, Arc<str>),
}

struct Memo<T> {
    value: T,
    is_known: bool,
    epoch: u64,
    generation: u64,
}

/// Evaluates expressions of one stack. Cheap to make; keeps its memory across changes of `Values`.
pub struct Evaluator {
    pub config: Arc<Config>,
    functions: Arc<dyn FunctionHost + Send + Sync>,
    /// What functions of fetched modules may read.
    confined: BTreeMap<ModulePath, Confined>,
    cwd: Arc<str>,
    workspace: Arc<str>,
    values_memo: RefCell<HashMap<Item, Memo<(Value, Diagnostics)>>>,
    keys_memo: RefCell<HashMap<Item, Memo<(Keys, Diagnostics)>>>,
    /// Items under evaluation: a second visit is a cycle, which `check` has reported; it must not recurse for ever.
    active: RefCell<BTreeSet<String>>,
}

/// The scope of a variable's conditions: the variable itself is known there already.
struct OwnVariable<'a> {
    name: &'a Arc<str>,
    value: &'a Value,
    scope: Scope<'a>,
}

impl eval::Scope for OwnVariable<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        if &*reference.root == "var" && step_name(reference, 0) == Some(self.name) {
            return Ok((self.value.clone(), 1));
        }
        self.scope.resolve(reference)
    }

    fn host(&self) -> &dyn FunctionHost {
        self.scope.host()
    }
}

/// What `each`, `count` and `self` mean in a place.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub module: ModuleAddr,
    pub key: Option<InstanceKey>,
    pub each_value: Option<Value>,
    pub this: Option<Value>,
}

impl Place {
    pub fn module(module: ModuleAddr) -> Place {
        Place { module, ..Place::default() }
    }

    /// The place of one instance of a block.
    pub fn instance(module: ModuleAddr, key: Option<InstanceKey>, keys: &Keys) -> Place {
        let each_value = match &key {
            Some(InstanceKey::Str(k)) => keys.each_value(k).cloned(),
            _ => None,
        };
        Place { module, key, each_value, this: None }
    }
}

/// A scope for the language: a place in a stack with the values of the moment.
pub struct Scope<'a> {
    pub eval: &'a Evaluator,
    pub values: &'a Values,
    pub place: Place,
}

impl Evaluator {
    pub fn new(config: Arc<Config>, host: &Host) -> Evaluator {
        Evaluator {
            confined: Confined::of(&config, &host.files),
            config,
            functions: host.files.clone(),
            cwd: host.cwd.as_str().into(),
            workspace: host.workspace.as_str().into(),
            values_memo: RefCell::default(),
            keys_memo: RefCell::default(),
            active: RefCell::default(),
        }
    }

    /// Whether a module may read a file.
    ///
    /// # Errors
    /// It was fetched, and the path leads out of what such a module may read: why.
    pub fn permit(&self, module: &ModuleAddr, path: &str) -> Result<(), String> {
        self.confined.get(&module.path()).map_or(Ok(()), |confined| confined.permit(path))
    }

    pub fn module(&self, address: &ModuleAddr) -> Option<&Module> {
        self.config.modules.get(&address.path())
    }

    /// Evaluates an expression in a place.
    pub fn expr(&self, values: &Values, place: &Place, expr: &Expr) -> (Value, Diagnostics) {
        let scope = Scope { eval: self, values, place: place.clone() };
        let (value, diagnostics) = eval::evaluate(expr, &scope);
        (eval::Scope::keep(&scope, value, expr), diagnostics)
    }

    fn remember<T: Clone>(
        &self,
        memo: &RefCell<HashMap<Item, Memo<T>>>,
        item: &Item,
        values: &Values,
        make: impl FnOnce() -> (T, bool),
    ) -> Option<T> {
        if let Some(found) = memo.borrow().get(item)
            && found.generation == values.generation()
            && (found.is_known || found.epoch == values.epoch())
        {
            return Some(found.value.clone());
        }
        let label = format!("{item:?}");
        if !self.active.borrow_mut().insert(label.clone()) {
            return None;
        }
        let (value, is_known) = make();
        self.active.borrow_mut().remove(&label);
        let entry =
            Memo { value: value.clone(), is_known, epoch: values.epoch(), generation: values.generation() };
        memo.borrow_mut().insert(item.clone(), entry);
        Some(value)
    }

    fn item(
        &self,
        values: &Values,
        item: &Item,
        make: impl FnOnce() -> (Value, Diagnostics),
    ) -> Result<Value, Diagnostics> {
        let make = || {
            let made = make();
            let is_known = made.0.is_wholly_known();
            (made, is_known)
        };
        let Some((value, diagnostics)) = self.remember(&self.values_memo, item, values, make) else {
            return Ok(Value::unknown(Type::Dynamic));
        };
        if diagnostics.has_errors() { Err(diagnostics) } else { Ok(value) }
    }

    pub fn local(&self, values: &Values, module: &ModuleAddr, name: &Arc<str>) -> Result<Value, Diagnostics> {
        let item = Item::Local(module.clone(), name.clone());
        self.item(values, &item, || match self.module(module).and_then(|m| m.locals.get(name)) {
            Some(local) => self.expr(values, &Place::module(module.clone()), &local.value),
            None => (Value::unknown(Type::Dynamic), Diagnostics::new()),
        })
    }

    /// The value of a module's output.
    pub fn output(
        &self,
        values: &Values,
        module: &ModuleAddr,
        name: &Arc<str>,
    ) -> Result<Value, Diagnostics> {
        let item = Item::Output(module.clone(), name.clone());
        self.item(values, &item, || match self.module(module).and_then(|m| m.outputs.get(name)) {
            Some(output) => {
                let (value, mut diagnostics) =
                    self.expr(values, &Place::module(module.clone()), &output.value);
                if value.deep_marks().ephemeral && !output.ephemeral && !module.is_root() {
                    diagnostics.push(undeclared_output(output));
                }
                let marks = Marks { sensitive: output.sensitive, ephemeral: output.ephemeral, minted: false };
                (value.mark(marks), diagnostics)
            }
            None => (Value::unknown(Type::Dynamic), Diagnostics::new()),
        })
    }

    pub fn variable(
        &self,
        values: &Values,
        module: &ModuleAddr,
        name: &Arc<str>,
    ) -> Result<Value, Diagnostics> {
        let Some(parent) = module.parent() else {
            return Ok(values.inputs.get(name).cloned().unwrap_or_else(|| Value::unknown(Type::Dynamic)));
        };
        let item = Item::Variable(module.clone(), name.clone());
        self.item(values, &item, || self.argument(values, &parent, module, name))
    }

    /// Evaluates what a call gives for a variable of the called module.
    fn argument(
        &self,
        values: &Values,
        parent: &ModuleAddr,
        module: &ModuleAddr,
        name: &Arc<str>,
    ) -> (Value, Diagnostics) {
        let nothing = (Value::unknown(Type::Dynamic), Diagnostics::new());
        let Some(variable) = self.module(module).and_then(|m| m.variables.get(name)) else { return nothing };
        let Some(step) = module.0.last() else { return nothing };
        let Some(call) = self.module(parent).and_then(|m| m.calls.get(&step.name)) else { return nothing };
        let written = call.arguments.get(name);
        let mut diagnostics = Diagnostics::new();
        let given = written.map(|expr| {
            let keys = self.call_keys(values, parent, call).0;
            let place = Place::instance(parent.clone(), step.key.clone(), &keys);
            let (value, faults) = self.expr(values, &place, expr);
            diagnostics.extend(faults);
            (value, expr.span())
        });
        if diagnostics.has_errors() {
            return (Value::unknown(variable.constraint.ty.clone()), diagnostics);
        }
        let (value, more) = self.accept(values, module, variable, given);
        diagnostics.extend(more);
        (value, diagnostics)
    }

    /// Brings an argument to its variable's type and holds it against the variable's conditions.
    fn accept(
        &self,
        values: &Values,
        module: &ModuleAddr,
        variable: &Variable,
        given: Option<(Value, Span)>,
    ) -> (Value, Diagnostics) {
        let (value, mut diagnostics) = inputs::bind(variable, given);
        if !diagnostics.has_errors() {
            let scope = Scope { eval: self, values, place: Place::module(module.clone()) };
            let own = OwnVariable { name: &variable.name, value: &value, scope };
            diagnostics.extend(inputs::validate(variable, &own));
        }
        (value, diagnostics)
    }

    /// Holds the root's variables against their conditions.
    pub fn validate_inputs(&self, values: &Values) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        for variable in self.config.root().variables.values() {
            let Some(value) = values.inputs.get(&variable.name) else { continue };
            let scope = Scope { eval: self, values, place: Place::default() };
            let own = OwnVariable { name: &variable.name, value, scope };
            diagnostics.extend(inputs::validate(variable, &own));
        }
        diagnostics
    }

    /// The instances of a module call.
    pub fn call_keys(&self, values: &Values, module: &ModuleAddr, call: &ModuleCall) -> (Keys, Diagnostics) {
        let item = Item::Call(module.clone(), call.name.clone());
        self.remember(&self.keys_memo, &item, values, || {
            let made = self.expand(values, &Place::module(module.clone()), &call.expansion);
            let is_known = made.0.is_wholly_known();
            (made, is_known)
        })
        .unwrap_or((Keys::Unknown { causes: Causes::new(), counted: false }, Diagnostics::new()))
    }

    /// Evaluates `count`, `for_each` or `enabled`.
    pub fn expand(&self, values: &Values, place: &Place, expansion: &Expansion) -> (Keys, Diagnostics) {
        match expansion {
            Expansion::Single => (Keys::Single, Diagnostics::new()),
            Expansion::Count(expr) => {
                let (value, diagnostics) = self.expr(values, place, expr);
                with(count_keys(&value, expr), diagnostics)
            }
            Expansion::ForEach(expr) => {
                let (value, diagnostics) = self.expr(values, place, expr);
                with(each_keys(&value, expr), diagnostics)
            }
            Expansion::Enabled(expr) => {
                let (value, diagnostics) = self.expr(values, place, expr);
                with(enabled_keys(&value, expr), diagnostics)
            }
        }
    }

    /// All instances of a module path, and whether that is all of them (false: some expansion is not known).
    pub fn module_instances(
        &self,
        values: &Values,
        path: &[Arc<str>],
    ) -> (Vec<ModuleAddr>, Causes, Diagnostics) {
        let mut instances = vec![ModuleAddr::root()];
        let mut causes = Causes::new();
        let mut diagnostics = Diagnostics::new();
        for name in path {
            let mut next = Vec::new();
            for parent in &instances {
                let Some(call) = self.module(parent).and_then(|m| m.calls.get(name)) else { continue };
                let (keys, more) = self.call_keys(values, parent, call);
                diagnostics.extend(more);
                causes.join(&keys.causes());
                next.extend(keys.list().into_iter().map(|k| parent.child(name, k)));
            }
            instances = next;
        }
        (instances, causes, diagnostics)
    }
}

fn with<T>((value, mut mine): (T, Diagnostics), before: Diagnostics) -> (T, Diagnostics) {
    let mut all = before;
    if !all.has_errors() {
        all.extend(std::mem::take(&mut mine));
    }
    (value, all)
}

fn undeclared_output(output: &Output) -> Diagnostic {
    Diagnostic::error("G0911", "An ephemeral value in an output that may keep it")
        .detail(format!("The output {:?} is not declared ephemeral.", output.name))
        .help("Say `ephemeral: true` in the output.")
        .at(output.value.span(), "ephemeral")
}

fn bad_expansion(span: Span, what: &str, help: &str) -> (Keys, Diagnostics) {
    let diagnostic = Diagnostic::error("G1010", "Invalid expansion")
        .detail(what.to_string())
        .help(help.to_string())
        .at(span, "");
    (Keys::Off, diagnostic.into())
}

/// Marks that must not become part of an address.
pub fn check_key_marks(value: &Value, span: Span, word: &str) -> Option<(Keys, Diagnostics)> {
    let marks = value.marks();
    (marks.sensitive || marks.ephemeral || marks.minted).then(|| {
        let what =
            format!("The `{word}` value is sensitive, ephemeral or minted; it would show in addresses.");
        bad_expansion(span, &what, "Use nonsensitive() if the value is no secret.")
    })
}

/// More instances of one block would not fit into memory, and were not meant.
const MAX_COUNT: u64 = 1_000_000;

fn count_keys(value: &Value, expr: &Expr) -> (Keys, Diagnostics) {
    if let Some(bad) = check_key_marks(value, expr.span(), "count") {
        return bad;
    }
    let Ok(number) = convert::convert(value, &Type::Number) else {
        return bad_expansion(
            expr.span(),
            "The `count` value must be a whole number.",
            "Give a number, 0 or more.",
        );
    };
    match number.kind() {
        ValueKind::Unknown(u) => {
            (Keys::Unknown { causes: u.causes.clone(), counted: true }, Diagnostics::new())
        }
        ValueKind::Number(n) => match n.to_u64() {
            Some(n) if n <= MAX_COUNT => (Keys::Count(n), Diagnostics::new()),
            Some(n) => bad_expansion(
                expr.span(),
                &format!("The `count` value {n} is more than {MAX_COUNT}."),
                "Give a number that was meant: each instance is planned and kept.",
            ),
            None => bad_expansion(
                expr.span(),
                "The `count` value must be a whole number, 0 or more.",
                "Give a number, 0 or more.",
            ),
        },
        _ => bad_expansion(expr.span(), "The `count` value is null.", "Give a number, 0 or more."),
    }
}

fn each_keys(value: &Value, expr: &Expr) -> (Keys, Diagnostics) {
    if let Some(bad) = check_key_marks(value, expr.span(), "for_each") {
        return bad;
    }
    let help = "Give a map, an object, or a set of strings: toset([…]) makes one of a list.";
    match value.kind() {
        ValueKind::Unknown(u) => {
            (Keys::Unknown { causes: u.causes.clone(), counted: false }, Diagnostics::new())
        }
        ValueKind::Map(_, items) | ValueKind::Object(items) => {
            (Keys::Each(items.clone()), Diagnostics::new())
        }
        ValueKind::Set(_, items) => {
            let mut keys = BTreeMap::new();
            for item in items.iter() {
                match item.kind() {
                    ValueKind::String(s) => keys.insert(s.clone(), item.clone()),
                    ValueKind::Unknown(_) => {
                        return (
                            Keys::Unknown { causes: value.causes(), counted: false },
                            Diagnostics::new(),
                        );
                    }
                    _ => return bad_expansion(expr.span(), "A `for_each` set must hold strings.", help),
                };
            }
            (Keys::Each(Arc::new(keys.into_iter().collect())), Diagnostics::new())
        }
        ValueKind::Null(_) => bad_expansion(expr.span(), "The `for_each` value is null.", help),
        _ => {
            bad_expansion(expr.span(), &format!("The `for_each` value is a {}.", value.ty().friendly()), help)
        }
    }
}

fn enabled_keys(value: &Value, expr: &Expr) -> (Keys, Diagnostics) {
    if value.marks().ephemeral {
        return bad_expansion(
            expr.span(),
            "The `enabled` value is ephemeral; what it decides would be kept.",
            "Decide by a value that stays the same from run to run.",
        );
    }
    match convert::convert(value, &Type::Bool).map(Value::into_kind) {
        Ok(ValueKind::Bool(true)) => (Keys::Single, Diagnostics::new()),
        Ok(ValueKind::Bool(false)) => (Keys::Off, Diagnostics::new()),
        Ok(ValueKind::Unknown(u)) => {
            (Keys::Unknown { causes: u.causes.clone(), counted: false }, Diagnostics::new())
        }
        _ => bad_expansion(expr.span(), "The `enabled` value must be true or false.", "Give a bool."),
    }
}

/// A value that is not known and never will be by itself: it is asked for at each use, once its recipe is there.
fn is_asked_for(value: &Value) -> bool {
    let marks = value.marks();
    value.is_unknown() && (marks.minted || marks.ephemeral)
}

/// Gives minted and ephemeral parts that have no recipe yet the one that this expression is.
fn with_residual(value: Value, expr: &Expr, scope: &Scope<'_>) -> Value {
    let marks = value.deep_marks();
    if !marks.minted && !marks.ephemeral {
        return value;
    }
    // A recipe is asked outside of its module, where nothing confines what a fetched one reads.
    let reads = ["file", "templatestring"].iter().any(|word| expr.source_text().contains(word));
    if reads && scope.eval.confined.contains_key(&scope.place.module.path()) {
        return value;
    }
    let mut missing = Vec::new();
    value.walk_paths(&AttrPath::root(), &mut |path, v| {
        if is_asked_for(v) && v.as_unknown().is_some_and(|u| u.residual.is_none()) {
            missing.push(path.clone());
        }
    });
    if missing.is_empty() {
        return value;
    }
    let mut inputs = BTreeMap::new();
    for reference in expr.references() {
        let Ok((input, taken)) = eval::Scope::resolve(scope, &reference) else { return value };
        // An input that is not ready yet leaves the whole without a recipe: it is deferred.
        let mut waits = input.as_unknown().is_some_and(|u| u.residual.is_none());
        input.walk(&mut |v| {
            waits |= is_asked_for(v) && v.as_unknown().is_some_and(|u| u.residual.is_none());
        });
        if waits {
            return value;
        }
        inputs.insert(reference_text(&reference, taken), input);
    }
    let inputs: NameMap<Value> = inputs.into_iter().collect();
    missing.iter().fold(value, |v, path| {
        let residual =
            Residual::Expr { text: expr.source_text(), inputs: inputs.clone(), path: path.clone() };
        attach(&v, &path.0, &Arc::new(residual))
    })
}

fn attach(value: &Value, path: &[groma_types::Step], residual: &Arc<Residual>) -> Value {
    use groma_types::Step;
    let Some((first, rest)) = path.split_first() else {
        let Some(u) = value.as_unknown() else { return value.clone() };
        return Value::from(Unknown { residual: Some(residual.clone()), ..u.clone() }).mark(value.marks());
    };
    match (first, value.kind()) {
        (Step::Attr(name) | Step::Key(name), _) => match value.get(name) {
            Some(inner) => value.with_attr(name, attach(inner, rest, residual)),
            None => value.clone(),
        },
        (Step::Index(i), ValueKind::List(e, items)) => {
            let one = |(at, v): (usize, &Value)| if at == *i { attach(v, rest, residual) } else { v.clone() };
            Value::list(e.clone(), items.iter().enumerate().map(one).collect()).mark(value.marks())
        }
        (Step::Index(i), ValueKind::Tuple(items)) => {
            let one = |(at, v): (usize, &Value)| if at == *i { attach(v, rest, residual) } else { v.clone() };
            Value::tuple(items.iter().enumerate().map(one).collect()).mark(value.marks())
        }
        _ => value.clone(),
    }
}

/// The text of a reference's first steps: the key of a residual's inputs.
fn reference_text(reference: &Reference, steps: usize) -> Arc<str> {
    let short = Reference {
        root: reference.root.clone(),
        steps: reference.steps[..steps].to_vec(),
        span: reference.span,
    };
    short.to_string().into()
}

/// Evaluates a residual over inputs that are resolved now.
pub struct ResidualScope<'a> {
    pub inputs: &'a NameMap<Value>,
    pub functions: &'a dyn FunctionHost,
}

impl eval::Scope for ResidualScope<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        for steps in (0..=reference.steps.len()).rev() {
            if let Some(value) = self.inputs.get(&reference_text(reference, steps)) {
                return Ok((value.clone(), steps));
            }
        }
        Err(Diagnostic::error("G1099", "A recipe names a value that it does not hold")
            .at(reference.span, "")
            .into())
    }

    fn host(&self) -> &dyn FunctionHost {
        self.functions
    }
}

impl eval::Scope for Scope<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        let module = &self.place.module;
        let Some(declared) = self.eval.module(module) else {
            return Ok((Value::unknown(Type::Dynamic), reference.steps.len()));
        };
        match targets::target(declared, reference).map_err(Diagnostics::from)? {
            Target::Variable(name) => Ok((self.eval.variable(self.values, module, &name)?, 1)),
            Target::Local(name) => Ok((self.eval.local(self.values, module, &name)?, 1)),
            Target::Resource(id) => Ok(self.resource(&id, reference)),
            Target::Module { call, .. } => self.module_value(&call, reference),
            Target::Each => self.each(reference),
            Target::Count => match &self.place.key {
                Some(InstanceKey::Int(i)) => {
                    Ok((Value::number(groma_types::Number::from(usize::try_from(*i).unwrap_or(0))), 1))
                }
                _ => Ok((Value::unknown(Type::Number), 1)),
            },
            Target::Path => Ok((self.path(declared, reference), 1)),
            Target::Terraform => Ok((Value::string(self.eval.workspace.clone()), 1)),
            Target::SelfObject => {
                Ok((self.place.this.clone().unwrap_or_else(|| Value::unknown(Type::Dynamic)), 0))
            }
        }
    }

    fn keep(&self, value: Value, expr: &Expr) -> Value {
        with_residual(value, expr, self)
    }

    fn host(&self) -> &dyn FunctionHost {
        let eval = self.eval;
        // Most stacks fetch nothing: no path is made for them.
        match eval.confined.is_empty() {
            true => &*eval.functions,
            false => match eval.confined.get(&self.place.module.path()) {
                Some(confined) => confined,
                None => &*eval.functions,
            },
        }
    }
}

fn step_name(reference: &Reference, at: usize) -> Option<&Arc<str>> {
    match reference.steps.get(at) {
        Some(RefStep::Attr(name)) => Some(name),
        _ => None,
    }
}

impl Scope<'_> {
    fn each(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        let key = match &self.place.key {
            Some(InstanceKey::Str(k)) => Value::string(k.clone()),
            _ => Value::unknown(Type::String),
        };
        if step_name(reference, 0).is_some_and(|n| &**n == "key") {
            return Ok((key, 1));
        }
        Ok((self.place.each_value.clone().unwrap_or_else(|| Value::unknown(Type::Dynamic)), 1))
    }

    fn path(&self, module: &Module, reference: &Reference) -> Value {
        // As the functions that read files take a path, so that it is the same wherever the stack lies.
        let base = self.eval.functions.base_dir();
        let shown = |dir: &std::path::Path| {
            let text = dir.strip_prefix(&base).unwrap_or(dir).to_string_lossy().to_string();
            if text.is_empty() { ".".to_string() } else { text }
        };
        match step_name(reference, 0).map(|n| &**n) {
            Some("module") => Value::string(shown(&module.dir)),
            Some("root") => Value::string(shown(&self.eval.config.root_dir)),
            _ => Value::string(self.eval.cwd.clone()),
        }
    }

    /// A resource: an instance where the reference has its key, else the whole block.
    fn resource(&self, id: &BlockId, reference: &Reference) -> (Value, usize) {
        let named = if id.mode == Mode::Managed { 1 } else { 2 };
        let address = ResourceAddr::new(self.place.module.clone(), id.mode, id.kind.clone(), id.name.clone());
        let Some(block) = self.values.block(&address) else {
            let cause = Cause::Node(Address::Resource(address));
            return (Value::unknown_because(Type::Dynamic, [cause]), named);
        };
        let key = match reference.steps.get(named) {
            Some(RefStep::Index(key)) => Some(key.clone()),
            _ => None,
        };
        if key.is_some()
            && let Some(value) = block.instances.get(&key)
        {
            return (value.clone(), named + 1);
        }
        (block.whole(&address), named)
    }

    /// `module.name`, `module.name[key]` or one of its outputs.
    fn module_value(&self, call: &Arc<str>, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        let parent = &self.place.module;
        let Some(declared) = self.eval.module(parent).and_then(|m| m.calls.get(call)) else {
            return Ok((Value::unknown(Type::Dynamic), 1));
        };
        let (keys, diagnostics) = self.eval.call_keys(self.values, parent, declared);
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        if let Keys::Unknown { causes, .. } = &keys {
            return Ok((Value::unknown_because(Type::Dynamic, causes.iter().cloned()), 1));
        }
        let (key, taken) = match (&keys, reference.steps.get(1)) {
            (Keys::Single, _) => (Some(None), 1),
            (_, Some(RefStep::Index(key))) if keys.contains(Some(key)) => (Some(Some(key.clone())), 2),
            _ => (None, 1),
        };
        let Some(key) = key else { return Ok((self.all_instances(call, &keys)?, 1)) };
        let child = parent.child(call, key);
        match step_name(reference, taken) {
            Some(output) if self.eval.module(&child).is_some_and(|m| m.outputs.contains_key(output)) => {
                Ok((self.eval.output(self.values, &child, output)?, taken + 1))
            }
            _ => Ok((self.outputs(&child)?, taken)),
        }
    }

    fn outputs(&self, child: &ModuleAddr) -> Result<Value, Diagnostics> {
        let names = self
            .eval
            .module(child)
            .map(|m| m.outputs.keys().cloned().collect::<Vec<_>>())
            .unwrap_or_default();
        let pairs = names.into_iter().map(|n| Ok((n.clone(), self.eval.output(self.values, child, &n)?)));
        Ok(Value::object(pairs.collect::<Result<Vec<_>, Diagnostics>>()?))
    }

    fn all_instances(&self, call: &Arc<str>, keys: &Keys) -> Result<Value, Diagnostics> {
        let child = |key| self.outputs(&self.place.module.child(call, key));
        match keys {
            Keys::Count(n) => {
                let items = (0..*n).map(|i| child(Some(InstanceKey::Int(i)))).collect::<Result<_, _>>()?;
                Ok(Value::tuple(items))
            }
            Keys::Each(map) => {
                let pairs = map.keys().map(|k| Ok((k.clone(), child(Some(InstanceKey::Str(k.clone())))?)));
                Ok(Value::object(pairs.collect::<Result<Vec<_>, Diagnostics>>()?))
            }
            Keys::Single => child(None),
            Keys::Off | Keys::Unknown { .. } => Ok(Value::NULL),
        }
    }
}
