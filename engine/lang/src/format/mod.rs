//! Texts in their usual layout, with all comments. White space changes, meaning does not; what a text declares is
//! compared by the caller, who knows blocks.

mod json;
mod native;
mod yaml;

/// Native syntax, laid out as `terraform fmt` does. The text must be without faults.
pub fn format_native(text: &str) -> String {
    native::format(text)
}

/// Whether an expression goes on in the next line: a bracket or a heredoc is open at its end.
pub fn is_open(text: &str) -> bool {
    native::is_open(text)
}

/// JSON, each element on a line of its own. The text must be without faults.
pub fn format_json(text: &str) -> String {
    json::format(text)
}

/// YAML with two blanks a level. Lines stay lines, and scalars keep their text. `None`: the text has faults.
pub fn format_yaml(text: &str) -> Option<String> {
    yaml::format(text)
}

#[cfg(test)]
mod tests;
