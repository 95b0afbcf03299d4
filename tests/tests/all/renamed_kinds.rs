//! Aggregates that were renamed, on every engine: their histories go on, and none is taken for an empty one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cim_es::SqliteEventStore;
use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError, Together};
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Position,
    StreamExt,
};
use cim_es::testing::contract::Provider;

use crate::jetstream_contract_one_server::OneServer;

/// Runs tests of this file on each engine.
macro_rules! on_every_engine {
    ($($test:ident),+ $(,)?) => {
        mod in_memory {
            $(#[test]
            fn $test() {
                cim_es::testing::contract::run(super::$test(super::InMemory::default()));
            })+
        }
        mod in_a_file {
            $(#[test]
            fn $test() {
                cim_es::testing::contract::run(super::$test(super::InFile::new()));
            })+
        }
        mod on_a_server {
            $(#[test]
            fn $test() {
                cim_es::testing::contract::run(super::$test(super::OneServer::new()));
            })+
        }
    };
}

on_every_engine!(
    histories_under_former_kinds_go_on_under_them,
    a_renamed_aggregate_without_its_former_name_is_no_empty_one,
    two_releases_around_a_rename_share_a_history,
    two_releases_that_meet_at_the_first_event_begin_one_history,
);

#[derive(Default)]
struct InMemory(MemoryEventStore);

#[async_trait::async_trait]
impl Provider for InMemory {
    type Store = MemoryEventStore;

    async fn open(&self) -> MemoryEventStore {
        self.0.clone()
    }
}

struct InFile(PathBuf);

impl InFile {
    fn new() -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        Self(directory.join(format!("{}.db", Uuid::now_v7())))
    }
}

#[async_trait::async_trait]
impl Provider for InFile {
    type Store = SqliteEventStore;

    async fn open(&self) -> SqliteEventStore {
        SqliteEventStore::open(&self.0).unwrap()
    }
}

/// The same lamp in every release.
macro_rules! lamp {
    ($release:ident, $($aggregate:tt)*) => {
        mod $release {
            use cim_es::prelude::*;

            #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub enum LampState {
                #[state(initial)]
                #[on(Switch / Switched => _)]
                Any,
            }

            #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub enum LampEvent {
                #[apply(times += 1)]
                Switched,
            }

            #[derive(Command, Clone, Debug)]
            pub enum LampCommand {
                Switch,
            }

            #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
            #[aggregate(domain = "contract", $($aggregate)*)]
            pub struct Lamp {
                state: LampState,
                pub times: u64,
            }

            impl Decide for Lamp {
                fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
                    emit(LampEvent::Switched)
                }
            }
        }
    };
}

lamp!(first, name = "lamp");
lamp!(second, name = "light");
lamp!(
    third,
    name = "lantern",
    was = "contract.lamp",
    was = "contract.light"
);
lamp!(neighbour, name = "owner", shares_ids_with = "contract.lamp");

fn user() -> MessageIdentity {
    MessageIdentity::new_from_user("contract")
}

/// A history that began under a former kind is loaded under the present one, and goes on as one history.
async fn histories_under_former_kinds_go_on_under_them(provider: impl Provider) {
    use third::LampCommand::Switch;
    let store = provider.open().await;
    let ids: [Uuid; 3] = std::array::from_fn(|_| Uuid::now_v7());
    let firsts = Repository::<first::Lamp>::new(store.clone());
    let first = (&ids[0].into(), first::LampCommand::Switch);
    firsts.execute(first.0, first.1, &user()).await.unwrap();
    let seconds = Repository::<second::Lamp>::new(store.clone());
    let second = (&ids[1].into(), second::LampCommand::Switch);
    seconds.execute(second.0, second.1, &user()).await.unwrap();

    let lanterns = Repository::<third::Lamp>::new(store.clone());
    for (id, before) in ids.map(Id::from_uuid).into_iter().zip([1, 1, 0]) {
        assert_eq!(lanterns.load(&id).await.unwrap().times, before, "{id}");
        for _ in 0..2 {
            lanterns.execute(&id, Switch, &user()).await.unwrap();
        }
        let reopened = Repository::<third::Lamp>::new(provider.open().await);
        let lantern = reopened.load(&id).await.unwrap();
        assert_eq!((lantern.times, lantern.version()), (before + 2, before + 2));
        let history = reopened.history(&id).await.unwrap();
        assert_eq!(history.len() as u64, before + 2);
        let kinds: BTreeSet<_> = history
            .iter()
            .map(|it| &it.stored.envelope.aggregate)
            .collect();
        assert_eq!(kinds.len(), 1, "one history, one kind");
    }
    assert_eq!(lanterns.load_all().await.unwrap().len(), 3);
    let subject = subject!(third::LampEvent, "contract.lantern.switched");
    let events = lanterns
        .events_of(subject, Position::START, 100)
        .await
        .unwrap();
    assert_eq!(events.len(), 8);
}

