//! The schema lock: a committed file of everything that stored events rely on.

mod compare;
mod fit;
mod former;
mod path;
mod record;
mod shape;
mod text;

use std::fmt::{Debug, Write};
use std::path::Path;

use super::event_contract::is_retired;
use super::survival::loss;
use compare::{Changes, compare};
use text::{Event, Lock, Machine};

use ipld_core::ipld::Ipld;

use crate::domain::aggregate::Aggregate;
use crate::domain::event::{DomainEvent, EnvelopeView};
use crate::domain::machine::StateMachine;
use crate::store::NewEvent;

/// Keeps a file with the type, version and fields of every stored event and with every edge of the machines, so that a
/// change that stored histories would not survive fails a test, which names the field and what to do.
///
/// The fields come from sample events, one or more of every variant: what of them is stored, and what serde reads back
/// from it. A sample is missing where no value of an `Option`, no element of a list or no variant with content was seen;
/// the test then says which. `CIM_ES_BLESS=1` in the environment writes the file when it is missing and adds what is
/// new; it never takes a change that breaks stored events. Where such a change is meant, because no store holds the
/// event, the lines are taken out of the file by hand.
///
/// A sample that prints otherwise after it was stored and read again has lost something on the way, such as a field that
/// serde skips or rounds; the test says which sample.
///
/// What counts as what:
///
/// | change | stored events |
/// |---|---|
/// | a new event, a new edge | survive |
/// | a new field that may be absent; a field that may now be absent, be null, or have further variants | survive |
/// | a wider number: `u8` to `u32`, `u32` to `i64`, `f32` to `f64` | survive |
/// | a field renamed with `#[serde(alias = …)]`, an event renamed with `#[event(was = …)]` | survive |
/// | a higher version of an event, whose upcasters the derive demands | survive; the fields are locked anew, the former ones stay |
/// | a field or an event that is gone, a field of another kind or one that must now be there, a lower version | break |
/// | an edge that is gone or leads elsewhere, another initial state | break |
///
/// What older programs stored is shown by samples too, given to [`former`](Self::former): one of each version before the
/// present one, and one of each former name, `was`. They must have the shape that the lock has of that time, go through
/// the upcasters, and become events that fold. The test says which is missing. A lock that was written without former
/// shapes is read as it is; its samples are then compared with none.
///
/// What a value object refuses within its kind (a shorter text, a smaller range) is no part of the shape: keep stored
/// blocks as fixtures for that. A struct with `#[serde(flatten)]` counts as a map. Of an enum with `#[serde(tag = …)]` alone
/// or `#[serde(untagged)]` the lock knows the variants that the samples have, and does not miss another one: give a sample
/// of each, and fixtures, or leave the attribute out.
///
/// ```no_run
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
/// use cim_es::testing::SchemaLock;
///
/// # /*
/// #[test]
/// # */
/// fn stored_events_survive() {
///     SchemaLock::new()
///         .aggregate::<Lamp>([LampEvent::Switched { on: true }])
///         .check("schema.lock");
/// }
/// # stored_events_survive();
/// ```
#[derive(Clone, Debug, Default)]
pub struct SchemaLock {
    lock: Lock,
    missing: Vec<String>,
    /// What samples lose on their way through a store.
    lost: Vec<String>,
    /// What older programs stored: what there is to show, and what is shown.
    demands: Vec<former::Demand>,
    samples: Vec<former::Sample>,
}

