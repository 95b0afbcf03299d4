//! A version of an event without its aggregate has no upcaster.

use cim_es::prelude::*;

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(domain = "house", name = "door")]
enum DoorEvent {
    #[event(version = 2)]
    Opened { by: String },
}

fn main() {}
