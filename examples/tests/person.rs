//! The rules of the person domain: as tables on its page, over generated histories, and value by value.

use std::fmt::Debug;
use std::path::Path;

use cim_es::prelude::*;
use cim_es::testing::{
    Given, check_page, decision_table, diagram, given, given_nothing, subject_table,
};
use cim_es_examples::person::attribute::{Attribute, AttributeValue, Sex};
use cim_es_examples::person::name::{NameParts, PersonName};
use cim_es_examples::person::values::*;
use cim_es_examples::person::{PersonCommand::*, PersonError, PersonEvent::*, *};

fn text<T: TryFrom<String>>(text: &str) -> T
where
    T::Error: Debug,
{
    text.to_owned().try_into().expect("a value")
}

fn id(number: u128) -> Id<Person> {
    Id::from_uuid(Uuid::from_u128(
        0x0197_0000_0000_7000_8000_0000_0000_0000 + number,
    ))
}

fn name(given: &str, family: &str) -> PersonName {
    let parts = |part: &str| vec![text(part)];
    let parts = NameParts {
        given: parts(given),
        family: parts(family),
        ..NameParts::default()
    };
    parts.try_into().expect("a name")
}

fn ada() -> PersonName {
    name("Ada", "Byron")
}

fn reason() -> Reason {
    text("as told")
}

fn record() -> Record {
    Record::new(ada())
}

/// The one whose id the scenarios have.
const SELF: u128 = 1;

fn created() -> PersonEvent {
    Created {
        name: ada(),
        source: text("people.vcf"),
    }
}

fn born() -> PersonEvent {
    BirthDateSet {
        date: text("1985-04-12"),
    }
}

fn attribute_recorded(number: u32, value: AttributeValue) -> PersonEvent {
    AttributeRecorded {
        number,
        attribute: Attribute::always(value),
    }
}

fn deactivated() -> PersonEvent {
    Deactivated {
        reason: reason(),
        since: Timestamp::from_micros(1_700_000_000_000_000),
    }
}

fn died() -> PersonEvent {
    DeathRecorded {
        date: text("2020-02-29"),
    }
}

fn sex(sex: Sex) -> Attribute {
    Attribute::always(AttributeValue::Sex(sex))
}

fn person(events: impl IntoIterator<Item = PersonEvent>) -> Given<Person> {
    given([created()].into_iter().chain(events)).of(&id(SELF))
}

fn states() -> Vec<(&'static str, Given<Person>)> {
    let known = || {
        vec![
            born(),
            attribute_recorded(1, AttributeValue::Sex(Sex::Female)),
        ]
    };
    let then = |event| [known(), vec![event]].concat();
    let merged = MergedInto {
        target: id(2),
        reason: reason(),
    };
    let archived = Archived { reason: reason() };
    vec![
        ("Unknown", given_nothing().of(&id(SELF))),
        ("Active, name alone", person([])),
        ("Active, born 1985, sex is 1", person(known())),
        ("Deactivated", person(then(deactivated()))),
        ("Deceased", person(then(died()))),
        ("Merged", person(then(merged))),
        ("Archived", person([deactivated(), archived])),
    ]
}

