//! What an aggregate means, for its fingerprint.

use super::model::Aggregate;
use crate::fingerprint::Digest;

pub(super) fn of(aggregate: &Aggregate) -> u64 {
    let Aggregate {
        ident,
        attrs,
        declared,
        domain,
        name,
        id,
        state,
        error,
        unique,
        fold,
        // Which histories are read says nothing about what they fold into.
        was: _,
        shares_ids_with: _,
        field: _,
    } = aggregate;
    Digest::new()
        .name(ident)
        .attributes(attrs)
        .fields(declared)
        .text(domain)
        .text(name)
        .code(id)
        .code(state)
        .code(error)
        .code(unique)
        .code(fold)
        .value()
}
