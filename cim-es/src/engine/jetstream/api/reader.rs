//! Reading the stream in order through an ephemeral consumer that is made again whenever it fails.
//!
//! The consumer acknowledges nothing. It is pulled from where the reader may stop or be slow, and so alone decides how
//! much is on its way; it pushes where everything up to an end is wanted, which takes about a quarter less time (measured
//! on 10,000 and on 200,000 messages). What was delivered is known by its sequence, so a consumer that is gone, silent or
//! out of step is replaced by one that starts behind the last message: nothing is missed, nothing comes twice.

use std::pin::pin;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use cid::Cid;
use futures_util::future::{Either, select};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json as query};
use tokio::time::{Instant, sleep, timeout};

use super::ack_subject::AckSubject;
use super::failure::{ApiFailure, Class, errors, failure_of};
use super::leader::Leader;
use super::message::Raw;
use super::request::{Api, json, nanoseconds};
use crate::engine::jetstream::connect::{PermissionDenied, Refusals};
use crate::engine::jetstream::retry::{self, Retry};
use crate::store::{Bookmark, Position, StoreError};

/// How many messages one pull asks for.
const BATCH: usize = 500;
/// How many bytes one pull may bring, unless a single message may be larger.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How long a pull waits for messages.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the server gives a heartbeat while there is no message.
const HEARTBEAT: Duration = Duration::from_millis(750);
/// Silence after which the consumer is taken for lost.
const SILENCE: Duration = Duration::from_millis(2_000);
/// How often the reader looks whether the connection is still the one on which it pulled.
const TICK: Duration = Duration::from_millis(250);
/// After what time without a reader the server removes the consumer by itself.
const INACTIVE: Duration = Duration::from_secs(20);

const OPERATION: &str = "read through a consumer";

/// Which messages a reader reads.
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    /// Stored subjects, which may have wildcards; none for all.
    pub(crate) subjects: Vec<String>,
    /// Whether bodies are left out.
    pub(crate) headers_only: bool,
}

/// How messages come from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// As many as were asked for.
    Pulled,
    /// As fast as the flow control of the server lets them.
    Pushed,
}

/// Reads messages in order from a sequence on.
pub(crate) struct Reader {
    api: Api,
    filters: Filters,
    delivery: Delivery,
    /// The sequence from which the next message may come.
    next: u64,
    session: Option<Session>,
    /// Whether the reader goes on however long no consumer can be had.
    is_endless: bool,
    /// Since the last message.
    retry: Option<Retry>,
    /// Until when a server without room for a consumer is taken for one that restarts.
    full_until: Option<Instant>,
    losses: u32,
    /// When the last message came, or reading began.
    since: Instant,
    /// The last message: a consumer that is made again starts with it, so that it shows whether the stream is the same.
    anchor: Option<(u64, Cid)>,
    /// Whether the next message must be the anchor.
    is_anchored: bool,
}

/// One consumer and the pulls on it.
struct Session {
    name: String,
    inbox: String,
    delivery: Delivery,
    messages: Subscriber,
    /// The place of the last message in the order of this consumer.
    delivered: u64,
    /// How many further messages there were when the last one was given.
    pending: Option<u64>,
    /// How many messages were asked for and have not come.
    open: usize,
    pulls: u64,
    connects: u64,
    heard: Instant,
    refusals: Refusals,
}

/// What waiting for a message came to.
pub(crate) enum Step {
    /// The next message.
    Message(Raw),
    /// No message for a while; the reader is well.
    Idle,
}

/// What a message of a session means.
enum Heard {
    Message(Raw),
    Sign,
    /// A sign that wants an empty message on a subject, before more is pushed.
    Question(Subject),
    Lost(&'static str),
}

impl Reader {
    /// A reader that gives up when no consumer can be had for a while.
    pub(crate) fn new(api: Api, filters: Filters, from: u64) -> Self {
        Self {
            api,
            filters,
            delivery: Delivery::Pulled,
            next: from.max(1),
            session: None,
            is_endless: false,
            retry: None,
            full_until: None,
            losses: 0,
            since: Instant::now(),
            anchor: None,
            is_anchored: false,
        }
    }

    /// The same for a reader that never gives up.
    pub(crate) fn without_end(mut self) -> Self {
        self.is_endless = true;
        self.retry = None;
        self
    }

