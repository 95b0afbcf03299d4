//! The first pass: everything is proved, and nothing is stored.

use std::path::Path;

use super::Verified;
use super::input::Input;
use super::read::{Begun, Commit};
use crate::block::{Cid, Fault, StoredEvent};
use crate::bundle::covered::Covered;
use crate::bundle::numbering::Numbering;
use crate::bundle::order::Order;
use crate::bundle::progress::{Canceller, Progress, Reporter, Step};
use crate::bundle::{AggregateRange, At, BundleError, BundleFault, Manifest};

/// What a file holds.
pub(super) struct Contents {
    pub(super) numbering: Numbering,
    /// By the numbers of the aggregates.
    pub(super) ranges: Vec<AggregateRange>,
    pub(super) events: u64,
    pub(super) manifest: Option<Manifest>,
    pub(super) signed_by: Option<String>,
}

impl Contents {
    pub(super) fn into_verified(self) -> Verified {
        let mut aggregates = self.ranges;
        aggregates.sort_by(|one, other| one.name().cmp(&other.name()));
        Verified {
            aggregates,
            events: self.events,
            manifest: self.manifest,
            signed_by: self.signed_by,
        }
    }
}

/// Proves a file.
pub(super) fn verify(
    input: &Input,
    reporter: &Reporter,
    canceller: &Canceller,
) -> Result<Contents, BundleError> {
    let (
        Begun {
            manifest,
            signed_by,
        },
        mut commits,
    ) = input.commits()?;
    let mut seen = Seen::new(input.path(), manifest.as_ref());
    let mut progress = Progress {
        step: Step::Verifying,
        events: 0,
        of_events: manifest.as_ref().map(Manifest::events),
        bytes: 0,
    };
    while let Some(commit) = commits.next()? {
        canceller.check()?;
        progress.events += commit.events.len() as u64;
        let bytes = commit.events.iter().map(|it| it.body().len() as u64 - 1);
        progress.bytes += bytes.sum::<u64>();
        seen.take(commit)?;
        reporter.tell(progress);
    }
    reporter.done(progress);
    let ranges = seen.finish(progress.bytes)?;
    Ok(Contents {
        numbering: ranges.0,
        ranges: ranges.1,
        events: progress.events,
        manifest,
        signed_by,
    })
}

/// What was seen of a file.
struct Seen<'a> {
    path: &'a Path,
    manifest: Option<&'a Manifest>,
    numbering: Numbering,
    /// The events of each aggregate so far; none where the manifest names it and none was seen.
    ranges: Vec<Option<AggregateRange>>,
    order: Order,
    /// Beside the checkpoint, where all that it covers is here.
    covered: Covered,
}

impl<'a> Seen<'a> {
    fn new(path: &'a Path, manifest: Option<&'a Manifest>) -> Self {
        let mut numbering = Numbering::default();
        for range in manifest.iter().flat_map(|manifest| &manifest.aggregates) {
            numbering.add(range.aggregate.clone());
        }
        Self {
            path,
            manifest,
            ranges: vec![None; numbering.keys().len()],
            numbering,
            order: Order::default(),
            covered: match manifest {
                Some(manifest) if manifest.whole => Covered::by(manifest.checkpoint.as_deref()),
                _ => Covered::default(),
            },
        }
    }

    fn take(&mut self, commit: Commit) -> Result<(), BundleError> {
        for event in &commit.events {
            self.order.add(&event.cid);
            self.covered.add(&event.cid);
            self.follow(event)
                .map_err(|fault| BundleError::refused(self.path, commit.at, fault))?;
        }
        commit.prove(self.path).map(drop)
    }

