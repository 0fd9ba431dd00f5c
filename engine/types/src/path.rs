//! Places inside a value.

use std::fmt;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// An attribute of an object.
    Attr(Arc<str>),
    /// A position in a list, tuple or (sorted) set.
    Index(usize),
    /// A key of a map.
    Key(Arc<str>),
}

/// A place inside a value; the empty path is the value itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrPath(pub Vec<Step>);

impl AttrPath {
    pub fn root() -> AttrPath {
        AttrPath::default()
    }

    #[must_use]
    pub fn with(&self, step: Step) -> AttrPath {
        let mut steps = self.0.clone();
        steps.push(step);
        AttrPath(steps)
    }

    #[must_use]
    pub fn attr(&self, name: &str) -> AttrPath {
        self.with(Step::Attr(name.into()))
    }

    #[must_use]
    pub fn index(&self, index: usize) -> AttrPath {
        self.with(Step::Index(index))
    }

    pub fn starts_with(&self, prefix: &AttrPath) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// Returns the name of the first attribute, where the path begins with one.
    pub fn first_attr(&self) -> Option<&str> {
        match self.0.first() {
            Some(Step::Attr(name)) => Some(name),
            _ => None,
        }
    }

    /// Returns the path without positions and keys: the place in the schema.
    pub fn schema_path(&self) -> Vec<&str> {
        self.0.iter().filter_map(|s| if let Step::Attr(n) = s { Some(&**n) } else { None }).collect()
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Attr(name) if i == 0 => write!(f, "{name}")?,
                Step::Attr(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}
