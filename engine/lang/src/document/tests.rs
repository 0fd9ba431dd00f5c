//! One line of data for each sentence of the language page on YAML and JSON.

use super::*;
use groma_types::{Diagnostics, SourceId, SourceMap};

fn dump(node: &Node, out: &mut String) {
    match &node.kind {
        NodeKind::Expr(written) => out.push_str(&written.expr().source_text()),
        NodeKind::Null => out.push_str("null"),
        NodeKind::Scalar { text, style } => {
            let content = text.content();
            match (style, plain_kind(content)) {
                (Style::Plain, Plain::Bool(_) | Plain::Number) => out.push_str(content),
                (Style::Block, _) => out.push_str(&format!("|{content:?}")),
                _ => out.push_str(&format!("{content:?}")),
            }
        }
        NodeKind::Seq(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                dump(item, out);
            }
            out.push(']');
        }
        NodeKind::Map(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                out.push_str(&key.text);
                out.push(':');
                dump(value, out);
            }
            out.push('}');
        }
    }
}

fn render(text: &str, diagnostics: &Diagnostics) -> String {
    let mut sources = SourceMap::default();
    let id = sources.add("main.yaml", text);
    let mut lines = Vec::new();
    for d in diagnostics.iter() {
        let label = &d.labels[0];
        let at = sources.line_col(id, label.span.start as usize);
        let marked = text.get(label.span.start as usize..label.span.end as usize).unwrap_or("?");
        let help = d.help.clone().unwrap_or_default();
        lines.push(format!("{}:{} {} <{marked}> {help}", at.line, at.column, d.summary));
    }
    lines.join("\n")
}

/// The dump of all documents; with faults, the faults instead.
fn read(text: &str) -> String {
    let (docs, diagnostics) = parse_yaml(SourceId(0), text);
    if !diagnostics.is_empty() {
        return render(text, &diagnostics);
    }
    let mut out = String::new();
    for (i, doc) in docs.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { " --- " });
        dump(doc, &mut out);
    }
    out
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(read(text), expected, "for:\n{text}");
}

