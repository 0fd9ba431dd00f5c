//! How good and how fast schedules are, under simulated time. Prints its figures; exit code 1 if one is missed.
//!
//! 1. Random graphs under one limit, against the lower bound max(critical path, work / limit).
//! 2. Random graphs under several limits, and layered graphs, against the best of 50 list schedules with random
//!    priorities.
//! 3. Nodes a second, for large graphs and for one that grows by many small pieces.
//!
//! Run by `cargo bench --bench scheduler`.
#![expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]

use groma_engine::exec::scheduler::{LimitId, NodeId, NodeRef, NodeSpec, Outcome, Scheduler};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::process::ExitCode;
use std::time::Instant;

const GRAPHS: u64 = 1000;
const RIVALS: u64 = 50;

/// The same numbers for the same seed on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// From `low` to `high`, both included.
    fn between(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
    /// A time between a second and ten minutes, as many short as long ones; some nodes mostly wait.
    fn spec(&mut self, limit: Option<usize>) -> NodeSpec {
        let total = (1000.0 * 600_f64.powf(self.unit())) as u64;
        let waits = if self.unit() < 0.5 { 0.0 } else { self.unit() * 0.9 };
        let wait_ms = (total as f64 * waits) as u64;
        NodeSpec { busy_ms: total - wait_ms, wait_ms, limit: limit.map(|l| LimitId(l as u32)) }
    }
}

/// A graph to run: edges lead from a node to a later one.
struct Graph {
    nodes: Vec<NodeSpec>,
    edges: Vec<(usize, usize)>,
    limits: Vec<usize>,
}

impl Graph {
    /// Any node may follow any earlier one.
    fn random(random: &mut Random, nodes: usize, limits: Vec<usize>) -> Graph {
        let degree = 0.5 + random.unit() * 3.5;
        let edges = (nodes as f64 * degree) as usize;
        let pair = |random: &mut Random| {
            let (a, b) = (random.between(0, nodes - 1), random.between(0, nodes - 1));
            (a != b).then(|| (a.min(b), a.max(b)))
        };
        let edges = (0..edges).filter_map(|_| pair(random)).collect();
        Graph { nodes: specs(random, nodes, limits.len()), edges, limits }
    }

    /// A node follows one to three nodes of the layer before its own.
    fn layered(random: &mut Random, nodes: usize, limits: Vec<usize>) -> Graph {
        let width = random.between(3, nodes / 4);
        let mut edges = Vec::new();
        for b in width..nodes {
            let first = (b / width - 1) * width;
            for _ in 0..random.between(1, 3) {
                edges.push((random.between(first, first + width - 1), b));
            }
        }
        Graph { nodes: specs(random, nodes, limits.len()), edges, limits }
    }

    fn neighbours(&self) -> (Vec<Vec<usize>>, Vec<usize>) {
        let (mut after, mut before) = (vec![Vec::new(); self.nodes.len()], vec![0; self.nodes.len()]);
        for &(a, b) in &self.edges {
            after[a].push(b);
            before[b] += 1;
        }
        (after, before)
    }

    fn lower_bound(&self) -> u64 {
        let (after, _) = self.neighbours();
        let mut tails = vec![0; self.nodes.len()];
        for n in (0..self.nodes.len()).rev() {
            let longest = after[n].iter().map(|&m| tails[m]).max().unwrap_or(0);
            tails[n] = self.nodes[n].busy_ms + self.nodes[n].wait_ms + longest;
        }
        let path = tails.into_iter().max().unwrap_or(0);
        let of = |l: usize| self.nodes.iter().filter(move |n| n.limit == Some(LimitId(l as u32)));
        let work = |(l, slots): (usize, &usize)| of(l).map(|n| n.busy_ms).sum::<u64>() / *slots as u64;
        self.limits.iter().enumerate().map(work).max().unwrap_or(0).max(path)
    }
}

fn specs(random: &mut Random, nodes: usize, limits: usize) -> Vec<NodeSpec> {
    let limit = |random: &mut Random| match limits {
        1 => Some(0),
        _ => random.between(0, limits).checked_sub(1),
    };
    (0..nodes)
        .map(|_| {
            let limit = limit(random);
            random.spec(limit)
        })
        .collect()
}

/// What decides what starts: the scheduler, or a rival.
trait Chooser {
    fn next(&mut self) -> Option<usize>;
    fn waiting(&mut self, node: usize);
    fn finish(&mut self, node: usize);
}

