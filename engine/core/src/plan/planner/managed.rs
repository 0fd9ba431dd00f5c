//! Managed instances: evaluation, what forces a replacement, the decision.

use super::super::decide::{self, Decision};
use super::super::{Change, ChangeAction, Import, Reason};
use super::imports::Importing;
use super::lifecycle::Settings;
use super::parts;
use super::{Kind, Planner, ProviderState, address_of, block_of, code_of, dotted, summary_of};
use crate::config::{ResourceBlock, body, targets};
use crate::graph::order::Block;
use crate::refresh::Refreshed;
use crate::scope::Place;
use crate::state::{Object, Status};
use groma_lang::expr::{Expr, RefStep};
use groma_provider::{Provider, ProviderError};
use groma_types::schema::{self, KindSchema};
use groma_types::value::{Cause, Causes};
use groma_types::{
    Address, AttrPath, Diagnostic, InstanceAddr, InstanceKey, Mode, ProviderAddr, Type, Value, ValueKind,
};
use std::sync::Arc;

/// Whether an earlier run made or changed it and did not see it ready.
fn is_unfinished(object: &Object) -> bool {
    matches!(object.status, Status::Unconverged(_) | Status::Waiting)
}

/// An unfinished object as it will be: what its creation's plan does not know is not known before it is ready, but for
/// plain values that it has already (its identity among them).
fn still_coming(now: &Value, created: &Value) -> Value {
    let is_plain = matches!(now.kind(), ValueKind::Bool(_) | ValueKind::Number(_) | ValueKind::String(_));
    let merged = match (now.kind(), created.kind()) {
        (_, ValueKind::Unknown(_)) if !is_plain => created.clone(),
        (ValueKind::Object(a), ValueKind::Object(b)) => {
            let field = |(k, v): (&Arc<str>, &Value)| {
                (k.clone(), b.get(k).map_or_else(|| v.clone(), |c| still_coming(v, c)))
            };
            Value::object(a.iter().map(field).collect::<Vec<_>>())
        }
        (ValueKind::List(ty, a), ValueKind::List(_, b)) if a.len() == b.len() => {
            Value::list(ty.clone(), a.iter().zip(b.iter()).map(|(v, c)| still_coming(v, c)).collect())
        }
        (ValueKind::Tuple(a), ValueKind::Tuple(b)) if a.len() == b.len() => {
            Value::tuple(a.iter().zip(b.iter()).map(|(v, c)| still_coming(v, c)).collect())
        }
        _ => return now.clone(),
    };
    merged.mark(now.marks())
}

impl Planner {
    pub fn schema_of(&self, mode: Mode, kind: &str, provider: &str) -> Option<(Arc<dyn Provider>, Kind)> {
        let provider = self.pool.provider(provider)?.clone();
        let schema = Kind::find(&provider, mode, kind)?;
        Some((provider, schema))
    }

    /// Plans one managed instance and returns its planned value.
    pub(super) async fn plan_instance(
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
        self.hand_over(address, &provider_addr, &provider_state);
        let importing = self.import(address, &provider_addr, &provider_state).await;
        if matches!(importing, Importing::Failed) {
            return unknown();
        }
        let decided =
            self.decide_instance(address, block, resource, place, &provider_addr, &provider_state, false);
        let Some((mut change, config)) = decided else { return unknown() };
        if let Importing::Deferred(causes) = importing {
            // What it is like, and whether it must be changed, is known when it is read.
            change.action = ChangeAction::NoOp;
            change.waits_for.extend(causes);
        }
        let value = change.planned.clone().unwrap_or_else(unknown);
        // Reported where it fails; the change itself is not lost by it.
        let _ = self.postconditions(address, &value);
        let rehearses = self.pool.provider(&provider_addr.name).is_some_and(|p| p.rehearses());
        if rehearses && change.action != ChangeAction::NoOp {
            self.written.insert(address.clone(), config);
        }
        self.changes.insert((address.clone(), None), Arc::new(change));
        value
    }

