//! Diagnostics: what, where, why and how to fix, as data. Renderers live at the edge.
//!
//! Invariant: `summary` is fixed text without user data; user data goes to `detail` and labels.

use crate::source::{SourceMap, Span};
use std::collections::HashSet;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
    Note,
}

/// A place with a word on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// Bytes of one text of a message: what a user wrote may go into it, and that may be of any length.
const TEXT_MAX: usize = 16 << 10;

/// The text as far as a person would read it.
fn bounded(text: impl Into<String>) -> String {
    let mut text = text.into();
    if text.len() > TEXT_MAX {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        text.push('…');
    }
    text
}

/// One message for a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Stable code with a page of explanation, such as `G0107`.
    pub code: &'static str,
    /// What: short, fixed text.
    pub summary: Arc<str>,
    /// Why: full sentences; may be empty.
    pub detail: String,
    /// How to fix: a concrete edit or command.
    pub help: Option<String>,
    /// The same where the place is in native syntax, and the help is an edit.
    pub native_help: Option<String>,
    /// Where: the first one is the place itself.
    pub labels: Vec<Label>,
    /// The node it belongs to, where there is one.
    pub address: Option<String>,
    /// What names at the place stood for: `var.x` and `is 5`. Never what a secret is.
    pub values: Vec<NamedValue>,
    /// The function that the call at the place is of.
    pub function: Option<Arc<str>>,
}

/// What a name stood for where something went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedValue {
    pub name: String,
    /// The end of a sentence that begins with the name.
    pub statement: String,
}

impl Diagnostic {
    pub fn error(code: &'static str, summary: impl Into<Arc<str>>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            summary: summary.into(),
            detail: String::new(),
            help: None,
            native_help: None,
            labels: Vec::new(),
            address: None,
            values: Vec::new(),
            function: None,
        }
    }

    pub fn warning(code: &'static str, summary: impl Into<Arc<str>>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, summary) }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Diagnostic {
        self.detail = bounded(detail);
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(bounded(help));
        self
    }

    /// An edit, as YAML and as native syntax write it.
    #[must_use]
    pub fn help_edit(self, yaml: impl Into<String>, native: impl Into<String>) -> Diagnostic {
        Diagnostic { native_help: Some(native.into()), ..self.help(yaml) }
    }

    /// The help in the syntax of the file that the diagnostic tells of.
    pub fn help_in(&self, sources: &SourceMap) -> Option<&str> {
        let is_native = |label: &Label| sources.get(label.span.source).name.ends_with(".tf");
        let native = self.native_help.as_deref().filter(|_| self.labels.first().is_some_and(is_native));
        native.or(self.help.as_deref())
    }

    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: bounded(text) });
        self
    }

    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "addresses are given as they are made")]
    pub fn address(mut self, address: impl ToString) -> Diagnostic {
        self.address = Some(address.to_string());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A bag of diagnostics; collecting goes on as far as sense allows, so that a user sees all faults at once.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
    /// The same, for a quick look whether one is there.
    seen: HashSet<Diagnostic>,
}

impl PartialEq for Diagnostics {
    fn eq(&self, other: &Diagnostics) -> bool {
        self.all == other.all
    }
}
impl Eq for Diagnostics {}

impl Diagnostics {
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    /// Adds a diagnostic, unless an equal one is there: the same fault with other values is no other fault.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.seen.insert(Diagnostic { values: Vec::new(), ..diagnostic.clone() }) {
            self.all.push(diagnostic);
        }
    }

    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in other {
            self.push(diagnostic);
        }
    }

    pub fn has_errors(&self) -> bool {
        self.all.iter().any(Diagnostic::is_error)
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.all.iter()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        let mut all = Diagnostics::new();
        all.push(diagnostic);
        all
    }
}

/// Candidates that are looked at: a spec with thousands of names and thousands of faults must not take minutes.
const CANDIDATES_MAX: usize = 500;
/// Longer names are no slips of a finger: the work for one grows with the square of its length.
const NAME_MAX: usize = 200;

