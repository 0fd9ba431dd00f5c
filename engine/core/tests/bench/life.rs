//! The life of a stack: create, update, replace, destroy, and the shapes that are hard.

use crate::support::{Bench, changes};

pub(crate) const STACK: &str = r#"
resource:
  sim_role:
    r: { name: role }
  sim_grant:
    g: { role: "${sim_role.r.name}", policy: p }
  sim_host:
    h: { name: host, role: "${sim_role.r.arn}" }
  sim_pool:
    p: { host_name: "${sim_host.h.name}", name: pool }
  sim_app:
    a: { provider: simkube, name: app, image: "v1" }
  sim_service:
    s: { provider: simkube, name: svc, type: LoadBalancer }
data:
  sim_token:
    t: { host_name: "${sim_host.h.name}" }
provider:
  simkube:
    host: ${sim_host.h.endpoint}
    ca: ${sim_host.h.ca}
    token: ${data.sim_token.t.token}
output:
  address: { value: "${sim_service.s.address}" }
"#;

#[test]
fn a_claim_goes_after_the_workloads_that_hold_it_and_before_its_host() {
    let more = r#"sim_claim:
    c: { provider: simkube, name: data, space: one }
  sim_app:
    holder: { provider: simkube, name: holder, image: v1, space: one }"#;
    let spec = STACK.replacen("sim_app:", more, 1);
    let mut bench = Bench::new();
    bench.apply(&spec).ok();
    let run = bench.destroy(Some(&spec)).ok();
    run.in_order(&[
        "done Delete sim_app.holder",
        "start Delete sim_claim.c",
        "done Delete sim_claim.c",
        "start Delete sim_host.h",
    ]);
    assert!(!run.log.iter().any(|l| l.contains("sim_app.a")), "dropped with its host: {:#?}", run.log);
    assert_eq!(bench.world.contents(), Vec::<String>::new());
}

#[test]
fn one_apply_makes_the_host_and_what_lives_on_it() {
    let mut bench = Bench::new();
    let plan = bench.plan(STACK);
    assert_eq!(
        changes(&plan),
        [
            "+ sim_app.a (deferred)",
            "+ sim_grant.g",
            "+ sim_host.h",
            "+ sim_pool.p",
            "+ sim_role.r",
            "+ sim_service.s (deferred)"
        ]
    );
    let run = bench.apply(STACK).ok();
    run.in_order(&["done Create sim_grant.g", "start Create sim_host.h"]);
    run.in_order(&["done Create sim_pool.p", "start Create sim_app.a"]);
    let again = bench.apply(STACK).ok();
    assert!(again.empty, "{again:#?}");
    let run = bench.destroy(Some(STACK)).ok();
    run.in_order(&[
        "done Delete sim_service.s",
        "start Delete sim_pool.p",
        "start Delete sim_host.h",
        "start Delete sim_role.r",
    ]);
    assert!(!run.log.iter().any(|l| l.contains("sim_app")), "an object goes with its host: {:#?}", run.log);
    assert_eq!(bench.world.contents(), Vec::<String>::new());
    assert!(bench.state().objects.is_empty());
}

/// A spec, what has to be true after it is applied.
fn item(name: &str, body: &str) -> String {
    format!("    {name}: {{ {body} }}\n")
}

pub(crate) fn items(lines: &[(&str, &str)]) -> String {
    let body: String = lines.iter().map(|(n, b)| item(n, b)).collect();
    format!("resource:\n  sim_item:\n{body}")
}

#[test]
fn a_user_lets_go_of_what_is_removed_while_what_that_used_is_replaced() {
    let mut bench = Bench::new();
    let before = items(&[
        ("c", "value: c, immutable: one"),
        ("b", "value: \"${sim_item.c.id}\""),
        ("a", "value: \"${sim_item.b.id}\""),
    ]);
    bench.apply(&before).ok();
    let after = items(&[("c", "value: c, immutable: two"), ("a", "value: \"${sim_item.c.id}\"")]);
    let run = bench.apply(&after).ok();
    assert_eq!(run.plan, ["~ sim_item.a (deferred)", "- sim_item.b", "-/+ sim_item.c"], "{run:#?}");
    run.in_order(&[
        "done Delete sim_item.b",
        "start Delete sim_item.c",
        "start Create sim_item.c",
        "start Update sim_item.a",
    ]);
    assert!(bench.apply(&after).ok().empty);
}

