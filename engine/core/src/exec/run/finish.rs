//! The end of an operation: what is recorded, counted and told.

use super::super::operation::Done;
use super::super::scheduler::{NodeId, Outcome};
use super::{Finished, RENEWALS_APART, Run, Running};
use crate::event::EventKind;
use crate::graph::build::Node;
use crate::plan::planner::{self, PendingRead};
use crate::plan::{ChangeAction, decide};
use crate::state::{BeginOp, Ended, Object, ObjectId, OpId, Record, Status};
use groma_provider::{Action, ErrorKind, Object as Seen, ProviderError};
use groma_types::schema::KindSchema;
use groma_types::{Address, Causes, InstanceAddr, Mode, Value};
use std::sync::Arc;

impl Run<'_> {
    pub(super) fn finished(&mut self, finished: Finished) {
        match finished {
            Finished::Renewed => self.renew_from = Some(self.planner.host.clock.now() + RENEWALS_APART),
            Finished::Read { node, reads } => self.read_finished(node, reads),
            Finished::Provisioned { node, op, ended, then } => self.provisioned(node, op, &ended, then),
            Finished::Operation { node, op, result } => {
                // A message of this operation may still be queued: it comes first.
                while let Ok(message) = self.receiver.try_recv() {
                    self.message(message);
                }
                self.by_node.remove(&node);
                let Some(running) = self.running.remove(&op) else { return };
                self.limit_feedback(&running, result.as_ref().err());
                match result {
                    Ok(Done::Settled(seen)) if running.begin.settings.unprovisioned => {
                        self.provision_made(node, op, running, seen);
                    }
                    Ok(done) => self.succeeded(node, op, &running, done),
                    Err(error) => self.failed(node, op, &running, &error),
                }
            }
        }
    }

    pub(super) fn read_finished(
        &mut self,
        node: NodeId,
        reads: Vec<(PendingRead, Result<Option<Value>, ProviderError>)>,
    ) {
        let before = std::mem::take(&mut self.planner.diagnostics);
        for (read, answer) in reads {
            self.planner.take_read(&read, answer);
            self.planner.reads.remove(&read.address);
            self.emitter.emit(EventKind::DataDone { address: read.address });
        }
        let mine = std::mem::replace(&mut self.planner.diagnostics, before);
        let failed = mine.has_errors();
        self.planner.diagnostics.extend(mine);
        self.summary.failed += usize::from(failed);
        if let Node::Read(address) = self.nodes[node.0 as usize].clone() {
            self.touched.insert(address.resource);
        }
        self.finish(node, if failed { Outcome::Failed } else { Outcome::Done });
    }

    pub(super) fn limit_feedback(&mut self, running: &Running, error: Option<&ProviderError>) {
        let begin = &running.begin;
        let found = self.planner.schema_of(Mode::Managed, &begin.address.resource.kind, &begin.provider.name);
        let Some((_, schema)) = found else { return };
        let Some(limit) = self.limits.get(&(begin.provider.clone(), schema.service.clone())) else { return };
        match error {
            Some(e) if e.kind == ErrorKind::Throttled => self.sched.throttled(*limit),
            Some(_) => {}
            None => self.sched.succeeded(*limit),
        }
    }

    pub(super) fn succeeded(&mut self, node: NodeId, op: OpId, running: &Running, done: Done) {
        let mut holds = true;
        match done {
            Done::Settled(seen) => {
                self.object_settled(op, running, seen);
                let value = self.planner.state.at(&running.address).map(|o| o.attributes.clone());
                holds = value.is_none_or(|v| self.planner.postconditions(&running.address, &v).is_some());
            }
            Done::Deleted => self.object_deleted(op, running),
        }
        let elapsed = self.planner.host.clock.now().since(running.started);
        self.done += 1;
        self.emitter.emit(EventKind::OperationDone {
            address: running.address.clone(),
            action: running.action,
            millis: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        self.emitter.emit(EventKind::Progress { done: self.done, total: self.total.max(self.done) });
        // The object is there and recorded; what builds on it does not start.
        self.summary.failed += usize::from(!holds);
        self.finish(node, if holds { Outcome::Done } else { Outcome::Failed });
    }

    pub(super) fn object_settled(&mut self, op: OpId, running: &Running, seen: Seen) {
        let begin = &running.begin;
        let found = self.planner.schema_of(Mode::Managed, &begin.address.resource.kind, &begin.provider.name);
        let value = self.marked_result(begin, &seen);
        if let Some((_, schema)) = &found {
            self.note_made(schema, &value, begin);
        }
        let mut object =
            self.object(begin, running.prior.as_ref(), value.clone(), seen.private, Status::Ready);
        object.settings.unprovisioned = false;
        self.record(Record::End(op, Ended::Settled(Box::new(object))));
        if let Some(planned) = &running.planned
            && !decide::surprises(planned, &value).is_empty()
        {
            self.planner.values.surprise();
        }
        match running.action {
            ChangeAction::Create => self.summary.added += 1,
            _ => self.summary.changed += 1,
        }
        self.settled_value(&begin.address, Some(value));
        self.mark_done(&begin.address);
    }

    /// What came of an operation. Marks that came with the configuration stay where the value is what was planned.
    pub(super) fn marked_result(&self, begin: &BeginOp, seen: &Seen) -> Value {
        let value = seen.attributes.value();
        let found = self.planner.schema_of(Mode::Managed, &begin.address.resource.kind, &begin.provider.name);
        found.map_or(value.clone(), |(_, schema)| {
            let marked = crate::values::apply_schema(value, &schema.block);
            crate::values::keep_marks(&marked, &begin.planned)
        })
    }

    pub(super) fn note_made(&mut self, schema: &KindSchema, value: &Value, begin: &BeginOp) {
        if begin.action == Action::Create && schema.hosts {
            self.planner.pool.host_is_fresh(begin.object.clone());
        }
        if begin.action == Action::Create {
            let mut keys = self.made_keys.lock().expect("no holder of this lock panics");
            let names = schema.natural_key.iter().map(|k| &**k).chain(["arn", "id", "name"]);
            keys.extend(names.filter_map(|k| planner::dotted(value, k)));
        }
    }

    pub(super) fn object(
        &self,
        begin: &BeginOp,
        prior: Option<&Object>,
        attributes: Value,
        private: serde_json::Value,
        status: Status,
    ) -> Object {
        Object {
            id: begin.object.clone(),
            address: begin.address.clone(),
            provider: begin.provider.clone(),
            recipe: begin.recipe.clone(),
            status,
            attributes,
            private,
            schema_version: begin.schema_version,
            groma_version: env!("CARGO_PKG_VERSION").into(),
            dependencies: begin.dependencies.clone(),
            host: begin.host.clone(),
            owner_mark: begin.owner_mark.clone(),
            settings: begin.settings.clone(),
            created: prior.map_or(begin.at, |o| o.created),
        }
    }

    pub(super) fn settled_value(&mut self, address: &InstanceAddr, value: Option<Value>) {
        if let Some(value) = value {
            self.planner.values.set_instance(&address.resource, address.key.clone(), value);
        }
        self.touched.insert(address.resource.clone());
    }

    /// What has been done is no pending change any more.
    pub(super) fn mark_done(&mut self, address: &InstanceAddr) {
        if let Some(change) = self.planner.changes.get_mut(&(address.clone(), None)) {
            let change = Arc::make_mut(change);
            change.action = ChangeAction::NoOp;
            change.object = self.planner.state.current.get(address).cloned();
            change.waits_for = Causes::new();
        }
        if let Some(id) = self.planner.state.current.get(address) {
            self.planner.refreshed.remove(id);
        }
    }

    pub(super) fn object_deleted(&mut self, op: OpId, running: &Running) {
        let id = &running.begin.object;
        let dropped: Vec<ObjectId> = self
            .planner
            .state
            .objects
            .values()
            .filter(|o| o.host.as_ref() == Some(id))
            .map(|o| o.id.clone())
            .collect();
        self.summary.destroyed += 1 + dropped.len();
        self.record(Record::End(op, Ended::Deleted { dropped }));
    }

    pub(super) fn failed(&mut self, node: NodeId, op: OpId, running: &Running, error: &ProviderError) {
        let begin = &running.begin;
        let address = running.address.clone();
        if error.kind == ErrorKind::Interrupted {
            return self.suspended(node, op, running);
        }
        let is_lost = error.kind == ErrorKind::Ambiguous && running.made.is_none();
        match (begin.action, &running.made) {
            (Action::Create, Some(made)) => {
                let status = self.bad_status(error);
                let object = self.object(begin, None, made.attributes.clone(), made.private.clone(), status);
                self.record(Record::End(op, Ended::Settled(Box::new(object))));
            }
            // It stays open: the next run looks for it before anything else.
            (Action::Create, None) if is_lost => {}
            (Action::Update, _)
                if running.made.is_some()
                    || is_lost
                    || matches!(
                        error.kind,
                        ErrorKind::Unconverged | ErrorKind::Tainted | ErrorKind::TimedOut
                    ) =>
            {
                if let Some(prior) = &running.prior {
                    let status = self.bad_status(error);
                    let object = Object { status, ..prior.clone() };
                    self.record(Record::End(op, Ended::Settled(Box::new(object))));
                }
            }
            _ => {
                // A deposed object that could not be deleted is one still, a current one likewise.
                self.record(Record::End(op, Ended::Refused(error.to_string().into())));
            }
        }
        self.summary.failed += 1;
        self.planner.report(error, &Address::Instance(address.clone()), None);
        self.emitter.emit(EventKind::OperationFailed {
            address,
            action: running.action,
            error: error.to_string(),
            rerun_is_safe: true,
        });
        self.finish(node, Outcome::Failed);
    }

    pub(super) fn bad_status(&self, error: &ProviderError) -> Status {
        if error.kind == ErrorKind::Tainted {
            Status::Tainted(error.to_string().into())
        } else {
            Status::Unconverged(error.to_string().into())
        }
    }

    pub(super) fn suspended(&mut self, node: NodeId, op: OpId, running: &Running) {
        let is_named = running.made.is_some() && running.begin.action == Action::Create;
        if is_named {
            self.record(Record::End(op, Ended::Suspended));
        } else {
            self.record(Record::End(op, Ended::Refused("stopped while waiting".into())));
            if running.begin.action == Action::Update
                && let Some(prior) = &running.prior
            {
                let status = Status::Unconverged("an update was under way when the run was stopped".into());
                self.record(Record::Observed(Box::new(Object { status, ..prior.clone() })));
            }
        }
        self.summary.suspended += 1;
        self.emitter.emit(EventKind::OperationSuspended { address: running.address.clone() });
        self.finish(node, Outcome::Failed);
    }
}
