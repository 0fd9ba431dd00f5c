//! Provisioners in a run: after an object is made, or before it is deleted.
//!
//! Invariant: that provisioners run is durable before the first one starts. Cut off from there on, the object is tainted.

use super::super::operation::Done;
use super::super::provision::{self, Job, Means, Provisioned};
use super::super::scheduler::{NodeId, Outcome};
use super::{Finished, Run, Running, Then};
use crate::event::EventKind;
use crate::state::{Ended, MadeOp, OpId, Record, Status};
use groma_provider::{Action, Object as Seen};

impl Run<'_> {
    /// Starts provisioners, after the next flush.
    pub(super) fn provision(&mut self, node: NodeId, op: OpId, jobs: Vec<Job>, then: Then) {
        let Some(running) = self.running.get(&op) else { return };
        let means = Means {
            executor: self.planner.host.executor.clone(),
            pool: self.planner.pool.clone(),
            emitter: self.emitter.clone(),
            stop: self.stop.clone(),
            address: running.address.clone(),
        };
        self.begun.push(Box::pin(async move {
            let ended = provision::run(jobs, &means).await;
            Finished::Provisioned { node, op, ended, then }
        }));
    }

    /// An object is made, and has provisioners.
    pub(super) fn provision_made(&mut self, node: NodeId, op: OpId, mut running: Running, seen: Seen) {
        let value = self.marked_result(&running.begin, &seen);
        let jobs = self.planner.after_create(&running.address, &value);
        if jobs.as_ref().is_some_and(Vec::is_empty) {
            // The spec has them no longer.
            return self.succeeded(node, op, &running, Done::Settled(seen));
        }
        let made =
            MadeOp { attributes: value, private: seen.private.clone(), operation: None, provisioning: true };
        running.made = Some(made.clone());
        self.record(Record::Made(op, made));
        match jobs {
            Some(jobs) => {
                self.running.insert(op, running);
                self.by_node.insert(node, op);
                self.provision(node, op, jobs, Then::Settled(seen));
            }
            None => self.unprovisioned(node, op, &running, "its provisioners can't run"),
        }
    }

    pub(super) fn provisioned(&mut self, node: NodeId, op: OpId, ended: &Provisioned, then: Then) {
        let Some(address) = self.running.get(&op).map(|r| r.address.clone()) else { return };
        self.planner.report_provisioned(&address, ended);
        match then {
            Then::Call(request) if ended.failed.is_none() => self.call(node, op, *request),
            then => {
                self.by_node.remove(&node);
                let Some(running) = self.running.remove(&op) else { return };
                if let Some(failed) = &ended.failed {
                    let why = format!("a provisioner failed: {}", failed.message);
                    self.unprovisioned(node, op, &running, &why);
                } else if let Then::Settled(seen) = then {
                    self.succeeded(node, op, &running, Done::Settled(seen));
                }
            }
        }
    }

    /// What an operation's provisioners failed at: a new object stays, tainted; one that was to go stays.
    fn unprovisioned(&mut self, node: NodeId, op: OpId, running: &Running, why: &str) {
        let begin = &running.begin;
        let ended = match &running.made {
            Some(made) if begin.action != Action::Delete => {
                let status = Status::Tainted(why.into());
                let prior = running.prior.as_ref();
                let object = self.object(begin, prior, made.attributes.clone(), made.private.clone(), status);
                Ended::Settled(Box::new(object))
            }
            _ => Ended::Refused(why.into()),
        };
        self.record(Record::End(op, ended));
        self.summary.failed += 1;
        self.emitter.emit(EventKind::OperationFailed {
            address: running.address.clone(),
            action: running.action,
            error: why.to_string(),
            rerun_is_safe: true,
        });
        self.finish(node, Outcome::Failed);
    }
}
