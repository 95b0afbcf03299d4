//! Bringing old payloads up to the present schema.

use ipld_core::ipld::Ipld;
use uuid::Uuid;

use crate::domain::message::{Meta, Timestamp};
use crate::domain::subject::Subject;

/// One step of a schema change: takes a payload of one version to the next.
///
/// It has neither clock nor input, so that a stored event reads as the same today and tomorrow; the envelope is stored
/// with the event and changes as little as its payload.
#[derive(Clone, Copy, Debug)]
pub enum Upcaster {
    /// `with = path`: the new form follows from the payload.
    Payload(fn(Ipld) -> Result<Ipld, UpcastError>),
    /// `with_envelope = path`: it needs what the envelope says as well.
    WithEnvelope(fn(Ipld, &EnvelopeView<'_>) -> Result<Ipld, UpcastError>),
    /// `into_several = path`: the stored event is read as several of the same enum, in order, or as none.
    IntoSeveral(fn(Ipld, &EnvelopeView<'_>) -> Result<Vec<UpcastEvent>, UpcastError>),
}

/// What one step of a schema change gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Upcast {
    /// The payload of the same event, one version further.
    Payload(Ipld),
    /// The events as which the stored one is read from here on.
    Several(Vec<UpcastEvent>),
}

impl Upcaster {
    /// What a payload becomes in this step.
    ///
    /// # Errors
    /// [`UpcastError`] of the author's function, or for a step that needs the envelope where there is none.
    pub fn upcast(
        &self,
        payload: Ipld,
        envelope: Option<&EnvelopeView<'_>>,
    ) -> Result<Upcast, UpcastError> {
        match (self, envelope) {
            (Self::Payload(step), _) => step(payload).map(Upcast::Payload),
            (Self::WithEnvelope(step), Some(envelope)) => {
                step(payload, envelope).map(Upcast::Payload)
            }
            (Self::IntoSeveral(step), Some(envelope)) => {
                step(payload, envelope).map(Upcast::Several)
            }
            (Self::WithEnvelope(_) | Self::IntoSeveral(_), None) => Err(UpcastError::new(
                "its upcaster takes the envelope, and the payload was given without one: read it by \
                 `StoredEvent::decode`, in a test by `read_stored_with`",
            )),
        }
    }
}

/// One of the events as which a stored one is read: a type, a version of its schema, and a payload of that version.
///
/// An upcaster with `into_several` gives them. It says the version that it writes, as a stored event would, so it stays as
/// it is when the event goes on to another version: from there, the event's own upcasters take over.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Mount / Mounted => _, Mount / Dimmed => _)] Any }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Mount }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, room: String, level: u8 }
/// #[derive(DomainEvent, Debug, PartialEq, Serialize, Deserialize)]
/// enum LampEvent {
///     // Version 1 had the level too.
///     #[event(version = 2)]
///     #[upcast(from = 1, into_several = mounted_then_dimmed)]
///     Mounted { room: String },
///     Dimmed { level: u8 },
/// }
///
/// fn mounted_then_dimmed(
///     payload: Ipld,
///     _: &EnvelopeView<'_>,
/// ) -> Result<Vec<UpcastEvent>, UpcastError> {
///     let Ipld::Map(mut mounted) = payload else { return Err(UpcastError::new("not a map")) };
///     let level = mounted.remove("level").ok_or_else(|| UpcastError::new("no level"))?;
///     let dimmed = Ipld::Map([("level".to_owned(), level)].into());
///     Ok(vec![
///         UpcastEvent::new(subject!(LampEvent, "home.lamp.mounted"), 2, Ipld::Map(mounted)),
///         UpcastEvent::new(subject!(LampEvent, "home.lamp.dimmed"), 1, dimmed),
///     ])
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct UpcastEvent {
    pub(crate) event_type: &'static str,
    pub(crate) schema: u32,
    pub(crate) payload: Ipld,
}

impl UpcastEvent {
    /// The event with a subject, whose payload has the form of a version of its schema. The subject is one of the same enum.
    pub fn new<E>(subject: Subject<E>, schema: u32, payload: Ipld) -> Self {
        Self {
            event_type: subject.as_str(),
            schema,
            payload,
        }
    }
}

/// What an upcaster sees of the [`Envelope`](crate::block::Envelope) of the event that it reads.
///
/// The fields are those of the envelope, as they are stored: type, kind and schema version are the former ones of an
/// event that has others today. Links and the place in the commit are left out, since no payload is made of them.
///
/// ```
/// use cim_es::event::EnvelopeView;
///
/// // For a test of an upcaster; a stored event gives its own.
/// let mut envelope = EnvelopeView::new("home.lamp.switched", 1);
/// envelope.source = Some("Ann");
/// assert_eq!(envelope.sequence, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EnvelopeView<'a> {
    /// The event's id.
    pub id: Uuid,
    /// The kind of the aggregate as stored, `<domain>.<name>`.
    pub aggregate: &'a str,
    /// The event's type as stored, `<domain>.<aggregate>.<operation>`.
    pub event_type: &'a str,
    /// The schema version as stored; a later step of a chain of upcasters sees this one too.
    pub schema: u32,
    /// The aggregate's id as text.
    pub aggregate_id: &'a str,
    /// The version of the aggregate after this event, from 1.
    pub sequence: u64,
    /// The id of the root message of the conversation.
    pub correlation_id: Uuid,
    /// The id of the command that emitted the event.
    pub causation_id: Uuid,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Who or what issued the command.
    pub source: Option<&'a str>,
    /// The author's own values beside the command.
    pub meta: &'a Meta,
}

impl<'a> EnvelopeView<'a> {
    /// The envelope of a first event of a type and a schema version, for tests of upcasters: the aggregate is that of
    /// the type, the ids are nil, the time is the Unix epoch; set what the upcaster looks at.
    pub fn new(event_type: &'a str, schema: u32) -> Self {
        static NO_META: Meta = Meta::new();
        Self {
            id: Uuid::nil(),
            aggregate: event_type.rsplit_once('.').map_or("", |(kind, _)| kind),
            event_type,
            schema,
            aggregate_id: "00000000-0000-0000-0000-000000000000",
            sequence: 1,
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            timestamp: Timestamp::from_micros(0),
            source: None,
            meta: &NO_META,
        }
    }
}

/// Why an old payload could not be brought up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UpcastError(
    /// What is wrong with the payload.
    pub String,
);

impl UpcastError {
    /// Says what is wrong with the payload.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
