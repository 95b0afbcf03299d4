//! Three servers that are apart, and the programs that work on one stream of theirs, each through a network of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Client;
use cim_es::prelude::*;
use cim_es_tests::nats::{Cluster, User};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::checks;
use super::killed::{Killed, Orders};
use super::ledger::Ledger;
use super::program::{OwnStream, Program};
use super::readers::Readers;
use super::record::Record;
use super::work::{Alone, Shared};
use crate::jetstream::proxy::{Proxy, Weather};
use crate::jetstream::random::Random;

/// How long each program waits, in seconds: one gives up before a leader that was cut off knows that it is, one waits for
/// the next.
const PATIENCE: [u64; 3] = [4, 9, 25];
/// Ledgers that many programs write to, and of each worker that is alone.
const LEDGERS: usize = 6;
/// How long everything may take to arrive once the network is well.
const SETTLING: Duration = Duration::from_secs(90);

/// How long a consumer that nobody uses may stay. Reading asks for twenty seconds; where the servers lose the word that it
/// is gone, its server says it again after half a minute to a minute, then after twice as long each time.
const FORGETTING: Duration = Duration::from_secs(300);

/// Longer than any work may take that a worker has begun.
const HANGS: Duration = Duration::from_secs(300);

/// Where a program runs: what it says to each server goes through a proxy.
pub struct Site {
    pub proxies: Vec<Proxy>,
}

impl Site {
    async fn new(cluster: &Cluster) -> Self {
        let mut proxies = Vec::new();
        for server in cluster.servers() {
            let proxy = Proxy::to(server.address()).await;
            proxy.forget_the_past();
            proxies.push(proxy);
        }
        Self { proxies }
    }

    fn urls(&self, random: &Random) -> Vec<String> {
        let mut urls: Vec<_> = self.proxies.iter().map(Proxy::url).collect();
        let first = random.within(0..urls.len() as u64) as usize;
        urls.rotate_left(first);
        urls
    }

    /// What the network of this program is like, to all servers.
    pub fn set(&self, weather: &Weather) {
        self.proxies
            .iter()
            .for_each(|proxy| proxy.set(weather.clone()));
    }

    pub fn cut(&self) {
        self.proxies.iter().for_each(Proxy::cut);
    }
}

pub struct World {
    pub cluster: Cluster,
    pub sites: Vec<Arc<Site>>,
    pub operator: Client,
    pub stream: OwnStream,
    pub readers: Readers,
    pub killed: Vec<Killed>,
    pub record: Arc<Record>,
    pub random: Random,
    pub began: Instant,
    programs: Vec<Arc<Program>>,
    stop: Arc<AtomicBool>,
    workers: JoinSet<()>,
}

impl World {
    /// Servers, a stream, subscriptions, and programs at work.
    pub async fn start(seed: u64) -> Self {
        let random = Random::new(seed);
        let cluster = tokio::task::block_in_place(|| Cluster::start_apart(3));
        let stream = OwnStream::new(3);
        let record = Arc::new(Record::default());
        let mut sites = Vec::new();
        let mut programs = Vec::new();
        for patience in PATIENCE {
            let site = Site::new(&cluster).await;
            let patience = Duration::from_secs(patience);
            let urls = site.urls(&random);
            let program = Program::start(urls, &stream, patience, Arc::clone(&record)).await;
            programs.push(Arc::new(program));
            sites.push(Arc::new(site));
        }
        let readers = Readers::start(programs.clone(), Arc::clone(&record), random.of(1)).await;
        let mut world = Self {
            operator: cluster.connect(User::Operator).await,
            stream,
            cluster,
            sites,
            readers,
            killed: Vec::new(),
            record,
            random,
            began: Instant::now(),
            programs,
            stop: Arc::default(),
            workers: JoinSet::new(),
        };
        world.put_to_work();
        world
    }

