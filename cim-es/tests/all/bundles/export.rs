//! What belongs to an export, and what becomes of the file.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use cim_es::MemoryEventStore;
use cim_es::block::ChainHead;
use cim_es::bundle::{BundleError, Export, Import, Manifest, Since, Step};
use cim_es::store::{EventStore, Position, SealedCommit, Selection, SelectionError, StoreError};

use super::{CREATED, bundle, cids, commit, events, exporting, import, names, sample};
use crate::event_replays::Counting;
use crate::sqlite_support::{Directory, key, run};

fn ids(manifest: &Manifest) -> Vec<(String, u64, u64)> {
    let ranges = manifest.aggregates.iter();
    let shown = ranges.map(|it| (it.aggregate.id().as_str().to_owned(), it.from, it.to));
    shown.collect()
}

fn range(id: &str, from: u64, to: u64) -> (String, u64, u64) {
    (id.to_owned(), from, to)
}

#[test]
fn a_bundle_of_everything_holds_every_event_in_the_order_of_the_store() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, exported) = bundle(&store, &directory).await;
        let expected = [
            range("a", 1, 4),
            range("b", 1, 4),
            range("c", 1, 3),
            range("d", 1, 1),
        ];
        assert_eq!(ids(&exported.manifest), expected);
        assert_eq!(exported.manifest.events(), 12);
        assert!(exported.drawn_in.is_empty() && exported.manifest.prerequisites().is_empty());
        assert_eq!(exported.bytes, std::fs::metadata(&file).unwrap().len());
        let other = MemoryEventStore::new();
        let imported = import(&file, &other).await.expect("it is imported");
        assert_eq!((imported.stored, imported.there), (12, 0));
        assert_eq!(cids(&other).await, cids(&store).await);
        assert_eq!(imported.verified.manifest, Some(exported.manifest));
    });
}

#[test]
fn equal_contents_are_equal_files() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, _) = bundle(&store, &directory).await;
        let first = std::fs::read(&file).unwrap();
        let other = super::copy(&store).await;
        let (file, _) = bundle(&other, &directory).await;
        assert_eq!(std::fs::read(&file).unwrap(), first);
    });
}

/// Ways to choose what is exported of [`sample`], and how many events are read for a file of each: what is there once, and
/// once more where others are left out.
type Choice = (fn(Export) -> Export, u64);
const CHOICES: [Choice; 5] = [
    (|export| export, 12),
    (|export| export.since(Position(3)), 9),
    (|export| export.since(Since::heads([])), 12),
    (|export| export.aggregates([key("c"), key("d")]), 2 * 12),
    (
        |export| export.selection(Selection::subjects("test.note.filled")),
        2 * 12,
    ),
];

#[test]
fn a_bundle_is_the_same_in_a_file_and_through_an_output() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, through) = (directory.file("file.car"), directory.file("output.car"));
        for (number, (choose, _)) in CHOICES.iter().enumerate() {
            let in_file = choose(exporting(&store)).bundle_to(&file).await;
            let output = std::fs::File::create(&through).unwrap();
            let by_output = choose(exporting(&store)).write_bundle(output).await;
            let (in_file, by_output) = (in_file.unwrap(), by_output.unwrap());
            assert_eq!(in_file, by_output, "choice {number}");
            let bytes = std::fs::read(&file).unwrap();
            assert_eq!(bytes.len() as u64, in_file.bytes, "choice {number}");
            let is_the_same = std::fs::read(&through).unwrap() == bytes;
            assert!(is_the_same, "choice {number}: the files differ");
        }
        let left = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(left, 2, "something is left beside the files");
    });
}

#[test]
fn a_file_takes_one_reading_of_the_store_and_one_more_where_others_are_left_out() {
    run(async {
        let (store, directory) = (Counting::new(), Directory::new());
        let commits = SealedCommit::split(&events(&sample().await).await).expect("whole commits");
        store.inner.append_sealed(commits).await.unwrap();
        for (number, (choose, expected)) in CHOICES.iter().enumerate() {
            let export = choose(Export::new(store.clone()).created(CREATED));
            store.read.store(0, Ordering::Relaxed);
            export.bundle_to(directory.file("all.car")).await.unwrap();
            let read = store.read.load(Ordering::Relaxed);
            assert_eq!(read, *expected, "choice {number}");
        }
    });
}

