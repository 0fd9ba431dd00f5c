//! Where YAML and templates bite each other: each trap with a message of its own that shows the corrected line.

use granit_parser::ErrorKind;
use groma_types::{Diagnostic, SourceId, Span};
use std::ops::Range;

/// A line and what to write in its place.
pub(super) struct Patch {
    pub(super) range: Range<usize>,
    pub(super) line: String,
}

/// What stopped the parser.
pub(super) struct Fault<'a> {
    pub(super) source: SourceId,
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) kind: &'a ErrorKind,
    pub(super) in_flow: bool,
    pub(super) last_scalar: Range<usize>,
}

type Found = (Diagnostic, Option<Patch>);

/// Says what the parser stumbled over, in the user's words.
pub(super) fn explain(fault: &Fault<'_>) -> Found {
    let Fault { source, text, at, kind, in_flow, .. } = *fault;
    let at = floor(text, at);
    let rest = &text[at..];
    let before = text[..at].chars().next_back();
    let place = |start: usize, end: usize| Span::new(source, start, end);
    let char_end = at + rest.chars().next().map_or(0, char::len_utf8);
    if in_flow && rest.starts_with('{') && matches!(before, Some('$' | '%')) {
        let end = interpolation_end(text, at - 1).unwrap_or(char_end);
        let error = Diagnostic::error("G0410", "A template in a flow collection must be quoted")
            .detail("Inside `[ ]` and `{ }` YAML takes `{`, `}` and `,` for its own.")
            .at(place(at - 1, end), "this template");
        return with_line(error, text, at, Shape::Flow);
    }
    if in_flow && rest.starts_with('[') && before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ']')
    {
        let error = Diagnostic::error("G0411", "A reference with an index must be quoted here")
            .detail("Inside `[ ]` and `{ }` YAML takes `[` for the beginning of a list.")
            .at(place(fault.last_scalar.start, char_end), "this reference");
        return with_line(error, text, at, Shape::Flow);
    }
    if let Some(error) = first_character(fault, at) {
        let shape = if in_flow { Shape::Flow } else { Shape::Block };
        return with_line(error, text, at, shape);
    }
    match kind {
        ErrorKind::MappingValueNotAllowed => colon(fault, at),
        ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => {
            after_quote(fault, at)
        }
        ErrorKind::UnknownQuotedScalarEscape => backslash(fault, at),
        _ => {
            let error = Diagnostic::error("G0400", "The text is not YAML")
                .detail(sentence(&kind.to_string()))
                .at(place(at, char_end), "here");
            (error, None)
        }
    }
}

/// Scalars that begin with a character that YAML keeps for itself.
fn first_character(fault: &Fault<'_>, at: usize) -> Option<Diagnostic> {
    let rest = &fault.text[at..];
    let end = at + rest.find(['\n', '\r']).unwrap_or(rest.len());
    let error = |code, summary, detail: &str| {
        let label = "the value begins here";
        Some(Diagnostic::error(code, summary).detail(detail).at(Span::new(fault.source, at, end), label))
    };
    match (fault.kind, rest.chars().next()?) {
        (_, '%') if rest.starts_with("%{") => error(
            "G0414",
            "A value that begins with `%{` must be quoted",
            "A plain YAML value cannot begin with `%`.",
        ),
        (ErrorKind::UnexpectedCharacter { .. }, '%') => error(
            "G0414",
            "A value that begins with `%` must be quoted",
            "A plain YAML value cannot begin with `%`.",
        ),
        (ErrorKind::UnexpectedCharacter { .. }, '@' | '`') => error(
            "G0416",
            "A value that begins with `@` must be quoted",
            "YAML keeps `@` and the back quote for later use: a plain value cannot begin with them.",
        ),
        (ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName, '*') => error(
            "G0415",
            "A value that begins with `*` must be quoted",
            "To YAML it is an alias, and there is no anchor of this name before it.",
        ),
        (ErrorKind::MissingAnchorOrAliasName, '&') => {
            error("G0417", "A value that begins with `&` must be quoted", "To YAML it is an anchor.")
        }
        (_, '!') => error("G0418", "A value that begins with `!` must be quoted", "To YAML it is a tag."),
        _ => None,
    }
}