#[test]
fn a_rename_without_moved_is_one_replacement_and_its_user_follows() {
    let spec = |name: &str| {
        format!(
            "resource:\n  sim_named:\n    {name}: {{ name: same, value: x }}\n  sim_item:\n    user: {{ value: \"${{sim_named.{name}.id}}\" }}\n"
        )
    };
    let mut bench = Bench::new();
    bench.apply(&spec("old")).ok();
    let run = bench.apply(&spec("new")).ok();
    run.in_order(&["done Delete sim_named.old", "start Create sim_named.new", "start Update sim_item.user"]);
    assert!(run.diagnostics.iter().any(|d| d.starts_with("G1064")), "{run:#?}");
    assert!(bench.apply(&spec("new")).ok().empty);
}

#[test]
fn a_dependency_turned_round_with_one_side_created_first() {
    let mut bench = Bench::new();
    let before =
        items(&[("b", "value: b, immutable: one"), ("a", "value: \"${sim_item.b.id}\", immutable: one")]);
    bench.apply(&before).ok();
    let after = items(&[
        ("a", "value: a, immutable: two, lifecycle: { create_before_destroy: true }"),
        ("b", "value: \"${sim_item.a.id}\", immutable: two"),
    ]);
    let run = bench.apply(&after).ok();
    assert_eq!(run.plan, ["+/- sim_item.a", "+/- sim_item.b"], "{run:#?}");
    assert_eq!(bench.world.contents().len(), 2);
    assert!(bench.apply(&after).ok().empty);
}

#[test]
fn aws_auth_before_the_node_group_plans_applies_and_is_destroyed() {
    let spec = r#"
resource:
  sim_host:
    h: { name: host }
  sim_auth_map:
    auth: { provider: simkube, name: aws-auth, data: { a: b } }
  sim_pool:
    p: { host_name: "${sim_host.h.name}", name: pool, depends_on: [sim_auth_map.auth] }
  sim_app:
    a: { provider: simkube, name: app, image: v1 }
provider:
  simkube: { host: "${sim_host.h.endpoint}" }
"#;
    let mut bench = Bench::new();
    let run = bench.apply(spec).ok();
    run.in_order(&[
        "done Create sim_auth_map.auth",
        "start Create sim_pool.p",
        "done Create sim_pool.p",
        "start Create sim_app.a",
    ]);
    assert!(bench.apply(spec).ok().empty);
    bench.destroy(Some(spec)).ok();
    assert_eq!(bench.world.contents(), Vec::<String>::new());
}

#[test]
fn a_grant_that_names_the_host_yields() {
    let spec = r#"
resource:
  sim_role:
    r: { name: role }
  sim_grant:
    g: { role: "${sim_role.r.name}", policy: "on-${sim_host.h.id}" }
  sim_host:
    h: { name: host, role: "${sim_role.r.name}" }
"#;
    let mut bench = Bench::new();
    bench.apply(spec).ok().in_order(&["done Create sim_host.h", "start Create sim_grant.g"]);
    assert!(bench.apply(spec).ok().empty);
    bench.destroy(Some(spec)).ok();
    assert_eq!(bench.world.contents(), Vec::<String>::new());
}

