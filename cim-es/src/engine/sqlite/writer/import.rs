//! Storing commits that were sealed elsewhere, in a transaction of their own.

use super::batch::Batch;
use super::group::Failure;
use super::heads::Entry;
use super::queue::Import;
use super::thread::Thread;
use crate::block::{Cid, StoredEvent};
use crate::engine::sqlite::cids;
use crate::engine::sqlite::history::Walk;
use crate::engine::sqlite::types::Types;
use crate::store::{
    AggregateKey, AppendedCommit, Head, Plan, Position, ProvedCommit, Standing, StoreError, plan,
};

impl Thread {
    /// Compares commits with what the file has, and stores those that are new: all of them, or none.
    pub(super) fn import(&mut self, import: Import) {
        let Import {
            commits, answer, ..
        } = import;
        // Nobody waits for the outcome any more, so nobody may count on it.
        if answer.is_closed() {
            return;
        }
        let outcome = self.begin(|| !answer.is_closed());
        let outcome = outcome.and_then(|()| self.import_now(commits));
        // Whoever asked may have gone meanwhile.
        let _ = answer.send(outcome);
    }

    fn import_now(
        &mut self,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        let imported = match self.batch() {
            Ok(batch) => add(batch, commits),
            Err(error) => (None, Err(error)),
        };
        self.memory.types = imported.0;
        match self.end(imported.1.map_err(Failure::Group)) {
            Ok((appended, heads)) => {
                self.heads.put_all(heads);
                if let Some(types) = &self.memory.types {
                    self.announce(types.last);
                }
                Ok(appended)
            }
            Err(Failure::One(_, error) | Failure::Group(error) | Failure::All(error)) => {
                self.memory.types = None;
                self.heads.clear();
                Err(error)
            }
        }
    }
}

type Imported = (Vec<AppendedCommit>, Vec<Entry>);

/// Adds to the open transaction what is new of the commits. Gives the types as they are then.
fn add(
    mut batch: Batch<'_>,
    commits: Vec<ProvedCommit>,
) -> (Option<Types>, Result<Imported, StoreError>) {
    let appended = match store_new(&mut batch, commits) {
        Ok(appended) => appended,
        Err(error) => return (Some(batch.undo()), Err(error)),
    };
    match batch.finish() {
        Ok((types, heads)) => (Some(types), Ok((appended, heads))),
        Err(error) => (None, Err(error)),
    }
}

fn store_new(
    batch: &mut Batch<'_>,
    commits: Vec<ProvedCommit>,
) -> Result<Vec<AppendedCommit>, StoreError> {
    let plans = plan(&commits, batch)?;
    let mut appended: Vec<AppendedCommit> = Vec::with_capacity(commits.len());
    for (commit, plan) in commits.into_iter().zip(plans) {
        let (events, was_there) = match plan {
            Plan::There(events) => (events, true),
            Plan::Repeats(earlier) => (appended[earlier].events.clone(), true),
            Plan::Store => (store(batch, commit)?, false),
        };
        appended.push(AppendedCommit { events, was_there });
    }
    Ok(appended)
}

fn store(batch: &mut Batch<'_>, commit: ProvedCommit) -> Result<Vec<StoredEvent>, StoreError> {
    let mut stored = Vec::with_capacity(commit.events().len());
    for (aggregate, event) in commit.into_events_of() {
        batch.insert(&aggregate, &event)?;
        stored.push(event.into_stored(Position(batch.last())));
    }
    Ok(stored)
}

impl Standing for Batch<'_> {
    fn place(&self) -> String {
        self.database().place().to_string()
    }

    fn head(&mut self, aggregate: &AggregateKey) -> Result<Option<Head>, StoreError> {
        Ok(self.current(aggregate)??.head())
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
