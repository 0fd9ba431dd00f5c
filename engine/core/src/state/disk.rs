//! The few things that the local backend does to a disk, each durable when it returns.
//!
//! All writes of the backend go through here, so that a test can stop the disk at any of them and look at what a
//! crash leaves. Files are 0600, folders 0700.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// A file that is open for writing.
#[derive(Debug)]
pub(crate) struct DiskFile(File);

impl DiskFile {
    /// Opens for reading and writing; makes the file if it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<DiskFile> {
        step()?;
        private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
            .open(path)
            .map(DiskFile)
    }

    /// Makes a new file; one that a crash left at this place goes. Never follows a symbolic link.
    fn create(path: &Path) -> io::Result<DiskFile> {
        step()?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        private(OpenOptions::new().write(true).create_new(true)).open(path).map(DiskFile)
    }

    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(offset))?;
        if let Err(error) = step() {
            // A disk that stops in the middle of a write leaves a part of it.
            self.0.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.0.write_all(bytes)
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        step()?;
        self.0.sync_data()
    }

    pub(crate) fn cut(&mut self, len: u64) -> io::Result<()> {
        step()?;
        self.0.set_len(len)?;
        self.0.sync_data()
    }

    pub(crate) fn into_file(self) -> File {
        self.0
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Reads a whole file; `None` if it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts a file in the place of another one, or of none: after a crash there is the old one or the new one, whole.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let mut file = DiskFile::create(Path::new(&temporary))?;
    file.write_at(0, bytes)?;
    file.sync()?;
    step()?;
    fs::rename(&temporary, path)?;
    sync_folder_of(path)
}

/// Makes a file unless it is there; says whether it was made by this call.
pub(crate) fn make(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    if path.try_exists()? {
        return Ok(false);
    }
    replace(path, bytes)?;
    Ok(true)
}

/// Makes a folder and those above it, private and durable.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    step()?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder_of(path)
}

/// Makes the entry of `path` in its folder durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    step()?;
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        File::open(parent)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "under test the disk can be told to stop here")]
fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
fn step() -> io::Result<()> {
    fault::step()
}

/// A disk that stops: from the n-th operation of this thread on, each one fails.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
        static DONE: Cell<u64> = const { Cell::new(0) };
    }

    /// Lets `operations` more succeed; `None`: all.
    pub(crate) fn stop_after(operations: Option<u64>) {
        LEFT.set(operations);
    }

    /// Operations of this thread so far.
    pub(crate) fn operations() -> u64 {
        DONE.get()
    }

    pub(super) fn step() -> io::Result<()> {
        DONE.set(DONE.get() + 1);
        match LEFT.get() {
            None => Ok(()),
            Some(0) => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
