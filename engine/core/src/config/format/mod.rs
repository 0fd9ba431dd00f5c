//! The usual layout of a file, if the file means the same in it.

mod plain;
#[cfg(test)]
mod tests;

use super::convert::outline::{self, Outline};
use super::convert::place::Place;
use super::gather::{self, Surface};
use groma_lang::document::{Node, parse_json, parse_native, parse_yaml};
use groma_lang::format::{format_json, format_native, format_yaml};
use groma_types::{Diagnostic, Diagnostics, SourceId, Span};

/// The syntax of a text that is to be formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Native,
    Json,
    /// A spec in YAML.
    Yaml,
    /// Values of variables in YAML.
    YamlValues,
}

/// The syntax of a file that is formatted, by its name; `None`: another kind of file.
pub fn syntax_of(name: &str) -> Option<Syntax> {
    let ends = |all: &[&str]| all.iter().any(|end| name.ends_with(end));
    match () {
        () if ends(&[".tf", ".tfvars", ".tftest.hcl", ".tfmock.hcl"]) => Some(Syntax::Native),
        () if ends(&[".tf.json", ".tfvars.json", ".tftest.json"]) => Some(Syntax::Json),
        () if ends(&[".vars.yaml", ".vars.yml"]) => Some(Syntax::YamlValues),
        () if ends(&[".yaml", ".yml"]) => Some(Syntax::Yaml),
        () => None,
    }
}

/// The syntax of a text without a name.
pub fn syntax_of_text(text: &str) -> Syntax {
    match text.trim_start_matches('\u{feff}').trim_start().chars().next() {
        Some('{' | '[') => Syntax::Json,
        Some(_) if is_spec(text) => Syntax::Yaml,
        _ => Syntax::Native,
    }
}

/// Whether a YAML text is a spec, and not another tool's file. With faults that keep it from being read the lines tell.
pub fn is_spec(text: &str) -> bool {
    let (documents, faults) = parse_yaml(SourceId(0), text);
    if !faults.has_errors() {
        return !documents.is_empty() && documents.iter().all(is_ours);
    }
    let mut keys = text.lines().filter_map(|line| line.split_once(':')).map(|(key, _)| key).peekable();
    let at_margin = |key: &&str| key.starts_with(|c: char| c.is_ascii_alphabetic());
    keys.peek().is_some() && keys.filter(at_margin).all(is_block_name)
}

fn is_ours(document: &Node) -> bool {
    let keys = document.as_map().unwrap_or_default().iter().map(|(key, _)| &*key.text);
    document.as_map().is_some() && keys.clone().all(is_block_name)
}

fn is_block_name(key: &str) -> bool {
    key.starts_with("x-") || gather::block_names().any(|name| name == key)
}

/// Formats a text. Native syntax comes out as `terraform fmt` writes it, except that no comment is lost.
///
/// # Errors
/// The text has faults, or would not mean the same.
pub fn format(syntax: Syntax, source: SourceId, text: &str) -> Result<String, Diagnostics> {
    let before = read(syntax, source, text)?;
    let formatted = match syntax {
        Syntax::Native => Some(format_native(text)),
        Syntax::Json => Some(format_json(text)),
        Syntax::Yaml => format_yaml(&plain::plain(text, &before, Place::Root)),
        Syntax::YamlValues => format_yaml(&plain::plain(text, &before, Place::Value)),
    };
    let formatted = formatted.filter(|formatted| {
        let after = read(syntax, SourceId(0), formatted);
        after.is_ok_and(|after| meaning(syntax, &before) == meaning(syntax, &after))
    });
    formatted.ok_or_else(|| differs(source, text).into())
}

/// All that a text declares, and all that it sets outside of blocks.
fn meaning(syntax: Syntax, documents: &[Node]) -> (outline::Blocks, Vec<Outline>) {
    let blocks = match syntax {
        Syntax::Native => outline::of(Surface::Native, documents),
        Syntax::Json => outline::of(Surface::Json, documents),
        Syntax::Yaml => outline::of(Surface::Yaml, documents),
        Syntax::YamlValues => outline::Blocks::new(),
    };
    let is_value = |key: &str| syntax != Syntax::Yaml || !gather::block_names().any(|name| name == key);
    (blocks, documents.iter().map(|document| outline::values(document, &is_value)).collect())
}

fn read(syntax: Syntax, source: SourceId, text: &str) -> Result<Vec<Node>, Diagnostics> {
    let (documents, faults) = match syntax {
        Syntax::Native => {
            let (node, faults) = parse_native(source, text);
            (vec![node], faults)
        }
        Syntax::Json => {
            let (node, faults) = parse_json(source, text);
            (node.into_iter().collect(), faults)
        }
        Syntax::Yaml | Syntax::YamlValues => parse_yaml(source, text),
    };
    let is_there = !documents.is_empty() || matches!(syntax, Syntax::Yaml | Syntax::YamlValues);
    if is_there && !faults.has_errors() { Ok(documents) } else { Err(faults) }
}

fn differs(source: SourceId, text: &str) -> Diagnostic {
    Diagnostic::error("G0542", "This can't be formatted")
        .detail("In its usual layout this file would not declare the same; it stays as it is.")
        .help("Please report this.")
        .at(Span::new(source, 0, text.lines().next().map_or(0, str::len)), "this file")
}
