//! A document under its key, with its last value and the one before.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::JetStreamReadModels;
use super::record::Record;
use crate::engine::jetstream::buckets::name::token;
use crate::store::StoreError;
use crate::store::read_model::{DocumentChange, IndexEntry};

/// What an attempt made of a document.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Version {
    /// The attempt; 0 before there was any.
    pub(super) attempt: u64,
    /// None for a document that is not there.
    value: Option<ByteBuf>,
    index: Vec<(String, String)>,
}

/// The value of a document's key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Document {
    /// Of the last attempt.
    pub(super) now: Version,
    /// Of the last attempt that was committed when that one was begun.
    pub(super) before: Version,
}

/// A document, and the revision that the next write on it must name.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) document: Document,
    pub(super) revision: u64,
}

impl Version {
    pub(super) fn new(attempt: u64, change: &DocumentChange) -> Self {
        let mut index: Vec<_> = change
            .index
            .iter()
            .map(|entry| (entry.field.clone().into_owned(), entry.value.clone()))
            .collect();
        index.sort_unstable();
        index.dedup();
        Self {
            attempt,
            value: change
                .value
                .as_ref()
                .map(|value| ByteBuf::from(value.to_vec())),
            index,
        }
    }

    pub(super) fn value(&self) -> Option<Bytes> {
        self.value
            .as_ref()
            .map(|value| Bytes::copy_from_slice(value))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.index.iter().map(|(field, value)| (&**field, &**value))
    }

    pub(super) fn has(&self, entry: &IndexEntry) -> bool {
        self.entries()
            .any(|(field, value)| field == entry.field && value == entry.value)
    }
}

impl Document {
    /// The value as far as a view has come; none when it has come further since than both of them.
    pub(super) fn seen_from(&self, record: &Record) -> Option<&Version> {
        [&self.now, &self.before]
            .into_iter()
            .find(|version| record.has_committed(version.attempt))
    }
}

impl JetStreamReadModels {
    pub(super) fn document_subject(&self, record: &Record, key: &str) -> String {
        let build = record.build.simple();
        self.subject(&format!("doc.{build}.{}", token(key)))
    }

    pub(super) fn index_subject(
        &self,
        record: &Record,
        (field, value): (&str, &str),
        key: &str,
    ) -> String {
        let build = record.build.simple();
        let (field, value) = (token(field), token(value));
        self.subject(&format!("index.{build}.{field}.{value}.{key}"))
    }

    /// What stands under the key of a document.
    pub(super) async fn document(&self, record: &Record, key: &str) -> Result<Found, StoreError> {
        let subject = self.document_subject(record, key);
        let Some(message) = self.bucket.last(&subject, 0).await? else {
            return Ok(Found::default());
        };
        let document = match &message.body[..] {
            // A tool that deletes a key leaves an empty value.
            [] => Err(self.changed(&subject)),
            bytes => serde_ipld_dagcbor::from_slice(bytes).map_err(|_| self.changed(&subject)),
        };
        Ok(Found {
            document: document?,
            revision: message.sequence,
        })
    }
}
