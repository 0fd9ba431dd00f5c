//! What refers to what: every declared thing with the things that it names directly, and where.

use super::{Schemas, kind_schema};
use crate::config::targets::{Target, provider_for, provider_name, target};
use crate::config::{
    BlockId, Config, Expansion, Module, ModulePath, ProviderRef, ResourceBlock, Rule, When, body,
    provisioners,
};
use groma_lang::expr::{Expr, Reference};
use groma_types::Span;
use groma_types::schema::Block;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A declared thing of a module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    Variable(Arc<str>),
    Local(Arc<str>),
    Output(Arc<str>),
    Resource(BlockId),
    /// Position in the module's `providers`.
    Provider(usize),
    /// A module call: its expansion and what it depends on.
    Call(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    pub module: ModulePath,
    pub item: Item,
}

/// One thing that is named, and the place that names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    pub to: ItemId,
    pub span: Span,
}

/// Every item of a config with what it names directly, in the order of writing.
#[derive(Clone, Debug, Default)]
pub struct BlockGraph {
    pub edges: BTreeMap<ItemId, Vec<Edge>>,
}

impl BlockGraph {
    pub fn of(&self, id: &ItemId) -> &[Edge] {
        self.edges.get(id).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Builds the graph of direct references. Names that are not declared have no edge.
pub fn dependencies(config: &Config, schemas: &dyn Schemas) -> BlockGraph {
    let mut builder = Builder { config, schemas, graph: BlockGraph::default() };
    for module in config.modules.values() {
        builder.module(module);
    }
    builder.graph
}

/// The items that references in a module name directly.
pub fn named(
    config: &Config,
    schemas: &dyn Schemas,
    module: &Module,
    references: &[Reference],
) -> Vec<ItemId> {
    let builder = Builder { config, schemas, graph: BlockGraph::default() };
    let mut edges = Vec::new();
    builder.references(module, references, false, &mut edges);
    edges.into_iter().map(|e| e.to).collect()
}

struct Builder<'a> {
    config: &'a Config,
    schemas: &'a dyn Schemas,
    graph: BlockGraph,
}

impl<'a> Builder<'a> {
    fn module(&mut self, module: &'a Module) {
        for name in module.variables.keys() {
            let edges = self.argument(module, name);
            self.put(module, Item::Variable(name.clone()), edges);
        }
        for (name, local) in &module.locals {
            let mut edges = self.inside(module);
            self.expr(module, &local.value, &mut edges);
            self.put(module, Item::Local(name.clone()), edges);
        }
        for (name, output) in &module.outputs {
            let mut edges = self.inside(module);
            self.expr(module, &output.value, &mut edges);
            self.references(module, &output.depends_on, true, &mut edges);
            self.rules(module, &output.preconditions, &mut edges);
            self.put(module, Item::Output(name.clone()), edges);
        }
        for (id, block) in &module.resources {
            let edges = self.resource(module, block);
            self.put(module, Item::Resource(id.clone()), edges);
        }
        for index in 0..module.providers.len() {
            let edges = self.provider(module, index);
            self.put(module, Item::Provider(index), edges);
        }
        for (name, call) in &module.calls {
            let mut edges = self.inside(module);
            self.expansion(module, &call.expansion, &mut edges);
            self.references(module, &call.depends_on, true, &mut edges);
            self.put(module, Item::Call(name.clone()), edges);
        }
    }

    fn put(&mut self, module: &Module, item: Item, mut edges: Vec<Edge>) {
        let mut seen = std::collections::BTreeSet::new();
        edges.retain(|e| seen.insert(e.clone()));
        self.graph.edges.insert(ItemId { module: module.path.clone(), item }, edges);
    }

    /// Whatever stands in a called module waits for the call's expansion.
    fn inside(&self, module: &Module) -> Vec<Edge> {
        let Some((name, parent)) = module.path.split_last() else { return Vec::new() };
        let call = self.config.modules.get(parent).and_then(|m| m.calls.get(name));
        let to = ItemId { module: parent.to_vec(), item: Item::Call(name.clone()) };
        call.map(|c| Edge { to, span: c.span }).into_iter().collect()
    }

    /// What the caller gives for a variable.
    fn argument(&self, module: &Module, variable: &str) -> Vec<Edge> {
        let mut edges = self.inside(module);
        if let Some((name, parent)) = module.path.split_last()
            && let Some(caller) = self.config.modules.get(parent)
            && let Some(argument) = caller.calls.get(name).and_then(|c| c.arguments.get(variable))
        {
            self.expr(caller, argument, &mut edges);
        }
        edges
    }

