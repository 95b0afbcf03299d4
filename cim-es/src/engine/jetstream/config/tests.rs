//! What a configuration takes and what it refuses.

use super::*;

const EVERY_KEY: &str = r#"
servers = ["nats://one:4222", "tls://two:4222"]
user = "writer"
password = "hunter2"
connection_timeout = "3s"
max_reconnects = 7
max_retries = 9
enabled = false
reconnect_delay = "100ms"
request_timeout = "1500ms"
patience = "12s"
object_store_bucket = "blocks"

[tls]
ca_cert = "ca.pem"
client_cert = "me.pem"
client_key = "me-key.pem"
required = true

[jetstream]
domain = "hub"

[event_store]
stream_name = "INFRASTRUCTURE_EVENTS"
subjects = ["infrastructure.>"]
max_age = "365d"
max_messages = 1000000
when_full = "drop_oldest"
accept_losing_events = true
replicas = 3
retention = "limits"
duplicate_window = "1m"
snapshot_threshold = 50
server_memory = 8000000000
stored_prefix = "tenant.es"
public_prefix = "tenant"
create = false
hash = "blake3"
max_payload = 5000
"#;

fn every_key() -> NatsConfig {
    let mut config = NatsConfig::new(["nats://one:4222", "tls://two:4222"])
        .user_and_password("writer", "hunter2")
        .connection_timeout(Duration::from_secs(3))
        .max_reconnects(7)
        .reconnect_delay(Duration::from_millis(100))
        .request_timeout(Duration::from_millis(1_500))
        .patience(Duration::from_secs(12))
        .object_store_bucket("blocks")
        .ca_cert("ca.pem")
        .client_cert("me.pem", "me-key.pem")
        .domain("hub")
        .event_store(EventStoreConfig::infrastructure_events().accept_losing_events());
    config.enabled = false;
    config.max_retries = 9;
    config.event_store.drop_oldest_when_full = true;
    config.event_store.duplicate_window = Duration::from_secs(60);
    config.event_store.snapshot_threshold = 50;
    config.event_store.server_memory = Some(8_000_000_000);
    config.event_store.stored_subjects = "tenant.es".parse().unwrap();
    config.event_store.public_prefix = Some("tenant".to_owned());
    config.event_store.create = false;
    config.event_store.seal.hash = crate::block::HashCode::Blake3_256;
    config.event_store.seal.max_payload = 5_000;
    config
}

#[test]
fn every_key_is_read_from_toml() {
    assert_eq!(NatsConfig::from_toml(EVERY_KEY).unwrap(), every_key());
}

#[test]
fn every_key_is_read_from_the_environment() {
    let table: toml::Table = EVERY_KEY.parse().unwrap();
    let mut variables = vec![("PATH".to_owned(), "/bin".to_owned())];
    let mut add = |key: &str, value: &toml::Value| {
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => {
                let items: Vec<_> = items.iter().filter_map(toml::Value::as_str).collect();
                items.join(", ")
            }
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            other => panic!("{other:?}"),
        };
        variables.push((keys::variable(key), text));
    };
    for (name, value) in &table {
        match value {
            toml::Value::Table(inner) => {
                for (key, value) in inner {
                    add(&format!("{name}.{key}"), value);
                }
            }
            value => add(name, value),
        }
    }
    assert_eq!(NatsConfig::from_variables(variables).unwrap(), every_key());
}

#[test]
fn a_configuration_is_read_by_serde() {
    #[derive(serde::Deserialize)]
    struct Program {
        nats: NatsConfig,
    }
    let program: Program = toml::from_str("[nats]\ntoken = 'hunter2'").unwrap();
    assert_eq!(program.nats, NatsConfig::default().token("hunter2"));
    let error = toml::from_str::<Program>("[nats]\ntokn = 'hunter2'")
        .err()
        .unwrap();
    assert!(error.message().contains("did you mean `token`?"), "{error}");
}

