//! What is wrong with a config before anything is evaluated, and what refers to what.

mod cycles;
mod graph;
mod moves;
mod names;

#[cfg(test)]
mod tests;

pub use graph::{BlockGraph, Edge, Item, ItemId, dependencies, named};

use super::body;
use super::targets::provider_for;
use super::values::unknown_key;
use super::{BlockId, Config, Expansion, Module, ModuleCall, ProviderRef, ResourceBlock};
use groma_lang::eval::{NoScope, evaluate};
use groma_lang::expr::Expr;
use groma_types::convert::convert;
use groma_types::diagnostic::{misspelt, nearest};
use groma_types::schema::{KindSchema, ProviderSchema};
use groma_types::version::Constraint;
use groma_types::{Diagnostic, Diagnostics, Mode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The providers of this build, as far as their schemas go.
pub trait Schemas {
    fn provider(&self, name: &str) -> Option<&ProviderSchema>;
}

impl Schemas for BTreeMap<Arc<str>, ProviderSchema> {
    fn provider(&self, name: &str) -> Option<&ProviderSchema> {
        self.get(name)
    }
}

/// Finds all faults that can be known from the text and the schemas.
pub fn check(config: &Config, schemas: &dyn Schemas) -> Diagnostics {
    let mut checker = Checker { config, schemas, unknown: BTreeSet::new(), out: Diagnostics::new() };
    for module in config.modules.values() {
        checker.module(module);
    }
    names::check(config, schemas, &mut checker.out);
    moves::check(config, &mut checker.out);
    let mut out = checker.out;
    // A reference that leads nowhere has no edge, so the graph is right as far as it goes.
    out.extend(cycles::check(config, &dependencies(config, schemas)));
    out
}

/// Checks a config whose loading found the faults in `out`, and adds what it finds: all errors of a run come at once.
pub fn check_after(config: &Config, schemas: &dyn Schemas, out: &mut Diagnostics) {
    // Where a file's or a block's own shape is wrong its names are missing; references to them are no second fault.
    let is_shape = |d: &Diagnostic| d.is_error() && (d.code.starts_with("G05") || d.code == "G0604");
    let names_missing = out.iter().any(is_shape);
    let follows = |d: &Diagnostic| names_missing && matches!(d.code, "G0801" | "G0805" | "G0814");
    let found = check(config, schemas);
    out.extend(found.into_iter().filter(|d| !follows(d)));
}

/// Checks an expression that stands nowhere in the spec, as one of the root module.
pub fn expression(config: &Config, schemas: &dyn Schemas, expr: &Expr, out: &mut Diagnostics) {
    names::expression(config, schemas, expr, out);
}

/// The schema of a block's kind, where the build has it.
pub fn kind_schema<'a>(
    config: &Config,
    schemas: &'a dyn Schemas,
    module: &Module,
    block: &ResourceBlock,
) -> Option<&'a KindSchema> {
    let name = super::targets::provider_name(config, &module.path, &block.provider.name);
    schemas.provider(&name)?.kinds(block.id.mode).get(&block.id.kind)
}

/// Time-outs of the kinds here. Others may have more.
const TIMEOUTS: [&str; 4] = ["create", "read", "update", "delete"];

fn what_it_is(mode: Mode) -> &'static str {
    match mode {
        Mode::Managed => "resource",
        Mode::Data => "data source",
        Mode::Ephemeral => "ephemeral resource",
    }
}

struct Checker<'a> {
    config: &'a Config,
    schemas: &'a dyn Schemas,
    /// Kinds that nobody here knows, and whose blocks were told of already.
    unknown: BTreeSet<(Mode, Arc<str>)>,
    out: Diagnostics,
}

