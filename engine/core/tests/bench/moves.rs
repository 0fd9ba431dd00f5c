//! `moved` and `removed`. What each case expects is what Terraform 1.11.4 answers to the same with `terraform_data`.

use super::support::*;
use groma_engine::config::check as spec_check;
use groma_engine::facade::Ended;

/// A spec whose moved blocks are `FROM>TO`, and module `x` beside it.
fn spec(blocks: &str, moves: &[&str], module: &str) -> String {
    let pair = |m: &&str| {
        let (from, to) = m.split_once('>').unwrap();
        format!("  - {{ from: '{from}', to: '{to}' }}\n")
    };
    let moved: String = moves.iter().map(pair).collect();
    let moved = if moved.is_empty() { moved } else { format!("moved:\n{moved}") };
    format!("{blocks}\n{moved}--- file: x/main.yaml\nresource: {{ {module} }}\n")
}

const R: &str = "sim_item: { r: { value: x } }";

/// From a world to another: what moves (`new<old`), and what else changes.
#[track_caller]
fn check(before: &str, after: &str, moves: &[&str], modules: (&str, &str), expected: &[&str]) {
    let mut bench = Bench::new();
    bench.apply(&spec(before, &[], modules.0)).ok();
    let calls = bench.world.mutating_calls();
    let new = spec(after, moves, modules.1);
    let plan = bench.plan(&new);
    let mut shown: Vec<String> = plan.moved.iter().map(|(to, from)| format!("{to}<{from}")).collect();
    shown.extend(changes(&plan));
    assert_eq!(shown, expected, "{:#?}", texts(&plan.diagnostics));
    assert!(!plan.is_empty());
    let changing = changes(&plan).len();
    let old = bench.state();
    bench.apply(&new).ok();
    if changing == 0 {
        assert_eq!(bench.world.mutating_calls(), calls, "a move touches nothing");
        let ids = |s: &groma_engine::state::State| s.objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(ids(&old), ids(&bench.state()));
    }
    bench.sound();
    assert!(bench.apply(&new).ok().empty, "a move that was made moves nothing");
    bench.destroyed(Some(&new));
}

#[test]
fn resources_and_instances_move() {
    let one = |body: &str| format!("resource: {{ sim_item: {{ {body} }} }}");
    let a = one("a: { value: x }");
    let count = |name: &str, n: u8| one(&format!("{name}: {{ value: x, count: {n} }}"));
    let each = |name: &str, key: &str| one(&format!("{name}: {{ value: x, for_each: {{ {key}: 1 }} }}"));
    let i = "sim_item";
    let mv = |pairs: &[(&str, &str)]| -> Vec<String> {
        pairs.iter().map(|(f, t)| format!("{i}.{f}>{i}.{t}")).collect()
    };
    let cases: Vec<(String, String, Vec<String>, Vec<&str>)> = vec![
        (a.clone(), one("c: { value: x }"), mv(&[("b", "c"), ("a", "b")]), vec!["sim_item.c<sim_item.a"]),
        (a.clone(), one("c: { value: x }"), mv(&[("a", "c"), ("a", "c")]), vec!["sim_item.c<sim_item.a"]),
        (a.clone(), count("a", 1), vec![], vec!["sim_item.a[0]<sim_item.a"]),
        (count("a", 2), a.clone(), vec![], vec!["sim_item.a<sim_item.a[0]", "- sim_item.a[1]"]),
        (a.clone(), count("a", 2), mv(&[("a", "a[1]")]), vec!["sim_item.a[1]<sim_item.a", "+ sim_item.a[0]"]),
        (a.clone(), each("a", "z"), mv(&[("a", "a[\"z\"]")]), vec!["sim_item.a[\"z\"]<sim_item.a"]),
        (
            each("a", "x"),
            each("a", "z"),
            mv(&[("a[\"x\"]", "a[\"z\"]")]),
            vec!["sim_item.a[\"z\"]<sim_item.a[\"x\"]"],
        ),
        (each("a", "z"), a.clone(), mv(&[("a[\"z\"]", "a")]), vec!["sim_item.a<sim_item.a[\"z\"]"]),
        (
            count("a", 2),
            count("b", 2),
            mv(&[("a", "b")]),
            vec!["sim_item.b[0]<sim_item.a[0]", "sim_item.b[1]<sim_item.a[1]"],
        ),
        (
            count("a", 2),
            one("b: { value: x, count: 1 }, c: { value: x }"),
            mv(&[("a", "b"), ("a[1]", "c")]),
            vec!["sim_item.b[0]<sim_item.a[0]", "sim_item.c<sim_item.a[1]"],
        ),
        (a.clone(), one("b: { value: y }"), mv(&[("a", "b")]), vec!["sim_item.b<sim_item.a", "~ sim_item.b"]),
        (
            a.clone(),
            one("c: { value: x }"),
            mv(&[("a", "nope")]),
            vec!["sim_item.nope<sim_item.a", "+ sim_item.c", "- sim_item.nope"],
        ),
        (a, count("a", 0), vec![], vec!["sim_item.a[0]<sim_item.a", "- sim_item.a[0]"]),
    ];
    for (before, after, moves, expected) in cases {
        let moves: Vec<&str> = moves.iter().map(String::as_str).collect();
        check(&before, &after, &moves, (R, R), &expected);
    }
}

