//! The history of one aggregate: read by its literal subjects, and proved to be whole.
//!
//! One Direct Get batch for each event type that the program knows, and the last message from the leader, are asked for
//! at once. The batches come from replicas that may lag and are not one moment; the leader's last message says up to
//! where the history must reach. A hole means reading again; what stays is read under the wildcard, where an event of a
//! type that this program does not know shows too; and only what is wrong then is damage.

use std::time::Duration;

use futures_util::future::try_join;
use tokio::time::{Instant, sleep};

use super::direct::{self, PAGE, Page};
use super::leader::Leader;
use super::message::Raw;
use super::patience::Patience;
use super::reader::{Reader, Selection, Step};
use super::store::Inner;
use crate::block::{ChainVerifier, StoredEvent, Verdict};
use crate::store::{AggregateKey, Head, Position, StoreError};

/// How often a read by literal subjects that shows a hole is repeated before the wildcard is read.
const REPEATS: u32 = 4;

/// The events of an aggregate from a version on, in order.
///
/// `known` is an event of the aggregate, at that version, whose position is known: reading then starts there.
pub(super) async fn read(
    store: &Inner,
    key: &AggregateKey,
    from: u64,
    known: Option<&Head>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut read = Read {
        store,
        key,
        from: from.max(1),
        start: 1,
    };
    if let Some(known) = known.filter(|known| known.version == read.from) {
        if let Some(last) = read.unless_moved(known).await? {
            return Ok(vec![last]);
        }
        read.start = read.start_at(known).await?;
    }
    read.run().await
}

struct Read<'a> {
    store: &'a Inner,
    key: &'a AggregateKey,
    from: u64,
    start: u64,
}

/// Why a reading is not the history.
enum Unfit {
    /// Events are missing; reading again may find them.
    Incomplete(Box<Verdict>),
    /// The replicas have more than one page.
    Long,
    /// The read by literal subjects cannot tell.
    Unknown,
}

