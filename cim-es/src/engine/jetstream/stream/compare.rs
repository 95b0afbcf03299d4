//! What is wrong with a stream, setting by setting.
//!
//! Every setting stands here: it is compared with what the options ask for, refused where the store
//! cannot work with it, or named as one that changes nothing. The settings are taken apart by name,
//! so that a new one cannot be forgotten.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use async_nats::jetstream::stream::{
    Config, ConsumerLimits, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

use super::finding::{Finding, Severity};
use crate::engine::jetstream::config::JetStreamOptions;
use crate::engine::jetstream::connect::Survey;

/// What a message may have beside the payload of its event: the envelope, and headers.
const BESIDE_PAYLOAD: usize = 20_000;
/// The least that a message must be able to have for any event.
const LEAST_MESSAGE: i32 = 4_096;
/// How many consumers a stream should allow: each reader makes one, a partitioned subscription up
/// to 64.
const CONSUMERS: i32 = 128;

/// Compares a stream with the one that the options describe. What could lose events is a danger,
/// unless the options accept that.
pub(super) fn stream(options: &JetStreamOptions, wanted: &Config, found: &Config) -> Vec<Finding> {
    let mut findings = Findings {
        list: Vec::new(),
        losing: match options.stream.accept_losing_events {
            true => Severity::Warning,
            false => Severity::Danger,
        },
    };
    settings(&mut findings, options, wanted, found);
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

    /// A setting that must have a value.
    fn must<T: Debug + PartialEq>(
        &mut self,
        severity: Severity,
        about: &'static str,
        found: T,
        expected: T,
        advice: &str,
    ) {
        if found != expected {
            self.add(severity, about, found, expected, advice);
        }
    }
}

fn settings(findings: &mut Findings, options: &JetStreamOptions, wanted: &Config, found: &Config) {
    let Config {
        // What a stream is called, says of itself, or is placed by, changes nothing for a store.
        name: _,
        description: _,
        metadata: _,
        template_owner: _,
        placement: _,
        // Any compression keeps the bytes.
        compression: _,
        // A copy of a stream may begin at another sequence.
        first_sequence: _,
        // Of a mirror, which is refused.
        mirror_direct: _,
        // Pauses consumers that exist, and the store makes its own.
        pause_until: _,
        max_bytes,
        max_messages,
        max_messages_per_subject,
        discard,
        discard_new_per_subject,
        subjects,
        retention,
        max_consumers,
        max_age,
        max_message_size,
        storage,
        num_replicas,
        no_ack,
        duplicate_window,
        sealed,
        allow_rollup,
        deny_delete,
        deny_purge,
        republish,
        allow_direct,
        mirror,
        sources,
        subject_transform,
        consumer_limits,
        persist_mode,
        allow_message_ttl,
        subject_delete_marker_ttl,
        allow_atomic_publish,
        allow_message_schedules,
        allow_message_counter,
        allow_batch_publish,
    } = found;
    let (losing, danger, warning) = (findings.losing, Severity::Danger, Severity::Warning);

    let ordered = |subjects: &[String]| subjects.iter().cloned().collect::<BTreeSet<_>>();
    findings.must(danger, "subjects", ordered(subjects), ordered(&wanted.subjects),
        "use the same public subjects and prefix in every program, or let an operator update the stream");

    // What drops or loses events.
    findings.must(
        danger,
        "retention",
        *retention,
        RetentionPolicy::Limits,
        "events would be removed once they are read: make the stream anew with retention `limits`",
    );
    findings.must(
        losing,
        "storage",
        *storage,
        StorageType::File,
        "events would be gone with a restart: make the stream anew with file storage",
    );
    age(findings, *max_age, wanted.max_age);
    discarding(findings, *discard, wanted.discard);
    if *max_messages_per_subject > 0 {
        findings.add(
            losing,
            "max_msgs_per_subject",
            max_messages_per_subject,
            -1,
            "old events of an aggregate would be dropped: let an operator set it to -1",
        );
    }
    if *persist_mode == Some(PersistenceMode::Async) {
        findings.add(
            danger,
            "persist_mode",
            "async",
            "default",
            "acknowledged events could be lost: make the stream anew without it",
        );
    }
    if *num_replicas < wanted.num_replicas {
        findings.add(
            losing,
            "replicas",
            num_replicas,
            wanted.num_replicas,
            "events would be lost with fewer servers than configured: let an operator raise it",
        );
    }
    let by_hand = "events could be removed by hand: let an operator make the stream anew with it";
    findings.must(losing, "deny_delete", *deny_delete, true, by_hand);
    findings.must(losing, "deny_purge", *deny_purge, true, by_hand);
    let by_message = "a message could remove events: let an operator switch it off";
    findings.must(
        losing,
        "allow_rollup_hdrs",
        *allow_rollup,
        false,
        by_message,
    );
    findings.must(
        losing,
        "allow_msg_ttl",
        *allow_message_ttl,
        false,
        by_message,
    );

    // What the store cannot work without, or with.
    let needed = "the store cannot work without it: let an operator switch it on";
    findings.must(danger, "allow_direct", *allow_direct, true, needed);
    findings.must(danger, "allow_atomic", *allow_atomic_publish, true, needed);
    let hinders = "the store cannot work with it: let an operator switch it off";
    findings.must(danger, "no_ack", *no_ack, false, hinders);
    findings.must(danger, "mirror", mirror.is_some(), false, hinders);
    let has_sources = sources.as_ref().is_some_and(|sources| !sources.is_empty());
    findings.must(danger, "sources", has_sources, false, hinders);
    findings.must(
        danger,
        "subject_transform",
        subject_transform.is_some(),
        false,
        hinders,
    );
    findings.must(
        danger,
        "allow_msg_counter",
        *allow_message_counter,
        false,
        hinders,
    );
    findings.must(
        danger,
        "discard_new_per_subject",
        *discard_new_per_subject,
        false,
        hinders,
    );
    let marker = subject_delete_marker_ttl.unwrap_or_default();
    if marker > Duration::ZERO {
        findings.add(
            danger,
            "subject_delete_marker_ttl",
            marker,
            Duration::ZERO,
            "messages without an event would stand in the stream: let an operator remove it",
        );
    }
    let unguarded =
        "messages could come into the stream past the guards: let an operator switch it off";
    findings.must(
        warning,
        "allow_msg_schedules",
        *allow_message_schedules,
        false,
        unguarded,
    );
    findings.must(
        warning,
        "allow_batched",
        *allow_batch_publish,
        false,
        unguarded,
    );
    findings.must(
        warning,
        "sealed",
        *sealed,
        false,
        "nothing can be appended any more",
    );
    message_size(findings, options, *max_message_size);
    consumers(findings, *max_consumers, consumer_limits.as_ref());

    // What is other than configured.
    findings.must(warning, "republish", republish, &wanted.republish,
        "plain subscribers on the public subjects do not see what they should: let an operator update the stream");
    if *duplicate_window < wanted.duplicate_window {
        findings.add(Severity::Notice, "duplicate_window", duplicate_window, wanted.duplicate_window,
            "a message that is sent again late is not recognised, though the guard still refuses it: let an operator raise it");
    }
    let count = |count: i64| if count > 0 { count } else { -1 };
    findings.must(warning, "max_msgs", count(*max_messages), count(wanted.max_messages),
        "the stream takes another number of events than configured: let an operator update it, or change the configuration");
    if *max_bytes > 0 {
        findings.add(
            Severity::Notice,
            "max_bytes",
            max_bytes,
            -1,
            "appends are refused once the stream has this many bytes",
        );
    }
}

