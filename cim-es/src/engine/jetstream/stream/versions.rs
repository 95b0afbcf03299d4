//! Whether every server is new enough: a stream's leader decides over the guards, whichever server
//! a program talks to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex as StdMutex, PoisonError};

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::finding::{Finding, Severity};
use super::wanted::{MINIMUM, incompatible, is_new_enough};
use crate::engine::jetstream::api::{Api, StreamInfo};
use crate::engine::jetstream::connect::Survey;
use crate::store::StoreError;

/// The versions as they were found since the client connected the last time.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// How many times the client had connected when they were looked at.
    checked: AtomicU64,
    refused: StdMutex<Option<String>>,
    looking: Mutex<()>,
}

impl Versions {
    /// Versions that were looked at when the client had connected so many times, and were new
    /// enough.
    pub(super) fn checked(connects: u64) -> Self {
        Self {
            checked: AtomicU64::new(connects),
            ..Self::default()
        }
    }

    /// Refuses to write where a server is too old. They are looked at again when the client has
    /// connected again.
    pub(super) async fn check(&self, api: &Api, deadline: Instant) -> Result<(), StoreError> {
        if self.checked.load(Ordering::Acquire) != api.connects() {
            let _looking = self.looking.lock().await;
            // Before the look: what connects meanwhile is looked at the next time.
            let connects = api.connects();
            if self.checked.load(Ordering::Acquire) != connects {
                self.look(api, deadline).await;
                self.checked.store(connects, Ordering::Release);
            }
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match refused.as_ref() {
            None => Ok(()),
            Some(reason) => Err(incompatible(api, reason.clone())),
        }
    }

    async fn look(&self, api: &Api, deadline: Instant) {
        // What cannot be asked in time stays as it was.
        let Ok(survey) = timeout_at(deadline, api.connection.survey()).await else {
            return;
        };
        let old = too_old(&survey).map(|finding| finding.to_string());
        if let Some(reason) = &old {
            tracing::error!(stream = %api.stream, reason, "nothing is written any more");
        }
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = old;
    }
}

/// Servers on which guards do not hold.
pub(super) fn too_old(survey: &Survey) -> Option<Finding> {
    // The one that the program talks to counts in any case: without JetStream it may be given it.
    let servers = survey.servers.iter().enumerate();
    let old: Vec<_> = servers
        .filter(|(at, server)| (*at == 0 || server.jetstream) && !is_new_enough(&server.version))
        .map(|(_, server)| format!("{} on {}", server.version, server.server_name))
        .collect();
    let (major, minor, patch) = MINIMUM;
    (!old.is_empty()).then(|| Finding {
        severity: Severity::Danger,
        about: "version",
        found: old.join(", "),
        expected: format!("{major}.{minor}.{patch} or newer on every server"),
        advice: "two writers could both win once such a server leads the stream: update it (2.15 is recommended)"
            .to_owned(),
    })
}

/// What else there is to say of the servers: what could not be asked, and what could be better.
pub(super) fn findings(survey: &Survey, stream: Option<&StreamInfo>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let cluster = stream.and_then(|found| found.info.cluster.as_ref());
    let peers = cluster.into_iter().flat_map(|cluster| {
        let replicas = cluster.replicas.iter().map(|peer| peer.name.as_str());
        cluster.leader.as_deref().into_iter().chain(replicas)
    });
    let unknown: Vec<_> = peers.filter(|name| !survey.knows(name)).collect();
    if !unknown.is_empty() {
        let silent = match survey.silent.as_slice() {
            [] => "no address of it is known".to_owned(),
            silent => format!("no answer from {}", silent.join(", ")),
        };
        findings.push(Finding {
            severity: Severity::Warning,
            about: "version",
            found: format!("not known of {}, which could not be asked: {silent}", unknown.join(", ")),
            expected: "a server that can be asked".to_owned(),
            advice: "make sure that it is 2.14.4 or newer, or two writers could both win: name its address in `servers`"
                .to_owned(),
        });
    }
    let slower = survey
        .servers
        .iter()
        .filter(|server| is_new_enough(&server.version) && server.version.starts_with("2.14."));
    let slower: Vec<_> = slower
        .map(|server| format!("{} on {}", server.version, server.server_name))
        .collect();
    if !slower.is_empty() {
        findings.push(Finding {
            severity: Severity::Notice,
            about: "version",
            found: slower.join(", "),
            expected: "2.15.0 or newer".to_owned(),
            advice: "newer servers group their writes to the disk, which makes appends faster"
                .to_owned(),
        });
    }
    findings
}
