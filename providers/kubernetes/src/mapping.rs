//! The one mapping between Terraform's attributes and Kubernetes' JSON.
//!
//! A kind is a tree of [`Field`]s: each has a name on both sides and a [`Shape`]. From this table come the schema,
//! the JSON that is applied, the attributes that are read back, the value-aware equality of plans, and the place of
//! an attribute that an API error names by its JSON path. Nothing is written by hand per kind.
//!
//! Reading is guided: what we wrote (the prior or planned attributes) says which fields are ours. A field that we
//! did not set and that is not computed stays null whatever the API has, for others may own it; a value that means
//! the same as ours is given back in our words.

use crate::quantity::same_quantity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use groma_types::json::to_json;
use groma_types::schema::{Attribute, Block, ChangesWith, NestedBlock, Nesting, Presence};
use groma_types::{AttrPath, Number, ObjectType, Type, Value, ValueKind};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The annotation that carries the owner mark; it never shows among the attributes.
pub(crate) const OWNER_ANNOTATION: &str = "groma.dev/owner";

/// What a field holds on both sides.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Text,
    Bool,
    Int,
    /// Text here, integer there (`run_as_user`, `replicas`).
    IntText,
    /// Text here, integer or text there (`target_port`).
    IntOrText,
    /// Octal text here, integer there (`default_mode`).
    Octal,
    /// Text that is compared as a quantity.
    Quantity,
    /// Keys are the user's, on both sides alike.
    TextMap,
    /// Text here, base64 there.
    Base64Map,
    /// Base64 on both sides, beside a [`Shape::Base64Map`] of the same API field: what is not text.
    BinaryMap,
    QuantityMap,
    TextList,
    TextSet,
    IntList,
    IntSet,
    /// A list with at most one element here, an object there.
    One(Arc<Fields>),
    /// A list of objects on both sides, merged by these API keys; without keys it is owned as a whole.
    Many(Arc<Fields>, &'static [&'static str]),
    /// A set of objects here, a list there, merged by these API keys.
    Group(Arc<Fields>, &'static [&'static str]),
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// Name in the API; empty for an argument that only we read.
    pub(crate) api: String,
    pub(crate) shape: Shape,
    pub(crate) presence: Presence,
    pub(crate) default: Option<Value>,
    pub(crate) replaces: bool,
    pub(crate) sensitive: bool,
    /// A computed value that any update may change.
    pub(crate) volatile: bool,
    /// A computed value that changes only with these top-level arguments.
    pub(crate) changes_with: &'static [&'static str],
    /// Sent only while the sibling attribute has this value; otherwise it has no meaning.
    pub(crate) when: Option<(&'static str, &'static str)>,
    /// Written and never read back. It goes to the API where it is new or its `…_revision` changes; else what the API
    /// has stays.
    pub(crate) write_only: bool,
    /// Not read while this sibling is set, unless the user writes it: what is there came by a write-only argument.
    pub(crate) hidden_by: &'static [&'static str],
    /// A map that the API owns as a whole: a key of others in it is a change of ours.
    pub(crate) whole: bool,
    pub(crate) doc: &'static str,
}

/// The fields of a block, with the type of its value.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) doc: &'static str,
    pub(crate) list: Vec<Field>,
    pub(crate) ty: Type,
    block: OnceLock<Arc<Block>>,
}

/// Turns `image_pull_policy` into `imagePullPolicy`.
fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else if upper {
            out.push(c.to_ascii_uppercase());
            upper = false;
        } else {
            out.push(c);
        }
    }
    out
}

fn field(name: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field {
        name,
        api: camel(name),
        shape,
        presence: Presence::Optional,
        default: None,
        replaces: false,
        sensitive: false,
        volatile: false,
        changes_with: &[],
        when: None,
        write_only: false,
        hidden_by: &[],
        whole: false,
        doc,
    }
}

