//! Functions of Terraform's built-in provider: values as native syntax, and files of variables.
//!
//! The text is that of Terraform to the byte, so that it follows Terraform's formatter: arguments on one line that follow
//! each other have their equals signs under each other, and a line is indented by the brackets that are open before it.

use super::Want::{Any, String as Text};
use super::{Function, Manner, Outcome, Param, fail, items, text};
use crate::document::{Form, parse_native};
use crate::eval::{FunctionHost, NoScope, evaluate};
use crate::lexer::is_ident;
use crate::parser::parse_expression;
use groma_types::{Diagnostics, SourceId, Value, ValueKind};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Their names in expressions.
pub(super) static TERRAFORM: &[Function] = &[
    Function {
        name: "provider::terraform::decode_tfvars",
        params: &[Param { name: "src", want: Text }],
        rest: None,
        manner: Manner::Known(Any),
        run: decode_tfvars,
        doc: "Reads the text of a file of variables.",
    },
    Function {
        name: "provider::terraform::encode_expr",
        params: &[Param { name: "value", want: Any }],
        rest: None,
        manner: Manner::Known(Text),
        run: encode_expr,
        doc: "Writes a value as an expression.",
    },
    Function {
        name: "provider::terraform::encode_tfvars",
        params: &[Param { name: "value", want: Any }],
        rest: None,
        manner: Manner::Known(Text),
        run: encode_tfvars,
        doc: "Writes an object as a file of variables.",
    },
];

fn encode_expr(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let mut out = String::new();
    write_value(&mut out, &args[0]);
    Ok(Value::string(formatted(&out)))
}

fn encode_tfvars(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let Some(variables) = args[0].as_map() else {
        return fail(
            "invalid value to encode: must be an object whose attribute names will become the encoded variable names",
        );
    };
    let mut out = String::new();
    for (name, value) in variables {
        if !is_ident(name) {
            return fail(format!(
                "invalid variable name {name:?}: must be a valid identifier, per Terraform's rules for input variable declarations"
            ));
        }
        let _ = write!(out, "{name} = ");
        write_value(&mut out, value);
        out.push('\n');
    }
    Ok(Value::string(formatted(&out)))
}

fn decode_tfvars(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let source = text(args, 0);
    let (node, faults) = parse_native(SourceId(0), source);
    if let Some(why) = first(&faults) {
        return fail(format!("invalid tfvars syntax: {why}"));
    }
    let mut variables = BTreeMap::new();
    for (key, value) in node.as_map().unwrap_or_default() {
        if key.form == Form::Block {
            return fail(format!(
                "invalid tfvars content: unexpected {:?} block; blocks are not allowed here",
                key.text
            ));
        }
        let written = source.get(value.span.start as usize..value.span.end as usize).unwrap_or_default();
        let (expr, faults) = parse_expression(&crate::text::Text::detached(written, value.span));
        let why = match first(&faults) {
            Some(why) => Some(why),
            None if !expr.references().is_empty() => Some("variables may not be used here".to_string()),
            None if expr.calls_any() => Some("functions may not be called here".to_string()),
            None => None,
        };
        let (value, faults) = evaluate(&expr, &NoScope);
        if let Some(why) = why.or_else(|| first(&faults)) {
            return fail(format!("invalid expression for variable {:?}: {why}", key.text));
        }
        variables.insert(key.text.clone(), value);
    }
    Ok(Value::object(variables))
}

fn first(faults: &Diagnostics) -> Option<String> {
    let fault = faults.iter().find(|d| d.is_error())?;
    Some(if fault.detail.is_empty() { fault.summary.to_string() } else { fault.detail.clone() })
}

/// Each argument of an object on a line of its own, without indents.
fn write_value(out: &mut String, value: &Value) {
    match value.kind() {
        ValueKind::Null(_) | ValueKind::Unknown(_) => out.push_str("null"),
        ValueKind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        ValueKind::Number(n) => {
            let _ = write!(out, "{n}");
        }
        ValueKind::String(s) => write_quoted(out, s),
        ValueKind::List(..) | ValueKind::Set(..) | ValueKind::Tuple(_) => {
            out.push('[');
            for (i, item) in items(value).iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_value(out, item);
            }
            out.push(']');
        }
        ValueKind::Map(_, attrs) | ValueKind::Object(attrs) => {
            out.push('{');
            for (i, (key, item)) in attrs.iter().enumerate() {
                out.push_str(if i == 0 { "\n" } else { "" });
                match is_ident(key) {
                    true => out.push_str(key),
                    false => write_quoted(out, key),
                }
                out.push_str(" = ");
                write_value(out, item);
                out.push('\n');
            }
            out.push('}');
        }
    }
}

fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '$' | '%' if chars.peek() == Some(&'{') => out.extend([c, c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A line of the text: its net number of opened brackets, and how long the key of an argument that ends on it is.
fn measured(line: &str) -> (isize, Option<usize>) {
    let (mut net, mut in_quotes, mut escaped, mut key) = (0, false, false, None);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            '=' if key.is_none() => key = Some(line[..at].trim_end().chars().count()),
            '[' | '{' => net += 1,
            ']' | '}' => net -= 1,
            _ => {}
        }
    }
    (net, key.filter(|_| net == 0))
}

