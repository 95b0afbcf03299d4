//! Commits that were proved, and what proves them.

use std::collections::HashMap;
use std::sync::Arc;

use cid::Cid;
use lru::DefaultHasher as Hasher;
use uuid::Uuid;

use super::seal::{MAX_ENVELOPE, MAX_EVENTS};
use super::{AggregateKey, Position, SealOptions, SealedEvent, StoreError};
use crate::block::payload::PayloadError;
use crate::block::{ChainVerifier, CommitVerifier, Fault, StoredEvent};
use crate::domain::aggregate::IdText;
use crate::domain::subject::pattern::is_subject;

/// A commit whose blocks were proved: it can be made by proving alone and never changed, so a store that is given one stores
/// it without hashing it again ([`append_proved`](super::EventStore::append_proved)).
///
/// What proves it depends on where its events come from:
/// - [`SealedCommit::prove`](super::SealedCommit::prove), for blocks from anywhere, does all of it: both hashes of each
///   event, their canonical form, the chain within each aggregate, the whole commit, and what no store seals.
/// - The import of a bundle has just hashed its blocks and read its envelopes on the same thread, so it does the rest alone.
/// - Events that a store gave, of any engine, may have been altered since: their CID and their envelope are open to everyone.
///   So the envelope block is hashed again, and compared with the envelope field by field. Its payload is not: nobody outside
///   this crate can give a [`StoredEvent`] another body than the one whose payload was hashed when the event was made, and
///   the envelope block in it holds that hash.
///
/// What is left for a store is what depends on the store: its [limits](Self::fits), and what the commit follows
/// ([`plan`](super::plan)).
#[derive(Clone, Debug)]
pub struct ProvedCommit(Arc<Proved>);

#[derive(Debug)]
struct Proved {
    parts: Vec<Part>,
    events: Vec<SealedEvent>,
}

/// What a commit has of one aggregate.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) aggregate: AggregateKey,
    /// The version that it follows, and the event there.
    pub(super) before: u64,
    pub(super) previous: Option<Cid>,
    /// The places of its events in the commit.
    pub(super) places: Vec<usize>,
}

impl Part {
    fn beginning_with(aggregate: AggregateKey, first: &StoredEvent) -> Result<Self, StoreError> {
        let (sequence, previous) = (first.envelope.sequence, first.envelope.previous);
        if (sequence == 1) != previous.is_none() {
            let fault = Fault::PreviousMismatch {
                expected: None,
                found: previous,
            };
            return Err(fault.at(first.place()).into());
        }
        Ok(Self {
            aggregate,
            before: sequence.saturating_sub(1),
            previous,
            places: Vec::new(),
        })
    }
}

/// A commit of which events are still to be looked at.
#[derive(Default)]
struct Proving {
    commit: CommitVerifier,
    parts: Vec<Part>,
    chains: Vec<ChainVerifier<'static>>,
    /// The parts by their aggregates, once there are several.
    places: HashMap<AggregateKey, usize, Hasher>,
    /// The message behind the first event.
    command: Option<Uuid>,
    /// How many events were looked at.
    checked: usize,
    events: Vec<SealedEvent>,
}

impl Proving {
    /// Whether it ends with this event, which was proved by itself.
    fn accept(&mut self, event: StoredEvent) -> Result<bool, StoreError> {
        let is_end = self.check(&event)?;
        self.events.push(event.into());
        Ok(is_end)
    }

    /// The same for an event that is kept elsewhere.
    fn check(&mut self, event: &StoredEvent) -> Result<bool, StoreError> {
        check_event(event)?;
        let is_end = self.commit.accept(event)?;
        let command = event.envelope.causation_id;
        if *self.command.get_or_insert(command) != command {
            return Err(invalid(format!(
                "block {} is of another command than the first",
                self.checked + 1
            )));
        }
        let part = self.part_of(event)?;
        self.chains[part].accept(event)?;
        self.parts[part].places.push(self.checked);
        self.checked += 1;
        Ok(is_end)
    }

    /// Looks at all events of a commit.
    fn check_all(&mut self, events: &[StoredEvent]) -> Result<(), StoreError> {
        check_count(events.len())?;
        for (event, number) in events.iter().zip(1..) {
            if self.check(event)? && number < events.len() {
                return Err(several(number));
            }
        }
        Ok(std::mem::take(&mut self.commit).finish()?)
    }

