//! From raw blocks to a module: every block of the language, each with the arguments that the engine itself reads.
//!
//! What a provider's or a module's own arguments mean is not decided here: they stay nodes in a [`Body`].

mod moves;
mod provisioner;
mod resource;
mod settings;

use super::gather::{BlockType, Document, RawBlock, gather, is_name, not_a_name};
use super::values::{
    Traversal, bare, expression, one_or_many, reference, references, static_bool, static_text, static_texts,
    unknown_key, wrong_shape,
};
use super::{Body, Check, Expansion, Local, Module, Output, ProviderBlock, ProviderRef, Rule, Variable};
use groma_lang::document::{Key, Node, NodeKind};
use groma_lang::expr::{Expr, RefStep, Reference};
use groma_lang::types_syntax::{TypeConstraint, parse_type, parse_type_text};
use groma_types::{Diagnostic, Diagnostics, InstanceKey, Span, Type, Value};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

pub(super) use resource::{RawCall, lifecycle_arguments};
pub(super) use settings::bad_constraint;

/// A module of one folder, and its calls, whose arguments wait for the variables of what they call.
pub(super) struct Decoded {
    pub(super) module: Module,
    pub(super) calls: Vec<RawCall>,
}

/// Reads all blocks of a module; `is_whole`: these are all of its documents. The path and folder are the caller's to fill
/// in.
pub(super) fn module(
    documents: &[Document],
    is_whole: bool,
    is_root: bool,
    out: &mut Diagnostics,
) -> Decoded {
    let blocks = gather(documents, is_whole, out);
    let mut decoder = Decoder { module: Module::default(), is_root, calls: Vec::new(), out };
    for block in &blocks {
        decoder.block(block);
    }
    decoder.module.providers.sort_by_key(|p| (p.name.clone(), p.alias.clone()));
    Decoded { module: decoder.module, calls: decoder.calls }
}

struct Decoder<'a> {
    module: Module,
    is_root: bool,
    calls: Vec<RawCall>,
    out: &'a mut Diagnostics,
}

