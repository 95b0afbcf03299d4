//! What one commit changes in a view.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use uuid::Uuid;

use super::{Parked, ReadModelError, Skipped, ViewId};
use crate::store::Bookmark;

/// The longest key of a document in bytes; the shortest has one.
pub const MAX_KEY: usize = 255;
/// The longest value of an index entry in bytes; it may be empty.
pub const MAX_INDEX_VALUE: usize = 1_024;

/// What one commit changes in a view: all of it is stored, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewChanges {
    /// Who commits, and must hold the view.
    pub holder: Uuid,
    /// The last event that was counted before; the commit is refused where the view has another.
    pub after: Bookmark,
    /// The last event that is counted with it.
    pub up_to: Bookmark,
    /// The documents that change, each key once.
    pub documents: Vec<DocumentChange>,
    /// Whether the view stands still behind `up_to`, in place of what was recorded before.
    pub parked: Option<Parked>,
    /// Further events that were passed over.
    pub skipped: Vec<Skipped>,
}

impl ViewChanges {
    /// A commit that counts the events behind `after` up to `up_to`, and changes no document yet.
    pub fn new(holder: Uuid, after: Bookmark, up_to: Bookmark) -> Self {
        Self {
            holder,
            after,
            up_to,
            documents: Vec::new(),
            parked: None,
            skipped: Vec::new(),
        }
    }

    /// The same with documents.
    #[must_use]
    pub fn with_documents(self, documents: Vec<DocumentChange>) -> Self {
        Self { documents, ..self }
    }

    /// The same for a view that stands still at the event behind `up_to`.
    #[must_use]
    pub fn parked(self, parked: Parked) -> Self {
        Self {
            parked: Some(parked),
            ..self
        }
    }

    /// The same with an event that was passed over.
    #[must_use]
    pub fn skipping(mut self, skipped: Skipped) -> Self {
        self.skipped.push(skipped);
        self
    }

    /// Checks what every storage asks of a commit, before it looks at the view.
    ///
    /// # Errors
    /// [`ReadModelError::InvalidChanges`] for a position that goes back, a key that is empty, too long or
    /// there twice, an index entry with an empty or too long name or a too long value, and one of a
    /// document that is removed.
    pub fn check(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let refuse = |reason: String| {
            Err(ReadModelError::InvalidChanges {
                view: view.clone(),
                reason,
            })
        };
        if self.up_to.position < self.after.position {
            return refuse(format!(
                "it goes back from position {} to {}",
                self.after.position, self.up_to.position
            ));
        }
        let mut keys = HashSet::with_capacity(self.documents.len());
        for document in &self.documents {
            if let Err(reason) = document.check() {
                return refuse(reason);
            }
            if !keys.insert(document.key.as_str()) {
                return refuse(format!(
                    "it changes document `{}` twice; give each document its last value",
                    shown(&document.key)
                ));
            }
        }
        Ok(())
    }
}

/// What becomes of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentChange {
    /// Its key: any text of 1 to 255 bytes.
    pub key: String,
    /// Its bytes from now on; none removes it.
    pub value: Option<Bytes>,
    /// All its index entries from now on, in place of those that it had; one that stands there twice
    /// counts once. A document that is removed has none.
    pub index: Vec<IndexEntry>,
}

impl DocumentChange {
    /// A document that is written, or written over.
    pub fn put(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
            index: Vec::new(),
        }
    }

    /// A document that is removed, if it is there.
    pub fn delete(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: None,
            index: Vec::new(),
        }
    }

    /// The same with a further index entry.
    #[must_use]
    pub fn indexed(
        mut self,
        field: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        self.index.push(IndexEntry::new(field, value));
        self
    }

    fn check(&self) -> Result<(), String> {
        // Made only for what is refused: every document of every commit comes here.
        let key = || shown(&self.key);
        if !has_key_length(&self.key) {
            let bytes = self.key.len();
            return Err(format!(
                "a key has 1 to {MAX_KEY} bytes, `{}` has {bytes}",
                key()
            ));
        }
        if self.value.is_none() && !self.index.is_empty() {
            return Err(format!(
                "document `{}` is removed and has index entries all the same",
                key()
            ));
        }
        for entry in &self.index {
            if !has_key_length(&entry.field) {
                let bytes = entry.field.len();
                return Err(format!(
                    "document `{}`: the name of an index has 1 to {MAX_KEY} bytes, one has {bytes}",
                    key()
                ));
            }
            if entry.value.len() > MAX_INDEX_VALUE {
                return Err(format!(
                    "document `{}`: the value of index `{}` has {} bytes, and {MAX_INDEX_VALUE} at most \
                     can be found by; index a shorter part of it",
                    key(),
                    shown(&entry.field),
                    entry.value.len()
                ));
            }
        }
        Ok(())
    }
}

/// A text by which a document is found, beside its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexEntry {
    /// The index, by the name of the document's field.
    pub field: Cow<'static, str>,
    /// The value: any text of up to 1,024 bytes.
    pub value: String,
}

impl IndexEntry {
    /// An entry.
    pub fn new(field: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            value: value.into(),
        }
    }
}

/// Whether a text is as long as a key may be.
pub(super) fn has_key_length(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len())
}

/// The beginning of a text that may be long, with nothing in it that a terminal would act on.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 64;
    let start: String = text.chars().take(LONGEST).collect();
    let end = if start.len() < text.len() { "…" } else { "" };
    format!("{}{end}", start.escape_debug())
}
