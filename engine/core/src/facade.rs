//! What the command calls: load, plan, apply, destroy.

use crate::config::Config;
use crate::event::EventSink;
use groma_provider::{Clock, Entropy, Environment, Provider};
use groma_types::{InstanceAddr, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The providers that this build has, by name.
#[derive(Clone, Default)]
pub struct Registry {
    pub providers: BTreeMap<Arc<str>, Arc<dyn Provider>>,
}

/// What a run takes from outside.
#[derive(Clone)]
pub struct Host {
    pub registry: Registry,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub events: Arc<dyn EventSink>,
    /// Given to providers; its call log is replaced by one that feeds the events.
    pub env: Environment,
    /// Files that functions read.
    pub files: Arc<dyn groma_lang::eval::FunctionHost + Send + Sync>,
    /// Directory that the command was started in (`path.cwd`).
    pub cwd: String,
    pub workspace: String,
}

/// How far deferred changes are approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApproveDeferred {
    None,
    Create,
    #[default]
    Update,
    All,
}

#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    pub destroy: bool,
    pub refresh: RefreshMode,
    pub refresh_only: bool,
    pub targets: Vec<String>,
    pub excludes: Vec<String>,
    pub replace: Vec<InstanceAddr>,
    /// Root variables, typed.
    pub variables: BTreeMap<Arc<str>, Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshMode {
    #[default]
    All,
    None,
}

#[derive(Clone, Debug, Default)]
pub struct ApplyOptions {
    pub approve_deferred: ApproveDeferred,
    pub parallelism: Option<usize>,
}

/// A stack as loaded: `None` where the spec is gone or does not parse (destroy without a spec).
pub type Spec = Option<Arc<Config>>;

/// How an apply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// Something failed; the rest went on.
    Failed,
    /// Something was held for approval: exit code 3.
    Held,
    /// The user stopped it.
    Interrupted,
}

/// The user's stop signals: 0 none, 1 start nothing more, 2 leave now.
#[derive(Clone, Default)]
pub struct StopSignal(pub Arc<std::sync::atomic::AtomicU8>);

/// pub async fn plan(spec: Spec, options: &PlanOptions, state: &State, host: &Host, stop: &StopSignal) -> Plan
/// pub async fn apply(spec: Spec, options: &PlanOptions, plan: Plan, store: &mut dyn Store, host: &Host, apply: &ApplyOptions, stop: &StopSignal) -> ApplyOutcome
/// Both give diagnostics inside; `ApplyOutcome { ended: Ended, summary: Summary, diagnostics: Diagnostics, outputs: BTreeMap<Arc<str>, OutputValue>, follow_up: Option<Plan> }`
mod contract {}
