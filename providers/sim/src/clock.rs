//! Virtual time, and the executor that makes it pass.

use futures::future::BoxFuture;
use groma_provider::{Clock, Entropy};
use groma_types::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A clock that stands still until [`block_on`] moves it. Clones are one clock.
#[derive(Clone)]
pub struct SimClock(Arc<Mutex<Timers>>);

struct Timers {
    now: Timestamp,
    count: u64,
    /// Sleepers by the moment at which they wake, in the order in which they went to sleep.
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
}

impl SimClock {
    pub fn new(start: Timestamp) -> SimClock {
        SimClock(Arc::new(Mutex::new(Timers { now: start, count: 0, sleepers: BTreeMap::new() })))
    }

    /// Lets time pass while nobody runs.
    pub fn advance(&self, by: Duration) {
        let mut timers = self.timers();
        timers.now = timers.now + by;
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        self.0.lock().expect("invariant: nothing panics under this lock")
    }

    /// Jumps to the next moment at which somebody wakes; false if nobody sleeps.
    fn jump(&self) -> bool {
        let woken: Vec<Waker> = {
            let mut timers = self.timers();
            let Some((&(moment, _), _)) = timers.sleepers.first_key_value() else { return false };
            timers.now = timers.now.max(moment);
            let now = timers.now;
            let later = timers.sleepers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut timers.sleepers, later).into_values().collect()
        };
        woken.into_iter().for_each(Waker::wake);
        true
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.timers().now
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = self.now() + duration;
        Box::pin(Sleep { clock: self.clone(), until, number: None })
    }
}

struct Sleep {
    clock: SimClock,
    until: Timestamp,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut timers = clock.timers();
        if timers.now >= self.until {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            timers.count += 1;
            timers.count
        });
        timers.sleepers.insert((self.until, number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock.timers().sleepers.remove(&(self.until, number));
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs a future to its end in virtual time: when nothing can go on, time jumps to the next sleeper.
///
/// # Panics
/// The future waits for something that is no sleeper of this clock: it would never end.
pub fn block_on<F: Future>(clock: &SimClock, future: F) -> F::Output {
    run(clock, future, u64::MAX).expect("invariant: nobody lives for 2^64 polls")
}

/// Like [`block_on`], but drops the future after so many polls, as a crash does; then `None`.
///
/// # Panics
/// As [`block_on`].
pub fn block_on_until_crash<F: Future>(clock: &SimClock, future: F, polls: u64) -> Option<F::Output> {
    run(clock, future, polls)
}

fn run<F: Future>(clock: &SimClock, future: F, polls: u64) -> Option<F::Output> {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    loop {
        if !woken.0.swap(false, Ordering::SeqCst) {
            assert!(clock.jump(), "the future waits, and nothing of the simulation will wake it");
            continue;
        }
        left = left.checked_sub(1)?;
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
}

/// Repeatable randomness. Clones continue one sequence.
#[derive(Clone)]
pub struct SimEntropy(Arc<Mutex<u64>>);

impl SimEntropy {
    pub fn new(seed: u64) -> SimEntropy {
        SimEntropy(Arc::new(Mutex::new(seed)))
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().expect("invariant: nothing panics under this lock");
        for chunk in bytes.chunks_mut(8) {
            let random = scramble(&mut state).to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }
}

/// SplitMix64: the next number of a sequence.
pub(crate) fn scramble(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
