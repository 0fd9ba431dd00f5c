//! Built-in providers: what needs no cloud. Kinds and attributes are those of Terraform's small providers.
//!
//! Most objects live in the state alone: reading gives back what is remembered, and after a crash nothing of an
//! unfinished create is left anywhere. One file is one kind or a family of kinds; [`kit`] is what they share.

mod archive;
mod cloudinit;
mod digests;
mod external;
mod groma_stack;
mod http;
mod kit;
mod local;
mod net;
mod null;
mod random;
mod terraform;
mod time;
mod tls;

pub use kit::{Builtin, Machine, Stacks};

/// All of them.
pub fn providers(machine: &Machine) -> Vec<Builtin> {
    [
        archive::provider,
        cloudinit::provider,
        external::provider,
        groma_stack::provider,
        http::provider,
        local::provider,
        null::provider,
        random::provider,
        terraform::provider,
        time::provider,
        tls::provider,
    ]
    .map(|provider| provider(machine))
    .into()
}

#[cfg(test)]
mod tests;
