//! The order of blocks: which resource blocks each block reaches through locals, variables, outputs and module calls,
//! which hosts providers live on, and which edges the schemas infer between blocks.
//!
//! Made once per configuration. A block stops at the resource blocks that it reaches; provider configurations are
//! apart, since they are nodes of their own.

use crate::config::check::{self, BlockGraph, Item, ItemId};
use crate::config::{BlockId, Config, ModulePath, body, targets};
use crate::facade::Registry;
use groma_lang::expr::Reference;
use groma_types::Mode;
use groma_types::schema::{KindSchema, Relation};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

/// A resource block in the configuration (not in a module instance): the module's path and the block's name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    shared: Arc<(ModulePath, BlockId)>,
}

impl Block {
    pub fn new(module: ModulePath, id: BlockId) -> Block {
        Block { shared: Arc::new((module, id)) }
    }
}

impl Deref for Block {
    type Target = (ModulePath, BlockId);

    fn deref(&self) -> &(ModulePath, BlockId) {
        &self.shared
    }
}

/// A provider block: module path, type, alias.
pub type ProviderKey = Arc<(ModulePath, Arc<str>, Option<Arc<str>>)>;

/// Why an edge was inferred, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Inferred {
    Grants,
    Network,
    Capacity,
    Hosted,
    ExternalEffect,
}

#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Blocks in levels: each reaches only blocks of earlier levels.
    pub levels: Vec<Vec<Block>>,
    /// Resource blocks that a block's own expressions reach.
    pub reach: BTreeMap<Block, BTreeSet<Block>>,
    pub provider_reach: BTreeMap<ProviderKey, BTreeSet<Block>>,
    /// The provider that a block uses.
    pub provider_of: BTreeMap<Block, ProviderKey>,
    /// Blocks whose schema says `hosts`, that a provider's address arguments reach.
    pub hosts: BTreeMap<ProviderKey, Vec<Block>>,
    /// Inferred edges between blocks: the first is settled before the second.
    pub inferred: Vec<(Block, Block, Inferred)>,
    /// Grants of access to a host, before the first call of a provider on it.
    pub access: Vec<(Block, ProviderKey)>,
}

struct Builder<'a> {
    config: &'a Config,
    registry: &'a Registry,
    graph: BlockGraph,
    memo: BTreeMap<ItemId, BTreeSet<Block>>,
    active: BTreeSet<ItemId>,
}

/// Builds the order. The configuration has passed `check`, so it has no cycle.
pub fn build(config: &Config, registry: &Registry) -> Order {
    let graph = check::dependencies(config, registry);
    let mut builder = Builder { config, registry, graph, memo: BTreeMap::new(), active: BTreeSet::new() };
    let mut order = Order::default();
    // One for all blocks that use it.
    let mut keys: BTreeSet<ProviderKey> = BTreeSet::new();
    for (path, module) in &config.modules {
        for (index, provider) in module.providers.iter().enumerate() {
            builder.provider(&mut order, path, index, provider);
        }
        for resource in module.resources.values() {
            let block = Block::new(path.clone(), resource.id.clone());
            let mut reach = builder.direct(&item_of(&block));
            reach.remove(&block);
            order.reach.insert(block.clone(), reach);
            let found = targets::provider_for(config, path, &resource.provider);
            let named = found.block.and_then(|i| config.modules.get(&found.module)?.providers.get(i));
            let alias = named.map_or(resource.provider.alias.clone(), |p| p.alias.clone());
            let key: ProviderKey = Arc::new((found.module, found.provider, alias));
            let key = keys.get(&key).cloned().unwrap_or(key);
            keys.insert(key.clone());
            order.provider_of.insert(block, key);
        }
    }
    builder.infer(&mut order);
    order.levels = levels(&order);
    order
}

fn item_of(block: &Block) -> ItemId {
    ItemId { module: block.0.clone(), item: Item::Resource(block.1.clone()) }
}

