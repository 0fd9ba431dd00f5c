//! From files to a [`Config`]: which files are read, and how modules call each other.
//!
//! Files come through a [`FileReader`]: the disk, or the records of a saved plan, which is replayed without a disk.

use super::decode::{self, Decoded, RawCall};
use super::fixed::{Frame, Given};
use super::gather::{Document, Surface};
use super::packages::{self, Fetched, Package, PackageAnswer, PackageRequest};
use super::values::{expression, unknown_key};
use super::{Config, FileRecord, Module, ModuleCall, ModulePath};
use groma_lang::document::{parse_json, parse_native, parse_yaml};
use groma_lang::expr::Expr;
use groma_types::version::Constraint;
use groma_types::{Diagnostic, Diagnostics, SourceMap, Span, Value};
use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Module calls inside each other.
const DEPTH_MAX: usize = 32;
/// Module calls in all: those inside each other multiply, so that a few short files make more than any machine can hold.
const CALLS_MAX: usize = 20_000;
/// Bytes of a file. What is read of it takes up to some hundred times as much memory.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// What to load.
#[derive(Clone, Copy)]
pub struct LoadRequest<'a> {
    /// The stack: a folder, or one file.
    pub path: &'a Path,
    pub files: &'a dyn FileReader,
}

/// Where files come from.
pub trait FileReader {
    /// Names of the files in a folder, without folders.
    ///
    /// # Errors
    /// The folder is not there or cannot be read.
    fn list(&self, dir: &Path) -> std::io::Result<Vec<String>>;
    /// # Errors
    /// The file is not there, cannot be read, is not UTF-8, or larger than any spec.
    fn read(&self, path: &Path) -> std::io::Result<String>;
    fn is_file(&self, path: &Path) -> bool;
    /// Values of the root's variables, where a source or a version of a module needs one; what is absent has its
    /// default or none.
    fn variables(&self, _root: &Module) -> BTreeMap<Arc<str>, Value> {
        BTreeMap::new()
    }
    /// Where the files of a package are that a module call names.
    fn package(&self, request: PackageRequest<'_>) -> PackageAnswer {
        let fault = Diagnostic::error("G0523", "A module cannot be fetched")
            .detail(format!("{:?} is not at hand, and nothing is fetched here.", request.source));
        PackageAnswer::refused(fault)
    }
}

/// Why bytes are no text: what can be shown of them, and where the first wrong one stands.
#[derive(Debug)]
struct NotUtf8 {
    lossy: Arc<str>,
    at: usize,
}

impl std::fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it is not UTF-8 text")
    }
}
impl std::error::Error for NotUtf8 {}

/// Reads no more of a file than a spec may have.
fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let why = format!("it has more than {} MiB, the most that is read of one file", FILE_BYTES_MAX >> 20);
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// The disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFiles;

impl FileReader for DiskFiles {
    fn list(&self, dir: &Path) -> std::io::Result<Vec<String>> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            // A link to a file counts as one; a broken link must not pass for a file that nobody wrote.
            let counts = std::fs::metadata(entry.path()).map_or(true, |m| m.is_file());
            if counts && let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }
    fn read(&self, path: &Path) -> std::io::Result<String> {
        let not_text = |error: std::string::FromUtf8Error| {
            let at = error.utf8_error().valid_up_to();
            let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned().into();
            std::io::Error::new(std::io::ErrorKind::InvalidData, NotUtf8 { lossy, at })
        };
        String::from_utf8(bytes(path)?).map_err(not_text)
    }
    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }
}

/// Files that are kept in memory: tests, saved plans.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<PathBuf, Arc<str>>,
    packages: BTreeMap<ModulePath, Fetched>,
    variables: BTreeMap<Arc<str>, Value>,
}

impl MemoryFiles {
    pub fn new<P: AsRef<Path>, T: Into<Arc<str>>>(files: impl IntoIterator<Item = (P, T)>) -> MemoryFiles {
        let files = files.into_iter().map(|(p, t)| (normal(p.as_ref()), t.into())).collect();
        MemoryFiles { files, ..MemoryFiles::default() }
    }

    /// With the modules that calls named which are not local.
    #[must_use]
    pub fn with_packages(self, packages: BTreeMap<ModulePath, Fetched>) -> MemoryFiles {
        MemoryFiles { packages, ..self }
    }