impl Read<'_> {
    async fn run(&self) -> Result<Vec<StoredEvent>, StoreError> {
        let subjects = self.literal_subjects();
        let leader = Leader::new(&self.store.api, self.store.options.patience);
        let mut pause = Duration::from_millis(2);
        for repeat in 0..=REPEATS {
            let (last, pages) = try_join(self.last(&leader), self.pages(&subjects)).await?;
            let Some(last) = last else {
                return Ok(Vec::new());
            };
            match self.assemble(&last, pages)? {
                Ok(events) => return Ok(events),
                Err(Unfit::Long) => match self.long(&last, &subjects).await? {
                    Ok(events) => return Ok(events),
                    Err(_) => break,
                },
                Err(Unfit::Unknown) => break,
                Err(Unfit::Incomplete(_)) if repeat == REPEATS => break,
                Err(Unfit::Incomplete(_)) => {
                    sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        self.by_wildcard(&leader).await
    }

    /// The known event, when it still is the last one: the usual answer for an aggregate that was just used.
    async fn unless_moved(&self, known: &Head) -> Result<Option<StoredEvent>, StoreError> {
        let leader = Leader::new(&self.store.api, self.store.options.patience);
        let last = self.last(&leader).await?;
        Ok(last.filter(|last| self.is_ours(last) && last.head() == *known))
    }

    /// The position of the known event, or that of the first message when the event does not stand there: a snapshot may
    /// be of another stream, or made up.
    async fn start_at(&self, known: &Head) -> Result<u64, StoreError> {
        let leader = Leader::new(&self.store.api, self.store.options.patience);
        let found = leader.at(known.position.0).await?;
        let Some(found) = found.filter(|raw| raw.cid == Some(known.cid)) else {
            return Ok(1);
        };
        let found = self.store.verify(found)?;
        let is_there = self.is_ours(&found) && found.head() == *known;
        Ok(if is_there { known.position.0 } else { 1 })
    }

    fn literal_subjects(&self) -> Vec<String> {
        let stored = |event_type: &&str| self.store.subjects().stored(self.key.id(), event_type);
        self.key.types().iter().map(stored).collect()
    }

    /// The last event under the guard, of whichever kind.
    async fn last(&self, leader: &Leader<'_>) -> Result<Option<StoredEvent>, StoreError> {
        let guard = self.store.subjects().guard(self.key.id());
        let last = leader.last(&guard).await?;
        last.map(|raw| self.store.verify(raw)).transpose()
    }

    async fn pages(&self, subjects: &[String]) -> Result<Vec<Page>, StoreError> {
        if subjects.is_empty() {
            return Ok(Vec::new());
        }
        let api = &self.store.api;
        let mut patience = Patience::until(Instant::now() + self.store.options.patience);
        loop {
            match direct::pages(api, subjects, self.start).await {
                Ok(pages) => return Ok(pages),
                Err(failure) => patience.wait(api, "read a history", failure).await?,
            }
        }
    }

    /// The history out of its pages, when they are whole.
    fn assemble(
        &self,
        last: &StoredEvent,
        pages: Vec<Page>,
    ) -> Result<Result<Vec<StoredEvent>, Unfit>, StoreError> {
        if !self.is_ours(last) || !self.key.types().contains(&last.event_type()) {
            return Ok(Err(Unfit::Unknown));
        }
        if last.envelope.sequence < self.from {
            return Ok(Ok(Vec::new()));
        }
        let is_more = pages.iter().any(|page| page.is_more);
        let raws = pages.into_iter().flat_map(|page| page.messages);
        if is_more {
            return Ok(Err(Unfit::Long));
        }
        self.check(last, raws)
    }

    /// Proves messages and their chain, up to the last event and not past it: what came later may be half read.
    fn check(
        &self,
        last: &StoredEvent,
        raws: impl Iterator<Item = Raw>,
    ) -> Result<Result<Vec<StoredEvent>, Unfit>, StoreError> {
        let mut events = Vec::new();
        for raw in raws.filter(|raw| raw.sequence <= last.position.0) {
            let event = self.store.verify(raw)?;
            if self.is_ours(&event) && event.envelope.sequence >= self.from {
                events.push(event);
            }
        }
        events.sort_unstable_by_key(|event| event.position);
        events.dedup_by_key(|event| event.position);
        Ok(
            match self.chain(&events, self.is_ours(last).then_some(last)) {
                Ok(()) => Ok(events),
                Err(verdict) => Err(Unfit::Incomplete(Box::new(verdict))),
            },
        )
    }

    fn chain(&self, events: &[StoredEvent], last: Option<&StoredEvent>) -> Result<(), Verdict> {
        let mut chain = ChainVerifier::from_sequence(self.key, self.from);
        if let Some(last) = last {
            chain = chain.expecting(last.into());
        }
        for event in events {
            chain.accept(event)?;
        }
        chain.finish().map(|_| ())
    }

    fn is_ours(&self, event: &StoredEvent) -> bool {
        event.envelope.aggregate == self.key.kind()
            && event.envelope.aggregate_id == self.key.id().as_str()
    }

    /// A long history, through one consumer on its literal subjects.
    async fn long(
        &self,
        last: &StoredEvent,
        subjects: &[String],
    ) -> Result<Result<Vec<StoredEvent>, Unfit>, StoreError> {
        let raws = self.consume(subjects.to_vec(), last.position).await?;
        self.check(last, raws.into_iter())
    }

    /// Everything under the guard, also what this program has no name for.
    async fn by_wildcard(&self, leader: &Leader<'_>) -> Result<Vec<StoredEvent>, StoreError> {
        let guard = self.store.subjects().guard(self.key.id());
        let mut repeats = 0;
        let mut pause = Duration::from_millis(10);
        loop {
            let Some(last) = self.last(leader).await? else {
                return Ok(Vec::new());
            };
            if self.is_ours(&last) && last.envelope.sequence < self.from {
                return Ok(Vec::new());
            }
            let raws = self.wildcard_messages(&guard, last.position).await?;
            match self.check(&last, raws.into_iter())? {
                Ok(events) => return Ok(events),
                Err(Unfit::Incomplete(verdict)) if repeats == REPEATS => {
                    let place = format!("{}, {}", self.store.api.place(), self.key);
                    return Err(verdict.into_damage(place));
                }
                Err(_) => {
                    repeats += 1;
                    sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }

    /// The messages under the guard up to a position: one page when that is all, else through a consumer.
    async fn wildcard_messages(
        &self,
        guard: &str,
        until: Position,
    ) -> Result<Vec<Raw>, StoreError> {
        let pages = self.pages(&[guard.to_owned()]).await?;
        let is_whole = |page: &Page| {
            let last = page.messages.last();
            !page.is_more && last.is_some_and(|last| last.sequence >= until.0)
        };
        if pages.iter().all(is_whole) {
            return Ok(pages.into_iter().flat_map(|page| page.messages).collect());
        }
        self.consume(vec![guard.to_owned()], until).await
    }

    /// The messages of subjects up to a position, through a consumer that is deleted then.
    async fn consume(&self, filters: Vec<String>, until: Position) -> Result<Vec<Raw>, StoreError> {
        let selection = Selection {
            filters,
            headers_only: false,
        };
        let patience = self.store.options.patience;
        let api = self.store.api.clone();
        let mut reader = Reader::new(api, selection, self.start, patience);
        let mut raws = Vec::with_capacity(2 * PAGE);
        let deadline = Instant::now() + patience;
        let mut heard = deadline;
        loop {
            match reader.step().await? {
                Step::Message(raw) => {
                    heard = Instant::now() + patience;
                    let is_last = raw.sequence >= until.0;
                    raws.push(raw);
                    if is_last {
                        break;
                    }
                }
                Step::Idle if Instant::now() > heard => break,
                Step::Idle => {}
            }
        }
        reader.close().await;
        Ok(raws)
    }
}
