//! Submodules of git repositories: fetched with what they stand in, by the same rules.

use groma_modules::address::Trust;
use groma_modules::cache::Cache;
use groma_modules::fetch::{Fetcher, Policy, Wanted};
use groma_modules::lock::Lock;
use groma_modules::tree::Limits;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"])
        .args(args)
        .current_dir(dir)
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

fn repository(top: &Path, name: &str, text: &str) -> PathBuf {
    let dir = top.join(name);
    std::fs::create_dir(&dir).expect("made");
    git(&dir, &["init", "-q", "-b", "main"]);
    std::fs::write(dir.join("main.yaml"), text).expect("written");
    git(&dir, &["add", "-A"]);
    git(&dir, &["commit", "-q", "-m", "x"]);
    dir
}

fn fetch(top: &Path, repository: &Path) -> Result<PathBuf, String> {
    let wanted = Wanted::read(&format!("git::file://{}", repository.display()), None, Trust::Own);
    let wanted = wanted.map_err(|f| f.detail.clone())?;
    let fetcher = Fetcher {
        cache: Cache::new(top.join("cache")),
        vars: BTreeMap::from([("HOME".into(), top.display().to_string())]),
        limits: Limits::default(),
        policy: Policy::Fill,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut got = runtime.block_on(fetcher.fetch(std::slice::from_ref(&wanted), &Lock::new()));
    let got = got.remove(&wanted.key()).expect("an answer");
    got.map(|fetched| fetched.dir).map_err(|f| format!("{} {}", f.code, f.detail))
}

#[test]
fn a_submodule_comes_along_at_its_commit() {
    let top = tempfile::tempdir().expect("a folder");
    let inner = repository(top.path(), "inner", "inner");
    let middle = repository(top.path(), "middle", "middle");
    let outer = repository(top.path(), "outer", "outer");
    git(&middle, &["submodule", "--quiet", "add", &inner.display().to_string(), "deep/inner"]);
    git(&middle, &["commit", "-q", "-m", "sub"]);
    git(&outer, &["submodule", "--quiet", "add", "../middle", "lib"]);
    git(&outer, &["commit", "-q", "-m", "sub"]);
    std::fs::write(inner.join("main.yaml"), "later").expect("written");
    git(&inner, &["commit", "-q", "-a", "-m", "later"]);
    let dir = fetch(top.path(), &outer).expect("fetched");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("a file");
    assert_eq!((&*read("main.yaml"), &*read("lib/main.yaml")), ("outer", "middle"));
    assert_eq!(read("lib/deep/inner/main.yaml"), "inner");
    assert!(!dir.join("lib/.git").exists() && !dir.join(".git").exists());
}

#[test]
fn a_submodule_leads_git_to_no_other_program() {
    let top = tempfile::tempdir().expect("a folder");
    let inner = repository(top.path(), "inner", "inner");
    let mark = top.path().join("pwned");
    for (url, code) in [
        (format!("ext::sh -c touch% {}", mark.display()), "G0520"),
        (format!("--upload-pack=touch {}", mark.display()), "G0520"),
        ("http://h.example/x.git".into(), "G0521"),
        ("ssh://-oProxyCommand=x/y".into(), "G0520"),
    ] {
        let outer = repository(top.path(), &format!("outer-{}", url.len()), "outer");
        git(&outer, &["submodule", "--quiet", "add", &inner.display().to_string(), "lib"]);
        git(&outer, &["config", "--file", ".gitmodules", "submodule.lib.url", &url]);
        git(&outer, &["commit", "-q", "-a", "-m", "sub"]);
        let why = fetch(top.path(), &outer).expect_err(&url);
        assert!(why.starts_with(code), "{url}: {why}");
        assert!(!mark.exists(), "{url}");
    }
    let bare = repository(top.path(), "bare", "bare");
    git(&bare, &["submodule", "--quiet", "add", &inner.display().to_string(), "lib"]);
    git(&bare, &["rm", "-q", "--cached", ".gitmodules"]);
    git(&bare, &["commit", "-q", "-m", "sub"]);
    assert!(fetch(top.path(), &bare).expect_err("no address").contains("no address in .gitmodules"));
}
