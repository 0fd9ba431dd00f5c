//! Diagnostics for people: what, where with the line and a caret, why, what to do.

use super::style::{Paint, Style};
use super::{functions, text};
use groma_types::diagnostic::Label;
use groma_types::{Diagnostic, Severity, SourceMap};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;
use std::ops::Range;

/// Longer lines are shown in part, around the caret.
const LINE_MAX: usize = 140;
/// The same for machines, in bytes: they may want all of a line that a person wrote.
const CODE_MAX: usize = 4096;
/// Messages of one severity that people are shown: nobody reads more at once, and a file may hold a million faults.
const TOLD_MAX: usize = 200;
/// Objects that one message names.
const OBJECTS_MAX: usize = 50;

/// All diagnostics, errors last, so that they stand where the eye is; those of one severity in their order.
pub(crate) fn render<'a>(
    diagnostics: impl IntoIterator<Item = &'a Diagnostic>,
    sources: &SourceMap,
    style: Style,
) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.into_iter().collect();
    sorted.sort_by_key(|d| std::cmp::Reverse(d.severity));
    let mut out = String::new();
    for told in told_once(&sorted).chunk_by(|a, b| a.first.severity == b.first.severity) {
        for message in &told[..told.len().min(TOLD_MAX)] {
            message.render(&mut out, sources, style);
            out.push('\n');
        }
        if let more @ 1.. = told.len().saturating_sub(TOLD_MAX) {
            let more = text::count(more, &format!("more {}", word(told[0].first.severity)));
            let _ = writeln!(out, "… and {more}; `groma validate -json` tells all that a spec has.\n");
        }
    }
    out
}

/// What is the same but for the object that it is about: one cause, one message.
struct Told<'a> {
    first: &'a Diagnostic,
    objects: Vec<&'a str>,
}

impl Told<'_> {
    fn render(&self, out: &mut String, sources: &SourceMap, style: Style) {
        let shown = &self.objects[..self.objects.len().min(OBJECTS_MAX)];
        let mut on = shown.join("\n");
        if let more @ 1.. = self.objects.len() - shown.len() {
            let _ = write!(on, "\n… and {more} more");
        }
        message(out, self.first, &on, sources, style);
    }
}

fn told_once<'a>(sorted: &[&'a Diagnostic]) -> Vec<Told<'a>> {
    let mut told: Vec<Told<'a>> = Vec::new();
    let mut known = HashMap::new();
    for diagnostic in sorted {
        let Diagnostic { severity, code, summary, detail, help, .. } = diagnostic;
        let objects: Vec<&str> = diagnostic.address.as_deref().into_iter().collect();
        if diagnostic.labels.is_empty() && !objects.is_empty() {
            match known.entry((severity, code, summary, detail, help)) {
                Entry::Occupied(before) => {
                    let before: &usize = before.get();
                    told[*before].objects.extend(objects);
                    continue;
                }
                Entry::Vacant(free) => free.insert(told.len()),
            };
        }
        told.push(Told { first: diagnostic, objects });
    }
    told
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// One message on the objects that are named, a line each.
fn message(out: &mut String, diagnostic: &Diagnostic, on: &str, sources: &SourceMap, style: Style) {
    let paint = match diagnostic.severity {
        Severity::Error => Paint::Red,
        Severity::Warning => Paint::Yellow,
        Severity::Note => Paint::Blue,
    };
    let head = format!("{}[{}]", word(diagnostic.severity), diagnostic.code);
    let _ = writeln!(
        out,
        "{}: {}",
        style.paint(paint, &head),
        style.paint(Paint::Bold, &text::one_line(&diagnostic.summary))
    );
    for label in &diagnostic.labels {
        place(out, label, sources, style, paint);
    }
    if !diagnostic.values.is_empty() {
        let lines: Vec<String> =
            diagnostic.values.iter().map(|v| format!("{} {}", v.name, v.statement)).collect();
        field(out, "with", &lines.join("\n"));
    }
    if !on.is_empty() {
        field(out, "on", on);
    }
    if !diagnostic.detail.is_empty() {
        field(out, "why", &diagnostic.detail);
    }
    if let Some(help) = diagnostic.help_in(sources) {
        field(out, "help", help);
    }
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
    let Some(source) = sources.find(label.span.source) else { return };
    let start = sources.line_col(label.span.source, label.span.start as usize);
    let _ = writeln!(out, "  --> {}:{}:{}", text::one_line(&source.name), start.line, start.column);
    let Some((line_start, line)) = source.line(label.span.start as usize) else { return };
    let end = sources.line_col(label.span.source, label.span.end as usize);
    let last = if end.line == start.line { end.column } else { usize::MAX };
    let (shown, first) = window(line, (label.span.start as usize).saturating_sub(line_start));
    let rest = shown.chars().count().saturating_sub(first).max(1);
    let width = last.saturating_sub(start.column).clamp(1, rest);

    let number = start.line.to_string();
    let gutter = " ".repeat(number.len());
    let _ = writeln!(out, "{gutter} |");
    let _ = writeln!(out, "{number} | {}", shown.trim_end());
    let caret = format!("{}{}", " ".repeat(first), style.paint(paint, &"^".repeat(width)));
    let said = text::one_line(&label.text);
    let _ = writeln!(out, "{}", format!("{gutter} | {caret} {said}").trim_end());
}

