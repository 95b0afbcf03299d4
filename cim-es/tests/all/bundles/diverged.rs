//! Into a store that went another way.

use cim_es::MemoryEventStore;
use cim_es::bundle::{BundleError, Import, Imported, OnDivergence, WhyLeftOut};
use cim_es::store::{EventStore, SealedCommit};

use super::{bundle, cids, commit, events, exporting, import, sample};
use crate::sqlite_support::{Directory, key, run};

async fn import_others(file: &std::path::Path, store: &dyn EventStore) -> Imported {
    let import = Import::bundle(file).on_divergence(OnDivergence::ImportOthers);
    import
        .into_store(store)
        .await
        .expect("the others are imported")
}

/// What stands first in a store, some commits of it, and then others than the original has.
async fn other_way(store: &MemoryEventStore, commits: usize, then: &[&str]) -> MemoryEventStore {
    let other = MemoryEventStore::new();
    let all = SealedCommit::split(&events(store).await).unwrap();
    other.append_sealed(all[..commits].to_vec()).await.unwrap();
    for id in then {
        commit(&other, &[(id, 1)]).await;
    }
    other
}

#[test]
fn every_aggregate_that_went_another_way_is_named_with_the_last_event_in_common() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, _) = bundle(&store, &directory).await;
        // `a` has its first event in common, `d` none.
        let other = other_way(&store, 1, &["a", "d"]).await;
        let before = cids(&other).await;
        let refused = import(&file, &other)
            .await
            .expect_err("two went another way");
        let shown = refused.to_string();
        let BundleError::Diverged(diverged) = refused else {
            panic!("{refused:?}");
        };
        let named: Vec<_> = diverged
            .iter()
            .map(|it| {
                let common = it.common.map(|common| common.sequence);
                (it.aggregate.id().as_str(), common, it.theirs.sequence)
            })
            .collect();
        assert_eq!(named, [("a", Some(1), 2), ("d", None, 1)]);
        assert_eq!(diverged[0].common.unwrap().cid.to_string(), before[0]);
        assert_eq!(diverged[0].ours.cid.to_string(), before[1]);
        assert_eq!(diverged[0].theirs.cid.to_string(), cids(&store).await[3]);
        assert!(
            shown.contains("test.note a at version 2, since event "),
            "{shown}"
        );
        assert_eq!(cids(&other).await, before, "something was stored");
    });
}

#[test]
fn the_others_are_imported_and_what_shares_a_commit_is_left_out_from_there() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, _) = bundle(&store, &directory).await;
        let other = other_way(&store, 1, &["a"]).await;
        let imported = import_others(&file, &other).await;
        let [of_a, of_b] = &imported.left_out[..] else {
            panic!("{:?}", imported.left_out);
        };
        assert!(matches!(of_a.why, WhyLeftOut::Diverged(_)), "{of_a:?}");
        assert_eq!((&of_a.aggregate, of_a.from), (&key("a"), 2));
        let with = WhyLeftOut::SharesACommit { with: key("a") };
        assert_eq!(
            (&of_b.aggregate, of_b.from, &of_b.why),
            (&key("b"), 1, &with)
        );
        // `c` and `d`.
        assert_eq!((imported.stored, imported.there), (4, 1));
        for id in ["c", "d"] {
            let last = other.last(&key(id)).await.unwrap().map(|event| event.cid);
            assert_eq!(
                last,
                store.last(&key(id)).await.unwrap().map(|event| event.cid)
            );
        }
        assert_eq!(other.last(&key("b")).await.unwrap(), None);
        let again = import_others(&file, &other).await;
        assert_eq!((again.stored, again.there), (0, 5));
    });
}

#[test]
fn what_lies_before_the_difference_is_imported_with_the_others() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, _) = bundle(&store, &directory).await;
        // Up to the commit over both, then another event of `a`.
        let other = other_way(&store, 3, &["a"]).await;
        let imported = import_others(&file, &other).await;
        let left_out: Vec<_> = imported
            .left_out
            .iter()
            .map(|it| (it.aggregate.id().as_str(), it.from))
            .collect();
        assert_eq!(left_out, [("a", 4)]);
        assert_eq!((imported.stored, imported.there), (5, 6));
        let of_b = other.last(&key("b")).await.unwrap().map(|event| event.cid);
        assert_eq!(
            of_b,
            store.last(&key("b")).await.unwrap().map(|event| event.cid)
        );
    });
}

#[test]
fn a_store_that_went_further_than_the_file_has_diverged_where_it_first_differs() {
    run(async {
        let (store, directory) = (MemoryEventStore::new(), Directory::new());
        for _ in 0..700 {
            commit(&store, &[("long", 1)]).await;
        }
        let (file, _) = bundle(&store, &directory).await;
        for common in [0, 1, 255, 256, 257, 699] {
            let other = other_way(&store, common, &[]).await;
            for _ in 0..1_000 - common {
                commit(&other, &[("long", 1)]).await;
            }
            let refused = import(&file, &other)
                .await
                .expect_err("it went another way");
            let BundleError::Diverged(diverged) = refused else {
                panic!("{refused:?}");
            };
            let found = diverged[0].common.map_or(0, |common| common.sequence);
            assert_eq!((diverged.len(), found), (1, common as u64));
        }
        // What was exported and went on is no other way.
        commit(&store, &[("long", 1)]).await;
        assert_eq!(import(&file, &store).await.expect("it is there").there, 700);
    });
}

#[test]
fn a_difference_before_what_the_file_holds_is_found() {
    run(async {
        let (store, directory) = (MemoryEventStore::new(), Directory::new());
        for _ in 0..5 {
            commit(&store, &[("long", 1)]).await;
        }
        let last = store.last_position().await.unwrap();
        commit(&store, &[("long", 2)]).await;
        let file = directory.file("new.car");
        exporting(&store)
            .since(last)
            .bundle_to(&file)
            .await
            .unwrap();
        for further in [0, 1, 5] {
            let other = other_way(&store, 2, &[]).await;
            for _ in 0..3 + further {
                commit(&other, &[("long", 1)]).await;
            }
            let refused = import(&file, &other)
                .await
                .expect_err("it went another way");
            let BundleError::Diverged(diverged) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(diverged[0].common, None);
            let (ours, theirs) = (diverged[0].ours, diverged[0].theirs);
            assert_eq!((ours.sequence, theirs.sequence), (5, 5));
            assert_eq!(theirs.cid.to_string(), cids(&store).await[4]);
        }
    });
}
