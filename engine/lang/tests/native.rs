//! Native syntax beside another reader of it: what one takes the other takes, with the same attributes and blocks.

use groma_lang::document::{Form, Node, parse_native};
use groma_types::SourceId;
use hcl_edit::structure::{Body, Structure};
use proptest::prelude::*;

/// Names of arguments, and blocks with labels and body, in an order that both readers can give.
#[derive(Debug, PartialEq, PartialOrd, Eq, Ord)]
enum Shape {
    Argument(String),
    Block(String, Vec<String>, Vec<Shape>),
}

fn ours(body: &Node) -> Vec<Shape> {
    let mut found = Vec::new();
    for (key, node) in body.as_map().unwrap_or_default() {
        if key.form == Form::Argument {
            found.push(Shape::Argument(key.text.to_string()));
            continue;
        }
        let items = node.as_seq().map_or_else(|| vec![node], |items| items.iter().collect());
        for mut item in items {
            let mut labels = Vec::new();
            while item.is_labels() {
                let (label, inside) = &item.as_map().unwrap()[0];
                labels.push(label.text.to_string());
                item = inside;
            }
            found.push(Shape::Block(key.text.to_string(), labels, ours(item)));
        }
    }
    found.sort();
    found
}

fn theirs(body: &Body) -> Vec<Shape> {
    let shape = |structure: &Structure| match structure {
        Structure::Attribute(a) => Shape::Argument(a.key.to_string()),
        Structure::Block(b) => {
            let labels = b.labels.iter().map(|l| l.as_str().to_string()).collect();
            Shape::Block(b.ident.to_string(), labels, theirs(&b.body))
        }
    };
    let mut found: Vec<Shape> = body.iter().map(shape).collect();
    found.sort();
    found
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-c]{1,3}",
        "[0-9]{1,4}",
        Just("\"x ${a.b} $${c} \\\"q\\\" # no comment\"".to_string()),
        Just("<<-EOT\n    x ${a}\n  # no comment }\n  EOT\n".to_string()),
        Just("<<E\n \"{\nE\n".to_string()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        // A heredoc ends with its line: what follows it stands on the next one.
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|v| format!("[{}]", v.join(", "))),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|v| v
                .iter()
                .enumerate()
                .fold("{\n".to_string(), |all, (i, v)| {
                    format!("{all}  k{i} = {}\n", v.trim_end_matches('\n'))
                })
                + "}"),
            inner.clone().prop_map(|a| format!("f(\n{a}\n)")),
            inner.prop_map(|a| format!("( # why\n{a})")),
        ]
    })
}

fn body() -> impl Strategy<Value = String> {
    let arguments = prop::collection::vec(value(), 0..4).prop_map(|values| {
        let line = |(i, v): (usize, &String)| format!("a{i} = {} # c\n", v.trim_end_matches('\n'));
        let plain = |(i, v): (usize, &String)| format!("a{i} = {}\n", v.trim_end_matches('\n'));
        // Nothing may follow the end of a heredoc on its line.
        values
            .iter()
            .enumerate()
            .map(|(i, v)| if v.ends_with('\n') { plain((i, v)) } else { line((i, v)) })
            .collect::<String>()
    });
    arguments.prop_recursive(3, 12, 3, |inner| {
        let gap = prop_oneof![Just("// c\n"), Just("/* c\n */"), Just("\n"), Just("")];
        let label = prop_oneof![Just(""), Just(" \"l\""), Just(" x \"y z\"")];
        prop::collection::vec(("[d-f]", label, inner, gap), 0..4).prop_map(|blocks| {
            blocks
                .iter()
                .map(|(name, label, body, gap)| format!("{gap}{name}{label} {{\n{body}}}\n"))
                .collect()
        })
    })
}

proptest! {
    #[test]
    fn both_readers_see_the_same_attributes_and_blocks(text in body(), windows in any::<bool>()) {
        let text = if windows { text.replace('\n', "\r\n") } else { text };
        let (node, faults) = parse_native(SourceId(0), &text);
        prop_assert!(!faults.has_errors(), "{text}\n{faults:?}");
        let other = hcl_edit::parser::parse_body(&text);
        prop_assert!(other.is_ok(), "{text}\n{other:?}");
        prop_assert_eq!(ours(&node), theirs(&other.unwrap()), "{}", text);
    }

    #[test]
    fn a_text_that_is_cut_is_read_to_its_end(text in body(), at in 0_usize..400) {
        let cut: String = text.chars().take(at).collect();
        parse_native(SourceId(0), &cut);
    }
}
