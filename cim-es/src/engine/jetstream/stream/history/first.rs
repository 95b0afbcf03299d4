//! The first events of a history, by the literal subjects of its types or by the wildcard, proved as one piece.

use futures_util::future::try_join;

use super::rest::Rest;
use super::{Begun, Ending, KnownEvent, Read, judge_hole};
use crate::block::{ChainHead, ChainVerifier, StoredEvent, Verdict};
use crate::engine::jetstream::api::{
    Extent, Leader, Raw,
    direct::{self, Page},
    start_of,
};
use crate::engine::jetstream::retry;
use crate::engine::jetstream::stream::tip;
use crate::store::{Head, StoreError};

/// Why a reading is not the history.
enum Incomplete {
    /// Events are missing; reading again may find them.
    Hole {
        verdict: Box<Verdict>,
        /// Up to where it is whole.
        after: u64,
    },
    /// The read by literal subjects cannot tell.
    Unknown,
}

type HistoryResult = Result<History, Incomplete>;

/// A history that was proved, or its beginning.
struct History {
    events: Vec<StoredEvent>,
    /// The first event that was held back.
    held: Option<StoredEvent>,
    /// What is still to be read.
    rest: Option<Box<Rest>>,
}

impl History {
    fn of(events: Vec<StoredEvent>) -> Self {
        Self {
            events,
            held: None,
            rest: None,
        }
    }
}

