//! The one way to repeat a request.
//!
//! Repeats what is safe to repeat: throttling always; unavailability where the caller says that the request is
//! idempotent. Pure arithmetic over attempts; sleeping is the clock's business.

use crate::env::Environment;
use crate::error::{ErrorKind, ProviderError};
use std::future::Future;
use std::time::Duration;

/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
pub struct Retry {
    pub attempts_max: u32,
    pub base: Duration,
    /// A repeated request has no second effect: reads, deletes, puts, creates with a token.
    pub idempotent: bool,
}

impl Retry {
    pub const READ: Retry = Retry { attempts_max: 8, base: Duration::from_millis(200), idempotent: true };
    pub const IDEMPOTENT: Retry =
        Retry { attempts_max: 8, base: Duration::from_millis(200), idempotent: true };
    pub const ONCE: Retry = Retry { attempts_max: 8, base: Duration::from_millis(200), idempotent: false };

    /// Whether to try again after this error.
    pub fn wants(&self, attempt: u32, error: &ProviderError) -> bool {
        if attempt >= self.attempts_max {
            return false;
        }
        match error.kind {
            ErrorKind::Throttled => true,
            ErrorKind::Unavailable | ErrorKind::Ambiguous | ErrorKind::Unreachable => self.idempotent,
            _ => false,
        }
    }

    /// Returns the pause before the next attempt: exponential with full jitter, or what the API asked for.
    pub fn pause(&self, attempt: u32, error: &ProviderError, random: u8) -> Duration {
        if let Some(asked) = error.retry_after {
            return asked.min(PAUSE_MAX);
        }
        let ceiling = self.base.saturating_mul(1 << attempt.min(10)).min(PAUSE_MAX);
        ceiling.mul_f64(0.1 + 0.9 * f64::from(random) / 255.0)
    }

    /// Runs `call` until it succeeds or the policy gives up. `call` gets the attempt's number, from 1.
    ///
    /// # Errors
    /// The last error.
    pub async fn run<T, F, Fut>(&self, env: &Environment, mut call: F) -> Result<T, ProviderError>
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, ProviderError>>,
    {
        let mut attempt = 1;
        loop {
            match call(attempt).await {
                Ok(done) => return Ok(done),
                Err(error) if self.wants(attempt, &error) => {
                    let mut random = [0];
                    env.entropy.fill(&mut random);
                    env.clock.sleep(self.pause(attempt, &error, random[0])).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
