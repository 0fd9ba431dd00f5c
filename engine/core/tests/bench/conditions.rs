//! Conditions, and the world that a provider must be.

use crate::support::Bench;
use groma_engine::facade::Ended;

fn item(body: &str) -> String {
    format!("resource:\n  sim_item:\n    a:\n      value: x\n{body}")
}

#[track_caller]
fn refused(spec: &str, text: &str) {
    let mut bench = Bench::new();
    let run = bench.apply(spec);
    assert_eq!(run.ended, Some(Ended::Failed), "{run:#?}");
    assert!(run.diagnostics.iter().any(|d| d.contains(text)), "{run:#?}");
    assert_eq!(bench.world.contents(), Vec::<String>::new());
}

#[test]
fn a_precondition_that_fails_stops_before_anything_is_made() {
    let rule =
        "      lifecycle:\n        precondition: [{ condition: '${local.n > 2}', error_message: not so }]\n";
    refused(&(item(rule) + "locals: { n: 1 }\n"), "Resource precondition failed not so");
}

#[test]
fn a_postcondition_fails_after_the_object_is_recorded_and_stops_its_users() {
    let spec = r#"
resource:
  sim_item:
    a:
      value: x
      lifecycle:
        postcondition: [{ condition: '${self.derived == "never"}', error_message: not so }]
    b: { value: "${sim_item.a.id}" }
"#;
    let mut bench = Bench::new();
    let run = bench.apply(spec);
    assert_eq!(run.ended, Some(Ended::Failed), "{run:#?}");
    assert_eq!(bench.state().objects.len(), 1);
    run.at("skipped sim_item.b");
}

#[test]
fn an_unexpected_world_is_refused_before_the_first_write() {
    let spec = format!("{}provider:\n  sim: {{ lifecycle: {{ expect: {{ account: other }} }} }}\n", item(""));
    refused(&spec, "expects account other");
}

#[test]
fn a_check_only_warns() {
    let spec = format!(
        "{}check:\n  c:\n    assert: [{{ condition: '${{sim_item.a.value != \"x\"}}', error_message: look }}]\n",
        item("")
    );
    let mut bench = Bench::new();
    let run = bench.apply(&spec).ok();
    assert!(run.diagnostics.iter().any(|d| d.contains("look")), "{run:#?}");
}

#[test]
fn a_refresh_only_apply_records_what_is_there_and_changes_nothing() {
    use groma_engine::facade::{PlanOptions, StopSignal};
    let mut bench = Bench::new();
    let spec = item("");
    bench.apply(&spec).ok();
    bench.world.remove("sim_item", |_| true);
    let options = PlanOptions { refresh_only: true, ..PlanOptions::default() };
    let calls = bench.world.mutating_calls();
    bench.run(Some(crate::support::parse(&spec)), &options, &StopSignal::default()).ok();
    assert_eq!(bench.world.mutating_calls(), calls);
    assert!(bench.state().objects.is_empty());
    bench.apply(&spec).ok().at("done Create sim_item.a");
}
