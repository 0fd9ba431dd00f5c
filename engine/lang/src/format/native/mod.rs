//! Native syntax as `terraform fmt` lays it out.

mod layout;
mod plain;
mod spacing;
mod tokens;

pub(super) use tokens::is_open;

/// Formats a text without faults. White space changes, and a few older ways of writing are made plain.
pub(super) fn format(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let pieces = tokens::pieces(text);
    // Terraform keeps blanks at the end of the text; those of a comment are in its token.
    let in_token = pieces.last().is_some_and(|piece| piece.text.ends_with([' ', '\t']));
    let blanks = if in_token { 0 } else { text.len() - text.trim_end_matches([' ', '\t']).len() };
    let mut out = layout::lay_out(&plain::plain(pieces));
    out.extend(std::iter::repeat_n(' ', blanks));
    out
}
