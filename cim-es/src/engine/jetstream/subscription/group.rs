//! A consumer group: several members share one durable consumer, and each gets a part of the events.
//!
//! A member asks for one event at a time for each of its hands, so the server counts how often an event was handed
//! over, also when a member ends in the middle of it.

use std::pin::pin;
use std::time::Duration;

use async_nats::Message;
use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::SubscriptionError;
use super::coordination::Coordination;
use super::failure::MayPass;
use super::feed::{CUT_OFF, Source};
use super::hand::{EXPIRES, Hand};
use super::membership::define;
use super::resending::Resending;
use crate::block::StoredEvent;
use crate::engine::jetstream::api::{AckSubject, ApiFailure, Extent, Raw, nanoseconds};
use crate::engine::jetstream::buckets::name::token;
use crate::engine::jetstream::retry;
use crate::store::Position;
use crate::store::subscription::{HandlerError, ParkedEvent, cut};
use tokio_util::sync::CancellationToken;

/// How long the server waits for word about an event before it gives it to another.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// How often it gets word that the handler is still at work.
const PROGRESS: Duration = Duration::from_secs(3);
/// How much later an event is handed over whose commit is not whole yet.
const UNFINISHED: Duration = Duration::from_millis(500);
/// How many events may be on their way to all members together.
const ON_THE_WAY: u32 = 10_000;

/// What fails when there is no consumer, in words.
const MAKING: &str = "make the group's consumer";

/// What the members of a group have in common.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) coordination: Coordination,
    pub(super) source: Source,
    /// Where the group starts, if it has not started yet.
    pub(super) first: Position,
    pub(super) concurrency: usize,
}

/// An event on its way, and where to say what came of it.
struct Delivery {
    event: StoredEvent,
    delivered: u32,
    reply: String,
}

/// How many times a handler was given an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Attempts {
    count: u32,
    /// Which attempt wrote it down.
    by: String,
}

impl Group {
    /// Makes the durable consumer, or brings the one that is there up to date.
    pub(super) async fn prepare(&self) -> Result<(), SubscriptionError> {
        self.source.reaching(self.first, self.name()).await?;
        let api = &self.source.api;
        let mut retry = retry::CONSUMER.within(api.patience);
        while let Err(failure) = self.make_consumer().await? {
            api.wait(&mut retry, MAKING, failure).await?;
        }
        Ok(())
    }

    /// Makes the consumer anew if it is gone, which loses nothing. A stream that is gone is an error.
    async fn look_for_consumer(&self) -> Result<(), SubscriptionError> {
        match self.make_consumer().await {
            Ok(Err(failure)) if !failure.is_transient() => {
                Err(self.source.api.error(MAKING, failure).into())
            }
            Err(error) if !error.may_pass() => Err(error),
            _ => Ok(()),
        }
    }

    async fn make_consumer(&self) -> Result<Result<(), ApiFailure>, SubscriptionError> {
        let first = define(
            &self.coordination,
            &self.source,
            self.name(),
            "a group",
            self.first,
        )
        .await?;
        let api = &self.source.api;
        let consumer = self.consumer();
        let filters = self.source.filters(None);
        let mut subject = format!("{}.{consumer}", api.subject("CONSUMER.CREATE"));
        let mut config = json!({
            "durable_name": consumer,
            "name": consumer,
            "description": "shared by the members of a group; made by cim-es",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": first.0.saturating_add(1),
            "ack_policy": "explicit",
            "ack_wait": nanoseconds(ACK_WAIT),
            "max_deliver": -1,
            "max_ack_pending": ON_THE_WAY,
            "replay_policy": "instant",
        });
        match filters.as_slice() {
            [filter] => {
                subject = format!("{subject}.{filter}");
                config["filter_subject"] = json!(filter);
            }
            filters => config["filter_subjects"] = json!(filters),
        }
        let request = json!({ "stream_name": &*api.stream, "config": config });
        Ok(api.ask_at::<Value>(subject, &request).await.map(drop))
    }

    pub(super) fn name(&self) -> &str {
        self.source.plan.mode.name()
    }

    pub(super) fn consumer(&self) -> String {
        token(self.name())
    }

