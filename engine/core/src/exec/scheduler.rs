//! What may start now: a graph of nodes that grows while it runs.
//!
//! The scheduler is plain data: no clock, no async, no values. A driver asks [`Scheduler::next`] until it says
//! `None`, runs what it got, and tells how each node ended. Of the nodes that may start the one of the highest rank
//! goes first, that is the one with the longest remaining path, queues for slots counted in (see [`rank`]); equal
//! ones in the order in which they were added.
//!
//! Invariants: a node starts once, and only after all before it are done; a limit is never exceeded by starting;
//! a node after one that failed, was held or was skipped never starts and is reported as skipped exactly once;
//! an [`Scheduler::add`] that fails changes nothing.
//!
//! All operations together cost O((V + E) log V); an `add` costs in the piece and what it reaches. Ranks are searched
//! for anew only when as much has been added as is still to start, so that this too is paid by what was added.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

mod add;
mod rank;
#[cfg(test)]
mod tests;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitId(pub u32);

/// What is guessed of a node before it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSpec {
    /// How long it holds a slot.
    pub busy_ms: u64,
    /// How long it only waits after that.
    pub wait_ms: u64,
    /// The limit whose slot it holds; `None`: only the overall limit counts.
    pub limit: Option<LimitId>,
}

/// A node of the piece that is being added, by its index there, or one of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeRef {
    New(usize),
    Old(NodeId),
}

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed,
    /// Stopped for approval: what follows it does not run.
    Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Something before it has not ended.
    Waiting,
    /// Could start but for limits.
    Ready,
    /// Runs and holds a slot.
    Running,
    /// Runs, only waits and holds no slot.
    Slotless,
    Done,
    Failed,
    Held,
    /// Something before it failed or was held.
    Skipped,
}

impl NodeState {
    /// Whether the node has been given to the driver or will never be.
    pub fn is_settled(self) -> bool {
        !matches!(self, NodeState::Waiting | NodeState::Ready)
    }
    pub fn is_running(self) -> bool {
        matches!(self, NodeState::Running | NodeState::Slotless)
    }
    pub fn has_ended(self) -> bool {
        self.is_settled() && !self.is_running()
    }
    fn ended_badly(self) -> bool {
        matches!(self, NodeState::Failed | NodeState::Held | NodeState::Skipped)
    }
}

/// A node that will not run, because of another that failed or was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skip {
    pub node: NodeId,
    pub because: NodeId,
}

/// What an [`Scheduler::add`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Ids of the new nodes, in the order of the piece.
    pub nodes: Vec<NodeId>,
    /// Nodes that will not run since they now come after one that ended badly.
    pub skipped: Vec<Skip>,
}

/// Why a piece was refused; nothing was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddError {
    /// The nodes of a cycle, each before the next, the last before the first.
    Cycle(Vec<NodeRef>),
    /// An edge leads to a node that has started or ended.
    Started(NodeId),
    /// A reference to a node or limit that is not there.
    Unknown(NodeRef),
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddError::Cycle(nodes) => write!(f, "{} nodes wait for each other in a cycle", nodes.len()),
            AddError::Started(node) => write!(f, "node {} has started, nothing can come before it", node.0),
            AddError::Unknown(node) => write!(f, "{node:?} is not there or has an unknown limit"),
        }
    }
}
impl std::error::Error for AddError {}

/// Place in a queue: highest rank first, then the older node.
type Key = (Reverse<u64>, NodeId);

struct Node {
    spec: NodeSpec,
    state: NodeState,
    /// Nodes before this one that are not done.
    pending: u32,
    before: Vec<NodeId>,
    after: Vec<NodeId>,
    /// Length of the longest path from the start of this node to the end of all.
    tail: u64,
    /// Urgency: [`Node::tail`], or more or less than that where slots are short.
    rank: u64,
    /// What it was skipped because of.
    cause: Option<NodeId>,
}

/// Ready nodes of one limit, and its slots. Queue 0 is of the nodes without a limit.
struct Queue {
    ready: BTreeSet<Key>,
    in_use: usize,
    /// Slots now; between 1 and `cap`.
    slots: usize,
    cap: usize,
    /// Successes since the last change of `slots`.
    successes: usize,
    /// Answers to come from requests that were on their way when slots were last taken: they say nothing new.
    stale_answers: usize,
    /// What [`Scheduler::heads`] holds of this queue.
    offered: Option<Key>,
}

