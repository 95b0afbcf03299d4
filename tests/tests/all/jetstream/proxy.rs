//! A connection that can be cut, and on which answers and messages can be lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

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
    loses_message: Mutex<Option<String>>,
    refuses: Mutex<Option<u64>>,
    cuts: watch::Sender<u64>,
}

impl Proxy {
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let switches = Arc::new(Switches {
            loses_answers: AtomicBool::new(false),
            loses_message: Mutex::new(None),
            refuses: Mutex::new(None),
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

    /// The next message to the server whose headers have this line is lost.
    pub fn lose_message(&self, header: &str) {
        *self.switches.loses_message.lock().unwrap() = Some(header.to_owned());
    }

    /// Whether the message to lose has come by.
    pub fn has_lost(&self) -> bool {
        self.switches.loses_message.lock().unwrap().is_none()
    }

    /// The next acknowledgement of a stored message arrives as a refusal with an error of the server's list.
    pub fn refuse_what_is_stored(&self, error: u64) {
        *self.switches.refuses.lock().unwrap() = Some(error);
    }

    /// Whether the acknowledgement to falsify has come by.
    pub fn has_refused(&self) -> bool {
        self.switches.refuses.lock().unwrap().is_none()
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
    let up = async {
        let mut buffer = Vec::new();
        while from_client.read_buf(&mut buffer).await? > 0 {
            while let Some(length) = operation(&buffer) {
                let operation: Vec<u8> = buffer.drain(..length).collect();
                if !switches.loses(&operation) {
                    to_server.write_all(&operation).await?;
                }
            }
        }
        Ok::<_, std::io::Error>(())
    };
    let down = async {
        let mut buffer = Vec::new();
        while from_server.read_buf(&mut buffer).await? > 0 {
            while let Some(length) = operation(&buffer) {
                let operation: Vec<u8> = buffer.drain(..length).collect();
                if !switches.loses_answers.load(Ordering::SeqCst) {
                    to_client.write_all(&switches.falsified(operation)).await?;
                }
            }
        }
        Ok::<_, std::io::Error>(())
    };
    tokio::select! {
        _ = up => {}
        _ = down => {}
        _ = cuts.changed() => {}
    }
}

impl Switches {
    fn loses(&self, operation: &[u8]) -> bool {
        let mut loses = self.loses_message.lock().unwrap();
        let has = |header: &String| {
            let header = format!("{header}\r\n");
            operation
                .windows(header.len())
                .any(|part| part == header.as_bytes())
        };
        loses.take_if(|header| has(header)).is_some()
    }

    fn falsified(&self, operation: Vec<u8>) -> Vec<u8> {
        let text = String::from_utf8_lossy(&operation);
        let is_acknowledgement = text.starts_with("MSG ")
            && text.contains(r#""stream":"#)
            && text.contains(r#""seq":"#)
            && !text.contains(r#""type":"#)
            && !text.contains(r#""error":"#);
        let mut refuses = self.refuses.lock().unwrap();
        let Some(error) = refuses.take_if(|_| is_acknowledgement) else {
            return operation;
        };
        let head = text.lines().next().unwrap_or_default();
        let head = head.rsplit_once(' ').unwrap_or_default().0;
        let body = format!(
            r#"{{"stream":"","seq":0,"error":{{"code":400,"err_code":{error},"description":"falsified"}}}}"#
        );
        format!("{head} {}\r\n{body}\r\n", body.len()).into_bytes()
    }
}

/// The length of the first whole operation: a line, and for a message the bytes whose number ends the line.
fn operation(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|end| end == b"\r\n")?;
    let words = std::str::from_utf8(&bytes[..line]).unwrap_or_default();
    let is_message = ["PUB ", "HPUB ", "MSG ", "HMSG "]
        .iter()
        .any(|word| words.starts_with(word));
    let length = match words.rsplit(' ').next() {
        Some(size) if is_message => line + 2 + size.parse::<usize>().unwrap() + 2,
        _ => line + 2,
    };
    (bytes.len() >= length).then_some(length)
}
