//! Type constraints: `list(object({a = optional(string, "x")}))`, and their defaults.

use crate::ast::Kind;
use crate::eval::{NoScope, evaluate};
use crate::expr::Expr;
use groma_types::convert::convert;
use groma_types::{Diagnostic, Diagnostics, NameMap, ObjectType, Span, Type, Value, ValueKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A type and the defaults of its optional attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeConstraint {
    pub ty: Type,
    pub defaults: Defaults,
}

/// Defaults of optional attributes, by their places in the type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    /// Of the attributes of the object itself.
    values: BTreeMap<Arc<str>, Value>,
    /// Inside attributes of an object, or the positions of a tuple.
    attrs: BTreeMap<Arc<str>, Defaults>,
    /// Inside the elements of a collection.
    elements: Option<Box<Defaults>>,
}

impl Defaults {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.attrs.is_empty() && self.elements.is_none()
    }
}

impl TypeConstraint {
    /// Any type at all.
    pub fn any() -> TypeConstraint {
        TypeConstraint::plain(Type::Dynamic)
    }
    /// A type without defaults.
    pub fn plain(ty: Type) -> TypeConstraint {
        TypeConstraint { ty, defaults: Defaults::default() }
    }
}

/// Reads a type constraint. On errors the type is `any`.
pub fn parse_type(expr: &Expr) -> (TypeConstraint, Diagnostics) {
    let mut reader = Reader { diagnostics: Diagnostics::new(), depth: 0 };
    // A type in quotes is the old way to write it, and the way of YAML and JSON.
    if let Some(text) = expr.as_literal().and_then(Value::as_str) {
        let text = crate::text::Text::detached(text, expr.span());
        let (inner, faults) = crate::parser::parse_expression(&text);
        if faults.has_errors() {
            return (TypeConstraint::any(), not_a_type(&faults));
        }
        let constraint = reader.constraint(&inner);
        return (constraint, reader.diagnostics);
    }
    let constraint = reader.constraint(expr);
    (constraint, reader.diagnostics)
}

/// Reads a type constraint from its text.
pub fn parse_type_text(text: &crate::text::Text) -> (TypeConstraint, Diagnostics) {
    let (expr, faults) = crate::parser::parse_expression(text);
    if faults.has_errors() {
        return (TypeConstraint::any(), not_a_type(&faults));
    }
    let mut reader = Reader { diagnostics: Diagnostics::new(), depth: 0 };
    let constraint = reader.constraint(&expr);
    (constraint, reader.diagnostics)
}

/// Faults of the syntax as faults of a type.
fn not_a_type(faults: &Diagnostics) -> Diagnostics {
    let mut all = Diagnostics::new();
    for fault in faults.iter() {
        let mut of_type = Diagnostic::error("G0104", "Invalid type specification")
            .detail(format!("{}: {}", fault.summary, fault.detail))
            .help(
                "the types are: any, bool, number, string, list(T), set(T), map(T), object({…}), tuple([…])",
            );
        if let Some(label) = fault.labels.first() {
            of_type = of_type.at(label.span, "not a type");
        }
        all.push(of_type);
    }
    all
}

struct Reader {
    diagnostics: Diagnostics,
    /// How many types the present one is inside of.
    depth: usize,
}

impl Reader {
    fn bad(&mut self, span: Span, detail: impl Into<String>, help: &str) -> TypeConstraint {
        self.diagnostics.push(
            Diagnostic::error("G0104", "Invalid type specification")
                .detail(detail)
                .help(help)
                .at(span, "not a type"),
        );
        TypeConstraint::any()
    }

    fn constraint(&mut self, expr: &Expr) -> TypeConstraint {
        match expr.kind() {
            Kind::Root(name) => self.keyword(name, expr.span()),
            Kind::Call(call) => {
                self.depth += 1;
                let args: Vec<Expr> = call.args.iter().map(|id| expr.at(*id)).collect();
                let made = self.call(expr, &call.name, &args);
                self.depth -= 1;
                made
            }
            Kind::Embedded(inner) => self.constraint(inner),
            _ => self.bad(
                expr.span(),
                "A type is a keyword such as string, or a call such as list(string).",
                "the types are: any, bool, number, string, list(T), set(T), map(T), object({…}), tuple([…])",
            ),
        }
    }

