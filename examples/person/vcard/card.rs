//! What is kept of one card.

use calcard::vcard::{
    VCardEntry, VCardKind, VCardParameterName, VCardProperty, VCardSex, VCardValue,
};
use calcard::{Entry, Parser};
use cim_es::prelude::*;

use super::dates::{self, Said};
use super::lines::{Lines, NO_PROPERTY};
use super::{BadCard, Card, Identify};
use crate::person::attribute::{AttributeValue, Sex};
use crate::person::date::Date;
use crate::person::name::{NameParts, PersonName};
use crate::person::values::Text;
use crate::person::{Person, Record};

/// The namespace of the ids that follow from a UID or a name (RFC 9562, section 5.5); it never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0c_55a5_33c3_4a3d_9c57_1f8e_60d2_b7a4);

/// The card of a person.
pub struct Taken {
    /// What is kept.
    pub card: Card,
    /// The names of the properties that are not.
    pub left_out: Vec<String>,
}

/// The properties of a card while they are taken.
#[derive(Default)]
struct Properties {
    name: Option<NameParts>,
    written: Option<Text>,
    birth_date: Option<Date>,
    death_date: Option<Date>,
    attributes: Vec<(usize, AttributeValue)>,
    uid: Option<String>,
    revision: Option<String>,
    is_other: bool,
    seen: Vec<VCardProperty>,
    left_out: Vec<String>,
}

/// Takes from a card what is kept here; none for that of a group, an organization, a place or a thing.
///
/// # Errors
/// [`BadCard`] names the line that is wrong.
pub fn read(lines: Lines, identify: Identify) -> Result<Option<Taken>, BadCard> {
    // First of all: what else is wrong with a card in another version is not worth telling.
    let version = version(&lines)?;
    let start = lines.start;
    let mut properties = Properties::default();
    for (number, line) in lines.properties()? {
        let wrong = |reason: String| BadCard::new(number, reason);
        let entry = parsed(&version, &line).ok_or_else(|| wrong(NO_PROPERTY.to_owned()))?;
        properties.take(&entry, number, &line).map_err(wrong)?;
    }
    if properties.is_other {
        return Ok(None);
    }
    properties.finish(start, identify)
}

/// One line as the parser understands it, in a card of its own: what is wrong with it reaches no other line.
fn parsed(version: &str, line: &str) -> Option<VCardEntry> {
    let card = format!("BEGIN:VCARD\nVERSION:{version}\n{line}\nEND:VCARD\n");
    let Entry::VCard(card) = Parser::new(&card).entry() else {
        return None;
    };
    let mut entries = card.entries.into_iter().skip(1);
    entries.next().filter(|_| entries.len() == 0)
}

fn version(lines: &Lines) -> Result<String, BadCard> {
    let mut versions = lines.values("VERSION").into_iter();
    match (versions.next(), versions.next()) {
        (Some((_, version)), None) if matches!(version.as_str(), "3.0" | "4.0") => Ok(version),
        (Some((number, version)), None) => {
            let reason =
                format!("version {version} is not read: save the cards as version 4.0 or 3.0");
            Err(BadCard::new(number, reason))
        }
        (None, _) => {
            let reason = "the card has no VERSION: add VERSION:4.0, or 3.0 if it is that";
            Err(BadCard::new(lines.start, reason))
        }
        (_, Some((number, _))) => Err(BadCard::new(number, "VERSION is there twice: keep one")),
    }
}

