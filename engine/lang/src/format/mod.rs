//! Texts in their usual layout, with all comments. White space changes, meaning does not; what a text declares is
//! compared by the caller, who knows blocks.

mod json;
mod native;

/// Native syntax, laid out as `terraform fmt` does. The text must be without faults.
pub fn format_native(text: &str) -> String {
    native::format(text)
}

/// JSON, each element on a line of its own. The text must be without faults.
pub fn format_json(text: &str) -> String {
    json::format(text)
}

#[cfg(test)]
mod tests;
