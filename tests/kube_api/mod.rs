//! The Kubernetes provider against a real API server (`tests/kube/`), from outside: the binary on one side, `kubectl` on
//! the other.
//!
//! These tests are ignored by default, since they need a server that only Go can build: `tests/kube/build.sh FILE`, then
//! `GROMA_KUBE_SERVER=FILE cargo test --workspace --test it kube_api -- --ignored`. `.ci/run` does so where Go is.

mod app;
mod hands;
mod kinds;
mod many;
mod refusals;
mod server;
mod waits;
