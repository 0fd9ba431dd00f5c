//! What the language has beyond Terraform's: instances of providers, switches, bounds, what is kept.

use crate::support::Bench;
use groma_engine::facade::{Ended, PlanOptions};

#[track_caller]
fn settled(bench: &mut Bench, spec: &str) {
    bench.apply(spec).ok();
    bench.sound();
    let again = bench.apply(spec).ok();
    assert!(again.empty, "{again:#?}");
}

#[track_caller]
fn says(run: &crate::support::Outcome, words: &str) {
    assert!(run.diagnostics.iter().any(|d| d.contains(words)), "no {words:?} in {run:#?}");
}

fn by_account(accounts: &str) -> String {
    format!(
        r#"
locals:
  accounts: {{ {accounts} }}
provider:
  sim: {{ alias: by, for_each: "${{local.accounts}}", account: "${{each.value}}" }}
resource:
  sim_item:
    i: {{ for_each: "${{local.accounts}}", provider: "sim.by[each.key]", value: "${{each.key}}" }}
module:
  app: {{ source: ./app, for_each: "${{local.accounts}}", providers: {{ sim: "sim.by[each.key]" }} }}
--- file: app/main.yaml
resource:
  sim_item:
    m: {{ value: m }}
"#
    )
}

#[test]
fn a_key_of_a_provider_goes_with_its_resources_in_one_edit() {
    let mut bench = Bench::new();
    settled(&mut bench, &by_account("eu: one, us: two"));
    let mut scopes: Vec<String> = bench.world.of_kind("sim_item").into_iter().map(|o| o.scope).collect();
    scopes.sort();
    assert_eq!(scopes, ["cloud/one", "cloud/one", "cloud/two", "cloud/two"]);
    let run = bench.apply(&by_account("eu: one")).ok();
    assert_eq!(run.plan, ["- sim_item.i[\"us\"]", "- module.app[\"us\"].sim_item.m"]);
    bench.sound();
    assert!(bench.world.of_kind("sim_item").iter().all(|o| o.scope == "cloud/one"));
    bench.destroyed(None);
}

fn switched(expansion: &str) -> String {
    format!(
        r#"
resource:
  sim_item:
    a: {{ value: x{expansion} }}
    u: {{ value: '${{sim_item.a == null ? "none" : "some"}}' }}
  sim_named:
    n: {{ name: n, value: v }}
data:
  sim_lookup:
    l: {{ name: "${{sim_named.n.name}}"{expansion} }}
module:
  m: {{ source: ./m{expansion} }}
--- file: m/main.yaml
resource:
  sim_item:
    inside: {{ value: y }}
"#
    )
}

#[test]
fn a_switch_makes_no_index_and_moves_nothing() {
    let switch = |on: bool| switched(&format!(", lifecycle: {{ enabled: {on} }}"));
    let mut bench = Bench::new();
    settled(&mut bench, &switched(""));
    let calls = bench.world.mutating_calls();
    let run = bench.apply(&switch(true)).ok();
    assert!(run.empty, "{run:#?}");
    assert_eq!(bench.world.mutating_calls(), calls);
    let run = bench.apply(&switch(false)).ok();
    assert_eq!(run.plan, ["- sim_item.a", "~ sim_item.u", "- module.m.sim_item.inside"]);
    settled(&mut bench, &switch(true));
    assert_eq!(bench.world.of_kind("sim_item").len(), 3);
}

fn fanout(n: u32, bound: &str) -> String {
    format!(
        r#"
resource:
  sim_item:
    source: {{ value: s, fanout: {n} }}
    each: {{ for_each: "${{toset(sim_item.source.keys)}}", value: "${{each.key}}", lifecycle: {{ max_instances: {bound} }} }}
    user: {{ value: '${{join(",", [for k, v in sim_item.each : v.id])}}' }}
"#
    )
}

