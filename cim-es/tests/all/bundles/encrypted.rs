//! Encrypted bundles: for whom they are, and for nobody else.

use cim_es::MemoryEventStore;
use cim_es::age::{AgeFault, Identity};
use cim_es::bundle::{BundleError, BundleFault, Import};
use cim_es::store::EventStore;

use super::{bundle, cids, commit, exporting, filled, sample};
use crate::sqlite_support::{Directory, is_long, large, run};

fn identity() -> Identity {
    Identity::generate().expect("the system gives random bytes")
}

/// Why an import is refused, which stores nothing.
async fn fault(import: Import) -> BundleFault {
    let store = MemoryEventStore::new();
    let refused = import.into_store(&store).await;
    assert!(cids(&store).await.is_empty(), "something was stored");
    match refused {
        Err(BundleError::Refused { fault, .. }) => *fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_encrypted_file_is_imported_by_each_of_its_recipients_and_by_nobody_else() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (ann, ben, eve) = (identity(), identity(), identity());
        let exporting = || exporting(&store).encrypted_to([ann.recipient(), ben.recipient()]);
        let (file, lines) = (
            directory.file("all.car.age"),
            directory.file("all.jsonl.age"),
        );
        let exported = exporting().bundle_to(&file).await.expect("it is exported");
        exporting()
            .json_lines_to(&lines)
            .await
            .expect("they are exported");
        let (plain, of_plain) = bundle(&store, &directory).await;
        assert_eq!(exported, of_plain, "what is inside is the same");
        assert_eq!(exported.bytes, std::fs::metadata(&plain).unwrap().len());

        for identity in [&ann, &ben] {
            for import in [Import::bundle(&file), Import::json_lines(&lines)] {
                let other = MemoryEventStore::new();
                let import = import.decrypted_with([eve.clone(), identity.clone()]);
                let imported = import.into_store(&other).await.expect("it is for them");
                assert_eq!((imported.stored, imported.there), (12, 0));
                assert_eq!(cids(&other).await, cids(&store).await);
            }
        }
        for import in [Import::bundle(&file), Import::json_lines(&lines)] {
            assert_eq!(fault(import).await, BundleFault::Encrypted);
        }
        let by_eve = fault(Import::bundle(&file).decrypted_with([eve])).await;
        assert!(
            matches!(by_eve, BundleFault::Age(AgeFault::NotForUs { .. })),
            "{by_eve:?}"
        );
        let by_nobody = fault(Import::bundle(&file).decrypted_with([])).await;
        assert!(
            matches!(
                by_nobody,
                BundleFault::Age(AgeFault::NotForUs { identities: 0, .. })
            ),
            "{by_nobody:?}"
        );
        let not_encrypted = fault(Import::bundle(&plain).decrypted_with([ann])).await;
        assert_eq!(not_encrypted, BundleFault::NotEncrypted);
        let to_nobody = super::exporting(&store).encrypted_to([]);
        let to_nobody = to_nobody.bundle_to(directory.file("none.car.age")).await;
        assert!(
            matches!(to_nobody, Err(BundleError::Encryption(_))),
            "{to_nobody:?}"
        );
        assert!(!directory.file("none.car.age").exists());
    });
}

#[test]
fn an_encrypted_file_that_is_cut_or_changed_anywhere_is_refused_and_nothing_is_stored() {
    run(async {
        let (store, directory) = (MemoryEventStore::new(), Directory::new());
        commit(&store, &[("a", 2)]).await;
        let ann = identity();
        let file = directory.file("given.car.age");
        let export = exporting(&store).encrypted_to([ann.recipient()]);
        export.bundle_to(&file).await.expect("it is exported");
        let bytes = std::fs::read(&file).unwrap();
        let refused = async |bytes: &[u8]| {
            std::fs::write(&file, bytes).unwrap();
            fault(Import::bundle(&file).decrypted_with([ann.clone()])).await
        };
        // Each of them in the unit tests of the format; here that nothing of it is stored.
        let step = if is_long() { 1 } else { 7 };
        for length in (0..bytes.len()).step_by(step) {
            let fault = refused(&bytes[..length]).await;
            let is_it = matches!(fault, BundleFault::Age(_) | BundleFault::NotEncrypted);
            assert!(is_it, "cut at {length}: {fault:?}");
        }
        for place in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[place] ^= 0x01;
            let fault = refused(&changed).await;
            let is_it = matches!(fault, BundleFault::Age(_) | BundleFault::NotEncrypted);
            assert!(is_it, "byte {place}: {fault:?}");
        }
        std::fs::write(&file, &bytes).unwrap();
        let whole = Import::bundle(&file).decrypted_with([ann]).verify().await;
        assert_eq!(whole.expect("it is whole").events, 2);
    });
}

#[test]
fn what_is_damaged_behind_the_first_events_is_found_before_any_of_them_is_stored() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        // Several chunks of 64 KiB.
        for _ in 0..3 {
            let large = filled("c", large(100_000));
            store.append(large).await.expect("it is stored");
        }
        let ann = identity();
        let file = directory.file("large.car.age");
        let export = exporting(&store).encrypted_to([ann.recipient()]);
        export.bundle_to(&file).await.expect("it is exported");
        let bytes = std::fs::read(&file).unwrap();
        let code = bytes.windows(5).position(|it| it == b"\n--- ");
        let header = code.expect("it has a header") + 5 + 43 + 1 + 16;
        let chunk = 64 * 1024 + 16;
        // Behind two whole chunks, in the third one, and in the last.
        for cut in [
            header + 2 * chunk,
            header + 2 * chunk + 500,
            bytes.len() - 1,
        ] {
            std::fs::write(&file, &bytes[..cut]).unwrap();
            let fault = fault(Import::bundle(&file).decrypted_with([ann.clone()])).await;
            assert!(
                matches!(fault, BundleFault::Age(_)),
                "cut at {cut}: {fault:?}"
            );
        }
    });
}

#[test]
#[cfg(feature = "proof")]
fn a_bundle_is_signed_and_encrypted() {
    use cim_es::proof::Trust;

    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let ann = identity();
        let library = super::signed::key("example.org/library", 1);
        let other = super::signed::key("example.org/library", 2);
        let file = directory.file("signed.car.age");
        let export = exporting(&store).signed_by(library.clone());
        let export = export.encrypted_to([ann.recipient()]);
        export.bundle_to(&file).await.expect("it is exported");
        let import = || Import::bundle(&file).decrypted_with([ann.clone()]);
        let trusting = import().trusting(Trust::new([library.verifying_key()]));
        let verified = trusting.verify().await.expect("it is signed");
        assert_eq!(verified.signed_by.as_deref(), Some("example.org/library"));
        let not_theirs = import().trusting(Trust::new([other.verifying_key()]));
        let not_theirs = fault(not_theirs).await;
        assert!(
            matches!(not_theirs, BundleFault::Signature { .. }),
            "{not_theirs:?}"
        );
    });
}
