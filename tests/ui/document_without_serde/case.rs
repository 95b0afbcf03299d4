//! A document that cannot be stored.

use cim_es::prelude::*;

#[derive(Document, Debug)]
struct Card {
    #[index]
    title: String,
}

fn main() {}
