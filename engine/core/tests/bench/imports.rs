//! `import` blocks: what they find, when they wait, and what they never adopt.

use crate::support::*;
use groma_engine::facade::{ApproveDeferred, Ended};

/// A world with objects that no state knows, and their ids by value.
fn orphans(values: &[&str]) -> (Bench, Vec<String>) {
    let mut bench = Bench::new();
    let blocks: Vec<String> = values.iter().map(|v| format!("{v}: {{ value: {v}, name: {v} }}")).collect();
    let all = format!("resource: {{ sim_item: {{ {} }} }}\n", blocks.join(", "));
    bench.apply(&all).ok();
    let gone: Vec<String> =
        values.iter().map(|v| format!("{{ from: sim_item.{v}, lifecycle: {{ destroy: false }} }}")).collect();
    bench.apply(&format!("removed: [{}]", gone.join(", "))).ok();
    assert!(bench.state().objects.is_empty());
    let objects = bench.world.of_kind("sim_item");
    let id =
        |v: &&str| objects.iter().find(|o| o.attributes.str_attr("value") == Some(v)).unwrap().id.clone();
    let ids = values.iter().map(id).collect();
    (bench, ids)
}

fn imports(bench: &Bench, spec: &str) -> (usize, Vec<String>) {
    let plan = bench.plan(spec);
    (plan.counts().import, changes(&plan))
}

#[test]
fn an_object_is_imported_and_changed_in_one_plan() {
    let (mut bench, ids) = orphans(&["x", "y"]);
    let calls = bench.world.mutating_calls();
    let spec = format!(
        "resource: {{ sim_item: {{ a: {{ value: x, name: x }}, b: {{ value: z, name: y }}, u: {{ value: '${{sim_item.a.id}}' }} }} }}
import:
  - {{ to: sim_item.a, id: {} }}
  - {{ to: sim_item.b, id: {} }}
",
        ids[0], ids[1]
    );
    assert_eq!(imports(&bench, &spec), (2, vec!["~ sim_item.b".into(), "+ sim_item.u".into()]));
    bench.apply(&spec).ok();
    bench.sound();
    assert_eq!(bench.world.mutating_calls(), calls + 2, "one update and one creation");
    assert!(
        bench
            .state()
            .objects
            .values()
            .filter(|o| !o.address.to_string().ends_with('u'))
            .all(|o| o.owner_mark.is_none())
    );
    let user = bench.state().at(&"sim_item.u".parse().unwrap()).cloned().unwrap();
    assert_eq!(user.dependencies.len(), 1, "{user:#?}");
    // What is in the state is imported no more, whatever the id says now.
    assert!(bench.apply(&spec).ok().empty);
    assert!(bench.apply(&spec.replace(&ids[0], "another")).ok().empty);
    bench.destroyed(Some(&spec));
}

#[test]
fn an_imported_object_that_must_be_replaced_is_deleted_once_and_made_once() {
    for first in [false, true] {
        let (mut bench, ids) = orphans(&["x"]);
        let spec = format!(
            "resource: {{ sim_item: {{ a: {{ value: x, immutable: new, lifecycle: {{ create_before_destroy: {first} }} }} }} }}
import: [{{ to: sim_item.a, id: {} }}]
",
            ids[0]
        );
        let sign = if first { "+/-" } else { "-/+" };
        assert_eq!(imports(&bench, &spec), (1, vec![format!("{sign} sim_item.a")]));
        bench.apply(&spec).ok();
        bench.sound();
        let left = bench.world.of_kind("sim_item");
        assert_eq!(left.len(), 1);
        assert_ne!(left[0].id, ids[0]);
        // The import is of an object that is gone; the address has another one.
        assert!(bench.apply(&spec).ok().empty);
    }
}

#[test]
fn keys_and_modules_are_addressed_by_expressions() {
    let (mut bench, ids) = orphans(&["x", "y", "z"]);
    let spec = format!(
        "locals: {{ ids: {{ x: {}, y: {} }} }}
module: {{ m: {{ source: ./m, for_each: {{ k: 1 }} }} }}
resource: {{ sim_item: {{ a: {{ for_each: '${{local.ids}}', value: '${{each.key}}', name: '${{each.key}}' }} }} }}
import:
  - {{ for_each: '${{local.ids}}', to: 'sim_item.a[each.key]', id: '${{each.value}}' }}
  - {{ to: 'module.m[\"k\"].sim_item.b[0]', id: {} }}
--- file: m/main.yaml
resource: {{ sim_item: {{ b: {{ count: 1, value: z, name: z }} }} }}
",
        ids[0], ids[1], ids[2]
    );
    let calls = bench.world.mutating_calls();
    assert_eq!(imports(&bench, &spec), (3, vec![]));
    bench.apply(&spec).ok();
    assert_eq!(bench.world.mutating_calls(), calls, "an import changes nothing");
    bench.sound();
    assert!(bench.apply(&spec).ok().empty);
    bench.destroyed(None);
}

