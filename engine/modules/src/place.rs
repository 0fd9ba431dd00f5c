//! What a stack has of its modules: `groma.lock` beside the spec, and a link for each call to the package in the cache.
//!
//! The links give a fetched module a path that is the same on every machine (`path.module`), and keep the cache's own
//! paths out of the state.

use crate::lock::{self, Lock};
use crate::{Fault, fault_with_help};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Place {
    pub lock: PathBuf,
    /// The folder of the links.
    pub links: PathBuf,
}

fn bad_lock(path: &Path, why: &str) -> Fault {
    fault_with_help(
        "G0528",
        "groma.lock cannot be used",
        format!("{}: {}", path.display(), why.trim_end()),
        "Repair it from version control; where there is none, `groma init` writes it anew from what the sources give now.",
    )
}

impl Place {
    /// The lock; empty where there is none.
    ///
    /// # Errors
    /// The file can't be read, or is none.
    pub fn read(&self) -> Result<Lock, Fault> {
        match fs::read_to_string(&self.lock) {
            Ok(text) => lock::read(&text).map_err(|why| bad_lock(&self.lock, &why)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lock::new()),
            Err(error) => Err(bad_lock(&self.lock, &error.to_string())),
        }
    }

    /// Changes the lock as a whole: what another run wrote meanwhile is seen, and nobody sees half a file.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn change(&self, change: impl FnOnce(&mut Lock)) -> Result<(), Fault> {
        let failed = |e: io::Error| bad_lock(&self.lock, &e.to_string());
        let folder = self.lock.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let guard = fs::File::open(folder).map_err(failed)?;
        // A folder that can't be locked has nobody else who locks it.
        let _ = guard.lock();
        let before = self.read()?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        let mut file = tempfile::Builder::new().prefix(".groma.lock").tempfile_in(folder).map_err(failed)?;
        file.write_all(lock::write(&after).as_bytes()).map_err(failed)?;
        share(file.path()).map_err(failed)?;
        file.persist(&self.lock).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// The link of a call to its package.
    ///
    /// # Errors
    /// It can't be made.
    pub fn link(&self, call: &str, package: &Path) -> Result<PathBuf, Fault> {
        let at = self.links.join(call);
        let is_name = !call.starts_with('.') && !call.contains(['/', '\\']);
        let failed = |e: io::Error| {
            fault_with_help(
                "G0532",
                "The module cache cannot be used",
                format!("{} can't lead to the package in the cache: {e}.", at.display()),
                "See to the rights of the stack's folder.",
            )
        };
        if !is_name {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        let package = std::path::absolute(package).map_err(failed)?;
        if fs::read_link(&at).is_ok_and(|target| target == package) {
            return Ok(at);
        }
        fs::create_dir_all(&self.links).map_err(failed)?;
        let temporary = tempfile::tempdir_in(&self.links).map_err(failed)?;
        let new = temporary.path().join("link");
        make_link(&package, &new).map_err(failed)?;
        fs::rename(&new, &at).map_err(failed)?;
        Ok(at)
    }
}

/// The lock is the stack's, as its spec is: others may read it.
#[cfg(unix)]
fn share(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
fn share(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn make_link(target: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

#[cfg(windows)]
fn make_link(target: &Path, at: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(target, at)
}
