//! What the bucket knows of a view beside its documents.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{JetStreamReadModels, now};
use crate::engine::jetstream::api::Raw;
use crate::engine::jetstream::buckets::bucket::Write;
use crate::engine::jetstream::retry;
use crate::store::read_model::{
    Held, Hold, Parked, ReadModelError, Skipped, ViewChanges, ViewDeclaration, ViewId, ViewRecord,
};
use crate::store::{Bookmark, Damage, Position, StoreError};

/// What is known of a view.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    fingerprint: u64,
    up_to: Bookmark,
    settled: Position,
    parked: Option<Parked>,
    skipped: Vec<Skipped>,
    held: Option<Held>,
    /// Under which its documents stand: a view that is removed and opened again has others.
    pub(super) build: Uuid,
    /// The last attempt that was begun.
    pub(super) attempts: u64,
    /// The last attempt that was committed. Those before it were, too, unless they are among the `aborted`.
    pub(super) committed: u64,
    /// The attempts that came to nothing.
    pub(super) aborted: Vec<u64>,
    /// The attempt that is under way, and whose it is.
    pub(super) open: Option<(u64, Uuid)>,
    /// Index entries that were dropped up to this attempt may be gone.
    pub(super) swept: u64,
    /// Index entries that were written before this revision may be on their way out.
    pub(super) swept_before: u64,
}

/// A record, and the revision that the next write on it must name.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) record: Record,
    pub(super) revision: u64,
}

/// Which version of a view answers those who ask by name.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Serving {
    /// With the number of its build, as one number.
    version: u64,
    build: Uuid,
}

impl Record {
    fn new(declaration: &ViewDeclaration) -> Self {
        Self {
            fingerprint: declaration.fingerprint,
            up_to: Bookmark::START,
            settled: declaration.settled,
            parked: None,
            skipped: Vec::new(),
            held: None,
            build: Uuid::now_v7(),
            attempts: 0,
            committed: 0,
            aborted: Vec::new(),
            open: None,
            swept: 0,
            swept_before: 0,
        }
    }

    /// Whether what an attempt wrote counts.
    pub(super) fn has_committed(&self, attempt: u64) -> bool {
        attempt <= self.committed && !self.aborted.contains(&attempt)
    }

    pub(super) fn position(&self) -> Position {
        self.up_to.position
    }

    fn known(&self, view: &ViewId) -> ViewRecord {
        let declaration = ViewDeclaration::new(view.clone(), self.fingerprint);
        let mut known = ViewRecord::new(&declaration.settled_up_to(self.settled));
        known.up_to = self.up_to;
        known.parked.clone_from(&self.parked);
        known.skipped.clone_from(&self.skipped);
        known.held = self.held;
        known
    }

    /// Takes what a commit says of the view itself, or refuses it.
    pub(super) fn take(
        &mut self,
        view: &ViewId,
        changes: &ViewChanges,
        storage: &JetStreamReadModels,
    ) -> Result<(), ReadModelError> {
        let mut known = self.known(view);
        known.take(changes, &storage.bucket.location())?;
        self.up_to = known.up_to;
        self.parked = known.parked;
        self.skipped = known.skipped;
        Ok(())
    }
}

impl JetStreamReadModels {
    fn record_subject(&self, view: &ViewId) -> String {
        self.subject(&format!("view.{}.{}", view.name(), view.number()))
    }

    fn serving_subject(&self, name: &str) -> String {
        self.subject(&format!("serving.{name}"))
    }

    /// The record of a view; none when it is not there. With it the revision under its key.
    async fn find_record(&self, view: &ViewId) -> Result<(Option<Record>, u64), StoreError> {
        let found = self.bucket.last(&self.record_subject(view), 0).await?;
        let revision = found.as_ref().map_or(0, |message| message.sequence);
        Ok((self.parsed(found)?, revision))
    }

    /// The record of a view that must be there.
    pub(super) async fn record(&self, view: &ViewId) -> Result<Kept, ReadModelError> {
        match self.find_record(view).await? {
            (Some(record), revision) => Ok(Kept { record, revision }),
            (None, _) => Err(ReadModelError::NoSuchView {
                location: self.bucket.location(),
                view: view.clone(),
            }),
        }
    }

