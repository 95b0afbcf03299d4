//! What is wrong with a stream, setting by setting.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

use super::finding::{Finding, Severity};
use crate::engine::jetstream::config::JetStreamOptions;

/// Compares a stream with the one that the options describe. What could lose events is a danger, unless the options
/// accept that.
pub(super) fn stream(options: &JetStreamOptions, wanted: &Config, found: &Config) -> Vec<Finding> {
    let mut findings = Findings {
        list: Vec::new(),
        losing: match options.stream.accept_losing_events {
            true => Severity::Warning,
            false => Severity::Danger,
        },
    };
    subjects(&mut findings, wanted, found);
    what_drops(&mut findings, wanted, found);
    what_is_needed(&mut findings, found);
    what_differs(&mut findings, wanted, found);
    findings.list
}

struct Findings {
    list: Vec<Finding>,
    /// How bad a setting is that could lose events.
    losing: Severity,
}

impl Findings {
    fn add(
        &mut self,
        severity: Severity,
        about: &'static str,
        found: impl Debug,
        expected: impl Debug,
        advice: &str,
    ) {
        self.list.push(Finding {
            severity,
            about,
            found: format!("{found:?}"),
            expected: format!("{expected:?}"),
            advice: advice.to_owned(),
        });
    }

    fn flag(
        &mut self,
        severity: Severity,
        about: &'static str,
        found: bool,
        expected: bool,
        advice: &str,
    ) {
        if found != expected {
            self.add(severity, about, found, expected, advice);
        }
    }
}

fn subjects(findings: &mut Findings, wanted: &Config, found: &Config) {
    let (wanted, found): (BTreeSet<_>, BTreeSet<_>) = (
        wanted.subjects.iter().collect(),
        found.subjects.iter().collect(),
    );
    if wanted != found {
        findings.add(
            Severity::Danger,
            "subjects",
            found,
            wanted,
            "use the same public subjects and prefix in every program, or let an operator update the stream",
        );
    }
}

fn what_drops(findings: &mut Findings, wanted: &Config, found: &Config) {
    let losing = findings.losing;
    if found.retention != RetentionPolicy::Limits {
        let advice = "events would be removed once they are read: make the stream anew with retention `limits`";
        findings.add(
            Severity::Danger,
            "retention",
            found.retention,
            RetentionPolicy::Limits,
            advice,
        );
    }
    if found.storage != StorageType::File {
        let advice = "events would be gone with a restart: make the stream anew with file storage";
        findings.add(losing, "storage", found.storage, StorageType::File, advice);
    }
    if found.max_age > Duration::ZERO && found.max_age != wanted.max_age {
        let advice = "events would be dropped by age: let an operator remove it, or set `max_age` and `accept_losing_events`";
        findings.add(losing, "max_age", found.max_age, wanted.max_age, advice);
    }
    if found.discard != DiscardPolicy::New && found.discard != wanted.discard {
        let advice = "a full stream would drop its oldest events: let an operator set it to `new`, or set `when_full` and `accept_losing_events`";
        findings.add(losing, "discard", found.discard, DiscardPolicy::New, advice);
    }
    if found.max_messages_per_subject > 0 {
        let advice = "old events of an aggregate would be dropped: let an operator set it to -1";
        findings.add(
            losing,
            "max_msgs_per_subject",
            found.max_messages_per_subject,
            -1,
            advice,
        );
    }
    if found.persist_mode == Some(PersistenceMode::Async) {
        let advice = "acknowledged events could be lost: make the stream anew without it";
        findings.add(Severity::Danger, "persist_mode", "async", "default", advice);
    }
    if found.num_replicas < wanted.num_replicas {
        let advice =
            "events would be lost with fewer servers than configured: let an operator raise it";
        findings.add(
            losing,
            "replicas",
            found.num_replicas,
            wanted.num_replicas,
            advice,
        );
    }
    let by_hand = "events could be removed by hand: let an operator make the stream anew with it";
    findings.flag(losing, "deny_delete", found.deny_delete, true, by_hand);
    findings.flag(losing, "deny_purge", found.deny_purge, true, by_hand);
    let by_message = "a message could remove events: let an operator switch it off";
    findings.flag(
        losing,
        "allow_rollup_hdrs",
        found.allow_rollup,
        false,
        by_message,
    );
    findings.flag(
        losing,
        "allow_msg_ttl",
        found.allow_message_ttl,
        false,
        by_message,
    );
}

fn what_is_needed(findings: &mut Findings, found: &Config) {
    let needed = "the store cannot work without it: let an operator switch it on";
    findings.flag(
        Severity::Danger,
        "allow_direct",
        found.allow_direct,
        true,
        needed,
    );
    findings.flag(
        Severity::Danger,
        "allow_atomic",
        found.allow_atomic_publish,
        true,
        needed,
    );
    let hinders = "the store cannot work with it: let an operator switch it off";
    findings.flag(Severity::Danger, "no_ack", found.no_ack, false, hinders);
    findings.flag(
        Severity::Danger,
        "mirror",
        found.mirror.is_some(),
        false,
        hinders,
    );
    let has_sources = found
        .sources
        .as_ref()
        .is_some_and(|sources| !sources.is_empty());
    findings.flag(Severity::Danger, "sources", has_sources, false, hinders);
    let transforms = found.subject_transform.is_some();
    findings.flag(
        Severity::Danger,
        "subject_transform",
        transforms,
        false,
        hinders,
    );
    let read_only = "nothing can be appended any more";
    findings.flag(Severity::Warning, "sealed", found.sealed, false, read_only);
}

fn what_differs(findings: &mut Findings, wanted: &Config, found: &Config) {
    if found.republish != wanted.republish {
        let advice = "plain subscribers on the public subjects do not see what they should: let an operator update the stream";
        findings.add(
            Severity::Warning,
            "republish",
            &found.republish,
            &wanted.republish,
            advice,
        );
    }
    if found.duplicate_window < wanted.duplicate_window {
        let advice = "a message that is sent again late is not recognised, though the guard still refuses it: let an operator raise it";
        findings.add(
            Severity::Notice,
            "duplicate_window",
            found.duplicate_window,
            wanted.duplicate_window,
            advice,
        );
    }
    let count = |count: i64| if count > 0 { count } else { -1 };
    if count(found.max_messages) != count(wanted.max_messages) {
        let advice = "the stream takes another number of events than configured: let an operator update it, or change the configuration";
        findings.add(
            Severity::Warning,
            "max_msgs",
            found.max_messages,
            wanted.max_messages,
            advice,
        );
    }
    if found.max_bytes > 0 {
        let advice = "appends are refused once the stream has this many bytes";
        findings.add(Severity::Notice, "max_bytes", found.max_bytes, -1, advice);
    }
}
