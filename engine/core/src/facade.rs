//! What the command calls: load, plan, apply, destroy.

use crate::config::Config;
use crate::event::{EventSink, Summary};
use crate::exec::emit::Emitter;
pub use crate::exec::provision::{Command, Executor, Tell};
use crate::exec::run;
use crate::exec::settle;
pub use crate::exec::stop::StopSignal;
use crate::plan::whole;
pub use crate::plan::whole::Planned;
use crate::state::{Object, OutputValue, Record, State, Status, Store, StoreError};
use groma_provider::{Clock, Entropy, Environment, Provider};
use groma_types::{Diagnostic, Diagnostics, InstanceAddr, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The providers that this build has, by name.
#[derive(Clone, Default)]
pub struct Registry {
    pub providers: BTreeMap<Arc<str>, Arc<dyn Provider>>,
}

impl crate::config::check::Schemas for Registry {
    fn provider(&self, name: &str) -> Option<&groma_types::schema::ProviderSchema> {
        self.providers.get(name).map(|p| p.schema())
    }
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
    /// Runs the commands of provisioners.
    pub executor: Arc<dyn Executor>,
    /// Files that functions read.
    pub files: Arc<dyn groma_lang::eval::FunctionHost + Send + Sync>,
    /// Directory that the command was started in (`path.cwd`), whatever `-chdir` says.
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
    /// Imports beside those of the spec: addresses and ids.
    pub imports: BTreeMap<InstanceAddr, Arc<str>>,
    /// Blocks are drafted for imports that have none.
    pub draft_imports: bool,
    /// Fetched modules may run commands on this machine.
    pub allow_module_exec: bool,
    /// Commands that only the state has may run.
    pub allow_recipe_exec: bool,
    /// What Terraform has not is refused.
    pub strict: bool,
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

pub struct ApplyOutcome {
    pub ended: Ended,
    pub summary: Summary,
    pub diagnostics: Diagnostics,
    pub outputs: BTreeMap<Arc<str>, OutputValue>,
    pub state: State,
}

impl Host {
    /// The numbering of one run's events. Made once per command.
    pub fn emitter(&self) -> Arc<Emitter> {
        Emitter::new(self.events.clone(), self.clock.clone())
    }
}

/// Plans a stack against a state. Changes nothing in the world or the state; faults are in the plan's diagnostics.
pub async fn plan(
    spec: Spec,
    options: &PlanOptions,
    state: &State,
    host: &Host,
    emitter: &Arc<Emitter>,
) -> Planned {
    whole::plan(spec, options, state, host, emitter, whole::Found::default()).await
}

/// Settles what earlier runs left open. To be called before the plan of an apply or destroy.
///
/// # Errors
/// The journal can't be written.
pub async fn settle(
    store: &mut dyn Store,
    host: &Host,
    emitter: &Arc<Emitter>,
    stop: &StopSignal,
) -> Result<Diagnostics, StoreError> {
    settle::settle(store, host, emitter, stop).await
}

/// Whether an object is to be replaced by the next apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tainting {
    Tainted,
    Well,
}

/// Marks the object of an address, or takes the mark back. `false`: there is nothing to mark.
///
/// # Errors
/// The journal can't be written.
pub fn taint(
    store: &mut dyn Store,
    host: &Host,
    address: &InstanceAddr,
    to: Tainting,
) -> Result<bool, StoreError> {
    let state = store.load();
    let Some(object) = state.at(address) else { return Ok(false) };
    let status = match (to, &object.status) {
        (Tainting::Tainted, _) => Status::Tainted("by hand".into()),
        (Tainting::Well, Status::Tainted(_)) => Status::Ready,
        (Tainting::Well, _) => return Ok(false),
    };
    if status != object.status {
        store.append(new_run(host));
        store.append(Record::Observed(Box::new(Object { status, ..object.clone() })));
        store.flush()?;
    }
    Ok(true)
}

/// Reads the objects that `options.imports` names into the state: their blocks are in the spec. Nothing else is changed.
///
/// # Errors
/// The journal can't be written.
pub async fn import(
    spec: Spec,
    options: &PlanOptions,
    store: &mut dyn Store,
    host: &Host,
    emitter: &Arc<Emitter>,
) -> Result<Diagnostics, StoreError> {
    let planned = plan(spec, options, &store.load(), host, emitter).await;
    let mut found = planned.plan.diagnostics;
    let state = &planned.planner.state;
    let mut records = Vec::new();
    for address in options.imports.keys() {
        match state.at(address).filter(|o| planned.planner.adopted.contains_key(&o.id)) {
            Some(object) => {
                records.extend(state.recipe_records(&object.recipe));
                records.push(Record::Observed(Box::new(object.clone())));
            }
            None if found.has_errors() => {}
            None => found.push(
                Diagnostic::error("G0822", "An import that can't be made")
                    .detail(format!("The provider of {address} is not known before an apply."))
                    .help("Write an import block: it waits for the provider, in the same apply.")
                    .address(address),
            ),
        }
    }
    if !found.has_errors() {
        store.append(new_run(host));
        records.into_iter().for_each(|r| store.append(r));
        store.flush()?;
    }
    Ok(found)
}

fn new_run(host: &Host) -> Record {
    Record::Run { at: host.clock.now(), id: host.entropy.hex(8).into() }
}

/// Carries a plan out.
///
/// # Errors
/// The journal can't be written: the run was dropped on the spot; what was acknowledged is kept.
pub async fn apply(
    planned: Planned,
    store: &mut dyn Store,
    options: &ApplyOptions,
    emitter: &Arc<Emitter>,
    stop: &StopSignal,
) -> Result<ApplyOutcome, StoreError> {
    let Planned { plan, planner, first, .. } = planned;
    for record in first {
        store.append(record);
    }
    let end = run::run(planner, store, options, emitter.clone(), stop.clone()).await?;
    let mut planner = end.planner;
    if plan.destroy {
        run::forget_outputs(&mut planner, store, &plan);
    } else if !planner.options.refresh_only {
        run::record_outputs(&mut planner, store);
    }
    store.flush()?;
    if stop.level() < 2 {
        planner.close_ephemerals().await;
    }
    let summary = end.summary;
    let ended = match () {
        () if stop.level() > 0 => Ended::Interrupted,
        () if summary.failed > 0 || planner.diagnostics.has_errors() => Ended::Failed,
        () if summary.held > 0 => Ended::Held,
        () => Ended::Done,
    };
    emitter.emit(crate::event::EventKind::Finished(Box::new(summary.clone())));
    Ok(ApplyOutcome {
        ended,
        summary,
        diagnostics: planner.diagnostics,
        outputs: planner.state.outputs.clone(),
        state: planner.state,
    })
}
