//! Input that chance has changed, read by each reader and the whole loader, evaluated and planned: a fault is fine, a panic, a
//! crash or a hang is not.
//!
//! Each input follows from its number, so that one that fails can be made again: `GROMA_SOAK_SEED=N cargo test --workspace
//! --test hostile one_input -- --ignored`. `GROMA_SOAK_SECONDS` says how long the long run takes.

mod chance;
mod targets;

use chance::Chance;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use targets::Seeds;

/// No input here is larger than some hundred kilobytes: one that takes longer hangs.
const INPUT_MAX: Duration = Duration::from_secs(20);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Reads inputs from a number on until the time is over, and says how many.
fn soak(from: u64, time: Duration) -> u64 {
    let seeds = Seeds::read();
    // A crash takes the test's output with it: the number is where the next one looks.
    let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{from}"));
    let (current, over) = (AtomicU64::new(from), AtomicBool::new(false));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| watch(&current, &over));
        let end = Instant::now() + time;
        let mut seed = from;
        while seed == from || Instant::now() < end {
            std::fs::write(&trace, seed.to_string()).expect("the folder of the build can be written");
            current.store(seed, Ordering::Relaxed);
            let read = catch_unwind(AssertUnwindSafe(|| targets::run(&seeds, &mut Chance::new(seed))));
            if read.is_err() {
                over.store(true, Ordering::Relaxed);
                panic!("the input of GROMA_SOAK_SEED={seed} makes a panic");
            }
            seed += 1;
        }
        over.store(true, Ordering::Relaxed);
        seed - from
    });
    std::fs::remove_file(&trace).expect("it was written");
    done
}

/// Ends the process when one input takes too long.
fn watch(current: &AtomicU64, over: &AtomicBool) {
    let (mut last, mut since) = (u64::MAX, Instant::now());
    while !over.load(Ordering::Relaxed) {
        let now = current.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > INPUT_MAX {
            // A thread that hangs can't be ended in another way.
            tell(&format!("the input of GROMA_SOAK_SEED={now} hangs"));
            std::process::abort();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[expect(clippy::print_stderr, reason = "how much was done is for who reads the run")]
fn tell(text: &str) {
    eprintln!("soak: {text}");
}

#[test]
fn a_few_seconds_of_changed_input() {
    let done = soak(1, Duration::from_secs(4));
    assert!(done > 20, "only {done} inputs were read");
}

#[test]
#[ignore = "the slow tier: minutes"]
fn minutes_of_changed_input() {
    let seconds = number("GROMA_SOAK_SECONDS").unwrap_or(200);
    // Other inputs each day, told with the number that makes them again.
    let today = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / 86_400);
    let from = number("GROMA_SOAK_SEED").unwrap_or(today << 32);
    let done = soak(from, Duration::from_secs(seconds));
    tell(&format!("{done} inputs from GROMA_SOAK_SEED={from} in {seconds} s"));
}

#[test]
#[ignore = "for one input that failed, by GROMA_SOAK_SEED"]
fn one_input() {
    let seed = number("GROMA_SOAK_SEED").unwrap_or(1);
    soak(seed, Duration::ZERO);
}
