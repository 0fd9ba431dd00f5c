//! What is known to exist.
//!
//! A [`State`] is inert data. It changes in one way only: by a [`Record`], through [`State::apply`]; the journal is the
//! list of records since the snapshot, so a state equals the fold of its journal over its snapshot.
//!
//! Invariants: `current` names objects of `objects` that are not deposed; every object's recipe is in `recipes`;
//! `open` holds exactly the operations that were begun and not ended. `verify::verify` checks them by number.

pub mod apply;
mod disk;
pub mod export;
pub mod file;
mod head;
mod journal;
pub mod local;
pub mod lock;
pub mod open;
mod place;
pub mod query;
pub mod record;
mod recovery;
#[cfg(test)]
mod samples;
pub mod seal;
mod snapshot;
pub mod store;
#[cfg(test)]
mod tests;
pub mod verify;

pub use file::{Lost, open_value, seal_value};
pub use local::LocalStore;
pub use lock::{Owner, Patience};
pub use open::{Mode, OpenError, OpenErrorKind, OpenOptions, OpenReport};
pub use record::{BeginOp, Ended, MadeOp, Record};
pub use seal::{KeySource, Keys};
pub use snapshot::Run;
pub use store::{MemStore, Store, StoreError};

use groma_provider::World;
use groma_types::schema::Timeouts;
use groma_types::{InstanceAddr, ProviderAddr, ResourceAddr, Timestamp, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Names one object for its whole life; a move does not change it. Random, drawn before its `begin`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub Arc<str>);

/// Names one operation: the sequence number of its `begin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// Names a recipe by its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipeId(pub Arc<str>);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Drawn once, when the state is made.
    pub lineage: Arc<str>,
    /// Counts acknowledged changes: the number of runs that changed something.
    pub serial: u64,
    pub objects: BTreeMap<ObjectId, Object>,
    /// The current object of each address; deposed ones are not here.
    pub current: BTreeMap<InstanceAddr, ObjectId>,
    pub recipes: BTreeMap<RecipeId, Recipe>,
    /// Operations that were begun and not ended: waiting ones and those in doubt.
    pub open: BTreeMap<OpId, OpenOp>,
    /// Root outputs as the last apply left them.
    pub outputs: BTreeMap<Arc<str>, OutputValue>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub id: ObjectId,
    pub address: InstanceAddr,
    pub provider: ProviderAddr,
    pub recipe: RecipeId,
    pub status: Status,
    /// All attributes; sensitive ones carry the mark and are sealed at rest.
    pub attributes: Value,
    /// The provider's own bytes; holds no secrets.
    pub private: Json,
    pub schema_version: u32,
    pub groma_version: Arc<str>,
    /// Instances that this one reached when it was last settled, by object.
    pub dependencies: BTreeSet<ObjectId>,
    /// The object that it lives on (its provider's host), where that is one of the stack.
    pub host: Option<ObjectId>,
    pub owner_mark: Option<Arc<str>>,
    pub settings: Settings,
    pub created: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Ready,
    /// An operation goes on in the world; the next run goes on waiting.
    Waiting,
    /// It exists, its wait failed; the next plan re-checks and shows it.
    Unconverged(Arc<str>),
    /// It exists and must be replaced.
    Tainted(Arc<str>),
    /// Replaced by a newer object at its address; to be deleted.
    Deposed(Arc<str>),
}

/// What destroy needs when the block is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub create_before_destroy: bool,
    pub prevent_destroy: bool,
    pub on_destroy: OnDestroy,
    pub timeouts: Timeouts,
    /// It has create-time provisioners, and they have not ended well.
    pub unprovisioned: bool,
    /// What was written to run before it is deleted.
    pub before_destroy: Vec<RecordedCommand>,
}

/// A destroy-time provisioner as it was written: nothing runs from here unless the user agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedCommand {
    /// Its arguments, as expressions over the object.
    pub arguments: BTreeMap<Arc<str>, Arc<str>>,
    /// `on_failure: continue`.
    pub continues: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDestroy {
    #[default]
    Delete,
    Keep,
    Forbid,
}

/// How to reach the world of an object without the spec.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub provider: ProviderAddr,
    /// Resolved arguments; minted ones are unknown with their residual; secrets carry the sensitive mark.
    pub config: Value,
    /// Recipes that minters in `config` are asked through, by provider configuration.
    pub minters: BTreeMap<ProviderAddr, RecipeId>,
    pub world: World,
    /// The object of the stack that the world lives on.
    pub host: Option<ObjectId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OpenOp {
    pub begin: BeginOp,
    pub made: Option<MadeOp>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OutputValue {
    pub value: Value,
    pub sensitive: bool,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RecipeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl State {
    /// The records of a recipe, after those of the recipes that it mints by.
    pub fn recipe_records(&self, id: &RecipeId) -> Vec<Record> {
        let Some(recipe) = self.recipes.get(id) else { return Vec::new() };
        let minters = recipe.minters.values().flat_map(|minter| self.recipe_records(minter));
        minters.chain([Record::Recipe(id.clone(), recipe.clone())]).collect()
    }

    /// The current object at an address.
    pub fn at(&self, address: &InstanceAddr) -> Option<&Object> {
        self.current.get(address).and_then(|id| self.objects.get(id))
    }

    /// Objects that were replaced at an address and are not deleted yet.
    pub fn deposed<'a>(&'a self, address: &'a InstanceAddr) -> impl Iterator<Item = &'a Object> {
        self.objects.values().filter(move |o| o.address == *address && matches!(o.status, Status::Deposed(_)))
    }

    /// The current objects of a resource block in one module instance.
    pub fn instances<'a>(
        &'a self,
        resource: &'a ResourceAddr,
    ) -> impl Iterator<Item = (&'a InstanceAddr, &'a ObjectId)> {
        let first = InstanceAddr { resource: resource.clone(), key: None };
        self.current.range(first..).take_while(move |(a, _)| a.resource == *resource)
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.open.is_empty()
    }

    /// Operations without `made`: nobody knows what they did.
    pub fn in_doubt(&self) -> impl Iterator<Item = (&OpId, &OpenOp)> {
        self.open.iter().filter(|(_, op)| op.made.is_none())
    }
}
