//! Faults of an append.

use std::sync::atomic::Ordering;

use cim_es::block::StoredEvent;
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{AggregateCommit, CommitRequest, EventStore, ExpectedVersion, StoreError};
use tokio::task::yield_now;

use super::fault::Fault;
use super::store::{WrongStore, lock};

/// Lets an aggregate of a commit follow on whatever is there.
fn unguard(part: &mut AggregateCommit) {
    part.expected = ExpectedVersion::Any;
    part.head = None;
}

impl WrongStore {
    pub async fn append_wrongly(
        &self,
        mut commit: CommitRequest,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        if self.all().is_closed.load(Ordering::SeqCst) {
            let reason = "a handle was dropped".to_owned();
            return Err(StoreError::Closed { reason });
        }
        for part in &mut commit.aggregates {
            part.aggregate = self.key(&part.aggregate);
        }
        match self.fault() {
            Fault::BothWritersWin => {
                self.check(&commit).await?;
                yield_now().await;
                commit.aggregates.iter_mut().for_each(unguard);
            }
            Fault::UnchangedIsNotGuarded => commit.aggregates.retain(|part| !part.is_unchanged),
            Fault::UnchangedIsLookedAtBefore => {
                self.check(&commit).await?;
                for _ in 0..20 {
                    yield_now().await;
                }
                commit.aggregates.retain(|part| !part.is_unchanged);
            }
            Fault::OnlyTheFirstIsGuarded => commit.aggregates.iter_mut().skip(1).for_each(unguard),
            Fault::TheThirdIsNotGuarded => {
                commit
                    .aggregates
                    .iter_mut()
                    .skip(2)
                    .take(1)
                    .for_each(unguard);
            }
            Fault::HeadsAreNotCompared => {
                commit
                    .aggregates
                    .iter_mut()
                    .for_each(|part| part.head = None);
            }
            Fault::AnyIsNoStream => {
                for part in &mut commit.aggregates {
                    if part.expected == ExpectedVersion::Any {
                        part.expected = ExpectedVersion::NoStream;
                    }
                }
            }
            Fault::NoStreamIsAny => {
                let parts = commit.aggregates.iter_mut();
                parts
                    .filter(|part| part.expected == ExpectedVersion::NoStream)
                    .for_each(unguard);
            }
            Fault::ExactlyIsAtLeast | Fault::ExactlyIsAtMost => {
                self.compare_loosely(&mut commit).await?
            }
            Fault::TheHeadIsFromAStaleCopy => self.compare_with_a_stale_copy(&commit)?,
            Fault::ARefusedCommitLeavesItsFirst => self.leave_the_first(&commit).await?,
            Fault::ACommitIsStoredPieceByPiece => return self.append_in_pieces(commit).await,
            Fault::AggregatesPastThe50thAreDropped => commit.aggregates.truncate(50),
            Fault::AnEmptyCommitIsStored if commit.aggregates.is_empty() => return Ok(Vec::new()),
            Fault::AMessageIdIsUsedOnceInTheStore => {
                let message = commit.identity.message_id();
                if let Some(stored) = lock(&self.all().messages).get(&message) {
                    return Ok(stored.clone());
                }
            }
            Fault::EqualEventsAreStoredOnce => self.drop_equal_events(&mut commit),
            Fault::TimesAreInMilliseconds => {
                commit.now = Timestamp::from_micros(commit.now.as_micros() / 1_000 * 1_000);
            }
            Fault::TheActorIsLost => {
                let identity = &commit.identity;
                commit.identity = identity.clone().with_actor("somebody");
            }
            Fault::TheCorrelationIsLost | Fault::TheMetaIsLost => {
                let (id, actor) = (commit.identity.message_id(), commit.identity.actor());
                let alone = MessageIdentity::root(id, actor);
                commit.identity = match self.fault() {
                    Fault::TheMetaIsLost if commit.identity.meta().is_empty() => commit.identity,
                    _ => alone,
                };
            }
            _ => {}
        }
        let (identity, first) = (
            commit.identity.clone(),
            commit.aggregates.first().map(|part| part.aggregate.clone()),
        );
        let hides = matches!(
            self.fault(),
            Fault::ACommitIsSeenBitByBit
                | Fault::ACommitIsSeenInTwoHalves
                | Fault::AcknowledgedBeforeItIsSeen
        );
        if hides {
            let before = self.position().await;
            self.all().visible.store(before, Ordering::SeqCst);
        }
        let outcome = self.inner.append(commit).await;
        let mut stored = match (self.fault(), outcome) {
            (_, Ok(stored)) => stored,
            (Fault::AConflictIsAnInvalidCommit, Err(error)) => {
                let reason = error.to_string();
                return Err(StoreError::InvalidCommit { reason });
            }
            (
                Fault::TheConflictNamesTheFirst,
                Err(StoreError::Conflict {
                    expected, actual, ..
                }),
            ) => {
                let aggregate = first.expect("a conflict is about an aggregate");
                return Err(StoreError::Conflict {
                    aggregate,
                    expected,
                    actual,
                });
            }
            (_, Err(error)) => return Err(error),
        };
        lock(&self.all().messages).insert(identity.message_id(), stored.clone());
        for event in &stored {
            let _ = self.all().live.send(event.clone());
            let known = self.key_of(event);
            lock(&self.handle.last).insert(known, Some(event.clone()));
        }
        match self.fault() {
            Fault::ACommitIsSeenBitByBit => {
                for event in &stored {
                    self.all().visible.store(event.position.0, Ordering::SeqCst);
                    yield_now().await;
                }
            }
            Fault::ACommitIsSeenInTwoHalves => {
                let half = stored[stored.len() / 4].position.0;
                self.all().visible.store(half, Ordering::SeqCst);
                for _ in 0..20 {
                    yield_now().await;
                }
                self.all().visible.store(u64::MAX, Ordering::SeqCst);
            }
            Fault::TheAnswerIsBackwards => stored.reverse(),
            Fault::TheAnswerIsCut => stored.truncate(256),
            Fault::TheAnswerIsAtAnotherPosition => {
                stored.iter_mut().for_each(|event| event.position.0 += 1);
            }
            _ => {}
        }
        Ok(self.changed(stored))
    }

