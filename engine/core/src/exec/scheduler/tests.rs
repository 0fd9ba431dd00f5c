//! The scheduler against a naive model, over random graphs that grow while they run.

use super::*;

/// A small generator of its own: the same graphs for the same seed on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

fn spec(busy_ms: u64) -> NodeSpec {
    NodeSpec { busy_ms, ..NodeSpec::default() }
}

fn new(a: usize, b: usize) -> (NodeRef, NodeRef) {
    (NodeRef::New(a), NodeRef::New(b))
}

/// The rules of the module's text, written down without any regard for speed.
#[derive(Default)]
struct Model {
    specs: Vec<NodeSpec>,
    states: Vec<NodeState>,
    edges: Vec<(usize, usize)>,
}

impl Model {
    fn is_open(&self, n: usize) -> bool {
        matches!(self.states[n], NodeState::Waiting | NodeState::Ready)
    }
    fn before(&self, n: usize) -> impl Iterator<Item = usize> + '_ {
        self.edges.iter().filter(move |e| e.1 == n).map(|e| e.0)
    }
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.states.len()];
        let mut todo = vec![from];
        while let Some(at) = todo.pop() {
            for next in self.edges.iter().filter(|e| e.0 == at).map(|e| e.1) {
                if next == to {
                    return true;
                }
                if !std::mem::replace(&mut seen[next], true) {
                    todo.push(next);
                }
            }
        }
        false
    }
    /// Whether nodes that have not started wait for each other.
    fn has_cycle(&self) -> bool {
        let mut open = Model { states: self.states.clone(), ..Model::default() };
        open.edges = self.edges.iter().filter(|e| self.is_open(e.0) && self.is_open(e.1)).copied().collect();
        (0..self.states.len()).any(|n| open.reaches(n, n))
    }
    /// Skips and readies until nothing changes.
    fn settle(&mut self) {
        loop {
            let mut changed = false;
            for n in 0..self.states.len() {
                if !self.is_open(n) {
                    continue;
                }
                let bad = self.before(n).any(|b| self.states[b].ended_badly());
                let ready = self.before(n).all(|b| self.states[b] == NodeState::Done);
                let next = match (bad, ready) {
                    (true, _) => NodeState::Skipped,
                    (false, true) => NodeState::Ready,
                    (false, false) => NodeState::Waiting,
                };
                changed |= next != self.states[n];
                self.states[n] = next;
            }
            if !changed {
                return;
            }
        }
    }
    fn running(&self, limit: Option<LimitId>) -> usize {
        let of = |n: &usize| limit.is_none() || self.specs[*n].limit == limit;
        (0..self.states.len()).filter(of).filter(|&n| self.states[n] == NodeState::Running).count()
    }
    /// The nodes that may start.
    fn startable(&self, real: &Scheduler) -> Vec<usize> {
        let free = |n: &usize| {
            let limit = self.specs[*n].limit;
            limit.is_none_or(|l| self.running(Some(l)) < real.slots(l))
        };
        let ready = |n: &usize| self.states[*n] == NodeState::Ready;
        (0..self.states.len()).filter(ready).filter(free).collect()
    }
}

/// A scheduler and its model, driven by the same random steps.
struct Pair {
    random: Random,
    real: Scheduler,
    model: Model,
    limits: Vec<(LimitId, usize)>,
    overall: Option<usize>,
    started: Vec<usize>,
}

impl Pair {
    fn new(seed: u64) -> Pair {
        let mut random = Random(seed);
        let mut real = Scheduler::new();
        let caps: Vec<usize> = (0..random.below(4)).map(|_| 1 + random.below(4)).collect();
        let limits = caps.into_iter().map(|cap| (real.limit(cap), cap)).collect();
        let overall = random.one_in(3).then(|| 1 + random.below(5));
        real.set_overall(overall);
        Pair { random, real, model: Model::default(), limits, overall, started: Vec::new() }
    }

    fn random_spec(&mut self) -> NodeSpec {
        let limit = match self.random.below(self.limits.len() + 1) {
            0 => None,
            i => Some(self.limits[i - 1].0),
        };
        NodeSpec { busy_ms: self.random.below(50) as u64, wait_ms: self.random.below(20) as u64, limit }
    }

