//! vCard files: what is read, what is left out, what is refused with which line, and what a second import does.

use std::path::Path;
use std::process::{Command, Output};

use cim_es::prelude::*;
use cim_es::testing::proptest;
use cim_es_examples::person::import::{Mode, Outcome, import};
use cim_es_examples::person::vcard::card::id_of_uid;
use cim_es_examples::person::vcard::{Cards, Identify};
use cim_es_examples::person::{Person, PersonCommand, PersonState, view};
use proptest::prelude::*;

/// A card with a UID and these further lines.
fn card(uid: &str, lines: &[&str]) -> String {
    format!(
        "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{uid}\r\n{}\r\nEND:VCARD\r\n",
        lines.join("\r\n")
    )
}

fn read(file: &str) -> Cards {
    Cards::read(file.as_bytes(), Identify::ByUid)
}

/// What is wrong with a file, as it is reported.
fn wrong(file: &str) -> Vec<String> {
    read(file).bad.iter().map(ToString::to_string).collect()
}

async fn imported(persons: &Repository<Person>, file: &str, mode: Mode) -> Outcome {
    let source = "people.vcf".parse().expect("a source");
    let outcome = import(persons, &read(file), &source, mode, || {}).await;
    outcome.expect("the store takes it")
}

fn repository() -> Repository<Person> {
    Repository::new(MemoryEventStore::new())
}

async fn execute(persons: &Repository<Person>, uid: &str, command: PersonCommand) {
    let identity = MessageIdentity::new_from_user("test");
    let executed = persons.execute(&id_of_uid(uid), command, &identity).await;
    executed.expect("it is accepted");
}

/// The one person of a file, after it was imported.
async fn person(lines: &[&str]) -> Person {
    let persons = repository();
    let outcome = imported(&persons, &card("one", lines), Mode::EachCard).await;
    assert_eq!((outcome.new, &outcome.bad), (1, &vec![]), "{lines:?}");
    let loaded = persons.load(&id_of_uid("one")).await.expect("it loads");
    Person::clone(&loaded)
}

/// What a person has, one line each.
fn facts(person: &Person) -> Vec<String> {
    let name = person.name.iter().map(ToString::to_string);
    let dates = [person.birth_date, person.death_date];
    let dates = dates.iter().flatten().map(ToString::to_string);
    let attributes = person.attributes.iter().map(|(_, it)| it.to_string());
    name.chain(dates).chain(attributes).collect()
}

#[tokio::test]
async fn what_a_card_says_of_a_person_is_kept() {
    let person = person(&[
        "FN:Dr. Grace Hopper",
        "N:Hopper;Grace;Brewster,Murray;Dr.;PhD",
        "BDAY:19061209",
        "DEATHDATE:19920101",
        "GENDER:F;woman",
        "NICKNAME:Amazing Grace,Grandma COBOL",
        "LANG;PREF=1:en",
        "BIRTHPLACE:New York City",
    ])
    .await;
    assert_eq!(
        facts(&person),
        [
            "Dr. Grace Hopper",
            "1906-12-09",
            "1992-01-01",
            "sex female",
            "gender_identity woman",
            "nickname Amazing Grace",
            "nickname Grandma COBOL",
            "language en",
            "birth_place New York City",
        ]
    );
    let name = person.name.as_ref().expect("a name").parts();
    let additional: Vec<_> = name.additional.iter().map(ToString::to_string).collect();
    assert_eq!(additional, ["Brewster", "Murray"]);
    assert_eq!(person.state(), PersonState::Deceased);
}

#[tokio::test]
async fn lines_are_unfolded_and_unescaped() {
    let lines = [
        "FN:Max von B\r\n örgen",
        "N:von B\r\n örgen\\, der\\; J\\\\;Max;;;",
    ];
    // The first fold comes to stand within the two bytes of the letter, where some programs put it.
    let mut file = card("one", &lines).into_bytes();
    let letter = file
        .iter()
        .position(|byte| *byte == 0xC3)
        .expect("the letter");
    file[letter - 3..=letter].rotate_right(1);
    let cards = Cards::read(&file, Identify::ByUid);
    assert_eq!(cards.bad, []);
    let name = cards.people[0].record.name();
    assert_eq!(name.to_string(), "Max von Börgen");
    assert_eq!(name.parts().family[0].to_string(), "von Börgen, der; J\\");
}

