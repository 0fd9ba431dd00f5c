//! Worlds: accounts, hosts that another hand deleted, hosts that do not answer or refuse.

use crate::life::{STACK, hosted, items};
use crate::support::{Bench, changes};
use groma_engine::event::EventKind;
use groma_engine::facade::Ended;
use groma_engine::plan::Reason;
use groma_provider::ErrorKind;
use groma_provider_sim::{Fault, Op, When};

fn in_account(account: &str, body: &str) -> String {
    format!("{body}provider:\n  sim: {{ account: {account} }}\n")
}

#[test]
fn another_account_is_a_replacement_that_shows_both_worlds() {
    let spec = |account: &str| {
        in_account(account, &items(&[("a", "value: x"), ("u", "value: \"${sim_item.a.id}\"")]))
    };
    let mut bench = Bench::new();
    bench.apply(&spec("first")).ok();
    let plan = bench.plan(&spec("second"));
    assert_eq!(changes(&plan), ["-/+ sim_item.a", "-/+ sim_item.u"]);
    for change in &plan.changes {
        let Reason::OtherWorld { was, now } = &change.reason else { panic!("{:?}", change.reason) };
        assert!(was.contains("first") && now.contains("second"), "{was} {now}");
    }
    bench.apply(&spec("second")).ok();
    assert!(bench.world.objects().iter().all(|o| o.scope == "cloud/second"));
    bench.sound();
    assert!(bench.apply(&spec("second")).ok().empty);
    bench.destroyed(None);
}

#[test]
fn a_stack_with_a_host_moves_to_another_account() {
    let spec = |account: &str| {
        STACK.replace("provider:\n", &format!("provider:\n  sim: {{ account: {account} }}\n"))
    };
    let mut bench = Bench::new();
    bench.world.configure(|c| c.require_token = true);
    bench.apply(&spec("first")).ok();
    bench.apply(&spec("second")).ok();
    bench.sound();
    assert!(bench.world.objects().iter().all(|o| o.scope != "cloud/first"), "{:#?}", bench.world.contents());
    assert!(bench.apply(&spec("second")).ok().empty);
    bench.destroyed(None);
}

#[test]
fn a_host_that_another_hand_deleted_takes_what_lived_on_it_along() {
    let mut bench = Bench::new();
    bench.world.configure(|c| c.require_token = true);
    bench.apply(STACK).ok();
    bench.world.remove("sim_host", |_| true);
    // The load balancer is what nobody deletes any more.
    bench.world.remove("sim_load_balancer", |_| true);
    let plan = bench.plan(STACK);
    assert_eq!(
        changes(&plan),
        ["+ sim_app.a (deferred)", "+ sim_host.h", "+ sim_pool.p", "+ sim_service.s (deferred)",]
    );
    assert_eq!(plan.drift.len(), 4, "{:#?}", plan.drift);
    bench.apply(STACK).ok();
    bench.sound();
    assert!(bench.apply(STACK).ok().empty);
    bench.destroyed(None);
}

#[test]
fn what_another_hand_deleted_needs_no_delete() {
    let mut bench = Bench::new();
    bench.world.configure(|c| c.require_token = true);
    bench.apply(STACK).ok();
    bench.world.remove("sim_host", |_| true);
    bench.world.remove("sim_load_balancer", |_| true);
    bench.destroyed(None);
}

/// A host that goes between its own read and that of what lives on it takes it along: nobody's error.
#[test]
fn a_host_that_goes_while_it_is_looked_at_takes_all_with_it() {
    let mut bench = Bench::new();
    bench.apply(&hosted("name: host")).ok();
    let world = bench.world.clone();
    let goes = move |event: &EventKind| {
        if matches!(event, EventKind::RefreshStarted { address } if &*address.resource.kind == "sim_app") {
            world.remove("sim_host", |_| true);
            world.remove("sim_load_balancer", |_| true);
        }
    };
    *bench.events.1.lock().unwrap() = Some(Box::new(goes));
    bench.destroyed(None);
    assert_eq!(bench.world.count("sim_host", Op::Delete), 0);
}

