//! Events as the first version of the domain stored them, and how they are read today.
//!
//! Version 1 of `people.person.created` had the name as one text. This file never changes: events of that version are
//! in stores, and what they give today they give tomorrow.

use std::collections::BTreeMap;

use cim_es::prelude::*;

/// Brings `created` from version 1 to 2: the name as one text becomes a name in parts.
///
/// Before a comma stands the family name; without one the last word is the family name, and a single word a given name.
/// That is a guess, so the text is kept as the name is written; where the guess is wrong, update the name.
///
/// # Errors
/// [`UpcastError`] when the payload has no name, or an empty one.
pub fn name_in_parts(payload: Ipld) -> Result<Ipld, UpcastError> {
    let Ipld::Map(mut fields) = payload else {
        return Err(UpcastError::new("the payload is not a map"));
    };
    let Some(Ipld::String(text)) = fields.remove("name") else {
        return Err(UpcastError::new("the payload has no text `name`"));
    };
    let text = text.trim();
    let (given, family) = match text.split_once(',') {
        Some((family, given)) => (given.trim(), family.trim()),
        None => match text.rsplit_once(' ') {
            Some((given, family)) => (given.trim(), family),
            None => (text, ""),
        },
    };
    if given.is_empty() && family.is_empty() {
        return Err(UpcastError::new(format!("the name {text:?} has no part")));
    }
    let mut name = BTreeMap::from([("written".to_owned(), Ipld::String(text.to_owned()))]);
    for (part, words) in [("given", given), ("family", family)] {
        if !words.is_empty() {
            let words = Ipld::List(vec![Ipld::String(words.to_owned())]);
            name.insert(part.to_owned(), words);
        }
    }
    fields.insert("name".to_owned(), Ipld::Map(name));
    Ok(Ipld::Map(fields))
}
