//! Commits of which only a part is stored: a single server stores the events of a commit one by
//! one, up to a limit.
//!
//! Such a part is nothing that was ever acknowledged, and nothing can follow it. Who reads across
//! aggregates passes over it, which is logged; the aggregate itself is damaged until an operator
//! has removed it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::Stream;
use super::finding::{Finding, Severity};
use super::scan::rest;
use super::tip::unfinished;
use crate::block::StoredEvent;
use crate::engine::jetstream::api::{Commits, Extent, Filters, Leader, Read, log_cut_off};
use crate::store::{EventStore, SealedCommit, Selection, StoreError};

/// The most parts that a doctor lists one by one.
const LISTED: usize = 20;
/// How long a part with which the stream ends is given to become whole.
const SETTLING: Duration = Duration::from_secs(1);

/// What is stored of a commit that a limit of the stream or of the account cut off.
///
/// Its blocks are whole: keep them, where somebody may ask later what it was that could not be
/// stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UnfinishedCommit {
    /// The events that are stored, in their order.
    pub events: Vec<StoredEvent>,
}

impl UnfinishedCommit {
    /// How many events the whole commit would have.
    pub fn whole_of(&self) -> u32 {
        let first = self.events.first();
        first.map_or(0, |event| event.envelope.commit.whole_of)
    }
}

impl fmt::Display for UnfinishedCommit {
    /// Where it stands, and what its events are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, of) = (self.events.len(), self.whole_of());
        write!(f, "{count} of {of} events")?;
        for (at, event) in self.events.iter().enumerate() {
            let separator = if at == 0 { ":" } else { "," };
            let (envelope, position, cid) = (&event.envelope, event.position, event.cid);
            write!(
                f,
                "{separator} {} of {} `{}` at position {position} ({cid})",
                envelope.event_type, envelope.aggregate, envelope.aggregate_id
            )?;
        }
        Ok(())
    }
}

/// What a copy of a stream came to.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Copied {
    /// How many commits are in the copy.
    pub commits: u64,
    /// How many events they have.
    pub events: u64,
    /// What was left out, because a limit had cut it off.
    pub left_out: Vec<UnfinishedCommit>,
}

/// Passes over a part of a commit, which is logged.
///
/// # Errors
/// [`StoreError::Damaged`] where the one aggregate that is asked for has events in it.
pub(super) fn pass_over(
    store: &Stream,
    selection: &Selection,
    events: &[StoredEvent],
) -> Result<(), StoreError> {
    let Some(last) = events.iter().rfind(|event| selection.includes(event)) else {
        return Ok(());
    };
    if let Some(key) = selection.one_aggregate() {
        return Err(unfinished(store, key, last));
    }
    log_cut_off(&store.api.stream, last);
    Ok(())
}

/// Everything that a stream has, in order.
struct Walk<'a> {
    store: &'a Stream,
    commits: Commits,
    until: u64,
    is_over: bool,
}

/// What stands next in a stream.
enum Stands {
    Event(Box<StoredEvent>),
    Unfinished(Vec<StoredEvent>),
}

impl<'a> Walk<'a> {
    async fn start(store: &'a Stream) -> Result<Self, StoreError> {
        let until = Leader::new(&store.api).state().await?.last_seq;
        let filters = Filters {
            subjects: Vec::new(),
            headers_only: false,
        };
        let reader = store.reader(filters, 0).pushed();
        Ok(Self {
            store,
            commits: store.commits(reader, 0),
            until,
            is_over: false,
        })
    }

    async fn next(&mut self) -> Result<Option<Stands>, StoreError> {
        loop {
            let is_done = self.commits.is_empty() && self.commits.at() >= self.until;
            if self.is_over || is_done {
                return Ok(None);
            }
            match self.commits.next().await? {
                Read::Event(event) => return Ok(Some(Stands::Event(event))),
                Read::CutOff(events) => return Ok(Some(Stands::Unfinished(events))),
                Read::Idle => {
                    let state = Leader::new(&self.store.api).state().await?;
                    if rest(&state, self.commits.at(), self.until).is_none() {
                        self.is_over = true;
                        let held = self.commits.held().to_vec();
                        return Ok(Some(held)
                            .filter(|it| !it.is_empty())
                            .map(Stands::Unfinished));
                    }
                }
            }
        }
    }
}

