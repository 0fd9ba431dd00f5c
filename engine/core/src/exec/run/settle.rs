//! Settling an instance: the decision at apply, the guard, the begin of a create or update.

use super::super::context::Context;
use super::super::operation::{self, Request};
use super::super::provision::Job;
use super::super::scheduler::{NodeId, Outcome};
use super::{Finished, Run, Running, Then, causes_text};
use crate::event::EventKind;
use crate::facade::ApproveDeferred;
use crate::graph::build::{self, Extent, Node};
use crate::plan::planner::{self, Importing, ProviderState, block_of};
use crate::plan::{Change, ChangeAction, Reason, decide};
use crate::state::{BeginOp, Object, ObjectId, OpId, RecipeId, Record, Settings, Status};
use groma_provider::{Action, ErrorKind, Identity, ProviderError};
use groma_types::schema::Timeouts;
use groma_types::{Address, InstanceAddr, Mode, Resolved, ResourceAddr, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Run<'_> {
    pub(super) async fn start_settle(&mut self, id: NodeId, address: &InstanceAddr) {
        if self.planner.left_out.contains(&block_of(&address.resource)) {
            return self.finish(id, Outcome::Done);
        }
        let key = (address.clone(), None);
        let approved = self.approved.get(&key).cloned();
        let is_quiet = approved.as_ref().is_some_and(|c| c.action == ChangeAction::NoOp && !c.is_deferred())
            && !self.is_touched(&address.resource);
        if is_quiet {
            self.resettle(address);
            return self.finish(id, Outcome::Done);
        }
        if self.is_in_doubt(address) {
            // Reported by settlement, with its cure: nothing is made beside what may be there.
            self.summary.failed += 1;
            let action = approved.as_ref().map_or(ChangeAction::NoOp, |c| c.action);
            let error = "an earlier run's operation on it is in doubt".to_string();
            self.emitter.emit(EventKind::OperationFailed {
                address: address.clone(),
                action,
                error,
                rerun_is_safe: true,
            });
            return self.finish(id, Outcome::Failed);
        }
        if let Some(change) = approved.as_ref().filter(|c| c.import.is_some() && c.is_deferred())
            && self.options.approve_deferred == ApproveDeferred::None
        {
            let why = "deferred imports are not approved (-approve-deferred=none)".to_string();
            return self.hold(id, address, change, why);
        }
        let as_new = approved.as_ref().is_some_and(|c| c.action == ChangeAction::ReplaceCreateFirst);
        let Some((change, config)) = self.decide(address, as_new).await else {
            self.summary.failed += 1;
            self.emitter.emit(EventKind::OperationFailed {
                address: address.clone(),
                action: approved.map_or(ChangeAction::NoOp, |c| c.action),
                error: "it can't be planned with the values that came".into(),
                rerun_is_safe: true,
            });
            return self.finish(id, Outcome::Failed);
        };
        if change.action == ChangeAction::NoOp {
            self.settled_value(address, change.planned.clone());
            self.planner.changes.insert(key, Arc::new(change));
            self.resettle(address);
            return self.finish(id, Outcome::Done);
        }
        if let Some(why) = self.not_approved(approved.as_deref(), &change) {
            return self.hold(id, address, &change, why);
        }
        if change.action.is_replace() {
            return self.replace_late(id, address, change).await;
        }
        // Only write-only arguments may still have to be asked for.
        let minters = self.planner.minters_of(&config);
        match self.planner.pool.fresh_parts(&config, &minters, false).await {
            Ok(fresh) => self.begin_settle(id, change, fresh.value, as_new),
            Err(error) => self.fail_early(id, address, change.action, &error),
        }
    }

    pub(super) fn is_in_doubt(&self, address: &InstanceAddr) -> bool {
        self.planner
            .state
            .in_doubt()
            .any(|(_, op)| op.begin.address == *address && op.begin.action == Action::Create)
    }

    pub(super) fn is_touched(&self, address: &ResourceAddr) -> bool {
        let before = self.planner.order.before(&block_of(address));
        self.touched.iter().any(|t| before.contains(&block_of(t)))
    }

    pub(super) async fn decide(&mut self, address: &InstanceAddr, as_new: bool) -> Option<(Change, Value)> {
        let block = block_of(&address.resource);
        let config = self.planner.config();
        let resource = config.modules.get(&block.0)?.resources.get(&block.1)?;
        let place = self.planner.place_of(address, resource)?;
        let provider = self.planner.provider_address(&address.resource.module, &resource.provider, &place)?;
        if matches!(self.planner.providers.get(&provider), Some(ProviderState::Deferred { .. })) {
            self.planner.providers.remove(&provider);
        }
        let state = self.planner.provider_state(&provider).await;
        if matches!(state, ProviderState::Failed) {
            return None;
        }
        // An import that waited for its id or provider is made now.
        let importing = self.planner.import(address, &provider, &state).await;
        if matches!(importing, Importing::Failed | Importing::Deferred(_)) {
            return None;
        }
        self.take_over(address);
        // An object that was planned behind a deferred provider is read before it is decided on.
        self.read_late_prior(address).await;
        self.planner.renew_ephemerals(&block).await.ok()?;
        self.planner.decide_instance(address, &block, resource, &place, &provider, &state, as_new)
    }

    pub(super) async fn read_late_prior(&mut self, address: &InstanceAddr) {
        let Some(object) = self.planner.state.at(address).cloned() else { return };
        if self.planner.refreshed.contains_key(&object.id) {
            return;
        }
        let ids = BTreeSet::from([object.id.clone()]);
        let emitter = self.emitter.clone();
        let emit = move |kind: EventKind| emitter.emit(kind);
        let found = crate::refresh::refresh(&self.planner.pool, &self.planner.state, &ids, &emit).await;
        self.planner.refreshed.extend(found);
    }

    /// Why a change may not be made: it was not in the plan.
    pub(super) fn not_approved(&self, approved: Option<&Change>, change: &Change) -> Option<String> {
        let limit = self.options.approve_deferred;
        if let Reason::OtherWorld { was, now } = &change.reason
            && !approved.is_some_and(|a| a.action.is_replace())
        {
            return Some(format!("it would move from {was} to {now}, which the plan did not say"));
        }
        let was = approved.map(|a| a.action);
        let was_shown = match change.action {
            ChangeAction::Create => was.is_some_and(|a| a.creates()),
            ChangeAction::Update => was.is_some_and(|a| a == ChangeAction::Update || a.is_replace()),
            action => was == Some(action) || (action.is_replace() && was.is_some_and(|a| a.is_replace())),
        };
        if was_shown {
            let deferred = approved.is_some_and(Change::is_deferred);
            return (deferred && limit == ApproveDeferred::None)
                .then(|| "deferred changes are not approved (-approve-deferred=none)".to_string());
        }
        let needed = match change.action {
            ChangeAction::NoOp => return None,
            ChangeAction::Create => ApproveDeferred::Create,
            ChangeAction::Update => ApproveDeferred::Update,
            _ => ApproveDeferred::All,
        };
        (limit < needed).then(|| match change.action {
            ChangeAction::Create => "it was not in the plan (-approve-deferred=create allows it)".to_string(),
            ChangeAction::Update => "it was not in the plan (-approve-deferred=update allows it)".to_string(),
            _ => {
                "it would delete or replace what the plan kept (-approve-deferred=all allows it)".to_string()
            }
        })
    }

    pub(super) fn hold(&mut self, id: NodeId, address: &InstanceAddr, change: &Change, why: String) {
        self.summary.held += 1;
        self.emitter.emit(EventKind::OperationHeld { address: address.clone(), action: change.action, why });
        self.finish(id, Outcome::Held);
    }

    /// An approved replacement that came late: what follows it is planned anew, and its deletion and creation become
    /// nodes of a piece of their own.
    pub(super) async fn replace_late(&mut self, id: NodeId, address: &InstanceAddr, change: Change) {
        let key = (address.clone(), None);
        if let Some(object) = &change.object {
            self.outgoing.insert(key.clone(), object.clone());
        }
        self.settled_value(address, change.planned.clone());
        self.planner.changes.insert(key.clone(), Arc::new(change));
        let from = BTreeSet::from([block_of(&address.resource)]);
        let after = self.planner.order.after(&from);
        let reached: BTreeSet<_> = from.iter().chain(after.iter().flatten()).cloned().collect();
        let ordered: BTreeSet<InstanceAddr> = self
            .approved
            .iter()
            .filter(|(k, c)| c.action.is_replace() && k.0 != *address)
            .map(|(k, _)| k.0.clone())
            .collect();
        let planned = self
            .faults(|p| {
                Box::pin(async move {
                    // What lives on a host that will be another one is reached by another provider, later.
                    p.providers
                        .retain(|_, s| !s.host().is_some_and(|h| reached.contains(&block_of(&h.resource))));
                    p.plan_blocks(&after).await;
                    p.drops();
                    p.spread_create_first(&|a| !ordered.contains(a));
                })
            })
            .await;
        if let Some(change) = self.planner.changes.get(&key) {
            self.approved.insert(key.clone(), change.clone());
        }
        if planned.is_err() {
            self.summary.failed += 1;
            return self.finish(id, Outcome::Failed);
        }
        let mut replaced = BTreeSet::from([address.clone()]);
        for (key, new) in self.planner.changes.clone() {
            let was = self.approved.get(&key).cloned();
            let is_new_replacement =
                new.action.is_replace() && !was.as_ref().is_some_and(|w| w.action.is_replace());
            if is_new_replacement && self.not_approved(was.as_deref(), &new).is_none() {
                replaced.insert(key.0.clone());
                self.outgoing.extend(new.object.clone().map(|o| (key.clone(), o)));
                self.approved.insert(key, new);
            }
        }
        let piece = build::build(&self.planner, &Extent::Replaced { instances: &replaced, first: address });
        self.total += replaced.len();
        self.take_piece(&piece);
        self.finish(id, Outcome::Done);
    }

    /// Records and starts a create or update.
    pub(super) fn begin_settle(&mut self, id: NodeId, change: Change, config: Value, create_first: bool) {
        let address = change.address.clone();
        match self.prepare(&change, config) {
            Ok((request, begin, prior)) => {
                let old = self.planner.state.at(&address).map(|o| o.id.clone());
                if let Some(old) = old.filter(|_| begin.action == Action::Create) {
                    // The old object makes room in the same group: deposed if it is there, forgotten if it is gone.
                    let key: Arc<str> = self.planner.host.entropy.hex(4).into();
                    self.record(if create_first {
                        Record::Deposed(old, key)
                    } else {
                        Record::Forgotten(old)
                    });
                }
                let planned = change.planned.clone();
                let shown =
                    if begin.action == Action::Create { ChangeAction::Create } else { ChangeAction::Update };
                self.begin(id, request, begin, prior, shown, planned, Vec::new());
                self.planner.changes.insert((address, None), Arc::new(change));
            }
            Err(error) => self.fail_early(id, &address, change.action, &error),
        }
    }

    pub(super) fn fail_early(
        &mut self,
        id: NodeId,
        address: &InstanceAddr,
        action: ChangeAction,
        error: &ProviderError,
    ) {
        self.summary.failed += 1;
        self.planner.report(error, &Address::Instance(address.clone()), None);
        self.emitter.emit(EventKind::OperationFailed {
            address: address.clone(),
            action,
            error: error.to_string(),
            rerun_is_safe: true,
        });
        self.finish(id, Outcome::Failed);
    }

    pub(super) fn prepare(
        &mut self,
        change: &Change,
        config: Value,
    ) -> Result<(Request, BeginOp, Option<Object>), ProviderError> {
        let address = &change.address;
        let unresolved = |u: groma_types::Unresolved| {
            let text = format!("{} is still not known: it waits for {}", u.path, causes_text(&u.causes));
            ProviderError::new(ErrorKind::Invalid, text)
        };
        let config: Resolved = config.resolve().map_err(unresolved)?;
        let planned_value = change.planned.clone().unwrap_or(Value::NULL);
        let planned: Resolved = decide::without_unknowns(&planned_value).resolve().map_err(unresolved)?;
        let Some(ProviderState::Ready { recipe, host, .. }) =
            self.planner.providers.get(&change.provider).cloned()
        else {
            return Err(ProviderError::new(ErrorKind::Bug, format!("{} is not configured", change.provider)));
        };
        let found = self.planner.schema_of(Mode::Managed, &address.resource.kind, &change.provider.name);
        let Some((_, schema)) = found else {
            return Err(ProviderError::new(ErrorKind::Bug, "its kind has no schema"));
        };
        let timeouts = change.timeouts.unwrap_or(schema.timeouts);
        let prior = if change.action == ChangeAction::Create {
            None
        } else {
            self.planner.state.at(address).cloned()
        };
        let entropy = self.planner.host.entropy.clone();
        let token = entropy.hex(16);
        let mark = match &prior {
            Some(object) => object.owner_mark.clone(),
            None => schema.owner_mark.then(|| entropy.hex(12).into()),
        };
        let now = self.planner.host.clock.now();
        let begin = BeginOp {
            action: if prior.is_some() { Action::Update } else { Action::Create },
            object: prior.as_ref().map_or_else(|| ObjectId(entropy.hex(10).into()), |o| o.id.clone()),
            address: address.clone(),
            provider: change.provider.clone(),
            recipe,
            planned: planned.value().clone(),
            digest: digest(&planned),
            token: token.as_str().into(),
            owner_mark: mark.clone(),
            dependencies: self.dependencies(address),
            host: host.as_ref().and_then(|h| self.planner.state.current.get(h).cloned()),
            settings: self.settings(change, timeouts, prior.as_ref()),
            schema_version: schema.version,
            at: now,
        };
        let owner_mark = mark.map(|m| m.to_string());
        let request = match &prior {
            None => {
                let identity = Identity { token, owner_mark };
                Request::Create { planned, config, identity, timeouts, begun: now }
            }
            Some(object_of) => {
                let (seen, private) = self.seen(object_of);
                let prior = seen.resolve().map_err(unresolved)?;
                if change.reason == Reason::Resume {
                    let object = groma_provider::Object { attributes: prior, private };
                    return Ok((Request::Resume { object, timeouts }, begin, Some(object_of.clone())));
                }
                Request::Update { prior, private, planned, config, owner_mark, token, timeouts }
            }
        };
        Ok((request, begin, prior))
    }

    /// The object as refresh saw it.
    pub(super) fn seen(&self, object: &Object) -> (Value, serde_json::Value) {
        match self.planner.refreshed.get(&object.id) {
            Some(crate::refresh::Refreshed::Present(seen)) => {
                (seen.attributes.value().clone(), seen.private.clone())
            }
            _ => (object.attributes.clone(), object.private.clone()),
        }
    }

    /// Objects that an instance depends on: over written edges, and over inferred ones that held.
    pub(super) fn dependencies(&mut self, address: &InstanceAddr) -> BTreeSet<ObjectId> {
        self.index_blocks();
        let planner = &self.planner;
        let block = block_of(&address.resource);
        let mut blocks = planner.order.managed_before(&block);
        let held = |from: &crate::graph::order::Block| {
            !self.yielded.iter().any(|e| {
                matches!((&e.from, &e.to), (Node::Settled(f), Node::Expanded(t)) if block_of(f) == *from && *t == address.resource)
            })
        };
        let inferred =
            planner.order.inferred.iter().filter(|(_, to, _)| *to == block).map(|(from, _, _)| from);
        blocks.extend(inferred.filter(|f| held(f)).cloned());
        if let Some(provider) = planner.order.provider_of.get(&block) {
            let access = planner.order.access.iter().filter(|(_, p)| p == provider).map(|(b, _)| b.clone());
            blocks.extend(access.filter(|b| *b != block));
        }
        blocks
            .iter()
            .filter_map(|b| self.addresses.get(b))
            .flatten()
            .filter(|r| r.mode == Mode::Managed)
            .filter(|r| planner::shares_keys(&r.module, &address.resource.module))
            .flat_map(|r| planner.state.instances(r))
            .filter(|(a, _)| *a != address)
            .map(|(_, id)| id.clone())
            .chain(self.ranked_before(address))
            .collect()
    }

    /// Objects of the same text that are settled before this one.
    fn ranked_before(&self, address: &InstanceAddr) -> Vec<ObjectId> {
        let ranks = &self.planner.ranks;
        let Some(own) = ranks.get(address) else { return Vec::new() };
        let before = ranks.iter().filter(|(a, rank)| a.resource == address.resource && *rank < own);
        before.filter_map(|(a, _)| self.planner.state.current.get(a).cloned()).collect()
    }

    /// Makes `addresses` anew if blocks came.
    fn index_blocks(&mut self) {
        let values = &self.planner.values;
        if self.indexed != values.block_count() {
            self.indexed = values.block_count();
            self.addresses.clear();
            for (address, _) in self.planner.values.blocks() {
                self.addresses.entry(block_of(address)).or_default().push(address.clone());
            }
        }
    }

    /// Lets an unchanged object's dependencies, settings and recipe follow the spec.
    pub(super) fn resettle(&mut self, address: &InstanceAddr) {
        let Some(object) = self.planner.state.at(address).cloned() else { return };
        let Some(change) = self.planner.changes.get(&(address.clone(), None)).cloned() else { return };
        let mut new = object.clone();
        new.dependencies = self.dependencies(address);
        let timeouts = change.timeouts.unwrap_or(object.settings.timeouts);
        new.settings = self.settings(&change, timeouts, Some(&object));
        if let Some(ProviderState::Ready { recipe, host, .. }) = self.planner.providers.get(&change.provider)
        {
            new.recipe = recipe.clone();
            new.provider = change.provider.clone();
            new.host = host.as_ref().and_then(|h| self.planner.state.current.get(h).cloned());
        }
        if let Some(crate::refresh::Refreshed::Present(seen)) = self.planner.refreshed.get(&object.id) {
            let marked = change.planned.clone().unwrap_or_else(|| seen.attributes.value().clone());
            new.attributes = if marked.is_wholly_known() { marked } else { object.attributes.clone() };
            new.private = seen.private.clone();
        }
        if new.status != Status::Ready && !matches!(new.status, Status::Tainted(_)) {
            new.status = Status::Ready;
        }
        if new == object {
            return;
        }
        let quiet = Object {
            dependencies: object.dependencies.clone(),
            settings: object.settings.clone(),
            ..new.clone()
        };
        if quiet == object {
            let (id, dependencies, settings) = (new.id, new.dependencies, new.settings);
            self.record(Record::Resettled { id, dependencies, settings });
        } else {
            self.ensure_recipe(&new.recipe);
            self.record(Record::Observed(Box::new(new)));
        }
    }

    /// What the record of an object keeps. A new one is not provisioned yet, if it ever is to be.
    fn settings(&self, change: &Change, timeouts: Timeouts, prior: Option<&Object>) -> Settings {
        let was_done = prior.is_some_and(|o| !o.settings.unprovisioned);
        Settings {
            create_before_destroy: change.create_before_destroy
                || change.action == ChangeAction::ReplaceCreateFirst,
            prevent_destroy: change.prevent_destroy,
            on_destroy: change.on_destroy,
            timeouts,
            unprovisioned: !was_done && self.planner.is_provisioned(&change.address),
            before_destroy: self.planner.recorded_commands(&change.address),
        }
    }

    pub(super) fn ensure_recipe(&mut self, id: &RecipeId) {
        if self.recipes_written.contains(id) {
            return;
        }
        if let Some(recipe) = self.planner.state.recipes.get(id).cloned() {
            for minter in recipe.minters.values() {
                self.ensure_recipe(&minter.clone());
            }
            self.recipes_written.insert(id.clone());
            self.record(Record::Recipe(id.clone(), recipe));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that an operation is begun with; two call sites")]
    pub(super) fn begin(
        &mut self,
        node: NodeId,
        request: Request,
        begin: BeginOp,
        prior: Option<Object>,
        action: ChangeAction,
        planned: Option<Value>,
        first: Vec<Job>,
    ) {
        let op = self.store.next_op();
        self.ensure_recipe(&begin.recipe);
        self.record(Record::Begin(op, begin.clone()));
        let deposed = prior.as_ref().is_some_and(|o| matches!(o.status, Status::Deposed(_)));
        let address = begin.address.clone();
        self.emitter.emit(EventKind::OperationStarted { address: address.clone(), action, deposed });
        let started = self.planner.host.clock.now();
        self.running
            .insert(op, Running { node, address, action, begin, made: None, prior, started, planned });
        self.by_node.insert(node, op);
        match first.is_empty() {
            true => self.call(node, op, request),
            false => self.provision(node, op, first, Then::Call(Box::new(request))),
        }
    }

    /// Makes the call of an operation that has begun, after the next flush.
    pub(super) fn call(&mut self, node: NodeId, op: OpId, request: Request) {
        let Some(running) = self.running.get(&op) else { return };
        let context = Context {
            owner: op,
            messages: self.sender.clone(),
            clock: self.planner.host.clock.clone(),
            stop: self.stop.clone(),
            made_keys: self.made_keys.clone(),
        };
        let pool = self.planner.pool.clone();
        let (recipe, kind) = (running.begin.recipe.clone(), running.begin.address.resource.kind.clone());
        self.begun.push(Box::pin(async move {
            let result = match pool.get(&recipe).await {
                Ok(configured) => operation::run(&*configured, &kind, request, &context).await,
                Err(error) => Err(error),
            };
            Finished::Operation { node, op, result }
        }));
    }
}

/// Digest of a request. It lies in the journal in the clear, so secrets do not count: they could be guessed from it.
pub(super) fn digest(value: &Resolved) -> Arc<str> {
    let public = value.map_deep(&mut |v| if v.marks().sensitive { Value::null(v.ty()) } else { v });
    let text = format!("{public:?}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect::<String>().into()
}
