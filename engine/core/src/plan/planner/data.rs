//! Data sources and minters: read now, or deferred, or minted at each use.

use super::super::{ChangeAction, DeferredRead};
use super::consent::Command;
use super::{Kind, PendingRead, Planner, ProviderState, What, block_of};
use crate::config::ResourceBlock;
use crate::graph::order::Block;
use crate::pool::Pool;
use crate::scope::Place;
use groma_provider::{ErrorKind, ProviderError};
use groma_types::schema::KindSchema;
use groma_types::value::{Cause, Causes, Mint, Residual};
use groma_types::{
    Address, AttrPath, Diagnostic, InstanceAddr, Marks, Mode, ProviderAddr, Refinements, Type, Unknown, Value,
};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Planner {
    /// Plans a data source: gives its value now, or queues it to be read, or defers it.
    pub(super) async fn plan_data(
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
        if schema.runs_program {
            let who = address.to_string();
            let command = Command { module: &block.0, who, what: &schema.kind, span: resource.span };
            if !self.may_run(&command) {
                return failed;
            }
        }
        if self.preconditions(resource, place, address).is_none() {
            return failed;
        }
        let Some(config) = self.evaluate_body(resource, &schema, place, address) else { return failed };
        if !self.may_read(&schema, &config, resource, place)
            || (!schema.minter
                && self.refuse_short_lived(&config, resource, &schema.block, address).is_none())
        {
            return failed;
        }
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
                waits_for.join(causes);
                None
            }
            ProviderState::Failed => return failed,
        };
        match recipe {
            Some(recipe) if waits_for.is_empty() => {
                self.reads.remove(address);
                if let Some(known) = self.data_found.get(address).cloned() {
                    if !resource.in_check {
                        self.note_unready(address, &known);
                    }
                    return known;
                }
                let Some(allow_missing) = self.allows_missing(resource, place) else { return failed };
                reads.push(PendingRead {
                    address: address.clone(),
                    what: What::Data { recipe, config },
                    allow_missing,
                    in_check: resource.in_check,
                    is_late: false,
                    span: resource.span,
                });
                failed
            }
            _ => {
                let value = deferred(&schema, &config, &waits_for, &cause);
                self.reads.insert(address.clone(), DeferredRead { address: address.clone(), waits_for });
                value
            }
        }
    }

    /// `lifecycle.on_missing`. `None`: a fault was reported.
    pub(super) fn allows_missing(&mut self, resource: &ResourceBlock, place: &Place) -> Option<bool> {
        let Some(expr) = &resource.lifecycle.on_missing else { return Some(false) };
        let (value, faults) = self.eval.expr(&self.values, place, expr);
        let allows = match value.as_str() {
            Some("allow") => Some(true),
            Some("error") => Some(false),
            _ => None,
        };
        if allows.is_none() && !faults.has_errors() {
            self.diagnostics.push(
                Diagnostic::error("G1033", "Invalid lifecycle argument")
                    .detail("`on_missing` must be allow or error.")
                    .at(expr.span(), ""),
            );
        }
        self.diagnostics.extend(faults);
        allows
    }

    /// Instances that a block depends on and that have a pending change.
    pub(super) fn pending_dependencies(&self, block: &Block) -> Causes {
        self.order.reach.get(block).map(|reached| self.pending(reached)).unwrap_or_default()
    }

    /// Instances of these blocks that have a pending change.
    pub(super) fn pending(&self, reached: &BTreeSet<Block>) -> Causes {
        let changes = self.changes.values().filter(|c| {
            (c.action != ChangeAction::NoOp || c.is_deferred())
                && reached.contains(&block_of(&c.address.resource))
        });
        changes.map(|c| Cause::Node(Address::Instance(c.address.clone()))).collect()
    }

    pub(super) async fn read_all(&mut self, reads: Vec<PendingRead>) {
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
        if read.in_check && !matches!(answer, Ok(Some(_))) {
            return self.unread_in_check(read, answer.err());
        }
        match answer {
            Ok(Some(value)) if matches!(read.what, What::Open { .. }) => {
                self.take_opened(&read.address, &value);
            }
            Ok(Some(value)) if read.is_late && !value.is_wholly_known() => self.diagnostics.push(
                Diagnostic::error("G1041", "Not there yet")
                    .detail(format!("What {} reads is still not known.", read.address))
                    .help("Apply what it reads from (the other stack) first, then run this again.")
                    .at(read.span, "")
                    .address(&read.address),
            ),
            Ok(Some(value)) => {
                let value = waiting(&value, &read.address);
                self.note_unready(&read.address, &value);
                self.data_value(&read.address, &value);
            }
            Ok(None) if read.allow_missing => self.data_value(&read.address, &Value::NULL),
            Ok(None) => self.diagnostics.push(
                Diagnostic::error("G1040", "Nothing found")
                    .detail(format!("{} found nothing with these arguments.", read.address))
                    .help_edit(
                        "Check the arguments; `lifecycle: {on_missing: allow}` makes it null instead.",
                        "Check the arguments; `lifecycle { on_missing = \"allow\" }` makes it null instead.",
                    )
                    .at(read.span, "")
                    .address(&read.address),
            ),
            Err(error) => self.report(&error, &Address::Instance(read.address.clone()), Some(read.span)),
        }
    }

    /// A check finds out what is wrong, and does not stop what is right.
    fn unread_in_check(&mut self, read: &PendingRead, error: Option<ProviderError>) {
        let why = error.map_or("nothing was found with these arguments".to_string(), |e| e.message);
        self.diagnostics.push(
            Diagnostic::warning("G1040", "The data source of a check can't be read")
                .detail(format!("{}: {why}; what the check asserts of it is not known.", read.address))
                .at(read.span, "")
                .address(&read.address),
        );
        let unknown =
            Value::unknown_because(Type::Dynamic, [Cause::Node(Address::Instance(read.address.clone()))]);
        self.data_found.insert(read.address.clone(), unknown);
    }

    /// What a data source does not know yet is asked for again in the apply.
    fn note_unready(&mut self, address: &InstanceAddr, value: &Value) {
        if !value.is_wholly_known() {
            let read = DeferredRead { address: address.clone(), waits_for: Causes::new() };
            self.reads.insert(address.clone(), read);
        }
    }

    pub(super) fn data_value(&mut self, address: &InstanceAddr, value: &Value) {
        let schema = self.schema_of_address(address);
        let value = schema.map_or(value.clone(), |s| crate::values::apply_schema(value, &s.block));
        self.data_found.insert(address.clone(), value.clone());
        // Reported where it fails, which fails the read.
        let _ = self.postconditions(address, &value);
        self.values.set_instance(&address.resource, address.key.clone(), value);
    }

    pub(super) fn schema_of_address(&self, address: &InstanceAddr) -> Option<Kind> {
        let resource = &address.resource;
        self.host.registry.providers.values().find_map(|p| Kind::find(p, resource.mode, &resource.kind))
    }

    /// Prepares a deferred data source or ephemeral resource, during an apply, when all it needs is known; no read: its
    /// value is there.
    pub async fn late_read(&mut self, address: &InstanceAddr) -> Vec<PendingRead> {
        let block = block_of(&address.resource);
        let config = self.config();
        let resource = config.modules.get(&block.0).and_then(|m| m.resources.get(&block.1));
        let Some(resource) = resource else { return Vec::new() };
        let Some(place) = self.place_of(address, resource) else { return Vec::new() };
        if self.data_found.get(address).is_some_and(|v| !v.is_wholly_known()) {
            self.data_found.remove(address);
        }
        let mut reads = Vec::new();
        let value = match address.resource.mode {
            Mode::Ephemeral => self.plan_ephemeral(address, &block, resource, &place, &mut reads).await,
            _ => self.plan_data(address, &block, resource, &place, &mut reads).await,
        };
        self.values.set_instance(&address.resource, address.key.clone(), value);
        reads.iter_mut().for_each(|r| r.is_late = true);
        reads
    }
}

