//! Ephemeral resources and write-only arguments: opened when they are needed, closed at the end, stored nowhere; and the
//! order that goes through them.

use crate::support::Bench;
use groma_engine::facade::{Ended, PlanOptions};
use groma_provider_sim::{Op, SimConfig};
use groma_types::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// What an item was written, and how often.
#[track_caller]
fn written(bench: &Bench, name: &str) -> (Option<String>, u32) {
    let objects = bench.world.objects();
    let item = objects.iter().find(|o| o.attributes.str_attr("name") == Some(name)).expect("it is there");
    (item.written.clone(), item.writes)
}

/// No secret is on disk, among the events, or left open.
#[track_caller]
fn clean(bench: &Bench) {
    let events = format!("{:?}", bench.events.0.lock().unwrap());
    for text in [format!("{:?}", bench.state()), format!("{:?}", bench.store.records()), events] {
        for canary in ["simsecret-", "simtoken-", "hush"] {
            assert!(!text.contains(canary), "{canary} was kept: {text}");
        }
    }
    assert_eq!(bench.world.open_leases(), 0, "what was opened is closed");
}

const ITEM: &str = r#"
ephemeral:
  sim_lease:
    l: { of: item }
resource:
  sim_item:
    i: { name: i, value: one, secret_wo: "${ephemeral.sim_lease.l.secret}", secret_wo_version: 1 }
"#;

#[test]
fn a_write_only_argument_is_written_when_its_version_changes_and_stored_nowhere() {
    let mut bench = Bench::new();
    bench.apply(ITEM).ok();
    let (first, writes) = written(&bench, "i");
    assert!(first.as_ref().unwrap().starts_with("simsecret-"), "{first:?}");
    assert_eq!(writes, 1);
    clean(&bench);
    let object = bench.state().objects.values().next().cloned().unwrap();
    assert!(object.attributes.get("secret_wo").unwrap().is_null());
    assert_eq!(object.attributes.get("secret_wo_version"), Some(&Value::number(1i64)));

    // The value is another one in each run, which is no change.
    assert!(bench.apply(ITEM).ok().empty);
    assert_eq!(bench.apply(&ITEM.replace("one", "two")).ok().plan, ["~ sim_item.i"]);
    assert_eq!(written(&bench, "i"), (first.clone(), 1));

    bench.apply(&ITEM.replace("version: 1", "version: 2")).ok();
    let (second, writes) = written(&bench, "i");
    assert_ne!(first, second);
    assert_eq!(writes, 2);
    clean(&bench);
    bench.destroyed(None);
}

#[test]
fn what_takes_an_ephemeral_value_waits_for_all_that_the_ephemeral_waits_for() {
    // The host's name is known in the plan, and the host is not there: only the order says when it will be.
    let direct = "t: { host_name: \"${sim_host.h.name}\" }";
    let by_depends = "t: { host_name: host, depends_on: [sim_host.h] }";
    // What it takes from another is known at once, and still that other comes first.
    let through_another =
        "t: { host_name: \"${ephemeralasnull(ephemeral.sim_lease.l.id) == null ? local.name : \\\"\\\"}\" }";
    for token in [direct, by_depends, through_another] {
        let spec = format!(
            r#"
ephemeral:
  sim_token:
    {token}
  sim_lease:
    l: {{ of: "${{sim_host.h.id}}" }}
locals:
  name: host
  token: ${{ephemeral.sim_token.t.token}}
resource:
  sim_host:
    h: {{ name: host }}
  sim_item:
    i: {{ name: i, secret_wo: "${{local.token}}", secret_wo_version: 1 }}
    free: {{ name: free }}
"#
        );
        let mut bench = Bench::new();
        let run = bench.apply(&spec).ok();
        run.in_order(&["done Create sim_host.h", "start Create sim_item.i"]);
        run.in_order(&["done Create sim_item.free", "done Create sim_host.h"]);
        assert!(written(&bench, "i").0.unwrap().starts_with("simtoken-"), "{token}");
        clean(&bench);
        // What it was made after, it goes before.
        let gone = bench.destroy(Some(&spec)).ok();
        gone.in_order(&["done Delete sim_item.i", "start Delete sim_host.h"]);
        assert!(bench.state().is_empty());
    }
}

