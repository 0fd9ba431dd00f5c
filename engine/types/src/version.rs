//! Version constraints as Terraform writes them: `>= 5.0, < 7.0`, `~> 5.31`, `!= 5.2`.

use std::cmp::Ordering;

/// A list of conditions that must all hold.
#[derive(Clone, Debug)]
pub struct Constraint(Vec<(Op, Version)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Pessimistic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Version(Vec<u64>);

impl Version {
    fn parse(text: &str) -> Option<Version> {
        // A pre-release or build part does not count for the ranges that are compared here.
        let text = text.strip_prefix('v').unwrap_or(text);
        let core = text.split(['-', '+']).next()?;
        core.split('.').map(|p| p.parse().ok()).collect::<Option<Vec<u64>>>().map(Version)
    }

    fn compare(&self, other: &Version) -> Ordering {
        let part = |v: &Version, i: usize| v.0.get(i).copied().unwrap_or(0);
        let length = self.0.len().max(other.0.len());
        (0..length).map(|i| part(self, i).cmp(&part(other, i))).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The first version that `~> self` does not allow any more.
    fn next(&self) -> Version {
        let mut parts = self.0.clone();
        if parts.len() > 1 {
            parts.pop();
        }
        if let Some(last) = parts.last_mut() {
            *last += 1;
        }
        Version(parts)
    }
}

impl Constraint {
    /// # Errors
    /// Says which part is not a condition.
    pub fn parse(text: &str) -> Result<Constraint, String> {
        let ops = [
            ("~>", Op::Pessimistic),
            (">=", Op::GreaterEqual),
            ("<=", Op::LessEqual),
            ("!=", Op::NotEqual),
            (">", Op::Greater),
            ("<", Op::Less),
            ("=", Op::Equal),
        ];
        let condition = |part: &str| {
            let part = part.trim();
            let found = ops.iter().find_map(|(sign, op)| Some((*op, part.strip_prefix(sign)?)));
            let (op, rest) = found.unwrap_or((Op::Equal, part));
            Version::parse(rest.trim())
                .map(|v| (op, v))
                .ok_or_else(|| format!("{part:?} is not a version condition."))
        };
        text.split(',').map(condition).collect::<Result<_, _>>().map(Constraint)
    }

    pub fn allows(&self, version: &str) -> bool {
        let Some(version) = Version::parse(version) else { return false };
        self.0.iter().all(|(op, wanted)| {
            let order = version.compare(wanted);
            match op {
                Op::Equal => order.is_eq(),
                Op::NotEqual => order.is_ne(),
                Op::Less => order.is_lt(),
                Op::LessEqual => order.is_le(),
                Op::Greater => order.is_gt(),
                Op::GreaterEqual => order.is_ge(),
                Op::Pessimistic => order.is_ge() && version.compare(&wanted.next()).is_lt(),
            }
        })
    }

    /// The newest of some versions that is allowed. One with a pre-release part has to be named exactly.
    pub fn newest<'a>(this: Option<&Constraint>, text: &str, versions: &[&'a str]) -> Option<&'a str> {
        let bare = |t: &str| t.trim().trim_start_matches('=').trim().trim_start_matches('v').to_string();
        if let Some(exact) = versions.iter().find(|v| v.contains('-') && bare(v) == bare(text)) {
            return Some(exact);
        }
        let released = versions.iter().filter(|v| !v.contains('-'));
        let allowed = released.filter(|v| this.is_none_or(|c| c.allows(v)));
        allowed
            .filter_map(|v| Some((Version::parse(v)?, *v)))
            .max_by(|a, b| a.0.compare(&b.0))
            .map(|(_, v)| v)
    }

    /// Whether some version lies in the constraint and in `from <= v < below`.
    pub fn meets(&self, from: &str, below: &str) -> bool {
        let (Some(from), Some(below)) = (Version::parse(from), Version::parse(below)) else { return true };
        let mut low = from;
        let mut high = below;
        for (op, version) in &self.0 {
            match op {
                Op::Equal | Op::Greater | Op::GreaterEqual | Op::Pessimistic
                    if version.compare(&low).is_gt() =>
                {
                    low = version.clone();
                }
                _ => {}
            }
            let end = match op {
                Op::Less => Some(version.clone()),
                Op::LessEqual | Op::Equal => {
                    let mut parts = version.0.clone();
                    parts.push(1);
                    Some(Version(parts))
                }
                Op::Pessimistic => Some(version.next()),
                _ => None,
            };
            if let Some(end) = end.filter(|e| e.compare(&high).is_lt()) {
                high = end;
            }
        }
        low.compare(&high).is_lt()
    }
}

#[cfg(test)]
mod tests {
    use super::Constraint;

    #[test]
    fn conditions() {
        for (text, version, expected) in [
            (">= 1.5", "1.11.4", true),
            ("~> 1.5", "1.11.4", true),
            ("~> 1.5.0", "1.11.4", false),
            (">= 1.5, < 1.11", "1.11.4", false),
            ("1.11.4", "1.11.4", true),
            ("!= 1.11.4", "1.11.4", false),
        ] {
            assert_eq!(Constraint::parse(text).unwrap().allows(version), expected, "{text}");
        }
        assert!(Constraint::parse("five").is_err());
    }

    #[test]
    fn the_newest_release_is_chosen() {
        let versions = ["1.9.0", "1.10.0", "2.0.0-rc1", "0.9"];
        for (text, expected) in [
            ("", Some("1.10.0")),
            ("~> 1.9.0", Some("1.9.0")),
            ("< 1", Some("0.9")),
            ("> 2", None),
            (">= 2.0.0-rc1", None),
            ("= 2.0.0-rc1", Some("2.0.0-rc1")),
        ] {
            let constraint = (!text.is_empty()).then(|| Constraint::parse(text).unwrap());
            assert_eq!(Constraint::newest(constraint.as_ref(), text, &versions), expected, "{text}");
        }
    }

    #[test]
    fn ranges_meet() {
        for (text, expected) in
            [("~> 5.0", true), ("< 5", false), (">= 7", false), ("4.67.0", false), (">= 3", true)]
        {
            assert_eq!(Constraint::parse(text).unwrap().meets("5", "7"), expected, "{text}");
        }
    }
}
