//! Writing files: whole, with their permissions from the first byte on.

use groma_provider::{ErrorKind, ProviderError};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An octal mode such as `0644`; `None`: not one.
pub(crate) fn mode(text: &str) -> Option<u32> {
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    is_octal.then(|| u32::from_str_radix(text, 8).ok()).flatten().filter(|m| *m <= 0o777)
}

/// Puts `bytes` at `path`, with folders where they are missing. The modes are cut by the process's umask.
pub(crate) fn whole(
    path: &Path,
    bytes: &[u8],
    file_mode: u32,
    folder_mode: u32,
) -> Result<(), ProviderError> {
    let failed = |e: io::Error| failure("written", path, &e);
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        folders(parent, folder_mode).map_err(failed)?;
    }
    // A link stays one: what it points at is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if target.is_dir() {
        return Err(failure("written", path, &io::Error::other("it is a folder")));
    }
    let mut name = target.as_os_str().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let temporary = PathBuf::from(name);
    let written = fill(&temporary, bytes, file_mode).and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        // What failed is told; that its rest can't be removed either adds nothing.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed)
}

fn fill(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    // The rest of a run that was cut off would keep its own mode.
    let _ = fs::remove_file(path);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn folders(path: &Path, mode: u32) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    #[cfg(not(unix))]
    let _ = mode;
    builder.create(path)
}

/// A whole file; `None`: there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, ProviderError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failure("read", path, &e)),
    }
}

/// Removes a file; one that is gone is success.
pub(crate) fn remove(path: &Path) -> Result<(), ProviderError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failure("removed", path, &e)),
        _ => Ok(()),
    }
}

fn failure(what: &str, path: &Path, error: &io::Error) -> ProviderError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Invalid,
    };
    ProviderError::new(kind, format!("{} can't be {what}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_three_or_four_octal_digits() {
        assert_eq!([mode("0644"), mode("755"), mode("0777")], [Some(0o644), Some(0o755), Some(0o777)]);
        assert_eq!([mode("0888"), mode("7"), mode("1777"), mode("rw-")], [None; 4]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_no_half_file_is_left() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("a/real"), dir.path().join("link"));
        whole(&real, b"one", 0o600, 0o700).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        whole(&link, b"two", 0o600, 0o700).unwrap();
        assert!(link.is_symlink());
        assert_eq!(read(&real).unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(whole(&dir.path().join("a"), b"x", 0o600, 0o700).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        remove(&real).unwrap();
        remove(&real).unwrap();
        assert!(read(&real).unwrap().is_none());
    }
}
