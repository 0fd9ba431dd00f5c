//! Values with their marks.
//!
//! A [`Value`] is data plus the marks of just this value; values inside carry their own. A value that is
//! proven to hold nothing unknown is a [`Resolved`]: only such a one reaches a changing call.
//!
//! Invariants: the elements of a list, set or map have its element type (or are null or unknown of it);
//! a set is sorted and holds no equal elements twice; `Unknown` never hides a type that is known.

use crate::address::Address;
use crate::marks::Marks;
pub use crate::names::Causes;
use crate::names::NameMap;
use crate::number::Number;
use crate::path::{AttrPath, Step};
use crate::ty::{ObjectType, Type};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    kind: ValueKind,
    marks: Marks,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueKind {
    Bool(bool),
    Number(Number),
    String(Arc<str>),
    /// Element type and elements.
    List(Type, Arc<Vec<Value>>),
    /// Element type and elements, sorted, none twice.
    Set(Type, Arc<Vec<Value>>),
    /// Element type and elements.
    Map(Type, Arc<NameMap<Value>>),
    Tuple(Arc<Vec<Value>>),
    Object(Arc<NameMap<Value>>),
    // Last, so that what is known comes first in a set.
    Null(Type),
    Unknown(Arc<Unknown>),
}

/// What is known of a value that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    pub ty: Type,
    pub refine: Refinements,
    /// What it waits for; the reason of every deferral.
    pub causes: Causes,
    /// How to make it at each use, where the value is minted.
    pub residual: Option<Arc<Residual>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refinements {
    pub not_null: bool,
    /// A string begins with this.
    pub prefix: Option<Arc<str>>,
    /// Bounds of the number of elements of a collection. Of a number that counts elements: its own bounds,
    /// if there is an upper one.
    pub len_min: usize,
    pub len_max: Option<usize>,
}

/// Why a value is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The node whose result is awaited.
    Node(Address),
    /// An impure function such as `timestamp`, known at apply.
    Function(Arc<str>),
}

/// A recipe of a minted value: what is evaluated anew at each use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Residual {
    /// The place `path` of what a minter gives.
    Mint(Mint, AttrPath),
    /// The place `path` of the value of an expression over named inputs, some of which are minted.
    /// Inputs are keyed by the text of the reference (`local.token`, `data.x.y`).
    Expr { text: Arc<str>, inputs: NameMap<Value>, path: AttrPath },
}

/// A minter and its arguments: all of them known, or recipes in turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mint {
    /// The kind that mints, such as `aws_eks_cluster_auth`.
    pub kind: Arc<str>,
    /// The ephemeral resource that this opens: all who use it get the same value. `None`: a data source mints.
    pub opens: Option<crate::address::InstanceAddr>,
    /// The provider configuration that it is asked through.
    pub provider: crate::address::ProviderAddr,
    pub args: Value,
}

impl Unknown {
    pub fn of(ty: Type) -> Unknown {
        Unknown { ty, refine: Refinements::default(), causes: Causes::new(), residual: None }
    }
}

impl From<ValueKind> for Value {
    fn from(kind: ValueKind) -> Value {
        Value { kind, marks: Marks::NONE }
    }
}

impl Value {
    /// A null of no particular type.
    pub const NULL: Value = Value { kind: ValueKind::Null(Type::Dynamic), marks: Marks::NONE };

    pub fn null(ty: Type) -> Value {
        ValueKind::Null(ty).into()
    }
    pub fn unknown(ty: Type) -> Value {
        Unknown::of(ty).into()
    }
    /// An unknown of `ty` that waits for `causes`.
    pub fn unknown_because(ty: Type, causes: impl IntoIterator<Item = Cause>) -> Value {
        Unknown { causes: causes.into_iter().collect(), ..Unknown::of(ty) }.into()
    }
    pub fn bool(b: bool) -> Value {
        ValueKind::Bool(b).into()
    }
    pub fn string(s: impl Into<Arc<str>>) -> Value {
        ValueKind::String(s.into()).into()
    }
    pub fn number(n: impl Into<Number>) -> Value {
        ValueKind::Number(n.into()).into()
    }
    /// Elements must have type `element` already.
    pub fn list(element: Type, elements: Vec<Value>) -> Value {
        ValueKind::List(element, Arc::new(elements)).into()
    }
    /// Elements must have type `element` already; they are sorted here and equal ones merged.
    pub fn set(element: Type, mut elements: Vec<Value>) -> Value {
        crate::set_order::sort(&element, &mut elements);
        // What is not known may still turn out to be different.
        elements.dedup_by(|a, b| a == b && a.is_wholly_known());
        ValueKind::Set(element, Arc::new(elements)).into()
    }
    /// Elements must have type `element` already.
    pub fn map<K: Into<Arc<str>>>(element: Type, elements: impl IntoIterator<Item = (K, Value)>) -> Value {
        ValueKind::Map(element, Arc::new(elements.into_iter().map(|(k, v)| (k.into(), v)).collect())).into()
    }
    pub fn tuple(elements: Vec<Value>) -> Value {
        ValueKind::Tuple(Arc::new(elements)).into()
    }
    pub fn object<K: Into<Arc<str>>>(attrs: impl IntoIterator<Item = (K, Value)>) -> Value {
        ValueKind::Object(Arc::new(attrs.into_iter().map(|(k, v)| (k.into(), v)).collect())).into()
    }

