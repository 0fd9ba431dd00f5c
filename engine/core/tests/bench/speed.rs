//! Planning grows with the stack and not with its square. Ratios of times are no test, so these only have to end: a
//! quadratic step over so many instances would not, in the time that the everyday run has.

use crate::support::Bench;
use std::fmt::Write;

/// Instances of one block over a local map, another block that picks each by its key, and blocks of one instance.
fn wide(instances: usize, blocks: usize, immutable: &str) -> String {
    let mut spec = String::from("locals:\n  all:\n");
    for i in 0..instances {
        writeln!(spec, "    k{i}: v{i}").unwrap();
    }
    spec.push_str("resource:\n  sim_item:\n");
    writeln!(spec, "    a:\n      for_each: ${{local.all}}\n      value: ${{each.value}}").unwrap();
    writeln!(spec, "      immutable: {immutable}\n      lifecycle: {{ create_before_destroy: true }}")
        .unwrap();
    writeln!(spec, "    u:\n      for_each: ${{local.all}}\n      value: ${{sim_item.a[each.key].id}}")
        .unwrap();
    for i in 0..blocks {
        writeln!(spec, "    b{i}: {{ value: x, immutable: {immutable} }}").unwrap();
    }
    spec
}

#[test]
#[ignore = "slow tier: a minute, most of it in the simulated world"]
fn two_thousand_instances_live() {
    let mut bench = Bench::new();
    let clock = std::time::Instant::now();
    let spec = wide(1000, 500, "one");
    println!("made {:?}", clock.elapsed());
    assert_eq!(bench.plan(&spec).changes.len(), 2500);
    println!("planned {:?}", clock.elapsed());
    bench.apply(&spec).ok();
    println!("applied {:?}", clock.elapsed());
    assert!(bench.apply(&spec).ok().empty);
    println!("nothing {:?}", clock.elapsed());
    bench.apply(&wide(1000, 500, "two")).ok();
    println!("replaced {:?}", clock.elapsed());
    bench.destroyed(None);
    println!("destroyed {:?}", clock.elapsed());
}
