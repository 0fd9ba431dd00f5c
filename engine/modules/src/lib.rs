//! Modules from elsewhere: git repositories, https archives, registries.
//!
//! A source is read ([`address`]), resolved to what it stands for now, fetched into a cache that is addressed by content
//! ([`cache`]), and held against `groma.lock` ([`lock`]), which pins it. What a package may hold is in [`tree`].
//!
//! Invariants: nothing that was fetched is run or interpreted here. No text of a source becomes an option or another
//! program. A package is in the cache only whole and checked. No credential reaches the cache, the lock or a message.

pub mod address;
pub mod archive;
pub mod cache;
pub mod fetch;
mod git;
mod http;
pub mod lock;
pub mod place;
mod registry;
pub mod tree;

use groma_types::Diagnostic;

/// A fault without a place: the caller knows where the source is written.
pub type Fault = Box<Diagnostic>;

fn fault_with_help(
    code: &'static str,
    summary: &'static str,
    detail: impl Into<String>,
    help: impl Into<String>,
) -> Fault {
    Box::new(Diagnostic::error(code, summary).detail(detail).help(help))
}

fn not_fetched(source: &str, why: &str) -> Fault {
    fault_with_help(
        "G0523",
        "A module cannot be fetched",
        format!("{source}: {why}."),
        "Look whether the address is right, whether it is reachable from here, and whether credentials for it are there.",
    )
}

/// Bytes as small hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}
