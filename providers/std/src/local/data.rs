//! Data sources `local_file` and `local_sensitive_file`: the content of a file.

use super::file::{attributes, with_digests};
use super::write;
use crate::kit::{Data, Host, text, with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use groma_provider::{ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct File {
    pub(super) secret: bool,
}

#[async_trait]
impl Data for File {
    fn schema(&self) -> KindSchema {
        let content = |doc| {
            let attr = Attribute::computed(Type::String, doc);
            if self.secret { attr.sensitive() } else { attr }
        };
        let block = Block::new("The content of a file of this machine.")
            .attr("filename", Attribute::required(Type::String, "Path of the file."))
            .attr("content", content("The content as text."))
            .attr("content_base64", content("The content in base64."));
        let kind = if self.secret { "local_sensitive_file" } else { "local_file" };
        KindSchema::new(kind, "local", with_digests(block))
    }

    async fn read(&self, host: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        let Some(bytes) = write::read(&host.path(text(config, "filename")))? else { return Ok(None) };
        let content = [
            ("content", Value::from(String::from_utf8_lossy(&bytes).into_owned())),
            ("content_base64", STANDARD.encode(&bytes).into()),
        ];
        Ok(Some(with(&with(config, attributes(&bytes)), content)))
    }
}