    fn resource(&self, module: &Module, block: &ResourceBlock) -> Vec<Edge> {
        let mut edges = self.inside(module);
        self.expansion(module, &block.expansion, &mut edges);
        let empty = Block::default();
        let schema = kind_schema(self.config, self.schemas, module, block).map_or(&empty, |k| &k.block);
        self.references(module, &body::references(&block.body, schema), false, &mut edges);
        self.provider_use(module, &block.provider, &mut edges);
        self.references(module, &block.depends_on, true, &mut edges);
        for expr in lifecycle_exprs(block) {
            self.expr(module, expr, &mut edges);
        }
        block.lifecycle.replace_triggered_by.iter().for_each(|e| self.expr(module, e, &mut edges));
        let root = self.config.root();
        for import in root.imports.iter().filter(|i| i.to.is_of(&module.path, &block.id)) {
            import.exprs().chain(&import.for_each).for_each(|e| self.expr(root, e, &mut edges));
        }
        self.rules(module, &block.lifecycle.preconditions, &mut edges);
        self.rules(module, &block.lifecycle.postconditions, &mut edges);
        for provisioner in block.provisioners.iter().filter(|p| p.when == When::Create) {
            self.references(module, &provisioners::references(provisioner), false, &mut edges);
        }
        // A postcondition may name its own block.
        let own = ItemId { module: module.path.clone(), item: Item::Resource(block.id.clone()) };
        let conditions: Vec<Span> = block.lifecycle.postconditions.iter().map(|r| r.span).collect();
        let within = |e: &Edge| {
            conditions
                .iter()
                .any(|c| c.source == e.span.source && c.start <= e.span.start && e.span.end <= c.end)
        };
        edges.retain(|e| e.to != own || !within(e));
        edges
    }

    fn provider(&self, module: &Module, index: usize) -> Vec<Edge> {
        let mut edges = self.inside(module);
        let Some(provider) = module.providers.get(index) else { return edges };
        let name = provider_name(self.config, &module.path, &provider.name);
        let empty = Block::default();
        let schema = self.schemas.provider(&name).map_or(&empty, |p| &p.config);
        self.references(module, &body::references(&provider.body, schema), false, &mut edges);
        for expr in provider.for_each.iter().chain(&provider.expect) {
            self.expr(module, expr, &mut edges);
        }
        if let Some(host) = &provider.hosted_by {
            self.reference(module, host, false, &mut edges);
        }
        edges
    }

    fn provider_use(&self, module: &Module, wanted: &ProviderRef, edges: &mut Vec<Edge>) {
        let found = provider_for(self.config, &module.path, wanted);
        if let Some(index) = found.block {
            let to = ItemId { module: found.module, item: Item::Provider(index) };
            edges.push(Edge { to, span: wanted.span });
        }
        if let Some((key, path)) = &found.key
            && let Some(scope) = self.config.modules.get(path)
        {
            self.expr(scope, key, edges);
        }
    }

    fn expansion(&self, module: &Module, expansion: &Expansion, edges: &mut Vec<Edge>) {
        match expansion {
            Expansion::Single => {}
            Expansion::Count(e) | Expansion::ForEach(e) | Expansion::Enabled(e) => {
                self.expr(module, e, edges);
            }
        }
    }

    fn rules(&self, module: &Module, rules: &[Rule], edges: &mut Vec<Edge>) {
        for rule in rules {
            self.expr(module, &rule.condition, edges);
            self.expr(module, &rule.error_message, edges);
        }
    }

    fn expr(&self, module: &Module, expr: &Expr, edges: &mut Vec<Edge>) {
        self.references(module, &expr.references(), false, edges);
    }

    fn references(&self, module: &Module, all: &[Reference], whole: bool, edges: &mut Vec<Edge>) {
        all.iter().for_each(|r| self.reference(module, r, whole, edges));
    }

    /// `whole`: a module means everything inside of it, as in `depends_on`.
    fn reference(&self, module: &Module, reference: &Reference, whole: bool, edges: &mut Vec<Edge>) {
        let span = reference.span;
        let own = |item| ItemId { module: module.path.clone(), item };
        match target(module, reference) {
            Ok(Target::Variable(name)) => edges.push(Edge { to: own(Item::Variable(name)), span }),
            Ok(Target::Local(name)) => edges.push(Edge { to: own(Item::Local(name)), span }),
            Ok(Target::Resource(id)) => edges.push(Edge { to: own(Item::Resource(id)), span }),
            Ok(Target::Module { call, output }) => {
                edges.push(Edge { to: own(Item::Call(call.clone())), span });
                self.called(module, &call, output.as_ref(), whole, span, edges);
            }
            Ok(Target::Each | Target::Count | Target::Path | Target::Terraform | Target::SelfObject)
            | Err(_) => {}
        }
    }

    fn called(
        &self,
        module: &Module,
        call: &Arc<str>,
        output: Option<&Arc<str>>,
        whole: bool,
        span: Span,
        edges: &mut Vec<Edge>,
    ) {
        let mut path = module.path.clone();
        path.push(call.clone());
        if whole {
            for inner in self.config.modules.values().filter(|m| m.path.starts_with(&path)) {
                let resources = inner.resources.keys().cloned().map(Item::Resource);
                let outputs = inner.outputs.keys().cloned().map(Item::Output);
                for item in resources.chain(outputs) {
                    edges.push(Edge { to: ItemId { module: inner.path.clone(), item }, span });
                }
            }
            return;
        }
        let Some(inner) = self.config.modules.get(&path) else { return };
        for name in inner.outputs.keys().filter(|n| output.is_none_or(|o| o == *n)) {
            let to = ItemId { module: path.clone(), item: Item::Output(name.clone()) };
            edges.push(Edge { to, span });
        }
    }
}

/// Expressions of the meta-arguments, conditions apart.
pub(super) fn lifecycle_exprs(block: &ResourceBlock) -> impl Iterator<Item = &Expr> {
    let l = &block.lifecycle;
    [&l.create_before_destroy, &l.prevent_destroy, &l.on_destroy, &l.max_instances, &l.on_missing, &l.wait]
        .into_iter()
        .flatten()
        .chain(block.timeouts.values())
}
