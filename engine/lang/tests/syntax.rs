//! Laws of the syntax: what is printed reads back, and no text overflows the stack.

use groma_lang::eval::NoScope;
use groma_lang::{NESTING_MAX, Text, evaluate, parse_expression, parse_template, parse_traversal};
use groma_types::SourceId;
use proptest::prelude::*;

fn text(content: &str) -> Text {
    Text::plain(content, SourceId(0), 0)
}

/// Parses, prints, parses: the two trees must be equal.
fn check_print(source: &str) {
    let (expr, faults) = parse_expression(&text(source));
    if faults.has_errors() {
        return;
    }
    let printed = expr.source_text();
    let (again, faults) = parse_expression(&text(&printed));
    assert!(!faults.has_errors(), "{source}\nprints as {printed}\nwhich gives {faults:?}");
    assert!(again == expr, "{source}\nprints as {printed}");
}

#[test]
fn recorded_expressions_print_and_read_back() {
    for line in include_str!("corpus/expr_corpus.jsonl").lines().skip(1) {
        let at = line.find("\"expr\": \"").unwrap() + 8;
        let mut stream = serde_json::Deserializer::from_str(&line[at..]).into_iter::<String>();
        check_print(&stream.next().unwrap().unwrap());
    }
    for line in include_str!("corpus/unknown_corpus.jsonl").lines().skip(1) {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        check_print(json["expr"].as_str().unwrap());
    }
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("a".to_string()),
        Just("local.x".to_string()),
        Just("null".to_string()),
        Just("true".to_string()),
        (0u32..1000).prop_map(|n| n.to_string()),
        Just("1.5e3".to_string()),
        "[a-z$%{}\\\\ ~é]{0,6}".prop_map(|s| format!("{:?}", s.replace("${", "$${").replace("%{", "%%{"))),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let op = prop_oneof![
            Just("+"),
            Just("-"),
            Just("*"),
            Just("/"),
            Just("%"),
            Just("&&"),
            Just("||"),
            Just("=="),
            Just("<=")
        ];
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("!{a}")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("{a} ? {b} : {c}")),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|v| format!("[{}]", v.join(", "))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{k = {a}, ({b}) = 1}}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("f({a}, {b}...)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            inner.clone().prop_map(|a| format!("({a}).x[*].y[0]")),
            inner.clone().prop_map(|a| format!("({a}).*.y[0]")),
            inner.clone().prop_map(|a| format!("({a}).x.0")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("[for k, v in {a} : {b} if {c}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{for v in {a} : v => {b}...}}")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("\"p${{{a}}}$%{{ if {b} }}x%{{ else }}${{{a}}}%{{ endif }}\"")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("\"%{{ for v in {a} }}${{{b}}}%{{ endfor }}\"")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn made_expressions_print_and_read_back(source in expression()) {
        check_print(&source);
    }

    #[test]
    fn no_text_breaks_the_parser(source in "[a-c0-9.\\[\\](){}\"$%~?:+*<>=!&|, \\\\\n-]{0,40}") {
        let _ = parse_expression(&text(&source));
        let _ = parse_template(&text(&source));
        check_print(&source);
    }

    #[test]
    fn no_template_breaks_the_parser(source in "(\\$\\{|%\\{|%%\\{|~\\}|\\}| if | for x in | else | endif | endfor |a|\"|<<E\n|\n|E\n){0,20}") {
        let _ = parse_template(&text(&source));
    }
}

#[test]
fn deep_texts_are_refused_and_long_ones_are_not() {
    let many = 20 * NESTING_MAX;
    for (open, middle, close, fine) in [
        ("(", "1", ")", false),
        ("[", "", "]", false),
        ("{a = ", "1", "}", false),
        ("f(", "", ")", false),
        ("a[", "0", "]", false),
        ("\"${", "1", "}\"", false),
        ("\"%{ if true }", "", "%{ endif }\"", false),
        ("[for x in ", "[]", " : x]", false),
        ("!", "true", "", true),
        ("- ", "x", "", true),
        ("a ? b : ", "c", "", true),
        ("1 + ", "1", "", true),
        ("a.b", "", "", true),
    ] {
        let source = format!("{}{middle}{}", open.repeat(many), close.repeat(many));
        let (expr, faults) = parse_expression(&text(&source));
        assert_eq!(!faults.has_errors(), fine, "{open}");
        if fine {
            let _ = evaluate(&expr, &NoScope);
            let _ = (expr.source_text(), expr.references());
        }
    }
    let nested = format!("{}1{}", "(".repeat(NESTING_MAX - 1), ")".repeat(NESTING_MAX - 1));
    assert!(parse_expression(&text(&nested)).1.is_empty());
}

#[test]
fn references_are_what_is_free() {
    let check = |source: &str, expected: &[&str]| {
        let (expr, faults) = parse_template(&text(source));
        assert!(!faults.has_errors(), "{source}: {faults:?}");
        let found: Vec<String> = expr.references().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{source}");
    };
    check("${a.b[0].c[\"k\"].d}", &["a.b[0].c[\"k\"].d"]);
    check("${a[b.c].d}-${x}", &["a", "b.c", "x"]);
    check("${[for v in a.b : v.c + w if v.d == u]}", &["a.b", "w", "u"]);
    check("${a.b[*].c}", &["a.b"]);
    check("%{ for k, v in m }${k}${v}${o}%{ endfor }", &["m", "o"]);
    check("plain $${x}", &[]);
    check("${{ a = b, (c) = d }}", &["b", "c", "d"]);
}

#[test]
fn traversals_are_static_references() {
    let check = |source: &str, expected: Option<&str>| {
        let (reference, faults) = parse_traversal(&text(source));
        assert_eq!(reference.map(|r| r.to_string()).as_deref(), expected, "{source}");
        assert_eq!(faults.has_errors(), expected.is_none(), "{source}");
    };
    check("aws_vpc.main", Some("aws_vpc.main"));
    check("module.m[\"k\"].x[1]", Some("module.m[\"k\"].x[1]"));
    check("aws.by_region[each.key]", Some("aws.by_region"));
    check("1 + 1", None);
    check("f(x)", None);
    check("a[*].b", None);
    let (expr, _) = parse_expression(&text("aws.by_region[each.key]"));
    let (reference, key) = expr.as_traversal().unwrap();
    assert_eq!(
        (reference.to_string(), key.unwrap().source_text().to_string()),
        ("aws.by_region".into(), "each.key".into())
    );
}

#[test]
fn templates_keep_lines_as_heredocs_do() {
    let check = |source: &str, expected: &str| {
        let (expr, faults) = parse_expression(&text(source));
        assert!(!faults.has_errors(), "{source}: {faults:?}");
        let (value, faults) = evaluate(&expr, &NoScope);
        assert_eq!(value.as_str(), Some(expected), "{source}: {faults:?}");
    };
    check("<<EOT\na\n  b\nEOT\n", "a\n  b\n");
    check("<<-EOT\n    a\n      b\n\n    c\n    EOT\n", "a\n  b\n\nc\n");
    check("<<-EOT\n  %{ for x in [1, 2] ~}\n  - ${x}\n  %{ endfor ~}\n  EOT\n", "  - 1\n  - 2\n");
    // A stripped line break does not begin a line, so what follows keeps its indentation.
    check("<<EOT\n\\n $${x} %%{y}\nEOT\n", "\\n ${x} %{y}\n");
    check("upper(<<A\nx\nA\n)", "X\n");
}

#[test]
fn faults_point_at_their_place() {
    let check = |source: &str, at: &str, summary: &str| {
        let (expr, mut faults) = parse_template(&text(source));
        if !faults.has_errors() {
            faults = evaluate(&expr, &NoScope).1;
        }
        let fault = faults.iter().next().unwrap();
        let span = fault.labels[0].span;
        assert_eq!(
            (&source[span.start as usize..span.end as usize], &*fault.summary),
            (at, summary),
            "{source}"
        );
    };
    check("é ${1 2}", "2", "Extra characters after interpolation expression");
    check("x ${a", "${", "Unclosed template interpolation sequence");
    check("${uper(\"x\")}", "uper", "Call to unknown function");
    check("${1 + \"x\"}", "\"x\"", "Invalid operand");
    check("${[1][2]}", "[1][2]", "Invalid index");
    check("${upper([1])}", "[1]", "Invalid function argument");
    check("a ${'b'}", "'", "Invalid character");
    check("%{ if true }x", "%{", "Unexpected end of template");
}
