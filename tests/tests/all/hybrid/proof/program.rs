//! A node as a program of its own, which is killed in the middle of what it does and started again.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use cim_es::SqliteEventStore;
use cim_es::hybrid::{HybridEventStore, HybridOptions, NatsConnector};
use cim_es::message::{Clock, SystemClock, Timestamp};
use cim_es::prelude::{Deserialize, Serialize};
use cim_es::store::Position;

use super::super::several_servers;

/// What a process is started for; without it, its test does nothing.
const ORDERS: &str = "CIM_ES_TEST_NODE";
/// What the lines of a process begin with that are for its parent.
const MARK: &str = "NODE ";
/// How long a node may take to be level. It says nothing of speed: what never is level is a defect.
const LIMIT: Duration = Duration::from_secs(120);

/// A node: its file, its clock, and the way to its servers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    pub file: PathBuf,
    pub urls: Vec<String>,
    pub replicas: usize,
    /// How far its clock is ahead, in minutes.
    pub minutes_ahead: i64,
}

/// A clock that is wrong.
pub struct Ahead(pub i64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let micros = SystemClock.now().as_micros() + self.0 * 60_000_000;
        Timestamp::from_micros(micros)
    }
}

impl Orders {
    pub fn options(&self) -> HybridOptions {
        HybridOptions::new()
            .pauses(Duration::from_millis(10), Duration::from_millis(200))
            .save_interval(Duration::from_millis(20))
            // Small lists, so that a flush has many moments at which it can be interrupted.
            .list_events(8)
            .clock(Arc::new(Ahead(self.minutes_ahead)))
    }

    pub async fn open(&self) -> HybridEventStore {
        let file = SqliteEventStore::open(&self.file).expect("the file opens");
        let servers = several_servers(self.urls.iter().cloned(), self.replicas);
        let opened = self.options().open(file, NatsConnector::new(servers)).await;
        opened.expect("the store opens")
    }
}

/// How many events of a file the stream has not acknowledged, as its program said last.
#[derive(Clone)]
pub struct Queue(Arc<AtomicU64>);

impl Queue {
    /// None before the program has said so.
    pub fn size(&self) -> Option<u64> {
        let queue = self.0.load(Ordering::SeqCst);
        (queue != u64::MAX).then_some(queue)
    }
}

/// A program that is running.
pub struct Running {
    child: Child,
    stdin: ChildStdin,
    queue: Queue,
    level: mpsc::Receiver<()>,
    /// What it said last of what it waits for.
    last: Arc<Mutex<String>>,
    hearing: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(orders: &Orders) -> Self {
        let (_, module) = module_path!().split_once("::").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
            .arg(format!("{module}::a_node_that_waits_to_be_killed"))
            .env(ORDERS, serde_json::to_string(orders).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let queue = Arc::new(AtomicU64::new(u64::MAX));
        let (told, level) = mpsc::channel();
        let shared = Arc::clone(&queue);
        let last = Arc::<Mutex<String>>::default();
        let waits = Arc::clone(&last);
        let hearing = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                match line.strip_prefix(MARK) {
                    Some("level") => drop(told.send(())),
                    Some(text) => match text.parse() {
                        Ok(queue) => shared.store(queue, Ordering::SeqCst),
                        Err(_) => text.clone_into(&mut waits.lock().unwrap()),
                    },
                    None => {}
                }
            }
        });
        Self {
            stdin: child.stdin.take().unwrap(),
            child,
            queue: Queue(queue),
            level,
            last,
            hearing: Some(hearing),
        }
    }

    pub fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Waits until all is sent that can be and the stream was read up to a position; the program ends with that.
    pub fn level(mut self, read: Position) {
        writeln!(self.stdin, "{}", read.0).unwrap();
        self.stdin.flush().unwrap();
        let heard = self.level.recv_timeout(LIMIT);
        let last = self.last.lock().unwrap().clone();
        assert!(heard.is_ok(), "the node is not level: {last}");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the node ended with {status}");
    }
}

impl Drop for Running {
    /// Kills it (SIGKILL).
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(hearing) = self.hearing.take() {
            let _ = hearing.join();
        }
    }
}

fn say(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "\n{MARK}{what}").and_then(|()| out.flush());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the proof, which kills it"]
async fn a_node_that_waits_to_be_killed() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let (order, mut orders_to_end) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = order.send(line);
        }
        // When the parent is gone, however it went, nobody else ends this one.
        std::process::exit(0);
    });
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let store = orders.open().await;
    let read = loop {
        say(store.queue_size().await.unwrap());
        let pause = tokio::time::sleep(Duration::from_millis(3));
        tokio::select! {
            () = pause => {}
            order = orders_to_end.recv() => break Position(order.unwrap().parse().unwrap()),
        }
    };
    // Another attempt where the way was cut: the task tries again by itself, too.
    loop {
        let flushed = store.flush_queue().await;
        let status = store.status().await.unwrap();
        if flushed.is_ok() && status.read >= read {
            break;
        }
        say(format!("waits for {read}: {status:?}, {flushed:?}"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.close().await;
    say("level");
}
