//! Making checkpoints and proofs: step by step, with damaged hashes, and in several places.

use std::sync::{Arc, Mutex};

use cim_es::MemoryEventStore;
use cim_es::block::HashCode;
use cim_es::message::Timestamp;
use cim_es::proof::{
    Checkpoint, CheckpointError, CheckpointLog, InclusionProof, Reading, SigningKey, Tiles, Trust,
    Witness,
};
use cim_es::store::ObjectStore;

use super::{ORIGIN, PEM, checkpoint, events, fill, import, key, log, trust};
use crate::sqlite_support::{Directory, run};

const OTHER: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
    -----END PRIVATE KEY-----\n";

#[test]
fn whoever_makes_a_checkpoint_or_audits_one_is_told_how_far_it_has_come() {
    run(async {
        let store = MemoryEventStore::new();
        fill(&store, 0, 40).await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let teller = Arc::clone(&told);
        let tell = move |events| teller.lock().expect("no test panics").push(events);
        let log = log(&store, Tiles::in_memory()).on_progress(tell);
        let last = || told.lock().expect("no test panics").pop();
        let first = checkpoint(&log, Reading::New).await;
        assert_eq!(last(), Some(40));
        fill(&store, 40, 50).await;
        checkpoint(&log, Reading::New).await;
        assert_eq!(last(), Some(50));
        log.audit(first.unverified()).await.expect("it is there");
        assert_eq!(last(), Some(40));
    });
}

#[test]
fn checkpoints_made_step_by_step_are_those_made_at_once_and_every_event_is_proved() {
    run(async {
        let directory = Directory::new();
        let store = MemoryEventStore::new();
        let places = [
            Tiles::in_memory(),
            Tiles::in_directory(directory.file("tiles")),
        ];
        let mut earlier = vec![Checkpoint::empty(ORIGIN)];
        let mut done = 0;
        for size in [0, 1, 2, 255, 256, 257, 511, 512, 700, 1_030] {
            fill(&store, done, size).await;
            done = size;
            let at_once = checkpoint(&log(&store, Tiles::in_memory()), Reading::All).await;
            for tiles in &places {
                let log = log(&store, tiles.clone());
                let signed = checkpoint(&log, Reading::New).await;
                assert_eq!(signed, at_once, "{size} events");
                for old in &earlier {
                    let proof = log
                        .prove_consistency(old, &signed)
                        .await
                        .expect("it goes on");
                    let new = proof.verify(old, &trust()).expect("it goes on");
                    assert_eq!((new.size(), &new), (size, at_once.unverified()));
                }
            }
            earlier.push(at_once.verify(&trust()).expect("it is ours"));
        }
        let all = events(&store).await;
        for tiles in &places {
            let log = log(&store, tiles.clone());
            let signed = log.last().await.expect("it is there").expect("it is there");
            for (index, event) in (0..).zip(&all).step_by(13) {
                let proof = log
                    .prove(&event.cid, &signed)
                    .await
                    .expect("it is among them");
                assert_eq!(proof.index(), index);
                let proof: InclusionProof = proof.to_string().parse().expect("it is a proof");
                assert_eq!(proof.event(), Some(&event.cid));
                proof
                    .verify(&event.cid, &trust())
                    .expect("it is among them");
            }
        }
    });
}

#[test]
fn an_event_is_proved_in_an_earlier_checkpoint_and_not_in_one_before_it() {
    run(async {
        let store = MemoryEventStore::new();
        fill(&store, 0, 300).await;
        let log = log(&store, Tiles::in_memory());
        let untouched = log.last().await.expect("nothing is kept");
        assert_eq!(untouched, None);
        let first = checkpoint(&log, Reading::New).await;
        fill(&store, 300, 700).await;
        let all = events(&store).await;
        let event = &all[299].cid;
        checkpoint(&log, Reading::New).await;
        let proof = log.prove(event, &first).await.expect("it is among them");
        proof.verify(event, &trust()).expect("it is among them");

        let later = log.prove(&all[300].cid, &first).await;
        assert!(
            matches!(later, Err(CheckpointError::NotCovered { size: 300, .. })),
            "{later:?}"
        );
        let nobody = HashCode::Sha2_256.cid(b"nobody");
        let unknown = log.prove(&nobody, &first).await;
        assert!(
            matches!(unknown, Err(CheckpointError::NoSuchEvent { .. })),
            "{unknown:?}"
        );
        let empty = CheckpointLog::new(store.clone(), ORIGIN, Tiles::in_memory());
        let without = empty.prove(event, &first).await;
        let is_short = matches!(
            without,
            Err(CheckpointError::TooShort {
                size: 0,
                needed: 300,
                ..
            })
        );
        assert!(is_short, "{without:?}");
    });
}