    /// Compares what a commit expects with what is there, before and apart from the append.
    async fn check(&self, commit: &CommitRequest) -> Result<(), StoreError> {
        for part in &commit.aggregates {
            let last = self.inner.last(&part.aggregate).await?;
            part.check(last.map(|last| last.head()).as_ref())?;
        }
        Ok(())
    }

    async fn compare_loosely(&self, commit: &mut CommitRequest) -> Result<(), StoreError> {
        for part in &mut commit.aggregates {
            let ExpectedVersion::Exactly(expected) = part.expected else {
                continue;
            };
            let last = self.inner.last(&part.aggregate).await?;
            let version = last.map_or(0, |last| last.envelope.sequence);
            let is_loose = match self.fault() {
                Fault::ExactlyIsAtLeast => version >= expected,
                _ => version <= expected,
            };
            if is_loose {
                unguard(part);
            }
        }
        Ok(())
    }

    fn compare_with_a_stale_copy(&self, commit: &CommitRequest) -> Result<(), StoreError> {
        let known = lock(&self.handle.last);
        for part in &commit.aggregates {
            if let Some(last) = known.get(&part.aggregate) {
                part.check(last.as_ref().map(StoredEvent::head).as_ref())?;
            }
        }
        Ok(())
    }

    async fn leave_the_first(&self, commit: &CommitRequest) -> Result<(), StoreError> {
        let Err(refused) = self.check(commit).await else {
            return Ok(());
        };
        let mut first = commit.clone();
        first.aggregates.truncate(1);
        let _ = self.inner.append(first).await;
        Err(refused)
    }

    async fn append_in_pieces(
        &self,
        commit: CommitRequest,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.check(&commit).await?;
        let mut stored = Vec::new();
        for part in &commit.aggregates {
            let mut piece = commit.clone();
            piece.aggregates = vec![part.clone()];
            stored.extend(self.inner.append(piece).await?);
            yield_now().await;
        }
        Ok(stored)
    }

    fn drop_equal_events(&self, commit: &mut CommitRequest) {
        let mut seen = lock(&self.all().payloads);
        for part in &mut commit.aggregates {
            let key = part.aggregate.clone();
            let mut is_first = true;
            part.events.retain(|event| {
                let is_new = seen.insert((key.clone(), format!("{event:?}")));
                std::mem::take(&mut is_first) || is_new
            });
        }
    }
}
