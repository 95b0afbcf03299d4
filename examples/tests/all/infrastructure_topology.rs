//! Topologies come into being as a whole, or are taken back, wherever the run that makes them ends.

use cim_es::block::StoredEvent;
use cim_es::prelude::*;
use cim_es::store::{EventStore, EventStoreExt, Position};
use cim_es_examples::infrastructure::connection::{ConnectionState, Medium};
use cim_es_examples::infrastructure::network::{NetworkCommand, NetworkState};
use cim_es_examples::infrastructure::provision::{ProvisionError, provision};
use cim_es_examples::infrastructure::topology::{
    PlannedConnection, PlannedNetwork, TopologyCommand, TopologyState,
};
use cim_es_examples::infrastructure::values::InterfaceRef;
use cim_es_examples::infrastructure::{Connection, Network, Topology};

fn network(number: u8) -> PlannedNetwork {
    PlannedNetwork {
        id: Id::new(),
        name: format!("net{number}").parse().expect("a label"),
        scope: "site-1".parse().expect("a label"),
        blocks: vec![format!("10.{number}.0.0/16").parse().expect("a block")],
        vlan: Some(u16::from(number).try_into().expect("a VLAN")),
    }
}

fn connection() -> PlannedConnection {
    let port = |name: &str| InterfaceRef {
        compute: Id::new(),
        name: name.parse().expect("a device"),
    };
    PlannedConnection {
        id: Id::new(),
        one: port("eth0"),
        other: port("eth1"),
        medium: Medium::Physical,
    }
}

async fn plan(
    store: &(impl EventStore + Clone),
    networks: Vec<PlannedNetwork>,
    connections: Vec<PlannedConnection>,
) -> (Id<Topology>, MessageIdentity) {
    let (id, identity) = (Id::new(), MessageIdentity::new_from_user("test"));
    let command = TopologyCommand::Plan {
        name: "branch".parse().expect("a label"),
        networks,
        connections,
    };
    let topologies = Repository::<Topology>::new(store.clone());
    topologies
        .execute(&id, command, &identity)
        .await
        .expect("it is planned");
    (id, identity)
}

async fn events(store: &impl EventStore) -> Vec<StoredEvent> {
    use futures_util::StreamExt;
    let events: Vec<_> = store.read_all(Position::START).collect().await;
    let events = events.into_iter().map(|event| event.expect("it reads"));
    // The reservations of names are not what is looked at here.
    events
        .filter(|event| !event.event_type().ends_with("reserved"))
        .filter(|event| !event.event_type().ends_with("released"))
        .collect()
}

fn operations(events: &[StoredEvent]) -> Vec<&str> {
    let short =
        |event: &'_ StoredEvent| -> usize { "infrastructure.".len().min(event.event_type().len()) };
    events
        .iter()
        .map(|event| &event.event_type()[short(event)..])
        .collect()
}

async fn state<A: Aggregate>(store: &(impl EventStore + Clone), id: &A::Id) -> A::State {
    let aggregates = Repository::<A>::new(store.clone());
    aggregates.load(id).await.expect("it loads").state()
}

#[tokio::test]
async fn all_parts_are_made_under_the_correlation_of_the_plan() {
    let store = MemoryEventStore::new();
    let (id, identity) = plan(&store, vec![network(1), network(2)], vec![connection()]).await;
    provision(store.clone(), &id).await.expect("it is made");
    let events = events(&store).await;
    assert_eq!(
        operations(&events),
        [
            "network.topology_planned",
            "network.defined",
            "network.defined",
            "connection.established",
            "network.topology_defined"
        ]
    );
    for event in &events {
        assert_eq!(event.envelope.correlation_id, identity.message_id());
    }
    provision(store.clone(), &id)
        .await
        .expect("it is there already");
    assert_eq!(self::events(&store).await, events);
}

