//! Programs in processes of their own, which are killed in the middle of what they do and started again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use cim_es::prelude::*;

use super::ledger::Ledger;
use super::program::{OwnStream, Program};
use super::record::{MARK, Outcome, Record, Sent};
use super::work::Alone;
use crate::jetstream::random::Random;

/// What a process is started for; without it, its test does nothing.
const ORDERS: &str = "CIM_ES_TEST_ORDERS";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    pub urls: Vec<String>,
    pub stream: OwnStream,
    pub patience: Duration,
    pub ids: Vec<Id<Ledger>>,
    pub seed: u64,
    /// What the process before was killed with.
    pub again: Option<Sent>,
}

/// A program that is killed and started again.
pub struct Killed {
    orders: Orders,
    record: Arc<Record>,
    running: Option<Running>,
    kills: u64,
}

struct Running {
    child: Child,
    open: Arc<Mutex<Option<Sent>>>,
    hearing: JoinHandle<()>,
}

impl Killed {
    pub fn start(orders: Orders, record: Arc<Record>) -> Self {
        let mut killed = Self {
            orders,
            record,
            running: None,
            kills: 0,
        };
        killed.run();
        killed
    }

    fn run(&mut self) {
        self.orders.seed = self.orders.seed.wrapping_add(1);
        let (_, module) = module_path!().split_once("::").unwrap();
        let test = format!("{module}::a_program_that_waits_to_be_killed");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                &test,
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ORDERS, serde_json::to_string(&self.orders).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let open = Arc::new(Mutex::new(self.orders.again.take()));
        let (record, shared) = (Arc::clone(&self.record), Arc::clone(&open));
        let hearing = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Some(line) = line.strip_prefix(MARK) else {
                    continue;
                };
                // A line of which the end was killed.
                let Ok(line) = serde_json::from_str(line) else {
                    continue;
                };
                let sent = record.hear(&line);
                let is_done = line.get("told").is_some();
                if sent.is_some() || is_done {
                    *shared.lock().unwrap() = sent;
                }
            }
        });
        self.running = Some(Running {
            child,
            open,
            hearing,
        });
    }

    /// Kills it (SIGKILL). What it was about to do is open, or done again by the next.
    fn kill(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        if let Ok(Some(status)) = running.child.try_wait() {
            self.record
                .wrong(format!("a program ended by itself: {status}"));
        }
        let _ = running.child.kill();
        let _ = running.child.wait();
        running.hearing.join().unwrap();
        self.kills += 1;
        match running.open.lock().unwrap().take() {
            Some(sent) if sent.command.is_none() => {
                self.record.told(sent.id, &sent.what, Outcome::Unknown);
            }
            again => self.orders.again = again,
        }
    }

    /// Kills it, and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Kills it for good; what it was killed with is done once more by another program.
    pub async fn end(mut self, program: &Program) -> u64 {
        self.kill();
        if let Some(sent) = self.orders.again.take() {
            program.execute_again(&sent).await;
        }
        self.kills
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the driver of faults, which kills it"]
async fn a_program_that_waits_to_be_killed() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    // When the parent is gone, however it went, nobody else ends this one.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let record = Arc::new(Record::for_a_parent());
    let program = Program::start(orders.urls, &orders.stream, orders.patience, record).await;
    if let Some(sent) = &orders.again {
        program.execute_again(sent).await;
    }
    let random = Random::new(orders.seed);
    let worker = Alone::new(Arc::new(program), orders.ids, random, false);
    worker.run(Arc::new(AtomicBool::new(false))).await;
}
