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

#[test]
fn nothing_is_said_of_what_a_file_that_cannot_be_read_may_hold() {
    let over = ("main_override.tf", "resource \"terraform_data\" \"a\" {}\n");
    let (_, sources, faults) = read(&[("main.tf", "resource \"terraform_data\" \"a\" {\n"), over]);
    let text = render(&sources, &faults);
    assert!(text.contains("G0460") && !text.contains("G0505"), "{text}");
    let (_, sources, faults) = read(&[("main.tf", "locals {}\n"), over]);
    let text = render(&sources, &faults);
    assert!(text.contains("G0505 Nothing to override"), "{text}");
}

#[test]
fn a_connection_that_nothing_uses_is_told() {
    let told = |provisioners: &str| {
        let text = format!(
            "resource \"terraform_data\" \"a\" {{\n  connection {{\n    host = \"x\"\n  }}\n{provisioners}}}\n"
        );
        let (_, sources, faults) = read(&[("main.tf", &text)]);
        render(&sources, &faults)
    };
    let fault = "main.tf:2:3 <connection> G0623 A connection that nothing uses It says how remote-exec and file \
                 provisioners reach a machine; here is neither.";
    assert_eq!(told(""), fault);
    assert_eq!(told("  provisioner \"local-exec\" {\n    command = \"true\"\n  }\n"), fault);
    assert_eq!(told("  provisioner \"remote-exec\" {\n    inline = [\"true\"]\n  }\n"), "");
}

#[test]
fn modules_that_multiply_are_an_error() {
    let files: Vec<(String, String)> = (0..16)
        .map(|i| {
            let calls = ["a", "b"].map(|n| format!("  {n}: {{source: ../m{}}}\n", i + 1)).concat();
            (format!("m{i}/main.yaml"), format!("module:\n{calls}"))
        })
        .chain([
            ("m16/main.yaml".into(), "locals: {}\n".into()),
            ("main.yaml".into(), "module: {a: {source: ./m0}}\n".into()),
        ])
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (_, sources, faults) = read(&files);
    let text = render(&sources, &faults);
    assert_eq!(text.matches("G0535 Too many modules").count(), 1, "{text}");
    assert_eq!(faults.len(), 1);
}

#[test]
fn faults_of_files_and_blocks() {
    check(
        &[("main.yaml", "resorce: {}\n")],
        "main.yaml:1:1 <resorce> G0501 Unknown top-level key \"resorce\" is not a block of the language.",
    );
    check(&[("main.yaml", "x-a: &a {b: 1}\nlocals: *a\n")], "");
    check(
        &[("main.yaml", "locals: {a: 1}\n"), ("app.yaml", "apiVersion: v1\nkind: Pod\n")],
        "app.yaml:1:1 <apiVersion> G0506 This file is not a spec It looks like a Kubernetes object, and every YAML file of the folder is read as a part of the stack.",
    );
    check(
        &[("values.yaml", "replicaCount: 1\nimage: {}\n")],
        "values.yaml:1:1 <replicaCount> G0506 This file is not a spec It looks like values for a Helm chart, and every YAML file of the folder is read as a part of the stack.",
    );
    check(
        &[("compose.yaml", "services:\n  web: {image: nginx}\n")],
        "compose.yaml:1:1 <services> G0506 This file is not a spec It looks like a compose file, and every YAML file of the folder is read as a part of the stack.",
    );
    check(&[("main.yaml", "locals: {}\n"), ("a.vars.yaml", "?"), ("a.test.yaml", "?"), (".h.yaml", "?")], "");
    check(&[("main.tf", ""), ("main.yaml", "locals: {}\n")], "");
    check(
        &[("main.tf", "locals {\n  a = 1\n  b = 2\n}\n"), ("main.yaml", "locals: {a: 1, b: 2}\n")],
        "main.yaml:1:10 <a> G0512 One spec in two syntaxes main.yaml and main.tf stand side by side and declare the same.",
    );
    check(
        &[("main.tf", "locals {\n  a = 1\n}\n"), ("other.yaml", "locals: {a: 1}\n")],
        "other.yaml:1:10 <a> G0613 A name is declared twice The module has a local \"a\" already.",
    );
    check(
        &[("a.yaml", "locals: {a: 1}\n---\nlocals: {a: 2}\n")],
        "a.yaml:3:10 <a> G0613 A name is declared twice The module has a local \"a\" already.",
    );
    check(
        &[("a.yaml", "variable: {x: {typ: string}}\n")],
        "a.yaml:1:16 <typ> G0606 Unknown argument A variable has no argument or block \"typ\".",
    );
    check(
        &[("a.yaml", "provider: {t: {for_each: {a: 1}}}\n")],
        "a.yaml:1:12 <t> G0611 A provider with for_each needs an alias Its instances are named through the alias: provider: aws.by_region[each.key].",
    );
    check(
        &[("a.tf.json", "{\"provider\": {\"aws\": null}}")],
        "a.tf.json:1:22 <null> G0503 A block whose body is null is not there In Terraform's JSON a null body means that the block is absent.",
    );
    check(
        &[("a.tf.json", "{\"groma\": {}}")],
        "a.tf.json:1:2 <\"groma\"> G0502 The groma block stands in YAML files only Terraform refuses blocks in its files that it does not know, and the same file is to be run by both programs.",
    );
    check(
        &[("a.yaml", "terraform: {required_version: '>= 1.12'}\n")],
        "a.yaml:1:31 <'>= 1.12'> G0616 Another language level is required The stack asks for >= 1.12; the language level here is 1.11.4.",
    );
    check(
        &[("a.yaml", "module: {m: {source: hashicorp/consul/aws}}\n")],
        "a.yaml:1:22 <hashicorp/consul/aws> G0523 A module cannot be fetched \"hashicorp/consul/aws\" is not at hand, and nothing is fetched here.",
    );
    check(
        &[("a.yaml", "module: {m: {source: ./m, y: 1}}\n"), ("m/a.yaml", "variable: {x: {}}\n")],
        "a.yaml:1:27 <y> G0606 Unknown argument The module \"m\" has no argument or block \"y\".\n\
         a.yaml:1:10 <m> G0609 A required argument is missing The module \"m\" needs a value for its variable \"x\".",
    );
    check(
        &[("a.yaml", "module: {m: {source: ./m}}\n"), ("m/a.yaml", "module: {n: {source: ../m}}\n")],
        "m/a.yaml:1:22 <../m> G0516 A module calls itself stack/m is being read already: the calls would never end.",
    );
    check(
        &[("a.yaml", "resource: {t: {a: {count: 1, for_each: {}}}}\n")],
        "a.yaml:1:30 <for_each> G0612 Two ways to expand one block \"count\" and \"for_each\" exclude each other.",
    );
}

