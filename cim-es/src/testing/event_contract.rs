//! Whether the events that readers declare are those that their aggregate stores.

use std::fmt::Write as _;

use ipld_core::ipld::Ipld;

use crate::block::dag_json;
use crate::block::payload::{decode_current, differing_path, encode_payload};
use crate::domain::event::{DomainEvent, EventInfo};

/// Checks that events which are declared for other programs, `#[event(domain = …, name = …)]`, are those of the aggregate
/// that stores them: `Contract` has the same kind, subjects and former names, the same versions, and payloads of the same
/// form as `Owner`. The test is the owner's.
///
/// The samples show the forms: at least one of each event, and one for each variant and each optional field within.
///
/// ```
/// use cim_es::prelude::*;
/// use cim_es::testing::check_event_contract;
///
/// mod contract {
///     use cim_es::prelude::*;
///
///     /// What other programs know of lamps.
///     #[derive(DomainEvent, Debug, Serialize, Deserialize)]
///     #[event(domain = "home", name = "lamp")]
///     pub enum LampEvent {
///         Switched { on: bool },
///     }
/// }
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum LampEvent { Switched { on: bool } }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Switch }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, on: bool }
///
/// check_event_contract::<LampEvent, contract::LampEvent>([LampEvent::Switched { on: true }]);
/// ```
///
/// # Panics
/// When they differ; the message lists all differences, and what to do about each.
#[track_caller]
pub fn check_event_contract<Owner: DomainEvent, Contract: DomainEvent>(
    samples: impl IntoIterator<Item = Owner>,
) {
    let mut differences = Vec::new();
    compare_kinds::<Owner, Contract>(&mut differences);
    for own in Owner::EVENTS {
        compare_declarations::<Contract>(own, &mut differences);
    }
    for event in Contract::EVENTS {
        let event_type = event.event_type;
        if !Owner::EVENTS.iter().any(|own| own.event_type == event_type) {
            differences.push(format!(
                "event `{event_type}` is declared in the contract, and the owner has none: remove it there, or correct its name"
            ));
        }
    }
    let samples: Vec<Owner> = samples.into_iter().collect();
    for (index, own) in Owner::EVENTS.iter().enumerate() {
        let mut of_this = samples
            .iter()
            .filter(|sample| sample.index() == index)
            .peekable();
        if of_this.peek().is_none() && !is_retired(own) {
            differences.push(format!("event `{}` has no sample: add one", own.event_type));
        }
        for sample in of_this {
            let event_type = own.event_type;
            let difference = compare_payloads::<Owner, Contract>(sample);
            differences.extend(difference.map(|it| format!("event `{event_type}`{it}")));
        }
    }
    if differences.is_empty() {
        return;
    }
    let mut message = format!(
        "the events that are declared for the readers of `{}` are not those that it stores:",
        Owner::KIND
    );
    for difference in differences {
        let _ = write!(message, "\n- {difference}");
    }
    panic!("{message}");
}

fn compare_kinds<Owner: DomainEvent, Contract: DomainEvent>(differences: &mut Vec<String>) {
    let (own, other) = (Owner::KIND, Contract::KIND);
    if (Owner::DOMAIN, Owner::NAME) != (Contract::DOMAIN, Contract::NAME) {
        differences.push(format!(
            "the aggregate is `{own}`, and in the contract `{other}`: write `#[event(domain = \"{}\", name = \"{}\")]`",
            Owner::DOMAIN,
            Owner::NAME
        ));
    }
    for kind in Owner::FORMER_KINDS {
        if !Contract::is_kind(kind) {
            differences.push(format!(
                "the aggregate was `{kind}`, which the contract does not say: add `was = \"{kind}\"`"
            ));
        }
    }
    for kind in Contract::FORMER_KINDS {
        if !Owner::is_kind(kind) {
            differences.push(format!(
                "the aggregate never was `{kind}`, which the contract says: remove `was = \"{kind}\"`"
            ));
        }
    }
}

/// Compares what is declared of one event, beside its fields.
fn compare_declarations<Contract: DomainEvent>(own: &EventInfo, differences: &mut Vec<String>) {
    let event_type = own.event_type;
    let mut events = Contract::EVENTS.iter();
    let Some(other) = events.find(|event| event.event_type == event_type) else {
        differences.push(format!(
            "event `{event_type}` is not declared in the contract: add `{}`",
            own.variant
        ));
        return;
    };
    if own.schema != other.schema {
        differences.push(format!(
            "event `{event_type}` is at version {}, and in the contract at version {}: give both the same, with its upcasters",
            own.schema, other.schema
        ));
    }
    for former in own.former_types {
        if !other.is_called(former) {
            differences.push(format!(
                "event `{event_type}` was `{former}`, which the contract does not say: add the former name there"
            ));
        }
    }
    for former in other.former_types {
        if !own.is_called(former) {
            differences.push(format!(
                "event `{event_type}` never was `{former}`, which the contract says: remove the former name there"
            ));
        }
    }
}

/// How the payload of a sample differs from what the contract reads and would write.
fn compare_payloads<Owner: DomainEvent, Contract: DomainEvent>(sample: &Owner) -> Option<String> {
    let event_type = sample.event_type();
    let at = |path: &str| match path {
        "" => String::new(),
        path => format!(", field `{path}`"),
    };
    let own = match encode_payload(sample) {
        Ok(payload) => payload,
        Err(error) => return Some(format!(": the sample cannot be stored: {error}")),
    };
    let mut events = Contract::EVENTS.iter();
    let index = events.position(|event| event.event_type == event_type)?;
    let read = match decode_current::<Contract>(index, &own) {
        Ok(read) => read,
        Err(reason) => {
            return Some(format!(
                " is not read by the contract: {reason}; the payload is {}",
                shown(&own)
            ));
        }
    };
    let other = match encode_payload(&read) {
        Ok(payload) => payload,
        Err(error) => {
            return Some(format!(
                " is read by the contract, and cannot be written again: {error}"
            ));
        }
    };
    (own != other).then(|| {
        format!(
            "{} is not the same after the contract read it: {} became {}",
            at(&differing_path(&own, &other)),
            shown(&own),
            shown(&other)
        )
    })
}

/// Whether nothing is read as an event any more, as far as its declaration shows it.
pub(super) fn is_retired(event: &EventInfo) -> bool {
    event.fields.is_empty() && event.is_read_as_others()
}

fn shown(payload: &[u8]) -> String {
    match serde_ipld_dagcbor::from_slice::<Ipld>(payload) {
        Ok(value) => dag_json(&value).unwrap_or_else(|error| error.to_string()),
        Err(error) => error.to_string(),
    }
}
