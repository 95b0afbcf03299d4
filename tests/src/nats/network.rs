//! The network between the servers of a cluster: every connection of one with another goes through here, where it can be
//! held up in one direction, cut, and refused.
//!
//! What a network loses is sent again until it arrives or the connection ends. So nothing is dropped out of the middle:
//! what is held up arrives late, or the connection is cut and it never does.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::port::Port;

/// The network between some servers, named by their index from 0.
#[derive(Debug)]
pub struct Network {
    count: usize,
    paths: Vec<Path>,
    /// Dropped, it ends what passes the bytes.
    _end: watch::Sender<()>,
}

/// From one server to another.
#[derive(Debug)]
struct Path {
    /// Where the first dials the second.
    port: Port,
    is_held: watch::Sender<bool>,
    is_refused: Arc<AtomicBool>,
    cuts: watch::Sender<u64>,
}

/// What the connections that one server makes to another need.
#[derive(Clone)]
struct Dialled {
    target: u16,
    there: watch::Receiver<bool>,
    back: watch::Receiver<bool>,
    is_refused: Arc<AtomicBool>,
    cuts: watch::Receiver<u64>,
}

impl Network {
    /// A network in front of the servers' own ports for each other.
    pub(super) fn before(ports: &[Port]) -> Self {
        let count = ports.len();
        let path = || Path {
            port: Port::reserve(),
            is_held: watch::channel(false).0,
            is_refused: Arc::default(),
            cuts: watch::channel(0).0,
        };
        let network = Self {
            count,
            paths: (0..count * count).map(|_| path()).collect(),
            _end: watch::channel(()).0,
        };
        let mut dialled = Vec::new();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                let (there, back) = (network.path(from, to), network.path(to, from));
                let listener = std::net::TcpListener::bind(("127.0.0.1", there.port.number()))
                    .unwrap_or_else(|error| panic!("port {}: {error}", there.port.number()));
                let pair = Dialled {
                    target: ports[to].number(),
                    there: there.is_held.subscribe(),
                    back: back.is_held.subscribe(),
                    is_refused: Arc::clone(&there.is_refused),
                    cuts: there.cuts.subscribe(),
                };
                dialled.push((listener, pair));
            }
        }
        let end = network._end.subscribe();
        // A thread of its own, so that no test that keeps its runtime busy slows the servers down.
        thread::spawn(move || run(dialled, end));
        network
    }

    fn path(&self, from: usize, to: usize) -> &Path {
        &self.paths[from * self.count + to]
    }

    /// The ports under which a server reaches the others.
    pub(super) fn ports_of(&self, server: usize) -> Vec<u16> {
        let others = (0..self.count).filter(|to| *to != server);
        others
            .map(|to| self.path(server, to).port.number())
            .collect()
    }

    /// How many servers there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// From now on nothing that one server says arrives at the other; it does once it is [released](Self::release).
    pub fn hold(&self, from: usize, to: usize) {
        self.path(from, to).is_held.send_replace(true);
    }

    /// What was held up arrives, and what follows as well.
    pub fn release(&self, from: usize, to: usize) {
        self.path(from, to).is_held.send_replace(false);
    }

    /// Ends the connections between two servers; they make new ones.
    pub fn cut(&self, one: usize, other: usize) {
        for path in [self.path(one, other), self.path(other, one)] {
            path.cuts.send_modify(|cuts| *cuts += 1);
        }
    }

    /// Ends the connections between two servers, and lets them make no new ones until they are [accepted](Self::accept).
    pub fn refuse(&self, one: usize, other: usize) {
        for path in [self.path(one, other), self.path(other, one)] {
            path.is_refused.store(true, Ordering::SeqCst);
        }
        self.cut(one, other);
    }

    /// Lets two servers make connections again.
    pub fn accept(&self, one: usize, other: usize) {
        for path in [self.path(one, other), self.path(other, one)] {
            path.is_refused.store(false, Ordering::SeqCst);
        }
    }

    /// Lets everything pass again.
    pub fn heal(&self) {
        for from in 0..self.count {
            for to in (0..self.count).filter(|to| *to != from) {
                self.release(from, to);
                self.accept(from, to);
            }
        }
    }
}

fn run(dialled: Vec<(std::net::TcpListener, Dialled)>, mut end: watch::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime for the network: {error}"));
    runtime.block_on(async move {
        for (listener, pair) in dialled {
            let listener = listener
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(listener));
            let listener = listener.unwrap_or_else(|error| panic!("the network: {error}"));
            tokio::spawn(accept(listener, pair));
        }
        // It fails when the network is dropped.
        while end.changed().await.is_ok() {}
    });
}

async fn accept(listener: TcpListener, pair: Dialled) {
    while let Ok((dialling, _)) = listener.accept().await {
        if !pair.is_refused.load(Ordering::SeqCst) {
            tokio::spawn(connect(dialling, pair.clone()));
        }
    }
}

async fn connect(dialling: TcpStream, mut pair: Dialled) {
    pair.cuts.mark_unchanged();
    let Ok(dialled) = TcpStream::connect(("127.0.0.1", pair.target)).await else {
        return;
    };
    let _ = (dialling.set_nodelay(true), dialled.set_nodelay(true));
    let (from_one, to_one) = dialling.into_split();
    let (from_other, to_other) = dialled.into_split();
    tokio::select! {
        () = pass(from_one, to_other, pair.there) => {}
        () = pass(from_other, to_one, pair.back) => {}
        _ = pair.cuts.changed() => {}
    }
}

/// Passes bytes in one direction while it is not held up. The end of a connection is held up as its bytes are.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_held: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await;
        if is_held.wait_for(|is_held| !is_held).await.is_err() {
            return;
        }
        let written = match read {
            Ok(0) => return,
            Ok(count) => to.write_all(&buffer[..count]).await,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        if written.is_err() {
            return;
        }
    }
}
