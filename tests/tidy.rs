//! The rules of the house, checked by reading the sources: which crate and which room may use which, which calls are
//! kept to which files.

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every Rust file below a folder, by its path from the top.
fn sources(under: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root().join(under), &mut found);
    found.sort();
    let name = |p: &PathBuf| p.strip_prefix(root()).expect("below the top").to_string_lossy().into_owned();
    found.iter().map(|p| (name(p), read(p))).collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The part of a file that is not its tests at the end.
fn code(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap_or(text)
}

fn is_test_file(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("tests.rs") || name.ends_with("/samples.rs")
}

/// Names in `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = read(&root().join(manifest));
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|n| !n.is_empty() && !n.starts_with('#')).map(String::from).collect()
}

/// The crates of ours that each crate may use.
const EDGES: &[(&str, &[&str])] = &[
    ("engine/types", &[]),
    ("engine/lang", &["groma-types"]),
    ("engine/core", &["groma-types", "groma-lang", "groma-provider"]),
    ("engine/modules", &["groma-types"]),
    ("providers/sdk", &["groma-types"]),
    ("providers/sim", &["groma-types", "groma-provider"]),
    ("providers/std", &["groma-types", "groma-provider"]),
    ("providers/aws", &["groma-types", "groma-provider"]),
    ("providers/kubernetes", &["groma-types", "groma-provider"]),
    ("providers/sandbox", &[]),
];

#[test]
fn crates_use_only_what_they_may() {
    for (dir, allowed) in EDGES {
        let used = dependencies(&format!("{dir}/Cargo.toml"));
        for name in used.iter().filter(|n| n.starts_with("groma")) {
            assert!(allowed.contains(&name.as_str()), "{dir} must not use {name}");
        }
    }
}

#[test]
fn the_engine_knows_no_cloud_and_no_terminal() {
    for dir in ["engine/types", "engine/lang", "engine/core"] {
        for name in dependencies(&format!("{dir}/Cargo.toml")) {
            let cloud = ["aws-sdk", "aws-config", "kube", "k8s-openapi", "hyper", "reqwest", "clap", "tokio"];
            assert!(!cloud.iter().any(|c| name.starts_with(c)), "{dir} must not use {name}");
        }
    }
}

#[test]
fn every_crate_is_in_the_table_of_edges() {
    for parent in ["engine", "providers"] {
        for entry in std::fs::read_dir(root().join(parent)).expect("a folder").flatten() {
            let dir = format!("{parent}/{}", entry.file_name().to_string_lossy());
            if root().join(&dir).join("Cargo.toml").exists() {
                assert!(EDGES.iter().any(|(d, _)| *d == dir), "{dir} is not in the table");
            }
        }
    }
}

/// Words that a room's files must not hold: folder, words, why.
const ROOMS: &[(&str, &[&str], &str)] = &[
    ("engine/types", &["async fn", "std::fs", "serde::"], "the vocabulary is inert"),
    (
        "engine/lang",
        &["async fn", "std::fs", "InstanceAddr", "groma_provider"],
        "the language knows values and names",
    ),
    (
        "engine/core/src/config",
        &["async fn", "crate::state", "crate::plan", "crate::exec"],
        "a config is before all state",
    ),
    (
        "engine/core/src/state",
        &["crate::plan", "crate::graph", "crate::exec", "crate::config"],
        "the state knows no plan",
    ),
    (
        "engine/core/src/exec/scheduler",
        &["async fn", "Instant::now", "groma_types::Value"],
        "the scheduler is synchronous",
    ),
    ("providers", &["groma_engine", "groma_lang"], "a provider knows no engine"),
    (
        "engine/cli/render",
        &["facade::plan", "facade::apply", "std::fs", "std::env::var"],
        "a renderer only reads",
    ),
];

#[test]
fn rooms_use_only_what_they_may() {
    for (room, banned, why) in ROOMS {
        for (name, text) in sources(room) {
            for word in *banned {
                let found =
                    code(&text).lines().any(|l| l.contains(word) && !l.trim_start().starts_with("//"));
                assert!(is_test_file(&name) || !found, "{name} has {word:?}: {why}");
            }
        }
    }
}