pub(crate) fn text(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Text, doc)
}
pub(crate) fn boolean(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Bool, doc)
}
pub(crate) fn int(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Int, doc)
}
pub(crate) fn int_text(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::IntText, doc)
}
pub(crate) fn int_or_text(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::IntOrText, doc)
}
pub(crate) fn octal(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Octal, doc)
}
pub(crate) fn quantity(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Quantity, doc)
}
pub(crate) fn text_map(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::TextMap, doc)
}
pub(crate) fn base64_map(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Base64Map, doc)
}
pub(crate) fn binary_map(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::BinaryMap, doc)
}
pub(crate) fn quantity_map(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::QuantityMap, doc)
}
pub(crate) fn text_list(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::TextList, doc)
}
pub(crate) fn text_set(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::TextSet, doc)
}
pub(crate) fn int_list(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::IntList, doc)
}
pub(crate) fn int_set(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::IntSet, doc)
}
pub(crate) fn one(name: &'static str, doc: &'static str, list: Vec<Field>) -> Field {
    field(name, Shape::One(Fields::new(doc, list)), doc)
}
/// A list of objects that the API owns as a whole.
pub(crate) fn many(name: &'static str, doc: &'static str, list: Vec<Field>) -> Field {
    field(name, Shape::Many(Fields::new(doc, list), &[]), doc)
}

/// A set of objects, merged by keys.
pub(crate) fn group(name: &'static str, doc: &'static str, list: Vec<Field>) -> Field {
    field(name, Shape::Group(Fields::new(doc, list), &[]), doc)
}

impl Field {
    /// Gives the name in the API where it is not the camel case of ours.
    pub(crate) fn api(mut self, name: &str) -> Field {
        self.api = name.into();
        self
    }
    /// An argument that is never sent.
    pub(crate) fn local(self) -> Field {
        self.api("")
    }
    pub(crate) fn required(mut self) -> Field {
        self.presence = Presence::Required;
        self
    }
    /// Filled by the API if not set.
    pub(crate) fn or_computed(mut self) -> Field {
        self.presence = Presence::OptionalComputed;
        self
    }
    pub(crate) fn computed(mut self) -> Field {
        self.presence = Presence::Computed;
        self
    }
    pub(crate) fn default(mut self, value: impl Into<Value>) -> Field {
        self.default = Some(value.into());
        self
    }
    pub(crate) fn replaces(mut self) -> Field {
        self.replaces = true;
        self
    }
    pub(crate) fn sensitive(mut self) -> Field {
        self.sensitive = true;
        self
    }
    pub(crate) fn volatile(mut self) -> Field {
        self.volatile = true;
        self
    }
    pub(crate) fn changes_with(mut self, args: &'static [&'static str]) -> Field {
        self.changes_with = args;
        self
    }
    pub(crate) fn when(mut self, sibling: &'static str, value: &'static str) -> Field {
        self.when = Some((sibling, value));
        self
    }
    pub(crate) fn write_only(mut self) -> Field {
        self.write_only = true;
        self
    }
    pub(crate) fn hidden_by(mut self, siblings: &'static [&'static str]) -> Field {
        self.hidden_by = siblings;
        self
    }
    pub(crate) fn whole(mut self) -> Field {
        self.whole = true;
        self
    }
    /// Merges a list or set of objects by these API keys.
    pub(crate) fn keyed(mut self, keys: &'static [&'static str]) -> Field {
        if let Shape::Many(_, merged) | Shape::Group(_, merged) = &mut self.shape {
            *merged = keys;
        }
        self
    }

    pub(crate) fn ty(&self) -> Type {
        match &self.shape {
            Shape::Text | Shape::IntText | Shape::IntOrText | Shape::Octal | Shape::Quantity => Type::String,
            Shape::Bool => Type::Bool,
            Shape::Int => Type::Number,
            Shape::TextMap | Shape::Base64Map | Shape::BinaryMap | Shape::QuantityMap => {
                Type::map(Type::String)
            }
            Shape::TextList => Type::list(Type::String),
            Shape::TextSet => Type::set(Type::String),
            Shape::IntList => Type::list(Type::Number),
            Shape::IntSet => Type::set(Type::Number),
            Shape::One(fields) | Shape::Many(fields, _) => Type::list(fields.ty.clone()),
            Shape::Group(fields, _) => Type::set(fields.ty.clone()),
        }
    }

    fn is_block(&self) -> bool {
        self.presence != Presence::Computed
            && matches!(self.shape, Shape::One(_) | Shape::Many(..) | Shape::Group(..))
    }

    pub(crate) fn is_computed(&self) -> bool {
        matches!(self.presence, Presence::Computed | Presence::OptionalComputed)
    }

    /// The value of a field that is not set.
    pub(crate) fn absent(&self) -> Value {
        match &self.shape {
            Shape::One(fields) | Shape::Many(fields, _) => Value::list(fields.ty.clone(), Vec::new()),
            Shape::Group(fields, _) => Value::set(fields.ty.clone(), Vec::new()),
            _ => Value::null(self.ty()),
        }
    }

    fn attribute(&self) -> Attribute {
        let mut attribute = Attribute::new(self.ty(), self.presence, self.doc);
        attribute.default = self.default.clone();
        attribute.sensitive = self.sensitive;
        attribute.write_only = self.write_only;
        attribute.forces_replacement = self.replaces;
        attribute.changes_with = match (self.is_computed(), self.volatile, self.changes_with) {
            (true, false, []) => ChangesWith::Never,
            (true, false, args) => ChangesWith::Args(args.iter().map(|&a| a.into()).collect()),
            _ => ChangesWith::Any,
        };
        attribute
    }

    fn nested(&self, fields: &Fields, max: Option<usize>) -> NestedBlock {
        let nesting = if matches!(self.shape, Shape::Group(..)) { Nesting::Set } else { Nesting::List };
        let mut nested = NestedBlock::new(nesting, fields.block().clone());
        nested.max = max;
        nested.min = usize::from(self.presence == Presence::Required);
        nested.computed = self.is_computed();
        nested.forces_replacement = self.replaces;
        nested
    }
}

