//! What unique names promise on a store: one holder at a time, whoever races for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Provider;
use super::sample::{commit, everything};
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::domain::aggregate::{
    Aggregate, Command, Decide, Decision, Id, UniqueName, emit, emit_all, nothing,
};
use crate::domain::event::DomainEvent;
use crate::domain::machine::StateMachine;
use crate::domain::message::{Context, MessageIdentity};
use crate::repository::{Commit, ExecuteError, Repository};
use crate::store::{AggregateKey, EventStore, ExpectedVersion, NewEvent};

use BadgeCommand::{Annotate, Issue, Renumber, Replace, Return};

#[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
enum BadgeState {
    #[state(initial)]
    #[on(Issue / Issued => Issued)]
    #[on(/ Issued => Issued)]
    InStock,
    #[on(Annotate / Annotated => _)]
    #[on(Renumber / Renumbered => _)]
    #[on(Replace / Returned => InStock)]
    #[on(Return / Returned => InStock)]
    Issued,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum BadgeEvent {
    Issued {
        number: u64,
    },
    Renumbered {
        number: u64,
    },
    Annotated {
        note: String,
    },
    #[apply(number = None)]
    Returned,
}

#[derive(Command, Clone, Debug)]
enum BadgeCommand {
    Issue {
        number: u64,
    },
    Renumber {
        number: u64,
    },
    Annotate {
        note: String,
    },
    /// Two events of one command, between which the number is nobody's.
    Replace {
        number: u64,
    },
    Return,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "contract", name = "badge", unique = Badge::unique_names)]
struct Badge {
    state: BadgeState,
    number: Option<u64>,
    note: String,
}

impl Badge {
    /// The number, named twice, which counts as once.
    fn unique_names(&self) -> impl IntoIterator<Item = UniqueName> + use<> {
        let number = self.number.map(name);
        number.clone().into_iter().chain(number)
    }
}

impl Decide for Badge {
    fn decide(&self, command: BadgeCommand, _: &Context) -> Decision<Self> {
        match command {
            Issue { number } => emit(BadgeEvent::Issued { number }),
            Renumber { number } if self.number == Some(number) => nothing(),
            Renumber { number } => emit(BadgeEvent::Renumbered { number }),
            Annotate { note } => emit(BadgeEvent::Annotated { note }),
            Replace { number } => emit_all([BadgeEvent::Returned, BadgeEvent::Issued { number }]),
            Return => emit(BadgeEvent::Returned),
        }
    }
}

type Outcome = Result<Commit, ExecuteError<crate::domain::aggregate::NoErrorInAggregateAttribute>>;

fn name(number: u64) -> UniqueName {
    UniqueName::new("badge_number", format!("No. {number} *"))
}

async fn execute(badges: &Repository<Badge>, id: &Id<Badge>, command: BadgeCommand) -> Outcome {
    let identity = MessageIdentity::new_from_user("contract");
    badges.execute(id, command, &identity).await
}

async fn holder(badges: &Repository<Badge>, number: u64) -> Option<String> {
    let holder = badges.holder(&name(number)).await.unwrap();
    holder.map(|holder| holder.id)
}

/// The types of all events in the store, without the domain.
async fn types(store: &impl EventStore) -> Vec<String> {
    let short = |event: &StoredEvent| event.event_type().replace("contract.", "");
    everything(store).await.iter().map(short).collect()
}