impl Properties {
    fn take(&mut self, entry: &VCardEntry, number: usize, line: &str) -> Result<(), String> {
        use VCardProperty::*;
        let property = &entry.name;
        let is_single = matches!(
            property,
            N | Bday | Deathdate | Gender | Birthplace | Uid | Rev | Kind
        );
        if is_single && self.seen.contains(property) {
            // The same property in another language or script: the first one counts.
            if entry
                .params
                .iter()
                .any(|it| it.name == VCardParameterName::Altid)
            {
                self.left_out.push(property.as_str().to_owned());
                return Ok(());
            }
            return Err(format!("{} is there twice: keep one", property.as_str()));
        }
        self.seen.push(property.clone());
        match property {
            N => self.name = Some(name_parts(entry).map_err(|error| format!("N: {error}"))?),
            Fn if self.written.is_none() => {
                self.written = first(entry).map(|it| part("FN", &it)).transpose()?;
            }
            Bday => self.birth_date = self.date(entry, line)?,
            Deathdate => self.death_date = self.date(entry, line)?,
            Gender => self.gender(entry, number)?,
            Birthplace if is_plain_text(entry) => {
                self.text(entry, number, AttributeValue::BirthPlace)?;
            }
            Nickname => self.text(entry, number, AttributeValue::Nickname)?,
            Pronouns => self.text(entry, number, AttributeValue::Pronouns)?,
            Lang => {
                for tag in texts(entry) {
                    let tag = tag
                        .parse()
                        .map_err(|error: ValueError| format!("LANG: {error}"))?;
                    self.attributes
                        .push((number, AttributeValue::Language(tag)));
                }
            }
            Uid => self.uid = first(entry),
            Rev => self.revision = Some(value_of(line).trim().to_owned()),
            Kind => self.is_other |= !is_individual(entry),
            Other(name) if name.eq_ignore_ascii_case("X-ADDRESSBOOKSERVER-KIND") => {
                self.is_other |=
                    first(entry).is_some_and(|kind| !kind.eq_ignore_ascii_case("individual"));
            }
            // How programs by Apple mark the card of a company.
            Other(name) if name.eq_ignore_ascii_case("X-ABShowAs") => {
                self.is_other |=
                    first(entry).is_some_and(|shown| shown.eq_ignore_ascii_case("COMPANY"));
            }
            Version | Prodid => {}
            _ => self.left_out.push(property.as_str().to_ascii_uppercase()),
        }
        Ok(())
    }

    fn date(&mut self, entry: &VCardEntry, line: &str) -> Result<Option<Date>, String> {
        let (name, value) = (entry.name.as_str(), value_of(line));
        match dates::read(entry, value) {
            Said::Date(date) => Ok(Some(date)),
            Said::Wrong => Err(format!(
                "{name} is {value:?}, which is no date: write it as 1985-04-12"
            )),
            Said::Unkept => {
                self.left_out.push(format!("{name} without a year"));
                Ok(None)
            }
        }
    }

    fn gender(&mut self, entry: &VCardEntry, number: usize) -> Result<(), String> {
        let sex = match entry.values.first() {
            Some(VCardValue::Sex(VCardSex::Female)) => Some(Sex::Female),
            Some(VCardValue::Sex(VCardSex::Male)) => Some(Sex::Male),
            Some(VCardValue::Sex(VCardSex::Other)) => Some(Sex::Other),
            Some(VCardValue::Sex(VCardSex::NoneOrNotApplicable)) => Some(Sex::None),
            Some(VCardValue::Text(text)) if !text.trim().is_empty() => {
                return Err(format!(
                    "GENDER begins with {text:?}: write one of M F O N U, or nothing, before a semicolon"
                ));
            }
            _ => None,
        };
        self.attributes
            .extend(sex.map(|sex| (number, AttributeValue::Sex(sex))));
        if let Some(VCardValue::Text(identity)) = entry.values.get(1)
            && !identity.trim().is_empty()
        {
            let identity = part("GENDER", identity)?;
            self.attributes
                .push((number, AttributeValue::GenderIdentity(identity)));
        }
        Ok(())
    }

    fn text(
        &mut self,
        entry: &VCardEntry,
        number: usize,
        value: fn(Text) -> AttributeValue,
    ) -> Result<(), String> {
        for text in texts(entry) {
            let text = part(entry.name.as_str(), &text)?;
            self.attributes.push((number, value(text)));
        }
        Ok(())
    }

    fn finish(self, line: usize, identify: Identify) -> Result<Option<Taken>, BadCard> {
        let name = self
            .person_name()
            .map_err(|reason| BadCard::new(line, reason))?;
        let id = match (&self.uid, identify) {
            (Some(uid), _) => id_of_uid(uid),
            (None, Identify::ByUidOrName) => id_of_name(&name, self.birth_date),
            (None, Identify::ByUid) => {
                let reason = "the card has no UID, by which a second import knows the person again: add one, or import \
                    with --by-name";
                return Err(BadCard::new(line, reason));
            }
        };
        let mut record = Record::new(name).with_dates(self.birth_date, self.death_date);
        for (number, value) in self.attributes {
            let added = record.with_attribute(value);
            record = added.map_err(|error| BadCard::new(number, error.to_string()))?;
        }
        let card = Card {
            line,
            id,
            record,
            revision: self.revision,
        };
        let left_out = self.left_out;
        Ok(Some(Taken { card, left_out }))
    }