pub async fn read_data(pool: &Arc<Pool>, read: &PendingRead) -> Result<Option<Value>, ProviderError> {
    let (recipe, config) = match &read.what {
        What::Open { mint, minters } => return pool.open(mint, minters).await.map(Some),
        What::Data { recipe, config } => (recipe, config),
    };
    let config = config
        .clone()
        .resolve()
        .map_err(|u| ProviderError::new(ErrorKind::Bug, format!("argument {} is not known", u.path)))?;
    pool.get(recipe).await?.read_data(&read.address.resource.kind, config).await
}

/// What is not known yet waits for this data source.
fn waiting(value: &Value, address: &InstanceAddr) -> Value {
    let cause = Cause::Node(Address::Instance(address.clone()));
    let open = value.as_map().into_iter().flatten().filter(|(_, v)| !v.is_wholly_known());
    open.fold(value.clone(), |all, (name, v)| {
        all.with_attr(name, Value::unknown_because(v.ty(), [cause.clone()]))
    })
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
            let (kind, provider) = (schema.kind.clone(), provider.clone());
            let mint = Mint { kind, opens: None, provider, args: config.clone() };
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

/// The value of a data source that can't be read yet, or of an ephemeral resource that can't be opened.
pub(super) fn deferred(schema: &KindSchema, config: &Value, waits_for: &Causes, cause: &Cause) -> Value {
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
