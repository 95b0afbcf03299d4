//! The time in which a program has a durable subscription: it handles one event after the other.
//!
//! How far it came is written down a little later than an event is handled; what was handled since comes again after a
//! crash. After a crash the program is careful for a while: it writes down each event before and after, so that one on
//! which programs end again and again is parked in the end.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::asked;
use super::durable::{Durable, Pauses, may_pass};
use super::names;
use super::record::{self, Entry, State, is_lost, removed, state};
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::store::read_model::{DocumentChange, ReadModelError, ViewId};
use crate::store::subscription::{
    Lease, Outcome, ParkedEvent, ParkedInOrder, ParkedRequest, SubscriptionError, Turn, cut,
};
use crate::store::{Bookmark, EventStream, Position};

/// How many events may be handled before it is written down how far the subscription came.
const UNWRITTEN: u32 = 100;
/// How long it may take until it is written down.
const UNWRITTEN_FOR: Duration = Duration::from_millis(200);
/// How often it is looked up, as long as something is parked, what persons ask for.
const LOOK: Duration = Duration::from_millis(250);

/// How a term ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was asked to, and the subscription is free for others.
    Released,
    /// Others may have it.
    Lost,
}

/// What to do after an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    /// It was asked to stop.
    Stop,
    /// Others may have the subscription.
    Lost,
}

/// What comes first.
enum Wake {
    Event(Box<Result<StoredEvent, SubscriptionError>>),
    /// It is to be written down how far the subscription came.
    Due,
    /// It is to be looked up what persons ask for.
    Look,
    Stop,
}

/// A program's time.
pub(super) struct Term<'a> {
    durable: &'a Durable,
    requests: ViewId,
    lease: Lease,
    stop: CancellationToken,
    state: State,
    /// What is written down of the state.
    known: Option<State>,
    /// Up to where events are handled or parked.
    up_to: Bookmark,
    /// Up to where that is written down.
    written: Bookmark,
    unwritten: Option<(Instant, u32)>,
    parked: ParkedInOrder,
    /// The last request about each parked event.
    asked: BTreeMap<Position, Uuid>,
    answered: BTreeMap<Position, Uuid>,
    look_at: Instant,
    /// For how many further events each is written down before and after.
    careful: u32,
}

impl<'a> Term<'a> {
    /// Reads what is known. What the last one who worked left undone is noted.
    pub(super) async fn begin(
        durable: &'a Durable,
        lease: Lease,
        stop: CancellationToken,
    ) -> Result<Self, SubscriptionError> {
        let record = &durable.record;
        let known = record.load().await?;
        let mut state = known.state.clone().unwrap_or_default();
        let former = state.owner.replace(record.me);
        if former.is_some_and(|former| former != record.me) {
            state.abandoned = match state.trying {
                Some(_) => state.abandoned + 1,
                None => 1,
            };
        }
        let mut parked = ParkedInOrder::new(durable.plan.holds);
        let mut answered = BTreeMap::new();
        for Entry {
            event,
            answered: id,
        } in known.parked
        {
            answered.extend(id.map(|id| (event.position, id)));
            parked.insert(event);
        }
        Ok(Self {
            requests: names::view(names::REQUESTS, durable.plan.mode.name())?,
            durable,
            lease,
            stop,
            careful: if state.abandoned > 0 { UNWRITTEN } else { 0 },
            state,
            known: known.state,
            up_to: known.up_to,
            written: known.up_to,
            unwritten: None,
            parked,
            asked: BTreeMap::new(),
            answered,
            look_at: Instant::now(),
        })
    }

    /// Works until it is asked to stop or the lease is over, even in the middle of an event.
    pub(super) async fn run(mut self, pauses: &mut Pauses) -> Result<End, SubscriptionError> {
        let lease = self.lease.clone();
        let work = pin!(self.work(pauses));
        match select(pin!(lease.over()), work).await {
            Either::Left(_) => Ok(End::Lost),
            Either::Right((ended, _)) => ended,
        }
    }

