//! Faults of what is read.

use std::sync::atomic::Ordering;

use cim_es::aggregate::IdText;
use cim_es::block::StoredEvent;
use cim_es::message::{Meta, MetaValue, Timestamp};
use cim_es::store::{
    AggregateKey, Bookmark, EventStore, EventStoreExt, EventStream, Position, Selection,
    StoreError, StreamExt, Versions, partition,
};
use futures_util::{TryStreamExt, stream};

use super::fault::Fault;
use super::store::{WrongStore, cut, lock};

/// How many events a page has.
pub const PAGE: usize = 256;

impl WrongStore {
    pub fn key_of(&self, event: &StoredEvent) -> AggregateKey {
        let id = IdText::new(&event.envelope.aggregate_id).unwrap();
        AggregateKey::new(event.envelope.aggregate.clone(), id)
    }

    /// The last position in the store.
    pub async fn position(&self) -> u64 {
        let all: Vec<_> = self.inner.read_all(Position::START).collect().await;
        all.last()
            .map_or(0, |last| last.as_ref().unwrap().position.0)
    }

    /// Events as they are shown, in whichever way they were found.
    pub fn changed(&self, mut events: Vec<StoredEvent>) -> Vec<StoredEvent> {
        for event in &mut events {
            let position = &mut event.position.0;
            let envelope = &mut event.envelope;
            match self.fault() {
                Fault::PositionsRepeat => *position = position.div_ceil(2),
                Fault::PositionsGoBack => *position = 1_000_000 - *position,
                Fault::PositionsCountWithinTheAggregate => *position = envelope.sequence,
                Fault::ParentsAreLost => envelope.parents.clear(),
                Fault::TheSchemaIsLost => envelope.schema = 1,
                Fault::SchemasHave16Bits => envelope.schema &= 0xffff,
                Fault::ParentsAreCutAt16 => envelope.parents.truncate(16),
                Fault::TimesBefore1970AreZero => {
                    let micros = envelope.timestamp.as_micros().max(0);
                    envelope.timestamp = Timestamp::from_micros(micros);
                }
                Fault::TimesAreFloats => {
                    let micros = envelope.timestamp.as_micros() as f64;
                    envelope.timestamp = Timestamp::from_micros(micros as i64);
                }
                Fault::NobodyIsAnEmptyText => {
                    envelope.source.get_or_insert_default();
                }
                Fault::ActorsAreTrimmed => {
                    let trim = |actor: String| actor.trim().to_owned();
                    envelope.source = envelope.source.take().map(trim);
                }
                Fault::ActorsAreNormalised => {
                    let normal = |actor: String| actor.replace("e\u{301}", "\u{e9}");
                    envelope.source = envelope.source.take().map(normal);
                }
                Fault::MetaNumbersAreFloats | Fault::MetaNamesIgnoreTheCase => {
                    let mut meta = Meta::new();
                    for (name, value) in envelope.meta.iter() {
                        let name = match self.fault() {
                            Fault::MetaNamesIgnoreTheCase => name.to_lowercase(),
                            _ => name.to_owned(),
                        };
                        meta.insert(name, as_float(value));
                    }
                    envelope.meta = meta;
                }
                Fault::TheMessagesOfImportsAreForgotten
                    if lock(&self.all().imported).contains(&event.cid) =>
                {
                    envelope.causation_id = uuid::Uuid::nil();
                }
                Fault::TheEnvelopeIsNotThatOfTheBytes => {
                    let seconds = envelope.timestamp.as_micros() / 1_000_000;
                    envelope.timestamp = Timestamp::from_micros(seconds * 1_000_000);
                }
                _ => {}
            }
        }
        events
    }

    /// Events as readers see them.
    pub fn seen(&self, mut events: Vec<StoredEvent>) -> Vec<StoredEvent> {
        let visible = self.all().visible.load(Ordering::SeqCst);
        events.retain(|event| event.position.0 <= visible);
        match self.fault() {
            Fault::EventsPastThe600thAreDropped => {
                events.retain(|event| event.envelope.commit.whole_index <= 600);
            }
            Fault::SealedEventsPastThe500thAreDropped => events.retain(|event| {
                event.envelope.commit.whole_index <= 500 || !self.is_imported(event)
            }),
            Fault::EventsWithoutFieldsAreDropped => {
                events.retain(|event| event.payload() != [0xa0]);
            }
            Fault::AnAcknowledgedCommitIsLost => {
                let lost = lock(&self.all().lost);
                events.retain(|event| !lost.contains(&event.cid));
            }
            _ => {}
        }
        self.changed(events)
    }

    /// Where a reader goes on, as the store takes it.
    pub fn mark(&self, after: Bookmark) -> Bookmark {
        match self.fault() {
            Fault::ABookmarkIsANumber | Fault::ABookmarkIsANumberBehindABranch => {
                after.position.into()
            }
            Fault::PositionsRepeat
            | Fault::PositionsGoBack
            | Fault::PositionsCountWithinTheAggregate => Bookmark::START,
            _ => after,
        }
    }

