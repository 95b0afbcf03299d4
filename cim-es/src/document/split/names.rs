//! The views of which a view in parts consists.

use crate::store::read_model::{DocumentChange, ReadModelError, ViewId};
use crate::store::{PARTITIONS, partition};

/// The key of the document that says how many parts a version has.
pub(crate) const PARTS: &str = "parts";

/// One version of a view in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartNames {
    name: String,
    version: u32,
    parts: u8,
}

impl PartNames {
    /// A version in a number of parts, at most as many as there are partitions.
    ///
    /// # Errors
    /// [`ReadModelError::InvalidView`] for a name that leaves no room for what is appended.
    pub(crate) fn new(name: &str, version: u32, parts: u8) -> Result<Self, ReadModelError> {
        let names = Self {
            name: name.to_owned(),
            version,
            parts: parts.clamp(1, PARTITIONS),
        };
        names.whole()?;
        names.member(PARTITIONS - 1)?;
        Ok(names)
    }

    /// The name of the view that says which version is asked.
    pub(crate) fn whole_name(name: &str) -> String {
        format!("{name}--parts")
    }

    pub(crate) fn whole(&self) -> Result<ViewId, ReadModelError> {
        ViewId::new(Self::whole_name(&self.name), self.version)
    }

    /// The view of a part.
    pub(crate) fn part(&self, part: u8) -> Result<ViewId, ReadModelError> {
        ViewId::new(format!("{}--{}-{part}", self.name, self.version), 1)
    }

    /// The view that one of the programs holds.
    pub(crate) fn member(&self, member: u8) -> Result<ViewId, ReadModelError> {
        let name = format!("{}--{}-member-{member}", self.name, self.version);
        ViewId::new(name, 1)
    }

    pub(crate) fn parts(&self) -> u8 {
        self.parts
    }

    /// The partitions of a part.
    pub(crate) fn partitions(&self, part: u8) -> impl Iterator<Item = u8> + use<> {
        let parts = self.parts;
        (0..PARTITIONS).filter(move |number| number % parts == part)
    }

    /// The part that has the events of an aggregate.
    pub(crate) fn part_of(&self, id: &str) -> u8 {
        partition(id) % self.parts
    }

    /// The document that says how many parts there are.
    pub(crate) fn said(&self) -> DocumentChange {
        DocumentChange::put(PARTS, vec![self.parts])
    }
}

/// How many parts a version has, by the document that says so.
pub(crate) fn parts_in(document: Option<&[u8]>) -> Option<u8> {
    match document {
        Some(&[parts @ 1..=PARTITIONS]) => Some(parts),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_is_of_one_part() {
        for parts in [1, 3, 8, PARTITIONS] {
            let names = PartNames::new("cards", 2, parts).expect("a name");
            let mut all: Vec<u8> = (0..parts).flat_map(|part| names.partitions(part)).collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..PARTITIONS), "{parts}");
            let part = names.part_of("a");
            assert!(
                names
                    .partitions(part)
                    .any(|number| number == partition("a"))
            );
            assert_eq!(parts_in(names.said().value.as_deref()), Some(parts));
        }
        assert_eq!(parts_in(Some(&[0])), None);
        assert_eq!(parts_in(None), None);
    }

    #[test]
    fn a_name_that_leaves_no_room_is_refused() {
        assert!(PartNames::new(&"n".repeat(50), 1, 8).is_ok());
        assert!(PartNames::new(&"n".repeat(60), 1, 8).is_err());
    }
}