impl Decoder<'_> {
    fn block(&mut self, block: &RawBlock) {
        match block.ty {
            BlockType::Terraform => self.terraform(block),
            BlockType::Variable => self.variable(block),
            BlockType::Locals => self.locals(block),
            BlockType::Provider => self.provider(block),
            BlockType::Data | BlockType::Resource | BlockType::Ephemeral => self.resource(block),
            BlockType::Module => self.call(block),
            BlockType::Output => self.output(block),
            BlockType::Moved => self.moved(block),
            BlockType::Removed => self.removed(block),
            BlockType::Import => self.import(block),
            BlockType::Check => self.check(block),
            BlockType::Groma => {
                let listed = block.get("allow_exec").map(|node| static_texts(node, "allow_exec", self.out));
                self.module.allow_exec.extend(listed.unwrap_or_default());
                self.module.settings = Some(body(block, &["allow_exec"]));
            }
        }
    }

    fn unknown(&mut self, key: &Key, what: &str, known: &[&str]) {
        unknown_key(&key.text, key.span, what, known.iter().copied(), self.out);
    }

    fn variable(&mut self, block: &RawBlock) {
        let name = label(block, 0);
        let mut variable = Variable {
            name: name.clone(),
            span: block.span,
            constraint: TypeConstraint::any(),
            is_typed: false,
            default: None,
            sensitive: false,
            ephemeral: false,
            nullable: true,
            description: None,
            validations: Vec::new(),
        };
        if let Some(node) = block.get("type").filter(|n| !n.is_null()) {
            variable.is_typed = true;
            self.variable_type(node, &mut variable);
        }
        for (key, node) in &block.entries {
            match &*key.text {
                "type" => {}
                "default" => variable.default = Some(expression(node, &variable.constraint.ty, self.out)),
                "sensitive" => variable.sensitive = self.flag(node, "sensitive"),
                "ephemeral" => variable.ephemeral = self.flag(node, "ephemeral"),
                "nullable" => variable.nullable = static_bool(node, "nullable", self.out).unwrap_or(true),
                "description" => variable.description = static_text(node, "description", self.out),
                "deprecated" => {}
                "validation" => variable.validations = self.validations(node, &label(block, 0)),
                _ => self.unknown(
                    key,
                    "A variable",
                    &["type", "default", "sensitive", "ephemeral", "nullable", "description", "validation"],
                ),
            }
        }
        if RESERVED_VARIABLES.contains(&&*name) {
            self.out.push(
                Diagnostic::error("G0608", "A name that a variable cannot have")
                    .detail(format!("{name:?} is a meta-argument of module calls."))
                    .at(block.span, "this name"),
            );
        }
        insert(&mut self.module.variables, name, variable, "variable", |v| v.span, self.out);
    }

    fn variable_type(&mut self, node: &Node, variable: &mut Variable) {
        let (constraint, faults) = match &node.kind {
            NodeKind::Scalar { text, .. } => parse_type_text(text),
            // After a fault of the text nothing is known.
            NodeKind::Expr(written) if written.expr().as_literal().is_some_and(Value::is_unknown) => return,
            NodeKind::Expr(written) => {
                if let Some(text) = written.expr().as_literal().and_then(Value::as_str) {
                    self.out.push(quoted_type(text, node.span));
                }
                parse_type(written.expr())
            }
            NodeKind::Null | NodeKind::Seq(_) | NodeKind::Map(_) => {
                return wrong_shape(node, "type", "a type such as list(string)", self.out);
            }
        };
        self.out.extend(faults);
        variable.constraint = constraint;
    }

    fn flag(&mut self, node: &Node, what: &str) -> bool {
        static_bool(node, what, self.out).unwrap_or(false)
    }

    fn locals(&mut self, block: &RawBlock) {
        for (key, node) in &block.entries {
            let value = expression(node, &Type::Dynamic, self.out);
            let local = Local { name: key.text.clone(), span: key.span, value };
            insert(&mut self.module.locals, key.text.clone(), local, "local", |l| l.span, self.out);
        }
    }

    fn output(&mut self, block: &RawBlock) {
        let name = label(block, 0);
        let mut output = Output {
            name: name.clone(),
            span: block.span,
            value: Expr::literal(Value::NULL, block.span),
            sensitive: false,
            ephemeral: false,
            description: None,
            depends_on: Vec::new(),
            preconditions: Vec::new(),
        };
        for (key, node) in &block.entries {
            match &*key.text {
                "value" => output.value = expression(node, &Type::Dynamic, self.out),
                "sensitive" => output.sensitive = self.flag(node, "sensitive"),
                "ephemeral" => output.ephemeral = self.flag(node, "ephemeral"),
                "description" => output.description = static_text(node, "description", self.out),
                "deprecated" => {}
                "depends_on" => output.depends_on = references(node, "depends_on", self.out),
                "precondition" => output.preconditions = self.rules(node, "precondition"),
                _ => self.unknown(
                    key,
                    "An output",
                    &["value", "sensitive", "ephemeral", "description", "depends_on", "precondition"],
                ),
            }
        }
        if block.get("value").is_none() {
            self.missing(block.span, "An output", "value");
        }
        insert(&mut self.module.outputs, name, output, "output", |o| o.span, self.out);
    }

    fn missing(&mut self, span: Span, what: &str, name: &str) {
        self.out.push(
            Diagnostic::error("G0609", "A required argument is missing")
                .detail(format!("{what} needs the argument {name:?}."))
                .at(span, format!("{name:?} is missing")),
        );
    }

    /// `validation`, `precondition`, `postcondition`, `assert`: one object or a list.
    fn rules(&mut self, node: &Node, what: &str) -> Vec<Rule> {
        one_or_many(node).into_iter().filter_map(|n| self.rule(n, what)).collect()
    }

    /// Each condition of a variable looks at the variable.
    fn validations(&mut self, node: &Node, name: &str) -> Vec<Rule> {
        let rules = self.rules(node, "validation");
        for rule in &rules {
            let references = rule.condition.references();
            let is_own = |r: &Reference| &*r.root == "var" && r.attr(0) == Some(name);
            if !references.is_empty() && !references.iter().any(is_own) {
                self.out.push(
                    Diagnostic::error("G0626", "A condition that looks at nothing")
                        .detail(format!("The condition of the variable {name:?} must look at var.{name}."))
                        .at(rule.condition.span(), "does not look at the variable"),
                );
            }
        }
        rules
    }

    fn rule(&mut self, node: &Node, what: &str) -> Option<Rule> {
        let Some(entries) = node.as_map() else {
            wrong_shape(node, what, "a mapping", self.out);
            return None;
        };
        let (mut condition, mut message) = (None, None);
        for (key, value) in entries {
            match &*key.text {
                "condition" => condition = Some(expression(value, &Type::Bool, self.out)),
                "error_message" => message = Some(expression(value, &Type::String, self.out)),
                "//" => {}
                _ => self.unknown(key, &format!("A {what}"), &["condition", "error_message"]),
            }
        }
        for (name, there) in [("condition", condition.is_some()), ("error_message", message.is_some())] {
            if !there {
                self.missing(node.span, &format!("A {what}"), name);
            }
        }
        let rule = Rule { span: node.span, condition: condition?, error_message: message? };
        if rule.condition.references().is_empty()
            && !rule.condition.as_literal().is_some_and(Value::is_unknown)
        {
            self.out.push(
                Diagnostic::error("G0626", "A condition that looks at nothing")
                    .detail(format!("The condition of a {what} must name something of the stack; this one always has the same result."))
                    .at(rule.condition.span(), "names nothing"),
            );
        }
        Some(rule)
    }

    fn provider(&mut self, block: &RawBlock) {
        let mut provider = ProviderBlock {
            name: label(block, 0),
            alias: None,
            span: block.span,
            for_each: None,
            body: body(block, &["alias", "for_each", "lifecycle", "version"]),
            hosted_by: None,
            expect: None,
        };
        for (key, node) in &block.entries {
            match &*key.text {
                "alias" => {
                    provider.alias = static_text(node, "alias", self.out);
                    if let Some(alias) = provider.alias.as_ref().filter(|alias| !is_name(alias)) {
                        self.out.push(not_a_name("provider", alias, node.span));
                    }
                }
                "for_each" if !node.is_null() => {
                    provider.for_each = Some(expression(node, &Type::Dynamic, self.out));
                }
                "lifecycle" => self.provider_lifecycle(node, &mut provider),
                "version" => self.out.push(
                    Diagnostic::warning("G0610", "A version in a provider block is ignored")
                        .help("Write it in terraform.required_providers.")
                        .at(key.span, "ignored"),
                ),
                _ => {}
            }
        }
        if provider.for_each.is_some() && provider.alias.is_none() {
            self.out.push(
                Diagnostic::error("G0611", "A provider with for_each needs an alias")
                    .detail("Its instances are named through the alias: provider: aws.by_region[each.key].")
                    .help_edit("Add alias: NAME to the block.", "Add alias = \"NAME\" to the block.")
                    .at(block.span, "no alias"),
            );
        }
        if let Some(first) =
            self.module.providers.iter().find(|p| p.name == provider.name && p.alias == provider.alias)
        {
            self.out.push(duplicate("provider configuration", &provider.name, provider.span, first.span));
        }
        self.module.providers.push(provider);
    }

    fn provider_lifecycle(&mut self, node: &Node, provider: &mut ProviderBlock) {
        for entry in one_or_many(node) {
            let Some(entries) = entry.as_map() else {
                wrong_shape(entry, "lifecycle", "a mapping", self.out);
                continue;
            };
            for (key, value) in entries {
                match &*key.text {
                    "hosted_by" => provider.hosted_by = reference(value, "hosted_by", self.out),
                    "expect" => provider.expect = Some(expression(value, &Type::Dynamic, self.out)),
                    _ => self.unknown(key, "lifecycle of a provider", &["hosted_by", "expect"]),
                }
            }
        }
    }

    /// `aws`, `aws.eu`, `aws.by_region[each.key]`.
    fn provider_ref(&mut self, node: &Node) -> Option<ProviderRef> {
        let (reference, dynamic) = match bare(node, self.out).map(|expr| expr.as_provider()) {
            Ok(Some(found)) => found,
            Ok(None) | Err(Traversal::None) if !node.is_null() => {
                wrong_shape(node, "provider", "a provider reference such as aws.eu", self.out);
                return None;
            }
            Ok(None) | Err(_) => return None,
        };
        let mut alias = None;
        let mut key = dynamic;
        for (i, step) in reference.steps.iter().enumerate() {
            match (i, step) {
                (0, RefStep::Attr(name)) => alias = Some(name.clone()),
                (1, RefStep::Index(index)) if key.is_none() => {
                    let value = match index {
                        InstanceKey::Int(n) => Value::string(n.to_string()),
                        InstanceKey::Str(s) => Value::string(s.clone()),
                    };
                    key = Some(Expr::literal(value, node.span));
                }
                _ => {
                    wrong_shape(node, "provider", "a provider reference such as aws.eu", self.out);
                    return None;
                }
            }
        }
        Some(ProviderRef { name: reference.root, alias, key, span: node.span })
    }

    fn check(&mut self, block: &RawBlock) {
        let name = label(block, 0);
        let mut rules = Vec::new();
        for (key, node) in &block.entries {
            match &*key.text {
                "assert" => rules = self.rules(node, "assert"),
                "data" => self.check_data(node),
                _ => self.unknown(key, "A check", &["assert", "data"]),
            }
        }
        if rules.is_empty() {
            self.missing(block.span, "A check", "assert");
        }
        let check = Check { name: name.clone(), span: block.span, assertions: rules };
        insert(&mut self.module.checks, name, check, "check", |c| c.span, self.out);
    }

    /// `count`, `for_each` and `lifecycle.enabled` exclude each other.
    fn expansion(&mut self, found: Vec<(&'static str, Span, Expr)>) -> Expansion {
        if let [(first, at, _), (second, clash, _), ..] = found.as_slice() {
            self.out.push(
                Diagnostic::error("G0612", "Two ways to expand one block")
                    .detail(format!("{first:?} and {second:?} exclude each other."))
                    .at(*clash, "this one")
                    .at(*at, "and this one"),
            );
        }
        match found.into_iter().next() {
            Some(("count", _, expr)) => Expansion::Count(expr),
            Some(("for_each", _, expr)) => Expansion::ForEach(expr),
            Some((_, _, expr)) => Expansion::Enabled(expr),
            None => Expansion::Single,
        }
    }
}