/// An id that has events of a kind which the aggregate does not know is an error; one that it knows of is not.
async fn a_renamed_aggregate_without_its_former_name_is_no_empty_one(provider: impl Provider) {
    let store = provider.open().await;
    let id = Uuid::now_v7();
    let lamps = Repository::<first::Lamp>::new(store.clone());
    let switch = first::LampCommand::Switch;
    lamps.execute(&id.into(), switch, &user()).await.unwrap();

    let lights = Repository::<second::Lamp>::new(store.clone());
    let is_unknown = |error: &LoadError| {
        matches!(
            error,
            LoadError::UnknownKind { expected: "contract.light", found, .. }
                if found == "contract.lamp"
        )
    };
    let light = Id::from_uuid(id);
    assert!(is_unknown(&lights.load(&light).await.unwrap_err()));
    assert!(is_unknown(&lights.load_at(&light, 0).await.unwrap_err()));
    assert!(is_unknown(&lights.history(&light).await.unwrap_err()));
    let user = user();
    let executed = lights.execute(&light, second::LampCommand::Switch, &user);
    match executed.await.unwrap_err() {
        ExecuteError::Load(error) => assert!(is_unknown(&error)),
        error => panic!("another error: {error}"),
    }
    assert_eq!(
        store.read_all(Position::START).count().await,
        1,
        "nothing was stored"
    );

    let owners = Repository::<neighbour::Lamp>::new(store.clone());
    let owner = Id::from_uuid(id);
    assert_eq!(owners.load(&owner).await.unwrap().times, 0);
    let switch = neighbour::LampCommand::Switch;
    owners.execute(&owner, switch, &user).await.unwrap();
    assert_eq!(owners.load(&owner).await.unwrap().times, 1);
    // What has events of its own is itself, whoever came later.
    assert_eq!(lamps.load(&id.into()).await.unwrap().times, 1);
}

/// Of two releases that saw an id without events, the second one to write does not begin a history of its own: the one that
/// knows both names goes on with that of the other, and the other refuses what it does not know.
async fn two_releases_that_meet_at_the_first_event_begin_one_history(provider: impl Provider) {
    use std::slice::from_ref;
    let lamps = Repository::<first::Lamp>::new(provider.open().await);
    let lanterns = Repository::<third::Lamp>::new(provider.open().await);
    let ids: [Uuid; 4] = std::array::from_fn(|_| Uuid::now_v7());
    for id in &ids {
        assert_eq!(lamps.load(&(*id).into()).await.unwrap().version(), 0);
        assert_eq!(lanterns.load(&(*id).into()).await.unwrap().version(), 0);
    }
    let on = first::LampCommand::Switch;
    let light = third::LampCommand::Switch;
    for (place, id) in ids.iter().enumerate() {
        let (lamp, lantern) = (Id::from_uuid(*id), Id::from_uuid(*id));
        let user = user();
        if place < 2 {
            lamps.execute(&lamp, on.clone(), &user).await.unwrap();
            let next = MessageIdentity::caused_by(&user);
            let commit = match place {
                0 => lanterns
                    .execute(&lantern, light.clone(), &next)
                    .await
                    .unwrap(),
                _ => {
                    let together = Together::new(&next).execute(&lanterns, &lantern, light.clone());
                    together.commit().await.unwrap().remove(0)
                }
            };
            assert_eq!(commit.version(), 2);
            assert_eq!(commit.events()[0].envelope.aggregate, "contract.lamp");
        } else {
            lanterns
                .execute(&lantern, light.clone(), &user)
                .await
                .unwrap();
            let next = MessageIdentity::caused_by(&user);
            let refused = lamps.execute(&lamp, on.clone(), &next).await.unwrap_err();
            assert!(
                matches!(&refused, ExecuteError::Load(LoadError::UnknownKind { .. })),
                "{refused}"
            );
        }
        let store = provider.open().await;
        let kinds = store.kinds(&lamp.text().unwrap()).await.unwrap();
        assert_eq!(from_ref(&kinds[0]), kinds, "one history");
    }
}

