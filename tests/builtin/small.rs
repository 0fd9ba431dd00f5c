//! random, null, local and time.

use super::{APPLY, DESTROY};
use crate::kit::Stack;
use serde_json::json;

const RANDOM: &str = r#"
variable:
  keeper: { type: string, default: one }
resource:
  random_id: { it: { byte_length: 4, prefix: "p-", keepers: { k: "${var.keeper}" } } }
  random_string: { it: { length: 12, special: false, keepers: { k: "${var.keeper}" } } }
  random_password: { it: { length: 20, min_numeric: 3, override_special: "_%" } }
  random_integer: { it: { min: 10, max: 12, seed: s } }
  random_pet: { it: { length: 3, prefix: pre } }
  random_shuffle: { it: { input: [a, b, c], result_count: 5 } }
  random_uuid: { it: {} }
  random_uuid7: { it: {} }
  random_bytes: { it: { length: 8 } }
output:
  id: { value: "${random_id.it}" }
  string: { value: "${random_string.it.result}" }
  password: { value: "${random_password.it.result}", sensitive: true }
  integer: { value: "${random_integer.it.result}" }
  pet: { value: "${random_pet.it.id}" }
  shuffle: { value: "${random_shuffle.it.result}" }
  uuid: { value: "${random_uuid.it.result}" }
"#;

#[test]
fn what_is_drawn_is_kept_until_a_keeper_changes() {
    let stack = Stack::new().file("main.yaml", RANDOM);
    stack.ok(&["plan"]).says(&["Plan: 9 to add, 0 to change, 0 to destroy."]);
    let said = stack.settle().all();
    let password = stack.text("password");
    assert_eq!(password.chars().count(), 20);
    assert!(password.chars().filter(char::is_ascii_digit).count() >= 3, "{password}");
    assert!(!said.contains(&password), "a password is shown");
    stack.ok(&["show"]).says_not(&[&password, "$2a$10$"]);
    let id = stack.output("id");
    let hex = id["hex"].as_str().unwrap();
    let number = u32::from_str_radix(&hex[2..], 16).expect("hexadecimal after the prefix");
    assert_eq!(id["dec"], json!(format!("p-{number}")));
    assert!((10..=12).contains(&stack.output("integer").as_i64().unwrap()));
    assert_eq!(stack.text("pet").split('-').count(), 4);
    assert_eq!(stack.output("shuffle").as_array().unwrap().len(), 5);
    let (string, uuid) = (stack.text("string"), stack.text("uuid"));
    assert!(string.len() == 12 && string.chars().all(char::is_alphanumeric), "{string}");

    stack.ok(&["apply", "-auto-approve", "-var", "keeper=two"]).says(&["2 added, 0 changed, 2 destroyed"]);
    assert_ne!(stack.text("string"), string);
    assert_eq!((stack.text("uuid"), stack.text("password")), (uuid, password));
    stack.ok(DESTROY).says(&["9 destroyed"]);
    stack.ok(DESTROY).says(&["0 destroyed"]);
}

#[test]
fn bad_arguments_of_random_are_told_with_their_place() {
    let check = |body: &str, words: &[&str]| {
        let stack = Stack::new().file("main.yaml", &format!("resource:\n  {body}\n"));
        stack.run(&["plan"]).must(1).says(words).says(&["main.yaml:2:"]);
    };
    check("random_string: { it: { length: 2, min_upper: 3 } }", &["length must be at least", "= 3, got 2"]);
    check("random_string: { it: { length: 0 } }", &["length must be at least 1"]);
    check("random_password: { it: { length: 1.5 } }", &["whole number"]);
    check("random_integer: { it: { min: 3, max: 2 } }", &["min must not be greater than max"]);
    check("random_id: { it: { byte_length: 4, byte_size: 3 } }", &["byte_size", "byte_length"]);
    let off = "upper: false, lower: false, numeric: false, special: false";
    check(&format!("random_string: {{ it: {{ length: 4, {off} }} }}"), &["at least one of upper"]);
}

