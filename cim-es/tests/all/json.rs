//! A stored event as JSON, without knowing its type.

use cim_es::block::{Cid, StoredEvent, dag_json};
use cim_es::prelude::*;
use cim_es::store::{ExpectedVersion, NewEvent, Position, SealOptions, seal};
use ipld_core::ipld;
use serde_json::Value;

use crate::blocks_support::*;

fn stored(payload: &Ipld) -> StoredEvent {
    let payload = serde_ipld_dagcbor::to_vec(payload).unwrap();
    let event = NewEvent::from_payload("a.b.c", 1, payload);
    let mut request = request(1, 1_769_860_800_123_456);
    request.identity = request
        .identity
        .with_meta("tenant", "north")
        .with_meta("n", 7);
    let request = request.aggregate(key("node-1"), ExpectedVersion::Any, vec![event]);
    let sealed = seal(request, &[None], &SealOptions::default())
        .unwrap()
        .remove(0);
    sealed.into_stored(Position(12))
}

fn everything(cid: Cid) -> Ipld {
    ipld!({
        "bytes": (Ipld::Bytes(vec![0, 255, 62, 63])),
        "none": (Ipld::Bytes(vec![])),
        "link": (Ipld::Link(cid)),
        "floats": [1.0, -0.5, 1e300, 5e-324, 100.0],
        "integers": [0, -1, 18_446_744_073_709_551_615_u64, (Ipld::Integer(-(1 << 64)))],
        "text": "\"\\\n\r\t\u{1}\u{7f}ü🦀",
        "rest": [null, true, false, {}, []],
    })
}

#[test]
fn dag_json_is_as_its_specification_has_it() {
    let cid = five()[0].cid;
    let json = dag_json(&everything(cid)).unwrap();
    let expected = format!(
        "{{\"bytes\":{{\"/\":{{\"bytes\":\"AP8+Pw\"}}}},\"floats\":[1.0,-0.5,1e300,5e-324,100.0],\
         \"integers\":[0,-1,18446744073709551615,-18446744073709551616],\"link\":{{\"/\":\"{cid}\"}},\
         \"none\":{{\"/\":{{\"bytes\":\"\"}}}},\"rest\":[null,true,false,{{}},[]],\
         \"text\":\"\\\"\\\\\\n\\r\\t\\u0001\u{7f}ü🦀\"}}"
    );
    assert_eq!(json, expected);
    serde_json::from_str::<Value>(&json).unwrap();
}

#[test]
fn an_event_is_shown_without_loss_and_without_its_type() {
    let event = stored(&everything(five()[0].cid));
    let json: Value = serde_json::from_str(&event.to_dag_json().unwrap()).unwrap();
    assert_eq!(json["cid"]["/"], event.cid.to_string());
    assert_eq!(
        json["envelope"]["payload"]["/"],
        event.envelope.payload.to_string()
    );
    assert_eq!(json["envelope"]["timestamp"], 1_769_860_800_123_456_i64);
    assert_eq!(
        json["envelope"]["id"]["/"]["bytes"].as_str().unwrap().len(),
        22
    );
    assert_eq!(json["payload"]["bytes"]["/"]["bytes"], "AP8+Pw");
}

#[test]
fn a_map_that_has_no_place_in_dag_json_is_an_error_with_its_path() {
    let event = stored(&ipld!({"a": [{"/": "b"}]}));
    let error = event.to_dag_json().unwrap_err();
    assert_eq!(error.path, "payload.a[0]");
    assert!(event.to_json().ends_with(r#""payload":{"a":[{"/":"b"}]}}"#));
}

#[test]
fn people_read_times_and_ids_as_texts() {
    let link = five()[0].cid;
    let event = stored(&everything(link));
    let json: Value = serde_json::from_str(&event.to_json()).unwrap();
    assert_eq!(json["time"], "2026-01-31T12:00:00.123456Z");
    assert_eq!(json["id"], "node-1");
    assert_eq!(json["cid"], event.cid.to_string());
    assert_eq!(json["event"], event.envelope.id.to_string());
    assert_eq!(json["actor"], "tests");
    assert_eq!(json["meta"], serde_json::json!({"tenant": "north", "n": 7}));
    assert_eq!(json["payload"]["link"], link.to_string());
    assert_eq!(json["payload"]["bytes"], "AP8+Pw");
    assert_eq!(json["commit"], serde_json::json!([1, 1, 1, 1]));
}

#[test]
fn what_follows_once_from_an_event_names_who_acts() {
    let event = &five()[0];
    let once = MessageIdentity::caused_once_by(event, "lend_again");
    assert_eq!(event.envelope.source.as_deref(), Some("tests"));
    assert_eq!(once.actor(), Some("lend_again"));
    let desk = MessageIdentity::caused_once_by(event, "lend_again").with_actor("desk");
    assert_eq!(
        (desk.actor(), desk.message_id()),
        (Some("desk"), once.message_id())
    );
}