fn stack(token: &str, more: &str) -> String {
    format!(
        r#"
resource:
  sim_host:
    h: {{ name: host }}
  sim_pool:
    p: {{ host_name: "${{sim_host.h.name}}", name: pool }}
  sim_app:
    a: {{ provider: simkube, name: app, image: v1 }}
    b: {{ provider: simkube, name: "b-${{sim_app.a.id}}", image: v1 }}
ephemeral:
  sim_token:
    t: {{ host_name: "${{sim_host.h.name}}" }}
provider:
  simkube:
    host: ${{sim_host.h.endpoint}}
    ca: ${{sim_host.h.ca}}
    token: {token}
{more}"#
    )
}

#[test]
fn a_provider_is_configured_through_an_ephemeral_resource_in_one_apply_and_at_destroy() {
    let plain = stack("${ephemeral.sim_token.t.token}", "");
    let locals = stack(
        "${trimprefix(local.bearer, \"Bearer \")}",
        "locals:\n  bearer: \"Bearer ${ephemeral.sim_token.t.token}\"\n",
    );
    let modules = r#"
module:
  cloud: { source: ./cloud }
  pass: { source: ./pass, given: "${module.cloud.token}" }
resource:
  sim_app:
    a: { provider: simkube, name: app, image: v1 }
provider:
  simkube:
    host: ${module.cloud.endpoint}
    token: ${module.pass.taken}
--- file: cloud/main.yaml
resource:
  sim_host:
    h: { name: host }
  sim_pool:
    p: { host_name: "${sim_host.h.name}", name: pool }
ephemeral:
  sim_token:
    t: { host_name: "${sim_host.h.name}" }
output:
  endpoint: { value: "${sim_host.h.endpoint}" }
  token: { value: "${ephemeral.sim_token.t.token}", ephemeral: true }
--- file: pass/main.yaml
variable:
  given: { type: string, ephemeral: true }
output:
  taken: { value: "${var.given}", ephemeral: true }
"#;
    for spec in [plain, locals, modules.to_string()] {
        for ttl in [20, 900] {
            let config = SimConfig {
                require_token: true,
                token_ttl: Duration::from_secs(ttl),
                ..SimConfig::default()
            };
            let mut bench = Bench::with(config, 5);
            bench.apply(&spec).ok();
            bench.sound();
            clean(&bench);
            bench.clock.advance(Duration::from_secs(24 * 3600));
            assert!(bench.apply(&spec).ok().empty);
            bench.apply(&spec.replace("image: v1", "image: v2")).ok();
            // The host changes, and with it nothing of how it is reached.
            let grown = spec.replace("name: host }", "name: host, version: \"2\" }");
            let grown = grown.replace("image: v1", "image: v3");
            bench.apply(&grown).ok();
            bench.world.expire_tokens();
            bench.apply(&spec).ok();
            clean(&bench);
            bench.clock.advance(Duration::from_secs(24 * 3600));
            // From the spec, or from the state alone.
            bench.destroyed((ttl == 20).then_some(&spec));
            clean(&bench);
        }
    }
}

#[test]
fn what_is_open_is_renewed_while_nobody_asks_for_it() {
    let spec = r#"
ephemeral:
  sim_lease:
    l: {}
resource:
  sim_host:
    h: { name: host }
  sim_item:
    first: { name: first, secret_wo: "${ephemeral.sim_lease.l.secret}" }
    last: { name: "last-${sim_host.h.id}", value: last, secret_wo: "${ephemeral.sim_lease.l.secret}" }
"#;
    let config = SimConfig { lease_ttl: Some(Duration::from_secs(60)), ..SimConfig::default() };
    let mut bench = Bench::with(config, 5);
    bench.apply(spec).ok();
    assert!(bench.world.count("sim_lease", Op::Renew) >= 10);
    let last = bench.world.objects().into_iter().find(|o| o.attributes.str_attr("value") == Some("last"));
    assert_eq!(last.unwrap().written, written(&bench, "first").0, "all get the same");
    clean(&bench);
}

#[test]
fn nothing_is_opened_in_an_apply_that_needs_it_not() {
    let mut bench = Bench::new();
    let spec = format!("{ITEM}    other: {{ name: other, value: a }}\n");
    bench.apply(&spec).ok();
    bench.world.forget_calls();
    bench.apply(&spec.replace("value: a", "value: b")).ok();
    // For the plan, and not again.
    assert_eq!(bench.world.count("sim_lease", Op::Mint), 1);
    assert_eq!(bench.world.count("sim_lease", Op::Close), 1);
}

