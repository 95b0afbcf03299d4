//! The second pass: the events are read again and handed to a thread that writes.

use std::io::Write;
use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use super::packing::{Packing, Packs};
use super::read;
use super::survey::Survey;
use crate::block::{Cid, HashCode, StoredEvent};
use crate::bundle::BundleError;
use crate::bundle::encryption::{Output, Recipient};
use crate::bundle::order::Order;
use crate::bundle::progress::{Canceller, Progress, Reporter, Step};
use crate::car::{CarError, CarWriter};
use crate::store::{EventStore, StreamExt};

/// What is written.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Bundle,
    JsonLines,
}

pub(super) struct Writing<'a> {
    pub(super) survey: &'a Survey,
    /// The blocks that a bundle begins with.
    pub(super) roots: Vec<Vec<u8>>,
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
        let (packs, waiting) = Packing::new();
        let recipients = self.recipients.clone();
        let output = move |name: &Path| Output::new(output, name, recipients);
        let writer = match form {
            Form::Bundle => {
                let roots = self.roots.clone();
                thread(name, waiting, move |name, packs| {
                    bundle(output(&name)?, &roots, &name, packs)
                })
            }
            Form::JsonLines => thread(name, waiting, move |name, packs| {
                json_lines(output(&name)?, name, packs)
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
    async fn read(&self, store: &dyn EventStore, mut packs: Packing) -> Result<(), BundleError> {
        let mut progress = Progress {
            step: Step::Writing,
            events: 0,
            of_events: Some(self.survey.events),
            bytes: 0,
        };
        let mut order = Order::default();
        let mut events = read::events(store, self.survey.after).await?;
        while let Some(event) = events.next().await {
            let event = event?;
            let is_last = event.position >= self.survey.end;
            if self.survey.includes(&event) {
                progress.events += 1;
                progress.bytes += event.body().len() as u64 - 1;
                order.add(&event.cid);
                packs.add(event);
            }
            if packs.hand_over().await? {
                self.canceller.check()?;
                self.reporter.tell(progress);
            }
            if is_last {
                break;
            }
        }
        self.survey.compare(progress.events, progress.bytes)?;
        if order.finish() != self.survey.order {
            let reason = "the same number in another order".to_owned();
            return Err(BundleError::Changed { reason });
        }
        packs.finish().await?;
        self.reporter.done(progress);
        Ok(())
    }
}

fn thread<T: Send + 'static>(
    name: &Path,
    packs: Packs<Vec<StoredEvent>>,
    write: impl FnOnce(PathBuf, Packs<Vec<StoredEvent>>) -> Result<T, BundleError> + Send + 'static,
) -> JoinHandle<Result<T, BundleError>> {
    let name = name.to_owned();
    tokio::task::spawn_blocking(move || write(name, packs))
}

fn bundle<W: Write>(
    output: Output<W>,
    roots: &[Vec<u8>],
    name: &Path,
    mut packs: Packs<Vec<StoredEvent>>,
) -> Written<W> {
    let mut car = begin(output, roots, name)?;
    while let Some(pack) = packs.blocking_recv() {
        for event in pack {
            self::event(&mut car, &event, name)?;
        }
    }
    let bytes = car.written();
    let output = car.finish().map_err(|error| failed(name, error))?.finish();
    Ok((
        bytes,
        output.map_err(|error| BundleError::file("written", name, error))?,
    ))
}

/// Begins a file with its roots: the manifest, and the signature where there is one.
pub(super) fn begin<W: Write>(
    output: W,
    roots: &[Vec<u8>],
    name: &Path,
) -> Result<CarWriter<W>, BundleError> {
    let failed = |error| failed(name, error);
    let cids: Vec<Cid> = roots.iter().map(|it| HashCode::Sha2_256.cid(it)).collect();
    let mut car = CarWriter::new(output, &cids).map_err(failed)?;
    for (cid, block) in cids.iter().zip(roots) {
        car.write_proved(cid, block).map_err(failed)?;
    }
    Ok(car)
}

/// Writes the blocks of an event, both of which the store has proved.
pub(super) fn event<W: Write>(
    car: &mut CarWriter<W>,
    event: &StoredEvent,
    name: &Path,
) -> Result<(), BundleError> {
    car.write_proved(&event.cid, event.envelope_bytes())
        .and_then(|()| car.write_proved(&event.envelope.payload, event.payload()))
        .map_err(|error| failed(name, error))
}

/// Why a file is not written.
pub(super) fn failed(name: &Path, error: CarError) -> BundleError {
    match error {
        CarError::Io { doing, source, .. } => BundleError::File {
            doing,
            file: name.to_owned(),
            source,
        },
        error => BundleError::Changed {
            reason: error.to_string(),
        },
    }
}

fn json_lines<W: Write>(
    mut output: Output<W>,
    name: PathBuf,
    mut packs: Packs<Vec<StoredEvent>>,
) -> Written<W> {
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
