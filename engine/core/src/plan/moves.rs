//! Moves: objects of the state that get another address, before anything is planned.
//!
//! The world is not touched, and a move is one record by the object's id. An object whose place is taken stays where it is,
//! as in Terraform.

use super::planner::{Origin, Planner, block_of};
use crate::config::moves::{self, Move};
use crate::config::{Expansion, targets};
use crate::state::{Object, Record};
use groma_types::{Address, Diagnostic, InstanceAddr, InstanceKey, Mode, ModuleAddr, ResourceAddr};
use std::collections::{BTreeMap, BTreeSet};

/// Addresses with objects, each with the one that it had at first.
type Places = BTreeMap<InstanceAddr, InstanceAddr>;
/// From, to.
type Way = (InstanceAddr, InstanceAddr);

impl Planner {
    /// Gives objects the addresses that `moved` blocks and changed expansions say. Returns the records that make it so, and
    /// the old addresses by the new ones.
    pub(super) fn moves(&mut self) -> (Vec<Record>, BTreeMap<InstanceAddr, InstanceAddr>) {
        let told = moves::told(&self.config());
        let at = |o: &Object| (o.address.clone(), o.address.clone());
        let mut places: Places = self.state.objects.values().map(at).collect();
        let mut blocked = Vec::new();
        // Moves that wait for each other were reported with the spec.
        for one in moves::in_order(told.clone()).unwrap_or_default() {
            self.relocate(&one, &mut places, &mut blocked);
        }
        for one in self.implied(&places, &told) {
            self.relocate(&one, &mut places, &mut blocked);
        }
        self.report_blocked(&blocked);
        let moved: Places = places.into_iter().filter(|(to, from)| to != from).collect();
        let by_old: BTreeMap<&InstanceAddr, &InstanceAddr> =
            moved.iter().map(|(to, from)| (from, to)).collect();
        let mut records = Vec::new();
        for object in self.state.objects.values().cloned().collect::<Vec<Object>>() {
            let Some(to) = by_old.get(&object.address) else { continue };
            let record = Record::Moved(object.id.clone(), (*to).clone());
            self.state.apply(&record);
            match self.as_kind(&object, to) {
                // Both are recorded when the new block settles it: until then it is what it was.
                Some(new) => {
                    self.adopted.insert(new.id.clone(), Origin::OtherKind);
                    self.state.apply(&Record::Observed(Box::new(new)));
                }
                None => records.push(record),
            }
        }
        (records, moved)
    }

    fn relocate(&mut self, one: &Move, places: &mut Places, blocked: &mut Vec<Way>) {
        let going: Vec<Way> = places
            .keys()
            .filter_map(|a| Some((a.clone(), one.destination(a)?)))
            .filter(|(from, to)| from != to && (!one.changes_kind() || self.may_become(one, from, to)))
            .collect();
        // A module moves as a whole, or not at all.
        let modules: BTreeSet<ModuleAddr> =
            going.iter().filter_map(|(from, _)| one.module_destination(from)).collect();
        let is_taken = |m: &&ModuleAddr| {
            places.keys().any(|a| !one.from.takes(a) && a.resource.module.0.starts_with(&m.0))
        };
        let taken: BTreeSet<ModuleAddr> = modules.iter().filter(is_taken).cloned().collect();
        for (from, to) in going {
            let module = one.module_destination(&from);
            if places.contains_key(&to) || module.is_some_and(|m| taken.contains(&m)) {
                blocked.push((from, to));
            } else if let Some(first) = places.remove(&from) {
                places.insert(to, first);
            }
        }
    }

    /// `x` becomes `x[0]` where its block gets `count`, and `x[0]` becomes `x` where it loses it, unless a `moved` block says
    /// something else of it.
    fn implied(&self, places: &Places, told: &[Move]) -> Vec<Move> {
        let config = self.config();
        let mut moves = Vec::new();
        for address in places.keys() {
            let block = block_of(&address.resource);
            let Some(resource) = config.modules.get(&block.0).and_then(|m| m.resources.get(&block.1)) else {
                continue;
            };
            let to = match (&resource.expansion, &address.key) {
                (Expansion::Count(_), None) => Some(InstanceKey::Int(0)),
                (Expansion::Single, Some(InstanceKey::Int(0))) => None,
                _ => continue,
            };
            let names =
                |m: &Move| m.from.names_block(&address.resource) || m.to.names_block(&address.resource);
            if !told.iter().any(names) {
                moves.push(Move::of_instance(address, &address.resource.instance(to), resource.span));
            }
        }
        moves
    }

