//! Branches that are replaced in a file: what SQLite keeps of events is what it would be had they never been written.

use crate::sqlite_support::{Directory, Numbers, any, collect, commit, is_long, key, run, typed};
use cim_es::block::StoredEvent;
use cim_es::store::{
    Bookmark, Branch, BranchReplacement, BranchStore, EventStore, EventStoreExt, ExpectedVersion,
    NewEvent, Position, SealedCommit, Selection, StateChange, SyncState, taken_out,
};
use cim_es::{MemoryEventStore, SqliteEventStore};

/// Everything that is written, in memory and in the file, with the same blocks.
struct Both {
    memory: MemoryEventStore,
    file: SqliteEventStore,
    /// Another program at the same file.
    other: SqliteEventStore,
    _directory: Directory,
}

impl Both {
    fn new() -> Self {
        let directory = Directory::new();
        let path = directory.file("branches.db");
        Self {
            memory: MemoryEventStore::new(),
            file: SqliteEventStore::open(&path).unwrap(),
            other: SqliteEventStore::open(&path).unwrap(),
            _directory: directory,
        }
    }

    async fn append(&self, commit: cim_es::store::CommitRequest) {
        let events = self.memory.append(commit).await.unwrap();
        let commits = SealedCommit::split(&events).unwrap();
        self.file.append_sealed(commits).await.unwrap();
    }

    async fn replace(&self, branch: Branch, commits: Vec<SealedCommit>) {
        let replacement = BranchReplacement::new([branch], commits);
        let in_memory = self.memory.replace_branches(replacement.clone()).await;
        let in_file = self.file.replace_branches(replacement).await.unwrap();
        assert_eq!(in_memory.unwrap(), in_file);
    }

    async fn compare(&self) {
        let expected = everything(&self.memory).await;
        for file in [&self.file, &self.other] {
            assert_eq!(everything(file).await, expected);
            for kind in ["test.note.written", "test.note.rare", "test.note.late"] {
                let selection = || Selection::subjects(kind);
                let found = collect(file.read(selection(), Bookmark::START)).await;
                let known = collect(self.memory.read(selection(), Bookmark::START)).await;
                assert_eq!(found.unwrap(), known.unwrap(), "{kind}");
            }
            for id in 0..AGGREGATES {
                let last = file.last(&key(id)).await.unwrap();
                assert_eq!(last, self.memory.last(&key(id)).await.unwrap());
            }
        }
        let report = self.file.check().await.unwrap();
        assert_eq!(report.events, expected.len() as u64);
        for event in expected.iter().rev().take(20) {
            assert_eq!(
                self.other.find(&event.cid).await.unwrap().as_ref(),
                Some(event)
            );
        }
    }
}

const AGGREGATES: u64 = 5;

async fn everything(store: &impl EventStore) -> Vec<StoredEvent> {
    collect(store.read_all(Position::START)).await.unwrap()
}

fn event(numbers: &mut Numbers) -> NewEvent {
    let event_type = match numbers.below(40) {
        0 => "test.note.rare",
        1 => "test.note.late",
        _ => "test.note.written",
    };
    typed(event_type, numbers.below(1 << 40))
}

/// Some commits of one event and of several, each of one aggregate.
async fn write(both: &Both, numbers: &mut Numbers, commits: u64, most: u64) {
    for _ in 0..commits {
        let events = (0..=numbers.below(most)).map(|_| event(numbers)).collect();
        both.append(any(numbers.below(AGGREGATES), events)).await;
    }
}

/// Takes out the end of an aggregate's history, and puts another in its place.
async fn replace(both: &Both, numbers: &mut Numbers, most: u64) {
    let aggregate = key(numbers.below(AGGREGATES));
    let history = both.memory.get_events(&aggregate, 1).await.unwrap();
    let begins: Vec<usize> = (0..history.len())
        .filter(|at| history[*at].envelope.commit.is_first_of_whole())
        .collect();
    let Some(last) = history.last() else { return };
    let from = begins[begins.len() - 1 - numbers.below(begins.len().min(40) as u64) as usize];
    let elsewhere = MemoryEventStore::new();
    let before = SealedCommit::split(&history[..from]).unwrap();
    elsewhere.append_sealed(before).await.unwrap();
    for _ in 0..numbers.below(most) {
        let events = (0..=numbers.below(3)).map(|_| event(numbers)).collect();
        let theirs = commit().aggregate(aggregate.clone(), ExpectedVersion::Any, events);
        elsewhere.append(theirs).await.unwrap();
    }
    let theirs = elsewhere.get_events(&aggregate, from as u64 + 1).await;
    let branch = Branch {
        aggregate,
        from: from as u64 + 1,
        head: last.cid,
    };
    let theirs = SealedCommit::split(&theirs.unwrap()).unwrap();
    both.replace(branch, theirs).await;
}

#[test]
fn a_file_is_as_if_the_replaced_events_had_never_been_written() {
    let rounds = if is_long() { 400 } else { 6 };
    for seed in 0..rounds {
        let mut numbers = Numbers::new(seed);
        run(async {
            let both = Both::new();
            for _ in 0..6 {
                let (commits, most) = (20 + numbers.below(60), 1 + numbers.below(12));
                write(&both, &mut numbers, commits, most).await;
                replace(&both, &mut numbers, 30).await;
                both.compare().await;
                write(&both, &mut numbers, 3, 3).await;
            }
            both.compare().await;
        });
    }
}