    async fn work(&mut self, pauses: &mut Pauses) -> Result<End, SubscriptionError> {
        // Written down before anything is handed over: who comes next must know of this one.
        if !self.write().await? {
            return Ok(End::Lost);
        }
        let mut feed = self.durable.events.follow(self.up_to);
        let mut next = Next::GoOn;
        while next == Next::GoOn {
            next = match self.wait(&mut feed).await {
                Wake::Event(event) => {
                    let event = (*event)?;
                    pauses.reset();
                    self.take(&event).await?
                }
                Wake::Due => self.write_or_lose().await?,
                Wake::Look => self.look().await?,
                Wake::Stop => Next::Stop,
            };
        }
        if next == Next::Lost {
            return Ok(End::Lost);
        }
        self.state.owner = None;
        Ok(match self.write().await? {
            true => End::Released,
            false => End::Lost,
        })
    }

    async fn wait(&mut self, feed: &mut EventStream) -> Wake {
        let due = self.unwritten.map(|(since, _)| since + UNWRITTEN_FOR);
        let look = (!self.parked.is_empty()).then_some(self.look_at);
        let (due, look) = (pin!(sleep_until_some(due)), pin!(sleep_until_some(look)));
        let time = async {
            match select(due, look).await {
                Either::Left(_) => Wake::Due,
                Either::Right(_) => Wake::Look,
            }
        };
        let event = async {
            let given = self.durable.events.given(feed.next().await);
            Wake::Event(Box::new(given))
        };
        let first = async {
            match select(pin!(time), pin!(event)).await {
                Either::Left((wake, _)) | Either::Right((wake, _)) => wake,
            }
        };
        let first = self.stop.run_until_cancelled(first).await;
        first.unwrap_or(Wake::Stop)
    }

    /// Takes an event, and writes down how far it came when that is due.
    async fn take(&mut self, event: &StoredEvent) -> Result<Next, SubscriptionError> {
        let next = self.event(event).await?;
        // Others on this thread are to come to their turn while there is always more.
        tokio::task::yield_now().await;
        let is_due = self
            .unwritten
            .is_some_and(|(since, count)| count >= UNWRITTEN || since.elapsed() >= UNWRITTEN_FOR);
        match next {
            Next::GoOn if is_due => self.write_or_lose().await,
            next => Ok(next),
        }
    }

    async fn event(&mut self, event: &StoredEvent) -> Result<Next, SubscriptionError> {
        let position = event.position;
        if self.parked.has(position) {
            self.advance(event);
            return Ok(Next::GoOn);
        }
        if let Some(reason) = self.parked.reason_to_wait(event) {
            return self.park(event, reason, 0).await;
        }
        let is_suspect = self.state.trying == Some(position);
        if is_suspect && self.state.abandoned >= self.durable.plan.worker.retry.attempts {
            let times = self.state.abandoned;
            let reason = format!("the program ended {times} times in the middle of it");
            return self.park(event, reason, times).await;
        }
        if self.careful > 0 && !is_suspect {
            self.state.trying = Some(position);
            if !self.write().await? {
                return Ok(Next::Lost);
            }
        }
        match self.durable.plan.worker.work(event, self.turn()).await {
            Outcome::Handled => self.advance(event),
            Outcome::Interrupted => return Ok(self.interrupted()),
            Outcome::GivenUp { reason, attempts } => {
                return self.park(event, reason, attempts).await;
            }
        }
        if self.careful > 0 {
            self.careful -= 1;
            return self.write_or_lose().await;
        }
        Ok(Next::GoOn)
    }

