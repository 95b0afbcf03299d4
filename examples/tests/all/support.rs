//! A machine that does not exist, and runs of the program on it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cim_es_examples::quickstart::host::Host;
use cim_es_examples::quickstart::values::{Disk, Interface, ResourceCapabilities};
use cim_es_examples::quickstart::{Surroundings, run};
use uuid::Uuid;

/// What one run gave.
#[derive(Debug)]
pub struct Ran {
    pub code: ExitCode,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The output as JSON; the run must have succeeded and said nothing else.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(
            (self.code, self.err.as_str()),
            (ExitCode::SUCCESS, ""),
            "{self:?}"
        );
        serde_json::from_str(&self.out).expect("one JSON document")
    }

    /// The message of a run that failed with this code; it must be one line, and nothing else was said.
    pub fn refusal(&self, code: u8) -> &str {
        assert_eq!(
            (self.code, self.out.as_str()),
            (ExitCode::from(code), ""),
            "{self:?}"
        );
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        self.err.strip_prefix("error: ").expect("a message")
    }
}

/// A machine and a directory of its own, in which its store is kept.
pub struct Machine {
    pub host: Host,
    pub columns: u16,
    directory: tempfile::TempDir,
}

impl Machine {
    pub fn new() -> Self {
        Self {
            host: host(),
            columns: 100,
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file that the program uses when the command line does not say.
    pub fn store(&self) -> PathBuf {
        self.directory().join("quickstart.db")
    }

    /// Runs the program on this machine as it is now.
    pub fn run(&self, args: &[&str]) -> Ran {
        let host = self.host.clone();
        let surroundings = Surroundings {
            read_host: Box::new(move || Ok(host.clone())),
            data_directory: Some(self.directory().to_owned()),
            columns: self.columns,
        };
        let args = ["quickstart"].iter().chain(args).map(OsString::from);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(args, &surroundings, &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ran {
            code,
            out: text(out),
            err: text(err),
        }
    }
}

pub fn host() -> Host {
    let valid = "valid";
    Host {
        machine: Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001),
        hostname: "node-1.example.org".parse().expect(valid),
        system: "x86_64-linux".parse().expect(valid),
        capabilities: ResourceCapabilities {
            operating_system: "Debian 13".parse().expect(valid),
            processor: "A processor".parse().expect(valid),
            cores: 8,
            memory_mib: 16_384,
        },
        disks: vec![disk("/dev/sda1", 1 << 40)],
        interfaces: vec![interface("eth0", "02:fc:00:00:00:01")],
    }
}

pub fn disk(device: &str, bytes: u64) -> Disk {
    Disk {
        device: device.parse().expect("a device"),
        file_system: "ext4".parse().expect("a label"),
        bytes,
    }
}

pub fn interface(name: &str, mac: &str) -> Interface {
    Interface {
        name: name.parse().expect("a name"),
        mac: mac.parse().expect("an address"),
    }
}
