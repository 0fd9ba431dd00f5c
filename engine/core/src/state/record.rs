//! Records of the journal, as the engine means them. Their form on disk is apart (`file` folder).

use super::{Object, ObjectId, OpId, OutputValue, Recipe, RecipeId, Settings};
use groma_provider::Action;
use groma_types::{InstanceAddr, ProviderAddr, Timestamp, Value};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// First record of a run that changes something; raises the serial.
    Run { at: Timestamp, id: Arc<str> },
    /// A recipe comes into use. Recipes that no object and no open operation names are dropped on compaction.
    Recipe(RecipeId, Recipe),
    /// Durable before a changing call leaves.
    Begin(OpId, BeginOp),
    /// Durable as soon as the API names the object, before waiting.
    Made(OpId, MadeOp),
    /// Closes a `begin` that got an answer.
    End(OpId, Ended),
    /// An object as read anew, without a change of ours: refresh, settlement, import.
    Observed(Box<Object>),
    /// The object is no longer ours to track (gone in the world, or `removed` without destroy).
    Forgotten(ObjectId),
    /// The object's address changes; dependencies are by id and stay.
    Moved(ObjectId, InstanceAddr),
    /// The current object of its address becomes a deposed one.
    Deposed(ObjectId, Arc<str>),
    /// Settings and dependencies of an unchanged object follow the spec.
    Resettled { id: ObjectId, dependencies: BTreeSet<ObjectId>, settings: Settings },
    /// `None`: the output is gone.
    Output(Arc<str>, Option<OutputValue>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct BeginOp {
    pub action: Action,
    /// The object: drawn now for a create, known otherwise.
    pub object: ObjectId,
    pub address: InstanceAddr,
    pub provider: ProviderAddr,
    pub recipe: RecipeId,
    /// The planned attributes (create, update); the present ones (delete).
    pub planned: Value,
    /// Digest of the request: the token may be used again only with the same digest.
    pub digest: Arc<str>,
    pub token: Arc<str>,
    pub owner_mark: Option<Arc<str>>,
    pub dependencies: BTreeSet<ObjectId>,
    pub host: Option<ObjectId>,
    pub settings: Settings,
    pub schema_version: u32,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MadeOp {
    pub attributes: Value,
    pub private: Json,
    pub operation: Option<Arc<str>>,
    /// The object is made; its create-time provisioners run now.
    pub provisioning: bool,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// Create or update: the object as it is now, with whatever status it came to (ready, unconverged, tainted, waiting).
    Settled(Box<Object>),
    /// Delete: the object is gone, and with it, in this same record, the objects that were dropped with their host.
    Deleted { dropped: Vec<ObjectId> },
    /// A definite answer: nothing was made or changed.
    Refused(Arc<str>),
    /// The run was stopped while the operation waited; it stays open and the next run resumes it.
    Suspended,
}