impl Fields {
    pub(crate) fn new(doc: &'static str, list: Vec<Field>) -> Arc<Fields> {
        let attrs = list.iter().map(|f| (f.name.into(), f.ty())).collect();
        let ty = Type::Object(Arc::new(ObjectType { attrs, optional: Default::default() }));
        Arc::new(Fields { doc, list, ty, block: OnceLock::new() })
    }

    /// The schema of this block.
    pub(crate) fn block(&self) -> &Arc<Block> {
        self.block.get_or_init(|| Arc::new(self.make_block()))
    }

    fn make_block(&self) -> Block {
        let mut block = Block::new(self.doc);
        for field in &self.list {
            block = match &field.shape {
                Shape::One(fields) if field.is_block() => {
                    block.block(field.name, field.nested(fields, Some(1)))
                }
                Shape::Many(fields, _) | Shape::Group(fields, _) if field.is_block() => {
                    block.block(field.name, field.nested(fields, None))
                }
                _ => block.attr(field.name, field.attribute()),
            };
        }
        block
    }

    /// Returns the JSON to apply: what `planned` says of the settable fields. A computed field is left to the API
    /// unless `config` sets it, so that we do not come to own what others fill in.
    pub(crate) fn to_api(&self, planned: &Value, config: Option<&Value>) -> Map<String, Json> {
        let mut out = Map::new();
        for field in &self.list {
            let written = config.and_then(|c| c.get(field.name));
            let ours = match field.presence {
                Presence::Computed => false,
                Presence::OptionalComputed => config.is_none() || written.is_some_and(|v| !is_empty(v)),
                Presence::Required | Presence::Optional => true,
            };
            let ours = ours && field.when.is_none_or(|(sibling, v)| planned.str_attr(sibling) == Some(v));
            let from = if field.write_only { written } else { planned.get(field.name) };
            let Some(value) = from.filter(|_| ours && !field.api.is_empty()) else { continue };
            match (field.encode(value, written), out.get_mut(&field.api)) {
                // Two attributes may feed one field of the API: texts and binary data of a secret.
                (Some(Json::Object(more)), Some(Json::Object(object))) => object.extend(more),
                (Some(json), _) => drop(out.insert(field.api.clone(), json)),
                (None, _) => {}
            }
        }
        out
    }