    /// With the values of the root's variables.
    #[must_use]
    pub fn with_variables(self, variables: BTreeMap<Arc<str>, Value>) -> MemoryFiles {
        MemoryFiles { variables, ..self }
    }

    /// The files of a config that was loaded from `root_dir`.
    pub fn of_records(root_dir: &Path, records: &[FileRecord]) -> MemoryFiles {
        MemoryFiles::new(records.iter().map(|r| (root_dir.join(&*r.name), r.text.clone())))
    }
}

impl FileReader for MemoryFiles {
    fn list(&self, dir: &Path) -> std::io::Result<Vec<String>> {
        let dir = normal(dir);
        let inside = self.files.keys().filter(|p| p.parent() == Some(&dir));
        let names: Vec<String> =
            inside.filter_map(|p| p.file_name().and_then(|n| n.to_str()).map(String::from)).collect();
        if names.is_empty() && !self.files.keys().any(|p| p.starts_with(&dir)) {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        Ok(names)
    }
    fn read(&self, path: &Path) -> std::io::Result<String> {
        let found = self.files.get(&normal(path)).map(|t| t.to_string());
        found.ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(&normal(path))
    }
    fn variables(&self, _root: &Module) -> BTreeMap<Arc<str>, Value> {
        self.variables.clone()
    }
    fn package(&self, request: PackageRequest<'_>) -> PackageAnswer {
        match self.packages.get(request.call) {
            Some(found) => PackageAnswer::Here(found.clone()),
            None => DiskFiles.package(request),
        }
    }
}

/// The path without `.` and without `x/..`.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// Reads a stack and all modules that it calls.
///
/// The config is there if every text could be read. Where the diagnostics hold errors it lacks what they tell of:
/// it is good for finding more of them ([`super::check::check_after`]) and for nothing else.
pub fn load(request: LoadRequest<'_>) -> (Option<Config>, SourceMap, Diagnostics) {
    let single = request.files.is_file(request.path);
    let root_dir = if single { request.path.parent().unwrap_or(Path::new("")) } else { request.path };
    let root_dir = normal(root_dir);
    let mut loader = Loader {
        files: request.files,
        root_dir: root_dir.clone(),
        sources: SourceMap::default(),
        records: Vec::new(),
        modules: BTreeMap::new(),
        packages: BTreeMap::new(),
        recorded: HashSet::new(),
        calls: 0,
        is_whole: true,
        out: Diagnostics::new(),
    };
    let names = if single {
        vec![request.path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_string()]
    } else {
        loader.spec_files(&root_dir, None)
    };
    let root = Found { dir: root_dir.clone(), package: None };
    let ask = |root: &Module| request.files.variables(root);
    loader.module(ModulePath::new(), root, &names, &mut Vec::new(), Given::root(&ask));
    let Loader { sources, records, modules, packages, is_whole, out, .. } = loader;
    let config =
        is_whole.then(|| Config { sources: sources.clone(), root_dir, modules, packages, files: records });
    (config, sources, told_once(out))
}

/// Leaves out what only follows from a fault of the text at the same place: a second key is a name declared twice, too.
fn told_once(all: Diagnostics) -> Diagnostics {
    let place = |d: &Diagnostic| d.labels.first().map(|l| l.span);
    let of_text: HashSet<_> = all.iter().filter(|d| d.is_error() && !stops(d)).filter_map(place).collect();
    let mut kept = Diagnostics::new();
    kept.extend(all.into_iter().filter(|d| {
        let is_of_text = d.is_error() && !stops(d);
        is_of_text || place(d).is_none_or(|p| !of_text.contains(&p))
    }));
    kept
}

/// What the name of a file says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    Yaml,
    Json,
    /// Terraform's native syntax.
    Native,
}

fn file_kind(name: &str) -> Option<FileKind> {
    if name.starts_with('.') || name.ends_with('~') || (name.starts_with('#') && name.ends_with('#')) {
        return None;
    }
    let yaml = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    match yaml {
        Some(stem) if stem.ends_with(".vars") || stem.ends_with(".test") || stem.is_empty() => None,
        Some(_) => Some(FileKind::Yaml),
        None if name.ends_with(".tf.json") => Some(FileKind::Json),
        None if name.ends_with(".tf") => Some(FileKind::Native),
        None => None,
    }
}