/// No answer is no absence: an error, nothing is read as gone and nothing of it is edited.
#[test]
fn a_host_that_does_not_answer_is_an_error() {
    for error in [ErrorKind::Unreachable, ErrorKind::Denied, ErrorKind::Throttled, ErrorKind::Unavailable] {
        for kind in ["sim_app", "sim_host"] {
            let spec = hosted("name: host");
            let mut bench = Bench::new();
            bench.apply(&spec).ok();
            let before = bench.state();
            bench.world.fault(Fault {
                kind: kind.into(),
                op: Op::Read,
                nth: 1,
                times: 1000,
                when: When::Before,
                error,
            });
            let calls = bench.world.mutating_calls();
            let changed = spec.replace("v1", "v2");
            for run in [bench.apply(&changed), bench.destroy(Some(&spec))] {
                assert_eq!(run.ended, Some(Ended::Failed), "{kind} {error:?} {run:#?}");
            }
            assert_eq!(bench.world.mutating_calls(), calls, "{kind} {error:?}");
            assert_eq!(bench.state().objects, before.objects, "{kind} {error:?}");
            bench.world.heal();
            bench.apply(&changed).ok();
            bench.destroyed(None);
        }
    }
}

/// What does not answer to a list is not asked for each object by itself.
#[test]
fn a_list_that_nobody_answers_is_asked_for_once() {
    let mut bench = Bench::new();
    let spec = items(&["a", "b", "c", "d", "e"].map(|name| (name, "value: x")));
    bench.apply(&spec).ok();
    let before = bench.state();
    for error in [ErrorKind::Unreachable, ErrorKind::Unavailable] {
        let fault =
            Fault { kind: "sim_item".into(), op: Op::List, nth: 1, times: 1000, when: When::Before, error };
        bench.world.fault(fault);
        bench.world.forget_calls();
        assert_eq!(bench.apply(&spec).ended, Some(Ended::Failed), "{error:?}");
        assert_eq!(bench.world.count("sim_item", Op::Read), 0, "{error:?}");
        assert_eq!(bench.state().objects, before.objects, "{error:?}");
        bench.world.heal();
    }
    bench.apply(&spec).ok();
}

#[test]
fn drift_is_put_right() {
    let mut bench = Bench::new();
    let spec = items(&[("a", "value: x"), ("u", "value: \"${sim_item.a.derived}\"")]);
    bench.apply(&spec).ok();
    bench.world.drift("sim_item", "value", &"other".into(), |o| o.attributes.str_attr("value") == Some("x"));
    let run = bench.apply(&spec).ok();
    assert_eq!(run.plan[0], "~ sim_item.a");
    assert!(bench.apply(&spec).ok().empty);
}

/// A host that is replaced blue/green with what is attached to it, what lives on it and its load balancer: a crash at
/// any journal boundary leaves what the next run brings to the same end.
#[test]
fn a_crash_in_a_blue_green_replacement_converges() {
    use groma_engine::state::store::CrashSide;
    let spec = |name: &str, size: &str| {
        hosted(&format!("name: {name}, size: {size}, lifecycle: {{ create_before_destroy: true }}"))
    };
    let (blue, green) = (spec("blue", "s"), spec("green", "l"));
    for side in [CrashSide::Before, CrashSide::After] {
        for at in 0.. {
            let mut bench = Bench::new();
            bench.apply(&blue).ok();
            bench.store.crash_at(at, side);
            let crashed = bench.apply(&green).ended.is_none();
            bench.store = bench.store.reopen();
            let run = bench.apply(&green);
            assert_eq!(run.ended, Some(Ended::Done), "{side:?} {at} {run:#?}");
            bench.sound();
            assert_eq!(bench.world.of_kind("sim_host").len(), 1, "{side:?} {at}");
            assert!(bench.apply(&green).ok().empty, "{side:?} {at}");
            bench.destroyed(None);
            if !crashed {
                assert!(at > 10, "{at}");
                break;
            }
        }
    }
}