#[test]
fn an_empty_configuration_is_the_default() {
    assert_eq!(NatsConfig::from_toml("").unwrap(), NatsConfig::default());
    assert_eq!(
        NatsConfig::from_variables([]).unwrap(),
        NatsConfig::default()
    );
    NatsConfig::default().check().unwrap();
}

#[test]
fn the_environment_has_precedence_over_the_file() {
    let directory = std::env::temp_dir().join(format!("cim-es-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("nats.toml");
    std::fs::write(&file, EVERY_KEY).unwrap();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables = [
        variable("CIM_ES_NATS_EVENT_STORE_REPLICAS", "5"),
        variable("CIM_ES_NATS_SERVERS", "nats://three:4222"),
    ];
    let config = NatsConfig::read(Some(&file), variables);
    std::fs::remove_dir_all(&directory).unwrap();
    let mut expected = every_key();
    expected.event_store.replicas = 5;
    expected.servers = vec!["nats://three:4222".to_owned()];
    assert_eq!(config.unwrap(), expected);
    let missing = NatsConfig::read(Some(&file), []).unwrap_err();
    assert!(matches!(missing, ConfigError::File { .. }), "{missing}");
}

#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    for (text, suggestion) in [
        ("server = ['nats://one']", Some("servers")),
        ("[tls]\nca_cret = 'ca.pem'", Some("tls.ca_cert")),
        (
            "[event_store]\nstream = 'A'",
            Some("event_store.stream_name"),
        ),
        ("[event_stor]\nreplicas = 3", Some("event_store.replicas")),
        ("replicas = 3", Some("event_store.replicas")),
        ("[entirely]\nelse = 3", None),
    ] {
        match NatsConfig::from_toml(text).unwrap_err() {
            ConfigError::UnknownKey {
                suggestion: found, ..
            } => {
                assert_eq!(found.as_deref(), suggestion, "{text}");
            }
            other => panic!("{text}: {other}"),
        }
    }
    let variable = ("CIM_ES_NATS_SEVERS".to_owned(), "nats://one".to_owned());
    let error = NatsConfig::from_variables([variable]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no key `CIM_ES_NATS_SEVERS`; did you mean `CIM_ES_NATS_SERVERS`?"
    );
}

#[test]
fn a_value_of_another_kind_is_refused_by_its_key() {
    for (text, key) in [
        ("servers = 'nats://one'", "servers"),
        ("servers = []", "servers"),
        ("token = 5", "token"),
        ("max_reconnects = -1", "max_reconnects"),
        ("connection_timeout = 5", "connection_timeout"),
        ("connection_timeout = '5 seconds'", "connection_timeout"),
        ("connection_timeout = '0s'", "connection_timeout"),
        ("tls = true", "tls"),
        ("[tls]\nrequired = 'yes'", "tls.required"),
        ("[event_store]\nreplicas = 2", "event_store.replicas"),
        (
            "[event_store]\nstream_name = 'a.b'",
            "event_store.stream_name",
        ),
        ("[event_store]\nsubjects = ['es.>']", "event_store.subjects"),
        ("[event_store]\nsubjects = ['a..b']", "event_store.subjects"),
        ("object_store_bucket = 'a.b'", "object_store_bucket"),
        (
            "[event_store]\nmax_messages = 0",
            "event_store.max_messages",
        ),
        (
            "[event_store]\nretention = 'workqueue'",
            "event_store.retention",
        ),
        (
            "[event_store]\nwhen_full = 'panic'",
            "event_store.when_full",
        ),
    ] {
        let error = NatsConfig::from_toml(text).unwrap_err();
        assert!(
            error.to_string().contains(&format!("`{key}`")),
            "{text}: {error}"
        );
    }
}

