//! Saved plans: `plan -out`, `apply FILE`, `show FILE`.

use crate::kit::Stack;
use serde_json::Value as Json;

const SPEC: &str = "variable: {v: {default: one}}\nresource: {terraform_data: {a: {input: '${var.v}'}}}\n\
                    output: {v: {value: '${terraform_data.a.output}'}}\n";

#[test]
fn what_was_planned_is_applied_whatever_became_of_the_spec() {
    let stack = Stack::new().file("main.yaml", SPEC);
    stack.ok(&["plan", "-out=p.plan", "-var", "v=planned"]).says(&["1 to add", "groma apply p.plan"]);
    stack.write("main.yaml", "resource: [this is no spec");
    stack.ok(&["show", "p.plan"]).says(&["terraform_data.a will be created", "planned"]);
    stack.remove("main.yaml");
    stack.ok(&["apply", "p.plan"]).says(&["Apply complete! Resources: 1 added, 0 changed, 0 destroyed."]);
    assert_eq!(stack.ok(&["output", "-raw", "v"]).stdout, "planned");
    stack.run(&["apply", "p.plan"]).must(1).says(&["G2051", "stale", "terraform_data.a"]);
}

#[test]
fn a_plan_goes_to_the_stack_that_it_was_made_for() {
    let stack = Stack::new().file("here/main.yaml", SPEC).file("one.yaml", SPEC);
    stack.ok(&["plan", "-out", "p.plan", "here"]);
    stack.ok(&["apply", "-json", "p.plan"]);
    assert_eq!(stack.ok(&["state", "list", "-stack=here"]).stdout, "terraform_data.a\n");
    assert!(!stack.path().join(".groma").exists());

    // A stack of one file, which is gone before it was ever applied; another folder to apply in, another workspace.
    let mut stack = stack;
    stack.set_env("TF_WORKSPACE", "eu");
    stack.ok(&["plan", "-out", "p.plan", "one.yaml"]);
    stack.set_env("TF_WORKSPACE", "default");
    stack.remove("one.yaml");
    stack.ok(&["-chdir=here", "apply", "../p.plan"]);
    assert!(stack.path().join(".groma/one/ws/eu").is_dir());
}

#[test]
fn a_plan_is_stale_after_another_apply() {
    let stack = Stack::new().file("main.yaml", SPEC);
    stack.ok(&["apply", "-auto-approve"]);
    stack.ok(&["plan", "-out=p.plan", "-var=v=two"]);
    stack.ok(&["apply", "-auto-approve", "-var=v=three"]);
    stack.run(&["apply", "p.plan"]).must(1).says(&["stale", "terraform_data.a", "plan again"]);
    assert_eq!(stack.ok(&["output", "-raw", "v"]).stdout, "three");
}

#[test]
fn a_plan_to_destroy_destroys() {
    let stack = Stack::new().file("main.yaml", SPEC);
    stack.ok(&["apply", "-auto-approve"]);
    stack.ok(&["plan", "-destroy", "-out=p.plan"]);
    stack.run(&["apply", "-max-deletes=0", "p.plan"]).must(1).says(&["too many deletions"]);
    stack.ok(&["apply", "p.plan"]).says(&["1 destroyed"]);
    assert_eq!(stack.ok(&["state", "list"]).stdout, "");
}

#[test]
fn what_functions_read_is_taken_from_the_plan() {
    let spec = "resource: {terraform_data: {a: {input: '${file(\"word.txt\")}'}}}\n\
                output: {v: {value: '${terraform_data.a.output}'}}\n";
    let stack = Stack::new().file("main.yaml", spec).file("word.txt", "as planned");
    stack.ok(&["plan", "-out=p.plan"]);
    stack.write("word.txt", "another");
    stack.ok(&["apply", "p.plan"]);
    assert_eq!(stack.ok(&["output", "-raw", "v"]).stdout, "as planned");
}