    /// Random edges over `all` nodes, mostly without cycles and mostly not to started nodes.
    fn random_edges(&mut self, all: usize) -> Vec<(usize, usize)> {
        let mut edges = Vec::new();
        for _ in 0..self.random.below(all * 2 + 1) {
            let (mut a, mut b) = (self.random.below(all), self.random.below(all));
            if a > b && !self.random.one_in(40) {
                (a, b) = (b, a);
            }
            if (a != b && !self.has_started(b)) || self.random.one_in(200) {
                edges.push((a, b));
            }
        }
        edges
    }

    fn has_started(&self, n: usize) -> bool {
        self.model.states.get(n).is_some_and(|&s| s.is_settled() && s != NodeState::Skipped)
    }

    /// Adds a random piece, sometimes one that must be refused.
    fn grow(&mut self) {
        let old = self.model.states.len();
        let specs: Vec<NodeSpec> = (0..self.random.below(12)).map(|_| self.random_spec()).collect();
        let edges = self.random_edges(old + specs.len());
        let name = |n: usize| match n.checked_sub(old) {
            Some(index) => NodeRef::New(index),
            None => NodeRef::Old(NodeId(n as u32)),
        };
        let named: Vec<_> = edges.iter().map(|&(a, b)| (name(a), name(b))).collect();
        let answer = self.real.add(specs.clone(), &named);

        let (before, kept) = (self.model.states.clone(), self.model.edges.len());
        let started = edges.iter().any(|e| self.has_started(e.1));
        let dead = |e: &&(usize, usize)| before.get(e.1) != Some(&NodeState::Skipped);
        self.model.edges.extend(edges.iter().filter(dead));
        self.model.states.extend(specs.iter().map(|_| NodeState::Waiting));
        self.model.specs.extend(specs);
        match answer {
            Ok(added) => {
                assert!(!started && !self.model.has_cycle());
                self.model.settle();
                self.expect_skipped(&before, &added.skipped);
                return;
            }
            Err(AddError::Started(_)) => assert!(started),
            Err(AddError::Cycle(_)) => assert!(!started && self.model.has_cycle()),
            Err(AddError::Unknown(node)) => panic!("{node:?} is known"),
        }
        self.model.edges.truncate(kept);
        self.model.states.truncate(old);
        self.model.specs.truncate(old);
    }

    fn expect_skipped(&self, before: &[NodeState], skipped: &[Skip]) {
        let fresh = |n: &usize| {
            self.model.states[*n] == NodeState::Skipped && before.get(*n) != Some(&NodeState::Skipped)
        };
        let expected: Vec<usize> = (0..self.model.states.len()).filter(fresh).collect();
        let mut told: Vec<usize> = skipped.iter().map(|s| s.node.0 as usize).collect();
        told.sort_unstable();
        assert_eq!(told, expected, "each skipped node is told once");
        for skip in skipped {
            let (node, because) = (skip.node.0 as usize, skip.because.0 as usize);
            assert!(matches!(self.model.states[because], NodeState::Failed | NodeState::Held));
            assert!(self.model.reaches(because, node));
            assert_eq!(self.real.cause(skip.node), Some(skip.because));
        }
    }

    fn start(&mut self) {
        let mut expected = self.model.startable(&self.real);
        if self.overall.is_some_and(|max| self.model.running(None) >= max) {
            expected.clear();
        }
        let key = |n: &usize| self.real.key(NodeId(*n as u32));
        let expected = expected.into_iter().min_by_key(key);
        let got = self.real.next().map(|n| n.0 as usize);
        assert_eq!(got, expected);
        if let Some(n) = got {
            self.model.states[n] = NodeState::Running;
            self.started.push(n);
        }
    }

