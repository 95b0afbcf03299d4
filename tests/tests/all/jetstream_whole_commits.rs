//! Commits are seen whole or not at all, also where a server stored only a part of one.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::{Client, HeaderMap};
use cim_es::MemoryEventStore;
use cim_es::block::StoredEvent;
use cim_es::jetstream::{
    EventSubscriberBuilder, FnEventHandler, JetStreamEventStore, ParkedEvents, Subscription,
};
use cim_es::store::*;
use cim_es_tests::nats::{Server, User};
use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::jetstream::sample::*;
use crate::jetstream::{ask, open, open_to_deletes, options};

const NONE: [u64; 0] = [];
const SOON: Duration = Duration::from_secs(20);
/// Longer than a reader takes to find out that nothing more comes.
const A_WHILE: Duration = Duration::from_millis(1_500);

async fn client() -> Client {
    Server::shared().connect(User::Operator).await
}

/// A commit whose messages can be stored one by one, as a single server does.
struct ByHand {
    client: Client,
    messages: Vec<(String, HeaderMap, bytes::Bytes)>,
    stored: usize,
    head: Head,
}

impl ByHand {
    fn new(client: &Client, store: &JetStreamEventStore, commit: CommitRequest) -> Self {
        let heads = vec![None; commit.aggregates.len()];
        let sealed = seal(commit, &heads, &SealOptions::default()).unwrap();
        let head = sealed[0].clone().into_stored(Position(1)).head();
        let message = |event: SealedEvent| {
            let mut headers = HeaderMap::new();
            headers.insert("Cid", event.cid.to_string());
            let key = key_of("contract.sample", &event.envelope.aggregate_id);
            let subject = store
                .subjects()
                .stored(key.id(), &event.envelope.event_type);
            (subject, headers, event.body().clone())
        };
        Self {
            client: client.clone(),
            messages: sealed.into_iter().map(message).collect(),
            stored: 0,
            head,
        }
    }

    /// Stores further messages of it.
    async fn store(&mut self, count: usize) {
        let context = async_nats::jetstream::new(self.client.clone());
        for (subject, headers, body) in &self.messages[self.stored..self.stored + count] {
            let (subject, headers) = (subject.clone(), headers.clone());
            let sent = context.publish_with_headers(subject, headers, body.clone());
            let ack = sent.await.unwrap().await.unwrap();
            if self.stored == 0 {
                self.head.position = Position(ack.sequence);
            }
            self.stored += 1;
        }
    }
}

async fn note(store: &JetStreamEventStore, key: &AggregateKey, number: u64) -> StoredEvent {
    let request = commit().aggregate(key.clone(), ExpectedVersion::Any, notes([number]));
    store.append(request).await.unwrap().remove(0)
}

async fn read(store: &JetStreamEventStore, selection: Selection) -> Vec<u64> {
    let events: Vec<_> = store.read(selection, Bookmark::START).collect().await;
    let events: Vec<_> = events.into_iter().map(Result::unwrap).collect();
    numbers(&events)
}

/// What a handler got.
struct Handled(UnboundedReceiver<StoredEvent>);

impl Handled {
    async fn next(&mut self) -> u64 {
        let event = timeout(SOON, self.0.recv()).await.expect("an event comes");
        numbers(&[event.unwrap()])[0]
    }

    async fn nothing(&mut self) {
        let next = timeout(A_WHILE, self.0.recv()).await;
        assert!(next.is_err(), "{next:?}");
    }
}

/// The ways to subscribe, each with what its handler gets.
async fn subscriptions(
    client: &Client,
    store: &JetStreamEventStore,
    subject: &'static str,
) -> Vec<(String, Subscription, Handled)> {
    let mut all = Vec::new();
    for way in ["live", "durable", "group", "partitioned"] {
        let (sender, receiver) = unbounded_channel();
        let name = format!("{way}-{}", store.stream_name());
        let builder = EventSubscriberBuilder::new()
            .client(client.clone())
            .store(store)
            .subject(subject)
            .handler(FnEventHandler::new(move |event: StoredEvent| {
                let _ = sender.send(event);
                Ok(())
            }));
        let builder = match way {
            "live" => builder.name(&name),
            "durable" => builder.durable(&name),
            "group" => builder.group(&name).concurrency(1),
            _ => builder.partitioned(&name),
        };
        let subscription = builder.build().unwrap().subscribe().await.unwrap();
        all.push((name, subscription, Handled(receiver)));
    }
    all
}

