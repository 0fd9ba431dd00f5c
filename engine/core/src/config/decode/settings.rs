//! The `terraform` block: language level, provider requirements, backend.

use super::Decoder;
use crate::config::gather::RawBlock;
use crate::config::values::{keyword, one_or_many, static_text, wrong_shape};
use crate::config::{Backend, Body, RequiredProvider};
use groma_lang::document::{Key, Node, NodeKind};
use groma_types::version::Constraint;
use groma_types::{Diagnostic, Span};
use std::sync::Arc;

/// The level of the Terraform language that is spoken here.
const LANGUAGE: &str = "1.11.4";
const EDITION: &str = "TF2021";

impl Decoder<'_> {
    pub(super) fn terraform(&mut self, block: &RawBlock) {
        for (key, node) in &block.entries {
            match &*key.text {
                "required_version" => self.required_version(node),
                "required_providers" => {
                    for entry in one_or_many(node) {
                        self.required_providers(entry);
                    }
                }
                "backend" if self.is_root => {
                    for entry in one_or_many(node) {
                        self.backend(entry);
                    }
                }
                // A root module may be called for a test.
                "backend" => self.out.push(
                    Diagnostic::warning("G0624", "The backend of a called module is ignored")
                        .detail("The state of a whole stack is in one place, and the root module says where.")
                        .at(key.span, "has no effect here"),
                ),
                "cloud" if !self.is_root => {}
                "cloud" => self.out.push(
                    Diagnostic::error("G0615", "Another program's remote runs")
                        .detail("The cloud block names a service of HashiCorp that runs Terraform.")
                        .help("Write terraform.backend with a place for the state.")
                        .at(key.span, "this block"),
                ),
                "language" => self.edition(node),
                "experiments" | "provider_meta" => {}
                _ => self.unknown(
                    key,
                    "The terraform block",
                    &["required_version", "required_providers", "backend", "cloud"],
                ),
            }
        }
    }

    fn edition(&mut self, node: &Node) {
        if keyword(node).is_none_or(|edition| &*edition != EDITION) {
            self.out.push(
                Diagnostic::error("G0616", "Another language level is required")
                    .detail(format!("The edition of the language here is {EDITION}, as in Terraform."))
                    .at(node.span, "not met"),
            );
        }
    }

    fn required_version(&mut self, node: &Node) {
        let Some(text) = static_text(node, "required_version", self.out) else { return };
        match Constraint::parse(&text) {
            Ok(constraint) if !constraint.allows(LANGUAGE) => self.out.push(
                Diagnostic::error("G0616", "Another language level is required")
                    .detail(format!("The stack asks for {text}; the language level here is {LANGUAGE}."))
                    .at(node.span, "not met"),
            ),
            Ok(_) => {}
            Err(why) => self.out.push(bad_constraint(&why, node.span)),
        }
    }

    fn required_providers(&mut self, node: &Node) {
        let NodeKind::Map(entries) = &node.kind else {
            return wrong_shape(node, "required_providers", "a mapping of provider names", self.out);
        };
        for (key, value) in entries.iter().filter(|(k, _)| &*k.text != "//") {
            if let Some(required) = self.required_provider(key, value) {
                self.module.required_providers.insert(key.text.clone(), required);
            }
        }
    }

    fn required_provider(&mut self, key: &Key, node: &Node) -> Option<RequiredProvider> {
        let mut required = RequiredProvider {
            source: format!("hashicorp/{}", key.text).into(),
            version: None,
            span: key.span,
            aliases: Vec::new(),
        };
        if matches!(node.kind, NodeKind::Scalar { .. } | NodeKind::Expr(_)) {
            required.version = self.constraint(node);
            return Some(required);
        }
        let Some(entries) = node.as_map() else {
            wrong_shape(node, "A required provider", "a mapping", self.out);
            return None;
        };
        let key_of = key.text.clone();
        for (key, value) in entries {
            match &*key.text {
                "source" => {
                    if let Some(source) = static_text(value, "source", self.out) {
                        required.source = source;
                    }
                }
                "version" => required.version = self.constraint(value),
                "configuration_aliases" => required.aliases = self.aliases(&key_of, value),
                "//" => {}
                _ => {
                    self.unknown(key, "A required provider", &["source", "version", "configuration_aliases"]);
                }
            }
        }
        Some(required)
    }

    fn constraint(&mut self, node: &Node) -> Option<Arc<str>> {
        let text = static_text(node, "version", self.out)?;
        if let Err(why) = Constraint::parse(&text) {
            self.out.push(bad_constraint(&why, node.span));
            return None;
        }
        Some(text)
    }

    fn aliases(&mut self, provider: &Arc<str>, node: &Node) -> Vec<Arc<str>> {
        let mut aliases = Vec::new();
        for item in one_or_many(node) {
            if let Some(found) = self.provider_ref(item) {
                if found.name != *provider {
                    self.out.push(
                        Diagnostic::error("G0604", "The value has the wrong shape")
                            .detail(format!("These are configurations of {provider}: {provider}.NAME."))
                            .at(item.span, "of another provider"),
                    );
                }
                match found.alias {
                    Some(alias) => aliases.push(format!("{}.{alias}", found.name).into()),
                    None => aliases.push(found.name),
                }
            }
        }
        aliases
    }

    fn backend(&mut self, node: &Node) {
        let NodeKind::Map(entries) = &node.kind else {
            return wrong_shape(node, "backend", "a mapping with the backend's kind", self.out);
        };
        for (key, value) in entries.iter().filter(|(k, _)| &*k.text != "//") {
            let empty = Node { span: key.span, kind: NodeKind::Map(Vec::new()) };
            let body = match &value.kind {
                NodeKind::Null => empty,
                NodeKind::Seq(items) => items.first().cloned().unwrap_or(empty),
                NodeKind::Map(_) | NodeKind::Scalar { .. } | NodeKind::Expr(_) => value.clone(),
            };
            if body.as_map().is_none() {
                wrong_shape(value, "A backend", "a mapping", self.out);
                continue;
            }
            if let Some(first) = &self.module.backend
                && first.kind != key.text
            {
                self.out.push(
                    Diagnostic::error("G0618", "Two backends")
                        .detail("A stack has one place for its state.")
                        .at(key.span, "the second one")
                        .at(first.span, "the first one"),
                );
            }
            let body = Body { span: body.span, node: body };
            self.module.backend = Some(Backend { kind: key.text.clone(), body, span: key.span });
        }
    }
}

pub(in crate::config) fn bad_constraint(why: &str, span: Span) -> Diagnostic {
    Diagnostic::error("G0617", "Not a version constraint")
        .detail(why.to_string())
        .help("Write something like \">= 5.0, < 7.0\" or \"~> 5.31\".")
        .at(span, "this constraint")
}
