//! Plans blocks: expansion, evaluation, decision, in the order of the configuration.
//!
//! The same code plans a whole stack and, during an apply, just a fragment: it works on the blocks that it is given,
//! over the values of the moment. It calls providers only to read data sources.

use super::decide::{self, Decision, Ignore};
use super::{Change, ChangeAction, DeferredExpansion, DeferredRead, Plan, ProviderPlan, Reason};
use crate::config::{BlockId, Config, IgnoreChanges, ModulePath, ProviderRef, ResourceBlock, body, targets};
use crate::facade::{Host, PlanOptions};
use crate::graph::order::{Block, Order};
use crate::pool::{self, Pool};
use crate::refresh::Refreshed;
use crate::scope::{Evaluator, Place};
use crate::state::{Object, ObjectId, OnDestroy, Recipe, RecipeId, State, Status};
use crate::values::{BlockValue, Keys, Values};
use groma_lang::expr::{Expr, RefStep, Reference};
use groma_provider::{ErrorKind, Provider, ProviderError, World};
use groma_types::schema::{KindSchema, ProviderSchema, Timeouts};
use groma_types::value::{Cause, Mint, Residual};
use groma_types::{
    Address, AttrPath, Diagnostic, Diagnostics, InstanceAddr, InstanceKey, Marks, Mode, ModuleAddr,
    ProviderAddr, Refinements, ResourceAddr, Step, Type, Unknown, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A provider configuration, as far as it is known.
#[derive(Clone, Debug)]
pub enum ProviderState {
    Ready {
        recipe: RecipeId,
        config: Value,
        host: Option<InstanceAddr>,
    },
    Deferred {
        causes: BTreeSet<Cause>,
        config: Value,
        host: Option<InstanceAddr>,
    },
    /// Reported already.
    Failed,
}

impl ProviderState {
    pub fn host(&self) -> Option<&InstanceAddr> {
        match self {
            ProviderState::Ready { host, .. } | ProviderState::Deferred { host, .. } => host.as_ref(),
            ProviderState::Failed => None,
        }
    }
    fn config(&self) -> Value {
        match self {
            ProviderState::Ready { config, .. } | ProviderState::Deferred { config, .. } => config.clone(),
            ProviderState::Failed => Value::NULL,
        }
    }
}

/// Names a change: an address, and the deposed object's key where it is about one.
pub type ChangeKey = (InstanceAddr, Option<Arc<str>>);

/// Everything that planning a stack knows. Lives through plan and apply of a run.
pub struct Planner {
    pub host: Host,
    pub pool: Arc<Pool>,
    pub eval: Evaluator,
    pub values: Values,
    pub order: Arc<Order>,
    /// The state as it is now: in an apply it follows the journal.
    pub state: State,
    /// What refresh found, by object; absent: not refreshed.
    pub refreshed: BTreeMap<ObjectId, Refreshed>,
    pub providers: BTreeMap<ProviderAddr, ProviderState>,
    pub changes: BTreeMap<ChangeKey, Change>,
    pub expansions: BTreeMap<ResourceAddr, DeferredExpansion>,
    pub reads: BTreeMap<InstanceAddr, DeferredRead>,
    pub diagnostics: Diagnostics,
    pub options: PlanOptions,
    /// Blocks that `-target` and `-exclude` leave out.
    pub left_out: BTreeSet<Block>,
    /// Instances that were planned: everything else of the state is not in the configuration.
    pub seen: BTreeSet<InstanceAddr>,
}

/// A data source that can be read now.
pub struct PendingRead {
    pub address: InstanceAddr,
    recipe: RecipeId,
    config: Value,
    allow_missing: bool,
    span: groma_types::Span,
}

impl Planner {
    pub fn config(&self) -> Arc<Config> {
        self.eval.config.clone()
    }

    /// Plans blocks, in order; data sources of one level are read at the same time.
    pub async fn plan_blocks(&mut self, levels: &[Vec<Block>]) {
        for level in levels {
            let mut reads = Vec::new();
            for block in level {
                self.plan_block(block, &mut reads).await;
            }
            self.read_all(reads).await;
        }
    }

    async fn plan_block(&mut self, block: &Block, reads: &mut Vec<PendingRead>) {
        let config = self.config();
        let Some(resource) = config.modules.get(&block.0).and_then(|m| m.resources.get(&block.1)) else {
            return;
        };
        let (modules, causes, diagnostics) = self.eval.module_instances(&self.values, &block.0);
        self.diagnostics.extend(diagnostics);
        if !causes.is_empty() {
            self.defer_module_expansion(block, resource, &causes);
        }
        for module in modules {
            self.plan_in_module(&module, block, resource, reads).await;
        }
    }

    /// A block in a module whose own instances are not known yet.
    fn defer_module_expansion(&mut self, block: &Block, resource: &ResourceBlock, causes: &BTreeSet<Cause>) {
        let module = block.0.iter().fold(ModuleAddr::root(), |m, name| m.child(name, None));
        let address = address_of(&module, &resource.id);
        self.expansions.insert(
            address.clone(),
            DeferredExpansion { resource: address, waits_for: causes.clone(), max_instances: None },
        );
    }

    async fn plan_in_module(
        &mut self,
        module: &ModuleAddr,
        block: &Block,
        resource: &ResourceBlock,
        reads: &mut Vec<PendingRead>,
    ) {
        let address = address_of(module, &resource.id);
        let place = Place::module(module.clone());
        let (keys, diagnostics) = self.eval.expand(&self.values, &place, &resource.expansion);
        let failed = diagnostics.has_errors();
        self.diagnostics.extend(diagnostics.into_iter().map(|d| d.address(&address)));
        self.values.set_block(address.clone(), BlockValue { keys: keys.clone(), instances: BTreeMap::new() });
        if failed {
            return;
        }
        if self.left_out.contains(block) {
            self.keep_as_is(&address);
            return;
        }
        if let Keys::Unknown { causes, .. } = &keys {
            self.defer_expansion(&address, module, resource, causes);
            return;
        }
        self.expansions.remove(&address);
        let mut done = Vec::new();
        for key in keys.list() {
            let place = Place::instance(module.clone(), key.clone(), &keys);
            let instance = address.instance(key.clone());
            self.seen.insert(instance.clone());
            let value = match resource.id.mode {
                Mode::Managed => self.plan_instance(&instance, block, resource, &place).await,
                Mode::Data | Mode::Ephemeral => {
                    self.plan_data(&instance, block, resource, &place, reads).await
                }
            };
            done.push((key, value));
        }
        let instances = done.into_iter().collect();
        self.values.set_block(address, BlockValue { keys, instances });
    }

    fn defer_expansion(
        &mut self,
        address: &ResourceAddr,
        module: &ModuleAddr,
        resource: &ResourceBlock,
        causes: &BTreeSet<Cause>,
    ) {
        let place = Place::module(module.clone());
        let bound = resource.lifecycle.max_instances.as_ref().and_then(|e| {
            let (value, diagnostics) = self.eval.expr(&self.values, &place, e);
            self.diagnostics.extend(diagnostics);
            value.as_number().and_then(groma_types::Number::to_u64)
        });
        let deferred =
            DeferredExpansion { resource: address.clone(), waits_for: causes.clone(), max_instances: bound };
        // Its present instances stay as they are until the expansion is known.
        let present: Vec<InstanceAddr> =
            self.state.current.keys().filter(|a| a.resource == *address).cloned().collect();
        self.seen.extend(present);
        self.expansions.insert(address.clone(), deferred);
    }

    /// Takes a left-out block's values from the state.
    fn keep_as_is(&mut self, address: &ResourceAddr) {
        let present: Vec<(InstanceAddr, Value)> = self
            .state
            .current
            .iter()
            .filter(|(a, _)| a.resource == *address)
            .filter_map(|(a, id)| Some((a.clone(), self.state.objects.get(id)?.attributes.clone())))
            .collect();
        for (instance, value) in present {
            self.values.set_instance(address, instance.key.clone(), value);
            self.seen.insert(instance);
        }
    }

    // ---- providers -------------------------------------------------------------------------------------------

    /// The provider configuration that a block in a place uses.
    pub fn provider_address(
        &mut self,
        module: &ModuleAddr,
        reference: &ProviderRef,
        place: &Place,
    ) -> Option<ProviderAddr> {
        let config = self.config();
        let found = targets::provider_for(&config, &module.path(), reference);
        let owner = prefix(module, found.module.len());
        let key = match &found.key {
            None => None,
            Some((expr, scope)) => {
                let at = self.key_place(module, scope, place);
                let (value, diagnostics) = self.eval.expr(&self.values, &at, expr);
                let failed = diagnostics.has_errors();
                self.diagnostics.extend(diagnostics);
                match (failed, value.as_str()) {
                    (false, Some(key)) => Some(InstanceKey::Str(key.into())),
                    (true, _) => return None,
                    (false, None) => {
                        self.diagnostics.push(
                            Diagnostic::error("G1020", "The key of a provider instance is not known")
                                .detail("It must be a string that is known when the resource is planned.")
                                .at(expr.span(), ""),
                        );
                        return None;
                    }
                }
            }
        };
        let block = found.block.and_then(|i| config.modules.get(&found.module)?.providers.get(i));
        let (name, alias) = match block {
            Some(b) => (b.name.clone(), b.alias.clone()),
            None => (reference.name.clone(), reference.alias.clone()),
        };
        Some(ProviderAddr { module: owner, name, alias, key })
    }

    /// The place in which the key of a provider reference is evaluated: the caller's, with the call's own key.
    fn key_place(&self, module: &ModuleAddr, scope: &ModulePath, place: &Place) -> Place {
        if scope.len() == module.0.len() {
            return place.clone();
        }
        let caller = prefix(module, scope.len());
        let step = &module.0[scope.len()];
        let keys = self
            .eval
            .module(&caller)
            .and_then(|m| m.calls.get(&step.name))
            .map_or(Keys::Single, |call| self.eval.call_keys(&self.values, &caller, call).0);
        Place::instance(caller, step.key.clone(), &keys)
    }

    /// Resolves a provider configuration: to a recipe if all is known, else to what it waits for.
    pub async fn provider_state(&mut self, address: &ProviderAddr) -> ProviderState {
        if let Some(state) = self.providers.get(address) {
            return state.clone();
        }
        let state = self.resolve_provider(address).await;
        self.providers.insert(address.clone(), state.clone());
        state
    }

    async fn resolve_provider(&mut self, address: &ProviderAddr) -> ProviderState {
        let Some(provider) = self.pool.provider(&address.name).cloned() else {
            self.diagnostics.push(
                Diagnostic::error("G1021", "Unknown provider")
                    .detail(format!("This build has no provider {:?}.", address.name))
                    .help(format!("Built in: {}.", self.provider_names())),
            );
            return ProviderState::Failed;
        };
        let Some(config) = self.provider_config(address, provider.schema()) else {
            return ProviderState::Failed;
        };
        let host = self.infer_host(address, provider.schema());
        let waits = unresolved_causes(&config);
        if let Some(causes) = waits {
            return ProviderState::Deferred { causes, config, host };
        }
        // A host that will be another object: its provider is another one too, later.
        if let Some(change) = host.as_ref().and_then(|h| self.changes.get(&(h.clone(), None)))
            && change.action.creates()
        {
            let causes = BTreeSet::from([Cause::Node(Address::Instance(change.address.clone()))]);
            return ProviderState::Deferred { causes, config, host };
        }
        match self.make_recipe(address, config.clone(), host.as_ref()).await {
            Ok(recipe) => ProviderState::Ready { recipe, config, host },
            Err(error) => {
                self.report(&error, &Address::Provider(address.clone()), None);
                ProviderState::Failed
            }
        }
    }

    fn provider_names(&self) -> String {
        self.host.registry.providers.keys().map(|k| k.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn provider_config(&mut self, address: &ProviderAddr, schema: &ProviderSchema) -> Option<Value> {
        let config = self.config();
        let module = config.modules.get(&address.module.path())?;
        let found = module.providers.iter().find(|p| p.name == address.name && p.alias == address.alias);
        let Some(block) = found else {
            // No block: an empty configuration, from the environment.
            return Some(nothing_written(&schema.config));
        };
        let keys = match &block.for_each {
            None => Keys::Single,
            Some(expr) => {
                let expansion = crate::config::Expansion::ForEach(expr.clone());
                let (keys, diagnostics) =
                    self.eval.expand(&self.values, &Place::module(address.module.clone()), &expansion);
                self.diagnostics.extend(diagnostics);
                keys
            }
        };
        let place = Place::instance(address.module.clone(), address.key.clone(), &keys);
        let scope = crate::scope::Scope { eval: &self.eval, values: &self.values, place: place.clone() };
        let (mut value, diagnostics) = body::evaluate(&block.body, &schema.config, &scope);
        let failed = diagnostics.has_errors();
        self.diagnostics.extend(diagnostics);
        if failed {
            return None;
        }
        // Arguments that hold minted parts are evaluated as a whole once more, which gives them their recipe.
        let minted: Vec<Arc<str>> = value
            .as_map()
            .into_iter()
            .flatten()
            .filter(|(_, v)| v.deep_marks().minted)
            .map(|(k, _)| k.clone())
            .collect();
        for name in minted {
            if let Some(expr) = body::argument_expr(&block.body, &name) {
                let (whole, _) = self.eval.expr(&self.values, &place, &expr);
                value = value.with_attr(&name, whole);
            }
        }
        Some(value)
    }

    /// Finds the instance that a hosted provider lives on, from its address arguments.
    fn infer_host(&self, address: &ProviderAddr, schema: &ProviderSchema) -> Option<InstanceAddr> {
        if schema.address_args.is_empty() {
            return None;
        }
        let candidates =
            self.order.hosts.get(&(address.module.path(), address.name.clone(), address.alias.clone()))?;
        let instances: Vec<InstanceAddr> = candidates
            .iter()
            .flat_map(|(path, id)| {
                let (modules, _, _) = self.eval.module_instances(&self.values, path);
                modules.into_iter().map(|m| address_of(&m, id)).collect::<Vec<_>>()
            })
            .filter(|r| shares_keys(&r.module, &address.module))
            .flat_map(|r| {
                let keys = self.values.block(&r).map(|b| b.keys.list()).unwrap_or_default();
                keys.into_iter().map(move |k| r.instance(k)).collect::<Vec<_>>()
            })
            .collect();
        match instances.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => many.iter().find(|i| i.key == address.key).or(many.first()).cloned(),
        }
    }

    /// Makes the recipe of a known configuration and reads its world's identity.
    async fn make_recipe(
        &mut self,
        address: &ProviderAddr,
        config: Value,
        host: Option<&InstanceAddr>,
    ) -> Result<RecipeId, ProviderError> {
        let mut minters = BTreeMap::new();
        for mint in pool::mints_in(&config) {
            match Box::pin(self.provider_state(&mint.provider)).await {
                ProviderState::Ready { recipe, .. } => {
                    minters.insert(mint.provider.clone(), recipe);
                }
                ProviderState::Deferred { .. } | ProviderState::Failed => {
                    let text =
                        format!("{} mints through {}, which is not configured", address, mint.provider);
                    return Err(ProviderError::new(ErrorKind::Invalid, text));
                }
            }
        }
        let host_id = host.and_then(|h| self.state.current.get(h).cloned());
        let id = pool::recipe_id(&address.name, &config, &minters, host_id.as_ref());
        let mut recipe =
            Recipe { provider: address.clone(), config, minters, world: World::default(), host: host_id };
        self.pool.add(&id, &recipe);
        recipe.world = self.pool.world(&id).await?;
        if let Some(old) = self.state.recipes.get(&id) {
            check_world(&old.world, &recipe.world)?;
        }
        self.state.recipes.insert(id.clone(), recipe);
        Ok(id)
    }

    // ---- managed instances -------------------------------------------------------------------------------------

    pub fn schema_of(
        &self,
        mode: Mode,
        kind: &str,
        provider: &str,
    ) -> Option<(Arc<dyn Provider>, KindSchema)> {
        let provider = self.pool.provider(provider)?.clone();
        let kinds = match mode {
            Mode::Managed => &provider.schema().resources,
            Mode::Data => &provider.schema().data,
            Mode::Ephemeral => &provider.schema().ephemeral,
        };
        let schema = kinds.get(kind)?.clone();
        Some((provider, schema))
    }

    /// Plans one managed instance and returns its planned value.
    async fn plan_instance(
        &mut self,
        address: &InstanceAddr,
        block: &Block,
        resource: &ResourceBlock,
        place: &Place,
    ) -> Value {
        let unknown =
            || Value::unknown_because(Type::Dynamic, [Cause::Node(Address::Instance(address.clone()))]);
        let Some(provider_addr) = self.provider_address(&address.resource.module, &resource.provider, place)
        else {
            return unknown();
        };
        let provider_state = self.provider_state(&provider_addr).await;
        let decided =
            self.decide_instance(address, block, resource, place, &provider_addr, &provider_state, false);
        let Some((change, _)) = decided else { return unknown() };
        let value = change.planned.clone().unwrap_or_else(unknown);
        self.changes.insert((address.clone(), None), change);
        value
    }

    /// Decides on one instance with what is known now; with the change comes the evaluated configuration. `None`: faults
    /// were reported. `as_new`: the object that is there does not count, it is on its way out.
    #[expect(clippy::too_many_arguments, reason = "the parts of a place; two call sites")]
    pub fn decide_instance(
        &mut self,
        address: &InstanceAddr,
        block: &Block,
        resource: &ResourceBlock,
        place: &Place,
        provider_addr: &ProviderAddr,
        provider_state: &ProviderState,
        as_new: bool,
    ) -> Option<(Change, Value)> {
        let kind = &resource.id.kind;
        let Some((provider, schema)) = self.schema_of(Mode::Managed, kind, &provider_addr.name) else {
            self.unknown_kind(resource);
            return None;
        };
        let config = self.evaluate_body(resource, &schema, place, address)?;
        self.validate(&*provider, Mode::Managed, kind, &config, resource, address)?;
        self.refuse_minted(&config, resource, address)?;
        let settings = self.lifecycle(resource, place, address)?;
        let object = self.state.at(address).filter(|_| !as_new).cloned();
        let prior = self.prior_of(object.as_ref());
        let mut force =
            self.forced_replacement(address, block, resource, object.as_ref(), &schema, provider_state);
        if prior.is_none() && object.is_some() {
            force = Some((Reason::Gone, None));
        }
        let provider_config = provider_state.config();
        let changes = &self.changes;
        let is_new = |cause: &Cause| match cause {
            Cause::Node(Address::Instance(i)) => {
                changes.get(&(i.clone(), None)).is_some_and(|c| c.action.creates())
            }
            Cause::Node(_) => false,
            Cause::Function(_) => true,
        };
        let decision = decide::decide(&decide::Input {
            provider: &*provider,
            schema: &schema,
            prior: prior.as_ref().map(|o| &o.0),
            prior_private: prior.as_ref().map(|o| &o.1),
            config: &config,
            provider_config: &provider_config,
            cause: Cause::Node(Address::Instance(address.clone())),
            ignore: &settings.ignore,
            is_new: &is_new,
            force_replace: force.is_some() && prior.is_some(),
        });
        let decision = match decision {
            Ok(decision) => decision,
            Err(error) => {
                let span = error.path.as_ref().map_or(resource.span, |p| body::span_of(&resource.body, p));
                self.report(&error, &Address::Instance(address.clone()), Some(span));
                return None;
            }
        };
        let change = self.change_of(
            address,
            resource,
            provider_addr,
            provider_state,
            object.as_ref(),
            prior,
            decision,
            force,
            settings,
            &schema,
        );
        Some((change, config))
    }

    #[expect(clippy::too_many_arguments, reason = "one call site: it gathers the parts of a change")]
    fn change_of(
        &self,
        address: &InstanceAddr,
        resource: &ResourceBlock,
        provider: &ProviderAddr,
        provider_state: &ProviderState,
        object: Option<&Object>,
        prior: Option<(Value, serde_json::Value)>,
        decision: Decision,
        force: Option<(Reason, Option<InstanceAddr>)>,
        settings: Settings,
        schema: &KindSchema,
    ) -> Change {
        let mut waits_for = match provider_state {
            ProviderState::Deferred { causes, .. } => causes.clone(),
            ProviderState::Ready { .. } | ProviderState::Failed => BTreeSet::new(),
        };
        if decision.action == ChangeAction::Update {
            waits_for.extend(
                decision
                    .planned
                    .causes()
                    .into_iter()
                    .filter(|c| !matches!(c, Cause::Node(Address::Instance(i)) if i == address)),
            );
        }
        let action = match decision.action {
            ChangeAction::Replace if settings.create_before_destroy => ChangeAction::ReplaceCreateFirst,
            other => other,
        };
        let (reason, dropped_with) = match force {
            Some((reason, dropped)) => (reason, dropped),
            None if decision.replace_paths.is_empty() => (Reason::Configuration, None),
            None => (Reason::CannotUpdate, None),
        };
        Change {
            address: address.clone(),
            object: object.map(|o| o.id.clone()),
            deposed: None,
            provider: provider.clone(),
            recipe: object.map(|o| o.recipe.clone()),
            action,
            reason,
            waits_for: if action == ChangeAction::NoOp { BTreeSet::new() } else { waits_for },
            external_effect: has_effect(schema, prior.as_ref().map(|p| &p.0)),
            prior: prior.map(|p| p.0),
            planned: Some(decision.planned),
            replace_paths: decision.replace_paths,
            sensitive_paths: Vec::new(),
            host: provider_state.host().cloned(),
            dropped_with,
            on_destroy: settings.on_destroy,
            prevent_destroy: settings.prevent_destroy,
            create_before_destroy: settings.create_before_destroy,
            timeouts: Some(settings.timeouts.unwrap_or(schema.timeouts)),
            span: Some(resource.span),
        }
    }

    /// The object as the world has it: attributes and private bytes; `None`: there is none.
    fn prior_of(&self, object: Option<&Object>) -> Option<(Value, serde_json::Value)> {
        let object = object?;
        match self.refreshed.get(&object.id) {
            Some(Refreshed::Present(read)) => Some((read.attributes.value().clone(), read.private.clone())),
            Some(Refreshed::Gone) => None,
            _ => Some((object.attributes.clone(), object.private.clone())),
        }
        .map(|(v, p)| {
            let marked = self
                .schema_of(Mode::Managed, &object.address.resource.kind, &object.provider.name)
                .map_or(v.clone(), |(_, s)| crate::values::apply_schema_marks(&v, &s.block));
            (marked, p)
        })
    }

    /// Why an instance must be replaced whatever its arguments, and the host that takes the old object along.
    fn forced_replacement(
        &self,
        address: &InstanceAddr,
        block: &Block,
        resource: &ResourceBlock,
        object: Option<&Object>,
        schema: &KindSchema,
        provider_state: &ProviderState,
    ) -> Option<(Reason, Option<InstanceAddr>)> {
        let object = object?;
        // Its host is replaced, or it moves to another one: the object on the old host does not move along.
        if let Some(host) = provider_state.host() {
            let change = self.changes.get(&(host.clone(), None));
            let renewed = change.is_some_and(|c| c.action.creates());
            let was_here = object.host.is_some() && change.and_then(|c| c.object.clone()) == object.host;
            if renewed && (was_here || object.host.is_some()) {
                return Some((Reason::Host(host.clone()), was_here.then(|| host.clone())));
            }
        }
        if let Some(attached) = &schema.attached_to
            && let Some(parent) = self.attached_parent(block, object, &attached.arg, &attached.to)
        {
            return Some((Reason::AttachedTo(parent), None));
        }
        if let Status::Tainted(why) = &object.status {
            return Some((Reason::Tainted(why.clone()), None));
        }
        if self.options.replace.contains(address) {
            return Some((Reason::Requested, None));
        }
        if let Some((was, now)) = self.other_world(object, provider_state) {
            return Some((Reason::OtherWorld { was, now }, None));
        }
        self.triggered(resource, &address.resource.module).map(|t| (Reason::TriggeredBy(t), None))
    }

    /// The replaced instance that this object's identity lies in.
    fn attached_parent(&self, block: &Block, object: &Object, arg: &str, to: &str) -> Option<InstanceAddr> {
        let reached = self.order.reach.get(block)?;
        let name = object.attributes.str_attr(arg);
        self.changes
            .values()
            .filter(|c| c.action.is_replace() && &*c.address.resource.kind == to)
            .filter(|c| reached.contains(&(c.address.resource.module.path(), id_of(&c.address.resource))))
            .find(|c| {
                let key = self
                    .schema_of(Mode::Managed, to, &c.provider.name)
                    .and_then(|(_, s)| s.natural_key.last().cloned());
                let old = key.and_then(|k| c.prior.as_ref().and_then(|p| p.str_attr(&k).map(str::to_string)));
                old.is_none() || name.is_none() || old.as_deref() == name
            })
            .map(|c| c.address.clone())
    }

    /// Whether the written configuration leads to another world than the object's.
    fn other_world(&self, object: &Object, provider_state: &ProviderState) -> Option<(String, String)> {
        let ProviderState::Ready { recipe, .. } = provider_state else { return None };
        if *recipe == object.recipe {
            return None;
        }
        let old = self.state.recipes.get(&object.recipe)?;
        let new = self.state.recipes.get(recipe)?;
        (old.world != new.world).then(|| (old.world.to_string(), new.world.to_string()))
    }

    fn triggered(&self, resource: &ResourceBlock, module: &ModuleAddr) -> Option<String> {
        let declared = self.eval.module(module)?;
        resource.lifecycle.replace_triggered_by.iter().find_map(|reference| {
            let targets::Target::Resource(id) = targets::target(declared, reference).ok()? else {
                return None;
            };
            let address = address_of(module, &id);
            let steps =
                &reference.steps[if id.mode == Mode::Managed { 1 } else { 2 }.min(reference.steps.len())..];
            let key =
                steps.iter().find_map(|s| if let RefStep::Index(k) = s { Some(k.clone()) } else { None });
            let attr =
                steps.iter().find_map(|s| if let RefStep::Attr(a) = s { Some(a.clone()) } else { None });
            let hit = self.changes.values().any(|c| {
                c.address.resource == address
                    && (key.is_none() || c.address.key == key)
                    && c.action != ChangeAction::NoOp
                    && attr.as_ref().is_none_or(|a| attr_changes(c, a))
            });
            hit.then(|| reference.to_string())
        })
    }

    fn evaluate_body(
        &mut self,
        resource: &ResourceBlock,
        schema: &KindSchema,
        place: &Place,
        address: &InstanceAddr,
    ) -> Option<Value> {
        let scope = crate::scope::Scope { eval: &self.eval, values: &self.values, place: place.clone() };
        let (value, diagnostics) = body::evaluate(&resource.body, &schema.block, &scope);
        let failed = diagnostics.has_errors();
        self.diagnostics.extend(diagnostics.into_iter().map(|d| d.address(address)));
        (!failed).then_some(value)
    }

    fn validate(
        &mut self,
        provider: &dyn Provider,
        mode: Mode,
        kind: &str,
        config: &Value,
        resource: &ResourceBlock,
        address: &InstanceAddr,
    ) -> Option<()> {
        let problems = provider.validate(mode, kind, config);
        let failed = !problems.is_empty();
        for problem in problems {
            let span = body::span_of(&resource.body, &problem.path);
            let mut diagnostic = Diagnostic::error("G1030", "Invalid argument")
                .detail(problem.message)
                .at(span, "")
                .address(address);
            diagnostic.help = problem.help;
            self.diagnostics.push(diagnostic);
        }
        (!failed).then_some(())
    }

    /// A minted value may not end where it would be stored.
    fn refuse_minted(
        &mut self,
        config: &Value,
        resource: &ResourceBlock,
        address: &InstanceAddr,
    ) -> Option<()> {
        let mut bad = None;
        config.walk_paths(&AttrPath::root(), &mut |path, v| {
            let marks = v.marks();
            if bad.is_none() && (marks.minted || marks.ephemeral) {
                bad = Some((path.clone(), marks.minted));
            }
        });
        let Some((path, minted)) = bad else { return Some(()) };
        let word = if minted { "minted" } else { "ephemeral" };
        self.diagnostics.push(
            Diagnostic::error("G1031", "A short-lived value would be stored")
                .detail(format!("{path} is {word}: it would be written to the state, where it must not be."))
                .help("Use it in a provider block or a write-only argument; it passes through locals and module variables.")
                .at(body::span_of(&resource.body, &path), word.to_string())
                .address(address),
        );
        None
    }

    fn unknown_kind(&mut self, resource: &ResourceBlock) {
        self.diagnostics.push(
            Diagnostic::error("G1032", "Unknown resource type")
                .detail(format!("The provider has no resource type {:?}.", resource.id.kind))
                .at(resource.span, ""),
        );
    }

    pub fn report(&mut self, error: &ProviderError, address: &Address, span: Option<groma_types::Span>) {
        let mut diagnostic = Diagnostic::error(code_of(error.kind), summary_of(error.kind))
            .detail(error.to_string())
            .address(address);
        diagnostic.help = error.help.clone();
        if let Some(span) = span {
            diagnostic = diagnostic.at(span, "");
        }
        self.diagnostics.push(diagnostic);
    }

    // ---- lifecycle ---------------------------------------------------------------------------------------------

    fn lifecycle(
        &mut self,
        resource: &ResourceBlock,
        place: &Place,
        address: &InstanceAddr,
    ) -> Option<Settings> {
        let lifecycle = &resource.lifecycle;
        let create_before_destroy = self.flag(lifecycle.create_before_destroy.as_ref(), place)?;
        let prevent_destroy = self.flag(lifecycle.prevent_destroy.as_ref(), place)?;
        let on_destroy = match &lifecycle.on_destroy {
            None => OnDestroy::Delete,
            Some(expr) => self.on_destroy(expr, place)?,
        };
        let ignore = match &lifecycle.ignore_changes {
            IgnoreChanges::None => Ignore::Nothing,
            IgnoreChanges::All => Ignore::All,
            IgnoreChanges::Paths(paths) => Ignore::Paths(paths.iter().map(attr_path).collect()),
        };
        let timeouts = self.timeouts(resource, place, address)?;
        Some(Settings { create_before_destroy, prevent_destroy, on_destroy, ignore, timeouts })
    }

    fn flag(&mut self, expr: Option<&Expr>, place: &Place) -> Option<bool> {
        let Some(expr) = expr else { return Some(false) };
        let (value, diagnostics) = self.eval.expr(&self.values, place, expr);
        let failed = diagnostics.has_errors();
        self.diagnostics.extend(diagnostics);
        if failed {
            return None;
        }
        let flag = groma_types::convert::convert(&value, &Type::Bool).ok().and_then(|v| v.as_bool());
        if flag.is_none() {
            self.diagnostics.push(
                Diagnostic::error("G1033", "Invalid lifecycle argument")
                    .detail("It must be true or false, known when the resource is planned.")
                    .at(expr.span(), ""),
            );
        }
        flag
    }

    fn on_destroy(&mut self, expr: &Expr, place: &Place) -> Option<OnDestroy> {
        let (value, diagnostics) = self.eval.expr(&self.values, place, expr);
        self.diagnostics.extend(diagnostics);
        match value.as_str() {
            Some("delete") => Some(OnDestroy::Delete),
            Some("keep") => Some(OnDestroy::Keep),
            Some("forbid") => Some(OnDestroy::Forbid),
            _ => {
                self.diagnostics.push(
                    Diagnostic::error("G1033", "Invalid lifecycle argument")
                        .detail("`on_destroy` must be delete, keep or forbid.")
                        .at(expr.span(), ""),
                );
                None
            }
        }
    }

    fn timeouts(
        &mut self,
        resource: &ResourceBlock,
        place: &Place,
        address: &InstanceAddr,
    ) -> Option<Option<Timeouts>> {
        if resource.timeouts.is_empty() {
            return Some(None);
        }
        let provider = resource.provider.name.clone();
        let schema = self.schema_of(Mode::Managed, &resource.id.kind, &provider).map(|(_, s)| s.timeouts);
        let mut timeouts = schema.unwrap_or(Timeouts::minutes(10, 10, 10));
        for (operation, expr) in &resource.timeouts {
            let (value, diagnostics) = self.eval.expr(&self.values, place, expr);
            self.diagnostics.extend(diagnostics);
            let Some(duration) = value.as_str().and_then(parse_duration) else {
                self.diagnostics.push(
                    Diagnostic::error("G1034", "Invalid time-out")
                        .detail("A time-out is a text such as \"30m\" or \"1h30m\".")
                        .at(expr.span(), "")
                        .address(address),
                );
                return None;
            };
            match &**operation {
                "create" => timeouts.create = duration,
                "update" => timeouts.update = duration,
                "delete" => timeouts.delete = duration,
                "read" => timeouts.read = duration,
                _ => {}
            }
        }
        Some(Some(timeouts))
    }

    // ---- data sources ------------------------------------------------------------------------------------------

    /// Plans a data source: gives its value now, or queues it to be read, or defers it.
    async fn plan_data(
        &mut self,
        address: &InstanceAddr,
        block: &Block,
        resource: &ResourceBlock,
        place: &Place,
        reads: &mut Vec<PendingRead>,
    ) -> Value {
        let cause = Cause::Node(Address::Instance(address.clone()));
        let failed = Value::unknown_because(Type::Dynamic, [cause.clone()]);
        let Some(provider_addr) = self.provider_address(&address.resource.module, &resource.provider, place)
        else {
            return failed;
        };
        let provider_state = self.provider_state(&provider_addr).await;
        let Some((provider, schema)) = self.schema_of(Mode::Data, &resource.id.kind, &provider_addr.name)
        else {
            self.unknown_kind(resource);
            return failed;
        };
        let Some(config) = self.evaluate_body(resource, &schema, place, address) else { return failed };
        if self.validate(&*provider, Mode::Data, &resource.id.kind, &config, resource, address).is_none() {
            return failed;
        }
        if schema.minter {
            self.reads.remove(address);
            return minted_value(&schema, &config, &provider_addr, &cause);
        }
        let mut waits_for = config.causes();
        waits_for.extend(self.pending_dependencies(block));
        let recipe = match &provider_state {
            ProviderState::Ready { recipe, .. } => Some(recipe.clone()),
            ProviderState::Deferred { causes, .. } => {
                waits_for.extend(causes.iter().cloned());
                None
            }
            ProviderState::Failed => return failed,
        };
        match recipe {
            Some(recipe) if waits_for.is_empty() => {
                self.reads.remove(address);
                let allow_missing = self.allows_missing(resource, place);
                reads.push(PendingRead {
                    address: address.clone(),
                    recipe,
                    config,
                    allow_missing,
                    span: resource.span,
                });
                failed
            }
            _ => {
                let value = deferred_data(&schema, &config, &waits_for, &cause);
                self.reads.insert(address.clone(), DeferredRead { address: address.clone(), waits_for });
                value
            }
        }
    }

    fn allows_missing(&mut self, resource: &ResourceBlock, place: &Place) -> bool {
        let Some(expr) = &resource.lifecycle.on_missing else { return false };
        self.eval.expr(&self.values, place, expr).0.as_str() == Some("allow")
    }

    /// Instances that a block depends on and that have a pending change.
    fn pending_dependencies(&self, block: &Block) -> BTreeSet<Cause> {
        let Some(reached) = self.order.reach.get(block) else { return BTreeSet::new() };
        let changes = self.changes.values().filter(|c| {
            c.action != ChangeAction::NoOp
                && reached.contains(&(c.address.resource.module.path(), id_of(&c.address.resource)))
        });
        changes.map(|c| Cause::Node(Address::Instance(c.address.clone()))).collect()
    }

    async fn read_all(&mut self, reads: Vec<PendingRead>) {
        let pool = self.pool.clone();
        let futures = reads.into_iter().map(|read| {
            let pool = pool.clone();
            async move {
                let answer = read_data(&pool, &read).await;
                (read, answer)
            }
        });
        let answers = futures::future::join_all(futures).await;
        for (read, answer) in answers {
            self.take_read(&read, answer);
        }
    }

    /// Takes what a data source gave.
    pub fn take_read(&mut self, read: &PendingRead, answer: Result<Option<Value>, ProviderError>) {
        match answer {
            Ok(Some(value)) => self.data_value(&read.address, value),
            Ok(None) if read.allow_missing => self.data_value(&read.address, Value::NULL),
            Ok(None) => self.diagnostics.push(
                Diagnostic::error("G1040", "Nothing found")
                    .detail(format!("{} found nothing with these arguments.", read.address))
                    .help("Check the arguments; `lifecycle: {on_missing: allow}` makes it null instead.")
                    .at(read.span, "")
                    .address(&read.address),
            ),
            Err(error) => self.report(&error, &Address::Instance(read.address.clone()), Some(read.span)),
        }
    }

    fn data_value(&mut self, address: &InstanceAddr, value: Value) {
        let schema = self.schema_of_address(address);
        let value = schema.map_or(value.clone(), |s| crate::values::apply_schema_marks(&value, &s.block));
        self.values.set_instance(&address.resource, address.key.clone(), value);
    }

    fn schema_of_address(&self, address: &InstanceAddr) -> Option<KindSchema> {
        self.host.registry.providers.values().find_map(|p| match address.resource.mode {
            Mode::Managed => p.schema().resources.get(&address.resource.kind).cloned(),
            Mode::Data => p.schema().data.get(&address.resource.kind).cloned(),
            Mode::Ephemeral => p.schema().ephemeral.get(&address.resource.kind).cloned(),
        })
    }

    /// Prepares a deferred data source, during an apply, when all it needs is known; no read: its value is there.
    pub async fn late_read(&mut self, address: &InstanceAddr) -> Vec<PendingRead> {
        let block = block_of(&address.resource);
        let config = self.config();
        let resource = config.modules.get(&block.0).and_then(|m| m.resources.get(&block.1));
        let keys = self.values.block(&address.resource).map(|b| b.keys.clone());
        let (Some(resource), Some(keys)) = (resource, keys) else { return Vec::new() };
        let place = Place::instance(address.resource.module.clone(), address.key.clone(), &keys);
        let mut reads = Vec::new();
        let value = self.plan_data(address, &block, resource, &place, &mut reads).await;
        self.values.set_instance(&address.resource, address.key.clone(), value);
        reads
    }

    pub fn finish_plan(&self, plan: &mut Plan) {
        plan.changes = self.changes.values().cloned().collect();
        plan.expansions = self.expansions.values().cloned().collect();
        plan.reads = self.reads.values().cloned().collect();
        plan.providers = self
            .providers
            .iter()
            .map(|(address, state)| ProviderPlan {
                address: address.clone(),
                waits_for: match state {
                    ProviderState::Deferred { causes, .. } => causes.clone(),
                    ProviderState::Ready { .. } | ProviderState::Failed => BTreeSet::new(),
                },
                host: state.host().cloned(),
            })
            .collect();
    }
}

/// Evaluated lifecycle arguments.
pub struct Settings {
    create_before_destroy: bool,
    prevent_destroy: bool,
    on_destroy: OnDestroy,
    ignore: Ignore,
    timeouts: Option<Timeouts>,
}

pub async fn read_data(pool: &Arc<Pool>, read: &PendingRead) -> Result<Option<Value>, ProviderError> {
    let config = read
        .config
        .clone()
        .resolve()
        .map_err(|u| ProviderError::new(ErrorKind::Bug, format!("argument {} is not known", u.path)))?;
    pool.get(&read.recipe).await?.read_data(&read.address.resource.kind, config).await
}

pub fn address_of(module: &ModuleAddr, id: &BlockId) -> ResourceAddr {
    ResourceAddr { module: module.clone(), mode: id.mode, kind: id.kind.clone(), name: id.name.clone() }
}

pub fn id_of(address: &ResourceAddr) -> BlockId {
    BlockId { mode: address.mode, kind: address.kind.clone(), name: address.name.clone() }
}

pub fn block_of(address: &ResourceAddr) -> Block {
    (address.module.path(), id_of(address))
}

pub fn prefix(module: &ModuleAddr, steps: usize) -> ModuleAddr {
    ModuleAddr(module.0[..steps.min(module.0.len())].into())
}

/// Whether two module instances agree in the keys of the calls that they share.
pub fn shares_keys(a: &ModuleAddr, b: &ModuleAddr) -> bool {
    a.0.iter().zip(b.0.iter()).take_while(|(x, y)| x.name == y.name).all(|(x, y)| x.key == y.key)
}

/// The value of a provider block that is not written: everything from the environment.
fn nothing_written(block: &groma_types::schema::Block) -> Value {
    let attrs = block.attrs.iter().map(|(k, a)| {
        let value = a.default.clone().unwrap_or_else(|| Value::null(a.ty.clone()));
        (k.clone(), value)
    });
    let blocks = block.blocks.iter().map(|(k, b)| {
        let value = match b.ty() {
            Type::List(e) => Value::list((*e).clone(), Vec::new()),
            Type::Set(e) => Value::set((*e).clone(), Vec::new()),
            Type::Map(e) => Value::map::<Arc<str>>((*e).clone(), []),
            other => Value::null(other),
        };
        (k.clone(), value)
    });
    Value::object(attrs.chain(blocks).collect::<Vec<_>>())
}

/// Compares the world of a recipe with the one that its configuration leads to today.
///
/// # Errors
/// They differ: other credentials or another region than those that made the objects.
pub fn check_world(made: &World, now: &World) -> Result<(), ProviderError> {
    if made.0.is_empty() || made == now {
        return Ok(());
    }
    let text = format!("its objects were made in {made}, these credentials are for {now}");
    Err(ProviderError::new(ErrorKind::Denied, text).help(
        "Use the credentials (and region) that made the objects; nothing was read or changed with these.",
    ))
}

/// What an unresolved configuration waits for; `None`: it can be used now.
fn unresolved_causes(config: &Value) -> Option<BTreeSet<Cause>> {
    let mut causes = BTreeSet::new();
    let mut waits = false;
    config.walk(&mut |v| {
        if let Some(u) = v.as_unknown()
            && u.residual.is_none()
        {
            waits = true;
            causes.extend(u.causes.iter().cloned());
        }
    });
    waits.then_some(causes)
}

fn attr_changes(change: &Change, attr: &str) -> bool {
    match (&change.prior, &change.planned) {
        (Some(prior), Some(planned)) => {
            let empty = Value::NULL;
            let old = prior.get(attr).unwrap_or(&empty);
            !decide::differences(old, planned.get(attr).unwrap_or(&empty)).is_empty()
        }
        _ => true,
    }
}

fn attr_path(reference: &Reference) -> AttrPath {
    let first = Step::Attr(reference.root.clone());
    let rest = reference.steps.iter().map(|s| match s {
        RefStep::Attr(name) => Step::Attr(name.clone()),
        RefStep::Index(InstanceKey::Int(i)) => Step::Index(usize::try_from(*i).unwrap_or(usize::MAX)),
        RefStep::Index(InstanceKey::Str(k)) => Step::Key(k.clone()),
    });
    AttrPath([first].into_iter().chain(rest).collect())
}

/// The value of a minter: its arguments, and minted strings for the rest.
fn minted_value(schema: &KindSchema, config: &Value, provider: &ProviderAddr, cause: &Cause) -> Value {
    let is_ready = config.is_wholly_known();
    let attrs = schema.block.attrs.iter().map(|(name, attribute)| {
        let written = config.get(name).cloned().filter(|v| !v.is_null());
        if let Some(written) = written {
            return (name.clone(), written);
        }
        if !attribute.is_computed() {
            return (name.clone(), Value::null(attribute.ty.clone()));
        }
        let mut causes = config.causes();
        causes.insert(cause.clone());
        let residual = is_ready.then(|| {
            let mint = Mint { kind: schema.kind.clone(), provider: provider.clone(), args: config.clone() };
            Arc::new(Residual::Mint(mint, AttrPath::root().attr(name)))
        });
        let refine = Refinements { not_null: true, ..Refinements::default() };
        let unknown = Unknown { ty: attribute.ty.clone(), refine, causes, residual };
        let marks =
            if attribute.sensitive { Marks::MINTED } else { Marks { sensitive: false, ..Marks::MINTED } };
        (name.clone(), Value::from(unknown).mark(marks))
    });
    Value::object(attrs.collect::<Vec<_>>())
}

/// The value of a data source that can't be read yet.
fn deferred_data(schema: &KindSchema, config: &Value, waits_for: &BTreeSet<Cause>, cause: &Cause) -> Value {
    let attrs = schema.block.ty();
    let Type::Object(object) = &attrs else { return Value::unknown(attrs) };
    let pairs = object.attrs.iter().map(|(name, ty)| {
        let written = config.get(name).cloned().filter(|v| !v.is_null());
        let mut causes = waits_for.clone();
        causes.insert(cause.clone());
        (name.clone(), written.unwrap_or_else(|| Value::unknown_because(ty.clone(), causes)))
    });
    Value::object(pairs.collect::<Vec<_>>())
}

/// Whether this object has effects outside of its host.
pub fn has_effect(schema: &KindSchema, attributes: Option<&Value>) -> bool {
    use groma_types::schema::Relation;
    schema.relations.iter().any(|r| match r {
        Relation::ExternalEffect { when: None } => true,
        Relation::ExternalEffect { when: Some((path, wanted)) } => {
            attributes.is_some_and(|v| dotted(v, path).as_deref() == Some(&**wanted))
        }
        _ => false,
    })
}

/// The string at a dotted path; lists of one are looked through.
pub fn dotted(value: &Value, path: &str) -> Option<String> {
    let found = path.split('.').try_fold(value.clone(), |v, name| {
        let v = match v.as_seq() {
            Some(items) => items.first()?.clone(),
            None => v,
        };
        v.get(name).cloned()
    })?;
    match found.kind() {
        groma_types::ValueKind::String(s) => Some(s.to_string()),
        groma_types::ValueKind::Number(n) => Some(n.to_string()),
        groma_types::ValueKind::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

/// Reads a duration such as `1h30m`.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit_end] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    (!text.is_empty() && seconds.is_finite()).then(|| std::time::Duration::from_secs_f64(seconds))
}

pub fn code_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "G1101",
        ErrorKind::Denied => "G1102",
        ErrorKind::Unreachable => "G1103",
        ErrorKind::Throttled => "G1104",
        ErrorKind::Conflict => "G1105",
        ErrorKind::Invalid => "G1106",
        ErrorKind::Quota => "G1107",
        ErrorKind::Unavailable => "G1108",
        ErrorKind::Ambiguous => "G1109",
        ErrorKind::Unconverged => "G1110",
        ErrorKind::Tainted => "G1111",
        ErrorKind::TimedOut => "G1112",
        ErrorKind::Interrupted => "G1113",
        ErrorKind::Bug => "G1199",
    }
}

pub fn summary_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "The API did not find it",
        ErrorKind::Denied => "The API denied it",
        ErrorKind::Unreachable => "The API can't be reached",
        ErrorKind::Throttled => "The API throttles",
        ErrorKind::Conflict => "It collides with another object or change",
        ErrorKind::Invalid => "The arguments are refused",
        ErrorKind::Quota => "A quota is used up",
        ErrorKind::Unavailable => "The API is ill",
        ErrorKind::Ambiguous => "The answer was lost",
        ErrorKind::Unconverged => "It exists but did not become ready",
        ErrorKind::Tainted => "It exists but can only be replaced",
        ErrorKind::TimedOut => "It did not become ready in time",
        ErrorKind::Interrupted => "Stopped while waiting",
        ErrorKind::Bug => "The provider broke its rules",
    }
}
