//! Faults of an append.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cim_es::block::StoredEvent;
use cim_es::event::PayloadError;
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{
    AggregateCommit, AggregateKey, Bookmark, CommitRequest, EventStore, ExpectedVersion, NewEvent,
    StoreError,
};
use tokio::task::yield_now;

use super::fault::Fault;
use super::store::{WrongStore, lock};

/// Lets an aggregate of a commit follow on whatever is there.
fn unguard(part: &mut AggregateCommit) {
    part.expected = ExpectedVersion::Any;
    part.head = None;
}

fn conflict(part: &AggregateCommit) -> StoreError {
    StoreError::Conflict {
        aggregate: part.aggregate.clone(),
        expected: part.expected,
        actual: 0,
    }
}

/// Lets a commit count as one of a new message.
fn forget_the_message(commit: &mut CommitRequest) {
    commit.identity = commit
        .identity
        .clone()
        .with_message_id(uuid::Uuid::now_v7());
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
        let message_id = commit.identity.message_id();
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
            Fault::TimesMayGoBack => commit = commit.with_clock_skew(Duration::ZERO),
            Fault::FiftyAggregatesAreGuarded => {
                commit.aggregates.iter_mut().skip(50).for_each(unguard);
            }
            Fault::AnIdIsGuardedOnce => {
                let mut seen = HashSet::new();
                let is_again = |part: &&mut AggregateCommit| {
                    !seen.insert(part.aggregate.id().clone()) && !part.is_unchanged
                };
                commit
                    .aggregates
                    .iter_mut()
                    .filter(is_again)
                    .for_each(unguard);
            }
            Fault::AnIdMovesAsAWhole => {
                let events = self.all_events(Bookmark::START).await?;
                for part in commit.aggregates.iter().filter(|part| part.is_unchanged) {
                    let id = part.aggregate.id().as_str();
                    let seen = part.head.map_or(0, |head| head.position.0);
                    let has_moved = |event: &StoredEvent| {
                        event.envelope.aggregate_id == id && event.position.0 > seen
                    };
                    if events.iter().any(has_moved) {
                        return Err(conflict(part));
                    }
                }
            }
            Fault::ARefusalIsRemembered => {
                let refused = lock(&self.all().refused);
                let mut parts = commit.aggregates.iter();
                if let Some(part) = parts.find(|part| refused.contains(&part.aggregate)) {
                    return Err(conflict(part));
                }
            }
            Fault::ACommitMayBeOfAnyMessage => {
                let identity = commit.identity.clone();
                commit.identity = identity.with_message_id(uuid::Uuid::now_v7());
            }
            Fault::AnyGoesOnFromAStaleHead => self.go_on_from_a_stale_head(&mut commit),
            Fault::VersionsCountAllKindsOfAnId => self.count_all_kinds(&mut commit).await?,
            Fault::OtherKindsAreNotGuarded => {
                self.check(&commit).await?;
                for _ in 0..5 {
                    yield_now().await;
                }
                let first = commit.aggregates.first().map(|part| part.aggregate.clone());
                let parts = commit.aggregates.iter_mut();
                let is_other = |part: &&mut AggregateCommit| {
                    first
                        .as_ref()
                        .is_some_and(|first| first.kind() != part.aggregate.kind())
                };
                parts.filter(is_other).for_each(unguard);
            }
            Fault::TheMessageIdIsLost => {
                let identity = commit.identity.clone();
                commit.identity = identity.with_message_id(uuid::Uuid::now_v7());
            }
            Fault::TheCauseIsNoParent if commit.identity.cause().is_some() => {
                let (id, actor) = (commit.identity.message_id(), commit.identity.actor());
                commit.identity = MessageIdentity::root(id, actor);
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
            Fault::AMessageIdIsUsedOnceInTheStore | Fault::MessagesOutliveABranch => {
                if let Some(stored) = lock(&self.all().messages).get(&message_id) {
                    return Ok(stored.clone());
                }
            }
            Fault::RacingRepeatsAreBothStored => {
                let is_new = !lock(&self.all().messages).contains_key(&message_id);
                for _ in 0..20 {
                    yield_now().await;
                }
                if is_new && lock(&self.all().messages).contains_key(&message_id) {
                    forget_the_message(&mut commit);
                }
            }
            _ if self.is_taken_for_new(&commit).await => forget_the_message(&mut commit),
            Fault::RepeatsAreConflicts => self.check(&commit).await?,
            Fault::RepeatsAreRefused | Fault::AnEarlierIdIsARepeat => {
                let messages = lock(&self.all().messages);
                let is_refused = match self.fault() {
                    Fault::RepeatsAreRefused => messages.contains_key(&message_id),
                    _ => messages.keys().any(|known| *known > message_id),
                };
                let part = commit.aggregates.first().filter(|_| is_refused);
                if let Some(part) = part {
                    return Err(StoreError::MessageIdReused {
                        message_id,
                        aggregate: Box::new(part.aggregate.clone()),
                        event_type: "contract.sample.noted".into(),
                        version: 1,
                    });
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
        let first = commit.aggregates.first();
        let first = first.map(|part| part.aggregate.clone());
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
        let keys: Vec<_> = commit
            .aggregates
            .iter()
            .map(|part| part.aggregate.clone())
            .collect();
        let again = commit.clone();
        let mut outcome = self.inner.append(commit).await;
        match (self.fault(), &outcome) {
            (Fault::RepeatsOfOtherEventsAreStored, Err(StoreError::MessageIdReused { .. })) => {
                let mut again = again;
                forget_the_message(&mut again);
                outcome = self.inner.append(again).await;
            }
            (Fault::AWriterFollowsAnImportBlindly, Err(StoreError::Conflict { aggregate, .. })) => {
                let mut again = again;
                let last = self.inner.last(aggregate).await?;
                if last.is_some_and(|last| self.is_imported(&last)) {
                    again.aggregates.iter_mut().for_each(unguard);
                    outcome = self.inner.append(again).await;
                }
            }
            _ => {}
        }
        if outcome.is_err() {
            lock(&self.all().refused).extend(keys);
        }
        let mut stored = match (self.fault(), outcome) {
            (Fault::AnyBytesAreAPayload, Err(StoreError::Payload(_)))
            | (
                Fault::PayloadsHaveNoLimit,
                Err(StoreError::Payload(PayloadError::TooLarge { .. })),
            ) => return Ok(Vec::new()),
            (_, Ok(stored)) => stored,
            (Fault::RepeatsAreAnsweredWhateverTheySay, Err(StoreError::MessageIdReused { .. })) => {
                return Ok(lock(&self.all().messages)[&message_id].clone());
            }
            (Fault::AConflictIsAnInvalidCommit, Err(error)) => {
                let reason = error.to_string();
                return Err(StoreError::InvalidCommit { reason });
            }
            (
                Fault::TheConflictHasNoVersion,
                Err(StoreError::Conflict {
                    aggregate,
                    expected,
                    ..
                }),
            ) => {
                return Err(StoreError::Conflict {
                    aggregate,
                    expected,
                    actual: 0,
                });
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
            (Fault::AnyTextIsAType, Err(StoreError::InvalidCommit { .. })) => return Ok(Vec::new()),
            (_, Err(error)) => return Err(error),
        };
        lock(&self.all().messages).insert(message_id, stored.clone());
        lock(&self.handle.messages).insert(message_id);
        for event in &stored {
            let _ = self.all().live.send(event.clone());
            lock(&self.handle.written).insert(event.cid);
            let known = self.key_of(event);
            lock(&self.handle.last).insert(known, Some(event.clone()));
        }
        let number = self.all().acknowledged.fetch_add(1, Ordering::SeqCst);
        match self.fault() {
            Fault::AnAcknowledgedCommitIsLost if number % 50 == 49 => {
                lock(&self.all().lost).extend(stored.iter().map(|event| event.cid));
            }
            Fault::TheAnswerIsOfTheFirstAggregate => {
                let first = stored[0].clone();
                stored.retain(|event| self.key_of(event) == self.key_of(&first));
            }
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

    /// Whether a commit that was stored before is taken for a new one.
    async fn is_taken_for_new(&self, commit: &CommitRequest) -> bool {
        let id = commit.identity.message_id();
        let Some(stored) = lock(&self.all().messages).get(&id).cloned() else {
            return false;
        };
        match self.fault() {
            Fault::RepeatsAreStoredAgain => true,
            Fault::RepeatsAreForgottenAfter100 => {
                let last = stored.last().map_or(0, |event| event.position.0);
                last + 100 < self.position().await
            }
            Fault::RepeatsAreKnownToTheirHandleAlone => !lock(&self.handle.messages).contains(&id),
            Fault::RepeatsWithoutATimeAreStoredAgain => id.get_version_num() != 7,
            Fault::RepeatsGoByTheClock => {
                let Some(part) = commit.aggregates.first() else {
                    return false;
                };
                let last = self.inner.last(&part.aggregate).await.ok().flatten();
                let last = last.map_or(0, |last| last.timestamp().as_micros() / 1_000);
                let millis = i64::try_from(id.as_u64_pair().0 >> 16).unwrap_or(i64::MAX);
                id.get_version_num() == 7 && millis > last + 60_000
            }
            Fault::RepeatsOverSeveralAggregatesAreStoredAgain => commit.aggregates.len() > 1,
            _ => false,
        }
    }

    /// Gives an aggregate its first event.
    pub async fn begin(&self, key: &AggregateKey) -> Result<Vec<StoredEvent>, StoreError> {
        let event = NewEvent::from_payload(format!("{}.asked", key.kind()), 1, vec![0xa0]);
        let identity = MessageIdentity::new_from_user("reader");
        let commit = CommitRequest::new(identity, Timestamp::from_micros(1));
        let commit = commit.aggregate(key.clone(), ExpectedVersion::Any, vec![event]);
        self.inner.append(commit).await
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

    fn go_on_from_a_stale_head(&self, commit: &mut CommitRequest) {
        let known = lock(&self.handle.last);
        for part in &mut commit.aggregates {
            if let (ExpectedVersion::Any, Some(Some(last))) =
                (part.expected, known.get(&part.aggregate))
            {
                part.expected = ExpectedVersion::Exactly(last.envelope.sequence);
            }
        }
    }

    /// Compares with the number of events under an id, whatever the kind.
    async fn count_all_kinds(&self, commit: &mut CommitRequest) -> Result<(), StoreError> {
        let events = self.all_events(Bookmark::START).await?;
        for part in &mut commit.aggregates {
            let ExpectedVersion::Exactly(expected) = part.expected else {
                continue;
            };
            let id = part.aggregate.id().as_str();
            let of_id = events
                .iter()
                .filter(|event| event.envelope.aggregate_id == id);
            if of_id.count() as u64 == expected {
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
