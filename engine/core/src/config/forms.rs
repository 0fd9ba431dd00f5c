//! Arguments and blocks of the language itself, where the syntax tells them apart.
//!
//! Native syntax writes `name = value` or `name { … }`, and only one of them is right for a name. What the provider's schema
//! has is judged by [`super::body`]; here are the names that no schema has. YAML and JSON leave both open.

use super::gather::{BlockType, RawBlock};
use groma_lang::document::{Form, Key, Node, NodeKind};
use groma_types::{Diagnostic, Diagnostics};

/// Blocks in blocks; all other names there are arguments.
const BLOCKS: [(BlockType, &[&str]); 10] = [
    (BlockType::Terraform, &["required_providers", "backend", "cloud", "provider_meta"]),
    (BlockType::Variable, &["validation"]),
    (BlockType::Locals, &[]),
    (BlockType::Module, &[]),
    (BlockType::Output, &["precondition"]),
    (BlockType::Moved, &[]),
    (BlockType::Import, &[]),
    (BlockType::Removed, &["lifecycle", "provisioner", "connection"]),
    (BlockType::Check, &["data", "assert"]),
    (BlockType::Groma, &[]),
];

/// The language's own names in blocks whose other names a schema has.
const META_ARGUMENTS: [&str; 6] = ["count", "for_each", "provider", "depends_on", "alias", "version"];
const META_BLOCKS: [&str; 4] = ["lifecycle", "provisioner", "connection", "dynamic"];

/// Blocks that may stand once in their block.
const ONCE: [&str; 4] = ["lifecycle", "required_providers", "backend", "cloud"];

pub(super) fn check(block: &RawBlock, out: &mut Diagnostics) {
    let what = block.what();
    let own = BLOCKS.iter().find(|(ty, _)| *ty == block.ty).map(|(_, blocks)| *blocks);
    for (key, node) in &block.entries {
        let name = &*key.text;
        let is_block = match own {
            Some(blocks) => Some(blocks.contains(&name)),
            None if META_BLOCKS.contains(&name) => Some(true),
            // A provider's `version` and `alias` are the language's, a resource's are the schema's.
            None if matches!(name, "alias" | "version") && block.ty != BlockType::Provider => None,
            None => META_ARGUMENTS.contains(&name).then_some(false),
        };
        match (key.form, is_block) {
            (Form::Argument, Some(true)) => out.push(wanted_block(key, what)),
            (Form::Block, Some(false)) => out.push(wanted_argument(key, what)),
            (Form::Block, Some(true)) if ONCE.contains(&name) => once(key, node, what, out),
            _ => {}
        }
    }
}

fn once(key: &Key, node: &Node, what: &str, out: &mut Diagnostics) {
    if let NodeKind::Seq(items) = &node.kind
        && let [first, second, ..] = items.as_slice()
    {
        out.push(
            Diagnostic::error("G0708", "Too many blocks of a type")
                .detail(format!(
                    "No more than 1 {:?} may be in {what:?}; there are {}.",
                    key.text,
                    items.len()
                ))
                .at(second.span, "the second one")
                .at(first.span, "the first one"),
        );
    }
}

pub(super) fn wanted_block(key: &Key, what: &str) -> Diagnostic {
    mixed_up(key, format!("{:?} is a block of {what}, and is written without an equals sign.", key.text))
        .help(format!("Write {} {{ … }}.", key.text))
}

pub(super) fn wanted_argument(key: &Key, what: &str) -> Diagnostic {
    mixed_up(key, format!("{:?} is an argument of {what}, and is set by an equals sign.", key.text))
        .help(format!("Write {} = VALUE.", key.text))
}

fn mixed_up(key: &Key, detail: String) -> Diagnostic {
    let label = if key.form == Form::Block { "written as a block" } else { "written as an argument" };
    Diagnostic::error("G0710", "Argument and block are mixed up").detail(detail).at(key.span, label)
}
