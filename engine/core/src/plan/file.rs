//! Saved plans: everything that an apply needs, so that nothing of it is read again.
//!
//! A saved plan holds the whole configuration (files, variables, the content of every file that a function read, the
//! time), what refresh and data sources found, what was approved, and the *read set*: digests of the state's entries
//! that it was made from. Planning is a function of these, so an apply makes the plan anew from the file and compares
//! it with what was approved; it is stale only if something of the read set has changed since.
//!
//! Sensitive values and the content of read files are sealed; ephemeral variables are not stored and given anew. A
//! digest of the whole stands before it, so that a damaged file is told from a sound one.

use super::Change;
use super::planner::block_of;
use super::whole::{self, Planned};
use crate::config::load::{LoadRequest, MemoryFiles, load};
use crate::config::packages::{Fetched, Package};
use crate::config::{Config, FileRecord, ModulePath};
use crate::exec::emit::Emitter;
use crate::facade::{Host, PlanOptions, RefreshMode};
use crate::refresh::Refreshed;
use crate::state::file::{Blob, FormError, from_bytes, open_value, seal_value, to_bytes};
use crate::state::seal::Keys;
use crate::state::{ObjectId, State};
use groma_lang::eval::FunctionHost;
use groma_provider::Object;
use groma_types::{InstanceAddr, Timestamp, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

const MAGIC: &[u8] = b"groma plan\n";
const FORMAT: u32 = 1;
/// Bytes of the digest between the magic and the body.
const SUM_LEN: usize = 32;

#[derive(Serialize, Deserialize)]
struct FileDto {
    format: u32,
    groma_version: String,
    at: i64,
    origin: OriginDto,
    shown: (String, String),
    /// Directory that the command was started in.
    cwd: String,
    root_dir: String,
    files: Vec<(String, String)>,
    packages: Vec<PackageDto>,
    variables: BTreeMap<String, Blob>,
    destroy: bool,
    refresh_only: bool,
    targets: Vec<String>,
    excludes: Vec<String>,
    replace: Vec<String>,
    allow_module_exec: bool,
    #[serde(default)]
    allow_recipe_exec: bool,
    refreshed: Vec<RefreshedDto>,
    data: Vec<(String, Blob)>,
    #[serde(default)]
    imports: Vec<ImportDto>,
    reads: BTreeMap<String, ReadDto>,
    approved: Vec<ApprovedDto>,
    read_set: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct OriginDto {
    path: String,
    is_file: bool,
    workspace: String,
    mode: String,
}

/// A module call whose module was fetched. Folders are absolute or from where the command runs, as the root's is.
#[derive(Serialize, Deserialize)]
struct PackageDto {
    call: Vec<String>,
    source: String,
    package_dir: String,
    module_dir: String,
}

/// Address and id of an import, and what was read for it: sealed attributes and private bytes.
type ImportDto = (String, String, Blob, String);

/// Object, and what was read of it: sealed attributes and private bytes; `None`: it is gone.
type RefreshedDto = (String, Option<(Blob, String)>);

#[derive(Clone, Serialize, Deserialize)]
enum ReadDto {
    Content(Blob),
    Exists(bool),
    Names(Vec<String>),
    Failed(String),
    Text(String),
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ApprovedDto {
    address: String,
    deposed: Option<String>,
    action: String,
    deferred: bool,
}

/// Where a plan belongs. It is read without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The stack, absolute: its folder or its one file.
    pub path: PathBuf,
    pub is_file: bool,
    pub workspace: String,
    /// The command's own word for which cloud it was made for.
    pub mode: String,
}

/// The plan as it was shown when it was made, for looking at it without the clouds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub text: String,
    pub json: String,
}

/// A saved plan, opened.
pub struct SavedPlan {
    dto: FileDto,
    variables: BTreeMap<Arc<str>, Value>,
    refreshed: BTreeMap<ObjectId, Refreshed>,
    data: BTreeMap<InstanceAddr, Value>,
    imports: BTreeMap<(InstanceAddr, Arc<str>), Object>,
    reads: BTreeMap<String, Answer>,
}

/// Why a saved plan can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SavedPlanError {
    /// The bytes are not a saved plan, or one of a newer groma.
    NotAPlan(String),
    /// Something that it was made from has changed.
    Stale(Vec<String>),
    /// What is planned from it is not what was approved.
    Differs(Vec<String>),
}

