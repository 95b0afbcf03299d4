//! What is read from a view, a page at a time.

use bytes::Bytes;

use crate::store::Position;

/// The most documents in a page.
pub const MAX_PAGE: usize = 1_000;

/// Which part of a list to read: behind a key, and no more documents than a limit.
///
/// A list is in the order of its keys, byte by byte, and goes on behind the last key of the page
/// before. So a document that is there all the while comes exactly once, whatever others write between
/// two pages.
///
/// ```
/// use cim_es::store::read_model::Page;
///
/// let first = Page::first(20);
/// let next = first.after("the last key of the first page");
/// assert_eq!(next.limit(), 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    after: Option<String>,
    limit: usize,
}

impl Page {
    /// The beginning of a list, with 1 to 1,000 documents at most: another limit is the nearest of
    /// these.
    pub fn first(limit: usize) -> Self {
        Self {
            after: None,
            limit: limit.clamp(1, MAX_PAGE),
        }
    }

    /// As many documents behind a key, which need not be there any more.
    #[must_use]
    pub fn after(self, key: impl Into<String>) -> Self {
        Self {
            after: Some(key.into()),
            ..self
        }
    }

    /// The key behind which it begins; none for the beginning of the list.
    pub fn start(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The most documents in it.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

impl Default for Page {
    /// The first 100 documents.
    fn default() -> Self {
        Self::first(100)
    }
}

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Bytes,
}

/// A part of a list of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentPage {
    /// The documents in the order of their keys. A storage may give fewer than were asked for, such as
    /// where they are large.
    pub documents: Vec<StoredDocument>,
    /// The key to go on behind; none when the list ends here.
    pub next: Option<String>,
}

/// An answer, and the position up to which it is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpTo<T> {
    /// The answer.
    pub value: T,
    /// The position of the last event that is counted in it.
    pub position: Position,
}

impl<T> UpTo<T> {
    /// The same with another answer made of this one.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> UpTo<U> {
        UpTo {
            value: make(self.value),
            position: self.position,
        }
    }

    /// The same with another answer made of this one, if one can be made.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn try_map<U, E>(self, make: impl FnOnce(T) -> Result<U, E>) -> Result<UpTo<U>, E> {
        Ok(UpTo {
            value: make(self.value)?,
            position: self.position,
        })
    }
}
