//! The golden vectors in `vectors/blocks.json`: stored bytes that every future release, and every other language, must
//! read in the same way.
//!
//! `CIM_ES_WRITE_VECTORS=1` writes the file anew; do that only when a vector is added, never to make a test pass.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::blocks_support::*;
use bytes::Bytes;
use cim_es::block::{
    ChainHead, Cid, Envelope, EventBlock, HashCode, StoredEvent, Verdict, parse_cid,
    parse_cid_text, verify_cid, verify_event_chain,
};
use cim_es::event::DomainEvent;
use cim_es::store::{ExpectedVersion, NewEvent, Position, SealOptions, StoreError, seal};
use ipld_core::ipld;
use ipld_core::ipld::Ipld;
use serde_json::{Value, json};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name)
}

fn vectors() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path("blocks.json")).unwrap()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn list<'a>(vectors: &'a Value, name: &str) -> &'a Vec<Value> {
    let list = vectors[name].as_array().unwrap();
    assert!(!list.is_empty(), "`{name}` has vectors");
    list
}

fn cid_of(value: &Value) -> Cid {
    parse_cid_text(value.as_str().unwrap()).unwrap()
}

fn shows(vector: &Value) -> &str {
    vector["shows"].as_str().unwrap()
}

fn refusal(payload: &[u8]) -> String {
    let event = NewEvent::from_payload("a.b.c", 1, payload.to_vec());
    let commit = request(1, 1).aggregate(key("a"), ExpectedVersion::Any, vec![event]);
    match seal(commit, &[None], &SealOptions::default()) {
        Err(StoreError::Payload(error)) => error.to_string(),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

fn verdict_name(verdict: &Verdict) -> String {
    let debug = format!("{:?}", verdict.fault);
    debug.split(' ').next().unwrap().to_owned()
}

#[test]
fn every_chain_of_the_vectors_is_proved_and_reads_as_its_events() {
    for chain in list(&vectors(), "chains") {
        let blocks: Vec<_> = chain["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| EventBlock {
                cid: cid_of(&block["cid"]),
                body: unhex(&block["body"]).into(),
            })
            .collect();
        let head = ChainHead {
            sequence: chain["head"]["sequence"].as_u64().unwrap(),
            cid: cid_of(&chain["head"]["cid"]),
        };
        let events = verify_event_chain(&blocks, Some(head)).unwrap();
        for (event, block) in events.iter().zip(chain["blocks"].as_array().unwrap()) {
            assert_eq!(event.envelope.sequence, block["sequence"].as_u64().unwrap());
            assert_eq!(event.event_type(), block["type"].as_str().unwrap());
            assert_eq!(event.envelope.payload, cid_of(&block["payload_cid"]));
            let decoded: Event = event.decode().unwrap();
            assert_eq!(decoded.event_type(), event.event_type());
        }
    }
}

#[test]
fn every_payload_of_the_vectors_has_its_two_cids_and_is_stored() {
    for payload in list(&vectors(), "payloads") {
        let bytes = unhex(&payload["bytes"]);
        for (hash, name) in [
            (HashCode::Sha2_256, "sha2-256"),
            (HashCode::Blake3_256, "blake3"),
        ] {
            assert_eq!(
                hash.cid(&bytes),
                cid_of(&payload[name]),
                "{}",
                shows(payload)
            );
            assert!(verify_cid(&cid_of(&payload[name]), &bytes));
        }
        let event = NewEvent::from_payload("a.b.c", 1, bytes.clone());
        let commit = request(1, 1).aggregate(key("a"), ExpectedVersion::Any, vec![event]);
        seal(commit, &[None], &SealOptions::default()).unwrap();
        let value: Ipld = serde_ipld_dagcbor::from_slice(&bytes).unwrap();
        assert_eq!(
            serde_ipld_dagcbor::to_vec(&value).unwrap(),
            bytes,
            "{}",
            shows(payload)
        );
    }
}

#[test]
fn no_payload_of_the_vectors_that_is_not_canonical_is_stored() {
    for payload in list(&vectors(), "payloads_refused") {
        let error = refusal(&unhex(&payload["bytes"]));
        let reason = payload["reason"].as_str().unwrap();
        assert!(error.contains(reason), "{}: {error}", shows(payload));
    }
}

#[test]
fn no_cid_of_the_vectors_that_this_library_does_not_make_is_accepted() {
    for cid in list(&vectors(), "cids_refused") {
        assert!(parse_cid(&unhex(&cid["bytes"])).is_err(), "{}", shows(cid));
        if let Some(text) = cid["text"].as_str() {
            assert!(parse_cid_text(text).is_err(), "{}", shows(cid));
        }
    }
}

#[test]
fn every_block_of_the_vectors_that_is_wrong_has_its_verdict() {
    for block in list(&vectors(), "blocks_refused") {
        let body = Bytes::from(unhex(&block["body"]));
        let verdict = StoredEvent::verify(Position(1), cid_of(&block["cid"]), body).unwrap_err();
        assert_eq!(
            verdict_name(&verdict),
            block["verdict"].as_str().unwrap(),
            "{}",
            shows(block)
        );
    }
}

#[test]
fn an_implementation_in_another_language_agrees_with_every_vector() {
    let output = Command::new("python3")
        .arg(path("check.py"))
        .arg(path("blocks.json"))
        .output()
        .expect("python3 must be on the PATH for this test");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("all agree"), "{text}");
}