impl std::fmt::Display for SavedPlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SavedPlanError::NotAPlan(why) => write!(f, "it is not a plan that can be used: {why}"),
            SavedPlanError::Stale(what) => {
                write!(f, "it is stale, these have changed since: {}", what.join(", "))
            }
            SavedPlanError::Differs(what) => write!(f, "it would now do something else: {}", what.join(", ")),
        }
    }
}
impl std::error::Error for SavedPlanError {}

// ---- what functions read -------------------------------------------------------------------------------------------

#[derive(Clone)]
enum Answer {
    Content(Result<Vec<u8>, String>),
    Exists(Result<bool, String>),
    Names(Result<Vec<String>, String>),
    Real(Result<String, String>),
    Text(String),
}

/// Files as functions see them: every answer is remembered, and a remembered one is given again.
pub struct RecordingFiles {
    inner: Arc<dyn FunctionHost + Send + Sync>,
    reads: Mutex<BTreeMap<String, Answer>>,
}

impl RecordingFiles {
    pub fn new(inner: Arc<dyn FunctionHost + Send + Sync>) -> Arc<RecordingFiles> {
        Arc::new(RecordingFiles { inner, reads: Mutex::default() })
    }

    fn ask<T>(
        &self,
        key: String,
        wrap: fn(T) -> Answer,
        unwrap: fn(&Answer) -> Option<T>,
        ask: impl FnOnce() -> T,
    ) -> T
    where
        T: Clone,
    {
        let mut reads = self.reads.lock().expect("no holder of this lock panics");
        if let Some(known) = reads.get(&key).and_then(unwrap) {
            return known;
        }
        let answer = ask();
        reads.insert(key, wrap(answer.clone()));
        answer
    }
}

impl FunctionHost for RecordingFiles {
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        let unwrap = |a: &Answer| if let Answer::Content(c) = a { Some(c.clone()) } else { None };
        self.ask(format!("read {path}"), Answer::Content, unwrap, || self.inner.read_file(path))
    }
    fn file_exists(&self, path: &str) -> Result<bool, String> {
        let unwrap = |a: &Answer| if let Answer::Exists(e) = a { Some(e.clone()) } else { None };
        self.ask(format!("exists {path}"), Answer::Exists, unwrap, || self.inner.file_exists(path))
    }
    fn list_files(&self, base: &str) -> Result<Vec<String>, String> {
        let unwrap = |a: &Answer| if let Answer::Names(n) = a { Some(n.clone()) } else { None };
        self.ask(format!("list {base}"), Answer::Names, unwrap, || self.inner.list_files(base))
    }
    fn real_path(&self, path: &str) -> Result<String, String> {
        let unwrap = |a: &Answer| if let Answer::Real(r) = a { Some(r.clone()) } else { None };
        self.ask(format!("real {path}"), Answer::Real, unwrap, || self.inner.real_path(path))
    }
    fn base_dir(&self) -> String {
        let unwrap = |a: &Answer| if let Answer::Real(Ok(base)) = a { Some(base.clone()) } else { None };
        self.ask("base".to_string(), |base| Answer::Real(Ok(base)), unwrap, || self.inner.base_dir())
    }
    fn home_dir(&self) -> Option<String> {
        self.inner.home_dir()
    }
    fn timestamp(&self) -> Value {
        self.inner.timestamp()
    }
    fn plan_timestamp(&self) -> Value {
        let key = "plantimestamp".to_string();
        let known = self.reads.lock().expect("no holder of this lock panics").get(&key).cloned();
        if let Some(Answer::Text(text)) = known {
            return Value::string(text);
        }
        let value = self.inner.plan_timestamp();
        if let Some(text) = value.as_str() {
            let mut reads = self.reads.lock().expect("no holder of this lock panics");
            reads.insert(key, Answer::Text(text.to_string()));
        }
        value
    }
    fn uuid(&self) -> Value {
        self.inner.uuid()
    }
    fn bcrypt(&self, text: &str, cost: u32) -> Result<Value, String> {
        self.inner.bcrypt(text, cost)
    }
}

