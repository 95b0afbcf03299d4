//! Commits that were sealed elsewhere: proved, compared with what a store has, and stored as they are.

use std::collections::HashMap;

use cid::Cid;

use super::seal::{MAX_ENVELOPE, MAX_EVENTS};
use super::{AggregateKey, Damage, Head, Location, Position, SealOptions, SealedEvent, StoreError};
use crate::block::payload::PayloadError;
use crate::block::{ChainVerifier, CommitVerifier, EventBlock, Fault, StoredEvent, Verdict};
use crate::domain::aggregate::IdText;
use crate::domain::subject::pattern::is_subject;

/// A commit as it was sealed elsewhere: its blocks, all of them, in their order.
///
/// ```
/// # use cim_es::{block::Verdict, store::*};
/// /// Takes everything that one store has into another.
/// async fn copy(from: &dyn EventStore, to: &dyn EventStore) -> Result<(), Box<dyn std::error::Error>> {
///     let events: Vec<_> = from.read_all(Position::START).try_collect().await?;
///     to.append_sealed(SealedCommit::split(&events)?).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCommit {
    /// The events in the order of the commit.
    pub events: Vec<EventBlock>,
}

/// What became of a commit that was sealed elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendedCommit {
    /// The events at their places in the store.
    pub events: Vec<StoredEvent>,
    /// Whether it stood there already when the store compared. Of several who bring the same commit at the same moment
    /// more than one may be told that it did not, where several servers take writes.
    pub was_there: bool,
}

impl SealedCommit {
    /// The commits that events form, which stand in the order of a store.
    ///
    /// # Errors
    /// [`Verdict`] where events of a commit are missing or do not belong together.
    pub fn split(events: &[StoredEvent]) -> Result<Vec<Self>, Verdict> {
        let mut commits = CommitVerifier::new();
        let (mut split, mut open) = (Vec::new(), Vec::new());
        for event in events {
            let is_end = commits.accept(event)?;
            open.push(EventBlock::from(event));
            if is_end {
                let events = std::mem::take(&mut open);
                split.push(Self { events });
            }
        }
        commits.finish()?;
        Ok(split)
    }

    /// Proves it by itself: each block hashes to its CID and is canonical, the events are one whole commit, and those
    /// of each aggregate follow each other. What it follows in a store is for [`plan`] to say.
    ///
    /// # Errors
    /// [`StoreError::Unproved`] with the verdict, whose position counts the blocks of the commit from 1;
    /// [`StoreError::InvalidCommit`] and [`StoreError::Payload`] for what no store would have sealed.
    pub fn prove(self, options: &SealOptions) -> Result<ProvedCommit, StoreError> {
        let count = self.events.len();
        let events = self.events.into_iter().zip(1..);
        let verified = events.map(|(block, number)| {
            StoredEvent::verify(Position(number), block.cid, block.body).map_err(StoreError::from)
        });
        ProvedCommit::of(count, verified, options)
    }
}

/// A commit whose blocks were proved.
#[derive(Debug)]
pub struct ProvedCommit {
    parts: Vec<Part>,
    events: Vec<SealedEvent>,
}

/// What a commit has of one aggregate.
#[derive(Debug)]
struct Part {
    aggregate: AggregateKey,
    /// The version that it follows, and the event there.
    before: u64,
    previous: Option<Cid>,
    /// The places of its events in the commit.
    places: Vec<usize>,
    chain: ChainVerifier<'static>,
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
            chain: ChainVerifier::from_sequence(&aggregate, sequence),
            aggregate,
            before: sequence.saturating_sub(1),
            previous,
            places: Vec::new(),
        })
    }

    fn accept(&mut self, event: &StoredEvent, place: usize) -> Result<(), StoreError> {
        self.chain.accept(event)?;
        self.places.push(place);
        Ok(())
    }
}

