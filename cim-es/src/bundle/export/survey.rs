//! The first pass: which events belong to an export, from where to where of each aggregate. Where that is known of each event
//! when it is seen, as it is of an export of everything, the events are handed on at once, and there is no second pass.

use std::collections::HashSet;

use super::groups::Groups;
use super::packing::Packing;
use super::read;
use super::since::{Known, Since};
use crate::block::{ChainHead, Cid, CommitVerifier, StoredEvent, Verdict};
use crate::bundle::covered::Covered;
use crate::bundle::numbering::Numbering;
use crate::bundle::order::Order;
use crate::bundle::progress::{Canceller, Progress, Reporter, Step};
use crate::bundle::{AggregateRange, BundleError};
use crate::store::{
    AggregateKey, Bookmark, EventStore, Location, Position, Selection, StoreError, StreamExt,
};

/// What is wanted.
#[derive(Debug)]
pub(super) enum Scope {
    Everything,
    Aggregates(HashSet<AggregateKey>),
    Selection(Selection),
}

/// What belongs to an export.
pub(super) struct Survey {
    pub(super) events: u64,
    pub(super) bytes: u64,
    /// The digest of their order.
    pub(super) order: [u8; 32],
    /// Whether it is all that the store has.
    pub(super) whole: bool,
    /// Behind which place of the store is read, and the last event there.
    pub(super) after: Bookmark,
    pub(super) end: Position,
    /// What lies up to here is known.
    known: Position,
    numbering: Numbering,
    tracks: Vec<Track>,
}

/// What was seen of an aggregate.
#[derive(Default)]
struct Track {
    /// What is known of it already.
    known: Option<ChainHead>,
    range: Option<Range>,
    /// The bytes of the blocks in the range.
    bytes: u64,
    is_wanted: bool,
    belongs: bool,
}

#[derive(Clone, Copy)]
struct Range {
    from: u64,
    previous: Option<Cid>,
    to: u64,
    head: Cid,
}

/// An event of the commit that is being read.
struct Seen {
    number: usize,
    position: Position,
    version: u64,
    previous: Option<Cid>,
    cid: Cid,
    bytes: u64,
}

impl Survey {
    /// Hands on what belongs to it, where somebody takes it; what was handed on is of no use after an error.
    pub(super) async fn of(
        store: &dyn EventStore,
        scope: &Scope,
        since: &Since,
        checkpoint: Option<&str>,
        packs: Option<Packing>,
        told: (&Reporter, &Canceller),
    ) -> Result<Self, BundleError> {
        if let Scope::Selection(selection) = scope {
            selection.check().map_err(StoreError::from)?;
        }
        let known = match &since.0 {
            Known::Up(bookmark) => *bookmark,
            Known::Heads(_) => Bookmark::START,
        };
        let after = match scope {
            Scope::Selection(_) if known != Bookmark::START => {
                // Whether an aggregate is wanted may be seen from what is known of it alone.
                let mut behind = store.read(Selection::everything(), known);
                behind.next().await.transpose()?;
                Bookmark::START
            }
            _ => known,
        };
        let mut survey = Self {
            events: 0,
            bytes: 0,
            order: [0; 32],
            whole: match (scope, &since.0) {
                (Scope::Everything, Known::Up(bookmark)) => *bookmark == Bookmark::START,
                _ => false,
            },
            after,
            end: after.position,
            known: known.position,
            numbering: Numbering::default(),
            tracks: Vec::new(),
        };
        if let Known::Heads(heads) = &since.0 {
            for (aggregate, head) in heads {
                let number = survey.numbering.add(aggregate.clone());
                survey.tracks.resize_with(number + 1, Track::default);
                survey.tracks[number].known = Some(*head);
            }
        }
        let covered = match survey.whole {
            true => Covered::by(checkpoint),
            false => Covered::default(),
        };
        let order = match scope {
            Scope::Everything => survey.read(store, scope, covered, packs, told).await?,
            // What belongs to it is known only at the end.
            Scope::Aggregates(_) | Scope::Selection(_) => {
                survey.read(store, scope, covered, None, told).await?;
                survey.order(store, packs, told).await?
            }
        };
        survey.order = order.finish();
        Ok(survey)
    }