    /// Returns the attributes of a live object. `guide` is what we wrote, if we know it.
    pub(crate) fn read_api(&self, live: &Json, guide: Option<&Value>) -> Value {
        Value::object(self.list.iter().map(|field| {
            if field.write_only || guide.is_some_and(|g| field.is_hidden(g, g)) {
                return (field.name, field.absent());
            }
            let guide = guide.and_then(|g| g.get(field.name));
            let live = live.get(&field.api).filter(|j| !j.is_null() && !field.api.is_empty());
            (field.name, field.decode(live, guide))
        }))
    }

    /// Takes out of planned attributes what will not be read.
    pub(crate) fn hide(&self, planned: Value, config: &Value) -> Value {
        let hidden = self.list.iter().filter(|f| f.is_hidden(&planned, config)).collect::<Vec<_>>();
        hidden.into_iter().fold(planned, |p, field| p.with_attr(field.name, field.absent()))
    }

    /// Puts what the API has in place of what would be written by a write-only argument whose revision stays.
    pub(crate) fn keep_written(
        &self,
        body: &mut Json,
        live: &Json,
        config: &Value,
        prior: &Value,
        planned: &Value,
    ) {
        let of = |value: &Value, name: &str| value.get(name).map(bare).filter(|v| !v.is_null());
        for field in self.list.iter().filter(|f| f.write_only) {
            let revision = format!("{}_revision", field.name);
            let keys = config.get(field.name).and_then(Value::as_map).into_iter().flatten();
            if of(prior, &revision) != of(planned, &revision) || of(prior, &revision).is_none() {
                continue;
            }
            for (key, _) in keys {
                if let Some(there) = live.get(&field.api).and_then(|data| data.get(&**key)) {
                    body[&field.api][&**key] = there.clone();
                }
            }
        }
    }

    pub(crate) fn has_write_only(&self) -> bool {
        self.list.iter().any(|f| f.write_only)
    }

    /// Keeps the prior value where the proposed one means the same.
    pub(crate) fn settle(&self, proposed: &Value, prior: &Value) -> Value {
        if proposed.as_map().is_none() || prior.as_map().is_none() {
            return proposed.clone();
        }
        let mut settled = proposed.clone();
        for field in &self.list {
            if let (Some(new), Some(old)) = (proposed.get(field.name), prior.get(field.name)) {
                settled = settled.with_attr(field.name, field.settle(new, old));
            }
        }
        settled
    }

    /// Returns our place of a field that the API names (`spec.template.spec.containers[0].image`): as far as known.
    pub(crate) fn place(&self, api_path: &str) -> Option<AttrPath> {
        let mut path = AttrPath::root();
        let mut fields: Option<&Fields> = Some(self);
        let mut steps = api_steps(api_path).into_iter().peekable();
        while let Some(step) = steps.next() {
            let Some(field) = fields.and_then(|f| f.list.iter().find(|f| f.api == step && !step.is_empty()))
            else {
                break;
            };
            path = path.attr(field.name);
            fields = match &field.shape {
                Shape::One(inner) => {
                    path = path.index(0);
                    Some(inner)
                }
                Shape::Many(inner, _) | Shape::Group(inner, _) => {
                    let index = steps.peek().and_then(|s| s.parse().ok());
                    if let Some(index) = index {
                        steps.next();
                        path = path.index(index);
                    }
                    Some(inner)
                }
                _ => None,
            };
        }
        (!path.0.is_empty()).then_some(path)
    }
}

/// Blocks that say something although nothing is in them: all pods, a folder.
const MEANT_EMPTY: &[&str] = &["empty_dir", "namespace_selector", "pod_selector"];

/// The entries of base64 that are text, decoded; or those that are not, as they are.
fn texts_of(live: &Json, wanted: bool) -> Json {
    let entries = live.as_object().into_iter().flatten();
    let part = entries.filter_map(|(key, value)| {
        let text = BASE64.decode(value.as_str()?).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match text {
            Some(text) if wanted => Some((key.clone(), text.into())),
            None if !wanted => Some((key.clone(), value.clone())),
            _ => None,
        }
    });
    Json::Object(part.collect())
}

/// Cuts `a.b[0].c[x.y]` into `a`, `b`, `0`, `c`, `x.y`.
fn api_steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut rest = path.trim_start_matches('.');
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            steps.push(inner[..end].trim_matches('"').to_string());
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(rest[..end].to_string());
            rest = &rest[end..];
        }
        rest = rest.trim_start_matches('.');
    }
    steps
}

