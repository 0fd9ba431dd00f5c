//! Diagnostics for people: what, where with the line and a caret, why, what to do.

use super::style::{Paint, Style};
use super::text;
use groma_types::diagnostic::Label;
use groma_types::{Diagnostic, Severity, SourceMap};
use std::fmt::Write;

/// Longer lines are shown in part, around the caret.
const LINE_MAX: usize = 140;

/// All diagnostics, errors last, so that they stand where the eye is; those of one severity in their order.
pub(crate) fn render<'a>(
    diagnostics: impl IntoIterator<Item = &'a Diagnostic>,
    sources: &SourceMap,
    style: Style,
) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.into_iter().collect();
    sorted.sort_by_key(|d| std::cmp::Reverse(d.severity));
    let mut out = String::new();
    for diagnostic in told_once(&sorted) {
        out.push_str(&one(&diagnostic, sources, style));
        out.push('\n');
    }
    out
}

/// What is the same but for the object that it is about becomes one, on all these objects: one cause, one message.
fn told_once(sorted: &[&Diagnostic]) -> Vec<Diagnostic> {
    let same = |a: &Diagnostic, b: &Diagnostic| {
        let head = |d: &Diagnostic| (d.severity, d.code, d.summary.clone());
        a.labels.is_empty()
            && b.labels.is_empty()
            && head(a) == head(b)
            && (&a.detail, &a.help) == (&b.detail, &b.help)
    };
    let mut told: Vec<Diagnostic> = Vec::new();
    for diagnostic in sorted {
        let before = told.iter_mut().find(|d| d.address.is_some() && same(d, diagnostic));
        match (before.and_then(|d| d.address.as_mut()), &diagnostic.address) {
            (Some(on), Some(address)) => *on = format!("{on}\n{address}"),
            _ => told.push((*diagnostic).clone()),
        }
    }
    told
}

/// One diagnostic.
pub(crate) fn one(diagnostic: &Diagnostic, sources: &SourceMap, style: Style) -> String {
    let mut out = String::new();
    let (word, paint) = match diagnostic.severity {
        Severity::Error => ("error", Paint::Red),
        Severity::Warning => ("warning", Paint::Yellow),
        Severity::Note => ("note", Paint::Blue),
    };
    let head = format!("{word}[{}]", diagnostic.code);
    let _ = writeln!(
        out,
        "{}: {}",
        style.paint(paint, &head),
        style.paint(Paint::Bold, &text::one_line(&diagnostic.summary))
    );
    for label in &diagnostic.labels {
        place(&mut out, label, sources, style, paint);
    }
    if let Some(address) = &diagnostic.address {
        field(&mut out, "on", address);
    }
    if !diagnostic.detail.is_empty() {
        field(&mut out, "why", &diagnostic.detail);
    }
    if let Some(help) = &diagnostic.help {
        field(&mut out, "help", help);
    }
    out
}

/// `   = why: text`, further lines below the first.
fn field(out: &mut String, name: &str, value: &str) {
    let value = text::clean(value);
    let indent = " ".repeat(name.len() + 7);
    for (i, line) in value.trim_end().lines().enumerate() {
        let _ = match i {
            0 => writeln!(out, "   = {name}: {line}"),
            _ => writeln!(out, "{indent}{line}"),
        };
    }
}

fn place(out: &mut String, label: &Label, sources: &SourceMap, style: Style, paint: Paint) {
    let Some(source) = source(sources, label) else { return };
    let start = sources.line_col(label.span.source, label.span.start as usize);
    let _ = writeln!(out, "  --> {}:{}:{}", text::one_line(&source.name), start.line, start.column);
    let Some(line) = source.text.lines().nth(start.line - 1) else { return };
    let end = sources.line_col(label.span.source, label.span.end as usize);
    let line_len = line.chars().count();
    let last = if end.line == start.line { end.column } else { line_len + 1 };
    let first = start.column - 1;
    let width = last.saturating_sub(start.column).clamp(1, (line_len + 1).saturating_sub(first).max(1));
    let (shown, first) = window(line, first);
    let width = width.min(shown.chars().count().saturating_sub(first).max(1));

    let number = start.line.to_string();
    let gutter = " ".repeat(number.len());
    let _ = writeln!(out, "{gutter} |");
    let _ = writeln!(out, "{number} | {}", shown.trim_end());
    let caret = format!("{}{}", " ".repeat(first), style.paint(paint, &"^".repeat(width)));
    let said = text::one_line(&label.text);
    let _ = writeln!(out, "{}", format!("{gutter} | {caret} {said}").trim_end());
}

/// The text that a label is in. A place in a text that is not at hand is left out.
fn source<'a>(sources: &'a SourceMap, label: &Label) -> Option<&'a groma_types::source::Source> {
    sources.iter().find(|(id, _)| *id == label.span.source).map(|(_, source)| source)
}

