//! Ctrl-C: once to stop in order, twice to leave at once; and runs that stop for approval.

use crate::kit::Stack;
use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

const CLUSTER: &str = "aws_eks_cluster.main";
const APPLY: &[&str] = &["apply", "-auto-approve", "-json"];

/// An apply that runs, its events as they come.
struct Running {
    child: Child,
    events: Box<dyn Iterator<Item = Json>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Running {
    fn start(stack: &Stack, args: &[&str]) -> Running {
        let mut command = stack.command(args);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let event = |line: Result<String, _>| serde_json::from_str(&line.expect("a line")).expect("JSON");
        let stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        Running { child, events: Box::new(lines.map(event)), stderr }
    }

    /// Reads events up to one of this type about an address.
    fn until(&mut self, kind: &str, address: &str) {
        let is_it = |e: &Json| e["type"] == kind && e["hook"]["resource"]["addr"] == address;
        assert!(self.events.any(|e| is_it(&e)), "the run ended before {kind} of {address}");
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Reads stderr up to a line that begins so: the first signal was taken, a second one is another.
    fn until_said(&mut self, word: &str) {
        let said = self.stderr.by_ref().any(|line| line.expect("a line").contains(word));
        assert!(said, "the run ended before it said {word:?}");
    }

    /// Reads the rest, and gives the exit code.
    fn end(mut self) -> Option<i32> {
        self.events.by_ref().for_each(drop);
        self.child.wait().expect("it ends").code()
    }
}

fn fastapi() -> Stack {
    Stack::of_spec("fastapi-eks").env("GROMA_SANDBOX", "1")
}

fn clusters(stack: &Stack) -> usize {
    let is_cluster =
        |json: &Json| json.to_string().contains("CREATING") || json.to_string().contains("ACTIVE");
    let world = stack.world();
    world.iter().filter(|(key, value)| key.contains("cluster/") && is_cluster(value)).count()
}

/// Calls that create something in EKS.
fn creations(events: &[Json]) -> Vec<&str> {
    let calls = events.iter().filter(|e| e["type"] == "call" && e["service"] == "eks");
    calls.filter_map(|e| e["operation"].as_str()).filter(|o| o.starts_with("Create")).collect()
}

/// With the clock slow, the cluster would take minutes; the interrupted run leaves it waiting and ends.
#[test]
fn the_first_interrupt_leaves_what_waits_and_the_next_run_goes_on() {
    let stack = fastapi();
    let mut run = Running::start(&stack, &["apply", "-auto-approve", "-json", "-sandbox-speed=20"]);
    run.until("apply_progress", CLUSTER);
    let asked = Instant::now();
    run.interrupt();
    assert_eq!(run.end(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(30), "the end took {:?}", asked.elapsed());
    stack.ok(&["state", "list"]).says(&["aws_eks_cluster.main (waiting)"]);
    stack.ok(&["state", "verify"]);
    // What the cluster has not got yet is not known: what needs it is deferred, as before.
    stack.ok(&["plan"]).says(&["an earlier run left it waiting", "(deferred: waits for"]);

    // The world stays; its clock may run faster now.
    stack.ok(&["sandbox", "stop"]);
    let events = stack.ok(APPLY).events();
    assert_eq!(creations(&events), ["CreateNodegroup"]);
    assert_eq!(stack.ok(&["state", "list"]).stdout.lines().count(), 10);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    stack.ok(&["destroy", "-auto-approve"]);
}

/// What is left of a pause is waited for by the next run, and not more.
#[test]
fn a_pause_is_left_at_once_and_goes_on_later() {
    let spec = "resource:\n  time_sleep: { it: { create_duration: 4s } }\n";
    let stack = Stack::new().file("main.yaml", spec);
    let mut run = Running::start(&stack, APPLY);
    let begun = Instant::now();
    run.until("apply_start", "time_sleep.it");
    run.interrupt();
    assert_eq!(run.end(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(4), "the pause was not left: {:?}", begun.elapsed());
    stack.ok(&["state", "list"]).says(&["time_sleep.it (waiting)"]);
    stack.ok(APPLY);
    assert!(begun.elapsed() >= Duration::from_secs(4), "it did not go on: {:?}", begun.elapsed());
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
}

/// A program that answers a data source ends with the run, whether it is asked while planning or while applying.
#[cfg(unix)]
#[test]
fn a_program_is_killed_when_the_run_is_stopped() {
    let ask = "sh, -c, \"echo $$ > pid; exec sleep 100\"";
    let early = format!("data: {{ external: {{ it: {{ program: [{ask}] }} }} }}\n");
    let late = early.replace("] }", "], query: { a: \"${null_resource.n.id}\" } }")
        + "resource: { null_resource: { n: {} } }\n";
    for spec in [early, late] {
        let stack = Stack::new().env("PATH", "/usr/bin:/bin").file("main.yaml", &spec);
        let run = Running::start(&stack, APPLY);
        let begun = Instant::now();
        let pid = loop {
            assert!(begun.elapsed() < Duration::from_secs(30), "the program was not started");
            match std::fs::read_to_string(stack.path().join("pid")) {
                Ok(pid) if pid.ends_with('\n') => break pid.trim().to_string(),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        run.interrupt();
        assert_eq!(run.end(), Some(130));
        assert!(begun.elapsed() < Duration::from_secs(60), "the run waited for its program");
        let gone = || {
            !Command::new("kill")
                .args(["-0", &pid])
                .stderr(Stdio::null())
                .status()
                .expect("kill runs")
                .success()
        };
        while !gone() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the program goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A request that hangs holds the first interrupt up, and the second one leaves it.
#[test]
#[ignore = "slow tier: a whole apply and destroy"]
fn the_second_interrupt_leaves_at_once_and_nothing_is_made_twice() {
    let stack = fastapi();
    let fault = "-fault=eks.CreateCluster: slow 20000";
    let mut run = Running::start(&stack, &["apply", "-auto-approve", "-json", fault]);
    run.until("apply_start", CLUSTER);
    let asked = Instant::now();
    run.interrupt();
    run.until_said("Stopping:");
    run.interrupt();
    assert_eq!(run.end(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(15), "the end took {:?}", asked.elapsed());
    stack.ok(&["state", "verify"]);
    stack.ok(&["sandbox", "fault", "clear"]);
    stack.ok(APPLY);
    assert_eq!(stack.ok(&["state", "list"]).stdout.lines().count(), 10);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    stack.ok(&["destroy", "-auto-approve"]);
    assert_eq!(clusters(&stack), 0);
}

/// What turns out to be a replacement was not approved: exit code 3, and what is left is shown in full.
#[test]
fn what_goes_beyond_the_plan_is_held_and_shown() {
    let spec = "variable: {v: {default: one}}\nresource:\n  terraform_data:\n    a: {input: '${var.v}'}\n    \
                b: {triggers_replace: '${terraform_data.a.output}'}\n";
    let stack = Stack::new().file("main.yaml", spec);
    stack.ok(&["apply", "-auto-approve"]);
    let held = stack.run(&["apply", "-auto-approve", "-var=v=two", "-approve-deferred=none"]);
    held.must(3).says(&["What is left", "terraform_data.b", "will be replaced", "-approve-deferred=all"]);
    stack.ok(&["apply", "-auto-approve", "-var=v=two"]);
    stack.ok(&["plan", "-detailed-exitcode", "-var=v=two"]);
}

/// What `-target` leaves out is neither made, nor changed, nor replaced late, although it waits for what is made.
#[test]
fn a_target_is_all_that_is_done() {
    let spec = "variable: {v: {default: one}}\nresource:\n  terraform_data:\n    a: {input: '${var.v}'}\n    \
                b: {triggers_replace: '${terraform_data.a.output}'}\n    c: {count: '${terraform_data.a.output == \"x\" ? 1 : 0}'}\n";
    let stack = Stack::new().file("main.yaml", spec);
    stack.ok(&["apply", "-auto-approve", "-target=terraform_data.a"]).says(&["1 added"]);
    assert_eq!(stack.ok(&["state", "list"]).stdout, "terraform_data.a\n");
    stack.ok(&["apply", "-auto-approve"]).says(&["1 added"]);
    let before = stack.ok(&["state", "show", "terraform_data.b"]).stdout;
    let args = ["apply", "-auto-approve", "-var=v=x", "-target=terraform_data.a"];
    stack.ok(&args).says(&["0 added, 1 changed, 0 destroyed"]);
    assert_eq!(stack.ok(&["state", "show", "terraform_data.b"]).stdout, before);
    stack.ok(&["apply", "-auto-approve", "-var=v=x", "-approve-deferred=all"]);
    stack.ok(&["plan", "-detailed-exitcode", "-var=v=x"]);
}

#[test]
fn a_target_in_a_stack_with_deferred_parts_is_all_that_is_done() {
    let stack = fastapi();
    stack.ok(&["apply", "-auto-approve", "-target=aws_eks_cluster.main"]).says(&["3 added"]);
    let listed = stack.ok(&["state", "list"]).stdout;
    assert_eq!(
        listed,
        "aws_eks_cluster.main\naws_iam_role.eks_cluster\naws_iam_role_policy_attachment.eks_cluster_policy\n"
    );
    stack.ok(&["destroy", "-auto-approve"]);
}
