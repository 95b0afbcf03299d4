//! The promises of the runtime crate that need no server, in one program: it is linked once.
//! A file that is not named here is not run; a test of the workspace's `tests` says so.

mod account;
mod blocks_chain;
mod blocks_properties;
mod blocks_refusals;
mod blocks_sealing;
mod blocks_support;
mod blocks_vectors;
mod causes;
#[cfg(feature = "testing")]
mod contract_memory;
mod json;
mod meant;
mod memory_streams;
mod releases;
#[cfg(feature = "testing")]
mod replay;
mod repository;
mod rooms;
mod several_aggregates;
mod snapshots;
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
mod sqlite_processes;
#[cfg(all(feature = "sqlite", unix))]
mod sqlite_replaced;
#[cfg(feature = "sqlite")]
mod sqlite_support;
#[cfg(feature = "sqlite")]
mod sqlite_waiting;
#[cfg(feature = "testing")]
mod test_kit;
#[cfg(feature = "testing")]
mod test_kit_clock;
#[cfg(feature = "testing")]
mod together;
mod together_cost;
mod warm_and_cold;
mod whole_store;
#[cfg(feature = "testing")]
mod wrong_stores;
