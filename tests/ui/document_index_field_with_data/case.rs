//! Values of the author's own that are no index.

use cim_es::prelude::*;

#[derive(IndexField, Debug, Serialize, Deserialize)]
enum Shelf {
    Open,
    Vault(u32),
    Lent { to: String },
}

#[derive(IndexField, Debug, Serialize, Deserialize)]
struct Weight(f64);

#[derive(IndexField, Debug, Serialize, Deserialize)]
struct Place {
    row: u32,
    column: u32,
}

fn main() {}
