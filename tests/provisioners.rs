//! `local-exec` from outside: what a command gets, what is shown of it, and what is left when it is killed.

use crate::kit::Stack;
use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn stack(file: &str, text: &str) -> Stack {
    Stack::new().file(file, text).env("PATH", PATH)
}

fn read(stack: &Stack, name: &str) -> String {
    std::fs::read_to_string(stack.path().join(name)).unwrap_or_default()
}

#[test]
fn commands_run_in_all_three_syntaxes_and_at_both_ends() {
    let yaml = "resource:\n  terraform_data:\n    a:\n      input: hi\n      provisioner:\n        local-exec: {command: 'echo \"$W ${self.output}\" >> log', environment: {W: made}}\n    b:\n      input: bye\n      provisioner:\n      - local-exec: {command: 'echo one >> log', working_dir: .}\n      - local-exec: {command: 'echo ${self.input} >> log', when: destroy, interpreter: [/bin/sh, -ec]}\n      depends_on: [terraform_data.a]\n";
    let json = r#"{"resource": {"terraform_data": {
        "a": {"input": "hi", "provisioner": {"local-exec": {"command": "echo \"$W ${self.output}\" >> log", "environment": {"W": "made"}}}},
        "b": {"input": "bye", "depends_on": ["terraform_data.a"], "provisioner": [
            {"local-exec": {"command": "echo one >> log", "working_dir": "."}},
            {"local-exec": {"command": "echo ${self.input} >> log", "when": "destroy", "interpreter": ["/bin/sh", "-ec"]}}]}}}}"#;
    let native = r#"
resource "terraform_data" "a" {
  input = "hi"
  provisioner "local-exec" {
    command     = "echo \"$W ${self.output}\" >> log"
    environment = { W = "made" }
  }
}
resource "terraform_data" "b" {
  input      = "bye"
  depends_on = [terraform_data.a]
  provisioner "local-exec" {
    command     = "echo one >> log"
    working_dir = "."
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "echo ${self.input} >> log"
    interpreter = ["/bin/sh", "-ec"]
  }
}
"#;
    for (name, text) in [("main.yaml", yaml), ("main.tf.json", json), ("main.tf", native)] {
        let stack = stack(name, text);
        let shown = stack.ok(&["apply", "-auto-approve"]).stdout;
        assert!(shown.contains("terraform_data.a: Provisioning with 'local-exec'"), "{shown}");
        assert_eq!(read(&stack, "log"), "made hi\none\n", "{name}");
        stack.ok(&["destroy", "-auto-approve"]);
        assert_eq!(read(&stack, "log"), "made hi\none\nbye\n", "{name}");
    }
}

#[test]
fn events_have_the_shapes_of_terraform() {
    let text = "resource: {terraform_data: {a: {provisioner: {local-exec: {command: 'echo hi; exit 3'}}}}}\n";
    let stack = stack("main.yaml", text);
    let run = stack.run(&["apply", "-auto-approve", "-json"]).must(1);
    let events: Vec<Json> = run.stdout.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let hooks: Vec<(String, String)> = events
        .iter()
        .filter(|e| e["hook"]["provisioner"] == "local-exec")
        .map(|e| (e["type"].as_str().unwrap().into(), e["@message"].as_str().unwrap().into()))
        .collect();
    let expected = [
        ("provision_start", "terraform_data.a: Provisioning with 'local-exec'..."),
        (
            "provision_progress",
            "terraform_data.a: (local-exec): Executing: [\"/bin/sh\" \"-c\" \"echo hi; exit 3\"]",
        ),
        ("provision_progress", "terraform_data.a: (local-exec): hi"),
        ("provision_errored", "terraform_data.a: (local-exec) Provisioning errored"),
    ];
    assert_eq!(hooks, expected.map(|(a, b)| (a.to_string(), b.to_string())));
    let state = stack.ok(&["state", "show", "terraform_data.a"]).stdout;
    assert!(state.contains("tainted"), "{state}");
    stack.ok(&["plan"]).says(&["1 to add", "1 to destroy"]);
}

/// Starts an apply whose command says its process id and sleeps; gives both.
fn sleeping(stack: &Stack) -> (Child, String) {
    let mut run = stack.command(&["apply", "-auto-approve", "-json"]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map(|l| l.expect("a line"));
    let said = lines.find_map(|line| {
        let event: Json = serde_json::from_str(&line).expect("JSON");
        event["hook"]["output"].as_str().and_then(|o| o.strip_prefix("pid ")).map(String::from)
    });
    // The rest is read away, so that the run does not wait for its reader.
    std::thread::spawn(move || lines.for_each(drop));
    (child, said.expect("the command says its id"))
}

fn signal(signal: &str, id: &str) -> bool {
    Command::new("kill").args([signal, id]).stderr(Stdio::null()).status().expect("kill runs").success()
}

const SLEEPER: &str = "resource: {terraform_data: {a: {provisioner: {local-exec: {command: 'sleep 600 & echo pid $!; wait'}}}}}\n";

#[test]
fn the_first_interrupt_kills_the_command_with_all_that_it_started() {
    let stack = stack("main.yaml", SLEEPER);
    let (mut run, pid) = sleeping(&stack);
    assert!(signal("-INT", &run.id().to_string()));
    assert_eq!(run.wait().expect("it ends").code(), Some(130));
    let is_there = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "));
    assert!(!is_there, "the command's child outlived it");
    let shown = stack.ok(&["state", "show", "terraform_data.a"]).stdout;
    assert!(shown.contains("tainted"), "{shown}");
}

#[test]
fn a_killed_run_leaves_the_object_tainted() {
    let stack = stack("main.yaml", SLEEPER);
    let (mut run, pid) = sleeping(&stack);
    run.kill().expect("killed");
    run.wait().expect("it ends");
    // What the run had started nobody kills but us.
    signal("-KILL", &pid);
    stack.write(
        "main.yaml",
        "resource: {terraform_data: {a: {provisioner: {local-exec: {command: 'echo well'}}}}}\n",
    );
    stack.ok(&["apply", "-auto-approve"]).says(&["tainted", "1 added", "1 destroyed"]);
}

#[test]
fn in_the_sandbox_a_command_gets_no_credentials() {
    let text = "resource: {terraform_data: {a: {provisioner: {local-exec: {command: 'echo [$AWS_SECRET_ACCESS_KEY] > log'}}}}}\n";
    let mut stack = stack("main.yaml", text).env("AWS_SECRET_ACCESS_KEY", "real");
    stack.ok(&["apply", "-auto-approve"]);
    assert_eq!(read(&stack, "log"), "[real]\n");
    stack.set_env("GROMA_SANDBOX", "1");
    stack.ok(&["apply", "-auto-approve"]);
    assert_eq!(read(&stack, "log"), "[]\n");
    stack.ok(&["sandbox", "stop"]);
}

#[test]
fn what_a_destroy_time_command_may_name_is_told_with_its_place() {
    let text = "variable: {v: {default: x}}\nresource:\n  terraform_data:\n    a:\n      provisioner:\n        local-exec: {command: 'echo ${var.v}', when: destroy}\n";
    let stack = stack("main.yaml", text);
    stack.run(&["validate"]).must(1).says(&["G0817", "main.yaml:6:", "${var.v}", "through self"]);
}
