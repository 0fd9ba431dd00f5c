//! From native syntax and JSON to YAML, with comments where they can be kept.
//!
//! Invariant: what comes out declares the same blocks with the same meaning, or nothing comes out. Each value is read back
//! before it is taken, and at the end the blocks of both texts are compared.

pub(super) mod leaf;
pub(super) mod outline;
pub(super) mod place;
pub(super) mod scalar;
#[cfg(test)]
mod tests;
mod write;

use super::gather::{self, Surface};
use groma_lang::document::{Node, NodeKind, native_comments, parse_json, parse_native, parse_yaml};
use groma_types::{Diagnostic, Diagnostics, SourceId, Span};
use write::Writer;

/// The syntax of a text that is to be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Native,
    Json,
}

/// The name of the file that takes what is converted, and the syntax of the old one; `None`: nothing to convert.
pub fn target(name: &str) -> Option<(From, String)> {
    let (from, stem) = match (name.strip_suffix(".tf.json"), name.strip_suffix(".tf")) {
        (Some(stem), _) => (From::Json, stem),
        (_, Some(stem)) => (From::Native, stem),
        _ => return None,
    };
    if stem.is_empty() || name.starts_with('.') {
        return None;
    }
    // Names with these endings are no specs in YAML.
    let stem =
        [".vars", ".test"].iter().find_map(|end| Some(format!("{}_{}", stem.strip_suffix(end)?, &end[1..])));
    let stem = stem.unwrap_or_else(|| name.trim_end_matches(".json").trim_end_matches(".tf").to_string());
    Some((from, format!("{stem}.yaml")))
}

/// Writes a text as YAML.
///
/// # Errors
/// The text has faults, or something in it has no equal in YAML.
pub fn convert(from: From, source: SourceId, text: &str) -> Result<String, Diagnostics> {
    let (root, faults) = match from {
        From::Native => {
            let (node, faults) = parse_native(source, text);
            (Some(node), faults)
        }
        From::Json => parse_json(source, text),
    };
    let Some(root) = root.filter(|_| !faults.has_errors()) else { return Err(faults) };
    let (surface, comments) = match from {
        From::Native => (Surface::Native, native_comments(text)),
        From::Json => (Surface::Json, Vec::new()),
    };
    let documents: Vec<Node> = match (&root.kind, from) {
        (NodeKind::Seq(items), From::Json) => items.clone(),
        _ => vec![root.clone()],
    };
    let writer = Writer { source: text, comments };
    let mut parts = Vec::new();
    for document in &documents {
        let document =
            if from == From::Json { gather::without_null_bodies(document) } else { document.clone() };
        parts.push(writer.document(&document).map_err(|fault| Diagnostics::from(*fault))?);
    }
    let yaml = parts.join("---\n");
    let (nodes, told) = parse_yaml(SourceId(0), &yaml);
    let same = !told.has_errors() && outline::of(surface, &documents) == outline::of(Surface::Yaml, &nodes);
    if same { Ok(yaml) } else { Err(differs(source, text).into()) }
}

fn differs(source: SourceId, text: &str) -> Diagnostic {
    Diagnostic::error("G0540", "This can't be written as YAML")
        .detail("The YAML that was made of this file would not declare the same; nothing is written.")
        .help("Leave this file as it is: all syntaxes can stand in one folder. Please report this.")
        .at(Span::new(source, 0, text.lines().next().map_or(0, str::len)), "this file")
}
