//! The unique names that an author's function lists.

use crate::domain::aggregate::UniqueName;

/// Collects the names; a function of its own, so that an error about their type is about the author's function.
pub fn unique_names(names: impl IntoIterator<Item = UniqueName>) -> Vec<UniqueName> {
    names.into_iter().collect()
}
