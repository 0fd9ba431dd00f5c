//! Functions of numbers.

use super::{Outcome, bad_arg, fail, items, text, whole};
use crate::eval::FunctionHost;
use groma_types::convert::convert;
use groma_types::{Number, Type, Value};

/// The largest list that `range` makes.
const RANGE_MAX: usize = 1024;

fn number(args: &[Value], index: usize) -> Number {
    args.get(index).and_then(Value::as_number).cloned().unwrap_or(Number::ZERO)
}

/// A float result, by its shortest decimal form as it is printed.
fn float(value: f64) -> Outcome {
    if value.is_nan() {
        return fail("the result is not a number");
    }
    if value.is_infinite() {
        return Ok(Value::number(Number::infinity(value < 0.0)));
    }
    match Number::parse(&format!("{value}")) {
        Ok(n) => Ok(Value::number(n)),
        Err(_) => fail("the result is not a number"),
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
    float(number(args, 0).to_f64().ln() / number(args, 1).to_f64().ln())
}

pub(super) fn pow(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    float(number(args, 0).to_f64().powf(number(args, 1).to_f64()))
}

pub(super) fn signum(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let n = number(args, 0);
    if !n.is_integer() {
        return fail("value must be a whole number");
    }
    Ok(Value::number(n.cmp(&Number::ZERO) as i64))
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
    if args[0].as_seq().is_none() {
        return bad_arg(0, "argument must be a list, set, or tuple");
    }
    let mut total: Option<Number> = None;
    for item in items(&args[0]) {
        let number = convert(item, &Type::Number).ok().and_then(|v| v.as_number().cloned());
        let Some(number) = number else {
            return bad_arg(0, "argument must be a list, set, or tuple of number values");
        };
        total = Some(total.map_or(number.clone(), |t| t.add(&number)));
    }
    total.map_or_else(|| fail("cannot sum an empty list"), |t| Ok(Value::number(t)))
}

pub(super) fn parseint(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if args[0].as_str().is_none() {
        return bad_arg(0, "first argument must be a string");
    }
    let base = whole(args, 1)?;
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
    let parsed = digits.chars().try_fold(Number::ZERO, |total, c| {
        Some(total.mul(&Number::from(base)).add(&Number::from(value(c)?)))
    });
    match parsed {
        Some(n) if !digits.is_empty() => Ok(Value::number(if s.starts_with('-') { n.neg() } else { n })),
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
    if step.is_zero() {
        return bad_arg(2, "step must not be zero");
    }
    if down != step.is_negative() && start != end {
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