    fn put_to_work(&mut self) {
        let shared: Vec<_> = (0..LEDGERS).map(|_| Id::<Ledger>::new()).collect();
        let number = Arc::new(AtomicU64::new(1));
        for (at, program) in self.programs.iter().enumerate() {
            for worker in 0..2 {
                let random = self.random.of(10 + at as u64 * 10 + worker);
                let ids = (0..LEDGERS).map(|_| Id::new()).collect();
                let alone = Alone::new(Arc::clone(program), ids, random, true);
                self.workers.spawn(alone.run(Arc::clone(&self.stop)));
                let shared = Shared {
                    program: Arc::clone(program),
                    ids: shared.clone(),
                    random: self.random.of(50 + at as u64 * 10 + worker),
                    number: Arc::clone(&number),
                };
                self.workers.spawn(shared.run(Arc::clone(&self.stop)));
            }
        }
        for number in 0..2 {
            let site = &self.sites[number as usize];
            let orders = Orders {
                urls: site.urls(&self.random),
                stream: self.stream.clone(),
                patience: Duration::from_secs(PATIENCE[number as usize]),
                ids: (0..LEDGERS).map(|_| Id::new()).collect(),
                seed: self.random.next(),
                again: None,
            };
            self.killed
                .push(Killed::start(orders, Arc::clone(&self.record)));
        }
    }

    /// Asks the JetStream API as an operator would; none when there is no answer.
    pub async fn ask(&self, subject: &str, body: Value) -> Option<Value> {
        let subject = format!("$JS.API.{subject}.{}", self.stream.name);
        let asked = self.operator.request(subject, body.to_string().into());
        let answer = timeout(Duration::from_secs(2), asked).await.ok()?.ok()?;
        serde_json::from_slice(&answer.payload).ok()
    }

    /// The server that leads the stream at the moment, if one says so.
    pub async fn leader(&self) -> Option<usize> {
        let info = self.ask("STREAM.INFO", json!({})).await?;
        let leader = info["cluster"]["leader"].as_str()?;
        let mut servers = self.cluster.servers().iter();
        servers.position(|server| server.name() == leader)
    }

    /// Ends all work, waits until everything has arrived, and gives what is wrong.
    pub async fn end(mut self) -> Vec<String> {
        self.cluster.network().heal();
        for site in &self.sites {
            site.set(&Weather::default());
            site.cut();
        }
        tokio::task::block_in_place(|| self.cluster.wait_until_healthy());
        self.stop.store(true, Ordering::Relaxed);
        let mut wrong = Vec::new();
        let working = timeout(HANGS, async {
            while let Some(worker) = self.workers.join_next().await {
                let panicked = worker.err();
                wrong.extend(panicked.map(|error| format!("a worker panicked: {error}")));
            }
        });
        if working.await.is_err() {
            let left = self.workers.len();
            wrong.push(format!("{left} workers still wait for an answer"));
            self.workers.abort_all();
        }
        let fresh = self.cluster.connect(User::Operator).await;
        let urls = self.cluster.urls();
        let program = Program::start(
            urls,
            &self.stream,
            Duration::from_secs(30),
            Arc::clone(&self.record),
        )
        .await;
        let mut kills = 0;
        for killed in self.killed {
            kills += killed.end(&program).await;
        }
        let events = checks::everything(&program.store).await;
        let operations = self.record.operations();
        wrong.extend(checks::violations(&fresh, &program.store, &events, &operations).await);
        self.readers.catch_up(events.len(), SETTLING).await;
        let positions: Vec<_> = events.iter().map(|event| event.position.0).collect();
        wrong.extend(self.readers.end(&positions).await);
        wrong.extend(left_over(&fresh, &self.stream.name).await);
        wrong.extend(self.record.violations());
        let (commits, acknowledged) = (operations.len(), self.record.acknowledged());
        println!(
            "{commits} commits, {acknowledged} acknowledged, {} events, {kills} programs killed, {} violations\n{}",
            events.len(),
            wrong.len(),
            self.record.report(),
        );
        wrong
    }
}

/// Consumers that nobody uses any more: that of the group alone stays.
async fn left_over(client: &Client, stream: &str) -> Option<String> {
    let end = Instant::now() + FORGETTING;
    loop {
        let left = crate::jetstream::consumers(client, stream).await;
        if left <= 1 {
            return None;
        }
        if Instant::now() > end {
            return Some(format!("{left} consumers are left"));
        }
        sleep(Duration::from_millis(500)).await;
    }
}
