//! Taking a piece in: checked as a whole, then added as a whole.
//!
//! Only what the piece reaches is looked at: nodes that have started can neither lie on a cycle nor change their rank.

use super::{
    AddError, Added, Node, NodeId, NodeRef, NodeSpec, NodeState, Scheduler, Skip, number_of, queue_of, rank,
};
use std::collections::HashMap;

impl Scheduler {
    /// Adds one sealed piece: nodes, and edges "the first ends before the second starts" between them and to and
    /// from nodes of before. An edge to a node that was skipped is dropped, since that never starts.
    ///
    /// # Errors
    /// See [`AddError`]; then nothing was added.
    pub fn add(&mut self, nodes: Vec<NodeSpec>, edges: &[(NodeRef, NodeRef)]) -> Result<Added, AddError> {
        self.check_references(&nodes, edges)?;
        let edges = self.numbered(edges);
        let cycle = Piece::new(self, nodes.len(), &edges).find_cycle();
        if let Some(cycle) = cycle {
            return Err(AddError::Cycle(self.named(&cycle)));
        }
        let added = self.append(nodes, &edges);
        self.lengthen(&self.with_open_ancestors(&added, &edges));
        let skipped = self.settle_new_edges(&edges);
        added.iter().for_each(|&node| self.enqueue_if_ready(node));
        self.search_ranks(&added);
        Ok(Added { nodes: added, skipped })
    }

    fn check_references(&self, nodes: &[NodeSpec], edges: &[(NodeRef, NodeRef)]) -> Result<(), AddError> {
        let limits = self.queues.len() - 1;
        if let Some(i) = nodes.iter().position(|n| n.limit.is_some_and(|l| l.0 as usize >= limits)) {
            return Err(AddError::Unknown(NodeRef::New(i)));
        }
        for &(from, to) in edges {
            for end in [from, to] {
                let there = match end {
                    NodeRef::New(i) => i < nodes.len(),
                    NodeRef::Old(id) => (id.0 as usize) < self.nodes.len(),
                };
                if !there {
                    return Err(AddError::Unknown(end));
                }
            }
            if let NodeRef::Old(id) = to {
                let state = self.node(id).state;
                if state.is_settled() && state != NodeState::Skipped {
                    return Err(AddError::Started(id));
                }
            }
        }
        Ok(())
    }

    /// Gives new nodes the ids that they will have; drops edges to skipped nodes.
    fn numbered(&self, edges: &[(NodeRef, NodeRef)]) -> Vec<(NodeId, NodeId)> {
        let number = |end: NodeRef| match end {
            NodeRef::New(i) => number_of(self.nodes.len() + i),
            NodeRef::Old(id) => id,
        };
        let skipped =
            |id: NodeId| self.nodes.get(id.0 as usize).is_some_and(|n| n.state == NodeState::Skipped);
        edges.iter().map(|&(a, b)| (number(a), number(b))).filter(|&(_, b)| !skipped(b)).collect()
    }

    fn named(&self, ids: &[NodeId]) -> Vec<NodeRef> {
        let first = self.nodes.len();
        let name = |id: &NodeId| match (id.0 as usize).checked_sub(first) {
            Some(index) => NodeRef::New(index),
            None => NodeRef::Old(*id),
        };
        ids.iter().map(name).collect()
    }

    fn append(&mut self, specs: Vec<NodeSpec>, edges: &[(NodeId, NodeId)]) -> Vec<NodeId> {
        let first = self.nodes.len();
        self.remaining += specs.len();
        self.nodes.extend(specs.into_iter().map(|spec| Node {
            spec,
            state: NodeState::Waiting,
            pending: 0,
            before: Vec::new(),
            after: Vec::new(),
            tail: 0,
            rank: 0,
            cause: None,
        }));
        for &(from, to) in edges {
            if self.node(from).state != NodeState::Done {
                self.dequeue(to);
                self.node_mut(to).pending += 1;
            }
            self.node_mut(from).after.push(to);
            self.node_mut(to).before.push(from);
        }
        (first..self.nodes.len()).map(number_of).collect()
    }

