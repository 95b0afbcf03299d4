//! A person: recorded, kept current, and in the end archived, or merged into the record that stands for the same person.

use cim_es::prelude::*;

use self::{PersonCommand::*, PersonError::*, PersonEvent::*};
use super::attribute::{Attribute, AttributeNumber};
use super::date::Date;
use super::name::PersonName;
use super::record::Record;
use super::values::{Evidence, Label, Reason};
use super::version_1;

/// The lifecycle. `Import` stands beside each command whose events it may give.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[on(Active | Deactivated | Deceased: UpdateAttribute / AttributeUpdated => _)]
#[on(Active | Deactivated | Deceased: InvalidateAttribute / AttributeInvalidated => _)]
#[on(Active | Deactivated | Deceased: Import / AttributeUpdated => _)]
#[on(Active | Deactivated: RecordDeath / DeathRecorded => Deceased, Import / DeathRecorded => Deceased)]
#[on(Active | Deactivated: MergeInto / MergedInto => Merged)]
#[on(Deactivated | Deceased: Archive / Archived => Archived)]
pub enum PersonState {
    #[state(initial)]
    #[on(Create / Created => Active, Import / Created => Active)]
    Unknown,
    #[on(UpdateName / NameUpdated => _)]
    #[on(SetBirthDate / BirthDateSet => _, CorrectBirthDate / BirthDateCorrected => _)]
    #[on(RecordAttribute / AttributeRecorded => _)]
    #[on(Import / NameUpdated => _, Import / BirthDateSet => _, Import / BirthDateCorrected => _)]
    #[on(Import / AttributeRecorded => _, Deactivate / Deactivated => Deactivated)]
    Active,
    /// The record is out of use: it takes corrections of attributes, and else waits for what becomes of it.
    #[on(Reactivate / Reactivated => Active)]
    Deactivated,
    /// The person has died: attributes are corrected, and in the end the record is closed.
    Deceased,
    /// Another record stands for the same person.
    #[state(terminal)]
    Merged,
    /// The record is closed.
    #[state(terminal)]
    Archived,
}

/// What happened, published as `people.person.created` and so on.
#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PersonEvent {
    /// The person is known from now on.
    #[event(version = 2)]
    #[upcast(from = 1, with = version_1::name_in_parts)]
    Created { name: PersonName, source: Label },
    /// The person has another name, or another spelling of it.
    #[apply(name = Some(new), _ = old, _ = reason)]
    NameUpdated {
        old: PersonName,
        new: PersonName,
        reason: Reason,
    },
    /// It is known when the person was born.
    #[apply(birth_date = Some(date))]
    BirthDateSet { date: Date },
    /// It was another day, month or year, or is known more precisely.
    #[apply(birth_date = Some(date), _ = evidence)]
    BirthDateCorrected { date: Date, evidence: Evidence },
    /// The person has died.
    #[apply(death_date = Some(date))]
    DeathRecorded { date: Date },
    /// The record is out of use.
    #[apply(out_of_use = Some((reason, since)))]
    Deactivated { reason: Reason, since: Timestamp },
    /// The record is in use again.
    #[apply(out_of_use = None, _ = reason)]
    Reactivated { reason: Reason },
    /// Another record stands for the same person: what is to be known is there.
    #[apply(merged_into = Some(target), _ = reason)]
    MergedInto { target: Id<Person>, reason: Reason },
    /// Something more is known.
    #[apply(attributes.push((number, attribute)), last_attribute = number)]
    AttributeRecorded {
        number: AttributeNumber,
        attribute: Attribute,
    },
    /// It holds for another time, or its value was not right.
    #[apply(with = Person::replace_attribute)]
    AttributeUpdated {
        number: AttributeNumber,
        attribute: Attribute,
    },
    /// It never held.
    #[apply(attributes.retain(|(known, _)| *known != number), _ = reason)]
    AttributeInvalidated {
        number: AttributeNumber,
        reason: Reason,
    },
    /// The record is closed.
    #[apply(_ = reason)]
    Archived { reason: Reason },
}

