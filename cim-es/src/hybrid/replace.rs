//! Ending a divergence by the stream's history: what was done here is taken out of the file's and stays readable by its
//! CIDs, and what the author says of it follows behind the stream's.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::HybridError;
use super::connector::RemoteStore;
use super::divergence::{Divergence, DivergenceCause, Resolved, common};
use super::down::{Pending, merge, missing, place, sealed, whole};
use super::notice::Noticed;
use super::parked::aggregates;
use super::protocol::{Protocol, event_at};
use super::reapply::{Merged, Policies};
use crate::block::StoredEvent;
use crate::store::{
    AggregateKey, Bookmark, Branch, BranchError, BranchReplacement, EventStore, Position,
    ReplacedBranches, SealedCommit, StoreError, TryStreamExt, Versions,
};

/// How many times more of the stream is taken along before it counts as one that cannot be.
const ATTEMPTS: usize = 64;

/// What both sides have behind the last common events of aggregates that hang together.
pub(super) struct Sides {
    /// The first version of each branch of the file.
    froms: HashMap<AggregateKey, u64>,
    /// The events of the branches, whole commits in the order of the file.
    ours: BTreeMap<Position, StoredEvent>,
    /// The commits of the stream in its order.
    theirs: Pending,
}

impl Sides {
    /// The commits of this side, in the order of the file.
    pub(super) fn ours(&self) -> Vec<Vec<&StoredEvent>> {
        let mut commits: Vec<Vec<&StoredEvent>> = Vec::new();
        for event in self.ours.values() {
            match commits.last_mut() {
                Some(commit) if !event.envelope.commit.is_first_of_whole() => commit.push(event),
                _ => commits.push(vec![event]),
            }
        }
        commits
    }

    /// The last event of an aggregate's branch here.
    pub(super) fn head(&self, aggregate: &AggregateKey) -> Option<&StoredEvent> {
        self.ours.values().rev().find(|event| aggregate.has(event))
    }

    /// The events of the stream, in its order.
    pub(super) fn theirs(&self) -> impl Iterator<Item = &StoredEvent> {
        self.theirs.iter().flatten()
    }

    /// The aggregates that hang together.
    pub(super) fn aggregates(&self) -> impl Iterator<Item = &AggregateKey> {
        self.froms.keys()
    }

    fn branches(&self) -> Vec<Branch> {
        let froms = self.froms.iter();
        let branches = froms.filter_map(|(aggregate, from)| {
            Some(Branch {
                aggregate: aggregate.clone(),
                from: *from,
                head: self.head(aggregate)?.cid,
            })
        });
        branches.collect()
    }
}

impl Protocol {
    /// Ends the divergence of an aggregate by the stream's history: what was done here since is taken out of the file's
    /// history, of all aggregates that hang together by a commit. It stays readable by its CIDs, see
    /// [`taken_out`](crate::store::taken_out). Gives what was recorded.
    ///
    /// # Errors
    /// [`HybridError::NotDiverged`], [`HybridError::CannotReplace`] for a store that has no branches, and the failures of
    /// either side; nothing was changed then.
    pub async fn keep_theirs(
        &self,
        remote: &dyn EventStore,
        aggregate: &AggregateKey,
        how: &str,
    ) -> Result<Divergence, HybridError> {
        self.replace(remote, aggregate, how, None).await
    }

    /// Ends the divergence of an aggregate as the author has said for its kind: on the stream's history, what was done here
    /// is taken again as far as it can be. Gives what was recorded, with what was not taken again, and why.
    ///
    /// # Errors
    /// [`HybridError::NoPolicy`] where nobody has said so for the aggregate, or for one that hangs together with it; else as
    /// [`keep_theirs`](Self::keep_theirs).
    pub async fn reapply(
        &self,
        remote: &dyn EventStore,
        aggregate: &AggregateKey,
    ) -> Result<Divergence, HybridError> {
        let policies = &self.options.policies;
        let how = "taken again on the stream's history";
        self.replace(remote, aggregate, how, Some(policies)).await
    }