pub(crate) fn hosted(host: &str) -> String {
    format!(
        r#"
resource:
  sim_host:
    h: {{ {host} }}
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
}

#[test]
fn a_host_is_replaced_under_its_name_with_what_is_attached_and_what_lives_on_it() {
    let mut bench = Bench::new();
    bench.apply(&hosted("name: host, size: s")).ok();
    let spec = hosted("name: host, size: l");
    let run = bench.apply(&spec).ok();
    assert_eq!(
        run.plan,
        ["-/+ sim_app.a (deferred)", "-/+ sim_host.h", "-/+ sim_pool.p", "-/+ sim_service.s (deferred)"],
        "{run:#?}"
    );
    run.in_order(&[
        "done Delete sim_service.s",
        "start Delete sim_pool.p",
        "start Delete sim_host.h",
        "start Create sim_host.h",
        "start Create sim_pool.p",
        "start Create sim_app.a",
    ]);
    assert!(!run.log.iter().any(|l| l == "start Delete sim_app.a"), "{run:#?}");
    assert_eq!(bench.world.leaks(), Vec::new());
    assert!(bench.apply(&spec).ok().empty);
}

#[test]
fn a_host_is_replaced_blue_green() {
    let mut bench = Bench::new();
    bench.apply(&hosted("name: blue, size: s, lifecycle: { create_before_destroy: true }")).ok();
    let spec = hosted("name: green, size: l, lifecycle: { create_before_destroy: true }");
    let run = bench.apply(&spec).ok();
    run.in_order(&["done Create sim_host.h", "start Create sim_app.a", "start Delete sim_host.h"]);
    run.in_order(&["done Create sim_service.s", "start Delete sim_service.s", "start Delete sim_host.h"]);
    assert_eq!(bench.world.leaks(), Vec::new());
    assert_eq!(bench.world.of_kind("sim_host").len(), 1);
    assert!(bench.apply(&spec).ok().empty);
    let same_name = hosted("name: green, size: xl, lifecycle: { create_before_destroy: true }");
    let refused = bench.apply(&same_name);
    assert!(refused.diagnostics.iter().any(|d| d.starts_with("G1063")), "{refused:#?}");
}

#[test]
fn an_expansion_that_is_not_known_yet_is_planned_when_it_is() {
    let spec = |n: u32| {
        format!(
            r#"
resource:
  sim_item:
    source: {{ value: s, fanout: {n} }}
    each:
      for_each: "${{toset(sim_item.source.keys)}}"
      value: "${{each.key}}"
    user: {{ value: '${{join(",", [for k, v in sim_item.each : v.id])}}' }}
"#
        )
    };
    let mut bench = Bench::new();
    let run = bench.apply(&spec(3)).ok();
    assert_eq!(run.plan, ["+ sim_item.source", "+ sim_item.user", "? sim_item.each"]);
    assert_eq!(bench.world.of_kind("sim_item").len(), 5);
    assert!(bench.apply(&spec(3)).ok().empty);
    bench.destroy(Some(&spec(3))).ok();
    assert_eq!(bench.world.contents(), Vec::<String>::new());
}

#[test]
fn a_late_replacement_is_held_by_the_guard_and_follows_in_the_next_plan() {
    use groma_engine::facade::{ApproveDeferred, Ended};
    let spec = |value: &str| {
        items(&[
            ("source", &format!("value: {value}")),
            ("late", "value: x, immutable: \"${sim_item.source.derived}\""),
            ("user", "value: \"${sim_item.late.id}\""),
        ])
    };
    let mut bench = Bench::new();
    bench.apply(&spec("one")).ok();
    let run = bench.apply(&spec("two"));
    assert_eq!(run.ended, Some(Ended::Held), "{run:#?}");
    run.at("held Replace sim_item.late");
    let follow_up = bench.plan(&spec("two"));
    assert!(changes(&follow_up).contains(&"-/+ sim_item.late".to_string()), "{:#?}", changes(&follow_up));
    bench.apply(&spec("two")).ok();
    assert!(bench.apply(&spec("two")).ok().empty);
    // Approved beforehand, it is done in the same run.
    bench.approve = ApproveDeferred::All;
    let run = bench.apply(&spec("three")).ok();
    run.in_order(&["start Delete sim_item.late", "start Create sim_item.late", "start Update sim_item.user"]);
    assert!(bench.apply(&spec("three")).ok().empty);
}