/// A name is refused while another aggregate holds it, with who does; it is free again once it is released.
pub async fn a_unique_name_has_one_holder(provider: impl Provider) {
    let store = provider.open().await;
    let badges = Repository::<Badge>::new(store.clone());
    let (one, two) = (Id::new(), Id::new());
    let issued = execute(&badges, &one, Issue { number: 7 }).await.unwrap();
    assert_eq!((issued.events().len(), issued.version()), (1, 1));
    assert_eq!(holder(&badges, 7).await, Some(one.to_string()));

    let refused = execute(&badges, &two, Issue { number: 7 }).await;
    match refused {
        Err(ExecuteError::NameTaken {
            name: taken,
            holder,
        }) => {
            assert_eq!(taken, name(7));
            assert_eq!(holder.kind, "contract.badge");
            assert_eq!(holder.id, one.to_string());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(badges.load(&two).await.unwrap().version(), 0);

    execute(&badges, &one, Return).await.unwrap();
    assert_eq!(holder(&badges, 7).await, None);
    execute(&badges, &two, Issue { number: 7 }).await.unwrap();
    assert_eq!(holder(&badges, 7).await, Some(two.to_string()));
    assert_eq!(
        types(&store).await,
        [
            "badge.issued",
            "badge_number.reserved",
            "badge.returned",
            "badge_number.released",
            "badge.issued",
            "badge_number.reserved",
        ]
    );
}

/// What a command changes about its names is in the commit of its events; what it leaves alone is not mentioned.
pub async fn a_commit_carries_what_it_changes_about_names(provider: impl Provider) {
    let store = provider.open().await;
    let badges = Repository::<Badge>::new(store.clone());
    let id = Id::new();
    let identity = MessageIdentity::new_from_user("contract");
    for _ in 0..2 {
        let issue = Issue { number: 1 };
        let commit = badges.execute(&id, issue, &identity).await.unwrap();
        assert_eq!(commit.events().len(), 1);
    }
    let note = "left handed".to_owned();
    execute(&badges, &id, Annotate { note }).await.unwrap();
    execute(&badges, &id, Renumber { number: 1 }).await.unwrap();
    // Between its two events the number is nobody's; what counts is before and after them.
    execute(&badges, &id, Replace { number: 1 }).await.unwrap();
    execute(&badges, &id, Renumber { number: 2 }).await.unwrap();
    assert_eq!(holder(&badges, 1).await, None);
    assert_eq!(holder(&badges, 2).await, Some(id.to_string()));
    assert_eq!(
        types(&store).await,
        [
            "badge.issued",
            "badge_number.reserved",
            "badge.annotated",
            "badge.returned",
            "badge.issued",
            "badge.renumbered",
            "badge_number.released",
            "badge_number.reserved",
        ]
    );
    let events = everything(&store).await;
    let renumbered = &events[5..];
    let causes: BTreeSet<_> = renumbered
        .iter()
        .map(|it| it.envelope.causation_id)
        .collect();
    assert_eq!(causes.len(), 1, "one command");
    // Of several commands too, only what they change together counts.
    let identity = MessageIdentity::new_from_user("contract");
    let commands = [3, 4].map(|number| Renumber { number });
    let commit = badges.execute_all(&id, commands, &identity).await.unwrap();
    assert_eq!(commit.events().len(), 2);
    assert_eq!(holder(&badges, 3).await, None);
    assert_eq!(holder(&badges, 4).await, Some(id.to_string()));
    let again = Repository::<Badge>::new(store.clone());
    assert_eq!(again.load(&id).await.unwrap().number, Some(4));
}

/// A name that was released elsewhere is free for an aggregate that is still warm with the old times, and the other way
/// round.
pub async fn what_is_known_of_names_is_what_the_store_says(provider: impl Provider) {
    let here = Repository::<Badge>::new(provider.open().await);
    let there = Repository::<Badge>::new(provider.open().await);
    let (one, two) = (Id::new(), Id::new());
    execute(&here, &one, Issue { number: 1 }).await.unwrap();
    execute(&here, &two, Issue { number: 2 }).await.unwrap();
    // Here `one` still seems to hold 1, and `two` still seems to have to give up 2 first.
    execute(&there, &one, Renumber { number: 3 }).await.unwrap();
    execute(&there, &two, Return).await.unwrap();
    let refused = execute(&here, &two, Renumber { number: 3 }).await;
    let is_not_accepted = matches!(
        refused,
        Err(ExecuteError::NotAccepted {
            state: "InStock",
            ..
        })
    );
    assert!(is_not_accepted, "{refused:?}");
    execute(&here, &two, Issue { number: 1 }).await.unwrap();
    assert_eq!(holder(&there, 1).await, Some(two.to_string()));
    assert_eq!(holder(&there, 2).await, None);
    assert_eq!(holder(&there, 3).await, Some(one.to_string()));
}

/// A name that an aggregate has from before names were reserved is not its own to release: whoever reserved it since keeps
/// it.
pub async fn a_name_that_another_has_reserved_is_not_released(provider: impl Provider) {
    let store = provider.open().await;
    let badges = Repository::<Badge>::new(store.clone());
    let (old, new) = (Id::new(), Id::new());
    let issued = NewEvent::of(&BadgeEvent::Issued { number: 7 }).unwrap();
    let key = AggregateKey::of::<Badge>(&old).unwrap();
    let history = commit().aggregate(key, ExpectedVersion::NoStream, vec![issued]);
    store.append(history).await.unwrap();

    execute(&badges, &new, Issue { number: 7 }).await.unwrap();
    execute(&badges, &old, Return).await.unwrap();
    assert_eq!(holder(&badges, 7).await, Some(new.to_string()));
}

/// A scope that cannot stand in a subject, or that stands in those of the aggregate itself, is refused by name.
pub async fn a_scope_that_is_no_token_is_refused(provider: impl Provider) {
    let badges = Repository::<Badge>::new(provider.open().await);
    for scope in ["badge number", "badge"] {
        let asked = badges.holder(&UniqueName::new(scope, 1)).await;
        assert!(
            asked.is_err_and(|error| ErrorChain(&error).to_string().contains(scope)),
            "{scope}"
        );
    }
}

/// Writers that race for few names: at any moment of the history each name has one holder at most, and in the end it is
/// the aggregate that has the name.
pub async fn racing_writers_never_share_a_name(provider: impl Provider) {
    const NAMES: u64 = 3;
    let ids: Vec<Id<Badge>> = (0..5).map(|_| Id::new()).collect();
    let mut writers = JoinSet::new();
    for writer in 0..4_u64 {
        let store = provider.open().await;
        let ids = ids.clone();
        let badges = Repository::<Badge>::builder(store)
            .conflict_retries(50)
            .build();
        writers.spawn(async move {
            let mut taken = 0;
            for round in 0..12_u64 {
                let place = (writer * 3 + round * 7) as usize % ids.len();
                let number = (writer + round) % NAMES;
                let command = match (writer + round / 3) % 4 {
                    0 => Return,
                    1 => Renumber { number },
                    _ => Issue { number },
                };
                match execute(&badges, &ids[place], command).await {
                    Ok(_) | Err(ExecuteError::NotAccepted { .. }) => {}
                    Err(ExecuteError::NameTaken { .. }) => taken += 1,
                    Err(error) => panic!("{}", ErrorChain(&error)),
                }
            }
            taken
        });
    }
    let mut taken = 0;
    while let Some(writer) = writers.join_next().await {
        taken += writer.unwrap();
    }
    assert!(taken > 0, "nobody was refused: the test raced for nothing");

    let store = provider.open().await;
    let badges = Repository::<Badge>::new(store.clone());
    let mut held: BTreeMap<String, String> = BTreeMap::new();
    for event in everything(&store).await {
        let Some(operation) = event.event_type().strip_prefix("contract.badge_number.") else {
            continue;
        };
        let payload: BTreeMap<String, String> =
            serde_ipld_dagcbor::from_slice(event.payload()).unwrap();
        let (name, holder) = (payload["name"].clone(), payload["holder_id"].clone());
        match operation {
            "reserved" => assert_eq!(held.insert(name, holder), None, "reserved while held"),
            "released" => assert_eq!(held.remove(&name), Some(holder), "released by another"),
            other => panic!("{other}"),
        }
    }
    let mut having = BTreeMap::new();
    for id in &ids {
        if let Some(number) = badges.load(id).await.unwrap().number {
            let before = having.insert(name(number).name().to_owned(), id.to_string());
            assert_eq!(before, None, "two badges with number {number}");
        }
    }
    assert_eq!(held, having);
}

/// Of several writers that claim one free name at the same moment, each for an aggregate of its own, one gets it, and the
/// others are told who did.
pub async fn of_writers_that_claim_one_name_one_wins(provider: impl Provider) {
    const ROUNDS: u64 = 30;
    const WRITERS: usize = 4;
    let handles = [provider.open().await, provider.open().await];
    let badges = (0..WRITERS).map(|writer| Repository::<Badge>::new(handles[writer % 2].clone()));
    let badges: Vec<_> = badges.collect();
    for number in 0..ROUNDS {
        let start = Arc::new(Barrier::new(WRITERS));
        let mut writers = JoinSet::new();
        for writer in &badges {
            let (badges, start) = (writer.clone(), Arc::clone(&start));
            writers.spawn(async move {
                let id = Id::new();
                start.wait().await;
                (id, execute(&badges, &id, Issue { number }).await)
            });
        }
        let (mut won, mut told) = (Vec::new(), Vec::new());
        while let Some(writer) = writers.join_next().await {
            match writer.expect("a writer ends without a panic") {
                (id, Ok(_)) => won.push(id.to_string()),
                (_, Err(ExecuteError::NameTaken { holder, .. })) => told.push(holder.id),
                (_, Err(error)) => panic!("{}", ErrorChain(&error)),
            }
        }
        assert_eq!(won.len(), 1, "number {number} has several holders");
        assert!(told.iter().all(|holder| *holder == won[0]), "{told:?}");
        assert_eq!(holder(&badges[0], number).await.as_ref(), won.first());
    }
}
