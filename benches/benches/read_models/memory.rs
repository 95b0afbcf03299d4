//! The memory of a program that makes documents, or rows of tables, of many events: the same for few and for many.
//!
//! Each measurement is a process of its own, so that nothing else is in its memory.

use std::path::Path;
use std::process::Command;

use cim_es::SqliteReadModels;
use cim_es::projection::ProjectionManager;
use cim_es::store::Position;

use crate::Settings;
use crate::fixture::{Cards, Directory, PATIENCE, Rows, filled, open};
use crate::report::size;

/// The file of events, the file of the view, up to where to go, and into what.
const CHILD: &str = "CIM_ES_BENCH_CHILD";

pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

pub async fn measure(settings: &Settings) {
    let events = settings.events;
    let path = filled(&settings.directory, events, events.div_ceil(10)).await;
    for into in ["documents", "tables"] {
        for events in [events / 10, events] {
            let directory = Directory::new();
            let child = std::env::current_exe().expect("this program");
            let views = directory.file("views.db");
            let told = format!("{}\n{}\n{events}\n{into}", path.display(), views.display());
            let output = Command::new(child).env(CHILD, told).output();
            let output = output.expect("it runs");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}");
            size(
                &format!("most memory, {events} events into {into}"),
                said.trim(),
            );
        }
    }
}

/// Goes as far as it was told, and prints the most memory that this took.
pub async fn replay() {
    let told = std::env::var(CHILD).expect("what to do");
    let mut told = told.lines();
    let mut next = || told.next().expect("four lines");
    let (events, views) = (next(), next());
    let until = Position(next().parse().expect("a number"));
    let store = open(Path::new(events));
    let storage = SqliteReadModels::open(views).expect("the file opens");
    let projections = ProjectionManager::new(store);
    match next() {
        "tables" => {
            let rows = projections.tables::<Rows>(storage).await;
            let rows = rows.expect("it opens");
            let counted = rows.wait_for(until, PATIENCE).await;
            counted.expect("it counts all");
        }
        _ => {
            let cards = projections.documents::<Cards>(storage).await;
            let cards = cards.expect("it opens");
            let counted = cards.wait_for(until, PATIENCE).await;
            counted.expect("it counts all");
        }
    }
    println!("{}", most_memory());
    std::process::exit(0);
}

/// The most that was resident at once, as the system counts it; where it does not, a word.
fn most_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |size| size.trim().to_owned())
}
