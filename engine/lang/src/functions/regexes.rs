//! Regular expressions: RE2 as Go has it, on the `regex` crate.

mod translate;

use self::translate::translate;
use super::{FunctionError, Outcome, bad_arg, fail, text};
use crate::eval::FunctionHost;
use crate::unknown::Heritage;
use groma_types::{Type, Value};
use regex::{Captures, Regex};

/// A compiled pattern with the names of its groups.
pub(super) struct Compiled {
    pub(super) regex: Regex,
    names: Vec<Option<String>>,
}

/// Compiles a pattern that is the argument at `index`.
pub(super) fn compile(pattern: &str, index: usize) -> Result<Compiled, FunctionError> {
    let bad = |why: &str| bad_arg(index, format!("invalid regexp pattern: {why}"));
    let translated = match translate(pattern) {
        Ok(translated) => translated,
        Err(why) => return bad(&why),
    };
    match Regex::new(&translated.pattern) {
        Ok(regex) => Ok(Compiled { regex, names: translated.names }),
        Err(error) => {
            let text = error.to_string();
            bad(text.lines().last().unwrap_or_default().trim_start_matches("error: "))
        }
    }
}

/// What a match gives: the text, a tuple of groups, or an object of named groups.
enum Shape {
    Text,
    Tuple(usize),
    Object(Vec<(String, usize)>),
}

fn shape(compiled: &Compiled) -> Result<Shape, FunctionError> {
    let named = |(i, name): (usize, &Option<String>)| name.clone().map(|name| (name, i + 1));
    let names: Vec<(String, usize)> = compiled.names.iter().enumerate().filter_map(named).collect();
    match (compiled.names.len(), names.len()) {
        (0, _) => Ok(Shape::Text),
        (n, 0) => Ok(Shape::Tuple(n)),
        (n, named) if n == named => Ok(Shape::Object(names)),
        _ => bad_arg(0, "invalid regexp pattern: cannot mix both named and unnamed capture groups"),
    }
}

impl Shape {
    fn ty(&self) -> Type {
        match self {
            Shape::Text => Type::String,
            Shape::Tuple(n) => Type::tuple(vec![Type::String; *n]),
            Shape::Object(names) => Type::object(names.iter().map(|(n, _)| (n.as_str(), Type::String))),
        }
    }

    /// Of groups with one name the last is taken.
    fn value(&self, found: &Captures<'_>) -> Value {
        let group = |i| found.get(i).map_or(Value::null(Type::String), |m| m.as_str().into());
        match self {
            Shape::Text => group(0),
            Shape::Tuple(n) => Value::tuple((1..=*n).map(group).collect()),
            Shape::Object(names) => Value::object(names.iter().map(|(n, i)| (n.as_str(), group(*i)))),
        }
    }
}

/// What a pattern gives, also of a text that is not known yet; nothing if the pattern itself is not known.
fn prepared(args: &[Value]) -> Result<Option<(Regex, Shape)>, FunctionError> {
    if args[0].is_unknown() {
        return Ok(None);
    }
    let compiled = compile(text(args, 0), 0)?;
    let shape = shape(&compiled)?;
    Ok(Some((compiled.regex, shape)))
}

pub(super) fn regex(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let Some((regex, shape)) = prepared(args)? else { return Ok(heritage.maybe_null(Type::Dynamic)) };
    let Some(text) = args[1].as_str() else { return Ok(heritage.unknown(shape.ty())) };
    match regex.captures(text) {
        Some(found) => Ok(heritage.known(shape.value(&found))),
        None => fail("pattern did not match any part of the given string"),
    }
}

pub(super) fn regexall(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let Some((regex, shape)) = prepared(args)? else {
        return Ok(heritage.unknown(Type::list(Type::Dynamic)));
    };
    let ty = shape.ty();
    let Some(text) = args[1].as_str() else { return Ok(heritage.unknown(Type::list(ty))) };
    let found = regex.captures_iter(text).map(|c| shape.value(&c)).collect();
    Ok(heritage.known(Value::list(ty, found)))
}
