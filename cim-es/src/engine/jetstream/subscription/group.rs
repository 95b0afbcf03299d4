//! A consumer group: several members share one durable consumer, and each gets a part of the events.
//!
//! A member asks for one event at a time for each of its hands, so the server counts how often an event was handed
//! over, also when a member ends in the middle of it.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::SubscriptionError;
use super::coordination::{Coordination, Entry};
use super::feed::Source;
use super::handler::HandlerError;
use super::membership::define;
use super::parked::{self, ParkedEvent, ParkedRequest};
use super::worker::Outcome;
use crate::block::StoredEvent;
use crate::engine::jetstream::api::{Api, ApiFailure, Raw, json as body, nanoseconds};
use crate::engine::jetstream::buckets::name::token;
use crate::engine::jetstream::connect::{PermissionDenied, Refusals};
use crate::engine::jetstream::retry;
use crate::store::Position;
use tokio_util::sync::CancellationToken;

/// How long the server waits for word about an event before it gives it to another.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// How often it gets word that the handler is still at work.
const PROGRESS: Duration = Duration::from_secs(3);
/// How long one request for an event stands.
const EXPIRES: Duration = Duration::from_secs(2);
/// How long its answer may take beyond that.
const GRACE: Duration = Duration::from_millis(500);
/// How much later an event may come that was asked for with a request that was given up.
const LATE: Duration = Duration::from_secs(10);
/// How often a member looks whether the connection was made again.
const TICK: Duration = Duration::from_millis(250);
/// How often a member looks at what is parked.
const LOOK: Duration = Duration::from_secs(1);
/// How long a parked event may be with a member before another takes it.
const TAKEN: Duration = Duration::from_secs(60);
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

    fn name(&self) -> &str {
        self.source.plan.mode.name()
    }

    fn consumer(&self) -> String {
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
        hands.spawn(async move { group.look_after_parked(stop).await });
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
                    self.handle(message, &stop).await?;
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
        let retry = &self.source.plan.worker.retry;
        let is_first = delivery.delivered <= 1;
        // What the server counts may never have reached a handler. What a handler saw is written down: before the event is
        // handed over again, since a member may end in the middle of it, and once a handler has failed on it.
        let (key, mut revision) = (format!("attempts.{}", event.position), 0);
        let mut attempts = 1;
        if !is_first {
            let entry = self.coordination.read::<u32>(&key).await?;
            let before = entry.value.unwrap_or(0);
            if before >= retry.attempts {
                let reason = "members ended in the middle of it".to_owned();
                self.park(&delivery, reason, before).await?;
                return self.forget(&key, entry.revision).await;
            }
            attempts = before + 1;
            let written = self.coordination.write(&key, &attempts, entry.revision);
            let Some(written) = written.await? else {
                // Another member has it too, after an answer was lost.
                return Ok(());
            };
            revision = written;
        }
        let Err(error) = self.work(&delivery).await else {
            self.answer(&delivery, "+ACK".to_owned()).await?;
            return self.forget(&key, revision).await;
        };
        let position = event.position;
        tracing::warn!(%position, attempts, %error, "a handler failed");
        if error.is_permanent() || attempts >= retry.attempts {
            self.park(&delivery, error.to_string(), attempts).await?;
            return self.forget(&key, revision).await;
        }
        if is_first {
            self.coordination.write(&key, &attempts, 0).await?;
        }
        // Who stops leaves the event to the others at once.
        let pause = match stop.is_cancelled() {
            true => Duration::ZERO,
            false => retry.pause(attempts),
        };
        let answer = json!({ "delay": nanoseconds(pause) });
        self.answer(&delivery, format!("-NAK {answer}")).await
    }

    /// Removes what is written down about the attempts on an event; nothing is where there was a single one.
    async fn forget(&self, key: &str, revision: u64) -> Result<(), SubscriptionError> {
        if revision > 0 {
            self.coordination.remove(key, revision).await?;
        }
        Ok(())
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
        self.answer(delivery, format!("+TERM parked: {}", parked::cut(reason)))
            .await
    }

    /// The event of a message, proved; none for a message without its place.
    fn delivery(&self, message: Message) -> Result<Option<Delivery>, SubscriptionError> {
        let Some(reply) = message.reply.as_deref().map(str::to_owned) else {
            return Ok(None);
        };
        let Some((delivered, sequence)) = place(&reply) else {
            return Ok(None);
        };
        let headers = message.headers.unwrap_or_default();
        let raw = Raw::new(sequence, message.subject, &headers, message.payload);
        let event = raw.verify(&self.source.api, &self.source.plan.layout)?;
        Ok(Some(Delivery {
            event,
            delivered,
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

    /// Does what is asked for with parked events.
    async fn look_after_parked(&self, stop: CancellationToken) -> Result<(), SubscriptionError> {
        let mut open: HashMap<String, (Entry<ParkedEvent>, Instant)> = HashMap::new();
        let mut seen = 0;
        loop {
            match self
                .coordination
                .glance::<ParkedEvent>(parked::ALL, seen + 1)
                .await
            {
                Ok(entries) => {
                    for entry in entries {
                        seen = seen.max(entry.revision);
                        let is_open = entry.value.as_ref().is_some_and(|it| it.request.is_some());
                        match is_open {
                            true => open.insert(entry.key.clone(), (entry, Instant::now())),
                            false => open.remove(&entry.key),
                        };
                    }
                }
                Err(error) => tracing::debug!(%error, "what is parked cannot be seen now"),
            }
            let due: Vec<_> = open.values().filter(|it| is_due(it)).cloned().collect();
            for (entry, _) in due {
                if stop.is_cancelled() {
                    return Ok(());
                }
                open.remove(&entry.key);
                match self.serve(entry.clone(), &stop).await {
                    Err(error) if error.may_pass() => {
                        tracing::warn!(name = self.name(), %error, "a parked event waits for the servers");
                        open.insert(entry.key.clone(), (entry, Instant::now()));
                    }
                    served => served?,
                }
            }
            if stop.run_until_cancelled(sleep(LOOK)).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn serve(
        &self,
        entry: Entry<ParkedEvent>,
        stop: &CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let Some(parked) = entry.value else {
            return Ok(());
        };
        if parked.request == Some(ParkedRequest::Discard) {
            return Ok(parked.remove(&self.coordination).await?);
        }
        let mut taken = parked;
        taken.request = Some(ParkedRequest::Taken);
        taken.attempts += 1;
        if self
            .coordination
            .write(&entry.key, &taken, entry.revision)
            .await?
            .is_none()
        {
            // Another member was first.
            return Ok(());
        }
        let outcome = match self.source.event_at(taken.position).await? {
            None => Outcome::Handled,
            Some(event) => self.source.plan.worker.work(&event, stop).await,
        };
        let (reason, request) = match outcome {
            Outcome::Handled => return Ok(taken.remove(&self.coordination).await?),
            Outcome::Interrupted => (taken.reason.clone(), Some(ParkedRequest::Resend)),
            Outcome::GivenUp { reason, .. } => (reason, None),
        };
        let again = ParkedEvent {
            reason: parked::cut(reason),
            request,
            ..taken
        };
        Ok(again.write(&self.coordination).await.map(drop)?)
    }
}

/// One of the hands of a member: it has a single request for an event open at a time.
struct Hand {
    inbox: String,
    answers: Subscriber,
    refusals: Refusals,
    number: u64,
    connects: u64,
    /// The requests that may still be answered, in the order in which the server serves them.
    requests: VecDeque<Request>,
}

struct Request {
    reply: String,
    /// Until when nothing else is asked for.
    until: Instant,
}

impl Hand {
    async fn new(group: &Group) -> Result<Self, SubscriptionError> {
        let api = &group.source.api;
        let inbox = api.client().new_inbox();
        let refusals = api.connection.refusals();
        let answers = api.listen(format!("{inbox}.*")).await;
        let answers = answers.map_err(|failure| api.error("subscribe", failure))?;
        Ok(Self {
            inbox,
            answers,
            refusals,
            number: 0,
            connects: api.connects(),
            requests: VecDeque::new(),
        })
    }

    /// The next event; none when there is none for a while, or the answer may be lost. It may be dropped at any time.
    async fn next(&mut self, group: &Group) -> Result<Option<Message>, ApiFailure> {
        let api = &group.source.api;
        let subject = format!("{}.{}", api.subject("CONSUMER.MSG.NEXT"), group.consumer());
        if self.connects != api.connects() {
            self.connects = api.connects();
            self.requests.clear();
        }
        let now = Instant::now();
        self.requests.retain(|request| now < request.until + LATE);
        if self.requests.iter().all(|request| request.until <= now) {
            self.number += 1;
            let reply = format!("{}.{}", self.inbox, self.number);
            let request = body(&json!({ "batch": 1, "expires": nanoseconds(EXPIRES) }))?;
            self.requests.push_back(Request {
                reply: reply.clone(),
                until: now + EXPIRES + GRACE,
            });
            let asked = api.hand_over(subject.clone(), Some(reply), None, request);
            if let Err(failure) = asked.await {
                self.requests.pop_back();
                return Err(failure);
            }
        }
        let acks = format!(".{}.{}.", api.stream, group.consumer());
        let concerns = |denied: &PermissionDenied| {
            denied.subject == subject
                || (denied.subject.starts_with("$JS.ACK.") && denied.subject.contains(&acks))
        };
        let Self {
            answers,
            refusals,
            requests,
            connects,
            ..
        } = self;
        let heard = receive(api, answers, requests, *connects);
        match select(pin!(heard), pin!(refusals.next(concerns))).await {
            Either::Left((heard, _)) => heard,
            Either::Right((denied, _)) => Err(denied.into()),
        }
    }
}

/// Waits for an answer, as long as a request is open on this connection.
///
/// An event does not say which request it answers: it is the oldest one, so that one which comes late leaves the present
/// request open.
async fn receive(
    api: &Api,
    answers: &mut Subscriber,
    requests: &mut VecDeque<Request>,
    connects: u64,
) -> Result<Option<Message>, ApiFailure> {
    let until = requests.back().map(|request| request.until);
    while until.is_some_and(|until| Instant::now() < until) && api.connects() == connects {
        let Ok(message) = timeout(TICK, answers.next()).await else {
            continue;
        };
        let message = message.ok_or(ApiFailure::Client("the subscription ended".into()))?;
        if matches!(message.status, None | Some(StatusCode::OK)) {
            requests.pop_front();
            return Ok(Some(message));
        }
        let last = requests.back().map(|request| request.reply.clone());
        requests.retain(|request| request.reply != message.subject.as_str());
        let is_last = last.as_deref() == Some(message.subject.as_str());
        match message.status {
            Some(StatusCode::NO_RESPONDERS) if is_last => return Err(ApiFailure::NoResponders),
            Some(_) if is_last => return Ok(None),
            // Of a request that was given up.
            _ => {}
        }
    }
    match api.has_ended() {
        true => Err(ApiFailure::Client("the connection ended".to_owned())),
        false => Ok(None),
    }
}

fn is_due((entry, seen): &(Entry<ParkedEvent>, Instant)) -> bool {
    match entry.value.as_ref().and_then(|parked| parked.request) {
        Some(ParkedRequest::Taken) => seen.elapsed() >= TAKEN,
        Some(_) => true,
        None => false,
    }
}

/// How often a message was delivered and its sequence, from `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.…`,
/// which has two more tokens in front of the stream where domains are in use.
fn place(reply: &str) -> Option<(u32, u64)> {
    let tokens: Vec<&str> = reply.split('.').collect();
    let at = match tokens.len() {
        9 => 4,
        11.. => 6,
        _ => return None,
    };
    Some((tokens[at].parse().ok()?, tokens[at + 1].parse().ok()?))
}
