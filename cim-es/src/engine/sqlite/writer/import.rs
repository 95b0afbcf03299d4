//! Storing commits that were sealed elsewhere, in a transaction of their own.

use super::batch::{Batch, Refusal};
use super::desk::Desk;
use super::group::Failure;
use super::heads::Entry;
use super::queue::Import;
use crate::block::{Cid, StoredEvent};
use crate::engine::sqlite::cids;
use crate::engine::sqlite::history::Walk;
use crate::engine::sqlite::types::Types;
use crate::store::{
    AggregateKey, AppendedCommit, Head, Location, Plan, Position, ProvedCommit, Standing,
    StoreError, plan,
};

impl Desk {
    /// Compares commits with what the file has, and stores those that are new: all of them, or none.
    pub(super) fn import(&mut self, import: Import) {
        let Import {
            commits, answer, ..
        } = import;
        // Nobody waits for the outcome any more, so nobody may count on it.
        if !answer.is_wanted() {
            return;
        }
        let outcome = self.begin(|| answer.is_wanted());
        let outcome = outcome.and_then(|()| self.import_now(commits));
        answer.send(outcome);
    }

    fn import_now(&mut self, commits: Vec<ProvedCommit>) -> Result<Imported, StoreError> {
        let mut imported = self.import_once(&commits);
        // A view that could not be written is left out.
        while imported.is_err() && self.memory.inline.is_at_fault() {
            self.begin(|| true)?;
            imported = self.import_once(&commits);
        }
        let fates = imported?;
        Ok(Imported { commits, fates })
    }

    fn import_once(&mut self, commits: &[ProvedCommit]) -> Result<Vec<Fate>, StoreError> {
        let imported = match self.batch() {
            Ok(batch) => add(batch, commits),
            Err(error) => (None, Err(error)),
        };
        self.memory.types = imported.0;
        match self.end(imported.1.map_err(Failure::Group)) {
            Ok((fates, heads)) => {
                self.heads.put_all(heads);
                if let Some(types) = &self.memory.types {
                    self.announce(types.last);
                }
                Ok(fates)
            }
            Err(failure) => {
                self.memory.types = None;
                self.heads.clear();
                Err(failure.into_error())
            }
        }
    }
}

/// What became of a commit in the transaction.
pub(super) enum Fate {
    /// It stood there.
    There(Vec<StoredEvent>),
    /// It is the same as an earlier one of the list, by its place.
    Repeats(usize),
    /// It was stored, its first event at this position.
    At(u64),
}

/// Commits, and what became of each.
pub(super) struct Imported {
    pub(super) commits: Vec<ProvedCommit>,
    pub(super) fates: Vec<Fate>,
}

type Added = (Vec<Fate>, Vec<Entry>);

/// Adds to the open transaction what is new of the commits. Gives the types as they are then.
fn add(
    mut batch: Batch<'_>,
    commits: &[ProvedCommit],
) -> (Option<Types>, Result<Added, StoreError>) {
    let fates = match store_new(&mut batch, commits) {
        Ok(fates) => fates,
        Err(error) => return (Some(batch.undo()), Err(error)),
    };
    match batch.finish() {
        Ok((types, heads)) => (Some(types), Ok((fates, heads))),
        Err(error) => (None, Err(error)),
    }
}

/// Stores what is new of commits in the open transaction.
pub(super) fn store_new(
    batch: &mut Batch<'_>,
    commits: &[ProvedCommit],
) -> Result<Vec<Fate>, StoreError> {
    let plans = plan(commits, batch)?;
    let fates = commits.iter().zip(plans).map(|(commit, plan)| {
        Ok(match plan {
            Plan::There(events) => Fate::There(events),
            Plan::Repeats(earlier) => Fate::Repeats(earlier),
            Plan::Store => Fate::At(batch.add_proved(commit)?),
        })
    });
    fates.collect()
}

impl Imported {
    /// What callers are told: made of it by themselves, while the writer goes on.
    pub(super) fn into_appended(self) -> Vec<AppendedCommit> {
        let Self { commits, fates } = self;
        let mut appended: Vec<AppendedCommit> = Vec::with_capacity(fates.len());
        for (commit, fate) in commits.into_iter().zip(fates) {
            let (events, was_there) = match fate {
                Fate::There(events) => (events, true),
                Fate::Repeats(earlier) => (appended[earlier].events.clone(), true),
                Fate::At(first) => {
                    let events = commit.into_events().into_iter().zip(first..);
                    let placed = events.map(|(event, at)| event.into_stored(Position(at)));
                    (placed.collect(), false)
                }
            };
            appended.push(AppendedCommit { events, was_there });
        }
        appended
    }
}

impl Standing for Batch<'_> {
    fn location(&self) -> Location {
        self.database().location().clone()
    }

    fn head(&mut self, aggregate: &AggregateKey) -> Result<Option<Head>, StoreError> {
        let present = self.current(aggregate).map_err(Refusal::into_error)?;
        Ok(present.head())
    }

    fn event(
        &mut self,
        aggregate: &AggregateKey,
        version: u64,
        wanted: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let found = cids::find(self.database(), wanted)?;
        if found.is_some() {
            return Ok(found);
        }
        let mut walk = Walk::new(aggregate.clone(), version, version);
        Ok(walk.page(self.database(), self.digest())?.pop())
    }
}
