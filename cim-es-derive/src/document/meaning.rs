//! What a document means, for its fingerprint.

use super::model::{Document, Index};
use crate::fingerprint::Digest;

pub(super) fn of(document: &Document) -> u64 {
    let Document {
        ident,
        attrs,
        declared,
        indexes,
    } = document;
    Digest::new()
        .name(ident)
        .attributes(attrs)
        .fields(declared)
        .set(indexes.iter().map(index))
        .value()
}

fn index(index: &Index) -> Digest {
    // Its type stands with the field.
    let Index { field, ty: _ } = index;
    Digest::new().name(field)
}
