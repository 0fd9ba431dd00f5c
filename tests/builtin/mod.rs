//! The built-in small providers, used as a user does: a spec, then plan, apply, an empty plan, changes, destroy.

mod more;
mod small;
mod tls;

use crate::kit::{Outcome, Stack};
use serde_json::Value as Json;

pub(crate) const APPLY: &[&str] = &["apply", "-auto-approve"];
pub(crate) const DESTROY: &[&str] = &["destroy", "-auto-approve"];

impl Stack {
    /// Applies, and nothing is left to do.
    #[track_caller]
    fn settle(&self) -> Outcome {
        let applied = self.ok(APPLY);
        self.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
        applied
    }

    fn output(&self, name: &str) -> Json {
        let text = self.ok(&["output", "-json", name]).stdout;
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    fn text(&self, name: &str) -> String {
        self.output(name).as_str().unwrap_or_default().to_string()
    }
}
