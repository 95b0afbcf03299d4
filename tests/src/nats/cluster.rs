//! Several servers that share their streams.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use async_nats::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::network::Network;
use super::place::Place;
use super::port::Port;
use super::server::Server;
use super::site::{Layout, Tls};
use super::user::User;

/// How long a cluster may take to choose a leader.
const ELECTION: Duration = Duration::from_secs(30);
/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// A cluster of servers named `node-1`, `node-2` and so on.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
    routes: Vec<Port>,
    network: Option<Network>,
    _place: Place,
}

impl Cluster {
    /// Starts a cluster with `deploy/nats/three-nodes.conf` and waits until every server is healthy.
    pub fn start(count: usize) -> Self {
        let mut cluster = Self::launch(count, None, false);
        cluster.wait_until_healthy();
        cluster
    }

    /// Starts a cluster whose servers reach each other through a [`Network`] alone, and tell nobody another address.
    pub fn start_apart(count: usize) -> Self {
        let mut cluster = Self::launch(count, None, true);
        cluster.wait_until_healthy();
        cluster
    }

    /// The cluster of three for all tests of a program that bring streams of their own and leave the servers as they are.
    pub fn shared() -> &'static Self {
        // It is never dropped: the watchdogs end it after the program.
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(3))
    }

    /// Starts a cluster with `deploy/nats/three-nodes-tls.conf` and waits until every server takes connections; whether it
    /// has found the others is then for the caller to wait for, who has a certificate.
    pub fn start_with_tls(count: usize, tls: &Tls) -> Self {
        let mut cluster = Self::launch(count, Some(tls), false);
        for server in &mut cluster.servers {
            server.wait_until_ready();
        }
        cluster
    }

    fn launch(count: usize, tls: Option<&Tls>, is_apart: bool) -> Self {
        let place = Place::wait();
        let ports: Vec<_> = (0..count).map(|_| Port::reserve()).collect();
        let network = is_apart.then(|| Network::before(&ports));
        let all: Vec<_> = ports.iter().map(Port::number).collect();
        let servers = all
            .iter()
            .enumerate()
            .map(|(index, port)| {
                let layout = match &network {
                    Some(network) => Layout::Apart {
                        port: *port,
                        routes: network.ports_of(index),
                    },
                    None => Layout::Cluster {
                        port: *port,
                        routes: all.clone(),
                        tls: tls.cloned(),
                    },
                };
                Server::launch(&format!("node-{}", index + 1), &layout)
            })
            .collect();
        Self {
            servers,
            routes: ports,
            network,
            _place: place,
        }
    }

    /// The network between the servers of a cluster that was [started apart](Self::start_apart).
    pub fn network(&self) -> &Network {
        let network = self.network.as_ref();
        network.unwrap_or_else(|| panic!("the servers reach each other directly"))
    }

    /// The servers.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// One server, from 0.
    pub fn server(&mut self, index: usize) -> &mut Server {
        &mut self.servers[index]
    }

    /// The addresses of all servers; every connection must say who it is.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// `127.0.0.1:<port>` of each server for the others.
    pub fn routes(&self) -> impl Iterator<Item = String> {
        let ports = self.routes.iter().map(Port::number);
        ports.map(|port| format!("127.0.0.1:{port}"))
    }

    /// Connects to any of the servers as a user of the sample permissions.
    pub async fn connect(&self, user: User) -> Client {
        user.connect(self.urls()).await
    }

    /// Waits until every server is healthy; each must run.
    pub fn wait_until_healthy(&mut self) {
        for server in &mut self.servers {
            server.wait_until_healthy();
        }
    }

    /// The index of the server that leads a stream, waiting for an election that is under way. The client must have the
    /// right to look at the stream.
    pub async fn leader(&self, client: &Client, stream: &str) -> usize {
        let end = Instant::now() + ELECTION;
        loop {
            let info = ask(client, &format!("$JS.API.STREAM.INFO.{stream}")).await;
            let leader = info["cluster"]["leader"].as_str();
            let found =
                leader.and_then(|name| self.servers.iter().position(|it| it.name() == name));
            if let Some(index) = found {
                return index;
            }
            assert!(
                Instant::now() < end,
                "{stream} has no leader after {} s: {info}",
                ELECTION.as_secs()
            );
            sleep(PAUSE).await;
        }
    }

    /// Makes the leader of a stream give up its office. Gives the index of the server that had it; another may not have
    /// it yet. The client must be the operator's.
    pub async fn step_down(&self, client: &Client, stream: &str) -> usize {
        let former = self.leader(client, stream).await;
        let end = Instant::now() + ELECTION;
        loop {
            let answer = ask(client, &format!("$JS.API.STREAM.LEADER.STEPDOWN.{stream}")).await;
            if answer["success"] == true {
                return former;
            }
            assert!(
                Instant::now() < end,
                "the leader of {stream} does not step down: {answer}"
            );
            sleep(PAUSE).await;
        }
    }
}

async fn ask(client: &Client, subject: &str) -> Value {
    let answer = client.request(subject.to_owned(), "".into()).await;
    match answer {
        Ok(message) => serde_json::from_slice(&message.payload).unwrap_or_default(),
        Err(error) => json!({ "error": error.to_string() }),
    }
}
