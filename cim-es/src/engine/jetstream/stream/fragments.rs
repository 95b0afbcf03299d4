//! Commits of which only a part is stored: a single server stores the events of a commit one by one, up to a limit.

use futures_util::StreamExt;

use super::finding::{Finding, Severity};
use super::{Stream, scan};
use crate::block::StoredEvent;
use crate::store::{Bookmark, Selection, StoreError};
use std::sync::Arc;

/// The most fragments that are listed one by one.
const LISTED: usize = 20;

/// The first and the last event of a part of a commit.
struct Fragment {
    first: StoredEvent,
    last: StoredEvent,
}

/// Reads the whole stream, where a single server keeps it.
pub(super) async fn find(store: &Arc<Stream>) -> Result<Vec<Finding>, StoreError> {
    if store.is_replicated {
        return Ok(Vec::new());
    }
    let mut events = scan::read(Arc::clone(store), Selection::everything(), Bookmark::START);
    let mut findings = Vec::new();
    let mut open: Option<Fragment> = None;
    while let Some(event) = events.next().await {
        // What is damaged otherwise says so to who reads it.
        let Ok(event) = event else { break };
        if let Some(former) = open.take() {
            match continues(&former.last, &event) {
                true if event.envelope.commit.is_last_of_whole() => continue,
                true => {
                    open = Some(Fragment {
                        last: event,
                        ..former
                    });
                    continue;
                }
                false => findings.push(finding(&former)),
            }
        }
        if !event.envelope.commit.is_last_of_whole() {
            open = Some(Fragment {
                first: event.clone(),
                last: event,
            });
        }
        if findings.len() >= LISTED {
            break;
        }
    }
    // An end that is still being written is not one: what the stream ends with is looked at again by the next append.
    findings.extend(open.as_ref().map(finding));
    Ok(findings)
}

/// Whether an event is the next one of the same commit.
fn continues(former: &StoredEvent, next: &StoredEvent) -> bool {
    let (before, after) = (former.envelope.commit, next.envelope.commit);
    former.envelope.causation_id == next.envelope.causation_id
        && before.whole_of == after.whole_of
        && before.whole_index.checked_add(1) == Some(after.whole_index)
}

fn finding(fragment: &Fragment) -> Finding {
    let Fragment { first, last } = fragment;
    let envelope = &last.envelope;
    Finding {
        severity: Severity::Danger,
        about: "fragment",
        found: format!(
            "positions {} to {}, up to {} by {} `{}`",
            first.position, last.position, envelope.commit, envelope.aggregate, envelope.aggregate_id
        ),
        expected: "whole commits".to_owned(),
        advice: "a limit of the stream or of the account cut the commit off, and its aggregates take no further one: raise \
                 the limit, and copy the stream without these events into a new one"
            .to_owned(),
    }
}
