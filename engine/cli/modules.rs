//! Fetched modules of a stack: what its calls name is fetched, pinned and linked while the spec is read.
//!
//! A spec is read as often as its calls lead to new packages: each reading tells which are missing, all of them are
//! fetched at once, and it is read again.

use crate::args::Input;
use crate::command::spec;
use crate::render;
use crate::session::Session;
use crate::stack::Stack;
use groma_engine::config::load::{DiskFiles, FileReader, LoadRequest, load};
use groma_engine::config::packages::{Fetched, Package, PackageAnswer, PackageRequest};
use groma_engine::config::{Config, Module, ModulePath};
use groma_modules::address::Trust;
use groma_modules::cache::Cache;
use groma_modules::fetch::{self, Fetcher, Policy, Wanted, module_dir};
use groma_modules::lock::{Entry, Key, Lock};
use groma_modules::place::Place;
use groma_modules::tree::Limits;
use groma_modules::{Fault, lock};
use groma_types::{Diagnostic, Diagnostics, SourceMap, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A module that was fetched for a call.
#[derive(Clone, Debug)]
pub(crate) struct Used {
    pub(crate) key: Key,
    pub(crate) entry: Entry,
}

/// A spec that was read together with what it calls.
pub(crate) struct Read {
    pub(crate) config: Option<Config>,
    pub(crate) sources: SourceMap,
    pub(crate) diagnostics: Diagnostics,
    /// By the call.
    pub(crate) used: BTreeMap<ModulePath, Used>,
}

/// Reads a stack, and fetches what its calls name.
pub(crate) fn read(session: &Session, stack: &Stack, input: &Input, policy: Policy) -> Read {
    let files = StackFiles {
        session,
        input,
        stack,
        place: Place { lock: stack.root.join(lock::FILE), links: stack.links_dir() },
        got: RefCell::default(),
        missing: RefCell::default(),
        used: RefCell::default(),
    };
    let mut added = Lock::new();
    loop {
        let (config, sources, mut diagnostics) = load(LoadRequest { path: &stack.path, files: &files });
        let missing = files.missing.take();
        if missing.is_empty() {
            let is_upgrade = policy == Policy::Upgrade && !stack.is_file() && !diagnostics.has_errors();
            if let Err(fault) = files.pin(&added, is_upgrade) {
                diagnostics.push(*fault);
            }
            return Read { config, sources, diagnostics, used: files.used.take() };
        }
        files.used.borrow_mut().clear();
        let missing: Vec<Wanted> = missing.into_iter().collect();
        match fetch_all(session, &files.place, policy, &missing) {
            Ok(fetched) => {
                for (key, got) in &fetched {
                    added.extend(got.as_ref().ok().map(|got| (key.clone(), got.entry.clone())));
                }
                files.got.borrow_mut().extend(fetched);
            }
            Err(fault) => {
                let failed = missing.iter().map(|wanted| (wanted.key(), Err(fault.clone())));
                files.got.borrow_mut().extend(failed);
            }
        }
    }
}

/// The policy of a command that only needs its modules.
pub(crate) fn usual_policy(session: &Session) -> Policy {
    if session.settings.is_ci() { Policy::Locked } else { Policy::Fill }
}

type Got = BTreeMap<Key, Result<fetch::Fetched, Fault>>;

fn fetch_all(session: &Session, place: &Place, policy: Policy, wanted: &[Wanted]) -> Result<Got, Fault> {
    let lock = place.read()?;
    let no_home = || {
        let detail = "neither GROMA_CACHE_DIR nor XDG_CACHE_HOME nor HOME says where it is.";
        Box::new(Diagnostic::error("G0532", "The module cache cannot be used").detail(detail))
    };
    let fetcher = Fetcher {
        cache: Cache::new(session.settings.cache_dir().ok_or_else(no_home)?),
        vars: session.settings.vars.clone(),
        limits: Limits::default(),
        policy,
    };
    let absent = fetcher.absent(wanted, &lock);
    if !absent.is_empty() && policy != Policy::Locked {
        render::note_to_stderr(&format!("Fetching {}", render::text::listing(&absent)));
    }
    let stopped = || {
        let fault =
            Diagnostic::error("G0523", "A module cannot be fetched").detail("The run was interrupted.");
        Box::new(fault)
    };
    let work = async {
        tokio::select! {
            got = fetcher.fetch(wanted, &lock) => Ok(got),
            () = session.stop.reached(1) => Err(stopped()),
        }
    };
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

struct StackFiles<'a> {
    session: &'a Session,
    input: &'a Input,
    stack: &'a Stack,
    place: Place,
    got: RefCell<Got>,
    missing: RefCell<BTreeSet<Wanted>>,
    used: RefCell<BTreeMap<ModulePath, Used>>,
}

impl StackFiles<'_> {
    /// Writes what is new into the lock. An upgrade of a folder's stack leaves out what no call names any more.
    fn pin(&self, added: &Lock, is_upgrade: bool) -> Result<(), Fault> {
        if added.is_empty() && !is_upgrade {
            return Ok(());
        }
        let used: BTreeSet<Key> = self.used.borrow().values().map(|used| used.key.clone()).collect();
        self.place.change(|lock| {
            lock.extend(added.clone());
            if is_upgrade {
                lock.retain(|key, _| used.contains(key));
            }
        })
    }

    fn find(&self, request: PackageRequest<'_>) -> Result<Option<Fetched>, Fault> {
        let trust = if request.in_package { Trust::Foreign } else { Trust::Own };
        let wanted = Wanted::read(request.source, request.version, trust)?;
        let key = wanted.key();
        let got = match self.got.borrow().get(&key) {
            Some(got) => got.clone()?,
            None => {
                self.missing.borrow_mut().insert(wanted);
                return Ok(None);
            }
        };
        let unprepared = |e: io::Error| {
            let detail = format!("{}: {e}.", self.stack.links_dir().display());
            Box::new(Diagnostic::error("G0532", "The module cache cannot be used").detail(detail))
        };
        self.stack.prepare().map_err(unprepared)?;
        let link = self.place.link(&request.call.join("."), &got.dir)?;
        let inner = got.entry.folder.as_deref().unwrap_or_default();
        let dir = module_dir(&link, [inner, &wanted.address.folder], &key.source)?;
        let used = Used { key, entry: got.entry };
        self.used.borrow_mut().insert(request.call.clone(), used);
        let package = Package { source: wanted.address.package.name().into(), dir: link };
        Ok(Some(Fetched { package: Arc::new(package), dir }))
    }
}

impl FileReader for StackFiles<'_> {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        DiskFiles.list(dir)
    }
    fn read(&self, path: &Path) -> io::Result<String> {
        DiskFiles.read(path)
    }
    fn is_file(&self, path: &Path) -> bool {
        DiskFiles.is_file(path)
    }
    fn variables(&self, root: &Module) -> BTreeMap<Arc<str>, Value> {
        // What is wrong with a value is told when all of them are read.
        spec::values(self.session, self.input, root, &mut SourceMap::default()).0
    }
    fn package(&self, request: PackageRequest<'_>) -> PackageAnswer {
        match self.find(request) {
            Ok(Some(fetched)) => PackageAnswer::Here(fetched),
            Ok(None) => PackageAnswer::Pending,
            Err(fault) => PackageAnswer::Refused(fault),
        }
    }
}
