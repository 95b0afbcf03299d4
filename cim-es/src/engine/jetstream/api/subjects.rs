//! The subjects of a stream that have messages.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::json;

use super::failure::ApiFailure;
use super::request::Api;
use crate::engine::jetstream::retry;
use crate::store::StoreError;

/// A page of the subjects that have messages.
#[derive(Deserialize)]
struct Listed {
    state: ListedState,
    #[serde(default)]
    total: usize,
}

#[derive(Deserialize)]
struct ListedState {
    last_seq: u64,
    subjects: Option<HashMap<String, u64>>,
}

/// The subjects under a filter that have messages, in order.
///
/// The server lists them in pages, by the place in an order that a new subject shifts: one may come twice.
pub(crate) async fn subjects(api: &Api, filter: &str) -> Result<BTreeSet<String>, StoreError> {
    const OPERATION: &str = "listing";
    let mut retry = retry::REQUEST.within(api.patience);
    'anew: loop {
        let mut subjects = BTreeSet::new();
        let mut offset = 0;
        loop {
            let query = json!({ "subjects_filter": filter, "offset": offset });
            let seen = api.seen.last();
            let page = api.ask::<Listed>("STREAM.INFO", &query).await;
            let failure = match page {
                Ok(page) if page.state.last_seq < seen => ApiFailure::Stale,
                Ok(page) => {
                    let found = page.state.subjects.unwrap_or_default();
                    offset += found.len();
                    let is_last = found.is_empty() || offset >= page.total;
                    subjects.extend(found.into_keys());
                    match is_last {
                        true => return Ok(subjects),
                        false => continue,
                    }
                }
                Err(failure) => failure,
            };
            api.wait(&mut retry, OPERATION, failure).await?;
            continue 'anew;
        }
    }
}
