//! The guard: what was not in the plan is made only as far as it was approved; what is held stops what follows.

use crate::life::items;
use crate::support::{Bench, changes};
use groma_engine::facade::{ApproveDeferred, Ended};

const ALL: [ApproveDeferred; 4] =
    [ApproveDeferred::None, ApproveDeferred::Create, ApproveDeferred::Update, ApproveDeferred::All];

/// For each degree of approval how the run ends and what of it is held; then a run with approval ends it.
#[track_caller]
fn check(before: Option<&str>, after: &str, expected: [&[&str]; 4]) {
    for (approve, held) in ALL.into_iter().zip(expected) {
        let mut bench = Bench::new();
        if let Some(before) = before {
            bench.apply(before).ok();
        }
        bench.approve = approve;
        let run = bench.apply(after);
        let found: Vec<&String> = run.log.iter().filter(|l| l.starts_with("held ")).collect();
        assert_eq!(found, held, "{approve:?} {run:#?}");
        let wanted = if held.is_empty() { Ended::Done } else { Ended::Held };
        assert_eq!(run.ended, Some(wanted), "{approve:?} {run:#?}");
        bench.sound();
        if !held.is_empty() {
            assert!(!changes(&bench.plan(after)).is_empty(), "{approve:?}: a follow-up plan shows the rest");
        }
        bench.approve = ApproveDeferred::All;
        bench.converges(after);
    }
}

#[test]
fn deferred_creations() {
    let spec = r#"
resource:
  sim_host:
    h: { name: host }
  sim_map:
    m: { provider: simkube, name: map }
    user: { provider: simkube, name: "x-${sim_map.m.id}" }
  sim_item:
    apart: { value: x }
provider:
  simkube: { host: "${sim_host.h.endpoint}" }
"#;
    check(None, spec, [&["held Create sim_map.m"], &[], &[], &[]]);
}

#[test]
fn late_updates_that_the_plan_showed() {
    let spec = |v: &str| items(&[("a", &format!("value: {v}")), ("b", "value: \"${sim_item.a.derived}\"")]);
    check(Some(&spec("one")), &spec("two"), [&["held Update sim_item.b"], &[], &[], &[]]);
}

fn fanout(n: u32) -> String {
    format!(
        r#"
resource:
  sim_item:
    source: {{ value: s, fanout: {n} }}
    each:
      for_each: "${{toset(sim_item.source.keys)}}"
      value: "${{each.key}}"
    user: {{ value: '${{join(",", [for k, v in sim_item.each : v.id])}}' }}
    apart: {{ value: "x{n}" }}
"#
    )
}

#[test]
fn a_late_expansion_that_grows() {
    let held: &[&str] = &["held Create sim_item.each[\"k1\"]", "held Create sim_item.each[\"k2\"]"];
    check(Some(&fanout(1)), &fanout(3), [held, &[], &[], &[]]);
}

#[test]
fn a_late_expansion_that_shrinks() {
    let held: &[&str] = &["held Delete sim_item.each[\"k1\"]", "held Delete sim_item.each[\"k2\"]"];
    let all: &[&str] = &["held Update sim_item.user", held[0], held[1]];
    check(Some(&fanout(3)), &fanout(1), [all, held, held, &[]]);
}

#[test]
fn a_late_replacement_with_recorded_users() {
    let spec = |v: &str| {
        items(&[
            ("source", &format!("value: {v}")),
            ("late", "value: x, immutable: \"${sim_item.source.derived}\""),
            ("user", "value: \"${sim_item.late.id}\""),
            ("last", "value: \"${sim_item.user.derived}\""),
            ("apart", &format!("value: {v}")),
        ])
    };
    let held: &[&str] = &["held Replace sim_item.late"];
    check(Some(&spec("one")), &spec("two"), [held, held, held, &[]]);
}

#[test]
fn a_late_replacement_in_a_chain() {
    // Each is replaced since the one before is: three late replacements in a row.
    let spec = |v: &str| {
        items(&[
            ("source", &format!("value: {v}")),
            ("a", "immutable: \"${sim_item.source.derived}\""),
            ("b", "immutable: \"${sim_item.a.id}\""),
            ("c", "immutable: \"${sim_item.b.id}\", lifecycle: { create_before_destroy: true }"),
            ("user", "value: \"${sim_item.c.id}\""),
        ])
    };
    let mut bench = Bench::new();
    bench.approve = ApproveDeferred::All;
    bench.apply(&spec("one")).ok();
    bench.apply(&spec("two")).ok();
    bench.sound();
    assert_eq!(bench.world.of_kind("sim_item").len(), 5);
    assert!(bench.apply(&spec("two")).ok().empty);
    bench.destroyed(None);
}

/// A host that turns out late to be replaced: what lives on it and what is attached to it follow in the same run.
#[test]
fn a_late_replacement_of_a_host() {
    let spec = |v: &str| {
        format!(
            r#"
resource:
  sim_item:
    source: {{ value: {v} }}
  sim_host:
    h: {{ name: host, size: "${{sim_item.source.derived}}" }}
  sim_pool:
    p: {{ host_name: "${{sim_host.h.name}}", name: pool }}
  sim_app:
    a: {{ provider: simkube, name: app, image: v1 }}
  sim_service:
    s: {{ provider: simkube, name: svc, type: LoadBalancer }}
provider:
  simkube: {{ host: "${{sim_host.h.endpoint}}" }}
"#
        )
    };
    let held: &[&str] = &["held Replace sim_host.h"];
    check(Some(&spec("one")), &spec("two"), [held, held, held, &[]]);
}
