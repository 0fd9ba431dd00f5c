//! What the language has beyond Terraform's: every example of docs/additions.md, and what goes wrong.

use crate::kit::Stack;
use groma_lang::functions::yaml_documents;
use groma_types::json::to_json;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

const APPLY: &[&str] = &["apply", "-auto-approve"];

/// The example under a heading of the page.
fn example(heading: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/additions.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let section = page.split(&format!("## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading:?}"));
    let block = section.split("```yaml\n").nth(1).and_then(|b| b.split("```").next()).expect("an example");
    block.to_string()
}

fn stack(heading: &str) -> Stack {
    Stack::new().file("main.yaml", &example(heading))
}

/// Every example is beyond Terraform, and says where.
#[track_caller]
fn not_strict(stack: &Stack, words: &[&str]) {
    stack.run(&["validate", "-strict"]).must(1).says(&["G0621", "main.yaml:"]).says(words);
}

#[test]
fn examples_without_a_cloud() {
    let it = stack("Expansions that are not known yet");
    it.ok(APPLY).says(&["terraform_data.each[1]: Creation complete"]);
    it.ok(&["plan"]).says(&["No changes"]);
    not_strict(&it, &["lifecycle.max_instances"]);

    let it = stack("A switch");
    it.ok(APPLY).says(&["probe = \"off\""]);
    it.ok(&["apply", "-auto-approve", "-var", "debug=true"])
        .says(&["terraform_data.probe: Creation", "probe = \"x\""]);
    not_strict(&it, &["lifecycle.enabled"]);

    let it = stack("What a destroy does");
    it.ok(&["apply", "-auto-approve", "-var", "stage=prod"]);
    it.run(&["destroy", "-auto-approve", "-var", "stage=prod"]).must(1).says(&["G1065"]);
    it.ok(APPLY);
    it.ok(&["destroy", "-auto-approve"]);
    not_strict(&it, &["lifecycle.on_destroy", "expressions in lifecycle arguments"]);
}

#[cfg(feature = "aws")]
#[test]
fn examples_in_the_sandbox() {
    let it = stack("Instances of a provider").env("GROMA_SANDBOX", "1");
    it.ok(APPLY).says(&["aws_iam_role.app[\"us\"]: Creation complete"]);
    it.write("main.yaml", &example("Instances of a provider").replace(", us: us-east-1", ""));
    it.ok(APPLY).says(&["aws_iam_role.app[\"us\"]: Destruction complete", "0 added, 0 changed, 1 destroyed"]);
    not_strict(&it, &["for_each of a provider", "instances of a provider"]);

    let it = stack("Data that may be missing").env("GROMA_SANDBOX", "1");
    it.ok(APPLY).says(&["vpc = \"none\""]);
    not_strict(&it, &["lifecycle.on_missing"]);

    let it = stack("The world of a provider").env("GROMA_SANDBOX", "1");
    it.ok(APPLY).says(&["account = \"111111111111\""]);
    it.write("main.yaml", &example("The world of a provider").replace("111111111111", "999999999999"));
    it.run(&["plan"]).must(1).says(&["expects account 999999999999"]);
    not_strict(&it, &["lifecycle.expect"]);
}

#[test]
fn a_source_is_known_when_the_spec_is_read() {
    let it = stack("Values that are known when the spec is read");
    for version in ["v1", "v2"] {
        it.write(
            &format!("modules/{version}/main.yaml"),
            &format!("resource: {{ terraform_data: {{ it: {{ input: {version} }} }} }}\n"),
        );
    }
    it.ok(APPLY);
    not_strict(&it, &["expressions in source and version"]);
    it.ok(&["plan", "-var", "release=v2", "-out=p"]).says(&["\"v1\" -> \"v2\""]);
    it.ok(&["apply", "p"]).says(&["0 added, 1 changed"]);
    it.ok(&["init", "-var", "release=v2"]);
    it.run(&["plan", "-var", "release=v3"]).must(1).says(&["modules/v3"]);
    let refused = |spec: &str, words: &[&str]| {
        let stack = Stack::new().file("main.yaml", spec);
        stack.run(&["validate"]).must(1).says(&["G0533", "main.yaml:"]).says(words);
    };
    let call = |source: &str| {
        format!("resource: {{ terraform_data: {{ x: {{}} }} }}\nmodule:\n  m: {{ source: '{source}' }}\n")
    };
    refused(&call("./${terraform_data.x.id}"), &["terraform_data.x.id is not known yet"]);
    refused(&call("./${uuid()}"), &["this is not"]);
    let variable = |more: &str| format!("variable:\n  v: {{ type: string{more} }}\n{}", call("./${var.v}"));
    refused(&variable(""), &["-var"]);
    refused(&variable(", default: hush, sensitive: true"), &["holds a sensitive value"]);
    // A module's own calls take what the caller gave.
    let it = Stack::new().file("main.yaml", "module: { m: { source: ./m, which: two } }\n");
    it.write("m/main.yaml", "variable: { which: {} }\nmodule: { inner: { source: \"./${var.which}\" } }\n");
    it.write("m/two/main.yaml", "output: { o: { value: 2 } }\n");
    it.ok(&["validate"]);
}

