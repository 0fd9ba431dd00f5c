//! Everything the outside may learn of a run, as one ordered stream of typed events.
//!
//! Invariant: an event never holds a sensitive value; values inside are redacted before they come here.

use crate::plan::ChangeAction;
use groma_provider::CallRecord;
use groma_types::{Diagnostic, InstanceAddr, ProviderAddr, Timestamp};

#[derive(Clone, Debug)]
pub struct Event {
    /// From 1, without gaps.
    pub seq: u64,
    pub at: Timestamp,
    pub kind: EventKind,
}

#[derive(Clone, Debug)]
pub enum EventKind {
    Diagnostic(Box<Diagnostic>),
    RefreshStarted {
        address: InstanceAddr,
    },
    RefreshDone {
        address: InstanceAddr,
    },
    DataStarted {
        address: InstanceAddr,
    },
    DataDone {
        address: InstanceAddr,
    },
    ProviderConfigured {
        address: ProviderAddr,
        world: String,
    },
    /// A changing operation's first request leaves now; its `begin` is durable.
    OperationStarted {
        address: InstanceAddr,
        action: ChangeAction,
        deposed: bool,
    },
    /// What a running operation waits for, in words; it holds no slot.
    OperationWaiting {
        address: InstanceAddr,
        what: String,
    },
    OperationDone {
        address: InstanceAddr,
        action: ChangeAction,
        millis: u64,
    },
    OperationFailed {
        address: InstanceAddr,
        action: ChangeAction,
        error: String,
        rerun_is_safe: bool,
    },
    /// Not started since `because` failed, was held or was skipped.
    OperationSkipped {
        address: InstanceAddr,
        because: String,
    },
    /// Stopped for approval: the change was not in the plan.
    OperationHeld {
        address: InstanceAddr,
        action: ChangeAction,
        why: String,
    },
    /// The run was stopped while the operation waited; the next run goes on.
    OperationSuspended {
        address: InstanceAddr,
    },
    /// A provisioner starts.
    ProvisionStarted {
        address: InstanceAddr,
        kind: std::sync::Arc<str>,
    },
    /// A line that its command gave.
    ProvisionOutput {
        address: InstanceAddr,
        kind: std::sync::Arc<str>,
        line: String,
    },
    ProvisionDone {
        address: InstanceAddr,
        kind: std::sync::Arc<str>,
    },
    ProvisionFailed {
        address: InstanceAddr,
        kind: std::sync::Arc<str>,
    },
    Call(CallRecord),
    /// How far an apply is: nodes that change something.
    Progress {
        done: usize,
        total: usize,
    },
    Finished(Box<Summary>),
}

/// The end of an apply or destroy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub imported: usize,
    pub added: usize,
    pub changed: usize,
    pub destroyed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub held: usize,
    pub suspended: usize,
    /// Changing calls by service.
    pub mutating_calls: std::collections::BTreeMap<String, usize>,
    pub calls: std::collections::BTreeMap<String, usize>,
}

/// Where events go. Called from the run's own task; must not block for long.
pub trait EventSink: Send + Sync {
    fn event(&self, event: Event);
}

/// Drops all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;
impl EventSink for NoSink {
    fn event(&self, _: Event) {}
}
