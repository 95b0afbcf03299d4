//! Reads from the leader of the stream, which has every acknowledged write.

use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RawMessage;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::api::{Api, ApiFailure, errors};
use super::message::Raw;
use super::patience::Patience;
use crate::store::StoreError;

#[derive(Deserialize)]
struct Found {
    message: RawMessage,
}

/// What a stream's state says, as far as reading needs it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct State {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
}

#[derive(Deserialize)]
struct Info {
    state: State,
}

/// The leader, asked again while the stream has none.
pub(super) struct Leader<'a> {
    pub(super) api: &'a Api,
    pub(super) deadline: Instant,
}

impl<'a> Leader<'a> {
    pub(super) fn new(api: &'a Api, patience: Duration) -> Self {
        let deadline = Instant::now() + patience;
        Self { api, deadline }
    }

    /// The last message under a subject that may have wildcards.
    pub(super) async fn last(&self, subject: &str) -> Result<Option<Raw>, StoreError> {
        self.get("read the last message", json!({ "last_by_subj": subject }))
            .await
    }

    /// The first message under a subject from a sequence on.
    pub(super) async fn next(
        &self,
        subject: &str,
        sequence: u64,
    ) -> Result<Option<Raw>, StoreError> {
        let query = json!({ "seq": sequence, "next_by_subj": subject });
        self.get("read the next message", query).await
    }

    /// The message at a sequence.
    pub(super) async fn at(&self, sequence: u64) -> Result<Option<Raw>, StoreError> {
        self.get("read a message", json!({ "seq": sequence })).await
    }

    /// Where the stream begins and ends.
    pub(super) async fn state(&self) -> Result<State, StoreError> {
        let operation = "read the stream's state";
        let mut patience = Patience::until(self.deadline);
        loop {
            match self.api.ask::<Info>("STREAM.INFO", &json!({})).await {
                Ok(info) => return Ok(info.state),
                Err(failure) => patience.wait(self.api, operation, failure).await?,
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
