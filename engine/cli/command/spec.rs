//! Reads a stack's spec and its variables. All diagnostics of a run are shown at once.

use crate::args::{Input, VarArg};
use crate::session::Session;
use crate::stack::Stack;
use groma_engine::config::{Config, check, inputs, load};
use groma_engine::facade::Registry;
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
}

impl Loaded {
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

/// Reads the spec and checks it as far as that needs no variables.
pub(crate) fn load(stack: &Stack, registry: &Registry) -> Loaded {
    let request = load::LoadRequest { path: &stack.path, files: &load::DiskFiles };
    let (config, sources, mut diagnostics) = load::load(request);
    let is_whole = !diagnostics.has_errors();
    if let Some(config) = &config {
        check::check_after(config, &Schemas(registry), &mut diagnostics);
    }
    let config = config.filter(|_| is_whole);
    Loaded { config: config.map(Arc::new), variables: BTreeMap::new(), sources, diagnostics }
}

/// Reads the spec and the values of its variables.
pub(crate) fn load_with_inputs(
    session: &Session,
    stack: &Stack,
    registry: &Registry,
    input: &Input,
) -> Loaded {
    let mut loaded = load(stack, registry);
    let Some(config) = loaded.config.clone() else { return loaded };
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
    let (variables, diagnostics) = inputs::inputs(&config, &mut loaded.sources, &request);
    loaded.variables = variables;
    loaded.diagnostics.extend(diagnostics);
    loaded
}