    fn keyword(&mut self, name: &str, span: Span) -> TypeConstraint {
        let any = || Type::Dynamic;
        TypeConstraint::plain(match name {
            "bool" => Type::Bool,
            "string" => Type::String,
            "number" => Type::Number,
            "any" => any(),
            // Old short forms, for a whole type alone.
            "list" if self.depth == 0 => Type::list(any()),
            "map" if self.depth == 0 => Type::map(any()),
            "list" | "map" => {
                return self.bad(
                    span,
                    format!("The {name} type constructor requires one argument specifying the element type."),
                    "write for example list(string), or list(any)",
                );
            }
            "set" => {
                return self.bad(
                    span,
                    "The set type constructor requires one argument specifying the element type.",
                    "write set(string), or set(any)",
                );
            }
            "object" => {
                return self.bad(span, "The object type constructor requires one argument specifying the attribute types and values as a map.", "write object({name = string})");
            }
            "tuple" => {
                return self.bad(span, "The tuple type constructor requires one argument specifying the element types as a list.", "write tuple([string, number])");
            }
            _ => {
                let near = groma_types::diagnostic::nearest(
                    name,
                    ["bool", "string", "number", "any", "list", "map", "set", "object", "tuple"],
                );
                let help = near.map_or("the types are: any, bool, number, string, list(T), set(T), map(T), object({…}), tuple([…])".to_string(), |n| format!("did you mean `{n}`?"));
                return self.bad(
                    span,
                    format!("The keyword {name:?} is not a valid type specification."),
                    &help,
                );
            }
        })
    }

    fn call(&mut self, expr: &Expr, name: &str, args: &[Expr]) -> TypeConstraint {
        let span = expr.span();
        let [arg] = args else {
            return self.bad(
                span,
                format!("The {name} type constructor requires one argument."),
                "write for example list(string)",
            );
        };
        match name {
            "list" | "set" | "map" => {
                let inner = self.constraint(arg);
                let elements = (!inner.defaults.is_empty()).then(|| Box::new(inner.defaults));
                let ty = match name {
                    "list" => Type::list(inner.ty),
                    "set" => Type::set(inner.ty),
                    _ => Type::map(inner.ty),
                };
                TypeConstraint { ty, defaults: Defaults { elements, ..Defaults::default() } }
            }
            "object" => self.object(arg),
            "tuple" => self.tuple(arg),
            "optional" => self.bad(
                span,
                "Keyword \"optional\" is valid only as a modifier for object type attributes.",
                "use it inside object({…})",
            ),
            _ => self.bad(
                span,
                format!("The keyword {name:?} is not a valid type constructor."),
                "the constructors are list, set, map, object and tuple",
            ),
        }
    }

    fn tuple(&mut self, arg: &Expr) -> TypeConstraint {
        let Kind::Tuple(ids) = arg.kind() else {
            return self.bad(
                arg.span(),
                "Tuple type constructor requires a list of element types.",
                "write tuple([string, number])",
            );
        };
        let inner: Vec<TypeConstraint> = ids.iter().map(|id| self.constraint(&arg.at(*id))).collect();
        let mut defaults = Defaults::default();
        for (i, c) in inner.iter().enumerate().filter(|(_, c)| !c.defaults.is_empty()) {
            defaults.attrs.insert(i.to_string().into(), c.defaults.clone());
        }
        TypeConstraint { ty: Type::tuple(inner.into_iter().map(|c| c.ty)), defaults }
    }

    fn object(&mut self, arg: &Expr) -> TypeConstraint {
        let (Kind::Object(entries) | Kind::Mapping(entries)) = arg.kind() else {
            return self.bad(
                arg.span(),
                "Object type constructor requires a map whose keys are attribute names.",
                "write object({name = string})",
            );
        };
        let mut attrs: BTreeMap<Arc<str>, Type> = BTreeMap::new();
        let mut optional = BTreeSet::new();
        let mut defaults = Defaults::default();
        for (key, value) in entries {
            let key = arg.at(*key);
            let Some(name) = key.as_literal().and_then(Value::as_str) else {
                self.bad(
                    key.span(),
                    "Object constructor map keys must be attribute names.",
                    "write the name of the attribute",
                );
                continue;
            };
            if key.span().end - key.span().start == u32::try_from(name.len() + 2).unwrap_or(0) {
                self.bad(
                    key.span(),
                    "Object constructor map keys must be attribute names.",
                    "write the name without quotes",
                );
                continue;
            }
            if attrs.contains_key(name) {
                self.bad(
                    key.span(),
                    "Object constructor map keys must be unique.",
                    "give the attribute one type",
                );
                continue;
            }
            let name: Arc<str> = name.into();
            let inner = self.attribute(&arg.at(*value), &name, &mut optional, &mut defaults);
            if !inner.defaults.is_empty() {
                defaults.attrs.insert(name.clone(), inner.defaults);
            }
            attrs.insert(name, inner.ty);
        }
        let object = ObjectType { attrs: attrs.into_iter().collect(), optional };
        TypeConstraint { ty: Type::Object(Arc::new(object)), defaults }
    }

