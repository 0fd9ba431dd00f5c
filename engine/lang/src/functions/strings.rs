//! Functions of text. Lengths and positions count grapheme clusters, what a reader sees as one character.

use super::{Outcome, bad_arg, fail, items, text, whole};
use crate::eval::FunctionHost;
use crate::unknown::Heritage;
use groma_types::{Type, Value, ValueKind};
use unicode_segmentation::UnicodeSegmentation;

/// Case mapping of one character to one character, as Go has it: `ß` has no capital.
fn mapped(c: char, mut full: impl Iterator<Item = char>) -> char {
    match (full.next(), full.next()) {
        (Some(one), None) => one,
        // Of the letters whose small form is two characters one has a small form of one.
        _ if c == '\u{130}' => 'i',
        _ => c,
    }
}

pub(super) fn upper(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(text(args, 0).chars().map(|c| mapped(c, c.to_uppercase())).collect::<String>().into())
}

pub(super) fn lower(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(text(args, 0).chars().map(|c| mapped(c, c.to_lowercase())).collect::<String>().into())
}

/// Capital letters that stand for two have a form of their own at the start of a word.
fn titled_letter(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        _ => mapped(c, c.to_uppercase()),
    }
}

pub(super) fn title(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let mut word_start = true;
    let titled = text(args, 0).chars().map(|c| {
        let out = if word_start { titled_letter(c) } else { c };
        word_start = if c.is_ascii() {
            !(c.is_ascii_alphanumeric() || c == '_')
        } else {
            !c.is_alphanumeric() && c.is_whitespace()
        };
        out
    });
    Ok(titled.collect::<String>().into())
}

pub(super) fn strrev(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(text(args, 0).graphemes(true).rev().collect::<String>().into())
}

pub(super) fn substr(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let clusters: Vec<&str> = text(args, 0).graphemes(true).collect();
    let (offset, length) = (whole(args, 1)?, whole(args, 2)?);
    let count = i64::try_from(clusters.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    // Counted from the end, nothing is everything.
    let rest = length < 0 || (length == 0 && offset < 0);
    let end = if rest { count } else { start.saturating_add(length).min(count) };
    let at = |n: i64| usize::try_from(n).unwrap_or(0);
    Ok(clusters[at(start)..at(end)].concat().into())
}

pub(super) fn chomp(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(text(args, 0).trim_end_matches(['\n', '\r']).into())
}

pub(super) fn trimspace(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(text(args, 0).trim().into())
}

pub(super) fn trim(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(text(args, 0).trim_matches(|c| text(args, 1).contains(c)).into())
}

pub(super) fn trimprefix(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let s = text(args, 0);
    Ok(s.strip_prefix(text(args, 1)).unwrap_or(s).into())
}

pub(super) fn trimsuffix(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let s = text(args, 0);
    Ok(s.strip_suffix(text(args, 1)).unwrap_or(s).into())
}

/// Answers from the known beginning of a text where that is enough.
pub(super) fn startswith(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    let Some(wanted) = args[1].as_str() else { return Ok(heritage.unknown(Type::Bool)) };
    if let Some(s) = args[0].as_str() {
        return Ok(heritage.known(s.starts_with(wanted)));
    }
    let prefix = args[0].as_unknown().and_then(|u| u.refine.prefix.clone()).unwrap_or_default();
    if prefix.starts_with(wanted) {
        return Ok(heritage.known(true));
    }
    let open = wanted.starts_with(&*prefix);
    Ok(if open { heritage.unknown(Type::Bool) } else { heritage.known(false) })
}

pub(super) fn endswith(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(text(args, 0).ends_with(text(args, 1)).into())
}

pub(super) fn strcontains(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    Ok(text(args, 0).contains(text(args, 1)).into())
}

pub(super) fn split(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let (separator, s) = (text(args, 0), text(args, 1));
    let parts: Vec<Value> = if separator.is_empty() {
        s.chars().map(|c| Value::string(c.to_string())).collect()
    } else {
        s.split(separator).map(Value::from).collect()
    };
    Ok(Value::list(Type::String, parts))
}

pub(super) fn join(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    if args.len() < 2 {
        return fail("at least one list is required");
    }
    let mut parts = Vec::new();
    for (i, list) in args.iter().enumerate().skip(1) {
        for (at, item) in items(list).iter().enumerate() {
            match item.as_str() {
                Some(s) => parts.push(s),
                None => return bad_arg(i, format!("element {at} is null; cannot concatenate null values")),
            }
        }
    }
    Ok(parts.join(text(args, 0)).into())
}

pub(super) fn replace(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let (s, what, with) = (text(args, 0), text(args, 1), text(args, 2));
    match what.strip_prefix('/').and_then(|w| w.strip_suffix('/')) {
        Some(pattern) => {
            let regex = super::regexes::compile(pattern, 1).or_else(|error| fail(error.message))?;
            Ok(regex.regex.replace_all(s, with).into_owned().into())
        }
        None => Ok(s.replace(what, with).into()),
    }
}

pub(super) fn indent(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let Ok(width) = usize::try_from(whole(args, 0)?) else {
        return fail("the number of spaces must not be negative");
    };
    if width > 10_000 {
        return bad_arg(0, "this is more indentation than any text has");
    }
    Ok(text(args, 1).replace('\n', &format!("\n{}", " ".repeat(width))).into())
}

/// Number of clusters of a text, or of elements.
pub(super) fn length(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let value = &args[0];
    let heritage = Heritage::shallow([value]);
    let ty = value.ty();
    match value.kind() {
        ValueKind::String(s) => Ok(heritage.known(Value::number(s.graphemes(true).count()))),
        _ if ty == Type::Dynamic || ty == Type::String => Ok(heritage.unknown(Type::Number)),
        _ if matches!(ty, Type::Bool | Type::Number) => {
            fail("argument must be a string, a collection type, or a structural type")
        }
        _ => match crate::unknown::length_bounds(value) {
            (min, Some(max)) if min == max => Ok(heritage.known(Value::number(min))),
            (min, max) => Ok(Heritage::deep([value]).counted(min, max.unwrap_or(usize::MAX))),
        },
    }
}
