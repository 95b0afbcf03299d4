//! A command on a warm aggregate in memory: decide, check against the machine, seal two blocks, store and fold.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cim_es::prelude::*;
use cim_es_benches::account::{Account, AccountCommand};
use criterion::{Criterion, criterion_group, criterion_main};

/// A new store after so many commands, so that its growth is not what is measured.
const COMMANDS_A_STORE: u64 = 2_000;

fn warm_execute(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts");
    criterion.bench_function("execute/warm, memory engine", |bench| {
        bench.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                let commands = left.min(COMMANDS_A_STORE);
                spent += runtime.block_on(time_commands(commands));
                left -= commands;
            }
            spent
        });
    });
}

async fn time_commands(commands: u64) -> Duration {
    let accounts = Repository::<Account>::builder(MemoryEventStore::new())
        .without_snapshots()
        .build();
    let id = Id::new();
    let identities: Vec<_> = (0..=commands)
        .map(|_| MessageIdentity::new_from_user("bench"))
        .collect();
    accounts
        .execute(&id, AccountCommand::Open, &identities[0])
        .await
        .expect("it opens");
    let start = Instant::now();
    for identity in &identities[1..] {
        let commit = accounts
            .execute(&id, AccountCommand::Deposit { amount: 1 }, identity)
            .await;
        black_box(commit.expect("a deposit is accepted"));
    }
    start.elapsed()
}

criterion_group!(benches, warm_execute);
criterion_main!(benches);
