//! Regular expressions: RE2 as Go has it, on the `regex` crate.

use super::{FunctionError, Outcome, bad_arg, fail, text};
use crate::eval::FunctionHost;
use crate::unknown::Heritage;
use groma_types::{Type, Value};
use regex::{Captures, Regex};

/// Times that a repetition may count to.
const REPEAT_MAX: u32 = 1000;

/// Compiles a pattern that is the argument at `index`.
pub(super) fn compile(pattern: &str, index: usize) -> Result<Regex, FunctionError> {
    if let Some(why) = bad_repetition(pattern) {
        return bad_arg(index, format!("invalid regexp pattern: {why}"));
    }
    Regex::new(&translate(pattern)).or_else(|e| {
        let text = e.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
        bad_arg(index, format!("invalid regexp pattern: {why}"))
    })
}

/// Rewrites what Go reads otherwise than the crate: `\d`, `\w`, `\s`, `\b` are of ASCII, a bracket inside a
/// class and a brace without counts are literal, `\Q…\E` quotes.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut in_class = false;
    let mut at = 0;
    while let Some(c) = pattern[at..].chars().next() {
        let rest = &pattern[at..];
        let (written, len) = match c {
            '\\' => escape(rest, in_class),
            '[' if in_class && !rest.starts_with("[:") => (r"\[".to_string(), 1),
            '[' if in_class => {
                let len = rest.find(":]").map_or(1, |n| n + 2);
                (rest[..len].to_string(), len)
            }
            '[' => {
                in_class = true;
                // A bracket right at the start of a class is one of its members.
                let negated = rest.starts_with("[^");
                let start = 1 + usize::from(negated);
                let member = rest[start..].starts_with(']');
                let text = format!("[{}{}", if negated { "^" } else { "" }, if member { r"\]" } else { "" });
                (text, start + usize::from(member))
            }
            ']' => {
                in_class = false;
                ("]".to_string(), 1)
            }
            '&' | '~' if in_class => (format!("\\{c}"), 1),
            '{' if !in_class && !is_count(rest) => (r"\{".to_string(), 1),
            c => (c.to_string(), c.len_utf8()),
        };
        out.push_str(&written);
        at += len;
    }
    out
}

/// Repetitions of repetitions, and of more than a thousand times, are refused.
fn bad_repetition(pattern: &str) -> Option<String> {
    let (mut at, mut in_class, mut repeated) = (0, false, false);
    while let Some(c) = pattern[at..].chars().next() {
        let rest = &pattern[at..];
        let count = c == '{' && !in_class && is_count(rest);
        let len = match c {
            '\\' => escape(rest, in_class).1,
            '{' if count => rest.find('}').map_or(1, |end| end + 1),
            _ => c.len_utf8(),
        };
        let repeats = !in_class && (count || matches!(c, '*' | '+' | '?'));
        if repeats && repeated {
            return Some(format!("invalid nested repetition operator `{}`", &rest[..len]));
        }
        let many = |n: &str| n.parse::<u32>().is_ok_and(|n| n > REPEAT_MAX);
        if count && rest[1..len - 1].split(',').any(many) {
            return Some(format!("invalid repeat count `{}`", &rest[..len]));
        }
        in_class = if in_class { c != ']' } else { c == '[' };
        // A question mark after a repetition makes it lazy.
        let lazy = repeats && pattern[at + len..].starts_with('?');
        at += len + usize::from(lazy);
        repeated = repeats;
    }
    None
}

fn is_count(rest: &str) -> bool {
    rest.find('}').is_some_and(|end| {
        let (low, high) = rest[1..end].split_once(',').unwrap_or((&rest[1..end], ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        !low.is_empty() && digits(low) && digits(high)
    })
}

fn escape(rest: &str, in_class: bool) -> (String, usize) {
    if let Some(quoted) = rest.strip_prefix(r"\Q") {
        let len = quoted.find(r"\E").unwrap_or(quoted.len());
        return (regex::escape(&quoted[..len]), (len + 4).min(rest.len()));
    }
    let Some(c) = rest[1..].chars().next() else { return ("\\".into(), 1) };
    // `\p{Greek}`, `\x{10FFFF}`: the braces belong to the escape.
    if "pPx".contains(c) && rest[2..].starts_with('{') {
        let len = rest.find('}').map_or(rest.len(), |end| end + 1);
        return (rest[..len].to_string(), len);
    }
    let set = match c.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => r"\t\n\f\r ",
        'b' if !in_class => return (format!(r"(?-u:\{c})"), 2),
        _ => return (format!("\\{c}"), 1 + c.len_utf8()),
    };
    let text = match (in_class, c.is_ascii_uppercase()) {
        (true, false) => set.to_string(),
        (_, true) => format!("[^{set}]"),
        (false, false) => format!("[{set}]"),
    };
    (text, 2)
}

/// What a match gives: the text, a tuple of groups, or an object of named groups.
enum Shape {
    Text,
    Tuple(usize),
    Object(Vec<String>),
}

fn shape(regex: &Regex) -> Result<Shape, FunctionError> {
    let groups = regex.captures_len() - 1;
    let names: Vec<String> = regex.capture_names().flatten().map(String::from).collect();
    match (groups, names.len()) {
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
            Shape::Object(names) => Type::object(names.iter().map(|n| (n.as_str(), Type::String))),
        }
    }

    fn value(&self, found: &Captures<'_>) -> Value {
        let group = |m: Option<regex::Match<'_>>| m.map_or(Value::null(Type::String), |m| m.as_str().into());
        match self {
            Shape::Text => group(found.get(0)),
            Shape::Tuple(n) => Value::tuple((1..=*n).map(|i| group(found.get(i))).collect()),
            Shape::Object(names) => Value::object(names.iter().map(|n| (n.as_str(), group(found.name(n))))),
        }
    }
}

/// What a pattern gives, also of a text that is not known yet; the text itself, if it is.
fn prepared(args: &[Value]) -> Result<Option<(Regex, Shape)>, FunctionError> {
    if args[0].is_unknown() {
        return Ok(None);
    }
    let regex = compile(text(args, 0), 0)?;
    let shape = shape(&regex)?;
    Ok(Some((regex, shape)))
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