    /// The name in its parts, or else the written one.
    fn person_name(&self) -> Result<PersonName, String> {
        let written = self.written.clone();
        match self.name.clone() {
            Some(parts) if !parts.family.is_empty() || !parts.given.is_empty() => {
                let name = PersonName::try_from(NameParts { written, ..parts });
                name.map_err(|error| format!("N: {error}"))
            }
            _ => match written {
                Some(written) => {
                    PersonName::from_full(written.as_str()).map_err(|error| format!("FN: {error}"))
                }
                None => {
                    Err("the card has no name: add FN, or a family or given name to N".to_owned())
                }
            },
        }
    }
}

/// The id of the person that a UID stands for: the UID itself when it is a UUID, else one that follows from it.
pub fn id_of_uid(uid: &str) -> Id<Person> {
    let uid = uid.trim();
    let start = uid.get(.."urn:uuid:".len()).unwrap_or_default();
    let text = match start.eq_ignore_ascii_case("urn:uuid:") {
        true => &uid[start.len()..],
        false => uid,
    };
    let derived = || Uuid::new_v5(&NAMESPACE, uid.as_bytes());
    Id::from_uuid(Uuid::try_parse(text).unwrap_or_else(|_| derived()))
}

fn id_of_name(name: &PersonName, birth_date: Option<Date>) -> Id<Person> {
    let birth_date = birth_date.map_or_else(String::new, |date| date.to_string());
    let identity = format!("name\n{name}\n{birth_date}");
    Id::from_uuid(Uuid::new_v5(&NAMESPACE, identity.as_bytes()))
}

fn name_parts(entry: &VCardEntry) -> Result<NameParts, ValueError> {
    let component = |place: usize| -> Result<Vec<Text>, ValueError> {
        let texts: &[String] = match entry.values.get(place) {
            Some(VCardValue::Component(texts)) => texts,
            Some(VCardValue::Text(text)) => std::slice::from_ref(text),
            _ => &[],
        };
        let texts = texts
            .iter()
            .map(|text| one_line(text))
            .filter(|text| !text.is_empty());
        texts.map(Text::try_from).collect()
    };
    Ok(NameParts {
        family: component(0)?,
        given: component(1)?,
        additional: component(2)?,
        prefixes: component(3)?,
        suffixes: component(4)?,
        written: None,
    })
}

/// Several spaces and ends of lines become one space, as many programs leave them in names.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn part(property: &str, text: &str) -> Result<Text, String> {
    Text::try_from(one_line(text)).map_err(|error| format!("{property}: {error}"))
}

/// The texts of a property that are not empty.
fn texts(entry: &VCardEntry) -> impl Iterator<Item = String> {
    entry.values.iter().filter_map(|value| match value {
        VCardValue::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    })
}

fn first(entry: &VCardEntry) -> Option<String> {
    texts(entry).next()
}

fn is_plain_text(entry: &VCardEntry) -> bool {
    let mut parameters = entry.params.iter();
    !parameters.any(|it| it.name == VCardParameterName::Value) || dates::is_text(entry)
}

fn is_individual(entry: &VCardEntry) -> bool {
    match entry.values.first() {
        Some(VCardValue::Kind(kind)) => *kind == VCardKind::Individual,
        // What is not registered counts as an individual (RFC 6350, section 6.1.4).
        _ => true,
    }
}

/// What stands behind the first colon outside of quotation marks.
fn value_of(line: &str) -> &str {
    let mut is_quoted = false;
    let mut colon = line.char_indices().filter(|(_, c)| {
        is_quoted ^= *c == '"';
        *c == ':' && !is_quoted
    });
    colon.next().map_or("", |(at, _)| &line[at + 1..])
}
