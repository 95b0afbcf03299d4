//! What can go wrong between a command and its commit.

use std::fmt;

use cid::Cid;
use uuid::Uuid;

use super::{Holder, ScopeError};
use crate::block::payload::PayloadError;
use crate::domain::aggregate::{IdError, IdTextError, UniqueName};
use crate::domain::machine::UnexpectedEvent;
use crate::store::{AggregateKey, StoreError};

/// Why a command did not lead to a commit; `E` is the aggregate's own error.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExecuteError<E: std::error::Error + 'static> {
    /// A rule of the domain refuses the command.
    Refused(E),
    /// The present state has no edge for the command.
    NotAccepted {
        /// The present state.
        state: &'static str,
        /// The command.
        command: &'static str,
        /// What the present state accepts.
        accepted: Vec<&'static str>,
    },
    /// The decision emitted an event that the machine does not declare there; nothing was stored.
    UndeclaredEvent {
        /// The state that was reached when the event came.
        state: &'static str,
        /// The command.
        command: &'static str,
        /// The event.
        event: &'static str,
    },
    /// The decision gave an empty list of events; nothing was stored.
    NoEvents {
        /// The present state.
        state: &'static str,
        /// The command.
        command: &'static str,
    },
    /// One of several commands that belong together is refused; none of them took effect.
    OneOfSeveral {
        /// The place of the command among them, from 0.
        place: usize,
        /// How many there are.
        of: usize,
        /// The command.
        command: &'static str,
        /// Why it is refused.
        reason: Box<ExecuteError<E>>,
    },
    /// The message id belongs to an earlier command, which was another one; nothing was stored.
    MessageIdReused {
        /// The message id.
        message_id: Uuid,
        /// The command that came now.
        command: &'static str,
        /// The type of the first event of the earlier commit.
        event_type: String,
        /// The version that the event gave.
        version: u64,
    },
    /// Another aggregate holds a name that this one would hold after the command; nothing was stored.
    NameTaken {
        /// The name.
        name: UniqueName,
        /// Who holds it.
        holder: Holder,
    },
    /// The scope of a unique name cannot be one; nothing was stored.
    NameScope {
        /// The name.
        name: UniqueName,
        /// What is wrong with the scope.
        source: ScopeError,
    },
    /// An event cannot be stored; nothing was stored.
    Payload(PayloadError),
    /// The fold of an event panicked before the event was stored; nothing was stored.
    FoldPanicked {
        /// The command.
        command: &'static str,
        /// The event.
        event: &'static str,
        /// What it panicked with.
        reason: String,
    },
    /// The command took effect: its events are stored. They cannot be folded, so the aggregate does not load before the
    /// program is corrected.
    StoredAndNotFolded(LoadError),
    /// It cannot be told whether the message took effect before: it is older than what is remembered, and the history
    /// cannot be read. Nothing was stored.
    MayHaveTakenEffect {
        /// The message id.
        message_id: Uuid,
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// Why the history cannot be read.
        source: StoreError,
    },
    /// The aggregate could not be loaded.
    Load(LoadError),
    /// The store did not take the commit; [`StoreError::Conflict`] when others were first each time.
    Store(StoreError),
}

// Written by hand: the derive would bound the error on itself, by the reason of one of several, and such a bound never ends.
impl<E: std::error::Error + 'static> fmt::Display for ExecuteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => fmt::Display::fmt(error, f),
            Self::NotAccepted {
                state,
                command,
                accepted,
            } => write!(
                f,
                "`{command}` is not accepted in state `{state}`, which accepts {}",
                list(accepted)
            ),
            Self::UndeclaredEvent {
                state,
                command,
                event,
            } => write!(
                f,
                "`{command}` emitted `{event}` in state `{state}`, for which no edge is declared: add \
                 `#[on({command} / {event} => …)]` to `{state}`, or correct `decide`"
            ),
            Self::NoEvents { state, command } => write!(
                f,
                "`{command}` gave an empty list of events in state `{state}`: say `nothing()` when it changes nothing"
            ),
            Self::OneOfSeveral {
                place, of, command, ..
            } => write!(
                f,
                "command {} of {of}, `{command}`, was not carried out",
                place + 1
            ),
            Self::MessageIdReused {
                message_id,
                command,
                event_type,
                version,
            } => write!(
                f,
                "message id {message_id} was used before: it led to `{event_type}` at version {version}, which \
                 `{command}` never does; give each command an identity of its own"
            ),
            Self::NameTaken { name, holder } => write!(
                f,
                "{name} is held by {holder}: choose another, or have it released first"
            ),
            Self::NameScope { name, .. } => write!(f, "{name} cannot be reserved"),
            Self::Payload(error) => fmt::Display::fmt(error, f),
            Self::FoldPanicked {
                command,
                event,
                reason,
            } => write!(
                f,
                "the fold of `{event}`, to which `{command}` led, panicked: {reason}; nothing was stored, correct what \
                 the event does to the aggregate"
            ),
            Self::StoredAndNotFolded(_) => {
                f.write_str("the command took effect, and the aggregate does not load")
            }
            Self::MayHaveTakenEffect {
                message_id,
                aggregate,
                ..
            } => write!(
                f,
                "it cannot be told whether message {message_id} took effect on {aggregate} before: it is older than the \
                 commits that are remembered, and the history before them cannot be read; nothing was stored"
            ),
            Self::Load(error) => fmt::Display::fmt(error, f),
            Self::Store(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for ExecuteError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(error) => error.source(),
            Self::OneOfSeveral { reason, .. } => Some(&**reason),
            Self::NameScope { source, .. } => Some(source),
            Self::Payload(error) => error.source(),
            Self::StoredAndNotFolded(error) => Some(error),
            Self::MayHaveTakenEffect { source, .. } => Some(source),
            Self::Load(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::NotAccepted { .. }
            | Self::UndeclaredEvent { .. }
            | Self::NoEvents { .. }
            | Self::MessageIdReused { .. }
            | Self::NameTaken { .. }
            | Self::FoldPanicked { .. } => None,
        }
    }
}

