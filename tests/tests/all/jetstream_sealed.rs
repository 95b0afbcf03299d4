//! Long lists of sealed commits, many of which are on their way at once.

use std::time::Duration;

use cim_es::MemoryEventStore;
use cim_es::block::{EventBlock, StoredEvent};
use cim_es::hybrid::{HybridEventStore, Reachable};
use cim_es::jetstream::{EventStoreConfig, JetStreamEventStore, JetStreamOptions, NatsConfig};
use cim_es::store::*;
use cim_es_tests::nats::{Server, User};
use futures_util::future::join;
use tokio::time::{Instant, sleep};

use crate::jetstream::proxy::{Proxy, Weather};
use crate::jetstream::sample::*;
use crate::jetstream::{open, open_all, options};

/// How the events of a list are spread over aggregates.
#[derive(Clone, Copy, Debug)]
struct Shape {
    aggregates: usize,
    /// How many commits of an aggregate stand side by side.
    run: usize,
    /// How many events a commit has of its aggregate.
    each: u64,
    /// Whether each commit is over the next aggregate too.
    is_over_two: bool,
}

impl Shape {
    const fn of(aggregates: usize, run: usize, each: u64, is_over_two: bool) -> Self {
        Self {
            aggregates,
            run,
            each,
            is_over_two,
        }
    }
}

/// One by one, as batches of many commits, and both.
const SHAPES: [Shape; 5] = [
    Shape::of(400, 1, 1, false),
    Shape::of(1, 1, 1, false),
    Shape::of(40, 7, 1, false),
    Shape::of(30, 1, 3, false),
    Shape::of(30, 1, 2, true),
];

/// A store elsewhere with a number of commits.
async fn elsewhere(shape: Shape, commits: usize) -> (Vec<AggregateKey>, Vec<StoredEvent>) {
    let store = MemoryEventStore::new();
    let keys: Vec<_> = (0..shape.aggregates).map(|_| key()).collect();
    for number in 0..commits {
        let at = number / shape.run % keys.len();
        let events = || notes((0..shape.each).map(|it| number as u64 * 10 + it));
        let mut request = commit().aggregate(keys[at].clone(), ExpectedVersion::Any, events());
        if shape.is_over_two {
            let next = keys[(at + 1) % keys.len()].clone();
            request = request.aggregate(next, ExpectedVersion::Any, events());
        }
        store.append(request).await.unwrap();
    }
    let events = store.read_all(Position::START).try_collect().await;
    (keys, events.unwrap())
}

fn blocks(events: &[StoredEvent]) -> Vec<EventBlock> {
    events.iter().map(EventBlock::from).collect()
}

fn flat(appended: &[AppendedCommit]) -> Vec<StoredEvent> {
    let events = appended.iter().flat_map(|commit| &commit.events);
    events.cloned().collect()
}

async fn everything(store: &JetStreamEventStore) -> Vec<StoredEvent> {
    let events = store.read_all(Position::START).try_collect().await;
    events.unwrap()
}

async fn fresh() -> JetStreamEventStore {
    let client = Server::shared().connect(User::Operator).await;
    open(client, &options(1)).await
}

#[tokio::test]
async fn a_list_of_any_shape_is_stored_in_its_order() {
    for shape in SHAPES {
        let store = fresh().await;
        let (_, events) = elsewhere(shape, 1_100).await;
        let commits = SealedCommit::split(&events).unwrap();
        // What is there already stands among what is new.
        let there = commits[..500].to_vec();
        let first = store.append_sealed(there).await.unwrap();
        let appended = store.append_sealed(commits).await.unwrap();
        let were_there = appended.iter().filter(|commit| commit.was_there).count();
        assert_eq!(were_there, 500, "{shape:?}");
        assert_eq!(flat(&appended[..500]), flat(&first), "{shape:?}");
        let stored = everything(&store).await;
        assert_eq!(flat(&appended), stored, "{shape:?}");
        assert_eq!(blocks(&stored), blocks(&events), "{shape:?}");
    }
}

