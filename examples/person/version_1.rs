//! Events as the first version of the domain stored them, and how they are read today.
//!
//! Version 1 of `people.person.created` had the name as one text: a line of 1 to 200 bytes, without spaces around it. This
//! file never changes: events of that version are in stores, and what they give today they give tomorrow.

use std::collections::BTreeMap;

use cim_es::prelude::*;

/// Brings `created` from version 1 to 2: the name as one text becomes a name in parts.
///
/// Before a comma stands the family name; without one the last word is the family name, and a single word a given name.
/// That is a guess, so the text is kept as the name is written; where the guess is wrong, update the name. Every text that
/// version 1 accepted gives a name.
///
/// # Errors
/// [`UpcastError`] when the payload is none that version 1 wrote.
pub fn name_in_parts(payload: Ipld) -> Result<Ipld, UpcastError> {
    let Ipld::Map(mut fields) = payload else {
        return Err(UpcastError::new("the payload is not a map"));
    };
    let Some(Ipld::String(text)) = fields.remove("name") else {
        return Err(UpcastError::new("the payload has no text `name`"));
    };
    let words = match text.split_once(',') {
        Some((family, given)) => Some((given, family)),
        None => text.rsplit_once(' '),
    };
    let (given, family) = match words.map(|(given, family)| (given.trim(), family.trim())) {
        None | Some(("", "")) => (text.as_str(), ""),
        Some(parts) => parts,
    };
    let mut name = BTreeMap::from([("written".to_owned(), Ipld::String(text.clone()))]);
    for (part, words) in [("given", given), ("family", family)] {
        if !words.is_empty() {
            let words = Ipld::List(vec![Ipld::String(words.to_owned())]);
            name.insert(part.to_owned(), words);
        }
    }
    fields.insert("name".to_owned(), Ipld::Map(name));
    Ok(Ipld::Map(fields))
}
