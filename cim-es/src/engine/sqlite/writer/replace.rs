//! Replacing branches, in a transaction of its own: what is taken out is kept as objects, what stood behind it moves up,
//! and what takes its place is stored behind that as any import is.

use std::collections::HashSet;

use super::batch::{Batch, Refusal};
use super::desk::Desk;
use super::group::Failure;
use super::import::{Imported, store_new};
use super::queue::Replace;
use crate::block::StoredEvent;
use crate::engine::sqlite::aggregates::{self, Slot};
use crate::engine::sqlite::database::{Database, stored};
use crate::engine::sqlite::read_models::inline;
use crate::engine::sqlite::scan::{self, Gathered};
use crate::engine::sqlite::types::{self, Types};
use crate::engine::sqlite::{cut, epochs, events, history, objects, sync_state};
use crate::store::{
    Bookmark, Branch, BranchError, Epoch, Position, ReplacedBranches, StoreError, check_whole,
    key_of,
};

/// How many events are moved at a time.
const PAGE: u64 = 256;

impl Desk {
    /// Replaces branches and answers.
    pub(super) fn replace(&mut self, replace: Replace) {
        // Nobody waits for the outcome any more, so nobody may count on it.
        if !replace.answer.is_wanted() {
            return;
        }
        let begun = self.begin(|| replace.answer.is_wanted());
        let outcome = match begun {
            Ok(()) => self.replace_now(&replace),
            Err(error) => Err(error.into()),
        };
        replace.answer.send(Ok(outcome));
    }

    fn replace_now(&mut self, replace: &Replace) -> Result<ReplacedBranches, BranchError> {
        // What is known of the file is not true any more.
        self.memory.types = None;
        self.heads.clear();
        let outcome = self.rewrite(replace);
        let (replaced, last) = match outcome {
            Ok(replaced) => self.end(Ok(replaced)).map_err(Failure::into_error)?,
            Err(refused) => {
                self.roll_back(&refused);
                return Err(refused);
            }
        };
        self.heads.forget_messages();
        self.memory.epoch = replaced.epoch.number;
        self.memory.inline.forget_known();
        self.memory.inline.call();
        self.announce_another_epoch(last);
        Ok(replaced)
    }

    /// Does it in the open transaction. Gives the last position, too.
    fn rewrite(&self, replace: &Replace) -> Result<(ReplacedBranches, u64), BranchError> {
        let database = &self.database;
        let last = types::last_position(database)?;
        let taken = self.taken(&replace.branches)?;
        let before = taken.first().map_or(last, |first| first.position.0 - 1);
        let unchanged = match before {
            0 => Bookmark::START,
            before => events::at(database, before)?.bookmark(),
        };
        let epoch = Epoch {
            number: epochs::number(database)? + 1,
            unchanged,
            branches: replace.branches.clone(),
        };
        keep_as_objects(database, &taken)?;
        let types = cut::back_to(database, before, last)?;
        let types = self.move_up(types, &taken, last)?;
        let mut batch = self.batch_of(types)?;
        let fates = store_new(&mut batch, &replace.commits)?;
        let (types, _) = batch.finish()?;
        epochs::begin(database, &epoch)?;
        inline::withdraw(database, before)?;
        sync_state::change(database, &replace.changes)?;
        let commits = replace.commits.clone();
        let appended = Imported { commits, fates }.into_appended();
        let events = appended.into_iter().flat_map(|commit| commit.events);
        let replaced = ReplacedBranches {
            epoch,
            events: events.collect(),
        };
        Ok((replaced, types.last))
    }

    /// The events of branches, in the order of their positions, which are whole commits.
    fn taken(&self, branches: &[Branch]) -> Result<Vec<StoredEvent>, BranchError> {
        let database = &self.database;
        let mut taken = Vec::new();
        for branch in branches {
            let (aggregate, reserved) = (&branch.aggregate, HashSet::new());
            let found = match aggregates::find(database, aggregate, self.digest, &reserved)? {
                Slot::Taken { key, head } => Some((key, head)),
                Slot::Free { .. } => None,
            };
            branch.check(found.map(|(_, head)| (head.version, head.cid)))?;
            if let Some((key, head)) = found {
                taken.extend(history::since(
                    database,
                    aggregate,
                    key,
                    &head,
                    branch.from,
                )?);
            }
        }
        taken.sort_by_key(|event| event.position);
        check_whole(&taken, |position| events::at(database, position.0))?;
        Ok(taken)
    }

    /// Moves the events behind the first one that is taken out up to each other, those that are taken out left out.
    fn move_up(&self, types: Types, taken: &[StoredEvent], last: u64) -> Result<Types, StoreError> {
        let database = &self.database;
        let left_out: HashSet<Position> = taken.iter().map(|event| event.position).collect();
        let mut at = types.last;
        let mut batch = self.batch_of(types)?;
        while at < last {
            let mut page = Gathered::new(PAGE);
            scan::scan(database, at + 1..=last, None, |_, met| Ok(page.take(met)))?;
            let reached = page.events.last().map_or(last, |last| last.position.0);
            // Each goes to an earlier position, so those that are still to be moved are not in the way.
            let removed = database.execute(
                "moving events",
                "DELETE FROM events WHERE position > ?1 AND position <= ?2",
                (stored(at), stored(reached)),
            )?;
            if removed as u64 != reached - at {
                let reason = format!("{removed} of {} events could be moved", reached - at);
                return Err(database.damaged(reached, None, reason));
            }
            for event in page.events {
                if left_out.contains(&event.position) {
                    continue;
                }
                let aggregate = key_of(&event);
                batch.current(&aggregate).map_err(Refusal::into_error)?;
                batch.insert(&aggregate, &event.into())?;
            }
            at = reached;
        }
        Ok(batch.finish()?.0)
    }

    /// The open transaction, without the views: they are built again.
    fn batch_of(&self, types: Types) -> Result<Batch<'_>, StoreError> {
        Batch::of(
            &self.database,
            &self.heads,
            &self.seal,
            self.digest,
            types,
            None,
        )
    }
}

/// Keeps the blocks of events as objects.
fn keep_as_objects(database: &Database, events: &[StoredEvent]) -> Result<(), StoreError> {
    for event in events {
        let body = event.body();
        let (envelope, payload) = (event.envelope_bytes(), event.payload());
        objects::put_block(database, &event.cid, &body.slice_ref(envelope))?;
        objects::put_block(database, &event.envelope.payload, &body.slice_ref(payload))?;
    }
    Ok(())
}
