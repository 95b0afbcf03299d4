//! What names a document.

use std::borrow::Cow;

use super::DocumentError;
use crate::domain::aggregate::{Id, IdText};
use crate::store::read_model::MAX_KEY;

/// What names a document: a text, or the id of an aggregate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a document",
    label = "a key is a text or an id",
    note = "take its text, such as by `.to_string()`"
)]
pub trait DocumentKey {
    /// The text of the key.
    fn key(&self) -> Cow<'_, str>;
}

impl DocumentKey for str {
    fn key(&self) -> Cow<'_, str> {
        self.into()
    }
}

impl DocumentKey for String {
    fn key(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl<A> DocumentKey for Id<A> {
    fn key(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl DocumentKey for IdText {
    fn key(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl DocumentKey for uuid::Uuid {
    fn key(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl<K: DocumentKey + ?Sized> DocumentKey for &K {
    fn key(&self) -> Cow<'_, str> {
        (**self).key()
    }
}

/// The text of a key that a document can have.
pub(super) fn checked(key: &(impl DocumentKey + ?Sized)) -> Result<Cow<'_, str>, DocumentError> {
    let key = key.key();
    if (1..=MAX_KEY).contains(&key.len()) {
        return Ok(key);
    }
    Err(DocumentError::InvalidKey {
        bytes: key.len(),
        start: key.chars().take(32).flat_map(char::escape_debug).collect(),
    })
}
