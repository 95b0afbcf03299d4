//! What a decision may know beside the aggregate and the command.

use std::borrow::Cow;

use cid::Cid;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::{MessageIdentity, Meta, Timestamp};
use crate::domain::aggregate::{AggregateId, IdText};

/// Everything from outside that a decision may use: who, when, and a source of ids.
///
/// Deciding again after a conflict, a command has the same ids, so that it gives the same events; its time follows the
/// newer history.
///
/// ```
/// use cim_es::message::{Context, MessageIdentity, Timestamp};
///
/// let context = Context::new(MessageIdentity::new_from_user("me"), Timestamp::from_micros(0));
/// assert_eq!(context.id(1), context.id(1));
/// assert_ne!(context.id(1), context.id(2));
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    identity: MessageIdentity,
    /// The time in the ids: the reading of the clock, which stays the same when the command is decided again.
    reading: Timestamp,
    now: Timestamp,
    aggregate: Option<Decider>,
    /// The place of the command among those that came together.
    place: u64,
}

/// The aggregate that decides.
#[derive(Clone, Debug)]
struct Decider {
    kind: Cow<'static, str>,
    id: IdText,
}

impl Context {
    /// A context for one command.
    pub fn new(identity: MessageIdentity, now: Timestamp) -> Self {
        Self::at(identity, now, now)
    }

    /// A context whose events get another time than the clock reads.
    pub(crate) fn at(identity: MessageIdentity, reading: Timestamp, now: Timestamp) -> Self {
        Self {
            identity,
            reading,
            now,
            aggregate: None,
            place: 0,
        }
    }

    /// The same context for the aggregate of a kind, `<domain>.<name>`, with an id.
    #[must_use]
    pub fn with_aggregate(self, kind: impl Into<Cow<'static, str>>, id: IdText) -> Self {
        let kind = kind.into();
        Self {
            aggregate: Some(Decider { kind, id }),
            ..self
        }
    }

    /// The same context for one of several commands that came together, by its place from 0: with ids of its own.
    ///
    /// ```
    /// # use cim_es::message::{Context, MessageIdentity, Timestamp};
    /// let context = Context::new(MessageIdentity::new_from_user("me"), Timestamp::from_micros(0));
    /// assert_eq!(context.of_command(0).id(1), context.id(1));
    /// assert_ne!(context.of_command(1).id(1), context.id(1));
    /// ```
    #[must_use]
    pub fn of_command(&self, place: usize) -> Self {
        Self {
            place: place as u64,
            ..self.clone()
        }
    }

    /// Whether an id is that of the aggregate that decides, for rules such as that nothing is merged into itself.
    ///
    /// Never so in a context that was made without an aggregate: a repository says which it is, a scenario of the test
    /// kit where its `given` was told.
    ///
    /// ```
    /// # use cim_es::message::{Context, MessageIdentity, Timestamp};
    /// use cim_es::aggregate::{AggregateId, Id};
    ///
    /// struct Person;
    /// let (ann, ben) = (Id::<Person>::new(), Id::<Person>::new());
    /// let context = Context::new(MessageIdentity::new_from_user("me"), Timestamp::from_micros(0));
    /// assert!(!context.is_for(&ann));
    /// let context = context.with_aggregate("club.person", ann.text()?);
    /// assert!(context.is_for(&ann) && !context.is_for(&ben));
    /// # Ok::<(), cim_es::aggregate::IdTextError>(())
    /// ```
    pub fn is_for(&self, id: &impl AggregateId) -> bool {
        let aggregate = self.aggregate.as_ref();
        aggregate.is_some_and(|aggregate| id.text().is_ok_and(|text| text == aggregate.id))
    }

    /// Whether it is known which aggregate decides, and an id is another one's, for commands that carry the id of their
    /// own aggregate.
    ///
    /// ```
    /// # use cim_es::message::{Context, MessageIdentity, Timestamp};
    /// use cim_es::aggregate::{AggregateId, Id};
    ///
    /// struct Person;
    /// let (ann, ben) = (Id::<Person>::new(), Id::<Person>::new());
    /// let context = Context::new(MessageIdentity::new_from_user("me"), Timestamp::from_micros(0));
    /// assert!(!context.is_for_another(&ann));
    /// let context = context.with_aggregate("club.person", ann.text()?);
    /// assert!(context.is_for_another(&ben) && !context.is_for_another(&ann));
    /// # Ok::<(), cim_es::aggregate::IdTextError>(())
    /// ```
    pub fn is_for_another(&self, id: &impl AggregateId) -> bool {
        self.aggregate.is_some() && !self.is_for(id)
    }

    /// The time of the command, which its events get: the reading of the clock when it came in, raised to the aggregate's
    /// last event as far as clocks may differ.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who or what issued the command.
    pub fn actor(&self) -> Option<&str> {
        self.identity.actor()
    }

    /// The values of the author's own beside the command.
    pub fn meta(&self) -> &Meta {
        self.identity.meta()
    }

    /// The CID of the stored event that caused the command; none where a message did, or nothing.
    pub fn cause(&self) -> Option<Cid> {
        self.identity.cause()
    }

    /// The identity of the command.
    pub fn identity(&self) -> &MessageIdentity {
        &self.identity
    }

    /// The `n`-th id of this command: a UUID v7 that depends on the message id, the clock reading, the aggregate that
    /// decides, `n` and, of several commands that came together, on the place of this one alone. Two aggregates that
    /// decide under one identity have ids of their own. An aggregate counts by its id and by the kind under which its
    /// history began, so that a command which is repeated after a rename (`was`) has the same ids.
    pub fn id(&self, n: u32) -> Uuid {
        let place = self.place.to_be_bytes();
        let mut purpose: Vec<&[u8]> = match self.place {
            0 => vec![b"decision"],
            _ => vec![b"decision of command ", &place],
        };
        if let Some(Decider { kind, id }) = &self.aggregate {
            let of: [&[u8]; 5] = [b" of ", kind.as_bytes(), &[0], id.as_str().as_bytes(), &[0]];
            purpose.extend(of);
        }
        derived_id(&self.identity, self.reading, &purpose, n)
    }
}

/// A UUID v7 with the time of the command and, for its random part, a digest of the message id, a purpose and `n`.
pub(crate) fn derived_id(
    identity: &MessageIdentity,
    now: Timestamp,
    purpose: &[&[u8]],
    n: u32,
) -> Uuid {
    let mut digest = Sha256::new_with_prefix(identity.message_id().as_bytes());
    for part in purpose {
        digest.update(part);
    }
    let digest = digest.chain_update(n.to_be_bytes()).finalize();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}
