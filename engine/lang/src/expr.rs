//! Expressions as values: shared trees, their references, and equality that does not look at places.

use crate::ast::{Id, Kind, Tree};
use crate::parser::deep;
use groma_types::{Diagnostic, Diagnostics, InstanceKey, Span, Value, ValueKind};
use std::fmt;
use std::sync::Arc;

/// A parsed expression. Cloning shares the tree.
#[derive(Clone, Debug)]
pub struct Expr {
    tree: Arc<Tree>,
    root: Id,
}

/// A reference as written: root name and static steps after it, up to the first dynamic index or splat.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    pub root: Arc<str>,
    pub steps: Vec<RefStep>,
    pub span: Span,
}

/// One static step of a reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefStep {
    Attr(Arc<str>),
    Index(InstanceKey),
}

/// One step of a chain on a name, with its key as an expression.
#[derive(Clone, Debug)]
pub enum Link {
    Attr(Arc<str>),
    Index(Expr),
}

impl fmt::Display for RefStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefStep::Attr(name) => write!(f, ".{name}"),
            RefStep::Index(key) => write!(f, "{key}"),
        }
    }
}

/// Writes `data.x.y[0].z`.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        self.steps.iter().try_for_each(|s| write!(f, "{s}"))
    }
}

impl Reference {
    /// The name of the step at `index`, if it is an attribute.
    pub fn attr(&self, index: usize) -> Option<&str> {
        match self.steps.get(index)? {
            RefStep::Attr(name) => Some(name),
            RefStep::Index(_) => None,
        }
    }
}

/// Names that are bound by `for` around a place in the tree.
pub(crate) type Bound = Vec<Arc<str>>;

impl Expr {
    pub(crate) fn from_tree(tree: Tree, root: Id) -> Expr {
        Expr { tree: Arc::new(tree), root }
    }

