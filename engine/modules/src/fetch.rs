//! Brings packages into the cache: each once, several at a time, held against the lock.

use crate::address::{self, Address, Archive, GitRepository, Package, Trust};
use crate::cache::Cache;
use crate::git::{Git, bad_package};
use crate::http::Http;
use crate::lock::{Entry, Key, Lock};
use crate::registry::{self, Registry};
use crate::tree::Limits;
use crate::{Fault, archive, fault_with_help, not_fetched};
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use url::Url;

/// Packages that are fetched at a time.
const AT_ONCE: usize = 8;
/// Servers that may send on to each other by `X-Terraform-Get`.
const HOPS_MAX: usize = 3;

/// What a call names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub address: Address,
    pub constraint: Option<String>,
}

impl Wanted {
    /// Reads a call's source and version.
    ///
    /// # Errors
    /// They name nothing that is fetched.
    pub fn read(source: &str, version: Option<&str>, trust: Trust) -> Result<Wanted, Fault> {
        let address = address::parse(source, version, trust)?;
        Ok(Wanted { address, constraint: version.map(|v| v.trim().to_string()) })
    }

    pub fn key(&self) -> Key {
        Key { source: self.address.package.name(), constraint: self.constraint.clone() }
    }
}

/// A package in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub dir: PathBuf,
    pub entry: Entry,
}

/// What the lock may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// What is missing is added.
    Fill,
    /// What is missing is a fault.
    Locked,
    /// Everything is resolved anew.
    Upgrade,
}

/// Where and how packages are fetched.
pub struct Fetcher {
    pub cache: Cache,
    /// The environment, for git, proxies, certificates and tokens.
    pub vars: BTreeMap<String, String>,
    pub limits: Limits,
    pub policy: Policy,
}

/// What was got, before it is held against the lock.
struct Got {
    dir: PathBuf,
    entry: Entry,
}

impl Fetcher {
    /// Fetches packages: each key once, whatever fails.
    pub async fn fetch(&self, wanted: &[Wanted], lock: &Lock) -> BTreeMap<Key, Result<Fetched, Fault>> {
        let each: BTreeMap<Key, &Wanted> = wanted.iter().map(|w| (w.key(), w)).collect();
        let each = each.into_iter().map(|(key, wanted)| async move {
            let locked = lock.get(&key).filter(|_| self.policy != Policy::Upgrade);
            let fetched = self.one(&wanted.address.package, &key, locked).await;
            (key, fetched)
        });
        futures::stream::iter(each).buffer_unordered(AT_ONCE).collect().await
    }

    /// Names of packages that a fetch would ask their sources for.
    pub fn absent(&self, wanted: &[Wanted], lock: &Lock) -> Vec<String> {
        let is_there = |key: &Key| {
            self.policy != Policy::Upgrade && lock.get(key).is_some_and(|entry| self.cache.has(&entry.hash))
        };
        let keys: BTreeSet<Key> = wanted.iter().map(Wanted::key).filter(|key| !is_there(key)).collect();
        keys.iter().map(shown).collect()
    }

    async fn one(&self, package: &Package, key: &Key, locked: Option<&Entry>) -> Result<Fetched, Fault> {
        if let Some(entry) = locked
            && let Some(dir) = self.cache.find(&entry.hash)
        {
            return Ok(Fetched { dir, entry: entry.clone() });
        }
        if locked.is_none() && self.policy == Policy::Locked {
            return Err(fault_with_help(
                "G0527",
                "A module is not in groma.lock",
                format!("{} is not pinned, and with CI set nothing is pinned on the way.", shown(key)),
                "Run `groma init` where you work and commit groma.lock.",
            ));
        }
        let got = self.get(package, key, locked).await?;
        if let Some(locked) = locked.filter(|l| l.hash != got.entry.hash) {
            return Err(differs(key, "content", &locked.hash, &got.entry.hash));
        }
        Ok(Fetched { dir: got.dir, entry: got.entry })
    }

