//! What is wrong with a projection as a whole.

use quote::ToTokens;

use super::model::Projection;
use crate::ctxt::Ctxt;
use crate::names;

/// Each enum of events is listed once.
pub(super) fn check(projection: &Projection, ctxt: &Ctxt) {
    let written = |at: usize| projection.events[at].events.to_token_stream().to_string();
    for (at, listed) in projection.events.iter().enumerate() {
        if (0..at).any(|earlier| written(earlier) == written(at)) {
            let label = names::label(&listed.events);
            let remedy = match listed.choice {
                None => "remove it here",
                Some(_) => "choose all its events in one place",
            };
            ctxt.error(
                &listed.events,
                format!("`{label}` is listed twice: {remedy}"),
            );
        }
    }
}
