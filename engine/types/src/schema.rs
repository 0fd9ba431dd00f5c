//! Schemas: what a provider says of its kinds. The engine decides from these tables, never by a kind's name.

use crate::address::Mode;
use crate::ty::{ObjectType, Type};
use crate::value::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A provider: its own arguments and its kinds.
#[derive(Clone, Debug, Default)]
pub struct ProviderSchema {
    /// Local name, such as `aws`.
    pub name: Arc<str>,
    /// Source addresses that mean this provider, such as `hashicorp/aws`.
    pub sources: Vec<Arc<str>>,
    /// Version of the upstream provider that this one speaks for: at least, below.
    pub upstream: Option<(Arc<str>, Arc<str>)>,
    pub config: Block,
    /// Arguments that say where the provider's world is; the host is inferred from these.
    /// Empty for a provider that is not hosted on a resource.
    pub address_args: Vec<Arc<str>>,
    pub resources: BTreeMap<Arc<str>, KindSchema>,
    pub data: BTreeMap<Arc<str>, KindSchema>,
    pub ephemeral: BTreeMap<Arc<str>, KindSchema>,
}

impl ProviderSchema {
    /// The kinds of a mode.
    pub fn kinds(&self, mode: Mode) -> &BTreeMap<Arc<str>, KindSchema> {
        match mode {
            Mode::Managed => &self.resources,
            Mode::Data => &self.data,
            Mode::Ephemeral => &self.ephemeral,
        }
    }
}

/// A block of arguments.
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub doc: Arc<str>,
    pub attrs: BTreeMap<Arc<str>, Attribute>,
    pub blocks: BTreeMap<Arc<str>, NestedBlock>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Required,
    Optional,
    /// The user may set it; if not, the provider does.
    OptionalComputed,
    Computed,
}

/// When a computed attribute may change in an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangesWith {
    Never,
    /// Only if one of these top-level arguments is in the diff.
    Args(Vec<Arc<str>>),
    Any,
}

#[derive(Clone, Debug)]
pub struct Attribute {
    pub ty: Type,
    pub doc: Arc<str>,
    pub presence: Presence,
    pub default: Option<Value>,
    pub sensitive: bool,
    /// Sent to the provider, never stored.
    pub write_only: bool,
    pub forces_replacement: bool,
    pub changes_with: ChangesWith,
    pub deprecated: Option<Arc<str>>,
    /// Terraform has no such argument.
    pub beyond_terraform: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// An object, or null.
    Single,
    List,
    Set,
    Map,
}

#[derive(Clone, Debug)]
pub struct NestedBlock {
    pub nesting: Nesting,
    /// Shared by all places that have the same block: a pod template is large and in many kinds.
    pub block: Arc<Block>,
    pub min: usize,
    pub max: Option<usize>,
    /// If absent from the configuration the provider fills it; absence is no change.
    pub computed: bool,
    /// `[]` means none and absence means unmanaged.
    pub as_attribute: bool,
    pub forces_replacement: bool,
}

/// A resource kind or data source kind.
#[derive(Clone, Debug)]
pub struct KindSchema {
    pub kind: Arc<str>,
    pub version: u32,
    pub block: Block,
    /// Arguments that name the object in its world; the provider's world is part of the key.
    /// Empty: the API draws the identity.
    pub natural_key: Vec<Arc<str>>,
    /// Part of the limiter's key: `eks`, `iam`, `kubernetes`.
    pub service: Arc<str>,
    /// Objects of other providers live on this one (a cluster).
    pub hosts: bool,
    /// The object's identity lies in another's: replaced with it, deleted before it.
    pub attached_to: Option<Attached>,
    pub relations: Vec<Relation>,
    /// How long a fresh object may be invisible to reads.
    pub visibility: Duration,
    pub timeouts: Timeouts,
    /// Typical durations, for the scheduler's first guess.
    pub typical: Timeouts,
    /// One call lists many objects of the kind.
    pub lists: bool,
    /// A data source whose value is minted: asked at each use, never stored.
    pub minter: bool,
    /// Has a place for the owner mark.
    pub owner_mark: bool,
    /// Has nothing but its key: found by its key after an ambiguous create, it is ours.
    pub pure_relation: bool,
    /// Runs a program of the user's machine: in a fetched module it needs consent.
    pub runs_program: bool,
    /// Terraform's provider has no such kind.
    pub beyond_terraform: bool,
    /// A block of the kind has an instance for each document of a text.
    pub expands: Option<Expands>,
    /// Arguments that name files: those of a fetched module lead to what its functions may read.
    pub file_args: Vec<Arc<str>>,
}

