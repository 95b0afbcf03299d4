//! The contract is itself tested: each of many wrong stores breaks one of its promises, and the store without a fault keeps
//! all of them.

mod append;
mod fault;
mod kept;
mod read;
mod store;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use cim_es::testing::contract::{PROMISES, prove};
use fault::{FAULTS, Fault};
use store::Wrong;
use tokio::time::timeout;

/// What was promised and has not come by then never comes: nothing here waits for a disk or for a server.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether a store with a fault keeps a promise.
fn keeps(fault: Fault, promise: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let test = async { timeout(LIMIT, prove(promise, Wrong::with(fault))).await };
    let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test)));
    runtime.shutdown_background();
    outcome.is_ok_and(|in_time| in_time.is_ok())
}

#[test]
fn each_wrong_store_breaks_a_promise() {
    let unnoticed: Vec<_> = FAULTS
        .iter()
        .filter(|(fault, promise)| keeps(*fault, promise))
        .collect();
    assert!(unnoticed.is_empty(), "wrong stores pass: {unnoticed:#?}");
}

#[test]
fn each_wrong_store_names_a_promise_of_the_contract() {
    for (fault, promise) in FAULTS {
        assert!(
            PROMISES.contains(promise),
            "{fault:?}: there is no promise `{promise}`"
        );
    }
}

mod without_a_fault {
    use super::{Fault, Wrong};

    cim_es::contract_tests!(Wrong::with(Fault::None));
}