    fn into_proved(self) -> ProvedCommit {
        ProvedCommit(Arc::new(Proved {
            parts: self.parts,
            events: self.events,
        }))
    }

    fn part_of(&mut self, event: &StoredEvent) -> Result<usize, StoreError> {
        if let Some(last) = self.parts.last()
            && last.aggregate.has(event)
        {
            return Ok(self.parts.len() - 1);
        }
        let key = key_of(event)?;
        if let Some(first) = self.parts.first()
            && self.places.is_empty()
        {
            self.places.insert(first.aggregate.clone(), 0);
        }
        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        let place = self.parts.len();
        let sequence = event.envelope.sequence;
        self.chains
            .push(ChainVerifier::from_sequence(&key, sequence));
        if place > 0 {
            self.places.insert(key.clone(), place);
        }
        self.parts.push(Part::beginning_with(key, event)?);
        Ok(place)
    }
}

impl ProvedCommit {
    /// Proves that events, a number of them and each proved by itself, are one whole commit.
    pub(crate) fn of(
        count: usize,
        verified: impl IntoIterator<Item = Result<StoredEvent, StoreError>>,
    ) -> Result<Self, StoreError> {
        check_count(count)?;
        let mut proving = Proving {
            events: Vec::with_capacity(count),
            ..Proving::default()
        };
        for (event, number) in verified.into_iter().zip(1..) {
            if proving.accept(event?)? && number < count {
                return Err(several(number));
            }
        }
        std::mem::take(&mut proving.commit).finish()?;
        Ok(proving.into_proved())
    }

    /// Proves that events which a store gave are one whole commit: see the type for what is proved of each. Gives them back
    /// where they are not.
    pub(crate) fn of_read(
        events: Vec<StoredEvent>,
    ) -> Result<Self, (StoreError, Vec<StoredEvent>)> {
        if !events.iter().all(StoredEvent::is_as_read) {
            let verified = events.iter().zip(1..).map(|(event, number)| {
                let (cid, body) = (event.cid, event.body().clone());
                StoredEvent::verify(Position(number), cid, body).map_err(StoreError::from)
            });
            return Self::of(events.len(), verified).map_err(|error| (error, events));
        }
        let mut proving = Proving::default();
        match proving.check_all(&events) {
            Ok(()) => {
                proving.events = events.into_iter().map(SealedEvent::from).collect();
                Ok(proving.into_proved())
            }
            Err(error) => Err((error, events)),
        }
    }

    /// Whether a store with these options takes it.
    ///
    /// # Errors
    /// [`StoreError::Payload`] where a payload is too large.
    pub fn fits(&self, options: &SealOptions) -> Result<(), StoreError> {
        for event in &self.0.events {
            let payload = event.payload();
            if payload.len() > options.max_payload {
                let (kind, limit) = (&event.envelope.event_type, options.max_payload);
                return Err(PayloadError::too_large(kind, payload, limit).into());
            }
        }
        Ok(())
    }

    /// The aggregates in the order in which the commit first names them.
    pub fn aggregates(&self) -> impl Iterator<Item = &AggregateKey> {
        self.0.parts.iter().map(|part| &part.aggregate)
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.0.parts
    }

    /// The events in the order of the commit.
    pub fn events(&self) -> &[SealedEvent] {
        &self.0.events
    }

    /// The same, to store them.
    pub fn into_events(self) -> Vec<SealedEvent> {
        match Arc::try_unwrap(self.0) {
            Ok(proved) => proved.events,
            Err(shared) => shared.events.clone(),
        }
    }

    /// The same, each with its aggregate.
    pub fn events_of(&self) -> impl Iterator<Item = (&AggregateKey, &SealedEvent)> {
        let (parts, events) = (&self.0.parts, &self.0.events);
        let part_of = match parts.len() {
            1 => Vec::new(),
            _ => {
                let mut part_of = vec![0; events.len()];
                for (number, part) in parts.iter().enumerate() {
                    for place in &part.places {
                        part_of[*place] = number;
                    }
                }
                part_of
            }
        };
        events.iter().enumerate().map(move |(place, event)| {
            let part = part_of.get(place).copied().unwrap_or(0);
            (&parts[part].aggregate, event)
        })
    }

