//! Everything that a person or a machine reads comes from here. Renderers read events, plans, states and
//! diagnostics; they never call back into the engine.
//!
//! Invariant: text that the user did not write (API messages, attributes, names) passes [`text::clean`] or
//! [`text::quote`] before it reaches a terminal.

pub(crate) mod console;
pub(crate) mod diagnostics;
pub(crate) mod diff;
pub(crate) mod functions;
pub(crate) mod json;
pub(crate) mod output;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod providers;
pub(crate) mod saved;
pub(crate) mod state;
pub(crate) mod style;
pub(crate) mod text;
pub(crate) mod value;

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something could not be written to standard output.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes to standard output. A reader that has gone (`| head`) is no error of ours; a full disk is.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Whether a part of the output was lost, though somebody waits for it.
pub(crate) fn is_output_lost() -> bool {
    LOST.load(Ordering::Relaxed)
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
