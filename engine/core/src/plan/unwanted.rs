//! What is not wanted any more: removals, destroys, deposed objects, and what protects an object.

use super::whole::names;
use crate::config::{ModulePath, Named, Removed};
use crate::plan::planner::{Planner, block_of, has_effect, id_of};
use crate::plan::{Change, ChangeAction, Reason};
use crate::refresh::Refreshed;
use crate::scope::Place;
use crate::state::{Object, ObjectId, OnDestroy, Status};
use groma_types::{Causes, InstanceAddr, Mode, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Planner {
    pub(super) fn destroy_all(&mut self) {
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
    pub(super) fn stays_at_destroy(&self) -> BTreeSet<ObjectId> {
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

    pub(super) fn remove_unwanted(&mut self) {
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
    pub(super) fn is_in_deferred_module(&self, address: &InstanceAddr) -> bool {
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
        self.changes.insert((address.clone(), None), Arc::new(change));
    }

    /// The `removed` block that names an address. Where two do, one that keeps the object wins.
    pub fn removed_block(&self, address: &InstanceAddr) -> Option<Removed> {
        let config = self.config();
        let block = block_of(&address.resource);
        let (path, id) = &*block;
        let names = |base: &ModulePath, from: &Named| match from {
            Named::Module(module) => {
                path.strip_prefix(base.as_slice()).is_some_and(|rest| rest.starts_with(&module.path()))
            }
            Named::Resource(from) => {
                let inside = path.strip_prefix(base.as_slice());
                inside == Some(from.resource.module.path().as_slice()) && id_of(&from.resource) == *id
            }
        };
        let all = config.modules.iter().flat_map(|(base, m)| m.removed.iter().map(move |r| (base, r)));
        let found = all.filter(|(base, removed)| names(base, &removed.from)).map(|(_, removed)| removed);
        found.min_by_key(|removed| removed.destroy).cloned()
    }

    pub(super) fn removal(&mut self, object: &Object, reason: Reason) -> Change {
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
            import: None,
            object: Some(object.id.clone()),
            deposed: None,
            provider: object.provider.clone(),
            recipe: Some(object.recipe.clone()),
            action,
            reason: if is_gone { Reason::Gone } else { reason },
            waits_for: Causes::new(),
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
    pub(super) fn protection(&mut self, object: &Object) -> (bool, OnDestroy, Option<groma_types::Span>) {
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
    pub(super) fn deposed(&mut self) {
        let deposed: Vec<Object> =
            self.state.objects.values().filter(|o| matches!(o.status, Status::Deposed(_))).cloned().collect();
        for object in deposed {
            let Status::Deposed(key) = &object.status else { continue };
            if self.left_out.contains(&block_of(&object.address.resource)) {
                continue;
            }
            let change = Change { deposed: Some(key.clone()), ..self.removal(&object, Reason::Deposed) };
            self.changes.insert((object.address.clone(), Some(key.clone())), Arc::new(change));
        }
    }
}