#[test]
fn the_vectors_are_what_this_program_writes() {
    let text = serde_json::to_string_pretty(&written()).unwrap() + "\n";
    if std::env::var_os("CIM_ES_WRITE_VECTORS").is_some() {
        std::fs::write(path("blocks.json"), &text).unwrap();
    }
    let kept = std::fs::read_to_string(path("blocks.json")).unwrap();
    assert!(
        kept == text,
        "blocks.json is not what this program writes: a stored format changed"
    );
}

fn written() -> Value {
    let blake = SealOptions {
        hash: HashCode::Blake3_256,
        ..SealOptions::default()
    };
    json!({
        "about": "Event blocks of cim-es. A body is the dag-cbor array [envelope, payload]; the payload hashes to the \
            link in the envelope, the envelope to the event CID. Bytes are in hex, CIDs in text.",
        "chains": [
            chain("five events in four commits, sha2-256", &five()),
            chain(
                "one commit of two events, blake3 with 256 bits",
                &history("node-2", &[vec![registered("node-2"), Event::Rebooted]], &blake),
            ),
            chain("the first of two aggregates in one commit, with values of the author's own", &of_two()),
        ],
        "payloads": payloads(),
        "payloads_refused": payloads_refused(),
        "cids_refused": cids_refused(),
        "blocks_refused": blocks_refused(),
    })
}

fn of_two() -> Vec<StoredEvent> {
    let mut request = request(1, 1_769_860_800_000_000);
    request.identity = request
        .identity
        .with_meta("tenant", "north")
        .with_meta("trial", false)
        .with_meta("a", true)
        .with_meta("offset", -7_200)
        .with_meta("least", i64::MIN)
        .with_meta("most", u64::MAX)
        .with_meta("contract", five()[0].cid);
    let new = |events: &[Event]| events.iter().map(|it| NewEvent::of(it).unwrap()).collect();
    let one = [registered("node-3"), Event::Rebooted, Event::Rebooted];
    let request = request
        .aggregate(key("node-3"), ExpectedVersion::NoStream, new(&one))
        .aggregate(
            key("node-4"),
            ExpectedVersion::NoStream,
            new(&[Event::Rebooted]),
        );
    let sealed = seal(request, &[None, None], &SealOptions::default()).unwrap();
    let events = sealed.into_iter().zip(1..).take(3);
    events
        .map(|(event, at)| event.into_stored(Position(at)))
        .collect()
}

fn chain(shows: &str, events: &[StoredEvent]) -> Value {
    let last = events.last().unwrap();
    let blocks: Vec<_> = events
        .iter()
        .map(|event| {
            json!({
                "sequence": event.envelope.sequence,
                "type": event.event_type(),
                "commit": event.envelope.commit,
                "meta": event.envelope.meta.len(),
                "cid": event.cid.to_string(),
                "previous": event.envelope.previous.map(|cid| cid.to_string()),
                "payload_cid": event.envelope.payload.to_string(),
                "body": hex(event.body()),
            })
        })
        .collect();
    json!({
        "shows": shows,
        "head": {"sequence": last.envelope.sequence, "cid": last.cid.to_string()},
        "blocks": blocks,
    })
}

