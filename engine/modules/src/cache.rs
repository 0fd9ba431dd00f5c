//! The cache: packages by the digest of their content, in the user's cache folder.
//!
//! ```text
//! modules/HEX        a package, whole
//! known/HEX          what a commit of a repository has as its content, so that it is not fetched twice
//! tmp/…              what is being fetched
//! ```
//!
//! Invariant: a folder of `modules` came there by one rename, and has the content that its name says when it is used:
//! one that was changed since is put away and fetched anew.

use crate::{Fault, fault_with_help, sha256, tree};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

fn unusable(path: &Path, error: &io::Error) -> Fault {
    fault_with_help(
        "G0532",
        "The module cache cannot be used",
        format!("{}: {error}.", path.display()),
        "See to the folder's rights and free space, or name another one in GROMA_CACHE_DIR.",
    )
}

impl Cache {
    pub fn new(root: PathBuf) -> Cache {
        Cache { root }
    }

    fn at(&self, hash: &str) -> PathBuf {
        self.root.join("modules").join(hash.trim_start_matches("sha256:"))
    }

    /// Whether a package is there, sound or not.
    pub(crate) fn has(&self, hash: &str) -> bool {
        self.at(hash).is_dir()
    }

    /// The folder of a package, if it is there and sound.
    pub(crate) fn find(&self, hash: &str) -> Option<PathBuf> {
        let dir = self.at(hash);
        match tree::hash(&dir) {
            Ok(found) if found == hash => Some(dir),
            Ok(_) => {
                self.put_away(&dir);
                None
            }
            Err(_) => None,
        }
    }

    /// Takes a damaged package out of the way. Where that fails, adding it again tells.
    fn put_away(&self, dir: &Path) {
        if let Ok(grave) = self.temporary() {
            let _ = fs::rename(dir, grave.path().join("damaged"));
        }
    }

    /// A folder to fetch into; it goes when it is dropped.
    pub(crate) fn temporary(&self) -> Result<tempfile::TempDir, Fault> {
        let tmp = self.root.join("tmp");
        let made = make_private(&self.root).and_then(|()| make_private(&tmp));
        made.and_then(|()| tempfile::tempdir_in(&tmp)).map_err(|e| unusable(&tmp, &e))
    }

    /// Takes a fetched package in: its digest and its place.
    pub(crate) fn add(&self, fetched: &Path) -> Result<(String, PathBuf), Fault> {
        let hash = tree::hash(fetched).map_err(|e| unusable(fetched, &e))?;
        let dir = self.at(&hash);
        let failed = |e: io::Error| unusable(&dir, &e);
        fs::create_dir_all(self.root.join("modules")).map_err(failed)?;
        match fs::rename(fetched, &dir) {
            Ok(()) => Ok((hash, dir)),
            // Another one was quicker, with the same content.
            Err(_) if self.find(&hash).is_some() => Ok((hash, dir)),
            Err(_) => fs::rename(fetched, &dir).map(|()| (hash, dir.clone())).map_err(failed),
        }
    }

    fn known_at(&self, what: &str) -> PathBuf {
        self.root.join("known").join(sha256(what.as_bytes()))
    }

    /// The digest that something fetched before had.
    pub(crate) fn known(&self, what: &str) -> Option<String> {
        let hash = fs::read_to_string(self.known_at(what)).ok()?;
        self.find(hash.trim()).map(|_| hash.trim().to_string())
    }

    /// Remembers a digest. It saves work and nothing depends on it.
    pub(crate) fn remember(&self, what: &str, hash: &str) {
        let at = self.known_at(what);
        let written = || {
            fs::create_dir_all(at.parent()?).ok()?;
            let file = tempfile::NamedTempFile::new_in(&self.root).ok()?;
            fs::write(file.path(), hash).ok()?;
            file.persist(&at).ok()
        };
        let _ = written();
    }
}

fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