impl Builder<'_> {
    fn schema(&self, block: &Block) -> Option<&KindSchema> {
        let module = self.config.modules.get(&block.0)?;
        check::kind_schema(self.config, self.registry, module, module.resources.get(&block.1)?)
    }

    fn provider(
        &mut self,
        order: &mut Order,
        path: &ModulePath,
        index: usize,
        block: &crate::config::ProviderBlock,
    ) {
        let name = targets::provider_name(self.config, path, &block.name);
        let Some(schema) = self.registry.providers.get(&*name).map(|p| p.schema()) else { return };
        let key = Arc::new((path.clone(), name, block.alias.clone()));
        let reach = self.direct(&ItemId { module: path.clone(), item: Item::Provider(index) });
        order.provider_reach.insert(key.clone(), reach);
        let address_refs: Vec<Reference> = match &block.hosted_by {
            Some(reference) => vec![reference.clone()],
            None => schema
                .address_args
                .iter()
                .filter_map(|name| body::argument_expr(&block.body, name))
                .flat_map(|e| e.references())
                .collect(),
        };
        let mut found = BTreeSet::new();
        for block in self.blocks(path, &address_refs) {
            self.hosts_through_data(&block, &mut found, 0);
        }
        if !schema.address_args.is_empty() {
            order.hosts.insert(key, found.into_iter().collect());
        }
    }

    /// A data source or ephemeral resource that is named by a resource of this stack stands for it.
    fn hosts_through_data(&mut self, block: &Block, found: &mut BTreeSet<Block>, depth: usize) {
        match block.1.mode {
            Mode::Managed if self.schema(block).is_some_and(|s| s.hosts) => {
                found.insert(block.clone());
            }
            Mode::Data | Mode::Ephemeral if depth < 16 => {
                for next in self.direct(&item_of(block)) {
                    self.hosts_through_data(&next, found, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// Resource blocks that references in a module reach.
    fn blocks(&mut self, path: &ModulePath, refs: &[Reference]) -> BTreeSet<Block> {
        let Some(module) = self.config.modules.get(path) else { return BTreeSet::new() };
        let named = check::named(self.config, self.registry, module, refs);
        named.iter().flat_map(|item| self.reach(item)).collect()
    }

    /// Resource blocks that an item reaches; a resource stands for itself.
    fn reach(&mut self, id: &ItemId) -> BTreeSet<Block> {
        if let Item::Resource(block) = &id.item {
            return BTreeSet::from([Block::new(id.module.clone(), block.clone())]);
        }
        if let Some(known) = self.memo.get(id) {
            return known.clone();
        }
        if !self.active.insert(id.clone()) {
            return BTreeSet::new();
        }
        let found = self.direct(id);
        self.active.remove(id);
        self.memo.insert(id.clone(), found.clone());
        found
    }

    /// Resource blocks that an item's own expressions reach. Provider configurations are nodes of their own.
    fn direct(&mut self, id: &ItemId) -> BTreeSet<Block> {
        let edges: Vec<ItemId> = self.graph.of(id).iter().map(|e| e.to.clone()).collect();
        let through = edges.iter().filter(|e| !matches!(e.item, Item::Provider(_)));
        through.flat_map(|e| self.reach(e)).collect()
    }

    /// Blocks that the top-level argument of a block reaches.
    fn argument(&mut self, block: &Block, argument: &str) -> BTreeSet<Block> {
        let top = argument.split('.').next().unwrap_or(argument);
        let resource = self.config.modules.get(&block.0).and_then(|m| m.resources.get(&block.1));
        let Some(expr) = resource.and_then(|r| body::argument_expr(&r.body, top)) else {
            return BTreeSet::new();
        };
        self.blocks(&block.0, &expr.references())
    }

    fn infer(&mut self, order: &mut Order) {
        let blocks: Vec<Block> = order.reach.keys().filter(|b| b.1.mode == Mode::Managed).cloned().collect();
        let mut relations: Vec<(Block, Relation)> = Vec::new();
        for block in &blocks {
            let found = self.schema(block).map(|s| s.relations.clone()).unwrap_or_default();
            relations.extend(found.into_iter().map(|r| (block.clone(), r)));
        }
        let gives: Vec<(Block, bool, BTreeSet<Block>)> = relations
            .iter()
            .filter_map(|(b, r)| match r {
                Relation::GrantsTo { arg } => Some((b.clone(), true, self.argument(b, arg))),
                Relation::GivesNetworkTo { arg } => Some((b.clone(), false, self.argument(b, arg))),
                _ => None,
            })
            .collect();
        for (user, relation) in &relations {
            let (arg, is_grant) = match relation {
                Relation::UsesGrantsOf { arg } => (arg, true),
                Relation::UsesNetworkOf { arg } => (arg, false),
                _ => continue,
            };
            let used = self.argument(user, arg);
            let kind = if is_grant { Inferred::Grants } else { Inferred::Network };
            for (giver, _, subject) in gives.iter().filter(|g| g.1 == is_grant && g.0 != *user) {
                if subject.iter().any(|s| used.contains(s)) {
                    order.inferred.push((giver.clone(), user.clone(), kind));
                }
            }
        }
        self.infer_hosted(order, &relations);
    }

    /// Capacity and access of a host, for what lives on it.
    fn infer_hosted(&mut self, order: &mut Order, relations: &[(Block, Relation)]) {
        for (giver, relation) in relations {
            if !matches!(relation, Relation::GivesCapacity | Relation::GrantsHostAccess) {
                continue;
            }
            let attached = self.schema(giver).and_then(|s| s.attached_to.clone());
            let Some(attached) = attached else { continue };
            let hosts = self.argument(giver, &attached.arg);
            let on: Vec<ProviderKey> = order
                .hosts
                .iter()
                .filter(|(_, candidates)| candidates.iter().any(|c| hosts.contains(c)))
                .map(|(key, _)| key.clone())
                .collect();
            if *relation == Relation::GrantsHostAccess {
                order.access.extend(on.into_iter().map(|p| (giver.clone(), p)));
                continue;
            }
            for (user, wanted) in relations.iter().filter(|(_, r)| *r == Relation::NeedsCapacity) {
                if wanted == &Relation::NeedsCapacity
                    && order.provider_of.get(user).is_some_and(|p| on.contains(p))
                {
                    order.inferred.push((giver.clone(), user.clone(), Inferred::Capacity));
                }
            }
        }
    }
}

impl Order {
    /// Everything that must be settled before a block: what it reaches, and what its provider reaches.
    pub fn before(&self, block: &Block) -> BTreeSet<Block> {
        let mut before = self.reach.get(block).cloned().unwrap_or_default();
        if let Some(provider) = self.provider_of.get(block).and_then(|p| self.provider_reach.get(p)) {
            before.extend(provider.iter().cloned());
        }
        before
    }

    /// Blocks that reach any of these, directly or not, in the order of the levels.
    pub fn after(&self, from: &BTreeSet<Block>) -> Vec<Vec<Block>> {
        let mut touched = from.clone();
        let mut levels = Vec::new();
        for level in &self.levels {
            let hit: Vec<Block> = level
                .iter()
                .filter(|b| !from.contains(*b) && self.before(b).iter().any(|x| touched.contains(x)))
                .cloned()
                .collect();
            touched.extend(hit.iter().cloned());
            if !hit.is_empty() {
                levels.push(hit);
            }
        }
        levels
    }

    /// All blocks that a block depends on, directly or not.
    pub fn all_before(&self, block: &Block) -> BTreeSet<Block> {
        let mut found = BTreeSet::new();
        let mut open = vec![block.clone()];
        while let Some(next) = open.pop() {
            open.extend(self.before(&next).into_iter().filter(|b| found.insert(b.clone())));
        }
        found
    }

    /// Managed blocks that a block depends on, through data sources.
    pub fn managed_before(&self, block: &Block) -> BTreeSet<Block> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Block> = self.before(block).into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(next) = open.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            if next.1.mode == Mode::Managed {
                found.insert(next);
            } else {
                open.extend(self.before(&next));
            }
        }
        found
    }
}

fn levels(order: &Order) -> Vec<Vec<Block>> {
    let mut depth: BTreeMap<Block, usize> = BTreeMap::new();
    let mut levels: Vec<Vec<Block>> = Vec::new();
    for block in order.reach.keys() {
        depth_of(block, order, &mut depth);
    }
    for (block, d) in depth {
        if levels.len() <= d {
            levels.resize(d + 1, Vec::new());
        }
        levels[d].push(block);
    }
    levels
}

/// Longest way to a block without predecessors; iterative, since chains may be long.
fn depth_of(block: &Block, order: &Order, depth: &mut BTreeMap<Block, usize>) {
    let mut stack = vec![(block.clone(), false)];
    let mut on_way: BTreeSet<Block> = BTreeSet::new();
    while let Some((block, is_back)) = stack.pop() {
        if is_back {
            let before = order.before(&block);
            let d = before.iter().filter_map(|b| depth.get(b)).max().map_or(0, |d| d + 1);
            depth.insert(block.clone(), d);
            on_way.remove(&block);
            continue;
        }
        if depth.contains_key(&block) || !on_way.insert(block.clone()) {
            continue;
        }
        stack.push((block.clone(), true));
        let before = order.before(&block);
        stack.extend(before.into_iter().filter(|b| order.reach.contains_key(b)).map(|b| (b, false)));
    }
}
