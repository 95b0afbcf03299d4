//! The views in which a subscription is kept.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::store::read_model::{ReadModelError, ViewId};

/// How the views begin their names.
pub(super) const DURABLE: &str = "subscription";
pub(super) const LIVE: &str = "live";
pub(super) const REQUESTS: &str = "request";

/// How many bytes of a digest stand in the name of a view.
const DIGEST: usize = 24;

/// The view of a subscription. Its name shows where a view may have it, and else a digest of it behind a second dash,
/// which no name that shows begins with.
pub(super) fn view(kind: &str, name: &str) -> Result<ViewId, ReadModelError> {
    if !name.starts_with('-')
        && let Ok(view) = ViewId::new(format!("{kind}-{name}"), 1)
    {
        return Ok(view);
    }
    let mut text = format!("{kind}--");
    for byte in Sha256::digest(name).iter().take(DIGEST) {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    ViewId::new(text, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_subscription_has_views_of_its_own() {
        let long = "n".repeat(64);
        let names = ["mail", "Mail", "a.b", "-mail", "-", "Ünal", " ", &long];
        let mut views: Vec<_> = [DURABLE, LIVE, REQUESTS]
            .iter()
            .flat_map(|kind| names.map(|name| view(kind, name).expect("a name").to_string()))
            .collect();
        assert_eq!(views[0], "subscription-mail v1");
        let count = views.len();
        views.sort();
        views.dedup();
        assert_eq!(views.len(), count);
        // The digest of one is not the name of another.
        let digest = view(LIVE, "Mail").expect("a name");
        let shown = digest.name().strip_prefix("live-").expect("its kind");
        assert_ne!(view(LIVE, shown).expect("a name"), digest);
    }
}
