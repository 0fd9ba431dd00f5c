//! Plans a whole stack: refresh, blocks, what is no longer wanted, and the rules between changes.

use super::planner::{self, Planner, block_of, has_effect};
use super::{Change, ChangeAction, Doubt, Drift, OutputChange, Plan, Reason, decide};
use crate::config::inputs::{self, Verdict};
use crate::config::{Config, Removed};
use crate::event::EventKind;
use crate::exec::emit::Emitter;
use crate::facade::{Host, PlanOptions, RefreshMode, Spec};
use crate::graph::build;
use crate::graph::order::{self, Block};
use crate::pool::Pool;
use crate::refresh::{self, Refreshed};
use crate::scope::{Evaluator, Place};
use crate::state::{Object, ObjectId, OnDestroy, Record, State, Status};
use crate::values::Values;
use groma_provider::ErrorKind;
use groma_types::{Address, Diagnostic, Diagnostics, InstanceAddr, Mode, ModuleAddr, ResourceAddr, Value};
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
    let mut first = planner.moves();
    let mut plan = Plan { destroy: options.destroy, at: host.clock.now(), ..Plan::default() };
    plan.doubts = doubts(&planner.state);
    planner.choose_targets(&mut plan);
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
        planner.remove_unwanted();
        planner.deposed();
    }
    planner.check_replace();
    planner.rules();
    planner.checks();
    planner.outputs(&mut plan, options);
    planner.finish_plan(&mut plan);
    let piece = build::build(&planner, &build::Extent::Whole);
    if let Some(cycle) = &piece.cycle {
        planner.diagnostics.push(crate::exec::run::cycle_diagnostic(cycle));
    }
    plan.edges = edge_texts(&piece);
    plan.diagnostics = std::mem::take(&mut planner.diagnostics);
    plan.calls = emitter.calls().0;
    Planned { before: state.clone(), plan, planner, first }
}

fn edge_texts(piece: &build::Piece) -> Vec<String> {
    let text = |e: &build::Edge, word: &str| format!("{} → {} ({:?}{word})", e.from, e.to, e.why);
    let inferred =
        piece.edges.iter().filter(|e| matches!(e.why, build::Why::Inferred(_))).map(|e| text(e, ""));
    inferred.chain(piece.yielded.iter().map(|e| text(e, ", yielded"))).collect()
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
        expansions: BTreeMap::new(),
        reads: BTreeMap::new(),
        data_found: BTreeMap::new(),
        diagnostics: Diagnostics::new(),
        options: options.clone(),
        left_out: BTreeSet::new(),
        seen: BTreeSet::new(),
    }
}

