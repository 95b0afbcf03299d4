//! How a projection reads documents while the transaction is open on the thread that polls it.
//!
//! A projection asks a [`ReadModelStorage`], and its future waits for the answer. The connection belongs to whoever polls
//! it, so the question is left here, the connection answers it, and the future is polled again. A future that waits and
//! has asked nothing waits for something else, and the transaction does not wait for that.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::engine::sqlite::OpenView;
use crate::store::read_model::{
    DocumentPage, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage, UpTo, ViewChanges,
    ViewDeclaration, ViewId, ViewRecord,
};
use crate::store::{Location, Position, StoreError};

/// The documents of a view, as a projection asks for them.
#[derive(Clone)]
pub(super) struct Asking {
    location: Location,
    said: Arc<Mutex<Said>>,
}

/// What was said last.
enum Said {
    Nothing,
    Question(Question),
    Answer(Result<(Answer, Position), ReadModelError>),
}

enum Question {
    Read(Vec<String>),
    Find(IndexEntry, Page),
    List(Page),
}

enum Answer {
    Documents(Vec<Option<Bytes>>),
    Page(DocumentPage),
}

impl Asking {
    pub(super) fn new(location: Location) -> Self {
        let said = Arc::new(Mutex::new(Said::Nothing));
        Self { location, said }
    }

    /// Runs what asks for documents. None where it waits for something else.
    pub(super) fn run<T>(&self, work: impl Future<Output = T>, on: &OpenView<'_>) -> Option<T> {
        let mut work = pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        *self.said() = Said::Nothing;
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
                return Some(done);
            }
            let said = std::mem::replace(&mut *self.said(), Said::Nothing);
            let Said::Question(question) = said else {
                return None;
            };
            *self.said() = Said::Answer(answer(&question, on));
        }
    }

    async fn ask(&self, question: Question) -> Result<UpTo<Answer>, ReadModelError> {
        *self.said() = Said::Question(question);
        let answer = poll_fn(|_| {
            let mut said = self.said();
            match std::mem::replace(&mut *said, Said::Nothing) {
                Said::Answer(answer) => Poll::Ready(answer),
                other => {
                    *said = other;
                    Poll::Pending
                }
            }
        });
        let (value, position) = answer.await?;
        Ok(UpTo { value, position })
    }

    async fn ask_for_page(&self, question: Question) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let answer = self.ask(question).await?;
        Ok(answer.map(|answer| match answer {
            Answer::Page(page) => page,
            Answer::Documents(_) => DocumentPage::default(),
        }))
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only what reads is asked of it.
    fn refuse<T>(&self) -> Result<T, ReadModelError> {
        Err(StoreError::ReadOnly {
            location: self.location.clone(),
            reason: "a projection changes its view by its documents alone".to_owned(),
        }
        .into())
    }
}

fn answer(question: &Question, on: &OpenView<'_>) -> Result<(Answer, Position), ReadModelError> {
    let answer = match question {
        Question::Read(keys) => Answer::Documents(on.read(keys)?),
        Question::Find(entry, page) => Answer::Page(on.find(entry, page)?),
        Question::List(page) => Answer::Page(on.list(page)?),
    };
    Ok((answer, on.position()))
}

#[async_trait]
impl ReadModelStorage for Asking {
    fn location(&self) -> Location {
        self.location.clone()
    }

    async fn read(
        &self,
        _: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let answer = self.ask(Question::Read(keys)).await?;
        Ok(answer.map(|answer| match answer {
            Answer::Documents(documents) => documents,
            Answer::Page(_) => Vec::new(),
        }))
    }

    async fn find(
        &self,
        _: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        let question = Question::Find(entry.clone(), page.clone());
        self.ask_for_page(question).await
    }

    async fn list(&self, _: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError> {
        self.ask_for_page(Question::List(page.clone())).await
    }

    async fn open_view(&self, _: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        self.refuse()
    }

    async fn views(&self, _: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        self.refuse()
    }

    async fn hold(&self, _: &ViewId, _: Uuid, _: Duration) -> Result<Hold, ReadModelError> {
        self.refuse()
    }

    async fn release(&self, _: &ViewId, _: Uuid) -> Result<(), ReadModelError> {
        self.refuse()
    }

    async fn commit(&self, _: &ViewId, _: ViewChanges) -> Result<(), ReadModelError> {
        self.refuse()
    }

    async fn serve(&self, _: &ViewId) -> Result<(), ReadModelError> {
        self.refuse()
    }

    async fn remove_view(&self, _: &ViewId) -> Result<(), ReadModelError> {
        self.refuse()
    }
}
