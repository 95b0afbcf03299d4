//! An id has two fields.

use cim_es::prelude::*;

#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
struct DoorId(u32, u32);

fn main() {}
