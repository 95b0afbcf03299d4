//! One attempt to publish a commit: a guarded message, or a guarded atomic batch.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::StreamExt;

use super::Stream;
use super::look::Sealed;
use super::outcome::Answer;
use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::{
    Ack, Api, ApiFailure, EXPECTED_SEQUENCE, EXPECTED_SUBJECT, errors, headers, in_time, parse,
    size,
};
use crate::store::{SealedEvent, StoreError, StoredSubjects};

/// What a guard must be for a commit to take effect.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// The guard of the aggregate.
    pub(super) subject: String,
    /// The last sequence under it, whichever kind of aggregate wrote it; 0 when nothing stands there.
    pub(super) sequence: u64,
}

/// A commit as messages, whose bytes stay the same over all attempts.
pub(super) struct Outgoing {
    messages: Vec<Message>,
}

struct Message {
    subject: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Outgoing {
    /// The messages of a commit. The guard of an aggregate stands on its first message; that of one that gets no event on a
    /// further message of another.
    ///
    /// # Errors
    /// [`StoreError::InvalidCommit`] when there are fewer messages than guards.
    pub(super) fn new(commit: &Sealed<'_>, subjects: &StoredSubjects) -> Result<Self, StoreError> {
        let guards = guards_of_messages(commit)?;
        let message = |(event, guard): (&&SealedEvent, Option<&Guard>)| {
            let envelope = &event.envelope;
            let id = IdText::trusted(&envelope.aggregate_id);
            let mut headers = headers(event);
            if let Some(guard) = guard {
                headers.insert(EXPECTED_SEQUENCE, guard.sequence.to_string());
                headers.insert(EXPECTED_SUBJECT, guard.subject.as_str());
            }
            Message {
                subject: subjects.stored(&id, &envelope.event_type),
                headers,
                body: event.body().clone(),
            }
        };
        Ok(Self {
            messages: commit.events.iter().zip(guards).map(message).collect(),
        })
    }

    /// Refuses what the server would not take for its size, before anything is sent.
    pub(super) fn check_sizes(&self, limit: usize) -> Result<(), StoreError> {
        const BATCH_HEADERS: usize = 128;
        let sizes = self.messages.iter();
        let largest = sizes
            .map(|message| size(&message.headers, &message.body))
            .max();
        match largest {
            Some(bytes) if bytes + BATCH_HEADERS > limit => Err(StoreError::InvalidCommit {
                reason: format!(
                    "an event takes {bytes} bytes with its headers, the server accepts {limit}: raise `max_payload` of the server, or keep large content as an object and its CID in the event"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Whether it goes as an atomic batch.
    pub(super) fn is_batch(&self) -> bool {
        self.messages.len() > 1
    }

    /// How many messages it has.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether one of its messages goes to a subject.
    pub(super) fn is_on(&self, subject: &str) -> bool {
        self.messages.iter().any(|it| it.subject == subject)
    }

    /// Hands the messages to the client, without waiting for the one answer, which comes to a subject.
    ///
    /// # Errors
    /// The failure of the client: the server has no commit of it.
    pub(super) async fn hand_over(&self, api: &Api, answer: &str) -> Result<(), ApiFailure> {
        match self.messages.as_slice() {
            [message] => {
                let (subject, headers) = (message.subject.as_str(), message.headers.clone());
                let (answer, body) = (Some(answer.to_owned()), message.body.clone());
                api.hand_over(subject.to_owned(), answer, Some(headers), body)
                    .await
            }
            messages => hand_over_batch(messages, api, None, answer).await,
        }
    }

    /// Sends the commit and waits for the answer: one message by itself, several as an atomic batch.
    ///
    /// A message alone is never sent as a batch, which takes the server tens of times as long.
    pub(super) async fn attempt(&self, store: &Stream, timeout: Duration) -> Answer {
        let api = &store.api;
        match self.messages.as_slice() {
            [message] => {
                let (headers, body) = (message.headers.clone(), message.body.clone());
                let answer = api.publish(&message.subject, headers, body, timeout);
                judge(store, answer.await)
            }
            messages => send_batch(messages, store, timeout).await,
        }
    }
}

/// The guard that each message of a commit carries.
fn guards_of_messages<'a>(commit: &Sealed<'a>) -> Result<Vec<Option<&'a Guard>>, StoreError> {
    let mut guards = vec![None; commit.events.len()];
    // Two kinds with one id share a guard, which holds for the whole batch once it is checked.
    let mut guarded = HashSet::new();
    let parts = || commit.parts.iter().zip(commit.guards);
    // Of several commits that go as one, the first of an aggregate names it.
    let mut named = HashSet::new();
    let firsts = commit.events.iter().enumerate();
    let firsts = firsts.filter(|(_, event)| {
        let envelope = &event.envelope;
        let is_first = envelope.commit.is_first();
        is_first && named.insert((&envelope.aggregate, &envelope.aggregate_id))
    });
    let changed = parts().filter(|(part, _)| !part.is_unchanged);
    for ((at, _), (_, guard)) in firsts.zip(changed) {
        if guarded.insert(&guard.subject) {
            guards[at] = Some(guard);
        }
    }
    for (part, guard) in parts().filter(|(part, _)| part.is_unchanged) {
        if !guarded.insert(&guard.subject) {
            continue;
        }
        let Some(free) = guards.iter_mut().find(|guard| guard.is_none()) else {
            return Err(StoreError::InvalidCommit {
                reason: format!(
                    "{} is to stay unchanged, and none of the {} messages is left to carry its guard: on NATS a commit needs as many events as it has aggregates, those included that stay unchanged; give it a further event",
                    part.aggregate,
                    commit.events.len()
                ),
            });
        };
        *free = Some(guard);
    }
    Ok(guards)
}

/// Sends an atomic batch under a new batch id: a batch of an earlier attempt may be half received somewhere.
///
/// Only the first and the last message ask for an answer: the first one is answered at once when the batch cannot be
/// taken, which tells more than the refusal of the last.
async fn send_batch(messages: &[Message], store: &Stream, timeout: Duration) -> Answer {
    let api = &store.api;
    let inbox = api.client().new_inbox();
    let last_reply = format!("{inbox}.last");
    let mut answers = match in_time(timeout, hand_over(messages, api, &inbox)).await {
        Ok(Ok(answers)) => answers,
        // Without its last message, the batch is dropped.
        Ok(Err(failure)) | Err(failure) => return Answer::NotSent(failure),
    };
    let mut refused_at_start = None;
    let received = tokio::time::timeout(timeout, async {
        while let Some(answer) = answers.next().await {
            let is_unheard = answer.status == Some(async_nats::StatusCode::NO_RESPONDERS);
            let outcome = match is_unheard {
                true => Err(ApiFailure::NoResponders),
                false if answer.payload.is_empty() => continue,
                false => parse::<Ack>(&answer.payload),
            };
            if answer.subject.as_str() == last_reply {
                return Some(outcome);
            }
            refused_at_start = outcome.err();
        }
        None
    });
    let is_ours = |denied: &str| messages.iter().any(|message| message.subject == denied);
    let answer = match api.unless_denied(is_ours, received).await {
        Ok(answer) => answer,
        Err(denied) => return judge(store, Err(denied)),
    };
    match (answer, refused_at_start) {
        (Ok(Some(Err(failure))), Some(reason)) if failure.has_error(errors::BATCH_INCOMPLETE) => {
            judge(store, Err(reason))
        }
        (Ok(Some(outcome)), _) => judge(store, outcome),
        (Ok(None), _) => Answer::Silent(ApiFailure::Client("the subscription ended".to_owned())),
        (Err(_), _) => Answer::Silent(ApiFailure::TimedOut(timeout)),
    }
}

/// Gives the messages of a batch to the client, and gives where the answers come.
async fn hand_over(
    messages: &[Message],
    api: &Api,
    inbox: &str,
) -> Result<async_nats::Subscriber, ApiFailure> {
    let answers = api.listen(format!("{inbox}.*")).await?;
    let (first, last) = (format!("{inbox}.first"), format!("{inbox}.last"));
    hand_over_batch(messages, api, Some(&first), &last).await?;
    Ok(answers)
}

/// Gives the messages of a batch to the client, with where the answers to the first and to the last one are to come.
async fn hand_over_batch(
    messages: &[Message],
    api: &Api,
    first_answer: Option<&str>,
    last_answer: &str,
) -> Result<(), ApiFailure> {
    // An inbox ends in an id that no other request has; a batch id has at most 64 bytes.
    let batch = uuid::Uuid::now_v7().simple().to_string();
    let last = messages.len();
    for (index, message) in messages.iter().enumerate() {
        let number = index + 1;
        let mut headers = message.headers.clone();
        headers.insert("Nats-Batch-Id", batch.as_str());
        headers.insert("Nats-Batch-Sequence", number.to_string());
        if number == last {
            headers.insert("Nats-Batch-Commit", "1");
        }
        let reply = match number {
            _ if number == last => Some(last_answer.to_owned()),
            1 => first_answer.map(str::to_owned),
            _ => None,
        };
        let (subject, body) = (message.subject.clone(), message.body.clone());
        api.hand_over(subject, reply, Some(headers), body).await?;
    }
    Ok(())
}

/// What an answer means.
pub(super) fn judge(store: &Stream, answer: Result<Ack, ApiFailure>) -> Answer {
    match answer {
        Ok(ack) if is_foreign(store, &ack) => {
            let domain = ack.domain.as_deref().unwrap_or("none");
            let reason = format!(
                "stream {} of JetStream domain {domain} answered, which takes the same subjects: no two streams may, not \
                 even at a hub and a leaf",
                ack.stream
            );
            tracing::error!(stream = %store.api.stream, reason, "an event may be stored twice");
            Answer::Silent(ApiFailure::Malformed(reason))
        }
        Ok(ack) if ack.duplicate => Answer::Known,
        Ok(ack) => Answer::Stored(ack.seq),
        Err(failure) => match failure {
            ApiFailure::NoResponders | ApiFailure::Denied(_) => Answer::NotSent(failure),
            ApiFailure::Refused { .. } => Answer::Refused(failure),
            _ => Answer::Silent(failure),
        },
    }
}

/// Whether the acknowledgement is that of another stream.
fn is_foreign(store: &Stream, ack: &Ack) -> bool {
    let is_elsewhere = match &ack.domain {
        Some(domain) => store.domain.as_ref() != Some(domain),
        // The servers leave it out of the answer to a batch.
        None => store.domain.is_some() && ack.batch.is_none(),
    };
    *ack.stream != *store.api.stream || is_elsewhere
}
