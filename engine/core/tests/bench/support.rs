//! The test bench: a spec in, a plan or a world out, in virtual time.

use groma_engine::config::Config;
use groma_engine::config::load::{LoadRequest, MemoryFiles, load};
use groma_engine::event::{Event, EventKind, EventSink};
use groma_engine::facade::{
    self, ApplyOptions, ApproveDeferred, Ended, Host, PlanOptions, Registry, StopSignal,
};
use groma_engine::plan::{Change, ChangeAction, Plan};
use groma_engine::state::{MemStore, State, Store, verify};
use groma_lang::eval::NoHost;
use groma_provider::{Clock, Environment, NetworkPolicy, NoLog, Provider};
use groma_provider_sim::{SimClock, SimConfig, SimEntropy, SimProvider, SimWorld, block_on};
use groma_provider_std::TerraformProvider;
use groma_types::{SourceMap, Timestamp};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Mutex<Vec<Event>>);
impl EventSink for Recorder {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub(crate) struct Bench {
    pub(crate) world: SimWorld,
    pub(crate) store: MemStore,
    pub(crate) clock: SimClock,
    pub(crate) entropy: SimEntropy,
    pub(crate) events: Arc<Recorder>,
    pub(crate) approve: ApproveDeferred,
    pub(crate) parallelism: Option<usize>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `None`: the journal failed (a simulated crash).
    pub(crate) ended: Option<Ended>,
    pub(crate) plan: Vec<String>,
    pub(crate) log: Vec<String>,
    pub(crate) diagnostics: Vec<String>,
    pub(crate) empty: bool,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::with(SimConfig::default(), 7)
    }

    pub(crate) fn with(config: SimConfig, seed: u64) -> Bench {
        Bench {
            world: SimWorld::new(config),
            store: MemStore::new(State { lineage: "test".into(), ..State::default() }),
            clock: SimClock::new(Timestamp::from_secs(1_700_000_000)),
            entropy: SimEntropy::new(seed),
            events: Arc::default(),
            approve: ApproveDeferred::default(),
            parallelism: None,
        }
    }

