//! Everything that a person or a machine reads comes from here. Renderers read events, plans, states and
//! diagnostics; they never call back into the engine.
//!
//! Invariant: text that the user did not write (API messages, attributes, names) passes [`text::clean`] or
//! [`text::quote`] before it reaches a terminal.

pub(crate) mod diagnostics;
pub(crate) mod json;
pub(crate) mod output;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod saved;
pub(crate) mod state;
pub(crate) mod style;
pub(crate) mod text;
pub(crate) mod value;

use std::io::Write;

/// Writes to standard output. A reader that has gone (`| head`) is no error of ours.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes to standard error.
pub(crate) fn print_error(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A line beside the output proper.
pub(crate) fn note_to_stderr(text: &str) {
    print_error(&format!("{text}\n"));
}