    /// The same for a reader that wants everything there is.
    pub(crate) fn pushed(mut self) -> Self {
        self.delivery = Delivery::Pushed;
        self
    }

    /// The next message, or a sign that none has come for a while.
    ///
    /// # Errors
    /// What keeps the reader from having a consumer, past its patience or for good.
    pub(crate) async fn step(&mut self) -> Result<Step, StoreError> {
        let idle = Instant::now() + 2 * TICK;
        loop {
            let Some(session) = &mut self.session else {
                self.start().await?;
                continue;
            };
            if session.connects != self.api.connects() {
                self.lose("the connection was made again").await;
                continue;
            }
            if session.delivery == Delivery::Pulled && session.open <= BATCH {
                if let Err(failure) = session.pull(&self.api).await {
                    self.fail(failure).await?;
                }
                continue;
            }
            // What is there already needs no timer.
            let received = match session.messages.next().now_or_never() {
                Some(received) => Ok(Ok(received)),
                None => timeout(TICK, session.receive()).await,
            };
            let heard = match received {
                Ok(Ok(Some(message))) => session.hear(message, self.next),
                Ok(Ok(None)) => Heard::Lost("the subscription ended"),
                Ok(Err(denied)) => {
                    self.fail(denied.into()).await?;
                    continue;
                }
                Err(_) if session.heard.elapsed() > SILENCE => Heard::Lost("it is silent"),
                Err(_) => Heard::Sign,
            };
            match heard {
                Heard::Message(raw) => {
                    if self.is_anchored && self.is_anchor(&raw).await? {
                        continue;
                    }
                    self.next = raw.sequence + 1;
                    self.anchor = raw.cid.map(|cid| (raw.sequence, cid));
                    self.api.seen.note(raw.sequence);
                    self.retry = None;
                    self.full_until = None;
                    self.losses = 0;
                    self.since = Instant::now();
                    return Ok(Step::Message(raw));
                }
                // Who reads up to an end knows that there is more.
                _ if !self.is_endless && self.since.elapsed() > self.api.patience => {
                    let failure = ApiFailure::TimedOut(self.api.patience);
                    return Err(self.api.error(OPERATION, failure));
                }
                Heard::Question(subject) => {
                    let answered = self.api.hand_over(subject, None, None, Bytes::new());
                    if let Err(failure) = answered.await {
                        self.fail(failure).await?;
                    }
                }
                Heard::Sign if Instant::now() >= idle => return Ok(Step::Idle),
                Heard::Sign => {}
                Heard::Lost(reason) => self.lose(reason).await,
            }
        }
    }

    /// How many further messages the consumer knew of when it gave the last one.
    pub(crate) fn pending(&self) -> Option<u64> {
        self.session.as_ref().and_then(|session| session.pending)
    }

    /// Removes the consumer from the server.
    pub(crate) async fn close(mut self) {
        if let Some(session) = self.session.take() {
            delete(&self.api, &session.name).await;
        }
    }

    /// Whether the first message of a consumer that was made again is the last one of the former consumer.
    async fn is_anchor(&mut self, raw: &Raw) -> Result<bool, StoreError> {
        self.is_anchored = false;
        let Some((sequence, cid)) = self.anchor else {
            return Ok(false);
        };
        if raw.sequence == sequence && raw.cid == Some(cid) {
            return Ok(true);
        }
        // It is gone: dropped by the stream, as its state then says, or never in this one.
        let is_dropped = raw.sequence > sequence && {
            let state = Leader::new(&self.api).state().await?;
            state.last_until(sequence) != Some(sequence)
        };
        match is_dropped {
            true => Ok(false),
            false => {
                let known = Bookmark {
                    position: Position(sequence),
                    cid: Some(cid),
                };
                Err(self.api.another_history(known, raw.sequence, raw.cid))
            }
        }
    }

