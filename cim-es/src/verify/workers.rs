//! The threads that decode and hash.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::judge::{JudgedPage, judge};
use crate::store::raw::RawPage;
use crate::store::{Location, StoreError};

struct Job {
    page: RawPage,
    answer: oneshot::Sender<JudgedPage>,
}

/// Threads that take pages from one queue, and the pages in the order in which they were handed
/// over. The threads end when this is dropped.
pub(super) struct Workers {
    jobs: Sender<Job>,
    waiting: VecDeque<oneshot::Receiver<JudgedPage>>,
    /// How many pages may be on their way.
    most: usize,
}

impl Workers {
    pub(super) fn start(count: usize, location: &Location) -> Result<Self, StoreError> {
        let (jobs, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..count {
            let (receiver, named) = (Arc::clone(&receiver), location.clone());
            std::thread::Builder::new()
                .name("cim-es-verify".into())
                .spawn(move || serve(&receiver, &named))
                .map_err(|error| StoreError::Engine {
                    location: location.clone(),
                    operation: "starting the verifying threads",
                    source: Arc::new(error),
                })?;
        }
        Ok(Self {
            jobs,
            waiting: VecDeque::new(),
            // One alone takes turns with who reads, so that no more than one core is used.
            most: match count {
                1 => 1,
                count => count * 2,
            },
        })
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < self.most
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn hand_over(&mut self, page: RawPage) -> Result<(), StoreError> {
        let (answer, question) = oneshot::channel();
        self.jobs.send(Job { page, answer }).map_err(|_| failed())?;
        self.waiting.push_back(question);
        Ok(())
    }

    /// The page that was handed over first. It may be dropped and called again at any time.
    pub(super) async fn next(&mut self) -> Result<JudgedPage, StoreError> {
        let Some(first) = self.waiting.front_mut() else {
            return std::future::pending().await;
        };
        let page = first.await;
        self.waiting.pop_front();
        page.map_err(|_| failed())
    }
}

fn failed() -> StoreError {
    StoreError::Closed {
        reason: "a verifying thread failed; this is a defect of the library".into(),
    }
}

fn serve(jobs: &Mutex<Receiver<Job>>, location: &Location) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { page, answer }) = job else {
            return;
        };
        // Whoever asked may have gone meanwhile.
        if !answer.is_closed() {
            drop(answer.send(judge(page, location)));
        }
    }
}
