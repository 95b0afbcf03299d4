//! The queue: the part of the file that the stream has not acknowledged, read from the file page by page.

use super::connector::LocalStore;
use super::parked::aggregates;
use super::protocol::Protocol;
use super::state::Kept;
use crate::block::{EventBlock, StoredEvent};
use crate::store::{
    AggregateKey, EventStream, Position, SealedCommit, Selection, StoreError, StreamExt,
};

/// A list of commits ends with the one that reaches one of these.
const MOST_BYTES: usize = 4 << 20;
/// After so many events that need not be sent a page ends, so that a step is short.
const MOST_PASSED: usize = 10_000;
/// A range of settled positions as long as this is not read.
const WORTH_A_JUMP: u64 = 256;

/// A commit of the file.
pub(super) struct Queued {
    pub(super) events: Vec<StoredEvent>,
}

impl Queued {
    pub(super) fn sealed(&self) -> SealedCommit {
        SealedCommit {
            events: self.events.iter().map(EventBlock::from).collect(),
        }
    }
}

/// The next commits of the queue.
pub(super) struct Page {
    pub(super) commits: Vec<Queued>,
    /// Up to where the queue was looked through.
    pub(super) reached: Position,
    /// Whether commits were passed over.
    pub(super) has_passed: bool,
    /// How many times the place was set back before it was read.
    pub(super) resets: u64,
}

impl Protocol {
    /// Reads the next commits of the queue: at most so many events, and one commit at least. What follows on an aggregate
    /// that waits is passed over, and the other aggregates of such a commit wait with it.
    pub(super) async fn queued(&self, most_events: usize) -> Result<Page, StoreError> {
        let (start, resets) = {
            let kept = self.kept();
            let start = kept.cursor.max(kept.settled.up_to());
            let start = kept
                .settled
                .end_of_range(start.0 + 1)
                .map_or(start, Position);
            (start, kept.resets)
        };
        let mut page = Page {
            commits: Vec::new(),
            reached: start,
            has_passed: false,
            resets,
        };
        let mut events = behind(&*self.local, start);
        let (mut open, mut count, mut bytes, mut passed) = (Vec::new(), 0, 0, 0);
        while count < most_events && bytes < MOST_BYTES && passed < MOST_PASSED {
            let Some(event) = events.next().await.transpose()? else {
                break;
            };
            let (is_last, position) = (event.envelope.commit.is_last_of_whole(), event.position);
            open.push(event);
            if !is_last {
                continue;
            }
            let commit = std::mem::take(&mut open);
            page.reached = position;
            match self.fate(&commit) {
                Fate::Send => {
                    count += commit.len();
                    bytes += commit.iter().map(|it| it.body().len()).sum::<usize>();
                    page.commits.push(Queued { events: commit });
                }
                Fate::Pass => {
                    passed += commit.len();
                    page.has_passed = true;
                }
                Fate::Jump(to) => {
                    page.reached = to;
                    page.has_passed = true;
                    events = behind(&*self.local, to);
                }
            }
        }
        Ok(page)
    }

    fn fate(&self, commit: &[StoredEvent]) -> Fate {
        let mut kept = self.kept();
        let Some(first) = commit.first() else {
            return Fate::Pass;
        };
        if let Some(end) = kept.settled.end_of_range(first.position.0) {
            let last = commit.last().map_or(first.position, |last| last.position);
            return match end.saturating_sub(last.0) > WORTH_A_JUMP {
                true => Fate::Jump(Position(end)),
                false => Fate::Pass,
            };
        }
        match kept.has_blocks() && hold_back(&mut kept, commit) {
            true => Fate::Pass,
            false => Fate::Send,
        }
    }
}

/// What becomes of a commit of the file.
enum Fate {
    Send,
    Pass,
    Jump(Position),
}

/// Whether a commit waits; then all of its aggregates do, from there on.
fn hold_back(kept: &mut Kept, commit: &[StoredEvent]) -> bool {
    let keys = aggregates(commit);
    let position = commit.first().map_or(Position::START, |it| it.position);
    let blocks = keys.iter().filter_map(|key| kept.block(key));
    let mut causes = blocks.filter(|block| block.holds(position));
    // What diverged holds more than what is parked.
    let strongest = causes.clone().find(|block| block.cause.blocks_down());
    let Some(block) = strongest.or_else(|| causes.next()) else {
        return false;
    };
    let cause = block.cause.clone();
    if stands_before_all_divergences(kept, commit) {
        return false;
    }
    for key in &keys {
        kept.wait_behind(key, &cause, None, Some(position));
    }
    if kept.is_discarded(&cause) {
        kept.settle(commit);
    }
    true
}

/// Whether both sides have a commit, as far as its aggregates wait at all: it stands before what diverged, and is not known
/// to have been sent. It concerns nobody, and is sent once more to hear that it is there.
fn stands_before_all_divergences(kept: &mut Kept, commit: &[StoredEvent]) -> bool {
    commit.iter().all(|event| {
        let key = AggregateKey::of_event(event);
        let block = kept.block(&key);
        if block.is_none_or(|block| !block.holds(event.position)) {
            return true;
        }
        let open = kept.open_divergence(&key);
        open.is_some_and(|(_, it)| event.envelope.sequence <= it.common_version())
    })
}

fn behind(local: &dyn LocalStore, position: Position) -> EventStream {
    local.read(Selection::everything(), position.into())
}
