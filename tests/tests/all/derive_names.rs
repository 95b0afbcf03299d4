//! Names on the wire: pinned, former, of several tokens, and free of what the program calls them.

use cim_es::prelude::*;

mod before {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum KeyState {
        #[state(initial)]
        #[on(Make / NKeyGenerated => _, Make / HTTPSet => _, Make / Revoked => _, Make / Linked => _)]
        #[on(Make / Joined => _, Make / Moved => _)]
        Some,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum KeyEvent {
        NKeyGenerated,
        HTTPSet,
        #[event(operation = "revoked-for-good", was = "revoked", was = "withdrawn")]
        Revoked,
        #[event(subject = "network.defined", was_subject = "net.linked")]
        Linked,
        #[event(operation = "context.aggregate_added")]
        Joined,
        #[event(
            subject = "nats.account.moved",
            was = "moved",
            was_subject = "old.moved"
        )]
        Moved,
    }

    #[derive(Command, Clone, Debug)]
    pub enum KeyCommand {
        Make,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "cim.keys", name = "nats.operator")]
    pub struct Key {
        state: KeyState,
    }
}

/// The same declarations with every name of the program changed, and the wire names pinned.
mod after {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[machine(event = Happening, command = Order)]
    pub enum Phase {
        #[state(initial)]
        #[on(Create / Generated => _, Create / Set => _, Create / Ended => _, Create / Wired => _)]
        #[on(Create / Added => _, Create / Shifted => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[event(aggregate = Secret)]
    pub enum Happening {
        #[event(operation = "n_key_generated")]
        Generated,
        #[event(operation = "http_set")]
        Set,
        #[event(operation = "revoked-for-good", was = "revoked", was = "withdrawn")]
        Ended,
        #[event(subject = "network.defined", was_subject = "net.linked")]
        Wired,
        #[event(operation = "context.aggregate_added")]
        Added,
        #[event(
            subject = "nats.account.moved",
            was = "moved",
            was_subject = "old.moved"
        )]
        Shifted,
    }

    #[derive(Command, Clone, Debug)]
    #[command(aggregate = Secret)]
    pub enum Order {
        Create,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "cim.keys", name = "nats.operator", state = Phase)]
    pub struct Secret {
        state: Phase,
    }
}

use before::{Key, KeyCommand, KeyEvent, KeyState};

#[test]
fn an_operation_is_the_variant_in_snake_case_unless_it_is_set() {
    let present: Vec<_> = KeyEvent::EVENTS
        .iter()
        .map(|event| event.event_type)
        .collect();
    let expected = [
        "cim.keys.nats.operator.n_key_generated",
        "cim.keys.nats.operator.http_set",
        "cim.keys.nats.operator.revoked-for-good",
        "cim.keys.network.defined",
        "cim.keys.nats.operator.context.aggregate_added",
        "cim.keys.nats.account.moved",
    ];
    assert_eq!(present, expected);
}

#[test]
fn former_names_are_kept_with_their_event_and_behind_the_present_ones() {
    let former: Vec<_> = KeyEvent::EVENTS
        .iter()
        .map(|event| event.former_types)
        .collect();
    let expected: [&[&str]; 6] = [
        &[],
        &[],
        &[
            "cim.keys.nats.operator.revoked",
            "cim.keys.nats.operator.withdrawn",
        ],
        &["cim.keys.net.linked"],
        &[],
        &["cim.keys.nats.operator.moved", "cim.keys.old.moved"],
    ];
    assert_eq!(former, expected);
    let (present, behind) = KeyEvent::TYPES.split_at(KeyEvent::VARIANTS.len());
    assert_eq!(present[0], KeyEvent::EVENTS[0].event_type);
    assert_eq!(behind, expected.concat());
}

#[test]
fn renaming_what_is_pinned_changes_nothing_stored() {
    assert_eq!(after::Happening::TYPES, KeyEvent::TYPES);
    assert_eq!(after::Secret::KIND, Key::KIND);
    let (before, after) = (KeyEvent::HTTPSet, after::Happening::Set);
    let bytes = |payload: Result<Vec<u8>, _>| payload.unwrap();
    assert_eq!(
        bytes(cim_es::event::encode_payload(&before)),
        bytes(cim_es::event::encode_payload(&after))
    );
}

#[test]
fn an_event_under_a_former_name_is_still_read() {
    for name in [
        "cim.keys.nats.operator.withdrawn",
        "cim.keys.nats.operator.revoked-for-good",
    ] {
        let payload = cim_es::event::encode_payload(&KeyEvent::Revoked).unwrap();
        let event: KeyEvent = cim_es::event::decode_payload(name, 1, &payload).unwrap();
        assert_eq!(event, KeyEvent::Revoked);
    }
}

#[test]
fn the_kind_of_an_aggregate_is_its_own_whatever_its_events_are_called() {
    assert_eq!((Key::DOMAIN, Key::NAME), ("cim.keys", "nats.operator"));
    assert_eq!(Key::KIND, "cim.keys.nats.operator");
}

#[test]
fn names_follow_the_convention_or_are_set() {
    fn is_of<A, S, E, C>()
    where
        A: Aggregate<State = S, Event = E, Command = C, Id = Id<A>>,
    {
    }
    is_of::<Key, KeyState, KeyEvent, KeyCommand>();
    is_of::<after::Secret, after::Phase, after::Happening, after::Order>();
}

#[test]
fn a_fingerprint_belongs_to_one_declaration() {
    let digests = [
        KeyEvent::FINGERPRINT,
        KeyState::FINGERPRINT,
        Key::FINGERPRINT,
        after::Happening::FINGERPRINT,
        after::Phase::FINGERPRINT,
        after::Secret::FINGERPRINT,
    ];
    let distinct: std::collections::BTreeSet<_> = digests.into_iter().collect();
    assert_eq!(distinct.len(), digests.len());
}

#[test]
fn every_way_to_make_a_command_and_a_state_is_there() {
    assert!(KeyState::default().can_accept(&KeyCommand::Make));
    assert!(after::Phase::default().can_accept(&after::Order::Create));
}

#[test]
fn derives_and_constants_suggest_by_one_rule() {
    assert_eq!(
        include_str!("../../../cim-es-derive/src/nearest.rs"),
        include_str!("../../../cim-es/src/domain/declared/nearest.rs")
    );
}