/// The documents of the YAML in the argument `text` are instances; each has its own in `into`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expands {
    pub text: Arc<str>,
    pub into: Arc<str>,
}

/// `arg` of this kind names an object of kind `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub arg: Arc<str>,
    pub to: Arc<str>,
}

/// What the engine infers edges from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Grants something to the object that `arg` names (a role attachment to its role).
    GrantsTo { arg: Arc<str> },
    /// Uses the object that `arg` names, with all that is granted to it (a cluster its role).
    UsesGrantsOf { arg: Arc<str> },
    /// Grants access to the host that it is attached to: before the first call of a provider there.
    GrantsHostAccess,
    /// Gives the host that it is attached to room for workloads (a node group).
    GivesCapacity,
    /// A hosted kind that waits for running workloads.
    NeedsCapacity,
    /// Makes the network of the object that `arg` names usable (a route of a subnet).
    GivesNetworkTo { arg: Arc<str> },
    /// Uses the network of the objects that `arg` names (a cluster its subnets).
    UsesNetworkOf { arg: Arc<str> },
    /// Makes things outside of its host, which its deletion must undo while the host still works;
    /// `when` restricts it to objects where the attribute at this dotted path has this value.
    ExternalEffect { when: Option<(Arc<str>, Arc<str>)> },
    /// In use by the workloads of its host that agree with it in this dotted path (a claim, by those of its
    /// namespace): deleted after them, which are then deleted for real.
    HeldByWorkloads { same: Arc<str> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub create: Duration,
    pub read: Duration,
    pub update: Duration,
    pub delete: Duration,
}

impl Timeouts {
    pub const fn all(duration: Duration) -> Timeouts {
        Timeouts { create: duration, read: duration, update: duration, delete: duration }
    }
    pub const fn minutes(create: u64, update: u64, delete: u64) -> Timeouts {
        Timeouts {
            create: Duration::from_secs(create * 60),
            read: Duration::from_secs(60),
            update: Duration::from_secs(update * 60),
            delete: Duration::from_secs(delete * 60),
        }
    }
}

impl Attribute {
    pub fn new(ty: Type, presence: Presence, doc: &str) -> Attribute {
        Attribute {
            ty,
            doc: doc.into(),
            presence,
            default: None,
            sensitive: false,
            write_only: false,
            forces_replacement: false,
            changes_with: if presence == Presence::Computed { ChangesWith::Never } else { ChangesWith::Any },
            deprecated: None,
            beyond_terraform: false,
        }
    }
    pub fn required(ty: Type, doc: &str) -> Attribute {
        Attribute::new(ty, Presence::Required, doc)
    }
    pub fn optional(ty: Type, doc: &str) -> Attribute {
        Attribute::new(ty, Presence::Optional, doc)
    }
    pub fn optional_computed(ty: Type, doc: &str) -> Attribute {
        // An unset optional+computed attribute keeps its value unless told otherwise.
        Attribute { changes_with: ChangesWith::Never, ..Attribute::new(ty, Presence::OptionalComputed, doc) }
    }
    pub fn computed(ty: Type, doc: &str) -> Attribute {
        Attribute::new(ty, Presence::Computed, doc)
    }
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Attribute {
        self.default = Some(value.into());
        self
    }
    #[must_use]
    pub fn sensitive(mut self) -> Attribute {
        self.sensitive = true;
        self
    }
    #[must_use]
    pub fn write_only(mut self) -> Attribute {
        self.write_only = true;
        self
    }
    #[must_use]
    pub fn replaces(mut self) -> Attribute {
        self.forces_replacement = true;
        self
    }
    #[must_use]
    pub fn changes_with(mut self, args: &[&str]) -> Attribute {
        self.changes_with = ChangesWith::Args(args.iter().map(|&a| a.into()).collect());
        self
    }
    #[must_use]
    pub fn changes_with_any(mut self) -> Attribute {
        self.changes_with = ChangesWith::Any;
        self
    }
    /// Whether the user may write it.
    pub fn is_settable(&self) -> bool {
        self.presence != Presence::Computed
    }
    /// Whether the provider may fill it.
    pub fn is_computed(&self) -> bool {
        matches!(self.presence, Presence::Computed | Presence::OptionalComputed)
    }
}