#[test]
fn ephemeral_blocks_expand_and_have_conditions() {
    let spec = r#"
ephemeral:
  sim_lease:
    each: { for_each: "${toset([\"a\", \"b\"])}", of: "${each.key}" }
    many:
      count: 2
      of: "n${count.index}"
      lifecycle:
        precondition: { condition: "${local.ok}", error_message: "not now" }
        postcondition: { condition: "${self.of != \"n9\"}", error_message: "of ${self.secret}" }
    late: { for_each: "${toset([sim_named.n.id])}" }
locals: { ok: true }
resource:
  sim_named:
    n: { name: n }
  sim_item:
    a: { name: a, secret_wo: "${ephemeral.sim_lease.each[\"a\"].secret}" }
    all:
      name: all
      secret_wo: "${join(\",\", concat([for l in ephemeral.sim_lease.each : l.of], ephemeral.sim_lease.many[*].of))}"
    late: { name: late, secret_wo: "${join(\"\", [for l in ephemeral.sim_lease.late : l.secret])}" }
"#;
    let mut bench = Bench::new();
    bench.apply(spec).ok();
    assert!(written(&bench, "a").0.unwrap().starts_with("simsecret-"));
    assert_eq!(written(&bench, "all").0.unwrap(), "a,b,n0,n1");
    assert!(written(&bench, "late").0.unwrap().starts_with("simsecret-"));
    clean(&bench);
    bench.destroyed(Some(spec));
    for (from, to, wanted) in [
        ("ok: true", "ok: false", "not now"),
        ("\\\"n9\\\"", "\\\"n1\\\"", "The error message holds a sensitive value and is not shown."),
    ] {
        let mut bench = Bench::new();
        let run = bench.apply(&spec.replace(from, to));
        assert!(run.diagnostics.iter().any(|d| d.starts_with("G0907") && d.contains(wanted)), "{run:#?}");
        assert_eq!(bench.world.mutating_calls(), 0);
        clean(&bench);
    }
}

#[test]
fn an_ephemeral_value_that_would_be_kept_is_an_error_that_names_the_place() {
    let lease = "ephemeral:\n  sim_lease:\n    l: { of: x }\n";
    let module = "--- file: m/main.yaml\nvariable:\n  e: { type: string, ephemeral: true, default: a }\n  p: { type: string, default: a }\n";
    let item = |args: &str| format!("{lease}resource:\n  sim_item:\n    i: {{ name: i, {args} }}\n");
    let secret = "${ephemeral.sim_lease.l.secret}";
    let cases = [
        (
            item(&format!("value: \"{secret}\"")),
            "G1031",
            "value is ephemeral: it would be written to the state",
        ),
        (item(&format!("tags: {{ a: \"x-{secret}\" }}")), "G1031", "tags[\"a\"] is ephemeral"),
        (item("value: \"${ephemeral.sim_lease.l.of}\""), "G1031", "value is ephemeral"),
        (
            item(&format!(
                "dynamic: {{ rule: {{ for_each: [\"{secret}\"], content: {{ port: 1, note: \"${{rule.value}}\" }} }} }}"
            )),
            "G1031",
            "rule[0].note is ephemeral",
        ),
        (item("for_each: \"${toset([ephemeral.sim_lease.l.secret])}\""), "G1010", "would show in addresses"),
        (
            item("lifecycle: { prevent_destroy: \"${ephemeral.sim_lease.l.of == \\\"x\\\"}\" }"),
            "G1031",
            "kept in the state",
        ),
        (
            format!("{lease}data:\n  sim_lookup:\n    d: {{ name: \"{secret}\" }}\n"),
            "G1031",
            "name is ephemeral: what a data source",
        ),
        (
            format!("{lease}output:\n  o: {{ value: \"{secret}\", sensitive: true }}\n"),
            "G1031",
            "Output \"o\" of the root",
        ),
        (
            format!("{lease}module:\n  m: {{ source: ./m, p: \"{secret}\" }}\n{module}"),
            "G0910",
            "\"p\" is not declared ephemeral",
        ),
        (
            format!(
                "{lease}module:\n  m: {{ source: ./m, e: \"{secret}\" }}\n{module}output:\n  o: {{ value: \"${{var.e}}\" }}\n"
            ),
            "G0911",
            "\"o\" is not declared ephemeral",
        ),
    ];
    for (spec, code, place) in cases {
        let mut bench = Bench::new();
        let run = bench.apply(&spec);
        assert!(
            run.diagnostics.iter().any(|d| d.starts_with(code) && d.contains(place)),
            "{place}: {:#?}\n{spec}",
            run.diagnostics
        );
        assert_eq!(run.ended, Some(Ended::Failed));
        assert_eq!(bench.world.mutating_calls(), 0, "{place}");
        clean(&bench);
    }
}

