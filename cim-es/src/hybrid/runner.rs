//! The task that makes the steps of the protocol: it connects, goes both ways, and tries again after a pause.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::ConnectFailure;
use super::connector::{Connector, RemoteStore};
use super::protocol::Protocol;
use super::up::UpStep;
use crate::domain::ErrorChain;
use crate::store::{Location, StoreError};

/// How many failures in a row a connection has before another one is made.
const PATIENCE: u32 = 5;
/// How long nobody looks at the queue when nobody says that it has grown: another handle of the file may have written.
const LOOK: Duration = Duration::from_secs(1);

/// The way to the stream, as others see it.
#[derive(Default)]
pub(super) struct Line {
    state: Mutex<LineState>,
}

#[derive(Default)]
struct LineState {
    remote: Option<Arc<dyn RemoteStore>>,
    is_up: bool,
    failure: Option<ConnectFailure>,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream, while it answers.
    pub(super) fn remote(&self) -> Option<Arc<dyn RemoteStore>> {
        let state = self.state();
        state.remote.clone().filter(|_| state.is_up)
    }

    /// What the last failure was, while there is no way.
    pub(super) fn failure(&self) -> Option<ConnectFailure> {
        self.state().failure.clone()
    }

    fn is_there(&self, remote: &Arc<dyn RemoteStore>) {
        *self.state() = LineState {
            remote: Some(Arc::clone(remote)),
            is_up: true,
            failure: None,
        };
    }

    fn is_away(&self, failure: ConnectFailure) {
        let mut state = self.state();
        if state.is_up || state.failure.is_none() {
            tracing::info!(error = %ErrorChain(&*failure), "the stream is away; what is queued waits in the file");
        }
        (state.is_up, state.failure) = (false, Some(failure));
    }

    fn is_lost(&self) {
        let mut state = self.state();
        (state.is_up, state.remote) = (false, None);
    }
}

/// What runs the protocol.
pub(super) struct Runner {
    pub(super) protocol: Arc<Protocol>,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) line: Arc<Line>,
    pub(super) stop: CancellationToken,
}

impl Runner {
    /// Runs until it is told to stop, and saves what is known.
    pub(super) async fn run(self) {
        {
            // What was begun is given up with this block: it may hold what saving waits for.
            let work = pin!(self.work());
            let stop = pin!(self.stop.cancelled());
            select(work, stop).await;
        }
        self.line.is_lost();
        if self.protocol.has_claim() {
            if let Err(error) = self.protocol.save().await {
                tracing::warn!(error = %ErrorChain(&error), "what is known of the stream was not saved; it is found out again");
            }
            self.protocol.release();
        }
    }

    /// Waits until nobody else keeps the file level.
    async fn claim(&self) {
        let mut pause = Pause::new((self.protocol.options.pauses.0, LOOK));
        while let Err(error) = self.protocol.claim().await {
            self.line.is_away(Arc::new(error));
            pause.wait().await;
            // What the other one finds out decides which commands are taken here.
            if let Err(error) = self.protocol.read_again().await {
                self.line.is_away(Arc::new(error));
            }
        }
    }

    async fn work(&self) {
        self.claim().await;
        let mut pause = Pause::new(self.protocol.options.pauses);
        loop {
            let remote = match self.connector.connect().await {
                Ok(remote) => remote,
                Err(failure) => {
                    self.line.is_away(failure);
                    pause.wait().await;
                    continue;
                }
            };
            let mut failures = 0;
            while failures < PATIENCE {
                let begun = Instant::now();
                let error = self.go_both_ways(&remote).await;
                // What went well for a while counts as a new beginning.
                if begun.elapsed() > self.protocol.options.pauses.1 {
                    (failures, pause) = (0, Pause::new(self.protocol.options.pauses));
                }
                failures += 1;
                self.line.is_away(Arc::new(error));
                pause.wait().await;
            }
            self.line.is_lost();
        }
    }

    /// Goes both ways until something fails.
    async fn go_both_ways(&self, remote: &Arc<dyn RemoteStore>) -> StoreError {
        if let Err(error) = self.protocol.greet(remote).await {
            return error;
        }
        self.line.is_there(remote);
        let up = pin!(self.go_up(remote));
        let down = pin!(self.go_down(remote));
        let both = pin!(async {
            match select(up, down).await {
                Either::Left((error, _)) | Either::Right((error, _)) => error,
            }
        });
        let save = pin!(self.save(remote));
        match select(both, save).await {
            Either::Left((error, _)) | Either::Right((error, _)) => error,
        }
    }

    async fn go_up(&self, remote: &Arc<dyn RemoteStore>) -> StoreError {
        loop {
            match self.protocol.up(remote).await {
                Ok(UpStep::Level) => {
                    let grown = pin!(self.protocol.grown.notified());
                    let look = pin!(sleep(LOOK));
                    select(grown, look).await;
                }
                Ok(UpStep::Refused { .. }) => sleep(self.protocol.options.pauses.0).await,
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    async fn go_down(&self, remote: &Arc<dyn RemoteStore>) -> StoreError {
        let mut pause = Pause::new(self.protocol.options.pauses);
        loop {
            let reading = self.protocol.reading(remote, true);
            let moved = pin!(self.protocol.moved.notified());
            let followed = pin!(self.protocol.follow(remote, reading));
            match select(followed, moved).await {
                // A file that is full is waited for, and keeps nobody from sending what it has.
                Either::Left((Err(error), _)) if is_full_file(&error) => {
                    self.protocol.file_is(Some(error));
                    pause.wait().await;
                }
                Either::Left((Err(error), _)) => return error,
                // From another place.
                Either::Left((Ok(_), _)) | Either::Right(_) => {}
            }
        }
    }

    async fn save(&self, remote: &Arc<dyn RemoteStore>) -> StoreError {
        let mut marked = None;
        loop {
            sleep(self.protocol.options.save_interval).await;
            let flushed = self.protocol.flushed();
            match self.protocol.save().await {
                Ok(()) => {}
                // What could not be written is found out again by the next program.
                Err(error) if is_full_file(&error) => continue,
                Err(error) => return error,
            }
            if marked != Some(flushed) {
                if let Err(error) = self.protocol.mark(remote).await {
                    return error;
                }
                marked = Some(flushed);
            }
        }
    }
}

/// Whether there is no room for what comes down, where the stream itself may be fine.
fn is_full_file(error: &StoreError) -> bool {
    let StoreError::Full { location, .. } = error else {
        return false;
    };
    matches!(location, Location::File(_) | Location::Memory)
}

/// A pause that doubles.
struct Pause {
    next: Duration,
    longest: Duration,
}

impl Pause {
    fn new((first, longest): (Duration, Duration)) -> Self {
        Self {
            next: first,
            longest,
        }
    }

    async fn wait(&mut self) {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        sleep(pause).await;
    }
}
