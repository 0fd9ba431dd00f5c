//! Configured providers, by recipe: each is made once, when first asked for.
//!
//! A recipe's minted arguments become [`Minter`]s that evaluate their residual at each use; what a minter gives, and what
//! an ephemeral resource has open, is kept in memory until its renewal time and nowhere else.
//!
//! Invariant: an ephemeral resource is open at most once with the same arguments, whoever asks and however many at a time.

use crate::scope::ResidualScope;
use crate::state::{ObjectId, Recipe, RecipeId};
use async_trait::async_trait;
use futures::future::BoxFuture;
use groma_lang::eval::FunctionHost;
use groma_provider::{
    Configure, Configured, Environment, ErrorKind, Minted, Minter, Provider, ProviderError, World,
};
use groma_types::convert::convert;
use groma_types::value::{Mint, Residual};
use groma_types::{AttrPath, InstanceAddr, Marks, ProviderAddr, Timestamp, Value, ValueKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

pub struct Pool {
    providers: BTreeMap<Arc<str>, Arc<dyn Provider>>,
    env: Environment,
    functions: Arc<dyn FunctionHost + Send + Sync>,
    slots: Mutex<HashMap<RecipeId, Arc<Slot>>>,
    mints: Mutex<BTreeMap<(RecipeId, Mint), Arc<Held>>>,
    /// What ephemeral resources have open, in the order in which they were opened.
    opened: Mutex<Vec<Opened>>,
    /// Hosts that were made in this run: their first calls may be refused for a while.
    fresh_hosts: Mutex<BTreeSet<ObjectId>>,
}

/// What a minter gave last. Whoever asks anew holds the lock, so that the others wait for the same answer.
type Held = futures::lock::Mutex<Option<Minted>>;

/// An ephemeral resource that was opened, and the recipes that it was opened through.
#[derive(Clone)]
struct Opened {
    key: (RecipeId, Mint),
    minters: BTreeMap<ProviderAddr, RecipeId>,
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
            opened: Mutex::default(),
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
        let mut ephemeral: BTreeMap<Arc<Residual>, Value> = BTreeMap::new();
        recipe.config.walk_paths(&AttrPath::root(), &mut |path, value| {
            if let Some(residual) = value.as_unknown().and_then(|u| u.residual.clone()) {
                if value.marks().ephemeral {
                    ephemeral.insert(residual.clone(), Value::NULL);
                }
                let minter = ResidualMinter { residual, minters: recipe.minters.clone(), pool: self.clone() };
                minted.insert(path.clone(), Arc::new(minter));
            }
        });
        for (residual, value) in &mut ephemeral {
            *value = self.fresh(residual, &recipe.minters, false).await?.value;
        }
        let config = recipe.config.map_deep(&mut |v| match v.kind() {
            ValueKind::Unknown(u) => match u.residual.as_ref().map(|r| ephemeral.get(r)) {
                Some(Some(now)) => convert(now, &u.ty).unwrap_or_else(|_| now.clone()).mark(v.marks()),
                Some(None) => Value::null(u.ty.clone()),
                None => v,
            },
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

    /// What a minter gives now, or what an ephemeral resource has open: made or renewed where its time has come.
    async fn mint(
        self: &Arc<Self>,
        mint: &Mint,
        minters: &BTreeMap<ProviderAddr, RecipeId>,
        renew: bool,
    ) -> Result<Minted, ProviderError> {
        let recipe = minters.get(&mint.provider).ok_or_else(|| {
            ProviderError::new(ErrorKind::Bug, format!("no recipe of {} to mint with", mint.provider))
        })?;
        let key = (recipe.clone(), mint.clone());
        let held =
            self.mints.lock().expect("no holder of this lock panics").entry(key.clone()).or_default().clone();
        let mut held = held.lock().await;
        let is_due = |m: &Minted| m.renew_at.is_some_and(|at| self.env.clock.now() >= at);
        // What an ephemeral resource has open for good is not another one because somebody refuses it.
        let is_wanted = |m: &Minted| renew && (mint.opens.is_none() || m.renew_at.is_some());
        if let Some(known) = held.as_ref().filter(|m| !is_due(m) && !is_wanted(m)) {
            return Ok(known.clone());
        }
        let args = self.fresh_parts(&mint.args, minters, false).await?.value.resolve().map_err(|u| {
            ProviderError::new(ErrorKind::Bug, format!("argument {} of {} is not known", u.path, mint.kind))
        })?;
        let configured = self.get(recipe).await?;
        let minted = match held.clone() {
            Some(open) if mint.opens.is_some() => configured.renew(&mint.kind, args, open).await?,
            Some(_) => configured.mint(&mint.kind, args).await?,
            None => {
                let minted = configured.mint(&mint.kind, args).await?;
                if mint.opens.is_some() {
                    let opened = Opened { key, minters: minters.clone() };
                    self.opened.lock().expect("no holder of this lock panics").push(opened);
                }
                minted
            }
        };
        *held = Some(minted.clone());
        Ok(minted)
    }

    /// What an ephemeral resource has open: all of its attributes.
    ///
    /// # Errors
    /// It can't be opened or renewed.
    pub async fn open(
        self: &Arc<Self>,
        mint: &Mint,
        minters: &BTreeMap<ProviderAddr, RecipeId>,
    ) -> Result<Value, ProviderError> {
        Ok(self.mint(mint, minters, false).await?.value)
    }

    fn held(&self, key: &(RecipeId, Mint)) -> Option<Arc<Held>> {
        self.mints.lock().expect("no holder of this lock panics").get(key).cloned()
    }

    /// What ephemeral resources have open, with the time to renew it where there is one.
    fn renewals(&self) -> Vec<(Timestamp, Opened)> {
        let opened = self.opened.lock().expect("no holder of this lock panics").clone();
        let due = |opened: Opened| {
            // Who holds the lock renews it just now.
            let at = self.held(&opened.key)?.try_lock()?.as_ref()?.renew_at?;
            Some((at, opened))
        };
        opened.into_iter().filter_map(due).collect()
    }

    /// When the next ephemeral resource is to be renewed.
    pub fn next_renewal(&self) -> Option<Timestamp> {
        self.renewals().into_iter().map(|(at, _)| at).min()
    }

    /// Renews what is due, so that what is open stays open while nobody asks for it.
    pub async fn renew_due(self: &Arc<Self>) {
        let now = self.env.clock.now();
        for (_, opened) in self.renewals().into_iter().filter(|(at, _)| *at <= now) {
            // Whoever needs it next asks again, and reports.
            let _ = self.mint(&opened.key.1, &opened.minters, false).await;
        }
    }

    /// Closes all that ephemeral resources have open, the last one first: what was opened through another goes before
    /// it. Returns what could not be closed. Configurations that were made with it are made anew when they are asked for.
    pub async fn close(self: &Arc<Self>) -> Vec<(InstanceAddr, ProviderError)> {
        let opened = std::mem::take(&mut *self.opened.lock().expect("no holder of this lock panics"));
        let mut failed = Vec::new();
        for Opened { key, .. } in opened.into_iter().rev() {
            let Some(held) = self.held(&key) else { continue };
            let (recipe, mint) = key;
            let (Some(open), Some(address)) = (held.lock().await.take(), mint.opens) else { continue };
            let closed = match self.get(&recipe).await {
                Ok(configured) => configured.close(&mint.kind, open).await,
                Err(error) => Err(error),
            };
            failed.extend(closed.err().map(|error| (address, error)));
        }
        let slots: Vec<Arc<Slot>> =
            self.slots.lock().expect("no holder of this lock panics").values().cloned().collect();
        for slot in slots.iter().filter(|s| s.recipe.config.deep_marks().ephemeral) {
            *slot.configured.lock().await = None;
        }
        failed
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
                    let minted = self.mint(mint, minters, renew).await?;
                    let value = minted.value.lookup(path).cloned().unwrap_or(Value::NULL);
                    Ok(Minted::new(value, minted.renew_at))
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
                    Ok(Minted::new(value.lookup(path).cloned().unwrap_or(Value::NULL), renew_at))
                }
            }
        })
    }

    /// Replaces every minted or ephemeral part of a value by what it is now.
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
                Some(now) => now.mark(Marks { minted: false, ..v.marks() }).mark(Marks::SENSITIVE),
                None => v,
            }
        });
        Ok(Minted::new(value, renew_at))
    }
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
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
    let text = format!("{provider}|{:?}|{minters:?}|{host:?}", public(config));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    RecipeId(digest.as_ref()[..12].iter().map(|b| format!("{b:02x}")).collect::<String>().into())
}