impl Checker<'_> {
    fn module(&mut self, module: &Module) {
        for block in module.resources.values() {
            self.resource(module, block);
        }
        for provider in &module.providers {
            let name = super::targets::provider_name(self.config, &module.path, &provider.name);
            if let Some(schema) = self.schemas.provider(&name) {
                let what = format!("provider {:?}", provider.name);
                self.out.extend(body::check(&provider.body, &schema.config, &what));
            }
        }
        for call in module.calls.values() {
            call.providers.values().for_each(|p| self.provider_declared(module, p));
            self.call_arguments(module, call);
        }
        self.variable_defaults(module);
        self.root_outputs(module);
        self.versions(module);
    }

    fn resource(&mut self, module: &Module, block: &ResourceBlock) {
        self.provider_declared(module, &block.provider);
        let name = super::targets::provider_name(self.config, &module.path, &block.provider.name);
        let source = module.required_providers.get(&block.provider.name).map(|r| &*r.source);
        let Some(provider) = self.schemas.provider(&name) else {
            return self.no_provider(block, &name);
        };
        if let Some(source) = source.filter(|s| !is_source_of(s, provider)) {
            self.no_provider(block, source);
        }
        let all = provider.kinds(block.id.mode);
        match all.get(&block.id.kind) {
            Some(kind) => {
                if let (Some(expands), Expansion::Count(e) | Expansion::ForEach(e)) =
                    (&kind.expands, &block.expansion)
                {
                    self.out.push(
                        Diagnostic::error("G0612", "Two ways to expand one block")
                            .detail(format!("{} has an instance for each document of {:?} already.", block.id, expands.text))
                            .help("Put all documents into the one text, or the block into a module with for_each.")
                            .at(e.span(), "a second way"),
                    );
                }
                self.out.extend(body::check(&block.body, &kind.block, &block.id.to_string()));
                for (name, expr) in block.timeouts.iter().filter(|(name, _)| !TIMEOUTS.contains(&&***name)) {
                    unknown_key(name, expr.span(), "timeouts", TIMEOUTS, &mut self.out);
                }
            }
            None => self.unknown_kind(&block.id, block, provider),
        }
    }

    /// One error a kind, however many blocks have it.
    fn is_told(&mut self, id: &BlockId) -> bool {
        !self.unknown.insert((id.mode, id.kind.clone()))
    }

    fn no_provider(&mut self, block: &ResourceBlock, name: &str) {
        if self.is_told(&block.id) {
            return;
        }
        let (what, kind) = (what_it_is(block.id.mode), &block.id.kind);
        self.out.push(
            Diagnostic::error("G0803", "No such provider")
                .detail(format!(
                    "The {what} kind {kind:?} belongs to the provider {name:?}, which this build does not have."
                ))
                .at(block.span, "needs this provider"),
        );
    }

    fn unknown_kind(&mut self, id: &BlockId, block: &ResourceBlock, provider: &ProviderSchema) {
        if self.is_told(id) {
            return;
        }
        let what = what_it_is(id.mode);
        let all = provider.kinds(id.mode);
        let near = misspelt(&id.kind, all.keys().map(|k| &**k));
        let elsewhere = [Mode::Managed, Mode::Data, Mode::Ephemeral]
            .into_iter()
            .find(|m| *m != id.mode && provider.kinds(*m).contains_key(&id.kind));
        let mut error = Diagnostic::error("G0804", "Unknown kind")
            .detail(format!("The provider {:?} has no {what} kind {:?}.", provider.name, id.kind))
            .at(
                block.span,
                near.map_or("of an unknown kind".to_string(), |n| format!("did you mean {n:?}?")),
            );
        if let Some(near) = near {
            error = error.help(format!("Write {near}."));
        } else if let Some(mode) = elsewhere {
            let there = match mode {
                Mode::Managed => "resource",
                Mode::Data => "data",
                Mode::Ephemeral => "ephemeral",
            };
            error = error.help(format!("{} stands under {there:?}.", id.kind));
        }
        self.out.push(error);
    }

    fn provider_declared(&mut self, module: &Module, wanted: &ProviderRef) {
        let found = provider_for(self.config, &module.path, wanted);
        if found.missing {
            let alias = wanted.alias.as_deref().unwrap_or_default();
            let aliases =
                module.providers.iter().filter(|p| p.name == wanted.name).filter_map(|p| p.alias.as_deref());
            let near = nearest(alias, aliases);
            let error = Diagnostic::error("G0805", "Provider configuration not present")
                .detail(format!(
                    "There is no provider {:?} with the alias {alias:?} here, and no call passes one.",
                    wanted.name
                ))
                .at(
                    wanted.span,
                    near.map_or("not declared".to_string(), |n| format!("did you mean {}.{n}?", wanted.name)),
                );
            return self.out.push(error);
        }
        let block = found.block.and_then(|i| self.config.modules.get(&found.module)?.providers.get(i));
        let Some(block) = block else { return };
        match (&block.for_each, &found.key) {
            (Some(_), None) => self.out.push(
                Diagnostic::error("G0806", "Which instance of the provider is meant is missing")
                    .detail(format!(
                        "The provider {:?} has for_each: it is one configuration a key.",
                        wanted.name
                    ))
                    .help(format!(
                        "Write {}.{}[each.key].",
                        wanted.name,
                        block.alias.as_deref().unwrap_or_default()
                    ))
                    .at(wanted.span, "a key is missing")
                    .at(block.span, "has for_each"),
            ),
            (None, Some((key, _))) => self.out.push(
                Diagnostic::error("G0806", "The provider has no instances")
                    .detail("Only a provider block with for_each takes a key.")
                    .at(key.span(), "no key may stand here")
                    .at(block.span, "has no for_each"),
            ),
            _ => {}
        }
    }

    /// Arguments that are constants are held against the variables of the called module.
    fn call_arguments(&mut self, module: &Module, call: &ModuleCall) {
        let mut path = module.path.clone();
        path.push(call.name.clone());
        let Some(called) = self.config.modules.get(&path) else { return };
        for (name, argument) in call.arguments.iter().filter(|(_, a)| a.is_static()) {
            let Some(variable) = called.variables.get(name) else { continue };
            let (value, faults) = evaluate(argument, &NoScope);
            if faults.has_errors() {
                continue;
            }
            let filled = groma_lang::types_syntax::apply_defaults(&variable.constraint, value);
            if let Err(error) = convert(&filled, &variable.constraint.ty) {
                self.out.push(
                    Diagnostic::error("G1011", "Invalid value for a module's variable")
                        .detail(format!("Variable {name:?} takes {}: {error}.", variable.constraint.ty))
                        .at(argument.span(), "this value")
                        .at(variable.span, "the variable"),
                );
            }
        }
    }

    fn variable_defaults(&mut self, module: &Module) {
        for variable in module.variables.values() {
            let Some(default) = &variable.default else { continue };
            let (value, faults) = evaluate(default, &NoScope);
            if faults.has_errors() {
                self.out.extend(faults);
                continue;
            }
            let filled = groma_lang::types_syntax::apply_defaults(&variable.constraint, value);
            if let Err(error) = convert(&filled, &variable.constraint.ty) {
                self.out.push(
                    Diagnostic::error("G0807", "The default does not fit the variable's type")
                        .detail(format!("{:?} takes {}: {error}.", variable.name, variable.constraint.ty))
                        .at(default.span(), "this default"),
                );
            }
        }
    }

    /// Outputs of the root module are kept in the state.
    fn root_outputs(&mut self, module: &Module) {
        for output in module.outputs.values().filter(|o| o.ephemeral && module.path.is_empty()) {
            self.out.push(
                Diagnostic::error("G0912", "An ephemeral output of the root module")
                    .detail(format!("The output {:?} would be kept in the state, as all of the root's are.", output.name))
                    .help("Only a module that is called can have ephemeral outputs. Take `ephemeral` away, or the output.")
                    .at(output.span, "ephemeral"),
            );
        }
    }

    fn versions(&mut self, module: &Module) {
        for (name, required) in &module.required_providers {
            let Some(schema) = required.source.rsplit('/').next().and_then(|n| self.schemas.provider(n))
            else {
                continue;
            };
            let (Some(version), Some((from, below))) = (&required.version, &schema.upstream) else {
                continue;
            };
            let meets = Constraint::parse(version).is_ok_and(|c| c.meets(from, below));
            if !meets {
                self.out.push(
                    Diagnostic::warning("G0808", "A provider version that is not spoken for")
                        .detail(format!(
                            "{name:?} is asked for in version {version}; what is built in speaks for >= {from}, < {below}."
                        ))
                        .help("The page of differences of this provider says what may be different.")
                        .at(required.span, "this requirement"),
                );
            }
        }
    }
}

fn is_source_of(source: &str, provider: &ProviderSchema) -> bool {
    let source =
        source.trim_start_matches("registry.terraform.io/").trim_start_matches("registry.opentofu.org/");
    provider.sources.is_empty()
        || provider.sources.iter().any(|s| &**s == source)
        || source == format!("hashicorp/{}", provider.name)
}
