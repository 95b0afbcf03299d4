//! A connection that can be cut, and on which answers and messages can be lost, late and held up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::random::Random;

/// What a connection does to what passes, for as long as it lasts.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// What the client says arrives only when this is over.
    pub holds_questions: bool,
    /// What the server says arrives only when this is over.
    pub holds_answers: bool,
    /// How late what the server says arrives.
    pub delay: Duration,
    /// Of a thousand messages of the server, how many are lost.
    pub lost_of_a_thousand: u64,
    /// Acknowledgements of stored messages are lost.
    pub loses_acknowledgements: bool,
    /// No new connection is made.
    pub refuses: bool,
}

/// What was asked of the leader and answered, by the request.
#[derive(Default)]
struct Past {
    is_forgotten: bool,
    is_replayed: bool,
    asked: HashMap<String, String>,
    answered: HashMap<String, Vec<u8>>,
}

/// Passes bytes between clients and one server.
pub struct Proxy {
    address: String,
    switches: Arc<Switches>,
}

struct Switches {
    loses_answers: AtomicBool,
    loses_message: Mutex<Option<String>>,
    refuses: Mutex<Option<u64>>,
    loses_delivery: AtomicBool,
    past: Mutex<Past>,
    cuts: watch::Sender<u64>,
    weather: watch::Sender<Weather>,
    random: Random,
}