/// `: ` where no key may stand.
fn colon(fault: &Fault<'_>, at: usize) -> Found {
    let (text, scalar) = (fault.text, fault.last_scalar.clone());
    let span = Span::new(fault.source, at, at + 1);
    if unclosed(&text[scalar.clone()]).is_none() {
        let error = Diagnostic::error("G0419", "A second `: ` in one value")
            .detail("YAML takes `: ` for the end of a key, and there is a key on this line already.")
            .at(span, "this colon");
        return with_line(error, text, at, Shape::Block);
    }
    let error = Diagnostic::error("G0412", "A template with `: ` inside must be quoted")
        .detail("YAML takes `: ` for the end of a key, inside `${ }` too.")
        .at(span, "this colon")
        .at(Span::new(fault.source, scalar.start, scalar.end), "the template begins here");
    let one_line = !text[scalar.start..at].contains('\n');
    if one_line { with_line(error, text, at, Shape::Block) } else { (block_help(error), None) }
}

/// Text after a closing quote.
fn after_quote(fault: &Fault<'_>, at: usize) -> Found {
    let line = line_range(fault.text, at);
    let opening = value_start(&fault.text[line.clone()]).map_or(at, |n| line.start + n);
    let inner = fault.text[opening.min(at)..at].trim_matches(['"', '\'']);
    let span = Span::new(fault.source, at, line.end.max(at));
    let error = if unclosed(inner).is_some() {
        Diagnostic::error("G0420", "Quotes inside of a quoted template")
            .detail("To YAML the value ends at the second quote. Single quotes outside leave double ones free inside.")
            .at(span, "YAML's value ended before this")
    } else {
        Diagnostic::error("G0421", "A value that begins with a quote goes on after it")
            .detail("A value that begins with a quote ends with it.")
            .at(span, "YAML's value ended before this")
    };
    with_line(error, fault.text, at, if fault.in_flow { Shape::Flow } else { Shape::Block })
}

fn backslash(fault: &Fault<'_>, at: usize) -> Found {
    let line = line_range(fault.text, at);
    let rest = &fault.text[at..line.end.max(at)];
    let slash = at + wrong_escape(rest).unwrap_or(0);
    let error = Diagnostic::error("G0422", "A backslash in double quotes begins an escape")
        .detail("Between double quotes YAML reads `\\` itself, and knows no such escape. Between single quotes a backslash is just that.")
        .at(Span::new(fault.source, slash, (slash + 2).min(line.end)), "this escape");
    with_line(error, fault.text, at, if fault.in_flow { Shape::Flow } else { Shape::Block })
}

fn wrong_escape(rest: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(n) = rest[from..].find('\\') {
        let code = rest[from + n + 1..].chars().next()?;
        if !"0abtnvfre \"/\\N_LPxuU\t".contains(code) {
            return Some(from + n);
        }
        from += n + 1 + code.len_utf8();
    }
    None
}

/// A tag that is not one of the core schema's: mostly a `!` of an expression.
pub(super) fn tag(source: SourceId, text: &str, at: usize, end: usize) -> Found {
    let rest = &text[at..];
    let stop = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let span = Span::new(source, at, (at + stop).max(at + 1).min(end.max(at + 1)));
    let error = Diagnostic::error("G0418", "A value that begins with `!` must be quoted")
        .detail("To YAML it is a tag, and this one is not known. The tags that are known are !!str, !!int, !!float, !!bool, !!null, !!map and !!seq.")
        .at(span, "this tag");
    with_line(error, text, at, Shape::Block)
}

/// An anchor on nothing: a value that begins with `&`.
pub(super) fn ampersand(source: SourceId, text: &str, at: usize) -> Found {
    let start = text[..at].rfind('&').unwrap_or(at);
    let error = Diagnostic::error("G0417", "A value that begins with `&` must be quoted")
        .detail("To YAML it is an anchor, on a value that is not there.")
        .at(Span::new(source, start, at), "this anchor");
    with_line(error, text, start, Shape::Block)
}

