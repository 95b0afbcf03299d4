//! `verify`: every block, every link, and all that leads to them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cim_es::ErrorChain;
use cim_es::store::{Damage, EventStore};
use cim_es::verify::{Step, Verification, VerificationReport, VerificationState};
use clap::Args;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::kept::replace;
use crate::output::{Output, counted};
use crate::progress::Bar;
use crate::store::Store;

/// Checks the whole store, and tells all that is damaged
///
/// Every block is hashed, every history followed, every commit counted, and what the engine keeps beside the events is
/// compared with them. It goes on behind what is damaged, and ends with status 1 where anything is.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db verify
  cim-es -s library.db verify --state library.verified    # goes on where it was interrupted
  cim-es -s library.db --json verify | jq .damage.position

JSON, a line for each damage, and the report last:
  {\"damage\":{\"position\",\"cid\",\"version\",\"kind\",\"id\",\"message\"}}; what is not known is null
  {\"report\":{\"events\",\"bytes\",\"aggregates\",\"damages\",\"complete\",\"seconds\",\"unchecked\"}};
  `unchecked` says why objects and snapshots beside a stream were not looked at, and is null where they were

A store that is whole in itself can still have lost its end, or have been written anew: `cim-es checkpoint audit` finds that.")]
pub struct Verify {
    /// How many threads hash; as many as there are cores by default
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Keeps here where it stands, and goes on from there the next time
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum VerifyJson<'a> {
    Damage {
        position: Option<u64>,
        cid: Option<String>,
        version: Option<u64>,
        kind: Option<&'a str>,
        id: Option<&'a str>,
        message: String,
    },
    Report {
        events: u64,
        bytes: u64,
        aggregates: u64,
        damages: u64,
        complete: bool,
        seconds: f64,
        unchecked: Option<&'a str>,
    },
}

/// How often it keeps where it stands.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// The store, with what stands beside its stream as far as it may be read; and why it may not.
async fn with_buckets(store: &Store) -> (Arc<dyn EventStore>, Option<String>) {
    let Store::Stream(reached) = store else {
        return (store.shared(), None);
    };
    let bucket = &reached.config.object_store_bucket;
    match reached.events.clone().with_buckets(bucket).await {
        Ok(events) => (Arc::new(events), None),
        Err(error) => (store.shared(), Some(ErrorChain(&error).to_string())),
    }
}

impl Verify {
    pub async fn run(
        &self,
        store: &Store,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let (checked, unchecked) = with_buckets(store).await;
        let unchecked = unchecked.as_deref();
        if let Some(why) = unchecked {
            output.note(&format!("objects and snapshots are not checked: {why}"))?;
        }
        let mut verification = Verification::of(checked);
        if let Some(threads) = self.threads {
            verification = verification.threads(threads);
        }
        if let Some(state) = self.read_state()? {
            verification = verification.resume(state);
        }
        let bar = Bar::new("verifying");
        let mut kept = Instant::now();
        loop {
            let step = tokio::select! {
                biased;
                () = interrupt.asked() => {
                    drop(bar);
                    self.keep(&verification)?;
                    return self.interrupted(&verification, unchecked, output, json);
                }
                step = verification.next() => step?,
            };
            match step {
                None => break,
                Some(Step::Damaged(damages)) => {
                    for damage in &damages {
                        bar.suspend(|| print(output, damage, json))?;
                    }
                }
                Some(Step::Progress(progress)) => {
                    bar.show(progress.position.0, Some(progress.end.0));
                }
            }
            if kept.elapsed() >= KEEP_EVERY {
                kept = Instant::now();
                self.keep(&verification)?;
            }
        }
        drop(bar);
        self.keep(&verification)?;
        let report = verification.report();
        print_report(output, &report, unchecked, json)?;
        match report.is_sound() {
            true => Ok(()),
            false => Err(Failure::findings()),
        }
    }

    fn read_state(&self) -> Result<Option<VerificationState>, Failure> {
        let Some(path) = self.state.as_deref().filter(|path| path.exists()) else {
            return Ok(None);
        };
        let bytes =
            std::fs::read(path).map_err(|error| Failure::file("cannot read", path, &error))?;
        let state = serde_ipld_dagcbor::from_slice(&bytes).map_err(|error| {
            let message = format!(
                "{} does not say where a verification stands: {error}",
                path.display()
            );
            Failure::usage(message).help("give another file, or delete it to begin from the start")
        })?;
        Ok(Some(state))
    }

    fn keep(&self, verification: &Verification) -> Result<(), Failure> {
        let Some(path) = &self.state else {
            return Ok(());
        };
        let bytes = serde_ipld_dagcbor::to_vec(&verification.state()).map_err(|error| {
            Failure::new(
                Kind::Other,
                format!("where it stands cannot be kept: {error}"),
            )
        })?;
        replace(path, &bytes).map_err(|error| Failure::file("cannot write", path, &error))
    }

    fn interrupted(
        &self,
        verification: &Verification,
        unchecked: Option<&str>,
        output: &mut Output,
        json: bool,
    ) -> Result<(), Failure> {
        if json {
            print_report(output, &verification.report(), unchecked, json)?;
        }
        let progress = verification.progress();
        let (position, end) = (progress.position, progress.end);
        output.note(&format!("interrupted at position {position} of {end}"))?;
        output.note(match &self.state {
            Some(_) => "the same command goes on from there",
            None => "with `--state FILE` it can go on where it was interrupted",
        })?;
        Err(Failure::new(Kind::Interrupted, ""))
    }
}

fn print(output: &mut Output, damage: &Damage, json: bool) -> Result<(), Failure> {
    let message = ErrorChain(damage).to_string();
    if !json {
        output.line(&message)?;
        return output.flush();
    }
    let aggregate = damage.aggregate.as_ref();
    output.json(&VerifyJson::Damage {
        position: damage.position().map(|position| position.0),
        cid: damage.cid().map(|cid| cid.to_string()),
        version: damage.verdict().and_then(|verdict| verdict.place.sequence),
        kind: aggregate.map(|key| key.kind()),
        id: aggregate.map(|key| key.id().as_str()),
        message,
    })?;
    output.flush()
}

fn print_report(
    output: &mut Output,
    report: &VerificationReport,
    unchecked: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let seconds = report.elapsed.as_secs_f64();
    if json {
        return output.json(&VerifyJson::Report {
            events: report.events,
            bytes: report.bytes,
            aggregates: report.aggregates,
            damages: report.damages,
            complete: report.is_complete,
            seconds,
            unchecked,
        });
    }
    output.line(&format!(
        "{} of {}, {} bytes, in {seconds:.1} s: {}",
        counted(report.events, "event"),
        counted(report.aggregates, "aggregate"),
        report.bytes,
        match report.damages {
            0 if report.is_sound() => "as they were written".to_owned(),
            0 => "not all was looked at".to_owned(),
            1 => "1 damage".to_owned(),
            damages => format!("{damages} damages"),
        }
    ))?;
    if report.cut_aggregates > 0 {
        output.line(&format!(
            "{} aggregates do not begin with their first event, which the store has dropped",
            report.cut_aggregates
        ))?;
    }
    Ok(())
}
