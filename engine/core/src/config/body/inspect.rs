//! What is wrong with a body as written, before anything is known.

use super::Body;
use crate::config::forms;
use crate::config::values::{expression, one_or_many, wrong_shape};
use groma_lang::document::{Form, Key, Node, NodeKind};
use groma_lang::eval::{NoScope, evaluate};
use groma_types::convert::convert;
use groma_types::schema::{Attribute, Block, NestedBlock, Nesting, Presence};
use groma_types::{Diagnostic, Diagnostics, Span, Type};

/// Names that every dynamic block knows.
const DYNAMIC: [&str; 4] = ["for_each", "iterator", "labels", "content"];

/// Checks a body against its schema. `what` names it for people: `resource "aws_vpc"`.
pub fn check(body: &Body, schema: &Block, what: &str) -> Diagnostics {
    let mut inspect = Inspect { what, out: Diagnostics::new() };
    let entries = body.node.as_map().unwrap_or_default();
    inspect.block(entries, schema, body.span);
    inspect.out
}

struct Inspect<'a> {
    what: &'a str,
    out: Diagnostics,
}

impl Inspect<'_> {
    fn block(&mut self, entries: &[(Key, Node)], schema: &Block, span: Span) {
        for (key, node) in entries {
            if let Some(attribute) = schema.attrs.get(&key.text) {
                if key.form == Form::Block {
                    self.out.push(forms::wanted_argument(key, self.what));
                    continue;
                }
                self.attribute(key, node, attribute);
            } else if let Some(nested) = schema.blocks.get(&key.text) {
                if key.form == Form::Argument && !nested.as_attribute {
                    self.out.push(forms::wanted_block(key, self.what));
                    continue;
                }
                self.nested(key, node, nested);
            } else if &*key.text == "dynamic" {
                for item in one_or_many(node) {
                    if key.form == Form::Block && !item.is_labels() {
                        self.labels(
                            key,
                            "A dynamic block has one label: the type of the blocks that it makes.",
                        );
                        continue;
                    }
                    for (name, node) in item.as_map().unwrap_or_default() {
                        self.dynamic(name, node, schema);
                    }
                }
            } else if &*key.text != "//" {
                self.unknown(key, schema);
            }
        }
        self.required(entries, schema, span);
    }

    fn labels(&mut self, key: &Key, detail: &str) {
        self.out.push(
            Diagnostic::error("G0507", "Wrong number of labels")
                .detail(detail)
                .at(key.span, "this block's head"),
        );
    }

    fn unknown(&mut self, key: &Key, schema: &Block) {
        let known =
            schema.attrs.iter().filter(|(_, a)| a.is_settable()).map(|(k, _)| k).chain(schema.blocks.keys());
        let near = groma_types::diagnostic::nearest(&key.text, known.map(|k| &**k));
        let mut error = Diagnostic::error("G0701", "Unsupported argument")
            .detail(format!("An argument named {:?} is not expected in {}.", key.text, self.what))
            .at(key.span, near.map_or("not known here".into(), |n| format!("did you mean {n:?}?")));
        if let Some(near) = near {
            error = error.help(format!("Write {near}."));
        }
        self.out.push(error);
    }

    fn required(&mut self, entries: &[(Key, Node)], schema: &Block, span: Span) {
        let written = |name: &str| entries.iter().find(|(k, _)| &*k.text == name).map(|(_, n)| n);
        for (name, attribute) in &schema.attrs {
            let node = written(name);
            if attribute.presence == Presence::Required && node.is_none_or(Node::is_null) {
                let doc =
                    if attribute.doc.is_empty() { String::new() } else { format!(" ({})", attribute.doc) };
                self.out.push(
                    Diagnostic::error("G0702", "Missing required argument")
                        .detail(format!("The argument {name:?} is required in {}.", self.what))
                        .help_edit(format!("Add {name}: …{doc}"), format!("Add {name} = …{doc}"))
                        .at(node.map_or(span, |n| n.span), format!("{name:?} is missing")),
                );
            }
        }
        let dynamic = |name: &str| {
            let all = entries.iter().filter(|(k, _)| &*k.text == "dynamic").flat_map(|(_, n)| one_or_many(n));
            all.into_iter().any(|n| n.get(name).is_some())
        };
        for (name, nested) in &schema.blocks {
            // With a dynamic block the number is known only when it is evaluated.
            if dynamic(name) {
                continue;
            }
            let count = written(name).map_or(Some(0), |n| static_count(n, nested));
            let at = written(name).map_or(span, |n| n.span);
            if let Some(count) = count {
                self.out.extend(wrong_count(name, count, nested, at, self.what));
            }
        }
    }

    fn attribute(&mut self, key: &Key, node: &Node, attribute: &Attribute) {
        if attribute.presence == Presence::Computed {
            if is_null(node) {
                return;
            }
            return self.out.push(
                Diagnostic::error("G0703", "The provider decides this value")
                    .detail(format!("The attribute {:?} of {} can be read but not set.", key.text, self.what))
                    .help("Remove the line.")
                    .at(key.span, "not settable"),
            );
        }
        if let Some(note) = &attribute.deprecated {
            self.out.push(
                Diagnostic::warning("G0704", "Argument is deprecated")
                    .detail(&**note)
                    .at(key.span, "deprecated"),
            );
        }
        // Parsing tells the faults of the text; the shape tells those of the value.
        expression(node, &attribute.ty, &mut self.out);
        self.shape(&key.text, node, &attribute.ty);
    }

    /// Compares what is written with the wanted type as far as it can be known now.
    fn shape(&mut self, name: &str, node: &Node, ty: &Type) {
        match (&node.kind, ty) {
            (NodeKind::Null, _) | (_, Type::Dynamic) => {}
            (NodeKind::Seq(items), Type::List(e) | Type::Set(e)) => {
                items.iter().for_each(|n| self.shape(name, n, e));
            }
            (NodeKind::Map(entries), Type::Map(e)) => {
                entries.iter().for_each(|(_, n)| self.shape(name, n, e));
            }
            (NodeKind::Map(entries), Type::Object(o)) => {
                for (key, node) in entries {
                    if let Some(ty) = o.attrs.get(&key.text) {
                        self.shape(name, node, ty);
                    }
                }
            }
            (NodeKind::Seq(_), Type::Tuple(_)) => {}
            (NodeKind::Seq(_) | NodeKind::Map(_), _) => self.wrong_type(name, node, ty, None),
            (NodeKind::Scalar { .. } | NodeKind::Expr(_), _) => self.scalar(name, node, ty),
        }
    }

    fn scalar(&mut self, name: &str, node: &Node, ty: &Type) {
        let mut faults = Diagnostics::new();
        let expr = expression(node, ty, &mut faults);
        if faults.has_errors() || !expr.is_static() {
            return;
        }
        let (value, faults) = evaluate(&expr, &NoScope);
        if faults.has_errors() {
            return self.out.extend(faults);
        }
        if let Err(error) = convert(&value, ty) {
            self.wrong_type(name, node, ty, Some(error.to_string()));
        }
    }

    fn wrong_type(&mut self, name: &str, node: &Node, ty: &Type, why: Option<String>) {
        let why = why.map_or_else(String::new, |w| format!(" ({w})"));
        self.out.push(
            Diagnostic::error("G0705", "Incorrect attribute value type")
                .detail(format!(
                    "The argument {name:?} of {} takes {ty}; this is {}{why}.",
                    self.what,
                    node.friendly()
                ))
                .at(node.span, format!("{} is wanted", ty.friendly())),
        );
    }

    fn nested(&mut self, key: &Key, node: &Node, nested: &NestedBlock) {
        for item in one_or_many(node) {
            if key.form == Form::Block && item.is_labels() != (nested.nesting == Nesting::Map) {
                let wanted = if item.is_labels() { "no label" } else { "one label" };
                self.labels(key, &format!("A block of type {:?} has {wanted} in {}.", key.text, self.what));
                continue;
            }
            match &item.kind {
                NodeKind::Map(labelled) if nested.nesting == Nesting::Map => {
                    for (_, node) in labelled {
                        for entry in one_or_many(node) {
                            self.nested_body(key, entry, nested);
                        }
                    }
                }
                _ => self.nested_body(key, item, nested),
            }
        }
    }

    fn nested_body(&mut self, key: &Key, node: &Node, nested: &NestedBlock) {
        match &node.kind {
            NodeKind::Map(entries) => self.block(entries, &nested.block, node.span),
            NodeKind::Scalar { .. } | NodeKind::Expr(_) if nested.as_attribute => {
                expression(node, &Type::Dynamic, &mut self.out);
            }
            NodeKind::Scalar { .. } | NodeKind::Expr(_) => self.out.push(
                Diagnostic::error("G0706", "A nested block cannot be an expression")
                    .detail(format!("{:?} is a block of {}: its arguments are written one by one.", key.text, self.what))
                    .help_edit(
                        format!(
                            "To make blocks from a collection write: dynamic: {{{}: {{for_each: …, content: {{…}}}}}}",
                            key.text
                        ),
                        format!(
                            "To make blocks from a collection write a dynamic {:?} block with for_each and content.",
                            key.text
                        ),
                    )
                    .at(node.span, "a mapping is wanted here"),
            ),
            NodeKind::Null | NodeKind::Seq(_) => {
                wrong_shape(node, &format!("The block {:?}", key.text), "a mapping or a list of mappings", &mut self.out);
            }
        }
    }

    fn dynamic(&mut self, name: &Key, node: &Node, schema: &Block) {
        let Some(nested) = schema.blocks.get(&name.text) else { return self.unknown(name, schema) };
        for item in one_or_many(node) {
            let Some(entries) = item.as_map() else {
                wrong_shape(item, "dynamic", "a mapping with for_each and content", &mut self.out);
                continue;
            };
            for (key, value) in entries {
                match &*key.text {
                    "for_each" | "labels" => {
                        expression(value, &Type::Dynamic, &mut self.out);
                    }
                    "content" => {
                        self.nested(name, value, &NestedBlock { nesting: Nesting::List, ..nested.clone() });
                    }
                    "iterator" => {}
                    other => {
                        crate::config::values::unknown_key(
                            other,
                            key.span,
                            "dynamic",
                            DYNAMIC,
                            &mut self.out,
                        );
                    }
                }
            }
            for required in ["for_each", "content"] {
                if item.get(required).is_none() {
                    self.out.push(
                        Diagnostic::error("G0702", "Missing required argument")
                            .detail(format!("A dynamic block needs {required:?}."))
                            .at(name.span, format!("{required:?} is missing")),
                    );
                }
            }
        }
    }
}

