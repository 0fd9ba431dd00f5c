//! What opening a state takes, tells and fails with.

use super::file::{FORMAT, Lost, SealErrorKind};
use super::lock::{Owner, Patience};
use super::place::Place;
use super::recovery::Damage;
use super::seal::{KeySource, SealError};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Under the lock.
    Write,
    /// Writes nothing and needs no lock.
    ReadOnly,
}

pub struct OpenOptions<'a> {
    /// `.groma`, or the folder in it that belongs to this stack and workspace; need not exist.
    pub folder: PathBuf,
    /// Identifies the stack: a state that records another one is refused.
    pub stack_id: String,
    pub key: KeySource,
    pub mode: Mode,
    /// What others are told while this run holds the lock.
    pub owner: Owner,
    pub patience: Patience<'a>,
}

/// What was found when the state was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// There is no state yet.
    pub is_new: bool,
    /// Good records that a crash kept from being acknowledged.
    pub taken: u64,
    /// The rest of a write that was cut off.
    pub torn: Option<Torn>,
    /// Who held the lock and died.
    pub dead_owner: Option<Owner>,
    /// Sealed values that don't open; they are null in the state.
    pub lost: Vec<Lost>,
    /// Rules of a valid state that this one breaks.
    pub broken: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    pub bytes: u64,
    /// Where they were put; a reader leaves them where they are.
    pub file: Option<PathBuf>,
}

impl OpenReport {
    /// What the user should know, a line each; nothing if all was as it should be.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(owner) = &self.dead_owner {
            lines.push(format!("the last run did not end by itself: {owner}"));
        }
        if let Some(Torn { bytes, file }) = &self.torn {
            lines.push(match file {
                Some(file) => format!(
                    "the last write to the state was cut off: {bytes} bytes set aside in {}",
                    file.display()
                ),
                None => format!(
                    "the last write to the state is not whole (cut off, or going on now): {bytes} bytes not read"
                ),
            });
        }
        let count = |kind: SealErrorKind| self.lost.iter().filter(|l| l.why == kind).count();
        let places: BTreeSet<&str> = self.lost.iter().map(|l| l.scope.as_str()).collect();
        let places = places.into_iter().collect::<Vec<_>>().join(", ");
        for (kind, why) in [
            (SealErrorKind::KeyMissing, "their key is not here"),
            (SealErrorKind::Damaged, "they are damaged"),
        ] {
            let lost = count(kind);
            if lost > 0 {
                lines.push(format!(
                    "{lost} sensitive values are lost, {why} (in {places}); they read as null"
                ));
            }
        }
        lines.extend(self.broken.iter().map(|rule| format!("the state breaks {rule}")));
        lines
    }
}

/// Why a state can't be opened. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    pub kind: OpenErrorKind,
    pub message: String,
    pub help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenErrorKind {
    /// Another run holds the lock.
    Held,
    /// The files are damaged, or some are missing.
    Damaged,
    /// The state belongs to another stack.
    OtherStack,
    /// A later version of groma is needed.
    TooNew,
    /// A symbolic link leads out of the stack.
    Link,
    /// The key file can't be used.
    Key,
    Io,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for OpenError {}

impl OpenError {
    pub(crate) fn new(kind: OpenErrorKind, message: String, help: Option<String>) -> OpenError {
        OpenError { kind, message, help }
    }

    pub(crate) fn io(verb: &str, path: &Path, error: &io::Error) -> OpenError {
        let help = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Some("give this user the right to write there; reading commands work without it".into())
            }
            _ => None,
        };
        OpenError::new(OpenErrorKind::Io, format!("{} can't be {verb}: {error}", path.display()), help)
    }

    pub(crate) fn key(error: &SealError) -> OpenError {
        let help = "give the key file back, or move it away: sensitive values are then lost, all else stays";
        OpenError::new(OpenErrorKind::Key, error.to_string(), Some(help.into()))
    }

    pub(crate) fn held(place: &Place, holder: Option<&Owner>) -> OpenError {
        let holder = holder.map_or_else(|| "another run".into(), ToString::to_string);
        let message = format!("the state in {} is in use by {holder}", place.folder().display());
        let help = "wait for that run to end (`-lock-timeout=5m` waits for you), or end it";
        OpenError::new(OpenErrorKind::Held, message, Some(help.into()))
    }

    pub(crate) fn other_stack(place: &Place, theirs: &str, ours: &str) -> OpenError {
        let message = format!(
            "the state in {} belongs to the stack {theirs}, and this one is {ours}",
            place.folder().display()
        );
        let help = "run groma where that stack is, or move the state to it; a state serves one stack";
        OpenError::new(OpenErrorKind::OtherStack, message, Some(help.into()))
    }

    pub(crate) fn too_new(path: &Path, format: u32, verb: &str) -> OpenError {
        let message = format!(
            "{} can only be {verb} by a version of groma that knows format {format}; this one knows format {FORMAT}",
            path.display()
        );
        OpenError::new(OpenErrorKind::TooNew, message, Some("use the newer version of groma".into()))
    }

    pub(crate) fn damage(place: &Place, damage: &Damage) -> OpenError {
        let path = |file: &str| place.folder().join(file);
        match damage {
            Damage::TooNew(file, format) => OpenError::too_new(&path(file), *format, "read"),
            Damage::File(file, why) => {
                OpenError::damaged(format!("{} is damaged: {why}", path(file).display()))
            }
            Damage::Form(error) => OpenError::damaged(format!("{}: {error}", place.folder().display())),
        }
    }

    fn damaged(message: String) -> OpenError {
        let help = "nothing was changed; `groma state repair` shows what can be kept and asks which";
        OpenError::new(OpenErrorKind::Damaged, message, Some(help.into()))
    }
}
