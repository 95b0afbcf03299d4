//! Signed bundles: who vouches for what, and what is not taken for it.

use cim_es::MemoryEventStore;
use cim_es::bundle::{BundleError, BundleFault, Import};
use cim_es::car::{CarReader, CarWriter};
use cim_es::proof::{SigningKey, Trust};

use super::{bundle, cids, commit, exporting, sample};
use crate::sqlite_support::{Directory, run};

/// A key that a seed makes, by the name of a log.
pub(super) fn key(name: &str, seed: u8) -> SigningKey {
    let mut der = vec![
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    der.extend([seed; 32]);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text: String = der
        .chunks(3)
        .flat_map(|group| {
            let bits = group
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            (0..4)
                .map(move |place| char::from(alphabet[(bits >> (18 - 6 * place) & 0x3f) as usize]))
        })
        .collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    SigningKey::parse(name, &pem).expect("it is a key")
}

#[test]
fn a_signed_bundle_is_taken_from_whom_is_trusted_and_from_nobody_else() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let library = key("example.org/library", 1);
        let trusting = |key: &SigningKey| Trust::new([key.verifying_key()]);
        let signed = directory.file("signed.car");
        let export = exporting(&store).signed_by(library.clone());
        let exported = export.bundle_to(&signed).await.expect("it is exported");
        assert_eq!(exported.bytes, std::fs::metadata(&signed).unwrap().len());

        let verified = Import::bundle(&signed)
            .trusting(trusting(&library))
            .verify()
            .await;
        let verified = verified.expect("it is signed");
        assert_eq!(verified.signed_by.as_deref(), Some("example.org/library"));
        assert_eq!(verified.manifest.as_ref(), Some(&exported.manifest));
        let other = MemoryEventStore::new();
        // Whoever asks for no signature takes it as well.
        let imported = Import::bundle(&signed).into_store(&other).await.unwrap();
        assert_eq!((imported.stored, imported.verified.signed_by), (12, None));

        let (unsigned, _) = bundle(&store, &directory).await;
        let lines = directory.file("all.jsonl");
        exporting(&store).json_lines_to(&lines).await.unwrap();
        let by_another = key("example.org/library", 2);
        let witness = library.clone().for_witness();
        for (import, says) in [
            (
                Import::bundle(&unsigned).trusting(trusting(&library)),
                "it is not signed",
            ),
            (
                Import::json_lines(&lines).trusting(trusting(&library)),
                "it is not signed",
            ),
            (
                Import::bundle(&signed).trusting(trusting(&by_another)),
                "no key that is trusted",
            ),
            (
                Import::bundle(&signed).trusting(trusting(&witness)),
                "no key that is trusted",
            ),
            (
                Import::bundle(&signed).trusting(Trust::new([])),
                "no key that is trusted",
            ),
        ] {
            let other = MemoryEventStore::new();
            let refused = import.into_store(&other).await.expect_err(says);
            assert!(refused.to_string().contains(says), "{refused}");
            assert!(cids(&other).await.is_empty());
        }
        let refused = exporting(&store)
            .signed_by(witness)
            .bundle_to(&signed)
            .await;
        assert!(
            matches!(refused, Err(BundleError::WrongKey { .. })),
            "{refused:?}"
        );
    });
}

#[test]
fn a_signature_of_another_bundle_or_with_any_byte_changed_is_refused() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let library = key("example.org/library", 1);
        let file = directory.file("given.car");
        let mut blocks = Vec::new();
        for _ in 0..2 {
            let export = exporting(&store).signed_by(library.clone());
            export.bundle_to(&file).await.expect("it is exported");
            let bytes = std::fs::read(&file).unwrap();
            let car = CarReader::new(&bytes[..]).unwrap();
            blocks.push(car.collect::<Result<Vec<_>, _>>().unwrap());
            commit(&store, &[("a", 1)]).await;
        }
        let fault = async |signature: &[u8]| {
            let signed = cim_es::block::HashCode::Sha2_256.cid(signature);
            let roots = [blocks[0][0].cid, signed];
            let mut car = CarWriter::new(Vec::new(), &roots).unwrap();
            car.write(&roots[0], &blocks[0][0].bytes).unwrap();
            car.write(&signed, signature).unwrap();
            for block in &blocks[0][2..] {
                car.write(&block.cid, &block.bytes).unwrap();
            }
            std::fs::write(&file, car.finish().unwrap()).unwrap();
            let trust = Trust::new([library.verifying_key()]);
            let other = MemoryEventStore::new();
            let refused = Import::bundle(&file)
                .trusting(trust)
                .into_store(&other)
                .await;
            assert!(cids(&other).await.is_empty() || refused.is_ok());
            refused
                .map(|imported| imported.stored)
                .map_err(|error| match error {
                    BundleError::Refused { fault, .. } => *fault,
                    error => panic!("{error}"),
                })
        };
        let own = blocks[0][1].bytes.to_vec();
        assert_eq!(fault(&own).await, Ok(12));
        let of_another = fault(&blocks[1][1].bytes)
            .await
            .expect_err("it is of another");
        let reason = "it is the signature of something else".to_owned();
        assert_eq!(of_another, BundleFault::Signature { reason });
        for place in 0..own.len() {
            let mut changed = own.clone();
            changed[place] ^= 1;
            let refused = fault(&changed).await;
            assert!(
                matches!(refused, Err(BundleFault::Signature { .. })),
                "byte {place}: {refused:?}"
            );
        }
    });
}