#[test]
fn null_means_not_set() {
    check(
        &[(
            "a.yaml",
            "resource: {t: {a: {provider: , count: , for_each: null, depends_on: , lifecycle: {prevent_destroy: }}}}\nvariable: {x: {type: , description: }}\n",
        )],
        "",
    );
    check(
        &[("a.yaml", "module: {m: {source: }}\n")],
        "a.yaml:1:10 <m> G0609 A required argument is missing A module call needs the argument \"source\".",
    );
}

#[test]
fn lists_of_objects_and_overrides_mean_the_same_blocks() {
    let (config, sources, faults) = read(&[
        (
            "a.tf.json",
            r#"{"//": "c", "provider": {"aws": [{"region": "a"}, {"alias": "x"}]},
            "resource": [{"aws_vpc": [{"a": [{"cidr": "1"}]}]}], "locals": [{"l": 1}, {"m": 2}]}"#,
        ),
        (
            "b_override.yaml",
            "resource: {aws_vpc: {a: {cidr: '2', lifecycle: {prevent_destroy: true}}}}\nlocals: {m: 3}\n",
        ),
    ]);
    let config = config.unwrap_or_else(|| panic!("{}", render(&sources, &faults)));
    let root = config.root();
    assert_eq!((root.providers.len(), root.resources.len(), root.locals.len()), (2, 1, 2));
    let vpc = root.resources.values().next().unwrap();
    assert_eq!(vpc.body.node.get("cidr").unwrap().1.as_text().unwrap().content(), "2");
    assert!(vpc.lifecycle.prevent_destroy.is_some());
    assert_eq!(root.locals["m"].value.as_literal().unwrap().as_i64(), Some(3));
}

#[test]
fn meta_arguments_are_read() {
    let config = config(
        "provider: {aws: {alias: by, for_each: {eu: 1}, region: \"${each.key}\", lifecycle: {hosted_by: aws_eks.c, expect: {account: '1'}}}}\n\
         resource:\n  aws_vpc:\n    a:\n      provider: aws.by[each.key]\n      for_each: {eu: 1}\n      depends_on: [aws_x.y, '${module.m}']\n      timeouts: {create: 30m}\n      cidr: x\n      lifecycle: {ignore_changes: [tags[\"a\"]\n        , cidr], on_destroy: keep}\n".replace("[tags[\"a\"]\n        , cidr]", "['tags[\"a\"]', cidr]").as_str(),
    );
    let root = config.root();
    let provider = &root.providers[0];
    assert_eq!(provider.hosted_by.as_ref().unwrap().to_string(), "aws_eks.c");
    assert!(
        provider.for_each.is_some()
            && provider.expect.is_some()
            && provider.body.node.as_map().unwrap().len() == 1
    );
    let vpc = root.resources.values().next().unwrap();
    assert_eq!(vpc.provider.alias.as_deref(), Some("by"));
    assert_eq!(&*vpc.provider.key.as_ref().unwrap().source_text(), "each.key");
    assert_eq!(vpc.depends_on.iter().map(ToString::to_string).collect::<Vec<_>>(), ["aws_x.y", "module.m"]);
    assert!(matches!(&vpc.lifecycle.ignore_changes, IgnoreChanges::Paths(p) if p.len() == 2));
    assert_eq!(vpc.body.node.as_map().unwrap().len(), 1);
    assert!(vpc.timeouts.contains_key("create") && vpc.lifecycle.on_destroy.is_some());
}

#[test]
fn a_saved_plan_replays_from_its_records() {
    let (config, ..) = read(&[
        ("a.yaml", "module: {m: {source: ../shared/m}}\n"),
        ("../shared/m/a.yaml", "locals: {a: 1}\n"),
    ]);
    let config = config.unwrap();
    let names: Vec<&str> = config.files.iter().map(|f| &*f.name).collect();
    assert_eq!(names, ["a.yaml", "../shared/m/a.yaml"]);
    let files = MemoryFiles::of_records(Path::new("elsewhere/stack"), &config.files);
    let (again, ..) = load::load(LoadRequest { path: Path::new("elsewhere/stack"), files: &files });
    assert_eq!(again.unwrap().modules.len(), 2);
}
