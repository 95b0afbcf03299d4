//! Events without their aggregate say how they fold.

use cim_es::prelude::*;

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(domain = "house", name = "door")]
enum DoorEvent {
    #[apply(by = who)]
    Opened {
        who: String,
    },
    Shut {
        #[event(keep)]
        by: Option<String>,
    },
}

fn main() {}