/// Large segments of the index over CIDs are merged out of small ones, and parted again.
#[test]
fn segments_that_were_merged_are_parted_again() {
    // It takes a minute to fill them.
    if !is_long() {
        return;
    }
    let mut numbers = Numbers::new(7);
    run(async {
        let both = Both::new();
        let long = |count: u64| {
            (0..count)
                .map(|it| typed("test.note.written", it))
                .collect()
        };
        for _ in 0..66 {
            both.append(any(0, long(990))).await;
        }
        for removed in [3, 1_000, 400] {
            write(&both, &mut numbers, 10, 3).await;
            let history = both.memory.get_events(&key(1), 1).await.unwrap();
            if let Some(last) = history.last() {
                let branch = Branch {
                    aggregate: key(1),
                    from: 1,
                    head: last.cid,
                };
                both.replace(branch, Vec::new()).await;
            }
            both.append(any(1, long(removed))).await;
        }
        let history = both.memory.get_events(&key(0), 1).await.unwrap();
        let from = history.iter().rposition(|it| it.envelope.commit.is_first());
        let first = history[from.unwrap() - 2 * 990].envelope.sequence;
        let branch = Branch {
            aggregate: key(0),
            from: history
                .iter()
                .find(|it| it.envelope.sequence >= first && it.envelope.commit.is_first())
                .unwrap()
                .envelope
                .sequence,
            head: history[history.len() - 1].cid,
        };
        both.replace(branch, Vec::new()).await;
        both.compare().await;
        write(&both, &mut numbers, 30, 90).await;
        both.compare().await;
    });
}

#[test]
fn what_is_to_be_written_down_is_there_with_the_replacement_alone() {
    run(async {
        let both = Both::new();
        both.append(any(0, vec![typed("test.note.written", 1)]))
            .await;
        let head = both.memory.last(&key(0)).await.unwrap().unwrap().cid;
        let branch = |from| Branch {
            aggregate: key(0),
            from,
            head,
        };
        let changes = || vec![StateChange::put("how", vec![0x01])];
        let late = BranchReplacement::new([branch(2)], Vec::new()).with_changes(changes());
        both.file.replace_branches(late).await.unwrap_err();
        assert_eq!(both.file.get_state("how").await.unwrap(), None);
        let whole = BranchReplacement::new([branch(1)], Vec::new()).with_changes(changes());
        both.file.replace_branches(whole).await.unwrap();
        let kept = both.other.get_state("how").await.unwrap();
        assert_eq!(kept.as_deref(), Some(&[0x01][..]));
        assert_eq!(both.other.epochs().await.unwrap().len(), 1);
    });
}

/// The events of each of the two sides that a child replaces by each other.
const SIDE: u64 = 60;

#[cfg(unix)]
#[test]
fn a_process_that_is_killed_has_replaced_all_of_a_branch_or_nothing() {
    use crate::sqlite_support::child;

    let directory = Directory::new();
    let path = directory.file("killed.db");
    let sides = run(async {
        let both = Both {
            memory: MemoryEventStore::new(),
            file: SqliteEventStore::open(&path).unwrap(),
            other: SqliteEventStore::open(&path).unwrap(),
            _directory: Directory::new(),
        };
        let side = |first| (first..first + SIDE).map(|it| typed("test.note.written", it));
        both.append(any(0, side(0).collect())).await;
        for number in 0..400 {
            both.append(any(1, vec![typed("test.note.written", number)]))
                .await;
        }
        let ours = both.memory.get_events(&key(0), 1).await.unwrap();
        let elsewhere = MemoryEventStore::new();
        elsewhere
            .append(any(0, side(1_000).collect()))
            .await
            .unwrap();
        let theirs = elsewhere.get_events(&key(0), 1).await.unwrap();
        let branch = Branch {
            aggregate: key(0),
            from: 1,
            head: ours[ours.len() - 1].cid,
        };
        both.replace(branch, SealedCommit::split(&theirs).unwrap())
            .await;
        [ours, theirs].map(|side| side.iter().map(|it| it.cid).collect::<Vec<_>>())
    });
    let (kills, mut epochs) = (if is_long() { 300 } else { 15 }, 1);
    let test = (
        module_path!(),
        "a_child_replaces_branches_until_it_is_killed",
    );
    child::kill_each(test, &path, kills, 20..400, || {
        run(async {
            let store = SqliteEventStore::open(&path).unwrap();
            let here = store.get_events(&key(0), 1).await.unwrap();
            let here: Vec<_> = here.iter().map(|it| it.cid).collect();
            let found = store.epochs().await.unwrap();
            assert_eq!(here, sides[found.len() % 2], "a half was replaced");
            let out = taken_out(&store, &found[found.len() - 1].branches[0]).await;
            assert_eq!(out.unwrap().unwrap().len() as u64, SIDE);
            assert_eq!(store.check().await.unwrap().events, SIDE + 400);
            epochs = found.len();
        });
    });
    eprintln!("{kills} kills, {epochs} replacements");
}

#[cfg(unix)]
#[test]
fn a_child_replaces_branches_until_it_is_killed() {
    let Some(path) = crate::sqlite_support::child::file() else {
        return;
    };
    run(async {
        let store = SqliteEventStore::open(path).unwrap();
        loop {
            let epochs = store.epochs().await.unwrap();
            let last = epochs.last().expect("the parent replaced one");
            let out = taken_out(&store, &last.branches[0]).await.unwrap();
            let out = SealedCommit::split(&out.expect("it was taken out")).unwrap();
            let head = store.last(&key(0)).await.unwrap().expect("it has events");
            let branch = Branch {
                aggregate: key(0),
                from: 1,
                head: head.cid,
            };
            let replacement = BranchReplacement::new([branch], out);
            store.replace_branches(replacement).await.unwrap();
        }
    });
}
