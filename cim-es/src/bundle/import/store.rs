//! The last pass: what is new is stored, whole commits in the order of the file.

use std::collections::HashMap;
use std::pin::pin;

use futures_util::future::{Either, select};
use futures_util::stream::FuturesOrdered;

use super::compare::Comparison;
use super::input::Input;
use super::packs::Packs;
use super::verify::Contents;
use super::{ImportEnd, Imported, LeftOut, WhyLeftOut};
use crate::bundle::BundleError;
use crate::bundle::progress::{Canceller, Progress, Reporter, Step};
use crate::store::{AppendedCommit, EventStore, SealedEvent, StoreError, StreamExt};

/// Stores what is new.
pub(super) async fn store(
    store: &(impl EventStore + ?Sized),
    input: &Input,
    contents: Contents,
    comparison: Comparison,
    reporter: &Reporter,
    canceller: &Canceller,
) -> Result<Imported, BundleError> {
    let mut progress = Progress {
        step: Step::Storing,
        events: 0,
        of_events: Some(contents.events),
        bytes: 0,
    };
    let mut counted = Counted::default();
    let mut choice = Choice::new(&contents, comparison);
    let mut end = ImportEnd::Complete;
    let mut packs = Packs::proved(input);
    // While the store writes one list it can prove the next.
    let most = match store.settings().stores_sealed_in_order {
        true => 2,
        false => 1,
    };
    let mut on_their_way = FuturesOrdered::new();
    let mut is_over = false;
    while !is_over || !on_their_way.is_empty() {
        if is_over || on_their_way.len() >= most {
            if let Some((progress, appended)) = on_their_way.next().await {
                counted.take(appended)?;
                reporter.tell(progress);
            }
            continue;
        }
        let mut next = pin!(packs.next());
        let pack = loop {
            let appended = on_their_way.next();
            match select(next.as_mut(), appended).await {
                Either::Left((pack, _)) => break pack?,
                Either::Right((Some((progress, appended)), _)) => {
                    counted.take(appended)?;
                    reporter.tell(progress);
                }
                // Nothing is on its way.
                Either::Right((None, _)) => break next.await?,
            }
        };
        let Some(pack) = pack else {
            is_over = true;
            continue;
        };
        if canceller.is_cancelled() {
            end = ImportEnd::Cancelled;
            is_over = true;
            continue;
        }
        let mut new = Vec::with_capacity(pack.len());
        for commit in pack {
            let events = commit.events();
            progress.events += events.len() as u64;
            let bytes = events.iter().map(|it| it.body().len() as u64 - 1);
            progress.bytes += bytes.sum::<u64>();
            match choice.of(events) {
                Fate::There => counted.there += events.len() as u64,
                Fate::LeftOut => {}
                Fate::New => new.push(commit),
            }
        }
        on_their_way.push_back(async move {
            let appended = match new.is_empty() {
                true => Ok(Vec::new()),
                false => store.append_proved(new).await,
            };
            (progress, appended)
        });
    }
    if end == ImportEnd::Complete && progress.events != contents.events {
        return Err(BundleError::Ended);
    }
    reporter.done(progress);
    let left_out = choice.left_out;
    Ok(Imported {
        stored: counted.stored,
        there: counted.there,
        left_out,
        end,
        verified: contents.into_verified(),
    })
}

/// How many events were stored, and how many were there.
#[derive(Default)]
struct Counted {
    stored: u64,
    there: u64,
}

impl Counted {
    fn take(
        &mut self,
        appended: Result<Vec<AppendedCommit>, StoreError>,
    ) -> Result<(), BundleError> {
        let appended = appended.map_err(|source| BundleError::NotStored {
            events: self.stored + in_part(&source),
            source,
        })?;
        for commit in appended {
            let count = match commit.was_there {
                true => &mut self.there,
                false => &mut self.stored,
            };
            *count += commit.events.len() as u64;
        }
        Ok(())
    }
}

/// The new events of a list that a store took in part.
fn in_part(error: &StoreError) -> u64 {
    let StoreError::PartlyStored(partly) = error else {
        return 0;
    };
    let new = partly.appended().filter(|commit| !commit.was_there);
    new.map(|commit| commit.events.len() as u64).sum()
}

/// What becomes of a commit.
enum Fate {
    There,
    LeftOut,
    New,
}

/// Which commits are stored.
struct Choice<'a> {
    contents: &'a Contents,
    there: Vec<u64>,
    /// The first version of each aggregate that is left out.
    blocked: HashMap<usize, u64>,
    left_out: Vec<LeftOut>,
}

impl<'a> Choice<'a> {
    fn new(contents: &'a Contents, comparison: Comparison) -> Self {
        let mut blocked = HashMap::new();
        let mut left_out = Vec::new();
        for (number, divergence) in comparison.diverged {
            // Nothing of it is stored, and what it goes on from may lie before the file.
            let from = divergence.theirs.sequence.max(contents.ranges[number].from);
            blocked.insert(number, from);
            left_out.push(LeftOut {
                aggregate: divergence.aggregate.clone(),
                from,
                why: WhyLeftOut::Diverged(Box::new(divergence)),
            });
        }
        Self {
            contents,
            there: comparison.there,
            blocked,
            left_out,
        }
    }

    /// What becomes of a commit. One of which a part is there is handed to the store, which says what is wrong.
    fn of(&mut self, events: &[SealedEvent]) -> Fate {
        let numbering = &self.contents.numbering;
        let parts: Vec<(usize, u64)> = events
            .iter()
            .filter_map(|event| {
                let number = numbering.find(&event.envelope)?;
                Some((number, event.envelope.sequence))
            })
            .collect();
        if parts
            .iter()
            .all(|(number, version)| *version <= self.there[*number])
        {
            return Fate::There;
        }
        let is_blocked = |(number, version): &&(usize, u64)| {
            let from = self.blocked.get(number);
            from.is_some_and(|from| version >= from)
        };
        let Some((cause, _)) = parts.iter().find(is_blocked) else {
            return Fate::New;
        };
        let with = numbering.key(*cause);
        for (number, version) in &parts {
            if self.blocked.contains_key(number) {
                continue;
            }
            self.blocked.insert(*number, *version);
            self.left_out.push(LeftOut {
                aggregate: numbering.key(*number).clone(),
                from: *version,
                why: WhyLeftOut::SharesACommit { with: with.clone() },
            });
        }
        Fate::LeftOut
    }
}
