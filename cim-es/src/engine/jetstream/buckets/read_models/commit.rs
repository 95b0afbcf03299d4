//! A commit in steps, of which the last one makes it count.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::JetStreamReadModels;
use super::document::{Document, Found, Version};
use super::record::{Kept, Record, encoded};
use crate::engine::jetstream::buckets::{bucket::Write, name::token};
use crate::engine::jetstream::retry;
use crate::store::StoreError;
use crate::store::read_model::{DocumentChange, ReadModelError, ViewChanges, ViewId};

/// How many documents are written at once.
const AT_ONCE: usize = 32;
/// How long an attempt of the same holder may be under way before it is taken for one that was given up.
const UNDER_WAY: Duration = Duration::from_secs(1);
/// How many index entries of former values are kept before they are removed.
const DROPPED: usize = 512;

/// Index entries that documents do not have any more.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// The build, and the last attempt that was committed by this handle: after a commit of another one nothing is known.
    known: Option<(Uuid, u64)>,
    subjects: BTreeSet<String>,
}

/// What one attempt came to.
enum Attempted {
    Committed,
    /// Another attempt came between; nothing counts of this one.
    Overtaken,
}

/// An attempt that was begun.
struct Attempt<'a> {
    storage: &'a JetStreamReadModels,
    view: &'a ViewId,
    changes: &'a ViewChanges,
    number: u64,
    kept: Kept,
}

/// What the attempt made of one document's index.
#[derive(Default)]
struct Reindexed {
    added: Vec<String>,
    dropped: Vec<String>,
}

impl JetStreamReadModels {
    /// Stores the changes of a view.
    pub(super) async fn store(
        &self,
        view: &ViewId,
        changes: ViewChanges,
    ) -> Result<(), ReadModelError> {
        changes.check(view)?;
        for change in &changes.documents {
            self.check_size(view, change)?;
        }
        let mut dropped = self.turn.lock().await;
        let mut retry = retry::RACE.within(self.bucket.api().patience);
        loop {
            let mut kept = self.unattempted(view, &changes).await?;
            let swept = dropped.before(&mut kept);
            kept.record.attempts += 1;
            let number = kept.record.attempts;
            kept.record.open = Some((number, changes.holder));
            match self.write_record(view, &kept.record, kept.revision).await? {
                Write::Stored(revision) => kept.revision = revision,
                Write::Refused => {
                    self.or_busy(retry.pause().await)?;
                    continue;
                }
            }
            for subject in swept {
                let before = kept.record.swept_before;
                self.bucket.discard_up_to(&subject, before).await;
            }
            let build = kept.record.build;
            let mut attempt = Attempt {
                storage: self,
                view,
                changes: &changes,
                number,
                kept,
            };
            let Some(reindexed) = attempt.write_documents().await? else {
                self.or_busy(retry.pause().await)?;
                continue;
            };
            if let Attempted::Committed = attempt.commit().await? {
                dropped.after(build, number, reindexed);
                return Ok(());
            }
            self.or_busy(retry.pause().await)?;
        }
    }

    /// The record of a view that a commit may go on from, with nothing under way in it.
    async fn unattempted(
        &self,
        view: &ViewId,
        changes: &ViewChanges,
    ) -> Result<Kept, ReadModelError> {
        let began = Instant::now();
        loop {
            let mut kept = self.record(view).await?;
            kept.record.clone().take(view, changes, self)?;
            let Some((attempt, holder)) = kept.record.open else {
                return Ok(kept);
            };
            // Who was overtaken commits nothing any more; who still holds the view may be about to.
            if holder != changes.holder || began.elapsed() >= UNDER_WAY {
                kept.record.aborted.push(attempt);
                return Ok(kept);
            }
            sleep(retry::RACE.pause(5)).await;
        }
    }

    fn check_size(&self, view: &ViewId, change: &DocumentChange) -> Result<(), ReadModelError> {
        let entries = change.index.iter();
        let index = entries.map(|entry| entry.field.len() + entry.value.len() + 8);
        let bytes = change.value.as_ref().map_or(0, Bytes::len) + index.sum::<usize>();
        let limit = self.largest();
        if bytes <= limit {
            return Ok(());
        }
        Err(ReadModelError::DocumentTooLarge {
            location: self.bucket.location(),
            view: view.clone(),
            key: change.key.clone(),
            bytes,
            limit,
        })
    }
}

impl Dropped {
    /// Before an attempt: takes what is to be removed, and notes in the record that it may be gone.
    fn before(&mut self, kept: &mut Kept) -> BTreeSet<String> {
        let known = (kept.record.build, kept.record.committed);
        if self.known != Some(known) {
            self.subjects.clear();
        }
        if self.subjects.len() < DROPPED {
            return BTreeSet::new();
        }
        kept.record.swept = kept.record.committed;
        kept.record.swept_before = kept.revision;
        std::mem::take(&mut self.subjects)
    }

