//! Files of variable values: YAML, JSON and Terraform's `.tfvars`.

use super::{Form, Given, Undeclared};
use crate::config::Config;
use crate::config::load::FileReader;
use groma_lang::document::{Node, NodeKind, parse_json, parse_yaml};
use groma_lang::expr::{Expr, parse_expression};
use groma_lang::text::Text;
use groma_types::{Diagnostic, Diagnostics, SourceId, SourceMap, Span};
use std::path::Path;

/// Reads the files that need not be named.
pub(super) fn automatic(
    config: &Config,
    sources: &mut SourceMap,
    files: &dyn FileReader,
    given: &mut Vec<Given>,
    out: &mut Diagnostics,
) {
    let mut names = files.list(&config.root_dir).unwrap_or_default();
    names.sort();
    let fixed = ["terraform.tfvars", "terraform.tfvars.json"];
    let first = fixed.into_iter().filter(|f| names.iter().any(|n| n == f)).map(String::from);
    let ends = [".auto.tfvars", ".auto.tfvars.json", ".auto.vars.yaml", ".auto.vars.yml"];
    let rest = names.iter().filter(|n| !n.starts_with('.') && ends.iter().any(|e| n.ends_with(e))).cloned();
    for name in first.chain(rest) {
        named(&config.root_dir.join(&name), &name, sources, files, given, out);
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
        return given.extend(native(source, &text, out));
    };
    for node in nodes {
        match node.kind {
            NodeKind::Map(entries) => {
                given.extend(entries.into_iter().filter(|(k, _)| &*k.text != "//").map(|(key, node)| {
                    Given {
                        name: key.text,
                        span: node.span,
                        form: Form::Node(node),
                        undeclared: Undeclared::Warning,
                    }
                }));
            }
            _ => crate::config::values::wrong_shape(&node, "A file of variable values", "a mapping", out),
        }
    }
}

/// `name = value` lines are the inside of an object of the expression language.
fn native(source: SourceId, text: &str, out: &mut Diagnostics) -> Vec<Given> {
    let content = format!("{{\n{text}\n}}");
    let whole = Text::new(content.into(), source, vec![(0, 0), (2, 0), (2 + text.len(), text.len())]);
    let (expr, faults) = parse_expression(&whole);
    let broken = faults.has_errors();
    out.extend(faults);
    if broken {
        return Vec::new();
    }
    let Some(items) = expr.object_items() else {
        out.push(
            Diagnostic::error("G0909", "Not a file of variable values")
                .detail("Each line is NAME = VALUE.")
                .at(Span::new(source, 0, text.len().min(1)), "here"),
        );
        return Vec::new();
    };
    items.into_iter().filter_map(|(key, value)| entry(&key, value)).collect()
}

fn entry(key: &Expr, value: Expr) -> Option<Given> {
    let name = key.as_literal()?.as_str()?.into();
    Some(Given { name, span: value.span(), form: Form::Expr(value), undeclared: Undeclared::Warning })
}
