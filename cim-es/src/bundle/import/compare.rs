//! What the store has of what a file holds.

use std::collections::HashMap;

use futures_util::stream;

use super::Divergence;
use super::branches;
use super::input::Input;
use super::packs::Packs;
use super::verify::Contents;
use crate::block::{ChainHead, Cid, StoredEvent};
use crate::bundle::progress::Canceller;
use crate::bundle::{AggregateRange, BundleError, Prerequisite};
use crate::store::{AggregateKey, EventStore, StoreError, StreamExt, TryStreamExt, Versions};

/// The aggregates whose last events are asked for at the same time.
const AT_ONCE: usize = 64;

/// What the store has of what a file holds, by the numbers of the aggregates.
pub(super) struct Comparison {
    /// The last version of each aggregate that store and file have in common; what it goes on from where there is none.
    pub(super) there: Vec<u64>,
    /// The aggregates that went another way.
    pub(super) diverged: Vec<(usize, Divergence)>,
}

/// What one event says of an aggregate.
enum Look {
    /// Up to this version store and file have the same.
    Same(u64),
    /// The store lacks what the file goes on from.
    Missing(Prerequisite),
    /// The store ends with this event, within what the file holds: whether it has it too must be looked for.
    Ends(ChainHead),
    /// They differ.
    Differs(Differing),
}

/// A place at which store and file are known to differ; it need not be the first one.
#[derive(Clone, Copy)]
pub(super) struct Differing {
    pub(super) ours: ChainHead,
    pub(super) theirs: ChainHead,
}

impl Comparison {
    pub(super) async fn of(
        store: &(impl EventStore + ?Sized),
        input: &Input,
        contents: &Contents,
        canceller: &Canceller,
    ) -> Result<Self, BundleError> {
        let looks = contents.ranges.iter().map(|range| look(store, range));
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        let mut there = Vec::with_capacity(contents.ranges.len());
        let (mut missing, mut ends) = (Vec::new(), HashMap::new());
        let mut differing = HashMap::new();
        while let Some(look) = looks.try_next().await? {
            canceller.check()?;
            let number = there.len();
            let range = &contents.ranges[number];
            there.push(range.from - 1);
            match look {
                Look::Same(version) => there[number] = version,
                Look::Missing(prerequisite) => missing.push(prerequisite),
                Look::Ends(head) => drop(ends.insert(number, head)),
                Look::Differs(differs) => drop(differing.insert(number, differs)),
            }
        }
        if !missing.is_empty() {
            return Err(BundleError::MissingPrerequisites(missing));
        }
        for (number, ours, theirs) in in_file(input, contents, ends, canceller).await? {
            match ours.cid == theirs {
                true => there[number] = ours.sequence,
                false => {
                    let sequence = ours.sequence;
                    let theirs = ChainHead {
                        sequence,
                        cid: theirs,
                    };
                    differing.insert(number, Differing { ours, theirs });
                }
            }
        }
        let diverged = branches::find(store, input, contents, differing, canceller).await?;
        for (number, divergence) in &diverged {
            there[*number] = divergence.theirs.sequence - 1;
        }
        Ok(Self { there, diverged })
    }

    pub(super) fn into_divergences(self) -> Vec<Divergence> {
        self.diverged.into_iter().map(|(_, it)| it).collect()
    }
}

async fn look(
    store: &(impl EventStore + ?Sized),
    range: &AggregateRange,
) -> Result<Look, BundleError> {
    let head = store.last(&range.aggregate).await?;
    let head = head.as_ref().map(ChainHead::from);
    let version = head.map_or(0, |head| head.sequence);
    let differs = |ours, version, cid| {
        let theirs = ChainHead {
            sequence: version,
            cid,
        };
        Look::Differs(Differing { ours, theirs })
    };
    let Some(head) = head.filter(|_| version + 1 >= range.from) else {
        return Ok(match range.prerequisite() {
            Some(prerequisite) => Look::Missing(prerequisite),
            None => Look::Same(0),
        });
    };
    if version < range.from {
        return Ok(match range.previous {
            Some(previous) if previous != head.cid => differs(head, version, previous),
            _ => Look::Same(version),
        });
    }
    if version < range.to {
        return Ok(Look::Ends(head));
    }
    let ours = match version == range.to {
        true => Some(head),
        false => at(store, &range.aggregate, range.to).await?,
    };
    // A store that has dropped the event, by age, has it no less.
    Ok(match ours {
        Some(ours) if ours.cid != range.head => differs(ours, range.to, range.head),
        _ => Look::Same(range.to),
    })
}

/// The event of an aggregate at a version.
pub(super) async fn at(
    store: &(impl EventStore + ?Sized),
    aggregate: &AggregateKey,
    version: u64,
) -> Result<Option<ChainHead>, StoreError> {
    let mut events = store.history(aggregate, Versions::from(version..=version));
    let event: Option<StoredEvent> = events.try_next().await?;
    Ok(event.as_ref().map(ChainHead::from))
}

/// The events that the file has where the store ends.
async fn in_file(
    input: &Input,
    contents: &Contents,
    ends: HashMap<usize, ChainHead>,
    canceller: &Canceller,
) -> Result<Vec<(usize, ChainHead, Cid)>, BundleError> {
    let mut found = Vec::with_capacity(ends.len());
    if ends.is_empty() {
        return Ok(found);
    }
    let mut packs = Packs::of(input);
    while let Some(pack) = packs.next().await? {
        canceller.check()?;
        for event in pack.iter().flat_map(|commit| &commit.events) {
            let number = contents.numbering.find(&event.envelope);
            let end = number.and_then(|number| ends.get_key_value(&number));
            if let Some((number, end)) = end
                && end.sequence == event.envelope.sequence
            {
                found.push((*number, *end, event.cid));
            }
        }
        if found.len() == ends.len() {
            break;
        }
    }
    Ok(found)
}
