//! A graph that is kept current, and one that is built again after a restart.

use cim_es::MemoryEventStore;
use cim_es::block::Cid;
use cim_es::dag::{DagError, EventDag, EventUpdates, LiveDag};
use cim_es::store::{EventStore, StoreError, StreamExt};

use crate::sqlite_support::{any, note, run};

async fn store(store: &MemoryEventStore, numbers: std::ops::Range<u64>) -> Vec<Cid> {
    let mut stored = Vec::new();
    for number in numbers {
        let events = vec![note(number), note(number + 1)];
        let commit = store.append(any(number % 3, events)).await;
        stored.extend(
            commit
                .expect("it is stored")
                .into_iter()
                .map(|event| event.cid),
        );
    }
    stored
}

async fn next(updates: &mut EventUpdates) -> Cid {
    let update = updates.next().await.expect("a store goes on");
    let update = update.expect("it reads");
    assert_eq!(
        (update.cid, update.position),
        (update.event.cid, update.event.position)
    );
    update.cid
}

#[test]
fn each_update_is_in_the_graph_when_it_is_given_and_none_is_missed_or_comes_twice() {
    run(async {
        let events = MemoryEventStore::new();
        let before = store(&events, 0..5).await;
        let live = LiveDag::new(EventDag::of(&events).await.expect("it is built"));
        assert_eq!(live.ask(EventDag::events), before.len());
        let mut updates = live.follow(&events);
        let mut expected = store(&events, 5..9).await;
        for cid in &expected {
            assert_eq!(next(&mut updates).await, *cid);
            live.ask(|dag| dag.get(cid).map(drop))
                .expect("it is in the graph");
        }
        // Whoever follows again goes on behind what the graph has, however much was stored meanwhile.
        drop(updates);
        expected = store(&events, 9..12).await;
        let mut updates = live.follow(&events);
        for cid in &expected[..3] {
            assert_eq!(next(&mut updates).await, *cid);
        }
        drop(updates);
        // After a restart, the graph is built again, and is what it would have been.
        let again = LiveDag::new(EventDag::of(&events).await.expect("it is built"));
        let mut updates = again.follow(&events);
        let newest = store(&events, 12..13).await;
        assert_eq!(next(&mut updates).await, newest[0]);
        let mut updates = live.follow(&events);
        for cid in expected[3..].iter().chain(&newest) {
            assert_eq!(next(&mut updates).await, *cid);
        }
        let nodes = |dag: &EventDag| dag.nodes().map(|node| node.cid()).collect::<Vec<_>>();
        assert_eq!(next_all(again, &events).await, live.ask(nodes));
    });
}

/// Brings a graph level and gives its nodes.
async fn next_all(live: LiveDag, events: &MemoryEventStore) -> Vec<Cid> {
    let mut dag = live.ask(EventDag::clone);
    dag.catch_up(events).await.expect("it reads");
    dag.nodes().map(|node| node.cid()).collect()
}

#[test]
fn a_store_of_another_history_is_noticed() {
    run(async {
        let (one, other) = (MemoryEventStore::new(), MemoryEventStore::new());
        store(&one, 0..3).await;
        store(&other, 0..9).await;
        let mut dag = EventDag::of(&one).await.expect("it is built");
        let refused = dag.catch_up(&other).await;
        let is_noticed =
            |error: &DagError| matches!(error, DagError::Store(StoreError::AnotherHistory(_)));
        assert!(refused.as_ref().is_err_and(is_noticed), "{refused:?}");
        let mut updates = LiveDag::new(dag).follow(&other);
        let refused = updates.next().await.expect("it is told").map(drop);
        assert!(refused.as_ref().is_err_and(is_noticed), "{refused:?}");
        assert!(updates.next().await.is_none());
    });
}
