//! The stack of `specs/fastapi-eks` in the sandbox, end to end, with the real binary.

use crate::kit::Stack;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const APPLY: &[&str] = &["apply", "-auto-approve"];
const DESTROY: &[&str] = &["destroy", "-auto-approve"];
const NOTHING_TO_DO: &[&str] = &["plan", "-detailed-exitcode"];

fn fastapi() -> Stack {
    Stack::of_spec("fastapi-eks").env("GROMA_SANDBOX", "1")
}

/// How many objects of each kind exist, whatever their random names are.
fn shape(stack: &Stack) -> BTreeMap<String, usize> {
    let mut shape = BTreeMap::new();
    for key in stack.world().keys() {
        let steps: Vec<&str> = key.split('/').map(|s| if is_random(s) { "*" } else { s }).collect();
        *shape.entry(steps.join("/")).or_insert(0) += 1;
    }
    shape
}

/// Identifiers that the cloud draws: digits and letters mixed, not words.
fn is_random(step: &str) -> bool {
    step.len() >= 8
        && step.chars().any(|c| c.is_ascii_digit())
        && step.chars().any(|c| c.is_ascii_alphabetic())
}

/// Changing calls to anything but Kubernetes.
fn cloud_changes(events: &[Json]) -> Vec<String> {
    let calls = events.iter().filter(|e| e["type"] == "call" && e["mutating"] == true);
    let calls = calls.filter(|e| e["service"] != "kubernetes");
    calls.map(|e| format!("{} {}", e["service"], e["operation"])).collect()
}

fn completed(events: &[Json], action: &str) -> Vec<String> {
    let done = events.iter().filter(|e| e["type"] == "apply_complete" && e["hook"]["action"] == action);
    done.filter_map(|e| e["hook"]["resource"]["addr"].as_str().map(String::from)).collect()
}

fn count_of(events: &[Json], operation: &str) -> Json {
    let summary =
        events.iter().rev().find(|e| e["type"] == "change_summary" && e["changes"]["operation"] == operation);
    summary.map(|e| e["changes"].clone()).unwrap_or_default()
}

#[test]
fn one_apply_from_nothing_to_a_running_app_and_back() {
    let stack = fastapi();
    stack.ok(&["plan"]).says(&[
        "# kubernetes_deployment.fastapi will be created",
        "(deferred: waits for",
        "aws_eks_cluster.main",
        "image: \"ghcr.io/mohamednourdine/fastapi-items:v1.0.0\"",
        "initial_delay_seconds: 30",
        "kubernetes_service.fastapi",
        "Plan: 10 to add, 0 to change, 0 to destroy.",
    ]);
    let empty = shape(&stack);

    stack
        .ok(APPLY)
        .says(&["Apply complete! Resources: 10 added, 0 changed, 0 destroyed.", "service_hostname"]);
    let host = stack.ok(&["output", "-raw", "service_hostname"]).stdout;
    assert!(host.contains('.') && !host.contains(char::is_whitespace), "{host:?} is no host name");
    stack.ok(NOTHING_TO_DO).says(&["No changes."]);
    stack.ok(&["state", "verify"]);

    let events = stack.ok(&["apply", "-auto-approve", "-json", "-var", "image_tag=v2.0.0"]).events();
    let counts = count_of(&events, "apply");
    assert_eq!([&counts["add"], &counts["change"], &counts["remove"]], [0, 1, 0], "{counts}");
    assert_eq!(cloud_changes(&events), Vec::<String>::new());
    assert_eq!(completed(&events, "update"), ["kubernetes_deployment.fastapi"]);
    stack.ok(&["plan", "-detailed-exitcode", "-var", "image_tag=v2.0.0"]);

    let events = stack.ok(&["destroy", "-auto-approve", "-json"]).events();
    destroyed_in_order(&events);
    assert_eq!(shape(&stack), empty, "the sandbox is not empty");
    assert_eq!(stack.ok(&["state", "list"]).stdout, "");
}