#[tokio::test]
async fn dates_are_read_as_precisely_as_they_are() {
    for (line, expected) in [
        ("BDAY:19850412", Some("1985-04-12")),
        ("BDAY:1985-04-12", Some("1985-04-12")),
        ("BDAY:1985-04", Some("1985-04")),
        ("BDAY:1985", Some("1985")),
        ("BDAY:19850412T101500Z", Some("1985-04-12")),
        ("BDAY;VALUE=date:1985-04-12T00:00:00", Some("1985-04-12")),
        ("BDAY:--0412", None),
        ("BDAY:---12", None),
        ("BDAY;X-APPLE-OMIT-YEAR=1604:1604-04-12", None),
        ("BDAY;VALUE=text:around 1800", None),
        ("BDAY:", None),
    ] {
        let cards = read(&card("one", &["FN:Ada", line]));
        assert_eq!(cards.bad, [], "{line}");
        let known = person(&["FN:Ada", line]).await.birth_date;
        assert_eq!(
            known.map(|it| it.to_string()).as_deref(),
            expected,
            "{line}"
        );
        assert_eq!(
            cards.left_out.len(),
            usize::from(expected.is_none()),
            "{line}"
        );
    }
}

#[test]
fn contacts_addresses_and_employment_are_counted_and_left_out() {
    let cards = read(&card(
        "one",
        &[
            "FN:Ada",
            "item1.EMAIL;TYPE=work:ada@example.org",
            "EMAIL:ada@example.com",
            "TEL;VALUE=uri:tel:+1",
            "ADR:;;Street;Town;;1;CH",
            "ORG:Example\\, Inc.;Unit",
            "TITLE:Countess",
            "X-SPOUSE:William",
            "PRODID:-//nobody",
            "REV:20260101T000000Z",
        ],
    ));
    let counts: Vec<_> = cards
        .left_out
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    assert_eq!(
        counts,
        [
            ("ADR", 1),
            ("EMAIL", 2),
            ("ORG", 1),
            ("TEL", 1),
            ("TITLE", 1),
            ("X-SPOUSE", 1)
        ]
    );
    assert_eq!(
        cards.people[0].revision.as_deref(),
        Some("20260101T000000Z")
    );
}

#[test]
fn the_first_of_several_languages_or_scripts_counts() {
    let cards = read(&card(
        "one",
        &[
            "N;ALTID=1;LANGUAGE=jp:山田;太郎;;;",
            "N;ALTID=1;LANGUAGE=en:Yamada;Taro;;;",
            "FN;LANGUAGE=jp:山田太郎",
            "FN;LANGUAGE=en:Yamada Taro",
            "BIRTHPLACE;VALUE=uri:geo:35.7,139.7",
        ],
    ));
    assert_eq!(cards.bad, []);
    assert_eq!(cards.people[0].record.name().to_string(), "山田太郎");
    let names: Vec<_> = cards.left_out.keys().map(String::as_str).collect();
    assert_eq!(names, ["BIRTHPLACE", "FN", "N"]);
}

#[test]
fn cards_of_version_3_are_read_too() {
    let file = "BEGIN:vCard\nVERSION:3.0\nUID:a@b\nFN:Ada Lovelace\nN:Lovelace;Ada;;;\nBDAY:1815-12-10\nEND:vCard\n";
    let cards = read(file);
    assert_eq!((cards.people.len(), &cards.bad), (1, &vec![]));
}

#[test]
fn groups_organizations_and_things_are_no_people() {
    let other = |line| card("one", &["FN:Many", line]);
    for line in [
        "KIND:group",
        "KIND:org",
        "KIND:location",
        "KIND:device",
        "X-ADDRESSBOOKSERVER-KIND:group",
        "X-ABShowAs:COMPANY",
    ] {
        let cards = read(&other(line));
        assert_eq!((cards.people.len(), cards.others), (0, 1), "{line}");
    }
    assert_eq!(read(&other("KIND:individual")).people.len(), 1);
}

