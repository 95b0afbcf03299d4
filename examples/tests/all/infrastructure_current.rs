//! The view of what there is at the moment: counted, followed, and asked for neighbours and paths, on every engine.

use std::collections::BTreeSet;
use std::time::Duration;

use cim_es::prelude::*;
use cim_es::projection::ProjectionManager;
use cim_es::store::{EventStore, EventStoreExt, Position, TryStreamExt};
use cim_es_examples::infrastructure::compute::ComputeCommand;
use cim_es_examples::infrastructure::connection::{ConnectionCommand, Medium};
use cim_es_examples::infrastructure::current::{CurrentTopology, GetTopology, Stage};
use cim_es_examples::infrastructure::network::NetworkCommand;
use cim_es_examples::infrastructure::software::SoftwareCommand;
use cim_es_examples::infrastructure::values::{Interface, InterfaceRef};
use cim_es_examples::infrastructure::{Compute, Connection, Network, Software};

const LIMIT: Duration = Duration::from_secs(30);

fn value<T: TryFrom<String, Error: std::fmt::Debug>>(text: &str) -> T {
    text.to_owned().try_into().expect("a value")
}

/// Executes commands on one aggregate, one after the other, and gives its id.
async fn after<A, const N: usize>(
    store: &(impl EventStore + Clone),
    id: Id<A>,
    commands: [A::Command; N],
) -> Id<A>
where
    A: Aggregate<Id = Id<A>> + Decide,
    A::Command: Clone,
{
    let aggregates = Repository::<A>::new(store.clone());
    for command in commands {
        let identity = MessageIdentity::new_from_user("test");
        let done = aggregates.execute(&id, command, &identity).await;
        done.unwrap_or_else(|error| panic!("{error}"));
    }
    id
}

async fn machine(store: &(impl EventStore + Clone), number: u8) -> Id<Compute> {
    let interface = Interface {
        name: value("eth0"),
        mac: value(&format!("02:fc:00:00:00:{number:02x}")),
    };
    let register = ComputeCommand::Register {
        hostname: value(&format!("server{number}")),
        system: value("x86_64-linux"),
    };
    let add = ComputeCommand::AddInterface { interface };
    after(store, Id::new(), [register, add, ComputeCommand::Activate]).await
}

fn port(compute: Id<Compute>) -> InterfaceRef {
    InterfaceRef {
        compute,
        name: value("eth0"),
    }
}

fn attach(compute: Id<Compute>, host: u8) -> NetworkCommand {
    NetworkCommand::Attach {
        interface: port(compute),
        address: value(&format!("10.1.0.{host}")),
    }
}

async fn it_shows_what_there_is(store: impl EventStore + Clone) {
    let projections = ProjectionManager::new(store.clone());
    let view = projections
        .in_memory::<CurrentTopology>()
        .await
        .expect("it opens");
    let level = async || {
        let last = store.last_position().await.expect("it reads");
        view.wait_for(last, LIMIT).await.expect("it is level");
        view.get_topology().await.expect("it runs").value
    };

    // Two machines on a network, a third one behind a cable, a fourth one by itself.
    let [one, two, three, four] = [
        machine(&store, 1).await,
        machine(&store, 2).await,
        machine(&store, 3).await,
        machine(&store, 4).await,
    ];
    let define = NetworkCommand::Define {
        name: value("lan"),
        scope: value("site-1"),
        blocks: vec![value("10.1.0.0/16")],
        vlan: None,
    };
    let lan =
        after::<Network, _>(&store, Id::new(), [define, attach(one, 1), attach(two, 2)]).await;
    let cable = ConnectionCommand::Connect {
        one: port(two),
        other: port(three),
        medium: Medium::Physical,
    };
    let cable = after::<Connection, _>(&store, Id::new(), [cable]).await;
    let configure = SoftwareCommand::Configure {
        compute: one,
        name: value("nginx"),
        version: value("1.9"),
        dependencies: Vec::new(),
    };
    let nginx = after::<Software, _>(&store, Id::new(), [configure, SoftwareCommand::Deploy]).await;

    let topology = level().await;
    assert_eq!(topology.active_compute_resources().len(), 4);
    assert_eq!(topology.inactive_compute_resources().len(), 0);
    assert_eq!(topology.active_networks().len(), 1);
    assert_eq!(topology.active_connections().len(), 1);
    assert_eq!(topology.resources_on(&lan), BTreeSet::from([one, two]));
    assert_eq!(topology.neighbours(&two), BTreeSet::from([one, three]));
    assert_eq!(topology.neighbours(&four), BTreeSet::new());
    let path = [one.into(), Stage::Network(lan), two.into(), three.into()];
    assert_eq!(topology.path(&one, &three).as_deref(), Some(&path[..]));
    assert_eq!(
        topology.path(&one, &one).as_deref(),
        Some(&[one.into()][..])
    );
    assert_eq!(topology.path(&one, &four), None);
    assert_eq!(topology.path(&Id::new(), &four), None);
    let programs = topology.software_on(&one);
    assert_eq!((programs.len(), programs[0].is_deployed), (1, true));

    // It follows: the cable goes, a machine is maintained, another one is decommissioned, the program retired.
    after(
        &store,
        cable,
        [ConnectionCommand::Sever {
            reason: value("moved"),
        }],
    )
    .await;
    after(
        &store,
        two,
        [ComputeCommand::BeginMaintenance {
            reason: value("a disk"),
        }],
    )
    .await;
    after(
        &store,
        four,
        [ComputeCommand::Decommission {
            reason: value("old"),
        }],
    )
    .await;
    after(
        &store,
        nginx,
        [SoftwareCommand::Retire {
            reason: value("unused"),
        }],
    )
    .await;
    let topology = level().await;
    assert_eq!(topology.active_compute_resources().len(), 2);
    assert_eq!(
        topology
            .inactive_compute_resources()
            .keys()
            .collect::<Vec<_>>(),
        [&two]
    );
    assert_eq!(topology.active_connections().len(), 0);
    assert_eq!(topology.path(&one, &three), None);
    assert_eq!(topology.software_on(&one).len(), 0);

    // Built again from the start, it is the same.
    view.rebuild().await.expect("it runs");
    let again = level().await;
    assert_eq!(format!("{again:?}"), format!("{topology:?}"));
    projections.stop().await;

    // And of the events alone, without the store.
    let events: Vec<_> = store
        .read_all(Position::START)
        .try_collect()
        .await
        .expect("it reads");
    let given = ProjectionManager::rebuild::<CurrentTopology>(&events).await;
    let given = given.expect("it takes each").value;
    assert_eq!(format!("{given:?}"), format!("{topology:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topology_in_memory_shows_what_there_is() {
    it_shows_what_there_is(MemoryEventStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topology_of_a_file_shows_what_there_is() {
    let (_directory, store) = crate::engines::file();
    it_shows_what_there_is(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topology_of_a_server_shows_what_there_is() {
    let (_server, stores) =
        crate::engines::server("INFRASTRUCTURE_EVENTS", "infrastructure.>").await;
    it_shows_what_there_is(stores).await;
}