/// The load balancer's Service first; then node group, cluster, roles. Other objects of the cluster go without a call.
fn destroyed_in_order(events: &[Json]) {
    let gone = completed(events, "delete");
    let place = |address: &str| {
        let found = gone.iter().position(|a| a == address);
        found.unwrap_or_else(|| panic!("{address} was not destroyed: {gone:?}"))
    };
    let order = [
        "kubernetes_service.fastapi",
        "aws_eks_node_group.main",
        "aws_eks_cluster.main",
        "aws_iam_role_policy_attachment.eks_cluster_policy",
        "aws_iam_role.eks_cluster",
    ];
    for pair in order.windows(2) {
        assert!(place(pair[0]) < place(pair[1]), "{pair:?} in {gone:?}");
    }
    let deletes = events
        .iter()
        .filter(|e| e["type"] == "call" && e["service"] == "kubernetes" && e["mutating"] == true);
    let deletes: Vec<String> = deletes.map(|e| e["operation"].to_string()).collect();
    assert!(deletes.iter().all(|o| o.contains("services")), "{deletes:?}");
}

#[test]
#[ignore = "slow tier: a whole apply and destroy"]
fn destroy_needs_no_spec() {
    let stack = fastapi();
    stack.ok(&["plan"]);
    let empty = shape(&stack);
    stack.ok(APPLY);
    for file in ["variables.yaml", "cluster.yaml", "app.yaml"] {
        stack.remove(file);
    }
    stack.run(DESTROY).must(1).says(&["-without-spec"]);
    let events = stack.ok(&["destroy", "-auto-approve", "-without-spec", "-json"]).events();
    assert!(events.iter().all(|e| e["@level"] != "error"), "what was agreed to is no error");
    destroyed_in_order(&events);
    assert_eq!(shape(&stack), empty);
}

#[test]
#[ignore = "slow tier: two applies"]
fn an_error_in_one_branch_leaves_the_other_whole() {
    let stack = fastapi();
    let fault = "--fault=iam.AttachRolePolicy: denied 1x";
    let out = stack.run(&["apply", "-auto-approve", fault]).must(1);
    let out = out.says(&["1 operation failed", "Skipped", "because of"]);
    assert!(out.stdout.contains("Apply incomplete."), "{}", out.all());
    // The state holds exactly what exists: what it lists is there, so the next plan only adds.
    let listed = stack.ok(&["state", "list"]).stdout.lines().count();
    let again = stack.ok(&["apply", "-auto-approve", "-json"]);
    let counts = count_of(&again.events(), "apply");
    assert_eq!(counts["add"], 10 - listed, "{counts}");
    assert_eq!([&counts["change"], &counts["remove"]], [0, 0], "{counts}");
    stack.ok(NOTHING_TO_DO);
    stack.ok(DESTROY);
}

#[test]
#[ignore = "slow tier: applies under faults"]
fn throttling_is_borne_in_the_same_run() {
    let stack = fastapi();
    stack.ok(&[
        "apply",
        "-auto-approve",
        "--fault=eks.CreateCluster: throttle 3x",
        "--fault=iam.AttachRolePolicy: throttle 2x",
        "--fault=eks.DescribeNodegroup: 5xx 2x",
    ]);
    stack.ok(NOTHING_TO_DO);
    stack.ok(DESTROY);
}

/// A create whose answer is lost may have been carried out: that step fails in doubt, the next run finds out.
#[test]
#[ignore = "slow tier: applies under faults"]
fn what_a_lost_answer_left_is_found_and_not_made_twice() {
    let stack = fastapi();
    stack.ok(&["plan"]);
    let empty = shape(&stack);
    stack.ok(APPLY);
    let full = shape(&stack);
    stack.ok(DESTROY);
    for fault in [
        "iam.CreateRole: 5xx 2x",
        "iam.CreateRole: reset-after 2x",
        "eks.CreateCluster: reset-after 1x",
        "eks.CreateNodegroup: reset-after 1x",
        "kubernetes.*: reset-after 3x",
    ] {
        let out = stack.run(&["apply", "-auto-approve", &format!("--fault={fault}")]);
        assert!(matches!(out.code, Some(0 | 1)), "{fault}: {}", out.all());
        stack.ok(&["sandbox", "fault", "clear"]);
        stack.ok(APPLY);
        assert_eq!(shape(&stack), full, "{fault}");
        stack.ok(NOTHING_TO_DO);
        stack.ok(DESTROY);
        assert_eq!(shape(&stack), empty, "{fault}");
    }
}