fn age(findings: &mut Findings, found: Duration, wanted: Duration) {
    if found == wanted {
        return;
    }
    match found > Duration::ZERO {
        true => findings.add(findings.losing, "max_age", found, wanted,
            "events would be dropped by age: let an operator remove it, or set `max_age` and `accept_losing_events`"),
        false => findings.add(Severity::Warning, "max_age", found, wanted,
            "events are kept for ever, and the configuration asks to drop them by age: let an operator update the stream, or \
             leave `max_age` out"),
    }
}

fn discarding(findings: &mut Findings, found: DiscardPolicy, wanted: DiscardPolicy) {
    if found == wanted {
        return;
    }
    match found {
        DiscardPolicy::New => findings.add(Severity::Warning, "discard", found, wanted,
            "a full stream refuses new events, and the configuration asks to drop the oldest: let an operator update the \
             stream, or leave `when_full` out"),
        DiscardPolicy::Old => findings.add(findings.losing, "discard", found, wanted,
            "a full stream would drop its oldest events: let an operator set it to `new`, or set `when_full` and \
             `accept_losing_events`"),
    }
}

fn message_size(findings: &mut Findings, options: &JetStreamOptions, found: i32) {
    let wanted = options
        .stream
        .seal
        .max_payload
        .saturating_add(BESIDE_PAYLOAD);
    let is_enough = usize::try_from(found).is_ok_and(|found| found >= wanted);
    if found <= 0 || is_enough {
        return;
    }
    let severity = match found < LEAST_MESSAGE {
        true => Severity::Danger,
        false => Severity::Warning,
    };
    findings.add(severity, "max_msg_size", found, -1,
        "events that `max_payload` of the configuration allows are refused: let an operator raise it, or lower `max_payload`");
}

fn consumers(findings: &mut Findings, most: i32, limits: Option<&ConsumerLimits>) {
    if (1..CONSUMERS).contains(&most) {
        findings.add(Severity::Warning, "max_consumers", most, -1,
            "each reader and each partition of a subscription needs a consumer, and those past the limit fail: let an \
             operator raise it");
    }
    let Some(ConsumerLimits {
        inactive_threshold,
        max_ack_pending,
    }) = limits
    else {
        return;
    };
    if *inactive_threshold > Duration::ZERO {
        findings.add(Severity::Danger, "consumer_limits.inactive_threshold", inactive_threshold, Duration::ZERO,
            "the server refuses the consumers of readers, or removes that of a group, which then begins anew: let an \
             operator remove it");
    }
    if *max_ack_pending > 0 {
        findings.add(
            Severity::Warning,
            "consumer_limits.max_ack_pending",
            max_ack_pending,
            0,
            "the server refuses the consumers of groups: let an operator remove it",
        );
    }
}

/// Whether a server takes less than an event may have.
pub(super) fn max_payload(options: &JetStreamOptions, survey: &Survey) -> Option<Finding> {
    let wanted = options.stream.seal.max_payload;
    let known = survey
        .servers
        .iter()
        .filter(|server| server.max_payload > 0);
    let least = known.min_by_key(|server| server.max_payload)?;
    (least.max_payload < wanted.saturating_add(BESIDE_PAYLOAD)).then(|| Finding {
        severity: Severity::Warning,
        about: "max_payload",
        found: format!("{} on {}", least.max_payload, least.server_name),
        expected: format!("at least {}", wanted.saturating_add(BESIDE_PAYLOAD)),
        advice: format!(
            "payloads of events may have {wanted} bytes by the configuration, and the server refuses such: raise it there, \
             or lower `max_payload` of the event store"
        ),
    })
}