    pub(crate) fn host(&self) -> Host {
        let mut registry = Registry::default();
        for provider in SimProvider::both(&self.world) {
            registry.providers.insert(provider.schema().name.clone(), provider);
        }
        let std: Arc<dyn Provider> = Arc::new(TerraformProvider::new());
        registry.providers.insert("terraform".into(), std);
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let entropy = Arc::new(self.entropy.clone());
        Host {
            registry,
            clock: clock.clone(),
            entropy: entropy.clone(),
            events: self.events.clone(),
            env: Environment {
                clock,
                entropy,
                calls: Arc::new(NoLog),
                network: NetworkPolicy::Open,
                vars: Arc::default(),
            },
            files: Arc::new(NoHost),
            cwd: "/".into(),
            workspace: "default".into(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.store.load()
    }

    pub(crate) fn plan(&self, spec: &str) -> Plan {
        let config = parse(spec);
        let host = self.host();
        let before = self.state();
        let mutating = self.world.mutating_calls();
        let emitter = host.emitter();
        let planned = block_on(
            &self.clock,
            facade::plan(Some(config), &PlanOptions::default(), &before, &host, &emitter),
        );
        assert_eq!(self.state(), before, "a plan changes nothing");
        assert_eq!(self.world.mutating_calls(), mutating, "a plan changes nothing");
        planned.plan
    }

    pub(crate) fn apply(&mut self, spec: &str) -> Outcome {
        self.run(Some(parse(spec)), &PlanOptions::default(), &StopSignal::default())
    }

    pub(crate) fn destroy(&mut self, spec: Option<&str>) -> Outcome {
        let options = PlanOptions { destroy: true, ..PlanOptions::default() };
        self.run(spec.map(parse), &options, &StopSignal::default())
    }

    pub(crate) fn run(
        &mut self,
        spec: Option<Arc<Config>>,
        options: &PlanOptions,
        stop: &StopSignal,
    ) -> Outcome {
        self.events.0.lock().unwrap().clear();
        let host = self.host();
        let emitter = host.emitter();
        let apply = ApplyOptions { approve_deferred: self.approve, parallelism: self.parallelism };
        let mut store = self.store.clone();
        let clock = self.clock.clone();
        let result = block_on(&clock, async {
            let mut diagnostics = match facade::settle(&mut store, &host, &emitter, stop).await {
                Ok(d) => texts(&d),
                Err(_) => return (None, Vec::new(), Vec::new(), false),
            };
            let planned = facade::plan(spec, options, &store.load(), &host, &emitter).await;
            let shown = changes(&planned.plan);
            let empty = planned.plan.is_empty();
            diagnostics.extend(texts(&planned.plan.diagnostics));
            if planned.plan.diagnostics.has_errors() {
                return (Some(Ended::Failed), shown, diagnostics, empty);
            }
            match facade::apply(planned, &mut store, &apply, &emitter, stop).await {
                Ok(outcome) => {
                    diagnostics.extend(texts(&outcome.diagnostics));
                    (Some(outcome.ended), shown, diagnostics, empty)
                }
                Err(_) => (None, shown, diagnostics, empty),
            }
        });
        let broken = verify::verify(&self.state());
        assert_eq!(broken, Vec::<String>::new(), "the state is valid");
        let log = self.events.0.lock().unwrap().iter().filter_map(line).collect();
        Outcome { ended: result.0, plan: result.1, log, diagnostics: result.2, empty: result.3 }
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn ok(self) -> Outcome {
        assert_eq!(self.ended, Some(Ended::Done), "{:#?}", self);
        self
    }

    /// Position of a line in the log.
    #[track_caller]
    pub(crate) fn at(&self, line: &str) -> usize {
        self.log.iter().position(|l| l == line).unwrap_or_else(|| panic!("no {line:?} in {:#?}", self.log))
    }

    /// Asserts that these lines stand in the log in this order.
    #[track_caller]
    pub(crate) fn in_order(&self, lines: &[&str]) {
        let places: Vec<usize> = lines.iter().map(|l| self.at(l)).collect();
        assert!(places.windows(2).all(|w| w[0] < w[1]), "{lines:?} are not in order in {:#?}", self.log);
    }
}

pub(crate) fn parse(text: &str) -> Arc<Config> {
    let files = MemoryFiles::new([("stack/main.yaml", text)]);
    let (config, sources, diagnostics) = load(LoadRequest { path: Path::new("stack"), files: &files });
    assert!(!diagnostics.has_errors(), "{}", show(&sources, &texts(&diagnostics)));
    Arc::new(config.unwrap())
}

fn show(_: &SourceMap, lines: &[String]) -> String {
    lines.join("\n")
}

pub(crate) fn texts(diagnostics: &groma_types::Diagnostics) -> Vec<String> {
    diagnostics
        .iter()
        .map(|d| format!("{} {}: {} {}", d.code, d.address.clone().unwrap_or_default(), d.summary, d.detail))
        .collect()
}

/// A plan's changes, a line each.
pub(crate) fn changes(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> =
        plan.changes.iter().filter(|c| c.action != ChangeAction::NoOp).map(change).collect();
    lines.extend(plan.expansions.iter().map(|e| format!("? {}", e.resource)));
    lines
}

fn change(c: &Change) -> String {
    let sign = match c.action {
        ChangeAction::NoOp => " ",
        ChangeAction::Create => "+",
        ChangeAction::Update => "~",
        ChangeAction::Replace => "-/+",
        ChangeAction::ReplaceCreateFirst => "+/-",
        ChangeAction::Delete => "-",
        ChangeAction::Drop => "x",
        ChangeAction::Forget => ".",
    };
    let late = if c.is_deferred() { " (deferred)" } else { "" };
    let deposed = c.deposed.as_ref().map_or("", |_| " (deposed)");
    format!("{sign} {}{deposed}{late}", c.address)
}

fn line(event: &Event) -> Option<String> {
    Some(match &event.kind {
        EventKind::OperationStarted { address, action, .. } => format!("start {action:?} {address}"),
        EventKind::OperationDone { address, action, .. } => format!("done {action:?} {address}"),
        EventKind::OperationFailed { address, action, .. } => format!("failed {action:?} {address}"),
        EventKind::OperationSkipped { address, .. } => format!("skipped {address}"),
        EventKind::OperationHeld { address, action, .. } => format!("held {action:?} {address}"),
        EventKind::OperationSuspended { address } => format!("suspended {address}"),
        _ => return None,
    })
}

/// Objects of the world by kind and name, without what is only theirs.
pub(crate) fn world(bench: &Bench) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in bench.world.contents() {
        *counts.entry(line).or_default() += 1;
    }
    counts
}
