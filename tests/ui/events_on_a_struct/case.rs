//! Events are no enum.

use cim_es::prelude::*;

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
struct DoorEvent {
    by: String,
}

fn main() {}