/// Whether a value says nothing: null, or a collection without elements.
pub(crate) fn is_empty(value: &Value) -> bool {
    value.is_null()
        || value.as_seq().is_some_and(<[Value]>::is_empty)
        || matches!(value.kind(), ValueKind::Map(_, m) if m.is_empty())
}

/// Whether the API may leave the value out of its answers: false, 0, "", nothing, or all of these.
fn is_zero(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Null(_) => true,
        ValueKind::Bool(b) => !b,
        ValueKind::Number(n) => n.is_zero(),
        ValueKind::String(s) => s.is_empty() || &**s == "0",
        ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => vs.iter().all(is_zero),
        ValueKind::Map(_, vs) | ValueKind::Object(vs) => vs.values().all(is_zero),
        ValueKind::Unknown(_) => false,
    }
}

fn bare(value: &Value) -> Value {
    value.unmark_deep().0
}

fn octal_value(text: &str) -> Option<i64> {
    i64::from_str_radix(text.trim_start_matches("0o"), 8).ok()
}

fn text_of(json: &Json) -> Value {
    match json {
        Json::String(s) => Value::string(s.as_str()),
        other => Value::string(other.to_string()),
    }
}

fn number_of(json: &Json) -> Value {
    Number::parse(&json.to_string()).map_or(Value::null(Type::Number), Value::number)
}

impl Field {
    /// Whether the value is not to be read, by what its siblings have and what the user writes.
    fn is_hidden(&self, siblings: &Value, written: &Value) -> bool {
        let is_set = |name: &&str| siblings.get(name).is_some_and(|v| !v.is_null());
        self.hidden_by.iter().any(is_set) && written.get(self.name).is_none_or(is_empty)
    }

    fn encode(&self, value: &Value, written: Option<&Value>) -> Option<Json> {
        if is_empty(value) {
            return None;
        }
        let as_int = |s: &str| s.parse::<i64>().map_or_else(|_| s.into(), Json::from);
        Some(match &self.shape {
            Shape::IntText | Shape::IntOrText => as_int(value.as_str()?),
            Shape::Octal => {
                let text = value.as_str()?;
                octal_value(text).map_or_else(|| text.into(), Json::from)
            }
            Shape::One(fields) => Json::Object(fields.to_api(value.at(0)?, written.and_then(|w| w.at(0)))),
            Shape::Many(fields, _) => {
                let items = value.as_seq()?.iter().enumerate();
                // Without the configuration's element at this place there is nothing to tell ours from theirs.
                let encode = |(i, v)| Json::Object(fields.to_api(v, written.and_then(|w| w.at(i))));
                items.map(encode).collect()
            }
            Shape::Group(fields, _) => {
                value.as_seq()?.iter().map(|v| Json::Object(fields.to_api(v, Some(v)))).collect()
            }
            Shape::TextMap | Shape::BinaryMap | Shape::QuantityMap => {
                let entries = value.as_map()?.iter().filter(|(_, v)| !v.is_null());
                Json::Object(entries.map(|(k, v)| (k.to_string(), to_json(v))).collect())
            }
            Shape::Base64Map => {
                let texts = value.as_map()?.iter().filter_map(|(k, v)| Some((k, v.as_str()?)));
                Json::Object(texts.map(|(k, text)| (k.to_string(), BASE64.encode(text).into())).collect())
            }
            Shape::Text
            | Shape::Bool
            | Shape::Int
            | Shape::Quantity
            | Shape::TextList
            | Shape::TextSet
            | Shape::IntList
            | Shape::IntSet => to_json(value),
        })
    }

    /// `guide`: `None` if nobody knows what we wrote; a null or empty value if we wrote nothing here.
    fn decode(&self, live: Option<&Json>, guide: Option<&Value>) -> Value {
        if self.api.is_empty() {
            let ours = guide.filter(|v| !v.is_null()).or(self.default.as_ref());
            return ours.cloned().unwrap_or_else(|| self.absent());
        }
        let fills = self.is_computed() || self.default.is_some();
        if let Some(unset) = guide.filter(|v| is_empty(v) && !fills) {
            return unset.clone();
        }
        let guide = guide.filter(|v| !is_empty(v));
        let Some(live) = live else {
            return self.decode_absent(guide);
        };
        let value = self.decode_present(live, guide);
        match guide {
            Some(ours) if self.same(ours, &value) => ours.clone(),
            _ => value,
        }
    }

