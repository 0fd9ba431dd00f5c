//! The sandbox itself: world, clock, due events; one request at a time.
//!
//! Invariants: what falls due before a request is done before the request sees the world; each request
//! is one batch of the log, taken back wholly when it fails or was a dry run; the answer waits for the
//! disk. Nothing runs in the background: statuses follow from simulated time when someone looks.

use crate::clock::{Clock, wall_millis};
use crate::server::ServeOptions;
use crate::sigv4::Clocks;
use crate::store::{Log, World};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::sync::Mutex;

/// Behaviours that are off, or gentler, unless asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Switches {
    /// EKS refuses subnets in us-east-1e, as it does in most accounts.
    pub refuse_us_east_1e: bool,
    /// Simulated seconds for which IAM itself may not find a role just made.
    pub iam_read_lag: u32,
    /// Simulated seconds for which EC2 may not find an object just made.
    pub ec2_read_lag: u32,
    /// Simulated seconds until other services see a change in IAM.
    pub iam_lag: u32,
    /// Factor on the quotas of the APIs; 0 switches throttling off.
    pub quota: f64,
    /// A role that nobody made may be assumed, as if an administrator had made it elsewhere.
    pub assume_any_role: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            refuse_us_east_1e: false,
            iam_read_lag: 0,
            ec2_read_lag: 0,
            iam_lag: 8,
            quota: 1.0,
            assume_any_role: true,
        }
    }
}

/// Something that the sockets' side must do after a request.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A cluster's API server has come up on its port.
    Open { uid: String, listener: std::net::TcpListener },
    /// It has gone.
    Close { uid: String },
}

/// What a request may touch.
pub(crate) struct Ctx<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) now: i64,
    pub(crate) switches: &'a Switches,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Ctx<'_> {
    /// Puts an event on the list of what falls due; `kind` chooses its handler.
    pub(crate) fn schedule(&mut self, at: i64, kind: &str, what: &str) {
        let number = self.world.next("due");
        self.world.put(format!("due/{at:020}/{number:012}"), json!({"kind": kind, "what": what}));
    }
}

struct Inner {
    world: World,
    log: Log,
    effects: Vec<Effect>,
    buckets: HashMap<String, (f64, i64)>,
}

/// A running sandbox, without its sockets.
pub struct Sandbox {
    inner: Mutex<Inner>,
    clock: Clock,
    pub(crate) switches: Switches,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Opens the world in the options' folder, or makes a new one.
    pub fn open(options: &ServeOptions) -> io::Result<Self> {
        let opened = Log::open(&options.folder.join("world"))?;
        let base = opened.time.unwrap_or_else(wall_millis);
        let inner =
            Inner { world: opened.world, log: opened.log, effects: Vec::new(), buckets: HashMap::new() };
        Ok(Self {
            inner: Mutex::new(inner),
            clock: Clock::start(base, options.speed),
            switches: options.switches.clone(),
        })
    }

    /// Jumps ahead in simulated time.
    pub fn skip(&self, time: std::time::Duration) {
        self.clock.skip(time);
    }

    pub(crate) fn clocks(&self) -> Clocks {
        Clocks { sim: self.clock.now(), wall: wall_millis(), speed: self.clock.speed() }
    }

    /// Runs a request: what is due, then `work`, then the disk. An error takes `work` back.
    pub(crate) fn run<T, E>(
        &self,
        work: impl FnOnce(&mut Ctx<'_>) -> Result<T, E>,
    ) -> io::Result<Result<T, E>> {
        let mut guard = self.inner.lock().expect("invariant: no request panics with the world in hand");
        let inner = &mut *guard;
        let now = self.clock.now();
        let mut ctx =
            Ctx { world: &mut inner.world, now, switches: &self.switches, effects: &mut inner.effects };
        advance(&mut ctx);
        inner.log.commit(ctx.world, now)?;
        let result = work(&mut ctx);
        if result.is_err() {
            ctx.world.rollback();
        } else {
            crate::kube::watch::record(ctx.world);
        }
        let pending = inner.log.commit(ctx.world, now)?;
        drop(guard);
        pending.wait()?;
        Ok(result)
    }

    pub(crate) fn take_effects(&self) -> Vec<Effect> {
        let mut inner = self.inner.lock().expect("invariant: no request panics with the world in hand");
        std::mem::take(&mut inner.effects)
    }

    /// Takes a token of a quota; false when the bucket is empty.
    pub(crate) fn within_quota(&self, bucket: &str, burst: f64, per_second: f64) -> bool {
        if self.switches.quota <= 0.0 {
            return true;
        }
        let (burst, per_second) = (burst * self.switches.quota, per_second * self.switches.quota);
        let now = self.clock.now();
        let mut inner = self.inner.lock().expect("invariant: no request panics with the world in hand");
        let (tokens, last) = inner.buckets.entry(bucket.to_owned()).or_insert((burst, now));
        #[expect(clippy::cast_precision_loss, reason = "spans of time are far below 2^52 ms")]
        let passed = (now - *last).max(0) as f64 / 1000.0;
        *tokens = (*tokens + passed * per_second).min(burst);
        *last = now;
        if *tokens < 1.0 {
            return false;
        }
        *tokens -= 1.0;
        true
    }

    /// Folds the log into the snapshot; the last thing that a clean stop does.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut guard = self.inner.lock().expect("invariant: no request panics with the world in hand");
        let inner = &mut *guard;
        inner.log.compact(&inner.world, self.clock.now())
    }

    pub(crate) fn speed(&self) -> f64 {
        self.clock.speed()
    }
}

/// Does all that has fallen due, each at its own time and in order.
fn advance(ctx: &mut Ctx<'_>) {
    let now = ctx.now;
    let bound = format!("due/{now:020}/z");
    loop {
        let first = ctx.world.under("due/").next().map(|(key, value)| (key.to_owned(), value.clone()));
        let Some((key, event)) = first.filter(|(key, _)| *key <= bound) else { break };
        ctx.world.remove(&key);
        ctx.now = key.get(4..24).and_then(|at| at.parse().ok()).unwrap_or(now);
        dispatch(ctx, &event);
    }
    ctx.now = now;
    crate::kube::watch::record(ctx.world);
}

fn dispatch(ctx: &mut Ctx<'_>, event: &Value) {
    let what = event["what"].as_str().unwrap_or_default();
    match event["kind"].as_str().unwrap_or_default() {
        "eks.cluster" => crate::aws::eks::cluster_due(ctx, what),
        "eks.nodegroup" => crate::aws::eks::nodegroup_due(ctx, what),
        "eks.update" => crate::aws::eks::update_due(ctx, what),
        "ec2.nat" => crate::aws::ec2::nat_due(ctx, what),
        "kube" => crate::kube::controllers::reconcile(ctx, what),
        _ => {}
    }
}
