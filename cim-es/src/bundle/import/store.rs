//! The last pass: what is new is stored, whole commits in the order of the file.

use std::collections::HashMap;

use super::compare::Comparison;
use super::input::Input;
use super::packs::Packs;
use super::verify::Contents;
use super::{ImportEnd, Imported, LeftOut, WhyLeftOut};
use crate::block::{EventBlock, StoredEvent};
use crate::bundle::BundleError;
use crate::bundle::progress::{Canceller, Progress, Reporter, Step};
use crate::store::{EventStore, SealedCommit, StoreError};

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
    let (mut stored, mut there) = (0, 0);
    let mut choice = Choice::new(&contents, comparison);
    let mut end = ImportEnd::Complete;
    let mut packs = Packs::of(input);
    while let Some(pack) = packs.next().await? {
        if canceller.is_cancelled() {
            end = ImportEnd::Cancelled;
            break;
        }
        let mut new = Vec::with_capacity(pack.len());
        for commit in pack {
            let events = commit.events;
            progress.events += events.len() as u64;
            progress.bytes += events
                .iter()
                .map(|it| it.body().len() as u64 - 1)
                .sum::<u64>();
            match choice.of(&events) {
                Fate::There => there += events.len() as u64,
                Fate::LeftOut => {}
                Fate::New => new.push(SealedCommit {
                    events: events.iter().map(EventBlock::from).collect(),
                }),
            }
        }
        if !new.is_empty() {
            let appended = store.append_sealed(new).await;
            let appended = appended.map_err(|source| BundleError::NotStored {
                events: stored + in_part(&source),
                source,
            })?;
            for commit in appended {
                *if commit.was_there {
                    &mut there
                } else {
                    &mut stored
                } += commit.events.len() as u64;
            }
        }
        reporter.tell(progress);
    }
    if end == ImportEnd::Complete && progress.events != contents.events {
        return Err(BundleError::Ended);
    }
    reporter.done(progress);
    let left_out = choice.left_out;
    Ok(Imported {
        stored,
        there,
        left_out,
        end,
        verified: contents.into_verified(),
    })
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
    fn of(&mut self, events: &[StoredEvent]) -> Fate {
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
