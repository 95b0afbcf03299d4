//! What an aggregate means, for its fingerprint.

use super::model::{Aggregate, InStates};
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
        // Under which words names are kept says nothing about what events fold into.
        scopes: _,
        fold,
        // Which histories are read says nothing about what they fold into.
        was: _,
        shares_ids_with: _,
        in_states,
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
        .set(in_states.iter().map(in_state))
        .value()
}

fn in_state(in_states: &InStates) -> Digest {
    let InStates { field, states } = in_states;
    let states = states.iter().map(|state| Digest::new().name(state));
    Digest::new().name(field).set(states)
}
