//! A field is left out when the event is written, and nothing says what it is when it is read.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
enum DoorState {
    #[state(initial)]
    #[on(Open / Opened => Ajar)]
    Closed,
    #[on(Close / Shut => Closed)]
    Ajar,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum DoorEvent {
    Opened {
        by: String,
    },
    #[apply(_ = (bolts, hinge, nail, screw))]
    Shut {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        bolts: Vec<u32>,
        #[serde(skip_serializing_if = "Option::is_none", with = "hinges")]
        hinge: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        nail: Option<u32>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        screw: Vec<u32>,
    },
}

mod hinges {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(hinge: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
        hinge.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
        Option::deserialize(deserializer)
    }
}

#[derive(Command, Clone, Debug)]
enum DoorCommand {
    Open { by: String },
    Close,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "house", name = "door")]
struct Door {
    state: DoorState,
    by: Option<String>,
}

fn main() {}