    fn decode_absent(&self, guide: Option<&Value>) -> Value {
        let unsaid = |v: &&Value| is_zero(v);
        let unsaid = |v: &&Value| self.when.is_some() || unsaid(v);
        let ours = guide.filter(unsaid).or_else(|| self.default.as_ref().filter(unsaid));
        ours.cloned().unwrap_or_else(|| self.untold(guide))
    }

    /// A block that nobody wrote and the API does not tell. One that must be written is there all the same, and empty.
    fn untold(&self, guide: Option<&Value>) -> Value {
        match &self.shape {
            Shape::One(fields)
                if guide.is_none() && self.when.is_none() && self.presence == Presence::Required =>
            {
                Value::list(fields.ty.clone(), vec![fields.read_api(&Json::Object(Map::new()), None)])
            }
            _ => self.absent(),
        }
    }

    fn decode_present(&self, live: &Json, guide: Option<&Value>) -> Value {
        let items = || live.as_array().map(Vec::as_slice).unwrap_or_default();
        match &self.shape {
            Shape::Text | Shape::IntText | Shape::IntOrText | Shape::Quantity => text_of(live),
            Shape::Octal => {
                Value::string(live.as_i64().map_or_else(|| live.to_string(), |n| format!("{n:04o}")))
            }
            Shape::Bool => live.as_bool().map_or(Value::null(Type::Bool), Value::bool),
            Shape::Int => number_of(live),
            Shape::TextMap if self.whole => decode_map(live, None, self.name),
            Shape::TextMap => decode_map(live, guide, self.name),
            Shape::Base64Map => decode_map(&texts_of(live, true), guide, self.name),
            Shape::BinaryMap if guide.is_none() => decode_map(&texts_of(live, false), None, self.name),
            Shape::BinaryMap => decode_map(live, guide, self.name),
            Shape::QuantityMap => keep_spelling(&decode_map(live, guide, self.name), guide),
            Shape::TextList => Value::list(Type::String, items().iter().map(text_of).collect()),
            Shape::TextSet => Value::set(Type::String, items().iter().map(text_of).collect()),
            Shape::IntList => Value::list(Type::Number, items().iter().map(number_of).collect()),
            Shape::IntSet => Value::set(Type::Number, items().iter().map(number_of).collect()),
            Shape::One(fields) => {
                let inner = guide.and_then(|g| g.at(0));
                let untold = live.as_object().is_some_and(Map::is_empty) && inner.is_none();
                // An empty object that nobody wrote says nothing, but for the few where presence is the message.
                if untold && self.presence != Presence::Computed && !MEANT_EMPTY.contains(&self.name) {
                    return self.untold(guide);
                }
                Value::list(fields.ty.clone(), vec![fields.read_api(live, inner)])
            }
            Shape::Many(fields, keys) => {
                Value::list(fields.ty.clone(), decode_items(fields, keys, items(), guide))
            }
            Shape::Group(fields, keys) => {
                Value::set(fields.ty.clone(), decode_items(fields, keys, items(), guide))
            }
        }
    }

    /// Whether two values of this field mean the same.
    fn same(&self, a: &Value, b: &Value) -> bool {
        let texts = (a.as_str(), b.as_str());
        match (&self.shape, texts) {
            (Shape::Quantity, (Some(a), Some(b))) => same_quantity(a, b),
            (Shape::Octal, (Some(a), Some(b))) => a == b || octal_value(a) == octal_value(b),
            (Shape::IntText | Shape::IntOrText, (Some(a), Some(b))) => {
                a == b || matches!((a.parse::<i64>(), b.parse::<i64>()), (Ok(a), Ok(b)) if a == b)
            }
            (Shape::QuantityMap, _) => same_quantities(a, b),
            _ => bare(a) == bare(b),
        }
    }

