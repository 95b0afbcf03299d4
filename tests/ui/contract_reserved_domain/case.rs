//! The domain of events without their aggregate is the store's own.

use cim_es::prelude::*;

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(domain = "es", name = "door", was = "door")]
enum DoorEvent {
    Opened { by: String },
}

fn main() {}
