//! Reading commits whole: their events are held back until all of them are stored.
//!
//! The messages of a commit stand side by side, so the place of its last one follows from the place
//! of any. Several servers store them together. A single server stores them one by one, up to a
//! limit that may be reached in between: then the rest never comes, and other commits stand where
//! it belongs.

use std::collections::VecDeque;

use super::failure::is_transient;
use super::leader::Leader;
use super::message::Raw;
use super::reader::{Reader, Step};
use super::request::Api;
use crate::block::StoredEvent;
use crate::store::{StoreError, StoredSubjects};

/// What the stream has of a commit of which an event was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// A part with which the stream ends: the rest may come.
    Open,
    /// A part, and other commits behind it: the rest never comes.
    CutOff,
}

/// Which servers a commit is looked for on, and how its subjects are made.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) api: Api,
    pub(crate) subjects: StoredSubjects,
    /// Whether several servers keep the stream, which store the messages of a commit together.
    pub(crate) is_atomic: bool,
}

impl Surroundings {
    /// What the stream has of the commit of an event.
    pub(crate) async fn extent(
        &self,
        leader: &Leader<'_>,
        event: &StoredEvent,
    ) -> Result<Extent, StoreError> {
        let end = end_of(event);
        let is_known = self.is_atomic && self.api.seen.last() >= end;
        if event.envelope.commit.is_last_of_whole() || is_known {
            return Ok(Extent::Whole);
        }
        let mut is_first = true;
        loop {
            if let Some(raw) = leader.at(end).await? {
                let last = self.verify(raw)?;
                let is_end = last.envelope.commit.is_last_of_whole() && is_same(event, &last);
                return Ok(match is_end {
                    true => Extent::Whole,
                    false => Extent::CutOff,
                });
            }
            // The leader that says so has all that was seen of the stream; the one that was asked
            // before may not.
            let state = leader.state().await?;
            if state.last_seq >= end && std::mem::take(&mut is_first) {
                continue;
            }
            if state.is_dropped(event.position.0) {
                return Ok(Extent::Whole);
            }
            if state.last_seq >= end {
                return Ok(Extent::CutOff);
            }
            let last = leader.at(state.last_seq).await?;
            let last = last.map(|raw| self.verify(raw)).transpose()?;
            return Ok(match last.is_none_or(|last| is_same(event, &last)) {
                true => Extent::Open,
                false => Extent::CutOff,
            });
        }
    }

    pub(crate) fn verify(&self, raw: Raw) -> Result<StoredEvent, StoreError> {
        raw.verify(&self.api, &self.subjects)
    }
}

/// Where the last event of an event's commit belongs.
pub(crate) fn end_of(event: &StoredEvent) -> u64 {
    let part = event.envelope.commit;
    let rest = part.whole_of.saturating_sub(part.whole_index);
    event.position.0.saturating_add(u64::from(rest))
}

/// Where the first event of an event's commit belongs.
pub(crate) fn start_of(event: &StoredEvent) -> u64 {
    let before = event.envelope.commit.whole_index.saturating_sub(1);
    event.position.0.saturating_sub(u64::from(before))
}

/// Whether two events are of one commit.
fn is_same(one: &StoredEvent, other: &StoredEvent) -> bool {
    end_of(one) == end_of(other)
        && one.envelope.commit.whole_of == other.envelope.commit.whole_of
        && one.envelope.causation_id == other.envelope.causation_id
}

/// Reads events in order, each once its commit is known to be whole.
pub(crate) struct Commits {
    reader: Reader,
    around: Surroundings,
    /// Events of one commit whose end was not seen yet.
    held: Vec<StoredEvent>,
    /// The event that came behind them, of another commit.
    behind: Option<StoredEvent>,
    ready: VecDeque<StoredEvent>,
    cut_off: Option<Vec<StoredEvent>>,
    at: u64,
    /// Whether it goes on however long the leader cannot be asked.
    is_endless: bool,
}

/// What reading came to.
pub(crate) enum Read {
    /// The next event of a whole commit.
    Event(Box<StoredEvent>),
    /// Events of a commit that was cut off, as far as they were asked for.
    CutOff(Vec<StoredEvent>),
    /// Nothing for a while, except perhaps a part of a commit with which the stream ends.
    Idle,
}

