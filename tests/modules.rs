//! Modules from elsewhere: git repositories and a registry that the test makes, the lock, the cache, what is refused.

use crate::kit::Stack;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A git repository in a folder of its own.
pub(crate) struct Repo(tempfile::TempDir);

impl Repo {
    pub(crate) fn new(files: &[(&str, &str)]) -> Repo {
        let repo = Repo(tempfile::tempdir().expect("a folder"));
        repo.git(&["init", "-q", "-b", "main"]);
        repo.commit(files);
        repo
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"])
            .args(args)
            .current_dir(self.0.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", self.0.path())
            .output()
            .expect("git runs");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// Writes files and commits; gives the commit.
    fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.0.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn tag(&self, name: &str) {
        self.git(&["tag", "-f", "-a", "-m", name, name]);
    }

    pub(crate) fn source(&self, rest: &str) -> String {
        format!("git::file://{}{rest}", self.0.path().display())
    }
}

const APP: &str = "variable: {name: {type: string}}\n\
    module: {inner: {source: ../inner, name: '${var.name}'}}\n\
    output: {greeting: {value: '${module.inner.text}'}, there: {value: '${path.module}'}}\n";
const INNER: &str = "variable: {name: {type: string}}\n\
    output: {text: {value: '${templatefile(\"${path.module}/hello.tpl\", {name = var.name})}'}}\n";

/// A repository with a module that calls another of its own, at a tag.
fn library() -> Repo {
    let repo = Repo::new(&[
        ("modules/app/main.yaml", APP),
        ("modules/inner/main.yaml", INNER),
        ("modules/inner/hello.tpl", "hello ${name}"),
    ]);
    repo.tag("v1.0.0");
    repo
}

fn calling(source: &str) -> String {
    format!(
        "module: {{app: {{source: '{source}', name: world}}}}\noutput: {{g: {{value: '${{module.app.greeting}}'}}}}\n"
    )
}

fn stack(spec: &str) -> Stack {
    Stack::new().file("main.yaml", spec).env("PATH", &std::env::var("PATH").expect("a PATH"))
}

fn lock(stack: &Stack) -> String {
    std::fs::read_to_string(stack.path().join("groma.lock")).expect("a lock")
}

fn greeting(stack: &Stack) -> String {
    stack.ok(&["apply", "-auto-approve"]);
    stack.ok(&["output", "-raw", "g"]).stdout
}

/// A cache that nothing is in, as on another machine.
fn empty_cache(stack: &mut Stack) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    stack.set_env("GROMA_CACHE_DIR", &dir.path().display().to_string());
    dir
}

#[test]
fn a_module_is_fetched_once_pinned_and_found_again_without_its_source() {
    let repo = library();
    let source = repo.source("//modules/app?ref=v1.0.0");
    let stack = stack(&calling(&source));
    stack.ok(&["init"]).says(&["app", "commit"]);
    let first = lock(&stack);
    let commit = repo.git(&["rev-parse", "HEAD"]);
    assert!(first.contains(&commit) && first.contains("sha256:"), "{first}");
    drop(repo);
    assert_eq!(greeting(&stack), "hello world");
    stack.ok(&["validate"]);
    stack.ok(&["modules", "-json"]).says(&["\"key\": \"app.inner\"", "\"source\": \"../inner\""]);
    assert_eq!(lock(&stack), first);
    stack.ok(&["plan"]).says(&["No changes"]);
}

#[test]
fn a_moved_tag_fails_the_run_and_shows_both() {
    let repo = library();
    let mut stack = stack(&calling(&repo.source("//modules/app?ref=v1.0.0")));
    stack.ok(&["init"]);
    let old = repo.git(&["rev-parse", "HEAD"]);
    let new = repo.commit(&[("modules/inner/hello.tpl", "bye ${name}")]);
    repo.tag("v1.0.0");
    assert_eq!(greeting(&stack), "hello world");
    let _cache = empty_cache(&mut stack);
    stack.run(&["plan"]).must(1).says(&["G0526", &old, &new, "main.yaml:1:"]);
    assert!(lock(&stack).contains(&old));
    stack.ok(&["init", "-upgrade"]).says(&[&new[..12]]);
    assert_eq!(greeting(&stack), "bye world");
}

#[test]
fn a_branch_moves_on_only_when_it_is_asked_to() {
    let repo = library();
    let mut stack = stack(&calling(&repo.source("//modules/app?ref=main")));
    stack.ok(&["init"]);
    repo.commit(&[("modules/inner/hello.tpl", "bye ${name}")]);
    let _cache = empty_cache(&mut stack);
    assert_eq!(greeting(&stack), "hello world");
    stack.ok(&["get", "-update"]).says(&["Fetching git::"]);
    assert_eq!(greeting(&stack), "bye world");
    // What is called no more stays in the lock until then, too: stacks of one folder share it.
    stack.write("main.yaml", &calling(&repo.source("//modules/app?ref=v1.0.0")));
    stack.ok(&["init"]);
    assert_eq!(lock(&stack).matches("[[module]]").count(), 2);
    stack.ok(&["init", "-upgrade"]);
    assert_eq!(lock(&stack).matches("[[module]]").count(), 1);
    stack.ok(&["plan"]).says_not(&["Fetching"]);
}

#[test]
fn commits_short_ones_and_heads_are_found() {
    let repo = library();
    let commit = repo.git(&["rev-parse", "HEAD"]);
    repo.commit(&[("modules/inner/hello.tpl", "bye ${name}")]);
    for (rest, expected) in [
        (format!("?ref={commit}"), "hello world"),
        (format!("?ref={}", &commit[..10]), "hello world"),
        ("?ref=refs/tags/v1.0.0".into(), "hello world"),
        (String::new(), "bye world"),
        ("?depth=1".into(), "bye world"),
    ] {
        let stack = stack(&calling(&repo.source(&format!("//modules/app{rest}"))));
        assert_eq!(greeting(&stack), expected, "{rest}");
    }
    let gone = stack(&calling(&repo.source("//modules/app?ref=v9")));
    gone.run(&["plan"]).must(1).says(&["G0523", "v9"]);
}

#[test]
fn with_ci_set_nothing_is_pinned_on_the_way() {
    let repo = library();
    let mut stack = stack(&calling(&repo.source("//modules/app?ref=v1.0.0")));
    stack.set_env("CI", "true");
    for command in ["plan", "validate", "init"] {
        stack.run(&[command]).must(1).says(&["G0527", "groma init", "commit groma.lock"]);
    }
    assert!(!stack.path().join("groma.lock").exists());
    stack.set_env("CI", "");
    stack.ok(&["init"]);
    stack.set_env("CI", "true");
    stack.ok(&["plan"]);
}

#[test]
fn a_saved_plan_needs_neither_source_nor_cache() {
    let repo = library();
    let mut stack = stack(&calling(&repo.source("//modules/app?ref=v1.0.0")));
    let cache = empty_cache(&mut stack);
    stack.ok(&["plan", "-out=p.plan"]);
    drop((repo, cache));
    std::fs::remove_dir_all(stack.path().join(".groma/modules")).expect("removed");
    std::fs::remove_file(stack.path().join("groma.lock")).expect("removed");
    stack.write("main.yaml", "output: {g: {value: other}}\n");
    stack.ok(&["apply", "p.plan"]);
    assert_eq!(stack.ok(&["output", "-raw", "g"]).stdout, "hello world");
}

#[test]
fn a_damaged_package_is_fetched_anew() {
    let repo = library();
    let mut stack = stack(&calling(&repo.source("//modules/app?ref=v1.0.0")));
    let cache = empty_cache(&mut stack);
    stack.ok(&["init"]);
    let template = find(cache.path(), "hello.tpl").expect("in the cache");
    std::fs::remove_file(&template).expect("removed");
    std::fs::write(&template, "changed").expect("written");
    assert_eq!(greeting(&stack), "hello world");
}

fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(dir).ok()?.flatten().find_map(|entry| match entry.path() {
        path if path.is_dir() => find(&path, name),
        path => (path.file_name()? == name).then_some(path),
    })
}

