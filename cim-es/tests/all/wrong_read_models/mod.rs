//! The contract of read models is itself tested: each of many wrong storages breaks one of its promises, and the one
//! without a fault keeps all of them.

mod fault;
mod storage;

use cim_es::testing::read_model_contract::{PROMISES, prove};
use fault::{FAULTS, Fault};
use storage::Wrong;

use crate::wrong_stores::always_passes;

#[test]
fn each_wrong_storage_breaks_a_promise() {
    let unnoticed: Vec<_> = FAULTS
        .iter()
        .filter(|(fault, promise)| always_passes(|| prove(promise, Wrong::with(*fault))))
        .collect();
    assert!(unnoticed.is_empty(), "wrong storages pass: {unnoticed:#?}");
}

#[test]
fn each_promise_has_a_wrong_storage_that_breaks_it() {
    for (fault, promise) in FAULTS {
        assert!(
            PROMISES.contains(promise),
            "{fault:?}: there is no promise `{promise}`"
        );
    }
    for promise in PROMISES {
        assert!(
            FAULTS.iter().any(|(_, broken)| broken == promise),
            "no wrong storage breaks `{promise}`"
        );
    }
}

mod without_a_fault {
    use super::{Fault, Wrong};

    cim_es::read_model_contract_tests!(Wrong::with(Fault::None));
}
