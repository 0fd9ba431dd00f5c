//! Texts in native syntax and the trees they give.

use super::*;
use groma_types::SourceMap;
use std::fmt::Write as _;

/// The tree on one line: `=` arguments, `#` blocks, `@` labels, expressions as they print.
fn shape(node: &Node) -> String {
    match &node.kind {
        NodeKind::Null => "null".into(),
        NodeKind::Scalar { .. } => unreachable!("native syntax has no scalars"),
        NodeKind::Expr(written) => written.expr().source_text().to_string(),
        NodeKind::Seq(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(", ")),
        NodeKind::Map(entries) => {
            let mut out = String::from("{");
            for (i, (key, value)) in entries.iter().enumerate() {
                let mark = match key.form {
                    Form::Open => ":",
                    Form::Argument => "=",
                    Form::Block => "#",
                    Form::Label => "@",
                };
                let comma = if i > 0 { ", " } else { "" };
                let _ = write!(out, "{comma}{}{mark}{}", key.text, shape(value));
            }
            out + "}"
        }
    }
}

fn faults(text: &str) -> (Node, String) {
    let mut sources = SourceMap::default();
    let id = sources.add("a.tf", text);
    let (node, diagnostics) = parse_native(id, text);
    let line = |d: &Diagnostic| {
        let span = d.labels[0].span;
        let at = sources.line_col(id, span.start as usize);
        format!("{}:{} <{}> {}", at.line, at.column, &text[span.start as usize..span.end as usize], d.summary)
    };
    let lines: Vec<String> = diagnostics.iter().map(line).collect();
    (node, lines.join("\n"))
}

#[track_caller]
fn reads(text: &str, expected: &str) {
    let (node, told) = faults(text);
    assert_eq!(told, "", "{text}");
    assert_eq!(shape(&node), expected, "{text}");
}

#[track_caller]
fn refuses(text: &str, expected: &str) {
    assert_eq!(faults(text).1, expected, "{text}");
}

#[test]
fn arguments() {
    reads("", "{}");
    reads("\u{feff}a = 1\r\nb = \"x\"\r\n", "{a=1, b=\"x\"}");
    reads("a = 1 # c\n// c\nb = 2 /* c\n c */\n/* */ c = 3", "{a=1, b=2, c=3}");
    reads("a-b = null\n_c = true\né = x.y[0]", "{a-b=null, _c=true, é=x.y[0]}");
    reads("a = [1, # one\n  2,\n]\nb = (1\n + 2)\n", "{a=[1, 2], b=1 + 2}");
    reads("a = { b = 1, \"c d\" : 2\n  e = [{}]\n}\n", "{a={b:1, c d:2, e:[{}]}}");
    reads("a = f(\n  x,\n  y...\n)\n", "{a=f(x, y...)}");
    reads("a = [for x in y :\n  x\n  if x > 1]\n", "{a=[for x in y : x if x > 1]}");
    reads("a = x ? y : z ? 1 : 2\n", "{a=x ? y : z ? 1 : 2}");
    reads("a = -1\nb = !x\nc = 1.50e3\n", "{a=-1, b=!x, c=1500}");
    reads("a = x.*.y\nb = x[*].y[0]\nc = x.0.y\n", "{a=x.*.y, b=x[*].y[0], c=x[0].y}");
}

#[test]
fn objects_are_opened_only_where_a_mapping_means_the_same() {
    reads("a = { (k) = 1 }\n", "{a={(k) = 1}}");
    reads("a = { \"${k}\" = 1 }\n", "{a={(k) = 1}}");
    reads("a = { \"$${k}\" = 1 }\n", "{a={\"$${k}\" = 1}}");
    reads("a = { b = 1, b = 2 }\n", "{a={b = 1, b = 2}}");
    reads("a = { b.c = d }\n", "{a={b.c = d}}");
    reads("a = { \"//\" = 1 }\n", "{a={\"//\" = 1}}");
}