/// All files of the hashes.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn damaged_and_lost_hashes_are_made_again_and_lead_to_no_other_checkpoint() {
    run(async {
        let directory = Directory::new();
        let store = MemoryEventStore::new();
        fill(&store, 0, 700).await;
        let all = events(&store).await;
        let tiles = directory.file("tiles");
        let log = log(&store, Tiles::in_directory(&tiles));
        let signed = checkpoint(&log, Reading::All).await;
        let hashes: Vec<_> = [tiles.join("tile"), tiles.join("places")]
            .iter()
            .flat_map(|folder| files(folder))
            .collect();
        assert!(hashes.len() >= 5, "{hashes:?}");
        for (number, path) in (0..).zip(&hashes) {
            let whole = std::fs::read(path).expect("it can be read");
            let flipped = |place: usize| {
                let mut flipped = whole.clone();
                flipped[place] ^= 1;
                flipped
            };
            let last = whole.len() - 1;
            let (inside, at_the_end) = (flipped(40), flipped(last));
            let longer = [&whole[..], b"\n"].concat();
            for damaged in [
                Some(&inside[..]),
                Some(&at_the_end[..]),
                Some(&whole[..33]),
                Some(&whole[..last]),
                Some(&longer[..]),
                Some(&[]),
                None,
            ] {
                match damaged {
                    Some(bytes) => std::fs::write(path, bytes).expect("it can be written"),
                    None => std::fs::remove_file(path).expect("it can be removed"),
                }
                for event in all.iter().step_by(97) {
                    if let Ok(proof) = log.prove(&event.cid, &signed).await {
                        proof
                            .verify(&event.cid, &trust())
                            .expect("what is given is whole");
                    }
                }
                let earlier = signed.unverified();
                log.audit(earlier).await.expect("the store is what it was");
                let reading = [Reading::New, Reading::All][number % 2];
                assert_eq!(
                    checkpoint(&log, reading).await,
                    signed,
                    "{}",
                    path.display()
                );
                checkpoint(&log, Reading::All).await;
                let again = std::fs::read(path).expect("it was made again");
                assert_eq!(again, whole, "{}", path.display());
            }
        }
        std::fs::remove_dir_all(tiles.join("tile")).expect("they can be removed");
        assert_eq!(checkpoint(&log, Reading::New).await, signed);
    });
}

#[test]
fn a_damaged_kept_checkpoint_is_said_and_nothing_is_signed_over_it() {
    run(async {
        let directory = Directory::new();
        let store = MemoryEventStore::new();
        fill(&store, 0, 20).await;
        let (tiles, copy) = (directory.file("tiles"), directory.file("elsewhere/copy"));
        let log = log(&store, Tiles::in_directory(&tiles)).with_copy(&copy);
        let signed = checkpoint(&log, Reading::All).await.to_string();
        for path in [tiles.join("checkpoint"), copy.clone()] {
            let other = SigningKey::parse(ORIGIN, OTHER).expect("it is a key");
            let forged = CheckpointLog::new(MemoryEventStore::new(), ORIGIN, Tiles::in_memory());
            let forged = forged
                .checkpoint(&other, Reading::All)
                .await
                .expect("it is made");
            let cut = signed[..signed.len() - 1].to_owned();
            for damaged in [String::new(), cut, forged.to_string(), "\u{0}".to_owned()] {
                std::fs::write(&path, &damaged).expect("it can be written");
                let refused = log.checkpoint(&key(), Reading::All).await;
                let is_kept = matches!(refused, Err(CheckpointError::Kept { .. }));
                assert!(is_kept, "{damaged}: {refused:?}");
                let left = std::fs::read_to_string(&path).expect("it is there");
                assert_eq!(left, damaged);
            }
            std::fs::write(&path, &signed).expect("it can be written");
        }
        assert_eq!(checkpoint(&log, Reading::All).await.to_string(), signed);
    });
}

#[test]
fn a_checkpoint_is_kept_with_the_hashes_in_a_file_elsewhere_and_in_the_object_store() {
    run(async {
        let directory = Directory::new();
        let store = MemoryEventStore::new();
        fill(&store, 0, 20).await;
        let (tiles, copy) = (directory.file("tiles"), directory.file("elsewhere/copy"));
        let log = log(&store, Tiles::in_directory(&tiles))
            .with_copy(&copy)
            .with_objects(store.clone());
        let signed = checkpoint(&log, Reading::All).await;
        for path in [tiles.join("checkpoint"), copy.clone()] {
            let text = std::fs::read_to_string(&path).expect("it is kept");
            assert_eq!(text, signed.to_string());
        }
        let object = CheckpointLog::object_of(&signed);
        let cid = HashCode::Sha2_256.cid(&object);
        assert_eq!(
            store.get_object(&cid).await.expect("memory answers"),
            Some(object)
        );
        let beside = files(directory.path());
        assert!(
            !beside
                .iter()
                .any(|it| it.extension().is_some_and(|it| it == "new")),
            "{beside:?}"
        );

        // The copy that was lost is made again, and so is the directory.
        std::fs::remove_file(&copy).expect("it can be removed");
        assert_eq!(checkpoint(&log, Reading::New).await, signed);
        std::fs::remove_dir_all(&tiles).expect("it can be removed");
        assert_eq!(checkpoint(&log, Reading::New).await, signed);
        assert!(copy.exists() && tiles.join("checkpoint").exists());
    });
}

