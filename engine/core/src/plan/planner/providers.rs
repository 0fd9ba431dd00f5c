//! Provider configurations: which one a block uses, whether it is known, its recipe and its world.

use super::{Planner, ProviderState, address_of, prefix, shares_keys};
use crate::config::{Config, ModulePath, ProviderBlock, ProviderRef, body, targets};
use crate::pool;
use crate::scope::Place;
use crate::state::{Recipe, RecipeId};
use crate::values::Keys;
use groma_provider::{ErrorKind, ProviderError, World};
use groma_types::schema::ProviderSchema;
use groma_types::value::{Cause, Causes};
use groma_types::{Address, Diagnostic, InstanceAddr, InstanceKey, ModuleAddr, ProviderAddr, Type, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Planner {
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
        let alias = block.map_or(reference.alias.clone(), |b| b.alias.clone());
        let address = ProviderAddr::new(owner, found.provider, alias, key);
        // One address for all that use it.
        Some(match self.providers.get_key_value(&address) {
            Some((known, _)) => known.clone(),
            None => address,
        })
    }

    /// The place in which the key of a provider reference is evaluated: the caller's, with the call's own key.
    pub(super) fn key_place(&self, module: &ModuleAddr, scope: &ModulePath, place: &Place) -> Place {
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

    pub(super) async fn resolve_provider(&mut self, address: &ProviderAddr) -> ProviderState {
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
            let causes = Causes::from([Cause::Node(Address::Instance(change.address.clone()))]);
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

    pub(super) fn provider_names(&self) -> String {
        self.host.registry.providers.keys().map(|k| k.to_string()).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn provider_config(
        &mut self,
        address: &ProviderAddr,
        schema: &ProviderSchema,
    ) -> Option<Value> {
        let config = self.config();
        let found = block_at(&config, address);
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
        let (value, diagnostics) = body::evaluate(&block.body, &schema.config, &scope);
        let failed = diagnostics.has_errors();
        self.diagnostics.extend(diagnostics);
        (!failed).then(|| self.as_recipe(value, &block.body, &schema.config, &place))
    }

    /// Finds the instance that a hosted provider lives on, from its address arguments.
    pub(super) fn infer_host(&self, address: &ProviderAddr, schema: &ProviderSchema) -> Option<InstanceAddr> {
        if schema.address_args.is_empty() {
            return None;
        }
        let candidates =
            self.order.hosts.get(&(address.module.path(), address.name.clone(), address.alias.clone()))?;
        let instances: Vec<InstanceAddr> = candidates
            .iter()
            .flat_map(|block| {
                let (path, id) = &**block;
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
    pub(super) async fn make_recipe(
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
        recipe.config = without_ephemeral(&recipe.config);
        recipe.world = self.pool.world(&id).await?;
        if let Some(old) = self.state.recipes.get(&id) {
            check_world(&old.world, &recipe.world)?;
        }
        self.expected(address, &recipe.world)?;
        self.state.recipes.insert(id.clone(), recipe);
        Ok(id)
    }
}

impl Planner {
    /// `lifecycle.expect`: the world that it must be, checked before anything is written to it.
    fn expected(&mut self, address: &ProviderAddr, world: &World) -> Result<(), ProviderError> {
        let config = self.config();
        let block = block_at(&config, address);
        let Some(expr) = block.and_then(|b| b.expect.as_ref()) else { return Ok(()) };
        let place = Place { key: address.key.clone(), ..Place::module(address.module.clone()) };
        let (wanted, faults) = self.eval.expr(&self.values, &place, expr);
        self.diagnostics.extend(faults);
        for (part, value) in wanted.as_map().into_iter().flatten() {
            let is = world.0.get(&**part).map(String::as_str);
            let want = groma_types::convert::convert(value, &Type::String).ok();
            let want = want.as_ref().and_then(Value::as_str);
            if want.is_none() || is != want {
                let text = format!(
                    "{address} expects {part} {}, these credentials are for {world}",
                    want.unwrap_or("(not known)")
                );
                return Err(ProviderError::new(ErrorKind::Denied, text)
                    .help("Use the credentials of that world, or change lifecycle.expect."));
            }
        }
        Ok(())
    }
}

/// A configuration as the state holds it: of an ephemeral value only how to ask for it, where there is a way.
fn without_ephemeral(config: &Value) -> Value {
    config.map_deep(&mut |v| match v.marks().ephemeral && !v.is_unknown() {
        true => Value::null(v.ty()).mark(v.marks()),
        false => v,
    })
}

/// The block that a provider configuration is written in, under whatever local name.
fn block_at<'a>(config: &'a Config, address: &ProviderAddr) -> Option<&'a ProviderBlock> {
    let path = address.module.path();
    config
        .modules
        .get(&path)?
        .providers
        .iter()
        .find(|p| targets::provider_name(config, &path, &p.name) == address.name && p.alias == address.alias)
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
pub(super) fn unresolved_causes(config: &Value) -> Option<Causes> {
    let mut causes = Causes::new();
    let mut waits = false;
    config.walk(&mut |v| {
        if let Some(u) = v.as_unknown()
            && u.residual.is_none()
        {
            waits = true;
            causes.join(&u.causes);
        }
    });
    waits.then_some(causes)
}