impl NestedBlock {
    pub fn new(nesting: Nesting, block: impl Into<Arc<Block>>) -> NestedBlock {
        NestedBlock {
            nesting,
            block: block.into(),
            min: 0,
            max: None,
            computed: false,
            as_attribute: false,
            forces_replacement: false,
        }
    }
    /// A list with at most one element, as upstream has `metadata`, `spec`, `vpc_config`.
    pub fn one(block: impl Into<Arc<Block>>) -> NestedBlock {
        NestedBlock { max: Some(1), ..NestedBlock::new(Nesting::List, block) }
    }
    #[must_use]
    pub fn required(mut self) -> NestedBlock {
        self.min = 1;
        self
    }
    #[must_use]
    pub fn computed(mut self) -> NestedBlock {
        self.computed = true;
        self
    }
    #[must_use]
    pub fn replaces(mut self) -> NestedBlock {
        self.forces_replacement = true;
        self
    }
    /// Type of the attribute that holds the blocks.
    pub fn ty(&self) -> Type {
        let inner = self.block.ty();
        match self.nesting {
            Nesting::Single => inner,
            Nesting::List => Type::list(inner),
            Nesting::Set => Type::set(inner),
            Nesting::Map => Type::map(inner),
        }
    }
}

impl Block {
    pub fn new(doc: &str) -> Block {
        Block { doc: doc.into(), ..Block::default() }
    }
    #[must_use]
    pub fn attr(mut self, name: &str, attribute: Attribute) -> Block {
        self.attrs.insert(name.into(), attribute);
        self
    }
    #[must_use]
    pub fn block(mut self, name: &str, nested: NestedBlock) -> Block {
        self.blocks.insert(name.into(), nested);
        self
    }
    /// The object type of a value of this block.
    pub fn ty(&self) -> Type {
        let attrs = self.attrs.iter().map(|(k, a)| (k.clone(), a.ty.clone()));
        let blocks = self.blocks.iter().map(|(k, b)| (k.clone(), b.ty()));
        Type::Object(Arc::new(ObjectType {
            attrs: attrs.chain(blocks).collect(),
            optional: Default::default(),
        }))
    }
}

impl KindSchema {
    pub fn new(kind: &str, service: &str, block: Block) -> KindSchema {
        KindSchema {
            kind: kind.into(),
            version: 0,
            block,
            natural_key: Vec::new(),
            service: service.into(),
            hosts: false,
            attached_to: None,
            relations: Vec::new(),
            visibility: Duration::ZERO,
            timeouts: Timeouts::minutes(10, 10, 10),
            typical: Timeouts::all(Duration::from_secs(1)),
            lists: false,
            minter: false,
            owner_mark: false,
            pure_relation: false,
            runs_program: false,
            beyond_terraform: false,
            expands: None,
            file_args: Vec::new(),
        }
    }
    #[must_use]
    pub fn key(mut self, args: &[&str]) -> KindSchema {
        self.natural_key = args.iter().map(|&a| a.into()).collect();
        self
    }
    #[must_use]
    pub fn attached_to(mut self, arg: &str, to: &str) -> KindSchema {
        self.attached_to = Some(Attached { arg: arg.into(), to: to.into() });
        self
    }
    #[must_use]
    pub fn relation(mut self, relation: Relation) -> KindSchema {
        self.relations.push(relation);
        self
    }
    /// The schema as an instance sees it: what the text gave is an argument of it.
    pub fn of_instance(&self) -> Cow<'_, KindSchema> {
        let Some(expands) = &self.expands else { return Cow::Borrowed(self) };
        let mut schema = self.clone();
        for (name, presence) in [(&expands.text, Presence::Optional), (&expands.into, Presence::Required)] {
            if let Some(attribute) = schema.block.attrs.get_mut(name) {
                attribute.presence = presence;
            }
        }
        Cow::Owned(schema)
    }
    /// Whether objects of the kind can have effects outside of their host.
    pub fn has_external_effect(&self) -> bool {
        self.relations.iter().any(|r| matches!(r, Relation::ExternalEffect { .. }))
    }
}
