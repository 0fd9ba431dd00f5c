//! Holds the language to recorded answers of Terraform: values, types, errors, conversions, unknowns.
//!
//! The answers lie in `corpus/`, one JSON object a line. Where ours differ the line stands in a table below
//! with the reason. The tables are a ratchet: a listed line that passes fails the test, as does an unlisted
//! one that does not.

use groma_lang::eval::{FunctionHost, Scope};
use groma_lang::types_syntax::{apply_defaults, parse_type_text};
use groma_lang::{Expr, RefStep, Reference, Text, evaluate, parse_expression, parse_template};
use groma_types::convert::convert;
use groma_types::json::type_to_json;
use groma_types::{
    Cause, Diagnostic, Diagnostics, Refinements, SourceId, Span, Type, Unknown, Value, ValueKind,
};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Write;

const EXPRESSIONS: &str = include_str!("corpus/expr_corpus.jsonl");
const TEMPLATES: &str = include_str!("corpus/json_template_corpus.jsonl");
const UNKNOWNS: &str = include_str!("corpus/unknown_corpus.jsonl");
const TYPES: &str = include_str!("corpus/type_corpus.jsonl");
// Recorded later, in the same way, from generated lines.
const MORE_EXPRESSIONS: &str = include_str!("corpus/more_expr.jsonl");
const MORE_TEMPLATES: &str = include_str!("corpus/more_json_template.jsonl");
const MORE_UNKNOWNS: &str = include_str!("corpus/more_unknown.jsonl");
const MORE_TYPES: &str = include_str!("corpus/more_type.jsonl");

/// Lines that are answered otherwise, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("d00", "no address is the text `<nil>`"),
    ("d01", "a pattern stays inside of its folder"),
    ("d02", "an answer where Terraform crashes"),
    ("d03", "a comment without an end is called so"),
    ("d04", "characters of Big5 and of JIS X 0212 that browsers do not write"),
    ("d05", "timestamps are RFC 3339 in every function"),
    ("d06", "numbers of hosts fit into 127 bits"),
    ("d07", "what only wraps a reference is a reference"),
    ("d08", "a hyphen at the end of a class is a hyphen"),
];

/// Names of the recorded stack: locals, files, the resources of the lines about unknowns.
struct Stack {
    locals: Value,
    resources: BTreeMap<&'static str, Value>,
    files: BTreeMap<String, Vec<u8>>,
    at_apply: bool,
}

/// A path without its detours.
fn plain_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if !parts.is_empty() => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl FunctionHost for Stack {
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        let path = plain_path(path);
        self.files.get(&path).cloned().ok_or_else(|| format!("no file exists at {path:?}"))
    }
    fn file_exists(&self, path: &str) -> Result<bool, String> {
        let path = plain_path(path);
        if self.files.keys().any(|file| path.is_empty() || file.starts_with(&format!("{path}/"))) {
            return Err(format!("{path:?} is a directory, not a file"));
        }
        Ok(self.files.contains_key(&path))
    }
    fn list_files(&self, base: &str) -> Result<Vec<String>, String> {
        let base = format!("{}/", plain_path(base));
        Ok(self.files.keys().filter_map(|p| p.strip_prefix(&base)).map(String::from).collect())
    }
    fn base_dir(&self) -> String {
        "/stack".into()
    }
    fn plan_timestamp(&self) -> Value {
        "2024-01-02T03:04:05Z".into()
    }
    fn timestamp(&self) -> Value {
        if self.at_apply { "2024-01-02T03:04:05Z".into() } else { groma_lang::eval::impure("timestamp") }
    }
    fn uuid(&self) -> Value {
        if self.at_apply {
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8".into()
        } else {
            groma_lang::eval::impure("uuid")
        }
    }
    fn bcrypt(&self, _: &str, _: u32) -> Result<Value, String> {
        Ok(if self.at_apply {
            "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy".into()
        } else {
            groma_lang::eval::impure("bcrypt")
        })
    }
}

fn undeclared(summary: &'static str, span: Span) -> Diagnostics {
    Diagnostic::error("G0107", summary).at(span, "here").into()
}

