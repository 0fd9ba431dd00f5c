//! The user's stop signals: the first starts nothing more and leaves waits, the second leaves at once.

use crate::life::{STACK, hosted, items};
use crate::support::{Bench, parse};
use groma_engine::facade::{Ended, PlanOptions, StopSignal};
use groma_engine::state::Status;
use groma_provider_sim::Op;
use std::time::Duration;

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn the_first_signal_leaves_waits_and_the_next_run_goes_on_waiting() {
    let mut bench = Bench::new();
    bench.stops = vec![(secs(120), 1)];
    let run = bench.apply(STACK);
    assert_eq!(run.ended, Some(Ended::Interrupted), "{run:#?}");
    run.at("suspended sim_host.h");
    assert!(!run.log.iter().any(|l| l.contains("start Create sim_pool.p")), "{run:#?}");
    let host = bench.state().at(&"sim_host.h".parse().unwrap()).cloned().unwrap();
    assert_eq!(host.status, Status::Waiting);
    bench.sound();
    bench.stops.clear();
    let plan = bench.plan(STACK);
    let on_host = plan.changes.iter().find(|c| c.address.to_string() == "sim_host.h").unwrap();
    assert!(!on_host.action.creates() && !on_host.action.deletes(), "{on_host:#?}");
    bench.apply(STACK).ok();
    assert_eq!(bench.world.count("sim_host", Op::Create), 1, "it is not created again");
    bench.sound();
    assert!(bench.apply(STACK).ok().empty);
}

#[test]
fn a_stop_at_any_moment_converges() {
    let after = hosted("name: host2, version: v2").replace("image: v1", "image: v2");
    let before = hosted("name: host, version: v1");
    for level in [1, 2] {
        for step in 0..3 {
            for at in [0, 1, 7, 61, 250, 400, 590, 599, 601, 640, 700, 725, 740, 760, 790, 900] {
                let mut bench = Bench::new();
                if step > 0 {
                    bench.apply(&before).ok();
                }
                bench.stops = vec![(secs(at), level)];
                let began = groma_provider::Clock::now(&bench.clock);
                let run = match step {
                    0 => bench.apply(&before),
                    1 => bench.apply(&after),
                    _ => bench.destroy(Some(&before)),
                };
                let took = groma_provider::Clock::now(&bench.clock).since(began);
                assert!(took <= secs(at + 5) || run.ended == Some(Ended::Done), "{took:?}");
                let label = format!("level {level} step {step} at {at}\n{run:#?}");
                bench.stops.clear();
                bench.clock.advance(secs(30));
                let run = match step {
                    0 => bench.apply(&before),
                    1 => bench.apply(&after),
                    _ => bench.destroy(Some(&before)),
                };
                assert_eq!(run.ended, Some(Ended::Done), "{label}\n{run:#?}");
                bench.sound();
                bench.destroyed(None);
            }
        }
    }
}

#[test]
fn an_update_that_was_left_waiting_is_waited_for() {
    let mut bench = Bench::new();
    bench.apply(&hosted("name: host, version: v1")).ok();
    bench.stops = vec![(secs(60), 1)];
    let run = bench.apply(&hosted("name: host, version: v2"));
    assert_eq!(run.ended, Some(Ended::Interrupted), "{run:#?}");
    bench.stops.clear();
    let spec = hosted("name: host, version: v2");
    bench.apply(&spec).ok();
    assert_eq!(bench.world.count("sim_host", Op::Update), 1, "it is not asked for again");
    assert!(bench.world.of_kind("sim_host")[0].ready <= groma_provider::Clock::now(&bench.clock));
    assert!(bench.apply(&spec).ok().empty);
}

#[test]
fn a_signal_before_the_start_starts_nothing() {
    let mut bench = Bench::new();
    let stop = StopSignal::default();
    stop.raise(1);
    let run = bench.run(Some(parse(&items(&[("a", "value: x")]))), &PlanOptions::default(), &stop);
    assert_eq!(run.ended, Some(Ended::Interrupted), "{run:#?}");
    assert_eq!(bench.world.mutating_calls(), 0, "{run:#?}");
}