#[tokio::test]
async fn a_commit_that_is_being_stored_is_held_back_until_it_is_whole() {
    let (client, store) = (client().await, open(client().await, &options(1)).await);
    let (before, one, other) = (key(), key(), key());
    note(&store, &before, 1).await;
    let mut subscribed = subscriptions(&client, &store, "contract.sample.>").await;
    let mut following = store.follow(Selection::everything(), Bookmark::START);
    assert_eq!(numbers(&[following.next().await.unwrap().unwrap()]), [1]);
    for (_, _, handled) in &mut subscribed[1..] {
        assert_eq!(handled.next().await, 1);
    }
    let both = commit()
        .aggregate(one.clone(), ExpectedVersion::NoStream, notes([2, 3]))
        .aggregate(other.clone(), ExpectedVersion::NoStream, notes([4]));
    let mut by_hand = ByHand::new(&client, &store, both);
    for part in [1, 1] {
        by_hand.store(part).await;
        assert_eq!(read(&store, Selection::everything()).await, [1]);
        assert_eq!(read(&store, Selection::aggregate(one.clone())).await, NONE);
        assert_eq!(history(&store, &one).await, []);
        assert_eq!(store.last(&one).await.unwrap(), None);
        assert!(timeout(A_WHILE, following.next()).await.is_err());
        for (_, _, handled) in &mut subscribed {
            handled.nothing().await;
        }
    }
    by_hand.store(1).await;
    assert_eq!(read(&store, Selection::everything()).await, [1, 2, 3, 4]);
    assert_eq!(numbers(&history(&store, &one).await), [2, 3]);
    for expected in [2, 3, 4] {
        let next = timeout(SOON, following.next()).await.unwrap();
        assert_eq!(numbers(&[next.unwrap().unwrap()]), [expected]);
    }
    for (name, subscription, mut handled) in subscribed {
        let mut got = BTreeSet::new();
        for _ in 0..3 {
            got.insert(handled.next().await);
        }
        assert_eq!(got, BTreeSet::from([2, 3, 4]), "{name}");
        subscription.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_of_which_a_filter_lets_a_part_through_is_given_once_all_of_it_is_stored() {
    let (client, store) = (client().await, open(client().await, &options(1)).await);
    let (one, other) = (key(), key());
    let mut subscribed = subscriptions(&client, &store, "contract.wanted.>").await;
    let wanted = || Selection::subjects("contract.wanted.>");
    let mut following = store.follow(wanted(), Bookmark::START);
    let both = commit()
        .aggregate(
            one.clone(),
            ExpectedVersion::NoStream,
            vec![event("contract.wanted.noted", 1)],
        )
        .aggregate(other.clone(), ExpectedVersion::NoStream, notes([2, 3]));
    let mut by_hand = ByHand::new(&client, &store, both);
    by_hand.store(2).await;
    assert_eq!(read(&store, wanted()).await, NONE);
    assert!(timeout(A_WHILE, following.next()).await.is_err());
    for (_, _, handled) in &mut subscribed {
        handled.nothing().await;
    }
    assert_eq!(history(&store, &one).await, []);
    by_hand.store(1).await;
    assert_eq!(read(&store, wanted()).await, [1]);
    assert_eq!(numbers(&history(&store, &one).await), [1]);
    let next = timeout(SOON, following.next()).await.unwrap();
    assert_eq!(numbers(&[next.unwrap().unwrap()]), [1]);
    for (_, subscription, mut handled) in subscribed {
        assert_eq!(handled.next().await, 1);
        subscription.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_that_was_cut_off_is_named_and_stops_no_other_aggregate() {
    let (client, store) = (client().await, open(client().await, &options(1)).await);
    let (whole, cut) = (key(), key());
    note(&store, &whole, 1).await;
    let subscribed = subscriptions(&client, &store, "contract.sample.>").await;
    let mut following = store.follow(Selection::everything(), Bookmark::START);
    let request = commit().aggregate(cut.clone(), ExpectedVersion::NoStream, notes(10..14));
    let mut by_hand = ByHand::new(&client, &store, request);
    by_hand.store(2).await;
    let head = by_hand.head;
    note(&store, &whole, 2).await;
    note(&store, &whole, 3).await;

    assert_eq!(read(&store, Selection::everything()).await, [1, 2, 3]);
    assert_eq!(numbers(&history(&store, &whole).await), [1, 2, 3]);
    for expected in 1..=3 {
        let next = timeout(SOON, following.next()).await.unwrap();
        assert_eq!(numbers(&[next.unwrap().unwrap()]), [expected]);
    }
    // Who asks for the aggregate itself is told.
    let asked = store.get_events(&cut, 1).await;
    let of_one: Vec<_> = store
        .read(Selection::aggregate(cut.clone()), Bookmark::START)
        .collect()
        .await;
    for outcome in [asked, of_one.into_iter().collect()] {
        let Err(StoreError::Damaged(damage)) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(damage.to_string().contains("not whole"), "{damage}");
    }
    for (name, subscription, mut handled) in subscribed {
        let expected = if name.starts_with("live") {
            2..=3
        } else {
            1..=3
        };
        for expected in expected {
            assert_eq!(handled.next().await, expected, "{name}");
        }
        if !name.starts_with("live") {
            let parked = ParkedEvents::open(client.clone(), &name).await.unwrap();
            let list = parked.list().await.unwrap();
            assert_eq!(list.len(), 2, "{name}: {list:?}");
            assert!(list[0].reason.contains("cut off"), "{:?}", list[0]);
            // A handler never gets it, even when somebody asks for it.
            parked.resend(list[0].position).await.unwrap();
            handled.nothing().await;
        }
        subscription.stop().await.unwrap();
    }
    // Nothing follows it, whatever the writer knows.
    let second = store.find(&head.cid).await.unwrap();
    assert_eq!(second.unwrap().head(), head);
}

#[tokio::test]
async fn an_append_with_a_head_sees_that_its_commit_is_unfinished() {
    let (client, store) = (client().await, open(client().await, &options(1)).await);
    let (one, other) = (key(), key());
    let both = commit()
        .aggregate(one.clone(), ExpectedVersion::NoStream, notes([1]))
        .aggregate(other, ExpectedVersion::NoStream, notes([2]));
    let mut by_hand = ByHand::new(&client, &store, both);
    by_hand.store(1).await;
    for is_behind in [false, true] {
        if is_behind {
            note(&store, &key(), 7).await;
        }
        let request = commit().aggregate_at(one.clone(), by_hand.head, notes([3]));
        let outcome = store.append(request).await;
        let Err(StoreError::Damaged(damage)) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(damage.to_string().contains("not whole"), "{damage}");
    }
}

#[tokio::test]
async fn an_operator_removes_an_unfinished_commit_or_copies_the_stream_without_it() {
    let (client, store) = (client().await, open(client().await, &options(1)).await);
    let (whole, cut) = (key(), key());
    note(&store, &whole, 1).await;
    let request = commit().aggregate(cut.clone(), ExpectedVersion::NoStream, notes(10..14));
    ByHand::new(&client, &store, request).store(3).await;
    note(&store, &whole, 2).await;

    let found = store.doctor().await.unwrap();
    let fragment = found.iter().find(|finding| finding.about == "fragment");
    let said = fragment.unwrap().to_string();
    assert!(said.contains(cut.id().as_str()), "{said}");
    assert!(said.contains("remove_unfinished_commits"), "{said}");

    let copy = MemoryEventStore::new();
    let copied = store.copy_whole_commits(&copy).await.unwrap();
    assert_eq!((copied.commits, copied.events), (2, 2));
    assert_eq!(numbers(&copied.left_out[0].events), [10, 11, 12]);
    assert_eq!(numbers(&copy.get_events(&whole, 1).await.unwrap()), [1, 2]);
    assert_eq!(copy.get_events(&cut, 1).await.unwrap(), []);

    // The streams that this library makes let nobody remove a message.
    let refused = store.remove_unfinished_commits().await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("copy_whole_commits"), "{said}");
    let name = store.stream_name();
    let info = ask(&client, &format!("STREAM.INFO.{name}"), json!({})).await;
    assert_eq!(info["config"]["deny_delete"], true);
}

#[tokio::test]
async fn an_aggregate_takes_commits_again_once_its_unfinished_one_is_removed() {
    let client = client().await;
    let store = open_to_deletes(&client).await;
    let (whole, cut) = (key(), key());
    let request = commit().aggregate(cut.clone(), ExpectedVersion::NoStream, notes(10..14));
    ByHand::new(&client, &store, request).store(3).await;
    note(&store, &whole, 1).await;
    let removed = store.remove_unfinished_commits().await.unwrap();
    assert_eq!(numbers(&removed[0].events), [10, 11, 12]);
    assert_eq!(store.unfinished_commits().await.unwrap(), []);
    note(&store, &cut, 4).await;
    assert_eq!(numbers(&history(&store, &cut).await), [4]);
    assert_eq!(read(&store, Selection::everything()).await, [1, 4]);
}

#[tokio::test]
async fn a_reader_that_begins_in_the_middle_of_a_commit_gets_the_rest_of_it() {
    let store = open(client().await, &options(1)).await;
    let request = commit().aggregate(key(), ExpectedVersion::NoStream, notes(1..=5));
    let stored = store.append(request).await.unwrap();
    note(&store, &key(), 6).await;
    let after = stored[1].bookmark();
    let events: Vec<_> = store
        .read(Selection::everything(), after)
        .collect::<Vec<_>>()
        .await;
    let events: Vec<_> = events.into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers(&events), [3, 4, 5, 6]);
}
