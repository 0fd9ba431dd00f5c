//! Tags: `tags`, the provider's `default_tags`, their union `tags_all`, and the owner mark among them.
//!
//! Invariant: the owner mark (`groma-owner`) and the cloud's own tags (`aws:…`) are never part of the attributes;
//! the mark is written with a create and is not among the tags that an update takes off.

use crate::values::{map_of, text_map};
use groma_types::schema::{Attribute, Block};
use groma_types::{Type, Value};
use std::collections::BTreeMap;

pub(crate) type Tags = BTreeMap<String, String>;

/// The tag that holds the owner mark.
pub(crate) const OWNER_TAG: &str = "groma-owner";

/// Adds the attributes `tags` and `tags_all`.
pub(crate) fn with_tags(block: Block) -> Block {
    block
        .attr(
            "tags",
            Attribute::optional(Type::map(Type::String), "Tags; those of `default_tags` come on top."),
        )
        .attr(
            "tags_all",
            Attribute::optional_computed(
                Type::map(Type::String),
                "All tags, those of the provider's `default_tags` included.",
            )
            .changes_with(&["tags"]),
        )
}

fn is_hidden(key: &str) -> bool {
    key == OWNER_TAG || key.starts_with("aws:")
}

/// Returns the planned `tags_all`: known when tags and default tags are.
pub(crate) fn planned_all(config: &Value, provider_config: &Value) -> Value {
    let unknown = || Value::unknown(Type::map(Type::String));
    let tags = config.get("tags").cloned().unwrap_or(Value::NULL);
    let defaults = default_tags_value(provider_config);
    if provider_config.is_unknown() || !tags.is_wholly_known() || !defaults.is_wholly_known() {
        return unknown();
    }
    let mut all = BTreeMap::new();
    for source in [&defaults, &tags] {
        for (key, value) in source.as_map().into_iter().flatten() {
            if !value.is_null() {
                all.insert(key.clone(), value.clone());
            }
        }
    }
    Value::map(Type::String, all)
}

fn default_tags_value(provider_config: &Value) -> Value {
    let Some(blocks) = provider_config.get("default_tags") else { return Value::NULL };
    if blocks.is_unknown() {
        return blocks.clone();
    }
    match blocks.at(0) {
        Some(block) if block.is_unknown() => block.clone(),
        Some(block) => block.get("tags").cloned().unwrap_or(Value::NULL),
        None => Value::NULL,
    }
}

/// Returns the tags to write on a create: the planned ones (or, not planned, `tags` over defaults) and the mark.
pub(crate) fn for_create(planned: &Value, defaults: &Tags, owner_mark: Option<&str>) -> Tags {
    let mut tags = wanted(planned, defaults);
    if let Some(mark) = owner_mark {
        tags.insert(OWNER_TAG.to_string(), mark.to_string());
    }
    tags
}

fn wanted(planned: &Value, defaults: &Tags) -> Tags {
    match text_map(planned, "tags_all") {
        Some(all) => all,
        None => {
            let mut all = defaults.clone();
            all.extend(text_map(planned, "tags").unwrap_or_default());
            all
        }
    }
}

/// What an update changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TagChange {
    pub(crate) set: Tags,
    pub(crate) unset: Vec<String>,
}

/// Compares the tags of the object with the wanted ones.
pub(crate) fn change(prior: &Value, planned: &Value, defaults: &Tags) -> TagChange {
    let old = text_map(prior, "tags_all").unwrap_or_default();
    let new = wanted(planned, defaults);
    TagChange {
        set: new
            .iter()
            .filter(|(k, v)| old.get(*k) != Some(v))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        unset: old.keys().filter(|k| !new.contains_key(*k) && !is_hidden(k)).cloned().collect(),
    }
}

/// Returns the attributes `tags` and `tags_all` of an object that carries the tags `remote`.
///
/// A tag that equals a default tag belongs to `tags` only if the user wrote it there.
pub(crate) fn read(remote: &Tags, defaults: &Tags, prior: Option<&Value>) -> [(&'static str, Value); 2] {
    let all: Tags =
        remote.iter().filter(|(k, _)| !is_hidden(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let written = prior.and_then(|p| text_map(p, "tags"));
    let own: Tags = all
        .iter()
        .filter(|(k, v)| defaults.get(*k) != Some(v) || written.as_ref().is_some_and(|w| w.contains_key(*k)))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    // No tags and tags never written: null, as the configuration has it.
    let tags = if own.is_empty() && written.is_none() { Value::NULL } else { map_of(&own) };
    [("tags", tags), ("tags_all", map_of(&all))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    fn provider(defaults: &[(&str, &str)]) -> Value {
        Value::object([(
            "default_tags",
            Value::tuple(vec![Value::object([("tags", map_of(&tags(defaults)))])]),
        )])
    }

    #[test]
    fn tags_all_is_known_when_its_parts_are() {
        let config = Value::object([("tags", map_of(&tags(&[("a", "1"), ("b", "2")])))]);
        let all = planned_all(&config, &provider(&[("a", "0"), ("c", "3")]));
        assert_eq!(all, map_of(&tags(&[("a", "1"), ("b", "2"), ("c", "3")])));
        let config = Value::object([("tags", Value::unknown(Type::map(Type::String)))]);
        assert!(planned_all(&config, &provider(&[])).is_unknown());
        let config = Value::object([("tags", Value::NULL)]);
        assert_eq!(planned_all(&config, &provider(&[])), map_of(&tags(&[])));
        assert!(planned_all(&config, &Value::unknown(Type::Dynamic)).is_unknown());
    }

    #[test]
    fn the_owner_mark_is_written_and_never_read() {
        let planned = Value::object([("tags_all", map_of(&tags(&[("a", "1")])))]);
        let written = for_create(&planned, &tags(&[]), Some("m"));
        assert_eq!(written, tags(&[("a", "1"), (OWNER_TAG, "m")]));
        let [(_, own), (_, all)] = read(&written, &tags(&[]), None);
        assert_eq!((own, all), (map_of(&tags(&[("a", "1")])), map_of(&tags(&[("a", "1")]))));
    }

    #[test]
    fn default_tags_are_not_the_resources_own_unless_written() {
        let remote = tags(&[("team", "x"), ("own", "y"), ("aws:z", "hidden")]);
        let defaults = tags(&[("team", "x")]);
        let [(_, own), (_, all)] = read(&remote, &defaults, None);
        assert_eq!(own, map_of(&tags(&[("own", "y")])));
        assert_eq!(all, map_of(&tags(&[("own", "y"), ("team", "x")])));
        let prior = Value::object([("tags", map_of(&tags(&[("team", "x")])))]);
        let [(_, own), _] = read(&remote, &defaults, Some(&prior));
        assert_eq!(own, map_of(&tags(&[("own", "y"), ("team", "x")])));
        let [(_, own), _] = read(&tags(&[]), &defaults, None);
        assert!(own.is_null());
    }

    #[test]
    fn an_update_keeps_the_mark() {
        let prior = Value::object([("tags_all", map_of(&tags(&[("a", "1"), ("b", "2"), (OWNER_TAG, "m")])))]);
        let planned = Value::object([("tags_all", map_of(&tags(&[("a", "2"), ("c", "3")])))]);
        let change = change(&prior, &planned, &tags(&[]));
        assert_eq!(change, TagChange { set: tags(&[("a", "2"), ("c", "3")]), unset: vec!["b".into()] });
    }
}
