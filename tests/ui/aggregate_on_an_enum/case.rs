//! An aggregate is no struct.

use cim_es::prelude::*;

#[derive(Aggregate, Clone, Debug, Serialize, Deserialize)]
#[aggregate(domain = "house", name = "door")]
enum Door {
    Closed,
}

fn main() {}