impl Queue {
    fn new(cap: usize) -> Queue {
        Queue {
            ready: BTreeSet::new(),
            in_use: 0,
            slots: cap,
            cap,
            successes: 0,
            stale_answers: 0,
            offered: None,
        }
    }
    fn head(&self) -> Option<Key> {
        if self.in_use < self.slots { self.ready.first().copied() } else { None }
    }
}

/// See the module's text.
pub struct Scheduler {
    nodes: Vec<Node>,
    queues: Vec<Queue>,
    /// First node of each queue that has a free slot.
    heads: BTreeSet<(Key, usize)>,
    overall: Option<usize>,
    /// Nodes that hold a slot.
    slotted: usize,
    /// Nodes that run, with a slot or without.
    running: usize,
    /// Nodes that have not ended.
    remaining: usize,
    ready: usize,
    /// Nodes added since ranks were last searched for.
    unranked: usize,
    /// Nodes that had not started at that time, and those added since.
    perhaps_open: Vec<NodeId>,
    stopped: bool,
}

impl Default for Scheduler {
    fn default() -> Scheduler {
        Scheduler::new()
    }
}

impl Scheduler {
    pub fn new() -> Scheduler {
        Scheduler {
            nodes: Vec::new(),
            queues: vec![Queue::new(usize::MAX)],
            heads: BTreeSet::new(),
            overall: None,
            slotted: 0,
            running: 0,
            remaining: 0,
            ready: 0,
            unranked: 0,
            perhaps_open: Vec::new(),
            stopped: false,
        }
    }

    /// Makes a limit of `max` slots (at least one). It adapts below that to what the API bears.
    pub fn limit(&mut self, max: usize) -> LimitId {
        self.queues.push(Queue::new(max.max(1)));
        LimitId(u32::try_from(self.queues.len() - 2).expect("fewer than 2^32 limits"))
    }

    /// Caps the nodes that hold a slot at one time, over all limits.
    pub fn set_overall(&mut self, max: Option<usize>) {
        self.overall = max.map(|m| m.max(1));
    }

    /// Starts the most urgent node that may start under all limits.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: the answer changes with every call")]
    pub fn next(&mut self) -> Option<NodeId> {
        if self.stopped || self.overall.is_some_and(|max| self.slotted >= max) {
            return None;
        }
        let &(key, queue) = self.heads.first()?;
        let node = key.1;
        self.queues[queue].ready.remove(&key);
        self.queues[queue].in_use += 1;
        self.ready -= 1;
        self.slotted += 1;
        self.running += 1;
        self.node_mut(node).state = NodeState::Running;
        self.offer(queue);
        Some(node)
    }

    /// Says that a running node from now on only waits: its slot is free for another.
    pub fn waiting(&mut self, node: NodeId) {
        if self.node(node).state == NodeState::Running {
            self.node_mut(node).state = NodeState::Slotless;
            self.free_slot(node);
        }
    }

    /// Records the end of a running node; returns the nodes that will not run because of it.
    ///
    /// # Panics
    /// The node does not run.
    pub fn finish(&mut self, node: NodeId, outcome: Outcome) -> Vec<Skip> {
        let state = self.node(node).state;
        assert!(state.is_running(), "invariant: only a running node ends, {node:?} is {state:?}");
        if state == NodeState::Running {
            self.free_slot(node);
        }
        self.running -= 1;
        self.remaining -= 1;
        let mut skipped = Vec::new();
        match outcome {
            Outcome::Done => {
                self.node_mut(node).state = NodeState::Done;
                self.release(node);
            }
            Outcome::Failed => {
                self.node_mut(node).state = NodeState::Failed;
                self.skip_after(node, node, &mut skipped);
            }
            Outcome::Held => {
                self.node_mut(node).state = NodeState::Held;
                self.skip_after(node, node, &mut skipped);
            }
        }
        skipped
    }

    /// Says that the API refused a request for its rate: the limit falls to half, at least one. Refusals of
    /// requests that were on their way at that time are one and the same news.
    pub fn throttled(&mut self, limit: LimitId) {
        let queue = &mut self.queues[queue_of(Some(limit))];
        if queue.stale_answers > 0 {
            queue.stale_answers -= 1;
            return;
        }
        queue.slots = (queue.slots / 2).max(1);
        queue.successes = 0;
        queue.stale_answers = queue.in_use.saturating_sub(1);
        self.offer(queue_of(Some(limit)));
    }

