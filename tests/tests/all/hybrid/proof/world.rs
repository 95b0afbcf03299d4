//! Nodes, a stream and the way between them, and what goes wrong on it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use cim_es::SqliteEventStore;
use cim_es::hybrid::{HybridEventStore, NatsConnector, Protocol, RemoteStore};
use cim_es::message::{Clock, MessageIdentity, SystemClock, Timestamp};
use cim_es::store::{CommitRequest, EventStore, ExpectedVersion, NewEvent, Position};
use cim_es_tests::directory::Directory;
use cim_es_tests::nats::{Cluster, Server};
use std::sync::Arc;

use super::super::{key, several_servers};
use super::plan::{self, Commit, NODES};
use super::program::{Ahead, Orders, Queue, Running};
use crate::jetstream::proxy::{Proxy, Weather};
use crate::jetstream::random::Random;

/// The servers that keep the stream.
pub enum Servers {
    One(Server),
    Three(Cluster),
}

impl Servers {
    fn all(&self) -> &[Server] {
        match self {
            Self::One(server) => std::slice::from_ref(server),
            Self::Three(cluster) => cluster.servers(),
        }
    }

    fn replicas(&self) -> usize {
        self.all().len()
    }

    /// Kills one of them, and starts it again.
    fn kill(&mut self, random: &Random) {
        match self {
            Self::One(server) => server.restart(),
            Self::Three(cluster) => {
                let index = random.within(0..3) as usize;
                cluster.server(index).kill();
                // The others choose a leader meanwhile, or none was lost.
                std::thread::sleep(Duration::from_millis(random.within(50..1_500)));
                cluster.server(index).restart();
            }
        }
    }
}

/// Three nodes and the stream that they share.
pub struct World {
    pub servers: Servers,
    pub remote: Arc<dyn RemoteStore>,
    pub random: Random,
    pub nodes: Vec<Node>,
    proxies: Vec<Proxy>,
    /// What went wrong, and how many times.
    pub faults: HashMap<&'static str, u64>,
    _directory: Directory,
}

pub struct Node {
    pub orders: Orders,
    /// What it did while it was offline.
    pub commits: Vec<Commit>,
}

impl World {
    /// Three nodes that have been level with the stream.
    pub async fn new(servers: Servers, seed: u64) -> Self {
        let random = Random::new(seed);
        let urls: Vec<_> = servers.all().iter().map(Server::url).collect();
        let remote = several_servers(urls, servers.replicas()).open().await;
        let remote: Arc<dyn RemoteStore> = Arc::new(remote.expect("the stream opens"));
        for commit in plan::common() {
            let commit = request(&commit, "ann", SystemClock.now());
            remote.append(commit).await.expect("the stream stores it");
        }
        let mut proxies = Vec::new();
        for server in servers.all() {
            proxies.push(Proxy::to(server.address()).await);
        }
        let directory = Directory::new();
        let nodes = (0..NODES).map(|number| Node {
            orders: Orders {
                file: directory.file(&format!("node-{number}.db")),
                urls: proxies.iter().map(Proxy::url).collect(),
                replicas: servers.replicas(),
                minutes_ahead: [60, 0, -60][number],
            },
            commits: Vec::new(),
        });
        let world = Self {
            nodes: nodes.collect(),
            servers,
            remote,
            random,
            proxies,
            faults: HashMap::new(),
            _directory: directory,
        };
        for node in 0..NODES {
            world.level(node).await;
        }
        world
    }

    /// The steps of the protocol, without a program.
    pub async fn protocol(&self, node: usize) -> (SqliteEventStore, Protocol) {
        self.nodes[node].protocol().await
    }

    async fn level(&self, node: usize) {
        let (file, protocol) = self.protocol(node).await;
        protocol.greet(&self.remote).await.expect("they meet");
        protocol.level(&self.remote).await.expect("they are level");
        protocol.mark(&self.remote).await.expect("it is marked");
        protocol.save().await.expect("it is saved");
        file.close().await;
    }

