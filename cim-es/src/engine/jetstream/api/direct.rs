//! Direct Get batches: many messages of a subject in one answer, from whichever replica is near.
//!
//! The protocol is [ADR-31](https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-31.md). The answer
//! may come from a replica that lags, so what is missing in it proves nothing.

use std::time::Duration;

use async_nats::header::{NATS_SEQUENCE, NATS_SUBJECT};
use async_nats::{Message, StatusCode};
use futures_util::StreamExt;
use serde_json::{Value, json as query};
use tokio::time::timeout;

use super::failure::ApiFailure;
use super::message::Raw;
use super::request::{Api, json};

/// How many messages one request asks for.
const PAGE: usize = 250;
/// How many bytes one answer may have, so that a page of large events does not fill the memory.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// The status of the message that ends a batch.
const END_OF_BATCH: u16 = 204;

/// Part of the messages of one subject, in order.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) messages: Vec<Raw>,
    /// Whether the replica had further messages.
    pub(crate) is_more: bool,
}

/// The first page of each subject from a sequence on, all asked for at once.
pub(crate) async fn pages(
    api: &Api,
    subjects: &[String],
    from: u64,
) -> Result<Vec<Page>, ApiFailure> {
    let ask = |subject: &String| {
        query!({
            "seq": from.max(1),
            "batch": PAGE,
            "max_bytes": PAGE_BYTES,
            "next_by_subj": subject,
        })
    };
    ask_all(api, subjects.iter().map(ask)).await
}

/// The last message of each subject that matches, at one moment of one replica.
pub(crate) async fn last_of_each(api: &Api, pattern: &str) -> Result<Vec<Raw>, ApiFailure> {
    let pages = ask_all(api, [query!({ "multi_last": [pattern] })].into_iter()).await?;
    Ok(pages.into_iter().flat_map(|page| page.messages).collect())
}

/// The last messages of each subject that one of some patterns matches, which share an id, for many groups of patterns at
/// once. A group whose answer was not complete is none.
pub(crate) async fn last_of_groups(
    api: &Api,
    groups: &[Vec<String>],
) -> Result<Vec<Option<Vec<Raw>>>, ApiFailure> {
    let ask = |patterns: &Vec<String>| query!({ "multi_last": patterns, "max_bytes": PAGE_BYTES });
    let pages = ask_all(api, groups.iter().map(ask)).await?;
    let whole = |page: Page| (!page.is_more).then_some(page.messages);
    Ok(pages.into_iter().map(whole).collect())
}

/// Sends requests that share one subscription for their answers, and collects these.
async fn ask_all(
    api: &Api,
    requests: impl ExactSizeIterator<Item = Value>,
) -> Result<Vec<Page>, ApiFailure> {
    let inbox = api.client().new_inbox();
    let mut pages: Vec<Page> = Vec::with_capacity(requests.len());
    let subject = api.subject("DIRECT.GET");
    let answers = api.listen(format!("{inbox}.*")).await?;
    for request in requests {
        let reply = format!("{inbox}.{}", pages.len());
        pages.push(Page::default());
        api.hand_over(subject.clone(), Some(reply), None, json(&request)?)
            .await?;
    }
    let is_ours = |denied: &str| denied == subject;
    let collected = collect(answers, &mut pages, api.timeout);
    api.unless_denied(is_ours, collected).await??;
    Ok(pages)
}

async fn collect(
    mut answers: async_nats::Subscriber,
    pages: &mut [Page],
    patience: Duration,
) -> Result<(), ApiFailure> {
    let mut open = pages.len();
    while open > 0 {
        let answer = receive(&mut answers, patience).await?;
        let page = page_of(&answer).and_then(|index| pages.get_mut(index));
        let page = page.ok_or_else(|| malformed("an answer to no request"))?;
        match answer.status {
            None | Some(StatusCode::OK) => page.messages.push(message(answer)?),
            Some(status) if status.as_u16() == END_OF_BATCH => {
                page.is_more = number(&answer, "Nats-Num-Pending").unwrap_or(0) > 0;
                open -= 1;
            }
            Some(StatusCode::NOT_FOUND) => open -= 1,
            Some(StatusCode::NO_RESPONDERS) => return Err(ApiFailure::NoResponders),
            Some(status) => {
                return Err(ApiFailure::Refused {
                    code: status.as_u16(),
                    error: 0,
                    description: answer.description.unwrap_or_default(),
                });
            }
        }
    }
    Ok(())
}

async fn receive(
    answers: &mut async_nats::Subscriber,
    patience: Duration,
) -> Result<Message, ApiFailure> {
    match timeout(patience, answers.next()).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(ApiFailure::Client("the subscription ended".to_owned())),
        Err(_) => Err(ApiFailure::TimedOut(patience)),
    }
}

fn page_of(answer: &Message) -> Option<usize> {
    answer.subject.as_str().rsplit('.').next()?.parse().ok()
}

fn number(answer: &Message, name: &'static str) -> Option<u64> {
    answer.headers.as_ref()?.get(name)?.as_str().parse().ok()
}

fn message(answer: Message) -> Result<Raw, ApiFailure> {
    let headers = answer.headers.unwrap_or_default();
    let sequence = headers
        .get_last(NATS_SEQUENCE)
        .and_then(|sequence| sequence.as_str().parse().ok())
        .ok_or_else(|| malformed("a message without its sequence"))?;
    let subject = headers
        .get_last(NATS_SUBJECT)
        .ok_or_else(|| malformed("a message without its subject"))?
        .as_str()
        .into();
    Ok(Raw::new(sequence, subject, &headers, answer.payload))
}

fn malformed(reason: &str) -> ApiFailure {
    ApiFailure::Malformed(reason.to_owned())
}
