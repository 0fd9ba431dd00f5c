//! Ctrl-C and SIGTERM, as the engine's stop signal: the first one starts nothing more and lets running requests
//! finish, the second one leaves now.

use groma_engine::facade::StopSignal;

/// Listens from now on, until the process ends.
pub(crate) fn listen(stop: &StopSignal) {
    let stop = stop.clone();
    let task = async move {
        loop {
            next().await;
            let before = stop.level();
            stop.raise(before.saturating_add(1).min(2));
            let said = match before {
                0 => "Stopping: running requests finish, nothing more starts. Once more to leave at once.",
                _ => "Leaving now. What was begun is in the journal; the next run settles it.",
            };
            crate::render::note_to_stderr(said);
            if before > 0 {
                leave();
            }
        }
    };
    drop(tokio::spawn(task));
}

#[cfg(unix)]
async fn next() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn next() {
    let _ = tokio::signal::ctrl_c().await;
}

#[expect(clippy::exit, reason = "the user asked twice; the journal is made for ends like this one")]
fn leave() -> ! {
    std::process::exit(i32::from(crate::exit::Exit::Interrupted.code()));
}
