//! The provider `archive`: files packed into one. The same input gives the same bytes.

mod pack;
mod sources;

use crate::digests;
use crate::kit::{
    Builtin, Data, Host, Kinds, Machine, Resource, exactly_one, invalid, is_unset, problem, text, with,
};
use crate::local::write;
use groma_provider::{OpContext, Problem, ProviderError, async_trait};
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting};
use groma_types::{Type, Value};

pub(crate) fn provider(machine: &Machine) -> Builtin {
    let kinds = Kinds::default().data(File).resource(File);
    Builtin::new("archive", "hashicorp/archive", Some(("2", "3")), Block::default(), kinds, machine)
}

/// `archive_file`, as data source and as resource.
struct File;

const TYPES: [&str; 2] = ["zip", "tar.gz"];
const SOURCES: [&str; 4] = ["source", "source_content_filename", "source_dir", "source_file"];

fn schema(as_resource: bool) -> KindSchema {
    let own = |attr: Attribute| if as_resource { attr.replaces() } else { attr };
    let option = |ty, doc| own(Attribute::optional(ty, doc));
    let source = Block::new("A file of given content.")
        .attr("content", own(Attribute::required(Type::String, "The content, as text.").sensitive()))
        .attr("filename", own(Attribute::required(Type::String, "Path of the file in the archive.")));
    let sources = NestedBlock::new(Nesting::Set, source);
    let links = "Links to folders are left out, instead of being followed.";
    let block = Block::new("An archive of files, written to `output_path`.")
        .attr("type", own(Attribute::required(Type::String, "zip or tar.gz.")))
        .attr("output_path", own(Attribute::required(Type::String, "Where the archive is written.")))
        .attr("source_file", option(Type::String, "The one file to pack."))
        .attr("source_dir", option(Type::String, "The folder to pack, with all that is in it."))
        .attr("source_content", option(Type::String, "Content of the one file to pack."))
        .attr("source_content_filename", option(Type::String, "Path in the archive for source_content."))
        .attr(
            "excludes",
            option(Type::set(Type::String), "What of source_dir is left out: paths or patterns."),
        )
        .attr("exclude_symlink_directories", option(Type::Bool, links))
        .attr("output_file_mode", option(Type::String, "Mode of all files in the archive, such as 0644."))
        .block("source", if as_resource { sources.replaces() } else { sources });
    let digest =
        |block: Block, (name, doc): (&str, &str)| block.attr(name, Attribute::computed(Type::String, doc));
    let block = [
        ("id", "SHA-1 of the archive, in hexadecimal."),
        ("output_md5", "MD5 of the archive, in hexadecimal."),
        ("output_sha", "SHA-1 of the archive, in hexadecimal."),
        ("output_sha256", "SHA-256 of the archive, in hexadecimal."),
        ("output_sha512", "SHA-512 of the archive, in hexadecimal."),
        ("output_base64sha256", "SHA-256 of the archive, in base64."),
        ("output_base64sha512", "SHA-512 of the archive, in base64."),
    ]
    .into_iter()
    .fold(block, digest)
    .attr("output_size", Attribute::computed(Type::Number, "Size of the archive in bytes."));
    KindSchema::new("archive_file", "archive", block)
}

fn check(config: &Value) -> Vec<Problem> {
    let is_empty = |name: &&str| config.get(name).and_then(Value::as_seq).is_some_and(<[Value]>::is_empty);
    let names: Vec<&str> = SOURCES.into_iter().filter(|n| !is_empty(n)).collect();
    let mut found = if names.iter().all(|n| is_unset(config, n)) {
        vec![crate::kit::whole(format!("one of {} must be set", SOURCES.join(", ")))]
    } else {
        exactly_one(config, &names)
    };
    if let Some(kind) = config.str_attr("type").filter(|t| !TYPES.contains(t)) {
        found.push(problem("type", format!("type must be zip or tar.gz, got {kind:?}")));
    }
    if !is_unset(config, "source_content") && is_unset(config, "source_content_filename") {
        found.push(problem("source_content", "source_content needs source_content_filename"));
    }
    if !is_unset(config, "source_content_filename") && is_unset(config, "source_content") {
        found.push(problem("source_content_filename", "source_content_filename needs source_content"));
    }
    if let Some(mode) = config.str_attr("output_file_mode").filter(|m| write::mode(m).is_none()) {
        found.push(problem(
            "output_file_mode",
            format!("output_file_mode must be octal digits such as \"0644\", got {mode:?}"),
        ));
    }
    found
}

/// Packs, writes, and tells what came out.
fn packed(host: &Host, config: &Value) -> Result<Value, ProviderError> {
    let entries = sources::gather(host, config)?;
    if entries.is_empty() {
        return Err(invalid("there is nothing to pack: every file is excluded, or there are none"));
    }
    let bytes = match text(config, "type") {
        "zip" => pack::zip(&entries)?,
        _ => pack::tar_gz(&entries)?,
    };
    write::whole(&host.path(text(config, "output_path")), &bytes, 0o666, 0o777)?;
    let sha = digests::sha1(&bytes);
    Ok(with(
        config,
        [
            ("id", sha.clone().into()),
            ("output_sha", sha.into()),
            ("output_md5", digests::md5(&bytes).into()),
            ("output_sha256", digests::sha256(&bytes).into()),
            ("output_sha512", digests::sha512(&bytes).into()),
            ("output_base64sha256", digests::base64sha256(&bytes).into()),
            ("output_base64sha512", digests::base64sha512(&bytes).into()),
            ("output_size", i64::try_from(bytes.len()).unwrap_or(i64::MAX).into()),
        ],
    ))
}

#[async_trait]
impl Data for File {
    fn schema(&self) -> KindSchema {
        schema(false)
    }
    fn validate(&self, config: &Value) -> Vec<Problem> {
        check(config)
    }
    async fn read(&self, host: &Host, config: &Value) -> Result<Option<Value>, ProviderError> {
        packed(host, config).map(Some)
    }
}

#[async_trait]
impl Resource for File {
    fn schema(&self) -> KindSchema {
        schema(true)
    }
    fn validate(&self, config: &Value) -> Vec<Problem> {
        check(config)
    }
    async fn create(&self, host: &Host, planned: &Value, _: &dyn OpContext) -> Result<Value, ProviderError> {
        packed(host, planned)
    }
}
