//! Keeping names unique: what a command's events reserve and release, in the same commit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ExecuteError, LoadError, Repository};
use crate::block::StoredEvent;
use crate::block::payload::PayloadError;
use crate::domain::aggregate::{Aggregate, UniqueName};
use crate::domain::event::DomainEvent;
use crate::domain::subject::{Token, TokenError};
use crate::store::{AggregateKey, CommitRequest, ExpectedVersion, Head, NewEvent};

const RESERVED: &str = "reserved";
const RELEASED: &str = "released";
const SCHEMA: u32 = 1;

/// Who holds a unique name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The kind of the aggregate, `<domain>.<name>`.
    pub kind: String,
    /// The id of the aggregate.
    pub id: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// A word that cannot be the scope of a [`UniqueName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// It is no token of a subject.
    #[error("its scope is a part of a subject, and {0}")]
    Token(#[from] TokenError),
    /// The aggregate's own events have it.
    #[error(
        "its scope would give it the subjects of `{kind}`, which are those of events of the aggregate itself: take another word"
    )]
    OwnSubjects {
        /// The kind that the names would have, `<domain>.<scope>`.
        kind: String,
    },
}

/// The payload of both events: the same fields, so that each tells the whole.
#[derive(Serialize, Deserialize)]
struct Reservation {
    name: String,
    holder_id: String,
    holder_kind: String,
}

/// A name as the store has it, and what becomes of it.
struct Present {
    key: AggregateKey,
    head: Option<Head>,
    holder: Option<Holder>,
    events: Vec<NewEvent>,
}

/// What becomes of names in one commit.
#[derive(Default)]
pub(super) struct NameChanges(Vec<Present>);

impl NameChanges {
    /// Adds the changes to a commit, behind what is there.
    pub(super) fn add_to(self, mut request: CommitRequest) -> CommitRequest {
        for Present {
            key, head, events, ..
        } in self.0
        {
            request = match head {
                _ if events.is_empty() => request,
                Some(head) => request.aggregate_at(key, head, events),
                None => request.aggregate(key, ExpectedVersion::NoStream, events),
            };
        }
        request
    }
}

impl Present {
    fn add<E: std::error::Error + 'static>(
        &mut self,
        operation: &str,
        name: &UniqueName,
        holder: &Holder,
    ) -> Result<(), ExecuteError<E>> {
        let event = event(&self.key, operation, name, holder);
        self.events.push(event.map_err(ExecuteError::Payload)?);
        Ok(())
    }
}

impl Holder {
    fn of(aggregate: &AggregateKey) -> Self {
        Self {
            kind: aggregate.kind().to_owned(),
            id: aggregate.id().as_str().to_owned(),
        }
    }
}

impl<A: Aggregate> Repository<A> {
    /// Who holds a name of this aggregate's domain at the moment; none when it is free.
    ///
    /// # Errors
    /// [`LoadError`]; also for a scope that cannot stand in a subject.
    pub async fn holder(&self, name: &UniqueName) -> Result<Option<Holder>, LoadError> {
        let key = key::<A>(name)?;
        Ok(self.present(key).await?.holder)
    }

    /// Releases the names that an aggregate no longer holds. In a commit over several aggregates, all of them release
    /// before one claims, so that a name can pass from one to another.
    pub(super) async fn release_names(
        &self,
        changes: &mut NameChanges,
        holder: &AggregateKey,
        [before, after]: &[BTreeSet<UniqueName>; 2],
    ) -> Result<(), ExecuteError<A::Error>> {
        let ours = Holder::of(holder);
        for name in before.difference(after) {
            let present = self.changing(changes, name).await?;
            // What is another's was never reserved for this aggregate.
            if present.holder.as_ref() == Some(&ours) {
                present.add(RELEASED, name, &ours)?;
                present.holder = None;
            }
        }
        Ok(())
    }

    /// Reserves the names that an aggregate holds now.
    pub(super) async fn claim_names(
        &self,
        changes: &mut NameChanges,
        holder: &AggregateKey,
        [before, after]: &[BTreeSet<UniqueName>; 2],
    ) -> Result<(), ExecuteError<A::Error>> {
        let ours = Holder::of(holder);
        for name in after.difference(before) {
            let present = self.changing(changes, name).await?;
            match &present.holder {
                None => present.add(RESERVED, name, &ours)?,
                Some(held) if *held == ours => {}
                Some(held) => {
                    return Err(ExecuteError::NameTaken {
                        name: name.clone(),
                        holder: held.clone(),
                    });
                }
            }
            present.holder = Some(ours.clone());
        }
        Ok(())
    }

