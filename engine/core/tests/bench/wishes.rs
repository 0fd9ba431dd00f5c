//! What users wish beside the spec: targets, replacements, protection, moves, removals.

use crate::life::items;
use crate::support::Bench;
use groma_engine::facade::{Ended, PlanOptions};

fn target(names: &[&str]) -> PlanOptions {
    PlanOptions { targets: names.iter().map(ToString::to_string).collect(), ..PlanOptions::default() }
}

fn exclude(names: &[&str]) -> PlanOptions {
    PlanOptions { excludes: names.iter().map(ToString::to_string).collect(), ..PlanOptions::default() }
}

fn replace(name: &str) -> PlanOptions {
    PlanOptions { replace: vec![name.parse().unwrap()], ..PlanOptions::default() }
}

fn chain(v: &str) -> String {
    items(&[
        ("a", &format!("value: {v}")),
        ("b", "value: \"${sim_item.a.derived}\""),
        ("c", "value: \"${sim_item.b.derived}\""),
        ("d", &format!("value: {v}")),
    ])
}

#[test]
fn a_target_takes_what_it_needs_and_nothing_else() {
    let mut bench = Bench::new();
    let run = bench.with_options(&chain("x"), &target(&["sim_item.b"])).ok();
    assert_eq!(run.plan, ["+ sim_item.a", "+ sim_item.b"]);
    bench.apply(&chain("x")).ok();
    assert!(bench.apply(&chain("x")).ok().empty);
    // A target that is removed from the spec is removed, and nothing else is.
    let less = items(&[("a", "value: y"), ("b", "value: b")]);
    let run = bench.with_options(&less, &target(&["sim_item.d"])).ok();
    assert_eq!(run.plan, ["- sim_item.d"]);
    // A destroy of a target takes along what depends on it.
    let options = PlanOptions { destroy: true, ..target(&["sim_item.b"]) };
    let run = bench.with_options(&chain("x"), &options).ok();
    assert_eq!(run.plan, ["- sim_item.b", "- sim_item.c"]);
    bench.sound();
    let unknown = bench.with_options(&chain("x"), &target(&["sim_item.nothing"]));
    assert!(unknown.diagnostics.iter().any(|d| d.starts_with("G1062")), "{unknown:#?}");
}

#[test]
fn an_exclusion_leaves_out_what_depends_on_it() {
    let mut bench = Bench::new();
    let run = bench.with_options(&chain("x"), &exclude(&["sim_item.b"])).ok();
    assert_eq!(run.plan, ["+ sim_item.a", "+ sim_item.d"]);
    bench.apply(&chain("x")).ok();
    let run = bench.with_options(&chain("y"), &exclude(&["sim_item.b"])).ok();
    assert_eq!(run.plan, ["~ sim_item.a", "~ sim_item.d"]);
    bench.apply(&chain("y")).ok();
    let options = PlanOptions { destroy: true, ..exclude(&["sim_item.b"]) };
    let run = bench.with_options(&chain("y"), &options).ok();
    assert_eq!(run.plan, ["- sim_item.c", "- sim_item.d"], "what it needs stays: {run:#?}");
    bench.sound();
}

#[test]
fn a_replacement_on_demand() {
    let mut bench = Bench::new();
    bench.apply(&chain("x")).ok();
    let run = bench.with_options(&chain("x"), &replace("sim_item.b")).ok();
    run.in_order(&["done Delete sim_item.b", "start Create sim_item.b"]);
    assert!(!run.log.iter().any(|l| l.contains("sim_item.a")), "{run:#?}");
    bench.sound();
    assert!(bench.apply(&chain("x")).ok().empty);
    let unknown = bench.with_options(&chain("x"), &replace("sim_item.nothing"));
    assert_eq!(unknown.ended, Some(Ended::Failed), "{unknown:#?}");
}

#[test]
fn what_is_protected_is_not_destroyed() {
    let kept = items(&[("a", "value: x, immutable: one, lifecycle: { prevent_destroy: true }")]);
    let changed = kept.replace("one", "two");
    let none = items(&[("b", "value: x")]);
    let refused = |bench: &mut Bench, spec: Option<&str>, destroy: bool| {
        let calls = bench.world.mutating_calls();
        let run = if destroy { bench.destroy(spec) } else { bench.apply(spec.unwrap()) };
        assert!(run.diagnostics.iter().any(|d| d.starts_with("G1065")), "{run:#?}");
        assert_eq!(bench.world.mutating_calls(), calls);
    };
    for word in ["prevent_destroy: true", "on_destroy: forbid"] {
        let spec = |s: &str| s.replace("prevent_destroy: true", word);
        let mut bench = Bench::new();
        bench.apply(&spec(&kept)).ok();
        refused(&mut bench, Some(&spec(&changed)), false);
        refused(&mut bench, Some(&spec(&kept)), true);
        // The block is gone, the record protects.
        refused(&mut bench, Some(&none), false);
        refused(&mut bench, None, true);
        // `removed` lifts it.
        let lifted = format!("{none}removed:\n  - {{ from: sim_item.a, lifecycle: {{ destroy: true }} }}\n");
        bench.apply(&lifted).ok();
        assert_eq!(bench.world.contents().len(), 1, "{word}");
        bench.sound();
    }
}