/// Whether a value is null whatever else there is: as good as not written.
fn is_null(node: &Node) -> bool {
    let mut faults = Diagnostics::new();
    let expr = expression(node, &Type::Dynamic, &mut faults);
    !faults.has_errors() && expr.is_static() && evaluate(&expr, &NoScope).0.is_null()
}

/// How many blocks are written, if that is plain to see.
fn static_count(node: &Node, nested: &NestedBlock) -> Option<usize> {
    match (&node.kind, nested.nesting) {
        (NodeKind::Null, _) => Some(0),
        (NodeKind::Map(entries), Nesting::Map) => Some(entries.len()),
        (NodeKind::Map(_), _) => Some(1),
        (NodeKind::Seq(items), _) => Some(items.len()),
        (NodeKind::Scalar { .. } | NodeKind::Expr(_), _) => None,
    }
}

/// Says that there are too many or too few blocks of a type.
pub(super) fn wrong_count(
    name: &str,
    count: usize,
    nested: &NestedBlock,
    at: Span,
    what: &str,
) -> Option<Diagnostic> {
    let max = if nested.nesting == Nesting::Single { Some(1) } else { nested.max };
    if count < nested.min {
        let wanted = if nested.min == 1 { "a block".to_string() } else { format!("{} blocks", nested.min) };
        return Some(
            Diagnostic::error("G0707", "Not enough blocks of a type")
                .detail(format!("{wanted} {name:?} must be in {what}; there are {count}."))
                .at(at, format!("{name:?} is missing")),
        );
    }
    max.filter(|max| count > *max).map(|max| {
        Diagnostic::error("G0708", "Too many blocks of a type")
            .detail(format!("No more than {max} {name:?} may be in {what}; there are {count}."))
            .at(at, "too many")
    })
}
