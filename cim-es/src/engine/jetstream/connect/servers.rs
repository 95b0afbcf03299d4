//! Which servers there are, and what they are: each address that is known is asked by a short
//! connection of its own, since a client hears of the server that it talks to alone, and the API
//! names servers without their versions.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Connection;

/// How long a server may take to introduce itself.
const PATIENCE: Duration = Duration::from_millis(500);
/// The longest introduction that is read.
const LONGEST: usize = 64 * 1024;

/// What a server says of itself to whoever connects, before any login.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Introduction {
    #[serde(default)]
    pub(crate) server_id: String,
    #[serde(default)]
    pub(crate) server_name: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) jetstream: bool,
    #[serde(default)]
    pub(crate) max_payload: usize,
    /// The addresses of the other servers of its cluster.
    #[serde(default)]
    connect_urls: Vec<String>,
}

/// What is known of the servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// The servers that introduced themselves; the one that the connection is with comes first.
    pub(crate) servers: Vec<Introduction>,
    /// The addresses where none did, each with the reason.
    pub(crate) silent: Vec<String>,
}

impl Survey {
    /// Whether a server introduced itself by a name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.servers.iter().any(|server| server.server_name == name)
    }

    fn add(&mut self, server: Introduction) {
        let is_known = self
            .servers
            .iter()
            .any(|known| known.server_id == server.server_id && known.version == server.version);
        if !is_known {
            self.servers.push(server);
        }
    }
}

impl Connection {
    /// Asks every server that can be found: those that are configured, and those that they know of.
    pub(crate) async fn survey(&self) -> Survey {
        let present = self.client().server_info();
        let mut survey = Survey::default();
        survey.add(Introduction {
            server_id: present.server_id,
            server_name: present.server_name,
            version: present.version,
            jetstream: present.jetstream,
            max_payload: present.max_payload,
            connect_urls: present.connect_urls.clone(),
        });
        let mut asked: BTreeSet<String> = BTreeSet::new();
        let configured = self.signals.addresses.iter().cloned();
        let mut open: BTreeSet<String> = configured.chain(present.connect_urls).collect();
        // Those that are asked may know of more, which are asked in turn.
        while !open.is_empty() {
            let answers = join_all(open.iter().map(|address| ask(address))).await;
            let mut found = BTreeSet::new();
            for (address, answer) in open.iter().zip(answers) {
                match answer {
                    Ok(server) => {
                        found.extend(server.connect_urls.iter().cloned());
                        survey.add(server);
                    }
                    Err(reason) => survey.silent.push(format!("{address} ({reason})")),
                }
            }
            asked.append(&mut open);
            open = found.difference(&asked).cloned().collect();
        }
        survey
    }
}

async fn ask(address: &str) -> io::Result<Introduction> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer");
    timeout(PATIENCE, introduction(address))
        .await
        .map_err(late)?
}

async fn introduction(address: &str) -> io::Result<Introduction> {
    let mut stream = TcpStream::connect(address).await?;
    let mut line = Vec::new();
    loop {
        if stream.read_buf(&mut line).await? == 0 || line.len() > LONGEST {
            return Err(malformed());
        }
        let Some(end) = line.windows(2).position(|end| end == b"\r\n") else {
            continue;
        };
        let info = line[..end].strip_prefix(b"INFO ").ok_or_else(malformed)?;
        return serde_json::from_slice(info).map_err(|_| malformed());
    }
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it does not introduce itself as a NATS server does",
    )
}