/// Returns the candidate nearest to `name`, if one is near enough to be meant.
pub fn nearest<C: AsRef<str>>(name: &str, candidates: impl IntoIterator<Item = C>) -> Option<C> {
    nearest_within((name.chars().count() / 3).max(1), name, candidates)
}

/// Returns the candidate that `name` is but for a slip of the hand. Names of kinds look alike where other things are
/// meant: `aws_iam_policy` is no misspelt `aws_iam_role`.
pub fn misspelt<C: AsRef<str>>(name: &str, candidates: impl IntoIterator<Item = C>) -> Option<C> {
    let own = name.split_once('_').map_or(name, |(_, own)| own);
    nearest_within(if own.chars().count() < 6 { 1 } else { 2 }, name, candidates)
}

fn nearest_within<C: AsRef<str>>(
    limit: usize,
    name: &str,
    candidates: impl IntoIterator<Item = C>,
) -> Option<C> {
    if name.len() > NAME_MAX {
        return None;
    }
    let name: Vec<char> = name.chars().collect();
    let mut rows = Rows::default();
    candidates
        .into_iter()
        .take(CANDIDATES_MAX)
        .filter_map(|c| Some((rows.distance(&name, c.as_ref(), limit)?, c)))
        .min_by(|(a, x), (b, y)| (a, x.as_ref()).cmp(&(b, y.as_ref())))
        .map(|(_, c)| c)
}

/// What distances are found in, made once for all candidates.
#[derive(Default)]
struct Rows {
    candidate: Vec<char>,
    before_last: Vec<usize>,
    last: Vec<usize>,
    row: Vec<usize>,
}

impl Rows {
    /// Edit distance where a swap of neighbours counts once; `None` beyond the limit.
    fn distance(&mut self, a: &[char], b: &str, limit: usize) -> Option<usize> {
        // A character is at most four bytes, so a text that is much longer need not be looked at.
        if b.len() > 4 * (a.len() + limit) {
            return None;
        }
        self.candidate.clear();
        self.candidate.extend(b.chars());
        let b = &self.candidate[..];
        if a.len().abs_diff(b.len()) > limit {
            return None;
        }
        let shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[shared..], &b[shared..]);
        self.last.clear();
        self.last.extend(0..=b.len());
        let mut least_before = 0;
        for i in 1..=a.len() {
            self.row.clear();
            self.row.push(i);
            let mut least = i;
            for j in 1..=b.len() {
                let cost = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (self.last[j] + 1).min(self.row[j - 1] + 1).min(self.last[j - 1] + cost);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(self.before_last[j - 2] + 1);
                }
                self.row.push(best);
                least = least.min(best);
            }
            // A row is made of the two before it, so none after these comes back below the limit.
            if least > limit && least_before > limit {
                return None;
            }
            least_before = least;
            std::mem::swap(&mut self.before_last, &mut self.last);
            std::mem::swap(&mut self.last, &mut self.row);
        }
        Some(self.last[b.len()]).filter(|d| *d <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, nearest};

    #[test]
    fn nothing_is_near_to_a_name_that_nobody_types() {
        let long = "x".repeat(1 << 20);
        assert_eq!(nearest(&long, [&*format!("{long}y")]), None);
    }

    #[test]
    fn a_message_is_no_longer_than_anybody_reads() {
        let long = Diagnostic::error("G0001", "x").detail("ä".repeat(1 << 20));
        assert!(long.detail.len() < 17 << 10 && long.detail.ends_with("ä…"));
    }

    #[test]
    fn a_swap_is_near_and_a_stranger_is_not() {
        assert_eq!(nearest("clutser", ["cluster", "node"]), Some("cluster"));
        assert_eq!(nearest("zzz", ["cluster", "node"]), None);
        assert_eq!(nearest("aws_vcp.main", ["aws_vpc.other", "aws_vpc.main"]), Some("aws_vpc.main"));
        assert_eq!(nearest("prefix_ab", ["prefix_ba", "prefix_"]), Some("prefix_ba"));
        assert_eq!(nearest("", ["a", "ab"]), Some("a"));
    }
}