    fn turn(&self) -> Turn<'_> {
        Turn {
            stop: &self.stop,
            lease: Some(&self.lease),
        }
    }

    /// What follows where an event was not handed over any more.
    fn interrupted(&self) -> Next {
        match self.lease.is_over() {
            true => Next::Lost,
            false => Next::Stop,
        }
    }

    fn advance(&mut self, event: &StoredEvent) {
        self.up_to = event.bookmark();
        self.state.trying = None;
        self.state.abandoned = 0;
        let (since, count) = self.unwritten.unwrap_or((Instant::now(), 0));
        self.unwritten = Some((since, count + 1));
    }

    /// Parks an event and goes on behind it, in one commit.
    async fn park(
        &mut self,
        event: &StoredEvent,
        reason: String,
        attempts: u32,
    ) -> Result<Next, SubscriptionError> {
        self.advance(event);
        let event = ParkedEvent::new(event, reason, attempts);
        self.keep_parked(event).await
    }

    async fn keep_parked(&mut self, event: ParkedEvent) -> Result<Next, SubscriptionError> {
        let entry = Entry {
            answered: self.answered.get(&event.position).copied(),
            event,
        };
        if !self.write_with(vec![record::parked(&entry)]).await? {
            return Ok(Next::Lost);
        }
        self.parked.insert(entry.event);
        Ok(Next::GoOn)
    }

    /// Looks up what persons ask for and does it, and hands over what no longer waits.
    async fn look(&mut self) -> Result<Next, SubscriptionError> {
        let storage = &*self.durable.record.storage;
        for (position, asked) in asked::all(storage, &self.requests).await? {
            if self.answered.get(&position) != Some(&asked.id)
                && self.parked.ask(position, asked.request)
            {
                self.asked.insert(position, asked.id);
            }
        }
        let mut next = Next::GoOn;
        while next == Next::GoOn {
            let Some(parked) = self.parked.next_to_serve() else {
                break;
            };
            next = self.serve(parked).await?;
        }
        self.look_at = Instant::now() + LOOK;
        Ok(next)
    }

    async fn serve(&mut self, parked: ParkedEvent) -> Result<Next, SubscriptionError> {
        let position = parked.position;
        let event = match parked.request {
            Some(ParkedRequest::Discard) => None,
            _ => self.durable.events.parked(&parked).await?,
        };
        // Without an event there is nothing to hand over: it is discarded, or the store has dropped it.
        let outcome = match &event {
            None => Outcome::Handled,
            Some(event) => self.durable.plan.worker.work(event, self.turn()).await,
        };
        if outcome == Outcome::Interrupted {
            return Ok(self.interrupted());
        }
        let answered = self.asked.remove(&position);
        self.answered.extend(answered.map(|id| (position, id)));
        match outcome {
            Outcome::Handled | Outcome::Interrupted => {
                if !self.write_with(vec![removed(position)]).await? {
                    return Ok(Next::Lost);
                }
                self.parked.remove(position);
                self.answered.remove(&position);
                Ok(Next::GoOn)
            }
            Outcome::GivenUp { reason, attempts } => {
                let again = ParkedEvent {
                    reason: cut(reason),
                    attempts,
                    request: None,
                    ..parked
                };
                self.keep_parked(again).await
            }
        }
    }

    async fn write_or_lose(&mut self) -> Result<Next, SubscriptionError> {
        Ok(match self.write().await? {
            true => Next::GoOn,
            false => Next::Lost,
        })
    }

    async fn write(&mut self) -> Result<bool, SubscriptionError> {
        self.write_with(Vec::new()).await
    }

    /// Writes down how far the subscription came, with what changed. Gives whether it was still this program's.
    async fn write_with(
        &mut self,
        mut documents: Vec<DocumentChange>,
    ) -> Result<bool, SubscriptionError> {
        if self.known.as_ref() != Some(&self.state) {
            documents.push(state(&self.state));
        }
        let record = &self.durable.record;
        let mut pauses = Pauses::default();
        let mut may_be_there = false;
        loop {
            let written = record
                .commit(self.written, self.up_to, documents.clone())
                .await;
            let Err(error) = written else { break };
            if is_lost(&error) {
                // It may be this commit that was first, and its answer was lost.
                if !may_be_there || record.up_to().await? != self.up_to {
                    return Ok(false);
                }
                break;
            }
            may_be_there |= matches!(error, ReadModelError::OutcomeUnknown { .. });
            let error = SubscriptionError::from(error);
            if !may_pass(&error) {
                return Err(error);
            }
            let name = self.durable.plan.mode.name();
            tracing::warn!(name, error = %ErrorChain(&error), "a subscription waits for what it is kept in");
            self.stop
                .run_until_cancelled(pauses.pause())
                .await
                .ok_or(error)?;
        }
        self.known = Some(self.state.clone());
        self.written = self.up_to;
        self.unwritten = None;
        Ok(true)
    }
}

/// Waits for a moment; for ever where there is none.
pub(super) async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
