//! The value of a body: an object of exactly the schema's type.

use super::Body;
use super::inspect::wrong_count;
use super::walk::iterator;
use crate::config::values::{expression, one_or_many};
use groma_lang::document::{Key, Node, NodeKind};
use groma_lang::eval::{self, FunctionHost, Scope};
use groma_lang::expr::{Expr, Reference};
use groma_types::convert::{ConvertError, convert};
use groma_types::schema::{Attribute, Block, NestedBlock, Nesting, Presence};
use groma_types::{
    AttrPath, Diagnostic, Diagnostics, Marks, ObjectType, Refinements, Span, Type, Unknown, Value, ValueKind,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Evaluates a body. Where a part has errors its value is unknown, so that the others are still looked at.
pub fn evaluate(body: &Body, schema: &Block, scope: &dyn Scope) -> (Value, Diagnostics) {
    let mut evaluator = Evaluator { out: Diagnostics::new() };
    let entries = body.node.as_map().unwrap_or_default();
    let value = evaluator.block(entries, body.span, schema, scope);
    (value, evaluator.out)
}

/// Evaluates one top-level argument or nested block alone, as [`evaluate`] would.
pub fn evaluate_argument(
    body: &Body,
    schema: &Block,
    name: &str,
    scope: &dyn Scope,
) -> (Option<Value>, Diagnostics) {
    let mut alone = Block::default();
    if let Some(attribute) = schema.attrs.get(name) {
        alone.attrs.insert(name.into(), attribute.clone());
    }
    if let Some(nested) = schema.blocks.get(name) {
        alone.blocks.insert(name.into(), nested.clone());
    }
    let (value, faults) = evaluate(body, &alone, scope);
    (value.get(name).cloned(), faults)
}

struct Evaluator {
    out: Diagnostics,
}

/// The element that a `dynamic` block is at, over the scope around it.
struct Iteration<'a> {
    outer: &'a dyn Scope,
    name: Arc<str>,
    key: Value,
    value: Value,
}

impl Scope for Iteration<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        if reference.root != self.name {
            return self.outer.resolve(reference);
        }
        Ok((Value::object([("key", self.key.clone()), ("value", self.value.clone())]), 0))
    }
    fn host(&self) -> &dyn FunctionHost {
        self.outer.host()
    }
    fn keep(&self, value: Value, expr: &Expr) -> Value {
        self.outer.keep(value, expr)
    }
}

/// Blocks of one type, as far as they are known.
#[derive(Default)]
struct Found {
    /// Each with its label, where blocks have labels.
    blocks: Vec<(Option<Arc<str>>, Value)>,
    /// A `dynamic` block's collection is not known: nor is how many there are.
    unknown: Option<Unknown>,
    marks: Marks,
}

impl Evaluator {
    fn block(&mut self, entries: &[(Key, Node)], span: Span, schema: &Block, scope: &dyn Scope) -> Value {
        let mut attrs: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        for (name, attribute) in &schema.attrs {
            let node = entries.iter().find(|(k, _)| k.text == *name).map(|(_, n)| n);
            attrs.insert(name.clone(), self.attribute(name, node, attribute, scope));
        }
        for (name, nested) in &schema.blocks {
            attrs.insert(name.clone(), self.nested(name, entries, span, nested, scope));
        }
        Value::object(attrs)
    }

    fn attribute(
        &mut self,
        name: &str,
        node: Option<&Node>,
        attribute: &Attribute,
        scope: &dyn Scope,
    ) -> Value {
        let marks = if attribute.sensitive { Marks::SENSITIVE } else { Marks::NONE };
        let absent = || attribute.default.clone().unwrap_or_else(|| Value::null(attribute.ty.clone()));
        let Some(node) = node.filter(|n| !n.is_null() && attribute.is_settable()) else {
            return absent().mark(marks);
        };
        let value = self.value(name, node, &attribute.ty, scope);
        if value.is_null() {
            if attribute.presence == Presence::Required {
                self.out.push(
                    Diagnostic::error("G0702", "Missing required argument")
                        .detail(format!("The argument {name:?} is required, and this is null."))
                        .at(node.span, "null"),
                );
            }
            return absent().mark(value.marks()).mark(marks);
        }
        value.mark(marks)
    }