#[test]
fn an_import_waits_for_its_id_and_for_its_provider() {
    for is_late in [["${terraform_data.t.output.id}", "main"], ["ID", "${terraform_data.t.output.account}"]] {
        let mut bench = Bench::new();
        let account = "provider: { sim: { account: main } }\n";
        bench.apply(&format!("{account}resource: {{ sim_item: {{ x: {{ value: x, name: x }} }} }}")).ok();
        let forget = "removed: [{ from: sim_item.x, lifecycle: { destroy: false } }]";
        bench.apply(&format!("{account}{forget}")).ok();
        let own = bench.world.of_kind("sim_item")[0].id.clone();
        let [id, account] = is_late.map(|text| text.replace("ID", &own));
        let spec = format!(
            "provider: {{ sim: {{ account: '{account}' }} }}
resource:
  terraform_data: {{ t: {{ input: {{ id: {own}, account: main }} }} }}
  sim_item: {{ a: {{ value: y, name: x }}, u: {{ value: '${{sim_item.a.id}}' }} }}
import: [{{ to: sim_item.a, id: '{id}' }}]
"
        );
        let plan = bench.plan(&spec);
        assert_eq!(plan.counts().import, 1, "{id}: {:#?}", texts(&plan.diagnostics));
        assert!(plan.changes.iter().any(|c| c.import.is_some() && c.is_deferred()), "{id}: {plan:#?}");
        bench.approve = ApproveDeferred::None;
        assert_eq!(bench.apply(&spec).ended, Some(Ended::Held), "{id}");
        assert!(bench.state().at(&"sim_item.a".parse().unwrap()).is_none(), "{id}");
        bench.approve = ApproveDeferred::default();
        bench.apply(&spec).ok();
        assert_eq!(bench.world.of_kind("sim_item").len(), 2, "{id}: nothing is made beside it");
        assert!(bench.apply(&spec).ok().empty, "{id}");
        bench.destroyed(Some(&spec));
    }
}

#[test]
fn imports_that_cannot_be_made_are_errors_and_nothing_is_made() {
    let (mut bench, ids) = orphans(&["x"]);
    let id = &ids[0];
    let a =
        "resource: { sim_item: { a: { value: x }, b: { value: x }, k: { for_each: { x: 1 }, value: x } } }\n";
    for (import, code) in [
        ("{ to: sim_item.a, id: nowhere }".to_string(), "G1072"),
        (format!("{{ to: sim_item.none, id: {id} }}"), "G0822"),
        (format!("{{ to: 'sim_item.k[\"y\"]', id: {id} }}"), "G0822"),
        (format!("{{ to: sim_item.a, id: {id} }}, {{ to: sim_item.a, id: {id} }}"), "G0822"),
        ("{ to: sim_item.a, id: '' }".to_string(), "G0822"),
        (format!("{{ to: 'sim_item.k[sim_item.a.id]', id: {id} }}"), "G0822"),
        (format!("{{ to: sim_item.a, id: {id}, provider: sim.other }}"), "G0822"),
    ] {
        let run = bench.apply(&format!("{a}import: [{import}]"));
        assert_eq!(run.ended, Some(Ended::Failed), "{import}");
        assert!(run.diagnostics.iter().any(|d| d.starts_with(code)), "{import}: {run:#?}");
    }
    assert_eq!((bench.world.of_kind("sim_item").len(), bench.state().objects.len()), (1, 0));
}

#[test]
fn an_object_that_the_state_holds_is_never_adopted_by_another_address() {
    let host = |extra: &str| format!("resource: {{ sim_host: {{ h: {{ name: h }}{extra} }} }}\n");
    let mut bench = Bench::new();
    bench.apply(&host("")).ok();
    let id = bench.world.of_kind("sim_host")[0].id.clone();
    let spec = format!("{}import: [{{ to: sim_host.other, id: {id} }}]", host(", other: { name: h }"));
    let run = bench.apply(&spec);
    assert!(run.diagnostics.iter().any(|d| d.starts_with("G1069") && d.contains("sim_host.h")), "{run:#?}");
    bench.sound();
}

#[test]
fn an_import_that_is_cut_off_is_made_by_the_next_run() {
    let (mut bench, ids) = orphans(&["x"]);
    let spec = format!(
        "resource: {{ sim_item: {{ a: {{ value: y, name: x }} }} }}\nimport: [{{ to: sim_item.a, id: {} }}]",
        ids[0]
    );
    bench.world.fail("sim_item", groma_provider_sim::Op::Update, 0, groma_provider::ErrorKind::Unavailable);
    bench.apply(&spec);
    // The record of the import came before the call that failed.
    assert_eq!(bench.state().objects.len(), 1);
    bench.converges(&spec);
    bench.destroyed(Some(&spec));
}