// ---- writing -------------------------------------------------------------------------------------------------------

/// Encodes a plan. `files` saw everything that functions read; sensitive values are hidden in what was `shown`.
///
/// # Errors
/// There is no key to seal with.
pub fn save(
    planned: &Planned,
    origin: &Origin,
    shown: &Shown,
    files: &RecordingFiles,
    keys: &mut Keys,
) -> Result<Vec<u8>, FormError> {
    let planner = &planned.planner;
    let config = planner.config();
    let options = &planner.options;
    let variables = options.variables.iter().filter(|(_, v)| !v.deep_marks().ephemeral);
    let mut sealed = BTreeMap::new();
    for (name, value) in variables {
        sealed.insert(name.to_string(), Blob(seal_value(keys, &format!("plan variable {name}"), value)?));
    }
    let dto = FileDto {
        format: FORMAT,
        groma_version: env!("CARGO_PKG_VERSION").into(),
        at: planned.plan.at.0,
        origin: OriginDto {
            path: origin.path.to_string_lossy().into_owned(),
            is_file: origin.is_file,
            workspace: origin.workspace.clone(),
            mode: origin.mode.clone(),
        },
        shown: (shown.text.clone(), shown.json.clone()),
        cwd: planner.host.cwd.clone(),
        root_dir: config.root_dir.to_string_lossy().into_owned(),
        files: config.files.iter().map(|f| (f.name.to_string(), f.text.to_string())).collect(),
        packages: config.packages.iter().map(package).collect(),
        variables: sealed,
        destroy: options.destroy,
        refresh_only: options.refresh_only,
        targets: options.targets.clone(),
        excludes: options.excludes.clone(),
        replace: options.replace.iter().map(ToString::to_string).collect(),
        allow_module_exec: options.allow_module_exec,
        allow_recipe_exec: options.allow_recipe_exec,
        refreshed: save_refreshed(planner, keys)?,
        data: save_data(planner, keys)?,
        imports: save_imports(planner, keys)?,
        reads: save_reads(files, keys)?,
        approved: planned.plan.changes.iter().map(|c| approved(c)).collect(),
        read_set: read_set(&planned.before, planner),
    };
    let body = to_bytes("a plan", &dto)?;
    Ok([MAGIC, digest(&body).as_ref(), &body].concat())
}

fn package((call, fetched): (&ModulePath, &Fetched)) -> PackageDto {
    PackageDto {
        call: call.iter().map(ToString::to_string).collect(),
        source: fetched.package.source.to_string(),
        package_dir: fetched.package.dir.to_string_lossy().into_owned(),
        module_dir: fetched.dir.to_string_lossy().into_owned(),
    }
}

fn fetched(dto: &PackageDto) -> (ModulePath, Fetched) {
    let package = Package { source: dto.source.as_str().into(), dir: PathBuf::from(&dto.package_dir) };
    let fetched = Fetched { package: Arc::new(package), dir: PathBuf::from(&dto.module_dir) };
    (dto.call.iter().map(|name| name.as_str().into()).collect(), fetched)
}

fn digest(bytes: &[u8]) -> aws_lc_rs::digest::Digest {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
}

fn save_refreshed(
    planner: &super::planner::Planner,
    keys: &mut Keys,
) -> Result<Vec<RefreshedDto>, FormError> {
    let mut out = Vec::new();
    for (id, refreshed) in &planner.refreshed {
        match refreshed {
            Refreshed::Present(seen) => {
                // Marks of the state's object say what is secret in what was read.
                let marked = planner.state.objects.get(id).map(|o| o.attributes.clone());
                let value = marked.map_or(seen.attributes.value().clone(), |m| {
                    crate::values::keep_marks(seen.attributes.value(), &m)
                });
                let blob = Blob(seal_value(keys, &format!("plan object {id}"), &value)?);
                out.push((id.to_string(), Some((blob, seen.private.to_string()))));
            }
            Refreshed::Gone => out.push((id.to_string(), None)),
            Refreshed::Failed(_) => {}
        }
    }
    Ok(out)
}

fn save_data(planner: &super::planner::Planner, keys: &mut Keys) -> Result<Vec<(String, Blob)>, FormError> {
    let mut out = Vec::new();
    for (address, value) in &planner.data_found {
        let scope = format!("plan data {address}");
        out.push((address.to_string(), Blob(seal_value(keys, &scope, value)?)));
    }
    Ok(out)
}