#[test]
fn secrets_are_sealed_in_a_plan() {
    let spec = "variable:\n  s: {type: string, sensitive: true}\n  e: {type: string, ephemeral: true, default: x}\n\
                resource: {terraform_data: {a: {input: '${var.s}'}}}\n\
                output: {s: {value: '${terraform_data.a.output}', sensitive: true}}\n";
    let stack = Stack::new().file("main.yaml", spec).env("TF_VAR_s", "canary-9a31");
    stack.ok(&["plan", "-out=p.plan", "-var=e=canary-e"]).says(&["key is"]).says_not(&["canary"]);
    let bytes = std::fs::read(stack.path().join("p.plan")).expect("written");
    assert!(!String::from_utf8_lossy(&bytes).contains("canary"), "a secret is in the plan's file");
    stack.ok(&["show", "p.plan"]).says_not(&["canary"]);
    stack.ok(&["show", "-json", "p.plan"]).says_not(&["canary"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(stack.path().join("p.plan")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let mut stack = stack;
    stack.set_env("TF_VAR_s", "another");
    stack.ok(&["apply", "p.plan", "-var=e=other"]).says_not(&["canary"]);
    assert_eq!(stack.ok(&["output", "-raw", "s"]).stdout, "canary-9a31");
}

#[test]
fn what_is_no_sound_plan_is_refused() {
    let stack = Stack::new().file("main.yaml", SPEC).file("other.txt", "words");
    stack.ok(&["plan", "-out=p.plan"]);
    let whole = std::fs::read(stack.path().join("p.plan")).expect("written");
    for at in [12, 40, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        std::fs::write(stack.path().join("bad.plan"), &bytes).expect("written");
        stack.run(&["apply", "bad.plan"]).must(1).says(&["G2051", "damaged"]);
        std::fs::write(stack.path().join("bad.plan"), &whole[..at]).expect("written");
        stack.run(&["show", "bad.plan"]).must(1).says(&["G2051"]);
    }
    stack.run(&["apply", "other.txt"]).must(1).says(&["G2051"]);
    assert!(!stack.path().join(".groma").exists());
}

#[test]
fn a_plan_replaces_no_file_but_a_plan() {
    let stack = Stack::new().file("main.yaml", SPEC).file("notes", "mine");
    for out in ["main.yaml", "new.tf", "notes", "nowhere/p.plan"] {
        stack.run(&["plan", &format!("-out={out}")]).must(1).says(&["G2050"]);
    }
    assert_eq!(std::fs::read_to_string(stack.path().join("notes")).expect("there"), "mine");
    stack.ok(&["plan", "-out=p.plan"]);
    stack.ok(&["plan", "-out=p.plan"]);
    stack.write("main.yaml", "resource: {terraform_data: {a: {input: '${var.gone}'}}}\n");
    let before = std::fs::read(stack.path().join("p.plan")).expect("there");
    stack.run(&["plan", "-out=p.plan"]).must(1);
    assert_eq!(std::fs::read(stack.path().join("p.plan")).expect("there"), before);
}

#[test]
fn a_plan_takes_no_second_word() {
    let stack = Stack::new().file("main.yaml", SPEC);
    stack.ok(&["plan", "-out=p.plan"]);
    for flag in ["-var=v=x", "-target=terraform_data.a", "-destroy", "-refresh-only", "-sandbox", "-stack=."]
    {
        stack.run(&["apply", flag, "p.plan"]).must(1).says(&["G2052"]);
    }
    stack.run(&["destroy", "p.plan"]).must(1).says(&["G2052"]);
    stack.ok(&["apply", "p.plan"]);
}

#[test]
fn a_plan_as_json_has_terraforms_shape() {
    let stack = Stack::new().file("main.yaml", SPEC);
    stack.ok(&["apply", "-auto-approve"]);
    stack.ok(&["plan", "-out=p.plan", "-var=v=two"]);
    let json: Json = serde_json::from_str(&stack.ok(&["show", "-json", "p.plan"]).stdout).expect("JSON");
    let change = &json["resource_changes"][0];
    assert_eq!(change["address"], "terraform_data.a");
    assert_eq!(change["change"]["actions"], serde_json::json!(["update"]));
    assert_eq!(change["change"]["before"]["input"], "one");
    assert_eq!(change["change"]["after"]["input"], "two");
    assert_eq!(change["change"]["after_unknown"], serde_json::json!({ "output": true }));
    assert_eq!(json["variables"]["v"]["value"], "two");
    assert_eq!(json["planned_values"]["root_module"]["resources"][0]["values"]["input"], "two");
    assert_eq!(json["output_changes"]["v"]["actions"], serde_json::json!(["update"]));
    assert_eq!(json["applyable"], true);
}
