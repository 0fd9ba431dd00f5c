//! One writer at a time: a lock of the operating system on a file, with words about its holder inside. The lock
//! vanishes with its process, so words without a lock are those of one that died.

use groma_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

/// Who holds a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub user: String,
    pub host: String,
    pub pid: u32,
    pub since: Timestamp,
    pub command: String,
}

#[derive(Serialize, Deserialize)]
struct OwnerDto {
    user: String,
    host: String,
    pid: u32,
    since: String,
    command: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Owner { user, host, pid, since, command } = self;
        write!(f, "{user} on {host} (process {pid}, `{command}`, since {})", time(*since))
    }
}

/// A moment as RFC 3339 has it.
pub(crate) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| format!("{} ms", at.0), |t| t.to_string())
}

/// How long to wait for a lock that another one holds, and how to wait.
pub struct Patience<'a> {
    pub timeout: Duration,
    /// Waits on the caller's clock.
    pub pause: &'a dyn Fn(Duration),
}

impl Patience<'_> {
    pub const NONE: Patience<'static> = Patience { timeout: Duration::ZERO, pause: &|_| {} };
}

/// How long to wait between two tries.
const RETRY: Duration = Duration::from_millis(500);

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// Why there is no lock.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another one holds it; what it says about itself.
    Held(Option<Owner>),
    Io(io::Error),
}

/// Takes the lock and leaves the owner's words in it. Returns the words of an owner that died, too.
pub(crate) fn take(
    path: &Path,
    owner: &Owner,
    patience: &Patience<'_>,
) -> Result<(Lock, Option<Owner>), LockError> {
    let mut file = super::disk::DiskFile::open(path).map_err(LockError::Io)?.into_file();
    let mut left = patience.timeout;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            Err(TryLockError::WouldBlock) if left.is_zero() => return Err(LockError::Held(words(&mut file))),
            Err(TryLockError::WouldBlock) => {
                let step = left.min(RETRY);
                (patience.pause)(step);
                left -= step;
            }
        }
    }
    let dead = words(&mut file);
    let mut lock = Lock { file };
    lock.write(owner).map_err(LockError::Io)?;
    Ok((lock, dead))
}

/// What the owner says about itself; `None` if it says nothing or nothing that is understood.
fn words(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    let dto: OwnerDto = serde_json::from_str(&text).ok()?;
    let since = dto.since.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    let OwnerDto { user, host, pid, command, .. } = dto;
    Some(Owner { user, host, pid, since: Timestamp(since), command })
}

impl Lock {
    fn write(&mut self, owner: &Owner) -> io::Result<()> {
        let Owner { user, host, pid, since, command } = owner.clone();
        let words = serde_json::to_string(&OwnerDto { user, host, pid, since: time(since), command })?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(words.as_bytes())
    }
}

impl Drop for Lock {
    /// Words that stay behind are those of a dead owner; the lock itself goes with the file's handle.
    fn drop(&mut self) {
        if let Err(error) = self.file.set_len(0) {
            // The next owner then reports a dead one: no harm.
            drop(error);
        }
    }
}
