//! Other names of keys, and the switch between file, stream and both.

use std::path::PathBuf;

use super::*;

/// A configuration as other programs of the family have it.
const OTHER_NAMES: &str = r#"
[nats]
enabled = true
url = "nats://one:4222, nats://two:4222"
stream_name = "CIM_KEYS_EVENTS"
object_store_bucket = "cim-keys-objects"
subject_prefix = "cim.keys"
enable_jetstream = true
enable_ipld = true
max_retries = 5
connection_timeout_secs = 10
credentials_file = "keys.creds"

[nats.tls]
ca_cert = "ca.pem"
client_cert = "me.pem"
client_key = "me-key.pem"

[offline]
offline_mode = false
offline_storage = "/mnt/encrypted/cim-keys/events"
"#;

fn other_names() -> NatsConfig {
    let mut config = NatsConfig::new(["nats://one:4222", "nats://two:4222"])
        .credentials("keys.creds")
        .connection_timeout(Duration::from_secs(10))
        .object_store_bucket("cim-keys-objects")
        .event_store(EventStoreConfig::cim_keys_events());
    config.max_retries = 5;
    config.tls.ca_cert = Some("ca.pem".into());
    config.tls.client_cert = Some("me.pem".into());
    config.tls.client_key = Some("me-key.pem".into());
    config
}

fn variables(given: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    given.iter().map(owned).collect()
}

fn said<T: fmt::Debug>(outcome: Result<T, ConfigError>) -> String {
    outcome.unwrap_err().to_string()
}

#[test]
fn a_configuration_under_the_names_of_the_family_is_understood() {
    let config = StorageConfig::from_toml(OTHER_NAMES).unwrap();
    let expected = StorageConfig {
        nats: Some(other_names()),
        offline_mode: false,
        offline_storage: Some("/mnt/encrypted/cim-keys/events".into()),
    };
    assert_eq!(config, expected);
    // The same file says how to reach the servers to who asks for that alone.
    assert_eq!(NatsConfig::from_toml(OTHER_NAMES).unwrap(), other_names());
    let program: StorageConfig = toml::from_str(OTHER_NAMES).unwrap();
    assert_eq!(program, expected);
}

