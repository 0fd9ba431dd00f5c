//! Plans blocks: expansion, evaluation, decision, in the order of the configuration.
//!
//! The same code plans a whole stack and, during an apply, just a fragment: it works on the blocks that it is given,
//! over the values of the moment. It calls providers only to read data sources and to open ephemeral resources.

pub(crate) mod consent;
mod data;
mod ephemeral;
mod imports;
mod kind;
mod lifecycle;
mod managed;
mod parts;
mod providers;
mod provision;
mod rehearsal;
mod unwritten;

pub use data::read_data;
pub use ephemeral::Ephemeral;
pub(crate) use imports::Importing;
pub use kind::Kind;
pub use lifecycle::parse_duration;
pub use managed::has_effect;
pub use providers::check_world;

use super::{Change, DeferredExpansion, DeferredRead, Plan, ProviderPlan};
use crate::config::draft::Draft;
use crate::config::{BlockId, Config, ResourceBlock, strict};
use crate::facade::{Host, PlanOptions};
use crate::graph::order::{Block, Order};
use crate::pool::Pool;
use crate::refresh::Refreshed;
use crate::scope::{Evaluator, Place};
use crate::state::{ObjectId, RecipeId, State};
use crate::values::{BlockValue, Keys, Values};
use groma_provider::ErrorKind;
use groma_types::value::{Causes, Mint};
use groma_types::{
    Diagnostics, InstanceAddr, Mode, ModuleAddr, ProviderAddr, ResourceAddr, SortedMap, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A provider configuration, as far as it is known.
#[derive(Clone, Debug)]
pub enum ProviderState {
    Ready {
        recipe: RecipeId,
        config: Value,
        host: Option<InstanceAddr>,
    },
    Deferred {
        causes: Causes,
        config: Value,
        host: Option<InstanceAddr>,
    },
    /// Reported already.
    Failed,
}

impl ProviderState {
    pub fn host(&self) -> Option<&InstanceAddr> {
        match self {
            ProviderState::Ready { host, .. } | ProviderState::Deferred { host, .. } => host.as_ref(),
            ProviderState::Failed => None,
        }
    }
    fn config(&self) -> Value {
        match self {
            ProviderState::Ready { config, .. } | ProviderState::Deferred { config, .. } => config.clone(),
            ProviderState::Failed => Value::NULL,
        }
    }
}

/// Names a change: an address, and the deposed object's key where it is about one.
pub type ChangeKey = (InstanceAddr, Option<Arc<str>>);

/// Everything that planning a stack knows. Lives through plan and apply of a run.
pub struct Planner {
    pub host: Host,
    pub pool: Arc<Pool>,
    pub eval: Evaluator,
    pub values: Values,
    pub order: Arc<Order>,
    /// The state as it is now: in an apply it follows the journal.
    pub state: State,
    /// What refresh found, by object; absent: not refreshed.
    pub refreshed: BTreeMap<ObjectId, Refreshed>,
    pub providers: BTreeMap<ProviderAddr, ProviderState>,
    pub changes: BTreeMap<ChangeKey, Arc<Change>>,
    /// The evaluated configurations of changes, until the APIs have been asked about them.
    pub written: BTreeMap<InstanceAddr, Value>,
    pub expansions: BTreeMap<ResourceAddr, DeferredExpansion>,
    pub reads: BTreeMap<InstanceAddr, DeferredRead>,
    /// Ephemeral resources whose arguments are known.
    pub ephemerals: BTreeMap<InstanceAddr, Ephemeral>,
    /// What data sources gave in this run, or in the run that saved the plan.
    pub data_found: BTreeMap<InstanceAddr, Value>,
    pub diagnostics: Diagnostics,
    pub options: PlanOptions,
    /// Blocks that `-target` and `-exclude` leave out.
    pub left_out: BTreeSet<Block>,
    /// Commands of fetched modules that the user allowed.
    pub commands: BTreeSet<String>,
    /// Objects that the plan put into the state and the journal does not hold so: they are recorded when they are settled.
    pub adopted: BTreeMap<ObjectId, Origin>,
    /// What this run imports, and the id where it is known.
    pub imported: BTreeMap<InstanceAddr, Option<Arc<str>>>,
    /// Addresses that have taken their object over: none does so twice in a run, whatever becomes of the object.
    pub imports_done: BTreeSet<InstanceAddr>,
    /// What was read for imports in this run, or in the run that saved the plan.
    pub imports_found: BTreeMap<(InstanceAddr, Arc<str>), groma_provider::Object>,
    /// Instances that were planned: everything else of the state is not in the configuration.
    pub seen: BTreeSet<InstanceAddr>,
    /// Of instances that a block's text gave: lower ones are settled first.
    pub ranks: BTreeMap<InstanceAddr, u8>,
    /// Blocks for imports that have none, where they are asked for.
    pub drafts: Vec<Draft>,
}

/// Where an object comes from that the journal does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is imported.
    World,
    /// It was of another kind.
    OtherKind,
}

