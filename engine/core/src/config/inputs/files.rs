//! Files of variable values: YAML, JSON, and Terraform's native `.tfvars`.

use super::{Form, Given, Undeclared};
use crate::config::Module;
use crate::config::load::FileReader;
use groma_lang::document::{self, Node, NodeKind, parse_json, parse_native, parse_yaml};
use groma_types::{Diagnostic, Diagnostics, SourceMap};
use std::path::Path;

/// Reads the files that need not be named.
pub(super) fn automatic(
    root: &Module,
    sources: &mut SourceMap,
    files: &dyn FileReader,
    given: &mut Vec<Given>,
    out: &mut Diagnostics,
) {
    let mut names = files.list(&root.dir).unwrap_or_default();
    names.sort();
    let fixed = ["terraform.tfvars", "terraform.tfvars.json"];
    let first = fixed.into_iter().filter(|f| names.iter().any(|n| n == f)).map(String::from);
    let ends = [".auto.tfvars", ".auto.tfvars.json", ".auto.vars.yaml", ".auto.vars.yml"];
    let rest = names.iter().filter(|n| !n.starts_with('.') && ends.iter().any(|e| n.ends_with(e))).cloned();
    for name in first.chain(rest) {
        named(&root.dir.join(&name), &name, sources, files, given, out);
    }
}

/// Reads one file; its ending says how.
pub(super) fn named(
    path: &Path,
    shown: &str,
    sources: &mut SourceMap,
    files: &dyn FileReader,
    given: &mut Vec<Given>,
    out: &mut Diagnostics,
) {
    let text = match files.read(path) {
        Ok(text) => text,
        Err(error) => {
            return out.push(
                Diagnostic::error("G0908", "A file of variable values cannot be read")
                    .detail(format!("{shown}: {error}.")),
            );
        }
    };
    let source = sources.add(shown, text.as_str());
    let nodes: Vec<Node> = if shown.ends_with(".json") {
        let (node, faults) = parse_json(source, &text);
        out.extend(faults);
        node.into_iter().collect()
    } else if shown.ends_with(".yaml") || shown.ends_with(".yml") {
        let (nodes, faults) = parse_yaml(source, &text);
        out.extend(faults);
        nodes
    } else {
        let (node, faults) = parse_native(source, &text);
        out.extend(faults);
        vec![node]
    };
    for node in nodes {
        match node.kind {
            NodeKind::Map(entries) => {
                for (key, node) in entries.into_iter().filter(|(k, _)| &*k.text != "//") {
                    if key.form == document::Form::Block {
                        out.push(
                            Diagnostic::error("G0909", "Not a file of variable values")
                                .detail(format!(
                                    "A block stands in {shown}, where each line is NAME = VALUE."
                                ))
                                .help("Blocks are declared in *.tf files.")
                                .at(key.span, "a block"),
                        );
                        continue;
                    }
                    given.push(Given {
                        name: key.text,
                        span: node.span,
                        form: Form::Node(node),
                        undeclared: Undeclared::Warning,
                    });
                }
            }
            _ => crate::config::values::wrong_shape(&node, "A file of variable values", "a mapping", out),
        }
    }
}