#[test]
fn an_aggregate_that_has_a_commit_in_common_comes_along_and_others_do_not() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let file = directory.file("b.car");
        let export = exporting(&store).aggregates([key("b")]);
        let exported = export.bundle_to(&file).await.expect("it is exported");
        assert_eq!(
            ids(&exported.manifest),
            [range("a", 1, 4), range("b", 1, 4)]
        );
        assert_eq!(names(&exported.drawn_in), ["a"]);
        let other = MemoryEventStore::new();
        import(&file, &other).await.expect("it is imported");

        let export = exporting(&store).aggregates([key("d"), key("nobody")]);
        let exported = export.bundle_to(&file).await.expect("it is exported");
        assert_eq!(ids(&exported.manifest), [range("d", 1, 1)]);
    });
}

#[test]
fn a_selection_takes_the_whole_history_of_each_aggregate_of_which_it_has_an_event() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let file = directory.file("filled.car");
        let export = exporting(&store).selection(Selection::subjects("test.note.filled"));
        let exported = export.bundle_to(&file).await.expect("it is exported");
        assert_eq!(ids(&exported.manifest), [range("c", 1, 3)]);

        // What is new of an aggregate belongs to it, whatever its type.
        let last = store.last_position().await.unwrap();
        commit(&store, &[("c", 1)]).await;
        commit(&store, &[("d", 1)]).await;
        let export = exporting(&store)
            .selection(Selection::subjects("test.note.filled"))
            .since(last);
        let exported = export.bundle_to(&file).await.expect("it is exported");
        assert_eq!(ids(&exported.manifest), [range("c", 4, 4)]);
    });
}

#[test]
fn what_is_new_since_a_bundle_or_a_position_goes_on_from_there_and_nowhere_else() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (first, exported) = bundle(&store, &directory).await;
        let position = store.last_position().await.unwrap();
        commit(&store, &[("c", 1), ("e", 1)]).await;
        commit(&store, &[("a", 1)]).await;
        let expected = [range("a", 5, 5), range("c", 4, 4), range("e", 1, 1)];
        let heads: Vec<_> = exported
            .manifest
            .heads()
            .map(|(aggregate, head)| (aggregate.clone(), head))
            .collect();
        let sinces = [
            Since::from(&exported.manifest),
            Since::from(position),
            Since::heads(heads),
        ];
        for since in sinces {
            let second = directory.file("second.car");
            let export = exporting(&store).since(since);
            let new = export
                .bundle_to(&second)
                .await
                .expect("it is exported")
                .manifest;
            assert_eq!(ids(&new), expected);

            let other = MemoryEventStore::new();
            let missing = import(&second, &other)
                .await
                .expect_err("it goes on from others");
            let BundleError::MissingPrerequisites(missing) = missing else {
                panic!("{missing:?}");
            };
            assert_eq!(missing, new.prerequisites());
            let named: Vec<_> = missing
                .iter()
                .map(|it| (it.aggregate.id().as_str(), it.version))
                .collect();
            assert_eq!(named, [("a", 4), ("c", 3)]);
            assert!(cids(&other).await.is_empty(), "something was stored");

            import(&first, &other).await.expect("it is imported");
            let imported = import(&second, &other).await.expect("it is imported");
            assert_eq!((imported.stored, imported.there), (3, 0));
            assert_eq!(cids(&other).await, cids(&store).await);
        }
    });
}

#[test]
fn a_third_bundle_is_made_since_the_first_two() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (_, first) = bundle(&store, &directory).await;
        commit(&store, &[("a", 1)]).await;
        let export = exporting(&store).since(&first.manifest);
        let second = export.bundle_to(directory.file("2.car")).await.unwrap();
        commit(&store, &[("d", 2)]).await;
        let since = Since::bundles([&first.manifest, &second.manifest]);
        let third = exporting(&store).since(since);
        let third = third.bundle_to(directory.file("3.car")).await.unwrap();
        assert_eq!(ids(&third.manifest), [range("d", 2, 3)]);
    });
}

