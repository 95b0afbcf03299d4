//! An index on a value that has no one text.

use cim_es::prelude::*;

#[derive(Document, Serialize, Deserialize)]
struct Card {
    #[index]
    weight: f64,
}

fn main() {}
