//! Configured providers, by recipe: each is made once, when first asked for.
//!
//! A recipe's minted arguments become [`Minter`]s that evaluate their residual at each use; what a minter gives is
//! kept in memory until its renewal time and nowhere else.

use crate::scope::ResidualScope;
use crate::state::{ObjectId, Recipe, RecipeId};
use async_trait::async_trait;
use futures::future::BoxFuture;
use groma_lang::eval::FunctionHost;
use groma_provider::{
    Configure, Configured, Environment, ErrorKind, Minted, Minter, Provider, ProviderError, World,
};
use groma_types::value::{Mint, Residual};
use groma_types::{AttrPath, ProviderAddr, Value, ValueKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

pub struct Pool {
    providers: BTreeMap<Arc<str>, Arc<dyn Provider>>,
    env: Environment,
    functions: Arc<dyn FunctionHost + Send + Sync>,
    slots: Mutex<HashMap<RecipeId, Arc<Slot>>>,
    mints: Mutex<BTreeMap<(RecipeId, Mint), Minted>>,
    /// Hosts that were made in this run: their first calls may be refused for a while.
    fresh_hosts: Mutex<BTreeSet<ObjectId>>,
}

struct Slot {
    recipe: Recipe,
    configured: futures::lock::Mutex<Option<Arc<dyn Configured>>>,
    world: futures::lock::Mutex<Option<World>>,
}

impl Pool {
    pub fn new(
        providers: BTreeMap<Arc<str>, Arc<dyn Provider>>,
        env: Environment,
        functions: Arc<dyn FunctionHost + Send + Sync>,
    ) -> Arc<Pool> {
        Arc::new(Pool {
            providers,
            env,
            functions,
            slots: Mutex::default(),
            mints: Mutex::default(),
            fresh_hosts: Mutex::default(),
        })
    }

    pub fn provider(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.providers.get(name)
    }

    /// Takes a recipe in. The one that is there is replaced if its content (a secret) changed.
    pub fn add(&self, id: &RecipeId, recipe: &Recipe) {
        let mut slots = self.slots.lock().expect("no holder of this lock panics");
        let is_same = slots.get(id).is_some_and(|s| s.recipe.config == recipe.config);
        if !is_same {
            let slot =
                Slot { recipe: recipe.clone(), configured: Default::default(), world: Default::default() };
            slots.insert(id.clone(), Arc::new(slot));
        }
    }

    pub fn has(&self, id: &RecipeId) -> bool {
        self.slots.lock().expect("no holder of this lock panics").contains_key(id)
    }

    pub fn recipe(&self, id: &RecipeId) -> Option<Recipe> {
        self.slots.lock().expect("no holder of this lock panics").get(id).map(|s| s.recipe.clone())
    }

    pub fn host_is_fresh(&self, host: ObjectId) {
        self.fresh_hosts.lock().expect("no holder of this lock panics").insert(host);
    }

    fn is_fresh(&self, host: &ObjectId) -> bool {
        self.fresh_hosts.lock().expect("no holder of this lock panics").contains(host)
    }

    fn slot(&self, id: &RecipeId) -> Result<Arc<Slot>, ProviderError> {
        let slots = self.slots.lock().expect("no holder of this lock panics");
        slots
            .get(id)
            .cloned()
            .ok_or_else(|| ProviderError::new(ErrorKind::Bug, format!("recipe {id} is not known")))
    }

    /// The configured provider of a recipe.
    ///
    /// # Errors
    /// Those of `configure`; the next caller tries anew.
    pub async fn get(self: &Arc<Self>, id: &RecipeId) -> Result<Arc<dyn Configured>, ProviderError> {
        let slot = self.slot(id)?;
        let mut configured = slot.configured.lock().await;
        if let Some(ready) = &*configured {
            return Ok(ready.clone());
        }
        let ready = self.configure(&slot.recipe).await?;
        *configured = Some(ready.clone());
        Ok(ready)
    }

    async fn configure(self: &Arc<Self>, recipe: &Recipe) -> Result<Arc<dyn Configured>, ProviderError> {
        let name = &recipe.provider.name;
        let provider = self.provider(name).ok_or_else(|| {
            ProviderError::new(ErrorKind::Invalid, format!("this build has no provider {name}"))
        })?;
        let mut minted: BTreeMap<AttrPath, Arc<dyn Minter>> = BTreeMap::new();
        recipe.config.walk_paths(&AttrPath::root(), &mut |path, value| {
            if let Some(residual) = value.as_unknown().and_then(|u| u.residual.clone()) {
                let minter = ResidualMinter { residual, minters: recipe.minters.clone(), pool: self.clone() };
                minted.insert(path.clone(), Arc::new(minter));
            }
        });
        let config = recipe.config.map_deep(&mut |v| match v.kind() {
            ValueKind::Unknown(u) if u.residual.is_some() => Value::null(u.ty.clone()),
            _ => v,
        });
        let config = config.resolve().map_err(|u| {
            ProviderError::new(
                ErrorKind::Bug,
                format!("configuration of {} is not known at {}", recipe.provider, u.path),
            )
        })?;
        let fresh_host = recipe.host.as_ref().is_some_and(|h| self.is_fresh(h));
        provider.configure(Configure { config, minted, env: self.env.clone(), fresh_host }).await
    }

    /// The identity of a recipe's world: its host object, or what the provider reads once.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn world(self: &Arc<Self>, id: &RecipeId) -> Result<World, ProviderError> {
        let slot = self.slot(id)?;
        if let Some(host) = &slot.recipe.host {
            return Ok(World::of([("host", host.to_string())]));
        }
        let mut world = slot.world.lock().await;
        if let Some(known) = &*world {
            return Ok(known.clone());
        }
        let read = self.get(id).await?.identity().await?;
        *world = Some(read.clone());
        Ok(read)
    }

    /// Returns what a minter gives now.
    async fn mint(
        self: &Arc<Self>,
        recipe: &RecipeId,
        mint: &Mint,
        renew: bool,
    ) -> Result<Minted, ProviderError> {
        let key = (recipe.clone(), mint.clone());
        let known = self.mints.lock().expect("no holder of this lock panics").get(&key).cloned();
        if let Some(known) = known
            && !renew
            && known.renew_at.is_none_or(|at| self.env.clock.now() < at)
        {
            return Ok(known);
        }
        let args = mint.args.clone().resolve().map_err(|u| {
            ProviderError::new(ErrorKind::Bug, format!("argument {} of {} is not known", u.path, mint.kind))
        })?;
        let minted = self.get(recipe).await?.mint(&mint.kind, args).await?;
        self.mints.lock().expect("no holder of this lock panics").insert(key, minted.clone());
        Ok(minted)
    }

    /// Evaluates a residual: the value, and when it should be made anew.
    fn fresh<'a>(
        self: &'a Arc<Self>,
        residual: &'a Residual,
        minters: &'a BTreeMap<ProviderAddr, RecipeId>,
        renew: bool,
    ) -> BoxFuture<'a, Result<Minted, ProviderError>> {
        Box::pin(async move {
            match residual {
                Residual::Mint(mint, path) => {
                    let recipe = minters.get(&mint.provider).ok_or_else(|| {
                        ProviderError::new(
                            ErrorKind::Bug,
                            format!("no recipe of {} to mint with", mint.provider),
                        )
                    })?;
                    let minted = self.mint(recipe, mint, renew).await?;
                    let value = minted.value.lookup(path).cloned().unwrap_or(Value::NULL);
                    Ok(Minted { value, renew_at: minted.renew_at })
                }
                Residual::Expr { text, inputs, path } => {
                    let mut renew_at = None;
                    let mut resolved = Vec::new();
                    for (name, input) in inputs {
                        let minted = self.fresh_parts(input, minters, renew).await?;
                        renew_at = earliest(renew_at, minted.renew_at);
                        resolved.push((name.clone(), minted.value));
                    }
                    let resolved = resolved.into_iter().collect();
                    let scope = ResidualScope { inputs: &resolved, functions: &*self.functions };
                    let value = evaluate_text(text, &scope)?;
                    Ok(Minted { value: value.lookup(path).cloned().unwrap_or(Value::NULL), renew_at })
                }
            }
        })
    }

    /// Replaces every minted part of a value by what it is now.
    ///
    /// # Errors
    /// A minter fails.
    pub async fn fresh_parts(
        self: &Arc<Self>,
        value: &Value,
        minters: &BTreeMap<ProviderAddr, RecipeId>,
        renew: bool,
    ) -> Result<Minted, ProviderError> {
        let mut residuals: Vec<Arc<Residual>> = Vec::new();
        value.walk(&mut |v| residuals.extend(v.as_unknown().and_then(|u| u.residual.clone())));
        let mut renew_at = None;
        let mut fresh: BTreeMap<Arc<Residual>, Value> = BTreeMap::new();
        for residual in residuals {
            let minted = self.fresh(&residual, minters, renew).await?;
            renew_at = earliest(renew_at, minted.renew_at);
            fresh.insert(residual, minted.value);
        }
        let value = value.map_deep(&mut |v| {
            let residual = v.as_unknown().and_then(|u| u.residual.clone());
            match residual.and_then(|r| fresh.get(&r).cloned()) {
                Some(now) => now.mark(groma_types::Marks::SENSITIVE),
                None => v,
            }
        });
        Ok(Minted { value, renew_at })
    }
}

