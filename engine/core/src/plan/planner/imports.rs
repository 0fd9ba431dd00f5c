//! Imports: which address takes over which object of the world, and the object itself, read for the plan.
//!
//! What is imported is put into the planner's state and planned like any other object; the journal gets it when the apply
//! settles it. An object that the state holds already is never adopted by another address.

use super::{Planner, ProviderState, block_of, dotted};
use crate::config::{Expansion, Import, ImportTo};
use crate::graph::order::Block;
use crate::pool::Pool;
use crate::refresh::Refreshed;
use crate::scope::Place;
use crate::state::{Object, ObjectId, OnDestroy, RecipeId, Settings, Status};
use crate::values::Keys;
use groma_provider::{ErrorKind, Object as Seen, ProviderError, Read};
use groma_types::schema::KindSchema;
use groma_types::value::Causes;
use groma_types::{
    Address, Diagnostic, InstanceAddr, InstanceKey, Mode, ModuleAddr, ModuleStep, ProviderAddr, ResourceAddr,
    Span, Type, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An import of one instance.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub id: Value,
    pub span: Option<Span>,
    /// Which import block of the root it is; `None`: the command line says it.
    pub block: Option<usize>,
}

/// How an import stands.
pub(crate) enum Importing {
    /// There is none, or the address has its object.
    Nothing,
    /// It is in the planner's state.
    Done,
    /// It waits for its provider or its id.
    Deferred(Causes),
    /// Reported.
    Failed,
}

impl Planner {
    /// Every import that is asked for, by address. Faults are reported once.
    pub(super) fn wanted_imports(&mut self) -> BTreeMap<InstanceAddr, Wanted> {
        let config = self.config();
        let mut all: BTreeMap<InstanceAddr, Wanted> = BTreeMap::new();
        for (index, import) in config.root().imports.iter().enumerate() {
            for (address, wanted) in self.instances_of(index, import, None) {
                if let Some(other) = all.get(&address) {
                    let mut fault = Diagnostic::error("G0822", "An import that can't be made")
                        .detail(format!("Two imports are for {address}."))
                        .at(import.span, "this one");
                    fault = match other.span {
                        Some(span) => fault.at(span, "and this one"),
                        None => fault,
                    };
                    self.diagnostics.push(fault);
                }
                all.insert(address, wanted);
            }
        }
        let asked = self.options.imports.clone();
        all.extend(
            asked
                .into_iter()
                .map(|(address, id)| (address, Wanted { id: Value::string(id), span: None, block: None })),
        );
        all
    }

    /// The instances of one import block; `only`: those of this resource block.
    fn instances_of(
        &mut self,
        index: usize,
        import: &Import,
        only: Option<&Block>,
    ) -> Vec<(InstanceAddr, Wanted)> {
        if only.is_some_and(|block| !import.to.is_of(&block.0, &block.1)) {
            return Vec::new();
        }
        let root = Place::module(ModuleAddr::root());
        let keys = match &import.for_each {
            None => Keys::Single,
            Some(expr) => {
                let (keys, faults) = self.eval.expand(&self.values, &root, &Expansion::ForEach(expr.clone()));
                self.diagnostics.extend(faults);
                if keys.is_unknown() {
                    self.diagnostics.push(
                        Diagnostic::error("G0822", "An import that can't be made")
                            .detail(
                                "Its for_each is not known before the apply, so neither is what it imports.",
                            )
                            .at(expr.span(), "not known yet"),
                    );
                }
                keys
            }
        };
        let mut found = Vec::new();
        for key in keys.list() {
            let place = Place::instance(ModuleAddr::root(), key, &keys);
            let Some(address) = self.import_address(&import.to, &place) else { continue };
            let (id, faults) = self.eval.expr(&self.values, &place, &import.id);
            let failed = faults.has_errors();
            self.diagnostics.extend(faults);
            if !failed {
                found.push((address, Wanted { id, span: Some(import.span), block: Some(index) }));
            }
        }
        found
    }

    fn import_address(&mut self, to: &ImportTo, place: &Place) -> Option<InstanceAddr> {
        let mut steps = Vec::new();
        for (name, key) in &to.module {
            steps.push(ModuleStep { name: name.clone(), key: self.import_key(key.as_ref(), place)? });
        }
        let (kind, name) = (to.id.kind.clone(), to.id.name.clone());
        let resource = ResourceAddr::new(ModuleAddr(steps.into()), Mode::Managed, kind, name);
        Some(resource.instance(self.import_key(to.key.as_ref(), place)?))
    }

