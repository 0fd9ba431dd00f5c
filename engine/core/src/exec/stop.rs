//! The user's stop signals. First: start nothing more, leave waits. Second: leave now.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

#[derive(Clone, Default)]
pub struct StopSignal(Arc<Inner>);

#[derive(Default)]
struct Inner {
    level: AtomicU8,
    wakers: Mutex<Vec<Waker>>,
}

impl StopSignal {
    /// Raises the level to at least `level` (1 or 2) and wakes everything that waits.
    pub fn raise(&self, level: u8) {
        self.0.level.fetch_max(level, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *self.0.wakers.lock().expect("no holder of this lock panics"));
        wakers.into_iter().for_each(Waker::wake);
    }

    pub fn level(&self) -> u8 {
        self.0.level.load(Ordering::SeqCst)
    }

    /// Ends when the level is at least `level`.
    pub fn reached(&self, level: u8) -> Reached {
        Reached { signal: self.clone(), level }
    }
}

pub struct Reached {
    signal: StopSignal,
    level: u8,
}

impl Future for Reached {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.signal.level() >= self.level {
            return Poll::Ready(());
        }
        let mut wakers = self.signal.0.wakers.lock().expect("no holder of this lock panics");
        if !wakers.iter().any(|w| w.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        drop(wakers);
        // A raise between the look and the registration must not be missed.
        if self.signal.level() >= self.level { Poll::Ready(()) } else { Poll::Pending }
    }
}
