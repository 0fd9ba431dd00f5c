//! Where the files of a state are. A place that leads out of the stack's folder by a symbolic link is refused: groma
//! would write where nobody asked it to.

use super::disk;
use super::open::{OpenError, OpenErrorKind};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The folder with `snapshot`, `journal`, `head`, `lock`.
    state: PathBuf,
    /// The topmost folder that is groma's: it gets the `.gitignore`.
    root: PathBuf,
}

impl Place {
    /// `folder` is `.groma` or lies in it.
    pub(crate) fn new(folder: &Path) -> Result<Place, OpenError> {
        let root = folder.ancestors().filter(|a| a.file_name().is_some_and(|n| n == ".groma")).last();
        let root = root.unwrap_or(folder).to_path_buf();
        let place = Place { state: folder.join("state"), root };
        place.refuse_links().map(|()| place)
    }

    fn refuse_links(&self) -> Result<(), OpenError> {
        let refused = |path: &Path, target: &Path| {
            let message = format!("{} is a symbolic link to {}", path.display(), target.display());
            let help =
                "put the folder itself in its place, or remove the link: the state is never kept elsewhere";
            Err(OpenError::new(OpenErrorKind::Link, message, Some(help.into())))
        };
        let home = self.root.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folders = self.state.ancestors().take_while(|a| a.starts_with(&self.root));
        for folder in folders {
            if !is_link(folder) {
                continue;
            }
            let target = fs::canonicalize(folder).unwrap_or_default();
            let inside = fs::canonicalize(home).is_ok_and(|home| target.starts_with(home));
            if !inside {
                return refused(folder, &target);
            }
        }
        for file in [self.journal(), self.snapshot(), self.head(), self.lock(), self.gitignore()] {
            if is_link(&file) {
                return refused(&file, &fs::read_link(&file).unwrap_or_default());
            }
        }
        Ok(())
    }

    pub(crate) fn exists(&self) -> bool {
        self.state.is_dir()
    }
    pub(crate) fn folder(&self) -> &Path {
        &self.state
    }
    pub(crate) fn journal(&self) -> PathBuf {
        self.state.join("journal")
    }
    pub(crate) fn snapshot(&self) -> PathBuf {
        self.state.join("snapshot")
    }
    pub(crate) fn head(&self) -> PathBuf {
        self.state.join("head")
    }
    pub(crate) fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }
    pub(crate) fn gitignore(&self) -> PathBuf {
        self.root.join(".gitignore")
    }

    /// A file for torn bytes: one that is not there, or that holds the same already (a crash fell between).
    pub(crate) fn torn(&self, sequence: u64, bytes: &[u8]) -> io::Result<PathBuf> {
        let mut count = 0;
        loop {
            let path = self.state.join(format!("journal.torn-{sequence}-{count}"));
            match disk::read(&path)? {
                Some(there) if there != bytes => count += 1,
                _ => return Ok(path),
            }
        }
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_symlink())
}
