//! Views over a stream: whole commits, each event once, whatever the selection leaves out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cim_es::MemoryReadModels;
use cim_es::prelude::*;
use cim_es::projection::{ProjectDocuments, ProjectionError, ProjectionManager};
use cim_es::store::*;
use cim_es_tests::nats::{Server, User};

use crate::jetstream::sample::*;
use crate::jetstream::{open, options};

const LIMIT: Duration = Duration::from_secs(60);

/// What tallies have counted; that one was cleared is not read.
#[derive(Projection, Debug, Default, Clone, PartialEq)]
#[projection(name = "tallies", version = 1, events = [TallyEvent::{Counted}])]
struct Tallies {
    events: u64,
    numbers: BTreeMap<u64, u64>,
}

impl Project<TallyEvent> for Tallies {
    fn project(&mut self, event: TallyEvent, _: &Source<Tally>) {
        if let TallyEvent::Counted { number } = event {
            self.events += 1;
            *self.numbers.entry(number).or_default() += 1;
        }
    }
}

#[derive(Document, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Total {
    total: u64,
}

#[derive(Projection)]
#[projection(name = "totals", version = 1, events = [TallyEvent], documents = Total)]
struct Totals;

impl ProjectDocuments<TallyEvent> for Totals {
    async fn project(
        &self,
        event: TallyEvent,
        at: &Source<'_, Tally>,
        totals: &mut Documents<'_, Total>,
    ) -> Result<(), ProjectionError> {
        let mut total = totals.get(&at.id()).await?.unwrap_or_default();
        match event {
            TallyEvent::Counted { number } => total.total += number,
            TallyEvent::Cleared => total.total = 0,
            TallyEvent::Closed => {}
        }
        totals.put(&at.id(), total)?;
        Ok(())
    }
}

/// Two tallies count one number together; a third one is cleared in the same commit, last of all.
async fn count_twice(
    store: &dyn EventStore,
    [one, other]: &[AggregateKey; 2],
    number: u64,
) -> Position {
    let request = commit()
        .aggregate(one.clone(), ExpectedVersion::Any, vec![counted(number)])
        .aggregate(other.clone(), ExpectedVersion::Any, vec![counted(number)])
        .aggregate(tally(), ExpectedVersion::Any, vec![cleared()]);
    let stored = store.append(request).await.unwrap();
    stored.last().unwrap().position
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_over_a_stream_count_whole_commits_and_each_event_once() {
    let client = Server::shared().connect(User::Operator).await;
    let store = open(client, &options(1)).await;
    let keys = [tally(), tally()];
    for number in 0..50 {
        count_twice(&store, &keys, number).await;
    }
    let manager = ProjectionManager::new(store.clone());
    let tallies = manager.in_memory::<Tallies>().await.unwrap();
    let totals = manager
        .documents::<Totals>(MemoryReadModels::new())
        .await
        .unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let (view, over) = (tallies.clone(), Arc::clone(&is_over));
    let reader = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            let events = view.read(|view| view.events).await.unwrap().value;
            assert_eq!(events % 2, 0);
            tokio::task::yield_now().await;
        }
    });
    let mut last = Position::START;
    for number in 50..100 {
        last = count_twice(&store, &keys, number).await;
    }
    tallies.wait_for(last, LIMIT).await.unwrap();
    totals.wait_for(last, LIMIT).await.unwrap();
    is_over.store(true, Ordering::Relaxed);
    reader.await.unwrap();

    let seen = tallies.read(Tallies::clone).await.unwrap();
    assert_eq!(
        seen.value.numbers,
        (0..100).map(|number| (number, 2)).collect()
    );
    assert_eq!(seen.position, last);
    for key in &keys {
        let total = totals.get(key.id()).await.unwrap().value.unwrap();
        assert_eq!(total.total, (0..100).sum::<u64>());
    }
    manager.stop().await;
}
