//! What goes to the server as one: a commit, or several that follow each other in the list, as one atomic batch.

use std::collections::HashSet;

use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::present::{self, Present};
use super::{Fate, is_general};
use crate::engine::jetstream::retry;
use crate::engine::jetstream::stream::Stream;
use crate::engine::jetstream::stream::append::{self, Outcome};
use crate::engine::jetstream::stream::look::Sealed;
use crate::engine::jetstream::stream::outcome::Answer;
use crate::engine::jetstream::stream::publish::{Guard, Outgoing};
use crate::store::{
    AggregateCommit, AggregateKey, ExpectedVersion, Plan, ProvedCommit, SealedEvent, StoreError,
};

/// Commits that are on their way as one.
pub(super) struct Unit<'a> {
    /// Their places in the list.
    pub(super) commits: Vec<usize>,
    parts: Vec<AggregateCommit>,
    pub(super) events: Vec<&'a SealedEvent>,
    guards: Vec<Guard>,
    pub(super) outgoing: Outgoing,
    /// The bytes of the bodies.
    pub(super) bytes: usize,
    /// When nothing is tried any more.
    deadline: Instant,
    /// When the answer to the first attempt is late.
    pub(super) late: Instant,
    /// Where it is a batch.
    pub(super) turn: Option<SemaphorePermit<'a>>,
}

impl<'a> Unit<'a> {
    /// The messages of some commits under the guards of what the stream has.
    pub(super) fn new(
        store: &Stream,
        commits: &'a [ProvedCommit],
        places: Vec<usize>,
        present: &Present,
        deadline: Instant,
    ) -> Result<Self, StoreError> {
        let mut named = HashSet::new();
        let all = || places.iter().map(|place| &commits[*place]);
        let keys: Vec<_> = all()
            .flat_map(ProvedCommit::aggregates)
            .filter(|key| named.insert(*key))
            .collect();
        let parts: Vec<_> = keys.iter().map(|key| part(key)).collect();
        let guard = |key: &&AggregateKey| Guard {
            subject: store.subjects().guard(key.id()),
            sequence: present.guard(key.id().as_str()),
        };
        let guards: Vec<_> = keys.iter().map(guard).collect();
        let events: Vec<_> = all().flat_map(ProvedCommit::events).collect();
        let sealed = Sealed {
            parts: &parts,
            events: &events,
            guards: &guards,
        };
        let outgoing = Outgoing::new(&sealed, store.subjects())?;
        outgoing.check_sizes(store.api.client().max_payload())?;
        let bytes = events.iter().map(|event| event.body().len()).sum();
        Ok(Self {
            commits: places,
            parts,
            events,
            guards,
            outgoing,
            bytes,
            deadline,
            late: deadline,
            turn: None,
        })
    }

    fn sealed(&self) -> Sealed<'_> {
        Sealed {
            parts: &self.parts,
            events: &self.events,
            guards: &self.guards,
        }
    }

    /// The fate of each commit, where all of them stand side by side up to a sequence.
    pub(super) fn stored(&self, commits: &[ProvedCommit], last: u64) -> Vec<Fate> {
        let mut left = self.events.len() as u64;
        let at = |place: &usize| {
            left -= commits[*place].events().len() as u64;
            Fate::At(last - left)
        };
        self.commits.iter().map(at).collect()
    }

    /// Finds out what became of it, by all means that a commit has; several commits of which one cannot be stored go each
    /// by itself.
    pub(super) async fn settle(
        mut self,
        store: &Stream,
        commits: &'a [ProvedCommit],
        answer: Answer,
    ) -> (Self, Vec<Fate>) {
        let sealed = self.sealed();
        let outcome = append::conclude(store, &sealed, &self.outgoing, answer, self.deadline).await;
        self.turn = None;
        let fates = match outcome {
            Ok(Outcome::Stored(last)) => self.stored(commits, last),
            Err(error) if is_general(&error) => vec![Fate::Failed(error); self.commits.len()],
            Err(error) if self.commits.len() == 1 => vec![Fate::Failed(error)],
            Ok(Outcome::Moved(_)) | Err(_) => apart(store, commits, &self.commits).await,
        };
        (self, fates)
    }
}

/// Stores commits one after the other; what follows one that failed is not sent.
pub(super) async fn apart(store: &Stream, commits: &[ProvedCommit], places: &[usize]) -> Vec<Fate> {
    let mut blocked = super::flight::Blocked::default();
    let mut is_over = false;
    let mut fates = Vec::with_capacity(places.len());
    for place in places {
        let commit = &commits[*place];
        if is_over {
            fates.push(Fate::NotSent);
        } else if let Some(earlier) = blocked.is_behind(commit) {
            fates.push(Fate::Behind(earlier));
        } else {
            let fate = match store_one(store, commit).await {
                Ok(fate) => fate,
                Err(error) => {
                    is_over = is_general(&error);
                    blocked.block(commit, *place);
                    Fate::Failed(error)
                }
            };
            fates.push(fate);
        }
    }
    fates
}

/// Publishes one commit, and looks again at what it follows as long as others move the guards.
async fn store_one(store: &Stream, commit: &ProvedCommit) -> Result<Fate, StoreError> {
    let deadline = store.api.deadline();
    let mut race = retry::RACE.until(deadline);
    let one = std::slice::from_ref(commit);
    loop {
        // Another wrote: the same commit, another event of these aggregates, or one of another kind with the same id.
        let (present, mut plans) = present::compare(store, one, deadline).await?;
        if let Some(Plan::There(events)) = plans.pop() {
            return Ok(Fate::There(events));
        }
        let unit = Unit::new(store, one, vec![0], &present, deadline)?;
        if let Outcome::Stored(last) = append::publish(store, &unit.sealed(), deadline).await? {
            return Ok(Fate::At(last));
        }
        if !race.pause().await {
            return Err(append::busy(store, "other writers were faster each time"));
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
