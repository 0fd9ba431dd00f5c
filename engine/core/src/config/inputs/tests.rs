//! Values in, typed values or faults out.

use super::*;
use crate::config::load::MemoryFiles;
use crate::config::tests::{config, render};
use groma_lang::expr::Expr;

struct Case<'a> {
    spec: &'a str,
    files: &'a [(&'a str, &'a str)],
    environment: &'a [(&'a str, &'a str)],
    arguments: &'a [&'a str],
}

/// The value of `x`, written as an expression; with faults, the faults.
fn run(case: &Case<'_>) -> String {
    let config = config(case.spec);
    let mut sources = config.sources.clone();
    let files = MemoryFiles::new(case.files.iter().map(|(n, t)| (format!("stack/{n}"), *t)));
    let arguments: Vec<Argument> = case
        .arguments
        .iter()
        .map(|a| match a.strip_prefix('@') {
            Some(file) => Argument::File(format!("stack/{file}").into()),
            None => Argument::Var((*a).to_string()),
        })
        .collect();
    let environment = case.environment.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect();
    let request = InputRequest { files: &files, arguments: &arguments, environment: &environment };
    let (values, faults) = inputs(config.root(), &mut sources, &request);
    if !faults.is_empty() {
        return render(&sources, &faults);
    }
    let span = config.root().variables["x"].span;
    let mark = if values["x"].marks().sensitive { "!" } else { "" };
    let bare = values["x"].unmark_deep().0;
    format!("{mark}{}", Expr::literal(bare, span).source_text())
}

#[test]
fn later_sources_win() {
    let files = [
        ("terraform.tfvars", "# first\nx = \"tfvars\"\n"),
        ("terraform.tfvars.json", "{\"x\": \"json\"}"),
        ("a.auto.vars.yaml", "x: auto-a\n"),
        ("b.auto.tfvars.json", "{\"x\": \"auto-b\"}"),
        ("named.yaml", "x: named\n"),
    ];
    let env = [("TF_VAR_x", "tf"), ("GROMA_VAR_x", "groma"), ("TF_VAR_other", "1")];
    let spec = "variable: {x: {type: string}}\n";
    let case = |files, environment, arguments| run(&Case { spec, files, environment, arguments });
    assert_eq!(case(&[], &env[..1], &[]), "\"tf\"");
    assert_eq!(case(&[], &env, &[]), "\"groma\"");
    assert_eq!(case(&files[..1], &env, &[]), "\"tfvars\"");
    assert_eq!(case(&files[..2], &env, &[]), "\"json\"");
    assert_eq!(case(&files[..3], &env, &[]), "\"auto-a\"");
    assert_eq!(case(&files, &env, &[]), "\"auto-b\"");
    assert_eq!(case(&files, &env, &["x=1", "@named.yaml"]), "\"named\"");
    assert_eq!(case(&files, &env, &["@named.yaml", "x=${a}"]), "\"$${a}\"");
}

#[test]
fn text_is_read_by_the_type() {
    for (spec, text, expected) in [
        ("{type: number}", "x=3", "3"),
        ("{type: bool}", "x=true", "true"),
        ("{type: list(string)}", "x=[\"a\", 1]", "tolist([\"a\", \"1\"])"),
        ("{}", "x=abc", "\"abc\""),
        ("{}", "x=[1]", "\"[1]\""),
        ("{type: any}", "x=[1, \"a\"]", "[1, \"a\"]"),
        ("{type: any}", "x={a = 1}", "{\"a\" = 1}"),
        (
            "{type: 'list(object({a = string, b = optional(number, 7)}))'}",
            "@native.tfvars",
            "tolist([{\"a\" = \"1.3\", \"b\" = 7}])",
        ),
        ("{type: string}", "@heredoc.tfvars", "\"a\\n  $${b}\\n\""),
        (
            "{}",
            "@wrong.tfvars",
            "stack/wrong.tfvars:2:1 <x> G0401 A key is there twice The argument \"x\" is set already; each argument is set once.\nstack/wrong.tfvars:4:5 <)> G0101 Invalid expression Expected the start of an expression, but found an invalid expression token.\nstack/wrong.tfvars:3:1 <b> G0909 Not a file of variable values A block stands in stack/wrong.tfvars, where each line is NAME = VALUE.\nstack/wrong.tfvars:4:5 <)> G0901 Value for an undeclared variable The stack has no variable named \"z\".",
        ),
        ("{type: string, sensitive: true}", "x=s", "!\"s\""),
        ("{type: string, nullable: false, default: d}", "@null.yaml", "\"d\""),
        ("{type: string}", "@number.yaml", "\"1.30\""),
        (
            "{type: number}",
            "x=big",
            "<-var>:1:3 <big> G0905 Invalid value for variable The variable \"x\" takes number: a number is required.",
        ),
        (
            "{type: string}",
            "y=1",
            "<-var>:1:3 <1> G0901 Value for an undeclared variable The stack has no variable named \"y\".\nmain.yaml:1:12 <x> G0903 No value for a required variable The variable \"x\" has no default and no value.",
        ),
        ("{type: list(string)}", "x=[", "<-var>"),
    ] {
        let spec = format!("variable: {{x: {spec}}}\n");
        let files = [
            ("null.yaml", "x: null\n"),
            ("number.yaml", "x: 1.30\n"),
            ("native.tfvars", "# comment\nx = [\n  { a = 1.30 }, // one\n]\n"),
            ("heredoc.tfvars", "x = <<-EOT\n  a\n    $${b}\n  EOT\n"),
            ("wrong.tfvars", "x = 1\nx = 2\nb { }\nz = )\n"),
        ];
        let found = run(&Case { spec: &spec, files: &files, environment: &[], arguments: &[text] });
        assert!(
            found == expected || (expected == "<-var>" && found.starts_with(expected)),
            "{spec} {text}: {found}"
        );
    }
}
