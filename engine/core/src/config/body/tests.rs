//! Bodies under a small schema: faults, values, references and places.

use super::*;
use crate::config::tests::render;
use groma_lang::document::parse_yaml;
use groma_lang::eval::{FunctionHost, NoHost, Scope};
use groma_types::schema::{Attribute, NestedBlock, Nesting};
use groma_types::{Diagnostic, SourceMap, Value};

fn schema() -> Block {
    let rule = Block::new("")
        .attr("port", Attribute::required(Type::Number, ""))
        .attr("proto", Attribute::optional(Type::String, "").default("tcp"));
    Block::new("")
        .attr("name", Attribute::required(Type::String, "its name"))
        .attr("version", Attribute::optional(Type::String, ""))
        .attr("size", Attribute::optional(Type::Number, ""))
        .attr("tags", Attribute::optional(Type::map(Type::String), ""))
        .attr("secret", Attribute::optional(Type::String, "").sensitive())
        .attr("any", Attribute::optional(Type::Dynamic, ""))
        .attr("arn", Attribute::computed(Type::String, ""))
        .block("one", NestedBlock::one(rule.clone()))
        .block("rule", NestedBlock::new(Nesting::List, rule.clone()))
        .block("free", NestedBlock { as_attribute: true, ..NestedBlock::new(Nesting::List, rule) })
}

struct Names;
impl Scope for Names {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        match (&*reference.root, reference.attr(0)) {
            ("var", Some("ports")) => {
                Ok((Value::list(Type::Number, vec![Value::number(80_i64), Value::number(443_i64)]), 1))
            }
            ("var", Some("unknown")) => Ok((Value::unknown(Type::Dynamic), 1)),
            _ => Err(Diagnostic::error("G0000", "no such name").at(reference.span, "").into()),
        }
    }
    fn host(&self) -> &dyn FunctionHost {
        &NoHost
    }
}

fn parse(text: &str) -> (Body, SourceMap) {
    let mut sources = SourceMap::default();
    let id = sources.add("b.yaml", text);
    let (docs, faults) = parse_yaml(id, text);
    assert!(faults.is_empty(), "{}", render(&sources, &faults));
    let node = docs.into_iter().next().unwrap();
    let span = node.span;
    (Body { node, span }, sources)
}

#[track_caller]
fn faults(text: &str, expected: &str) {
    let (body, sources) = parse(text);
    assert_eq!(render(&sources, &check(&body, &schema(), "x")), expected);
}

#[test]
fn faults_as_written() {
    faults("name: a\nversion: 1.30\n", "");
    faults(
        "nam: a\nname: b\n",
        "b.yaml:1:1 <nam> G0701 Unsupported argument An argument named \"nam\" is not expected in x.",
    );
    faults(
        "size: 1\n",
        "b.yaml:1:1 <size: 1> G0702 Missing required argument The argument \"name\" is required in x.",
    );
    faults(
        "name: a\narn: b\n",
        "b.yaml:2:1 <arn> G0703 The provider decides this value The attribute \"arn\" of x can be read but not set.",
    );
    faults(
        "name: a\nsize: big\n",
        "b.yaml:2:7 <big> G0705 Incorrect attribute value type The argument \"size\" of x takes number; this is a string (a number is required).",
    );
    faults(
        "name: [a]\n",
        "b.yaml:1:7 <[a]> G0705 Incorrect attribute value type The argument \"name\" of x takes string; this is a list.",
    );
    faults(
        "name: a\none: [{port: 1}, {port: 2}]\n",
        "b.yaml:2:6 <[{port: 1}, {port: 2}]> G0708 Too many blocks of a type No more than 1 \"one\" may be in x; there are 2.",
    );
    faults(
        "name: a\none: \"${var.x}\"\n",
        "b.yaml:2:6 <\"${var.x}\"> G0706 A nested block cannot be an expression \"one\" is a block of x: its arguments are written one by one.",
    );
    faults(
        "name: True\n",
        "b.yaml:1:7 <True> G0601 A boolean where a string is wanted YAML reads this as a boolean, and its text would not be what is written.",
    );
    faults(
        "name: a\nany: {v: 1.30}\n",
        "b.yaml:2:10 <1.30> G0603 A number whose text would be lost As a number 1.30 is 1.3.",
    );
}

fn value(text: &str) -> Value {
    let (body, sources) = parse(text);
    let (value, faults) = evaluate(&body, &schema(), &Names);
    assert!(faults.is_empty(), "{}", render(&sources, &faults));
    assert!(schema().ty().has_dynamic() && value.as_map().is_some());
    value
}

#[test]
fn values_have_the_type_of_the_schema() {
    let v = value("name: 012a\nversion: 1.30\nsize: \"3\"\ntags: {a: 1.0}\nsecret: s\none: {port: 1}\n");
    assert_eq!(v.str_attr("version"), Some("1.30"));
    assert_eq!(v.get("size").unwrap().as_i64(), Some(3));
    assert_eq!(v.get("tags").unwrap().str_attr("a"), Some("1.0"));
    assert!(v.get("secret").unwrap().marks().sensitive);
    assert_eq!(v.get("one").unwrap().at(0).unwrap().str_attr("proto"), Some("tcp"));
    assert_eq!(v.get("rule").unwrap().as_seq().unwrap().len(), 0);
    assert!(v.get("free").unwrap().is_null() && v.get("arn").unwrap().is_null());
    assert!(!value("name: a\nfree: []\n").get("free").unwrap().is_null());
}

#[test]
fn dynamic_blocks_are_expanded() {
    let v = value(
        "name: a\nrule: {port: 1}\ndynamic:\n  rule:\n    for_each: ${var.ports}\n    iterator: it\n    content: {port: \"${it.value + it.key}\"}\n",
    );
    let ports: Vec<i64> = v
        .get("rule")
        .unwrap()
        .as_seq()
        .unwrap()
        .iter()
        .map(|r| r.get("port").unwrap().as_i64().unwrap())
        .collect();
    assert_eq!(ports, [1, 80, 444]);
    let v = value("name: a\ndynamic: {rule: {for_each: \"${var.unknown}\", content: {port: 1}}}\n");
    assert!(v.get("rule").unwrap().is_unknown());
    let v = value("name: a\nfree: '${[for p in var.ports : {port = p}]}'\n");
    assert_eq!(v.get("free").unwrap().as_seq().unwrap().len(), 2);
}

#[test]
fn references_and_places() {
    let (body, sources) = parse(
        "name: ${a.b}\none: {port: \"${c.d}\"}\ndynamic: {rule: {for_each: \"${e.f}\", content: {port: \"${rule.value + g.h}\"}}}\n",
    );
    let names: Vec<String> = references(&body, &schema()).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a.b", "c.d", "e.f", "g.h"]);
    assert_eq!(argument_exprs(&body, &schema())["rule"].len(), 2);
    assert_eq!(&*argument_expr(&body, "name").unwrap().source_text(), "a.b");
    let span = span_of(&body, &AttrPath::root().attr("one").index(0).attr("port"));
    assert_eq!(sources.line_col(span.source, span.start as usize).column, 13);
}
