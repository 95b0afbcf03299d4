//! Which messages wrote to aggregates, as far as a store knows without reading.
//!
//! An append has to know that its message is new. What is known of an aggregate is learned from its history once, and goes
//! on with every commit, so that the next append on it reads nothing. Nothing in here goes by a clock: of the messages of
//! an aggregate the latest ones are remembered by their ids (see [`RecentCommits`]), and where those do not tell, the
//! history does.

use std::num::NonZeroUsize;

use lru::LruCache;
use uuid::Uuid;

use super::recent::{RecentCommits, Seen};
use super::{AggregateKey, Head};
use crate::block::StoredEvent;

/// The aggregates whose messages are remembered.
const AGGREGATES: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();
/// The messages that are remembered of each.
const MESSAGES: usize = 64;
/// The ids without a time that are remembered besides, over all aggregates: some tens of megabytes. Without them each append
/// under such an id, which UUIDs v4 are, would read the whole history of its aggregate.
const UNTIMED: usize = 1 << 20;

/// What a store knows of the messages that wrote to its aggregates.
pub(crate) struct KnownMessages {
    aggregates: LruCache<AggregateKey, Known>,
    /// How many ids without a time are remembered beside the latest messages.
    untimed: usize,
    most_untimed: usize,
}

/// The messages behind the events of an aggregate up to one.
struct Known {
    head: Head,
    recent: RecentCommits,
}

/// What is known of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// It wrote nothing to the aggregate.
    New,
    /// It wrote to it, or may have: the history tells.
    Unclear,
    /// The events behind this one are not known, or none are.
    Behind(Option<Head>),
}

impl Default for KnownMessages {
    fn default() -> Self {
        Self::keeping(UNTIMED)
    }
}

impl KnownMessages {
    fn keeping(most_untimed: usize) -> Self {
        Self {
            aggregates: LruCache::new(AGGREGATES),
            untimed: 0,
            most_untimed,
        }
    }

    /// What is known of a message on an aggregate whose last event is `head`.
    pub(crate) fn find(
        &mut self,
        aggregate: &AggregateKey,
        head: Option<&Head>,
        message_id: Uuid,
    ) -> Message {
        let Some(head) = head else {
            return Message::New;
        };
        match self.aggregates.get(aggregate) {
            None => Message::Behind(None),
            // Of a branch that was replaced.
            Some(known) if known.head.version == head.version && known.head.cid != head.cid => {
                let dropped = self.aggregates.pop(aggregate);
                self.forget(dropped);
                Message::Behind(None)
            }
            Some(known) if known.head.version < head.version => Message::Behind(Some(known.head)),
            Some(known) => match known.recent.find(message_id) {
                Seen::Never => Message::New,
                Seen::At(_) | Seen::Unknown => Message::Unclear,
            },
        }
    }

    /// Whether something is known of an aggregate.
    #[cfg(any(test, feature = "sqlite"))]
    pub(crate) fn has(&self, aggregate: &AggregateKey) -> bool {
        self.aggregates.contains(aggregate)
    }

    /// Takes in an event of an aggregate. One that does not follow what is known is left out.
    pub(crate) fn note(&mut self, aggregate: &AggregateKey, event: &StoredEvent) {
        let head = event.head();
        if let Some(known) = self.aggregates.get_mut(aggregate) {
            if known.head.version + 1 == head.version {
                let before = known.recent.kept_untimed();
                known.recent.note(&event.envelope);
                known.head = head;
                // There are none any more where one aggregate has too many of them.
                self.untimed = self.untimed + known.recent.kept_untimed() - before;
                self.keep_within_the_limit();
            }
        } else if head.version == 1 {
            let mut recent = RecentCommits::keeping_untimed(MESSAGES);
            recent.note(&event.envelope);
            let known = Known { head, recent };
            let dropped = self.aggregates.push(aggregate.clone(), known);
            self.forget(dropped.map(|(_, known)| known));
        }
    }

    /// Drops what is known of the aggregates that were not asked for the longest, until there is room again: their histories
    /// are read once more when they are.
    fn keep_within_the_limit(&mut self) {
        while self.untimed > self.most_untimed {
            let Some((_, dropped)) = self.aggregates.pop_lru() else {
                return;
            };
            self.forget(Some(dropped));
        }
    }