/// What a read asks for.
enum What {
    Data {
        recipe: RecipeId,
        config: Value,
    },
    /// An ephemeral resource is opened.
    Open {
        mint: Mint,
        minters: BTreeMap<ProviderAddr, RecipeId>,
    },
}

/// A data source that can be read now, or an ephemeral resource that can be opened.
pub struct PendingRead {
    pub address: InstanceAddr,
    what: What,
    allow_missing: bool,
    in_check: bool,
    /// It is read in the apply: what is not known now can't be waited for.
    is_late: bool,
    span: groma_types::Span,
}

impl PendingRead {
    fn opening(address: InstanceAddr, what: What, span: groma_types::Span) -> PendingRead {
        PendingRead { address, what, allow_missing: false, in_check: false, is_late: false, span }
    }
}

impl Planner {
    pub fn config(&self) -> Arc<Config> {
        self.eval.config.clone()
    }

    /// Plans blocks, in order; data sources of one level are read at the same time.
    pub async fn plan_blocks(&mut self, levels: &[Vec<Block>]) {
        for level in levels {
            self.values.next_level();
            let mut reads = Vec::new();
            for block in level {
                self.plan_block(block, &mut reads).await;
            }
            self.read_all(reads).await;
        }
        self.values.next_level();
    }

    async fn plan_block(&mut self, block: &Block, reads: &mut Vec<PendingRead>) {
        let config = self.config();
        let Some(resource) = config.modules.get(&block.0).and_then(|m| m.resources.get(&block.1)) else {
            return;
        };
        let (modules, causes, diagnostics) = self.eval.module_instances(&self.values, &block.0);
        self.diagnostics.extend(diagnostics);
        if !causes.is_empty() {
            self.defer_module_expansion(block, resource, &causes);
        }
        for module in modules {
            self.plan_in_module(&module, block, resource, reads).await;
        }
    }

    /// A block in a module whose own instances are not known yet.
    fn defer_module_expansion(&mut self, block: &Block, resource: &ResourceBlock, causes: &Causes) {
        self.refuse_deferred(resource);
        let module = block.0.iter().fold(ModuleAddr::root(), |m, name| m.child(name, None));
        let address = address_of(&module, &resource.id);
        self.expansions.insert(
            address.clone(),
            DeferredExpansion { resource: address, waits_for: causes.clone(), max_instances: None },
        );
    }

    async fn plan_in_module(
        &mut self,
        module: &ModuleAddr,
        block: &Block,
        resource: &ResourceBlock,
        reads: &mut Vec<PendingRead>,
    ) {
        let address = address_of(module, &resource.id);
        let place = Place::module(module.clone());
        let (keys, diagnostics) = self.instances(&address, resource, &place);
        let failed = diagnostics.has_errors();
        self.diagnostics.extend(diagnostics.into_iter().map(|d| d.address(&address)));
        self.values.set_block(address.clone(), BlockValue::new(keys.clone(), SortedMap::new()));
        if failed {
            return;
        }
        if self.left_out.contains(block) {
            self.keep_as_is(&address);
            return;
        }
        if let Keys::Unknown { causes, .. } = &keys {
            self.defer_expansion(&address, module, resource, causes);
            return;
        }
        self.expansions.remove(&address);
        let mut done = Vec::new();
        for key in keys.list() {
            let place = Place::instance(module.clone(), key.clone(), &keys);
            let instance = address.instance(key.clone());
            self.seen.insert(instance.clone());
            let value = match resource.id.mode {
                Mode::Managed => self.plan_instance(&instance, block, resource, &place).await,
                Mode::Data => self.plan_data(&instance, block, resource, &place, reads).await,
                Mode::Ephemeral => self.plan_ephemeral(&instance, block, resource, &place, reads).await,
            };
            done.push((key, value));
        }
        let instances = done.into_iter().collect();
        self.values.set_block(address, BlockValue::new(keys, instances));
    }

    /// Terraform must know all instances when it plans.
    fn refuse_deferred(&mut self, resource: &ResourceBlock) {
        if self.options.strict {
            self.diagnostics.push(strict::refusal("instances that are not known in the plan", resource.span));
        }
    }

