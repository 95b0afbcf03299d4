//! What a source from elsewhere says about a person, and the commands that it asks for.

use cim_es::prelude::*;

use super::aggregate::{Person, PersonCommand};
use super::attribute::{Attribute, AttributeValue};
use super::date::Date;
use super::name::PersonName;
use super::values::{Label, Reason};

/// What a source says about a person now. What it does not mention it leaves as it is: silence is no evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    name: PersonName,
    birth_date: Option<Date>,
    death_date: Option<Date>,
    attributes: Vec<AttributeValue>,
}

/// Two values of a type of which a person has one at a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are two values of {0}, of which a person has one: keep the right one")]
pub struct TwoValues(
    /// The type.
    pub &'static str,
);

impl Record {
    /// A record that says a name and nothing else.
    pub fn new(name: PersonName) -> Self {
        Self {
            name,
            birth_date: None,
            death_date: None,
            attributes: Vec::new(),
        }
    }

    /// With the dates of birth and death, where they are known.
    pub fn with_dates(self, birth_date: Option<Date>, death_date: Option<Date>) -> Self {
        Self {
            birth_date,
            death_date,
            ..self
        }
    }

    /// With a further attribute; a value that is there already adds nothing.
    ///
    /// # Errors
    /// [`TwoValues`] for a second value of a type that takes one.
    pub fn with_attribute(mut self, value: AttributeValue) -> Result<Self, TwoValues> {
        if self.attributes.contains(&value) {
            return Ok(self);
        }
        let is_taken = |known: &AttributeValue| known.type_name() == value.type_name();
        if !value.is_multi_valued() && self.attributes.iter().any(is_taken) {
            return Err(TwoValues(value.type_name()));
        }
        self.attributes.push(value);
        Ok(self)
    }

    /// The name.
    pub fn name(&self) -> &PersonName {
        &self.name
    }

    /// What a person lacks or has otherwise, as commands in the order of a life.
    pub(super) fn commands(
        self,
        person: &Person,
        source: Label,
        reason: Reason,
        now: Timestamp,
    ) -> Vec<PersonCommand> {
        use PersonCommand::*;
        let says_other = |said: &Date, known: &Date| !said.is_made_precise_by(known);
        let mut commands = Vec::new();
        match &person.name {
            None => commands.push(Create {
                name: self.name,
                source,
            }),
            Some(known) if *known != self.name => commands.push(UpdateName {
                name: self.name,
                reason: reason.clone(),
            }),
            Some(_) => {}
        }
        match (self.birth_date, &person.birth_date) {
            (Some(date), None) => commands.push(SetBirthDate { date }),
            (Some(date), Some(known)) if says_other(&date, known) => {
                let evidence = reason.into();
                commands.push(CorrectBirthDate { date, evidence });
            }
            _ => {}
        }
        let today = Date::furthest_at(now);
        let attributes = self.attributes.into_iter();
        commands.extend(attributes.map(|it| attribute(it, person, today)));
        if let Some(date) = self.death_date
            && person
                .death_date
                .is_none_or(|known| says_other(&date, &known))
        {
            commands.push(RecordDeath { date });
        }
        commands
    }
}

/// The command that a value asks for: an update, which changes nothing when the person has that value, or a new attribute.
/// A value that was ended begins again today.
fn attribute(value: AttributeValue, person: &Person, today: Option<Date>) -> PersonCommand {
    use PersonCommand::{RecordAttribute, UpdateAttribute};
    let wanted = Attribute::always(value.clone());
    let rivals = person.attributes.iter();
    let rivals: Vec<_> = rivals
        .filter(|(_, it)| it.conflicts_with(&wanted))
        .collect();
    let holds = |it: &Attribute| today.is_none_or(|today| it.holds_at(&today));
    match rivals.iter().find(|(_, it)| holds(it)) {
        Some((number, present)) => UpdateAttribute {
            number: *number,
            attribute: present.with_value(value),
        },
        None if rivals.is_empty() => RecordAttribute { attribute: wanted },
        None => RecordAttribute {
            attribute: wanted.beginning(today),
        },
    }
}