    /// An object that came from another kind is its new provider's from here on.
    fn hand_over(&mut self, address: &InstanceAddr, provider: &ProviderAddr, state: &ProviderState) {
        let ProviderState::Ready { recipe, .. } = state else { return };
        let Some(object) = self.state.at(address).filter(|o| self.adopted.contains_key(&o.id)) else {
            return;
        };
        let new = Object { provider: provider.clone(), recipe: recipe.clone(), ..object.clone() };
        self.state.objects.insert(new.id.clone(), new);
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
        self.preconditions(resource, place, address)?;
        let config = self.evaluate_body(resource, &schema, place, address)?;
        let config = parts::arguments(&schema, config, place);
        let schema = schema.of_instance();
        self.validate(&*provider, Mode::Managed, kind, &config, resource, address)?;
        self.refuse_short_lived(&config, resource, &schema.block, address)?;
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
        let mut input = decide::Input {
            provider: &*provider,
            schema: &schema,
            prior: prior.as_ref().map(|o| &o.0),
            prior_private: prior.as_ref().map(|o| &o.1),
            config: &config,
            provider_config: &provider_config,
            cause: Causes::from([Cause::Node(Address::Instance(address.clone()))]),
            ignore: &settings.ignore,
            is_new: &is_new,
            force_replace: force.is_some() && prior.is_some(),
        };
        let decision = decide::decide(&input);
        let decision = match decision {
            Ok(decision) => decision,
            Err(error) => {
                let span = error.path.as_ref().map_or(resource.span, |p| body::span_of(&resource.body, p));
                self.report(&error, &Address::Instance(address.clone()), Some(span));
                return None;
            }
        };
        // What an unfinished object has not got yet is not known, as in the plan of its creation.
        let is_unfinished = object.as_ref().is_some_and(is_unfinished)
            && matches!(decision.action, ChangeAction::NoOp | ChangeAction::Update);
        let unfinished = is_unfinished.then(|| {
            (input.prior, input.prior_private) = (None, None);
            decide::decide(&input).ok().map(|d| d.planned)
        });
        let unfinished = unfinished.flatten();
        let mut change = self.change_of(
            address,
            resource,
            provider_addr,
            provider_state,
            object.as_ref(),
            prior,
            decision,
            force,
            &settings,
            &schema,
        );
        if let Some(unfinished) = unfinished {
            change.planned = change.planned.map(|now| still_coming(&now, &unfinished));
            if change.action == ChangeAction::NoOp {
                // It has what was asked for, but nobody has seen it ready.
                change.action = ChangeAction::Update;
                change.reason = Reason::Resume;
            }
        }
        self.plan_provisioners(address, resource, &change)?;
        Some((change, config))
    }

