//! The macros of cim-es. Use them through `cim_es::prelude`.
//!
//! Each derive goes through the same phases, in [`derive`]: `attr` reads the attributes into the `model`, `check`
//! reports what is wrong with it, `expand` writes the code. All errors of one derive are reported at once, each on its
//! token; beside them stands an implementation that compiles, so that one mistake gives one error.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod aggregate;
mod attr;
mod command;
mod ctxt;
mod derive;
mod document;
mod event;
mod fingerprint;
#[cfg(test)]
mod golden;
mod group;
mod id;
mod kind;
mod machine;
mod macros;
mod names;
mod nearest;
mod projection;
mod reexport;
mod serde_keys;
mod shape;

use proc_macro::TokenStream;

/// An id of the author's own, from a struct with one unnamed field.
///
/// The field's type prints and parses (`Display`, and `FromStr` with an error that prints); the derive adds both to the
/// struct, and `AggregateId`. Name the struct with `#[aggregate(id = …)]`. Any text of 1 to 255 bytes is an id, such as an
/// e-mail address, a host name or `Ann Lee`; what cannot stand in a subject is escaped there.
///
/// ```ignore
/// #[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
/// struct MachineId(String);
/// ```
#[proc_macro_derive(AggregateId, attributes(aggregate_id))]
pub fn aggregate_id(input: TokenStream) -> TokenStream {
    id::derive(input.into()).into()
}

/// The states of an aggregate and the edges between them, from an enum of states without data.
///
/// This derive asks for no other one: it writes `Default`, the initial state, and compares states by itself. What the
/// aggregate derives, its field `state` needs too, so the enum has `Clone, Serialize, Deserialize` beside it, and `Debug`
/// where the aggregate has it. `Copy` and `PartialEq` are there for your own code.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[machine(event = path)]` | the enum | its events; without it `ComputeState` has `ComputeEvent` |
/// | `#[machine(command = path)]` | the enum | its commands; without it `ComputeState` has `ComputeCommand` |
/// | `#[machine(crate = path)]` | the enum | where `cim_es` is, when it has another name or is re-exported |
/// | `#[machine(output = Type)]` | the enum | what each state tells the outside; every state then says its own |
/// | `#[state(initial)]` | one state | where an aggregate begins |
/// | `#[state(terminal)]` | a state | nothing leaves it; a state that nothing leaves must say so |
/// | `#[state(output = value)]` | a state | what it tells the outside |
/// | `#[on(Command / Event => State)]` | a state | an edge: here the command may give the event, which leads to the state |
/// | `#[on(Command / Event => _)]` | a state | an edge that stays in the state |
/// | `#[on(/ Event => State)]` | a state | an edge without a command: for a further event of a commit, or for history |
/// | `#[on(State \| State: Command / Event => _)]` | the enum | an edge that each of these states has |
///
/// Several edges can stand in one `#[on(…)]`, with commas between them. In one state an event leads to one state,
/// whatever command it came from. Each state can be reached from the initial one, each event is on an edge, and each
/// command is accepted in a state; what is not so does not compile.
#[proc_macro_derive(StateMachine, attributes(machine, state, on))]
pub fn state_machine(input: TokenStream) -> TokenStream {
    machine::derive(input.into()).into()
}