    fn end(&mut self, bad_one_in: usize) {
        let runs = |n: &usize| self.model.states[*n].is_running();
        let running: Vec<usize> = (0..self.model.states.len()).filter(runs).collect();
        if running.is_empty() {
            return;
        }
        let n = running[self.random.below(running.len())];
        if self.random.one_in(3) {
            self.real.waiting(NodeId(n as u32));
            self.model.states[n] = NodeState::Slotless;
            return;
        }
        let (outcome, state) = match self.random.below(bad_one_in) {
            0 => (Outcome::Failed, NodeState::Failed),
            1 => (Outcome::Held, NodeState::Held),
            _ => (Outcome::Done, NodeState::Done),
        };
        let before = self.model.states.clone();
        let skipped = self.real.finish(NodeId(n as u32), outcome);
        self.model.states[n] = state;
        self.model.settle();
        self.expect_skipped(&before, &skipped);
        if let Some(limit) = self.model.specs[n].limit {
            match self.random.below(4) {
                0 => self.real.throttled(limit),
                _ => self.real.succeeded(limit),
            }
        }
    }

    fn compare(&self) {
        let states: Vec<NodeState> =
            (0..self.real.len()).map(|n| self.real.state(NodeId(n as u32))).collect();
        assert_eq!(states, self.model.states);
        let running = states.iter().filter(|s| s.is_running()).count();
        assert_eq!(self.real.running(), running);
        assert_eq!(self.real.remaining(), states.iter().filter(|s| !s.has_ended()).count());
        assert_eq!(self.real.is_idle(), running == 0 && !states.contains(&NodeState::Ready));
        assert!(self.limits.iter().all(|&(limit, cap)| (1..=cap).contains(&self.real.slots(limit))));
        self.compare_paths();
    }

    /// The remaining path of an unstarted node is its own time and the longest one after it.
    fn compare_paths(&self) {
        for n in (0..self.real.len()).filter(|&n| self.model.is_open(n)) {
            let after = self.model.edges.iter().filter(|e| e.0 == n).map(|e| e.1);
            let longest = after.map(|m| self.real.node(NodeId(m as u32)).tail).max().unwrap_or(0);
            let own = self.model.specs[n].busy_ms + self.model.specs[n].wait_ms;
            assert_eq!(self.real.remaining_path_ms(NodeId(n as u32)), own + longest);
        }
    }
}

#[test]
fn agrees_with_a_naive_model_on_growing_graphs() {
    for seed in 0..300 {
        let mut pair = Pair::new(seed);
        pair.grow();
        for step in 0..80 {
            match pair.random.below(10) {
                0 if step < 50 => pair.grow(),
                1..=5 => pair.start(),
                _ => pair.end(25),
            }
            pair.compare();
        }
        while !pair.real.is_idle() {
            pair.start();
            pair.end(1000);
        }
        pair.compare();
        assert!(pair.model.states.iter().all(|s| s.has_ended()), "all nodes end, seed {seed}");
        let all = pair.started.len();
        pair.started.sort_unstable();
        pair.started.dedup();
        assert_eq!(pair.started.len(), all, "no node starts twice");
    }
}

#[test]
fn longest_remaining_path_goes_first_and_ties_keep_their_order() {
    let mut s = Scheduler::new();
    s.set_overall(Some(1));
    s.add(vec![spec(5), spec(1), spec(5), spec(9)], &[new(1, 3)]).unwrap();
    let mut order = Vec::new();
    while let Some(n) = s.next() {
        order.push(n.0);
        s.finish(n, Outcome::Done);
    }
    assert_eq!(order, [1, 3, 0, 2]);
}

#[test]
fn what_waits_long_after_its_slot_goes_before_what_holds_it_long() {
    let mut s = Scheduler::new();
    let limit = Some(s.limit(1));
    let holds = NodeSpec { busy_ms: 500_000, wait_ms: 0, limit };
    let waits = NodeSpec { busy_ms: 10_000, wait_ms: 400_000, limit };
    let nodes = s.add(vec![holds, waits], &[]).unwrap().nodes;
    assert!(s.remaining_path_ms(nodes[0]) > s.remaining_path_ms(nodes[1]));
    assert_eq!(s.next(), Some(nodes[1]));
    assert_eq!(s.next(), None);
    s.waiting(nodes[1]);
    assert_eq!(s.next(), Some(nodes[0]));
}