#[test]
fn every_other_name_is_understood_in_a_file_and_in_the_environment() {
    let of = |config: EventStoreConfig| NatsConfig::default().event_store(config);
    let named = |name: &str| EventStoreConfig {
        stream_name: name.to_owned(),
        ..EventStoreConfig::default()
    };
    let mut ca = NatsConfig::default();
    ca.tls.ca_cert = Some("ca.pem".into());
    let mut pair = NatsConfig::default();
    pair.tls.client_cert = Some("me.pem".into());
    pair.tls.client_key = Some("key.pem".into());
    for (text, given, expected) in [
        (
            "url = 'nats://one'",
            &[("URL", "nats://one")][..],
            NatsConfig::new(["nats://one"]),
        ),
        (
            "credentials_file = 'a.creds'",
            &[("CREDENTIALS_FILE", "a.creds")],
            NatsConfig::default().credentials("a.creds"),
        ),
        (
            "connection_timeout_secs = 7",
            &[("CONNECTION_TIMEOUT_SECS", "7")],
            NatsConfig::default().connection_timeout(Duration::from_secs(7)),
        ),
        ("stream_name = 'A'", &[("STREAM_NAME", "A")], of(named("A"))),
        (
            "[jetstream]\nstream_name = 'A'",
            &[("JETSTREAM_STREAM_NAME", "A")],
            of(named("A")),
        ),
        (
            "[jetstream]\nobject_store_bucket = 'b'",
            &[("JETSTREAM_OBJECT_STORE_BUCKET", "b")],
            NatsConfig::default().object_store_bucket("b"),
        ),
        (
            "subject_prefix = 'cim.keys'",
            &[("SUBJECT_PREFIX", "cim.keys")],
            of(EventStoreConfig::new("EVENTS", ["cim.keys.>"])),
        ),
        ("tls_ca = 'ca.pem'", &[("TLS_CA", "ca.pem")], ca),
        (
            "tls_cert = 'me.pem'\ntls_key = 'key.pem'",
            &[("TLS_CERT", "me.pem"), ("TLS_KEY", "key.pem")],
            pair,
        ),
        (
            "enable_jetstream = true\nenable_ipld = true",
            &[("ENABLE_JETSTREAM", "true"), ("ENABLE_IPLD", "true")],
            NatsConfig::default(),
        ),
    ] {
        assert_eq!(NatsConfig::from_toml(text).unwrap(), expected, "{text}");
        let given = given
            .iter()
            .map(|(name, value)| (format!("CIM_ES_NATS_{name}"), (*value).to_owned()));
        assert_eq!(
            NatsConfig::from_variables(given).unwrap(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn two_names_of_one_setting_are_refused() {
    for (text, names) in [
        (
            "url = 'nats://one'\nservers = ['nats://two']",
            ["`url`", "`servers`"],
        ),
        (
            "credentials_file = 'a'\ncredentials = 'a'",
            ["`credentials_file`", "`credentials`"],
        ),
        (
            "tls_ca = 'a'\n[tls]\nca_cert = 'a'",
            ["`tls_ca`", "`tls.ca_cert`"],
        ),
        (
            "stream_name = 'A'\n[jetstream]\nstream_name = 'A'",
            ["`jetstream.stream_name`", "`stream_name`"],
        ),
    ] {
        let error = said(NatsConfig::from_toml(text));
        assert!(
            names.iter().all(|name| error.contains(name)),
            "{text}: {error}"
        );
    }
    // A variable wins over the file, whatever name either has.
    let directory = std::env::temp_dir().join(format!("cim-es-names-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("nats.toml");
    std::fs::write(&file, "servers = ['nats://file']").unwrap();
    let config = NatsConfig::read(Some(&file), variables(&[("CIM_ES_NATS_URL", "nats://env")]));
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(config.unwrap().servers, ["nats://env"]);
}

#[test]
fn what_cannot_be_otherwise_is_refused_with_what_to_do() {
    for (text, reason) in [
        ("enable_jetstream = false", "set `enabled` to false"),
        ("enable_ipld = false", "every event is an IPLD block"),
        ("enable_ipld = 'yes'", "true or false is expected"),
        ("connection_timeout_secs = -1", "a whole number"),
        ("connection_timeout_secs = '10'", "a whole number"),
        ("url = ['nats://one']", "a text is expected"),
    ] {
        let error = said(NatsConfig::from_toml(text));
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn one_switch_says_whether_it_is_a_file_a_stream_or_both() {
    let file = || PathBuf::from("/var/events.db");
    let nats = || Box::new(NatsConfig::default());
    let servers = "[nats]\nservers = ['nats://127.0.0.1:4222']\n";
    let storage = "[offline]\noffline_storage = '/var/events.db'\n";
    let both = Storage::Hybrid {
        file: file(),
        nats: nats(),
    };
    for (text, expected) in [
        (servers.to_owned(), Storage::Stream(nats())),
        (storage.to_owned(), Storage::File(file())),
        (format!("{servers}{storage}"), both),
        (
            format!("{servers}{storage}offline_mode = true"),
            Storage::File(file()),
        ),
        (
            format!("[nats]\nenabled = false\n{storage}"),
            Storage::File(file()),
        ),
        (
            "servers = ['nats://127.0.0.1:4222']".to_owned(),
            Storage::Stream(nats()),
        ),
        (
            "[offline]\noffline_storage = '/var/notes/'".to_owned(),
            Storage::File("/var/notes/events.db".into()),
        ),
    ] {
        let config = StorageConfig::from_toml(&text).unwrap();
        assert_eq!(config.storage().unwrap(), expected, "{text}");
    }
    for text in [
        "",
        "[nats]\nenabled = false",
        "[nats]\nurl = 'nats://one'\n[offline]\noffline_mode = true",
    ] {
        let error = said(StorageConfig::from_toml(text).unwrap().storage());
        assert!(
            error.contains("`offline.offline_storage`"),
            "{text}: {error}"
        );
    }
}

#[test]
fn the_switch_is_read_from_the_environment() {
    let config = StorageConfig::from_variables(variables(&[
        ("CIM_ES_OFFLINE_MODE", "true"),
        ("CIM_ES_OFFLINE_STORAGE", "/var/events.db"),
        ("CIM_ES_NATS_URL", "nats://one"),
        ("CIM_ES_LONG", "1"),
    ]));
    let expected = StorageConfig {
        nats: Some(NatsConfig::new(["nats://one"])),
        offline_mode: true,
        offline_storage: Some("/var/events.db".into()),
    };
    assert_eq!(config.unwrap(), expected);
    let wrong =
        |name: &str, value: &str| said(StorageConfig::from_variables(variables(&[(name, value)])));
    assert_eq!(
        wrong("CIM_ES_OFFLINE_MOD", "true"),
        "there is no key `CIM_ES_OFFLINE_MOD`; did you mean `CIM_ES_OFFLINE_MODE`?"
    );
    assert_eq!(
        wrong("CIM_ES_OFFLINE_MODE", "sometimes"),
        "`CIM_ES_OFFLINE_MODE`: true or false is expected"
    );
}

#[test]
fn what_is_in_neither_table_is_refused_with_the_nearest() {
    for (text, key, suggestion) in [
        (
            "[offline]\noffline_mod = true",
            "offline.offline_mod",
            Some("offline.offline_mode"),
        ),
        (
            "[offline]\nstorage = 'a'",
            "offline.storage",
            Some("offline.offline_storage"),
        ),
        ("[nats]\nurll = 'a'", "urll", Some("url")),
        (
            "servers = ['nats://one']\n[nats]\ntoken = 'a'",
            "servers",
            Some("nats.servers"),
        ),
        (
            "[tls]\nca_cert = 'a'\n[nats]\ntoken = 'a'",
            "tls",
            Some("nats.tls"),
        ),
        ("[nats.tls]\nca = 'a'", "tls.ca", Some("tls.ca_cert")),
    ] {
        let expected = ConfigError::UnknownKey {
            key: key.to_owned(),
            suggestion: suggestion.map(str::to_owned),
        };
        assert_eq!(
            StorageConfig::from_toml(text).unwrap_err(),
            expected,
            "{text}"
        );
    }
    let error = said(StorageConfig::from_toml("nats = true"));
    assert_eq!(error, "`nats`: a table is expected");
}