#[test]
fn modules_move_with_all_that_is_in_them() {
    let call = |body: &str| format!("module: {{ {body} }}");
    let (a, b) = (call("a: { source: ./x }"), call("b: { source: ./x }"));
    let two = "sim_item: { r: { value: x }, q: { value: x } }";
    let root = "resource: { sim_item: { r: { value: x } } }";
    check(&a, &b, &["module.a>module.b"], (R, R), &["module.b.sim_item.r<module.a.sim_item.r"]);
    check(
        &call("a: { source: ./x, count: 2 }"),
        &call("b: { source: ./x, count: 2 }"),
        &["module.a>module.b"],
        (R, R),
        &["module.b[0].sim_item.r<module.a[0].sim_item.r", "module.b[1].sim_item.r<module.a[1].sim_item.r"],
    );
    check(
        &call("a: { source: ./x, count: 1 }"),
        &call("b: { source: ./x, for_each: { k: 1 } }"),
        &["module.a[0]>module.b[\"k\"]"],
        (R, R),
        &["module.b[\"k\"].sim_item.r<module.a[0].sim_item.r"],
    );
    check(root, &b, &["sim_item.r>module.b.sim_item.r"], (R, R), &["module.b.sim_item.r<sim_item.r"]);
    check(&b, root, &["module.b.sim_item.r>sim_item.r"], (R, R), &["sim_item.r<module.b.sim_item.r"]);
    // A chain through a module, and an exception from a module's move.
    let s = "sim_item: { s: { value: x } }";
    check(
        &a,
        &b,
        &["module.a>module.b", "module.b.sim_item.r>module.b.sim_item.s"],
        (R, s),
        &["module.b.sim_item.s<module.a.sim_item.r"],
    );
    check(
        &a,
        &format!("{b}\nresource: {{ sim_item: {{ s: {{ value: x }} }} }}"),
        &["module.a>module.b", "module.a.sim_item.r>sim_item.s"],
        (two, "sim_item: { q: { value: x } }"),
        &["sim_item.s<module.a.sim_item.r", "module.b.sim_item.q<module.a.sim_item.q"],
    );
    // What a module says holds in each of its instances.
    check(
        &call("a: { source: ./x, count: 2 }"),
        &call("a: { source: ./x, count: 2 }"),
        &[],
        (
            R,
            "sim_item: { s: { value: x } } }\nmoved: [{ from: sim_item.r, to: sim_item.s }]\nlocals: { none: 1",
        ),
        &["module.a[0].sim_item.s<module.a[0].sim_item.r", "module.a[1].sim_item.s<module.a[1].sim_item.r"],
    );
    // A module's own key changes only where it is told.
    let expected = ["- module.a.sim_item.r", "+ module.a[0].sim_item.r"];
    check(&a, &call("a: { source: ./x, count: 1 }"), &[], (R, R), &expected);
}

#[test]
fn an_object_whose_place_is_taken_stays() {
    let both = "resource: { sim_item: { a: { value: x }, b: { value: y } } }";
    let mut bench = Bench::new();
    bench.apply(both).ok();
    let new = "resource: { sim_item: { b: { value: y } } }\nmoved: [{ from: sim_item.a, to: sim_item.b }]";
    let run = bench.apply(new).ok();
    assert_eq!(run.plan, ["- sim_item.a"]);
    assert!(
        run.diagnostics.iter().any(|d| d.starts_with("G1067") && d.contains("sim_item.a → sim_item.b")),
        "{run:#?}"
    );
    bench.sound();

    // A module moves as a whole or not at all.
    let mut bench = Bench::new();
    let calls = "module: { a: { source: ./x }, b: { source: ./y } }\n--- file: y/main.yaml\nresource: { sim_item: { q: { value: x } } }\n--- file: x/main.yaml\nresource: { sim_item: { r: { value: x } } }\n";
    bench.apply(calls).ok();
    let new = "module: { b: { source: ./y } }\nmoved: [{ from: module.a, to: module.b }]\n--- file: y/main.yaml\nresource: { sim_item: { q: { value: x }, r: { value: x } } }\n";
    assert_eq!(bench.apply(new).ok().plan, ["- module.a.sim_item.r", "+ module.b.sim_item.r"]);
}

