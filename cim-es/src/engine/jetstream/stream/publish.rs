//! One attempt to publish a commit: a guarded message, or a guarded atomic batch.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;

use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::{
    Api, ApiFailure, EXPECTED_SEQUENCE, EXPECTED_SUBJECT, errors, headers, in_time, parse, size,
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

/// What came of one attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Stored; the last event stands at this sequence.
    Stored(u64),
    /// The server says that it has the message already.
    Known,
    /// This attempt stored nothing: a guard has another value.
    Conflict,
    /// This attempt stored nothing, but an earlier one has or will have: the server knows the message ids.
    Repeated,
    /// This attempt stored nothing; the same may succeed a moment later.
    NotNow(ApiFailure),
    /// It is not known what came of it.
    Unknown(ApiFailure),
    /// This attempt stored nothing, and none will.
    Refused(StoreError),
}

#[derive(Deserialize)]
struct Ack {
    seq: u64,
    #[serde(default)]
    duplicate: bool,
}

impl Outgoing {
    /// The messages of a commit; a guard stands on the first message of each aggregate.
    ///
    /// `guards` has one for each aggregate, in the order in which the events come.
    pub(super) fn new(events: &[SealedEvent], guards: &[Guard], subjects: &StoredSubjects) -> Self {
        let mut guards = guards.iter();
        let mut guarded = HashSet::new();
        let message = |event: &SealedEvent| {
            let envelope = &event.envelope;
            let id = IdText::trusted(&envelope.aggregate_id);
            let mut headers = headers(event);
            let is_first_of_aggregate = envelope.commit.is_first();
            if is_first_of_aggregate
                && let Some(guard) = guards.next()
                // Two kinds with one id share a guard, which holds for the whole batch once it is checked.
                && guarded.insert(&guard.subject)
            {
                headers.insert(EXPECTED_SEQUENCE, guard.sequence.to_string());
                headers.insert(EXPECTED_SUBJECT, guard.subject.as_str());
            }
            Message {
                subject: subjects.stored(&id, &envelope.event_type),
                headers,
                body: event.body.clone(),
            }
        };
        Self {
            messages: events.iter().map(message).collect(),
        }
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

    /// Sends the commit and waits for the answer: one message by itself, several as an atomic batch.
    ///
    /// A message alone is never sent as a batch, which takes the server tens of times as long.
    pub(super) async fn send(&self, api: &Api, timeout: Duration) -> Attempt {
        match self.messages.as_slice() {
            [message] => message.send(api, timeout).await,
            messages => send_batch(messages, api, timeout).await,
        }
    }
}

impl Message {
    async fn send(&self, api: &Api, timeout: Duration) -> Attempt {
        let request = Request::new()
            .headers(self.headers.clone())
            .payload(self.body.clone());
        let answer = api.send(&self.subject, request, timeout).await;
        judge(
            &api.place(),
            answer.and_then(|answer| parse(&answer.payload)),
        )
    }
}

/// Sends an atomic batch under a new batch id: a batch of an earlier attempt may be half received somewhere.
///
/// Only the first and the last message ask for an answer: the first one is answered at once when the batch cannot be
/// taken, which tells more than the refusal of the last.
async fn send_batch(messages: &[Message], api: &Api, timeout: Duration) -> Attempt {
    let inbox = api.client.new_inbox();
    let last_reply = format!("{inbox}.last");
    let mut answers = match in_time(timeout, hand_over(messages, api, &inbox)).await {
        Ok(Ok(answers)) => answers,
        Ok(Err(outcome)) => return outcome,
        // Without its last message, the batch is dropped.
        Err(failure) => return Attempt::NotNow(failure),
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
        Err(denied) => return judge(&api.place(), Err(denied)),
    };
    match (answer, refused_at_start) {
        (Ok(Some(Err(failure))), Some(reason)) if failure.has_error(errors::BATCH_INCOMPLETE) => {
            judge(&api.place(), Err(reason))
        }
        (Ok(Some(outcome)), _) => judge(&api.place(), outcome),
        (Ok(None), _) => Attempt::Unknown(ApiFailure::Client("the subscription ended".to_owned())),
        (Err(_), _) => Attempt::Unknown(ApiFailure::TimedOut(timeout)),
    }
}

/// Gives the messages of a batch to the client, and gives where the answers come.
async fn hand_over(
    messages: &[Message],
    api: &Api,
    inbox: &str,
) -> Result<async_nats::Subscriber, Attempt> {
    let answers = api.client.subscribe(format!("{inbox}.*")).await;
    let answers =
        answers.map_err(|error| Attempt::NotNow(ApiFailure::Client(error.to_string())))?;
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
        let (subject, body) = (message.subject.clone(), message.body.clone());
        let reply = match number {
            _ if number == last => Some(format!("{inbox}.last")),
            1 => Some(format!("{inbox}.first")),
            _ => None,
        };
        let client = &api.client;
        let sent = match reply {
            Some(reply) => {
                let sent = client.publish_with_reply_and_headers(subject, reply, headers, body);
                sent.await
            }
            None => client.publish_with_headers(subject, headers, body).await,
        };
        if let Err(error) = sent {
            // Without its last message, the batch is dropped.
            return Err(match error.kind() {
                PublishErrorKind::Send => Attempt::NotNow(ApiFailure::Client(error.to_string())),
                _ => Attempt::Refused(StoreError::InvalidCommit {
                    reason: error.to_string(),
                }),
            });
        }
    }
    Ok(answers)
}