impl Chooser for Scheduler {
    fn next(&mut self) -> Option<usize> {
        Scheduler::next(self).map(|n| n.0 as usize)
    }
    fn waiting(&mut self, node: usize) {
        Scheduler::waiting(self, NodeId(node as u32));
    }
    fn finish(&mut self, node: usize) {
        assert!(Scheduler::finish(self, NodeId(node as u32), Outcome::Done).is_empty());
    }
}

fn scheduler(graph: &Graph) -> Scheduler {
    let mut scheduler = Scheduler::new();
    for &slots in &graph.limits {
        scheduler.limit(slots);
    }
    let edges: Vec<_> = graph.edges.iter().map(|&(a, b)| (NodeRef::New(a), NodeRef::New(b))).collect();
    scheduler.add(graph.nodes.clone(), &edges).expect("edges lead to later nodes");
    scheduler
}

/// A plain list schedule by given priorities; it shares no code with the scheduler.
struct Rival<'a> {
    graph: &'a Graph,
    after: &'a [Vec<usize>],
    before: Vec<usize>,
    priority: Vec<u64>,
    /// By limit, the last for nodes without.
    ready: Vec<BinaryHeap<(u64, usize)>>,
    free: Vec<usize>,
    holds: Vec<bool>,
}

impl<'a> Rival<'a> {
    fn new(graph: &'a Graph, after: &'a [Vec<usize>], before: &[usize], priority: Vec<u64>) -> Rival<'a> {
        let mut free = graph.limits.clone();
        free.push(usize::MAX);
        let ready = vec![BinaryHeap::new(); free.len()];
        let holds = vec![false; before.len()];
        let mut rival = Rival { graph, after, before: before.to_vec(), priority, ready, free, holds };
        (0..before.len()).filter(|&n| before[n] == 0).for_each(|n| rival.push(n));
        rival
    }
    fn limit(&self, node: usize) -> usize {
        self.graph.nodes[node].limit.map_or(self.free.len() - 1, |l| l.0 as usize)
    }
    fn push(&mut self, node: usize) {
        let limit = self.limit(node);
        self.ready[limit].push((self.priority[node], node));
    }
}

impl Chooser for Rival<'_> {
    fn next(&mut self) -> Option<usize> {
        let limit = (0..self.free.len()).find(|&l| self.free[l] > 0 && !self.ready[l].is_empty())?;
        self.free[limit] -= 1;
        let (_, node) = self.ready[limit].pop()?;
        self.holds[node] = true;
        Some(node)
    }
    fn waiting(&mut self, node: usize) {
        if std::mem::replace(&mut self.holds[node], false) {
            let limit = self.limit(node);
            self.free[limit] += 1;
        }
    }
    fn finish(&mut self, node: usize) {
        self.waiting(node);
        for &next in &self.after[node] {
            self.before[next] -= 1;
            if self.before[next] == 0 {
                self.push(next);
            }
        }
    }
}

/// Runs a graph under simulated time; returns when its last node ends.
fn makespan(graph: &Graph, chooser: &mut dyn Chooser) -> u64 {
    let mut events = BinaryHeap::new();
    let (mut now, mut ended) = (0, 0);
    loop {
        while let Some(node) = chooser.next() {
            let spec = graph.nodes[node];
            if spec.wait_ms > 0 {
                events.push(Reverse((now + spec.busy_ms, node, false)));
            }
            events.push(Reverse((now + spec.busy_ms + spec.wait_ms, node, true)));
        }
        let Some(Reverse((time, ..))) = events.peek().copied() else { break };
        now = time;
        while let Some(Reverse((time, node, ends))) = events.peek().copied() {
            if time > now {
                break;
            }
            events.pop();
            if ends {
                chooser.finish(node);
                ended += 1;
            } else {
                chooser.waiting(node);
            }
        }
    }
    assert_eq!(ended, graph.nodes.len(), "all nodes run");
    now
}

/// How far a makespan is above a reference, in per cent.
fn above(makespan: u64, reference: u64) -> f64 {
    (makespan as f64 / reference as f64 - 1.0) * 100.0
}

