//! `moved`, `removed` and `import`: what they name.

use super::Decoder;
use crate::config::gather::RawBlock;
use crate::config::values::{Traversal, bare, expression, one_or_many, reference, static_bool, wrong_shape};
use crate::config::{BlockId, Import, ImportTo, Moved, Named, Provisioner, Removed, When};
use groma_lang::document::Node;
use groma_lang::expr::{Expr, Link, RefStep, Reference};
use groma_types::{
    Diagnostic, Diagnostics, InstanceAddr, InstanceKey, Mode, ModuleAddr, ModuleStep, ResourceAddr, Span,
    Type,
};
use std::sync::Arc;

impl Decoder<'_> {
    pub(super) fn moved(&mut self, block: &RawBlock) {
        let (mut from, mut to) = (None, None);
        let mut span = block.body_span;
        for (key, node) in &block.entries {
            match &*key.text {
                "from" => {
                    from = self.named(node, "from");
                    span = node.span;
                }
                "to" => to = self.named(node, "to"),
                _ => self.unknown(key, "A moved block", &["from", "to"]),
            }
        }
        for name in ["from", "to"] {
            if block.get(name).is_none_or(Node::is_null) {
                self.missing(block.span, "A moved block", name);
            }
        }
        let (Some(from), Some(to)) = (from, to) else { return };
        if matches!(from, Named::Module(_)) != matches!(to, Named::Module(_)) {
            let why = "A move is from a resource to a resource, or from a module to a module.";
            return self.bad_address(span, why);
        }
        self.module.moved.push(Moved { from, to, span });
    }

    pub(super) fn removed(&mut self, block: &RawBlock) {
        let mut from = None;
        let mut destroy = true;
        let mut provisioners = Vec::new();
        let mut connection = None;
        for (key, node) in &block.entries {
            match &*key.text {
                "from" => from = self.named(node, "from").map(|named| (named, node.span)),
                "provisioner" => provisioners = self.provisioners(node),
                "connection" => connection = Some(key.span),
                "lifecycle" => {
                    for (key, value) in one_or_many(node).into_iter().filter_map(Node::as_map).flatten() {
                        match &*key.text {
                            "destroy" => destroy = static_bool(value, "destroy", self.out).unwrap_or(true),
                            _ => self.unknown(key, "lifecycle of a removed block", &["destroy"]),
                        }
                    }
                }
                _ => self.unknown(key, "A removed block", &["from", "lifecycle", "provisioner"]),
            }
        }
        if block.get("from").is_none_or(Node::is_null) {
            self.missing(block.span, "A removed block", "from");
        }
        let Some((from, span)) = from else { return };
        if has_keys(&from) {
            return self.bad_address(span, "It stands for all instances of a block: no key may stand here.");
        }
        if matches!(&from, Named::Resource(address) if address.resource.mode != Mode::Managed) {
            return self.bad_address(span, "Only resources are in the state: nothing is removed of this.");
        }
        self.idle(&provisioners, destroy);
        self.connection(connection, &provisioners);
        self.module.removed.push(Removed { from, destroy, provisioners, span });
    }

    /// Provisioners of a `removed` block that would never run.
    fn idle(&mut self, provisioners: &[Provisioner], destroy: bool) {
        for idle in provisioners.iter().filter(|p| p.when == When::Create || !destroy) {
            let why = match destroy {
                true => "Nothing is created for a removed block: its provisioners have when: destroy.",
                false => "With lifecycle.destroy = false nothing is destroyed, so it would never run.",
            };
            self.out.push(
                Diagnostic::error("G0622", "A provisioner that would never run")
                    .detail(why)
                    .at(idle.span, "this provisioner"),
            );
        }
    }

    pub(super) fn import(&mut self, block: &RawBlock) {
        let (mut to, mut id, mut for_each, mut provider) = (None, None, None, None);
        let mut span = block.body_span;
        for (key, node) in &block.entries {
            match &*key.text {
                "to" => {
                    to = self.import_to(node);
                    span = node.span;
                }
                "id" => id = Some(expression(node, &Type::String, self.out)),
                "for_each" if !node.is_null() => {
                    for_each = Some(expression(node, &Type::Dynamic, self.out));
                }
                "for_each" => {}
                "provider" => provider = self.provider_ref(node),
                _ => self.unknown(key, "An import block", &["to", "id", "for_each", "provider"]),
            }
        }
        for name in ["to", "id"] {
            if block.get(name).is_none_or(Node::is_null) {
                self.missing(block.span, "An import block", name);
            }
        }
        let (Some(to), Some(id)) = (to, id) else { return };
        self.module.imports.push(Import { to, id, for_each, provider, span });
    }

    fn import_to(&mut self, node: &Node) -> Option<ImportTo> {
        if is_quoted(node) {
            self.bad_address(node.span, "An address stands without quotes here.");
            return None;
        }
        let expr = match bare(node, self.out) {
            Ok(expr) => expr,
            Err(Traversal::Broken) => return None,
            Err(_) => {
                wrong_shape(node, "to", "an address", self.out);
                return None;
            }
        };
        let found = expr.links().and_then(|(root, links)| import_to(root, links));
        if found.is_none() {
            self.bad_address(node.span, "An import is to a resource: KIND.NAME, or module.NAME.KIND.NAME, with keys where it has some.");
        }
        found
    }

    fn named(&mut self, node: &Node, what: &str) -> Option<Named> {
        if !self.is_fixed(node) {
            return None;
        }
        let written = reference(node, what, self.out)?;
        let named = named(&written);
        if named.is_none() {
            self.bad_address(
                node.span,
                "It names a resource (KIND.NAME) or a module (module.NAME), with keys where it has some.",
            );
        }
        named
    }

    /// An address of `moved` and `removed` is not evaluated; in native syntax it has no quotes.
    fn is_fixed(&mut self, node: &Node) -> bool {
        let why = match bare(node, &mut Diagnostics::new()).map(|expr| expr.as_traversal()) {
            _ if is_quoted(node) => "An address stands without quotes here.",
            Ok(Some((_, Some(_)))) => "A key must be written out here, as a string or a number.",
            _ => return true,
        };
        self.bad_address(node.span, why);
        false
    }

    pub(super) fn bad_address(&mut self, span: Span, why: &str) {
        self.out.push(
            Diagnostic::error("G0619", "Not an address that can stand here")
                .detail(why)
                .at(span, "this address"),
        );
    }
}