impl Proxy {
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let switches = Arc::new(Switches {
            loses_answers: AtomicBool::new(false),
            loses_message: Mutex::new(None),
            refuses: Mutex::new(None),
            loses_delivery: AtomicBool::new(false),
            past: Mutex::default(),
            cuts: watch::channel(0).0,
            weather: watch::channel(Weather::default()).0,
            random: Random::new(1),
        });
        let shared = Arc::clone(&switches);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, switches) = (server.clone(), Arc::clone(&shared));
                if switches.weather.borrow().refuses {
                    continue;
                }
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

    /// The next message that a consumer delivers is lost.
    pub fn lose_delivery(&self) {
        self.switches.loses_delivery.store(true, Ordering::SeqCst);
    }

    /// Whether the delivery to lose has come by.
    pub fn has_lost_delivery(&self) -> bool {
        !self.switches.loses_delivery.load(Ordering::SeqCst)
    }

    /// From now on what was asked of the leader before is answered as it was then, as a deposed leader does.
    pub fn live_in_the_past(&self, lives: bool) {
        self.switches.past.lock().unwrap().is_replayed = lives;
    }

    /// Keeps nothing of what was asked and answered, as over hours.
    pub fn forget_the_past(&self) {
        self.switches.past.lock().unwrap().is_forgotten = true;
    }

    /// From now on the connections are so.
    pub fn set(&self, weather: Weather) {
        self.switches.weather.send_replace(weather);
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
        let mut weather = switches.weather.subscribe();
        let mut buffer = Vec::new();
        while from_client.read_buf(&mut buffer).await? > 0 {
            let _ = weather.wait_for(|weather| !weather.holds_questions).await;
            while let Some(length) = operation(&buffer) {
                let operation: Vec<u8> = buffer.drain(..length).collect();
                switches.note_question(&operation);
                if !switches.loses(&operation) {
                    to_server.write_all(&operation).await?;
                }
            }
        }
        Ok::<_, std::io::Error>(())
    };
    let (late, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let (from, shared) = (&mut from_server, &switches);
    let down = async move {
        let mut buffer = Vec::new();
        while from.read_buf(&mut buffer).await? > 0 {
            while let Some(length) = operation(&buffer) {
                let operation: Vec<u8> = buffer.drain(..length).collect();
                if shared.loses_answers.load(Ordering::SeqCst)
                    || shared.is_lost_delivery(&operation)
                    || shared.is_lost_in(&operation)
                {
                    continue;
                }
                let operation = shared.falsified(shared.replayed(operation));
                let delay = shared.weather.borrow().delay;
                let _ = late.send((Instant::now() + delay, operation));
            }
        }
        Ok::<_, std::io::Error>(())
    };
    let arriving = async {
        let mut weather = switches.weather.subscribe();
        while let Some((due, operation)) = due.recv().await {
            sleep_until(due).await;
            let _ = weather.wait_for(|weather| !weather.holds_answers).await;
            to_client.write_all(&operation).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    tokio::select! {
        _ = up => {}
        // What the server said before it ended the connection still arrives.
        _ = async { tokio::join!(down, arriving) } => {}
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

    fn is_lost_delivery(&self, operation: &[u8]) -> bool {
        let head = String::from_utf8_lossy(operation);
        let head = head.lines().next().unwrap_or_default().to_owned();
        let is_delivery = head.contains(" $JS.ACK.");
        is_delivery && self.loses_delivery.swap(false, Ordering::SeqCst)
    }

    /// Whether a message of the server is lost in the weather.
    fn is_lost_in(&self, operation: &[u8]) -> bool {
        let weather = self.weather.borrow();
        let is_message = operation.starts_with(b"MSG ") || operation.starts_with(b"HMSG ");
        let is_lost = weather.lost_of_a_thousand > 0
            && is_message
            && self.random.within(0..1_000) < weather.lost_of_a_thousand;
        is_lost || (weather.loses_acknowledgements && is_acknowledgement(operation))
    }

    /// Remembers under which reply subject the leader was asked what.
    fn note_question(&self, operation: &[u8]) {
        if self.past.lock().unwrap().is_forgotten {
            return;
        }
        let text = String::from_utf8_lossy(operation);
        let (head, body) = text.split_once("\r\n").unwrap_or_default();
        let words: Vec<_> = head.split(' ').collect();
        let is_question = ["STREAM.MSG.GET.", "STREAM.INFO."]
            .iter()
            .any(|request| head.contains(request));
        if let [_, subject, reply, ..] = words.as_slice()
            && is_question
        {
            let question = format!("{subject} {body}");
            self.past
                .lock()
                .unwrap()
                .asked
                .insert((*reply).to_owned(), question);
        }
    }

    /// The answer that was given before to the same question, where that is wanted.
    fn replayed(&self, operation: Vec<u8>) -> Vec<u8> {
        let text = String::from_utf8_lossy(&operation);
        let (head, body) = text.split_once("\r\n").unwrap_or_default();
        let mut past = self.past.lock().unwrap();
        if past.is_forgotten {
            return operation;
        }
        let subject = head.split(' ').nth(1).unwrap_or_default();
        let Some(question) = past.asked.remove(subject) else {
            return operation;
        };
        match past.answered.get(&question) {
            Some(former) if past.is_replayed => {
                let head = head.rsplit_once(' ').unwrap_or_default().0;
                let mut answer = format!("{head} {}\r\n", former.len() - 2).into_bytes();
                answer.extend_from_slice(former);
                answer
            }
            _ => {
                past.answered.insert(question, body.as_bytes().to_vec());
                operation
            }
        }
    }

    fn falsified(&self, operation: Vec<u8>) -> Vec<u8> {
        let mut refuses = self.refuses.lock().unwrap();
        let Some(error) = refuses.take_if(|_| is_acknowledgement(&operation)) else {
            return operation;
        };
        let text = String::from_utf8_lossy(&operation);
        let head = text.lines().next().unwrap_or_default();
        let head = head.rsplit_once(' ').unwrap_or_default().0;
        let body = format!(
            r#"{{"stream":"","seq":0,"error":{{"code":400,"err_code":{error},"description":"falsified"}}}}"#
        );
        format!("{head} {}\r\n{body}\r\n", body.len()).into_bytes()
    }
}

/// Whether a server says that it has stored a message.
fn is_acknowledgement(operation: &[u8]) -> bool {
    if !operation.starts_with(b"MSG ") {
        return false;
    }
    let text = String::from_utf8_lossy(operation);
    text.contains(r#""stream":"#)
        && text.contains(r#""seq":"#)
        && !text.contains(r#""type":"#)
        && !text.contains(r#""error":"#)
}

/// The length of the first whole operation: a line, and for a message the bytes whose number ends the line.
pub fn operation(bytes: &[u8]) -> Option<usize> {
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
