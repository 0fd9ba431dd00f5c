//! Settings from outside and the arguments of the provider block.

use crate::tags::Tags;
use crate::values::{block, text, text_map, texts};
use groma_types::schema::{Attribute, Block, NestedBlock};
use groma_types::{Type, Value};
use std::fmt;
use std::sync::Arc;

/// A key pair, with a session token where it is a temporary one.
#[derive(Clone)]
pub struct StaticCredentials {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticCredentials {{ access_key: {:?} }}", self.access_key)
    }
}

/// Gives the credentials of a profile; `None` is the default profile.
pub type CredentialSource = Arc<dyn Fn(Option<&str>) -> StaticCredentials + Send + Sync>;

/// What the program, not the user's spec, decides.
#[derive(Clone, Default)]
pub struct AwsSettings {
    /// One address for all services (the sandbox, an emulator); the real endpoints if absent.
    pub endpoint_url: Option<String>,
    /// If present, no credential source of the machine is read, nor are keys of the spec used.
    pub static_credentials: Option<CredentialSource>,
}

/// The arguments of the provider block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProviderArgs {
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) keys: Option<(String, String, Option<String>)>,
    pub(crate) assume_role: Option<AssumeRole>,
    pub(crate) default_tags: Tags,
    pub(crate) allowed_accounts: Vec<String>,
    pub(crate) forbidden_accounts: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssumeRole {
    pub(crate) role_arn: String,
    pub(crate) session_name: Option<String>,
    pub(crate) external_id: Option<String>,
}

impl ProviderArgs {
    pub(crate) fn of(config: &Value) -> ProviderArgs {
        let keys = text(config, "access_key").zip(text(config, "secret_key"));
        ProviderArgs {
            region: text(config, "region"),
            profile: text(config, "profile"),
            keys: keys.map(|(access, secret)| (access, secret, text(config, "token"))),
            assume_role: block(config, "assume_role").and_then(|b| {
                Some(AssumeRole {
                    role_arn: text(b, "role_arn")?,
                    session_name: text(b, "session_name"),
                    external_id: text(b, "external_id"),
                })
            }),
            default_tags: block(config, "default_tags").and_then(|b| text_map(b, "tags")).unwrap_or_default(),
            allowed_accounts: texts(config, "allowed_account_ids").unwrap_or_default(),
            forbidden_accounts: texts(config, "forbidden_account_ids").unwrap_or_default(),
        }
    }
}

/// Schema of the provider block.
pub(crate) fn schema() -> Block {
    let text = |doc: &str| Attribute::optional(Type::String, doc);
    let assume_role = Block::new("A role to assume with the credentials found.")
        .attr("role_arn", Attribute::optional(Type::String, "ARN of the role."))
        .attr("session_name", text("Name of the session."))
        .attr("external_id", text("External id that the role's trust policy asks for."));
    let default_tags = Block::new("Tags of all resources of this provider configuration.")
        .attr("tags", Attribute::optional(Type::map(Type::String), "Keys and values."));
    Block::new("Amazon Web Services.")
        .attr("region", text("Region; otherwise AWS_REGION, AWS_DEFAULT_REGION or the profile's."))
        .attr("profile", text("Profile of the shared configuration files."))
        .attr("access_key", text("Access key id.").sensitive())
        .attr("secret_key", text("Secret access key.").sensitive())
        .attr("token", text("Session token.").sensitive())
        .attr(
            "allowed_account_ids",
            Attribute::optional(Type::set(Type::String), "The only accounts that may be worked on."),
        )
        .attr(
            "forbidden_account_ids",
            Attribute::optional(Type::set(Type::String), "Accounts that must not be worked on."),
        )
        .block("assume_role", NestedBlock::one(assume_role))
        .block("default_tags", NestedBlock::one(default_tags))
}

/// A group of regions with names, domains and accounts of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) id: &'static str,
    pub(crate) dns_suffix: &'static str,
    pub(crate) reverse_dns_prefix: &'static str,
}

const PARTITIONS: [(&str, Partition); 6] = [
    (
        "cn-",
        Partition { id: "aws-cn", dns_suffix: "amazonaws.com.cn", reverse_dns_prefix: "cn.com.amazonaws" },
    ),
    (
        "us-gov-",
        Partition { id: "aws-us-gov", dns_suffix: "amazonaws.com", reverse_dns_prefix: "com.amazonaws" },
    ),
    ("us-iso-", Partition { id: "aws-iso", dns_suffix: "c2s.ic.gov", reverse_dns_prefix: "gov.ic.c2s" }),
    (
        "us-isob-",
        Partition { id: "aws-iso-b", dns_suffix: "sc2s.sgov.gov", reverse_dns_prefix: "gov.sgov.sc2s" },
    ),
    ("eusc-", Partition { id: "aws-eusc", dns_suffix: "amazonaws.eu", reverse_dns_prefix: "eu.amazonaws" }),
    ("", Partition { id: "aws", dns_suffix: "amazonaws.com", reverse_dns_prefix: "com.amazonaws" }),
];

/// Returns the partition that a region belongs to.
pub(crate) fn partition_of(region: &str) -> Partition {
    let found = PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix));
    found.expect("invariant: the last prefix is empty").1
}
