//! Stores that have no way under their readers.

use cim_es::MemoryEventStore;
use cim_es::store::EventStore;
use cim_es::verify::{Step, Verification};

use crate::sqlite_support::{any, note};

#[tokio::test]
async fn a_store_in_memory_is_checked_as_any_other() {
    let store = MemoryEventStore::new();
    for number in 0..600 {
        let events = vec![note(number), note(number + 1)];
        let stored = store.append(any(number % 7, events)).await;
        stored.expect("it is stored");
    }
    let mut verification = Verification::of(store);
    let (mut last, mut steps) = (0.0, 0);
    while let Some(step) = verification.next().await.expect("it reads") {
        let Step::Progress(progress) = step else {
            panic!("{step:?}");
        };
        assert!(progress.fraction() >= last && progress.fraction() <= 1.0);
        last = progress.fraction();
        steps += 1;
    }
    let report = verification.report();
    assert!(report.is_sound());
    assert_eq!((report.events, report.aggregates), (1_200, 7));
    assert!(report.bytes > 1_200 * 200 && steps > 4);
}