#[test]
fn a_checkpoint_that_a_bundle_carries_is_one_and_of_whom_is_trusted() {
    use cim_es::proof::{CheckpointLog, Reading, Tiles};

    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (library, other) = (key("example.org/library", 1), key("example.org/library", 2));
        let log = CheckpointLog::new(store.clone(), "example.org/library", Tiles::in_memory());
        let signed = log.checkpoint(&library, Reading::All).await;
        let note = signed.expect("it is made").to_string();
        let carrying = async |name: &str, note: &str| {
            let path = directory.file(name);
            let export = exporting(&store).signed_by(library.clone());
            let export = export.checkpoint(note).bundle_to(&path).await;
            export.expect("it is exported");
            path
        };
        let right = carrying("right.car", &note).await;
        let both = Trust::new([library.verifying_key(), other.verifying_key()]);
        let import = Import::bundle(&right).trusting(both);
        assert_eq!(
            import
                .verify()
                .await
                .expect("it is ours")
                .signed_by
                .as_deref(),
            Some("example.org/library")
        );
        Import::bundle(&right).verify().await.expect("nobody asks");

        let by_other = CheckpointLog::new(store.clone(), "example.org/library", Tiles::in_memory());
        let by_other = by_other.checkpoint(&other, Reading::All).await;
        let by_other = by_other.expect("it is made").to_string();
        let last = note.len() - 2;
        let place = note.len() - 20;
        let other = if note[place..].starts_with('A') {
            "B"
        } else {
            "A"
        };
        let with_another_signature = [&note[..place], other, &note[place + 1..]].concat();
        for (name, note, is_one) in [
            ("other.car", by_other.as_str(), true),
            ("signature.car", &with_another_signature, true),
            ("cut.car", &note[..last], false),
            ("text.car", "a text", false),
        ] {
            let path = carrying(name, note).await;
            let trust = Trust::new([library.verifying_key()]);
            for (import, is_refused) in [
                (Import::bundle(&path).trusting(trust), true),
                (Import::bundle(&path), !is_one),
            ] {
                let into = MemoryEventStore::new();
                let imported = import.into_store(&into).await;
                if !is_refused {
                    imported.expect("nobody asks who signed it");
                    continue;
                }
                let refused = imported.expect_err(name);
                let is_it = matches!(
                    &refused,
                    BundleError::Refused { fault, .. } if matches!(**fault, BundleFault::Checkpoint { .. })
                );
                assert!(is_it, "{name}: {refused:?}");
                assert!(cids(&into).await.is_empty());
            }
        }
    });
}

#[test]
fn a_checkpoint_over_other_events_than_those_of_the_bundle_is_refused() {
    use cim_es::proof::{CheckpointLog, Reading, Tiles};

    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let library = key("example.org/library", 1);
        let made = async |store: &MemoryEventStore| {
            let log = CheckpointLog::new(store.clone(), "example.org/library", Tiles::in_memory());
            let signed = log.checkpoint(&library, Reading::All).await;
            signed.expect("it is made").to_string()
        };
        let earlier = made(&store).await;
        commit(&store, &[("a", 1)]).await;
        let now = made(&store).await;
        let other = sample().await;
        commit(&other, &[("b", 1)]).await;
        let of_another = made(&other).await;
        let of_more = made(&copy_with_more(&store).await).await;

        // Whoever exports everything is told.
        let exporting = |note: &str| exporting(&store).checkpoint(note);
        let file = directory.file("all.car");
        for note in [&of_another, &of_more] {
            let refused = exporting(note).bundle_to(&file).await;
            assert!(
                matches!(
                    refused,
                    Err(BundleError::OtherCheckpoint { events: 13, .. })
                ),
                "{refused:?}"
            );
        }
        for note in [&earlier, &now] {
            let exported = exporting(note).bundle_to(&file).await.expect("it is of it");
            assert!(exported.manifest.whole);
            Import::bundle(&file).verify().await.expect("it is of it");
        }
        // And so is who imports what somebody wrote who does not tell.
        let blocks = std::fs::read(&file).unwrap();
        let blocks = CarReader::new(&blocks[..]).unwrap();
        let blocks = blocks.collect::<Result<Vec<_>, _>>().unwrap();
        let manifest = Import::bundle(&file).manifest().await.expect("it is one");
        let mut manifest = manifest.expect("a bundle has one");
        for (note, covered) in [(&of_another, 13), (&of_more, 14)] {
            manifest.checkpoint = Some(note.clone());
            let root = manifest.cid();
            let mut car = CarWriter::new(Vec::new(), &[root]).unwrap();
            car.write(&root, &manifest.encode()).unwrap();
            for block in &blocks[1..] {
                car.write(&block.cid, &block.bytes).unwrap();
            }
            std::fs::write(&file, car.finish().unwrap()).unwrap();
            let events = 13;
            assert_eq!(
                super::fault(&file).await,
                BundleFault::OtherHistory { covered, events }
            );
        }
        // A part does not have all that the checkpoint covers: the two are not compared.
        let part = exporting(&now).aggregates([crate::sqlite_support::key("d")]);
        let exported = part.bundle_to(&file).await.expect("it is exported");
        assert!(!exported.manifest.whole);
        Import::bundle(&file).verify().await.expect("it is taken");
    });
}

async fn copy_with_more(store: &MemoryEventStore) -> MemoryEventStore {
    let copy = super::copy(store).await;
    commit(&copy, &[("a", 1)]).await;
    copy
}