/// Calls that are kept to a few files: what, where it may stand.
const CALLS: &[(&str, &[&str])] = &[
    ("std::env::", &["engine/cli/settings.rs", "engine/cli/command/mod.rs"]),
    ("std::io::stdout", &["engine/cli/render/mod.rs", "engine/cli/settings.rs"]),
    ("std::io::stderr", &["engine/cli/render/mod.rs", "engine/cli/settings.rs"]),
    ("SystemTime::now", &["engine/cli/clock.rs"]),
    ("process::exit", &["engine/cli/signals.rs"]),
];

#[test]
fn some_calls_stand_in_few_files() {
    for (name, text) in sources("engine").into_iter().chain(sources("providers")) {
        if is_test_file(&name) {
            continue;
        }
        for (call, allowed) in CALLS {
            let found = code(&text).lines().any(|l| l.contains(call) && !l.trim_start().starts_with("//"));
            assert!(!found || allowed.contains(&name.as_str()), "{name} calls {call}");
        }
    }
}

/// Files of the command and the engine that may open files; the providers and the sandbox open their own.
const FILES: &[&str] = &[
    "engine/cli/files.rs",
    "engine/cli/stack.rs",
    "engine/core/src/config/load.rs",
    "engine/core/src/config/inputs.rs",
    "engine/core/src/state/",
    "engine/modules/src/",
];

#[test]
fn few_files_open_files() {
    for (name, text) in sources("engine") {
        let may = FILES.iter().any(|f| name.starts_with(f)) || is_test_file(&name);
        let opens = code(&text).lines().any(|l| l.contains("std::fs") && !l.trim_start().starts_with("//"));
        assert!(may || !opens, "{name} opens files");
    }
}

#[test]
fn nothing_is_unsafe_and_every_file_says_what_it_is_for() {
    for (name, text) in sources("engine").into_iter().chain(sources("providers")) {
        assert!(text.starts_with("//!") || is_test_file(&name), "{name} does not begin with its duty");
        assert!(!text.contains("unsafe {") && !text.contains("unsafe fn"), "{name} is unsafe");
        for line in code(&text).lines() {
            let line = line.trim_start();
            assert!(!line.starts_with("#[allow("), "{name} allows instead of expecting");
            assert!(!line.contains("todo!("), "{name} has something to do");
        }
    }
}

const LINES_MAX: usize = 800;

/// Files above the wall, and how long they may be. The list may only shrink.
const LONG: &[(&str, usize)] = &[
    ("providers/aws/src/resources/eks_cluster.rs", 1100),
    ("providers/aws/src/resources/eks_node_group.rs", 900),
];

#[test]
fn files_fit_a_head() {
    for (name, text) in sources("engine").into_iter().chain(sources("providers")) {
        let lines = code(&text).lines().count();
        let is_table = name.contains("schema") || name.contains("functions") || is_test_file(&name);
        let most = LONG.iter().find(|(long, _)| *long == name).map_or(LINES_MAX, |(_, most)| *most);
        assert!(lines <= most || is_table, "{name} has {lines} lines");
    }
}

#[test]
fn every_code_has_a_page() {
    let pages = read(&root().join("docs/errors.md"));
    let pattern = regex::Regex::new("\"(G[0-9]{4})\"").expect("a pattern");
    let mut missing = std::collections::BTreeSet::new();
    for (name, text) in sources("engine").into_iter().chain(sources("providers")) {
        if is_test_file(&name) {
            continue;
        }
        for found in pattern.captures_iter(code(&text)) {
            if !pages.contains(&format!("\n## {} ", &found[1])) {
                missing.insert(found[1].to_string());
            }
        }
    }
    assert!(missing.is_empty(), "no page in docs/errors.md for {missing:?}");
}

#[test]
fn every_stack_of_specs_has_a_readme() {
    for entry in std::fs::read_dir(root().join("specs")).expect("specs").flatten() {
        assert!(entry.path().join("README.md").exists(), "{}", entry.path().display());
    }
}