#[test]
fn a_name_is_taken_from_its_parts_or_else_from_how_it_is_written() {
    let name = |lines: &[&str]| {
        let cards = read(&card("one", lines));
        let name = cards.people.first().map(|card| card.record.name().clone());
        name.map(|name| {
            (
                name.to_string(),
                name.parts().family.len(),
                name.parts().given.len(),
            )
        })
    };
    let named = |text: &str, family, given| Some((text.to_owned(), family, given));
    assert_eq!(name(&["FN:Ada Lovelace"]), named("Ada Lovelace", 1, 1));
    assert_eq!(
        name(&["FN:Ada Lovelace", "N:;;;;"]),
        named("Ada Lovelace", 1, 1)
    );
    assert_eq!(name(&["FN:Hypatia"]), named("Hypatia", 0, 1));
    assert_eq!(name(&["N:Lovelace;Ada;;;"]), named("Ada Lovelace", 1, 1));
    assert_eq!(
        name(&["FN:  Ada   Lovelace ", "N:Lovelace;Ada;;;"]),
        named("Ada Lovelace", 1, 1)
    );
    assert_eq!(name(&["NOTE:nameless"]), None);
}

#[test]
fn a_bad_card_is_reported_with_its_line_and_the_others_are_read() {
    let file = [
        card("one", &["FN:Ada"]),                                           // 1 to 5
        card("two", &["FN:Ben", "BDAY:1985-13-01"]),                        // 6 to 11
        card("three", &["FN:Cid", "no property"]),                          // 12 to 17
        card("four", &["NOTE:nameless"]),                                   // 18 to 22
        card("one", &["FN:Eve"]),                                           // 23 to 27
        "astray\r\nstill\r\n".to_owned(),                                   // 28 and 29
        card("six", &["FN:Fay", "GENDER:X"]),                               // 30 to 35
        card("seven", &["FN:Gil", "UID:again"]),                            // 36 to 41
        "BEGIN:VCARD\r\nVERSION:2.1\r\nEND:VCARD\r\n".to_owned(),           // 42 to 44
        "BEGIN:VCARD\r\nFN:Hal\r\nEND:VCARD\r\n".to_owned(),                // 45 to 47
        "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ian\r\nEND:VCARD\r\n".to_owned(), // 48 to 51
        card("ten", &["FN:Joy", "BDAY:12.04.1985"]),                        // 52 to 57
        "BEGIN:VCARD\r\nVERSION:4.0\r\n".to_owned(),                        // 58
        card("eleven", &["FN:Lea", "LANG:e n"]),                            // 60 to 65
        card("last", &["FN:Kim"]),
    ]
    .concat();
    let cards = read(&file);
    let people: Vec<_> = cards
        .people
        .iter()
        .map(|it| it.record.name().to_string())
        .collect();
    assert_eq!(people, ["Ada", "Kim"]);
    assert_eq!(
        wrong(&file),
        [
            "line 10: BDAY is \"1985-13-01\", which is no date: write it as 1985-04-12",
            "line 16: this is no property: a name, a colon and a value",
            "line 18: the card has no name: add FN, or a family or given name to N",
            "line 23: the card at line 1 is of the same person: keep one of the two",
            "line 28: this is in no card: a card begins with BEGIN:VCARD",
            "line 34: GENDER begins with \"X\": write one of M F O N U, or nothing, before a semicolon",
            "line 40: UID is there twice: keep one",
            "line 43: version 2.1 is not read: save the cards as version 4.0 or 3.0",
            "line 45: the card has no VERSION: add VERSION:4.0, or 3.0 if it is that",
            "line 48: the card has no UID, by which a second import knows the person again: add one, or import with --by-name",
            "line 56: BDAY is \"12.04.1985\", which is no date: write it as 1985-04-12",
            "line 58: the card that begins here has no END:VCARD",
            "line 64: LANG: \"e n\" is no language: a tag of RFC 5646 such as de or pt-BR: 2 to 8 letters, then parts of 1 to 8 letters and digits after hyphens",
        ]
    );
}

#[test]
fn a_card_in_another_version_is_told_by_its_version_whatever_its_lines_are() {
    // As many telephones write them: quoted-printable, which goes on in a line that does not look like one.
    let file = "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=4D=C3=BC=6C=6C=65=\r\n=72;=4A;;;\r\nNOTE:x\r\nEND:VCARD\r\n";
    let wrong = wrong(file);
    assert_eq!(
        wrong,
        ["line 2: version 2.1 is not read: save the cards as version 4.0 or 3.0"]
    );
}