fn earliest(
    a: Option<groma_types::Timestamp>,
    b: Option<groma_types::Timestamp>,
) -> Option<groma_types::Timestamp> {
    a.into_iter().chain(b).min()
}

fn evaluate_text(text: &str, scope: &ResidualScope<'_>) -> Result<Value, ProviderError> {
    let bad = |what: String| {
        ProviderError::new(ErrorKind::Invalid, format!("a credential's expression failed: {what}"))
    };
    let source = groma_types::SourceId(0);
    let (expr, diagnostics) =
        groma_lang::expr::parse_expression(&groma_lang::text::Text::plain(text, source, 0));
    if diagnostics.has_errors() {
        return Err(bad("it does not parse".into()));
    }
    let (value, diagnostics) = groma_lang::eval::evaluate(&expr, scope);
    match diagnostics.iter().find(|d| d.is_error()) {
        Some(d) => Err(bad(d.summary.to_string())),
        None => Ok(value),
    }
}

struct ResidualMinter {
    residual: Arc<Residual>,
    minters: BTreeMap<ProviderAddr, RecipeId>,
    pool: Arc<Pool>,
}

#[async_trait]
impl Minter for ResidualMinter {
    async fn mint(&self, renew: bool) -> Result<Minted, ProviderError> {
        self.pool.fresh(&self.residual, &self.minters, renew).await
    }
}