    fn forget(&mut self, dropped: Option<Known>) {
        self.untimed -= dropped.map_or(0, |known| known.recent.kept_untimed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::aggregate::IdText;
    use crate::domain::message::{MessageIdentity, Timestamp};
    use crate::store::{CommitRequest, ExpectedVersion, NewEvent, Position, SealOptions, seal};

    /// The history of one aggregate, one event for each message.
    fn history(messages: &[Uuid]) -> (AggregateKey, Vec<StoredEvent>) {
        let key = AggregateKey::new("home.lamp", IdText::new("hall").expect("a short text"));
        let (mut events, mut head) = (Vec::new(), None);
        for (message, place) in messages.iter().zip(1..) {
            let identity = MessageIdentity::root(*message, None);
            let event = NewEvent::from_payload("home.lamp.switched", 1, vec![0xa0]);
            let commit = CommitRequest::new(identity, Timestamp::from_micros(0));
            let commit = commit.aggregate(key.clone(), ExpectedVersion::Any, vec![event]);
            let sealed = seal(commit, &[head], &SealOptions::default()).expect("it is sealed");
            let event = sealed.into_iter().next().expect("one event");
            let event = event.into_stored(Position(place));
            head = Some(event.head());
            events.push(event);
        }
        (key, events)
    }

    fn id(millis: u64) -> Uuid {
        uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()
    }

    #[test]
    fn a_later_message_is_new_without_a_look_at_the_history() {
        let ids: Vec<_> = (1..=500).map(id).collect();
        let (key, events) = history(&ids);
        let mut known = KnownMessages::default();
        events.iter().for_each(|event| known.note(&key, event));
        let head = events.last().map(StoredEvent::head);
        assert_eq!(known.find(&key, head.as_ref(), id(501)), Message::New);
        assert_eq!(known.find(&key, head.as_ref(), id(500)), Message::Unclear);
        assert_eq!(known.find(&key, head.as_ref(), id(3)), Message::Unclear);
    }

    #[test]
    fn an_id_without_a_time_needs_no_look_at_the_history_however_many_there_were() {
        let ids: Vec<_> = (1..=500).map(Uuid::from_u128).collect();
        let (key, events) = history(&ids);
        let mut known = KnownMessages::default();
        events.iter().for_each(|event| known.note(&key, event));
        let head = events.last().map(StoredEvent::head);
        let mut find = |id: u128| known.find(&key, head.as_ref(), Uuid::from_u128(id));
        assert_eq!(find(501), Message::New);
        assert_eq!(
            [find(1), find(436), find(437), find(500)],
            [Message::Unclear; 4]
        );
    }

    #[test]
    fn ids_without_a_time_are_kept_within_a_limit_over_all_aggregates() {
        let ids: Vec<_> = (1..=100).map(Uuid::from_u128).collect();
        let (_, events) = history(&ids);
        let mut known = KnownMessages::keeping(80);
        let keys: Vec<_> = ["one", "two", "three"]
            .map(|id| AggregateKey::new("home.lamp", IdText::new(id).expect("a short text")))
            .into();
        for key in &keys {
            events.iter().for_each(|event| known.note(key, event));
        }
        assert_eq!(known.untimed, 2 * (100 - MESSAGES));
        let has = |known: &KnownMessages| [0, 1, 2].map(|at| known.has(&keys[at]));
        assert_eq!(has(&known), [false, true, true]);
        let other_branch = Head {
            cid: events[0].cid,
            ..events[99].head()
        };
        known.find(&keys[1], Some(&other_branch), Uuid::from_u128(101));
        assert_eq!(has(&known), [false, false, true]);
        assert_eq!(known.untimed, 100 - MESSAGES);
    }

    #[test]
    fn what_was_not_seen_is_said_to_be_missing() {
        let ids: Vec<_> = (1..=5).map(id).collect();
        let (key, events) = history(&ids);
        let heads: Vec<_> = events.iter().map(StoredEvent::head).collect();
        let mut known = KnownMessages::default();
        assert_eq!(known.find(&key, None, id(9)), Message::New);
        assert_eq!(
            known.find(&key, Some(&heads[4]), id(9)),
            Message::Behind(None)
        );
        known.note(&key, &events[2]);
        assert!(
            !known.has(&key),
            "a history is known from its first event on"
        );
        for place in [0, 1, 3, 1] {
            known.note(&key, &events[place]);
        }
        let behind = Message::Behind(Some(heads[1]));
        assert_eq!(known.find(&key, Some(&heads[4]), id(9)), behind);
        assert_eq!(known.find(&key, Some(&heads[1]), id(9)), Message::New);
    }
}
