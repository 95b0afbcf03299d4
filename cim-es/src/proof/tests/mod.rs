//! The tree against a model that is written as RFC 6962 states it, and texts that were cut and changed.

mod keys;
mod texts;
mod tree;

use super::{SigningKey, TreeHash};
use crate::block::{Cid, HashCode};

/// A key whose secret is 32 times the same byte.
fn key(name: &str, byte: u8) -> SigningKey {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let mut der = vec![
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    der.extend([byte; 32]);
    let text = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der)
    );
    SigningKey::parse(name, &text).expect("it is a key")
}

fn cid(number: u64) -> Cid {
    HashCode::Sha2_256.cid(&number.to_be_bytes())
}

fn leaves(count: u64) -> Vec<TreeHash> {
    (0..count)
        .map(|number| TreeHash::of_event(&cid(number)))
        .collect()
}
