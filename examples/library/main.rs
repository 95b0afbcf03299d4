//! Answers questions about the books of a library: given on the command line, or one a line on the terminal.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use cim_es_examples::library::{Desk, DeskError, Question};
use cim_es_examples::place::{self, PlaceError};
use cim_es_examples::terminal;
use clap::Parser;

/// Answers questions about the books of a library, each with the position up to which the answer is true.
#[derive(Parser)]
#[command(name = "library", version)]
struct Args {
    /// The SQLite file of the books; the views are beside it [default: library.db in the user's data directory]
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,

    /// What is asked; without it, each line that is read is a question
    #[command(subcommand)]
    question: Option<Question>,
}

/// A question on a line of its own.
#[derive(Parser)]
#[command(name = "", no_binary_name = true)]
struct Line {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, thiserror::Error)]
enum ProgramError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error("the terminal cannot be read or written")]
    Terminal(#[from] io::Error),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal::fail(&error),
    }
}

async fn run(args: &Args) -> Result<(), ProgramError> {
    let path = place::file(args.store.as_deref(), "library.db", true)?;
    let desk = Desk::open(&path).await?;
    let outcome = match &args.question {
        Some(question) => answer(&desk, question).await,
        None => converse(&desk).await,
    };
    desk.close().await;
    outcome
}

async fn answer(desk: &Desk, question: &Question) -> Result<(), ProgramError> {
    terminal::print(&desk.answer(question).await?)?;
    Ok(())
}

/// Answers line by line; a question that cannot be answered ends nothing.
async fn converse(desk: &Desk) -> Result<(), ProgramError> {
    if io::stdin().is_terminal() {
        terminal::complain("loans, card KEY, find READER, list, help; an empty line ends");
    }
    let mut line = String::new();
    loop {
        line.clear();
        io::stdin().lock().read_line(&mut line)?;
        if line.trim().is_empty() {
            return Ok(());
        }
        match Line::try_parse_from(words(&line)) {
            Err(refused) => terminal::complain(refused),
            Ok(asked) => {
                if let Err(error) = answer(desk, &asked.question).await {
                    terminal::fail(&error);
                }
            }
        }
    }
}

/// The words of a line; those between double quotes are one.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    for (number, part) in line.trim().split('"').enumerate() {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