#[test]
fn a_fetched_module_reads_its_package_and_the_stack_alone() {
    let repo = Repo::new(&[
        ("m/main.yaml", "variable: {f: {type: string}}\noutput: {t: {value: '${file(var.f)}'}}\n"),
        ("x.txt", "mine"),
    ]);
    let spec = |file: &str| {
        format!(
            "module: {{m: {{source: '{}', f: '{file}'}}}}\noutput: {{g: {{value: '${{module.m.t}}'}}}}\n",
            repo.source("//m")
        )
    };
    let outside = tempfile::tempdir().expect("a folder");
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "canary").expect("written");
    let stack = stack("").file("here.txt", "stack's");
    std::os::unix::fs::symlink(&secret, stack.path().join("link.txt")).expect("linked");
    let secret = secret.display().to_string();
    for file in [&*secret, "~/.ssh/id", "link.txt", "../x", "/etc/hostname"] {
        stack.write("main.yaml", &spec(file));
        stack.run(&["plan"]).must(1).says(&["neither in the package"]).says_not(&["canary"]);
    }
    for (file, expected) in [("here.txt", "stack's"), (".groma/modules/m/x.txt", "mine")] {
        stack.write("main.yaml", &spec(file));
        assert_eq!(greeting(&stack), expected);
    }
    // The same call from the stack itself reads what the user can.
    stack.write("main.yaml", &format!("output: {{g: {{value: '${{file(\"{secret}\")}}'}}}}\n"));
    assert_eq!(greeting(&stack), "canary");
}

