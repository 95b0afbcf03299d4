//! Storing a commit once: looking for its message where the writer could not tell.

use std::sync::Arc;

use futures_util::StreamExt;

use super::writer::{Appended, LookedFor};
use super::{Shared, stream};
use crate::block::StoredEvent;
use crate::store::{CommitRequest, StoreError, Versions, compare};

/// Stores a commit, or gives what it stored before.
pub(super) async fn append(
    shared: &Arc<Shared>,
    commit: CommitRequest,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut commit = commit;
    let mut looked_for = match commit.is_looked_up() {
        true => LookedFor::ByTheCaller,
        false => LookedFor::NotYet,
    };
    loop {
        let guesses = shared.heads(&commit).await?;
        commit = match shared.writer.append(commit, guesses, looked_for).await? {
            Appended::Stored(events) => return Ok(events),
            Appended::Unclear(commit) => commit,
        };
        // Between the look and the next attempt others may write, and then it is looked for again.
        let mut versions = Vec::new();
        let found = look(shared, &commit, &mut versions).await?;
        if let Some(earlier) = compare(&commit, &found)? {
            return Ok(earlier);
        }
        looked_for = LookedFor::UpTo(versions);
    }
}

/// The events of each aggregate of a commit that its message led to, and the versions up to which it was looked for.
async fn look(
    shared: &Arc<Shared>,
    commit: &CommitRequest,
    versions: &mut Vec<u64>,
) -> Result<Vec<Vec<StoredEvent>>, StoreError> {
    let message_id = commit.identity.message_id();
    let mut found = Vec::with_capacity(commit.aggregates.len());
    for part in &commit.aggregates {
        let (mut of_it, mut version) = (Vec::new(), 0);
        if !part.is_unchanged {
            let mut events = stream::history(shared.clone(), part.aggregate.clone(), Versions::ALL);
            while let Some(event) = events.next().await {
                let event = event?;
                shared.writer.note_message(&part.aggregate, &event);
                version = event.envelope.sequence;
                if event.envelope.causation_id == message_id {
                    of_it.push(event);
                }
            }
        }
        found.push(of_it);
        versions.push(version);
    }
    Ok(found)
}
