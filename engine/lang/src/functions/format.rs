//! `format` and `formatlist`: the verbs of printf as Go has them.

use super::{FunctionError, Outcome, bad_arg, fail};
use crate::eval::FunctionHost;
use crate::unknown::Heritage;
use groma_types::convert::convert;
use groma_types::{Number, Refinements, Type, Unknown, Value, ValueKind};
use unicode_segmentation::UnicodeSegmentation;

/// Widest field and highest precision that make sense.
const WIDTH_MAX: usize = 10_000;

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
    verb: char,
}

/// One piece of a format text.
enum Piece<'a> {
    Literal(&'a str),
    /// A verb and the position of its argument.
    Verb(Spec, usize),
}

fn pieces(format: &str) -> Result<Vec<Piece<'_>>, FunctionError> {
    let mut out = Vec::new();
    let mut rest = format;
    let mut next_arg = 0;
    loop {
        let Some(at) = rest.find('%') else {
            out.push(Piece::Literal(rest));
            return Ok(out);
        };
        out.push(Piece::Literal(&rest[..at]));
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push(Piece::Literal("%"));
            rest = after;
            continue;
        }
        let (spec, index, after) = spec(rest)?;
        let arg = index.unwrap_or(next_arg);
        next_arg = arg + 1;
        out.push(Piece::Verb(spec, arg));
        rest = after;
    }
}