/// Names a recipe by its content. Secrets do not count: they would be guessable from the name, and a rotated secret
/// leads to the same world.
pub fn recipe_id(
    provider: &str,
    config: &Value,
    minters: &BTreeMap<ProviderAddr, RecipeId>,
    host: Option<&ObjectId>,
) -> RecipeId {
    let public = config.map_deep(&mut |v| {
        if v.marks().minted {
            // The residual's structure names the minter; its inputs hold no secret in the clear but through marks.
            return Value::string(format!(
                "minted:{:?}",
                v.as_unknown().and_then(|u| mint_names(u.residual.as_deref()))
            ));
        }
        if v.marks().sensitive { Value::string("secret") } else { v }
    });
    let text = format!("{provider}|{public:?}|{minters:?}|{host:?}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    RecipeId(digest.as_ref()[..12].iter().map(|b| format!("{b:02x}")).collect::<String>().into())
}

fn mint_names(residual: Option<&Residual>) -> Option<String> {
    match residual? {
        Residual::Mint(mint, path) => Some(format!("{}:{:?}:{path}", mint.kind, mint.args)),
        Residual::Expr { text, inputs, path } => {
            let inner: Vec<String> =
                inputs.values().flat_map(|v| mints_in(v).into_iter().map(|m| m.kind.to_string())).collect();
            Some(format!("{text}:{inner:?}:{path}"))
        }
    }
}

/// All minters that a value's minted parts ask.
pub fn mints_in(value: &Value) -> Vec<Mint> {
    let mut mints = Vec::new();
    value.walk(&mut |v| {
        if let Some(residual) = v.as_unknown().and_then(|u| u.residual.clone()) {
            collect(&residual, &mut mints);
        }
    });
    mints
}

fn collect(residual: &Residual, mints: &mut Vec<Mint>) {
    match residual {
        Residual::Mint(mint, _) => mints.push(mint.clone()),
        Residual::Expr { inputs, .. } => inputs.values().for_each(|v| mints.extend(mints_in(v))),
    }
}