#[tokio::test]
async fn two_that_bring_the_same_list_at_once_store_it_once() {
    for shape in SHAPES {
        let (one, client) = (fresh().await, Server::shared());
        let other = {
            let config = EventStoreConfig::new(one.stream_name(), ["contract.>"]);
            let options = JetStreamOptions::new(config).stored_subjects(one.subjects().clone());
            open(client.connect(User::Operator).await, &options).await
        };
        let (_, events) = elsewhere(shape, 600).await;
        let commits = SealedCommit::split(&events).unwrap();
        let both = join(
            one.append_sealed(commits.clone()),
            other.append_sealed(commits),
        );
        let (ones, others) = both.await;
        let stored = everything(&one).await;
        assert_eq!(stored.len(), events.len(), "{shape:?}");
        for appended in [ones.unwrap(), others.unwrap()] {
            assert_eq!(blocks(&flat(&appended)), blocks(&events), "{shape:?}");
            for event in flat(&appended) {
                assert_eq!(stored[event.position.0 as usize - 1], event, "{shape:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_whose_answers_are_lost_on_the_way_is_stored_once() {
    let proxy = Proxy::to(Server::shared().address()).await;
    for shape in SHAPES {
        let options = options(1)
            .request_timeout(Duration::from_millis(200))
            .patience(Duration::from_secs(60));
        let client = User::Operator.options();
        let client = client.connect(proxy.url()).await.unwrap();
        let lossy = open(client, &options).await;
        let hearing = open(Server::shared().connect(User::Operator).await, &options).await;
        let (_, events) = elsewhere(shape, 300).await;
        let commits = SealedCommit::split(&events).unwrap();
        proxy.set(Weather {
            lost_of_a_thousand: 50,
            ..Weather::default()
        });
        // Few go each by itself, where they need not wait for each other.
        let mut appended = Vec::new();
        for list in [&commits[..40], &commits[40..80], &commits[80..]] {
            let outcome = lossy.append_sealed(list.to_vec()).await;
            appended.extend(outcome.unwrap_or_else(|error| panic!("{shape:?}: {error}")));
        }
        proxy.set(Weather::default());
        assert_eq!(blocks(&flat(&appended)), blocks(&events), "{shape:?}");
        let stored = everything(&hearing).await;
        assert_eq!(stored.len(), events.len(), "{shape:?}");
        for event in flat(&appended) {
            assert_eq!(stored[event.position.0 as usize - 1], event, "{shape:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_what_was_stored_is_not_believed() {
    let proxy = Proxy::to(Server::shared().address()).await;
    for shape in SHAPES {
        let options = options(1);
        let client = User::Operator.options();
        let client = client.connect(proxy.url()).await.unwrap();
        let store = open(client, &options).await;
        let (_, events) = elsewhere(shape, 40).await;
        let commits = SealedCommit::split(&events).unwrap();
        proxy.refuse_what_is_stored(10_071);
        let appended = store.append_sealed(commits).await.unwrap();
        assert!(proxy.has_refused(), "{shape:?}");
        assert_eq!(flat(&appended), everything(&store).await, "{shape:?}");
        assert_eq!(blocks(&flat(&appended)), blocks(&events), "{shape:?}");
    }
}

/// The outcome of a list that was stored in part.
fn partly(outcome: Result<Vec<AppendedCommit>, StoreError>) -> PartlyStored {
    match outcome {
        Err(StoreError::PartlyStored(partly)) => *partly,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_stream_does_not_keep_is_refused_by_itself_and_others_flow() {
    let store = fresh().await;
    let source = MemoryEventStore::new();
    let strange = key_of("elsewhere.sample", "one");
    let notes_of =
        |key: &AggregateKey| commit().aggregate(key.clone(), ExpectedVersion::Any, notes([1]));
    let strangely = |key: &AggregateKey| {
        let events = vec![event("elsewhere.sample.noted", 1)];
        commit().aggregate(key.clone(), ExpectedVersion::Any, events)
    };
    let (one, tied, other) = (key(), key(), key());
    for request in [
        notes_of(&one),
        strangely(&strange),
        notes_of(&one),
        // It goes on from the refused one, and with it another aggregate waits.
        notes_of(&tied).aggregate(strange.clone(), ExpectedVersion::Any, notes([2])),
        notes_of(&tied),
        notes_of(&other),
    ] {
        source.append(request).await.unwrap();
    }
    let events: Vec<_> = source
        .read_all(Position::START)
        .try_collect()
        .await
        .unwrap();
    let commits = SealedCommit::split(&events).unwrap();
    let told = partly(store.append_sealed(commits.clone()).await);
    assert_eq!(told.first, 1);
    assert_eq!(told.failed().map(|(at, _)| at).collect::<Vec<_>>(), [1]);
    let [
        SealedOutcome::Stored(first),
        SealedOutcome::Failed(StoreError::InvalidCommit { reason }),
        SealedOutcome::Stored(second),
        SealedOutcome::Behind(1),
        SealedOutcome::Behind(1),
        SealedOutcome::Stored(third),
    ] = told.outcomes.as_slice()
    else {
        panic!("{told:?}");
    };
    assert!(reason.contains("elsewhere.sample.noted"), "{reason}");
    let stored = [first.clone(), second.clone(), third.clone()];
    assert_eq!(flat(&stored), everything(&store).await);
    // By itself it is told plainly.
    let alone = store.append_sealed(vec![commits[1].clone()]).await;
    assert!(
        matches!(alone, Err(StoreError::InvalidCommit { .. })),
        "{alone:?}"
    );
}

#[tokio::test]
async fn what_a_user_may_not_publish_is_told_at_once_for_each_commit() {
    let server = Server::start();
    let config = |user: User| {
        NatsConfig::new([server.url()]).user_and_password(user.name(), user.password())
    };
    let stream = || EventStoreConfig::new("INFRASTRUCTURE_EVENTS", ["infrastructure.>", "other.>"]);
    let connection = config(User::Operator).connect().await.unwrap();
    JetStreamEventStore::open(connection, stream())
        .await
        .unwrap();
    // A writer may publish events of the domain `infrastructure` alone.
    let connection = config(User::Writer).connect().await.unwrap();
    let store = JetStreamEventStore::open(connection, stream())
        .await
        .unwrap();
    let source = MemoryEventStore::new();
    for (kind, event_type) in [
        ("infrastructure.sample", "infrastructure.sample.noted"),
        ("other.sample", "other.sample.noted"),
        ("infrastructure.sample", "infrastructure.sample.noted"),
    ] {
        let id = uuid::Uuid::now_v7().to_string();
        let request = commit().aggregate(
            key_of(kind, &id),
            ExpectedVersion::Any,
            vec![event(event_type, 1)],
        );
        source.append(request).await.unwrap();
    }
    let events: Vec<_> = source
        .read_all(Position::START)
        .try_collect()
        .await
        .unwrap();
    let start = Instant::now();
    let told = partly(
        store
            .append_sealed(SealedCommit::split(&events).unwrap())
            .await,
    );
    assert!(start.elapsed() < store_patience(), "it was waited for");
    let [
        SealedOutcome::Stored(_),
        SealedOutcome::Failed(StoreError::ReadOnly { reason, .. }),
        SealedOutcome::Stored(_),
    ] = told.outcomes.as_slice()
    else {
        panic!("{told:?}");
    };
    assert!(reason.contains("does not permit"), "{reason}");
}

#[tokio::test]
async fn a_hybrid_store_parks_what_a_stream_refuses_in_the_midst_of_a_list() {
    let client = Server::shared().connect(User::Operator).await;
    let stream = open_all(client, &options(1), 1).await;
    let file = MemoryEventStore::new();
    let strange = key_of("elsewhere.sample", "one");
    let odd = || vec![event("elsewhere.sample.noted", 1)];
    let mut expected = Vec::new();
    for number in 0..20 {
        let request = commit().aggregate(key(), ExpectedVersion::Any, notes([number]));
        expected.extend(file.append(request).await.unwrap());
        if number == 7 || number == 12 {
            let request = commit().aggregate(strange.clone(), ExpectedVersion::Any, odd());
            file.append(request).await.unwrap();
        }
    }
    let hybrid = HybridEventStore::open(file, Reachable(stream.clone()))
        .await
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while hybrid.parked().is_empty() || hybrid.queue_size().await.unwrap() > 2 {
        assert!(Instant::now() < end, "{}", hybrid.status().await.unwrap());
        sleep(Duration::from_millis(20)).await;
    }
    let parked = hybrid.parked();
    assert_eq!(parked.len(), 1, "what follows waits behind it");
    assert_eq!(parked[0].aggregates, [strange]);
    assert!(
        parked[0].reason.contains("elsewhere.sample.noted"),
        "{}",
        parked[0].reason
    );
    assert_eq!(blocks(&everything(&stream.events).await), blocks(&expected));
    hybrid.close().await;
}

/// What a commit is tried for.
fn store_patience() -> Duration {
    NatsConfig::default().patience
}

#[tokio::test]
async fn a_list_and_a_writer_on_one_of_its_aggregates_never_both_win() {
    for shape in [Shape::of(3, 1, 1, false), Shape::of(200, 1, 1, false)] {
        for pause in [0, 1, 3, 6, 12] {
            let store = fresh().await;
            let (keys, events) = elsewhere(shape, 900).await;
            let commits = SealedCommit::split(&events).unwrap();
            let of_one = |event: &&StoredEvent| keys[0].has(event);
            let theirs: Vec<_> = events.iter().filter(of_one).cloned().collect();
            let writing = async {
                sleep(Duration::from_millis(pause)).await;
                let request = commit().aggregate(keys[0].clone(), ExpectedVersion::Any, notes([7]));
                store.append(request).await.unwrap().remove(0)
            };
            let (outcome, written) = join(store.append_sealed(commits.clone()), writing).await;
            let ours = history(&store, &keys[0]).await;
            let at = written.envelope.sequence as usize - 1;
            assert_eq!(blocks(&ours[..at]), blocks(&theirs[..at]));
            match outcome {
                // The writer was last.
                Ok(_) => assert_eq!(at, theirs.len()),
                // The writer was first of all, and nothing was stored.
                Err(StoreError::Diverged { .. }) => {
                    assert_eq!(ours.len(), everything(&store).await.len())
                }
                outcome => {
                    let told = partly(outcome);
                    let StoreError::Diverged {
                        version,
                        ours,
                        theirs: their,
                        ..
                    } = &*told.source
                    else {
                        panic!("{told:?}");
                    };
                    let expected = (at as u64 + 1, written.cid, theirs[at].cid);
                    assert_eq!((*version, **ours, **their), expected);
                    let stored = everything(&store).await;
                    for (commit, outcome) in commits.iter().zip(&told.outcomes) {
                        let there: Vec<_> = stored
                            .iter()
                            .filter(|it| it.cid == commit.events[0].cid)
                            .collect();
                        match outcome {
                            SealedOutcome::Stored(appended) => {
                                assert_eq!([&appended.events[0]], there.as_slice())
                            }
                            SealedOutcome::Failed(StoreError::Diverged { .. })
                            | SealedOutcome::Behind(_) => {
                                assert!(there.is_empty());
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                    let stood = stored.len() - 1;
                    assert_eq!(stood, events.len() - (theirs.len() - at));
                }
            }
        }
    }
}
