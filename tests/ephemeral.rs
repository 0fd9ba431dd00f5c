//! Ephemeral resources and write-only arguments, with the real binary: on a cluster of the sandbox, in saved plans, in all
//! three syntaxes.

use crate::kit::Stack;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The stack of `specs/fastapi-eks`, whose cluster is reached through an ephemeral resource, with a secret beside it.
fn stack() -> Stack {
    let stack = Stack::of_spec("fastapi-eks").env("GROMA_SANDBOX", "1");
    let app = std::fs::read_to_string(stack.path().join("app.yaml")).expect("the spec's file");
    let app = app.replace("data:\n  aws_eks_cluster_auth", "ephemeral:\n  aws_eks_cluster_auth");
    let app = app.replace("${data.aws_eks_cluster_auth", "${ephemeral.aws_eks_cluster_auth");
    assert_eq!(app.matches("ephemeral").count(), 2);
    stack.write("app.yaml", &app);
    stack.file(
        "secret.yaml",
        "variable:
  round: { type: number, default: 1 }
  label: { type: string, default: a }
ephemeral:
  random_password:
    db: { length: 24, special: false }
resource:
  kubernetes_secret:
    db:
      metadata: { name: db, namespace: default, labels: { label: \"${var.label}\" } }
      data_wo: { password: \"${ephemeral.random_password.db.result}\" }
      data_wo_revision: ${var.round}
",
    )
}

/// The password as the cluster has it.
fn password(stack: &Stack) -> String {
    let world = stack.world();
    let (_, secret) =
        world.iter().find(|(key, _)| key.ends_with("secrets/default/db")).unwrap_or_else(|| {
            panic!("no secret among {:#?}", world.keys().collect::<Vec<_>>());
        });
    let found = secret.pointer("/data/password").or_else(|| secret.pointer("/object/data/password"));
    let data = found.and_then(|v| v.as_str()).unwrap_or_else(|| panic!("no password in {secret}"));
    String::from_utf8(BASE64.decode(data).expect("base64")).expect("a text")
}

/// A secret is nowhere among the stack's files but in the cluster.
#[track_caller]
fn kept_nowhere(stack: &Stack, secret: &str) {
    assert_eq!(secret.len(), 24);
    for path in stack.files(".") {
        let is_ours = !path.to_string_lossy().contains("sandbox/world");
        let bytes = std::fs::read(&path).expect("a file");
        let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
        assert!(!(is_ours && found), "the secret is in {}", path.display());
    }
}

#[test]
fn one_apply_through_an_ephemeral_token_with_a_secret_that_is_kept_nowhere() {
    let stack = stack();
    stack.ok(&["plan"]).says(&["kubernetes_secret.db will be created", "Plan: 11 to add"]);
    stack.ok(&["apply", "-auto-approve"]).says(&["11 added, 0 changed, 0 destroyed"]);
    let first = password(&stack);
    kept_nowhere(&stack, &first);
    stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
    stack.ok(&["state", "verify"]);

    // Another change writes the object, and not the password.
    let changed = stack.ok(&["apply", "-auto-approve", "-json", "-var=label=b"]);
    assert!(!changed.all().contains(&first));
    assert_eq!(password(&stack), first);

    // A saved plan holds no password; each phase has one of its own.
    stack.ok(&["plan", "-out=p.plan", "-var=round=2", "-var=label=b"]).says(&["data_wo_revision"]);
    stack.ok(&["apply", "p.plan"]).says(&["0 added, 1 changed, 0 destroyed"]);
    let second = password(&stack);
    assert_ne!(first, second);
    kept_nowhere(&stack, &second);
    for args in [&["show", "-json"][..], &["state", "show", "kubernetes_secret.db"], &["show", "p.plan"]] {
        let shown = stack.ok(args).all();
        assert!(!shown.contains(&first) && !shown.contains(&second), "{args:?}");
    }

    stack.ok(&["destroy", "-auto-approve"]);
    let left: Vec<String> = stack.world().keys().filter(|k| k.contains("eks")).cloned().collect();
    assert!(left.is_empty(), "{left:?}");
}

const NATIVE: &str = r#"
# A password for this run.
ephemeral "random_password" "p" {
  for_each = toset(["a"])
  length   = 5 + local.more
  lifecycle {
    postcondition {
      condition     = length(self.result) == 12
      error_message = "too short"
    }
  }
}
locals {
  more = 7
  p    = ephemeral.random_password.p["a"].result
}
resource "terraform_data" "t" {
  provisioner "local-exec" {
    command = "printf %s '${length(local.p)}' > told"
  }
}
"#;

const JSON: &str = r#"{
  "ephemeral": {"random_password": {"p": {
    "for_each": "${toset([\"a\"])}", "length": "${5 + local.more}",
    "lifecycle": {"postcondition": {"condition": "${length(self.result) == 12}", "error_message": "too short"}}
  }}},
  "locals": {"more": 7, "p": "${ephemeral.random_password.p[\"a\"].result}"},
  "resource": {"terraform_data": {"t": {
    "provisioner": {"local-exec": {"command": "printf %s '${length(local.p)}' > told"}}
  }}}
}"#;

#[test]
fn ephemeral_blocks_are_written_in_all_three_syntaxes() {
    for (name, text) in [("main.tf", NATIVE), ("main.tf.json", JSON)] {
        let stack = Stack::new().file(name, text);
        stack.ok(&["apply", "-auto-approve"]).says_not(&["too short"]);
        assert_eq!(std::fs::read_to_string(stack.path().join("told")).expect("written"), "12", "{name}");
        stack.ok(&["convert"]);
        stack.ok(&["fmt", "-check"]);
        let yaml = std::fs::read_to_string(stack.path().join("main.yaml")).expect("converted");
        assert!(yaml.contains("ephemeral:\n  random_password:\n    p:"), "{yaml}");
        stack.ok(&["plan", "-detailed-exitcode"]).says(&["No changes."]);
        stack.write("main.yaml", &yaml.replace("length: ${5", "length: ${4"));
        stack.run(&["plan"]).must(1).says(&["G0907", "too short"]);
    }
}

#[test]
fn what_would_be_kept_is_refused_with_its_place() {
    let head = "ephemeral: {random_password: {p: {length: 9}}}\n";
    let secret = "${ephemeral.random_password.p.result}";
    let cases = [
        (
            format!("resource: {{terraform_data: {{t: {{input: '{secret}'}}}}}}\n"),
            "G1031",
            "input is ephemeral",
        ),
        (format!("output: {{o: {{value: '{secret}', sensitive: true}}}}\n"), "G1031", "main.yaml:2:"),
        ("output: {o: {value: 1, ephemeral: true}}\n".to_string(), "G0912", "main.yaml:2:"),
        (
            "resource: {terraform_data: {t: {input: '${ephemeral.random_password.q.result}'}}}\n".to_string(),
            "ephemeral.random_password.q",
            "did you mean",
        ),
        ("locals: {x: '${ephemeral.random_password.p.nothing}'}\n".to_string(), "nothing", "main.yaml:2:"),
        ("ephemeral: {random_passwort: {p: {length: 9}}}\n".to_string(), "G0804", "random_password"),
        ("ephemeral: {terraform_data: {p: {}}}\n".to_string(), "G0804", "\"resource\""),
    ];
    for (rest, code, place) in cases {
        let text = match rest.starts_with("ephemeral") {
            true => rest,
            false => format!("{head}{rest}"),
        };
        Stack::new().file("main.yaml", &text).run(&["plan"]).must(1).says(&[code, place]);
    }
}
