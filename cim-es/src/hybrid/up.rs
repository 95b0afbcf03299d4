//! The way up: from the file into the stream.

use std::sync::Arc;

use super::connector::RemoteStore;
use super::notice::Noticed;
use super::parked::{ParkedCommit, Way};
use super::protocol::Protocol;
use super::queue::{Page, Queued};
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::store::{
    AggregateKey, AppendedCommit, EventStore, PartlyStored, Position, SealedOutcome, StoreError,
};

/// What a step up came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum UpStep {
    /// All that can be sent is in the stream.
    Level,
    /// The stream has some commits now.
    Sent {
        /// How many events the stream acknowledged.
        events: u64,
        /// How many of them stood there already, as after an answer that was lost.
        were_there: u64,
    },
    /// Commits that need not be sent, or wait, were passed over.
    Passed,
    /// An aggregate went on differently in the stream; its commits wait from now on.
    Diverged(AggregateKey),
    /// A divergence was ended as the author has said: what was done here was taken again on the stream's history.
    Resolved(AggregateKey),
    /// The stream refuses one of some commits: fewer are sent with the next step, to find out which.
    Narrowed,
    /// The stream refuses a commit; it is tried again.
    Refused {
        /// Its first position in the file.
        position: Position,
        /// How many times it was tried.
        attempts: u32,
        /// What the stream said.
        reason: String,
    },
    /// The stream refuses a commit for good: it was set aside.
    Parked {
        /// Its first position in the file.
        position: Position,
    },
    /// The stream lacks what it had: everything is compared with it from the start.
    StartedAnew,
}

/// What is known of what is being sent.
#[derive(Debug, Default)]
pub(super) struct Up {
    /// How many events a list may have; none for as many as ever.
    most_events: Option<usize>,
    /// The commit that was refused last, and how many times.
    refused: Option<(Position, u32)>,
    /// Where the stream lacked something that it had.
    lacked: Option<Position>,
}

impl Protocol {
    /// Sends the next commits of the queue, in the order of the file.
    ///
    /// # Errors
    /// What keeps the stream from answering, which may pass: the same commits come again with the next step.
    pub async fn up(&self, remote: &Arc<dyn RemoteStore>) -> Result<UpStep, StoreError> {
        self.notice_epoch().await?;
        if let Some(aggregate) = self.reapply_next(remote).await? {
            return Ok(UpStep::Resolved(aggregate));
        }
        let mut up = self.going_up.lock().await;
        let most = up.most_events.unwrap_or(self.options.list_events);
        let page = self.queued(most).await?;
        if page.commits.is_empty() {
            let is_level = !page.has_passed;
            self.looked_up_to(&page);
            return Ok(match is_level {
                true => UpStep::Level,
                false => UpStep::Passed,
            });
        }
        let list = page.commits.iter().map(|commit| commit.sealed()).collect();
        match remote.append_sealed(list).await {
            Ok(appended) => {
                let lacked = up.lacked.filter(|place| page.reached < *place);
                *up = Up {
                    lacked,
                    ..Up::default()
                };
                let sent = self.acknowledge(page.commits.iter().zip(&appended));
                self.looked_up_to(&page);
                Ok(sent)
            }
            Err(StoreError::PartlyStored(partly)) => {
                self.partly(remote, &mut up, &page, *partly).await
            }
            Err(StoreError::Diverged { aggregate, .. }) => {
                self.diverge(remote, &aggregate, None).await?;
                Ok(UpStep::Diverged(*aggregate))
            }
            Err(error @ StoreError::MissingPredecessor { .. }) => {
                self.lacking(&mut up, &page, error).await
            }
            Err(error) if Way::Up.is_refused_by(&error) => {
                self.refused_up(&mut up, &page, error).await
            }
            Err(error) => Err(error),
        }
    }

    fn looked_up_to(&self, page: &Page) {
        let mut kept = self.kept();
        if kept.resets == page.resets {
            kept.cursor = kept.cursor.max(page.reached);
        }
    }

