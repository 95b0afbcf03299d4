//! The message ids of an aggregate's last commits, by which a command takes effect once.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::block::Envelope;

/// The last commits of an aggregate, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct RecentCommits {
    limit: usize,
    commits: VecDeque<RecentCommit>,
}

/// One commit: the command behind it, and the versions that it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecentCommit {
    message_id: Uuid,
    pub(super) first_version: u64,
    pub(super) events: u64,
}

impl RecentCommits {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            commits: VecDeque::new(),
        }
    }

    /// The same commits under another limit.
    pub(super) fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self.forget();
        self
    }

    /// Whether nothing was forgotten that another limit keeps.
    pub(super) fn suffices(&self, limit: usize) -> bool {
        limit <= self.limit || self.commits.len() < self.limit
    }

    /// The commit of a command, if it is remembered.
    pub(super) fn find(&self, message_id: Uuid) -> Option<RecentCommit> {
        self.commits
            .iter()
            .rev()
            .find(|commit| commit.message_id == message_id)
            .copied()
    }

    /// Notes an event of the aggregate; the first of a commit opens it, the further ones add to it.
    pub(super) fn note(&mut self, envelope: &Envelope) {
        if !envelope.commit.is_first()
            && let Some(commit) = self.commits.back_mut()
        {
            commit.events += 1;
            return;
        }
        self.commits.push_back(RecentCommit {
            message_id: envelope.causation_id,
            first_version: envelope.sequence,
            events: 1,
        });
        self.forget();
    }

    fn forget(&mut self) {
        let surplus = self.commits.len().saturating_sub(self.limit);
        self.commits.drain(..surplus);
    }
}