    /// Says that the API took a request: after as many as there are slots, the limit rises by one.
    pub fn succeeded(&mut self, limit: LimitId) {
        let queue = &mut self.queues[queue_of(Some(limit))];
        queue.stale_answers = queue.stale_answers.saturating_sub(1);
        queue.successes += 1;
        if queue.successes >= queue.slots && queue.slots < queue.cap {
            queue.slots += 1;
            queue.successes = 0;
            self.offer(queue_of(Some(limit)));
        }
    }

    /// Starts nothing more; what runs may end.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether nothing runs and nothing can start: the run is over.
    pub fn is_idle(&self) -> bool {
        self.running == 0 && (self.stopped || self.ready == 0)
    }

    /// Number of nodes that run, with a slot or without.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Number of nodes that have not ended.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Number of nodes ever added.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn state(&self, node: NodeId) -> NodeState {
        self.node(node).state
    }

    /// The failed or held node that a skipped node was skipped because of.
    pub fn cause(&self, node: NodeId) -> Option<NodeId> {
        self.node(node).cause
    }

    /// Nodes that a waiting node waits for.
    pub fn blockers(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.node(node).before.iter().copied().filter(|&b| self.node(b).state != NodeState::Done)
    }

    /// Guessed time from the start of the node to the end of all that follows it.
    pub fn remaining_path_ms(&self, node: NodeId) -> u64 {
        self.node(node).tail
    }

    /// Slots that a limit has now.
    pub fn slots(&self, limit: LimitId) -> usize {
        self.queues[queue_of(Some(limit))].slots
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }
    fn key(&self, id: NodeId) -> Key {
        (Reverse(self.node(id).rank), id)
    }
    fn queue(&self, id: NodeId) -> usize {
        queue_of(self.node(id).spec.limit)
    }

    /// Brings `heads` up to date after a change of a queue.
    fn offer(&mut self, queue: usize) {
        let head = self.queues[queue].head();
        let old = std::mem::replace(&mut self.queues[queue].offered, head);
        if old != head {
            if let Some(key) = old {
                self.heads.remove(&(key, queue));
            }
            if let Some(key) = head {
                self.heads.insert((key, queue));
            }
        }
    }

    fn free_slot(&mut self, node: NodeId) {
        let queue = self.queue(node);
        self.queues[queue].in_use -= 1;
        self.slotted -= 1;
        self.offer(queue);
    }

    /// Puts a node into its queue if nothing is before it any more.
    fn enqueue_if_ready(&mut self, node: NodeId) {
        if self.node(node).state == NodeState::Waiting && self.node(node).pending == 0 {
            self.node_mut(node).state = NodeState::Ready;
            let (queue, key) = (self.queue(node), self.key(node));
            self.queues[queue].ready.insert(key);
            self.ready += 1;
            self.offer(queue);
        }
    }

    /// Takes a ready node out of its queue.
    fn dequeue(&mut self, node: NodeId) {
        if self.node(node).state == NodeState::Ready {
            self.node_mut(node).state = NodeState::Waiting;
            let (queue, key) = (self.queue(node), self.key(node));
            self.queues[queue].ready.remove(&key);
            self.ready -= 1;
            self.offer(queue);
        }
    }

    fn release(&mut self, node: NodeId) {
        for i in 0..self.node(node).after.len() {
            let next = self.node(node).after[i];
            self.node_mut(next).pending -= 1;
            self.enqueue_if_ready(next);
        }
    }

    /// Skips all that comes after `node` and has not been skipped before.
    fn skip_after(&mut self, node: NodeId, because: NodeId, skipped: &mut Vec<Skip>) {
        let mut todo = vec![node];
        while let Some(at) = todo.pop() {
            for i in 0..self.node(at).after.len() {
                let next = self.node(at).after[i];
                if self.skip(next, because, skipped) {
                    todo.push(next);
                }
            }
        }
    }

    fn skip(&mut self, node: NodeId, because: NodeId, skipped: &mut Vec<Skip>) -> bool {
        if self.node(node).state.is_settled() {
            return false;
        }
        self.dequeue(node);
        self.node_mut(node).state = NodeState::Skipped;
        self.node_mut(node).cause = Some(because);
        self.remaining -= 1;
        skipped.push(Skip { node, because });
        true
    }
}

/// Index of a limit's queue; 0 is of the nodes without a limit.
fn queue_of(limit: Option<LimitId>) -> usize {
    limit.map_or(0, |l| l.0 as usize + 1)
}

fn number_of(index: usize) -> NodeId {
    NodeId(u32::try_from(index).expect("fewer than 2^32 nodes"))
}
