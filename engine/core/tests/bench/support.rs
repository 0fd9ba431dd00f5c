//! The test bench: a spec in, a plan or a world out, in virtual time.

use futures::future::{Either, select};
use groma_engine::config::Config;
use groma_engine::config::load::{LoadRequest, MemoryFiles, load};
use groma_engine::event::{Event, EventKind, EventSink};
use groma_engine::facade::{
    self, ApplyOptions, ApproveDeferred, Command, Ended, Executor, Host, PlanOptions, Registry, StopSignal,
    Tell,
};
use groma_engine::plan::{Change, ChangeAction, Plan};
use groma_engine::state::{MemStore, State, Store, verify};
use groma_lang::eval::NoHost;
use groma_provider::{Clock, Environment, NetworkPolicy, NoLog, Provider, async_trait};
use groma_provider_sim::{SimClock, SimConfig, SimEntropy, SimProvider, SimWorld, block_on};
use groma_types::{SourceMap, Timestamp};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens in the world at an event of a run.
pub(crate) type AtEvent = Box<dyn Fn(&EventKind) + Send>;

#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Mutex<Vec<Event>>, pub(crate) Mutex<Option<AtEvent>>);
impl EventSink for Recorder {
    fn event(&self, event: Event) {
        if let Some(at) = &*self.1.lock().unwrap() {
            at(&event.kind);
        }
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
    /// Stop signals of the next runs: after how long, and how urgent.
    pub(crate) stops: Vec<(Duration, u8)>,
    pub(crate) allow_recipe_exec: bool,
    pub(crate) shell: Arc<SimShell>,
}

/// Runs nothing: keeps what it was asked to run. `sleep N` takes N seconds of the bench's clock, `exit N` fails, `echo T`
/// gives the line T.
pub(crate) struct SimShell {
    pub(crate) ran: Mutex<Vec<Command>>,
    clock: SimClock,
}

#[async_trait]
impl Executor for SimShell {
    fn shell(&self) -> Vec<String> {
        vec!["sh".into()]
    }

    async fn run(&self, command: &Command, line: &Tell<'_>) -> Result<(), String> {
        self.ran.lock().unwrap().push(command.clone());
        let text = command.argv.last().unwrap();
        match text.split_once(' ') {
            Some(("sleep", n)) => self.clock.sleep(Duration::from_secs(n.parse().unwrap())).await,
            Some(("echo", text)) => line(text),
            Some(("exit", n)) => return Err(format!("exit status {n}")),
            _ => {}
        }
        Ok(())
    }
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
        let clock = SimClock::new(Timestamp::from_secs(1_700_000_000));
        Bench {
            world: SimWorld::new(config),
            store: MemStore::new(State { lineage: "test".into(), ..State::default() }),
            clock: clock.clone(),
            entropy: SimEntropy::new(seed),
            events: Arc::default(),
            approve: ApproveDeferred::default(),
            parallelism: None,
            stops: Vec::new(),
            allow_recipe_exec: false,
            shell: Arc::new(SimShell { ran: Mutex::default(), clock }),
        }
    }

    pub(crate) fn host(&self) -> Host {
        let mut registry = Registry::default();
        for provider in SimProvider::both(&self.world) {
            registry.providers.insert(provider.schema().name.clone(), provider);
        }
        let std = groma_provider_std::providers(&groma_provider_std::Machine::default());
        let std = std.into_iter().find(|p| &*p.schema().name == "terraform");
        let std: Arc<dyn Provider> = Arc::new(std.expect("the provider is built in"));
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
            executor: self.shell.clone(),
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
        let allow_recipe_exec = self.allow_recipe_exec;
        let options = PlanOptions { destroy: true, allow_recipe_exec, ..PlanOptions::default() };
        self.run(spec.map(parse), &options, &StopSignal::default())
    }

    /// Runs with options and says how it went.
    pub(crate) fn with_options(&mut self, spec: &str, options: &PlanOptions) -> Outcome {
        self.run(Some(parse(spec)), options, &StopSignal::default())
    }

    /// Applies until nothing is left to do.
    #[track_caller]
    pub(crate) fn converges(&mut self, spec: &str) {
        for _ in 0..6 {
            let run = self.apply(spec);
            self.sound();
            if run.ended == Some(Ended::Done) && run.empty {
                return;
            }
        }
        panic!("it does not converge: {:#?}", self.apply(spec));
    }

    /// The state holds exactly what exists; nothing is twice, nothing is left behind.
    #[track_caller]
    pub(crate) fn sound(&self) {
        assert_eq!(self.world.doubles(), Vec::new(), "made twice");
        assert_eq!(self.world.leaks(), Vec::new(), "left behind");
        let id =
            |kind: &str, v: &groma_types::Value| format!("{kind} {}", v.str_attr("id").unwrap_or_default());
        let state = self.state();
        let mut known: Vec<String> =
            state.objects.values().map(|o| id(&o.address.resource.kind, &o.attributes)).collect();
        let in_doubt = state.in_doubt().count();
        let objects = self.world.objects();
        let mut real: Vec<String> =
            objects.iter().filter(|o| o.effect_of.is_none()).map(|o| id(&o.kind, &o.attributes)).collect();
        known.sort();
        real.sort();
        if in_doubt == 0 {
            assert_eq!(known, real, "the state holds exactly what exists");
        }
    }

    #[track_caller]
    pub(crate) fn destroyed(&mut self, spec: Option<&str>) {
        self.destroy(spec).ok();
        assert_eq!(self.world.contents(), Vec::<String>::new());
        assert!(self.state().is_empty(), "{:#?}", self.state());
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
        let main = async {
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
        };
        let stops = self.stops.clone();
        let raises = async {
            for (after, level) in stops {
                clock.sleep(after).await;
                stop.raise(level);
            }
            std::future::pending::<()>().await;
        };
        let result = block_on(&clock, async {
            match select(Box::pin(main), Box::pin(raises)).await {
                Either::Left((result, _)) => result,
                Either::Right(_) => unreachable!("the raising never ends"),
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
        assert_eq!(self.ended, Some(Ended::Done), "{self:#?}");
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
    // A line `--- file: NAME` starts another file.
    let mut parts = text.split("--- file: ");
    let first = ("stack/main.yaml".to_string(), parts.next().unwrap_or_default().to_string());
    let rest = parts.map(|part| {
        let (name, text) = part.split_once('\n').unwrap();
        (format!("stack/{}", name.trim()), text.to_string())
    });
    let files: Vec<(String, String)> = std::iter::once(first).chain(rest).collect();
    let files = MemoryFiles::new(files.iter().map(|(n, t)| (n.as_str(), t.as_str())));
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
        plan.changes.iter().filter(|c| c.action != ChangeAction::NoOp).map(|c| change(c)).collect();
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
        EventKind::ProvisionStarted { address, .. } => format!("provision {address}"),
        EventKind::ProvisionOutput { address, line, .. } => format!("said {address}: {line}"),
        EventKind::ProvisionFailed { address, .. } => format!("provision failed {address}"),
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
