//! One partition of a durable subscription: the events of one partition, or of all, handled one after the other.
//!
//! How far a partition came is written down with the guard of its last revision, so a member that lost the partition cannot move
//! it. It is written a little later than an event is handled; what was handled since comes again after a crash.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use super::SubscriptionError;
use super::coordination::{Coordination, Entry};
use super::feed::{CUT_OFF, Fed, Source};
use super::parked;
use crate::block::StoredEvent;
use crate::engine::jetstream::api::Extent;
use crate::store::Position;
use crate::store::subscription::{
    Lease, Outcome, ParkedEvent, ParkedInOrder, ParkedRequest, Turn, cut,
};
use tokio_util::sync::CancellationToken;

/// How many events may be handled before it is written down how far the partition came.
const UNWRITTEN: u32 = 100;
/// How long it may take until it is written down.
const UNWRITTEN_FOR: Duration = Duration::from_millis(200);

/// Who works a partition: the member's place, and its id there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) place: u8,
    pub(super) id: String,
}

/// What is written down about a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionRecord {
    pub(super) owner: Option<Owner>,
    /// Up to where events are handled or parked.
    pub(super) position: Position,
    /// The event CID there, in text: it shows whether the stream is still the same.
    #[serde(default)]
    pub(super) cid: Option<String>,
    /// The event that a member was about to hand over when it was last known to be careful.
    pub(super) trying: Option<Position>,
    /// How often in a row a member went away in the middle of it.
    pub(super) abandoned: u32,
}

/// A partition that this member works.
pub(super) struct PartitionWorker {
    pub(super) partition: Option<u8>,
    pub(super) coordination: Coordination,
    pub(super) source: Source,
    pub(super) owner: Owner,
    pub(super) record: PartitionRecord,
    pub(super) revision: u64,
    pub(super) lease: Lease,
    pub(super) stop: CancellationToken,
    /// Entries about parked events, as they change.
    pub(super) changes: UnboundedReceiver<Entry<ParkedEvent>>,
    pub(super) parked: ParkedInOrder,
    pub(super) unwritten: Option<(Instant, u32)>,
    /// For how many further events each is written down before and after.
    pub(super) careful: u32,
}

/// How a partition ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was asked to, and the partition is free for others.
    Released,
    /// Others may have it.
    Lost,
}

/// What to do after an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

/// The key of a partition.
pub(super) fn key(partition: Option<u8>) -> String {
    match partition {
        Some(partition) => format!("partition.{partition:02x}"),
        None => "partition.all".to_owned(),
    }
}

enum Wake {
    Event(Fed),
    Entry(Box<Entry<ParkedEvent>>),
    Due,
    Idle,
}

impl PartitionWorker {
    /// Works the partition until it is asked to stop or its lease is over, even in the middle of an event.
    pub(super) async fn run(mut self) -> Result<End, SubscriptionError> {
        let lease = self.lease.clone();
        let work = pin!(self.work());
        match select(pin!(lease.over()), work).await {
            Either::Left(_) => Ok(End::Lost),
            Either::Right((ended, _)) => ended,
        }
    }

    async fn work(&mut self) -> Result<End, SubscriptionError> {
        let pattern = self
            .partition
            .map_or(parked::ALL.to_owned(), parked::of_partition);
        for entry in self.coordination.read_all(&pattern).await? {
            self.take_entry(entry);
        }
        self.careful = if self.record.abandoned > 0 {
            UNWRITTEN
        } else {
            0
        };
        let mut feed = self.source.feed(self.partition, self.record.position);
        let stop = self.stop.clone();
        let mut next = self.serve().await?;
        while next == Next::GoOn {
            let due = self.unwritten.map(|(since, _)| since + UNWRITTEN_FOR);
            let wake = {
                let due = pin!(sleep_until_some(due));
                let changed = pin!(self.changes.recv());
                let event = pin!(feed.next());
                let wake = select(select(event, changed), due);
                match stop.run_until_cancelled(wake).await {
                    None => break,
                    Some(Either::Right(_)) => Wake::Due,
                    Some(Either::Left((Either::Left((event, _)), _))) => match event? {
                        Some(fed) => Wake::Event(fed),
                        None => Wake::Idle,
                    },
                    Some(Either::Left((Either::Right((Some(entry), _)), _))) => {
                        Wake::Entry(Box::new(entry))
                    }
                    // The member is gone, and so will be the lease.
                    Some(Either::Left((Either::Right((None, _)), _))) => return Ok(End::Lost),
                }
            };
            match wake {
                Wake::Event(fed) => {
                    next = match &fed {
                        Fed::Event(event) => self.event(event).await?,
                        Fed::CutOff(event) => self.park_cut_off(event).await?,
                    };
                    let is_due = self.unwritten.is_some_and(|(since, count)| {
                        count >= UNWRITTEN || since.elapsed() >= UNWRITTEN_FOR
                    });
                    if is_due && !self.write(true).await? {
                        return Ok(End::Lost);
                    }
                }
                Wake::Entry(entry) => {
                    self.take_entry(*entry);
                    next = self.serve().await?;
                }
                Wake::Due | Wake::Idle => {
                    if self.unwritten.is_some() && !self.write(true).await? {
                        return Ok(End::Lost);
                    }
                }
            }
        }
        let is_released = self.write(false).await?;
        feed.close().await;
        Ok(match is_released {
            true => End::Released,
            false => End::Lost,
        })
    }