fn save_imports(planner: &super::planner::Planner, keys: &mut Keys) -> Result<Vec<ImportDto>, FormError> {
    let mut out = Vec::new();
    for ((address, id), seen) in &planner.imports_found {
        // Marks of the schema say what is secret in what was read.
        let marks = planner.state.at(address).map(|o| o.attributes.clone());
        let value = marks.map_or(seen.attributes.value().clone(), |m| {
            crate::values::keep_marks(seen.attributes.value(), &m)
        });
        let blob = Blob(seal_value(keys, &format!("plan import {address}"), &value)?);
        out.push((address.to_string(), id.to_string(), blob, seen.private.to_string()));
    }
    Ok(out)
}

fn save_reads(files: &RecordingFiles, keys: &mut Keys) -> Result<BTreeMap<String, ReadDto>, FormError> {
    let reads = files.reads.lock().expect("no holder of this lock panics").clone();
    let mut out = BTreeMap::new();
    for (key, answer) in reads {
        let dto = match answer {
            Answer::Content(Ok(bytes)) => {
                let sealed = keys
                    .seal_bytes(key.as_bytes(), &bytes)
                    .map_err(|e| FormError::Unstorable { what: "a file's content", why: e.to_string() })?;
                ReadDto::Content(Blob(sealed))
            }
            Answer::Exists(Ok(exists)) => ReadDto::Exists(exists),
            Answer::Names(Ok(names)) => ReadDto::Names(names),
            Answer::Text(text) | Answer::Real(Ok(text)) => ReadDto::Text(text),
            Answer::Content(Err(why))
            | Answer::Exists(Err(why))
            | Answer::Names(Err(why))
            | Answer::Real(Err(why)) => ReadDto::Failed(why),
        };
        out.insert(key, dto);
    }
    Ok(out)
}

fn approved(change: &Change) -> ApprovedDto {
    ApprovedDto {
        address: change.address.to_string(),
        deposed: change.deposed.as_ref().map(|d| d.to_string()),
        action: format!("{:?}", change.action),
        deferred: change.is_deferred(),
    }
}

/// Digests of the state's entries that a plan is made from.
fn read_set(state: &State, planner: &super::planner::Planner) -> BTreeMap<String, String> {
    let hash = |text: String| crate::state::seal::hex(digest(text.as_bytes()).as_ref());
    // Values with secrets in the clear have no place in a digest that lies open.
    let public = |v: &Value| v.map_deep(&mut |v| if v.marks().sensitive { Value::null(v.ty()) } else { v });
    let mut set = BTreeMap::new();
    for object in state.objects.values() {
        if planner.left_out.contains(&block_of(&object.address.resource)) {
            continue;
        }
        let bare = crate::state::Object { attributes: public(&object.attributes), ..object.clone() };
        set.insert(format!("{} ({})", object.address, object.id), hash(format!("{bare:?}")));
    }
    for (name, output) in &state.outputs {
        set.insert(format!("output {name}"), hash(format!("{:?}", public(&output.value))));
    }
    for (op, open) in &state.open {
        set.insert(format!("operation {} on {}", op.0, open.begin.address), String::new());
    }
    set
}

// ---- reading -------------------------------------------------------------------------------------------------------

/// Whether bytes look like a saved plan.
pub fn is_plan(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

fn decode(bytes: &[u8]) -> Result<FileDto, SavedPlanError> {
    let bad = |why: String| SavedPlanError::NotAPlan(why);
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| bad("it does not begin like one".into()))?;
    let (sum, body) = rest.split_at_checked(SUM_LEN).ok_or_else(|| bad("it is cut off".into()))?;
    if digest(body).as_ref() != sum {
        return Err(bad("it is damaged".into()));
    }
    let dto: FileDto = from_bytes("a plan", body).map_err(|e| bad(e.to_string()))?;
    if dto.format != FORMAT {
        return Err(bad(format!("format {} (this groma reads {FORMAT})", dto.format)));
    }
    Ok(dto)
}

