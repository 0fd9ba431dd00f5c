//! Resources, data sources, ephemeral resources and module calls: bodies with meta-arguments.

use super::{Decoder, body, duplicate, label};
use crate::config::gather::{BlockType, RawBlock};
use crate::config::values::{
    expression, fixed_text, keyed_references, keyword, one_or_many, references, wrong_shape,
};
use crate::config::{
    BlockId, Body, Expansion, IgnoreChanges, Lifecycle, ModuleCall, ProviderRef, ResourceBlock,
};
use groma_lang::document::{Form, Key, Node, NodeKind, Written};
use groma_lang::expr::Expr;
use groma_types::{Diagnostic, Mode, Span, Type, Value};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, LazyLock};

/// A call whose arguments are still nodes: what they want is known when the called module is read.
pub(in crate::config) struct RawCall {
    pub(in crate::config) call: ModuleCall,
    pub(in crate::config) body: Body,
    pub(in crate::config) source: Option<Expr>,
    /// Constraint of a registry module.
    pub(in crate::config) version: Option<Expr>,
}

const META: [&str; 8] =
    ["count", "for_each", "provider", "depends_on", "lifecycle", "timeouts", "provisioner", "connection"];

/// What `lifecycle` takes in each kind of block.
pub(in crate::config) fn lifecycle_arguments(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Managed => &[
            "create_before_destroy",
            "prevent_destroy",
            "ignore_changes",
            "replace_triggered_by",
            "precondition",
            "postcondition",
            "on_destroy",
            "max_instances",
            "enabled",
            "wait",
            "rollout",
        ],
        Mode::Data => &["precondition", "postcondition", "max_instances", "enabled", "on_missing"],
        Mode::Ephemeral => &["precondition", "postcondition", "max_instances", "enabled"],
    }
}

static NO_LIFECYCLE: LazyLock<Arc<Lifecycle>> = LazyLock::new(Arc::default);

