//! The infrastructure domain on every engine: what one aggregate holds, no other gets, however they race.

use cim_es::prelude::*;
use cim_es::repository::ExecuteError;
use cim_es::store::EventStore;
use cim_es_examples::infrastructure::compute::ComputeCommand::*;
use cim_es_examples::infrastructure::values::{Interface, Reason};
use cim_es_examples::infrastructure::{Compute, ComputeCommand, ComputeError};
use tokio::task::JoinSet;

fn register(hostname: &str) -> ComputeCommand {
    Register {
        hostname: hostname.parse().expect("a name"),
        system: "x86_64-linux".parse().expect("a system"),
    }
}

async fn execute(
    computes: &Repository<Compute>,
    id: &Id<Compute>,
    command: ComputeCommand,
) -> Result<u64, ExecuteError<ComputeError>> {
    let identity = MessageIdentity::new_from_user("test");
    let commit = computes.execute(id, command, &identity).await?;
    Ok(commit.version())
}

/// Machines that race for one name, each through a repository of its own: one gets it, and when that one is
/// decommissioned another may.
async fn names_are_unique(store: impl EventStore + Clone) {
    let mut racing = JoinSet::new();
    for number in 0..8 {
        let computes = Repository::<Compute>::new(store.clone());
        racing.spawn(async move {
            let id = Id::new();
            let name = if number % 2 == 0 {
                "server01"
            } else {
                "SERVER01"
            };
            (id, execute(&computes, &id, register(name)).await)
        });
    }
    let (mut winners, mut losers) = (Vec::new(), Vec::new());
    while let Some(raced) = racing.join_next().await {
        match raced.expect("it ends") {
            (id, Ok(version)) => winners.push((id, version)),
            (id, Err(ExecuteError::NameTaken { name, holder })) => {
                assert_eq!((name.scope(), name.name()), ("hostname", "server01"));
                losers.push((id, holder.id));
            }
            (_, Err(error)) => panic!("{error}"),
        }
    }
    let [(winner, 1)] = winners[..] else {
        panic!("{winners:?}");
    };
    assert_eq!(losers.len(), 7);
    assert!(
        losers
            .iter()
            .all(|(_, holder)| *holder == winner.to_string())
    );

    let computes = Repository::<Compute>::new(store);
    let reason: Reason = "replaced".parse().expect("a reason");
    execute(&computes, &winner, Decommission { reason })
        .await
        .expect("it is free");
    let (other, _) = losers[0];
    execute(&computes, &other, register("server01"))
        .await
        .expect("the name is free");

    let interface = || Interface {
        name: "eth0".parse().expect("a name"),
        mac: "02:fc:00:00:00:01".parse().expect("an address"),
    };
    let (one, two) = (Id::new(), losers[1].0);
    execute(&computes, &one, register("server02"))
        .await
        .expect("another name");
    execute(&computes, &two, register("server03"))
        .await
        .expect("another name");
    let add = || AddInterface {
        interface: interface(),
    };
    execute(&computes, &one, add())
        .await
        .expect("a new address");
    let refused = execute(&computes, &two, add())
        .await
        .expect_err("a known address");
    assert_eq!(
        refused.to_string(),
        format!(
            "mac `02:fc:00:00:00:01` is held by infrastructure.compute {one}: choose another, or have it released first"
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_unique_in_memory() {
    names_are_unique(MemoryEventStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_unique_in_a_file() {
    let (_directory, store) = crate::engines::file();
    names_are_unique(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_unique_on_a_server() {
    let (_server, stores) =
        crate::engines::server("INFRASTRUCTURE_EVENTS", "infrastructure.>").await;
    names_are_unique(stores).await;
}