fn spec(mut rest: &str) -> Result<(Spec, Option<usize>, &str), FunctionError> {
    let mut spec = Spec::default();
    while let Some(c) = rest.chars().next() {
        match c {
            '-' => spec.minus = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            '0' => spec.zero = true,
            '#' => spec.sharp = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    let digits = |rest: &str| rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = |text: &str| match text.parse::<usize>() {
        Ok(n) if n <= WIDTH_MAX => Ok(n),
        Err(_) if text.is_empty() => Ok(0),
        _ => fail("a width or precision in the format string is too large"),
    };
    let len = digits(rest);
    spec.width = number(&rest[..len])?;
    rest = &rest[len..];
    if let Some(after) = rest.strip_prefix('.') {
        let len = digits(after);
        spec.precision = Some(number(&after[..len])?);
        rest = &after[len..];
    }
    let mut index = None;
    if let Some(after) = rest.strip_prefix('[') {
        let end = after.find(']').unwrap_or(0);
        match after[..end].parse::<usize>() {
            Ok(n) if n > 0 => index = Some(n - 1),
            _ => return fail("an argument index in the format string is malformed"),
        }
        rest = &after[end + 1..];
    }
    let Some(verb) = rest.chars().next() else { return fail("the format string ends within a verb") };
    if !"vtbdoxXeEfFgGsq".contains(verb) {
        return fail(format!("unsupported format verb {verb:?} in the format string"));
    }
    spec.verb = verb;
    Ok((spec, index, &rest[verb.len_utf8()..]))
}

/// Formats known, bare arguments after the format text.
fn formatted(format: &str, args: &[Value]) -> Result<String, FunctionError> {
    let mut out = String::new();
    let mut used = 0;
    let mut indexed = false;
    let pieces = pieces(format)?;
    for piece in &pieces {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Verb(spec, at) => {
                let Some(arg) = args.get(*at) else {
                    return fail(format!(
                        "not enough arguments for \"%{}\": argument {} is missing",
                        spec.verb,
                        at + 1
                    ));
                };
                indexed |= *at != used;
                used = used.max(at + 1);
                out.push_str(&verb(spec, arg)?);
            }
        }
    }
    if used < args.len() && !indexed {
        let why = if used == 0 {
            "no verbs in format string".into()
        } else {
            format!("only {used} used by format string")
        };
        return bad_arg(used + 1, format!("too many arguments; {why}"));
    }
    Ok(out)
}

fn verb(spec: &Spec, arg: &Value) -> Result<String, FunctionError> {
    let unsupported = |why: &str| fail(format!("unsupported value for \"%{}\": {why}", spec.verb));
    if spec.verb == 'v' {
        let text = match (spec.sharp, arg.as_str()) {
            (false, Some(s)) => s.to_string(),
            _ => json(arg),
        };
        return Ok(pad(spec, text));
    }
    if arg.is_null() {
        return unsupported("null value cannot be formatted");
    }
    match spec.verb {
        's' | 'q' => match convert(arg, &Type::String).ok().as_ref().and_then(Value::as_str) {
            Some(s) => {
                let cut: String = match spec.precision {
                    Some(n) => s.graphemes(true).take(n).collect(),
                    None => s.into(),
                };
                Ok(pad(spec, if spec.verb == 'q' { json(&Value::string(cut)) } else { cut }))
            }
            None => unsupported("string required"),
        },
        't' => match convert(arg, &Type::Bool).ok().and_then(|v| v.as_bool()) {
            // A width does not count here.
            Some(b) => Ok(b.to_string()),
            None => unsupported("bool required"),
        },
        _ => match convert(arg, &Type::Number).ok().as_ref().and_then(Value::as_number) {
            Some(n) => number(spec, n),
            None => unsupported("number required"),
        },
    }
}

fn json(value: &Value) -> String {
    let mut out = String::new();
    super::json::write_json(&mut out, value);
    out
}

fn pad(spec: &Spec, text: String) -> String {
    let width = text.graphemes(true).count();
    if width >= spec.width {
        return text;
    }
    let filler = if spec.zero && !spec.minus { "0" } else { " " }.repeat(spec.width - width);
    if spec.minus { text + &filler } else { filler + &text }
}

fn number(spec: &Spec, n: &Number) -> Result<String, FunctionError> {
    let magnitude = if n.is_negative() { n.neg() } else { n.clone() };
    let digits = match spec.verb {
        'd' | 'b' | 'o' | 'x' | 'X' => {
            if !n.is_integer() {
                return fail(format!("unsupported value for \"%{}\": an integer is required", spec.verb));
            }
            integer(spec, &magnitude)?
        }
        _ => float(spec, magnitude.to_f64(), &magnitude),
    };
    let sign = match (n.is_negative(), spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    let used = sign.len() + digits.len();
    if spec.zero && !spec.minus && used < spec.width {
        return Ok(format!("{sign}{}{digits}", "0".repeat(spec.width - used)));
    }
    Ok(pad(
        &Spec { zero: false, minus: spec.minus, width: spec.width, ..Spec::default() },
        format!("{sign}{digits}"),
    ))
}

fn integer(spec: &Spec, n: &Number) -> Result<String, FunctionError> {
    if spec.verb == 'd' {
        return Ok(n.to_string());
    }
    let Some(value) = n.to_string().parse::<u128>().ok() else {
        return fail("the number is too large for this verb");
    };
    let sharp = |prefix: &str| if spec.sharp { prefix.to_string() } else { String::new() };
    Ok(match spec.verb {
        'b' => format!("{}{value:b}", sharp("0b")),
        'o' => format!("{}{value:o}", sharp("0")),
        'x' => format!("{}{value:x}", sharp("0x")),
        _ => format!("{}{value:X}", sharp("0X")),
    })
}

fn float(spec: &Spec, value: f64, exact: &Number) -> String {
    match spec.verb {
        'f' | 'F' => fixed(exact, spec.precision.unwrap_or(6)),
        'e' => exponent(&format!("{value:.*e}", spec.precision.unwrap_or(6))),
        'E' => exponent(&format!("{value:.*e}", spec.precision.unwrap_or(6))).to_uppercase(),
        'G' => general(value, spec.precision).to_uppercase(),
        _ => general(value, spec.precision),
    }
}

/// Fixed decimals, rounded half to even on the exact decimal text.
fn fixed(n: &Number, places: usize) -> String {
    let text = n.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if fraction.len() <= places {
        let dot = if places == 0 { "" } else { "." };
        return format!("{whole}{dot}{fraction:0<places$}");
    }
    let mut digits: Vec<u8> = whole.bytes().chain(fraction[..places].bytes()).collect();
    let (next, beyond) = (fraction.as_bytes()[places], &fraction[places + 1..]);
    let odd = digits.last().is_some_and(|d| (d - b'0') % 2 == 1);
    if next > b'5' || (next == b'5' && (odd || beyond.bytes().any(|b| b != b'0'))) {
        let mut at = digits.len();
        loop {
            if at == 0 {
                digits.insert(0, b'1');
                break;
            }
            at -= 1;
            if digits[at] == b'9' {
                digits[at] = b'0';
            } else {
                digits[at] += 1;
                break;
            }
        }
    }
    let all: String = digits.iter().map(|d| char::from(*d)).collect();
    let (whole, fraction) = all.split_at(all.len() - places);
    if places == 0 { whole.into() } else { format!("{whole}.{fraction}") }
}

/// Go writes at least two digits of exponent, with a sign.
fn exponent(text: &str) -> String {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match power.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', power),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// The shorter of the two forms: with an exponent below 1e-4 and from 1e21 (or the precision) on.
fn general(value: f64, precision: Option<usize>) -> String {
    let scientific = match precision {
        Some(p) => format!("{value:.*e}", p.max(1) - 1),
        None => format!("{value:e}"),
    };
    let power: i32 = scientific.split_once('e').and_then(|(_, p)| p.parse().ok()).unwrap_or(0);
    let limit = precision.map_or(21, |p| i32::try_from(p.max(1)).unwrap_or(i32::MAX));
    let trimmed = |s: &str| {
        if precision.is_some() && s.contains('.') {
            s.trim_end_matches('0').trim_end_matches('.').into()
        } else {
            s.to_string()
        }
    };
    if power < -4 || power >= limit {
        let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        return exponent(&format!("{}e{power}", trimmed(mantissa)));
    }
    match precision {
        Some(p) => {
            let places =
                usize::try_from(i32::try_from(p.max(1)).unwrap_or(i32::MAX) - 1 - power).unwrap_or(0);
            trimmed(&format!("{value:.places$}"))
        }
        None => format!("{value}"),
    }
}

/// Formats one row of arguments: known as far as the first verb whose argument is not.
fn row(format: &str, args: &[Value], heritage: &Heritage) -> Outcome {
    if args.iter().all(Value::is_wholly_known) {
        let bare: Vec<Value> = args.iter().map(|v| v.unmark_deep().0).collect();
        return Ok(heritage.known(formatted(format, &bare)?));
    }
    let mut prefix = String::new();
    // Whether the format is right is told when all is known.
    let Ok(pieces) = pieces(format) else { return Ok(heritage.prefixed(&prefix)) };
    for piece in pieces {
        match piece {
            Piece::Literal(text) => prefix.push_str(text),
            Piece::Verb(spec, at) => match args.get(at) {
                None => return fail(format!("not enough arguments for \"%{}\"", spec.verb)),
                Some(arg) if arg.is_wholly_known() => prefix.push_str(&verb(&spec, &arg.unmark_deep().0)?),
                Some(arg) => {
                    let inner = arg.as_unknown().and_then(|u| u.refine.prefix.clone());
                    if spec.verb == 's' && spec.width == 0 && spec.precision.is_none() {
                        prefix.push_str(inner.as_deref().unwrap_or_default());
                    }
                    break;
                }
            },
        }
    }
    Ok(heritage.prefixed(&prefix))
}

/// A null without a type makes Terraform's result unknown for ever, which it stores as null.
fn has_bare_null(args: &[Value]) -> bool {
    args[1..].iter().any(|v| matches!(v.kind(), ValueKind::Null(Type::Dynamic)))
}

pub(super) fn format(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::deep(args);
    if has_bare_null(args) {
        return Ok(heritage.known(Value::NULL));
    }
    match args[0].as_str() {
        Some(format) => row(format, &args[1..], &heritage).map(|made| opened(made, args)),
        None => Ok(opened(heritage.unknown(Type::String), args)),
    }
}

/// What is not known and has no type may turn out to be such a null.
fn opened(made: Value, args: &[Value]) -> Value {
    let open = |v: &Value| v.as_unknown().is_some_and(|u| u.ty == Type::Dynamic);
    match made.kind() {
        ValueKind::Unknown(u) if args[1..].iter().any(open) => {
            let refine = Refinements { not_null: false, ..u.refine.clone() };
            Value::from(Unknown { refine, ..(**u).clone() }).mark(made.marks())
        }
        _ => made,
    }
}

pub(super) fn formatlist(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::deep(args);
    if has_bare_null(args) {
        return Ok(heritage.known(Value::NULL));
    }
    let list = Type::list(Type::String);
    let Some(format) = args[0].as_str() else { return Ok(opened(heritage.unknown(list), args)) };
    let mut length: Option<usize> = None;
    for (i, arg) in args.iter().enumerate().skip(1) {
        let sequence = matches!(arg.ty(), Type::List(_) | Type::Set(_) | Type::Tuple(_));
        if matches!(arg.ty(), Type::Set(_)) && !arg.is_wholly_known() {
            return Ok(heritage.unknown(list));
        }
        match arg.as_seq() {
            Some(items) => match length {
                Some(n) if n != items.len() => {
                    let count = items.len();
                    return bad_arg(
                        i,
                        format!(
                            "argument {i} has length {count}, which is inconsistent with the other arguments of length {n}"
                        ),
                    );
                }
                _ => length = Some(items.len()),
            },
            None if arg.is_unknown() && (sequence || arg.ty() == Type::Dynamic) => {
                return Ok(opened(heritage.unknown(list), args));
            }
            None => {}
        }
    }
    let count = length.unwrap_or(1);
    let rows = (0..count).map(|n| {
        let values: Vec<Value> = args[1..]
            .iter()
            .map(|a| a.as_seq().map_or_else(|| a.clone(), |items| items[n].clone()))
            .collect();
        row(format, &values, &Heritage::deep(&values))
            .or_else(|error| fail(format!("error on format iteration {n}: {}", error.message)))
    });
    Ok(Heritage::shallow(args).known(Value::list(Type::String, rows.collect::<Result<_, _>>()?)))
}
