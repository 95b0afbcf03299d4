//! Reading payloads as older programs stored them.

use ipld_core::ipld::Ipld;

use crate::block::payload::{PayloadError, decode_enveloped, decode_payload};
use crate::domain::event::{DomainEvent, EnvelopeView, OneToOne};

/// The event that a payload of an older program gives: through the former names and the upcasters of `E`.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Switch }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, on: bool }
/// use std::collections::BTreeMap;
///
/// use cim_es::testing::read_stored;
///
/// #[derive(DomainEvent, Debug, PartialEq, Serialize, Deserialize)]
/// enum LampEvent {
///     #[event(version = 2, was = "toggled")]
///     #[upcast(from = 1, with = on_was_a_number)]
///     Switched { on: bool },
/// }
///
/// fn on_was_a_number(payload: Ipld) -> Result<Ipld, UpcastError> {
///     let Ipld::Map(mut fields) = payload else { return Err(UpcastError::new("not a map")) };
///     let on = fields.get("on") == Some(&Ipld::Integer(1));
///     fields.insert("on".into(), Ipld::Bool(on));
///     Ok(Ipld::Map(fields))
/// }
///
/// let stored = Ipld::Map(BTreeMap::from([("on".into(), Ipld::Integer(1))]));
/// let event = read_stored::<LampEvent>("home.lamp.toggled", 1, &stored);
/// assert_eq!(event, Ok(LampEvent::Switched { on: true }));
/// ```
///
/// # Errors
/// [`PayloadError`], as a load of such an event would give it.
pub fn read_stored<E: OneToOne>(
    event_type: &str,
    schema: u32,
    payload: &Ipld,
) -> Result<E, PayloadError> {
    decode_payload(event_type, schema, &bytes_of(event_type, payload)?)
}

/// As [`read_stored`], for an event with an upcaster that takes the envelope (`with_envelope = path`); the envelope also
/// says the type and the schema version.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Switch }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, by: String }
/// use std::collections::BTreeMap;
///
/// use cim_es::testing::read_stored_with;
///
/// #[derive(DomainEvent, Debug, PartialEq, Serialize, Deserialize)]
/// enum LampEvent {
///     #[event(version = 2)]
///     #[upcast(from = 1, with_envelope = by_was_in_the_envelope)]
///     Switched { by: String },
/// }
///
/// fn by_was_in_the_envelope(
///     payload: Ipld,
///     envelope: &EnvelopeView<'_>,
/// ) -> Result<Ipld, UpcastError> {
///     let Ipld::Map(mut fields) = payload else { return Err(UpcastError::new("not a map")) };
///     fields.insert("by".into(), envelope.source.unwrap_or("unknown").into());
///     Ok(Ipld::Map(fields))
/// }
///
/// let mut envelope = EnvelopeView::new("home.lamp.switched", 1);
/// envelope.source = Some("Ann");
/// let event = read_stored_with::<LampEvent>(&envelope, &Ipld::Map(BTreeMap::new()));
/// assert_eq!(event, Ok(LampEvent::Switched { by: "Ann".into() }));
/// ```
///
/// # Errors
/// [`PayloadError`], as a load of such an event would give it.
pub fn read_stored_with<E: OneToOne>(
    envelope: &EnvelopeView<'_>,
    payload: &Ipld,
) -> Result<E, PayloadError> {
    let events = decode_enveloped::<E>(envelope, &bytes_of(envelope.event_type, payload)?)?;
    events.one(envelope.event_type, envelope.schema)
}

/// As [`read_stored_with`], for events of which what is stored as one may be read as several (`into_several = path`): all
/// of them, in order.
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
/// # #[derive(DomainEvent, Debug, PartialEq, Serialize, Deserialize)]
/// # enum LampEvent {
/// #     #[event(version = 2)]
/// #     #[upcast(from = 1, into_several = mounted_then_dimmed)]
/// #     Mounted { room: String },
/// #     Dimmed { level: u8 },
/// # }
/// # fn mounted_then_dimmed(payload: Ipld, _: &EnvelopeView<'_>) -> Result<Vec<UpcastEvent>, UpcastError> {
/// #     let Ipld::Map(mut mounted) = payload else { return Err(UpcastError::new("not a map")) };
/// #     let level = mounted.remove("level").ok_or_else(|| UpcastError::new("no level"))?;
/// #     let dimmed = Ipld::Map([("level".to_owned(), level)].into());
/// #     Ok(vec![
/// #         UpcastEvent::new(subject!(LampEvent, "home.lamp.mounted"), 2, Ipld::Map(mounted)),
/// #         UpcastEvent::new(subject!(LampEvent, "home.lamp.dimmed"), 1, dimmed),
/// #     ])
/// # }
/// use cim_es::testing::read_stored_all;
///
/// let stored = [("room".to_owned(), "hall".into()), ("level".to_owned(), 7.into())];
/// let events = read_stored_all::<LampEvent>(
///     &EnvelopeView::new("home.lamp.mounted", 1),
///     &Ipld::Map(stored.into()),
/// );
/// let room = "hall".to_owned();
/// assert_eq!(events, Ok(vec![LampEvent::Mounted { room }, LampEvent::Dimmed { level: 7 }]));
/// ```
///
/// # Errors
/// [`PayloadError`], as a load of such an event would give it.
pub fn read_stored_all<E: DomainEvent>(
    envelope: &EnvelopeView<'_>,
    payload: &Ipld,
) -> Result<Vec<E>, PayloadError> {
    let events = decode_enveloped(envelope, &bytes_of(envelope.event_type, payload)?)?;
    Ok(events.into_iter().collect())
}

fn bytes_of(event_type: &str, payload: &Ipld) -> Result<Vec<u8>, PayloadError> {
    serde_ipld_dagcbor::to_vec(payload).map_err(|error| PayloadError::NotStorable {
        event_type: event_type.to_owned(),
        path: String::new(),
        reason: error.to_string(),
    })
}