    /// After a commit: what documents do not have any more is to be removed some day.
    fn after(&mut self, build: Uuid, committed: u64, reindexed: Vec<Reindexed>) {
        self.known = Some((build, committed));
        for Reindexed { added, dropped } in reindexed {
            for subject in added {
                self.subjects.remove(&subject);
            }
            self.subjects.extend(dropped);
        }
    }
}

impl Attempt<'_> {
    /// Writes all documents, with the index entries that lead to them; none when another attempt was begun.
    async fn write_documents(&self) -> Result<Option<Vec<Reindexed>>, ReadModelError> {
        let mut writing = stream::iter(0..self.changes.documents.len())
            .map(|at| self.write_document(&self.changes.documents[at]))
            .buffer_unordered(AT_ONCE);
        let mut reindexed = Vec::with_capacity(self.changes.documents.len());
        while let Some(written) = writing.try_next().await? {
            match written {
                Some(written) => reindexed.push(written),
                None => return Ok(None),
            }
        }
        Ok(Some(reindexed))
    }

    async fn write_document(
        &self,
        change: &DocumentChange,
    ) -> Result<Option<Reindexed>, ReadModelError> {
        let record = &self.kept.record;
        let now = Version::new(self.number, change);
        let subject = self.storage.document_subject(record, &change.key);
        let mut is_indexed = false;
        loop {
            let Found { document, revision } = self.storage.document(record, &change.key).await?;
            let before = match document.now.attempt {
                // Its own, whose answer was lost.
                attempt if attempt == self.number => &document.before,
                attempt if attempt > self.number => return Ok(None),
                _ => match document.seen_from(record) {
                    Some(before) => before,
                    None => return Ok(None),
                },
            };
            let reindexed = self.reindexed(&change.key, &now, before);
            if document.now.attempt == self.number {
                return Ok(Some(reindexed));
            }
            if !is_indexed {
                for subject in &reindexed.added {
                    self.write_entry(subject).await?;
                }
                is_indexed = true;
            }
            let body = encoded(&Document {
                now: now.clone(),
                before: before.clone(),
            });
            let written = self.storage.bucket.write(&subject, body, revision).await?;
            if let Write::Stored(_) = written {
                return Ok(Some(reindexed));
            }
        }
    }

    fn reindexed(&self, key: &str, now: &Version, before: &Version) -> Reindexed {
        let key = token(key);
        let subjects = |of: &Version, beside: &Version| -> Vec<String> {
            let entries = of
                .entries()
                .filter(|entry| beside.entries().all(|it| it != *entry));
            entries
                .map(|entry| self.storage.index_subject(&self.kept.record, entry, &key))
                .collect()
        };
        Reindexed {
            added: subjects(now, before),
            dropped: subjects(before, now),
        }
    }

    /// Makes sure that an index entry is there, and stays.
    async fn write_entry(&self, subject: &str) -> Result<(), StoreError> {
        let bucket = &self.storage.bucket;
        let value = || Bytes::from_static(b"entry");
        let mut guard = 0;
        while let Write::Refused = bucket.write(subject, value(), guard).await? {
            match bucket.last(subject, 0).await? {
                // One that is on its way out is written again.
                Some(present) if present.sequence <= self.kept.record.swept_before => {
                    guard = present.sequence;
                }
                Some(_) => return Ok(()),
                None => guard = 0,
            }
        }
        Ok(())
    }

    /// The last step: the record says that the attempt counts.
    async fn commit(&mut self) -> Result<Attempted, ReadModelError> {
        loop {
            let mut record: Record = self.kept.record.clone();
            record.take(self.view, self.changes, self.storage)?;
            record.committed = self.number;
            record.open = None;
            let written = self
                .storage
                .write_record(self.view, &record, self.kept.revision)
                .await;
            match written {
                Ok(Write::Stored(_)) => return Ok(Attempted::Committed),
                Ok(Write::Refused) => {}
                Err(error @ (StoreError::Busy { .. } | StoreError::Engine { .. })) => {
                    return Err(ReadModelError::OutcomeUnknown {
                        reason: crate::domain::ErrorChain(&error).to_string(),
                    });
                }
                Err(error) => return Err(error.into()),
            }
            // Somebody asked for the view meanwhile, or began another attempt, or the answer was lost.
            let build = self.kept.record.build;
            self.kept = self.storage.record(self.view).await?;
            let record = &self.kept.record;
            if record.build != build {
                return Ok(Attempted::Overtaken);
            }
            if record.has_committed(self.number) {
                return Ok(Attempted::Committed);
            }
            if record
                .open
                .is_none_or(|(attempt, _)| attempt != self.number)
            {
                return Ok(Attempted::Overtaken);
            }
        }
    }
}