impl<E: std::error::Error + 'static> ExecuteError<E> {
    /// Whether the domain says no: by a rule, by the state that the aggregate is in, or because another one holds the
    /// name. It says so again as long as nothing else happens; what is no refusal may pass, or is a mistake in the
    /// program.
    ///
    /// A handler of events whose command is refused has nothing more to do, where one that failed is to be called
    /// again.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::NotAccepted { .. } | Self::NameTaken { .. } => true,
            Self::OneOfSeveral { reason, .. } => reason.is_refusal(),
            _ => false,
        }
    }

    /// Whether another writer was first each time: the same command, with the same identity, may succeed a moment later.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }
}

/// Why an aggregate could not be loaded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The store could not be read, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event of the aggregate cannot be read by this program.
    #[error("{aggregate}, version {version} (event {cid}) cannot be read")]
    Unreadable {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The event's CID.
        cid: Cid,
        /// The version of the aggregate that the event gives.
        version: u64,
        /// Why it cannot be read.
        source: PayloadError,
    },
    /// An event met a state that has no edge for it.
    #[error("{aggregate}, version {version} (event {cid}) cannot be replayed")]
    UnexpectedEvent {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The event's CID.
        cid: Cid,
        /// The version of the aggregate that the event gives.
        version: u64,
        /// The state and the event.
        source: UnexpectedEvent,
    },
    /// The fold of an event panicked.
    #[error(
        "{aggregate}, version {version} (event {cid}): the fold of `{event}` panicked: {reason}; correct what the event does to the aggregate"
    )]
    FoldPanicked {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The event's CID.
        cid: Cid,
        /// The version of the aggregate that the event gives.
        version: u64,
        /// The event.
        event: &'static str,
        /// What it panicked with.
        reason: String,
    },
    /// The text of the id is empty or too long.
    #[error(transparent)]
    Id(#[from] IdTextError),
    /// The store has an event of this kind of aggregate under an id of another type.
    #[error(transparent)]
    ForeignId(#[from] IdError),
    /// The scope of a unique name cannot be one.
    #[error(transparent)]
    NameScope(#[from] ScopeError),
    /// The aggregate has no event, but the id has events of a kind that the aggregate does not know.
    #[error(
        "`{expected} {id}` has no event, but `{found}` has under the same id: if that is a former name, add `#[aggregate(was = \"{found}\")]` to the aggregate; if it is another aggregate, add `#[aggregate(shares_ids_with = \"{found}\")]`",
        id = id.escape_debug()
    )]
    UnknownKind {
        /// The id.
        id: String,
        /// The kind of the aggregate that was asked for.
        expected: &'static str,
        /// The kind that the store has under the id.
        found: String,
    },
    /// An id has events under two kinds that are both the aggregate's: a release before the rename and one after it began
    /// a history each.
    #[error(
        "id `{}` has a history under `{}` and another under `{}`: load one of them with a program that does not know the other name",
        id.escape_debug(), kinds[0], kinds[1]
    )]
    TwoHistories {
        /// The id.
        id: String,
        /// The kinds.
        kinds: [String; 2],
    },
    /// The aggregate has no such version.
    #[error("{aggregate} has {found} events, version {asked} was asked for")]
    NoSuchVersion {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The version that was asked for.
        asked: u64,
        /// The versions that there are.
        found: u64,
    },
    /// The event is not one of this aggregate's.
    #[error("event {cid} is not in the history of {aggregate}")]
    NoSuchEvent {
        /// The CID that was asked for.
        cid: Cid,
        /// The aggregate.
        aggregate: Box<AggregateKey>,
    },
}

impl<E: std::error::Error + 'static> From<LoadError> for ExecuteError<E> {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

fn list(names: &[&'static str]) -> String {
    if names.is_empty() {
        return "no command".to_owned();
    }
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