/// The events of an aggregate: their subjects, their versions, and how they fold.
///
/// A variant is a unit, has named fields, or holds one struct. The enum derives serde's `Serialize` and `Deserialize`
/// beside it; attributes of serde that change how the enum is encoded, or by which a field is not stored or not read again, are
/// refused.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[event(aggregate = path)]` | the enum | what the events fold into; without it `ComputeEvent` has `Compute` |
/// | `#[event(crate = path)]` | the enum | where `cim_es` is, when it has another name or is re-exported |
/// | `#[event(domain = "…", name = "…")]` | the enum | whose events they are, where the aggregate is declared in another program: see below |
/// | `#[event(was = "domain.name")]` | such an enum | a former domain and name of that aggregate; may be repeated |
/// | `#[event(keep)]` | a field, an `Option` | when it is absent, the aggregate's field stays as it is; without it, it is erased |
/// | `#[event(operation = "…")]` | a variant | the last tokens of its subject; without it the variant in snake_case |
/// | `#[event(subject = "…")]` | a variant | aggregate and operation behind the domain, such as `network.defined` |
/// | `#[event(was = "…")]` | a variant | a former operation of the same aggregate, still read; may be repeated |
/// | `#[event(was_subject = "…")]` | a variant | a former aggregate and operation, still read; may be repeated |
/// | `#[event(version = 2)]` | a variant | the version of its payload; without it 1 |
/// | `#[upcast(from = 1, with = path)]` | a variant | brings a payload from one version to the next, `fn(Ipld) -> Result<Ipld, UpcastError>` |
/// | `#[upcast(from = 1, with_envelope = path)]` | a variant | the same by a function that also takes the envelope, `fn(Ipld, &EnvelopeView<'_>) -> Result<Ipld, UpcastError>` |
/// | `#[upcast(from = 1, into_several = path)]` | a variant | reads the stored event as several of this enum, or as none, by a function `fn(Ipld, &EnvelopeView<'_>) -> Result<Vec<UpcastEvent>, UpcastError>` |
/// | `#[event(retired)]` | a variant | all that is stored of it is read as other events, by `into_several`: it has no fields and needs no edge |
/// | `#[apply(…)]` | a variant | what assignment by name does not cover |
///
/// # How an event folds
///
/// Each field goes into the aggregate's field of the same name: a `T` into a `T`, into an `Option<T>`, or into what
/// `From<T>` makes of it. What that does not cover stands in `#[apply(…)]`, with commas between the parts; assignments
/// by name come first, then the parts in order.
///
/// | part | meaning |
/// |---|---|
/// | `balance += amount` | a statement: its leftmost name is a field of the aggregate, every other bare name one of the event, or ordinary Rust; the aggregate itself is `self`, its type `Self` |
/// | `interfaces.push(interface)` | a statement that calls a method of a field |
/// | `_ = reason`, `_ = (reason, by)` | these fields of the event are not kept |
/// | `with = path` | a function takes the event instead: `fn(&mut Aggregate, …)` with all fields in order of declaration, with the struct of `Variant(Struct)`, or with nothing else for a unit |
///
/// A field of the event that a statement uses is not assigned by name. Scopes are Rust's own: a name that the statement
/// binds itself (a parameter of a closure, a pattern) is not the event's. The standard library's macros are followed,
/// with the names in format strings; another macro gets no name of the event, for what it makes of one cannot be seen.
/// A field without a home does not compile
/// (“no field … on type …”): add the field to the aggregate, or say `_ = field`. The struct of `Variant(Struct)` is
/// called `event` in statements, such as `owner = event.owner`; such a variant always says where its fields go. The
/// code stands where the enum is declared, so the aggregate's fields must be visible there.
///
/// # Events of an aggregate that is declared elsewhere
///
/// A program that only reads events, or a crate that several programs share as their contract, declares them with the
/// aggregate's `domain` and `name`. They have subjects, versions and upcasters like all others, and neither an aggregate
/// nor a machine: nothing is folded, so there is no `#[apply(…)]` and no `keep`.
///
/// ```ignore
/// #[derive(DomainEvent, Debug, Serialize, Deserialize)]
/// #[event(domain = "infrastructure", name = "compute")]
/// enum ComputeEvent {
///     Registered { hostname: String },
///     Decommissioned { reason: String },
/// }
/// ```
#[proc_macro_derive(DomainEvent, attributes(event, apply, upcast))]
pub fn domain_event(input: TokenStream) -> TokenStream {
    event::derive(input.into()).into()
}

/// The commands of an aggregate, from an enum whose variants have any shape.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[command(aggregate = path)]` | the enum | what decides the commands; without it `ComputeCommand` has `Compute` |
/// | `#[command(crate = path)]` | the enum | where `cim_es` is, when it has another name or is re-exported |
#[proc_macro_derive(Command, attributes(command))]
pub fn command(input: TokenStream) -> TokenStream {
    command::derive(input.into()).into()
}

/// What events fold into, from a struct with a field `state` of the machine's type.
///
/// The struct derives `Clone, Default, Serialize, Deserialize` beside it. All keys stand in `#[aggregate(…)]`:
///
/// | key | meaning |
/// |---|---|
/// | `domain = "…"` | the first tokens of its subjects; not `es`, which is the store's |
/// | `name = "…"` | the tokens behind the domain |
/// | `id = Type` | the type of its id; without it `Id<Self>` |
/// | `state = Type` | the type of its machine; without it the type of the field `state` |
/// | `error = Type` | why a decision refuses a command; without it `NoErrorInAggregateAttribute`, which has no value |
/// | `unique = path` | a function `fn(&Self) -> Vec<UniqueName>`, or of another iterator: the names that this aggregate holds in its present state, and no other at the same time |
/// | `scope = "word"` | a scope of these names: `domain!` refuses one that is the name of another aggregate, and a repository any other; may be repeated |
/// | `was = "domain.name"` | a former domain and name, whose histories are still loaded; may be repeated |
/// | `shares_ids_with = "domain.name"` | another kind of aggregate that may have the same ids; may be repeated |
/// | `crate = path` | where `cim_es` is, when it has another name or is re-exported |
/// | `fold = 2` | to be raised when a function changes how events fold and the declaration does not show it: snapshots made before are then not used |
///
/// Events and commands are those of the machine.
///
/// `#[in_state(OnLoan)]` on a field, or `#[in_state(OnLoan | Reserved)]`: the field belongs to these states. It has its
/// default in all others, whatever event led there, and an event that leads to another state cannot set it.
#[proc_macro_derive(Aggregate, attributes(aggregate, in_state))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    aggregate::derive(input.into()).into()
}