/// The line with one column for each character, cropped around a column; and that column in it.
fn window(line: &str, column: usize) -> (String, usize) {
    let shown: Vec<char> = line
        .chars()
        .map(|c| if c == '\t' || text::clean(c.encode_utf8(&mut [0; 4])).is_empty() { ' ' } else { c })
        .collect();
    if shown.len() <= LINE_MAX {
        return (shown.into_iter().collect(), column);
    }
    let from = column.saturating_sub(LINE_MAX / 2).min(shown.len() - LINE_MAX);
    let cropped: String = shown[from..from + LINE_MAX].iter().collect();
    let (before, after) = (from > 0, from + LINE_MAX < shown.len());
    let text = format!("{}{cropped}{}", if before { "…" } else { "" }, if after { "…" } else { "" });
    (text, column - from + usize::from(before))
}

/// The diagnostic in the shape that Terraform's `-json` has, with our code, help and address beside it.
pub(crate) fn to_json(diagnostic: &Diagnostic, sources: &SourceMap) -> serde_json::Value {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let mut json = serde_json::json!({
        "severity": severity,
        "summary": &*diagnostic.summary,
        "detail": diagnostic.detail,
        "code": diagnostic.code,
    });
    if let Some(help) = &diagnostic.help {
        json["help"] = help.as_str().into();
    }
    if let Some(address) = &diagnostic.address {
        json["address"] = address.as_str().into();
    }
    let first = diagnostic.labels.first();
    if let Some((range, snippet)) = first.and_then(|label| range(label, sources)) {
        json["range"] = range;
        json["snippet"] = snippet;
    }
    json
}

fn range(label: &Label, sources: &SourceMap) -> Option<(serde_json::Value, serde_json::Value)> {
    let span = label.span;
    let source = source(sources, label)?;
    let point = |byte: u32| {
        let at = sources.line_col(span.source, byte as usize);
        serde_json::json!({ "line": at.line, "column": at.column, "byte": byte })
    };
    let start = sources.line_col(span.source, span.start as usize);
    let code = source.text.lines().nth(start.line - 1).unwrap_or_default();
    let line_start = code.as_ptr() as usize - source.text.as_ptr() as usize;
    let offset = |byte: u32| (byte as usize).saturating_sub(line_start).min(code.len());
    let snippet = serde_json::json!({
        "context": null,
        "code": code,
        "start_line": start.line,
        "highlight_start_offset": offset(span.start),
        "highlight_end_offset": offset(span.end),
        "values": [],
    });
    let range = serde_json::json!({
        "filename": &*source.name, "start": point(span.start), "end": point(span.end),
    });
    Some((range, snippet))
}

#[cfg(test)]
mod tests {
    use super::{Style, render, to_json};
    use groma_types::{Diagnostic, SourceMap, Span};

    fn check(text: &str, word: &str, expected: &str) {
        let mut sources = SourceMap::default();
        let id = sources.add("main.yaml", text);
        let at = text.find(word).expect("the word is in the text");
        let diagnostic = Diagnostic::error("G0107", "reference to an undeclared name")
            .at(Span::new(id, at, at + word.len()), "nothing is called this")
            .help("did you mean `cluster`?");
        assert_eq!(render([&diagnostic], &sources, Style::PLAIN), expected);
        assert_eq!(to_json(&diagnostic, &sources)["range"]["start"]["byte"], at);
    }

    #[test]
    fn the_caret_stands_below_the_word() {
        check(
            "a: 1\nhost: ${clutser.endpoint}\n",
            "clutser",
            "\
error[G0107]: reference to an undeclared name
  --> main.yaml:2:9
  |
2 | host: ${clutser.endpoint}
  |         ^^^^^^^ nothing is called this
   = help: did you mean `cluster`?

",
        );
    }

    #[test]
    fn a_long_line_is_cropped_around_the_caret() {
        let text = format!("{}clutser{}", "x".repeat(400), "y".repeat(400));
        let shown = format!("…{}clutser{}…", "x".repeat(70), "y".repeat(63));
        check(
            &text,
            "clutser",
            &format!(
                "error[G0107]: reference to an undeclared name\n  --> main.yaml:1:401\n  |\n1 | {shown}\n  | {}^^^^^^^ nothing \
                 is called this\n   = help: did you mean `cluster`?\n\n",
                " ".repeat(71)
            ),
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut sources = SourceMap::default();
        let id = sources.add("main.yaml", "a: \u{1b}[31mred");
        let diagnostic =
            Diagnostic::error("G0001", "x").at(Span::new(id, 0, 1), "").detail("b\u{202e}c\u{7}");
        let text = render([&diagnostic], &sources, Style::PLAIN);
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\u{7}'),
            "{text:?}"
        );
    }
}