#[test]
#[ignore = "slow tier: a whole apply and destroy"]
fn the_sandbox_and_the_clouds_never_meet() {
    let mut stack = fastapi();
    stack.ok(APPLY);
    let before = shape(&stack);
    stack.set_env("GROMA_SANDBOX", "0");
    stack.ok(DESTROY).says(&["No changes."]);
    stack.set_env("GROMA_SANDBOX", "1");
    assert_eq!(shape(&stack), before);

    // Another account of the sandbox: the world error, and nothing is read as gone.
    stack.set_env("AWS_PROFILE", "sandbox-222222222222");
    let told = stack.run(&["plan"]).must(1).says(&["111111111111", "222222222222"]);
    assert_eq!(told.stderr.matches("222222222222").count(), 1, "one cause, one message: {}", told.stderr);
    stack.run(DESTROY).must(1).says(&["111111111111", "222222222222"]);
    stack.set_env("AWS_PROFILE", "");
    assert_eq!(shape(&stack), before);
    stack.ok(DESTROY);
}

#[test]
#[ignore = "slow tier: a whole apply and destroy"]
fn no_secret_is_left_anywhere() {
    let stack = fastapi();
    let app = std::fs::read_to_string(stack.path().join("app.yaml")).expect("read");
    let env = "                - { name: AWS_REGION,";
    stack.write(
        "app.yaml",
        &app.replace(
            env,
            &format!("                - {{ name: PASSWORD, value: \"${{var.password}}\" }}\n{env}"),
        ),
    );
    stack.write("secret.yaml", "variable:\n  password: { type: string, sensitive: true }\n");
    let stack = stack.env("TF_VAR_password", "canary-77c0ffee");
    // What the sandbox's own clients sign with, and what a minted token begins with.
    let keys = groma_sandbox::credentials(None);
    stack.ok(&["plan"]);
    let serve =
        std::fs::read_to_string(stack.path().join(".groma/sandbox/world/serve.json")).expect("it runs");
    let serve: Json = serde_json::from_str(&serve).expect("JSON");
    let word = serve["token"].as_str().expect("the word that opens the sandbox's own API");
    let secrets = ["canary-77c0ffee", "k8s-aws-v1.", keys.secret_key.as_str(), word];

    let mut texts = vec![("plan".to_string(), stack.ok(&["plan", "-json"]).all())];
    texts.push(("apply".into(), stack.ok(&["apply", "-auto-approve", "-json"]).all()));
    texts.push(("show".into(), stack.ok(&["show"]).all()));
    texts.push(("pull".into(), stack.ok(&["state", "pull"]).all()));
    for file in stack.files(".groma") {
        if !file.starts_with(stack.path().join(".groma/sandbox/world")) {
            let bytes = std::fs::read(&file).expect("readable");
            texts.push((file.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    for (place, text) in texts {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {place}");
        }
    }
    stack.ok(DESTROY);
}

/// How often a running client is killed, from `GROMA_KILLS`.
fn kills() -> u64 {
    std::env::var("GROMA_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(51)
}

/// Kills clients at moments that are the same in every run of the test, as parts of what an undisturbed run takes.
struct Killer {
    seed: u64,
    landed: u64,
    within: BTreeMap<String, Duration>,
}

impl Killer {
    /// Starts the client and kills it, as the kernel would, after a while; and ends what it began.
    fn disturb(&mut self, stack: &Stack, args: &[&str]) {
        let within = self.within.get_mut(args[0]).expect("its time was taken");
        let mut child = stack.start(args);
        // The moment is the point of the test; nothing waits here for something to happen.
        std::thread::sleep(moment(self.seed, *within));
        self.seed += 1;
        if child.try_wait().expect("a child").is_none() {
            child.kill().expect("it runs");
            self.landed += 1;
        } else {
            // The machine is faster than it was: later moments would all come too late.
            *within = *within * 3 / 4;
        }
        child.wait().expect("it ends");
        stack.ok(args);
    }

    fn time(&mut self, stack: &Stack, args: &[&str]) {
        let start = Instant::now();
        stack.ok(args);
        self.within.insert(args[0].into(), start.elapsed());
    }
}

fn moment(seed: u64, within: Duration) -> Duration {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^= z >> 27;
    let part = u32::try_from(z % 1000).expect("below 1000");
    within * part / 1000
}

/// As many clients are really killed, in an apply, an update and a destroy by turns.
#[test]
#[ignore = "slow tier: kill -9 at many random moments"]
fn a_killed_client_loses_nothing_and_makes_nothing_twice() {
    let stack = fastapi();
    stack.ok(&["plan"]);
    let empty = shape(&stack);
    let mut killer = Killer { seed: 0, landed: 0, within: BTreeMap::new() };
    killer.time(&stack, APPLY);
    let full = shape(&stack);
    killer.time(&stack, DESTROY);

    let mut round = 0;
    while killer.landed < kills() {
        assert!(round < 2 * kills(), "only {} of the kills came while the client ran", killer.landed);
        round += 1;
        killer.disturb(&stack, APPLY);
        as_listed(&stack, &full, round);
        stack.ok(NOTHING_TO_DO);

        let tag = format!("image_tag=v{round}.1.0");
        killer.disturb(&stack, &["apply", "-auto-approve", "-var", tag.as_str()]);
        as_listed(&stack, &full, round);
        let deployment = stack.world().into_iter().find(|(key, _)| key.contains("deployments"));
        let deployment = deployment.expect("the deployment").1.to_string();
        assert!(deployment.contains(&tag["image_tag=".len()..]), "round {round}: {deployment}");
        stack.ok(&["plan", "-detailed-exitcode", "-var", tag.as_str()]);

        killer.disturb(&stack, DESTROY);
        as_listed(&stack, &empty, round);
        stack.ok(&["state", "verify"]);
    }
}

/// The world has this and no more, and the state knows of nothing else. What a Deployment keeps of its earlier versions
/// is the cluster's own.
#[track_caller]
fn as_listed(stack: &Stack, expected: &BTreeMap<String, usize>, round: u64) {
    let ours = |mut shape: BTreeMap<String, usize>| {
        shape.retain(|key, _| !key.contains("/replicasets.apps/") && !key.contains("/pods/"));
        shape
    };
    assert_eq!(ours(shape(stack)), ours(expected.clone()), "round {round}");
    let listed = stack.ok(&["state", "list"]).stdout.lines().count();
    assert_eq!(listed, if expected.is_empty() { 0 } else { 10 }, "round {round}: what the state lists");
}

/// The process that ends a sandbox may be no client of it.
#[cfg(unix)]
#[test]
fn a_sandbox_ends_at_a_signal_and_keeps_its_world() {
    let stack = Stack::new().file("main.yaml", "{}\n");
    let mut server = stack.start(&["sandbox", "serve"]);
    let begun = Instant::now();
    while !stack.run(&["sandbox", "status"]).stdout.contains("running at") {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = std::process::Command::new("kill").args(["-TERM", &server.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let ended = server.wait().expect("it was started here");
    assert_eq!(ended.code(), Some(0));
    stack.ok(&["sandbox", "status"]).says(&["not running"]);
    assert!(stack.path().join(".groma/sandbox/world").is_dir());
}