    async fn start(&mut self) -> Result<(), StoreError> {
        let from = self.anchor.map_or(self.next, |(sequence, _)| sequence);
        if self.losses > 0 || self.anchor.is_some() {
            match Leader::new(&self.api).state().await {
                Ok(_) => {}
                Err(error) => match failure_of(&error) {
                    // It was asked for longer than a leader can be deposed without knowing it.
                    Some(ApiFailure::Stale) | None => return Err(error),
                    Some(failure) => return self.fail(failure.clone()).await,
                },
            }
        }
        self.is_anchored = self.anchor.is_some();
        self.next = from;
        match Session::start(&self.api, &self.filters, self.delivery, from).await {
            Ok(session) => {
                self.session = Some(session);
                Ok(())
            }
            Err(failure) => self.fail(failure).await,
        }
    }

    async fn lose(&mut self, reason: &'static str) {
        if let Some(session) = self.session.take() {
            let stream = &self.api.stream;
            tracing::debug!(%stream, next = self.next, reason, "a consumer is made again");
            delete(&self.api, &session.name).await;
        }
        // A consumer that is lost again and again must not become a storm of new ones.
        if self.losses > 0 {
            sleep(retry::CONSUMER.pause(self.losses as usize)).await;
        }
        self.losses = self.losses.saturating_add(1);
    }

    /// Waits before the next attempt, unless there is no sense or no patience in it.
    async fn fail(&mut self, failure: ApiFailure) -> Result<(), StoreError> {
        self.session = None;
        let may_pass = match failure.class() {
            Class::Transient => true,
            // A cluster that restarts has no place for a consumer for a while.
            Class::Full => {
                let until = *self.full_until.get_or_insert_with(|| self.api.deadline());
                Instant::now() < until
            }
            _ => false,
        };
        if !may_pass || self.api.has_ended() {
            return Err(self.api.error(OPERATION, failure));
        }
        tracing::debug!(stream = %self.api.stream, %failure, "no consumer can be had, trying again");
        let (patience, is_endless) = (self.api.patience, self.is_endless);
        let retry = self.retry.get_or_insert_with(|| match is_endless {
            true => retry::CONSUMER.without_end(),
            false => retry::CONSUMER.within(patience),
        });
        match retry.pause().await {
            true => Ok(()),
            false => Err(self.api.error(OPERATION, failure)),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let api = self.api.clone();
            runtime.spawn(async move { delete(&api, &session.name).await });
        }
    }
}

async fn delete(api: &Api, name: &str) {
    let subject = format!("{}.{name}", api.subject("CONSUMER.DELETE"));
    let deleted = api.ask_at::<Value>(subject, &query!({})).await;
    if let Err(failure) = deleted
        && !failure.has_error(errors::CONSUMER_NOT_FOUND)
    {
        // The server removes it by itself once it is inactive.
        tracing::debug!(%failure, consumer = name, "a consumer was not deleted");
    }
}

impl Session {
    async fn start(
        api: &Api,
        filters: &Filters,
        delivery: Delivery,
        from: u64,
    ) -> Result<Self, ApiFailure> {
        let connects = api.connects();
        let refusals = api.connection.refusals();
        let inbox = api.client().new_inbox();
        // A server pushes to subscriptions of that very subject alone, not to those with a wildcard.
        let answers = match delivery {
            Delivery::Pulled => format!("{inbox}.*"),
            Delivery::Pushed => inbox.clone(),
        };
        let messages = api.listen(answers).await?;
        let name = format!("cim-es-{}", uuid::Uuid::now_v7().simple());
        let mut subject = format!("{}.{name}", api.subject("CONSUMER.CREATE"));
        let mut config = query!({
            "name": name,
            "description": "reads once in order; made and removed by cim-es",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": from,
            "ack_policy": "none",
            "replay_policy": "instant",
            "inactive_threshold": nanoseconds(INACTIVE),
            "headers_only": filters.headers_only,
            "num_replicas": 1,
            "mem_storage": true,
        });
        if delivery == Delivery::Pushed {
            config["deliver_subject"] = query!(inbox);
            config["flow_control"] = query!(true);
            config["idle_heartbeat"] = query!(nanoseconds(HEARTBEAT));
        }
        match filters.subjects.as_slice() {
            [] => {}
            [filter] => {
                // With the filter in the subject, a permission can be given for it.
                subject = format!("{subject}.{filter}");
                config["filter_subject"] = query!(filter);
            }
            filters => config["filter_subjects"] = query!(filters),
        }
        let body = query!({ "stream_name": &*api.stream, "action": "create", "config": config });
        api.ask_at::<Value>(subject, &body).await?;
        Ok(Self {
            name,
            inbox,
            delivery,
            messages,
            delivered: 0,
            pending: None,
            open: 0,
            pulls: 0,
            connects,
            heard: Instant::now(),
            refusals,
        })
    }

