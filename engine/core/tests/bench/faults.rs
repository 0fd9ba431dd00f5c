//! Faults of the world: what fails stops what depends on it and nothing else, and the next run goes on.

use crate::laws::{Generated, generate};
use crate::life::{STACK, hosted, items};
use crate::support::{Bench, changes};
use groma_engine::facade::Ended;
use groma_engine::state::Status;
use groma_provider::ErrorKind;
use groma_provider_sim::{Fault, Op, SimConfig, When};

fn fault(kind: &str, op: Op, when: When, error: ErrorKind) -> Fault {
    Fault { kind: kind.into(), op, nth: 1, times: 1, when, error }
}

#[test]
fn an_error_in_one_branch_lets_the_other_complete() {
    let mut bench = Bench::new();
    let spec = STACK.replace(
        "  sim_grant:",
        "  sim_item:\n    a: { value: x }\n    b: { value: \"${sim_item.a.id}\" }\n  sim_grant:",
    );
    bench.world.fail("sim_host", Op::Create, 1, ErrorKind::Invalid);
    let run = bench.apply(&spec);
    assert_eq!(run.ended, Some(Ended::Failed), "{run:#?}");
    run.at("done Create sim_item.b");
    run.at("failed Create sim_host.h");
    for skipped in ["sim_pool.p", "sim_app.a", "sim_service.s"] {
        run.at(&format!("skipped {skipped}"));
    }
    bench.sound();
    bench.apply(&spec).ok();
    bench.sound();
    assert!(bench.apply(&spec).ok().empty);
}

/// Every fault at every kind of the stack, at create, update and delete: the run says so, and the next ones converge.
#[test]
fn any_fault_at_any_operation_converges() {
    let changed =
        STACK.replace("image: \"v1\"", "image: \"v2\"").replace("name: host,", "name: host, version: v2,");
    let whens = [
        (When::Before, ErrorKind::Invalid),
        (When::Before, ErrorKind::Unavailable),
        (When::Before, ErrorKind::Throttled),
        (When::Before, ErrorKind::Unreachable),
        (When::After, ErrorKind::Ambiguous),
        (When::Wait, ErrorKind::Unconverged),
        (When::Wait, ErrorKind::Tainted),
        (When::Wait, ErrorKind::TimedOut),
    ];
    for kind in ["sim_role", "sim_grant", "sim_host", "sim_pool", "sim_app", "sim_service"] {
        for (when, error) in whens {
            for op in [Op::Create, Op::Update, Op::Delete] {
                let mut bench = Bench::new();
                if op != Op::Create {
                    bench.apply(STACK).ok();
                }
                bench.world.fault(fault(kind, op, when, error));
                let label = format!("{op:?} {kind} {when:?} {error:?}");
                println!("{label}");
                match op {
                    Op::Create => drop(bench.apply(STACK)),
                    Op::Update => drop(bench.apply(&changed)),
                    _ => drop(bench.destroy(Some(STACK))),
                }
                if (op, when) != (Op::Delete, When::Wait) {
                    bench.sound();
                }
                if op == Op::Delete {
                    bench.world.heal();
                    bench.destroyed(None);
                } else {
                    bench.converges(if op == Op::Create { STACK } else { &changed });
                    bench.destroyed(None);
                }
            }
        }
    }
}

#[test]
fn what_exists_but_did_not_become_ready_is_shown_and_repaired() {
    let mut bench = Bench::new();
    let spec = hosted("name: host");
    bench.world.fault(fault("sim_app", Op::Create, When::Wait, ErrorKind::Tainted));
    bench.world.fault(fault("sim_service", Op::Create, When::Wait, ErrorKind::Unconverged));
    let run = bench.apply(&spec);
    assert_eq!(run.ended, Some(Ended::Failed), "{run:#?}");
    let status =
        |bench: &Bench, address: &str| bench.state().at(&address.parse().unwrap()).unwrap().status.clone();
    assert!(matches!(status(&bench, "sim_app.a"), Status::Tainted(_)));
    assert!(matches!(status(&bench, "sim_service.s"), Status::Unconverged(_)));
    bench.sound();
    assert_eq!(changes(&bench.plan(&spec)), ["-/+ sim_app.a", "~ sim_service.s"]);
    let calls = bench.world.count("sim_service", Op::Update);
    bench.apply(&spec).ok();
    assert_eq!(bench.world.count("sim_service", Op::Update), calls, "it is waited for, not changed");
    assert_eq!(status(&bench, "sim_service.s"), Status::Ready);
    assert!(bench.apply(&spec).ok().empty);
}