impl Commits {
    pub(crate) fn new(reader: Reader, around: Surroundings, after: u64) -> Self {
        Self {
            reader,
            around,
            held: Vec::new(),
            behind: None,
            ready: VecDeque::new(),
            cut_off: None,
            at: after,
            is_endless: false,
        }
    }

    /// The same for a reader that never gives up.
    pub(crate) fn without_end(mut self) -> Self {
        self.reader = self.reader.without_end();
        self.is_endless = true;
        self
    }

    /// Up to which sequence messages were read, those included that are held back.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Whether everything that was read was given.
    pub(crate) fn is_empty(&self) -> bool {
        let has_none = self.held.is_empty() && self.ready.is_empty();
        has_none && self.behind.is_none() && self.cut_off.is_none()
    }

    /// Whether the consumer had no further message when it gave the last one.
    pub(crate) fn is_dry(&self) -> bool {
        self.reader.pending() == Some(0)
    }

    /// The events of a commit that the stream ends with, of which a part is not there yet.
    pub(crate) fn held(&self) -> &[StoredEvent] {
        &self.held
    }

    /// The next event. It may be dropped and called again at any time.
    pub(crate) async fn next(&mut self) -> Result<Read, StoreError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Read::Event(Box::new(event)));
            }
            if let Some(events) = self.cut_off.take() {
                return Ok(Read::CutOff(events));
            }
            if self.behind.is_some() && !self.held.is_empty() {
                // What stands behind a part of a commit shows that the rest does not come.
                if self.look().await? == Some(Extent::Open) {
                    self.cut_off = Some(std::mem::take(&mut self.held));
                }
                continue;
            }
            if let Some(event) = self.behind.take() {
                self.take(event);
                continue;
            }
            match self.reader.step().await? {
                Step::Idle if self.held.is_empty() => return Ok(Read::Idle),
                Step::Idle => {
                    if matches!(self.look().await?, None | Some(Extent::Open)) {
                        return Ok(Read::Idle);
                    }
                }
                Step::Message(raw) => {
                    self.at = raw.sequence;
                    let event = self.around.verify(raw)?;
                    match self.held.last() {
                        Some(held) if !is_same(held, &event) => self.behind = Some(event),
                        _ => self.take(event),
                    }
                    // The end may be none of what was asked for.
                    if self.is_dry() && self.behind.is_none() && !self.held.is_empty() {
                        self.look().await?;
                    }
                }
            }
        }
    }

    /// Takes an event of the commit that is held, or of one whose first event it is.
    fn take(&mut self, event: StoredEvent) {
        let is_end = event.envelope.commit.is_last_of_whole();
        if self.held.is_empty() && is_end {
            self.ready.push_back(event);
            return;
        }
        self.held.push(event);
        if is_end {
            self.ready.extend(self.held.drain(..));
        }
    }

    /// Looks what became of the commit that is held; none when the leader cannot be asked for a
    /// while.
    async fn look(&mut self) -> Result<Option<Extent>, StoreError> {
        let Some(last) = self.held.last() else {
            return Ok(Some(Extent::Whole));
        };
        let leader = Leader::new(&self.around.api);
        let extent = match self.around.extent(&leader, last).await {
            Err(error) if self.is_endless && is_transient(&error) => {
                tracing::debug!(%error, "a commit cannot be looked at");
                return Ok(None);
            }
            extent => extent?,
        };
        match extent {
            Extent::Whole => self.ready.extend(self.held.drain(..)),
            Extent::CutOff => self.cut_off = Some(std::mem::take(&mut self.held)),
            Extent::Open => {}
        }
        Ok(Some(extent))
    }

    /// Removes the consumer from the server.
    pub(crate) async fn close(self) {
        self.reader.close().await;
    }
}

/// Tells of a part of a commit by its last event that was seen.
pub(crate) fn log_cut_off(stream: &str, last: &StoredEvent) {
    let envelope = &last.envelope;
    tracing::error!(
        stream,
        position = %last.position,
        cid = %last.cid,
        aggregate = envelope.aggregate,
        id = envelope.aggregate_id,
        commit = %envelope.commit,
        "a commit that a limit cut off is passed over: its aggregates take no further one, see what `doctor` says"
    );
}
