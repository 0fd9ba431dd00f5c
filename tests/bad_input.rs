//! Bad input: each message has the place, the line with a caret and a cure; the exit code is 1; nothing is written
//! and nothing is called.

use crate::kit::{Stack, snapshot};
use regex::Regex;

/// What is wrong, the spec, and where the message must point.
struct Case {
    name: &'static str,
    spec: &'static str,
    at: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "missing_variable",
        spec: "variable:\n  region: { type: string }\noutput:\n  x: { value: \"${var.region}\" }\n",
        at: "main.yaml:2:3",
    },
    Case {
        name: "unknown_attribute",
        spec: "resource:\n  terraform_data:\n    a:\n      inptu: 1\n",
        at: "main.yaml:4:7",
    },
    Case {
        name: "wrong_type",
        spec: "variable:\n  n: { type: number, default: many }\n",
        at: "main.yaml:2:31",
    },
    Case {
        name: "cycle",
        spec: "locals:\n  a: ${local.b}\n  b: ${local.a}\noutput:\n  x: { value: \"${local.a}\" }\n",
        at: "main.yaml:",
    },
    Case { name: "duplicate_key", spec: "locals:\n  a: 1\n  a: 2\n", at: "main.yaml:3:3" },
    Case {
        name: "reference_to_nothing",
        spec: "locals:\n  cluster: x\noutput:\n  x:\n    value: ${local.clutser}\n",
        at: "main.yaml:5:14",
    },
    Case {
        name: "syntax_error_in_template",
        spec: "output:\n  x:\n    value: ${1 + }\n",
        at: "main.yaml:3:",
    },
    Case {
        name: "trap_flow_list",
        spec: "locals:\n  a: x\noutput:\n  x:\n    value: [${local.a}, ${local.a}]\n",
        at: "main.yaml:5:",
    },
    Case {
        name: "trap_flow_map",
        spec: "locals:\n  a: x\noutput:\n  x:\n    value: {k: ${local.a}}\n",
        at: "main.yaml:5:",
    },
    Case {
        name: "trap_flow_index",
        spec: "resource:\n  terraform_data:\n    a: {}\n    b:\n      depends_on: [terraform_data.a[0]]\n",
        at: "main.yaml:5:",
    },
    Case {
        name: "trap_colon",
        spec: "output:\n  x:\n    value: ${true ? \"a\" : \"b\"}\n",
        at: "main.yaml:3:",
    },
    Case { name: "trap_hash", spec: "output:\n  x:\n    value: ${1 # one\n      + 1}\n", at: "main.yaml:3:" },
    Case {
        name: "trap_percent",
        spec: "output:\n  x:\n    value: %{ if true }a%{ endif }\n",
        at: "main.yaml:3:",
    },
    Case { name: "trap_star", spec: "output:\n  x:\n    value: *.example.com\n", at: "main.yaml:3:" },
    Case { name: "trap_at", spec: "output:\n  x:\n    value: @daily\n", at: "main.yaml:3:" },
    Case { name: "trap_ampersand", spec: "output:\n  x:\n    value: &{a}\n", at: "main.yaml:3:" },
    Case { name: "trap_exclamation", spec: "output:\n  x:\n    value: !important now\n", at: "main.yaml:3:" },
    Case {
        name: "trap_quotes_in_quotes",
        spec: "output:\n  x:\n    value: \"${lookup({a = 1}, \"a\", 0)}\"\n",
        at: "main.yaml:3:",
    },
    Case {
        name: "trap_backslash",
        spec: "output:\n  x:\n    value: \"${replace(\"a\", \"/\\d/\", \"\")}\"\n",
        at: "main.yaml:3:",
    },
    Case {
        name: "trap_leading_quote",
        spec: "locals:\n  a: x\noutput:\n  x:\n    value: \"a\"-${local.a}\n",
        at: "main.yaml:5:",
    },
    Case { name: "trap_unclosed", spec: "output:\n  x:\n    value: ${local.a\n", at: "main.yaml:3:" },
    Case { name: "leading_zero", spec: "output:\n  x:\n    value: 0644\n", at: "main.yaml:3:12" },
    Case {
        name: "a_kubernetes_object",
        spec: "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\n",
        at: "main.yaml:1:1",
    },
];

