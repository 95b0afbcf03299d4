//! Keeping names unique: what a command's events reserve and release, in the same commit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ExecuteError, LoadError, Repository};
use crate::block::StoredEvent;
use crate::block::payload::PayloadError;
use crate::domain::aggregate::{Aggregate, UniqueName};
use crate::store::{AggregateKey, CommitRequest, ExpectedVersion, Head, NewEvent};

pub(super) const RESERVED: &str = "reserved";
pub(super) const RELEASED: &str = "released";
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

/// The payload of both events: the same fields, so that each tells the whole.
#[derive(Serialize, Deserialize)]
pub(super) struct Reservation {
    pub(super) name: String,
    holder_id: String,
    holder_kind: String,
}

impl Reservation {
    fn holder(&self) -> Holder {
        Holder {
            kind: self.holder_kind.clone(),
            id: self.holder_id.clone(),
        }
    }
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
    pub(crate) fn of(aggregate: &AggregateKey) -> Self {
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
    /// [`LoadError`]; [`LoadError::NameScope`] for a word that cannot be a scope.
    pub async fn holder(&self, name: &UniqueName) -> Result<Option<Holder>, LoadError> {
        let key = self.key_of_name(name).await?;
        Ok(self.present(key).await?.holder)
    }

    /// A commit with what becomes of the names of an aggregate that is otherwise after it than before.
    #[cfg(feature = "testing")]
    pub(crate) async fn with_names(
        &self,
        request: CommitRequest,
        holder: &AggregateKey,
        aggregates: [&A; 2],
    ) -> Result<CommitRequest, ExecuteError<A::Error>> {
        let Some(list) = A::UNIQUE_NAMES else {
            return Ok(request);
        };
        let names = aggregates.map(|aggregate| list(aggregate).into_iter().collect());
        let mut changes = NameChanges::default();
        self.release_names(&mut changes, holder, &names).await?;
        self.claim_names(&mut changes, holder, &names).await?;
        Ok(changes.add_to(request))
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
        let key = self.key_of_name(name).await;
        let key = key.map_err(|error| match error {
            LoadError::NameScope(source) => ExecuteError::NameScope {
                name: name.clone(),
                source,
            },
            error => ExecuteError::Load(error),
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

/// What becomes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameEvent {
    /// An aggregate holds it.
    Reserved,
    /// Nobody holds it any more.
    Released,
}

/// The event of a name.
pub(crate) fn name_event(
    key: &AggregateKey,
    what: NameEvent,
    name: &UniqueName,
    holder: &Holder,
) -> Result<NewEvent, PayloadError> {
    let operation = match what {
        NameEvent::Reserved => RESERVED,
        NameEvent::Released => RELEASED,
    };
    event(key, operation, name, holder)
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

/// The name that an event of a unique name is about, and the aggregate that took it or gave it back.
pub(crate) fn name_and_holder(event: &StoredEvent) -> Option<(String, Holder)> {
    let reservation: Reservation = serde_ipld_dagcbor::from_slice(event.payload()).ok()?;
    Some((reservation.name.clone(), reservation.holder()))
}

/// Who holds the name after its last event.
pub(crate) fn held_by(
    key: &AggregateKey,
    last: &StoredEvent,
) -> Result<Option<Holder>, PayloadError> {
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
    Ok(Some(reservation.holder()))
}