/// Prints a line of figures; returns whether the worst and the mean are within their bounds.
fn report(what: &str, mut figures: Vec<f64>, mean_max: f64, worst_max: f64) -> bool {
    figures.sort_by(f64::total_cmp);
    let mean = figures.iter().sum::<f64>() / figures.len() as f64;
    let worst = *figures.last().expect("there are graphs");
    let p99 = figures[figures.len() * 99 / 100];
    let held = mean <= mean_max && worst <= worst_max;
    let bounds = if mean_max.is_finite() { format!("mean {mean_max} %, ") } else { String::new() };
    println!(
        "{what}: mean {mean:+.2} %, p99 {p99:+.2} %, worst {worst:+.2} % (at most {bounds}worst {worst_max} %){}",
        if held { "" } else { "  MISSED" }
    );
    held
}

fn against_lower_bound() -> bool {
    let figure = |seed| {
        let random = &mut Random(seed);
        let nodes = random.between(50, 400);
        let limit = random.between(1, nodes / 10);
        let graph = Graph::random(random, nodes, vec![limit]);
        above(makespan(&graph, &mut scheduler(&graph)), graph.lower_bound())
    };
    let figures = (0..GRAPHS).map(figure).collect();
    report("one limit, above max(critical path, work / limit)", figures, 2.0, 15.0)
}

fn against_rivals(what: &str, make: impl Fn(&mut Random) -> Graph) -> bool {
    let figure = |seed| {
        let random = &mut Random(seed);
        let graph = make(random);
        let (after, before) = graph.neighbours();
        let rival = |_| {
            let priority = (0..before.len()).map(|_| random.next()).collect();
            makespan(&graph, &mut Rival::new(&graph, &after, &before, priority))
        };
        let best = (0..RIVALS).map(rival).min().expect("there are rivals");
        above(makespan(&graph, &mut scheduler(&graph)), best)
    };
    let figures = (0..GRAPHS).map(figure).collect();
    report(what, figures, f64::INFINITY, 5.0)
}

fn several_limits(random: &mut Random) -> Vec<usize> {
    (0..random.between(2, 5)).map(|_| random.between(1, 8)).collect()
}

fn speed(nodes: usize) {
    let random = &mut Random(nodes as u64);
    let graph = Graph::random(random, nodes, vec![64]);
    let begun = Instant::now();
    makespan(&graph, &mut scheduler(&graph));
    let whole = nodes as f64 / begun.elapsed().as_secs_f64();
    println!("{nodes} nodes, {} edges: {whole:.0} nodes/s, simulation included", graph.edges.len());
}

/// Adds small pieces, each between a node that is done and one that has not started, to a large graph.
fn growing(nodes: usize, pieces: usize) {
    let random = &mut Random(nodes as u64);
    let graph = Graph::random(random, nodes, vec![64]);
    let mut scheduler = scheduler(&graph);
    let first = Scheduler::next(&mut scheduler).expect("a graph without cycles has a first node");
    Scheduler::finish(&mut scheduler, first, Outcome::Done);
    let begun = Instant::now();
    let mut done = 0;
    for _ in 0..pieces {
        let last = NodeRef::Old(NodeId(random.between(nodes / 2, nodes - 1) as u32));
        let specs = (0..3).map(|_| random.spec(Some(0))).collect();
        let mut edges = vec![(NodeRef::Old(first), NodeRef::New(0))];
        edges.extend([(NodeRef::New(0), NodeRef::New(1)), (NodeRef::New(1), NodeRef::New(2))]);
        if let NodeRef::Old(id) = last
            && !scheduler.state(id).is_settled()
        {
            edges.push((NodeRef::New(2), last));
        }
        done += scheduler.add(specs, &edges).expect("edges lead onwards").nodes.len();
    }
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    println!("{nodes} nodes grow by {pieces} pieces: {rate:.0} nodes/s");
}

fn main() -> ExitCode {
    let held = [
        against_lower_bound(),
        against_rivals("several limits, above the best of 50 random list schedules", |random| {
            let (nodes, limits) = (random.between(50, 300), several_limits(random));
            Graph::random(random, nodes, limits)
        }),
        against_rivals("layers under one limit, above the best of 50", |random| {
            let nodes = random.between(50, 300);
            let limit = random.between(1, nodes / 10);
            Graph::layered(random, nodes, vec![limit])
        }),
        against_rivals("layers under several limits, above the best of 50", |random| {
            let (nodes, limits) = (random.between(50, 300), several_limits(random));
            Graph::layered(random, nodes, limits)
        }),
    ];
    [10_000, 30_000, 100_000].into_iter().for_each(speed);
    [10_000, 100_000].into_iter().for_each(|nodes| growing(nodes, 10_000));
    if held.into_iter().all(|h| h) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
