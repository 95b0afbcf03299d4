//! The read side, each case beside the bare engine doing the same work in the same run.
//!
//! It fills files with events and prints one line a case: what the framework reaches, what the bare engine reaches, the
//! ratio of the two, and what is to be reached. Each case is measured several times in turns with its bare one, and the
//! best of each counts. These settings make a run shorter:
//!
//! | variable | what it sets | where it is not set |
//! |---|---|---|
//! | `CIM_ES_BENCH_CASES` | which cases run, with commas between: `in_memory`, `replay`, `documents_sqlite`, `documents_postgres`, `live_sqlite`, `live_nats`, `memory` | all |
//! | `CIM_ES_BENCH_EVENTS` | how many events views in memory, replays and the case `memory` go through | 1,000,000 |
//! | `CIM_ES_BENCH_DOCUMENTS` | how many documents are made, each by one event | 100,000 |
//! | `CIM_ES_BENCH_SAMPLES` | how many appends are followed live | 2,000 |
//! | `CIM_ES_BENCH_ROUNDS` | how many times a case is measured | 3 |
//! | `CIM_ES_BENCH_DIRECTORY` | where the files of events are made, and stay for the next run | a temporary one |
#![allow(missing_docs, reason = "a program, not a library")]

mod documents_postgres;
mod documents_sqlite;
mod fixture;
mod in_memory;
mod live;
mod memory;
mod report;

use std::path::PathBuf;

use fixture::Directory;

/// What a run measures.
pub struct Settings {
    pub events: u64,
    pub documents: u64,
    pub samples: u64,
    pub rounds: u64,
    pub directory: Directory,
    cases: Option<String>,
}

impl Settings {
    fn from_environment() -> Self {
        let text = |name: &str| std::env::var(format!("CIM_ES_BENCH_{name}")).ok();
        let number = |name: &str, unset: u64| {
            let set = text(name).map(|text| text.replace('_', ""));
            set.map_or(unset, |text| {
                let parsed = text.parse();
                parsed.unwrap_or_else(|_| panic!("CIM_ES_BENCH_{name} is a number"))
            })
        };
        let kept = text("DIRECTORY").map(PathBuf::from);
        Self {
            events: number("EVENTS", 1_000_000),
            documents: number("DOCUMENTS", 100_000),
            samples: number("SAMPLES", 2_000),
            rounds: number("ROUNDS", 3),
            directory: kept.map_or_else(Directory::new, Directory::kept),
            cases: text("CASES"),
        }
    }

    fn has(&self, case: &str) -> bool {
        let cases = self.cases.as_deref();
        cases.is_none_or(|cases| cases.split(',').any(|name| name.trim() == case))
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    // `cargo test --benches` runs benches with this argument, to see that they start.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if memory::is_child() {
        return memory::replay().await;
    }
    let settings = Settings::from_environment();
    report::head();
    if settings.has("in_memory") {
        in_memory::view(&settings).await;
    }
    if settings.has("replay") {
        in_memory::replay(&settings).await;
    }
    if settings.has("documents_sqlite") {
        documents_sqlite::measure(&settings).await;
    }
    if settings.has("documents_postgres") {
        documents_postgres::measure(&settings).await;
    }
    if settings.has("live_sqlite") {
        live::sqlite(&settings).await;
    }
    if settings.has("live_nats") {
        live::nats(&settings).await;
    }
    if settings.has("memory") {
        memory::measure(&settings).await;
    }
}