    /// Takes entry of what is parked.
    fn take_entry(&mut self, entry: Entry<ParkedEvent>) {
        let position = entry
            .key
            .rsplit('.')
            .next()
            .and_then(|text| text.parse().ok());
        match (entry.value, position) {
            (Some(event), _) => {
                self.parked.insert(event);
            }
            (None, Some(position)) => {
                self.parked.remove(Position(position));
            }
            (None, None) => {}
        }
    }

    async fn event(&mut self, event: &StoredEvent) -> Result<Next, SubscriptionError> {
        let position = event.position;
        if self.parked.has(position) {
            self.advance(event);
            return Ok(Next::GoOn);
        }
        if let Some(reason) = self.parked.reason_to_wait(event) {
            self.park(event, reason, 0).await?;
            self.advance(event);
            return Ok(Next::GoOn);
        }
        let is_suspect = self.record.trying == Some(position);
        if is_suspect && self.record.abandoned >= self.source.plan.worker.retry.attempts {
            let times = self.record.abandoned;
            let reason = format!("the program ended {times} times in the middle of it");
            self.park(event, reason, times).await?;
            self.advance(event);
            return Ok(Next::GoOn);
        }
        if self.careful > 0 && !is_suspect {
            self.record.trying = Some(position);
            if !self.write(true).await? {
                return Ok(Next::Stop);
            }
        }
        match self.source.plan.worker.work(event, self.turn()).await {
            Outcome::Handled => {}
            Outcome::Interrupted => return Ok(Next::Stop),
            Outcome::GivenUp { reason, attempts } => self.park(event, reason, attempts).await?,
        }
        self.advance(event);
        if self.careful > 0 {
            self.careful -= 1;
            if !self.write(true).await? {
                return Ok(Next::Stop);
            }
        }
        Ok(Next::GoOn)
    }

    fn turn(&self) -> Turn<'_> {
        Turn {
            stop: &self.stop,
            lease: Some(&self.lease),
        }
    }

    /// Parks an event that no handler may have.
    async fn park_cut_off(&mut self, event: &StoredEvent) -> Result<Next, SubscriptionError> {
        if !self.parked.has(event.position) {
            self.park(event, CUT_OFF.to_owned(), 1).await?;
        }
        self.advance(event);
        Ok(Next::GoOn)
    }

    fn advance(&mut self, event: &StoredEvent) {
        self.record.position = event.position;
        self.record.cid = Some(event.cid.to_string());
        self.record.trying = None;
        self.record.abandoned = 0;
        let (since, count) = self.unwritten.unwrap_or((Instant::now(), 0));
        self.unwritten = Some((since, count + 1));
    }

    async fn park(
        &mut self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
    ) -> Result<(), SubscriptionError> {
        let parked = ParkedEvent::new(event, reason.clone(), attempts);
        let written = parked.write_new(&self.coordination).await;
        let entry = written.map_err(|source| SubscriptionError::NotParked {
            position: event.position,
            reason,
            source,
        })?;
        self.take_entry(entry);
        Ok(())
    }

    /// Does what is asked for with parked events, and hands over those that no longer wait behind another.
    async fn serve(&mut self) -> Result<Next, SubscriptionError> {
        while let Some(parked) = self.parked.next_to_serve() {
            let event = match parked.request {
                Some(ParkedRequest::Discard) => None,
                _ => self.source.parked_event(&parked).await?,
            };
            // Without an event there is nothing to hand over: it is discarded, or the stream has dropped it.
            let outcome = match &event {
                None => Outcome::Handled,
                Some(event) if self.source.extent(event).await? != Extent::Whole => {
                    Outcome::GivenUp {
                        reason: CUT_OFF.to_owned(),
                        attempts: parked.attempts.max(1),
                    }
                }
                Some(event) => self.source.plan.worker.work(event, self.turn()).await,
            };
            match outcome {
                Outcome::Handled => {
                    parked.remove(&self.coordination).await?;
                    self.parked.remove(parked.position);
                }
                Outcome::Interrupted => return Ok(Next::Stop),
                Outcome::GivenUp { reason, attempts } => {
                    let again = ParkedEvent {
                        reason: cut(reason),
                        attempts,
                        request: None,
                        ..parked
                    };
                    let entry = again.write(&self.coordination).await?;
                    self.take_entry(entry);
                }
            }
        }
        Ok(Next::GoOn)
    }

    /// Writes down how far the partition came, and keeps it or leaves it to others. Gives whether it was still this member's.
    async fn write(&mut self, keeps: bool) -> Result<bool, SubscriptionError> {
        let key = key(self.partition);
        let owner = keeps.then(|| self.owner.clone());
        let record = PartitionRecord {
            owner,
            ..self.record.clone()
        };
        loop {
            if let Some(revision) = self
                .coordination
                .write(&key, &record, self.revision)
                .await?
            {
                self.revision = revision;
                self.unwritten = None;
                return Ok(true);
            }
            // Another was first, or this member itself, and the answer was lost.
            let there = self.coordination.read::<PartitionRecord>(&key).await?;
            self.revision = there.revision;
            match there.value {
                Some(there) if there == record => {
                    self.unwritten = None;
                    return Ok(true);
                }
                Some(there) if there.owner.as_ref() == Some(&self.owner) => {}
                _ => return Ok(false),
            }
        }
    }
}

async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