    fn defer_expansion(
        &mut self,
        address: &ResourceAddr,
        module: &ModuleAddr,
        resource: &ResourceBlock,
        causes: &Causes,
    ) {
        let place = Place::module(module.clone());
        let bound = self.bound(resource, &place);
        self.refuse_deferred(resource);
        let deferred =
            DeferredExpansion { resource: address.clone(), waits_for: causes.clone(), max_instances: bound };
        // Its present instances stay as they are until the expansion is known.
        let present: Vec<InstanceAddr> =
            self.state.current.keys().filter(|a| a.resource == *address).cloned().collect();
        self.seen.extend(present);
        self.expansions.insert(address.clone(), deferred);
    }

    /// Takes a left-out block's values from the state.
    fn keep_as_is(&mut self, address: &ResourceAddr) {
        let present: Vec<(InstanceAddr, Value)> = self
            .state
            .current
            .iter()
            .filter(|(a, _)| a.resource == *address)
            .filter_map(|(a, id)| Some((a.clone(), self.state.objects.get(id)?.attributes.clone())))
            .collect();
        for (instance, value) in present {
            self.values.set_instance(address, instance.key.clone(), value);
            self.seen.insert(instance);
        }
    }

    pub fn finish_plan(&self, plan: &mut Plan) {
        plan.changes = self.changes.values().cloned().collect();
        plan.expansions = self.expansions.values().cloned().collect();
        plan.reads = self.reads.values().cloned().collect();
        plan.providers = self
            .providers
            .iter()
            .map(|(address, state)| ProviderPlan {
                address: address.clone(),
                waits_for: match state {
                    ProviderState::Deferred { causes, .. } => causes.clone(),
                    ProviderState::Ready { .. } | ProviderState::Failed => Causes::new(),
                },
                host: state.host().cloned(),
            })
            .collect();
    }
}

pub fn address_of(module: &ModuleAddr, id: &BlockId) -> ResourceAddr {
    ResourceAddr::new(module.clone(), id.mode, id.kind.clone(), id.name.clone())
}

pub fn id_of(address: &ResourceAddr) -> BlockId {
    BlockId { mode: address.mode, kind: address.kind.clone(), name: address.name.clone() }
}

pub fn block_of(address: &ResourceAddr) -> Block {
    Block::new(address.module.path(), id_of(address))
}

pub fn prefix(module: &ModuleAddr, steps: usize) -> ModuleAddr {
    ModuleAddr(module.0[..steps.min(module.0.len())].into())
}

/// Whether two module instances agree in the keys of the calls that they share.
pub fn shares_keys(a: &ModuleAddr, b: &ModuleAddr) -> bool {
    a.0.iter().zip(b.0.iter()).take_while(|(x, y)| x.name == y.name).all(|(x, y)| x.key == y.key)
}

/// The string at a dotted path; lists of one are looked through.
pub fn dotted(value: &Value, path: &str) -> Option<String> {
    let found = path.split('.').try_fold(value.clone(), |v, name| {
        let v = match v.as_seq() {
            Some(items) => items.first()?.clone(),
            None => v,
        };
        v.get(name).cloned()
    })?;
    match found.kind() {
        groma_types::ValueKind::String(s) => Some(s.to_string()),
        groma_types::ValueKind::Number(n) => Some(n.to_string()),
        groma_types::ValueKind::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

pub fn code_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "G1101",
        ErrorKind::Denied => "G1102",
        ErrorKind::Unreachable => "G1103",
        ErrorKind::Throttled => "G1104",
        ErrorKind::Conflict => "G1105",
        ErrorKind::Invalid => "G1106",
        ErrorKind::Quota => "G1107",
        ErrorKind::Unavailable => "G1108",
        ErrorKind::Ambiguous => "G1109",
        ErrorKind::Unconverged => "G1110",
        ErrorKind::Tainted => "G1111",
        ErrorKind::TimedOut => "G1112",
        ErrorKind::Interrupted => "G1113",
        ErrorKind::Bug => "G1199",
    }
}

pub fn summary_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "The API did not find it",
        ErrorKind::Denied => "The API denied it",
        ErrorKind::Unreachable => "The API can't be reached",
        ErrorKind::Throttled => "The API throttles",
        ErrorKind::Conflict => "It collides with another object or change",
        ErrorKind::Invalid => "The arguments are refused",
        ErrorKind::Quota => "A quota is used up",
        ErrorKind::Unavailable => "The API is ill",
        ErrorKind::Ambiguous => "The answer was lost",
        ErrorKind::Unconverged => "It exists but did not become ready",
        ErrorKind::Tainted => "It exists but can only be replaced",
        ErrorKind::TimedOut => "It did not become ready in time",
        ErrorKind::Interrupted => "Stopped while waiting",
        ErrorKind::Bug => "The provider broke its rules",
    }
}