    /// A name as it is after the changes so far.
    async fn changing<'a>(
        &self,
        changes: &'a mut NameChanges,
        name: &UniqueName,
    ) -> Result<&'a mut Present, ExecuteError<A::Error>> {
        let key = key::<A>(name).map_err(|source| ExecuteError::NameScope {
            name: name.clone(),
            source,
        })?;
        let known = changes.0.iter().position(|present| present.key == key);
        let place = match known {
            Some(place) => place,
            None => {
                changes.0.push(self.present(key).await?);
                changes.0.len() - 1
            }
        };
        Ok(&mut changes.0[place])
    }

    /// Reads the last event of a name: it alone says who holds it.
    async fn present(&self, key: AggregateKey) -> Result<Present, LoadError> {
        let last = self.inner.store.last(&key).await?;
        let holder = last.as_ref().map(|last| {
            held_by(&key, last).map_err(|source| LoadError::Unreadable {
                aggregate: Box::new(key.clone()),
                cid: last.cid,
                version: last.envelope.sequence,
                source,
            })
        });
        let holder = holder.transpose()?;
        Ok(Present {
            head: last.map(|last| last.head()),
            holder: holder.flatten(),
            events: Vec::new(),
            key,
        })
    }
}

/// Whether an event under this kind of aggregate is one of a name, whose scope an earlier program took for its own.
pub(super) fn is_of_a_name<A: Aggregate>(event: &StoredEvent) -> bool {
    let operation = event.event_type().strip_prefix(A::KIND);
    let operation = operation.and_then(|operation| operation.strip_prefix('.'));
    matches!(operation, Some(RESERVED | RELEASED))
        && A::Event::info_of(event.event_type()).is_none()
}

/// The key under which a name is stored: its kind is `<domain>.<scope>`, its id the SHA-256 of kind and name in
/// hexadecimal digits, because a name may hold what a subject cannot. It never changes. A kind whose events could be taken
/// for the aggregate's own is refused.
fn key<A: Aggregate>(name: &UniqueName) -> Result<AggregateKey, ScopeError> {
    let scope = Token::new(name.scope())?;
    // Under the domain under which the first of them were, so that a renamed aggregate finds those that are held.
    let domain = A::FORMER_DOMAINS.first().unwrap_or(&A::DOMAIN);
    let kind = format!("{domain}.{}", scope.as_str());
    let is_own = |operation| A::Event::info_of(&format!("{kind}.{operation}")).is_some();
    if kind == A::KIND || is_own(RESERVED) || is_own(RELEASED) {
        return Err(ScopeError::OwnSubjects { kind });
    }
    let digest = Sha256::new()
        .chain_update(kind.as_bytes())
        .chain_update([0])
        .chain_update(name.name().as_bytes())
        .finalize();
    let id: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(AggregateKey::new(kind, Token::new(&id)?))
}

fn event(
    key: &AggregateKey,
    operation: &str,
    name: &UniqueName,
    holder: &Holder,
) -> Result<NewEvent, PayloadError> {
    let reservation = Reservation {
        name: name.name().to_owned(),
        holder_id: holder.id.clone(),
        holder_kind: holder.kind.clone(),
    };
    let event_type = format!("{}.{operation}", key.kind());
    match serde_ipld_dagcbor::to_vec(&reservation) {
        Ok(payload) => Ok(NewEvent::from_payload(event_type, SCHEMA, payload)),
        Err(error) => Err(PayloadError::NotStorable {
            event_type,
            path: String::new(),
            reason: error.to_string(),
        }),
    }
}

/// Who holds the name after its last event.
fn held_by(key: &AggregateKey, last: &StoredEvent) -> Result<Option<Holder>, PayloadError> {
    let envelope = &last.envelope;
    let operation = last.event_type().strip_prefix(key.kind());
    let is_reserved = match operation.and_then(|operation| operation.strip_prefix('.')) {
        Some(RESERVED) => true,
        Some(RELEASED) => false,
        _ => {
            return Err(PayloadError::NewerThanThisProgram {
                event_type: last.event_type().to_owned(),
                schema: envelope.schema,
                known: format!("`{RESERVED}` and `{RELEASED}` of a unique name"),
            });
        }
    };
    if envelope.schema > SCHEMA {
        return Err(PayloadError::NewerThanThisProgram {
            event_type: last.event_type().to_owned(),
            schema: envelope.schema,
            known: format!("schema version {SCHEMA}"),
        });
    }
    if !is_reserved {
        return Ok(None);
    }
    let reservation: Reservation =
        serde_ipld_dagcbor::from_slice(last.payload()).map_err(|error| {
            PayloadError::NotReadable {
                event_type: last.event_type().to_owned(),
                schema: envelope.schema,
                reason: error.to_string(),
            }
        })?;
    Ok(Some(Holder {
        kind: reservation.holder_kind,
        id: reservation.holder_id,
    }))
}
