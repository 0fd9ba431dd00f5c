//! Builds the graph of an apply, or the piece of a fragment: nodes per instance, edges by the rules below, and the
//! pass in which edges yield.
//!
//! `X → Y`: X ends before Y starts. Block-level order goes through `Expanded` and `Settled`; deletions are ordered by
//! what objects recorded when they were settled. Rules are numbered as in the design.
//!
//! Invariant: the result has no cycle; an edge that yielded is in `yielded` and nowhere else.

use super::order::{Block, Inferred};
use crate::plan::planner::{ChangeKey, Planner, block_of, shares_keys};
use crate::plan::{Change, ChangeAction};
use crate::state::{Object, ObjectId};
use groma_types::{InstanceAddr, Mode, ProviderAddr, ResourceAddr};
use indexmap::IndexSet;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// A provider configuration.
    Provider(ProviderAddr),
    /// The instances of a block are known.
    Expanded(ResourceAddr),
    /// Read, create or update one instance.
    Settle(InstanceAddr),
    /// Read a data source, or open an ephemeral resource.
    Read(InstanceAddr),
    /// All instances of a block are settled: users of the block start.
    Settled(ResourceAddr),
    /// Delete one object: the present one of an address, or a deposed one.
    Retire(ChangeKey),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Provider(a) => write!(f, "{a}"),
            Node::Expanded(a) => write!(f, "{a} (expanded)"),
            Node::Settle(a) => write!(f, "{a}"),
            Node::Read(a) => write!(f, "{a} (read)"),
            Node::Settled(a) => write!(f, "{a} (settled)"),
            Node::Retire((a, None)) => write!(f, "{a} (destroy)"),
            Node::Retire((a, Some(key))) => write!(f, "{a} (destroy deposed {key})"),
        }
    }
}

/// Why an edge is there, in the order in which edges yield: those that never do come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Rule 4: let go of it, then delete it.
    LetGo,
    Inferred(Inferred),
    /// A reference, `depends_on` or the use of a provider.
    Written,
    /// Rule 2: what the object depended on when it was settled.
    Recorded,
    /// Rules 3, 6 and 7.
    Replacement,
    /// Holds the nodes of a block together.
    Structure,
}

impl Why {
    fn yields(self) -> bool {
        matches!(self, Why::LetGo | Why::Inferred(_))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: Node,
    pub to: Node,
    pub why: Why,
}

/// An edge between nodes by their numbers in a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub from: u32,
    pub to: u32,
    pub why: Why,
}

#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// The piece's own nodes, sorted; after them, sorted too, what edges name of earlier pieces.
    pub nodes: Vec<Node>,
    /// How many of the nodes are its own.
    pub own: usize,
    pub edges: Vec<Link>,
    pub yielded: Vec<Edge>,
    /// A cycle that nothing could break, in order.
    pub cycle: Option<Vec<Node>>,
}

/// What a piece is built for.
pub enum Extent<'a> {
    /// Everything.
    Whole,
    /// These blocks were expanded late: their instances and removed objects. Users wait for `barrier`.
    Expanded { blocks: &'a BTreeSet<ResourceAddr>, barrier: &'a ResourceAddr },
    /// These instances turned out to be replaced; `first` is the one whose settling found out.
    Replaced { instances: &'a BTreeSet<InstanceAddr>, first: &'a InstanceAddr },
}

struct Building<'a> {
    planner: &'a Planner,
    extent: &'a Extent<'a>,
    /// Numbered as they were met.
    nodes: IndexSet<Node>,
    /// By number: whether the piece makes the node.
    own: Vec<bool>,
    edges: Vec<Link>,
    /// Resource blocks in module instances, by block.
    addresses: BTreeMap<Block, Vec<ResourceAddr>>,
    /// The deletion of each object that goes.
    retired: BTreeMap<ObjectId, Node>,
    /// Objects that recorded a dependency on each object.
    dependents: BTreeMap<&'a ObjectId, Vec<&'a Object>>,
    /// Blocks that reach each block.
    users: BTreeMap<&'a Block, Vec<&'a Block>>,
}