    fn report_blocked(&mut self, blocked: &[Way]) {
        if blocked.is_empty() {
            return;
        }
        let ways: Vec<String> = blocked.iter().map(|(from, to)| format!("{from} → {to}")).collect();
        self.diagnostics.push(
            Diagnostic::warning("G1067", "An object did not move: its place is taken")
                .detail(format!("The state has objects at both ends: {}.", ways.join(", ")))
                .help("What did not move is planned under its old address: destroyed where the spec has no such block. Untangle them with `state mv` or `state rm` first."),
        );
    }

    // ---- another kind ------------------------------------------------------------------------------------------

    /// The provider of the block that declares an address.
    fn provider_of_block(&self, address: &ResourceAddr) -> Option<std::sync::Arc<str>> {
        let config = self.config();
        let block = block_of(address);
        let resource = config.modules.get(&block.0)?.resources.get(&block.1)?;
        Some(targets::provider_for(&config, &block.0, &resource.provider).provider)
    }

    /// Whether an object may become one of another kind. Where the spec has no block for it, it stays what it is.
    fn may_become(&mut self, one: &Move, from: &InstanceAddr, to: &InstanceAddr) -> bool {
        // A destroy deletes it as what it is.
        if self.options.destroy {
            return false;
        }
        let Some(provider) = self.provider_of_block(&to.resource) else { return false };
        let Some((provider, _)) = self.schema_of(Mode::Managed, &to.resource.kind, &provider) else {
            return false;
        };
        let Some(object) = self.state.at(from) else { return false };
        let taken = provider.adopt(&to.resource.kind, &from.resource.kind, &object.attributes);
        if let Err(error) = &taken {
            let address = Address::Instance(to.clone());
            self.report(error, &address, Some(one.span));
        }
        taken.is_ok()
    }

    /// An object as one of the kind that stands at an address, if that is another kind.
    fn as_kind(&self, object: &Object, to: &InstanceAddr) -> Option<Object> {
        let (old, new) = (&object.address.resource.kind, &to.resource.kind);
        if old == new {
            return None;
        }
        let name = self.provider_of_block(&to.resource)?;
        let (provider, schema) = self.schema_of(Mode::Managed, new, &name)?;
        let attributes = provider.adopt(new, old, &object.attributes).ok()?;
        let attributes = crate::values::apply_schema(&attributes, &schema.block);
        let (address, private) = (to.clone(), serde_json::Value::Null);
        Some(Object { address, attributes, private, schema_version: schema.version, ..object.clone() })
    }

    // ---- what moved away ---------------------------------------------------------------------------------------

    /// Reports moves away from what the spec still declares.
    pub(super) fn moved_is_gone(&mut self) {
        for one in moves::told(&self.config()) {
            if !self.is_declared(&one) {
                continue;
            }
            self.diagnostics.push(
                Diagnostic::error("G0821", "What is moved or removed is still declared")
                    .detail(format!(
                        "{} is said to have moved to {}, and the spec declares it.",
                        one.from, one.to
                    ))
                    .help(format!("Declare it as {} alone, or take the move away.", one.to))
                    .at(one.span, "said to have moved"),
            );
        }
    }

    fn is_declared(&self, one: &Move) -> bool {
        if one.is_of_module() {
            let (instances, _, _) = self.eval.module_instances(&self.values, &one.from.path());
            return instances.iter().any(|m| one.from.is_module(m));
        }
        self.values.blocks().filter(|(address, _)| one.from.names_block(address)).any(|(address, block)| {
            one.from.is_whole()
                || block.keys.list().into_iter().any(|key| one.from.takes(&address.instance(key)))
        })
    }
}
