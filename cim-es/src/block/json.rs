//! Events and values as JSON, without knowing their types; how they are read back is in `json_read`.
//!
//! [DAG-JSON](https://ipld.io/specs/codecs/dag-json/spec/) is lossless: links and bytes stand in maps with the key `/`, floats
//! keep their point. The form for people has texts in their place.

use std::fmt::Write;

use ipld_core::ipld::Ipld;

use super::StoredEvent;
use super::reader::prepend;
use crate::domain::message::MetaValue;

/// A value that JSON cannot show without loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the map at `{path}` has the key `/`, which DAG-JSON keeps for links and bytes: read the block as dag-cbor, or use `to_json`"
)]
pub struct NotDagJson {
    /// The path of the map.
    pub path: String,
}

/// A value as DAG-JSON: one line, keys in the order of their bytes.
///
/// ```
/// use cim_es::block::dag_json;
/// use cim_es::prelude::Ipld;
///
/// let value = Ipld::List(vec![Ipld::Bytes(vec![1, 2]), Ipld::Float(1.0), Ipld::Integer(-7)]);
/// assert_eq!(dag_json(&value)?, r#"[{"/":{"bytes":"AQI"}},1.0,-7]"#);
/// # Ok::<(), cim_es::block::NotDagJson>(())
/// ```
///
/// # Errors
/// [`NotDagJson`] with the path of a map that has the key `/`.
pub fn dag_json(value: &Ipld) -> Result<String, NotDagJson> {
    let mut json = String::new();
    write_value(&mut json, value, Form::Lossless).map_err(|path| NotDagJson { path })?;
    Ok(json)
}

/// How what JSON does not have is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lossless,
    ForPeople,
}

impl StoredEvent {
    /// The event as one line of DAG-JSON, without knowing its type: `{"cid": …, "envelope": …, "payload": …}`.
    ///
    /// It is lossless: envelope and payload are those of the block, and encode to the same bytes again. A payload that is
    /// encrypted stands there as bytes.
    ///
    /// # Errors
    /// [`NotDagJson`] with the path of a map that has the key `/`.
    pub fn to_dag_json(&self) -> Result<String, NotDagJson> {
        let (envelope, payload) = self.parts();
        let event = Ipld::Map(
            [
                ("cid".to_owned(), Ipld::Link(self.cid)),
                ("envelope".to_owned(), envelope),
                ("payload".to_owned(), payload),
            ]
            .into(),
        );
        dag_json(&event)
    }

    /// The event as JSON for people, without knowing its type: one line with what it is about first. Times are in RFC 3339,
    /// ids and CIDs are texts, bytes are in base64.
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    /// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
    /// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// # enum LampEvent { Switched { on: bool } }
    /// # #[derive(Command, Clone, Debug)]
    /// # enum LampCommand { Switch }
    /// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    /// # #[aggregate(domain = "home", name = "lamp")]
    /// # struct Lamp { state: LampState, on: bool }
    /// # impl Decide for Lamp {
    /// #     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
    /// #         emit(LampEvent::Switched { on: !self.on })
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lamps = Repository::<Lamp>::new(MemoryEventStore::new());
    /// let me = MessageIdentity::new_from_user("me");
    /// let commit = lamps.execute(&Id::new(), LampCommand::Switch, &me).await?;
    /// let json = commit.events()[0].to_json();
    /// assert!(json.starts_with(r#"{"type":"home.lamp.switched","aggregate":"home.lamp","id":""#));
    /// assert!(json.ends_with(r#","payload":{"on":true}}"#));
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_json(&self) -> String {
        let envelope = &self.envelope;
        let mut json = Object::new();
        json.text("type", &envelope.event_type);
        json.text("aggregate", &envelope.aggregate);
        json.text("id", &envelope.aggregate_id);
        json.raw("version", &envelope.sequence.to_string());
        json.text("time", &envelope.timestamp.to_string());
        if let Some(actor) = &envelope.source {
            json.text("actor", actor);
        }
        json.raw("position", &self.position.to_string());
        json.text("cid", &self.cid.to_string());
        if let Some(previous) = envelope.previous {
            json.text("previous", &previous.to_string());
        }
        if !envelope.parents.is_empty() {
            let parents = envelope.parents.iter().map(|cid| format!("\"{cid}\""));
            let parents: Vec<_> = parents.collect();
            json.raw("parents", &format!("[{}]", parents.join(",")));
        }
        json.text("event", &envelope.id.to_string());
        json.text("cause", &envelope.causation_id.to_string());
        json.text("correlation", &envelope.correlation_id.to_string());
        let [index, of, whole_index, whole_of] = envelope.commit.into();
        json.raw(
            "commit",
            &format!("[{index},{of},{whole_index},{whole_of}]"),
        );
        json.raw("schema", &envelope.schema.to_string());
        if !envelope.meta.is_empty() {
            let entry = |(name, value): (&str, &MetaValue)| (name.to_owned(), value.clone().into());
            let meta = envelope.meta.iter().map(entry).collect();
            json.raw("meta", &for_people(&Ipld::Map(meta)));
        }
        json.raw("payload", &for_people(&self.parts().1));
        json.end()
    }

