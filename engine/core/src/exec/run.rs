//! The run of a plan: starts what may start, records, emits, finishes. One task owns the truth; operations send it
//! messages.
//!
//! Invariants:
//! 1. A `begin` is durable before its operation is polled, a `made` before its operation goes on, an `end` before
//!    anything that depends on it is polled: the loop flushes after starting and before polling.
//! 2. What is not approved is held, with all that follows it; the rest goes on.
//! 3. After a failed flush nothing is polled any more.

use super::context::{Context, MadeKeys, Message};
use super::emit::Emitter;
use super::operation::{self, Done, Request};
use super::scheduler::{LimitId, NodeId, NodeRef, NodeSpec, Outcome, Scheduler, Skip};
use super::stop::StopSignal;
use crate::event::{EventKind, Summary};
use crate::facade::{ApplyOptions, ApproveDeferred};
use crate::graph::build::{self, Extent, Node, Piece};
use crate::plan::planner::{self, ChangeKey, PendingRead, Planner, ProviderState, block_of};
use crate::plan::{Change, ChangeAction, Reason, decide};
use crate::state::{
    BeginOp, Ended, MadeOp, Object, ObjectId, OnDestroy, OpId, OutputValue, RecipeId, Record, Settings,
    Status, Store, StoreError,
};
use futures::channel::mpsc;
use futures::future::{Either, LocalBoxFuture, select};
use futures::stream::{FuturesUnordered, StreamExt};
use groma_provider::{Action, ErrorKind, Identity, Object as Seen, ProviderError};
use groma_types::schema::{KindSchema, Timeouts};
use groma_types::{
    Address, Diagnostic, InstanceAddr, Mode, ModuleAddr, ProviderAddr, Resolved, ResourceAddr, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Operations of one service of one provider configuration that hold a slot at once, at most; adaptive below.
const SLOTS_MAX: usize = 64;

/// What a finished future brings.
enum Finished {
    Operation { node: NodeId, op: OpId, result: Result<Done, ProviderError> },
    Read { node: NodeId, reads: Vec<(PendingRead, Result<Option<Value>, ProviderError>)> },
}

/// A running operation.
struct Running {
    address: InstanceAddr,
    action: ChangeAction,
    begin: BeginOp,
    made: Option<MadeOp>,
    prior: Option<Object>,
    started: groma_types::Timestamp,
    planned: Option<Value>,
}

pub struct Run<'a> {
    planner: Planner,
    approved: BTreeMap<ChangeKey, Change>,
    store: &'a mut dyn Store,
    options: &'a ApplyOptions,
    emitter: Arc<Emitter>,
    stop: StopSignal,
    sched: Scheduler,
    nodes: Vec<Node>,
    ids: BTreeMap<Node, NodeId>,
    limits: BTreeMap<(ProviderAddr, Arc<str>), LimitId>,
    /// Inferred edges that held, by block: what objects record.
    yielded: BTreeSet<build::Edge>,
    running: BTreeMap<OpId, Running>,
    by_node: BTreeMap<NodeId, OpId>,
    futures: FuturesUnordered<LocalBoxFuture<'static, Finished>>,
    sender: mpsc::UnboundedSender<Message<OpId>>,
    receiver: mpsc::UnboundedReceiver<Message<OpId>>,
    made_keys: MadeKeys,
    /// Blocks in which something changed: their users are decided anew.
    touched: BTreeSet<ResourceAddr>,
    /// Objects by which a replacement is being made: deleted by identity, not by address.
    outgoing: BTreeMap<ChangeKey, ObjectId>,
    acks: Vec<futures::channel::oneshot::Sender<()>>,
    recipes_written: BTreeSet<RecipeId>,
    run_written: bool,
    summary: Summary,
    total: usize,
    done: usize,
}

/// How a run ended.
pub struct RunEnd {
    pub planner: Planner,
    pub summary: Summary,
}

/// Runs a plan to its end.
///
/// # Errors
/// The journal can't be written: everything was dropped on the spot.
pub async fn run(
    planner: Planner,
    store: &mut dyn Store,
    options: &ApplyOptions,
    emitter: Arc<Emitter>,
    stop: StopSignal,
) -> Result<RunEnd, StoreError> {
    let (sender, receiver) = mpsc::unbounded();
    let approved = planner.changes.clone();
    let outgoing =
        approved.iter().filter_map(|(k, c)| Some((k.clone(), c.object.clone()?))).collect::<BTreeMap<_, _>>();
    let recipes_written = store.load().recipes.keys().cloned().collect();
    let total = approved.values().filter(|c| c.action != ChangeAction::NoOp).count();
    let mut sched = Scheduler::new();
    sched.set_overall(options.parallelism);
    let mut run = Run {
        planner,
        approved,
        store,
        options,
        emitter,
        stop,
        sched,
        nodes: Vec::new(),
        ids: BTreeMap::new(),
        limits: BTreeMap::new(),
        yielded: BTreeSet::new(),
        running: BTreeMap::new(),
        by_node: BTreeMap::new(),
        futures: FuturesUnordered::new(),
        sender,
        receiver,
        made_keys: MadeKeys::default(),
        touched: BTreeSet::new(),
        outgoing,
        acks: Vec::new(),
        recipes_written,
        run_written: false,
        summary: Summary::default(),
        total,
        done: 0,
    };
    let piece = build::build(&run.planner, &Extent::Whole);
    if let Some(cycle) = &piece.cycle {
        run.planner.diagnostics.push(cycle_diagnostic(cycle));
        run.summary.failed += 1;
        return Ok(RunEnd { planner: run.planner, summary: run.summary });
    }
    run.take_piece(&piece);
    run.drive().await?;
    let (calls, mutating) = run.emitter.calls();
    run.summary.calls = calls;
    run.summary.mutating_calls = mutating;
    Ok(RunEnd { planner: run.planner, summary: run.summary })
}