#[test]
fn a_state_that_is_elsewhere_is_not_taken_for_an_empty_one() {
    let spec = |kind: &str| {
        format!(
            "variable: {{ e: {{ default: dev }} }}\nterraform: {{ backend: {{ {kind} }} }}\nresource: {{ terraform_data: {{ x: {{}} }} }}\n"
        )
    };
    let it = Stack::new().file("main.yaml", &spec("s3: { bucket: \"state-${var.e}\" }"));
    for command in [&["plan"][..], APPLY, &["destroy", "-auto-approve"]] {
        it.run(command).must(1).says(&["G0620", "the backend \"s3\"", "main.yaml:2:"]);
    }
    assert!(it.files(".groma").is_empty());
    it.ok(&["validate"]);
    it.ok(&["apply", "-auto-approve", "--sandbox"]);
    not_strict(&it, &["expressions in a backend"]);
    it.write("main.yaml", &spec("local: { path: elsewhere.tfstate }"));
    it.run(&["plan"]).must(1).says(&["G0620", "a local state in another place"]);
    it.write("main.yaml", &spec("local: {}"));
    it.ok(&["plan"]);
    it.write("main.yaml", &spec("s3: { bucket: \"${terraform_data.x.id}\" }"));
    it.run(&["validate"]).must(1).says(&["G0533"]);
}

#[test]
fn another_stack_gives_its_outputs_when_it_has_some() {
    let it = stack("Outputs of another stack");
    it.write(
        "network/main.yaml",
        "output:\n  vpc: { value: vpc-1 }\n  secret: { value: hush, sensitive: true }\n",
    );
    let user = "resource: { terraform_data: { x: { input: \"${data.groma_stack.network.outputs.vpc}\" }, s: { input: \"${data.groma_stack.network.outputs.secret}\" }, apart: {} } }\n";
    it.write("user.yaml", user);
    it.ok(&["plan"]).says(&["+ terraform_data.x", "is read during the apply"]);
    it.run(APPLY).must(1).says(&[
        "G1041",
        "terraform_data.x: skipped",
        "terraform_data.apart: Creation complete",
    ]);
    it.ok(&["apply", "-auto-approve", "network"]);
    // What a saved plan read stays, whatever the other stack says later.
    it.ok(&["plan", "-out=p"]).says(&["\"vpc-1\""]).says_not(&["hush"]);
    it.write(
        "network/main.yaml",
        "output:\n  vpc: { value: vpc-2 }\n  secret: { value: hush, sensitive: true }\n",
    );
    it.ok(&["apply", "-auto-approve", "network"]);
    it.ok(&["apply", "p"]).says(&["vpc = \"vpc-1\""]).says_not(&["hush"]);
    it.ok(APPLY).says(&["vpc = \"vpc-2\""]);
    // The sandbox has states of its own.
    it.ok(&["plan", "--sandbox"]).says(&["is read during the apply"]).says_not(&["vpc-2"]);
    not_strict(&it, &["kind \"groma_stack\""]);
    it.write("main.yaml", &example("Outputs of another stack").replace("./network", "./nowhere"));
    it.run(&["plan"]).must(1).says(&["there is no stack at", "main.yaml:"]);
}

#[cfg(feature = "kubernetes")]
#[test]
fn many_objects_are_one_text() {
    let mut it = Stack::of_spec("fastapi-eks");
    it.set_env("GROMA_SANDBOX", "1");
    let text = |name: &str| std::fs::read_to_string(it.path().join(name)).expect("a file of the spec");
    let app = text("app.yaml");
    let head = app.split("\nresource:").next().expect("the providers").to_string();
    it.write("app.yaml", &head);
    it.write("main.yaml", &example("Kubernetes objects as YAML"));
    let made = it.ok(APPLY).says(&["uid = "]);
    let at = |line: &str| made.stdout.find(line).unwrap_or_else(|| panic!("no {line:?} in {}", made.all()));
    let (namespace, settings) = (
        "kubernetes_manifests.app[\"core/Namespace//team\"]",
        "kubernetes_manifests.app[\"core/ConfigMap/team/settings\"]",
    );
    assert!(at(&format!("{namespace}: Creation complete")) < at(&format!("{settings}: Creating")));
    it.ok(&["plan"]).says(&["No changes"]);
    it.ok(&["state", "show", settings]).says(&["hello ${USER}"]);
    // One object changes, and one alone.
    let changed = example("Kubernetes objects as YAML").replace("hello", "bye");
    it.write("main.yaml", &changed);
    it.ok(APPLY).says(&["0 added, 1 changed, 0 destroyed"]);
    not_strict(&it, &["kind \"kubernetes_manifests\""]);
    let wrong = |from: &str, to: &str, words: &[&str]| {
        it.write("main.yaml", &changed.replace(from, to));
        it.run(&["plan"]).must(1).says(words).says(&["main.yaml:"]);
    };
    wrong("$${USER}", "${USER}", &["G0801", "write $${USER}"]);
    wrong("{ name: team }", "{}", &["G1012", "document 1 has no metadata.name"]);
    wrong(
        "kind: ConfigMap\n        metadata: { name: settings, namespace: team }",
        "kind: Namespace\n        metadata: { name: team }",
        &["is there twice"],
    );
    wrong("    app:\n", "    app:\n      count: 2\n", &["G0612"]);
    wrong("    app:\n", "    app:\n      manifest: {}\n", &["G0703"]);
    // Without the block they go, the namespace last.
    it.remove("main.yaml");
    let gone = it.ok(APPLY);
    let at = |line: &str| gone.stdout.find(line).unwrap_or_else(|| panic!("no {line:?} in {}", gone.all()));
    assert!(at(&format!("{settings}: Destruction complete")) < at(&format!("{namespace}: Destroying")));
}

