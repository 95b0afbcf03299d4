//! The field of an id neither prints nor parses.

use cim_es::prelude::*;

#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
struct DoorId(Vec<u8>);

fn main() {}