#[test]
fn what_is_odd_in_one_line_reaches_no_other_line() {
    // Lines that a parser may take for more than one, or for none, or for the end of the card.
    for odd in [
        "NOTE;ENCODING=QUOTED-PRINTABLE:a link=\r\nhttp://example.org",
        "PHOTO;ENCODING=b:QUJD\r\n REVG\r\n =",
        "NOTE:a \"quotation",
        "X-A;B=\"open:x",
    ] {
        let file = card(
            "one",
            &["FN:Ada", odd, "REV:20200101T000000Z", "BDAY:18151210"],
        );
        let cards = read(&file);
        assert_eq!(cards.bad, [], "{odd}");
        let expected = "FN:Ada\r\nREV:20200101T000000Z\r\nBDAY:18151210";
        let expected = read(&card("one", &[expected]));
        assert_eq!(cards.people, expected.people, "{odd}");
    }
    for odd in ["item1.:x", "END:VEVENT", "BEGIN:VEVENT"] {
        let file = card("one", &["FN:Ada", odd, "BDAY:1985-13-01"]);
        assert_eq!(
            wrong(&file),
            ["line 5: this is no property: a name, a colon and a value"],
            "{odd}"
        );
    }
    // It was to go on, and the card ends.
    let note = "NOTE;ENCODING=QUOTED-PRINTABLE:a link=";
    assert_eq!(read(&card("one", &["FN:Ada", note])).people.len(), 1);
    let name = "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BC=\r\nller;J=C3=B6rg;;;";
    let cards = read(&card("one", &[name]));
    assert_eq!(cards.people[0].record.name().to_string(), "Jörg Müller");
}

#[test]
fn the_id_of_a_person_follows_from_the_uid() {
    let uuid = "0f0ed4a0-7a3e-4d0e-9a4e-1b6b0f6f2c01";
    for uid in [
        uuid,
        &format!("urn:uuid:{uuid}"),
        &format!("URN:UUID:{}", uuid.to_uppercase()),
    ] {
        assert_eq!(id_of_uid(uid).to_string(), uuid);
    }
    // Fixed for ever: a later program has to know the same people again.
    assert_eq!(
        id_of_uid("hypatia@example.org").to_string(),
        "4baddf5b-19d2-5af4-94ae-c4c337b5b41a"
    );
    assert_ne!(id_of_uid("a"), id_of_uid("b"));
}

#[test]
fn people_without_uid_are_known_by_name_and_birth_date_where_that_is_asked_for() {
    let card = |birth: &str| {
        format!("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ada Lovelace\r\nBDAY:{birth}\r\nEND:VCARD\r\n")
    };
    let file = [card("1815"), card("1816"), card("1815")].concat();
    let cards = Cards::read(file.as_bytes(), Identify::ByUidOrName);
    assert_eq!(cards.people.len(), 2);
    assert_ne!(cards.people[0].id, cards.people[1].id);
    assert_eq!(cards.bad[0].line, 11);
    assert_eq!(wrong(&file).len(), 3);
}

#[tokio::test]
async fn a_second_import_of_the_same_file_changes_nothing() {
    let file = include_str!("../../person/people.vcf");
    let persons = repository();
    let first = imported(&persons, file, Mode::EachCard).await;
    assert_eq!((first.new, first.bad.len()), (3, 0));
    for mode in [Mode::EachCard, Mode::AllOrNothing] {
        let again = imported(&persons, file, mode).await;
        assert_eq!((again.new, again.changed, again.unchanged), (0, 0, 3));
        assert!(again.events.is_empty());
    }
}

