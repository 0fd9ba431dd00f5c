//! The order of blocks: which resource blocks each block reaches through locals, variables, outputs and module calls,
//! which hosts providers live on, and which edges the schemas infer between blocks.
//!
//! Made once per configuration. A block stops at the resource blocks that it reaches; provider configurations are
//! apart, since they are nodes of their own.

use crate::config::{BlockId, Config, Expansion, Module, ModulePath, ResourceBlock, body, targets};
use crate::facade::Registry;
use groma_lang::expr::{Expr, Reference};
use groma_types::Mode;
use groma_types::schema::{KindSchema, Relation};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A resource block in the configuration (not in a module instance).
pub type Block = (ModulePath, BlockId);

/// A provider block: module path, type, alias.
pub type ProviderKey = (ModulePath, Arc<str>, Option<Arc<str>>);

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

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Local(ModulePath, Arc<str>),
    Variable(ModulePath, Arc<str>),
    Output(ModulePath, Arc<str>),
    Call(ModulePath, Arc<str>),
    Resource(Block),
}

struct Builder<'a> {
    config: &'a Config,
    registry: &'a Registry,
    memo: BTreeMap<Item, BTreeSet<Block>>,
    active: BTreeSet<Item>,
}

/// Builds the order. The configuration has passed `check`, so it has no cycle.
pub fn build(config: &Config, registry: &Registry) -> Order {
    let mut builder = Builder { config, registry, memo: BTreeMap::new(), active: BTreeSet::new() };
    let mut order = Order::default();
    for (path, module) in &config.modules {
        for provider in &module.providers {
            let key = (path.clone(), provider.name.clone(), provider.alias.clone());
            builder.provider(&mut order, module, provider, &key);
        }
        for resource in module.resources.values() {
            let block = (path.clone(), resource.id.clone());
            let refs = builder.resource_refs(module, resource);
            let mut reach = builder.blocks(path, &refs);
            reach.extend(builder.calls_above(path));
            reach.remove(&block);
            order.reach.insert(block.clone(), reach);
            let found = targets::provider_for(config, path, &resource.provider);
            let named = found.block.and_then(|i| config.modules.get(&found.module)?.providers.get(i));
            let alias = named.map_or(resource.provider.alias.clone(), |p| p.alias.clone());
            let name = named.map_or(resource.provider.name.clone(), |p| p.name.clone());
            order.provider_of.insert(block, (found.module, name, alias));
        }
    }
    builder.infer(&mut order);
    order.levels = levels(&order);
    order
}