/// A name and the key that may follow it, from a reference's steps.
struct Parts<'a>(std::iter::Peekable<std::vec::IntoIter<&'a RefStep>>);

impl Parts<'_> {
    fn name(&mut self) -> Option<Arc<str>> {
        match self.0.next_if(|step| matches!(step, RefStep::Attr(_)))? {
            RefStep::Attr(name) => Some(name.clone()),
            RefStep::Index(_) => None,
        }
    }

    fn key(&mut self) -> Option<InstanceKey> {
        match self.0.next_if(|step| matches!(step, RefStep::Index(_)))? {
            RefStep::Index(key) => Some(key.clone()),
            RefStep::Attr(_) => None,
        }
    }
}

/// Native syntax has quotes for strings alone; the others have no other way to write an address.
fn is_quoted(node: &Node) -> bool {
    node.as_expr().and_then(Expr::as_literal).is_some_and(|value| value.as_str().is_some())
}

/// What a reference means as an address.
fn named(reference: &Reference) -> Option<Named> {
    let root = RefStep::Attr(reference.root.clone());
    let steps: Vec<&RefStep> = [&root].into_iter().chain(&reference.steps).collect();
    let mut parts = Parts(steps.into_iter().peekable());
    let mut module = Vec::new();
    let kind = loop {
        match parts.name() {
            Some(word) if &*word == "module" => {
                let name = parts.name()?;
                module.push(ModuleStep { name, key: parts.key() });
            }
            Some(word) => break word,
            None if parts.0.peek().is_none() && !module.is_empty() => {
                return Some(Named::Module(ModuleAddr(module.into())));
            }
            None => return None,
        }
    };
    let (mode, kind) = match &*kind {
        "data" => (Mode::Data, parts.name()?),
        "ephemeral" => (Mode::Ephemeral, parts.name()?),
        _ => (Mode::Managed, kind),
    };
    let name = parts.name()?;
    let key = parts.key();
    let resource = ResourceAddr::new(ModuleAddr(module.into()), mode, kind, name);
    parts.0.peek().is_none().then_some(Named::Resource(InstanceAddr { resource, key }))
}

/// What a chain means as the target of an import.
fn import_to(root: Arc<str>, links: Vec<Link>) -> Option<ImportTo> {
    let mut names: Vec<(Arc<str>, Option<Expr>)> = vec![(root, None)];
    for link in links {
        match link {
            Link::Attr(name) => names.push((name, None)),
            Link::Index(key) => {
                let last = names.last_mut().filter(|(_, own)| own.is_none())?;
                last.1 = Some(key);
            }
        }
    }
    let mut names = names.into_iter();
    let mut module = Vec::new();
    loop {
        let (word, key) = names.next()?;
        if key.is_some() {
            return None;
        }
        match &*word {
            "module" => module.push(names.next()?),
            "data" | "ephemeral" => return None,
            _ => {
                let (name, key) = names.next()?;
                let id = BlockId { mode: Mode::Managed, kind: word, name };
                return names.next().is_none().then_some(ImportTo { module, id, key });
            }
        }
    }
}

fn has_keys(named: &Named) -> bool {
    let (module, key) = match named {
        Named::Module(module) => (module, None),
        Named::Resource(address) => (&address.resource.module, address.key.as_ref()),
    };
    key.is_some() || module.0.iter().any(|step| step.key.is_some())
}
