//! Faults of what is stored as it was sealed elsewhere.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use cim_es::block::{self, Cid, EventBlock, StoredEvent};
use cim_es::store::{
    AppendedCommit, EventStore, ExpectedVersion, Location, PartlyStored, Position, ProvedCommit,
    SealedCommit, SealedOutcome, StoreError,
};
use tokio::task::yield_now;

use super::fault::Fault;
use super::port::SHA2_256;
use super::store::{WrongStore, lock};

/// What a store would answer if it had a commit.
fn said_to_be_stored(commit: &SealedCommit) -> SealedOutcome {
    let events = commit.events.iter().cloned();
    let events = events.map(|block| StoredEvent::verify(Position(1), block.cid, block.body));
    SealedOutcome::Stored(AppendedCommit {
        events: events.map(|event| event.expect("it is proved")).collect(),
        was_there: false,
    })
}

fn partly(mut outcomes: Vec<SealedOutcome>, error: StoreError) -> StoreError {
    let is_failed = |outcome: &SealedOutcome| matches!(outcome, SealedOutcome::Failed(_));
    let first = match outcomes.iter().position(is_failed) {
        Some(first) => first,
        None => {
            outcomes[0] = SealedOutcome::Failed(error.clone());
            0
        }
    };
    StoreError::PartlyStored(Box::new(PartlyStored {
        location: Location::Memory,
        outcomes,
        first,
        source: Box::new(error),
    }))
}

impl WrongStore {
    pub async fn append_sealed_wrongly(
        &self,
        mut commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        match self.fault() {
            Fault::OnlyTheFirstSealedCommitIsStored => commits.truncate(1),
            Fault::SealedCommitsAreSortedByAggregate => commits.sort_by_cached_key(aggregate_of),
            Fault::BlocksOfAnotherHashAreRefused => {
                let mut blocks = commits.iter().flat_map(|commit| &commit.events);
                if blocks.any(|block| block.cid.hash().code() != SHA2_256) {
                    let reason = "another hash".to_owned();
                    return Err(StoreError::InvalidCommit { reason });
                }
            }
            Fault::ASealedCommitHasOneEvent => {
                if let Some(commit) = commits.iter().find(|commit| commit.events.len() > 1) {
                    let reason = format!("it has {} events", commit.events.len());
                    return Err(StoreError::InvalidCommit { reason });
                }
            }
            Fault::SealedCommitsAreStoredUpToTheFirstThatIsRefused => {
                let mut appended = Vec::new();
                for commit in commits {
                    appended.extend(self.inner.append_sealed(vec![commit]).await?);
                }
                return Ok(appended);
            }
            Fault::APartOfAListIsSaidToBeStored => {
                let said = commits.iter().map(said_to_be_stored).collect();
                let outcome = self.inner.append_sealed(commits).await;
                return outcome.map_err(|error| partly(said, error));
            }
            Fault::APartOfAListIsNotSaidToBeStored => {
                let mut said = vec![SealedOutcome::NotSent; commits.len()];
                let mut appended = Vec::new();
                for (at, commit) in commits.into_iter().enumerate() {
                    match self.inner.append_sealed(vec![commit]).await {
                        Ok(more) => appended.extend(more),
                        Err(error) => {
                            said[at] = SealedOutcome::Failed(error.clone());
                            return Err(partly(said, error));
                        }
                    }
                }
                return Ok(appended);
            }
            Fault::AForkWithinAListIsCutShort => {
                let mut appended = Vec::new();
                for commit in commits {
                    match self.inner.append_sealed(vec![commit]).await {
                        Err(StoreError::Diverged { .. }) if !appended.is_empty() => {}
                        outcome => appended.extend(outcome?),
                    }
                }
                return Ok(appended);
            }
            _ => {}
        }
        let hides = matches!(
            self.fault(),
            Fault::ASealedCommitIsSeenBitByBit | Fault::ASealedCommitIsSeenInTwoHalves
        );
        if hides {
            let before = self.position().await;
            self.all().visible.store(before, Ordering::SeqCst);
        }
        let mut appended = match self.inner.append_sealed(commits).await {
            Ok(appended) => appended,
            Err(error) => {
                if hides {
                    self.all().visible.store(u64::MAX, Ordering::SeqCst);
                }
                return self.refused_otherwise(error);
            }
        };
        for event in appended.iter().flat_map(|commit| &commit.events) {
            let is_new = lock(&self.all().imported).insert(event.cid);
            if !is_new {
                lock(&self.all().repeated).insert(event.cid);
            }
            let _ = self.all().live.send(event.clone());
        }
        let events: Vec<_> = appended.iter().flat_map(|commit| &commit.events).collect();
        match self.fault() {
            Fault::ASealedCommitIsSeenBitByBit => {
                for event in events {
                    self.all().visible.store(event.position.0, Ordering::SeqCst);
                    yield_now().await;
                }
                self.all().visible.store(u64::MAX, Ordering::SeqCst);
            }
            Fault::ASealedCommitIsSeenInTwoHalves if !events.is_empty() => {
                let half = events[events.len() / 4].position.0;
                self.all().visible.store(half, Ordering::SeqCst);
                for _ in 0..20 {
                    yield_now().await;
                }
                self.all().visible.store(u64::MAX, Ordering::SeqCst);
            }
            Fault::TheAnswerToSealedCommitsIsBackwards => appended.reverse(),
            Fault::SealedCommitsWereNeverThere => {
                appended.iter_mut().for_each(|it| it.was_there = false)
            }
            Fault::SealedCommitsWereAlwaysThere => {
                appended.iter_mut().for_each(|it| it.was_there = true)
            }
            Fault::WhatIsThereIsNotAnswered => {
                let there = appended.iter_mut().filter(|commit| commit.was_there);
                there.for_each(|commit| commit.events.clear());
            }
            Fault::ACommitTwiceInAListIsNew => {
                let mut seen = HashSet::new();
                for commit in &mut appended {
                    commit.was_there &= seen.insert(commit.events[0].cid);
                }
            }
            Fault::AnImportRefusesWhatAnotherBrings => {
                let mut there = appended.iter().filter(|commit| commit.was_there);
                if let Some(event) = there.find_map(|commit| commit.events.first()) {
                    return Err(StoreError::Conflict {
                        aggregate: self.key_of(event),
                        expected: ExpectedVersion::NoStream,
                        actual: event.envelope.sequence,
                    });
                }
            }
            Fault::WhatIsThereHasDiverged => {
                let mut there = appended.iter().filter(|commit| commit.was_there);
                if let Some(event) = there.find_map(|commit| commit.events.first()) {
                    return Err(self.diverged(event, event.envelope.sequence));
                }
            }
            _ => {}
        }
        for commit in &mut appended {
            commit.events = self.changed(std::mem::take(&mut commit.events));
        }
        Ok(appended)
    }

