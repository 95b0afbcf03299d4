//! A history that was rewritten in a way that no chain shows is found by an earlier checkpoint.

use cim_es::block::StoredEvent;
use cim_es::message::Timestamp;
use cim_es::proof::{
    Checkpoint, CheckpointError, HistoryChange, ProofError, Reading, Tiles, Witness,
};
use cim_es::store::AggregateKey;

use super::{checkpoint, events, fill, import, key, log, sqlite, trust};
use crate::sqlite_support::{Directory, any, note, run};

/// How many events a checkpoint covers, on more than two tiles of hashes.
const SIZE: u64 = 600;

fn is_of(event: &StoredEvent, id: &str) -> bool {
    AggregateKey::has(&crate::sqlite_support::key(id), event)
}

/// The history with one event and the next one in each other's place.
fn swapped(all: &[StoredEvent], at: usize) -> Vec<StoredEvent> {
    let mut all = all.to_vec();
    all.swap(at, at + 1);
    all
}

type Rewrite = fn(&[StoredEvent]) -> Vec<StoredEvent>;

/// The ways in which a history is rewritten so that every chain in it is whole, and the index of the first event that is
/// another one then.
fn rewritten() -> Vec<(&'static str, Rewrite, u64)> {
    vec![
        ("the tail is cut", |all| all[..590].to_vec(), 590),
        ("everything is gone", |_| Vec::new(), 0),
        (
            "the last events of one aggregate are gone",
            |all| {
                let late = |event: &&StoredEvent| !is_of(event, "n3") || event.position.0 < 500;
                all.iter().filter(late).cloned().collect()
            },
            500,
        ),
        (
            "a whole aggregate is gone",
            |all| all.iter().filter(|it| !is_of(it, "n3")).cloned().collect(),
            3,
        ),
        (
            "two events of different aggregates are swapped",
            |all| swapped(all, 100),
            100,
        ),
        (
            "the last two events are swapped",
            |all| swapped(all, 598),
            598,
        ),
        (
            "one event is stored later than it was",
            |all| {
                let mut all = all.to_vec();
                let early = all.remove(593);
                all.push(early);
                all
            },
            593,
        ),
    ]
}

