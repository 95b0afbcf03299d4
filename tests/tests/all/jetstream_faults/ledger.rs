//! The aggregate that the programs under faults work on.

use std::collections::BTreeMap;

use cim_es::prelude::*;
use cim_es::store::{AggregateKey, NewEvent};

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LedgerState {
    #[state(initial)]
    #[on(Enter / Entered => _)]
    #[on(Rename / Renamed => _)]
    Open,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LedgerEvent {
    #[apply(entries += 1, _ = number)]
    Entered { number: u64 },
    #[apply(entries += 1, name = Some(name))]
    Renamed { name: String },
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
pub enum LedgerCommand {
    Enter { number: u64 },
    Rename { name: String },
}

/// Counts its events, and may have a name that no other has.
#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "contract", name = "ledger", unique = Ledger::unique_names)]
pub struct Ledger {
    pub state: LedgerState,
    pub entries: u64,
    pub name: Option<String>,
}

impl Ledger {
    fn unique_names(&self) -> Vec<UniqueName> {
        self.name.iter().map(Self::title).collect()
    }

    pub fn title(name: &String) -> UniqueName {
        UniqueName::new("title", name)
    }

    pub fn key(id: &Id<Self>) -> AggregateKey {
        AggregateKey::of::<Self>(id).unwrap()
    }
}

impl Decide for Ledger {
    fn decide(&self, command: LedgerCommand, _: &Context) -> Decision<Self> {
        emit(match command {
            LedgerCommand::Enter { number } => LedgerEvent::Entered { number },
            LedgerCommand::Rename { name } => LedgerEvent::Renamed { name },
        })
    }
}

/// As many entries as that.
pub fn entries(number: u64, count: u64) -> Vec<NewEvent> {
    let entry = |offset| LedgerEvent::Entered {
        number: number + offset,
    };
    let events = (0..count).map(entry);
    events.map(|event| NewEvent::of(&event).unwrap()).collect()
}

/// The type of the events by which a title is reserved, and by which it is released.
pub const RESERVED: &str = "contract.title.reserved";
pub const RELEASED: &str = "contract.title.released";

/// Who a title's event names.
pub fn holder(payload: &[u8]) -> Option<String> {
    let fields: BTreeMap<String, String> = serde_ipld_dagcbor::from_slice(payload).ok()?;
    fields.get("holder_id").cloned()
}
