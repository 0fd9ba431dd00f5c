//! `groma plan`.

use super::spec::{self, Loaded};
use crate::args::{PlanArgs, PlanFlags};
use crate::clock::WallClock;
use crate::exit::Exit;
use crate::render::plan::Around;
use crate::session::Session;
use crate::stack::Stack;
use crate::voice::Voice;
use groma_engine::facade::{self, PlanOptions, RefreshMode};
use groma_engine::state::State;
use groma_types::{Diagnostic, SourceMap};
use std::path::Path;
use std::sync::Arc;

pub(crate) async fn run(session: &Session, args: &PlanArgs) -> Result<Exit, Exit> {
    let voice = voice(session, args.flags.json);
    if let Some(out) = &args.out {
        return Err(not_built(session, &format!("-out={}", out.display()), "saved plans"));
    }
    let stack = session.stack()?;
    let offline = session.offline();
    let loaded = spec::load_with_inputs(session, &stack, &offline.registry, &args.flags.input);
    let options = options(session, &args.flags, args.flags.destroy, &loaded)?;
    let is_gone = args.flags.destroy && loaded.config.is_none();
    voice.say(loaded.diagnostics.iter(), &loaded.sources);
    if !loaded.is_sound() && !is_gone {
        return Err(Exit::Error);
    }
    let store = session.read_state(&stack)?;
    let state = store.state();
    respect_terraform(session, &stack, &args.flags, state)?;
    let cloud = session.cloud(&stack)?;
    voice.set_clock(&cloud.clock);
    let host = session.host(&cloud, voice.sink());
    let planned = facade::plan(loaded.config.clone(), &options, state, &host, &host.emitter()).await;
    let plan = planned.plan;
    voice.say(plan.diagnostics.iter(), &loaded.sources);
    if plan.diagnostics.has_errors() {
        return Err(Exit::Error);
    }
    voice.plan(&plan, Around::default());
    match args.flags.detailed_exitcode && !plan.is_empty() {
        true => Ok(Exit::Changes),
        false => Ok(Exit::Done),
    }
}

pub(crate) fn voice(session: &Session, json: bool) -> Voice {
    match json {
        true => Voice::machines(Arc::new(WallClock)),
        false => Voice::people(session.style, session.error_style),
    }
}

/// What the flags ask of the planner.
pub(crate) fn options(
    session: &Session,
    flags: &PlanFlags,
    destroy: bool,
    loaded: &Loaded,
) -> Result<PlanOptions, Exit> {
    let mut replace = Vec::new();
    for text in &flags.replace {
        replace.push(text.parse().map_err(|e: groma_types::address::AddressError| {
            session.refuse("G2023", "not an address", &e.to_string(), "write it as `groma state list` does")
        })?);
    }
    Ok(PlanOptions {
        destroy,
        refresh: if flags.refresh { RefreshMode::All } else { RefreshMode::None },
        refresh_only: flags.refresh_only,
        targets: flags.target.clone(),
        excludes: flags.exclude.clone(),
        replace,
        variables: loaded.variables.clone(),
    })
}

/// Stops where Terraform manages what this spec names and we know nothing of it.
pub(crate) fn respect_terraform(
    session: &Session,
    stack: &Stack,
    flags: &PlanFlags,
    state: &State,
) -> Result<(), Exit> {
    if session.global.sandbox || flags.ignore_terraform_state || !state.is_empty() {
        return Ok(());
    }
    let Some(count) = stack.terraform_resources() else { return Ok(()) };
    let why = format!("{count} resources are in Terraform's state beside the spec, and none in groma's");
    let help = "-ignore-terraform-state plans without them (taking them over is not built yet)";
    Err(session.refuse("G2024", "Terraform manages this stack", &why, help))
}

/// Says that something of the design is not there yet.
pub(crate) fn not_built(session: &Session, what: &str, name: &str) -> Exit {
    let diagnostic =
        Diagnostic::error("G2030", "not built yet").detail(format!("{what}: {name} are not built yet"));
    session.say([&diagnostic], &SourceMap::default());
    Exit::Error
}

pub(crate) fn show_saved(session: &Session, path: &Path, _json: bool) -> Result<Exit, Exit> {
    Err(not_built(session, &path.display().to_string(), "saved plans"))
}
