//! Where records go. The engine appends, then flushes once for all that wait; what a flush has acknowledged is
//! durable.

use super::{Record, State};
use std::fmt;
use std::sync::{Arc, Mutex};

/// Why the journal can't be written. The run stops: no call leaves after this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    pub message: String,
    pub help: Option<String>,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for StoreError {}

/// A journal that is open for writing, lock held.
pub trait Store: Send {
    /// The state as opened, all acknowledged records applied.
    fn load(&self) -> State;

    /// Returns the next operation id; never one that was given before.
    fn next_op(&mut self) -> super::OpId;

    /// Queues a record for the next flush.
    fn append(&mut self, record: Record);

    /// Makes all queued records durable, as one group. Nothing queued: no write.
    ///
    /// # Errors
    /// The group is not acknowledged.
    fn flush(&mut self) -> Result<(), StoreError>;
}

/// A store in memory, for tests: shared, so that what was acknowledged outlives a crashed run. It can be told to
/// crash at a flush.
#[derive(Clone, Default)]
pub struct MemStore {
    shared: Arc<Mutex<Shared>>,
    queue: Vec<Record>,
}

#[derive(Default)]
struct Shared {
    state: State,
    next_op: u64,
    flushes: u64,
    records: Vec<Record>,
    /// Flushes from this one on fail; with `after`, the group is durable before the crash.
    crash_at: Option<(u64, CrashSide)>,
}

/// On which side of the durable write a simulated crash falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashSide {
    Before,
    After,
}

impl MemStore {
    pub fn new(state: State) -> MemStore {
        MemStore { shared: Arc::new(Mutex::new(Shared { state, ..Shared::default() })), queue: Vec::new() }
    }

    /// Crashes at the `n`-th flush from now (0 is the next one).
    pub fn crash_at(&self, n: u64, side: CrashSide) {
        let mut shared = self.lock();
        shared.crash_at = Some((shared.flushes + n, side));
    }

    /// Opens the same disk after a crash: unflushed records are lost.
    #[must_use]
    pub fn reopen(&self) -> MemStore {
        self.lock().crash_at = None;
        MemStore { shared: self.shared.clone(), queue: Vec::new() }
    }

    pub fn flushes(&self) -> u64 {
        self.lock().flushes
    }

    /// All records that were acknowledged.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().expect("no holder of this lock panics")
    }
}

impl Store for MemStore {
    fn load(&self) -> State {
        self.lock().state.clone()
    }

    fn next_op(&mut self) -> super::OpId {
        let mut shared = self.lock();
        shared.next_op += 1;
        super::OpId(shared.next_op)
    }

    fn append(&mut self, record: Record) {
        self.queue.push(record);
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.queue.is_empty() {
            return Ok(());
        }
        let queue = std::mem::take(&mut self.queue);
        let mut shared = self.lock();
        let crash = shared.crash_at.filter(|(at, _)| shared.flushes >= *at).map(|(_, side)| side);
        shared.flushes += 1;
        if crash != Some(CrashSide::Before) {
            queue.iter().for_each(|r| shared.state.apply(r));
            shared.records.extend(queue);
        }
        match crash {
            Some(_) => Err(StoreError { message: "simulated crash".into(), help: None }),
            None => Ok(()),
        }
    }
}
