//! One file in two syntaxes: `main.tf` beside the `main.yaml` that was made from it.

use super::gather::{BlockType, Document, Name, RawBlock};
use super::load::stem;
use groma_types::{Diagnostic, Diagnostics, SourceId, Span};
use std::collections::HashMap;
use std::sync::Arc;

/// Tells of files that declare the same in two syntaxes, once for each pair, and takes the blocks of the second file away,
/// so that nothing else is told of them.
pub(super) fn refuse(documents: &[Document], blocks: &mut Vec<RawBlock>, out: &mut Diagnostics) {
    let files: HashMap<SourceId, &Document> = documents.iter().map(|d| (d.node.span.source, d)).collect();
    let mut first: HashMap<Name, Span> = HashMap::new();
    let mut twins: HashMap<SourceId, SourceId> = HashMap::new();
    for block in blocks.iter() {
        for (name, span) in names(block) {
            let Some(at) = first.get(&name).copied() else {
                first.insert(name, span);
                continue;
            };
            let (Some(a), Some(b)) = (files.get(&at.source), files.get(&span.source)) else { continue };
            if a.surface == b.surface || stem(&a.file) != stem(&b.file) {
                continue;
            }
            if twins.insert(span.source, at.source).is_none() {
                out.push(fault(&a.file, at, &b.file, span));
            }
        }
    }
    blocks.retain(|b| !twins.contains_key(&b.span.source));
}

fn names(block: &RawBlock) -> Vec<(Name, Span)> {
    match block.ty {
        BlockType::Locals => {
            let name = |key: &Arc<str>| (block.ty, vec![key.clone()], None);
            block.entries.iter().map(|(key, _)| (name(&key.text), key.span)).collect()
        }
        // These have no names.
        BlockType::Terraform
        | BlockType::Groma
        | BlockType::Moved
        | BlockType::Import
        | BlockType::Removed => Vec::new(),
        _ => vec![(block.name(), block.span)],
    }
}

fn fault(first: &str, at: Span, second: &str, span: Span) -> Diagnostic {
    let old = if second.ends_with(".tf") { second } else { first };
    Diagnostic::error("G0512", "One spec in two syntaxes")
        .detail(format!("{second} and {first} stand side by side and declare the same."))
        .help(format!("If one was made from the other, rename the old one: mv {old} {old}.bak"))
        .at(span, format!("here, in {second}"))
        .at(at, format!("and here, in {first}"))
}
