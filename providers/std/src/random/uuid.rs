//! `random_uuid`, `random_uuid4` and `random_uuid7`: universally unique ids.

use super::keepers;
use crate::kit::{Host, Resource, invalid, with};
use groma_provider::{Entropy, OpContext, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Timestamp, Type, Value};

pub(super) struct Uuid {
    pub(super) kind: &'static str,
    pub(super) version: u8,
}

/// A random UUID of version 4.
pub(crate) fn v4(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    written(bytes, 4)
}

/// A UUID of version 7: its moment in milliseconds, then random bits.
fn v7(entropy: &dyn Entropy, now: Timestamp) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    bytes[..6].copy_from_slice(&now.0.to_be_bytes()[2..]);
    written(bytes, 7)
}

fn written(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(i, c)| match i {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

fn attributes(uuid: &str) -> [(&'static str, Value); 2] {
    [("result", uuid.into()), ("id", uuid.into())]
}

#[async_trait]
impl Resource for Uuid {
    fn schema(&self) -> KindSchema {
        let doc = format!("A random UUID of version {}.", self.version);
        let block = Block::new(&doc)
            .attr("keepers", keepers())
            .attr("result", Attribute::computed(Type::String, "The UUID."))
            .attr("id", Attribute::computed(Type::String, "The UUID."));
        KindSchema::new(self.kind, "random", block)
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let entropy = &*host.env.entropy;
        let uuid = if self.version == 7 { v7(entropy, host.env.clock.now()) } else { v4(entropy) };
        Ok(with(planned, attributes(&uuid)))
    }

    async fn import(&self, _: &Host, id: &str) -> Result<Value, ProviderError> {
        let uuid = id.to_ascii_lowercase();
        if !is_uuid(&uuid) {
            return Err(invalid(format!("{id:?} is not a UUID")).help("Write the UUID itself as the id."));
        }
        Ok(Value::object(attributes(&uuid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groma_provider_sim::SimEntropy;

    #[test]
    fn versions_stand_where_they_belong() {
        let entropy = SimEntropy::new(1);
        let four = v4(&entropy);
        assert!(is_uuid(&four) && &four[14..15] == "4" && "89ab".contains(&four[19..20]), "{four}");
        let seven = v7(&entropy, Timestamp(0x0123_4567_89ab));
        assert!(seven.starts_with("01234567-89ab-7"), "{seven}");
        assert!(!is_uuid("x") && !is_uuid(&four.replace('-', "0")));
    }
}
