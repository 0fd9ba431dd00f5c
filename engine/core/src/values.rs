//! The results that evaluation builds on: root variables, expansions and the values of resource instances, as far
//! as they are known.
//!
//! Invariant: a wholly known result never becomes another one, except after a surprise, which raises `generation`.

use groma_types::schema::Block;
use groma_types::value::{Cause, Causes};
use groma_types::{
    Address, InstanceKey, Marks, NameMap, ResourceAddr, SortedMap, Type, Unknown, Value, ValueKind,
};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The instances of a block or a module call.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// One without a key.
    Single,
    /// `enabled = false`: none, and no key either.
    Off,
    Count(u64),
    /// Keys with `each.value`.
    Each(Arc<NameMap<Value>>),
    /// Not known yet; `count` or `for_each` by the flag.
    Unknown {
        causes: Causes,
        counted: bool,
    },
}

impl Keys {
    pub fn list(&self) -> Vec<Option<InstanceKey>> {
        match self {
            Keys::Single => vec![None],
            Keys::Off | Keys::Unknown { .. } => Vec::new(),
            Keys::Count(n) => (0..*n).map(|i| Some(InstanceKey::Int(i))).collect(),
            Keys::Each(map) => map.keys().map(|k| Some(InstanceKey::Str(k.clone()))).collect(),
        }
    }

    pub fn contains(&self, key: Option<&InstanceKey>) -> bool {
        match (self, key) {
            (Keys::Single, None) => true,
            (Keys::Count(n), Some(InstanceKey::Int(i))) => i < n,
            (Keys::Each(map), Some(InstanceKey::Str(k))) => map.contains_key(k),
            _ => false,
        }
    }

    /// How many there are, as far as known.
    pub fn instances(&self) -> u64 {
        match self {
            Keys::Single => 1,
            Keys::Off | Keys::Unknown { .. } => 0,
            Keys::Count(n) => *n,
            Keys::Each(map) => map.len() as u64,
        }
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self, Keys::Unknown { .. })
    }

    pub fn causes(&self) -> Causes {
        if let Keys::Unknown { causes, .. } = self { causes.clone() } else { Causes::new() }
    }

    /// Whether neither the keys nor what is under them can change.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Keys::Unknown { .. } => false,
            Keys::Each(map) => map.values().all(Value::is_wholly_known),
            Keys::Single | Keys::Off | Keys::Count(_) => true,
        }
    }

    /// `each.value` of a key.
    pub fn each_value(&self, key: &str) -> Option<&Value> {
        if let Keys::Each(map) = self { map.get(key) } else { None }
    }
}

/// A resource block in a module instance, as far as known.
#[derive(Clone, Debug)]
pub struct BlockValue {
    pub keys: Keys,
    pub instances: SortedMap<Option<InstanceKey>, Value>,
    /// Made once for all that refer to the whole block.
    whole: OnceLock<Value>,
}

impl BlockValue {
    pub fn new(keys: Keys, instances: SortedMap<Option<InstanceKey>, Value>) -> BlockValue {
        BlockValue { keys, instances, whole: OnceLock::new() }
    }

    /// The value that a reference to the whole block has.
    pub fn whole(&self, address: &ResourceAddr) -> Value {
        self.whole.get_or_init(|| self.make_whole(address)).clone()
    }