impl SchemaLock {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an aggregate with samples of its events.
    #[must_use]
    pub fn aggregate<A: Aggregate>(mut self, samples: impl IntoIterator<Item = A::Event>) -> Self
    where
        A::Event: Debug,
    {
        let mut by_variant: Vec<Vec<A::Event>> =
            A::Event::EVENTS.iter().map(|_| Vec::new()).collect();
        for sample in samples {
            if let Ok((_, read_back)) = NewEvent::and_read_back(&sample) {
                self.lost.extend(loss(&sample, &read_back));
            }
            by_variant[sample.index()].push(sample);
        }
        for (index, samples) in by_variant.iter().enumerate() {
            let info = &A::Event::EVENTS[index];
            let mut event = Event {
                version: info.schema,
                // The compiler lets no other event be without an edge.
                is_retired: is_retired(info)
                    && !A::State::EDGES
                        .iter()
                        .any(|edge| edge.event == info.variant),
                former_types: info
                    .former_types
                    .iter()
                    .map(|it| (*it).to_owned())
                    .collect(),
                ..Event::default()
            };
            match shape::shape(index, samples) {
                // Nothing of it is stored any more.
                _ if event.is_retired => {}
                Ok(shape) => event.fields = shape.fields,
                Err(missing) => self.missing.extend(missing),
            }
            // That the payload itself is a map of the fields, they say already.
            let is_map = |kind: &String| kind == "struct" || kind == "map";
            event
                .fields
                .retain(|path, field| !path.is_empty() || !field.kinds.iter().all(is_map));
            self.lock.events.insert(info.event_type.to_owned(), event);
        }
        let mut machine = Machine {
            initial: A::State::INITIAL.to_owned(),
            former_kinds: A::FORMER_KINDS.iter().map(|it| (*it).to_owned()).collect(),
            ..Machine::default()
        };
        for edge in A::State::EDGES {
            let place = A::Event::VARIANTS.iter().position(|it| *it == edge.event);
            let event_type = place.map_or(edge.event, |at| A::Event::EVENTS[at].event_type);
            let from = (edge.from.to_owned(), event_type.to_owned());
            machine.edges.insert(from, edge.to.to_owned());
        }
        self.lock.machines.insert(A::KIND.to_owned(), machine);
        self.demands.extend(former::demands::<A>());
        self
    }

    /// Adds payloads as older programs stored them, each with the type and the schema version of that time: one of each
    /// former version of an event, and one of each former name. Each is read as a store reads it, by the upcasters, and
    /// folded behind those before it in the same call; where the state that they lead to has no edge for it, in one that
    /// has.
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    /// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
    /// # #[derive(Command, Clone, Debug)]
    /// # enum LampCommand { Switch }
    /// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    /// # #[aggregate(domain = "home", name = "lamp")]
    /// # struct Lamp { state: LampState, on: bool }
    /// use cim_es::testing::SchemaLock;
    ///
    /// #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// enum LampEvent {
    ///     #[event(version = 2)]
    ///     #[upcast(from = 1, with = on_was_a_number)]
    ///     Switched { on: bool },
    /// }
    ///
    /// fn on_was_a_number(payload: Ipld) -> Result<Ipld, UpcastError> {
    ///     let Ipld::Map(mut fields) = payload else { return Err(UpcastError::new("not a map")) };
    ///     let on = fields.get("on") == Some(&Ipld::Integer(1));
    ///     fields.insert("on".into(), Ipld::Bool(on));
    ///     Ok(Ipld::Map(fields))
    /// }
    ///
    /// let version_1 = Ipld::Map([("on".to_owned(), 1.into())].into());
    /// let lock = SchemaLock::new()
    ///     .aggregate::<Lamp>([LampEvent::Switched { on: true }])
    ///     .former::<Lamp>([(EnvelopeView::new("home.lamp.switched", 1), version_1)]);
    /// # let _ = lock;
    /// ```
    #[must_use]
    pub fn former<'a, A: Aggregate>(
        mut self,
        samples: impl IntoIterator<Item = (EnvelopeView<'a>, Ipld)>,
    ) -> Self {
        self.samples.extend(former::samples::<A>(samples));
        self
    }

    /// The text of the lock as the program is now, as a new file would hold it. What a file has of former versions is in
    /// the file alone, and stays there.
    pub fn text(&self) -> String {
        self.lock.to_string()
    }

    /// Compares the program with the file.
    ///
    /// # Panics
    /// When a change would break stored events, when a sample is missing or one of a former version is not read, when the
    /// file lacks what is new (unless `CIM_ES_BLESS=1` is set, which adds it) and when it cannot be read or written; the
    /// message says what to do.
    #[track_caller]
    pub fn check(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        let is_blessed = std::env::var_os("CIM_ES_BLESS").is_some();
        if let Err(message) = self.compared(path, is_blessed) {
            panic!("{}: {message}", path.display());
        }
    }

