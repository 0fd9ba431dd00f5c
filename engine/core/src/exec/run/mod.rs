//! The run of a plan: starts what may start, records, emits, finishes. One task owns the truth; operations send it
//! messages.
//!
//! Invariants:
//! 1. A `begin` is durable before its operation is polled, a `made` before its operation goes on, an `end` before
//!    anything that depends on it is polled: the loop flushes after starting and before polling.
//! 2. What is not approved is held, with all that follows it; the rest goes on.
//! 3. After a failed flush nothing is polled any more.

mod finish;
mod outputs;
mod provision;
mod retire;
mod settle;
mod start;

pub use outputs::{forget_outputs, record_outputs};

use super::context::{MadeKeys, Message};
use super::emit::Emitter;
use super::operation::{Done, Request};
use super::provision::Provisioned;
use super::scheduler::{LimitId, NodeId, NodeRef, NodeSpec, Scheduler};
use super::stop::StopSignal;
use crate::event::{EventKind, Summary};
use crate::facade::ApplyOptions;
use crate::graph::build::{self, Extent, Node, Piece};
use crate::graph::order::Block;
use crate::plan::planner::{ChangeKey, PendingRead, Planner};
use crate::plan::{Change, ChangeAction};
use crate::pool::Pool;
use crate::state::{BeginOp, MadeOp, Object, ObjectId, OpId, RecipeId, Record, Store, StoreError};
use futures::FutureExt;
use futures::channel::mpsc;
use futures::future::{Either, LocalBoxFuture, select};
use futures::stream::{FuturesUnordered, StreamExt};
use groma_provider::{Clock, ProviderError};
use groma_types::{Diagnostic, InstanceAddr, Mode, ProviderAddr, ResourceAddr, Timestamp, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Operations of one service of one provider configuration that hold a slot at once, at most; adaptive below.
const SLOTS_MAX: usize = 64;

/// Between two rounds of renewals, at least: one that fails is not asked for again at once.
const RENEWALS_APART: Duration = Duration::from_secs(10);

/// What a finished future brings.
enum Finished {
    Operation {
        node: NodeId,
        op: OpId,
        result: Result<Done, ProviderError>,
    },
    Provisioned {
        node: NodeId,
        op: OpId,
        ended: Provisioned,
        then: Then,
    },
    Read {
        node: NodeId,
        reads: Vec<(PendingRead, Result<Option<Value>, ProviderError>)>,
    },
    /// What ephemeral resources have open was renewed.
    Renewed,
}

/// What follows the provisioners of an operation.
enum Then {
    /// The object is made: the operation's end.
    Settled(groma_provider::Object),
    /// The call that they went before.
    Call(Box<Request>),
}

/// A running operation.
struct Running {
    node: NodeId,
    address: InstanceAddr,
    action: ChangeAction,
    begin: BeginOp,
    made: Option<MadeOp>,
    prior: Option<Object>,
    started: Timestamp,
    planned: Option<Value>,
}

pub struct Run<'a> {
    planner: Planner,
    approved: BTreeMap<ChangeKey, Arc<Change>>,
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
    /// Resource blocks in module instances, by block, and how many there were when this was made.
    addresses: BTreeMap<Block, Vec<ResourceAddr>>,
    indexed: usize,
    futures: FuturesUnordered<LocalBoxFuture<'static, Finished>>,
    /// Begun, and polled after the next flush.
    begun: Vec<LocalBoxFuture<'static, Finished>>,
    sender: mpsc::UnboundedSender<Message<OpId>>,
    receiver: mpsc::UnboundedReceiver<Message<OpId>>,
    made_keys: MadeKeys,
    /// Blocks in which something changed: their users are decided anew.
    touched: BTreeSet<ResourceAddr>,
    /// Objects by which a replacement is being made: deleted by identity, not by address.
    outgoing: BTreeMap<ChangeKey, ObjectId>,
    /// No round of renewals before; `None`: one is under way.
    renew_from: Option<Timestamp>,
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
        addresses: BTreeMap::new(),
        indexed: 0,
        futures: FuturesUnordered::new(),
        begun: Vec::new(),
        sender,
        receiver,
        made_keys: MadeKeys::default(),
        touched: BTreeSet::new(),
        outgoing,
        renew_from: Some(Timestamp(i64::MIN)),
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
        let (stop, clock) = (self.stop.clone(), self.planner.host.clock.clone());
        loop {
            if stop.level() > 0 {
                self.sched.stop();
            }
            // CAUTION: no early exit between starting and flushing, but by the flush's own failure.
            while let Some(node) = self.sched.next() {
                self.start(node).await;
            }
            self.flush()?;
            self.futures.extend(self.begun.drain(..));
            // Nothing can start and nothing runs: whatever is left waits for something that was skipped or stopped.
            if self.futures.is_empty() {
                return Ok(());
            }
            if stop.level() > 1 {
                return Ok(());
            }
            let wanted = if stop.level() == 0 { 1 } else { 2 };
            let work = select(self.futures.next(), self.receiver.next());
            let renewal = pin!(renewal(self.planner.pool.clone(), clock.clone(), self.renew_from));
            let event = match select(work, select(stop.reached(wanted), renewal)).await {
                Either::Left((Either::Left((Some(finished), _)), _)) => Event::Finished(finished),
                Either::Left((Either::Right((Some(message), _)), _)) => Event::Message(message),
                Either::Left(_) => continue,
                Either::Right((Either::Left(_), _)) => Event::Stop,
                Either::Right((Either::Right(_), _)) => Event::Renew,
            };
            match event {
                Event::Renew => {
                    self.renew_from = None;
                    let pool = self.planner.pool.clone();
                    self.futures.push(Box::pin(async move {
                        pool.renew_due().await;
                        Finished::Renewed
                    }));
                }
                Event::Finished(finished) => self.finished(finished),
                Event::Message(message) => self.message(message),
                Event::Stop => self.sched.stop(),
            }
            // Everything else that has come in meanwhile joins the same group.
            while let Ok(message) = self.receiver.try_recv() {
                self.message(message);
            }
            while let Some(Some(finished)) = self.futures.next().now_or_never() {
                self.finished(finished);
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
                let seen = groma_provider::Object { attributes: made.attributes, private: made.private };
                let attributes = match self.running.get(&owner) {
                    Some(running) => self.marked_result(&running.begin, &seen),
                    None => seen.attributes.into_value(),
                };
                let op = MadeOp {
                    attributes,
                    private: seen.private,
                    operation: made.operation.map(Into::into),
                    provisioning: false,
                };
                if let Some(running) = self.running.get_mut(&owner) {
                    running.made = Some(op.clone());
                }
                self.record(Record::Made(owner, op));
                self.acks.push(durable);
            }
            Message::Waiting { owner, what } => {
                if let Some(running) = self.running.get(&owner) {
                    self.sched.waiting(running.node);
                    self.emitter.emit(EventKind::OperationWaiting { address: running.address.clone(), what });
                }
            }
        }
    }

    // ---- pieces ------------------------------------------------------------------------------------------------

    fn take_piece(&mut self, piece: &Piece) {
        let own = &piece.nodes[..piece.own];
        let specs: Vec<NodeSpec> = own.iter().map(|n| self.spec(n)).collect();
        let find = |number: u32| match build::at(number) < piece.own {
            true => Some(NodeRef::New(build::at(number))),
            false => self.ids.get(&piece.nodes[build::at(number)]).map(|id| NodeRef::Old(*id)),
        };
        let edges: Vec<(NodeRef, NodeRef)> =
            piece.edges.iter().filter_map(|e| Some((find(e.from)?, find(e.to)?))).collect();
        self.yielded.extend(piece.yielded.iter().cloned());
        match self.sched.add(specs, &edges) {
            Ok(added) => {
                for (node, id) in own.iter().zip(added.nodes) {
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
}

fn causes_text(causes: &groma_types::Causes) -> String {
    let names = causes.iter().map(|c| match c {
        groma_types::Cause::Node(address) => address.to_string(),
        groma_types::Cause::Function(name) => format!("{name}()"),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Ends when something that is open is to be renewed.
async fn renewal(pool: Arc<Pool>, clock: Arc<dyn Clock>, from: Option<Timestamp>) {
    match (pool.next_renewal(), from) {
        (Some(at), Some(from)) => clock.sleep(at.max(from).since(clock.now())).await,
        _ => std::future::pending().await,
    }
}

enum Event {
    Renew,
    Finished(Finished),
    Message(Message<OpId>),
    Stop,
}
