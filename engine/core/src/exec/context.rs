//! The engine's side of a running operation: messages to the run's loop, which alone writes the journal.

use super::stop::StopSignal;
use async_trait::async_trait;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use groma_provider::{Clock, Interrupted, Made, OpContext};
use groma_types::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What an operation tells the loop. `Owner` names the operation there.
pub enum Message<Owner> {
    /// To be durable before the operation goes on.
    Made {
        owner: Owner,
        made: Made,
        durable: oneshot::Sender<()>,
    },
    Waiting {
        owner: Owner,
        what: String,
    },
}

/// Natural keys (names, ARNs) of what was made in this run.
pub type MadeKeys = Arc<Mutex<BTreeSet<String>>>;

pub struct Context<Owner> {
    pub owner: Owner,
    pub messages: mpsc::UnboundedSender<Message<Owner>>,
    pub clock: Arc<dyn Clock>,
    pub stop: StopSignal,
    pub made_keys: MadeKeys,
}

#[async_trait]
impl<Owner: Clone + Send + Sync> OpContext for Context<Owner> {
    async fn made(&self, made: Made) {
        let (durable, acknowledged) = oneshot::channel();
        let message = Message::Made { owner: self.owner.clone(), made, durable };
        if self.messages.unbounded_send(message).is_err() || acknowledged.await.is_err() {
            // The loop is gone: the journal can't be written, so nothing may follow.
            futures::future::pending::<()>().await;
        }
    }

    fn waiting(&self, what: &str) {
        let message = Message::Waiting { owner: self.owner.clone(), what: what.to_string() };
        // If the loop is gone there is nobody to tell.
        drop(self.messages.unbounded_send(message));
    }

    async fn pause(&self, duration: Duration) -> Result<(), Interrupted> {
        if self.is_stopped() {
            return Err(Interrupted);
        }
        match select(self.clock.sleep(duration), self.stop.reached(1)).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => Err(Interrupted),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.level() > 0
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn made_in_this_run(&self, key: &str) -> bool {
        self.made_keys.lock().expect("no holder of this lock panics").contains(key)
    }
}