#[test]
fn what_is_kept_is_forgotten_and_stays() {
    let spec =
        items(&[("a", "value: x, lifecycle: { on_destroy: keep }"), ("b", "value: \"${sim_item.a.id}\"")]);
    let mut bench = Bench::new();
    bench.apply(&spec).ok();
    bench.destroy(Some(&spec)).ok();
    assert_eq!(bench.world.of_kind("sim_item").len(), 1);
    assert!(bench.state().objects.is_empty());
    // Recorded, the block gone.
    let mut bench = Bench::new();
    bench.apply(&spec).ok();
    bench.apply(&items(&[("c", "value: x")])).ok();
    assert_eq!(bench.world.of_kind("sim_item").len(), 2);
    assert_eq!(bench.state().objects.len(), 1);
}

#[test]
fn removed_without_destroy_forgets() {
    let mut bench = Bench::new();
    bench.apply(&items(&[("a", "value: x"), ("b", "value: x")])).ok();
    let spec = format!(
        "{}removed:\n  - {{ from: sim_item.a, lifecycle: {{ destroy: false }} }}\n",
        items(&[("b", "value: x")])
    );
    bench.apply(&spec).ok();
    assert_eq!((bench.world.contents().len(), bench.state().objects.len()), (2, 1));
    assert!(bench.apply(&spec).ok().empty);
}

#[test]
fn moves_touch_nothing_in_the_world() {
    let mut bench = Bench::new();
    bench.apply(&items(&[("a", "value: x"), ("u", "value: \"${sim_item.a.id}\"")])).ok();
    let calls = bench.world.mutating_calls();
    let moved = |to: &str, from: &str, body: &str, user: &str| {
        format!(
            "{}moved:\n  - {{ from: 'sim_item.{from}', to: 'sim_item.{to}' }}\n",
            items(&[
                (to.split('[').next().unwrap(), body),
                ("u", &format!("value: \"${{sim_item.{user}.id}}\""))
            ])
        )
    };
    let steps = [moved("b", "a", "value: x", "b"), moved("b[0]", "b", "value: x, count: 1", "b[0]")];
    for spec in &steps {
        let run = bench.apply(spec).ok();
        assert_eq!(run.plan, Vec::<String>::new(), "{run:#?}");
        assert!(bench.apply(spec).ok().empty);
    }
    let keyed = format!(
        "{}moved:\n  - {{ from: 'sim_item.b[0]', to: 'sim_item.b[\"k\"]' }}\n",
        items(&[("b", "value: x, for_each: { k: v }"), ("u", "value: '${sim_item.b[\"k\"].id}'")])
    );
    let run = bench.apply(&keyed).ok();
    assert_eq!(run.plan, Vec::<String>::new(), "{run:#?}");
    assert_eq!(bench.world.mutating_calls(), calls);
    bench.destroyed(None);
}

#[test]
fn ignored_changes_are_left_alone() {
    let spec = |v: &str, ignore: &str| {
        items(&[(
            "a",
            &format!(
                "value: {v}, name: {v}, tags: {{ a: {v}, b: b }}, lifecycle: {{ ignore_changes: {ignore} }}"
            ),
        )])
    };
    let mut bench = Bench::new();
    bench.apply(&spec("x", "[]")).ok();
    assert!(bench.apply(&spec("y", "all")).ok().empty);
    assert!(bench.apply(&spec("y", "[value, name, tags]")).ok().empty);
    assert!(bench.apply(&spec("y", "[value, name, tags.a]")).ok().empty);
    let run = bench.apply(&spec("y", "[value, tags]")).ok();
    assert_eq!(run.plan, ["~ sim_item.a"]);
    assert_eq!(
        bench.world.contents(),
        [
            "sim_item derived=\"derived from x\" keys=[] name=\"y\" rule=[] tags={\"a\":\"x\",\"b\":\"b\"} value=\"x\""
        ]
    );
}

#[test]
fn create_before_destroy_spreads_to_what_is_used() {
    let spec = |v: &str| {
        items(&[
            ("a", &format!("immutable: {v}")),
            ("b", "immutable: \"${sim_item.a.id}\""),
            ("c", "immutable: \"${sim_item.b.id}\", lifecycle: { create_before_destroy: true }"),
        ])
    };
    let mut bench = Bench::new();
    bench.apply(&spec("one")).ok();
    let run = bench.apply(&spec("two")).ok();
    assert_eq!(run.plan, ["+/- sim_item.a", "+/- sim_item.b", "+/- sim_item.c"]);
    bench.sound();
    assert!(bench.apply(&spec("two")).ok().empty);
    // Recorded: with the block gone a destroy is in order too.
    bench.destroyed(None);
}