impl Builder<'_> {
    fn schema(&self, id: &BlockId, provider: &str) -> Option<&KindSchema> {
        let schema = self.registry.providers.get(provider)?.schema();
        match id.mode {
            Mode::Managed => schema.resources.get(&id.kind),
            Mode::Data => schema.data.get(&id.kind),
            Mode::Ephemeral => schema.ephemeral.get(&id.kind),
        }
    }

    fn resource_refs(&self, _module: &Module, resource: &ResourceBlock) -> Vec<Reference> {
        let mut refs = match self.schema(&resource.id, &resource.provider.name) {
            Some(schema) => body::references(&resource.body, &schema.block),
            None => Vec::new(),
        };
        refs.extend(expansion_refs(&resource.expansion));
        refs.extend(resource.depends_on.iter().cloned());
        let lifecycle = &resource.lifecycle;
        let exprs = [
            &lifecycle.create_before_destroy,
            &lifecycle.prevent_destroy,
            &lifecycle.on_destroy,
            &lifecycle.max_instances,
            &lifecycle.wait,
        ];
        refs.extend(exprs.into_iter().flatten().flat_map(Expr::references));
        refs.extend(resource.timeouts.values().flat_map(Expr::references));
        refs.extend(resource.provider.key.iter().flat_map(Expr::references));
        refs.extend(lifecycle.replace_triggered_by.iter().cloned());
        let rules = lifecycle.preconditions.iter().chain(&lifecycle.postconditions);
        refs.extend(
            rules.flat_map(|r| r.condition.references().into_iter().chain(r.error_message.references())),
        );
        refs
    }

    fn provider(
        &mut self,
        order: &mut Order,
        module: &Module,
        block: &crate::config::ProviderBlock,
        key: &ProviderKey,
    ) {
        let Some(provider) = self.registry.providers.get(&block.name) else { return };
        let schema = provider.schema();
        let mut refs = body::references(&block.body, &schema.config);
        refs.extend(block.for_each.iter().flat_map(Expr::references));
        refs.extend(block.expect.iter().flat_map(Expr::references));
        let reach = self.blocks(&key.0, &refs);
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
        for block in self.blocks(&key.0, &address_refs) {
            self.hosts_through_data(&block, &mut found, 0);
        }
        if !schema.address_args.is_empty() {
            order.hosts.insert(key.clone(), found.into_iter().collect());
        }
        let _ = module;
    }

    /// A data source that is named by a resource of this stack stands for it.
    fn hosts_through_data(&mut self, block: &Block, found: &mut BTreeSet<Block>, depth: usize) {
        let Some(resource) = self.config.modules.get(&block.0).and_then(|m| m.resources.get(&block.1)) else {
            return;
        };
        let schema = self.schema(&resource.id, &resource.provider.name);
        match resource.id.mode {
            Mode::Managed if schema.is_some_and(|s| s.hosts) => {
                found.insert(block.clone());
            }
            Mode::Data if depth < 16 => {
                let Some(schema) = schema else { return };
                let refs = body::references(&resource.body, &schema.block);
                for next in self.blocks(&block.0, &refs) {
                    self.hosts_through_data(&next, found, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// Resource blocks that references in a module reach.
    fn blocks(&mut self, path: &ModulePath, refs: &[Reference]) -> BTreeSet<Block> {
        let Some(module) = self.config.modules.get(path) else { return BTreeSet::new() };
        let mut found = BTreeSet::new();
        for reference in refs {
            let Ok(target) = targets::target(module, reference) else { continue };
            for item in items_of(path, &target, self.config) {
                found.extend(self.item(&item));
            }
        }
        found
    }

    fn item(&mut self, item: &Item) -> BTreeSet<Block> {
        if let Item::Resource(block) = item {
            return BTreeSet::from([block.clone()]);
        }
        if let Some(known) = self.memo.get(item) {
            return known.clone();
        }
        if !self.active.insert(item.clone()) {
            return BTreeSet::new();
        }
        let found = self.item_blocks(item);
        self.active.remove(item);
        self.memo.insert(item.clone(), found.clone());
        found
    }

    fn item_blocks(&mut self, item: &Item) -> BTreeSet<Block> {
        let config = self.config;
        match item {
            Item::Resource(block) => BTreeSet::from([block.clone()]),
            Item::Local(path, name) => {
                let refs =
                    config.modules.get(path).and_then(|m| m.locals.get(name)).map(|l| l.value.references());
                self.blocks(path, &refs.unwrap_or_default())
            }
            Item::Output(path, name) => {
                let Some(output) = config.modules.get(path).and_then(|m| m.outputs.get(name)) else {
                    return BTreeSet::new();
                };
                let mut refs = output.value.references();
                refs.extend(output.depends_on.iter().cloned());
                self.blocks(path, &refs)
            }
            Item::Variable(path, name) => {
                let Some((call_name, parent)) = path.split_last() else { return BTreeSet::new() };
                let parent = parent.to_vec();
                let call = config.modules.get(&parent).and_then(|m| m.calls.get(call_name));
                let refs = call.and_then(|c| c.arguments.get(name)).map(Expr::references).unwrap_or_default();
                let mut found = self.blocks(&parent, &refs);
                found.extend(self.item(&Item::Call(parent, call_name.clone())));
                found
            }
            Item::Call(path, name) => {
                let Some(call) = config.modules.get(path).and_then(|m| m.calls.get(name)) else {
                    return BTreeSet::new();
                };
                let mut refs = expansion_refs(&call.expansion);
                refs.extend(call.depends_on.iter().cloned());
                let mut found = self.blocks(path, &refs);
                found.extend(self.calls_above(path));
                found
            }
        }
    }

    /// What the module calls above a module wait for.
    fn calls_above(&mut self, path: &ModulePath) -> BTreeSet<Block> {
        match path.split_last() {
            None => BTreeSet::new(),
            Some((name, parent)) => self.item(&Item::Call(parent.to_vec(), name.clone())),
        }
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
            let provider = order.provider_of.get(block).map(|p| p.1.clone()).unwrap_or_default();
            let found = self.schema(&block.1, &provider).map(|s| s.relations.clone()).unwrap_or_default();
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
            let provider = order.provider_of.get(giver).map(|p| p.1.clone()).unwrap_or_default();
            let attached = self.schema(&giver.1, &provider).and_then(|s| s.attached_to.clone());
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

fn expansion_refs(expansion: &Expansion) -> Vec<Reference> {
    match expansion {
        Expansion::Single => Vec::new(),
        Expansion::Count(e) | Expansion::ForEach(e) | Expansion::Enabled(e) => e.references(),
    }
}

fn items_of(path: &ModulePath, target: &targets::Target, config: &Config) -> Vec<Item> {
    use targets::Target;
    match target {
        Target::Variable(name) => vec![Item::Variable(path.clone(), name.clone())],
        Target::Local(name) => vec![Item::Local(path.clone(), name.clone())],
        Target::Resource(id) => vec![Item::Resource((path.clone(), id.clone()))],
        Target::Module { call, output } => {
            let child: ModulePath = path.iter().cloned().chain([call.clone()]).collect();
            let mut items = vec![Item::Call(path.clone(), call.clone())];
            match output {
                Some(name) => items.push(Item::Output(child, name.clone())),
                None => {
                    let module = config.modules.get(&child);
                    items.extend(module.into_iter().flat_map(|m| {
                        m.outputs.keys().map(|n| Item::Output(child.clone(), n.clone())).collect::<Vec<_>>()
                    }));
                    // `depends_on: [module.x]` waits for everything inside.
                    items.extend(config.modules.iter().filter(|(p, _)| p.starts_with(&child)).flat_map(
                        |(p, m)| {
                            m.resources
                                .keys()
                                .map(|id| Item::Resource((p.clone(), id.clone())))
                                .collect::<Vec<_>>()
                        },
                    ));
                }
            }
            items
        }
        Target::Each | Target::Count | Target::Path | Target::Terraform | Target::SelfObject => Vec::new(),
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