pub fn cycle_diagnostic(cycle: &[Node]) -> Diagnostic {
    let names: Vec<String> = cycle.iter().map(ToString::to_string).collect();
    Diagnostic::error("G1050", "The changes wait for each other in a cycle")
        .detail(names.join(" → "))
        .help("Apply the changes in two steps: leave one of them out with -exclude first.")
}

impl Run<'_> {
    // ---- the loop ----------------------------------------------------------------------------------------------

    async fn drive(&mut self) -> Result<(), StoreError> {
        let stop = self.stop.clone();
        loop {
            // CAUTION: no early exit between starting and flushing, but by the flush's own failure.
            while let Some(node) = self.sched.next() {
                self.start(node).await;
            }
            self.flush()?;
            if self.futures.is_empty() {
                if self.sched.is_idle() { return Ok(()) } else { continue }
            }
            if stop.level() > 1 {
                return Ok(());
            }
            let wanted = if stop.level() == 0 { 1 } else { 2 };
            let work = select(self.futures.next(), self.receiver.next());
            let event = match select(work, stop.reached(wanted)).await {
                Either::Left((Either::Left((Some(finished), _)), _)) => Event::Finished(finished),
                Either::Left((Either::Right((Some(message), _)), _)) => Event::Message(message),
                Either::Left(_) => continue,
                Either::Right(_) => Event::Stop,
            };
            match event {
                Event::Finished(finished) => self.finished(finished),
                Event::Message(message) => self.message(message),
                Event::Stop => self.sched.stop(),
            }
            // Everything else that has come in meanwhile joins the same group.
            while let Ok(message) = self.receiver.try_recv() {
                self.message(message);
            }
        }
    }

    fn record(&mut self, record: Record) {
        if !self.run_written {
            self.run_written = true;
            let first = Record::Run {
                at: self.planner.host.clock.now(),
                id: self.planner.host.entropy.hex(8).into(),
            };
            self.planner.state.apply(&first);
            self.store.append(first);
        }
        self.planner.state.apply(&record);
        self.store.append(record);
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.store.flush()?;
        for ack in self.acks.drain(..) {
            // An operation that is gone needs no acknowledgement.
            let _ = ack.send(());
        }
        Ok(())
    }

    fn message(&mut self, message: Message<OpId>) {
        match message {
            Message::Made { owner, made, durable } => {
                let op = MadeOp {
                    attributes: made.attributes.into_value(),
                    private: made.private,
                    operation: made.operation.map(Into::into),
                };
                if let Some(running) = self.running.get_mut(&owner) {
                    running.made = Some(op.clone());
                }
                self.record(Record::Made(owner, op));
                self.acks.push(durable);
            }
            Message::Waiting { owner, what } => {
                let node = self.by_node.iter().find(|(_, op)| **op == owner).map(|(n, _)| *n);
                if let Some(node) = node {
                    self.sched.waiting(node);
                }
                if let Some(running) = self.running.get(&owner) {
                    self.emitter.emit(EventKind::OperationWaiting { address: running.address.clone(), what });
                }
            }
        }
    }

    // ---- pieces ------------------------------------------------------------------------------------------------

    fn take_piece(&mut self, piece: &Piece) {
        let specs: Vec<NodeSpec> = piece.nodes.iter().map(|n| self.spec(n)).collect();
        let index: BTreeMap<&Node, usize> = piece.nodes.iter().enumerate().map(|(i, n)| (n, i)).collect();
        let find = |node: &Node| match index.get(node) {
            Some(i) => Some(NodeRef::New(*i)),
            None => self.ids.get(node).map(|id| NodeRef::Old(*id)),
        };
        let edges: Vec<(NodeRef, NodeRef)> =
            piece.edges.iter().filter_map(|e| Some((find(&e.from)?, find(&e.to)?))).collect();
        self.yielded.extend(piece.yielded.iter().cloned());
        match self.sched.add(specs, &edges) {
            Ok(added) => {
                for (node, id) in piece.nodes.iter().zip(added.nodes) {
                    self.nodes.push(node.clone());
                    self.ids.insert(node.clone(), id);
                }
                self.skipped(&added.skipped);
            }
            Err(error) => {
                self.summary.failed += 1;
                self.planner.diagnostics.push(
                    Diagnostic::error("G1199", "A fragment does not fit the graph").detail(error.to_string()),
                );
            }
        }
    }

    fn spec(&mut self, node: &Node) -> NodeSpec {
        let (key, is_delete) = match node {
            Node::Settle(address) => ((address.clone(), None), false),
            Node::Retire(key) => (key.clone(), true),
            _ => return NodeSpec::default(),
        };
        let Some(change) = self.planner.changes.get(&key).cloned() else { return NodeSpec::default() };
        let works = match change.action {
            ChangeAction::NoOp | ChangeAction::Drop | ChangeAction::Forget => false,
            action => is_delete == action.deletes() || action.is_replace(),
        };
        let found =
            self.planner.schema_of(Mode::Managed, &change.address.resource.kind, &change.provider.name);
        let Some((_, schema)) = found.filter(|_| works) else { return NodeSpec::default() };
        let typical = match (is_delete, change.action) {
            (true, _) => schema.typical.delete,
            (false, ChangeAction::Update) => schema.typical.update,
            (false, _) => schema.typical.create,
        };
        let sched = &mut self.sched;
        let limit = *self
            .limits
            .entry((change.provider.clone(), schema.service.clone()))
            .or_insert_with(|| sched.limit(SLOTS_MAX));
        let millis = u64::try_from(typical.as_millis()).unwrap_or(u64::MAX);
        NodeSpec { busy_ms: millis.min(1000), wait_ms: millis.saturating_sub(1000), limit: Some(limit) }
    }

    // ---- starting ----------------------------------------------------------------------------------------------

    async fn start(&mut self, id: NodeId) {
        let node = self.nodes[id.0 as usize].clone();
        match node {
            Node::Provider(address) => self.start_provider(id, &address).await,
            Node::Expanded(address) => self.start_expanded(id, &address).await,
            Node::Read(address) => self.start_read(id, &address).await,
            Node::Settled(_) => self.finish(id, Outcome::Done),
            Node::Settle(address) => self.start_settle(id, &address).await,
            Node::Retire(key) => self.start_retire(id, &key),
        }
    }

    fn finish(&mut self, id: NodeId, outcome: Outcome) {
        let skipped = self.sched.finish(id, outcome);
        self.skipped(&skipped);
    }

    fn skipped(&mut self, skipped: &[Skip]) {
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

    async fn start_provider(&mut self, id: NodeId, address: &ProviderAddr) {
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

    async fn start_read(&mut self, id: NodeId, address: &InstanceAddr) {
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
        self.futures.push(Box::pin(async move {
            let mut done = Vec::new();
            for read in reads {
                let answer = planner::read_data(&pool, &read).await;
                done.push((read, answer));
            }
            Finished::Read { node: id, reads: done }
        }));
    }

    /// Runs a part of the planner; `Err`: it reported errors.
    async fn faults<T>(
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
    async fn start_expanded(&mut self, id: NodeId, address: &ResourceAddr) {
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
    fn take_late(&mut self, addresses: &BTreeSet<ResourceAddr>, barrier: &ResourceAddr) {
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

    // ---- settling ----------------------------------------------------------------------------------------------

    async fn start_settle(&mut self, id: NodeId, address: &InstanceAddr) {
        let key = (address.clone(), None);
        let approved = self.approved.get(&key).cloned();
        let is_quiet = approved.as_ref().is_some_and(|c| c.action == ChangeAction::NoOp && !c.is_deferred())
            && !self.is_touched(&address.resource);
        if is_quiet {
            self.resettle(address);
            return self.finish(id, Outcome::Done);
        }
        if self.is_in_doubt(address) {
            // Reported by settlement, with its cure: nothing is made beside what may be there.
            self.summary.failed += 1;
            let action = approved.as_ref().map_or(ChangeAction::NoOp, |c| c.action);
            let error = "an earlier run's operation on it is in doubt".to_string();
            self.emitter.emit(EventKind::OperationFailed {
                address: address.clone(),
                action,
                error,
                rerun_is_safe: true,
            });
            return self.finish(id, Outcome::Failed);
        }
        let as_new = approved.as_ref().is_some_and(|c| c.action == ChangeAction::ReplaceCreateFirst);
        let Some((change, config)) = self.decide(address, as_new).await else {
            self.summary.failed += 1;
            self.emitter.emit(EventKind::OperationFailed {
                address: address.clone(),
                action: approved.map_or(ChangeAction::NoOp, |c| c.action),
                error: "it can't be planned with the values that came".into(),
                rerun_is_safe: true,
            });
            return self.finish(id, Outcome::Failed);
        };
        if change.action == ChangeAction::NoOp {
            self.settled_value(address, change.planned.clone());
            self.planner.changes.insert(key, change);
            self.resettle(address);
            return self.finish(id, Outcome::Done);
        }
        if let Some(why) = self.not_approved(approved.as_ref(), &change) {
            return self.hold(id, address, &change, why);
        }
        if change.action.is_replace() {
            return self.replace_late(id, address, change).await;
        }
        self.begin_settle(id, change, config, as_new);
    }

    fn is_in_doubt(&self, address: &InstanceAddr) -> bool {
        self.planner.state.in_doubt().any(|(_, op)| op.begin.address == *address && op.begin.action == Action::Create)
    }

    fn is_touched(&self, address: &ResourceAddr) -> bool {
        let before = self.planner.order.before(&block_of(address));
        self.touched.iter().any(|t| before.contains(&block_of(t)))
    }

    async fn decide(&mut self, address: &InstanceAddr, as_new: bool) -> Option<(Change, Value)> {
        let block = block_of(&address.resource);
        let config = self.planner.config();
        let resource = config.modules.get(&block.0)?.resources.get(&block.1)?;
        let keys = self.planner.values.block(&address.resource)?.keys.clone();
        let place =
            crate::scope::Place::instance(address.resource.module.clone(), address.key.clone(), &keys);
        let provider = self.planner.provider_address(&address.resource.module, &resource.provider, &place)?;
        let state = self.planner.provider_state(&provider).await;
        if matches!(state, ProviderState::Failed) {
            return None;
        }
        // An object that was planned behind a deferred provider is read before it is decided on.
        self.read_late_prior(address).await;
        self.planner.decide_instance(address, &block, resource, &place, &provider, &state, as_new)
    }

    async fn read_late_prior(&mut self, address: &InstanceAddr) {
        let Some(object) = self.planner.state.at(address).cloned() else { return };
        if self.planner.refreshed.contains_key(&object.id) {
            return;
        }
        let ids = BTreeSet::from([object.id.clone()]);
        let emitter = self.emitter.clone();
        let emit = move |kind: EventKind| emitter.emit(kind);
        let found = crate::refresh::refresh(&self.planner.pool, &self.planner.state, &ids, &emit).await;
        self.planner.refreshed.extend(found);
    }

    /// Why a change may not be made: it was not in the plan.
    fn not_approved(&self, approved: Option<&Change>, change: &Change) -> Option<String> {
        let limit = self.options.approve_deferred;
        if let Reason::OtherWorld { was, now } = &change.reason
            && !approved.is_some_and(|a| a.action.is_replace())
        {
            return Some(format!("it would move from {was} to {now}, which the plan did not say"));
        }
        let was = approved.map(|a| a.action);
        let was_shown = match change.action {
            ChangeAction::Create => was.is_some_and(|a| a.creates()),
            ChangeAction::Update => was.is_some_and(|a| a == ChangeAction::Update || a.is_replace()),
            action => was == Some(action) || (action.is_replace() && was.is_some_and(|a| a.is_replace())),
        };
        if was_shown {
            let deferred = approved.is_some_and(Change::is_deferred);
            return (deferred && limit == ApproveDeferred::None)
                .then(|| "deferred changes are not approved (-approve-deferred=none)".to_string());
        }
        let needed = match change.action {
            ChangeAction::NoOp => return None,
            ChangeAction::Create => ApproveDeferred::Create,
            ChangeAction::Update => ApproveDeferred::Update,
            _ => ApproveDeferred::All,
        };
        (limit < needed).then(|| match change.action {
            ChangeAction::Create => "it was not in the plan (-approve-deferred=create allows it)".to_string(),
            ChangeAction::Update => "it was not in the plan (-approve-deferred=update allows it)".to_string(),
            _ => {
                "it would delete or replace what the plan kept (-approve-deferred=all allows it)".to_string()
            }
        })
    }

    fn hold(&mut self, id: NodeId, address: &InstanceAddr, change: &Change, why: String) {
        self.summary.held += 1;
        self.emitter.emit(EventKind::OperationHeld { address: address.clone(), action: change.action, why });
        self.finish(id, Outcome::Held);
    }

    /// An approved replacement that came late: what follows it is planned anew, and its deletion and creation become
    /// nodes of a piece of their own.
    async fn replace_late(&mut self, id: NodeId, address: &InstanceAddr, change: Change) {
        let key = (address.clone(), None);
        if let Some(object) = &change.object {
            self.outgoing.insert(key.clone(), object.clone());
        }
        self.settled_value(address, change.planned.clone());
        self.approved.insert(key.clone(), change.clone());
        self.planner.changes.insert(key, change);
        let from = BTreeSet::from([block_of(&address.resource)]);
        let after = self.planner.order.after(&from);
        let planned = self.faults(|p| Box::pin(async move { p.plan_blocks(&after).await })).await;
        if planned.is_err() {
            self.summary.failed += 1;
            return self.finish(id, Outcome::Failed);
        }
        let mut replaced = BTreeSet::from([address.clone()]);
        for (key, new) in self.planner.changes.clone() {
            let was = self.approved.get(&key).cloned();
            let is_new_replacement =
                new.action.is_replace() && !was.as_ref().is_some_and(|w| w.action.is_replace());
            if is_new_replacement && self.not_approved(was.as_ref(), &new).is_none() {
                replaced.insert(key.0.clone());
                self.outgoing.extend(new.object.clone().map(|o| (key.clone(), o)));
                self.approved.insert(key, new);
            }
        }
        let piece = build::build(&self.planner, &Extent::Replaced { instances: &replaced, first: address });
        self.total += replaced.len();
        self.take_piece(&piece);
        self.finish(id, Outcome::Done);
    }

    /// Records and starts a create or update.
    fn begin_settle(&mut self, id: NodeId, change: Change, config: Value, create_first: bool) {
        let address = change.address.clone();
        match self.prepare(&change, config) {
            Ok((request, begin, prior)) => {
                let old = self.planner.state.at(&address).map(|o| o.id.clone());
                if let Some(old) = old.filter(|_| begin.action == Action::Create) {
                    // The old object makes room in the same group: deposed if it is there, forgotten if it is gone.
                    let key: Arc<str> = self.planner.host.entropy.hex(4).into();
                    self.record(if create_first {
                        Record::Deposed(old, key)
                    } else {
                        Record::Forgotten(old)
                    });
                }
                let planned = change.planned.clone();
                let shown =
                    if begin.action == Action::Create { ChangeAction::Create } else { ChangeAction::Update };
                self.begin(id, request, begin, prior, shown, planned);
                self.planner.changes.insert((address, None), change);
            }
            Err(error) => self.fail_early(id, &address, change.action, &error),
        }
    }

    fn fail_early(
        &mut self,
        id: NodeId,
        address: &InstanceAddr,
        action: ChangeAction,
        error: &ProviderError,
    ) {
        self.summary.failed += 1;
        self.planner.report(error, &Address::Instance(address.clone()), None);
        self.emitter.emit(EventKind::OperationFailed {
            address: address.clone(),
            action,
            error: error.to_string(),
            rerun_is_safe: true,
        });
        self.finish(id, Outcome::Failed);
    }

    fn prepare(
        &mut self,
        change: &Change,
        config: Value,
    ) -> Result<(Request, BeginOp, Option<Object>), ProviderError> {
        let address = &change.address;
        let unresolved = |u: groma_types::Unresolved| {
            let text = format!("{} is still not known: it waits for {}", u.path, causes_text(&u.causes));
            ProviderError::new(ErrorKind::Invalid, text)
        };
        let config: Resolved = config.resolve().map_err(unresolved)?;
        let planned_value = change.planned.clone().unwrap_or(Value::NULL);
        let planned: Resolved = decide::without_unknowns(&planned_value).resolve().map_err(unresolved)?;
        let Some(ProviderState::Ready { recipe, host, .. }) =
            self.planner.providers.get(&change.provider).cloned()
        else {
            return Err(ProviderError::new(ErrorKind::Bug, format!("{} is not configured", change.provider)));
        };
        let found = self.planner.schema_of(Mode::Managed, &address.resource.kind, &change.provider.name);
        let Some((_, schema)) = found else {
            return Err(ProviderError::new(ErrorKind::Bug, "its kind has no schema"));
        };
        let timeouts = change.timeouts.unwrap_or(schema.timeouts);
        let prior = if change.action == ChangeAction::Create {
            None
        } else {
            self.planner.state.at(address).cloned()
        };
        let entropy = self.planner.host.entropy.clone();
        let token = entropy.hex(16);
        let mark = match &prior {
            Some(object) => object.owner_mark.clone(),
            None => schema.owner_mark.then(|| entropy.hex(12).into()),
        };
        let now = self.planner.host.clock.now();
        let begin = BeginOp {
            action: if prior.is_some() { Action::Update } else { Action::Create },
            object: prior.as_ref().map_or_else(|| ObjectId(entropy.hex(10).into()), |o| o.id.clone()),
            address: address.clone(),
            provider: change.provider.clone(),
            recipe,
            planned: planned.value().clone(),
            digest: digest(&planned),
            token: token.as_str().into(),
            owner_mark: mark.clone(),
            dependencies: self.dependencies(address),
            host: host.as_ref().and_then(|h| self.planner.state.current.get(h).cloned()),
            settings: settings(change, timeouts),
            schema_version: schema.version,
            at: now,
        };
        let owner_mark = mark.map(|m| m.to_string());
        let request = match &prior {
            None => {
                let identity = Identity { token, owner_mark };
                Request::Create { planned, config, identity, timeouts, begun: now }
            }
            Some(object) => {
                let (seen, private) = self.seen(object);
                let prior = seen.resolve().map_err(unresolved)?;
                Request::Update { prior, private, planned, config, owner_mark, token, timeouts }
            }
        };
        Ok((request, begin, prior))
    }

    /// The object as refresh saw it.
    fn seen(&self, object: &Object) -> (Value, serde_json::Value) {
        match self.planner.refreshed.get(&object.id) {
            Some(crate::refresh::Refreshed::Present(seen)) => {
                (seen.attributes.value().clone(), seen.private.clone())
            }
            _ => (object.attributes.clone(), object.private.clone()),
        }
    }

    /// Objects that an instance depends on: over written edges, and over inferred ones that held.
    fn dependencies(&self, address: &InstanceAddr) -> BTreeSet<ObjectId> {
        let planner = &self.planner;
        let block = block_of(&address.resource);
        let mut blocks = planner.order.managed_before(&block);
        let held = |from: &crate::graph::order::Block| {
            !self.yielded.iter().any(|e| {
                matches!((&e.from, &e.to), (Node::Settled(f), Node::Expanded(t)) if block_of(f) == *from && *t == address.resource)
            })
        };
        let inferred =
            planner.order.inferred.iter().filter(|(_, to, _)| *to == block).map(|(from, _, _)| from);
        blocks.extend(inferred.filter(|f| held(f)).cloned());
        if let Some(provider) = planner.order.provider_of.get(&block) {
            let access = planner.order.access.iter().filter(|(_, p)| p == provider).map(|(b, _)| b.clone());
            blocks.extend(access.filter(|b| *b != block));
        }
        planner
            .state
            .current
            .iter()
            .filter(|(a, _)| a.resource.mode == Mode::Managed && *a != address)
            .filter(|(a, _)| blocks.contains(&block_of(&a.resource)))
            .filter(|(a, _)| planner::shares_keys(&a.resource.module, &address.resource.module))
            .map(|(_, id)| id.clone())
            .collect()
    }

    /// Lets an unchanged object's dependencies, settings and recipe follow the spec.
    fn resettle(&mut self, address: &InstanceAddr) {
        let Some(object) = self.planner.state.at(address).cloned() else { return };
        let Some(change) = self.planner.changes.get(&(address.clone(), None)).cloned() else { return };
        let mut new = object.clone();
        new.dependencies = self.dependencies(address);
        new.settings = settings(&change, change.timeouts.unwrap_or(object.settings.timeouts));
        if let Some(ProviderState::Ready { recipe, host, .. }) = self.planner.providers.get(&change.provider)
        {
            new.recipe = recipe.clone();
            new.provider = change.provider.clone();
            new.host = host.as_ref().and_then(|h| self.planner.state.current.get(h).cloned());
        }
        if let Some(crate::refresh::Refreshed::Present(seen)) = self.planner.refreshed.get(&object.id) {
            let marked = change.planned.clone().unwrap_or_else(|| seen.attributes.value().clone());
            new.attributes = if marked.is_wholly_known() { marked } else { object.attributes.clone() };
            new.private = seen.private.clone();
        }
        if new.status != Status::Ready && !matches!(new.status, Status::Tainted(_)) {
            new.status = Status::Ready;
        }
        if new == object {
            return;
        }
        let quiet = Object {
            dependencies: object.dependencies.clone(),
            settings: object.settings.clone(),
            ..new.clone()
        };
        if quiet == object {
            let (id, dependencies, settings) = (new.id, new.dependencies, new.settings);
            self.record(Record::Resettled { id, dependencies, settings });
        } else {
            self.ensure_recipe(&new.recipe.clone());
            self.record(Record::Observed(Box::new(new)));
        }
    }

    fn ensure_recipe(&mut self, id: &RecipeId) {
        if self.recipes_written.contains(id) {
            return;
        }
        if let Some(recipe) = self.planner.state.recipes.get(id).cloned() {
            for minter in recipe.minters.values() {
                self.ensure_recipe(&minter.clone());
            }
            self.recipes_written.insert(id.clone());
            self.record(Record::Recipe(id.clone(), recipe));
        }
    }

    fn begin(
        &mut self,
        node: NodeId,
        request: Request,
        begin: BeginOp,
        prior: Option<Object>,
        action: ChangeAction,
        planned: Option<Value>,
    ) {
        let op = self.store.next_op();
        self.ensure_recipe(&begin.recipe.clone());
        self.record(Record::Begin(op, begin.clone()));
        let deposed = prior.as_ref().is_some_and(|o| matches!(o.status, Status::Deposed(_)));
        let address = begin.address.clone();
        self.emitter.emit(EventKind::OperationStarted { address: address.clone(), action, deposed });
        let context = Context {
            owner: op,
            messages: self.sender.clone(),
            clock: self.planner.host.clock.clone(),
            stop: self.stop.clone(),
            made_keys: self.made_keys.clone(),
        };
        let pool = self.planner.pool.clone();
        let (recipe, kind) = (begin.recipe.clone(), begin.address.resource.kind.clone());
        let started = self.planner.host.clock.now();
        self.running.insert(op, Running { address, action, begin, made: None, prior, started, planned });
        self.by_node.insert(node, op);
        self.futures.push(Box::pin(async move {
            let result = match pool.get(&recipe).await {
                Ok(configured) => operation::run(&*configured, &kind, request, &context).await,
                Err(error) => Err(error),
            };
            Finished::Operation { node, op, result }
        }));
    }

    // ---- retiring ----------------------------------------------------------------------------------------------

    fn start_retire(&mut self, id: NodeId, key: &ChangeKey) {
        let Some(change) = self.approved.get(key).or(self.planner.changes.get(key)).cloned() else {
            return self.finish(id, Outcome::Done);
        };
        let object = self.outgoing.get(key).and_then(|o| self.planner.state.objects.get(o)).cloned();
        let Some(object) = object else { return self.finish(id, Outcome::Done) };
        if !self.approved.contains_key(key)
            && let Some(why) = self.not_approved(None, &change)
        {
            return self.hold(id, &key.0, &change, why);
        }
        // A replacement that turned out not to be one: the object is still the current one.
        let stays = change.action == ChangeAction::ReplaceCreateFirst
            && self.planner.state.current.get(&key.0) == Some(&object.id);
        if stays {
            return self.finish(id, Outcome::Done);
        }
        if change.action == ChangeAction::Forget || change.on_destroy == OnDestroy::Keep {
            self.record(Record::Forgotten(object.id));
            return self.finish(id, Outcome::Done);
        }
        if matches!(self.planner.refreshed.get(&object.id), Some(crate::refresh::Refreshed::Gone)) {
            self.record(Record::Forgotten(object.id));
            return self.finish(id, Outcome::Done);
        }
        if change.dropped_with.is_some() {
            // Its record goes with the end of its host's deletion.
            return self.finish(id, Outcome::Done);
        }
        match self.prepare_delete(&object, &change) {
            Ok((request, begin)) => self.begin(id, request, begin, Some(object), ChangeAction::Delete, None),
            Err(error) => self.fail_early(id, &key.0, change.action, &error),
        }
    }

    fn prepare_delete(
        &mut self,
        object: &Object,
        change: &Change,
    ) -> Result<(Request, BeginOp), ProviderError> {
        let (value, private) = self.seen(object);
        let prior = value.resolve().map_err(|u| {
            ProviderError::new(ErrorKind::Bug, format!("{} of the state is not known", u.path))
        })?;
        let timeouts = change.timeouts.unwrap_or(object.settings.timeouts);
        let begin = BeginOp {
            action: Action::Delete,
            object: object.id.clone(),
            address: object.address.clone(),
            provider: object.provider.clone(),
            recipe: object.recipe.clone(),
            planned: prior.value().clone(),
            digest: digest(&prior),
            token: self.planner.host.entropy.hex(16).into(),
            owner_mark: object.owner_mark.clone(),
            dependencies: object.dependencies.clone(),
            host: object.host.clone(),
            settings: object.settings.clone(),
            schema_version: object.schema_version,
            at: self.planner.host.clock.now(),
        };
        Ok((Request::Delete { prior, private, timeouts }, begin))
    }

    // ---- finishing ---------------------------------------------------------------------------------------------

    fn finished(&mut self, finished: Finished) {
        match finished {
            Finished::Read { node, reads } => self.read_finished(node, reads),
            Finished::Operation { node, op, result } => {
                // A message of this operation may still be queued: it comes first.
                while let Ok(message) = self.receiver.try_recv() {
                    self.message(message);
                }
                self.by_node.remove(&node);
                let Some(running) = self.running.remove(&op) else { return };
                self.limit_feedback(&running, result.as_ref().err());
                match result {
                    Ok(done) => self.succeeded(node, op, running, done),
                    Err(error) => self.failed(node, op, running, &error),
                }
            }
        }
    }

    fn read_finished(
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

    fn limit_feedback(&mut self, running: &Running, error: Option<&ProviderError>) {
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

    fn succeeded(&mut self, node: NodeId, op: OpId, running: Running, done: Done) {
        match done {
            Done::Settled(seen) => self.object_settled(op, &running, seen),
            Done::Deleted => self.object_deleted(op, &running),
        }
        let elapsed = self.planner.host.clock.now().since(running.started);
        self.done += 1;
        self.emitter.emit(EventKind::OperationDone {
            address: running.address.clone(),
            action: running.action,
            millis: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        self.emitter.emit(EventKind::Progress { done: self.done, total: self.total.max(self.done) });
        self.finish(node, Outcome::Done);
    }

    fn object_settled(&mut self, op: OpId, running: &Running, seen: Seen) {
        let begin = &running.begin;
        let found = self.planner.schema_of(Mode::Managed, &begin.address.resource.kind, &begin.provider.name);
        let mut value = seen.attributes.value().clone();
        if let Some((_, schema)) = &found {
            // Marks that came with the configuration stay where the value is what was planned.
            value = keep_marks(&crate::values::apply_schema_marks(&value, &schema.block), &begin.planned);
            self.note_made(schema, &value, begin);
        }
        let object = self.object(begin, running.prior.as_ref(), value.clone(), seen.private, Status::Ready);
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

    fn note_made(&mut self, schema: &KindSchema, value: &Value, begin: &BeginOp) {
        if begin.action == Action::Create && schema.hosts {
            self.planner.pool.host_is_fresh(begin.object.clone());
        }
        if begin.action == Action::Create {
            let mut keys = self.made_keys.lock().expect("no holder of this lock panics");
            let names = schema.natural_key.iter().map(|k| &**k).chain(["arn", "id", "name"]);
            keys.extend(names.filter_map(|k| planner::dotted(value, k)));
        }
    }

    fn object(
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

    fn settled_value(&mut self, address: &InstanceAddr, value: Option<Value>) {
        if let Some(value) = value {
            self.planner.values.set_instance(&address.resource, address.key.clone(), value);
        }
        self.touched.insert(address.resource.clone());
    }

    /// What has been done is no pending change any more.
    fn mark_done(&mut self, address: &InstanceAddr) {
        if let Some(change) = self.planner.changes.get_mut(&(address.clone(), None)) {
            change.action = ChangeAction::NoOp;
            change.object = self.planner.state.current.get(address).cloned();
            change.waits_for.clear();
        }
        if let Some(id) = self.planner.state.current.get(address) {
            self.planner.refreshed.remove(id);
        }
    }

    fn object_deleted(&mut self, op: OpId, running: &Running) {
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

    fn failed(&mut self, node: NodeId, op: OpId, running: Running, error: &ProviderError) {
        let begin = &running.begin;
        let address = running.address.clone();
        if error.kind == ErrorKind::Interrupted {
            return self.suspended(node, op, &running);
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
                if running.made.is_some() || is_lost || error.kind == ErrorKind::Unconverged =>
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

    fn bad_status(&self, error: &ProviderError) -> Status {
        if error.kind == ErrorKind::Tainted {
            Status::Tainted(error.to_string().into())
        } else {
            Status::Unconverged(error.to_string().into())
        }
    }

    fn suspended(&mut self, node: NodeId, op: OpId, running: &Running) {
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

enum Event {
    Finished(Finished),
    Message(Message<OpId>),
    Stop,
}

fn settings(change: &Change, timeouts: Timeouts) -> Settings {
    Settings {
        create_before_destroy: change.create_before_destroy
            || change.action == ChangeAction::ReplaceCreateFirst,
        prevent_destroy: change.prevent_destroy,
        on_destroy: change.on_destroy,
        timeouts,
    }
}

fn causes_text(causes: &BTreeSet<groma_types::Cause>) -> String {
    let names = causes.iter().map(|c| match c {
        groma_types::Cause::Node(address) => address.to_string(),
        groma_types::Cause::Function(name) => format!("{name}()"),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Digest of a request. It lies in the journal in the clear, so secrets do not count: they could be guessed from it.
fn digest(value: &Resolved) -> Arc<str> {
    let public = value.map_deep(&mut |v| if v.marks().sensitive { Value::null(v.ty()) } else { v });
    let text = format!("{public:?}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect::<String>().into()
}

/// Puts the marks of `from` on equal parts of `value`.
fn keep_marks(value: &Value, from: &Value) -> Value {
    use groma_types::ValueKind;
    let merged = match (value.kind(), from.kind()) {
        (ValueKind::Object(a), ValueKind::Object(b)) => {
            let pairs = a.iter().map(|(k, v)| (k.clone(), b.get(k).map_or(v.clone(), |f| keep_marks(v, f))));
            Value::object(pairs.collect::<Vec<_>>())
        }
        (ValueKind::Map(e, a), ValueKind::Map(_, b)) => {
            let pairs = a.iter().map(|(k, v)| (k.clone(), b.get(k).map_or(v.clone(), |f| keep_marks(v, f))));
            Value::map(e.clone(), pairs.collect::<Vec<_>>())
        }
        (ValueKind::List(e, a), ValueKind::List(_, b)) if a.len() == b.len() => {
            Value::list(e.clone(), a.iter().zip(b.iter()).map(|(v, f)| keep_marks(v, f)).collect())
        }
        (ValueKind::Tuple(a), ValueKind::Tuple(b)) if a.len() == b.len() => {
            Value::tuple(a.iter().zip(b.iter()).map(|(v, f)| keep_marks(v, f)).collect())
        }
        _ => return value.clone().mark(from.marks()),
    };
    merged.mark(value.marks()).mark(from.marks())
}

/// Evaluates the root outputs with what is known, and records those that changed.
pub fn record_outputs(planner: &mut Planner, store: &mut dyn Store) {
    let config = planner.config();
    let names: Vec<Arc<str>> = config.root().outputs.keys().cloned().collect();
    let mut records = Vec::new();
    for name in &names {
        let Ok(value) = planner.eval.output(&planner.values, &ModuleAddr::root(), name) else { continue };
        if !value.is_wholly_known() || value.deep_marks().minted || value.deep_marks().ephemeral {
            continue;
        }
        let sensitive = value.deep_marks().sensitive;
        let new = OutputValue { value, sensitive };
        if planner.state.outputs.get(name) != Some(&new) {
            records.push(Record::Output(name.clone(), Some(new)));
        }
    }
    let gone: Vec<Arc<str>> = planner.state.outputs.keys().filter(|n| !names.contains(n)).cloned().collect();
    records.extend(gone.into_iter().map(|n| Record::Output(n, None)));
    for record in records {
        planner.state.apply(&record);
        store.append(record);
    }
}

/// After a destroy of everything the outputs are gone too.
pub fn forget_outputs(planner: &mut Planner, store: &mut dyn Store, plan: &crate::plan::Plan) {
    if plan.targeted || !planner.state.objects.is_empty() {
        return;
    }
    let names: Vec<Arc<str>> = planner.state.outputs.keys().cloned().collect();
    for name in names {
        let record = Record::Output(name, None);
        planner.state.apply(&record);
        store.append(record);
    }
}