/// What can be asked of a record.
#[derive(Command, Clone, Debug)]
pub enum PersonCommand {
    Create {
        name: PersonName,
        source: Label,
    },
    UpdateName {
        name: PersonName,
        reason: Reason,
    },
    SetBirthDate {
        date: Date,
    },
    CorrectBirthDate {
        date: Date,
        evidence: Evidence,
    },
    RecordDeath {
        date: Date,
    },
    Deactivate {
        reason: Reason,
    },
    Reactivate {
        reason: Reason,
    },
    MergeInto {
        target: Id<Person>,
        reason: Reason,
    },
    RecordAttribute {
        attribute: Attribute,
    },
    UpdateAttribute {
        number: AttributeNumber,
        attribute: Attribute,
    },
    InvalidateAttribute {
        number: AttributeNumber,
        reason: Reason,
    },
    Archive {
        reason: Reason,
    },
    /// Takes over what a record from elsewhere says: what is new is recorded, what differs is changed for the reason.
    Import {
        record: Record,
        source: Label,
        reason: Reason,
    },
}

/// What is known of one person.
#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "people", name = "person", error = PersonError)]
pub struct Person {
    state: PersonState,
    pub name: Option<PersonName>,
    /// Where the first record of the person came from.
    pub source: Option<Label>,
    pub birth_date: Option<Date>,
    pub death_date: Option<Date>,
    /// Why the record is out of use, and since when.
    pub out_of_use: Option<(Reason, Timestamp)>,
    /// The record that stands for the person instead.
    pub merged_into: Option<Id<Person>>,
    /// What stands, in the order in which it was recorded.
    pub attributes: Vec<(AttributeNumber, Attribute)>,
    /// The highest number that was given; that of an invalidated attribute is not given again.
    pub last_attribute: AttributeNumber,
}

/// Why a command is refused, beside those that the lifecycle refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PersonError {
    #[error("the birth date is {0}: correct it, with evidence")]
    BirthDateKnown(Date),
    #[error("no birth date is known that could be corrected: set it")]
    NoBirthDate,
    #[error("{0} has not come yet: give a date that has")]
    InFuture(Date),
    #[error("a death ({death}) would be before the birth ({birth}): correct the wrong one")]
    DeathBeforeBirth { birth: Date, death: Date },
    #[error("a person is not merged into itself: name the other record")]
    MergedIntoItself,
    #[error(
        "attribute {number} ({attribute}) holds at the same time: update it, or invalidate it first"
    )]
    Conflict {
        number: AttributeNumber,
        attribute: Attribute,
    },
    #[error("there is no attribute {0}")]
    UnknownAttribute(AttributeNumber),
    #[error("attribute {number} is a {present}, not a {asked}: record the other as a new one")]
    OtherType {
        number: AttributeNumber,
        present: &'static str,
        asked: &'static str,
    },
    #[error(
        "the record asks for {needed}, which a person in state {state} does not accept: change one of the two first"
    )]
    NotNow {
        needed: &'static str,
        state: &'static str,
    },
}

impl Person {
    fn replace_attribute(&mut self, number: AttributeNumber, attribute: Attribute) {
        let mut known = self.attributes.iter_mut();
        if let Some((_, present)) = known.find(|(known, _)| *known == number) {
            *present = attribute;
        }
    }

    /// The attribute with a number.
    pub fn attribute(&self, number: AttributeNumber) -> Option<&Attribute> {
        let mut known = self.attributes.iter();
        known.find_map(|(it, attribute)| (*it == number).then_some(attribute))
    }

    /// Refuses what keeps an attribute from standing beside those other than `number`.
    fn check_attribute(
        &self,
        number: AttributeNumber,
        attribute: &Attribute,
    ) -> Result<(), PersonError> {
        let mut others = self.attributes.iter().filter(|(it, _)| *it != number);
        match others.find(|(_, other)| other.conflicts_with(attribute)) {
            None => Ok(()),
            Some((number, attribute)) => Err(Conflict {
                number: *number,
                attribute: attribute.clone(),
            }),
        }
    }

    /// The dates of a life: both have come, and birth is not after death.
    fn check_dates(
        birth: Option<Date>,
        death: Option<Date>,
        context: &Context,
    ) -> Result<(), PersonError> {
        let today = Date::furthest_at(context.now());
        let has_not_come = |date: &Date| today.is_some_and(|today| date.is_surely_after(&today));
        if let Some(date) = birth.into_iter().chain(death).find(has_not_come) {
            return Err(InFuture(date));
        }
        match birth.zip(death) {
            Some((birth, death)) if birth.is_surely_after(&death) => {
                Err(DeathBeforeBirth { birth, death })
            }
            _ => Ok(()),
        }
    }

