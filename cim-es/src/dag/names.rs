//! Texts and aggregates by number, each kept once.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// Texts by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    texts: Vec<Box<str>>,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Texts {
    /// The number of a text.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        let texts = &self.texts;
        let is_it = |number: &u32| *texts[*number as usize] == *text;
        if let Some(number) = self.numbers.find(hash, is_it) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        let (texts, hasher) = (&self.texts, &self.hasher);
        self.numbers.insert_unique(hash, number, |number| {
            hasher.hash_one(&*texts[*number as usize])
        });
        number
    }

    pub(super) fn text(&self, number: u32) -> &str {
        self.texts
            .get(number as usize)
            .map_or("", |text| text.as_ref())
    }

    pub(super) fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(|text| text.len()).sum();
        texts + self.texts.capacity() * size_of::<Box<str>>() + table(&self.numbers)
    }
}

/// An aggregate, and the node of its last event.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub(super) kind: u32,
    pub(super) id: Box<str>,
    pub(super) last: u32,
}

/// Aggregates by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Aggregates {
    all: Vec<Aggregate>,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Aggregates {
    /// The number of an aggregate; `none` is the node of its last event as long as there is none.
    pub(super) fn number(&mut self, kind: u32, id: &str, none: u32) -> u32 {
        let hash = self.hasher.hash_one((kind, id));
        let all = &self.all;
        let is_it = |number: &u32| {
            let aggregate = &all[*number as usize];
            aggregate.kind == kind && *aggregate.id == *id
        };
        if let Some(number) = self.numbers.find(hash, is_it) {
            return *number;
        }
        let number = self.all.len() as u32;
        self.all.push(Aggregate {
            kind,
            id: id.into(),
            last: none,
        });
        let (all, hasher) = (&self.all, &self.hasher);
        self.numbers.insert_unique(hash, number, |number| {
            let aggregate = &all[*number as usize];
            hasher.hash_one((aggregate.kind, &*aggregate.id))
        });
        number
    }

    pub(super) fn get(&self, number: u32) -> Option<&Aggregate> {
        self.all.get(number as usize)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Aggregate> {
        self.all.get_mut(number as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let ids: usize = self.all.iter().map(|aggregate| aggregate.id.len()).sum();
        ids + self.all.capacity() * size_of::<Aggregate>() + table(&self.numbers)
    }

    pub(super) fn shrink(&mut self) {
        self.all.shrink_to_fit();
    }
}

/// The bytes of a table of numbers: one of each place is for the table itself.
pub(super) fn table(numbers: &HashTable<u32>) -> usize {
    numbers.allocation_size()
}