fn judge(place: &str, answer: Result<Ack, ApiFailure>) -> Attempt {
    let failure = match answer {
        Ok(ack) if ack.duplicate => return Attempt::Known,
        Ok(ack) => return Attempt::Stored(ack.seq),
        Err(failure) => failure,
    };
    let ApiFailure::Refused {
        code,
        error,
        description,
    } = &failure
    else {
        return match failure {
            ApiFailure::NoResponders => Attempt::NotNow(failure),
            ApiFailure::Denied(denied) => Attempt::Refused(StoreError::ReadOnly {
                place: place.to_owned(),
                reason: denied.to_string(),
            }),
            _ => Attempt::Unknown(failure),
        };
    };
    let reason = || format!("{description} (error {error})");
    match *error {
        errors::WRONG_LAST_SEQUENCE | errors::WRONG_LAST_SEQUENCE_IN_FLIGHT => Attempt::Conflict,
        errors::BATCH_REPEATS | errors::DUPLICATE_IN_FLIGHT => Attempt::Repeated,
        errors::BATCH_INCOMPLETE
        | errors::TOO_MANY_BATCHES
        | errors::LAST_SEQUENCE_NOT_READY
        | errors::NOT_LEADER
        | errors::UNAVAILABLE => Attempt::NotNow(failure),
        errors::STORE_FAILED
        | errors::INSUFFICIENT_RESOURCES
        | errors::ACCOUNT_RESOURCES_EXCEEDED
        | errors::MEMORY_RESOURCES_EXCEEDED
        | errors::STORAGE_RESOURCES_EXCEEDED => Attempt::Refused(StoreError::Full {
            place: place.to_owned(),
            reason: reason(),
        }),
        errors::STREAM_SEALED => Attempt::Refused(StoreError::ReadOnly {
            place: place.to_owned(),
            reason: reason(),
        }),
        errors::MESSAGE_TOO_LARGE => {
            Attempt::Refused(StoreError::InvalidCommit { reason: reason() })
        }
        _ if *code == 503 => Attempt::NotNow(failure),
        _ => Attempt::Refused(StoreError::Engine {
            place: place.to_owned(),
            operation: "publish",
            source: Arc::new(failure),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: u64, code: u16) -> Attempt {
        let failure = ApiFailure::Refused {
            code,
            error,
            description: String::new(),
        };
        judge("stream S", Err(failure))
    }

    #[test]
    fn both_numbers_of_a_wrong_last_sequence_are_conflicts() {
        for error in [10071, 10164] {
            assert!(matches!(refused(error, 400), Attempt::Conflict), "{error}");
        }
    }

    #[test]
    fn known_message_ids_say_that_an_earlier_attempt_counts() {
        for error in [10158, 10201] {
            assert!(matches!(refused(error, 400), Attempt::Repeated), "{error}");
        }
        let ack = parse::<Ack>(br#"{"stream":"S","seq":7,"duplicate":true}"#);
        assert!(matches!(judge("stream S", ack), Attempt::Known));
    }

    #[test]
    fn what_a_server_could_not_take_at_the_moment_is_sent_again() {
        for (error, code) in [
            (10176, 400),
            (10210, 429),
            (10008, 503),
            (10163, 400),
            (0, 503),
        ] {
            assert!(
                matches!(refused(error, code), Attempt::NotNow(_)),
                "{error}"
            );
        }
        let unheard = judge("stream S", Err(ApiFailure::NoResponders));
        assert!(matches!(unheard, Attempt::NotNow(_)));
    }

    #[test]
    fn silence_and_nonsense_leave_the_outcome_open() {
        let silence = judge("stream S", Err(ApiFailure::TimedOut(Duration::ZERO)));
        assert!(matches!(silence, Attempt::Unknown(_)));
        let nonsense = judge("stream S", parse::<Ack>(b"{}"));
        assert!(matches!(nonsense, Attempt::Unknown(_)));
    }

    #[test]
    fn a_stream_without_room_is_full() {
        for error in [10077, 10023, 10047] {
            let is_full = matches!(
                refused(error, 503),
                Attempt::Refused(StoreError::Full { .. })
            );
            assert!(is_full, "{error}");
        }
    }
}
