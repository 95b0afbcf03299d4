//! What a projection means, for its fingerprint.

use super::model::{Home, Listed, Projection};
use crate::fingerprint::Digest;
use crate::names;

/// The name and the version are the view's own; the code counts what the events and the documents are.
pub(super) fn of(projection: &Projection) -> u64 {
    let Projection {
        ident: _,
        attrs,
        declared,
        is_empty: _,
        name: _,
        version: _,
        events,
        home,
    } = projection;
    let digest = Digest::new()
        .attributes(attrs)
        .fields(declared)
        .set(events.iter().map(listed));
    let digest = match home {
        Home::Value => digest.text("value"),
        Home::Documents(_) => digest.text("documents"),
        // The text counts by what it says, wherever it stands.
        Home::Tables { sqlite, postgres } => digest
            .text("tables")
            .text(&sqlite.is_some().to_string())
            .text(&postgres.is_some().to_string()),
    };
    digest.value()
}

/// The enum counts by its declaration, however its path is written.
fn listed(listed: &Listed) -> Digest {
    let Listed { events, choice } = listed;
    let digest = Digest::new().text(&names::label(events));
    match choice {
        None => digest.text("all"),
        Some(chosen) => digest.set(chosen.iter().map(|variant| Digest::new().name(variant))),
    }
}
