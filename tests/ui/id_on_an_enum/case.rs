//! An id is no struct.

use cim_es::prelude::*;

#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
enum DoorId {
    Front,
    Back,
}

fn main() {}
