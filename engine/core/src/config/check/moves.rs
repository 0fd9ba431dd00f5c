//! `moved`, `removed` and `import` blocks that contradict each other or the blocks beside them.

use crate::config::moves::{End, in_order, told};
use crate::config::{BlockId, Config, ModulePath, Named};
use groma_types::{Diagnostic, Diagnostics, Span};

/// Finds moves that can't be made whatever the state holds.
pub(super) fn check(config: &Config, out: &mut Diagnostics) {
    let moves = told(config);
    let fault = |span: Span, why: String, label: &str| {
        Diagnostic::error("G0820", "A move that can't be made").detail(why).at(span, label.to_string())
    };
    for (i, one) in moves.iter().enumerate() {
        if one.from == one.to {
            let why = format!("{} would move to its own address.", one.from);
            out.push(fault(one.span, why, "moves nothing").help("Take the block away."));
        }
        if leaves_package(config, &one.from) || leaves_package(config, &one.to) {
            let why = format!(
                "{} → {} reaches into a module that was fetched as a package of its own.",
                one.from, one.to
            );
            out.push(
                fault(one.span, why, "crosses the border of a package")
                    .help("Tell the move in that package."),
            );
        }
        let clash = moves[..i].iter().find(|o| (o.from == one.from) != (o.to == one.to));
        if let Some(other) = clash {
            let why = match other.from == one.from {
                true => format!("{} moves to {} and to {}.", one.from, other.to, one.to),
                false => format!("{} and {} both move to {}.", other.from, one.from, one.to),
            };
            out.push(fault(one.span, why, "this one").at(other.span, "and this one"));
        }
    }
    if let Err(cycle) = in_order(moves) {
        let texts: Vec<String> = cycle.iter().map(|m| format!("{} → {}", m.from, m.to)).collect();
        let why =
            format!("These moves wait for each other, so that there is no last place: {}.", texts.join(", "));
        if let Some(first) = cycle.first() {
            out.push(
                fault(first.span, why, "one of them")
                    .help("Write one move for each object, to where it is now."),
            );
        }
    }
    removed(config, out);
    for import in config.modules.values().filter(|m| !m.path.is_empty()).flat_map(|m| &m.imports) {
        let why = "Import blocks stand in the root module alone; their addresses lead into modules.";
        out.push(
            Diagnostic::error("G0822", "An import that can't be made")
                .detail(why)
                .at(import.span, "in a module")
                .help("Move the block to the root."),
        );
    }
}

/// Whether a block's module and what it names belong to different packages. A module's own call belongs to its caller.
fn leaves_package(config: &Config, end: &End) -> bool {
    let mut path = end.path();
    if matches!(end.named(), Named::Module(_)) {
        path.pop();
    }
    let source =
        |path: &ModulePath| config.modules.get(path).map(|m| m.package.as_ref().map(|p| p.source.clone()));
    matches!((source(end.base()), source(&path)), (Some(a), Some(b)) if a != b)
}

/// What is said to be removed may not be declared.
fn removed(config: &Config, out: &mut Diagnostics) {
    for (path, module) in &config.modules {
        for removed in &module.removed {
            let declared = match &removed.from {
                Named::Module(from) => {
                    let all: ModulePath = path.iter().cloned().chain(from.path()).collect();
                    let call = all
                        .split_last()
                        .and_then(|(name, caller)| config.modules.get(caller)?.calls.get(name));
                    call.map(|c| c.span)
                }
                Named::Resource(from) => {
                    let from = &from.resource;
                    let all: ModulePath = path.iter().cloned().chain(from.module.path()).collect();
                    let id = BlockId { mode: from.mode, kind: from.kind.clone(), name: from.name.clone() };
                    config.modules.get(&all).and_then(|m| m.resources.get(&id)).map(|r| r.span)
                }
            };
            let Some(declared) = declared else { continue };
            out.push(
                Diagnostic::error("G0821", "What is moved or removed is still declared")
                    .detail(format!("{} is said to be removed, and the spec declares it.", removed.from))
                    .help("Take one of the two away.")
                    .at(removed.span, "said to be removed")
                    .at(declared, "declared here"),
            );
        }
    }
}
