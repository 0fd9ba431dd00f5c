//! Filters of EC2's lists.

use super::{ApiError, Params, error, list};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn filters(params: &Params) -> Vec<(String, Vec<String>)> {
    let patterns = |row: &BTreeMap<String, String>| {
        let values = row.iter().filter(|(key, _)| key.starts_with("Value."));
        values.map(|(_, value)| value.clone()).collect()
    };
    let filter =
        |row: BTreeMap<String, String>| (row.get("Name").cloned().unwrap_or_default(), patterns(&row));
    list(params, "Filter").into_iter().map(filter).collect()
}

/// Filters whose name does not follow from the member's.
const MEMBERS: &[(&str, &str)] = &[
    ("isDefault", "isDefault"),
    ("cidr", "cidrBlock"),
    ("cidrBlock", "cidrBlock"),
    ("availabilityZone", "availabilityZone"),
    ("availabilityZoneId", "availabilityZoneId"),
    ("defaultForAz", "defaultForAz"),
    ("endpoint", "regionEndpoint"),
    ("default", "default"),
    ("architecture", "architecture"),
    ("name", "name"),
    ("description", "groupDescription"),
    ("owner-alias", "imageOwnerAlias"),
    ("virtualization-type", "virtualizationType"),
    ("root-device-type", "rootDeviceType"),
    ("image-type", "imageType"),
];

/// Lists within a row that a filter with a dot looks into.
const NESTED: &[(&str, &str)] = &[
    ("association.", "associationSet"),
    ("attachment.", "attachmentSet"),
    ("route.", "routeSet"),
    ("entry.", "entrySet"),
];

/// The values of a row that a filter is held against.
pub(super) fn field(row: &Value, filter: &str) -> Result<Vec<String>, ApiError> {
    let tags = row["tagSet"].as_array().into_iter().flatten();
    if let Some(key) = filter.strip_prefix("tag:") {
        return Ok(tags.filter(|t| t["key"] == key).flat_map(|t| texts(&t["value"])).collect());
    }
    if filter == "tag-key" {
        return Ok(tags.flat_map(|t| texts(&t["key"])).collect());
    }
    if let Some((prefix, list)) = NESTED.iter().find(|(prefix, _)| filter.starts_with(prefix)) {
        let member = camel(&filter[prefix.len()..]);
        let items = row[*list].as_array().into_iter().flatten();
        return Ok(items.flat_map(|item| texts(&item[&member])).collect());
    }
    if filter == "state" {
        let states = [&row["state"], &row["zoneState"], &row["imageState"]];
        return Ok(states.into_iter().flat_map(texts).collect());
    }
    let known = MEMBERS.iter().find(|(name, _)| *name == filter).map(|(_, member)| (*member).to_owned());
    let member = known.unwrap_or_else(|| camel(filter));
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !MEMBERS.iter().any(|(name, _)| *name == filter)
        && (!filter.contains('-') || !filter.chars().all(is_word))
    {
        return Err(error("InvalidParameterValue", format!("The filter '{filter}' is invalid")));
    }
    Ok(texts(&row[&member]))
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Null | Value::Object(_) => Vec::new(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}

/// `vpc-id` as the member is called: `vpcId`.
fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// EC2's filter patterns: `*` stands for any text, `?` for one character.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| glob(rest, &text[at..])),
        _ => text
            .chars()
            .next()
            .is_some_and(|c| (first == '?' || first == c) && glob(rest, &text[c.len_utf8()..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("us-*", "us-east-1", true),
            ("us-east-?", "us-east-1", true),
            ("us-east-?", "us-east-", false),
            ("a*c*e", "abcde", true),
            ("true", "false", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }
}