#[test]
fn sources_of_a_package_stay_in_it() {
    let up = "module: {x: {source: ../../../x}}\n";
    let far = "module: {x: {source: 'git::file:///srv/other'}}\n";
    for (text, code) in
        [(up, "G0530"), (far, "G0521"), ("module: {x: {source: 'http://127.0.0.1:9/m.zip'}}\n", "G0521")]
    {
        let repo = Repo::new(&[("m/main.yaml", text)]);
        let stack = stack(&format!("module: {{m: {{source: '{}'}}}}\n", repo.source("//m")));
        stack.run(&["plan"]).must(1).says(&[code, ".groma/modules/m/m/main.yaml:1:"]);
    }
    let repo = Repo::new(&[("m/main.yaml", "locals: {a: 1}\n")]);
    let stack = stack(&format!("module: {{m: {{source: '{}'}}}}\n", repo.source("//n")));
    stack.run(&["plan"]).must(1).says(&["G0530", "no folder"]);
}

#[test]
fn links_out_of_a_repository_are_refused() {
    for target in ["/etc/passwd", "../../outside"] {
        let repo = Repo::new(&[("main.yaml", "locals: {a: 1}\n")]);
        std::os::unix::fs::symlink(target, repo.0.path().join("l")).expect("linked");
        repo.commit(&[]);
        let stack = stack(&format!("module: {{m: {{source: '{}'}}}}\n", repo.source("")));
        stack.run(&["plan"]).must(1).says(&["G0529", "outside of the package"]);
    }
}

#[test]
fn hostile_sources_run_nothing() {
    let stack = stack("");
    let mark = stack.path().join("pwned").display().to_string();
    for source in [
        format!("git::--upload-pack=touch {mark}"),
        format!("git::ext::sh -c touch% {mark}"),
        format!("git::ext::sh%20-c%20touch%20{mark}"),
        format!("git::ssh://-oProxyCommand=touch%20{mark}/x"),
        format!("git::file:///tmp?ref=--upload-pack=touch%20{mark}"),
        format!("git::file:///tmp?ref=x%0a--upload-pack=touch%20{mark}"),
        format!("git@-oProxyCommand=touch:{mark}"),
    ] {
        stack.write("main.yaml", &format!("module: {{m: {{source: \"{source}\"}}}}\n"));
        stack.run(&["plan"]).must(1).says(&["G0520"]);
        assert!(!stack.path().join("pwned").exists(), "{source}");
    }
    // What a repository itself says has no power over the program that fetches it.
    let repo = library();
    repo.commit(&[(".gitattributes", "* filter=evil\n"), (".lfsconfig", "[lfs]\nurl = file:///\n")]);
    let hook = repo.0.path().join(".git/hooks/post-checkout");
    std::fs::write(&hook, format!("#!/bin/sh\ntouch {mark}\n")).expect("written");
    repo.git(&["config", "core.sshCommand", &format!("touch {mark}")]);
    repo.git(&["config", "core.fsmonitor", &format!("touch {mark}")]);
    stack.write("main.yaml", &calling(&repo.source("//modules/app")));
    assert_eq!(greeting(&stack), "hello world");
    assert!(!stack.path().join("pwned").exists());
}

