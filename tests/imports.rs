//! `import` blocks, `groma import`, `taint` and `untaint`, as a user meets them.

use crate::kit::Stack;
use serde_json::Value as Json;

const SPEC: &str = "resource: {terraform_data: {imp: {input: 5}}, random_uuid: {u: {}}}
import:
  - {to: terraform_data.imp, id: some-id}
  - {to: random_uuid.u, id: aabbccdd-eeff-0011-2233-445566778899}
";

#[test]
fn what_is_imported_is_shown_counted_saved_and_recorded() {
    let stack = Stack::new().file("main.yaml", SPEC);
    stack.run(&["plan", "-detailed-exitcode", "-out=p.plan"]).must(2).says(&[
        "# random_uuid.u will be imported",
        "# (imported from \"aabbccdd-eeff-0011-2233-445566778899\")",
        "# terraform_data.imp will be updated in place",
        "Plan: 2 to import, 0 to add, 1 to change, 0 to destroy.",
    ]);
    let shown: Json = serde_json::from_str(&stack.ok(&["show", "-json", "p.plan"]).stdout).expect("JSON");
    let changes = shown["resource_changes"].as_array().expect("a list");
    let imp = changes.iter().find(|c| c["address"] == "terraform_data.imp").expect("it is there");
    assert_eq!(imp["change"]["importing"], serde_json::json!({ "id": "some-id" }));
    assert_eq!(
        (&imp["change"]["actions"][0], &imp["change"]["before"]["id"]),
        (&"update".into(), &"some-id".into())
    );
    let events = stack.ok(&["plan", "-json"]).stdout;
    let events: Vec<Json> = events.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let told: Vec<&Json> =
        events.iter().filter(|e| e["type"] == "planned_change").map(|e| &e["change"]).collect();
    assert_eq!(told.iter().map(|c| &c["action"]).collect::<Vec<_>>(), ["import", "update"]);
    assert!(told.iter().all(|c| c["importing"]["id"].is_string()));
    let summary = events.iter().find(|e| e["type"] == "change_summary").expect("the counts");
    assert_eq!((&summary["changes"]["import"], &summary["changes"]["change"]), (&2.into(), &1.into()));
    stack.ok(&["apply", "p.plan"]).says(&["Resources: 2 imported, 0 added, 1 changed, 0 destroyed."]);
    assert_eq!(stack.ok(&["state", "list"]).stdout, "random_uuid.u\nterraform_data.imp\n");
    stack.run(&["plan", "-detailed-exitcode"]).must(0).says(&["No changes."]);
}

#[test]
fn an_import_by_command_needs_its_block_and_a_free_address() {
    let stack = Stack::new()
        .file("main.yaml", "resource: {random_uuid: {u: {}}, terraform_data: {k: {for_each: {a: 1}}}}");
    let id = "aabbccdd-eeff-0011-2233-445566778899";
    stack.run(&["import", "random_uuid.none", id]).must(1).says(&["G1062"]);
    stack.run(&["import", "terraform_data.k[\"b\"]", id]).must(1).says(&["G0822", "no such instance"]);
    stack.run(&["import", "random_uuid.u", "none"]).must(1).says(&["not a UUID"]);
    assert_eq!(stack.ok(&["state", "list"]).stdout, "");
    stack.ok(&["import", "random_uuid.u", id]).says(&["random_uuid.u: imported"]);
    stack.ok(&["import", "terraform_data.k[\"a\"]", "x"]);
    stack.run(&["import", "random_uuid.u", id]).must(1).says(&["G2060"]);
    stack.run(&["plan", "-detailed-exitcode"]).must(0);
    stack.ok(&["destroy", "-auto-approve"]).says(&["2 destroyed"]);
}

#[test]
fn blocks_are_generated_for_imports_that_have_none() {
    let id = "aabbccdd-eeff-0011-2233-445566778899";
    let imports =
        format!("import: [{{to: random_uuid.u, id: {id}}}, {{to: 'terraform_data.k[\"a\"]', id: x}}]\n");
    let stack = Stack::new().file("main.yaml", &imports);
    // Blocks with keys, and those of modules, are the user's to write, as in Terraform.
    stack.run(&["plan", "-generate-config-out=new.tf"]).must(1).says(&["G0822", "terraform_data.k[\"a\"]"]);
    assert!(!stack.path().join("new.tf").exists());
    stack.write("main.yaml", &format!("import: {{to: random_uuid.u, id: {id}, provider: random}}\n"));
    for (file, why) in [
        ("main.yaml", "there already"),
        ("new.txt", "no file of a spec"),
        ("new.vars.yaml", "no file of a spec"),
        (".new.tf", "no file of a spec"),
        ("../new.tf", "not in the stack's folder"),
    ] {
        stack.run(&["plan", &format!("-generate-config-out={file}")]).must(1).says(&["G2053", why]);
    }
    let flag = "-generate-config-out=new.tf";
    stack
        .run(&["plan", flag, "-detailed-exitcode"])
        .must(2)
        .says(&["new.tf is written", "Plan: 1 to import, 0 to add"]);
    let written = std::fs::read_to_string(stack.path().join("new.tf")).expect("written");
    assert!(written.contains("resource \"random_uuid\" \"u\" {\n  provider = random\n}\n"), "{written}");
    stack.ok(&["apply", "-auto-approve"]).says(&["1 imported, 0 added, 0 changed"]);
    // Where every import has its block there is nothing to write.
    stack.ok(&["plan", "-generate-config-out=more.tf"]).says(&["No changes"]).says_not(&["is written"]);
    assert!(!stack.path().join("more.tf").exists());
    let none = Stack::new().file("main.yaml", "import: {to: random_uuid.u, id: none}\n");
    none.run(&["plan", flag]).must(1).says(&["not a UUID"]);
    assert!(!none.path().join("new.tf").exists());
}

#[test]
fn a_taint_replaces_and_can_be_taken_back() {
    let stack = Stack::new().file("main.yaml", "resource: {terraform_data: {a: {input: x}}}");
    stack.ok(&["apply", "-auto-approve"]);
    stack.ok(&["taint", "terraform_data.a"]).says(&["the next apply replaces it"]);
    stack.ok(&["plan"]).says(&["1 to add, 0 to change, 1 to destroy", "tainted"]);
    stack.ok(&["untaint", "terraform_data.a"]);
    stack.run(&["plan", "-detailed-exitcode"]).must(0);
    stack.run(&["untaint", "terraform_data.a"]).must(1).says(&["G2022"]);
    stack.run(&["taint", "terraform_data.b"]).must(1).says(&["G2022"]);
    stack.ok(&["taint", "-allow-missing", "terraform_data.b"]);
    stack.ok(&["plan", "-replace=terraform_data.a"]).says(&["asked for by -replace"]);
}

#[test]
fn import_blocks_stand_in_the_root_and_name_resources() {
    let stack = Stack::new()
        .file("main.yaml", "module: {m: {source: ./m}}")
        .file("m/main.yaml", "resource: {terraform_data: {a: {}}}\nimport: [{to: terraform_data.a, id: x}]");
    stack.run(&["validate"]).must(1).says(&["G0822", "root"]);
    for to in ["data.http.x", "module.m", "terraform_data.a.id"] {
        let stack = Stack::new().file("main.yaml", &format!("import: [{{to: \"{to}\", id: x}}]"));
        stack.run(&["validate"]).must(1).says(&["G0619", "main.yaml:1:"]);
    }
}