#[test]
fn strict_lets_through_what_terraform_can_run() {
    let it = Stack::new().file(
        "main.yaml",
        "x-anchors: { a: &a 1 }\nresource:\n  terraform_data:\n    a: { input: *a, lifecycle: { prevent_destroy: false } }\n    b: { depends_on: [terraform_data.a], for_each: { k: v } }\n",
    );
    it.ok(&["validate", "-strict"]);
    it.ok(&["apply", "-auto-approve", "-strict"]);
    it.write("more.yaml", "resource: { terraform_data: { c: { depends_on: ['${terraform_data.a}'] } } }\ngroma: { allow_exec: [] }\n");
    it.ok(&["validate"]);
    it.run(&["plan", "-strict"]).must(1).says(&[
        "${} round a static reference",
        "groma block",
        "more.yaml:1:",
        "more.yaml:2:",
    ]);
}

/// The documents of a YAML file as JSON.
fn documents(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).expect("a spec");
    yaml_documents(&text).expect("YAML").iter().map(to_json).collect()
}

#[test]
fn the_schema_takes_the_shipped_specs_and_refuses_faults() {
    let stack = Stack::new();
    let schema: Json = serde_json::from_str(&stack.ok(&["schema"]).stdout).expect("JSON");
    let mut compiler = boon::Compiler::new();
    let mut schemas = boon::Schemas::new();
    compiler.add_resource("groma.json", schema).expect("added");
    let compiled = compiler.compile("groma.json", &mut schemas).expect("a valid JSON Schema");
    let mut seen = 0;
    for entry in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("specs")).expect("a folder").flatten()
    {
        let files = std::fs::read_dir(entry.path()).expect("a folder").flatten().map(|f| f.path());
        let is_spec = |f: &PathBuf| f.extension().is_some_and(|e| e == "yaml") && !f.ends_with(".vars.yaml");
        for file in files.filter(is_spec) {
            for document in documents(&file) {
                if let Err(fault) = schemas.validate(&document, compiled) {
                    panic!("{}: {fault:#}", file.display());
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 3, "{seen}");
    let check = |spec: &str, is_valid: bool| {
        let documents = yaml_documents(spec).expect("YAML");
        assert_eq!(schemas.validate(&to_json(&documents[0]), compiled).is_ok(), is_valid, "{spec}");
    };
    check("resource: { terraform_data: { a: { inptu: x } } }", false);
    check("resource: { terraform_dat: { a: {} } }", false);
    check("resource: { random_integer: { a: { min: 1 } } }", false);
    check("resource: { random_integer: { a: { min: 1, max: many } } }", false);
    check(
        "resource: { random_integer: { a: { min: 1, max: \"${var.x}\", lifecycle: { on_destroy: keep } } } }",
        true,
    );
    check("resource: { random_integer: { a: { min: 1, max: 2, lifecycle: { on_destroy: kep } } } }", false);
    check("resuorce: {}", false);
    check("x-anything: [1]\nlocals: { a: [1] }\nmodule: { m: { source: ./m, name: x } }", true);
    check("output: { o: {} }", false);
    check("provider: { random: [{}, { alias: b }] }", true);
}

#[test]
fn providers_are_told_as_terraform_tells_them() {
    let stack = Stack::new().file(
        "main.yaml",
        "terraform: { required_providers: { random: { source: hashicorp/random, version: '>= 3.0' } } }\nresource: { random_id: { i: { byte_length: 4 } } }\nmodule: { m: { source: ./m } }\n",
    );
    stack.write("m/main.yaml", "resource: { terraform_data: { x: {} } }\n");
    stack.ok(&["providers"]).says(&[
        "Providers required by configuration:\n.\n├── provider[registry.terraform.io/hashicorp/random] >= 3.0\n└── module.m\n    └── provider[terraform.io/builtin/terraform]\n",
    ]);
    let schemas: Json =
        serde_json::from_str(&stack.ok(&["providers", "schema", "-json"]).stdout).expect("JSON");
    let random = &schemas["provider_schemas"]["registry.terraform.io/hashicorp/random"];
    let attributes = &random["resource_schemas"]["random_id"]["block"]["attributes"];
    assert_eq!(attributes["byte_length"]["type"], "number");
    assert_eq!(
        (&attributes["byte_length"]["required"], &attributes["hex"]["computed"]),
        (&true.into(), &true.into())
    );
    stack.run(&["providers", "schema"]).must(1).says(&["--json"]);
}
