//! Packages from git repositories, through the user's `git`.
//!
//! The user's own configuration counts (credentials, `insteadOf`, ssh), the repository's does not: it is fetched into an
//! empty one of ours, with no templates and no hooks; submodules are fetched the same way, one by one. Only `https` and
//! `ssh` are spoken, whatever an address, a redirect or a rewriting says.
//!
//! Invariant: addresses and refs come checked from [`crate::address`], and stand behind `--` or in a full name.

use crate::address::{self, Address, GitRepository, Package, Trust, public_url};
use crate::tree::{Guard, Kind, Limits, seal};
use crate::{Fault, fault_with_help, not_fetched};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(15 * 60);

const SUBMODULES_MAX: usize = 50;
/// Submodules in each other.
const SUBMODULE_DEPTH_MAX: usize = 4;

/// Another repository that has its place in a commit.
struct Submodule {
    path: String,
    repository: GitRepository,
    commit: String,
}

/// A commit's files, and the paths of submodules with their commits.
type Looked = (Vec<(String, Kind)>, Vec<(String, String)>);

/// What a ref is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) commit: String,
    /// The full name to fetch; `None` where the commit was named.
    name: Option<String>,
    /// A tag: it should never become another commit.
    pub(crate) is_tag: bool,
}

pub(crate) struct Git<'a> {
    vars: &'a BTreeMap<String, String>,
    repository: &'a GitRepository,
}

/// Variables of git that say how to reach a server, not which repository or program to work with.
const KEPT: &[&str] =
    &["GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"];