fn commands() -> Vec<(&'static str, PersonCommand)> {
    let import = |record: Record| Import {
        record,
        source: text("other.vcf"),
        reason: reason(),
    };
    let said = |birth: Option<&str>, death: Option<&str>| {
        import(record().with_dates(birth.map(text), death.map(text)))
    };
    let with = |value| import(record().with_attribute(value).expect("one value"));
    vec![
        (
            "Create",
            Create {
                name: ada(),
                source: text("by hand"),
            },
        ),
        (
            "UpdateName",
            UpdateName {
                name: name("Ada", "Lovelace"),
                reason: reason(),
            },
        ),
        (
            "UpdateName, same name",
            UpdateName {
                name: ada(),
                reason: reason(),
            },
        ),
        (
            "SetBirthDate 1985-04-12",
            SetBirthDate {
                date: text("1985-04-12"),
            },
        ),
        (
            "SetBirthDate 1985-04-13",
            SetBirthDate {
                date: text("1985-04-13"),
            },
        ),
        (
            "SetBirthDate, in future",
            SetBirthDate {
                date: text("2026-02"),
            },
        ),
        (
            "CorrectBirthDate",
            CorrectBirthDate {
                date: text("1985-04-13"),
                evidence: text("passport"),
            },
        ),
        (
            "CorrectBirthDate, same date",
            CorrectBirthDate {
                date: text("1985-04-12"),
                evidence: text("passport"),
            },
        ),
        ("RecordDeath", RecordDeath { date: text("2025") }),
        (
            "RecordDeath, before birth",
            RecordDeath {
                date: text("1985-03"),
            },
        ),
        (
            "RecordDeath, in future",
            RecordDeath {
                date: text("2026-01-03"),
            },
        ),
        ("Deactivate", Deactivate { reason: reason() }),
        ("Reactivate", Reactivate { reason: reason() }),
        (
            "MergeInto",
            MergeInto {
                target: id(2),
                reason: reason(),
            },
        ),
        (
            "MergeInto, itself",
            MergeInto {
                target: id(SELF),
                reason: reason(),
            },
        ),
        (
            "RecordAttribute, nationality",
            RecordAttribute {
                attribute: Attribute::always(AttributeValue::Nationality(text("CH"))),
            },
        ),
        (
            "RecordAttribute, female",
            RecordAttribute {
                attribute: sex(Sex::Female),
            },
        ),
        (
            "RecordAttribute, male",
            RecordAttribute {
                attribute: sex(Sex::Male),
            },
        ),
        (
            "UpdateAttribute 1, male",
            UpdateAttribute {
                number: 1,
                attribute: sex(Sex::Male),
            },
        ),
        (
            "UpdateAttribute 1, female",
            UpdateAttribute {
                number: 1,
                attribute: sex(Sex::Female),
            },
        ),
        (
            "UpdateAttribute 1, a language",
            UpdateAttribute {
                number: 1,
                attribute: Attribute::always(AttributeValue::Language(text("de"))),
            },
        ),
        (
            "InvalidateAttribute 1",
            InvalidateAttribute {
                number: 1,
                reason: reason(),
            },
        ),
        ("Archive", Archive { reason: reason() }),
        ("Import, name alone", import(record())),
        (
            "Import, other name",
            import(Record::new(name("Ada", "Lovelace"))),
        ),
        ("Import, born 1985", said(Some("1985"), None)),
        ("Import, born 1985-04-13", said(Some("1985-04-13"), None)),
        ("Import, died 2020-02", said(None, Some("2020-02"))),
        ("Import, died 1970", said(None, Some("1970"))),
        ("Import, female", with(AttributeValue::Sex(Sex::Female))),
        ("Import, male", with(AttributeValue::Sex(Sex::Male))),
    ]
}

#[test]
fn the_page_shows_the_lifecycle_the_subjects_and_the_rules() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("person/README.md");
    check_page(
        page,
        &[
            ("person lifecycle", diagram::<Person>()),
            ("person subjects", subject_table::<Person>()),
            ("person rules", decision_table(states(), commands())),
        ],
    );
}

#[tokio::test]
async fn a_person_is_not_merged_into_itself() {
    let merge = |target| MergeInto {
        target,
        reason: reason(),
    };
    person([])
        .when(merge(id(SELF)))
        .then_error(PersonError::MergedIntoItself)
        .on(MemoryEventStore::new(), &id(SELF))
        .await;
    let merged = MergedInto {
        target: id(SELF),
        reason: reason(),
    };
    given([created()])
        .of(&id(2))
        .when(merge(id(SELF)))
        .then([merged])
        .on(MemoryEventStore::new(), &id(2))
        .await;
}
