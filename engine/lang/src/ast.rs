//! The tree of an expression: an arena of nodes, cheap to share and dropped without recursion.
//!
//! Invariant: children of a node stand before it in the arena, so a tree has no cycles.

use crate::expr::Expr;
use groma_types::{Span, Value};
use std::sync::Arc;

pub(crate) type Id = u32;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Neg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl Binary {
    /// Higher binds tighter.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Binary::Or => 1,
            Binary::And => 2,
            Binary::Equal | Binary::NotEqual => 3,
            Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => 4,
            Binary::Add | Binary::Sub => 5,
            Binary::Mul | Binary::Div | Binary::Rem => 6,
        }
    }

    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Binary::Or => "||",
            Binary::And => "&&",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterEqual => ">=",
            Binary::Add => "+",
            Binary::Sub => "-",
            Binary::Mul => "*",
            Binary::Div => "/",
            Binary::Rem => "%",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct For {
    pub(crate) key_var: Option<Arc<str>>,
    pub(crate) value_var: Arc<str>,
    pub(crate) source: Id,
    /// Present where an object is made.
    pub(crate) key: Option<Id>,
    pub(crate) value: Id,
    pub(crate) condition: Option<Id>,
    pub(crate) group: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: Arc<str>,
    pub(crate) name_span: Span,
    pub(crate) args: Vec<Id>,
    /// The last argument is spread over the parameters (`...`).
    pub(crate) expand: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Literal(Value),
    /// A name of the scope, or a variable of `for`.
    Root(Arc<str>),
    Attr(Id, Arc<str>),
    Index(Id, Id),
    /// `source[*]` (or `source.*`) and what is taken of each element, an expression over [`Kind::Hole`].
    Splat {
        source: Id,
        each: Id,
        full: bool,
    },
    /// The element at hand of the nearest splat.
    Hole,
    Unary(Unary, Id),
    Binary(Binary, Id, Id),
    Conditional(Id, Id, Id),
    Tuple(Vec<Id>),
    Object(Vec<(Id, Id)>),
    /// An object that a document wrote: its keys must be text, and each different.
    Mapping(Vec<(Id, Id)>),
    /// A reference in the place of a key, without parentheses: it names itself where a block's `providers` are written,
    /// and is an error where a value is made.
    BareKey(Id),
    For(Box<For>),
    Call(Box<Call>),
    /// Parts that are joined to one string.
    Template(Vec<Id>),
    /// `%{ if }`: condition and the two templates.
    TemplateIf(Id, Id, Id),
    /// `%{ for }`: a loop whose results are joined.
    TemplateFor(Box<For>),
    /// An expression with a tree of its own, from another text.
    Embedded(Expr),
}

impl Kind {
    /// The text of a constant string.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Kind::Literal(value) => value.as_str(),
            _ => None,
        }
    }

    /// Calls `visit` with each child in the order of writing.
    pub(crate) fn children(&self, visit: &mut dyn FnMut(Id)) {
        match self {
            Kind::Literal(_) | Kind::Root(_) | Kind::Hole | Kind::Embedded(_) => {}
            Kind::Attr(a, _) | Kind::Unary(_, a) | Kind::BareKey(a) => visit(*a),
            Kind::Index(a, b) | Kind::Binary(_, a, b) => [*a, *b].into_iter().for_each(visit),
            Kind::Splat { source, each, .. } => [*source, *each].into_iter().for_each(visit),
            Kind::Conditional(a, b, c) | Kind::TemplateIf(a, b, c) => {
                [*a, *b, *c].into_iter().for_each(visit);
            }
            Kind::Tuple(items) | Kind::Template(items) => items.iter().copied().for_each(visit),
            Kind::Object(items) | Kind::Mapping(items) => items.iter().for_each(|(k, v)| {
                visit(*k);
                visit(*v);
            }),
            Kind::For(f) | Kind::TemplateFor(f) => {
                visit(f.source);
                f.key.into_iter().chain([f.value]).chain(f.condition).for_each(visit);
            }
            Kind::Call(call) => call.args.iter().copied().for_each(visit),
        }
    }
}

impl Tree {
    pub(crate) fn push(&mut self, kind: Kind, span: Span) -> Id {
        self.kinds.push(kind);
        self.spans.push(span);
        Id::try_from(self.kinds.len() - 1).expect("fewer than 2^32 nodes: texts are shorter")
    }

    pub(crate) fn kind(&self, id: Id) -> &Kind {
        &self.kinds[id as usize]
    }

    pub(crate) fn span(&self, id: Id) -> Span {
        self.spans[id as usize]
    }
}