fn is_kept(name: &str) -> bool {
    !name.starts_with("GIT_")
        || KEPT.contains(&name)
        || name.starts_with("GIT_CONFIG_") && name != "GIT_CONFIG_PARAMETERS"
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Git<'_> {
    pub(crate) fn new<'a>(vars: &'a BTreeMap<String, String>, repository: &'a GitRepository) -> Git<'a> {
        Git { vars, repository }
    }

    fn name(&self) -> String {
        Package::Git(self.repository.clone()).name()
    }

    fn failed(&self, why: &str) -> Fault {
        not_fetched(&self.name(), why)
    }

    fn command(&self, dir: Option<&Path>, args: &[&str]) -> Command {
        let protocols = if self.repository.url.scheme() == "file" { "file" } else { "https:ssh" };
        let mut command = Command::new("git");
        command.env_clear().envs(self.vars.iter().filter(|(k, _)| is_kept(k)));
        command
            .envs([("GIT_ALLOW_PROTOCOL", protocols), ("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C")])
            .envs([("GIT_LFS_SKIP_SMUDGE", "0"), ("GCM_INTERACTIVE", "never")]);
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "core.autocrlf=false",
            "core.symlinks=true",
            "core.protectHFS=true",
            "core.protectNTFS=true",
            "init.templateDir=",
            "submodule.recurse=false",
            "fetch.recurseSubmodules=false",
            "protocol.version=2",
            "gc.auto=0",
            "maintenance.auto=false",
            "advice.detachedHead=false",
        ] {
            command.arg("-c").arg(setting);
        }
        if let Some(dir) = dir {
            command.arg("-C").arg(dir);
        }
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs git to its end and gives what it printed.
    async fn run(&self, dir: Option<&Path>, args: &[&str]) -> Result<String, Fault> {
        let output = tokio::time::timeout(TIMEOUT, self.command(dir, args).output()).await;
        let output =
            output.map_err(|_| self.failed("git did not end in time"))?.map_err(|e| self.no_git(&e))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(self.failed(&self.complaint(&output.stderr))),
        }
    }

    fn no_git(&self, error: &std::io::Error) -> Fault {
        fault_with_help(
            "G0524",
            "git is not there",
            format!("{} is fetched by the program git, which does not start: {error}.", self.name()),
            "Install git, or see that it is in PATH.",
        )
    }

    /// What git said, in one line, without passwords.
    fn complaint(&self, stderr: &[u8]) -> String {
        let text = String::from_utf8_lossy(stderr);
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("warning:"));
        let said = lines.take(6).collect::<Vec<_>>().join("; ");
        let said = said.trim_end_matches('.').to_string();
        let url = &self.repository.url;
        let secrets = [url.password(), Some(url.username()).filter(|_| url.scheme() == "https")];
        secrets
            .into_iter()
            .flatten()
            .filter(|s| !s.is_empty())
            .fold(format!("git says: {said}"), |t, s| t.replace(s, "…"))
    }

    /// What the ref is now.
    pub(crate) async fn resolve(&self) -> Result<Resolved, Fault> {
        let reference = self.repository.reference.as_deref();
        if let Some(commit) = reference.filter(|r| is_commit(r)) {
            return Ok(Resolved { commit: commit.to_lowercase(), name: None, is_tag: false });
        }
        let mut args = vec!["ls-remote", "--", self.repository.url.as_str()];
        let bare = reference.map(|r| r.trim_start_matches("refs/tags/").trim_start_matches("refs/heads/"));
        let names = match (reference, bare) {
            (Some(full), _) if full.starts_with("refs/") => vec![full.to_string(), format!("{full}^{{}}")],
            (Some(_), Some(name)) => {
                vec![
                    format!("refs/tags/{name}^{{}}"),
                    format!("refs/tags/{name}"),
                    format!("refs/heads/{name}"),
                ]
            }
            _ => vec!["HEAD".to_string()],
        };
        args.extend(names.iter().map(String::as_str));
        let listed = self.run(None, &args).await?;
        let listed: BTreeMap<&str, &str> = listed
            .lines()
            .filter_map(|l| l.split_once('\t'))
            .map(|(commit, name)| (name.trim(), commit))
            .collect();
        let peeled = |name: &str| listed.get(format!("{name}^{{}}").as_str()).copied();
        let named = names.iter().filter(|n| !n.ends_with("^{}"));
        let found =
            named.filter_map(|n| Some((n, peeled(n).or_else(|| listed.get(n.as_str()).copied())?))).next();
        if let Some((name, commit)) = found.filter(|(_, commit)| is_commit(commit)) {
            let is_tag = name.starts_with("refs/tags/");
            return Ok(Resolved { commit: commit.into(), name: Some(name.clone()), is_tag });
        }
        match reference {
            Some(short) if short.len() >= 7 && short.bytes().all(|b| b.is_ascii_hexdigit()) => {
                self.resolve_short(short).await
            }
            Some(name) => {
                Err(self.failed(&format!("the repository has neither a tag nor a branch {name:?}")))
            }
            None => Err(self.failed("the repository is empty")),
        }
    }

    /// The commit that a shortened name stands for: only the repository's history tells.
    async fn resolve_short(&self, short: &str) -> Result<Resolved, Fault> {
        let dir = tempfile::tempdir().map_err(|e| self.failed(&e.to_string()))?;
        self.run(None, &["init", "-q", "--bare", "--", &dir.path().to_string_lossy()]).await?;
        self.fetch_all(dir.path(), &["--filter=tree:0"]).await?;
        let found = self
            .run(Some(dir.path()), &["rev-parse", "--verify", "-q", &format!("{short}^{{commit}}")])
            .await;
        match found.map(|text| text.trim().to_string()) {
            Ok(commit) if is_commit(&commit) => Ok(Resolved { commit, name: None, is_tag: false }),
            _ => Err(self.failed(&format!("the repository has no tag, branch or commit {short:?}"))),
        }
    }

    async fn fetch_all(&self, dir: &Path, flags: &[&str]) -> Result<String, Fault> {
        let all = ["+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"];
        let mut args = vec!["fetch", "-q", "--no-tags", "--no-recurse-submodules"];
        args.extend(flags);
        args.extend(["--", self.repository.url.as_str()]);
        args.extend(all);
        self.run(Some(dir), &args).await
    }

    /// Puts a commit's files, and those of its submodules, into a folder that is empty or not there yet.
    pub(crate) async fn fetch(&self, resolved: &Resolved, into: &Path, limits: Limits) -> Result<(), Fault> {
        self.fetch_at_depth(resolved, into, limits, 0).await
    }

    async fn fetch_at_depth(
        &self,
        resolved: &Resolved,
        into: &Path,
        limits: Limits,
        depth: usize,
    ) -> Result<(), Fault> {
        let submodules = self.fetch_own(resolved, into, limits).await?;
        if depth >= SUBMODULE_DEPTH_MAX && !submodules.is_empty() {
            return Err(self.bad("its submodules have submodules without end"));
        }
        for Submodule { path, repository, commit } in submodules {
            let resolved = Resolved { commit, name: None, is_tag: false };
            let git = Git { vars: self.vars, repository: &repository };
            Box::pin(git.fetch_at_depth(&resolved, &into.join(path), limits, depth + 1)).await?;
        }
        Ok(())
    }

    async fn fetch_own(
        &self,
        resolved: &Resolved,
        into: &Path,
        limits: Limits,
    ) -> Result<Vec<Submodule>, Fault> {
        let text = into.to_string_lossy().into_owned();
        self.run(None, &["init", "-q", "--", &text]).await?;
        let commit = resolved.commit.as_str();
        let has = async || {
            let found =
                self.run(Some(into), &["rev-parse", "--verify", "-q", &format!("{commit}^{{commit}}")]).await;
            found.is_ok_and(|t| t.trim() == commit)
        };
        let depth = self.repository.depth.unwrap_or(1).to_string();
        for what in [resolved.name.as_deref(), Some(commit)].into_iter().flatten() {
            let url = self.repository.url.as_str();
            let args =
                ["fetch", "-q", "--no-tags", "--no-recurse-submodules", "--depth", &depth, "--", url, what];
            // A server may give no commit that is not named by a ref; then all of them are asked for.
            if self.run(Some(into), &args).await.is_ok() && has().await {
                return self.check_out(commit, into, limits).await;
            }
        }
        if self.fetch_all(into, &["--unshallow"]).await.is_err() {
            self.fetch_all(into, &[]).await?;
        }
        match has().await {
            true => self.check_out(commit, into, limits).await,
            false => Err(self.failed(&format!("the repository has no commit {commit}"))),
        }
    }

    async fn check_out(&self, commit: &str, into: &Path, limits: Limits) -> Result<Vec<Submodule>, Fault> {
        let (files, links) = self.look(commit, into, limits).await?;
        self.run(Some(into), &["checkout", "-q", "-f", "--detach", commit]).await?;
        let cleaned = std::fs::remove_dir_all(into.join(".git"));
        cleaned.map_err(|e| self.failed(&format!("the copy can't be cleaned: {e}")))?;
        for (path, kind) in files {
            let at = into.join(&path);
            if kind == Kind::Link {
                let target = std::fs::read_link(&at).map_err(|e| self.failed(&format!("{path}: {e}")))?;
                let guard = Guard::new(limits);
                guard.link(&path, &target.to_string_lossy()).map_err(|why| self.bad(&why))?;
            } else {
                seal(&at, kind).map_err(|e| self.failed(&format!("{path}: {e}")))?;
            }
        }
        self.submodules(into, links).await
    }

    /// Where the submodules are that a commit links to, by its `.gitmodules`.
    async fn submodules(&self, into: &Path, links: Vec<(String, String)>) -> Result<Vec<Submodule>, Fault> {
        if links.is_empty() {
            return Ok(Vec::new());
        }
        if links.len() > SUBMODULES_MAX {
            return Err(self.bad(&format!("it has more than {SUBMODULES_MAX} submodules")));
        }
        let keys = r"^submodule\..*\.(path|url)$";
        let args = ["config", "--no-includes", "--file", ".gitmodules", "-z", "--get-regexp", keys];
        let listed = self.run(Some(into), &args).await.unwrap_or_default();
        let mut named: BTreeMap<&str, [Option<&str>; 2]> = BTreeMap::new();
        for (key, value) in listed.split('\0').filter_map(|entry| entry.split_once('\n')) {
            if let Some(name) = key.strip_suffix(".path") {
                named.entry(name).or_default()[0] = Some(value);
            } else if let Some(name) = key.strip_suffix(".url") {
                named.entry(name).or_default()[1] = Some(value);
            }
        }
        let urls: BTreeMap<&str, &str> =
            named.values().filter_map(|[path, url]| Some(((*path)?, (*url)?))).collect();
        let one = |(path, commit): (String, String)| {
            let url = urls.get(path.trim_end_matches('/'));
            let url = url
                .ok_or_else(|| self.bad(&format!("the submodule {path:?} has no address in .gitmodules")))?;
            Ok(Submodule { repository: self.submodule(&path, url)?, path, commit })
        };
        links.into_iter().map(one).collect()
    }

    /// A submodule's repository: by the same rules as a source in a fetched module.
    fn submodule(&self, path: &str, url: &str) -> Result<GitRepository, Fault> {
        let base = &self.repository.url;
        let url = match url.starts_with("./") || url.starts_with("../") {
            true => Url::parse(&format!("{}/", base.as_str().trim_end_matches('/')))
                .and_then(|base| base.join(url))
                .map_err(|e| self.bad(&format!("the address of the submodule {path:?} is none: {e}")))?
                .to_string(),
            false => url.to_string(),
        };
        let trust = if base.scheme() == "file" { Trust::Own } else { Trust::Foreign };
        match address::parse(&format!("git::{url}"), None, trust)? {
            Address { package: Package::Git(repository), folder } if folder.is_empty() => Ok(repository),
            _ => Err(self.bad(&format!("the address of the submodule {path:?} is none of a repository"))),
        }
    }

    fn bad(&self, why: &str) -> Fault {
        bad_package(&self.name(), why)
    }

    /// Looks at a commit's files before one of them is on disk.
    async fn look(&self, commit: &str, dir: &Path, limits: Limits) -> Result<Looked, Fault> {
        let mut child = self
            .command(Some(dir), &["ls-tree", "-r", "-l", "-z", commit])
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| self.no_git(&e))?;
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).split(0);
        let mut guard = Guard::new(limits);
        let (mut files, mut submodules) = (Vec::new(), Vec::new());
        while let Some(line) = lines.next_segment().await.map_err(|e| self.failed(&e.to_string()))? {
            let line = String::from_utf8(line).map_err(|_| self.bad("a name in it is not UTF-8"))?;
            let (head, path) =
                line.split_once('\t').ok_or_else(|| self.failed("git's list can't be read"))?;
            let mut words = head.split_whitespace();
            let mode = words.next().unwrap_or_default();
            let object = words.nth(1).unwrap_or_default();
            let bytes = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            let kind = match mode {
                "120000" => Kind::Link,
                "100755" => Kind::Executable,
                "160000" => Kind::Folder,
                _ => Kind::File,
            };
            let path = guard.entry(path, kind).map_err(|why| self.bad(&why))?;
            guard.content(bytes).map_err(|why| self.bad(&why))?;
            match path {
                Some(path) if kind == Kind::Folder => submodules.push((path, object.to_string())),
                Some(path) => files.push((path, kind)),
                None => {}
            }
        }
        let ended = child.wait().await.map_err(|e| self.failed(&e.to_string()))?;
        if ended.success() {
            Ok((files, submodules))
        } else {
            Err(self.failed("git can't list the commit's files"))
        }
    }

    /// What a commit is remembered by.
    pub(crate) fn identity(&self, commit: &str) -> String {
        format!("git {} {commit}", public_url(&self.repository.url))
    }
}

pub(crate) fn bad_package(name: &str, why: &str) -> Fault {
    fault_with_help(
        "G0529",
        "A package breaks the rules",
        format!("{name}: {why}."),
        "Tell its author; a copy of the part that is needed can stand in the stack.",
    )
}
