//! Loopback ports that no two tests share.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems give to outgoing connections, so that a port stays free while its server is down.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port; its lock file keeps other test processes away from it for as long as this lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _held: File,
}

impl Port {
    /// A free port.
    pub(crate) fn reserve() -> Self {
        static TRIED: AtomicU16 = AtomicU16::new(0);
        let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/ports"));
        fs::create_dir_all(directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let start = (std::process::id() % u32::from(COUNT)) as u16;
        for _ in 0..COUNT {
            let tried = TRIED.fetch_add(1, Ordering::Relaxed) % COUNT;
            // A step that has no divisor in common with the count visits every port, and neighbours rarely.
            let number =
                FIRST + ((u32::from(start) + u32::from(tried) * 37) % u32::from(COUNT)) as u16;
            if let Some(port) = Self::try_reserve(directory, number) {
                return port;
            }
        }
        panic!("no free port from {FIRST} to {}", FIRST + COUNT - 1);
    }

    fn try_reserve(directory: &Path, number: u16) -> Option<Self> {
        let held = File::create(directory.join(number.to_string())).ok()?;
        held.try_lock().ok()?;
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Self {
            number,
            _held: held,
        })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
