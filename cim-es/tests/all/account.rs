//! A small aggregate that several tests share.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountState {
    #[state(initial)]
    #[on(Open / Opened => Active)]
    #[on(/ Imported => Active)]
    Unopened,
    #[on(Deposit / Deposited => _)]
    #[on(Withdraw / Withdrawn => _)]
    #[on(Close / Withdrawn => _)]
    #[on(Close / Closed => Closed)]
    #[on(/ Closed => Closed)]
    Active,
    #[state(terminal)]
    Closed,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AccountEvent {
    Opened,
    #[apply(balance += opening_balance)]
    Imported {
        opening_balance: u64,
    },
    #[apply(balance += amount)]
    Deposited {
        amount: u64,
    },
    #[apply(balance -= amount)]
    Withdrawn {
        amount: u64,
    },
    Closed,
}

#[derive(Command, Clone, Debug)]
pub enum AccountCommand {
    Open,
    Deposit { amount: u64 },
    Withdraw { amount: u64 },
    Close,
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "bank", name = "account", error = AccountError)]
pub struct Account {
    pub state: AccountState,
    pub balance: u64,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AccountError {
    #[error("{asked} asked for, {balance} there")]
    Insufficient { asked: u64, balance: u64 },
    #[error("an amount must be more than 0 and fit the balance")]
    Amount,
}

impl Decide for Account {
    fn decide(&self, command: AccountCommand, _: &Context) -> Decision<Self> {
        use AccountEvent::{Closed, Deposited, Opened, Withdrawn};
        match command {
            AccountCommand::Open => emit(Opened),
            AccountCommand::Deposit { amount } if self.balance.checked_add(amount).is_none() => {
                Err(AccountError::Amount)
            }
            AccountCommand::Deposit { amount: 0 } => nothing(),
            AccountCommand::Deposit { amount } => emit(Deposited { amount }),
            AccountCommand::Withdraw { amount } if amount > self.balance => {
                Err(AccountError::Insufficient {
                    asked: amount,
                    balance: self.balance,
                })
            }
            AccountCommand::Withdraw { amount } => emit(Withdrawn { amount }),
            AccountCommand::Close if self.balance == 0 => emit(Closed),
            AccountCommand::Close => emit_all([
                Withdrawn {
                    amount: self.balance,
                },
                Closed,
            ]),
        }
    }
}