/// Where a saved plan belongs, and how it was shown.
///
/// # Errors
/// It is no saved plan.
pub fn look(bytes: &[u8]) -> Result<(Origin, Shown), SavedPlanError> {
    let FileDto { origin, shown: (text, json), .. } = decode(bytes)?;
    let OriginDto { path, is_file, workspace, mode } = origin;
    Ok((Origin { path: path.into(), is_file, workspace, mode }, Shown { text, json }))
}

/// Decodes a saved plan.
///
/// # Errors
/// It is not one, or what is sealed in it does not open with the key at hand.
pub fn open(bytes: &[u8], keys: &Keys) -> Result<SavedPlan, SavedPlanError> {
    let bad = |why: String| SavedPlanError::NotAPlan(why);
    let dto = decode(bytes)?;
    let value = |scope: String, blob: &Blob| {
        let (value, lost) = open_value(keys, &scope, &blob.0).map_err(|e| bad(e.to_string()))?;
        if lost.is_empty() {
            Ok(value)
        } else {
            Err(bad("the key that sealed its secrets is not at hand".into()))
        }
    };
    let mut variables = BTreeMap::new();
    for (name, blob) in &dto.variables {
        variables.insert(name.as_str().into(), value(format!("plan variable {name}"), blob)?);
    }
    let mut data = BTreeMap::new();
    for (address, blob) in &dto.data {
        let parsed = address.parse::<InstanceAddr>().map_err(|e| bad(e.to_string()))?;
        data.insert(parsed, value(format!("plan data {address}"), blob)?);
    }
    let mut refreshed = BTreeMap::new();
    for (id, seen) in &dto.refreshed {
        let found = match seen {
            None => Refreshed::Gone,
            Some((blob, private)) => {
                let read = value(format!("plan object {id}"), blob)?;
                let attributes =
                    read.resolve().map_err(|u| bad(format!("{id} is not known at {}", u.path)))?;
                let private = serde_json::from_str(private).map_err(|e| bad(e.to_string()))?;
                Refreshed::Present(Box::new(Object { attributes, private }))
            }
        };
        refreshed.insert(ObjectId(id.as_str().into()), found);
    }
    let mut imports = BTreeMap::new();
    for (address, id, blob, private) in &dto.imports {
        let parsed = address.parse::<InstanceAddr>().map_err(|e| bad(e.to_string()))?;
        let read = value(format!("plan import {address}"), blob)?;
        let attributes = read.resolve().map_err(|u| bad(format!("{address} is not known at {}", u.path)))?;
        let private = serde_json::from_str(private).map_err(|e| bad(e.to_string()))?;
        imports.insert((parsed, Arc::from(id.as_str())), Object { attributes, private });
    }
    let reads = open_reads(&dto.reads, keys)?;
    Ok(SavedPlan { dto, variables, refreshed, data, imports, reads })
}

fn open_reads(
    reads: &BTreeMap<String, ReadDto>,
    keys: &Keys,
) -> Result<BTreeMap<String, Answer>, SavedPlanError> {
    let mut out = BTreeMap::new();
    for (key, dto) in reads {
        let answer = match dto {
            ReadDto::Content(blob) => {
                let opened = keys.open_bytes(key.as_bytes(), &blob.0);
                Answer::Content(Ok(opened.map_err(|e| SavedPlanError::NotAPlan(e.to_string()))?))
            }
            ReadDto::Exists(exists) => Answer::Exists(Ok(*exists)),
            ReadDto::Names(names) => Answer::Names(Ok(names.clone())),
            ReadDto::Text(text) if key.starts_with("real ") => Answer::Real(Ok(text.clone())),
            ReadDto::Text(text) => Answer::Text(text.clone()),
            ReadDto::Failed(why) if key.starts_with("read ") => Answer::Content(Err(why.clone())),
            ReadDto::Failed(why) if key.starts_with("exists ") => Answer::Exists(Err(why.clone())),
            ReadDto::Failed(why) if key.starts_with("real ") => Answer::Real(Err(why.clone())),
            ReadDto::Failed(why) => Answer::Names(Err(why.clone())),
        };
        out.insert(key.clone(), answer);
    }
    Ok(out)
}

impl SavedPlan {
    pub fn at(&self) -> Timestamp {
        Timestamp(self.dto.at)
    }
    pub fn is_destroy(&self) -> bool {
        self.dto.destroy
    }

