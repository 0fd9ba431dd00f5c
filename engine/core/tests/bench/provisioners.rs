//! Provisioners: when they run, what they get, and what is left when they do not end well.

use crate::support::Bench;
use groma_engine::facade::{Ended, PlanOptions};
use groma_engine::state::Status;
use groma_engine::state::store::CrashSide;
use std::time::Duration;

fn commands(bench: &Bench) -> Vec<String> {
    let ran = bench.shell.ran.lock().unwrap().drain(..).collect::<Vec<_>>();
    ran.into_iter().map(|c| c.argv.join(" ")).collect()
}

fn tainted(bench: &Bench, address: &str) -> Option<String> {
    match &bench.state().at(&address.parse().unwrap())?.status {
        Status::Tainted(why) => Some(why.to_string()),
        _ => None,
    }
}

fn item(provisioners: &str) -> String {
    format!("resource:\n  sim_item:\n    a:\n      provisioner: {provisioners}\n")
}

const BOTH: &str = r#"
resource:
  sim_item:
    a:
      tags: { who: me }
      provisioner:
        - local-exec: { command: "echo made ${self.tags.who} ${sim_item.b.tags.n}", environment: { ID: "${self.id}" } }
        - local-exec: { command: echo second, interpreter: [bash, -c], working_dir: /w, quiet: true }
        - local-exec: { command: "echo bye ${self.tags.who}", when: destroy }
    b: { tags: { n: "1" } }
    c: { tags: { after: "${sim_item.a.id}" } }
"#;

#[test]
fn they_run_after_the_object_is_made_and_before_it_is_deleted() {
    let mut bench = Bench::new();
    let run = bench.apply(BOTH).ok();
    run.in_order(&[
        "done Create sim_item.b",
        "start Create sim_item.a",
        "provision sim_item.a",
        "said sim_item.a: Executing: [\"sh\" \"echo made me 1\"]",
        "said sim_item.a: made me 1",
        "said sim_item.a: Executing: Suppressed by quiet=true",
        "said sim_item.a: second",
        "done Create sim_item.a",
        "start Create sim_item.c",
    ]);
    let ran = std::mem::take(&mut *bench.shell.ran.lock().unwrap());
    let id = bench
        .state()
        .at(&"sim_item.a".parse().unwrap())
        .unwrap()
        .attributes
        .str_attr("id")
        .unwrap()
        .to_string();
    assert_eq!(ran[0].environment.get("ID"), Some(&id));
    assert_eq!((ran[1].argv.join(" "), ran[1].folder.as_deref()), ("bash -c echo second".into(), Some("/w")));
    // Nothing runs where nothing is made.
    assert!(bench.apply(BOTH).ok().empty);
    bench.apply(&BOTH.replace("who: me", "who: you")).ok();
    assert_eq!(commands(&bench), Vec::<String>::new());
    bench.destroy(Some(BOTH)).ok().in_order(&[
        "done Delete sim_item.c",
        "start Delete sim_item.a",
        "said sim_item.a: bye you",
        "done Delete sim_item.a",
    ]);
    assert_eq!(commands(&bench), ["sh echo bye you"]);
}

#[test]
fn a_failure_taints_a_new_object_and_keeps_an_old_one() {
    let mut bench = Bench::new();
    let failing = item("[{local-exec: {command: exit 3}}, {local-exec: {command: echo never}}]");
    let run = bench.apply(&failing);
    assert_eq!(run.ended, Some(Ended::Failed));
    assert_eq!(commands(&bench), ["sh exit 3"]);
    let why = "a provisioner failed: the command \"exit 3\" failed: exit status 3";
    assert_eq!(tainted(&bench, "sim_item.a").as_deref(), Some(why));
    assert!(
        run.diagnostics.iter().any(|d| d.starts_with("G1120 sim_item.a: A provisioner failed")),
        "{run:#?}"
    );
    // It is made anew, and its provisioners run for the new one.
    let run = bench.apply(&item("{local-exec: {command: echo well}}")).ok();
    assert_eq!(run.plan, ["-/+ sim_item.a"]);
    assert_eq!(commands(&bench), ["sh echo well"]);
    bench.sound();
    // A farewell that fails keeps the object; one that may fail does not.
    let failing = item("{local-exec: {command: exit 4, when: destroy}}");
    bench.apply(&failing).ok();
    let run = bench.destroy(Some(&failing));
    assert_eq!(run.ended, Some(Ended::Failed));
    assert_eq!(bench.world.contents().len(), 1);
    bench.sound();
    let passing = item("{local-exec: {command: exit 4, when: destroy, on_failure: continue}}");
    let run = bench.destroy(Some(&passing)).ok();
    assert!(run.diagnostics.iter().any(|d| d.contains("passed over")), "{run:#?}");
    assert!(bench.state().is_empty());
    assert_eq!(bench.world.contents(), Vec::<String>::new());
    // A tainted object has no farewell.
    bench.apply(&item("[{local-exec: {command: exit 1}}, {local-exec: {command: echo bye, when: destroy}}]"));
    bench.destroyed(Some(&item("{local-exec: {command: echo bye, when: destroy}}")));
    assert!(!commands(&bench).contains(&"sh echo bye".to_string()));
}