    /// Computes the remaining paths of `nodes`, which are in an order where what follows a node stands before it.
    /// Ranks rise along with them.
    fn lengthen(&mut self, nodes: &[NodeId]) {
        for &id in nodes {
            let spec = self.node(id).spec;
            let own = spec.busy_ms.saturating_add(spec.wait_ms);
            let longest = |of: fn(&Node) -> u64| {
                let after = self.node(id).after.iter().map(|&n| of(self.node(n))).max();
                own.saturating_add(after.unwrap_or(0))
            };
            let (tail, rank) = (longest(|n| n.tail), longest(|n| n.rank));
            self.node_mut(id).tail = tail;
            self.set_rank(id, rank.max(self.node(id).rank));
        }
    }

    fn set_rank(&mut self, id: NodeId, rank: u64) {
        let was_ready = self.node(id).state == NodeState::Ready;
        self.dequeue(id);
        self.node_mut(id).rank = rank;
        if was_ready {
            self.enqueue_if_ready(id);
        }
    }

    /// Searches for better ranks of all that has not started, if the nodes added since the last search pay for it.
    fn search_ranks(&mut self, added: &[NodeId]) {
        self.unranked += added.len();
        self.perhaps_open.extend(added);
        let open = self.remaining - self.running;
        if open == 0 || self.unranked < open.div_ceil(2) {
            return;
        }
        self.unranked = 0;
        let mut open = std::mem::take(&mut self.perhaps_open);
        open.retain(|&id| !self.node(id).state.is_settled());
        let mut order = self.with_open_ancestors(&open, &[]);
        order.reverse();
        let ranks = rank::ranks(&self.problem(&order));
        order.iter().zip(ranks).for_each(|(&id, rank)| self.set_rank(id, rank));
        self.perhaps_open = open;
    }

    /// The unstarted part of the graph, as a problem of its own.
    fn problem(&self, order: &[NodeId]) -> rank::Problem {
        let index: HashMap<NodeId, u32> = order.iter().copied().zip(0..).collect();
        let inside = |ids: &[NodeId]| ids.iter().filter_map(|id| index.get(id).copied()).collect();
        let task = |&id: &NodeId| {
            let spec = self.node(id).spec;
            rank::Task { busy: spec.busy_ms, wait: spec.wait_ms, queue: queue_of(spec.limit), order: id.0 }
        };
        rank::Problem {
            tasks: order.iter().map(task).collect(),
            before: order.iter().map(|&id| inside(&self.node(id).before)).collect(),
            after: order.iter().map(|&id| inside(&self.node(id).after)).collect(),
            slots: self.queues.iter().map(|q| q.slots).collect(),
            overall: self.overall,
        }
    }

    /// Returns the new nodes and those unstarted ones from which an added edge can be reached, each after all
    /// that follow it.
    fn with_open_ancestors(&self, new: &[NodeId], edges: &[(NodeId, NodeId)]) -> Vec<NodeId> {
        let is_open = |id: &NodeId| !self.node(*id).state.is_settled();
        // First the set, with the number of its members that follow each; then Kahn's order over it.
        let mut todo: Vec<NodeId> =
            edges.iter().map(|e| e.0).chain(new.iter().copied()).filter(is_open).collect();
        todo.sort_unstable();
        todo.dedup();
        let mut following: HashMap<NodeId, u32> = todo.iter().map(|&id| (id, 0)).collect();
        let mut members = Vec::new();
        while let Some(id) = todo.pop() {
            members.push(id);
            for &b in self.node(id).before.iter().filter(|b| is_open(b)) {
                *following.entry(b).or_insert_with(|| {
                    todo.push(b);
                    0
                }) += 1;
            }
        }
        let mut order: Vec<NodeId> = members.into_iter().filter(|id| following[id] == 0).collect();
        let mut at = 0;
        while at < order.len() {
            for &b in self.node(order[at]).before.iter().filter(|b| is_open(b)) {
                let count = following.get_mut(&b).expect("invariant: what is before a member is a member");
                *count -= 1;
                if *count == 0 {
                    order.push(b);
                }
            }
            at += 1;
        }
        order
    }