    /// Asks for more while the last messages are still on their way.
    async fn pull(&mut self, api: &Api) -> Result<(), ApiFailure> {
        let subject = format!("{}.{}", api.subject("CONSUMER.MSG.NEXT"), self.name);
        let reply = format!("{}.{}", self.inbox, self.pulls);
        let max_bytes = BATCH_BYTES.max(2 * api.client().max_payload());
        let body = json(&query!({
            "batch": BATCH,
            "max_bytes": max_bytes,
            "expires": nanoseconds(EXPIRES),
            "idle_heartbeat": nanoseconds(HEARTBEAT),
        }))?;
        api.hand_over(subject, Some(reply), None, body).await?;
        self.pulls += 1;
        self.open += BATCH;
        Ok(())
    }

    /// The next message, or what the servers refuse of what this consumer needs.
    async fn receive(&mut self) -> Result<Option<Message>, PermissionDenied> {
        let (name, inbox) = (&self.name, &self.inbox);
        let concerns = |denied: &PermissionDenied| {
            denied.subject.contains(name) || denied.subject.starts_with(inbox)
        };
        let refused = pin!(self.refusals.next(concerns));
        match select(self.messages.next(), refused).await {
            Either::Left((message, _)) => Ok(message),
            Either::Right((denied, _)) => Err(denied),
        }
    }

    fn hear(&mut self, message: Message, next: u64) -> Heard {
        self.heard = Instant::now();
        match message.status {
            None | Some(StatusCode::OK) => self.deliver(message, next),
            Some(StatusCode::IDLE_HEARTBEAT) => self.sign(message),
            Some(StatusCode::TIMEOUT) => self.end_pull(&message),
            Some(StatusCode::REQUEST_TERMINATED) => match message.description.as_deref() {
                Some("Message Size Exceeds MaxBytes") => self.end_pull(&message),
                _ => Heard::Lost("the server ended it"),
            },
            Some(StatusCode::NO_RESPONDERS) => Heard::Lost("the server no longer has it"),
            Some(_) => Heard::Lost("the server answered with an unknown status"),
        }
    }

    /// A heartbeat is behind all messages that the consumer has sent; that of one which pushes may ask for an answer.
    fn sign(&self, message: Message) -> Heard {
        let headers = message.headers.unwrap_or_default();
        if self.delivery == Delivery::Pushed {
            if let Some(reply) = message.reply {
                return Heard::Question(reply);
            }
            if let Some(stalled) = headers.get("Nats-Consumer-Stalled") {
                return Heard::Question(stalled.as_str().into());
            }
        }
        let sent = headers
            .get("Nats-Last-Consumer")
            .map(|last| last.as_str().parse::<u64>());
        match sent {
            Some(Ok(sent)) if sent != self.delivered => Heard::Lost("messages are missing"),
            _ => Heard::Sign,
        }
    }

    /// A pull that ends early says how many messages it still asked for.
    fn end_pull(&mut self, message: &Message) -> Heard {
        let headers = message.headers.as_ref();
        let unfilled = headers
            .and_then(|headers| headers.get("Nats-Pending-Messages"))
            .and_then(|pending| pending.as_str().parse::<usize>().ok());
        match unfilled {
            Some(unfilled) => {
                self.open = self.open.saturating_sub(unfilled);
                Heard::Sign
            }
            None => Heard::Lost("a pull ended without saying what is open"),
        }
    }

    fn deliver(&mut self, message: Message, next: u64) -> Heard {
        let Some(place) = message.reply.as_deref().and_then(AckSubject::parse) else {
            return Heard::Lost("a message came without its place");
        };
        if place.consumer != self.delivered + 1 || place.stream < next {
            return Heard::Lost("a message is out of step");
        }
        self.delivered = place.consumer;
        self.pending = place.pending;
        self.open = self.open.saturating_sub(1);
        let headers = message.headers.unwrap_or_default();
        let raw = Raw::new(place.stream, message.subject, &headers, message.payload);
        Heard::Message(raw)
    }
}