impl Scope for Stack {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        let first = reference.attr(0);
        let missing = |summary| Err(undeclared(summary, reference.span));
        match (&*reference.root, first) {
            ("local", Some(name)) => match self.locals.get(name) {
                Some(value) => Ok((value.clone(), 1)),
                None => missing("Reference to undeclared local value"),
            },
            ("var", _) => missing("Reference to undeclared input variable"),
            ("path", Some("module" | "root" | "cwd")) => Ok((".".into(), 1)),
            ("path", _) => missing("Invalid \"path\" attribute"),
            ("terraform", Some("workspace")) => Ok(("default".into(), 1)),
            ("terraform", _) => missing("Invalid \"terraform\" attribute"),
            ("terraform_data", Some("f")) if matches!(reference.steps.get(1), Some(RefStep::Attr(_))) => {
                missing("Missing resource instance key")
            }
            ("terraform_data", Some(name)) if self.resources.contains_key(name) => {
                Ok((self.resources[name].clone(), 1))
            }
            (_, Some(_)) => missing("Reference to undeclared resource"),
            (_, None) => missing("Invalid reference"),
        }
    }
    fn host(&self) -> &dyn FunctionHost {
        self
    }
}

/// JSON to a value, big numbers by their text.
fn value_of(json: &Json) -> Value {
    groma_types::json::from_json(json)
}

fn stack(at_apply: bool) -> Stack {
    let context: Json = serde_json::from_str(EXPRESSIONS.lines().next().unwrap()).unwrap();
    let locals = recorded(EXPRESSIONS.lines().next().unwrap(), "_context_locals").map_deep(&mut |v| match v
        .as_str()
    {
        // The context holds the source of this local, not its value.
        Some(s) => Value::string(s.replace("$${", "${").replace("%%{", "%{")),
        None => v,
    });
    let mut files = BTreeMap::new();
    for (path, content) in context["_files"].as_object().unwrap() {
        let bytes = content.as_str().unwrap().as_bytes().to_vec();
        files.insert(path.clone(), if path.ends_with("bin.dat") { vec![0xff, 0xfe, 0] } else { bytes });
    }
    Stack { locals, resources: resources(), files, at_apply }
}

fn computed(ty: Type, not_null: bool) -> Value {
    let causes = [Cause::Function("test".into())].into();
    let refine = Refinements { not_null, ..Refinements::default() };
    Unknown { ty, refine, causes, residual: None }.into()
}

fn resources() -> BTreeMap<&'static str, Value> {
    let instance = |input: Value| {
        let output = computed(input.ty(), false);
        Value::object([
            ("id", computed(Type::String, true)),
            ("input", input),
            ("output", output),
            ("triggers_replace", Value::NULL),
        ])
    };
    let c = Value::tuple(vec![instance(Value::number(0i64)), instance(Value::number(1i64))]);
    let f = Value::object([("a", instance("a".into())), ("b", instance("b".into()))]);
    let k = instance(value_of(&serde_json::json!({"x": [1, "a"]})));
    [("u", instance(computed(Type::String, true))), ("c", c), ("f", f), ("k", k)].into()
}

fn text(content: &str) -> Text {
    Text::plain(content, SourceId(0), 0)
}

/// Evaluates as a plan does: names are checked first, also those in arms that are not taken.
fn run(parsed: (Expr, Diagnostics), scope: &Stack) -> Result<Value, Vec<String>> {
    let (expr, mut faults) = parsed;
    if !faults.has_errors() {
        for reference in expr.references() {
            if let Err(undeclared) = scope.resolve(&reference) {
                faults.extend(undeclared);
            }
        }
    }
    if !faults.has_errors() {
        let (value, found) = evaluate(&expr, scope);
        faults = found;
        if !faults.has_errors() {
            return Ok(value);
        }
    }
    Err(faults.iter().map(|d| d.summary.to_string()).collect())
}

/// Terraform's JSON with numbers as text, so that no digit is lost on either side.
fn shown(value: &Value) -> String {
    let mut out = String::new();
    show(&mut out, value);
    out
}

fn show(out: &mut String, value: &Value) {
    match value.kind() {
        ValueKind::Null(_) => out.push_str("null"),
        ValueKind::Unknown(_) => out.push_str("(unknown)"),
        ValueKind::Bool(b) => write!(out, "{b}").unwrap(),
        ValueKind::Number(n) => write!(out, "{n}").unwrap(),
        ValueKind::String(s) => write!(out, "{s:?}").unwrap(),
        ValueKind::List(_, items) | ValueKind::Set(_, items) | ValueKind::Tuple(items) => {
            out.push('[');
            for item in items.iter() {
                show(out, item);
                out.push(',');
            }
            out.push(']');
        }
        ValueKind::Map(_, attrs) | ValueKind::Object(attrs) => {
            out.push('{');
            for (key, item) in attrs.iter() {
                write!(out, "{key:?}:").unwrap();
                show(out, item);
                out.push(',');
            }
            out.push('}');
        }
    }
}

