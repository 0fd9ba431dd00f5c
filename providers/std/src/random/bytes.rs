//! `random_bytes`: random bytes, as base64 and as hexadecimal text. Both are secret.

use super::keepers;
use crate::kit::{Host, Resource, at_least, int, invalid, with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use groma_provider::{OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct Bytes;

fn attributes(bytes: &[u8]) -> [(&'static str, Value); 2] {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    [("base64", STANDARD.encode(bytes).into()), ("hex", hex.into())]
}

#[async_trait]
impl Resource for Bytes {
    fn schema(&self) -> KindSchema {
        let block = Block::new("Random bytes for secrets: keys, tokens.")
            .attr("keepers", keepers())
            .attr("length", Attribute::required(Type::Number, "How many bytes; at least 1.").replaces())
            .attr("base64", Attribute::computed(Type::String, "The bytes in base64.").sensitive())
            .attr("hex", Attribute::computed(Type::String, "The bytes in hexadecimal.").sensitive());
        KindSchema::new("random_bytes", "random", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        at_least(config, &[("length", 1)])
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let length = int(planned, "length").and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        let mut bytes = vec![0; length];
        host.env.entropy.fill(&mut bytes);
        Ok(with(planned, attributes(&bytes)))
    }

    async fn import(&self, _: &Host, id: &str) -> Result<Value, ProviderError> {
        let bytes = STANDARD.decode(id).map_err(|e| invalid(format!("the id is not base64: {e}")))?;
        let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        Ok(with(&Value::object([("length", Value::from(length))]), attributes(&bytes)))
    }
}
