//! Two events without their aggregate have one subject.

use cim_es::prelude::*;

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(domain = "house", name = "door")]
enum DoorEvent {
    Opened { by: String },
    #[event(subject = "door.opened")]
    Unlocked,
}

fn main() {}