    async fn read(
        &mut self,
        store: &dyn EventStore,
        scope: &Scope,
        mut covered: Covered,
        mut packs: Option<Packing>,
        (reporter, canceller): (&Reporter, &Canceller),
    ) -> Result<Order, BundleError> {
        let mut order = Order::default();
        let mut groups = Groups::default();
        let mut commits = CommitVerifier::new();
        let (mut open, mut kept) = (Vec::new(), Vec::new());
        // As many, where the positions of the store have no gaps.
        let expected = store.last_position().await?.0;
        let mut progress = Progress {
            step: Step::Looking,
            events: 0,
            of_events: Some(expected.saturating_sub(self.after.position.0)),
            bytes: 0,
        };
        let mut events = read::events(store, self.after).await?;
        while let Some(event) = events.next().await {
            let event = event?;
            let is_first = self.end == self.after.position && self.after != Bookmark::START;
            if is_first && !event.envelope.commit.is_first_of_whole() {
                return Err(BundleError::InsideACommit {
                    position: self.known,
                });
            }
            let is_end = commits.accept(&event).map_err(in_part)?;
            self.see(&event, scope, &mut open)?;
            self.end = event.position;
            progress.events += 1;
            progress.bytes += event.body().len() as u64 - 1;
            if packs.is_some() {
                kept.push(event);
            }
            if !is_end {
                continue;
            }
            if self.is_new(&open)? {
                self.take(&open, &mut groups);
                for event in &open {
                    order.add(&event.cid);
                    covered.add(&event.cid);
                }
                if let Some(packs) = &mut packs {
                    kept.drain(..).for_each(|event| packs.add(event));
                    packs.hand_over().await?;
                }
            }
            open.clear();
            kept.clear();
            if progress.events.is_multiple_of(256) {
                canceller.check()?;
                reporter.tell(progress);
            }
        }
        commits.finish().map_err(in_part)?;
        if let Some(packs) = packs {
            packs.finish().await?;
        }
        self.choose(scope, &mut groups);
        progress.of_events = Some(progress.events);
        reporter.done(progress);
        if let (1.., Some(covered)) = (self.events, covered.differs()) {
            let events = self.events;
            return Err(BundleError::OtherCheckpoint { covered, events });
        }
        let reason = match (self.events, progress.events) {
            (1.., _) => return Ok(order),
            (0, 0) => "the store has no event there",
            (0, _) => "no event is wanted that is new",
        };
        Err(BundleError::Nothing { reason })
    }

    /// The order of the events that belong to it.
    async fn order(
        &self,
        store: &dyn EventStore,
        mut packs: Option<Packing>,
        (reporter, canceller): (&Reporter, &Canceller),
    ) -> Result<Order, BundleError> {
        let mut order = Order::default();
        let mut progress = Progress {
            step: Step::Looking,
            events: 0,
            of_events: Some(self.events),
            bytes: 0,
        };
        let mut events = read::events(store, self.after).await?;
        while let Some(event) = events.next().await {
            let event = event?;
            let is_last = event.position >= self.end;
            canceller.check()?;
            if self.includes(&event) {
                progress.events += 1;
                progress.bytes += event.body().len() as u64 - 1;
                order.add(&event.cid);
                if let Some(packs) = &mut packs {
                    packs.add(event);
                    if packs.hand_over().await? {
                        reporter.tell(progress);
                    }
                }
            }
            if is_last {
                break;
            }
        }
        self.compare(progress.events, progress.bytes)?;
        if let Some(packs) = packs {
            packs.finish().await?;
        }
        Ok(order)
    }

    /// Compares what the store gave when it was read once more.
    pub(super) fn compare(&self, events: u64, bytes: u64) -> Result<(), BundleError> {
        if (events, bytes) == (self.events, self.bytes) {
            return Ok(());
        }
        let reason = format!(
            "{events} events of {bytes} bytes in place of {} of {}",
            self.events, self.bytes
        );
        Err(BundleError::Changed { reason })
    }

    fn see(
        &mut self,
        event: &StoredEvent,
        scope: &Scope,
        open: &mut Vec<Seen>,
    ) -> Result<(), BundleError> {
        let envelope = &event.envelope;
        let number = self.numbering.number(envelope).map_err(StoreError::from)?;
        if number == self.tracks.len() {
            self.tracks.push(Track::default());
            if let Scope::Aggregates(wanted) = scope {
                self.tracks[number].is_wanted = wanted.contains(self.numbering.key(number));
            }
        }
        let track = &mut self.tracks[number];
        match scope {
            Scope::Selection(selection) if !track.is_wanted => {
                track.is_wanted = selection.includes(event);
            }
            _ => {}
        }
        open.push(Seen {
            number,
            position: event.position,
            version: envelope.sequence,
            previous: envelope.previous,
            cid: event.cid,
            bytes: event.body().len() as u64 - 1,
        });
        Ok(())
    }

