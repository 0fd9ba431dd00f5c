//! What would be done: a proposal, inert. One [`Change`] per instance (and one per deposed object).

pub mod decide;
pub mod file;
pub mod planner;
pub mod whole;

mod moves;
mod outputs;
mod rules;
mod unwanted;

use crate::state::{ObjectId, OnDestroy, RecipeId};
use groma_types::schema::Timeouts;
use groma_types::value::Causes;
use groma_types::{AttrPath, Diagnostics, InstanceAddr, ProviderAddr, ResourceAddr, Timestamp, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeAction {
    NoOp,
    Create,
    Update,
    /// Delete, then create.
    Replace,
    /// Create, then delete: create_before_destroy.
    ReplaceCreateFirst,
    Delete,
    /// The record goes with its host; no call is made.
    Drop,
    /// Stop tracking; the object stays.
    Forget,
}

impl ChangeAction {
    pub fn creates(self) -> bool {
        matches!(self, ChangeAction::Create | ChangeAction::Replace | ChangeAction::ReplaceCreateFirst)
    }
    pub fn deletes(self) -> bool {
        matches!(
            self,
            ChangeAction::Delete
                | ChangeAction::Drop
                | ChangeAction::Replace
                | ChangeAction::ReplaceCreateFirst
        )
    }
    pub fn is_replace(self) -> bool {
        matches!(self, ChangeAction::Replace | ChangeAction::ReplaceCreateFirst)
    }
}

/// Why an instance changes as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The configuration and the object differ (or there is no object).
    Configuration,
    /// These arguments can't be changed in place.
    CannotUpdate,
    Tainted(Arc<str>),
    Requested,
    /// Its identity lies in this object, which is replaced.
    AttachedTo(InstanceAddr),
    /// It lives on this host, which is replaced or deleted.
    Host(InstanceAddr),
    /// `replace_triggered_by`.
    TriggeredBy(String),
    /// No block or key in the configuration stands for it.
    NotInConfiguration,
    /// `destroy`.
    Destroy,
    /// An earlier replacement left it.
    Deposed,
    /// The provider configuration leads to another world.
    OtherWorld {
        was: String,
        now: String,
    },
    /// It was to be there and is gone in the world.
    Gone,
    /// An operation of an earlier run is still going on.
    Resume,
}

/// An object of the world that an address takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `None`: not known yet.
    pub id: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub struct Change {
    pub address: InstanceAddr,
    pub import: Option<Import>,
    /// The object of the state that it is about.
    pub object: Option<ObjectId>,
    /// For a deposed object: its key.
    pub deposed: Option<Arc<str>>,
    pub provider: ProviderAddr,
    /// How the present object is reached.
    pub recipe: Option<RecipeId>,
    pub action: ChangeAction,
    pub reason: Reason,
    /// Empty: certain. Else what must be known first.
    pub waits_for: Causes,
    /// The object as refreshed.
    pub prior: Option<Value>,
    /// What it will be; may hold unknowns.
    pub planned: Option<Value>,
    /// Places that can't be changed in place.
    pub replace_paths: Vec<AttrPath>,
    /// Sensitive by schema: places hidden beside those that carry the mark.
    pub sensitive_paths: Vec<AttrPath>,
    /// The instance of the stack that it lives on, if it does.
    pub host: Option<InstanceAddr>,
    /// Where a deletion is a drop, the host that takes it along.
    pub dropped_with: Option<InstanceAddr>,
    pub on_destroy: OnDestroy,
    pub prevent_destroy: bool,
    pub create_before_destroy: bool,
    pub timeouts: Option<Timeouts>,
    /// The deletion must be made through the API while the host still works.
    pub external_effect: bool,
    /// Where it stands in the spec.
    pub span: Option<groma_types::Span>,
}

impl Change {
    pub fn is_deferred(&self) -> bool {
        !self.waits_for.is_empty()
    }
}

/// An expansion that is not known yet.
#[derive(Clone, Debug)]
pub struct DeferredExpansion {
    pub resource: ResourceAddr,
    pub waits_for: Causes,
    pub max_instances: Option<u64>,
}

/// A data source that is read during apply.
#[derive(Clone, Debug)]
pub struct DeferredRead {
    pub address: InstanceAddr,
    pub waits_for: Causes,
}

/// An object that differs from what the state says, by another hand.
#[derive(Clone, Debug)]
pub struct Drift {
    pub address: InstanceAddr,
    pub before: Value,
    /// `None`: it is gone.
    pub after: Option<Value>,
}

#[derive(Clone, Debug)]
pub struct OutputChange {
    pub name: Arc<str>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub sensitive: bool,
}

/// A provider configuration as planned.
#[derive(Clone, Debug)]
pub struct ProviderPlan {
    pub address: ProviderAddr,
    /// Empty: known now.
    pub waits_for: Causes,
    pub host: Option<InstanceAddr>,
}

#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Shared with the planner: an apply goes on from them.
    pub changes: Vec<Arc<Change>>,
    pub expansions: Vec<DeferredExpansion>,
    pub reads: Vec<DeferredRead>,
    pub drift: Vec<Drift>,
    /// Where objects that have a new address were before: new to old.
    pub moved: BTreeMap<InstanceAddr, InstanceAddr>,
    pub outputs: Vec<OutputChange>,
    pub providers: Vec<ProviderPlan>,
    /// Operations of an earlier run: what was found of them.
    pub doubts: Vec<Doubt>,
    pub destroy: bool,
    pub targeted: bool,
    /// Inferred edges and those that yielded, in words, for `graph` and `why`.
    pub edges: Vec<String>,
    pub diagnostics: Diagnostics,
    pub at: Timestamp,
    /// Calls by service that the plan made.
    pub calls: BTreeMap<String, usize>,
}

/// An operation of an earlier run that was not closed.
#[derive(Clone, Debug)]
pub struct Doubt {
    pub address: InstanceAddr,
    pub what: String,
}

impl Plan {
    /// Whether applying it would change the world, the state's objects or an output.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|c| c.action == ChangeAction::NoOp && c.import.is_none())
            && self.expansions.is_empty()
            && self.moved.is_empty()
            && self.outputs.is_empty()
            && self.doubts.is_empty()
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for change in &self.changes {
            counts.add += usize::from(change.action.creates());
            counts.change += usize::from(change.action == ChangeAction::Update);
            counts.destroy += usize::from(change.action.deletes());
            counts.import += usize::from(change.import.is_some());
            counts.deferred += usize::from(change.is_deferred());
        }
        counts
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub import: usize,
    pub add: usize,
    pub change: usize,
    pub destroy: usize,
    pub deferred: usize,
}