/// A plain scalar with a template that does not end in it.
pub(super) fn unclosed_plain(
    source: SourceId,
    text: &str,
    range: &Range<usize>,
    is_key: bool,
    in_flow: bool,
) -> Found {
    let open = range.start + unclosed(&text[range.clone()]).unwrap_or(0);
    let span = Span::new(source, open, range.end);
    let shape = if in_flow { Shape::Flow } else { Shape::Block };
    let after = &text[range.end..];
    let comment = after.trim_start_matches([' ', '\t']).starts_with('#') && !after.starts_with('#');
    if comment {
        let error = Diagnostic::error("G0413", "A template with ` #` inside must be quoted")
            .detail("YAML takes ` #` for the beginning of a comment, inside `${ }` too.")
            .at(span, "the template is cut off here");
        return with_line(error, text, range.start, shape);
    }
    if is_key {
        let error = Diagnostic::error("G0412", "A template with `: ` inside must be quoted")
            .detail("YAML takes `: ` for the end of a key, inside `${ }` too: this template became a key.")
            .at(span, "the template is cut off here");
        return with_line(error, text, range.start, shape);
    }
    let error = Diagnostic::error("G0423", "A template is not closed")
        .detail("There is a `${` or `%{` without its `}` before the value ends.")
        .help("Close it with `}`; if the characters themselves are meant, write `$${` or `%%{`.")
        .at(span, "opened here");
    (error, None)
}

fn block_help(error: Diagnostic) -> Diagnostic {
    error.help("Write the value as a block: `|-` after the key, the template on the next lines.")
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str())
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Block,
    Flow,
}

/// Adds the corrected line, where there is one that differs.
fn with_line(error: Diagnostic, text: &str, at: usize, shape: Shape) -> Found {
    let range = line_range(text, at);
    let line = &text[range.clone()];
    match corrected(line, shape) {
        Some(better) if better != line => {
            let error = error.help(format!("Write: {}", better.trim_start()));
            (error, Some(Patch { range, line: better }))
        }
        _ => (error.help("Put the value in quotes."), None),
    }
}

/// The line that holds a place, without its end.
fn line_range(text: &str, at: usize) -> Range<usize> {
    let at = floor(text, at);
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
    let end = start + text[start..end].trim_end_matches('\r').len();
    start..end.max(start)
}

/// Returns the line with the values quoted that need it.
fn corrected(line: &str, shape: Shape) -> Option<String> {
    let start = value_start(line)?;
    let (head, value) = line.split_at(start);
    let value = value.trim_end();
    if value.is_empty() {
        return None;
    }
    match shape {
        Shape::Flow => Some(format!("{head}{}", correct_flow(value))),
        Shape::Block => Some(format!("{head}{}", quote(value))),
    }
}

/// Where the value of a `key: value` or `- value` line begins.
fn value_start(line: &str) -> Option<usize> {
    let mut at = line.len() - line.trim_start().len();
    while line[at..].starts_with("- ") {
        at += 2;
        at += line[at..].len() - line[at..].trim_start().len();
    }
    let rest = &line[at..];
    if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        // A quoted key, or a quoted value: only what follows the closing quote tells.
        let close = rest[1..].find(quote).map(|n| n + 2)?;
        return Some(if rest[close..].starts_with(": ") { at + skip_blanks(rest, close + 1) } else { at });
    }
    if rest.starts_with(['[', '{', '$', '%', '*', '&', '!', '@', '`']) {
        return Some(at);
    }
    Some(rest.find(": ").map_or(at, |n| at + skip_blanks(rest, n + 1)))
}

fn skip_blanks(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start_matches(' ').len()
}

/// Quotes a value, of whatever quotes it had, so that YAML and the template both read it right.
fn quote(value: &str) -> String {
    let inner = match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        Some(inner) if !ends_elsewhere(value) => inner.replace("\\\"", "\""),
        _ => value.to_string(),
    };
    if inner.contains(['"', '\\']) {
        format!("'{}'", inner.replace('\'', "''"))
    } else {
        format!("\"{inner}\"")
    }
}

