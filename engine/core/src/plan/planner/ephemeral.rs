//! Ephemeral resources: opened when what they need is known, in the plan and again in the apply, and closed at the end of
//! each. Their values are in memory alone.
//!
//! A value that is open is known, and marked. What must outlive the run, a provider's configuration in the state, holds
//! how to open the resource in place of its value: a recipe, as that of a minter.
//!
//! Invariant: what was opened for the plan is closed when the plan is made; nothing of it is used in the apply.

use super::data::deferred;
use super::providers::unresolved_causes;
use super::{PendingRead, Planner, ProviderState, What, block_of};
use crate::config::{Body, ResourceBlock, body};
use crate::graph::order::Block;
use crate::plan::{ChangeAction, DeferredRead};
use crate::pool::mints_in;
use crate::scope::{Evaluator, Place, Scope};
use crate::state::RecipeId;
use crate::values::{Values, apply_schema};
use groma_types::schema::{self, KindSchema};
use groma_types::value::{Cause, Causes, Mint, Residual};
use groma_types::{
    Address, AttrPath, Diagnostic, InstanceAddr, Marks, Mode, ProviderAddr, Refinements, Type, Unknown, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Faults of modules that pass ephemeral values on and do not say so.
const UNDECLARED: [&str; 2] = ["G0910", "G0911"];

/// How to open an ephemeral resource whose arguments are known.
#[derive(Clone, Debug)]
pub struct Ephemeral {
    mint: Mint,
    minters: BTreeMap<ProviderAddr, RecipeId>,
    /// Its attributes as recipes.
    kept: Value,
    is_open: bool,
}

impl Planner {
    /// Plans an ephemeral resource: queues it to be opened, or defers it.
    pub(super) async fn plan_ephemeral(
        &mut self,
        address: &InstanceAddr,
        block: &Block,
        resource: &ResourceBlock,
        place: &Place,
        reads: &mut Vec<PendingRead>,
    ) -> Value {
        let cause = Cause::Node(Address::Instance(address.clone()));
        let failed = Value::unknown_because(Type::Dynamic, [cause.clone()]).mark(Marks::EPHEMERAL);
        let kind = &resource.id.kind;
        let Some(provider_addr) = self.provider_address(&address.resource.module, &resource.provider, place)
        else {
            return failed;
        };
        let provider_state = self.provider_state(&provider_addr).await;
        let Some((provider, schema)) = self.schema_of(Mode::Ephemeral, kind, &provider_addr.name) else {
            self.unknown_kind(resource);
            return failed;
        };
        if self.preconditions(resource, place, address).is_none() {
            return failed;
        }
        let Some(config) = self.evaluate_body(resource, &schema, place, address) else { return failed };
        if !self.may_read(&schema, &config, resource, place)
            || self.validate(&*provider, Mode::Ephemeral, kind, &config, resource, address).is_none()
        {
            return failed;
        }
        // Also what another ephemeral resource waits for that this one takes its arguments from.
        let mut waits_for = self.pending(&self.order.managed_before(block));
        waits_for.extend(unresolved_causes(&config).unwrap_or_default());
        match provider_state {
            ProviderState::Ready { .. } => {
                let args = self.as_recipe(config, &resource.body, &schema.block, place);
                self.note_recipe(address, &schema, &provider_addr, args);
            }
            ProviderState::Deferred { causes, .. } => {
                self.ephemerals.remove(address);
                waits_for.extend(causes);
            }
            ProviderState::Failed => return failed,
        }
        match self.ephemerals.get(address) {
            Some(known) if waits_for.is_empty() => {
                let what = What::Open { mint: known.mint.clone(), minters: known.minters.clone() };
                self.reads.remove(address);
                reads.push(PendingRead::opening(address.clone(), what, resource.span));
                failed
            }
            _ => {
                let value = deferred(&schema, &Value::NULL, &waits_for, &cause).mark(Marks::EPHEMERAL);
                self.reads.insert(address.clone(), DeferredRead { address: address.clone(), waits_for });
                value
            }
        }
    }

    /// Keeps how to open a resource, if all that it takes is there.
    fn note_recipe(
        &mut self,
        address: &InstanceAddr,
        schema: &KindSchema,
        provider: &ProviderAddr,
        args: Value,
    ) {
        self.ephemerals.remove(address);
        if !is_ready(&args) {
            return;
        }
        let (kind, provider) = (schema.kind.clone(), provider.clone());
        let mint = Mint { kind, opens: Some(address.clone()), provider, args };
        let kept = recipes_of(schema, &mint);
        let minters = self.minters_of(&kept);
        self.ephemerals.insert(address.clone(), Ephemeral { mint, minters, kept, is_open: false });
    }

    /// Takes what an ephemeral resource has open.
    pub(super) fn take_opened(&mut self, address: &InstanceAddr, value: &Value) {
        let Some(schema) = self.schema_of_address(address) else { return };
        let attrs = attributes(&schema).into_iter().map(|(name, ty)| {
            let given = value.get(&name).cloned();
            (name, given.unwrap_or_else(|| Value::null(ty)))
        });
        let value = apply_schema(&Value::object(attrs.collect::<Vec<_>>()), &schema.block);
        let value = value.mark(Marks::EPHEMERAL);
        if let Some(ephemeral) = self.ephemerals.get_mut(address) {
            ephemeral.is_open = true;
        }
        // Reported where it fails, which fails the opening.
        let _ = self.postconditions(address, &value);
        self.set_opened(address, value);
    }

    /// Another value than before: nothing that was concluded from the old one holds.
    fn set_opened(&mut self, address: &InstanceAddr, value: Value) {
        let key = &address.key;
        let before = self.values.block(&address.resource).and_then(|b| b.instances.get(key)).cloned();
        if before.as_ref() != Some(&value) {
            let was_known = before.is_some_and(|v| v.is_wholly_known());
            self.values.set_instance(&address.resource, key.clone(), value);
            if was_known {
                self.values.surprise();
            }
        }
    }

    /// Renews what a block's expressions take from ephemeral resources, where its time has come.
    ///
    /// # Errors
    /// One can't be renewed, which was reported.
    pub async fn renew_ephemerals(&mut self, block: &Block) -> Result<(), ()> {
        let Some(reached) = self.order.reach.get(block) else { return Ok(()) };
        let open =
            self.ephemerals.iter().filter(|(a, e)| e.is_open && reached.contains(&block_of(&a.resource)));
        let open: Vec<(InstanceAddr, Ephemeral)> = open.map(|(a, e)| (a.clone(), e.clone())).collect();
        for (address, ephemeral) in open {
            match self.pool.open(&ephemeral.mint, &ephemeral.minters).await {
                Ok(value) => self.take_opened(&address, &value),
                Err(error) => {
                    self.report(&error, &Address::Instance(address), None);
                    return Err(());
                }
            }
        }
        Ok(())
    }

    /// The recipes that the minters of a value are asked through, as far as they are configured.
    pub fn minters_of(&self, value: &Value) -> BTreeMap<ProviderAddr, RecipeId> {
        let asked = mints_in(value).into_iter().map(|m| m.provider);
        let recipe = |provider: ProviderAddr| match self.providers.get(&provider) {
            Some(ProviderState::Ready { recipe, .. }) => Some((provider, recipe.clone())),
            _ => None,
        };
        asked.filter_map(recipe).collect()
    }

    /// Closes everything. What is planned from here on, or applied, opens anew what it needs.
    pub async fn close_ephemerals(&mut self) {
        for (address, error) in self.pool.close().await {
            self.diagnostics.push(
                Diagnostic::warning("G1042", "An ephemeral resource could not be closed")
                    .detail(format!("{address}: {error}."))
                    .help("What it had open ends by itself where it has a time; else close it by hand.")
                    .address(&address),
            );
        }
        let blocks = self.values.blocks().filter(|(address, _)| address.mode == Mode::Ephemeral);
        let open: Vec<InstanceAddr> = blocks
            .flat_map(|(address, block)| block.instances.keys().map(|key| address.instance(key.clone())))
            .collect();
        for address in open {
            let cause = Cause::Node(Address::Instance(address.clone()));
            let closed = Value::unknown_because(Type::Dynamic, [cause]).mark(Marks::EPHEMERAL);
            self.set_opened(&address, closed);
            let read = DeferredRead { address: address.clone(), waits_for: Causes::new() };
            self.reads.entry(address).or_insert(read);
        }
        self.ephemerals.values_mut().for_each(|e| e.is_open = false);
        self.written.clear();
    }

    /// Reports what modules let out or take in without saying so, also where nobody uses it.
    pub(in crate::plan) fn undeclared_ephemerals(&mut self) {
        let config = self.config();
        for (path, module) in config.modules.iter().filter(|(path, _)| !path.is_empty()) {
            let (instances, _, _) = self.eval.module_instances(&self.values, path);
            for instance in instances {
                let outputs =
                    module.outputs.keys().map(|name| self.eval.output(&self.values, &instance, name));
                let variables =
                    module.variables.keys().map(|name| self.eval.variable(&self.values, &instance, name));
                let faults = outputs.chain(variables).filter_map(Result::err).flatten();
                let faults: Vec<Diagnostic> = faults.filter(|d| UNDECLARED.contains(&d.code)).collect();
                for fault in faults {
                    if !self.diagnostics.iter().any(|d| *d == fault) {
                        self.diagnostics.push(fault);
                    }
                }
            }
        }
    }

    /// Whether something that changes, or may yet change, takes its values from this block.
    pub fn is_needed(&self, block: &Block) -> bool {
        let is_pending = |block: &Block| {
            let changes = self.changes.values().filter(|c| block_of(&c.address.resource) == *block);
            let mut changes = changes.filter(|c| c.action != ChangeAction::NoOp || c.is_deferred());
            changes.next().is_some() || self.expansions.keys().any(|a| block_of(a) == *block)
        };
        let users = self.order.after(&BTreeSet::from([block.clone()]));
        let mut users = users.iter().flatten().filter(|b| b.1.mode != Mode::Ephemeral);
        users.any(|user| is_pending(user) || self.order.all_before(user).iter().any(is_pending))
    }

    /// Arguments with recipes in place of what ephemeral resources have open. Other ephemeral values stay as they are.
    pub(super) fn as_recipe(
        &self,
        value: Value,
        body: &Body,
        schema: &schema::Block,
        place: &Place,
    ) -> Value {
        if !value.deep_marks().ephemeral || self.ephemerals.is_empty() {
            return value;
        }
        let (eval, values) = self.kept_values();
        let scope = Scope { eval: &eval, values: &values, place: place.clone() };
        let kept = body::evaluate(body, schema, &scope).0;
        let attrs = value.as_map().into_iter().flatten().map(|(name, now)| {
            // What a `dynamic` block makes of it has no recipe: it is known in this run alone.
            let kept = kept.get(name).filter(|v| is_ready(v) || !now.is_wholly_known());
            (name.clone(), kept.unwrap_or(now).clone())
        });
        Value::object(attrs.collect::<Vec<_>>())
    }

    /// The values of the moment, with recipes in place of what ephemeral resources have open.
    fn kept_values(&self) -> (Evaluator, Values) {
        let mut values = self.values.clone();
        for (address, ephemeral) in &self.ephemerals {
            values.set_instance(&address.resource, address.key.clone(), ephemeral.kept.clone());
        }
        (Evaluator::new(self.config(), &self.host), values)
    }

    /// Puts into the recipes of the state what they do not hold: ephemeral values, as the present spec gives them.
    pub(in crate::plan) fn complete_recipes(&mut self) {
        let open: Vec<(RecipeId, crate::state::Recipe)> = self
            .state
            .recipes
            .iter()
            .filter(|(_, recipe)| !holes(&recipe.config).is_empty())
            .map(|(id, recipe)| (id.clone(), recipe.clone()))
            .collect();
        for (id, mut recipe) in open {
            let Some(provider) = self.pool.provider(&recipe.provider.name).cloned() else { continue };
            // What is wrong with the block is said when it is planned.
            let before = std::mem::take(&mut self.diagnostics);
            let config = self.provider_config(&recipe.provider, provider.schema());
            self.diagnostics = before;
            let Some(config) = config else { continue };
            for name in holes(&recipe.config) {
                if let Some(now) = config.get(&name).filter(|v| v.is_wholly_known()) {
                    recipe.config = recipe.config.with_attr(&name, now.clone());
                }
            }
            self.pool.add(&id, &recipe);
        }
    }
}

/// Whether all of a value is known, or can be asked for.
fn is_ready(value: &Value) -> bool {
    let mut is_ready = true;
    value.walk(&mut |v| is_ready &= v.as_unknown().is_none_or(|u| u.residual.is_some()));
    is_ready
}

/// Top-level arguments that hold an ephemeral value which was not stored.
fn holes(config: &Value) -> Vec<Arc<str>> {
    let is_hole = |value: &Value| {
        let mut found = false;
        value.walk(&mut |v| found |= v.is_null() && v.marks().ephemeral);
        found
    };
    let attrs = config.as_map().into_iter().flatten();
    attrs.filter(|(_, value)| is_hole(value)).map(|(name, _)| name.clone()).collect()
}

/// Names and types of a kind's arguments, blocks and attributes.
fn attributes(schema: &KindSchema) -> Vec<(Arc<str>, Type)> {
    let attrs = schema.block.attrs.iter().map(|(name, a)| (name.clone(), a.ty.clone()));
    attrs.chain(schema.block.blocks.iter().map(|(name, b)| (name.clone(), b.ty()))).collect()
}

/// The attributes of an ephemeral resource, each as what opens it.
fn recipes_of(schema: &KindSchema, mint: &Mint) -> Value {
    let attrs = attributes(schema).into_iter().map(|(name, ty)| {
        let residual = Some(Arc::new(Residual::Mint(mint.clone(), AttrPath::root().attr(&name))));
        let unknown = Unknown { ty, refine: Refinements::default(), causes: Causes::new(), residual };
        let sensitive = schema.block.attrs.get(&name).is_some_and(|a| a.sensitive);
        (name, Value::from(unknown).mark(Marks { sensitive, ..Marks::EPHEMERAL }))
    });
    Value::object(attrs.collect::<Vec<_>>())
}
