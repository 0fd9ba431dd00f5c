//! What the engine asks of a provider, and the answers.

use crate::env::Environment;
use crate::error::ProviderError;
use async_trait::async_trait;
use groma_types::schema::Timeouts;
use groma_types::{AttrPath, Resolved, Timestamp, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A fault that a provider finds in arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: AttrPath,
    pub message: String,
    pub help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Create,
    Update,
    Delete,
}

pub struct PlanInput<'a> {
    /// The object as it is; `None` for a create.
    pub prior: Option<&'a Value>,
    pub prior_private: Option<&'a Json>,
    /// The configuration, with defaults and nulls filled in; may hold unknowns.
    pub config: &'a Value,
    /// What the engine proposes from the schema; may hold unknowns.
    pub proposed: Value,
    /// The provider configuration as far as known (for computed values such as an ARN's region); may hold unknowns.
    pub provider_config: &'a Value,
}

#[derive(Clone, Debug)]
pub struct PlanOutput {
    /// The proposed value, refined. MUST equal the configuration where the configuration has a value,
    /// but may keep the prior value where the two mean the same.
    pub planned: Value,
    /// Places whose change can't be made in place, beyond those that the schema says.
    pub requires_replace: Vec<AttrPath>,
}

/// An argument of a provider that is minted at each use.
#[async_trait]
pub trait Minter: Send + Sync {
    /// Returns the present value; `renew` asks for a new one although the old has not expired (after a 401).
    ///
    /// # Errors
    /// Those of the minter's own calls.
    async fn mint(&self, renew: bool) -> Result<Minted, ProviderError>;
}

/// A credential with its end, or what an ephemeral resource has open. Kept in memory alone.
#[derive(Clone)]
pub struct Minted {
    pub value: Value,
    /// When to ask anew, ahead of expiry; `None`: lasts as long as the process.
    pub renew_at: Option<Timestamp>,
    /// What the provider needs to renew and to close it, such as the id of a lease.
    pub private: Json,
}

impl Minted {
    /// A value that needs no closing.
    pub fn new(value: Value, renew_at: Option<Timestamp>) -> Minted {
        Minted { value, renew_at, private: Json::Null }
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Minted {{ renew_at: {:?} }}", self.renew_at)
    }
}

/// An instance of a block that expands by itself.
#[derive(Clone, Debug)]
pub struct Part {
    /// The instance's key.
    pub key: Arc<str>,
    /// Instances of a lower rank are settled first and deleted last.
    pub rank: u8,
    /// What the instance has in place of the text.
    pub value: Value,
}

#[derive(Clone)]
pub struct Configure {
    /// Arguments; those that minters give are null here, those of ephemeral resources what these have open now.
    pub config: Resolved,
    /// Minted and ephemeral arguments by their place (top-level ones in practice): to be asked for at each use, where
    /// the provider can.
    pub minted: BTreeMap<AttrPath, Arc<dyn Minter>>,
    pub env: Environment,
    /// The host was made in this run, not long ago: first calls may be refused while it settles.
    pub fresh_host: bool,
}

/// The identity of the world that a provider configuration leads to. Equal worlds have equal parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct World(pub BTreeMap<String, String>);

impl World {
    pub fn of(parts: impl IntoIterator<Item = (&'static str, String)>) -> World {
        World(parts.into_iter().map(|(k, v)| (k.to_string(), v)).collect())
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (k, v)) in self.0.iter().enumerate() {
            write!(f, "{}{k} {v}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What makes a create recognizable after an ambiguous answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Idempotency token, at most 64 ASCII characters.
    pub token: String,
    /// Random id to leave on the object where the API has a place; `None`: leave none.
    pub owner_mark: Option<String>,
}

pub struct CreateRequest {
    /// The planned attributes; computed ones that are not known are null.
    pub planned: Resolved,
    /// The configuration itself, write-only arguments included.
    pub config: Resolved,
    pub identity: Identity,
    pub timeouts: Timeouts,
}

pub struct UpdateRequest {
    pub prior: Resolved,
    pub private: Json,
    pub planned: Resolved,
    pub config: Resolved,
    /// The object's owner mark; to be kept on it.
    pub owner_mark: Option<String>,
    pub token: String,
    pub timeouts: Timeouts,
}

/// A change that is only asked about.
pub struct RehearseRequest {
    /// The object as it is and its private data; `None` for a create.
    pub prior: Option<(Resolved, Json)>,
    /// The planned attributes; computed ones that are not known are null.
    pub planned: Resolved,
    pub config: Resolved,
    pub owner_mark: Option<String>,
}

pub struct DeleteRequest {
    pub prior: Resolved,
    pub private: Json,
    pub timeouts: Timeouts,
}

#[derive(Clone)]
pub struct ReadRequest {
    pub prior: Resolved,
    pub private: Json,
    pub owner_mark: Option<String>,
}

/// An object as the API has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// All attributes of the schema, nothing unknown. The owner mark is not among them.
    pub attributes: Resolved,
    /// What the provider wants back next time; not shown. MUST NOT hold secrets.
    pub private: Json,
}

/// What an API named an object before it is ready; enough to read it, wait for it and delete it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The attributes known so far; the rest null.
    pub attributes: Resolved,
    pub private: Json,
    /// A handle of the running operation, where the API gives one.
    pub operation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Present(Object),
    /// The API says for certain that it is not there.
    Gone,
}

pub struct RecoverRequest {
    pub planned: Resolved,
    pub identity: Identity,
    /// When the request was begun.
    pub begun: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There, and by mark, token or key certainly made by this operation.
    Ours(Object),
    /// There, and certainly or possibly somebody else's.
    Foreign(Object),
    Absent,
    /// The kind has neither key nor mark nor token to look by.
    CannotTell,
}

pub struct ResumeRequest {
    pub action: Action,
    pub object: Object,
    pub operation: Option<String>,
    pub timeouts: Timeouts,
}