#[test]
fn keys_that_exclude_or_need_each_other_are_refused() {
    for text in [
        "token = 'a'\nnkey = 'b'",
        "user = 'a'",
        "password = 'a'",
        "user = 'a'\npassword = 'b'\ncredentials = 'c'",
        "[tls]\nclient_cert = 'a'",
        "[jetstream]\ndomain = 'a'\nprefix = 'b'",
        "[event_store]\nmax_age = '1y'",
        "[event_store]\nmax_messages = 5\nwhen_full = 'drop_oldest'",
    ] {
        let error = NatsConfig::from_toml(text).unwrap_err();
        assert!(
            matches!(error, ConfigError::Contradiction { .. }),
            "{text}: {error}"
        );
    }
    NatsConfig::from_toml("[event_store]\nmax_messages = 5").unwrap();
}

#[test]
fn a_secret_shows_nowhere() {
    for config in [
        NatsConfig::default().user_and_password("me", "hunter2"),
        NatsConfig::default().token("hunter2"),
        NatsConfig::default().nkey("hunter2"),
        NatsConfig::new([
            "nats://me:hunter2@one:4222",
            "me:hunter2@two",
            "nats://hunter2@three",
            "nats://me:hunter2",
        ]),
    ] {
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for text in [
        "password = 'hunter2",
        "user = 'a'\npassword = hunter2",
        "token = ['hunter2']",
        "connection_timeout = 'hunter2'",
        "max_reconnects = 'hunter2'",
        "password = 'hunter2'",
        "token = 'hunter2'\nnkey = 'hunter2'",
    ] {
        let error = NatsConfig::from_toml(text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{text}: {shown}");
    }
}

#[test]
fn the_presets_are_as_the_requirements_have_them() {
    let year = Some(Duration::from_secs(31_536_000));
    let graph = EventStoreConfig::cim_graph_events();
    assert_eq!(graph.stream_name, "CIM_GRAPH_EVENTS");
    assert_eq!(graph.subjects, ["cim.graph.*.events.>"]);
    assert_eq!(
        (graph.max_age, graph.max_messages, graph.replicas),
        (year, None, 3)
    );
    assert_eq!(graph.duplicate_window, Duration::from_secs(120));
    let keys = EventStoreConfig::cim_keys_events();
    assert_eq!(keys.stream_name, "CIM_KEYS_EVENTS");
    assert_eq!(keys.subjects, ["cim.keys.>"]);
    let infrastructure = EventStoreConfig::infrastructure_events();
    assert_eq!(infrastructure.stream_name, "INFRASTRUCTURE_EVENTS");
    assert_eq!(infrastructure.max_messages, Some(1_000_000));
    assert_eq!((infrastructure.max_age, infrastructure.replicas), (year, 3));
    let events = EventStoreConfig::cim_events(["person"]);
    assert_eq!(events.stream_name, "CIM-EVENTS");
    assert_eq!((events.max_age, events.snapshot_threshold), (year, 100));
    for preset in [graph, infrastructure, events] {
        assert!(
            preset.check().is_err(),
            "{}: dropping events needs the opt-in",
            preset.stream_name
        );
        preset.accept_losing_events().check().unwrap();
    }
    keys.check().unwrap();
}

#[test]
fn a_subject_that_no_event_can_have_is_refused() {
    for (subject, is_legal) in [
        ("infrastructure", false),
        ("infrastructure.compute", false),
        ("infrastructure.*", false),
        ("*", false),
        ("infrastructure.compute.registered", true),
        ("infrastructure.*.registered", true),
        ("infrastructure.>", true),
        (">", true),
    ] {
        let checked = EventStoreConfig::new("S", [subject]).check();
        assert_eq!(checked.is_ok(), is_legal, "{subject}: {checked:?}");
    }
}

#[test]
fn addresses_are_checked_before_anything_is_connected() {
    for address in ["", "nats:/host", "nats://host:99999", "ws://host"] {
        let error = NatsConfig::new([address]).check().unwrap_err().to_string();
        assert!(error.starts_with("`servers`: "), "{address}: {error}");
        assert!(!error.contains("***"), "{error}");
    }
}
