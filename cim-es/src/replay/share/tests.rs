//! Shares of an engine that reads slowly, cuts pages anywhere, or fails.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::{AHEAD, LONGEST, SHORTEST, Share, State, Stretch, shares};
use crate::MemoryEventStore;
use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;
use crate::domain::message::{Clock, MessageIdentity, SystemClock};
use crate::store::{
    AggregateKey, CommitRequest, EventPage, EventPages, EventStore, ExpectedVersion, NewEvent,
    Position, Selection, StoreError, partition,
};

const EVENTS: u64 = 3_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Pages of a store, cut short at places that follow from where they begin, and slow there.
struct Cut {
    store: MemoryEventStore,
    fails_behind: u64,
}

#[async_trait]
impl EventPages for Cut {
    async fn page(
        &self,
        selection: Arc<Selection>,
        after: Position,
        until: Position,
    ) -> Result<EventPage, StoreError> {
        if after.0 >= self.fails_behind {
            return Err(StoreError::Closed {
                reason: "it fails".to_owned(),
            });
        }
        let length = after.0 * 7_919 % 300 + 1;
        for _ in 0..length % 5 {
            yield_now().await;
        }
        let until = until.min(Position(after.0 + length));
        self.store.page(selection, after, until).await
    }
}

async fn filled() -> MemoryEventStore {
    let store = MemoryEventStore::new();
    for start in (0..EVENTS).step_by(100) {
        let id = IdText::new(&format!("thing-{}", start / 100 % 23)).unwrap();
        let event = || NewEvent::from_payload("a.thing.happened", 1, vec![0xa0]);
        let commit = CommitRequest::new(MessageIdentity::new_from_user("me"), SystemClock.now());
        let events = (0..100).map(|_| event()).collect();
        let key = AggregateKey::new("a.thing", id);
        let commit = commit.aggregate(key, ExpectedVersion::Any, events);
        store.append(commit).await.unwrap();
    }
    store
}

fn cut(store: MemoryEventStore, workers: usize, fails_behind: u64) -> Vec<Share> {
    let pages: Arc<dyn EventPages> = Arc::new(Cut {
        store,
        fails_behind,
    });
    let between = (Position(17), Position(EVENTS - 3));
    shares(&pages, &Selection::everything(), between, workers)
}

/// The next event of a share.
async fn next(share: &mut Share) -> Option<Result<StoredEvent, StoreError>> {
    match share.advance().await {
        Ok(true) => Some(Ok(share.current().expect("an event").clone())),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    }
}

async fn all_of(mut share: Share) -> Vec<Result<StoredEvent, StoreError>> {
    let mut events = Vec::new();
    while let Some(event) = next(&mut share).await {
        let has_failed = event.is_err();
        events.push(event);
        if has_failed {
            break;
        }
    }
    assert!(
        next(&mut share).await.is_none(),
        "nothing comes behind the end"
    );
    events
}

/// What each worker had, as tasks beside each other.
async fn all_of_each(shares: Vec<Share>) -> Vec<Vec<Result<StoredEvent, StoreError>>> {
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| tokio::spawn(all_of(share)))
        .collect();
    let mut each = Vec::new();
    for task in tasks {
        each.push(timeout(PATIENCE, task).await.expect("it ends").unwrap());
    }
    each
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_event_is_in_one_share_and_each_share_is_in_order() {
    let store = filled().await;
    for workers in [1, 2, 3, 7] {
        let mut positions = Vec::new();
        let each = all_of_each(cut(store.clone(), workers, u64::MAX)).await;
        for (worker, events) in each.into_iter().enumerate() {
            let events: Vec<_> = events.into_iter().map(Result::unwrap).collect();
            assert!(events.is_sorted_by(|one, next| one.position < next.position));
            let is_mine = |event: &StoredEvent| {
                usize::from(partition(&event.envelope.aggregate_id)) % workers == worker
            };
            assert!(events.iter().all(is_mine), "worker {worker} of {workers}");
            positions.extend(events.iter().map(|event| event.position.0));
        }
        positions.sort_unstable();
        assert_eq!(
            positions,
            (18..=EVENTS - 3).collect::<Vec<_>>(),
            "{workers} workers"
        );
    }
}

#[tokio::test]
async fn a_worker_that_leaves_holds_up_no_other() {
    let mut shares = cut(filled().await, 3, u64::MAX);
    let wanted = all_of_each(cut(filled().await, 3, u64::MAX)).await;
    // One leaves at once, one in the midst of its events.
    drop(shares.remove(0));
    let mut leaves = shares.remove(0);
    next(&mut leaves).await.expect("an event").unwrap();
    drop(leaves);
    let events = timeout(PATIENCE, all_of(shares.remove(0)))
        .await
        .expect("it ends");
    assert_eq!(events.len(), wanted[2].len());
}

#[tokio::test]
async fn what_a_worker_began_to_read_is_read_by_another() {
    let wanted = all_of_each(cut(filled().await, 2, u64::MAX)).await;
    let mut shares = cut(filled().await, 2, u64::MAX);
    let (mut other, mut gives_up) = (shares.remove(1), shares.remove(0));
    // Polled once: the first page of such a length waits for its turn.
    assert!(next(&mut gives_up).now_or_never().is_none());
    let event = timeout(PATIENCE, next(&mut other))
        .await
        .expect("it goes on");
    let first = wanted[1][0].as_ref().unwrap();
    assert_eq!(event.unwrap().unwrap().position, first.position);
}

#[tokio::test]
async fn nobody_reads_far_ahead_of_the_slowest() {
    let mut shares = cut(filled().await, 2, u64::MAX);
    let (mut quick, slow) = (shares.remove(1), shares.remove(0));
    let goes_on = async { while next(&mut quick).await.is_some() {} };
    assert!(timeout(Duration::from_millis(300), goes_on).await.is_err());
    let table = slow.sharing.table();
    let is_open = |stretch: &&Stretch| matches!(stretch.state, State::Open);
    let laid_out = table.stretches.values().filter(|it| !is_open(it)).count();
    assert!(laid_out <= 2 * AHEAD, "{laid_out} stretches");
}

#[tokio::test]
async fn a_failure_comes_behind_what_was_read_before_it() {
    for events in all_of_each(cut(filled().await, 2, 2_000)).await {
        let (last, before) = events.split_last().expect("the failure");
        assert!(matches!(last, Err(StoreError::Closed { .. })), "{last:?}");
        assert!(before.iter().all(Result::is_ok));
        let last = before.last().expect("events").as_ref().unwrap();
        assert!(last.position.0 > 1_500, "up to {}", last.position);
    }
}

#[tokio::test]
async fn stretches_grow_where_little_is_selected() {
    let store = filled().await;
    let pages: Arc<dyn EventPages> = Arc::new(store);
    let between = (Position::START, Position(LONGEST * 4));
    let selection = Selection::subjects("a.thing.never");
    let mut share = shares(&pages, &selection, between, 1).remove(0);
    assert!(next(&mut share).await.is_none());
    let length = share.sharing.table().length;
    assert!(length > SHORTEST, "{length}");
}
