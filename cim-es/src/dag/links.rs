//! The links in a block of dag-cbor.

use cid::Cid;

use crate::block::canonical;
use crate::block::parse_cid;
use crate::block::reader::{LINK_TAG, Reader, major};

/// The first byte of a float, of which eight more follow.
const FLOAT: u8 = 0xfb;

/// The links of this library in a block that was proved to be canonical: each once, in the order of the bytes.
pub(super) fn links_in(block: &[u8]) -> Vec<Cid> {
    let mut links = Vec::new();
    let mut reader = Reader::new(block);
    while let Ok(first) = reader.peek() {
        // A float, and one of the simple values.
        if first >= 0xe0 {
            if reader.take(if first == FLOAT { 9 } else { 1 }).is_err() {
                break;
            }
            continue;
        }
        let Ok((kind, argument)) = reader.head() else {
            break;
        };
        match kind {
            major::BYTES | major::TEXT => {
                let Ok(_) = reader.take(argument) else {
                    break;
                };
            }
            major::TAG if argument == LINK_TAG => {
                let Ok(link) = reader.link_of() else {
                    break;
                };
                links.extend(parse_cid(link).ok());
            }
            _ => {}
        }
    }
    links.sort_unstable();
    links.dedup();
    links
}

/// The links in an object; none where it is not one canonical value.
pub(super) fn object_links(object: &[u8]) -> Option<Vec<Cid>> {
    canonical::check(object).ok()?;
    Some(links_in(object))
}