    fn import_key(
        &mut self,
        key: Option<&groma_lang::expr::Expr>,
        place: &Place,
    ) -> Option<Option<InstanceKey>> {
        let Some(expr) = key else { return Some(None) };
        let (value, faults) = self.eval.expr(&self.values, place, expr);
        let failed = faults.has_errors();
        self.diagnostics.extend(faults);
        let number = value.as_number().and_then(groma_types::Number::to_u64).map(InstanceKey::Int);
        let found = value.as_str().map(|text| InstanceKey::Str(text.into())).or(number);
        if found.is_none() && !failed {
            self.diagnostics.push(
                Diagnostic::error("G0822", "An import that can't be made")
                    .detail("A key in `to` must be a string or a whole number that is known when the stack is planned.")
                    .at(expr.span(), "not such a key"),
            );
        }
        found.map(Some)
    }

    /// The import of one address, if one is asked for.
    fn wanted_import(&mut self, address: &InstanceAddr) -> Option<Wanted> {
        if let Some(id) = self.options.imports.get(address) {
            return Some(Wanted { id: Value::string(id.clone()), span: None, block: None });
        }
        let config = self.config();
        let block = block_of(&address.resource);
        let imports = config.root().imports.iter().enumerate();
        let mut all =
            imports.flat_map(|(i, import)| self.instances_of(i, import, Some(&block))).collect::<Vec<_>>();
        all.retain(|(to, _)| to == address);
        all.pop().map(|(_, wanted)| wanted)
    }

    /// Reads the object that an address is to take over into the planner's state.
    pub(crate) async fn import(
        &mut self,
        address: &InstanceAddr,
        provider: &ProviderAddr,
        state: &ProviderState,
    ) -> Importing {
        if self.state.at(address).is_some() || self.imports_done.contains(address) {
            return Importing::Nothing;
        }
        let Some(wanted) = self.wanted_import(address) else { return Importing::Nothing };
        let mut waits: Causes = wanted.id.causes();
        let recipe = match state {
            ProviderState::Ready { recipe, .. } => Some(recipe.clone()),
            ProviderState::Deferred { causes, .. } => {
                waits.join(causes);
                None
            }
            ProviderState::Failed => return Importing::Failed,
        };
        let id = self.import_id(&wanted, address);
        match (recipe, id) {
            (_, Err(())) => Importing::Failed,
            (Some(recipe), Ok(Some(id))) => self.import_now(address, provider, &recipe, &id, &wanted).await,
            (_, Ok(id)) => {
                self.imported.insert(address.clone(), id);
                Importing::Deferred(waits)
            }
        }
    }

    /// The id as text; `None`: not known yet.
    pub(super) fn import_id(
        &mut self,
        wanted: &Wanted,
        address: &InstanceAddr,
    ) -> Result<Option<Arc<str>>, ()> {
        let why = match groma_types::convert::convert(&wanted.id, &Type::String) {
            Ok(id) if id.deep_marks().sensitive => "it is sensitive, and an id is shown",
            Ok(id) if id.deep_marks().ephemeral || id.deep_marks().minted => "it is short-lived",
            Ok(id) if id.is_unknown() => return Ok(None),
            Ok(id) => match id.as_str() {
                Some("") => "it is empty",
                Some(text) => return Ok(Some(text.into())),
                None => "it is null",
            },
            Err(_) => "it is no string",
        };
        self.import_fault(wanted, address, format!("The id can't be used: {why}."));
        Err(())
    }

    pub(super) fn import_fault(&mut self, wanted: &Wanted, address: &InstanceAddr, why: String) {
        let fault = Diagnostic::error("G0822", "An import that can't be made").detail(why).address(address);
        self.diagnostics.push(match wanted.span {
            Some(span) => fault.at(span, "this import"),
            None => fault,
        });
    }

    pub(super) fn nothing_to_import(
        &mut self,
        kind: &str,
        id: &str,
        address: &InstanceAddr,
        span: Option<Span>,
    ) {
        let fault = Diagnostic::error("G1072", "There is nothing to import")
            .detail(format!("{kind} {id:?} does not exist where the provider looks."))
            .help("Check the id and the provider's account and region; without the import block the object is created.")
            .address(address);
        self.diagnostics.push(match span {
            Some(span) => fault.at(span, "this import"),
            None => fault,
        });
    }

