//! Unique names whose scope is the name of another aggregate of the domain.

use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError, ScopeError};
use cim_es::store::{EventStoreExt, Position, StreamExt};

/// An aggregate that has events of the types which unique names have too.
mod seat {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum SeatState {
        #[state(initial)]
        #[on(Reserve / Reserved => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum SeatEvent {
        Reserved {
            name: String,
            holder_id: String,
            holder_kind: String,
        },
    }

    #[derive(Command, Clone, Debug)]
    pub enum SeatCommand {
        Reserve,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "theatre", name = "seat")]
    pub struct Seat {
        state: SeatState,
        pub name: String,
        holder_id: String,
        holder_kind: String,
    }

    impl Decide for Seat {
        fn decide(&self, SeatCommand::Reserve: SeatCommand, _: &Context) -> Decision<Self> {
            emit(SeatEvent::Reserved {
                name: "Ann".into(),
                holder_id: "17".into(),
                holder_kind: "theatre.guest".into(),
            })
        }
    }
}

/// An aggregate whose names have `seat` for a scope.
mod guest {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum GuestState {
        #[state(initial)]
        #[on(Arrive / Arrived => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum GuestEvent {
        Arrived { number: u32 },
    }

    #[derive(Command, Clone, Debug)]
    pub enum GuestCommand {
        Arrive { number: u32 },
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "theatre", name = "guest", unique = Guest::unique_names)]
    pub struct Guest {
        state: GuestState,
        pub number: Option<u32>,
    }

    impl Guest {
        fn unique_names(&self) -> Vec<UniqueName> {
            let numbers = self.number.iter();
            numbers
                .map(|number| UniqueName::new("seat", number))
                .collect()
        }
    }

    impl Decide for Guest {
        fn decide(&self, command: GuestCommand, _: &Context) -> Decision<Self> {
            let GuestCommand::Arrive { number } = command;
            emit(GuestEvent::Arrived { number })
        }
    }
}

/// An aggregate that says which scopes its names have.
mod usher {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum UsherState {
        #[state(initial)]
        #[on(Hire / Hired => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum UsherEvent {
        Hired { badge: u32, locker: u32 },
    }

    #[derive(Command, Clone, Debug)]
    pub enum UsherCommand {
        Hire { badge: u32, locker: u32 },
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "theatre", name = "usher", unique = Usher::names, scope = "badge")]
    pub struct Usher {
        state: UsherState,
        badge: u32,
        locker: u32,
    }

    impl Usher {
        fn names(&self) -> Vec<UniqueName> {
            let locker = (self.locker > 0).then(|| UniqueName::new("locker", self.locker));
            let badge = (self.badge > 0).then(|| UniqueName::new("badge", self.badge));
            badge.into_iter().chain(locker).collect()
        }
    }

    impl Decide for Usher {
        fn decide(&self, command: UsherCommand, _: &Context) -> Decision<Self> {
            let UsherCommand::Hire { badge, locker } = command;
            emit(UsherEvent::Hired { badge, locker })
        }
    }
}

use guest::{Guest, GuestCommand, GuestEvent};
use seat::{Seat, SeatCommand, SeatEvent};

domain!(THEATRE = [SeatEvent, GuestEvent]);
domain!(STAFF = [usher::UsherEvent]);

fn desk() -> MessageIdentity {
    MessageIdentity::new_from_user("desk")
}

fn arrive(number: u32) -> GuestCommand {
    GuestCommand::Arrive { number }
}

fn scope_error<T, E: std::error::Error>(outcome: Result<T, ExecuteError<E>>) -> ScopeError {
    match outcome {
        Err(ExecuteError::NameScope { source, .. }) => source,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("the scope is accepted"),
    }
}

#[tokio::test]
async fn a_scope_that_is_another_aggregate_of_the_declared_domain_is_refused() {
    let store = MemoryEventStore::new();
    let guests = Repository::<Guest>::builder(store.clone())
        .domain(THEATRE)
        .build();
    for _ in 0..2 {
        let refused = guests.execute(&Id::new(), arrive(7), &desk()).await;
        assert_eq!(
            scope_error(refused),
            ScopeError::OtherAggregate {
                names_of: "theatre.guest",
                kind: "theatre.seat".into()
            }
        );
    }
    let seat = UniqueName::new("seat", 7);
    let asked = guests.holder(&seat).await.unwrap_err();
    assert!(matches!(asked, LoadError::NameScope(_)), "{asked}");
    assert!(guests.holder(&UniqueName::new("ticket", 7)).await.is_ok());
    assert_eq!(store.read_all(Position::START).count().await, 0);
}

#[tokio::test]
async fn a_scope_that_the_aggregate_does_not_declare_is_refused() {
    let store = MemoryEventStore::new();
    let ushers = Repository::<usher::Usher>::builder(store.clone())
        .domain(STAFF)
        .build();
    let hire = |badge, locker| usher::UsherCommand::Hire { badge, locker };
    ushers
        .execute(&Id::new(), hire(1, 0), &desk())
        .await
        .unwrap();
    let refused = scope_error(ushers.execute(&Id::new(), hire(2, 3), &desk()).await);
    assert_eq!(
        refused.to_string(),
        "the scope is none of those that `theatre.usher` declares, `badge`: add `#[aggregate(scope = \"locker\")]`, or \
         correct the function that lists the names"
    );
    assert_eq!(STAFF.aggregates()[0].scopes, ["badge"]);
}

#[tokio::test]
async fn a_scope_whose_kind_has_events_of_an_aggregate_is_refused_without_being_told() {
    let store = MemoryEventStore::new();
    let seats = Repository::<Seat>::new(store.clone());
    let seat = Id::new();
    seats
        .execute(&seat, SeatCommand::Reserve, &desk())
        .await
        .unwrap();
    let guests = Repository::<Guest>::new(store.clone());
    let refused = scope_error(guests.execute(&Id::new(), arrive(7), &desk()).await);
    assert_eq!(
        refused.to_string(),
        format!(
            "its scope would make the names of `theatre.guest` aggregates of `theatre.seat`, of which the store has \
             another, `{seat}` with its event `theatre.seat.reserved`: take another word"
        )
    );
    assert_eq!(store.read_all(Position::START).count().await, 1);
}

#[tokio::test]
async fn names_under_the_kind_of_another_aggregate_hide_none_of_its_histories() {
    let store = MemoryEventStore::new();
    let guests = Repository::<Guest>::new(store.clone());
    let seats = Repository::<Seat>::new(store.clone());
    let (guest, seat) = (Id::new(), Id::new());
    guests.execute(&guest, arrive(7), &desk()).await.unwrap();
    seats
        .execute(&seat, SeatCommand::Reserve, &desk())
        .await
        .unwrap();
    // Releases one name and reserves another.
    guests.execute(&guest, arrive(8), &desk()).await.unwrap();

    let all = seats.load_all().await.unwrap();
    let found: Vec<_> = all
        .iter()
        .map(|(id, seat)| (*id, seat.name.as_str()))
        .collect();
    assert_eq!(found, [(seat, "Ann")]);
    let holder = guests.holder(&UniqueName::new("seat", 8)).await.unwrap();
    assert_eq!(holder.map(|it| it.id), Some(guest.to_string()));
    assert_eq!(
        guests.holder(&UniqueName::new("seat", 7)).await.unwrap(),
        None
    );
    assert_eq!(guests.load_all().await.unwrap().len(), 1);
}