pub fn build(planner: &Planner, extent: &Extent<'_>) -> Piece {
    let mut addresses: BTreeMap<Block, Vec<ResourceAddr>> = BTreeMap::new();
    let deferred = planner.expansions.keys().filter(|a| planner.values.block(a).is_none());
    for address in planner.values.blocks().map(|(a, _)| a).chain(deferred) {
        addresses.entry(block_of(address)).or_default().push(address.clone());
    }
    let mut building = Building {
        planner,
        extent,
        nodes: IndexSet::new(),
        own: Vec::new(),
        edges: Vec::new(),
        addresses,
        retired: BTreeMap::new(),
        dependents: BTreeMap::new(),
        users: BTreeMap::new(),
    };
    building.index();
    if matches!(extent, Extent::Whole) {
        building.providers();
    }
    building.blocks();
    building.retirements();
    building.finish()
}

impl Building<'_> {
    fn index(&mut self) {
        for object in self.planner.state.objects.values() {
            for id in &object.dependencies {
                self.dependents.entry(id).or_default().push(object);
            }
        }
        for (user, reach) in &self.planner.order.reach {
            reach.iter().for_each(|used| self.users.entry(used).or_default().push(user));
        }
    }

    fn number(&mut self, node: Node) -> u32 {
        let (number, is_new) = self.nodes.insert_full(node);
        if is_new {
            self.own.push(false);
        }
        u32::try_from(number).expect("a piece has less than 2^32 nodes: each takes some hundred bytes")
    }

    fn node(&mut self, node: Node) {
        let number = self.number(node);
        self.own[at(number)] = true;
    }

    fn edge(&mut self, from: Node, to: Node, why: Why) {
        let (from, to) = (self.number(from), self.number(to));
        if from != to {
            self.edges.push(Link { from, to, why });
        }
    }

    fn has_block(&self, address: &ResourceAddr) -> bool {
        match self.extent {
            Extent::Whole => true,
            Extent::Expanded { blocks, .. } => blocks.contains(address),
            Extent::Replaced { .. } => false,
        }
    }

    fn has_instance(&self, address: &InstanceAddr) -> bool {
        match self.extent {
            Extent::Replaced { instances, .. } => instances.contains(address),
            _ => self.has_block(&address.resource),
        }
    }

    /// Addresses of a block in module instances that agree with `with`'s.
    fn matching(&self, block: &Block, with: &groma_types::ModuleAddr) -> Vec<ResourceAddr> {
        let all = self.addresses.get(block).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|a| shares_keys(&a.module, with)).cloned().collect()
    }

    fn providers(&mut self) {
        let planner = self.planner;
        for address in planner.providers.keys() {
            let node = Node::Provider(address.clone());
            self.node(node.clone());
            let key = (address.module.path(), address.name.clone(), address.alias.clone());
            let reach = planner.order.provider_reach.get(&key).cloned().unwrap_or_default();
            for block in reach {
                for from in self.matching(&block, &address.module) {
                    self.edge(Node::Settled(from), node.clone(), Why::Written);
                }
            }
            let access = planner.order.access.iter().filter(|(_, p)| **p == key).map(|(b, _)| b.clone());
            for block in access.collect::<Vec<_>>() {
                for from in self.matching(&block, &address.module) {
                    self.edge(Node::Settled(from), node.clone(), Why::Inferred(Inferred::Grants));
                }
            }
        }
    }

    fn blocks(&mut self) {
        let planner = self.planner;
        for (address, value) in planner.values.blocks() {
            if self.has_block(address) {
                self.block_order(address);
            }
            for key in value.keys.list() {
                let instance = address.instance(key);
                if self.settles(&instance) {
                    self.instance(address, &instance);
                }
            }
            self.ranks(address);
        }
        if matches!(self.extent, Extent::Whole) {
            // Blocks in modules whose instances are not known yet stand for them all.
            let deferred: Vec<ResourceAddr> = planner.expansions.keys().cloned().collect();
            for address in deferred.iter().filter(|a| planner.values.block(a).is_none()) {
                self.block_order(address);
            }
            self.inferred();
        }
    }

    /// Whether the piece settles an instance: of late replacements only the first has been started already.
    fn settles(&self, address: &InstanceAddr) -> bool {
        match self.extent {
            Extent::Replaced { first, .. } => address == *first,
            _ => self.has_block(&address.resource),
        }
    }

    fn block_order(&mut self, address: &ResourceAddr) {
        if !matches!(self.extent, Extent::Whole) {
            return;
        }
        let (expanded, settled) = (Node::Expanded(address.clone()), Node::Settled(address.clone()));
        self.node(expanded.clone());
        self.node(settled.clone());
        self.edge(expanded.clone(), settled, Why::Structure);
        let block = block_of(address);
        let reach = self.planner.order.reach.get(&block).cloned().unwrap_or_default();
        for used in reach {
            for from in self.matching(&used, &address.module) {
                self.edge(Node::Settled(from), expanded.clone(), Why::Written);
            }
        }
    }

    fn instance(&mut self, block: &ResourceAddr, address: &InstanceAddr) {
        let node = match block.mode {
            Mode::Managed => Node::Settle(address.clone()),
            _ if self.planner.reads.contains_key(address) => Node::Read(address.clone()),
            _ => return,
        };
        self.node(node.clone());
        if matches!(self.extent, Extent::Whole) {
            self.edge(Node::Expanded(block.clone()), node.clone(), Why::Structure);
        }
        let barrier = match self.extent {
            Extent::Expanded { barrier, .. } => (*barrier).clone(),
            _ => block.clone(),
        };
        self.edge(node.clone(), Node::Settled(barrier), Why::Structure);
        if let Some(change) = self.planner.changes.get(&(address.clone(), None)) {
            self.edge(Node::Provider(change.provider.clone()), node, Why::Written);
        } else if let Some(provider) = self.data_provider(block) {
            self.edge(Node::Provider(provider), node, Why::Written);
        }
    }

    /// Instances of one text: what others may live in comes first.
    fn ranks(&mut self, address: &ResourceAddr) {
        let mut by_rank: BTreeMap<u8, Vec<Node>> = BTreeMap::new();
        let all = self.planner.ranks.range(address.instance(None)..);
        let own = all.take_while(|(a, _)| a.resource == *address);
        let ranks = own.filter(|(a, _)| self.settles(a));
        for (instance, rank) in ranks {
            by_rank.entry(*rank).or_default().push(Node::Settle(instance.clone()));
        }
        let ranks: Vec<Vec<Node>> = by_rank.into_values().collect();
        for pair in ranks.windows(2) {
            for (from, to) in pair[0].iter().flat_map(|f| pair[1].iter().map(move |t| (f, t))) {
                self.edge(from.clone(), to.clone(), Why::Structure);
            }
        }
    }

    /// The provider of a data source: the configuration whose key agrees with the block's module.
    fn data_provider(&self, block: &ResourceAddr) -> Option<ProviderAddr> {
        let (path, name, alias) = &**self.planner.order.provider_of.get(&block_of(block))?;
        let found = self.planner.providers.keys().find(|p| {
            p.module.path() == *path
                && p.name == *name
                && p.alias == *alias
                && shares_keys(&p.module, &block.module)
        });
        found.cloned()
    }

    fn inferred(&mut self) {
        let planner = self.planner;
        for (giver, user, kind) in &planner.order.inferred {
            for to in self.addresses.get(user).cloned().unwrap_or_default() {
                for from in self.matching(giver, &to.module) {
                    self.edge(Node::Settled(from), Node::Expanded(to.clone()), Why::Inferred(*kind));
                }
            }
        }
    }

    // ---- deletions ---------------------------------------------------------------------------------------------

    fn retirements(&mut self) {
        let planner = self.planner;
        let going: Vec<&Change> = planner
            .changes
            .values()
            .map(|c| &**c)
            .filter(|c| {
                (c.action.deletes() || c.action == ChangeAction::Forget) && self.has_instance(&c.address)
            })
            .collect();
        for change in &going {
            let node = Node::Retire((change.address.clone(), change.deposed.clone()));
            self.node(node.clone());
            if let Some(id) = &change.object {
                self.retired.insert(id.clone(), node);
            }
        }
        let same_key = self.same_keys(&going);
        for change in &going {
            let Some(object) = change.object.as_ref().and_then(|id| planner.state.objects.get(id)) else {
                continue;
            };
            let node = Node::Retire((change.address.clone(), change.deposed.clone()));
            self.recorded(object, &node);
            self.replacement(change, &node);
            match same_key.get(&change.address) {
                Some(new) => {
                    self.edge(node, Node::Settle(new.clone()), Why::Replacement);
                }
                None => self.let_go(change, object, &node),
            }
        }
        self.hosted(&going);
    }

    /// Rule 2, through objects that stay.
    fn recorded(&mut self, object: &Object, node: &Node) {
        let planner = self.planner;
        let mut open: Vec<&ObjectId> = object.dependencies.iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) || *id == object.id {
                continue;
            }
            match self.retired.get(id).cloned() {
                Some(later) => self.edge(node.clone(), later, Why::Recorded),
                None => open.extend(planner.state.objects.get(id).iter().flat_map(|o| o.dependencies.iter())),
            }
        }
    }

    /// Rule 3: destroy first, or create first and delete after the users have followed.
    fn replacement(&mut self, change: &Change, node: &Node) {
        let settle = Node::Settle(change.address.clone());
        match change.action {
            ChangeAction::Replace => self.edge(node.clone(), settle, Why::Replacement),
            ChangeAction::ReplaceCreateFirst => {
                self.edge(settle, node.clone(), Why::Replacement);
                for user in self.users(&change.address.resource) {
                    self.edge(Node::Settled(user), node.clone(), Why::Replacement);
                }
            }
            _ => {}
        }
    }

    /// Blocks whose expressions reach this one.
    fn users(&self, used: &ResourceAddr) -> Vec<ResourceAddr> {
        let block = block_of(used);
        let users = self.users.get(&block).into_iter().flatten();
        users.flat_map(|user| self.matching(user, &used.module)).collect()
    }

    /// Rule 4: users that stay let go of an object that is removed.
    fn let_go(&mut self, change: &Change, object: &Object, node: &Node) {
        let removed =
            matches!(change.action, ChangeAction::Delete | ChangeAction::Drop) && change.deposed.is_none();
        let was_replaced = change.deposed.is_some();
        if !removed && !was_replaced {
            return;
        }
        let planner = self.planner;
        for user in self.dependents.get(&object.id).cloned().unwrap_or_default() {
            let key = (user.address.clone(), None);
            let stays = planner.changes.get(&key).is_some_and(|c| {
                !matches!(c.action, ChangeAction::Delete | ChangeAction::Drop | ChangeAction::Forget)
                    && c.object.as_ref() == Some(&user.id)
            });
            if stays && self.has_instance(&user.address) {
                self.edge(Node::Settle(user.address.clone()), node.clone(), Why::LetGo);
            }
        }
    }

    /// Rule 7: a removed address and a new one that name the same thing in the world.
    fn same_keys(&self, going: &[&Change]) -> BTreeMap<InstanceAddr, InstanceAddr> {
        same_keys(self.planner, going)
    }

    /// Rules 5 and 6: what lives on a host goes before what is attached to it and before the host itself.
    fn hosted(&mut self, going: &[&Change]) {
        let planner = self.planner;
        let mut by_host: BTreeMap<&ObjectId, Vec<(&Change, Node)>> = BTreeMap::new();
        for change in going {
            let object = change.object.as_ref().and_then(|id| planner.state.objects.get(id));
            if let Some(host) = object.and_then(|o| o.host.as_ref()) {
                let node = Node::Retire((change.address.clone(), change.deposed.clone()));
                by_host.entry(host).or_default().push((change, node));
            }
        }
        for (host, hosted) in by_host {
            for (change, effect) in hosted.iter().filter(|(c, _)| c.external_effect) {
                let claim = planner.claim_of(change);
                for (change, other) in hosted.iter().filter(|(c, _)| !c.external_effect) {
                    let holds = claim.as_ref().is_some_and(|claim| planner.holds(change, claim));
                    let (from, to) = if holds { (other, effect) } else { (effect, other) };
                    self.edge(from.clone(), to.clone(), Why::Inferred(Inferred::ExternalEffect));
                }
            }
            let dependents = self.dependents.get(host).into_iter().flatten();
            let attached: Vec<Node> = dependents
                .filter(|o| self.is_attached(o))
                .filter_map(|o| self.retired.get(&o.id).cloned())
                .collect();
            let host_node = self.retired.get(host).cloned();
            for (_, node) in &hosted {
                for x in &attached {
                    self.edge(node.clone(), x.clone(), Why::Inferred(Inferred::Hosted));
                }
                if let Some(h) = &host_node {
                    self.edge(node.clone(), h.clone(), Why::Recorded);
                }
            }
        }
    }

    fn is_attached(&self, object: &Object) -> bool {
        self.planner
            .schema_of(Mode::Managed, &object.address.resource.kind, &object.provider.name)
            .is_some_and(|(_, s)| s.attached_to.is_some())
    }

    // ---- yielding ----------------------------------------------------------------------------------------------

    fn finish(self) -> Piece {
        // Numbers that do not depend on the order in which nodes were met.
        let own = self.own;
        let mut named: Vec<(bool, Node, usize)> =
            self.nodes.into_iter().enumerate().map(|(met, node)| (!own[met], node, met)).collect();
        named.sort_unstable();
        let mut number = vec![0u32; named.len()];
        (0..).zip(&named).for_each(|(new, (_, _, met))| number[*met] = new);
        let renumbered = |e: Link| Link { from: number[at(e.from)], to: number[at(e.to)], why: e.why };
        let mut edges: Vec<Link> = self.edges.into_iter().map(renumbered).collect();
        edges.sort_unstable();
        edges.dedup();
        let nodes: Vec<Node> = named.into_iter().map(|(_, node, _)| node).collect();
        let own = own.iter().filter(|o| **o).count();

        let mut yielded = Vec::new();
        let mut cycles = Cycles::find(nodes.len(), &edges);
        for pass in YIELDING {
            if cycles.is_empty() {
                break;
            }
            edges.retain(|e| {
                let stays = e.why != pass || !cycles.hold(e);
                if !stays {
                    debug_assert!(e.why.yields());
                    let (from, to) = (nodes[at(e.from)].clone(), nodes[at(e.to)].clone());
                    yielded.push(Edge { from, to, why: e.why });
                }
                stays
            });
            cycles = Cycles::find(nodes.len(), &edges);
        }
        let cycle = cycles.first().map(|cycle| cycle.into_iter().map(|n| nodes[n].clone()).collect());
        Piece { nodes, own, edges, yielded, cycle }
    }
}

