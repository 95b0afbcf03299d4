//! What the page and the schema lock of a domain say, from one set of cases.

use std::fmt::Debug;
use std::path::Path;

use ipld_core::ipld::Ipld;

use super::page::check_page;
use super::scenario::Given;
use super::schema_lock::SchemaLock;
use super::table::{decision_table, diagram, subject_table};
use crate::domain::aggregate::{Command, Decide};
use crate::domain::event::EnvelopeView;
use crate::domain::machine::StateMachine;

/// The specification of a domain: for each aggregate the cases of its states and of its commands, from which come the
/// domain's page and its schema lock.
///
/// The page has three parts for each aggregate, after its name: `ticket lifecycle`, the diagram of its machine;
/// `ticket subjects`, its events; `ticket rules`, the [`decision_table`]. The samples of the lock are the events of all
/// cases: those of the histories and those with which commands are answered.
///
/// ```no_run
/// use cim_es::testing::{Specification, given, given_nothing};
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum TicketState {
/// #     #[state(initial)]
/// #     #[on(Open / Opened => Open)]
/// #     New,
/// #     #[on(Close / Closed => Closed)]
/// #     Open,
/// #     #[state(terminal)]
/// #     Closed,
/// # }
/// # #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
/// # enum TicketEvent { Opened, Closed }
/// # #[derive(Command, Clone, Debug)]
/// # enum TicketCommand { Open, Close }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "desk", name = "ticket")]
/// # struct Ticket { state: TicketState }
/// # impl Decide for Ticket {
/// #     fn decide(&self, command: TicketCommand, _: &Context) -> Decision<Self> {
/// #         emit(match command {
/// #             TicketCommand::Open => TicketEvent::Opened,
/// #             TicketCommand::Close => TicketEvent::Closed,
/// #         })
/// #     }
/// # }
/// use TicketEvent::*;
///
/// fn desk() -> Specification {
///     let states = vec![
///         ("New", given_nothing::<Ticket>()),
///         ("Open", given([Opened])),
///         ("Closed", given([Opened, Closed])),
///     ];
///     let commands = vec![("Open", TicketCommand::Open), ("Close", TicketCommand::Close)];
///     Specification::new().aggregate(states, commands)
/// }
///
/// desk().check_page("README.md");
/// desk().check_lock("schema.lock");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a specification says nothing before it is checked"]
pub struct Specification {
    parts: Vec<(String, String)>,
    lock: SchemaLock,
}

impl Specification {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an aggregate: histories that lead to each of its states, and each of its commands.
    ///
    /// # Panics
    /// As [`decision_table`], for a case whose name begins with another state or command than it is about, and for a
    /// second aggregate of the same name.
    #[track_caller]
    pub fn aggregate<A: Decide>(
        mut self,
        states: Vec<(&'static str, Given<A>)>,
        commands: Vec<(&'static str, A::Command)>,
    ) -> Self
    where
        A::Command: Clone,
        A::Event: Debug,
        A::Command: Debug,
    {
        for (name, given) in &states {
            let reached = given.aggregate().state().name();
            check_name("state", name, reached, A::State::STATES);
        }
        for (name, command) in &commands {
            check_name("command", name, command.name(), A::Command::VARIANTS);
        }
        let mut samples = Vec::new();
        for (_, given) in &states {
            samples.extend(given.events());
            let answers = commands
                .iter()
                .map(|(_, command)| given.emits(command.clone()));
            samples.extend(answers.flatten());
        }
        let name = A::NAME;
        assert!(
            !self
                .parts
                .iter()
                .any(|(part, _)| *part == format!("{name} rules")),
            "`{name}` is in the specification already: give all cases of an aggregate at once, and each domain a specification of its own"
        );
        self.parts.extend([
            (format!("{name} lifecycle"), diagram::<A>()),
            (format!("{name} subjects"), subject_table::<A>()),
            (format!("{name} rules"), decision_table(states, commands)),
        ]);
        self.lock = self.lock.aggregate::<A>(samples);
        self
    }

    /// Adds payloads as older programs stored them; see [`SchemaLock::former`].
    pub fn former<'a, A: Decide>(
        mut self,
        samples: impl IntoIterator<Item = (EnvelopeView<'a>, Ipld)>,
    ) -> Self {
        self.lock = self.lock.former::<A>(samples);
        self
    }

    /// Compares the page with the specification; see [`check_page`](fn@check_page).
    ///
    /// # Panics
    /// As [`check_page`](fn@check_page).
    #[track_caller]
    pub fn check_page(&self, path: impl AsRef<Path>) {
        let parts: Vec<_> = self
            .parts
            .iter()
            .map(|(name, content)| (name.as_str(), content.clone()))
            .collect();
        check_page(path, &parts);
    }

    /// Compares the schema lock with the specification; see [`SchemaLock::check`].
    ///
    /// # Panics
    /// As [`SchemaLock::check`].
    #[track_caller]
    pub fn check_lock(&self, path: impl AsRef<Path>) {
        self.lock.check(path);
    }
}

/// Refuses a case whose name begins with the name of another.
#[track_caller]
fn check_name(what: &str, case: &str, is: &str, names: &[&str]) {
    let first = case.split(|c: char| !c.is_alphanumeric()).next();
    let said = names.iter().find(|name| Some(**name) == first);
    if let Some(said) = said.filter(|said| **said != is) {
        panic!(
            "the case named `{case}` is one of {what} `{is}`, not of `{said}`: name it after `{is}`, or correct it"
        );
    }
}
