//! Nodes that never meet, and a stick that is carried between them: in any order, twice, old after new.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cim_es::bundle::{BundleError, Export, Import, OnDivergence};
use cim_es::store::{EventStore, EventStoreExt};
use cim_es::{MemoryEventStore, SqliteEventStore};

use super::{CREATED, cids, commit, import};
use crate::sqlite_support::{Directory, key, run};

/// The orders of some numbers.
fn orders(numbers: &[usize]) -> Vec<Vec<usize>> {
    match numbers {
        [] => vec![Vec::new()],
        _ => numbers
            .iter()
            .flat_map(|first| {
                let rest: Vec<_> = numbers.iter().copied().filter(|it| it != first).collect();
                let rest = orders(&rest);
                rest.into_iter().map(|rest| [vec![*first], rest].concat())
            })
            .collect(),
    }
}

async fn export(store: &MemoryEventStore, file: &Path) -> cim_es::bundle::Manifest {
    let export = Export::new(store.clone()).source("a node").created(CREATED);
    let exported = export.bundle_to(file).await;
    exported.expect("it is exported").manifest
}

async fn all(store: &dyn EventStore) -> BTreeSet<String> {
    cids(store).await.into_iter().collect()
}

/// Three nodes with aggregates of their own, and what each put on the stick on Monday and on Friday.
async fn week(directory: &Directory) -> (Vec<MemoryEventStore>, Vec<PathBuf>) {
    let (mut nodes, mut sticks) = (Vec::new(), Vec::new());
    for number in 0..3 {
        let node = MemoryEventStore::new();
        let (one, other) = (format!("one-{number}"), format!("other-{number}"));
        commit(&node, &[(&one, 2)]).await;
        commit(&node, &[(&one, 1), (&other, 2)]).await;
        let monday = directory.file(&format!("monday-{number}.car"));
        export(&node, &monday).await;
        commit(&node, &[(&other, 1)]).await;
        commit(&node, &[(&other, 1), (&one, 1)]).await;
        let friday = directory.file(&format!("friday-{number}.car"));
        export(&node, &friday).await;
        nodes.push(node);
        sticks.extend([monday, friday]);
    }
    (nodes, sticks)
}

#[test]
fn bundles_in_any_order_old_ones_after_new_ones_and_twice_lead_to_the_same() {
    run(async {
        let directory = Directory::new();
        let (nodes, sticks) = week(&directory).await;
        let mut expected = BTreeSet::new();
        for node in &nodes[..2] {
            expected.extend(all(node).await);
        }
        for (at, order) in orders(&[0, 1, 2, 3]).into_iter().enumerate() {
            // Every seventh of them into a file, which takes longer.
            let store: Box<dyn EventStore> = match at % 7 {
                0 => Box::new(
                    SqliteEventStore::open(directory.file(&format!("node-{at}.db"))).unwrap(),
                ),
                _ => Box::new(MemoryEventStore::new()),
            };
            for stick in order.iter().chain(order.iter().rev()) {
                import(&sticks[*stick], &*store)
                    .await
                    .unwrap_or_else(|error| panic!("{order:?} at {stick}: {error}"));
            }
            assert_eq!(all(&*store).await, expected, "{order:?}");
            assert_eq!(cids(&*store).await.len(), expected.len(), "{order:?}");
        }
    });
}

#[test]
fn a_stick_that_goes_round_brings_all_nodes_to_the_same_heads() {
    run(async {
        let directory = Directory::new();
        let (nodes, _) = week(&directory).await;
        // Two rounds: what the last one has reaches the first one in the second.
        for round in 0..2 {
            for (number, node) in nodes.iter().enumerate() {
                let stick = directory.file(&format!("round-{round}-{number}.car"));
                export(node, &stick).await;
                let next = &nodes[(number + 1) % nodes.len()];
                import(&stick, next).await.expect("it is imported");
            }
        }
        for number in 0..3 {
            for name in ["one", "other"] {
                let key = key(format!("{name}-{number}"));
                let head = nodes[0].last(&key).await.unwrap().expect("it has events");
                for node in &nodes[1..] {
                    let other = node.last(&key).await.unwrap().expect("it has events");
                    assert_eq!(other.cid, head.cid, "{key}");
                    assert_eq!(node.get_events(&key, 1).await.unwrap().len(), 4, "{key}");
                }
            }
        }
        let expected = all(&nodes[0]).await;
        for node in &nodes {
            assert_eq!(all(node).await, expected);
        }
    });
}

#[test]
fn what_is_new_alone_is_refused_before_what_it_follows_and_taken_behind_it() {
    run(async {
        let directory = Directory::new();
        let (node, other) = (MemoryEventStore::new(), MemoryEventStore::new());
        commit(&node, &[("a", 2), ("b", 1)]).await;
        let first = directory.file("first.car");
        let monday = export(&node, &first).await;
        commit(&node, &[("a", 1)]).await;
        let second = directory.file("second.car");
        let exporting = Export::new(node.clone()).created(CREATED).since(&monday);
        exporting.bundle_to(&second).await.expect("it is exported");
        let refused = import(&second, &other).await;
        assert!(
            matches!(refused, Err(BundleError::MissingPrerequisites(_))),
            "{refused:?}"
        );
        assert_eq!(cids(&other).await, Vec::<String>::new());
        for stick in [&first, &second, &first, &second] {
            import(stick, &other).await.expect("it is imported");
        }
        assert_eq!(cids(&other).await, cids(&node).await);
    });
}

#[test]
fn what_diverged_stays_as_it_is_on_every_node_and_the_rest_gets_level() {
    run(async {
        let directory = Directory::new();
        let (one, other) = (MemoryEventStore::new(), MemoryEventStore::new());
        commit(&one, &[("shared", 1)]).await;
        let start = directory.file("start.car");
        export(&one, &start).await;
        import(&start, &other).await.expect("it is imported");
        for (node, own) in [(&one, "of-one"), (&other, "of-other")] {
            commit(node, &[("shared", 1)]).await;
            commit(node, &[(own, 2)]).await;
        }
        let sticks = [directory.file("one.car"), directory.file("other.car")];
        export(&one, &sticks[0]).await;
        export(&other, &sticks[1]).await;
        for _ in 0..2 {
            for (stick, node) in [(&sticks[0], &other), (&sticks[1], &one)] {
                let import = Import::bundle(stick).on_divergence(OnDivergence::ImportOthers);
                let imported = import.into_store(node).await.expect("the others come");
                assert_eq!(imported.left_out.len(), 1, "{:?}", imported.left_out);
                assert_eq!(imported.left_out[0].aggregate, key("shared"));
            }
        }
        for key in [key("of-one"), key("of-other")] {
            let heads = [
                one.last(&key).await.unwrap(),
                other.last(&key).await.unwrap(),
            ];
            let heads = heads.map(|head| head.expect("it has events").cid);
            assert_eq!(heads[0], heads[1], "{key}");
        }
        let shared = [
            one.last(&key("shared")).await,
            other.last(&key("shared")).await,
        ];
        let [ours, theirs] = shared.map(|head| head.unwrap().expect("it has events"));
        assert_ne!(ours.cid, theirs.cid);
        assert_eq!((ours.envelope.sequence, theirs.envelope.sequence), (2, 2));
    });
}