    fn compared(&self, path: &Path, is_blessed: bool) -> Result<(), String> {
        if !self.lost.is_empty() {
            return Err(format!(
                "a sample does not come back from a store as it was:{}",
                list(&self.lost)
            ));
        }
        if !self.missing.is_empty() {
            return Err(format!(
                "the samples do not show everything that is stored; add events that do, in a `Specification` as a case with one:{}",
                list(&self.missing)
            ));
        }
        let file = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_blessed => {
                return Err(format!("the file is missing: {BLESS} to write it"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            file => file.map_err(|error| error.to_string())?,
        };
        let locked = Lock::parse(&file)
            .map_err(|(line, says)| format!("line {line} is none of a schema lock: `{says}`"))?;
        let kept = self.lock.keeping_the_former_of(&locked);
        let present = kept.to_string();
        if Lock::parse(&present).as_ref() != Ok(&kept) {
            return Err("the name of a field or a variant has `, `, ` | `, `: ` or the like in it, which the text of a lock cannot hold: choose another, by `#[serde(rename = …)]`".to_owned());
        }
        let Changes {
            breaking,
            additions,
        } = compare(&locked, &self.lock);
        if !breaking.is_empty() {
            return Err(format!(
                "stored events would not survive:{}\nWhere no store holds such events, take the lines out of the file by hand.",
                list(&breaking)
            ));
        }
        let unread = former::faults(&kept, &self.demands, &self.samples);
        if !unread.is_empty() {
            return Err(format!(
                "what older programs stored is not shown to be read:{}",
                list(&unread)
            ));
        }
        if file == present {
            return Ok(());
        }
        if is_blessed {
            return std::fs::write(path, present).map_err(|error| error.to_string());
        }
        let news = match additions.is_empty() {
            true => "\n- the text differs, not what it says".to_owned(),
            false => list(&additions),
        };
        Err(format!(
            "the program has what the file lacks; {BLESS} to add it:{news}"
        ))
    }
}

const BLESS: &str = "run the test with CIM_ES_BLESS=1";

fn list(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut list, line| {
        let _ = write!(list, "\n- {line}");
        list
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::SchemaLock;
    use crate::prelude::*;

    #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    enum LampState {
        #[state(initial)]
        #[on(/ Switched => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum LampEvent {
        Switched { on: bool },
    }

    #[derive(Command, Clone, Debug)]
    enum LampCommand {}

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "home", name = "lamp")]
    struct Lamp {
        state: LampState,
        on: bool,
    }

    impl Decide for Lamp {
        fn decide(&self, command: LampCommand, _: &Context) -> Decision<Self> {
            match command {}
        }
    }

    fn lock() -> SchemaLock {
        SchemaLock::new().aggregate::<Lamp>([LampEvent::Switched { on: true }])
    }

    fn file() -> PathBuf {
        std::env::temp_dir().join(format!("{}.schema.lock", Uuid::now_v7()))
    }

    #[test]
    fn a_name_that_the_text_cannot_hold_is_refused() {
        for name in ["a, b", "a | b"] {
            let mut lock = lock();
            let event = lock.lock.events.values_mut().next().unwrap();
            let kinds = &mut event.fields.get_mut("on").unwrap().kinds;
            kinds.insert(format!("\"{name}\""));
            let refused = lock.compared(&file(), true).unwrap_err();
            assert!(refused.contains("cannot hold"), "{refused}");
        }
    }

    #[test]
    fn blessing_writes_a_missing_file_and_adds_what_is_new() {
        let (file, lock) = (file(), lock());
        assert!(lock.compared(&file, false).is_err());
        assert_eq!(lock.compared(&file, true), Ok(()));
        assert_eq!(lock.compared(&file, false), Ok(()));
        let fewer = lock
            .text()
            .replace("    Any: home.lamp.switched => Any\n", "");
        std::fs::write(&file, &fewer).unwrap();
        assert!(lock.compared(&file, false).is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), fewer);
        assert_eq!(lock.compared(&file, true), Ok(()));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), lock.text());
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn blessing_never_takes_what_breaks_stored_events() {
        let (file, lock) = (file(), lock());
        let other = lock.text().replace("on: bool", "on: text");
        std::fs::write(&file, &other).unwrap();
        let refused = lock.compared(&file, true).unwrap_err();
        assert!(
            refused.contains("field `on` was `text`, is `bool` now"),
            "{refused}"
        );
        assert!(
            refused.contains("take the lines out of the file by hand"),
            "{refused}"
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), other);
        std::fs::remove_file(file).unwrap();
    }
}
