//! Chunks of objects whose writer crashed before an entry named them.
//!
//! Whether a writer is still there cannot be seen, so it is stopped first: a mark behind its last
//! chunk makes the guard of its next one fail. Only then it is looked once more whether an entry
//! names the chunks, and if none does they go. A writer who finds a mark puts the object anew, and
//! looks for one after it has written the entry too.

use std::time::Duration;

use bytes::Bytes;
use cid::Cid;
use serde::Deserialize;
use serde_json::{Value, json};

use super::bucket::{Bucket, Write};
use super::objects;
use crate::block::parse_cid_text;
use crate::domain::message::Timestamp;
use crate::engine::jetstream::api::{ApiFailure, errors};
use crate::store::StoreError;

/// How old the last chunk of an object is, by the clock of the servers, when it is taken for
/// abandoned.
pub(super) const AFTER: Duration = Duration::from_secs(120);

/// The last chunk of an object.
#[derive(Deserialize)]
struct Found {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    seq: u64,
    time: String,
}

/// What a server says of the time.
#[derive(Deserialize)]
struct Answered {
    ts: Option<String>,
}

/// Removes the abandoned chunks whose names match a pattern of two tokens: the CID, and what tells
/// one writer from another. Gives of how many objects they were.
pub(super) async fn collect(
    bucket: &Bucket,
    pattern: &str,
    older_than: Duration,
) -> Result<u64, StoreError> {
    let prefix = format!("$O.{}.C.", bucket.name());
    let subjects = bucket.subjects(&format!("{prefix}{pattern}")).await?;
    let mut collected = 0;
    for subject in subjects {
        let Some(unique) = subject.strip_prefix(&prefix) else {
            continue;
        };
        let cid = unique.split('.').next().map(parse_cid_text);
        let Some(Ok(cid)) = cid else { continue };
        if collect_one(bucket, &cid, unique, &subject, older_than).await? {
            collected += 1;
        }
    }
    Ok(collected)
}

async fn collect_one(
    bucket: &Bucket,
    cid: &Cid,
    unique: &str,
    subject: &str,
    older_than: Duration,
) -> Result<bool, StoreError> {
    if is_named(bucket, cid, unique).await? {
        return Ok(false);
    }
    let Some(last) = last_if_older(bucket, subject, older_than).await? else {
        return Ok(false);
    };
    let Write::Stored(mark) = bucket.write(subject, Bytes::new(), last).await? else {
        // Its writer is at work.
        return Ok(false);
    };
    if is_named(bucket, cid, unique).await? {
        // It was written between the two looks.
        let query = json!({ "seq": mark });
        let removed = bucket.api().ask::<Value>("STREAM.MSG.DELETE", &query).await;
        if let Err(reason) = removed {
            tracing::debug!(location = %bucket.location(), %reason, "a mark stays behind the chunks of an object");
        }
        return Ok(false);
    }
    tracing::info!(location = %bucket.location(), %cid, "what a writer left of an object is removed");
    bucket.discard(subject).await;
    Ok(bucket.peek(subject).await?.is_none())
}

async fn is_named(bucket: &Bucket, cid: &Cid, unique: &str) -> Result<bool, StoreError> {
    let present = objects::find(bucket, cid).await?;
    Ok(present.is_some_and(|present| present.nuid == unique))
}

/// The sequence of the last message on a subject, where that is older.
async fn last_if_older(
    bucket: &Bucket,
    subject: &str,
    older_than: Duration,
) -> Result<Option<u64>, StoreError> {
    const OPERATION: &str = "look at a chunk";
    let api = bucket.api();
    let asked = api.subject("STREAM.MSG.GET");
    let query = json!({ "last_by_subj": subject });
    let found = match api.ask_at::<Found>(asked, &query).await {
        Ok(found) => found.message,
        Err(failure) if failure.has_error(errors::NO_MESSAGE_FOUND) => return Ok(None),
        Err(failure) => return Err(api.error(OPERATION, failure)),
    };
    let answered = api.subject("STREAM.INFO");
    let answered: Answered = api.ask_patiently(&answered, &json!({}), OPERATION).await?;
    let now = answered.ts.as_deref().map(str::parse::<Timestamp>);
    let (Some(Ok(now)), Ok(then)) = (now, found.time.parse::<Timestamp>()) else {
        let failure = ApiFailure::Malformed("a time that is none".to_owned());
        return Err(api.error(OPERATION, failure));
    };
    let age = now.as_micros().saturating_sub(then.as_micros());
    let is_old = u64::try_from(age).is_ok_and(|age| Duration::from_micros(age) >= older_than);
    Ok(is_old.then_some(found.seq))
}
