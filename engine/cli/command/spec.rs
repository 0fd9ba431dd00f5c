//! Reads a stack's spec and its variables. All diagnostics of a run are shown at once.

use crate::args::{Input, VarArg};
use crate::exit::Exit;
use crate::modules;
use crate::session::Session;
use crate::stack::Stack;
use groma_engine::config::{Config, Module, ModulePath, backend, check, inputs, load, strict};
use groma_engine::facade::Registry;
use groma_modules::fetch::Policy;
use groma_types::schema::ProviderSchema;
use groma_types::{Diagnostics, SourceMap, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A spec that was read, with what there is to say of it.
#[derive(Default)]
pub(crate) struct Loaded {
    /// `None`: it is not there, or not sound enough to go on.
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) variables: BTreeMap<Arc<str>, Value>,
    pub(crate) sources: SourceMap,
    pub(crate) diagnostics: Diagnostics,
    /// Fetched modules, by the call.
    pub(crate) used: BTreeMap<ModulePath, modules::Used>,
}

impl Loaded {
    /// For commands that ask for names alone: a kind that is not built in does not stop them.
    pub(crate) fn of_any_kind(mut self) -> Loaded {
        let mut kept = Diagnostics::new();
        kept.extend(self.diagnostics.into_iter().filter(|d| !matches!(d.code, "G0803" | "G0804")));
        self.diagnostics = kept;
        self
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.config.is_some() && !self.diagnostics.has_errors()
    }
}

/// The schemas of this build's providers.
pub(crate) struct Schemas<'a>(pub(crate) &'a Registry);

impl check::Schemas for Schemas<'_> {
    fn provider(&self, name: &str) -> Option<&ProviderSchema> {
        self.0.providers.get(name).map(|p| p.schema())
    }
}

/// Reads the spec and checks it as far as that needs no variables. Modules that are missing are fetched.
pub(crate) fn load(session: &Session, stack: &Stack, registry: &Registry, input: &Input) -> Loaded {
    load_by(session, stack, registry, input, modules::usual_policy(session))
}

pub(crate) fn load_by(
    session: &Session,
    stack: &Stack,
    registry: &Registry,
    input: &Input,
    policy: Policy,
) -> Loaded {
    let modules::Read { config, sources, mut diagnostics, used } =
        modules::read(session, stack, input, policy);
    let is_whole = !diagnostics.has_errors();
    if let Some(config) = &config {
        check::check_after(config, &Schemas(registry), &mut diagnostics);
        if session.global.strict {
            diagnostics.extend(strict::check(config, &Schemas(registry)));
        }
    }
    let config = config.filter(|_| is_whole).map(Arc::new);
    Loaded { config, variables: BTreeMap::new(), sources, diagnostics, used }
}

/// Reads the spec and the values of its variables.
pub(crate) fn load_with_inputs(
    session: &Session,
    stack: &Stack,
    registry: &Registry,
    input: &Input,
) -> Loaded {
    let mut loaded = load(session, stack, registry, input);
    let Some(config) = loaded.config.clone() else { return loaded };
    let (variables, diagnostics) = values(session, input, config.root(), &mut loaded.sources);
    loaded.variables = variables;
    loaded.diagnostics.extend(diagnostics);
    loaded
}

/// The values of a module's variables, as the command line, files and the environment give them.
pub(crate) fn values(
    session: &Session,
    input: &Input,
    root: &Module,
    sources: &mut SourceMap,
) -> (BTreeMap<Arc<str>, Value>, Diagnostics) {
    let argument = |arg: &VarArg| match arg {
        VarArg::Assign(text) => inputs::Argument::Var(text.clone()),
        VarArg::File(path) => inputs::Argument::File(session.at(Path::new(path))),
    };
    let arguments: Vec<_> = input.ordered.iter().map(argument).collect();
    let request = inputs::InputRequest {
        files: &load::DiskFiles,
        arguments: &arguments,
        environment: &session.settings.vars,
    };
    inputs::inputs(root, sources, &request)
}

/// Stops where the spec keeps the state in a place that is not built. The sandbox has a state of its own.
pub(crate) fn respect_backend(session: &Session, loaded: &Loaded) -> Result<(), Exit> {
    let Some(config) = loaded.config.as_ref().filter(|_| !session.global.sandbox) else { return Ok(()) };
    let faults = backend::refuse_unbuilt(config, &loaded.variables);
    if faults.has_errors() {
        session.say(faults.iter(), &loaded.sources);
        return Err(Exit::Error);
    }
    Ok(())
}
