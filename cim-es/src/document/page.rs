//! Documents with their keys, as they are found.

use super::{Document, DocumentError, declared};
use crate::store::read_model::DocumentPage;

/// A document and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed<D> {
    /// The key.
    pub key: String,
    /// The document.
    pub document: D,
}

/// A page of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<D> {
    /// The documents in the order of their keys.
    pub documents: Vec<Keyed<D>>,
    /// The key to go on behind, with [`Page::after`](crate::store::read_model::Page::after); none when
    /// the list ends here.
    pub next: Option<String>,
}

impl<D: Document> Found<D> {
    pub(super) fn decoded(page: DocumentPage) -> Result<Self, DocumentError> {
        let documents = page.documents.into_iter().map(|stored| {
            let document = declared::decode(&stored.key, &stored.value)?;
            let key = stored.key;
            Ok(Keyed { key, document })
        });
        Ok(Self {
            documents: documents.collect::<Result<_, DocumentError>>()?,
            next: page.next,
        })
    }
}
