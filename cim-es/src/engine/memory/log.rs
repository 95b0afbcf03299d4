//! The log of events and what finds them in it.

use std::collections::{HashMap, HashSet};

use cid::Cid;
use uuid::Uuid;

use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;
use crate::store::{
    AggregateKey, Bookmark, Head, KnownMessages, Location, Message, Position, SealedEvent,
    Selection, Standing, StoreError, Versions, key_of, partition,
};

/// How many events a stream takes from the log at a time. They share their bytes with the log.
const PAGE: usize = 256;

/// Events in the order of their positions: the event at position `n` stands at place `n - 1`.
#[derive(Default)]
pub(super) struct Log {
    events: Vec<StoredEvent>,
    /// The partition of each event's aggregate.
    partitions: Vec<u8>,
    of_aggregate: HashMap<AggregateKey, Vec<usize>>,
    kinds: HashMap<IdText, Vec<String>>,
    of_type: HashMap<String, Vec<usize>>,
    of_cid: HashMap<Cid, usize>,
    messages: KnownMessages,
}

impl Log {
    pub(super) fn append(&mut self, sealed: Vec<SealedEvent>) -> Vec<StoredEvent> {
        let first = self.events.len();
        for event in sealed {
            let place = self.events.len();
            let event = event.into_stored(Position(place as u64 + 1));
            let key = key_of(&event);
            let kinds = self.kinds.entry(key.id().clone()).or_default();
            if !kinds.iter().any(|kind| kind == key.kind()) {
                kinds.push(key.kind().to_owned());
            }
            self.of_aggregate.entry(key).or_default().push(place);
            self.of_type
                .entry(event.envelope.event_type.clone())
                .or_default()
                .push(place);
            self.of_cid.insert(event.cid, place);
            self.partitions
                .push(partition(&event.envelope.aggregate_id));
            self.events.push(event);
        }
        self.events[first..].to_vec()
    }

    /// The log without the events at some places; those behind them move up. Which messages are behind the events is
    /// learned again.
    pub(super) fn without(&self, places: &HashSet<usize>) -> Self {
        let kept = self.events.iter().enumerate();
        let kept = kept.filter(|(place, _)| !places.contains(place));
        let mut log = Self::default();
        log.append(kept.map(|(_, event)| event.clone().into()).collect());
        log
    }

    /// The event at a position.
    pub(super) fn at(&self, position: Position) -> Option<&StoredEvent> {
        let place = usize::try_from(position.0).ok()?.checked_sub(1)?;
        self.events.get(place)
    }

    /// The events of an aggregate that a message led to.
    pub(super) fn of_message(
        &mut self,
        aggregate: &AggregateKey,
        message_id: Uuid,
    ) -> Vec<StoredEvent> {
        let head = self.last(aggregate).map(StoredEvent::head);
        let places = self
            .of_aggregate
            .get(aggregate)
            .map_or(&[][..], Vec::as_slice);
        let events = places.iter().map(|place| &self.events[*place]);
        if let Message::Behind(known) = self.messages.find(aggregate, head.as_ref(), message_id) {
            let known = known.map_or(0, |known| known.version);
            let news = events
                .clone()
                .filter(|event| event.envelope.sequence > known);
            news.for_each(|event| self.messages.note(aggregate, event));
        }
        match self.messages.find(aggregate, head.as_ref(), message_id) {
            Message::New => Vec::new(),
            Message::Unclear | Message::Behind(_) => events
                .filter(|event| event.envelope.causation_id == message_id)
                .cloned()
                .collect(),
        }
    }

    /// Remembers the messages behind events that were just stored.
    pub(super) fn note_messages(&mut self, stored: &[StoredEvent]) {
        for event in stored {
            self.messages.note(&key_of(event), event);
        }
    }

    pub(super) fn head(&self, aggregate: &AggregateKey) -> Option<Head> {
        self.last(aggregate).map(StoredEvent::head)
    }

    pub(super) fn last(&self, aggregate: &AggregateKey) -> Option<&StoredEvent> {
        let places = self.of_aggregate.get(aggregate)?;
        places.last().map(|place| &self.events[*place])
    }

