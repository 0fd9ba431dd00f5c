//! Looking into a state: `state list [filter]` and `state show ADDR`.

use super::export::status_words;
use super::{Object, OpId, OpenOp, State, Status};
use groma_types::InstanceAddr;

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub address: String,
    pub object: String,
    pub provider: String,
    /// `ready`, `waiting`, `unconverged`, `tainted`, `deposed`, or `in doubt` (begun, and nobody knows what came of it).
    pub status: &'static str,
    /// Why it is unconverged or tainted; the key of a deposed one.
    pub detail: Option<String>,
}

/// All that the state knows of an address.
#[derive(Debug, PartialEq)]
pub struct Shown<'a> {
    pub current: Option<&'a Object>,
    pub deposed: Vec<&'a Object>,
    pub open: Vec<(OpId, &'a OpenOp)>,
}

/// Which addresses are asked for; no pattern: all.
///
/// A pattern is an address of an instance, a resource or a module with all that it holds (`aws_vpc.main`, `module.net`),
/// or has `*` (any text) and `?` (one character) in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    patterns: Vec<String>,
}

impl Filter {
    pub fn new<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Filter {
        Filter { patterns: patterns.into_iter().map(Into::into).collect() }
    }

    pub fn matches(&self, address: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|p| matches(p, address))
    }
}

fn matches(pattern: &str, address: &str) -> bool {
    if let Some(rest) = address.strip_prefix(pattern) {
        return rest.is_empty() || rest.starts_with(['.', '[']);
    }
    // The keys of instances are written in brackets, so brackets mean themselves here.
    pattern.contains(['*', '?']) && glob(pattern.as_bytes(), address.as_bytes())
}

/// Matches with one step back to the last `*`: linear in practice, never exponential.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Objects and operations in doubt, by address.
pub fn list(state: &State, filter: &Filter) -> Vec<Row> {
    let objects = state.objects.values().map(|object| {
        let (status, detail) = status_words(&object.status);
        Row {
            address: object.address.to_string(),
            object: object.id.to_string(),
            provider: object.provider.to_string(),
            status,
            detail: detail.map(Into::into),
        }
    });
    // An update or delete in doubt is of an object that is listed already.
    let unseen = state.in_doubt().filter(|(_, open)| !state.objects.contains_key(&open.begin.object));
    let unseen = unseen.map(|(_, open)| Row {
        address: open.begin.address.to_string(),
        object: open.begin.object.to_string(),
        provider: open.begin.provider.to_string(),
        status: "in doubt",
        detail: None,
    });
    let mut rows: Vec<Row> = objects.chain(unseen).filter(|row| filter.matches(&row.address)).collect();
    rows.sort_by(|a, b| (&a.address, a.status == "deposed").cmp(&(&b.address, b.status == "deposed")));
    rows
}

/// What is at an address; nothing known: `None`.
pub fn show<'a>(state: &'a State, address: &InstanceAddr) -> Option<Shown<'a>> {
    let at = |o: &&Object| o.address == *address && matches!(o.status, Status::Deposed(_));
    let shown = Shown {
        current: state.at(address),
        deposed: state.objects.values().filter(at).collect(),
        open: state
            .open
            .iter()
            .filter(|(_, o)| o.begin.address == *address)
            .map(|(op, o)| (*op, o))
            .collect(),
    };
    (shown.current.is_some() || !shown.deposed.is_empty() || !shown.open.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::super::samples::story;
    use super::*;

    #[test]
    fn filters_are_addresses_or_globs() {
        for (pattern, address, expected) in [
            ("aws_vpc.main", "aws_vpc.main", true),
            ("aws_vpc.main", "aws_vpc.main[0]", true),
            ("aws_vpc.main", "aws_vpc.main2", false),
            ("module.a", "module.a[\"k\"].aws_vpc.x", true),
            ("module.a", "module.ab.aws_vpc.x", false),
            ("aws_*", "aws_vpc.main", true),
            ("*.main", "aws_vpc.main", true),
            ("*.main", "aws_vpc.mains", false),
            ("module.*.aws_?pc.x[\"*\"]", "module.n.aws_vpc.x[\"é\"]", true),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaa", false),
            ("", "aws_vpc.main", false),
        ] {
            assert_eq!(Filter::new([pattern]).matches(address), expected, "{pattern} {address}");
        }
        assert!(Filter::default().matches("anything.at_all"));
    }

    #[test]
    fn a_list_shows_each_object_once_and_what_is_in_doubt() {
        let mut state = State::default();
        for (group, expected) in [
            (2, vec!["aws_vpc.main in doubt", "module.a[\"k\"].aws_app.x[0] in doubt"]),
            (4, vec!["aws_vpc.main ready", "module.a[\"k\"].aws_app.x[0] unconverged"]),
            (7, vec!["aws_app.y unconverged", "aws_vpc.main waiting", "aws_vpc.main deposed"]),
        ] {
            state = State::default();
            story().iter().take(group).flatten().for_each(|r| state.apply(r));
            let rows = list(&state, &Filter::default());
            let rows: Vec<String> = rows.iter().map(|r| format!("{} {}", r.address, r.status)).collect();
            assert_eq!(rows, expected);
        }
        let shown = show(&state, &"aws_vpc.main".parse().unwrap()).unwrap();
        assert_eq!((shown.current.is_some(), shown.deposed.len(), shown.open.len()), (true, 1, 2));
        assert!(show(&state, &"aws_vpc.other".parse().unwrap()).is_none());
    }
}
