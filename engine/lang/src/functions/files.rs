//! Files and templates. Nothing is read here: the host does.

use super::hashes::{Digest, hashed, hex};
use super::{FunctionError, Outcome, bad_arg, fail, text};
use crate::eval::{Eval, FunctionHost, Scope};
use crate::expr::{Expr, Reference};
use crate::text::Text;
use crate::unknown::Heritage;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use groma_types::{Diagnostic, Diagnostics, SourceId, Type, Value};

fn read(args: &[Value], host: &dyn FunctionHost) -> Result<Vec<u8>, FunctionError> {
    let path = expanded(text(args, 0), host).or_else(|error| bad_arg(0, error.message))?;
    host.read_file(&path).or_else(|why| bad_arg(0, why))
}

fn expanded(path: &str, host: &dyn FunctionHost) -> Result<String, FunctionError> {
    match (path.strip_prefix('~'), host.home_dir()) {
        (Some(rest), _) if !rest.is_empty() && !rest.starts_with('/') => {
            fail("failed to expand ~: the home folder of another user is not looked up")
        }
        (Some(rest), Some(home)) => Ok(format!("{home}{rest}")),
        _ => Ok(path.into()),
    }
}

fn read_text(args: &[Value], host: &dyn FunctionHost) -> Result<String, FunctionError> {
    String::from_utf8(read(args, host)?).or_else(|_| {
        let path = text(args, 0);
        fail(format!(
            "contents of {path:?} are not valid UTF-8; use the filebase64 function to read other files"
        ))
    })
}

pub(super) fn file(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(read_text(args, host)?.into())
}
pub(super) fn filebase64(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(STANDARD.encode(read(args, host)?).into())
}
pub(super) fn fileexists(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    host.file_exists(&expanded(text(args, 0), host)?).map(Value::bool).or_else(fail)
}

/// Reads for a digest: there the file is what failed, not the argument.
fn content(args: &[Value], host: &dyn FunctionHost) -> Result<Vec<u8>, FunctionError> {
    read(args, host).or_else(|error| fail(error.message))
}

pub(super) fn filemd5(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(hex(&hashed(Digest::Md5, &content(args, host)?)).into())
}
pub(super) fn filesha1(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(hex(&hashed(Digest::Sha1, &content(args, host)?)).into())
}
pub(super) fn filesha256(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(hex(&hashed(Digest::Sha256, &content(args, host)?)).into())
}
pub(super) fn filesha512(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(hex(&hashed(Digest::Sha512, &content(args, host)?)).into())
}
pub(super) fn filebase64sha256(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(STANDARD.encode(hashed(Digest::Sha256, &content(args, host)?)).into())
}
pub(super) fn filebase64sha512(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(STANDARD.encode(hashed(Digest::Sha512, &content(args, host)?)).into())
}

