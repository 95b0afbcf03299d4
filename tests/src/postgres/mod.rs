//! PostgreSQL for tests: a server on a free loopback port, in a directory of its own.
//!
//! ```no_run
//! use cim_es_tests::postgres::Postgres;
//!
//! let server = Postgres::start();
//! println!("{}", server.url());
//! ```

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::nats::Port;

/// Waits until the test process is gone, however it went, then kills the server and removes its directory.
const WATCHDOG: &str = r#"cat >/dev/null; kill -9 -"$1" 2>/dev/null; sleep 0.2; rm -rf -- "$2""#;
/// Kills the processes that a server started; it is halted first, so that it starts no more.
const KILL_STARTED: &str =
    r#"kill -s STOP "$1"; for started in $(pgrep -P "$1"); do kill -s KILL "$started"; done"#;
/// How long the server may take to start.
const START: Duration = Duration::from_secs(60);
/// The user and group `nobody`, as which the server runs where the tests run as root: it refuses that.
const NOBODY: (u32, u32) = (65_534, 65_534);

/// A running server. Every method panics when the machine does not let it do its work: this is for tests.
#[derive(Debug)]
pub struct Postgres {
    // The order of the fields is the order of their end: first the process, then its directory, then its port.
    running: Option<Running>,
    directory: Directory,
    port: Port,
}

#[derive(Debug)]
struct Running {
    server: Child,
    watchdog: Child,
}

#[derive(Debug)]
struct Directory(PathBuf);

impl Postgres {
    /// Starts a server on a new cluster of databases, and waits until it takes connections.
    pub fn start() -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("cim-es-postgres-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let directory = Directory(directory);
        if is_root() {
            chown(&directory.0, Some(NOBODY.0), Some(NOBODY.1)).unwrap();
        }
        let mut making = program("initdb");
        making.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        making
            .args(["--no-sync", "--no-instructions"])
            .arg("--pgdata")
            .arg(directory.data());
        let made = making.current_dir(&directory.0).output().unwrap();
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let mut server = Self {
            running: None,
            directory,
            port: Port::reserve(),
        };
        server.restart();
        server
    }

    /// The server for all tests of a program that bring schemas of their own and leave the server as it is.
    pub fn shared() -> &'static Self {
        // It is never dropped: the watchdog ends it after the program.
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The address of its database, for a user who may do everything.
    pub fn url(&self) -> String {
        format!(
            "postgresql://postgres@127.0.0.1:{}/postgres",
            self.port.number()
        )
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Kills the server with all its processes (SIGKILL); what it stored stays.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again on the same port and directory, killing it first if it runs.
    pub fn restart(&mut self) {
        self.kill();
        let end = Instant::now() + START;
        while !self.is_ready() {
            assert!(
                Instant::now() < end,
                "PostgreSQL does not start:\n{}",
                self.log()
            );
            // Processes of one that was killed go a moment later, and it does not start beside them.
            let ended =
                |running: &mut Running| running.server.try_wait().is_ok_and(|it| it.is_some());
            if self.running.as_mut().is_none_or(ended) {
                self.running = Some(self.launch());
            }
            sleep(Duration::from_millis(20));
        }
    }

    fn launch(&self) -> Running {
        let log = self.directory.0.join("log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut command = program("postgres");
        command.arg("-D").arg(self.directory.data());
        command.args(["-p", &self.port.number().to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "unix_socket_directories="]);
        command
            .current_dir(&self.directory.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let server = command.process_group(0).spawn().unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &server.id().to_string()])
            .arg(&self.directory.0)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Running { server, watchdog }
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.0.join("log")).unwrap_or_default()
    }

    fn is_ready(&self) -> bool {
        let port = self.port.number().to_string();
        let asked = program("pg_isready")
            .args(["-q", "-U", "postgres", "-h", "127.0.0.1", "-p", &port])
            .status();
        TcpStream::connect(self.address()).is_ok() && asked.is_ok_and(|status| status.success())
    }
}

impl Directory {
    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The watchdog first: once the server is reaped, its process id may be another's.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        // With the processes that it has started: some lead groups of their own, and would serve their clients for a moment.
        let _ = Command::new("sh")
            .args(["-c", KILL_STARTED, "kill", &self.server.id().to_string()])
            .stderr(Stdio::null())
            .status();
        let group = format!("-{}", self.server.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
        let _ = self.server.wait();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// One of the programs, as a user that is not root.
fn program(name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    if is_root() {
        command.uid(NOBODY.0).gid(NOBODY.1);
    }
    command
}

/// The directory with the programs, found or installed by `tests/find-postgres` once a process.
fn programs() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/find-postgres");
        let answer = Command::new("python3")
            .arg(script)
            .stderr(Stdio::inherit())
            .output()
            .unwrap_or_else(|error| panic!("python3 {script}: {error}"));
        assert!(answer.status.success(), "{script} found no PostgreSQL");
        PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim())
    })
}
