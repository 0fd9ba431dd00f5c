//! A JSON Schema of the whole spec, for editors: every block with its arguments, and every kind of every provider.
//!
//! It is made from the tables that the spec is checked by, and is never stricter than the check is. Wherever a value may
//! stand an expression may stand too.

use groma_types::json::to_json;
use groma_types::schema::{Attribute, Block, KindSchema, NestedBlock, Nesting, Presence, ProviderSchema};
use groma_types::{Mode, Type};
use serde_json::{Map, Value as Json, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The schema of a spec over these providers.
pub fn json_schema<'a>(providers: impl IntoIterator<Item = &'a ProviderSchema>) -> Json {
    let mut defs = values();
    let mut blocks: [Map<String, Json>; 3] = Default::default();
    let mut configs = Map::new();
    for provider in providers {
        let config = provider_block(provider);
        configs.insert(
            provider.name.to_string(),
            labelled(&mut defs, &format!("provider.{}", provider.name), config),
        );
        let kinds = [&provider.resources, &provider.data, &provider.ephemeral];
        for ((mode, kinds), found) in MODES.into_iter().zip(kinds).zip(&mut blocks) {
            for (name, kind) in kinds {
                let body = kind_block(mode, kind);
                let named = labelled(&mut defs, &format!("{}.{name}", word(mode)), body);
                let doc = &*kind.block.doc;
                let instances =
                    json!({ "type": ["object", "null"], "description": doc, "additionalProperties": named });
                found.insert(name.to_string(), instances);
            }
        }
    }
    let [resources, data, ephemeral] = blocks;
    let kinds = |doc: &str, kinds: Map<String, Json>| json!({ "description": doc, "type": ["object", "null"], "properties": kinds, "additionalProperties": false });
    let mut top = language();
    top.insert("resource".into(), kinds("Objects that this stack makes and changes.", resources));
    top.insert("data".into(), kinds("Things that are only read.", data));
    top.insert("ephemeral".into(), kinds("Values that live while the command runs.", ephemeral));
    top.insert("provider".into(), json!({ "description": "Configurations of providers.", "type": ["object", "null"], "properties": configs }));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A groma spec",
        "type": "object",
        "properties": top,
        "patternProperties": { "^x-": true },
        "additionalProperties": false,
        "$defs": defs,
    })
}

const MODES: [Mode; 3] = [Mode::Managed, Mode::Data, Mode::Ephemeral];

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Managed => "resource",
        Mode::Data => "data",
        Mode::Ephemeral => "ephemeral",
    }
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// Puts a body under a name; it may be written as a list, as JSON has it.
fn labelled(defs: &mut Map<String, Json>, name: &str, body: Json) -> Json {
    defs.insert(name.into(), body);
    json!({ "anyOf": [reference(name), { "type": "array", "items": reference(name) }, { "type": "null" }] })
}

/// What values look like: the thing itself, text that holds an expression, or null for what is not set.
fn values() -> Map<String, Json> {
    let template = json!({ "type": "string", "pattern": "[$%]\\{" });
    let or = |of: Json| json!({ "anyOf": [of, reference("expression"), { "type": "null" }] });
    let defs = [
        ("expression", template),
        ("string", json!({ "type": ["string", "number", "boolean", "null"] })),
        (
            "number",
            or(json!({ "anyOf": [{ "type": "number" }, { "type": "string", "pattern": "^[-+]?[0-9.]" }] })),
        ),
        ("bool", or(json!({ "anyOf": [{ "type": "boolean" }, { "enum": ["true", "false"] }] }))),
        ("references", json!({ "type": ["array", "null"], "items": { "type": "string" } })),
        (
            "rules",
            one_or_many(object(
                [("condition", reference("bool")), ("error_message", reference("string"))],
                &["condition", "error_message"],
            )),
        ),
    ];
    defs.into_iter().map(|(name, schema)| (name.to_string(), schema)).collect()
}

/// One of them, or a list. The list refers to the one by an anchor: written twice, nested blocks would double the schema
/// with each level.
fn one_or_many(mut of: Json) -> Json {
    static ANCHORS: AtomicUsize = AtomicUsize::new(0);
    let anchor = format!("b{}", ANCHORS.fetch_add(1, Ordering::Relaxed));
    let items = json!({ "$ref": format!("#{anchor}") });
    of["$anchor"] = anchor.into();
    json!({ "anyOf": [of, { "type": "array", "items": items }, { "type": "null" }] })
}