fn payloads() -> Vec<Value> {
    let raw = Cid::new_v1(0x55, *five()[0].cid.hash());
    [
        ("no field", ipld!({})),
        (
            "keys sort by length, then by bytes",
            ipld!({"b": 1, "aa": 2, "a": 3, "é": 4}),
        ),
        (
            "the widest integers, and those where heads grow",
            ipld!({"i": [0, 23, 24, 255, 256, 65_535, 65_536, 4_294_967_295_u64, 4_294_967_296_u64,
                18_446_744_073_709_551_615_u64, -1, -24, -25, -9_223_372_036_854_775_808_i64, -9_223_372_036_854_775_809_i128,
                -18_446_744_073_709_551_616_i128]}),
        ),
        (
            "floats have 64 bits",
            ipld!({"f": [0.0, 1.0, -1.5, 1.0e300, 5.0e-324]}),
        ),
        (
            "texts in UTF-8, bytes, the simple values",
            ipld!({
                "t": ["", "ASCII", "grüezi", "日本", "🦀"], "b": (Ipld::Bytes(vec![0, 255])),
                "s": [null, true, false],
            }),
        ),
        (
            "a link to a foreign codec",
            ipld!({"link": (Ipld::Link(raw))}),
        ),
        (
            "lists and maps in each other",
            ipld!({"a": [{"b": [[], {}]}]}),
        ),
    ]
    .into_iter()
    .map(|(shows, value)| {
        let bytes = serde_ipld_dagcbor::to_vec(&value).unwrap();
        json!({
            "shows": shows,
            "bytes": hex(&bytes),
            "sha2-256": HashCode::Sha2_256.cid(&bytes).to_string(),
            "blake3": HashCode::Blake3_256.cid(&bytes).to_string(),
        })
    })
    .collect()
}

fn payloads_refused() -> Vec<Value> {
    let digest = hex(&[7; 32]);
    let field = |value: &str| format!("a16161{value}");
    [
        ("a list instead of a map", "80".to_owned(), "not a map"),
        (
            "bytes behind the map",
            "a000".to_owned(),
            "behind the value",
        ),
        (
            "a map of indefinite length",
            "bfff".to_owned(),
            "not definite",
        ),
        ("a list of indefinite length", field("9fff"), "not definite"),
        (
            "an integer in more bytes than it needs",
            field("1817"),
            "shortest",
        ),
        (
            "a length in more bytes than it needs",
            field("780161"),
            "shortest",
        ),
        (
            "a bignum",
            field("c249010000000000000000"),
            "tag other than 42",
        ),
        ("a date tag", field("c11a514b67b0"), "tag other than 42"),
        ("undefined", field("f7"), "simple value"),
        ("a float of 16 bits", field("f93c00"), "fewer than 64 bits"),
        (
            "a float of 32 bits",
            field("fa3f800000"),
            "fewer than 64 bits",
        ),
        ("not a number", field("fb7ff8000000000000"), "not finite"),
        ("infinity", field("fb7ff0000000000000"), "not finite"),
        ("minus infinity", field("fbfff0000000000000"), "not finite"),
        ("minus zero", field("fb8000000000000000"), "-0.0"),
        ("a text that is not UTF-8", field("61ff"), "UTF-8"),
        ("a key that is no text", "a10101".to_owned(), "not a text"),
        (
            "a key that stands twice",
            "a2616101616102".to_owned(),
            "twice",
        ),
        (
            "keys in the order of bytes instead of length",
            "a262616101616202".to_owned(),
            "sorted",
        ),
        (
            "a link without the zero byte",
            field(&format!("d82a582401711220{digest}")),
            "no CID",
        ),
        (
            "a link with a byte behind the CID",
            field(&format!("d82a58260001711220{digest}00")),
            "no CID",
        ),
        ("a link that is a text", field("d82a6100"), "no byte string"),
        ("bytes that end early", field("6261"), "end inside"),
        (
            "127 levels",
            format!("{}a0", "a16161".repeat(126)),
            "126 levels",
        ),
    ]
    .into_iter()
    .map(|(shows, bytes, reason)| {
        assert!(refusal(&unhex(&json!(bytes))).contains(reason), "{shows}");
        json!({"shows": shows, "bytes": bytes, "reason": reason})
    })
    .collect()
}

