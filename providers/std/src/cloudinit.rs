//! The provider `cloudinit`: user data of several parts.

use crate::kit::{Builtin, Data, Host, Kinds, Machine, Resource, bug, flag, problem, text, with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};
use groma_provider::{OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting};
use groma_types::{Type, Value};
use std::io::Write;

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default().data(Config).resource(Config);
    Builtin::new("cloudinit", "hashicorp/cloudinit", Some(("2", "3")), Block::default(), kinds, machine)
}

/// `cloudinit_config`, as data source and as resource.
struct Config;

fn schema(as_resource: bool) -> KindSchema {
    let own = |attr: Attribute| if as_resource { attr.replaces() } else { attr };
    let part = Block::new("One part.")
        .attr("content", own(Attribute::required(Type::String, "The text of the part.")))
        .attr("content_type", own(Attribute::optional(Type::String, "Its type; text/plain if not set.")))
        .attr("filename", own(Attribute::optional(Type::String, "Its file name.")))
        .attr("merge_type", own(Attribute::optional(Type::String, "Its header X-Merge-Type.")));
    let parts = NestedBlock::new(Nesting::List, part).required();
    let on = |doc| own(Attribute::optional(Type::Bool, doc).default(true));
    let boundary = Attribute::optional(Type::String, "The line between parts.").default("MIMEBOUNDARY");
    let block = Block::new("User data for cloud-init, made of parts.")
        .attr("gzip", on("Compressed; needs base64_encode."))
        .attr("base64_encode", on("In base64."))
        .attr("boundary", own(boundary))
        .attr("rendered", Attribute::computed(Type::String, "The user data."))
        .attr("id", Attribute::computed(Type::String, "CRC-32 of the user data."))
        .block("part", if as_resource { parts.replaces() } else { parts });
    KindSchema::new("cloudinit_config", "cloudinit", block)
}

fn check(config: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    if flag(config, "gzip") == Some(true) && flag(config, "base64_encode") == Some(false) {
        found.push(problem(
            "base64_encode",
            "base64_encode must be true where gzip is: compressed text is no text",
        ));
    }
    if let Some(boundary) = config.str_attr("boundary") {
        let is_good = (1..=70).contains(&boundary.len())
            && boundary.bytes().all(|b| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b))
            && !boundary.ends_with(' ');
        if !is_good {
            found.push(problem(
                "boundary",
                "boundary must be 1 to 70 letters, digits or some signs, as MIME has it",
            ));
        }
    }
    found
}

/// The parts as one MIME message.
fn message(config: &Value) -> String {
    let boundary = text(config, "boundary");
    let mut out =
        format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\r\n\r\n");
    for part in config.get("part").and_then(Value::as_seq).unwrap_or_default() {
        out.push_str(&format!("--{boundary}\r\n"));
        if let Some(name) = part.str_attr("filename").filter(|n| !n.is_empty()) {
            out.push_str(&format!("Content-Disposition: attachment; filename=\"{name}\"\r\n"));
        }
        out.push_str("Content-Transfer-Encoding: 7bit\r\n");
        let kind = part.str_attr("content_type").filter(|t| !t.is_empty()).unwrap_or("text/plain");
        out.push_str(&format!("Content-Type: {kind}\r\nMime-Version: 1.0\r\n"));
        if let Some(merge) = part.str_attr("merge_type").filter(|m| !m.is_empty()) {
            out.push_str(&format!("X-Merge-Type: {merge}\r\n"));
        }
        out.push_str(&format!("\r\n{}\r\n", text(part, "content")));
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    out
}

fn rendered(config: &Value) -> Result<Value, ProviderError> {
    let message = message(config);
    let bytes = if flag(config, "gzip") == Some(true) {
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        let done = gzip.write_all(message.as_bytes()).and_then(|()| gzip.finish());
        done.map_err(|e| bug(format!("gzip: {e}")))?
    } else {
        message.into_bytes()
    };
    let text = if flag(config, "base64_encode") == Some(true) {
        STANDARD.encode(bytes)
    } else {
        String::from_utf8(bytes).map_err(|_| bug("the parts are text"))?
    };
    let id = crc32fast::hash(text.as_bytes()).to_string();
    // What a secret is part of is one.
    let marks = config.deep_marks();
    Ok(with(config, [("rendered", Value::from(text).mark(marks)), ("id", id.into())]))
}

#[async_trait]
impl Data for Config {
    fn schema(&self) -> KindSchema {
        schema(false)
    }
    fn validate(&self, config: &Value) -> Vec<Problem> {
        check(config)
    }
    async fn read(&self, _: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        rendered(config).map(Some)
    }
}

#[async_trait]
impl Resource for Config {
    fn schema(&self) -> KindSchema {
        schema(true)
    }
    fn validate(&self, config: &Value) -> Vec<Problem> {
        check(config)
    }
    async fn create(&self, _: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        rendered(planned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_as_terraforms() {
        let part =
            Value::object([("content", "foo".into()), ("content_type", Value::from("text/x-shellscript"))]);
        let second = Value::object(
            [("content", "bar"), ("filename", "b.sh"), ("merge_type", "m")].map(|(k, v)| (k, Value::from(v))),
        );
        let config =
            Value::object([("boundary", Value::from("B")), ("part", Value::tuple(vec![part, second]))]);
        let expected = "Content-Type: multipart/mixed; boundary=\"B\"\nMIME-Version: 1.0\r\n\r\n\
            --B\r\nContent-Transfer-Encoding: 7bit\r\nContent-Type: text/x-shellscript\r\nMime-Version: 1.0\r\n\r\nfoo\r\n\
            --B\r\nContent-Disposition: attachment; filename=\"b.sh\"\r\nContent-Transfer-Encoding: 7bit\r\n\
            Content-Type: text/plain\r\nMime-Version: 1.0\r\nX-Merge-Type: m\r\n\r\nbar\r\n--B--\r\n";
        assert_eq!(message(&config), expected);
    }
}
