//! Tests for what is built with cim-es: given/when/then for an aggregate, a walk through its declared machine, and the
//! contract that every store keeps.
//!
//! - [`given`] states a rule of a domain as a sentence, on the pure aggregate and unchanged on any store.
//! - [`together`] does the same for commands on several aggregates that are one commit.
//! - [`project_all`] states what a projection makes of events, on the pure value and unchanged on any store;
//!   [`project_generated`] has the events from generated commands.
//! - [`check_machine`] walks the declared machine with generated commands.
//! - [`decision_table`] prints what every command leads to in every state, and [`check_page`] keeps a page that shows it
//!   current.
//! - [`SchemaLock`] keeps a file of what stored events rely on, and names a change that they would not survive.
//! - [`check_event_contract`] compares the events that are declared for readers with those that an aggregate stores.
//! - [`Specification`] makes a domain's page and its lock from one set of cases.
//! - [`contract`] holds every promise of the ports as a test; [`contract_tests!`](crate::contract_tests) runs all of
//!   them on a store; [`read_model_contract`] and [`read_model_contract_tests!`](crate::read_model_contract_tests) do the
//!   same for storages of read models.

pub mod contract;
mod event_contract;
mod model;
mod page;
mod projection;
pub mod read_model_contract;
mod scenario;
mod schema_lock;
mod specification;
mod stored;
mod survival;
mod table;
mod together;

pub use event_contract::check_event_contract;
pub use model::{MachineReport, check_machine, check_machine_after};
pub use page::check_page;
pub use projection::{
    ProjectAll, ProjectedAll, ProjectedDocuments, project_all, project_generated,
};
pub use scenario::{Given, Scenario, When, given, given_nothing};
pub use schema_lock::SchemaLock;
pub use specification::Specification;
pub use stored::{read_stored, read_stored_all, read_stored_with};
pub use table::{decision_table, diagram, subject_table};
pub use together::{EventsOf, GivenTogether, ScenarioTogether, WhenTogether, events_of, together};

/// Generators for [`check_machine`], of the version that this crate uses.
pub use proptest;
