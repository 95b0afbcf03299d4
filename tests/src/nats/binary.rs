//! Finds the server's program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The program, found or installed by `tests/find-nats-server` once a process.
pub(super) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/find-nats-server");
        let answer = Command::new("python3")
            .arg(script)
            .stderr(Stdio::inherit())
            .output()
            .unwrap_or_else(|error| panic!("python3 {script}: {error}"));
        assert!(answer.status.success(), "{script} found no server");
        let path = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        PathBuf::from(path)
    })
}
