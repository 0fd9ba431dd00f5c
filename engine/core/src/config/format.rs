//! The usual layout of a file, if the file means the same in it.

use super::convert::outline;
use super::gather::Surface;
use groma_lang::document::{Node, parse_json, parse_native};
use groma_lang::format::{format_json, format_native};
use groma_types::{Diagnostic, Diagnostics, SourceId, Span};

/// The syntax of a text that is to be formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Native,
    Json,
}

/// The syntax of a file that is formatted, by its name; `None`: another kind of file.
pub fn syntax_of(name: &str) -> Option<Syntax> {
    let ends = |all: &[&str]| all.iter().any(|end| name.ends_with(end));
    match () {
        () if ends(&[".tf", ".tfvars", ".tftest.hcl", ".tfmock.hcl"]) => Some(Syntax::Native),
        () if ends(&[".tf.json", ".tfvars.json", ".tftest.json"]) => Some(Syntax::Json),
        () => None,
    }
}

/// Formats a text. Native syntax comes out as `terraform fmt` writes it, except that no comment is lost.
///
/// # Errors
/// The text has faults, or would not mean the same.
pub fn format(syntax: Syntax, source: SourceId, text: &str) -> Result<String, Diagnostics> {
    let before = read(syntax, source, text)?;
    let formatted = match syntax {
        Syntax::Native => format_native(text),
        Syntax::Json => format_json(text),
    };
    let after = read(syntax, SourceId(0), &formatted);
    let surface = match syntax {
        Syntax::Native => Surface::Native,
        Syntax::Json => Surface::Json,
    };
    let same = |a: &Node, b: &Node| {
        let blocks = |node: &Node| outline::of(surface, std::slice::from_ref(node));
        blocks(a) == blocks(b) && outline::values(a) == outline::values(b)
    };
    match after {
        Ok(after) if same(&before, &after) => Ok(formatted),
        _ => Err(differs(source, text).into()),
    }
}

fn read(syntax: Syntax, source: SourceId, text: &str) -> Result<Node, Diagnostics> {
    let (node, faults) = match syntax {
        Syntax::Native => {
            let (node, faults) = parse_native(source, text);
            (Some(node), faults)
        }
        Syntax::Json => parse_json(source, text),
    };
    node.filter(|_| !faults.has_errors()).ok_or(faults)
}

fn differs(source: SourceId, text: &str) -> Diagnostic {
    Diagnostic::error("G0542", "This can't be formatted")
        .detail("In its usual layout this file would not declare the same; it stays as it is.")
        .help("Please report this.")
        .at(Span::new(source, 0, text.lines().next().map_or(0, str::len)), "this file")
}

#[cfg(test)]
mod tests {
    use super::{Syntax, format};
    use groma_types::SourceId;

    #[test]
    fn what_has_faults_is_refused_and_the_rest_means_the_same() {
        for (syntax, text) in
            [(Syntax::Native, "a = {\n"), (Syntax::Native, "a = 1 b = 2\n"), (Syntax::Json, "{\"a\":1,}")]
        {
            assert!(format(syntax, SourceId(0), text).is_err(), "{text}");
        }
        let formatted = format(
            Syntax::Native,
            SourceId(0),
            "a=\"${b}\"\nvariable x {\ntype=list\n}\nvariable y {\ntype=\"string\"\n}\n",
        );
        assert_eq!(
            formatted.as_deref(),
            Ok("a = b\nvariable \"x\" {\n  type = list(any)\n}\nvariable \"y\" {\n  type = string\n}\n")
        );
        assert_eq!(
            format(Syntax::Json, SourceId(0), "{\"a\":[1]}").as_deref(),
            Ok("{\n  \"a\": [\n    1\n  ]\n}\n")
        );
    }
}
