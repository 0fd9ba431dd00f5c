//! What is meant: a stack's modules, read, bound and checked, before any of it is evaluated.
//!
//! Made by [`load::load`] alone, from YAML, JSON and native files through one model. Expressions stay expressions;
//! which argument is an attribute and which a nested block is decided where a schema is at hand (`body`).
//!
//! Invariants: names are unique per module; each call's module is present in `modules`; every key and scalar has
//! a span in `sources`.

pub mod backend;
pub mod body;
pub mod check;
pub mod convert;
pub mod decode;
pub mod draft;
pub mod format;
pub mod inputs;
pub mod json_schema;
pub mod load;
pub mod moves;
pub mod packages;
pub mod provisioners;
pub mod strict;
pub mod targets;

mod fixed;
mod foreign;
mod forms;
mod gather;
#[cfg(test)]
mod tests;
mod twins;
pub mod values;

use groma_lang::document::Node;
use groma_lang::expr::{Expr, Reference};
use groma_lang::types_syntax::TypeConstraint;
use groma_types::{InstanceAddr, Mode, ModuleAddr, SourceMap, Span};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Names of the module calls that lead to a module; the root's is empty.
pub type ModulePath = Vec<Arc<str>>;

#[derive(Clone, Debug, Default)]
pub struct Config {
    pub sources: SourceMap,
    /// The stack's folder.
    pub root_dir: PathBuf,
    pub modules: BTreeMap<ModulePath, Module>,
    /// What calls named that is not a folder beside them, by the call.
    pub packages: BTreeMap<ModulePath, packages::Fetched>,
    /// Every file that was read, relative to the stack, for saved plans.
    pub files: Vec<FileRecord>,
}

#[derive(Clone, Debug)]
pub struct FileRecord {
    pub name: Arc<str>,
    pub text: Arc<str>,
}

#[derive(Clone, Debug, Default)]
pub struct Module {
    pub path: ModulePath,
    pub dir: PathBuf,
    /// The package that it was fetched in; `None` in the root and in what it calls by local sources.
    pub package: Option<Arc<packages::Package>>,
    pub variables: BTreeMap<Arc<str>, Variable>,
    pub locals: BTreeMap<Arc<str>, Local>,
    pub outputs: BTreeMap<Arc<str>, Output>,
    pub providers: Vec<ProviderBlock>,
    pub required_providers: BTreeMap<Arc<str>, RequiredProvider>,
    pub resources: BTreeMap<BlockId, Arc<ResourceBlock>>,
    pub calls: BTreeMap<Arc<str>, ModuleCall>,
    pub moved: Vec<Moved>,
    pub removed: Vec<Removed>,
    pub imports: Vec<Import>,
    pub backend: Option<Backend>,
    pub checks: BTreeMap<Arc<str>, Check>,
    /// `groma.allow_exec`: sources of fetched modules that may run commands here. Only the root's counts.
    pub allow_exec: Vec<Arc<str>>,
    /// The `groma` block.
    pub settings: Option<Body>,
}

/// A `check` block: its assertions warn, they stop nothing.
#[derive(Clone, Debug)]
pub struct Check {
    pub name: Arc<str>,
    pub span: Span,
    pub assertions: Vec<Rule>,
}

/// A resource block's name in its module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    pub mode: Mode,
    pub kind: Arc<str>,
    pub name: Arc<str>,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Module(address) => write!(f, "{address}"),
            Named::Resource(address) => write!(f, "{address}"),
        }
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Managed => "",
            Mode::Data => "data.",
            Mode::Ephemeral => "ephemeral.",
        };
        write!(f, "{mode}{}.{}", self.kind, self.name)
    }
}