    /// Envelope and payload as values.
    fn parts(&self) -> (Ipld, Ipld) {
        // Both were proved to be canonical, so that they decode.
        let decoded = |bytes: &[u8]| serde_ipld_dagcbor::from_slice(bytes).unwrap_or(Ipld::Null);
        (decoded(self.envelope_bytes()), decoded(self.payload()))
    }
}

/// An object whose entries stand in the order in which they are put.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn raw(&mut self, key: &str, json: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        write_text(&mut self.0, key);
        self.0.push(':');
        self.0.push_str(json);
    }

    fn text(&mut self, key: &str, text: &str) {
        let mut json = String::new();
        write_text(&mut json, text);
        self.raw(key, &json);
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn for_people(value: &Ipld) -> String {
    let mut json = String::new();
    // Nothing is without a form for people.
    let _ = write_value(&mut json, value, Form::ForPeople);
    json
}

/// The error is the path of what has no form.
fn write_value(json: &mut String, value: &Ipld, form: Form) -> Result<(), String> {
    match value {
        Ipld::Null => json.push_str("null"),
        Ipld::Bool(true) => json.push_str("true"),
        Ipld::Bool(false) => json.push_str("false"),
        Ipld::Integer(number) => write_shown(json, number),
        Ipld::Float(number) => write_float(json, *number),
        Ipld::String(text) => write_text(json, text),
        Ipld::Bytes(bytes) if form == Form::Lossless => {
            json.push_str("{\"/\":{\"bytes\":");
            write_text(json, &base64(bytes));
            json.push_str("}}");
        }
        Ipld::Bytes(bytes) => write_text(json, &base64(bytes)),
        Ipld::Link(cid) if form == Form::Lossless => {
            json.push_str("{\"/\":");
            write_text(json, &cid.to_string());
            json.push('}');
        }
        Ipld::Link(cid) => write_text(json, &cid.to_string()),
        Ipld::List(list) => {
            json.push('[');
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                write_value(json, value, form).map_err(|path| under(path, &format!("[{at}]")))?;
            }
            json.push(']');
        }
        Ipld::Map(map) if form == Form::Lossless && map.contains_key("/") => {
            return Err(String::new());
        }
        Ipld::Map(map) => {
            json.push('{');
            for (at, (key, value)) in map.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                write_text(json, key);
                json.push(':');
                write_value(json, value, form).map_err(|path| under(path, key))?;
            }
            json.push('}');
        }
    }
    Ok(())
}

fn under(mut path: String, segment: &str) -> String {
    prepend(&mut path, segment);
    path
}

fn write_shown(json: &mut String, shown: impl std::fmt::Display) {
    // A `String` takes whatever is written.
    let _ = write!(json, "{shown}");
}

/// A float keeps a point or an exponent, by which it is told from an integer.
fn write_float(json: &mut String, number: f64) {
    let start = json.len();
    write_shown(json, format_args!("{number:?}"));
    if !json[start..].contains(['.', 'e', 'E']) {
        json.push_str(".0");
    }
}

fn write_text(json: &mut String, text: &str) {
    json.push('"');
    for char in text.chars() {
        match char {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                write_shown(json, format_args!("\\u{:04x}", u32::from(control)));
            }
            char => json.push(char),
        }
    }
    json.push('"');
}

/// Base64 in the standard alphabet, without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            let digit = bits >> (18 - 6 * place) & 0x3f;
            text.push(char::from(ALPHABET[digit as usize]));
        }
    }
    text
}
