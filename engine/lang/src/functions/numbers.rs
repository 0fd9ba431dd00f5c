//! Functions of numbers.

use super::logarithms::{exp, ln};
use super::{FunctionError, Outcome, bad_arg, fail, items, text, whole};
use crate::eval::FunctionHost;
use crate::unknown::Heritage;
use groma_types::convert::convert;
use groma_types::{Number, Type, Value};

/// The largest list that `range` makes.
const RANGE_MAX: usize = 1024;
/// Digits of a text that becomes a number.
const DIGITS_MAX: usize = 100_000;

fn number(args: &[Value], index: usize) -> Number {
    args.get(index).and_then(Value::as_number).cloned().unwrap_or(Number::ZERO)
}

/// The float at an argument, where it is within the range of floats.
fn as_float(args: &[Value], index: usize) -> Result<f64, FunctionError> {
    let value = number(args, index);
    let float = value.to_f64();
    if float.is_infinite() && !value.is_infinite() {
        return fail(format!("value must be between {:.0} and {:.0} inclusive", f64::MIN, f64::MAX));
    }
    Ok(float)
}

fn float(value: f64) -> Outcome {
    match Number::exactly(value) {
        Some(n) => Ok(Value::number(n)),
        None if value.is_nan() => fail("the result is not a number"),
        None => Ok(Value::number(Number::infinity(value < 0.0))),
    }
}

pub(super) fn abs(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let n = number(args, 0);
    Ok(Value::number(if n.is_negative() { n.neg() } else { n }))
}

pub(super) fn ceil(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(Value::number(number(args, 0).ceil()))
}

pub(super) fn floor(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(Value::number(number(args, 0).floor()))
}

pub(super) fn log(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    float(ln(as_float(args, 0)?) / ln(as_float(args, 1)?))
}

pub(super) fn pow(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    float(power(as_float(args, 0)?, as_float(args, 1)?))
}

/// A power by repeated squaring, as Terraform makes it: the last digits show it.
fn power(base: f64, exponent: f64) -> f64 {
    let simple = exponent == 0.0 || base == 0.0 || base == 1.0 || !base.is_finite();
    if exponent.abs() == 0.5 && base > 0.0 {
        return if exponent > 0.0 { base.sqrt() } else { 1.0 / base.sqrt() };
    }
    if simple || exponent.abs() >= 9e18 || (base < 0.0 && exponent.fract() != 0.0) {
        return base.powf(exponent);
    }
    let (mut whole, mut fraction) = (exponent.abs().trunc(), exponent.abs().fract());
    let mut made = 1.0;
    if fraction != 0.0 {
        if fraction > 0.5 {
            fraction -= 1.0;
            whole += 1.0;
        }
        made = exp(fraction * ln(base));
    }
    let mut made_exponent = 0i64;
    let (mut square, mut square_exponent) = split(base);
    let mut rest = whole as i64;
    while rest != 0 {
        if square_exponent.abs() > 1 << 12 {
            made_exponent += square_exponent;
            break;
        }
        if rest & 1 == 1 {
            made *= square;
            made_exponent += square_exponent;
        }
        square *= square;
        square_exponent *= 2;
        if square < 0.5 {
            square += square;
            square_exponent -= 1;
        }
        rest >>= 1;
    }
    if exponent < 0.0 {
        made = 1.0 / made;
        made_exponent = -made_exponent;
    }
    // Two steps, so that neither scale is out of range before the product is.
    let half = i32::try_from(made_exponent.clamp(-4000, 4000) / 2).unwrap_or(0);
    let other = i32::try_from(made_exponent.clamp(-4000, 4000)).unwrap_or(0) - half;
    made * 2f64.powi(half) * 2f64.powi(other)
}

/// A number as a fraction from a half to one, and a power of two.
fn split(value: f64) -> (f64, i64) {
    let (mut fraction, mut exponent) = (value, 0);
    while fraction.abs() >= 1.0 {
        fraction /= 2.0;
        exponent += 1;
    }
    while fraction.abs() < 0.5 {
        fraction *= 2.0;
        exponent -= 1;
    }
    (fraction, exponent)
}

pub(super) fn signum(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(Value::number(whole(args, 0)?.signum()))
}

pub(super) fn max(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    match args.iter().filter_map(Value::as_number).max() {
        Some(n) => Ok(Value::number(n.clone())),
        None => fail("must pass at least one number"),
    }
}