/// The parts of commits in a stream that a single server keeps; elsewhere there are none.
pub(super) async fn list(store: &Stream) -> Result<Vec<UnfinishedCommit>, StoreError> {
    let mut found = Vec::new();
    let mut walk = Walk::start(store).await?;
    while let Some(stands) = walk.next().await? {
        if let Stands::Unfinished(events) = stands {
            found.push(UnfinishedCommit { events });
        }
    }
    walk.commits.close().await;
    Ok(found)
}

/// Reads the whole stream, where a single server keeps it.
pub(super) async fn find(store: &Stream) -> Result<Vec<Finding>, StoreError> {
    if store.is_replicated() {
        return Ok(Vec::new());
    }
    let found = match list(store).await {
        Ok(found) => found,
        // What is damaged otherwise says so to who reads it.
        Err(StoreError::Damaged(damage)) => {
            return Ok(vec![Finding {
                severity: Severity::Danger,
                about: "damaged",
                found: damage.to_string(),
                expected: "events that hash to their CIDs".to_owned(),
                advice: "nothing behind it was looked at: find out who wrote there".to_owned(),
            }]);
        }
        Err(error) => return Err(error),
    };
    Ok(found.iter().take(LISTED).map(finding).collect())
}

fn finding(commit: &UnfinishedCommit) -> Finding {
    Finding {
        severity: Severity::Danger,
        about: "fragment",
        found: commit.to_string(),
        expected: "whole commits".to_owned(),
        advice: "a limit of the stream or of the account cut the commit off, and its aggregates take no further one: raise \
                 the limit; then let an operator remove these events (`remove_unfinished_commits`, where `deny_delete` is \
                 off), or copy the stream without them (`copy_whole_commits`)"
            .to_owned(),
    }
}

/// Removes what is stored of commits that were cut off; gives what it was.
pub(super) async fn remove(store: &Stream) -> Result<Vec<UnfinishedCommit>, StoreError> {
    let info = Leader::new(&store.api).stream_info().await?;
    if info.is_some_and(|found| found.info.config.deny_delete) {
        return Err(StoreError::ReadOnly {
            location: store.api.location(),
            reason:
                "`deny_delete` is set, so that no message can be removed: copy the stream with \
                     `copy_whole_commits`, which leaves out what is unfinished"
                    .to_owned(),
        });
    }
    let found = list(store).await?;
    if !found.is_empty() {
        // A commit that is just being stored becomes whole.
        sleep(SETTLING).await;
    }
    let mut removed = Vec::new();
    for commit in found {
        let Some(last) = commit.events.last() else {
            continue;
        };
        let leader = Leader::new(&store.api);
        if store.around.extent(&leader, last).await? == Extent::Whole {
            continue;
        }
        tracing::warn!(stream = %store.api.stream, %commit, "an unfinished commit is removed");
        // From its end, so that what is left if this ends in between is still found.
        for event in commit.events.iter().rev() {
            let subject = store.api.subject("STREAM.MSG.DELETE");
            let query = json!({ "seq": event.position.0, "no_erase": true });
            let deleted = store
                .api
                .ask_patiently::<Value>(&subject, &query, "remove an event");
            deleted.await?;
        }
        removed.push(commit);
    }
    for event in removed.iter().flat_map(|commit| &commit.events) {
        let id = &event.envelope.aggregate_id;
        store.api.seen.forget_aggregate(id);
    }
    Ok(removed)
}

/// Stores every whole commit in another store, in the same order and as the same blocks.
pub(super) async fn copy(
    store: &Arc<Stream>,
    target: &dyn EventStore,
) -> Result<Copied, StoreError> {
    let mut copied = Copied::default();
    let mut walk = Walk::start(store).await?;
    let mut commit: Vec<StoredEvent> = Vec::new();
    while let Some(stands) = walk.next().await? {
        match stands {
            Stands::Unfinished(events) => {
                copied.left_out.push(UnfinishedCommit { events });
            }
            Stands::Event(event) => {
                let is_end = event.envelope.commit.is_last_of_whole();
                commit.push(*event);
                if is_end {
                    let sealed = SealedCommit::split(&commit)?;
                    target.append_sealed(sealed).await?;
                    copied.commits += 1;
                    copied.events += commit.len() as u64;
                    commit.clear();
                }
            }
        }
    }
    walk.commits.close().await;
    Ok(copied)
}