#[test]
fn strings_and_heredocs() {
    reads(r#"a = "x\n\"\\A${y}$${z}%%{w}""#, r#"{a="x\n\"\\A${y}$${z}%%{w}"}"#);
    reads("a = \"${ {\"b\" = \"}\"}[\"b\"] }\"\n", "{a={b = \"}\"}[\"b\"]}");
    reads("a = <<EOT\n  x \\n ${y}\n\tz\nEOT\nb = 1\n", "{a=\"  x \\\\n ${y}\\n\\tz\\n\", b=1}");
    reads("a = <<-EOT\n    x\n      y\n    EOT\n", "{a=\"x\\n  y\\n\"}");
    reads("a = <<-EOT\r\n    x\r\n  EOT\r\n", "{a=\"x\\r\\n\"}");
    reads("a = [<<A\nx\nA\n, <<B\ny\nB\n]\n", "{a=[\"x\\n\", \"y\\n\"]}");
    reads("a = <<E\n%{ for x in y ~}\n${x}\n%{ endfor ~}\nE\n", "{a=\"%{ for x in y }${x}\\n%{ endfor }\"}");
    reads("a = f(<<E\nx\nE\n)\n", "{a=f(\"x\\n\")}");
}

#[test]
fn blocks() {
    reads("b {\n}\n", "{b#{}}");
    reads("b {}\nc { x = 1 }\n", "{b#{}, c#{x=1}}");
    reads("b \"x\" y {\n  z = 1\n}\n", "{b#{x@{y@{z=1}}}}");
    reads("b \"x\" {}\nb \"y\" {}\n", "{b#[{x@{}}, {y@{}}]}");
    reads("b {\n  c {\n    d {}\n  }\n  c { e = [] }\n}", "{b#{c#[{d#{}}, {e=[]}]}}");
    reads("b { # c\n  x = {\n    y = 1\n  }\n}\n", "{b#{x={y:1}}}");
    reads("b \"a\\\"$${x}\" {}\n", "{b#{a\"${x}@{}}}");
}

#[test]
fn places() {
    let text = "r \"t\" \"n\" {\n  a = (x)\n  b = [ y.z , 1 ]\n}\n";
    let (node, _) = faults(text);
    let cut = |span: Span| &text[span.start as usize..span.end as usize];
    let (key, labels) = node.get("r").unwrap();
    assert_eq!(cut(key.span), "r");
    assert_eq!(cut(labels.as_map().unwrap()[0].0.span), "\"t\"");
    let (name, body) = &labels.get("t").unwrap().1.as_map().unwrap()[0];
    assert_eq!((cut(name.span), cut(body.span)), ("\"n\"", &text[10..text.len() - 1]));
    assert_eq!(cut(body.get("a").unwrap().1.span), "(x)");
    let b = body.get("b").unwrap().1;
    assert_eq!(cut(b.span), "[ y.z , 1 ]");
    assert_eq!(b.as_seq().unwrap().iter().map(|n| cut(n.span)).collect::<Vec<_>>(), ["y.z", "1"]);
}

#[test]
fn every_fault_is_told_where_it_is() {
    refuses("a\n", "1:1 <a> Argument or block definition required");
    refuses("a 1\n", "1:3 <1> Argument or block definition required");
    refuses("a.b = 1\n", "1:2 <.> Argument or block definition required");
    refuses("a: 1\nb = 2", "1:2 <:> Argument or block definition required");
    refuses("\"a\" = 1\n", "1:1 <\"> Invalid argument name");
    refuses("= 1\n", "1:1 <=> Argument or block definition required");
    refuses("a =\n1\n", "1:4 <\n> Invalid expression\n2:1 <1> Argument or block definition required");
    refuses("a = 1 b = 2\n", "1:7 <b> Missing newline after argument");
    refuses("a = 1,\nb = ]\n", "1:6 <,> Unexpected comma after argument\n2:5 <]> Invalid expression");
    refuses("a = 1\na = 2\n", "2:1 <a> A key is there twice");
    refuses("a = 1\na {}\n", "2:1 <a> A key is there twice");
    refuses(
        "b \"x\"\n{\n}\n",
        "1:6 <\n> Invalid block definition\n2:1 <{> Argument or block definition required",
    );
    refuses("b \"${x}\" {}\n", "1:3 <\"${x}\"> Invalid block label");
    refuses(
        "b { x = 1, y = 2 }\nc = )\n",
        "1:10 <,> Invalid single-argument block definition\n2:5 <)> Invalid expression",
    );
    refuses(
        "b { c {} }\nc = )\n",
        "1:7 <{> Invalid single-argument block definition\n2:5 <)> Invalid expression",
    );
    refuses("b {} c {}\n", "1:6 <c> Missing newline after block definition");
    refuses("}\na = )\n", "1:1 <}> Unexpected closing brace\n2:5 <)> Invalid expression");
    refuses("b {\n  c {\n", "2:5 <{> Unclosed configuration block");
    refuses("a = 1 /* x\nb = 2\n", "1:7 </*> Unterminated comment");
    refuses("/* x\nb = 2\n", "1:1 </*> Unterminated comment");
    refuses("a = \"x\nb = )\n", "1:5 <\"x> Invalid multi-line string\n2:5 <)> Invalid expression");
    refuses("a = <<E\nx\n", "1:5 <<<E\n> Unterminated template string");
    refuses("a = 'x'\nb = ;\n", "1:5 <'> Invalid character\n2:5 <;> Invalid character");
    refuses("a = \"\\q\"\n", "1:6 <\\q> Invalid escape sequence");
}

#[test]
fn reading_goes_on_after_a_fault() {
    let text = "r \"a\" {\n  x = [1,\n  y = 2\n\nr \"b\" {\n  z = )\n  w = 1\n}\nr {\n  q\n}\n";
    refuses(
        text,
        "3:5 <=> Missing item separator\n6:7 <)> Invalid expression\n10:3 <q> Argument or block definition required",
    );
    let (node, _) = faults(text);
    assert_eq!(shape(&node).matches("w=1").count(), 1);
    let (node, told) = faults("a = [f(]\nb = 2\n");
    assert_eq!(told.lines().count(), 1);
    assert_eq!(node.get("a").unwrap().0.form, Form::Argument);
}

#[test]
fn a_brace_that_is_missing_is_sought_at_the_margin() {
    let mut sources = SourceMap::default();
    let text = "a {\n  b {\n  }\n\nc {\n}\n";
    let id = sources.add("a.tf", text);
    let (_, diagnostics) = parse_native(id, text);
    let fault = diagnostics.iter().next().unwrap();
    let places: Vec<usize> =
        fault.labels.iter().map(|l| sources.line_col(id, l.span.start as usize).line).collect();
    assert_eq!(places, [1, 5]);
}

#[test]
fn nesting_has_a_bound_and_no_text_overflows() {
    let deep = |n: usize| "b {\n".repeat(n) + &"}\n".repeat(n);
    assert_eq!(faults(&deep(250)).1, "");
    assert!(faults(&deep(5000)).1.starts_with("256:1 <b> Blocks nested too deeply"));
    for open in [
        "b {\n",
        "a = [",
        "a = {",
        "a = (",
        "a = \"${",
        "b \"x\" {",
        "a = <<E\n",
        "a = f(",
        "/*",
        "}\n",
        "a = [\n",
    ] {
        faults(&open.repeat(20_000));
    }
    assert_eq!(faults(&format!("a = {}1{}\n", "[".repeat(450), "]".repeat(450))).1, "");
}