#[test]
fn replacements_are_triggered() {
    let spec = |v: &str| {
        items(&[
            ("a", &format!("value: {v}, name: n")),
            ("whole", "value: x, lifecycle: { replace_triggered_by: [sim_item.a] }"),
            ("part", "value: x, lifecycle: { replace_triggered_by: [sim_item.a.name] }"),
        ])
    };
    let mut bench = Bench::new();
    bench.apply(&spec("one")).ok();
    let run = bench.apply(&spec("two")).ok();
    assert_eq!(run.plan, ["~ sim_item.a", "-/+ sim_item.whole"], "{run:#?}");
    run.in_order(&["done Update sim_item.a", "start Create sim_item.whole"]);
    assert!(bench.apply(&spec("two")).ok().empty);
}

/// An index may be the instance's own key: then only the instance of that key sets off a replacement.
#[test]
fn an_instance_is_replaced_with_that_of_its_own_key() {
    let spec = |second: &str| {
        items(&[
            ("a", &format!("for_each: {{ x: one, y: {second} }}, value: '${{each.value}}'")),
            (
                "b",
                "for_each: { x: 1, y: 1 }, value: x, lifecycle: { replace_triggered_by: ['sim_item.a[each.key].value'] }",
            ),
            ("c", &format!("count: 2, value: '${{count.index == 1 ? \"{second}\" : \"one\"}}'")),
            ("d", "count: 2, value: x, lifecycle: { replace_triggered_by: ['sim_item.c[count.index]'] }"),
        ])
    };
    let mut bench = Bench::new();
    bench.apply(&spec("one")).ok();
    let run = bench.apply(&spec("two")).ok();
    let expected = ["~ sim_item.a[\"y\"]", "-/+ sim_item.b[\"y\"]", "~ sim_item.c[1]", "-/+ sim_item.d[1]"];
    assert_eq!(run.plan, expected, "{run:#?}");
    assert!(bench.apply(&spec("two")).ok().empty);
}

#[test]
fn counts_and_keys_change() {
    let counted = |n: u32| {
        items(&[
            ("a", &format!("value: \"v${{count.index}}\", count: {n}")),
            ("u", "value: \"${length(sim_item.a)}\""),
        ])
    };
    let mut bench = Bench::new();
    bench.apply(&counted(3)).ok();
    let run = bench.apply(&counted(1)).ok();
    assert_eq!(run.plan, ["- sim_item.a[1]", "- sim_item.a[2]", "~ sim_item.u"]);
    let run = bench.apply(&counted(2)).ok();
    assert_eq!(run.plan, ["+ sim_item.a[1]", "~ sim_item.u"]);
    bench.apply(&counted(0)).ok();
    bench.sound();
    let keyed = |keys: &str| items(&[("a", &format!("value: \"${{each.value}}\", for_each: {{ {keys} }}"))]);
    bench.apply(&keyed("x: one, y: two")).ok();
    let run = bench.apply(&keyed("x: uno, z: three")).ok();
    assert_eq!(run.plan, ["~ sim_item.a[\"x\"]", "- sim_item.a[\"y\"]", "+ sim_item.a[\"z\"]"]);
    bench.sound();
    assert!(bench.apply(&keyed("x: uno, z: three")).ok().empty);
}

#[test]
fn a_deposed_object_is_deleted_by_the_next_run() {
    use groma_engine::state::store::CrashSide;
    let spec = |v: &str| {
        items(&[
            ("a", &format!("immutable: {v}, lifecycle: {{ create_before_destroy: true }}")),
            ("u", "value: \"${sim_item.a.id}\""),
        ])
    };
    let mut seen = 0;
    for at in 0..12 {
        let mut bench = Bench::new();
        bench.apply(&spec("one")).ok();
        bench.store.crash_at(at, CrashSide::After);
        let run = bench.apply(&spec("two"));
        bench.store = bench.store.reopen();
        if run.ended.is_some() {
            break;
        }
        let state = bench.state();
        let plan = bench.plan(&spec("two"));
        if state.deposed(&"sim_item.a".parse().unwrap()).next().is_some() {
            seen += 1;
            assert!(plan.changes.iter().any(|c| c.deposed.is_some()));
        }
        bench.apply(&spec("two")).ok();
        bench.sound();
        assert_eq!(bench.world.contents().len(), 2, "crash at {at}");
        assert!(bench.apply(&spec("two")).ok().empty);
        // A destroy takes it along too.
    }
    assert!(seen >= 3, "{seen}");
}
