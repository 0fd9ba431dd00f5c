//! Pages of the error codes, from `docs/errors.md`, built in.

use crate::exit::Exit;
use crate::render;
use crate::session::Session;
use groma_types::diagnostic::nearest;

/// One file for all codes: a heading for each, its page below.
const PAGES: &str = include_str!("../../../docs/errors.md");

pub(crate) fn run(session: &Session, code: &str) -> Result<Exit, Exit> {
    let wanted = code.trim().to_uppercase();
    if let Some(page) = page(&wanted) {
        render::print(&format!("{}\n", page.trim()));
        return Ok(Exit::Done);
    }
    let help = match nearest(&wanted, codes()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("the codes are: {}", codes().collect::<Vec<_>>().join(", ")),
    };
    Err(session.refuse("G2003", "no such code", &format!("{} has no page", render::text::quote(code)), &help))
}

fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.lines().filter_map(|line| line.strip_prefix("## ")?.split_whitespace().next())
}

/// The section of a code, heading included.
fn page(code: &str) -> Option<&'static str> {
    let heading = format!("\n## {code} ");
    let start = PAGES.find(&heading)? + 1;
    let len = PAGES[start..].find("\n#").unwrap_or(PAGES.len() - start);
    Some(&PAGES[start..start + len])
}

#[cfg(test)]
mod tests {
    use super::{codes, page};

    #[test]
    fn every_heading_has_a_page() {
        assert!(codes().count() > 5);
        for code in codes() {
            assert!(page(code).is_some_and(|p| p.lines().count() > 2), "{code}");
        }
    }
}