/// A projection: which events a view is made of, under which name it is kept, and where.
///
/// All keys stand in `#[projection(…)]` on the struct:
///
/// | key | meaning |
/// |---|---|
/// | `name = "…"` | the name of the view: letters from `a` to `z`, digits, `_` and `-` |
/// | `version = 1` | raised when the projection changes; the view is then built anew, beside the one before |
/// | `events = […]` | the enums of events that it is made of, each with an `impl Project`; `BookEvent::{Lent, Returned}` takes these events alone |
/// | `documents = Card` | it is kept as documents of this type; without it and the next ones, in the value itself |
/// | `tables = "…"` | it is kept in tables of SQLite that this SQL declares, `{units}` for the table `units`: a text, a constant, or `include_str!("…")`; each enum has an `impl ProjectTables` |
/// | `postgres_tables = "…"` | the same in PostgreSQL, with an `impl ProjectPostgresTables`; both may stand together |
/// | `crate = path` | where `cim_es` is, when it has another name or is re-exported |
///
/// ```ignore
/// #[derive(Projection, Debug, Default)]
/// #[projection(name = "loans", version = 1, events = [BookEvent, ReaderEvent::{Registered}])]
/// struct Loans { books: BTreeMap<Id<Reader>, BTreeSet<Id<Book>>> }
///
/// impl Project<BookEvent> for Loans {
///     fn project(&mut self, event: BookEvent, at: &Source<Book>) { self.count(event, at.id()) }
/// }
/// ```
#[proc_macro_derive(Projection, attributes(projection))]
pub fn projection(input: TokenStream) -> TokenStream {
    projection::derive(input.into()).into()
}

/// A value that a view keeps by key, from a struct with named fields.
///
/// The struct derives serde's `Serialize` and `Deserialize` beside it.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[index]` | a field | documents are found by its value: a text, a whole number, a bool, an id, a value object, an enum without data, an `Option` or a list of these |
/// | `#[document(crate = path)]` | the struct | where `cim_es` is, when it has another name or is re-exported |
///
/// What is declared here is part of the fingerprint of each projection into this document: who changes a field, its type,
/// or what is an index, raises the version of the projection.
#[proc_macro_derive(Document, attributes(document, index))]
pub fn document(input: TokenStream) -> TokenStream {
    document::derive(input.into()).into()
}

/// A value of the author's own by which documents are found: an enum of variants without data, or a struct with one
/// unnamed field that is such a value.
///
/// The type derives serde's `Serialize` beside it; the text by which documents are found is what that writes, such as the
/// name of the variant. `#[index_field(crate = path)]` says where `cim_es` is, when it has another name or is re-exported.
#[proc_macro_derive(IndexField, attributes(index_field))]
pub fn index_field(input: TokenStream) -> TokenStream {
    document::derive_index_field(input.into()).into()
}

/// The public subject of one event, checked: `subject!(ComputeEvent, "infrastructure.compute.registered")`.
///
/// It gives a `Subject<ComputeEvent>`, also in a constant. A text that is no present subject of the enum does not
/// compile; the message suggests the nearest one.
///
/// Where the crate has another name or is re-exported: `subject!(crate = facade::cim_es, ComputeEvent, "…")`.
#[proc_macro]
pub fn subject(input: TokenStream) -> TokenStream {
    macros::subject(input.into()).into()
}

/// A filter over public subjects, checked: `filter!(ComputeEvent, "infrastructure.compute.*")`.
///
/// It gives a `Filter<ComputeEvent>`, also in a constant. `*` stands for one token and `>` for the rest. A pattern that
/// matches no subject of the enum, present or former, does not compile.
///
/// Where the crate has another name or is re-exported: `filter!(crate = facade::cim_es, ComputeEvent, "…")`.
#[proc_macro]
pub fn filter(input: TokenStream) -> TokenStream {
    macros::filter(input.into()).into()
}

/// All aggregates of a domain: `domain!(pub INFRASTRUCTURE = [ComputeEvent, NetworkEvent]);`.
///
/// It declares a constant of type `Domain`, which lists aggregates, subjects, states and edges. A member may stand under
/// `#[cfg(…)]`. Two aggregates that
/// share a subject (former ones included), that have the same name, or that are of different domains do not compile.
///
/// Where the crate has another name or is re-exported: `domain!(crate = facade::cim_es, pub INFRASTRUCTURE = […])`.
#[proc_macro]
pub fn domain(input: TokenStream) -> TokenStream {
    macros::domain(input.into()).into()
}
