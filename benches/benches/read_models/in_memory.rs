//! Views in memory: beside reading the same events without a view, and on two cores beside one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cim_es::SqliteEventStore;
use cim_es::prelude::*;
use cim_es::projection::ProjectionManager;
use cim_es::replay::{EventReplayService, ReplayFrom};
use cim_es::store::{Bookmark, EventStore, Selection};
use cim_es_benches::{Host, HostEvent};
use futures_util::StreamExt;

use crate::Settings;
use crate::fixture::{PATIENCE, end, filled, open};
use crate::report::rate;

/// The memory of each host, and how many times it was registered.
#[derive(Projection, Debug, Default)]
#[projection(name = "hosts", version = 1, events = [HostEvent])]
struct Hosts {
    hosts: HashMap<Id<Host>, (u64, u64)>,
}

impl Project<HostEvent> for Hosts {
    fn project(&mut self, event: HostEvent, at: &Source<'_, Host>) {
        let HostEvent::Registered(registered) = event;
        let (memory, registrations) = self.hosts.entry(at.id()).or_default();
        *memory = registered.memory;
        *registrations += 1;
    }
}

async fn store(settings: &Settings) -> SqliteEventStore {
    let aggregates = settings.events.div_ceil(10);
    open(&filled(&settings.directory, settings.events, aggregates).await)
}

pub async fn view(settings: &Settings) {
    let store = store(settings).await;
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..settings.rounds {
        best.1 = best.1.min(read(&store).await);
        best.0 = best.0.min(keep(&store).await);
    }
    rate("view in memory", settings.events, best.0, best.1, "0.8x");
}

/// Reads and proves the events of the view.
async fn read(store: &SqliteEventStore) -> Duration {
    let start = Instant::now();
    let mut events = store.read(Selection::events::<HostEvent>(), Bookmark::START);
    while let Some(event) = events.next().await {
        event.expect("it reads");
    }
    start.elapsed()
}

/// The same, into a view.
async fn keep(store: &SqliteEventStore) -> Duration {
    let end = end(store).await;
    let start = Instant::now();
    let projections = ProjectionManager::new(store.clone());
    let hosts = projections.in_memory::<Hosts>().await.expect("it opens");
    hosts.wait_for(end, PATIENCE).await.expect("it counts all");
    let taken = start.elapsed();
    projections.stop().await;
    taken
}

pub async fn replay(settings: &Settings) {
    let store = store(settings).await;
    let mut best = [Duration::MAX; 2];
    for _ in 0..settings.rounds {
        for (best, workers) in best.iter_mut().zip([1, 2]) {
            let replays = EventReplayService::new(store.clone());
            let replay = replays.replay_all_events(ReplayFrom::Start);
            let replay = replay.in_parallel(workers);
            let (hosts, stats) = replay.project_parts::<Hosts>().await.expect("it replays");
            assert_eq!(stats.events_processed, settings.events);
            assert_eq!(hosts.len(), workers);
            *best = (*best).min(stats.duration);
        }
    }
    let what = "replay by partition, 2 workers beside 1";
    rate(what, settings.events, best[1], best[0], "1.6x");
}