    pub fn kind(&self) -> &ValueKind {
        &self.kind
    }
    pub fn into_kind(self) -> ValueKind {
        self.kind
    }

    /// Marks of this value alone.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Marks of this value and of all values inside.
    pub fn deep_marks(&self) -> Marks {
        let mut marks = Marks::NONE;
        self.walk(&mut |v| marks = marks.union(v.marks));
        marks
    }

    /// Adds marks to this value alone.
    #[must_use]
    pub fn mark(mut self, marks: Marks) -> Value {
        self.marks = self.marks.union(marks);
        self
    }

    /// Returns the value with exactly these marks (values inside keep theirs).
    #[must_use]
    pub fn with_marks(mut self, marks: Marks) -> Value {
        self.marks = marks;
        self
    }

    /// Returns the value without any mark, inside and out, and the union of the marks that were taken off.
    pub fn unmark_deep(&self) -> (Value, Marks) {
        let marks = self.deep_marks();
        if marks.is_none() {
            return (self.clone(), marks);
        }
        let bare = self.map_deep(&mut |v| v.with_marks(Marks::NONE));
        (bare, marks)
    }

    pub fn ty(&self) -> Type {
        match &self.kind {
            ValueKind::Null(ty) => ty.clone(),
            ValueKind::Unknown(u) => u.ty.clone(),
            ValueKind::Bool(_) => Type::Bool,
            ValueKind::Number(_) => Type::Number,
            ValueKind::String(_) => Type::String,
            ValueKind::List(e, _) => Type::list(e.clone()),
            ValueKind::Set(e, _) => Type::set(e.clone()),
            ValueKind::Map(e, _) => Type::map(e.clone()),
            ValueKind::Tuple(vs) => Type::tuple(vs.iter().map(Value::ty)),
            ValueKind::Object(attrs) => Type::Object(Arc::new(ObjectType {
                attrs: attrs.iter().map(|(k, v)| (k.clone(), v.ty())).collect(),
                optional: BTreeSet::new(),
            })),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, ValueKind::Null(_))
    }
    pub fn is_unknown(&self) -> bool {
        matches!(self.kind, ValueKind::Unknown(_))
    }
    /// Whether nothing inside is unknown.
    pub fn is_wholly_known(&self) -> bool {
        match &self.kind {
            ValueKind::Unknown(_) => false,
            ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => {
                vs.iter().all(Value::is_wholly_known)
            }
            ValueKind::Map(_, vs) | ValueKind::Object(vs) => vs.values().all(Value::is_wholly_known),
            _ => true,
        }
    }
    pub fn as_unknown(&self) -> Option<&Unknown> {
        if let ValueKind::Unknown(u) = &self.kind { Some(u) } else { None }
    }
    pub fn as_str(&self) -> Option<&str> {
        if let ValueKind::String(s) = &self.kind { Some(s) } else { None }
    }
    pub fn as_bool(&self) -> Option<bool> {
        if let ValueKind::Bool(b) = self.kind { Some(b) } else { None }
    }
    pub fn as_number(&self) -> Option<&Number> {
        if let ValueKind::Number(n) = &self.kind { Some(n) } else { None }
    }
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::to_i64)
    }
    /// Elements of a list, set or tuple.
    pub fn as_seq(&self) -> Option<&[Value]> {
        match &self.kind {
            ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => Some(vs),
            _ => None,
        }
    }
    /// Elements of a map or object.
    pub fn as_map(&self) -> Option<&NameMap<Value>> {
        match &self.kind {
            ValueKind::Map(_, vs) | ValueKind::Object(vs) => Some(vs),
            _ => None,
        }
    }
    /// The attribute or map element `name`, if it is there.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_map().and_then(|m| m.get(name))
    }
    /// The element at `index` of a list, set or tuple.
    pub fn at(&self, index: usize) -> Option<&Value> {
        self.as_seq().and_then(|s| s.get(index))
    }
    /// The value at a path, if it is there.
    pub fn lookup(&self, path: &AttrPath) -> Option<&Value> {
        path.0.iter().try_fold(self, |v, step| match step {
            Step::Attr(name) | Step::Key(name) => v.get(name),
            Step::Index(i) => v.at(*i),
        })
    }
    /// The string at an attribute, if it is known and a string.
    pub fn str_attr(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Everything that unknown parts of this value wait for.
    pub fn causes(&self) -> Causes {
        let mut causes = Causes::new();
        self.walk(&mut |v| {
            if let Some(u) = v.as_unknown() {
                causes.join(&u.causes);
            }
        });
        causes
    }

    /// Visits this value and all inside, outer before inner.
    pub fn walk(&self, visit: &mut dyn FnMut(&Value)) {
        visit(self);
        match &self.kind {
            ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => {
                vs.iter().for_each(|v| v.walk(visit));
            }
            ValueKind::Map(_, vs) | ValueKind::Object(vs) => vs.values().for_each(|v| v.walk(visit)),
            _ => {}
        }
    }

    /// Visits this value and all inside with their places, outer before inner.
    pub fn walk_paths(&self, at: &AttrPath, visit: &mut dyn FnMut(&AttrPath, &Value)) {
        visit(at, self);
        match &self.kind {
            ValueKind::List(_, vs) | ValueKind::Set(_, vs) | ValueKind::Tuple(vs) => {
                vs.iter().enumerate().for_each(|(i, v)| v.walk_paths(&at.index(i), visit));
            }
            ValueKind::Map(_, vs) => {
                vs.iter().for_each(|(k, v)| v.walk_paths(&at.with(Step::Key(k.clone())), visit));
            }
            ValueKind::Object(vs) => {
                vs.iter().for_each(|(k, v)| v.walk_paths(&at.with(Step::Attr(k.clone())), visit));
            }
            _ => {}
        }
    }

    /// Rebuilds the value bottom-up through `change`, which must keep types.
    #[must_use]
    pub fn map_deep(&self, change: &mut dyn FnMut(Value) -> Value) -> Value {
        let kind = match &self.kind {
            ValueKind::List(e, vs) => {
                ValueKind::List(e.clone(), Arc::new(vs.iter().map(|v| v.map_deep(change)).collect()))
            }
            ValueKind::Set(e, vs) => {
                Value::set(e.clone(), vs.iter().map(|v| v.map_deep(change)).collect()).kind
            }
            ValueKind::Tuple(vs) => {
                ValueKind::Tuple(Arc::new(vs.iter().map(|v| v.map_deep(change)).collect()))
            }
            ValueKind::Map(e, vs) => ValueKind::Map(
                e.clone(),
                Arc::new(vs.iter().map(|(k, v)| (k.clone(), v.map_deep(change))).collect()),
            ),
            ValueKind::Object(vs) => {
                ValueKind::Object(Arc::new(vs.iter().map(|(k, v)| (k.clone(), v.map_deep(change))).collect()))
            }
            other => other.clone(),
        };
        change(Value { kind, marks: self.marks })
    }

    /// Returns an object with one attribute set to another value; other values are returned unchanged.
    #[must_use]
    pub fn with_attr(&self, name: &str, value: Value) -> Value {
        let mut copy = self.clone();
        match &mut copy.kind {
            ValueKind::Object(attrs) | ValueKind::Map(_, attrs) => {
                Arc::make_mut(attrs).insert(name.into(), value);
            }
            _ => {}
        }
        copy
    }

    /// Proves that nothing inside is unknown.
    ///
    /// # Errors
    /// Returns the first unknown place and what it waits for.
    pub fn resolve(self) -> Result<Resolved, Unresolved> {
        let mut first = None;
        self.walk_paths(&AttrPath::root(), &mut |path, v| {
            if let (None, Some(u)) = (&first, v.as_unknown()) {
                first =
                    Some(Unresolved { path: path.clone(), causes: u.causes.clone(), minted: v.marks.minted });
            }
        });
        first.map_or(Ok(Resolved(self)), Err)
    }
}

impl From<Unknown> for Value {
    fn from(unknown: Unknown) -> Value {
        ValueKind::Unknown(Arc::new(unknown)).into()
    }
}
impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Value::string(s)
    }
}
impl From<String> for Value {
    fn from(s: String) -> Value {
        Value::string(s)
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::bool(b)
    }
}
impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::number(n)
    }
}

/// A value that is proven to hold nothing unknown. Only [`Value::resolve`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved(Value);

impl Resolved {
    pub fn value(&self) -> &Value {
        &self.0
    }
    pub fn into_value(self) -> Value {
        self.0
    }
}

impl std::ops::Deref for Resolved {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.0
    }
}

/// The place that keeps a value from being resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    pub path: AttrPath,
    pub causes: Causes,
    pub minted: bool,
}
