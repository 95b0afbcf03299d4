//! What the code of `#[derive(Projection)]` calls; nothing here is for use by hand.
#![allow(
    missing_docs,
    reason = "not public: only code written by the derive names it"
)]

use super::{Documents, Lists, Project, ProjectDocuments, Projection, ProjectionError, Source};
use crate::block::StoredEvent;
use crate::domain::event::{DomainEvent, EventOrigin};
use crate::domain::subject::Subjects;
use crate::store::Selection;

/// A digest of a declaration, and of those that it builds on.
pub const fn fingerprint(own: u64, others: &[u64]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut digest = own;
    let mut at = 0;
    while at < others.len() {
        let bytes = others[at].to_be_bytes();
        let mut byte = 0;
        while byte < bytes.len() {
            digest = (digest ^ bytes[byte] as u64).wrapping_mul(PRIME);
            byte += 1;
        }
        at += 1;
    }
    digest
}

/// The subjects of the events that a projection takes of an enum.
pub fn subjects<P: Lists<E>, E: DomainEvent>() -> Subjects {
    match P::CHOICE {
        [] => Subjects::of::<E>(),
        chosen => Subjects::of_some::<E>(chosen),
    }
}

pub fn selection<const N: usize>(subjects: [Subjects; N]) -> Selection {
    Selection::subjects(subjects.into_iter().collect::<Subjects>())
}

pub fn is_one_of<E: DomainEvent>(event: &StoredEvent) -> bool {
    E::is_kind(&event.envelope.aggregate)
}

/// Lets a projection take an event of one of its enums.
pub fn project<P, E>(
    projection: &mut P,
    event: &StoredEvent,
    is_new: bool,
) -> Result<(), ProjectionError>
where
    P: Project<E>,
    E: DomainEvent<Origin: EventOrigin>,
{
    let at = Source::new(event, is_new)?;
    for typed in event.decoded::<E>()? {
        if is_chosen::<P, E>(&typed) {
            projection.project(typed, &at);
        }
    }
    Ok(())
}

/// Lets a projection take an event of one of its enums into documents.
pub async fn project_documents<P, E>(
    projection: &P,
    event: &StoredEvent,
    is_new: bool,
    documents: &mut Documents<'_, P::Document>,
) -> Result<(), ProjectionError>
where
    P: ProjectDocuments<E>,
    E: DomainEvent<Origin: EventOrigin>,
{
    let at = Source::new(event, is_new)?;
    for typed in event.decoded::<E>()? {
        if is_chosen::<P, E>(&typed) {
            projection.project(typed, &at, documents).await?;
        }
    }
    Ok(())
}

/// Lets a projection take an event of one of its enums into tables of SQLite.
#[cfg(feature = "sqlite")]
pub fn project_tables<P, E>(
    projection: &P,
    event: &StoredEvent,
    is_new: bool,
    tables: &super::Tables<'_>,
) -> Result<(), ProjectionError>
where
    P: super::ProjectTables<E>,
    E: DomainEvent<Origin: EventOrigin>,
{
    let at = Source::new(event, is_new)?;
    for typed in event.decoded::<E>()? {
        if is_chosen::<P, E>(&typed) {
            projection.project(typed, &at, tables)?;
        }
    }
    Ok(())
}

/// Lets a projection take an event of one of its enums into tables of PostgreSQL.
#[cfg(feature = "postgres")]
pub async fn project_postgres_tables<P, E>(
    projection: &P,
    event: &StoredEvent,
    is_new: bool,
    tables: &super::PostgresTables<'_>,
) -> Result<(), ProjectionError>
where
    P: super::ProjectPostgresTables<E>,
    E: DomainEvent<Origin: EventOrigin>,
{
    let at = Source::new(event, is_new)?;
    for typed in event.decoded::<E>()? {
        if is_chosen::<P, E>(&typed) {
            projection.project(typed, &at, tables).await?;
        }
    }
    Ok(())
}

/// A digest of a text.
pub const fn digest(text: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = text.as_bytes();
    let (mut digest, mut at) = (OFFSET, 0);
    while at < bytes.len() {
        digest = (digest ^ bytes[at] as u64).wrapping_mul(PRIME);
        at += 1;
    }
    digest
}

/// Refuses a text that declares no table, where it is written.
pub const fn check_tables(text: &str) {
    let bytes = text.as_bytes();
    let (mut at, mut has_name) = (0, false);
    while at < bytes.len() {
        has_name |= bytes[at] == b'{';
        at += 1;
    }
    assert!(
        has_name,
        "the text declares no table: write `CREATE TABLE {{units}} (…)`, with the name in braces, and it is the table of this version of the view"
    );
}

/// An upcaster may give other events beside the chosen ones.
fn is_chosen<P: Lists<E>, E: DomainEvent>(event: &E) -> bool {
    P::CHOICE.is_empty() || P::CHOICE.contains(&event.info().variant)
}

/// The selection gives no such event.
///
/// # Errors
/// Always.
#[cold]
pub fn not_listed<P: Projection>(event: &StoredEvent) -> Result<(), ProjectionError> {
    Err(ProjectionError::new(format!(
        "`{}` is an event of `{}`, which projection `{}` does not list",
        event.event_type(),
        event.envelope.aggregate,
        P::NAME
    )))
}
