//! A NATS server of a test's own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::support::Directory;

/// A server that ends with the value.
pub struct Server {
    child: Child,
    /// Its address, without a stream.
    pub url: String,
    directory: Directory,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of the server, as the tests of the workspace find it.
fn binary() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/find-nats-server");
    let found = Command::new("python3")
        .arg(script)
        .stderr(Stdio::inherit())
        .output();
    let found = found.expect("python3 runs");
    assert!(found.status.success(), "{script} found no server");
    PathBuf::from(String::from_utf8_lossy(&found.stdout).trim())
}

/// Starts one with JetStream, which keeps what it has in a directory of its own.
pub fn start() -> Server {
    let directory = Directory::new();
    let ports = directory.path().to_str().expect("UTF-8").to_owned();
    let store = directory.file("store");
    let child = Command::new(binary())
        .args([
            "-a",
            "127.0.0.1",
            "-p",
            "-1",
            "-js",
            "--ports_file_dir",
            &ports,
            "-sd",
        ])
        .arg(store)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut server = Server {
        child: child.expect("the server starts"),
        url: String::new(),
        directory,
    };
    let file = format!("{}_{}.ports", program_name(), server.child.id());
    let file = server.directory.file(&file);
    for _ in 0..600 {
        // It may be there before it is whole.
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if let Ok(found) = serde_json::from_str::<serde_json::Value>(&text) {
            server.url = found["nats"][0].as_str().expect("an address").to_owned();
            return server;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the server does not say on which port it is");
}

fn program_name() -> String {
    let binary = binary();
    binary
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}
