//! A bank account: the whole domain, as its author writes it.

use std::num::NonZeroU32;

use cim_es::prelude::*;
use thiserror::Error;

use self::{AccountCommand::*, AccountEvent::*};

#[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
pub enum AccountState {
    #[state(initial)]
    #[on(Open / Opened => Active)]
    Unopened,
    #[on(Deposit / Deposited => _)]
    #[on(Withdraw / Withdrawn => _)]
    Active,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AccountEvent {
    /// The account can be used from now on.
    Opened,
    /// Money came in.
    #[apply(balance += i64::from(amount.get()))]
    Deposited { amount: NonZeroU32 },
    /// Money went out.
    #[apply(balance -= i64::from(amount.get()))]
    Withdrawn { amount: NonZeroU32 },
}

#[derive(Command, Clone, Debug)]
pub enum AccountCommand {
    Open,
    Deposit { amount: NonZeroU32 },
    Withdraw { amount: NonZeroU32 },
}

/// An amount is positive and below 2³² of the smallest coin, so that no number of deposits overflows the balance.
#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "bank", name = "account", error = AccountError)]
pub struct Account {
    state: AccountState,
    pub balance: i64,
}

#[derive(Clone, Debug, PartialEq, Error)]
pub enum AccountError {
    #[error("{amount} cannot be withdrawn from a balance of {balance}")]
    InsufficientFunds { balance: i64, amount: NonZeroU32 },
}

impl Decide for Account {
    fn decide(&self, command: AccountCommand, _: &Context) -> Decision<Self> {
        let balance = self.balance;
        match command {
            Open => emit(Opened),
            Deposit { amount } => emit(Deposited { amount }),
            Withdraw { amount } if i64::from(amount.get()) > balance => {
                Err(AccountError::InsufficientFunds { balance, amount })
            }
            Withdraw { amount } => emit(Withdrawn { amount }),
        }
    }
}
