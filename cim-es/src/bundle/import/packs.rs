//! A thread reads the file again and hands its commits on, packs of them at a time.

use tokio::sync::mpsc;

use super::input::Input;
use super::read::Commit;
use crate::bundle::BundleError;
use crate::store::ProvedCommit;

/// The events, and their bytes, from which on a pack is handed on: what a store takes in one transaction. Larger ones have
/// it write the same pages less often, and wait in memory, four at most at a time.
const PACK: (usize, usize) = (32_768, 16 * 1024 * 1024);
/// The same of the first pack: whoever looks on sees soon that it goes on.
const FIRST: (usize, usize) = (8_192, 8 * 1024 * 1024);
/// The packs that may wait.
const AHEAD: usize = 1;

/// The commits of a file, or what was made of them, in packs.
pub(super) struct Packs<T = Commit>(mpsc::Receiver<Result<Vec<T>, BundleError>>);

impl Packs {
    /// Begins to read a file. When the value is dropped, the thread ends.
    pub(super) fn of(input: &Input) -> Self {
        Self::begin(input, Ok)
    }
}

impl Packs<ProvedCommit> {
    /// Begins to read a file whose commits are to be stored.
    pub(super) fn proved(input: &Input) -> Self {
        let path = input.path().to_owned();
        Self::begin(input, move |commit| commit.prove(&path))
    }
}

impl<T: Send + 'static> Packs<T> {
    fn begin(
        input: &Input,
        make: impl Fn(Commit) -> Result<T, BundleError> + Send + 'static,
    ) -> Self {
        let (packs, waiting) = mpsc::channel(AHEAD);
        let input = input.clone();
        tokio::task::spawn_blocking(move || {
            let outcome = read(&input, make, &packs);
            if let Err(error) = outcome {
                // If nobody waits, nobody wants to know.
                let _ = packs.blocking_send(Err(error));
            }
        });
        Self(waiting)
    }

    /// The next pack; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<T>>, BundleError> {
        self.0.recv().await.transpose()
    }
}

fn read<T>(
    input: &Input,
    make: impl Fn(Commit) -> Result<T, BundleError>,
    packs: &mpsc::Sender<Result<Vec<T>, BundleError>>,
) -> Result<(), BundleError> {
    let (_, mut commits) = input.commits()?;
    let (mut pack, mut events, mut bytes) = (Vec::new(), 0, 0);
    let mut full = FIRST;
    while let Some(commit) = commits.next()? {
        events += commit.events.len();
        bytes += commit
            .events
            .iter()
            .map(|it| it.body().len())
            .sum::<usize>();
        pack.push(make(commit)?);
        if events >= full.0 || bytes >= full.1 {
            (events, bytes, full) = (0, 0, PACK);
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
