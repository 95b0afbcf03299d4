//! The rules of the person domain: as tables on its page, over generated histories, and value by value.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use crate::accepted::is_accepted;
use cim_es::prelude::*;
use cim_es::testing::proptest;
use cim_es::testing::proptest::prelude::*;
use cim_es::testing::proptest::sample::select;
use cim_es::testing::{Given, SchemaLock, Specification, check_machine, given, given_nothing};
use cim_es_examples::person::attribute::{Attribute, AttributeValue, Sex};
use cim_es_examples::person::date::Date;
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

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("person")
        .join(file)
}

#[test]
fn the_page_shows_the_lifecycle_the_subjects_and_the_rules() {
    let specification = Specification::new().aggregate(states(), commands());
    specification.check_page(here("README.md"));
}

#[test]
fn stored_events_survive() {
    let fields = ["name", "source"].map(str::to_owned);
    let values = ["Augusta Ada King", "people.vcf"].map(Ipld::from);
    let created = Ipld::Map(fields.into_iter().zip(values).collect());
    let lock = SchemaLock::new()
        .aggregate::<Person>(samples())
        .former::<Person>([(EnvelopeView::new("people.person.created", 1), created)]);
    lock.check(here("schema.lock"));
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

fn language(from: &str, until: &str) -> Attribute {
    let value = AttributeValue::Language(text("de"));
    Attribute::new(value, Some(text(from)), Some(text(until))).expect("it begins before it ends")
}

#[test]
fn one_value_holds_at_a_time_also_after_an_update() {
    let recorded = |number, attribute| AttributeRecorded { number, attribute };
    let history = || {
        [
            recorded(1, language("2000", "2009")),
            recorded(2, language("2010", "2019")),
        ]
    };
    person(history())
        .when(UpdateAttribute {
            number: 1,
            attribute: language("2000", "2010-01-01"),
        })
        .then_error(PersonError::Conflict {
            number: 2,
            attribute: language("2010", "2019"),
        });
    let attribute = language("2000", "2008");
    person(history())
        .when(UpdateAttribute {
            number: 1,
            attribute: attribute.clone(),
        })
        .then([AttributeUpdated {
            number: 1,
            attribute,
        }]);
    person(history())
        .when(RecordAttribute {
            attribute: language("2020", "2021"),
        })
        .then([recorded(3, language("2020", "2021"))]);
}

#[test]
fn the_number_of_an_attribute_that_never_held_is_not_given_again() {
    let invalidated = AttributeInvalidated {
        number: 1,
        reason: reason(),
    };
    person([recorded_sex(Sex::Male), invalidated])
        .when(RecordAttribute {
            attribute: sex(Sex::Female),
        })
        .then([AttributeRecorded {
            number: 2,
            attribute: sex(Sex::Female),
        }]);
}

fn recorded_sex(sex: Sex) -> PersonEvent {
    attribute_recorded(1, AttributeValue::Sex(sex))
}

#[test]
fn a_day_has_come_once_it_has_begun_somewhere_on_earth() {
    // The first hour of 2026 on the Line Islands, and the hour before.
    let begun: Timestamp = "2025-12-31T10:00:00Z".parse().expect("a time");
    let not_begun: Timestamp = "2025-12-31T09:59:59Z".parse().expect("a time");
    let date = text("2026-01-01");
    person([])
        .at(begun)
        .when(RecordDeath { date })
        .then([DeathRecorded { date }]);
    person([])
        .at(not_begun)
        .when(RecordDeath { date })
        .then_error(PersonError::InFuture(date));
}

#[test]
fn an_import_is_one_commit_of_what_its_single_commands_would_give() {
    let record = record()
        .with_dates(Some(text("1985-04-12")), Some(text("2020-02-29")))
        .with_attribute(AttributeValue::Sex(Sex::Female))
        .expect("one value");
    given_nothing::<Person>()
        .when(Import {
            record,
            source: text("people.vcf"),
            reason: reason(),
        })
        .then([created(), born(), recorded_sex(Sex::Female), died()]);
}

/// One event of every kind, with every kind of value in it and every optional field filled once.
fn samples() -> Vec<PersonEvent> {
    let full = NameParts {
        family: vec![text("King"), text("Byron")],
        given: vec![text("Augusta")],
        additional: vec![text("Ada")],
        prefixes: vec![text("Lady")],
        suffixes: vec![text("of Lovelace")],
        written: Some(text("Ada Lovelace")),
    };
    let full: PersonName = full.try_into().expect("a name");
    let (from, until) = (Some(text("1985-04-12")), Some(text("2020-02")));
    let mut samples = vec![
        Created {
            name: full.clone(),
            source: text("people.vcf"),
        },
        NameUpdated {
            old: full.clone(),
            new: full,
            reason: reason(),
        },
        born(),
        BirthDateCorrected {
            date: text("1985"),
            evidence: text("passport"),
        },
        died(),
        deactivated(),
        Reactivated { reason: reason() },
        MergedInto {
            target: id(2),
            reason: reason(),
        },
        AttributeInvalidated {
            number: 1,
            reason: reason(),
        },
        Archived { reason: reason() },
    ];
    for (number, value) in (1..).zip(values()) {
        let ended = Attribute::new(value.clone(), from, until).expect("it begins before it ends");
        for attribute in [Attribute::always(value), ended] {
            samples.push(AttributeUpdated {
                number,
                attribute: attribute.clone(),
            });
            samples.push(AttributeRecorded { number, attribute });
        }
    }
    samples
}

/// A value of every type, and every choice of a type that has few.
fn values() -> Vec<AttributeValue> {
    use AttributeValue::{
        BirthPlace, GenderIdentity, Height, Language, Nationality, Nickname, OrganDonor, Pronouns,
    };
    let sexes = [Sex::Female, Sex::Male, Sex::Other, Sex::None];
    let height = 170_u16.try_into().expect("positive");
    let mut values = vec![
        BirthPlace(text("London")),
        GenderIdentity(text("woman")),
        Height(height),
        Language(text("en-GB")),
        Nationality(text("GB")),
        Nickname(text("The Enchantress of Numbers")),
        OrganDonor(true),
        Pronouns(text("she/her")),
    ];
    values.extend(sexes.map(AttributeValue::Sex));
    values
}

#[test]
fn every_event_and_every_type_of_attribute_has_a_sample_that_survives_the_store() {
    let samples = samples();
    for variant in PersonEvent::VARIANTS {
        let is_it = |event: &PersonEvent| event.info().variant == *variant;
        assert!(samples.iter().any(is_it), "no sample of {variant}");
    }
    for event in samples {
        let bytes = cim_es::event::encode_payload(&event).expect("it is stored");
        let info = event.info();
        let again = cim_es::event::decode_payload(info.event_type, info.schema, &bytes);
        assert_eq!(again, Ok(event));
    }
    // The name of a type is what is stored of it.
    for value in values() {
        let stored = serde_json::to_value(&value).expect("it is stored");
        assert_eq!(
            stored
                .as_object()
                .and_then(|it| it.keys().next())
                .map(String::as_str),
            Some(value.type_name())
        );
    }
}

fn some_date() -> impl Strategy<Value = Date> + Clone {
    select(
        [
            "1984",
            "1985-04",
            "1985-04-12",
            "1985-04-13",
            "2020-02-29",
            "2025-12",
            "2026-01-01",
            "2030",
        ]
        .map(text::<Date>)
        .to_vec(),
    )
}

fn some_value() -> impl Strategy<Value = AttributeValue> + Clone {
    select(values())
}

fn some_attribute() -> impl Strategy<Value = Attribute> {
    let date = || proptest::option::of(some_date());
    (some_value(), date(), date()).prop_map(|(value, from, until)| {
        let attribute = Attribute::new(value.clone(), from, until);
        attribute.unwrap_or_else(|_| Attribute::always(value))
    })
}

fn some_record() -> impl Strategy<Value = Record> {
    let date = || proptest::option::weighted(0.3, some_date());
    let values = proptest::collection::vec(some_value(), 0..3);
    (some_name(), date(), date(), values).prop_map(|(name, birth, death, values)| {
        let record = Record::new(name).with_dates(birth, death);
        values.into_iter().fold(record, |record, value| {
            let with = record.clone().with_attribute(value);
            with.unwrap_or(record)
        })
    })
}

fn some_name() -> impl Strategy<Value = PersonName> + Clone {
    select(vec![
        ada(),
        name("Ada", "Lovelace"),
        name("Hypatia", "of Alexandria"),
    ])
}

fn some_command() -> impl Strategy<Value = PersonCommand> {
    let number = || 0..6_u32;
    let target = select(vec![id(SELF), id(2)]);
    prop_oneof![
        some_name().prop_map(|name| Create {
            name,
            source: text("by hand")
        }),
        some_name().prop_map(|name| UpdateName {
            name,
            reason: reason()
        }),
        some_date().prop_map(|date| SetBirthDate { date }),
        some_date().prop_map(|date| CorrectBirthDate {
            date,
            evidence: text("passport")
        }),
        some_date().prop_map(|date| RecordDeath { date }),
        Just(Deactivate { reason: reason() }),
        Just(Reactivate { reason: reason() }),
        target.prop_map(|target| MergeInto {
            target,
            reason: reason()
        }),
        some_attribute().prop_map(|attribute| RecordAttribute { attribute }),
        (number(), some_attribute())
            .prop_map(|(number, attribute)| UpdateAttribute { number, attribute }),
        number().prop_map(|number| InvalidateAttribute {
            number,
            reason: reason()
        }),
        Just(Archive { reason: reason() }),
        some_record().prop_map(|record| Import {
            record,
            source: text("people.vcf"),
            reason: reason(),
        }),
    ]
}

/// What holds of every person, whatever happened.
fn check_invariants(person: &Person) {
    if person.state() != PersonState::Unknown {
        let parts = person.name.as_ref().expect("everybody has a name").parts();
        assert!(!parts.family.is_empty() || !parts.given.is_empty());
    }
    if let Some((birth, death)) = person.birth_date.zip(person.death_date) {
        assert!(!birth.is_surely_after(&death), "{birth} {death}");
    }
    let now: Date = text("2026-01-02");
    for date in person.birth_date.iter().chain(&person.death_date) {
        assert!(!date.is_surely_after(&now), "{date}");
    }
    assert_eq!(
        person.merged_into.is_some(),
        person.state() == PersonState::Merged
    );
    let is_active = person.state() == PersonState::Active;
    assert!(!is_active || person.out_of_use.is_none());
    for (place, (number, attribute)) in person.attributes.iter().enumerate() {
        assert!((1..=person.last_attribute).contains(number));
        for (other, rival) in &person.attributes[place + 1..] {
            assert_ne!(number, other);
            assert!(!attribute.conflicts_with(rival), "{attribute} {rival}");
        }
    }
}

#[test]
fn a_person_keeps_its_rules_over_any_history() {
    check_machine(|person: &Person| {
        check_invariants(person);
        some_command()
    });
}

/// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// Executes commands on a store of its own; gives the blocks, and the version at which each command was answered.
async fn blocks(commands: &[PersonCommand]) -> Vec<(Cid, Vec<u8>)> {
    let persons = Repository::<Person>::builder(MemoryEventStore::new())
        .clock(cim_es::message::FixedClock(NOW))
        .build();
    for (number, command) in commands.iter().enumerate() {
        let identity = MessageIdentity::root(Uuid::from_u128(number as u128), Some("test"));
        // Refused or not, it is the same each time.
        let _ = persons.execute(&id(SELF), command.clone(), &identity).await;
    }
    let history = persons.history(&id(SELF)).await.expect("it is read");
    let block = |recorded: &cim_es::repository::Recorded<PersonEvent>| {
        (recorded.stored.cid, recorded.stored.body().to_vec())
    };
    history.iter().map(block).collect()
}

/// The events of a command; none when it is refused.
fn accepted(person: &Person, command: PersonCommand) -> Option<Vec<PersonEvent>> {
    let context = Context::new(MessageIdentity::new_from_user("test"), NOW);
    let is_accepted = person.state().can_accept(&command);
    let events = is_accepted.then(|| person.decide(command, &context).ok())?;
    events.map(Events::into_vec)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_same_commands_with_the_same_identities_give_the_same_blocks(
        commands in proptest::collection::vec(some_command(), 1..24)
    ) {
        let commands = [vec![Create { name: ada(), source: text("by hand") }], commands].concat();
        let (one, other) = block_on(async { (blocks(&commands).await, blocks(&commands).await) });
        prop_assert!(!one.is_empty());
        prop_assert_eq!(one, other);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_happens_after_a_merge_or_in_the_archive_and_every_event_changes_something(
        commands in proptest::collection::vec(some_command(), 1..40)
    ) {
        let mut person = Person::default();
        for command in commands {
            let is_over = [PersonState::Merged, PersonState::Archived].contains(&person.state());
            let events = accepted(&person, command);
            prop_assert!(!is_over || events.is_none());
            for event in events.unwrap_or_default() {
                let before = person.clone();
                person.apply(event).expect("the machine has this edge");
                prop_assert_ne!(&before, &person);
                check_invariants(&person);
            }
        }
    }

    #[test]
    fn an_import_that_was_accepted_gives_nothing_the_second_time(
        before in proptest::collection::vec(some_command(), 0..12), record in some_record()
    ) {
        let mut person = Person::default();
        let import = Import { record, source: text("people.vcf"), reason: reason() };
        for command in before.into_iter().chain([import.clone()]) {
            let Some(events) = accepted(&person, command) else { continue };
            for event in events {
                person.apply(event).expect("the machine has this edge");
            }
        }
        if let Some(events) = accepted(&person, import) {
            prop_assert_eq!(events, vec![]);
        }
    }
}

#[test]
fn values_say_no_to_what_they_are_not() {
    for (text, is_good) in [
        ("Ada", true),
        ("李", true),
        ("", false),
        (" Ada", false),
        ("Ada\nByron", false),
        (&"a".repeat(201), false),
    ] {
        assert_eq!(is_accepted::<Text>(text), is_good, "{text}");
    }
    for (text, is_good) in [("CH", true), ("ch", false), ("CHE", false), ("", false)] {
        assert_eq!(is_accepted::<Country>(text), is_good, "{text}");
    }
    for (text, is_good) in [
        ("de", true),
        ("pt-BR", true),
        ("zh-Hant-TW", true),
        ("d", false),
        ("de_CH", false),
        ("de-", false),
        ("1a", false),
        ("de-123456789", false),
    ] {
        assert_eq!(is_accepted::<Language>(text), is_good, "{text}");
    }
    for (text, is_good) in [
        ("1985-04-12", true),
        ("2000-02-29", true),
        ("1985-04", true),
        ("1985", true),
        ("1900-02-29", false),
        ("1985-13", false),
        ("1985-4-1", false),
        ("85", false),
        ("0000", false),
        ("19850412", false),
        ("+985", false),
        ("1985-04-1２", false),
        ("1985-04-12 ", false),
    ] {
        assert_eq!(is_accepted::<Date>(text), is_good, "{text}");
    }
    assert_eq!(
        "1985-13"
            .parse::<Date>()
            .expect_err("no such month")
            .to_string(),
        "\"1985-13\" is no date: a day, a month or a year that there is, such as 1985-04-12, 1985-04 or 1985"
    );
}

#[test]
fn a_name_has_a_family_or_a_given_name_also_when_it_is_read_back() {
    let decoded = |json| serde_json::from_value::<PersonName>(json);
    assert!(decoded(serde_json::json!({ "given": ["Hypatia"] })).is_ok());
    for refused in [
        serde_json::json!({}),
        serde_json::json!({ "written": "Hypatia" }),
        serde_json::json!({ "prefixes": ["Dr."], "family": [] }),
        serde_json::json!({ "family": [""] }),
        serde_json::json!({ "family": ["Byron"], "born": "1815" }),
    ] {
        assert!(decoded(refused.clone()).is_err(), "{refused}");
    }
    let name = decoded(serde_json::json!({ "given": ["Ada"], "written": "Ada" })).expect("a name");
    assert_eq!(
        name.parts().written,
        None,
        "a name that is its parts is kept once"
    );
}

#[test]
fn an_attribute_does_not_end_before_it_begins_also_when_it_is_read_back() {
    let decoded = |from: &str, until: &str| {
        let json = serde_json::json!({
            "value": { "language": "de" }, "valid_from": from, "valid_until": until
        });
        serde_json::from_value::<Attribute>(json).is_ok()
    };
    for (from, until, is_good) in [
        ("2020-01-01", "2020-01-01", true),
        ("2020-06", "2020", true),
        ("2020", "2020-01-01", true),
        ("2020-01-02", "2020-01-01", false),
        ("2021", "2020", false),
    ] {
        let value = AttributeValue::Language(text("de"));
        let made = Attribute::new(value, Some(text(from)), Some(text(until)));
        assert_eq!(
            (made.is_ok(), decoded(from, until)),
            (is_good, is_good),
            "{from} {until}"
        );
    }
}

proptest! {
    #[test]
    fn a_date_prints_as_it_was_read_and_lasts_as_long_as_it_says(
        year in 1..=9_999_u16, month in 1..=12_u8, day in 1..=31_u8, parts in 0..3_usize
    ) {
        let month = Some(month).filter(|_| parts > 0);
        let day = Some(day).filter(|_| parts > 1);
        let Some(date) = Date::of(year, month, day) else {
            prop_assert!(day.is_some_and(|day| day > 28), "the only dates that there are not");
            return Ok(());
        };
        prop_assert_eq!(date.to_string().parse::<Date>(), Ok(date));
        let days = (date.last_day() - date.first_day()).num_days() + 1;
        let expected = match parts { 0 => 365..=366, 1 => 28..=31, _ => 1..=1 };
        prop_assert!(expected.contains(&days), "{} has {} days", date, days);
        prop_assert!(date.is_made_precise_by(&date) && !date.is_surely_after(&date));
    }

    #[test]
    fn two_dates_are_before_after_or_possibly_the_same(one in some_date(), other in some_date()) {
        let (after, before) = (one.is_surely_after(&other), other.is_surely_after(&one));
        prop_assert!(!(after && before));
        if one.is_made_precise_by(&other) {
            prop_assert!(!after && !before);
        }
    }

    #[test]
    fn conflicts_are_mutual_and_need_a_common_day(one in some_attribute(), other in some_attribute()) {
        prop_assert_eq!(one.conflicts_with(&other), other.conflicts_with(&one));
        let is_common = |it: &Date| one.holds_at(it) && other.holds_at(it);
        let days = ["1984-06-01", "1985-04-12", "1985-04-13", "2000-01-01", "2020-02-29", "2030-01-01"];
        let is_same = one.value() == other.value();
        if is_same && days.map(text::<Date>).iter().any(is_common) {
            prop_assert!(one.conflicts_with(&other));
        }
    }

    #[test]
    fn any_text_makes_a_name_or_is_refused(written in "\\PC{0,40}") {
        if let Ok(name) = PersonName::from_full(&written) {
            prop_assert_eq!(name.to_string(), written);
            let json = serde_json::to_value(&name).expect("it is written");
            prop_assert_eq!(serde_json::from_value::<PersonName>(json).expect("it is read"), name);
        }
    }
}
