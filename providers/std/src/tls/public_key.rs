//! Data source `tls_public_key`: the public half of a private key.

use super::key::Key;
use super::private_key::with_public;
use super::ssh;
use crate::kit::{Data, Host, exactly_one, invalid, with};
use groma_provider::{Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{AttrPath, Type, Value};

pub(super) struct PublicKey;

#[async_trait]
impl Data for PublicKey {
    fn schema(&self) -> KindSchema {
        let secret = |doc| Attribute::optional(Type::String, doc).sensitive();
        let block = Block::new("The public half of a private key.")
            .attr("private_key_pem", secret("The private key in PEM."))
            .attr("private_key_openssh", secret("The private key as OpenSSH has it in a file."))
            .attr("algorithm", Attribute::computed(Type::String, "RSA, ECDSA or ED25519."));
        KindSchema::new("tls_public_key", "tls", with_public(block))
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        exactly_one(config, &["private_key_openssh", "private_key_pem"])
    }

    async fn read(&self, _: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        let (name, key) = match config.str_attr("private_key_openssh") {
            Some(text) => ("private_key_openssh", ssh::read(text)),
            None => {
                ("private_key_pem", Key::from_pem(config.str_attr("private_key_pem").unwrap_or_default()))
            }
        };
        let wrong = |why| invalid(format!("{name} can't be read: {why}")).at(AttrPath::root().attr(name));
        let key = key.map_err(wrong)?;
        let algorithm = [("algorithm", Value::from(key.algorithm.name()))];
        Ok(Some(with(&with(config, algorithm), key.public_attributes()?)))
    }
}