    fn attribute(
        &mut self,
        expr: &Expr,
        name: &Arc<str>,
        optional: &mut BTreeSet<Arc<str>>,
        defaults: &mut Defaults,
    ) -> TypeConstraint {
        let Kind::Call(call) = expr.kind() else { return self.constraint(expr) };
        if &*call.name != "optional" {
            return self.constraint(expr);
        }
        let args: Vec<Expr> = call.args.iter().map(|id| expr.at(*id)).collect();
        let (ty, default) = match args.as_slice() {
            [ty] => (ty, None),
            [ty, default] => (ty, Some(default)),
            _ => {
                return self.bad(
                    expr.span(),
                    "Optional attribute modifier expects one or two arguments: the type and a default.",
                    "write optional(string) or optional(string, \"x\")",
                );
            }
        };
        let inner = self.constraint(ty);
        optional.insert(name.clone());
        if let Some(default) = default
            && let Some(value) = self.default(default, &inner)
        {
            defaults.values.insert(name.clone(), value);
        }
        inner
    }

    fn default(&mut self, expr: &Expr, inner: &TypeConstraint) -> Option<Value> {
        if expr.calls_any() {
            self.diagnostics.push(
                Diagnostic::error("G0104", "Function calls not allowed")
                    .detail("Functions may not be called here.")
                    .at(expr.span(), "a constant is required"),
            );
            return None;
        }
        let (value, faults) = evaluate(expr, &NoScope);
        if faults.has_errors() {
            self.diagnostics.extend(faults);
            return None;
        }
        let with_defaults = fill(&inner.defaults, &inner.ty, &value);
        match convert(&with_defaults, &inner.ty) {
            Ok(_) => Some(value),
            Err(why) => {
                self.diagnostics.push(
                    Diagnostic::error("G0104", "Invalid default value for optional attribute")
                        .detail(format!("This default value is not compatible with the attribute's type constraint: {why}."))
                        .at(expr.span(), "does not convert"),
                );
                None
            }
        }
    }
}

/// Fills in the defaults of optional attributes that are absent or null; convert the result afterwards.
pub fn apply_defaults(constraint: &TypeConstraint, value: Value) -> Value {
    if constraint.defaults.is_empty() {
        return value;
    }
    fill(&constraint.defaults, &constraint.ty, &value)
}

fn fill(defaults: &Defaults, ty: &Type, value: &Value) -> Value {
    if defaults.is_empty() || value.is_null() || value.is_unknown() {
        return value.clone();
    }
    let marks = value.marks();
    let filled = match (ty, value.kind()) {
        (Type::List(e) | Type::Set(e), ValueKind::List(..) | ValueKind::Set(..) | ValueKind::Tuple(_)) => {
            let Some(inner) = &defaults.elements else { return value.clone() };
            // A tuple takes elements of any type; the conversion makes it the collection that is wanted.
            Value::tuple(value.as_seq().unwrap_or_default().iter().map(|v| fill(inner, e, v)).collect())
        }
        (Type::Map(e), ValueKind::Map(_, attrs) | ValueKind::Object(attrs)) => {
            let Some(inner) = &defaults.elements else { return value.clone() };
            Value::object(attrs.iter().map(|(k, v)| (k.clone(), fill(inner, e, v))))
        }
        (Type::Tuple(es), ValueKind::Tuple(_) | ValueKind::List(..)) => {
            let none = Defaults::default();
            let items = value.as_seq().unwrap_or_default().iter().enumerate();
            Value::tuple(
                items
                    .map(|(i, v)| {
                        let inner = defaults.attrs.get(i.to_string().as_str()).unwrap_or(&none);
                        es.get(i).map_or_else(|| v.clone(), |e| fill(inner, e, v))
                    })
                    .collect(),
            )
        }
        (Type::Object(o), ValueKind::Map(_, attrs) | ValueKind::Object(attrs)) => {
            fill_object(defaults, o, attrs)
        }
        _ => return value.clone(),
    };
    filled.mark(marks)
}

fn fill_object(defaults: &Defaults, object: &ObjectType, attrs: &NameMap<Value>) -> Value {
    let none = Defaults::default();
    let mut out: BTreeMap<&Arc<str>, Value> = attrs.iter().map(|(k, v)| (k, v.clone())).collect();
    for (name, ty) in &object.attrs {
        let given = attrs.get(name).filter(|v| !v.is_null());
        let Some(base) = given.or_else(|| defaults.values.get(name)) else { continue };
        out.insert(name, fill(defaults.attrs.get(name).unwrap_or(&none), ty, base));
    }
    Value::object(out.into_iter().map(|(k, v)| (k.clone(), v)))
}
