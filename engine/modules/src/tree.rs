//! What a package may hold, and the digest of what it holds.
//!
//! Invariant: what passes a [`Guard`] lies below the package's folder for every reader, whatever is linked: a link's
//! target goes up first and then down, never out, and nothing lies behind a link.

use crate::sha256;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

/// How much a package may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub entries: u64,
    pub bytes: u64,
    /// Of an archive as it comes.
    pub download_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { entries: 100_000, bytes: 2 << 30, download_bytes: 512 << 20 }
    }
}

const PATH_BYTES_MAX: usize = 1024;
const PATH_PARTS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File,
    Executable,
    Link,
}

/// Lets entries of a package pass, one by one.
pub struct Guard {
    limits: Limits,
    entries: u64,
    bytes: u64,
    /// Every entry and the folders above it, by its path in small letters.
    seen: BTreeMap<String, (String, Kind)>,
}

impl Guard {
    pub fn new(limits: Limits) -> Guard {
        Guard { limits, entries: 0, bytes: 0, seen: BTreeMap::new() }
    }

    /// The path of an entry with plain `/`; `None` for the package's own folder.
    ///
    /// # Errors
    /// Why it may not be there.
    pub fn entry(&mut self, path: &str, kind: Kind) -> Result<Option<String>, String> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(format!("it holds more than {} entries", self.limits.entries));
        }
        let parts = checked_parts(path)?;
        let Some((_, above)) = parts.split_last() else { return Ok(None) };
        for length in 1..=above.len() {
            self.place(&parts[..length], Kind::Folder)?;
        }
        self.place(&parts, kind)?;
        Ok(Some(parts.join("/")))
    }

    fn place(&mut self, parts: &[&str], kind: Kind) -> Result<(), String> {
        let path = parts.join("/");
        match self.seen.get(&path.to_lowercase()) {
            None => {
                self.seen.insert(path.to_lowercase(), (path, kind));
                Ok(())
            }
            Some((first, _)) if *first != path => {
                Err(format!("{first:?} and {path:?} differ in nothing but case"))
            }
            Some((_, Kind::Folder)) if kind == Kind::Folder => Ok(()),
            Some((_, Kind::Link)) if kind == Kind::Folder => {
                Err(format!("something lies behind the link {path:?}"))
            }
            Some(_) => Err(format!("{path:?} is there twice")),
        }
    }

    /// Counts content, before or while it is written.
    ///
    /// # Errors
    /// It is too much.
    pub fn content(&mut self, bytes: u64) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(bytes);
        match self.bytes > self.limits.bytes {
            true => Err(format!("it holds more than {} bytes", self.limits.bytes)),
            false => Ok(()),
        }
    }

    /// # Errors
    /// The link leads out of the package.
    pub fn link(&self, path: &str, target: &str) -> Result<(), String> {
        let out = || format!("the link {path:?} leads to {target:?}, outside of the package");
        if target.is_empty() || target.starts_with('/') || target.contains(['\\', ':']) || has_control(target)
        {
            return Err(out());
        }
        let mut up = 0;
        let mut is_down = false;
        for part in target.split('/').filter(|p| !p.is_empty() && *p != ".") {
            match part {
                // Up after down would depend on where the part before leads.
                ".." if is_down => return Err(out()),
                ".." => up += 1,
                _ => is_down = true,
            }
        }
        let depth = path.split('/').count() - 1;
        if up > depth { Err(out()) } else { Ok(()) }
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn checked_parts(path: &str) -> Result<Vec<&str>, String> {
    let bad = |why: &str| Err(format!("the entry {path:?} {why}"));
    if path.starts_with('/') {
        return bad("has an absolute path");
    }
    if path.contains(['\\', ':']) || has_control(path) {
        return bad("has a character in its name that not every system keeps");
    }
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.contains(&"..") {
        return bad("leads upwards");
    }
    if parts.iter().any(|p| p.eq_ignore_ascii_case(".git")) {
        return bad("belongs to git itself");
    }
    if path.len() > PATH_BYTES_MAX || parts.len() > PATH_PARTS_MAX {
        return bad("has too long a path");
    }
    Ok(parts)
}

// ---- the digest ----------------------------------------------------------------------------------------------------

/// The digest of a folder: SHA-256 over one line for each file and link, sorted by path:
/// `KIND SHA256  PATH`, where `KIND` is `f`, `x` (executable) or `l`, whose digest is of the link's target.
///
/// # Errors
/// Something can't be read.
pub fn hash(dir: &Path) -> io::Result<String> {
    let mut lines = BTreeMap::new();
    collect(dir, "", &mut lines)?;
    let mut text = String::new();
    for (path, (kind, digest)) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{kind} {digest}  {path}");
    }
    Ok(format!("sha256:{}", sha256(text.as_bytes())))
}

