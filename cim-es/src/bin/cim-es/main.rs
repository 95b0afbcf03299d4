//! `cim-es`: looking into a store of any engine, and taking events out of it and into it, without knowing their types.
#![forbid(unsafe_code)]

mod causes;
mod commands;
mod contents;
mod event;
mod failure;
mod interrupt;
mod kept;
mod made;
mod meant;
mod moment;
#[path = "../../store/new_file.rs"]
#[allow(dead_code, reason = "the library uses more of it")]
mod new_file;
mod output;
mod progress;
mod spool;
mod store;

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser};

use commands::Command;
use failure::{Failure, Kind};
use interrupt::Interrupt;
use output::Output;
use store::Place;

/// Looks into a store of events, and takes events out of it and into it
///
/// The store is a SQLite file, or a stream on NATS servers. It is opened for reading; nothing is made that is not there.
#[derive(Parser)]
#[command(
    name = "cim-es",
    version,
    arg_required_else_help = true,
    infer_subcommands = false,
    after_help = EXAMPLES,
    after_long_help = LONG
)]
struct Cli {
    /// Prints JSON: one object, or for lists one object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cim-es -s library.db streams
  cim-es -s library.db show library.book 0197a3e0-0000-7000-8000-000000000001 --payload
  cim-es -s nats://127.0.0.1:4222/LIBRARY tail 'library.book.*' --follow
  export CIM_ES_STORE=library.db; cim-es doctor";

const LONG: &str = "\
Examples:
  cim-es -s library.db streams
  cim-es -s library.db show library.book 0197a3e0-0000-7000-8000-000000000001 --payload
  cim-es -s nats://127.0.0.1:4222/LIBRARY tail 'library.book.*' --follow
  export CIM_ES_STORE=library.db; cim-es doctor

Exit status:
  0    done
  1    something was found that should not be: damage, a changed history
  2    the command line is not understood, or names what the store does not have
  3    the store cannot be opened, reached or used
  4    what was to be brought in or checked does not hold, or does not fit the store
  5    anything else, such as a file that cannot be read or written
  6    `doctor` found nothing damaged, but a danger or a warning
  130  interrupted

With --json, each line of stderr is an object too, {\"note\"} or, where it fails:
  {\"error\":{\"status\",\"kind\",\"message\",\"help\"}}; `help` may be null

Logins and keys are never given on the command line: they stand in files, or in the variables CIM_ES_NATS_….";

fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches().and_then(|matches| {
        let source = matches.value_source("store");
        Cli::from_arg_matches(&matches).map(|cli| (cli, source))
    });
    let (cli, source) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            return not_understood(&error);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let json = cli.json;
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(cli, source)),
        Err(error) => Err(Failure::new(
            Kind::Other,
            format!("no threads can be started: {error}"),
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(json);
            ExitCode::from(failure.kind.code())
        }
    }
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn not_understood(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody may be there to read it.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let is_json = std::env::args_os().any(|argument| argument == "--json");
    match is_json {
        true => {
            let text = error.render().to_string();
            let text = text.trim().trim_start_matches("error: ");
            Failure::usage(text).print(true);
        }
        false => drop(error.print()),
    }
    ExitCode::from(Kind::Usage.code())
}

async fn run(mut cli: Cli, source: Option<ValueSource>) -> Result<(), Failure> {
    cli.place.is_of_two = cli.command.names_another();
    let mut output = Output::new(cli.json);
    let interrupt = Interrupt::listen();
    let done = match cli.command.access() {
        None => {
            cli.command
                .run_alone::<Cli>(&cli.place, source, &mut output, cli.json, &interrupt)
                .await
        }
        Some(access) => {
            let store = interrupt.or(cli.place.open(source, access)).await?;
            let done = cli
                .command
                .run(&store, &cli.place, &mut output, cli.json, &interrupt)
                .await;
            store.close().await;
            done
        }
    };
    // What was found stands in the output as well.
    let flushed = output.flush();
    match done {
        Ok(()) => flushed,
        Err(failure) => Err(failure),
    }
}
