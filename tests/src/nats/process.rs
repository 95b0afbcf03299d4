//! A server's process and the watchdog that ends it when the test process cannot.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::binary;
use super::site::Site;
use super::user::User;

/// Waits until the test process is gone, however it went, then kills the server and removes its directory.
const WATCHDOG: &str = r#"cat >/dev/null; kill -9 "$1" 2>/dev/null; sleep 0.2; rm -rf -- "$2""#;

/// A running server; it is killed on drop.
#[derive(Debug)]
pub(super) struct Process {
    server: Child,
    watchdog: Child,
}

impl Process {
    pub(super) fn start(site: &Site) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(site.log_file())
            .unwrap_or_else(|error| panic!("{}: {error}", site.log_file().display()));
        let mut command = Command::new(binary::path());
        command.arg("--config").arg(site.main_file());
        command.current_dir(site.directory());
        for user in User::ALL {
            command.env(user.variable(), user.password());
        }
        // A group of its own, so that Ctrl-C reaches the test alone and the watchdog cleans up.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let server = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary::path().display()));
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &server.id().to_string()])
            .arg(site.directory())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("sh: {error}"));
        Self { server, watchdog }
    }

    /// How the server ended; none while it runs.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.server.try_wait().ok().flatten()
    }

    /// How much memory the server has in use, in bytes; none where the system does not show it.
    pub(super) fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kibibytes * 1_024)
    }

    /// Sends a signal by name.
    pub(super) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.server.id().to_string()])
            .status();
        assert!(
            status.as_ref().is_ok_and(ExitStatus::success),
            "kill -s {name} {}: {status:?}",
            self.server.id()
        );
    }

    /// Asks the process to end in order (SIGTERM), and waits until it has.
    pub(super) fn end(&mut self) {
        self.signal("TERM");
        let _ = self.server.wait();
    }

    /// Stops the process, and waits until each of its threads stands still: the signal alone is on its way only.
    pub(super) fn pause(&self) {
        self.signal("STOP");
        let tasks = PathBuf::from(format!("/proc/{}/task", self.server.id()));
        let is_still = |status: PathBuf| {
            let text = std::fs::read_to_string(status).unwrap_or_default();
            !text
                .lines()
                .any(|line| line.starts_with("State:") && !line.contains("T (stopped)"))
        };
        // Where the system shows no threads there is nothing to wait for.
        while let Ok(mut threads) = std::fs::read_dir(&tasks)
            && threads.any(|thread| thread.is_ok_and(|it| !is_still(it.path().join("status"))))
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog first: once the server is reaped, its process id may be another's.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
