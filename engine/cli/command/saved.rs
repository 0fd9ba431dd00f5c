//! Saved plans: `plan -out`, and the commands that take such a file.
//!
//! Invariant: an apply of a saved plan reads the plan's file and the state, and nothing of the spec's folder.

use super::apply::{Run, gates, patience};
use super::plan::voice;
use super::spec;
use crate::args::{ApplyArgs, Input, VarArg};
use crate::exit::Exit;
use crate::files;
use crate::render::plan::Around;
use crate::render::style::Style;
use crate::render::{self, plan as plans, saved as json};
use crate::session::Session;
use crate::stack::{Stack, is_named_like_spec};
use groma_engine::config::Config;
use groma_engine::facade::Planned;
use groma_engine::plan::file::{self, Origin, RecordingFiles, SavedPlan, SavedPlanError, Shown};
use groma_engine::state::local::LocalStore;
use groma_types::{SourceMap, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SANDBOX: &str = "sandbox";
const CLOUD: &str = "cloud";

// ---- plan -out -----------------------------------------------------------------------------------------------------

/// Where a plan is to be saved. Looked at before any work is done.
pub(crate) fn target(session: &Session, out: &Path) -> Result<PathBuf, Exit> {
    let path = session.at(out);
    let shown = render::text::quote(&out.display().to_string());
    let refuse =
        |why: String| session.refuse("G2050", "the plan can't be saved there", &why, "name another file");
    if is_named_like_spec(&path) {
        return Err(refuse(format!("{shown} is named like a file of a spec, and would be read as one")));
    }
    match files::read(&path) {
        Ok(None) => Ok(path),
        Ok(Some(bytes)) if bytes.is_empty() || file::is_plan(&bytes) => Ok(path),
        Ok(Some(_)) => Err(refuse(format!("{shown} is there and is no saved plan"))),
        Err(error) => Err(refuse(format!("{shown} can't be looked at: {error}"))),
    }
}

/// Writes a plan, and tells of a key that was made for it.
pub(crate) fn write(
    session: &Session,
    stack: &Stack,
    planned: &Planned,
    recorded: &RecordingFiles,
    store: &mut LocalStore,
    path: &Path,
) -> Result<(), Exit> {
    let failed =
        |why: String| session.refuse("G2050", "the plan can't be saved there", &why, "name another file");
    let origin = Origin {
        path: stack.path.canonicalize().unwrap_or_else(|_| stack.path.clone()),
        is_file: stack.is_file(),
        workspace: stack.workspace.clone(),
        mode: mode(session).into(),
    };
    let shown = Shown {
        text: plans::render(&planned.plan, Style::PLAIN, Around { quiet: true }),
        json: json::plan_json(&planned.plan, &planned.planner.options.variables).to_string(),
    };
    let bytes =
        file::save(planned, &origin, &shown, recorded, store.keys()).map_err(|e| failed(e.to_string()))?;
    files::write_private(path, &bytes).map_err(|e| failed(format!("{}: {e}", path.display())))
}

fn mode(session: &Session) -> &'static str {
    if session.global.sandbox { SANDBOX } else { CLOUD }
}

// ---- show FILE -----------------------------------------------------------------------------------------------------

pub(crate) fn show(session: &Session, path: &Path, json: bool) -> Result<Exit, Exit> {
    let (_, shown) = file::look(&read(session, path)?).map_err(|e| unusable(session, path, &e))?;
    render::print(&if json { format!("{}\n", shown.json) } else { shown.text });
    Ok(Exit::Done)
}

fn read(session: &Session, path: &Path) -> Result<Vec<u8>, Exit> {
    let why = match files::read(path) {
        Ok(Some(bytes)) => return Ok(bytes),
        Ok(None) => "it is not there".to_string(),
        Err(error) => error.to_string(),
    };
    Err(unusable(session, path, &SavedPlanError::NotAPlan(why)))
}

fn unusable(session: &Session, path: &Path, error: &SavedPlanError) -> Exit {
    let why = format!("{}: {error}", render::text::quote(&path.display().to_string()));
    let help = match error {
        SavedPlanError::NotAPlan(_) => "give a stack's folder, a spec file, or what `groma plan -out` wrote",
        SavedPlanError::Stale(_) | SavedPlanError::Differs(_) => "plan again",
    };
    session.refuse("G2051", "the saved plan can't be used", &why, help)
}

// ---- apply FILE ----------------------------------------------------------------------------------------------------

