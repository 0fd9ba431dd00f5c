//! Files as functions of the language see them (`file`, `templatefile`, `fileset`, …), and those that hold saved plans.

use groma_lang::eval::FunctionHost;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

/// The machine's files, relative paths from the folder that the command runs in.
pub(crate) struct RealFiles {
    pub(crate) base: PathBuf,
    pub(crate) home: Option<String>,
}

impl RealFiles {
    fn at(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }
}

impl FunctionHost for RealFiles {
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        read_bounded(&self.at(path)).map_err(|e| format!("{path} can't be read: {e}"))
    }

    fn file_exists(&self, path: &str) -> Result<bool, String> {
        let at = self.at(path);
        match fs::metadata(&at) {
            Ok(meta) if meta.is_dir() => Err(format!("{path} is a folder, not a file")),
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(format!("{path}: {e}")),
        }
    }

    fn list_files(&self, base: &str) -> Result<Vec<String>, String> {
        let top = self.at(base);
        let mut found = Vec::new();
        if top.is_dir() {
            walk(&top, &top, &mut found).map_err(|e| format!("{base} can't be read: {e}"))?;
        }
        found.sort();
        Ok(found)
    }

    fn real_path(&self, path: &str) -> Result<String, String> {
        let at = self.at(path);
        let mut there = at.as_path();
        loop {
            match there.canonicalize() {
                Ok(real) => {
                    let rest = at.strip_prefix(there).unwrap_or(Path::new(""));
                    let is_plain =
                        rest.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
                    return match is_plain {
                        true => Ok(real.join(rest).to_string_lossy().into_owned()),
                        false => Err(format!("{path} goes through a folder that is not there")),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && !there.is_symlink() => {
                    there = there.parent().ok_or_else(|| format!("{path}: {error}"))?;
                }
                Err(error) => return Err(format!("{path}: {error}")),
            }
        }
    }

    fn base_dir(&self) -> String {
        self.base.to_string_lossy().into_owned()
    }

    fn home_dir(&self) -> Option<String> {
        self.home.clone()
    }
}

fn walk(top: &Path, dir: &Path, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(top, &path, found)?;
        } else if path.is_file()
            && let Ok(relative) = path.strip_prefix(top)
        {
            let steps: Vec<_> = relative.iter().map(|s| s.to_string_lossy()).collect();
            found.push(steps.join("/"));
        }
    }
    Ok(())
}

/// A device such as `/dev/zero` has no end.
const LARGEST: u64 = 512 << 20;

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 512 MiB"));
    }
    Ok(bytes)
}

/// Reads a whole file; `None` if it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a text, which must be UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

/// Reads all of standard input.
pub(crate) fn read_standard_input() -> io::Result<String> {
    io::read_to_string(io::stdin())
}

/// The names in a folder, in order.
pub(crate) fn names(dir: &Path) -> io::Result<Vec<String>> {
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = fs::read_dir(dir)?.map(name).collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Writes a file that is not there yet.
pub(crate) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Makes a folder and those around it, unless they are there.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Puts another text in a file as a whole, with the file's own permissions: nobody sees half of it, and a failure leaves
/// what was there. Of a link the file that it leads to is written, and the link stays.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let permissions = fs::metadata(&path)?.permissions();
    if permissions.readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file is read-only"));
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".new-{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let written = file.set_permissions(permissions).and_then(|()| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    });
    if written.is_err() {
        // What failed is told; that its rest can't be removed either adds nothing.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Puts a file in its place as a whole, closed to others: nobody sees half of it, and a failure leaves what was there.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".new-{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        // What failed is told; that its rest can't be removed either adds nothing.
        let _ = fs::remove_file(&temporary);
    }
    written
}
