//! A small aggregate with commands.

use cim_es::prelude::*;

use self::{AccountCommand::*, AccountEvent::*};

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountState {
    #[state(initial)]
    #[on(Open / Opened => Active)]
    Unopened,
    #[on(Deposit / Deposited => _)]
    Active,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AccountEvent {
    Opened,
    #[apply(balance += amount)]
    Deposited {
        amount: u64,
    },
}

#[derive(Command, Clone, Debug)]
pub enum AccountCommand {
    Open,
    Deposit { amount: u64 },
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "bank", name = "account")]
pub struct Account {
    state: AccountState,
    balance: u64,
}

impl Decide for Account {
    fn decide(&self, command: AccountCommand, _: &Context) -> Decision<Self> {
        match command {
            Open => emit(Opened),
            Deposit { amount } => emit(Deposited { amount }),
        }
    }
}
