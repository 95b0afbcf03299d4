//! An append takes effect once: what its message stored before is the answer when it comes again.

use uuid::Uuid;

use super::seal::check_form;
use super::{AggregateCommit, AggregateKey, CommitRequest, NewEvent, StoreError};
use crate::block::StoredEvent;

/// What the message of a commit stored before, when it is the same commit; none when the message is new to all its
/// aggregates, and the commit is to be stored.
///
/// Every engine asks this before it compares what a commit expects with what is there, and holds its lock, or its guard,
/// from then on: a commit that comes again has the answer that it had, whatever was stored since. `of_message` gives the
/// events of an aggregate that a message led to, whose `causation_id` is its id, in order.
///
/// ```
/// # use cim_es::block::StoredEvent;
/// # use cim_es::store::{AggregateKey, CommitRequest, StoreError, repeated};
/// # fn append(log: &[StoredEvent], commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
/// let earlier = repeated(&commit, |key, message_id| {
///     let is_of_it = |it: &&StoredEvent| key.has(it) && it.envelope.causation_id == message_id;
///     Ok(log.iter().filter(is_of_it).cloned().collect())
/// })?;
/// if let Some(earlier) = earlier {
///     return Ok(earlier);
/// }
/// # Ok(Vec::new())
/// # }
/// ```
///
/// # Errors
/// [`StoreError::MessageIdReused`] when the message led to other events on one of the aggregates, or to these in another
/// commit; [`StoreError::InvalidCommit`] for a commit that is not well formed; what `of_message` fails with.
pub fn repeated(
    commit: &CommitRequest,
    mut of_message: impl FnMut(&AggregateKey, Uuid) -> Result<Vec<StoredEvent>, StoreError>,
) -> Result<Option<Vec<StoredEvent>>, StoreError> {
    if commit.is_looked_up() {
        return Ok(None);
    }
    let message_id = commit.identity.message_id();
    let mut found = Vec::with_capacity(commit.aggregates.len());
    for part in &commit.aggregates {
        found.push(match part.is_unchanged {
            true => Vec::new(),
            false => of_message(&part.aggregate, message_id)?,
        });
    }
    compare(commit, &found)
}

/// The same with the events that the message led to, for each aggregate of the commit in its order.
pub(crate) fn compare(
    commit: &CommitRequest,
    found: &[Vec<StoredEvent>],
) -> Result<Option<Vec<StoredEvent>>, StoreError> {
    let mut parts = commit.aggregates.iter().zip(found);
    let Some((part, first)) = parts.find_map(|(part, found)| Some((part, found.first()?))) else {
        return Ok(None);
    };
    check_form(commit)?;
    match same_commit(commit, found) {
        Some(earlier) => Ok(Some(earlier)),
        None => Err(StoreError::MessageIdReused {
            message_id: commit.identity.message_id(),
            aggregate: Box::new(part.aggregate.clone()),
            event_type: first.event_type().to_owned(),
            version: first.envelope.sequence,
        }),
    }
}

/// The events that were found, in the order of the commit, when they are those of the commit.
fn same_commit(commit: &CommitRequest, found: &[Vec<StoredEvent>]) -> Option<Vec<StoredEvent>> {
    let events = |part: &AggregateCommit| part.events.len();
    let count = commit.aggregates.iter().map(events).sum::<usize>();
    let parts = commit.aggregates.iter().zip(found);
    let mut parts: Vec<_> = parts
        .map(|(part, found)| part.events.iter().zip(found))
        .collect();
    let mut earlier = Vec::with_capacity(count);
    for place in commit.in_order() {
        let (new, stored) = parts.get_mut(place)?.next()?;
        let part = stored.envelope.commit;
        let is_in_place = part.whole_index as usize == earlier.len() + 1;
        if !is_in_place || part.whole_of as usize != count || !is_same(commit, new, stored) {
            return None;
        }
        earlier.push(stored.clone());
    }
    Some(earlier)
}

fn is_same(commit: &CommitRequest, new: &NewEvent, stored: &StoredEvent) -> bool {
    let envelope = &stored.envelope;
    envelope.event_type == new.event_type
        && envelope.schema == new.schema
        && envelope.parents == new.parents_in(&commit.identity, envelope.commit)
        && stored.payload() == new.payload
}
