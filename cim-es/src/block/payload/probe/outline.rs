//! Of which parts a type is made, as far as it says when it reads.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use super::{APART, NotRead, Probe, TEXTS};
use crate::block::payload::decode::decode_content;
use crate::domain::event::DomainEvent;

/// How many parts of a type are looked at.
const MOST_PARTS: usize = 10_000;
/// How deep they may stand in each other.
const DEEPEST: usize = 100;

/// Of which parts a type is made.
///
/// It has the kinds of values, the names of fields and of variants, and how they stand in each other; not the names of
/// types, nor the rules by which a type refuses values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    /// A digest of all parts.
    pub(crate) digest: u64,
    /// Whether a part is a set without an order.
    pub(crate) is_unordered: bool,
    /// Whether a part reads whatever stands there, so that nothing is known of what is in it: `#[serde(untagged)]`,
    /// `#[serde(flatten)]`, `#[serde(tag)]`.
    pub(crate) is_opaque: bool,
}

/// The outline of a type.
pub(crate) fn outline<T: DeserializeOwned>() -> Outline {
    of(&|probe| T::deserialize(probe).map(drop))
}

/// The outline of the event at an index.
pub(crate) fn outline_of_event<E: DomainEvent>(index: usize) -> Outline {
    of(&|probe| decode_content::<E, _>(index, probe).map(drop))
}

/// One part of a type.
pub(super) struct Part {
    kind: &'static str,
    /// The names of the children, where they have any.
    names: &'static [&'static str],
    children: usize,
    pub(super) fixed_length: Option<usize>,
    /// The name of the type with the names of its parts, by which one that contains itself is noticed.
    named: Option<(&'static str, &'static [&'static str])>,
    is_unordered: bool,
}

impl Part {
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            names: &[],
            children: 0,
            fixed_length: None,
            named: None,
            is_unordered: false,
        }
    }

    pub(super) fn tuple(length: usize) -> Self {
        let children = if length > APART { 1 } else { length };
        Self {
            children,
            fixed_length: Some(length),
            ..Self::new("tuple")
        }
    }

    pub(super) fn with_children(self, children: usize) -> Self {
        Self { children, ..self }
    }

    pub(super) fn with_names(self, names: &'static [&'static str]) -> Self {
        let children = names.len();
        Self {
            names,
            children,
            ..self
        }
    }

    pub(super) fn named(self, name: &'static str, parts: &'static [&'static str]) -> Self {
        let named = Some((name, parts));
        Self { named, ..self }
    }

    pub(super) fn unordered(self, is_unordered: bool) -> Self {
        Self {
            is_unordered,
            ..self
        }
    }
}

/// The way to one part: which child to go into at each depth.
pub(in crate::block::payload) struct Trail {
    children: Vec<usize>,
    /// Which of the values that can be made up stand in front of the part.
    pub(super) candidate: usize,
    found: RefCell<Option<Part>>,
}

impl Trail {
    pub(super) fn child(&self, depth: usize) -> Option<usize> {
        self.children.get(depth).copied()
    }

    pub(super) fn found(&self, part: Part) {
        self.found.borrow_mut().get_or_insert(part);
    }
}

type Read<'r> = &'r dyn for<'a> Fn(Probe<'a>) -> Result<(), NotRead>;

fn of(read: Read<'_>) -> Outline {
    let mut walk = Walk {
        read,
        digest: Digest::new(),
        parts: 0,
        is_unordered: false,
        is_opaque: false,
        around: Vec::new(),
    };
    walk.visit(&mut Vec::new(), false);
    Outline {
        digest: walk.digest.0,
        is_unordered: walk.is_unordered,
        is_opaque: walk.is_opaque,
    }
}

struct Walk<'r> {
    read: Read<'r>,
    digest: Digest,
    parts: usize,
    is_unordered: bool,
    is_opaque: bool,
    around: Vec<(&'static str, &'static [&'static str])>,
}

impl Walk<'_> {
    fn visit(&mut self, trail: &mut Vec<usize>, is_key: bool) {
        self.parts += 1;
        if self.parts > MOST_PARTS || trail.len() > DEEPEST {
            self.is_opaque = true;
            return;
        }
        let Some(part) = self.seek(trail) else {
            self.digest.add("not reached");
            self.is_opaque = true;
            return;
        };
        self.digest.add(part.kind);
        self.digest.add_number(part.children);
        self.digest.add_number(part.fixed_length.unwrap_or(0));
        self.is_unordered |= part.is_unordered;
        // A struct whose fields are not told beforehand is one with `#[serde(flatten)]`.
        self.is_opaque |= part.kind == "any" || is_key && part.kind == "name";
        if let Some(named) = part.named {
            if self.around.contains(&named) {
                self.digest.add("again");
                return;
            }
            self.around.push(named);
        }
        let mut children: Vec<_> = (0..part.children).collect();
        // In which order names were declared leaves no trace in what is stored.
        children.sort_by_key(|child| part.names.get(*child));
        for child in children {
            part.names
                .get(child)
                .iter()
                .for_each(|name| self.digest.add(name));
            trail.push(child);
            self.visit(trail, part.kind == "map" && child == 0);
            trail.pop();
        }
        if part.named.is_some() {
            self.around.pop();
        }
    }

    fn seek(&self, children: &[usize]) -> Option<Part> {
        (0..TEXTS.len()).find_map(|candidate| {
            let trail = Trail {
                children: children.to_vec(),
                candidate,
                found: RefCell::new(None),
            };
            // It always fails: reading stops where the part is.
            let _ = (self.read)(Probe::Sought(&trail, 0));
            trail.found.into_inner()
        })
    }
}