    pub async fn append_proved_wrongly(
        &self,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        match self.fault() {
            Fault::ProvedPayloadsHaveNoLimit => match self.inner.append_proved(commits).await {
                Err(StoreError::Payload(_)) => Ok(Vec::new()),
                outcome => outcome,
            },
            Fault::ABranchThatWasProvedIsPassedOver => {
                match self.inner.append_proved(commits).await {
                    Err(StoreError::Diverged { .. }) => Ok(Vec::new()),
                    outcome => outcome,
                }
            }
            Fault::ProvedCommitsAreStoredUpToTheFirstThatIsRefused => {
                let mut appended = Vec::new();
                for commit in commits {
                    appended.extend(self.inner.append_proved(vec![commit]).await?);
                }
                Ok(appended)
            }
            Fault::ProvedCommitsAreOfOneAggregate => {
                match commits.iter().any(|it| it.aggregates().count() > 1) {
                    true => Err(StoreError::InvalidCommit {
                        reason: "it is over several aggregates".to_owned(),
                    }),
                    false => self.inner.append_proved(commits).await,
                }
            }
            _ => {
                let sealed = commits.iter().map(SealedCommit::from);
                self.append_sealed_wrongly(sealed.collect()).await
            }
        }
    }

    /// The answer to what the engine refuses.
    fn refused_otherwise(&self, error: StoreError) -> Result<Vec<AppendedCommit>, StoreError> {
        let nothing = Ok(Vec::new());
        match (self.fault(), error) {
            (
                Fault::AnotherBranchIsPassedOver | Fault::ABranchThatComesAtOnceIsPassedOver,
                StoreError::Diverged { .. },
            )
            | (
                Fault::SealedBlocksAreNotProved,
                StoreError::Unproved(_) | StoreError::InvalidCommit { .. } | StoreError::Payload(_),
            )
            | (Fault::SealedPayloadsHaveNoLimit, StoreError::Payload(_)) => nothing,
            (fault, StoreError::Unproved(verdict)) => {
                let is_passed_over = match fault {
                    Fault::SealedHashesAreNotChecked => {
                        matches!(verdict.fault, block::Fault::Tampered { .. })
                    }
                    Fault::SealedBlocksMayBeNotCanonical => {
                        matches!(verdict.fault, block::Fault::NotCanonical { .. })
                    }
                    Fault::SealedChainsAreNotChecked => {
                        matches!(verdict.fault, block::Fault::PreviousMismatch { .. })
                    }
                    Fault::HalfASealedCommitIsAccepted => {
                        matches!(
                            verdict.fault,
                            block::Fault::CommitMismatch { .. } | block::Fault::Gap { .. }
                        )
                    }
                    _ => false,
                };
                match is_passed_over {
                    true => nothing,
                    false => Err(StoreError::Unproved(verdict)),
                }
            }
            (
                Fault::AMissingPredecessorIsAConflict,
                error @ StoreError::MissingPredecessor { .. },
            ) => {
                let reason = error.to_string();
                Err(StoreError::InvalidCommit { reason })
            }
            (Fault::AMissingPredecessorIsPassedOver, StoreError::MissingPredecessor { .. }) => {
                nothing
            }
            (
                Fault::WhatIsNeededIsTheFirst,
                StoreError::MissingPredecessor {
                    aggregate, version, ..
                },
            ) => Err(StoreError::MissingPredecessor {
                aggregate,
                version,
                needed: 1,
            }),
            (
                Fault::ADivergenceIsAConflict,
                StoreError::Diverged {
                    aggregate, version, ..
                },
            ) => Err(StoreError::Conflict {
                aggregate: *aggregate,
                expected: ExpectedVersion::Exactly(version),
                actual: version,
            }),
            (
                Fault::ADivergenceTakesOursForTheirs,
                StoreError::Diverged {
                    aggregate,
                    version,
                    ours,
                    theirs,
                },
            ) => Err(StoreError::Diverged {
                aggregate,
                version,
                ours: theirs,
                theirs: ours,
            }),
            (
                Fault::ADivergenceIsOneVersionLate,
                StoreError::Diverged {
                    aggregate,
                    version,
                    ours,
                    theirs,
                },
            ) => Err(StoreError::Diverged {
                aggregate,
                version: version + 1,
                ours,
                theirs,
            }),
            (
                Fault::AMissingPredecessorHasDiverged,
                StoreError::MissingPredecessor {
                    aggregate, version, ..
                },
            ) => Err(StoreError::Diverged {
                aggregate,
                version,
                ours: Box::new(Cid::default()),
                theirs: Box::new(Cid::default()),
            }),
            (_, error) => Err(error),
        }
    }

