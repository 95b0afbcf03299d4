//! A connection on which each operation of the protocol can be changed or dropped on its way.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};

/// Gives what becomes of an operation: its line, and for a message the bytes behind it.
pub type Change = Arc<dyn Fn(Vec<u8>) -> Option<Vec<u8>> + Send + Sync>;

/// Passes operations between clients and one server.
pub struct Tap {
    address: String,
}

/// Leaves everything as it is.
pub fn as_is() -> Change {
    Arc::new(Some)
}

impl Tap {
    /// A tap in front of a server, with what becomes of what clients say and of what the server
    /// says.
    pub async fn on(server: String, from_client: Change, from_server: Change) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (up, down) = (from_client.clone(), from_server.clone());
                let Ok(server) = TcpStream::connect(&server).await else {
                    continue;
                };
                let (client_reads, client_writes) = client.into_split();
                let (server_reads, server_writes) = server.into_split();
                tokio::spawn(async move {
                    tokio::select! {
                        () = pass(client_reads, server_writes, up) => {}
                        () = pass(server_reads, client_writes, down) => {}
                    }
                });
            }
        });
        Self { address }
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: impl AsyncWrite + Unpin, change: Change) {
    let mut buffer = Vec::new();
    while from.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        while let Some(length) = super::proxy::operation(&buffer) {
            let operation = buffer.drain(..length).collect();
            if let Some(operation) = change(operation)
                && to.write_all(&operation).await.is_err()
            {
                return;
            }
        }
    }
}

/// The subject of a message that a client publishes; empty for any other operation.
pub fn published(operation: &[u8]) -> &str {
    let line = operation.split(|byte| *byte == b'\r').next();
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    let line = line.unwrap_or_default();
    match line.split_once(' ') {
        Some(("PUB" | "HPUB", rest)) => rest.split(' ').next().unwrap_or_default(),
        _ => "",
    }
}