#[test]
fn ephemeral_values_go_to_modules_provisioners_and_other_ephemerals() {
    let spec = r#"
ephemeral:
  sim_lease:
    l: { of: "${ephemeral.sim_lease.first.secret}" }
    first: {}
module:
  m: { source: ./m, secret: "${ephemeral.sim_lease.l.secret}" }
resource:
  sim_item:
    i:
      name: i
      provisioner:
        local-exec: { command: "echo ${ephemeral.sim_lease.l.of}" }
--- file: m/main.yaml
variable:
  secret: { type: string, ephemeral: true }
resource:
  sim_item:
    i: { name: inner, secret_wo: "${var.secret}" }
"#;
    let mut bench = Bench::new();
    bench.apply(spec).ok();
    assert!(written(&bench, "inner").0.unwrap().starts_with("simsecret-"));
    let ran = bench.shell.ran.lock().unwrap()[0].argv.join(" ");
    assert!(ran.contains("echo simsecret-"), "{ran}");
    clean(&bench);
}

#[test]
fn a_minted_value_goes_where_ephemeral_ones_go() {
    let spec = r#"
data:
  sim_token:
    t: { host_name: "${sim_host.h.name}" }
ephemeral:
  sim_lease:
    l: { of: "${data.sim_token.t.token}" }
resource:
  sim_host:
    h: { name: host }
  sim_item:
    a: { name: a, secret_wo: "of ${data.sim_token.t.token}" }
    b: { name: b, secret_wo: "${ephemeral.sim_lease.l.of}" }
"#;
    let mut bench = Bench::new();
    bench.apply(spec).ok();
    assert!(written(&bench, "a").0.unwrap().starts_with("of simtoken-"));
    assert!(written(&bench, "b").0.unwrap().starts_with("simtoken-"));
    clean(&bench);
}

#[test]
fn a_failure_to_open_stops_what_needs_it_and_nothing_else() {
    let spec = r#"
ephemeral:
  sim_token:
    t: { host_name: "${sim_named.n.name}" }
resource:
  sim_named:
    n: { name: n }
  sim_item:
    i: { name: i, secret_wo: "${ephemeral.sim_token.t.token}" }
    free: { name: free }
"#;
    let mut bench = Bench::new();
    let run = bench.apply(spec);
    assert_eq!(run.ended, Some(Ended::Failed));
    assert!(
        run.diagnostics.iter().any(|d| d.contains("ephemeral.sim_token.t") && d.contains("no host n")),
        "{run:#?}"
    );
    run.at("done Create sim_item.free");
    run.at("skipped sim_item.i");
    assert_eq!(bench.world.count("sim_item", Op::Create), 1);
}

#[test]
fn an_ephemeral_variable_configures_a_provider_and_is_given_anew() {
    let host = r#"
resource:
  sim_host:
    h: { name: host }
  sim_pool:
    p: { host_name: "${sim_host.h.name}", name: pool }
"#;
    let spec = format!(
        r#"{host}
  sim_app:
    a: {{ provider: simkube, name: app, image: v1 }}
variable:
  token: {{ type: string, ephemeral: true }}
provider:
  simkube:
    host: ${{sim_host.h.endpoint}}
    token: ${{var.token}}
"#
    );
    let mut bench = Bench::with(SimConfig { require_token: true, ..SimConfig::default() }, 5);
    let given = |bench: &Bench| {
        let token = Value::from(bench.world.give_token("host")).mark(groma_types::Marks::EPHEMERAL);
        let variables = BTreeMap::from([("token".into(), token)]);
        PlanOptions { variables, ..PlanOptions::default() }
    };
    bench.apply(host).ok();
    bench.with_options(&spec, &given(&bench)).ok();
    clean(&bench);
    // Another one: the old is not known any more, and not asked for.
    bench.world.expire_tokens();
    assert!(bench.with_options(&spec, &given(&bench)).ok().empty);
    let options = PlanOptions { destroy: true, ..given(&bench) };
    bench.with_options(&spec, &options).ok();
    assert!(bench.state().is_empty());
    clean(&bench);
}
