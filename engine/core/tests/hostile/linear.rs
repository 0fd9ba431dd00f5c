//! What a spec costs grows as its size does: counted in allocations, bytes and time of the processor.

use crate::shapes::{SHAPES, Shape, in_memory, read};
use allocation_counter::measure;
use cpu_time::ThreadTime;
use std::fmt::Write;

/// How often the first size the others are.
const SIZES: [usize; 4] = [1, 2, 4, 8];
/// The greatest exponent of the growth of what is counted.
const COUNTED_MAX: f64 = 1.1;
/// The same of time, which other work on the machine blurs: a square would be 2.
const TIME_MAX: f64 = 1.6;
/// Below this nothing is said of how time grows.
const SECONDS_MIN: f64 = 0.05;
/// Bytes that are held at once for a byte of text, a message for every few characters included.
const PEAK_MAX: f64 = 400.0;
/// What is held whatever the size.
const PEAK_FIXED: f64 = 2e6;
/// The same where aliases add as much as they may.
const PEAK_OF_ALIASES: f64 = 64e6;

struct Cost {
    allocations: f64,
    bytes: f64,
    peak: f64,
    seconds: f64,
    size: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn cost(shape: &Shape, n: usize) -> Cost {
    let text = (shape.text)(n);
    let size = text.len() as f64;
    let files = in_memory(shape.file, text);
    let start = ThreadTime::now();
    let info = measure(|| drop(read(&files)));
    let seconds = start.elapsed().as_secs_f64();
    Cost {
        allocations: info.count_total as f64,
        bytes: info.bytes_total as f64,
        peak: info.bytes_max as f64,
        seconds,
        size,
    }
}

/// The exponent with which something grew between the first size and the last.
fn growth(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    let (first, last) = (&costs[0], &costs[costs.len() - 1]);
    (of(last) / of(first)).log2() / 8f64.log2()
}

/// Counts from some size on; what grows too fast is told.
fn check(least: usize, with_time: bool) {
    let mut faults = String::new();
    for shape in SHAPES {
        let costs: Vec<Cost> = SIZES.iter().map(|times| cost(shape, least * times)).collect();
        let mut told = |what: &str, found: f64, most: f64| {
            if found > most {
                let _ = writeln!(faults, "{}: {what} {found:.2}, at most {most}", shape.name);
            }
        };
        told("allocations grow by", growth(&costs, |c| c.allocations), COUNTED_MAX);
        told("bytes grow by", growth(&costs, |c| c.bytes), COUNTED_MAX);
        told("the peak grows by", growth(&costs, |c| c.peak), COUNTED_MAX);
        if with_time && costs[3].seconds > SECONDS_MIN {
            told("time grows by", growth(&costs, |c| c.seconds), TIME_MAX);
        }
        let fixed = if shape.name == "doubling aliases" { PEAK_OF_ALIASES } else { PEAK_FIXED };
        let multiple = (costs[3].peak - fixed) / costs[3].size;
        told("the peak in sizes of the text is", multiple, PEAK_MAX);
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn costs_grow_as_the_spec_does() {
    check(200, false);
}

#[test]
#[ignore = "the slow tier: half a minute"]
fn costs_and_time_grow_as_a_large_spec_does() {
    // No more names than 500 are looked through for the nearest one: time is in proportion from there on.
    check(700, true);
}
