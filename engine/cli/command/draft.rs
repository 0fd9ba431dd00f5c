//! `plan -generate-config-out=FILE`: blocks for imports that have none, in a new file of the stack.

use super::spec::Loaded;
use crate::exit::Exit;
use crate::files;
use crate::session::Session;
use crate::stack::Stack;
use groma_engine::config::draft::{self, Draft, Syntax};
use groma_engine::event::NoSink;
use groma_engine::facade::{self, Host, PlanOptions};
use groma_engine::state::State;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that takes the blocks.
pub(crate) struct Target {
    path: PathBuf,
    /// As the user wrote it.
    pub(crate) shown: String,
    syntax: Syntax,
}

/// Judges the file's name. It must be a file that the stack reads, since the plan goes on with what is in it.
pub(crate) fn target(session: &Session, stack: &Stack, file: &Path) -> Result<Target, Exit> {
    let shown = file.display().to_string();
    let path = session.at(file);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let ends = |end: &str| name.ends_with(end);
    let syntax = match () {
        () if ends(".tf.json") => Some(Syntax::Json),
        () if ends(".tf") => Some(Syntax::Native),
        () if ends(".vars.yaml") || ends(".test.yaml") => None,
        () if ends(".yaml") || ends(".yml") => Some(Syntax::Yaml),
        () => None,
    };
    let real = |dir: &Path| dir.canonicalize().ok();
    let is_inside = path.parent().and_then(real).is_some_and(|dir| Some(dir) == real(&stack.root));
    let (why, help) = match syntax {
        Some(_) if path.exists() => (format!("{shown} is there already"), "name a new file"),
        Some(_) if !stack.path.is_dir() => (
            format!("{} is one file, and the stack has no other", stack.path.display()),
            "name the stack by its folder",
        ),
        Some(_) if !is_inside => (
            format!("{shown} is not in the stack's folder"),
            "name a file in it: the plan goes on with what is written",
        ),
        Some(syntax) if !name.starts_with('.') => return Ok(Target { path, shown, syntax }),
        _ => (format!("{shown} is no file of a spec"), "end its name with .yaml, .tf or .tf.json"),
    };
    Err(session.refuse("G2053", "blocks can't be generated there", &why, help))
}

/// The blocks that are missing.
pub(crate) async fn drafted(
    session: &Session,
    loaded: &Loaded,
    options: &PlanOptions,
    (state, host): (&State, &Host),
) -> Result<Vec<Draft>, Exit> {
    let options = PlanOptions { draft_imports: true, ..options.clone() };
    // What this plan tells of on its way is told by the one that follows.
    let host = Host { events: Arc::new(NoSink), ..host.clone() };
    let emitter = host.emitter();
    let planning = facade::plan(loaded.config.clone(), &options, state, &host, &emitter);
    let planned = session.unless_stopped(planning).await?;
    let faults = &planned.plan.diagnostics;
    if faults.has_errors() {
        session.say(faults.iter().filter(|d| d.is_error()), &loaded.sources);
        return Err(Exit::Error);
    }
    Ok(planned.planner.drafts)
}

pub(crate) fn write(session: &Session, target: &Target, drafts: &[Draft]) -> Result<(), Exit> {
    let failed = |why: String| {
        session.refuse(
            "G2053",
            "blocks can't be generated there",
            &why,
            "name a file in another syntax or of another name",
        )
    };
    let text = draft::write(target.syntax, drafts).map_err(|faults| {
        failed(faults.iter().map(|d| d.detail.to_string()).collect::<Vec<_>>().join(" "))
    })?;
    files::write_new(&target.path, &text).map_err(|error| failed(format!("{}: {error}", target.shown)))
}
