//! The command line itself: what a Terraform user's fingers know.

use crate::kit::Stack;

#[test]
fn an_unknown_command_ends_with_1_and_names_the_near_one() {
    Stack::new().run(&["aply"]).must(1).says(&["Did you mean \"apply\"?"]);
}

#[test]
fn both_dashes_give_the_version() {
    for args in [["version"], ["-version"], ["--version"], ["-v"]] {
        Stack::new().ok(&args).says(&[env!("CARGO_PKG_VERSION")]);
    }
}

#[test]
fn an_unknown_flag_ends_with_1() {
    Stack::new().run(&["plan", "-concise"]).must(1).says(&["concise"]);
}

#[test]
fn a_stack_that_is_not_there_is_an_error() {
    Stack::new().run(&["plan", "nowhere"]).must(1).says(&["there is no stack at", "nowhere"]);
}

#[test]
fn outputs_of_an_empty_state_are_none() {
    Stack::new().ok(&["output", "-json"]).says(&["{}"]);
    Stack::new().run(&["output", "-raw", "x"]).must(1).says(&["no such output"]);
}

#[test]
fn every_code_is_explained_or_a_near_one_is_named() {
    Stack::new().ok(&["explain", "G2002"]).says(&["G2002"]);
    Stack::new().run(&["explain", "G9999"]).must(1);
}

#[test]
fn nothing_asks_without_a_terminal() {
    let stack = Stack::new().file("main.yaml", "resource: {terraform_data: {a: {input: 1}}}\n");
    stack.run(&["apply"]).must(1).says(&["-auto-approve"]);
    assert!(!stack.path().join(".groma").exists());
}

#[test]
fn a_plan_of_nothing_says_so_and_writes_nothing() {
    let stack = Stack::new().file("main.yaml", "variable: {a: {default: 1}}\n");
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    assert!(!stack.path().join(".groma").exists());
}

#[test]
fn a_resource_comes_stays_changes_and_goes() {
    let spec = "variable: {v: {default: one}}\nresource: {terraform_data: {a: {input: '${var.v}'}}}\n\
                output: {v: {value: '${terraform_data.a.output}'}}\n";
    let stack = Stack::new().file("main.yaml", spec);
    stack.run(&["plan", "-detailed-exitcode"]).must(2).says(&["Plan: 1 to add, 0 to change, 0 to destroy."]);
    stack
        .ok(&["apply", "-auto-approve"])
        .says(&["Apply complete! Resources: 1 added, 0 changed, 0 destroyed."]);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    assert_eq!(stack.ok(&["output", "-raw", "v"]).stdout, "one");
    assert_eq!(stack.ok(&["state", "list"]).stdout, "terraform_data.a\n");
    stack
        .ok(&["apply", "-auto-approve", "-var", "v=two"])
        .says(&["\"one\" -> \"two\"", "Resources: 0 added, 1 changed, 0 destroyed."]);
    stack.ok(&["state", "verify"]);
    stack.ok(&["destroy", "-auto-approve"]).says(&["Destroy complete! Resources: 1 destroyed."]);
    assert_eq!(stack.ok(&["state", "list"]).stdout, "");
}

#[test]
fn workspaces_are_apart() {
    let mut stack = Stack::new().file("main.yaml", "resource: {terraform_data: {a: {input: 1}}}\n");
    stack.ok(&["apply", "-auto-approve"]);
    stack.set_env("TF_WORKSPACE", "eu");
    stack.run(&["plan", "-detailed-exitcode"]).must(2).says(&["1 to add"]);
}

#[test]
fn sensitive_outputs_show_only_where_asked_for() {
    let spec = "variable: {s: {type: string, sensitive: true}}\nresource: {terraform_data: {a: {input: '${var.s}'}}}\n\
                output: {s: {value: '${var.s}', sensitive: true}}\n";
    let stack = Stack::new().file("main.yaml", spec).env("TF_VAR_s", "canary-5d1f");
    stack.ok(&["plan"]).says_not(&["canary"]);
    stack.ok(&["apply", "-auto-approve"]).says(&["<sensitive>"]).says_not(&["canary"]);
    stack.ok(&["output"]).says_not(&["canary"]);
    stack.ok(&["show"]).says_not(&["canary"]);
    stack.ok(&["show", "-json"]).says_not(&["canary"]);
    stack.ok(&["state", "pull"]).says_not(&["canary"]);
    assert_eq!(stack.ok(&["output", "-raw", "s"]).stdout, "canary-5d1f");
    for file in stack.files(".groma") {
        let bytes = std::fs::read(&file).expect("readable");
        assert!(!String::from_utf8_lossy(&bytes).contains("canary"), "{}", file.display());
    }
    stack.ok(&["destroy", "-auto-approve", "-json"]).says_not(&["canary"]);
}

/// What can't be written whole is an error, unless nobody reads any more.
#[cfg(target_os = "linux")]
#[test]
fn output_that_is_lost_is_an_error() {
    let stack = Stack::new().file("main.yaml", "output: {o: {value: 1}}\n");
    stack.ok(&["apply", "-auto-approve"]);
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let out = stack.command(&["output", "-raw", "o"]).stdout(full()).output().expect("the binary runs");
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("could not be written"));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let out = stack.command(&["output", "-raw", "o"]).stdout(writer).output().expect("the binary runs");
    assert_eq!(out.status.code(), Some(0));
}

#[test]
fn values_beyond_reason_are_errors() {
    let spec = "resource: {terraform_data: {a: {count: 1e12}}}\n";
    Stack::new()
        .file("main.yaml", spec)
        .run(&["plan"])
        .must(1)
        .says(&["main.yaml:1:40", "1000000000000 is more than"]);
    #[cfg(target_os = "linux")]
    {
        let stack = Stack::new().file("main.yaml", "output: {o: {value: '${file(\"/dev/zero\")}'}}\n");
        stack.run(&["plan"]).must(1).says(&["larger than"]);
    }
}

/// A check warns; it stops nothing, not even where it can't look.
#[test]
fn the_data_source_of_a_check_fails_no_run() {
    let spec = r#"
resource "terraform_data" "a" { input = 1 }
check "c" {
  data "local_file" "there" { filename = "there.txt" }
  assert {
    condition     = data.local_file.there.content == "x"
    error_message = "It says ${data.local_file.there.content}."
  }
}
"#;
    let stack = Stack::new().file("main.tf", spec);
    stack.ok(&["apply", "-auto-approve"]).says(&["warning[G1040]", "data.local_file.there", "1 added"]);
    stack.write("there.txt", "y");
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["It says y."]).says_not(&["G1040"]);
    stack.write("there.txt", "x");
    stack.ok(&["plan", "-detailed-exitcode"]).says_not(&["warning"]);
}
