//! Which lists were found to keep their order, so that each way to one is tried once.
//!
//! A set without an order cannot be told from a list by its bytes, and under `flatten`, `untagged` or `tag` not by what its
//! type reads either. It shows only where it is read and written again many times. What was tried so is remembered by the
//! way of types and names that leads to the list: the same code writes and reads every list at its end. An event whose
//! lists are all known is read and written once more, as every event is.

use std::any::{TypeId, type_name};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::RwLock;

use serde::Serialize;

use super::keys::key_text;
use crate::domain::event::DomainEvent;

/// How many lists are remembered; further ones are tried each time.
const MOST_KNOWN: usize = 16_384;
/// Up to which length lists of different lengths are known apart: a type may read short ones as another.
const LENGTHS: usize = 16;

/// Lists that keep their order: the type and the variant of the event, and the list in it.
static KNOWN: RwLock<Option<HashSet<(TypeId, usize, u64)>>> = RwLock::new(None);

/// The types and names on the way to a value, as a number. None where a type on it does not tell what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way(Option<u64>);

impl Way {
    /// The way that begins at an event.
    pub(super) fn start() -> Self {
        Self(Some(0))
    }

    /// The way on into a value of a type.
    pub(super) fn into<T: ?Sized>(self) -> Self {
        let name = type_name::<T>();
        match tells_nothing(name) {
            true => Self(None),
            false => self.past(name),
        }
    }

    /// The way past a name, or a number.
    pub(super) fn past(self, name: impl Hash) -> Self {
        Self(self.0.map(|way| {
            let mut hasher = DefaultHasher::new();
            (way, name).hash(&mut hasher);
            hasher.finish()
        }))
    }

    /// The way to a list, of which another way tells the types of its elements.
    pub(super) fn list(self, elements: Self, length: usize) -> Self {
        self.beside(elements).past(length.min(LENGTHS))
    }

    /// The way where another leads through the same struct.
    pub(super) fn beside(self, other: Self) -> Self {
        other.0.map_or(Self(None), |other| self.past(other))
    }

    /// The way past a field. Which fields a struct has tells the variants of an enum apart.
    pub(super) fn past_field<T: ?Sized + Serialize>(self, name: &str, value: &T) -> Self {
        let way = self.past(name).into::<T>();
        // What serde writes for a tag is a text of the program, where that of an author is a `String`.
        let is_tag = type_name::<T>() == "str" || type_name::<T>().contains("AdjacentlyTagged");
        match is_tag.then(|| key_text(value)) {
            Some(Ok(tag)) => way.past(tag),
            _ => way,
        }
    }

    /// The way past a key, which is a name only where a struct or a variant is written as a map.
    pub(super) fn past_key<K: ?Sized + Serialize>(self, key: &K) -> Self {
        match name_of(key) {
            Some(name) => self.past(name),
            None => self,
        }
    }

    /// The way past the entry of a map.
    pub(super) fn past_entry<K: ?Sized + Serialize, T: ?Sized + Serialize>(
        self,
        key: &K,
        value: &T,
    ) -> Self {
        match name_of(key) {
            Some(name) => self.past_field(&name, value),
            None => self,
        }
    }
}

/// Whether a type is one for all values: a trait object, or what serde buffers a value in.
fn tells_nothing(type_name: &str) -> bool {
    type_name.contains("dyn ")
        || (type_name.starts_with("serde") && type_name.contains("::Content"))
}

/// A key that is a text of the program.
fn name_of<K: ?Sized + Serialize>(key: &K) -> Option<String> {
    match type_name::<K>() {
        "str" => key_text(key).ok(),
        _ => None,
    }
}

/// Whether all of some lists of an event were found to keep their order.
pub(super) fn are_known<E: DomainEvent>(index: usize, lists: &[Way]) -> bool {
    let event = TypeId::of::<E>();
    let Ok(known) = KNOWN.read() else {
        return false;
    };
    let Some(known) = &*known else {
        return lists.is_empty();
    };
    lists.iter().all(|way| {
        way.0
            .is_some_and(|way| known.contains(&(event, index, way)))
    })
}

/// Remembers that some lists of an event keep their order.
pub(super) fn remember<E: DomainEvent>(index: usize, lists: &[Way]) {
    let event = TypeId::of::<E>();
    let Ok(mut known) = KNOWN.write() else {
        return;
    };
    let known = known.get_or_insert_default();
    for way in lists.iter().filter_map(|way| way.0) {
        if known.len() < MOST_KNOWN {
            known.insert((event, index, way));
        }
    }
}
