//! The parked events of a subscription that keeps the order of each aggregate.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{ParkedEvent, ParkedRequest};
use crate::block::StoredEvent;
use crate::store::Position;

/// What is parked, and what waits behind it.
pub(crate) struct ParkedInOrder {
    events: BTreeMap<Position, ParkedEvent>,
    /// The positions of what is parked of each aggregate.
    aggregates: HashMap<String, BTreeSet<Position>>,
    /// Whether what follows on an aggregate waits behind an event that is parked.
    holds: bool,
}

impl ParkedInOrder {
    pub(crate) fn new(holds: bool) -> Self {
        Self {
            events: BTreeMap::new(),
            aggregates: HashMap::new(),
            holds,
        }
    }

    pub(crate) fn insert(&mut self, event: ParkedEvent) {
        let id = event.aggregate_id.clone();
        let of_aggregate = self.aggregates.entry(id).or_default();
        of_aggregate.insert(event.position);
        self.events.insert(event.position, event);
    }

    pub(crate) fn remove(&mut self, position: Position) {
        let Some(event) = self.events.remove(&position) else {
            return;
        };
        if let Some(of_aggregate) = self.aggregates.get_mut(&event.aggregate_id) {
            of_aggregate.remove(&position);
            if of_aggregate.is_empty() {
                self.aggregates.remove(&event.aggregate_id);
            }
        }
    }

    pub(crate) fn has(&self, position: Position) -> bool {
        self.events.contains_key(&position)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes what a person said of one. Gives whether it is parked.
    pub(crate) fn ask(&mut self, position: Position, request: ParkedRequest) -> bool {
        let Some(parked) = self.events.get_mut(&position) else {
            return false;
        };
        parked.request = Some(request);
        true
    }

    /// Why an event waits; none where it does not.
    pub(crate) fn reason_to_wait(&self, event: &StoredEvent) -> Option<String> {
        let of_aggregate = self.aggregates.get(&event.envelope.aggregate_id);
        let before = of_aggregate.filter(|_| self.holds)?.first()?;
        Some(format!(
            "it waits behind the event at position {before} of its aggregate"
        ))
    }

    /// The first event about which something is to be done, of those behind no other of their aggregate: one that a
    /// person said something about, and one that no longer waits.
    pub(crate) fn next_to_serve(&self) -> Option<ParkedEvent> {
        let is_due = |event: &&ParkedEvent| event.request.is_some() || event.waits();
        let event = match self.holds {
            true => {
                let firsts = self.aggregates.values().filter_map(BTreeSet::first);
                let firsts = firsts.filter_map(|position| self.events.get(position));
                firsts.filter(is_due).min_by_key(|event| event.position)
            }
            false => self.events.values().find(is_due),
        };
        event.cloned()
    }
}