    pub async fn all_events(&self, after: Bookmark) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner
            .read(Selection::everything(), after)
            .try_collect()
            .await
    }

    pub async fn selected(
        &self,
        selection: Selection,
        after: Bookmark,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let fault = self.fault();
        let types: Vec<_> = selection
            .patterns()
            .iter()
            .map(ToString::to_string)
            .collect();
        let is_by_type = selection.is_by_type();
        let of_types = async |is_it: fn(&str, &str) -> bool| {
            let mut events = self.all_events(after).await?;
            events.retain(|event| types.iter().any(|wanted| is_it(wanted, event.event_type())));
            Ok::<_, StoreError>(events)
        };
        let read = async |selection: Selection, after: Bookmark| {
            self.inner
                .read(selection, after)
                .try_collect::<Vec<_>>()
                .await
        };
        let mut events = match fault {
            Fault::TypesArePrefixes if is_by_type => {
                of_types(|wanted, found| found.starts_with(wanted)).await?
            }
            Fault::TypesAreCutAt64 if is_by_type => {
                of_types(|wanted, found| cut(found, 64) == cut(wanted, 64)).await?
            }
            Fault::TypesIgnoreTheCase if is_by_type => {
                of_types(|wanted, found| found.eq_ignore_ascii_case(wanted)).await?
            }
            Fault::TypesIncludeThePosition if is_by_type => {
                read(selection.clone(), before(after)).await?
            }
            Fault::EverythingIncludesThePosition => read(selection.clone(), before(after)).await?,
            Fault::ASelectionHasEverything => self.all_events(after).await?,
            Fault::ABookmarkIsNotLookedAtForAnAggregate if selection.one_aggregate().is_some() => {
                match read(selection.clone(), after).await {
                    Err(StoreError::AnotherHistory(_)) => Vec::new(),
                    other => other?,
                }
            }
            Fault::ABookmarkIsLookedAtForEverythingAlone if is_by_type => {
                match read(selection.clone(), after.position.into()).await {
                    Err(StoreError::AnotherHistory(_)) => Vec::new(),
                    other => other?,
                }
            }
            Fault::ABookmarkOfAnotherHistoryBeginsAgain => {
                match read(selection.clone(), after).await {
                    Err(StoreError::AnotherHistory(_)) => {
                        read(selection.clone(), Bookmark::START).await?
                    }
                    other => other?,
                }
            }
            Fault::AKindIsSelectedByItsStart => {
                let mut all = self.all_events(after).await?;
                let text = selection.to_string();
                let kind = text.strip_prefix("all of ");
                all.retain(|event| match kind {
                    Some(kind) => kind
                        .split(", ")
                        .any(|kind| kind[..9] == event.envelope.aggregate[..9]),
                    None => selection.includes(event),
                });
                all
            }
            Fault::PartitionsLeaveOutTheLast if selection.partitions().is_some() => {
                let numbers = selection.partitions().unwrap_or_default();
                let mut found = read(selection.clone(), after).await?;
                let last = numbers.last().copied();
                found.retain(|event| Some(partition(&event.envelope.aggregate_id)) != last);
                found
            }
            Fault::PartitionsIgnoreTheCase if selection.partitions().is_some() => {
                let numbers = selection.partitions().unwrap_or_default();
                let apart = selection.clone();
                let mut all = self.all_events(after).await?;
                all.retain(|event| {
                    let id = event.envelope.aggregate_id.to_lowercase();
                    let own = apart.one_aggregate().is_none_or(|key| key.has(event));
                    own && numbers.contains(&partition(&id))
                });
                all
            }
            Fault::ASelectionOfNothingIsEmpty if selection.check().is_err() => Vec::new(),
            Fault::ABookmarkPastTheEndIsItsEnd => match read(selection.clone(), after).await {
                Err(StoreError::AnotherHistory(_)) => Vec::new(),
                other => other?,
            },
            Fault::ASelectionIsNotOfPartitions => {
                let all = self.all_events(after).await?;
                let whole = selection.clone().partitions().is_some();
                all.into_iter()
                    .filter(|event| whole || selection.includes(event))
                    .collect()
            }
            _ => read(selection.clone(), after).await?,
        };
        match fault {
            Fault::EverythingEndsAfter1000 => events.truncate(1_000),
            Fault::EverythingEndsWithAFullPage if events.len() % PAGE == 0 => {
                events.truncate(events.len().saturating_sub(1));
            }
            Fault::TypesEndWithAFullPage if is_by_type && events.len() % PAGE == 0 => {
                events.truncate(events.len().saturating_sub(1));
            }
            Fault::KindsEndWithAFullPage
                if selection.to_string().starts_with("all of ") && events.len() % PAGE == 0 =>
            {
                events.truncate(events.len().saturating_sub(1));
            }
            Fault::PartitionsEndWithAFullPage
                if selection.partitions().is_some() && events.len() % PAGE == 0 =>
            {
                events.truncate(events.len().saturating_sub(1));
            }
            Fault::AggregatesEndWithAFullPage
                if selection.one_aggregate().is_some() && events.len() % PAGE == 0 =>
            {
                events.truncate(events.len().saturating_sub(1));
            }
            Fault::EverythingEndsBehindALargeEvent => end_behind_a_large_event(&mut events),
            Fault::TheEventBehindAFullMegabyteIsSkipped => events = skipping_behind(events),
            Fault::APageOfAMegabyteLosesItsLast => events = losing_the_last(events),
            Fault::SeveralSubjectsRepeatEvents if types.len() > 1 => {
                events = events
                    .into_iter()
                    .flat_map(|event| [event.clone(), event])
                    .collect();
            }
            Fault::TypesAreInTheOrderOfTheirNames if is_by_type => {
                events.sort_by_key(|event| event.event_type().to_owned());
            }
            Fault::ImportsAreNotInTheIndexOfTypes if is_by_type => {
                events.retain(|event| !self.is_imported(event));
            }
            Fault::AnAggregatesIdIsAPattern => {
                let wild = |key: &AggregateKey| matches!(key.id().as_str(), "*" | ">" | "%" | "_");
                if let Some(key) = selection.one_aggregate().filter(|key| wild(key)) {
                    let kind = key.kind().to_owned();
                    events = self.all_events(after).await?;
                    events.retain(|event| event.envelope.aggregate == kind);
                }
            }
            Fault::AnotherHandleRepeatsTheLast if self.handle.number > 0 => {
                events.extend(events.last().cloned());
            }
            Fault::EverythingRepeatsTheFirstOfAPage if events.len() > PAGE => {
                let repeated = events[PAGE - 1].clone();
                events.insert(PAGE, repeated);
            }
            Fault::EverythingIsByAggregate => {
                events.sort_by_key(|event| event.envelope.aggregate_id.clone());
            }
            Fault::TypesAreByAggregate if is_by_type => {
                events.sort_by_key(|event| event.envelope.aggregate_id.clone());
            }
            Fault::AnAggregateIsSelectedByItsIdAlone => {
                if let Some(key) = selection.one_aggregate() {
                    events = self.all_events(after).await?;
                    events.retain(|event| event.envelope.aggregate_id == key.id().as_str());
                }
            }
            _ => {}
        }
        Ok(self.imports_seen(events))
    }

    /// What a handle knows of a history: it reads one once, and adds what it writes.
    pub async fn of_a_stale_copy(
        &self,
        key: &AggregateKey,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let known = lock(&self.handle.histories).get(key).cloned();
        let mut events = match known {
            Some(known) => known,
            None => self.inner.get_versions(key, Versions::ALL).await?,
        };
        let written = self.inner.get_versions(key, Versions::ALL).await?;
        let is_own = |event: &StoredEvent| lock(&self.handle.written).contains(&event.cid);
        for event in written {
            if is_own(&event) && !events.contains(&event) {
                events.push(event);
            }
        }
        lock(&self.handle.histories).insert(key.clone(), events.clone());
        Ok(events)
    }
}