    /// The versions of an aggregate that the commit gives events, first and last.
    #[cfg(feature = "jetstream")]
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&AggregateKey, u64, u64)> {
        self.0.parts.iter().map(|part| {
            let last = part.before + part.places.len() as u64;
            (&part.aggregate, part.before + 1, last)
        })
    }
}

fn check_count(count: usize) -> Result<(), StoreError> {
    if count == 0 {
        return Err(invalid("it has no event: leave it out"));
    }
    if count > MAX_EVENTS {
        return Err(invalid(format!(
            "it has {count} events, a commit has at most {MAX_EVENTS}"
        )));
    }
    Ok(())
}

/// The error for events of which the first commit ends before the last of them.
fn several(end: usize) -> StoreError {
    invalid(format!(
        "it has more than one commit: the first one ends with block {end}"
    ))
}

/// Refuses what no store seals.
fn check_event(event: &StoredEvent) -> Result<(), StoreError> {
    let envelope = &event.envelope;
    let (kind, event_type) = (&envelope.aggregate, &envelope.event_type);
    for (text, what) in [(kind, "kind of aggregate"), (event_type, "type of event")] {
        if !is_subject(text) {
            return Err(invalid(format!(
                "`{text}` is not a valid {what}: it must be tokens with dots between"
            )));
        }
    }
    if envelope.schema == 0 {
        return Err(invalid(format!(
            "event `{event_type}` has schema version 0: versions start at 1"
        )));
    }
    let bytes = event.envelope_bytes().len();
    if bytes > MAX_ENVELOPE {
        return Err(invalid(format!(
            "the envelope of event `{event_type}` has {bytes} bytes, the limit is {MAX_ENVELOPE}"
        )));
    }
    Ok(())
}

fn key_of(event: &StoredEvent) -> Result<AggregateKey, StoreError> {
    let id = IdText::new(&event.envelope.aggregate_id)?;
    Ok(AggregateKey::new(event.envelope.aggregate.clone(), id))
}

pub(super) fn invalid(reason: impl Into<String>) -> StoreError {
    StoreError::InvalidCommit {
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::ProvedCommit;
    use crate::block::{AggregateKey, StoredEvent};
    use crate::domain::aggregate::IdText;
    use crate::domain::message::{Clock, MessageIdentity, SystemClock};
    use crate::store::{
        CommitRequest, ExpectedVersion, NewEvent, Position, SealOptions, StoreError, seal,
    };

    /// A commit of two events, as a store gives it.
    fn read() -> Vec<StoredEvent> {
        let key = AggregateKey::new("home.lamp", IdText::new("lamp-1").expect("an id"));
        let event = || NewEvent::from_payload("home.lamp.switched", 1, vec![0xa0]);
        let commit = CommitRequest::new(MessageIdentity::new_from_user("ann"), SystemClock.now());
        let commit = commit.aggregate(key, ExpectedVersion::NoStream, vec![event(), event()]);
        let sealed = seal(commit, &[None], &SealOptions::default()).expect("it is sealed");
        let placed = sealed.into_iter().zip(1..);
        placed
            .map(|(event, at)| event.into_stored(Position(at)))
            .collect()
    }

    #[test]
    fn what_a_store_gave_is_proved_without_its_payload() {
        let events = read();
        assert!(events.iter().all(StoredEvent::is_as_read));
        let read = events.iter().map(|event| event.cid).collect::<Vec<_>>();
        let proved = ProvedCommit::of_read(events).expect("it is a whole commit");
        let cids = proved.events().iter().map(|event| event.cid);
        assert!(cids.eq(read));
    }

    #[test]
    fn an_event_with_the_cid_of_another_is_refused() {
        let mut events = read();
        events[1].cid = events[0].cid;
        assert!(!events[1].is_as_read());
        let outcome = ProvedCommit::of_read(events.clone());
        let Err((StoreError::Unproved(_), given_back)) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(given_back, events);
    }

    #[test]
    fn of_an_altered_envelope_the_block_is_what_counts() {
        let whole = read();
        let mut events = whole.clone();
        events[1].envelope.event_type = "home.lamp.broken".to_owned();
        events[0].envelope.source = Some("elsewhere".to_owned());
        assert!(!events.iter().any(StoredEvent::is_as_read));
        let proved = ProvedCommit::of_read(events).expect("the blocks are a whole commit");
        let envelopes = proved.events().iter().map(|event| &event.envelope);
        assert!(envelopes.eq(whole.iter().map(|event| &event.envelope)));
    }
}