#[derive(Clone, Debug)]
pub struct Variable {
    pub name: Arc<str>,
    pub span: Span,
    pub constraint: TypeConstraint,
    /// A type is written, if only `any`.
    pub is_typed: bool,
    pub default: Option<Expr>,
    pub sensitive: bool,
    pub ephemeral: bool,
    pub nullable: bool,
    pub description: Option<Arc<str>>,
    pub validations: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub struct Local {
    pub name: Arc<str>,
    pub span: Span,
    pub value: Expr,
}

#[derive(Clone, Debug)]
pub struct Output {
    pub name: Arc<str>,
    pub span: Span,
    pub value: Expr,
    pub sensitive: bool,
    pub ephemeral: bool,
    pub description: Option<Arc<str>>,
    pub depends_on: Vec<Reference>,
    pub preconditions: Vec<Rule>,
}

/// A condition with its message.
#[derive(Clone, Debug)]
pub struct Rule {
    pub span: Span,
    pub condition: Expr,
    pub error_message: Expr,
}

#[derive(Clone, Debug)]
pub struct RequiredProvider {
    pub source: Arc<str>,
    pub version: Option<Arc<str>>,
    pub span: Span,
    /// `kubernetes.eu` entries of `configuration_aliases`.
    pub aliases: Vec<Arc<str>>,
}

#[derive(Clone, Debug)]
pub struct ProviderBlock {
    /// Local name: `aws`.
    pub name: Arc<str>,
    pub alias: Option<Arc<str>>,
    pub span: Span,
    /// Only with an alias.
    pub for_each: Option<Expr>,
    pub body: Body,
    /// `lifecycle.hosted_by`.
    pub hosted_by: Option<Reference>,
    /// `lifecycle.expect`.
    pub expect: Option<Expr>,
}

/// The provider that a block names: `aws`, `aws.eu`, `aws.by_region[each.key]`.
#[derive(Clone, Debug)]
pub struct ProviderRef {
    pub name: Arc<str>,
    pub alias: Option<Arc<str>>,
    pub key: Option<Expr>,
    pub span: Span,
}

#[derive(Clone, Debug, Default)]
pub enum Expansion {
    /// One instance without a key.
    #[default]
    Single,
    Count(Expr),
    ForEach(Expr),
    /// `lifecycle.enabled`: one instance without a key, or none.
    Enabled(Expr),
}

#[derive(Clone, Debug)]
pub struct ResourceBlock {
    pub id: BlockId,
    /// A data source inside of a `check`: that it can't be read is a warning.
    pub in_check: bool,
    pub span: Span,
    pub expansion: Expansion,
    /// As written, or the default configuration of the provider that the kind's name begins with.
    pub provider: ProviderRef,
    /// All arguments but the meta-arguments.
    pub body: Body,
    pub depends_on: Vec<Reference>,
    /// Most blocks share the one that says nothing.
    pub lifecycle: Arc<Lifecycle>,
    /// `timeouts` by operation (`create`, `update`, `delete`, `read`), as text such as `30m`.
    pub timeouts: BTreeMap<Arc<str>, Expr>,
    /// In the order in which they run.
    pub provisioners: Vec<Provisioner>,
}

/// Work beside the API: a command when an object was made, or before it is deleted.
#[derive(Clone, Debug)]
pub struct Provisioner {
    /// `local-exec`, `remote-exec`, `file`.
    pub kind: Arc<str>,
    pub span: Span,
    pub when: When,
    /// `on_failure: continue`.
    pub continues: bool,
    /// Its own arguments.
    pub body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Create,
    Destroy,
}

#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    pub create_before_destroy: Option<Expr>,
    pub prevent_destroy: Option<Expr>,
    pub on_destroy: Option<Expr>,
    pub ignore_changes: IgnoreChanges,
    /// References; an index in one may name the instance's own key.
    pub replace_triggered_by: Vec<Expr>,
    pub preconditions: Vec<Rule>,
    pub postconditions: Vec<Rule>,
    pub max_instances: Option<Expr>,
    pub on_missing: Option<Expr>,
    pub wait: Option<Expr>,
}

#[derive(Clone, Debug, Default)]
pub enum IgnoreChanges {
    #[default]
    None,
    All,
    /// Attribute paths: root is the first attribute's name.
    Paths(Vec<Reference>),
}

/// Arguments as written: a mapping whose keys and scalars keep their spans.
#[derive(Clone, Debug)]
pub struct Body {
    pub node: Node,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct ModuleCall {
    pub name: Arc<str>,
    pub span: Span,
    pub source: Arc<str>,
    /// Constraint of a registry module.
    pub version: Option<Arc<str>>,
    /// Where source or version is no fixed text.
    pub computed: Vec<Span>,
    pub expansion: Expansion,
    /// Arguments by variable name.
    pub arguments: BTreeMap<Arc<str>, Expr>,
    /// `providers = { aws = aws.eu }`: inner local name (`aws` or `aws.eu`) to the caller's provider.
    pub providers: BTreeMap<Arc<str>, ProviderRef>,
    pub depends_on: Vec<Reference>,
}

/// What a `moved` or `removed` block names, as it is seen from the block's module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Module(ModuleAddr),
    Resource(InstanceAddr),
}

#[derive(Clone, Debug)]
pub struct Moved {
    pub from: Named,
    pub to: Named,
    pub span: Span,
}

/// An `import` block. They stand in the root alone.
#[derive(Clone, Debug)]
pub struct Import {
    pub to: ImportTo,
    pub id: Expr,
    pub for_each: Option<Expr>,
    /// Only where the configuration is generated.
    pub provider: Option<ProviderRef>,
    pub span: Span,
}

/// The instance that takes an object over; its keys are expressions.
#[derive(Clone, Debug)]
pub struct ImportTo {
    pub module: Vec<(Arc<str>, Option<Expr>)>,
    pub id: BlockId,
    pub key: Option<Expr>,
}

impl ImportTo {
    pub fn is_of(&self, path: &[Arc<str>], id: &BlockId) -> bool {
        self.id == *id && self.module.iter().map(|(name, _)| name).eq(path)
    }
}

impl Import {
    /// What is evaluated for each instance.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let keys = self.to.module.iter().filter_map(|(_, key)| key.as_ref()).chain(&self.to.key);
        keys.chain([&self.id])
    }
}

#[derive(Clone, Debug)]
pub struct Removed {
    /// Without keys.
    pub from: Named,
    /// `lifecycle.destroy`: delete the object, not just forget it.
    pub destroy: bool,
    /// What runs before the object is deleted.
    pub provisioners: Vec<Provisioner>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Backend {
    pub kind: Arc<str>,
    pub body: Body,
    pub span: Span,
}

impl Config {
    /// A configuration that declares nothing: what is left where the spec is gone.
    pub fn empty() -> Config {
        Config { modules: BTreeMap::from([(ModulePath::new(), Module::default())]), ..Config::default() }
    }

    /// The root module.
    ///
    /// # Panics
    /// If the config was not made by `load`, which always puts it there.
    pub fn root(&self) -> &Module {
        self.modules.get(&ModulePath::new()).expect("load puts the root module in")
    }
}
