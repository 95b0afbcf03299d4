//! Histories that are made up, and the slow and plain answers to every question about them.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::MemoryEventStore;
use cim_es::block::{Cid, HashCode, StoredEvent};
use cim_es::store::{EventStore, ExpectedVersion};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::sqlite_support::{commit, key, note};

/// A commit of one to three events, the first of which has parents: events that were stored before, or some of another
/// store.
#[derive(Clone, Debug)]
pub struct Made {
    aggregate: u8,
    events: u8,
    parents: Vec<Index>,
    foreign: Option<u8>,
}

pub fn histories() -> impl Strategy<Value = Vec<Made>> {
    let made = (
        0..6u8,
        1..4u8,
        vec(any::<Index>(), 0..4),
        of_another_store(),
    );
    let made = made.prop_map(|(aggregate, events, parents, foreign)| Made {
        aggregate,
        events,
        parents,
        foreign,
    });
    vec(made, 1..25)
}

fn of_another_store() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![4 => Just(None), 1 => (0..3u8).prop_map(Some)]
}

/// The CID of an event that no store here has.
pub fn foreign(number: u8) -> Cid {
    HashCode::Sha2_256.cid(&[number])
}

/// Stores one commit after the other.
pub async fn append(store: &MemoryEventStore, history: &[Made], known: &mut Vec<StoredEvent>) {
    for made in history {
        let mut parents: Vec<Cid> = Vec::new();
        if !known.is_empty() {
            parents.extend(made.parents.iter().map(|index| index.get(known).cid));
        }
        parents.extend(made.foreign.map(foreign));
        let mut events: Vec<_> = (0..made.events).map(|number| note(number.into())).collect();
        events[0] = note(0).with_parents(parents);
        let commit = commit().aggregate(key(made.aggregate), ExpectedVersion::Any, events);
        known.extend(store.append(commit).await.expect("it is stored"));
    }
}

/// Every event's direct causes, and what is only linked to.
pub struct Model {
    pub causes: BTreeMap<Cid, BTreeSet<Cid>>,
}

impl Model {
    pub fn of(events: &[StoredEvent]) -> Self {
        let mut causes: BTreeMap<Cid, BTreeSet<Cid>> = BTreeMap::new();
        for event in events {
            let envelope = &event.envelope;
            let of_event = envelope.previous.iter().chain(&envelope.parents);
            let of_event: BTreeSet<_> = of_event.copied().collect();
            for cause in &of_event {
                causes.entry(*cause).or_default();
            }
            causes.entry(event.cid).or_default().extend(of_event);
        }
        Self { causes }
    }

    pub fn all(&self) -> Vec<Cid> {
        self.causes.keys().copied().collect()
    }

    /// What something depends on, found by adding causes until nothing is added.
    pub fn ancestors(&self, cid: &Cid) -> BTreeSet<Cid> {
        let mut ancestors = self.causes[cid].clone();
        loop {
            let more: BTreeSet<_> = ancestors.iter().flat_map(|it| &self.causes[it]).collect();
            let more: Vec<Cid> = more.into_iter().copied().collect();
            let before = ancestors.len();
            ancestors.extend(more);
            if ancestors.len() == before {
                return ancestors;
            }
        }
    }

    pub fn descendants(&self, cid: &Cid) -> BTreeSet<Cid> {
        let all = self.causes.keys();
        all.filter(|other| self.ancestors(other).contains(cid))
            .copied()
            .collect()
    }

    pub fn with_itself(&self, cid: &Cid) -> BTreeSet<Cid> {
        let mut all = self.ancestors(cid);
        all.insert(*cid);
        all
    }

    /// The fewest links from an effect back to a cause.
    pub fn distance(&self, cause: &Cid, effect: &Cid) -> Option<usize> {
        let mut near = BTreeSet::from([*effect]);
        for distance in 0..=self.causes.len() {
            if near.contains(cause) {
                return Some(distance);
            }
            near = near
                .iter()
                .flat_map(|it| &self.causes[it])
                .copied()
                .collect();
        }
        None
    }
}
