//! `groma validate`: the spec alone, without state, cloud or values of variables.

use super::spec;
use crate::args::ValidateArgs;
use crate::exit::Exit;
use crate::render::{self, diagnostics};
use crate::session::Session;
use groma_types::Severity;
use serde_json::json;

pub(crate) fn run(session: &Session, args: &ValidateArgs) -> Result<Exit, Exit> {
    let stack = session.stack()?;
    let loaded = spec::load(session, &stack, &session.offline().registry, &args.input);
    let exit = if loaded.is_sound() { Exit::Done } else { Exit::Error };
    let count = |severity| loaded.diagnostics.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if args.json {
        let found: Vec<_> =
            loaded.diagnostics.iter().map(|d| diagnostics::to_json(d, &loaded.sources)).collect();
        let json = json!({
            "format_version": "1.0", "valid": exit == Exit::Done,
            "error_count": errors, "warning_count": warnings, "diagnostics": found,
        });
        render::print(&format!("{json:#}\n"));
        return Ok(exit);
    }
    session.say(loaded.diagnostics.iter(), &loaded.sources);
    if exit == Exit::Done {
        let with = if warnings == 0 {
            String::new()
        } else {
            format!(", with {}", render::text::count(warnings, "warning"))
        };
        render::print(&format!("The spec is valid{with}.\n"));
    }
    Ok(exit)
}