pub(crate) async fn apply(
    session: &Session,
    args: &ApplyArgs,
    destroy: bool,
    path: &Path,
) -> Result<Exit, Exit> {
    let bytes = read(session, path)?;
    let (origin, _) = file::look(&bytes).map_err(|e| unusable(session, path, &e))?;
    no_second_say(session, args, destroy, &origin)?;
    let voice = voice(session, args.flags.json);
    let stack = Stack::at(&origin.path, origin.is_file, session.global.sandbox, &origin.workspace);
    let patience = patience(session, &args.flags.lock_timeout)?;
    let mut store = session.write_state(&stack, patience)?;
    let saved = file::open(&bytes, store.keys()).map_err(|e| unusable(session, path, &e))?;
    let config = Arc::new(saved.config().map_err(|e| unusable(session, path, &e))?);
    let mut sources = config.sources.clone();
    let (given, faults) = ephemeral(session, &args.flags.input, &config, &mut sources)?;
    voice.say(faults.iter(), &sources);
    if faults.has_errors() {
        return Err(Exit::Error);
    }
    let cloud = session.cloud(&stack)?;
    voice.set_clock(&cloud.clock);
    let host = session.host(&cloud, voice.sink());
    let options = saved.options(&given);
    let run = Run {
        session,
        args,
        voice: &voice,
        sources: &sources,
        emitter: host.emitter(),
        host: &host,
        spec: Some(config.clone()),
        options: &options,
    };
    run.settle(&mut store).await?;
    let planned = replan(session, path, &run, &saved, &store, &given).await?;
    gates(session, args, &planned.plan)?;
    run.apply(planned, store).await
}

async fn replan(
    session: &Session,
    path: &Path,
    run: &Run<'_>,
    saved: &SavedPlan,
    store: &LocalStore,
    given: &BTreeMap<Arc<str>, Value>,
) -> Result<Planned, Exit> {
    let planned = saved.replan(store.state(), given, run.host, &run.emitter).await;
    let planned = planned.map_err(|e| unusable(session, path, &e))?;
    run.voice.say(planned.plan.diagnostics.iter(), run.sources);
    match planned.plan.diagnostics.has_errors() {
        true => Err(Exit::Error),
        false => Ok(planned),
    }
}

/// A saved plan has its options in itself.
fn no_second_say(session: &Session, args: &ApplyArgs, destroy: bool, origin: &Origin) -> Result<(), Exit> {
    let refuse = |why: String, help: &str| {
        Err(session.refuse("G2052", "a saved plan is applied as it is", &why, help))
    };
    let flags = &args.flags;
    let asked = [
        ("destroy", destroy),
        ("-target", !flags.target.is_empty()),
        ("-exclude", !flags.exclude.is_empty()),
        ("-replace", !flags.replace.is_empty()),
        ("-refresh-only", flags.refresh_only),
        ("-stack", session.global.stack.is_some()),
    ];
    if let Some((flag, _)) = asked.iter().find(|(_, is_set)| *is_set) {
        return refuse(format!("{flag} asks for another plan"), "say it to `groma plan -out`");
    }
    if origin.mode != mode(session) {
        let help = if origin.mode == SANDBOX { "add --sandbox" } else { "leave --sandbox out" };
        return refuse(format!("it was made for the {}", origin.mode), help);
    }
    Ok(())
}

/// Values of ephemeral variables, which no plan holds. All others come from the plan, and giving one is an error.
fn ephemeral(
    session: &Session,
    input: &Input,
    config: &Config,
    sources: &mut SourceMap,
) -> Result<(BTreeMap<Arc<str>, Value>, groma_types::Diagnostics), Exit> {
    let mut bare = config.clone();
    for module in bare.modules.values_mut() {
        module.variables.retain(|_, v| v.ephemeral);
    }
    let wanted = &bare.root().variables;
    let known = |arg: &VarArg| match arg {
        VarArg::Assign(text) => wanted.contains_key(text.split('=').next().unwrap_or(text).trim()),
        VarArg::File(_) => !wanted.is_empty(),
    };
    if let Some(arg) = input.ordered.iter().find(|a| !known(a)) {
        let (VarArg::Assign(text) | VarArg::File(text)) = arg;
        let name = render::text::quote(text.split('=').next().unwrap_or(text));
        let why = format!("{name} would give a value to a variable that has one in the plan");
        return Err(session.refuse(
            "G2052",
            "a saved plan is applied as it is",
            &why,
            "plan again with that value",
        ));
    }
    if wanted.is_empty() {
        return Ok(Default::default());
    }
    Ok(spec::values(session, input, bare.root(), sources))
}