#[test]
fn variables_of_git_do_not_lead_it_elsewhere() {
    let (repo, other) = (library(), Repo::new(&[("x", "y")]));
    let dir = other.0.path().join(".git").display().to_string();
    let stack = stack(&calling(&repo.source("//modules/app?ref=v1.0.0")))
        .env("GIT_DIR", &dir)
        .env("GIT_WORK_TREE", &dir)
        .env("GIT_INDEX_FILE", "/nowhere")
        .env("GIT_ALLOW_PROTOCOL", "ext");
    assert_eq!(greeting(&stack), "hello world");
    assert_eq!(other.git(&["status", "--porcelain"]), "");
}

/// A `git` that notes its arguments and goes on to the real one.
fn noting_git(stack: &mut Stack) -> PathBuf {
    let dir = stack.path().join("bin");
    let log = stack.path().join("git.log");
    let path = std::env::var("PATH").expect("a PATH");
    let script = format!(
        "#!/bin/sh\nfor a in \"$@\"; do printf '%s ' \"$a\"; done >> {0}\necho >> {0}\nPATH='{path}' exec git \"$@\"\n",
        log.display()
    );
    stack.write("bin/git", &script);
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.join("git"), rights).expect("set");
    stack.set_env("PATH", &format!("{}:{path}", dir.display()));
    log
}

#[test]
fn each_source_is_fetched_once_however_often_it_is_called() {
    let repo = library();
    let one = repo.source("//modules/app?ref=v1.0.0");
    let two = repo.source("//modules/inner?ref=v1.0.0");
    let spec = format!(
        "module:\n  a: {{source: '{one}', name: a}}\n  b: {{source: '{one}', name: b}}\n  c: {{source: '{two}', name: c}}\n"
    );
    let mut stack = stack(&spec);
    let log = noting_git(&mut stack);
    stack.ok(&["init"]).says(&["  a: git::", "  b: ", "  c: "]);
    let calls = std::fs::read_to_string(&log).expect("calls");
    let count = |word: &str| calls.lines().filter(|l| l.contains(word)).count();
    assert_eq!((count(" ls-remote "), count(" fetch "), count(" checkout ")), (1, 1, 1), "{calls}");
    stack.ok(&["plan"]);
    assert_eq!(std::fs::read_to_string(&log).expect("calls"), calls, "nothing is asked again");
    assert_eq!(lock(&stack).matches("[[module]]").count(), 1);
}

#[test]
fn runs_at_the_same_time_share_the_cache() {
    let repo = library();
    let mut stack = stack(&calling(&repo.source("//modules/app?ref=v1.0.0")));
    let cache = empty_cache(&mut stack);
    let runs: Vec<_> = (0..4).map(|_| stack.start(&["validate"])).collect();
    for mut run in runs {
        assert!(run.wait().expect("it ends").success());
    }
    let entries = |name: &str| std::fs::read_dir(cache.path().join(name)).expect("a folder").count();
    assert_eq!((entries("modules"), entries("tmp")), (1, 0));
    assert_eq!(lock(&stack).matches("[[module]]").count(), 1);
}

