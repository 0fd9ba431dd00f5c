//! A law that holds for every function: what a secret goes into is a secret. (What is said of unknown arguments is held
//! against the same calls in `soundness`.)

use groma_lang::eval::{FunctionHost, NoScope, call_function};
use groma_lang::{Text, evaluate, functions, parse_expression};
use groma_types::{Marks, SourceId, Value};
use std::collections::BTreeSet;

/// A call of each function, a line each.
const CALLS: &str = include_str!("corpus/calls.txt");

/// Functions that the law is not about, and why.
const APART: &[(&str, &str)] = &[
    ("can", "says only whether; an error has no secret"),
    ("ephemeralasnull", "takes ephemeral marks away"),
    ("issensitive", "tells of the mark itself"),
    ("nonsensitive", "takes the mark away"),
    ("plantimestamp", "no arguments"),
    ("rsadecrypt", "needs a key, which no test holds"),
    ("templatestring", "its template is a reference, not a value"),
    ("timestamp", "no arguments"),
    ("try", "gives what it chose; what it passed over it does not give"),
    ("uuid", "no arguments"),
];

/// Arguments of which Terraform's result says nothing.
const UNTOLD: &[(&str, usize)] = &[
    // The first that is neither null nor empty is given; what comes after it is not looked at.
    ("coalesce", 1),
    ("coalescelist", 1),
];

struct Files;
impl FunctionHost for Files {
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        Ok(if path.ends_with('t') { b"${x}".to_vec() } else { b"text".to_vec() })
    }
    fn file_exists(&self, _: &str) -> Result<bool, String> {
        Ok(true)
    }
    fn list_files(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(vec!["f".into()])
    }
    fn real_path(&self, path: &str) -> Result<String, String> {
        Ok(path.into())
    }
    fn home_dir(&self) -> Option<String> {
        Some("/home".into())
    }
    fn bcrypt(&self, _: &str, _: u32) -> Result<Value, String> {
        Ok("hash".into())
    }
}

/// All calls with their arguments as values.
fn calls() -> Vec<(&'static str, Vec<Value>)> {
    let call = |line: &'static str| {
        let (name, rest) = line.split_once('(').expect("a call has a parenthesis");
        let written = rest.strip_suffix(')').expect("and a second one");
        let (expr, faults) = parse_expression(&Text::plain(format!("[{written}]"), SourceId(0), 0));
        assert!(!faults.has_errors(), "{line}: {faults:?}");
        (name, evaluate(&expr, &NoScope).0.as_seq().expect("a list was written").to_vec())
    };
    CALLS.lines().map(call).collect()
}

fn with(args: &[Value], at: usize, value: Value) -> Vec<Value> {
    let mut args = args.to_vec();
    args[at] = value;
    args
}

#[test]
fn the_law_is_about_every_function() {
    let calls = calls();
    let named: Vec<&str> =
        calls.iter().map(|(name, _)| *name).chain(APART.iter().map(|(name, _)| *name)).collect();
    let all: BTreeSet<&str> = functions::names().collect();
    assert_eq!(named.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(named.len(), all.len(), "one is named twice");
}

#[test]
fn a_secret_argument_makes_a_secret_result() {
    let mut lost = Vec::new();
    for (name, args) in calls() {
        let plain = call_function(name, &args, &Files).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(name == "sensitive" || !plain.deep_marks().sensitive, "{name} makes a secret of nothing");
        for (at, arg) in args.iter().enumerate().filter(|(at, _)| !UNTOLD.contains(&(name, *at))) {
            for mark in [Marks::SENSITIVE, Marks::EPHEMERAL] {
                let marked = with(&args, at, arg.clone().mark(mark));
                match call_function(name, &marked, &Files) {
                    Ok(result) if result.deep_marks().union(mark) == result.deep_marks() => {}
                    other => lost.push(format!("{name}, argument {at}, {mark:?}: {other:?}")),
                }
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
