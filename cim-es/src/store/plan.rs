//! Proved commits beside what a store has: which of them are new.

use std::collections::HashMap;

use cid::Cid;
use lru::DefaultHasher as Hasher;

use super::proved::{Part, invalid};
use super::{AggregateKey, Damage, Head, Location, ProvedCommit, StoreError};
use crate::block::StoredEvent;

/// What a store has, as far as [`plan`] compares it with what comes from outside.
pub trait Standing {
    /// The file or stream, for messages.
    fn location(&self) -> Location;

    /// The last event of an aggregate; none when it has no event.
    ///
    /// # Errors
    /// What keeps the store from reading it.
    fn head(&mut self, aggregate: &AggregateKey) -> Result<Option<Head>, StoreError>;

    /// The event of an aggregate at a version that it has; `wanted` is the one that is hoped for, for a store that finds
    /// events by their CID.
    ///
    /// # Errors
    /// What keeps the store from reading it.
    fn event(
        &mut self,
        aggregate: &AggregateKey,
        version: u64,
        wanted: &Cid,
    ) -> Result<Option<StoredEvent>, StoreError>;
}

/// What to do with a commit that comes from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// It stands there already.
    There(Vec<StoredEvent>),
    /// It is the same as an earlier one of the list, by its place from 0.
    Repeats(usize),
    /// It follows what is there, and is to be stored.
    Store,
}

/// Compares a list of commits, which may follow each other, with what a store has, and says what to do with each.
/// Nothing is to be stored when one of them is refused.
///
/// # Errors
/// [`StoreError::Diverged`] where another event stands, [`StoreError::MissingPredecessor`] where a history does not
/// reach so far, [`StoreError::Damaged`] where a part of a commit stands.
pub fn plan(commits: &[ProvedCommit], store: &mut dyn Standing) -> Result<Vec<Plan>, StoreError> {
    let mut heads: HashMap<&AggregateKey, Option<(u64, Cid)>, Hasher> = HashMap::default();
    let mut planned: HashMap<Cid, usize, Hasher> = HashMap::default();
    let mut plans = Vec::with_capacity(commits.len());
    for (at, commit) in commits.iter().enumerate() {
        let first = commit.events().first().map(|event| event.cid);
        if let Some(earlier) = first.and_then(|first| planned.get(&first))
            && is_same(commit, &commits[*earlier])
        {
            plans.push(Plan::Repeats(*earlier));
            continue;
        }
        let mut there: Vec<Option<StoredEvent>> = Vec::new();
        for part in commit.parts() {
            let head = match heads.get(&part.aggregate) {
                Some(head) => *head,
                None => {
                    let head = store.head(&part.aggregate)?;
                    let head = head.map(|head| (head.version, head.cid));
                    heads.insert(&part.aggregate, head);
                    head
                }
            };
            if part.follows(commit, head)? {
                continue;
            }
            there.resize(commit.events().len(), None);
            for (place, version) in part.places.iter().zip(part.before + 1..) {
                let wanted = &commit.events()[*place].cid;
                there[*place] = part.compare(store, version, wanted, head)?;
            }
        }
        let found = there.iter().flatten().count();
        if found == 0 {
            for part in commit.parts() {
                let last = part.places.last().map(|last| commit.events()[*last].cid);
                let version = part.before + part.places.len() as u64;
                heads.insert(&part.aggregate, last.map(|last| (version, last)));
            }
            if let Some(first) = first {
                planned.insert(first, at);
            }
            plans.push(Plan::Store);
        } else if found == there.len() {
            plans.push(Plan::There(there.into_iter().flatten().collect()));
        } else {
            return Err(in_part(commit, &there, store.location()));
        }
    }
    Ok(plans)
}

impl Part {
    /// Whether the part follows a head; not where some of its versions are there already.
    fn follows(&self, commit: &ProvedCommit, head: Option<(u64, Cid)>) -> Result<bool, StoreError> {
        let version = head.map_or(0, |(version, _)| version);
        if self.before < version {
            return Ok(false);
        }
        if self.before > version {
            return Err(StoreError::MissingPredecessor {
                aggregate: Box::new(self.aggregate.clone()),
                version,
                needed: self.before,
            });
        }
        match (head, self.previous) {
            (Some((_, ours)), Some(theirs)) if ours != theirs => {
                Err(self.diverged(version, ours, theirs))
            }
            (Some(_), None) | (None, Some(_)) => Err(invalid(format!(
                "the events of {} do not link to what they follow",
                commit.parts()[0].aggregate
            ))),
            _ => Ok(true),
        }
    }

    /// The event at a version that is there, when it is the same.
    fn compare(
        &self,
        store: &mut dyn Standing,
        version: u64,
        wanted: &Cid,
        head: Option<(u64, Cid)>,
    ) -> Result<Option<StoredEvent>, StoreError> {
        let Some((last, cid)) = head.filter(|(last, _)| version <= *last) else {
            return Ok(None);
        };
        match store.event(&self.aggregate, version, wanted)? {
            Some(event) if event.cid == *wanted => Ok(Some(event)),
            Some(event) => Err(self.diverged(version, event.cid, *wanted)),
            // An earlier commit of the list gives it another event.
            None if version == last => Err(self.diverged(version, cid, *wanted)),
            None => Err(invalid(format!(
                "version {version} of {} is given twice, with different events",
                self.aggregate
            ))),
        }
    }

    fn diverged(&self, version: u64, ours: Cid, theirs: Cid) -> StoreError {
        StoreError::Diverged {
            aggregate: Box::new(self.aggregate.clone()),
            version,
            ours: Box::new(ours),
            theirs: Box::new(theirs),
        }
    }
}

/// The error for a commit of which a part stands: it was stored by someone who did not keep to whole commits.
fn in_part(commit: &ProvedCommit, there: &[Option<StoredEvent>], location: Location) -> StoreError {
    let missing = there.iter().position(Option::is_none).unwrap_or(0);
    let found = there.iter().flatten().next();
    let reason = format!(
        "a part of its commit stands here without event {} of {}, which is {}",
        missing + 1,
        there.len(),
        commit.events()[missing].cid
    );
    let position = found.map(|event| event.position);
    Damage::new(location, position, found.map(|event| event.cid), reason).into()
}

fn is_same(one: &ProvedCommit, other: &ProvedCommit) -> bool {
    let cids = |commit: &ProvedCommit| {
        commit
            .events()
            .iter()
            .map(|event| event.cid)
            .collect::<Vec<_>>()
    };
    cids(one) == cids(other)
}