#[test]
fn heads_that_cut_a_commit_or_are_of_another_history_are_refused_by_name() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let file = directory.file("new.car");
        let head = |sequence, cid| ChainHead { sequence, cid };
        let all = events(&store).await;
        let of_a = |version| {
            let found = |event: &&cim_es::block::StoredEvent| {
                key("a").has(event) && event.envelope.sequence == version
            };
            all.iter().find(found).expect("it is there").cid
        };
        let since = Since::heads([(key("a"), head(3, of_a(3)))]);
        let cut = exporting(&store).since(since).bundle_to(&file).await;
        let Err(BundleError::HeadsCutACommit {
            aggregate, version, ..
        }) = cut
        else {
            panic!("{cut:?}");
        };
        assert_eq!((*aggregate, version), (key("b"), 1));

        let since = Since::heads([(key("a"), head(3, of_a(2)))]);
        let other = exporting(&store).since(since).bundle_to(&file).await;
        let Err(BundleError::OtherHeads { ours, theirs, .. }) = other else {
            panic!("{other:?}");
        };
        assert_eq!((*ours, *theirs), (of_a(3), head(3, of_a(2))));

        // Between the events of the commit over `a` and `b`.
        let cut = exporting(&store).since(Position(5)).bundle_to(&file).await;
        assert!(
            matches!(
                cut,
                Err(BundleError::InsideACommit {
                    position: Position(5)
                })
            ),
            "{cut:?}"
        );
        let far = exporting(&store).since(Position(99)).bundle_to(&file).await;
        assert!(
            matches!(far, Err(BundleError::Store(StoreError::AnotherHistory(_)))),
            "{far:?}"
        );
        assert!(!file.exists());
    });
}

#[test]
fn an_export_of_nothing_is_refused_and_leaves_the_file_that_was_there() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let (file, exported) = bundle(&store, &directory).await;
        let before = std::fs::read(&file).unwrap();
        let exports = [
            exporting(&MemoryEventStore::new()),
            exporting(&store).since(&exported.manifest),
            exporting(&store).since(store.last_position().await.unwrap()),
            exporting(&store).aggregates([key("nobody")]),
            exporting(&store).aggregates([]),
        ];
        for export in exports {
            let refused = export.bundle_to(&file).await;
            assert!(
                matches!(refused, Err(BundleError::Nothing { .. })),
                "{refused:?}"
            );
        }
        let impossible = exporting(&store).selection(Selection::kinds(Vec::<String>::new()));
        let refused = impossible.bundle_to(&file).await;
        assert!(
            matches!(
                refused,
                Err(BundleError::Store(StoreError::NothingSelected(
                    SelectionError::NoKind
                )))
            ),
            "{refused:?}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), before);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    });
}

#[test]
fn a_cancelled_export_leaves_nothing() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        for _ in 0..100 {
            commit(&store, &[("many", 10)]).await;
        }
        let export = exporting(&store);
        export.canceller().cancel();
        let cancelled = export.bundle_to(directory.file("all.car")).await;
        assert!(
            matches!(cancelled, Err(BundleError::Cancelled)),
            "{cancelled:?}"
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    });
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    run(async {
        let store = sample().await;
        let file = "/nowhere/at/all.car";
        let failed = exporting(&store).bundle_to(file).await;
        let failed = failed.expect_err("there is no such directory");
        assert_eq!(failed.to_string(), "/nowhere/at/all.car could not be made");
        let failed = Import::bundle(file).verify().await;
        let failed = failed.expect_err("there is no such file");
        assert_eq!(
            failed.to_string(),
            "/nowhere/at/all.car could not be opened"
        );
    });
}

#[test]
fn progress_is_told_at_the_end_of_each_step() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let told = Arc::new(Mutex::new(Vec::new()));
        let (file, tell) = (directory.file("all.car"), Arc::clone(&told));
        let export = exporting(&store).on_progress(move |it| tell.lock().unwrap().push(it));
        let manifest = export.bundle_to(&file).await.unwrap().manifest;
        let tell = Arc::clone(&told);
        let import = Import::bundle(&file).on_progress(move |it| tell.lock().unwrap().push(it));
        import.into_store(&MemoryEventStore::new()).await.unwrap();
        let told = told.lock().unwrap();
        for step in [Step::Looking, Step::Writing, Step::Verifying, Step::Storing] {
            let last = told.iter().rfind(|it| it.step == step);
            let last = last.unwrap_or_else(|| panic!("{step:?} is not told"));
            assert_eq!((last.events, last.bytes), (12, manifest.bytes), "{step:?}");
        }
        assert_eq!(told.last().and_then(|it| it.fraction()), Some(1.0));
    });
}
