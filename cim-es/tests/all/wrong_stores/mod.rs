//! The contract is itself tested: each of many wrong stores breaks one of its promises, and the store without a fault keeps
//! all of them.

mod append;
mod branches;
mod fault;
mod follow;
mod kept;
mod port;
mod read;
mod sealed;
mod store;
mod sync_state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cim_es::testing::contract::{PROMISES, prove};
use fault::{FAULTS, Fault};
use store::{Wrong, lock};
use tokio::time::timeout;

/// What was promised and has not come by then never comes: nothing here waits for a disk or for a server.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether the test of a promise passes in time.
fn passes(test: impl Future<Output = ()>) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let test = async { timeout(LIMIT, test).await };
    let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test)));
    runtime.shutdown_background();
    outcome.is_ok_and(|in_time| in_time.is_ok())
}

/// How often a wrong one may keep a promise before it counts as unnoticed: the writers of a race are not in each other's way
/// every time.
const TRIES: usize = 10;

/// Whether the test of a promise passes each time.
pub fn always_passes<T: Future<Output = ()>>(test: impl Fn() -> T) -> bool {
    (0..TRIES).all(|_| passes(test()))
}

#[test]
fn each_wrong_store_breaks_a_promise() {
    // Some wait for what never comes, so several are tried at a time.
    let next = AtomicUsize::new(0);
    let unnoticed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((fault, promise)) = FAULTS.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if always_passes(|| prove(promise, Wrong::with(*fault))) {
                        lock(&unnoticed).push((*fault, *promise));
                    }
                }
            });
        }
    });
    let unnoticed = lock(&unnoticed);
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

/// Promises that a repository keeps without asking the store.
const OF_NO_STORE: [&str; 1] = ["a_scope_that_is_no_token_is_refused"];

#[test]
fn each_promise_is_broken_by_a_wrong_store() {
    let unbroken = PROMISES
        .iter()
        .filter(|promise| !FAULTS.iter().any(|(_, broken)| broken == *promise));
    let unbroken: Vec<_> = unbroken.collect();
    let expected: Vec<_> = OF_NO_STORE.iter().collect();
    assert_eq!(
        unbroken, expected,
        "name a store in `fault.rs` that breaks it"
    );
}

mod without_a_fault {
    use super::{Fault, Wrong};

    cim_es::contract_tests!(Wrong::with(Fault::None));
}
