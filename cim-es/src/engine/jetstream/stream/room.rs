//! How much room is left: in the memory of the servers, in the account, in the stream.

use std::collections::HashMap;

use async_nats::jetstream::stream::{DiscardPolicy, Info};
use serde::Deserialize;

use super::finding::{Finding, Severity};
use crate::engine::jetstream::api::Api;

/// What a server keeps in memory for each stored subject, which is a pair of an aggregate and an operation, in bytes.
///
/// Measured on server 2.15.1 with the subjects of this store; the bench `scale` prints it anew.
const INDEX: u64 = 420;
/// What it takes on top while events are stored, in bytes: as much again, up to this.
const WORKING: u64 = 750_000_000;
/// From how many subjects on it is worth knowing, where nobody said what memory the servers have.
const MANY: u64 = 500_000;
/// How full something is that is nearly full, in percent.
const NEARLY: u64 = 80;

/// What an account may use, as far as it is asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Account {
    #[serde(default)]
    storage: u64,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    tiers: HashMap<String, Tier>,
}

#[derive(Debug, Default, Deserialize)]
struct Tier {
    #[serde(default)]
    storage: u64,
    #[serde(default)]
    limits: Limits,
}

#[derive(Debug, Default, Deserialize)]
struct Limits {
    /// -1 where there is none.
    #[serde(default)]
    max_storage: i64,
}

impl Account {
    /// What the account of the connection uses; none where this program may not ask.
    pub(super) async fn ask(api: &Api) -> Option<Self> {
        let subject = format!("{}.INFO", api.prefix);
        let answer = api.ask_at(subject, &serde_json::json!({})).await;
        answer
            .inspect_err(|error| tracing::debug!(%error, "the account could not be asked for"))
            .ok()
    }
}

/// What is nearly full, as far as can be seen.
pub(super) fn findings(
    info: &Info,
    account: Option<&Account>,
    server_memory: Option<u64>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(index(info.state.subjects_count, server_memory));
    let (state, config) = (&info.state, &info.config);
    let limit = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
    // A stream that drops its oldest events is meant to be full.
    if config.discard == DiscardPolicy::New {
        let (events, bytes) = (limit(config.max_messages), limit(config.max_bytes));
        findings.extend(nearly("max_msgs", "events", state.messages, events));
        findings.extend(nearly("max_bytes", "bytes", state.bytes, bytes));
    }
    if let Some(account) = account {
        let tier = account.tiers.get(&format!("R{}", config.num_replicas));
        let (used, limits) = match tier {
            Some(tier) => (tier.storage, &tier.limits),
            None => (account.storage, &account.limits),
        };
        let limit = limit(limits.max_storage);
        findings.extend(nearly("max_file", "bytes of the account", used, limit));
    }
    findings
}

/// The index of the subjects, which each server of the stream keeps in memory.
fn index(subjects: u64, server_memory: Option<u64>) -> Option<Finding> {
    let kept = subjects.saturating_mul(INDEX);
    let working = kept.saturating_add(kept.min(WORKING));
    let found = format!(
        "{subjects}, for which each server of the stream keeps about {} MB in memory, and {} MB while it is written to",
        megabytes(kept),
        megabytes(working)
    );
    let finding = |severity, expected: String, advice: &str| Finding {
        severity,
        about: "num_subjects",
        found: found.clone(),
        expected,
        advice: advice.to_owned(),
    };
    match server_memory {
        Some(memory) if is_nearly(working, memory) => Some(finding(
            Severity::Warning,
            format!(
                "room for them within `event_store.server_memory`, {} MB",
                megabytes(memory)
            ),
            "a server without memory is ended by its system, and one after the other has the same index: give the servers \
             more, or let further aggregates begin in the stream of another domain",
        )),
        None if subjects >= MANY => Some(finding(
            Severity::Notice,
            "memory for them on each server".to_owned(),
            "it grows with the aggregates and never shrinks, and a client cannot see what a server has: set \
             `event_store.server_memory`, and this says in time when it comes near",
        )),
        _ => None,
    }
}

/// A limit that is nearly reached: from then on new events are refused.
fn nearly(about: &'static str, what: &str, used: u64, limit: Option<u64>) -> Option<Finding> {
    let limit = limit.filter(|limit| is_nearly(used, *limit))?;
    Some(Finding {
        severity: Severity::Warning,
        about,
        found: format!("{limit}, and {used} {what} are there"),
        expected: "room for more".to_owned(),
        advice: "when it is reached, every append is refused, and on a single server a commit of several events can be \
                 cut off: let an operator raise it"
            .to_owned(),
    })
}

fn is_nearly(used: u64, limit: u64) -> bool {
    u128::from(used) * 100 >= u128::from(limit) * u128::from(NEARLY)
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(finding: Option<Finding>) -> Option<(Severity, &'static str)> {
        finding.map(|finding| (finding.severity, finding.about))
    }

    #[test]
    fn the_memory_of_the_index_is_a_warning_when_it_comes_near_what_the_servers_have() {
        const GIGABYTE: u64 = 1_000_000_000;
        let warning = Some((Severity::Warning, "num_subjects"));
        let notice = Some((Severity::Notice, "num_subjects"));
        assert_eq!(about(index(1_000_000, Some(4 * GIGABYTE))), None);
        assert_eq!(about(index(1_000_000, Some(GIGABYTE / 2))), warning);
        assert_eq!(about(index(900_000, Some(GIGABYTE))), None);
        assert_eq!(about(index(1_000_000, Some(GIGABYTE))), warning);
        assert_eq!(about(index(MANY, None)), notice);
        assert_eq!(about(index(MANY - 1, None)), None);
        let text = index(1_500_000, None).unwrap().to_string();
        assert!(
            text.contains("630 MB") && text.contains("1260 MB"),
            "{text}"
        );
    }

    #[test]
    fn a_limit_is_a_warning_when_it_is_nearly_reached() {
        let full = |used, limit| about(nearly("max_bytes", "bytes", used, limit));
        assert_eq!(full(799, Some(1_000)), None);
        assert_eq!(
            full(800, Some(1_000)),
            Some((Severity::Warning, "max_bytes"))
        );
        assert_eq!(full(u64::MAX, None), None);
    }
}
