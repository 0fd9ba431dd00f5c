//! What goes into an archive: entries by their path in it, sorted.

use crate::kit::{Host, flag, invalid, text, texts};
use crate::local::write;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use groma_provider::ProviderError;
use groma_types::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A file to be packed.
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
}

/// Paths in the archive have `/` between their steps, and none of them leads out of it.
pub(super) type Entries = BTreeMap<String, Entry>;

const CONTENT_MODE: u32 = 0o644;

pub(super) fn gather(host: &Host, config: &Value) -> Result<Entries, ProviderError> {
    let mut entries = Entries::new();
    if let Some(name) = config.str_attr("source_content_filename") {
        let bytes = text(config, "source_content").as_bytes().to_vec();
        entries.insert(inside(name)?, Entry { bytes, mode: CONTENT_MODE });
    } else if let Some(file) = config.str_attr("source_file") {
        let path = host.path(file);
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        entries.insert(inside(&name)?, entry(&path)?);
    } else if let Some(dir) = config.str_attr("source_dir") {
        entries = folder(host, config, dir)?;
    } else {
        for source in config.get("source").and_then(Value::as_seq).unwrap_or_default() {
            let bytes = text(source, "content").as_bytes().to_vec();
            entries.insert(inside(text(source, "filename"))?, Entry { bytes, mode: CONTENT_MODE });
        }
    }
    if let Some(mode) = config.str_attr("output_file_mode").and_then(write::mode) {
        entries.values_mut().for_each(|e| e.mode = mode);
    }
    Ok(entries)
}

/// A path in the archive, without what would lead out of where it is unpacked.
fn inside(name: &str) -> Result<String, ProviderError> {
    let steps: Vec<&str> = name.split('/').filter(|s| !matches!(*s, "" | ".")).collect();
    if steps.is_empty() || steps.contains(&"..") || name.starts_with('/') {
        return Err(invalid(format!("{name:?} can't be the path of a file in an archive")));
    }
    Ok(steps.join("/"))
}

fn entry(path: &Path) -> Result<Entry, ProviderError> {
    let missing = || invalid(format!("the source {} is not there", path.display()));
    let bytes = write::read(path)?.ok_or_else(missing)?;
    Ok(Entry { bytes, mode: mode_of(path) })
}

#[cfg(unix)]
fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).map_or(CONTENT_MODE, |m| m.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn mode_of(_: &Path) -> u32 {
    CONTENT_MODE
}

fn folder(host: &Host, config: &Value, dir: &str) -> Result<Entries, ProviderError> {
    let top = host.path(dir);
    if !top.is_dir() {
        return Err(invalid(format!("the source {} is not a folder", top.display())));
    }
    let mut walk = Walk {
        excluded: patterns(&texts(config, "excludes"))?,
        output: host.path(text(config, "output_path")),
        follow: flag(config, "exclude_symlink_directories") != Some(true),
        above: BTreeSet::new(),
        entries: Entries::new(),
    };
    walk.enter(&top, "")?;
    Ok(walk.entries)
}

/// A path leaves out the file or the whole folder that it names.
fn patterns(excludes: &[&str]) -> Result<GlobSet, ProviderError> {
    let mut set = GlobSetBuilder::new();
    for pattern in excludes {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern).trim_end_matches('/');
        for pattern in [pattern.to_string(), format!("{pattern}/**")] {
            let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
            set.add(glob.map_err(|e| invalid(format!("excludes: {e}")))?);
        }
    }
    set.build().map_err(|e| invalid(format!("excludes: {e}")))
}

struct Walk {
    excluded: GlobSet,
    /// The archive itself is not packed into itself.
    output: PathBuf,
    /// Whether links to folders are followed.
    follow: bool,
    /// The folders on the way here, for links that lead back.
    above: BTreeSet<PathBuf>,
    entries: Entries,
}

impl Walk {
    fn enter(&mut self, dir: &Path, at: &str) -> Result<(), ProviderError> {
        let failed = |e: std::io::Error| invalid(format!("{} can't be read: {e}", dir.display()));
        let real = fs::canonicalize(dir).map_err(failed)?;
        if !self.above.insert(real.clone()) {
            return Err(invalid(format!("the link {} leads back to a folder above it", dir.display())));
        }
        for item in fs::read_dir(dir).map_err(failed)? {
            let path = item.map_err(failed)?.path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let name = if at.is_empty() { name } else { format!("{at}/{name}") };
            if self.excluded.is_match(&name) || path == self.output {
                continue;
            }
            if path.is_dir() {
                if self.follow || !path.is_symlink() {
                    self.enter(&path, &name)?;
                }
            } else {
                self.entries.insert(name, entry(&path)?);
            }
        }
        self.above.remove(&real);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_are_paths_folders_and_patterns() {
        let set = patterns(&["a.txt", "dir", "**/*.log", "./b/{c,d}"]).unwrap();
        for gone in ["a.txt", "dir/x/y", "x/y.log", "y.log", "b/c", "b/d/e"] {
            assert!(set.is_match(gone), "{gone}");
        }
        for kept in ["x/a.txt", "dirs", "b/e", "a.txt2"] {
            assert!(!set.is_match(kept), "{kept}");
        }
        assert!(patterns(&["a{"]).is_err());
    }

    #[test]
    fn no_path_leads_out() {
        assert_eq!(inside("a//./b").unwrap(), "a/b");
        for bad in ["", "/etc/x", "../x", "a/../../x", "."] {
            assert!(inside(bad).is_err(), "{bad}");
        }
    }
}