#[test]
fn moves_that_contradict_something_are_errors() {
    let blocks =
        "resource: { sim_item: { b: { value: x }, c: { value: x }, d: { value: x, for_each: { x: 1 } } } }";
    for (moves, code) in [
        (&["sim_item.a>sim_item.b", "sim_item.a>sim_item.c"][..], "G0820"),
        (&["sim_item.a>sim_item.b", "sim_item.z>sim_item.b"], "G0820"),
        (&["sim_item.a>sim_item.a"], "G0820"),
        (&["sim_item.a>sim_item.z", "sim_item.z>sim_item.a"], "G0820"),
        (&["module.a>module.b", "module.a.sim_item.r>module.b.sim_item.s"], "G0820"),
        (&["sim_item.b>sim_item.a"], "G0821"),
        (&["sim_item.b>sim_item.c", "sim_item.c>sim_item.b"], "G0820"),
        (&["sim_item.d[\"x\"]>sim_item.b"], "G0821"),
    ] {
        let text = spec(blocks, moves, R);
        let mut found = texts(&spec_check::check(&parse(&text), &Bench::new().host().registry));
        if found.is_empty() {
            let run = Bench::new().apply(&text);
            assert_eq!(run.ended, Some(Ended::Failed), "{moves:?}");
            found = run.diagnostics;
        }
        assert!(found.iter().any(|d| d.starts_with(code)), "{moves:?}: {found:#?}");
    }
}

#[test]
fn removed_blocks_forget_or_destroy_and_contradict_nothing() {
    let all = "module: { a: { source: ./x, count: 2 } }\nresource: { sim_item: { k: { value: x } } }\n--- file: x/main.yaml\nresource: { sim_item: { r: { value: x, lifecycle: { prevent_destroy: true } }, q: { value: x } } }\n";
    let inner = "--- file: x/main.yaml\nresource: { sim_item: { q: { value: x } } }\n";
    let calls = "module: { a: { source: ./x, count: 2 } }\n";
    let k = "resource: { sim_item: { k: { value: x } } }\n";
    let keep = |from: &str| format!("removed: [{{ from: {from}, lifecycle: {{ destroy: false }} }}]\n");
    let drop = |from: &str| format!("removed: [{{ from: {from} }}]\n");
    for (new, expected) in [
        (format!("{k}{}", keep("module.a")), "...."),
        (format!("{k}{}", drop("module.a")), "----"),
        (format!("{k}{calls}{}{inner}", keep("module.a.sim_item.r")), ".."),
        (format!("{k}{calls}{}{inner}", drop("module.a.sim_item.r")), "--"),
        (format!("{k}{calls}{inner}{}", keep("sim_item.r")), ".."),
        // Where two name an object, the one that keeps it wins.
        (
            format!(
                "{k}removed: [{{ from: module.a }}, {{ from: module.a.sim_item.r, lifecycle: {{ destroy: false }} }}]"
            ),
            "-.-.",
        ),
    ] {
        let mut bench = Bench::new();
        bench.apply(all).ok();
        let run = bench.apply(&new).ok();
        let signs: String = run.plan.iter().map(|line| &line[..1]).collect();
        assert_eq!(signs, expected, "{new}\n{run:#?}");
        let left = bench.world.contents().len();
        assert_eq!(left, 5 - expected.matches('-').count(), "{new}");
        assert!(bench.apply(&new).ok().empty, "{new}");
    }
    // Without a removed block what was recorded protects.
    let mut bench = Bench::new();
    bench.apply(all).ok();
    assert_eq!(bench.apply(k).ended, Some(Ended::Failed));
    for from in ["module.a", "module.a.sim_item.r", "sim_item.k"] {
        let found =
            texts(&spec_check::check(&parse(&format!("{}{all}", drop(from))), &bench.host().registry));
        assert!(found.iter().any(|d| d.starts_with("G0821")), "{from}: {found:#?}");
    }
}
