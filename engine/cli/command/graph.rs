//! `groma graph`: what the spec declares and what refers to what, in DOT. It points from what waits to what it waits
//! for, as Terraform's does.

use super::spec::{self, Schemas};
use crate::args::Input;
use crate::exit::Exit;
use crate::render;
use crate::session::Session;
use groma_engine::config::Config;
use groma_engine::config::check::{Item, ItemId, dependencies};
use std::fmt::Write;

pub(crate) fn run(session: &Session, input: &Input) -> Result<Exit, Exit> {
    let stack = session.stack()?;
    let registry = session.offline().registry;
    let loaded = spec::load(session, &stack, &registry, input).of_any_kind();
    session.say(loaded.diagnostics.iter(), &loaded.sources);
    let Some(config) = loaded.config.filter(|_| !loaded.diagnostics.has_errors()) else {
        return Err(Exit::Error);
    };
    let graph = dependencies(&config, &Schemas(&registry));
    let mut out = String::from("digraph groma {\n  rankdir = \"RL\";\n  node [shape = \"box\"];\n");
    for id in graph.edges.keys() {
        let _ = writeln!(out, "  {};", quoted(&config, id));
    }
    for (from, edges) in &graph.edges {
        let mut targets: Vec<String> = edges.iter().map(|e| quoted(&config, &e.to)).collect();
        targets.sort();
        targets.dedup();
        for to in targets {
            let _ = writeln!(out, "  {} -> {to};", quoted(&config, from));
        }
    }
    out.push_str("}\n");
    render::print(&out);
    Ok(Exit::Done)
}

/// The address of an item as a DOT name.
fn quoted(config: &Config, id: &ItemId) -> String {
    let module: String = id.module.iter().map(|name| format!("module.{name}.")).collect();
    let item = match &id.item {
        Item::Variable(name) => format!("var.{name}"),
        Item::Local(name) => format!("local.{name}"),
        Item::Output(name) => format!("output.{name}"),
        Item::Call(name) => format!("module.{name}"),
        Item::Resource(block) => block.to_string(),
        Item::Provider(index) => {
            let block = config.modules.get(&id.module).and_then(|m| m.providers.get(*index));
            let name = block.map(|b| b.name.to_string()).unwrap_or_default();
            let alias = block.and_then(|b| b.alias.as_ref()).map(|a| format!(".{a}")).unwrap_or_default();
            format!("provider.{name}{alias}")
        }
    };
    render::text::quote(&format!("{module}{item}"))
}
