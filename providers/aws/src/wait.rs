//! Waiting: polls that begin quick and grow slow, with a deadline.

use groma_provider::{ErrorKind, OpContext, ProviderError};
use groma_types::Timestamp;
use std::future::Future;
use std::time::Duration;

/// First pause between two polls.
const FIRST: Duration = Duration::from_secs(5);
/// Polls in a row that may fail for want of the service before the wait ends.
const FAILURES_MAX: u32 = 10;

/// Longest pause between polls of EKS, as the vendor's own waiters have it.
pub(crate) const EKS_POLL: Duration = Duration::from_secs(30);

/// What one poll found.
pub(crate) enum Poll<T> {
    Ready(T),
    /// Not yet; the text says how it stands.
    Pending(String),
}

/// Polls until it is ready or the deadline has passed.
///
/// # Errors
/// The poll's own error; `TimedOut`; `Interrupted`. A service that is ill for long gives `Unconverged`.
pub(crate) async fn until<T, F, Fut>(
    ctx: &dyn OpContext,
    what: &str,
    deadline: Timestamp,
    slowest: Duration,
    mut poll: F,
) -> Result<T, ProviderError>
where
    F: FnMut() -> Fut + Send,
    Fut: Future<Output = Result<Poll<T>, ProviderError>> + Send,
{
    let mut pause = FIRST.min(slowest);
    let mut failures = 0;
    ctx.waiting(what);
    loop {
        let standing = match poll().await {
            Ok(Poll::Ready(done)) => return Ok(done),
            Ok(Poll::Pending(standing)) => {
                failures = 0;
                standing
            }
            Err(error) if is_passing(error.kind) && failures < FAILURES_MAX => {
                failures += 1;
                error.to_string()
            }
            Err(mut error) if is_passing(error.kind) => {
                error.kind = ErrorKind::Unconverged;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        if ctx.now() >= deadline {
            return Err(ProviderError::new(
                ErrorKind::TimedOut,
                format!("the time for {what} is over; last seen: {standing}"),
            ));
        }
        ctx.waiting(&format!("{what} ({standing})"));
        ctx.pause(pause).await?;
        pause = pause.mul_f64(1.5).min(slowest);
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable | ErrorKind::Unreachable | ErrorKind::Throttled | ErrorKind::Ambiguous
    )
}

/// Repeats a call while `again` says that its error will pass, at most for `window`.
///
/// # Errors
/// The last error of the call.
pub(crate) async fn settle<T, F, Fut>(
    ctx: &dyn OpContext,
    window: Duration,
    again: impl Fn(&ProviderError) -> bool + Send + Sync,
    mut call: F,
) -> Result<T, ProviderError>
where
    F: FnMut() -> Fut + Send,
    Fut: Future<Output = Result<T, ProviderError>> + Send,
{
    let deadline = ctx.now() + window;
    let mut pause = Duration::from_secs(1);
    loop {
        match call().await {
            Err(error) if again(&error) && ctx.now() < deadline => {
                ctx.pause(pause).await?;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
            other => return other,
        }
    }
}