    /// The kinds that have events under an id.
    pub(super) fn kinds(&self, id: &IdText) -> &[String] {
        self.kinds.get(id).map_or(&[], Vec::as_slice)
    }

    /// The next events of an aggregate at some versions, a page of them.
    pub(super) fn history(
        &self,
        aggregate: &AggregateKey,
        versions: &Versions,
    ) -> Vec<StoredEvent> {
        let places = self.places_of(aggregate);
        let index = |version: u64| usize::try_from(version).unwrap_or(usize::MAX);
        let end = index(versions.last()).min(places.len());
        let start = index(versions.first() - 1).min(end);
        let events = places[start..end].iter().map(|place| &self.events[*place]);
        page(events).0
    }

    pub(super) fn places_of(&self, aggregate: &AggregateKey) -> &[usize] {
        self.of_aggregate.get(aggregate).map_or(&[], Vec::as_slice)
    }

    /// The position of the last event.
    pub(super) fn end(&self) -> Position {
        Position(self.events.len() as u64)
    }

    /// Compares where a reader was with what is here.
    pub(super) fn check(&self, after: &Bookmark) -> Result<(), StoreError> {
        let found = self.at(after.position);
        after.check(&Location::Memory, self.end(), found.map(|event| event.cid))
    }

    /// The next events of a selection after a position and up to another, a page of them; and up to where they reach.
    pub(super) fn select(
        &self,
        selection: &Selection,
        after: Position,
        until: Position,
    ) -> (Vec<StoredEvent>, Position) {
        let place = |position: Position| {
            usize::try_from(position.0).map_or(self.events.len(), |n| n.min(self.events.len()))
        };
        let (start, end) = (place(after), place(until));
        let wanted = |place: usize| {
            let event = &self.events[place];
            let is_wanted =
                selection.may_have_partition(self.partitions[place]) && selection.includes(event);
            is_wanted.then_some(event)
        };
        let (events, is_cut) = if let Some(key) = selection.one_aggregate() {
            let places = between(self.places_of(key), start, end).iter();
            page(places.copied().filter_map(wanted))
        } else if selection.is_by_type() {
            let types = self.of_type.iter();
            let types = types.filter(|(event_type, _)| selection.may_have_type(event_type));
            let lists = types.map(|(_, places)| between(places, start, end));
            let places = merged(lists.collect());
            page(places.filter_map(wanted))
        } else {
            page((start..end).filter_map(wanted))
        };
        let reached = match events.last() {
            Some(last) if is_cut => last.position,
            _ => until,
        };
        (events, reached)
    }

    pub(super) fn by_cid(&self, cid: &Cid) -> Option<&StoredEvent> {
        self.of_cid.get(cid).map(|place| &self.events[*place])
    }
}

impl Standing for Log {
    fn location(&self) -> Location {
        Location::Memory
    }

    fn head(&mut self, aggregate: &AggregateKey) -> Result<Option<Head>, StoreError> {
        Ok(Log::head(self, aggregate))
    }

    fn event(
        &mut self,
        aggregate: &AggregateKey,
        version: u64,
        _: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let version = Versions::from(version..=version);
        Ok(self.history(aggregate, &version).pop())
    }
}

/// The places from one on and before another; they rise.
fn between(places: &[usize], start: usize, end: usize) -> &[usize] {
    let from = places.partition_point(|place| *place < start);
    let to = places.partition_point(|place| *place < end);
    places.get(from..to).unwrap_or_default()
}

/// The places of several lists in one order.
fn merged(mut lists: Vec<&[usize]>) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let first = lists.iter_mut().filter(|list| !list.is_empty());
        let list = first.min_by_key(|list| list[0])?;
        let (next, rest) = list.split_first()?;
        *list = rest;
        Some(*next)
    })
}

/// The first events of a list, as many as a stream takes at a time, and whether there are more.
fn page<'a>(events: impl Iterator<Item = &'a StoredEvent>) -> (Vec<StoredEvent>, bool) {
    let mut page = Vec::new();
    for event in events {
        if page.len() == PAGE {
            return (page, true);
        }
        page.push(event.clone());
    }
    (page, false)
}