/// A release that knows the former name alone, and one that knows both, append to one history under one guard.
async fn two_releases_around_a_rename_share_a_history(provider: impl Provider) {
    let store = provider.open().await;
    let id = Uuid::now_v7();
    let lamps = Repository::<first::Lamp>::new(store.clone());
    let switch = first::LampCommand::Switch;
    lamps
        .execute(&id.into(), switch.clone(), &user())
        .await
        .unwrap();
    let lanterns = Repository::<third::Lamp>::new(provider.open().await);
    let lantern = Id::from_uuid(id);
    let user = user();
    let commit = lanterns.execute(&lantern, third::LampCommand::Switch, &user);
    assert_eq!(commit.await.unwrap().version(), 2);
    // The warm aggregate of the older release meets an event that it does not know, and stores nothing.
    let behind = lamps.execute(&id.into(), switch, &user).await;
    assert!(matches!(behind, Err(ExecuteError::Load(_))), "{behind:?}");
    assert_eq!(lanterns.load(&lantern).await.unwrap().version(), 2);

    // Two histories of one id come from releases that met at its first event; neither is taken for the whole.
    let other = Uuid::now_v7();
    let text = Id::<third::Lamp>::from_uuid(other).text().unwrap();
    for kind in ["contract.lamp", "contract.lantern"] {
        let key = AggregateKey::new(kind, text.clone());
        let begun = NewEvent::from_payload(format!("{kind}.switched"), 1, vec![0xa0]);
        let now = Timestamp::from_micros(0);
        let commit = CommitRequest::new(user.clone(), now);
        let commit = commit.aggregate(key, ExpectedVersion::Any, vec![begun]);
        store.append(commit).await.unwrap();
    }
    let twice = lanterns.load(&Id::from_uuid(other)).await;
    assert!(matches!(twice, Err(LoadError::TwoHistories { .. })));
}

/// An aggregate that draws an id for each of its events, before and after it was renamed.
macro_rules! counter {
    ($release:ident, $($aggregate:tt)*) => {
        mod $release {
            use cim_es::prelude::*;

            #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub enum CounterState {
                #[state(initial)]
                #[on(Draw / Drawn => _)]
                Open,
            }

            #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub enum CounterEvent {
                #[apply(drawn.push(number))]
                Drawn { number: Uuid },
            }

            #[derive(Command, Clone, Debug)]
            pub enum CounterCommand {
                Draw,
            }

            #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
            #[aggregate(domain = "contract", $($aggregate)*)]
            pub struct Counter {
                state: CounterState,
                pub drawn: Vec<Uuid>,
            }

            impl Decide for Counter {
                fn decide(&self, _: CounterCommand, context: &Context) -> Decision<Self> {
                    emit(CounterEvent::Drawn {
                        number: context.id(1),
                    })
                }
            }
        }
    };
}

counter!(counter, name = "counter");
counter!(desk, name = "desk", was = "contract.counter");

#[tokio::test]
async fn a_command_that_comes_again_after_a_rename_draws_the_same_ids() {
    use cim_es::message::{FixedClock, Timestamp};
    let id = Uuid::from_u128(1);
    let now = || FixedClock(Timestamp::from_micros(1_700_000_000_000_000));
    let began = MessageIdentity::new_from_user("Ann");
    let again = MessageIdentity::new_from_user("Ann");
    let mut drawn = Vec::new();
    for is_renamed in [false, true] {
        let store = MemoryEventStore::new();
        let before = Repository::<counter::Counter>::builder(store.clone())
            .clock(now())
            .build();
        let draw = counter::CounterCommand::Draw;
        before
            .execute(&id.into(), draw.clone(), &began)
            .await
            .unwrap();
        if is_renamed {
            let after = Repository::<desk::Counter>::builder(store)
                .clock(now())
                .build();
            let draw = desk::CounterCommand::Draw;
            after.execute(&id.into(), draw, &again).await.unwrap();
            drawn.push(after.load(&id.into()).await.unwrap().drawn.clone());
        } else {
            before.execute(&id.into(), draw, &again).await.unwrap();
            drawn.push(before.load(&id.into()).await.unwrap().drawn.clone());
        }
    }
    assert_eq!(drawn[0].len(), 2);
    assert_eq!(drawn[0], drawn[1]);
}