    /// Evaluates and converts; faults leave an unknown of the wanted type.
    fn value(&mut self, name: &str, node: &Node, ty: &Type, scope: &dyn Scope) -> Value {
        let mut faults = Diagnostics::new();
        let expr = expression(node, ty, &mut faults);
        let (value, found) = eval::evaluate(&expr, scope);
        faults.extend(found);
        let broken = faults.has_errors();
        self.out.extend(faults.into_iter().filter(Diagnostic::is_error));
        if broken {
            return Value::unknown(ty.clone()).mark(value.deep_marks());
        }
        let marks = value.deep_marks();
        convert(&scope.keep(value, &expr), ty).unwrap_or_else(|error| {
            self.out.push(conversion_fault(name, node, ty, &error));
            Value::unknown(ty.clone()).mark(marks)
        })
    }

    fn nested(
        &mut self,
        name: &Arc<str>,
        entries: &[(Key, Node)],
        span: Span,
        nested: &NestedBlock,
        scope: &dyn Scope,
    ) -> Value {
        let mut found = Found::default();
        let mut written = None;
        let mut dynamic = false;
        for (key, node) in entries {
            if key.text == *name && !node.is_null() {
                written = Some(node);
                if nested.as_attribute && !is_blocks(node) {
                    return self.whole(name, node, nested, scope);
                }
                self.static_blocks(node, nested, scope, &mut found);
            } else if &*key.text == "dynamic" {
                for item in one_or_many(node) {
                    for (key, node) in
                        item.as_map().unwrap_or_default().iter().filter(|(k, _)| k.text == *name)
                    {
                        dynamic = true;
                        one_or_many(node)
                            .into_iter()
                            .for_each(|n| self.dynamic(key, n, nested, scope, &mut found));
                    }
                }
            }
        }
        if dynamic && found.unknown.is_none() {
            let at = written.map_or(span, |n| n.span);
            self.out.extend(wrong_count(name, found.blocks.len(), nested, at, "this block"));
        }
        if written.is_none() && !dynamic && nested.as_attribute {
            return Value::null(nested.ty());
        }
        collect(found, nested)
    }

    /// An attribute-as-blocks that is one expression.
    fn whole(&mut self, name: &str, node: &Node, nested: &NestedBlock, scope: &dyn Scope) -> Value {
        let value = self.value(name, node, &lenient(nested), scope);
        if value.is_null() { Value::null(nested.ty()) } else { retype(&value, &nested.ty()) }
    }

    fn static_blocks(&mut self, node: &Node, nested: &NestedBlock, scope: &dyn Scope, found: &mut Found) {
        for item in one_or_many(node) {
            let NodeKind::Map(entries) = &item.kind else { continue };
            if nested.nesting != Nesting::Map {
                let value = self.block(entries, item.span, &nested.block, scope);
                found.blocks.push((None, value));
                continue;
            }
            for (key, node) in entries {
                let body = node.as_map().unwrap_or_default();
                let value = self.block(body, node.span, &nested.block, scope);
                found.blocks.push((Some(key.text.clone()), value));
            }
        }
    }

    fn dynamic(
        &mut self,
        name: &Key,
        node: &Node,
        nested: &NestedBlock,
        scope: &dyn Scope,
        found: &mut Found,
    ) {
        let (Some((_, each)), Some((_, content))) = (node.get("for_each"), node.get("content")) else {
            return;
        };
        let collection = self.value("for_each", each, &Type::Dynamic, scope);
        found.marks = found.marks.union(collection.marks());
        if let Some(unknown) = collection.as_unknown() {
            found.unknown = Some(unknown.clone());
            return;
        }
        let Some(elements) = elements(&collection) else {
            return self.out.push(
                Diagnostic::error("G0709", "Invalid dynamic for_each value")
                    .detail(format!(
                        "A dynamic block takes a list, set or map; this is {}.",
                        friendly(&collection)
                    ))
                    .at(each.span, "not a collection"),
            );
        };
        let iterator = iterator(name, node);
        for (key, value) in elements {
            let inner = Iteration { outer: scope, name: iterator.clone(), key, value };
            let label = match (nested.nesting, node.get("labels")) {
                (Nesting::Map, Some((_, labels))) => self.label(labels, &inner),
                (Nesting::Map, None) => inner.key.as_str().map(Arc::from),
                _ => None,
            };
            for body in one_or_many(content).into_iter().filter(|n| n.as_map().is_some()) {
                let entries = body.as_map().unwrap_or_default();
                let value = self.block(entries, body.span, &nested.block, &inner);
                found.blocks.push((label.clone(), value));
            }
        }
    }

