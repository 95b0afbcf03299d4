//! One of the hands of a member of a group, which asks for one event after the other.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::SubscriptionError;
use super::group::Group;
use crate::engine::jetstream::api::{Api, ApiFailure, json as body, nanoseconds};
use crate::engine::jetstream::connect::{PermissionDenied, Refusals};

/// How long one request for an event stands.
pub(super) const EXPIRES: Duration = Duration::from_secs(2);
/// How long its answer may take beyond that.
const GRACE: Duration = Duration::from_millis(500);
/// How much later an event may come that was asked for with a request that was given up.
const LATE: Duration = Duration::from_secs(10);
/// How often a member looks whether the connection was made again.
const TICK: Duration = Duration::from_millis(250);
/// After how long without a look the thread was blocked, or the program stopped: what was delivered meanwhile the server
/// may have given to another.
const BLOCKED: Duration = Duration::from_secs(5);

/// One of the hands of a member: it has a single request for an event open at a time.
pub(super) struct Hand {
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
    pub(super) async fn new(group: &Group) -> Result<Self, SubscriptionError> {
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
    pub(super) async fn next(&mut self, group: &Group) -> Result<Option<Message>, ApiFailure> {
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
        let heard = match select(pin!(heard), pin!(refusals.next(concerns))).await {
            Either::Left((heard, _)) => heard?,
            Either::Right((denied, _)) => return Err(denied.into()),
        };
        match heard {
            Heard::Message(message) => Ok(Some(message)),
            Heard::Nothing => Ok(None),
            Heard::TooLate => {
                tracing::warn!(
                    name = group.name(),
                    "a handler has blocked its thread, or the program was stopped: events that came meanwhile are left to \
                     others"
                );
                let inbox = api.client().new_inbox();
                self.answers = api.listen(format!("{inbox}.*")).await?;
                self.inbox = inbox;
                self.requests.clear();
                Ok(None)
            }
        }
    }
}

/// What waiting for an answer came to.
enum Heard {
    Message(Message),
    Nothing,
    /// Whatever was delivered was delivered long ago.
    TooLate,
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
) -> Result<Heard, ApiFailure> {
    let until = requests.back().map(|request| request.until);
    while until.is_some_and(|until| Instant::now() < until) && api.connects() == connects {
        let asked = Instant::now();
        let received = timeout(TICK, answers.next()).await;
        if asked.elapsed() >= BLOCKED {
            return Ok(Heard::TooLate);
        }
        let Ok(message) = received else {
            continue;
        };
        let message = message.ok_or(ApiFailure::Client("the subscription ended".into()))?;
        if matches!(message.status, None | Some(StatusCode::OK)) {
            requests.pop_front();
            return Ok(Heard::Message(message));
        }
        let last = requests.back().map(|request| request.reply.clone());
        requests.retain(|request| request.reply != message.subject.as_str());
        let is_last = last.as_deref() == Some(message.subject.as_str());
        match message.status {
            Some(StatusCode::NO_RESPONDERS) if is_last => return Err(ApiFailure::NoResponders),
            Some(_) if is_last => return Ok(Heard::Nothing),
            // Of a request that was given up.
            _ => {}
        }
    }
    match api.has_ended() {
        true => Err(ApiFailure::Client("the connection ended".to_owned())),
        false => Ok(Heard::Nothing),
    }
}
