//! Whether a commit came before: what its message stored is looked for in the histories of its aggregates.

use futures_util::future::try_join_all;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Stream, history};
use crate::block::StoredEvent;
use crate::engine::jetstream::retry;
use crate::store::{AggregateKey, CommitRequest, Head, Message, StoreError, Versions, compare};

/// How many aggregates are looked at at once.
const AT_ONCE: usize = 64;

/// What the message of a commit stored before, when it is the same commit; none where it is new up to the heads, which are
/// given in the order of the aggregates.
///
/// What is known of an aggregate is read once. The guard tells whether another wrote behind the heads, and then it is
/// asked again.
pub(super) async fn find(
    store: &Stream,
    commit: &CommitRequest,
    heads: &[Option<Head>],
    deadline: Instant,
) -> Result<Option<Vec<StoredEvent>>, StoreError> {
    if commit.is_looked_up() {
        return Ok(None);
    }
    let message_id = commit.identity.message_id();
    let mut found = Vec::with_capacity(heads.len());
    let parts: Vec<_> = commit.aggregates.iter().zip(heads).collect();
    for some in parts.chunks(AT_ONCE) {
        let looks = some.iter().map(|(part, head)| async move {
            match head {
                Some(head) if !part.is_unchanged => {
                    of_message(store, &part.aggregate, head, message_id).await
                }
                _ => Ok(Vec::new()),
            }
        });
        found.extend(try_join_all(looks).await?);
    }
    let mut retry = retry::HOLE.until(deadline);
    loop {
        let compared = compare(commit, &found);
        if !matches!(compared, Err(StoreError::MessageIdReused { .. })) {
            return compared;
        }
        // Where the caller said what the heads are, they may be those of before this commit was stored.
        let whole = commit.aggregates.iter().map(|part| async move {
            match part.is_unchanged {
                true => Ok(Vec::new()),
                false => whole_of_message(store, &part.aggregate, message_id).await,
            }
        });
        found = try_join_all(whole).await?;
        if !may_be_half_stored(commit, &found) || !retry.pause().await {
            return compare(commit, &found);
        }
    }
}

/// Whether what was found may be the beginning of this commit: one server stores its messages one by one.
fn may_be_half_stored(commit: &CommitRequest, found: &[Vec<StoredEvent>]) -> bool {
    let count = commit.in_order().count();
    let mut found = found.iter().flatten();
    let is_of_this_size = |event: &StoredEvent| event.envelope.commit.whole_of as usize == count;
    found.clone().count() < count && found.any(is_of_this_size)
}

/// The events of an aggregate, up to its head at least, that a message led to.
async fn of_message(
    store: &Stream,
    key: &AggregateKey,
    head: &Head,
    message_id: Uuid,
) -> Result<Vec<StoredEvent>, StoreError> {
    let find = || store.messages().find(key, Some(head), message_id);
    let mut found = find();
    if let Message::Behind(Some(known)) = found {
        read(store, key, &Versions::starting_with(&known)).await?;
        found = find();
    }
    if found == Message::New {
        return Ok(Vec::new());
    }
    whole_of_message(store, key, message_id).await
}

/// The same out of the whole history.
async fn whole_of_message(
    store: &Stream,
    key: &AggregateKey,
    message_id: Uuid,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut events = read(store, key, &Versions::ALL).await?;
    events.retain(|event| event.envelope.causation_id == message_id);
    Ok(events)
}

/// Reads a part of a history, and remembers the messages behind it.
///
/// A stream that drops events by age or by count may no longer have a whole one; what it has dropped is forgotten then,
/// as the options say.
async fn read(
    store: &Stream,
    key: &AggregateKey,
    versions: &Versions,
) -> Result<Vec<StoredEvent>, StoreError> {
    let events = match history::read(store, key, versions).await {
        Err(StoreError::Damaged(_)) if store.options.stream.can_lose_events() => Vec::new(),
        events => events?,
    };
    note(store, events.iter().map(|event| (key, event)));
    Ok(events)
}

/// Remembers the messages behind events.
pub(super) fn note<'a>(
    store: &Stream,
    events: impl IntoIterator<Item = (&'a AggregateKey, &'a StoredEvent)>,
) {
    let mut messages = store.messages();
    for (key, event) in events {
        messages.note(key, event);
    }
}
