//! What a provider takes from outside: clock, randomness, network policy, call log, environment variables.

use futures::future::BoxFuture;
use groma_types::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The clock of a run: the wall's, the sandbox's or the simulation's.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Ends when `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The randomness of a run; seeded under simulation.
pub trait Entropy: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);

    /// Returns a random lower-case hexadecimal text of `bytes` bytes.
    fn hex(&self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        self.fill(&mut buffer);
        buffer.iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// One call to an API, as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// `eks`, `iam`, `ec2`, `sts`, `kubernetes`.
    pub service: Arc<str>,
    /// `CreateCluster`, `PATCH deployments`.
    pub operation: Arc<str>,
    pub millis: u64,
    /// HTTP status; 0 if no answer came.
    pub status: u16,
    pub request_id: Option<Arc<str>>,
    /// From 1.
    pub attempt: u32,
    /// Whether the call can change something.
    pub mutating: bool,
}

pub trait CallLog: Send + Sync {
    fn call(&self, record: CallRecord);
}

/// Drops all records.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLog;
impl CallLog for NoLog {
    fn call(&self, _: CallRecord) {}
}

/// Which addresses clients may talk to.
#[derive(Clone, Debug)]
pub enum NetworkPolicy {
    /// Any; TLS verified, plain http only to loopback.
    Open,
    /// Only these: in sandbox mode, those that the sandbox serves on.
    Only(BTreeSet<SocketAddr>),
    /// Loopback addresses on any port; for sandboxes that open ports while the run goes on.
    LoopbackOnly,
}

impl NetworkPolicy {
    pub fn allows(&self, address: SocketAddr) -> bool {
        match self {
            NetworkPolicy::Open => true,
            NetworkPolicy::Only(set) => set.contains(&address),
            NetworkPolicy::LoopbackOnly => address.ip().is_loopback(),
        }
    }
}

#[derive(Clone)]
pub struct Environment {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub calls: Arc<dyn CallLog>,
    pub network: NetworkPolicy,
    /// Environment variables that a provider may look at; empty in sandbox mode.
    pub vars: Arc<BTreeMap<String, String>>,
}