    async fn get(&self, package: &Package, key: &Key, locked: Option<&Entry>) -> Result<Got, Fault> {
        match package {
            Package::Git(repository) => self.git(repository, key, locked).await,
            Package::Archive(archive) => self.archive(&self.http()?, archive).await,
            Package::Web(url) => {
                let http = self.http()?;
                let named = self.sent_on(&http, url).await?;
                self.named(&http, named, key, None).await
            }
            Package::Registry(module) => {
                let http = self.http()?;
                let registry = Registry::discover(&http, module).await?;
                let version = match locked.and_then(|l| l.version.clone()) {
                    Some(version) => version,
                    None => registry.choose(key.constraint.as_deref()).await?,
                };
                let mut named = registry.location(&version).await?;
                if let Package::Web(url) = &named.package {
                    let folder = named.folder.clone();
                    named = self.sent_on(&http, url).await?;
                    named.folder = join_folders(&named.folder, &folder);
                }
                let mut got = self.named(&http, named, key, locked).await?;
                got.entry.version = Some(version);
                Ok(got)
            }
        }
    }

    /// A client is made where one is needed: its certificates take a while to read.
    fn http(&self) -> Result<Http, Fault> {
        Http::new(&self.vars)
    }

    /// What a registry or a server named in place of itself.
    async fn named(
        &self,
        http: &Http,
        named: Address,
        key: &Key,
        locked: Option<&Entry>,
    ) -> Result<Got, Fault> {
        let mut got = match &named.package {
            Package::Git(repository) => self.git(repository, key, locked).await?,
            Package::Archive(archive) => self.archive(http, archive).await?,
            Package::Web(_) | Package::Registry(_) => {
                return Err(not_fetched(&shown(key), "the server sends from one place to the next"));
            }
        };
        got.entry.folder = Some(named.folder).filter(|f| !f.is_empty());
        Ok(got)
    }

    async fn git(&self, repository: &GitRepository, key: &Key, locked: Option<&Entry>) -> Result<Got, Fault> {
        let git = Git::new(&self.vars, repository);
        let mut resolved = git.resolve().await?;
        if let Some(commit) = locked.and_then(|l| l.commit.as_ref())
            && *commit != resolved.commit
        {
            if resolved.is_tag {
                return Err(differs(key, "commit", commit, &resolved.commit));
            }
            // A branch moves on; the lock keeps its place.
            resolved.commit.clone_from(commit);
        }
        let identity = git.identity(&resolved.commit);
        let known = self.cache.known(&identity).and_then(|hash| Some((self.cache.find(&hash)?, hash)));
        let (hash, dir) = match known {
            Some((dir, hash)) => (hash, dir),
            None => {
                let temporary = self.cache.temporary()?;
                let into = temporary.path().join("package");
                git.fetch(&resolved, &into, self.limits).await?;
                self.cache.add(&into)?
            }
        };
        self.cache.remember(&identity, &hash);
        let entry = Entry { version: None, commit: Some(resolved.commit), folder: None, hash };
        Ok(Got { dir, entry })
    }

    async fn archive(&self, http: &Http, archive: &Archive) -> Result<Got, Fault> {
        let name = Package::Archive(archive.clone()).name();
        let temporary = self.cache.temporary()?;
        let kept = |e: std::io::Error| not_fetched(&name, &format!("it can't be kept: {e}"));
        let path = temporary.path().join("archive");
        let mut file = std::fs::File::create_new(&path).map_err(kept)?;
        http.download(&archive.url, &mut file, self.limits.download_bytes).await?;
        let into = temporary.path().join("package");
        std::fs::create_dir(&into).map_err(kept)?;
        let (kind, limits, file) = (archive.kind, self.limits, std::fs::File::open(&path).map_err(kept)?);
        let unpacked = {
            let into = into.clone();
            tokio::task::spawn_blocking(move || archive::unpack(file, kind, &into, limits)).await
        };
        let unpacked = unpacked.unwrap_or_else(|_| Err("unpacking it broke off".into()));
        unpacked.map_err(|why| bad_package(&name, &why))?;
        let (hash, dir) = self.cache.add(&into)?;
        Ok(Got { dir, entry: Entry { version: None, commit: None, folder: None, hash } })
    }