    /// Holds an event against those of its aggregate that came before, and against the manifest.
    fn follow(&mut self, event: &StoredEvent) -> Result<(), BundleFault> {
        let envelope = &event.envelope;
        let number = match self.manifest {
            Some(_) => self.numbering.find(envelope),
            None => None,
        };
        let number = match number {
            Some(number) => number,
            None => {
                let number = self.numbering.number(envelope);
                number.map_err(|error| BundleFault::of_commit(error.into()))?
            }
        };
        let wanted = self.manifest.map(|it| it.aggregates.get(number));
        let (version, previous) = (envelope.sequence, envelope.previous);
        let is_in = |range: &AggregateRange| (range.from..=range.to).contains(&version);
        if wanted.is_some_and(|range| !range.is_some_and(is_in)) {
            return Err(BundleFault::NotInTheManifest {
                aggregate: Box::new(self.numbering.key(number).clone()),
                version,
            });
        }
        if number == self.ranges.len() {
            self.ranges.push(None);
        }
        let wrong = |fault: Fault| Err(BundleFault::Event(fault.at(event.place())));
        if let Some(range) = &mut self.ranges[number] {
            if version == range.to && event.cid != range.head {
                return wrong(Fault::Fork { other: range.head });
            }
            if Some(version) != range.to.checked_add(1) {
                return wrong(Fault::Gap {
                    expected: range.to.saturating_add(1),
                    found: version,
                });
            }
            if previous != Some(range.head) {
                return wrong(Fault::PreviousMismatch {
                    expected: Some(range.head),
                    found: previous,
                });
            }
            (range.to, range.head) = (version, event.cid);
            return Ok(());
        }
        if let Some(range) = wanted.flatten() {
            if version != range.from {
                return wrong(Fault::Gap {
                    expected: range.from,
                    found: version,
                });
            }
            if previous != range.previous {
                return wrong(Fault::PreviousMismatch {
                    expected: range.previous,
                    found: previous,
                });
            }
        }
        if (version == 1) != previous.is_none() {
            return wrong(Fault::PreviousMismatch {
                expected: None,
                found: previous,
            });
        }
        self.ranges[number] = Some(AggregateRange {
            aggregate: self.numbering.key(number).clone(),
            from: version,
            previous,
            to: version,
            head: event.cid,
        });
        Ok(())
    }

    /// Holds what was seen in all against the manifest.
    fn finish(self, bytes: u64) -> Result<(Numbering, Vec<AggregateRange>), BundleError> {
        let refused = |fault| BundleError::refused(self.path, At::Whole, fault);
        let contradicted = |what: String, says: String, found: String| {
            let fault = BundleFault::Contradicted { what, says, found };
            Err(refused(fault))
        };
        let Some(manifest) = self.manifest else {
            let ranges: Vec<_> = self.ranges.into_iter().flatten().collect();
            return match ranges.is_empty() {
                true => Err(refused(BundleFault::Empty)),
                false => Ok((self.numbering, ranges)),
            };
        };
        for (range, seen) in manifest.aggregates.iter().zip(&self.ranges) {
            let end = |version: u64, cid: Cid| format!("version {version}, event {cid}");
            let found = match seen {
                Some(seen) if (seen.to, seen.head) == (range.to, range.head) => continue,
                Some(seen) => end(seen.to, seen.head),
                None => "none of its events".to_owned(),
            };
            let what = format!("the last event of {}", range.aggregate);
            return contradicted(what, end(range.to, range.head), found);
        }
        // Their number follows from the versions of the aggregates, which are all there.
        if bytes != manifest.bytes {
            let what = "the number of bytes of its blocks".to_owned();
            return contradicted(what, manifest.bytes.to_string(), bytes.to_string());
        }
        if self.order.finish() != manifest.order {
            let what = "the order of its events".to_owned();
            let says = "another one".to_owned();
            return contradicted(what, says, "one that was changed".to_owned());
        }
        if let Some(covered) = self.covered.differs() {
            let events = manifest.events();
            return Err(refused(BundleFault::OtherHistory { covered, events }));
        }
        Ok((self.numbering, manifest.aggregates.clone()))
    }
}