#[tokio::test]
async fn a_changed_card_changes_the_person_and_says_why() {
    let persons = repository();
    let before = card(
        "one",
        &["FN:Ada Byron", "BDAY:1815-12", "GENDER:M", "LANG:en"],
    );
    imported(&persons, &before, Mode::EachCard).await;
    let after = card(
        "one",
        &[
            "REV:20260102T000000Z",
            "FN:Ada Lovelace",
            "BDAY:1815-11-10",
            "GENDER:F",
            "LANG:fr",
            "DEATHDATE:1852",
        ],
    );
    let outcome = imported(&persons, &after, Mode::EachCard).await;
    let events: Vec<_> = outcome
        .events
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    assert_eq!(outcome.changed, 1);
    assert_eq!(
        events,
        [
            "people.person.attribute_recorded 1",
            "people.person.attribute_updated 1",
            "people.person.birth_date_corrected 1",
            "people.person.death_recorded 1",
            "people.person.name_updated 1",
        ]
    );
    let history = persons
        .history(&id_of_uid("one"))
        .await
        .expect("it is read");
    let commits = history.iter().map(|it| it.stored.envelope.commit);
    let expected = (1..=4)
        .map(|index| [index, 4, index, 4].into())
        .chain((1..=5).map(|index| [index, 5, index, 5].into()));
    assert!(commits.eq(expected));
    let shown = view::history(&history).to_string();
    let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("in people.vcf, revision 20260102T000000Z"),
        "{shown}"
    );
    let person = persons.load(&id_of_uid("one")).await.expect("it loads");
    assert_eq!(
        facts(&person),
        [
            "Ada Lovelace",
            "1815-11-10",
            "1852",
            "sex female",
            "language en",
            "language fr"
        ]
    );
}

#[tokio::test]
async fn a_less_precise_date_and_a_missing_property_change_nothing() {
    let persons = repository();
    let before = card("one", &["FN:Ada", "BDAY:1815-12-10", "LANG:en"]);
    imported(&persons, &before, Mode::EachCard).await;
    let outcome = imported(
        &persons,
        &card("one", &["FN:Ada", "BDAY:1815"]),
        Mode::EachCard,
    )
    .await;
    assert_eq!((outcome.unchanged, outcome.events.len()), (1, 0));
}

#[tokio::test]
async fn a_refused_card_leaves_nothing_of_itself() {
    let persons = repository();
    let file = [
        card("one", &["FN:Ada", "LANG:en", "BDAY:2999"]),
        card("two", &["FN:Ben", "BDAY:1990", "DEATHDATE:1980"]),
        card("three", &["FN:Cid"]),
    ]
    .concat();
    let outcome = imported(&persons, &file, Mode::EachCard).await;
    let bad: Vec<_> = outcome.bad.iter().map(ToString::to_string).collect();
    assert_eq!(outcome.new, 1);
    assert_eq!(
        bad,
        [
            "line 1: 2999 has not come yet: give a date that has",
            "line 8: a death (1980) would be before the birth (1990): correct the wrong one",
        ]
    );
    for uid in ["one", "two"] {
        let person = persons.load(&id_of_uid(uid)).await.expect("it loads");
        assert_eq!(person.version(), 0, "{uid}");
    }
}

#[tokio::test]
async fn all_or_nothing_records_nothing_when_a_single_card_is_bad() {
    let good = card("one", &["FN:Ada"]);
    for bad in [
        "astray\r\n".to_owned(),
        card("two", &["FN:Ben", "BDAY:2999"]),
    ] {
        let persons = repository();
        let outcome = imported(&persons, &[good.clone(), bad].concat(), Mode::AllOrNothing).await;
        assert_eq!((outcome.new, outcome.bad.len()), (0, 1));
        let everybody = persons.load_all().await.expect("it is read");
        assert!(everybody.is_empty());
        assert_eq!(imported(&persons, &good, Mode::AllOrNothing).await.new, 1);
    }
}

#[tokio::test]
async fn archived_and_merged_people_stay_as_they_are() {
    let persons = repository();
    let file = [card("one", &["FN:Ada"]), card("two", &["FN:Ada L."])].concat();
    imported(&persons, &file, Mode::EachCard).await;
    let reason = || "the same person".parse().expect("a reason");
    let target = id_of_uid("one");
    let merge = PersonCommand::MergeInto {
        target,
        reason: reason(),
    };
    execute(&persons, "two", merge).await;
    let changed = [card("one", &["FN:Ada"]), card("two", &["FN:Ada Lovelace"])].concat();
    for mode in [Mode::EachCard, Mode::AllOrNothing] {
        let outcome = imported(&persons, &changed, mode).await;
        assert_eq!(
            (outcome.unchanged, outcome.closed, outcome.bad.len()),
            (1, 1, 0)
        );
    }
}

