//! Why a subscription could not start, or ended.

use crate::domain::subject::PatternError;
#[cfg(feature = "jetstream")]
use crate::store::denied::PermissionDenied;
use crate::store::read_model::ReadModelError;
use crate::store::{Location, Position, StoreError};

/// Why a subscription could not start, or ended: what was wrong, where, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// The builder was not told something that it needs.
    #[error("a subscriber needs a {part}: call `{call}` on the builder")]
    Incomplete {
        /// What is missing.
        part: &'static str,
        /// What to call.
        call: &'static str,
    },
    /// A setting makes no sense.
    #[error("the subscriber is refused: {reason}")]
    Setting {
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// A pattern that no subject matches.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A kind that shares the events over several machines, on a store that one machine has.
    #[error(
        "{kind} subscription shares the events over several machines, which needs them on NATS servers: on this store call `durable(…)`, which hands over every event in order, to one program at a time"
    )]
    NeedsServers {
        /// The kind, with its article.
        kind: &'static str,
    },
    /// The store has no room beside the events for how far a subscription came and what it parked.
    #[error(
        "this store keeps nothing beside its events: say with `kept_in(…)` in which storage to keep how far the subscription comes and what it parks"
    )]
    NowhereKept,
    /// No stream keeps the events, or several do.
    #[error("{found} of the account keeps events on `{pattern}`: {advice}")]
    NoSingleStream {
        /// How many streams were found, in words.
        found: String,
        /// The public pattern.
        pattern: String,
        /// What to do.
        advice: &'static str,
    },
    /// The stream does not exist.
    #[error(
        "there is no stream {stream}: open an event store on it first, which creates it, or check the name"
    )]
    StreamMissing {
        /// Its name.
        stream: String,
    },
    /// The stream never holds what a pattern asks for.
    #[error(
        "stream {stream} keeps events on {kept}, and none of them matches `{pattern}`: subscribe to the stream of that domain, or correct the pattern"
    )]
    NotKept {
        /// The stream.
        stream: String,
        /// The stored subjects that it takes.
        kept: String,
        /// The public pattern.
        pattern: String,
    },
    /// The server does not permit what the subscription needs.
    #[cfg(feature = "jetstream")]
    #[error(transparent)]
    Denied(#[from] PermissionDenied),
    /// The name belongs to a subscription of another kind.
    #[error(
        "the subscription `{name}` is {found} and cannot also be {wanted}: take another name for this one"
    )]
    AnotherKind {
        /// The name.
        name: String,
        /// What is known under the name.
        found: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The store has another history than the one that the subscription has read so far.
    #[error(
        "the subscription `{name}` has read another history of {location}, which was deleted and made anew, or restored \
         from a backup: its positions mean nothing in this one; take another name, which starts with the first event"
    )]
    StreamRemade {
        /// The subscription.
        name: String,
        /// The file or stream.
        location: Location,
    },
    /// The name belongs to a subscription of another stream.
    #[error(
        "the subscription `{name}` reads stream {found} and cannot also read {wanted}: take another name for this one"
    )]
    AnotherStream {
        /// The name.
        name: String,
        /// The stream that is known under the name.
        found: String,
        /// The stream that was asked for.
        wanted: String,
    },
    /// The subscription came further than the store reaches, which was made anew or restored since: what is appended up
    /// to there would be passed over.
    #[error(
        "the subscription `{name}` goes on behind position {position} of {location}, which ends at {last}: it was made anew \
         or restored since; take another name, and start it where the handler is to go on"
    )]
    BeyondStream {
        /// The name.
        name: String,
        /// The file or stream.
        location: Location,
        /// How far the subscription came.
        position: Position,
        /// Where it ends.
        last: Position,
    },
    /// Every place among the members of a partitioned subscription is taken.
    #[error(
        "the subscription `{name}` has {members} members, one for each partition: a further one would get no events"
    )]
    TooManyMembers {
        /// The name.
        name: String,
        /// How many it has.
        members: usize,
    },
    /// A handler failed for good, and the event could not be parked. It counts as not handled.
    #[error(
        "the handler failed on the event at position {position} ({reason}), and the event could not be parked"
    )]
    NotParked {
        /// Where the event stands.
        position: Position,
        /// Why the handler failed.
        reason: String,
        /// Why it was not parked.
        source: StoreError,
    },
    /// The event to resend or to discard is not parked.
    #[error("no event at position {position} is parked for `{name}`")]
    NotThere {
        /// The subscription.
        name: String,
        /// Where the event would stand.
        position: Position,
    },
    /// The store is damaged, or could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// How far the subscription came, or what is parked, could not be kept or read.
    #[error(transparent)]
    Kept(#[from] ReadModelError),
    /// The task of the subscription was ended from outside.
    #[error("the subscription's task ended: {reason}")]
    Task {
        /// Why.
        reason: String,
    },
}