#[test]
fn the_cosignature_of_a_witness_stays_until_something_is_new() {
    run(async {
        let store = MemoryEventStore::new();
        fill(&store, 0, 20).await;
        let log = log(&store, Tiles::in_memory());
        let signed = checkpoint(&log, Reading::All).await;
        let witness = SigningKey::parse("example.net/witness", PEM).expect("it is a key");
        let witness = witness.for_witness();
        let asks = Trust::new([key().verifying_key(), witness.verifying_key()]).quorum(1);
        let witness = Witness::new(witness, trust()).expect("it is the key of a witness");
        let offered = log
            .prove_consistency(&Checkpoint::empty(ORIGIN), &signed)
            .await;
        let offered = offered.expect("it is the first");
        let cosigned = witness
            .cosign(None, &offered, Timestamp::from_micros(1))
            .expect("the first");
        log.keep(&cosigned).await.expect("it is the last one");
        for reading in [Reading::New, Reading::All] {
            let again = checkpoint(&log, reading).await;
            assert_eq!(again, cosigned);
            again.verify(&asks).expect("it is cosigned");
        }
        fill(&store, 20, 21).await;
        let next = checkpoint(&log, Reading::New).await;
        assert!(next.verify(&asks).is_err());
        let late = log.keep(&cosigned).await;
        assert!(late.is_err(), "{late:?}");
    });
}

#[test]
fn a_log_goes_on_under_a_new_key_when_the_former_one_is_named() {
    run(async {
        let store = MemoryEventStore::new();
        fill(&store, 0, 20).await;
        let tiles = Tiles::in_memory();
        checkpoint(&log(&store, tiles.clone()), Reading::All).await;
        let new = SigningKey::parse(ORIGIN, OTHER).expect("it is a key");
        let refused = log(&store, tiles.clone())
            .checkpoint(&new, Reading::New)
            .await;
        assert!(
            matches!(refused, Err(CheckpointError::Kept { .. })),
            "{refused:?}"
        );
        let log = log(&store, tiles).with_former_key(key().verifying_key());
        let signed = log
            .checkpoint(&new, Reading::New)
            .await
            .expect("it goes on");
        signed
            .verify(&Trust::new([new.verifying_key()]))
            .expect("the new key signed it");
    });
}

#[test]
fn a_key_of_another_log_signs_nothing() {
    run(async {
        let store = MemoryEventStore::new();
        let log = log(&store, Tiles::in_memory());
        let other = SigningKey::parse("example.org/other", PEM).expect("it is a key");
        for wrong in [other, key().for_witness()] {
            let refused = log.checkpoint(&wrong, Reading::All).await;
            assert!(
                matches!(refused, Err(CheckpointError::Proof(_))),
                "{refused:?}"
            );
        }
        assert_eq!(log.last().await.expect("memory answers"), None);
    });
}

#[test]
fn two_programs_do_not_make_a_checkpoint_in_one_directory_at_the_same_time() {
    run(async {
        let directory = Directory::new();
        let tiles = directory.file("tiles");
        std::fs::create_dir_all(&tiles).expect("it can be made");
        let lock = std::fs::File::create(tiles.join("lock")).expect("it can be made");
        lock.lock().expect("nobody else has it");
        let store = MemoryEventStore::new();
        let log = log(&store, Tiles::in_directory(&tiles));
        let refused = log.checkpoint(&key(), Reading::All).await;
        assert!(
            matches!(refused, Err(CheckpointError::InUse { .. })),
            "{refused:?}"
        );
        lock.unlock().expect("it is ours");
        checkpoint(&log, Reading::All).await;
    });
}

#[test]
fn a_store_on_another_engine_has_the_same_checkpoints() {
    run(async {
        let directory = Directory::new();
        let memory = MemoryEventStore::new();
        fill(&memory, 0, 300).await;
        let file = super::sqlite(&directory, "library.db");
        import(&file, &events(&memory).await).await;
        let in_memory = checkpoint(&log(&memory, Tiles::in_memory()), Reading::All).await;
        let in_file = checkpoint(&log(&file, Tiles::in_memory()), Reading::All).await;
        assert_eq!(in_memory, in_file);
    });
}
