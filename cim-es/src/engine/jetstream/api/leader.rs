//! Reads from the leader of the stream, which has every acknowledged write.

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Info, RawMessage};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::HashSet;
use tokio::time::Instant;

use super::failure::{ApiFailure, errors};
use super::message::Raw;
use super::request::Api;
use crate::engine::jetstream::retry;
use crate::store::{Location, Position, StoreError};

#[derive(Deserialize)]
struct Found {
    message: RawMessage,
}

/// What a stream's state says, as far as reading needs it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct State {
    first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) messages: u64,
    /// What was removed between the two, where the stream lets an operator.
    #[serde(default)]
    deleted: Vec<u64>,
}

impl State {
    /// Whether the stream has dropped what stood at a sequence, with all that stood before it.
    pub(crate) fn is_dropped(&self, sequence: u64) -> bool {
        sequence < self.first_seq
    }

    /// The last sequence up to the given one at which the stream has, or will have, a message; none when all of them were
    /// dropped or removed.
    pub(crate) fn last_until(&self, until: u64) -> Option<u64> {
        let deleted: HashSet<_> = self.deleted.iter().copied().collect();
        let mut left = (self.first_seq.max(1)..=until).rev();
        left.find(|sequence| !deleted.contains(sequence))
    }
}

/// What the servers say about a stream.
#[derive(Debug, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub(crate) struct StreamInfo {
    pub(crate) info: Info,
    /// When it was created, in the server's words.
    pub(crate) created: String,
    /// The JetStream domain of the server that leads it.
    pub(crate) domain: Option<String>,
}

impl TryFrom<serde_json::Value> for StreamInfo {
    type Error = serde_json::Error;

    fn try_from(answer: serde_json::Value) -> Result<Self, Self::Error> {
        let text = |key| answer.get(key).and_then(serde_json::Value::as_str);
        let created = text("created").unwrap_or_default().to_owned();
        let domain = text("domain").map(str::to_owned);
        Ok(Self {
            info: serde_json::from_value(answer)?,
            created,
            domain,
        })
    }
}

#[derive(Deserialize)]
struct StateInfo {
    created: String,
    state: State,
}

/// The leader, asked again while the stream has none.
pub(crate) struct Leader<'a> {
    api: &'a Api,
    deadline: Instant,
}

impl<'a> Leader<'a> {
    /// Asked as long as the patience of the API lasts.
    pub(crate) fn new(api: &'a Api) -> Self {
        Self::until(api, api.deadline())
    }

    /// Asked until a moment.
    pub(crate) fn until(api: &'a Api, deadline: Instant) -> Self {
        Self { api, deadline }
    }

    /// What it is the leader of.
    pub(crate) fn location(&self) -> Location {
        self.api.location()
    }

    /// The last message under a subject that may have wildcards.
    pub(crate) async fn last(&self, subject: &str) -> Result<Option<Raw>, StoreError> {
        self.get("read the last message", json!({ "last_by_subj": subject }))
            .await
    }

    /// The first message under a subject from a sequence on.
    pub(crate) async fn next(
        &self,
        subject: &str,
        sequence: u64,
    ) -> Result<Option<Raw>, StoreError> {
        let query = json!({ "seq": sequence, "next_by_subj": subject });
        self.get("read the next message", query).await
    }

    /// The message at a sequence.
    pub(crate) async fn at(&self, sequence: u64) -> Result<Option<Raw>, StoreError> {
        if sequence == 0 {
            // The server refuses to look for it.
            return Ok(None);
        }
        self.get("read a message", json!({ "seq": sequence })).await
    }

    /// Where the stream begins and ends.
    pub(crate) async fn state(&self) -> Result<State, StoreError> {
        const OPERATION: &str = "read the stream's state";
        let query = json!({ "deleted_details": true });
        let mut retry = retry::STALE.until(self.deadline);
        loop {
            // Before it is asked: what is seen meanwhile proves nothing about the answer.
            let seen = self.api.seen.last();
            let asked = self.ask::<StateInfo>("STREAM.INFO", query.clone(), OPERATION);
            let info = asked.await?;
            let info = info.map_err(|failure| self.api.error(OPERATION, failure))?;
            self.check_created(&info)?;
            if info.state.last_seq >= seen {
                return Ok(info.state);
            }
            let stale = ApiFailure::Stale;
            self.api.wait(&mut retry, OPERATION, stale).await?;
        }
    }

    /// Refuses a stream that was made anew since it was opened.
    fn check_created(&self, found: &StateInfo) -> Result<(), StoreError> {
        match &self.api.created {
            Some(known) if **known != *found.created => {
                let known = Position(self.api.seen.last()).into();
                Err(self.api.another_history(known, found.state.last_seq, None))
            }
            _ => Ok(()),
        }
    }

    /// What the servers say about the stream; none when it does not exist.
    pub(crate) async fn stream_info(&self) -> Result<Option<StreamInfo>, StoreError> {
        const OPERATION: &str = "look at the stream";
        let asked = self.ask::<StreamInfo>("STREAM.INFO", json!({}), OPERATION);
        match asked.await? {
            Ok(info) => Ok(Some(info)),
            Err(failure) if failure.has_error(errors::STREAM_NOT_FOUND) => Ok(None),
            Err(failure) => Err(self.api.error(OPERATION, failure)),
        }
    }

    async fn get(
        &self,
        operation: &'static str,
        query: serde_json::Value,
    ) -> Result<Option<Raw>, StoreError> {
        let asked = self.ask::<Found>("STREAM.MSG.GET", query, operation);
        let message = match asked.await? {
            Ok(found) => found.message,
            Err(failure) if failure.has_error(errors::NO_MESSAGE_FOUND) => return Ok(None),
            Err(failure) => return Err(self.api.error(operation, failure)),
        };
        let (sequence, subject) = (message.sequence, message.subject.as_str().into());
        let message = StreamMessage::try_from(message).map_err(|error| {
            let failure = ApiFailure::Malformed(error.to_string());
            self.api.error(operation, failure)
        })?;
        let raw = Raw::new(sequence, subject, &message.headers, message.payload);
        Ok(Some(raw))
    }

    /// Asks again while the failures pass; gives the first one that does not.
    async fn ask<T: DeserializeOwned>(
        &self,
        request: &str,
        query: serde_json::Value,
        operation: &'static str,
    ) -> Result<Result<T, ApiFailure>, StoreError> {
        let mut retry = retry::REQUEST.until(self.deadline);
        let subject = self.api.subject(request);
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let api = self.api.with_timeout(self.api.timeout.min(left));
            match api.ask_at::<T>(subject.clone(), &query).await {
                Err(failure) if failure.is_transient() => {
                    self.api.wait(&mut retry, operation, failure).await?;
                }
                answer => return Ok(answer),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_waits_for_no_message_that_is_gone() {
        let state = |first_seq, last_seq, deleted: &[u64]| State {
            first_seq,
            last_seq,
            messages: 0,
            deleted: deleted.to_vec(),
        };
        assert_eq!(state(1, 9, &[]).last_until(9), Some(9));
        assert_eq!(state(1, 9, &[3, 8, 9]).last_until(9), Some(7));
        assert_eq!(state(1, 9, &[3]).last_until(5), Some(5));
        assert_eq!(state(10, 9, &[]).last_until(9), None);
        assert_eq!(state(1, 2, &[1, 2]).last_until(2), None);
        // A leader that lags does not know of it yet.
        assert_eq!(state(1, 7, &[]).last_until(9), Some(9));
        assert_eq!(state(0, 0, &[]).last_until(0), None);
    }
}
