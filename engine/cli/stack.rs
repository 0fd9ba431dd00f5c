//! Where a stack is and where its own files lie.
//!
//! Invariants: the sandbox's state is never opened without `--sandbox`, nor the other way: they lie in different
//! folders, and only this file names them. Nothing is made here before something is to be written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A stack on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    /// The folder, or the one spec file.
    pub(crate) path: PathBuf,
    /// The folder that relative paths of the spec start from.
    pub(crate) root: PathBuf,
    /// `.groma`, or `.groma/<stem>` for a one-file stack.
    own: PathBuf,
    sandbox: bool,
    pub(crate) workspace: String,
}

/// What a path given by the user is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    Stack(PathBuf),
    SavedPlan(PathBuf),
}

/// Whether a path is named like a file of a spec, or of its variables.
pub(crate) fn is_named_like_spec(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    [".yaml", ".yml", ".json", ".tf", ".tfvars"].iter().any(|end| name.ends_with(end))
}

/// Tells a stack from a saved plan: a saved plan is a file that no spec file's ending has.
pub(crate) fn operand(path: &Path) -> Operand {
    match path.is_file() && !is_named_like_spec(path) {
        true => Operand::SavedPlan(path.to_path_buf()),
        false => Operand::Stack(path.to_path_buf()),
    }
}

impl Stack {
    /// # Errors
    /// There is neither a folder nor a file at the path, nor the state of a file that was there.
    pub(crate) fn find(path: &Path, sandbox: bool, workspace: &str) -> Result<Stack, String> {
        if !is_plain_name(workspace) {
            return Err(format!(
                "{workspace:?} can't be a workspace's name: use letters, digits, '-' and '_'"
            ));
        }
        let stack = Stack::at(path, !path.is_dir(), sandbox, workspace);
        match path.is_dir() || path.is_file() || stack.own.is_dir() {
            true => Ok(stack),
            false => Err(format!("there is no stack at {}: neither a folder nor a file", path.display())),
        }
    }

    /// A stack whose kind is known, whether its spec is there or not.
    pub(crate) fn at(path: &Path, is_file: bool, sandbox: bool, workspace: &str) -> Stack {
        let (root, own) = if is_file {
            let parent = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            (parent, parent.join(".groma").join(stem(path)))
        } else {
            (path, path.join(".groma"))
        };
        let (path, root) = (path.to_path_buf(), root.to_path_buf());
        Stack { path, root, own, sandbox, workspace: workspace.to_string() }
    }

    /// The folder of the state.
    pub(crate) fn state_dir(&self) -> PathBuf {
        let base = if self.sandbox { self.sandbox_dir() } else { self.own.clone() };
        match self.workspace.as_str() {
            "default" => base,
            name => base.join("ws").join(name),
        }
    }

    /// The folder of the sandbox's process and of its world, which all workspaces share as they would a cloud.
    pub(crate) fn sandbox_dir(&self) -> PathBuf {
        self.own.join("sandbox")
    }

    /// What the state records of its stack: which of those that share a folder it is. It holds no path, so that a
    /// stack may be moved or renamed.
    pub(crate) fn identity(&self) -> String {
        let which = match self.is_file() {
            true => format!("file {}", stem(&self.path)),
            false => "folder".into(),
        };
        let place = if self.sandbox { "sandbox" } else { "cloud" };
        format!("{which}, {place}, workspace {}", self.workspace)
    }

    pub(crate) fn is_file(&self) -> bool {
        self.own.file_name().is_some_and(|n| n != ".groma")
    }

    /// Name of the file in the user's data folder that holds the key of this stack's sensitive values.
    pub(crate) fn key_name(&self) -> String {
        let root = self.root.canonicalize().unwrap_or_else(|_| self.root.clone());
        let text = format!("{}\n{}", root.display(), self.identity());
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let short: String = digest.as_ref()[..8].iter().map(|b| format!("{b:02x}")).collect();
        let name = root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let name: String = name.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
        format!("{name}-{short}.key")
    }

    /// The folder of the links to fetched modules.
    pub(crate) fn links_dir(&self) -> PathBuf {
        self.own.join("modules")
    }

    /// Makes the sandbox's folder.
    ///
    /// # Errors
    /// The folder can't be made or written.
    pub(crate) fn prepare_sandbox(&self) -> io::Result<()> {
        self.prepare()?;
        make_private_dir(&self.sandbox_dir())
    }

    /// Makes the folder of all that is not to be committed: closed to others and hidden from version control.
    ///
    /// # Errors
    /// The folder can't be made or written.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        let top = self.root.join(".groma");
        make_private_dir(&top)?;
        let ignore = top.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n")?;
        }
        Ok(())
    }

    /// Whether Terraform's state lies beside the spec and holds resources: how many.
    pub(crate) fn terraform_resources(&self) -> Option<usize> {
        let text = fs::read_to_string(self.root.join("terraform.tfstate")).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        let resources = json.get("resources")?.as_array()?;
        let managed = resources.iter().filter(|r| r.get("mode").and_then(|m| m.as_str()) == Some("managed"));
        Some(managed.count()).filter(|n| *n > 0)
    }
}

/// Name of a one-file stack: the file's name without its ending.
fn stem(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let endings = [".tf.json", ".json", ".yaml", ".yml", ".tf"];
    let bare = endings.iter().find_map(|end| name.strip_suffix(end));
    bare.unwrap_or(&name).to_string()
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use super::{Stack, stem};
    use std::path::Path;

    #[test]
    fn each_kind_of_stack_and_mode_has_a_folder_of_its_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("app.tf.json");
        std::fs::write(&file, "{}").expect("written");
        let check = |path: &Path, sandbox: bool, workspace: &str, expected: &str| {
            let stack = Stack::find(path, sandbox, workspace).expect("found");
            assert_eq!(stack.state_dir(), dir.path().join(expected));
        };
        check(dir.path(), false, "default", ".groma");
        check(dir.path(), true, "default", ".groma/sandbox");
        check(dir.path(), false, "eu", ".groma/ws/eu");
        check(dir.path(), true, "eu", ".groma/sandbox/ws/eu");
        check(&file, false, "default", ".groma/app");
        check(&file, true, "default", ".groma/app/sandbox");
    }

    #[test]
    fn what_is_not_there_is_no_stack() {
        assert!(Stack::find(Path::new("/nowhere/at/all"), false, "default").is_err());
        assert!(Stack::find(Path::new("."), false, "../x").is_err());
        assert_eq!(stem(Path::new("a/b.yaml")), "b");
    }
}
