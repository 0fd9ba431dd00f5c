//! `local_file` and `local_sensitive_file`: a file with given content. A file that is gone or changed is written anew.

use super::write;
use crate::digests;
use crate::kit::{Host, Resource, exactly_one, invalid, is_unset, problem, text, with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use groma_provider::{OpContext, PlanInput, PlanOutput, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema};
use groma_types::{Type, Value};

pub(super) struct File {
    pub(super) secret: bool,
}

const DIGESTS: [(&str, &str); 7] = [
    ("content_md5", "MD5 of the content, in hexadecimal."),
    ("content_sha1", "SHA-1 of the content, in hexadecimal."),
    ("content_sha256", "SHA-256 of the content, in hexadecimal."),
    ("content_base64sha256", "SHA-256 of the content, in base64."),
    ("content_sha512", "SHA-512 of the content, in hexadecimal."),
    ("content_base64sha512", "SHA-512 of the content, in base64."),
    ("id", "SHA-1 of the content, in hexadecimal."),
];

/// The attributes that follow from the content.
pub(super) fn attributes(bytes: &[u8]) -> [(&'static str, Value); 7] {
    [
        ("content_md5", digests::md5(bytes).into()),
        ("content_sha1", digests::sha1(bytes).into()),
        ("content_sha256", digests::sha256(bytes).into()),
        ("content_base64sha256", digests::base64sha256(bytes).into()),
        ("content_sha512", digests::sha512(bytes).into()),
        ("content_base64sha512", digests::base64sha512(bytes).into()),
        ("id", digests::sha1(bytes).into()),
    ]
}

pub(super) fn with_digests(block: Block) -> Block {
    DIGESTS.iter().fold(block, |b, (name, doc)| b.attr(name, Attribute::computed(Type::String, doc)))
}

impl File {
    fn sources(&self) -> &'static [&'static str] {
        if self.secret {
            &["content", "content_base64", "source"]
        } else {
            &["content", "sensitive_content", "content_base64", "source"]
        }
    }

    /// The content, where the arguments themselves tell it.
    fn written(&self, planned: &Value) -> Option<Result<Vec<u8>, ProviderError>> {
        let content = planned.str_attr("content").or_else(|| planned.str_attr("sensitive_content"));
        if let Some(content) = content {
            return Some(Ok(content.as_bytes().to_vec()));
        }
        let encoded = planned.str_attr("content_base64")?;
        Some(STANDARD.decode(encoded).map_err(|e| invalid(format!("content_base64 is not base64: {e}"))))
    }

    fn bytes(&self, host: &Host, planned: &Value) -> Result<Vec<u8>, ProviderError> {
        if let Some(written) = self.written(planned) {
            return written;
        }
        let source = text(planned, "source");
        let missing = || invalid(format!("the source {source} is not there"));
        write::read(&host.path(source))?.ok_or_else(missing)
    }
}

#[async_trait]
impl Resource for File {
    fn schema(&self) -> KindSchema {
        let mode = if self.secret { "0700" } else { "0777" };
        let content = |doc| Attribute::optional(Type::String, doc).replaces();
        let hide = |attr: Attribute| if self.secret { attr.sensitive() } else { attr };
        let permission = |doc| Attribute::optional(Type::String, doc).default(mode).replaces();
        let block = Block::new("A file with given content on this machine.")
            .attr(
                "filename",
                Attribute::required(Type::String, "Path of the file; missing folders are made.").replaces(),
            )
            .attr("content", hide(content("The content as text.")))
            .attr("content_base64", hide(content("The content in base64, for bytes that are no text.")))
            .attr("source", content("Path of a file whose content is taken when this one is made."))
            .attr("file_permission", permission("Mode of the file, in octal digits, cut by the umask."))
            .attr("directory_permission", permission("Mode of the folders that are made, in octal digits."));
        let block = if self.secret {
            block
        } else {
            let older = content("The content, secret.").sensitive();
            block.attr(
                "sensitive_content",
                Attribute { deprecated: Some("Use local_sensitive_file.".into()), ..older },
            )
        };
        let kind = if self.secret { "local_sensitive_file" } else { "local_file" };
        KindSchema::new(kind, "local", with_digests(block))
    }

    fn validate(&self, config: &Value) -> Vec<Problem> {
        let mut found = exactly_one(config, self.sources());
        for name in ["file_permission", "directory_permission"] {
            if let Some(text) = config.str_attr(name).filter(|t| write::mode(t).is_none()) {
                let message =
                    format!("{name} must be three or four octal digits such as \"0644\", got {text:?}");
                found.push(problem(name, message));
            }
        }
        if let Some(Err(error)) = self.written(config) {
            found.push(problem("content_base64", error.message));
        }
        found
    }

    /// What the arguments tell is known before the file is written.
    fn plan(&self, input: PlanInput<'_>) -> Result<PlanOutput, ProviderError> {
        let mut planned = input.proposed;
        if is_unset(&planned, "source")
            && let Some(bytes) = self.written(&planned)
        {
            planned = with(&planned, attributes(&bytes?));
        }
        Ok(PlanOutput { planned, requires_replace: Vec::new() })
    }

    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        let bytes = self.bytes(host, planned)?;
        let mode = |name| write::mode(text(planned, name)).unwrap_or(0o700);
        let path = host.path(text(planned, "filename"));
        write::whole(&path, &bytes, mode("file_permission"), mode("directory_permission"))?;
        Ok(with(planned, attributes(&bytes)))
    }

    async fn read(&self, host: &Host, prior: &Value) -> Result<Option<Value>, ProviderError> {
        let bytes = write::read(&host.path(text(prior, "filename")))?;
        let same = bytes.is_some_and(|b| digests::sha1(&b) == text(prior, "id"));
        Ok(same.then(|| prior.clone()))
    }

    async fn delete(&self, host: &Host, prior: &Value, _: &dyn OpContext) -> Result<(), ProviderError> {
        // A file with other content is somebody else's by now: a user's, or another resource's at the same path.
        match self.read(host, prior).await? {
            Some(_) => write::remove(&host.path(text(prior, "filename"))),
            None => Ok(()),
        }
    }

    /// A file is written whole: with the planned content it is ours, and else it is written anew.
    async fn recover(&self, host: &Host, planned: &Value) -> Result<Option<Value>, ProviderError> {
        let there = write::read(&host.path(text(planned, "filename")))?;
        let Ok(wanted) = self.bytes(host, planned) else { return Ok(None) };
        Ok((there.as_deref() == Some(&wanted)).then(|| with(planned, attributes(&wanted))))
    }
}
