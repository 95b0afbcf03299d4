//! A subject of events without their aggregate is misspelled.

use cim_es::prelude::*;

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(domain = "house", name = "door")]
enum DoorEvent {
    Opened { by: String },
    Shut,
}

const SHUT: Subject<DoorEvent> = subject!(DoorEvent, "house.door.shit");
const ALL: Filter<DoorEvent> = filter!(DoorEvent, "house.dor.*");

fn main() {}