fn doubts(state: &State) -> Vec<Doubt> {
    let of = |op: &crate::state::OpenOp| Doubt {
        address: op.begin.address.clone(),
        what: match &op.made {
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

    /// Applies `moved` blocks; returns the records that make it so.
    fn moves(&mut self) -> Vec<Record> {
        let config = self.config();
        let mut records = Vec::new();
        for (path, module) in &config.modules {
            for moved in &module.moved {
                let (Ok(from), Ok(to)) = (
                    moved.from.to_string().parse::<InstanceAddr>(),
                    moved.to.to_string().parse::<InstanceAddr>(),
                ) else {
                    self.diagnostics.push(
                        Diagnostic::error("G1061", "Moves of modules are not built yet")
                            .detail("`moved` takes resources and resource instances so far.")
                            .at(moved.span, ""),
                    );
                    continue;
                };
                let inside: Vec<(InstanceAddr, ObjectId)> = self
                    .state
                    .current
                    .iter()
                    .filter(|(a, _)| a.resource.module.path() == *path)
                    .map(|(a, id)| (a.clone(), id.clone()))
                    .collect();
                records.extend(inside.into_iter().filter_map(|(address, id)| {
                    let target = moved_to(&address, &from, &to)?;
                    Some(Record::Moved(id, target))
                }));
            }
        }
        records.retain(|r| match r {
            Record::Moved(_, to) => !self.state.current.contains_key(to),
            _ => true,
        });
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
            !self.left_out.contains(&block) && (!self.is_targeted() || self.is_chosen(&o.address))
        };
        let mut wanted: BTreeSet<ObjectId> =
            self.state.objects.values().filter(|o| is_in(o)).map(|o| o.id.clone()).collect();
        let hosts: Vec<ObjectId> =
            wanted.iter().filter_map(|id| self.state.objects.get(id)?.host.clone()).collect();
        wanted.extend(hosts.into_iter().filter(|h| self.state.objects.contains_key(h)));
        wanted
    }

    fn is_targeted(&self) -> bool {
        !self.options.targets.is_empty()
    }

    /// Whether an address that is not in the configuration is among the targets.
    fn is_chosen(&self, address: &InstanceAddr) -> bool {
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
                    let changed = decide::differences(&object.attributes, seen.attributes.value());
                    if !changed.is_empty() && object.status == Status::Ready {
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

    fn marked(&self, object: &Object, value: &Value) -> Value {
        self.schema_of(Mode::Managed, &object.address.resource.kind, &object.provider.name)
            .map_or(value.clone(), |(_, s)| crate::values::apply_schema_marks(value, &s.block))
    }

    // ---- what is not wanted ------------------------------------------------------------------------------------

    fn destroy_all(&mut self) {
        let all: Vec<InstanceAddr> = self.state.current.keys().cloned().collect();
        let mut chosen: BTreeSet<ObjectId> = self
            .state
            .objects
            .values()
            .filter(|o| {
                !self.is_targeted()
                    || self.options.targets.iter().any(|t| names(t, &block_of(&o.address.resource)))
            })
            .map(|o| o.id.clone())
            .collect();
        let stays = self.stays_at_destroy();
        chosen.retain(|id| !stays.contains(id));
        // What depends on something that goes, goes too.
        loop {
            let more: Vec<ObjectId> = self
                .state
                .objects
                .values()
                .filter(|o| !chosen.contains(&o.id) && !stays.contains(&o.id))
                .filter(|o| o.dependencies.iter().chain(&o.host).any(|d| chosen.contains(d)))
                .map(|o| o.id.clone())
                .collect();
            if more.is_empty() {
                break;
            }
            chosen.extend(more);
        }
        for address in all {
            if self.state.current.get(&address).is_some_and(|id| chosen.contains(id)) {
                self.remove_instance(&address, Reason::Destroy);
            }
        }
        self.deposed();
    }

    /// What `-exclude` keeps at a destroy: what it names, and all that this needs.
    fn stays_at_destroy(&self) -> BTreeSet<ObjectId> {
        let objects = &self.state.objects;
        let is_named = |o: &&Object| {
            let block = block_of(&o.address.resource);
            self.options.excludes.iter().any(|t| names(t, &block))
        };
        let mut open: Vec<ObjectId> = objects.values().filter(is_named).map(|o| o.id.clone()).collect();
        let mut stays = BTreeSet::new();
        while let Some(id) = open.pop() {
            let Some(object) = objects.get(&id).filter(|_| stays.insert(id)) else { continue };
            open.extend(object.dependencies.iter().chain(&object.host).cloned());
        }
        stays
    }

    fn remove_unwanted(&mut self) {
        let unwanted: Vec<InstanceAddr> = self
            .state
            .current
            .keys()
            .filter(|a| !self.seen.contains(*a))
            .filter(|a| !self.left_out.contains(&block_of(&a.resource)))
            .filter(|a| !self.is_targeted() || self.is_chosen(a))
            .filter(|a| !self.is_in_deferred_module(a))
            .cloned()
            .collect();
        if self.diagnostics.has_errors() {
            // Evaluation went wrong: what was not seen may still be wanted.
            return;
        }
        for address in unwanted {
            self.remove_instance(&address, Reason::NotInConfiguration);
        }
    }

    /// In a module whose instances are not known yet: kept until they are.
    fn is_in_deferred_module(&self, address: &InstanceAddr) -> bool {
        let block = block_of(&address.resource);
        self.expansions.keys().any(|e| block_of(e) == block)
    }

    /// Plans the removal of the present object of an address.
    pub fn remove_instance(&mut self, address: &InstanceAddr, reason: Reason) {
        let Some(object) = self.state.at(address).cloned() else { return };
        let mut change = self.removal(&object, reason);
        if let Some(removed) = self.removed_block(address) {
            if removed.destroy {
                change.prevent_destroy = false;
                change.on_destroy = OnDestroy::Delete;
                if change.reason != Reason::Gone {
                    change.action = ChangeAction::Delete;
                }
            } else {
                change.action = ChangeAction::Forget;
            }
        }
        self.changes.insert((address.clone(), None), change);
    }

    fn removed_block(&self, address: &InstanceAddr) -> Option<Removed> {
        let config = self.config();
        let module =
            config.modules.get(&address.resource.module.path()).or(config.modules.get(&Vec::new()))?;
        let text = address.resource.to_string();
        let found = module.removed.iter().find(|r| {
            let from = r.from.to_string();
            text == from || address.to_string() == from || text.ends_with(&format!(".{from}"))
        });
        found.cloned()
    }

    fn removal(&mut self, object: &Object, reason: Reason) -> Change {
        let seen = match self.refreshed.get(&object.id) {
            Some(Refreshed::Present(seen)) => self.marked(object, seen.attributes.value()),
            _ => object.attributes.clone(),
        };
        let is_gone = matches!(self.refreshed.get(&object.id), Some(Refreshed::Gone));
        let schema = self.schema_of(Mode::Managed, &object.address.resource.kind, &object.provider.name);
        let (prevent, on_destroy, span) = self.protection(object);
        let action = match on_destroy {
            _ if is_gone => ChangeAction::Forget,
            OnDestroy::Keep => ChangeAction::Forget,
            OnDestroy::Delete | OnDestroy::Forbid => ChangeAction::Delete,
        };
        let host = object.host.as_ref().and_then(|h| self.state.objects.get(h)).map(|o| o.address.clone());
        Change {
            address: object.address.clone(),
            object: Some(object.id.clone()),
            deposed: None,
            provider: object.provider.clone(),
            recipe: Some(object.recipe.clone()),
            action,
            reason: if is_gone { Reason::Gone } else { reason },
            waits_for: BTreeSet::new(),
            external_effect: schema.is_some_and(|(_, s)| has_effect(&s, Some(&seen))),
            prior: Some(seen),
            planned: None,
            replace_paths: Vec::new(),
            sensitive_paths: Vec::new(),
            host,
            dropped_with: None,
            on_destroy,
            prevent_destroy: prevent,
            create_before_destroy: object.settings.create_before_destroy,
            timeouts: Some(object.settings.timeouts),
            span,
        }
    }

    /// For an address that the spec still has the spec decides, else what was recorded.
    fn protection(&mut self, object: &Object) -> (bool, OnDestroy, Option<groma_types::Span>) {
        let recorded = (object.settings.prevent_destroy, object.settings.on_destroy, None);
        let block = block_of(&object.address.resource);
        let config = self.config();
        let Some(resource) = config.modules.get(&block.0).and_then(|m| m.resources.get(&block.1)) else {
            return recorded;
        };
        let place = Place {
            key: object.address.key.clone(),
            ..Place::module(object.address.resource.module.clone())
        };
        let text = |expr: &Option<groma_lang::expr::Expr>| {
            let expr = expr.as_ref()?;
            Some(self.eval.expr(&self.values, &place, expr).0)
        };
        let prevent = text(&resource.lifecycle.prevent_destroy).map_or(Some(false), |v| v.as_bool());
        let on_destroy = text(&resource.lifecycle.on_destroy);
        let on_destroy = match on_destroy.as_ref().and_then(Value::as_str) {
            Some("keep") => OnDestroy::Keep,
            Some("forbid") => OnDestroy::Forbid,
            None if on_destroy.as_ref().is_some_and(Value::is_unknown) => recorded.1,
            _ => OnDestroy::Delete,
        };
        (prevent.unwrap_or(recorded.0), on_destroy, Some(resource.span))
    }

    /// Deposed objects are deleted by every plan.
    fn deposed(&mut self) {
        let deposed: Vec<Object> =
            self.state.objects.values().filter(|o| matches!(o.status, Status::Deposed(_))).cloned().collect();
        for object in deposed {
            let Status::Deposed(key) = &object.status else { continue };
            if self.left_out.contains(&block_of(&object.address.resource)) {
                continue;
            }
            let change = Change { deposed: Some(key.clone()), ..self.removal(&object, Reason::Deposed) };
            self.changes.insert((object.address.clone(), Some(key.clone())), change);
        }
    }

    // ---- rules between changes ---------------------------------------------------------------------------------

    fn rules(&mut self) {
        self.drops();
        self.spread_create_first(&|_| true);
        self.same_keys();
        self.protect();
    }

    /// Rule 5: what lives on a host that goes is dropped with it, but for what has effects outside.
    pub fn drops(&mut self) {
        let going: BTreeMap<ObjectId, InstanceAddr> = self
            .changes
            .values()
            .filter(|c| c.action.deletes())
            .filter_map(|c| Some((c.object.clone()?, c.address.clone())))
            .collect();
        let hosts: BTreeMap<ObjectId, Option<ObjectId>> =
            self.state.objects.values().map(|o| (o.id.clone(), o.host.clone())).collect();
        for change in self.changes.values_mut() {
            let host = change.object.as_ref().and_then(|id| hosts.get(id)?.clone());
            let host_going = host.as_ref().and_then(|h| going.get(h)).cloned();
            if change.external_effect {
                change.dropped_with = None;
                continue;
            }
            if change.action == ChangeAction::Delete
                && let Some(host) = host_going
            {
                change.action = ChangeAction::Drop;
                change.dropped_with = Some(host);
            }
        }
    }

    /// Rule 3 and 6: create_before_destroy is contagious to what an object depends on and to what lives on it.
    /// Turned are those that `may_turn` lets: during an apply, what has not been ordered yet.
    pub fn spread_create_first(&mut self, may_turn: &dyn Fn(&InstanceAddr) -> bool) {
        let is_first = |c: &&Change| c.action == ChangeAction::ReplaceCreateFirst;
        let mut first: Vec<Change> = self.changes.values().filter(is_first).cloned().collect();
        let mut recorded: BTreeSet<ObjectId> = BTreeSet::new();
        let mut before: BTreeMap<Block, BTreeSet<ModuleAddr>> = BTreeMap::new();
        let mut seen: BTreeSet<ResourceAddr> = BTreeSet::new();
        while !first.is_empty() {
            for change in &first {
                self.recorded_before(change, &mut recorded);
                let resource = &change.address.resource;
                if seen.insert(resource.clone()) {
                    for block in self.order.all_before(&block_of(resource)) {
                        before.entry(block).or_default().insert(resource.module.clone());
                    }
                }
            }
            let hosts: BTreeSet<&InstanceAddr> = first.iter().map(|c| &c.address).collect();
            let turns = |other: &&Change| {
                let module = &other.address.resource.module;
                let users = before.get(&block_of(&other.address.resource));
                let is_before = users.is_some_and(|u| u.iter().any(|m| planner::shares_keys(module, m)));
                let was_before = other.object.as_ref().is_some_and(|o| recorded.contains(o));
                let lives_on = matches!(&other.reason, Reason::Host(host) if hosts.contains(host));
                other.action == ChangeAction::Replace
                    && may_turn(&other.address)
                    && (is_before || was_before || lives_on)
            };
            let mut turned: Vec<Change> = self.changes.values().filter(turns).cloned().collect();
            for change in &mut turned {
                change.action = ChangeAction::ReplaceCreateFirst;
                change.create_before_destroy = true;
                self.changes.insert((change.address.clone(), change.deposed.clone()), change.clone());
            }
            first = turned;
        }
        let clashes: Vec<Change> =
            self.changes.values().filter(|c| c.action == ChangeAction::ReplaceCreateFirst).cloned().collect();
        for change in clashes {
            let key = |v: &Option<Value>| v.as_ref().and_then(|v| build::natural_key(self, &change, v));
            let (old, new) = (key(&change.prior), key(&change.planned));
            let moves_host = matches!(change.reason, Reason::Host(_));
            if old.is_some() && old == new && !moves_host {
                self.report_key_clash(&change);
            }
        }
    }

    /// Adds the objects that a change's object depended on, directly or not; those that are there are not gone through again.
    fn recorded_before(&self, change: &Change, found: &mut BTreeSet<ObjectId>) {
        let mut open: Vec<ObjectId> = change.object.iter().cloned().collect();
        while let Some(id) = open.pop() {
            let next = self.state.objects.get(&id).into_iter().flat_map(|o| o.dependencies.iter());
            open.extend(next.filter(|d| found.insert((*d).clone())).cloned().collect::<Vec<_>>());
        }
    }

    fn report_key_clash(&mut self, change: &Change) {
        let found = self.schema_of(Mode::Managed, &change.address.resource.kind, &change.provider.name);
        let key = found.map(|(_, s)| s.natural_key.join(", ")).unwrap_or_default();
        let mut diagnostic = Diagnostic::error("G1063", "Two objects can't have one name")
            .detail(format!(
                "{} is created before the old one is destroyed, but both would have the same `{key}`.",
                change.address
            ))
            .help(format!(
                "Change `{key}` together with what forces the replacement, or drop create_before_destroy."
            ))
            .address(&change.address);
        if let Some(span) = change.span {
            diagnostic = diagnostic.at(span, "");
        }
        self.diagnostics.push(diagnostic);
    }

    /// Rule 7: a rename that the spec does not tell.
    fn same_keys(&mut self) {
        let going: Vec<&Change> = self.changes.values().collect();
        let pairs = build::same_keys(self, &going);
        for (old, new) in pairs {
            self.diagnostics.push(
                Diagnostic::warning("G1064", "An object seems to be renamed")
                    .detail(format!(
                        "{old} is removed and {new} is created, and both name the same thing in the world."
                    ))
                    .help(format!(
                        "If it is the same object: moved: [{{from: {old}, to: {new}}}]. Else it is replaced."
                    )),
            );
        }
    }

    fn protect(&mut self) {
        let protected: Vec<Change> =
            self.changes.values().filter(|c| c.action.deletes() && c.deposed.is_none()).cloned().collect();
        for change in protected {
            if !change.prevent_destroy && change.on_destroy != OnDestroy::Forbid {
                continue;
            }
            let word = if change.prevent_destroy { "prevent_destroy" } else { "on_destroy: forbid" };
            let mut diagnostic = Diagnostic::error("G1065", "A protected object would be destroyed")
                .detail(format!("{} has {word}, and this plan destroys it.", change.address))
                .help(format!(
                    "Leave it out with -exclude={}, or lift the protection in the spec first.",
                    change.address
                ))
                .address(&change.address);
            if let Some(span) = change.span {
                diagnostic = diagnostic.at(span, "protected here");
            }
            self.diagnostics.push(diagnostic);
        }
    }

    /// `check` blocks only warn.
    pub fn checks(&mut self) {
        let config = self.config();
        for (path, module) in config.modules.iter().filter(|(_, m)| !m.checks.is_empty()) {
            let (instances, _, _) = self.eval.module_instances(&self.values, path);
            for instance in instances {
                for check in module.checks.values() {
                    self.check(&instance, check);
                }
            }
        }
    }

    fn check(&mut self, module: &ModuleAddr, check: &crate::config::Check) {
        for rule in &check.assertions {
            let scope = crate::scope::Scope {
                eval: &self.eval,
                values: &self.values,
                place: Place::module(module.clone()),
            };
            let (verdict, faults) = inputs::judge(rule, "Check block assertion failed", &scope);
            self.diagnostics.extend(faults);
            if let Verdict::Fails(mut fault) = verdict {
                fault.severity = groma_types::Severity::Warning;
                self.diagnostics.push(fault);
            }
        }
    }

    // ---- outputs -----------------------------------------------------------------------------------------------

    fn outputs(&mut self, plan: &mut Plan, options: &PlanOptions) {
        if options.refresh_only {
            return;
        }
        let config = self.config();
        let mut names: BTreeSet<Arc<str>> = self.state.outputs.keys().cloned().collect();
        if !options.destroy {
            names.extend(config.root().outputs.keys().cloned());
        }
        for name in names {
            let declared = config.root().outputs.get(&name).filter(|_| !options.destroy);
            let before = self.state.outputs.get(&name).map(|o| o.value.clone());
            let after = match declared {
                None => None,
                Some(output) => {
                    let place = Place::module(ModuleAddr::root());
                    let own = Address::Output(ModuleAddr::root(), name.clone());
                    let rules = &output.preconditions;
                    if self.conditions(rules, "Output precondition failed", &place, &own).is_none() {
                        continue;
                    }
                    match self.eval.output(&self.values, &ModuleAddr::root(), &name) {
                        Ok(value) => Some(self.checked_output(output, value)),
                        Err(diagnostics) => {
                            self.diagnostics.extend(diagnostics);
                            continue;
                        }
                    }
                }
            };
            let same = match (&before, &after) {
                (Some(b), Some(a)) => decide::differences(b, a).is_empty() && b.ty() == a.ty(),
                (None, None) => true,
                _ => false,
            };
            // Left-out blocks leave outputs unknown that are in the state already.
            let is_left_out = plan.targeted && after.as_ref().is_some_and(|a| !a.is_wholly_known());
            if !same && !is_left_out {
                let sensitive = after.as_ref().or(before.as_ref()).is_some_and(|v| v.deep_marks().sensitive);
                plan.outputs.push(OutputChange { name, before, after, sensitive });
            }
        }
    }

    fn checked_output(&mut self, output: &crate::config::Output, value: Value) -> Value {
        let marks = value.deep_marks();
        if marks.minted || (marks.ephemeral && !output.ephemeral) {
            self.diagnostics.push(
                Diagnostic::error("G1031", "A short-lived value would be stored")
                    .detail(format!(
                        "Output {:?} of the root module would write it to the state.",
                        output.name
                    ))
                    .help("Use it in a provider block or a write-only argument instead.")
                    .at(output.span, ""),
            );
        } else if marks.sensitive && !output.sensitive {
            self.diagnostics.push(
                Diagnostic::error("G1066", "An output shows a sensitive value")
                    .detail(format!("The value of output {:?} comes from a sensitive one.", output.name))
                    .help("Say `sensitive: true` in the output, or nonsensitive(…) in its value.")
                    .at(output.value.span(), ""),
            );
        }
        value
    }
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

/// Where a `moved` block takes an address, if it does.
fn moved_to(address: &InstanceAddr, from: &InstanceAddr, to: &InstanceAddr) -> Option<InstanceAddr> {
    let same = address.resource.kind == from.resource.kind
        && address.resource.name == from.resource.name
        && address.resource.mode == from.resource.mode;
    if !same || (from.key.is_some() && from.key != address.key) {
        return None;
    }
    let resource = ResourceAddr { module: address.resource.module.clone(), ..to.resource.clone() };
    let whole = from.key.is_none() && to.key.is_none();
    let key = if whole { address.key.clone() } else { to.key.clone() };
    let target = InstanceAddr { resource, key };
    // A whole block that got an index: only its single instance moves there.
    let fits = whole || from.key.is_some() || address.key.is_none();
    (fits && target != *address).then_some(target)
}
