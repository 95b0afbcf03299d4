//! Reads from the leader of the stream, which has every acknowledged write.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Info as StreamInfo, RawMessage};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::message::Raw;
use super::patience::Patience;
use super::request::{Api, ApiFailure, errors};
use crate::store::StoreError;

#[derive(Deserialize)]
struct Found {
    message: RawMessage,
}

/// What a stream's state says, as far as reading needs it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct State {
    first_seq: u64,
    pub(crate) last_seq: u64,
    /// What was removed between the two, where the stream lets an operator.
    #[serde(default)]
    deleted: Vec<u64>,
}

impl State {
    /// The last sequence up to the given one at which the stream has, or will have, a message; none when all of them were
    /// dropped or removed.
    pub(crate) fn last_until(&self, until: u64) -> Option<u64> {
        let deleted: HashSet<_> = self.deleted.iter().copied().collect();
        let mut left = (self.first_seq.max(1)..=until).rev();
        left.find(|sequence| !deleted.contains(sequence))
    }
}

#[derive(Deserialize)]
struct Info {
    state: State,
}

/// The leader, asked again while the stream has none.
pub(crate) struct Leader<'a> {
    pub(crate) api: &'a Api,
    pub(crate) deadline: Instant,
}

impl<'a> Leader<'a> {
    pub(crate) fn new(api: &'a Api, patience: Duration) -> Self {
        let deadline = Instant::now() + patience;
        Self { api, deadline }
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
        let operation = "read the stream's state";
        let mut patience = Patience::until(self.deadline);
        loop {
            let query = json!({ "deleted_details": true });
            match self.api.ask::<Info>("STREAM.INFO", &query).await {
                Ok(info) => return Ok(info.state),
                Err(failure) => patience.wait(self.api, operation, failure).await?,
            }
        }
    }

    /// What the servers say about the stream; none when it does not exist.
    pub(crate) async fn stream_info(&self) -> Result<Option<StreamInfo>, StoreError> {
        let mut patience = Patience::until(self.deadline);
        loop {
            match self.api.ask::<StreamInfo>("STREAM.INFO", &json!({})).await {
                Ok(info) => return Ok(Some(info)),
                Err(failure) if failure.has_error(errors::STREAM_NOT_FOUND) => return Ok(None),
                Err(failure) => {
                    patience
                        .wait(self.api, "look at the stream", failure)
                        .await?
                }
            }
        }
    }

    async fn get(
        &self,
        operation: &'static str,
        query: serde_json::Value,
    ) -> Result<Option<Raw>, StoreError> {
        let mut patience = Patience::until(self.deadline);
        let message = loop {
            match self.api.ask::<Found>("STREAM.MSG.GET", &query).await {
                Ok(found) => break found.message,
                Err(failure) if failure.has_error(errors::NO_MESSAGE_FOUND) => return Ok(None),
                Err(failure) => patience.wait(self.api, operation, failure).await?,
            }
        };
        let (sequence, subject) = (message.sequence, message.subject.as_str().into());
        let message = StreamMessage::try_from(message).map_err(|error| {
            let failure = ApiFailure::Malformed(error.to_string());
            self.api.error(operation, failure)
        })?;
        let raw = Raw::new(sequence, subject, &message.headers, message.payload);
        Ok(Some(raw))
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