fn collect(dir: &Path, below: &str, lines: &mut BTreeMap<String, (char, String)>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is no UTF-8 name", name.to_string_lossy()))
        })?;
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let meta = fs::symlink_metadata(entry.path())?;
        if meta.is_dir() {
            collect(&entry.path(), &path, lines)?;
        } else if meta.is_symlink() {
            let target = fs::read_link(entry.path())?;
            lines.insert(path, ('l', sha256(target.to_string_lossy().as_bytes())));
        } else {
            let kind = if is_executable(&meta) { 'x' } else { 'f' };
            lines.insert(path, (kind, file_digest(&entry.path())?));
        }
    }
    Ok(())
}

fn file_digest(path: &Path) -> io::Result<String> {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(crate::hex(context.finish().as_ref())),
            n => context.update(&buffer[..n]),
        }
    }
}

#[cfg(unix)]
fn is_executable(meta: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

/// Takes the right to write from a file: a package in the cache belongs to every stack that names it.
///
/// # Errors
/// The file's rights can't be set.
#[cfg(unix)]
pub fn seal(path: &Path, kind: Kind) -> io::Result<()> {
    let mode = if kind == Kind::Executable { 0o555 } else { 0o444 };
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

/// See the other system's.
///
/// # Errors
/// The file's rights can't be set.
#[cfg(not(unix))]
pub fn seal(path: &Path, _: Kind) -> io::Result<()> {
    let mut rights = fs::metadata(path)?.permissions();
    rights.set_readonly(true);
    fs::set_permissions(path, rights)
}

#[cfg(test)]
mod tests {
    use super::{Guard, Kind, Limits, hash};

    fn guard() -> Guard {
        Guard::new(Limits { entries: 5, bytes: 100, download_bytes: 100 })
    }

    #[test]
    fn entries_stay_inside_and_are_told_apart() {
        for path in ["/etc/x", "../x", "a/../../x", "a\\b", "C:x", "a\nb", "x/.GIT/config"] {
            assert!(guard().entry(path, Kind::File).is_err(), "{path}");
        }
        for (first, second, is_fine) in [
            ("a/x", "a/y", true),
            ("a/x", "a/x", false),
            ("a/x", "A/x", false),
            ("a/x", "a/X", false),
            ("a", "a/x", false),
            ("a/x", "a", false),
        ] {
            let mut guard = guard();
            guard.entry(first, Kind::File).expect("the first");
            assert_eq!(guard.entry(second, Kind::File).is_ok(), is_fine, "{first} {second}");
        }
        let mut behind = guard();
        behind.entry("l", Kind::Link).expect("a link");
        assert!(behind.entry("l/x", Kind::File).is_err());
    }

    #[test]
    fn links_lead_inside() {
        for (path, target, is_fine) in [
            ("l", "a", true),
            ("a/l", "../b", true),
            ("a/l", "../../b", false),
            ("l", "..", false),
            ("l", "/etc/passwd", false),
            ("a/b/l", "../c/../../..", false),
            ("l", "", false),
        ] {
            assert_eq!(guard().link(path, target).is_ok(), is_fine, "{path} -> {target}");
        }
    }

    #[test]
    fn entries_and_bytes_are_counted() {
        let mut guard = guard();
        for n in 0..5 {
            guard.entry(&format!("{n}"), Kind::File).expect("few enough");
        }
        assert!(guard.entry("6", Kind::File).is_err());
        assert!(guard.content(60).is_ok());
        assert!(guard.content(60).is_err());
        assert!(guard.content(u64::MAX).is_err());
    }

    #[test]
    fn the_digest_is_of_names_contents_and_kinds() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("a")).expect("made");
        std::fs::write(dir.path().join("a/x"), "one").expect("written");
        std::fs::write(dir.path().join("b"), "two").expect("written");
        let listing = format!("f {}  a/x\nf {}  b\n", crate::sha256(b"one"), crate::sha256(b"two"));
        let first = hash(dir.path()).expect("read");
        assert_eq!(first, format!("sha256:{}", crate::sha256(listing.as_bytes())));
        std::fs::create_dir(dir.path().join("empty")).expect("made");
        assert_eq!(hash(dir.path()).expect("read"), first, "folders alone are no content");
        super::seal(&dir.path().join("b"), Kind::Executable).expect("set");
        assert_ne!(hash(dir.path()).expect("read"), first);
    }
}