    /// Works until it is asked to stop.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), SubscriptionError> {
        let mut hands = JoinSet::new();
        for _ in 0..self.concurrency {
            let (group, stop) = (self.clone(), stop.clone());
            hands.spawn(async move { group.hand(stop).await });
        }
        let group = self.clone();
        hands.spawn(async move {
            let resending = Resending::new(group.coordination.clone(), &group.source, None);
            resending.run(stop).await
        });
        let mut result = Ok(());
        while let Some(ended) = hands.join_next().await {
            let ended = ended.unwrap_or_else(|error| {
                let reason = error.to_string();
                Err(SubscriptionError::Task { reason })
            });
            if ended.is_err() {
                result = ended;
                break;
            }
        }
        let flushed = timeout(EXPIRES, self.source.api.client().flush()).await;
        tracing::debug!(is_flushed = flushed.is_ok(), "a member of a group ends");
        result
    }

    /// Handles one event after the other.
    async fn hand(&self, stop: CancellationToken) -> Result<(), SubscriptionError> {
        let api = &self.source.api;
        let mut hand = Hand::new(self).await?;
        // The consumer was there, so what passes from now on is taken for servers that restart.
        let mut retry = retry::REQUEST.without_end();
        loop {
            let answer = match stop.run_until_cancelled(hand.next(self)).await {
                None => return Ok(()),
                Some(answer) => answer,
            };
            match answer {
                Ok(None) => retry.reset(),
                Ok(Some(message)) => {
                    retry.reset();
                    match self.handle(message, &stop).await {
                        // Nobody was told what came of the event, so the server hands it over again.
                        Err(error) if error.may_pass() => {
                            tracing::warn!(name = self.name(), %error, "a group waits for the servers");
                        }
                        handled => handled?,
                    }
                }
                Err(failure) if api.has_ended() => return Err(api.error("read", failure).into()),
                Err(failure) => {
                    let waited = async {
                        api.wait(&mut retry, "ask for an event", failure).await?;
                        // Nobody answers for a consumer or a stream that is gone.
                        self.look_for_consumer().await
                    };
                    if let Some(waited) = stop.run_until_cancelled(waited).await {
                        waited?;
                    }
                }
            }
        }
    }

    async fn handle(
        &self,
        message: Message,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let Some(delivery) = self.delivery(message)? else {
            return Ok(());
        };
        let event = &delivery.event;
        if !self.source.plan.wanted.includes(event) {
            return self.answer(&delivery, "+ACK".to_owned()).await;
        }
        self.source.api.seen.note(event.position.0);
        match self.source.extent(event).await? {
            Extent::Whole => {}
            Extent::Open => {
                let answer = json!({ "delay": nanoseconds(UNFINISHED) });
                return self.answer(&delivery, format!("-NAK {answer}")).await;
            }
            Extent::CutOff => return self.park(&delivery, CUT_OFF.to_owned(), 1).await,
        }
        let retry = &self.source.plan.worker.retry;
        let is_first = delivery.delivered <= 1;
        // What the server counts may never have reached a handler. What a handler saw is written down: before the event is
        // handed over again, since a member may end in the middle of it, and once a handler has failed on it.
        let (key, mut revision) = (format!("attempts.{}", event.position), 0);
        let mut attempts = 1;
        if !is_first {
            let entry = self.coordination.read::<Attempts>(&key).await?;
            let before = entry.value.map_or(0, |attempts| attempts.count);
            if before >= retry.attempts {
                let reason = "members ended in the middle of it".to_owned();
                self.park(&delivery, reason, before).await?;
                return self.forget(&key, entry.revision, stop).await;
            }
            attempts = before + 1;
            let Some(written) = self.note(&key, attempts, entry.revision).await? else {
                // Another member has it too, after an answer was lost.
                return Ok(());
            };
            revision = written;
        }
        let Err(error) = self.work(&delivery).await else {
            self.answer(&delivery, "+ACK".to_owned()).await?;
            return self.forget(&key, revision, stop).await;
        };
        let position = event.position;
        tracing::warn!(%position, attempts, %error, "a handler failed");
        if error.is_permanent() || attempts >= retry.attempts {
            self.park(&delivery, error.to_string(), attempts).await?;
            return self.forget(&key, revision, stop).await;
        }
        if is_first {
            self.note(&key, attempts, 0).await?;
        }
        // Who stops leaves the event to the others at once.
        let pause = match stop.is_cancelled() {
            true => Duration::ZERO,
            false => retry.pause(attempts),
        };
        let answer = json!({ "delay": nanoseconds(pause) });
        self.answer(&delivery, format!("-NAK {answer}")).await
    }

    /// Writes down how many attempts there were, this one included. Gives the revision; none when another was first.
    async fn note(
        &self,
        key: &str,
        count: u32,
        revision: u64,
    ) -> Result<Option<u64>, SubscriptionError> {
        let by = uuid::Uuid::now_v7().to_string();
        let attempts = Attempts { count, by };
        if let Some(written) = self.coordination.write(key, &attempts, revision).await? {
            return Ok(Some(written));
        }
        // Refused because of another, or because of itself after a lost answer: an attempt that no handler saw must not
        // count.
        let there = self.coordination.read::<Attempts>(key).await?;
        let is_own = there.value.is_some_and(|there| there.by == attempts.by);
        Ok(is_own.then_some(there.revision))
    }

    /// Removes what is written down about the attempts on an event; nothing is where there was a single one. The event does
    /// not come again, so nobody else would.
    async fn forget(
        &self,
        key: &str,
        revision: u64,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        if revision == 0 {
            return Ok(());
        }
        let mut retry = retry::REQUEST.without_end();
        loop {
            match self
                .coordination
                .remove(key, revision)
                .await
                .map_err(SubscriptionError::from)
            {
                Err(error) if error.may_pass() => {
                    stop.run_until_cancelled(retry.pause()).await.ok_or(error)?;
                }
                removed => return removed.map(drop),
            }
        }
    }

    /// Hands the event over, and tells the server all the while that it is being handled.
    async fn work(&self, delivery: &Delivery) -> Result<(), HandlerError> {
        let progress = async {
            loop {
                sleep(PROGRESS).await;
                if let Err(error) = self.answer(delivery, "+WPI".to_owned()).await {
                    tracing::debug!(%error, "the server was not told that a handler is at work");
                }
            }
        };
        let work = self.source.plan.worker.attempt(delivery.event.clone());
        match select(pin!(work), pin!(progress)).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => never,
        }
    }

    async fn park(
        &self,
        delivery: &Delivery,
        reason: String,
        attempts: u32,
    ) -> Result<(), SubscriptionError> {
        let event = &delivery.event;
        let entry = ParkedEvent::new(event, reason.clone(), attempts);
        let written = entry.write(&self.coordination).await;
        written.map_err(|source| SubscriptionError::NotParked {
            position: event.position,
            reason: reason.clone(),
            source,
        })?;
        self.answer(delivery, format!("+TERM parked: {}", cut(reason)))
            .await
    }

    /// The event of a message, proved; none for a message without its place.
    fn delivery(&self, message: Message) -> Result<Option<Delivery>, SubscriptionError> {
        let Some(reply) = message.reply.as_deref().map(str::to_owned) else {
            return Ok(None);
        };
        let Some(place) = AckSubject::parse(&reply) else {
            return Ok(None);
        };
        let headers = message.headers.unwrap_or_default();
        let raw = Raw::new(place.stream, message.subject, &headers, message.payload);
        let event = raw.verify(&self.source.api, &self.source.layout)?;
        Ok(Some(Delivery {
            event,
            delivered: place.delivered,
            reply,
        }))
    }

    async fn answer(&self, delivery: &Delivery, text: String) -> Result<(), SubscriptionError> {
        let api = &self.source.api;
        match api
            .hand_over(delivery.reply.clone(), None, None, text.into())
            .await
        {
            // The client is full, so the servers are away; they hand the event over again.
            Ok(()) | Err(ApiFailure::TimedOut(_)) => Ok(()),
            Err(failure) => Err(api.error("acknowledge", failure).into()),
        }
    }
}
