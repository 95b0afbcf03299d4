//! What the derive writes for a document.

use super::{DocumentError, IndexField, index_text};
use crate::block::payload::written;
use crate::domain::kept::{Plain, Storable, Written};
use crate::store::read_model::{IndexEntry, MAX_INDEX_VALUE};

/// A value that a view keeps by key; `#[derive(Document)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a document",
    label = "this type does not say by which of its fields it is found",
    note = "add `#[derive(Document)]` to the struct, and `#[index]` to the fields that it is found by"
)]
pub trait Document: Storable + Send + Sync + 'static {
    /// The name of the type, for messages.
    const NAME: &'static str;
    /// The fields by which documents are found.
    const INDEXES: &'static [&'static str];
    /// A digest of the fields with their types, attributes and indexes. It is part of the fingerprint
    /// of each projection into this document.
    const FINGERPRINT: u64;

    /// Names the values by which this document is found.
    fn index(&self, index: &mut Index);
}

/// Takes the values by which a document is found.
#[derive(Debug, Default)]
pub struct Index {
    entries: Vec<IndexEntry>,
    refused: Option<(&'static str, String)>,
}

impl Index {
    /// The document is found by the value of a field: by none of an option that is empty, and by each
    /// of a list.
    pub fn add<T: IndexField + ?Sized>(&mut self, field: &'static str, value: &T) {
        match index_text::all(value) {
            Ok(texts) => {
                let entries = texts.into_iter().map(|text| IndexEntry::new(field, text));
                self.entries.extend(entries);
            }
            Err(reason) => self.refused = self.refused.take().or(Some((field, reason))),
        }
    }
}

/// What stands in a struct that is an index is one itself; the derive calls it.
#[doc(hidden)]
pub const fn check_index_field<T: IndexField>() {}

/// A document as it is stored: its bytes, which read back as it is, and its index entries.
///
/// # Errors
/// [`DocumentError::NotStorable`] with the path of the field that is in the way.
pub(super) fn encode<D: Document>(
    key: &str,
    document: &D,
) -> Result<(Vec<u8>, Vec<IndexEntry>), DocumentError> {
    let refuse = |reason: String| DocumentError::NotStorable {
        document: D::NAME,
        key: key.to_owned(),
        reason,
    };
    let bytes =
        written::<_, Plain<D>>(&Written(document)).map_err(|error| refuse(error.to_string()))?;
    let mut index = Index::default();
    document.index(&mut index);
    if let Some((field, reason)) = index.refused {
        return Err(refuse(format!("field `{field}` is no index: {reason}")));
    }
    let mut entries = index.entries;
    entries.sort_unstable();
    entries.dedup();
    match entries
        .iter()
        .find(|entry| entry.value.len() > MAX_INDEX_VALUE)
    {
        None => Ok((bytes, entries)),
        Some(entry) => Err(refuse(format!(
            "the value of index `{}` has {} bytes, and documents are found by {MAX_INDEX_VALUE} at most: index a \
             shorter part of it",
            entry.field,
            entry.value.len()
        ))),
    }
}

/// The document in stored bytes.
///
/// # Errors
/// [`DocumentError::NotReadable`].
pub(super) fn decode<D: Document>(key: &str, bytes: &[u8]) -> Result<D, DocumentError> {
    let decoded: Result<Plain<D>, _> = serde_ipld_dagcbor::from_slice(bytes);
    match decoded {
        Ok(Plain(document)) => Ok(document),
        Err(error) => Err(DocumentError::NotReadable {
            document: D::NAME,
            key: key.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// Refuses to find documents by a field that is not an index.
pub(super) fn check_index<D: Document>(field: &str) -> Result<(), DocumentError> {
    match D::INDEXES.contains(&field) {
        true => Ok(()),
        false => Err(DocumentError::NotIndexed {
            document: D::NAME,
            field: field.to_owned(),
            known: D::INDEXES,
        }),
    }
}