fn cids_refused() -> Vec<Value> {
    let digest = [7; 32];
    let with = |prefix: &[u8], digest: &[u8], suffix: &[u8]| [prefix, digest, suffix].concat();
    [
        (
            "a byte behind the digest",
            with(&[1, 0x71, 0x12, 32], &digest, &[0]),
        ),
        (
            "a digest that is cut off",
            with(&[1, 0x71, 0x12, 32], &digest[..31], &[]),
        ),
        (
            "an unknown hash: sha2-512 cut to 32 bytes",
            with(&[1, 0x71, 0x13, 32], &digest, &[]),
        ),
        (
            "an unknown hash: sha3-256",
            with(&[1, 0x71, 0x16, 32], &digest, &[]),
        ),
        ("the codec raw", with(&[1, 0x55, 0x12, 32], &digest, &[])),
        ("version 0", with(&[0x12, 32], &digest, &[])),
        ("version 2", with(&[2, 0x71, 0x12, 32], &digest, &[])),
        (
            "a length that does not fit the digest",
            with(&[1, 0x71, 0x12, 31], &digest, &[]),
        ),
        ("the identity hash", vec![1, 0x71, 0, 2, 1, 2]),
        ("nothing", vec![]),
    ]
    .into_iter()
    .map(|(shows, bytes)| {
        let text = match Cid::try_from(&bytes[..]) {
            Ok(cid) if cid.to_bytes() == bytes => json!(cid.to_string()),
            _ => Value::Null,
        };
        json!({"shows": shows, "bytes": hex(&bytes), "text": text})
    })
    .collect()
}

fn blocks_refused() -> Vec<Value> {
    let event = &five()[0];
    let (envelope, payload) = (event.envelope_bytes(), event.payload());
    let mut flipped = event.body().to_vec();
    flipped[100] ^= 1;
    let at = envelope
        .windows(3)
        .position(|window| window == [0x61, b'v', 1])
        .unwrap()
        + 2;
    let long = [&envelope[..at], &[0x18], &envelope[at..]].concat();
    let mut newer = event.envelope.clone();
    newer.format = 2;
    let newer = serde_ipld_dagcbor::to_vec(&newer).unwrap();
    let changed = |change: fn(&mut Envelope)| {
        let mut envelope = event.envelope.clone();
        change(&mut envelope);
        serde_ipld_dagcbor::to_vec(&envelope).unwrap()
    };
    let impossible = changed(|envelope| envelope.commit = [1, 2, 2, 2].into());
    let large = changed(|envelope| envelope.meta.insert("text", "a".repeat(2_040)));
    let with_meta = |value: Ipld| {
        let mut fields: BTreeMap<String, Ipld> =
            serde_ipld_dagcbor::from_slice(event.envelope_bytes()).unwrap();
        fields.insert("meta".to_owned(), value);
        serde_ipld_dagcbor::to_vec(&fields).unwrap()
    };
    let none = with_meta(ipld!({}));
    let list = with_meta(ipld!({"a": [1]}));
    let float = with_meta(ipld!({"a": 0.5}));
    let hash = HashCode::Sha2_256;
    let refused = |shows, envelope: &[u8]| {
        let body = [&[0x82], envelope, payload].concat();
        (shows, hash.cid(envelope), body, "NotCanonical")
    };
    [
        ("one bit flipped", event.cid, flipped, "Tampered"),
        ("the CID of another event", five()[1].cid, event.body().to_vec(), "Tampered"),
        ("a byte behind the payload", event.cid, [event.body(), &[0xf6][..]].concat(), "Tampered"),
        ("no body", event.cid, vec![], "Tampered"),
        ("the payload is null", event.cid, [&[0x82], envelope, &[0xf6]].concat(), "PayloadMissing"),
        ("the envelope alone", event.cid, envelope.to_vec(), "PayloadMissing"),
        (
            "the array's head in two bytes",
            event.cid,
            [&[0x98, 2], envelope, payload].concat(),
            "NotCanonical",
        ),
        (
            "the format in two bytes",
            hash.cid(&long),
            [&[0x82], &long[..], payload].concat(),
            "NotCanonical",
        ),
        (
            "an envelope of format 2",
            hash.cid(&newer),
            [&[0x82], &newer[..], payload].concat(),
            "NotCanonical",
        ),
        refused("a commit without room for an event's fellows", &impossible),
        refused("`meta` of 2,049 bytes", &large),
        refused("`meta` without a value", &none),
        refused("`meta` with a list", &list),
        refused("`meta` with a float", &float),
    ]
    .into_iter()
    .map(|(shows, cid, body, verdict)| {
        json!({"shows": shows, "cid": cid.to_string(), "body": hex(&body), "verdict": verdict})
    })
    .collect()
}