#[tokio::test]
async fn what_was_ended_by_hand_begins_again_when_a_card_says_it() {
    use cim_es_examples::person::attribute::{Attribute, AttributeValue};
    let persons = repository();
    let file = card("one", &["FN:Ada", "LANG:en"]);
    imported(&persons, &file, Mode::EachCard).await;
    let ended = Attribute::new(
        AttributeValue::Language("en".parse().expect("a language")),
        None,
        Some("2020".parse().expect("a date")),
    );
    let update = PersonCommand::UpdateAttribute {
        number: 1,
        attribute: ended.expect("it ends"),
    };
    execute(&persons, "one", update).await;
    let outcome = imported(&persons, &file, Mode::EachCard).await;
    assert_eq!(
        outcome.events.get("people.person.attribute_recorded"),
        Some(&1)
    );
    let outcome = imported(&persons, &file, Mode::EachCard).await;
    assert_eq!(outcome.unchanged, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_that_race_record_each_fact_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteEventStore::open(directory.path().join("person.db")).expect("a file");
    let file: String = (0..50)
        .map(|number| {
            card(
                &format!("card {number}"),
                &[&format!("FN:Person {number}"), "LANG:en"],
            )
        })
        .collect();
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (persons, file) = (Repository::<Person>::new(store.clone()), file.clone());
        racing.spawn(async move { imported(&persons, &file, Mode::EachCard).await });
    }
    let outcomes = racing.join_all().await;
    assert_eq!(outcomes.iter().map(|it| it.new).sum::<usize>(), 50);
    assert!(
        outcomes
            .iter()
            .all(|it| it.bad.is_empty() && it.new + it.unchanged == 50)
    );
    let persons = Repository::<Person>::new(store);
    let everybody = persons.load_all().await.expect("it is read");
    let has_one =
        |(_, person): &(_, cim_es::repository::Loaded<Person>)| person.attributes.len() == 1;
    assert!(everybody.iter().all(has_one));
}

proptest! {
    /// Whatever a file has, reading it gives an answer, and each card that is lost is reported.
    #[test]
    fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        Cards::read(&bytes, Identify::ByUidOrName);
    }

    #[test]
    fn any_property_can_be_read(line in "(N|FN|BDAY|GENDER|LANG|UID|KIND|X-A)(;[A-Z]{1,5}=[ -~]{0,8}){0,2}:[ -~äß\\\\;,]{0,30}") {
        let file = [card("one", &["FN:Ada", &line]), card("two", &["FN:Ben"])].concat();
        let cards = Cards::read(file.as_bytes(), Identify::ByUid);
        prop_assert_eq!(cards.people.len() + cards.bad.len() + cards.others, 2, "{:?}", cards);
        prop_assert!(cards.people.iter().any(|it| it.record.name().to_string() == "Ben"));
        prop_assert!(cards.bad.iter().all(|bad| (1..=6).contains(&bad.line)), "{:?}", cards.bad);
    }
}

fn run(store: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["run", "--quiet", "--example", "person", "--"])
        .args(args)
        .arg("--store")
        .arg(store)
        .output()
        .expect("cargo starts")
}

#[test]
fn the_program_imports_a_file_shows_a_person_and_reports_a_bad_card() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("person.db");
    let said = |args: &[&str]| {
        let output = run(&store, args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let first = said(&["import", "examples/person/people.vcf"]);
    assert!(first.contains("3 people new"), "{first}");
    assert!(
        first.contains("4 properties left out: EMAIL 1, NOTE 1, ORG 1, TITLE 1"),
        "{first}"
    );
    let id = "0f0ed4a0-7a3e-4d0e-9a4e-1b6b0f6f2c01";
    let shown = said(&["show", id]);
    assert!(shown.contains("1815-12-10"), "{shown}");

    let bad = directory.path().join("bad.vcf");
    std::fs::write(&bad, card("one", &["FN:Ada", "BDAY:never"])).expect("a file");
    let output = run(&store, &["import", &bad.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(
        errors.contains("bad.vcf, line 5: BDAY is \"never\", which is no date"),
        "{errors}"
    );
}