/// Terraform 0.11 wrote types so, and the language has them no more.
fn quoted_type(text: &str, span: Span) -> Diagnostic {
    let help = match text {
        "list" | "map" => format!("Write {text}(string), or {text}(any) if the elements are no strings."),
        _ => format!("Write {text}, without quotes."),
    };
    Diagnostic::error("G0625", "A type in quotes")
        .detail("In native syntax a type stands as it is.")
        .help(help)
        .at(span, "quoted")
}

const RESERVED_VARIABLES: [&str; 8] =
    ["source", "version", "providers", "count", "for_each", "depends_on", "lifecycle", "locals"];

/// The label at a position; gathering has made sure that it is there.
fn label(block: &RawBlock, at: usize) -> Arc<str> {
    block.labels.get(at).map_or_else(|| "".into(), |k| k.text.clone())
}

/// The arguments but those named.
fn body(block: &RawBlock, without: &[&str]) -> Body {
    let entries = block.entries.iter().filter(|(k, _)| !without.contains(&&*k.text)).cloned().collect();
    Body { node: Node { span: block.body_span, kind: NodeKind::Map(entries) }, span: block.span }
}

fn duplicate(what: &str, name: &str, span: Span, first: Span) -> Diagnostic {
    Diagnostic::error("G0613", "A name is declared twice")
        .detail(format!("The module has a {what} {name:?} already."))
        .at(span, "the second one")
        .at(first, "the first one")
}

fn insert<T>(
    map: &mut BTreeMap<Arc<str>, T>,
    name: Arc<str>,
    value: T,
    what: &str,
    span: impl Fn(&T) -> Span,
    out: &mut Diagnostics,
) {
    match map.entry(name) {
        Entry::Occupied(old) => out.push(duplicate(what, old.key(), span(&value), span(old.get()))),
        Entry::Vacant(free) => {
            free.insert(value);
        }
    }
}
