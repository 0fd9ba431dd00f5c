//! Types of values, Terraform's.

use crate::names::NameMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// Any type: a placeholder in constraints, the type of a bare `null` and of an unknown of unknown type.
    Dynamic,
    Bool,
    Number,
    String,
    List(Arc<Type>),
    Set(Arc<Type>),
    Map(Arc<Type>),
    Tuple(Arc<[Type]>),
    Object(Arc<ObjectType>),
}

/// Attributes of an object type; `optional` ones may be absent when a value is converted to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectType {
    pub attrs: NameMap<Type>,
    pub optional: BTreeSet<Arc<str>>,
}

impl Type {
    pub fn list(element: Type) -> Type {
        Type::List(Arc::new(element))
    }
    pub fn set(element: Type) -> Type {
        Type::Set(Arc::new(element))
    }
    pub fn map(element: Type) -> Type {
        Type::Map(Arc::new(element))
    }
    pub fn tuple(elements: impl IntoIterator<Item = Type>) -> Type {
        Type::Tuple(elements.into_iter().collect())
    }
    pub fn object<K: Into<Arc<str>>>(attrs: impl IntoIterator<Item = (K, Type)>) -> Type {
        let attrs = attrs.into_iter().map(|(k, t)| (k.into(), t)).collect();
        Type::Object(Arc::new(ObjectType { attrs, optional: BTreeSet::new() }))
    }

    pub fn is_collection(&self) -> bool {
        matches!(self, Type::List(_) | Type::Set(_) | Type::Map(_))
    }

    /// The type of the elements of a collection.
    pub fn element(&self) -> Option<Type> {
        match self {
            Type::List(e) | Type::Set(e) | Type::Map(e) => Some((**e).clone()),
            _ => None,
        }
    }

    pub fn is_primitive(&self) -> bool {
        matches!(self, Type::Bool | Type::Number | Type::String)
    }

    /// Whether `Dynamic` stands anywhere inside.
    pub fn has_dynamic(&self) -> bool {
        match self {
            Type::Dynamic => true,
            Type::Bool | Type::Number | Type::String => false,
            Type::List(e) | Type::Set(e) | Type::Map(e) => e.has_dynamic(),
            Type::Tuple(es) => es.iter().any(Type::has_dynamic),
            Type::Object(o) => o.attrs.values().any(Type::has_dynamic),
        }
    }

    /// Word for messages: "string", "list of string", "object".
    pub fn friendly(&self) -> String {
        match self {
            Type::Dynamic => "dynamic".into(),
            Type::Bool => "bool".into(),
            Type::Number => "number".into(),
            Type::String => "string".into(),
            Type::List(e) => format!("list of {}", e.friendly()),
            Type::Set(e) => format!("set of {}", e.friendly()),
            Type::Map(e) => format!("map of {}", e.friendly()),
            Type::Tuple(_) => "tuple".into(),
            Type::Object(_) => "object".into(),
        }
    }
}

/// Writes the type as a type constraint: `list(string)`, `object({a = number})`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Dynamic => f.write_str("any"),
            Type::Bool => f.write_str("bool"),
            Type::Number => f.write_str("number"),
            Type::String => f.write_str("string"),
            Type::List(e) => write!(f, "list({e})"),
            Type::Set(e) => write!(f, "set({e})"),
            Type::Map(e) => write!(f, "map({e})"),
            Type::Tuple(es) => {
                f.write_str("tuple([")?;
                for (i, e) in es.iter().enumerate() {
                    write!(f, "{}{e}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("])")
            }
            Type::Object(o) => {
                f.write_str("object({")?;
                for (i, (name, ty)) in o.attrs.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    if o.optional.contains(name) {
                        write!(f, "{comma}{name} = optional({ty})")?;
                    } else {
                        write!(f, "{comma}{name} = {ty}")?;
                    }
                }
                f.write_str("})")
            }
        }
    }
}