    /// Skips what now comes after a node that ended badly.
    fn settle_new_edges(&mut self, edges: &[(NodeId, NodeId)]) -> Vec<Skip> {
        let mut skipped = Vec::new();
        for &(from, to) in edges {
            if self.node(from).state.ended_badly() {
                let because = self.node(from).cause.unwrap_or(from);
                if self.skip(to, because, &mut skipped) {
                    self.skip_after(to, because, &mut skipped);
                }
            }
        }
        skipped
    }
}

/// The part of the graph in which a piece could close a cycle.
struct Piece<'a> {
    graph: &'a Scheduler,
    first_new: u32,
    count: u32,
    /// Added edges by their first node, sorted.
    added: Vec<(NodeId, NodeId)>,
    /// A way back from old nodes to the piece is possible: one of the piece's edges begins at an open node.
    through_old: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    Open,
    Closed,
}

impl Piece<'_> {
    fn new<'a>(graph: &'a Scheduler, count: usize, edges: &[(NodeId, NodeId)]) -> Piece<'a> {
        let first_new = number_of(graph.nodes.len()).0;
        let mut added = edges.to_vec();
        added.sort_unstable();
        let count = number_of(count).0;
        let mut piece = Piece { graph, first_new, count, added, through_old: false };
        piece.through_old = edges.iter().any(|e| piece.is_open_old(e.0));
        piece
    }

    fn is_open_old(&self, id: NodeId) -> bool {
        !self.is_new(id) && !self.graph.node(id).state.is_settled()
    }

    fn is_new(&self, id: NodeId) -> bool {
        id.0 >= self.first_new
    }

    /// A settled node closes no cycle: nothing waits for it any more.
    fn may_lead_back(&self, id: NodeId) -> bool {
        self.is_new(id) || self.through_old && self.is_open_old(id)
    }

    /// The `i`-th node that follows `id`, over added edges first.
    fn after(&self, id: NodeId, i: usize) -> Option<NodeId> {
        let start = self.added.partition_point(|e| e.0 < id);
        match self.added.get(start + i) {
            Some(&(from, to)) if from == id => Some(to),
            _ if self.is_new(id) => None,
            _ => {
                let end = self.added.partition_point(|e| e.0 <= id);
                self.graph.node(id).after.get(i - (end - start)).copied()
            }
        }
    }

    fn find_cycle(&self) -> Option<Vec<NodeId>> {
        let mut visits: HashMap<NodeId, Visit> = HashMap::new();
        let new = (self.first_new..self.first_new + self.count).map(NodeId);
        let old = self.added.iter().map(|e| e.0).filter(|&id| self.is_open_old(id));
        new.chain(old).find_map(|root| self.visit(root, &mut visits))
    }

    /// Walks depth first from `root` without recursion: a chain may be as long as the graph.
    fn visit(&self, root: NodeId, visits: &mut HashMap<NodeId, Visit>) -> Option<Vec<NodeId>> {
        if visits.contains_key(&root) {
            return None;
        }
        visits.insert(root, Visit::Open);
        let mut path = vec![(root, 0)];
        while let Some((id, i)) = path.last_mut() {
            let (at, next) = (*id, self.after(*id, *i));
            *i += 1;
            match next {
                None => {
                    visits.insert(at, Visit::Closed);
                    path.pop();
                }
                Some(next) if !self.may_lead_back(next) => {}
                Some(next) => match visits.get(&next) {
                    Some(Visit::Closed) => {}
                    Some(Visit::Open) => {
                        let start = path.iter().position(|p| p.0 == next).unwrap_or(0);
                        return Some(path[start..].iter().map(|p| p.0).collect());
                    }
                    None => {
                        visits.insert(next, Visit::Open);
                        path.push((next, 0));
                    }
                },
            }
        }
        None
    }
}
