//! The life of a stack: create, update, replace, destroy, and the shapes that are hard.

use crate::support::{Bench, changes};

const STACK: &str = r#"
resource:
  sim_role:
    r: { name: role }
  sim_grant:
    g: { role: "${sim_role.r.name}", policy: p }
  sim_host:
    h: { name: host, role: "${sim_role.r.arn}" }
  sim_pool:
    p: { host_name: "${sim_host.h.name}", name: pool }
  sim_app:
    a: { provider: simkube, name: app, image: "v1" }
  sim_service:
    s: { provider: simkube, name: svc, type: LoadBalancer }
data:
  sim_token:
    t: { host_name: "${sim_host.h.name}" }
provider:
  simkube:
    host: ${sim_host.h.endpoint}
    ca: ${sim_host.h.ca}
    token: ${data.sim_token.t.token}
output:
  address: { value: "${sim_service.s.address}" }
"#;

#[test]
fn one_apply_makes_the_host_and_what_lives_on_it() {
    let mut bench = Bench::new();
    let plan = bench.plan(STACK);
    assert_eq!(
        changes(&plan),
        [
            "+ sim_app.a (deferred)",
            "+ sim_grant.g",
            "+ sim_host.h",
            "+ sim_pool.p",
            "+ sim_role.r",
            "+ sim_service.s (deferred)"
        ]
    );
    let run = bench.apply(STACK).ok();
    run.in_order(&["done Create sim_grant.g", "start Create sim_host.h"]);
    run.in_order(&["done Create sim_pool.p", "start Create sim_app.a"]);
    let again = bench.apply(STACK).ok();
    assert!(again.empty, "{again:#?}");
    let run = bench.destroy(Some(STACK)).ok();
    run.in_order(&[
        "done Delete sim_service.s",
        "start Delete sim_pool.p",
        "start Delete sim_host.h",
        "start Delete sim_role.r",
    ]);
    assert!(!run.log.iter().any(|l| l.contains("sim_app")), "an object goes with its host: {:#?}", run.log);
    assert_eq!(bench.world.contents(), Vec::<String>::new());
    assert!(bench.state().objects.is_empty());
}
