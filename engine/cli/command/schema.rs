//! `groma schema`: the spec's form as JSON Schema. `groma providers`: which providers a stack needs, and their schemas.

use super::spec;
use crate::args::{ProvidersArgs, ProvidersCommand};
use crate::exit::Exit;
use crate::render;
use crate::render::providers as render_providers;
use crate::session::Session;
use groma_engine::config::{Config, Module, ModulePath, json_schema, targets};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) fn run(session: &Session) -> Exit {
    let registry = session.offline().registry;
    let schema = json_schema::json_schema(registry.providers.values().map(|p| p.schema()));
    render::print(&format!("{schema:#}\n"));
    Exit::Done
}

pub(crate) fn providers(session: &Session, args: &ProvidersArgs) -> Result<Exit, Exit> {
    let stack = session.stack()?;
    let registry = session.offline().registry;
    let input = match &args.command {
        Some(ProvidersCommand::Schema { input, .. }) => input,
        None => &args.input,
    };
    let config = sound(session, &spec::load(session, &stack, &registry, input).of_any_kind())?;
    let used = used(&config);
    if args.command.is_some() {
        let names: BTreeSet<&Arc<str>> = used.values().flat_map(BTreeMap::keys).collect();
        let found = names.into_iter().filter_map(|n| registry.providers.get(n)).map(|p| p.schema());
        render::print(&format!("{}\n", render_providers::schemas(found)));
        return Ok(Exit::Done);
    }
    let store = session.read_state(&stack)?;
    let in_state: BTreeSet<Arc<str>> =
        store.state().objects.values().map(|o| o.provider.name.clone()).collect();
    let source = |name: &str| {
        registry.providers.get(name).map_or_else(|| name.into(), |p| render_providers::source(p.schema()))
    };
    render::print(&render_providers::tree(&used, &in_state, &source));
    Ok(Exit::Done)
}

fn sound(session: &Session, loaded: &spec::Loaded) -> Result<Arc<Config>, Exit> {
    session.say(loaded.diagnostics.iter(), &loaded.sources);
    loaded.config.clone().filter(|_| loaded.is_sound()).ok_or(Exit::Error)
}

/// Providers by module, each with the version that is asked for.
fn used(config: &Config) -> BTreeMap<ModulePath, BTreeMap<Arc<str>, Option<Arc<str>>>> {
    config.modules.iter().map(|(path, module)| (path.clone(), of_module(config, module))).collect()
}

fn of_module(config: &Config, module: &Module) -> BTreeMap<Arc<str>, Option<Arc<str>>> {
    let blocks = module.resources.values().map(|r| &r.provider.name);
    let locals =
        blocks.chain(module.providers.iter().map(|p| &p.name)).chain(module.required_providers.keys());
    let version = |name: &str| module.required_providers.get(name).and_then(|r| r.version.clone());
    locals.map(|name| (targets::provider_name(config, &module.path, name), version(name))).collect()
}
