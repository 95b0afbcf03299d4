//! The values of the quickstart's domain: what they accept, and that reading one back goes through the same rule.

use crate::accepted::is_accepted;
use cim_es_examples::quickstart::values::{
    DeviceName, Hostname, Label, MacAddress, Reason, System,
};

#[test]
fn a_host_name_follows_rfc_1123() {
    let long = "a".repeat(63);
    let longest = format!("{long}.{long}.{long}.{}", "a".repeat(61));
    assert_eq!(longest.len(), 253);
    for name in ["vm", "3com", "a-b.example.org", "A", &long, &longest] {
        assert!(is_accepted::<Hostname>(name), "{name}");
    }
    let too_long = format!("{longest}a");
    let long_label = "a".repeat(64);
    let wrong = [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a_b",
        "a b",
        "ä",
        &long_label,
        &too_long,
    ];
    for name in wrong {
        assert!(!is_accepted::<Hostname>(name), "{name}");
    }
}

#[test]
fn a_hardware_address_is_of_one_device() {
    for mac in [
        "02:fc:00:00:00:01",
        "00:00:00:00:00:01",
        "fe:ff:ff:ff:ff:ff",
    ] {
        assert!(is_accepted::<MacAddress>(mac), "{mac}");
    }
    let wrong = [
        "",
        "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:01",
        "02:FC:00:00:00:01",
        "02:fc:00:00:00",
        "02:fc:00:00:00:01:02",
        "2:fc:00:00:00:01",
        "+2:fc:00:00:00:01",
        "02-fc-00-00-00-01",
    ];
    for mac in wrong {
        assert!(!is_accepted::<MacAddress>(mac), "{mac}");
    }
}

#[test]
fn the_second_bit_tells_an_address_that_software_chose() {
    let is_local = |mac: &str| {
        mac.parse()
            .map(|mac: MacAddress| mac.is_locally_administered())
    };
    assert_eq!(is_local("02:fc:00:00:00:01"), Ok(true));
    assert_eq!(is_local("00:1b:21:00:00:01"), Ok(false));
}

#[test]
fn the_other_texts_are_short_and_on_one_line() {
    assert!(is_accepted::<System>("x86_64-linux"));
    for system in [
        "",
        "-",
        "x86_64",
        "X86-linux",
        "x86_64-",
        "x86_64-linux-gnu",
    ] {
        assert!(!is_accepted::<System>(system), "{system}");
    }
    assert!(is_accepted::<DeviceName>("/dev/sda1"));
    assert!(!is_accepted::<DeviceName>("/dev/\nsda1"));
    assert!(is_accepted::<Label>("Ubuntu 24.04"));
    assert!(!is_accepted::<Label>(" Ubuntu"));
    assert!(is_accepted::<Reason>("sold"));
    assert!(!is_accepted::<Reason>(""));
    assert!(!is_accepted::<Reason>("  "));
    assert!(!is_accepted::<Reason>(&"a".repeat(501)));
}

#[test]
fn a_refused_text_says_what_it_was_meant_for_and_the_rule() {
    let message = "a_b".parse::<Hostname>().unwrap_err().to_string();
    assert!(
        message.starts_with("\"a_b\" is no host name: labels of"),
        "{message}"
    );
}
