//! Storing commits that were sealed elsewhere: compared with what the stream has, then published under the guards that
//! every write has, and found out about in the same way.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::append::{self, Outcome};
use super::look::Sealed;
use super::publish::Guard;
use super::{Stream, history, tip};
use crate::block::{Cid, StoredEvent};
use crate::engine::jetstream::retry;
use crate::store::{
    AggregateCommit, AggregateKey, AppendedCommit, ExpectedVersion, Head, Location, Plan,
    ProvedCommit, SealedCommit, Standing, StoreError, Versions, plan,
};

/// How many aggregates are asked for at once.
const AT_ONCE: usize = 64;

pub(super) async fn append_sealed(
    store: &Stream,
    commits: Vec<SealedCommit>,
) -> Result<Vec<AppendedCommit>, StoreError> {
    let mut proved = Vec::with_capacity(commits.len());
    for commit in commits {
        let commit = commit.prove(&store.options.stream.seal)?;
        let types = commit.events().iter();
        store.check_types(types.map(|event| event.envelope.event_type.as_str()))?;
        proved.push(commit);
        // Hashing many events takes long, and others wait for this thread.
        yield_now().await;
    }
    let (mut present, plans) = compare(store, &proved, store.api.deadline()).await?;
    let mut appended: Vec<AppendedCommit> = Vec::with_capacity(plans.len());
    for (commit, plan) in proved.into_iter().zip(plans) {
        appended.push(match plan {
            Plan::There(events) => there(events),
            Plan::Repeats(earlier) => there(appended[earlier].events.clone()),
            Plan::Store => store_one(store, commit, &mut present).await?,
        });
    }
    Ok(appended)
}

fn there(events: Vec<StoredEvent>) -> AppendedCommit {
    AppendedCommit {
        events,
        was_there: true,
    }
}

/// Publishes one commit, and looks again at what it follows as long as others move the guards.
async fn store_one(
    store: &Stream,
    commit: ProvedCommit,
    present: &mut Present,
) -> Result<AppendedCommit, StoreError> {
    let deadline = store.api.deadline();
    let mut race = retry::RACE.until(deadline);
    let parts: Vec<_> = commit.aggregates().map(part).collect();
    loop {
        let guards: Vec<_> = parts
            .iter()
            .map(|part| Guard {
                subject: store.subjects().guard(part.aggregate.id()),
                sequence: present.guard(&part.aggregate),
            })
            .collect();
        let sealed = Sealed {
            parts: &parts,
            events: commit.events(),
            guards: &guards,
        };
        if let Outcome::Stored(last) = append::publish(store, &sealed, deadline).await? {
            let events = append::place(commit.into_events(), last);
            present.take(&events);
            return Ok(AppendedCommit {
                events,
                was_there: false,
            });
        }
        // Another wrote: the same commit, another event of these aggregates, or one of another kind with the same id.
        let one = std::slice::from_ref(&commit);
        let (now, mut plans) = compare(store, one, deadline).await?;
        if let Some(Plan::There(events)) = plans.pop() {
            return Ok(there(events));
        }
        present.replace(now);
        if !race.pause().await {
            return Err(StoreError::Busy {
                location: store.api.location(),
                reason: "other writers were faster each time".to_owned(),
            });
        }
    }
}

/// Reads what the stream has, and compares commits with it.
///
/// The aggregates are not read at one moment: of a commit that is just being stored one may show its event and another
/// not yet. So what looks like a part of a commit is read again first.
async fn compare(
    store: &Stream,
    commits: &[ProvedCommit],
    deadline: Instant,
) -> Result<(Present, Vec<Plan>), StoreError> {
    let mut retry = retry::HOLE.until(deadline);
    loop {
        let compared = match Present::read(store, commits, deadline).await {
            Ok(mut present) => plan(commits, &mut present).map(|plans| (present, plans)),
            Err(error) => Err(error),
        };
        match compared {
            Err(StoreError::Damaged(_)) if retry.pause().await => {}
            compared => return compared,
        }
    }
}

