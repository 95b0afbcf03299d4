//! What a view takes of memory while it counts many events does not grow with their number.

use std::time::Duration;

use cim_es::SqliteReadModels;
use cim_es::event::Elsewhere;
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::prelude::*;
use cim_es::projection::{ProjectTables, ProjectionError, ProjectionManager, Tables};
use cim_es::store::{CommitRequest, EventStore, ExpectedVersion, NewEvent, Position};

use crate::sqlite_support::{Directory, child, is_long, key, run};

/// By how many KiB two runs may differ by chance; far less than the bytes by which what they count differs.
const SLACK: u64 = 24 * 1024;
/// The events of a commit, all of one aggregate.
const TOGETHER: u64 = 100;
/// Long enough for a million events on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(domain = "test", name = "note")]
enum NoteEvent {
    Written { text: String },
}

/// How much was written in each note.
#[derive(Projection)]
#[projection(
    name = "notes",
    version = 1,
    events = [NoteEvent],
    tables = "CREATE TABLE {notes} (id TEXT PRIMARY KEY, texts INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT"
)]
struct Notes;

impl ProjectTables<NoteEvent> for Notes {
    fn project(
        &self,
        event: NoteEvent,
        at: &Source<'_, Elsewhere>,
        tables: &Tables<'_>,
    ) -> Result<(), ProjectionError> {
        let NoteEvent::Written { text } = event;
        tables.execute(
            "INSERT INTO {notes} VALUES (?1, 1, ?2)
             ON CONFLICT (id) DO UPDATE SET texts = texts + 1, bytes = bytes + excluded.bytes",
            (at.id_text(), text.len() as i64),
        )?;
        Ok(())
    }
}

/// Stores a number of events, each with a text of so many bytes.
async fn fill(store: &SqliteEventStore, events: u64, bytes: usize) {
    let written = NoteEvent::Written {
        text: "n".repeat(bytes),
    };
    let written = NewEvent::of(&written).expect("it encodes");
    for number in 0..events / TOGETHER {
        let events = vec![written.clone(); TOGETHER as usize];
        let identity = MessageIdentity::new_from_user("test");
        let request = CommitRequest::new(identity, SystemClock.now());
        let request = request.aggregate(key(format!("n{number}")), ExpectedVersion::Any, events);
        store.append(request).await.expect("it is stored");
    }
}

/// The most memory, in KiB, that a child took to count so many events of a file.
fn peak(file: &std::path::Path, events: u64) -> u64 {
    let test = "a_child_counts_and_tells_its_memory";
    child::told_memory(module_path!(), test, file, events)
}

#[test]
fn a_view_that_counts_more_events_takes_no_more_memory() {
    // The fewer are more than all that is read ahead and on its way.
    let (fewer, more, bytes) = match is_long() {
        true => (100_000, 1_000_000, 50),
        false => (1_500, 4_000, 20_000),
    };
    let directory = Directory::new();
    let file = directory.file("events.db");
    run(async {
        let store = SqliteEventStore::open(&file).expect("the file opens");
        fill(&store, more, bytes).await;
        store.close().await;
    });
    let (of_fewer, of_more) = (peak(&file, fewer), peak(&file, more));
    eprintln!("{fewer} events took {of_fewer} KiB, {more} took {of_more} KiB");
    assert!(
        of_more < of_fewer + SLACK,
        "{fewer} events took {of_fewer} KiB, {more} took {of_more} KiB"
    );
}

#[test]
fn a_child_counts_and_tells_its_memory() {
    let Some(file) = child::file() else { return };
    super::super::killed::run(async {
        let store = SqliteEventStore::open(&file).expect("the file opens");
        let views = file.with_extension(format!("views-{}", child::number()));
        let models = SqliteReadModels::open(views).expect("the file opens");
        let projections = ProjectionManager::new(store);
        let view = projections.tables::<Notes>(models).await;
        let view = view.expect("it opens");
        let counted = view.wait_for(Position(child::number()), PATIENCE).await;
        counted.expect("it counts all");
        child::tell(&child::most_memory().to_string());
        projections.stop().await;
    });
}
