//! What can go wrong with a document.

use crate::store::read_model::{MAX_KEY, ReadModelError, Unserved};

/// What can go wrong with a document; each says what was wrong, where, and what to do. What led to it
/// is its source, see [`ErrorChain`](crate::ErrorChain).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A text cannot be the key of a document.
    #[error("a key has 1 to {MAX_KEY} bytes, this one has {bytes}: `{start}`")]
    InvalidKey {
        /// Its length in bytes.
        bytes: usize,
        /// How it begins.
        start: String,
    },
    /// The document cannot be stored as it is.
    #[error("document `{}` ({document}) cannot be stored: {reason}", key.escape_debug())]
    NotStorable {
        /// The type.
        document: &'static str,
        /// The key.
        key: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// What is stored is not such a document.
    #[error(
        "document `{}` is stored in another form than `{document}` has here: {reason}; read it with the type that the view was built with, or raise the version of the projection",
        key.escape_debug()
    )]
    NotReadable {
        /// The type that was asked for.
        document: &'static str,
        /// The key.
        key: String,
        /// What the decoder said.
        reason: String,
    },
    /// Documents are not found by this field.
    #[error("`{document}` is not found by `{}`{}", field.escape_debug(), indexes(known))]
    NotIndexed {
        /// The type.
        document: &'static str,
        /// What was asked for.
        field: String,
        /// The fields that are indexes.
        known: &'static [&'static str],
    },
    /// Documents are found by one value at a time.
    #[error("documents are found by one value, and `{field}` was asked for {values}: {reason}")]
    NotOneValue {
        /// The index.
        field: String,
        /// How many values were given.
        values: usize,
        /// What to do.
        reason: String,
    },
    /// Nobody serves the view yet.
    #[error("no version of view `{name}` can be asked yet: {why}")]
    NotServing {
        /// The name of the view.
        name: String,
        /// What is known of it.
        why: Unserved,
    },
    /// The storage failed, has no such view, or no view can have that name.
    #[error(transparent)]
    Storage(#[from] ReadModelError),
}

fn indexes(known: &[&str]) -> String {
    match known {
        [] => {
            ": it has no `#[index]`; put one on the field, and raise the version of the projection"
                .to_owned()
        }
        known => format!(
            ": its indexes are {}; put `#[index]` on the field, and raise the version of the projection",
            known
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
