//! `groma convert`: YAML from native syntax and from Terraform's JSON. All files, or none.

use crate::args::ConvertArgs;
use crate::exit::Exit;
use crate::files;
use crate::render;
use crate::session::Session;
use groma_engine::config::convert::{From, convert, target};
use groma_engine::config::load::{DiskFiles, FileReader};
use groma_types::{Diagnostic, Diagnostics, SourceMap};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file that is converted, before anything is written.
struct Job {
    old: PathBuf,
    new: PathBuf,
    text: String,
}

pub(crate) fn run(session: &Session, args: &ConvertArgs) -> Result<Exit, Exit> {
    let stack = session.stack()?;
    let mut sources = SourceMap::default();
    let mut told = Diagnostics::new();
    let out = args.out.as_deref().map(|dir| session.at(dir));
    let dir = out.as_deref().unwrap_or(&stack.root);
    let mut jobs = Vec::new();
    for (from, old, new) in found(session, &stack.path)? {
        let name = old.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let text = match DiskFiles.read(&old) {
            Ok(text) => text,
            Err(error) => {
                told.push(
                    Diagnostic::error("G0514", "A file cannot be read").detail(format!("{name}: {error}.")),
                );
                continue;
            }
        };
        let source = sources.add(name, text.as_str());
        match convert(from, source, &text) {
            Ok(text) => jobs.push(Job { old, new: dir.join(new), text }),
            Err(faults) => told.extend(faults),
        }
    }
    told.extend(taken(&jobs, out.is_some()));
    session.say(told.iter(), &sources);
    if told.has_errors() {
        return Err(Exit::Error);
    }
    write(session, &jobs, out.as_deref())?;
    render::print(&summary(&jobs, out.is_some()));
    Ok(Exit::Done)
}

/// The files to convert: the one that is named, or all of the folder.
fn found(session: &Session, path: &Path) -> Result<Vec<(From, PathBuf, String)>, Exit> {
    let nothing = |why: String| {
        let help = "convert reads *.tf and *.tf.json; files of variable values stay as they are";
        session.refuse("G0511", "No spec in the folder", &why, help)
    };
    let (dir, mut names) = if path.is_dir() {
        let names = DiskFiles.list(path).map_err(|error| nothing(format!("{}: {error}.", path.display())))?;
        (path, names)
    } else {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        (path.parent().unwrap_or(Path::new("")), vec![name])
    };
    names.sort();
    let job = |name: &String| target(name).map(|(from, new)| (from, dir.join(name), new));
    let jobs: Vec<_> = names.iter().filter_map(job).collect();
    if jobs.is_empty() {
        return Err(nothing(format!("There is nothing to convert at {}.", path.display())));
    }
    Ok(jobs)
}

/// Names that are in use already.
fn taken(jobs: &[Job], keeps_old: bool) -> Diagnostics {
    let mut found = Diagnostics::new();
    let mut names = BTreeSet::new();
    for job in jobs {
        let twice = !names.insert(&job.new);
        let new = (twice || job.new.exists()).then(|| job.new.clone());
        let old = (!keeps_old).then(|| backup(&job.old)).filter(|bak| bak.exists());
        for path in new.into_iter().chain(old) {
            found.push(
                Diagnostic::error("G0541", "A file of this name is there")
                    .detail(format!("{} would be overwritten; nothing was converted.", path.display()))
                    .help("Move it away, or name another folder: groma convert -out=DIR"),
            );
        }
    }
    found
}

fn backup(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".bak");
    name.into()
}

/// Writes all new files before the first old one is renamed: what is broken off leaves a spec in two syntaxes, which is
/// an error, and never none.
fn write(session: &Session, jobs: &[Job], out: Option<&Path>) -> Result<(), Exit> {
    let failed = |path: &Path, error: std::io::Error| {
        let why = format!("{}: {error}", path.display());
        session.refuse("G0541", "a converted file can't be written", &why, "look at the folder's permissions")
    };
    if let Some(dir) = out {
        files::make_dir(dir).map_err(|error| failed(dir, error))?;
    }
    for job in jobs {
        files::write_new(&job.new, &job.text).map_err(|error| failed(&job.new, error))?;
    }
    for job in jobs.iter().filter(|_| out.is_none()) {
        files::rename(&job.old, &backup(&job.old)).map_err(|error| failed(&job.old, error))?;
    }
    Ok(())
}

fn summary(jobs: &[Job], keeps_old: bool) -> String {
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut text = String::new();
    for job in jobs {
        let (old, new) =
            (name(&job.old), if keeps_old { job.new.display().to_string() } else { name(&job.new) });
        let kept = if keeps_old { String::new() } else { format!(", the old one is {old}.bak") };
        text.push_str(&format!("{old} -> {new}{kept}\n"));
    }
    text
}
