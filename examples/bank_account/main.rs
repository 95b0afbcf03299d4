//! A bank account on two engines: the same steps in memory, and in a file that is opened again.

use std::error::Error;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::process::ExitCode;

use cim_es::prelude::*;
use cim_es::store::EventStore;
use cim_es::{MemoryEventStore, Repository, SqliteEventStore};
use cim_es_examples::bank_account::{Account, AccountCommand::*, AccountState};
use cim_es_examples::terminal;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal::fail(&*error),
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let (id, mut text) = (Id::new(), String::new());
    writeln!(text, "In memory:")?;
    show(MemoryEventStore::new(), &id, &mut text).await?;

    let directory = tempfile::tempdir()?;
    let file = directory.path().join("bank.db");
    writeln!(text, "\nIn a file:")?;
    show(SqliteEventStore::open(&file)?, &id, &mut text).await?;

    writeln!(text, "\nThe file, opened again:")?;
    let accounts = Repository::<Account>::new(SqliteEventStore::open(&file)?);
    for recorded in accounts.history(&id).await? {
        let stored = recorded.stored;
        writeln!(text, "  {:22} {}", stored.event_type(), stored.cid)?;
    }
    writeln!(text, "  balance {}", accounts.load(&id).await?.balance)?;

    writeln!(
        text,
        "\nThe lifecycle, as a Mermaid diagram:\n\n{}",
        AccountState::DIAGRAM
    )?;
    terminal::print(&text)?;
    Ok(())
}

/// Sends every kind of command, those that are refused included, and tells what each led to.
async fn show(
    store: impl EventStore,
    id: &Id<Account>,
    text: &mut String,
) -> Result<(), Box<dyn Error>> {
    let accounts = Repository::<Account>::new(store);
    let amount = |coins| NonZeroU32::new(coins).ok_or("an amount is positive");
    let commands = [
        Deposit {
            amount: amount(100)?,
        },
        Open,
        Open,
        Deposit {
            amount: amount(100)?,
        },
        Withdraw {
            amount: amount(30)?,
        },
        Withdraw {
            amount: amount(71)?,
        },
    ];
    for command in commands {
        let asked = format!("{command:?}");
        let identity = MessageIdentity::new_from_user("bank_account");
        match accounts.execute(id, command, &identity).await {
            Ok(commit) => writeln!(text, "  {asked:26} version {}", commit.version())?,
            Err(refusal) => writeln!(text, "  {asked:26} refused: {refusal}")?,
        }
    }
    writeln!(text, "  balance {}", accounts.load(id).await?.balance)?;
    Ok(())
}
