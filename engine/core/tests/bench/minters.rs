//! Minted credentials: they pass through every expression, are renewed, and end nowhere on disk.

use crate::support::{Bench, parse, texts};
use groma_engine::facade::{self, PlanOptions};
use groma_provider_sim::{Op, SimConfig, block_on};
use std::time::Duration;

fn strict(ttl: u64) -> Bench {
    let config =
        SimConfig { require_token: true, token_ttl: Duration::from_secs(ttl), ..SimConfig::default() };
    Bench::with(config, 5)
}

/// A stack whose token takes a way: what stands around it.
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
    c: {{ provider: simkube, name: "c-${{sim_app.b.id}}", image: v1 }}
  sim_service:
    s: {{ provider: simkube, name: svc, type: LoadBalancer, app: "${{sim_app.c.name}}" }}
data:
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

#[track_caller]
fn lives(bench: &mut Bench, spec: &str) {
    bench.apply(spec).ok();
    bench.sound();
    no_token(bench);
    bench.clock.advance(Duration::from_secs(24 * 3600));
    assert!(bench.apply(spec).ok().empty);
    bench.apply(&spec.replace("image: v1", "image: v2")).ok();
    no_token(bench);
    bench.clock.advance(Duration::from_secs(24 * 3600));
    bench.destroyed(None);
    no_token(bench);
}

#[track_caller]
fn no_token(bench: &Bench) {
    for text in [format!("{:?}", bench.state()), format!("{:?}", bench.store.records())] {
        assert!(!text.contains("simtoken-"), "a token is in the state or the journal");
    }
    let events = format!("{:?}", bench.events.0.lock().unwrap());
    assert!(!events.contains("simtoken-"), "a token is in the events");
}

#[test]
fn tokens_that_expire_within_the_apply_are_renewed() {
    let spec = stack("${data.sim_token.t.token}", "");
    for ttl in [9, 20, 60] {
        let mut bench = strict(ttl);
        lives(&mut bench, &spec);
        assert!(bench.world.count("sim_token", Op::Mint) > 3, "{ttl}");
    }
}

#[test]
fn a_token_that_is_revoked_is_minted_anew_once() {
    let spec = stack("${data.sim_token.t.token}", "");
    let mut bench = strict(900);
    bench.apply(&spec).ok();
    bench.world.expire_tokens();
    assert!(bench.apply(&spec).ok().empty);
    bench.destroyed(None);
}

#[test]
fn a_token_passes_through_locals_variables_and_outputs() {
    let locals = stack(
        "${local.token}",
        "locals:\n  token: ${local.made.inner[0]}\n  made: { inner: [\"${data.sim_token.t.token}\"] }\n",
    );
    let cut = stack(
        "${trimprefix(local.bearer, \"Bearer \")}",
        "locals:\n  bearer: \"Bearer ${data.sim_token.t.token}\"\n",
    );
    let choice = stack("'${true ? data.sim_token.t.token : \"\"}'", "");
    for spec in [locals, cut, choice] {
        lives(&mut strict(60), &spec);
    }
    // Made in one module, handed to another, which gives it back as an output.
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
data:
  sim_token:
    t: { host_name: "${sim_host.h.name}" }
output:
  endpoint: { value: "${sim_host.h.endpoint}" }
  token: { value: "${data.sim_token.t.token}", ephemeral: true }
--- file: pass/main.yaml
variable:
  given: { type: string, ephemeral: true }
output:
  taken: { value: "${var.given}", ephemeral: true }
"#;
    lives(&mut strict(60), modules);
}

#[test]
fn a_minted_value_that_would_be_stored_is_an_error_that_names_the_place() {
    let t = "${data.sim_token.t.token}";
    let cases = [
        (
            stack(t, "  sim: { token: x }\noutput:\n  leak: { value: \"${data.sim_token.t.token}\" }\n"),
            "leak",
        ),
        (stack(t, "output:\n  leak: { value: \"x${data.sim_token.t.token}\", sensitive: true }\n"), "leak"),
        (stack(t, "").replace("image: v1", &format!("image: \"{t}\"")), "image is minted"),
        (
            stack(t, "").replace(
                "  sim_service:",
                &format!("  terraform_data:\n    d: {{ input: \"{t}\" }}\n  sim_service:"),
            ),
            "input is minted",
        ),
        (
            stack(t, "").replace(
                "  sim_service:",
                "  sim_item:\n    d: { tags: { a: \"x-${data.sim_token.t.token}\" } }\n  sim_service:",
            ),
            "minted",
        ),
    ];
    for (spec, place) in cases {
        let mut bench = strict(60);
        let run = bench.apply(&spec);
        assert!(
            run.diagnostics.iter().any(|d| d.starts_with("G1031") && d.contains(place)),
            "{place}: {:#?}",
            run.diagnostics
        );
        assert_eq!(bench.world.mutating_calls(), 0, "{place}");
        no_token(&bench);
        let host = bench.host();
        let emitter = host.emitter();
        let planned = block_on(
            &bench.clock,
            facade::plan(Some(parse(&spec)), &PlanOptions::default(), &bench.state(), &host, &emitter),
        );
        let shown = format!("{:?} {:?}", planned.plan, texts(&planned.plan.diagnostics));
        assert!(!shown.contains("simtoken-"));
    }
}
