//! Plans a whole stack: refresh, blocks, what is no longer wanted, and the rules between changes.

use super::planner::{Planner, block_of};
use super::{Doubt, Drift, Plan, decide};
use crate::config::Config;
use crate::event::EventKind;
use crate::exec::emit::Emitter;
use crate::facade::{Host, PlanOptions, RefreshMode, Spec};
use crate::graph::build::{self, Node, Why};
use crate::graph::order::{self, Block};
use crate::pool::Pool;
use crate::refresh::{self, Refreshed};
use crate::scope::Evaluator;
use crate::state::{Object, ObjectId, Record, State, Status};
use crate::values::Values;
use groma_provider::ErrorKind;
use groma_types::path::Step;
use groma_types::schema::{self, ChangesWith, Presence};
use groma_types::{Address, AttrPath, Diagnostic, Diagnostics, InstanceAddr, Mode, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A plan with everything that its apply goes on from.
pub struct Planned {
    /// The state that it was planned against.
    pub before: State,
    pub plan: Plan,
    pub planner: Planner,
    /// Records that bring the state to what the plan starts from: moves.
    pub first: Vec<Record>,
}

/// What is known of the world already: from a saved plan.
#[derive(Default)]
pub struct Found {
    pub refreshed: BTreeMap<ObjectId, Refreshed>,
    pub data: BTreeMap<InstanceAddr, Value>,
    pub imports: BTreeMap<(InstanceAddr, Arc<str>), groma_provider::Object>,
}

/// Plans a stack. A plan changes nothing in the world or the state.
pub async fn plan(
    spec: Spec,
    options: &PlanOptions,
    state: &State,
    host: &Host,
    emitter: &Arc<Emitter>,
    found: Found,
) -> Planned {
    let config = spec.unwrap_or_else(|| Arc::new(Config::empty()));
    let mut planner = new_planner(config, options, state, host, emitter);
    planner.upgrade();
    planner.refreshed = found.refreshed;
    planner.data_found = found.data;
    planner.imports_found = found.imports;
    let (mut first, moved) = planner.moves();
    let mut plan = Plan { moved, destroy: options.destroy, at: host.clock.now(), ..Plan::default() };
    plan.doubts = doubts(&planner.state);
    planner.choose_targets(&mut plan);
    planner.ask_for_providers();
    planner.complete_recipes();
    if planner.diagnostics.has_errors() {
        plan.diagnostics = std::mem::take(&mut planner.diagnostics);
        return Planned { before: state.clone(), plan, planner, first };
    }
    if options.refresh == RefreshMode::All {
        let ids: BTreeSet<ObjectId> = planner.wanted_objects();
        let emit = |kind: EventKind| emitter.emit(kind);
        planner.refreshed = refresh::refresh(&planner.pool, &planner.state, &ids, &emit).await;
        planner.report_refresh(&mut plan);
    }
    if options.refresh_only {
        first.extend(planner.observations());
    }
    if options.destroy {
        planner.destroy_all();
    } else if !options.refresh_only {
        let faults = planner.eval.validate_inputs(&planner.values);
        planner.diagnostics.extend(faults);
        let levels = planner.order.levels.clone();
        planner.plan_blocks(&levels).await;
        planner.undeclared_ephemerals();
        planner.moved_is_gone();
        planner.draft_imports().await;
        planner.imports_are_declared();
        planner.remove_unwanted();
        planner.deposed();
    }
    planner.check_replace();
    planner.rules();
    planner.plan_farewells();
    planner.checks();
    if options.refresh == RefreshMode::All && !planner.diagnostics.has_errors() {
        planner.rehearse().await;
    }
    planner.tell_commands();
    planner.outputs(&mut plan, options);
    planner.finish_plan(&mut plan);
    let piece = build::build(&planner, &build::Extent::Whole);
    if let Some(cycle) = &piece.cycle {
        planner.diagnostics.push(crate::exec::run::cycle_diagnostic(cycle));
    }
    plan.edges = edge_texts(&piece);
    planner.close_ephemerals().await;
    plan.diagnostics = std::mem::take(&mut planner.diagnostics);
    plan.calls = emitter.calls().0;
    Planned { before: state.clone(), plan, planner, first }
}

fn edge_texts(piece: &build::Piece) -> Vec<String> {
    let text = |from: &Node, to: &Node, why: Why, word: &str| format!("{from} → {to} ({why:?}{word})");
    let inferred = piece.edges.iter().filter(|e| matches!(e.why, Why::Inferred(_)));
    let inferred =
        inferred.map(|e| text(&piece.nodes[build::at(e.from)], &piece.nodes[build::at(e.to)], e.why, ""));
    inferred.chain(piece.yielded.iter().map(|e| text(&e.from, &e.to, e.why, ", yielded"))).collect()
}

pub fn new_planner(
    config: Arc<Config>,
    options: &PlanOptions,
    state: &State,
    host: &Host,
    emitter: &Arc<Emitter>,
) -> Planner {
    let mut env = host.env.clone();
    env.calls = emitter.clone();
    let pool = Pool::new(host.registry.providers.clone(), env, host.files.clone());
    for (id, recipe) in &state.recipes {
        pool.add(id, recipe);
    }
    let order = Arc::new(order::build(&config, &host.registry));
    Planner {
        host: host.clone(),
        pool,
        eval: Evaluator::new(config, host),
        values: Values::new(options.variables.clone()),
        order,
        state: state.clone(),
        refreshed: BTreeMap::new(),
        providers: BTreeMap::new(),
        changes: BTreeMap::new(),
        written: BTreeMap::new(),
        expansions: BTreeMap::new(),
        reads: BTreeMap::new(),
        ephemerals: BTreeMap::new(),
        data_found: BTreeMap::new(),
        diagnostics: Diagnostics::new(),
        options: options.clone(),
        left_out: BTreeSet::new(),
        commands: BTreeSet::new(),
        adopted: BTreeMap::new(),
        imported: BTreeMap::new(),
        imports_done: BTreeSet::new(),
        imports_found: BTreeMap::new(),
        seen: BTreeSet::new(),
        ranks: BTreeMap::new(),
        drafts: Vec::new(),
    }
}

fn doubts(state: &State) -> Vec<Doubt> {
    let of = |op: &crate::state::OpenOp| Doubt {
        address: op.begin.address.clone(),
        what: match &op.made {
            Some(made) if made.provisioning => {
                "an earlier run was cut off while its provisioners ran; the next apply takes it as tainted"
                    .to_string()
            }
            Some(_) => "an earlier run left it waiting; this one goes on waiting".to_string(),
            None => "an earlier run began it and did not see its end".to_string(),
        },
    };
    state.open.values().map(of).collect()
}

impl Planner {
    /// Brings objects that an older schema wrote to the present one, in memory; they are written so when they change.
    fn upgrade(&mut self) {
        let old: Vec<(Object, u32)> = self
            .state
            .objects
            .values()
            .filter_map(|o| {
                let (_, schema) =
                    self.schema_of(Mode::Managed, &o.address.resource.kind, &o.provider.name)?;
                (o.schema_version < schema.version).then(|| (o.clone(), schema.version))
            })
            .collect();
        for (object, version) in old {
            let Some(provider) = self.pool.provider(&object.provider.name).cloned() else { continue };
            let kind = &object.address.resource.kind;
            match provider.upgrade(kind, object.schema_version, object.attributes.clone()) {
                Ok(attributes) => {
                    let new = Object { attributes, schema_version: version, ..object };
                    self.state.objects.insert(new.id.clone(), new);
                }
                Err(error) => self.report(&error, &Address::Instance(object.address.clone()), None),
            }
        }
    }

    /// What a refresh-only apply records: objects as they are, without those that are gone.
    fn observations(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        for (id, refreshed) in &self.refreshed {
            let Some(object) = self.state.objects.get(id) else { continue };
            match refreshed {
                Refreshed::Present(seen) => {
                    let attributes = self.marked(object, seen.attributes.value());
                    let new = Object { attributes, private: seen.private.clone(), ..object.clone() };
                    if new != *object {
                        records.push(Record::Observed(Box::new(new)));
                    }
                }
                Refreshed::Gone => records.push(Record::Forgotten(id.clone())),
                Refreshed::Failed(_) => {}
            }
        }
        records.iter().for_each(|r| self.state.apply(r));
        records
    }

    // ---- targets -----------------------------------------------------------------------------------------------

    fn choose_targets(&mut self, plan: &mut Plan) {
        let all: BTreeSet<Block> = self.order.reach.keys().cloned().collect();
        let mut left_out = BTreeSet::new();
        if !self.options.targets.is_empty() {
            plan.targeted = true;
            let chosen = self.chosen(&self.options.targets.clone(), "-target");
            let mut keep = chosen.clone();
            let mut open: Vec<Block> = chosen.into_iter().collect();
            while let Some(block) = open.pop() {
                let mut before = self.order.before(&block);
                before.extend(
                    self.order
                        .inferred
                        .iter()
                        .filter(|(_, to, _)| *to == block)
                        .map(|(from, _, _)| from.clone()),
                );
                open.extend(before.into_iter().filter(|b| keep.insert(b.clone())));
            }
            left_out.extend(all.iter().filter(|b| !keep.contains(*b)).cloned());
        }
        if !self.options.excludes.is_empty() {
            plan.targeted = true;
            let chosen = self.chosen(&self.options.excludes.clone(), "-exclude");
            left_out.extend(self.order.after(&chosen).into_iter().flatten());
            left_out.extend(chosen);
        }
        self.left_out = left_out;
    }

    /// Blocks that patterns name; a key in a pattern counts for its whole block.
    fn chosen(&mut self, patterns: &[String], flag: &str) -> BTreeSet<Block> {
        let mut found = BTreeSet::new();
        let mut known: BTreeSet<Block> = self.order.reach.keys().cloned().collect();
        known.extend(self.state.current.keys().map(|a| block_of(&a.resource)));
        for pattern in patterns {
            let hits: Vec<Block> = known.iter().filter(|b| names(pattern, b)).cloned().collect();
            if hits.is_empty() {
                self.diagnostics.push(
                    Diagnostic::error("G1062", "Nothing has this address")
                        .detail(format!("{flag}={pattern} names no resource of the stack or of its state.")),
                );
            }
            found.extend(hits);
        }
        found
    }

    /// `-replace` must name something.
    fn check_replace(&mut self) {
        for address in self.options.replace.clone() {
            let is_there = self.state.current.contains_key(&address)
                || self.changes.contains_key(&(address.clone(), None));
            if !is_there {
                self.diagnostics.push(
                    Diagnostic::error("G1062", "Nothing has this address").detail(format!(
                        "-replace={address} names no instance of the stack or of its state."
                    )),
                );
            }
        }
    }

    /// Objects that this plan looks at.
    fn wanted_objects(&self) -> BTreeSet<ObjectId> {
        let is_in = |o: &Object| {
            let block = block_of(&o.address.resource);
            !self.adopted.contains_key(&o.id)
                && !self.left_out.contains(&block)
                && (!self.is_targeted() || self.is_chosen(&o.address))
        };
        let mut wanted: BTreeSet<ObjectId> =
            self.state.objects.values().filter(|o| is_in(o)).map(|o| o.id.clone()).collect();
        let hosts: Vec<ObjectId> =
            wanted.iter().filter_map(|id| self.state.objects.get(id)?.host.clone()).collect();
        wanted.extend(hosts.into_iter().filter(|h| self.state.objects.contains_key(h)));
        wanted
    }

    pub(super) fn is_targeted(&self) -> bool {
        !self.options.targets.is_empty()
    }

    /// Whether an address that is not in the configuration is among the targets.
    pub(super) fn is_chosen(&self, address: &InstanceAddr) -> bool {
        let block = block_of(&address.resource);
        self.order.reach.contains_key(&block) || self.options.targets.iter().any(|t| names(t, &block))
    }

    // ---- refresh -----------------------------------------------------------------------------------------------

    fn report_refresh(&mut self, plan: &mut Plan) {
        let found: Vec<(ObjectId, Refreshed)> =
            self.refreshed.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        for (id, refreshed) in found {
            let Some(object) = self.state.objects.get(&id).cloned() else { continue };
            match refreshed {
                Refreshed::Present(seen) => {
                    let kind =
                        self.schema_of(Mode::Managed, &object.address.resource.kind, &object.provider.name);
                    let is_drift = |path: &AttrPath| {
                        kind.as_ref().is_none_or(|(_, k)| !moves(&k.block, path, &object.attributes))
                    };
                    let changed = decide::differences(&object.attributes, seen.attributes.value());
                    if changed.iter().any(is_drift) && object.status == Status::Ready {
                        let after = Some(self.marked(&object, seen.attributes.value()));
                        plan.drift.push(Drift { address: object.address, before: object.attributes, after });
                    }
                }
                Refreshed::Gone => {
                    plan.drift.push(Drift {
                        address: object.address,
                        before: object.attributes,
                        after: None,
                    });
                }
                Refreshed::Failed(error) => {
                    let address = Address::Instance(object.address.clone());
                    self.report(&error, &address, None);
                    // It is taken as recorded; nothing is decided from a missing answer.
                    if error.kind == ErrorKind::Unreachable {
                        self.refreshed.remove(&id);
                    }
                }
            }
        }
    }

    pub(super) fn marked(&self, object: &Object, value: &Value) -> Value {
        self.schema_of(Mode::Managed, &object.address.resource.kind, &object.provider.name)
            .map_or(value.clone(), |(_, s)| crate::values::apply_schema(value, &s.block))
    }
}

/// Whether a place moves without anybody's hand: a computed value that any update may change, or a block that the API
/// fills in where nothing was.
fn moves(block: &schema::Block, path: &AttrPath, before: &Value) -> bool {
    let (mut block, mut before) = (block, Some(before));
    for step in &path.0 {
        before = before.and_then(|v| v.lookup(&AttrPath(vec![step.clone()])));
        let Step::Attr(name) = step else { continue };
        if let Some(attr) = block.attrs.get(name) {
            return attr.presence == Presence::Computed && attr.changes_with == ChangesWith::Any;
        }
        let Some(nested) = block.blocks.get(name) else { return false };
        let is_bare = before.is_none_or(|v| v.is_null() || v.as_seq().is_some_and(<[Value]>::is_empty));
        if nested.computed && is_bare {
            return true;
        }
        block = &nested.block;
    }
    false
}

/// Whether a pattern names a block: its address without keys; `*` stands for any text.
pub fn names(pattern: &str, block: &Block) -> bool {
    let module = block.0.iter().map(|n| format!("module.{n}.")).collect::<String>();
    let text = format!("{module}{}", block.1);
    let bare = without_keys(pattern);
    glob(&bare, &text) || module.starts_with(&format!("{bare}."))
}

fn without_keys(text: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// Matches with `*` for any text.
pub fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text
            .strip_prefix(head)
            .is_some_and(|t| (0..=t.len()).filter(|i| t.is_char_boundary(*i)).any(|i| glob(rest, &t[i..]))),
    }
}
