//! The log of events and what finds them in it.

use std::collections::HashMap;

use cid::Cid;

use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;
use crate::store::{AggregateKey, Head, Position, SealedEvent};

/// Events in the order of their positions: the event at position `n` stands at place `n - 1`.
#[derive(Default)]
pub(super) struct Log {
    events: Vec<StoredEvent>,
    of_aggregate: HashMap<AggregateKey, Vec<usize>>,
    of_type: HashMap<String, Vec<usize>>,
    of_cid: HashMap<Cid, usize>,
}

impl Log {
    pub(super) fn append(&mut self, sealed: Vec<SealedEvent>) -> Vec<StoredEvent> {
        let first = self.events.len();
        for event in sealed {
            let place = self.events.len();
            let event = event.into_stored(Position(place as u64 + 1));
            self.of_aggregate
                .entry(key_of(&event))
                .or_default()
                .push(place);
            self.of_type
                .entry(event.envelope.event_type.clone())
                .or_default()
                .push(place);
            self.of_cid.insert(event.cid, place);
            self.events.push(event);
        }
        self.events[first..].to_vec()
    }

    pub(super) fn head(&self, aggregate: &AggregateKey) -> Option<Head> {
        self.last(aggregate).map(StoredEvent::head)
    }

    pub(super) fn last(&self, aggregate: &AggregateKey) -> Option<&StoredEvent> {
        let places = self.of_aggregate.get(aggregate)?;
        places.last().map(|place| &self.events[*place])
    }

    pub(super) fn of_aggregate(
        &self,
        aggregate: &AggregateKey,
        from_version: u64,
    ) -> Vec<StoredEvent> {
        let skip = usize::try_from(from_version.saturating_sub(1)).unwrap_or(usize::MAX);
        let places = self
            .of_aggregate
            .get(aggregate)
            .map_or(&[][..], Vec::as_slice);
        places
            .iter()
            .skip(skip)
            .map(|place| self.events[*place].clone())
            .collect()
    }

    pub(super) fn of_type(
        &self,
        event_type: &str,
        after: Position,
        limit: usize,
    ) -> Vec<StoredEvent> {
        let places = self.of_type.get(event_type).map_or(&[][..], Vec::as_slice);
        let start = places.partition_point(|place| self.events[*place].position <= after);
        places[start..]
            .iter()
            .take(limit)
            .map(|place| self.events[*place].clone())
            .collect()
    }

    pub(super) fn by_cid(&self, cid: &Cid) -> Option<&StoredEvent> {
        self.of_cid.get(cid).map(|place| &self.events[*place])
    }

    pub(super) fn page(&self, after: Position, until: Position, limit: usize) -> Vec<StoredEvent> {
        let place = |position: Position| {
            usize::try_from(position.0).map_or(self.events.len(), |n| n.min(self.events.len()))
        };
        let (start, end) = (place(after), place(until));
        let events = self.events.get(start..end).unwrap_or_default();
        events.iter().take(limit).cloned().collect()
    }
}

/// The key under which an event is found; its id stood in a key before.
fn key_of(event: &StoredEvent) -> AggregateKey {
    let id = IdText::trusted(&event.envelope.aggregate_id);
    AggregateKey::new(event.envelope.aggregate.clone(), id)
}