    async fn import_now(
        &mut self,
        address: &InstanceAddr,
        provider: &ProviderAddr,
        recipe: &RecipeId,
        id: &Arc<str>,
        wanted: &Wanted,
    ) -> Importing {
        let kind = &address.resource.kind;
        let Some((_, schema)) = self.schema_of(Mode::Managed, kind, &provider.name) else {
            return Importing::Nothing;
        };
        let seen = match self.imports_found.get(&(address.clone(), id.clone())) {
            Some(seen) => seen.clone(),
            None => match read_import(&self.pool, recipe, kind, id).await {
                Ok(Read::Present(seen)) => seen,
                Ok(Read::Gone) => {
                    self.nothing_to_import(kind, id, address, wanted.span);
                    return Importing::Failed;
                }
                Err(error) => {
                    self.report(&error, &Address::Instance(address.clone()), wanted.span);
                    return Importing::Failed;
                }
            },
        };
        let object = self.imported_object(address, provider, recipe, &schema, &seen);
        if let Some(holder) = self.holder(&object, &schema) {
            let fault = Diagnostic::error("G1069", "Another address holds this object")
                .detail(format!("{kind} {id:?} is in the state as {holder}: one object has one address."))
                .help_edit(
                    format!("If it is to have the new address: moved: [{{from: {holder}, to: {address}}}]."),
                    format!("If it is to have the new address, write a moved block: from = {holder}, to = {address}."),
                )
                .address(address);
            self.diagnostics.push(match wanted.span {
                Some(span) => fault.at(span, "this import"),
                None => fault,
            });
            return Importing::Failed;
        }
        self.imports_found.insert((address.clone(), id.clone()), seen.clone());
        self.imports_done.insert(address.clone());
        self.imported.insert(address.clone(), Some(id.clone()));
        self.refreshed.insert(object.id.clone(), Refreshed::Present(Box::new(seen)));
        self.adopted.insert(object.id.clone(), super::Origin::World);
        self.state.apply(&crate::state::Record::Observed(Box::new(object)));
        Importing::Done
    }

    fn imported_object(
        &self,
        address: &InstanceAddr,
        provider: &ProviderAddr,
        recipe: &RecipeId,
        schema: &KindSchema,
        seen: &Seen,
    ) -> Object {
        let host = self
            .providers
            .get(provider)
            .and_then(|s| s.host())
            .and_then(|h| self.state.current.get(h))
            .cloned();
        Object {
            id: ObjectId(self.host.entropy.hex(10).into()),
            address: address.clone(),
            provider: provider.clone(),
            recipe: recipe.clone(),
            status: Status::Ready,
            attributes: crate::values::apply_schema(seen.attributes.value(), &schema.block),
            private: seen.private.clone(),
            schema_version: schema.version,
            groma_version: env!("CARGO_PKG_VERSION").into(),
            dependencies: BTreeSet::new(),
            host,
            owner_mark: None,
            settings: Settings {
                create_before_destroy: false,
                prevent_destroy: false,
                on_destroy: OnDestroy::Delete,
                timeouts: schema.timeouts,
                // It was made by another hand: its creation is over.
                unprovisioned: false,
                before_destroy: Vec::new(),
            },
            created: self.host.clock.now(),
        }
    }

    /// The address under which the state has an object already: of one kind and world, with the same natural key.
    fn holder(&self, new: &Object, schema: &KindSchema) -> Option<InstanceAddr> {
        let key = |object: &Object| -> Option<Vec<String>> {
            schema.natural_key.iter().map(|part| dotted(&object.attributes, part)).collect()
        };
        let mine = key(new).filter(|parts| !parts.is_empty())?;
        let world = |object: &Object| self.state.recipes.get(&object.recipe).map(|r| r.world.clone());
        let is_same = |o: &&Object| {
            o.address.resource.kind == new.address.resource.kind
                && o.provider.name == new.provider.name
                && o.host == new.host
                && (o.recipe == new.recipe || world(o) == world(new))
                && key(o).as_ref() == Some(&mine)
        };
        self.state.objects.values().find(is_same).map(|o| o.address.clone())
    }

    /// Reports imports for what the spec does not declare.
    pub(crate) fn imports_are_declared(&mut self) {
        let config = self.config();
        for (address, wanted) in self.wanted_imports() {
            let block = block_of(&address.resource);
            let declared =
                config.modules.get(&block.0).and_then(|m| m.resources.get(&block.1)).map(|r| &r.provider);
            let provider = wanted.block.and_then(|i| config.root().imports.get(i)?.provider.as_ref());
            if let (Some(provider), Some(declared)) = (provider, declared)
                && (&provider.name, &provider.alias) != (&declared.name, &declared.alias)
            {
                self.diagnostics.push(
                    Diagnostic::error("G0822", "An import that can't be made")
                        .detail("The resource's own block says which provider it has, and it is another one.")
                        .help("Write provider: in the resource's block.")
                        .at(provider.span, "not here"),
                );
            }
            let is_known = self.seen.contains(&address)
                || self.state.at(&address).is_some()
                || self.left_out.contains(&block)
                || self.may_be_drafted(&address)
                || self.expansions.keys().any(|e| block_of(e) == block);
            if !is_known {
                let word = if declared.is_some() { "has no such instance" } else { "has no such block" };
                self.import_fault(
                    &wanted,
                    &address,
                    format!("The spec {word}: {address}. Declare it to import it."),
                );
            }
        }
    }
}

pub(super) async fn read_import(
    pool: &Arc<Pool>,
    recipe: &RecipeId,
    kind: &str,
    id: &str,
) -> Result<Read, ProviderError> {
    match pool.get(recipe).await?.import(kind, id).await {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Read::Gone),
        answer => answer,
    }
}