impl ProvedCommit {
    /// Proves that events, a number of them and each proved by itself, are one whole commit.
    pub(crate) fn of(
        count: usize,
        verified: impl IntoIterator<Item = Result<StoredEvent, StoreError>>,
        options: &SealOptions,
    ) -> Result<Self, StoreError> {
        if count == 0 {
            return Err(invalid("it has no event: leave it out"));
        }
        if count > MAX_EVENTS {
            return Err(invalid(format!(
                "it has {count} events, a commit has at most {MAX_EVENTS}"
            )));
        }
        let mut commit = CommitVerifier::new();
        let mut parts: Vec<Part> = Vec::new();
        let mut places = HashMap::new();
        let mut events: Vec<SealedEvent> = Vec::with_capacity(count);
        for (event, number) in verified.into_iter().zip(1..) {
            let event = event?;
            check_event(&event, options)?;
            let is_end = commit.accept(&event)?;
            if is_end && number < count {
                return Err(invalid(format!(
                    "it has more than one commit: the first one ends with block {number}"
                )));
            }
            let first = events.first();
            if first.is_some_and(|first| first.envelope.causation_id != event.envelope.causation_id)
            {
                return Err(invalid(format!(
                    "block {number} is of another command than the first"
                )));
            }
            let key = key_of(&event)?;
            let place = *places.entry(key.clone()).or_insert(parts.len());
            if place == parts.len() {
                parts.push(Part::beginning_with(key, &event)?);
            }
            parts[place].accept(&event, events.len())?;
            events.push(event.into());
        }
        commit.finish()?;
        Ok(Self { parts, events })
    }

    /// The aggregates in the order in which the commit first names them.
    pub fn aggregates(&self) -> impl Iterator<Item = &AggregateKey> {
        self.parts.iter().map(|part| &part.aggregate)
    }

    /// The events in the order of the commit.
    pub fn events(&self) -> &[SealedEvent] {
        &self.events
    }

    /// The same, to store them.
    pub fn into_events(self) -> Vec<SealedEvent> {
        self.events
    }

    /// The same, each with its aggregate.
    pub fn events_of(&self) -> impl Iterator<Item = (&AggregateKey, &SealedEvent)> {
        let mut part_of = vec![0; self.events.len()];
        for (number, part) in self.parts.iter().enumerate() {
            for place in &part.places {
                part_of[*place] = number;
            }
        }
        let parts = &self.parts;
        let of = move |(event, part): (_, usize)| (&parts[part].aggregate, event);
        self.events.iter().zip(part_of).map(of)
    }

    /// The versions of an aggregate that the commit gives events, first and last.
    #[cfg(feature = "jetstream")]
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&AggregateKey, u64, u64)> {
        self.parts.iter().map(|part| {
            let last = part.before + part.places.len() as u64;
            (&part.aggregate, part.before + 1, last)
        })
    }
}

/// What a store has, as far as [`plan`] compares it with what comes from outside.
pub trait Standing {
    /// The file or stream, for messages.
    fn location(&self) -> Location;

    /// The last event of an aggregate; none when it has no event.
    ///
    /// # Errors
    /// What keeps the store from reading it.
    fn head(&mut self, aggregate: &AggregateKey) -> Result<Option<Head>, StoreError>;

    /// The event of an aggregate at a version that it has; `wanted` is the one that is hoped for, for a store that finds
    /// events by their CID.
    ///
    /// # Errors
    /// What keeps the store from reading it.
    fn event(
        &mut self,
        aggregate: &AggregateKey,
        version: u64,
        wanted: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError>;
}

/// What to do with a commit that comes from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// It stands there already.
    There(Vec<StoredEvent>),
    /// It is the same as an earlier one of the list, by its place from 0.
    Repeats(usize),
    /// It follows what is there, and is to be stored.
    Store,
}

/// Compares a list of commits, which may follow each other, with what a store has, and says what to do with each.
/// Nothing is to be stored when one of them is refused.
///
/// # Errors
/// [`StoreError::Diverged`] where another event stands, [`StoreError::MissingPredecessor`] where a history does not
/// reach so far, [`StoreError::Damaged`] where a part of a commit stands.
pub fn plan(commits: &[ProvedCommit], store: &mut dyn Standing) -> Result<Vec<Plan>, StoreError> {
    let mut heads: HashMap<&AggregateKey, Option<(u64, Cid)>> = HashMap::new();
    let mut planned: HashMap<Cid, usize> = HashMap::new();
    let mut plans = Vec::with_capacity(commits.len());
    for (at, commit) in commits.iter().enumerate() {
        let first = commit.events.first().map(|event| event.cid);
        if let Some(earlier) = first.and_then(|first| planned.get(&first))
            && is_same(commit, &commits[*earlier])
        {
            plans.push(Plan::Repeats(*earlier));
            continue;
        }
        let mut there: Vec<Option<StoredEvent>> = vec![None; commit.events.len()];
        for part in &commit.parts {
            let head = match heads.get(&part.aggregate) {
                Some(head) => *head,
                None => {
                    let head = store.head(&part.aggregate)?;
                    let head = head.map(|head| (head.version, head.cid));
                    heads.insert(&part.aggregate, head);
                    head
                }
            };
            if part.follows(commit, head)? {
                continue;
            }
            for (place, version) in part.places.iter().zip(part.before + 1..) {
                let wanted = &commit.events[*place].cid;
                there[*place] = part.compare(store, version, wanted, head)?;
            }
        }
        let found = there.iter().flatten().count();
        if found == 0 {
            for part in &commit.parts {
                let last = part.places.last().map(|last| commit.events[*last].cid);
                let version = part.before + part.places.len() as u64;
                heads.insert(&part.aggregate, last.map(|last| (version, last)));
            }
            if let Some(first) = first {
                planned.insert(first, at);
            }
            plans.push(Plan::Store);
        } else if found == there.len() {
            plans.push(Plan::There(there.into_iter().flatten().collect()));
        } else {
            return Err(in_part(commit, &there, store.location()));
        }
    }
    Ok(plans)
}