#[test]
fn core_schema_and_keys_by_text() {
    check("on: yes\n1: a\ntrue: b\n~: c\n", r#"{on:"yes",1:"a",true:"b",~:"c"}"#);
    check("v: 1.30\nw: 1e3\nx: 0o644\ny: True\n", "{v:1.30,w:1e3,x:0o644,y:True}");
    check("a:\nb: ~\nc: null\nd: ''\n", r#"{a:null,b:null,c:null,d:""}"#);
    check("a: !!str 012\nb: !!int 12\n", r#"{a:"012",b:12}"#);
    check("a: 1\n---\n---\nb: 2\n", "{a:1} --- {b:2}");
    check("a: 2024-01-01\nb: 1_000\nc: 10.0.0.0/8\n", r#"{a:"2024-01-01",b:"1_000",c:"10.0.0.0/8"}"#);
    check("\u{feff}a: é\r\n", r#"{a:"é"}"#);
}

#[test]
fn anchors_aliases_and_merge() {
    check("x: &a {b: 1, c: 2}\ny: *a\n", "{x:{b:1,c:2},y:{b:1,c:2}}");
    check("x: &a {b: 1, c: 2}\ny:\n  <<: *a\n  c: 3\n", "{x:{b:1,c:2},y:{c:3,b:1}}");
    check("- &a {b: 1}\n- &c {b: 2, d: 3}\n- <<: [*a, *c]\n", "[{b:1},{b:2,d:3},{b:1,d:3}]");
    check("y:\n  '<<': 1\n", "{y:{<<:1}}");
    check("y:\n  <<: 1\n", "2:7 `<<` takes a mapping <1> ");
    check("a: &x {b: *x}\n", "1:11 Alias inside of what it stands for <*x> ");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
    for i in 1..9 {
        text.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", ")));
    }
    assert!(read(&text).contains("Aliases make too much of this text"));
}

#[test]
fn faults_of_values_and_keys() {
    check("a: 1\nb: 2\na: 3\n", "3:1 A key is there twice <a> ");
    check("[a]: 1\n", "1:1 A key must be text <[a]> If the key is a template, quote it: \"${…}\": value");
    check(
        "a: 0644\n",
        "1:4 Digits with a leading zero <0644> Write 0o644 for octal, 644 for decimal, \"0644\" in quotes for text.",
    );
    check("a: .inf\n", "1:4 Not a number that can be kept <.inf> If text is meant, quote it: \".inf\"");
    check("a: !!int x\n", "1:10 The value does not fit its tag <x> ");
}

#[test]
fn template_traps_show_the_corrected_line() {
    let flow = "A template in a flow collection must be quoted";
    check("k: [${a}, ${b}]\n", &format!("1:5 {flow} <${{a}}> Write: k: [\"${{a}}\", \"${{b}}\"]"));
    check("k: {k: ${v}}\n", &format!("1:8 {flow} <${{v}}> Write: k: {{k: \"${{v}}\"}}"));
    check(
        "k: {k: ${f(v, \"x\")}-y, z: 1}\n",
        &format!("1:8 {flow} <${{f(v, \"x\")}}> Write: k: {{k: '${{f(v, \"x\")}}-y', z: 1}}"),
    );
    check(
        "k: [aws_x.y[0]]\n",
        "1:5 A reference with an index must be quoted here <aws_x.y[> Write: k: [\"aws_x.y[0]\"]",
    );
    check(
        "k: [%{ if a }x%{ endif }]\n",
        "1:5 A value that begins with `%{` must be quoted <%{ if a }x%{ endif }]> Write: k: [\"%{ if a }x%{ endif }\"]",
    );
    check(
        "k: ${a ? b : c}\n",
        "1:12 A template with `: ` inside must be quoted <:> Write: k: \"${a ? b : c}\"",
    );
    check(
        "k: ${a ? \"b\" : c}\n",
        "1:14 A template with `: ` inside must be quoted <:> Write: k: '${a ? \"b\" : c}'",
    );
    check(
        "- ${a ? b : c}\n",
        "1:3 A template with `: ` inside must be quoted <${a ? b> Write: - \"${a ? b : c}\"",
    );
    check("k: ${a #b}\n", "1:4 A template with ` #` inside must be quoted <${a> Write: k: \"${a #b}\"");
    check(
        "k: %{if a}x%{endif}\n",
        "1:4 A value that begins with `%{` must be quoted <%{if a}x%{endif}> Write: k: \"%{if a}x%{endif}\"",
    );
    check(
        "k: *.example.com\n",
        "1:4 A value that begins with `*` must be quoted <*.example.com> Write: k: \"*.example.com\"",
    );
    check("k: @daily\n", "1:4 A value that begins with `@` must be quoted <@daily> Write: k: \"@daily\"");
    check("k: &secret\n", "1:4 A value that begins with `&` must be quoted <&secret> Write: k: \"&secret\"");
    check("k: !var.x\n", "1:4 A value that begins with `!` must be quoted <!var.x> Write: k: \"!var.x\"");
    check(
        "k: \"${a(\"b\")}\"\n",
        "1:10 Quotes inside of a quoted template <b\")}\"> Write: k: '${a(\"b\")}'",
    );
    check(
        "k: \"a\" == b\n",
        "1:8 A value that begins with a quote goes on after it <== b> Write: k: '\"a\" == b'",
    );
    check("k: \"\\d+\"\n", "1:5 A backslash in double quotes begins an escape <\\d> Write: k: '\\d+'");
    check(
        "k: a${b\nj: 1\n",
        "1:5 A template is not closed <${b> Close it with `}`; if the characters themselves are meant, write `$${` or `%%{`.",
    );
    check("k: $${a\nj: ${ {a = \"}\"} }\n", r#"{k:"$${a",j:"${ {a = \"}\"} }"}"#);
}

#[test]
fn all_faults_of_a_text_are_found() {
    check(
        "a: [${x}]\nb: ${y ? 1 : 2}\nc: @z\nd: 1\nd: 2\n",
        "1:5 A template in a flow collection must be quoted <${x}> Write: a: [\"${x}\"]\n\
         2:12 A template with `: ` inside must be quoted <:> Write: b: \"${y ? 1 : 2}\"\n\
         3:4 A value that begins with `@` must be quoted <@z> Write: c: \"@z\"\n\
         5:1 A key is there twice <d> ",
    );
}

#[test]
fn a_block_that_is_one_expression_keeps_its_type() {
    check(
        "a: |\n  ${x}\nb: >\n  ${f(\n  1)}\nc: |\n  ${x} y\n",
        r#"{a:|"${x}",b:|"${f( 1)}",c:|"${x} y\n"}"#,
    );
}

/// The source text that the given part of the only value's content came from.
fn source_of(text: &str, part: &str) -> String {
    let (docs, _) = parse_yaml(SourceId(0), text);
    let (_, node) = docs[0].get("k").unwrap();
    let scalar = node.as_text().unwrap();
    let at = scalar.content().find(part).unwrap();
    let span = scalar.span(at, at + part.len());
    text[span.start as usize..span.end as usize].to_string()
}

#[test]
fn places_in_scalars_lead_back_to_the_source() {
    for (text, part, expected) in [
        ("k: a-${var.x}\n", "var.x", "var.x"),
        ("k: a\n  b ${var.x}\n", "var.x", "var.x"),
        ("k: \"\\u00e9\\t${var.x}\"\n", "var.x", "var.x"),
        ("k: \"a\\tb\"\n", "b", "b"),
        ("k: \"a \\\n   b ${var.x}\"\n", "var.x", "var.x"),
        ("k: 'it''s ${var.x}'\n", "var.x", "var.x"),
        ("k: 'it''s\n\n  ${var.x}'\n", "var.x", "var.x"),
        ("k: |\n   a\n     b\n\n   ${var.x}\n", "var.x", "var.x"),
        ("k: |2\n   a\n  ${var.x}\n", "var.x", "var.x"),
        ("k: >-\n   a\n   b\n     c\n\n   ${var.x}\n", "var.x", "var.x"),
        ("k: |\r\n  a\r\n  ${var.x}\r\n", "var.x", "var.x"),
    ] {
        assert_eq!(source_of(text, part), expected, "in {text:?}");
    }
}

fn read_json(text: &str) -> String {
    let (node, diagnostics) = parse_json(SourceId(0), text);
    if !diagnostics.is_empty() {
        return render(text, &diagnostics);
    }
    let mut out = String::new();
    dump(&node.unwrap(), &mut out);
    out
}

#[test]
fn json_keeps_number_text_and_finds_doubles() {
    for (text, expected) in [
        (r#"{"a": [1.30, -0, true, null, "x\u00e9\n"]}"#, r#"{a:[1.30,-0,true,null,"xé\n"]}"#),
        (r#"{"a": "\ud83d\ude00"}"#, r#"{a:"😀"}"#),
        (r#"{"//": 1, "//": 2}"#, "{//:1,//:2}"),
        (r#"{"a": 1, "a": 2}"#, "1:10 A key is there twice <\"a\"> "),
        ("{\"a\": 1,}", "1:9 The text is not JSON <}> "),
        ("[1,]", "1:4 The text is not JSON <]> "),
        ("{\"a\": 012}", "1:7 The text is not JSON <0> "),
        ("{\"a\": 1} x", "1:10 The text is not JSON <x> "),
        ("{\"a\": \"x", "1:7 The text is not JSON <\"> "),
    ] {
        assert_eq!(read_json(text), expected, "for {text}");
    }
}

/// Steps of a linear congruence: the same texts in each run.
fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap()
}

fn spans_lie_inside(node: &Node, length: usize) {
    assert!(node.span.start <= node.span.end && node.span.end as usize <= length, "{node:?}");
    node.as_seq().unwrap_or_default().iter().for_each(|n| spans_lie_inside(n, length));
    node.as_map().unwrap_or_default().iter().for_each(|(_, n)| spans_lie_inside(n, length));
    if let Some(text) = node.as_text() {
        let whole = text.whole();
        assert!(whole.end as usize <= length + 4, "{node:?}");
    }
}

#[test]
fn damaged_texts_never_stop_the_reader() {
    let seeds = [
        "a: &x {b: \"q\\u00e9\", c: [1, ${v}]}\nd:\n  <<: *x\n  e: |\n    ${f(\"é\")}\n    x\n",
        "- ${a ? b : c}\n- 'it''s'\n- >-\n  fold\n   more\n\n  end\n- !!str 012\n---\nk: %{ if x }\n",
    ];
    let pieces = [
        "\"", "'", "{", "}", "[", "]", ": ", " #", "${", "%{", "*", "&", "!", "@", "\\", "\n", "é", "\t",
        "- ", "|", ">",
    ];
    let mut seed = 1;
    for round in 0..4000 {
        let mut text: Vec<char> = seeds[round % seeds.len()].chars().collect();
        for _ in 0..=next(&mut seed) % 3 {
            let at = next(&mut seed) % text.len();
            if next(&mut seed).is_multiple_of(2) {
                text.remove(at);
            } else {
                let piece = pieces[next(&mut seed) % pieces.len()];
                text.splice(at..at, piece.chars());
            }
        }
        let text: String = text.into_iter().collect();
        let (docs, _) = parse_yaml(SourceId(0), &text);
        docs.iter().for_each(|n| spans_lie_inside(n, text.len()));
        let _ = parse_json(SourceId(0), &text);
    }
}

#[test]
fn comments_may_be_any_number() {
    let comments = "  # c\n".repeat(300);
    assert_eq!(read(&format!("a:\n{comments}  b: 1\n{comments}c: 2\n")), read("a:\n  b: 1\nc: 2\n"));
}
