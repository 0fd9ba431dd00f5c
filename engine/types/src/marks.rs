//! Marks travel beside a value through every operation; they never change what the value is.

/// The marks of one value (not of the values inside it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marks {
    /// Never shown, sealed at rest.
    pub sensitive: bool,
    /// Never stored in a plan or a state.
    pub ephemeral: bool,
    /// Stands for a recipe that is asked at each use; see [`crate::Residual`].
    pub minted: bool,
}

impl Marks {
    pub const NONE: Marks = Marks { sensitive: false, ephemeral: false, minted: false };
    pub const SENSITIVE: Marks = Marks { sensitive: true, ephemeral: false, minted: false };
    pub const EPHEMERAL: Marks = Marks { sensitive: false, ephemeral: true, minted: false };
    /// A minted value is a credential: it is sensitive wherever it could be seen.
    pub const MINTED: Marks = Marks { sensitive: true, ephemeral: false, minted: true };

    /// Returns the marks of a value that was made from values with these marks.
    #[must_use]
    pub fn union(self, other: Marks) -> Marks {
        Marks {
            sensitive: self.sensitive || other.sensitive,
            ephemeral: self.ephemeral || other.ephemeral,
            minted: self.minted || other.minted,
        }
    }

    pub fn is_none(self) -> bool {
        self == Marks::NONE
    }
}
