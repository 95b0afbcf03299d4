//! The same on a stream of a NATS server.

use cim_es::jetstream::{EventStoreConfig, NatsConfig};
use cim_es::store::ObjectStore;
use serde_json::json;

use super::server::{Server, start};
use super::support::{Directory, run};
use super::support::{about, file, library, lines};

async fn make(server: &Server, stream: EventStoreConfig, is_filled: bool) {
    let config = NatsConfig::new([server.url.clone()]).event_store(stream);
    let stores = config.open().await.expect("the stores open");
    if is_filled {
        library(&stores.events).await;
    }
}

/// Keeps objects of 1, 2 and 3 bytes; gives their CIDs.
async fn keep(server: &Server, stream: EventStoreConfig) -> Vec<String> {
    let config = NatsConfig::new([server.url.clone()]).event_store(stream);
    let stores = config.open().await.expect("the stores open");
    let mut kept = Vec::new();
    for length in 1..=3 {
        let cid = stores.objects.put_object(vec![0; length].into()).await;
        kept.push(cid.expect("it is kept").to_string());
    }
    kept
}

#[test]
fn a_stream_is_looked_into_as_a_file_is() {
    let server = start();
    let directory = Directory::new();
    let file = file(&directory);
    let missing = about(&server.url, &["streams"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(
        missing.err.contains("no stream of events"),
        "{}",
        missing.err
    );
    let missing = about(&server.url, &["streams", "--stream", "LIBRARY"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(missing.err.contains("it does not exist"), "{}", missing.err);

    run(make(
        &server,
        EventStoreConfig::new("LIBRARY", ["library.>"]),
        true,
    ));
    // The only stream of events is found without its name.
    let url = server.url.as_str();
    let shown = |place: &std::ffi::OsStr, arguments: &[&str]| {
        let answer = about(place, &[&["--json"], arguments].concat());
        assert_eq!(answer.code, 0, "{answer:?}");
        lines(&answer)
    };
    for arguments in [
        &["show", "library.book", "4711"][..],
        &[
            "show",
            "library.book",
            "4711",
            "--at",
            "2026-01-31T00:03:00Z",
        ],
        &["tail"],
        &["tail", "library.*.acquired", "-n", "1"],
        &["streams", "--kinds"],
    ] {
        assert_eq!(
            shown(url.as_ref(), arguments),
            shown(file.as_ref(), arguments),
            "{arguments:?}"
        );
    }
    // The order is another one.
    let by_cursor = |mut list: Vec<serde_json::Value>| {
        list.sort_by_key(|entry| entry["cursor"].to_string());
        list
    };
    let streams = shown(url.as_ref(), &["streams"]);
    assert_eq!(
        by_cursor(streams.clone()),
        by_cursor(shown(file.as_ref(), &["streams"]))
    );
    let mut one_by_one = Vec::new();
    while one_by_one.len() < streams.len() {
        let mut arguments = vec!["streams", "-n", "1"];
        let cursor = one_by_one
            .last()
            .map(|it: &serde_json::Value| it["cursor"].as_str().expect("a text").to_owned());
        if let Some(cursor) = &cursor {
            arguments.extend(["--after", cursor]);
        }
        one_by_one.extend(shown(url.as_ref(), &arguments));
    }
    assert_eq!(one_by_one, streams);
    assert_eq!(shown(url.as_ref(), &["streams", "library.reader"]).len(), 1);

    for (arguments, suggestion) in [
        (
            &["streams", "library.bok"][..],
            "did you mean `library.book`?",
        ),
        (
            &["streams", "--kinds", "library.raeder"],
            "did you mean `library.reader`?",
        ),
        (
            &["show", "library.bok", "4799"],
            "did you mean `library.book`?",
        ),
        (
            &["replay", "library.bok.>"],
            "did you mean `library.book.>`?",
        ),
        (&["show", "library.book", "4713"], "did you mean `471"),
        (
            &["show", "library.reader", "4711"],
            "under this id it has `library.book`",
        ),
        (&["tail", "library.bok.>"], "did you mean `library.book.>`?"),
        (&["tail", "orders.>"], "keeps events on library.>"),
    ] {
        let answer = about(url, arguments);
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
        assert!(
            answer.err.contains(suggestion),
            "{arguments:?}: {}",
            answer.err
        );
    }
    let near = about(format!("{url}/LIBARY"), &["streams"]);
    assert_eq!(near.code, 3);
    assert!(near.err.contains("did you mean `LIBRARY`?"), "{}", near.err);

    let kept = run(keep(
        &server,
        EventStoreConfig::new("LIBRARY", ["library.>"]),
    ));
    let listed = shown(url.as_ref(), &["objects"]);
    let cids: Vec<_> = listed.iter().map(|it| it["cid"].as_str()).collect();
    assert!(
        cids.into_iter()
            .eq(kept.iter().map(|cid| Some(cid.as_str())))
    );
    assert_eq!(listed[2]["bytes"], json!(3));
    let cursor = listed[0]["cursor"].to_string();
    assert_eq!(
        shown(url.as_ref(), &["objects", "--after", &cursor]),
        listed[1..]
    );

    let doctor = about(url, &["--json", "doctor"]);
    let findings = lines(&doctor);
    assert!(
        findings.iter().any(|it| it["about"] == json!("replicas")),
        "{findings:?}"
    );

    let replayed = &shown(url.as_ref(), &["replay", "--after", "3"])[0];
    let replayed_from_file = &shown(file.as_ref(), &["replay", "--after", "3"])[0];
    assert_eq!(replayed["types"], replayed_from_file["types"]);
    assert_eq!(replayed["events"], json!(2));

    let whole = about(url, &["verify"]);
    assert_eq!(whole.code, 0, "{whole:?}");
    let cid = shown(url.as_ref(), &["show", "library.book", "4711"])[1]["cid"].to_string();
    let drawn = about(url, &["dag", cid.trim_matches('"'), "--both"]);
    assert_eq!(drawn.out.lines().count(), 4, "{drawn:?}");

    // Out of it, into another one, and into itself.
    let bundle = directory.file("library.car");
    let bundle = bundle.to_str().expect("UTF-8");
    let exported = about(url, &["export", bundle]);
    assert_eq!(exported.code, 0, "{exported:?}");
    let again = about(url, &["import", bundle]);
    assert_eq!(
        again.out, "0 events were stored, 5 were there already\n",
        "{again:?}"
    );
    let other = start();
    let place = format!("{}/COPY", other.url);
    assert_eq!(about(&place, &["import", bundle]).code, 3);
    let copied = about(&place, &["import", bundle, "--create"]);
    assert_eq!(
        copied.out, "5 events were stored, 0 were there already\n",
        "{copied:?}"
    );
    let history = ["show", "library.book", "4711"];
    assert_eq!(
        shown(place.as_ref(), &history),
        shown(url.as_ref(), &history)
    );

    // With a second one, it must be named.
    run(make(
        &server,
        EventStoreConfig::new("ORDERS", ["orders.>"]),
        false,
    ));
    let several = about(url, &["streams"]);
    assert_eq!(several.code, 2);
    assert!(several.err.contains("LIBRARY, ORDERS"), "{}", several.err);
    assert_eq!(
        about(format!("{url}/LIBRARY"), &["streams"])
            .out
            .lines()
            .count(),
        4
    );
    let empty = about(url, &["--stream", "ORDERS", "streams"]);
    assert!(
        empty.code == 0 && empty.err.contains("no events yet"),
        "{empty:?}"
    );
}

#[test]
fn servers_that_are_not_there_are_named_and_nothing_waits_for_long() {
    let answer = about("nats://127.0.0.1:1/LIBRARY", &["streams"]);
    assert_eq!(answer.code, 3, "{answer:?}");
    assert!(answer.err.contains("127.0.0.1:1"), "{}", answer.err);
    let wrong = about("nats://127.0.0.1:99999", &["streams"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
}
