//! `moved` and `removed` as a user meets them.

use crate::kit::Stack;
use serde_json::Value as Json;

fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn a_move_is_shown_saved_and_made_once() {
    let stack = Stack::new().file("main.yaml", "resource: {terraform_data: {a: {input: x}}}");
    stack.ok(&["apply", "-auto-approve"]);
    let new = "resource: {terraform_data: {b: {input: x}}}\nmoved: [{from: terraform_data.a, to: terraform_data.b}]";
    stack.write("main.yaml", new);
    let plan = stack.run(&["plan", "-detailed-exitcode", "-out=p.plan"]).must(2);
    plan.says(&[
        "# terraform_data.a has moved to terraform_data.b",
        "Plan: 0 to add, 0 to change, 0 to destroy.",
    ]);
    let shown: Json = serde_json::from_str(&stack.ok(&["show", "-json", "p.plan"]).stdout).expect("JSON");
    let change = &shown["resource_changes"][0];
    assert_eq!(change["previous_address"], "terraform_data.a");
    assert_eq!(
        (&change["address"], &change["change"]["actions"][0]),
        (&"terraform_data.b".into(), &"no-op".into())
    );
    let events = lines(&stack.ok(&["plan", "-json"]).stdout);
    let moved = events.iter().find(|e| e["type"] == "planned_change").expect("the move is told");
    assert_eq!(
        (&moved["change"]["action"], &moved["@message"]),
        (&"move".into(), &"terraform_data.b: Plan to move".into())
    );
    assert_eq!(moved["change"]["previous_resource"]["addr"], "terraform_data.a");
    stack.ok(&["apply", "p.plan"]).says(&["0 added, 0 changed, 0 destroyed"]);
    assert_eq!(stack.ok(&["state", "list"]).stdout, "terraform_data.b\n");
    stack.run(&["plan", "-detailed-exitcode"]).must(0).says(&["No changes."]);
}

#[test]
fn a_null_resource_becomes_a_terraform_data_and_keeps_its_id() {
    let old = "resource: {null_resource: {a: {triggers: {k: v}}}}";
    let stack = Stack::new().file("main.yaml", old);
    stack.ok(&["apply", "-auto-approve"]);
    let id = |address: &str| {
        let shown: Json =
            serde_json::from_str(&stack.ok(&["state", "show", "-json", address]).stdout).expect("JSON");
        shown
            .to_string()
            .split("\"id\":\"")
            .nth(1)
            .and_then(|t| t.split('"').next())
            .expect("an id")
            .to_string()
    };
    let before = id("null_resource.a");
    let moved = "moved: [{from: null_resource.a, to: terraform_data.a}]\n";
    stack.write(
        "main.yaml",
        &format!("{moved}resource: {{terraform_data: {{a: {{triggers_replace: {{k: v}}}}}}}}"),
    );
    stack
        .ok(&["plan"])
        .says(&["# null_resource.a has moved to terraform_data.a", "0 to add, 0 to change, 0 to destroy"]);
    stack.ok(&["plan", "-destroy"]).says(&["null_resource.a will be destroyed"]);
    stack.ok(&["apply", "-auto-approve"]);
    assert_eq!(id("terraform_data.a"), before);
    assert_eq!(stack.ok(&["state", "list"]).stdout, "terraform_data.a\n");
    stack.run(&["plan", "-detailed-exitcode"]).must(0);
    // Where the new kind takes nothing over, it is an error.
    stack.write(
        "main.yaml",
        "moved: [{from: terraform_data.a, to: random_pet.a}]\nresource: {random_pet: {a: {}}}",
    );
    stack
        .run(&["plan"])
        .must(1)
        .says(&["terraform_data can't become one of the kind random_pet", "moved block"]);
    // Where nothing declares the new address, it is removed as what it was.
    stack.write("main.yaml", "moved: [{from: terraform_data.a, to: random_pet.gone}]");
    stack.ok(&["apply", "-auto-approve"]).says(&["1 destroyed"]);
}

#[test]
fn addresses_that_cannot_stand_there_are_told_with_their_place() {
    for (spec, code) in [
        ("moved: [{from: terraform_data.a.id, to: terraform_data.b}]", "G0619"),
        ("moved: [{from: terraform_data.a, to: module.b}]", "G0619"),
        ("moved: [{from: 'module.a[0][1]', to: module.b}]", "G0619"),
        ("moved: [{from: terraform_data.a}]", "G0609"),
        ("removed: [{from: 'terraform_data.a[0]'}]", "G0619"),
        ("removed: [{from: 'module.a[0]'}]", "G0619"),
        ("removed: [{from: data.http.x}]", "G0619"),
        ("removed: [{from: terraform_data.a, lifecycle: {destroy: '${var.x}'}}]", "G0604"),
        ("moved: [{from: terraform_data.a, to: terraform_data.a}]", "G0820"),
    ] {
        let stack = Stack::new().file("main.yaml", spec);
        stack.run(&["validate"]).must(1).says(&[code, "main.yaml:1:"]);
    }
}
