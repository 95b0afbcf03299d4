//! Into stores that have nothing, a part, or all of it.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cim_es::block::Cid;
use cim_es::bundle::{BundleError, Import, ImportEnd, OnDivergence, Step};
use cim_es::store::{EventStore, EventStoreExt, SealOptions, SealedCommit};
use cim_es::{MemoryEventStore, SqliteEventStore};

use super::{bundle, cids, commit, events, import, sample};
use crate::sqlite_support::{Directory, key, run};

#[test]
fn what_was_imported_is_passed_over_when_it_comes_again() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, _) = bundle(&store, &directory).await;
        let other = SqliteEventStore::open(directory.file("other.db")).unwrap();
        let first = import(&file, &other).await.expect("it is imported");
        let again = import(&file, &other).await.expect("it is imported again");
        assert_eq!((first.stored, first.there), (12, 0));
        assert_eq!((again.stored, again.there), (0, 12));
        assert_eq!(again.end, ImportEnd::Complete);
        assert_eq!(cids(&other).await, cids(&store).await);
        // It goes on as a store of its own.
        commit(&other, &[("a", 1)]).await;
        let again = import(&file, &other).await.expect("it is imported again");
        assert_eq!((again.stored, again.there), (0, 12));
    });
}

#[test]
fn a_store_that_has_any_part_of_it_gets_the_rest() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, _) = bundle(&store, &directory).await;
        let commits = SealedCommit::split(&events(&store).await).unwrap();
        for count in 0..=commits.len() {
            let other = MemoryEventStore::new();
            let part = commits[..count].to_vec();
            let there: u64 = part.iter().map(|it| it.events.len() as u64).sum();
            other.append_sealed(part).await.unwrap();
            let imported = import(&file, &other).await.expect("it is imported");
            assert_eq!((imported.stored, imported.there), (12 - there, there));
            assert_eq!(cids(&other).await, cids(&store).await, "{count} commits");
        }
    });
}

#[test]
fn a_store_that_has_one_aggregate_and_others_gets_the_rest() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, _) = bundle(&store, &directory).await;
        let other = MemoryEventStore::new();
        commit(&other, &[("elsewhere", 3)]).await;
        let of_d: Vec<_> = store.get_events(&key("d"), 1).await.unwrap();
        let of_d = SealedCommit::split(&of_d).unwrap();
        other.append_sealed(of_d).await.unwrap();
        let imported = import(&file, &other).await.expect("it is imported");
        assert_eq!((imported.stored, imported.there), (11, 1));
        assert_eq!(events(&other).await.len(), 15);
    });
}

#[test]
fn an_import_that_is_cancelled_ends_at_a_commit_and_goes_on_when_it_is_repeated() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        for _ in 0..12 {
            let parts = [("many", 400), ("more", 400)];
            commit(&store, &parts).await;
        }
        let (file, exported) = bundle(&store, &directory).await;
        let other = MemoryEventStore::new();
        let import = Import::bundle(&file);
        let canceller = import.canceller();
        let import = import.on_progress(move |it| {
            if it.step == Step::Storing {
                canceller.cancel();
            }
        });
        let imported = import.into_store(&other).await.expect("it is imported");
        let has = events(&other).await;
        SealedCommit::split(&has).expect("every commit is whole");
        assert_eq!(imported.end, ImportEnd::Cancelled);
        assert_eq!((has.len() as u64, 0), (imported.stored, imported.there));
        assert!((1..9_612).contains(&has.len()), "it stored {}", has.len());

        let imported = super::import(&file, &other).await.expect("it is imported");
        assert_eq!(imported.end, ImportEnd::Complete);
        assert_eq!(imported.there, has.len() as u64);
        assert_eq!(
            events(&other).await.len() as u64,
            exported.manifest.events()
        );
        assert_eq!(cids(&other).await, cids(&store).await);
    });
}

#[test]
fn a_store_that_takes_no_such_payload_says_so_and_keeps_what_it_took() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, _) = bundle(&store, &directory).await;
        let other = MemoryEventStore::with_options(SealOptions {
            max_payload: 100,
            ..SealOptions::default()
        });
        let refused = import(&file, &other)
            .await
            .expect_err("a payload is too large");
        assert!(
            matches!(refused, BundleError::NotStored { .. }),
            "{refused:?}"
        );
        SealedCommit::split(&events(&other).await).expect("every commit is whole");
    });
}

#[test]
fn a_bundle_that_is_made_readable_on_the_way_is_imported_as_a_file_is() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, _) = bundle(&store, &directory).await;
        let hidden: Vec<u8> = std::fs::read(&file)
            .unwrap()
            .iter()
            .map(|it| it ^ 0x5a)
            .collect();
        let hidden: Arc<[u8]> = hidden.into();
        let opened = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&opened);
        let import = Import::bundle_from("the hidden one", move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(Shown(Cursor::new(hidden.clone())))
        });
        let other = MemoryEventStore::new();
        let imported = import.into_store(&other).await.expect("it is imported");
        assert_eq!(imported.stored, 12);
        assert_eq!(opened.load(Ordering::Relaxed), 2);

        let gone = || Err::<Cursor<Vec<u8>>, _>(std::io::Error::other("the key is gone"));
        let failed = Import::bundle_from("the hidden one", gone).verify().await;
        let failed = failed.expect_err("it does not open");
        assert_eq!(failed.to_string(), "the hidden one could not be opened");
    });
}

/// What undoes the change of each byte.
struct Shown(Cursor<Arc<[u8]>>);

impl Read for Shown {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        buffer[..read].iter_mut().for_each(|it| *it ^= 0x5a);
        Ok(read)
    }
}

#[test]
fn what_is_proved_is_told_without_a_store() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, exported) = bundle(&store, &directory).await;
        let import = Import::bundle(&file).on_divergence(OnDivergence::ImportOthers);
        assert_eq!(
            import.manifest().await.unwrap().as_ref(),
            Some(&exported.manifest)
        );
        let verified = import.verify().await.expect("it is whole");
        assert_eq!(verified.aggregates, exported.manifest.aggregates);
        assert_eq!(verified.events, 12);
        // The manifest names the whole, and is the root of the file.
        let car = std::fs::read(&file).unwrap();
        let car = cim_es::car::CarReader::new(&car[..]).unwrap();
        let roots: Vec<Cid> = car.roots().to_vec();
        assert_eq!(roots, [exported.manifest.cid()]);
    });
}
