//! A connection that can be cut, and on which answers can be lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes between clients and one server.
pub struct Proxy {
    address: String,
    switches: Arc<Switches>,
}

struct Switches {
    loses_answers: AtomicBool,
    cuts: watch::Sender<u64>,
}

impl Proxy {
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let switches = Arc::new(Switches {
            loses_answers: AtomicBool::new(false),
            cuts: watch::channel(0).0,
        });
        let shared = Arc::clone(&switches);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, switches) = (server.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        pass(client, server, switches).await;
                    }
                });
            }
        });
        Self { address, switches }
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// From now on nothing that the server says arrives.
    pub fn lose_answers(&self) {
        self.switches.loses_answers.store(true, Ordering::SeqCst);
    }

    /// Ends every connection; new ones work as they should.
    pub fn cut(&self) {
        self.switches.loses_answers.store(false, Ordering::SeqCst);
        self.switches.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn pass(client: TcpStream, server: TcpStream, switches: Arc<Switches>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut cuts = switches.cuts.subscribe();
    let up = tokio::io::copy(&mut from_client, &mut to_server);
    let down = async {
        let mut buffer = vec![0; 65_536];
        loop {
            let count = from_server.read(&mut buffer).await?;
            if count == 0 {
                return Ok::<_, std::io::Error>(());
            }
            if !switches.loses_answers.load(Ordering::SeqCst) {
                to_client.write_all(&buffer[..count]).await?;
            }
        }
    };
    tokio::select! {
        _ = up => {}
        _ = down => {}
        _ = cuts.changed() => {}
    }
}
