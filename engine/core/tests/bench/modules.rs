//! Deferred providers through modules, aliases, several hosts, data sources that stand for a host.

use crate::support::{Bench, changes};

#[track_caller]
fn lives(spec: &str) -> Bench {
    let mut bench = Bench::new();
    bench.apply(spec).ok();
    bench.sound();
    let again = bench.apply(spec).ok();
    assert!(again.empty, "{again:#?}");
    bench
}

const INSIDE: &str = r#"
--- file: app/main.yaml
variable:
  image: { type: string, default: v1 }
resource:
  sim_app:
    a: { provider: simkube, name: app, image: "${var.image}" }
  sim_service:
    s: { provider: simkube, name: svc, type: LoadBalancer }
output:
  address: { value: "${sim_service.s.address}" }
"#;

fn two_hosts(calls: &str) -> String {
    format!(
        r#"
resource:
  sim_host:
    a: {{ name: host-a }}
    b: {{ name: host-b }}
  sim_pool:
    a: {{ host_name: "${{sim_host.a.name}}", name: pool }}
    b: {{ host_name: "${{sim_host.b.name}}", name: pool }}
provider:
  simkube:
    - host: ${{sim_host.a.endpoint}}
    - alias: b
      host: ${{sim_host.b.endpoint}}
{calls}{INSIDE}"#
    )
}

#[test]
fn modules_take_their_provider_from_the_call() {
    let spec = two_hosts(
        "module:\n  one: { source: ./app, providers: { simkube: simkube } }\n  two: { source: ./app, image: v2, providers: { simkube: simkube.b } }\noutput:\n  two: { value: \"${module.two.address}\" }\n",
    );
    let mut bench = lives(&spec);
    let apps = bench.world.of_kind("sim_app");
    assert_eq!(apps.len(), 2);
    assert_ne!(apps[0].scope, apps[1].scope, "each lives on its own host");
    let changed = spec.replace("name: host-b", "name: host-b, size: l");
    let run = bench.apply(&changed).ok();
    assert!(run.plan.iter().all(|l| !l.contains("module.one")), "the other host is not touched: {run:#?}");
    bench.sound();
    assert!(bench.apply(&changed).ok().empty);
    bench.destroyed(Some(&changed));
}

#[test]
fn aliases_lead_to_their_hosts() {
    let spec = two_hosts(
        "module: {}\n",
    )
    .replace(
        "resource:\n  sim_host:\n    a",
        "resource:\n  sim_app:\n    a: { provider: simkube, name: app, image: v1 }\n    b: { provider: simkube.b, name: app, image: v1 }\n  sim_host:\n    a",
    );
    let mut bench = lives(&spec);
    // An app that moves to the other host: made there, gone here.
    let moved = spec.replace("provider: simkube.b, name: app", "provider: simkube, name: app-b");
    let run = bench.apply(&moved).ok();
    assert_eq!(run.plan, ["-/+ sim_app.b"], "{run:#?}");
    bench.sound();
    assert!(bench.apply(&moved).ok().empty);
    bench.destroyed(None);
}

#[test]
fn one_of_two_hosts_is_removed_with_what_lives_on_it() {
    let spec = two_hosts(
        "module:\n  one: { source: ./app }\n  two: { source: ./app, providers: { simkube: simkube.b } }\n",
    );
    let mut bench = lives(&spec);
    let less = r#"
resource:
  sim_host:
    a: { name: host-a }
  sim_pool:
    a: { host_name: "${sim_host.a.name}", name: pool }
provider:
  simkube:
    - host: ${sim_host.a.endpoint}
module:
  one: { source: ./app }
"#;
    let run = bench.apply(&format!("{less}{INSIDE}")).ok();
    run.in_order(&[
        "done Delete module.two.sim_service.s",
        "start Delete sim_pool.b",
        "start Delete sim_host.b",
    ]);
    bench.sound();
    bench.destroyed(None);
}