/// A value whose secrets do not show in it; of a recipe inside, what names its minter.
fn public(value: &Value) -> Value {
    value.map_deep(&mut |v| {
        let marks = v.marks();
        if let Some(residual) = v.as_unknown().and_then(|u| u.residual.as_deref()) {
            return Value::string(format!("minted:{:?}", mint_names(Some(residual))));
        }
        if marks.sensitive || marks.ephemeral { Value::string("secret") } else { v }
    })
}

fn mint_names(residual: Option<&Residual>) -> Option<String> {
    match residual? {
        Residual::Mint(mint, path) => {
            let opens = mint.opens.as_ref().map(ToString::to_string).unwrap_or_default();
            Some(format!("{}:{opens}:{:?}:{path}", mint.kind, public(&mint.args)))
        }
        Residual::Expr { text, inputs, path } => {
            let inner: Vec<String> =
                inputs.values().flat_map(|v| mints_in(v).into_iter().map(|m| m.kind.to_string())).collect();
            Some(format!("{text}:{inner:?}:{path}"))
        }
    }
}

/// All minters that a value's minted and ephemeral parts ask, those that give the arguments of others too.
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
        Residual::Mint(mint, _) => {
            mints.push(mint.clone());
            mints.extend(mints_in(&mint.args));
        }
        Residual::Expr { inputs, .. } => inputs.values().for_each(|v| mints.extend(mints_in(v))),
    }
}
