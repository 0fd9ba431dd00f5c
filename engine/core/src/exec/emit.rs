//! The one place that numbers events. Providers' call records come in from any thread; the run's own events from its
//! task; the stream is totally ordered by `seq`.

use crate::event::{Event, EventKind, EventSink};
use groma_provider::{CallLog, CallRecord, Clock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub struct Emitter {
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    seq: u64,
    calls: BTreeMap<String, usize>,
    mutating: BTreeMap<String, usize>,
}

impl Emitter {
    pub fn new(sink: Arc<dyn EventSink>, clock: Arc<dyn Clock>) -> Arc<Emitter> {
        Arc::new(Emitter { sink, clock, inner: Mutex::default() })
    }

    pub fn emit(&self, kind: EventKind) {
        let mut inner = self.inner.lock().expect("no holder of this lock panics");
        inner.seq += 1;
        // The lock is held while the sink runs: the order of numbers is the order of arrival.
        self.sink.event(Event { seq: inner.seq, at: self.clock.now(), kind });
    }

    /// Calls by service: all, and those that can change something.
    pub fn calls(&self) -> (BTreeMap<String, usize>, BTreeMap<String, usize>) {
        let inner = self.inner.lock().expect("no holder of this lock panics");
        (inner.calls.clone(), inner.mutating.clone())
    }
}

impl CallLog for Emitter {
    fn call(&self, record: CallRecord) {
        {
            let mut inner = self.inner.lock().expect("no holder of this lock panics");
            *inner.calls.entry(record.service.to_string()).or_default() += 1;
            if record.mutating {
                *inner.mutating.entry(record.service.to_string()).or_default() += 1;
            }
        }
        self.emit(EventKind::Call(record));
    }
}