fn changed(error: CheckpointError) -> HistoryChange {
    match error {
        CheckpointError::HistoryChanged(change) => *change,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_rewriting_that_leaves_the_chains_whole_is_found_and_placed() {
    run(async {
        let directory = Directory::new();
        let store = sqlite(&directory, "whole.db");
        fill(&store, 0, SIZE).await;
        let all = events(&store).await;
        for (number, (what, rewrite, first)) in rewritten().into_iter().enumerate() {
            let tiles = Tiles::in_directory(directory.file(&format!("tiles{number}")));
            let copy = directory.file(&format!("copy{number}"));
            let before = log(&store, tiles.clone()).with_copy(&copy);
            let signed = checkpoint(&before, Reading::All).await;
            let earlier = signed.verify(&trust()).expect("it is ours");

            let other = sqlite(&directory, &format!("{number}.db"));
            import(&other, &rewrite(&all)).await;
            let with_tiles = log(&other, tiles.clone());
            let change = changed(with_tiles.audit(&earlier).await.expect_err(what));
            assert_eq!((change.index, change.size), (Some(first), SIZE), "{what}");
            let refused = with_tiles.checkpoint(&key(), Reading::All).await;
            let change = changed(refused.expect_err(what));
            assert_eq!((change.index, change.size), (Some(first), SIZE), "{what}");

            // By the checkpoint alone, which somebody kept elsewhere.
            let alone = log(&other, Tiles::in_memory());
            let change = changed(alone.audit(&earlier).await.expect_err(what));
            assert_eq!(change.root, earlier.root(), "{what}");
            let by_copy = log(&other, Tiles::in_memory()).with_copy(&copy);
            for reading in [Reading::All, Reading::New] {
                let refused = by_copy.checkpoint(&key(), reading).await;
                changed(refused.expect_err(what));
            }
            let kept = std::fs::read_to_string(&copy).expect("the copy is there");
            assert_eq!(kept, signed.to_string(), "{what}");

            // As much as was there, and more: the history that goes on from the other one is another one.
            fill(&other, SIZE, SIZE + 50).await;
            changed(with_tiles.audit(&earlier).await.expect_err(what));
            changed(alone.audit(&earlier).await.expect_err(what));
            let refused = with_tiles.checkpoint(&key(), Reading::All).await;
            assert_eq!(
                changed(refused.expect_err(what)).index,
                Some(first),
                "{what}"
            );

            // The store that was not rewritten goes on.
            assert_eq!(checkpoint(&before, Reading::All).await, signed, "{what}");
        }
    });
}

#[test]
fn a_history_written_anew_is_found_also_where_only_what_is_new_is_read() {
    run(async {
        let directory = Directory::new();
        let store = sqlite(&directory, "whole.db");
        fill(&store, 0, SIZE).await;
        let tiles = Tiles::in_directory(directory.file("tiles"));
        let signed = checkpoint(&log(&store, tiles.clone()), Reading::All).await;
        let earlier = signed.verify(&trust()).expect("it is ours");

        // The same notes by the same aggregates, in commits of their own.
        let other = sqlite(&directory, "anew.db");
        fill(&other, 0, SIZE + 20).await;
        let anew = log(&other, tiles);
        for reading in [Reading::New, Reading::All] {
            let refused = anew
                .checkpoint(&key(), reading)
                .await
                .expect_err("it is another one");
            let change = changed(refused);
            assert_eq!((change.index, change.formerly), (Some(0), None));
        }
        changed(anew.audit(&earlier).await.expect_err("it is another one"));
    });
}

#[test]
fn the_change_says_where_an_event_stood_before() {
    run(async {
        let directory = Directory::new();
        let store = sqlite(&directory, "whole.db");
        fill(&store, 0, SIZE).await;
        let tiles = Tiles::in_directory(directory.file("tiles"));
        checkpoint(&log(&store, tiles.clone()), Reading::All).await;
        let all = events(&store).await;
        let other = sqlite(&directory, "other.db");
        let kept: Vec<_> = all.iter().filter(|it| !is_of(it, "n3")).cloned().collect();
        import(&other, &kept).await;
        let refused = log(&other, tiles).checkpoint(&key(), Reading::New).await;
        let change = changed(refused.expect_err("an aggregate is gone"));
        assert_eq!(change.found.map(|(_, cid)| cid), Some(all[4].cid));
        assert_eq!((change.index, change.formerly), (Some(3), Some(4)));
        let said = change.to_string();
        assert!(
            said.contains("at index 3 now stands") && said.contains("at index 4"),
            "{said}"
        );
    });
}

#[test]
fn what_is_read_again_at_the_end_finds_a_changed_tail_and_the_rest_is_for_an_audit() {
    run(async {
        let directory = Directory::new();
        let store = sqlite(&directory, "whole.db");
        fill(&store, 0, SIZE).await;
        let all = events(&store).await;
        for (number, (what, rewrite, first)) in rewritten().into_iter().enumerate() {
            let tiles = Tiles::in_directory(directory.file(&format!("tiles{number}")));
            let signed = checkpoint(&log(&store, tiles.clone()), Reading::All).await;
            let earlier = signed.verify(&trust()).expect("it is ours");
            let other = sqlite(&directory, &format!("{number}.db"));
            import(&other, &rewrite(&all)).await;
            let after = log(&other, tiles);
            match after.checkpoint(&key(), Reading::New).await {
                Err(error) => assert_eq!(changed(error).index, Some(first), "{what}"),
                Ok(new) => {
                    // What was before the last full tile is not read: what is signed is still the former history.
                    assert!(first < 512, "{what}");
                    let proof = after.prove_consistency(&earlier, &new).await;
                    let proof = proof.expect("it goes on from the earlier one");
                    proof
                        .verify(&earlier, &trust())
                        .expect("it goes on from the earlier one");
                }
            }
            changed(after.audit(&earlier).await.expect_err(what));
        }
    });
}

#[test]
fn what_is_taken_out_of_the_file_is_found() {
    let cuts = [
        "DELETE FROM events WHERE position > 590",
        "DELETE FROM events WHERE position = 300",
        "DELETE FROM events WHERE aggregate = (SELECT key FROM aggregates WHERE id = 'n3')",
        "UPDATE events SET position = -position WHERE position IN (100, 101); \
         UPDATE events SET position = 201 + position WHERE position < 0",
        "DELETE FROM events; DELETE FROM aggregates; DELETE FROM versions; DELETE FROM types; \
         DELETE FROM type_positions; DELETE FROM cid_segments",
    ];
    for cut in cuts {
        run(async {
            let directory = Directory::new();
            let tiles = Tiles::in_directory(directory.file("tiles"));
            let store = sqlite(&directory, "library.db");
            fill(&store, 0, SIZE).await;
            let signed = checkpoint(&log(&store, tiles.clone()), Reading::All).await;
            let earlier = signed.verify(&trust()).expect("it is ours");
            store.close().await;
            let file = rusqlite::Connection::open(directory.file("library.db")).expect("it opens");
            file.execute_batch(cut)
                .expect("nothing keeps others from writing");
            drop(file);
            let Ok(store) = cim_es::SqliteEventStore::open(directory.file("library.db")) else {
                return;
            };
            let after = log(&store, tiles);
            let refused = after.audit(&earlier).await.expect_err(cut);
            let is_found = |error: &CheckpointError| {
                matches!(
                    error,
                    CheckpointError::HistoryChanged(_) | CheckpointError::Store(_)
                )
            };
            assert!(is_found(&refused), "{cut}: {refused:?}");
            let refused = after.checkpoint(&key(), Reading::All).await.expect_err(cut);
            assert!(is_found(&refused), "{cut}: {refused:?}");
            let kept = after.last().await.expect("it can be read");
            assert_eq!(kept, Some(signed), "{cut}");
        });
    }
}

#[test]
fn two_histories_that_are_shown_to_two_readers_are_found_when_they_compare() {
    run(async {
        let directory = Directory::new();
        let (one, two) = (sqlite(&directory, "one.db"), sqlite(&directory, "two.db"));
        fill(&one, 0, 300).await;
        import(&two, &events(&one).await).await;
        let log_of_one = log(&one, Tiles::in_memory());
        let log_of_two = log(&two, Tiles::in_memory());
        let shared = checkpoint(&log_of_one, Reading::All).await;
        assert_eq!(checkpoint(&log_of_two, Reading::All).await, shared);
        let shared = shared.verify(&trust()).expect("it is ours");

        fill(&one, 300, 320).await;
        for number in 300..320 {
            let commit = any("elsewhere", vec![note(number)]);
            cim_es::store::EventStore::append(&two, commit)
                .await
                .expect("it is stored");
        }
        let first = checkpoint(&log_of_one, Reading::New).await;
        let second = checkpoint(&log_of_two, Reading::New).await;
        let seen = first.verify(&trust()).expect("it is ours");

        // Each goes on from what both have seen, and neither goes on from the other.
        for (log, signed) in [(&log_of_one, &first), (&log_of_two, &second)] {
            let proof = log
                .prove_consistency(&shared, signed)
                .await
                .expect("it goes on");
            proof.verify(&shared, &trust()).expect("it goes on");
        }
        let refused = log_of_two.prove_consistency(&seen, &second).await;
        let is_inconsistent = |error: &CheckpointError| {
            matches!(
                error,
                CheckpointError::Proof(ProofError::Inconsistent { .. })
            )
        };
        assert!(refused.as_ref().is_err_and(is_inconsistent), "{refused:?}");
        changed(
            log_of_two
                .audit(&seen)
                .await
                .expect_err("it is another one"),
        );

        // A witness that saw the one does not cosign the other, also not when it has grown.
        let witness = cim_es::proof::SigningKey::parse("example.net/witness", super::PEM)
            .expect("it is a key")
            .for_witness();
        let witness = Witness::new(witness, trust()).expect("it is the key of a witness");
        let empty = Checkpoint::empty(super::ORIGIN);
        let offered = log_of_one
            .prove_consistency(&empty, &first)
            .await
            .expect("it is the first");
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        witness
            .cosign(None, &offered, now)
            .expect("it is the first");
        fill(&two, 400, 420).await;
        let grown = checkpoint(&log_of_two, Reading::New).await;
        let offered = log_of_two
            .prove_consistency(&shared, &grown)
            .await
            .expect("it goes on");
        let refused = witness.cosign(Some(&seen), &offered, now);
        assert!(
            matches!(refused, Err(ProofError::Inconsistent { .. })),
            "{refused:?}"
        );
    });
}