/// Decodes the recorded JSON by our own reader, which keeps all digits.
fn recorded(line: &str, key: &str) -> Value {
    let decode = |text: &str| {
        groma_lang::call_function("jsondecode", &[Value::from(text)], &groma_lang::eval::NoHost).unwrap()
    };
    decode(line).get(key).cloned().unwrap_or(Value::NULL)
}

/// Results of one corpus: passed and all by category, and what failed unexpectedly.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<String, (usize, usize)>,
    wrong: Vec<String>,
}

impl Tally {
    fn add(&mut self, category: &str, id: &str, what: &str, wanted: &str, got: &str) {
        let count = self.counts.entry(category.into()).or_default();
        count.1 += 1;
        let passed = wanted == got;
        count.0 += usize::from(passed);
        let listed = DIFFERENT.iter().any(|(other, _)| *other == id);
        match (passed, listed) {
            (false, false) => self.wrong.push(format!("{id} {what}\n  wanted {wanted}\n  got    {got}")),
            (true, true) => self.wrong.push(format!("{id} is listed as different, but it is not: {what}")),
            _ => {}
        }
    }

    #[expect(clippy::print_stderr, reason = "the counts are what a reader of the log looks for")]
    fn finish(self) {
        for (category, (passed, all)) in &self.counts {
            eprintln!("{category}: {passed} of {all}");
        }
        assert!(self.wrong.is_empty(), "{} answers are wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

/// Numbers that are too large for the JSON crate are read by [`recorded`]; here they are cut out.
fn parsed(line: &str) -> Json {
    let long = line.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() > 300);
    serde_json::from_str(&line.replace(long.unwrap_or("no such number"), "0")).unwrap()
}

fn lines(corpus: &str) -> impl Iterator<Item = (Json, &str)> {
    corpus.lines().map(|l| (parsed(l), l)).filter(|(j, _)| j.get("id").is_some())
}

/// What Terraform says: value and type, or the summary of the error.
fn expectation(json: &Json, line: &str) -> String {
    match json.get("error_summary").and_then(Json::as_str) {
        // Infinity fails when the plan is written; ours as soon as it is the result.
        Some("Failed to write plan file") => "error: Infinite number".into(),
        Some(summary) => format!("error: {summary}"),
        None => format!("{} : {}", shown(&recorded(line, "result_json")), json["type"]),
    }
}

fn answer(result: &Result<Value, Vec<String>>, json: &Json) -> String {
    match result {
        Ok(value) => format!("{} : {}", shown(value), type_to_json(&value.ty())),
        Err(summaries) => {
            let wanted = json.get("error_summary").and_then(Json::as_str).unwrap_or_default();
            let said = summaries.iter().find(|s| *s == wanted).or(summaries.first()).unwrap();
            format!("error: {said}")
        }
    }
}

#[test]
fn expressions_give_the_recorded_answers() {
    let scope = stack(true);
    let mut tally = Tally::default();
    for (json, line) in lines(EXPRESSIONS).chain(lines(MORE_EXPRESSIONS)) {
        let source = json["expr"].as_str().unwrap();
        // A comment ends with its line.
        let close = if source.contains('#') { "\n}" } else { "}" };
        let result = run(parse_template(&text(&format!("${{{source}{close}"))), &scope);
        let (category, id) = (json["cat"].as_str().unwrap(), json["id"].as_str().unwrap());
        tally.add(category, id, source, &expectation(&json, line), &answer(&result, &json));
    }
    tally.finish();
}

/// A JSON value as the configuration reads it: strings and keys are templates.
fn from_document(json: &Json, faults: &mut Diagnostics) -> Expr {
    let span = Span::new(SourceId(0), 0, 0);
    match json {
        Json::String(s) => {
            let (expr, found) = parse_template(&text(s));
            faults.extend(found);
            expr
        }
        Json::Array(items) => Expr::tuple(items.iter().map(|i| from_document(i, faults)).collect(), span),
        Json::Object(attrs) => {
            let mut items = Vec::new();
            for (key, value) in attrs {
                let key = from_document(&Json::String(key.clone()), faults);
                items.push((key, from_document(value, faults)));
            }
            Expr::object(items, span)
        }
        other => Expr::literal(value_of(other), span),
    }
}

#[test]
fn documents_give_the_recorded_answers() {
    let scope = stack(true);
    let mut tally = Tally::default();
    for (json, line) in lines(TEMPLATES).chain(lines(MORE_TEMPLATES)) {
        let mut faults = Diagnostics::new();
        let expr = from_document(&json["json"], &mut faults);
        let result = run((expr, faults), &scope);
        let id = json["id"].as_str().unwrap();
        tally.add(
            "documents",
            id,
            &json["json"].to_string(),
            &expectation(&json, line),
            &answer(&result, &json),
        );
    }
    tally.finish();
}

/// `after` and `after_unknown` of a plan: unknown parts are null here and true there.
fn planned(after: &Value, unknown: &Json) -> String {
    fn merge(after: &Value, unknown: &Json, out: &mut String) {
        match unknown {
            Json::Bool(true) => out.push_str("(unknown)"),
            Json::Array(marks) => {
                out.push('[');
                for (i, mark) in marks.iter().enumerate() {
                    merge(after.at(i).unwrap_or(&Value::NULL), mark, out);
                    out.push(',');
                }
                out.push(']');
            }
            Json::Object(marks) => {
                out.push('{');
                let attrs = after.as_map().cloned().unwrap_or_default();
                let mut keys: Vec<String> = attrs.keys().map(|k| k.to_string()).collect();
                keys.extend(marks.keys().filter(|k| !attrs.contains_key(k.as_str())).cloned());
                keys.sort();
                for key in keys {
                    write!(out, "{key:?}:").unwrap();
                    let none = Json::Bool(false);
                    merge(
                        attrs.get(key.as_str()).unwrap_or(&Value::NULL),
                        marks.get(&key).unwrap_or(&none),
                        out,
                    );
                    out.push(',');
                }
                out.push('}');
            }
            _ => show(out, after),
        }
    }
    let mut out = String::new();
    merge(after, unknown, &mut out);
    out
}

#[test]
fn unknowns_give_the_recorded_answers() {
    let scope = stack(false);
    let mut tally = Tally::default();
    for (json, line) in lines(UNKNOWNS).chain(lines(MORE_UNKNOWNS)) {
        let source = json["expr"].as_str().unwrap();
        let result = run(parse_expression(&text(source)), &scope);
        let wanted = match json.get("error_summary").and_then(Json::as_str) {
            Some(summary) => format!("error: {summary}"),
            None => planned(&recorded(line, "after"), &json["after_unknown"]),
        };
        let got = match &result {
            Ok(value) => shown(value),
            Err(_) => answer(&result, &json),
        };
        tally.add("unknowns", json["id"].as_str().unwrap(), source, &wanted, &got);
    }
    tally.finish();
}

#[test]
fn constraints_give_the_recorded_answers() {
    let mut tally = Tally::default();
    for (json, line) in lines(TYPES).chain(lines(MORE_TYPES)) {
        let constraint = json["constraint"].as_str().unwrap();
        let (parsed, faults) = parse_type_text(&text(constraint));
        let value = value_of(&json["value"]);
        let result = if faults.has_errors() {
            Err(faults.iter().map(|d| d.summary.to_string()).collect())
        } else {
            convert(&apply_defaults(&parsed, value), &parsed.ty)
                .map_err(|_| vec!["Invalid default value for variable".to_string()])
        };
        let what = format!("{constraint} of {}", json["value"]);
        tally.add(
            "constraints",
            json["id"].as_str().unwrap(),
            &what,
            &expectation(&json, line),
            &answer(&result, &json),
        );
    }
    tally.finish();
}

#[test]
fn every_difference_is_of_a_recorded_line() {
    let first = [EXPRESSIONS, TEMPLATES, UNKNOWNS, TYPES];
    let more = [MORE_EXPRESSIONS, MORE_TEMPLATES, MORE_UNKNOWNS, MORE_TYPES];
    let all = first.into_iter().chain(more);
    let ids: Vec<String> = all.flat_map(lines).map(|(j, _)| j["id"].as_str().unwrap().to_string()).collect();
    for (id, _) in DIFFERENT {
        assert!(ids.iter().any(|i| i == id), "{id} is in no corpus");
    }
    assert!(ids.len() > 2000, "{}", ids.len());
}