#[test]
fn a_stop_kills_it_and_taints_the_object() {
    let mut bench = Bench::new();
    bench.stops = vec![(Duration::from_secs(30), 1)];
    let spec = item("{local-exec: {command: sleep 600, on_failure: continue}}");
    let run = bench.apply(&spec);
    assert_eq!(run.ended, Some(Ended::Interrupted));
    assert!(tainted(&bench, "sim_item.a").unwrap().contains("killed"));
    bench.stops.clear();
    bench.converges(&spec);
}

#[test]
fn a_run_that_is_cut_off_while_they_run_leaves_the_object_tainted() {
    let spec = item("{local-exec: {command: sleep 600}}");
    let mut seen = 0;
    for at in 0..8 {
        let mut bench = Bench::new();
        bench.store.crash_at(at, CrashSide::Before);
        bench.apply(&spec);
        bench.store = bench.store.reopen();
        let was_running =
            bench.state().open.values().any(|o| o.made.as_ref().is_some_and(|m| m.provisioning));
        let run = bench.apply(&spec).ok();
        assert_eq!(was_running, run.plan == ["-/+ sim_item.a"], "{run:#?}");
        seen += usize::from(was_running);
        bench.sound();
        assert!(bench.apply(&spec).ok().empty);
        assert!(bench.state().at(&"sim_item.a".parse().unwrap()).is_some_and(|o| !o.settings.unprovisioned));
        assert!(commands(&bench).len() <= 2);
    }
    assert_eq!(seen, 1, "of all flushes one stands between the start and the end of provisioners");
}

#[test]
fn an_object_that_was_cut_off_before_them_is_provisioned_by_the_next_run() {
    let spec =
        "resource:\n  sim_host:\n    h: { name: h, provisioner: {local-exec: {command: echo made}} }\n";
    for level in [1, 2] {
        let mut bench = Bench::new();
        bench.stops = vec![(Duration::from_secs(2), level)];
        bench.apply(spec);
        assert_eq!(commands(&bench), Vec::<String>::new(), "it still waits");
        bench.stops.clear();
        bench.converges(spec);
        assert_eq!(commands(&bench), ["sh echo made"]);
        assert!(tainted(&bench, "sim_host.h").is_none());
    }
}

#[test]
fn what_a_secret_went_into_is_not_shown() {
    let spec = r#"
variable:
  key: { default: hunter2, sensitive: true }
resource:
  sim_item:
    a:
      provisioner:
        local-exec: { command: "echo ${var.key}" }
    b:
      provisioner:
        local-exec: { command: "exit 1", environment: { KEY: "${var.key}" } }
"#;
    let mut bench = Bench::new();
    let config = crate::support::parse(spec);
    let key = groma_types::Value::from("hunter2").mark(groma_types::Marks::SENSITIVE);
    let options = PlanOptions { variables: [("key".into(), key)].into(), ..PlanOptions::default() };
    let run = bench.run(Some(config), &options, &Default::default());
    assert!(commands(&bench).contains(&"sh echo hunter2".to_string()));
    run.at("said sim_item.a: (output suppressed due to sensitive value in config)");
    let events = format!("{:?} {:?}", bench.events.0.lock().unwrap(), run.diagnostics);
    assert!(!events.contains("hunter2"), "{events}");
    assert!(!format!("{:?}", bench.state()).contains("hunter2"));
}

#[test]
fn a_command_that_only_the_state_has_runs_if_the_user_agrees() {
    let made = item("{local-exec: {command: \"echo bye ${self.id}\", when: destroy}}");
    let removed = "removed:\n  - from: sim_item.a\n    lifecycle: {destroy: true}\n    provisioner: {local-exec: {command: echo moved out, when: destroy}}\n";
    let mut bench = Bench::new();
    bench.apply(&made).ok();
    let plan = bench.plan("locals: {}\n");
    let told = format!("{:?}", plan.diagnostics);
    assert!(told.contains("G1068") && told.contains("echo bye"), "{told}");
    bench.apply("locals: {}\n").ok();
    assert_eq!(commands(&bench), Vec::<String>::new());
    bench.apply(&made).ok();
    bench.apply(removed).ok();
    assert_eq!(commands(&bench), ["sh echo moved out"]);
    bench.apply(&made).ok();
    bench.allow_recipe_exec = true;
    bench.destroyed(None);
    let ran = commands(&bench);
    assert!(ran.len() == 1 && ran[0].starts_with("sh echo bye item-"), "{ran:?}");
}

#[test]
fn those_that_log_in_somewhere_are_read_and_refused_where_they_would_run() {
    let spec =
        item("[{remote-exec: {inline: [ls], connection: {host: x}}}, {file: {source: a, destination: b}}]");
    let mut bench = Bench::new();
    let run = bench.apply(&spec);
    assert!(run.diagnostics.iter().any(|d| d.starts_with("G0614 sim_item.a")), "{run:#?}");
    assert_eq!(bench.world.mutating_calls(), 0);
    bench.apply(&item("{local-exec: {command: echo x}}")).ok();
    assert!(bench.apply(&spec).ok().empty, "the object is there: nothing would run");
}