/// The line with one column for each character, cropped around a byte of it; and the column of that byte.
fn window(line: &str, byte: usize) -> (String, usize) {
    let (left, right) = line.split_at(line.floor_char_boundary(byte));
    // No more of a long line is looked at than could be shown.
    let (before, after) = (left.chars().rev().take(LINE_MAX).count(), right.chars().take(LINE_MAX).count());
    let (before, after) = match before + after > LINE_MAX {
        false => (before, after),
        true => {
            let before = before.min(LINE_MAX / 2).max(LINE_MAX - after);
            (before, LINE_MAX - before)
        }
    };
    let from = left.char_indices().rev().take(before).last().map_or(left.len(), |(at, _)| at);
    let to = right.char_indices().nth(after).map_or(right.len(), |(at, _)| at);
    let one_column =
        |c: char| if c == '\t' || text::clean(c.encode_utf8(&mut [0; 4])).is_empty() { ' ' } else { c };
    let mut shown = String::new();
    shown.extend((from > 0).then_some('…'));
    shown.extend(left[from..].chars().chain(right[..to].chars()).map(one_column));
    shown.extend((to < right.len()).then_some('…'));
    (shown, before + usize::from(from > 0))
}

/// The diagnostic in the shape that Terraform's `-json` has, with our code, help and address beside it.
pub(crate) fn to_json(diagnostic: &Diagnostic, sources: &SourceMap) -> serde_json::Value {
    let mut json = serde_json::json!({
        "severity": word(diagnostic.severity),
        "summary": &*diagnostic.summary,
        "detail": diagnostic.detail,
        "code": diagnostic.code,
    });
    if let Some(help) = diagnostic.help_in(sources) {
        json["help"] = help.into();
    }
    if let Some(address) = &diagnostic.address {
        json["address"] = address.as_str().into();
    }
    let first = diagnostic.labels.first();
    if let Some((range, snippet)) = first.and_then(|label| range(label, sources)) {
        json["range"] = range;
        json["snippet"] = snippet;
        let values: Vec<_> = diagnostic
            .values
            .iter()
            .map(|v| serde_json::json!({ "traversal": v.name, "statement": v.statement }))
            .collect();
        json["snippet"]["values"] = values.into();
        if let Some(call) = diagnostic.function.as_deref().and_then(call) {
            json["snippet"]["function_call"] = call;
        }
    }
    json
}

/// The function of a call that failed, in Terraform's shape.
fn call(name: &str) -> Option<serde_json::Value> {
    let function = groma_lang::functions::find(name)?;
    Some(serde_json::json!({ "called_as": name, "signature": functions::of_call(function) }))
}

