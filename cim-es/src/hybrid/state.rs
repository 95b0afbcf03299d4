//! What a node knows of itself and of the stream, in memory and in the file.
//!
//! | name | what it is | losing it |
//! |---|---|---|
//! | `node` | the id of this node | another name in the stream |
//! | `up` | which positions of the file need not be sent any more | they are compared with the stream again |
//! | `down` | up to where the stream was read | it is read and compared again |
//! | `flushed` | the last event of the file that the stream acknowledged | as `up` |
//! | `marked` | what the stream was told of that, and kept | a stream that was made anew is noticed later |
//! | `block/…` | an aggregate that waits, and behind what | it is found again |
//! | `parked/…` | a commit that was set aside | it is tried again |
//! | `divergence/…` | an aggregate whose two sides differ | it is found again, and told again |
//! | `notice/…` | what a person should know | it is not known |

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::divergence::{Divergence, DivergenceCause, Resolved};
use super::notice::Notice;
use super::parked::{ParkedCommit, Way};
use super::positions::{Echoes, Positions};
use crate::block::StoredEvent;
use crate::store::{AggregateKey, Bookmark, Damage, Position, StateChange, StoreError, SyncState};

const NODE: &str = "node";
const UP: &str = "up";
const DOWN: &str = "down";
const FLUSHED: &str = "flushed";
const MARKED: &str = "marked";
const BLOCK: &str = "block/";
const PARKED: &str = "parked/";
const DIVERGENCE: &str = "divergence/";
const NOTICE: &str = "notice/";

/// Names one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Node,
    Up,
    Down,
    Flushed,
    Marked,
    Block(AggregateKey),
    Parked(Way, Position),
    Divergence(u64),
    Notice(u64),
}

/// Names of values that are being written.
pub(super) struct Writing(Vec<Name>);

impl fmt::Display for Name {
    /// The number of a thing is as long as any, so that the order of the names is that of the numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str(NODE),
            Self::Up => f.write_str(UP),
            Self::Down => f.write_str(DOWN),
            Self::Flushed => f.write_str(FLUSHED),
            Self::Marked => f.write_str(MARKED),
            Self::Block(aggregate) => write!(f, "{BLOCK}{aggregate}"),
            Self::Parked(Way::Up, position) => write!(f, "{PARKED}up/{:020}", position.0),
            Self::Parked(Way::Down, position) => write!(f, "{PARKED}down/{:020}", position.0),
            Self::Divergence(number) => write!(f, "{DIVERGENCE}{number:020}"),
            Self::Notice(number) => write!(f, "{NOTICE}{number:020}"),
        }
    }
}

/// What a node knows of itself and of the stream.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) node: Uuid,
    /// The epoch of the file whose positions these are.
    pub(super) epoch: usize,
    /// The positions of the file that need not be sent: they are in the stream, or were discarded.
    pub(super) settled: Positions,
    /// Up to where the stream was read.
    pub(super) down: Bookmark,
    /// The last event of the file that the stream acknowledged.
    pub(super) flushed: Bookmark,
    /// What the stream keeps of that, as far as it was told.
    pub(super) marked: Bookmark,
    blocks: HashMap<AggregateKey, Block>,
    parked: BTreeMap<(Way, Position), ParkedCommit>,
    divergences: BTreeMap<u64, Divergence>,
    notices: BTreeMap<u64, Notice>,
    /// Up to where the queue was looked through by this program.
    pub(super) cursor: Position,
    /// How many events the stream acknowledged to this program.
    pub(super) sent: u64,
    /// How many times a place was set back.
    pub(super) resets: u64,
    pub(super) echoes: Echoes,
    /// The aggregates that diverged and cannot be taken again by this program.
    for_a_person: HashSet<AggregateKey>,
    /// The names of what is to be written.
    dirty: HashSet<Name>,
}