/// Whether the quotes at both ends belong to two strings of an expression: `"a" == "b"`.
fn ends_elsewhere(value: &str) -> bool {
    unclosed(value.trim_matches('"')).is_none() && {
        let inner = &value[1..value.len().saturating_sub(1)];
        !inner.contains("${") && inner.replace("\\\"", "").contains('"')
    }
}

/// Quotes the items of a flow collection that hold templates or indexes.
fn correct_flow(value: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < value.len() {
        let rest = &value[at..];
        let Some(c) = rest.chars().next() else { break };
        if c == '"' || c == '\'' {
            let end = rest[1..].find(c).map_or(rest.len(), |n| n + 2);
            out.push_str(&rest[..end]);
            at += end;
        } else if "[]{},".contains(c) || c.is_whitespace() || c == ':' {
            out.push(c);
            at += c.len_utf8();
        } else if c == '#' {
            out.push_str(rest);
            break;
        } else {
            let end = flow_item(rest);
            let item = rest[..end].trim_end();
            let needs =
                item.contains("${") || item.contains('[') || item.starts_with(['%', '*', '&', '!', '@', '`']);
            out.push_str(&if needs { quote(item) } else { item.to_string() });
            out.push_str(&rest[item.len()..end]);
            at += end;
        }
    }
    out
}

/// Length of a plain item, templates and indexes taken whole.
fn flow_item(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(c) = rest[at..].chars().next() {
        if rest[at..].starts_with("${") || rest[at..].starts_with("%{") {
            at = interpolation_end(rest, at).unwrap_or(rest.len());
            continue;
        }
        match c {
            '[' => depth += 1,
            ']' if depth > 0 => depth -= 1,
            ']' | '}' | ',' => return at.max(1),
            ':' if rest[at + 1..].starts_with(' ') => return at.max(1),
            _ => {}
        }
        at += c.len_utf8();
    }
    at
}

/// Where the first template begins that does not end in the text.
pub(super) fn unclosed(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(n) = text[at..].find(['$', '%']) {
        at += n;
        let rest = &text[at..];
        if rest.starts_with("$${") || rest.starts_with("%%{") {
            at += 3;
        } else if rest.starts_with("${") || rest.starts_with("%{") {
            match interpolation_end(text, at) {
                Some(end) => at = end,
                None => return Some(at),
            }
        } else {
            at += 1;
        }
    }
    None
}

/// Returns the text without its line breaks at both ends, if it is exactly one `${expr}`.
pub(super) fn single_interpolation(text: &str) -> Option<&str> {
    let end = text.trim_end_matches('\n');
    let whole = end.starts_with("${") && interpolation_end(end, 0) == Some(end.len());
    whole.then_some(end)
}

enum Inside {
    Braces,
    Quotes,
}

/// One past the `}` of the template that begins at `start`, if it is there.
pub(super) fn interpolation_end(text: &str, start: usize) -> Option<usize> {
    let mut stack = vec![Inside::Braces];
    let mut at = start + 2;
    while at < text.len() {
        let rest = &text[at..];
        let c = rest.chars().next()?;
        let mut step = c.len_utf8();
        match (stack.last()?, c) {
            (Inside::Braces, '"') => stack.push(Inside::Quotes),
            (Inside::Braces, '{') => stack.push(Inside::Braces),
            (Inside::Braces, '}') | (Inside::Quotes, '"') => {
                stack.pop();
                if stack.is_empty() {
                    return Some(at + 1);
                }
            }
            (Inside::Quotes, '\\') => step += rest[1..].chars().next().map_or(0, char::len_utf8),
            (Inside::Quotes, '$' | '%') if rest.starts_with("$${") || rest.starts_with("%%{") => step = 3,
            (Inside::Quotes, '$' | '%') if rest[1..].starts_with('{') => {
                stack.push(Inside::Braces);
                step = 2;
            }
            _ => {}
        }
        at += step;
    }
    None
}