/// A closed object; `//` is a comment everywhere.
fn object<'a>(properties: impl IntoIterator<Item = (&'a str, Json)>, required: &[&str]) -> Json {
    let mut all: Map<String, Json> = properties.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    all.insert("//".into(), true.into());
    json!({ "type": "object", "properties": all, "required": required, "additionalProperties": false })
}

fn with_doc(mut schema: Json, doc: &str) -> Json {
    schema["description"] = doc.into();
    schema
}

fn value(ty: &Type) -> Json {
    let or = |of: Json| json!({ "anyOf": [of, reference("expression"), { "type": "null" }] });
    match ty {
        Type::String => reference("string"),
        Type::Number => reference("number"),
        Type::Bool => reference("bool"),
        Type::List(of) | Type::Set(of) => or(json!({ "type": "array", "items": value(of) })),
        Type::Map(of) => or(json!({ "type": "object", "additionalProperties": value(of) })),
        Type::Object(of) => {
            let attrs: Map<String, Json> = of.attrs.iter().map(|(k, t)| (k.to_string(), value(t))).collect();
            or(json!({ "type": "object", "properties": attrs }))
        }
        Type::Tuple(_) => or(json!({ "type": "array" })),
        Type::Dynamic => json!({}),
    }
}

fn attribute(attribute: &Attribute) -> Json {
    let mut schema = with_doc(value(&attribute.ty), &attribute.doc);
    if let Some(why) = &attribute.deprecated {
        schema["deprecated"] = true.into();
        schema["description"] = format!("{} Deprecated: {why}", attribute.doc).into();
    }
    if attribute.write_only {
        schema["writeOnly"] = true.into();
    }
    if let Some(default) = attribute.default.as_ref().filter(|v| v.is_wholly_known()) {
        schema["default"] = to_json(default);
    }
    schema
}

/// The arguments of a block by name, those that must be there, and what must be there as one of several.
struct Body {
    properties: Map<String, Json>,
    required: Vec<String>,
    any: Vec<Json>,
}

impl Body {
    fn of(block: &Block) -> Body {
        let settable = block.attrs.iter().filter(|(_, a)| a.is_settable());
        let properties = settable.map(|(k, a)| (k.to_string(), attribute(a)));
        let required = block.attrs.iter().filter(|(_, a)| a.presence == Presence::Required);
        let mut body = Body {
            properties: properties.collect(),
            required: required.map(|(k, _)| k.to_string()).collect(),
            any: Vec::new(),
        };
        for (name, nested) in &block.blocks {
            body.properties.insert(name.to_string(), nested_block(nested));
            if nested.min > 0 {
                body.any.push(json!({ "anyOf": [{ "required": [&**name] }, { "required": ["dynamic"] }] }));
            }
        }
        if !block.blocks.is_empty() {
            body.properties
                .insert("dynamic".into(), json!({ "description": "Nested blocks made from a collection." }));
        }
        body
    }

    fn with(mut self, arguments: impl IntoIterator<Item = (&'static str, Json)>) -> Body {
        self.properties.extend(arguments.into_iter().map(|(k, v)| (k.to_string(), v)));
        self
    }

    fn schema(mut self, doc: &str) -> Json {
        self.properties.insert("//".into(), true.into());
        let mut schema = json!({
            "type": "object", "description": doc, "properties": self.properties, "required": self.required,
            "additionalProperties": false,
        });
        if !self.any.is_empty() {
            schema["allOf"] = self.any.into();
        }
        schema
    }
}

fn nested_block(nested: &NestedBlock) -> Json {
    let body = Body::of(&nested.block).schema(&nested.block.doc);
    let mut schema = match nested.nesting {
        Nesting::Map => json!({ "type": ["object", "null"], "additionalProperties": body }),
        Nesting::Single | Nesting::List | Nesting::Set => one_or_many(body),
    };
    if nested.as_attribute
        && let Some(forms) = schema["anyOf"].as_array_mut()
    {
        forms.push(reference("expression"));
    }
    with_doc(schema, &nested.block.doc)
}

fn provider_block(provider: &ProviderSchema) -> Json {
    let lifecycle = object(
        [
            (
                "hosted_by",
                with_doc(reference("string"), "The resource that its world lives on; inferred otherwise."),
            ),
            (
                "expect",
                json!({ "description": "The world it must be, such as {account: …}.", "type": ["object", "string"] }),
            ),
        ],
        &[],
    );
    Body::of(&provider.config)
        .with([
            ("alias", with_doc(reference("string"), "The second half of its name: aws.eu.")),
            ("for_each", json!({ "description": "A configuration for each key; needs an alias." })),
            ("lifecycle", one_or_many(lifecycle)),
            ("version", json!({ "deprecated": true })),
        ])
        .schema(&provider.config.doc)
}

fn kind_block(mode: Mode, kind: &KindSchema) -> Json {
    let timeouts = ["create", "read", "update", "delete"].map(|name| (name, reference("string")));
    let mut arguments = vec![
        ("count", with_doc(reference("number"), "How many instances.")),
        ("for_each", json!({ "description": "An instance for each key of a map or element of a set." })),
        ("provider", with_doc(reference("string"), "The provider configuration: aws.eu.")),
        ("depends_on", with_doc(reference("references"), "What must be settled before.")),
        ("lifecycle", one_or_many(lifecycle(mode))),
        ("timeouts", one_or_many(object(timeouts, &[]))),
    ];
    if mode == Mode::Managed {
        arguments.extend([("provisioner", json!({})), ("connection", json!({}))]);
    }
    Body::of(&kind.block).with(arguments).schema(&kind.block.doc)
}

fn lifecycle(mode: Mode) -> Json {
    let choice =
        |words: &[&str]| json!({ "anyOf": [{ "enum": words }, reference("expression"), { "type": "null" }] });
    let argument = |name: &'static str| {
        let schema = match name {
            "ignore_changes" => json!({ "anyOf": [{ "const": "all" }, reference("references")] }),
            "replace_triggered_by" => reference("references"),
            "precondition" | "postcondition" => reference("rules"),
            "on_destroy" => choice(&["delete", "keep", "forbid"]),
            "on_missing" => choice(&["allow", "error"]),
            "max_instances" => reference("number"),
            "wait" | "rollout" => json!({}),
            _ => reference("bool"),
        };
        (name, schema)
    };
    object(super::decode::lifecycle_arguments(mode).iter().map(|name| argument(name)), &[])
}