    fn make_whole(&self, address: &ResourceAddr) -> Value {
        let waiting =
            || Value::unknown_because(Type::Dynamic, [Cause::Node(Address::Resource(address.clone()))]);
        let get = |key: &Option<InstanceKey>| self.instances.get(key).cloned().unwrap_or_else(waiting);
        match &self.keys {
            Keys::Single => get(&None),
            Keys::Off => Value::NULL,
            Keys::Count(n) => Value::tuple((0..*n).map(|i| get(&Some(InstanceKey::Int(i)))).collect()),
            Keys::Each(map) => {
                Value::object(map.keys().map(|k| (k.clone(), get(&Some(InstanceKey::Str(k.clone()))))))
            }
            Keys::Unknown { causes, .. } => {
                let refine = groma_types::Refinements { not_null: true, ..Default::default() };
                Unknown { refine, causes: causes.clone(), ..Unknown::of(Type::Dynamic) }.into()
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Values {
    pub inputs: BTreeMap<Arc<str>, Value>,
    blocks: BTreeMap<ResourceAddr, BlockValue>,
    /// Raised by every change, so that results over unknowns are made anew.
    epoch: u64,
    /// Raised by surprises, so that known results are made anew too.
    generation: u64,
}

impl Values {
    pub fn new(inputs: BTreeMap<Arc<str>, Value>) -> Values {
        Values { inputs, ..Values::default() }
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn block(&self, address: &ResourceAddr) -> Option<&BlockValue> {
        self.blocks.get(address)
    }

    /// Sets a block while its level is planned: nothing of that level looks at it, what comes after does so after
    /// [`Values::next_level`].
    pub fn set_block(&mut self, address: ResourceAddr, value: BlockValue) {
        self.blocks.insert(address, value);
    }

    /// What was concluded from values that were not known is looked at anew from here on.
    pub fn next_level(&mut self) {
        self.epoch += 1;
    }

    /// Takes what more is known of the values under a block's keys; the keys themselves stay.
    pub fn renew_keys(&mut self, address: &ResourceAddr, keys: Keys) {
        if let Some(block) = self.blocks.get_mut(address)
            && block.keys.list() == keys.list()
        {
            block.keys = keys;
        }
    }

    pub fn set_instance(&mut self, address: &ResourceAddr, key: Option<InstanceKey>, value: Value) {
        self.epoch += 1;
        if let Some(block) = self.blocks.get_mut(address) {
            block.instances.insert(key, value);
            block.whole = OnceLock::new();
        }
    }

    /// Forgets everything that was concluded from earlier values.
    pub fn surprise(&mut self) {
        self.epoch += 1;
        self.generation += 1;
    }

    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    pub fn blocks(&self) -> impl Iterator<Item = (&ResourceAddr, &BlockValue)> {
        self.blocks.iter()
    }
}

/// A value as the schema has it, at every depth: what it calls sensitive is marked, what it calls write-only is null.
pub fn apply_schema(value: &Value, block: &Block) -> Value {
    let ValueKind::Object(attrs) = value.kind() else { return value.clone() };
    let marked = attrs.iter().map(|(name, v)| {
        let v = if let Some(attribute) = block.attrs.get(name) {
            match (attribute.write_only, attribute.sensitive) {
                (true, _) => Value::null(attribute.ty.clone()),
                (false, true) => v.clone().mark(Marks::SENSITIVE),
                (false, false) => v.clone(),
            }
        } else if let Some(nested) = block.blocks.get(name) {
            mark_nested(v, &nested.block)
        } else {
            v.clone()
        };
        (name.clone(), v)
    });
    Value::object(marked).mark(value.marks())
}

fn mark_nested(value: &Value, block: &Block) -> Value {
    let each = |v: &Value| apply_schema(v, block);
    let marked = match value.kind() {
        ValueKind::List(e, items) => Value::list(e.clone(), items.iter().map(each).collect()),
        ValueKind::Set(e, items) => Value::set(e.clone(), items.iter().map(each).collect()),
        ValueKind::Map(e, items) => Value::map(e.clone(), items.iter().map(|(k, v)| (k.clone(), each(v)))),
        ValueKind::Object(_) => each(value),
        _ => return value.clone(),
    };
    marked.mark(value.marks())
}

/// Puts the marks of `from` on equal parts of `value`.
pub fn keep_marks(value: &Value, from: &Value) -> Value {
    let merged = match (value.kind(), from.kind()) {
        (ValueKind::Object(a), ValueKind::Object(b)) => {
            let pairs = a.iter().map(|(k, v)| (k.clone(), b.get(k).map_or(v.clone(), |f| keep_marks(v, f))));
            Value::object(pairs.collect::<Vec<_>>())
        }
        (ValueKind::Map(e, a), ValueKind::Map(_, b)) => {
            let pairs = a.iter().map(|(k, v)| (k.clone(), b.get(k).map_or(v.clone(), |f| keep_marks(v, f))));
            Value::map(e.clone(), pairs.collect::<Vec<_>>())
        }
        (ValueKind::List(e, a), ValueKind::List(_, b)) if a.len() == b.len() => {
            Value::list(e.clone(), a.iter().zip(b.iter()).map(|(v, f)| keep_marks(v, f)).collect())
        }
        (ValueKind::Tuple(a), ValueKind::Tuple(b)) if a.len() == b.len() => {
            Value::tuple(a.iter().zip(b.iter()).map(|(v, f)| keep_marks(v, f)).collect())
        }
        _ => return value.clone().mark(from.marks()),
    };
    merged.mark(value.marks()).mark(from.marks())
}
