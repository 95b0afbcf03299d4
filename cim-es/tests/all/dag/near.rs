//! What one event depends on, without the rest of the store.

use std::collections::BTreeSet;

use cim_es::MemoryEventStore;
use cim_es::block::{Cid, HashCode};
use cim_es::dag::{DagError, EventDag};
use proptest::prelude::*;

use super::model::{append, histories};
use crate::sqlite_support::run;

fn near(dag: &EventDag, cid: &Cid, within: u32) -> BTreeSet<(Cid, bool)> {
    let near = dag.get(cid).expect("it is there").ancestors();
    near.within(within)
        .map(|node| (node.cid(), node.is_known()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_leads_to_an_event_is_what_the_whole_graph_says(history in histories()) {
        run(async {
            let store = MemoryEventStore::new();
            let mut events = Vec::new();
            append(&store, &history, &mut events).await;
            let whole = EventDag::of(&store).await.expect("it is built");
            for event in &events {
                for within in [0, 1, 2, 7] {
                    let part = EventDag::leading_to(&store, &event.cid, within, usize::MAX);
                    let mut part = part.await.expect("it is built");
                    assert_eq!(near(&part, &event.cid, within), near(&whole, &event.cid, within));
                    assert!(part.get(&event.cid).expect("it is there").event().is_some());
                    // And it can be made whole.
                    part.catch_up(&store).await.expect("it reads");
                    assert_eq!((part.events(), part.edges()), (whole.events(), whole.edges()));
                }
                let few = EventDag::leading_to(&store, &event.cid, 9, 2).await.expect("it is built");
                assert!(few.events() <= 3);
                let all = near(&whole, &event.cid, 9);
                let known = all.iter().filter(|(_, is_known)| *is_known).count();
                assert_eq!(few.events(), 1 + known.min(2));
            }
        });
    }
}

#[tokio::test]
async fn an_event_that_the_store_does_not_have_is_said() {
    let nobody = HashCode::Sha2_256.cid(b"nobody");
    let refused = EventDag::leading_to(&MemoryEventStore::new(), &nobody, 3, 9).await;
    assert!(matches!(refused, Err(DagError::NotThere { cid }) if *cid == nobody));
}

/// The others are damaged, and whoever reads one says so.
#[cfg(feature = "sqlite")]
#[test]
fn no_other_event_of_a_file_is_read() {
    use cim_es::SqliteEventStore;
    use cim_es::store::{EventStore, EventStoreExt};
    use rusqlite::Connection;

    use crate::sqlite_support::{Directory, any, commit, key, note};

    let directory = Directory::new();
    let path = directory.file("events.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("a new file");
        for number in 0..200 {
            let events = vec![note(number)];
            store
                .append(any(number % 5, events))
                .await
                .expect("it is stored");
        }
        let cause = store
            .last(&key(2))
            .await
            .expect("it reads")
            .expect("it is there");
        let request = commit().aggregate(
            key(4),
            cim_es::store::ExpectedVersion::Any,
            vec![note(1).with_parents([cause.cid])],
        );
        let last = store.append(request).await.expect("it is stored").remove(0);
        let read = EventDag::leading_to(&store, &last.cid, 2, 100).await;
        let read = read.expect("it reads");
        assert_eq!(read.events(), 5);
        let kept: Vec<_> = read.nodes().filter_map(|node| node.event()).collect();
        let kept: Vec<_> = kept
            .iter()
            .map(|event| event.position.0.to_string())
            .collect();
        store.close().await;
        let file = Connection::open(&path).expect("it opens");
        let others = format!(
            "UPDATE events SET body = x'00' WHERE position NOT IN ({})",
            kept.join(", ")
        );
        assert_eq!(file.execute(&others, ()).expect("they are damaged"), 196);
        drop(file);
        let options = SqliteEventStore::options().even_if_damaged();
        let store = options.open(&path).expect("it opens");
        let again = EventDag::leading_to(&store, &last.cid, 2, 100).await;
        assert_eq!(again.expect("it reads").events(), 5);
        assert!(EventDag::of(&store).await.is_err());
        assert!(store.get_events(&key(4), 0).await.is_err());
    });
}
