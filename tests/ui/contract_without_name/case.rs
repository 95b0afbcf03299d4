//! Events without their aggregate say its domain and not its name.

use cim_es::prelude::*;

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(domain = "house")]
enum DoorEvent {
    Opened { by: String },
}

fn main() {}