/// Room for the workload comes after its first wait has ended badly: the next run waits again, it does not just look.
#[test]
fn an_unconverged_object_is_waited_for_again() {
    let mut bench = Bench::new();
    let spec = |pool: bool| {
        let pool =
            if pool { "  sim_pool:\n    p: { host_name: \"${sim_host.h.name}\", name: pool }\n" } else { "" };
        format!(
            "resource:\n  sim_host:\n    h: {{ name: host }}\n{pool}  sim_app:\n    a: {{ provider: simkube, name: app, image: v1, timeouts: {{ create: 1m, update: 1m }} }}\nprovider:\n  simkube: {{ host: \"${{sim_host.h.endpoint}}\" }}\n"
        )
    };
    let run = bench.apply(&spec(false));
    assert_eq!(run.ended, Some(Ended::Failed), "{run:#?}");
    let run = bench.apply(&spec(false));
    assert_eq!(run.ended, Some(Ended::Failed), "it is no more ready than before: {run:#?}");
    bench.apply(&spec(true)).ok();
    assert!(bench.apply(&spec(true)).ok().empty);
}

#[test]
fn a_lost_answer_is_found_again_in_the_run() {
    for kind in ["sim_role", "sim_grant", "sim_host", "sim_pool", "sim_app", "sim_service"] {
        let mut bench = Bench::new();
        bench.world.configure(|c| c.visibility = std::time::Duration::from_secs(10));
        bench.world.lose_answer(kind, Op::Create, 1);
        bench.apply(STACK).ok();
        bench.sound();
        assert_eq!(bench.world.of_kind(kind).len(), 1, "{kind}");
        assert!(bench.apply(STACK).ok().empty, "{kind}");
    }
}

#[test]
fn a_failed_update_leaves_what_was_and_stops_its_users() {
    let mut bench = Bench::new();
    let spec = |v: &str| items(&[("a", &format!("value: {v}")), ("b", "value: \"${sim_item.a.derived}\"")]);
    bench.apply(&spec("one")).ok();
    bench.world.fail("sim_item", Op::Update, 1, ErrorKind::Invalid);
    let run = bench.apply(&spec("two"));
    assert_eq!(run.ended, Some(Ended::Failed));
    run.at("skipped sim_item.b");
    assert!(bench.world.contents().iter().all(|l| l.contains("one")), "{:#?}", bench.world.contents());
    bench.apply(&spec("two")).ok();
    assert!(bench.apply(&spec("two")).ok().empty);
}

#[test]
fn a_failed_create_after_the_old_was_deleted_is_made_by_the_next_run() {
    for create_first in [false, true] {
        let spec = |v: &str| {
            items(&[
                ("a", &format!("immutable: {v}, lifecycle: {{ create_before_destroy: {create_first} }}")),
                ("b", "value: \"${sim_item.a.id}\""),
            ])
        };
        let mut bench = Bench::new();
        bench.apply(&spec("one")).ok();
        bench.world.fail("sim_item", Op::Create, 1, ErrorKind::Invalid);
        let run = bench.apply(&spec("two"));
        assert_eq!(run.ended, Some(Ended::Failed), "{run:#?}");
        bench.sound();
        assert_eq!(bench.world.contents().len(), if create_first { 2 } else { 1 });
        let run = bench.apply(&spec("two")).ok();
        if create_first {
            run.in_order(&["done Create sim_item.a", "start Update sim_item.b", "start Delete sim_item.a"]);
        }
        bench.sound();
        assert!(bench.apply(&spec("two")).ok().empty);
    }
}

/// A world that fails at random, before or after the work: every stack gets where it was to go.
#[test]
fn a_world_of_random_faults_converges() {
    random_faults(0..40);
}

#[test]
#[ignore = "slow tier: 300 seeds"]
fn a_world_of_random_faults_converges_over_many_seeds() {
    random_faults(40..340);
}

fn random_faults(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let Generated { first, second } = generate(seed);
        let config = SimConfig {
            jitter: Some(seed),
            require_token: true,
            random_faults: Some((200, seed + 1)),
            ..SimConfig::default()
        };
        let mut bench = Bench::with(config, seed + 1);
        for spec in [Some(&*first), Some(&*second), None] {
            let mut runs = 0;
            loop {
                let run = match spec {
                    Some(spec) => bench.apply(spec),
                    None => bench.destroy(None),
                };
                bench.sound();
                if run.ended == Some(Ended::Done) {
                    break;
                }
                runs += 1;
                assert!(runs < 40, "seed {seed}: it does not converge\n{spec:?}\n{run:#?}");
            }
            if let Some(spec) = spec {
                let again = bench.apply(spec);
                assert!(again.empty, "seed {seed}\n{spec}\n{again:#?}");
            }
        }
        assert_eq!(bench.world.contents(), Vec::<String>::new(), "seed {seed}");
        assert!(bench.state().is_empty(), "seed {seed}");
    }
}
