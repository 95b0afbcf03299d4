//! A thread reads the file again and hands its commits on, packs of them at a time.

use tokio::sync::mpsc;

use super::input::Input;
use super::read::Commit;
use crate::bundle::BundleError;

/// The events, and their bytes, from which on a pack is handed on.
const PACK: (usize, usize) = (8_192, 8 * 1024 * 1024);
/// The packs that may wait.
const AHEAD: usize = 1;

/// The commits of a file, in packs.
pub(super) struct Packs(mpsc::Receiver<Result<Vec<Commit>, BundleError>>);

impl Packs {
    /// Begins to read a file. When the value is dropped, the thread ends.
    pub(super) fn of(input: &Input) -> Self {
        let (packs, waiting) = mpsc::channel(AHEAD);
        let input = input.clone();
        tokio::task::spawn_blocking(move || {
            let outcome = read(&input, &packs);
            if let Err(error) = outcome {
                // If nobody waits, nobody wants to know.
                let _ = packs.blocking_send(Err(error));
            }
        });
        Self(waiting)
    }

    /// The next pack; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Commit>>, BundleError> {
        self.0.recv().await.transpose()
    }
}

fn read(
    input: &Input,
    packs: &mpsc::Sender<Result<Vec<Commit>, BundleError>>,
) -> Result<(), BundleError> {
    let (_, mut commits) = input.commits()?;
    let (mut pack, mut events, mut bytes) = (Vec::new(), 0, 0);
    while let Some(commit) = commits.next()? {
        events += commit.events.len();
        bytes += commit
            .events
            .iter()
            .map(|it| it.body().len())
            .sum::<usize>();
        pack.push(commit);
        if events >= PACK.0 || bytes >= PACK.1 {
            (events, bytes) = (0, 0);
            if packs.blocking_send(Ok(std::mem::take(&mut pack))).is_err() {
                return Ok(());
            }
        }
    }
    if !pack.is_empty() {
        let _ = packs.blocking_send(Ok(pack));
    }
    Ok(())
}