#[test]
fn a_bound_holds_late_and_at_once() {
    let mut bench = Bench::new();
    let run = bench.apply(&fanout(3, "2"));
    assert_eq!(run.ended, Some(Ended::Failed), "{run:#?}");
    says(&run, "There would be 3, and lifecycle.max_instances is 2.");
    assert_eq!(bench.world.of_kind("sim_item").len(), 1, "none of the instances is made, and no user");
    // Now it is known in the plan.
    let run = bench.apply(&fanout(3, "'${1 + 1}'"));
    says(&run, "G1013");
    settled(&mut bench, &fanout(3, "3"));
    assert_eq!(bench.world.of_kind("sim_item").len(), 5);
}

#[test]
fn what_terraform_must_know_is_refused_under_strict() {
    let options = PlanOptions { strict: true, ..PlanOptions::default() };
    let mut bench = Bench::new();
    let run = bench.with_options(&fanout(2, "2"), &options);
    says(&run, "instances that are not known in the plan");
    assert_eq!(bench.world.contents(), Vec::<String>::new());
}

#[test]
fn protection_by_an_expression_outlives_its_block() {
    let spec = |argument: &str, word: &str| {
        format!(
            "locals: {{ word: {word} }}\nresource:\n  sim_item:\n    a: {{ value: x, lifecycle: {{ {argument}: \"${{local.word}}\" }} }}\n"
        )
    };
    let gone = "locals: { word: true }\n";
    for (argument, word) in [("prevent_destroy", "true"), ("on_destroy", "forbid")] {
        let mut bench = Bench::new();
        bench.apply(&spec(argument, word)).ok();
        says(&bench.apply(gone), "G1065");
        says(&bench.destroy(None), "G1065");
        // What was last said counts: nothing else of the object changes here.
        let lifted = if argument == "on_destroy" { "delete" } else { "false" };
        bench.apply(&spec(argument, lifted)).ok();
        bench.apply(gone).ok();
        assert_eq!(bench.world.contents(), Vec::<String>::new(), "{argument}");
    }
    let mut bench = Bench::new();
    bench.apply(&spec("on_destroy", "keep")).ok();
    bench.destroy(Some(&spec("on_destroy", "keep"))).ok();
    assert_eq!((bench.world.contents().len(), bench.state().objects.len()), (1, 0));
    says(&bench.apply(&spec("on_destroy", "never")), "G1033");
}

#[test]
fn what_may_be_missing_is_null_and_other_errors_still_fail() {
    use groma_provider::ErrorKind;
    use groma_provider_sim::Op;
    let spec = |lifecycle: &str| {
        format!(
            "data:\n  sim_lookup:\n    l: {{ name: nobody{lifecycle} }}\nresource:\n  sim_item:\n    a: {{ value: '${{data.sim_lookup.l == null ? \"none\" : \"some\"}}' }}\n"
        )
    };
    let allowed = spec(", lifecycle: { on_missing: allow }");
    let mut bench = Bench::new();
    says(&bench.apply(&spec("")), "G1040");
    says(&bench.apply(&spec(", lifecycle: { on_missing: error }")), "G1040");
    says(&bench.apply(&spec(", lifecycle: { on_missing: perhaps }")), "G1033");
    settled(&mut bench, &allowed);
    bench.world.fail("sim_lookup", Op::Data, 1, ErrorKind::Denied);
    says(&bench.apply(&allowed), "G1102");
}

#[test]
fn a_host_can_be_named_where_it_can_not_be_inferred() {
    let spec = |hosted: &str| {
        format!(
            r#"
resource:
  sim_host:
    h: {{ name: host }}
  sim_map:
    m: {{ provider: simkube, name: map }}
provider:
  simkube: {{ host: "${{sim_host.h.endpoint}}"{hosted} }}
"#
        )
    };
    let named = spec(", lifecycle: { hosted_by: sim_host.h }");
    let mut bench = Bench::new();
    settled(&mut bench, &named);
    let run = bench.destroy(Some(&named)).ok();
    assert!(!run.log.iter().any(|l| l.contains("sim_map")), "it goes with its host: {run:#?}");
    assert!(bench.state().is_empty());
}
