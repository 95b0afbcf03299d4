//! The second pass: the events are read again and handed to a thread that writes.

use std::io::Write;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::read;
use super::survey::Survey;
use crate::block::{Cid, HashCode, StoredEvent};
use crate::bundle::encryption::{Output, Recipient};
use crate::bundle::order::Order;
use crate::bundle::progress::{Canceller, Progress, Reporter, Step};
use crate::bundle::{BundleError, Manifest};
use crate::car::{CarError, CarWriter};
use crate::store::{EventStore, StreamExt};

/// The events, and their bytes, that are handed to the thread at once.
const PACK: (usize, usize) = (512, 1024 * 1024);
/// The packs that may wait for it.
const AHEAD: usize = 4;

/// What is written.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Bundle,
    JsonLines,
}

pub(super) struct Writing<'a> {
    pub(super) survey: &'a Survey,
    pub(super) manifest: &'a Manifest,
    /// The block with the signature, where there is one.
    pub(super) signature: Option<Vec<u8>>,
    /// To whom it is encrypted, where it is.
    pub(super) recipients: Option<Vec<Recipient>>,
    pub(super) reporter: &'a Reporter,
    pub(super) canceller: &'a Canceller,
}

type Written<W> = Result<(u64, W), BundleError>;

impl Writing<'_> {
    /// Writes all of it. Gives the number of bytes, and the output.
    pub(super) async fn run<W: Write + Send + 'static>(
        &self,
        store: &dyn EventStore,
        output: W,
        name: &Path,
        form: Form,
    ) -> Written<W> {
        let (packs, waiting) = mpsc::channel(AHEAD);
        let recipients = self.recipients.clone();
        let begin = move |name: &Path| Output::new(output, name, recipients);
        let writer = match form {
            Form::Bundle => {
                let mut head = vec![self.manifest.encode()];
                head.extend(self.signature.clone());
                thread(name, waiting, move |name, packs| {
                    bundle(begin(&name)?, head, name, packs)
                })
            }
            Form::JsonLines => thread(name, waiting, move |name, packs| {
                json_lines(begin(&name)?, name, packs)
            }),
        };
        let read = self.read(store, packs).await;
        // The thread ends with the last pack, or has failed.
        let written = writer.await.map_err(|_| BundleError::Ended)?;
        let written = written?;
        read?;
        Ok(written)
    }

    /// Reads the events again, compares them with the manifest, and hands them on.
    async fn read(
        &self,
        store: &dyn EventStore,
        packs: mpsc::Sender<Vec<StoredEvent>>,
    ) -> Result<(), BundleError> {
        let mut progress = Progress {
            step: Step::Writing,
            events: 0,
            of_events: Some(self.survey.events),
            bytes: 0,
        };
        let mut order = Order::default();
        let (mut pack, mut size) = (Vec::new(), 0);
        let mut events = read::events(store, self.survey.after).await?;
        while let Some(event) = events.next().await {
            let event = event?;
            let is_last = event.position >= self.survey.end;
            if self.survey.includes(&event) {
                let bytes = event.body().len();
                progress.events += 1;
                progress.bytes += bytes as u64 - 1;
                size += bytes;
                order.add(&event.cid);
                pack.push(event);
            }
            if pack.len() >= PACK.0 || size >= PACK.1 {
                self.canceller.check()?;
                size = 0;
                if packs.send(std::mem::take(&mut pack)).await.is_err() {
                    // The thread says why.
                    return Ok(());
                }
                self.reporter.tell(progress);
            }
            if is_last {
                break;
            }
        }
        let found = (progress.events, progress.bytes);
        let expected = (self.survey.events, self.survey.bytes);
        if found != expected {
            let reason = format!(
                "{} events of {} bytes in place of {} of {}",
                found.0, found.1, expected.0, expected.1
            );
            return Err(BundleError::Changed { reason });
        }
        if order.finish() != self.survey.order {
            let reason = "the same number in another order".to_owned();
            return Err(BundleError::Changed { reason });
        }
        if !pack.is_empty() {
            // If it does not take them, the thread says why.
            let _ = packs.send(pack).await;
        }
        self.reporter.done(progress);
        Ok(())
    }
}

type Packs = mpsc::Receiver<Vec<StoredEvent>>;

fn thread<T: Send + 'static>(
    name: &Path,
    packs: Packs,
    write: impl FnOnce(PathBuf, Packs) -> Result<T, BundleError> + Send + 'static,
) -> JoinHandle<Result<T, BundleError>> {
    let name = name.to_owned();
    tokio::task::spawn_blocking(move || write(name, packs))
}

fn bundle<W: Write>(
    output: Output<W>,
    head: Vec<Vec<u8>>,
    name: PathBuf,
    mut packs: Packs,
) -> Written<W> {
    let failed = |error| match error {
        CarError::Io { doing, source, .. } => BundleError::File {
            doing,
            file: name.clone(),
            source,
        },
        error => BundleError::Changed {
            reason: error.to_string(),
        },
    };
    let roots: Vec<Cid> = head.iter().map(|it| HashCode::Sha2_256.cid(it)).collect();
    let mut car = CarWriter::new(output, &roots).map_err(failed)?;
    for (root, block) in roots.iter().zip(&head) {
        car.write_proved(root, block).map_err(failed)?;
    }
    while let Some(pack) = packs.blocking_recv() {
        for event in pack {
            // The store has proved both of them.
            car.write_proved(&event.cid, event.envelope_bytes())
                .and_then(|()| car.write_proved(&event.envelope.payload, event.payload()))
                .map_err(failed)?;
        }
    }
    let bytes = car.written();
    let output = car.finish().map_err(failed)?.finish();
    Ok((
        bytes,
        output.map_err(|error| BundleError::file("written", &name, error))?,
    ))
}

fn json_lines<W: Write>(mut output: Output<W>, name: PathBuf, mut packs: Packs) -> Written<W> {
    let failed = |error| BundleError::file("written", &name, error);
    let mut bytes = 0;
    while let Some(pack) = packs.blocking_recv() {
        for event in pack {
            let mut line = event.to_dag_json().map_err(|source| BundleError::NotJson {
                cid: Box::new(event.cid),
                source,
            })?;
            line.push('\n');
            output.write_all(line.as_bytes()).map_err(failed)?;
            bytes += line.len() as u64;
        }
    }
    Ok((bytes, output.finish().map_err(failed)?))
}
