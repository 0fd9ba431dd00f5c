//! Starting nodes that change nothing themselves: providers, expansions, reads.

use super::super::scheduler::{NodeId, Outcome, Skip};
use super::{Finished, Run, causes_text};
use crate::event::EventKind;
use crate::graph::build::{self, Extent, Node};
use crate::plan::planner::{self, ChangeKey, Origin, Planner, ProviderState, block_of};
use crate::plan::{ChangeAction, Reason};
use crate::state::Record;
use futures::future::{Either, LocalBoxFuture, select};
use groma_provider::Interrupted;
use groma_types::{Diagnostic, InstanceAddr, Mode, ProviderAddr, ResourceAddr};
use std::collections::BTreeSet;
use std::pin::pin;

impl Run<'_> {
    pub(super) async fn start(&mut self, id: NodeId) {
        let node = self.nodes[id.0 as usize].clone();
        match node {
            Node::Provider(address) => self.start_provider(id, &address).await,
            Node::Expanded(address) => self.start_expanded(id, &address).await,
            Node::Read(address) => self.start_read(id, &address).await,
            Node::Settled(_) => self.finish(id, Outcome::Done),
            Node::Settle(address) => {
                self.take_over(&address);
                self.start_settle(id, &address).await;
            }
            Node::Retire(key) => {
                self.take_over(&key.0);
                self.start_retire(id, &key);
            }
        }
    }

    /// Records an object that only the plan knew so far: an imported one, or one that was of another kind.
    pub(super) fn take_over(&mut self, address: &InstanceAddr) {
        let Some(object) = self.planner.state.at(address).cloned() else { return };
        let Some(origin) = self.planner.adopted.remove(&object.id) else { return };
        self.ensure_recipe(&object.recipe);
        match origin {
            Origin::World => self.summary.imported += 1,
            Origin::OtherKind => self.record(Record::Moved(object.id.clone(), address.clone())),
        }
        self.record(Record::Observed(Box::new(object)));
    }

    pub(super) fn finish(&mut self, id: NodeId, outcome: Outcome) {
        let skipped = self.sched.finish(id, outcome);
        self.skipped(&skipped);
    }

    pub(super) fn skipped(&mut self, skipped: &[Skip]) {
        for skip in skipped {
            let node = &self.nodes[skip.node.0 as usize];
            let key = match node {
                Node::Settle(address) => (address.clone(), None),
                Node::Retire(key) => key.clone(),
                _ => continue,
            };
            let Some(change) = self.approved.get(&key) else { continue };
            if change.action == ChangeAction::NoOp {
                continue;
            }
            // A replacement has two nodes; it is reported once.
            if change.action.is_replace() && matches!(node, Node::Retire(_)) {
                continue;
            }
            self.summary.skipped += 1;
            let because = self.nodes[skip.because.0 as usize].to_string();
            self.emitter.emit(EventKind::OperationSkipped { address: key.0, because });
        }
    }

    pub(super) async fn start_provider(&mut self, id: NodeId, address: &ProviderAddr) {
        if !matches!(self.planner.providers.get(address), Some(ProviderState::Ready { .. })) {
            self.planner.providers.remove(address);
        }
        match self.planner.provider_state(address).await {
            ProviderState::Ready { recipe, .. } => {
                let world =
                    self.planner.state.recipes.get(&recipe).map(|r| r.world.to_string()).unwrap_or_default();
                self.emitter.emit(EventKind::ProviderConfigured { address: address.clone(), world });
                self.finish(id, Outcome::Done);
            }
            ProviderState::Deferred { causes, .. } => {
                self.planner.diagnostics.push(
                    Diagnostic::error("G1022", "A provider configuration is still not known")
                        .detail(format!("{address} waits for {}.", causes_text(&causes)))
                        .address(address),
                );
                self.summary.failed += 1;
                self.finish(id, Outcome::Failed);
            }
            ProviderState::Failed => {
                self.summary.failed += 1;
                self.finish(id, Outcome::Failed);
            }
        }
    }

    pub(super) async fn start_read(&mut self, id: NodeId, address: &InstanceAddr) {
        let is_opened = address.resource.mode == Mode::Ephemeral;
        if is_opened && !self.planner.is_needed(&block_of(&address.resource)) {
            return self.finish(id, Outcome::Done);
        }
        let wanted = address.clone();
        let reads = self.faults(|p| Box::pin(async move { p.late_read(&wanted).await })).await;
        let Ok(reads) = reads else {
            self.summary.failed += 1;
            return self.finish(id, Outcome::Failed);
        };
        if reads.is_empty() {
            return self.finish(id, Outcome::Done);
        }
        self.emitter.emit(EventKind::DataStarted { address: address.clone() });
        let pool = self.planner.pool.clone();
        let stop = self.stop.clone();
        self.futures.push(Box::pin(async move {
            let mut done = Vec::new();
            for read in reads {
                // A read changes nothing, so that nobody has to wait for its end.
                let answer = match select(pin!(planner::read_data(&pool, &read)), stop.reached(1)).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(((), _)) => Err(Interrupted.into()),
                };
                done.push((read, answer));
            }
            Finished::Read { node: id, reads: done }
        }));
    }

    /// Runs a part of the planner; `Err`: it reported errors.
    pub(super) async fn faults<T>(
        &mut self,
        part: impl for<'p> FnOnce(&'p mut Planner) -> LocalBoxFuture<'p, T>,
    ) -> Result<T, ()> {
        let before = std::mem::take(&mut self.planner.diagnostics);
        let result = part(&mut self.planner).await;
        let mine = std::mem::replace(&mut self.planner.diagnostics, before);
        let failed = mine.has_errors();
        self.planner.diagnostics.extend(mine);
        if failed { Err(()) } else { Ok(result) }
    }

    /// Plans a block whose instances were not known, and takes its piece in.
    pub(super) async fn start_expanded(&mut self, id: NodeId, address: &ResourceAddr) {
        if !self.planner.expansions.contains_key(address) {
            return self.finish(id, Outcome::Done);
        }
        let block = block_of(address);
        self.planner.expansions.remove(address);
        let before: BTreeSet<InstanceAddr> = self.planner.state.current.keys().cloned().collect();
        let planned = self.faults(|p| Box::pin(async move { p.plan_blocks(&[vec![block]]).await })).await;
        if planned.is_err() || self.planner.expansions.contains_key(address) {
            self.summary.failed += 1;
            return self.finish(id, Outcome::Failed);
        }
        let addresses: BTreeSet<ResourceAddr> = self
            .planner
            .values
            .blocks()
            .map(|(a, _)| a.clone())
            .filter(|a| block_of(a) == block_of(address) && planner::shares_keys(&a.module, &address.module))
            .collect();
        let gone: Vec<InstanceAddr> = before
            .into_iter()
            .filter(|i| addresses.contains(&i.resource))
            .filter(|i| {
                !self.planner.values.block(&i.resource).is_some_and(|b| b.keys.contains(i.key.as_ref()))
            })
            .collect();
        for instance in gone {
            self.planner.remove_instance(&instance, Reason::NotInConfiguration);
        }
        self.take_late(&addresses, address);
        self.finish(id, Outcome::Done);
    }

    /// Takes the piece of late instances in; those that are not approved are held at once.
    pub(super) fn take_late(&mut self, addresses: &BTreeSet<ResourceAddr>, barrier: &ResourceAddr) {
        let keys: Vec<ChangeKey> =
            self.planner.changes.keys().filter(|k| addresses.contains(&k.0.resource)).cloned().collect();
        for key in &keys {
            if let Some(object) = self.planner.changes.get(key).and_then(|c| c.object.clone()) {
                self.outgoing.insert(key.clone(), object);
            }
        }
        let piece = build::build(&self.planner, &Extent::Expanded { blocks: addresses, barrier });
        self.total += keys.len();
        self.take_piece(&piece);
    }
}