    /// The stream has a part of a list. The first commit that failed is then the first one that is queued, and where the
    /// stream refuses it, it is sent by itself, to hear it of that one alone.
    async fn partly(
        &self,
        remote: &Arc<dyn RemoteStore>,
        up: &mut Up,
        page: &Page,
        partly: PartlyStored,
    ) -> Result<UpStep, StoreError> {
        let outcomes = page.commits.iter().zip(&partly.outcomes);
        self.acknowledge(outcomes.filter_map(|(queued, outcome)| match outcome {
            SealedOutcome::Stored(appended) => Some((queued, appended)),
            _ => None,
        }));
        match *partly.source {
            StoreError::Diverged { aggregate, .. } => {
                self.diverge(remote, &aggregate, None).await?;
                Ok(UpStep::Diverged(*aggregate))
            }
            error if Way::Up.is_refused_by(&error) => {
                up.most_events = Some(1);
                Ok(UpStep::Narrowed)
            }
            error => Err(error),
        }
    }

    fn acknowledge<'a>(
        &self,
        stored: impl Iterator<Item = (&'a Queued, &'a AppendedCommit)>,
    ) -> UpStep {
        let mut kept = self.kept();
        let (mut events, mut were_there, mut last) = (0, 0, None);
        for (queued, appended) in stored {
            last = queued.events.last();
            kept.settle(&queued.events);
            events += queued.events.len() as u64;
            kept.sent += queued.events.len() as u64;
            if appended.was_there {
                were_there += queued.events.len() as u64;
            }
            if let (Some(first), Some(last)) = (appended.events.first(), appended.events.last()) {
                kept.echoes.add(first.position, last.position, last.cid);
            }
        }
        if let Some(last) = last {
            kept.flushed(last.bookmark());
        }
        UpStep::Sent { events, were_there }
    }

    /// The stream lacks what a commit follows, although the file has it: the stream was made anew, or lost something.
    async fn lacking(
        &self,
        up: &mut Up,
        page: &Page,
        error: StoreError,
    ) -> Result<UpStep, StoreError> {
        let place = first_of(page);
        if up.lacked == Some(place) {
            // All before it was sent again, and it is still missing: what is before it waits, or was given up.
            return self.refused_up(up, page, error).await;
        }
        up.lacked = Some(place);
        let reason = ErrorChain(&error).to_string();
        self.start_anew(reason).await?;
        Ok(UpStep::StartedAnew)
    }

    /// The stream refuses a commit of a list for good.
    async fn refused_up(
        &self,
        up: &mut Up,
        page: &Page,
        error: StoreError,
    ) -> Result<UpStep, StoreError> {
        let [commit] = &page.commits[..] else {
            let events = |commits: &[Queued]| commits.iter().map(|it| it.events.len()).sum();
            let (all, last): (usize, usize) = (events(&page.commits), page.commits.len() - 1);
            // Without the last one at least, which may be larger than all before it.
            let before: usize = events(&page.commits[..last.max(1)]);
            up.most_events = Some((all / 2).min(before).max(1));
            return Ok(UpStep::Narrowed);
        };
        let position = first_of(page);
        let attempts = match up.refused {
            Some((refused, attempts)) if refused == position => attempts + 1,
            _ => 1,
        };
        up.refused = Some((position, attempts));
        if attempts < self.options.max_retries.max(1) {
            return Ok(UpStep::Refused {
                position,
                attempts,
                reason: ErrorChain(&error).to_string(),
            });
        }
        self.park(Way::Up, &commit.events, &error, attempts).await?;
        *up = Up::default();
        Ok(UpStep::Parked { position })
    }

    /// Sets a commit aside, and says so.
    pub(super) async fn park(
        &self,
        way: Way,
        events: &[StoredEvent],
        error: &StoreError,
        attempts: u32,
    ) -> Result<(), StoreError> {
        let commit = ParkedCommit::of(way, events, error, attempts, self.now());
        let noticed = Noticed::Parked {
            position: commit.position,
            reason: commit.reason.clone(),
        };
        {
            let mut kept = self.kept();
            let skipped = (way == Way::Down).then_some(kept.down);
            kept.park(commit, skipped);
        }
        self.note(noticed);
        self.save().await
    }
}

fn first_of(page: &Page) -> Position {
    let first = page.commits.first().and_then(|it| it.events.first());
    first.map_or(Position::START, |event| event.position)
}
