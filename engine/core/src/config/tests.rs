//! Specs in, faults out: one line of data for each sentence of the language page.

use super::load::{self, LoadRequest, MemoryFiles};
use super::*;
use groma_types::Diagnostics;
use std::path::Path;

pub(super) fn render(sources: &SourceMap, diagnostics: &Diagnostics) -> String {
    let mut lines = Vec::new();
    for d in diagnostics.iter() {
        let place = d.labels.first().map_or(String::from("-"), |label| {
            let at = sources.line_col(label.span.source, label.span.start as usize);
            let source = sources.get(label.span.source);
            let marked = source.text.get(label.span.start as usize..label.span.end as usize).unwrap_or("?");
            format!("{}:{}:{} <{}>", source.name, at.line, at.column, marked.lines().next().unwrap_or(""))
        });
        lines.push(format!("{place} {} {} {}", d.code, d.summary, d.detail));
    }
    lines.join("\n")
}

pub(super) fn read(files: &[(&str, &str)]) -> (Option<Config>, SourceMap, Diagnostics) {
    let files = MemoryFiles::new(files.iter().map(|(n, t)| (format!("stack/{n}"), *t)));
    load::load(LoadRequest { path: Path::new("stack"), files: &files })
}

pub(super) fn config(text: &str) -> Config {
    let (config, sources, faults) = read(&[("main.yaml", text)]);
    assert!(!faults.has_errors(), "{}", render(&sources, &faults));
    config.unwrap()
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &str) {
    let (_, sources, faults) = read(files);
    assert_eq!(render(&sources, &faults), expected);
}

#[test]
fn the_example_stack_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs/fastapi-eks");
    let (config, sources, faults) = load::load(LoadRequest { path: &path, files: &load::DiskFiles });
    assert_eq!(render(&sources, &faults), "");
    assert!(config.unwrap().root().providers.len() >= 2);
}

#[test]
fn bodies_of_labelled_blocks_may_be_empty() {
    let config = config("variable:\n  a:\nresource:\n  aws_vpc: {main: , other: {}}\nprovider:\n  aws:\n");
    assert_eq!(config.root().resources.len(), 2);
    assert_eq!(config.root().variables.len(), 1);
    assert_eq!(config.root().providers.len(), 1);
}