    fn name_updated(&self, new: PersonName, reason: Reason) -> Decision<Self> {
        match &self.name {
            Some(old) if *old != new => {
                let old = old.clone();
                emit(NameUpdated { old, new, reason })
            }
            _ => nothing(),
        }
    }

    fn birth_date_set(&self, date: Date, context: &Context) -> Decision<Self> {
        Self::check_dates(Some(date), None, context)?;
        match self.birth_date {
            Some(known) if known == date => nothing(),
            Some(known) => Err(BirthDateKnown(known)),
            None => emit(BirthDateSet { date }),
        }
    }

    fn birth_date_corrected(
        &self,
        date: Date,
        evidence: Evidence,
        context: &Context,
    ) -> Decision<Self> {
        Self::check_dates(Some(date), None, context)?;
        match self.birth_date {
            None => Err(NoBirthDate),
            Some(known) if known == date => nothing(),
            Some(_) => emit(BirthDateCorrected { date, evidence }),
        }
    }

    fn attribute_recorded(&self, attribute: Attribute) -> Decision<Self> {
        if self.attributes.iter().any(|(_, it)| *it == attribute) {
            return nothing();
        }
        let number = self.last_attribute + 1;
        self.check_attribute(number, &attribute)?;
        emit(AttributeRecorded { number, attribute })
    }

    fn attribute_updated(&self, number: AttributeNumber, attribute: Attribute) -> Decision<Self> {
        let known = self.attribute(number).ok_or(UnknownAttribute(number))?;
        let (present, asked) = (known.value().type_name(), attribute.value().type_name());
        match present == asked {
            false => Err(OtherType {
                number,
                present,
                asked,
            }),
            true if *known == attribute => nothing(),
            true => {
                self.check_attribute(number, &attribute)?;
                emit(AttributeUpdated { number, attribute })
            }
        }
    }

    /// What of a record is not known here, as events of one commit: each as its own command would give it.
    fn imported(
        &self,
        record: Record,
        source: Label,
        reason: Reason,
        context: &Context,
    ) -> Decision<Self> {
        let (mut after, mut events) = (self.clone(), Vec::new());
        for command in record.commands(self, source, reason, context.now()) {
            if !after.state.can_accept(&command) {
                let (needed, state) = (command.name(), after.state.name());
                return Err(NotNow { needed, state });
            }
            for event in after.decide(command, context)?.into_vec() {
                // What the machine does not declare under `Import` is refused before anything is stored.
                let _ = after.apply(event.clone());
                events.push(event);
            }
        }
        match events.is_empty() {
            true => nothing(),
            false => emit_all(events),
        }
    }
}

impl Decide for Person {
    fn decide(&self, command: PersonCommand, context: &Context) -> Decision<Self> {
        match command {
            Create { name, source } => emit(Created { name, source }),
            UpdateName { name, reason } => self.name_updated(name, reason),
            SetBirthDate { date } => self.birth_date_set(date, context),
            CorrectBirthDate { date, evidence } => {
                self.birth_date_corrected(date, evidence, context)
            }
            RecordDeath { date } => {
                Self::check_dates(self.birth_date, Some(date), context)?;
                emit(DeathRecorded { date })
            }
            Deactivate { reason } => {
                let since = context.now();
                emit(Deactivated { reason, since })
            }
            Reactivate { reason } => emit(Reactivated { reason }),
            MergeInto { target, .. } if context.is_for(&target) => Err(MergedIntoItself),
            MergeInto { target, reason } => emit(MergedInto { target, reason }),
            RecordAttribute { attribute } => self.attribute_recorded(attribute),
            UpdateAttribute { number, attribute } => self.attribute_updated(number, attribute),
            InvalidateAttribute { number, .. } if self.attribute(number).is_none() => {
                Err(UnknownAttribute(number))
            }
            InvalidateAttribute { number, reason } => emit(AttributeInvalidated { number, reason }),
            Archive { reason } => emit(Archived { reason }),
            Import {
                record,
                source,
                reason,
            } => self.imported(record, source, reason, context),
        }
    }
}