#[test]
fn unknown_arguments_plan_and_older_names_stand_for_newer_ones() {
    let stack = Stack::new().file(
        "main.yaml",
        r#"
resource:
  random_integer: { n: { min: 8, max: 9 } }
  random_password:
    it: { length: "${random_integer.n.result}", number: false }
output:
  numeric: { value: "${random_password.it.numeric}" }
  length: { value: "${nonsensitive(length(random_password.it.result))}" }
"#,
    );
    stack.ok(&["plan"]).says(&["(known after apply)"]);
    stack.settle();
    assert_eq!(stack.output("numeric"), json!(false));
    assert!([8, 9].contains(&stack.output("length").as_i64().unwrap()));
}

#[test]
fn null_resources_are_replaced_by_their_triggers() {
    let spec = |trigger: &str| {
        format!(
            "resource:\n  null_resource: {{ it: {{ triggers: {{ t: {trigger} }} }} }}\n\
             data:\n  null_data_source: {{ it: {{ inputs: {{ a: b }} }} }}\n\
             output:\n  id: {{ value: \"${{null_resource.it.id}}\" }}\n\
             \x20 copied: {{ value: \"${{data.null_data_source.it.outputs.a}}\" }}\n\
             \x20 default: {{ value: \"${{data.null_data_source.it.has_computed_default}}\" }}\n"
        )
    };
    let stack = Stack::new().file("main.yaml", &spec("one"));
    stack.settle();
    let id = stack.text("id");
    assert_eq!((stack.text("copied"), stack.text("default")), ("b".into(), "default".into()));
    stack.write("main.yaml", &spec("two"));
    stack.ok(APPLY).says(&["1 added, 0 changed, 1 destroyed"]);
    assert_ne!(stack.text("id"), id);
}

const FILES: &str = r#"
variable:
  content: { type: string, default: "one" }
  mode: { type: string, default: "0640" }
resource:
  local_file:
    it: { filename: out/deep/it.txt, content: "${var.content}", file_permission: "${var.mode}" }
    copy: { filename: copy.bin, source: source.bin }
    raw: { filename: raw.bin, content_base64: "${base64encode(\"raw\")}" }
  local_sensitive_file:
    key: { filename: key.pem, content: very-secret-key }
data:
  local_file:
    it: { filename: "${local_file.it.filename}" }
  local_sensitive_file:
    key: { filename: "${local_sensitive_file.key.filename}" }
output:
  sha: { value: "${local_file.it.content_sha256}" }
  read: { value: "${data.local_file.it.content}" }
  hidden: { value: "${data.local_sensitive_file.key.content}", sensitive: true }
"#;

#[cfg(unix)]
fn mode(stack: &Stack, name: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(stack.path().join(name)).expect("a file").permissions().mode() & 0o777
}

#[cfg(unix)]
#[test]
fn files_are_written_watched_and_removed() {
    let stack = Stack::new().file("main.yaml", FILES).file("source.bin", "from a source");
    let read = |name: &str| std::fs::read_to_string(stack.path().join(name)).expect("a file");
    stack.ok(&["plan"]).says(&["Plan: 4 to add"]).says_not(&["very-secret-key"]);
    stack.settle().says_not(&["very-secret-key"]);
    assert_eq!(["out/deep/it.txt", "copy.bin", "raw.bin"].map(read), ["one", "from a source", "raw"]);
    assert_eq!((mode(&stack, "out/deep/it.txt"), mode(&stack, "key.pem")), (0o640, 0o700));
    assert_eq!((stack.text("read"), stack.text("hidden")), ("one".into(), "very-secret-key".into()));

    // Changed and gone are both drift, and cured the same way.
    stack.write("out/deep/it.txt", "somebody else's");
    stack.remove("raw.bin");
    stack.run(&["plan", "-detailed-exitcode"]).must(2).says(&["Plan: 2 to add, 0 to change, 0 to destroy."]);
    stack.settle();
    assert_eq!(["out/deep/it.txt", "raw.bin"].map(read), ["one", "raw"]);

    let change = ["-var", "content=two", "-var", "mode=0600"];
    stack.ok(&[APPLY, &change].concat()).says(&["1 added, 0 changed, 1 destroyed"]);
    assert_eq!((read("out/deep/it.txt").as_str(), mode(&stack, "out/deep/it.txt")), ("two", 0o600));
    stack.ok(DESTROY);
    for name in ["out/deep/it.txt", "copy.bin", "raw.bin", "key.pem"] {
        assert!(!stack.path().join(name).exists(), "{name} is left");
    }
}