impl Part {
    /// Whether the part follows a head; not where some of its versions are there already.
    fn follows(&self, commit: &ProvedCommit, head: Option<(u64, Cid)>) -> Result<bool, StoreError> {
        let version = head.map_or(0, |(version, _)| version);
        if self.before < version {
            return Ok(false);
        }
        if self.before > version {
            return Err(StoreError::MissingPredecessor {
                aggregate: Box::new(self.aggregate.clone()),
                version,
                needed: self.before,
            });
        }
        match (head, self.previous) {
            (Some((_, ours)), Some(theirs)) if ours != theirs => {
                Err(self.diverged(version, ours, theirs))
            }
            (Some(_), None) | (None, Some(_)) => Err(invalid(format!(
                "the events of {} do not link to what they follow",
                commit.parts[0].aggregate
            ))),
            _ => Ok(true),
        }
    }

    /// The event at a version that is there, when it is the same.
    fn compare(
        &self,
        store: &mut dyn Standing,
        version: u64,
        wanted: &Cid,
        head: Option<(u64, Cid)>,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let Some((last, cid)) = head.filter(|(last, _)| version <= *last) else {
            return Ok(None);
        };
        match store.event(&self.aggregate, version, wanted)? {
            Some(event) if event.cid == *wanted => Ok(Some(event)),
            Some(event) => Err(self.diverged(version, event.cid, *wanted)),
            // An earlier commit of the list gives it another event.
            None if version == last => Err(self.diverged(version, cid, *wanted)),
            None => Err(invalid(format!(
                "version {version} of {} is given twice, with different events",
                self.aggregate
            ))),
        }
    }

    fn diverged(&self, version: u64, ours: Cid, theirs: Cid) -> StoreError {
        StoreError::Diverged {
            aggregate: Box::new(self.aggregate.clone()),
            version,
            ours: Box::new(ours),
            theirs: Box::new(theirs),
        }
    }
}

/// The error for a commit of which a part stands: it was stored by someone who did not keep to whole commits.
fn in_part(commit: &ProvedCommit, there: &[Option<StoredEvent>], location: Location) -> StoreError {
    let missing = there.iter().position(Option::is_none).unwrap_or(0);
    let found = there.iter().flatten().next();
    let reason = format!(
        "a part of its commit stands here without event {} of {}, which is {}",
        missing + 1,
        there.len(),
        commit.events[missing].cid
    );
    let position = found.map(|event| event.position);
    Damage::new(location, position, found.map(|event| event.cid), reason).into()
}

fn is_same(one: &ProvedCommit, other: &ProvedCommit) -> bool {
    let cids = |commit: &ProvedCommit| {
        commit
            .events
            .iter()
            .map(|event| event.cid)
            .collect::<Vec<_>>()
    };
    cids(one) == cids(other)
}

/// Refuses what no store seals, and what this one would not take.
fn check_event(event: &StoredEvent, options: &SealOptions) -> Result<(), StoreError> {
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
    if event.payload().len() > options.max_payload {
        let (payload, limit) = (event.payload(), options.max_payload);
        return Err(PayloadError::too_large(event_type, payload, limit).into());
    }
    Ok(())
}

fn key_of(event: &StoredEvent) -> Result<AggregateKey, StoreError> {
    let id = IdText::new(&event.envelope.aggregate_id)?;
    Ok(AggregateKey::new(event.envelope.aggregate.clone(), id))
}

fn invalid(reason: impl Into<String>) -> StoreError {
    StoreError::InvalidCommit {
        reason: reason.into(),
    }
}
