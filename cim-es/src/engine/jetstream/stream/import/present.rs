//! What the stream has of the aggregates of some commits, and the comparison of these with it.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::block::{Cid, StoredEvent};
use crate::domain::ErrorChain;
use crate::engine::jetstream::api::{Raw, direct};
use crate::engine::jetstream::retry;
use crate::engine::jetstream::stream::tip::{self, Tip};
use crate::engine::jetstream::stream::{Stream, history};
use crate::store::{
    AggregateKey, Head, Location, Plan, ProvedCommit, Standing, StoreError, Versions, plan,
};

/// How many aggregates are asked for at once.
const AT_ONCE: usize = 64;
/// How many aggregates one request asks a replica for, whose answer has at most 1,024 events: one of each type.
const A_GROUP: usize = 32;

/// Reads what the stream has, and compares commits with it.
///
/// What the nearest replica says is enough where it lets the commits be stored or passed over: a guard refuses what builds
/// on too little. What would refuse a commit is asked of the leader.
///
/// The aggregates are not read at one moment: of a commit that is just being stored one may show its event and another
/// not yet. So what looks like a part of a commit is read again first.
pub(super) async fn compare(
    store: &Stream,
    commits: &[ProvedCommit],
    deadline: Instant,
) -> Result<(Present, Vec<Plan>), StoreError> {
    if commits.len() > 1 {
        let tips = near(store, commits).await;
        if let Ok(mut present) = Present::read(store, commits, &tips, deadline).await
            && let Ok(plans) = plan(commits, &mut present)
        {
            return Ok((present, plans));
        }
    }
    let mut retry = retry::HOLE.until(deadline);
    loop {
        let compared = match Present::read(store, commits, &HashMap::new(), deadline).await {
            Ok(mut present) => plan(commits, &mut present).map(|plans| (present, plans)),
            Err(error) => Err(error),
        };
        match compared {
            Err(StoreError::Damaged(_)) if retry.pause().await => {}
            compared => return compared,
        }
    }
}

/// What the stream has of some aggregates, as far as commits are compared with it.
pub(super) struct Present {
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
        tips: &HashMap<AggregateKey, Tip>,
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
                reads.push(read_one(store, key, *range, tips.get(*key), deadline));
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

    /// The last sequence under the guard of an id; 0 when nothing stands there.
    pub(super) fn guard(&self, id: &str) -> u64 {
        self.guards.get(id).copied().unwrap_or(0)
    }

    /// Keeps up to where an id has events now.
    pub(super) fn raise(&mut self, id: &str, sequence: u64) {
        match self.guards.get_mut(id) {
            Some(guard) => *guard = sequence.max(*guard),
            None => {
                self.guards.insert(id.to_owned(), sequence);
            }
        }
    }
}

/// The tip of an aggregate, which may be known, and its events at the versions that are there.
async fn read_one(
    store: &Stream,
    key: &AggregateKey,
    (first, last): (u64, u64),
    known: Option<&Tip>,
    deadline: Instant,
) -> Result<(Tip, Vec<StoredEvent>), StoreError> {
    let tip = match known {
        Some(tip) => tip.clone(),
        None => {
            let found = tip::read(store, key, deadline).await?;
            found.check_whole(store, key, deadline).await?;
            found.tip()
        }
    };
    let version = tip.head.map_or(0, |head| head.version);
    let events = match version >= first {
        true => history::read(store, key, &Versions::from(first..=last)).await?,
        false => Vec::new(),
    };
    Ok((tip, events))
}

/// The tips of the aggregates of commits, as far as the nearest replica shows them beyond doubt.
async fn near(store: &Stream, commits: &[ProvedCommit]) -> HashMap<AggregateKey, Tip> {
    let keys: HashMap<&str, &AggregateKey> = commits
        .iter()
        .flat_map(ProvedCommit::aggregates)
        .map(|key| (key.id().as_str(), key))
        .collect();
    let keys: Vec<_> = keys.into_values().collect();
    let guard = |key: &&AggregateKey| store.subjects().guard(key.id());
    let groups: Vec<Vec<_>> = keys
        .chunks(A_GROUP)
        .map(|some| some.iter().map(guard).collect())
        .collect();
    let answers = match direct::last_of_groups(&store.api, &groups).await {
        Ok(answers) => answers,
        Err(failure) => {
            tracing::debug!(error = %ErrorChain(&failure), "the leader is asked, the next replica did not tell");
            return HashMap::new();
        }
    };
    let mut tips = HashMap::new();
    for (some, answer) in keys.chunks(A_GROUP).zip(answers) {
        let Some(lasts) = answer.and_then(|raws| last_of_ids(store, raws)) else {
            continue;
        };
        for key in some {
            let last = lasts.get(key.id().as_str());
            let guard = last.map_or(0, |last| last.position.0);
            let is_sure = match last {
                None => true,
                // Another kind wrote last, or a part of a commit stands last: the leader knows more.
                Some(last) => {
                    let commit = &last.envelope.commit;
                    let is_whole = match store.is_replicated() {
                        true => commit.is_last(),
                        false => commit.is_last_of_whole(),
                    };
                    is_whole && key.has(last)
                }
            };
            if is_sure && guard >= store.api.seen.of_aggregate(key.id().as_str()) {
                let head = last.map(StoredEvent::head);
                tips.insert((*key).clone(), Tip { head, guard });
            }
        }
    }
    tips
}

/// The last event of each id among the last ones of its types; none where one of them is damaged.
fn last_of_ids(store: &Stream, raws: Vec<Raw>) -> Option<HashMap<String, StoredEvent>> {
    let mut lasts: HashMap<String, StoredEvent> = HashMap::new();
    for raw in raws {
        let event = store.verify(raw).ok()?;
        match lasts.get_mut(&event.envelope.aggregate_id) {
            Some(last) if last.position >= event.position => {}
            Some(last) => *last = event,
            None => {
                lasts.insert(event.envelope.aggregate_id.clone(), event);
            }
        }
    }
    Some(lasts)
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