/// The blocks that no provider has a say in.
fn language() -> Map<String, Json> {
    let text = || reference("string");
    let named = |body: Json| json!({ "type": ["object", "null"], "additionalProperties": body });
    let optional = |body: Json| json!({ "anyOf": [body, { "type": "null" }] });
    let variable = object(
        [
            ("type", with_doc(text(), "Such as string or list(number).")),
            ("default", json!({})),
            ("description", text()),
            ("sensitive", reference("bool")),
            ("ephemeral", reference("bool")),
            ("nullable", reference("bool")),
            ("deprecated", json!({})),
            ("validation", reference("rules")),
        ],
        &[],
    );
    let output = object(
        [
            ("value", json!({})),
            ("description", text()),
            ("sensitive", reference("bool")),
            ("ephemeral", reference("bool")),
            ("deprecated", json!({})),
            ("depends_on", reference("references")),
            ("precondition", reference("rules")),
        ],
        &["value"],
    );
    let module = json!({
        "type": "object",
        "properties": {
            "source": with_doc(text(), "A folder, a git repository, an archive or a registry's module."),
            "version": with_doc(text(), "Of a registry's module."),
            "count": reference("number"),
            "for_each": {},
            "providers": { "type": ["object", "null"], "additionalProperties": { "type": "string" } },
            "depends_on": reference("references"),
            "lifecycle": one_or_many(object([("enabled", reference("bool"))], &[])),
        },
        "required": ["source"],
    });
    let removed = object(
        [("from", text()), ("lifecycle", one_or_many(object([("destroy", reference("bool"))], &[])))],
        &["from"],
    );
    let top = [
        ("//", json!(true)),
        ("terraform", one_or_many(terraform())),
        ("variable", with_doc(named(optional(variable)), "Values that come from outside.")),
        ("locals", json!({ "description": "Names for expressions.", "type": ["object", "array", "null"] })),
        ("module", with_doc(named(module), "Calls of modules.")),
        ("output", with_doc(named(output), "What the stack tells.")),
        ("moved", one_or_many(object([("from", text()), ("to", text())], &["from", "to"]))),
        ("import", one_or_many(json!({ "type": "object" }))),
        ("removed", one_or_many(removed)),
        ("check", named(json!({ "type": "object" }))),
        ("groma", one_or_many(json!({ "description": "Settings of groma.", "type": "object" }))),
    ];
    top.into_iter().map(|(name, schema)| (name.to_string(), schema)).collect()
}

fn terraform() -> Json {
    let settings = [
        ("required_version", reference("string")),
        ("required_providers", one_or_many(json!({ "type": "object" }))),
        ("backend", one_or_many(json!({ "type": "object" }))),
        ("cloud", json!({})),
        ("language", json!({})),
        ("experiments", json!({})),
        ("provider_meta", json!({})),
    ];
    object(settings, &[])
}
