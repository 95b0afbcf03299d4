//! An id has a type parameter.

use cim_es::prelude::*;

#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
struct DoorId<T>(T);

fn main() {}