/// FNV-1a with 64 bits: the same on every machine and with every compiler.
struct Digest(u64);

impl Digest {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn add(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
        self.byte(0xff);
    }

    fn add_number(&mut self, number: usize) {
        let number = number as u64;
        number
            .to_le_bytes()
            .into_iter()
            .for_each(|byte| self.byte(byte));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use serde::Deserialize;

    use super::*;

    /// The same types twice; the second has one part more in a place that the first name tells.
    macro_rules! differ {
        ($($name:ident: { $($before:item)+ } => { $($after:item)+ })*) => {$(
            #[test]
            fn $name() {
                mod before {
                    #![allow(dead_code)]
                    use super::*;
                    $(#[derive(Deserialize)] $before)+
                }
                mod after {
                    #![allow(dead_code)]
                    use super::*;
                    $(#[derive(Deserialize)] $after)+
                }
                let (before, after) = (outline::<before::It>(), outline::<after::It>());
                assert_ne!(before.digest, after.digest);
                assert!(!before.is_opaque && !after.is_opaque);
            }
        )*};
    }

    differ! {
        a_field_behind_one_that_refuses_what_is_made_up:
        {
            pub(super) struct It { id: uuid::Uuid, checked: Checked, part: Part }
            pub(super) struct Part { a: u8 }
        } => {
            pub(super) struct It { id: uuid::Uuid, checked: Checked, part: Part }
            pub(super) struct Part { a: u8, #[serde(default)] b: u8 }
        }
        a_field_of_an_element:
        {
            pub(super) struct It { parts: Vec<Part> }
            pub(super) struct Part { a: u8 }
        } => {
            pub(super) struct It { parts: Vec<Part> }
            pub(super) struct Part { a: u8, #[serde(default)] b: u8 }
        }
        a_field_of_a_value_in_a_map_by_ids:
        {
            pub(super) struct It { parts: BTreeMap<Key, Part> }
            pub(super) struct Part { a: u8 }
        } => {
            pub(super) struct It { parts: BTreeMap<Key, Part> }
            pub(super) struct Part { a: u8, #[serde(default)] b: u8 }
        }
        a_field_of_an_option:
        {
            pub(super) struct It { part: Option<Part> }
            pub(super) struct Part { a: u8 }
        } => {
            pub(super) struct It { part: Option<Part> }
            pub(super) struct Part { a: u8, #[serde(default)] b: u8 }
        }
        a_field_of_the_last_of_a_tuple:
        {
            pub(super) struct It { parts: (u8, String, Part) }
            pub(super) struct Part { a: u8 }
        } => {
            pub(super) struct It { parts: (u8, String, Part) }
            pub(super) struct Part { a: u8, #[serde(default)] b: u8 }
        }
        a_field_of_a_variant:
        {
            pub(super) enum It { One, Two { a: u8 } }
        } => {
            pub(super) enum It { One, Two { a: u8, #[serde(default)] b: u8 } }
        }
        a_variant:
        {
            pub(super) struct It { part: Part }
            pub(super) enum Part { One }
        } => {
            pub(super) struct It { part: Part }
            pub(super) enum Part { One, Two }
        }
        another_kind_of_number:
        {
            pub(super) struct It(u8);
        } => {
            pub(super) struct It(u16);
        }
        a_field_of_a_newtype_in_a_variant:
        {
            pub(super) enum It { One(Part) }
            pub(super) struct Part { a: u8 }
        } => {
            pub(super) enum It { One(Part) }
            pub(super) struct Part { a: u8, #[serde(default)] b: u8 }
        }
    }

    /// A text of at least three letters.
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Checked;

    impl TryFrom<String> for Checked {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, &'static str> {
            match text.len() {
                0..3 => Err("too short"),
                _ => Ok(Self),
            }
        }
    }

    #[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    #[serde(try_from = "String")]
    struct Key(uuid::Uuid);

    impl TryFrom<String> for Key {
        type Error = uuid::Error;

        fn try_from(text: String) -> Result<Self, uuid::Error> {
            text.parse().map(Self)
        }
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Tree {
        name: String,
        children: Vec<Tree>,
        by_name: BTreeMap<String, Box<Tree>>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Flat {
        #[serde(flatten)]
        tree: Tree,
    }

    #[test]
    fn a_type_that_contains_itself_has_an_outline() {
        let outline = outline::<Tree>();
        assert!(!outline.is_opaque && !outline.is_unordered);
    }

    #[test]
    fn what_cannot_be_seen_is_known_to_be_unseen() {
        assert!(outline::<Flat>().is_opaque);
        assert!(outline::<ipld_core::ipld::Ipld>().is_opaque);
    }

    #[test]
    fn a_set_without_an_order_is_seen_wherever_it_stands() {
        assert!(outline::<BTreeMap<String, Option<Vec<HashSet<u8>>>>>().is_unordered);
        assert!(!outline::<BTreeMap<String, Option<Vec<Vec<u8>>>>>().is_unordered);
    }

    #[test]
    fn the_names_of_types_and_the_order_of_fields_are_no_part_of_it() {
        mod other {
            #[derive(serde::Deserialize)]
            #[allow(dead_code)]
            pub(super) struct Plant {
                pub(super) by_name: std::collections::BTreeMap<String, Box<Plant>>,
                pub(super) children: Vec<Plant>,
                pub(super) name: String,
            }
        }
        assert_eq!(outline::<Tree>(), outline::<other::Plant>());
    }
}