#[test]
fn a_piece_makes_what_stands_before_it_more_urgent() {
    let mut s = Scheduler::new();
    s.set_overall(Some(1));
    let old = s.add(vec![spec(5), spec(4), spec(3), spec(2)], &[]).unwrap().nodes;
    s.add(vec![spec(90)], &[(NodeRef::Old(old[3]), NodeRef::New(0))]).unwrap();
    assert_eq!(s.remaining_path_ms(old[3]), 92);
    assert_eq!(s.next(), Some(old[3]));
}

#[test]
fn refuses_what_cannot_be_added_and_then_adds_nothing() {
    fn check(nodes: usize, edges: &[(NodeRef, NodeRef)], expected: &AddError) {
        let mut s = Scheduler::new();
        let old = s.add(vec![spec(9), spec(1), spec(1)], &[new(0, 1), new(1, 2)]).unwrap();
        assert_eq!(s.next(), Some(old.nodes[0]));
        assert_eq!(&s.add(vec![spec(1); nodes], edges).unwrap_err(), expected);
        assert_eq!((s.len(), s.remaining()), (3, 3));
        s.finish(NodeId(0), Outcome::Done);
        assert_eq!(s.next(), Some(NodeId(1)));
    }
    use NodeRef::{New, Old};
    let old = |n| Old(NodeId(n));
    check(1, &[new(0, 0)], &AddError::Cycle(vec![New(0)]));
    check(2, &[new(0, 1), new(1, 0)], &AddError::Cycle(vec![New(0), New(1)]));
    check(1, &[(old(2), New(0)), (New(0), old(1))], &AddError::Cycle(vec![New(0), old(1), old(2)]));
    check(0, &[(old(2), old(1))], &AddError::Cycle(vec![old(2), old(1)]));
    check(1, &[(New(0), old(0))], &AddError::Started(NodeId(0)));
    check(1, &[(New(0), old(7))], &AddError::Unknown(old(7)));
    check(1, &[new(0, 1)], &AddError::Unknown(New(1)));
}

#[test]
fn a_piece_after_a_held_node_is_skipped_at_once() {
    let mut s = Scheduler::new();
    let old = s.add(vec![spec(1), spec(1)], &[]).unwrap().nodes;
    let first = s.next().unwrap();
    s.finish(first, Outcome::Held);
    let edges = [(NodeRef::Old(old[0]), NodeRef::New(0)), new(0, 1), (NodeRef::New(1), NodeRef::Old(old[1]))];
    let added = s.add(vec![spec(1), spec(1), spec(1)], &edges).unwrap();
    let skipped: Vec<NodeId> = added.skipped.iter().map(|s| s.node).collect();
    assert_eq!(skipped, [added.nodes[0], added.nodes[1], old[1]]);
    assert!(added.skipped.iter().all(|s| s.because == old[0]));
    assert_eq!(s.next(), Some(added.nodes[2]));
}

#[test]
fn a_burst_of_refusals_is_one_and_successes_raise_the_limit_again() {
    let mut s = Scheduler::new();
    let limit = s.limit(8);
    s.add(vec![NodeSpec { busy_ms: 1, wait_ms: 0, limit: Some(limit) }; 20], &[]).unwrap();
    let running: Vec<NodeId> = std::iter::from_fn(|| s.next()).collect();
    assert_eq!(running.len(), 8);
    (0..8).for_each(|_| s.throttled(limit));
    assert_eq!(s.slots(limit), 4);
    s.throttled(limit);
    assert_eq!(s.slots(limit), 2);
    (0..5).for_each(|_| s.succeeded(limit));
    assert_eq!(s.slots(limit), 4);
    (0..100).for_each(|_| s.succeeded(limit));
    assert_eq!(s.slots(limit), 8);
    running.into_iter().for_each(|n| assert!(s.finish(n, Outcome::Done).is_empty()));
    assert_eq!(s.next().map(|n| n.0), Some(8));
}

#[test]
fn a_stopped_scheduler_starts_nothing_and_is_idle_when_all_has_ended() {
    let mut s = Scheduler::new();
    s.add(vec![spec(1), spec(1)], &[]).unwrap();
    let first = s.next().unwrap();
    s.stop();
    assert_eq!((s.next(), s.is_idle()), (None, false));
    s.finish(first, Outcome::Done);
    assert_eq!((s.next(), s.is_idle(), s.remaining()), (None, true, 1));
}