/// A node's place in lists of nodes.
pub fn at(number: u32) -> usize {
    number as usize
}

/// In which order edges yield.
const YIELDING: [Why; 6] = [
    Why::LetGo,
    Why::Inferred(Inferred::Grants),
    Why::Inferred(Inferred::Network),
    Why::Inferred(Inferred::Capacity),
    Why::Inferred(Inferred::Hosted),
    Why::Inferred(Inferred::ExternalEffect),
];

/// Strongly connected components of more than one node.
struct Cycles {
    /// By node: its component, or none.
    of: Vec<Option<u32>>,
    count: u32,
}

impl Cycles {
    fn find(nodes: usize, edges: &[Link]) -> Cycles {
        let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(nodes, edges.len());
        (0..nodes).for_each(|_| {
            graph.add_node(());
        });
        for edge in edges {
            graph.add_edge(edge.from.into(), edge.to.into(), ());
        }
        let mut cycles = Cycles { of: vec![None; nodes], count: 0 };
        for component in kosaraju_scc(&graph).into_iter().filter(|c| c.len() > 1) {
            component.iter().for_each(|n| cycles.of[n.index()] = Some(cycles.count));
            cycles.count += 1;
        }
        cycles
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether an edge lies inside of one.
    fn hold(&self, edge: &Link) -> bool {
        self.of[at(edge.from)].is_some() && self.of[at(edge.from)] == self.of[at(edge.to)]
    }

    /// The nodes of the one that is found first.
    fn first(&self) -> Option<Vec<usize>> {
        let found = |n: &usize| self.of[*n] == Some(0);
        (!self.is_empty()).then(|| (0..self.of.len()).filter(found).collect())
    }
}

/// Pairs of a removed address and a new address of one kind whose natural keys are known and equal.
pub fn same_keys(planner: &Planner, going: &[&Change]) -> BTreeMap<InstanceAddr, InstanceAddr> {
    let mut new: BTreeMap<(String, String), InstanceAddr> = BTreeMap::new();
    for change in planner.changes.values().filter(|c| c.action == ChangeAction::Create) {
        if let Some(key) = change.planned.as_ref().and_then(|v| natural_key(planner, change, v)) {
            new.insert((change.address.resource.kind.to_string(), key), change.address.clone());
        }
    }
    let removed = going.iter().filter(|c| c.action == ChangeAction::Delete && c.deposed.is_none());
    removed
        .filter_map(|c| {
            let key = natural_key(planner, c, c.prior.as_ref()?)?;
            let found = new.get(&(c.address.resource.kind.to_string(), key))?;
            Some((c.address.clone(), found.clone()))
        })
        .collect()
}

/// The natural key of an object as text, with the provider configuration that names its world; `None` if the kind has
/// none or a part of it is not known.
pub fn natural_key(planner: &Planner, change: &Change, value: &groma_types::Value) -> Option<String> {
    let (_, schema) =
        planner.schema_of(Mode::Managed, &change.address.resource.kind, &change.provider.name)?;
    if schema.natural_key.is_empty() {
        return None;
    }
    let parts: Option<Vec<String>> =
        schema.natural_key.iter().map(|k| crate::plan::planner::dotted(value, k)).collect();
    Some(format!("{}|{:?}", change.provider, parts?))
}
