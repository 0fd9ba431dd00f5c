//! `groma fmt` from outside.

use crate::kit::Stack;

const UGLY: &str = "locals {\na=1 # one\nbbb = \"${local.a}\"\n}\n";
const PRETTY: &str = "locals {\n  a   = 1 # one\n  bbb = local.a\n}\n";

fn text(stack: &Stack, name: &str) -> String {
    std::fs::read_to_string(stack.path().join(name)).expect("a file")
}

#[test]
fn files_are_written_and_named_once() {
    let stack = Stack::new()
        .file("main.tf", UGLY)
        .file("terraform.tfvars", "a=1\n")
        .file("more.tf.json", "{\"locals\":{\"c\":1}}")
        .file("sub/deep.tf", UGLY)
        .file(".hidden.tf", UGLY);
    stack.run(&["fmt", "-check"]).must(3).says(&["main.tf\n", "more.tf.json\n", "terraform.tfvars\n"]);
    assert_eq!(text(&stack, "main.tf"), UGLY, "-check writes nothing");
    assert_eq!(stack.ok(&["fmt"]).stdout, "main.tf\nmore.tf.json\nterraform.tfvars\n");
    assert_eq!(text(&stack, "main.tf"), PRETTY);
    assert_eq!(text(&stack, "terraform.tfvars"), "a = 1\n");
    assert_eq!(stack.ok(&["fmt", "-check"]).stdout, "");
    assert_eq!(text(&stack, "sub/deep.tf"), UGLY, "folders inside only with -recursive");
    assert_eq!(stack.ok(&["fmt", "-recursive", "-list=false"]).stdout, "");
    assert_eq!(text(&stack, "sub/deep.tf"), PRETTY);
    assert_eq!(text(&stack, ".hidden.tf"), UGLY);
}

#[test]
fn a_diff_and_a_dry_run_write_nothing() {
    let stack = Stack::new().file("main.tf", UGLY);
    let shown = stack.ok(&["fmt", "-diff", "-write=false", "-list=false", "main.tf"]).stdout;
    let head = "--- old/main.tf\n+++ new/main.tf\n@@ -1,4 +1,4 @@\n locals {\n-a=1 # one\n";
    assert!(shown.starts_with(head), "{shown}");
    assert_eq!(stack.ok(&["fmt", "-write=false", "-list=false"]).stdout, PRETTY);
    assert_eq!(text(&stack, "main.tf"), UGLY);
}

#[test]
fn what_has_faults_stays_and_the_rest_is_done() {
    let stack = Stack::new().file("bad.tf", "locals {\n a=\n").file("good.tf", UGLY).file("x.txt", "a=1");
    stack.run(&["fmt"]).must(1).says(&["bad.tf:2", "G0460", "good.tf\n"]);
    assert_eq!(text(&stack, "bad.tf"), "locals {\n a=\n");
    assert_eq!(text(&stack, "good.tf"), PRETTY);
    stack.run(&["fmt", "x.txt"]).must(1).says(&["G0542", "x.txt"]);
    stack.run(&["fmt", "nothing.tf"]).must(1).says(&["G0542", "no such file"]);
}

const UGLY_YAML: &str = "locals:\n    a:   \"x\"    # one\n";
const PRETTY_YAML: &str = "locals:\n  a: x # one\n";

#[test]
fn yaml_is_laid_out_like_the_others() {
    let stack = Stack::new()
        .file("main.yaml", UGLY_YAML)
        .file("prod.vars.yaml", "a:    'x'\n")
        .file("sub/chart.yaml", "kind:    List\n")
        .file("sub/templates.yml", "{{ if .Values.x }}\na:    1\n")
        .file("sub/deep.yml", UGLY_YAML);
    let diff = "--- old/main.yaml\n+++ new/main.yaml\n@@ -1,2 +1,2 @@\n locals:\n-    a:   \"x\"    # one\n+  a: x # one\n";
    assert_eq!(stack.ok(&["fmt", "-diff", "-write=false", "-list=false", "main.yaml"]).stdout, diff);
    stack.run(&["fmt", "-check"]).must(3).says(&["main.yaml\n", "prod.vars.yaml\n"]);
    assert_eq!(text(&stack, "main.yaml"), UGLY_YAML);
    assert_eq!(stack.ok(&["fmt", "-recursive"]).stdout, "main.yaml\nprod.vars.yaml\nsub/deep.yml\n");
    assert_eq!(text(&stack, "main.yaml"), PRETTY_YAML);
    assert_eq!(text(&stack, "prod.vars.yaml"), "a: x\n");
    assert_eq!(text(&stack, "sub/chart.yaml"), "kind:    List\n", "another tool's file");
    stack.run(&["fmt", "sub/chart.yaml"]).must(1).says(&["G0542", "no spec"]);
}

#[test]
fn standard_input_is_of_any_syntax() {
    let stack = Stack::new();
    let formatted = |text: &str| stack.fed(&["fmt", "-"], text).must(0).stdout;
    assert_eq!(formatted(UGLY), PRETTY);
    assert_eq!(formatted(UGLY_YAML), PRETTY_YAML);
    assert_eq!(formatted("{\"locals\":{}}"), "{\n  \"locals\": {}\n}\n");
    stack.fed(&["fmt", "-check", "-"], UGLY_YAML).must(3);
}

/// Each file that stands in this repository: `fmt` itself sees to it that the layout means the same.
#[test]
fn every_spec_of_the_repository_has_one_layout() {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let stack = Stack::new();
    for folder in ["specs", "tests"] {
        copy(&top.join(folder), &stack.path().join(folder));
    }
    stack.ok(&["fmt", "-recursive", "-check", "specs"]);
    let changed = stack.ok(&["fmt", "-recursive", "tests"]).stdout;
    assert!(changed.contains("kinds.yaml"), "{changed}");
    stack.ok(&["fmt", "-recursive", "-check"]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder").map(|e| e.expect("an entry")) {
        let (name, at) = (entry.file_name(), entry.path());
        if at.is_dir() {
            copy(&at, &to.join(name));
        } else {
            std::fs::copy(&at, to.join(name)).expect("copied");
        }
    }
}

#[cfg(unix)]
#[test]
fn modes_are_kept_and_links_lead_nowhere_else() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let outside = Stack::new().file("theirs.tf", UGLY);
    let stack = Stack::new().file("main.tf", UGLY);
    let main = stack.path().join("main.tf");
    std::fs::set_permissions(&main, std::fs::Permissions::from_mode(0o640)).expect("set");
    symlink(outside.path().join("theirs.tf"), stack.path().join("link.tf")).expect("a link");
    symlink(outside.path(), stack.path().join("dir")).expect("a link");
    assert_eq!(stack.ok(&["fmt", "-recursive"]).stdout, "main.tf\n");
    assert_eq!(std::fs::metadata(&main).expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(text(&outside, "theirs.tf"), UGLY);
}
