//! Reading arguments out of values, and building values of a schema's shape.
//!
//! Kinds build their results loosely (strings, tuples, partial objects); [`conform`] gives them exactly the type of
//! the schema, with what is missing as null or as no blocks.

use groma_provider::{ErrorKind, ProviderError};
use groma_types::schema::{Block, NestedBlock, Nesting};
use groma_types::{Type, Value, convert};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A string argument; null, unknown and absent are `None`.
pub(crate) fn text(value: &Value, name: &str) -> Option<String> {
    value.str_attr(name).map(str::to_string)
}

/// A string argument that is there by the schema; empty if it is not.
pub(crate) fn text_or_empty(value: &Value, name: &str) -> String {
    text(value, name).unwrap_or_default()
}

pub(crate) fn flag(value: &Value, name: &str) -> Option<bool> {
    value.get(name).and_then(Value::as_bool)
}

pub(crate) fn int(value: &Value, name: &str) -> Option<i32> {
    value.get(name).and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok())
}

/// The strings of a list or set argument; null is `None`.
pub(crate) fn texts(value: &Value, name: &str) -> Option<Vec<String>> {
    let items = value.get(name)?.as_seq()?;
    Some(items.iter().filter_map(Value::as_str).map(str::to_string).collect())
}

/// The strings of a map argument; null is `None`.
pub(crate) fn text_map(value: &Value, name: &str) -> Option<BTreeMap<String, String>> {
    let items = value.get(name)?.as_map()?;
    Some(items.iter().filter_map(|(k, v)| Some((k.to_string(), v.as_str()?.to_string()))).collect())
}

/// The one block `name`, where it is written (blocks that occur at most once are lists upstream).
pub(crate) fn block<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name)?.at(0).filter(|v| !v.is_null() && !v.is_unknown())
}

/// All blocks `name`.
pub(crate) fn blocks<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_seq).unwrap_or_default()
}

/// Whether an argument is null or absent.
pub(crate) fn is_unset(value: &Value, name: &str) -> bool {
    value.get(name).is_none_or(Value::is_null)
}

pub(crate) fn opt_text<S: Into<Arc<str>>>(text: Option<S>) -> Value {
    text.map_or(Value::NULL, Value::string)
}

pub(crate) fn opt_flag(flag: Option<bool>) -> Value {
    flag.map_or(Value::NULL, Value::bool)
}

pub(crate) fn opt_int(number: Option<i32>) -> Value {
    number.map_or(Value::NULL, |n| Value::number(i64::from(n)))
}

/// A tuple of strings, to be conformed to a list or set.
pub(crate) fn tuple_of<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Value {
    Value::tuple(items.into_iter().map(|s| Value::string(s.as_ref())).collect())
}

pub(crate) fn map_of(items: &BTreeMap<String, String>) -> Value {
    Value::map(Type::String, items.iter().map(|(k, v)| (k.as_str(), Value::string(v.as_str()))))
}

/// One block with these attributes.
pub(crate) fn one(attrs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::tuple(vec![Value::object(attrs)])
}

/// Gives a loosely built object exactly the type of `block`.
///
/// # Errors
/// A value does not convert: a fault of this crate.
pub(crate) fn conform(block: &Block, loose: &Value) -> Result<Value, ProviderError> {
    let mut attrs: BTreeMap<Arc<str>, Value> = BTreeMap::new();
    for (name, attribute) in &block.attrs {
        let value = match loose.get(name) {
            Some(value) => convert::convert(value, &attribute.ty)
                .map_err(|e| ProviderError::new(ErrorKind::Bug, format!("attribute {name}: {e}")))?,
            None => Value::null(attribute.ty.clone()),
        };
        attrs.insert(name.clone(), value);
    }
    for (name, nested) in &block.blocks {
        let items = loose.get(name).and_then(Value::as_seq).unwrap_or_default();
        attrs.insert(name.clone(), conform_blocks(nested, items)?);
    }
    Ok(Value::object(attrs))
}

fn conform_blocks(nested: &NestedBlock, items: &[Value]) -> Result<Value, ProviderError> {
    let inner = nested.block.ty();
    let mut done = Vec::with_capacity(items.len());
    for item in items.iter().filter(|item| !item.is_null()) {
        done.push(conform(&nested.block, item)?);
    }
    Ok(match nested.nesting {
        Nesting::List => Value::list(inner, done),
        Nesting::Set => Value::set(inner, done),
        Nesting::Single => done.into_iter().next().unwrap_or_else(|| Value::null(inner)),
        Nesting::Map => Value::null(Type::map(inner)),
    })
}

/// Proves a conformed value to be known, which it is by construction.
pub(crate) fn resolved(value: Value) -> Result<groma_types::Resolved, ProviderError> {
    value
        .resolve()
        .map_err(|u| ProviderError::new(ErrorKind::Bug, format!("{} is not known after the call", u.path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use groma_types::schema::Attribute;

    #[test]
    fn conform_fills_what_is_missing_and_gives_exact_types() {
        let inner = Block::new("").attr("ids", Attribute::optional(Type::set(Type::String), ""));
        let block = Block::new("")
            .attr("name", Attribute::required(Type::String, ""))
            .attr("size", Attribute::optional(Type::Number, ""))
            .block("net", NestedBlock::one(inner))
            .block("log", NestedBlock::one(Block::new("")));
        let loose =
            Value::object([("name", Value::string("n")), ("net", one([("ids", tuple_of(["b", "a", "b"]))]))]);
        let exact = conform(&block, &loose).unwrap();
        assert_eq!(exact.ty(), block.ty());
        assert_eq!(texts(super::block(&exact, "net").unwrap(), "ids").unwrap(), ["a", "b"]);
        assert!(is_unset(&exact, "size"));
        assert_eq!(blocks(&exact, "log").len(), 0);
    }
}
