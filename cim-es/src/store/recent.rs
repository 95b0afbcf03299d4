//! The message ids of an aggregate's commits, by which a command takes effect once.
//!
//! A bounded number of commits is remembered. Of UUIDs v7, which sort by their time, those with the latest times are
//! kept, and the latest of the forgotten ones besides: an id behind it was never forgotten. So a new command, whose id
//! is later than nearly all there are, needs no look into the history, whatever any clock says. Of other ids the last
//! ones are kept, and once one is forgotten only the history can tell whether an unknown one is new. What it said is
//! kept as long as the aggregate is warm.

use std::collections::{BTreeMap, HashSet, VecDeque};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Uuid, Version};

use crate::block::Envelope;

/// Past this many forgotten commits their ids are not kept in memory either, and each unknown id that may be among them
/// is looked for in the history.
const MAX_FORGOTTEN: usize = 1 << 18;

/// The commits of an aggregate that are remembered, and what is known of the others.
#[derive(Debug, Default)]
pub(crate) struct RecentCommits {
    limit: usize,
    /// Commits by ids that sort by time.
    timed: BTreeMap<Uuid, CommitVersions>,
    newest_forgotten: Option<Uuid>,
    /// Commits by other ids, oldest first.
    untimed: VecDeque<RecentCommit>,
    has_forgotten_untimed: bool,
    /// The commit that the last event belongs to, while further events may.
    open: Option<Uuid>,
    /// All forgotten ids, once the history was read for them; no part of a snapshot.
    forgotten: Option<HashSet<Uuid>>,
    /// All forgotten ids that do not sort by time, where they are kept from the first commit on; no part of a snapshot.
    forgotten_untimed: Option<HashSet<Uuid>>,
}

/// The versions that a commit gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommitVersions {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// One commit: the command behind it, and the versions that it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RecentCommit {
    message_id: Uuid,
    versions: CommitVersions,
}

/// What is known of a message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It led to these versions.
    At(CommitVersions),
    /// No commit of the aggregate has it.
    Never,
    /// Only the history can tell.
    Unknown,
}

fn is_timed(id: Uuid) -> bool {
    id.get_version() == Some(Version::SortRand)
}

impl RecentCommits {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// The same, which also keeps the forgotten ids that do not sort by time: it is told of all commits from the first on, and
    /// then always knows whether such an id is new.
    pub(crate) fn keeping_untimed(limit: usize) -> Self {
        Self {
            forgotten_untimed: Some(HashSet::new()),
            ..Self::new(limit)
        }
    }

    /// How many forgotten ids are kept from the first commit on.
    pub(crate) fn kept_untimed(&self) -> usize {
        self.forgotten_untimed.as_ref().map_or(0, HashSet::len)
    }

    /// The same commits under another limit.
    pub(crate) fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self.forget();
        self
    }

    /// What is known of a message id.
    pub(crate) fn find(&self, message_id: Uuid) -> Seen {
        if let Some(versions) = self.remembered(message_id) {
            return Seen::At(versions);
        }
        let is_not_forgotten = |ids: &HashSet<Uuid>| !ids.contains(&message_id);
        let is_new = match is_timed(message_id) {
            true => self
                .newest_forgotten
                .is_none_or(|newest| newest < message_id),
            false => {
                let kept = self.forgotten_untimed.as_ref();
                !self.has_forgotten_untimed || kept.is_some_and(is_not_forgotten)
            }
        };
        match is_new || self.forgotten.as_ref().is_some_and(is_not_forgotten) {
            true => Seen::Never,
            false => Seen::Unknown,
        }
    }

    fn remembered(&self, message_id: Uuid) -> Option<CommitVersions> {
        if is_timed(message_id) {
            return self.timed.get(&message_id).copied();
        }
        let mut commits = self.untimed.iter().rev();
        let found = commits.find(|commit| commit.message_id == message_id);
        found.map(|commit| commit.versions)
    }

    /// Notes an event of the aggregate; the first of a commit opens it, the further ones add to it.
    pub(crate) fn note(&mut self, envelope: &Envelope) {
        let id = envelope.causation_id;
        if !envelope.commit.is_first() && self.open == Some(id) {
            self.add_one(id);
            return;
        }
        self.open = None;
        if self.remembered(id).is_some() {
            // A store that was written without a repository may have it twice: the first one counts.
            return;
        }
        self.open = Some(id);
        let versions = CommitVersions {
            first: envelope.sequence,
            count: 1,
        };
        match is_timed(id) {
            true => drop(self.timed.insert(id, versions)),
            false => self.untimed.push_back(RecentCommit {
                message_id: id,
                versions,
            }),
        }
        self.forget();
    }

    fn add_one(&mut self, id: Uuid) {
        let versions = match is_timed(id) {
            true => self.timed.get_mut(&id),
            false => self.untimed.back_mut().map(|commit| &mut commit.versions),
        };
        if let Some(versions) = versions {
            versions.count += 1;
        }
    }

    fn forget(&mut self) {
        while self.timed.len() > self.limit
            && let Some((id, _)) = self.timed.pop_first()
        {
            self.newest_forgotten = self.newest_forgotten.max(Some(id));
            keep(&mut self.forgotten, id);
        }
        while self.untimed.len() > self.limit
            && let Some(commit) = self.untimed.pop_front()
        {
            self.has_forgotten_untimed = true;
            keep(&mut self.forgotten_untimed, commit.message_id);
            keep(&mut self.forgotten, commit.message_id);
        }
    }

    /// Takes what a look into the whole history up to here found: the ids of all commits.
    pub(crate) fn know_all(&mut self, mut ids: HashSet<Uuid>) {
        ids.retain(|id| self.remembered(*id).is_none());
        self.forgotten = (ids.len() <= MAX_FORGOTTEN).then_some(ids);
    }
}