#[test]
fn each_fault_has_its_place_its_line_and_its_cure() {
    let mut faults = Vec::new();
    for case in CASES {
        if let Err(why) = check(case) {
            faults.push(format!("== {}: {why}", case.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn check(case: &Case) -> Result<(), String> {
    let stack = Stack::new().file("main.yaml", case.spec);
    let out = stack.run(&["apply", "-auto-approve"]);
    let text = stack.redact(&out.stderr);
    let fail = |why: &str| Err(format!("{why}\n{}", out.all()));
    if out.code != Some(1) {
        return fail("the exit code is not 1");
    }
    if !text.contains(&format!("--> {}", case.at)) {
        return fail(&format!("no {}", case.at));
    }
    if !Regex::new(r"(?m)^\s*\| +\^+").expect("a pattern").is_match(&text) {
        return fail("no caret");
    }
    if !text.contains("= help:") && !text.contains("= why:") {
        return fail("no cure");
    }
    if stack.path().join(".groma").exists() {
        return fail("something was written");
    }
    snapshot(&format!("bad_{}", case.name), &text);
    Ok(())
}

#[test]
fn all_errors_of_a_run_come_at_once() {
    let spec =
        "locals:\n  a: ${local.x}\n  b: ${local.y}\nresource:\n  terraform_data:\n    a: { inptu: 1 }\n";
    let stack = Stack::new().file("main.yaml", spec);
    let out = stack.run(&["validate"]).must(1);
    for place in ["main.yaml:2:", "main.yaml:3:", "main.yaml:6:"] {
        assert!(out.stderr.contains(place), "no {place} in {}", out.stderr);
    }
}

#[test]
fn validate_speaks_terraforms_json() {
    let stack = Stack::new().file("main.yaml", "locals:\n  a: 1\n  a: 2\n");
    let out = stack.run(&["validate", "-json"]).must(1);
    let json: serde_json::Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(json["valid"], false);
    assert!(json["error_count"].as_u64().is_some_and(|n| n > 0));
    assert_eq!(json["diagnostics"][0]["range"]["start"]["line"], 3);
}

#[test]
fn files_that_are_no_text_and_links_to_nothing_are_told() {
    let stack = Stack::new().file("main.yaml", "locals: {}\n");
    std::fs::write(stack.path().join("b.yaml"), b"locals:\n  b: \"x\xff\xfe\"\n").expect("a file");
    let out = stack.run(&["validate"]).must(1);
    assert!(out.stderr.contains("--> b.yaml:2:8"), "{}", out.stderr);
    #[cfg(unix)]
    {
        let stack = Stack::new().file("main.yaml", "locals: {}\n");
        std::os::unix::fs::symlink("nothing.yaml", stack.path().join("c.yaml")).expect("a link");
        let out = stack.run(&["validate"]).must(1);
        assert!(out.stderr.contains("c.yaml: No such file"), "{}", out.stderr);
    }
}

#[test]
fn faults_of_every_stage_come_in_one_run() {
    let spec = "output:\n  a: { valu: 1 }\nlocals:\n  b: ${nofunc(1)}\n  c: ${local.x}\nresource:\n  terraform_data:\n    a: { lifecycle: { ignore_changes: [inptu] } }\n";
    let out = Stack::new().file("main.yaml", spec).run(&["validate"]).must(1);
    for place in ["main.yaml:2:8", "main.yaml:4:8", "main.yaml:5:8", "main.yaml:8:40"] {
        assert!(out.stderr.contains(place), "no {place} in {}", out.stderr);
    }
}
