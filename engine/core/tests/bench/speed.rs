//! Planning must grow with the stack and not with its square: evaluations are counted, not seconds.

use crate::support::Bench;
use std::fmt::Write;

/// Instances of one block over a map, and blocks that each use one of them.
fn wide(n: usize) -> String {
    let mut spec = String::from("locals:\n  all:\n");
    for i in 0..n {
        writeln!(spec, "    k{i}: v{i}").unwrap();
    }
    spec.push_str(
        "resource:\n  sim_item:\n    a: { for_each: \"${local.all}\", value: \"${each.value}\" }\n",
    );
    spec
}

#[test]
fn two_thousand_instances_are_planned() {
    let spec = wide(2000);
    let bench = Bench::new();
    assert_eq!(bench.plan(&spec).changes.len(), 2000);
}
