//! Which of the nodes that may start is the most urgent.
//!
//! The length of the path that remains is the right measure only where slots are plenty. Where nodes queue for
//! them, what matters is when the rest can end *with* the queues. So whole schedules are tried out on the guessed
//! durations: first by a few good rules, then by variations of them, and the ranks of the shortest one win. A trial
//! is a list schedule and costs O((V + E) log V); how many are made depends on the number of nodes, so that small
//! graphs are scheduled very well and large ones fast. Nothing is tried once a schedule meets the lower bound.
//!
//! Pure: equal problems give equal ranks. Ranks only order; a wrong guess never makes a schedule invalid.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Most trials beyond the rules.
const TRIALS_MAX: usize = 256;
/// Most nodes simulated in all trials of one search.
const TRIAL_NODES_MAX: usize = 1 << 17;
/// A schedule that is less than this part of the lower bound above it is good enough,
const NEAR: u64 = 200;
/// or less than so many milliseconds.
const NEAR_MS: u64 = 1000;
/// How far trials stray from a rule, in turn.
const STRAY: [f64; 4] = [0.05, 0.15, 0.4, 0.8];

#[derive(Clone, Copy)]
enum Variation {
    /// What no rule would do is at times what is needed.
    Anything,
    AroundRule,
    AroundBest,
    /// The best so far, a few nodes of it moved.
    FewMoved,
}

/// In turn, four trials each.
const VARIATIONS: [Variation; 8] = [
    Variation::Anything,
    Variation::AroundBest,
    Variation::AroundRule,
    Variation::AroundBest,
    Variation::Anything,
    Variation::AroundRule,
    Variation::FewMoved,
    Variation::AroundRule,
];

#[derive(Clone, Copy)]
pub(super) struct Task {
    pub(super) busy: u64,
    pub(super) wait: u64,
    /// Index into [`Problem::slots`].
    pub(super) queue: usize,
    /// Of equal ranks the lowest goes first.
    pub(super) order: u32,
}

impl Task {
    fn total(self) -> u64 {
        self.busy.saturating_add(self.wait)
    }
}

/// Nodes to schedule; edges lead to nodes with a higher index.
pub(super) struct Problem {
    pub(super) tasks: Vec<Task>,
    pub(super) before: Vec<Vec<u32>>,
    pub(super) after: Vec<Vec<u32>>,
    pub(super) slots: Vec<usize>,
    pub(super) overall: Option<usize>,
}

/// Whether time runs as it does, or back from the end: then a node first waits and then holds its slot.
#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Forward,
    Backward,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    Frees,
    Ends,
}

/// One simulated schedule.
struct Run<'a> {
    problem: &'a Problem,
    direction: Direction,
    priority: &'a [u64],
    now: u64,
    pending: Vec<usize>,
    ready: Vec<BinaryHeap<(u64, Reverse<u32>, u32)>>,
    free: Vec<usize>,
    free_overall: usize,
    events: BinaryHeap<Reverse<(u64, u32, Event)>>,
    /// When each node has given its slot back.
    freed: Vec<u64>,
}

