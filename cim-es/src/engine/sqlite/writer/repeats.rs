//! Whether a commit came before: what the writer sees of that without holding anybody up.

use uuid::Uuid;

use super::batch::{Batch, Refusal};
use super::heads::Heads;
use super::prepare::{LookedFor, Prepared};
use crate::block::StoredEvent;
use crate::engine::sqlite::history;
use crate::store::{AggregateKey, CommitRequest, Head, Message, StoreError};

/// How many events of an aggregate the writer reads at most to learn which messages are behind them, while others wait.
const MOST_READ: u64 = 512;

/// What became of a commit in a transaction.
pub(super) enum Added {
    /// Its first event is at this position.
    At(u64),
    /// Nothing of it is stored: it may have been before, and the caller is to look.
    Unclear,
}

/// What became of a commit.
pub(in crate::engine::sqlite) enum Appended {
    Stored(Vec<StoredEvent>),
    /// Nothing of it is stored: it may have been before, and the caller is to look. This is the commit.
    Unclear(CommitRequest),
}

impl Batch<'_> {
    /// Whether the message of a commit may have written to one of its aggregates before.
    pub(super) fn may_be_repeated(&mut self, prepared: &Prepared) -> Result<bool, Refusal> {
        let message_id = prepared.request.identity.message_id();
        let searched = match &prepared.looked_for {
            LookedFor::ByTheCaller => return Ok(false),
            LookedFor::NotYet => &[][..],
            LookedFor::UpTo(versions) => versions,
        };
        for (place, part) in prepared.request.aggregates.iter().enumerate() {
            if part.is_unchanged {
                continue;
            }
            let present = self.current(&part.aggregate)?;
            if self.messages.contains(&(present.key(), message_id)) {
                return Ok(true);
            }
            let Some(head) = present.begun else {
                continue;
            };
            let searched = searched.get(place).copied();
            let is_new = self.is_new(&part.aggregate, present.key(), &head, message_id, searched);
            if !is_new? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether it is certain that a message wrote nothing to an aggregate up to a head.
    fn is_new(
        &self,
        aggregate: &AggregateKey,
        key: i64,
        head: &Head,
        message_id: Uuid,
        searched: Option<u64>,
    ) -> Result<bool, StoreError> {
        let find = || {
            self.known()
                .messages()
                .find(aggregate, Some(head), message_id)
        };
        let read = |behind: u64| match head.version.saturating_sub(behind) > MOST_READ {
            true => Ok(None),
            false => history::since(self.database(), aggregate, key, head, behind + 1).map(Some),
        };
        let mut found = find();
        if let Message::Behind(known) = found
            && let Some(news) = read(known.map_or(0, |known| known.version))?
        {
            let mut messages = self.known().messages();
            news.iter()
                .for_each(|event| messages.note(aggregate, event));
            drop(messages);
            found = find();
        }
        if found == Message::New {
            return Ok(true);
        }
        let Some(searched) = searched else {
            return Ok(false);
        };
        let is_other = |event: &StoredEvent| event.envelope.causation_id != message_id;
        Ok(read(searched)?.is_some_and(|since| since.iter().all(is_other)))
    }

    /// Remembers the message of a commit until the transaction ends.
    pub(super) fn note_message(&mut self, prepared: &Prepared) {
        let message_id = prepared.request.identity.message_id();
        for part in &prepared.request.aggregates {
            let key = self.looked_up(&part.aggregate).map(|present| present.key());
            if let Some(key) = key.filter(|_| !part.is_unchanged) {
                self.messages.insert((key, message_id));
            }
        }
    }
}

impl Added {
    /// What the caller is told once the transaction is committed; the messages behind its events are remembered.
    pub(super) fn into_appended(self, prepared: Prepared, heads: &Heads) -> Appended {
        let Self::At(first) = self else {
            return Appended::Unclear(prepared.request);
        };
        let is_bare = !matches!(prepared.looked_for, LookedFor::ByTheCaller);
        let (request, stored) = prepared.into_stored(first);
        let mut messages = heads.messages();
        for (event, place) in stored.iter().zip(request.in_order()) {
            let aggregate = &request.aggregates[place].aggregate;
            if is_bare || messages.has(aggregate) {
                messages.note(aggregate, event);
            }
        }
        Appended::Stored(stored)
    }
}