#[test]
fn a_provider_with_for_each_has_an_instance_per_host() {
    let spec = |keys: &str| {
        format!(
            r#"
locals:
  hosts: {keys}
resource:
  sim_host:
    h: {{ for_each: "${{toset(local.hosts)}}", name: "host-${{each.key}}" }}
  sim_map:
    m: {{ for_each: "${{toset(local.hosts)}}", provider: "simkube.by[each.key]", name: map, data: {{ on: "${{each.key}}" }} }}
provider:
  simkube:
    alias: by
    for_each: ${{toset(local.hosts)}}
    host: ${{sim_host.h[each.key].endpoint}}
"#
        )
    };
    let mut bench = lives(&spec("[a, b]"));
    let maps = bench.world.of_kind("sim_map");
    assert_ne!(maps[0].scope, maps[1].scope);
    for map in &maps {
        let on = map.attributes.get("data").unwrap().str_attr("on").unwrap().to_string();
        let host =
            bench.world.of_kind("sim_host").into_iter().find(|h| map.scope == format!("host/{}", h.id));
        assert_eq!(host.unwrap().attributes.str_attr("name").unwrap(), format!("host-{on}"));
    }
    bench.apply(&spec("[b, c]")).ok();
    bench.sound();
    assert!(bench.apply(&spec("[b, c]")).ok().empty);
    bench.destroyed(None);
}

#[test]
fn a_data_source_named_by_a_host_of_the_stack_stands_for_it() {
    let spec = |size: &str| {
        format!(
            r#"
resource:
  sim_host:
    h: {{ name: host, size: {size} }}
  sim_map:
    m: {{ provider: simkube, name: map, data: {{ a: b }} }}
data:
  sim_host:
    d: {{ name: "${{sim_host.h.name}}" }}
  sim_token:
    t: {{ host_name: "${{data.sim_host.d.name}}" }}
provider:
  simkube:
    host: ${{data.sim_host.d.endpoint}}
    ca: ${{data.sim_host.d.ca}}
    token: ${{data.sim_token.t.token}}
"#
        )
    };
    let mut bench = Bench::new();
    bench.world.configure(|c| c.require_token = true);
    assert_eq!(changes(&bench.plan(&spec("s"))), ["+ sim_host.h", "+ sim_map.m (deferred)"]);
    bench.apply(&spec("s")).ok();
    assert!(bench.apply(&spec("s")).ok().empty);
    let run = bench.apply(&spec("l")).ok();
    assert_eq!(run.plan, ["-/+ sim_host.h", "-/+ sim_map.m (deferred)"], "{run:#?}");
    assert!(!run.log.iter().any(|l| l.contains("Delete sim_map")), "it goes with its host: {run:#?}");
    bench.sound();
    assert!(bench.apply(&spec("l")).ok().empty);
    let run = bench.destroy(None).ok();
    assert!(!run.log.iter().any(|l| l.contains("Delete sim_map")), "{run:#?}");
    assert_eq!(bench.world.contents(), Vec::<String>::new());
}

#[test]
fn a_module_with_for_each_makes_a_host_each_with_its_own_provider() {
    let spec = |keys: &str| {
        format!(
            r#"
module:
  stack: {{ source: ./stack, for_each: '${{toset({keys})}}', name: "host-${{each.key}}" }}
output:
  all: {{ value: "${{[for k, m in module.stack : m.endpoint]}}" }}
--- file: stack/main.yaml
variable:
  name: {{ type: string }}
resource:
  sim_host:
    h: {{ name: "${{var.name}}" }}
  sim_map:
    m: {{ count: 2, provider: simkube, name: "map-${{count.index}}" }}
provider:
  simkube: {{ host: "${{sim_host.h.endpoint}}" }}
output:
  endpoint: {{ value: "${{sim_host.h.endpoint}}" }}
"#
        )
    };
    let mut bench = lives(&spec("[\"a\", \"b\"]"));
    assert_eq!(bench.world.of_kind("sim_map").len(), 4);
    bench.apply(&spec("[\"b\"]")).ok();
    assert_eq!(bench.world.of_kind("sim_map").len(), 2);
    bench.sound();
    assert!(bench.apply(&spec("[\"b\"]")).ok().empty);
    bench.destroyed(None);
}