    /// A node that nobody reaches writes.
    pub async fn is_offline(&mut self, node: usize, commits: Vec<Commit>) {
        let Node { orders, .. } = &self.nodes[node];
        let nowhere = several_servers(["nats://127.0.0.1:9".to_owned()], 1);
        let file = SqliteEventStore::open(&orders.file).expect("the file opens");
        let options = orders.options();
        let store: HybridEventStore = options
            .open(file.clone(), NatsConnector::new(nowhere))
            .await
            .expect("the store opens without a network");
        let clock = Ahead(orders.minutes_ahead);
        for commit in &commits {
            let request = request(commit, &format!("node-{node}"), clock.now());
            store.append(request).await.expect("the file stores it");
        }
        assert!(!store.is_connected());
        store.close().await;
        file.close().await;
        self.nodes[node].commits.extend(commits);
    }

    /// A node joins while things go wrong, and then is level.
    pub async fn join(&mut self, node: usize, faults: usize) {
        let mut running = Running::start(&self.nodes[node].orders);
        for _ in 0..faults {
            self.set(Weather {
                delay: Duration::from_millis(self.random.within(0..4)),
                ..Weather::default()
            });
            self.make_progress(running.queue()).await;
            match self.random.within(0..10) {
                0..4 => {
                    self.count("programs killed");
                    drop(running);
                    running = Running::start(&self.nodes[node].orders);
                }
                4..7 => {
                    self.count("connections cut");
                    self.cut();
                }
                7..9 => {
                    self.count("connections deaf and cut");
                    for proxy in &self.proxies {
                        proxy.lose_answers();
                    }
                    let deaf = self.random.within(5..60);
                    tokio::time::sleep(Duration::from_millis(deaf)).await;
                    self.cut();
                }
                _ => {
                    self.count("servers killed");
                    tokio::task::block_in_place(|| self.servers.kill(&self.random));
                }
            }
        }
        self.set(Weather::default());
        self.rejoin(running).await;
    }

    /// A node joins, and is killed once the stream knows that it has sent more than up to a position.
    pub async fn join_and_be_killed(&mut self, node: usize, behind: Position) {
        let name = {
            let (file, protocol) = self.protocol(node).await;
            let name = format!("hybrid-{}", protocol.node());
            file.close().await;
            name
        };
        let _running = Running::start(&self.nodes[node].orders);
        loop {
            let mark = self.remote.get_checkpoint(&name).await;
            if mark.is_ok_and(|mark| mark.is_some_and(|mark| mark.position > behind)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.count("programs killed");
    }

    /// A node is level that was interrupted by nothing.
    pub async fn come_back(&self, node: usize) {
        self.rejoin(Running::start(&self.nodes[node].orders)).await;
    }

    async fn rejoin(&self, running: Running) {
        let last = self.last().await;
        tokio::task::block_in_place(|| running.level(last));
    }

    /// The last position of the stream, asked until a server answers.
    async fn last(&self) -> Position {
        loop {
            match self.remote.last_position().await {
                Ok(last) => return last,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Waits until the program has sent some of what it has, or for a moment where it has nothing to send.
    async fn make_progress(&self, told: Queue) {
        let events = self.random.within(1..40);
        let mut before = None;
        for _ in 0..self.random.within(20..200) {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let Some(queue) = told.size() else {
                continue;
            };
            if *before.get_or_insert(queue) >= queue + events {
                return;
            }
        }
    }

    fn set(&self, weather: Weather) {
        for proxy in &self.proxies {
            proxy.set(weather.clone());
        }
    }

    fn cut(&self) {
        for proxy in &self.proxies {
            proxy.cut();
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.faults.entry(what).or_default() += 1;
    }
}

impl Node {
    pub async fn protocol(&self) -> (SqliteEventStore, Protocol) {
        let file = SqliteEventStore::open(&self.orders.file).expect("the file opens");
        let protocol = Protocol::open(Arc::new(file.clone()), self.orders.options()).await;
        (file, protocol.expect("what is known can be read"))
    }

    pub fn file(&self) -> &PathBuf {
        &self.orders.file
    }
}

/// A commit of one event for each of some aggregates.
pub fn request(ids: &[String], actor: &str, at: Timestamp) -> CommitRequest {
    let empty = CommitRequest::new(MessageIdentity::new_from_user(actor), at);
    ids.iter().fold(empty, |commit, id| {
        let event = NewEvent::from_payload("contract.sample.noted", 1, vec![0xa0]);
        commit.aggregate(key(id), ExpectedVersion::Any, vec![event])
    })
}