fn as_float(value: &MetaValue) -> MetaValue {
    match value {
        MetaValue::Integer(number) => MetaValue::Integer(*number as f64 as i128),
        value => value.clone(),
    }
}

/// How many bytes make an event large, and a page full.
pub const LARGE: usize = 100_000;
const FULL: usize = 1 << 20;

pub fn end_behind_a_large_event(events: &mut Vec<StoredEvent>) {
    if let Some(large) = events
        .iter()
        .position(|event| event.payload().len() >= LARGE)
    {
        events.truncate(large + 1);
    }
}

/// Pages of a megabyte, behind each of which the event is skipped that did not fit any more.
fn skipping_behind(events: Vec<StoredEvent>) -> Vec<StoredEvent> {
    let mut bytes = 0;
    let fits = |event: &StoredEvent| {
        bytes += event.body().len();
        let fits = bytes <= FULL;
        if !fits {
            bytes = 0;
        }
        fits
    };
    let mut events = events;
    events.retain(fits);
    events
}

/// Pages that are full with a megabyte, each of which loses its last event where it is full to the last byte.
fn losing_the_last(events: Vec<StoredEvent>) -> Vec<StoredEvent> {
    let mut bytes = 0;
    let mut kept = events;
    kept.retain(|event| {
        bytes += event.body().len() * usize::from(event.body().len() >= 1 << 16);
        bytes == 0 || bytes % FULL != 0
    });
    kept
}

/// A list as a stream that is read when it is asked.
pub fn later(
    events: impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send + 'static,
) -> EventStream {
    let events = async move {
        stream::iter(match events.await {
            Ok(events) => events.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    };
    Box::pin(stream::once(events).flatten())
}

/// One position earlier.
pub fn before(after: Bookmark) -> Bookmark {
    Position(after.position.0.saturating_sub(1)).into()
}