    /// The value of a key; none when it was never written, or deleted.
    fn parsed<T: DeserializeOwned>(&self, found: Option<Raw>) -> Result<Option<T>, StoreError> {
        let Some(message) = found.filter(|message| !message.body.is_empty()) else {
            return Ok(None);
        };
        match serde_ipld_dagcbor::from_slice(&message.body) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(self.changed(&message.subject)),
        }
    }

    /// The error for a key whose value is not what was written.
    pub(super) fn changed(&self, subject: &str) -> StoreError {
        let key = subject.strip_prefix(&self.subject("")).unwrap_or(subject);
        let reason = format!(
            "the value of key `{key}` is not what was written; remove the view, and it is built anew from the events"
        );
        Damage::new(self.bucket.location(), None, None, reason).into()
    }

    /// Writes a record in place of the one that has a revision.
    pub(super) async fn write_record(
        &self,
        view: &ViewId,
        record: &Record,
        revision: u64,
    ) -> Result<Write, StoreError> {
        let body = encoded(record);
        let subject = self.record_subject(view);
        self.bucket.write(&subject, body, revision).await
    }

    /// Changes a record, over and over until no other write comes between. None leaves it as it is.
    async fn change_record<T>(
        &self,
        view: &ViewId,
        mut change: impl FnMut(&mut Record) -> (T, bool),
    ) -> Result<T, ReadModelError> {
        let mut retry = retry::RACE.within(self.bucket.api().patience);
        loop {
            let Kept {
                mut record,
                revision,
            } = self.record(view).await?;
            let (answer, is_changed) = change(&mut record);
            if !is_changed {
                return Ok(answer);
            }
            if let Write::Stored(_) = self.write_record(view, &record, revision).await? {
                return Ok(answer);
            }
            self.or_busy(retry.pause().await)?;
        }
    }

    pub(super) fn or_busy(&self, has_time: bool) -> Result<(), StoreError> {
        match has_time {
            true => Ok(()),
            false => Err(StoreError::Busy {
                location: self.bucket.location(),
                reason: "others were faster each time".to_owned(),
            }),
        }
    }

    pub(super) async fn open_or_make(
        &self,
        declaration: &ViewDeclaration,
    ) -> Result<ViewRecord, ReadModelError> {
        let view = &declaration.view;
        let mut retry = retry::RACE.within(self.bucket.api().patience);
        loop {
            let (found, revision) = self.find_record(view).await?;
            if let Some(record) = found {
                let serving = self.serving_of(view.name()).await?;
                let mut known = record.known(view);
                known.check(declaration, &self.bucket.location())?;
                known.is_serving = serving.is_some_and(|serving| serving.build == record.build);
                return Ok(known);
            }
            let record = Record::new(declaration);
            if let Write::Stored(_) = self.write_record(view, &record, revision).await? {
                return Ok(record.known(view));
            }
            // Another program makes it, or this one and the answer was lost.
            self.or_busy(retry.pause().await)?;
        }
    }

    pub(super) async fn named(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        // What cannot name a view names none.
        if ViewId::new(name.to_owned(), 1).is_err() {
            return Ok(Vec::new());
        }
        let filter = self.subject(&format!("view.{name}.*"));
        let subjects = self.bucket.subjects(&filter).await?;
        let serving = self.serving_of(name).await?;
        let mut known = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let number = subject
                .rsplit('.')
                .next()
                .and_then(|text| text.parse().ok());
            let Some(Ok(view)) = number.map(|number| ViewId::of_number(name.to_owned(), number))
            else {
                continue;
            };
            if let (Some(record), _) = self.find_record(&view).await? {
                let mut version = record.known(&view);
                version.is_serving = serving
                    .as_ref()
                    .is_some_and(|serving| serving.build == record.build);
                known.push(version);
            }
        }
        known.sort_by(|one, other| one.view.cmp(&other.view));
        Ok(known)
    }

    async fn serving_of(&self, name: &str) -> Result<Option<Serving>, StoreError> {
        let found = self.bucket.last(&self.serving_subject(name), 0).await?;
        self.parsed(found)
    }

    pub(super) async fn hold_view(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError> {
        self.change_record(view, |record| {
            let now = now();
            let hold = Hold::decide(record.held.as_ref(), holder, lease, now);
            let is_held = matches!(hold, Hold::Held { .. });
            if is_held {
                record.held = Some(Held::new(holder, lease, now));
            }
            (hold, is_held)
        })
        .await
    }

    pub(super) async fn release_view(
        &self,
        view: &ViewId,
        holder: Uuid,
    ) -> Result<(), ReadModelError> {
        let released = self.change_record(view, |record| {
            let is_theirs = record.held.is_some_and(|held| held.holder == holder);
            if is_theirs {
                record.held = None;
            }
            ((), is_theirs)
        });
        match released.await {
            Err(ReadModelError::NoSuchView { .. }) => Ok(()),
            released => released,
        }
    }

    pub(super) async fn serve_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let subject = self.serving_subject(view.name());
        let mut retry = retry::RACE.within(self.bucket.api().patience);
        loop {
            let serving = Serving {
                version: view.number(),
                build: self.record(view).await?.record.build,
            };
            let present = self.bucket.last(&subject, 0).await?;
            let revision = present.as_ref().map_or(0, |message| message.sequence);
            if self.parsed(present)?.as_ref() == Some(&serving) {
                return Ok(());
            }
            let written = self.bucket.write(&subject, encoded(&serving), revision);
            if let Write::Stored(_) = written.await? {
                return Ok(());
            }
            self.or_busy(retry.pause().await)?;
        }
    }

    pub(super) async fn remove(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let subject = self.record_subject(view);
        let mut retry = retry::RACE.within(self.bucket.api().patience);
        loop {
            let (Some(record), revision) = self.find_record(view).await? else {
                return Ok(());
            };
            let removed = self.bucket.write(&subject, Bytes::new(), revision);
            if let Write::Stored(_) = removed.await? {
                // Nobody finds them any more; without the right to remove them they cost room.
                let build = record.build.simple();
                for kind in ["doc", "index"] {
                    let all = self.subject(&format!("{kind}.{build}.>"));
                    self.bucket.discard(&all).await;
                }
                return Ok(());
            }
            self.or_busy(retry.pause().await)?;
        }
    }
}

/// The bytes of a value of this module.
pub(super) fn encoded<T: Serialize>(value: &T) -> Bytes {
    // Texts, numbers, bytes and CIDs: they always encode.
    serde_ipld_dagcbor::to_vec(value).unwrap_or_default().into()
}
