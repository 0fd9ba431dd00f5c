//! `random_id`: random bytes in the forms that names want.

use super::keepers;
use crate::kit::{Host, Resource, at_least, int, invalid, text, with};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dashu_int::UBig;
use groma_provider::{OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct Id;

/// The bytes in every form; all but `id` begin with the prefix.
fn attributes(bytes: &[u8], prefix: &str) -> [(&'static str, Value); 5] {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let url = URL_SAFE_NO_PAD.encode(bytes);
    let led = |form: &str| Value::from(format!("{prefix}{form}"));
    [
        ("b64_std", led(&STANDARD.encode(bytes))),
        ("b64_url", led(&url)),
        ("hex", led(&hex)),
        ("dec", led(&UBig::from_be_bytes(bytes).to_string())),
        ("id", url.into()),
    ]
}

#[async_trait]
impl Resource for Id {
    fn schema(&self) -> KindSchema {
        let block = Block::new("Random bytes, in the forms that names and ids want. Not secret.")
            .attr("keepers", keepers())
            .attr("byte_length", Attribute::required(Type::Number, "How many bytes; at least 1.").replaces())
            .attr("prefix", Attribute::optional(Type::String, "Text before every form but `id`.").replaces())
            .attr("b64_std", Attribute::computed(Type::String, "In base64, after the prefix."))
            .attr(
                "b64_url",
                Attribute::computed(Type::String, "In base64 that is safe in URLs, after the prefix."),
            )
            .attr("dec", Attribute::computed(Type::String, "As a decimal number, after the prefix."))
            .attr("hex", Attribute::computed(Type::String, "In hexadecimal, after the prefix."))
            .attr(
                "id",
                Attribute::computed(Type::String, "In base64 that is safe in URLs, without the prefix."),
            );
        KindSchema::new("random_id", "random", block)
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        at_least(config, &[("byte_length", 1)])
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let length = int(planned, "byte_length").and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        let mut bytes = vec![0; length];
        host.env.entropy.fill(&mut bytes);
        Ok(with(planned, attributes(&bytes, text(planned, "prefix"))))
    }

    /// `ID` or `PREFIX,ID`.
    async fn import(&self, _: &Host, id: &str) -> Result<Value, ProviderError> {
        let (prefix, url) = id.rsplit_once(',').map_or((None, id), |(p, i)| (Some(p), i));
        let bytes = URL_SAFE_NO_PAD.decode(url).map_err(|e| {
            invalid(format!("{url:?} is not base64 as URLs have it: {e}")).help("Write ID or PREFIX,ID.")
        })?;
        let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let written = Value::object([
            ("byte_length", Value::from(length)),
            ("prefix", prefix.map_or(Value::null(Type::String), Value::from)),
        ]);
        Ok(with(&written, attributes(&bytes, prefix.unwrap_or_default())))
    }
}
