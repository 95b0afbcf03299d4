//! `tail`: the last events of some subjects, and those that come.

use std::collections::VecDeque;

use cim_es::block::StoredEvent;
use cim_es::store::{Bookmark, EventStream, Position, Selection, StreamExt};
use clap::Args;

use crate::event::{EventJson, payload_line};
use crate::failure::{Failure, Kind};
use crate::meant;
use crate::output::{Output, Table};
use crate::store::Store;

/// Shows the last events of some subjects, and with --follow those that are yet to come
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db tail
  cim-es -s library.db tail 'library.book.*' -n 100 --payload
  cim-es -s nats://127.0.0.1:4222/LIBRARY tail 'library.>' --follow
  cim-es -s library.db tail --after 120000 -n 1000

A filter is a public subject, in which `*` stands for one token and `>` for all the rest. Quote it for the shell.

JSON: a line for each event, as of `cim-es show`.")]
pub struct Tail {
    /// The public subjects, such as library.book.lent or 'library.>'
    #[arg(default_value = ">")]
    filter: String,
    /// How many of the last events are shown; with --after, how many at most
    #[arg(
        long = "lines",
        short = 'n',
        default_value_t = 10,
        value_name = "COUNT"
    )]
    count: usize,
    /// Shows the first events behind a position instead of the last
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Goes on with the events that come, until it is interrupted
    #[arg(long, short)]
    follow: bool,
    /// Shows the payloads, as DAG-JSON
    #[arg(long, short)]
    payload: bool,
}

/// How far back it looks first for the last events; then eight times as far each time.
const FIRST_LOOK: u64 = 1_000;

struct Printer<'a> {
    output: &'a mut Output,
    table: Table,
    json: bool,
    payload: bool,
}

impl Printer<'_> {
    fn print(&mut self, event: &StoredEvent) -> Result<(), Failure> {
        if self.json {
            return self.output.json(&EventJson::of(event));
        }
        let envelope = &event.envelope;
        let cells = vec![
            event.position.to_string(),
            event.timestamp().to_string(),
            envelope.event_type.clone(),
            envelope.aggregate_id.clone(),
            envelope.sequence.to_string(),
            envelope.source.clone().unwrap_or_else(|| "-".to_owned()),
        ];
        let below = self.payload.then(|| payload_line(event));
        self.table.row(self.output, cells, below)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.table.print(self.output)?;
        self.output.flush()
    }
}

impl Tail {
    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let selection = Selection::subjects(self.filter.clone());
        selection.check().map_err(cim_es::store::StoreError::from)?;
        let mut printer = Printer {
            output,
            table: Table::new(&["#POSITION", "TIME", "TYPE", "ID", "#VERSION", "ACTOR"]),
            json,
            payload: self.payload,
        };
        let end = match self.after {
            Some(after) => {
                let after = meant::position(store, after).await?;
                let events = store.events().read(selection.clone(), after.into());
                let end = self.first(events, after.into(), &mut printer).await?;
                if end.position == after {
                    self.nothing_behind(store, printer.output).await?;
                }
                end
            }
            None => self.last(store, &selection, &mut printer).await?,
        };
        printer.flush()?;
        if !self.follow {
            return Ok(());
        }
        let mut events = store.events().follow(selection, end);
        while let Some(event) = events.next().await {
            printer.print(&event?)?;
            printer.flush()?;
        }
        Ok(())
    }

    /// Prints the first events of a stream, and gives where it came to.
    async fn first(
        &self,
        events: EventStream,
        mut end: Bookmark,
        printer: &mut Printer<'_>,
    ) -> Result<Bookmark, Failure> {
        let mut events = events.take(self.count);
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    printer.flush()?;
                    return Err(error.into());
                }
            };
            end = event.bookmark();
            printer.print(&event)?;
        }
        Ok(end)
    }

    /// Prints the last events, and gives where the store ended.
    async fn last(
        &self,
        store: &Store,
        selection: &Selection,
        printer: &mut Printer<'_>,
    ) -> Result<Bookmark, Failure> {
        let end = store.events().last_position().await?;
        if self.count == 0 {
            return Ok(end.into());
        }
        let Some(first) = self.position_of_first(store, selection, end).await? else {
            self.nothing(store, printer.output).await?;
            return Ok(end.into());
        };
        let before = Position(first.0.saturating_sub(1));
        let mut events = store.events().read(selection.clone(), before.into());
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    printer.flush()?;
                    return Err(error.into());
                }
            };
            // What came since is for who follows.
            if event.position > end {
                break;
            }
            printer.print(&event)?;
        }
        Ok(end.into())
    }

    /// The position of the first of the last events; none where there is none. Positions alone are kept, however many
    /// events are asked for.
    async fn position_of_first(
        &self,
        store: &Store,
        selection: &Selection,
        end: Position,
    ) -> Result<Option<Position>, Failure> {
        let count = self.count as u64;
        let mut back = match selection.is_by_type() {
            true => count.saturating_mul(8).max(FIRST_LOOK),
            false => count,
        };
        loop {
            let start = Position(end.0.saturating_sub(back));
            let mut events = store.events().read(selection.clone(), start.into());
            let mut last = VecDeque::new();
            while let Some(event) = events.next().await {
                let event = event?;
                if event.position > end {
                    break;
                }
                if last.len() == self.count {
                    last.pop_front();
                }
                last.push_back(event.position);
            }
            if last.len() == self.count || start == Position::START {
                return Ok(last.pop_front());
            }
            back = back.saturating_mul(8);
        }
    }

    /// Says that nothing matches: an error, unless something may come that does.
    async fn nothing(&self, store: &Store, output: &mut Output) -> Result<(), Failure> {
        let types = store.event_types().await?;
        if types.is_empty() && self.filter == ">" {
            return output.note("the store has no events yet");
        }
        let failure = meant::no_subject(&self.filter, &types);
        match self.follow {
            true => output.note(&failure.as_note()),
            false => Err(failure),
        }
    }

    /// The same of what begins behind a position: before it, there may be what matches.
    async fn nothing_behind(&self, store: &Store, output: &mut Output) -> Result<(), Failure> {
        match meant::check_subject(store, &self.filter).await {
            Err(failure) if self.follow && failure.kind == Kind::Usage => {
                output.note(&failure.as_note())
            }
            checked => checked,
        }
    }
}