    pub(crate) fn at(&self, root: Id) -> Expr {
        Expr { tree: self.tree.clone(), root }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    #[cfg(test)]
    pub(crate) fn root(&self) -> Id {
        self.root
    }

    pub(crate) fn kind(&self) -> &Kind {
        self.tree.kind(self.root)
    }

    fn single(kind: Kind, span: Span) -> Expr {
        Expr::from_tree(Tree { kinds: vec![kind], spans: vec![span] }, 0)
    }

    /// Returns an expression that is always `value`.
    pub fn literal(value: Value, span: Span) -> Expr {
        Expr::single(Kind::Literal(value), span)
    }

    /// Returns `[items…]`, as a sequence of a document gives it.
    pub fn tuple(items: Vec<Expr>, span: Span) -> Expr {
        let mut tree = Tree::default();
        let ids = items.into_iter().map(|e| embed(&mut tree, e)).collect();
        let root = tree.push(Kind::Tuple(ids), span);
        Expr::from_tree(tree, root)
    }

    /// Returns `{key = value…}`, as a mapping of a document gives it; keys are expressions.
    pub fn object(items: Vec<(Expr, Expr)>, span: Span) -> Expr {
        let mut tree = Tree::default();
        let ids = items.into_iter().map(|(k, v)| (embed(&mut tree, k), embed(&mut tree, v))).collect();
        let root = tree.push(Kind::Mapping(ids), span);
        Expr::from_tree(tree, root)
    }

    /// Returns the place where the expression is written.
    pub fn span(&self) -> Span {
        self.tree.span(self.root)
    }

    /// Returns text that [`crate::expr::parse_expression`] reads back to an equal expression.
    pub fn source_text(&self) -> Arc<str> {
        crate::print::print(self).into()
    }

    /// Returns the text of an equal template, if the expression is a string or a template.
    pub fn template_text(&self) -> Option<String> {
        crate::print::template(self)
    }

    /// Returns the value, if the expression is a plain constant.
    pub fn as_literal(&self) -> Option<&Value> {
        match self.kind() {
            Kind::Literal(value) => Some(value),
            Kind::Embedded(inner) => inner.as_literal(),
            _ => None,
        }
    }

    /// Returns keys and values, if the expression is an object as written.
    pub fn object_items(&self) -> Option<Vec<(Expr, Expr)>> {
        match self.kind() {
            Kind::Embedded(inner) => inner.object_items(),
            Kind::Object(items) => Some(items.iter().map(|(k, v)| (self.at(*k), self.at(*v))).collect()),
            _ => None,
        }
    }

    /// Returns the items, if the expression is a tuple as written.
    pub fn tuple_items(&self) -> Option<Vec<Expr>> {
        match self.kind() {
            Kind::Embedded(inner) => inner.tuple_items(),
            Kind::Tuple(items) => Some(items.iter().map(|id| self.at(*id)).collect()),
            _ => None,
        }
    }

    /// Whether the value follows from the text alone: no references and no function that looks at the world.
    pub fn is_static(&self) -> bool {
        let mut is_static = true;
        self.visit(&mut Bound::new(), &mut |expr, bound| match expr.kind() {
            Kind::Root(name) => is_static &= bound.contains(name),
            Kind::Call(call) => is_static &= !crate::functions::is_impure(&call.name),
            _ => {}
        });
        is_static
    }

    /// Whether a function of this name is called anywhere inside.
    pub fn calls(&self, name: &str) -> bool {
        let mut found = false;
        self.visit(&mut Bound::new(), &mut |expr, _| {
            if let Kind::Call(call) = expr.kind() {
                found |= &*call.name == name;
            }
        });
        found
    }

    pub(crate) fn bare_key_fault(&self) -> Diagnostic {
        Diagnostic::error("G0116", "Ambiguous attribute key")
            .detail("A key that is a reference could also be meant as a literal name containing periods.")
            .help("for the value of the reference wrap it in parentheses; for a literal name use quotes")
            .at(self.span(), "a reference, or a name?")
    }

    /// Returns the reference that stands in the place of a key, without parentheses.
    pub fn as_bare_key(&self) -> Option<Reference> {
        match self.kind() {
            Kind::BareKey(key) => Some(self.at(*key).as_provider()?.0),
            _ => None,
        }
    }

    /// Whether any function is called inside.
    pub fn calls_any(&self) -> bool {
        let mut found = false;
        self.visit(&mut Bound::new(), &mut |expr, _| found |= matches!(expr.kind(), Kind::Call(_)));
        found
    }

    /// Returns what is wrong with calls by the text alone: no such function, too many or too few arguments.
    /// Also of keys that could be meant in two ways.
    /// What `try` and `can` look at is theirs to judge.
    pub fn call_faults(&self) -> Diagnostics {
        let mut found = Diagnostics::new();
        self.call_faults_into(&mut found);
        found
    }

    fn call_faults_into(&self, found: &mut Diagnostics) {
        deep(|| {
            if let Kind::Call(call) = self.kind() {
                if matches!(call.name.strip_prefix("core::").unwrap_or(&call.name), "try" | "can") {
                    return;
                }
                let spans: Vec<Span> = call.args.iter().map(|id| self.tree.span(*id)).collect();
                found.extend(crate::eval::static_call_fault(call, self.span(), &spans));
            }
            if let Kind::BareKey(_) = self.kind() {
                found.push(self.bare_key_fault());
            }
            self.each_child(&mut Bound::new(), &mut |child, _| child.call_faults_into(found));
        });
    }

    /// Returns the free references, in the order of writing; variables of `for` are not among them.
    pub fn references(&self) -> Vec<Reference> {
        let mut found: Vec<Reference> = Vec::new();
        self.references_into(&mut Bound::new(), &mut found);
        found
    }

    fn references_into(&self, bound: &mut Bound, found: &mut Vec<Reference>) {
        deep(|| {
            if let Some(chain) = self.chain() {
                if !bound.contains(&chain.reference.root) {
                    found.push(chain.reference);
                }
                // Keys of dynamic steps hold references of their own.
                chain.rest.iter().for_each(|key| key.references_into(bound, found));
                return;
            }
            self.each_child(bound, &mut |child, bound| child.references_into(bound, found));
        });
    }

    /// If the expression is a reference: its static part, and the key of the dynamic index that ends it.
    /// `aws.by_region[each.key]` gives `aws.by_region` and `each.key`.
    pub fn as_traversal(&self) -> Option<(Reference, Option<Expr>)> {
        self.chain()?.into_traversal()
    }

    /// The same for a provider's name. One of them is called `null`, which is a name here and nowhere else.
    pub fn as_provider(&self) -> Option<(Reference, Option<Expr>)> {
        self.chain_on(&|kind| match kind {
            Kind::Literal(value) if value.is_null() => Some("null".into()),
            _ => root_name(kind),
        })?
        .into_traversal()
    }

    /// If the expression is names and indexes on a name: the reference, with what `key` makes of each dynamic index.
    pub fn traversal_with(&self, key: &mut dyn FnMut(&Expr) -> Option<InstanceKey>) -> Option<Reference> {
        let chain = self.chain()?;
        let mut reference = Reference { steps: Vec::new(), ..chain.reference };
        for link in &chain.links {
            let step = match link.kind() {
                Kind::Index(_, index) => {
                    static_step(link).or_else(|| Some(RefStep::Index(key(&link.at(*index))?)))?
                }
                _ => static_step(link)?,
            };
            reference.steps.push(step);
            reference.span = reference.span.to(link.span());
        }
        Some(reference)
    }

    /// If the expression is a chain of attributes and indexes on a name: the name and the steps, with keys as written.
    pub fn links(&self) -> Option<(Arc<str>, Vec<Link>)> {
        let chain = self.chain()?;
        let link = |link: &Expr| match link.kind() {
            Kind::Attr(_, name) => Some(Link::Attr(name.clone())),
            Kind::Index(_, key) => Some(Link::Index(link.at(*key))),
            _ => None,
        };
        Some((chain.reference.root, chain.links.iter().map(link).collect::<Option<Vec<Link>>>()?))
    }

    /// Takes a chain of attributes and indexes on a name apart.
    pub(crate) fn chain(&self) -> Option<Chain> {
        self.chain_on(&root_name)
    }

    fn chain_on(&self, root: &dyn Fn(&Kind) -> Option<Arc<str>>) -> Option<Chain> {
        let mut links = Vec::new();
        let mut at = self.clone();
        loop {
            let next = match at.kind() {
                Kind::Embedded(inner) => {
                    at = inner.clone();
                    continue;
                }
                Kind::Attr(base, _) | Kind::Index(base, _) => *base,
                kind => return Some(Chain::new(root(kind)?, at.span(), links)),
            };
            links.push(at.clone());
            at = at.at(next);
        }
    }

    /// Calls `visit` with each child and the names bound there.
    pub(crate) fn each_child(&self, bound: &mut Bound, visit: &mut dyn FnMut(&Expr, &mut Bound)) {
        match self.kind() {
            Kind::Embedded(inner) => visit(inner, bound),
            Kind::For(f) | Kind::TemplateFor(f) => {
                visit(&self.at(f.source), bound);
                let depth = bound.len();
                bound.extend(f.key_var.iter().chain([&f.value_var]).cloned());
                for id in f.key.into_iter().chain([f.value]).chain(f.condition) {
                    visit(&self.at(id), bound);
                }
                bound.truncate(depth);
            }
            kind => {
                let mut ids = Vec::new();
                kind.children(&mut |id| ids.push(id));
                ids.into_iter().for_each(|id| visit(&self.at(id), bound));
            }
        }
    }

    fn visit(&self, bound: &mut Bound, visit: &mut dyn FnMut(&Expr, &Bound)) {
        deep(|| {
            visit(self, bound);
            self.each_child(bound, &mut |child, bound| child.visit(bound, visit));
        });
    }
}

/// A reference and what follows its static part.
pub(crate) struct Chain {
    pub(crate) reference: Reference,
    /// Keys of indexes that are not constant.
    pub(crate) rest: Vec<Expr>,
    attrs_after_dynamic: bool,
    /// The nodes of all steps, in order; the first `reference.steps.len()` are the static ones.
    pub(crate) links: Vec<Expr>,
}

impl Chain {
    fn new(root: Arc<str>, root_span: Span, mut links: Vec<Expr>) -> Chain {
        links.reverse();
        let mut reference = Reference { root, steps: Vec::new(), span: root_span };
        let mut rest = Vec::new();
        let mut attrs_after_dynamic = false;
        for link in &links {
            match (static_step(link), rest.is_empty()) {
                (Some(step), true) => {
                    reference.steps.push(step);
                    reference.span = reference.span.to(link.span());
                }
                (Some(_), false) => attrs_after_dynamic = true,
                (None, _) => {
                    if let Kind::Index(_, key) = link.kind() {
                        rest.push(link.at(*key));
                    }
                }
            }
        }
        Chain { reference, rest, attrs_after_dynamic, links }
    }