fn range(label: &Label, sources: &SourceMap) -> Option<(serde_json::Value, serde_json::Value)> {
    let span = label.span;
    let source = sources.find(span.source)?;
    let point = |byte: u32| {
        let at = sources.line_col(span.source, byte as usize);
        serde_json::json!({ "line": at.line, "column": at.column, "byte": byte })
    };
    let start = sources.line_col(span.source, span.start as usize);
    let (line_start, line) = source.line(span.start as usize).unwrap_or((source.text.len(), ""));
    // All lines that the place is in.
    let last = source.line((span.end as usize).saturating_sub(1)).filter(|(start, _)| *start > line_start);
    let line = last.map_or(line, |(start, last)| &source.text[line_start..start + last.len()]);
    let in_line = |byte: u32| (byte as usize).saturating_sub(line_start).min(line.len());
    let shown = excerpt(line, in_line(span.start));
    let offset = |byte: u32| in_line(byte).saturating_sub(shown.start).min(shown.len());
    let snippet = serde_json::json!({
        "context": null,
        "code": &line[shown.clone()],
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

/// The part of a line around a byte that is not too long for a message; the whole line nearly always.
fn excerpt(line: &str, byte: usize) -> Range<usize> {
    let from = byte.saturating_sub(CODE_MAX / 2).min(line.len().saturating_sub(CODE_MAX));
    line.ceil_char_boundary(from)..line.floor_char_boundary(from + CODE_MAX)
}

#[cfg(test)]
mod tests {
    use super::{CODE_MAX, OBJECTS_MAX, Style, TOLD_MAX, render, to_json};
    use groma_types::diagnostic::NamedValue;
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
    fn values_at_the_place_and_the_function_are_told_as_terraform_tells_them() {
        let mut sources = SourceMap::default();
        let id = sources.add("main.tf", "a = upper(\n  var.x)\n");
        let value = NamedValue { name: "var.x".into(), statement: "is tuple with 2 elements".into() };
        let diagnostic = Diagnostic {
            values: vec![value],
            function: Some("upper".into()),
            ..Diagnostic::error("G0114", "x").at(Span::new(id, 4, 19), "here")
        };
        let text = render([&diagnostic], &sources, Style::PLAIN);
        assert!(text.contains("\n   = with: var.x is tuple with 2 elements\n"), "{text}");
        let expected = serde_json::json!({
            "context": null,
            "code": "a = upper(\n  var.x)",
            "start_line": 1,
            "highlight_start_offset": 4,
            "highlight_end_offset": 19,
            "values": [{ "traversal": "var.x", "statement": "is tuple with 2 elements" }],
            "function_call": {
                "called_as": "upper",
                "signature": {
                    "name": "upper",
                    "params": [{ "name": "str", "type": "string" }],
                    "return_type": "string",
                },
            },
        });
        assert_eq!(to_json(&diagnostic, &sources)["snippet"], expected);
    }

    #[test]
    fn a_very_long_line_is_cut_for_machines_and_the_offsets_are_those_of_the_cut() {
        let far = 1 << 20;
        for (before, after) in [(0, far), (far, 0), (far, far), (10, 10)] {
            let line = format!("{}clutser{}", "ä".repeat(before), "ü".repeat(after));
            let mut sources = SourceMap::default();
            let id = sources.add("main.yaml", format!("a\n{line}\nb"));
            let at = 2 + 2 * before;
            let diagnostic = Diagnostic::error("G0107", "x").at(Span::new(id, at, at + 7), "");
            let snippet = &to_json(&diagnostic, &sources)["snippet"];
            let code = snippet["code"].as_str().unwrap();
            let offset = |name: &str| usize::try_from(snippet[name].as_u64().unwrap()).unwrap();
            assert_eq!(&code[offset("highlight_start_offset")..offset("highlight_end_offset")], "clutser");
            assert!(code.len() <= CODE_MAX && line.contains(code));
            assert!(code == line || code.len() > CODE_MAX - 4);
        }
    }

    #[test]
    fn people_are_shown_the_first_of_very_many_and_are_told_how_many_follow() {
        let fault = |i: usize| Diagnostic::error("G0001", "x").detail(format!("{i}"));
        let many: Vec<_> = (0..TOLD_MAX + 3).map(fault).collect();
        let text = render(&many, &SourceMap::default(), Style::PLAIN);
        assert_eq!(text.matches("error[G0001]").count(), TOLD_MAX);
        assert!(text.contains("\n… and 3 more errors; `groma validate -json`"), "{text}");
    }

    #[test]
    fn one_cause_is_one_message_on_all_its_objects() {
        let fault = |i: usize| Diagnostic::error("G0001", "x").address(format!("a.b{i}"));
        let many: Vec<_> = (0..OBJECTS_MAX + 2).map(fault).collect();
        let text = render(&many, &SourceMap::default(), Style::PLAIN);
        assert_eq!(text.matches("error").count(), 1);
        assert_eq!(text.matches("a.b").count(), OBJECTS_MAX);
        assert!(text.ends_with("a.b49\n         … and 2 more\n\n"), "{text}");
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