/// An aggregate that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Block {
    pub(super) cause: Cause,
    /// Where reading the stream goes on from, once it waits no longer, for what was passed over.
    pub(super) skipped: Option<Bookmark>,
    /// The position of the file from which its commits wait; what stands before goes on. None where all of them wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Position>,
}

impl Block {
    /// Whether a commit at a position of the file waits.
    pub(super) fn holds(&self, position: Position) -> bool {
        self.from.is_none_or(|from| position >= from)
    }
}

/// Behind what an aggregate waits. Nothing goes up from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    /// Behind the divergence of an aggregate, which may be itself.
    Diverged(AggregateKey),
    /// Behind a commit that was set aside.
    Parked(Way, Position),
}

impl Cause {
    /// Whether nothing goes down to the aggregate, and no command is taken on it.
    pub(super) fn blocks_down(&self) -> bool {
        !matches!(self, Self::Parked(Way::Up, _))
    }
}

impl Kept {
    /// Reads what is kept; a file that knows nothing yet gets the id of a node.
    pub(super) async fn load(state: &(impl SyncState + ?Sized)) -> Result<Self, StoreError> {
        let mut kept = Self {
            node: Uuid::now_v7(),
            epoch: 0,
            settled: Positions::default(),
            down: Bookmark::START,
            flushed: Bookmark::START,
            marked: Bookmark::START,
            blocks: HashMap::new(),
            parked: BTreeMap::new(),
            divergences: BTreeMap::new(),
            notices: BTreeMap::new(),
            cursor: Position::START,
            sent: 0,
            resets: 0,
            echoes: Echoes::default(),
            for_a_person: HashSet::new(),
            dirty: HashSet::new(),
        };
        match get(state, NODE).await? {
            Some(node) => kept.node = node,
            None => drop(kept.dirty.insert(Name::Node)),
        }
        kept.settled = get(state, UP).await?.unwrap_or_default();
        kept.down = get(state, DOWN).await?.unwrap_or_default();
        kept.flushed = get(state, FLUSHED).await?.unwrap_or_default();
        kept.marked = get(state, MARKED).await?.unwrap_or_default();
        for (_, (aggregate, block)) in list::<(AggregateKey, Block)>(state, BLOCK).await? {
            kept.blocks.insert(aggregate, block);
        }
        for (_, commit) in list::<ParkedCommit>(state, PARKED).await? {
            kept.parked.insert((commit.way, commit.position), commit);
        }
        kept.divergences = numbered(state, DIVERGENCE).await?;
        kept.notices = numbered(state, NOTICE).await?;
        kept.cursor = kept.settled.up_to();
        Ok(kept)
    }

    /// What is to be written; what could not be is taken back by [`unsaved`](Self::unsaved).
    pub(super) fn changes(&mut self) -> (Writing, Vec<StateChange>) {
        let names: Vec<_> = std::mem::take(&mut self.dirty).into_iter().collect();
        let changes = names.iter().map(|name| StateChange {
            name: name.to_string(),
            value: self.encoded(name),
        });
        let changes = changes.collect();
        (Writing(names), changes)
    }

    /// Takes back what could not be written.
    pub(super) fn unsaved(&mut self, writing: Writing) {
        self.dirty.extend(writing.0);
    }

    fn encoded(&self, name: &Name) -> Option<Bytes> {
        match name {
            Name::Node => encode(&self.node),
            Name::Up => encode(&self.settled),
            Name::Down => encode(&self.down),
            Name::Flushed => encode(&self.flushed),
            Name::Marked => encode(&self.marked),
            Name::Block(aggregate) => encode(&self.blocks.get_key_value(aggregate)?),
            Name::Parked(way, position) => encode(self.parked.get(&(*way, *position))?),
            Name::Divergence(number) => encode(self.divergences.get(number)?),
            Name::Notice(number) => encode(self.notices.get(number)?),
        }
    }

    /// Whether something is to be written.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    // The way up.

