//! Aggregates by numbers, looked up without making a key for each event.

use std::collections::HashMap;

use crate::block::Envelope;
use crate::domain::aggregate::{IdText, IdTextError};
use crate::store::AggregateKey;

/// Aggregates in the order in which they were met, each with its number.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    numbers: HashMap<Box<str>, HashMap<Box<str>, usize>>,
    keys: Vec<AggregateKey>,
}

impl Numbering {
    /// The number of an event's aggregate, if it was met.
    pub(super) fn find(&self, envelope: &Envelope) -> Option<usize> {
        self.find_named(&envelope.aggregate, &envelope.aggregate_id)
    }

    /// The same by kind and id.
    pub(super) fn find_named(&self, kind: &str, id: &str) -> Option<usize> {
        self.numbers.get(kind)?.get(id).copied()
    }

    /// The number of an event's aggregate; the number of aggregates that were met before where it is new.
    pub(super) fn number(&mut self, envelope: &Envelope) -> Result<usize, IdTextError> {
        self.number_named(&envelope.aggregate, &envelope.aggregate_id)
    }

    /// The same by kind and id.
    pub(super) fn number_named(&mut self, kind: &str, id: &str) -> Result<usize, IdTextError> {
        if let Some(number) = self.find_named(kind, id) {
            return Ok(number);
        }
        let id = IdText::new(id)?;
        Ok(self.add(AggregateKey::new(kind.to_owned(), id)))
    }

    /// Adds an aggregate, or finds it.
    pub(super) fn add(&mut self, key: AggregateKey) -> usize {
        let next = self.keys.len();
        let ids = self.numbers.entry(key.kind().into()).or_default();
        let number = *ids.entry(key.id().as_str().into()).or_insert(next);
        if number == next {
            self.keys.push(key);
        }
        number
    }

    pub(super) fn key(&self, number: usize) -> &AggregateKey {
        &self.keys[number]
    }

    pub(super) fn keys(&self) -> &[AggregateKey] {
        &self.keys
    }
}
