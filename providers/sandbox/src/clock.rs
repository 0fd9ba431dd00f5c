//! Simulated time.
//!
//! Invariants: simulated time is wall time x speed while the process runs and stands still while it
//! does not; it never runs backwards, across restarts either. The process keeps the last time that any
//! answer could have shown in a file of its own (see `store`), from which the next start goes on.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// A running simulated clock; times are milliseconds since the Unix epoch.
#[derive(Debug)]
pub(crate) struct Clock {
    base: i64,
    skipped: AtomicI64,
    started: Instant,
    speed: f64,
}

impl Clock {
    pub(crate) fn start(base: i64, speed: f64) -> Self {
        Self { base, skipped: AtomicI64::new(0), started: Instant::now(), speed: speed.max(0.001) }
    }

    pub(crate) fn now(&self) -> i64 {
        self.base + self.skipped.load(Ordering::Relaxed) + scaled(self.started.elapsed(), self.speed)
    }

    /// Jumps ahead, as if so much time had passed.
    pub(crate) fn skip(&self, time: Duration) {
        self.skipped.fetch_add(scaled(time, 1.0), Ordering::Relaxed);
    }

    pub(crate) fn speed(&self) -> f64 {
        self.speed
    }
}

/// A reading of the sandbox's clock, from which a client goes on by itself.
#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    /// Simulated milliseconds since the Unix epoch at the time of the reading.
    pub sim_millis: i64,
    /// Simulated seconds for a second on the wall.
    pub speed: f64,
    /// When the reading was made.
    pub read_at: Instant,
}

impl ClockReading {
    /// The simulated time now, in milliseconds since the Unix epoch.
    pub fn now_millis(&self) -> i64 {
        self.sim_millis + scaled(self.read_at.elapsed(), self.speed)
    }

    /// How long to sleep on the wall for a span of simulated time.
    pub fn wall(&self, simulated: Duration) -> Duration {
        simulated.div_f64(self.speed.max(0.001))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds of any run fit 63 bits")]
fn scaled(elapsed: Duration, speed: f64) -> i64 {
    (elapsed.as_secs_f64() * 1000.0 * speed) as i64
}

/// Wall time in milliseconds since the Unix epoch.
pub(crate) fn wall_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// `2026-01-02T03:04:05Z`, as the clouds print times.
pub(crate) fn rfc3339(millis: i64) -> String {
    format(millis, "%Y-%m-%dT%H:%M:%SZ")
}

/// The form of HTTP's `Date` header.
pub(crate) fn http_date(millis: i64) -> String {
    format(millis, "%a, %d %b %Y %H:%M:%S GMT")
}

/// `20260102T030405Z` (SigV4) to milliseconds.
pub(crate) fn parse_amz_date(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    if date.len() != 8 || time.len() != 6 || !text.is_ascii() {
        return None;
    }
    let spelled = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    spelled.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond())
}

/// The inverse of `parse_amz_date`.
pub(crate) fn amz_date(millis: i64) -> String {
    format(millis, "%Y%m%dT%H%M%SZ")
}

fn format(millis: i64, pattern: &str) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for text in ["20260102T030405Z", "19700101T000000Z", "20991231T235959Z"] {
            let millis = parse_amz_date(text).unwrap();
            assert_eq!(amz_date(millis), text);
        }
        for bad in ["", "20260102", "2026-01-02T03:04:05Z", "20260102T0304Z", "20261302T030405Z"] {
            assert_eq!(parse_amz_date(bad), None, "{bad}");
        }
        assert_eq!(rfc3339(1_767_323_045_000), "2026-01-02T03:04:05Z");
        assert_eq!(http_date(1_767_323_045_000), "Fri, 02 Jan 2026 03:04:05 GMT");
    }
}