type Expansions = Vec<(&'static str, Span, Expr)>;

impl Decoder<'_> {
    pub(super) fn resource(&mut self, block: &RawBlock) {
        let mode = match block.ty {
            BlockType::Data => Mode::Data,
            BlockType::Ephemeral => Mode::Ephemeral,
            _ => Mode::Managed,
        };
        let id = BlockId { mode, kind: label(block, 0), name: label(block, 1) };
        let default_provider = id.kind.split('_').next().unwrap_or(&id.kind).into();
        let mut resource = ResourceBlock {
            in_check: false,
            span: block.span,
            expansion: Expansion::Single,
            provider: ProviderRef { name: default_provider, alias: None, key: None, span: block.span },
            body: body(block, &META),
            depends_on: Vec::new(),
            lifecycle: NO_LIFECYCLE.clone(),
            timeouts: BTreeMap::new(),
            provisioners: Vec::new(),
            id,
        };
        let mut expansions = Expansions::new();
        let mut connection = None;
        for (key, node) in &block.entries {
            match &*key.text {
                "count" if !node.is_null() => {
                    expansions.push(("count", key.span, expression(node, &Type::Number, self.out)));
                }
                "for_each" if !node.is_null() => {
                    expansions.push(("for_each", key.span, expression(node, &Type::Dynamic, self.out)));
                }
                // In native syntax the word is the name of a provider here.
                "provider" if node.is_null() && key.form == Form::Argument => {
                    resource.provider = null_provider(node.span);
                }
                "provider" => {
                    if let Some(found) = self.provider_ref(node) {
                        resource.provider = found;
                    }
                }
                "depends_on" => resource.depends_on = references(node, "depends_on", self.out),
                "lifecycle" => {
                    self.lifecycle(node, mode, Arc::make_mut(&mut resource.lifecycle), &mut expansions);
                }
                "timeouts" => resource.timeouts = self.timeouts(node),
                "dynamic" => self.dynamic_timeouts(node, &mut resource.body),
                "provisioner" => resource.provisioners = self.provisioners(node),
                "connection" => connection = Some(key.span),
                _ => {}
            }
        }
        resource.expansion = self.expansion(expansions);
        self.connection(connection, &resource.provisioners);
        match self.module.resources.entry(resource.id.clone()) {
            Entry::Occupied(old) => {
                self.out.push(duplicate("block", &resource.id.to_string(), block.span, old.get().span));
            }
            Entry::Vacant(free) => {
                free.insert(Arc::new(resource));
            }
        }
    }

    /// The data source in a `check` is one of the module's, but that its failure does not fail the run.
    pub(super) fn check_data(&mut self, node: &Node) {
        let maps = |node| one_or_many(node).into_iter().filter_map(Node::as_map).flatten();
        let mut first = None;
        for (kind, named) in maps(node) {
            for (name, body) in maps(named) {
                for body in one_or_many(body) {
                    self.check_data_is_plain(name, body, *first.get_or_insert(name.span));
                    let block = RawBlock {
                        ty: BlockType::Data,
                        labels: vec![kind.clone(), name.clone()],
                        entries: body.as_map().unwrap_or_default().to_vec(),
                        span: name.span,
                        body_span: body.span,
                    };
                    self.resource(&block);
                    let id = BlockId { mode: Mode::Data, kind: kind.text.clone(), name: name.text.clone() };
                    if let Some(resource) = self.module.resources.get_mut(&id).filter(|r| r.span == name.span)
                    {
                        Arc::make_mut(resource).in_check = true;
                    }
                }
            }
        }
    }

    /// A check has one data source at most, and that has one instance.
    fn check_data_is_plain(&mut self, name: &Key, body: &Node, first: Span) {
        if first != name.span {
            self.out.push(duplicate("data source of this check beside", &name.text, name.span, first));
        }
        for (key, _) in body.as_map().unwrap_or_default() {
            if matches!(&*key.text, "count" | "for_each" | "lifecycle") {
                self.unknown(key, "The data source of a check", &[]);
            }
        }
    }

    /// Time-outs are no part of a kind's schema, so a `dynamic` block can't make them: it is left out, and that is said.
    fn dynamic_timeouts(&mut self, node: &Node, body: &mut Body) {
        let all = one_or_many(node).into_iter().filter_map(Node::as_map).flatten();
        for (key, _) in all.filter(|(key, _)| &*key.text == "timeouts") {
            self.out.push(
                Diagnostic::warning("G0607", "This block is not read yet")
                    .detail("Time-outs that a dynamic block makes are not taken; the defaults hold.")
                    .help("Write a plain timeouts block; an argument that is null there is not set.")
                    .at(key.span, "not taken"),
            );
        }
        if let NodeKind::Map(entries) = &mut body.node.kind {
            let dynamics = entries.iter_mut().filter(|(key, _)| &*key.text == "dynamic");
            dynamics.for_each(|(_, node)| leave_out(node, "timeouts"));
        }
    }

    fn timeouts(&mut self, node: &Node) -> BTreeMap<Arc<str>, Expr> {
        let mut timeouts = BTreeMap::new();
        for entry in one_or_many(node) {
            let Some(entries) = entry.as_map() else {
                wrong_shape(entry, "timeouts", "a mapping of operations", self.out);
                continue;
            };
            // Which ones there are depends on the kind.
            for (key, value) in entries {
                timeouts.insert(key.text.clone(), expression(value, &Type::String, self.out));
            }
        }
        timeouts
    }

    fn lifecycle(&mut self, node: &Node, mode: Mode, lifecycle: &mut Lifecycle, expansions: &mut Expansions) {
        for entry in one_or_many(node) {
            let Some(entries) = entry.as_map() else {
                wrong_shape(entry, "lifecycle", "a mapping", self.out);
                continue;
            };
            let known = lifecycle_arguments(mode);
            for (key, value) in entries.iter().filter(|(k, _)| &*k.text != "//") {
                if known.contains(&&*key.text) {
                    self.lifecycle_entry(key, value, lifecycle, expansions);
                } else {
                    self.unknown(key, "lifecycle here", known);
                }
            }
        }
    }

    fn lifecycle_entry(&mut self, key: &Key, node: &Node, to: &mut Lifecycle, expansions: &mut Expansions) {
        match &*key.text {
            "create_before_destroy" => to.create_before_destroy = self.optional(node, &Type::Bool),
            "prevent_destroy" => to.prevent_destroy = self.optional(node, &Type::Bool),
            "on_destroy" => to.on_destroy = self.optional(node, &Type::String),
            "max_instances" => to.max_instances = self.optional(node, &Type::Number),
            "on_missing" => to.on_missing = self.optional(node, &Type::String),
            "wait" => to.wait = self.optional(node, &Type::Dynamic),
            "enabled" => expansions.push(("enabled", key.span, expression(node, &Type::Bool, self.out))),
            "ignore_changes" => to.ignore_changes = self.ignore_changes(node),
            "replace_triggered_by" => {
                to.replace_triggered_by = keyed_references(node, "replace_triggered_by", self.out);
            }
            "precondition" => to.preconditions = self.rules(node, "precondition"),
            "postcondition" => to.postconditions = self.rules(node, "postcondition"),
            "rollout" => self.out.push(
                Diagnostic::error("G0607", "This block is not read yet")
                    .detail("This version of groma has no staged rollouts.")
                    .at(key.span, "lifecycle.rollout"),
            ),
            _ => {}
        }
    }

    /// An argument whose null means "not set".
    fn optional(&mut self, node: &Node, want: &Type) -> Option<Expr> {
        (!node.is_null()).then(|| expression(node, want, self.out))
    }

    fn ignore_changes(&mut self, node: &Node) -> IgnoreChanges {
        if keyword(node).is_some_and(|word| matches!(&*word, "all" | "${all}")) {
            return IgnoreChanges::All;
        }
        // Terraform 0.11 wrote `["*"]`.
        if node.as_seq().is_some_and(|s| s.len() == 1 && fixed_text(&s[0]) == Some("*")) {
            return IgnoreChanges::All;
        }
        let paths = references(node, "ignore_changes", self.out);
        if paths.is_empty() { IgnoreChanges::None } else { IgnoreChanges::Paths(paths) }
    }

    pub(super) fn call(&mut self, block: &RawBlock) {
        let name = label(block, 0);
        let mut call = ModuleCall {
            name: name.clone(),
            span: block.span,
            source: "".into(),
            version: None,
            computed: Vec::new(),
            expansion: Expansion::Single,
            arguments: BTreeMap::new(),
            providers: BTreeMap::new(),
            depends_on: Vec::new(),
        };
        let (mut source, mut version) = (None, None);
        let mut expansions = Expansions::new();
        for (key, node) in &block.entries {
            match &*key.text {
                "source" => source = self.optional(node, &Type::String),
                "version" => version = self.optional(node, &Type::String),
                "count" if !node.is_null() => {
                    expansions.push(("count", key.span, expression(node, &Type::Number, self.out)));
                }
                "for_each" if !node.is_null() => {
                    expansions.push(("for_each", key.span, expression(node, &Type::Dynamic, self.out)));
                }
                "providers" => call.providers = self.passed_providers(node),
                "depends_on" => call.depends_on = references(node, "depends_on", self.out),
                "lifecycle" => self.call_lifecycle(node, &mut expansions),
                _ => {}
            }
        }
        call.expansion = self.expansion(expansions);
        if block.get("source").is_none_or(Node::is_null) {
            self.missing(block.span, "A module call", "source");
        }
        let body =
            body(block, &["source", "version", "count", "for_each", "providers", "depends_on", "lifecycle"]);
        if let Some(first) = self.calls.iter().find(|c| c.call.name == name) {
            return self.out.push(duplicate("module call", &name, block.span, first.call.span));
        }
        self.calls.push(RawCall { call, body, source, version });
    }

    fn call_lifecycle(&mut self, node: &Node, expansions: &mut Expansions) {
        for (key, value) in one_or_many(node).into_iter().filter_map(Node::as_map).flatten() {
            match &*key.text {
                "enabled" => expansions.push(("enabled", key.span, expression(value, &Type::Bool, self.out))),
                _ => self.unknown(key, "lifecycle of a module call", &["enabled"]),
            }
        }
    }

    fn passed_providers(&mut self, node: &Node) -> BTreeMap<Arc<str>, ProviderRef> {
        let mut passed = BTreeMap::new();
        // `{ aws.eu = aws }`: a key that is a reference makes no mapping.
        if let Some(items) = node.as_expr().and_then(Expr::object_items) {
            for (key, value) in items {
                let name: Option<Arc<str>> = match key.as_bare_key() {
                    Some(reference) => Some(reference.to_string().into()),
                    None => key.as_literal().and_then(Value::as_str).map(Arc::from),
                };
                let value = Node { span: value.span(), kind: NodeKind::Expr(Written::new(value)) };
                match (name, self.passed_provider(&value)) {
                    (Some(name), Some(provider)) => {
                        passed.insert(name, provider);
                    }
                    (None, _) => wrong_shape(node, "providers", "names of providers as its keys", self.out),
                    _ => {}
                }
            }
            return passed;
        }
        let NodeKind::Map(entries) = &node.kind else {
            wrong_shape(
                node,
                "providers",
                "a mapping of the called module's names to providers here",
                self.out,
            );
            return passed;
        };
        for (key, value) in entries {
            if let Some(provider) = self.passed_provider(value) {
                passed.insert(key.text.clone(), provider);
            }
        }
        passed
    }

    fn passed_provider(&mut self, node: &Node) -> Option<ProviderRef> {
        if node.is_null() { Some(null_provider(node.span)) } else { self.provider_ref(node) }
    }
}

fn null_provider(span: Span) -> ProviderRef {
    ProviderRef { name: "null".into(), alias: None, key: None, span }
}

/// Takes the entries of this name out of a mapping, or out of each mapping of a list.
fn leave_out(node: &mut Node, name: &str) {
    match &mut node.kind {
        NodeKind::Map(entries) => entries.retain(|(key, _)| &*key.text != name),
        NodeKind::Seq(items) => {
            items.iter_mut().for_each(|item| leave_out(item, name));
            items.retain(|item| item.as_map().is_none_or(|entries| !entries.is_empty()));
        }
        NodeKind::Null | NodeKind::Scalar { .. } | NodeKind::Expr(_) => {}
    }
}