    /// Whether a commit is new, all of it.
    fn is_new(&self, commit: &[Seen]) -> Result<bool, BundleError> {
        let is_known = |event: &&Seen| event.position <= self.known;
        match commit.iter().filter(is_known).count() {
            0 => {}
            known if known == commit.len() => return Ok(false),
            _ => {
                return Err(BundleError::InsideACommit {
                    position: self.known,
                });
            }
        }
        let mut new = 0;
        let mut first_new = None;
        for event in commit {
            let known = self.tracks[event.number].known;
            match known {
                Some(known) if event.version <= known.sequence => {
                    if event.version == known.sequence && event.cid != known.cid {
                        return Err(BundleError::OtherHeads {
                            aggregate: Box::new(self.numbering.key(event.number).clone()),
                            ours: Box::new(event.cid),
                            theirs: Box::new(known),
                        });
                    }
                }
                _ => {
                    new += 1;
                    first_new.get_or_insert(event);
                }
            }
        }
        match first_new {
            None => Ok(false),
            Some(_) if new == commit.len() => Ok(true),
            Some(event) => Err(BundleError::HeadsCutACommit {
                aggregate: Box::new(self.numbering.key(event.number).clone()),
                version: event.version,
                cid: Box::new(event.cid),
            }),
        }
    }

    fn take(&mut self, commit: &[Seen], groups: &mut Groups) {
        for event in commit {
            groups.add(event.number);
            let track = &mut self.tracks[event.number];
            track.bytes += event.bytes;
            let range = track.range.get_or_insert(Range {
                from: event.version,
                previous: event.previous,
                to: event.version,
                head: event.cid,
            });
            (range.to, range.head) = (event.version, event.cid);
        }
        for pair in commit.windows(2) {
            groups.join(pair[0].number, pair[1].number);
        }
    }

    /// Finds out whose events belong to the export, now that it is known who has commits in common with whom.
    fn choose(&mut self, scope: &Scope, groups: &mut Groups) {
        let has_range = |track: &Track| track.range.is_some();
        let mut wanted = HashSet::new();
        for (number, track) in self.tracks.iter_mut().enumerate() {
            track.is_wanted |= matches!(scope, Scope::Everything);
            if track.is_wanted && has_range(track) {
                wanted.insert(groups.of(number));
            }
        }
        for (number, track) in self.tracks.iter_mut().enumerate() {
            track.belongs = has_range(track) && wanted.contains(&groups.of(number));
            if let (true, Some(range)) = (track.belongs, track.range) {
                self.events += range.to - range.from + 1;
                self.bytes += track.bytes;
            }
        }
    }

    /// What belongs to it, in the order of kinds and ids.
    pub(super) fn ranges(&self) -> Vec<AggregateRange> {
        let named = self.numbering.keys().iter().zip(&self.tracks);
        let ranges = named.filter(|(_, track)| track.belongs);
        let mut ranges: Vec<_> = ranges
            .filter_map(|(aggregate, track)| {
                let range = track.range?;
                Some(AggregateRange {
                    aggregate: aggregate.clone(),
                    from: range.from,
                    previous: range.previous,
                    to: range.to,
                    head: range.head,
                })
            })
            .collect();
        ranges.sort_by(|one, other| one.name().cmp(&other.name()));
        ranges
    }

    /// What belongs to it and was not asked for.
    pub(super) fn drawn_in(&self) -> Vec<AggregateKey> {
        let named = self.numbering.keys().iter().zip(&self.tracks);
        let drawn_in = named.filter(|(_, track)| track.belongs && !track.is_wanted);
        drawn_in.map(|(aggregate, _)| aggregate.clone()).collect()
    }

    /// Whether an event belongs to it.
    pub(super) fn includes(&self, event: &StoredEvent) -> bool {
        let Some(number) = self.numbering.find(&event.envelope) else {
            return false;
        };
        let track = &self.tracks[number];
        let is_in = |range: Range| (range.from..=range.to).contains(&event.envelope.sequence);
        track.belongs && track.range.is_some_and(is_in)
    }
}

/// A store that has a part of a commit.
fn in_part(verdict: Verdict) -> BundleError {
    verdict
        .into_damage(Location::Other("the store".into()))
        .into()
}
