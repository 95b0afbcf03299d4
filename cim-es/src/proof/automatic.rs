//! Checkpoints that are made by themselves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{CheckpointError, CheckpointLog, Reading, SignedCheckpoint, SigningKey};
use crate::domain::ErrorChain;
use crate::store::Position;

/// Makes a checkpoint of a log every so many events, and every so often when something is new.
///
/// ```no_run
/// # use cim_es::MemoryEventStore;
/// # async fn start(store: MemoryEventStore) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use cim_es::proof::{AutomaticCheckpoints, CheckpointLog, SigningKey, Tiles};
///
/// let key = SigningKey::read("example.org/library", "/etc/library/checkpoints.pem")?;
/// let log = CheckpointLog::new(store.clone(), key.name(), Tiles::in_directory("/var/lib/library/tiles"))
///     .with_objects(store)
///     .with_copy("/mnt/elsewhere/library.checkpoint");
/// let checkpoints = AutomaticCheckpoints::new(log, key)
///     .every_events(1_000)
///     .every(Duration::from_secs(600))
///     .start()
///     .await?;
/// // …
/// checkpoints.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AutomaticCheckpoints {
    log: CheckpointLog,
    key: SigningKey,
    events: u64,
    time: Duration,
    audit: Duration,
    look: Duration,
}

impl AutomaticCheckpoints {
    /// Of a log, signed by its key: every 1,000 events, every 10 minutes, and all events read once a day.
    pub fn new(log: CheckpointLog, key: SigningKey) -> Self {
        Self {
            log,
            key,
            events: 1_000,
            time: Duration::from_secs(600),
            audit: Duration::from_secs(24 * 3600),
            look: Duration::from_secs(1),
        }
    }

    /// After so many events, counted by positions; at least 1.
    #[must_use]
    pub fn every_events(self, events: u64) -> Self {
        Self {
            events: events.max(1),
            ..self
        }
    }

    /// After so much time, if anything is new.
    #[must_use]
    pub fn every(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// After how much time a checkpoint is made of [all events](Reading::All), which are compared with what was there. The
    /// first one is, at the start; the others are made of what is [new](Reading::New).
    #[must_use]
    pub fn audit_every(self, time: Duration) -> Self {
        Self {
            audit: time,
            ..self
        }
    }

    /// How often the store is asked for its last position, at least a millisecond apart: once a second, unless it is said.
    #[must_use]
    pub fn look_every(self, time: Duration) -> Self {
        Self {
            look: time.max(Duration::from_millis(1)),
            ..self
        }
    }

    /// Makes the first checkpoint, of all events, and then others by a task of its own.
    ///
    /// # Errors
    /// As [`CheckpointLog::checkpoint`]; then no task runs.
    pub async fn start(self) -> Result<RunningCheckpoints, CheckpointError> {
        let done = self.log.store().last_position().await?;
        let first = self.log.checkpoint(&self.key, Reading::All).await?;
        let status = CheckpointStatus {
            last: first,
            failure: None,
            has_ended: false,
        };
        let (tell, status) = watch::channel(status);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(self, done, tell, stop.clone()));
        Ok(RunningCheckpoints {
            status,
            stop,
            task: Some(task),
        })
    }
}

/// How the checkpoints are going.
#[derive(Clone, Debug)]
pub struct CheckpointStatus {
    /// The last checkpoint that was made.
    pub last: SignedCheckpoint,
    /// Why the one after it was not made. It is tried again, except after [`CheckpointError::HistoryChanged`] and
    /// [`CheckpointError::Kept`].
    pub failure: Option<Arc<CheckpointError>>,
    /// Whether no more are made: it was stopped, or the failure is one for a person to look into.
    pub has_ended: bool,
}

/// Checkpoints that are being made. They end when this is dropped.
#[derive(Debug)]
pub struct RunningCheckpoints {
    status: watch::Receiver<CheckpointStatus>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl RunningCheckpoints {
    /// How they are going.
    pub fn status(&self) -> CheckpointStatus {
        self.status.borrow().clone()
    }

    /// Waits until the status is one that is waited for, or until no more checkpoints are made; gives it.
    pub async fn wait_for(
        &mut self,
        is_it: impl Fn(&CheckpointStatus) -> bool,
    ) -> CheckpointStatus {
        let is_it = |status: &CheckpointStatus| status.has_ended || is_it(status);
        if let Ok(status) = self.status.wait_for(is_it).await {
            return status.clone();
        }
        // The task is gone without a word, as when its runtime ends.
        CheckpointStatus {
            has_ended: true,
            ..self.status()
        }
    }

    /// Lets the one that is being made be finished, and makes no more. Gives the status at the end.
    pub async fn stop(mut self) -> CheckpointStatus {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // A task that panicked has said so.
            let _ = task.await;
        }
        self.status()
    }
}

impl Drop for RunningCheckpoints {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(
    settings: AutomaticCheckpoints,
    mut done: Position,
    tell: watch::Sender<CheckpointStatus>,
    stop: CancellationToken,
) {
    let mut ticks = interval(settings.look);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut made, mut audited) = (Instant::now(), Instant::now());
    loop {
        if stop.run_until_cancelled(ticks.tick()).await.is_none() {
            break;
        }
        let audits = audited.elapsed() >= settings.audit;
        let asked = settings.log.store().last_position().await;
        let is_due = |last: Position| {
            let new = last.0.saturating_sub(done.0);
            // A store that ends before what was signed is looked at, and the log says what is wrong.
            audits
                || last < done
                || new >= settings.events
                || new > 0 && made.elapsed() >= settings.time
        };
        let at = match asked {
            Ok(last) if is_due(last) => last,
            Ok(_) => continue,
            Err(error) => {
                failed(&tell, error.into());
                continue;
            }
        };
        let reading = if audits { Reading::All } else { Reading::New };
        match settings.log.checkpoint(&settings.key, reading).await {
            Ok(last) => {
                (done, made) = (at, Instant::now());
                if audits {
                    audited = made;
                }
                tell.send_modify(|status| {
                    status.last = last;
                    status.failure = None;
                });
            }
            Err(error) => {
                if failed(&tell, error) {
                    break;
                }
            }
        }
    }
    tell.send_modify(|status| status.has_ended = true);
}

/// Tells of a failure; says whether it is one for a person to look into.
fn failed(tell: &watch::Sender<CheckpointStatus>, error: CheckpointError) -> bool {
    let is_final = matches!(
        error,
        CheckpointError::HistoryChanged(_) | CheckpointError::Kept { .. }
    );
    match is_final {
        true => tracing::error!(error = %ErrorChain(&error), "no more checkpoints are made"),
        false => tracing::warn!(error = %ErrorChain(&error), "a checkpoint is not made yet"),
    }
    tell.send_modify(|status| status.failure = Some(Arc::new(error)));
    is_final
}
