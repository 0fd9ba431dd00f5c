//! A stack in a folder of its own, and the binary that runs on it.
//!
//! Nothing of the machine's environment reaches the binary; the user's data folder is a temporary one.

use regex::Regex;
use serde_json::Value as Json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub(crate) struct Stack {
    dir: tempfile::TempDir,
    home: tempfile::TempDir,
    env: Vec<(String, String)>,
}

pub(crate) struct Outcome {
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    line: String,
}

impl Stack {
    pub(crate) fn new() -> Stack {
        Stack {
            dir: tempfile::tempdir().expect("a temporary folder"),
            home: tempfile::tempdir().expect("a temporary folder"),
            env: Vec::new(),
        }
    }

    /// A copy of a stack of `specs/`.
    pub(crate) fn of_spec(name: &str) -> Stack {
        let stack = Stack::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs").join(name);
        for entry in std::fs::read_dir(&from).expect("the spec's folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let to = stack.path().join(path.file_name().expect("a name"));
                std::fs::copy(&path, to).expect("copied");
            }
        }
        stack
    }

    #[must_use]
    pub(crate) fn file(self, name: &str, text: &str) -> Stack {
        self.write(name, text);
        self
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).expect("removed");
    }

    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: &str) -> Stack {
        self.env.push((name.into(), value.into()));
        self
    }

    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.into(), value.into()));
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groma"));
        command.args(args).current_dir(self.path()).env_clear().env("HOME", self.home.path());
        command.envs(self.env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(&self.command(args).output().expect("the binary runs"), args)
    }

    /// Runs with a text on standard input.
    pub(crate) fn fed(&self, args: &[&str], text: &str) -> Outcome {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        // It may have ended already: then what it says is looked at, and not this.
        let _ = child.stdin.take().expect("piped").write_all(text.as_bytes());
        let output = child.wait_with_output().expect("the binary ends");
        Outcome::of(&output, args)
    }

    /// Runs, and must end with exit code 0.
    pub(crate) fn ok(&self, args: &[&str]) -> Outcome {
        self.run(args).must(0)
    }

    /// Starts in the background; both outputs go nowhere.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs")
    }

    /// Every file below a folder of the stack.
    pub(crate) fn files(&self, under: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.path().join(under), &mut found);
        found.sort();
        found
    }

    /// What exists in the sandbox, by key.
    pub(crate) fn world(&self) -> serde_json::Map<String, Json> {
        let out = self.ok(&["sandbox", "world"]);
        match serde_json::from_str(&out.stdout).expect("the world is JSON") {
            Json::Object(map) => map,
            other => panic!("the world is no object: {other}"),
        }
    }

    /// The output with what differs from run to run made equal.
    pub(crate) fn redact(&self, text: &str) -> String {
        let text = text.replace(&self.path().display().to_string(), "[STACK]");
        let text = text.replace(&self.home.path().display().to_string(), "[HOME]");
        let elapsed = Regex::new(r"\b(\d+h)?(\d+m)?\d+s\b").expect("a pattern");
        elapsed.replace_all(&text, "[ELAPSED]").into_owned()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.path().join(".groma/sandbox").exists() {
            let _ = self.command(&["sandbox", "stop"]).output();
        }
    }
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

impl Outcome {
    fn of(output: &Output, args: &[&str]) -> Outcome {
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            line: args.join(" "),
        }
    }

    /// The exit code must be this.
    #[track_caller]
    pub(crate) fn must(self, code: i32) -> Outcome {
        assert_eq!(self.code, Some(code), "groma {}\n{}", self.line, self.all());
        self
    }

    pub(crate) fn all(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }

    /// Both outputs together must hold each of these.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Outcome {
        let all = self.all();
        for word in words {
            assert!(all.contains(word), "groma {}: no {word:?} in\n{all}", self.line);
        }
        self
    }

    #[track_caller]
    pub(crate) fn says_not(self, words: &[&str]) -> Outcome {
        let all = self.all();
        for word in words {
            assert!(!all.contains(word), "groma {}: {word:?} in\n{all}", self.line);
        }
        self
    }

    /// The lines of `-json`.
    pub(crate) fn events(&self) -> Vec<Json> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// Compares a text with a file of `tests/snapshots`. `GROMA_SNAPSHOTS=write` writes the file instead.
#[track_caller]
pub(crate) fn snapshot(name: &str, text: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let path = dir.join(format!("{name}.txt"));
    if std::env::var("GROMA_SNAPSHOTS").is_ok_and(|v| v == "write") {
        std::fs::create_dir_all(&dir).expect("made");
        std::fs::write(&path, text).expect("written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} differs; GROMA_SNAPSHOTS=write writes it anew", path.display());
}
