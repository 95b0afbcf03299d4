//! A domain's rules as tables: what each command leads to in each state, and the subjects of its events.

use std::fmt::Write;

use super::scenario::Given;
use crate::domain::aggregate::{Aggregate, Command, Decide};
use crate::domain::event::DomainEvent;
use crate::domain::machine::StateMachine;

/// What every command leads to in every state, as a Markdown table: the specification of an aggregate on one page.
///
/// A row is a command, a column a state. A cell names the events and, where it changes, the state after them; `nothing`
/// is a command that is accepted and changes nothing, `·` one for which the state has no edge, and any other text is the
/// error with which a rule refuses it. Several cases of one state or command stand beside each other when they are named
/// differently.
///
/// ```
/// use cim_es::testing::{decision_table, given, given_nothing};
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
/// let states = [
///     ("New", given_nothing::<Ticket>()),
///     ("Open", given([Opened])),
///     ("Closed", given([Opened, Closed])),
/// ];
/// let commands = [("Open", TicketCommand::Open), ("Close", TicketCommand::Close)];
/// assert_eq!(
///     decision_table(states, commands),
///     "| | New | Open | Closed |\n\
///      |---|---|---|---|\n\
///      | **Open** | Opened → Open | · | · |\n\
///      | **Close** | · | Closed → Closed | · |\n"
/// );
/// ```
///
/// # Panics
/// When a state of the machine or a variant of the commands has no case: the table would not be the whole specification.
#[track_caller]
pub fn decision_table<A: Decide>(
    states: impl IntoIterator<Item = (&'static str, Given<A>)>,
    commands: impl IntoIterator<Item = (&'static str, A::Command)>,
) -> String
where
    A::Command: Clone,
    A::Event: std::fmt::Debug,
    A::Command: std::fmt::Debug,
{
    let states: Vec<_> = states.into_iter().collect();
    let commands: Vec<_> = commands.into_iter().collect();
    let reached = |given: &Given<A>| given.aggregate().state().name();
    for state in A::State::STATES {
        assert!(
            states.iter().any(|(_, given)| reached(given) == *state),
            "no case of state `{state}`: give a history that leads to it"
        );
    }
    for variant in A::Command::VARIANTS {
        assert!(
            commands
                .iter()
                .any(|(_, command)| command.name() == *variant),
            "no case of command `{variant}`"
        );
    }
    let mut table = String::from("| |");
    for (name, _) in &states {
        table.push_str(&format!(" {name} |"));
    }
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(states.len()));
    table.push('\n');
    for (name, command) in &commands {
        let _ = write!(table, "| **{name}** |");
        for (_, given) in &states {
            let cell = given.answer(command.clone()).replace('|', "\\|");
            let _ = write!(table, " {cell} |");
        }
        table.push('\n');
    }
    table
}

/// The subjects of an aggregate's events with their fields, as a Markdown table.
pub fn subject_table<A: Aggregate>() -> String {
    let mut table = String::from("| subject | event | version | fields |\n|---|---|---|---|\n");
    for event in A::Event::EVENTS {
        let fields: Vec<_> = event.fields.iter().map(|it| format!("`{it}`")).collect();
        let _ = writeln!(
            table,
            "| `{}` | `{}` | {} | {} |",
            event.event_type,
            event.variant,
            event.schema,
            fields.join(", ")
        );
    }
    table
}

/// The lifecycle of an aggregate as a Mermaid diagram in a fence, as Markdown shows it.
pub fn diagram<A: Aggregate>() -> String {
    format!("```mermaid\n{}\n```\n", A::State::DIAGRAM.trim_end())
}
