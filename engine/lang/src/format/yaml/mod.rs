//! YAML in its usual layout: two blanks a level, lists further in than their key, one blank between tokens of a line, at
//! most one empty line.
//!
//! The parser says where scalars lie and which of them are keys; all between them is told apart by its characters. So
//! lines, comments and scalars come out as they went in, and only white space between them is new.

mod layout;
mod tokens;

/// `None` for what the parser does not read.
pub(super) fn format(text: &str) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let tokens = tokens::tokens(&text)?;
    let indents = layout::indents(&text, &tokens);
    Some(layout::print(&text, &tokens, &indents))
}