#[tokio::test]
async fn a_part_that_is_refused_takes_back_the_others_in_reverse() {
    let store = MemoryEventStore::new();
    let taken = network(3);
    let (other, _) = plan(&store, vec![taken.clone()], vec![]).await;
    provision(store.clone(), &other).await.expect("it is made");
    let (first, second) = (network(1), network(2));
    let wanted = PlannedNetwork {
        id: Id::new(),
        ..taken.clone()
    };
    let parts = vec![first.clone(), second.clone(), wanted];
    let (id, _) = plan(&store, parts, vec![connection()]).await;
    let before = events(&store).await.len();
    let failed = provision(store.clone(), &id).await;
    let Err(ProvisionError::Abandoned(reason)) = failed else {
        panic!("{failed:?}");
    };
    assert!(
        reason.to_string().contains("10.3.0.0/16 in site-1"),
        "{reason}"
    );
    let events = events(&store).await;
    assert_eq!(
        operations(&events[before..]),
        [
            "network.defined",
            "network.defined",
            "network.topology_abandoned",
            "network.removed",
            "network.removed"
        ]
    );
    let removed = &events[before + 3].envelope.aggregate_id;
    assert_eq!(*removed, second.id.to_string(), "the last one first");
    assert_eq!(
        state::<Network>(&store, &taken.id).await,
        NetworkState::Defined
    );
}

#[tokio::test]
async fn a_run_that_ended_midway_is_done_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteEventStore::open(directory.path().join("a.db")).expect("it opens");
    // A run that ended after the abandonment, before anything was taken back.
    let (first, linked) = (network(1), connection());
    let (id, identity) = plan(&store, vec![first.clone()], vec![linked.clone()]).await;
    provision(store.clone(), &id).await.expect("it is made");
    let (again, _) = plan(&store, vec![network(2)], vec![]).await;
    let reason = || "stopped".parse().expect("a reason");
    let topologies = Repository::<Topology>::new(store.clone());
    let abandon = TopologyCommand::Abandon { reason: reason() };
    let cause = MessageIdentity::caused_by(&identity);
    topologies
        .execute(&again, abandon, &cause)
        .await
        .expect("it is abandoned");
    for _ in 0..2 {
        let failed = provision(store.clone(), &again).await;
        assert!(
            matches!(failed, Err(ProvisionError::Abandoned(_))),
            "{failed:?}"
        );
    }
    // Several runs at the same time.
    let (third, fourth) = (network(3), network(4));
    let (half, _) = plan(&store, vec![third.clone(), fourth.clone()], vec![]).await;
    let racing = [(); 3].map(|()| provision(store.clone(), &half));
    for outcome in futures_util::future::join_all(racing).await {
        outcome.expect("it is made, by whichever run");
    }
    for network in [&third.id, &fourth.id] {
        assert_eq!(
            state::<Network>(&store, network).await,
            NetworkState::Defined
        );
    }
    assert_eq!(
        state::<Topology>(&store, &half).await,
        TopologyState::Defined
    );
    assert_eq!(
        state::<Connection>(&store, &linked.id).await,
        ConnectionState::Established
    );
    let made = events(&store).await;
    let defined = operations(&made)
        .into_iter()
        .filter(|it| *it == "network.defined");
    assert_eq!(defined.count(), 3, "each once");
}

#[tokio::test]
async fn what_is_in_use_cannot_be_taken_back_and_says_so() {
    let store = MemoryEventStore::new();
    let (used, connection) = (network(1), connection());
    let (id, identity) = plan(&store, vec![used.clone()], vec![]).await;
    let networks = Repository::<Network>::new(store.clone());
    let child = || MessageIdentity::caused_by(&identity);
    let define = NetworkCommand::Define {
        name: used.name.clone(),
        scope: used.scope.clone(),
        blocks: used.blocks.clone(),
        vlan: used.vlan,
    };
    let attach = NetworkCommand::Attach {
        interface: connection.one.clone(),
        address: "10.1.0.7".parse().expect("an address"),
    };
    for command in [define, attach] {
        networks
            .execute(&used.id, command, &child())
            .await
            .expect("it is done");
    }
    // Another process made the part, under another identity: the plan's own command is refused.
    let failed = provision(store.clone(), &id).await;
    let Err(ProvisionError::NotTakenBack(reason)) = failed else {
        panic!("{failed:?}");
    };
    assert!(reason.contains("1 interfaces are attached"), "{reason}");
    let unknown = provision(store, &Id::new()).await;
    assert!(
        matches!(unknown, Err(ProvisionError::NotPlanned(_))),
        "{unknown:?}"
    );
}