#[test]
fn what_is_missing_is_said() {
    let repo = library();
    let mut stack = stack(&calling(&repo.source("//modules/app?ref=v1.0.0")));
    stack.set_env("PATH", "/nowhere");
    stack.run(&["plan"]).must(1).says(&["G0524", "git"]);
    for (spec, code) in [
        (format!("module: {{m: {{source: '{}', version: 1.0.0}}}}\n", repo.source("")), "G0522"),
        ("module: {m: {source: ./m, version: 1.0.0}}\n".into(), "G0522"),
        ("module: {m: {source: 's3::https://s3.amazonaws.com/b/m.zip'}}\n".into(), "G0521"),
        ("module: {m: {source: modules/m}}\n".into(), "G0520"),
        ("module: {m: {source: a/b/c, version: five}}\n".into(), "G0617"),
    ] {
        stack.write("main.yaml", &spec);
        stack.run(&["validate"]).must(1).says(&[code, "main.yaml:1:"]);
    }
    stack.write("main.yaml", &calling(&repo.source("//modules/app?ref=v1.0.0")));
    stack.write("groma.lock", "<<<<<<< HEAD\n");
    stack.run(&["plan"]).must(1).says(&["G0528", "groma.lock"]);
}

#[test]
fn a_fetched_module_runs_a_command_only_where_that_is_allowed() {
    let provider = "provider:\n  kubernetes:\n    host: https://127.0.0.1:1\n    exec: {api_version: client.authentication.k8s.io/v1, command: /bin/true}\n";
    let repo =
        Repo::new(&[("m/main.yaml", "module: {inner: {source: ../inner}}\n"), ("inner/main.yaml", provider)]);
    repo.tag("v1");
    let source = repo.source("//m?ref=v1");
    let pinned = repo.source("?ref=v1");
    let call = format!("module: {{m: {{source: '{source}'}}}}\n");
    let stack = stack(&call);
    for command in ["plan", "apply"] {
        stack.run(&[command]).must(1).says(&[
            "G0531",
            "module.m.module.inner.provider.kubernetes",
            "-allow-module-exec",
            &pinned,
        ]);
    }
    let told = [
        "warning[G0531]",
        "run commands on this machine",
        "module.m.module.inner.provider.kubernetes (exec)",
    ];
    stack.ok(&["plan", "-allow-module-exec"]).says(&told);
    for listed in [&source, &pinned] {
        stack.write("main.yaml", &format!("{call}groma: {{allow_exec: ['{listed}']}}\n"));
        stack.ok(&["plan"]).says(&told);
    }
    stack.write("main.yaml", &format!("{call}groma: {{allow_exec: ['git::https://h.example/x']}}\n"));
    stack.run(&["plan"]).must(1).says(&["G0531"]);
    // A program that a data source asks is asked only then, and one that has no instance asks nobody.
    let mark = stack.path().join("asked").display().to_string();
    let data = |count: u8| {
        format!(
            "data: {{external: {{x: {{count: {count}, program: [/bin/sh, -c, 'touch {mark}; echo {{}}']}}}}}}\noutput: {{r: {{value: 1}}}}\n"
        )
    };
    let asking = Repo::new(&[("main.yaml", &data(1)), ("none/main.yaml", &data(0))]);
    stack.write("main.yaml", &format!("module: {{m: {{source: '{}'}}}}\n", asking.source("//none")));
    stack.ok(&["plan"]).says_not(&["G0531"]);
    stack.write("main.yaml", &format!("module: {{m: {{source: '{}'}}}}\n", asking.source("")));
    stack.run(&["plan"]).must(1).says(&["G0531", "module.m.data.external.x[0]"]);
    assert!(!stack.path().join("asked").exists());
    stack.ok(&["plan", "-allow-module-exec"]).says(&["module.m.data.external.x[0] (external)"]);
    assert!(stack.path().join("asked").exists());
    // The stack's own modules run what the user wrote.
    stack.write("m/main.yaml", provider);
    stack.write("main.yaml", "module: {m: {source: ./m}}\n");
    stack.ok(&["plan"]).says_not(&["G0531"]);
}