    #[expect(clippy::too_many_arguments, reason = "one call site: it gathers the parts of a change")]
    pub(super) fn change_of(
        &self,
        address: &InstanceAddr,
        resource: &ResourceBlock,
        provider: &ProviderAddr,
        provider_state: &ProviderState,
        object: Option<&Object>,
        prior: Option<(Value, serde_json::Value)>,
        decision: Decision,
        force: Option<(Reason, Option<InstanceAddr>)>,
        settings: &Settings,
        schema: &KindSchema,
    ) -> Change {
        let mut waits_for = match provider_state {
            ProviderState::Deferred { causes, .. } => causes.clone(),
            ProviderState::Ready { .. } | ProviderState::Failed => Causes::new(),
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
            import: self.imported.get(address).map(|id| Import { id: id.clone() }),
            object: object.map(|o| o.id.clone()),
            deposed: None,
            provider: provider.clone(),
            recipe: object.map(|o| o.recipe.clone()),
            action,
            reason,
            waits_for: if action == ChangeAction::NoOp { Causes::new() } else { waits_for },
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
    pub(super) fn prior_of(&self, object: Option<&Object>) -> Option<(Value, serde_json::Value)> {
        let object = object?;
        match self.refreshed.get(&object.id) {
            Some(Refreshed::Present(read)) => Some((read.attributes.value().clone(), read.private.clone())),
            Some(Refreshed::Gone) => None,
            _ => Some((object.attributes.clone(), object.private.clone())),
        }
        .map(|(v, p)| {
            let marked = self
                .schema_of(Mode::Managed, &object.address.resource.kind, &object.provider.name)
                .map_or(v.clone(), |(_, s)| crate::values::apply_schema(&v, &s.block));
            (marked, p)
        })
    }

    /// Why an instance must be replaced whatever its arguments, and the host that takes the old object along.
    pub(super) fn forced_replacement(
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
        self.triggered(resource, address).map(|t| (Reason::TriggeredBy(t), None))
    }

    /// The replaced instance that this object's identity lies in.
    pub(super) fn attached_parent(
        &self,
        block: &Block,
        object: &Object,
        arg: &str,
        to: &str,
    ) -> Option<InstanceAddr> {
        let reached = self.order.reach.get(block)?;
        let name = object.attributes.str_attr(arg);
        self.changes
            .values()
            .filter(|c| c.action.is_replace() && &*c.address.resource.kind == to)
            .filter(|c| reached.contains(&block_of(&c.address.resource)))
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
    pub(super) fn other_world(
        &self,
        object: &Object,
        provider_state: &ProviderState,
    ) -> Option<(String, String)> {
        let ProviderState::Ready { recipe, .. } = provider_state else { return None };
        if *recipe == object.recipe {
            return None;
        }
        let old = self.state.recipes.get(&object.recipe)?;
        let new = self.state.recipes.get(recipe)?;
        (old.world != new.world).then(|| (old.world.to_string(), new.world.to_string()))
    }

    pub(super) fn triggered(&self, resource: &ResourceBlock, of: &InstanceAddr) -> Option<String> {
        let module = &of.resource.module;
        let declared = self.eval.module(module)?;
        let place = Place { module: module.clone(), key: of.key.clone(), ..Place::default() };
        let mut key_of = |expr: &Expr| match self.eval.expr(&self.values, &place, expr).0.kind() {
            ValueKind::String(key) => Some(InstanceKey::Str(key.clone())),
            ValueKind::Number(index) => index.to_u64().map(InstanceKey::Int),
            _ => None,
        };
        resource.lifecycle.replace_triggered_by.iter().find_map(|expr| {
            let reference = &expr.traversal_with(&mut key_of)?;
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

    pub(super) fn evaluate_body(
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

    pub(super) fn validate(
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

    /// A minted or ephemeral value may not end where it would be stored: anywhere but in a write-only argument.
    pub(super) fn refuse_short_lived(
        &mut self,
        config: &Value,
        resource: &ResourceBlock,
        schema: &schema::Block,
        address: &InstanceAddr,
    ) -> Option<()> {
        let mut bad = None;
        config.walk_paths(&AttrPath::root(), &mut |path, v| {
            let marks = v.marks();
            if bad.is_none() && (marks.minted || marks.ephemeral) && !is_write_only(schema, path) {
                bad = Some((path.clone(), marks.minted));
            }
        });
        let Some((path, minted)) = bad else { return Some(()) };
        let word = if minted { "minted" } else { "ephemeral" };
        let stored = match resource.id.mode {
            Mode::Data => "what a data source is asked for is kept in saved plans",
            _ => "it would be written to the state, where it must not be",
        };
        self.diagnostics.push(
            Diagnostic::error("G1031", "A short-lived value would be stored")
                .detail(format!("{path} is {word}: {stored}."))
                .help("Such values go to provider blocks, write-only arguments, ephemeral resources and provisioners; they pass through locals, and through variables and outputs of modules that are declared ephemeral.")
                .at(body::span_of(&resource.body, &path), word.to_string())
                .address(address),
        );
        None
    }

    pub(super) fn unknown_kind(&mut self, resource: &ResourceBlock) {
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
}

/// Whether a place is in a write-only argument.
fn is_write_only(schema: &schema::Block, path: &AttrPath) -> bool {
    let mut block = schema;
    for name in path.schema_path() {
        match (block.attrs.get(name), block.blocks.get(name)) {
            (Some(attribute), _) => return attribute.write_only,
            (None, Some(nested)) => block = &nested.block,
            (None, None) => return false,
        }
    }
    false
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