pub(super) fn min(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    match args.iter().filter_map(Value::as_number).min() {
        Some(n) => Ok(Value::number(n.clone())),
        None => fail("must pass at least one number"),
    }
}

pub(super) fn sum(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if args[0].is_unknown() {
        let ty = if args[0].ty() == Type::Dynamic { Type::Dynamic } else { Type::Number };
        return Ok(Heritage::deep(args).unknown(ty));
    }
    let sequence = matches!(args[0].ty(), Type::List(_) | Type::Set(_) | Type::Tuple(_) | Type::Dynamic);
    if !sequence {
        return bad_arg(0, "argument must be a list, set, or tuple");
    }
    let heritage = Heritage::deep(args);
    if !args[0].is_wholly_known() {
        return Ok(heritage.unknown(Type::Number));
    }
    let mut total: Option<Number> = None;
    for item in items(&args[0]) {
        let number = convert(item, &Type::Number).ok().and_then(|v| v.as_number().cloned());
        let Some(number) = number else {
            return bad_arg(0, "argument must be a list, set, or tuple of number values");
        };
        if total.as_ref().is_some_and(|t| t.is_infinite() && number.is_infinite() && *t != number) {
            return fail("can't compute sum of opposing infinities");
        }
        total = Some(match total {
            Some(t) if t.is_infinite() || number.is_infinite() => {
                if t.is_infinite() {
                    t
                } else {
                    number
                }
            }
            Some(t) => t.add(&number),
            None => number,
        });
    }
    total.map_or_else(|| bad_arg(0, "cannot sum an empty list"), |t| Ok(heritage.known(Value::number(t))))
}

pub(super) fn parseint(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    match args[0].ty() {
        Type::Dynamic => return Ok(heritage.unknown(Type::Dynamic)),
        Type::String => {}
        other => return bad_arg(0, format!("first argument must be a string, not {}", other.friendly())),
    }
    if args.iter().any(Value::is_unknown) {
        return Ok(heritage.unknown(Type::Number));
    }
    let base = whole(args, 1).or_else(|error| bad_arg(1, error.message))?;
    if !(2..=62).contains(&base) {
        return bad_arg(
            1,
            format!("base must be a whole number between 2 and 62 inclusive, but {base} was given"),
        );
    }
    let s = text(args, 0);
    let digits = s.strip_prefix(['-', '+']).unwrap_or(s);
    let value = |c: char| {
        Some(match c {
            '0'..='9' => c as i64 - '0' as i64,
            'a'..='z' => c as i64 - 'a' as i64 + 10,
            'A'..='Z' if base > 36 => c as i64 - 'A' as i64 + 36,
            'A'..='Z' => c as i64 - 'A' as i64 + 10,
            _ => return None,
        })
        .filter(|v| *v < base)
    };
    // As many digits as any other number may have.
    let values: Option<Vec<u32>> = if digits.len() > DIGITS_MAX {
        None
    } else {
        digits.chars().map(|c| value(c).and_then(|v| u32::try_from(v).ok())).collect()
    };
    match values.map(|values| Number::from_digits(values, u32::try_from(base).unwrap_or(2))) {
        Some(n) if !digits.is_empty() => {
            Ok(heritage.known(Value::number(if s.starts_with('-') { n.neg() } else { n })))
        }
        _ => bad_arg(0, format!("cannot parse {s:?} as a base {base} integer")),
    }
}

pub(super) fn range(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let one = Number::from(1i64);
    let (start, end) = match args.len() {
        1 => (Number::ZERO, number(args, 0)),
        2 | 3 => (number(args, 0), number(args, 1)),
        _ => return fail("must have one, two, or three arguments"),
    };
    let down = end < start;
    let step = match args.len() {
        3 => number(args, 2),
        _ if down => one.neg(),
        _ => one,
    };
    if start != end && if down { step >= Number::ZERO } else { step < Number::ZERO } {
        let word = if down { "less" } else { "greater" };
        return bad_arg(
            2,
            format!(
                "when start is {} than end, step must be {word} than zero",
                if down { "greater" } else { "less" }
            ),
        );
    }
    let mut made = Vec::new();
    let mut at = start;
    while (down && at > end) || (!down && at < end) {
        if made.len() >= RANGE_MAX {
            return fail(
                "more than 1024 values were generated; either decrease the difference between start and end or use a smaller step",
            );
        }
        made.push(Value::number(at.clone()));
        at = at.add(&step);
    }
    Ok(Value::list(Type::Number, made))
}
