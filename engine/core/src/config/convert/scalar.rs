//! Texts as scalars of YAML: the plainest form that reads back to the same.
//!
//! Nothing is guessed: each form is read by the YAML parser before it is taken, so that the rules of the language page are
//! in one place.

use groma_lang::document::{Node, parse_yaml};
use groma_types::SourceId;

/// No date or number of YAML 1.1 that is worth quotes is longer.
const OLDER_WORD_MAX: usize = 32;

/// How a value is written after its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Scalar {
    Inline(String),
    /// A block scalar: its header and its lines.
    Block(&'static str, Vec<String>),
}

/// Returns the first form of the content that `is_same` accepts when it is read.
pub(in crate::config) fn scalar(content: &str, is_same: &dyn Fn(&Node) -> bool) -> Option<Scalar> {
    if content.contains('\n')
        && let Some(block) = block(content)
        && reads(&block, is_same)
    {
        return Some(block);
    }
    inline_forms(content).map(Scalar::Inline).find(|form| reads(form, is_same))
}

/// The same for an element of a list in brackets.
pub(in crate::config) fn in_flow(content: &str, is_same: &dyn Fn(&Node) -> bool) -> Option<String> {
    let same = |form: &String| {
        let node = read(&format!("k: [{form}, x]\n"));
        node.is_some_and(|n| matches!(n.as_seq(), Some([first, _]) if is_same(first)))
    };
    inline_forms(content).find(same)
}

/// A key of a mapping.
pub(in crate::config) fn key(text: &str) -> Option<String> {
    if is_word(text) {
        return Some(text.to_string());
    }
    let same = |form: &String| {
        let (nodes, faults) = parse_yaml(SourceId(0), &format!("{form}: 1\n"));
        let entries = nodes.first().and_then(Node::as_map);
        faults.is_empty() && matches!(entries, Some([(key, _)]) if &*key.text == text)
    };
    inline_forms(text).find(same)
}

/// Whether a text is plainly a name, so that nothing needs to be tried.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

fn inline_forms(content: &str) -> impl Iterator<Item = String> {
    let is_line = !content.contains(['\n', '\r', '\t']);
    let plain = (is_line && !content.is_empty() && !is_older_word(content)).then(|| content.to_string());
    let double = double_quoted(content);
    let single = is_line.then(|| format!("'{}'", content.replace('\'', "''")));
    // Double quotes are the usual ones; single ones where the others need escapes.
    let (first, second) = if double.contains('\\') { (single, Some(double)) } else { (Some(double), single) };
    [plain, first, second].into_iter().flatten()
}

/// Text that readers of YAML 1.1 take for a boolean, a number or a date.
fn is_older_word(content: &str) -> bool {
    let is_word =
        || ["y", "n", "yes", "no", "on", "off"].iter().any(|word| content.eq_ignore_ascii_case(word));
    // What is a number in YAML 1.2 as well is told apart when it is read back.
    let is_number = || {
        let digits = content.strip_prefix(['-', '+']).unwrap_or(content);
        digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.contains(['_', ':', '-', 'T'])
            && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '_' | ':' | '-' | '.' | 'T' | 'Z'))
    };
    content.len() <= OLDER_WORD_MAX && (is_word() || is_number())
}

fn double_quoted(content: &str) -> String {
    let mut out = String::from('"');
    for c in content.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn block(content: &str) -> Option<Scalar> {
    if content.contains('\r') || content.trim_matches('\n').is_empty() {
        return None;
    }
    let body = content.trim_end_matches('\n');
    let indented = body.trim_start_matches('\n').starts_with([' ', '\t']) || body.starts_with('\n');
    let header = match (content.len() - body.len(), indented) {
        (0, false) => "|-",
        (1, false) => "|",
        (_, false) => "|+",
        (0, true) => "|2-",
        (1, true) => "|2",
        (_, true) => "|2+",
    };
    let mut lines: Vec<String> = body.split('\n').map(String::from).collect();
    // Line breaks after the first one at the end.
    lines.extend(std::iter::repeat_n(String::new(), (content.len() - body.len()).saturating_sub(1)));
    Some(Scalar::Block(header, lines))
}

fn reads(form: &Scalar, is_same: &dyn Fn(&Node) -> bool) -> bool {
    let text = match form {
        Scalar::Inline(text) => format!("k: {text}\n"),
        Scalar::Block(header, lines) => {
            let mut text = format!("k: {header}\n");
            for line in lines {
                text.push_str(&indented(line));
                text.push('\n');
            }
            text
        }
    };
    read(&text).is_some_and(|node| is_same(&node))
}

/// A line two columns further to the right.
pub(in crate::config) fn indented(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!("  {line}") }
}

/// The value of the only key, if nothing at all is said of the text.
fn read(text: &str) -> Option<Node> {
    let (nodes, faults) = parse_yaml(SourceId(0), text);
    if !faults.is_empty() || nodes.len() != 1 {
        return None;
    }
    nodes.into_iter().next()?.get("k").map(|(_, node)| node.clone())
}