    /// The configuration as it was.
    ///
    /// # Errors
    /// The files in the plan do not load.
    pub fn config(&self) -> Result<Config, SavedPlanError> {
        if self.dto.files.is_empty() {
            return Ok(Config::empty());
        }
        let root = PathBuf::from(&self.dto.root_dir);
        let records: Vec<FileRecord> = self
            .dto
            .files
            .iter()
            .map(|(name, text)| FileRecord { name: name.as_str().into(), text: text.as_str().into() })
            .collect();
        let packages = self.dto.packages.iter().map(fetched).collect();
        let files = MemoryFiles::of_records(&root, &records)
            .with_packages(packages)
            .with_variables(self.variables.clone());
        let path = if self.dto.origin.is_file { PathBuf::from(&self.dto.origin.path) } else { root };
        let (config, _, diagnostics) = load(LoadRequest { path: &path, files: &files });
        match config {
            Some(config) if !diagnostics.has_errors() => Ok(config),
            _ => Err(SavedPlanError::NotAPlan("its configuration does not load".into())),
        }
    }

    /// What was asked of the planner. Of the variables given now only ephemeral ones are taken.
    pub fn options(&self, given: &BTreeMap<Arc<str>, Value>) -> PlanOptions {
        let mut variables = self.variables.clone();
        variables.extend(
            given.iter().filter(|(_, v)| v.deep_marks().ephemeral).map(|(k, v)| (k.clone(), v.clone())),
        );
        PlanOptions {
            destroy: self.dto.destroy,
            refresh: RefreshMode::All,
            refresh_only: self.dto.refresh_only,
            targets: self.dto.targets.clone(),
            excludes: self.dto.excludes.clone(),
            allow_module_exec: self.dto.allow_module_exec,
            allow_recipe_exec: self.dto.allow_recipe_exec,
            strict: false,
            draft_imports: false,
            imports: BTreeMap::new(),
            replace: self.dto.replace.iter().filter_map(|a| a.parse().ok()).collect(),
            variables,
        }
    }

    /// Makes the plan anew from what is in the file, and compares it with what was approved.
    ///
    /// # Errors
    /// It is stale, or what comes out is not what was approved.
    pub async fn replan(
        &self,
        state: &State,
        given: &BTreeMap<Arc<str>, Value>,
        host: &Host,
        emitter: &Arc<Emitter>,
    ) -> Result<Planned, SavedPlanError> {
        let config = Arc::new(self.config()?);
        let options = PlanOptions { refresh: RefreshMode::None, ..self.options(given) };
        let mut host = Host { cwd: self.dto.cwd.clone(), ..host.clone() };
        let replay = RecordingFiles { inner: host.files.clone(), reads: Mutex::new(self.reads.clone()) };
        host.files = Arc::new(replay);
        let found = whole::Found {
            refreshed: self.refreshed.clone(),
            data: self.data.clone(),
            imports: self.imports.clone(),
        };
        let planned = whole::plan(Some(config), &options, state, &host, emitter, found).await;
        let now = read_set(state, &planned.planner);
        let changed: Vec<String> = self
            .dto
            .read_set
            .keys()
            .chain(now.keys())
            .filter(|k| self.dto.read_set.get(*k) != now.get(*k))
            .cloned()
            .collect();
        if !changed.is_empty() {
            return Err(SavedPlanError::Stale(changed));
        }
        let differs = self.differences(&planned);
        if differs.is_empty() { Ok(planned) } else { Err(SavedPlanError::Differs(differs)) }
    }

    fn differences(&self, planned: &Planned) -> Vec<String> {
        let key = |a: &ApprovedDto| (a.address.clone(), a.deposed.clone());
        let was: BTreeMap<_, _> = self.dto.approved.iter().map(|a| (key(a), a.action.clone())).collect();
        let now: BTreeMap<_, _> =
            planned.plan.changes.iter().map(|c| approved(c)).map(|a| (key(&a), a.action)).collect();
        let all: std::collections::BTreeSet<_> = was.keys().chain(now.keys()).collect();
        all.into_iter().filter(|k| was.get(*k) != now.get(*k)).map(|k| k.0.clone()).collect()
    }
}