    /// A commit of the file need not be sent any more.
    pub(super) fn settle(&mut self, events: &[StoredEvent]) {
        if let (Some(first), Some(last)) = (events.first(), events.last()) {
            self.settled.add(first.position.0, last.position.0);
            self.dirty.insert(Name::Up);
        }
    }

    /// The stream acknowledged a commit of the file.
    pub(super) fn flushed(&mut self, at: Bookmark) {
        if at.position > self.flushed.position {
            self.flushed = at;
            self.dirty.insert(Name::Flushed);
        }
    }

    /// The stream keeps how far this node is.
    pub(super) fn marked(&mut self, at: Bookmark) {
        if at != self.marked {
            self.marked = at;
            self.dirty.insert(Name::Marked);
        }
    }

    /// The queue is looked through again from its first commit.
    pub(super) fn look_again(&mut self) {
        self.cursor = self.settled.up_to();
        self.resets += 1;
    }

    // The way down.

    /// The stream was read up to a place.
    pub(super) fn read_up_to(&mut self, at: Bookmark) {
        if at != self.down {
            self.down = at;
            self.echoes.forget(at.position);
            self.dirty.insert(Name::Down);
        }
    }

    /// Nothing is known of the stream any more.
    pub(super) fn forget_stream(&mut self) {
        self.settled = Positions::default();
        self.down = Bookmark::START;
        self.flushed = Bookmark::START;
        self.marked = Bookmark::START;
        self.echoes.clear();
        self.look_again();
        for block in self.blocks.values_mut() {
            block.skipped = None;
        }
        self.dirty
            .extend([Name::Up, Name::Down, Name::Flushed, Name::Marked]);
    }

    // What waits.

    pub(super) fn block(&self, aggregate: &AggregateKey) -> Option<&Block> {
        self.blocks.get(aggregate)
    }