    fn settle(&self, new: &Value, old: &Value) -> Value {
        if new.is_unknown() || old.is_unknown() {
            return new.clone();
        }
        match &self.shape {
            Shape::One(fields) | Shape::Many(fields, _) => {
                let (Some(news), Some(olds)) = (new.as_seq(), old.as_seq()) else {
                    return new.clone();
                };
                let settle = |(i, v): (usize, &Value)| {
                    olds.get(i).map_or_else(|| v.clone(), |old| fields.settle(v, old))
                };
                let items = news.iter().enumerate().map(settle).collect();
                Value::list(fields.ty.clone(), items).with_marks(new.marks())
            }
            _ if new.is_wholly_known() && self.same(new, old) => old.clone().with_marks(new.marks()),
            _ => new.clone(),
        }
    }
}

fn same_quantities(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_map(), b.as_map()) else {
        return a.is_null() && b.is_null();
    };
    let same = |v: &Value, w: &Value| match (v.as_str(), w.as_str()) {
        (Some(v), Some(w)) => same_quantity(v, w),
        _ => bare(v) == bare(w),
    };
    a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
}

/// Of a map only the keys that we wrote are ours; for an object that nobody wrote of (an import), all but those
/// that controllers keep for themselves.
fn decode_map(live: &Json, guide: Option<&Value>, name: &str) -> Value {
    let empty = Map::new();
    let live = live.as_object().unwrap_or(&empty);
    let meta = matches!(name, "annotations" | "labels");
    let ours = |key: &str| match guide.and_then(Value::as_map) {
        Some(written) => written.contains_key(key),
        None => !meta || !is_internal_key(key),
    };
    let entries: BTreeMap<Arc<str>, Value> = live
        .iter()
        .filter(|(k, _)| ours(k) && *k != OWNER_ANNOTATION)
        .map(|(k, v)| (k.as_str().into(), text_of(v)))
        .collect();
    if entries.is_empty() && guide.is_none() {
        return Value::null(Type::map(Type::String));
    }
    Value::map(Type::String, entries)
}

/// Gives each quantity of a map in our words where it means the same.
fn keep_spelling(read: &Value, guide: Option<&Value>) -> Value {
    let mut kept = read.clone();
    for (key, value) in read.as_map().into_iter().flatten() {
        let ours = guide.and_then(|g| g.get(key));
        if let (Some(ours), Some(theirs)) = (ours, value.as_str())
            && ours.as_str().is_some_and(|o| same_quantity(o, theirs))
        {
            kept = kept.with_attr(key, ours.clone());
        }
    }
    kept
}

/// Keys of labels and annotations that controllers of Kubernetes write.
pub(crate) fn is_internal_key(key: &str) -> bool {
    let Some((host, _)) = key.split_once('/') else {
        return matches!(key, "deprecated.daemonset.template.generation" | "controller-uid" | "job-name");
    };
    let theirs = host == "kubernetes.io" || host.ends_with(".kubernetes.io");
    theirs && host != "app.kubernetes.io" && host != "service.beta.kubernetes.io"
}

/// The elements of a list of objects, ours first and in our order; others' elements of a merged list are not ours.
fn decode_items(fields: &Fields, keys: &[&str], live: &[Json], guide: Option<&Value>) -> Vec<Value> {
    let Some(written) = guide.and_then(Value::as_seq) else {
        return live.iter().map(|item| fields.read_api(item, None)).collect();
    };
    if keys.is_empty() {
        return live.iter().enumerate().map(|(i, item)| fields.read_api(item, written.get(i))).collect();
    }
    let matching = |ours: &Value| {
        let wanted = fields.to_api(ours, None);
        let same = |item: &&Json| keys.iter().all(|k| same_key(wanted.get(*k), item.get(*k)));
        live.iter().find(same).map(|item| fields.read_api(item, Some(ours)))
    };
    written.iter().filter_map(matching).collect()
}

/// A key that one side leaves out is taken as equal: the API fills defaults in (`protocol`).
fn same_key(ours: Option<&Json>, theirs: Option<&Json>) -> bool {
    match (ours, theirs) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
pub(crate) mod tests;