fn formatted(text: &str) -> String {
    let lines: Vec<(&str, isize, Option<usize>)> = text
        .lines()
        .map(|line| {
            let (net, key) = measured(line);
            (line, net, key)
        })
        .collect();
    let mut out = String::with_capacity(text.len() * 2);
    let mut indents: Vec<isize> = Vec::new();
    let mut column = 0;
    for (i, &(line, net, key)) in lines.iter().enumerate() {
        if key.is_some() && (i == 0 || lines[i - 1].2.is_none()) {
            column = lines[i..].iter().map_while(|l| l.2).max().unwrap_or(0);
        }
        close(&mut indents, -net);
        out.extend(std::iter::repeat_n("  ", indents.len()));
        if net > 0 {
            indents.push(net);
        }
        match key {
            Some(width) => {
                let at = line.char_indices().nth(width).map_or(line.len(), |(at, _)| at);
                out.push_str(&line[..at]);
                out.extend(std::iter::repeat_n(' ', column - width));
                out.push_str(&line[at..]);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    if !text.ends_with('\n') {
        out.pop();
    }
    out
}

/// Brackets that one line opened together are one level until the last of them is closed.
fn close(indents: &mut Vec<isize>, mut brackets: isize) {
    while brackets > 0
        && let Some(level) = indents.last_mut()
    {
        let closed = brackets.min(*level);
        *level -= closed;
        brackets -= closed;
        if *level == 0 {
            indents.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::{NoHost, NoScope, call_function, evaluate};
    use crate::parser::parse_expression;
    use groma_types::{SourceId, Value};

    fn value(text: &str) -> Value {
        let (expr, faults) = parse_expression(&crate::text::Text::plain(text, SourceId(0), 0));
        assert!(!faults.has_errors(), "{faults:?}");
        let (value, faults) = evaluate(&expr, &NoScope);
        assert!(!faults.has_errors(), "{faults:?}");
        value
    }

    fn call(name: &str, arg: &Value) -> Result<Value, String> {
        call_function(&format!("provider::terraform::{name}"), std::slice::from_ref(arg), &NoHost)
            .map_err(|e| e.message)
    }

    /// The texts are Terraform 1.11.4's.
    #[test]
    fn values_are_written_as_terraform_writes_them() {
        for (expr, text) in [
            (
                r#"{a = [1, null, true, "x\n$${y}"], "b c" = 12345678901234567890123, s = toset(["z", "y"]), e = {}, l = [], m = tomap({k = "v"})}"#,
                "{\n  a     = [1, null, true, \"x\\n$${y}\"]\n  \"b c\" = 12345678901234567890123\n  e     = {}\n  l     = []\n  m = {\n    k = \"v\"\n  }\n  s = [\"y\", \"z\"]\n}",
            ),
            ("[{a = 1}, {b = {c = \"d\"}}]", "[{\n  a = 1\n  }, {\n  b = {\n    c = \"d\"\n  }\n}]"),
            ("[\"a\", [\"b\"]]", "[\"a\", [\"b\"]]"),
            (r#""q\"\\%%{x} é \t = {""#, r#""q\"\\%%{x} é \t = {""#),
            ("1.5", "1.5"),
            (
                "{\"1a\" = 1, a-b = 2, \"a.b\" = 3, null = 5}",
                "{\n  \"1a\"  = 1\n  a-b   = 2\n  \"a.b\" = 3\n  null  = 5\n}",
            ),
        ] {
            assert_eq!(call("encode_expr", &value(expr)).unwrap(), Value::string(text), "{expr}");
        }
    }

    #[test]
    fn variables_are_written_and_read_again() {
        let all = value("{b = 1, a = {x = \"y\"}, long_name = [\"p\", {q = null}], l = \"x\\ny\"}");
        let text = call("encode_tfvars", &all).unwrap();
        assert_eq!(
            text.as_str().unwrap(),
            "a = {\n  x = \"y\"\n}\nb = 1\nl = \"x\\ny\"\nlong_name = [\"p\", {\n  q = null\n}]\n"
        );
        assert_eq!(call("decode_tfvars", &text).unwrap(), all);
        assert_eq!(call("encode_tfvars", &value("{}")).unwrap(), Value::string(""));
        let sum = call("decode_tfvars", &Value::string("a = 1 + 2\nt = <<-X\n  one\n  X\n")).unwrap();
        assert_eq!(sum, value("{a = 3, t = \"one\\n\"}"));
    }

    #[test]
    fn what_is_no_file_of_variables_is_refused() {
        for (name, arg, why) in [
            ("encode_tfvars", "{\"a b\" = 1}", "must be a valid identifier"),
            ("encode_tfvars", "[1]", "must be an object"),
            ("encode_expr", "null", "must not be null"),
            ("decode_tfvars", "\"a = b\"", "variables may not be used here"),
            ("decode_tfvars", "\"a = upper(1)\"", "functions may not be called here"),
            ("decode_tfvars", "\"a {\\n}\\n\"", "blocks are not allowed here"),
            ("decode_tfvars", "\"a = \"", "invalid tfvars syntax"),
            ("nope", "1", "no function"),
        ] {
            let error = call(name, &value(arg)).unwrap_err();
            assert!(error.contains(why), "{name}({arg}): {error}");
        }
    }
}