    pub(super) fn has_blocks(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// How many aggregates wait.
    pub(super) fn waiting(&self) -> usize {
        self.blocks.len()
    }

    /// Has an aggregate wait behind something, from a position of the file on, or with all that it has. What diverged waits
    /// for that, whatever it waited for before.
    pub(super) fn wait_behind(
        &mut self,
        aggregate: &AggregateKey,
        cause: &Cause,
        skipped: Option<Bookmark>,
        from: Option<Position>,
    ) {
        let is_new = match self.blocks.get(aggregate) {
            None => true,
            Some(block) => !block.cause.blocks_down() && cause.blocks_down(),
        };
        let earlier = self.blocks.get(aggregate).and_then(|block| block.skipped);
        let skipped = match (earlier, skipped) {
            (Some(one), Some(other)) if other.position < one.position => Some(other),
            (Some(one), _) => Some(one),
            (None, other) => other,
        };
        let from = match self.blocks.get(aggregate) {
            Some(block) => block.from.zip(from).map(|(one, other)| one.min(other)),
            None => from,
        };
        let before = self.blocks.get(aggregate).and_then(|block| block.from);
        if !is_new && earlier == skipped && before == from {
            return;
        }
        let cause = match self.blocks.get(aggregate) {
            Some(block) if !is_new => block.cause.clone(),
            _ => cause.clone(),
        };
        if is_new
            && let Cause::Diverged(root) = &cause
            && root != aggregate
            && let Some((number, open)) = self.open_divergence(root)
        {
            open.tied.push(aggregate.clone());
            self.dirty.insert(Name::Divergence(number));
        }
        let block = Block {
            cause,
            skipped,
            from,
        };
        self.blocks.insert(aggregate.clone(), block);
        self.dirty.insert(Name::Block(aggregate.clone()));
    }

    /// Lets the aggregates go on that wait behind something: the queue is looked through again, and the stream is read
    /// again from where something was passed over.
    pub(super) fn go_on(&mut self, cause: &Cause) {
        let behind = |(_, block): &(&AggregateKey, &Block)| block.cause == *cause;
        let freed: Vec<_> = self.blocks.iter().filter(behind).collect();
        let skipped = freed.iter().filter_map(|(_, block)| block.skipped);
        let again = skipped.min_by_key(|at| at.position);
        let freed: Vec<AggregateKey> = freed.into_iter().map(|(key, _)| key.clone()).collect();
        for aggregate in &freed {
            self.blocks.remove(aggregate);
            self.dirty.insert(Name::Block(aggregate.clone()));
        }
        if let Some(at) = again
            && at.position < self.down.position
        {
            self.down = at;
            self.dirty.insert(Name::Down);
        }
        self.look_again();
    }

    // What was set aside.

    pub(super) fn park(&mut self, commit: ParkedCommit, skipped: Option<Bookmark>) {
        let cause = Cause::Parked(commit.way, commit.position);
        let from = (commit.way == Way::Up).then_some(commit.position);
        for aggregate in &commit.aggregates {
            self.wait_behind(aggregate, &cause, skipped, from);
        }
        self.dirty.insert(Name::Parked(commit.way, commit.position));
        self.parked.insert((commit.way, commit.position), commit);
    }

    pub(super) fn unpark(&mut self, way: Way, position: Position) -> Option<ParkedCommit> {
        let commit = self.parked.remove(&(way, position))?;
        self.dirty.insert(Name::Parked(commit.way, commit.position));
        Some(commit)
    }

    pub(super) fn parked(&self) -> impl Iterator<Item = &ParkedCommit> {
        self.parked.values()
    }

    // What diverged.

    pub(super) fn diverged(&mut self, divergence: Divergence, skipped: Option<Bookmark>) {
        let cause = Cause::Diverged(divergence.aggregate.clone());
        let aggregate = divergence.aggregate.clone();
        let number = next_number(&self.divergences);
        self.divergences.insert(number, divergence);
        self.dirty.insert(Name::Divergence(number));
        // What was tied to another, or waited behind a commit, now waits for itself.
        let before = self.blocks.remove(&aggregate);
        let earlier = before.and_then(|block| block.skipped);
        let first = earlier.into_iter().chain(skipped);
        let first = first.min_by_key(|at| at.position);
        self.wait_behind(&aggregate, &cause, first, None);
    }

    /// Whether what waits behind something was given up.
    pub(super) fn is_discarded(&mut self, cause: &Cause) -> bool {
        let Cause::Diverged(root) = cause else {
            return false;
        };
        let open = self.open_divergence(root);
        open.is_some_and(|(_, it)| matches!(it.cause, DivergenceCause::Discarded { .. }))
    }

    pub(super) fn divergences(&self) -> impl Iterator<Item = &Divergence> {
        self.divergences.values()
    }

    /// The open divergence of an aggregate, and its number.
    pub(super) fn open_divergence(
        &mut self,
        aggregate: &AggregateKey,
    ) -> Option<(u64, &mut Divergence)> {
        let mut open = self.divergences.iter_mut();
        let found = open.find(|(_, it)| it.is_open() && it.aggregate == *aggregate)?;
        Some((*found.0, found.1))
    }

    /// What is known of a divergence changed.
    pub(super) fn divergence_changed(&mut self, number: u64) {
        self.dirty.insert(Name::Divergence(number));
    }

    /// A divergence ended, where one is open.
    pub(super) fn resolved(&mut self, aggregate: &AggregateKey, resolved: &Resolved) {
        if let Some((number, open)) = self.open_divergence(aggregate) {
            open.resolved = Some(resolved.clone());
            self.divergence_changed(number);
            self.go_on(&Cause::Diverged(aggregate.clone()));
        }
    }

    /// Whether nobody has found yet that a divergence waits for a person.
    pub(super) fn may_be_reapplied(&self, aggregate: &AggregateKey) -> bool {
        !self.for_a_person.contains(aggregate)
    }

    /// A divergence cannot be ended by this program.
    pub(super) fn waits_for_a_person(&mut self, aggregate: AggregateKey) {
        self.for_a_person.insert(aggregate);
    }

    /// Branches of the file were replaced: the events at some positions are gone, and those behind them have moved up.
    /// Nothing has changed up to one event.
    pub(super) fn branches_replaced(&mut self, gone: &[u64], unchanged: Bookmark) {
        let moved = |at: u64| at - gone.partition_point(|gone| *gone < at) as u64;
        self.settled = self.settled.without(gone);
        self.dirty.insert(Name::Up);
        let flushed = self.flushed.position.0;
        self.flushed = match gone.binary_search(&flushed) {
            Ok(_) => unchanged,
            Err(_) => Bookmark {
                position: Position(moved(flushed)),
                ..self.flushed
            },
        };
        self.dirty.insert(Name::Flushed);
        for (aggregate, block) in &mut self.blocks {
            if let Some(from) = &mut block.from {
                *from = Position(moved(from.0));
                self.dirty.insert(Name::Block(aggregate.clone()));
            }
        }
        let parked: Vec<_> = self.parked.keys().copied().collect();
        for (way, position) in parked.into_iter().filter(|(way, _)| *way == Way::Up) {
            let Some(mut commit) = self.unpark(way, position) else {
                continue;
            };
            let before = Cause::Parked(way, position);
            if gone.binary_search(&position.0).is_ok() {
                self.go_on(&before);
                continue;
            }
            commit.position = Position(moved(position.0));
            let after = Cause::Parked(way, commit.position);
            for (aggregate, block) in &mut self.blocks {
                if block.cause == before {
                    block.cause = after.clone();
                    self.dirty.insert(Name::Block(aggregate.clone()));
                }
            }
            self.dirty.insert(Name::Parked(way, commit.position));
            self.parked.insert((way, commit.position), commit);
        }
        self.look_again();
    }

    // What a person should know.

    pub(super) fn note(&mut self, notice: Notice) {
        let number = next_number(&self.notices);
        self.notices.insert(number, notice);
        self.dirty.insert(Name::Notice(number));
    }

    pub(super) fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.notices.values()
    }
}

