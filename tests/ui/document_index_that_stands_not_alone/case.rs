//! Attributes of a document where they mean nothing.

use cim_es::prelude::*;

#[derive(Document, Debug, Serialize, Deserialize)]
#[document(version = 2)]
struct Card {
    #[index(unique)]
    title: String,
    #[index]
    #[serde(skip)]
    reader: Option<String>,
    #[index]
    #[index]
    shelf: u32,
}

#[derive(Document, Debug, Serialize, Deserialize)]
enum Kind {
    Book,
}

#[derive(Document, Debug, Serialize, Deserialize)]
struct Pair(String, String);

fn main() {}