impl<'a> Run<'a> {
    fn new(problem: &'a Problem, direction: Direction, priority: &'a [u64]) -> Run<'a> {
        let first = match direction {
            Direction::Forward => &problem.before,
            Direction::Backward => &problem.after,
        };
        let mut run = Run {
            problem,
            direction,
            priority,
            now: 0,
            pending: first.iter().map(Vec::len).collect(),
            ready: vec![BinaryHeap::new(); problem.slots.len()],
            free: problem.slots.clone(),
            free_overall: problem.overall.unwrap_or(usize::MAX),
            events: BinaryHeap::new(),
            freed: vec![0; problem.tasks.len()],
        };
        for node in 0..problem.tasks.len() {
            if run.pending[node] == 0 {
                run.arrive(node as u32);
            }
        }
        run
    }

    fn task(&self, node: u32) -> Task {
        self.problem.tasks[node as usize]
    }

    fn at(&mut self, delay: u64, node: u32, event: Event) {
        self.events.push(Reverse((self.now.saturating_add(delay), node, event)));
    }

    /// All before `node` has ended.
    fn arrive(&mut self, node: u32) {
        match self.direction {
            Direction::Backward if self.task(node).wait > 0 => {
                self.at(self.task(node).wait, node, Event::Arrives);
            }
            _ => self.enqueue(node),
        }
    }

    fn enqueue(&mut self, node: u32) {
        let Task { queue, order, .. } = self.task(node);
        self.ready[queue].push((self.priority[node as usize], Reverse(order), node));
    }

    fn start_all(&mut self) {
        while self.free_overall > 0 {
            let open = (0..self.free.len()).filter(|&q| self.free[q] > 0);
            let best = open.filter_map(|q| self.ready[q].peek().map(|head| (*head, q))).max();
            let Some(((.., node), queue)) = best else { return };
            self.ready[queue].pop();
            self.free[queue] -= 1;
            self.free_overall -= 1;
            self.at(self.task(node).busy, node, Event::Frees);
        }
    }

    fn handle(&mut self, node: u32, event: Event) {
        match event {
            Event::Arrives => self.enqueue(node),
            Event::Frees => {
                let queue = self.task(node).queue;
                self.free[queue] += 1;
                self.free_overall += 1;
                self.freed[node as usize] = self.now;
                match self.direction {
                    Direction::Forward if self.task(node).wait > 0 => {
                        self.at(self.task(node).wait, node, Event::Ends);
                    }
                    _ => self.end(node),
                }
            }
            Event::Ends => self.end(node),
        }
    }

    fn end(&mut self, node: u32) {
        let problem = self.problem;
        let next = match self.direction {
            Direction::Forward => &problem.after[node as usize],
            Direction::Backward => &problem.before[node as usize],
        };
        for &n in next {
            self.pending[n as usize] -= 1;
            if self.pending[n as usize] == 0 {
                self.arrive(n);
            }
        }
    }

    /// Returns when all has ended, and when each node gave its slot back.
    fn finish(mut self) -> (u64, Vec<u64>) {
        loop {
            self.start_all();
            let Some(&Reverse((time, ..))) = self.events.peek() else { break };
            self.now = time;
            while let Some(&Reverse((time, node, event))) = self.events.peek() {
                if time > self.now {
                    break;
                }
                self.events.pop();
                self.handle(node, event);
            }
        }
        (self.now, self.freed)
    }
}

impl Problem {
    fn run(&self, direction: Direction, priority: &[u64]) -> (u64, Vec<u64>) {
        Run::new(self, direction, priority).finish()
    }

    /// Longest path from the start of each node to the end of all.
    fn tails(&self) -> Vec<u64> {
        let mut tails = vec![0_u64; self.tasks.len()];
        for (n, task) in self.tasks.iter().enumerate().rev() {
            let after = self.after[n].iter().map(|&m| tails[m as usize]).max().unwrap_or(0);
            tails[n] = after.saturating_add(task.total());
        }
        tails
    }

    /// Longest path from the start of all to the moment at which each node gives its slot back.
    fn heads(&self) -> Vec<u64> {
        let mut heads = vec![0_u64; self.tasks.len()];
        for (n, task) in self.tasks.iter().enumerate() {
            let end = |&b: &u32| heads[b as usize].saturating_add(self.tasks[b as usize].wait);
            heads[n] = self.before[n].iter().map(end).max().unwrap_or(0).saturating_add(task.busy);
        }
        heads
    }