    fn label(&mut self, node: &Node, scope: &dyn Scope) -> Option<Arc<str>> {
        let labels = self.value("labels", node, &Type::list(Type::String), scope);
        labels.at(0).and_then(Value::as_str).map(Arc::from)
    }
}

/// Whether the blocks are written out one by one.
fn is_blocks(node: &Node) -> bool {
    one_or_many(node).into_iter().all(|item| item.as_map().is_some())
}

/// Keys and values of a collection that `dynamic` goes through.
fn elements(collection: &Value) -> Option<Vec<(Value, Value)>> {
    let pairs = match collection.kind() {
        ValueKind::List(_, items) | ValueKind::Tuple(items) => {
            let index = |i: usize| Value::number(i64::try_from(i).unwrap_or(i64::MAX));
            items.iter().enumerate().map(|(i, v)| (index(i), v.clone())).collect()
        }
        ValueKind::Set(_, items) => items.iter().map(|v| (v.clone(), v.clone())).collect(),
        ValueKind::Map(_, items) | ValueKind::Object(items) => {
            items.iter().map(|(k, v)| (Value::string(k.clone()), v.clone())).collect()
        }
        ValueKind::Null(_)
        | ValueKind::Unknown(_)
        | ValueKind::Bool(_)
        | ValueKind::Number(_)
        | ValueKind::String(_) => return None,
    };
    Some(pairs)
}

fn friendly(value: &Value) -> String {
    if value.is_null() { "null".into() } else { value.ty().friendly() }
}

/// Makes the list, set, map or object of the blocks that were found.
fn collect(found: Found, nested: &NestedBlock) -> Value {
    let Found { blocks, unknown, marks } = found;
    let ty = nested.ty();
    if let Some(unknown) = unknown {
        // What is written besides is there in any case.
        let refine = match nested.nesting {
            Nesting::Single => Refinements::default(),
            Nesting::Set => {
                Refinements { not_null: true, len_min: blocks.len().min(1), ..Refinements::default() }
            }
            _ => Refinements { not_null: true, len_min: blocks.len(), ..Refinements::default() },
        };
        return Value::from(Unknown { ty, refine, causes: unknown.causes, residual: None }).mark(marks);
    }
    let inner = nested.block.ty();
    let value = match nested.nesting {
        Nesting::Single => blocks.into_iter().next().map_or_else(|| Value::null(ty), |(_, v)| v),
        Nesting::List => Value::list(inner, blocks.into_iter().map(|(_, v)| v).collect()),
        Nesting::Set => Value::set(inner, blocks.into_iter().map(|(_, v)| v).collect()),
        Nesting::Map => Value::map(inner, blocks.into_iter().filter_map(|(label, v)| Some((label?, v)))),
    };
    value.mark(marks)
}

/// The type of the blocks, where arguments that need not be written may be absent.
fn lenient(nested: &NestedBlock) -> Type {
    let inner = lenient_block(&nested.block);
    match nested.nesting {
        Nesting::Single => inner,
        Nesting::List => Type::list(inner),
        Nesting::Set => Type::set(inner),
        Nesting::Map => Type::map(inner),
    }
}

fn lenient_block(block: &Block) -> Type {
    let mut attrs: Vec<(Arc<str>, Type)> = Vec::new();
    let mut optional = BTreeSet::new();
    for (name, attribute) in &block.attrs {
        attrs.push((name.clone(), attribute.ty.clone()));
        if attribute.presence != Presence::Required {
            optional.insert(name.clone());
        }
    }
    for (name, nested) in &block.blocks {
        attrs.push((name.clone(), lenient(nested)));
        optional.insert(name.clone());
    }
    Type::Object(Arc::new(ObjectType { attrs: attrs.into_iter().collect(), optional }))
}

/// Gives a value whose objects are complete the type without optional attributes.
fn retype(value: &Value, ty: &Type) -> Value {
    convert(value, ty).unwrap_or_else(|_| value.clone())
}

fn conversion_fault(name: &str, node: &Node, ty: &Type, error: &ConvertError) -> Diagnostic {
    let place = Body { node: node.clone(), span: node.span };
    let at = super::span_of(&place, &error.path);
    let inside = if error.path == AttrPath::root() { String::new() } else { format!(" At {}:", error.path) };
    Diagnostic::error("G0705", "Incorrect attribute value type")
        .detail(format!("Inappropriate value for {name:?}:{inside} {}.", error.message))
        .at(at, format!("{} is wanted", ty.friendly()))
}
