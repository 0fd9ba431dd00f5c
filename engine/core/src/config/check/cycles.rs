//! Cycles of written references: of each tangle the shortest one, each edge with the place that makes it.

use super::graph::{BlockGraph, Edge, Item, ItemId};
use crate::config::Config;
use groma_types::{Diagnostic, Diagnostics};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, HashSet, VecDeque};

pub(super) fn check(config: &Config, graph: &BlockGraph) -> Diagnostics {
    let mut net: DiGraph<&ItemId, &Edge> = DiGraph::new();
    let nodes: BTreeMap<&ItemId, NodeIndex> = graph.edges.keys().map(|id| (id, net.add_node(id))).collect();
    for (from, edges) in &graph.edges {
        for edge in edges {
            if let (Some(a), Some(b)) = (nodes.get(from), nodes.get(&edge.to)) {
                net.add_edge(*a, *b, edge);
            }
        }
    }
    let mut out = Diagnostics::new();
    for component in tarjan_scc(&net) {
        if let Some(cycle) = shortest(&net, &component) {
            out.push(report(config, &cycle));
        }
    }
    out
}

type Net<'a> = DiGraph<&'a ItemId, &'a Edge>;

/// Steps of the search for a shorter cycle in one tangle: from each block of a large one it would take forever.
const STEPS_MAX: usize = 100_000;
/// Blocks of a cycle that are told.
const TOLD_MAX: usize = 25;

/// Returns the edges of a shortest cycle in a strongly connected component, with where each begins.
fn shortest<'a>(net: &Net<'a>, component: &[NodeIndex]) -> Option<Vec<(&'a ItemId, &'a Edge)>> {
    let inside: HashSet<NodeIndex> = component.iter().copied().collect();
    let mut starts: Vec<NodeIndex> = component.to_vec();
    starts.sort_by_key(|n| net[*n]);
    let mut best: Option<Vec<(&ItemId, &Edge)>> = None;
    let mut steps = 0;
    for start in starts {
        if best.is_some() && steps > STEPS_MAX {
            break;
        }
        let found = round(net, start, &inside, &mut steps);
        if let Some(found) = found.filter(|f| best.as_ref().is_none_or(|b| f.len() < b.len())) {
            best = Some(found);
        }
    }
    best
}

/// A shortest way from a node back to itself.
fn round<'a>(
    net: &Net<'a>,
    start: NodeIndex,
    inside: &HashSet<NodeIndex>,
    steps: &mut usize,
) -> Option<Vec<(&'a ItemId, &'a Edge)>> {
    let mut came: BTreeMap<NodeIndex, (NodeIndex, &'a Edge)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        *steps += 1;
        let mut next: Vec<_> = net.edges(at).collect();
        next.sort_by_key(|e| *e.weight());
        for edge in next {
            use petgraph::visit::EdgeRef;
            let to = edge.target();
            if !inside.contains(&to) || came.contains_key(&to) {
                continue;
            }
            came.insert(to, (at, *edge.weight()));
            if to == start {
                return Some(unwind(net, start, &came));
            }
            queue.push_back(to);
        }
    }
    None
}

fn unwind<'a>(
    net: &Net<'a>,
    start: NodeIndex,
    came: &BTreeMap<NodeIndex, (NodeIndex, &'a Edge)>,
) -> Vec<(&'a ItemId, &'a Edge)> {
    let mut cycle = Vec::new();
    let mut at = start;
    while let Some((from, edge)) = came.get(&at) {
        cycle.push((net[*from], *edge));
        at = *from;
        if at == start {
            break;
        }
    }
    cycle.reverse();
    cycle
}

fn report(config: &Config, cycle: &[(&ItemId, &Edge)]) -> Diagnostic {
    if let [(id, edge)] = cycle {
        let name = name(config, id);
        return Diagnostic::error("G0810", "A block refers to itself")
            .detail(format!("{name} would have to be known before it is made."))
            .help(
                "In a provisioner or postcondition write self; else take the value from what it is made of.",
            )
            .at(edge.span, format!("{name} itself"));
    }
    let told = &cycle[..cycle.len().min(TOLD_MAX)];
    let mut way: Vec<String> = told.iter().map(|(id, _)| name(config, id)).collect();
    way.extend((told.len() < cycle.len()).then(|| format!("… {} more …", cycle.len() - told.len())));
    way.extend(way.first().cloned());
    let mut error = Diagnostic::error("G0811", "Blocks wait for each other")
        .detail(format!("Each needs the next one first: {}.", way.join(" -> ")));
    for (id, edge) in told {
        error = error.at(edge.span, format!("{} needs {}", name(config, id), name(config, &edge.to)));
    }
    error
}

/// The item as people write it.
fn name(config: &Config, id: &ItemId) -> String {
    let prefix: String = id.module.iter().map(|m| format!("module.{m}.")).collect();
    let own = match &id.item {
        Item::Variable(name) => format!("var.{name}"),
        Item::Local(name) => format!("local.{name}"),
        Item::Output(name) => format!("output.{name}"),
        Item::Resource(id) => id.to_string(),
        Item::Call(name) => format!("module.{name}"),
        Item::Provider(index) => {
            let block = config.modules.get(&id.module).and_then(|m| m.providers.get(*index));
            match block.map(|p| (&p.name, &p.alias)) {
                Some((name, Some(alias))) => format!("provider.{name}.{alias}"),
                Some((name, None)) => format!("provider.{name}"),
                None => "provider".to_string(),
            }
        }
    };
    format!("{prefix}{own}")
}