    fn diverged(&self, event: &StoredEvent, version: u64) -> StoreError {
        StoreError::Diverged {
            aggregate: Box::new(self.key_of(event)),
            version,
            ours: Box::new(event.cid),
            theirs: Box::new(event.cid),
        }
    }

    pub fn is_imported(&self, event: &StoredEvent) -> bool {
        lock(&self.all().imported).contains(&event.cid)
    }

    /// What came from elsewhere, as readers of everything see it.
    pub fn imports_seen(&self, events: Vec<StoredEvent>) -> Vec<StoredEvent> {
        match self.fault() {
            Fault::ASealedBlockIsStoredTwice => {
                let repeated = lock(&self.all().repeated);
                let twice = |event: StoredEvent| {
                    let count = if repeated.contains(&event.cid) { 2 } else { 1 };
                    vec![event; count]
                };
                events.into_iter().flat_map(twice).collect()
            }
            Fault::EventsOfASealedCommitAreRegrouped | Fault::EventsOfACommitAreRegrouped => {
                let mut regrouped = Vec::with_capacity(events.len());
                let of_one = |one: &StoredEvent, next: &StoredEvent| {
                    one.envelope.causation_id == next.envelope.causation_id
                };
                for commit in events.chunk_by(of_one) {
                    let mut group = commit.to_vec();
                    let is_meant = self.fault() == Fault::EventsOfACommitAreRegrouped;
                    if is_meant || self.is_imported(&commit[0]) {
                        group.sort_by_cached_key(|event| event.envelope.aggregate_id.clone());
                    }
                    for (event, place) in group.iter_mut().zip(commit) {
                        event.position = place.position;
                    }
                    regrouped.append(&mut group);
                }
                regrouped
            }
            _ => events,
        }
    }
}

/// The aggregate of the first event.
fn aggregate_of(commit: &SealedCommit) -> Option<String> {
    let first: &EventBlock = commit.events.first()?;
    let stored = StoredEvent::verify(Position(1), first.cid, first.body.clone());
    stored.ok().map(|event| event.envelope.aggregate_id)
}
