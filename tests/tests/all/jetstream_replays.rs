//! Replays of a stream: from a time, which is found without reading what is before it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::replay::{EventReplayService, ReplayEnd};
use cim_es::store::*;
use cim_es_tests::nats::{Server, User};

use crate::jetstream::sample::*;
use crate::jetstream::{open, options};

const COMMITS: u32 = 64;
/// The events of a commit, and about the bytes of each.
const EVENTS: u64 = 50;
const BYTES: usize = 20_000;
/// Between two commits: longer than clocks may differ.
const HOUR: Duration = Duration::from_secs(3_600);

fn begin() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_a_stream_begins_at_a_time_and_reads_little_of_what_is_before_it() {
    let client = Server::shared().connect(User::Operator).await;
    let store = open(client.clone(), &options(1)).await;
    for number in 0..COMMITS {
        let time = begin().after(HOUR * number);
        let events = (0..EVENTS).map(|event| large(event, BYTES)).collect();
        let request = CommitRequest::new(MessageIdentity::new_from_user("test"), time);
        let request = request.aggregate(key(), ExpectedVersion::Any, events);
        store.append(request).await.unwrap();
    }
    let received = || client.statistics().in_bytes.load(Ordering::Relaxed);
    let (before, taken) = (received(), Arc::new(Mutex::new(Vec::new())));
    let events = Arc::clone(&taken);
    let time = begin().after(HOUR * (COMMITS - 1));
    let replay = EventReplayService::new(store).replay_all_events(time);
    let stats = replay.each(move |event| {
        events.lock().unwrap().push(event);
        async { Ok(()) }
    });
    let stats = stats.await.unwrap();
    assert_eq!(stats.end, ReplayEnd::Complete);
    let taken = taken.lock().unwrap();
    assert_eq!(taken.len() as u64, EVENTS);
    assert!(taken.iter().all(|event| event.timestamp() == time));
    let (read, all) = (
        received() - before,
        u64::from(COMMITS) * EVENTS * BYTES as u64,
    );
    assert!(read < all / 2, "{read} bytes were read of {all}");
}
