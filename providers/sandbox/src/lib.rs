//! The sandbox: a process that stands in for the clouds on loopback.
//!
//! It serves the HTTP APIs that cloud clients call (AWS: STS, IAM, EC2, EKS; for every cluster made
//! there a Kubernetes API), keeps its world durably in a folder, runs on simulated time, and fails on
//! demand. It knows no client of this project and none knows it: clients only see other endpoints and
//! other credentials. It is written from the vendors' published descriptions of their APIs.
//!
//! `serve` is the process, `client` is how a command starts, joins, asks and stops it, `accounts` says
//! which keys open which account.

mod accounts;
mod aws;
pub mod client;
mod clock;
mod core;
mod crypto;
mod faults;
mod http;
mod kube;
mod server;
mod sigv4;
#[cfg(test)]
mod socket_tests;
mod store;
#[cfg(test)]
mod tests;

pub use accounts::{Credentials, DEFAULT_ACCOUNT, credentials};
pub use aws::default_subnets;
pub use clock::ClockReading;
pub use core::{Sandbox, Switches};
pub use http::{Reply, Request};
pub use server::{Error, ServeOptions, Server, serve};
pub use sigv4::cluster_token;