    async fn replace(
        &self,
        remote: &dyn EventStore,
        root: &AggregateKey,
        how: &str,
        policies: Option<&Policies>,
    ) -> Result<Divergence, HybridError> {
        let Some(store) = self.local.settings().branches else {
            return Err(HybridError::CannotReplace);
        };
        // Nothing is written here, sent or read until it is done.
        let _no_command = self.hold_commands().await;
        let _nothing_goes_up = self.going_up.lock().await;
        let _nothing_goes_down = self.going_down.lock().await;
        if self.kept().open_divergence(root).is_none() {
            return Err(HybridError::NotDiverged {
                aggregate: Box::new(root.clone()),
            });
        }
        let mut roots = vec![root.clone()];
        let mut sides = self.sides(remote, &roots).await?;
        for _ in 0..ATTEMPTS {
            let merged = match policies {
                Some(policies) => policies.merge(remote, &sides, self.now()).await?,
                None => Merged::default(),
            };
            let (count, left_out) = (sides.theirs.len(), merged.left_out);
            let theirs = sides.theirs.iter().map(|commit| sealed(commit));
            let commits: Vec<SealedCommit> = theirs.chain(merged.commits).collect();
            let resolved = Resolved {
                at: self.now(),
                how: how.to_owned(),
                left_out,
            };
            let before = match sides.ours.keys().next() {
                Some(first) => event_at(&*self.local, Position(first.0 - 1)).await?,
                None => None,
            };
            let unchanged = before
                .as_ref()
                .map(StoredEvent::bookmark)
                .unwrap_or_default();
            let changes = self.state_after(&sides, unchanged, &resolved);
            let replacement = BranchReplacement::new(sides.branches(), commits);
            let replacement = replacement.with_changes(changes);
            match store.replace_branches(replacement).await {
                Ok(replaced) => {
                    return self
                        .replaced(root, &sides, unchanged, resolved, (replaced, count))
                        .await;
                }
                // What the stream's commits bring along has to fit, too.
                Err(BranchError::Store(StoreError::Diverged { aggregate, .. }))
                    if !sides.froms.contains_key(&*aggregate) =>
                {
                    roots.push(*aggregate);
                    sides = self.sides(remote, &roots).await?;
                }
                Err(BranchError::Store(StoreError::MissingPredecessor {
                    aggregate,
                    version,
                    needed,
                })) => {
                    let known = sides.theirs.len();
                    let further = missing(remote, &aggregate, version, needed).await?;
                    merge(&mut sides.theirs, further, |commit| place(commit));
                    if sides.theirs.len() == known {
                        return Err(StoreError::MissingPredecessor {
                            aggregate,
                            version,
                            needed,
                        }
                        .into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(HybridError::StillDiverged {
            aggregate: Box::new(root.clone()),
            version: sides.froms.get(root).map_or(0, |from| from - 1),
        })
    }

    /// What both sides have of some aggregates that diverged, and of those that hang together with them.
    async fn sides(
        &self,
        remote: &dyn EventStore,
        roots: &[AggregateKey],
    ) -> Result<Sides, StoreError> {
        let mut sides = Sides {
            froms: HashMap::new(),
            ours: BTreeMap::new(),
            theirs: Pending::new(),
        };
        let mut open: VecDeque<(AggregateKey, u64)> =
            roots.iter().map(|root| (root.clone(), u64::MAX)).collect();
        while let Some((aggregate, at_most)) = open.pop_front() {
            let known = sides.froms.get(&aggregate).copied();
            if known.is_some_and(|known| known <= at_most) {
                continue;
            }
            let common = common(&*self.local, remote, &aggregate).await?;
            let from = at_most.min(common.map_or(0, |common| common.version) + 1);
            if known.is_some_and(|known| known <= from) {
                continue;
            }
            sides.froms.insert(aggregate.clone(), from);
            let versions = Versions::starting_at(from);
            let mut events = self.local.history(&aggregate, versions);
            while let Some(event) = events.try_next().await? {
                let commit = whole(&*self.local, vec![event]).await?;
                for other in aggregates(&commit) {
                    let first = commit.iter().find(|event| other.has(event));
                    if let Some(first) = first.filter(|_| other != aggregate) {
                        open.push_back((other, first.envelope.sequence));
                    }
                }
                for event in commit {
                    sides.ours.insert(event.position, event);
                }
            }
        }
        for (aggregate, from) in &sides.froms {
            let further = missing(remote, aggregate, from - 1, u64::MAX).await?;
            merge(&mut sides.theirs, further, |commit| place(commit));
        }
        Ok(sides)
    }

    /// What is known of the stream once the branches were replaced.
    fn state_after(
        &self,
        sides: &Sides,
        unchanged: Bookmark,
        resolved: &Resolved,
    ) -> Vec<crate::store::StateChange> {
        let mut kept = self.kept().clone();
        kept.branches_replaced(&positions(sides), unchanged);
        for aggregate in sides.aggregates() {
            kept.resolved(aggregate, resolved);
        }
        kept.changes().1
    }

    async fn replaced(
        &self,
        root: &AggregateKey,
        sides: &Sides,
        unchanged: Bookmark,
        resolved: Resolved,
        (replaced, count): (ReplacedBranches, usize),
    ) -> Result<Divergence, HybridError> {
        let (record, ended) = {
            let mut kept = self.kept();
            let open = |it: &&AggregateKey| {
                kept.divergences()
                    .any(|open| open.is_open() && open.aggregate == **it)
            };
            let mut ended = vec![root.clone()];
            ended.extend(
                sides
                    .aggregates()
                    .filter(|it| *it != root)
                    .filter(open)
                    .cloned(),
            );
            let record = kept.divergences().filter(|it| it.aggregate == *root);
            let record = record.last().cloned();
            let epoch = usize::try_from(replaced.epoch.number).unwrap_or(usize::MAX);
            // Unless somebody else has noticed it and read it from the file.
            if kept.epoch != epoch {
                kept.branches_replaced(&positions(sides), unchanged);
                kept.epoch = epoch;
                for aggregate in sides.aggregates() {
                    kept.resolved(aggregate, &resolved);
                }
            }
            // What came from the stream need not be sent; what follows it is.
            let theirs: usize = sides.theirs.iter().take(count).map(Vec::len).sum();
            let mut events = &replaced.events[..theirs.min(replaced.events.len())];
            while let Some(first) = events.first() {
                let whole = (first.envelope.commit.whole_of as usize).min(events.len());
                kept.settle(&events[..whole]);
                events = &events[whole..];
            }
            (record, ended)
        };
        // Those that hung together with it have ended with it.
        for aggregate in ended {
            let how = resolved.how.clone();
            self.note(Noticed::Resolved { aggregate, how });
        }
        self.grown.notify_one();
        self.moved.notify_one();
        self.save().await?;
        match record {
            Some(record) => Ok(Divergence {
                resolved: Some(resolved),
                ..record
            }),
            None => Err(HybridError::NotDiverged {
                aggregate: Box::new(root.clone()),
            }),
        }
    }

    /// The next open divergence for which the author has said what becomes of it.
    pub(super) fn next_to_reapply(&self) -> Option<AggregateKey> {
        let policies = &self.options.policies;
        if policies.is_empty() {
            return None;
        }
        let kept = self.kept();
        // What a person has discarded is not done again without being asked for.
        let is_discarded = |it: &Divergence| matches!(it.cause, DivergenceCause::Discarded { .. });
        let open = kept.divergences().filter(|it| it.is_open());
        let mut open = open.filter(|it| !is_discarded(it));
        open.find(|it| kept.may_be_reapplied(&it.aggregate))
            .map(|it| it.aggregate.clone())
    }

    /// Ends a divergence as the author has said. Where that cannot be, it waits for a person.
    pub(super) async fn reapply_next(
        &self,
        remote: &Arc<dyn RemoteStore>,
    ) -> Result<Option<AggregateKey>, StoreError> {
        let Some(aggregate) = self.next_to_reapply() else {
            return Ok(None);
        };
        match self.reapply(remote, &aggregate).await {
            Ok(_) => Ok(Some(aggregate)),
            Err(HybridError::Store(error)) if !is_for_good(&error) => Err(error),
            Err(error) => {
                tracing::warn!(%aggregate, error = %crate::domain::ErrorChain(&error), "what was done here is not taken again");
                self.kept().waits_for_a_person(aggregate);
                Ok(None)
            }
        }
    }
}

/// Whether the same comes of it each time.
fn is_for_good(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::InvalidCommit { .. }
            | StoreError::Payload(_)
            | StoreError::Id(_)
            | StoreError::Unproved(_)
            | StoreError::Damaged(_)
            | StoreError::MissingPredecessor { .. }
            | StoreError::Diverged { .. }
    )
}

fn positions(sides: &Sides) -> Vec<u64> {
    sides.ours.keys().map(|position| position.0).collect()
}
