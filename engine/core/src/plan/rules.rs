//! The rules between changes: drops with a host, create_before_destroy, equal names, protection.

use crate::config::inputs::{self, Verdict};
use crate::graph::build;
use crate::graph::order::Block;
use crate::plan::planner::{self, ChangeKey, Planner, block_of};
use crate::plan::{Change, ChangeAction, Reason};
use crate::scope::Place;
use crate::state::{ObjectId, OnDestroy};
use groma_types::schema::Relation;
use groma_types::{Diagnostic, InstanceAddr, Mode, ModuleAddr, ResourceAddr, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Workloads of a host, by the value of an attribute, that hold an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    host: ObjectId,
    same: Arc<str>,
    value: String,
}

impl Planner {
    pub(super) fn rules(&mut self) {
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
        let claims = self.claims();
        let is_kept = |c: &Change| c.external_effect || claims.iter().any(|claim| self.holds(c, claim));
        // The change's own host, where it goes too and takes it along.
        let taken_with = |c: &Change| {
            let host = self.state.objects.get(c.object.as_ref()?)?.host.as_ref()?;
            (c.action == ChangeAction::Delete).then(|| going.get(host).cloned())?
        };
        let mut turned: Vec<Change> = Vec::new();
        for change in self.changes.values() {
            if is_kept(change) {
                if change.dropped_with.is_some() {
                    turned.push(Change { dropped_with: None, ..Change::clone(change) });
                }
            } else if let Some(host) = taken_with(change) {
                let dropped_with = Some(host);
                turned.push(Change { action: ChangeAction::Drop, dropped_with, ..Change::clone(change) });
            }
        }
        self.replace_changes(turned);
    }

    fn replace_changes(&mut self, changes: Vec<Change>) {
        let keyed = changes.into_iter().map(|c| ((c.address.clone(), c.deposed.clone()), Arc::new(c)));
        self.changes.extend(keyed);
    }

    fn claims(&self) -> BTreeSet<Claim> {
        let going = self.changes.values().filter(|c| c.external_effect && c.action.deletes());
        going.filter_map(|c| self.claim_of(c)).collect()
    }

    /// What must be gone before an object can go, if it is held.
    pub fn claim_of(&self, change: &Change) -> Option<Claim> {
        let same = self.relations(change).find_map(|r| match r {
            Relation::HeldByWorkloads { same } => Some(same),
            _ => None,
        })?;
        let host = self.state.objects.get(change.object.as_ref()?)?.host.clone()?;
        let value = planner::dotted(change.prior.as_ref()?, &same)?;
        Some(Claim { host, same, value })
    }

    /// Whether an object may hold what a claim is about.
    pub fn holds(&self, change: &Change, claim: &Claim) -> bool {
        let object = change.object.as_ref().and_then(|id| self.state.objects.get(id));
        object.is_some_and(|o| o.host.as_ref() == Some(&claim.host))
            && self.relations(change).any(|r| r == Relation::NeedsCapacity)
            && change.prior.as_ref().and_then(|v| planner::dotted(v, &claim.same)).as_ref()
                == Some(&claim.value)
    }

    fn relations(&self, change: &Change) -> impl Iterator<Item = Relation> + use<> {
        let found = self.schema_of(Mode::Managed, &change.address.resource.kind, &change.provider.name);
        found.map(|(_, schema)| schema.relations.clone()).unwrap_or_default().into_iter()
    }

    /// Rule 3 and 6: create_before_destroy is contagious to what an object depends on and to what lives on it.
    /// Turned are those that `may_turn` lets: during an apply, what has not been ordered yet.
    pub fn spread_create_first(&mut self, may_turn: &dyn Fn(&InstanceAddr) -> bool) {
        let is_first = |c: &&Arc<Change>| c.action == ChangeAction::ReplaceCreateFirst;
        let mut first: Vec<Arc<Change>> = self.changes.values().filter(is_first).cloned().collect();
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
            let turns = |other: &&Arc<Change>| {
                let module = &other.address.resource.module;
                let users = before.get(&block_of(&other.address.resource));
                let is_before = users.is_some_and(|u| u.iter().any(|m| planner::shares_keys(module, m)));
                let was_before = other.object.as_ref().is_some_and(|o| recorded.contains(o));
                let lives_on = matches!(&other.reason, Reason::Host(host) if hosts.contains(host));
                other.action == ChangeAction::Replace
                    && may_turn(&other.address)
                    && (is_before || was_before || lives_on)
            };
            let turned = self.changes.values().filter(turns).map(|c| Change {
                action: ChangeAction::ReplaceCreateFirst,
                create_before_destroy: true,
                ..Change::clone(c)
            });
            let turned: Vec<Change> = turned.collect();
            let keys: Vec<ChangeKey> =
                turned.iter().map(|c| (c.address.clone(), c.deposed.clone())).collect();
            self.replace_changes(turned);
            first = keys.iter().filter_map(|key| self.changes.get(key)).cloned().collect();
        }
        let clashes: Vec<Arc<Change>> =
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
    pub(super) fn recorded_before(&self, change: &Change, found: &mut BTreeSet<ObjectId>) {
        let mut open: Vec<ObjectId> = change.object.iter().cloned().collect();
        while let Some(id) = open.pop() {
            let next = self.state.objects.get(&id).into_iter().flat_map(|o| o.dependencies.iter());
            open.extend(next.filter(|d| found.insert((*d).clone())).cloned().collect::<Vec<_>>());
        }
    }

    pub(super) fn report_key_clash(&mut self, change: &Change) {
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
    pub(super) fn same_keys(&mut self) {
        let going: Vec<&Change> = self.changes.values().map(|c| &**c).collect();
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

    pub(super) fn protect(&mut self) {
        let protected: Vec<Arc<Change>> =
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

    pub(super) fn check(&mut self, module: &ModuleAddr, check: &crate::config::Check) {
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
}
