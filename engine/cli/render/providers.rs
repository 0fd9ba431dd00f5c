//! Providers of a stack: the tree of `groma providers`, and their schemas in Terraform's shape.

use groma_engine::config::ModulePath;
use groma_types::json::type_to_json;
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting, Presence, ProviderSchema};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// The provider's address, as Terraform writes it.
pub(crate) fn source(schema: &ProviderSchema) -> String {
    let source = schema.sources.first().map_or_else(|| format!("groma/{}", schema.name), ToString::to_string);
    match source.matches('/').count() {
        1 => format!("registry.terraform.io/{source}"),
        _ => source,
    }
}

type Used = BTreeMap<ModulePath, BTreeMap<Arc<str>, Option<Arc<str>>>>;

pub(crate) fn tree(used: &Used, in_state: &BTreeSet<Arc<str>>, source: &dyn Fn(&str) -> String) -> String {
    let mut out = String::from("\nProviders required by configuration:\n.\n");
    branch(&mut out, used, &ModulePath::new(), "", source);
    if !in_state.is_empty() {
        out.push_str("\nProviders required by state:\n\n");
        for name in in_state {
            let _ = writeln!(out, "    provider[{}]", source(name));
        }
    }
    out
}

fn branch(out: &mut String, used: &Used, at: &ModulePath, indent: &str, source: &dyn Fn(&str) -> String) {
    let providers = used.get(at).into_iter().flatten().map(|(name, version)| {
        let version = version.as_ref().map_or(String::new(), |v| format!(" {v}"));
        (format!("provider[{}]{version}", source(name)), None)
    });
    let children = used.keys().filter(|p| p.len() == at.len() + 1 && p.starts_with(at));
    let children = children.map(|p| (format!("module.{}", p.last().map_or("", |n| n)), Some(p)));
    let lines: Vec<_> = providers.chain(children).collect();
    for (i, (text, child)) in lines.iter().enumerate() {
        let is_last = i + 1 == lines.len();
        let _ =
            writeln!(out, "{indent}{}{}", if is_last { "└── " } else { "├── " }, super::text::one_line(text));
        if let Some(child) = child {
            let deeper = format!("{indent}{}", if is_last { "    " } else { "│   " });
            branch(out, used, child, &deeper, source);
        }
    }
}

/// What `terraform providers schema -json` prints.
pub(crate) fn schemas<'a>(providers: impl IntoIterator<Item = &'a ProviderSchema>) -> Json {
    let all: Map<String, Json> = providers.into_iter().map(|p| (source(p), provider(p))).collect();
    json!({ "format_version": "1.0", "provider_schemas": all })
}

fn provider(schema: &ProviderSchema) -> Json {
    let kinds = |kinds: &BTreeMap<Arc<str>, KindSchema>| -> Map<String, Json> {
        let kind = |k: &KindSchema| json!({ "version": k.version, "block": block(&k.block) });
        kinds.iter().map(|(name, k)| (name.to_string(), kind(k))).collect()
    };
    json!({
        "provider": { "version": 0, "block": block(&schema.config) },
        "resource_schemas": kinds(&schema.resources),
        "data_source_schemas": kinds(&schema.data),
        "ephemeral_resource_schemas": kinds(&schema.ephemeral),
    })
}

fn block(schema: &Block) -> Json {
    let attributes: Map<String, Json> =
        schema.attrs.iter().map(|(k, a)| (k.to_string(), attribute(a))).collect();
    let blocks: Map<String, Json> = schema.blocks.iter().map(|(k, b)| (k.to_string(), nested(b))).collect();
    let mut json = json!({ "description_kind": "plain" });
    if !schema.doc.is_empty() {
        json["description"] = (&*schema.doc).into();
    }
    for (name, map) in [("attributes", attributes), ("block_types", blocks)] {
        if !map.is_empty() {
            json[name] = map.into();
        }
    }
    json
}

fn attribute(attribute: &Attribute) -> Json {
    let mut json = json!({ "type": type_to_json(&attribute.ty), "description": &*attribute.doc, "description_kind": "plain" });
    let is_optional = matches!(attribute.presence, Presence::Optional | Presence::OptionalComputed);
    let flags = [
        ("required", attribute.presence == Presence::Required),
        ("optional", is_optional),
        ("computed", attribute.is_computed()),
        ("sensitive", attribute.sensitive),
        ("write_only", attribute.write_only),
        ("deprecated", attribute.deprecated.is_some()),
    ];
    for (name, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
        json[name] = true.into();
    }
    json
}

fn nested(nested: &NestedBlock) -> Json {
    let mode = match nested.nesting {
        Nesting::Single => "single",
        Nesting::List => "list",
        Nesting::Set => "set",
        Nesting::Map => "map",
    };
    let mut json = json!({ "nesting_mode": mode, "block": block(&nested.block) });
    if nested.min > 0 {
        json["min_items"] = nested.min.into();
    }
    if let Some(max) = nested.max {
        json["max_items"] = max.into();
    }
    json
}
