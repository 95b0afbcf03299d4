//! Since when something is new.

use std::collections::HashMap;

use crate::block::ChainHead;
use crate::bundle::Manifest;
use crate::store::{AggregateKey, Bookmark, Position};

/// Since when what an export takes is new.
#[derive(Clone, Debug)]
pub struct Since(pub(super) Known);

#[derive(Clone, Debug)]
pub(super) enum Known {
    /// What lies up to a place of the store.
    Up(Bookmark),
    /// The last event of some aggregates; of all others nothing.
    Heads(HashMap<AggregateKey, ChainHead>),
}

impl Since {
    /// Since the beginning: everything.
    pub const START: Self = Self(Known::Up(Bookmark::START));

    pub(super) fn is_start(&self) -> bool {
        matches!(&self.0, Known::Up(bookmark) if *bookmark == Bookmark::START)
    }

    /// Since the last event that the receiver has of each aggregate; those of others are new from the first on.
    pub fn heads(heads: impl IntoIterator<Item = (AggregateKey, ChainHead)>) -> Self {
        let mut known: HashMap<AggregateKey, ChainHead> = HashMap::new();
        for (aggregate, head) in heads {
            known
                .entry(aggregate)
                .and_modify(|known| {
                    if known.sequence < head.sequence {
                        *known = head;
                    }
                })
                .or_insert(head);
        }
        Self(Known::Heads(known))
    }

    /// Since several bundles, one made since the other: what is in none of them.
    pub fn bundles<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> Self {
        let heads = manifests.into_iter().flat_map(Manifest::heads);
        Self::heads(heads.map(|(aggregate, head)| (aggregate.clone(), head)))
    }
}

impl From<&Manifest> for Since {
    /// Since one bundle that was made of everything, or of the same choice. Of one that was itself made since another, give
    /// both to [`Since::bundles`].
    fn from(manifest: &Manifest) -> Self {
        Self::bundles([manifest])
    }
}

impl From<Bookmark> for Since {
    fn from(bookmark: Bookmark) -> Self {
        Self(Known::Up(bookmark))
    }
}

impl From<Position> for Since {
    fn from(position: Position) -> Self {
        Self(Known::Up(position.into()))
    }
}
