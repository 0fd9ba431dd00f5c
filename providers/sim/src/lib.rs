//! A provider whose world lies in memory, for tests and deterministic simulation of the engine.
//!
//! A [`SimWorld`] is the cloud: it outlives runs and crashes of the engine, has quotas, latencies, eventual
//! consistency and faults on demand, and can be looked at from outside. [`SimProvider::cloud`] (`sim`) and
//! [`SimProvider::hosted`] (`simkube`, whose objects live on a `sim_host`) are its clients. [`SimClock`] and
//! [`SimEntropy`] make a run repeatable: [`block_on`] drives a future in virtual time.
//!
//! Invariants: a world changes only under its lock and in whole steps, so that dropping a client's future at any
//! point leaves what a real API would; nothing here reads the machine's clock or randomness.

mod client;
mod clock;
mod kinds;
mod provider;
mod world;

#[cfg(test)]
mod tests;

pub use clock::{SimClock, SimEntropy, block_on, block_on_until_crash};
pub use provider::SimProvider;
pub use world::{Fault, Latency, Op, SimCall, SimConfig, SimObject, SimWorld, When};
