//! Commands that fetched modules would run on this machine: told by the plan where the user allowed them, else refused.
//!
//! Invariant: no provider is configured and no data source is read for a fetched module before it was asked here.

use super::Planner;
use crate::config::packages::Package;
use crate::config::{Config, ModulePath, ProviderBlock, ResourceBlock, body};
use crate::scope::Place;
use groma_types::schema::KindSchema;
use groma_types::{AttrPath, Diagnostic, Span, Value};
use std::sync::Arc;

/// A command that a block of a fetched module runs.
pub(crate) struct Command<'a> {
    pub(crate) module: &'a ModulePath,
    /// The block, as people name it.
    pub(crate) who: String,
    /// `local-exec`, `external`, `exec`.
    pub(crate) what: &'a str,
    pub(crate) span: Span,
}

impl Planner {
    /// Whether a block may run a command. A refusal is reported.
    pub(crate) fn may_run(&mut self, command: &Command<'_>) -> bool {
        let config = self.config();
        let Some(package) = config.package(command.module) else { return true };
        let Command { who, what, .. } = command;
        if self.options.allow_module_exec || is_listed(&config, command.module, package) {
            self.commands.insert(format!("{who} ({what}) of {}", package.source));
            return true;
        }
        self.diagnostics.push(
            Diagnostic::error("G0531", "A fetched module would run a command")
                .detail(format!("{who} of the module {} runs a command on this machine ({what}).", package.source))
                .help(format!(
                    "Read it first. Then add -allow-module-exec, or to the stack's spec: groma: {{allow_exec: [\"{}\"]}}",
                    package.source
                ))
                .at(command.span, "runs a command"),
        );
        false
    }

    /// Whether a block's arguments name files that its module may read. A refusal is reported.
    pub(super) fn may_read(
        &mut self,
        schema: &KindSchema,
        config: &Value,
        resource: &ResourceBlock,
        place: &Place,
    ) -> bool {
        let paths = schema.file_args.iter().filter_map(|name| Some((name, config.str_attr(name)?)));
        let refused =
            paths.filter_map(|(name, path)| Some((name, self.eval.permit(&place.module, path).err()?)));
        let faults: Vec<Diagnostic> = refused
            .map(|(name, why)| {
                let span = body::span_of(&resource.body, &AttrPath::root().attr(name));
                Diagnostic::error("G0534", "A fetched module would read a file of yours")
                    .detail(format!("{why}."))
                    .help("Let the stack read it, and give the module what it needs as a variable.")
                    .at(span, "outside of the package")
            })
            .collect();
        let may = faults.is_empty();
        self.diagnostics.extend(faults);
        may
    }

    /// Asks for the providers of fetched modules that get their credentials from a program, before one is configured.
    pub(crate) fn ask_for_providers(&mut self) {
        let config = self.config();
        let fetched = config.modules.values().filter(|m| m.package.is_some());
        for (module, block) in fetched.flat_map(|m| m.providers.iter().map(move |b| (m, b))) {
            if let Some(span) = exec_of(block) {
                let steps: String = module.path.iter().map(|name| format!("module.{name}.")).collect();
                let who = format!("{steps}provider.{}", block.name);
                self.may_run(&Command { module: &module.path, who, what: "exec", span });
            }
        }
    }

    /// What the plan tells of commands that were allowed.
    pub(crate) fn tell_commands(&mut self) {
        if self.commands.is_empty() {
            return;
        }
        let all: Vec<String> = self.commands.iter().cloned().collect();
        self.diagnostics.push(
            Diagnostic::warning("G0531", "Fetched modules run commands on this machine")
                .detail(format!("Allowed by you: {}.", all.join(", "))),
        );
    }
}

/// Whether the root's spec lists a module's source, as `groma.lock` names it or as a call writes it.
fn is_listed(config: &Config, path: &ModulePath, package: &Arc<Package>) -> bool {
    let written = |source: &str| config.root().allow_exec.iter().any(|allowed| **allowed == *source);
    // A module that its package calls by a local source stands under the call that fetched the package.
    let call = (1..=path.len()).rev().map(|n| &path[..n]).find(|p| config.packages.contains_key(*p));
    let call = call.and_then(<[_]>::split_last);
    let source = call.and_then(|(name, caller)| config.modules.get(caller)?.calls.get(name));
    written(&package.source) || source.is_some_and(|c| written(&c.source))
}

/// Where a provider's block names a program for credentials, as it is or made by a `dynamic` block.
fn exec_of(block: &ProviderBlock) -> Option<Span> {
    let entries = block.body.node.as_map().unwrap_or_default();
    let direct = entries.iter().find(|(key, _)| &*key.text == "exec");
    let mut dynamic = entries.iter().filter(|(key, _)| &*key.text == "dynamic");
    let made = dynamic.find_map(|(_, node)| {
        let nodes = node.as_seq().map_or_else(|| vec![node], |s| s.iter().collect());
        let mut keys = nodes.into_iter().filter_map(|n| n.as_map()).flatten().map(|(key, _)| key);
        keys.find(|key| &*key.text == "exec").map(|key| key.span)
    });
    direct.map(|(key, _)| key.span).or(made)
}
