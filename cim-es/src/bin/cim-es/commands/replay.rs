//! `replay`: going through what is stored once more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cim_es::block::StoredEvent;
use cim_es::message::Timestamp;
use cim_es::replay::{EventReplayService, ReplayEnd, ReplayFrom, ReplayStats};
use cim_es::store::{Position, Selection, StoreError, StreamExt};
use clap::Args;
use futures_util::future::join;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::meant;
use crate::moment::time;
use crate::output::{Output, Table, counted};
use crate::progress::Bar;
use crate::store::Store;

/// Goes through what is stored from a place or a time on, and counts the events by their types
///
/// Every event is read and proved, as by a view that is built anew: it shows how long that takes on this store.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db replay
  cim-es -s library.db replay 'library.book.*' --since 2026-01-31
  cim-es -s nats://127.0.0.1:4222/LIBRARY replay --after 120000 --until 240000

A filter is a public subject, in which `*` stands for one token and `>` for all the rest. Quote it for the shell.

JSON, one object:
  {\"events\",\"aggregates\",\"seconds\",\"per_second\",\"complete\",\"types\":[{\"kind\",\"type\",\"events\"}]}")]
pub struct Replay {
    /// The public subjects, such as library.book.lent or 'library.>'
    #[arg(default_value = ">")]
    filter: String,
    /// Begins behind a position
    #[arg(long, value_name = "POSITION", conflicts_with = "since")]
    after: Option<u64>,
    /// Begins with the first event of a time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Ends behind a position
    #[arg(long, value_name = "POSITION")]
    until: Option<u64>,
    /// How many events at most
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
}

#[derive(Serialize)]
struct ReplayJson {
    events: u64,
    aggregates: u64,
    seconds: f64,
    per_second: f64,
    complete: bool,
    types: Vec<TypeJson>,
}

#[derive(Serialize)]
struct TypeJson {
    kind: String,
    #[serde(rename = "type")]
    event_type: String,
    events: u64,
}

/// How many events there were, by kind and type.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, BTreeMap<String, u64>>>>);

impl Counts {
    fn add(&self, event: &StoredEvent) {
        let (kind, event_type) = (&event.envelope.aggregate, event.event_type());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A name is copied when it is met first.
        if let Some(count) = counts.get_mut(kind).and_then(|it| it.get_mut(event_type)) {
            *count += 1;
            return;
        }
        let of_kind = counts.entry(kind.clone()).or_default();
        of_kind.insert(event_type.to_owned(), 1);
    }

    fn types(&self) -> Vec<TypeJson> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let types = counts.iter().flat_map(|(kind, types)| {
            types.iter().map(|(event_type, events)| TypeJson {
                kind: kind.clone(),
                event_type: event_type.clone(),
                events: *events,
            })
        });
        types.collect()
    }
}

impl Replay {
    pub async fn run(
        &self,
        store: &Store,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let selection = Selection::subjects(self.filter.clone());
        selection.check().map_err(StoreError::from)?;
        let from = match (self.after, self.since) {
            (Some(after), _) => ReplayFrom::from(meant::position(store, after).await?),
            (None, Some(time)) => ReplayFrom::from(time),
            (None, None) => ReplayFrom::Start,
        };
        let mut replay = EventReplayService::new(store.shared())
            .replay_all_events(from)
            .selection(selection);
        if let Some(until) = self.until {
            replay = replay.until(Position(until));
        }
        if let Some(limit) = self.limit {
            replay = replay.limit(limit);
        }
        let counts = Counts::default();
        let stats = {
            let bar = Bar::new("replaying");
            let (canceller, mut progress) = (replay.canceller(), replay.progress());
            let counted = counts.clone();
            let replayed = replay.each(move |event| {
                counted.add(&event);
                std::future::ready(Ok(()))
            });
            let shown = async {
                while let Some(progress) = progress.next().await {
                    let behind = |position: Position| position.0.saturating_sub(progress.start.0);
                    bar.show(behind(progress.reached), Some(behind(progress.end)));
                }
            };
            let work = join(replayed, shown);
            interrupt.ending(work, || canceller.cancel()).await.0?
        };
        if stats.events_processed == 0 && stats.end == ReplayEnd::Complete {
            meant::check_subject(store, &self.filter).await?;
        }
        print(output, &stats, counts.types(), json)?;
        match stats.end {
            ReplayEnd::Cancelled => {
                output.note("interrupted")?;
                Err(Failure::new(Kind::Interrupted, ""))
            }
            _ => Ok(()),
        }
    }
}

fn print(
    output: &mut Output,
    stats: &ReplayStats,
    types: Vec<TypeJson>,
    json: bool,
) -> Result<(), Failure> {
    let report = ReplayJson {
        events: stats.events_processed,
        aggregates: stats.aggregates_rebuilt,
        seconds: stats.duration.as_secs_f64(),
        per_second: stats.events_per_second(),
        complete: stats.end == ReplayEnd::Complete,
        types,
    };
    if json {
        return output.json(&report);
    }
    let mut table = Table::new(&["KIND", "TYPE", "#EVENTS"]);
    for it in &report.types {
        let cells = vec![
            it.kind.clone(),
            it.event_type.clone(),
            it.events.to_string(),
        ];
        table.row(output, cells, None)?;
    }
    table.print(output)?;
    output.line(&format!(
        "{} of {} in {:.1} s, {:.0} a second",
        counted(report.events, "event"),
        counted(report.aggregates, "aggregate"),
        report.seconds,
        report.per_second
    ))
}
