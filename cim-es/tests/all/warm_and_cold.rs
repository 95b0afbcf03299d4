//! What a repository remembers is what it would read: from memory, from a snapshot and from the events alone.

use crate::account::{Account, AccountCommand};
use cim_es::ErrorChain;
use cim_es::message::FixedClock;
use cim_es::prelude::*;
use cim_es::repository::Loaded;
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Position,
};
use futures_util::StreamExt;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum NoteState {
    #[state(initial)]
    #[on(Write / Written => _, Rename / Renamed => _)]
    Open,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum NoteEvent {
    /// Stored as whole seconds, and without the draft.
    Written {
        #[serde(with = "whole_seconds")]
        millis: u64,
        #[serde(default, skip_serializing_if = "is_any")]
        draft: String,
    },
    Renamed {
        nickname: Option<String>,
    },
}

fn is_any(_: &str) -> bool {
    true
}

mod whole_seconds {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(millis: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        (millis / 1_000).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        u64::deserialize(deserializer).map(|seconds| seconds * 1_000)
    }
}

#[derive(Command, Clone, Debug)]
enum NoteCommand {
    Write { millis: u64, draft: String },
    Rename { nickname: Option<String> },
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "desk", name = "note")]
struct Note {
    state: NoteState,
    millis: u64,
    draft: String,
    /// None until it was first set, to a name or to none.
    nickname: Option<Option<String>>,
}

impl Decide for Note {
    fn decide(&self, command: NoteCommand, _: &Context) -> Decision<Self> {
        match command {
            NoteCommand::Write { millis, draft } => emit(NoteEvent::Written { millis, draft }),
            NoteCommand::Rename { nickname } => emit(NoteEvent::Renamed { nickname }),
        }
    }
}

fn someone() -> MessageIdentity {
    MessageIdentity::new_from_user("someone")
}

async fn from_events(store: &MemoryEventStore, id: &Id<Note>) -> Loaded<Note> {
    let notes = Repository::<Note>::builder(store.clone()).without_snapshots();
    notes.build().load(id).await.unwrap()
}

#[tokio::test]
async fn an_aggregate_in_memory_is_what_its_stored_events_give() {
    let store = MemoryEventStore::new();
    let (notes, id) = (Repository::<Note>::new(store.clone()), Id::new());
    let draft = "not kept".to_owned();
    let write = NoteCommand::Write {
        millis: 1_234,
        draft,
    };
    notes.execute(&id, write, &someone()).await.unwrap();
    let warm = notes.load(&id).await.unwrap();
    assert_eq!(*warm, *from_events(&store, &id).await);
    assert_eq!((warm.millis, warm.draft.as_str()), (1_000, ""));
}

#[tokio::test]
async fn a_snapshot_that_would_lose_something_is_not_written() {
    let store = MemoryEventStore::new();
    let notes = Repository::<Note>::builder(store.clone());
    let (notes, id) = (notes.snapshot_threshold(1).build(), Id::new());
    let rename = NoteCommand::Rename { nickname: None };
    notes.execute(&id, rename, &someone()).await.unwrap();
    let anew = Repository::<Note>::new(store.clone());
    let loaded = anew.load(&id).await.unwrap();
    assert_eq!(loaded.nickname, Some(None));
    assert_eq!(*loaded, *from_events(&store, &id).await);
}

#[tokio::test]
async fn a_snapshot_that_remembers_fewer_commits_does_not_shorten_what_counts_as_sent_again() {
    let store = MemoryEventStore::new();
    let id = Id::<Account>::new();
    let few = Repository::<Account>::builder(store.clone());
    let few = few.snapshot_threshold(1).remembered_commits(1).build();
    let first = someone();
    few.execute(&id, AccountCommand::Open, &first)
        .await
        .unwrap();
    let deposit = AccountCommand::Deposit { amount: 5 };
    let second = someone();
    few.execute(&id, deposit.clone(), &second).await.unwrap();
    let more = AccountCommand::Deposit { amount: 6 };
    few.execute(&id, more, &someone()).await.unwrap();
    let many = Repository::<Account>::new(store.clone());
    let again = many.execute(&id, deposit, &second).await.unwrap();
    assert!(again.is_repeated());
    assert_eq!(many.load(&id).await.unwrap().balance, 11);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named_by_its_place() {
    let store = MemoryEventStore::new();
    let (notes, id) = (Repository::<Note>::new(store.clone()), Id::new());
    let rename = NoteCommand::Rename { nickname: None };
    notes.execute(&id, rename, &someone()).await.unwrap();
    let unknown = NewEvent::from_payload("desk.note.burned", 1, vec![0xa0]);
    let commit = CommitRequest::new(someone(), Timestamp::from_micros(0));
    let key = AggregateKey::of::<Note>(&id).unwrap();
    let commit = commit.aggregate(key, ExpectedVersion::Any, vec![unknown]);
    let cid = store.append(commit).await.unwrap()[0].cid;
    let place =
        format!("desk.note {id}, version 2 (event {cid}) cannot be read: event `desk.note.burned`");
    for error in [
        notes.load(&id).await.map(drop).unwrap_err(),
        notes.history(&id).await.map(drop).unwrap_err(),
    ] {
        assert!(
            ErrorChain(&error).to_string().starts_with(&place),
            "{error}"
        );
    }
}

#[tokio::test]
async fn one_identity_on_two_aggregates_gives_events_with_ids_of_their_own() {
    let store = MemoryEventStore::new();
    let now = Timestamp::from_micros(1_767_225_600_000_000);
    let accounts = Repository::<Account>::builder(store.clone());
    let accounts = accounts.clock(FixedClock(now)).build();
    let identity = someone();
    for id in [Id::new(), Id::new()] {
        let opened = accounts.execute(&id, AccountCommand::Open, &identity).await;
        assert!(!opened.unwrap().is_repeated());
    }
    let events: Vec<_> = store.read_all(Position::START).collect().await;
    let ids: Vec<_> = events
        .into_iter()
        .map(|event| event.unwrap().envelope.id)
        .collect();
    assert_ne!(ids[0], ids[1]);
}
