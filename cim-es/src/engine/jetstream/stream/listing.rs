//! Lists of aggregates and types, for tools that know none: from the subjects that have messages.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Stream;
use crate::block::StoredEvent;
use crate::engine::jetstream::api::{Leader, direct, subjects};
use crate::engine::jetstream::retry;
use crate::store::{
    AggregateEntry, AggregateKey, AggregatePage, AggregateQuery, PARTITIONS, StoreError,
    StoredType, partition,
};

/// How many ids one page looks at: those of other kinds than the wanted one count too.
const MOST_IDS: usize = 2_000;
/// How many ids are asked for at once.
const AT_ONCE: usize = 16;

/// A page of the aggregates, by partition, token of the id and kind.
pub(super) async fn aggregates(
    store: &Stream,
    query: &AggregateQuery,
) -> Result<AggregatePage, StoreError> {
    let first = query.after.as_ref().map(|key| partition(key.id().as_str()));
    let mut page = AggregatePage::default();
    let mut looked_at = 0;
    for number in first.unwrap_or(0)..PARTITIONS {
        let behind = query.after.as_ref().filter(|_| Some(number) == first);
        let guards = guards(store, number, behind).await?;
        let mut ids = stream::iter(guards)
            .map(|guard| of_id(store, guard))
            .buffered(AT_ONCE);
        while let Some(entries) = ids.try_next().await? {
            for entry in entries {
                let key = &entry.aggregate;
                let is_before =
                    |after: &AggregateKey| key.id() == after.id() && key.kind() <= after.kind();
                if behind.is_some_and(is_before) {
                    continue;
                }
                if page.aggregates.len() == query.limit || looked_at >= MOST_IDS {
                    return Ok(page);
                }
                page.next = Some(key.clone());
                if query.kind.as_ref().is_none_or(|kind| kind == key.kind()) {
                    page.aggregates.push(entry);
                }
            }
            looked_at += 1;
        }
    }
    page.next = None;
    Ok(page)
}

/// The guards of the ids of a partition, from an id on.
async fn guards(
    store: &Stream,
    number: u8,
    from: Option<&AggregateKey>,
) -> Result<BTreeSet<String>, StoreError> {
    let layout = store.subjects();
    let stored = subjects(&store.api, &layout.partition_filter(number, ">")).await?;
    let from = from.map(|key| layout.guard(key.id()));
    let mut guards = BTreeSet::new();
    for subject in stored {
        // Where the public subject begins is where the id ends.
        if let Some(public) = layout.public(&subject) {
            let guard = format!("{}>", &subject[..subject.len() - public.len()]);
            if from.as_ref().is_none_or(|from| guard >= *from) {
                guards.insert(guard);
            }
        }
    }
    Ok(guards)
}

/// The aggregates of an id, each with its last event, by kind.
async fn of_id(store: &Stream, guard: String) -> Result<Vec<AggregateEntry>, StoreError> {
    let mut retry = retry::REQUEST.within(store.api.patience);
    let lasts = loop {
        match direct::last_of_each(&store.api, &guard).await {
            Ok(lasts) => break lasts,
            Err(failure) => {
                let operation = "read the last events";
                store.api.wait(&mut retry, operation, failure).await?;
            }
        }
    };
    let mut by_kind: BTreeMap<String, StoredEvent> = BTreeMap::new();
    for raw in lasts {
        let event = store.verify(raw)?;
        let kind = event.envelope.aggregate.clone();
        let last = by_kind.entry(kind).or_insert_with(|| event.clone());
        if event.envelope.sequence > last.envelope.sequence {
            *last = event;
        }
    }
    let entries = by_kind.into_values().map(|last| AggregateEntry {
        aggregate: AggregateKey::of_event(&last),
        head: last.head(),
    });
    Ok(entries.collect())
}

/// The types, each with the kind of the last event of it.
pub(super) async fn event_types(store: &Stream) -> Result<Vec<StoredType>, StoreError> {
    let mut types = BTreeSet::new();
    for number in 0..PARTITIONS {
        let filter = store.subjects().partition_filter(number, ">");
        for subject in subjects(&store.api, &filter).await? {
            if let Some(public) = store.subjects().public(&subject) {
                types.insert(public.to_owned());
            }
        }
    }
    let mut found = Vec::new();
    for event_type in types {
        let filter = store.subjects().filter(&event_type);
        if let Some(raw) = Leader::new(&store.api).last(&filter).await? {
            let last = store.verify(raw)?;
            found.push(StoredType {
                kind: Some(last.envelope.aggregate.clone()),
                event_type,
                last: last.position,
            });
        }
    }
    found.sort();
    Ok(found)
}
