//! The scope of a unique name: which words can be one, and under which key a name is stored.
//!
//! A name is an aggregate of the kind `<domain>.<scope>`, so a scope must not be the name of another aggregate. A
//! repository knows its own; of the others it knows those of the domain that it was told of, and those that the store has
//! events of.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use super::unique::{RELEASED, RESERVED, Reservation};
use super::{LoadError, Repository};
use crate::block::StoredEvent;
use crate::domain::aggregate::{Aggregate, UniqueName};
use crate::domain::event::DomainEvent;
use crate::domain::subject::{Token, TokenError};
use crate::store::{AggregateKey, Bookmark, EventStore, Selection, StoreError};

/// How many events are looked at to find one of the kind that a scope would make; before it stand only those of other
/// aggregates with subjects in common.
const LOOKED_AT: usize = 64;

/// A word that cannot be the scope of a [`UniqueName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// It is no token of a subject.
    #[error("its scope cannot be a part of a subject")]
    Token(#[from] TokenError),
    /// The aggregate's own events have it.
    #[error(
        "its scope would give it the subjects of `{kind}`, which are those of events of the aggregate itself: take another word"
    )]
    OwnSubjects {
        /// The kind that the names would have, `<domain>.<scope>`.
        kind: String,
    },
    /// It is the name of another aggregate of the [domain](crate::repository::RepositoryBuilder::domain).
    #[error(
        "its scope would make the names of `{names_of}` aggregates of `{kind}`, which the domain declares already: take another word"
    )]
    OtherAggregate {
        /// The aggregate that would hold the names.
        names_of: &'static str,
        /// The kind that the names would have, `<domain>.<scope>`.
        kind: String,
    },
    /// The aggregate says which scopes its names have, and this is none of them.
    #[error(
        "the scope is none of those that `{names_of}` declares, `{}`: add `#[aggregate(scope = \"{scope}\")]`, or correct the function that lists the names",
        declared.join("`, `")
    )]
    Undeclared {
        /// The aggregate that would hold the names.
        names_of: &'static str,
        /// The scope.
        scope: String,
        /// The scopes that it declares.
        declared: &'static [&'static str],
    },
    /// The store has an aggregate of that kind.
    #[error(
        "its scope would make the names of `{names_of}` aggregates of `{kind}`, of which the store has another, `{id}` with its event `{event_type}`: take another word"
    )]
    InUse {
        /// The aggregate that would hold the names.
        names_of: &'static str,
        /// The kind that the names would have, `<domain>.<scope>`.
        kind: String,
        /// The id of an aggregate of that kind.
        id: String,
        /// The type of its first event.
        event_type: String,
    },
}

/// The kinds of which a repository has found that only names have them.
#[derive(Default)]
pub(super) struct KnownScopes(Mutex<HashSet<String>>);

impl KnownScopes {
    fn has(&self, kind: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(kind)
    }

    fn note(&self, kind: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(kind.to_owned());
    }
}

impl<A: Aggregate> Repository<A> {
    /// The key under which a name is stored. The first time that a scope is used, the store is asked who has its kind.
    pub(super) async fn key_of_name(&self, name: &UniqueName) -> Result<AggregateKey, LoadError> {
        let key = key::<A>(name)?;
        if !self.inner.scopes.has(key.kind()) {
            self.refuse_other_aggregates(key.kind()).await?;
            self.inner.scopes.note(key.kind());
        }
        Ok(key)
    }

    async fn refuse_other_aggregates(&self, kind: &str) -> Result<(), LoadError> {
        if let Some(domain) = &self.inner.domain {
            let is_event = |operation| domain.event(&format!("{kind}.{operation}")).is_some();
            if domain.aggregate(kind).is_some() || is_event(RESERVED) || is_event(RELEASED) {
                let other = ScopeError::OtherAggregate {
                    names_of: A::KIND,
                    kind: kind.to_owned(),
                };
                return Err(other.into());
            }
        }
        let selection = Selection::subjects(format!("{kind}.>"));
        let events = self.inner.store.read(selection, Bookmark::START);
        let mut events = events.take(LOOKED_AT);
        while let Some(event) = events.next().await {
            let event = match event {
                // A store that keeps no such events has none.
                Err(StoreError::NothingSelected(_)) => return Ok(()),
                event => event?,
            };
            if event.envelope.aggregate != kind {
                continue;
            }
            return match is_of_a_name(&event) {
                true => Ok(()),
                false => Err(LoadError::NameScope(ScopeError::InUse {
                    names_of: A::KIND,
                    kind: kind.to_owned(),
                    id: event.envelope.aggregate_id.clone(),
                    event_type: event.event_type().to_owned(),
                })),
            };
        }
        Ok(())
    }
}

/// Whether an event is one of a name, even under the kind of an aggregate that has events of the same types: the id of a
/// name is made of what its events tell.
pub(crate) fn is_of_a_name(event: &StoredEvent) -> bool {
    let kind = event.envelope.aggregate.as_str();
    let operation = event.event_type().strip_prefix(kind);
    let operation = operation.and_then(|operation| operation.strip_prefix('.'));
    let told = || serde_ipld_dagcbor::from_slice::<Reservation>(event.payload()).ok();
    matches!(operation, Some(RESERVED | RELEASED))
        && told().is_some_and(|told| id_of(kind, &told.name) == event.envelope.aggregate_id)
}

/// The key under which a name is stored: its kind is `<domain>.<scope>`, its id the SHA-256 of kind and name in
/// hexadecimal digits, because a name may hold what a subject cannot. It never changes. A kind whose events could be taken
/// for the aggregate's own is refused.
pub(crate) fn key<A: Aggregate>(name: &UniqueName) -> Result<AggregateKey, ScopeError> {
    let scope = Token::new(name.scope())?;
    if !A::SCOPES.is_empty() && !A::SCOPES.contains(&name.scope()) {
        return Err(ScopeError::Undeclared {
            names_of: A::KIND,
            scope: name.scope().to_owned(),
            declared: A::SCOPES,
        });
    }
    // Under the domain under which the first of them were, so that a renamed aggregate finds those that are held.
    let domain = A::FORMER_DOMAINS.first().unwrap_or(&A::DOMAIN);
    let kind = format!("{domain}.{}", scope.as_str());
    let is_own = |operation| A::Event::info_of(&format!("{kind}.{operation}")).is_some();
    if A::is_kind(&kind) || is_own(RESERVED) || is_own(RELEASED) {
        return Err(ScopeError::OwnSubjects { kind });
    }
    let id = id_of(&kind, name.name());
    Ok(AggregateKey::new(kind, Token::new(&id)?))
}

fn id_of(kind: &str, name: &str) -> String {
    let digest = Sha256::new()
        .chain_update(kind.as_bytes())
        .chain_update([0])
        .chain_update(name.as_bytes())
        .finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
