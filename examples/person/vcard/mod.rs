//! Reading people from a vCard file (RFC 6350, and version 3.0 of RFC 2426 where the two agree).
//!
//! `lines` finds the cards and unfolds their lines, [`card`] takes from a card what is kept here. A card that
//! cannot be read is a [`BadCard`] with its line and the reason, and keeps no other card from being read.

pub mod card;
mod dates;
mod lines;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use cim_es::prelude::*;

use self::card::Taken;
use super::{Person, Record};

/// What a card says of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The line on which the card begins, from 1.
    pub line: usize,
    /// The id that follows from the card's UID: the same from import to import.
    pub id: Id<Person>,
    /// What is kept.
    pub record: Record,
    /// When the card was last changed, as its REV says it.
    pub revision: Option<String>,
}

/// A card that is not imported, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCard {
    /// The line in question, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// What a file has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cards {
    /// The cards of people, in the order of the file.
    pub people: Vec<Card>,
    /// The cards that cannot be read.
    pub bad: Vec<BadCard>,
    /// The number of cards of groups, organizations and whatever else is no person.
    pub others: usize,
    /// How many properties are not kept here, by their names: contacts, addresses, employment, pictures and so on.
    pub left_out: BTreeMap<String, usize>,
}

/// How the people of a file are known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identify {
    /// By the UID of their cards; a card without one is bad.
    ByUid,
    /// By the UID, and where there is none by name and birth date: for files that were written without UIDs. Two people
    /// who share both are then one, and a person whose name changes is another.
    ByUidOrName,
}

impl BadCard {
    fn new(line: usize, reason: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for BadCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl Cards {
    /// Reads a file.
    pub fn read(file: &[u8], identify: Identify) -> Self {
        let mut cards = Self::default();
        let mut first_lines: HashMap<Id<Person>, usize> = HashMap::new();
        for lines in lines::cards(file) {
            let read = lines.and_then(|lines| card::read(lines, identify));
            match read {
                Err(bad) => cards.bad.push(bad),
                Ok(None) => cards.others += 1,
                Ok(Some(Taken { card, left_out })) => {
                    if let Some(first) = first_lines.get(&card.id) {
                        let reason = format!(
                            "the card at line {first} is of the same person: keep one of the two"
                        );
                        cards.bad.push(BadCard::new(card.line, reason));
                        continue;
                    }
                    first_lines.insert(card.id, card.line);
                    cards.people.push(card);
                    for property in left_out {
                        *cards.left_out.entry(property).or_default() += 1;
                    }
                }
            }
        }
        cards
    }
}
