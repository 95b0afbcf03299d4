//! Where histories that differ part.

use std::collections::{BTreeMap, HashMap};

use super::Divergence;
use super::compare::{Differing, at};
use super::input::Input;
use super::packs::Packs;
use super::verify::Contents;
use crate::block::{ChainHead, Cid, StoredEvent};
use crate::bundle::BundleError;
use crate::bundle::progress::Canceller;
use crate::store::{AggregateKey, EventStore, StoreError, TryStreamExt, Versions};

/// The events of an aggregate whose CIDs are read at once.
const PAGE: u64 = 256;

/// The CIDs of an aggregate in the store, some of them.
struct Page {
    first: u64,
    cids: Vec<Cid>,
}

/// Finds for each aggregate that differs the first event by which it does.
pub(super) async fn find(
    store: &(impl EventStore + ?Sized),
    input: &Input,
    contents: &Contents,
    differing: HashMap<usize, Differing>,
    canceller: &Canceller,
) -> Result<Vec<(usize, Divergence)>, BundleError> {
    let mut found = BTreeMap::new();
    let mut open = HashMap::new();
    for (number, differs) in differing {
        let range = &contents.ranges[number];
        let aggregate = &range.aggregate;
        let Some(previous) = range.previous else {
            open.insert(number, (differs, None::<Page>));
            continue;
        };
        let before = match differs.ours.sequence < range.from {
            true => Some(differs.ours),
            false => at(store, aggregate, range.from - 1).await?,
        };
        match before.filter(|before| before.cid != previous) {
            Some(ours) => {
                let theirs = ChainHead {
                    sequence: ours.sequence,
                    cid: previous,
                };
                let differs = Differing { ours, theirs };
                found.insert(number, divergence(aggregate, differs, None));
            }
            None => drop(open.insert(number, (differs, None))),
        }
    }
    if !open.is_empty() {
        let mut packs = Packs::of(input);
        while let Some(pack) = packs.next().await? {
            canceller.check()?;
            for event in pack.iter().flat_map(|commit| &commit.events) {
                let Some(number) = contents.numbering.find(&event.envelope) else {
                    continue;
                };
                let Some((_, page)) = open.get_mut(&number) else {
                    continue;
                };
                let aggregate = &contents.ranges[number].aggregate;
                if let Some(ours) = differs_from(store, aggregate, event, page).await? {
                    open.remove(&number);
                    let theirs = ChainHead::from(event);
                    let common = event.envelope.previous.map(|cid| ChainHead {
                        sequence: theirs.sequence - 1,
                        cid,
                    });
                    let differs = Differing { ours, theirs };
                    found.insert(number, divergence(aggregate, differs, common));
                }
            }
            if open.is_empty() {
                break;
            }
        }
    }
    // The store has changed meanwhile: what was seen first still holds.
    for (number, (differs, _)) in open {
        let aggregate = &contents.ranges[number].aggregate;
        found.insert(number, divergence(aggregate, differs, None));
    }
    Ok(found.into_iter().collect())
}

fn divergence(
    aggregate: &AggregateKey,
    Differing { ours, theirs }: Differing,
    common: Option<ChainHead>,
) -> Divergence {
    Divergence {
        aggregate: aggregate.clone(),
        common,
        ours,
        theirs,
    }
}

/// What the store has in place of an event of the file; none where it has the same, or nothing.
async fn differs_from(
    store: &(impl EventStore + ?Sized),
    aggregate: &AggregateKey,
    event: &StoredEvent,
    page: &mut Option<Page>,
) -> Result<Option<ChainHead>, StoreError> {
    let sequence = event.envelope.sequence;
    let in_page = |page: &Page| {
        let place = usize::try_from(sequence.checked_sub(page.first)?).ok()?;
        page.cids.get(place).copied()
    };
    let mut cid = page.as_ref().and_then(in_page);
    if cid.is_none() {
        let last = sequence.saturating_add(PAGE - 1);
        let events = store.history(aggregate, Versions::from(sequence..=last));
        let cids = events.map_ok(|event| event.cid).try_collect().await?;
        let read = Page {
            first: sequence,
            cids,
        };
        cid = in_page(&read);
        *page = Some(read);
    }
    let ours = cid.filter(|cid| *cid != event.cid);
    Ok(ours.map(|cid| ChainHead { sequence, cid }))
}