/// The name without what says its syntax.
pub(super) fn stem(name: &str) -> &str {
    [".yaml", ".yml", ".tf.json", ".tf"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn is_override(name: &str) -> bool {
    stem(name) == "override" || stem(name).ends_with("_override")
}

/// A module's folder, and the package that it is in.
struct Found {
    dir: PathBuf,
    package: Option<Arc<Package>>,
}

impl Found {
    /// What tells a module from another one: its folder, or that of its package, which lies elsewhere for each call.
    fn identity(&self) -> PathBuf {
        match &self.package {
            Some(package) => {
                Path::new(&*package.source).join(self.dir.strip_prefix(&package.dir).unwrap_or(&self.dir))
            }
            None => self.dir.clone(),
        }
    }
}

struct Loader<'a> {
    files: &'a dyn FileReader,
    root_dir: PathBuf,
    sources: SourceMap,
    records: Vec<FileRecord>,
    /// Names of the records.
    recorded: HashSet<Arc<str>>,
    /// Module calls so far.
    calls: usize,
    modules: BTreeMap<ModulePath, Module>,
    packages: BTreeMap<ModulePath, Fetched>,
    /// Every file was there and read to its end.
    is_whole: bool,
    out: Diagnostics,
}

impl Loader<'_> {
    /// Names of the spec files in a folder, in the order in which they are read.
    fn spec_files(&mut self, dir: &Path, call: Option<Span>) -> Vec<String> {
        let mut names = match self.files.list(dir) {
            Ok(names) => names,
            Err(error) => {
                let mut fault = Diagnostic::error("G0510", "The folder cannot be read")
                    .detail(format!("{}: {error}.", dir.display()));
                if let Some(span) = call {
                    fault = fault.at(span, "called here");
                }
                self.out.push(fault);
                return Vec::new();
            }
        };
        names.retain(|n| file_kind(n).is_some());
        names.sort();
        if names.is_empty() {
            let mut fault = Diagnostic::error("G0511", "No spec in the folder")
                .detail(format!("{} has no .tf, .tf.json, .yaml or .yml file.", shown(dir)))
                .help("Write a main.yaml or main.tf there, or name another folder.");
            if let Some(span) = call {
                fault = fault.at(span, "called here");
            }
            self.out.push(fault);
        }
        names
    }

    /// The name of a file for people and records: relative to the stack.
    fn shown_name(&self, path: &Path) -> String {
        relative(&self.root_dir, &normal(path))
    }

    /// Reads one module and those that it calls.
    fn module(
        &mut self,
        path: ModulePath,
        found: Found,
        names: &[String],
        ancestors: &mut Vec<PathBuf>,
        given: Given<'_>,
    ) {
        let documents = self.documents(&found.dir, names);
        let (is_whole, is_root) = (self.is_whole, path.is_empty());
        let Decoded { mut module, calls } = decode::module(&documents, is_whole, is_root, &mut self.out);
        module.path = path.clone();
        ancestors.push(found.identity());
        module.dir = found.dir;
        module.package = found.package;
        let root_dir = self.root_dir.clone();
        let frame = Frame::new(&module, &root_dir, given);
        let calls: Vec<ModuleCall> = calls.into_iter().map(|raw| self.call(&frame, raw, ancestors)).collect();
        module.calls = calls.into_iter().map(|call| (call.name.clone(), call)).collect();
        ancestors.pop();
        self.modules.insert(path, module);
    }

    fn documents(&mut self, dir: &Path, names: &[String]) -> Vec<Document> {
        let mut documents = Vec::new();
        for name in names {
            let path = dir.join(name);
            let text: Arc<str> = match self.files.read(&path) {
                Ok(text) => text.into(),
                Err(error) => {
                    self.unreadable(&path, &error);
                    continue;
                }
            };
            let shown: Arc<str> = self.shown_name(&path).into();
            let source = self.sources.add(shown.clone(), text.clone());
            if self.recorded.insert(shown.clone()) {
                self.records.push(FileRecord { name: shown, text: text.clone() });
            }
            let (surface, nodes) = match file_kind(name) {
                Some(FileKind::Json) => {
                    let (node, faults) = parse_json(source, &text);
                    self.is_whole &= !faults.iter().any(stops);
                    self.out.extend(faults);
                    (Surface::Json, node.into_iter().collect())
                }
                Some(FileKind::Native) => {
                    let (node, faults) = parse_native(source, &text);
                    self.is_whole &= !faults.iter().any(stops);
                    self.out.extend(faults);
                    (Surface::Native, vec![node])
                }
                _ => {
                    let (nodes, faults) = parse_yaml(source, &text);
                    self.is_whole &= !faults.iter().any(stops);
                    self.out.extend(faults);
                    (Surface::Yaml, nodes)
                }
            };
            let overrides = is_override(name);
            let file: Arc<str> = name.as_str().into();
            documents.extend(nodes.into_iter().map(|node| Document {
                file: file.clone(),
                surface,
                overrides,
                node,
            }));
        }
        documents
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.is_whole = false;
        let name = self.shown_name(path);
        let fault = Diagnostic::error("G0514", "A file cannot be read");
        let fault = match error.get_ref().and_then(|e| e.downcast_ref::<NotUtf8>()) {
            Some(NotUtf8 { lossy, at }) => {
                let source = self.sources.add(name, lossy.clone());
                fault
                    .detail("A spec is UTF-8 text; this byte and those after it are not.")
                    .help("Save the file as UTF-8. If it is not a spec, move it out of the stack's folder.")
                    .at(Span::new(source, *at, *at + char::REPLACEMENT_CHARACTER.len_utf8()), "not UTF-8")
            }
            None if error.kind() == std::io::ErrorKind::FileTooLarge => fault
                .detail(format!("{name}: {error}."))
                .help("Split it: the files of a folder are read as one. If it is not a spec, move it out of the stack's folder."),
            None => fault
                .detail(format!("{name}: {error}."))
                .help("Make it readable, or take it out of the stack's folder: every spec file there is a part of the stack."),
        };
        self.out.push(fault);
    }

    /// Loads what a call names, and gives its arguments the types of the variables there.
    fn call(&mut self, caller: &Frame<'_>, raw: RawCall, ancestors: &mut Vec<PathBuf>) -> ModuleCall {
        let RawCall { mut call, body, source, version } = raw;
        let source_span = source.as_ref().map_or(call.span, Expr::span);
        self.name(&mut call, caller, source.as_ref(), version.as_ref());
        let mut path = caller.module.path.clone();
        path.push(call.name.clone());
        if let Some(found) = self.find(caller.module, &path, &call, source_span, ancestors) {
            let names = self.spec_files(&found.dir, Some(source_span));
            let given = Given::Call { arguments: &body, caller };
            self.module(path.clone(), found, &names, ancestors, given);
        }
        let called = self.modules.get(&path);
        for (key, node) in body.node.as_map().unwrap_or_default() {
            let variable = called.and_then(|m| m.variables.get(&key.text));
            if let (Some(called), None) = (called, variable) {
                let known = called.variables.keys().map(|k| &**k);
                unknown_key(
                    &key.text,
                    key.span,
                    &format!("The module {:?}", call.name),
                    known,
                    &mut self.out,
                );
                continue;
            }
            let want = variable.map_or(groma_types::Type::Dynamic, |v| v.constraint.ty.clone());
            call.arguments.insert(key.text.clone(), expression(node, &want, &mut self.out));
        }
        let variables = called.map(|m| m.variables.values()).into_iter().flatten();
        for variable in variables.filter(|v| v.default.is_none() && !call.arguments.contains_key(&v.name)) {
            self.out.push(
                Diagnostic::error("G0609", "A required argument is missing")
                    .detail(format!(
                        "The module {:?} needs a value for its variable {:?}.",
                        call.name, variable.name
                    ))
                    .at(call.span, format!("{:?} is missing", variable.name))
                    .at(variable.span, "declared here, without a default"),
            );
        }
        call
    }

    /// Gives a call the source and the version that its expressions say.
    fn name(
        &mut self,
        call: &mut ModuleCall,
        caller: &Frame<'_>,
        source: Option<&Expr>,
        version: Option<&Expr>,
    ) {
        let written = [source, version].into_iter().flatten();
        call.computed = written.filter(|e| !e.is_static()).map(Expr::span).collect();
        let known = self.out.len();
        call.source = source.and_then(|e| caller.text(e, "source", &mut self.out)).unwrap_or_default();
        if let Some(fault) = source.filter(|_| call.source.is_empty() && self.out.len() == known) {
            let fault =
                Diagnostic::error("G0520", "Not a module source").at(fault.span(), "there is no text");
            self.out.push(fault);
        }
        let Some(version) = version else { return };
        call.version = caller.text(version, "version", &mut self.out);
        match call.version.as_deref().map(Constraint::parse) {
            Some(Err(why)) => self.out.push(decode::bad_constraint(&why, version.span())),
            Some(Ok(_)) if packages::is_local(&call.source) => self.out.push(
                Diagnostic::error("G0522", "A version without a registry")
                    .detail(format!(
                        "{:?} is a local folder: it has the version of what it stands in.",
                        call.source
                    ))
                    .help("Take version out, or name a module of a registry as NAMESPACE/NAME/PROVIDER.")
                    .at(version.span(), "not for a local source"),
            ),
            Some(Ok(_)) | None => {}
        }
    }

    /// Where the module is that a call names.
    fn find(
        &mut self,
        caller: &Module,
        path: &ModulePath,
        call: &ModuleCall,
        span: Span,
        ancestors: &[PathBuf],
    ) -> Option<Found> {
        if call.source.is_empty() {
            return None;
        }
        self.calls += 1;
        if self.calls > CALLS_MAX {
            if self.calls == CALLS_MAX + 1 {
                self.out.push(
                    Diagnostic::error("G0535", "Too many modules")
                        .detail(format!(
                            "This call would make more than {CALLS_MAX} modules of the stack; it and those after it are not \
                             read."
                        ))
                        .help("Call a module once with for_each instead of many times.")
                        .at(span, "one module more"),
                );
            }
            return None;
        }
        let found = match packages::is_local(&call.source) {
            true => packages::local_dir(&caller.dir, &call.source, caller.package.as_ref(), span)
                .map(|dir| Found { dir, package: caller.package.clone() }),
            false => self.fetched(caller, path, call, span)?,
        };
        let fault = match found {
            Ok(found) if ancestors.contains(&found.identity()) || ancestors.len() > DEPTH_MAX => {
                Diagnostic::error("G0516", "A module calls itself")
                    .detail(format!(
                        "{} is being read already: the calls would never end.",
                        shown(&found.identity())
                    ))
                    .at(span, "calls a module that leads here")
            }
            Ok(found) => return Some(found),
            Err(fault) => fault,
        };
        self.out.push(fault);
        None
    }

    /// `None`: it has to be fetched first.
    fn fetched(
        &mut self,
        caller: &Module,
        path: &ModulePath,
        call: &ModuleCall,
        span: Span,
    ) -> Option<Result<Found, Diagnostic>> {
        let request = PackageRequest {
            call: path,
            source: &call.source,
            version: call.version.as_deref(),
            in_package: caller.package.is_some(),
        };
        match self.files.package(request) {
            PackageAnswer::Here(fetched) => {
                self.packages.insert(path.clone(), fetched.clone());
                Some(Ok(Found { dir: fetched.dir, package: Some(fetched.package) }))
            }
            PackageAnswer::Pending => {
                self.is_whole = false;
                None
            }
            PackageAnswer::Refused(fault) => Some(Err(fault.at(span, "this module"))),
        }
    }
}

/// Whether the text after a fault may not have been read: not so after a second key, a number in doubt, or a fault of one
/// expression.
fn stops(fault: &Diagnostic) -> bool {
    fault.is_error() && !matches!(fault.code, "G0401" | "G0406" | "G0407") && !fault.code.starts_with("G01")
}

fn shown(dir: &Path) -> String {
    if dir.as_os_str().is_empty() { "The folder".into() } else { dir.display().to_string() }
}

/// The way from a folder to a file, with `/` between names.
fn relative(from: &Path, to: &Path) -> String {
    let from: Vec<Component<'_>> = from.components().collect();
    let to: Vec<Component<'_>> = to.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| "..".to_string());
    let down = to[shared..].iter().map(|c| c.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}