#[test]
fn a_file_needs_one_content_and_a_mode() {
    let check = |body: &str, words: &[&str]| {
        let spec = format!("resource:\n  local_file: {{ it: {{ filename: f, {body} }} }}\n");
        Stack::new().file("main.yaml", &spec).run(&["plan"]).must(1).says(words).says(&["main.yaml:2:"]);
    };
    check("content: a, source: b", &["only one of content"]);
    check("file_permission: \"0644\"", &["one of content"]);
    check("content: a, file_permission: rw", &["octal digits"]);
    check("content_base64: \"%%%\"", &["not base64"]);
    let stack = Stack::new().file("main.yaml", "data:\n  local_file: { it: { filename: nothing } }\n");
    stack.run(&["plan"]).must(1).says(&["found nothing"]);
}

#[test]
fn moments_are_kept_and_moved() {
    let spec = |days: &str| {
        format!(
            r#"
resource:
  time_static: {{ now: {{}}, then: {{ rfc3339: "2020-02-12T06:36:13Z" }} }}
  time_offset: {{ it: {{ base_rfc3339: "${{time_static.then.rfc3339}}", {days} }} }}
  time_rotating: {{ it: {{ rfc3339: "2020-02-12T06:36:13Z", rotation_years: 1000 }} }}
output:
  unix: {{ value: "${{time_static.then.unix}}" }}
  offset: {{ value: "${{time_offset.it.rfc3339}}" }}
  end: {{ value: "${{time_rotating.it.rotation_rfc3339}}" }}
"#
        )
    };
    let stack = Stack::new().file("main.yaml", &spec("offset_days: 7"));
    // What is given is known before anything is done.
    stack.ok(&["plan"]).says(&["2020-02-19T06:36:13Z"]);
    stack.settle();
    assert_eq!(stack.output("unix"), json!(1_581_489_373));
    assert_eq!(
        (stack.text("offset"), stack.text("end")),
        ("2020-02-19T06:36:13Z".into(), "3020-02-12T06:36:13Z".into())
    );
    stack.write("main.yaml", &spec("offset_days: -1, offset_hours: 1"));
    stack.ok(APPLY).says(&["0 added, 1 changed, 0 destroyed"]);
    assert_eq!(stack.text("offset"), "2020-02-11T07:36:13Z");
}

#[test]
fn a_rotation_whose_time_is_over_is_made_anew() {
    let over =
        "resource:\n  time_rotating: { it: { rfc3339: \"2020-02-12T06:36:13Z\", rotation_days: 1 } }\n";
    let stack = Stack::new().file("main.yaml", over);
    stack.ok(APPLY);
    stack.run(&["plan", "-detailed-exitcode"]).must(2).says(&["time_rotating.it", "1 to add"]);
}

#[test]
fn a_pause_is_a_number_and_a_unit() {
    let bad = Stack::new().file("main.yaml", "resource:\n  time_sleep: { it: { create_duration: 1d } }\n");
    bad.run(&["plan"]).must(1).says(&["such as 30s", "main.yaml:2:"]);
    let stack = Stack::new().file(
        "main.yaml",
        "resource:\n  time_sleep: { it: { create_duration: 300ms, destroy_duration: 10ms } }\n",
    );
    stack.settle();
    stack.ok(DESTROY).says(&["1 destroyed"]);
}
