//! A snapshot is used only if it is what the events fold into.

use cim_es::prelude::*;

/// One aggregate as two releases have it; `$part` is what they have apart.
macro_rules! release {
    ($name:ident { $($part:item)* }) => {
        mod $name {
            #![allow(dead_code)]
            use cim_es::prelude::*;

            $($part)*

            #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub enum CrateState {
                #[state(initial)]
                #[on(Put / Placed => _)]
                Open,
            }

            #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub enum CrateEvent {
                #[apply(parts.push(part))]
                Placed { part: Part },
            }

            #[derive(Command, Clone, Debug)]
            pub enum CrateCommand {
                Put { part: Part },
            }

            #[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            #[aggregate(domain = "snapshots", name = "crate")]
            pub struct Crate {
                state: CrateState,
                pub parts: Vec<Part>,
            }

            impl Decide for Crate {
                fn decide(&self, command: CrateCommand, _: &Context) -> Decision<Self> {
                    let CrateCommand::Put { part } = command;
                    emit(CrateEvent::Placed { part })
                }
            }

            pub fn crates(store: &MemoryEventStore) -> Repository<Crate> {
                Repository::builder(store.clone()).snapshot_threshold(2).build()
            }
        }
    };
}

release!(first {
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Part {
        pub name: String,
    }
});

release!(second {
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Part {
        pub name: String,
        #[serde(default, skip_serializing_if = "is_zero")]
        pub count: u32,
    }

    fn is_zero(count: &u32) -> bool {
        *count == 0
    }
});

release!(flat_first {
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Part {
        #[serde(flatten)]
        pub more: More,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct More {
        pub name: String,
    }
});

release!(flat_second {
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Part {
        #[serde(flatten)]
        pub more: More,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct More {
        pub name: String,
        #[serde(default)]
        pub count: u32,
    }
});

fn someone() -> MessageIdentity {
    MessageIdentity::new_from_user("test")
}

#[tokio::test]
async fn a_nested_type_that_gains_a_field_does_not_lose_its_values_to_an_older_snapshot() {
    let store = MemoryEventStore::new();
    let new = Id::new();
    for count in 1..=3 {
        let part = second::Part {
            name: "bolt".to_owned(),
            count,
        };
        let put = second::CrateCommand::Put { part };
        second::crates(&store)
            .execute(&new, put, &someone())
            .await
            .unwrap();
    }
    // The older release goes on with the same history, and keeps it in a snapshot without the counts.
    let same: Id<first::Crate> = Id::from_uuid(new.as_uuid());
    for name in ["nut", "nail"] {
        let part = first::Part {
            name: name.to_owned(),
        };
        let put = first::CrateCommand::Put { part };
        first::crates(&store)
            .execute(&same, put, &someone())
            .await
            .unwrap();
    }
    let loaded = second::crates(&store).load(&new).await.unwrap();
    let counts: Vec<_> = loaded.parts.iter().map(|part| part.count).collect();
    assert_eq!(counts, [1, 2, 3, 0, 0]);
}

#[tokio::test]
async fn a_field_that_no_declaration_shows_is_noticed_when_the_snapshot_is_written_again() {
    let store = MemoryEventStore::new();
    let new = Id::new();
    for count in 1..=3 {
        let more = flat_second::More {
            name: "bolt".to_owned(),
            count,
        };
        let put = flat_second::CrateCommand::Put {
            part: flat_second::Part { more },
        };
        flat_second::crates(&store)
            .execute(&new, put, &someone())
            .await
            .unwrap();
    }
    let same: Id<flat_first::Crate> = Id::from_uuid(new.as_uuid());
    for name in ["nut", "nail"] {
        let more = flat_first::More {
            name: name.to_owned(),
        };
        let put = flat_first::CrateCommand::Put {
            part: flat_first::Part { more },
        };
        flat_first::crates(&store)
            .execute(&same, put, &someone())
            .await
            .unwrap();
    }
    let loaded = flat_second::crates(&store).load(&new).await.unwrap();
    let counts: Vec<_> = loaded.parts.iter().map(|part| part.more.count).collect();
    assert_eq!(counts, [1, 2, 3, 0, 0]);
}

mod swallowed {
    use cim_es::prelude::*;

    /// The first variant reads what the second one wrote.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    pub enum Seat {
        Any {},
        Fixed { row: u32 },
    }

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum HallState {
        #[state(initial)]
        #[on(Take / Taken => _)]
        Open,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum HallEvent {
        #[apply(seats.push(Seat::Fixed { row }))]
        Taken { row: u32 },
    }

    #[derive(Command, Clone, Debug)]
    pub enum HallCommand {
        Take { row: u32 },
    }

    #[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[aggregate(domain = "snapshots", name = "hall")]
    pub struct Hall {
        state: HallState,
        pub seats: Vec<Seat>,
    }

    impl Decide for Hall {
        fn decide(&self, command: HallCommand, _: &Context) -> Decision<Self> {
            let HallCommand::Take { row } = command;
            emit(HallEvent::Taken { row })
        }
    }
}

#[tokio::test]
async fn an_aggregate_that_would_read_back_as_another_is_not_kept() {
    use swallowed::{Hall, HallCommand, Seat};
    let store = MemoryEventStore::new();
    let halls = || {
        let builder = Repository::<Hall>::builder(store.clone());
        builder.snapshot_threshold(2).build()
    };
    let id = Id::new();
    for row in 1..=5 {
        halls()
            .execute(&id, HallCommand::Take { row }, &someone())
            .await
            .unwrap();
    }
    let loaded = halls().load(&id).await.unwrap();
    let rows: Vec<_> = (1..=5).map(|row| Seat::Fixed { row }).collect();
    assert_eq!(loaded.seats, rows);
}

mod alike {
    #![allow(unreachable_patterns)]
    use cim_es::prelude::*;

    /// Two states that serde writes alike.
    #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    pub enum GateState {
        #[state(initial)]
        #[on(Lift / Lifted => Up)]
        Down,
        #[on(Lower / Lowered => Down)]
        #[serde(rename = "Down")]
        Up,
    }

    #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
    pub enum GateEvent {
        Lifted,
        Lowered,
    }

    #[derive(Command, Clone, Debug)]
    pub enum GateCommand {
        Lift,
        Lower,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "snapshots", name = "gate")]
    pub struct Gate {
        state: GateState,
    }

    impl Decide for Gate {
        fn decide(&self, command: GateCommand, _: &Context) -> Decision<Self> {
            match command {
                GateCommand::Lift => emit(GateEvent::Lifted),
                GateCommand::Lower => emit(GateEvent::Lowered),
            }
        }
    }
}

#[tokio::test]
async fn a_snapshot_never_moves_an_aggregate_to_another_state() {
    let store = MemoryEventStore::new();
    let gates = || Repository::<alike::Gate>::builder(store.clone()).snapshot_threshold(1);
    let gate = Id::new();
    let lift = alike::GateCommand::Lift;
    let lifted = gates().build().execute(&gate, lift, &someone()).await;
    lifted.expect("a gate that is down is lifted");
    let loaded = gates().build().load(&gate).await.expect("it loads");
    assert_eq!(loaded.state().name(), "Up");
    let lower = alike::GateCommand::Lower;
    let lowered = gates().build().execute(&gate, lower, &someone()).await;
    lowered.expect("a gate that is up is lowered");
}
