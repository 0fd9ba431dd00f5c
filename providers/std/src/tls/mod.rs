//! The provider `tls`: keys, requests and certificates, and what the certificates of others say.
//!
//! Keys of RSA and ECDSA come from the crypto library, which takes no randomness from outside; all else that is random
//! (Ed25519 keys, serial numbers) is the run's.

mod certificate;
mod csr;
mod dial;
mod issue;
mod key;
mod locally_signed;
mod private_key;
mod public_key;
mod request;
mod self_signed;
mod ssh;
mod subject;
mod validity;

use crate::kit::{Builtin, Kinds, Machine};
use ::pem::{EncodeConfig, LineEnding, Pem};
use groma_types::schema::Block;

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default()
        .resource(private_key::PrivateKey)
        .ephemeral(private_key::PrivateKey)
        .resource(request::CertRequest)
        .resource(self_signed::SelfSigned)
        .resource(locally_signed::LocallySigned)
        .data(public_key::PublicKey)
        .data(certificate::Certificate);
    Builtin::new("tls", "hashicorp/tls", Some(("4", "5")), Block::default(), kinds, machine)
}

/// A PEM block with the line ends of every system but one.
fn pem(tag: &str, der: impl Into<Vec<u8>>) -> String {
    ::pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

#[cfg(test)]
mod tests;
