//! `groma.lock`: what each package was fetched as.
//!
//! Text that people read and merge: sorted, one table a package, the same for the same entries. It holds no credential
//! and no path of a machine. Unknown keys are refused, so that an older groma drops nothing that a newer one wrote.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const FILE: &str = "groma.lock";

const FORMAT: u32 = 1;
const HEAD: &str = "# The modules of this stack, as they were fetched. Commit this file.\n\
                    # `groma init` adds what is missing; `groma init -upgrade` takes what the sources give now.\n\n";

/// What a package is found by: its name, and the constraint that a registry's version was chosen by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub source: String,
    pub constraint: Option<String>,
}

/// What a package was when it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of a registry's module.
    pub version: Option<String>,
    /// Of a git repository, the registry's too.
    pub commit: Option<String>,
    /// The folder in what a registry or a server named in place of itself.
    pub folder: Option<String>,
    /// Digest of the content: see `tree::hash`.
    pub hash: String,
}

pub type Lock = BTreeMap<Key, Entry>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDto {
    format: u32,
    #[serde(default)]
    module: Vec<ModuleDto>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModuleDto {
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    hash: String,
}

/// Reads the file's text.
///
/// # Errors
/// It is no such file; the text says where and why.
pub fn read(text: &str) -> Result<Lock, String> {
    let dto: FileDto = toml::from_str(text).map_err(|e| e.to_string())?;
    if dto.format != FORMAT {
        return Err(format!("it has the format {}, and this groma reads {FORMAT}", dto.format));
    }
    let mut lock = Lock::new();
    for m in dto.module {
        check(&m)?;
        let key = Key { source: m.source, constraint: m.constraint };
        let entry = Entry { version: m.version, commit: m.commit, folder: m.folder, hash: m.hash };
        if lock.contains_key(&key) {
            return Err(format!("{:?} is there twice", key.source));
        }
        lock.insert(key, entry);
    }
    Ok(lock)
}

/// The file comes from version control: what it says ends in paths and in git's arguments.
fn check(module: &ModuleDto) -> Result<(), String> {
    let is_hex = |text: &str, lengths: &[usize]| {
        lengths.contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let of = &module.source;
    if !module.hash.strip_prefix("sha256:").is_some_and(|h| is_hex(h, &[64])) {
        return Err(format!("the hash of {of:?} is none"));
    }
    if module.commit.as_ref().is_some_and(|c| !is_hex(c, &[40, 64])) {
        return Err(format!("the commit of {of:?} is none"));
    }
    let is_version = |v: &String| v.chars().all(|c| c.is_ascii_alphanumeric() || ".-+_".contains(c));
    if module.version.as_ref().is_some_and(|v| v.is_empty() || !is_version(v) || v.starts_with('.')) {
        return Err(format!("the version of {of:?} is none"));
    }
    let leaves = |f: &String| f.starts_with('/') || f.contains('\\') || f.split('/').any(|p| p == "..");
    if module.folder.as_ref().is_some_and(leaves) {
        return Err(format!("the folder of {of:?} leads out of its package"));
    }
    Ok(())
}

/// The file's text.
pub fn write(lock: &Lock) -> String {
    let module = lock
        .iter()
        .map(|(key, entry)| ModuleDto {
            source: key.source.clone(),
            constraint: key.constraint.clone(),
            version: entry.version.clone(),
            commit: entry.commit.clone(),
            folder: entry.folder.clone(),
            hash: entry.hash.clone(),
        })
        .collect();
    let body = toml::to_string(&FileDto { format: FORMAT, module });
    format!("{HEAD}{}", body.expect("strings and numbers always have a form"))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Key, Lock, read, write};

    fn sample() -> Lock {
        let hash = format!("sha256:{}", "ab".repeat(32));
        let git = Key { source: "git::https://h/r.git?ref=v1".into(), constraint: None };
        let registry = Key { source: "a/b/c".into(), constraint: Some("~> 1.2".into()) };
        Lock::from([
            (git, Entry { version: None, commit: Some("12".repeat(20)), folder: None, hash: hash.clone() }),
            (registry, Entry { version: Some("1.3.0".into()), commit: None, folder: Some("x".into()), hash }),
        ])
    }

    #[test]
    fn it_is_sorted_and_reads_back() {
        let text = write(&sample());
        assert_eq!(read(&text).expect("sound"), sample());
        assert_eq!(write(&read(&text).expect("sound")), text);
        let expected = "format = 1\n\n[[module]]\nsource = \"a/b/c\"\nconstraint = \"~> 1.2\"\nversion = \"1.3.0\"\nfolder = \"x\"\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn what_is_none_is_refused() {
        let text = write(&sample());
        for (from, to, word) in [
            ("format = 1", "format = 2", "format 2"),
            ("\"x\"", "\"../x\"", "leads out"),
            ("hash = \"sha256:ab", "hash = \"sha256:--", "hash"),
            ("commit = \"12", "commit = \"--", "commit"),
            ("version = \"1.3.0\"", "version = \"../1\"", "version"),
            ("constraint", "konstraint", "konstraint"),
        ] {
            let why = read(&text.replacen(from, to, 1)).expect_err(word);
            assert!(why.contains(word), "{word}: {why}");
        }
        let twice = format!("{text}{}", text.split("format = 1").nth(1).expect("there"));
        assert!(read(&twice).expect_err("twice").contains("twice"));
        assert!(read("<<<<<<< HEAD\n").is_err());
    }
}