    /// The static part, and the key of the dynamic index that ends it; `None` if more follows that.
    fn into_traversal(self) -> Option<(Reference, Option<Expr>)> {
        if self.rest.len() > 1 || self.attrs_after_dynamic {
            return None;
        }
        Some((self.reference, self.rest.into_iter().next()))
    }
}

fn root_name(kind: &Kind) -> Option<Arc<str>> {
    if let Kind::Root(name) = kind { Some(name.clone()) } else { None }
}

fn static_step(link: &Expr) -> Option<RefStep> {
    match link.kind() {
        Kind::Attr(_, name) => Some(RefStep::Attr(name.clone())),
        Kind::Index(_, key) => match link.at(*key).as_literal()?.kind() {
            ValueKind::String(s) => Some(RefStep::Index(InstanceKey::Str(s.clone()))),
            ValueKind::Number(n) => n.to_u64().map(|n| RefStep::Index(InstanceKey::Int(n))),
            _ => None,
        },
        _ => None,
    }
}

fn embed(tree: &mut Tree, expr: Expr) -> Id {
    let span = expr.span();
    match expr.kind() {
        Kind::Literal(value) => tree.push(Kind::Literal(value.clone()), span),
        _ => tree.push(Kind::Embedded(expr), span),
    }
}

/// Equal meaning by structure; places do not count.
impl PartialEq for Expr {
    fn eq(&self, other: &Expr) -> bool {
        deep(|| match (self.kind(), other.kind()) {
            (Kind::Embedded(inner), _) => inner == other,
            (_, Kind::Embedded(inner)) => self == inner,
            (a, b) => same_head(a, b) && same_children(self, other),
        })
    }
}

fn same_children(a: &Expr, b: &Expr) -> bool {
    let ids = |e: &Expr| {
        let mut ids = Vec::new();
        e.kind().children(&mut |id| ids.push(id));
        ids
    };
    let (left, right) = (ids(a), ids(b));
    left.len() == right.len() && left.into_iter().zip(right).all(|(x, y)| a.at(x) == b.at(y))
}

fn same_head(a: &Kind, b: &Kind) -> bool {
    match (a, b) {
        (Kind::Literal(x), Kind::Literal(y)) => x == y,
        (Kind::Object(_) | Kind::Mapping(_), Kind::Object(_) | Kind::Mapping(_)) => true,
        (Kind::Root(x), Kind::Root(y)) | (Kind::Attr(_, x), Kind::Attr(_, y)) => x == y,
        (Kind::Unary(x, _), Kind::Unary(y, _)) => x == y,
        (Kind::Binary(x, ..), Kind::Binary(y, ..)) => x == y,
        (Kind::Splat { full: x, .. }, Kind::Splat { full: y, .. }) => x == y,
        (Kind::Call(x), Kind::Call(y)) => x.name == y.name && x.expand == y.expand,
        (Kind::For(x), Kind::For(y)) | (Kind::TemplateFor(x), Kind::TemplateFor(y)) => {
            x.key_var == y.key_var
                && x.value_var == y.value_var
                && x.key.is_some() == y.key.is_some()
                && x.condition.is_some() == y.condition.is_some()
                && x.group == y.group
        }
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

pub use crate::parser::{parse_expression, parse_template, parse_traversal};
