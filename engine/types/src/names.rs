//! Small immutable-by-habit containers of values: a map by name and a set of causes, each in one allocation.
//!
//! Objects and their types have a handful of names and there are very many of them: a tree's node has room for eleven
//! entries, most of it empty.

use crate::value::Cause;
use std::borrow::Borrow;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

/// A small map. Invariant: sorted by key, no key twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortedMap<K, V>(Box<[(K, V)]>);

/// Attributes, elements, types by name.
pub type NameMap<V> = SortedMap<Arc<str>, V>;

impl<K: Ord, V> SortedMap<K, V> {
    pub fn new() -> SortedMap<K, V> {
        SortedMap(Box::default())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find<Q: Ord + ?Sized>(&self, name: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(k, _)| k.borrow().cmp(name))
    }

    pub fn get<Q: Ord + ?Sized>(&self, name: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(name).ok().map(|at| &self.0[at].1)
    }

    pub fn get_key_value<Q: Ord + ?Sized>(&self, name: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.find(name).ok().map(|at| (&self.0[at].0, &self.0[at].1))
    }

    pub fn contains_key<Q: Ord + ?Sized>(&self, name: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(name).is_ok()
    }

    /// Sets one entry; its cost is that of a copy where the name is new.
    pub fn insert(&mut self, name: K, value: V) -> Option<V> {
        match self.find(&name) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                let mut entries = std::mem::take(&mut self.0).into_vec();
                entries.insert(at, (name, value));
                self.0 = entries.into_boxed_slice();
                None
            }
        }
    }

    pub fn iter(&self) -> Iter<'_, K, V> {
        self.into_iter()
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.0.iter().map(|(k, _)| k)
    }

    pub fn into_values(self) -> impl DoubleEndedIterator<Item = V> + ExactSizeIterator {
        self.into_iter().map(|(_, v)| v)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.0.iter().map(|(_, v)| v)
    }
}

impl<K: Ord, V> Default for SortedMap<K, V> {
    fn default() -> SortedMap<K, V> {
        SortedMap::new()
    }
}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<K: Ord, Q: Ord + ?Sized, V> Index<&Q> for SortedMap<K, V>
where
    K: Borrow<Q>,
{
    type Output = V;

    /// # Panics
    /// If the key is not there.
    fn index(&self, name: &Q) -> &V {
        self.get(name).expect("the key is in the map")
    }
}

/// Of a key that is given twice the last value counts.
impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> SortedMap<K, V> {
        let mut entries: Vec<(K, V)> = entries.into_iter().collect();
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.reverse();
            entries.dedup_by(|a, b| a.0 == b.0);
            entries.reverse();
        }
        SortedMap(entries.into_boxed_slice())
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(entries: [(K, V); N]) -> SortedMap<K, V> {
        entries.into_iter().collect()
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        Iter(self.0.iter())
    }
}

/// Entries in the order of their keys.
pub struct Iter<'a, K, V>(std::slice::Iter<'a, (K, V)>);

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Iter(self.0.clone())
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(k, v)| (k, v))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(k, v)| (k, v))
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

/// What something waits for. Cloning shares it: one instance's attributes all wait for the same.
///
/// Invariant: sorted, none twice; `None` is the empty set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Causes(Option<Arc<[Cause]>>);

impl Causes {
    pub fn new() -> Causes {
        Causes::default()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Cause> {
        self.into_iter()
    }

    pub fn len(&self) -> usize {
        self.iter().len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn contains(&self, cause: &Cause) -> bool {
        self.0.as_ref().is_some_and(|all| all.binary_search(cause).is_ok())
    }

    pub fn insert(&mut self, cause: Cause) {
        if !self.contains(&cause) {
            *self = self.iter().cloned().chain([cause]).collect();
        }
    }

    /// Adds another set; nothing is copied where one of them is in the other.
    pub fn join(&mut self, other: &Causes) {
        if self.is_empty() {
            *self = other.clone();
        } else if !other.iter().all(|cause| self.contains(cause)) {
            *self = self.iter().chain(other).cloned().collect();
        }
    }
}

impl FromIterator<Cause> for Causes {
    fn from_iter<I: IntoIterator<Item = Cause>>(causes: I) -> Causes {
        let mut all: Vec<Cause> = causes.into_iter().collect();
        all.sort();
        all.dedup();
        Causes((!all.is_empty()).then(|| all.into()))
    }
}

impl Extend<Cause> for Causes {
    fn extend<I: IntoIterator<Item = Cause>>(&mut self, causes: I) {
        let mut more = causes.into_iter().peekable();
        if more.peek().is_some() {
            *self = self.iter().cloned().chain(more).collect();
        }
    }
}

impl<const N: usize> From<[Cause; N]> for Causes {
    fn from(causes: [Cause; N]) -> Causes {
        causes.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Causes {
    type Item = &'a Cause;
    type IntoIter = std::slice::Iter<'a, Cause>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.as_deref().unwrap_or_default().iter()
    }
}

impl IntoIterator for Causes {
    type Item = Cause;
    type IntoIter = std::vec::IntoIter<Cause>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().cloned().collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_sorted_and_the_last_of_equal_names_counts() {
        let name = |s: &str| -> Arc<str> { s.into() };
        let mut map: NameMap<i32> =
            [(name("b"), 1), (name("a"), 2), (name("b"), 3), (name("c"), 4)].into_iter().collect();
        assert_eq!(map.iter().map(|(k, v)| (&**k, *v)).collect::<Vec<_>>(), [("a", 2), ("b", 3), ("c", 4)]);
        assert_eq!((map.insert(name("aa"), 5), map.insert(name("a"), 6)), (None, Some(2)));
        assert_eq!((map.get("a"), map.get("aa"), map.get("z"), map.len()), (Some(&6), Some(&5), None, 4));
    }

    #[test]
    fn causes_are_a_set() {
        let cause = |s: &str| Cause::Function(s.into());
        let mut causes: Causes = [cause("b"), cause("a"), cause("b")].into();
        assert_eq!(causes.len(), 2);
        causes.insert(cause("a"));
        causes.join(&[cause("c")].into());
        assert!(causes.len() == 3 && causes.contains(&cause("c")) && !causes.contains(&cause("d")));
        assert_eq!(Causes::new(), Vec::new().into_iter().collect());
    }
}
