//! `groma init`, `groma get`, `groma modules`: the modules that a stack fetches, and what they are pinned to.

use super::spec;
use crate::args::Input;
use crate::exit::Exit;
use crate::modules::{Used, usual_policy};
use crate::render;
use crate::session::Session;
use groma_modules::fetch::Policy;
use serde_json::json;

/// Fetches what is missing; with `upgrade` takes what the sources give now.
pub(crate) fn run(session: &Session, input: &Input, upgrade: bool) -> Result<Exit, Exit> {
    let policy = match upgrade {
        true => Policy::Upgrade,
        false => usual_policy(session),
    };
    let stack = session.stack()?;
    let loaded = spec::load_by(session, &stack, &session.offline().registry, input, policy).of_any_kind();
    session.say(loaded.diagnostics.iter(), &loaded.sources);
    let Some(config) = loaded.config.as_ref().filter(|_| !loaded.diagnostics.has_errors()) else {
        return Err(Exit::Error);
    };
    let local = config.modules.len() - 1 - loaded.used.len();
    let text = match (loaded.used.len(), local) {
        (0, 0) => {
            "There is nothing to do: providers are built in and the spec calls no modules.\n".to_string()
        }
        (0, 1) => "There is nothing to do: providers are built in and the module of this spec is local.\n"
            .to_string(),
        (0, n) => {
            format!(
                "There is nothing to do: providers are built in and the {n} modules of this spec are local.\n"
            )
        }
        _ => {
            let lines = loaded.used.iter().map(|(call, used)| line(&call.join("."), used));
            format!("The modules are there, pinned in groma.lock:\n{}", lines.collect::<String>())
        }
    };
    render::print(&text);
    Ok(Exit::Done)
}

fn line(call: &str, used: &Used) -> String {
    let entry = &used.entry;
    let commit = entry.commit.as_ref().map(|c| format!("commit {}", &c[..12]));
    let content = || format!("content {}", &entry.hash[..19]);
    let version = entry.version.as_ref().map(|v| format!("version {v}"));
    let what = version.or(commit).unwrap_or_else(content);
    format!("  {}\n", render::text::one_line(&format!("{call}: {}, {what}", used.key.source)))
}

/// All modules of the stack, in the shape of `terraform modules -json`.
pub(crate) fn list(session: &Session, input: &Input, as_json: bool) -> Result<Exit, Exit> {
    let stack = session.stack()?;
    let loaded = spec::load(session, &stack, &session.offline().registry, input).of_any_kind();
    session.say(loaded.diagnostics.iter(), &loaded.sources);
    let Some(config) = loaded.config.as_ref() else { return Err(Exit::Error) };
    let mut lines = String::new();
    let mut modules = Vec::new();
    for path in config.modules.keys() {
        let Some((name, caller)) = path.split_last() else { continue };
        let call = config.modules.get(caller).and_then(|m| m.calls.get(name));
        let source = call.map(|c| c.source.to_string()).unwrap_or_default();
        let used = loaded.used.get(path);
        let version = used.and_then(|u| u.entry.version.clone()).unwrap_or_default();
        lines += &match used {
            Some(used) => line(&path.join("."), used),
            None => format!("  {}\n", render::text::one_line(&format!("{}: {source}", path.join(".")))),
        };
        modules.push(json!({ "key": path.join("."), "source": source, "version": version }));
    }
    match as_json {
        true => render::print(&format!("{:#}\n", json!({ "format_version": "1.0", "modules": modules }))),
        false if lines.is_empty() => render::print("The spec calls no modules.\n"),
        false => render::print(&format!("Modules of this stack:\n{lines}")),
    }
    Ok(Exit::Done)
}