    /// No schedule ends before this: the longest path, and the work of each limit shared by its slots.
    fn lower_bound(&self, tails: &[u64]) -> u64 {
        let mut work = vec![0_u64; self.slots.len()];
        for task in &self.tasks {
            work[task.queue] = work[task.queue].saturating_add(task.busy);
        }
        let all =
            work.iter().fold(0_u64, |a, &w| a.saturating_add(w)) / self.overall.unwrap_or(usize::MAX) as u64;
        let shared = work.iter().zip(&self.slots).map(|(w, &slots)| w.div_ceil(slots as u64));
        shared.chain(tails.iter().copied()).max().unwrap_or(0).max(all)
    }
}

/// The best ranks so far.
struct Search<'a> {
    problem: &'a Problem,
    best: Vec<u64>,
    makespan: u64,
}

impl Search<'_> {
    /// Tries ranks out; returns when each node gave its slot back.
    fn attempt(&mut self, ranks: &[u64]) -> Vec<u64> {
        let (makespan, freed) = self.problem.run(Direction::Forward, ranks);
        if makespan < self.makespan {
            self.makespan = makespan;
            self.best = ranks.to_vec();
        }
        freed
    }
}

/// Returns the rank of each node; the highest goes first.
pub(super) fn ranks(problem: &Problem) -> Vec<u64> {
    let tails = problem.tails();
    let bound = problem.lower_bound(&tails);
    let mut search = Search { problem, best: tails.clone(), makespan: u64::MAX };
    let mut freed = search.attempt(&tails);
    if search.makespan <= bound {
        return search.best;
    }
    let mut rules = vec![tails];
    // The more slots there are, the more a node's own time matters besides what follows it.
    let own = |(n, &tail): (usize, &u64)| {
        let task = problem.tasks[n];
        tail - task.busy / problem.slots[task.queue] as u64
    };
    rules.push(rules[0].iter().enumerate().map(own).collect());
    search.attempt(&rules[1]);
    // A schedule run back from the end tells how long after each node all can end, with the queues; then again,
    // with the urgency that the schedule made from it gives.
    for urgency in [Some(problem.heads()), None, None, None] {
        let (_, back) = problem.run(Direction::Backward, &urgency.unwrap_or(freed));
        freed = search.attempt(&back);
        rules.push(back);
    }
    vary(&mut search, &rules, bound);
    search.best
}

/// Tries variations of the rules and of the best so far.
fn vary(search: &mut Search<'_>, rules: &[Vec<u64>], bound: u64) {
    let longest = rules[0].iter().copied().max().unwrap_or(0);
    let mut noise = Noise(1);
    let near = bound.saturating_add((bound / NEAR).max(NEAR_MS));
    for trial in 0..TRIALS_MAX.min(TRIAL_NODES_MAX / search.problem.tasks.len().max(1)) {
        if search.makespan <= near {
            return;
        }
        let (stray, round) = (STRAY[trial % STRAY.len()], trial / STRAY.len());
        let ranks: Vec<u64> = match VARIATIONS[round % VARIATIONS.len()] {
            Variation::Anything => search.best.iter().map(|_| noise.scale(longest, 0.0, 1.0)).collect(),
            Variation::FewMoved => search.best.iter().map(|&r| noise.shift(r, stray, longest)).collect(),
            Variation::AroundBest => search.best.iter().map(|&r| noise.around(r, stray)).collect(),
            Variation::AroundRule => {
                let rule = &rules[round / 2 % rules.len()];
                rule.iter().map(|&r| noise.around(r, stray)).collect()
            }
        };
        search.attempt(&ranks);
    }
}

/// A fixed sequence of numbers.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
    fn scale(&mut self, value: u64, low: f64, high: f64) -> u64 {
        (value as f64 * (low + (high - low) * self.unit())) as u64
    }
    fn around(&mut self, value: u64, stray: f64) -> u64 {
        self.scale(value, 1.0 - stray, 1.0 + stray)
    }
    fn shift(&mut self, value: u64, stray: f64, longest: u64) -> u64 {
        if self.unit() >= 0.1 {
            return value;
        }
        let lift = if stray > 0.5 { self.scale(longest, 0.0, 0.3) } else { 0 };
        self.around(value, stray).saturating_add(lift)
    }
}
