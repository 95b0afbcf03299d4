//! The promises of the runtime crate that need no server, in one program: it is linked once.
//! A file that is not named here is not run; a test of the workspace's `tests` says so.

mod account;
mod blocks_chain;
mod blocks_properties;
mod blocks_refusals;
mod blocks_sealing;
mod blocks_support;
mod blocks_vectors;
#[cfg(all(feature = "car", feature = "sqlite"))]
mod bundles;
mod causes;
#[cfg(feature = "testing")]
mod contract_memory;
#[cfg(all(feature = "dag", feature = "sqlite"))]
mod dag;
mod documents;
mod errors;
mod event_replays;
#[cfg(feature = "sqlite")]
mod guide;
mod hybrid;
mod json;
mod meant;
mod memory_streams;
mod objects;
mod once;
mod orders;
#[cfg(feature = "postgres")]
mod postgres_away;
mod projections;
#[cfg(all(feature = "proof", feature = "sqlite"))]
mod proof;
#[cfg(feature = "testing")]
mod read_model_contract;
mod releases;
#[cfg(feature = "testing")]
mod replay;
mod repository;
mod rooms;
mod several_aggregates;
mod snapshots;
#[cfg(feature = "sqlite")]
mod sqlite_branches;
#[cfg(all(feature = "sqlite", feature = "testing"))]
mod sqlite_contract;
#[cfg(all(feature = "sqlite", unix))]
mod sqlite_crash;
#[cfg(feature = "sqlite")]
mod sqlite_damage;
#[cfg(feature = "sqlite")]
mod sqlite_files;
#[cfg(feature = "sqlite")]
mod sqlite_follow;
#[cfg(feature = "sqlite")]
mod sqlite_neighbours;
#[cfg(feature = "sqlite")]
mod sqlite_object_details;
#[cfg(feature = "sqlite")]
mod sqlite_processes;
#[cfg(feature = "sqlite")]
mod sqlite_read_models;
#[cfg(all(feature = "sqlite", unix))]
mod sqlite_replaced;
#[cfg(feature = "sqlite")]
mod sqlite_support;
mod sqlite_sync_state;
#[cfg(feature = "sqlite")]
mod sqlite_waiting;
mod subscriptions;
#[cfg(feature = "testing")]
mod test_kit;
#[cfg(feature = "testing")]
mod test_kit_clock;
mod test_kit_together;
#[cfg(feature = "testing")]
mod together;
mod together_cost;
mod verification;
mod warm_and_cold;
mod whole_store;
#[cfg(feature = "testing")]
mod wrong_read_models;
#[cfg(feature = "testing")]
mod wrong_stores;