fn next_number<T>(numbered: &BTreeMap<u64, T>) -> u64 {
    numbered
        .last_key_value()
        .map_or(1, |(number, _)| number + 1)
}

/// The block of a value. All that is kept here can stand in one.
fn encode<T: Serialize>(value: &T) -> Option<Bytes> {
    let block = serde_ipld_dagcbor::to_vec(value);
    debug_assert!(block.is_ok(), "what is kept can stand in a block");
    block.ok().map(Into::into)
}

fn decode<T: DeserializeOwned>(name: &str, value: &[u8]) -> Result<T, StoreError> {
    serde_ipld_dagcbor::from_slice(value).map_err(|error| {
        let reason =
            format!("`{name}` cannot be read: {error}; use a program of the version that wrote it");
        Damage::new("what is known of the stream".into(), None, None, reason).into()
    })
}

async fn get<T: DeserializeOwned>(
    state: &(impl SyncState + ?Sized),
    name: &str,
) -> Result<Option<T>, StoreError> {
    let value = state.get_state(name).await?;
    value.map(|value| decode(name, &value)).transpose()
}

async fn list<T: DeserializeOwned>(
    state: &(impl SyncState + ?Sized),
    prefix: &str,
) -> Result<Vec<(String, T)>, StoreError> {
    let values = state.list_state(prefix).await?.into_iter();
    let decoded = values.map(|(name, value)| {
        let value = decode(&name, &value)?;
        Ok((name, value))
    });
    decoded.collect()
}

async fn numbered<T: DeserializeOwned>(
    state: &(impl SyncState + ?Sized),
    prefix: &str,
) -> Result<BTreeMap<u64, T>, StoreError> {
    let values = list(state, prefix).await?.into_iter();
    let numbered = values.filter_map(|(name, value)| {
        let number = name.strip_prefix(prefix)?.parse().ok()?;
        Some((number, value))
    });
    Ok(numbered.collect())
}