/// What stands for the aggregate where a commit is looked for.
fn part(aggregate: &AggregateKey) -> AggregateCommit {
    AggregateCommit {
        aggregate: aggregate.clone(),
        expected: ExpectedVersion::Any,
        head: None,
        events: Vec::new(),
        is_unchanged: false,
        shares_ids_with: None,
    }
}

/// What the stream has of some aggregates, as far as commits are compared with it.
struct Present {
    location: Location,
    heads: HashMap<AggregateKey, Option<Head>>,
    events: HashMap<AggregateKey, HashMap<u64, StoredEvent>>,
    /// The value of the guard of an id, which two kinds share.
    guards: HashMap<String, u64>,
}

impl Present {
    async fn read(
        store: &Stream,
        commits: &[ProvedCommit],
        deadline: Instant,
    ) -> Result<Self, StoreError> {
        let mut wanted: HashMap<&AggregateKey, (u64, u64)> = HashMap::new();
        for (key, first, last) in commits.iter().flat_map(ProvedCommit::versions) {
            let range = wanted.entry(key).or_insert((first, last));
            *range = (range.0.min(first), range.1.max(last));
        }
        let mut present = Self {
            location: store.api.location(),
            heads: HashMap::new(),
            events: HashMap::new(),
            guards: HashMap::new(),
        };
        let wanted: Vec<_> = wanted.into_iter().collect();
        for some in wanted.chunks(AT_ONCE) {
            let mut reads = Vec::with_capacity(some.len());
            for (key, range) in some {
                reads.push(read_one(store, key, *range, deadline));
            }
            for ((key, _), (tip, events)) in some.iter().zip(try_join_all(reads).await?) {
                present.heads.insert((*key).clone(), tip.head);
                let of_version = events
                    .into_iter()
                    .map(|event| (event.envelope.sequence, event));
                present.events.insert((*key).clone(), of_version.collect());
                let guard = present.guards.entry(key.id().as_str().to_owned());
                let guard = guard.or_default();
                *guard = tip.guard.max(*guard);
            }
        }
        Ok(present)
    }

    fn guard(&self, key: &AggregateKey) -> u64 {
        self.guards.get(key.id().as_str()).copied().unwrap_or(0)
    }

    /// Keeps where the events of a commit were stored: the next one may follow them.
    fn take(&mut self, events: &[StoredEvent]) {
        for event in events {
            let id = event.envelope.aggregate_id.clone();
            self.guards.insert(id, event.position.0);
        }
    }

    fn replace(&mut self, now: Self) {
        self.heads.extend(now.heads);
        self.events.extend(now.events);
        self.guards.extend(now.guards);
    }
}

/// The tip of an aggregate, and its events at the versions that are there.
async fn read_one(
    store: &Stream,
    key: &AggregateKey,
    (first, last): (u64, u64),
    deadline: Instant,
) -> Result<(tip::Tip, Vec<StoredEvent>), StoreError> {
    let found = tip::read(store, key, deadline).await?;
    found.check_whole(store, key, deadline).await?;
    let tip = found.tip();
    let version = tip.head.map_or(0, |head| head.version);
    let events = match version >= first {
        true => history::read(store, key, &Versions::from(first..=last)).await?,
        false => Vec::new(),
    };
    Ok((tip, events))
}

impl Standing for Present {
    fn location(&self) -> Location {
        self.location.clone()
    }

    fn head(&mut self, aggregate: &AggregateKey) -> Result<Option<Head>, StoreError> {
        Ok(self.heads.get(aggregate).copied().flatten())
    }

    fn event(
        &mut self,
        aggregate: &AggregateKey,
        version: u64,
        _: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let events = self.events.get(aggregate);
        Ok(events.and_then(|events| events.get(&version)).cloned())
    }
}