/// Takes `.` and `..` out of a path, as far as the text alone allows.
fn cleaned(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

pub(super) fn abspath(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    let path = text(args, 0);
    let whole = if path.starts_with('/') { path.into() } else { format!("{}/{path}", host.base_dir()) };
    Ok(cleaned(&whole).into())
}

pub(super) fn pathexpand(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    Ok(expanded(text(args, 0), host)?.into())
}

pub(super) fn basename(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let path = text(args, 0);
    let trimmed = path.trim_end_matches('/');
    let name = trimmed.rsplit('/').next().unwrap_or_default();
    Ok(match (path.is_empty(), name.is_empty()) {
        (true, _) => ".",
        (false, true) => "/",
        (false, false) => name,
    }
    .into())
}

pub(super) fn dirname(args: &[Value], _: &dyn FunctionHost) -> Outcome {
    let path = text(args, 0);
    Ok(match path.rfind('/') {
        Some(at) => cleaned(&path[..=at]).into(),
        None => ".".into(),
    })
}

pub(super) fn fileset(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    let paths = host.list_files(&expanded(text(args, 0), host)?).or_else(fail)?;
    // Where there is nothing no pattern is read, as Terraform has it.
    if paths.is_empty() {
        return Ok(Value::set(Type::String, Vec::new()));
    }
    let pattern = glob(&without_detours(text(args, 1))?)?;
    let found = paths.into_iter().filter(|p| pattern.is_match(p)).map(Value::string);
    Ok(Value::set(Type::String, found.collect()))
}

/// The pattern without `.` and without folders that `..` leaves again.
fn without_detours(pattern: &str) -> Result<String, FunctionError> {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.is_empty() => {
                return fail(
                    "the pattern leads out of the folder; name the other folder as the first argument",
                );
            }
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// A glob as a regular expression: `*` and `?` stay within a name, `**` goes over folders, `{a,b}` chooses.
fn glob(pattern: &str) -> Result<regex::Regex, FunctionError> {
    let mut out = String::from("^");
    let mut rest = pattern;
    let mut choice = false;
    while let Some(c) = rest.chars().next() {
        let mut len = c.len_utf8();
        match c {
            '*' if rest.starts_with("**/") => {
                out.push_str("(?:[^/]+/)*");
                len = 3;
            }
            '*' if rest.starts_with("**") => {
                out.push_str(".*");
                len = 2;
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => match rest.find(']').filter(|end| *end > 1) {
                Some(end) => {
                    let class = rest[1..end].replacen('!', "^", usize::from(rest[1..].starts_with('!')));
                    out.push_str(&format!("[{}]", class.replace('[', r"\[")));
                    len = end + 1;
                }
                None => return fail("syntax error in pattern"),
            },
            // A choice can not hold a separator.
            '{' if !choice && rest.find('}').is_some_and(|end| !rest[..end].contains('/')) => {
                choice = true;
                out.push_str("(?:");
            }
            '{' | '}' if !choice => return fail("syntax error in pattern"),
            '}' => {
                choice = false;
                out.push(')');
            }
            ',' if choice => out.push('|'),
            '\\' if rest.len() > 1 => {
                let next = rest[1..].chars().next().map_or(String::new(), |c| c.to_string());
                out.push_str(&regex::escape(&next));
                len += next.len();
            }
            c => out.push_str(&regex::escape(&c.to_string())),
        }
        rest = &rest[len..];
    }
    out.push('$');
    regex::Regex::new(&out).or_else(|_| fail("syntax error in pattern"))
}

/// The variables of a template, and the host of the caller.
struct TemplateScope<'a> {
    vars: &'a Value,
    host: &'a dyn FunctionHost,
}

impl Scope for TemplateScope<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostics> {
        match self.vars.get(&reference.root) {
            Some(value) => Ok((value.clone().mark(self.vars.marks()), 0)),
            None => Err(Diagnostic::error("G0114", "Unknown template variable")
                .detail(format!("vars map does not contain key {:?}", &*reference.root))
                .at(reference.span, "not given")
                .into()),
        }
    }
    fn host(&self) -> &dyn FunctionHost {
        self.host
    }
}

fn render(
    template: &str,
    vars: &Value,
    host: &dyn FunctionHost,
    itself: &str,
) -> Result<Value, FunctionError> {
    let text = Text::plain(template, SourceId(u32::MAX), 0);
    let (expr, faults) = crate::parser::parse_template(&text);
    first_fault(&faults, template, 0)?;
    if expr.calls(itself) {
        return fail(format!("cannot recursively call {itself} from inside another template function"));
    }
    missing(&expr, vars, template)?;
    let scope = TemplateScope { vars, host };
    let (value, faults) = Eval::run(&expr, &scope);
    // The template is in order; what its values make of it fails the call.
    first_fault(&faults, template, 0).or_else(|error| fail(error.message))?;
    Ok(value)
}

fn missing(expr: &Expr, vars: &Value, template: &str) -> Result<(), FunctionError> {
    for reference in expr.references() {
        if vars.get(&reference.root).is_none() {
            let line = line_of(template, reference.span.start);
            return bad_arg(
                1,
                format!(
                    "vars map does not contain key {:?}, referenced at line {line} of the template",
                    &*reference.root
                ),
            );
        }
    }
    Ok(())
}

fn line_of(template: &str, at: u32) -> usize {
    template.bytes().take(at as usize).filter(|b| *b == b'\n').count() + 1
}

fn first_fault(faults: &Diagnostics, template: &str, arg: usize) -> Result<(), FunctionError> {
    match faults.iter().find(|d| d.is_error()) {
        Some(fault) => {
            let line = fault.labels.first().map_or(1, |l| line_of(template, l.span.start));
            bad_arg(arg, format!("template line {line}: {}: {}", fault.summary, fault.detail))
        }
        None => Ok(()),
    }
}

fn check_vars(vars: &Value) -> Result<(), FunctionError> {
    let (Type::Map(_) | Type::Object(_)) = vars.ty() else {
        return bad_arg(1, "invalid vars value: must be a map");
    };
    match vars.as_map().into_iter().flatten().find(|(name, _)| !crate::lexer::is_ident(name)) {
        Some((name, _)) => bad_arg(
            1,
            format!(
                "invalid template variable name {name:?}: must start with a letter, followed by zero or more letters, digits, and underscores"
            ),
        ),
        None => Ok(()),
    }
}

pub(super) fn templatefile(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    if args.iter().any(Value::is_unknown) {
        return Ok(heritage.maybe_null(Type::Dynamic));
    }
    check_vars(&args[1])?;
    let template = read_text(args, host)?;
    Ok(heritage.known(render(&template, &args[1], host, "templatefile")?))
}

pub(super) fn templatestring(args: &[Value], host: &dyn FunctionHost) -> Outcome {
    let heritage = Heritage::shallow(args);
    if args.iter().any(Value::is_unknown) {
        return Ok(heritage.unknown(Type::String));
    }
    check_vars(&args[1])?;
    if args[0].as_str().is_none() {
        return bad_arg(0, "invalid template value: a string is required");
    }
    let made = render(text(args, 0), &args[1], host, "templatestring")?;
    match groma_types::convert::convert(&made, &Type::String) {
        Ok(made) => Ok(heritage.known(made)),
        Err(why) => fail(format!("the template does not give a string: {why}")),
    }
}
