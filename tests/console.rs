//! `groma console` and `groma metadata`. What is expected of values and types is what Terraform 1.11.4 prints.

use crate::kit::Stack;
use serde_json::Value as Json;

const SPEC: &str = r#"variable:
  a: { default: x }
  s: { default: secret, sensitive: true }
locals:
  list: [1, two, true, null]
  map: { a: 1, b c: "x\ny", d: [], e: {} }
resource:
  terraform_data:
    one: { input: hello }
    many: { count: 2, input: "${count.index}" }
    keyed: { for_each: { k: v }, input: "${each.value}" }
"#;

/// Expressions with what Terraform answers.
const ANSWERS: &[(&str, &str)] = &[
    ("local.list", "[\n  1,\n  \"two\",\n  true,\n  null,\n]"),
    ("local.map", "{\n  \"a\" = 1\n  \"b c\" = <<-EOT\n  x\n  y\n  EOT\n  \"d\" = []\n  \"e\" = {}\n}"),
    ("tomap({a = \"1\"})", "tomap({\n  \"a\" = \"1\"\n})"),
    ("toset([\"b\", \"a\"])", "toset([\n  \"a\",\n  \"b\",\n])"),
    ("toset([\"a\\nb\"])", "toset([\n  <<-EOT\n  a\n  b\n  EOT,\n])"),
    ("var.a", "\"x\""),
    ("var.s", "(sensitive value)"),
    ("[var.s, \"x${var.s}\"]", "[\n  (sensitive value),\n  (sensitive value),\n]"),
    ("path.module", "\".\""),
    ("terraform.workspace", "\"default\""),
    ("1/4", "0.25"),
    ("12345678901234567890.5", "12345678901234567890.5"),
    ("\"a\\nb\"", "<<EOT\na\nb\nEOT"),
    ("\"EOT\\n\"", "<<EOT_\nEOT\n\nEOT_"),
    ("\"tab\\t\\\"q\\\"\\u001b\\u00a0é\\u200b\"", "\"tab\\t\\\"q\\\"\\x1b\\u00a0é\\u200b\""),
    ("null", "null"),
    ("tostring(null)", "tostring(null)"),
    ("tolist(null)", "tolist(null) /* of dynamic */"),
    ("tomap({})", "tomap({})"),
    ("{a=[1,{b=2}]}", "{\n  \"a\" = [\n    1,\n    {\n      \"b\" = 2\n    },\n  ]\n}"),
    ("terraform_data.one.id", "(known after apply)"),
    ("terraform_data.many", "(known after apply)"),
    ("type(var.s)", "string"),
    ("type(null)", "dynamic"),
    (
        "type([1,\"a\",{b=2}])",
        "tuple([\n    number,\n    string,\n    object({\n        b: number,\n    }),\n])",
    ),
    (
        "type(local.map)",
        "object({\n    a: number,\n    b c: string,\n    d: tuple([]),\n    e: object({}),\n})",
    ),
    ("type(toset([1]))", "set(number)"),
    ("type(tolist([tolist([{a=1}])]))", "list(list(\n    object({\n        a: number,\n    }),\n))"),
    ("{\na = 1\n}", "{\n  \"a\" = 1\n}"),
    ("length(<<E\nab\nE\n)", "3"),
];

#[test]
fn values_and_types_are_written_as_terraform_does() {
    let stack = Stack::new().file("main.yaml", SPEC);
    let before = stack.files("");
    let asked: String = ANSWERS.iter().map(|(expr, _)| format!("{expr}\n\n")).collect();
    let answered: String = ANSWERS.iter().map(|(_, answer)| format!("{answer}\n")).collect();
    assert_eq!(stack.fed(&["console"], &asked).must(0).stdout, answered);
    assert_eq!(stack.fed(&["console", "-var=a=y"], "var.a\nexit\n1 +\n").must(0).stdout, "\"y\"\n");
    let now = stack.fed(&["console"], "timestamp()\nuuid()").must(0).stdout;
    assert!(now.lines().all(|l| l.starts_with('"') && l.len() > 20), "{now}");
    assert_eq!(stack.files(""), before, "nothing is written");
}

#[test]
fn the_first_error_ends_what_nobody_sits_at() {
    let stack = Stack::new().file("main.yaml", SPEC);
    for (expr, code) in [
        ("1 +", "G0101"),
        ("1 2", "G0101"),
        ("\"%{if true}a\"", "G01"),
        ("local.lits", "G08"),
        ("nope.a.b", "G08"),
        ("each.key", "G0812"),
        ("self.id", "G0813"),
        ("terraform_data.one.nope", "G0814"),
        ("lenght([])", "length"),
        ("upper(type(1))", "type"),
        ("file(\"none\")", "none"),
        ("{a = 1", "G01"),
    ] {
        let out =
            stack.fed(&["console"], &format!("1\n{expr}\n")).must(1).says(&[code, "<console-input>:1:"]);
        assert_eq!(out.stdout, "1\n", "{expr}");
    }
    Stack::new().file("main.yaml", "locals: {a: ${").fed(&["console"], "1\n").must(1);
}

#[test]
fn it_looks_at_the_state_or_at_a_plan() {
    let stack = Stack::new().file("main.yaml", SPEC);
    let planned = "terraform_data.one.output\nterraform_data.many[*].input\n";
    assert_eq!(
        stack.fed(&["console", "-plan"], planned).must(0).stdout,
        "(known after apply)\n[\n  0,\n  1,\n]\n"
    );
    stack.ok(&["apply", "-auto-approve"]);
    let asked = "terraform_data.one.output\nterraform_data.many[1].output\n[for k, v in terraform_data.keyed : \"${k}${v.output}\"]\n";
    let answer = "\"hello\"\n1\n[\n  \"kv\",\n]\n";
    assert_eq!(stack.fed(&["console"], asked).must(0).stdout, answer);
    let before = stack.files("");
    assert_eq!(stack.fed(&["console", "-plan"], asked).must(0).stdout, answer);
    assert_eq!(stack.files(""), before);
}

/// Names and types of Terraform 1.11.4, without its words.
#[test]
fn every_function_has_terraforms_signature() {
    let told: Json =
        serde_json::from_str(&Stack::new().ok(&["metadata", "functions", "-json"]).stdout).expect("JSON");
    assert_eq!(told["format_version"], "1.0");
    let ours = told["function_signatures"].as_object().expect("signatures");
    let theirs: Json = serde_json::from_str(include_str!("fixtures/signatures.json")).expect("JSON");
    let theirs = theirs.as_object().expect("signatures");
    assert_eq!(theirs.len(), 236);
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, signature) in ours {
        let mut signature = signature.clone();
        let words = signature.as_object_mut().expect("a signature").remove("description");
        assert!(words.is_some_and(|w| w.as_str().is_some_and(|w| w.ends_with('.'))), "{name}");
        assert_eq!(signature, theirs[name], "{name}");
    }
}
