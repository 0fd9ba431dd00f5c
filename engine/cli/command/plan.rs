//! `groma plan`.

use super::spec::{self, Loaded};
use super::{draft, saved};
use crate::args::{PlanArgs, PlanFlags};
use crate::clock::WallClock;
use crate::exit::Exit;
use crate::render::plan::Around;
use crate::session::Session;
use crate::stack::Stack;
use crate::voice::Voice;
use groma_engine::facade::{self, PlanOptions, RefreshMode};
use groma_engine::plan::file::RecordingFiles;
use groma_engine::state::State;
use std::sync::Arc;

pub(crate) async fn run(session: &Session, args: &PlanArgs) -> Result<Exit, Exit> {
    let voice = voice(session, args.flags.json);
    let out = args.out.as_deref().map(|out| saved::target(session, out)).transpose()?;
    let stack = session.stack()?;
    let drafts =
        args.generate_config_out.as_deref().map(|file| draft::target(session, &stack, file)).transpose()?;
    let offline = session.offline();
    let mut loaded = spec::load_with_inputs(session, &stack, &offline.registry, &args.flags.input);
    let options = options(session, &args.flags, args.flags.destroy, &loaded)?;
    let is_gone = args.flags.destroy && loaded.config.is_none();
    voice.say(loaded.diagnostics.iter(), &loaded.sources);
    if !loaded.is_sound() && !is_gone {
        return Err(Exit::Error);
    }
    spec::respect_backend(session, &loaded)?;
    let mut store = session.read_state(&stack)?;
    respect_terraform(session, &stack, &args.flags, store.state())?;
    let cloud = session.cloud(&stack)?;
    voice.set_clock(&cloud.clock);
    let mut host = session.host(&cloud, voice.sink());
    if let Some(file) = &drafts {
        let drafted = draft::drafted(session, &loaded, &options, (store.state(), &host)).await?;
        if !drafted.is_empty() {
            draft::write(session, file, &drafted)?;
            voice.remark(&format!("{} is written: review it.\n", file.shown));
            loaded = spec::load_with_inputs(session, &stack, &offline.registry, &args.flags.input);
            voice.say(loaded.diagnostics.iter(), &loaded.sources);
            if !loaded.is_sound() {
                return Err(Exit::Error);
            }
        }
    }
    let recorded = RecordingFiles::new(host.files.clone());
    host.files = recorded.clone();
    let emitter = host.emitter();
    let planning = facade::plan(loaded.config.clone(), &options, store.state(), &host, &emitter);
    let planned = session.unless_stopped(planning).await?;
    let plan = &planned.plan;
    voice.say(plan.diagnostics.iter(), &loaded.sources);
    if plan.diagnostics.has_errors() {
        return Err(Exit::Error);
    }
    voice.plan(plan, Around::default());
    if let Some(out) = &out {
        saved::write(session, &stack, &planned, &recorded, &mut store, out)?;
        voice.key_made(&store);
        let shown = args.out.as_deref().unwrap_or(out).display();
        voice.remark(&format!("\nThe plan is saved. To do exactly this:\n    groma apply {shown}"));
    }
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
        imports: std::collections::BTreeMap::new(),
        draft_imports: false,
        allow_module_exec: flags.allow_module_exec,
        allow_recipe_exec: flags.allow_recipe_exec,
        strict: session.global.strict,
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