/// Keeps a forgotten id, where all of them are kept and there are not too many.
fn keep(forgotten: &mut Option<HashSet<Uuid>>, id: Uuid) {
    if let Some(ids) = forgotten {
        ids.insert(id);
        if ids.len() > MAX_FORGOTTEN {
            *forgotten = None;
        }
    }
}

/// What stands in a snapshot.
#[derive(Serialize, Deserialize)]
struct Stored {
    limit: usize,
    timed: Vec<RecentCommit>,
    newest_forgotten: Option<Uuid>,
    untimed: Vec<RecentCommit>,
    has_forgotten_untimed: bool,
}

impl Serialize for RecentCommits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timed = self.timed.iter().map(|(id, versions)| RecentCommit {
            message_id: *id,
            versions: *versions,
        });
        let stored = Stored {
            limit: self.limit,
            timed: timed.collect(),
            newest_forgotten: self.newest_forgotten,
            untimed: self.untimed.iter().copied().collect(),
            has_forgotten_untimed: self.has_forgotten_untimed,
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RecentCommits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let timed = stored.timed.into_iter();
        Ok(Self {
            limit: stored.limit,
            timed: timed
                .map(|commit| (commit.message_id, commit.versions))
                .collect(),
            newest_forgotten: stored.newest_forgotten,
            untimed: stored.untimed.into(),
            has_forgotten_untimed: stored.has_forgotten_untimed,
            open: None,
            forgotten: None,
            forgotten_untimed: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(millis: u64) -> Uuid {
        uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()
    }

    fn commits(limit: usize, ids: impl IntoIterator<Item = Uuid>) -> RecentCommits {
        let mut recent = RecentCommits::new(limit);
        for (place, id) in ids.into_iter().enumerate() {
            let versions = CommitVersions {
                first: place as u64 + 1,
                count: 1,
            };
            match is_timed(id) {
                true => drop(recent.timed.insert(id, versions)),
                false => recent.untimed.push_back(RecentCommit {
                    message_id: id,
                    versions,
                }),
            }
            recent.forget();
        }
        recent
    }

    #[test]
    fn an_id_later_than_all_forgotten_ones_is_new_without_a_look_at_the_history() {
        let recent = commits(3, (1..=10).map(timed));
        assert_eq!(recent.find(timed(11)), Seen::Never);
        assert_eq!(recent.find(timed(2)), Seen::Unknown);
        assert_eq!(
            recent.find(timed(9)),
            Seen::At(CommitVersions { first: 9, count: 1 })
        );
    }

    #[test]
    fn ids_without_a_time_are_known_for_ever_where_they_are_kept_from_the_first_on() {
        let mut recent = RecentCommits::keeping_untimed(3);
        let id = Uuid::from_u128;
        for place in 1..=10 {
            recent.untimed.push_back(RecentCommit {
                message_id: id(place),
                versions: CommitVersions {
                    first: place as u64,
                    count: 1,
                },
            });
            recent.forget();
        }
        assert_eq!(recent.kept_untimed(), 7);
        assert_eq!(recent.find(id(11)), Seen::Never);
        for place in 1..=7 {
            assert_eq!(recent.find(id(place)), Seen::Unknown);
        }
        assert!(matches!(recent.find(id(8)), Seen::At(_)));
    }

    #[test]
    fn one_id_from_a_clock_that_is_years_ahead_does_not_make_all_others_unknown() {
        let ahead = timed(10_000_000);
        let recent = commits(3, [ahead].into_iter().chain((1..=10).map(timed)));
        assert_eq!(recent.find(timed(11)), Seen::Never);
        assert!(matches!(recent.find(ahead), Seen::At(_)));
    }

    #[test]
    fn an_id_without_a_time_is_new_only_while_none_was_forgotten() {
        let ids = (1..=4_u128).map(Uuid::from_u128);
        assert_eq!(
            commits(4, ids.clone()).find(Uuid::from_u128(9)),
            Seen::Never
        );
        let mut recent = commits(3, ids.clone());
        assert_eq!(recent.find(Uuid::from_u128(9)), Seen::Unknown);
        recent.know_all(ids.collect());
        assert_eq!(recent.find(Uuid::from_u128(9)), Seen::Never);
        assert_eq!(recent.find(Uuid::from_u128(1)), Seen::Unknown);
    }
}
