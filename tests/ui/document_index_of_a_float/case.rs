//! Fields are indexes that have no one text.

use std::collections::BTreeMap;

use cim_es::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Size {
    width: u32,
    height: u32,
}

#[derive(Document, Debug, Serialize, Deserialize)]
struct Card {
    #[index]
    title: String,
    #[index]
    weight: f64,
    #[index]
    size: Option<Size>,
    #[index]
    notes: BTreeMap<String, String>,
}

fn main() {}
