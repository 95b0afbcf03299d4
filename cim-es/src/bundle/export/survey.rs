//! The first pass: which events belong to an export, from where to where of each aggregate. Where that is known of each event
//! when it is seen, as it is of an export of everything, the events are handed on at once, and there is no second pass.

use std::collections::HashSet;

use super::groups::Groups;
use super::looked::Looked;
use super::packing::{Blocks, Cut, Handing};
use super::read;
use super::since::{Known, Since};
use crate::block::{ChainHead, CommitVerifier, ShortCid, StoredEvent, Verdict};
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
    previous: Option<ShortCid>,
    to: u64,
    head: ShortCid,
}

/// An event of the commit that is being read.
struct Seen {
    number: usize,
    position: Position,
    version: u64,
    previous: Option<ShortCid>,
    cid: ShortCid,
    bytes: u64,
}

impl Survey {
    /// Hands on what belongs to it, where somebody takes it; what was handed on is of no use after an error.
    pub(super) async fn of(
        store: &dyn EventStore,
        scope: &Scope,
        since: &Since,
        checkpoint: Option<&str>,
        packs: Option<Handing<Blocks>>,
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
            whole: matches!(scope, Scope::Everything) && since.is_start(),
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
        packs: Option<Handing<Blocks>>,
        (reporter, canceller): (&Reporter, &Canceller),
    ) -> Result<Order, BundleError> {
        let mut order = Order::default();
        let mut groups = Groups::default();
        let mut commits = CommitVerifier::new();
        let mut open = Vec::new();
        // As many, where the positions of the store have no gaps.
        let expected = store.last_position().await?.0;
        let mut progress = Progress {
            step: Step::Looking,
            events: 0,
            of_events: Some(expected.saturating_sub(self.after.position.0)),
            bytes: 0,
        };
        let selection = match scope {
            Scope::Selection(selection) => Some(selection),
            Scope::Everything | Scope::Aggregates(_) => None,
        };
        let mut cut = packs.map(Cut::new);
        let mut pages = read::pages(store, self.after, cut.is_some(), selection).await?;
        while let Some(page) = pages.next().await {
            let page = page?;
            for event in &page.events {
                let is_first = self.end == self.after.position && self.after != Bookmark::START;
                if is_first && !event.commit.is_first_of_whole() {
                    return Err(BundleError::InsideACommit {
                        position: self.known,
                    });
                }
                let aggregate = page.aggregate(event);
                let is_end = commits
                    .accept_part(event.place(), event.commit, event.timestamp, || aggregate)
                    .map_err(in_part)?;
                self.see(event, aggregate, scope, &mut open)?;
                self.end = event.position;
                progress.events += 1;
                progress.bytes += event.bytes;
                if !is_end {
                    continue;
                }
                let is_new = self.is_new(&open)?;
                if is_new {
                    self.take(&open, &mut groups);
                    for event in &open {
                        order.add_short(event.cid);
                        covered.add(&event.cid.cid());
                    }
                }
                if let Some(cut) = &mut cut {
                    cut.commit(event.end, is_new).await?;
                }
                open.clear();
            }
            if let (Some(cut), Some(blocks)) = (&mut cut, page.blocks) {
                cut.page(blocks).await?;
            }
            canceller.check()?;
            reporter.tell(progress);
        }
        commits.finish().map_err(in_part)?;
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
        packs: Option<Handing<Blocks>>,
        (reporter, canceller): (&Reporter, &Canceller),
    ) -> Result<Order, BundleError> {
        let mut order = Order::default();
        let mut progress = Progress {
            step: Step::Looking,
            events: 0,
            of_events: Some(self.events),
            bytes: 0,
        };
        let mut cut = packs.map(Cut::new);
        let mut pages = read::pages(store, self.after, cut.is_some(), None).await?;
        let mut is_done = false;
        while let Some(page) = pages.next().await {
            let page = page?;
            for event in &page.events {
                if is_done {
                    break;
                }
                is_done = event.position >= self.end;
                let is_wanted = self.has(page.aggregate(event), event.sequence);
                if is_wanted {
                    progress.events += 1;
                    progress.bytes += event.bytes;
                    order.add_short(event.cid);
                }
                if let Some(cut) = &mut cut {
                    cut.commit(event.end, is_wanted).await?;
                }
            }
            if let (Some(cut), Some(blocks)) = (&mut cut, page.blocks) {
                cut.page(blocks).await?;
            }
            canceller.check()?;
            reporter.tell(progress);
            if is_done {
                break;
            }
        }
        self.compare(progress.events, progress.bytes)?;
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
        event: &Looked,
        (kind, id): (&str, &str),
        scope: &Scope,
        open: &mut Vec<Seen>,
    ) -> Result<(), BundleError> {
        let number = self.numbering.number_named(kind, id);
        let number = number.map_err(StoreError::from)?;
        if number == self.tracks.len() {
            self.tracks.push(Track::default());
            if let Scope::Aggregates(wanted) = scope {
                self.tracks[number].is_wanted = wanted.contains(self.numbering.key(number));
            }
        }
        self.tracks[number].is_wanted |= event.is_wanted;
        open.push(Seen {
            number,
            position: event.position,
            version: event.sequence,
            previous: event.previous,
            cid: event.cid,
            bytes: event.bytes,
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
                    if event.version == known.sequence && event.cid.cid() != known.cid {
                        return Err(BundleError::OtherHeads {
                            aggregate: Box::new(self.numbering.key(event.number).clone()),
                            ours: Box::new(event.cid.cid()),
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
                cid: Box::new(event.cid.cid()),
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
                    previous: range.previous.map(|previous| previous.cid()),
                    to: range.to,
                    head: range.head.cid(),
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
        let envelope = &event.envelope;
        self.has(
            (&envelope.aggregate, &envelope.aggregate_id),
            envelope.sequence,
        )
    }

    fn has(&self, (kind, id): (&str, &str), version: u64) -> bool {
        let Some(number) = self.numbering.find_named(kind, id) else {
            return false;
        };
        let track = &self.tracks[number];
        let is_in = |range: Range| (range.from..=range.to).contains(&version);
        track.belongs && track.range.is_some_and(is_in)
    }
}

/// A store that has a part of a commit.
fn in_part(verdict: Verdict) -> BundleError {
    verdict
        .into_damage(Location::Other("the store".into()))
        .into()
}
