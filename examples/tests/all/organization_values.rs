//! The values of the organization refuse what they are not, with the reason, also when they are decoded.

use std::fmt::Debug;

use cim_es::testing::proptest::prelude::*;
use cim_es_examples::organization::program::moment::Moment;
use cim_es_examples::organization::values::{Code, MergerType, OrganizationType};

/// Whether a text makes the value; decoding must agree, and what is made prints as the text.
fn is_accepted<T>(text: &str) -> bool
where
    T: TryFrom<String> + serde::Serialize + serde::de::DeserializeOwned + ToString,
{
    let made = T::try_from(text.to_owned()).ok();
    let decoded = serde_json::from_value::<T>(text.into()).ok();
    assert_eq!(made.is_some(), decoded.is_some(), "{text:?}");
    if let Some(made) = &made {
        assert_eq!(made.to_string(), text);
        assert_eq!(serde_json::to_value(made).expect("it encodes"), text);
    }
    made.is_some()
}

fn refusal<T: TryFrom<String> + Debug>(text: &str) -> String
where
    T::Error: ToString + Debug,
{
    T::try_from(text.to_owned())
        .expect_err("it is refused")
        .to_string()
}

#[test]
fn codes_are_short_and_plain() {
    for text in [
        "A",
        "RND",
        "HQ-2",
        "4711.01",
        "A_B",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345",
    ] {
        assert!(is_accepted::<Code>(text), "{text}");
    }
    for text in [
        "",
        "rnd",
        "A B",
        "-A",
        ".A",
        "Ä",
        "A/B",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456",
    ] {
        assert!(!is_accepted::<Code>(text), "{text}");
    }
    assert_eq!(
        refusal::<Code>("rnd"),
        "\"rnd\" is no code: 1 to 32 capital letters, digits and . _ -, the first of them a letter or a digit"
    );
}

#[test]
fn choices_are_the_words_for_them() {
    for choice in OrganizationType::ALL {
        assert!(is_accepted::<OrganizationType>(&choice.to_string()));
    }
    for choice in MergerType::ALL {
        assert!(is_accepted::<MergerType>(&choice.to_string()));
    }
    assert_eq!(
        refusal::<OrganizationType>("Company"),
        "\"Company\" is no type of organization: company, nonprofit, government, cooperative, school or other"
    );
    assert_eq!(
        refusal::<MergerType>("takeover"),
        "\"takeover\" is no type of merger: acquisition, merger_of_equals or consolidation"
    );
}

#[test]
fn a_moment_is_a_time_or_the_end_of_a_day() {
    let moment = |text: &str| text.parse::<Moment>().map(|it| it.to_string());
    assert_eq!(
        moment("2026-01-31").as_deref(),
        Ok("2026-01-31T23:59:59.999999Z")
    );
    assert_eq!(
        moment("2026-01-31T12:00:00+01:00").as_deref(),
        Ok("2026-01-31T11:00:00.000000Z")
    );
    assert_eq!(
        moment("2026-01-31T12:00:00.5Z").as_deref(),
        Ok("2026-01-31T12:00:00.500000Z")
    );
    for text in [
        "",
        "today",
        "2026-02-30",
        "2026-01-31T12:00:00",
        "31.01.2026",
        "+262142-12-31",
    ] {
        let error = moment(text).expect_err(text).to_string();
        assert!(
            error.starts_with(&format!("{text:?} is no moment: write a time")),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn a_code_is_what_its_rule_says(text in "[A-Za-z0-9._ -]{0,34}") {
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
        let expected = (1..=32).contains(&text.len())
            && text.starts_with(plain)
            && text.chars().all(|c| plain(c) || "._-".contains(c));
        prop_assert_eq!(is_accepted::<Code>(&text), expected);
    }

    #[test]
    fn any_text_is_a_code_or_is_refused(text in "\\PC{0,40}") {
        is_accepted::<Code>(&text);
        is_accepted::<OrganizationType>(&text);
    }
}
