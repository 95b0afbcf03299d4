//! `doctor`: what a person should know about a store.

use cim_es::SqliteEventStore;
use cim_es::jetstream::Severity;
use cim_es::store::StoreError;
use clap::Args;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::output::{Output, Table, counted};
use crate::progress::spinner;
use crate::store::Store;

/// Looks for what is wrong with a store, or could be better, and says what to do
///
/// Of a file it checks everything: the structures of SQLite, every event and its place in its history, every object, and
/// that all tables agree. On servers it looks at versions, settings, replicas, limits and clocks. It ends with status 1
/// where something is damaged, and with 6 where nothing is, but a danger or a warning asks for a change.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db doctor
  cim-es -s nats://127.0.0.1:4222/LIBRARY doctor

JSON, a line for each finding:
  {\"severity\":\"notice\"|\"warning\"|\"danger\"|\"damage\",\"about\",\"found\",\"expected\",\"advice\"}")]
pub struct Doctor {}

/// One thing that was found.
#[derive(Serialize)]
struct Found {
    severity: &'static str,
    about: String,
    found: String,
    expected: String,
    advice: String,
}

/// The size of a log, in bytes, that is worth a word: a store cuts it at 16 MiB when it begins anew.
const LARGE_LOG: u64 = 64 * 1024 * 1024;

impl Doctor {
    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let bar = spinner("looking at the store");
        let findings = match store {
            Store::File(store) => file(store).await,
            Store::Stream(reached) => stream(reached.events.doctor().await?),
        };
        bar.finish_and_clear();
        let findings = findings?;
        let mut table = Table::new(&["SEVERITY", "ABOUT", "FOUND", "EXPECTED"]);
        for found in &findings {
            if json {
                output.json(found)?;
                continue;
            }
            let cells = [found.severity, &found.about, &found.found, &found.expected];
            let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
            table.row(output, cells, Some(found.advice.clone()))?;
        }
        table.print(output)?;
        let has = |severity| findings.iter().any(|found| found.severity == severity);
        match (has("damage"), has("danger") || has("warning")) {
            (true, _) => Err(Failure::findings()),
            (false, true) => Err(Failure::new(Kind::Advice, "")),
            (false, false) => Ok(()),
        }
    }
}

fn stream(findings: Vec<cim_es::jetstream::Finding>) -> Result<Vec<Found>, Failure> {
    let findings = findings.into_iter().map(|finding| Found {
        severity: match finding.severity {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Danger => "danger",
        },
        about: finding.about.to_owned(),
        found: finding.found,
        expected: finding.expected,
        advice: finding.advice,
    });
    Ok(findings.collect())
}

async fn file(store: &SqliteEventStore) -> Result<Vec<Found>, Failure> {
    let mut findings = Vec::new();
    match store.check().await {
        Ok(report) => findings.push(Found {
            severity: "notice",
            about: "file".to_owned(),
            found: format!(
                "{} of {}, {}, {}",
                counted(report.events, "event"),
                counted(report.aggregates, "aggregate"),
                counted(report.objects, "object"),
                counted(report.views, "view"),
            ),
            expected: "whole".to_owned(),
            advice: "everything was checked and is as it was written".to_owned(),
        }),
        Err(StoreError::Damaged(damage)) => findings.push(Found {
            severity: "damage",
            about: "file".to_owned(),
            found: cim_es::ErrorChain(&*damage).to_string(),
            expected: "whole".to_owned(),
            advice: "do not write to it; restore it from a copy, and compare a head that is kept elsewhere".to_owned(),
        }),
        Err(error) => return Err(error.into()),
    }
    let mut log = store.path().as_os_str().to_owned();
    log.push("-wal");
    let bytes = std::fs::metadata(log).map_or(0, |log| log.len());
    if bytes > LARGE_LOG {
        findings.push(Found {
            severity: "warning",
            about: "log".to_owned(),
            found: format!("{} MiB", bytes >> 20),
            expected: format!("at most {} MiB", LARGE_LOG >> 20),
            advice: "a reader that never ends keeps the log from being moved into the file: look which program has the file open".to_owned(),
        });
    }
    Ok(findings)
}