impl Read<'_> {
    pub(super) async fn run(&self) -> Result<Begun, StoreError> {
        let subjects = self.literal_subjects();
        let mut retry = retry::REPLICA.without_end();
        loop {
            let (ending, pages) = try_join(self.ending(), self.pages(&subjects)).await?;
            let Some(ending) = ending else {
                return Ok((Vec::new(), None));
            };
            match self.assemble(&ending, pages)? {
                Ok(history) => return self.given(history, &ending),
                Err(Incomplete::Hole { .. }) if retry.pause().await => {}
                Err(_) => break,
            }
        }
        self.by_wildcard().await
    }

    /// What is given of a history.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where events are wanted that are stored, and whose commit can no
    /// longer become whole.
    fn given(&self, history: History, ending: &Ending) -> Result<Begun, StoreError> {
        match history.held {
            Some(held) if ending.is_cut_off && held.envelope.sequence <= self.until => {
                Err(tip::unfinished(self.store, self.key, &held))
            }
            _ => Ok((history.events, history.rest)),
        }
    }

    /// The last event under the guard, and whether its commit is whole. One that is just being
    /// stored is waited for.
    async fn ending(&self) -> Result<Option<Ending>, StoreError> {
        let deadline = self.store.api.deadline();
        let mut retry = retry::HOLE.until(deadline);
        loop {
            let Some(last) = self.last().await? else {
                return Ok(None);
            };
            let extent = tip::extent(self.store, &last, deadline).await?;
            if extent == Extent::Open && retry.pause().await {
                continue;
            }
            return Ok(Some(Ending {
                held_from: (extent != Extent::Whole).then(|| start_of(&last)),
                is_cut_off: extent == Extent::CutOff,
                last,
            }));
        }
    }

    /// The known event, when it still is the last one: the usual answer for an aggregate that was
    /// just used.
    ///
    /// A leader that was deposed and does not know it yet may answer from before the known event,
    /// so an answer that is older is asked for again. What stays older is a stream that never had
    /// the event.
    pub(super) async fn if_current(&self, known: &Head) -> Result<Option<StoredEvent>, StoreError> {
        let mut retry = retry::STALE.within(self.store.staleness());
        loop {
            let last = self.last().await?;
            let is_older = last
                .as_ref()
                .is_none_or(|last| last.position < known.position);
            if !is_older || !retry.pause().await {
                return Ok(last.filter(|last| self.is_ours(last) && last.head() == *known));
            }
        }
    }

    pub(super) async fn find(&self, known: &Head) -> Result<KnownEvent, StoreError> {
        let leader = Leader::new(&self.store.api);
        let position = known.position.0;
        let Some(found) = leader.at(position).await? else {
            let state = leader.state().await?;
            let is_dropped = position > 0 && state.last_until(position) != Some(position);
            return Ok(match is_dropped {
                true => KnownEvent::Dropped,
                false => KnownEvent::Moved,
            });
        };
        if found.cid != Some(known.cid) {
            return Ok(KnownEvent::Moved);
        }
        let found = self.store.verify(found)?;
        let is_there = self.is_ours(&found) && found.head() == *known;
        Ok(match is_there {
            true => KnownEvent::AtPosition,
            false => KnownEvent::Moved,
        })
    }

    /// The events behind one that the stream has dropped; none when they are not what followed it.
    pub(super) async fn behind(&self, known: &Head) -> Result<Option<Begun>, StoreError> {
        let read = Read {
            from: known.version.saturating_add(1),
            ..*self
        };
        let (mut events, mut rest) = match read.run().await {
            Ok(begun) => begun,
            // It begins even later.
            Err(StoreError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        if let (true, Some(rest)) = (events.is_empty(), &mut rest) {
            events.extend(rest.next(self.store, self.key).await?);
        }
        let follows = |first: &StoredEvent| first.envelope.previous == Some(known.cid);
        Ok(events
            .first()
            .is_some_and(follows)
            .then_some((events, rest)))
    }

    fn literal_subjects(&self) -> Vec<String> {
        let stored = |event_type: &&str| self.store.subjects().stored(self.key.id(), event_type);
        self.key.types().iter().map(stored).collect()
    }

    /// The last event under the guard, of whichever kind.
    async fn last(&self) -> Result<Option<StoredEvent>, StoreError> {
        tip::last(self.store, self.key, self.store.api.deadline()).await
    }

    async fn pages(&self, subjects: &[String]) -> Result<Vec<Page>, StoreError> {
        if subjects.is_empty() {
            return Ok(Vec::new());
        }
        let api = &self.store.api;
        let mut retry = retry::REQUEST.within(api.patience);
        loop {
            match direct::pages(api, subjects, self.start).await {
                Ok(pages) => return Ok(pages),
                Err(failure) => api.wait(&mut retry, "read a history", failure).await?,
            }
        }
    }

    /// The history out of its pages, which may be no more than its beginning.
    fn assemble(&self, ending: &Ending, pages: Vec<Page>) -> Result<HistoryResult, StoreError> {
        let last = &ending.last;
        if !self.is_ours(last) || !self.key.types().contains(&last.event_type()) {
            return Ok(Err(Incomplete::Unknown));
        }
        if last.envelope.sequence < self.from {
            return Ok(Ok(History::of(Vec::new())));
        }
        // Up to where every page reaches.
        let unfinished = pages.iter().filter(|page| page.is_more);
        let reach = unfinished.map(|page| page.messages.last().map_or(0, |last| last.sequence));
        let reach = reach.min().unwrap_or(last.position.0);
        let mut events = Vec::new();
        let raws = pages.into_iter().flat_map(|page| page.messages);
        for raw in raws.filter(|raw| raw.sequence <= reach) {
            self.take(raw, last, &mut events)?;
        }
        if reach < last.position.0 {
            return Ok(self.go_on(events, reach + 1, ending.clone()));
        }
        Ok(self.prove(events, ending))
    }

    /// Proves that events are the beginning of the history; what follows is read from a sequence
    /// on.
    ///
    /// One pattern costs the server less than a list of subjects, and shows events of unknown types
    /// too.
    fn go_on(&self, mut events: Vec<StoredEvent>, from: u64, ending: Ending) -> HistoryResult {
        let is_given = |event: &StoredEvent| ending.gives(event.position.0);
        in_order(&mut events);
        events.truncate(events.partition_point(is_given));
        let last = match ending.held_from {
            None => self.is_ours(&ending.last).then(|| (&ending.last).into()),
            Some(_) => None,
        };
        let chain = self.accept(&events, last)?;
        let is_enough = events
            .last()
            .is_some_and(|last| last.envelope.sequence >= self.until);
        let rest = (!is_enough).then(|| Box::new(Rest::new(self, chain, from, ending)));
        Ok(History {
            events,
            held: None,
            rest,
        })
    }

    /// Takes an event of the history, up to the last one and not past it: what came later may be
    /// half read.
    fn take(
        &self,
        raw: Raw,
        last: &StoredEvent,
        events: &mut Vec<StoredEvent>,
    ) -> Result<(), StoreError> {
        if raw.sequence <= last.position.0 {
            let event = self.store.verify(raw)?;
            if self.is_ours(&event) && event.envelope.sequence >= self.from {
                events.push(event);
            }
        }
        Ok(())
    }

    /// Proves that events are the history up to the last one.
    fn prove(&self, mut events: Vec<StoredEvent>, ending: &Ending) -> HistoryResult {
        in_order(&mut events);
        let is_given = |event: &StoredEvent| ending.gives(event.position.0);
        let mut held = events.split_off(events.partition_point(is_given));
        let held = (!held.is_empty()).then(|| held.swap_remove(0));
        let last = match &held {
            // What is held back says what it follows.
            Some(held) => held.envelope.previous.map(|previous| ChainHead {
                sequence: held.envelope.sequence.saturating_sub(1),
                cid: previous,
            }),
            None if ending.held_from.is_some() => None,
            None => self.is_ours(&ending.last).then(|| (&ending.last).into()),
        };
        let after = self.whole_until(&events);
        let finished = self.accept(&events, last)?.finish();
        finished.map_err(|verdict| Incomplete::Hole {
            verdict: Box::new(verdict),
            after,
        })?;
        Ok(History {
            events,
            held,
            rest: None,
        })
    }

    /// The chain behind some events, each proved to follow from the one before.
    fn accept(
        &self,
        events: &[StoredEvent],
        last: Option<ChainHead>,
    ) -> Result<ChainVerifier<'static>, Incomplete> {
        let mut chain = self.chain(last);
        for (index, event) in events.iter().enumerate() {
            let accepted = chain.accept(event);
            accepted.map_err(|verdict| Incomplete::Hole {
                verdict: Box::new(verdict),
                after: self.whole_until(&events[..index]),
            })?;
        }
        Ok(chain)
    }

    /// Up to where the stream was read, when these are the events so far.
    fn whole_until(&self, events: &[StoredEvent]) -> u64 {
        let last = events.last().map(|last| last.position.0);
        last.unwrap_or(self.start.saturating_sub(1))
    }

    fn chain(&self, last: Option<ChainHead>) -> ChainVerifier<'static> {
        let chain = ChainVerifier::from_sequence(self.key, self.from);
        match last.filter(|last| last.sequence >= self.from) {
            Some(last) => chain.expecting(last),
            None => chain,
        }
    }

    fn is_ours(&self, event: &StoredEvent) -> bool {
        self.key.has(event)
    }

    /// Everything under the guard, also what this program has no name for.
    async fn by_wildcard(&self) -> Result<Begun, StoreError> {
        let guard = [self.store.subjects().guard(self.key.id())];
        let mut retry = retry::HOLE.without_end();
        let deadline = self.store.api.deadline();
        loop {
            let Some(ending) = self.ending().await? else {
                return Ok((Vec::new(), None));
            };
            let last = &ending.last;
            if self.is_ours(last) && last.envelope.sequence < self.from {
                return Ok((Vec::new(), None));
            }
            let pages = self.pages(&guard).await?;
            let is_whole = |page: &Page| {
                let end = page.messages.last();
                !page.is_more && end.is_some_and(|end| end.sequence >= last.position.0)
            };
            let history = match pages.iter().all(is_whole) {
                true => {
                    let mut events = Vec::new();
                    for raw in pages.into_iter().flat_map(|page| page.messages) {
                        self.take(raw, last, &mut events)?;
                    }
                    self.prove(events, &ending)
                }
                false => self.go_on(Vec::new(), self.start, ending.clone()),
            };
            match history {
                Ok(history) => return self.given(history, &ending),
                Err(_) if retry.pause().await => {}
                Err(Incomplete::Hole { verdict, after }) => {
                    judge_hole(self.store, self.key, self.from, after, *verdict, deadline).await?;
                    retry = retry::HOLE.without_end();
                }
                // A read by the wildcard can tell.
                Err(Incomplete::Unknown) => {}
            }
        }
    }
}

fn in_order(events: &mut Vec<StoredEvent>) {
    events.sort_unstable_by_key(|event| event.position);
    events.dedup_by_key(|event| event.position);
}