    /// Asks an address that is no archive where its package is, as Terraform does.
    async fn sent_on(&self, http: &Http, url: &Url) -> Result<Address, Fault> {
        let mut url = url.clone();
        let mut below = String::new();
        for _ in 0..HOPS_MAX {
            let mut asked = url.clone();
            asked.query_pairs_mut().append_pair("terraform-get", "1");
            let answer = http.ask(&asked, Default::default()).await?;
            let name = address::public_url(&url);
            if !answer.status.is_success() {
                return Err(not_fetched(&name, &format!("the server answered {}", answer.status)));
            }
            let named = answer.header("x-terraform-get").map(String::from);
            let named = named.or_else(|| meta(&String::from_utf8_lossy(&answer.body)));
            let named = named.ok_or_else(|| {
                not_fetched(&name, "it is no archive by its name, and the server does not say where one is (X-Terraform-Get)")
            })?;
            let found = registry::location(&answer.url, &named)?;
            below = join_folders(&found.folder, &below);
            match found.package {
                Package::Web(next) => url = next,
                package => return Ok(Address { package, folder: below }),
            }
        }
        Err(not_fetched(&address::public_url(&url), "the servers send from one place to the next"))
    }
}

/// `<meta name="terraform-get" content="…">`.
fn meta(html: &str) -> Option<String> {
    let pattern = regex::Regex::new(r#"(?i)<meta\s+name=["']terraform-get["']\s+content=["']([^"']+)["']"#);
    Some(pattern.expect("a pattern").captures(html)?.get(1)?.as_str().replace("&amp;", "&"))
}

fn join_folders(outer: &str, inner: &str) -> String {
    [outer, inner].iter().filter(|f| !f.is_empty()).copied().collect::<Vec<_>>().join("/")
}

fn shown(key: &Key) -> String {
    match &key.constraint {
        Some(constraint) => format!("{} ({constraint})", key.source),
        None => key.source.clone(),
    }
}

fn differs(key: &Key, what: &str, locked: &str, now: &str) -> Fault {
    fault_with_help(
        "G0526",
        "A module is not what groma.lock says",
        format!("{}: the {what} in groma.lock is {locked}, and the source gives {now} now.", shown(key)),
        "Find out why. To take what is there now, run `groma init -upgrade` and look at the change of groma.lock.",
    )
}

/// The folder of a module in its package. A part `*` is the one folder there.
///
/// # Errors
/// There is none, or several.
pub fn module_dir(package: &Path, folders: [&str; 2], name: &str) -> Result<PathBuf, Fault> {
    let none = |why: String| {
        fault_with_help("G0530", "A source leads out of its package", why, "Correct the part after //.")
    };
    let mut dir = package.to_path_buf();
    for part in folders.iter().flat_map(|f| f.split('/')).filter(|p| !p.is_empty()) {
        dir = match part {
            "*" => {
                let inside = std::fs::read_dir(&dir)
                    .map(|d| d.flatten().filter(|e| e.path().is_dir()).collect::<Vec<_>>());
                match inside.unwrap_or_default().as_slice() {
                    [one] => one.path(),
                    all => {
                        return Err(none(format!(
                            "{name}: `*` stands for one folder, and there are {}.",
                            all.len()
                        )));
                    }
                }
            }
            part => dir.join(part),
        };
    }
    let real = dir.canonicalize().ok().filter(|d| d.is_dir());
    let inside = real.zip(package.canonicalize().ok()).is_some_and(|(d, p)| d.starts_with(p));
    match inside {
        true => Ok(dir),
        false => {
            let folder = join_folders(folders[0], folders[1]);
            Err(none(format!("The package {name} has no folder {folder:?}.")))
        }
    }
}
