//! One server.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use async_nats::Client;

use super::port::Port;
use super::process::Process;
use super::site::{Layout, Site};
use super::user::User;
use super::wire::Wire;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(30);
/// How often a server is asked.
const PAUSE: Duration = Duration::from_millis(10);

/// One server with JetStream, on a free loopback port, with a directory of its own.
///
/// Every method panics when the machine does not let it do its work: this is for tests.
#[derive(Debug)]
pub struct Server {
    // The order of the fields is the order of their end: first the process, then its directory, then its port.
    process: Option<Process>,
    site: Site,
    port: Port,
    name: String,
    has_jetstream: bool,
}

impl Server {
    /// Starts one server with `deploy/nats/one-node.conf` and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&Layout::OneNode)
    }

    /// The server for all tests of a program that bring streams of their own and leave the server as it is.
    pub fn shared() -> &'static Self {
        // It is never dropped: the watchdog ends it after the program.
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts one server with another of the sample configurations and waits until it is ready.
    pub fn start_with(layout: &Layout) -> Self {
        let mut server = Self::launch("node-1", layout);
        server.wait_until_ready();
        server
    }

    /// Starts a server and does not wait.
    pub(super) fn launch(name: &str, layout: &Layout) -> Self {
        let port = Port::reserve();
        let site = Site::new(name, port.number(), layout);
        Self {
            process: Some(Process::start(&site)),
            site,
            port,
            name: name.to_owned(),
            has_jetstream: layout.has_jetstream(),
        }
    }

    /// The server's name, as JetStream gives it for a leader or a replica.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// `nats://127.0.0.1:<port>`; every connection must say who it is.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Connects as a user of the sample permissions.
    pub async fn connect(&self, user: User) -> Client {
        user.connect(vec![self.url()]).await
    }

    /// The directory that holds the server's files.
    pub fn directory(&self) -> PathBuf {
        self.site.directory().to_owned()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.site.log_file()).unwrap_or_default()
    }

    /// How much memory the process has in use, in bytes; none where the system does not show it.
    pub fn memory(&self) -> Option<u64> {
        self.running().memory()
    }

    /// Kills the process (SIGKILL); what it stored stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Ends the process in order (SIGTERM), as one ends a server before an update.
    pub fn end(&mut self) {
        if let Some(process) = &mut self.process {
            process.end();
        }
        self.process = None;
    }

    /// Starts the process again on the same port and directory, killing it first if it runs, and waits until it takes
    /// connections.
    pub fn restart(&mut self) {
        self.restart_within(START);
    }

    /// The same for a server that has much to read before it takes connections.
    pub fn restart_within(&mut self, limit: Duration) {
        self.kill();
        self.process = Some(Process::start(&self.site));
        let has_jetstream = self.has_jetstream;
        self.wait_for("ready", limit, |port| is_ready(port, has_jetstream));
    }

    /// Stops the process without ending it (SIGSTOP): its connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.running().pause();
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&self) {
        self.running().signal("CONT");
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.ended().is_none())
    }

    /// Waits until the server takes connections.
    pub(super) fn wait_until_ready(&mut self) {
        let has_jetstream = self.has_jetstream;
        self.wait_for("ready", START, |port| is_ready(port, has_jetstream));
    }

    /// Waits until the server is healthy: its streams are there, and in a cluster it follows the leader.
    pub fn wait_until_healthy(&mut self) {
        self.wait_for("healthy", START, |port| {
            Wire::open(port).and_then(Wire::ask_health).unwrap_or(false)
        });
    }

    fn wait_for(&mut self, what: &str, limit: Duration, is_so: impl Fn(u16) -> bool) {
        let end = Instant::now() + limit;
        while !is_so(self.port.number()) {
            assert!(
                self.is_running(),
                "{} ended before it was {what}:\n{}",
                self.name,
                self.log()
            );
            assert!(
                Instant::now() < end,
                "{} is not {what} after {} s:\n{}",
                self.name,
                limit.as_secs(),
                self.log()
            );
            sleep(PAUSE);
        }
    }

    fn running(&self) -> &Process {
        self.process
            .as_ref()
            .unwrap_or_else(|| panic!("{} was killed and not restarted", self.name))
    }
}

/// Whether a server takes connections, and has JetStream where it is to have it.
fn is_ready(port: u16, has_jetstream: bool) -> bool {
    Wire::open(port).is_ok_and(|wire| wire.has_jetstream() == has_jetstream)
}
